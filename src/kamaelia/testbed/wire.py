"""What every packet passes through: packets, channels, nodes, and the sockets of datagrams.

Theory
------
A **packet** stands for one IP packet. It knows where it comes from and where it is to go, and not the way: at
each node a table says over which channel it goes on.

A **channel** is one direction of a link. What becomes of a packet is computed when it enters, so that there
is one event for each hop, "this packet is now here", and none for anything that can be known before:

1. It waits for those before it: the channel is free again at ``free_at``. If those that wait already are more
   than the queue holds, it is *dropped*. The packet that is being sent does not wait any more.
2. It takes its size divided by the rate to be sent; fractions of a nanosecond are carried over to the next.
3. It may be *lost*; then it has taken up the channel all the same.
4. It arrives after the delay, and never before one that was sent before it.

Packets under way stand in a row in the channel; only for the first of them the channel itself stands in the
clock's queue. Everything else that a link may do (active queues, changing rates, jitter, duplicates, faults)
is `channel.Channel`'s, which does it step by step with the same parts: a channel that has any of that is
marked, and asks.

A **node** is what is at the end of a channel: the packet's own host, which gives it to a socket; or a router,
which passes it on over the channel that its table names for the packet's target. What is in no table, and all
that nodes can do beside this, is `stack`'s and `routing`'s; a node that does such things is marked, too.

This is the plain form; ``_wire.pyx`` is its compiled twin, see `kamaelia.axon.core`. `forms` puts each
together with what is written once.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable
from heapq import heappush
from typing import TYPE_CHECKING, Any

from .protocols import (
    DELIVER,
    DROP,
    FORWARD,
    LOSE,
    LOST_AT_RANDOM,
    QUEUE_FULL,
    RESEND,
    SEND,
    TCP,
    UDP,
)
from .record import PlainRecorder

if TYPE_CHECKING:
    from kamaelia.axon import VirtualClock

Recorder = PlainRecorder  # as it is called in the compiled form

MASK = 2**64 - 1
NO_LIMIT = 2**62


class Fabric:
    """What the parts of one simulation share."""

    __slots__ = ("clock", "packets", "recorder", "version")

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.packets = 0
        """How many there have been."""
        self.recorder: PlainRecorder | None = None
        """Where events are written down; None for nowhere."""
        self.version = 0
        """How often the ways through the network have changed."""


new = object.__new__
NO_WAYS: dict[Any, Any] = {}  # never written to


class Packet:
    """One IP packet, or a copy of one."""

    __slots__ = (
        "arrives",
        "data",
        "flow",
        "kind",
        "leaves",
        "lost",
        "name",
        "number",
        "place",
        "port",
        "protocol",
        "serial",
        "size",
        "source",
        "spoiled",
        "starts",
        "target",
        "target_name",
        "tells",
        "tos",
        "ttl",
        "waits",
    )

    _cancelled = False
    _loop = None

    number: int
    """Which it is of all packets; a copy has that of the original."""
    protocol: int
    """What it carries, by IANA's number."""
    kind: str
    """What it is, in traces: ``udp``, ``tcp syn`` ..."""
    size: int
    """In bytes, with all headers of IP and above."""
    source: tuple[Any, ...]
    """The socket address of the sender, as its receiver sees it."""
    target: str
    """The IP address that it is to go to."""
    port: int
    """The port there; 0 where there are none."""
    name: str
    """Where it comes from, in traces: ``phone-3:49152``."""
    target_name: str
    """Where it goes to, likewise."""
    data: Any
    """The bytes of a datagram; else what the protocol keeps about it."""
    waits: bool
    """It waits however long the queue is, instead of being dropped."""
    tells: bool
    """Its ``data`` has a method ``lost``, which is to be called if it is."""
    spoiled: bool
    """A link has changed it, so that its checksum is wrong."""
    flow: Any
    """Those that belong together have the same: of packets to a group it is the source, the group, and over
    which of the source's links they go."""

    def __init__(self) -> None:
        self.ttl = 64
        self.tos = 0
        self.waits = self.tells = self.lost = self.spoiled = False
        self.flow: Any = None
        self.place: Any = None
        self.starts = self.leaves = self.arrives = self.serial = 0

    @property
    def ecn(self) -> int:
        """Whether queues may mark it (1 or 2), and have (3)."""
        return self.tos & 3

    @ecn.setter
    def ecn(self, ecn: int) -> None:
        self.tos = self.tos & ~3 | ecn

    @property
    def enqueued(self) -> int:
        """When an active queue has taken it; later, when it is sent, the same place holds that."""
        return self.starts

    @enqueued.setter
    def enqueued(self, now: int) -> None:
        self.starts = now

    def copy(self) -> Packet:
        """Return another like it, which goes its own way."""
        other = Packet.__new__(Packet)
        for name in Packet.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def _run(self) -> None:
        self.place.arrive(self)

    def __repr__(self) -> str:
        return f"<packet {self.number} from {self.name} to {self.target_name}>"


