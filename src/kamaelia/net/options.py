"""Options of the kernel for datagrams: their numbers, and the structures that they take.

They are set through ``transport.get_extra_info("socket").setsockopt``, which every loop has, simulated hosts
too. Python's `socket` names only some of the numbers; these are Linux's:

| option | number | since | elsewhere |
| --- | --- | --- | --- |
| `IP_MULTICAST_IF`, `IP_MULTICAST_TTL`, `IP_MULTICAST_LOOP` | 32, 33, 34 | ever | other numbers |
| `IP_ADD_MEMBERSHIP`, `IP_DROP_MEMBERSHIP` | 35, 36 | ever | other numbers |
| `IP_ADD_SOURCE_MEMBERSHIP`, `IP_DROP_SOURCE_MEMBERSHIP` | 39, 40 | ever | other numbers, another structure |
| `MCAST_JOIN_SOURCE_GROUP`, `MCAST_LEAVE_SOURCE_GROUP` | 46, 47 | ever | other numbers |
| `IP_MULTICAST_ALL` | 49 | 2.6.31 | does not exist; there 0 is what is meant |
| `IPV6_MULTICAST_ALL` | 29 | 4.20 | does not exist; there 0 is what is meant |
| `SO_MEMINFO` | 55 | 4.12 | does not exist: nobody tells what was dropped |

A name of an interface means something on one host only, which a simulated one need not share with us: its
sockets have an ``if_nametoindex`` of their own, and where there is none it is the machine's that counts.

Source memberships 39 and 40 take the address of an interface, 46 and 47 its number, also for IPv6. On
other systems any-source multicast goes by the numbers that Python knows. Source-specific multicast is for
Linux so far, and says so.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import sys
from typing import Any, NamedTuple

LINUX = sys.platform == "linux"

IP_ADD_SOURCE_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP = 39, 40
MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP = 46, 47
IP_MULTICAST_ALL = 49
IPV6_MULTICAST_ALL = 29
SO_MEMINFO = 55
MEMINFO_FIELDS, MEMINFO_DROPS = 9, 8  # numbers in what it returns; the place of the one about drops

# Windows has no address of a group to bind to: there a socket hears all groups that it has joined itself.
BIND_TO_GROUP = sys.platform != "win32"


class Option(NamedTuple):
    """One call of ``setsockopt``."""

    level: int
    number: int
    value: int | bytes


def is_group(host: str) -> bool:
    """Say whether an address is that of a multicast group.

    >>> is_group("239.1.2.3"), is_group("ff15::1"), is_group("127.0.0.1"), is_group("example.org")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_multicast
    except ValueError:
        return False


def family_of(host: str) -> socket.AddressFamily | None:
    """Return the kind of a numeric address, and None for a name.

    >>> family_of("127.0.0.1").name, family_of("fe80::1%eth0").name, family_of("example.org")
    ('AF_INET', 'AF_INET6', None)
    """
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return socket.AF_INET if version == 4 else socket.AF_INET6


def interface_index(interface: str | int | None, sock: Any = None) -> int:
    """Return the number of an interface on the host of a socket, 0 for any.

    Raises `OSError` for a name that no interface has.
    """
    if interface is None:
        return 0
    if isinstance(interface, int):
        return interface
    number: int = getattr(sock, "if_nametoindex", socket.if_nametoindex)(interface)
    return number


def alone() -> tuple[Option, Option]:
    """Return the option, for IPv4 and for IPv6, by which a socket hears only groups that it has joined."""
    return Option(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0), Option(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)


