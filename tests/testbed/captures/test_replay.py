"""A capture as a schedule, whatever link it was captured on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.captures import Datagram, PcapngWriter, Sorted, datagrams
from kamaelia.testbed.captures.fragments import fragments
from kamaelia.testbed.captures.headers import FRAGMENT, TCP, UDP, ip, ipv6, ipv6_fragment, tcp, udp

from .specimens import DATA, interface, packet, pcap, section, write_every_kind

pytestmark = [pytest.mark.one_core, pytest.mark.once]

V4, V6 = ("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")


def datagram(
    data: bytes = b"hello", ends: tuple[str, str] = V4, ports: tuple[int, int] = (5004, 5006)
) -> bytes:
    return ip(*ends, UDP, udp(*ends, *ports, data))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.pcap"


ETHERNET = bytes(12)
FOUR, SIX = b"\x08\0", b"\x86\xdd"

LINKS: dict[str, tuple[int, bytes, bytes]] = {
    "raw": (101, b"", b""),
    "raw of OpenBSD": (14, b"", b""),
    "raw of others": (12, b"", b""),
    "IPv4 and IPv6": (228, b"", b""),
    "ethernet": (1, ETHERNET + FOUR, ETHERNET + SIX),
    "one VLAN": (1, ETHERNET + b"\x81\0\0\5" + FOUR, ETHERNET + b"\x81\0\0\5" + SIX),
    "VLAN in VLAN": (
        1,
        ETHERNET + b"\x88\xa8\0\5\x81\0\0\6" + FOUR,
        ETHERNET + b"\x88\xa8\0\5\x81\0\0\6" + SIX,
    ),
    "cooked": (113, bytes(14) + FOUR, bytes(14) + SIX),
    "cooked, the second": (276, FOUR + bytes(18), SIX + bytes(18)),
    "null, little": (0, b"\2\0\0\0", b"\x1e\0\0\0"),
    "null, big": (0, b"\0\0\0\2", b"\0\0\0\x1c"),
    "loop": (108, b"\0\0\0\2", b"\0\0\0\x18"),
}


@pytest.mark.parametrize("link", LINKS)
def test_every_link_type(path: Path, link: str) -> None:
    link_type, four, six = LINKS[link]
    packets = [
        (7, 100, four + datagram(b"one")),
        (7, 150, six + datagram(b"two", V6)),
        (8, 0, four + datagram(b"")),
    ]
    path.write_bytes(pcap(packets, link_type))
    schedule = datagrams(path)
    assert list(schedule) == [
        Datagram(0, b"one", ("10.0.0.1", 5004), ("10.0.0.2", 5006)),
        Datagram(50_000, b"two", ("fd00::1", 5004), ("fd00::2", 5006)),
        Datagram(999_900_000, b"", ("10.0.0.1", 5004), ("10.0.0.2", 5006)),
    ]
    assert schedule.skipped == {}
    for size in range(1, len(four)):  # a frame too short for its own header
        path.write_bytes(pcap([(7, 100, four[:size])], link_type))
        assert list(schedule) == [] and schedule.skipped == {"not IP": 1}


def skipped(path: Path, link_type: int, *frames: bytes) -> dict[str, int]:
    path.write_bytes(pcap([(n, 0, frame) for n, frame in enumerate(frames)], link_type))
    schedule = datagrams(path)
    assert list(schedule) == []
    return schedule.skipped


@pytest.mark.parametrize(
    ("link_type", "frame", "why"),
    [
        (147, datagram(), "link type 147"),
        (101, b"", "not IP"),
        (101, b"\x20" + bytes(40), "not IP"),
        (1, ETHERNET + b"\x08\x06" + bytes(28), "not IP"),  # ARP
        (1, ETHERNET + b"\x81\0" * 20, "not IP"),
        (113, bytes(14) + b"\x08\x06", "not IP"),
        (276, b"\x08\x06" + bytes(20), "not IP"),
        (0, b"\7\0\0\0" + datagram(), "not IP"),
        (101, ip(*V4, TCP, tcp(*V4, 1, 2, sequence=0)), "not UDP"),
        (101, ip(*V6, 99, b""), "not UDP"),
        (101, datagram()[:-1], "truncated"),
        (101, datagram(b"", V6)[:43], "truncated"),
        (101, ip(*V4, UDP, bytes(7)), "malformed"),
        (101, ip(*V4, UDP, bytes(8)), "malformed"),
        (101, b"\x45" + bytes(10), "malformed"),
        (
            101,
            ipv6(*V6, FRAGMENT, ipv6_fragment(60, DATA[:8], identification=1, more_fragments=True)),
            "not UDP",
        ),
        (101, fragments(datagram(DATA), 1500)[0], "incomplete"),
        (101, fragments(datagram(DATA), 1500)[1][:-1], "truncated"),
    ],
)
def test_what_is_skipped_is_counted(path: Path, link_type: int, frame: bytes, why: str) -> None:
    assert skipped(path, link_type, frame) == {why: 1}


def test_each_reason_has_its_count(path: Path) -> None:
    pieces = fragments(datagram(DATA), 1500)
    others = [ip(*V4, 99, b""), b"", ip(*V6, 99, b""), *pieces[:2]]
    assert skipped(path, 101, *others) == {"not UDP": 2, "not IP": 1, "incomplete": 1}


@pytest.mark.parametrize("ends", [V4, V6], ids=["IPv4", "IPv6"])
def test_fragments_are_put_together(path: Path, ends: tuple[str, str]) -> None:
    """The datagram has the time of the piece that completes it."""
    pieces = fragments(datagram(DATA, ends), 1500, identification=7)
    assert len(pieces) == 3
    order = [pieces[2], pieces[0], datagram(b"between", ends), pieces[1]]
    path.write_bytes(pcap([(n, 0, data) for n, data in enumerate(order)], 101))
    schedule = datagrams(path)
    assert [(one.time_ns, one.payload) for one in schedule] == [(0, b"between"), (10**9, DATA)]
    assert schedule.skipped == {}


def test_fragments_of_what_is_no_datagram(path: Path) -> None:
    pieces = fragments(ip(*V4, UDP, bytes(2000)), 1500)  # it says that its length is 0
    assert skipped(path, 101, *pieces) == {"malformed": 1}


def test_datagrams_are_chosen(path: Path) -> None:
    frames = [
        datagram(b"1", ports=(1, 5006)),
        datagram(b"2", ports=(1, 5007)),
        datagram(b"3", V6, ports=(1, 5006)),
        *fragments(datagram(DATA, ports=(1, 5007)), 1500),
    ]
    path.write_bytes(pcap([(n, 0, data) for n, data in enumerate(frames)], 101))
    chosen = datagrams(path, port=5006)
    assert [(one.time_ns, one.payload) for one in chosen] == [(0, b"1"), (2 * 10**9, b"3")]
    assert chosen.skipped == {"other port": 2}
    chosen = datagrams(path, port=5007, source="10.0.0.1")
    assert [(one.time_ns, len(one.payload)) for one in chosen] == [(0, 1), (4 * 10**9, 4000)]
    assert chosen.skipped == {"other port": 1, "other source": 1}
    chosen = datagrams(path, source="FD00:0::1")
    assert [one.payload for one in chosen] == [b"3"]
    assert chosen.skipped == {"other source": 5}
    assert [one.payload for one in chosen] == [b"3"]  # once more, and counted anew
    assert chosen.skipped == {"other source": 5}


def test_an_interface_is_chosen_by_number_or_name(path: Path) -> None:
    with open(path, "wb") as file, PcapngWriter(file) as capture:
        for name in ("server eth0", "phone eth0"):
            capture.interface(name)
        capture.packet(0, 5, datagram(b"out"))
        capture.packet(1, 9, datagram(b"in"))
    for wanted, payload in ((0, b"out"), (1, b"in"), ("server eth0", b"out"), ("phone eth0", b"in")):
        chosen = datagrams(path, interface=wanted)
        assert list(chosen) == [Datagram(0, payload, ("10.0.0.1", 5004), ("10.0.0.2", 5006))]
        assert chosen.skipped == {"other interface": 1}


def test_pieces_of_different_interfaces_do_not_mix(path: Path) -> None:
    """Otherwise the copies of a packet on its way would complete each other."""
    pieces = fragments(datagram(DATA[:2000]), 1500)
    content = section() + interface() + interface()
    for number, piece in ((0, pieces[0]), (1, pieces[0]), (1, pieces[1]), (0, pieces[1])):
        content += packet(number, 0, piece)
    path.write_bytes(content)
    assert [one.payload for one in datagrams(path)] == [DATA[:2000]] * 2


def test_what_was_dropped_is_not_sent_again(path: Path) -> None:
    with open(path, "wb") as file, PcapngWriter(file) as capture:
        eth0, packets = capture.interface("eth0"), Sorted(capture)
        packets.add_drop(eth0, 5, datagram(b"dropped"), "queue full")
        packets.add(eth0, 9, datagram(b"sent"), comment="late, but sent")
        packets.flush()
    schedule = datagrams(path)
    assert [(one.time_ns, one.payload) for one in schedule] == [(0, b"sent")]
    assert schedule.skipped == {"dropped": 1}


def test_time_never_runs_backwards(path: Path) -> None:
    path.write_bytes(pcap([(second, 0, datagram()) for second in (5, 7, 6, 4, 8)], 101))
    assert [one.time_ns // 10**9 for one in datagrams(path)] == [0, 2, 2, 2, 3]


def test_a_capture_of_every_kind(path: Path) -> None:
    write_every_kind(path)
    schedule = datagrams(path)
    found = list(schedule)
    assert [one.payload for one in found] == [b"hello", b"", b"odd", DATA[:3001]] * 2
    assert schedule.skipped == {"truncated": 2, "not UDP": 2 * 18 + 1, "dropped": 1}


def test_a_damaged_file(path: Path) -> None:
    content = pcap([(1, 0, datagram()), (2, 0, datagram())], 101)
    path.write_bytes(content[:-1])
    found = iter(datagrams(path))
    assert next(found).payload == b"hello"
    with pytest.raises(UsageError, match="at byte 89: the file ends in a packet"):
        next(found)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": 65536}, "port=65536: give the port"),
        ({"port": -1}, "port=-1"),
        ({"source": "server"}, "source='server': give the address"),
    ],
)
def test_what_cannot_be_asked_for(path: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        datagrams(path, **options)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(LINKS)),
    st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 60),
            st.binary(max_size=60),
            st.sampled_from([datagram(), datagram(b"", V6), *fragments(datagram(DATA), 1500)]),
        ),
        max_size=5,
    ),
)
def test_no_packets_raise_anything(
    path: Path, link: str, frames: list[tuple[bool, int, bytes, bytes]]
) -> None:
    """Good ones, the beginnings of good ones followed by garbage, and garbage."""
    link_type, four, six = LINKS[link]
    packets = []
    for is_v6, cut, garbage, good in frames:
        frame = (six if is_v6 else four) + good
        packets.append((cut, 0, frame[:cut] + garbage if garbage else frame))
    path.write_bytes(pcap(packets, link_type))
    schedule = datagrams(path)
    found = list(schedule)
    pieces = len(packets) - len(found) - sum(n for why, n in schedule.skipped.items() if why != "incomplete")
    assert pieces >= 0  # frames that were only fragments; what they belong to is found, or counted
    assert not pieces or "incomplete" in schedule.skipped or any(len(one.payload) == 4000 for one in found)
