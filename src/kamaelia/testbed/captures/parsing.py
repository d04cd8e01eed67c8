"""What stands in the bytes of a packet: IPv4 and IPv6, and UDP and TCP in them.

The reverse of `headers`, for captures, which others may have made. So it also reads what `headers` does not
write: options, extension headers of IPv6 (RFC 8200, 4), bytes after the end of a packet, as short Ethernet
frames have them, and a length of 0, which captures have where the network card was left to cut a long
packet.

Checksums are not compared. A capture made on the host that sends often has none: the network card computes
them.

A capture may hold only the beginning of a packet. Then `IPPacket.complete` is false and payloads end early.
What contradicts itself raises `UsageError`.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from ...axon import UsageError
from .headers import FRAGMENT, TCP, UDP

_HOP_BY_HOP, _ROUTING, _AUTHENTICATION, _DESTINATION = 0, 43, 51, 60
_EXTENSIONS = {_HOP_BY_HOP, _ROUTING, _AUTHENTICATION, _DESTINATION, FRAGMENT}
"""What is skipped in search of the payload of IPv6."""


class UDPDatagram(NamedTuple):
    """A UDP header, and what follows it."""

    source_port: int
    destination_port: int
    length: int
    """As the header says: with its own 8 bytes."""
    checksum: int
    payload: bytes
    """As much of it as was captured."""


class TCPSegment(NamedTuple):
    """A TCP header, and what follows it. An option that is not there is None, or empty."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int
    flags: int
    """See `headers`: ``SYN | ACK``."""
    window: int
    checksum: int
    mss: int | None
    window_scale: int | None
    sack_permitted: bool
    sack: tuple[tuple[int, int], ...]
    timestamps: tuple[int, int] | None
    payload: bytes
    """As much of it as was captured."""


class IPPacket(NamedTuple):
    """A packet of either family. What the family does not have is 0 or False."""

    version: int
    """4 or 6."""
    source: str
    destination: str
    protocol: int
    """What the payload is; with IPv6, the next header after all extension headers."""
    hops: int
    """How many routers it may still pass."""
    dscp: int
    ecn: int
    flow_label: int
    identification: int
    dont_fragment: bool
    more_fragments: bool
    offset: int
    """Bytes before this fragment, in the payload of the whole."""
    length: int
    """Of the whole packet in bytes, as its header says."""
    payload: bytes
    """What follows the IP headers, as much of it as was captured."""
    complete: bool
    """All of it was captured."""

    @property
    def is_fragment(self) -> bool:
        """It is one of several pieces of a packet."""
        return self.more_fragments or self.offset > 0

    @property
    def transport(self) -> UDPDatagram | TCPSegment | None:
        """What the payload is; None if it is neither, or a fragment, or too little of it was captured.

        Raises `UsageError` for what contradicts itself.
        """
        return (
            None if self.is_fragment else parse_transport(self.protocol, self.payload, complete=self.complete)
        )


def parse(data: bytes) -> IPPacket:
    """Return what stands in a packet that begins with its IP header.

    Raises `UsageError` for what is none.

    >>> from kamaelia.testbed.captures.headers import UDP, ip, udp
    >>> packet = parse(ip("10.0.0.1", "10.0.0.2", UDP, udp("10.0.0.1", "10.0.0.2", 5004, 5006, b"hello")))
    >>> packet.source, packet.transport.destination_port, packet.transport.payload
    ('10.0.0.1', 5006, b'hello')
    """
    version = data[0] >> 4 if data else 0
    if version == 4:
        return _parse_ipv4(data)
    if version == 6:
        return _parse_ipv6(data)
    raise UsageError(f"{data[:8]!r}... is no IP packet: it begins with neither 4 nor 6")


def parse_transport(protocol: int, payload: bytes, *, complete: bool) -> UDPDatagram | TCPSegment | None:
    """Return what the payload of a packet is; None if it is neither UDP nor TCP, or too little of it.

    Arguments:
        protocol: its number
        payload: what follows the IP headers; not that of a fragment
        complete: all of it is there

    >>> parse_transport(17, bytes.fromhex("138c138e0009000021"), complete=True)
    UDPDatagram(source_port=5004, destination_port=5006, length=9, checksum=0, payload=b'!')
    """
    if protocol == UDP:
        return _parse_udp(payload, complete)
    if protocol == TCP:
        return _parse_tcp(payload, complete)
    return None


@lru_cache(1 << 14)
def address_text(packed: bytes) -> str:
    """Return an address of 4 or 16 bytes as text.

    >>> address_text(bytes([10, 0, 0, 1]))
    '10.0.0.1'
    """
    return str(IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed))


