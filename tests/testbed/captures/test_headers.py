"""Headers: known bytes, checksums by the definition, and refusals."""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.captures.checksum import checksum, word_sum
from kamaelia.testbed.captures.fragments import fragments
from kamaelia.testbed.captures.headers import (
    ACK,
    CWR,
    ECE,
    FIN,
    FRAGMENT,
    ICMP,
    ICMPV6,
    IGMP,
    PSH,
    RST,
    SYN,
    TCP,
    UDP,
    UNREACHABLE,
    URG,
    echo,
    ip,
    ipv4,
    ipv6,
    ipv6_fragment,
    tcp,
    time_exceeded,
    too_big,
    udp,
    unreachable,
)
from kamaelia.testbed.captures.parsing import IPPacket, TCPSegment, UDPDatagram, parse

pytestmark = [pytest.mark.one_core, pytest.mark.once]

V4, V6 = ("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")
BOTH = pytest.mark.parametrize("ends", [V4, V6], ids=["IPv4", "IPv6"])

ports = st.integers(0, 65535)
words = st.integers(0, 0xFFFFFFFF)
v4 = st.tuples(st.ip_addresses(v=4).map(str), st.ip_addresses(v=4).map(str))
v6 = st.tuples(st.ip_addresses(v=6).map(str), st.ip_addresses(v=6).map(str))


def by_definition(data: bytes) -> int:
    """The one's complement sum of RFC 1071, word by word, with the carry added at each step."""
    total = 0
    for (word,) in struct.iter_unpack(">H", data + bytes(len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo_header(ends: tuple[str, str], protocol: int, length: int) -> bytes:
    addresses = b"".join(ip_address(end).packed for end in ends)
    return addresses + (
        struct.pack(">HH", protocol, length) if len(addresses) == 8 else struct.pack(">II", length, protocol)
    )


# -- checksums --------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.binary(max_size=5000)
    | st.integers(0, 70000).map(bytes)
    | st.integers(0, 70000).map(lambda n: b"\xff" * n)
)
def test_the_checksum_is_that_of_the_definition(data: bytes) -> None:
    assert checksum(data) == 0xFFFF - by_definition(data)
    assert word_sum(data) % 65535 == by_definition(data) % 65535


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("0001f203f4f5f6f7", 0x220D),  # RFC 1071, 3
        ("45000073000040004011" + "0000" + "c0a80001c0a800c7", 0xB861),  # the example that everybody has
        ("", 0xFFFF),
        ("0000", 0xFFFF),
        ("ffff", 0),
        ("fffe0001", 0),
        ("01", 0xFEFF),
        ("ffff" * 40000, 0),
        ("00" * 40000, 0xFFFF),
    ],
)
def test_checksums_that_are_known(data: str, expected: int) -> None:
    assert checksum(bytes.fromhex(data)) == expected


@pytest.mark.parametrize("length", [2047, 2048, 2049, 4095, 4096, 4097, 65534, 65535])
def test_where_pieces_of_long_data_meet(length: int) -> None:
    data = bytes(n * 7 & 255 for n in range(length))
    assert checksum(data) == 0xFFFF - by_definition(data)


# -- known bytes ------------------------------------------------------------------------------------


def test_an_ipv4_header() -> None:
    packet = ipv4("192.168.0.1", "192.168.0.199", UDP, bytes(95), hops=64, dont_fragment=True)
    assert packet[:20].hex() == "450000730000400040" + "11" + "b861" + "c0a80001" + "c0a800c7"


def test_every_field_of_ipv4() -> None:
    packet = ipv4(
        *V4, 99, b"abcdefgh", hops=7, dscp=46, ecn=3, identification=0x1234, more_fragments=True, offset=1480
    )
    assert packet[:10].hex() == "45" + "bb" + "001c" + "1234" + "20b9" + "07" + "63"
    assert packet[20:] == b"abcdefgh"
    assert by_definition(packet[:20]) == 0xFFFF


def test_every_field_of_ipv6() -> None:
    packet = ipv6(*V6, 99, b"abcdefgh", hops=7, dscp=46, ecn=3, flow_label=0xABCDE)
    assert packet[:8].hex() == "6bb" + "abcde" + "0008" + "63" + "07"
    assert packet[8:24] == ip_address("fd00::1").packed and packet[24:40] == ip_address("fd00::2").packed
    assert packet[40:] == b"abcdefgh"


