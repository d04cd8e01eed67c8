"""How a socket joins groups, and how it sends to them: the options of multicast, as on Linux.

``IP_ADD_MEMBERSHIP`` and its like, 20 groups a socket, ``IP_MULTICAST_ALL``, TTL, loop and interface; what is
refused is refused with Linux's errors. An option of IP that is not modelled is refused too, but for those
that could make no difference here: nobody is to be deaf unnoticed.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

from .addresses import ANY, is_group
from .sockets import INTERFACE

if TYPE_CHECKING:
    from .addresses import Address
    from .datagram import DatagramTransport

IP_ADD_SOURCE_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP = 39, 40
MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP = 46, 47
IP_MULTICAST_ALL = 49
MOST = 20  # groups that one socket may join


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
        self._stack = transport.node

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

    def leave_all(self) -> None:
        """The socket is closed."""
        for group in list(self.groups):
            self._leave(group)

    def hears(self, group: str, source: Address) -> bool:
        """Say whether the socket is to get what comes for a group from somebody."""
        transport = self._transport
        if transport.local_host not in (ANY, group) or transport.connected_to not in (None, source):
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
        if address != ANY and not self._stack.has(address):
            raise _error(errno.ENODEV)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else int.from_bytes(value[:4], sys.byteorder)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _not_modelled(level: int, option: int) -> OSError:
    name = "IP" if level == socket.IPPROTO_IP else "IPv6"
    text = f"{os.strerror(errno.ENOPROTOOPT)}: simulated hosts do not have option {option} of {name}"
    return OSError(errno.ENOPROTOOPT, text)
