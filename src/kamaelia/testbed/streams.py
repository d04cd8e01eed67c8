"""The listeners and connections of one host, by port; in whichever form the network carries them."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any, TypeVar

from . import stream
from .addresses import LOOPBACK, family_of, is_any, is_ipv6, is_loopback, socket_address, unmapped
from .options import AF_UNIX
from .packet_end import PacketEnd
from .ports import choose, collide, in_use
from .protocols import TCP
from .sockets import SimulatedSocket
from .tcp.segment import ACK, RST, SYN

if TYPE_CHECKING:
    from .end import End
    from .listener import Listener
    from .stack import Stack
    from .wire import Packet

K = TypeVar("K")
T = TypeVar("T")


class Streams:
    """The listeners and connections of one host."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._listeners: dict[int, list[Listener]] = {}
        self._ends: dict[End, None] = {}
        self._client_ports: dict[int, End] = {}
        self._bound: dict[int, list[SimulatedSocket]] = {}  # sockets that have taken a port
        self._unix_paths: dict[str | bytes, int] = {}  # the port that stands for a path

    async def connect(
        self, host: str | bytes, port: int, local: Any = None, sock: SimulatedSocket | None = None
    ) -> End:
        """Connect to a server, which takes a round trip. Raises `OSError`."""
        end = self.start_connecting(host, port, local, sock)
        assert end.connected is not None
        try:
            await end.connected
        except BaseException:
            end.close()
            raise
        return end

    def start_connecting(
        self, host: str | bytes, port: int, local: Any = None, sock: SimulatedSocket | None = None
    ) -> End:
        """Begin to connect to a server. Raises `OSError` for what is known at once."""
        stack, address = self.stack.resolve(host, port)
        own = local[1] if local is not None else 0
        if sock is None or sock not in self._bound.get(own, ()):
            self.check_free(own)
        own = own or self.stack.free_port(socket.SOCK_STREAM)
        fixed = local is not None and not is_any(local[0]) and not is_loopback(local[0])
        source = unmapped(local[0]) if fixed else self.stack.source_address(address)
        if self.stack.tcp_settings is not None and (sock is None or sock.family != AF_UNIX):
            return self._open(stack, (source, own), (address, port), sock)
        end = stream.StreamEnd(self.stack, stack, (source, own), (address, port), sock)
        end.take_options()
        self._client_ports[own] = end
        self._ends[end] = None
        end.connect()
        return end

    # -- TCP as packets -------------------------------------------------------------------------------

    def _open(self, stack: Stack, local: Any, remote: Any, sock: SimulatedSocket | None) -> PacketEnd:
        end = PacketEnd(self.stack, stack, local, remote, sock)
        self._client_ports[end.port] = end
        end.connect()
        return end

    def add_connection(self, end: PacketEnd) -> None:
        """Deliver to it what comes for it from now on."""
        if self.stack.connections is None:
            self.stack.connections = {}
        self.stack.connections[end.key] = end.endpoint
        self._ends[end] = None

    def forget_connection(self, end: PacketEnd) -> None:
        """Nothing can come for it any more."""
        connections = self.stack.connections
        if connections is not None and connections.get(end.key) is end.endpoint:
            del connections[end.key]
            self.stack.forget_last()
        self.forget_end(end)

    def take_segment(self, packet: Packet) -> None:
        """A segment has come for which there is no connection."""
        self.knock_with(packet.data, packet.target, packet.port, packet.source)

    def knock_with(self, segment: Any, target: str, port: int, source: Any) -> None:
        """Somebody asks for a connection, or talks of one that is none."""
        flags = segment.flags
        if flags & RST:
            return
        listener = None
        if flags & (SYN | ACK) == SYN:
            listeners = [one for one in self._listeners.get(port, ()) if one.hears(target)]
            listener = choose(listeners, source) if listeners else None
        if listener is None:
            self._reset(segment, target, port, source)
        elif not listener.is_full:
            sender = self.stack.simulation.stack_of(source[0]) or self.stack
            end = PacketEnd(self.stack, sender, (target, port), source[:2])
            end.listener = listener
            end.inherit(listener.socket)
            end.accept(segment)
        else:
            self.stack.count_loss("listener full")

    def _reset(self, about: Any, target: str, port: int, source: Any) -> None:
        """Say that there is no such connection."""
        forms = self.stack.simulation.forms
        if about.flags & ACK:
            segment = forms.tcp.Segment(RST, about.ack, 0, 0, b"")
        else:
            segment = forms.tcp.Segment(RST | ACK, 0, about.end(), 0, b"")
        packet = forms.Packet()
        packet.protocol, packet.kind, packet.data = TCP, segment.kind(), segment
        packet.size = (40 if is_ipv6(target) else 20) + segment.size()
        packet.source = socket_address(target, port, family_of(target))
        packet.target, packet.port = source[0], source[1]
        sender = self.stack.simulation.stack_of(source[0]) or self.stack
        packet.name, packet.target_name = f"{self.stack.name}:{port}", f"{sender.name}:{source[1]}"
        self.stack.count_sent(packet)
        self.stack.emit(packet)

    def hear_too_large(self, about: Packet, mtu: int) -> None:
        """A packet of one of the connections does not fit into a link."""
        end = self._end_of(about)
        if end is not None:
            end.take_mtu(mtu)

    def hear_unreachable(self, about: Packet) -> None:
        """A packet of one of the connections could not be delivered."""
        end = self._end_of(about)
        if end is not None:
            end.hear_of_trouble(errno.ENETUNREACH)

    def _end_of(self, about: Packet) -> PacketEnd | None:
        """Return whose packet that is."""
        remote = socket_address(about.target, about.port, family_of(about.target))
        found = (self.stack.connections or {}).get((about.source[1], about.source[0], remote))
        return None if found is None else found.owner

    def check_free(self, port: int) -> None:
        """Raise `OSError` if a port is taken from which somebody wants to connect; 0 stands for any."""
        if port and self.has_port(port):
            raise in_use(self.stack.name, port)

    def pair(self) -> tuple[SimulatedSocket, SimulatedSocket]:
        """Return two Unix sockets that are connected with each other."""
        ports = [self.stack.free_port(socket.SOCK_STREAM) for _ in range(2)]
        ends: list[stream.StreamEnd] = []
        for own, other in (ports, reversed(ports)):
            sock = SimulatedSocket(self.stack, socket.SOCK_STREAM, family=AF_UNIX)
            sock.be_unix("", "")
            end = stream.StreamEnd(self.stack, self.stack, (LOOPBACK, own), (LOOPBACK, other), sock)
            sock.own_end(end)
            self._ends[end] = None
            ends.append(end)
        ends[0].peer, ends[1].peer = ends[1], ends[0]
        return ends[0].socket, ends[1].socket

    def knock(self, segment: stream.Segment, packet: Packet) -> None:
        """Somebody asks for a connection."""
        client = segment.sender
        listeners = [one for one in self._listeners.get(packet.port, ()) if one.hears(packet.target)]
        listener = choose(listeners, packet.source) if listeners else None
        if listener is not None and listener.is_full:
            self.stack.ignore(packet, "listener full")
            segment.lost(packet)  # which is how the client takes it
            return
        end = stream.StreamEnd(self.stack, client.stack, (packet.target, packet.port), packet.source[:2])
        end.peer = client
        if listener is None:
            end.dead = True
            stream.Segment(stream.RST, end, client).send()
            return
        end.listener = listener
        end.inherit(listener.socket)
        self._ends[end] = None
        stream.Segment(stream.SYN_ACK, end, client).send()

    def listen(self, listener: Listener) -> None:
        """Accept connections to a listener's port."""
        self._listeners.setdefault(listener.port, []).append(listener)

    def stop_listening(self, listener: Listener) -> None:
        """Accept no more."""
        _remove(self._listeners, listener.port, listener)

    def port(self, host: str, port: int, *, reuse_port: bool, only6: bool) -> int:
        """Return a port for a server: the one asked for if it is free, any for 0. Raises `OSError`."""
        if port == 0:
            return self.stack.free_port(socket.SOCK_STREAM)
        others = [one for one in self._bound.get(port, ()) if collide(host, only6, one.local[0], one.only6)]
        if others and not (reuse_port and all(other.reuse_port for other in others)):
            raise in_use(self.stack.name, port)
        return port

    def bind(self, port: int, sock: SimulatedSocket) -> None:
        """A socket has taken a port."""
        self._bound.setdefault(port, []).append(sock)

    def unbind(self, sock: SimulatedSocket) -> None:
        """A socket has gone that may have taken a port."""
        if sock.family == AF_UNIX:
            is_own = self._unix_paths.get(sock.local) == sock.unix_port  # nobody else has taken it meanwhile
            if is_own and not sock.keeps_path:
                del self._unix_paths[sock.local]
        elif sock.local is not None:
            _remove(self._bound, sock.local[1], sock)

    def has_port(self, port: int) -> bool:
        """Say whether somebody has a port."""
        taken = port in self._bound or port in self._client_ports or port in self._listeners
        return taken or port in self._unix_paths.values()

    def take_unix_path(self, path: Any) -> int:
        """Return the port that stands for a path from now on. Raises `OSError` if it is taken."""
        if path in self._unix_paths:
            raise OSError(errno.EADDRINUSE, f"address already in use: {path} of {self.stack.name}")
        port = self._unix_paths[path] = self.stack.free_port(socket.SOCK_STREAM)
        return port

    def free_unix_name(self) -> bytes:
        """Return an abstract name that nobody has, for a socket that is bound to none."""
        number = 0
        while (name := b"\0%05x" % number) in self._unix_paths:
            number += 1
        return name

    def unix_port(self, path: Any) -> int:
        """Return the port that stands for a path. Raises `OSError`."""
        if path not in self._unix_paths:
            if isinstance(path, bytes):
                raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens to {path!r}")
            raise FileNotFoundError(errno.ENOENT, f"no such file or directory: {path} of {self.stack.name}")
        return self._unix_paths[path]

    def leave_unix_path(self, path: Any) -> None:
        """Have a path mean nothing any more, whoever listens there."""
        self._unix_paths.pop(path, None)

    def forget_end(self, end: End) -> None:
        """An end of a connection has been closed."""
        self._ends.pop(end, None)
        if self._client_ports.get(end.port) is end:
            del self._client_ports[end.port]

    def vanish(self) -> None:
        """The power is off."""
        for end in list(self._ends):
            end.vanish()
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.is_open = False

    def close_listeners(self) -> None:
        """The program has ended."""
        for listeners in list(self._listeners.values()):
            for listener in list(listeners):
                listener.close()
        self._unix_paths.clear()
        self._bound.clear()

    def close_ends(self) -> None:
        """The program has ended."""
        for end in list(self._ends):
            if end.owner is not None:
                end.owner.cut_off()
            end.close()


def _remove(table: dict[K, list[T]], key: K, one: T) -> None:
    others = table.get(key, [])
    if one in others:
        others.remove(one)
        if not others:
            del table[key]