def test_a_fragment_header_of_ipv6() -> None:
    assert (
        ipv6_fragment(UDP, b"xy", identification=0x01020304, offset=1448).hex() == "110005a801020304" + "7879"
    )
    assert ipv6_fragment(TCP, b"", identification=0, more_fragments=True).hex() == "0600000100000000"


def test_every_field_of_tcp() -> None:
    segment = tcp(
        *V4,
        49152,
        80,
        b"data",
        sequence=0x01020304,
        acknowledgement=0x05060708,
        flags=ACK | PSH,
        window=0x1122,
        timestamps=(1, 2),
    )
    assert segment[:16].hex() == "c0000050" + "01020304" + "05060708" + "8018" + "1122"
    assert segment[18:].hex() == "0000" + "0101080a" + "00000001" + "00000002" + b"data".hex()


@pytest.mark.parametrize(
    ("flag", "byte"), [(FIN, 1), (SYN, 2), (RST, 4), (PSH, 8), (ACK, 16), (URG, 32), (ECE, 64), (CWR, 128)]
)
def test_flags_of_tcp(flag: int, byte: int) -> None:
    assert tcp(*V4, 1, 2, sequence=0, flags=flag)[13] == byte


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ""),
        ({"mss": 1460}, "020405b4"),
        ({"window_scale": 7}, "01030307"),
        ({"sack_permitted": True}, "01010402"),
        ({"timestamps": (0xFFFFFFFF, 0)}, "0101080affffffff00000000"),
        ({"sack": ((1, 2), (3, 4))}, "0101051200000001000000020000000300000004"),
        (
            {"mss": 9, "window_scale": 0, "sack_permitted": True, "timestamps": (1, 2)},
            "02040009" + "01030300" + "01010402" + "0101080a0000000100000002",
        ),
    ],
)
def test_options_of_tcp(options: dict[str, Any], expected: str) -> None:
    segment = tcp(*V6, 1, 2, b"!", sequence=0, **options)
    assert segment[20:-1].hex() == expected
    assert segment[12] >> 4 == 5 + len(expected) // 8


def test_a_udp_checksum_of_zero_is_sent_as_all_ones() -> None:
    """The payload is the word that makes the sum 0xFFFF."""
    without = by_definition(pseudo_header(V4, UDP, 10) + struct.pack(">HHHH", 1, 2, 10, 0))
    datagram = udp(*V4, 1, 2, struct.pack(">H", 0xFFFF - without))
    assert datagram[6:8] == b"\xff\xff"
    assert udp(*V4, 1, 2, struct.pack(">H", 0xFFFE - without))[6:8] == b"\x00\x01"


def test_a_tcp_checksum_of_zero_stays_zero() -> None:
    segment = tcp(*V4, 1, 2, bytes(2), sequence=0)
    sum_of_others = by_definition(pseudo_header(V4, TCP, 22) + segment[:16] + bytes(2) + segment[18:])
    assert tcp(*V4, 1, 2, struct.pack(">H", 0xFFFF - sum_of_others), sequence=0)[16:18] == b"\0\0"


@BOTH
def test_ip_is_of_the_family_of_the_addresses(ends: tuple[str, str]) -> None:
    packet = ip(*ends, UDP, b"abc", hops=9, dscp=1, ecn=2, identification=3, dont_fragment=True, flow_label=4)
    if ends is V4:
        assert packet == ipv4(*V4, UDP, b"abc", hops=9, dscp=1, ecn=2, identification=3, dont_fragment=True)
    else:
        assert packet == ipv6(*V6, UDP, b"abc", hops=9, dscp=1, ecn=2, flow_label=4)


def test_an_address_has_the_same_bytes_however_it_is_written() -> None:
    assert ipv6("fd00:0:0::0001", "FD00::2", UDP, b"") == ipv6(*V6, UDP, b"")


# -- ICMP -------------------------------------------------------------------------------------------

V4_ABOUT = ip(*V4, UDP, udp(*V4, 5004, 5006, bytes(range(200))))
V6_ABOUT = ip(*V6, UDP, udp(*V6, 5004, 5006, bytes(range(200))))


