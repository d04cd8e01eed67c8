"""Measures of components: one line in a body, and it is known how often, how much, how full.

Theory
------
There are three kinds, and each is a call that any component may make, in its body or in what that calls, in
tasks that it has started, and in a script's thread:

| call | what it measures | what is known in the end |
| --- | --- | --- |
| ``count("decoded")`` | how often something happens, or how much of it | `Tally`: the sum |
| ``measure("delay", seconds, "s")`` | something that has a value each time | `Summary`: mean, quantiles ... |
| ``level("buffer", length)`` | something that has a value all the time | `Gauge`: mean over time, max ... |

A measure belongs to the component that makes the call, and is found by its path and name. It needs no
declaration, and costs nothing where nobody calls. A call takes a fraction of a microsecond: it finds the
running component in the context, as `sleep` and `clock` do, and adds to what its system keeps.

The **level** has the value that it was told last until it is told another. So its mean is over time, from the
first call to the end of the component::

    mean = sum(value[i] * (time[i + 1] - time[i])) / (end - time[0])

Times are whole nanoseconds of the system's clock, so that in virtual time the result is exact.

What a component has measured stays when it has ended. Another one with the same path adds to it, as do
visitors of a server who come one after the other; a part that a supervisor started again has a path of its
own. Memory is bounded all the same: of more than 1000 paths, those that come later share one row, and so do
further names of a component that has used 100.

>>> from kamaelia import component, run
>>> from kamaelia.flow import Source
>>> from kamaelia.observe import count, measures
>>> @component
... def sieve(inbox, outbox):
...     while True:
...         number = yield inbox.receive()
...         count("odd" if number % 2 else "even")
>>> part = sieve()
>>> run(Source([1, 2, 3, 5]) | part)
>>> measures(part.system)
{'Pipeline/sieve': {'odd': Tally(total=3, calls=3, unit=''), 'even': Tally(total=1, calls=1, unit='')}}
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from kamaelia.axon import Component, System, UsageError
from kamaelia.axon.errors import shorten
from kamaelia.axon.process import current_process

from .sketch import Sketch, Summary
from .tables import percent, quantity

if TYPE_CHECKING:
    from kamaelia.axon.process import Process

MOST_PATHS = 1000  # of one system
MOST_NAMES = 100  # of one component
OTHERS = "(others)"

Self = TypeVar("Self", bound="Result")


class Result(Protocol):
    """What came of a measure: a `Tally`, a `Summary`, a `Gauge`, or what another kind makes."""

    def merged(self: Self, other: Self) -> Self:
        """Return what both together have measured."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""


class Kept(Protocol):
    """What a system keeps of one measure of one component, while that runs."""

    def result(self, now: int) -> Any:
        """Return what came of it up to a time in nanoseconds."""


# -- what people call -----------------------------------------------------------------------------------


def count(name: str, by: float = 1, unit: str = "") -> None:
    """Count something that happens, or how much of it, in the component whose code runs.

    Arguments:
        name: what is counted; a word, and not a new one each time
        by: how much
        unit: of that, for people: ``"B"``

    Raises `UsageError` outside of a component, and when the component measures something else by this name.

    Example:
        >>> from kamaelia.observe import count
        >>> count("lost")
        Traceback (most recent call last):
        ...
        kamaelia.axon.errors.UsageError: count('lost'): a measure belongs to a component: call this in its ...
    """
    _find(name, _Count, unit).add(by)


def measure(name: str, value: float, unit: str = "") -> None:
    """Take note of a value that something has this time: a delay, a size, a share.

    Arguments:
        name: what has this value; a word, and not a new one each time
        value: a finite number
        unit: of it, for people: ``"s"``, ``"B"``, ``"frames"``

    Raises `UsageError` for what is no finite number, and as `count` does.

    Example:
        >>> from kamaelia import component, run
        >>> from kamaelia.flow import Source
        >>> from kamaelia.observe import measure, measures
        >>> @component
        ... def weigh(inbox, outbox):
        ...     while True:
        ...         data = yield inbox.receive()
        ...         measure("size", len(data), "B")
        >>> scales = weigh()
        >>> run(Source([b"a", b"bc", b"def"]) | scales)
        >>> print(measures(scales.system)["Pipeline/weigh"]["size"])
        3 values: mean 2 B, min 1 B, p50 2 B, p95 3 B, p99 3 B, max 3 B
    """
    _find(name, _Values, unit).add(value)


def level(name: str, value: float, unit: str = "") -> None:
    """Take note of a value that something has from now on: how full a buffer is, how many are connected.

    Arguments:
        name: what has this value; a word, and not a new one each time
        value: a finite number
        unit: of it, for people: ``"frames"``

    Raises `UsageError` for what is no finite number, and as `count` does.

    Example:
        >>> from kamaelia import component, run, sleep
        >>> from kamaelia.axon import VirtualLoop
        >>> from kamaelia.observe import level, measures
        >>> @component
        ... async def buffer(inbox, outbox):
        ...     for length in (3, 0, 1):
        ...         level("length", length, "frames")
        ...         await sleep(2)
        >>> part = buffer()
        >>> run(part, loop_factory=VirtualLoop)
        >>> print(measures(part.system)["buffer"]["length"])
        mean 1.33 frames, min 0 frames, max 3 frames, 33.3 % of 6 s at 0
    """
    _find(name, _Level, unit).add(value)


