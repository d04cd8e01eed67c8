"""Where packets wait for a link that is busy: descriptions, the plain queue and the token bucket.

A **description** says how a queue works: `DropTail(packets=100)`. It never changes, and many links may
share it. `begin` makes the state of one queue for one direction of one link, a **discipline**. That is
pure: it is told the time in whole nanoseconds, draws from the stream it was given, and knows no clock and
no link.

The link does three things. A packet that comes is given to `enqueue`, also when the link is free. Whenever
the link is free, it asks `dequeue` for the packet to send now: when one has come, and when one has been
sent, also if none is held then. (FQ-CoDel notices so that its queues are empty.) When there is none to send
but some are held, `ready` says when to ask again. A discipline that drops a packet other than the one that
has just come calls `dropped`, which the link has set.

Two disciplines are here; each of the others has its own module, which opens with its theory:

| module | discipline |
| --- | --- |
| `queues` | `DropTail`, first in, first out, and full when it is full; `TokenBucket`, which also holds back |
| `red` | `RED`: drop some at random before the queue is full, judged by its average length |
| `codel` | `CoDel`: drop at the head, judged by how long packets have waited |
| `fq_codel` | `FQCoDel`: a queue for each flow, CoDel in each, and the flows take turns |

**Explicit congestion notification** (RFC 3168). A discipline other than `DropTail` may have ``ecn=True``.
Then it marks packets that allow this, instead of dropping them: those whose field is ECT(1) or ECT(0) get
CE. One that has been marked already, by an earlier link, stays so and counts as marked. Marking replaces
only the drops that are meant as a signal: a full queue drops all the same.

**The token bucket** is a shaper, as tbf of Linux. It holds tokens, at first ``burst`` of them; they come at
``rate`` and never become more than ``burst``. To be sent, a packet takes as many as it has bytes; when
there are not as many, it waits at the head until there are. So in any stretch of time t no more than burst
+ rate * t is sent. A second bucket, with ``peak_rate`` and as deep as one packet, may keep a burst from
leaving at once. A packet waits for both. Tokens are whole numbers here, in parts of a bit that are so small
that each nanosecond brings a whole number of them: nothing is ever rounded but the time at which the next
packet may go, up to the next nanosecond. (So a bucket that is no deeper than one packet flows over a little
each time, and lets through a packet up to a nanosecond later than it might.)

Different from Linux: there tokens are counted in nanoseconds of the rate, and the cost of a packet is
rounded to those. A packet that is larger than a bucket is dropped in both, for it would wait for ever;
joined segments, which the kernel would take apart first, are no concern of a simulation. ns-3's
TbfQueueDisc counts whole bytes, and rounds whenever it sends; a packet larger than a bucket blocks it for
ever.

What is judged at the head of a queue inside a token bucket is judged when it comes to the head, and then
waits for its tokens; so it is in Linux (`Discipline.peek`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from ...axon import UsageError, units

NOT_ECT, ECT_1, ECT_0, CE = range(4)
"""The field of RFC 3168 in an IP header: not capable, capable (two names for it), congestion experienced."""

FULL = "queue full"
TOO_LARGE = "larger than the bucket"

_PACKETS = re.compile(r"\s*(\d+)\s*packets?\s*")


class Random(Protocol):
    """Where a discipline draws from."""

    def random(self) -> float:
        """Return a number from 0 to, but not including, 1."""


class QueuedPacket(Protocol):
    """What a discipline knows of a packet."""

    @property
    def size(self) -> int:
        """Bytes of the IP packet, with its headers."""

    @property
    def flow(self) -> Hashable:
        """Equal for packets of one flow; made of texts and numbers, such as addresses, ports and protocol."""

    ecn: int
    """0 for not capable, 1 for ECT(1), 2 for ECT(0), 3 for congestion experienced."""
    enqueued: int
    """When it came, in nanoseconds; set by the discipline."""


def mark(packet: QueuedPacket) -> bool:
    """Say "congestion experienced" on a packet; return False if it does not allow this (RFC 3168, section 5).

    Example:
        >>> from types import SimpleNamespace
        >>> packet = SimpleNamespace(size=1500, ecn=2, flow="a", enqueued=0)
        >>> mark(packet), packet.ecn
        (True, 3)
    """
    if packet.ecn == NOT_ECT:
        return False
    packet.ecn = CE
    return True


def nobody_listens(packet: QueuedPacket, now: int, why: str) -> None:
    """Do nothing: what `Discipline.dropped` is until a link sets it."""


class Discipline:
    """One queue of one direction of a link. Made by `QueueDescription.begin`; subclasses say how it works.

    Times are whole nanoseconds, and never go back.
    """

    __slots__ = ("_bytes", "_marked", "dropped", "rate", "refused")

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        """The link's, in bits per second; None for without limit. May be set at any time."""
        self.dropped: Callable[[QueuedPacket, int, str], object] = nobody_listens
        """Called with a packet that was held and is now dropped, the time, and why. The link sets it."""
        self.refused = ""
        """Why the last packet was dropped that was dropped on arrival."""
        self._bytes = self._marked = 0

    def enqueue(self, packet: QueuedPacket, now: int) -> bool:
        """Take a packet that has come; False if it is dropped at once, and `refused` says why."""
        raise NotImplementedError

    def dequeue(self, now: int) -> QueuedPacket | None:
        """Return the packet to send now, which is held no more; None if none may be sent.

        On the way others may be dropped, or marked.
        """
        raise NotImplementedError

    def peek(self, now: int) -> QueuedPacket | None:
        """Return what `dequeue` would return, or None; it is still held. For disciplines around this one.

        On the way others may be dropped: the decision about the packet returned is made.
        """
        raise NotImplementedError

    def ready(self, now: int) -> int | None:
        """Return when the next packet may be sent, now or later; None if no packet is held."""
        return now if len(self) else None

    @property
    def bytes(self) -> int:
        """Bytes of the packets held."""
        return self._bytes

    @property
    def marked(self) -> int:
        """Packets marked so far."""
        return self._marked

    def __len__(self) -> int:
        """Packets held."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} packets, {self.bytes} bytes>"


class QueueDescription:
    """How a queue works: what a link is given as its queue. Never changes; many links may share one."""

    def begin(self, stream: Random, rate: float | None) -> Discipline:
        """Make the queue of one direction of a link.

        Arguments:
            stream: where it draws from, if it draws at all; nobody else may
            rate: the link's, in bits per second; None for without limit

        Raises `UsageError` when it cannot work without a rate.
        """
        raise NotImplementedError


# --- arguments ----------------------------------------------------------------------------------------


def queue_discipline(value: QueueDescription | float | str | None, what: str = "queue") -> QueueDescription:
    """Return the description that is meant by what a user wrote.

    A number means bytes, as does text such as ``"64 KiB"``; ``"64 packets"`` means packets, and None a queue
    without limit. Raises `UsageError` for anything else.

    Example:
        >>> queue_discipline("150 kB")
        DropTail(packets=None, bytes='150 kB')
        >>> queue_discipline("64 packets")
        DropTail(packets=64, bytes=None)
        >>> queue_discipline("64 packs")
        Traceback (most recent call last):
        ...
        kamaelia.axon.errors.UsageError: queue='64 packs': write bytes, such as 150000 or '150 kB', ...
    """
    if isinstance(value, QueueDescription):
        return value
    if value is None:
        return DropTail()
    try:
        if isinstance(value, str) and (packets := packets_of(value)) is not None:
            return DropTail(packets=packets)
        return DropTail(bytes=value)
    except UsageError:
        raise UsageError(
            f"{what}={value!r}: write bytes, such as 150000 or '150 kB', or '64 packets', 1 at least; or a "
            "description, such as CoDel(); or None for without limit"
        ) from None


def packets_of(text: str) -> int | None:
    """Return how many packets a text says; None when it does not speak of packets.

    >>> packets_of("64 packets"), packets_of("64 KiB")
    (64, None)
    """
    match = _PACKETS.fullmatch(text)
    return int(match[1]) if match else None


def limits(value: float | str, what: str = "limit") -> tuple[int | None, int | None]:
    """Return a limit as packets, or bytes, of which one is None: a number means packets here.

    Raises `UsageError` for what is no limit, or is none of 1 at least.

    >>> limits(1000), limits("1000 packets"), limits("1.5 MB")
    ((1000, None), (1000, None), (None, 1500000))
    """
    if isinstance(value, str):
        packets = packets_of(value)
        if packets is None:
            return None, whole_bytes(value, what)
        value = packets
    return whole(value, what), None


def whole(value: float, what: str, least: int = 1) -> int:
    """Return a whole number; raises `UsageError` for any other, and one less than the least.

    >>> whole(3, "packets")
    3
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{what}={value!r}: give a whole number, {least} or more")
    return value


