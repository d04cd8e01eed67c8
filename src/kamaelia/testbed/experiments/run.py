"""One run of an experiment: made by `carry_out`, wherever an executor likes, and told as a `Run`.

A run that fails is a run, too: what was raised is in it as text, whether the function that describes the
network raised it, or a host, or the function that looks at the trace. So nothing here raises, but Ctrl-C.
"""

from __future__ import annotations

import ast
import json
import os
import shlex
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any

from ...axon import UsageError, report
from ...axon.clock import monotonic
from ...axon.errors import shorten
from ..errors import SimulationError
from ..network import Network
from ..simulated import Sweep
from ..trace import Trace
from .figures import checked_outcome, figures
from .reference import FunctionReference

LONGEST = 2000
"""Letters of an error that are kept."""

_sweep = Sweep()


@dataclass(frozen=True)
class Run:
    """One run: with what, and what came of it."""

    parameters: dict[str, Any]
    """What the scenario was given. What is no number, text, truth value or None is written as Python does."""
    seed: int | str
    """Of all random streams of the run."""
    outcome: dict[str, float] = field(default_factory=dict)
    """What the experiment's own function has made of the trace."""
    figures: dict[str, float] = field(default_factory=dict)
    """All that was measured, see `kamaelia.testbed.experiments.figures`."""
    error: str | None = None
    """What has failed; None if all went well."""
    replay: str = ""
    """The command that makes the run again; Python, where arguments are no text that a command could take."""
    took: float = 0.0
    """Seconds of real time."""
    fingerprint: str = ""
    """Of all events; the same parameters and seed give the same one."""

    @property
    def values(self) -> dict[str, float]:
        """All numbers by their names; where a name is taken twice, that of the outcome."""
        return {**self.figures, **self.outcome}

    def value(self, name: str) -> float | None:
        """Return one of these; None for one that this run does not have, and for all if it has failed."""
        if self.error is not None:
            return None
        return self.outcome.get(name, self.figures.get(name))

    def with_shared_names(self) -> Run:
        """Return the same run with names that all runs share: of a hundred numbers they take most memory."""
        outcome = {intern(name): value for name, value in self.outcome.items()}
        return replace(self, outcome=outcome, figures={intern(k): v for k, v in self.figures.items()})

    @property
    def key(self) -> str:
        """What it is known by: parameters and seed."""
        return run_key(self.parameters, self.seed)


def run_key(parameters: Mapping[str, Any], seed: int | str) -> str:
    """Return what a run is known by in a journal.

    >>> run_key({"loss": 0.01, "viewers": 10}, 3)
    '{"loss": 0.01, "viewers": 10}/3'
    """
    return f"{json.dumps(dict(parameters), sort_keys=True)}/{json.dumps(seed)}"


def place_of(parameters: Mapping[str, Any]) -> tuple[tuple[str, bool, Any], ...]:
    """Return what tells combinations apart: 1 and 1.0 are the same value, and 1 and True are not.

    >>> place_of({"loss": 0}) == place_of({"loss": 0.0}), place_of({"loss": 0}) == place_of({"loss": False})
    (True, False)
    """
    return tuple((name, isinstance(value, bool), value) for name, value in sorted(parameters.items()))


def replay_of(where: str, arguments: Mapping[str, Any], seed: int | str, seconds: float) -> str:
    """Return how a run is made again: a command, or Python where a command cannot say it.

    >>> stream = "package.star:stream"
    >>> replay_of(stream, {"queue": "codel", "loss": 0.1}, 3, 60)
    'kamaelia simulate package.star:stream --seed=3 --seconds=60 --param=queue=codel --param=loss=0.1'
    >>> from kamaelia.testbed.links import UniformLoss
    >>> replay_of(stream, {"loss": UniformLoss("5 %")}, 3, 60)
    'stream(loss=UniformLoss(share=0.05)).simulate(60, seed=3)'
    """
    function = where.rpartition(":")[2]
    if "<" in function or not all(map(_is_literal, arguments.values())):
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        return f"{function}({given}).simulate({seconds:g}, seed={seed!r})"
    words = ["kamaelia", "simulate", where, f"--seed={seed}", f"--seconds={seconds:g}"]
    for name, value in arguments.items():
        is_plain = isinstance(value, str) and not _is_python(value)
        words.append(f"--param={name}={value if is_plain else repr(value)}")
    return shlex.join(words)


def _is_python(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (SyntaxError, ValueError):
        return False


@dataclass(frozen=True)
class Task:
    """What is to be run, in a form that can be pickled."""

    scenario: FunctionReference
    outcome: FunctionReference | None
    arguments: dict[str, Any]
    """What the scenario is given, as it is."""
    parameters: dict[str, Any]
    """The same as they are written down."""
    seed: int | str
    seconds: float
    options: dict[str, Any]
    """Further arguments of `Network.simulate`."""
    details: int
    within: float
    """Real time after which the run is given up, in seconds."""
    where: str
    """The scenario as the command finds it."""

    @property
    def replay(self) -> str:
        """How the run is made again."""
        return replay_of(self.where, self.arguments, self.seed, self.seconds)


def carry_out(task: Task) -> Run:
    """Make a run. This is what executors are given."""
    began = monotonic()
    trace: Trace | None = None
    outcome: dict[str, float] = {}
    numbers: dict[str, float] = {}
    error: str | None = None
    try:
        look = None if task.outcome is None else task.outcome.resolve()
        network = task.scenario.resolve()(**task.arguments)
        if not isinstance(network, Network):
            raise UsageError(f"{task.scenario} has returned {shorten(network)}, and no Network")
        with _given_up_after(task.within, network) as gave_up:
            trace = network.simulate(task.seconds, seed=task.seed, errors="collect", **task.options)
        numbers = figures(trace, task.details)
        if gave_up:
            raise SimulationError(
                f"it was given up at {trace.metrics.seconds:g} s, after {task.within:g} s of real time"
            )
        if look is not None:
            outcome = checked_outcome(look(trace))
    except Exception as raised:
        error = report.one_line(raised)
    failed = _failures(trace)
    if error is not None or failed:
        error = "; ".join([*([] if error is None else [error]), *failed])[:LONGEST]
    run = Run(
        task.parameters,
        task.seed,
        outcome,
        numbers,
        error,
        task.replay,
        round(monotonic() - began, 6),
        "" if trace is None else trace.fingerprint,
    )
    del trace
    _sweep()
    return run


def lost(task: Task, why: str) -> Run:
    """Return the run of a process that has died of it."""
    return Run(task.parameters, task.seed, error=why, replay=task.replay)


def ready() -> int:
    """Return the number of the process; whoever can do this can carry out runs."""
    return os.getpid()


def _failures(trace: Trace | None) -> list[str]:
    if trace is None:
        return []
    return [
        f"{host}: {report.one_line(leaf)}"
        for host, error in trace.errors.items()
        for leaf in (error.exceptions if isinstance(error, ExceptionGroup) else (error,))
    ]


@contextmanager
def _given_up_after(seconds: float, network: Network) -> Iterator[list[bool]]:
    """End a simulation when its real time is over, as if its virtual time were; the list then says so."""
    gave_up: list[bool] = []

    def give_up() -> None:
        simulation = network.simulation
        if simulation is not None:
            with suppress(UsageError):  # it is over just now
                simulation.remote.ask(simulation.end_soon)
                gave_up.append(True)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield gave_up
    finally:
        timer.cancel()


__all__ = ["LONGEST", "Run", "Task", "carry_out", "lost", "place_of", "ready", "replay_of", "run_key"]
