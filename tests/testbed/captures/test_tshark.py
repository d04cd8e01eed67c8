"""Wireshark's programs judge our captures, and write others for us to read."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from kamaelia.testbed.captures import Captured, PcapngWriter, datagrams, read_pcapng
from kamaelia.testbed.captures.headers import TCP, UDP, ip, tcp, udp
from kamaelia.testbed.captures.pcapng import EPOCH_NS

from .specimens import (
    DATA,
    EDGE,
    NAMES,
    SERVER,
    SNAPLEN,
    Written,
    interface,
    option,
    packet,
    pcap,
    section,
    write_every_kind,
)
from .test_replay import LINKS, datagram

pytestmark = [pytest.mark.one_core, pytest.mark.once]
tshark = pytest.mark.needs("program:tshark")

CHECK = [
    f"-o{option}:{value}"
    for option, value in {
        "ip.check_checksum": "TRUE",
        "udp.check_checksum": "TRUE",
        "tcp.check_checksum": "TRUE",
        "nameres.network_name": "TRUE",
        "nameres.use_external_name_resolver": "FALSE",
    }.items()
]
GOOD, BAD, UNVERIFIED = "1", "0", "2"
ERROR = 0x800000  # severity of an expert item; ICMP, ICMPv6 and IGMP are always checked
CHECKSUMS = [f"{protocol}.checksum.status" for protocol in ("ip", "udp", "tcp", "icmp", "icmpv6", "igmp")]
Row = dict[str, str]


def run(*command: str | Path) -> str:
    """Run a program of Wireshark's, with nobody's preferences."""
    environment = {**os.environ, "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fields(path: Path, *names: str) -> list[Row]:
    """Return fields of each packet of a capture; commas are between the values of one field."""
    options = [argument for name in names for argument in ("-e", name)]
    text = run("tshark", "-r", path, "-2", *CHECK, "-Tfields", "-Eseparator=\x1f", "-Eoccurrence=a", *options)
    return [dict(zip(names, line.split("\x1f"), strict=True)) for line in text.splitlines()]


def complaints(path: Path) -> list[Row]:
    """Return what is wrong with the packets of a capture."""
    rows = fields(
        path, "frame.number", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message", *CHECKSUMS
    )
    return [
        row
        for row in rows
        if row["_ws.malformed"]
        or any(int(severity) >= ERROR for severity in row["_ws.expert.severity"].split(",") if severity)
        or any(BAD in row[status].split(",") for status in CHECKSUMS)
    ]


# -- judged by others -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Written]]:
    path = tmp_path_factory.mktemp("judged") / "every-kind.pcapng"
    return path, write_every_kind(path)


@tshark
def test_nothing_is_wrong_with_any_kind_of_packet(capture: tuple[Path, list[Written]]) -> None:
    path, written = capture
    assert complaints(path) == []
    statuses = fields(path, *CHECKSUMS)
    assert len(statuses) == len(written)
    for row, one in zip(statuses, written, strict=True):
        found = [value for name in CHECKSUMS for value in row[name].split(",") if value]
        if one.data[0] >> 4 == 4:
            assert row["ip.checksum.status"].split(",")[0] == GOOD
        if len(one.data) <= SNAPLEN and UNVERIFIED in found:  # ICMP quotes no more than the beginning
            assert found.count(UNVERIFIED) == 1 and row["icmp.checksum.status"] == GOOD
    checked = {name for row in statuses for name in CHECKSUMS if GOOD in row[name].split(",")}
    assert checked == set(CHECKSUMS)


@tshark
def test_the_judge_is_awake(tmp_path: Path) -> None:
    """One wrong bit in each kind of packet, and it complains about every one."""
    path = tmp_path / "wrong.pcapng"
    kinds: list[bytes] = []
    with open(path, "wb") as file, PcapngWriter(file) as capture:
        eth0 = capture.interface("eth0")
        ends = "10.0.0.1", "10.0.0.2"
        kinds.append(datagram(b"hello"))
        kinds.append(datagram(b"hello", ("fd00::1", "fd00::2")))
        kinds.append(ip(*ends, TCP, tcp(*ends, 1, 2, b"hello", sequence=5)))
        for number, data in enumerate(kinds):
            capture.packet(eth0, number, data[:-1] + bytes([data[-1] ^ 1]))
        capture.packet(eth0, 3, kinds[0][:8] + b"\x01" + kinds[0][9:])  # another TTL: the header's checksum
        capture.packet(eth0, 4, ip(*ends, UDP, kinds[0][20:24] + b"\xff\xff" + kinds[0][26:]))  # too long
    assert [row["frame.number"] for row in complaints(path)] == ["1", "2", "3", "4", "5"]


@tshark
def test_times_lengths_directions_and_comments(capture: tuple[Path, list[Written]]) -> None:
    path, written = capture
    names = (
        "frame.time_epoch",
        "frame.len",
        "frame.cap_len",
        "frame.interface_name",
        "frame.packet_flags_direction",
    )
    rows = fields(path, *names, "frame.comment")
    assert [tuple(row.values()) for row in rows] == [
        (
            f"{(EPOCH_NS + one.time_ns) // 10**9}.{(EPOCH_NS + one.time_ns) % 10**9:09}",
            str(len(one.data)),
            str(min(len(one.data), SNAPLEN)),
            ("server eth0", "phone-1 eth0")[one.interface],
            {None: "", True: "0x00000001", False: "0x00000002"}[one.inbound],
            (one.comment or "").replace("\n", "\\n"),
        )
        for one in written
    ]
    times = [row["frame.time_epoch"] for row in rows]
    assert times == sorted(times) and times[0] == "946684800.000000000"
    assert sum(row["frame.comment"] == "dropped: queue full" for row in rows) == 1


@tshark
def test_names_are_shown(capture: tuple[Path, list[Written]]) -> None:
    path, _ = capture
    rows = fields(path, "ip.src", "ip.src_host", "ip.dst", "ip.dst_host", "ipv6.src", "ipv6.src_host")
    seen: set[tuple[str, str]] = set()
    for row in rows:
        for address, name in (
            ("ip.src", "ip.src_host"),
            ("ip.dst", "ip.dst_host"),
            ("ipv6.src", "ipv6.src_host"),
        ):
            pairs = zip(row[address].split(","), row[name].split(","), strict=True)
            seen.update(pair for pair in pairs if pair[0])
    assert seen == set(NAMES.items())


@tshark
def test_what_the_packets_say(capture: tuple[Path, list[Written]]) -> None:
    """As another reads them: fragments come together, connections go through, ICMP says why."""
    path, _ = capture
    rows = fields(
        path,
        "ip.src",
        "ipv6.src",
        "ip.dsfield.dscp",
        "ip.dsfield.ecn",
        "ipv6.tclass.dscp",
        "ipv6.tclass.ecn",
        "ipv6.flow",
        "udp.length",
        "tcp.flags.str",
        "tcp.options.mss_val",
        "tcp.options.wscale.shift",
        "tcp.options.timestamp.tsval",
        "tcp.options.sack_le",
        "icmp.type",
        "icmp.code",
        "icmp.mtu",
        "icmpv6.type",
        "icmpv6.code",
        "icmpv6.mtu",
        "igmp.type",
    )

    def column(*names: str) -> list[tuple[str, ...]]:
        found = (tuple(row[name].split(",")[0] for name in names) for row in rows)
        return [values for values in found if any(values)]

    assert column("ip.dsfield.dscp", "ip.dsfield.ecn")[:3] == [("46", "1"), ("0", "0"), ("0", "3")]
    assert column("ipv6.tclass.dscp", "ipv6.tclass.ecn", "ipv6.flow")[0] == ("46", "1", "0x00004d")
    lengths = [row["udp.length"] for row in rows if row["udp.length"] and not row["icmp.type"]]
    assert (lengths.count("3009"), lengths.count("13")) == (2, 3)  # one of the latter was dropped
    flags = [value.replace("\N{MIDDLE DOT}", "") for (value,) in column("tcp.flags.str")]
    assert flags == ["CES", "EAS", "A", "AP", "A", "AF", "AF", "A", "S", "AR"] * 2
    assert column("tcp.options.mss_val", "tcp.options.wscale.shift") == [("1460", "7")] * 4
    assert (
        column("tcp.options.sack_le")[0] == column("tcp.options.sack_le")[1] == ("2000",)
    )  # from the first sequence number on
    assert [value for (value,) in column("tcp.options.timestamp.tsval")] == [
        "1",
        "9",
        "2",
        "3",
        "10",
        "4",
        "11",
        "5",
    ] * 2
    assert column("icmp.type", "icmp.code", "icmp.mtu") == [
        ("8", "0", ""),
        ("0", "0", ""),
        ("3", "0", ""),
        ("3", "1", ""),
        ("3", "3", ""),
        ("3", "13", ""),
        ("3", "4", "1400"),
        ("11", "0", ""),
    ]
    assert column("icmpv6.type", "icmpv6.code", "icmpv6.mtu") == [
        ("128", "0", ""),
        ("129", "0", ""),
        ("1", "0", ""),
        ("1", "3", ""),
        ("1", "4", ""),
        ("1", "1", ""),
        ("2", "0", "1400"),
        ("3", "0", ""),
    ]
    assert column("igmp.type") == [("0x16",)]
    quoting = [row for row in rows if row["icmp.type"] == "11"]
    assert [row["ip.src"] for row in quoting] == [f"{EDGE[0]},{SERVER[0]}"]


@tshark
def test_a_connection_is_one_to_another(capture: tuple[Path, list[Written]]) -> None:
    """Nothing lost, repeated or out of order, from SYN to FIN."""
    path, _ = capture
    rows = fields(path, "tcp.stream", "tcp.analysis.flags", "tcp.completeness", "tcp.analysis.acks_frame")
    streams = [row for row in rows if row["tcp.stream"]]
    assert {row["tcp.stream"] for row in streams} == {"0", "1", "2", "3"}
    assert [row for row in streams if row["tcp.analysis.flags"]] == []
    assert {row["tcp.completeness"] for row in streams if row["tcp.stream"] in "02"} == {"31"}  # SYN to FIN
    assert sum(bool(row["tcp.analysis.acks_frame"]) for row in streams) >= 10


@pytest.mark.needs("program:capinfos")
def test_capinfos_counts_the_same(capture: tuple[Path, list[Written]]) -> None:
    path, written = capture
    lines = [line.strip() for line in run("capinfos", "-M", path).splitlines()]
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert said["Number of packets"] == str(len(written))
    assert said["Number of interfaces in file"] == "2"
    assert said["Capture application"] == "kamaelia"
    assert said["Strict time order"] == "True"
    assert said["File timestamp precision"] == "nanoseconds (9)"
    assert said["Number of resolved IPv4 addresses in file"] == "4"
    assert said["Number of resolved IPv6 addresses in file"] == "3"
    assert not {"Capture hardware", "Capture oper-sys"} & set(said)
    assert lines.count("Number of stat entries = 1") == 2
    assert lines.count(f"Number of packets = {len(written) - 1}") == 1
    assert lines.count("Number of packets = 1") == 1
    assert "Description = to the edge" in lines


# -- written by others ------------------------------------------------------------------------------


def to_microseconds(captured: Captured) -> Captured:
    return captured._replace(time_ns=captured.time_ns // 1000 * 1000)


@pytest.mark.needs("program:editcap")
@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "pcapng"])
def test_what_editcap_has_converted(capture: tuple[Path, list[Written]], tmp_path: Path, kind: str) -> None:
    path, _ = capture
    converted = tmp_path / "converted"
    run("editcap", "-F", kind, path, converted)
    expected = list(read_pcapng(path))
    if kind != "pcapng":
        expected = [one._replace(interface=0, name="", inbound=None, comment=None) for one in expected]
    if kind == "pcap":
        expected = [to_microseconds(one) for one in expected]
    assert list(read_pcapng(converted)) == expected
    back = tmp_path / "back.pcapng"
    run("editcap", "-F", "pcapng", "-s", "60", converted, back)
    assert list(read_pcapng(back)) == [one._replace(data=one.data[:60]) for one in expected]


@pytest.mark.needs("program:tshark", "program:mergecap")
def test_what_tshark_and_mergecap_have_written(capture: tuple[Path, list[Written]], tmp_path: Path) -> None:
    path, _ = capture
    expected = list(read_pcapng(path))
    run("tshark", "-r", path, "-w", tmp_path / "udp.pcapng", "-Y", "udp.srcport == 5004 && !icmp && !icmpv6")
    chosen = list(read_pcapng(tmp_path / "udp.pcapng"))
    assert 8 < len(chosen) < len(expected) and all(one in expected for one in chosen)
    assert [one.payload for one in datagrams(tmp_path / "udp.pcapng")][:3] == [b"hello", b"", b"odd"]

    run("mergecap", "-w", tmp_path / "both.pcapng", "-I", "none", path, tmp_path / "udp.pcapng")
    both = list(read_pcapng(tmp_path / "both.pcapng"))
    assert len(both) == len(expected) + len(chosen)
    assert [one.time_ns for one in both] == sorted(one.time_ns for one in both)
    assert sorted(one._replace(interface=0, inbound=None) for one in both) == sorted(
        one._replace(interface=0, inbound=None) for one in expected + chosen
    )


@pytest.mark.needs("program:text2pcap")
@pytest.mark.parametrize(
    ("options", "source", "destination"),
    [
        (["-4", "10.1.1.1,10.2.2.2"], "10.1.1.1", "10.2.2.2"),
        (["-6", "fd01::1,fd02::2"], "fd01::1", "fd02::2"),
    ],
    ids=["IPv4", "IPv6"],
)
@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "pcapng"])
def test_what_text2pcap_has_made(
    tmp_path: Path, kind: str, options: list[str], source: str, destination: str
) -> None:
    """Frames of Ethernet around our bytes."""
    text = "".join(f"{second}.5\n0000 68 65 6c 6c 6f 3{second}\n" for second in range(3))
    (tmp_path / "text").write_text(text)
    made = tmp_path / "made"
    run("text2pcap", "-q", "-F", kind, "-t", "%s.%f", "-u", "5004,5006", *options, tmp_path / "text", made)
    schedule = datagrams(made)
    assert [tuple(one) for one in schedule] == [
        (second * 10**9, b"hello%d" % second, (source, 5004), (destination, 5006)) for second in range(3)
    ]
    assert schedule.skipped == {}


# -- others agree about what we read ----------------------------------------------------------------


def agrees(path: Path) -> list[tuple[str, str, str, str, str]]:
    """Compare the datagrams that we and tshark find in a capture; return them."""
    names = "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "udp.srcport", "udp.dstport", "udp.payload"
    theirs = [
        (
            row["ip.src"] or row["ipv6.src"],
            row["udp.srcport"],
            row["ip.dst"] or row["ipv6.dst"],
            row["udp.dstport"],
            row["udp.payload"],
        )
        for row in fields(path, *names)
        if row["udp.srcport"]
    ]
    ours = [
        (one.source[0], str(one.source[1]), one.destination[0], str(one.destination[1]), one.payload.hex())
        for one in datagrams(path)
    ]
    assert ours == theirs
    return ours


@tshark
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_tshark_finds_the_same_behind_every_link_header(tmp_path: Path, order: str) -> None:
    """One interface of each link type, in a file of either byte order."""
    content, packets = section(order), b""
    v4, v6 = datagram(), datagram(b"odd", ("fd00::1", "fd00::2"))
    links = [(kind, [four + v4, six + v6]) for kind, four, six in LINKS.values() if kind != 228]
    links += [(228, [v4]), (229, [v6])]
    for number, (link_type, frames) in enumerate(links):
        content += interface(link_type, option(9, b"\x09", order) + bytes(4), order)
        for frame in frames:
            packets += packet(number, number, frame, b"", order)
    path = tmp_path / "links.pcapng"
    path.write_bytes(content + packets)
    assert len(agrees(path)) == 2 * len(LINKS)


@tshark
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("nanoseconds", [True, False])
def test_tshark_reads_the_same_times(tmp_path: Path, order: str, nanoseconds: bool) -> None:
    path = tmp_path / "times.pcap"
    packets = [(second, second * 7 + 999, datagram()) for second in range(5)]
    path.write_bytes(pcap(packets, 101, order=order, nanoseconds=nanoseconds))
    expected = [row["frame.time_epoch"] for row in fields(path, "frame.time_epoch")]
    assert [f"{one.time_ns // 10**9}.{one.time_ns % 10**9:09}" for one in read_pcapng(path)] == expected


@tshark
def test_tshark_reads_the_same_resolutions(tmp_path: Path) -> None:
    content = section()
    cases = [(None, 0), (0, 0), (3, 0), (6, 5), (9, -3), (0x80 | 10, 0), (0x80 | 20, 100)]
    for resolution, offset in cases:
        options = option(14, struct.pack("<q", offset)) if offset else b""
        if resolution is not None:
            options += option(9, bytes([resolution]))
        content += interface(101, options + bytes(4))
    for number in range(len(cases)):
        content += packet(number, 946_684_800_123_456 >> (number % 3), datagram())
    path = tmp_path / "resolutions.pcapng"
    path.write_bytes(content)
    theirs = [row["frame.time_epoch"] for row in fields(path, "frame.time_epoch")]
    assert [f"{one.time_ns // 10**9}.{one.time_ns % 10**9:09}" for one in read_pcapng(path)] == theirs


def test_the_longest_packets(tmp_path: Path) -> None:
    """65507 and 65527 bytes of payload."""
    path = tmp_path / "long.pcapng"
    data = (DATA * 17)[:65527]
    with open(path, "wb") as file, PcapngWriter(file) as capture:
        eth0 = capture.interface("eth0")
        for ends, length in ((("10.0.0.1", "10.0.0.2"), 65507), (("fd00::1", "fd00::2"), 65527)):
            capture.packet(eth0, 0, ip(*ends, UDP, udp(*ends, 1, 2, data[:length])))
    assert [len(one.payload) for one in datagrams(path)] == [65507, 65527]
