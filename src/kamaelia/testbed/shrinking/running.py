"""One run of a scenario or a test, all of it or less: whether it fails, and how.

A run that goes on and on costs what many others do: without its loss, a protocol may ask and answer at one
and the same instant for ever. So runs have a limit in turns of the virtual clock, by that of the first one,
which is the same on every machine. Code that tries again and again without ever waiting, because it is told
at once that no link leads to a server any more, takes not even a turn. For such runs there is a limit in real
time, also by that of the first one: they are ended by what Ctrl-C would raise there. Neither kind counts as
the failure that is looked for.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from ...axon import UsageError
from ..network import Network
from ..remote import Remote
from ..simulated import Simulated, is_failure
from .acts import Journal
from .failure import Failure
from .plan import Change, Plan

if TYPE_CHECKING:
    from ..simulation import Simulation
    from ..trace import Trace


AGAIN = 0.1  # real seconds after which a run is told once more that it has taken too long


class TooLong(Exception):
    """A run has taken many more turns of the clock than the first one."""


class Stuck(KeyboardInterrupt):
    """A run has taken far more real time than the first one."""


@contextmanager
def _at_most(seconds: float | None) -> Iterator[None]:
    """Raise `Stuck` in this thread, wherever it is, if it is not over in time.

    Again and again, for it may be lost: what is raised while Python throws something away is only printed.
    """
    if seconds is None:
        yield
        return
    thread, over, before = threading.get_ident(), threading.Event(), sys.unraisablehook

    def watch() -> None:
        late = over.wait(seconds)
        while not late:
            sys.unraisablehook = lambda lost: None if lost.exc_type is Stuck else before(lost)
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            _raise_in(thread, Stuck)
            late = over.wait(AGAIN)

    watcher = threading.Thread(target=watch, name="ends what is stuck", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        while watcher.is_alive():
            with suppress(Stuck):  # which may be raised here, too
                over.set()
                watcher.join()
        with suppress(Stuck):
            for _ in range(100):  # Python looks at each turn whether something is to be raised still
                pass
        sys.unraisablehook = before


@contextmanager
def _silence() -> Iterator[None]:
    """Have nothing logged: of hundreds of runs in which things are missing nobody wants to read."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Have something raised in a thread, soon.

    There is a way to take that back, too: it is never used, for with tracing on Python 3.11 hangs after it.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


@dataclass(frozen=True)
class Limits:
    """What a run may take."""

    turns: int
    """Of the virtual clock."""
    seconds: float
    """Of real time."""


STUCK = Failure("it takes too long", frozenset())
"""How a run fails that was ended; it is like no other."""


class Counting(Remote):
    """Counts the turns of the clock in a run, up to a limit."""

    def __init__(self, limit: int | None) -> None:
        super().__init__()
        self.count = 0
        """How many there were."""
        self.seconds = 0.0
        """Of virtual time, at the end."""
        self._limit = limit

    def turns(self, most: int) -> int:
        """Make some turns. Raises `TooLong` when there have been too many."""
        if self._limit is not None:
            if self.count >= self._limit:
                raise TooLong(f"more than {self._limit} turns of the clock")
            most_now = min(most, self._limit - self.count)
        else:
            most_now = most
        made = most_now - super().turns(most_now)
        self.count += made
        return most - made

    def end(self, simulation: Simulation) -> None:
        """See `Remote`."""
        self.seconds = simulation.time
        super().end(simulation)