def _parse_ipv4(data: bytes) -> IPPacket:
    if len(data) < 20:
        raise UsageError(f"an IPv4 header of {len(data)} bytes: it has at least 20")
    start, service, length, identification, cut, hops, protocol, _ = _IPV4.unpack_from(data)
    header = (start & 15) * 4
    length = length or len(data)
    if not 20 <= header <= length:
        raise UsageError(f"an IPv4 header that says it has {header} bytes, in a packet of {length}")
    return IPPacket(
        4,
        address_text(data[12:16]),
        address_text(data[16:20]),
        protocol,
        hops,
        service >> 2,
        service & 3,
        0,
        identification,
        bool(cut & 0x4000),
        bool(cut & 0x2000),
        (cut & 0x1FFF) << 3,
        length,
        data[header:length],
        len(data) >= length,
    )


def _parse_ipv6(data: bytes) -> IPPacket:
    if len(data) < 40:
        raise UsageError(f"an IPv6 header of {len(data)} bytes: it has 40")
    start, length, protocol, hops = _IPV6.unpack_from(data)
    length = 40 + length if length else len(data)
    complete = len(data) >= length
    end = min(length, len(data))
    at = 40
    identification = offset = 0
    more, whole = False, True
    while whole and protocol in _EXTENSIONS:
        if at + 8 > end:  # none is shorter
            whole = False
        elif protocol == FRAGMENT:
            protocol, _, field, identification = _FRAGMENT.unpack_from(data, at)
            offset, more = field & 0xFFF8, bool(field & 1)
            whole = not offset and not more  # what follows is a piece, whatever it begins with
            at += 8
        else:
            size = (data[at + 1] + 2) * 4 if protocol == _AUTHENTICATION else (data[at + 1] + 1) * 8
            protocol = data[at]
            at += size
    if complete and (at > end or (protocol in _EXTENSIONS and not offset and not more)):
        raise UsageError(f"extension headers that end after the packet, which has {length} bytes")
    return IPPacket(
        6,
        address_text(data[8:24]),
        address_text(data[24:40]),
        protocol,
        hops,
        start >> 22 & 63,
        start >> 20 & 3,
        start & 0xFFFFF,
        identification,
        False,
        more,
        offset,
        length,
        data[at:end],
        complete,
    )


def _parse_udp(payload: bytes, complete: bool) -> UDPDatagram | None:
    if len(payload) < 8:
        if complete:
            raise UsageError(f"a UDP header of {len(payload)} bytes: it has 8")
        return None
    source, destination, length, checksum = _UDP.unpack_from(payload)
    if length < 8 or (complete and length > len(payload)):
        raise UsageError(f"a UDP datagram that says it has {length} bytes, in a payload of {len(payload)}")
    return UDPDatagram(source, destination, length, checksum, payload[8:length])


def _parse_tcp(payload: bytes, complete: bool) -> TCPSegment | None:
    header = (payload[12] >> 4) * 4 if len(payload) >= 20 else 20
    if len(payload) < header:
        if complete:
            raise UsageError(f"a TCP header of {header} bytes, in a payload of {len(payload)}")
        return None
    if header < 20:
        raise UsageError(f"a TCP header that says it has {header} bytes: it has at least 20")
    source, destination, sequence, acknowledgement, _, flags, window, checksum = _TCP.unpack_from(payload)
    options = _tcp_options(payload[20:header])
    mss, scale, stamps, blocks = (options.get(kind, b"") for kind in (2, 3, 8, 5))
    return TCPSegment(
        source,
        destination,
        sequence,
        acknowledgement,
        flags,
        window,
        checksum,
        int.from_bytes(mss, "big") if len(mss) == 2 else None,
        scale[0] if len(scale) == 1 else None,
        4 in options,
        tuple(struct.iter_unpack(">2I", blocks[: len(blocks) & ~7])),
        struct.unpack(">2I", stamps) if len(stamps) == 8 else None,
        payload[header:],
    )


def _tcp_options(data: bytes) -> dict[int, bytes]:
    """Return the options by their kind."""
    options: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        if data[at] == 1:
            at += 1
            continue
        length = data[at + 1] if at + 1 < len(data) else 0
        if length < 2 or at + length > len(data):
            raise UsageError(f"option {data[at]} of a TCP header says that it has {length} bytes")
        options[data[at]] = data[at + 2 : at + length]
        at += length
    return options


_IPV4 = struct.Struct(">BBHHHBBH")
_IPV6 = struct.Struct(">IHBB")
_FRAGMENT = struct.Struct(">BBHI")
_UDP = struct.Struct(">HHHH")
_TCP = struct.Struct(">HHIIBBHH")

__all__ = ["IPPacket", "TCPSegment", "UDPDatagram", "address_text", "parse", "parse_transport"]
