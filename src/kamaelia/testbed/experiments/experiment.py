"""A scenario, what is varied in it, and how often: an `Experiment`, which makes a `Study` when it is run."""

from __future__ import annotations

import inspect
import itertools
import json
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from types import CodeType
from typing import Any

from ...axon import UsageError, units
from ...axon.clock import calendar_for_real
from ...axon.errors import shorten, suggestion
from ..network import Network
from ..simulated import Seed, which_seeds
from ..trace import Trace
from . import parquet
from .executors import Conductor
from .figures import DETAILS
from .identity import digest, machine, revision, sources, versions
from .journal import FORMAT, Journal
from .reference import FunctionReference
from .run import Run, Task, place_of, run_key
from .study import Study

FOLDER = ".kamaelia/experiments"
JOURNAL, RESULTS = "runs.jsonl", "results.parquet"  # in the folder of an experiment
SEEDS = 20
WITHIN = 3600.0  # seconds of real time for a run
MOST_RUNS = 100_000

_OPTIONS = ("until", "grace", "measure", "keep")  # of Network.simulate
_ADDRESS = re.compile(r"\bat 0x[0-9a-f]+\b")


@dataclass(frozen=True)
class Standing:
    """How far an experiment has come."""

    total: int
    """Runs that it has."""
    known: int
    """Those of them that earlier calls had made already."""
    done: int
    """Those made since."""
    failed: int
    """Those that have failed, of all that are known now."""

    @property
    def left(self) -> int:
        """Runs that are still to be made."""
        return self.total - self.known - self.done


