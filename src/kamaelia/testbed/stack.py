"""The network stack of one simulated host: its addresses, its ports, and who has them.

A host has one address, 10.0.0.1 for the first, and is reached by its name. ``localhost`` and 127.0.0.1 mean
the host itself. Unlike on a real host a server may be reached from outside whatever address it listens on,
127.0.0.1 included: a simulated network is closed, so there is nobody to be careful of, and a component that
listens on its careful default can be put into one as it is. A port belongs to the host, not to one of its
addresses.

The stack goes on when the host's components have ended, as a kernel does: it refuses who knocks.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import TYPE_CHECKING, TypeVar

from ..axon.errors import suggestion
from .loop import HostLoop, Listener
from .multicast import Branch, is_group, make_tree
from .sockets import ANY, LOOPBACK, Address
from .stream import RST, SYN_ACK, Segment, StreamEnd

if TYPE_CHECKING:
    from .datagram import DatagramTransport
    from .simulation import Simulation
    from .wire import Channel

K = TypeVar("K")
T = TypeVar("T")

FIRST_EPHEMERAL, LAST_PORT = 49152, 65535


def address_of(number: int) -> str:
    """Return the address of a host by its number, counted from 1."""
    return str(ipaddress.IPv4Address("10.0.0.0") + number)


class Stack:
    """The kernel's part of one host."""

    def __init__(self, simulation: Simulation, name: str, address: str) -> None:
        self.simulation = simulation
        self.name = name
        self.address = address
        self.loop = HostLoop(self)
        self.sent = self.received = self.bytes_sent = self.bytes_received = 0
        self._listeners: dict[int, list[Listener]] = {}
        self._datagram_sockets: dict[int, list[DatagramTransport]] = {}
        self._group_sockets: dict[int, list[DatagramTransport]] = {}  # those bound to the address of a group
        self._joined: dict[str, list[DatagramTransport]] = {}  # by the address of the group
        self._trees: dict[str, Branch] = {}  # by the group, while they are true
        self._trees_version = 0
        self._ends: dict[StreamEnd, None] = {}
        self._client_ports: dict[int, StreamEnd] = {}
        self._unix_paths: dict[str, int] = {}  # the port that stands for a path
        self._next_ports = {socket.SOCK_STREAM: FIRST_EPHEMERAL, socket.SOCK_DGRAM: FIRST_EPHEMERAL}

    def count_sent(self, size: int) -> None:
        """Count a packet that leaves."""
        self.sent += 1
        self.bytes_sent += size

    def count_received(self, size: int) -> None:
        """Count a packet that has come to its end here."""
        self.received += 1
        self.bytes_received += size

    # -- names and ways ---------------------------------------------------------------------------

    def look_up(self, host: str | bytes) -> str:
        """Return the address of a name, or of an address itself. Raises `socket.gaierror`."""
        name = host.decode("ascii") if isinstance(host, bytes) else host
        if name == "localhost":
            return LOOPBACK
        if name in self.simulation.stacks:
            return self.simulation.stacks[name].address
        try:
            parsed = ipaddress.ip_address(name)
        except ValueError:
            raise socket.gaierror(
                socket.EAI_NONAME,
                f"no host of this network is called {name!r}; {suggestion(name, self.simulation.stacks)}",
            ) from None
        if parsed.version == 6:
            raise socket.gaierror(socket.EAI_FAMILY, f"{name}: simulated networks have IPv4 only")
        return str(parsed)

    def resolve(self, host: str | bytes, port: int) -> tuple[Stack, Address]:
        """Return the host that has a name or address. Raises `OSError` when there is none."""
        address = self.look_up(host)
        if address == ANY or ipaddress.IPv4Address(address).is_loopback:
            return self, (LOOPBACK if address == ANY else address, port)
        stack = self.simulation.by_address.get(address)
        if stack is None:
            raise OSError(
                errno.EHOSTUNREACH, f"no route to host: no host of this network has the address {address}"
            )
        return stack, (address, port)

    def path_to(self, stack: Stack) -> tuple[Channel, ...]:
        """Return the way to a host. Raises `OSError` when no links lead there."""
        path = self.simulation.path(self.name, stack.name)
        if path is None:
            raise OSError(
                errno.EHOSTUNREACH, f"no route to host: no links lead from {self.name} to {stack.name}"
            )
        return path

    def source_address(self, target: Address) -> str:
        """Return which of the own addresses the packets to an address come from."""
        return LOOPBACK if target[0].startswith("127.") else self.address

    def own_address(self, host: str | bytes | None) -> str:
        """Return the address that a socket is bound to. Raises `OSError` for one of another host."""
        if host is None or host in ("", b""):
            return ANY
        address = self.look_up(host)
        if address in (ANY, self.address) or ipaddress.IPv4Address(address).is_loopback:
            return address
        raise OSError(errno.EADDRNOTAVAIL, f"cannot assign requested address: {address} is not {self.name}'s")

    # -- TCP --------------------------------------------------------------------------------------

    async def connect(self, host: str | bytes, port: int, local: Address | None = None) -> StreamEnd:
        """Connect to a server, which takes a round trip. Raises `OSError`."""
        stack, target = self.resolve(host, port)
        own = local[1] if local is not None else 0
        if own and (own in self._listeners or own in self._client_ports):
            raise in_use(self.name, own)
        own = own or self._free_port(socket.SOCK_STREAM)
        end = StreamEnd(self, stack, (self.source_address(target), own), target)
        self._client_ports[own] = end
        self._ends[end] = None
        try:
            await end.connect()
        except BaseException:
            end.close()
            raise
        return end

    def knock(self, client: StreamEnd) -> None:
        """Somebody asks for a connection."""
        assert client.socket.remote is not None
        end = StreamEnd(self, client.stack, client.socket.remote, client.socket.local)
        end.peer = client
        listeners = self._listeners.get(client.socket.remote[1])
        if not listeners:
            end.dead = True
            Segment(RST, end, client).send()
            return
        end.listener = _choose(listeners, client.socket.local)
        self._ends[end] = None
        Segment(SYN_ACK, end, client).send()

    def listen(self, listener: Listener) -> None:
        """Accept connections to a listener's port."""
        self._listeners.setdefault(listener.port, []).append(listener)
        self.simulation.record_at(self, "listen", f"{self.name}:{listener.port}")

    def stop_listening(self, listener: Listener) -> None:
        """Accept no more."""
        _remove(self._listeners, listener.port, listener)

    def stream_port(self, port: int, *, reuse_port: bool) -> int:
        """Return a port for a server: the one asked for if it is free, any for 0. Raises `OSError`."""
        if port == 0:
            return self._free_port(socket.SOCK_STREAM)
        others = self._listeners.get(port, ())
        if others and not (reuse_port and all(other.reuse_port for other in others)):
            raise in_use(self.name, port)
        return port

    def take_unix_path(self, path: str) -> int:
        """Return the port that stands for a path from now on. Raises `OSError` if it is taken."""
        if path in self._unix_paths:
            raise OSError(errno.EADDRINUSE, f"address already in use: {path} of {self.name}")
        port = self._unix_paths[path] = self._free_port(socket.SOCK_STREAM)
        return port

    def unix_port(self, path: str) -> int:
        """Return the port that stands for a path. Raises `FileNotFoundError`."""
        if path not in self._unix_paths:
            raise FileNotFoundError(errno.ENOENT, f"no such file or directory: {path} of {self.name}")
        return self._unix_paths[path]

    def leave_unix_path(self, path: str, port: int) -> None:
        """A server does not listen there any more."""
        if self._unix_paths.get(path) == port:
            del self._unix_paths[path]

    def forget_end(self, end: StreamEnd) -> None:
        """An end of a connection has been closed."""
        self._ends.pop(end, None)
        if self._client_ports.get(end.port) is end:
            del self._client_ports[end.port]

    # -- UDP --------------------------------------------------------------------------------------

    def datagram_port(self, local: Address, *, reuse_port: bool) -> int:
        """Return a port for datagrams: the one asked for if it is free, any for 0. Raises `OSError`."""
        host, port = local
        if port == 0:
            return self._free_port(socket.SOCK_DGRAM)
        others = [
            one
            for one in (*self._datagram_sockets.get(port, ()), *self._group_sockets.get(port, ()))
            if not (is_group(host) or is_group(one.socket.local[0]))
            or ANY in (host, one.socket.local[0])
            or host == one.socket.local[0]
        ]
        if others and not (reuse_port and all(other.reuse_port for other in others)):
            raise in_use(self.name, port)
        return port

    def add_datagram_socket(self, transport: DatagramTransport) -> None:
        """Deliver to a socket what comes for its port."""
        self._sockets_like(transport).setdefault(transport.socket.local[1], []).append(transport)

    def forget_datagram_socket(self, transport: DatagramTransport) -> None:
        """Deliver nothing to it any more."""
        _remove(self._sockets_like(transport), transport.socket.local[1], transport)
        transport.memberships.leave_all()

    def _sockets_like(self, transport: DatagramTransport) -> dict[int, list[DatagramTransport]]:
        return self._group_sockets if is_group(transport.socket.local[0]) else self._datagram_sockets

    def find_datagram_socket(self, to: Address, source: Address) -> DatagramTransport | None:
        """Return the socket that a datagram is for: a connected one hears only its peer."""
        sockets = self._datagram_sockets.get(to[1])
        if not sockets:
            return None
        if len(sockets) == 1:
            only = sockets[0]
            return only if only.connected_to is None or only.connected_to == source else None
        connected = [one for one in sockets if one.connected_to == source]
        open_to_all = [one for one in sockets if one.connected_to is None]
        candidates = connected or open_to_all
        return _choose(candidates, source) if candidates else None

    # -- multicast --------------------------------------------------------------------------------

    def group_changed(self, group: str, transport: DatagramTransport) -> None:
        """A socket has joined a group or left it, or one of its sources."""
        joined = self._joined.setdefault(group, [])
        if group not in transport.memberships.groups:
            _remove(self._joined, group, transport)
        elif transport not in joined:
            joined.append(transport)
        self.simulation.memberships_version += 1

    def wants(self, group: str, source: str) -> bool:
        """Say whether a socket here has joined a group for what comes from an address."""
        for transport in self._joined.get(group, ()):
            sources = transport.memberships.groups[group]
            if sources is None or source in sources:
                return True
        return False

    def group_sockets(self, to: Address, source: Address) -> list[DatagramTransport]:
        """Return the sockets that are to get what has come for a group."""
        group, port = to
        sockets = (*self._group_sockets.get(port, ()), *self._datagram_sockets.get(port, ()))
        return [one for one in sockets if one.memberships.hears(group, source)]

    def tree(self, group: str) -> Branch:
        """Return the tree from here to all who hear us in a group."""
        if self._trees_version != self.simulation.memberships_version:
            self._trees_version = self.simulation.memberships_version
            self._trees.clear()
        tree = self._trees.get(group)
        if tree is None:
            tree = self._trees[group] = make_tree(self.simulation, self, group)
        return tree

    # -- the end ----------------------------------------------------------------------------------

    def exit(self) -> None:
        """The host's program has ended: what it has left open is closed for it."""
        for listeners in list(self._listeners.values()):
            for listener in list(listeners):
                listener.close()
        for sockets in [*self._datagram_sockets.values(), *self._group_sockets.values()]:
            for transport in list(sockets):
                transport.cut_off()
        for end in list(self._ends):
            if end.transport is not None:
                end.transport.cut_off()
            end.close()

    def _free_port(self, kind: socket.SocketKind) -> int:
        for _ in range(FIRST_EPHEMERAL, LAST_PORT + 1):
            port = self._next_ports[kind]
            self._next_ports[kind] = port + 1 if port < LAST_PORT else FIRST_EPHEMERAL
            if kind == socket.SOCK_DGRAM:
                taken = port in self._datagram_sockets or port in self._group_sockets
            else:
                taken = port in self._listeners or port in self._client_ports
            if not taken:
                return port
        raise OSError(errno.EADDRNOTAVAIL, f"{self.name} has no free port left")

    def __repr__(self) -> str:
        return f"<stack of {self.name}, {self.address}>"


def in_use(name: str, port: int) -> OSError:
    """Make the error that says that a port is taken."""
    return OSError(errno.EADDRINUSE, f"address already in use: port {port} of {name}")


def _choose(candidates: list[T], source: Address) -> T:
    """Choose among sockets that share a port, always the same one for the same sender."""
    number = int(ipaddress.IPv4Address(source[0])) + source[1]
    return candidates[number % len(candidates)]


def _remove(table: dict[K, list[T]], key: K, one: T) -> None:
    others = table.get(key, [])
    if one in others:
        others.remove(one)
        if not others:
            del table[key]
