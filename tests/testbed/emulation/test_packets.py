"""Real packets to those of the wire and back: whatever they are, and whatever has happened to them."""

import os
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia.testbed import Network, Rule
from kamaelia.testbed.captures import headers
from kamaelia.testbed.captures.headers import ICMPV6, TCP, UDP, ip, tcp, udp
from kamaelia.testbed.captures.parsing import parse
from kamaelia.testbed.emulation.box import Box
from kamaelia.testbed.emulation.packets import Reader, bytes_of, readdress
from kamaelia.testbed.emulation.pipes import Pipe
from kamaelia.testbed.forms import forms
from kamaelia.testbed.groups.messages import Kind, Query, Record, Report
from kamaelia.testbed.links import CoDel, Corruption

NAMES = {"10.0.0.1": "a", "10.0.0.2": "b", "fd00::1": "a", "fd00::2": "b"}
ENDS = [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")]


def reader() -> Reader:
    return Reader(forms().Packet, NAMES)


def datagram(source: str, target: str, data: bytes = b"hello", **marks: Any) -> bytes:
    return ip(source, target, UDP, udp(source, target, 4000, 5000, data), **marks)


@pytest.mark.parametrize(("source", "target"), ENDS)
def test_a_datagram_becomes_a_packet_with_all_that_the_network_looks_at(source, target) -> None:
    raw = datagram(source, target, hops=9, dscp=46, ecn=1)
    for _ in range(2):  # the second time from the table
        packet = reader().read(raw)
        assert (packet.protocol, packet.kind, packet.size) == (UDP, "udp", len(raw))
        assert (packet.source[:2], packet.target, packet.port) == ((source, 4000), target, 5000)
        assert (packet.name, packet.target_name) == ("a:4000", "b:5000")
        assert (packet.ttl, packet.tos, packet.ecn) == (9, 46 << 2 | 1, 1)
        assert bytes_of(packet) == raw


@pytest.mark.parametrize(("source", "target"), ENDS)
@pytest.mark.parametrize(
    ("flags", "data", "kind"),
    [
        (headers.SYN, b"", "tcp syn"),
        (headers.SYN | headers.ACK, b"", "tcp syn-ack"),
        (headers.ACK, b"", "tcp ack"),
        (headers.ACK | headers.PSH, b"x", "tcp data"),
        (headers.FIN | headers.ACK, b"", "tcp fin"),
        (headers.RST, b"", "tcp rst"),
    ],
)
def test_a_segment_is_called_by_what_it_does(source, target, flags, data, kind) -> None:
    segment = tcp(source, target, 1, 2, data, sequence=3, flags=flags, timestamps=(1, 2))
    assert reader().read(ip(source, target, TCP, segment)).kind == kind


@given(
    ends=st.sampled_from(ENDS),
    before=st.tuples(st.integers(1, 255), st.integers(0, 63), st.integers(0, 3)),
    after=st.tuples(st.integers(1, 255), st.integers(0, 63), st.integers(0, 3)),
    identification=st.integers(0, 65535),
)
def test_what_routers_and_queues_write_is_as_if_it_had_been_sent_so(
    ends, before, after, identification
) -> None:
    made = [
        datagram(*ends, hops=hops, dscp=dscp, ecn=ecn, identification=identification)
        for hops, dscp, ecn in (before, after)
    ]
    packet = reader().read(made[0])
    packet.ttl, packet.tos = after[0], after[1] << 2 | after[2]
    assert bytes(bytes_of(packet)) == made[1]


@given(
    protocol=st.sampled_from([UDP, TCP]),
    ports=st.tuples(*[st.integers(1, 65535)] * 2),
    source=st.integers(0, 2**32 - 1).map(lambda number: number.to_bytes(4, "big")),
    data=st.binary(max_size=9),
)
def test_what_a_translator_writes_is_as_if_it_had_been_sent_so(protocol, ports, source, data) -> None:
    def make(source: str, source_port: int, port: int) -> bytes:
        if protocol == UDP:
            return ip(source, "192.0.2.7", UDP, udp(source, "192.0.2.7", source_port, port, data))
        segment = tcp(source, "192.0.2.7", source_port, port, data, sequence=77)
        return ip(source, "192.0.2.7", TCP, segment)

    packet = reader().read(make("10.0.0.1", 4000, 5000))
    address = ".".join(map(str, source))
    packet.source, packet.port = (address, ports[0]), ports[1]
    assert bytes(readdress(bytes_of(packet), packet)) == make(address, *ports)


def test_a_sum_that_udp_left_out_stays_out() -> None:
    raw = bytearray(datagram("10.0.0.1", "10.0.0.2"))
    raw[26:28] = bytes(2)
    packet = reader().read(bytes(raw))
    packet.source = ("192.0.2.1", 4001)
    found = parse(bytes(readdress(bytes_of(packet), packet)))
    assert (found.source, found.transport.source_port, found.transport.checksum) == ("192.0.2.1", 4001, 0)


def in_membership(source: str, target: str, message: Any) -> bytes:
    """Return what a kernel sends: with the options by which routers see it."""
    packet = SimpleNamespace(source=(source, 0), target=target, data=message, ttl=1, tos=0, spoiled=False)
    packet.protocol = ICMPV6 if ":" in source else headers.IGMP
    from kamaelia.testbed.capture import packet_bytes

    return packet_bytes(packet)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "target", "group", "kind"),
    [
        ("10.0.0.1", "224.0.0.22", "239.1.2.3", "igmp report"),
        ("fe80::1", "ff02::16", "ff1e::5", "mld report"),
    ],
)
def test_reports_of_groups_are_read_and_written_as_kernels_do(source, target, group, kind) -> None:
    report = Report(3 if kind == "igmp report" else 2, (Record(Kind.TO_EX, group),))
    raw = in_membership(source, target, report)
    packet = reader().read(raw)
    assert (packet.data, packet.kind, packet.ttl) == (report, kind, 1)
    assert bytes_of(packet) == raw