@dataclass(frozen=True)
class Subject:
    """What fails: a scenario, or a test over seeds. All of it is known to a process that runs some of it."""

    scenario: Any
    """A function that describes a network, or a test (`simulated`)."""
    seed: int | str
    seconds: float
    """Of virtual time, for networks that are left as they are."""
    fails: Callable[[Any], bool | str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `Network.simulate`."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments with which it is always called, such as fixtures of a test."""
    number: int = 1
    """Which of the networks that a test has simulated is the one that fails, and is changed; 0 is each."""

    @property
    def test(self) -> Simulated | None:
        """The test that it is, if it is one."""
        found = getattr(self.scenario, "simulated", self.scenario)
        return found if isinstance(found, Simulated) else None

    def once(
        self, parameters: Mapping[str, Any], simulate: Callable[[Network, int | str], Trace]
    ) -> bool | str:
        """Run it once; what is to be simulated goes to a function. Return what ``fails`` says."""
        if self.test is not None:
            self.test.once((), {**self.fixed, **parameters}, self.seed, simulate)
            return False
        network = self.scenario(**self.fixed, **parameters)
        if not isinstance(network, Network):
            raise UsageError(f"shrink({self.scenario!r}): it has returned {network!r}, and no Network")
        trace = simulate(network, self.seed)
        return False if self.fails is None else self.fails(trace)


@dataclass(frozen=True)
class Played:
    """What has come of one run."""

    failure: Failure | None
    turns: int
    """Of the clock."""
    seconds: float
    """Of virtual time, of the last network that was run."""
    fingerprint: str = ""
    """Of its trace; nothing where the run has raised something."""


def play(
    subject: Subject,
    plan: Plan,
    limits: Limits | None = None,
    begin: Callable[[Simulation], None] | None = None,
) -> Played:
    """Run a plan once.

    Arguments:
        subject: what is run
        plan: how much of it
        limits: what it may take; a run that takes more has not failed
        begin: is called at the beginning of the simulation that is changed
    """

    def change(network: Network) -> None:
        plan.apply(network)
        if begin is not None:
            network.script_of_runs.insert(0, begin)

    return _play(subject, plan.parameters, plan.seconds, change, limits)[0]


def _play(
    subject: Subject, parameters: Mapping[str, Any], seconds: float, change: Change, limits: Limits | None
) -> tuple[Played, int]:
    """Run something once, and change one of its networks; return what came of it, and of which network."""
    count, turns = itertools.count(1), 0
    number, seconds_taken, fingerprint = 0, 0.0, ""

    def simulate(network: Network, seed: int | str) -> Trace:
        nonlocal turns, number, seconds_taken, fingerprint
        number = next(count)
        is_it = subject.number in (number, 0)
        if is_it:
            change(network)
        remote = Counting(None if limits is None else limits.turns)
        options = {**subject.options, "remote": remote}
        try:
            trace = network.simulate(seconds if is_it else subject.seconds, seed=seed, **options)
        finally:
            turns += remote.count
            seconds_taken = remote.seconds
        fingerprint = trace.fingerprint
        return trace

    failure: Failure | None = None
    with _silence(), warnings.catch_warnings():
        try:
            with _at_most(None if limits is None else limits.seconds):
                said = subject.once(parameters, simulate)
            if said:
                failure = Failure.by_word(said)
        except Stuck:
            failure = STUCK
        except BaseException as error:
            if not is_failure(error):
                raise
            failure = Failure.of(error)
        if failure is STUCK:
            gc.collect()  # what it has left half done, which would complain
    return Played(failure, turns, seconds_taken, fingerprint), number


def watched(
    subject: Subject, parameters: Mapping[str, Any]
) -> tuple[Played, int, Journal | None, Network | None]:
    """Run something as it is; return what came of it, which network was the last, and what was done to it."""
    last: list[tuple[Journal, Network]] = []

    def look(network: Network) -> None:
        last[:] = [(Journal(network), network)]

    each = replace(subject, number=0)
    played, number = _play(each, parameters, subject.seconds, look, None)
    journal, network = last[0] if last else (None, None)
    return played, number, journal, network


def altered(made: Any, change: Change, *, network: Network | None = None, number: int = 1) -> Any:
    """Return what the body of a test has made, with one of its networks changed; for the body of another.

    Arguments:
        made: what the body has returned: a generator that yields networks, a network, or nothing
        change: is called with the network, before it is simulated
        network: which the body was given
        number: which of the networks that it yields is changed, from 1 on
    """
    if isinstance(made, Generator):
        return _altered(made, change, number)
    found = network if made is None else made
    if isinstance(found, Network):
        change(found)
    return made


def _altered(made: Generator[Any, Any, Any], change: Change, number: int) -> Generator[Any, Any, None]:
    try:
        network = next(made)
        for count in itertools.count(1):
            if count == number:
                change(network)
            try:
                trace = yield network
            except Exception as error:
                network = made.throw(error)
            else:
                network = made.send(trace)
    except StopIteration:
        pass
    finally:
        made.close()


class AllLinks:
    """Writes what passes all links of a run to a file (pcapng).

    Arguments:
        file: to which it is written
        snaplen: bytes that are kept of each packet at most
    """

    def __init__(self, file: BinaryIO, snaplen: int) -> None:
        self._file = file
        self._snaplen = snaplen
        self._capture: Any = None

    def begin(self, simulation: Simulation) -> None:
        """A run begins."""
        self._capture = simulation.forms.Capture(simulation, self._file, self._snaplen)
        self._capture.watch(simulation.each_channel())

    def close(self) -> None:
        """The run is over."""
        if self._capture is not None:
            self._capture.close()
