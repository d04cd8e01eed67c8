"""Which packets a link loses.

A **loss model** is a description, such as "5 % of them, each independently". It never changes, and any number
of links may share it. What a link needs while it runs, it gets from `LossModel.begin`: **losses** of its own,
one for each direction, which are asked once for each packet, in the order in which the packets are sent.

Models are told apart by their clock:

- clocked by packets: what becomes of a packet depends on the packets before it, however long ago they were.
  `UniformLoss` (where no packet matters to another), `GilbertElliott`, `LossList`, `LossTrace`.
- clocked by time: the link is good or bad, whatever is sent over it. `GilbertElliott.by_time`,
  `LossTrace.by_time`.

A packet-clocked model stands still while nothing is sent. A sender that backs off when it loses packets, as
TCP does, then keeps the bad time from passing: the less it sends, the longer it lasts. Such a model has a
`LossModel.warning`, which is shown for a link that carries such traffic.

Two figures are worked out for each model where there are any: the **rate**, which is the share of packets
lost in the long run, and the **mean burst**, which is the mean length of the runs of packets lost one after
the other. For any model in which a packet's fate has the same chances at any time, runs end as often as they
begin, so::

    mean burst = P(lost) / P(lost, and the next delivered)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from os import PathLike

from ...axon import UsageError, units
from .quantities import as_text, columns, count, lines, nanoseconds, settle, some_nanoseconds
from .random_stream import RandomStream

STICKS = (
    "is clocked by packets, so a bad time lasts until enough packets have been lost, however long that "
    "takes. A sender that backs off, as TCP does, can hardly get out of it: for connections use a model that "
    "is clocked by time, such as GilbertElliott.by_time(good='2 s', bad='50 ms')"
)
"""What a warning says after the name of the model."""


class Losses(ABC):
    """What one direction of a link loses, in one run. Made by `LossModel.begin`."""

    __slots__ = ()

    @abstractmethod
    def loses(self, now: int) -> bool:
        """Say whether the next packet is lost.

        Arguments:
            now: when it is sent, in nanoseconds, and never earlier than the one before
        """


class LossModel(ABC):
    """A description of what a link loses. Subclass it, and `Losses`, for one that is not here.

    Example:
        >>> from kamaelia.testbed.links import Losses, LossModel, RandomStream
        >>> class EveryOther(LossModel):
        ...     def begin(self, stream, now=0):
        ...         return Alternating()
        >>> class Alternating(Losses):
        ...     lost = False
        ...
        ...     def loses(self, now):
        ...         self.lost = not self.lost
        ...         return self.lost
        >>> losses = EveryOther().begin(RandomStream(7, "example"))
        >>> [losses.loses(0) for _ in range(4)]
        [True, False, True, False]
    """

    __slots__ = ()

    @abstractmethod
    def begin(self, stream: RandomStream, now: int = 0) -> Losses:
        """Return the losses of one direction of a link.

        Arguments:
            stream: the chance that decides; nobody else may use it from then on
            now: when it begins, in nanoseconds
        """

    @property
    def rate(self) -> float | None:
        """The share of packets lost in the long run; None when there is no saying."""
        return None

    @property
    def mean_burst(self) -> float | None:
        """The mean number of packets lost one after the other; None when there is no saying, or no loss."""
        return None

    @property
    def warning(self) -> str | None:
        """What users of TCP over such a link have to be told, or None."""
        return None


# --- independent losses ---------------------------------------------------------------------------


@dataclass(frozen=True, init=False, slots=True)
class UniformLoss(LossModel):
    """Each packet is lost with the same chance, whatever became of the others.

    The rate is the share, and the mean burst is 1 / (1 - share). The packets lost at a smaller share are some
    of those lost at a larger one, when seed and name are the same.

    Arguments:
        share: such as ``"5 %"``, or 0.05

    Raises `UsageError` for what is no share.

    Example:
        >>> from kamaelia.testbed.links import RandomStream, UniformLoss
        >>> model = UniformLoss("20 %")
        >>> model.rate, model.mean_burst
        (0.2, 1.25)
        >>> losses = model.begin(RandomStream(7, "example"))
        >>> "".join("10"[not losses.loses(0)] for _ in range(40))
        '0000100111001000111000100000000000000000'
    """

    share: float
    """The chance of each packet to be lost."""

    def __init__(self, share: float | str) -> None:
        settle(self, share=units.share(share))

    def begin(self, stream: RandomStream, now: int = 0) -> Losses:
        """See `LossModel.begin`."""
        return _UniformLosses(self.share, stream)

    @property
    def rate(self) -> float:
        """The share."""
        return self.share

    @property
    def mean_burst(self) -> float | None:
        """1 / (1 - share)."""
        return mean_run(1.0, 1.0 - self.share) if self.share else None


class _UniformLosses(Losses):
    __slots__ = ("_random", "_share")

    def __init__(self, share: float, stream: RandomStream) -> None:
        self._share = share
        self._random = stream.random

    def loses(self, now: int) -> bool:
        return self._random() < self._share


# --- just these packets ---------------------------------------------------------------------------


@dataclass(frozen=True, init=False, slots=True)
class LossList(LossModel):
    """Just these packets are lost, counted from 1 in each direction. What is sent again is another packet.

    Arguments:
        numbers: of the packets, in any order

    Raises `UsageError` for what is no number of a packet.

    Example:
        >>> from kamaelia.testbed.links import LossList, RandomStream
        >>> losses = LossList([2, 3, 5]).begin(RandomStream(7, "example"))
        >>> [n for n in range(1, 10) if losses.loses(0)]
        [2, 3, 5]
    """

    numbers: tuple[int, ...]
    """Which packets, in order."""

    def __init__(self, numbers: Iterable[int]) -> None:
        given: object = numbers
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise UsageError(f"LossList({numbers!r}): give a list of the packets' numbers, such as [1, 2, 7]")
        settle(self, numbers=tuple(sorted({count(number, "LossList: number") for number in numbers})))

    def begin(self, stream: RandomStream, now: int = 0) -> Losses:
        """See `LossModel.begin`."""
        return _ListedLosses(self.numbers)

    @property
    def mean_burst(self) -> float | None:
        """The mean length of the runs in the list."""
        numbers = self.numbers
        runs = sum(after != before + 1 for before, after in zip((-1, *numbers), numbers, strict=False))
        return len(numbers) / runs if runs else None


class _ListedLosses(Losses):
    __slots__ = ("_count", "_next", "_numbers")

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._numbers = numbers
        self._next = 0
        self._count = 0

    def loses(self, now: int) -> bool:
        self._count += 1
        if self._next < len(self._numbers) and self._numbers[self._next] == self._count:
            self._next += 1
            return True
        return False


# --- recorded losses ------------------------------------------------------------------------------


@dataclass(frozen=True, init=False, repr=False, slots=True)
class LossTrace(LossModel):
    """What was lost once is lost again, packet by packet.

    A trace says of each packet in turn whether it was lost: 1 or true when it was. For one that says when the
    link was bad, see `by_time`.

    Arguments:
        packets: a sequence of true and false, or 1 and 0, or text of these; blanks in it mean nothing
        repeat: begin again at the end; otherwise nothing more is lost then

    Raises `UsageError` for what is no such sequence, and when there is nothing in it.

    Example:
        >>> from kamaelia.testbed.links import LossTrace, RandomStream
        >>> model = LossTrace("0011 0", repeat=True)
        >>> model, model.rate, model.mean_burst
        (<loss trace of 5 packets, repeated>, 0.4, 2.0)
        >>> losses = model.begin(RandomStream(7, "example"))
        >>> [n for n in range(1, 16) if losses.loses(0)]
        [3, 4, 8, 9, 13, 14]
    """

    packets: bytes
    """For each packet 1 when it is lost, and otherwise 0."""
    repeat: bool
    """It begins again at its end."""

    def __init__(self, packets: Iterable[bool | int] | str, repeat: bool = False) -> None:
        if not isinstance(packets, Iterable):
            raise UsageError(f"LossTrace({packets!r}): give a sequence of 0 and 1, such as '00110'")
        marks: list[object] = list("".join(packets.split()) if isinstance(packets, str) else packets)
        for number, mark in enumerate(marks, start=1):
            if mark not in ("0", "1", 0, 1):
                raise UsageError(f"LossTrace: packet {number} is {mark!r}: say 1 for lost, 0 for delivered")
        if not marks:
            raise UsageError(f"LossTrace({packets!r}) says nothing of any packet: give text such as '00110'")
        settle(self, packets=bytes(mark in ("1", 1) for mark in marks), repeat=repeat)

    @staticmethod
    def read(path: str | PathLike[str], repeat: bool = False) -> LossTrace:
        """Read a trace from a text file of 0 and 1, with any number of them in a line; ``#`` begins a
        comment.

        Raises `OSError` when the file can't be read, and `UsageError` for anything else in it.
        """
        text = []
        for where, line in lines(path):
            if set(line) - set("01 \t"):
                raise UsageError(
                    f"{where}: {line!r}: a line has to be 1 for lost and 0 for delivered packets"
                )
            text.append(line)
        if not text:
            raise UsageError(f"{path} says nothing of any packet: it has to be text of 0 and 1")
        return LossTrace("".join(text), repeat)

    @staticmethod
    def by_time(
        intervals: Iterable[tuple[float | str, float | str]], period: float | str | None = None
    ) -> LossIntervals:
        """Return a model that loses all packets at certain times: see `LossIntervals`."""
        return LossIntervals(intervals, period)

    def begin(self, stream: RandomStream, now: int = 0) -> Losses:
        """See `LossModel.begin`."""
        return _TracedLosses(self.packets, self.repeat)

    @property
    def rate(self) -> float | None:
        """The share in the trace, if it is repeated."""
        return sum(self.packets) / len(self.packets) if self.repeat else None

    @property
    def mean_burst(self) -> float | None:
        """The mean length of the runs in the trace, or of the runs when it is repeated."""
        following = self.packets[1:] + (self.packets[:1] if self.repeat else b"\0")
        ends = sum(one > other for one, other in zip(self.packets, following, strict=True))
        return mean_run(sum(self.packets), ends)

    @property
    def warning(self) -> str | None:
        """Shown when packets are lost one after the other."""
        burst = self.mean_burst
        return f"{self!r} {STICKS}" if burst is not None and burst > 1 else None

    def __repr__(self) -> str:
        return f"<loss trace of {len(self.packets)} packets{', repeated' if self.repeat else ''}>"


class _TracedLosses(Losses):
    __slots__ = ("_packets", "_position", "_repeat")

    def __init__(self, packets: bytes, repeat: bool) -> None:
        self._packets = packets
        self._position = 0
        self._repeat = repeat

    def loses(self, now: int) -> bool:
        if self._position == len(self._packets):
            if not self._repeat:
                return False
            self._position = 0
        self._position += 1
        return self._packets[self._position - 1] == 1


@dataclass(frozen=True, init=False, repr=False, slots=True)
class LossIntervals(LossModel):
    """All packets are lost at certain times. Made by `LossTrace.by_time`.

    Arguments:
        intervals: pairs of times, from the first up to but not including the second: ``[("2 s", "2.5 s")]``.
            They are in order, and in the time of the simulation, which begins at 0
        period: all of it comes again after so long; otherwise it comes once

    Raises `UsageError` for what are no times, and for pairs that are empty or not in order.

    Example:
        >>> from kamaelia.testbed.links import LossTrace, RandomStream
        >>> model = LossTrace.by_time([("1 s", "1.5 s"), (3, 4)], period="10 s")
        >>> model, model.rate
        (<2 times of loss in 10 s>, 0.15)
        >>> losses = model.begin(RandomStream(7, "example"))
        >>> [losses.loses(ms * 10**6) for ms in (999, 1000, 1499, 1500, 3999, 13999)]
        [False, True, True, False, True, True]
    """

    edges: tuple[int, ...]
    """When it becomes bad, good, bad, ... in nanoseconds."""
    period: int | None
    """After how many nanoseconds it comes again, or None."""

    def __init__(
        self, intervals: Iterable[tuple[float | str, float | str]], period: float | str | None = None
    ) -> None:
        edges: list[int] = []
        for start, end in intervals:
            first, last = nanoseconds(start, "from"), nanoseconds(end, "to")
            if not (edges[-1] if edges else 0) <= first < last:
                raise UsageError(
                    f"LossTrace.by_time: ({start!r}, {end!r}) is empty, or begins before the last one ends: "
                    "give pairs (from, to) in order"
                )
            edges += (first, last)
        if not edges:
            raise UsageError("LossTrace.by_time([]): give at least one pair (from, to)")
        length = None if period is None else some_nanoseconds(period, "period")
        if length is not None and length < edges[-1]:
            raise UsageError(f"period={period!r} ends before the last time of loss, at {as_text(edges[-1])}")
        settle(self, edges=tuple(edges), period=length)

    @staticmethod
    def read(path: str | PathLike[str], period: float | str | None = None) -> LossIntervals:
        """Read the times from a text file: from and to, in seconds, on each line; ``#`` begins a comment.

        Raises `OSError` when the file can't be read, and `UsageError` as making it does.
        """
        rows = [(float(start), float(end)) for _, (start, end) in columns(path, "from", "to")]
        return LossIntervals(rows, period)

    def begin(self, stream: RandomStream, now: int = 0) -> Losses:
        """See `LossModel.begin`."""
        return _TimedLosses(self.edges, self.period)

    @property
    def rate(self) -> float | None:
        """The share of time, if it comes again: that of packets sent at times that have nothing to do with
        it."""
        if self.period is None:
            return None
        return (sum(self.edges[1::2]) - sum(self.edges[::2])) / self.period

    def __repr__(self) -> str:
        times = len(self.edges) // 2
        return f"<{times} times of loss{f' in {as_text(self.period)}' if self.period else ''}>"


class _TimedLosses(Losses):
    __slots__ = ("_edges", "_period")

    def __init__(self, edges: tuple[int, ...], period: int | None) -> None:
        self._edges = edges
        self._period = period

    def loses(self, now: int) -> bool:
        if self._period is not None:
            now %= self._period
        return bisect_right(self._edges, now) % 2 == 1


# --- what users write -----------------------------------------------------------------------------


def mean_run(lost: float, ends: float) -> float | None:
    """Return the mean length of runs: how much is lost, divided by how often a run ends.

    >>> mean_run(0.2, 0.16), mean_run(1, 0), mean_run(0, 0)
    (1.25, inf, None)
    """
    if not lost:
        return None
    return lost / ends if ends else math.inf


def loss_model(value: object) -> LossModel | None:
    """Return the model that a user means by the argument ``loss``; None when nothing is ever lost.

    Arguments:
        value: a share such as 0.05 or ``"5 %"``, a model, or None

    Raises `UsageError` for anything else.

    >>> from kamaelia.testbed.links import loss_model
    >>> loss_model("5 %"), loss_model(0)
    (UniformLoss(share=0.05), None)
    """
    if value is None or isinstance(value, LossModel):
        return value
    if isinstance(value, type) and issubclass(value, LossModel):
        raise UsageError(f"loss={value.__name__} is a kind of model: make one, {value.__name__}(...)")
    if isinstance(value, str) or (isinstance(value, Real) and not isinstance(value, bool)):
        share = units.share(value, "loss")  # type: ignore[arg-type]  # a real number will do
        return UniformLoss(share) if share else None
    raise UsageError(
        f"loss={value!r}: give a share such as 0.05 or '5 %', or a model such as "
        "GilbertElliott.from_rate('1 %', burst=4)"
    )
