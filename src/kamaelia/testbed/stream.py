"""Simulated TCP: `StreamEnd` is what the kernel does, `StreamTransport` what asyncio does above it.

How it goes
-----------
A connection is two ends that send each other segments, each of at most 1460 bytes in a packet. The one who
connects sends *syn*, gets *syn-ack* one round trip later, is connected, and sends *ack*, upon which the
server accepts. Or it gets *rst*: connection refused.

**Loss costs time, not bytes.** A segment that a link loses is sent again after a time-out: the round trip,
at least 0.2 s, doubled each time it is lost again (for a syn 1 s). Segments are numbered; those that arrive
before their turn are held until the gap is filled, so one loss holds up all that follows. What is sent again
for the 15th time without an answer (a syn, or its answer, for the 6th, or as often as ``TCP_SYNCNT`` says)
was the last: after one more time-out the connection is given up, with `TimeoutError`. As in Linux that is
after 924.6 seconds on a short way, and after 127 seconds where nobody answers a syn.

**Back-pressure.** At most 64 KiB are under way or unread: what the receiver reads is acknowledged, which
the sender learns one delay later, and only then it sends more. What the window does not take waits in the
transport's write buffer, whose mark pauses the protocol as in asyncio. A receiver that pauses reading so
stops its sender.

**Ends.** Closing sends *fin* behind all data: the other side reads the end. Closing with unread data, or
with ``SO_LINGER`` set to 0, sends *rst* instead, and so does an end that is closed when something arrives
for it. As in asyncio, ``abort()`` throws away what is in the write buffer and then closes; it is a reset
only if closing is.

What is not modelled: congestion control and fast retransmission, acknowledgements as packets (they are
computed, and neither wait in queues nor get lost), keep-alive, TIME-WAIT.
Segments wait in a link's queue however long it is.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
from asyncio import constants, protocols, transports
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .addresses import is_ipv6, is_loopback
from .end import End
from .options import AF_UNIX
from .protocols import ACCEPT, CONNECT, EXPIRE, REFUSE, RESET, TCP
from .sockets import SimulatedSocket

if TYPE_CHECKING:
    from .channel import Channel
    from .listener import Server
    from .loop import HostLoop
    from .stack import Stack
    from .wire import Packet

LOCAL_SEGMENT = 65483  # bytes of data in a packet, on the way to oneself
HEADERS = {4: 40, 6: 60}  # bytes: IP and TCP
WINDOW = 64 * 1024  # bytes that may be under way or unread, at first
LARGEST_WINDOW = 6 * 1024 * 1024
SHORTEST_ROUND_TRIP = 0.001  # seconds over which is counted how much was read
LONGEST_READ = 256 * 1024  # bytes that asyncio reads at once

SYN, SYN_ACK, ACK, DATA, FIN, RST = "tcp syn", "tcp syn-ack", "tcp ack", "tcp data", "tcp fin", "tcp rst"

SHORTEST_TIMEOUT = 0.2  # seconds until a lost segment is sent again, as in Linux
LONGEST_TIMEOUT = 120.0
SYN_TIMEOUT = 1.0
MOST_LOSSES = 15  # of one segment


class Segment:
    """One segment under way: what a packet carries. Those that are numbered arrive in order."""

    __slots__ = ("data", "index", "kind", "losses", "position", "received", "receiver", "sender")

    def __init__(self, kind: str, sender: StreamEnd, receiver: StreamEnd | None, data: bytes = b"") -> None:
        self.kind = kind
        self.sender = sender
        self.receiver = receiver  # a syn has none yet: it goes to a host
        self.data = data
        self.index = -1
        self.losses = 0
        self.position = sender.bytes_sent - len(data)
        """Where its data stands in all that was sent."""
        self.received = sender.bytes_arrived
        """What had come from the other side by then."""

    def send(self) -> None:
        """Start on the way, now."""
        packet = self._packet()
        self.sender.stack.count_sent(packet)
        self.sender.stack.emit(packet)

    def _packet(self) -> Packet:
        sender = self.sender
        packet: Packet = sender.stack.simulation.forms.Packet()
        packet.protocol, packet.kind = TCP, self.kind
        packet.size = sender.headers + len(self.data)
        packet.source, packet.target, packet.port = sender.source, sender.remote[0], sender.remote[1]
        packet.name, packet.target_name = sender.name, sender.remote_name
        packet.tos, packet.ttl = sender.tos, sender.ttl
        packet.data = self
        packet.waits = packet.tells = True
        return packet

    def arrive(self, stack: Stack, packet: Packet) -> None:
        """Give it to the other end, or to the host."""
        if self.receiver is not None:
            self.receiver.take(self)
        else:
            stack.streams.knock(self, packet)

    def lost(self, packet: Packet) -> None:
        """Come again after the time-out."""
        self.losses += 1
        opening = self.kind in (SYN, SYN_ACK)
        if self.kind == RST:
            if self.receiver is None or not self.receiver.is_connecting:
                return  # a reset is sent once; only a syn would be sent again, and refused again
            opening = True
        most = self.sender.socket.most_syn_losses if opening else MOST_LOSSES
        timeout = SYN_TIMEOUT if opening else max(SHORTEST_TIMEOUT, self.sender.round_trip)
        wait = min(timeout * 2 ** (self.losses - 1), LONGEST_TIMEOUT)
        later = self.sender.stack.simulation.call_later
        if self.losses > most:  # it waits for an answer to the last one as well
            later(wait, self._give_up, opening)
        else:
            later(wait, self._resend, packet.number)

    def _give_up(self, opening: bool) -> None:
        """It was lost too often."""
        if self.sender.dead and self.kind != RST:
            return
        if opening and self.receiver is not None:
            self.receiver.expire_unanswered(self.sender)
        else:
            self.sender.expire()

    def _resend(self, number: int) -> None:
        """Start once more, unless the connection has been given up meanwhile."""
        stack = self.sender.stack
        if not self.sender.dead or self.kind == RST:
            packet = self._packet()
            packet.number = number
            stack.sent += 1
            stack.bytes_sent += packet.size
            stack.note_again(packet)
            stack.emit(packet)


class StreamEnd(End):
    """One end of a connection, in the kernel of a simulated host."""

    def __init__(
        self,
        stack: Stack,
        remote_stack: Stack,
        local: Any,
        remote: Any,
        sock: SimulatedSocket | None = None,
    ) -> None:
        super().__init__(stack, remote_stack, local, remote, sock)
        self.headers = HEADERS[6 if is_ipv6(remote[0]) else 4]
        path, back = self._paths(remote[0], local[0])
        self.delay = sum(channel.delay for channel in path) / 1e9
        self.round_trip = self.delay + sum(channel.delay for channel in back) / 1e9
        self.peer: StreamEnd | None = None

        self.segment = min([channel.mtu - self.headers for channel in path], default=LOCAL_SEGMENT)
        self.window = WINDOW
        """How much the other side may send that was not read here."""
        self.send_buffer = LARGEST_WINDOW
        self._window_is_fixed = False
        self._read_since = 0.0  # from then on bytes are counted that were read, for a round trip
        self._read_bytes = 0
        self._acks: deque[float] = deque()  # when it will be known that segments have arrived
        self._unconfirmed = 0  # segments of data that are not known to have arrived
        self._waits_for_acks = False  # with something small
        self._next_index = 0
        self._under_way = 0  # bytes that have been sent and not been acknowledged
        self._acknowledged: deque[tuple[float, int]] = deque()  # when the sender will know, how many bytes
        self.bytes_sent: int = 0
        self.bytes_arrived: int = 0
        self._fin_sent = False
        self._wants_room = False
        self._room_timer: asyncio.TimerHandle | None = None

        self._expected = 0
        self._held: dict[int, Segment] = {}  # which have arrived before their turn
        self._arrived: deque[bytes] = deque()
        self._end_arrived = False

    # -- as its owner sees it: what a socket does ---------------------------------------------------

    def _paths(self, remote: str, local: str) -> tuple[tuple[Channel, ...], tuple[Channel, ...]]:
        """Return the ways to the other host and back, which may be behind the address of a translator."""
        if is_loopback(remote):
            return (), ()
        here, there = self.stack, self.remote_stack
        six = is_ipv6(remote)
        far = remote if there.has(remote) else (there.address6 if six else there.address)
        near = local if here.has(local) else (here.address6 if six else here.address)
        return here.path_to(there, far), there.path_to(here, near)

    def connect(self) -> asyncio.Future[None]:
        """Ask the other host for a connection."""
        self.connected = self.stack.loop.create_future()
        Segment(SYN, self, None).send()
        return self.connected

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Send as much as the window takes now; return how many bytes. Raises `OSError`."""
        self.raise_error()
        if self.dead or self._fin_sent or (self.socket.family == AF_UNIX and self._peer_is_gone):
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        now = self.stack.simulation.time
        acknowledged = self._acknowledged
        while acknowledged and acknowledged[0][0] <= now:
            self._under_way -= acknowledged.popleft()[1]
        view = memoryview(data)
        sent = 0
        room = min(self.peer.window, self.send_buffer) if self.peer is not None else self.send_buffer
        segment = self.segment if self.segment <= room else max(1, room // 2)  # as Linux does on its loopback
        while sent < len(view):
            piece = view[sent : sent + segment]
            if self._under_way + len(piece) > room:
                break
            if len(piece) < segment and self._under_way and not self.socket.nodelay and self._nagle(now):
                break
            self._under_way += len(piece)
            sent += len(piece)
            self.bytes_sent += len(piece)
            self._unconfirmed += 1
            self._send_in_order(DATA, bytes(piece))
        return sent

    @property
    def _peer_is_gone(self) -> bool:
        """The other end of a Unix socket is known to be closed at once."""
        return self.peer is not None and self.peer.closed

    def wait_for_room(self) -> None:
        """Have the transport called when the window takes something again."""
        self._wants_room = True
        if self._acknowledged and self._room_timer is None:
            loop = self.stack.loop
            when = max(self._acknowledged[0][0], loop.time())
            self._room_timer = loop.call_at(when, self._has_room, context=contextvars.Context())

    def receive(self, most: int) -> bytes:
        """Take what has arrived; no bytes mean the end. Raises `OSError`, `BlockingIOError` for nothing."""
        arrived = self._arrived
        if arrived:
            data = arrived.popleft()
            if arrived and len(data) < most:
                data += b"".join(arrived)
                arrived.clear()
            if len(data) > most:
                arrived.appendleft(data[most:])
                data = data[:most]
            self._grow_window(len(data))
            if self.peer is not None and not self.peer.dead:
                self.peer.acknowledge(len(data), self.stack.simulation.time + self.delay)
            return data
        self.raise_error()
        if self._end_arrived or self.dead:
            return b""
        raise BlockingIOError(errno.EAGAIN, "nothing has arrived")

    def _grow_window(self, count: int) -> None:
        """Let the other side send twice what was read here in a round trip, as Linux does."""
        if self._window_is_fixed:
            return
        now = self.stack.simulation.time
        self._read_bytes += count
        if now - self._read_since >= max(self.round_trip, SHORTEST_ROUND_TRIP):
            self.window = max(self.window, min(2 * self._read_bytes, LARGEST_WINDOW))
            self._read_since, self._read_bytes = now, 0

    def set_window(self, size: int) -> None:
        """Let the other side send so much that was not read here, and no more."""
        self.window, self._window_is_fixed = size, True

    def set_send_buffer(self, size: int) -> None:
        """Have so much under way, and no more."""
        self.send_buffer = size

    def _nagle(self, now: float) -> bool:
        """Say whether something small has to wait for those before it, until the other side has them all."""
        acks = self._acks
        while acks and acks[0] <= now:
            acks.popleft()
            self._unconfirmed -= 1
        self._waits_for_acks = self._unconfirmed > 0
        if self._waits_for_acks and acks:
            self._look_again_at(acks[-1])
        return self._waits_for_acks

    def _confirmed_at(self, when: float) -> None:
        """A segment has arrived at the other end, and at some time this one will know."""
        self._acks.append(when)
        if self._waits_for_acks:
            self._look_again_at(when)

    def _look_again_at(self, when: float) -> None:
        self.stack.simulation.call_later(max(0.0, when - self.stack.simulation.time), self.push)

    def push(self) -> None:
        """Small segments need not wait any more."""
        if self._waits_for_acks or self._wants_room:
            self._waits_for_acks = False
            self._has_room()

    def is_readable(self) -> bool:
        """Say whether there is something to receive: bytes, the end, an error."""
        return bool(self._arrived) or self._end_arrived or self.dead or self.error is not None

    def is_writable(self) -> bool:
        """Say whether there is room to send something."""
        if self.dead or self.error is not None or self._fin_sent:
            return True
        now = self.stack.simulation.time
        acknowledged = self._acknowledged
        while acknowledged and acknowledged[0][0] <= now:
            self._under_way -= acknowledged.popleft()[1]
        return self._under_way < min(self.peer.window if self.peer else WINDOW, self.send_buffer)

    def stop_receiving(self) -> None:
        """Nothing more will be read here: what comes is thrown away, and the end is read."""
        self._arrived.clear()
        self._end_arrived = True

    def count_not_arrived(self) -> int:
        """Return how many bytes were sent and have not arrived; a real kernel knows it one delay later."""
        return self.bytes_sent - (self.peer.bytes_arrived if self.peer is not None else 0)

    def shut_down(self) -> None:
        """Say that nothing more will be sent."""
        if not (self._fin_sent or self.dead):
            self._fin_sent = True
            self._send_in_order(FIN)

    def close(self) -> None:
        """Be done with it. What was sent goes on its way."""
        if self.closed:
            return
        self.closed = True
        self.owner = None
        self.stack.streams.forget_end(self)
        if self._arrived or self.socket.resets or self.peer is None:
            self.reset()
        else:
            self.shut_down()

    # -- as the network sees it -------------------------------------------------------------------

    def reset(self) -> None:
        """Give the connection up, and tell the other end."""
        if not self.dead:
            self.dead = True
            if self.peer is not None:
                Segment(RST, self, self.peer).send()

    def take(self, segment: Segment) -> None:
        """A segment has arrived."""
        kind = segment.kind
        if self.dead:
            if kind != RST:
                Segment(RST, self, segment.sender).send()
        elif kind == RST:
            self._be_reset()
        elif kind == SYN_ACK:
            self._be_connected(segment.sender)
        elif segment.index != self._expected:
            self._held[segment.index] = segment
        else:
            following: Segment | None = segment
            while following is not None and not self.dead:
                self._expected += 1
                self._take_in_order(following)
                following = self._held.pop(self._expected, None)
            if self.owner is not None:
                self.owner.readable()

    def acknowledge(self, count: int, when: float) -> None:
        """The other end has read some bytes, and at some time this one will know."""
        self._acknowledged.append((when, count))
        if self._wants_room:
            self.wait_for_room()

    def expire(self) -> None:
        """One segment was lost too often."""
        self.stack.note_end(EXPIRE, self.name, self.remote_name)
        self._fail(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))

    def expire_unanswered(self, answer: StreamEnd) -> None:
        """The answer to a syn was lost too often: of the two ends only the one who waits for it can tell."""
        answer.dead = True
        answer.stack.streams.forget_end(answer)
        if self.is_connecting:
            self.expire()

    def _send_in_order(self, kind: str, data: bytes = b"") -> None:
        segment = Segment(kind, self, self.peer, data)
        segment.index = self._next_index
        self._next_index += 1
        segment.send()

    def _be_connected(self, peer: StreamEnd) -> None:
        self.peer = peer
        if self.connected is None or self.connected.done():  # nobody waits for it any more
            self.reset()
            return
        self.stack.note_end(CONNECT, self.name, self.remote_name)
        self.connected.set_result(None)
        self._send_in_order(ACK)

    def _take_in_order(self, segment: Segment) -> None:
        if segment.kind == FIN:
            self._end_arrived = True
        elif segment.kind == ACK:
            if self.listener is None or not self.listener.is_open:
                self.reset()
            else:
                self.stack.note_end(ACCEPT, self.name, self.remote_name)
                self.listener.arrived(self)
        elif self.closed:
            self.reset()
        else:
            if not self._end_arrived:
                self._arrived.append(segment.data)
            self.bytes_arrived += len(segment.data)
            if self.peer is not None:
                self.peer._confirmed_at(self.stack.simulation.time + self.delay)

    def _be_reset(self) -> None:
        if self.is_connecting:
            assert self.connected is not None
            self.stack.note_end(REFUSE, self.name, self.remote_name)
            self._fail(self.refused())
            return
        self.stack.note_end(RESET, self.name, self.remote_name)
        if self._end_arrived:
            self._fail(BrokenPipeError(errno.EPIPE, "Broken pipe"))
        else:
            self._fail(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))

    def _fail(self, error: OSError) -> None:
        self.note_failure(error)
        if self._wants_room:
            self._has_room()

    def _has_room(self) -> None:
        self._wants_room = False
        if self._room_timer is not None:
            self._room_timer.cancel()
            self._room_timer = None
        if self.owner is not None:
            self.owner.writable()


