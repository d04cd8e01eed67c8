"""Capture files: what is written, what is read, and what is refused."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.captures import Captured, PcapngWriter, Sorted, read_pcapng
from kamaelia.testbed.captures.pcapng import EPOCH_NS

from .specimens import block, interface, option, packet, pcap, section, write_every_kind

pytestmark = [pytest.mark.one_core, pytest.mark.once]

on_disk = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(path: Path, content: bytes) -> list[Captured]:
    path.write_bytes(content)
    return list(read_pcapng(path))


def until_the_trouble(path: Path, content: bytes) -> tuple[list[Captured], str]:
    """Read a damaged file: what comes out of it, and what is said then."""
    path.write_bytes(content)
    found = []
    with pytest.raises(UsageError) as trouble:
        for captured in read_pcapng(path):
            found.append(captured)
    assert str(trouble.value).startswith(f"{path}, at byte ")
    return found, str(trouble.value).removeprefix(f"{path}, at byte ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.pcapng"


# -- writing ----------------------------------------------------------------------------------------


def test_every_byte_of_a_small_file() -> None:
    file = io.BytesIO()
    with PcapngWriter(file, snaplen=128, epoch_ns=1 << 33) as capture:
        capture.names({"10.0.0.1": "ab", "fd00::1": "abc"})
        assert capture.interface("eth0", "up") == 0
        capture.packet(0, 5, b"12345", inbound=True)
        capture.packet(0, 6, b"1234", original_length=99)
        capture.drop(0, 6, b"", "x", inbound=False)
    expected = [
        "0a0d0d0a 2c000000 4d3c2b1a 0100 0000 ffffffffffffffff 0400 0800 6b616d61656c6961 00000000 2c000000",
        "01000000 30000000 6500 0000 80000000 0200 0400 65746830 0300 0200 75700000 0900 0100 09000000"
        "00000000 30000000",
        "04000000 34000000"
        "0100 0700 0a000001 616200 00"
        "0200 1400 fd000000000000000000000000000001 61626300"
        "00000000 34000000",
        "06000000 34000000 00000000 02000000 05000000 05000000 05000000 3132333435 000000"
        "0200 0400 01000000 00000000 34000000",
        "06000000 24000000 00000000 02000000 06000000 04000000 63000000 31323334 24000000",
        "06000000 3c000000 00000000 02000000 06000000 00000000 00000000"
        "0200 0400 02000000 0100 0a00 64726f707065643a2078 0000 00000000 3c000000",
        "05000000 34000000 00000000 02000000 06000000"
        "0400 0800 0300000000000000 0500 0800 0100000000000000 00000000 34000000",
    ]
    assert file.getvalue().hex() == "".join(expected).replace(" ", "")


def test_virtual_time_begins_in_2000(path: Path) -> None:
    assert EPOCH_NS == 946_684_800 * 10**9
    with open(path, "wb") as file, PcapngWriter(file) as capture:
        capture.packet(capture.interface("eth0"), 0, b"E")
    assert [captured.time_ns for captured in read_pcapng(path)] == [EPOCH_NS]


def test_what_was_written_is_read(path: Path) -> None:
    written = write_every_kind(path)
    found = list(read_pcapng(path))
    assert len(found) == len(written) > 50
    for captured, one in zip(found, written, strict=True):
        assert captured == Captured(
            EPOCH_NS + one.time_ns,
            one.interface,
            one.data[:2000],
            len(one.data),
            101,
            ("server eth0", "phone-1 eth0")[one.interface],
            one.inbound,
            one.comment,
        )


def test_the_same_packets_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    write_every_kind(first)
    write_every_kind(second)
    assert first.read_bytes() == second.read_bytes()


@on_disk
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 2**40),
            st.binary(max_size=300),
            st.none() | st.integers(300, 70000),
            st.sampled_from([None, True, False]),
            st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        ),
        max_size=20,
    ),
    st.integers(1, 400),
)
def test_round_trip(path: Path, packets: list[tuple[Any, ...]], snaplen: int) -> None:
    packets.sort(key=lambda one: one[1])
    with open(path, "wb") as file, PcapngWriter(file, snaplen=snaplen) as capture:
        names = [
            "one",
            "two",
            "",
        ]
        for name in names:
            capture.interface(name)
        for number, time, data, original_length, inbound, comment in packets:
            capture.packet(
                number, time, data, original_length=original_length, inbound=inbound, comment=comment
            )
    assert list(read_pcapng(path)) == [
        Captured(
            EPOCH_NS + time,
            number,
            data[:snaplen],
            len(data) if original_length is None else original_length,
            101,
            names[number],
            inbound,
            comment,
        )
        for number, time, data, original_length, inbound, comment in packets
    ]


def test_names_of_a_hundred_thousand_hosts_are_in_blocks_of_moderate_size() -> None:
    file = io.BytesIO()
    capture = PcapngWriter(file)
    capture.interface("eth0")
    start = file.tell()
    capture.names({f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}": f"phone-{n}" for n in range(100_000)})
    data, blocks = file.getvalue()[start:], 0
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert kind == 4 and length < 1 << 20
        data, blocks = data[length:], blocks + 1
    assert blocks == 10


def test_names_given_before_the_first_interface_come_after_it() -> None:
    """Otherwise editcap does not take the file."""
    early, late, never = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with PcapngWriter(early) as capture:
        capture.names({"10.0.0.1": "server"})
        capture.interface("eth0")
    with PcapngWriter(late) as capture:
        capture.interface("eth0")
        capture.names({"10.0.0.1": "server"})
    with PcapngWriter(never) as capture:
        capture.names({"10.0.0.1": "server"})
    assert early.getvalue() == late.getvalue()
    assert b"server" in never.getvalue()


def writer() -> PcapngWriter:
    capture = PcapngWriter(io.BytesIO())
    capture.interface("eth0")
    capture.packet(0, 10, b"E")
    return capture


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda capture: PcapngWriter(io.BytesIO(), snaplen=0), "snaplen=0"),
        (lambda capture: PcapngWriter(io.BytesIO(), snaplen=262145), "1 to 262144"),
        (
            lambda capture: capture.packet(0, 9, b""),
            "time_ns=9: the packet before has 10, and time does not run",
        ),
        (
            lambda capture: capture.packet(1, 10, b""),
            "interface=1: give a number that interface() has returned",
        ),
        (lambda capture: capture.packet(-1, 10, b""), "interface=-1"),
        (lambda capture: capture.packet(0, 1 << 64, b""), "time_ns=18446744073709551616: no time stamp"),
        (
            lambda capture: capture.packet(0, 10, b"abc", original_length=2),
            "original_length=2: there are 3 bytes",
        ),
        (lambda capture: capture.packet(0, 10, b"abc", original_length=1 << 32), "give at most 4294967295"),
        (
            lambda capture: capture.packet(0, 10, b"", comment="x" * 65536),
            "65536 bytes of text; give at most 65535",
        ),
        (lambda capture: capture.interface("x" * 65536), "65536 bytes of text"),
        (lambda capture: capture.names({"server": "x"}), "'server' does not appear to be"),
        (lambda capture: capture.names({"10.0.0.1": ""}), "'' is no name for 10.0.0.1"),
        (lambda capture: capture.names({"10.0.0.1": "a\0b"}), "is no name"),
    ],
)
def test_what_cannot_be_written_is_refused(call: Callable[[PcapngWriter], object], words: str) -> None:
    capture = writer()
    with pytest.raises(UsageError) as refusal:
        call(capture)
    assert words in str(refusal.value)


def test_a_refused_packet_leaves_no_trace() -> None:
    refused, plain = io.BytesIO(), io.BytesIO()
    for file in (refused, plain):
        with PcapngWriter(file) as capture:
            capture.interface("eth0")
            capture.packet(0, 10, b"E")
            if file is refused:
                for number, time, length in ((1, 20, 1), (0, 9, 1), (0, 1 << 64, 1), (0, 20, 1 << 32)):
                    with pytest.raises(UsageError):
                        capture.packet(number, time, b"E", original_length=length)
                with pytest.raises(UsageError):
                    capture.drop(1, 20, b"E", "nowhere")
            capture.packet(0, 10, b"E")
    assert refused.getvalue() == plain.getvalue()


def test_a_closed_capture_refuses_more_and_leaves_the_file_open() -> None:
    file = io.BytesIO()
    capture = PcapngWriter(file)
    capture.interface("eth0")
    capture.close()
    size = file.tell()
    capture.close()
    assert file.tell() == size and not file.closed
    for call in (
        lambda: capture.packet(0, 1, b""),
        lambda: capture.interface("lo"),
        lambda: capture.names({"::": "x"}),
    ):
        with pytest.raises(UsageError, match="this capture is closed"):
            call()


# -- in any order -----------------------------------------------------------------------------------


def merged(order: list[int], flushes: dict[int, int], times: list[int]) -> bytes:
    """Write packets in an order, and flush until a time after some of them."""
    file = io.BytesIO()
    with PcapngWriter(file) as capture:
        capture.interface("eth0")
        packets = Sorted(capture)
        for step, number in enumerate(order):
            packets.add(0, times[number], b"%d" % number)
            if step in flushes:
                packets.flush_until(flushes[step])
        packets.flush()
        assert len(packets) == 0
    return file.getvalue()


def test_packets_in_any_order_come_out_in_the_order_of_time(path: Path) -> None:
    content = merged([3, 1, 0, 2], {}, [5, 7, 7, 9])
    assert [captured.data for captured in read(path, content)] == [b"0", b"1", b"2", b"3"]


def test_those_of_one_time_come_out_in_the_order_given(path: Path) -> None:
    content = merged([2, 0, 3, 1], {}, [4, 4, 4, 4])
    assert [captured.data for captured in read(path, content)] == [b"2", b"0", b"3", b"1"]


def test_flushing_more_often_changes_nothing() -> None:
    times = [5, 5, 6, 6, 8, 8]
    expected = merged([1, 0, 3, 2, 5, 4], {}, times)
    assert merged([1, 0, 3, 2, 5, 4], {0: 4, 1: 5, 3: 6, 5: 7}, times) == expected
    assert merged([1, 0, 3, 2, 5, 4], {0: 5, 2: 6, 4: 8}, times) == expected  # with more of that time to come


def test_flushing_writes_what_is_due_and_no_more() -> None:
    file = io.BytesIO()
    capture = PcapngWriter(file, snaplen=3)
    capture.interface("eth0")
    packets = Sorted(capture)
    packets.add_drop(0, 8, b"later", "queue full", inbound=True)
    packets.add(0, 5, b"first", inbound=False, comment="!")
    assert len(packets) == 2
    packets.flush_until(7)
    assert len(packets) == 1 and b"fir" in file.getvalue() and b"lat" not in file.getvalue()
    with pytest.raises(UsageError, match="time_ns=6: everything up to 7 is written already"):
        packets.add(0, 6, b"")
    packets.flush_until(3)  # was done already
    with pytest.raises(UsageError, match="time_ns=6"):
        packets.add(0, 6, b"")
    packets.flush_until(8)
    packets.flush()
    capture.close()

    direct = io.BytesIO()
    with PcapngWriter(direct, snaplen=3) as capture:
        capture.interface("eth0")
        capture.packet(0, 5, b"first", inbound=False, comment="!")
        capture.drop(0, 8, b"later", "queue full", inbound=True)
    assert file.getvalue() == direct.getvalue()


def test_what_is_kept_is_bounded() -> None:
    packets = Sorted(writer(), limit=3)
    for time in (30, 20, 40):
        packets.add(0, time, b"")
    with pytest.raises(UsageError, match="limit=3: so many packets are kept already"):
        packets.add(0, 50, b"")
    packets.flush_until(20)
    packets.add(0, 50, b"")
    with pytest.raises(UsageError, match="limit=0"):
        Sorted(writer(), limit=0)


# -- reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize(
    ("resolution", "offset", "ticks", "time_ns"),
    [
        (None, None, 1_500_000, 1_500_000_000),  # microseconds unless somebody says otherwise
        (9, None, 946_684_800_000_000_001, EPOCH_NS + 1),
        (6, None, 946_684_800_000_001, EPOCH_NS + 1000),
        (3, None, 1500, 1_500_000_000),
        (0, None, 946_684_800, EPOCH_NS),
        (12, None, 1_999_999, 1999),  # picoseconds, cut off
        (0x80 | 10, None, 1536, 1_500_000_000),  # 2**-10 seconds
        (0x80 | 32, None, 1 << 31, 500_000_000),  # as NTP counts
        (0x80, None, 7, 7_000_000_000),
        (9, 946_684_800, 5, EPOCH_NS + 5),
        (9, -1, 5_000_000_000, 4_000_000_000),
        (127, None, (1 << 64) - 1, 0),
        (0xFF, None, (1 << 64) - 1, 0),
    ],
)
def test_times_of_any_resolution(
    path: Path, order: str, resolution: int | None, offset: int | None, ticks: int, time_ns: int
) -> None:
    options = option(2, b"eth0", order)
    if resolution is not None:
        options += option(9, bytes([resolution]), order)
    if offset is not None:
        options += option(14, struct.pack(order + "q", offset), order)
    options += bytes(4)
    content = section(order) + interface(1, options, order) + packet(0, ticks, b"abc", b"", order)
    assert read(path, content) == [Captured(time_ns, 0, b"abc", 3, 1, "eth0", None, None)]


def test_options_of_a_packet(path: Path) -> None:
    cases: list[tuple[bytes, bool | None, str | None]] = [
        (b"", None, None),
        (bytes(4), None, None),
        (option(2, b"\1\0\0\0"), True, None),
        (option(2, b"\2\0\0\0"), False, None),
        (option(2, b"\3\0\0\0"), None, None),
        (option(2, b"\5\0\0\xff"), True, None),  # other bits say other things
        (option(2, b"\1"), None, None),
        (option(1, b"one") + option(4, bytes(8)) + option(1, b"two") + option(0, b""), None, "one\ntwo"),
        (option(1, b"\xff"), None, "\N{REPLACEMENT CHARACTER}"),
        (option(1, b"one") + bytes(4) + option(1, b"two"), None, "one"),  # after the end of options
        (option(1, b"") + option(2988, b"custom"), None, ""),
    ]
    content = section() + interface()
    for options, _, _ in cases:
        content += packet(0, 0, b"12345", options)
    assert [(one.inbound, one.comment) for one in read(path, content)] == [case[1:] for case in cases]


def test_what_there_is_no_use_for_is_skipped(path: Path) -> None:
    content = section() + interface()
    for kind, body in (
        (3, struct.pack("<I", 4) + b"abcd"),  # a simple packet: it has no time
        (2, bytes(20)),  # a packet of the first drafts
        (4, bytes(4)),
        (5, bytes(12)),
        (10, b"secrets."),
        (0xBAD, b"custom.."),
        (0x40000BAD, b""),
    ):
        content += block(kind, body) + packet(0, kind, b"E")
    assert [captured.time_ns for captured in read(path, content)] == [
        kind * 1000 for kind in (3, 2, 4, 5, 10, 0xBAD, 0x40000BAD)
    ]


def test_each_section_has_its_byte_order_and_its_interfaces(path: Path) -> None:
    content = b""
    for order, link_type in (("<", 101), (">", 1), ("<", 113)):
        content += section(order) + interface(link_type, b"", order) + packet(0, 5, b"E", b"", order)
    assert [captured.link_type for captured in read(path, content)] == [101, 1, 113]
    assert read(path, section()) == []
    found, said = until_the_trouble(path, content + section() + packet(0, 5, b"E"))
    assert len(found) == 3 and "a packet of interface 0, of which there is no description" in said


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("nanoseconds", [True, False])
def test_the_older_format(path: Path, order: str, nanoseconds: bool) -> None:
    content = pcap([(5, 7, b"abc"), (5, 999_999, b"")], 0xF0000001, order=order, nanoseconds=nanoseconds)
    unit = 1 if nanoseconds else 1000
    assert read(path, content) == [
        Captured(5_000_000_000 + 7 * unit, 0, b"abc", 3, 1, "", None, None),
        Captured(5_000_000_000 + 999_999 * unit, 0, b"", 0, 1, "", None, None),
    ]


ONE = section() + interface() + packet(0, 1, b"E")


@pytest.mark.parametrize(
    ("content", "packets", "where", "words"),
    [
        (b"", 0, 0, "the file ends in the mark of a capture file: 0 of 4 bytes are there"),
        (b"abc", 0, 0, "the mark of a capture file: 3 of 4"),
        (b"GIF89a", 0, 0, "b'GIF8' begins neither pcapng nor pcap"),
        (b"\x1f\x8b\x08\0", 0, 0, "give a capture file, not compressed"),
        (b"\n\r\r\n", 0, 4, "the length of a block: 0 of 4"),
        (b"\n\r\r\n\x1c\0\0\0", 0, 8, "the byte order of a section: 0 of 4"),
        (b"\n\r\r\n\x1c\0\0\0abcd", 0, 8, "b'abcd' is no byte order"),
        (section()[:-1], 0, 12, "the file ends in a block: 15 of 16"),
        (section(version=2), 0, 0, "version 2 of pcapng: only version 1"),
        (b"\n\r\r\n\x0c\0\0\0\x4d\x3c\x2b\x1a\x0c\0\0\0", 0, 0, "a block that says it has 12 bytes"),
        (ONE + b"\6", 1, len(ONE), "the type of a block: 1 of 4"),
        (ONE + b"\6\0\0\0\x24", 1, len(ONE) + 4, "the length of a block: 1 of 4"),
        (ONE + packet(0, 1, b"E")[:-1], 1, len(ONE) + 8, "the file ends in a block: 27 of 28"),
        (ONE + struct.pack("<II", 6, 8) + bytes(8), 1, len(ONE), "says it has 8 bytes"),
        (ONE + struct.pack("<II", 6, 37) + bytes(40), 1, len(ONE), "says it has 37 bytes"),
        (ONE + struct.pack("<II", 6, 1 << 31), 1, len(ONE), "says it has 2147483648 bytes"),
        (ONE + packet(0, 1, b"E")[:-4] + b"\x28\0\0\0", 1, len(ONE), "ends with another length"),
        (ONE + packet(1, 1, b"E"), 1, len(ONE), "interface 1, of which there is no description"),
        (ONE + block(6, bytes(16)), 1, len(ONE), "16 bytes: too few"),
        (
            ONE + block(6, struct.pack("<5I", 0, 0, 0, 5, 5) + bytes(4)),
            1,
            len(ONE),
            "a packet that says it has 5",
        ),
        (ONE + packet(0, 1, b"E", b"\1\0\5\0abcd"), 1, len(ONE), "option 1 says that it has 5 bytes"),
        (ONE + block(1, bytes(4)), 1, len(ONE), "4 bytes: too few"),
        (pcap([], 1)[:23], 0, 4, "the header of a pcap file: 19 of 20"),
        (b"\xd4\xc3\xb2\xa1\3" + bytes(19), 0, 4, "version 3 of pcap: only version 2"),
        (pcap([(1, 2, b"abc")], 1)[:-1], 0, 40, "the file ends in a packet: 2 of 3"),
        (pcap([(1, 2, b"abc"), (1, 3, b"")], 1)[:-1], 1, 43, "the header of a packet: 15 of 16"),
        (pcap([], 1) + struct.pack("<IIII", 0, 0, 1 << 31, 0), 0, 24, "a packet that says it has 2147483648"),
    ],
)
def test_a_damaged_file_gives_what_is_before_the_damage_and_says_where_it_is(
    path: Path, content: bytes, packets: int, where: int, words: str
) -> None:
    found, said = until_the_trouble(path, content)
    assert len(found) == packets
    position, _, text = said.partition(": ")
    assert int(position) == where
    assert words in text


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(read_pcapng(path))


@pytest.mark.parametrize("kind", ["pcapng", "pcap"])
def test_wherever_a_file_is_cut_its_beginning_is_read(path: Path, kind: str) -> None:
    if kind == "pcapng":
        parts = [section(), interface(options=option(2, b"eth0") + bytes(4))]
        parts += [packet(0, n, b"E" * n, option(1, b"!" * n) + bytes(4)) for n in range(4)]
        before = 2
    else:
        parts = [pcap([], 1), *(pcap([(n, n, b"E" * n)], 1)[24:] for n in range(4))]
        before = 1
    ends = [len(b"".join(parts[: n + 1])) for n in range(len(parts))]
    content = b"".join(parts)
    for size in range(len(content)):
        if size in ends:
            assert (
                len(read(path, content[:size])) == ends.index(size) + 1 - before
                if ends.index(size) >= before
                else True
            )
        else:
            found, _ = until_the_trouble(path, content[:size])
            assert len(found) == max(sum(end <= size for end in ends) - before, 0)


@on_disk
@given(
    st.sampled_from(
        [b"", section(), section(">"), ONE, pcap([], 1), pcap([], 1, order=">", nanoseconds=True)]
    ),
    st.binary(max_size=200),
)
def test_garbage_raises_nothing_else(path: Path, start: bytes, garbage: bytes) -> None:
    try:
        read(path, start + garbage)
    except UsageError as error:
        assert str(error).startswith(f"{path}, at byte ")


@on_disk
@given(st.data())
def test_damage_raises_nothing_else(path: Path, data: st.DataObject) -> None:
    """Some bytes of a good file are others."""
    content = bytearray(
        section()
        + interface(options=option(9, b"\x09") + bytes(4))
        + packet(0, 7, b"E" * 20, option(1, b"hi"))
        if data.draw(st.booleans())
        else pcap([(1, 2, b"abc"), (3, 4, b"d" * 20)], 1)
    )
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(path, bytes(content))
    except UsageError as error:
        assert str(error).startswith(f"{path}, at byte ")