class Channel:
    """One direction of a link, in one simulation. Times are in nanoseconds."""

    __slots__ = (
        "arrival_pending",
        "byte_time",
        "bytes",
        "clock",
        "delay",
        "delivered",
        "dropped",
        "enters_specially",
        "fabric",
        "far",
        "free_at",
        "last_arrival",
        "leaves_specially",
        "loss",
        "loss_gamma",
        "loss_state",
        "lost",
        "most_bytes",
        "most_packets",
        "mtu",
        "packets",
        "remainder",
        "row",
        "tap",
        "waiting",
        "waiting_bytes",
    )

    _cancelled = False
    _loop = None

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.clock: Any = fabric.clock
        self.far: Node = None  # type: ignore[assignment]  # set by whoever makes a link
        self.byte_time = 0.0  # nanoseconds that a byte takes; 0 for no rate
        self.delay = 0
        self.loss = 0.0  # share of packets; each is drawn for by itself
        self.loss_state = self.loss_gamma = 0  # a `RandomStream`
        self.most_packets = self.most_bytes = NO_LIMIT  # that may wait
        self.mtu = NO_LIMIT  # bytes of a packet
        self.enters_specially = self.leaves_specially = False
        self.tap: Any = None
        self.free_at = 0
        self.remainder = 0.0  # of a nanosecond, at `free_at`
        self.last_arrival = 0
        self.row: deque[Packet] = deque()  # packets that have not arrived, in order
        self.waiting = self.waiting_bytes = (
            0  # those of them that are not being sent yet: the last in the row
        )
        self.arrival_pending = -1  # when the first that is not lost arrives; -1 if there is none
        self.packets = self.bytes = self.delivered = self.lost = self.dropped = 0

    # -- one packet ---------------------------------------------------------------------------------

    def carry(self, packet: Packet, is_in: bool = False) -> None:
        """Take a packet at this end, and send it at the link's rate, after those that wait; or drop it, if
        they are too many. With ``is_in`` this end has seen to what is special about it."""
        size = packet.size
        if not is_in:
            self.packets += 1
            self.bytes += size
            if self.enters_specially or size > self.mtu:
                self.enter(packet)  # type: ignore[attr-defined]
                return
        packet.starts = packet.leaves = now = self.clock.now
        if self.byte_time:
            exact = size * self.byte_time
            free_at = self.free_at
            if free_at > now:
                self.begin_those_due(now)
                if not packet.waits and (
                    self.waiting >= self.most_packets or self.waiting_bytes + size > self.most_bytes
                ):
                    self.drop(packet, QUEUE_FULL)
                    return
                self.waiting += 1
                self.waiting_bytes += size
                packet.starts = now = free_at
                exact += self.remainder
            whole = int(exact)
            self.remainder = exact - whole
            packet.leaves = self.free_at = now + whole
        self.depart(packet)

    def send(self, packet: Packet) -> None:
        """Send a packet for which this end has done what is special about it."""
        self.carry(packet, True)

    def depart(self, packet: Packet) -> None:
        """It is known when a packet leaves this end: say whether and when it arrives at the other."""
        if self.tap is not None:
            self.tap.out(self, packet)
        if self.leaves_specially:
            self.leave(packet)  # type: ignore[attr-defined]
            return
        if self.loss and self.draw() < self.loss:
            self.lose(packet, LOST_AT_RANDOM)
            return
        self.launch(packet, packet.leaves + self.delay)

    def launch(self, packet: Packet, arrives: int) -> None:
        """Have a packet arrive at some time, after all that were launched before."""
        if arrives < self.last_arrival:
            arrives = self.last_arrival
        packet.arrives = self.last_arrival = arrives
        clock = self.clock
        clock.serial = packet.serial = clock.serial + 1
        self.row.append(packet)
        if self.arrival_pending < 0:
            self.arrival_pending = arrives
            heappush(clock.timers, (arrives, packet.serial, self))

    def lose(self, packet: Packet, why: int) -> None:
        """A packet does not arrive."""
        self.lost += 1
        if self.fabric.recorder is not None:
            self.fabric.recorder.record(LOSE, packet, self, why)
        if self.waiting:  # it stays in the row, for it takes up the queue
            packet.lost = True
            packet.arrives = packet.leaves
            self.row.append(packet)
        if packet.tells:
            packet.data.lost(packet)

    def drop(self, packet: Packet, why: int) -> None:
        """A packet is not even sent."""
        self.dropped += 1
        if self.tap is not None:
            self.tap.dropped(self, packet, why)
        if self.fabric.recorder is not None:
            self.fabric.recorder.record(DROP, packet, self, why)
        if packet.tells:
            packet.data.lost(packet)

    def draw(self) -> float:
        """Draw a number from [0, 1), as `RandomStream.random` does."""
        self.loss_state = state = (self.loss_state + self.loss_gamma) & MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
        return ((state ^ (state >> 31)) >> 11) * 2.0**-53

    # -- the row ------------------------------------------------------------------------------------

    def begin_those_due(self, now: int) -> None:
        """Count those no more as waiting that are being sent by now."""
        row = self.row
        while self.waiting and row[-self.waiting].starts <= now:
            self.waiting_bytes -= row[-self.waiting].size
            self.waiting -= 1
        while len(row) > self.waiting and row[0].lost:
            row.popleft()

    def _run(self) -> None:
        """The first packet in the row that is not lost has arrived."""
        clock = self.clock
        now = clock.now
        if now != self.arrival_pending:  # it was to arrive now, but the link has been changed since
            return
        if self.waiting:
            self.begin_those_due(now)
        row = self.row
        packet = row.popleft()
        while packet.lost:
            packet = row.popleft()
        if row and not row[0].lost:
            self.arrival_pending = row[0].arrives
            heappush(clock.timers, (self.arrival_pending, row[0].serial, self))
        else:
            self.expect_next()
        self.delivered += 1
        if self.tap is not None:
            self.tap.into(self, packet)
        self.far.receive(packet, self)

    def expect_next(self) -> None:
        """Find out which packet is the next to arrive."""
        for packet in self.row:
            if not packet.lost:
                self.arrival_pending = packet.arrives
                self.clock.add_again(packet.arrives, packet.serial, self)
                return
        self.arrival_pending = -1

    def arrive(self, packet: Packet) -> None:
        """A packet has come to the other end."""
        self.delivered += 1
        if self.tap is not None:
            self.tap.into(self, packet)
        self.far.receive(packet, self)


