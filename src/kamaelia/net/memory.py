"""Connections within one system: no socket, no port, no operating system.

What has a connection of its own for each client, but need not leave the program, is served like any other:
`MemoryServer` takes the same ``protocol`` as `TCPServer`, `MemoryClient` is to it what `TCPClient` is to
that. Both are made of the same parts; only the two transports are of another kind, and joined to each other.

Between the two fit so many bytes each way; what does not fit is not taken, as a socket would not take it.
They end as sockets do, too, so that nobody who is served can tell: closing says "end of stream", unless a
reset was asked for or there is something that nobody has read; a reset comes behind what came before, or at
once to who writes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Unpack

from kamaelia.axon import NameTaken, Outbox
from kamaelia.axon.arguments import check_name

from .client import ClientOptions, StreamClient
from .errors import CannotListen
from .kernel import LINGER, SO_NWRITE
from .server import ServerOptions, StreamServer

CAPACITY = 64 * 1024  # bytes that are on their way, in each direction


class MemoryServer(StreamServer):
    """Serves clients of the same system, and makes a protocol component for each who connects.

    Everything is as with `TCPServer`, whose ``protocol`` and other arguments it takes, but that who connects
    is in the same system, and finds the server by a name.

    Arguments:
        protocol: the component for a connection: a class, a component (made again from its recipe), a factory
        name: of the service, as `MemoryClient` names it
        options: of `TCPServer`: ``limit``, ``idle_timeout``, ``stall_timeout``, ``linger``, ``size``, ...

    Boxes: ``listening`` sends the name once the server is there, ``failures`` a `Failure` for each component
    that failed. Raises `CannotListen` if the name is taken; `LinkError` for a protocol that does not take and
    send bytes.

    Example:
        >>> from kamaelia import Component, run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.net import MemoryClient, MemoryServer
        >>> class Visit(Component):
        ...     async def main(self):
        ...         print(await (Source([b"hello"]) | MemoryClient("loud") | Collect()).run())
        ...         self.system.stop()
        >>> _ = run(MemoryServer(Map(bytes.upper), "loud", quiet=True), Visit())
        [b'HELLO']
    """

    listening = Outbox[str]("the name, once, when the server is there", optional=True)

    def __init__(self, protocol: Any, name: str, **options: Unpack[ServerOptions]) -> None:
        check_name(f"MemoryServer(name={name!r})", name, "the name of the service")
        super().__init__(protocol, **options)
        self._name = name

    async def _listen(self, make: Callable[[], asyncio.BaseProtocol]) -> Listener:
        listener = Listener(make)
        try:
            self.system.names.offer(service_name(self._name), listener, self)
        except NameTaken as error:
            raise CannotListen(f"{self.path}: {error}") from error
        return listener

    def _addresses_of(self, server: Any) -> list[str]:
        return [self._name]


class MemoryClient(StreamClient):
    """Connects to a `MemoryServer` of the same system: what arrives in the inbox goes there, what comes from
    there goes to the outbox.

    Everything is as with `TCPClient`, whose arguments it takes. A server that is not there yet is waited for.

    Arguments:
        name: of the service
        options: of `TCPClient`: ``reconnect``, ``connect_timeout``, ``idle_timeout``, ``stall_timeout``, ...

    Raises `CannotConnect` and `ConnectionLost`. For an example see `MemoryServer`.

    Example:
        >>> MemoryClient("loud")
        MemoryClient('loud')
    """

    def __init__(self, name: str, **options: Unpack[ClientOptions]) -> None:
        check_name(f"MemoryClient(name={name!r})", name, "the name of the service")
        super().__init__(**options)
        self._name = name

    async def _dial(self, make: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        listener: Listener = await self.system.names.ask(service_name(self._name))
        return listener.connect(make, self._name)

    @property
    def _server(self) -> str:
        return self._name


def service_name(name: str) -> str:
    """Return the name under which a server is offered: other kinds of services may have the same."""
    return f"{name} (connections)"


class Listener:
    """What a server in memory listens with."""

    def __init__(self, make: Callable[[], asyncio.BaseProtocol]) -> None:
        self._make = make
        self._closed = False
        self.sockets: list[Any] = []

    def connect(self, make: Callable[[], asyncio.Protocol], name: str) -> asyncio.Protocol:
        """Join a protocol of a client with one of the server. Raises `ConnectionRefusedError`."""
        if self._closed:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        client, server = make(), self._make()
        near, far = MemoryTransport(client, name), MemoryTransport(server, name)
        near.other, far.other = far, near
        client.connection_made(near)
        server.connection_made(far)
        return client

    def close(self) -> None:
        """Accept no more."""
        self._closed = True


class MemorySocket:
    """What there is of a socket in memory: what `kernel` asks of one."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.resets = False
        """Closing it is a reset."""
        self._transport = transport

    def fileno(self) -> int:
        """Return -1: there is no file behind it."""
        return -1

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Set an option; only ``SO_LINGER`` means something here."""
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            on, seconds = struct.unpack(LINGER, value)
            self.resets = bool(on) and seconds == 0

    def getsockopt(self, level: int, option: int) -> int:
        """Return how many bytes have not arrived, for the option that asks so."""
        asks = (level, option) == (socket.SOL_SOCKET, SO_NWRITE)
        return self._transport.get_write_buffer_size() if asks else 0


class MemoryTransport(asyncio.Transport):
    """One end of a connection in memory."""

    def __init__(self, protocol: Any, name: str) -> None:
        self._socket = MemorySocket(self)
        super().__init__({"peername": name, "sockname": name, "socket": self._socket})
        self.other: MemoryTransport
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._coming: deque[bytes] = deque()  # what the other end has written, and nobody has been given
        self._size = 0  # of that
        self._ended = False  # behind that, the other end has ended its half
        self._told = False  # and the protocol has heard of it
        self._reset = False  # behind that, the other end has reset the connection
        self._reading = True
        self._scheduled = False
        self._write_ended = False
        self._waiting: deque[bytes] = deque()  # what has been written, and has no room on the way
        self._waiting_size = 0
        self._high = CAPACITY
        self._paused = False
        self._closing = False
        self._lost = False

    # -- asyncio's methods ------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See asyncio."""
        if self.is_closing() or not data:
            return
        if self._write_ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.other._lost:
            self._be_reset(at_once=self._reset)  # it has been told already, unless this is the first
            return
        self._waiting.append(bytes(data))
        self._waiting_size += len(self._waiting[-1])
        self._send()
        if self._waiting_size > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def write_eof(self) -> None:
        """See asyncio."""
        if not self.is_closing():
            self._write_ended = True
            self._send()

    def can_write_eof(self) -> bool:
        """See asyncio."""
        return True

    def close(self) -> None:
        """See asyncio."""
        if not self.is_closing():
            self._closing = True
            self._send()

    def abort(self) -> None:
        """See asyncio. What is on its way arrives."""
        self._lose(None)

    def is_closing(self) -> bool:
        """See asyncio."""
        return self._closing or self._lost

    def pause_reading(self) -> None:
        """See asyncio."""
        self._reading = False

    def resume_reading(self) -> None:
        """See asyncio."""
        self._reading = True
        self._schedule()

    def is_reading(self) -> bool:
        """See asyncio."""
        return self._reading

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See asyncio. It is low when all is on its way."""
        self._high = CAPACITY if high is None else high

    def get_write_buffer_size(self) -> int:
        """See asyncio."""
        return self._waiting_size

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See asyncio."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See asyncio."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    # -- machinery --------------------------------------------------------------------------------

    def _send(self) -> None:
        """Put on the way what has room there."""
        other = self.other
        while self._waiting and other._size < CAPACITY:
            data = self._waiting.popleft()
            room = CAPACITY - other._size
            if len(data) > room:
                self._waiting.appendleft(data[room:])
                data = data[:room]
            self._waiting_size -= len(data)
            other._coming.append(data)
            other._size += len(data)
        if self._write_ended and not self._waiting:
            other._ended = True
        other._schedule()
        if self._closing and not self._waiting:
            self._lose(None)
        elif self._paused and not self._waiting:
            self._paused = False
            self._protocol.resume_writing()

    def _schedule(self) -> None:
        news = self._coming or (self._ended and not self._told) or self._reset
        if news and not self._scheduled and self._reading and not self._lost:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Give the protocol what has come, as far as it reads."""
        self._scheduled = False
        while self._coming and self._reading and not self.is_closing():
            data = self._coming.popleft()
            self._size -= len(data)
            self._protocol.data_received(data)
        if not self._lost and not self.other._lost:
            self.other._send()
        if self._coming or not self._reading or self.is_closing():
            return
        if self._ended and not self._told:
            self._told = True
            if not self._protocol.eof_received():
                self.close()
            self._schedule()
        elif self._reset:
            self._be_reset(at_once=True)

    def _be_reset(self, *, at_once: bool) -> None:
        """The other end has gone, and will not take what this one sends, or has sent."""
        self._reset = True
        if at_once:
            self._lose(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
        else:
            self._schedule()

    def _lose(self, error: Exception | None) -> None:
        """The connection is over for this end; the other hears of an end, or of a reset."""
        if self._lost:
            return
        self._lost = True
        # What nobody has read is no proper end: sockets reset the connection then, too.
        resets = self._socket.resets or bool(self._coming)
        self._coming.clear()
        self._waiting.clear()
        self._waiting_size = 0
        other = self.other
        if not other._lost:
            if resets or other._waiting:
                other._be_reset(at_once=bool(other._waiting))
            else:
                other._ended = True
                other._schedule()
        self._loop.call_soon(self._protocol.connection_lost, error)