MESSAGES: list[tuple[Callable[[tuple[str, str], bytes], bytes], str, str]] = [
    (lambda ends, about: echo(*ends, 0x1234, 5, b"ping"), "0800:12340005", "8000:12340005"),
    (lambda ends, about: echo(*ends, 0x1234, 5, b"ping", reply=True), "0000:12340005", "8100:12340005"),
    (lambda ends, about: unreachable(*ends, "network", about), "0300:00000000", "0100:00000000"),
    (lambda ends, about: unreachable(*ends, "host", about), "0301:00000000", "0103:00000000"),
    (lambda ends, about: unreachable(*ends, "port", about), "0303:00000000", "0104:00000000"),
    (lambda ends, about: unreachable(*ends, "prohibited", about), "030d:00000000", "0101:00000000"),
    (lambda ends, about: too_big(*ends, 1400, about), "0304:00000578", "0200:00000578"),
    (lambda ends, about: time_exceeded(*ends, about), "0b00:00000000", "0300:00000000"),
    (lambda ends, about: time_exceeded(*ends, about, reassembly=True), "0b01:00000000", "0301:00000000"),
]


@pytest.mark.parametrize(("make", "v4", "v6"), MESSAGES)
def test_messages_of_icmp(make: Callable[[tuple[str, str], bytes], bytes], v4: str, v6: str) -> None:
    for ends, about, expected in ((V4, V4_ABOUT, v4), (V6, V6_ABOUT, v6)):
        message = make(ends, about)
        assert f"{message[:2].hex()}:{message[4:8].hex()}" == expected
        covered = message if ends is V4 else pseudo_header(ends, ICMPV6, len(message)) + message
        assert by_definition(covered) == 0xFFFF
        if message[8:] != b"ping":
            assert message[8:] == (about[:28] if ends is V4 else about)


def test_all_that_may_be_unreachable_is_tried_above() -> None:
    assert set(UNREACHABLE) == {"network", "host", "port", "prohibited"}


def test_icmpv6_quotes_what_fits_into_the_smallest_mtu() -> None:
    about = ip(*V6, UDP, bytes(2000))
    assert len(ip(*V6, ICMPV6, unreachable(*V6, "port", about))) == 1280


def test_an_icmp_message_of_zeros_has_a_checksum() -> None:
    assert echo(*V4, 0, 0, bytes(4), reply=True)[:4].hex() == "0000ffff"


# -- round trips ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(v4 | v6, ports, ports, st.binary(max_size=300))
def test_a_datagram_comes_back(ends: tuple[str, str], source: int, destination: int, payload: bytes) -> None:
    datagram = udp(*ends, source, destination, payload)
    assert by_definition(pseudo_header(ends, UDP, len(datagram)) + datagram) == 0xFFFF
    found = parse(ip(*ends, UDP, datagram))
    assert (found.source, found.destination, found.complete) == (*ends, True)
    checksum_field = int.from_bytes(datagram[6:8], "big")
    assert found.transport == UDPDatagram(source, destination, 8 + len(payload), checksum_field, payload)


@settings(deadline=None, max_examples=60)
@given(
    v4 | v6,
    st.fixed_dictionaries(
        {"sequence": words, "acknowledgement": words, "flags": st.integers(0, 255), "window": ports},
        optional={
            "mss": ports,
            "window_scale": st.integers(0, 14),
            "sack_permitted": st.booleans(),
            "sack": st.lists(st.tuples(words, words), max_size=1).map(tuple),
            "timestamps": st.tuples(words, words),
        },
    ),
    st.binary(max_size=300),
)
def test_a_segment_comes_back(ends: tuple[str, str], fields: dict[str, Any], payload: bytes) -> None:
    segment = tcp(*ends, 1, 2, payload, **fields)
    assert by_definition(pseudo_header(ends, TCP, len(segment)) + segment) == 0xFFFF
    found = parse(ip(*ends, TCP, segment)).transport
    assert isinstance(found, TCPSegment)
    expected = {
        "mss": None,
        "window_scale": None,
        "sack_permitted": False,
        "sack": (),
        "timestamps": None,
    } | fields
    assert {name: getattr(found, name) for name in expected} == expected
    assert (found.source_port, found.destination_port, found.payload) == (1, 2, payload)


