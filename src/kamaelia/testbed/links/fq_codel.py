"""Flow queues with controlled delay: each flow has a queue of its own, and they take turns.

FQ-CoDel (RFC 8290) does three things:

1. **Keeps flows apart.** A packet goes into one of ``flows`` queues, which a hash of its flow chooses. So a
   flow that sends too much fills its own queue only. Two flows may share a queue, by chance; a number that
   is drawn for each link goes into the hash, so that it is not the same two everywhere.
2. **Has queues take turns** (deficit round robin). A queue that gets its turn has ``quantum`` bytes of
   credit. As long as credit is left, a packet of it is sent and its size subtracted; then it gets another
   quantum, and the next queue has its turn.
3. **Drops by CoDel** in each queue, as if it were alone (`codel`).

Queues that have packets stand in two lines. One that was empty is put into the line of **new** queues, with
a quantum of credit, and all of these have their turn before all of the **old**. So a flow that sends
little, a name query or a voice, waits only for others like it. When its credit is used up, or it is empty,
it goes to the end of the old ones; there, when it is found empty, it leaves. (That it must pass through the
old line even when it is empty keeps it from being new again at once, for ever.)

When there are more than ``limit`` packets, all together, half of those in the queue with the most bytes are
dropped from its head, 64 at most; of queues with as many bytes, the one that was used first. So the packet
that has just come is seldom among them.

The hash is BLAKE2b of the flow's text (``repr``) and the number of the link: the same everywhere.

Different in **Linux** (``fq_codel``): half means half of the bytes; CoDel takes what waits in all queues
together for the length of the queue, so a queue of one packet can stand; dropping from the largest raises
its CoDel's count as well; a new queue that is empty leaves at once when there are no old ones; and the hash
is another.

**ns-3** (``FqCoDelQueueDisc``): half of the bytes, and CoDel as in ns-3. What is off there unless one asks
for it, hash sets (``EnableSetAssociativeHash``) and L4S, is left out, as are filters and the lower
threshold of marks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from .codel import ControlLaw, ControlledQueue, HeadDiscipline
from .queues import FULL, QueueDescription, QueuedPacket, Random, whole, whole_bytes

BATCH = 64  # packets dropped at once, at most, when there are too many
REMEMBERED = 4096  # flows whose queue is known without computing the hash


@dataclass(frozen=True, kw_only=True)
class FQCoDel(QueueDescription):
    """Flow queues with controlled delay (RFC 8290): flows do not make one another wait.

    Example:
        >>> import random
        >>> from types import SimpleNamespace
        >>> queue = FQCoDel().begin(random.Random(7), rate=1e6)
        >>> for flow in ["film", "film", "film", "voice"]:
        ...     _ = queue.enqueue(SimpleNamespace(size=1500, ecn=0, flow=flow, enqueued=0), now=0)
        >>> [queue.dequeue(now=0).flow for _ in range(4)]
        ['film', 'film', 'voice', 'film']
    """

    target: float | str = "5 ms"
    """How long packets may wait in each queue: seconds, or text."""
    interval: float | str = "100 ms"
    """For how long they have to wait longer: about a round trip. Seconds, or text."""
    flows: int = 1024
    """How many queues."""
    quantum: float | str = 1514
    """How much a queue may send each time: bytes, or text. 1500 of the packet, and a header of Ethernet."""
    limit: int = 10240
    """Packets, in all queues together."""
    ecn: bool = True
    """Mark instead of dropping."""
    mtu: float | str = 1500
    """Bytes, or text: so much waiting is no queue."""

    def __post_init__(self) -> None:
        self.law  # noqa: B018 - to find out now what is wrong with it
        whole(self.flows, "flows")
        whole(self.limit, "limit")
        whole_bytes(self.quantum, "quantum")

    @cached_property
    def law(self) -> ControlLaw:
        """What all its queues go by. Raises `UsageError` for quantities that are none."""
        return ControlLaw(self.target, self.interval, self.mtu, self.ecn)

    def begin(self, stream: Random, rate: float | None) -> FQCoDelQueue:
        return FQCoDelQueue(self, stream, rate)


class FlowQueue(ControlledQueue):
    """One of the queues that take turns."""

    __slots__ = ("active", "credit")

    def __init__(self, law: ControlLaw) -> None:
        super().__init__(law)
        self.active = False
        """It stands in one of the lines."""
        self.credit = 0
        """Bytes that it may still send in its turn."""


class FQCoDelQueue(HeadDiscipline):
    """The queues for `FQCoDel`."""

    __slots__ = (
        "_flows",
        "_indices",
        "_law",
        "_limit",
        "_new",
        "_old",
        "_perturbation",
        "_quantum",
        "_queues",
    )

    def __init__(self, description: FQCoDel, stream: Random, rate: float | None) -> None:
        super().__init__(rate)
        self._law = description.law
        self._flows = description.flows
        self._limit = description.limit
        self._quantum = whole_bytes(description.quantum, "quantum")
        self._perturbation = int(stream.random() * 2**32).to_bytes(4, "big")
        self._queues: dict[int, FlowQueue] = {}  # made when they are first used, and in this order
        self._new: deque[FlowQueue] = deque()
        self._old: deque[FlowQueue] = deque()
        self._indices: dict[Hashable, int] = {}  # a memory of `index`

    def enqueue(self, packet: QueuedPacket, now: int) -> bool:
        index = self.index(packet.flow)
        queue = self._queues.get(index)
        if queue is None:
            queue = self._queues[index] = self._make_queue()
        queue.put(packet, now)
        if not queue.active:
            queue.active = True
            queue.credit = self._quantum
            self._new.append(queue)
        self._held += 1
        self._bytes += packet.size
        return self._held <= self._limit or self._relieve(packet, now)

    def index(self, flow: Hashable) -> int:
        """Return the number of the queue for a flow."""
        index = self._indices.get(flow)
        if index is None:
            if len(self._indices) == REMEMBERED:
                self._indices.clear()
            digest = blake2b(repr(flow).encode(), digest_size=8, key=self._perturbation).digest()
            index = self._indices[flow] = int.from_bytes(digest, "big") % self._flows
        return index

    @property
    def marked(self) -> int:
        return sum(queue.marked for queue in self._queues.values())

    def _make_queue(self) -> FlowQueue:
        return FlowQueue(self._law)

    def _take(self, now: int) -> QueuedPacket | None:
        while line := self._new or self._old:
            queue = line[0]
            if queue.credit <= 0:
                queue.credit += self._quantum
                self._old.append(line.popleft())
                continue
            packet = queue.take(now, self._drop)
            if packet is not None:
                queue.credit -= packet.size
                return packet
            line.popleft()
            if line is self._new:
                self._old.append(queue)
            else:
                queue.active = False
        return None

    def _relieve(self, arrived: QueuedPacket, now: int) -> bool:
        """Drop from the largest queue; return False if what has just arrived is among that."""
        largest = max(self._queues.values(), key=lambda queue: queue.bytes)  # the first of them
        for packet in self._surplus(largest):
            if packet is arrived:
                self._held -= 1
                self._bytes -= packet.size
                self.refused = FULL
                return False
            self._drop(packet, now, FULL)
        return True

    def _surplus(self, queue: FlowQueue) -> list[QueuedPacket]:
        """Take out what is to be dropped of a queue: half of the packets, from its head."""
        number = min(BATCH, (len(queue.packets) + 1) // 2)
        return [packet for _ in range(number) if (packet := queue.pop()) is not None]