class Node:
    """Where channels end: the part of a host, router or switch that packets pass through."""

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "connections",
        "fabric",
        "forwards",
        "group",
        "loop",
        "member",
        "received",
        "sent",
        "special",
        "table",
        "udp",
    )

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.loop: Any = None
        self.forwards = False  # packets that are not for this node
        self.special = False  # it looks at every packet
        # By address: the channel over which it is reached; for the node's own addresses the node itself.
        # By group, of routers: by flow, the `Hop`s.
        self.table: dict[str, Any] = NO_WAYS
        # The only socket, if it takes whatever comes to its port; else all by port: such a one, or several.
        self.udp: Any = None
        # What takes segments of TCP, by port, own address and the other's; None where it is bytes in order.
        self.connections: dict[Any, Any] | None = None
        # A socket that alone takes all that comes to its port for a group that it has joined.
        self.member: DatagramSocket | None = None
        self.group = ""
        self.sent = self.received = self.bytes_sent = self.bytes_received = 0

    def receive(self, packet: Packet, channel: Channel) -> None:
        """A packet has come over a channel."""
        way = None if self.special else self.table.get(packet.target)
        if way is self:
            self.deliver(packet)
        elif way is None and self.member is not None and not self.special:
            self.hear(packet, channel, self.member)
        elif way is None or not self.forwards or packet.ttl <= 1:
            self.take(packet, channel)  # type: ignore[attr-defined]
        elif type(way) is dict:
            self.spread(packet, channel, way)
        else:
            packet.ttl -= 1
            if self.fabric.recorder is not None:
                self.fabric.recorder.record(FORWARD, packet, self, 0)
            way.carry(packet)

    def hear(self, packet: Packet, channel: Channel, socket: DatagramSocket) -> None:
        """A packet has come to a node of which one socket has joined a group."""
        if (
            packet.target != self.group
            or packet.port != socket.port
            or packet.protocol != UDP
            or packet.spoiled
        ):
            self.take(packet, channel)  # type: ignore[attr-defined]
            return
        self.received += 1
        self.bytes_received += packet.size
        if self.fabric.recorder is not None:
            self.fabric.recorder.record(DELIVER, packet, self, 0)
        socket.take(packet.data, packet.source)

    def spread(self, packet: Packet, channel: Channel, hops: dict[Any, Hop]) -> None:
        """A packet for a group goes on to all who want it, if it has come the right way."""
        hop = hops.get(packet.flow)
        if hop is None or hop.came is not channel or packet.protocol != UDP:
            self.take(packet, channel)  # type: ignore[attr-defined]
        elif hop.outs:
            if self.fabric.recorder is not None:
                self.fabric.recorder.record(FORWARD, packet, self, 0)
            packet.ttl -= 1
            for out in hop.outs:
                out.carry(packet.copy())

    def arrive(self, packet: Packet) -> None:
        """A packet has come from this node itself."""
        self.deliver(packet)

    def deliver(self, packet: Packet) -> None:
        """A packet has come to the end of its way."""
        self.received += 1
        self.bytes_received += packet.size
        if self.fabric.recorder is not None:
            self.fabric.recorder.record(DELIVER, packet, None, 0)
        if packet.protocol == TCP and self.connections is not None and not packet.spoiled:
            end = self.connections.get((packet.port, packet.target, packet.source))
            if end is not None:
                end.take(packet.data, packet.tos & 3, self.fabric.clock.now)
                return
        if packet.protocol == UDP and not packet.spoiled:
            socket = self.udp
            if type(socket) is dict:
                socket = socket.get(packet.port)
            elif socket is not None and socket.port != packet.port:
                socket = None
            if isinstance(socket, DatagramSocket):
                socket.take(packet.data, packet.source)
                return
        self.take_delivered(packet)  # type: ignore[attr-defined]

    def call(self, context: contextvars.Context, function: Callable[[], object]) -> None:
        """Call something as the loop of this node would."""
        clock: Any = self.fabric.clock
        if self.loop is not clock.running:
            clock.enter(self.loop)
        context.run(function)

    def forget_last(self) -> None:
        """One of the connections is no more: who keeps the one that was found last does not any more."""

    def send_like(self, template: Packet, kind: str, size: int, data: Any, ecn: int, again: bool) -> None:
        """Send a packet that is like another, but for this; the other is never sent itself."""
        packet = template.copy()
        packet.kind, packet.size, packet.data = kind, size, data
        packet.tos |= ecn
        fabric = self.fabric
        fabric.packets = packet.number = fabric.packets + 1
        self.sent += 1
        self.bytes_sent += size
        if fabric.recorder is not None:
            fabric.recorder.record(RESEND if again else SEND, packet, None, 0)
        way = self.table.get(packet.target)
        if way is None or way is self:
            self.emit(packet)  # type: ignore[attr-defined]
        else:
            way.carry(packet)

    def count_sent(self, packet: Packet) -> None:
        """A packet leaves its host: give it its number."""
        fabric = self.fabric
        fabric.packets += 1
        packet.number = fabric.packets
        self.sent += 1
        self.bytes_sent += packet.size
        if fabric.recorder is not None:
            fabric.recorder.record(SEND, packet, None, 0)


