"""The event loop of one simulated host.

Whatever uses asyncio's own interface, a transport of `kamaelia.net` or any library, finds here the loop
    that it knows: `create_server`, `create_connection`, `create_datagram_endpoint`, name resolution. Only
    that the sockets lead into the simulation, and time is virtual. All hosts' loops share one clock.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
from asyncio import events, sslproto
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..axon import VirtualLoop
from .sockets import LOOPBACK, Address, SimulatedSocket

if TYPE_CHECKING:
    import ssl as ssl_module

    from .stack import Stack
    from .stream import StreamEnd

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class HostLoop(VirtualLoop):
    """An asyncio loop whose network is simulated. Made for each host by `Network.simulate`.

    It has TCP, UDP and TLS (with asyncio's own code), IPv4 only, and Unix sockets; no pipes, signals or
    programs. Of real sockets it knows only those that were given to ``sock_connect`` before, as some
    libraries do: they stand for a simulated connection and are never used.
    """

    network = "a simulated host has TCP and UDP through create_connection, create_server and their like"

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack.simulation.clock)
        self.stack = stack
        self._tasks: dict[asyncio.Future[Any], None] = {}  # those not done, in the order of their making
        self._connected: dict[int, StreamEnd] = {}  # by the file number of the real socket that stands for it

    # -- tasks ------------------------------------------------------------------------------------

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> Any:  # type: ignore[override]
        """See asyncio."""
        task = super().create_task(coro, **options)
        if not task.done():
            self._tasks[task] = None
            task.add_done_callback(self._forget_task)
        return task

    def _forget_task(self, task: asyncio.Future[Any]) -> None:
        self._tasks.pop(task, None)

    async def end_tasks(self) -> None:
        """Cancel all tasks but this one and wait for them, as `asyncio.run` does at its end."""
        left = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for task in left:
            if not task.cancelled() and task.exception() is not None:
                self.call_exception_handler(
                    {
                        "message": f"unhandled exception during the end of simulated host {self.stack.name}",
                        "exception": task.exception(),
                        "task": task,
                    }
                )
        await self.shutdown_asyncgens()
        await self.shutdown_default_executor()

    # -- names ------------------------------------------------------------------------------------

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: str | bytes | None,
        port: str | bytes | int | None,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[Any, Any, int, str, Address]]:
        """See asyncio. Knows the hosts of the network by name."""
        if family not in (socket.AF_UNSPEC, socket.AF_INET):
            raise socket.gaierror(socket.EAI_FAMILY, "simulated networks have IPv4 only")
        if host is None:
            address = "0.0.0.0" if flags & socket.AI_PASSIVE else "127.0.0.1"
        else:
            address = self.stack.look_up(host)
        number = _port(port)
        kinds = [(socket.SOCK_STREAM, socket.IPPROTO_TCP), (socket.SOCK_DGRAM, socket.IPPROTO_UDP)]
        return [
            (socket.AF_INET, kind, proto or own_proto, "", (address, number))
            for kind, own_proto in kinds
            if type in (0, kind)
        ]

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """See asyncio."""
        host, port = sockaddr[:2]
        if flags & socket.NI_NUMERICHOST:
            return host, str(port)
        stack = self.stack.simulation.by_address.get(host)
        if stack is None and flags & socket.NI_NAMEREQD:
            raise socket.gaierror(socket.EAI_NONAME, f"no host of this network has the address {host}")
        return (stack.name if stack is not None else host), str(port)

    # -- TCP --------------------------------------------------------------------------------------

    async def create_connection(
        self,
        protocol_factory: ProtocolFactory,
        host: str | bytes | None = None,
        port: int | str | None = None,
        *,
        ssl: ssl_module.SSLContext | bool | None = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: Any = None,
        local_addr: Any = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
    ) -> tuple[Any, Any]:
        """See asyncio. Raises `socket.gaierror` for an unknown name, `OSError` when no links lead there."""
        if server_hostname is None and ssl:
            if not host:
                raise ValueError(
                    "create_connection(ssl=...): without a host, server_hostname says whose certificate it is"
                )
            server_hostname = host if isinstance(host, str) else host.decode("ascii")
        if sock is not None:
            if host is not None or port is not None:
                raise ValueError("create_connection: give a host and port or a connected sock, not both")
            end = self._connected.pop(sock.fileno(), None)
            if end is None:
                raise _no_real_socket("create_connection(sock=...)")
            sock.close()
        elif host is None and port is None:
            raise ValueError("create_connection: give a host and port, or a connected sock")
        else:
            local = await self._local_address(local_addr, family, flags)
            (info, *_) = await self.getaddrinfo(
                host, port, family=family, type=socket.SOCK_STREAM, flags=flags
            )
            end = await self.stack.connect(*info[4], local)
        waiter = self.create_future()
        try:
            protocol = protocol_factory()
            transport = self._make_transport(
                end,
                protocol,
                waiter,
                ssl=ssl,
                server_hostname=server_hostname,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
            )
        except BaseException:
            end.close()
            raise
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """See asyncio. From now on the real socket stands for a simulated connection."""
        if sock.type != socket.SOCK_STREAM:
            raise _no_real_socket("sock_connect() of a datagram socket")
        self._connected[sock.fileno()] = await self.stack.connect(*address[:2])

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: ProtocolFactory,
        host: str | Sequence[str] | None = None,
        port: int | str | None = None,
        *,
        family: int = 0,
        flags: int = socket.AI_PASSIVE,
        sock: Any = None,
        backlog: int = 100,
        ssl: ssl_module.SSLContext | None = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Server:
        """See asyncio. Whatever of the host's addresses it listens on, it is reached by all of them."""
        if isinstance(ssl, bool):
            raise TypeError(
                "create_server(ssl=...): a server needs an ssl.SSLContext, which holds its certificate"
            )
        if sock is not None:
            raise _no_real_socket("create_server(sock=...)")
        if host is None and port is None:
            raise ValueError("create_server: give a host or a port")
        hosts: Iterable[Any] = [host] if host is None or isinstance(host, (str, bytes)) else host
        addresses = [self.stack.own_address(one) for one in hosts]
        number = self.stack.stream_port(_port(port), reuse_port=bool(reuse_port))
        local = (addresses[0] if len(dict.fromkeys(addresses)) == 1 else "0.0.0.0", number)
        timeouts = {
            "ssl_handshake_timeout": ssl_handshake_timeout,
            "ssl_shutdown_timeout": ssl_shutdown_timeout,
        }
        listener = Listener(self, local, protocol_factory, bool(reuse_port), {"ssl": ssl, **timeouts})
        server = listener.server
        if start_serving:
            await server.start_serving()
        return server

    def _make_transport(
        self,
        end: StreamEnd,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None,
        *,
        server: Server | None = None,
        server_hostname: str | None = None,
        ssl: ssl_module.SSLContext | bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Any:
        from .stream import StreamTransport

        if not ssl:
            return StreamTransport(self, end, protocol, waiter, server)
        tls = sslproto.SSLProtocol(
            self,
            protocol,
            None if isinstance(ssl, bool) else ssl,  # type: ignore[arg-type]
            waiter,  # type: ignore[arg-type]
            server is not None,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,  # type: ignore[arg-type]
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        StreamTransport(self, end, tls, None, server)
        return tls._app_transport

    # -- Unix sockets -------------------------------------------------------------------------------

    async def create_unix_connection(
        self,
        protocol_factory: ProtocolFactory,
        path: str | None = None,
        *,
        ssl: ssl_module.SSLContext | bool | None = None,
        sock: Any = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[Any, Any]:
        """See asyncio. A path is known on its own host only; it is no file."""
        if sock is not None:
            raise _no_real_socket("create_unix_connection(sock=...)")
        if path is None:
            raise ValueError("create_unix_connection: give the path of the socket")
        end = await self.stack.connect("127.0.0.1", self.stack.unix_port(path))
        end.socket.be_unix("", path)
        waiter = self.create_future()
        transport = self._make_transport(
            end,
            (protocol := protocol_factory()),
            waiter,
            ssl=ssl,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def create_unix_server(  # type: ignore[override]
        self,
        protocol_factory: ProtocolFactory,
        path: str | None = None,
        *,
        sock: Any = None,
        backlog: int = 100,
        ssl: ssl_module.SSLContext | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Server:
        """See asyncio. A path is known on its own host only; it is no file."""
        if sock is not None:
            raise _no_real_socket("create_unix_server(sock=...)")
        if path is None:
            raise ValueError("create_unix_server: give the path of the socket")
        local = (LOOPBACK, self.stack.take_unix_path(path))
        timeouts = {
            "ssl_handshake_timeout": ssl_handshake_timeout,
            "ssl_shutdown_timeout": ssl_shutdown_timeout,
        }
        listener = Listener(self, local, protocol_factory, False, {"ssl": ssl, **timeouts}, path)
        if start_serving:
            await listener.server.start_serving()
        return listener.server

    # -- UDP --------------------------------------------------------------------------------------

    async def create_datagram_endpoint(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: Any = None,
        remote_addr: Any = None,
        *,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        reuse_port: bool | None = None,
        allow_broadcast: bool | None = None,
        sock: Any = None,
    ) -> tuple[Any, Any]:
        """See asyncio."""
        from .datagram import DatagramTransport
        from .multicast import is_group

        if sock is not None:
            raise _no_real_socket("create_datagram_endpoint(sock=...)")
        if local_addr is None and remote_addr is None and family == 0:
            raise ValueError("a datagram endpoint without addresses needs family=socket.AF_INET")
        if local_addr is not None and is_group(local_addr[0]):
            local = (local_addr[0], _port(local_addr[1]))
        else:
            local = await self._local_address(local_addr, family, flags) or ("0.0.0.0", 0)
        remote: Address | None = None
        if remote_addr is not None:
            infos = await self.getaddrinfo(
                *remote_addr[:2], family=family, type=socket.SOCK_DGRAM, flags=flags
            )
            remote = infos[0][4]
            if not is_group(remote[0]):
                stack, remote = self.stack.resolve(*remote)
                self.stack.path_to(stack)
            local = (self.stack.source_address(remote), local[1])
        port = self.stack.datagram_port(local, reuse_port=bool(reuse_port))
        simulated = SimulatedSocket(socket.SOCK_DGRAM, (local[0], port), remote)
        protocol = protocol_factory()
        transport = DatagramTransport(self.stack, protocol, simulated, remote, reuse_port=bool(reuse_port))
        self.stack.add_datagram_socket(transport)
        waiter = self.create_future()
        transport.start(waiter)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def _local_address(self, address: Any, family: int, flags: int) -> Address | None:
        if address is None:
            return None
        host, port = address[:2]
        if family not in (socket.AF_UNSPEC, socket.AF_INET):
            raise socket.gaierror(socket.EAI_FAMILY, "simulated networks have IPv4 only")
        return self.stack.own_address(host), _port(port)


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
    ) -> None:
        self.port = local[1]
        self.path = path
        """Of a Unix socket."""
        self.reuse_port = reuse_port
        self.socket = SimulatedSocket(socket.SOCK_STREAM, local)
        if path is not None:
            self.socket.be_unix(path, None)
        self.server = Server(loop, self)
        self.is_open = False
        self._loop = loop
        self._protocol_factory = protocol_factory
        self._options = options
        self._context = contextvars.copy_context()

    def open(self) -> None:
        """Begin to accept."""
        if not self.is_open:
            self.is_open = True
            self._loop.stack.listen(self)

    def close(self) -> None:
        """Accept no more."""
        if self.path is not None:
            self._loop.stack.leave_unix_path(self.path, self.port)
        if self.is_open:
            self.is_open = False
            self._loop.stack.stop_listening(self)

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

    def __init__(self, loop: HostLoop, listener: Listener) -> None:
        self._loop = loop
        self._listener = listener
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

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """See asyncio."""
        return self._loop

    def is_serving(self) -> bool:
        """See asyncio."""
        return self._listener.is_open

    @property
    def sockets(self) -> tuple[Any, ...]:
        """See asyncio."""
        return () if self._closed else (self._listener.socket,)

    def close(self) -> None:
        """See asyncio."""
        if not self._closed:
            self._closed = True
            self._listener.close()
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
            self._listener.open()
        await asyncio.sleep(0)

    async def serve_forever(self) -> None:
        """See asyncio."""
        if self._forever is not None:
            raise RuntimeError(f"{self!r}: serve_forever() is under way already")
        if self._closed:
            raise RuntimeError(f"{self!r} has been closed")
        self._listener.open()
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
        return f"<simulated server on {self._loop.stack.name}:{self._listener.port}>"


def _port(port: str | bytes | int | None) -> int:
    if port is None or port in ("", b""):
        return 0
    try:
        number = int(port)
    except ValueError:
        raise socket.gaierror(
            socket.EAI_SERVICE,
            f"{port!r}: simulated networks know no names of services, write a number",
        ) from None
    if not 0 <= number <= 65535:
        raise OverflowError(f"port must be 0-65535, not {number}")
    return number


def _no_real_socket(what: str) -> NotImplementedError:
    return NotImplementedError(f"{what}: a simulated host has no real sockets; give host and port")
