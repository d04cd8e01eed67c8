"""What passes a point: how much, how regularly, and how late.

Theory
------
Times are in whole nanoseconds of one clock; t[i] is when message i passes, and b[i] how many bytes it has.

- **Throughput** is what has passed after the first message, which only starts the watch, by the time from
  it to the last: ``8 * (b[1] + ... + b[n-1]) / (t[n-1] - t[0])`` bits per second. The *rate* is the same in
  each second by itself, counted from the first message on; a second that is not over at the last message
  does not count. Its quantiles tell whether a stream that is fast enough in the mean is so all the time.
- A **gap** is the time from one message to the next, ``t[i] - t[i-1]``.
- A **stall** is a gap that is longer than a limit. Between the last message and the end there is *silence*,
  and no stall: nobody can tell whether more was to come.

Messages may say when they were sent, s[i], on the same clock:

- The **delay** is ``t[i] - s[i]``, one-way (RFC 7679). Of two copies the first counts.
- The **jitter** is the difference of the delays of two messages that come one after the other, without its
  sign: ``|D| = |(t[i] - s[i]) - (t[i-1] - s[i-1])|`` (RFC 3393, and IPDV of RFC 5481, for all messages in
  the order of their arrival). The *smoothed jitter* is that of RTP (RFC 3550, section 6.4.1), ``J = J +
  (|D| - J) / 16`` from message to message, as it was at last. A sender's clock that began elsewhere shifts
  every delay, and changes no jitter.

Messages may have numbers: see `measures_sequence` for loss, bursts, duplicates and reordering.

The results of several flows can be merged. Then there are sums of what was counted and of times, the
quantiles are those over all messages of all of them, and the smoothed jitter is the mean, by numbers of
messages.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from itertools import pairwise
from math import isnan, nan
from typing import Any

from kamaelia.observe import Sketch, Summary
from kamaelia.observe.sketch import COLUMNS
from kamaelia.observe.tables import percent, quantity, several, table

from .measures_sequence import Sequence

BILLION = 10**9
ROW = struct.Struct(">qqqq")
"""Of a message: time, size, number, and time of sending."""
UNKNOWN = -(2**63)
"""In a row, for a number or time that is not known."""
FULL = 64 * ROW.size  # bytes of rows that are enough to do something with them


@dataclass(frozen=True, eq=False)
class FlowMetrics:
    """What has passed a `Measure`. As text it is a small table; `as_dict` is for JSON.

    Times of events are in seconds from the beginning of the measure. What messages have not told, and what
    there is none of, is not a number; of messages without numbers nothing is expected.
    """

    name: str
    """That the measure was given."""
    flows: int
    """How many flows this is about: 1, or as many as were merged."""
    messages: int
    """How many have passed."""
    bytes: int
    """In those that are made of bytes."""
    first: float
    """When the first passed."""
    last: float
    """When the last did."""
    active: float
    """The time between the two, in seconds."""
    active_bytes: int
    """The bytes that have passed after the first message."""
    silence: float
    """The time from the last message to the end, in seconds."""
    rate: Summary
    """Throughput of each second by itself, or of what ``Measure(every=...)`` says."""
    gaps: Summary
    """Times between messages."""
    stall: float
    """The gap that is no stall yet, in seconds."""
    stalls: Summary
    """Longer gaps: how many, how long in all, and the longest."""
    first_stall: float
    """When the first of them began."""
    delay: Summary
    """Times from sending to passing."""
    jitter: Summary
    """Differences of the delays of messages that come one after the other."""
    smoothed_jitter: float
    """That of RTP, in seconds."""
    expected: int
    """Messages, by their numbers."""
    lost: int
    """Those of them that have not come."""
    bursts: Summary
    """How many were lost in a row."""
    duplicates: int
    """Messages that have come before."""
    reordered: int
    """Messages that came after one that was sent later."""
    extents: Summary
    """How many messages too late these were."""
    lateness: Summary
    """How much time too late."""
    late: int
    """Messages that came so late that they count as lost."""
    unstamped: int
    """Messages that should have had a stamp, and had none."""

    @property
    def throughput(self) -> float:
        """The mean, in bits per second; of several flows that of each."""
        return 8 * self.active_bytes / self.active if self.active else nan

    @property
    def loss(self) -> float:
        """The share of the expected messages that is lost."""
        return self.lost / self.expected if self.expected else nan

    def merged(self, other: FlowMetrics) -> FlowMetrics:
        """Return what has passed here and there."""
        both: dict[str, Any] = {}
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            both[field.name] = mine.merged(theirs) if isinstance(mine, Summary) else mine
            if field.name in _SUMS:
                both[field.name] = mine + theirs
        both["first"] = _earlier(self.first, other.first)
        both["first_stall"] = _earlier(self.first_stall, other.first_stall)
        both["last"] = -_earlier(-self.last, -other.last)
        both["stall"] = min(self.stall, other.stall)
        both["smoothed_jitter"] = _mean(
            (self.smoothed_jitter, self.jitter.count), (other.smoothed_jitter, other.jitter.count)
        )
        return FlowMetrics(**both)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values; None for those that there are not."""
        values: dict[str, Any] = {"kind": "flow"}
        for name in (*(field.name for field in fields(self)), "throughput", "loss"):
            value = getattr(self, name)
            if isinstance(value, Summary):
                values[name] = value.as_dict()
            else:
                values[name] = None if isinstance(value, float) and isnan(value) else value
        return values

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FlowMetrics):
            return NotImplemented
        pairs = [(getattr(self, one.name), getattr(other, one.name)) for one in fields(self)]
        return all(mine == theirs or (mine != mine and theirs != theirs) for mine, theirs in pairs)

    __hash__ = None  # type: ignore[assignment]  # as of the sketches in it

    def __str__(self) -> str:
        name = f"{self.name}: " if self.name else ""
        many = f" in {self.flows:,} flows" if self.flows > 1 else ""
        text = f"{name}{several(self.messages, 'message')}{many}, {quantity(self.bytes, 'B')}"
        if not self.messages:
            return f"{name}no messages\n"
        text += f", from {quantity(self.first, 's')} to {quantity(self.last, 's')}"
        text += f", {quantity(self.throughput, 'bit/s')}\n"
        named = [("rate", self.rate), ("gap", self.gaps), ("delay", self.delay), ("jitter", self.jitter)]
        if rows := [[title, *one.cells()] for title, one in named if one.count]:
            text += table([["", *COLUMNS], *rows])
        return text + "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> list[str]:
        lines = []
        if self.stalls.count:
            lines.append(
                f"stalls of more than {quantity(self.stall, 's')}: {self.stalls.count:,}, "
                f"{quantity(self.stalls.total, 's')} in all, longest {quantity(self.stalls.max, 's')}, "
                f"first at {quantity(self.first_stall, 's')}"
            )
        if self.expected:
            line = f"lost: {self.lost:,} of {self.expected:,} ({percent(self.loss)})"
            if self.lost:
                line += (
                    f" in {several(self.bursts.count, 'burst')}, mean {quantity(self.bursts.mean)}, "
                    f"longest {quantity(self.bursts.max)}"
                )
            lines.append(line)
        if self.reordered:
            lines.append(
                f"reordered: {self.reordered:,}, by {several(int(self.extents.max), 'message')} and "
                f"{quantity(self.lateness.max, 's')} at most"
            )
        if self.jitter.count:
            lines.append(f"smoothed jitter: {quantity(self.smoothed_jitter, 's')}")
        odd = (("duplicates", self.duplicates), ("too late", self.late), ("without a stamp", self.unstamped))
        return lines + [f"{name}: {count:,}" for name, count in odd if count]


