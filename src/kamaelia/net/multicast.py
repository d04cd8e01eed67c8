"""Multicast: what goes to an address of a group arrives at all who have joined it.

Theory
------
A group is an address (224.0.0.0 to 239.255.255.255, or ff00::/8) that nobody has: hosts *join* it, and
routers bring what is sent there to all who have. Joined for *any source* a host gets what anybody sends; with
*source-specific* multicast only what certain senders do.

Linux gives what comes for a group to every socket that is bound to its port, whether that one has joined or
anybody else on the machine has, unless ``IP_MULTICAST_ALL`` is 0; and lets a socket join 20 groups only. So
each group has a socket of its own here, which is bound to the address of the group, and has that option off.
Then the kernel keeps groups apart by their addresses, any number may be joined, each datagram comes once, and
the socket says which group it was for: the address of the receiver is nothing that asyncio tells. All share
the port (``reuse_port``), so there may be several receivers on a machine, and each gets everything.

There is one thing that Linux does wrong, with IPv4 and sockets that share a port: what only one of those that
are bound to a group is to have (since the others hear other sources of the same group), any of them may get
(unless ``net.ipv4.udp_early_demux`` is 0). So what is not from a source that was joined is thrown away here
once more. But who was to have it does not get it: give receivers of different sources different groups, which
is what source-specific groups are meant for, or different ports.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kamaelia.axon.errors import shorten

from . import options
from .datagram import Datagram, Port


class GroupDatagram(Datagram):
    """A `Datagram` that has come to a group.

    Example:
        >>> from kamaelia.net import GroupDatagram
        >>> datagram = GroupDatagram.to_group(b"hello", ("192.0.2.7", 5004), "239.1.2.3")
        >>> datagram.data, datagram.address, datagram.group
        (b'hello', ('192.0.2.7', 5004), '239.1.2.3')
    """

    group: str
    """The address of the group."""

    @classmethod
    def to_group(cls, data: bytes, address: Any, group: str) -> GroupDatagram:
        """Make one."""
        made = cls(data, address)
        made.group = group
        return made

    def __repr__(self) -> str:
        return f"GroupDatagram(data={self.data!r}, address={self.address!r}, group={self.group!r})"


@dataclass(frozen=True)
class _OfGroup:
    """Says something of a group."""

    group: str
    """The address of the group."""
    source: str | None = None
    """Name or address of the one sender that is meant; None for all."""

    def __post_init__(self) -> None:
        check_group(self.group, f"{type(self).__name__}(group=...)")
        check_source(self.source, f"{type(self).__name__}(source=...)")


@dataclass(frozen=True)
class JoinGroup(_OfGroup):
    """Says that a receiver is to hear a group from now on.

    Joined with a source, a group is heard from there only; more sources may be joined. A group that is joined
    for any source cannot be joined for certain ones too.
    """


@dataclass(frozen=True)
class LeaveGroup(_OfGroup):
    """Says that a receiver is not to hear a group any more; with a source, not from there."""


class Membership:
    """A group that has been joined: its socket, and the sources.

    Arguments:
        group: the address of the group
        interface: on which to hear it
        port: the socket, see `open`
    """

    def __init__(self, group: str, interface: str | int | None, port: Port) -> None:
        self.group = group
        self.port = port
        self.sources: dict[str, None] | None = {}
        """Addresses of those who are heard; None for any."""
        self._interface = interface

    async def open(self, port: int, *, buffer: int | str | None) -> None:
        """Make the socket, which hears nothing yet. Raises `OSError`."""
        family = options.family_of(self.group)
        is_ipv6 = family is socket.AF_INET6
        if not options.BIND_TO_GROUP:
            host = "::" if is_ipv6 else "0.0.0.0"
        elif is_ipv6 and self._interface is not None and _is_of_one_link(self.group):
            host = f"{self.group}%{self._interface}"
        else:
            host = self.group
        shared = hasattr(socket, "SO_REUSEPORT") or None
        await self.port.open(local_addr=(host, port), reuse_port=shared, buffer=buffer)
        if options.LINUX:
            with contextlib.suppress(OSError):  # for IPv6 since 4.20
                self.port.set(options.alone()[is_ipv6])

    def join(self, source: str | None) -> None:
        """Hear the group; if from one source, that too. Raises `OSError`, and `ValueError` for any source
        beside certain ones."""
        if source is None:
            if self.sources:
                raise ValueError("it is heard from certain sources already: leave those first")
            if self.sources is not None:
                self.port.set(options.membership(self.group, None, self._interface, self.port.socket))
                self.sources = None
        elif self.sources is None:
            raise ValueError("it is heard from any source already: leave it first")
        elif source not in self.sources:
            self.port.set(options.membership(self.group, source, self._interface, self.port.socket))
            self.sources[source] = None

    def hears(self, address: Any) -> bool:
        """Say whether what comes from an address is from a source that was joined."""
        return self.sources is None or without_scope(address[0]) in self.sources

    def leave(self, source: str | None) -> bool:
        """Hear the group, or one source of it, no more; return whether nothing is left of it.

        Of a group that is left altogether the socket is to be closed, which is what leaves. Raises `OSError`,
        and `ValueError` for a source that was not joined.
        """
        if source is not None:
            if self.sources is None or source not in self.sources:
                raise ValueError(f"it was not joined for {source}")
            self.port.set(
                options.membership(self.group, source, self._interface, self.port.socket, leave=True)
            )
            del self.sources[source]
        return source is None or not self.sources


def _is_of_one_link(group: str) -> bool:
    """Say whether the address of an IPv6 group means nothing without an interface, by its scope."""
    return ipaddress.ip_address(group).packed[1] & 15 in (1, 2)


def usual(address: str) -> str:
    """Return an address as it is usually written: one has many forms in IPv6.

    >>> usual("FF15:0:0::1"), usual("239.1.2.3")
    ('ff15::1', '239.1.2.3')
    """
    return str(ipaddress.ip_address(address))


def without_scope(address: str) -> str:
    """Return an address without the interface of a link-local one: the kernel has it from elsewhere.

    >>> without_scope("fe80::1%eth0")
    'fe80::1'
    """
    return address.partition("%")[0]


async def address_of(source: str, group: str) -> str:
    """Return the address of a source, of the same kind as a group. Raises `OSError` for an unknown name."""
    if options.family_of(source) is not None:
        return usual(without_scope(source))
    family = options.family_of(group)
    assert family is not None
    infos = await asyncio.get_running_loop().getaddrinfo(source, 0, family=family, type=socket.SOCK_DGRAM)
    return without_scope(str(infos[0][4][0]))


def check_group(group: Any, where: str) -> None:
    """Refuse what is no address of a group."""
    give = "the address of a group: from 224.0.0.0 to 239.255.255.255, or one that begins with ff"
    if not isinstance(group, str):
        raise TypeError(f"{where.replace('...', shorten(group))}: give {give}")
    if not options.is_group(group):
        raise ValueError(f"{where.replace('...', shorten(group))}: give {give}")


def check_source(source: Any, where: str) -> None:
    """Refuse what is no source."""
    if source is not None and not isinstance(source, str):
        raise TypeError(
            f"{where.replace('...', shorten(source))}: give the name or address of a sender, or None for any"
        )
    if source is not None and (not source or options.is_group(source)):
        raise ValueError(
            f"{where.replace('...', shorten(source))}: give the name or address of a sender, or None for any"
        )


def check_sources(source: Any, where: str) -> tuple[str | None, ...]:
    """Refuse what is no source, and no list of them; return all."""
    if source is None or isinstance(source, str) or not isinstance(source, Sequence):
        check_source(source, where)
        return (source,)
    for one in source:
        check_source(one if one is not None else 0, where)
    if not source:
        raise ValueError(f"{where.replace('...', shorten(source))}: give a sender, or None for any")
    return tuple(source)


def check_interface(interface: Any, where: str) -> None:
    """Refuse what names no interface."""
    if interface is None or (isinstance(interface, str) and interface):
        return
    if isinstance(interface, int) and not isinstance(interface, bool) and interface > 0:
        return
    raise TypeError(
        f"{where.replace('...', shorten(interface))}: give the name of an interface, its number, its IPv4 "
        "address, or None to leave it to the system"
    )