class Hop:
    """A node on the tree of a group (`multicast`)."""

    __slots__ = ("above", "came", "outs")

    def __init__(self, came: Channel | None) -> None:
        self.came = came
        """Over which packets come; None at the source, and where none can come."""
        self.outs: dict[Channel, int] = {}
        """Over which they go on, and for what: 1 for members there, 2 for each router there that asked."""
        self.above: Any = None
        """Who has been asked for them, if anybody."""


class Way:
    """What a socket knows about an address that it has sent to, as long as nothing has changed."""

    __slots__ = ("channel", "headers", "longest", "name", "port", "source", "target", "tos", "ttl", "version")

    channel: Channel | None
    """The first on the way; None to the own host."""
    source: tuple[Any, ...]
    target: str
    port: int
    name: str
    ttl: int
    tos: int
    version: int
    """The fabric's, when this was found out."""
    headers: int
    """Bytes that they add to a datagram."""
    longest: int
    """Bytes that a datagram may have to go in one packet."""


class DatagramSocket:
    """What is on the way of every datagram in a socket of UDP."""

    __slots__ = ("clock", "closing", "context", "name", "node", "port", "reading", "received", "ways")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.port = 0
        self.clock: Any = node.fabric.clock
        self.name = ""
        self.context = contextvars.copy_context()
        self.ways: dict[Any, Way] = NO_WAYS
        self.received: Callable[[bytes, Any], object] = lambda data, source: None
        self.reading = False
        self.closing = False

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """See asyncio."""
        way = self.ways.get(addr)
        node = self.node
        fabric = node.fabric
        if (
            way is None
            or way.version != fabric.version
            or self.closing
            or type(data) is not bytes
            or len(data) > way.longest
        ):
            self.send_carefully(data, addr)  # type: ignore[attr-defined]
            return
        packet: Packet = new(Packet)
        packet.waits = packet.tells = packet.lost = packet.spoiled = False
        packet.flow = packet.place = None
        packet.starts = packet.leaves = packet.arrives = packet.serial = 0
        packet.protocol = UDP
        packet.kind = "udp"
        packet.size = way.headers + len(data)
        packet.source = way.source
        packet.target = way.target
        packet.port = way.port
        packet.name = self.name
        packet.target_name = way.name
        packet.data = data
        packet.ttl = way.ttl
        packet.tos = way.tos
        fabric.packets = packet.number = fabric.packets + 1
        node.sent += 1
        node.bytes_sent += packet.size
        if fabric.recorder is not None:
            fabric.recorder.record(SEND, packet, None, 0)
        channel = way.channel
        if channel is not None:
            channel.carry(packet)
        else:  # no time passes, but all that is ready comes first, as before a loop looks at its sockets
            packet.place = node
            self.clock.add_timer(self.clock.now, packet)

    def take(self, data: bytes, source: Any) -> None:
        """A datagram has arrived here."""
        if not self.reading or (self.clock.frozen and self.node.loop.is_frozen):
            self.take_later(data, source)  # type: ignore[attr-defined]
            return
        clock, loop = self.clock, self.node.loop
        if loop is not clock.running:
            clock.enter(loop)
        try:
            self.context.run(self.received, data, source)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.report(error)  # type: ignore[attr-defined]
