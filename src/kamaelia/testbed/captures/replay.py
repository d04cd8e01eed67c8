"""A capture as a schedule: which datagram was sent when.

A source that is driven by a capture sends what was really sent once, at the same distances in time.
`datagrams` reads the UDP datagrams of a file, over IPv4 and IPv6, whatever the link was:

| link type | header before the packet |
| --- | --- |
| RAW 101 (also 12, 14, 228, 229) | none |
| Ethernet 1 | 14 bytes, and VLAN tags (IEEE 802.1Q) of 4 |
| Linux "any" 113 and 276 | 16 and 20 bytes |
| NULL 0 and LOOP 108 | 4 bytes: the family, in the byte order of the machine or of the network |

Fragments are put together (`fragments`); such a datagram has the time of the fragment that made it complete.
Everything else is skipped, and counted by the reason (`Datagrams.skipped`).

A capture with several interfaces may show one packet several times, on its way in and out: choose one of
them. Packets that a simulation has dropped are in its captures, with a comment; they have gone nowhere and
are skipped. Time never runs backwards in a schedule: a packet with an earlier time than the one before it
has that one's time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from ...axon import UsageError
from .fragments import Reassembly
from .headers import UDP
from .parsing import UDPDatagram, parse, parse_transport
from .pcapng import DROPPED, Captured, read_pcapng

_RAW = {101, 12, 14, 228, 229}
_ETHERNET, _COOKED, _COOKED_2, _NULL, _LOOP = 1, 113, 276, 0, 108
_IP_TYPES = {b"\x08\x00", b"\x86\xdd"}
_TAGS = {b"\x81\x00", b"\x88\xa8", b"\x91\x00"}
_FAMILIES = {2, 24, 28, 30}
"""AF_INET, and AF_INET6 of NetBSD, FreeBSD and macOS; Linux has no such links."""


class Datagram(NamedTuple):
    """One datagram of a schedule."""

    time_ns: int
    """Nanoseconds since the first one."""
    payload: bytes
    source: tuple[str, int]
    """Address and port that it came from."""
    destination: tuple[str, int]
    """Address and port that it went to."""


class Datagrams:
    """The datagrams of a capture; read anew whenever they are iterated over. Made by `datagrams`."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        port: int | None = None,
        source: str | None = None,
        interface: int | str | None = None,
    ) -> None:
        if port is not None and not 0 <= port <= 65535:
            raise UsageError(f"port={port!r}: give the port that datagrams went to, 0 to 65535")
        self._path = path
        self._port = port
        self._source = source
        if source is not None:
            try:
                self._source = str(ip_address(source))
            except ValueError:
                raise UsageError(
                    f"source={source!r}: give the address that datagrams came from, such as '10.0.0.1'"
                ) from None
        self._interface = interface
        self.skipped: dict[str, int] = {}
        """How many packets the last reading has skipped, by the reason; all of them when it is at its end.

        ``"other interface"``, ``"other source"`` and ``"other port"`` were not asked for. ``"dropped"`` in
        the simulation, ``"link type 147"``, ``"not IP"``, ``"not UDP"``, ``"truncated"`` and
        ``"malformed"`` say what was wrong with the others. ``"incomplete"`` counts datagrams of which
        fragments are missing.
        """

    def __iter__(self) -> Iterator[Datagram]:
        skipped = self.skipped = {}
        reassembly = Reassembly()
        first: int | None = None
        latest = 0
        for captured in read_pcapng(self._path):
            found = self._take(captured, reassembly)
            if isinstance(found, str):
                skipped[found] = skipped.get(found, 0) + 1
            elif found is not None:
                if first is None:
                    first = captured.time_ns
                latest = max(latest, captured.time_ns - first)
                yield found._replace(time_ns=latest)
        incomplete = reassembly.given_up + reassembly.incomplete
        if incomplete:
            skipped["incomplete"] = incomplete

    def _take(self, captured: Captured, reassembly: Reassembly) -> Datagram | str | None:
        """Return the datagram that a packet is or completes, or why it is skipped; None for a fragment."""
        if self._interface is not None and self._interface not in (captured.interface, captured.name):
            return "other interface"
        if captured.comment is not None and captured.comment.startswith(DROPPED):
            return "dropped"
        start = _start_of_packet(captured)
        if isinstance(start, str):
            return start
        data = captured.data[start:]
        if not data or data[0] >> 4 not in (4, 6):
            return "not IP"
        try:
            packet = parse(data)
            if packet.protocol != UDP:
                return "not UDP"
            if self._source is not None and packet.source != self._source:
                return "other source"
            if not packet.complete:
                return "truncated"
            transport = packet.transport
            if packet.is_fragment:
                whole = reassembly.add(captured.time_ns, packet, where=captured.interface)
                if whole is None:
                    return None
                transport = parse_transport(*whole, complete=True)
        except UsageError:
            return "malformed" if len(captured.data) >= captured.original_length else "truncated"
        if not isinstance(transport, UDPDatagram):
            return "not UDP"
        if self._port is not None and transport.destination_port != self._port:
            return "other port"
        return Datagram(
            0,
            transport.payload,
            (packet.source, transport.source_port),
            (packet.destination, transport.destination_port),
        )


def datagrams(
    path: str | os.PathLike[str],
    *,
    port: int | None = None,
    source: str | None = None,
    interface: int | str | None = None,
) -> Datagrams:
    """Return the UDP datagrams of a capture file, to be iterated over.

    Arguments:
        path: of a pcapng or pcap file
        port: only those that went to this port
        source: only those that came from this address
        interface: only those captured at this interface, given by its number or its name

    Iterating raises `UsageError` where the file is damaged, and `OSError` if it cannot be opened.

    >>> import os, tempfile
    >>> from kamaelia.testbed.captures import PcapngWriter
    >>> from kamaelia.testbed.captures.headers import ip, udp
    >>> ends = "10.0.0.1", "10.0.0.2"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "talk.pcapng")
    ...     with open(path, "wb") as file, PcapngWriter(file) as capture:
    ...         eth0 = capture.interface("eth0")
    ...         for n in range(2):
    ...             data = udp(*ends, 5004, 5006, b"part %d" % n)
    ...             capture.packet(eth0, 1000 + 40 * n, ip(*ends, UDP, data))
    ...     for datagram in datagrams(path, port=5006):
    ...         print(*datagram)
    0 b'part 0' ('10.0.0.1', 5004) ('10.0.0.2', 5006)
    40 b'part 1' ('10.0.0.1', 5004) ('10.0.0.2', 5006)
    """
    return Datagrams(path, port=port, source=source, interface=interface)


def _start_of_packet(captured: Captured) -> int | str:
    """Return where the IP packet begins in what was captured, or why there is none."""
    kind, data = captured.link_type, captured.data
    if kind in _RAW:
        return 0
    if kind in (_NULL, _LOOP):
        family = data[:4]
        known = int.from_bytes(family, "big") in _FAMILIES or int.from_bytes(family, "little") in _FAMILIES
        return 4 if known else "not IP"
    if kind == _ETHERNET:
        at = 12
        while data[at : at + 2] in _TAGS:
            at += 4
    elif kind == _COOKED:
        at = 14
    elif kind == _COOKED_2:
        return 20 if data[:2] in _IP_TYPES else "not IP"
    else:
        return f"link type {kind}"
    return at + 2 if data[at : at + 2] in _IP_TYPES else "not IP"


__all__ = ["Datagram", "Datagrams", "datagrams"]
