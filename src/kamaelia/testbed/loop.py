"""The event loop of one simulated host.

Whatever uses asyncio's own interface, a transport of `kamaelia.net` or any library, finds here the loop
    that it knows: `create_server`, `create_connection`, `create_datagram_endpoint`, name resolution. Only
    that the sockets lead into the simulation, and time is virtual. All hosts' loops share one clock.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import itertools
import socket
from asyncio import base_events, sslproto
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

from ..axon import VirtualLoop
from ..axon.clock import nanoseconds
from ..axon.errors import suggestion
from . import stand_ins
from .addresses import (
    ANY,
    ANY6,
    LOOPBACK,
    LOOPBACK6,
    Address,
    family_of,
    is_group,
    socket_address,
    unmapped,
)
from .futures import HostFuture, HostTask
from .listener import ProtocolFactory, Server
from .options import AF_UNIX, POLLNVAL, SO_REUSEPORT, TYPE_FLAGS
from .sockets import FAMILIES, TYPES, SimulatedSocket, Watch, unix_name

if TYPE_CHECKING:
    import ssl as ssl_module

    from .disk import MountedDisk
    from .end import End
    from .stack import Stack


FILE_BLOCK = 256 * 1024  # bytes that are read of a file at once


class HostLoop(VirtualLoop):
    """An asyncio loop whose network is simulated. Made for each host by `Network.simulate`.

    It has TCP, UDP and TLS (with asyncio's own code), and Unix sockets; no pipes, signals or programs, and no
    real sockets.
    """

    is_simulated_host = True
    fields = ("_tasks", "numbered", "seed", "stack")
    seed: int | str
    """Of what is drawn on it by Python's own means (`stand_ins`)."""
    disk: MountedDisk | None = None
    """What `kamaelia.file` asks for files; None for this machine."""
    network = "a simulated host has TCP and UDP through create_connection, create_server and their like"

    _drift = 0.0  # by which share its clock goes too fast
    _zero = 0.0  # what it showed ...
    _zero_at = 0  # ... at this time

    def __init__(self, stack: Stack) -> None:
        self.stack = stack  # first: asyncio's debugging asks for the thread
        super().__init__(stack.simulation.clock)
        self.numbered = 0  # see `next_number`
        # Those not done, in the order of their making; made when there are any.
        self._tasks: dict[asyncio.Future[Any], None] | None = None

    def next_number(self) -> int:
        """Return a number that an object of this host has for its hash (`futures`, `stand_ins.order`).

        asyncio keeps the tasks of all loops in one set. If all hosts counted from 1, to end them would take
        time that grows with the square of their number.
        """
        self.numbered = (self.numbered or crc32(self.stack.name.encode()) << 12) + 1
        return self.numbered

    # -- faults -----------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Let nothing happen here, until `thaw`."""
        if not self.is_frozen:
            self.is_frozen = True
            self._aside: list[Any] | None = []
            self.clock.frozen += 1

    def thaw(self) -> None:
        """Let happen what was put aside, and go on."""
        if self.is_frozen and self._aside is not None:
            self.is_frozen = False
            self.clock.frozen -= 1
            for happening in self._aside:
                self.clock.add_ready(happening)
            self._aside = None

    def kill(self) -> None:
        """Let nothing happen here ever again."""
        self.freeze()
        self._aside = None

    def put_aside(self, happening: Any) -> None:
        """Keep something that was to happen, for `thaw`."""
        if self._aside is not None:
            self._aside.append(happening)

    def set_clock(self, skew: float | None, drift: float | None) -> None:
        """Have wrong clocks: a calendar that is off by some seconds; all go too fast by some share."""
        if skew is not None:
            self.skew = skew
        if drift is not None:
            self._zero += (self.clock.now - self._zero_at) / 1e9 * (1 + self._drift)
            self._zero_at = self.clock.now
            self._drift = drift
            self.have_own_time()
            # of this loop alone: the others' methods stay as quick as they are
            self.time = self._own_time  # type: ignore[method-assign]
            self.call_at = self._call_at  # type: ignore[method-assign]
            self.call_in = self._call_in  # type: ignore[method-assign]

    def _own_time(self) -> float:
        """Return what this host's clock shows."""
        return self._shown(self.clock.now)

    def _call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        if when is None:
            raise TypeError("call_at(when): a time in seconds, and not None")
        self._check_closed()
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        handle._scheduled = True  # type: ignore[attr-defined]
        self.clock.add_timer(self._instant(when), handle)
        return handle

    def _call_in(self, seconds: float, callback: Callable[..., object]) -> Any:
        return self.call_at(self.time() + seconds, callback)

    def _instant(self, when: float) -> int:
        """Return the first nanosecond at which this host's clock shows a time."""
        ahead = (when - self._zero) / (1 + self._drift)
        found = self._zero_at + nanoseconds(max(0.0, ahead))
        while found > self.clock.now and self._shown(found - 1) >= when:
            found -= 1
        while self._shown(found) < when:
            found += 1
        return found

    def _shown(self, now: int) -> float:
        return self._zero + (now - self._zero_at) / 1e9 * (1 + self._drift)

    @property
    def _thread_id(self) -> int | None:  # asyncio takes a loop that has one for running
        return self.stack.simulation.thread or None

    @_thread_id.setter
    def _thread_id(self, thread: int | None) -> None:  # by run_forever(), where nobody simulates a network
        self.stack.simulation.thread = thread or 0

    # -- tasks ------------------------------------------------------------------------------------

    def create_future(self) -> asyncio.Future[Any]:
        """See asyncio."""
        return HostFuture(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> Any:  # type: ignore[override]
        """See asyncio."""
        if self._task_factory is None:
            self._check_closed()
            task: Any = HostTask(coro, loop=self, **options)
        else:
            task = super().create_task(coro, **options)
        if not task.done():
            if self._tasks is None:
                self._tasks = {}
            self._tasks[task] = None
            task.add_done_callback(self._forget_task)
        return task

    def tasks_in_order(self) -> Sequence[asyncio.Future[Any]]:
        """Return the tasks that are not done, in the order of their making."""
        return [task for task in self._tasks if not task.done()] if self._tasks else ()

    def _forget_task(self, task: asyncio.Future[Any]) -> None:
        assert self._tasks is not None
        self._tasks.pop(task, None)

    @property
    def is_bare(self) -> bool:
        """Nothing was begun on it that `end_tasks` would end."""
        return not self._tasks and not self.__dict__.keys() & ("_asyncgens", "_default_executor")

    async def end_tasks(self) -> None:
        """Cancel all tasks but this one and wait for them, as `asyncio.run` does at its end."""
        left = [task for task in self.tasks_in_order() if task is not asyncio.current_task()]
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

    # -- threads ----------------------------------------------------------------------------------

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        """See asyncio. What the thread does is this host's doing."""
        if self._debug:
            self._check_callback(func, "run_in_executor")

        def work() -> Any:
            with stand_ins.this_thread_works_for(self):
                return func(*args)

        with stand_ins.allowed():
            return super().run_in_executor(executor, work)

    # -- sockets ----------------------------------------------------------------------------------

    def make_socket(
        self, family: int, kind: int, proto: int = 0, fileno: int | None = None
    ) -> SimulatedSocket:
        """Return what ``socket.socket()`` is on this host. Raises `OSError` for kinds that it has not."""
        if fileno is not None:
            raise OSError(errno.EBADF, "socket(fileno=...): there are no files behind simulated sockets")
        family = socket.AF_INET if family == -1 else family
        kind = socket.SOCK_STREAM if kind == -1 else kind & ~TYPE_FLAGS
        if family not in FAMILIES:
            raise OSError(
                errno.EAFNOSUPPORT, f"simulated hosts have no sockets of {family!r}: IPv4, IPv6, Unix"
            )
        if kind not in TYPES or (family == AF_UNIX and kind == socket.SOCK_DGRAM):
            raise OSError(
                errno.EPROTONOSUPPORT,
                f"simulated hosts have no sockets of {socket.AddressFamily(family).name} "
                f"and {kind!r}: there are SOCK_STREAM, and SOCK_DGRAM of IP",
            )
        if family != AF_UNIX and proto not in (0, -1, TYPES[socket.SocketKind(kind)]):
            raise OSError(errno.EPROTONOSUPPORT, f"simulated hosts do not have protocol {proto}")
        made = SimulatedSocket(self.stack, kind, family=family)
        made.proto = max(0, proto)
        return made

    def make_socket_pair(self) -> tuple[SimulatedSocket, SimulatedSocket]:
        """Return what ``socket.socketpair()`` is on this host: two connected Unix sockets."""
        return self.stack.streams.pair()

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """See asyncio. Who is cancelled leaves the socket connecting, as on a real loop."""
        self._use_socket(sock, "sock_connect")
        try:
            sock.connect(address)
        except BlockingIOError:
            while sock.is_connecting:
                await sock.wait(to_write=True)
            number = sock.take_error()
            if number:
                raise OSError(number, f"Connect call failed {address}") from None

    async def sock_accept(self, sock: Any) -> Any:
        """See asyncio."""
        made, address = await self._until_done(sock, "sock_accept", False, lambda: sock.accept())
        made.setblocking(False)
        return made, address

    async def sock_recv(self, sock: Any, nbytes: int) -> Any:
        """See asyncio."""
        return await self._until_done(sock, "sock_recv", False, lambda: sock.recv(nbytes))

    async def sock_recv_into(self, sock: Any, buf: Any) -> Any:
        """See asyncio."""
        return await self._until_done(sock, "sock_recv_into", False, lambda: sock.recv_into(buf))

    async def sock_recvfrom(self, sock: Any, bufsize: int) -> Any:
        """See asyncio."""
        return await self._until_done(sock, "sock_recvfrom", False, lambda: sock.recvfrom(bufsize))

    async def sock_recvfrom_into(self, sock: Any, buf: Any, nbytes: int = 0) -> Any:
        """See asyncio."""
        return await self._until_done(
            sock, "sock_recvfrom_into", False, lambda: sock.recvfrom_into(buf, nbytes)
        )

    async def sock_sendto(self, sock: Any, data: Any, address: Any) -> Any:
        """See asyncio."""
        return await self._until_done(sock, "sock_sendto", True, lambda: sock.sendto(data, address))

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        """See asyncio."""
        self._use_socket(sock, "sock_sendall")
        view = memoryview(data).cast("B")
        while len(view):
            sent = await self._until_done(sock, "sock_sendall", True, functools.partial(sock.send, view))
            view = view[sent:]

    async def _until_done(self, sock: Any, what: str, to_write: bool, call: Callable[[], Any]) -> Any:
        """Call a socket until it need not wait."""
        self._use_socket(sock, what)
        while True:
            try:
                return call()
            except BlockingIOError:
                await sock.wait(to_write=to_write)

    sock_sendfile = base_events.BaseEventLoop.sock_sendfile  # which reads the file and sends what it has read

    async def _sendfile_native(self, transport: Any, file: Any, offset: int, count: int | None) -> int:
        """Send a file on a transport; called by asyncio's ``sendfile``."""
        end = None if count is None else offset + count

        async def read() -> bytes:
            size = FILE_BLOCK if end is None else min(FILE_BLOCK, end - file.tell())
            return await self.run_in_executor(None, file.read, size)  # type: ignore[no-any-return]

        file.seek(offset)
        return await transport.send_blocks(read)  # type: ignore[no-any-return]

    def _use_socket(self, sock: Any, what: str) -> None:
        """Have a socket be one that does not block, as it has to be."""
        _check_socket(sock, None, what)
        if self._debug and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")  # asyncio's words
        sock.setblocking(False)

    def add_reader(  # type: ignore[override]
        self, fd: Any, callback: Callable[..., object], *args: Any
    ) -> asyncio.Handle:
        """See asyncio."""
        self._check_closed()
        watch = self._watch(fd, "add_reader")
        if watch.reader is not None:
            watch.reader.cancel()
        watch.reader = handle = asyncio.Handle(callback, args, self, None)
        watch.look()
        return handle

    def add_writer(  # type: ignore[override]
        self, fd: Any, callback: Callable[..., object], *args: Any
    ) -> asyncio.Handle:
        """See asyncio."""
        self._check_closed()
        watch = self._watch(fd, "add_writer")
        if watch.writer is not None:
            watch.writer.cancel()
        watch.writer = handle = asyncio.Handle(callback, args, self, None)
        watch.look()
        return handle

    def remove_reader(self, fd: Any) -> bool:
        """See asyncio."""
        if self.is_closed():
            return False
        watch = self._watch(fd, "remove_reader")
        before, watch.reader = watch.reader, None
        if before is not None:
            before.cancel()
        return before is not None

    def remove_writer(self, fd: Any) -> bool:
        """See asyncio."""
        if self.is_closed():
            return False
        watch = self._watch(fd, "remove_writer")
        before, watch.writer = watch.writer, None
        if before is not None:
            before.cancel()
        return before is not None

    def _watch(self, fd: Any, what: str) -> Watch:
        sock = self._socket_of(fd)
        if sock is None:
            raise ValueError(f"{what}({fd!r}): this is no socket of a simulated host, and no number of one")
        if sock.used_by is not None:
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {sock.used_by!r}")
        if sock.watch is None:
            sock.watch = Watch(sock)
        return sock.watch

    def _socket_of(self, fd: Any) -> SimulatedSocket | None:
        if isinstance(fd, SimulatedSocket):
            return fd
        return self.stack.simulation.socket_numbered(fd) if isinstance(fd, int) else None

    def poll(self, number: int) -> int:
        """Return for what a simulated socket is ready, by its number, as the bits of ``select.poll``."""
        sock = self.stack.simulation.socket_numbered(number)
        return POLLNVAL if sock is None or sock.is_closed else sock.poll()

    async def connect_accepted_socket(  # type: ignore[override]
        self,
        protocol_factory: ProtocolFactory,
        sock: Any,
        *,
        ssl: ssl_module.SSLContext | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[Any, Any]:
        """See asyncio."""
        _check_tls(ssl, None, ssl_handshake_timeout, ssl_shutdown_timeout)
        _check_socket(sock, socket.SOCK_STREAM, "connect_accepted_socket")
        end = _end_of(sock, "connect_accepted_socket")
        return await self._open(
            end,
            protocol_factory,
            is_server=True,
            ssl=ssl,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

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
        if family not in (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6):
            raise socket.gaierror(
                socket.EAI_FAMILY, "ai_family not supported: a simulated host has IPv4 and IPv6"
            )
        if host is None or host in ("", b""):
            addresses = [ANY, ANY6] if flags & socket.AI_PASSIVE else [LOOPBACK6, LOOPBACK]
        else:
            addresses = self.stack.look_up(host)
        number = _port(port)
        fitting = [one for one in addresses if family in (socket.AF_UNSPEC, family_of(one))]
        if not fitting and family == socket.AF_INET6 and flags & socket.AI_V4MAPPED:
            fitting = [f"::ffff:{one}" for one in addresses]
        if not fitting:
            raise socket.gaierror(
                socket.EAI_ADDRFAMILY, f"{host!r} has no address of {socket.AddressFamily(family).name}"
            )
        kinds = [(socket.SOCK_STREAM, socket.IPPROTO_TCP), (socket.SOCK_DGRAM, socket.IPPROTO_UDP)]
        return [
            (family_of(one), kind, proto or own_proto, "", socket_address(one, number, family_of(one)))
            for one in fitting
            for kind, own_proto in kinds
            if type in (0, kind)
        ]

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """See asyncio."""
        host, port = sockaddr[:2]
        if flags & socket.NI_NUMERICHOST:
            return host, str(port)
        stack = self.stack if self.stack.has(host) else self.stack.simulation.stack_of(unmapped(host))
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
        _check_tls(ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)
        if server_hostname is None and ssl:
            if not host:
                raise ValueError(
                    "create_connection(ssl=...): You must set server_hostname when using ssl without a host; "
                    "it says whose certificate it is"
                )
            server_hostname = host if isinstance(host, str) else host.decode("ascii")
        if host is not None or port is not None:
            if sock is not None:
                raise ValueError("host/port and sock can not be specified at the same time: leave out one")
            end = await self._connect_to_one(
                host, port, family, flags, local_addr, happy_eyeballs_delay, interleave, all_errors
            )
        elif sock is None:
            raise ValueError("host and port was not specified and no sock specified: give one of them")
        else:
            _check_socket(sock, socket.SOCK_STREAM, "create_connection")
            end = _end_of(sock, "create_connection")
        return await self._open(
            end,
            protocol_factory,
            ssl=ssl,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

    async def _connect_to_one(
        self,
        host: Any,
        port: Any,
        family: int,
        flags: int,
        local_addr: Any,
        delay: float | None,
        interleave: int | None,
        all_errors: bool,
    ) -> End:
        """Connect to the first address of a host that answers, or to several a delay apart."""
        infos = await self.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=flags)
        if not infos:
            raise OSError("getaddrinfo() returned empty list")  # asyncio's words, as those below
        targets = [info[4] for info in infos]
        if interleave or (delay is not None and interleave is None):
            targets = _interleaved(targets, interleave or 1)
        errors: list[OSError] = []

        async def connect(target: Address) -> End:
            try:
                local = self._local_address(local_addr, family_of(target[0]))
                return await self._connect_from(local, target)
            except OSError as error:
                errors.append(error)
                raise

        if delay is None:
            for target in targets:
                try:
                    return await connect(target)
                except OSError:
                    continue
        else:
            end = await self._race([functools.partial(connect, target) for target in targets], delay)
            if end is not None:
                return end
        try:
            if all_errors:
                raise ExceptionGroup("create_connection failed", errors)
            if all(str(error) == str(errors[0]) for error in errors):
                raise errors[0]
            raise OSError(f"Multiple exceptions: {', '.join(str(error) for error in errors)}")
        finally:
            errors = []  # an error has this frame in its traceback

    async def _connect_from(self, local: Any, target: Address) -> End:
        if local is not None:
            try:
                self.stack.streams.check_free(local[1])
            except OSError as error:
                raise _cannot_bind(local, error) from None
        return await self.stack.streams.connect(target[0], target[1], local)

    async def _race(
        self, attempts: Sequence[Callable[[], Coroutine[Any, Any, End]]], delay: float
    ) -> End | None:
        """Begin attempts one by one, each a delay after the one before or when that has failed; the first to
        succeed wins ("happy eyeballs", RFC 8305). Return None if none does."""
        begun: list[asyncio.Task[End]] = []
        left = list(attempts)
        next_at = 0.0
        winner: End | None = None
        try:
            while winner is None:
                if left and (not begun or begun[-1].done() or self.time() >= next_at):
                    begun.append(self.create_task(left.pop(0)()))
                    next_at = self.time() + delay
                running = [task for task in begun if not task.done()]
                if running:
                    patience = max(0.0, next_at - self.time()) if left else None
                    await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                elif not left:
                    break
                for task in running:
                    if task.done() and task.exception() is None:
                        winner = winner or task.result()
        finally:
            for task in begun:
                task.cancel()
            for outcome in await asyncio.gather(*begun, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    if not isinstance(outcome, (OSError, asyncio.CancelledError)):
                        raise outcome
                elif outcome is not winner:
                    outcome.close()
        return winner

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
        _check_server_tls(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        timeouts = {
            "ssl": ssl,
            "ssl_handshake_timeout": ssl_handshake_timeout,
            "ssl_shutdown_timeout": ssl_shutdown_timeout,
        }
        if sock is not None:
            if host is not None or port is not None:
                raise ValueError("host/port and sock can not be specified at the same time: leave out one")
            _check_socket(sock, socket.SOCK_STREAM, "create_server")
            return await self._serve([sock], protocol_factory, backlog, start_serving, timeouts)
        if host is None and port is None:
            raise ValueError("Neither host/port nor sock were specified: give one of them")
        hosts: Iterable[Any] = [host] if host is None or isinstance(host, (str, bytes)) else host
        addresses = dict.fromkeys(one for name in hosts for one in self._addresses_to_listen_on(name, family))
        number = _port(port)
        sockets: list[SimulatedSocket] = []
        try:
            for address in addresses:
                one = SimulatedSocket(self.stack, socket.SOCK_STREAM, family=family_of(address), only6=True)
                one.proto = socket.IPPROTO_TCP
                sockets.append(one)
                if reuse_port:
                    one.setsockopt(socket.SOL_SOCKET, SO_REUSEPORT, 1)
                if keep_alive:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                try:
                    one.bind((address, number))
                except OSError as error:
                    raise _cannot_bind((address, number), error) from None
                number = (
                    number or one.getsockname()[1]
                )  # asyncio has another for each address; one is clearer
        except BaseException:
            for one in sockets:
                one.close()
            raise
        return await self._serve(sockets, protocol_factory, backlog, start_serving, timeouts)

    async def _serve(
        self,
        sockets: list[SimulatedSocket],
        protocol_factory: ProtocolFactory,
        backlog: int,
        start_serving: bool,
        options: dict[str, Any],
    ) -> Server:
        server = Server(self, sockets, protocol_factory, options, backlog)
        if start_serving:
            await server.start_serving()
        return server

    def _addresses_to_listen_on(self, host: Any, family: int) -> list[str]:
        if host is None or host == "":
            return [one for one in (ANY, ANY6) if family in (0, family_of(one))]
        found = [one for one in self.stack.look_up(host) if family in (0, family_of(one))]
        return [self.stack.own_address(one, family) for one in found] or [
            self.stack.own_address(host, family)
        ]

    async def _open(
        self, end: End, protocol_factory: ProtocolFactory, **how: Any
    ) -> tuple[Any, asyncio.BaseProtocol]:
        """Give a protocol to an end of a connection, and wait until it is connected (`_make_transport`)."""
        waiter = self.create_future()
        try:
            protocol = protocol_factory()
            transport = self._make_transport(end, protocol, waiter, **how)
        except BaseException:
            end.close()
            raise
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    def _make_transport(
        self,
        end: End,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None,
        *,
        server: Server | None = None,
        is_server: bool = False,
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
            is_server or server is not None,
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
        _check_tls(ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)
        if server_hostname is None and ssl:
            raise ValueError(
                "you have to pass server_hostname when using ssl; it says whose certificate it is"
            )
        if sock is not None:
            if path is not None:
                raise ValueError("path and sock can not be specified at the same time: leave out one")
            _check_socket(sock, socket.SOCK_STREAM, "create_unix_connection", AF_UNIX)
            end = _end_of(sock, "create_unix_connection")
        elif path is None:
            raise ValueError("no path and sock were specified: give one of them")
        else:
            one = SimulatedSocket(self.stack, socket.SOCK_STREAM, family=AF_UNIX)
            name = unix_name(path)
            one.be_unix("", name)
            end = await self.stack.streams.connect(LOOPBACK, self.stack.streams.unix_port(name), None, one)
        return await self._open(
            end,
            protocol_factory,
            ssl=ssl,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

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
        cleanup_socket: bool = True,
    ) -> Server:
        """See asyncio (3.13). A path is known on its own host only; it is no file."""
        _check_server_tls(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        timeouts = {
            "ssl": ssl,
            "ssl_handshake_timeout": ssl_handshake_timeout,
            "ssl_shutdown_timeout": ssl_shutdown_timeout,
        }
        if sock is not None:
            if path is not None:
                raise ValueError("path and sock can not be specified at the same time: leave out one")
            _check_socket(sock, socket.SOCK_STREAM, "create_unix_server", AF_UNIX)
            sock.keeps_path = not cleanup_socket
            return await self._serve([sock], protocol_factory, backlog, start_serving, timeouts)
        if path is None:
            raise ValueError("path was not specified, and no sock specified: give one of them")
        one = SimulatedSocket(self.stack, socket.SOCK_STREAM, family=AF_UNIX)
        if isinstance(name := unix_name(path), str):
            self.stack.streams.leave_unix_path(name)  # asyncio removes what is left of the last server there
        one.bind(path)
        one.keeps_path = not cleanup_socket
        return await self._serve([one], protocol_factory, backlog, start_serving, timeouts)

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
        if sock is not None:
            if local_addr is not None or remote_addr is not None or family or proto or flags or reuse_port:
                raise ValueError("create_datagram_endpoint: give addresses or a sock, not both")
            _check_socket(sock, socket.SOCK_DGRAM, "create_datagram_endpoint")
            return await self._endpoint_of(sock, protocol_factory)
        if local_addr is None and remote_addr is None and family == 0:
            raise ValueError("a datagram endpoint without addresses needs family=socket.AF_INET")
        stack = self.stack
        local: Any = None if local_addr is None else self._local_address(local_addr, family)
        remote: Address | None = None
        if remote_addr is not None:
            wanted = family or (0 if local is None else family_of(local[0]))
            infos = await self.getaddrinfo(
                *remote_addr[:2], family=wanted, type=socket.SOCK_DGRAM, flags=flags
            )
            remote = infos[0][4]
            if not is_group(remote[0]):
                other, address = stack.resolve(*remote[:2])
                stack.path_to(other, address)
                remote = socket_address(address, remote[1], family_of(remote[0]))
            own = 0 if local is None else local[1]
            if local is None or local[0] in (ANY, ANY6):
                local = (stack.source_address(unmapped(remote[0])), own)
        if local is None:
            local = (ANY6 if family == socket.AF_INET6 else ANY, 0)
        kind = family_of(local[0])
        # asyncio's own endpoints of IPv6 speak IPv4 as well, as Linux has it
        only6 = kind == socket.AF_INET6 and local[0] != ANY6
        port = stack.datagram_port(local[0], local[1], reuse_port=bool(reuse_port), only6=only6)
        shown = socket_address(local[0], port, kind)
        simulated = SimulatedSocket(stack, socket.SOCK_DGRAM, shown, remote, kind, only6=only6)
        protocol = protocol_factory()
        transport = stack.simulation.forms.DatagramTransport(
            stack, protocol, simulated, remote, reuse_port=bool(reuse_port)
        )
        simulated.transport = transport
        if allow_broadcast:
            simulated.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        stack.add_socket(transport)
        waiter = self.create_future()
        transport.start(waiter)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def _endpoint_of(
        self, sock: SimulatedSocket, protocol_factory: Callable[[], asyncio.DatagramProtocol]
    ) -> tuple[Any, Any]:
        """Give a socket to a transport, with what has come already."""
        transport = sock.kernel_of_datagrams()
        mailbox, sock.mailbox = sock.mailbox, None
        protocol = protocol_factory()
        transport.reading = False
        transport.set_protocol(protocol)
        waiter = self.create_future()
        transport.start(waiter)
        while mailbox is not None and mailbox.queue:
            transport.take_later(*mailbox.take())
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    def _local_address(self, address: Any, family: int) -> tuple[str, int] | None:
        if address is None:
            return None
        host, port = address[:2]
        return self.stack.own_address(host, family), _port(port)


def _port(port: str | bytes | int | None) -> int:
    if port is None or port in ("", b""):
        return 0
    try:
        number = int(port)
    except ValueError:
        name = port.decode("ascii", "replace") if isinstance(port, bytes) else str(port)
        if name not in SERVICES:
            raise socket.gaierror(
                socket.EAI_SERVICE, f"{name!r}: {suggestion(name, SERVICES)}, or write a number"
            ) from None
        return SERVICES[name]
    if not 0 <= number <= 65535:
        raise OverflowError(f"port must be 0-65535, not {number}")
    return number


SERVICES = {
    "echo": 7,
    "discard": 9,
    "daytime": 13,
    "chargen": 19,
    "ftp": 21,
    "ssh": 22,
    "telnet": 23,
    "smtp": 25,
    "domain": 53,
    "http": 80,
    "pop3": 110,
    "ntp": 123,
    "imap2": 143,
    "snmp": 161,
    "https": 443,
    "rtsp": 554,
    "ircd": 6667,
    "http-alt": 8080,
}
"""Ports of services by their names: a few of those that stand in ``/etc/services``."""


def _cannot_bind(address: Any, error: OSError) -> OSError:
    """Say, as asyncio does, which address could not be had."""
    return OSError(
        error.errno, f"error while attempting to bind on address {address!r}: {str(error.strerror).lower()}"
    )


def _interleaved(targets: list[Address], first: int) -> list[Address]:
    """Return addresses in an order in which their families take turns, after some of the first family."""
    families: dict[int, list[Address]] = {}
    for target in targets:
        families.setdefault(family_of(target[0]), []).append(target)
    lists = list(families.values())
    ahead = lists[0][: first - 1]
    del lists[0][: first - 1]
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*lists))
    return ahead + [one for one in in_turn if one is not None]


def _check_tls(
    ssl: Any, server_hostname: Any, handshake_timeout: float | None, shutdown_timeout: float | None
) -> None:
    """Refuse what says how TLS is to be where there is none; in asyncio's words."""
    if ssl:
        return
    for name, value in (
        ("server_hostname", server_hostname),
        ("ssl_handshake_timeout", handshake_timeout),
        ("ssl_shutdown_timeout", shutdown_timeout),
    ):
        if value is not None:
            raise ValueError(f"{name} is only meaningful with ssl; give ssl=... as well, or leave it out")


def _check_server_tls(ssl: Any, handshake_timeout: float | None, shutdown_timeout: float | None) -> None:
    """Refuse what is no context for a server."""
    if isinstance(ssl, bool):
        raise TypeError(
            "ssl argument must be an SSLContext or None: a server needs one, which holds its certificate"
        )
    _check_tls(ssl, None, handshake_timeout, shutdown_timeout)


def _check_socket(sock: Any, kind: int | None, what: str, family: int | None = None) -> None:
    """Refuse what is no socket of a simulated host, or one of another kind."""
    if not isinstance(sock, SimulatedSocket):
        raise TypeError(
            f"{what}(sock={sock!r}): a simulated host has no real sockets; give addresses, or make the "
            "socket by socket.socket() in code that runs on the host"
        )
    if kind is not None and sock.type != kind:
        # asyncio's words: up to 3.11 those before the comma for datagrams, since then those at the end
        is_stream = kind == socket.SOCK_STREAM
        raise ValueError(
            f"A {'Stream' if is_stream else 'UDP'} Socket was expected, got {sock!r}: {what} wants one of "
            f"{socket.SocketKind(kind).name}. A {'stream' if is_stream else 'datagram'} socket was expected"
        )
    if family is not None and sock.family != family:
        raise ValueError(f"A UNIX Domain Stream Socket was expected, got {sock!r}")


def _end_of(sock: SimulatedSocket, what: str) -> End:
    """Return the connection of a socket, for a transport."""
    if sock.end is None or sock.end.is_connecting:
        raise ValueError(f"{what}(sock={sock!r}): the socket is not connected")
    end, sock.end = sock.end, None
    end.owner = None
    return end