@settings(deadline=None, max_examples=60)
@given(
    v4 | v6,
    st.fixed_dictionaries(
        {"hops": st.integers(0, 255), "dscp": st.integers(0, 63), "ecn": st.integers(0, 3)},
        optional={
            "identification": ports,
            "dont_fragment": st.booleans(),
            "flow_label": st.integers(0, 0xFFFFF),
        },
    ),
    st.binary(max_size=40),
)
def test_an_ip_header_comes_back(ends: tuple[str, str], fields: dict[str, Any], payload: bytes) -> None:
    packet = ip(*ends, 99, payload, **fields)
    found = parse(packet)
    absent = ["flow_label"] if found.version == 4 else ["identification", "dont_fragment"]
    expected = fields | {name: 0 for name in absent if name in fields}
    assert {name: getattr(found, name) for name in expected} == expected
    assert (found.protocol, found.length, found.payload) == (99, len(packet), payload)
    assert not found.is_fragment and found.transport is None
    if found.version == 4:
        assert by_definition(packet[:20]) == 0xFFFF


# -- parsing ----------------------------------------------------------------------------------------


def extension(following: int, units: int = 0) -> bytes:
    return bytes((following, units)) + bytes(6 + 8 * units)


def test_extension_headers_are_skipped() -> None:
    """Hop-by-hop, routing, authentication (which counts otherwise), and the options of the destination."""
    authentication = bytes((60, 4)) + bytes(22)
    datagram = udp(*V6, 5, 6, b"hello")
    chain = extension(43) + extension(51, 2) + authentication + extension(UDP, 1) + datagram
    found = parse(ipv6(*V6, 0, chain))
    assert (found.protocol, found.payload) == (UDP, datagram)
    assert isinstance(found.transport, UDPDatagram) and found.transport.payload == b"hello"


def test_a_fragment_that_is_the_whole() -> None:
    """RFC 6946: it has a fragment header, and is none."""
    found = parse(ipv6(*V6, FRAGMENT, ipv6_fragment(UDP, udp(*V6, 5, 6, b"hello"), identification=7)))
    assert (found.is_fragment, found.identification) == (False, 7)
    assert isinstance(found.transport, UDPDatagram) and found.transport.payload == b"hello"


def test_what_follows_a_fragment_header_is_a_piece_whatever_it_begins_with() -> None:
    piece = extension(UDP) + bytes(8)
    found = parse(ipv6(*V6, FRAGMENT, ipv6_fragment(60, piece, identification=7, more_fragments=True)))
    assert (found.is_fragment, found.protocol, found.payload, found.transport) == (True, 60, piece, None)


def test_options_of_ipv4_are_skipped() -> None:
    packet = bytearray(ipv4(*V4, UDP, bytes(4) + udp(*V4, 5, 6, b"hello")))
    packet[0] = 0x46
    found = parse(bytes(packet)).transport
    assert isinstance(found, UDPDatagram) and found.payload == b"hello"


def test_bytes_after_the_packet_are_no_part_of_it() -> None:
    """A short Ethernet frame is filled up."""
    for ends in (V4, V6):
        found = parse(ip(*ends, UDP, udp(*ends, 5, 6, b"")) + bytes(18))
        assert found.transport == UDPDatagram(5, 6, 8, found.transport.checksum, b"")  # type: ignore[union-attr]


def test_a_length_of_zero_is_that_of_a_packet_that_the_network_card_cuts() -> None:
    segment = tcp(*V4, 1, 2, b"hello", sequence=0)
    for ends, field in ((V4, slice(2, 4)), (V6, slice(4, 6))):
        packet = bytearray(ip(*ends, TCP, segment))
        packet[field] = bytes(2)
        found = parse(bytes(packet))
        assert found.complete and found.length == len(packet)
        assert isinstance(found.transport, TCPSegment) and found.transport.payload == b"hello"


@BOTH
def test_the_beginning_of_a_packet(ends: tuple[str, str]) -> None:
    """However little of it was captured, the whole header of IP suffices."""
    header = 20 if ends is V4 else 40
    for protocol, inner, shortest in (
        (UDP, udp(*ends, 5, 6, b"hello"), 8),
        (TCP, tcp(*ends, 5, 6, b"hello", sequence=9, mss=1460), 24),
    ):
        packet = ip(*ends, protocol, inner)
        for size in range(header, len(packet)):
            found = parse(packet[:size])
            assert not found.complete and found.length == len(packet)
            if size - header < shortest:
                assert found.transport is None
            else:
                assert found.transport is not None
                assert found.transport.payload == b"hello"[: size - header - shortest]


