"""Random early detection: a queue that drops some packets before it is full, at random.

What counts is the average length of the queue, so that bursts pass and a queue that stands does not. At
each arrival, before the packet is put in (Floyd and Jacobson 1993)::

    average = (1 - weight) * average + weight * length

and after the queue has been empty for a time in which the link could have sent m packets of mean size, as
if they had come to an empty queue: ``average = (1 - weight) ** (m + 1) * average``. The average decides:

| average | what becomes of the packet |
| --- | --- |
| less than ``minimum`` | it passes |
| to ``maximum`` | it is dropped with a chance that grows from 0 to ``probability`` |
| to twice ``maximum``, if ``gentle`` | with a chance that grows from there to 1 |
| more | it is dropped: *forced* |

With that chance p for each packet, drops would come in clusters. They are to be spread evenly; so the
chance that is used depends on n, how many packets have come since the last drop, this one included. For
``wait=False`` it is p / (1 - n p), or 1 where n p is 1 or more: from drop to drop it is any number of
packets up to 1 / p, each as likely. With ``wait=True`` there is none dropped while n p < 1, and then the
chance is p / (2 - n p), up to 1: any number from 1 / p to 2 / p. The count starts with 1 when the average
passes the minimum, and that packet is not dropped; nor is one that finds less than two packets waiting.

Lengths may be bytes. Then n is how many whole packets of mean size have come, and the chance is multiplied
by the packet's size divided by the mean size; and only a packet that finds nothing waiting is safe.

With ``ecn``, packets that allow this are marked instead of being dropped, except by force (RFC 3168,
section 7, wants those dropped: who ignores marks shall not have it better). A full queue drops, and does
not count.

**Adaptive RED** (Floyd, Gummadi and Shenker 2001) finds its parameters. The minimum is half of what the
link sends in ``target``, 5 packets at least; the maximum three times the minimum; the weight 1 - exp(-1 /
C), for a link that sends C packets of mean size in a second. And half a second after ``probability`` was
last changed it is changed again, when the average leaves the middle fifth between minimum and maximum:
below, times 0.9; above, plus 0.01, or a quarter of itself if that is less. It stays from 0.01 (or, if less,
one in as many packets as the link sends in 100 ms) to 0.5. Parameters that are given are kept. A new `rate`
computes them anew.

**ns-3** (``RedQueueDisc``, which is ns-2's) has the same formulas and default values, and drops the same
packets when it draws the same numbers (``python -m benchmarks.queues``). Different: here the rate is the
link's, there an attribute of its own, 1.5 Mbit/s; here the idle time begins when the last packet has been
sent at that rate, there when the queue is asked in vain, which for a link is the same moment; here the
chance in the gentle range follows ``probability`` where this adapts, there it keeps the line it had at
first; and the lower bound for this, one in as many packets as the link sends in 100 ms, is there a
hundredth of that, because it multiplies by the 0.1 s by which it should divide. Left out are the variants
that are off in ns-3 unless one asks for them (Feng's, nonlinear, cautious, marks instead of forced drops).

**Floyd and Jacobson** have p without ``wait`` and without ``gentle``, both of which Floyd added and
recommends; m in place of m + 1, with bytes the size in the chance before n is; and no exception for the
first two in a queue.

**Linux** (``red``) computes with integers, makes the weight a power of 2, cuts the idle time with a table,
has no ``wait``; its adaptation looks at the average by a timer, twice a second.

The same average decides the same on every machine: a power is computed by multiplying, and the exponential
with decimal numbers, because the mathematical libraries of two machines may differ in the last digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cached_property
from typing import NamedTuple

from ...axon import UsageError, units
from .queues import (
    DropTailQueue,
    QueueDescription,
    QueuedPacket,
    Random,
    limits,
    mark,
    nanoseconds,
    packets_of,
    whole_bytes,
)

EARLY = "early"
FORCED = "forced"

WEIGHT = 0.002
LEAST_MINIMUM = 5.0  # packets
MAXIMUM = 3.0  # times the minimum

# Of adaptive RED.
PAUSE = 500_000_000  # nanoseconds between two changes of the probability
INCREASE = 0.01
LARGEST_INCREASE = 0.25  # of the probability
DECREASE = 0.9
HIGHEST = 0.5
LOWEST = 0.01
ROUND_TRIP = 0.1  # seconds
MARGIN = 0.4  # of the way from the minimum to the maximum, at both ends, is where it has to be changed


@dataclass(frozen=True, kw_only=True)
class RED(QueueDescription):
    """Random early detection (Floyd and Jacobson 1993), as in ns-3, with its default values.

    The limit says whether lengths are packets or bytes; minimum and maximum are given in the same. `begin`
    raises `UsageError` for an adaptive one on a link without a rate.

    Example:
        >>> import random
        >>> from types import SimpleNamespace
        >>> queue = RED(minimum=5, maximum=15, limit="1000 packets").begin(random.Random(7), rate=1e6)
        >>> def come():
        ...     return queue.enqueue(SimpleNamespace(size=500, ecn=0, flow="a", enqueued=0), now=0)
        >>> while come():
        ...     pass
        >>> len(queue), round(queue.average, 2), queue.refused
        (129, 15.43, 'early')
    """

    minimum: float | str | None = None
    """Average length below which nothing is dropped: packets, or text such as ``"10 kB"``. None for 5 packets
    of mean size, or where adaptive, for what follows from the target."""
    maximum: float | str | None = None
    """Average length at which the chance is the probability. None for three times the minimum."""
    limit: int | str = 25
    """Full with so many packets, or text such as ``"100 kB"``."""
    probability: float | str = 0.02
    """The chance at the maximum: a share of 1, or text such as ``"2 %"``. Where adaptive, at first."""
    weight: float | None = None
    """Of the present length in the average. None for 0.002, or where adaptive, what follows from the rate."""
    gentle: bool = True
    """From maximum to twice maximum the chance grows to 1; otherwise it is 1 at the maximum."""
    wait: bool = True
    """After a drop, wait for as long as the chance makes it the mean distance of drops."""
    ecn: bool = False
    """Mark instead of dropping."""
    adaptive: bool = False
    """Find the parameters, and go on adapting the probability."""
    target: float | str = "5 ms"
    """Where adaptive: how long packets should wait, on average."""
    mean_packet: float | str = 500
    """Bytes of a mean packet: for the idle time, and where lengths are bytes."""

    def __post_init__(self) -> None:
        self.settings  # noqa: B018 - to find out now what is wrong with them

    @cached_property
    def settings(self) -> REDSettings:
        """What the arguments mean. Raises `UsageError` for what means nothing."""
        most_packets, most_bytes = limits(self.limit)
        minimum = self._threshold(self.minimum, "minimum", most_bytes is not None)
        maximum = self._threshold(self.maximum, "maximum", most_bytes is not None)
        if minimum is not None and maximum is not None and minimum > maximum:
            raise UsageError(f"minimum={self.minimum!r} is more than maximum={self.maximum!r}: give less")
        if self.weight is not None and not (_is_number(self.weight) and 0 < self.weight <= 1):
            raise UsageError(f"weight={self.weight!r}: give more than 0 and 1 at most, such as {WEIGHT}")
        return REDSettings(
            most_packets=most_packets,
            most_bytes=most_bytes,
            minimum=minimum,
            maximum=maximum,
            probability=units.share(self.probability, "probability"),
            target=nanoseconds(self.target, "target") / 10**9,
            mean_packet=whole_bytes(self.mean_packet, "mean_packet"),
        )

    def _threshold(self, value: float | str | None, what: str, in_bytes: bool) -> float | None:
        if value is None:
            return None
        if isinstance(value, str):
            packets = packets_of(value)
            if packets and not in_bytes:
                return float(packets)
            if packets is None and in_bytes:
                return float(whole_bytes(value, what))
        elif not in_bytes and _is_number(value) and 0 < value < math.inf:
            return float(value)
        kind = "bytes, such as '30 kB'" if in_bytes else "packets, such as 15, more than 0"
        raise UsageError(f"{what}={value!r}: because of limit={self.limit!r}, give {kind}")

    def begin(self, stream: Random, rate: float | None) -> REDQueue:
        return REDQueue(self, stream, rate)


class REDSettings(NamedTuple):
    """The arguments of `RED` as numbers; lengths in packets, or in bytes if the limit is."""

    most_packets: int | None
    most_bytes: int | None
    minimum: float | None
    maximum: float | None
    probability: float
    target: float
    """Seconds."""
    mean_packet: int
    """Bytes."""


class REDQueue(DropTailQueue):
    """A queue for `RED`."""

    __slots__ = (
        "_changed",
        "_description",
        "_idle_since",
        "_lowest",
        "_passed",
        "_passed_bytes",
        "_per_second",
        "_rate",
        "_settings",
        "_stream",
        "_watchful",
        "average",
        "maximum",
        "minimum",
        "probability",
        "weight",
    )

    def __init__(self, description: RED, stream: Random, rate: float | None) -> None:
        settings = description.settings
        self._description = description
        self._settings = settings
        super().__init__(rate, settings.most_packets, settings.most_bytes)
        self.average = 0.0
        """The average length: packets, or bytes if the limit is."""
        self.probability = settings.probability
        """The chance at the maximum."""
        self._stream = stream
        self._watchful = False  # the average was above the minimum when the last one came
        self._passed = self._passed_bytes = 0  # since the last drop
        self._idle_since: int | None = None  # may be later than now: when the last packet will have been sent
        self._changed = 0

    @property
    def rate(self) -> float | None:
        """The link's, in bits per second; None for without limit."""
        return self._rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        settings = self._settings
        adaptive = self._description.adaptive
        if rate is None and adaptive:
            raise UsageError("RED(adaptive=True) finds its parameters from the rate: give the link one")
        self._rate = rate
        self._per_second = 0.0 if rate is None else rate / (8.0 * settings.mean_packet)  # packets
        minimum, weight = LEAST_MINIMUM, WEIGHT
        if adaptive:
            minimum = max(minimum, settings.target * self._per_second / 2.0)
            weight = 1.0 - float(_DECIMALS.exp(_DECIMALS.divide(-1, Decimal(self._per_second))))
            self._lowest = min(LOWEST, 1.0 / (ROUND_TRIP * self._per_second))
        if settings.most_bytes is not None:
            minimum *= settings.mean_packet
        self.minimum = minimum if settings.minimum is None else settings.minimum
        self.maximum = MAXIMUM * self.minimum if settings.maximum is None else settings.maximum
        self.weight = self._description.weight or weight

    def enqueue(self, packet: QueuedPacket, now: int) -> bool:
        length = len(self._packets) if self._most_bytes is None else self._bytes
        self._take_in(length, now)
        average = self.average
        self._passed += 1
        self._passed_bytes += packet.size
        if average < self.minimum or length <= 1:
            self._watchful = False
        elif average >= (2 * self.maximum if self._description.gentle else self.maximum):
            self.refused = FORCED
            return False
        elif not self._watchful:
            self._watchful = True
            self._passed, self._passed_bytes = 1, packet.size
        elif self._stream.random() < self._spread(self.chance(), packet.size):
            self._passed = self._passed_bytes = 0
            if not (self._description.ecn and mark(packet)):
                self.refused = EARLY
                return False
            self._marked += 1
        return super().enqueue(packet, now)

    def dequeue(self, now: int) -> QueuedPacket | None:
        packet = super().dequeue(now)
        if packet is not None and not self._packets and self._rate is not None:
            self._idle_since = now + int(packet.size * 8 * 10**9 / self._rate)
        return packet

    def chance(self) -> float:
        """Return with which chance a packet should be dropped that comes now, before drops are spread."""
        over = self.average - self.maximum
        if over < 0:
            return self.probability * (self.average - self.minimum) / (self.maximum - self.minimum)
        return min(1.0, self.probability + (1.0 - self.probability) * over / self.maximum)

    def _take_in(self, length: int, now: int) -> None:
        """Take the length that a packet finds into the average."""
        keep = 1.0 - self.weight
        if self._idle_since is not None:
            idle = now - self._idle_since
            self._idle_since = None
            if idle > 0:
                keep = _power(keep, 1 + int(self._per_second * (idle / 10**9)))
        self.average = self.average * keep + self.weight * length
        if self._description.adaptive and now > self._changed + PAUSE:
            self._adapt(now)

    def _adapt(self, now: int) -> None:
        margin = MARGIN * (self.maximum - self.minimum)
        if self.average < self.minimum + margin and self.probability > self._lowest:
            self.probability *= DECREASE
        elif self.average > self.maximum - margin and self.probability < HIGHEST:
            self.probability += min(INCREASE, LARGEST_INCREASE * self.probability)
        else:
            return
        self._changed = now

    def _spread(self, chance: float, size: int) -> float:
        """Return the chance that is used, which depends on what has passed since the last drop."""
        in_bytes, mean = self._most_bytes is not None, self._settings.mean_packet
        expected = chance * (self._passed_bytes // mean if in_bytes else self._passed)
        if self._description.wait:
            if expected < 1.0:
                return 0.0
            expected -= 1.0
        if expected >= 1.0:
            return 1.0
        chance /= 1.0 - expected
        return chance * size / mean if in_bytes and chance < 1.0 else chance


_DECIMALS = Context(prec=28)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _power(base: float, exponent: int) -> float:
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result
