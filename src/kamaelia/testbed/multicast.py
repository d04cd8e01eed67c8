"""Simulated multicast: a datagram to a group goes once over each link of a tree.

The tree is that of the shortest paths from the sender's host to all hosts that have joined. At each host
where it branches the datagram is copied, and all copies have its number in the trace; a link that loses or
drops a copy takes it from all that is behind. Each link but the first takes 1 of its TTL, so 1 reaches the
neighbours only, and 0 nobody but the sender's own host, which hears it unless ``IP_MULTICAST_LOOP`` is off.

A host joins by ``setsockopt`` on a UDP socket, as on Linux: ``IP_ADD_MEMBERSHIP`` and its like, 20 groups a
socket, ``IP_MULTICAST_ALL``; what it refuses it refuses with Linux's errors. An option of IP that is not
modelled is refused too, but for those that could make no difference here: nobody is to be deaf unnoticed. A
host has one interface, which 0.0.0.0, its address, 127.0.0.1, the number 1, ``eth0`` and ``lo`` name. Joining
and leaving take effect at once, everywhere: how hosts tell routers (IGMP), and the time that takes, is not
modelled.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

from .sockets import ANY, INTERFACE, Address
from .wire import Channel, Packet

if TYPE_CHECKING:
    from .datagram import DatagramTransport
    from .simulation import Simulation
    from .stack import Stack

IP_ADD_SOURCE_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP = 39, 40
MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP = 46, 47
IP_MULTICAST_ALL = 49
NO_DIFFERENCE = {socket.IP_TOS}  # options that are remembered: no link here looks at the class of a packet
MOST = 20  # groups that one socket may join


def is_group(host: Any) -> bool:
    """Say whether an address is that of a group."""
    first = host.partition(".")[0] if isinstance(host, str) else ""
    return first.isdigit() and 224 <= int(first) <= 239


class Memberships:
    """The groups that one socket has joined, and how it sends to groups."""

    def __init__(self, transport: DatagramTransport) -> None:
        self.groups: dict[str, dict[str, None] | None] = {}
        """By their addresses: from which sources it is heard; None for any."""
        self.hears_all = True
        """It hears groups that others on this host have joined."""
        self.ttl = 1
        self.loop = True
        self._transport = transport
        self._stack = transport.stack

    def set(self, level: int, option: int, value: Any) -> None:
        """An option of the socket is set. Raises `OSError`."""
        if level not in (socket.IPPROTO_IP, socket.IPPROTO_IPV6):
            return
        if level == socket.IPPROTO_IPV6:
            raise _not_modelled(level, option)
        if option == socket.IP_ADD_MEMBERSHIP:
            self._join(*self._group_in(value))
        elif option == socket.IP_DROP_MEMBERSHIP:
            self._leave(*self._group_in(value))
        elif option in (IP_ADD_SOURCE_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP):
            group, interface, source = (socket.inet_ntoa(value[i : i + 4]) for i in (0, 4, 8))
            self._check_interface(interface)
            self._check_group(group)
            (self._join if option == IP_ADD_SOURCE_MEMBERSHIP else self._leave)(group, source)
        elif option in (MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP):
            (self._join if option == MCAST_JOIN_SOURCE_GROUP else self._leave)(*self._source_group_in(value))
        elif option == IP_MULTICAST_ALL:
            self.hears_all = bool(_number(value))
        elif option == socket.IP_MULTICAST_LOOP:
            self.loop = bool(_number(value))
        elif option == socket.IP_MULTICAST_TTL:
            ttl = _number(value)
            if not -1 <= ttl <= 255:
                raise _error(errno.EINVAL)
            self.ttl = 1 if ttl == -1 else ttl
        elif option == socket.IP_MULTICAST_IF:
            start = 0 if len(value) == 4 else 4
            self._check_interface(socket.inet_ntoa(value[start : start + 4]), value[start + 4 :])
        elif option not in NO_DIFFERENCE:
            raise _not_modelled(level, option)

    def leave_all(self) -> None:
        """The socket is closed."""
        for group in list(self.groups):
            self._leave(group)

    def hears(self, group: str, source: Address) -> bool:
        """Say whether the socket is to get what comes for a group from somebody."""
        if self._transport.socket.local[0] not in (ANY, group):
            return False
        if self._transport.connected_to not in (None, source):
            return False
        if group not in self.groups:
            return self.hears_all
        sources = self.groups[group]
        return sources is None or source[0] in sources

    def _join(self, group: str, source: str | None = None) -> None:
        sources = self.groups.get(group)
        if source is None:
            if group in self.groups:
                raise _error(errno.EADDRINUSE)
        elif group in self.groups:
            if sources is None:
                raise _error(errno.EINVAL)
            if source in sources:
                raise _error(errno.EADDRNOTAVAIL)
        if group not in self.groups:
            if len(self.groups) >= MOST:
                raise _error(errno.ENOBUFS)
            self.groups[group] = None if source is None else {}
        if source is not None:
            self.groups[group][source] = None  # type: ignore[index]
        self._changed(group)

    def _leave(self, group: str, source: str | None = None) -> None:
        if group not in self.groups:
            raise _error(errno.EADDRNOTAVAIL)
        sources = self.groups[group]
        if source is not None:
            if sources is None or source not in sources:
                raise _error(errno.EADDRNOTAVAIL)
            del sources[source]
        if source is None or not sources:
            del self.groups[group]
        self._changed(group)

    def _changed(self, group: str) -> None:
        self._stack.group_changed(group, self._transport)

    def _group_in(self, value: bytes) -> tuple[str]:
        group, interface = socket.inet_ntoa(value[:4]), socket.inet_ntoa(value[4:8])
        self._check_interface(interface, value[8:])
        self._check_group(group)
        return (group,)

    def _source_group_in(self, value: bytes) -> tuple[str, str]:
        """Read a ``struct group_source_req``: the number of an interface, and two addresses."""
        hosts = []
        for start in (len(value) - 256, len(value) - 128):
            (family,) = struct.unpack_from("@H", value, start)
            if family != socket.AF_INET:
                raise _error(errno.EADDRNOTAVAIL)
            hosts.append(socket.inet_ntoa(value[start + 4 : start + 8]))
        self._check_interface(ANY, value[:4])
        self._check_group(hosts[0])
        return hosts[0], hosts[1]

    def _check_group(self, group: str) -> None:
        if not is_group(group):
            raise _error(errno.EINVAL)

    def _check_interface(self, address: str, index: bytes = b"") -> None:
        if len(index) >= 4 and struct.unpack_from("@i", index)[0] not in (0, INTERFACE):
            raise _error(errno.ENODEV)
        if address not in (ANY, self._stack.address) and not address.startswith("127."):
            raise _error(errno.ENODEV)


class Branch:
    """A host in a tree, and the links that go on from there."""

    __slots__ = ("is_member", "stack", "ways")

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.is_member = False
        self.ways: list[tuple[Channel, Branch]] = []


def make_tree(simulation: Simulation, source: Stack, group: str) -> Branch:
    """Return the tree from a host to all that hear it in a group; hosts are taken in their order."""
    root = Branch(source)
    branches = {source.name: root}
    for stack in simulation.stacks.values():
        if not stack.wants(group, source.address):
            continue
        path = simulation.path(source.name, stack.name)
        if path is None:
            continue
        # Paths to two hosts may part and meet again, if they are equally long: go on where the tree has come.
        start = max((place for place, one in enumerate(path, 1) if one.target in branches), default=0)
        branch = branches[path[start - 1].target] if start else root
        for channel in path[start:]:
            further = branches[channel.target] = Branch(simulation.stacks[channel.target])
            branch.ways.append((channel, further))
            branch = further
        branch.is_member = True
    return root


class GroupDatagram(Packet):
    """A copy of a datagram to a group, on its way over one link."""

    __slots__ = ("address", "branch", "data", "to", "ttl")

    protocol = "udp"
    waits = False

    def __init__(
        self,
        stack: Stack,
        source: str,
        size: int,
        data: bytes,
        address: Address,
        to: Address,
        ttl: int,
        tree: Branch,
    ) -> None:
        self.data = data
        self.address = address  # of the sender
        self.to = to
        self.ttl = ttl
        self.branch = tree  # where it is, or will be
        super().__init__(stack.simulation, stack.loop, (), size, source, f"{to[0]}:{to[1]}")

    def start(self, *, loop: bool) -> None:
        """Leave the sender's host, now."""
        self.simulation.record("send", self)
        if loop and self.branch.is_member:  # no time passes, but others have their turn before
            self.simulation.clock.add_ready(self)
        if self.ttl > 0:
            self._go_on()

    def _go_on(self) -> None:
        for channel, branch in self.branch.ways:
            channel.carry(self._copy(channel, branch))

    def _copy(self, channel: Channel, branch: Branch) -> GroupDatagram:
        copy: GroupDatagram = GroupDatagram.__new__(GroupDatagram)
        for name in ("simulation", "number", "size", "source", "target", "data", "address", "to", "ttl"):
            setattr(copy, name, getattr(self, name))
        copy._cancelled = copy._scheduled = False
        copy._loop = branch.stack.loop
        copy.path = (channel,)
        copy.position = 0
        copy.branch = branch
        return copy

    def _run(self) -> None:
        branch, stack = self.branch, self.branch.stack
        if not self.path:  # it is the sender's own host
            self.simulation.record("deliver", self, stack.name)
            self.arrive()
            return
        self.path[0].delivered += 1
        if branch.ways:
            if self.ttl > 1:
                self.simulation.record("forward", self, stack.name)
                self.ttl -= 1
                self._go_on()
            else:
                self.simulation.record("expire", self, stack.name)
        if branch.is_member:
            self.simulation.record("deliver", self, stack.name)
            self.arrive()

    def arrive(self) -> None:
        """Give it to all on this host who hear the group."""
        stack = self.branch.stack
        stack.count_received(self.size)
        taken = False
        for transport in stack.group_sockets(self.to, self.address):
            taken = True
            transport.take(self.data, self.address)
        if not taken:
            self.simulation.record("ignore", self, stack.name)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else int.from_bytes(value[:4], sys.byteorder)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _not_modelled(level: int, option: int) -> OSError:
    name = "IP" if level == socket.IPPROTO_IP else "IPv6"
    text = f"{os.strerror(errno.ENOPROTOOPT)}: simulated hosts do not have option {option} of {name}"
    return OSError(errno.ENOPROTOOPT, text)