_SUMS = (
    *("flows", "messages", "bytes", "active", "active_bytes", "silence", "expected", "lost", "duplicates"),
    *("reordered", "late", "unstamped"),
)


class Flow:
    """What is kept of what passes, until it is a `FlowMetrics`.

    Of each message a row is noted, and not before there are 64 is anything done with them: in a network of a
    thousand hosts what belongs to one is out of the processor's cache whenever its turn comes.

    Arguments:
        name: of the measure
        began: when it begins, in nanoseconds
        stall: the longest gap that is no stall, in nanoseconds
        every: for how long each rate is, in nanoseconds
        wrap: how many different numbers messages have, if those begin again

    Example:
        >>> flow = Flow("example")
        >>> for tenth in range(31):
        ...     flow.passed(now=tenth * 10**8, size=125)
        >>> metrics = flow.result(now=3 * 10**9)
        >>> metrics.throughput, metrics.rate.mean, metrics.rate.count, metrics.gaps.mean
        (10000.0, 10000.0, 3, 0.1)
    """

    __slots__ = (
        "_bucket_bytes",
        "_bucket_end",
        "_bytes",
        "_delays",
        "_every",
        "_first",
        "_first_size",
        "_first_stall",
        "_gaps",
        "_jitter",
        "_jitters",
        "_last",
        "_last_delay",
        "_messages",
        "_rates",
        "_sequence",
        "_stall",
        "_stalls",
        "began",
        "ended",
        "name",
        "rows",
        "unstamped",
    )

    def __init__(
        self,
        name: str = "",
        began: int = 0,
        stall: int = BILLION,
        every: int = BILLION,
        wrap: int | None = None,
    ) -> None:
        self.name = name
        self.began = began
        self.ended: int | None = None
        """When it was over, if it is."""
        self.rows = bytearray()
        """Of messages with which nothing has been done yet: each is a `ROW`."""
        self.unstamped = 0
        """Messages that should have had a stamp, and had none."""
        self._messages = self._bytes = 0
        self._stall = stall
        self._every = every
        self._first = self._last = self._first_size = 0
        self._bucket_bytes = self._bucket_end = 0
        self._rates = Sketch()
        self._gaps = Sketch()
        self._stalls = Sketch()
        self._first_stall = -1
        self._delays = Sketch()
        self._jitters = Sketch()
        self._jitter = 0.0
        self._last_delay: int | None = None
        self._sequence = Sequence(wrap=wrap)

    def passed(self, now: int, size: int, number: int | None = None, sent: int | None = None) -> None:
        """A message passes.

        Arguments:
            now: the time in nanoseconds
            size: how many bytes it has
            number: that its sender gave it, if that is known
            sent: when that was, in nanoseconds, if that is known

        Raises `struct.error` for numbers that are longer than 63 bits.
        """
        self.rows += ROW.pack(
            now, size, UNKNOWN if number is None else number, UNKNOWN if sent is None else sent
        )
        if len(self.rows) >= FULL:
            self.count()

    def count(self) -> None:
        """Do what is to be done with the rows."""
        if not self.rows:
            return
        rows = list(ROW.iter_unpack(self.rows))
        self.rows.clear()
        times = [now for now, _, _, _ in rows]
        sizes = [size for _, size, _, _ in rows]
        before = [self._last, *times]
        if not self._messages:
            self._first, self._first_size = times[0], sizes[0]
            self._bucket_end = times[0] + self._every
            del before[0]
        self._count_gaps(before)
        self._count_rates(times, sizes)
        self._count_delays(rows)
        self._messages += len(rows)
        self._bytes += sum(sizes)
        self._last = times[-1]

    def _count_gaps(self, times: list[int]) -> None:
        gaps = [after - before for before, after in pairwise(times)]
        self._gaps.add_all(gaps)
        if max(gaps, default=0) > self._stall:
            for before, gap in zip(times, gaps, strict=False):
                if gap > self._stall:
                    self._stalls.add(gap)
                    if self._first_stall < 0:
                        self._first_stall = before

    def _count_rates(self, times: list[int], sizes: list[int]) -> None:
        """Share the bytes out to the seconds in which they passed."""
        if times[-1] < self._bucket_end:
            self._bucket_bytes += sum(sizes)
            return
        for now, size in zip(times, sizes, strict=True):
            if now >= self._bucket_end:
                silent, within = divmod(now - self._bucket_end, self._every)
                self._rates.add(8 * BILLION * self._bucket_bytes / self._every)
                if silent:
                    self._rates.add(0.0, silent)
                self._bucket_bytes = 0
                self._bucket_end = now - within + self._every
            self._bucket_bytes += size

    def _count_delays(self, rows: list[tuple[int, int, int, int]]) -> None:
        arrived = self._sequence.arrived
        delays = []
        for now, _, number, sent in rows:
            # A copy has no delay of its own.
            is_first = number == UNKNOWN or arrived(number, now, None if sent == UNKNOWN else sent)
            if is_first and sent != UNKNOWN:
                delays.append(now - sent)
        if not delays:
            return
        self._delays.add_all(delays)
        before = [] if self._last_delay is None else [self._last_delay]
        differences = [abs(after - before) for before, after in pairwise(before + delays)]
        self._last_delay = delays[-1]
        self._jitters.add_all(differences)
        jitter = self._jitter
        for difference in differences:
            jitter += (difference - jitter) / 16.0
        self._jitter = jitter

    def result(self, now: int) -> FlowMetrics:
        """Return what has passed up to a time, or to the end."""
        self.count()
        now = now if self.ended is None else self.ended
        sequence = self._sequence
        some = self._messages > 0
        return FlowMetrics(
            name=self.name,
            flows=1,
            messages=self._messages,
            bytes=self._bytes,
            first=(self._first - self.began) / 1e9 if some else nan,
            last=(self._last - self.began) / 1e9 if some else nan,
            active=(self._last - self._first) / 1e9,
            active_bytes=self._bytes - self._first_size,
            silence=(now - (self._last if some else self.began)) / 1e9,
            rate=Summary(self._rates.copy(), "bit/s"),
            gaps=_seconds(self._gaps),
            stall=self._stall / 1e9,
            stalls=_seconds(self._stalls),
            first_stall=nan if self._first_stall < 0 else (self._first_stall - self.began) / 1e9,
            delay=_seconds(self._delays),
            jitter=_seconds(self._jitters),
            smoothed_jitter=self._jitter / 1e9 if self._jitters.count else nan,
            expected=sequence.expected,
            lost=sequence.lost,
            bursts=Summary(sequence.bursts()),
            duplicates=sequence.duplicates,
            reordered=sequence.reordered,
            extents=Summary(sequence.extents.copy()),
            lateness=_seconds(sequence.lateness),
            late=sequence.late,
            unstamped=self.unstamped,
        )


def _seconds(sketch: Sketch) -> Summary:
    return Summary(sketch.copy(), "s", BILLION)


def _earlier(one: float, other: float) -> float:
    if isnan(one) or isnan(other):
        return other if isnan(one) else one
    return min(one, other)


def _mean(one: tuple[float, int], other: tuple[float, int]) -> float:
    """Return the mean of two values with weights; one without weight is no number."""
    if not one[1] or not other[1]:
        return one[0] if one[1] else other[0]
    # Not with `sum`, which rounds floats otherwise from Python 3.12 on.
    return (one[0] * one[1] + other[0] * other[1]) / (one[1] + other[1])


__all__ = ["Flow", "FlowMetrics"]
