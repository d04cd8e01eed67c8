"""One end of a connection that is packets, as Linux sends them: what its socket or transport calls.

The protocol itself is `tcp`, which knows nothing of sockets, hosts or links. Here is what the rest of a
kernel does for it: a port, a place among the connections of its host, a way to the other side, and names for
errors.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .addresses import is_ipv6, socket_address
from .end import End
from .options import (
    TCP_CONGESTION,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_QUICKACK,
    TCP_SYNCNT,
    TCP_USER_TIMEOUT,
    congestion_name,
    number_in,
)
from .protocols import ACCEPT, CONNECT, EXPIRE, REFUSE, RESET, TCP
from .tcp.connection import CONNECTED, FAILED, OVER, READABLE, WRITABLE

if TYPE_CHECKING:
    from .sockets import SimulatedSocket
    from .stack import Stack
    from .tcp.segment import Segment

IP_HEADERS = {4: 20, 6: 40}
TCP_HEADER = 20
SECOND = 1_000_000_000  # nanoseconds
LOCAL_MTU = 65535  # bytes of a packet on the way to oneself


class PacketEnd(End):
    """See the module."""

    def __init__(
        self,
        stack: Stack,
        remote_stack: Stack,
        local: Any,
        remote: Any,
        sock: SimulatedSocket | None = None,
    ) -> None:
        super().__init__(stack, remote_stack, local, remote, sock)
        simulation = stack.simulation
        tcp = simulation.forms.tcp
        address = remote[0]
        self.ip_header = IP_HEADERS[6 if is_ipv6(address) else 4]
        way = stack.way_to(address)
        if way is None:
            raise OSError(
                errno.EHOSTUNREACH, f"no route to host: no links lead from {stack.name} to {self.remote_name}"
            )
        mtu = LOCAL_MTU if way is stack else stack.mtu_to(address, way)
        self.mss = min(mtu - self.ip_header - TCP_HEADER, 65535)
        first = int(simulation.first_numbers.random() * 2**32)
        self.connection = tcp.Connection(stack.tcp_settings, first, self.mss)
        template = self.template = simulation.forms.Packet()
        template.number = template.size = 0
        template.kind, template.data, template.protocol = "", None, TCP
        template.source, template.target, template.port = self.source, address, remote[1]
        template.name, template.target_name = self.name, self.remote_name
        template.flow = (self.source, address, remote[1], TCP)
        self.key = (self.port, local[0], socket_address(address, remote[1], self._family(address)))
        self.endpoint = tcp.Endpoint(
            self.connection, stack, template, self.ip_header, self, simulation.call_at
        )
        self.read_now = self.endpoint.read  # type: ignore[method-assign]
        self.has_more = self.connection.is_readable  # type: ignore[method-assign]
        stack.streams.add_connection(self)

    @staticmethod
    def _family(address: str) -> int:
        return socket.AF_INET6 if is_ipv6(address) else socket.AF_INET

    # -- as its owner sees it: what a socket does -----------------------------------------------------

    def connect(self) -> asyncio.Future[None]:
        """Ask the other host for a connection."""
        self.take_options()
        self.connected = self.stack.loop.create_future()
        self.endpoint.open()
        return self.connected

    def accept(self, segment: Segment) -> None:
        """Answer one that asks for a connection."""
        self.endpoint.accept(segment)

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Send as much as there is room for now; return how many bytes. Raises `OSError`."""
        self.raise_error()
        if self.dead or self.connection.sender.ends:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        room = self.connection.room()
        if room <= 0:
            return 0
        if len(data) > room:
            data = memoryview(data)[:room]
        return self.endpoint.send(bytes(data))  # type: ignore[no-any-return]

    def wait_for_room(self) -> None:
        """Have the transport called when there is room again."""
        self.connection.wants_room = True

    def read_by(self, reader: Callable[[], None] | None, context: contextvars.Context) -> None:
        """See `End`."""
        self.endpoint.reader, self.endpoint.context = reader, context

    def receive(self, most: int) -> bytes:
        """Take what has arrived; no bytes mean the end. Raises `OSError`, `BlockingIOError` for nothing."""
        data: bytes = self.endpoint.read(most)
        if data:
            return data
        self.raise_error()
        if self.connection.has_ended() or self.dead or self.stops_receiving:
            return b""
        raise BlockingIOError(errno.EAGAIN, "nothing has arrived")

    stops_receiving = False

    def stop_receiving(self) -> None:
        """Nothing more will be read here: what comes is thrown away, and the end is read."""
        self.stops_receiving = True
        while self.endpoint.read(2**20):
            pass

    def is_readable(self) -> bool:
        """Say whether there is something to receive: bytes, the end, an error."""
        return self.connection.is_readable() or self.dead or self.error is not None or self.stops_receiving

    def is_writable(self) -> bool:
        """Say whether there is room to send something."""
        connection = self.connection
        return self.dead or self.error is not None or connection.sender.ends or connection.is_writable()

    def count_not_arrived(self) -> int:
        """Return how many bytes were sent and have not been acknowledged."""
        return self.connection.sender.waiting()  # type: ignore[no-any-return]

    def shut_down(self) -> None:
        """Say that nothing more will be sent."""
        self.connection.shut_down(self._now)
        self.endpoint.follow_up()

    def close(self) -> None:
        """Be done with it. What was sent goes on its way."""
        if self.closed:
            return
        self.closed = True
        self.owner = self.endpoint.reader = None
        if self.socket.resets:
            self.connection.abort(self._now)
        else:
            self.connection.close(self._now)
        self.endpoint.follow_up()

    def reset(self) -> None:
        """Break it off, and tell the other end."""
        self.dead = True
        self.connection.abort(self._now)
        self.endpoint.follow_up()

    def vanish(self) -> None:
        """See `End`."""
        self.connection.end()
        self.connection.events = 0
        self.connection.out.clear()
        super().vanish()

    @property
    def _now(self) -> int:
        return self.stack.fabric.clock.now

    # -- options ----------------------------------------------------------------------------------------

    @property
    def segment(self) -> int:  # type: ignore[override]
        """Bytes of data in a segment."""
        return self.connection.sender.mss  # type: ignore[no-any-return]

    def push(self) -> None:
        """Small segments need not wait any more."""
        self.connection.sender.nodelay = True
        self.connection.flush()
        self.endpoint.follow_up()

    def set_window(self, size: int) -> None:
        """See `End`."""
        self.connection.receiver.fix_buffer(2 * size)

    def set_send_buffer(self, size: int) -> None:
        """See `End`."""
        self.connection.send_buffer = 2 * size
        self.connection.send_buffer_is_fixed = True

    def set_tos(self, tos: int) -> None:
        """See `End`: what marks are for is left to the protocol."""
        self.tos = tos & ~3
        self.template.tos = self.tos

    def set_ttl(self, ttl: int) -> None:
        """See `End`."""
        super().set_ttl(ttl)
        self.template.ttl = self.ttl

    def take_options(self) -> None:
        """See `End`."""
        super().take_options()
        sock = self.socket
        self.connection.sender.nodelay = sock.nodelay
        for (level, option), value in (sock.options or {}).items():
            self.option_was_set(level, option, value)

    def info(self) -> bytes:
        """Return what ``TCP_INFO`` tells: Linux's ``struct tcp_info``, up to ``tcpi_total_retrans``."""
        connection = self.connection
        sender, board = connection.sender, connection.sender.board
        trip, window = sender.trip, sender.window
        return struct.pack(
            "8B24I",
            (2, 3, 1, 4, 5, 8, 11, 9, 6, 7)[connection.state],
            sender.state,
            min(sender.expiries, 255),
            sender.probes & 255,
            min(sender.backoff, 255),
            1 | 2 | 4 | (8 if sender.ecn else 0),
            connection.receiver.scale << 4 | connection.receiver.scale,
            0,
            sender.timeout() // 1000,
            0,
            sender.mss,
            connection.receiver.full_size,
            board.out(),
            board.sacked_out,
            board.lost_out,
            board.again_out,
            0,
            (self._now - sender.last_sent) // 1_000_000,
            0,
            (self._now - connection.receiver.last_came) // 1_000_000,
            (self._now - connection.heard_at) // 1_000_000,
            self.mss + TCP_HEADER + self.ip_header,
            connection.receiver.offered_most,
            (trip.smoothed >> 3) // 1000,
            (trip.deviation >> 2) // 1000,
            min(window.threshold, 0x7FFFFFFF),
            window.size,
            self.mss,
            sender.reordering,
            connection.receiver.round_trip // 1000,
            connection.receiver.space,
            sender.resent,
        )

    def option_was_set(self, level: int, option: int, value: Any) -> None:
        """Do what an option says that has been set on its socket."""
        connection = self.connection
        if level == socket.SOL_SOCKET:
            if option == socket.SO_KEEPALIVE:
                connection.keep_alive(bool(number_in(value)), self._now)
        elif level != socket.IPPROTO_TCP:
            return
        elif option == TCP_CONGESTION:
            connection.sender.use(congestion_name(value))
        elif option == TCP_KEEPIDLE:
            connection.keep_idle_for(number_in(value) * SECOND, self._now)
        elif option == TCP_KEEPINTVL:
            connection.keep_between = number_in(value) * SECOND
        elif option == TCP_KEEPCNT:
            connection.keep_count = number_in(value)
        elif option == TCP_QUICKACK:
            connection.acknowledge_quickly(bool(number_in(value)), self._now)
        elif option == TCP_SYNCNT:
            connection.syn_retries = number_in(value)
        elif option == TCP_USER_TIMEOUT:
            connection.user_timeout = number_in(value) * 1_000_000
        self.endpoint.follow_up()

    # -- as the network sees it -------------------------------------------------------------------

    def take_mtu(self, mtu: int) -> None:
        """Packets have to be smaller than they were."""
        self.connection.take_mtu(mtu - self.ip_header - TCP_HEADER, self._now)
        self.endpoint.follow_up()

    def hear_of_trouble(self, number: int) -> None:
        """A packet could not be delivered."""
        self.connection.hear_of_trouble(number, self._now)
        self.endpoint.follow_up()

    def is_full(self) -> bool:
        """Say whether the listener has no room for it now."""
        return self.listener is not None and self.listener.is_full

    def asked_again(self, segment: Segment) -> None:
        """Somebody asks for a connection from the same port, while this one is only kept for latecomers."""
        connection = self.connection
        newer = segment.stamp > connection.recent or segment.seq > connection.receiver.nxt
        if newer:
            self.stack.streams.forget_connection(self)
            connection.end()
            self.stack.streams.knock_with(segment, self.source[0], self.port, self.key[2])

    def happened(self, events: int) -> None:
        """Something has happened to the connection."""
        if events & CONNECTED:
            self._be_connected()
        if events & FAILED:
            self._fail(self.connection.error)
        elif self.owner is not None:
            if events & READABLE:
                self.owner.readable()
            if events & WRITABLE and self.owner is not None:
                self.owner.writable()
        if events & OVER:
            self.stack.streams.forget_connection(self)

    def _be_connected(self) -> None:
        if self.listener is not None:
            if not self.listener.is_open:
                self.reset()
                return
            self.stack.note_end(ACCEPT, self.name, self.remote_name)
            self.listener.arrived(self)
        elif self.connected is None or self.connected.done():  # nobody waits for it any more
            self.reset()
        else:
            self.stack.note_end(CONNECT, self.name, self.remote_name)
            self.connected.set_result(None)

    def _fail(self, number: int) -> None:
        error: OSError
        if self.is_connecting and number == errno.ECONNREFUSED:
            self.stack.note_end(REFUSE, self.name, self.remote_name)
            error = self.refused()
        elif number in (errno.ETIMEDOUT, errno.ENETUNREACH):
            self.stack.note_end(EXPIRE, self.name, self.remote_name)
            error = OSError(number, os.strerror(number))
        else:
            self.stack.note_end(RESET, self.name, self.remote_name)
            error = OSError(number, os.strerror(number))
        owner = self.owner
        self.note_failure(error)
        if owner is not None:
            owner.writable()