def whole_bytes(value: float | str, what: str) -> int:
    """Return a number of bytes, 1 at least, from a number or text; raises `UsageError` for any other.

    >>> whole_bytes("16 kB", "burst")
    16000
    """
    number = units.size(value, what)
    if number < 1:
        raise UsageError(f"{what}={value!r}: give 1 byte at least, such as '64 KiB'")
    return number


def nanoseconds(value: float | str, what: str) -> int:
    """Return a length of time in whole nanoseconds, 1 at least; raises `UsageError` for any other.

    >>> nanoseconds("5 ms", "target")
    5000000
    """
    number = round(units.seconds(value, what) * 10**9)
    if number < 1:
        raise UsageError(f"{what}={value!r}: give some time, 1 ns at least, such as '5 ms'")
    return number


def positive_rate(value: float | str, what: str) -> float:
    """Return a rate in bits per second, more than 0; raises `UsageError` for any other.

    >>> positive_rate("2 Mbit/s", "rate")
    2000000.0
    """
    number = units.bits_per_second(value, what)
    if not number:
        raise UsageError(f"{what}={value!r} lets nothing through: give more than 0, such as '2 Mbit/s'")
    return number


# --- first in, first out ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DropTail(QueueDescription):
    """First in, first out; what comes when it is full is dropped.

    Without any limit it is never full. With both, it is full when either says so. What is being sent has left
    the queue and does not count.

    Example:
        >>> from types import SimpleNamespace
        >>> queue = DropTail(bytes="3 kB").begin(stream=None, rate=1e6)
        >>> [queue.enqueue(SimpleNamespace(size=1500, ecn=0, flow="a", enqueued=0), now=0) for _ in range(3)]
        [True, True, False]
        >>> len(queue), queue.bytes, queue.refused
        (2, 3000, 'queue full')
    """

    packets: int | None = None
    """Full with so many."""
    bytes: float | str | None = None
    """Full when a packet would make it more than that: bytes, or text such as ``"150 kB"``."""

    def __post_init__(self) -> None:
        self.limits  # noqa: B018 - to find out now what is wrong with them

    @cached_property
    def limits(self) -> tuple[int | None, int | None]:
        """Packets and bytes that it holds; None for any number."""
        return (
            None if self.packets is None else whole(self.packets, "packets"),
            None if self.bytes is None else whole_bytes(self.bytes, "bytes"),
        )

    def begin(self, stream: Random, rate: float | None) -> DropTailQueue:
        return DropTailQueue(rate, *self.limits)


