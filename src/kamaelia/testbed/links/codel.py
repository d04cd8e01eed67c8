"""Controlled delay: a queue that drops at its head when packets have waited too long, for too long.

A queue that takes up a burst is good, one that stands is not. CoDel (RFC 8289) tells them apart by the
least time that packets have waited: when it has been ``target`` or more for a whole ``interval``, the queue
stands. The state machine has two states, and looks at each packet that leaves:

- Not dropping: when packets have waited ``target`` or more for an ``interval``, drop this one, and be
  dropping.
- Dropping: when one has waited less than ``target``, be not dropping. Otherwise drop the one that is at the
  head at the time that the **control law** says: after the n-th drop, the next comes ``interval / sqrt(n)``
  later.

The throughput of TCP goes with one over the root of the share of losses; so drops that come ever sooner in
this way bring it down evenly. A queue of ``mtu`` bytes or less never stands: on a slow link one packet
takes longer than the target. And when dropping begins again soon (16 intervals at most after the next drop
would have been due), it goes on at the rate at which it ended: n is how many were dropped then.

With ``ecn``, a packet that allows this is marked, sent, and counts as a drop. The RFC leaves open how; this
is as in Linux. A full queue drops what comes, which is nothing to the state machine.

All is computed in whole nanoseconds, and the root exactly, rounded down.

Different in **Linux** (``codel``): time there has steps of 1024 ns. The root is computed by one step of
Newton's method for each drop, in 16 bits, so the pause after the second drop is 0.5 of the interval instead
of 0.707, after the third 0.563 instead of 0.577, and so on, ever closer. Packets must have waited too long
for longer than an interval, not just as long. Marks from a lower threshold (``ce_threshold``, for DCTCP)
are left out here.

**ns-3** (``CoDelQueueDisc``) is a copy of Linux's, and different in three more things. A queue of just
``MinBytes`` can stand; delays get shorter by this where one packet is waiting most of the time. After a
mark the next is due a pause from now, and not from when this one was due; so there are fewer marks when
they are due faster than packets leave. And it is full with 1000 times 1500 bytes. (``python -m
benchmarks.queues`` shows what comes of it, and that nothing else is different.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import isqrt

from .queues import (
    FULL,
    Discipline,
    QueueDescription,
    QueuedPacket,
    Random,
    limits,
    mark,
    nanoseconds,
    whole_bytes,
)

LATE = "waited too long"
MEMORY = 16  # intervals after which the rate of dropping is forgotten

Drop = Callable[[QueuedPacket, int, str], object]


@dataclass(frozen=True, kw_only=True)
class CoDel(QueueDescription):
    """Controlled delay (RFC 8289): keeps the time that packets wait near a target.

    Example:
        >>> from types import SimpleNamespace
        >>> queue = CoDel().begin(stream=None, rate=1e6)
        >>> queue.dropped = lambda packet, now, why: print(packet.flow, "dropped:", why)
        >>> for flow in "abcd":
        ...     _ = queue.enqueue(SimpleNamespace(size=1500, ecn=0, flow=flow, enqueued=0), now=0)
        >>> queue.dequeue(now=10_000_000).flow  # it has waited for longer than the target
        'a'
        >>> queue.dequeue(now=110_000_000).flow  # and here the target was missed for an interval
        b dropped: waited too long
        'c'
    """

    target: float | str = "5 ms"
    """How long packets may wait: seconds, or text."""
    interval: float | str = "100 ms"
    """For how long they have to wait longer: about a round trip. Seconds, or text."""
    limit: int | str = 1000
    """Full with so many packets, or text such as ``"1.5 MB"``."""
    ecn: bool = False
    """Mark instead of dropping."""
    mtu: float | str = 1500
    """Bytes, or text: so much waiting is no queue."""

    def __post_init__(self) -> None:
        self.law, self._limits  # noqa: B018 - to find out now what is wrong with them

    @cached_property
    def law(self) -> ControlLaw:
        """What all its queues go by. Raises `UsageError` for quantities that are none."""
        return ControlLaw(self.target, self.interval, self.mtu, self.ecn)

    @cached_property
    def _limits(self) -> tuple[int | None, int | None]:
        return limits(self.limit)

    def begin(self, stream: Random, rate: float | None) -> CoDelQueue:
        return CoDelQueue(rate, ControlledQueue(self.law), *self._limits)


class ControlLaw:
    """When to drop: what many queues have in common. Raises `UsageError` for quantities that are none.

    Example:
        >>> law = ControlLaw("5 ms", "100 ms", 1500, ecn=False)
        >>> [law.pause(count) for count in (1, 2, 4)]
        [100000000, 70710678, 50000000]
    """

    __slots__ = ("_square", "ecn", "interval", "mtu", "target")

    def __init__(self, target: float | str, interval: float | str, mtu: float | str, ecn: bool) -> None:
        self.target = nanoseconds(target, "target")
        """Nanoseconds."""
        self.interval = nanoseconds(interval, "interval")
        """Nanoseconds."""
        self.mtu = whole_bytes(mtu, "mtu")
        """Bytes."""
        self.ecn = ecn
        """Mark what may be marked."""
        self._square = self.interval**2

    def pause(self, count: int) -> int:
        """Return the nanoseconds from one drop to the next, when so many have been dropped."""
        return isqrt(self._square // count)


class ControlledQueue:
    """Packets in line, and the state machine that drops at the head. FQ-CoDel has one for each flow."""

    __slots__ = (
        "_above_at",
        "_count",
        "_drop_at",
        "_dropping",
        "_last_count",
        "bytes",
        "law",
        "marked",
        "packets",
    )

    def __init__(self, law: ControlLaw) -> None:
        self.law = law
        """By which it drops."""
        self.packets: deque[QueuedPacket] = deque()
        """Who waits."""
        self.bytes = 0
        """Of those."""
        self.marked = 0
        """Packets marked so far."""
        self._above_at: int | None = None  # an interval after packets began to wait for too long
        self._dropping = False
        self._drop_at = 0
        self._count = 0  # of drops, which says how soon the next comes
        self._last_count = 0  # that with which dropping last began

    def put(self, packet: QueuedPacket, now: int) -> None:
        """Put a packet in line."""
        packet.enqueued = now
        self.packets.append(packet)
        self.bytes += packet.size

    def take(self, now: int, drop: Drop) -> QueuedPacket | None:
        """Take out the packet to send now, and drop those before it that are due; None if it is empty."""
        law = self.law
        packet = self.pop()
        stands = self._stands(packet, now)
        if self._dropping:
            self._dropping = stands
            while packet is not None and self._dropping and now >= self._drop_at:
                self._count += 1
                if law.ecn and self._mark(packet):
                    self._schedule(self._drop_at)
                    break
                drop(packet, now, LATE)
                packet = self.pop()
                self._dropping = self._stands(packet, now)
                if self._dropping:
                    self._schedule(self._drop_at)
        elif packet is not None and stands:
            if not (law.ecn and self._mark(packet)):
                drop(packet, now, LATE)
                packet = self.pop()
                self._stands(packet, now)
            self._begin_dropping(now)
        return packet

    def _mark(self, packet: QueuedPacket) -> bool:
        done = mark(packet)
        self.marked += done
        return done

    def pop(self) -> QueuedPacket | None:
        """Take out the first, whatever it has waited; None if there is none."""
        if not self.packets:
            return None
        packet = self.packets.popleft()
        self.bytes -= packet.size
        return packet

    def _stands(self, packet: QueuedPacket | None, now: int) -> bool:
        """Say whether packets have waited too long for too long, now that this one has come to the head."""
        law = self.law
        if packet is None or now - packet.enqueued < law.target or self.bytes <= law.mtu:
            self._above_at = None
            return False
        if self._above_at is None:
            self._above_at = now + law.interval
            return False
        return now >= self._above_at

    def _begin_dropping(self, now: int) -> None:
        self._dropping = True
        dropped = self._count - self._last_count
        recent = now - self._drop_at < MEMORY * self.law.interval
        self._count = self._last_count = dropped if dropped > 1 and recent else 1
        self._schedule(now)

    def _schedule(self, last: int) -> None:
        self._drop_at = last + self.law.pause(self._count)


class HeadDiscipline(Discipline):
    """A queue that decides on what is at its head, and may drop it. Subclasses say how, in `_take`."""

    __slots__ = ("_held", "_taken")

    def __init__(self, rate: float | None) -> None:
        super().__init__(rate)
        self._held = 0  # packets; those of `_bytes`
        self._taken: QueuedPacket | None = None  # what `peek` has returned; it is still held

    def dequeue(self, now: int) -> QueuedPacket | None:
        packet = self.peek(now)
        if packet is not None:
            self._taken = None
            self._held -= 1
            self._bytes -= packet.size
        return packet

    def peek(self, now: int) -> QueuedPacket | None:
        if self._taken is None:
            self._taken = self._take(now)
        return self._taken

    def _take(self, now: int) -> QueuedPacket | None:
        """Take out the packet to send now; `_drop` is told of those that are dropped. None if it is empty."""
        raise NotImplementedError

    def _drop(self, packet: QueuedPacket, now: int, why: str) -> None:
        self._held -= 1
        self._bytes -= packet.size
        self.dropped(packet, now, why)

    def __len__(self) -> int:
        return self._held


class CoDelQueue(HeadDiscipline):
    """A queue for `CoDel`."""

    __slots__ = ("_most_bytes", "_most_packets", "_queue")

    def __init__(
        self, rate: float | None, queue: ControlledQueue, most_packets: int | None, most_bytes: int | None
    ) -> None:
        super().__init__(rate)
        self._queue = queue
        self._most_packets = most_packets
        self._most_bytes = most_bytes

    def enqueue(self, packet: QueuedPacket, now: int) -> bool:
        if (self._most_packets is not None and self._held >= self._most_packets) or (
            self._most_bytes is not None and self._bytes + packet.size > self._most_bytes
        ):
            self.refused = FULL
            return False
        self._queue.put(packet, now)
        self._held += 1
        self._bytes += packet.size
        return True

    def _take(self, now: int) -> QueuedPacket | None:
        return self._queue.take(now, self._drop)

    @property
    def marked(self) -> int:
        return self._queue.marked
