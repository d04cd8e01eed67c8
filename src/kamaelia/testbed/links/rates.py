"""How fast a link sends, and how that changes.

A **rate model** answers one question: when have so many bits been sent that begin to be sent now? Its answer
is a whole nanosecond, the first one by which all of them have been. It has no state and draws no chance, so
any number of links may share one.

A rate that changes in steps is integrated exactly. With the rate c(t)::

    finish(start, bits) = the least whole t with  integral of c from start to t  >= bits

All of it is computed in whole numbers: a rate is a fraction (each float is one), and with a common
denominator what is sent in each step is a whole number. Nothing is rounded but the answer, however large the
times and however odd the rates.

But each packet that begins where the answer for the last one was would lose the rest of a nanosecond: at 10
Gbit/s a packet of 1504 bytes takes 1203.2 of them, and would take 1204. So what one direction of a link keeps
while it runs, `Sending`, counts from when the link was idle last: a thousand packets in a row take 1,203,200.

While the rate is 0 packets wait. A rate that is 0 for ever has no answer, and is refused.

Not modelled: links whose rate depends on what is sent over them, such as radio that several share.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Real
from os import PathLike
from typing import ClassVar

from ...axon import UsageError, units
from .quantities import NANOSECONDS, as_text, columns, count, nanoseconds, settle, some_nanoseconds


class RateModel(ABC):
    """A description of how fast a link sends. Subclass it for one that is not here.

    Example:
        >>> from kamaelia.testbed.links import RateModel
        >>> class OnePacketEachSecond(RateModel):
        ...     def at(self, now):
        ...         return 12_000.0
        ...
        ...     def finish(self, start, bits):
        ...         return (start // 10**9 + 1) * 10**9
        >>> OnePacketEachSecond().finish(1_200_000_000, 800)
        2000000000
    """

    __slots__ = ()

    adds_up: ClassVar[bool] = False
    """Sending two packets in one go takes as long as one after the other, but for what is rounded."""

    @abstractmethod
    def at(self, now: int) -> float:
        """Return the rate, in bits per second, at a time in nanoseconds."""

    @abstractmethod
    def finish(self, start: int, bits: float) -> int:
        """Return the first whole nanosecond by which so many bits have been sent.

        Arguments:
            start: when the first of them begins to be sent, in nanoseconds, from 0 on
            bits: how many; when there are none, the answer is the start
        """

    def begin(self) -> Sending:
        """Return what one direction of a link keeps while it runs."""
        return Sending(self)


class Sending:
    """When one direction of a link is busy, in one run. Made by `RateModel.begin`.

    Example:
        >>> from kamaelia.testbed.links import ConstantRate
        >>> sending = ConstantRate("10 Gbit/s").begin()
        >>> [sending.send(now, 12_032) for now in (0, 0, 0, 0, 0, 9000)]
        [1204, 2407, 3610, 4813, 6016, 10204]
    """

    __slots__ = ("_bits", "_model", "_since", "free_at")

    free_at: int
    """When all that was given to it has been sent, in nanoseconds."""

    def __init__(self, model: RateModel) -> None:
        self._model = model
        self._since = self._bits = self.free_at = 0

    def send(self, now: int, bits: int) -> int:
        """Send a packet, behind those that are still being sent, and return when it has been: `free_at`.

        Arguments:
            now: when it is there to be sent, in nanoseconds, and never earlier than the one before
            bits: its size
        """
        # A packet that comes just when the last one is through may have been waiting for that.
        if now > self.free_at or not self._model.adds_up:
            self._since = max(now, self.free_at)
            self._bits = 0
        self._bits += bits
        self.free_at = self._model.finish(self._since, self._bits)
        return self.free_at


@dataclass(frozen=True, init=False, slots=True)
class ConstantRate(RateModel):
    """Always the same rate.

    Arguments:
        rate: such as ``"2 Mbit/s"``, or bits per second

    Raises `UsageError` for what is no rate, and for 0.

    Example:
        >>> from kamaelia.testbed.links import ConstantRate
        >>> ConstantRate("2 Mbit/s").finish(0, 12_000)
        6000000
    """

    adds_up = True
    rate: float
    """In bits per second."""
    _top: int = field(repr=False, compare=False)
    _bottom: int = field(repr=False, compare=False)

    def __init__(self, rate: float | str) -> None:
        number = units.bits_per_second(rate, "rate")
        if number == 0:
            raise UsageError(f"rate={rate!r} is 0 for ever, so that nothing is ever sent: give a larger one")
        bits, seconds = number.as_integer_ratio()
        settle(self, rate=number, _top=seconds * NANOSECONDS, _bottom=bits)

    def at(self, now: int) -> float:
        """See `RateModel.at`."""
        return self.rate

    def finish(self, start: int, bits: float) -> int:
        """See `RateModel.finish`."""
        top, bottom = bits.as_integer_ratio()
        return start - (-top * self._top // (bottom * self._bottom))

    def carried(self, start: int, end: int) -> float:
        """Return how many bits can be sent between two times in nanoseconds.

        >>> from kamaelia.testbed.links import ConstantRate
        >>> ConstantRate("2 Mbit/s").carried(0, 6_000_000)
        12000.0
        """
        return (end - start) * self._bottom / self._top


@dataclass(frozen=True, init=False, repr=False, slots=True)
class RateTrace(RateModel):
    """A rate that changes in steps, at certain times.

    Arguments:
        steps: pairs of a time and the rate from then on: ``[(0, "2 Mbit/s"), ("5 s", 0), ("6 s", 1e6)]``. The
            first time is 0, when the simulation begins
        period: all of it comes again after so long; otherwise the last rate remains

    Raises `UsageError` for what are no times or rates, for times that are not in order, and for a rate that
    is 0 for ever.

    Example:
        >>> from kamaelia.testbed.links import RateTrace
        >>> trace = RateTrace([(0, "1 Mbit/s"), ("10 ms", 0), ("20 ms", "2 Mbit/s")])
        >>> trace.finish(0, 10_000), trace.finish(0, 12_000), trace.finish(15_000_000, 2_000)
        (10000000, 21000000, 21000000)
    """

    adds_up = True
    times: tuple[int, ...]
    """When each step begins, in nanoseconds; the first is 0."""
    rates: tuple[float, ...]
    """The rate of each step, in bits per second."""
    period: int | None
    """After how many nanoseconds it comes again, or None."""

    # Sending is work, counted in whole numbers: one bit is `_bit`, and in each nanosecond of a step its speed
    # is done. `_done` is the work of all steps before each one and, when there is a period, of all of them.
    _bit: int = field(repr=False, compare=False)
    _speeds: tuple[int, ...] = field(repr=False, compare=False)
    _done: tuple[int, ...] = field(repr=False, compare=False)

    def __init__(
        self, steps: Iterable[tuple[float | str, float | str]], period: float | str | None = None
    ) -> None:
        pairs = list(steps)
        times = [nanoseconds(time, "time") for time, _ in pairs]
        rates = [units.bits_per_second(rate, "rate") for _, rate in pairs]
        if not pairs or times[0] != 0:
            raise UsageError(
                f"RateTrace({pairs[:1]!r}): give pairs (time, rate), the first for the beginning, such as "
                "(0, '1 Mbit/s')"
            )
        for (before, after), (value, _) in zip(pairwise(times), pairs[1:], strict=True):
            if after <= before:
                raise UsageError(f"RateTrace: time={value!r} does not come after the one before it")
        length = None if period is None else some_nanoseconds(period, "period")
        if length is not None and length <= times[-1]:
            raise UsageError(f"period={period!r} ends before the last step, at {as_text(times[-1])}, begins")
        if rates[-1] == 0 and (length is None or not any(rates)):
            raise UsageError(
                f"RateTrace: from {pairs[-1][0] if any(rates) else 0!r} on the rate is 0 for ever, so that "
                "nothing is ever sent: end with a rate, give a period, or lose packets (LossTrace.by_time)"
            )
        bottom = math.lcm(*(rate.as_integer_ratio()[1] for rate in rates))
        speeds = [bits * (bottom // part) for bits, part in (rate.as_integer_ratio() for rate in rates)]
        done = [0]
        ends = [*times[1:], *([] if length is None else [length])]
        for start, end, speed in zip(times, ends, speeds, strict=False):
            done.append(done[-1] + (end - start) * speed)
        settle(
            self,
            times=tuple(times),
            rates=tuple(rates),
            period=length,
            _bit=bottom * NANOSECONDS,
            _speeds=tuple(speeds),
            _done=tuple(done),
        )

    @staticmethod
    def read(path: str | PathLike[str], period: float | str | None = None) -> RateTrace:
        """Read steps from a text file: on each line a time in seconds, and the rate from then on in bits per
        second, with blanks or a comma between them; ``#`` begins a comment. The first line's time is taken
        for the beginning.

        Raises `OSError` when the file can't be read, and `UsageError` as making it does.
        """
        rows = [row for _, row in columns(path, "a time in seconds", "a rate in bits per second")]
        return RateTrace([(float(time - rows[0][0]), float(rate)) for time, rate in rows], period)

    @staticmethod
    def mahimahi(path: str | PathLike[str], packet: int = 1504) -> RateTrace:
        """Read a trace of Mahimahi's ``mm-link``: each line is a millisecond in which one packet can be sent.

        With n lines for a millisecond, the rate is n packets per millisecond during the one that ends then;
        there, all that can be sent is sent at its end. So a packet that waits when that millisecond begins is
        sent by the time at which it would be in Mahimahi, and one that comes during it has to share what is
        left of it. After the time of its last line the trace comes again.

        Arguments:
            path: of the file
            packet: how many bytes one opportunity is for, with all headers

        Raises `OSError` when the file can't be read, and `UsageError` when it is no such trace.
        """
        bits = count(packet, "packet") * 8
        opportunities: dict[int, int] = {}
        last = 0
        for where, (number,) in columns(path, "a time in milliseconds"):
            time = int(number)
            if time != number or time < last:
                raise UsageError(f"{where}: {number} is no whole number of milliseconds from {last} on")
            last = time
            opportunities[time] = opportunities.get(time, 0) + 1
        if last == 0:
            raise UsageError(f"{path} lasts for no time: its last line has to be more than 0 milliseconds")
        # The end of one round is the beginning of the next.
        opportunities[last] += opportunities.pop(0, 0)
        steps: list[tuple[float, float]] = []
        before = 0
        for time, packets in opportunities.items():
            if time > before + 1:
                steps.append((before / 1000, 0.0))
            steps.append(((time - 1) / 1000, packets * bits * 1000.0))
            before = time
        merged = [step for one, step in pairwise([(0.0, -1.0), *steps]) if one[1] != step[1]]
        return RateTrace(merged, last / 1000)

    def at(self, now: int) -> float:
        """See `RateModel.at`."""
        if self.period is not None:
            now %= self.period
        return self.rates[bisect_right(self.times, now) - 1]

    def finish(self, start: int, bits: float) -> int:
        """See `RateModel.finish`."""
        top, bottom = bits.as_integer_ratio()
        work = -(-top * self._bit // bottom)
        if work == 0:
            return start
        return self._when(self._work(start) + work)

    def carried(self, start: int, end: int) -> float:
        """Return how many bits can be sent between two times in nanoseconds.

        >>> from kamaelia.testbed.links import RateTrace
        >>> RateTrace([(0, "1 Mbit/s"), ("10 ms", "2 Mbit/s")]).carried(5_000_000, 11_000_000)
        7000.0
        """
        return (self._work(end) - self._work(start)) / self._bit

    def _work(self, time: int) -> int:
        """Return the work that is done from 0 to a time."""
        work = 0
        if self.period is not None:
            rounds, time = divmod(time, self.period)
            work = rounds * self._done[-1]
        step = bisect_right(self.times, time) - 1
        return work + self._done[step] + (time - self.times[step]) * self._speeds[step]

    def _when(self, work: int) -> int:
        """Return the first time by which so much work, which is more than none, has been done since 0."""
        time = 0
        if self.period is not None:
            # All rounds but the one in which it is finished, be it at its very end.
            rounds = (work - 1) // self._done[-1]
            time = rounds * self.period
            work -= rounds * self._done[-1]
        step = bisect_left(self._done, work) - 1  # the step in which it is finished, so its rate is not 0
        return time + self.times[step] - (-(work - self._done[step]) // self._speeds[step])

    def __repr__(self) -> str:
        least, most = min(self.rates), max(self.rates)
        again = "" if self.period is None else f", again after {as_text(self.period)}"
        return f"<{len(self.times)} rates of {least:.12g} to {most:.12g} bit/s{again}>"


_LOOK_AGAIN = 10**6  # ns
_FOR_EVER = 60 * NANOSECONDS


@dataclass(frozen=True, init=False, slots=True)
class RateFunction(RateModel):
    """A rate that a function of time gives. It is asked when a packet begins to be sent, and what it says
    holds for the whole packet.

    While it says 0 it is asked again each millisecond. After a minute of that the rate is taken to be 0 for
    ever. For the same time it has to return the same, whenever and wherever it is asked; the last bit of what
    `math` has of sines and the like may differ from one machine to another, so round what is made of them.

    Arguments:
        function: takes seconds, and returns bits per second

    Raises `UsageError` for what can't be called; and `finish` does when the function returns what is no rate,
    or 0 for a minute.

    Example:
        >>> from kamaelia.testbed.links import RateFunction
        >>> rising = RateFunction(lambda seconds: 1e6 * (1 + seconds))
        >>> rising.finish(0, 1000), rising.finish(1_000_000_000, 1000)
        (1000000, 1000500000)
    """

    function: Callable[[float], float]
    """From seconds to bits per second."""

    def __init__(self, function: Callable[[float], float]) -> None:
        if not callable(function):
            raise UsageError(f"RateFunction({function!r}): give a function, such as lambda seconds: 1e6")
        settle(self, function=function)

    def at(self, now: int) -> float:
        """See `RateModel.at`."""
        seconds = now / NANOSECONDS
        rate = self.function(seconds)
        if not isinstance(rate, Real) or isinstance(rate, bool) or not 0 <= rate < math.inf:
            raise UsageError(
                f"the rate at {seconds:g} s is {rate!r}, says {self.function!r}: it has to return "
                "bits per second"
            )
        return float(rate)

    def finish(self, start: int, bits: float) -> int:
        """See `RateModel.finish`."""
        if not bits:
            return start
        begin = start
        while not (rate := self.at(begin)):
            begin += _LOOK_AGAIN
            if begin > start + _FOR_EVER:
                raise UsageError(
                    f"the rate is 0 for ever from {as_text(start)} on, says {self.function!r}: "
                    "nothing is ever sent"
                )
        return ConstantRate(rate).finish(begin, bits)


def rate_model(value: object) -> RateModel | None:
    """Return the model that a user means by the argument ``rate``; None for no limit.

    Arguments:
        value: such as ``"2 Mbit/s"``, or bits per second; a function from seconds to bits per second; a
            model; or None

    Raises `UsageError` for anything else, and for 0.

    >>> from kamaelia.testbed.links import rate_model
    >>> rate_model("2 Mbit/s")
    ConstantRate(rate=2000000.0)
    """
    if value is None or isinstance(value, RateModel):
        return value
    if isinstance(value, type) and issubclass(value, RateModel):
        raise UsageError(f"rate={value.__name__} is a kind of model: make one, {value.__name__}(...)")
    if isinstance(value, str) or (isinstance(value, Real) and not isinstance(value, bool)):
        return ConstantRate(value)  # type: ignore[arg-type]  # a real number will do
    if callable(value):
        return RateFunction(value)
    raise UsageError(
        f"rate={value!r}: give a rate such as '2 Mbit/s', a function of seconds, or a model such as "
        "RateTrace([(0, '2 Mbit/s'), ('5 s', '1 Mbit/s')])"
    )