class DropTailQueue(Discipline):
    """First in, first out, with limits: for `DropTail`, and for what decides on arrival only."""

    __slots__ = ("_most_bytes", "_most_packets", "_packets")

    def __init__(self, rate: float | None, most_packets: int | None, most_bytes: int | None) -> None:
        super().__init__(rate)
        self._most_packets = most_packets
        self._most_bytes = most_bytes
        self._packets: deque[QueuedPacket] = deque()

    def enqueue(self, packet: QueuedPacket, now: int) -> bool:
        if (self._most_packets is not None and len(self._packets) >= self._most_packets) or (
            self._most_bytes is not None and self._bytes + packet.size > self._most_bytes
        ):
            self.refused = FULL
            return False
        packet.enqueued = now
        self._packets.append(packet)
        self._bytes += packet.size
        return True

    def dequeue(self, now: int) -> QueuedPacket | None:
        if not self._packets:
            return None
        packet = self._packets.popleft()
        self._bytes -= packet.size
        return packet

    def peek(self, now: int) -> QueuedPacket | None:
        return self._packets[0] if self._packets else None

    def __len__(self) -> int:
        return len(self._packets)


# --- token bucket -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TokenBucket(QueueDescription):
    """A shaper, as tbf of Linux: lets through ``burst`` at once and ``rate`` in the long run.

    The link behind it should be faster, or have no limit to its rate; else the link is what holds back.

    Example:
        >>> from types import SimpleNamespace
        >>> queue = TokenBucket(rate="8 Mbit/s", burst="3 kB").begin(stream=None, rate=None)
        >>> for _ in range(3):
        ...     _ = queue.enqueue(SimpleNamespace(size=1500, ecn=0, flow="a", enqueued=0), now=0)
        >>> [queue.dequeue(now=0) is not None for _ in range(3)]
        [True, True, False]
        >>> queue.ready(now=0)  # a byte each microsecond
        1500000
    """

    rate: float | str
    """In the long run: bits per second, or text such as ``"2 Mbit/s"``."""
    burst: float | str = "16 kB"
    """How much may go at once after a silence: bytes, or text. A larger packet is dropped."""
    peak_rate: float | str | None = None
    """How fast a burst may go, more than the rate; None for at once."""
    mtu: float | str = 1500
    """With a peak rate, how much may go at once all the same: the largest packet. A larger one is dropped."""
    queue: QueueDescription | float | str | None = DropTail(bytes="150 kB")
    """Where packets wait for tokens: anything that a link takes as its queue."""

    def __post_init__(self) -> None:
        self._buckets, self._queue  # noqa: B018 - to find out now what is wrong with them

    @cached_property
    def _buckets(self) -> tuple[tuple[float, int], ...]:
        rate = positive_rate(self.rate, "rate")
        buckets = [(rate, whole_bytes(self.burst, "burst"))]
        mtu = whole_bytes(self.mtu, "mtu")
        if self.peak_rate is not None:
            peak = positive_rate(self.peak_rate, "peak_rate")
            if peak <= rate:
                raise UsageError(
                    f"peak_rate={self.peak_rate!r} is not more than rate={self.rate!r}: give a higher one, "
                    "or leave it out"
                )
            buckets.append((peak, mtu))
        return tuple(buckets)

    @cached_property
    def _queue(self) -> QueueDescription:
        return queue_discipline(self.queue)

    def begin(self, stream: Random, rate: float | None) -> TokenBucketQueue:
        buckets = [Bucket(*bucket) for bucket in self._buckets]
        return TokenBucketQueue(rate, buckets, self._queue.begin(stream, self._buckets[0][0]))