class Experiment:
    """A scenario, run with all combinations of some parameters, each with the same seeds.

    Run k of every combination has the same seed, so that whoever compares two of them compares pairs (common
    random numbers): each link direction, host and component draws from a stream of its own, whose numbers
    depend on the seed and the name alone.

    Arguments:
        scenario: a function that builds a `Network` and returns it
        seeds: how many, from 0 on; or which, as for `simulated`: ``"100:120"``, ``[3, "storm"]``
        seconds: of virtual time for each run, or text such as ``"1 min"``
        outcome: a function that is given each `Trace`, and returns what is of interest as numbers by names:
            ``outcome=lambda trace: {"glitches": trace.metrics.total("glitches").total}``
        points: which combinations, each a mapping from parameters to values, where not all are wanted
        hypothesis: what you expect, in words; it is written down before the first run
        expected: in which direction, and how much
        name: of the experiment; else that of the scenario
        until: see `Network.simulate`, as for the following
        grace: likewise
        measure: ``"queues"``, to have figures about these
        keep: how many events the trace keeps, for an ``outcome`` that looks at them
        details: of how many links, hosts and components each has figures of its own, at most
        within: real time after which a run is given up, and has failed; a simulation whose time stands still
            never notices
        parameters: what the scenario is given: a list, tuple or range of values, or one value for all runs

    Raises `UsageError` for what the scenario does not take, and for values that cannot be told apart.

    Example:
        >>> from kamaelia.testbed import Experiment, Network
        >>> from kamaelia.testbed.experiments import InlineExecutor
        >>> from kamaelia.flow import Collect, Interval, Map, Take
        >>> from kamaelia.net import UDPReceiver, UDPSender
        >>> def stream(loss=0.0):
        ...     network = Network()
        ...     source = Interval(0.02) | Take(100) | Map(lambda number: bytes(100))
        ...     network.host("studio").run(source | UDPSender("viewer", 5004))
        ...     network.host("viewer").run(UDPReceiver(5004, None) | Collect())
        ...     network.link("studio", "viewer", loss=loss)
        ...     return network
        >>> def outcome(trace):
        ...     return {"heard": len(trace.results["viewer"])}
        >>> experiment = Experiment(stream, loss=[0, 0.1], seeds=5, seconds=3, outcome=outcome)
        >>> study = experiment.run(folder=None, executor=InlineExecutor())
        >>> print(study.table())
        loss  runs              heard
        0        5     100 [100, 100]
        0.1      5  88.4 [85.5, 91.3]
        in brackets: 95 % intervals for the mean over all seeds (Student's t)
        <BLANKLINE>
        >>> print(study.compare("loss", 0, 0.1, of="heard"))
        heard: 0.1 minus 0 (loss) is -11.6 [-14.5, -8.74]: mean of 5 paired differences, ...
    """

    def __init__(
        self,
        scenario: Callable[..., Network],
        *,
        seeds: int | str | Iterable[Seed] = SEEDS,
        seconds: float | str = 60.0,
        outcome: Callable[[Trace], Mapping[str, float]] | None = None,
        points: Iterable[Mapping[str, Any]] | None = None,
        hypothesis: str = "",
        expected: str = "",
        name: str | None = None,
        until: str | None = None,
        grace: float | str | None = None,
        measure: str | Iterable[str] = (),
        keep: int | None = 0,
        details: int = DETAILS,
        within: float | str = WITHIN,
        **parameters: Any,
    ) -> None:
        self.scenario = scenario
        """The function that builds the network."""
        self.outcome = outcome
        """What looks at each trace."""
        self.name = getattr(scenario, "__name__", "experiment") if name is None else name
        """What it is called."""
        self.seeds = list(which_seeds(seeds, f"Experiment(seeds={seeds!r})"))
        """The same for all combinations."""
        self.seconds = units.seconds(seconds, "seconds")
        """Of virtual time."""
        self.hypothesis = hypothesis
        """What is expected."""
        self.expected = expected
        """In which direction, and how much."""
        self.within = units.seconds(within, "within")
        """Real time for a run, in seconds."""
        if type(details) is not int or details < 0:
            raise UsageError(f"details={details!r}: give how many have figures of their own, from 0 on")
        self.details = details
        given: dict[str, Any] = {"until": until, "grace": grace, "keep": keep}
        self.options = {one: value for one, value in given.items() if value is not None or one == "keep"}
        """Further arguments of `Network.simulate`."""
        if measure:
            self.options["measure"] = [measure] if isinstance(measure, str) else list(measure)
        self._scenario = FunctionReference.of(scenario)
        self._outcome = None if outcome is None else FunctionReference.of(outcome)
        self.points = _points(parameters, points)
        """Each combination: what the scenario is given."""
        self.labels = [{one: label(value) for one, value in point.items()} for point in self.points]
        """The same as they are written down."""
        self._check(scenario)

    def _check(self, scenario: Callable[..., Network]) -> None:
        known = inspect.signature(scenario).parameters
        anything = any(one.kind is one.VAR_KEYWORD for one in known.values())
        for point in self.points:
            for name in point:
                if name not in known and not anything:
                    raise UsageError(f"{self.name} takes no {name!r}; {suggestion(name, known)}")
            for name, other in known.items():
                needed = other.default is other.empty and other.kind not in (
                    other.VAR_KEYWORD,
                    other.VAR_POSITIONAL,
                )
                if needed and name not in point:
                    raise UsageError(f"{self.name} needs {name!r}: give Experiment(..., {name}=...)")
        places = set()
        for one in self.labels:
            if place_of(one) in places:
                raise UsageError(f"the combination {one} is there twice")
            places.add(place_of(one))
        if len(set(self.seeds)) < len(self.seeds):
            raise UsageError(f"seeds={shorten(self.seeds)}: one is there twice")
        if len(self.points) * len(self.seeds) > MOST_RUNS:
            raise UsageError(
                f"{len(self.points):,} combinations with {len(self.seeds):,} seeds are more than "
                f"{MOST_RUNS:,} runs; make it several experiments"
            )

    @property
    def total(self) -> int:
        """How many runs it has."""
        return len(self.points) * len(self.seeds)

    def tasks(self) -> Iterator[Task]:
        """Yield the runs that it has: of the first seed all combinations, then of the second ..."""
        where = str(self._scenario)
        for seed, (point, named) in itertools.product(self.seeds, zip(self.points, self.labels, strict=True)):
            yield Task(
                self._scenario,
                self._outcome,
                point,
                named,
                seed,
                self.seconds,
                self.options,
                self.details,
                self.within,
                where,
            )

    def describe(self) -> dict[str, Any]:
        """Return what results depend on besides parameters and seed, as plain values, with a ``key``."""
        code = sources(*[one for one in (self._scenario, self._outcome) if one is not None])
        known = versions(code)
        depends = {
            "scenario": f"{self._scenario.name} {_body(self.scenario)}",
            "outcome": "" if self._outcome is None else f"{self._outcome.name} {_body(self.outcome)}",
            "code": {name: digest(text) for name, text in code.items()},
            "seconds": self.seconds,
            "options": self.options,
            "details": self.details,
            "versions": {**known, "kamaelia": "", "python": known["python"].rpartition(".")[0]},
        }
        return {
            "format": FORMAT,
            "key": digest(json.dumps(depends, sort_keys=True)),
            "name": self.name,
            "scenario": str(self._scenario),
            "description": inspect.getdoc(self.scenario) or "",
            "seconds": self.seconds,
            "options": self.options,
            "sources": code,
            "made": _now(),
        }

    def place(self, folder: str | PathLike[str] = FOLDER) -> Path:
        """Return the folder in which its results are kept."""
        return self._place(folder, self.describe()["key"])

    def _place(self, folder: str | PathLike[str], key: str) -> Path:
        name = re.sub(r"[^\w.-]+", "-", self.name)[:60]
        return Path(folder) / f"{name}-{key[:12]}"

    def run(
        self,
        *,
        folder: str | PathLike[str] | None = FOLDER,
        executor: Executor | None = None,
        jobs: int | None = None,
        fresh: bool = False,
        retry: bool = False,
        progress: Callable[[Standing], object] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Study:
        """Make the runs that have not been made yet, and return what is known of all.

        What is over is written down at once (`kamaelia.testbed.experiments.journal`). So after Ctrl-C, a
        crash or ``kill -9``, the same call goes on where it was. The same experiment is one with the same
        code, options and versions; seeds and values may be added, and only what these need is run. In the end
        all is written as Parquet beside it, if duckdb is installed.

        Arguments:
            folder: where each experiment has a folder of its own; None to keep nothing
            executor: where runs are made: any of `concurrent.futures`, or `InlineExecutor`; by default
                processes of our own
            jobs: how many of those; by default one for each processor
            fresh: forget what was done before
            retry: make runs that have failed once more, such as when there was too little memory
            progress: is called with a `Standing` whenever a run is over, and now and then
            stop: is asked now and then whether to end; runs under way are waited for then

        Raises `UsageError` when the scenario cannot go to another process, and when somebody else makes the
        same experiment in this folder just now.
        """
        if jobs is not None and (type(jobs) is not int or jobs < 1):
            raise UsageError(f"run(jobs={jobs!r}): give how many processes there are to be, from 1 on")
        if executor is None:
            self._check_can_leave()
        header = self.describe()
        place = None if folder is None else self._place(folder, header["key"])
        if place is not None:
            _keep_out_of_git(place)
        with Journal(None if place is None else place / JOURNAL, header, fresh) as journal:
            if place is not None and fresh:
                (place / RESULTS).unlink(missing_ok=True)
            journal.add_hypothesis(self.hypothesis, self.expected, _now())
            missing = [task for task in self.tasks() if _is_missing(task, journal.runs, retry)]
            if missing and not (stop is not None and stop()):
                journal.add_session(self._session(executor, jobs))
            done = 0
            known = self.total - len(missing)
            again = {run_key(task.parameters, task.seed) for task in missing}
            mine = [run for run in self._mine(journal.runs) if run.key not in again]
            failed = sum(run.error is not None for run in mine)

            def tell() -> None:
                if progress is not None:
                    progress(Standing(self.total, known, done, failed))

            def take(run: Run) -> None:
                nonlocal done, failed
                journal.add_run(run)
                done += 1
                failed += run.error is not None
                tell()

            tell()
            conductor = Conductor(executor, jobs, take, tell, stop or (lambda: False))
            conductor.conduct(missing)
            study = self._study(journal)
        if place is not None and missing and parquet.is_there():
            study.save(place / RESULTS)
        return study

    def results(self, folder: str | PathLike[str] = FOLDER) -> Study:
        """Return what is known by now, without making a run. Raises `UsageError` as `run` does."""
        return self.run(folder=folder, stop=lambda: True)

    def _study(self, journal: Journal) -> Study:
        place = None if journal.path is None else journal.path.parent
        return Study(
            about={
                **journal.header,
                "sessions": journal.sessions,
                "hypotheses": journal.hypotheses,
                "journal": None if place is None else f"{place.name}/{JOURNAL}",
            },
            points=self.labels,
            seeds=self.seeds,
            runs=list(self._mine(journal.runs)),
            folder=place,
        )

    def _mine(self, runs: Mapping[str, Run]) -> Iterator[Run]:
        for point in self.labels:
            for seed in self.seeds:
                run = runs.get(run_key(point, seed))
                if run is not None:
                    yield run

    def _session(self, executor: Executor | None, jobs: int | None) -> dict[str, Any]:
        code = sources(*[one for one in (self._scenario, self._outcome) if one is not None])
        by = "processes" if executor is None else type(executor).__name__
        return {
            "at": _now(),
            "runs": self.total,
            "executor": by if jobs is None else f"{by}, {jobs}",
            "versions": versions(code),
            "machine": machine(),
            "revision": revision(self._scenario.file),
        }

    def _check_can_leave(self) -> None:
        for reference in (self._scenario, self._outcome):
            if reference is not None:
                reference.check_can_leave()
        for task in itertools.islice(self.tasks(), len(self.points)):
            try:
                pickle.dumps(task)
            except Exception as error:  # whatever a value's own methods raise
                raise UsageError(
                    f"{self.name} with {task.parameters} cannot go to another process: {error}. Give values "
                    "that can be pickled, or executor=InlineExecutor()"
                ) from error

    def __repr__(self) -> str:
        return f"<experiment {self.name}: {len(self.points)} combinations, {len(self.seeds)} seeds>"


def label(value: Any) -> Any:
    """Return a value of a parameter as it is written down. Raises `UsageError` for one without a name.

    >>> from kamaelia.testbed.links import UniformLoss
    >>> label(0.01), label("codel"), label(UniformLoss("5 %"))
    (0.01, 'codel', 'UniformLoss(share=0.05)')
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    text = getattr(value, "__name__", None) if callable(value) else None
    text = text if isinstance(text, str) else repr(value)
    if _ADDRESS.search(text) or text == "<lambda>":
        raise UsageError(
            f"{shorten(value)} has no name by which results could be found: give a text, and have the "
            "scenario make it of that"
        )
    return text


def _is_missing(task: Task, runs: Mapping[str, Run], retry: bool) -> bool:
    run = runs.get(run_key(task.parameters, task.seed))
    return run is None or (retry and run.error is not None)


def _points(
    parameters: Mapping[str, Any], points: Iterable[Mapping[str, Any]] | None
) -> list[dict[str, Any]]:
    names = list(parameters)
    columns: list[Sequence[Any]] = []
    for name, values in parameters.items():
        several = list(values) if isinstance(values, (list, tuple, range)) else [values]
        if not several:
            raise UsageError(f"{name}={values!r}: give values, or leave it out")
        columns.append(several)
    swept = [dict(zip(names, values, strict=True)) for values in itertools.product(*columns)]
    if points is None:
        return swept
    given = [dict(point) for point in points]
    if not given:
        raise UsageError("points=[]: give combinations, or leave it out")
    for point in given:
        for name in point:
            if name in parameters:
                raise UsageError(f"{name!r} is both a parameter and in points")
    if len({frozenset(point) for point in given}) > 1:
        raise UsageError("points=...: all of them have to name the same parameters")
    return [{**one, **point} for one in swept for point in given]


def _body(function: Any) -> str:
    """Return a text that changes with what a function does, whose name may be no more than ``<lambda>``."""
    code = getattr(function, "__code__", None)
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    kept = [cells, getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)]
    text = "" if code is None else _code(code)
    return digest(text + _ADDRESS.sub("", repr(kept)))


def _code(code: CodeType) -> str:
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {_constant(code.co_consts)}"


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return _code(value)
    if isinstance(value, (tuple, frozenset)):
        parts = [_constant(one) for one in value]
        # The order of a set of texts is another in each process.
        return f"({', '.join(parts if isinstance(value, tuple) else sorted(parts))})"
    return repr(value)


def _now() -> str:
    return datetime.fromtimestamp(calendar_for_real(), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _keep_out_of_git(place: Path) -> None:
    if ".kamaelia" in place.parts:
        place.parent.mkdir(parents=True, exist_ok=True)
        ignore = place.parent / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")


__all__ = ["FOLDER", "SEEDS", "Experiment", "Standing", "label"]
