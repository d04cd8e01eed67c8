"""How full the queue of a link is, how long packets wait in it, and how busy the link is.

Theory
------
From the beginning of a run to its end, at T, for one direction of a link:

- The **occupancy** is how many packets, or bytes, wait; the one that is being sent does not any more. Its
  mean is over time: the sum of the times that packets wait, by T. (That is Little's law, read backwards.)
  The most that waited at a time is known, too.
- The **queue delay** of a packet is the time from its coming to the beginning of its being sent. Packets for
  which the link was free count with 0; those that were dropped, or still wait at the end, do not count.
- The **utilisation** is the share of the time in which the link was sending: the sum of the sizes by the
  rate. What is lost on the way has been sent all the same.

None of this needs an event of its own. In a plain queue it is known when a packet comes at what time it
will be sent, unless the link changes meanwhile; so it is looked at when it is under way, at the next packet
that comes or arrives. An active queue is asked how much it holds whenever something may have changed.

It costs about a microsecond a packet and hop, so it is done with ``simulate(measure="queues")`` only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kamaelia.observe import Sketch, Summary

from .links.queues import Discipline, QueuedPacket
from .taps import add_tap

if TYPE_CHECKING:
    from .channel import Channel
    from .wire import Packet


@dataclass(frozen=True)
class QueueMetrics:
    """How full the queue of one direction of a link was."""

    packets: float
    """That waited, in the mean over time."""
    most_packets: int
    """That waited at a time."""
    bytes: float
    """In them, in the mean over time."""
    most_bytes: int
    """In them at a time."""
    delay: Summary
    """How long each waited."""
    utilisation: float
    """The share of the time in which the link was sending."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "packets": self.packets,
            "most_packets": self.most_packets,
            "bytes": self.bytes,
            "most_bytes": self.most_bytes,
            "delay": self.delay.as_dict(),
            "utilisation": self.utilisation,
        }


class QueueWatch:
    """Looks at the queue of a channel; a tap of it (`taps`).

    Arguments:
        channel: that it looks at, from now on
    """

    __slots__ = (
        "_began",
        "_busy",
        "_clock",
        "_delays",
        "_free_at",
        "_held",
        "_held_bytes",
        "_held_since",
        "_integral",
        "_integral_bytes",
        "_row",
        "_row_bytes",
        "most_bytes",
        "most_packets",
        "waited",
    )

    def __init__(self, channel: Channel) -> None:
        self._clock = channel.fabric.clock
        self._began = self._clock.now
        self.most_packets = self.most_bytes = 0
        self.waited = 0  # how long the packet has, in an active queue, that comes out of it next
        self._delays = Sketch()
        self._integral = self._integral_bytes = 0  # of what waits, over nanoseconds
        self._busy = 0  # nanoseconds
        self._free_at = self._began  # when the last is sent of those that have begun to be
        self._row: deque[tuple[int, int, Packet]] = deque()  # since when they wait, and have before
        self._row_bytes = 0
        self._held = self._held_bytes = 0  # of an active queue
        self._held_since = self._began
        add_tap(channel, self)

    # -- a plain queue ------------------------------------------------------------------------------

    def out(self, channel: Channel, packet: Packet) -> None:
        """See `taps`."""
        now = self._clock.now
        waited, self.waited = self.waited, 0
        row = self._row
        if row:
            self._begin_those_due(now)
        if packet.starts > now:
            row.append((now, waited, packet))
            self._row_bytes += packet.size
            self.most_packets = max(self.most_packets, len(row))
            self.most_bytes = max(self.most_bytes, self._row_bytes)
            return
        self._delays.add(waited)
        self._busy += packet.leaves - packet.starts
        self._free_at = packet.leaves

    def into(self, channel: Channel, packet: Packet) -> None:
        """See `taps`."""
        if self._row:
            self._begin_those_due(self._clock.now)

    def dropped(self, channel: Channel, packet: Packet, why: int) -> None:
        """See `taps`."""

    def _begin_those_due(self, now: int) -> None:
        """Those that are being sent by now do not wait any more; whatever was changed, it is done now."""
        row = self._row
        while row and row[0][2].starts <= now:
            since, waited, packet = row.popleft()
            wait = packet.starts - since
            self._delays.add(wait + waited)
            self._integral += wait
            self._integral_bytes += wait * packet.size
            self._row_bytes -= packet.size
            self._busy += packet.leaves - packet.starts
            self._free_at = packet.leaves

    # -- an active queue ----------------------------------------------------------------------------

    def hold(self, packets: int, size: int, now: int) -> None:
        """An active queue holds so many packets and bytes from now on."""
        length = now - self._held_since
        if length:  # what comes and goes at the same instant has not waited
            self._integral += self._held * length
            self._integral_bytes += self._held_bytes * length
            self.most_packets = max(self.most_packets, self._held)
            self.most_bytes = max(self.most_bytes, self._held_bytes)
            self._held_since = now
        self._held, self._held_bytes = packets, size

    # -- what came of it ----------------------------------------------------------------------------

    def result(self) -> QueueMetrics:
        """Return how it was up to now."""
        now = self._clock.now
        self._begin_those_due(now)
        self.hold(self._held, self._held_bytes, now)
        length = now - self._began
        packets = self._integral + sum(now - since for since, _, _ in self._row)
        size = self._integral_bytes + sum((now - since) * packet.size for since, _, packet in self._row)
        busy = self._busy - max(0, self._free_at - now)
        return QueueMetrics(
            packets / length if length else 0.0,
            self.most_packets,
            size / length if length else 0.0,
            self.most_bytes,
            Summary(self._delays.copy(), "s", 10**9),
            busy / length if length else 0.0,
        )


class WatchedQueue(Discipline):
    """An active queue that a `QueueWatch` looks at: does what the queue does that it stands around."""

    __slots__ = ("_watch", "inner")

    def __init__(self, inner: Discipline, watch: QueueWatch) -> None:
        self.inner = inner
        self._watch = watch

    def enqueue(self, packet: QueuedPacket, now: int) -> bool:
        taken = self.inner.enqueue(packet, now)
        self._watch.hold(len(self.inner), self.inner.bytes, now)
        return taken

    def dequeue(self, now: int) -> QueuedPacket | None:
        packet = self.inner.dequeue(now)
        self._watch.hold(len(self.inner), self.inner.bytes, now)
        if packet is not None:
            self._watch.waited = now - packet.enqueued
        return packet

    def peek(self, now: int) -> QueuedPacket | None:
        packet = self.inner.peek(now)
        self._watch.hold(len(self.inner), self.inner.bytes, now)  # others may have been dropped
        return packet

    def ready(self, now: int) -> int | None:
        return self.inner.ready(now)

    @property
    def rate(self) -> float | None:
        """The link's."""
        return self.inner.rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        self.inner.rate = rate

    @property
    def dropped(self) -> Callable[[QueuedPacket, int, str], object]:
        """What the link has set."""
        return self.inner.dropped

    @dropped.setter
    def dropped(self, dropped: Callable[[QueuedPacket, int, str], object]) -> None:
        self.inner.dropped = dropped

    @property
    def refused(self) -> str:  # type: ignore[override]
        """Why the last was dropped that was dropped on arrival."""
        return self.inner.refused

    @property
    def marked(self) -> int:
        return self.inner.marked

    @property
    def bytes(self) -> int:
        return self.inner.bytes

    def __len__(self) -> int:
        return len(self.inner)


__all__ = ["QueueMetrics", "QueueWatch", "WatchedQueue"]