def measures(system: System) -> dict[str, dict[str, Any]]:
    """Return what the components of a system have measured so far: results by path, and by name.

    Paths and names stand in the order in which they were first used. In a component, ``self.system`` is the
    system; of a simulated network `kamaelia.testbed.Metrics` has all.
    """
    return {} if system.measures is None else system.measures.results()


def keep(process: Process, name: str, kept: Kept) -> None:
    """Have a system keep a measure of another kind, for a component that begins.

    Arguments:
        process: the component's
        name: of the measure
        kept: whose result is to be had, of `measures` too

    Raises `UsageError` when the component measures something else by this name.
    """
    _measures_of(process).add(process, name, kept)


# -- what came of it ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tally:
    """What was counted."""

    total: float
    """The sum."""
    calls: int
    """How often something was added to it."""
    unit: str = ""
    """Of the sum."""

    def merged(self, other: Tally) -> Tally:
        """Return the sum of two."""
        return Tally(self.total + other.total, self.calls + other.calls, self.unit or other.unit)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"kind": "tally", **asdict(self)}

    def __str__(self) -> str:
        return quantity(self.total, self.unit)


@dataclass(frozen=True)
class Gauge:
    """What had a value all the time."""

    mean: float
    """The mean over time."""
    min: float
    """The least value that it was told."""
    max: float
    """The greatest."""
    empty: float
    """The share of the time in which the value was 0."""
    seconds: float
    """How long that was; of several components the sum."""
    unit: str = ""
    """Of the value."""

    def merged(self, other: Gauge) -> Gauge:
        """Return what the means are over the time of both."""
        seconds = self.seconds + other.seconds
        share = other.seconds / seconds if seconds else 0.5
        return Gauge(
            self.mean + (other.mean - self.mean) * share,
            min(self.min, other.min),
            max(self.max, other.max),
            self.empty + (other.empty - self.empty) * share,
            seconds,
            self.unit or other.unit,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"kind": "gauge", **asdict(self)}

    def __str__(self) -> str:
        told = [f"{name} {quantity(getattr(self, name), self.unit)}" for name in ("mean", "min", "max")]
        return f"{', '.join(told)}, {percent(self.empty)} of {quantity(self.seconds, 's')} at 0"


# -- what is kept meanwhile -----------------------------------------------------------------------------


class _Count:
    """What `count` adds to."""

    __slots__ = ("calls", "total", "unit")

    verb = "count"

    def __init__(self, unit: str, loop: Any) -> None:
        self.unit = unit
        self.total: float = 0
        self.calls = 0

    def add(self, by: float) -> None:
        # For threads, see `Sketch.add`.
        try:
            self.total += by
        except TypeError:
            raise UsageError(f"count(by={shorten(by)}): give a number") from None
        self.calls += 1

    def result(self, now: int) -> Tally:
        return Tally(self.total, self.calls, self.unit)


class _Values:
    """What `measure` adds to."""

    __slots__ = ("add", "sketch", "unit")

    verb = "measure"

    def __init__(self, unit: str, loop: Any) -> None:
        self.unit = unit
        self.sketch = Sketch()
        self.add = self.sketch.add

    def result(self, now: int) -> Summary:
        return Summary(self.sketch.copy(), self.unit)


class _Level:
    """What `level` sets."""

    __slots__ = ("_empty", "_integral", "_loop", "_since", "_told", "began", "max", "min", "unit", "value")

    verb = "level"

    def __init__(self, unit: str, loop: Any) -> None:
        self.unit = unit
        self._loop = loop
        self.began = self._since = now_of(loop)
        self.value: float = 0
        self.min: float = 0
        self.max: float = 0
        self._told = False
        self._integral: float = 0  # of the value, over nanoseconds
        self._empty = 0  # nanoseconds in which it was 0

    def add(self, value: float) -> None:
        try:
            given = value
            if type(value) not in (int, float):
                value = float(value)
            known = isfinite(value)
        except (TypeError, ValueError, OverflowError):
            known = False
        if not known:
            raise UsageError(f"{shorten(given)} is no level: give a finite number")
        if not self._told:
            self._told = True
            self.min = self.max = value
        self._pass_to(now_of(self._loop))
        self.value = value
        if value < self.min:
            self.min = value
        elif value > self.max:
            self.max = value

    def _pass_to(self, now: int) -> None:
        length = now - self._since
        self._since = now
        self._integral += self.value * length
        if not self.value:
            self._empty += length

    def result(self, now: int) -> Gauge:
        self._pass_to(now)
        length = now - self.began
        return Gauge(
            self._integral / length if length else self.value,
            self.min,
            self.max,
            self._empty / length if length else float(not self.value),
            length / 1e9,
            self.unit,
        )