def membership(
    group: str, source: str | None, interface: str | int | None, sock: Any = None, *, leave: bool = False
) -> Option:
    """Return the option by which a socket joins a group, or leaves it.

    Raises `OSError` for an interface that is not there, `NotImplementedError` for a source where that is not
    done yet.
    """
    if source is not None and not LINUX:
        raise NotImplementedError("source-specific multicast is for Linux so far: leave source= out")
    if family_of(group) is socket.AF_INET6:
        index = interface_index(interface, sock)
        if source is not None:
            return _source_group(socket.IPPROTO_IPV6, group, source, index, leave)
        number = socket.IPV6_LEAVE_GROUP if leave else socket.IPV6_JOIN_GROUP
        return Option(socket.IPPROTO_IPV6, number, _packed(group) + struct.pack("@I", index))
    by_address = _address_of(interface)
    if source is None:
        number = socket.IP_DROP_MEMBERSHIP if leave else socket.IP_ADD_MEMBERSHIP
        return Option(socket.IPPROTO_IP, number, _packed(group) + _ipv4_interface(interface, sock))
    if by_address is None:
        return _source_group(socket.IPPROTO_IP, group, source, interface_index(interface, sock), leave)
    number = IP_DROP_SOURCE_MEMBERSHIP if leave else IP_ADD_SOURCE_MEMBERSHIP
    return Option(socket.IPPROTO_IP, number, _packed(group) + by_address + _packed(source))


def sending(family: int, ttl: int, loop: bool, interface: str | int | None, sock: Any = None) -> list[Option]:
    """Return the options of a socket that sends to groups."""
    if family == socket.AF_INET6:
        level = socket.IPPROTO_IPV6
        options = [
            Option(level, socket.IPV6_MULTICAST_HOPS, ttl),
            Option(level, socket.IPV6_MULTICAST_LOOP, int(loop)),
        ]
        if interface is not None:
            options.append(Option(level, socket.IPV6_MULTICAST_IF, interface_index(interface, sock)))
        return options
    level = socket.IPPROTO_IP
    options = [
        Option(level, socket.IP_MULTICAST_TTL, ttl),
        Option(level, socket.IP_MULTICAST_LOOP, int(loop)),
    ]
    if interface is not None:
        by_address = _address_of(interface)
        # By name or number it is the same structure as for joining, where the group is left empty.
        value = by_address if by_address is not None else bytes(4) + _ipv4_interface(interface, sock)
        options.append(Option(level, socket.IP_MULTICAST_IF, value))
    return options


def dropped_by_kernel(sock: Any) -> int | None:
    """Return how many datagrams the kernel has dropped because a socket's buffer was full; None where it does
    not tell."""
    if not LINUX:
        return None
    with contextlib.suppress(OSError, TypeError):
        told = sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * MEMINFO_FIELDS)
        if isinstance(told, bytes) and len(told) == 4 * MEMINFO_FIELDS:
            return int(struct.unpack(f"{MEMINFO_FIELDS}I", told)[MEMINFO_DROPS])
    return None


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address.partition("%")[0]).packed


def _address_of(interface: str | int | None) -> bytes | None:
    """Return the IPv4 address that an interface is named by; that of any for None; None for other names."""
    if interface is None:
        return bytes(4)
    if isinstance(interface, str) and family_of(interface) is socket.AF_INET:
        return _packed(interface)
    return None


def _ipv4_interface(interface: str | int | None, sock: Any) -> bytes:
    """Return the end of a ``struct ip_mreq`` (an address), or of a ``struct ip_mreqn`` (with a number)."""
    by_address = _address_of(interface)
    if by_address is not None:
        return by_address
    return bytes(4) + struct.pack("@i", interface_index(interface, sock))


def _source_group(level: int, group: str, source: str, index: int, leave: bool) -> Option:
    """Pack a ``struct group_source_req``."""
    number = MCAST_LEAVE_SOURCE_GROUP if leave else MCAST_JOIN_SOURCE_GROUP
    head = struct.pack("@I", index).ljust(8, b"\0")  # addresses begin where 64-bit numbers would
    if struct.calcsize("@P") == 4:
        head = head[:4]
    return Option(level, number, head + _storage(group) + _storage(source))


def _storage(address: str) -> bytes:
    """Pack a ``struct sockaddr_storage``."""
    packed = _packed(address)
    if len(packed) == 4:
        return struct.pack("@HH4s", socket.AF_INET, 0, packed).ljust(128, b"\0")
    return struct.pack("@HHI16sI", socket.AF_INET6, 0, 0, packed, 0).ljust(128, b"\0")