class Bucket:
    """Tokens, counted in parts of a bit that are such that each nanosecond brings a whole number of them."""

    __slots__ = ("_byte", "_each", "_most", "_since", "_tokens", "size")

    def __init__(self, rate: float, size: int) -> None:
        self.size = size
        """Bytes: the depth."""
        self._each, parts = rate.as_integer_ratio()  # tokens each nanosecond: a nanobit has so many parts
        self._byte = 8 * 10**9 * parts
        self._most = self._tokens = size * self._byte
        self._since = 0

    def wait(self, size: int, now: int) -> int:
        """Return how many nanoseconds from now there are tokens for so many bytes."""
        self._tokens = min(self._most, self._tokens + (now - self._since) * self._each)
        self._since = now
        missing = size * self._byte - self._tokens
        return -(-missing // self._each) if missing > 0 else 0

    def take(self, size: int) -> None:
        """Take the tokens for so many bytes, for which one has not to `wait`."""
        self._tokens -= size * self._byte


class TokenBucketQueue(Discipline):
    """A queue whose head waits for tokens: for `TokenBucket`."""

    __slots__ = ("_buckets", "_largest", "_queue")

    def __init__(self, rate: float | None, buckets: list[Bucket], queue: Discipline) -> None:
        super().__init__(rate)
        self._buckets = buckets
        self._largest = min(bucket.size for bucket in buckets)
        self._queue = queue
        queue.dropped = self._dropped_inside

    def enqueue(self, packet: QueuedPacket, now: int) -> bool:
        if packet.size > self._largest:
            self.refused = TOO_LARGE
            return False
        if self._queue.enqueue(packet, now):
            return True
        self.refused = self._queue.refused
        return False

    def dequeue(self, now: int) -> QueuedPacket | None:
        head = self.peek(now)
        if head is None or self._wait(head, now):
            return None
        for bucket in self._buckets:
            bucket.take(head.size)
        return self._queue.dequeue(now)

    def peek(self, now: int) -> QueuedPacket | None:
        return self._queue.peek(now)

    def ready(self, now: int) -> int | None:
        head = self.peek(now)
        return None if head is None else now + self._wait(head, now)

    def _wait(self, head: QueuedPacket, now: int) -> int:
        inside = self._queue.ready(now)  # later than now only where one token bucket stands in another
        assert inside is not None, "there is a head"
        return max(inside - now, *(bucket.wait(head.size, now) for bucket in self._buckets))

    def _dropped_inside(self, packet: QueuedPacket, now: int, why: str) -> None:
        self.dropped(packet, now, why)

    @property
    def bytes(self) -> int:
        return self._queue.bytes

    @property
    def marked(self) -> int:
        return self._queue.marked

    def __len__(self) -> int:
        return len(self._queue)
