"""Servers of simulated hosts: ports on which connections are accepted."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from asyncio import events
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .addresses import is_any, is_ipv6, is_loopback, unmapped
from .options import AF_UNIX
from .protocols import LISTEN

if TYPE_CHECKING:
    from .end import End
    from .loop import HostLoop
    from .sockets import SimulatedSocket

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class Listener:
    """The kernel's part of a socket that listens."""

    __slots__ = ("_queue", "accepts", "backlog", "is_open", "socket")

    def __init__(self, sock: SimulatedSocket, backlog: int) -> None:
        self.socket = sock
        self.backlog = backlog
        """One more than this may wait to be accepted, as in Linux; who comes then is not answered, and tries
        again. Those whose handshakes are under way do not count."""
        self.accepts: Callable[[End], object] | None = None
        """Called with each connection, where nobody asks for them one by one."""
        self.is_open = False
        self._queue: deque[End] = deque()

    @property
    def port(self) -> int:
        """Its port; of a Unix socket the one that stands for its path."""
        if self.socket.family == AF_UNIX:
            return self.socket.unix_port
        return self.socket.local[1]  # type: ignore[no-any-return]

    def hears(self, host: str) -> bool:
        """Say whether it is asked when somebody connects to an address of its host."""
        sock = self.socket
        if sock.family == AF_UNIX:
            return True
        if is_ipv6(host) != (sock.family == socket.AF_INET6):
            return sock.family == socket.AF_INET6 and not sock.only6
        own = sock.local[0]
        return is_any(own) or is_loopback(own) or unmapped(own) == host

    @property
    def is_full(self) -> bool:
        """Too many wait already."""
        return len(self._queue) > self.backlog

    def open(self) -> None:
        """Begin to accept."""
        if not self.is_open:
            self.is_open = True
            self.socket.node.streams.listen(self)

    def close(self) -> None:
        """Accept no more; those that wait are reset."""
        if self.is_open:
            self.is_open = False
            self.socket.node.streams.stop_listening(self)
        while self._queue:
            self._queue.popleft().reset()

    def arrived(self, end: End) -> None:
        """A connection is made."""
        if self.accepts is not None:
            self.accepts(end)
        else:
            self._queue.append(end)
            self.socket.readable()

    def serve(self, accepts: Callable[[End], object]) -> None:
        """Have somebody be given each connection, and those that wait already."""
        self.accepts = accepts
        while self._queue:
            accepts(self._queue.popleft())

    def take(self) -> End | None:
        """Return the first connection that waits, if there is one."""
        return self._queue.popleft() if self._queue else None

    def has_connection(self) -> bool:
        """Say whether a connection waits."""
        return bool(self._queue)


class Server(events.AbstractServer):
    """What ``create_server`` returns, with the behaviour of asyncio's own since 3.12 on every interpreter.

    (Up to 3.11 asyncio's ``wait_closed`` does not wait for connections. A trace shall not depend on that.)
    """

    def __init__(
        self,
        loop: HostLoop,
        sockets: list[SimulatedSocket],
        protocol_factory: ProtocolFactory,
        options: dict[str, Any],
        backlog: int,
    ) -> None:
        self._loop = loop
        self._sockets: list[SimulatedSocket] | None = sockets
        self._protocol_factory = protocol_factory
        self._options = options
        self._backlog = backlog
        self._context = contextvars.copy_context()
        self._transports: dict[Any, None] = {}
        self._is_open = False
        self._closed = False
        self._waiters: list[asyncio.Future[None]] | None = []
        self._forever: asyncio.Future[None] | None = None

    def _accept(self, end: End) -> None:
        self._loop.call_soon(self._make_transport, end, context=self._context)

    def _make_transport(self, end: End) -> None:
        try:
            protocol = self._protocol_factory()
            self._loop._make_transport(end, protocol, None, server=self, **self._options)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler(
                {"message": "Error on transport creation for incoming connection", "exception": error}
            )
            end.close()

    def _attach(self, transport: Any) -> None:
        self._transports[transport] = None

    def _detach(self, transport: Any) -> None:
        self._transports.pop(transport, None)
        self._wake_up()

    def _wake_up(self) -> None:
        if self._closed and not self._transports:
            waiters, self._waiters = self._waiters, None
            for waiter in waiters or ():
                if not waiter.done():
                    waiter.set_result(None)

    def _open(self) -> None:
        if self._is_open:
            return
        self._is_open = True
        ports: dict[int, None] = {}
        for one in self._sockets or ():
            one.listen(self._backlog)
            assert one.listener is not None
            one.listener.serve(self._accept)
            ports[one.listener.port] = None
        stack = self._loop.stack
        for port in ports:
            stack.note_end(LISTEN, f"{stack.name}:{port}")

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """See asyncio."""
        return self._loop

    def is_serving(self) -> bool:
        """See asyncio."""
        return self._is_open and not self._closed

    @property
    def sockets(self) -> tuple[Any, ...]:
        """See asyncio."""
        return tuple(self._sockets or ())

    def close(self) -> None:
        """See asyncio."""
        if not self._closed:
            self._closed = True
            sockets, self._sockets = self._sockets, None
            for one in sockets or ():
                one.close()
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
            raise RuntimeError(f"{self!r} is closed")
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
        if self._waiters is not None:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def __repr__(self) -> str:
        where = ", ".join(str(one.getsockname()) for one in self._sockets or ())
        return f"<simulated server on {self._loop.stack.name}{f': {where}' if where else ', closed'}>"
