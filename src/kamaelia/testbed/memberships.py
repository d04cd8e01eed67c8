"""How a socket joins groups, and how it sends to them: the options of multicast, as on Linux.

| IPv4 | IPv6 | |
| --- | --- | --- |
| ``IP_ADD_MEMBERSHIP``, ``IP_DROP_...`` | ``IPV6_JOIN_GROUP``, ``IPV6_LEAVE_GROUP`` | from any source |
| ``IP_ADD_SOURCE_MEMBERSHIP``, ``IP_DROP_...`` | | from one source |
| ``MCAST_JOIN_SOURCE_GROUP``, ``MCAST_LEAVE_...`` | the same | likewise |
| ``IP_MULTICAST_IF``, ``_TTL``, ``_LOOP``, ``_ALL`` | ``IPV6_MULTICAST_IF``, ``_HOPS`` ... | how to send |

20 groups a socket; what is refused is refused with Linux's errors. The links of a host are its interfaces, in
the order of their making: ``eth0`` has the number 2, ``eth1`` 3. As with servers, the loopback, number 1 or
127.0.0.1, is as good as any: it stands for the first of them, as do 0 and 0.0.0.0.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from .addresses import is_any, is_group, is_ipv6
from .options import number_in

if TYPE_CHECKING:
    from .addresses import Address
    from .datagram import DatagramTransport

IP_ADD_SOURCE_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP = 39, 40
MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP = 42, 45
MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP = 46, 47
IP_MULTICAST_ALL, IPV6_MULTICAST_ALL = 49, 29
MOST = 20  # groups that one socket may join
FIRST_INTERFACE = 2  # the number of eth0; 1 is the loopback

Key = tuple[str, int]  # a group, and which interface, from 0


class Memberships:
    """The groups that one socket has joined, and how it sends to groups."""

    def __init__(self, transport: DatagramTransport) -> None:
        self.groups: dict[Key, dict[str, None] | None] = {}
        """By group and interface: from which sources it is heard; None for any."""
        self.hears_all = True
        """It hears groups that others on this host have joined."""
        self.ttl = 1
        self.loop = True
        self.interface = 0
        """Over which of its links, from 0, the host sends to groups."""
        self._transport = transport
        self._stack = transport.node

    def set(self, level: int, option: int, value: Any) -> None:
        """An option of the socket is set. Raises `OSError`."""
        if level == socket.IPPROTO_IP:
            self._set4(option, value)
        else:
            self._set6(option, value)

    def _set4(self, option: int, value: Any) -> None:
        if option in (socket.IP_ADD_MEMBERSHIP, socket.IP_DROP_MEMBERSHIP):
            group, interface = socket.inet_ntoa(value[:4]), socket.inet_ntoa(value[4:8])
            key = (group, self._interface(interface, value[8:]))
            _check_group(group)
            (self._join if option == socket.IP_ADD_MEMBERSHIP else self._leave)(key)
        elif option in (IP_ADD_SOURCE_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP):
            group, interface, source = (socket.inet_ntoa(value[i : i + 4]) for i in (0, 4, 8))
            key = (group, self._interface(interface))
            _check_group(group)
            (self._join if option == IP_ADD_SOURCE_MEMBERSHIP else self._leave)(key, source)
        elif option in (MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP):
            self._set_source_group(option, value, socket.AF_INET)
        elif option == IP_MULTICAST_ALL:
            self.hears_all = bool(number_in(value))
        elif option == socket.IP_MULTICAST_LOOP:
            self.loop = bool(number_in(value))
        elif option == socket.IP_MULTICAST_TTL:
            self._set_ttl(number_in(value))
        elif option == socket.IP_MULTICAST_IF:
            start = 0 if len(value) == 4 else 4
            self.interface = self._interface(socket.inet_ntoa(value[start : start + 4]), value[start + 4 :])

    def _set6(self, option: int, value: Any) -> None:
        if option in (socket.IPV6_JOIN_GROUP, socket.IPV6_LEAVE_GROUP):
            group = socket.inet_ntop(socket.AF_INET6, value[:16])
            key = (group, self._numbered(struct.unpack_from("@I", value, 16)[0]))
            _check_group(group)
            (self._join if option == socket.IPV6_JOIN_GROUP else self._leave)(key)
        elif option in (MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP):
            self._set_source_group(option, value, socket.AF_INET6)
        elif option == IPV6_MULTICAST_ALL:
            self.hears_all = bool(number_in(value))
        elif option == socket.IPV6_MULTICAST_LOOP:
            self.loop = bool(number_in(value))
        elif option == socket.IPV6_MULTICAST_HOPS:
            self._set_ttl(number_in(value))
        elif option == socket.IPV6_MULTICAST_IF:
            self.interface = self._numbered(number_in(value))

    def _set_ttl(self, ttl: int) -> None:
        if not -1 <= ttl <= 255:
            raise _error(errno.EINVAL)
        self.ttl = 1 if ttl == -1 else ttl

    def _set_source_group(self, option: int, value: bytes, family: int) -> None:
        """Read a ``struct group_source_req``: the number of an interface, and two addresses."""
        hosts = []
        for start in (len(value) - 256, len(value) - 128):
            (told,) = struct.unpack_from("@H", value, start)
            if told != family:
                raise _error(errno.EADDRNOTAVAIL)
            at, length = (start + 4, 4) if family == socket.AF_INET else (start + 8, 16)
            hosts.append(socket.inet_ntop(family, value[at : at + length]))
        key = (hosts[0], self._numbered(struct.unpack_from("@I", value)[0]))
        _check_group(hosts[0])
        (self._join if option == MCAST_JOIN_SOURCE_GROUP else self._leave)(key, hosts[1])

    def leave_all(self) -> None:
        """The socket is closed."""
        for key in list(self.groups):
            self._leave(key)

    def hears(self, group: str, source: Address, interface: int) -> bool:
        """Say whether the socket is to get what comes for a group from somebody over an interface."""
        transport = self._transport
        if is_ipv6(group) != (transport.family == socket.AF_INET6):
            return False
        own = transport.local_host
        if not (is_any(own) or own == group) or transport.connected_to not in (None, source):
            return False
        key = (group, interface)
        if key not in self.groups:
            return self.hears_all
        sources = self.groups[key]
        return sources is None or source[0] in sources

    def _join(self, key: Key, source: str | None = None) -> None:
        sources = self.groups.get(key)
        if source is None:
            if key in self.groups:
                raise _error(errno.EADDRINUSE)
        elif key in self.groups:
            if sources is None:
                raise _error(errno.EINVAL)
            if source in sources:
                raise _error(errno.EADDRNOTAVAIL)
        if key not in self.groups:
            if len(self.groups) >= MOST:
                raise _error(errno.ENOBUFS)
            self.groups[key] = None if source is None else {}
        if source is not None:
            self.groups[key][source] = None  # type: ignore[index]
        self._stack.simulation.groups.joined(self._stack, self._transport, key)

    def _leave(self, key: Key, source: str | None = None) -> None:
        if key not in self.groups:
            raise _error(errno.EADDRNOTAVAIL)
        sources = self.groups[key]
        if source is not None:
            if sources is None or source not in sources:
                raise _error(errno.EADDRNOTAVAIL)
            del sources[source]
        if source is None or not sources:
            del self.groups[key]
        self._stack.simulation.groups.joined(self._stack, self._transport, key)

    def _interface(self, address: str, index: bytes = b"") -> int:
        """Return which interface an address, or a number that comes with it, stands for."""
        if len(index) >= 4:
            number = struct.unpack_from("@i", index)[0]
            if number:
                return self._numbered(number)
        if not is_any(address) and not self._stack.has(address):
            raise _error(errno.ENODEV)
        return 0

    def _numbered(self, number: int) -> int:
        if number < FIRST_INTERFACE:
            if number < 0:
                raise _error(errno.ENODEV)
            return 0
        if number - FIRST_INTERFACE >= max(1, len(self._stack.channels)):
            raise _error(errno.ENODEV)
        return number - FIRST_INTERFACE


def _check_group(group: str) -> None:
    if not is_group(group):
        raise _error(errno.EINVAL)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
