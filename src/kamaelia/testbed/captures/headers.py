"""Real bytes of simulated packets: IPv4, IPv6, UDP, TCP, ICMP for both.

A simulated packet knows who sends what to whom, and how long it is. These functions turn that into the
bytes which a real host would have sent, checksums included, so that other programs can read a capture. They
are given plain values and keep nothing. Put one into another::

    data = udp("10.0.0.1", "10.0.0.2", 5004, 5004, payload)
    packet = ip("10.0.0.1", "10.0.0.2", UDP, data, hops=64)

Each function that needs to know the family takes it from the addresses. Both addresses are needed for a
checksum over the *pseudo header*: source, destination, length and protocol, which guard against delivery to
the wrong host.

| what | from | what is left out |
| --- | --- | --- |
| `ipv4` | RFC 791, 2474 (DSCP), 3168 (ECN) | options |
| `ipv6`, `ipv6_fragment` | RFC 8200, 6437 (flow label) | other extension headers |
| `udp` | RFC 768, 8200 8.1 | a checksum of 0, which stands for none |
| `tcp` | RFC 9293, 7323, 2018, 3168 | the urgent pointer, TCP Fast Open |
| `echo`, `unreachable`, `too_big`, `time_exceeded` | RFC 792, 1191, 4443 | redirects, neighbour discovery |

A value that its field cannot hold raises `UsageError`; nothing is cut off in silence.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import ip_address

from ...axon import UsageError
from .checksum import checksum, word_sum

ICMP, IGMP, TCP, UDP, FRAGMENT, ICMPV6 = 1, 2, 6, 17, 44, 58
"""Numbers of protocols, as they stand in IP headers."""

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
"""Flags of TCP."""

UNREACHABLE = {"network": (0, 0), "host": (1, 3), "port": (3, 4), "prohibited": (13, 1)}
"""What may be unreachable, and the codes that say so in ICMP and in ICMPv6."""

_ICMPV6_QUOTE = 1280 - 40 - 8  # bytes: what is left of the smallest MTU of IPv6 after the headers
_SACK_BLOCKS = 4  # that there is room for
_PAIRS = 1 << 14  # pairs of addresses that are remembered


# -- IP ---------------------------------------------------------------------------------------------


def ip(
    source: str,
    destination: str,
    protocol: int,
    payload: bytes,
    *,
    hops: int = 64,
    dscp: int = 0,
    ecn: int = 0,
    identification: int = 0,
    dont_fragment: bool = False,
    flow_label: int = 0,
) -> bytes:
    """Return a packet of the family of the addresses, which is not a fragment (`ipv4`, `ipv6`).

    What only the other family has is left out: `identification` and `dont_fragment` from IPv6, `flow_label`
    from IPv4.

    >>> len(ip("10.0.0.1", "10.0.0.2", UDP, bytes(8))), len(ip("fd00::1", "fd00::2", UDP, bytes(8)))
    (28, 48)
    """
    if len(_pair(source, destination)[0]) == 8:
        return ipv4(
            source,
            destination,
            protocol,
            payload,
            hops=hops,
            dscp=dscp,
            ecn=ecn,
            identification=identification,
            dont_fragment=dont_fragment,
        )
    return ipv6(source, destination, protocol, payload, hops=hops, dscp=dscp, ecn=ecn, flow_label=flow_label)


def ipv4(
    source: str,
    destination: str,
    protocol: int,
    payload: bytes,
    *,
    hops: int = 64,
    dscp: int = 0,
    ecn: int = 0,
    identification: int = 0,
    dont_fragment: bool = False,
    more_fragments: bool = False,
    offset: int = 0,
) -> bytes:
    """Return an IPv4 packet.

    Arguments:
        source: address, as text
        destination: address, as text
        protocol: what the payload is: `UDP`, `TCP`, `ICMP`, `IGMP` or another number
        payload: at most 65515 bytes
        hops: how many routers it may still pass, that is, the TTL
        dscp: the class of service, 0 to 63
        ecn: 0 not capable, 1 or 2 capable, 3 congestion experienced
        identification: 0 to 65535, the same in all fragments of one packet
        dont_fragment: no router may cut it
        more_fragments: this is a fragment, and not the last one
        offset: bytes of the whole payload before this fragment, a multiple of 8

    >>> ipv4("10.0.0.1", "10.0.0.2", ICMP, b"", hops=1).hex()
    '45000014000000000101a5e70a0000010a000002'
    """
    addresses, total = _pair(source, destination)
    if len(addresses) != 8:
        raise UsageError(
            f"source={source!r}: ipv4() takes IPv4 addresses; ipv6() takes the others, ip() both"
        )
    length = 20 + len(payload)
    service = dscp << 2 | ecn
    cut = offset >> 3
    if service and not (0 <= dscp < 64 and 0 <= ecn < 4):
        raise _refuse(("dscp", dscp, 63), ("ecn", ecn, 3))
    if offset and (offset & 7 or not 0 < offset <= 65528):
        raise UsageError(f"offset={offset!r}: give a multiple of 8 from 0 to 65528, in bytes")
    if dont_fragment:
        cut |= 0x4000
    if more_fragments:
        cut |= 0x2000
    total += 0x4500 + service + length + identification + cut + (hops << 8) + protocol
    try:
        header = _IPV4.pack(
            0x45, service, length, identification, cut, hops, protocol, -total % 65535, addresses
        )
    except struct.error:
        if length > 65535:
            raise UsageError(
                f"a payload of {len(payload)} bytes: an IPv4 packet holds at most 65515: use fragments()"
            ) from None
        raise _refuse(
            ("protocol", protocol, 255), ("hops", hops, 255), ("identification", identification, 0xFFFF)
        ) from None
    return header + payload


def ipv6(
    source: str,
    destination: str,
    next_header: int,
    payload: bytes,
    *,
    hops: int = 64,
    dscp: int = 0,
    ecn: int = 0,
    flow_label: int = 0,
) -> bytes:
    """Return an IPv6 packet.

    Arguments:
        source: address, as text
        destination: address, as text
        next_header: what the payload is: `UDP`, `TCP`, `ICMPV6`, `FRAGMENT` or another number
        payload: at most 65535 bytes
        hops: how many routers it may still pass, that is, the hop limit
        dscp: the class of service, 0 to 63
        ecn: 0 not capable, 1 or 2 capable, 3 congestion experienced
        flow_label: 0 to 1048575, the same in all packets of a flow

    >>> ipv6("fd00::1", "fd00::2", UDP, b"", flow_label=5)[:8].hex()
    '6000000500001140'
    """
    addresses, _ = _pair(source, destination)
    if len(addresses) != 32:
        raise UsageError(
            f"source={source!r}: ipv6() takes IPv6 addresses; ipv4() takes the others, ip() both"
        )
    if not (0 <= dscp < 64 and 0 <= ecn < 4 and 0 <= flow_label < 1 << 20):
        raise _refuse(("dscp", dscp, 63), ("ecn", ecn, 3), ("flow_label", flow_label, 0xFFFFF))
    try:
        header = _IPV6.pack(
            6 << 28 | dscp << 22 | ecn << 20 | flow_label, len(payload), next_header, hops, addresses
        )
    except struct.error:
        if len(payload) > 65535:
            raise UsageError(
                f"a payload of {len(payload)} bytes: an IPv6 packet holds at most 65535: use fragments()"
            ) from None
        raise _refuse(("next_header", next_header, 255), ("hops", hops, 255)) from None
    return header + payload


def ipv6_fragment(
    next_header: int, payload: bytes, *, identification: int, offset: int = 0, more_fragments: bool = False
) -> bytes:
    """Return a fragment header and its piece: the payload of an IPv6 packet with next header `FRAGMENT`.

    Arguments:
        next_header: what the payload of the whole packet is
        payload: this piece of it
        identification: 0 to 4294967295, the same in all fragments of one packet
        offset: bytes of the whole payload before this piece, a multiple of 8
        more_fragments: this is not the last piece

    >>> ipv6_fragment(UDP, b"", identification=7, offset=1232, more_fragments=True).hex()
    '110004d100000007'
    """
    if offset & 7 or not 0 <= offset <= 65528:
        raise UsageError(f"offset={offset!r}: give a multiple of 8 from 0 to 65528, in bytes")
    try:
        return _FRAGMENT.pack(next_header, 0, offset | bool(more_fragments), identification) + payload
    except struct.error:
        raise _refuse(
            ("next_header", next_header, 255), ("identification", identification, 0xFFFFFFFF)
        ) from None


# -- what is in it ----------------------------------------------------------------------------------


def udp(source: str, destination: str, source_port: int, destination_port: int, payload: bytes) -> bytes:
    """Return a UDP datagram, to be put into an IP packet. A checksum that comes out as 0 is sent as 65535.

    >>> udp("10.0.0.1", "10.0.0.2", 5004, 5006, b"hello").hex()
    '138c138e000d80e568656c6c6f'
    """
    _, total = _pair(source, destination)
    length = 8 + len(payload)
    total += UDP + source_port + destination_port + 2 * length + word_sum(payload)
    try:
        return _UDP.pack(source_port, destination_port, length, -total % 65535 or 65535) + payload
    except struct.error:
        if length > 65535:
            raise UsageError(
                f"a payload of {len(payload)} bytes: a datagram holds at most {65535 - 28} over IPv4 and "
                f"{65535 - 8} over IPv6"
            ) from None
        raise _refuse(
            ("source_port", source_port, 0xFFFF), ("destination_port", destination_port, 0xFFFF)
        ) from None


def tcp(
    source: str,
    destination: str,
    source_port: int,
    destination_port: int,
    payload: bytes = b"",
    *,
    sequence: int,
    acknowledgement: int = 0,
    flags: int = ACK,
    window: int = 65535,
    mss: int | None = None,
    window_scale: int | None = None,
    sack_permitted: bool = False,
    sack: tuple[tuple[int, int], ...] = (),
    timestamps: tuple[int, int] | None = None,
) -> bytes:
    """Return a TCP segment, to be put into an IP packet.

    Arguments:
        source: address of the sender, as text
        destination: address of the receiver, as text
        source_port: port of the sender
        destination_port: port of the receiver
        payload: the data
        sequence: number of the first byte of the data, modulo 2**32
        acknowledgement: number of the byte that is expected next; counts with `ACK` only
        flags: such as ``SYN | ACK``
        window: as it stands in the header, that is, not yet scaled
        mss: option: the longest segment that the sender takes, in bytes
        window_scale: option: how many bits the window is to be shifted, 0 to 14
        sack_permitted: option: selective acknowledgements are welcome
        sack: option: blocks that have arrived out of turn, each as first byte and byte after the last
        timestamps: option: the sender's value, and the one that it echoes

    Each option is filled up to a multiple of four bytes. There is room for 40 bytes of them.

    >>> tcp("10.0.0.1", "10.0.0.2", 49152, 80, sequence=1, flags=SYN, mss=1460)[12:].hex()
    '6002ffffc3d20000020405b4'
    """
    _, total = _pair(source, destination)
    options = _tcp_options(mss, window_scale, sack_permitted, sack, timestamps)
    offset = (20 + len(options)) // 4 << 4
    try:
        header = _TCP.pack(
            source_port, destination_port, sequence, acknowledgement, offset, flags, window, 0, 0
        )
    except struct.error:
        raise _refuse(
            ("source_port", source_port, 0xFFFF),
            ("destination_port", destination_port, 0xFFFF),
            ("sequence", sequence, 0xFFFFFFFF),
            ("acknowledgement", acknowledgement, 0xFFFFFFFF),
            ("flags", flags, 0xFF),
            ("window", window, 0xFFFF),
        ) from None
    header += options
    total += TCP + len(header) + len(payload) + word_sum(header) + word_sum(payload)
    return b"".join((header[:16], _SHORT.pack(-total % 65535), header[18:], payload))


def _tcp_options(
    mss: int | None,
    window_scale: int | None,
    sack_permitted: bool,
    sack: tuple[tuple[int, int], ...],
    timestamps: tuple[int, int] | None,
) -> bytes:
    """Return the options of a TCP header, each after as many no-operations (1) as fill it up."""
    options = b""
    if mss is not None:
        if not 0 <= mss <= 0xFFFF:
            raise _refuse(("mss", mss, 0xFFFF))
        options += struct.pack(">BBH", 2, 4, mss)
    if window_scale is not None:
        if not 0 <= window_scale <= 14:
            raise _refuse(("window_scale", window_scale, 14))
        options += bytes((1, 3, 3, window_scale))
    if sack_permitted:
        options += b"\1\1\4\2"
    try:
        if timestamps is not None:
            options += struct.pack(">4B2I", 1, 1, 8, 10, *timestamps)
        if sack:
            edges = [edge for block in sack[:_SACK_BLOCKS] for edge in block]
            options += struct.pack(f">4B{len(edges)}I", 1, 1, 5, 2 + 4 * len(edges), *edges)
    except struct.error:
        raise _refuse(
            *(("timestamps", stamp, 0xFFFFFFFF) for stamp in timestamps or ()),
            *(("sack", edge, 0xFFFFFFFF) for block in sack for edge in block),
        ) from None
    if len(sack) > _SACK_BLOCKS or len(options) > 40:
        raise UsageError(
            f"sack={sack!r}: a TCP header has room for 40 bytes of options, that is, for "
            f"{_SACK_BLOCKS} blocks, and with timestamps for three"
        )
    return options


# -- ICMP -------------------------------------------------------------------------------------------


def echo(
    source: str,
    destination: str,
    identifier: int,
    sequence: int,
    data: bytes = b"",
    *,
    reply: bool = False,
) -> bytes:
    """Return an ICMP echo request or reply, of the family of the addresses, to be put into an IP packet.

    >>> echo("10.0.0.1", "10.0.0.2", 1, 2, b"ping").hex()
    '0800192c0001000270696e67'
    """
    kinds = (0, 129) if reply else (8, 128)
    try:
        rest = struct.pack(">HH", identifier, sequence) + data
    except struct.error:
        raise _refuse(("identifier", identifier, 0xFFFF), ("sequence", sequence, 0xFFFF)) from None
    return _icmp(source, destination, kinds, (0, 0), rest)


def unreachable(source: str, destination: str, what: str, original: bytes) -> bytes:
    """Return an ICMP message that says that a packet could not be delivered, to be put into an IP packet.

    Arguments:
        source: who says so
        destination: who is told: the source of the packet that it is about
        what: ``"network"``, ``"host"``, ``"port"`` or ``"prohibited"``
        original: the packet that it is about; as much of it is quoted as ICMP wants: over IPv4 its header
        and 8
            bytes, over IPv6 what fits into 1280 bytes

    >>> about = ip("10.0.0.1", "10.0.0.2", UDP, udp("10.0.0.1", "10.0.0.2", 5004, 5004, bytes(100)))
    >>> message = unreachable("10.0.0.2", "10.0.0.1", "port", about)
    >>> message[:2].hex(), message[8:] == about[:28]
    ('0303', True)
    """
    if what not in UNREACHABLE:
        raise UsageError(f"what={what!r}: write one of {', '.join(UNREACHABLE)}")
    return _icmp(source, destination, (3, 1), UNREACHABLE[what], bytes(4) + _quote(source, original))


def too_big(source: str, destination: str, mtu: int, original: bytes) -> bytes:
    """Return an ICMP message that says that a packet would have to be cut, and may not be.

    Over IPv4 that is "destination unreachable, fragmentation needed", over IPv6 "packet too big".

    Arguments:
        source: who says so
        destination: who is told: the source of the packet that it is about
        mtu: the longest packet that could go on, in bytes
        original: the packet that it is about

    >>> about = ip("10.0.0.1", "10.0.0.2", UDP, bytes(1480), dont_fragment=True)
    >>> too_big("10.0.0.9", "10.0.0.1", 1400, about)[:8].hex()
    '0304f78300000578'
    """
    if not 0 <= mtu <= 65535:
        raise _refuse(("mtu", mtu, 0xFFFF))
    return _icmp(source, destination, (3, 2), (4, 0), struct.pack(">I", mtu) + _quote(source, original))


def time_exceeded(source: str, destination: str, original: bytes, *, reassembly: bool = False) -> bytes:
    """Return an ICMP message that says that a packet has passed too many routers.

    Arguments:
        source: who says so
        destination: who is told: the source of the packet that it is about
        original: the packet that it is about
        reassembly: not the routers were too many: its other fragments have not come in time

    >>> time_exceeded("fd00::9", "fd00::1", ip("fd00::1", "fd00::2", UDP, bytes(8), hops=1))[:2].hex()
    '0300'
    """
    return _icmp(source, destination, (11, 3), (reassembly, reassembly), bytes(4) + _quote(source, original))


def _icmp(
    source: str, destination: str, kinds: tuple[int, int], codes: tuple[int, int], rest: bytes
) -> bytes:
    """Return a message of ICMP or ICMPv6: the latter has a pseudo header too."""
    addresses, total = _pair(source, destination)
    family = len(addresses) == 32
    start = bytes((kinds[family], codes[family]))
    total = total + ICMPV6 + 4 + len(rest) if family else 0
    return start + _SHORT.pack(checksum(start + rest, total)) + rest


def _quote(source: str, original: bytes) -> bytes:
    """Return what an ICMP message from a source repeats of the packet that it is about."""
    version = original[0] >> 4 if original else 0
    if version != (6 if ":" in source else 4):
        raise UsageError(
            f"original={original[:8]!r}...: give the packet that the message is about, "
            f"of the family of {source!r}"
        )
    return original[: (original[0] & 15) * 4 + 8] if version == 4 else original[:_ICMPV6_QUOTE]


# -- help -------------------------------------------------------------------------------------------

_IPV4 = struct.Struct(">BBHHHBBH8s")
_IPV6 = struct.Struct(">IHBB32s")
_FRAGMENT = struct.Struct(">BBHI")
_UDP = struct.Struct(">HHHH")
_TCP = struct.Struct(">HHIIBBHHH")
_SHORT = struct.Struct(">H")


@lru_cache(_PAIRS)
def _pair(source: str, destination: str) -> tuple[bytes, int]:
    """Return two addresses as they stand in a header, and the sum of their words."""
    try:
        first, second = ip_address(source), ip_address(destination)
    except ValueError as error:
        raise UsageError(f"{error}: give addresses as text, such as '10.0.0.1' or 'fd00::1'") from None
    if first.version != second.version:
        raise UsageError(
            f"a packet from {source!r} to {destination!r}: give two addresses of the same family"
        )
    packed = first.packed + second.packed
    return packed, word_sum(packed) % 65535


def _refuse(*fields: tuple[str, object, int]) -> UsageError:
    """Return the error for the first of some values, each with its largest, that its field cannot hold."""
    for name, value, limit in fields:
        if not (isinstance(value, int) and 0 <= value <= limit):
            return UsageError(f"{name}={value!r}: give a whole number from 0 to {limit}")
    return UsageError(f"{fields!r}: give whole numbers")


__all__ = [
    "ACK",
    "CWR",
    "ECE",
    "FIN",
    "FRAGMENT",
    "ICMP",
    "ICMPV6",
    "IGMP",
    "PSH",
    "RST",
    "SYN",
    "TCP",
    "UDP",
    "UNREACHABLE",
    "URG",
    "echo",
    "ip",
    "ipv4",
    "ipv6",
    "ipv6_fragment",
    "tcp",
    "time_exceeded",
    "too_big",
    "udp",
    "unreachable",
]
