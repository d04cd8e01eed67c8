"""Servers of simulated hosts: ports on which connections are accepted."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from asyncio import events
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .addresses import Address, is_any, is_ipv6, is_loopback, socket_address, unmapped
from .protocols import LISTEN
from .sockets import SimulatedSocket

if TYPE_CHECKING:
    from .loop import HostLoop
    from .stream import StreamEnd

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class Listener:
    """A port on which a server accepts connections."""

    def __init__(
        self,
        loop: HostLoop,
        local: Address,
        protocol_factory: ProtocolFactory,
        reuse_port: bool,
        options: dict[str, Any],
        path: str | None = None,
        *,
        only6: bool = True,
    ) -> None:
        self.host: str = local[0]
        self.port: int = local[1]
        self.path = path
        """Of a Unix socket."""
        self.reuse_port = reuse_port
        self.family = socket.AF_INET6 if is_ipv6(local[0]) else socket.AF_INET
        self.only6 = only6
        shown = socket_address(local[0], local[1], self.family)
        self.socket = SimulatedSocket(socket.SOCK_STREAM, shown, None, self.family, only6=only6)
        if path is not None:
            self.socket.be_unix(path, None)
        self.server: Server = None  # type: ignore[assignment]  # which sets it
        self.is_open = False
        self._loop = loop
        self._protocol_factory = protocol_factory
        self._options = options
        self._context = contextvars.copy_context()

    def hears(self, host: str) -> bool:
        """Say whether it is asked when somebody connects to an address of its host."""
        if is_ipv6(host) != (self.family == socket.AF_INET6):
            return self.family == socket.AF_INET6 and not self.only6
        return is_any(self.host) or is_loopback(self.host) or unmapped(self.host) == host

    def open(self) -> None:
        """Begin to accept."""
        if not self.is_open:
            self.is_open = True
            self._loop.stack.streams.listen(self)

    def close(self) -> None:
        """Accept no more."""
        if self.path is not None:
            self._loop.stack.streams.leave_unix_path(self.path, self.port)
        if self.is_open:
            self.is_open = False
            self._loop.stack.streams.stop_listening(self)

    def accept(self, end: StreamEnd) -> None:
        """Make a transport for a connection."""
        self._loop.call_soon(self._accept, end, context=self._context)

    def _accept(self, end: StreamEnd) -> None:
        if self.path is not None:
            end.socket.be_unix(self.path, "")
        try:
            protocol = self._protocol_factory()
            self._loop._make_transport(end, protocol, None, server=self.server, **self._options)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler(
                {"message": "Error on transport creation for incoming connection", "exception": error}
            )
            end.close()


class Server(events.AbstractServer):
    """What ``create_server`` returns, with the behaviour of asyncio's own since 3.12 on every interpreter.

    (Up to 3.11 asyncio's ``wait_closed`` does not wait for connections. A trace shall not depend on that.)
    """

    def __init__(self, loop: HostLoop, listeners: list[Listener]) -> None:
        self._loop = loop
        self._listeners = listeners
        for listener in listeners:
            listener.server = self
        self._transports: dict[Any, None] = {}
        self._closed = False
        self._waiters: list[asyncio.Future[None]] = []
        self._forever: asyncio.Future[None] | None = None

    def _attach(self, transport: Any) -> None:
        self._transports[transport] = None

    def _detach(self, transport: Any) -> None:
        self._transports.pop(transport, None)
        self._wake_up()

    def _wake_up(self) -> None:
        if self._closed and not self._transports:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _open(self) -> None:
        ports = dict.fromkeys(listener.port for listener in self._listeners if not listener.is_open)
        for listener in self._listeners:
            listener.open()
        stack = self._loop.stack
        for port in ports:
            stack.note_end(LISTEN, f"{stack.name}:{port}")

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """See asyncio."""
        return self._loop

    def is_serving(self) -> bool:
        """See asyncio."""
        return any(listener.is_open for listener in self._listeners)

    @property
    def sockets(self) -> tuple[Any, ...]:
        """See asyncio."""
        return () if self._closed else tuple(listener.socket for listener in self._listeners)

    def close(self) -> None:
        """See asyncio."""
        if not self._closed:
            self._closed = True
            for listener in self._listeners:
                listener.close()
            if self._forever is not None and not self._forever.done():
                self._forever.cancel()
            self._wake_up()

    def close_clients(self) -> None:
        """See asyncio (3.13)."""
        for transport in list(self._transports):
            transport.close()

    def abort_clients(self) -> None:
        """See asyncio (3.13)."""
        for transport in list(self._transports):
            transport.abort()

    async def start_serving(self) -> None:
        """See asyncio."""
        if not self._closed:
            self._open()
        await asyncio.sleep(0)

    async def serve_forever(self) -> None:
        """See asyncio."""
        if self._forever is not None:
            raise RuntimeError(f"{self!r}: serve_forever() is under way already")
        if self._closed:
            raise RuntimeError(f"{self!r} has been closed")
        self._open()
        self._forever = self._loop.create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise
        finally:
            self._forever = None

    async def wait_closed(self) -> None:
        """See asyncio."""
        if not self._closed or self._transports:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def __repr__(self) -> str:
        return f"<simulated server on {self._loop.stack.name}:{self._listeners[0].port}>"