class StreamTransport(transports._FlowControlMixin, asyncio.Transport):
    """A TCP connection, as asyncio's protocols see it: the same calls in the same order as on a real loop.

    It follows ``asyncio.selector_events._SelectorSocketTransport`` closely; read them side by side.
    """

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE

    def __init__(
        self,
        loop: HostLoop,
        end: End,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        server: Server | None = None,
    ) -> None:
        extra = {"socket": end.socket, "sockname": end.socket.local, "peername": end.socket.remote}
        super().__init__(extra, loop)
        self._loop = loop
        self._end = end
        self._server = server
        self._context = contextvars.copy_context()
        self._buffer = bytearray()
        self._closing = False
        self._losses = 0  # of the connection: set when the call of connection_lost is scheduled
        self._eof_written = False
        self._paused = False
        self._reads = False  # from connection_made to the end of what comes
        self._look_again: asyncio.Handle | None = None
        self._emptied: asyncio.Future[None] | None = None  # while a file is sent: the buffer is empty
        self.set_protocol(protocol)
        end.owner = self
        end.socket.used_by = self
        end.socket.setblocking(False)
        end.socket.set_nodelay()
        if server is not None:
            server._attach(self)
        loop.call_soon(self._protocol.connection_made, self)
        loop.call_soon(self._start_reading)
        if waiter is not None:
            loop.call_soon(set_result_unless_done, waiter)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See asyncio."""
        self._protocol: Any = protocol
        self._is_buffered = isinstance(protocol, protocols.BufferedProtocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See asyncio."""
        return self._protocol  # type: ignore[no-any-return]

    # -- reading ----------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        """See asyncio."""
        return not self._closing and not self._paused

    def pause_reading(self) -> None:
        """See asyncio."""
        if self.is_reading():
            self._paused = True
            self._end.read_by(None, self._context)

    def resume_reading(self) -> None:
        """See asyncio."""
        if self._paused and not self._closing:
            self._paused = False
            self._read_soon()
            if self._reads:
                self._end.read_by(self._read_at_once, self._context)

    def readable(self) -> None:
        """Something has arrived: bytes, the end, or an error."""
        if self._loop.is_frozen:
            self._read_soon()
        elif self._reads and not self._paused and not self._closing:
            self._end.stack.call(self._context, self._read)

    def _start_reading(self) -> None:
        self._reads = True
        self._read_soon()
        if self.is_reading():
            self._end.read_by(self._read_at_once, self._context)

    def _read_at_once(self) -> None:
        """Something has come, in a form that can be read without asking whether there is something."""
        if not self._reads or self._closing:
            return
        if self._is_buffered or not (data := self._end.read_now(LONGEST_READ)):
            self._read()
            return
        try:
            self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # as asyncio: whatever a protocol raises ends its connection
            self._fatal_error(error, "Fatal error: protocol.data_received() call failed.")
            return
        if self._end.has_more():
            self._read_soon()

    def _read_soon(self) -> None:
        if self._look_again is None:
            self._look_again = self._loop.call_soon(self._read_again, context=self._context)

    def _read_again(self) -> None:
        self._look_again = None
        if self._reads and self.is_reading():
            self._read()

    def _read(self) -> None:
        what = "get_buffer"
        try:
            if self._is_buffered:
                buffer = self._protocol.get_buffer(-1)
                if not len(buffer):
                    raise RuntimeError("the protocol's get_buffer() has returned a buffer without room")
            what = "read"
            data = self._end.receive(len(buffer) if self._is_buffered else LONGEST_READ)
            if not data:
                what = "eof_received"
                self._read_end()
                return
            if self._is_buffered:
                what = "buffer_updated"
                memoryview(buffer)[: len(data)] = data
                self._protocol.buffer_updated(len(data))
            else:
                what = "data_received"
                self._protocol.data_received(data)
        except BlockingIOError:
            if what != "read":
                raise
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # as asyncio: whatever a protocol raises ends its connection
            doing = "reading from simulated transport" if what == "read" else f"protocol.{what}() call"
            self._fatal_error(error, f"Fatal error: {doing} failed.")
            return
        if self._end.is_readable():
            self._read_soon()

    def _read_end(self) -> None:
        self._reads = False
        if not self._protocol.eof_received():
            self.close()

    # -- writing ----------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See asyncio."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"a connection carries bytes, and not {type(data).__name__}")
        if self._eof_written:
            raise RuntimeError("write() after write_eof(): this half has ended")
        if self._emptied is not None:
            raise RuntimeError("unable to write; sendfile is in progress")  # asyncio's words
        self._put(data)

    def _put(self, data: bytes | bytearray | memoryview) -> None:
        if not data:
            return
        if self._losses:
            self._losses += 1
            return
        if not self._buffer:
            data = memoryview(data).cast("B")
            try:
                data = data[self._end.send(data) :]
            except OSError as error:
                self._fatal_error(error, "Fatal write error on simulated transport")
                return
            if not data:
                return
            self._end.wait_for_room()
        self._buffer += data
        self._maybe_pause_protocol()  # type: ignore[attr-defined]

    def writelines(self, list_of_data: Any) -> None:
        """See asyncio."""
        self.write(b"".join(list_of_data))

    def writable(self) -> None:
        """The window takes something again, or there is an error."""
        if self._loop.is_frozen:
            self._loop.call_soon(self.writable, context=self._context)
        elif self._buffer and not self._losses:
            self._end.stack.call(self._context, self._write_rest)

    def _write_rest(self) -> None:
        try:
            sent = self._end.send(self._buffer)
        except OSError as error:
            self._buffer.clear()
            self._fatal_error(error, "Fatal write error on simulated transport")
            return
        del self._buffer[:sent]
        self._maybe_resume_protocol()  # type: ignore[attr-defined]  # which may write more
        if self._emptied is not None and not self._buffer:
            set_result_unless_done(self._emptied)
        if self._buffer:
            self._end.wait_for_room()
        elif self._closing:
            self._losses += 1
            self._call_connection_lost(None)
        elif self._eof_written:
            self._end.shut_down()

    async def send_blocks(self, read: Callable[[], Awaitable[bytes]]) -> int:
        """Send blocks until there is an empty one, while nobody else may write; return how many bytes.

        Raises `ConnectionError` when the connection is lost.
        """
        if self._emptied is not None:
            raise RuntimeError("sendfile is in progress already on this transport")
        total = 0
        was_reading = self.is_reading()
        self.pause_reading()
        try:
            await self._until_empty()
            while data := await read():
                self._put(data)
                await self._until_empty()
                total += len(data)
        finally:
            self._emptied = None
            if was_reading:
                self.resume_reading()
        return total

    async def _until_empty(self) -> None:
        self._emptied = self._loop.create_future()
        if self._losses:
            raise ConnectionError("Connection is closed by peer")
        if self._buffer:
            await self._emptied

    def write_eof(self) -> None:
        """See asyncio."""
        if not (self._closing or self._eof_written):
            self._eof_written = True
            if not self._buffer:
                self._end.shut_down()

    def can_write_eof(self) -> bool:
        """See asyncio."""
        return True

    def get_write_buffer_size(self) -> int:
        """See asyncio."""
        return len(self._buffer)

    # -- the end ----------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """See asyncio."""
        return self._closing

    def close(self) -> None:
        """See asyncio."""
        if self._closing:
            return
        self._closing = True
        if not self._buffer:
            self._losses += 1
            self._loop.call_soon(self._call_connection_lost, None)

    def abort(self) -> None:
        """See asyncio."""
        self._force_close(None)

    def cut_off(self) -> None:
        """The program has ended: the kernel closes the socket, and nobody is told."""
        self._closing = True
        self._losses += 1

    def _fatal_error(self, error: BaseException, message: str) -> None:
        if not isinstance(error, OSError):
            self._loop.call_exception_handler(
                {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
            )
        self._force_close(error)

    def _force_close(self, error: BaseException | None) -> None:
        if self._losses:
            return
        self._buffer.clear()
        self._closing = True
        self._losses += 1
        self._loop.call_soon(self._call_connection_lost, error)

    def _call_connection_lost(self, error: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            if self._emptied is not None and not self._emptied.done():
                self._emptied.set_exception(error or ConnectionError("Connection is closed by peer"))
            self._end.close()
            self._end.socket._fileno = -1
            self._end.socket.used_by = None
            if self._server is not None:
                self._server._detach(self)
                self._server = None

    def __repr__(self) -> str:
        state = " closing" if self._closing else " paused" if self._paused else ""
        ends = f"{self._end.name} to {self._end.remote_name}"
        return f"<simulated TCP {ends}{state}, {len(self._buffer)} B to write>"


def set_result_unless_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