def test_what_a_host_says_of_its_own_addresses_is_left_out() -> None:
    own, wanted = Record(Kind.TO_EX, "ff02::1:ff00:1"), Record(Kind.TO_EX, "ff1e::5")
    one = reader()
    assert one.read(in_membership("fe80::1", "ff02::16", Report(2, (own,)))) is None
    packet = one.read(in_membership("fe80::1", "ff02::16", Report(2, (own, wanted))))
    assert packet.data == Report(2, (wanted,))
    solicitation = headers.ipv6("fe80::1", "ff02::2", ICMPV6, bytes([133]) + bytes(7), hops=255)
    assert one.read(solicitation) is None
    assert (one.unasked, one.malformed) == (2, 0)


def test_a_query_of_a_router_is_for_the_kernel() -> None:
    query = Query(3, max_response=1_000_000_000, robustness=2, interval=125 * 10**9)
    assert reader().read(in_membership("10.0.0.9", "224.0.0.1", query)).kind == "igmp query"


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x45", bytes(20), b"\x45" + bytes(19), b"\x60" + bytes(39), b"\x4f" * 30, b"\x45" * 27],
)
def test_what_is_no_packet_is_counted(raw) -> None:
    one = reader()
    assert one.read(raw) is None
    assert one.malformed == 1


PLACES = st.integers(0, 79)


def mangled(raw: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    data = bytearray(raw)
    for place, value in changes:
        if place < len(data):
            data[place] = value
    return bytes(data[: len(data) - cut])


SEEDS = [
    datagram("10.0.0.1", "10.0.0.2"),
    datagram("10.0.0.1", "10.0.0.4", bytes(700), dont_fragment=True),
    datagram("10.0.0.1", "10.0.0.4", bytes(700)),
    datagram("fd00::1", "fd00::2", bytes(1300)),
    datagram("fd00::1", "fd00::4"),
    datagram("10.0.0.1", "239.1.2.3", hops=5),
    datagram("10.0.0.1", "255.255.255.255"),
    ip("10.0.0.1", "10.0.0.4", TCP, tcp("10.0.0.1", "10.0.0.4", 1, 2, sequence=3, flags=headers.SYN)),
    ip("10.0.0.1", "10.0.0.2", 1, headers.echo("10.0.0.1", "10.0.0.2", 1, 2, b"ping"), hops=1),
    in_membership("10.0.0.1", "224.0.0.22", Report(3, (Record(Kind.TO_EX, "239.1.2.3"),))),
    in_membership("fe80::1", "ff02::16", Report(2, (Record(Kind.ALLOW, "ff1e::5", ("fd00::9",)),))),
    in_membership("10.0.0.9", "224.0.0.1", Query(3, max_response=10**9)),
]


@pytest.mark.one_core
@settings(deadline=None, max_examples=300)
@given(
    packets=st.lists(
        st.builds(
            mangled,
            st.sampled_from(SEEDS),
            st.lists(st.tuples(PLACES, st.integers(0, 255)), max_size=4),
            st.integers(0, 60),
        ),
        max_size=6,
    )
)
def test_nothing_that_a_host_sends_ends_the_box_and_only_packets_leave_it(packets) -> None:
    network = Network()
    a, b, c = network.host("a"), network.host("b"), network.host("c")
    router = network.router("router", rules=[Rule("deny", protocol="udp", port=7)])
    wall = network.nat("wall", address="192.0.2.1")
    hub = network.switch("hub", snooping=True, querier=True)
    network.link(a, hub)
    network.link(hub, router, duplicate=0.5, corrupt=Corruption(0.5, checksum=False), reorder=0.3)
    network.link(router, b, mtu=600, rate="1 Mbit/s", queue=CoDel(ecn=True))
    network.link(router, wall)
    network.link(wall, c, jitter="1 ms", delay="2 ms")
    ends = {name: os.pipe() for name in network.hosts}
    here, there = Pipe.pair()
    box = Box(network, 7, 100, frozenset(), {name: end[1] for name, end in ends.items()}, there)
    try:
        for raw in packets:
            packet = box._reader.read(raw)
            if packet is not None:
                box._send(box.stacks["a"], packet)
            box.clock.advance(3_000_000)
        box.clock.advance(10**8)
        for name, (reading, writing) in ends.items():
            os.set_blocking(reading, False)
            os.close(writing)
            left = os.read(reading, 1 << 16)
            while left:  # a pipe has no borders between packets, but their headers tell
                length = parse(left).length
                assert length <= len(left), (name, left)
                left = left[length:]
    finally:
        for reading, writing in ends.values():
            os.close(reading)
            try:
                os.close(writing)
            except OSError:
                pass
        here.close()
        there.close()
