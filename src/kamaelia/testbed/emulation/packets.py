"""Between real packets and the wire's: bytes from a TUN device become a `Packet`, and bytes again.

A packet keeps its bytes in ``data``, and what the network does to it stands beside: TTL, class of service
with the mark of ECN, and, behind a translator, other addresses and ports. When it leaves the box this is
written into the bytes, with the checksums that follow (RFC 1624: a sum is changed by what has changed in the
words that it is over). Messages of group management are the exception: they are read, as routers and switches
in the box have to understand them, and written anew.

What comes from a host is whatever its programs send, so nothing about it is certain. What is no packet at all
is counted and dropped.

**One look for most.** Of a packet of UDP or TCP without options, protocol, addresses and ports are twelve or
thirty-six bytes that stand together; what they mean is looked up in one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from ...axon import UsageError
from ...axon.errors import RemoteProtocolError
from ..addresses import is_group, is_ipv6, socket_address
from ..capture import packet_bytes
from ..captures.parsing import address_text, parse
from ..groups import messages
from ..groups.messages import Leave, Query, Report, packed
from ..protocols import FRAGMENT, ICMP, ICMPV6, IGMP, TCP, UDP

if TYPE_CHECKING:
    from ..wire import Packet

MOST_FLOWS = 65536  # that are remembered
LONGEST = 65535  # bytes

_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_GROUP_MESSAGES = frozenset({130, 131, 132, 143})  # types of ICMPv6 that are MLD
_SOLICITED = "ff02::1:ff"  # groups that each host is in by its own addresses


class Ends(NamedTuple):
    """What is the same in all packets of a flow."""

    protocol: int
    source: tuple[Any, ...]
    target: str
    port: int
    name: str
    target_name: str


class Reader:
    """Makes packets of bytes.

    Arguments:
        packet: the class of the packets
        names: of hosts, by their addresses
    """

    def __init__(self, packet: type[Packet], names: Mapping[str, str]) -> None:
        self._packet = packet
        self._names = names
        self._flows: dict[bytes, Ends] = {}
        self.malformed = 0
        """What was no packet."""
        self.unasked = 0
        """Reports of groups that a host is in by itself, which no simulated host makes."""

    def read(self, raw: bytes) -> Packet | None:
        """Return the packet that has come from a host; None for one that is to be dropped."""
        first, length = (raw[0], len(raw)) if raw else (0, 0)
        if first == 0x45 and length > 27 and raw[2] << 8 | raw[3] == length and not (raw[6] & 0x3F or raw[7]):
            protocol = raw[9]
            if protocol in (TCP, UDP):
                key = raw[9:10] + raw[12:24]
                ends = self._flows.get(key) or self._learn(key, protocol, raw[12:16], raw[16:20], 20, raw)
                return self._make(ends, raw, raw[1], raw[8], 20)
        elif first >> 4 == 6 and length > 47 and (raw[4] << 8 | raw[5]) + 40 == length:
            protocol = raw[6]
            if protocol in (TCP, UDP):
                key = raw[6:7] + raw[8:44]
                ends = self._flows.get(key) or self._learn(key, protocol, raw[8:24], raw[24:40], 40, raw)
                return self._make(ends, raw, (first & 15) << 4 | raw[1] >> 4, raw[7], 40)
        return self._read_carefully(raw)

    def _make(self, ends: Ends, raw: bytes, tos: int, ttl: int, start: int) -> Packet:
        packet = self._packet()
        packet.protocol, packet.source, packet.target, packet.port, packet.name, packet.target_name = ends
        packet.kind = "udp" if ends.protocol == UDP else _kind_of_segment(raw, start)
        packet.size = len(raw)
        packet.data = raw
        packet.tos = tos
        packet.ttl = ttl
        return packet

    def _learn(self, key: bytes, protocol: int, source: bytes, target: bytes, start: int, raw: bytes) -> Ends:
        ports = (
            int.from_bytes(raw[start : start + 2], "big"),
            int.from_bytes(raw[start + 2 : start + 4], "big"),
        )
        ends = self._ends(protocol, address_text(source), address_text(target), *ports)
        if len(self._flows) >= MOST_FLOWS:
            self._flows.clear()
        self._flows[key] = ends
        return ends

    def _ends(self, protocol: int, source: str, target: str, source_port: int, port: int) -> Ends:
        source, target = intern(source), intern(target)  # the wire compares texts by identity first
        names = self._names
        name, target_name = names.get(source, source), names.get(target, target)
        if protocol in (TCP, UDP):
            name, target_name = f"{name}:{source_port}", f"{target_name}:{port}"
        address = socket_address(source, source_port, 10 if is_ipv6(source) else 2)
        return Ends(protocol, address, target, port, name, target_name)

    def _read_carefully(self, raw: bytes) -> Packet | None:
        """Read what is not plain UDP or TCP."""
        try:
            found = parse(raw)
        except UsageError:
            self.malformed += 1
            return None
        told = int.from_bytes(raw[2:4], "big") if found.version == 4 else found.length
        if not found.complete or not found.length == told == len(raw):  # 0 means "long" in captures only
            self.malformed += 1
            return None
        protocol, data, kind = found.protocol, raw, f"ip {found.protocol}"
        source_port = port = 0
        if found.is_fragment:
            kind = "udp fragment" if found.protocol in (UDP, FRAGMENT) else "fragment"
            protocol = FRAGMENT
        elif protocol in (IGMP, ICMPV6) and is_group(found.destination):
            message = self._message(found)
            if message is None:
                self.unasked += 1
                return None
            if message is not raw:
                data, kind = message, f"{_family(found.version)} {type(message).__name__.lower()}"
        elif protocol in (UDP, TCP) and len(found.payload) >= 8:
            source_port, port = (int.from_bytes(found.payload[at : at + 2], "big") for at in (0, 2))
            kind = "udp" if protocol == UDP else "tcp"
        elif protocol in (ICMP, ICMPV6):
            kind = "icmp"
        ends = self._ends(protocol, found.source, found.destination, source_port, port)
        packet = self._packet()
        packet.protocol, packet.source, packet.target, packet.port, packet.name, packet.target_name = ends
        packet.kind, packet.size, packet.data = intern(kind), len(raw), data
        packet.tos, packet.ttl = found.dscp << 2 | found.ecn, found.hops
        return packet

    def _message(self, found: Any) -> Any:
        """Return the message of group management in a packet, without what hosts say of themselves; None if
        nothing is left, and the bytes of what is no such message."""
        if found.protocol == ICMPV6 and found.payload[:1] and found.payload[0] not in _GROUP_MESSAGES:
            return None  # of a neighbour, or a router: there are none on this wire
        try:
            message = messages.from_bytes(found.payload, found.source, found.destination)
        except RemoteProtocolError:
            self.malformed += 1
            return None
        if isinstance(message, Report):
            kept = tuple(one for one in message.records if not one.group.startswith(_SOLICITED))
            if not kept:
                return None
            if len(kept) < len(message.records):
                return type(message)(**{**_fields(message), "records": kept})
        return message


def _fields(message: Any) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__dataclass_fields__}


def _family(version: int) -> str:
    return "mld" if version == 6 else "igmp"


def _kind_of_segment(raw: bytes, start: int) -> str:
    if len(raw) < start + 20:
        return "tcp"
    flags = raw[start + 13]
    if flags & _SYN:
        return "tcp syn-ack" if flags & _ACK else "tcp syn"
    if flags & _RST:
        return "tcp rst"
    if flags & _FIN:
        return "tcp fin"
    return "tcp data" if len(raw) > start + (raw[start + 12] >> 4) * 4 else "tcp ack"


# -- and back -------------------------------------------------------------------------------------------


def bytes_of(packet: Packet) -> bytes | bytearray:
    """Return the bytes of a packet as the network has left it, but for its addresses (`readdress`)."""
    raw = packet.data
    if type(raw) is not bytes:
        return _written_anew(packet)
    if raw[0] >> 4 == 4:
        ttl, tos = packet.ttl, packet.tos
        if raw[8] == ttl and raw[1] == tos:
            return raw
        data = bytearray(raw)
        total = (~(raw[10] << 8 | raw[11]) & 0xFFFF) + (~(raw[8] << 8 | raw[1]) & 0xFFFF) + (ttl << 8 | tos)
        data[8], data[1] = ttl, tos
        total = (total & 0xFFFF) + (total >> 16)
        total = ~(total + (total >> 16)) & 0xFFFF
        data[10], data[11] = total >> 8, total & 255
        return data
    data = bytearray(raw)
    data[7] = packet.ttl
    data[0] = 0x60 | packet.tos >> 4
    data[1] = (packet.tos & 15) << 4 | data[1] & 15
    return data


def readdress(data: bytes | bytearray, packet: Packet) -> bytes | bytearray:
    """Return the bytes of a packet of IPv4 with the addresses and ports that it has now."""
    if data[0] >> 4 != 4:
        return data
    addresses = packed(packet.source[0]) + packed(packet.target)
    start = (data[0] & 15) * 4
    ports = bytes(data[start : start + 4])
    field = {UDP: 6, TCP: 16}.get(packet.protocol)
    now = ports if field is None else (packet.source[1] << 16 | packet.port).to_bytes(4, "big")
    before = bytes(data[12:20])
    if addresses == before and now == ports:
        return data
    data = bytearray(data)
    data[12:20], data[start : start + 4] = addresses, now
    _correct(data, 10, before, addresses)
    if field is not None and (packet.protocol == TCP or data[start + 6] or data[start + 7]):
        _correct(data, start + field, before + ports, addresses + now)
    return data


def _correct(data: bytearray, at: int, before: bytes, after: bytes) -> None:
    """Change a checksum as words that it is over have changed (RFC 1624, equation 3)."""
    total = ~(data[at] << 8 | data[at + 1]) & 0xFFFF
    for index in range(0, len(before), 2):
        total += (~(before[index] << 8 | before[index + 1]) & 0xFFFF) + (after[index] << 8 | after[index + 1])
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    data[at], data[at + 1] = ~total >> 8 & 255, ~total & 255


def _written_anew(packet: Packet) -> bytes:
    assert isinstance(packet.data, (Query, Report, Leave))
    return packet_bytes(packet)


__all__ = ["Ends", "Reader", "bytes_of", "readdress"]