class Measures:
    """What the components of one system measure. Made when the first of them does."""

    __slots__ = ("_ended", "_loop", "live")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self.live: dict[Any, dict[str, Kept]] = {}
        """What is kept of components that run, by their process and by name."""
        self._ended: dict[str, dict[str, Any]] = {}  # results of those that do not, by path and by name

    def add(self, process: Process, name: str, kept: Kept) -> None:
        """Keep a measure of a component."""
        own = self.live.get(process)
        if own is None:
            own = self.live[process] = {}
            row = self._row(process.path)  # now, for the order
            over = functools.partial(self._end, process, row)
            Component.add_done_callback(process.component, over)
        if name in own:
            raise UsageError(f"{process.path} measures two things by the name {name!r}: give them two")
        own[name] = kept

    def _row(self, path: str) -> str:
        if path not in self._ended and len(self._ended) >= MOST_PATHS:
            path = OTHERS
        self._ended.setdefault(path, {})
        return path

    def _end(self, process: Process, row: str, component: object) -> None:
        """A component has ended."""
        results = {name: kept.result(now_of(self._loop)) for name, kept in self.live.pop(process).items()}
        _put_into(self._ended[row], results)

    def results(self) -> dict[str, dict[str, Any]]:
        """Return all results, by path and by name."""
        found = {path: dict(results) for path, results in self._ended.items()}
        now = now_of(self._loop) if self.live else 0  # which of a closed loop nobody can ask
        for process, own in self.live.items():
            path = process.path
            row = found.get(path, found.get(OTHERS, {}))
            _put_into(row, {name: kept.result(now) for name, kept in own.items()})
        return found


def _put_into(row: dict[str, Any], results: dict[str, Any]) -> None:
    for name, result in results.items():
        before = row.get(name)
        if before is not None and type(before) is not type(result):  # a namesake measured something else
            name = f"{name} ({type(result).__name__.lower()})"
            before = row.get(name)
        row[name] = result if before is None else before.merged(result)


def _find(name: str, kind: Any, unit: str) -> Any:
    """Return what is kept of a measure of the component whose code runs."""
    # This may be called for each of a million messages. What is missing here is made by `_begin`.
    try:
        process: Any = current_process.get()
        kept = process.scheduler.system.measures.live[process][name]
    except (LookupError, AttributeError, TypeError):
        return _begin(name, kind, unit)
    return kept if type(kept) is kind else _refuse(name, kind, process)


def _begin(name: str, kind: Any, unit: str) -> Any:
    try:
        process: Any = current_process.get()
    except LookupError:
        raise UsageError(
            f"{kind.verb}({shorten(name)}): a measure belongs to a component: call this in its body, or in "
            "what it calls. Outside of a system, a Sketch can be added to"
        ) from None
    if type(name) is not str or type(unit) is not str:
        raise UsageError(f"{kind.verb}({shorten(name)}, unit={shorten(unit)}): give texts for name and unit")
    kept_by = _measures_of(process)
    own = kept_by.live.get(process, {})
    if len(own) >= MOST_NAMES and name not in own:
        name = f"(other {kind.verb}s)"
    if name in own:
        return own[name] if type(own[name]) is kind else _refuse(name, kind, process)
    kept = kind(unit, process.scheduler.loop)
    kept_by.add(process, name, kept)
    return kept


def _refuse(name: str, kind: Any, process: Process) -> NoReturn:
    raise UsageError(
        f"{kind.verb}({name!r}): {process.path} has a measure of this name already, of another kind; "
        "give this one another name"
    )


def _measures_of(process: Process) -> Measures:
    system, scheduler = process.system, process.scheduler
    assert system is not None and scheduler is not None, "it runs"
    if system.measures is None:
        system.measures = Measures(scheduler.loop)
    measures: Measures = system.measures
    return measures


def now_of(loop: Any) -> int:
    """Return the time of a loop in whole nanoseconds; of a virtual one just that."""
    clock = getattr(loop, "clock", None)
    now: int = round(loop.time() * 1e9) if clock is None else clock.now
    return now


def total(results: Any) -> Any:
    """Return what several results of one kind are together; None of none.

    Raises `UsageError` when they are not of one kind.

    >>> total([Tally(3, 3), Tally(4, 1)])
    Tally(total=7, calls=4, unit='')
    """
    whole: Any = None
    for one in results:
        if whole is not None and type(one) is not type(whole):
            raise UsageError(f"{shorten(one)} and {shorten(whole)} are not of one kind")
        whole = one if whole is None else whole.merged(one)
    return whole


__all__ = ["Gauge", "Measures", "Result", "Tally", "count", "keep", "level", "measure", "measures", "total"]