@BOTH
def test_the_beginning_of_a_chain_of_headers(ends: tuple[str, str]) -> None:
    packet = ipv6(*V6, 0, extension(FRAGMENT, 1) + ipv6_fragment(UDP, bytes(8), identification=1, offset=8))
    for size in range(40, len(packet)):
        assert parse(packet[:size]).transport is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no IP packet"),
        (b"\x00" * 40, "no IP packet"),
        (b"\x55" * 40, "no IP packet"),
        (b"\x45" + bytes(18), "an IPv4 header of 19 bytes"),
        (b"\x60" + bytes(38), "an IPv6 header of 39 bytes"),
        (b"\x44\0\0\x20" + bytes(28), "says it has 16 bytes"),
        (b"\x4f\0\0\x14" + bytes(60), "says it has 60 bytes, in a packet of 20"),
        (ipv6(*V6, 0, b"\x11\xff" + bytes(6)), "extension headers that end after"),
        (ipv6(*V6, FRAGMENT, bytes(7)), "extension headers that end after"),
        (ipv6(*V6, 0, b""), "extension headers that end after"),
    ],
)
def test_what_is_no_packet(data: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(data)


@pytest.mark.parametrize(
    ("protocol", "inner", "words"),
    [
        (UDP, bytes(7), "a UDP header of 7 bytes"),
        (UDP, bytes(8), "says it has 0 bytes"),
        (UDP, bytes.fromhex("0001000200090000"), "says it has 9 bytes, in a payload of 8"),
        (TCP, bytes(19), "a TCP header of 20 bytes, in a payload of 19"),
        (TCP, bytes(20), "says it has 0 bytes: it has at least 20"),
        (TCP, bytes(12) + b"\x60" + bytes(7), "a TCP header of 24 bytes, in a payload of 20"),
        (TCP, bytes(12) + b"\x60" + bytes(7) + b"\2\0\5\xb4", "option 2 of a TCP header says that it has 0"),
        (TCP, bytes(12) + b"\x60" + bytes(7) + b"\1\1\1\2", "option 2 of a TCP header says that it has 0"),
    ],
)
def test_what_is_no_datagram_or_segment(protocol: int, inner: bytes, words: str) -> None:
    packet = parse(ip(*V4, protocol, inner))
    with pytest.raises(UsageError, match=words):
        _ = packet.transport


def test_an_option_of_a_wrong_size_is_not_understood_and_does_no_harm() -> None:
    options = b"\2\3\5" + b"\3\2" + b"\5\3\0" + b"\x08\x04\0\0" + b"\4\2" + b"\0\x09"
    segment = bytes(12) + bytes([(20 + len(options)) // 4 << 4]) + bytes(7) + options
    found = parse(ip(*V4, TCP, segment)).transport
    assert isinstance(found, TCPSegment)
    assert (found.mss, found.window_scale, found.sack, found.timestamps) == (None, None, (), None)
    assert found.sack_permitted  # what is behind them is


@settings(deadline=None, max_examples=200)
@given(
    st.binary(max_size=120), st.sampled_from([b"", b"\x45", b"\x60\0\0\0\0\x30\x2c", b"\x60\0\0\0\0\x30\0"])
)
def test_no_bytes_raise_anything_else(data: bytes, start: bytes) -> None:
    try:
        found = parse(start + data)
        assert isinstance(found, IPPacket)
        _ = found.transport
    except UsageError:
        pass


# -- refusals ---------------------------------------------------------------------------------------

BIG = bytes(65536)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ip("10.0.0.1", "fd00::1", UDP, b""), "two addresses of the same family"),
        (
            lambda: ip("server", "10.0.0.2", UDP, b""),
            "'server' does not appear to be an IPv4 or IPv6 address",
        ),
        (lambda: ipv4(*V6, UDP, b""), "source='fd00::1': ipv4"),
        (lambda: ipv6(*V4, UDP, b""), "source='10.0.0.1': ipv6"),
        (lambda: ipv4(*V4, UDP, BIG[:65516]), "a payload of 65516 bytes"),
        (lambda: ipv6(*V6, UDP, BIG), "a payload of 65536 bytes"),
        (lambda: udp(*V4, 1, 2, BIG[:65528]), "a payload of 65528 bytes"),
        (lambda: ipv4(*V4, UDP, b"", hops=256), "hops=256: give a whole number from 0 to 255"),
        (lambda: ipv4(*V4, UDP, b"", hops=-1), "hops=-1:"),
        (lambda: ipv4(*V4, 256, b""), "protocol=256"),
        (lambda: ipv4(*V4, UDP, b"", dscp=64), "dscp=64: give a whole number from 0 to 63"),
        (lambda: ipv4(*V4, UDP, b"", ecn=4), "ecn=4"),
        (lambda: ipv4(*V4, UDP, b"", dscp=-1, ecn=3), "dscp=-1"),
        (lambda: ipv4(*V4, UDP, b"", identification=65536), "identification=65536"),
        (lambda: ipv4(*V4, UDP, b"", offset=4), "offset=4: give a multiple of 8"),
        (lambda: ipv4(*V4, UDP, b"", offset=65536), "offset=65536"),
        (lambda: ipv4(*V4, UDP, b"", offset=-8), "offset=-8"),
        (lambda: ipv6(*V6, 256, b""), "next_header=256"),
        (lambda: ipv6(*V6, UDP, b"", hops=256), "hops=256"),
        (lambda: ipv6(*V6, UDP, b"", flow_label=1 << 20), "flow_label=1048576"),
        (lambda: ipv6(*V6, UDP, b"", ecn=4), "ecn=4"),
        (lambda: ipv6_fragment(UDP, b"", identification=1 << 32), "identification=4294967296"),
        (lambda: ipv6_fragment(256, b"", identification=1), "next_header=256"),
        (lambda: ipv6_fragment(UDP, b"", identification=1, offset=7), "offset=7"),
        (lambda: udp(*V4, 65536, 2, b""), "source_port=65536"),
        (lambda: udp(*V4, 1, -2, b""), "destination_port=-2"),
        (lambda: tcp(*V4, 1, 65536, sequence=0), "destination_port=65536"),
        (lambda: tcp(*V4, 1, 2, sequence=1 << 32), "sequence=4294967296"),
        (lambda: tcp(*V4, 1, 2, sequence=0, acknowledgement=-1), "acknowledgement=-1"),
        (lambda: tcp(*V4, 1, 2, sequence=0, flags=256), "flags=256"),
        (lambda: tcp(*V4, 1, 2, sequence=0, window=65536), "window=65536"),
        (lambda: tcp(*V4, 1, 2, sequence=0, mss=65536), "mss=65536"),
        (lambda: tcp(*V4, 1, 2, sequence=0, window_scale=15), "window_scale=15"),
        (lambda: tcp(*V4, 1, 2, sequence=0, timestamps=(0, 1 << 32)), "timestamps=4294967296"),
        (lambda: tcp(*V4, 1, 2, sequence=0, sack=((-1, 0),)), "sack=-1"),
        (lambda: tcp(*V4, 1, 2, sequence=0, sack=((1, 2),) * 5), "for 4 blocks"),
        (lambda: tcp(*V4, 1, 2, sequence=0, sack=((1, 2),) * 500), "for 4 blocks"),
        (
            lambda: tcp(*V4, 1, 2, sequence=0, sack=((1, 2),) * 4, timestamps=(1, 1)),
            "with timestamps for three",
        ),
        (lambda: echo(*V4, 65536, 0), "identifier=65536"),
        (lambda: echo(*V6, 0, 65536), "sequence=65536"),
        (lambda: too_big(*V4, 65536, V4_ABOUT), "mtu=65536"),
        (
            lambda: unreachable(*V4, "door", V4_ABOUT),
            "what='door': write one of network, host, port, prohibited",
        ),
        (lambda: unreachable(*V4, "port", V6_ABOUT), "of the family of '10.0.0.1'"),
        (lambda: time_exceeded(*V6, b""), "of the family of 'fd00::1'"),
        (lambda: fragments(V4_ABOUT, 67), "mtu=67: give at least 68"),
        (lambda: fragments(V6_ABOUT, 1279), "mtu=1279: give at least 1280"),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError) as refusal:
        call()
    assert words in str(refusal.value)


def test_the_numbers_of_protocols() -> None:
    assert (ICMP, IGMP, TCP, UDP, ICMPV6) == (1, 2, 6, 17, 58)
