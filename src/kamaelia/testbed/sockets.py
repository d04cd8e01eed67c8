"""Sockets of simulated hosts: what ``socket.socket()`` makes there, and what transports show of theirs.

On the loop's own thread they never block: what would is refused with `BlockingIOError`, where the socket was
set so, and the loop's ``sock_`` methods wait for it; else with an error that says what to write. In a thread
that works for the host, that of a script or of ``run_in_executor``, they do block, in virtual time: the
thread gives the baton to the loop until it can go on (`kamaelia.axon.baton`).

Behind each stands a part of its host's kernel: an `End` for a connection of TCP or of Unix, a `Listener`
for a server, a `DatagramTransport` for UDP; a socket that was just made has none. Giving a socket to the loop
(``create_connection(sock=...)``) moves that to a transport.

The number that ``fileno()`` tells is no file's; it is unique in its simulation, and ``add_reader`` knows it.
"""

from __future__ import annotations

import asyncio
import errno
import operator
import os
import socket
import struct
from collections import deque
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from ..axon import baton
from .addresses import (
    ALL_HOSTS,
    ANY,
    ANY6,
    LOOPBACK,
    Address,
    family_of,
    is_any,
    is_group,
    is_ipv6,
    socket_address,
    unmapped,
)
from .futures import hash_on_host
from .options import (
    AF_UNIX,
    DEFAULT_BUFFER,
    MSG_NOSIGNAL,
    OPTIONS,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    RANGES,
    SMALLEST_RECEIVE,
    SMALLEST_SEND,
    SO_NWRITE,
    SO_PEERCRED,
    SO_REUSEPORT,
    TCP_CONGESTION,
    TCP_INFO,
    TCP_SYNCNT,
    TOS,
    TTL,
    buffer_size,
    congestion_name,
    number_in,
    option_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .datagram import DatagramTransport
    from .end import End
    from .listener import Listener
    from .stack import Stack

INTERFACE = 1  # the number of the one interface that a host has
INTERFACES = ("eth0", "lo")  # what it is called: it leads to the others, and to the host itself

LONGEST_UNIX_NAME = 108  # bytes

TYPES = {socket.SOCK_STREAM: socket.IPPROTO_TCP, socket.SOCK_DGRAM: socket.IPPROTO_UDP}
FAMILIES = (socket.AF_INET, socket.AF_INET6, AF_UNIX)


class SimulatedSocket:
    """A socket that is none. See the module."""

    # There may be a million: what few need is in a dictionary, which is made then.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_fileno",
        "_nodelay",
        "_number",
        "_timeout",
        "end",
        "family",
        "listener",
        "local",
        "node",
        "only6",
        "options",
        "proto",
        "remote",
        "transport",
        "type",
        "used_by",
    )

    is_simulated_socket = True
    __hash__ = hash_on_host

    mailbox: Mailbox | None = None
    keeps_path = False
    """The path to which it was bound stays taken when it is closed."""
    unix_port = 0
    """What stands for the path to which it was bound."""
    watch: Watch | None = None
    """What the loop calls when it is readable or writable."""
    _connects = False  # nobody has been told yet what came of connect()
    _was_told = False  # why connect() has failed
    _waiting: dict[bool, list[asyncio.Future[None]]] | None = None

    def __init__(
        self,
        node: Stack,
        kind: int,
        local: Any = None,
        remote: Any = None,
        family: int = socket.AF_INET,
        *,
        only6: bool = False,
    ) -> None:
        self.node = node
        self.type = socket.SocketKind(kind)
        self.family = socket.AddressFamily(family)
        self.proto = 0 if family == AF_UNIX or local is None else TYPES[self.type]
        self.local: Any = local
        """Its own address; None until it has one."""
        self.remote: Any = remote
        """The address of the other side, if it is connected."""
        self.only6 = only6
        """Of IPv6, it does not speak IPv4 as well."""
        self.options: dict[tuple[int, int], Any] | None = None
        self.end: End | None = None
        """Its connection, if it uses that itself."""
        self.listener: Listener | None = None
        self.transport: DatagramTransport | None = None
        self.used_by: Any = None
        """The transport to which its connection was given."""
        self._fileno = 0
        self._nodelay = False
        self._timeout: float | None = None

    # -- what it is -----------------------------------------------------------------------------------

    def fileno(self) -> int:
        """Return a number that stands for it; -1 when it is closed."""
        if self._fileno == 0:
            self._fileno = self.node.simulation.number_socket(self)
        return self._fileno

    def getsockname(self) -> Any:
        """Return the own address."""
        self._check_open()
        return self._own_name()

    def _own_name(self) -> Any:
        if self.local is not None:
            return self.local
        if self.family == AF_UNIX:
            return ""
        return socket_address(ANY6 if self.family == socket.AF_INET6 else ANY, 0, self.family)

    def getpeername(self) -> Any:
        """Return the address of the other side. Raises `OSError` when there is none."""
        self._check_open()
        if self.remote is None or self.is_connecting or self._has_failed:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return self.remote

    def setblocking(self, flag: bool) -> None:
        """Say whether calls may wait; where they can, see the module."""
        self._check_open()
        self._timeout = None if flag else 0.0

    def settimeout(self, value: float | None) -> None:
        """Say how many virtual seconds calls may wait; where they can, see the module."""
        if value is not None and value < 0:
            raise ValueError("Timeout value out of range")
        self._check_open()
        self._timeout = value

    def gettimeout(self) -> float | None:
        """Return what was set."""
        return self._timeout

    def getblocking(self) -> bool:
        """Say whether calls may wait."""
        return self._timeout != 0.0

    timeout = property(gettimeout)

    def set_inheritable(self, inheritable: bool) -> None:
        """Do nothing: simulated hosts start no programs."""

    def get_inheritable(self) -> bool:
        """Return False: simulated hosts start no programs."""
        return False

    # -- options --------------------------------------------------------------------------------------

    def setsockopt(self, level: int, option: int, value: Any, length: int | None = None) -> None:
        """Set an option. Raises `OSError` for one that is not modelled, or a value that it may not have."""
        self._check_open()
        known = option_of(level, option)
        if known.read_only:
            raise OSError(errno.ENOPROTOOPT, f"{known.name} can be asked for, and not be set")
        if level == socket.IPPROTO_TCP and self.type != socket.SOCK_STREAM:
            raise OSError(errno.ENOPROTOOPT, f"{known.name}: not for a socket of UDP")
        kept = self._take_effect(level, option, value)
        if known.is_kept:
            if self.options is None:
                self.options = {}
            self.options[level, option] = kept

    def _take_effect(self, level: int, option: int, value: Any) -> Any:
        """Do what an option does, and return what is told when it is asked for."""
        key = (level, option)
        if key == (socket.SOL_SOCKET, socket.SO_RCVBUF):
            size = buffer_size(number_in(value), SMALLEST_RECEIVE)
            if (end := self.connection) is not None:
                end.set_window(size // 2)
            return size
        if key == (socket.SOL_SOCKET, socket.SO_SNDBUF):
            size = buffer_size(number_in(value), SMALLEST_SEND)
            if (end := self.connection) is not None:
                end.set_send_buffer(size // 2)
            return size
        if key == (socket.IPPROTO_TCP, socket.TCP_NODELAY):
            self._nodelay = bool(number_in(value))
            if self._nodelay and (end := self.connection) is not None:
                end.push()
        elif key == (socket.SOL_SOCKET, socket.SO_BROADCAST) and self.transport is not None:
            self.transport.broadcast = bool(number_in(value))
        elif key == (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
            if self.local is not None:
                raise OSError(errno.EINVAL, "Invalid argument: IPV6_V6ONLY is set before the socket is bound")
            self.only6 = bool(number_in(value))
        elif key == (socket.IPPROTO_TCP, TCP_CONGESTION):
            congestion_name(value)
        elif level == socket.IPPROTO_TCP and option in RANGES and number_in(value) not in RANGES[option]:
            allowed = RANGES[option]
            raise OSError(
                errno.EINVAL,
                f"Invalid argument: {option_of(level, option).name} is from {allowed.start} to "
                f"{allowed.stop - 1}, and not {number_in(value)}",
            )
        elif key in TTL or key in TOS:
            self._mark(key, number_in(value))
        elif level in (socket.IPPROTO_IP, socket.IPPROTO_IPV6) and self.type == socket.SOCK_DGRAM:
            self.kernel_of_datagrams().memberships.set(level, option, value)
        if (end := self.connection) is not None:
            end.option_was_set(level, option, value)
        return value

    def _mark(self, key: tuple[int, int], number: int) -> None:
        if key in TTL and not (number == -1 or 1 <= number <= 255):
            raise OSError(errno.EINVAL, f"Invalid argument: a packet passes 1 to 255 routers, not {number}")
        target: Any = self.connection or self.transport
        if target is None:
            return
        if key in TTL:
            target.set_ttl(64 if number == -1 else number)
        else:
            target.set_tos(number & 0xFF)

    def getsockopt(self, level: int, option: int, length: int = 0) -> Any:
        """Return an option. Raises `OSError` for one that is not modelled."""
        self._check_open()
        if not 0 <= length <= 1024:
            raise OSError("getsockopt buflen out of range")
        known = option_of(level, option)
        value: Any = (self.options or {}).get((level, option), known.default)
        asked = (level, option)
        if level == socket.SOL_SOCKET:
            if option == socket.SO_ERROR:
                value = self.take_error()
            elif option == SO_NWRITE:
                value = 0 if (end := self.connection) is None else end.count_not_arrived()
            elif option == SO_PEERCRED and self.family != AF_UNIX:
                value = struct.pack("3i", 0, -1, -1)
            elif option in _SHOWN:
                value = int(_SHOWN[option](self))
        elif asked == (socket.IPPROTO_TCP, 2):
            value = 536 if (end := self.connection) is None else end.segment
        elif asked == (socket.IPPROTO_TCP, socket.TCP_NODELAY):
            value = int(self._nodelay)
        elif asked == (socket.IPPROTO_TCP, TCP_INFO):
            value = b"" if (end := self.connection) is None else end.info()
        elif asked == (socket.IPPROTO_TCP, TCP_CONGESTION) and asked not in (self.options or {}):
            settings = self.node.tcp_settings
            value = value if settings is None else settings.congestion.encode()
        elif asked == (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
            value = int(self.only6)
        if length:
            return value[:length] if isinstance(value, bytes) else struct.pack("i", int(value))[:length]
        return number_in(value)

    def option(self, level: int, option: int) -> Any:
        """Return what an option was set to, or its default."""
        return (self.options or {}).get((level, option), OPTIONS[level][option].default)

    @property
    def connection(self) -> End | None:
        """Its connection, also where a transport has it."""
        return self.end if self.used_by is None else self.used_by._end

    def set_nodelay(self) -> None:
        """Do what asyncio does with each connection."""
        self._nodelay = True

    @property
    def nodelay(self) -> bool:
        """Small segments are sent at once."""
        return self._nodelay or self.family == AF_UNIX

    @property
    def reuse_port(self) -> bool:
        """It shares its port."""
        return bool(number_in(self.option(socket.SOL_SOCKET, SO_REUSEPORT)))

    @property
    def most_syn_losses(self) -> int:
        """How often it sends again what opens a connection."""
        return number_in(self.option(socket.IPPROTO_TCP, TCP_SYNCNT))

    @property
    def resets(self) -> bool:
        """Closing it is a reset."""
        value = self.option(socket.SOL_SOCKET, socket.SO_LINGER)
        if self.family == AF_UNIX or not isinstance(value, (bytes, bytearray)) or len(value) < 8:
            return False
        on, seconds = struct.unpack_from("ii", value)
        return bool(on) and seconds == 0

    def if_nametoindex(self, name: str) -> int:
        """Return the number of an interface of this host. Raises `OSError` for a name that it has not."""
        if name not in INTERFACES:
            raise OSError(
                errno.ENODEV, f"no interface is called {name!r}: a simulated host has one, {INTERFACES[0]!r}"
            )
        return INTERFACE

    # -- addresses ------------------------------------------------------------------------------------

    def be_unix(self, local: Any, remote: Any) -> None:
        """Be a Unix socket, which has paths for addresses, knows the peer's process, and never resets."""
        self.family = AF_UNIX
        self.local, self.remote = local, remote

    def bind(self, address: Any) -> None:
        """Take an address of the own host. Raises `OSError`."""
        self._check_open()
        if self.local is not None and not (self.type == socket.SOCK_DGRAM and self.transport is None):
            raise OSError(errno.EINVAL, "Invalid argument: this socket is bound already")
        if self.family == AF_UNIX:
            name = unix_name(address) or self.node.streams.free_unix_name()
            self.unix_port = self.node.streams.take_unix_path(name)
            self.local = name
            return
        host, port = self._host_and_port(address)
        own = self.node.own_address(host, self.family)
        only6 = self.family == socket.AF_INET6 and (self.only6 or own != ANY6)
        if self.type == socket.SOCK_DGRAM:
            self.kernel_of_datagrams(own, port, only6)
        else:
            number = self.node.streams.port(own, port, reuse_port=self.reuse_port, only6=only6)
            self.node.streams.bind(number, self)
            self.local = socket_address(own, number, self.family)

    def _host_and_port(self, address: Any) -> tuple[str, int]:
        longest = 4 if self.family == socket.AF_INET6 else 2
        if not isinstance(address, tuple) or not 2 <= len(address) <= longest:
            raise TypeError(
                f"an address of {self.family.name} is a tuple of host and port, and not {address!r}"
            )
        host, port = address[0], address[1]
        if not isinstance(port, int):
            raise TypeError(f"a port is a number, and not {port!r}")
        if not 0 <= port <= 65535:
            raise OverflowError(f"port must be 0-65535, not {port}")
        return host, port

    def target_of(self, address: Any) -> tuple[str, int]:
        """Return an address as a host's and a port; names are looked up. Raises `OSError`."""
        host, port = self._host_and_port(address)
        fitting = [one for one in self.node.look_up(host) if family_of(one) == self.family]
        if not fitting:
            raise socket.gaierror(socket.EAI_ADDRFAMILY, f"{host!r} has no address of {self.family.name}")
        return unmapped(fitting[0]), port

    # -- TCP and Unix ---------------------------------------------------------------------------------

    def listen(self, backlog: int = 128) -> None:
        """Accept connections. Raises `OSError`."""
        from .listener import Listener

        self._check_open()
        if self.type != socket.SOCK_STREAM or self.end is not None:
            raise OSError(errno.EOPNOTSUPP if self.end is None else errno.EINVAL, "this socket cannot listen")
        if self.listener is None:
            if self.local is None:
                if self.family == AF_UNIX:
                    raise OSError(errno.EINVAL, "Invalid argument: bind() this socket to a path first")
                self.bind(("", 0))
            self.listener = Listener(self, max(0, backlog))
            self.listener.open()

    def accept(self) -> tuple[SimulatedSocket, Any]:
        """Return the socket of the next connection, and whose it is. Raises `BlockingIOError` for none."""
        self._check_open()
        if self.type != socket.SOCK_STREAM:
            raise OSError(errno.EOPNOTSUPP, "a socket of UDP accepts no connections")
        if self.listener is None:
            raise OSError(errno.EINVAL, "Invalid argument: this socket does not listen")
        while (end := self.listener.take()) is None:
            self._wait("accept", False)
            if self.listener is None:
                raise OSError(errno.EINVAL, "Invalid argument: this socket does not listen")
        made = end.socket
        made.own_end(end)
        return made, made.remote

    def own_end(self, end: End) -> None:
        """Be told what happens to a connection."""
        self.end = end
        end.owner = self

    def connect(self, address: Any) -> None:
        """Connect; raises `BlockingIOError`, as it takes a while. Of UDP it only fixes the other side."""
        self._check_open()
        if self.type == socket.SOCK_DGRAM:
            host, port = self.target_of(address)
            kernel = self.kernel_of_datagrams()
            if host == ALL_HOSTS and not kernel.broadcast:
                raise PermissionError(errno.EACCES, "Permission denied: set SO_BROADCAST to send to all")
            kernel.connect(host, port)
            return
        if self.listener is not None or (self.end is not None and not self._connects):
            raise OSError(errno.EISCONN, os.strerror(errno.EISCONN))
        number = errno.EALREADY
        if self.end is None:
            self._start_connecting(address)
            number = errno.EINPROGRESS
        while self.is_connecting:
            self._wait("connect", True, number)
        self._connects = False
        if self._has_failed:
            failure = self.take_error() or errno.ECONNABORTED
            assert self.end is not None
            self.end.close()
            self.end = self.remote = None
            raise OSError(failure, os.strerror(failure))

    def _start_connecting(self, address: Any) -> None:
        streams = self.node.streams
        if self.family == AF_UNIX:
            name = unix_name(address)
            end = streams.start_connecting(LOOPBACK, streams.unix_port(name), None, self)
            self.be_unix(self.local or "", name)
        else:
            host, port = self.target_of(address)
            end = streams.start_connecting(host, port, self.local, self)
        self.own_end(end)
        self._connects, self._was_told = True, False
        end.connected.add_done_callback(self._connected)  # type: ignore[union-attr]

    @property
    def is_connecting(self) -> bool:
        """It has asked for a connection, and there is no answer yet."""
        return self.end is not None and self.end.is_connecting

    @property
    def _has_failed(self) -> bool:
        """It has asked for a connection, and got none."""
        connected = None if self.end is None else self.end.connected
        return (
            connected is not None
            and connected.done()
            and not (connected.cancelled() or connected.exception() is None)
        )

    def _connected(self, future: asyncio.Future[None]) -> None:
        if not future.cancelled():
            future.exception()  # which the socket tells itself
        self.readable()
        self.writable()

    def connect_ex(self, address: Any) -> int:
        """Connect, and return the number of the error."""
        try:
            self.connect(address)
        except OSError as error:
            if error.errno is None:
                raise
            return error.errno
        return 0

    def take_error(self) -> int:
        """Return the number of the error that has happened, and forget it; 0 for none."""
        if (end := self.connection) is not None:
            waiting: Any
            waiting, end.error = end.error, None
            if self._has_failed and not self._was_told:
                assert end.connected is not None
                waiting, self._was_told = end.connected.exception(), True
            return 0 if waiting is None else waiting.errno or 0
        if self.mailbox is not None:
            trouble, self.mailbox.error = self.mailbox.error, None
            return 0 if trouble is None else trouble.errno or 0
        return 0

    def _stream(self, *, sends: bool = False) -> End:
        """Return the connection. Raises `OSError` if there is none."""
        self._check_open()
        end = self.end
        if end is None or self._has_failed:
            number = self.take_error() if end is not None else 0
            if not number and self.family == AF_UNIX:
                number = errno.ENOTCONN if sends else errno.EINVAL
            elif not number and sends:
                number = errno.EPIPE
            elif not number and end is not None:
                return end  # which has come to its end before it began
            raise OSError(number or errno.ENOTCONN, os.strerror(number or errno.ENOTCONN))
        return end

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive bytes; none mean the end. Raises `BlockingIOError` when nothing has come."""
        self._no_flags("recv", flags)
        if self.type == socket.SOCK_DGRAM:
            return self.recvfrom(size)[0]
        size = _checked_size(size)
        while True:
            end = self._stream()
            if not end.is_connecting:
                try:
                    return end.receive(size)
                except BlockingIOError:
                    pass
            self._wait("recv", False)

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        """Receive bytes into a buffer. Raises `BlockingIOError` when nothing has come."""
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def send(self, data: Any, flags: int = 0) -> int:
        """Send bytes, as many as there is room for; return how many. Raises `BlockingIOError` for none."""
        self._no_flags("send", flags & ~MSG_NOSIGNAL)
        view = memoryview(data).cast("B")
        if self.type == socket.SOCK_DGRAM:
            return self.sendto(data, None)
        while True:
            end = self._stream(sends=True)
            if not end.is_connecting:
                sent = end.send(view)
                if sent or not len(view):
                    return sent
            self._wait("send", True)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send bytes, all of them; where calls do not wait, `BlockingIOError` may come after some of them."""
        view = memoryview(data).cast("B")
        while len(view):
            view = view[self.send(view, flags) :]

    def sendmsg(self, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None) -> int:
        """Send several pieces as one."""
        if ancdata:
            raise OSError(errno.EOPNOTSUPP, "sendmsg(): simulated sockets send no ancillary data")
        data = b"".join(bytes(one) for one in buffers)
        return self.send(data, flags) if address is None else self.sendto(data, address)

    def shutdown(self, how: int) -> None:
        """End one direction or both. Raises `OSError` when there is no connection."""
        self._check_open()
        if how not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            raise OSError(errno.EINVAL, "Invalid argument")
        if self.end is None or self._has_failed:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        end = self.end
        if how != socket.SHUT_WR:
            end.stop_receiving()
        if how != socket.SHUT_RD:
            end.shut_down()

    # -- UDP --------------------------------------------------------------------------------------------

    def kernel_of_datagrams(
        self, host: str | None = None, port: int = 0, only6: bool | None = None
    ) -> DatagramTransport:
        """Return the part of the kernel that a socket of UDP has; it is made, with an address, if need be."""
        if self.transport is None:
            own = host or (ANY6 if self.family == socket.AF_INET6 else ANY)
            only = (self.family == socket.AF_INET6 and self.only6) if only6 is None else only6
            reuse = self.reuse_port or (is_group(own) and self._reuses_address())
            number = self.node.datagram_port(own, port, reuse_port=reuse, only6=only)
            self.local = socket_address(own, number, self.family)
            self.only6 = only
            self.mailbox = Mailbox(self)
            transport = self.node.simulation.forms.DatagramTransport(
                self.node, self.mailbox, self, None, reuse_port=reuse
            )
            transport.reading = True
            self.node.add_socket(transport)
            self.transport = transport
            for (level, option), value in (self.options or {}).items():
                self._take_effect(level, option, value) if (level, option) in _LATER else None
        return self.transport

    def _reuses_address(self) -> bool:
        return bool(number_in(self.option(socket.SOL_SOCKET, socket.SO_REUSEADDR)))

    def sendto(self, data: Any, *rest: Any) -> int:
        """Send a datagram: ``sendto(data, address)`` or ``sendto(data, flags, address)``."""
        self._check_open()
        if len(rest) not in (1, 2):
            raise TypeError(f"sendto() takes 2 or 3 arguments, and not {1 + len(rest)}")
        address = rest[-1]
        if self.type != socket.SOCK_DGRAM:
            return self.send(data)  # as Linux does, where a connection has its other side already
        kernel = self.kernel_of_datagrams()
        if self.mailbox is not None:
            self.mailbox.raise_error()
        if address is None and kernel.connected_to is None:
            raise OSError(errno.EDESTADDRREQ, "Destination address required")
        content = bytes(data)
        if address is None:
            kernel.send_now(content, None)
        else:
            host, port = self.target_of(address) if not is_group(address[0]) else address[:2]
            if port == 0:
                raise OSError(errno.EINVAL, "Invalid argument: nobody has port 0")
            kernel.send_now(content, (host, port))
        return len(content)

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, Any]:
        """Receive a datagram, and whose it is; what does not fit is cut off."""
        self._no_flags("recvfrom", flags)
        self._check_open()
        if self.type != socket.SOCK_DGRAM:
            return self.recv(size), None
        size = _checked_size(size)
        self.kernel_of_datagrams()
        assert self.mailbox is not None
        self.mailbox.raise_error()
        while not self.mailbox.queue:
            self._wait("recvfrom", False)
            self.mailbox.raise_error()
        data, source = self.mailbox.take()
        return data[:size], source

    def recvfrom_into(self, buffer: Any, size: int = 0, flags: int = 0) -> tuple[int, Any]:
        """Receive a datagram into a buffer."""
        view = memoryview(buffer).cast("B")
        data, source = self.recvfrom(size or len(view), flags)
        view[: len(data)] = data
        return len(data), source

    # -- the end ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Be done with it."""
        end, self.end = self.end, None
        if end is not None:
            end.owner = None
            end.close()
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.close()
        if self.transport is not None and self.mailbox is not None:
            self.transport.cut_off()
        if self.type == socket.SOCK_STREAM:
            self.node.streams.unbind(self)
        self._fileno = -1
        if self._connects:
            self._connects = False
        if self._waiting is not None:
            for futures in self._waiting.values():
                for future in futures:
                    future.cancel()
            self._waiting = None

    def detach(self) -> int:
        """Refuse: there is no file behind it."""
        raise OSError(errno.EOPNOTSUPP, "detach(): there is no file behind a simulated socket")

    def cut_off(self) -> None:
        """The program has ended: the kernel closes the socket."""
        self._fileno = -1
        self.transport = None  # they would keep each other

    def __enter__(self) -> SimulatedSocket:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- waiting ----------------------------------------------------------------------------------------

    def is_readable(self) -> bool:
        """Say whether receiving, or accepting, would not have to wait."""
        if self.listener is not None:
            return self.listener.has_connection()
        if self.mailbox is not None:
            return bool(self.mailbox.queue) or self.mailbox.error is not None
        end = self.connection
        return end is not None and end.is_readable()

    def is_writable(self) -> bool:
        """Say whether sending would not have to wait."""
        if self.type == socket.SOCK_DGRAM:
            return True
        end = self.connection
        if end is None or self._has_failed:
            return True
        return not end.is_connecting and end.is_writable()

    @property
    def is_closed(self) -> bool:
        """It has been closed."""
        return self._fileno == -1

    def poll(self) -> int:
        """Return for what it is ready, as the bits of ``select.poll``."""
        state = POLLIN * self.is_readable() | POLLOUT * self.is_writable()
        end = self.connection
        if end is not None and end.error is not None:
            state |= POLLERR
        if end is not None and end.dead:
            state |= POLLHUP
        return state

    def wait(self, *, to_write: bool) -> asyncio.Future[None]:
        """Return what is done when it is readable, or writable."""
        future: asyncio.Future[None] = self.node.loop.create_future()
        if self._waiting is None:
            self._waiting = {}
        self._waiting.setdefault(to_write, []).append(future)
        if to_write and self.end is not None and not self.end.is_connecting:
            self.end.wait_for_room()
        return future

    def readable(self) -> None:
        """Something has come: bytes, a datagram, a connection, the end, an error."""
        self._wake(False)
        if self.watch is not None:
            self.watch.look()

    def writable(self) -> None:
        """There is room again."""
        self._wake(True)
        if self.watch is not None:
            self.watch.look()

    def _wake(self, to_write: bool) -> None:
        for future in (self._waiting or {}).pop(to_write, ()):
            if not future.done():
                future.set_result(None)

    def _wait(self, what: str, to_write: bool, number: int = errno.EAGAIN) -> None:
        """Wait until it is readable or writable, if this thread may. Raises `BlockingIOError` if calls shall
        not wait, and `TimeoutError` when that has taken too long."""
        if self._timeout == 0:
            raise BlockingIOError(number, os.strerror(number))
        if baton.holder_for(self.node.simulation.clock) is None:
            self.node.refuse_to_block(self, what)
            return
        loop = self.node.loop
        answer = asyncio.run_coroutine_threadsafe(self._until(to_write), loop)
        try:
            answer.result(self._timeout)
        except TimeoutError:
            answer.cancel()
            raise TimeoutError("timed out") from None
        except CancelledError:
            raise OSError(errno.EBADF, "Bad file descriptor: it was closed meanwhile") from None

    async def _until(self, to_write: bool) -> None:
        if not (self.is_writable() if to_write else self.is_readable()):
            await self.wait(to_write=to_write)

    def _no_flags(self, what: str, flags: int) -> None:
        if flags:
            raise OSError(errno.EOPNOTSUPP, f"{what}(flags={flags}): simulated sockets know no flags")

    def _check_open(self) -> None:
        if self._fileno == -1:
            raise OSError(errno.EBADF, "Bad file descriptor")

    def __repr__(self) -> str:
        kind = "Unix" if self.family == AF_UNIX else _KINDS[self.type]
        return f"<simulated {kind} socket {self._own_name()}{f' to {self.remote}' if self.remote else ''}>"


def _checked_size(size: Any) -> int:
    """Return how much is to be received, as a number. Raises `TypeError` and `ValueError`."""
    size = operator.index(size)
    if size < 0:
        raise ValueError(f"negative buffersize: {size}")
    return size  # type: ignore[no-any-return]


def unix_name(address: Any) -> Any:
    """Return the address of a Unix socket as sockets tell it: text of a path, bytes of an abstract name.

    >>> unix_name("/run/chat"), unix_name(b"/run/chat"), unix_name("\\0chat")
    ('/run/chat', '/run/chat', b'\\x00chat')
    """
    name = os.fsencode(address)
    if len(name) > LONGEST_UNIX_NAME:
        raise OSError("AF_UNIX path too long")
    return name if name[:1] == b"\0" else os.fsdecode(name)


class Mailbox:
    """Where datagrams wait for a socket that nobody has given to the loop: it stands for a protocol."""

    __slots__ = ("error", "overflow", "queue", "size", "socket")

    def __init__(self, sock: SimulatedSocket) -> None:
        self.socket = sock
        self.queue: deque[tuple[bytes, Any]] = deque()
        self.size = 0
        self.overflow = 0
        """Datagrams that found it full."""
        self.error: OSError | None = None

    def take(self) -> tuple[bytes, Any]:
        """Return the first datagram, and whose it is."""
        data, source = self.queue.popleft()
        self.size -= len(data)
        return data, source

    def datagram_received(self, data: bytes, source: Any) -> None:
        """See asyncio."""
        limit = number_in(self.socket.option(socket.SOL_SOCKET, socket.SO_RCVBUF))
        if self.size + len(data) > (limit or DEFAULT_BUFFER):
            self.overflow += 1
            return
        self.queue.append((data, source))
        self.size += len(data)
        self.socket.readable()

    def error_received(self, error: OSError) -> None:
        """See asyncio."""
        self.error = error
        self.socket.readable()

    def raise_error(self) -> None:
        """Raise what has gone wrong, once."""
        error, self.error = self.error, None
        if error is not None:
            raise error

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""


class Watch:
    """What the loop calls as long as a socket is readable, or writable."""

    __slots__ = ("_scheduled", "_socket", "reader", "writer")

    def __init__(self, sock: SimulatedSocket) -> None:
        self._socket = sock
        self._scheduled = False
        self.reader: asyncio.Handle | None = None
        self.writer: asyncio.Handle | None = None

    def look(self) -> None:
        """Something may have changed: look, when the others have had their turn."""
        if not self._scheduled and (self.reader is not None or self.writer is not None):
            self._scheduled = True
            self._socket.node.loop.call_soon(self._call)

    def _call(self) -> None:
        self._scheduled = False
        reader, writer = self.reader, self.writer
        called = False
        if reader is not None and self._socket.is_readable():
            called = True
            reader._run()
        if writer is not None and self.writer is writer and self._socket.is_writable():
            called = True
            writer._run()
        if called:
            self.look()


_LATER = TTL | TOS | {(socket.SOL_SOCKET, socket.SO_BROADCAST)}
_KINDS = {socket.SOCK_STREAM: "TCP", socket.SOCK_DGRAM: "UDP"}
_SHOWN: dict[int, Callable[[SimulatedSocket], int]] = {
    socket.SO_TYPE: lambda sock: sock.type,
    socket.SO_ACCEPTCONN: lambda sock: sock.listener is not None,
    39: lambda sock: sock.family,
    38: lambda sock: 0 if sock.family == AF_UNIX else TYPES[sock.type],
}

__all__ = [
    "INTERFACE",
    "INTERFACES",
    "Address",
    "Mailbox",
    "SimulatedSocket",
    "Watch",
    "is_any",
    "is_ipv6",
    "unix_name",
]
