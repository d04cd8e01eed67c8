"""A network in memory, on virtual time: two transports and a wire of a known size between them.

What a test here needs of a network is that it can be counted to the byte: how much fits into the wire, when a
byte moves, and what happens when one side breaks. (`kamaelia.testbed` has networks with rates, delays and
losses.)
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from typing import Any

from kamaelia.axon import VirtualLoop
from kamaelia.net.kernel import SO_NWRITE

CHUNK = 64 * 1024


class Transport(asyncio.Transport):
    """One end. What is written goes into the wire as far as there is room, the rest waits here."""

    def __init__(self, loop: Wire, protocol: asyncio.Protocol, local: Any, remote: Any) -> None:
        super().__init__({"sockname": local, "peername": remote, "socket": Socket(self)})
        self.loop, self.protocol = loop, protocol
        self.other: Transport
        self.buffer = bytearray()  # written, and not in the wire yet
        self.wire = bytearray()  # on its way to us, or arrived and not read yet
        self.reading = True
        self.closing = self.eof_written = self.eof_sent = self.eof_told = self.over = False
        self.paused_writing = False
        self.resets = False  # closing is a reset
        self.broken = False  # the other end has reset the connection, and our loop has not read of it yet
        self.high = self.low = CHUNK
        self.peak = 0  # the most that has waited in `buffer`

    # -- asyncio's interface ----------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        assert not self.eof_written, "written after the end of stream"
        if self.over or self.closing:
            return
        self.buffer += data
        self._move()
        self.peak = max(self.peak, len(self.buffer))
        if len(self.buffer) > self.high and not self.paused_writing:
            self.paused_writing = True
            self.protocol.pause_writing()

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = CHUNK if high is None else high
        self.low = self.high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self.broken:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        self.eof_written = True
        self._move()

    def is_closing(self) -> bool:
        return self.closing or self.over

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        if not self.reading:
            self.reading = True
            self._soon()

    def close(self) -> None:
        self.closing = True
        self.eof_written = True
        self._move()

    def abort(self) -> None:
        """Close without sending what waits here; what is in the wire arrives, as with a real socket."""
        self.buffer.clear()
        self.close()

    # -- the wire ---------------------------------------------------------------------------------

    def reset(self) -> None:
        """The other end has reset the connection."""
        if not self.over:
            self.buffer.clear()
            self._lose(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))

    def be_reset(self) -> None:
        """The other end has reset the connection; the loop hears of it after what came before."""
        self.broken = True
        self._soon()

    def _soon(self) -> None:
        self.loop.call_soon(self._deliver)

    def _move(self) -> None:
        """Put as much into the wire as fits."""
        other = self.other
        if other.over:
            if self.buffer:
                self.loop.call_soon(self.reset)
            elif self.closing:
                self._lose(None)
            return
        room = self.loop.capacity - len(other.wire)
        if room > 0 and self.buffer:
            other.wire += self.buffer[:room]
            del self.buffer[:room]
            other._soon()
        if not self.buffer and self.eof_written:
            if self.closing and self.resets:
                other.be_reset()
            elif not self.eof_sent:
                self.eof_sent = True
                other._soon()
            if self.closing:
                if self.wire:  # closed with unread bytes: an operating system resets the connection then
                    self.loop.call_soon(other.reset)
                self._lose(None)
        if self.paused_writing and len(self.buffer) <= self.low:
            self.paused_writing = False
            self.loop.call_soon(self.protocol.resume_writing)

    def _deliver(self) -> None:
        if self.over or not self.reading or self.closing:
            return
        if self.wire:
            data = bytes(self.wire[:CHUNK])
            del self.wire[:CHUNK]
            self.protocol.data_received(data)
            self.other._move()
            self._soon()
        elif self.broken:
            self.reset()
        elif self.other.eof_sent and not self.eof_told:
            self.eof_told = True
            if not self.protocol.eof_received():
                self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self.over:
            self.over = self.closing = True
            self.loop.open.pop(self, None)
            self.loop.call_soon(self.protocol.connection_lost, error)


class Socket:
    """What a transport says its socket is: of its options those that are used."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def fileno(self) -> int:
        return -1

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            assert struct.unpack("ii", value) == (1, 0)
            self.transport.resets = True

    def getsockopt(self, level: int, option: int) -> int:
        assert (level, option) == (socket.SOL_SOCKET, SO_NWRITE)
        if self.transport.loop.blind:
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")
        return len(self.transport.other.wire)


class Listener:
    """What `create_server` returns."""

    def __init__(self, loop: Wire, factory: Any, address: tuple[str, int]) -> None:
        self.loop, self.factory, self.address = loop, factory, address
        self.sockets = [self]

    def getsockname(self) -> tuple[str, int]:
        return self.address

    def setsockopt(self, *option: Any) -> None:
        """Take any: nothing here has buffers of an operating system."""

    async def start_serving(self) -> None:
        """It does already."""

    def close(self) -> None:
        self.loop.listeners.pop(self.address, None)


class Wire(VirtualLoop):
    """A virtual loop with such transports; `capacity` bytes fit into the wire in each direction."""

    def __init__(self, capacity: int = CHUNK) -> None:
        super().__init__()
        self.capacity = capacity
        self.listeners: dict[tuple[str, int], Listener] = {}
        self.open: dict[Transport, None] = {}
        self.blind = False  # sockets do not say what has not arrived
        self.silent: set[tuple[str, int]] = set()  # addresses that never answer
        self.last_port = 40000

    async def create_server(self, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if (host, port) in self.listeners:
            raise OSError(errno.EADDRINUSE, "address in use")
        listener = self.listeners[host, port] = Listener(self, factory, (host, port))
        return listener

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    async def create_connection(
        self, factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        if (host, port) in self.silent:
            await asyncio.sleep(1e9)
        await asyncio.sleep(0.001)
        listener = self.listeners.get((host, port))
        if listener is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        self.last_port += 1
        near = Transport(self, factory(), ("127.0.0.1", self.last_port), (host, port))
        far = Transport(self, listener.factory(), (host, port), ("127.0.0.1", self.last_port))
        near.other, far.other = far, near
        self.open |= {near: None, far: None}
        for transport in (far, near):
            transport.protocol.connection_made(transport)
        return near, near.protocol
