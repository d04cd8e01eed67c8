"""A capture with a packet of every kind, and plain capture files of other formats."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kamaelia.testbed.captures import PcapngWriter
from kamaelia.testbed.captures.checksum import checksum
from kamaelia.testbed.captures.fragments import fragments
from kamaelia.testbed.captures.headers import (
    ACK,
    CWR,
    ECE,
    FIN,
    ICMP,
    ICMPV6,
    IGMP,
    PSH,
    RST,
    SYN,
    TCP,
    UDP,
    UNREACHABLE,
    echo,
    ip,
    tcp,
    time_exceeded,
    too_big,
    udp,
    unreachable,
)

SERVER, PHONE, EDGE = ("10.0.0.1", "fd00::1"), ("10.0.0.2", "fd00::2"), ("10.0.0.9", "fd00::9")
NAMES = {
    **dict.fromkeys(SERVER, "server"),
    **dict.fromkeys(PHONE, "phone-1"),
    **dict.fromkeys(EDGE, "edge"),
    "239.1.2.3": "everybody",
}
SNAPLEN = 2000
DATA = bytes(n * 31 & 255 for n in range(4000))


class Written(NamedTuple):
    """A packet that was written."""

    interface: int
    time_ns: int
    data: bytes
    inbound: bool | None
    comment: str | None


def every_kind(family: int) -> list[bytes]:
    """Return packets of one family, 0 for IPv4 and 1 for IPv6; TCP as connections really go."""
    server, phone, edge = SERVER[family], PHONE[family], EDGE[family]
    there, back = (server, phone), (phone, server)
    icmp = (ICMP, ICMPV6)[family]

    def segment(ends: tuple[str, str], ports: tuple[int, int], data: bytes = b"", **fields: object) -> bytes:
        return ip(*ends, TCP, tcp(*ends, *ports, data, **fields))  # type: ignore[arg-type]

    def from_edge(make: Callable[..., bytes], *arguments: object) -> bytes:
        return ip(edge, server, icmp, make(edge, server, *arguments))

    ours, theirs = (49152, 8080), (8080, 49152)
    asked = ip(*there, UDP, udp(*there, 5004, 5006, DATA[:100]), hops=1)
    packets = [
        ip(*there, UDP, udp(*there, 5004, 5004, b"hello"), dscp=46, ecn=1, flow_label=77, identification=7),
        ip(*there, UDP, udp(*there, 5004, 5004, b"")),
        ip(*there, UDP, udp(*there, 5004, 5004, b"odd"), dont_fragment=True, ecn=3),
        ip(*there, UDP, udp(*there, 5004, 5004, DATA)),  # longer than the snaplen
        *fragments(ip(*there, UDP, udp(*there, 5004, 5004, DATA[:3001])), 1500, identification=9),
        segment(
            there,
            ours,
            sequence=2**32 - 1,
            flags=SYN | ECE | CWR,
            mss=1460,
            window_scale=7,
            sack_permitted=True,
            timestamps=(1, 0),
        ),
        segment(
            back,
            theirs,
            sequence=500,
            acknowledgement=0,
            flags=SYN | ACK | ECE,
            mss=1460,
            window_scale=7,
            sack_permitted=True,
            timestamps=(9, 1),
        ),
        segment(there, ours, sequence=0, acknowledgement=501, timestamps=(2, 9)),
        segment(there, ours, DATA[:999], sequence=0, acknowledgement=501, flags=ACK | PSH, timestamps=(3, 9)),
        segment(back, theirs, sequence=501, acknowledgement=999, timestamps=(10, 3), sack=((1999, 2999),)),
        segment(there, ours, sequence=999, acknowledgement=501, flags=ACK | FIN, timestamps=(4, 10)),
        segment(back, theirs, sequence=501, acknowledgement=1000, flags=ACK | FIN, timestamps=(11, 4)),
        segment(there, ours, sequence=1000, acknowledgement=502, timestamps=(5, 11)),
        segment(there, (49153, 8081), sequence=1, flags=SYN),
        segment(back, (8081, 49153), sequence=0, acknowledgement=2, flags=RST | ACK),
        ip(*there, icmp, echo(*there, 1, 1, DATA[:56])),
        ip(*back, icmp, echo(*back, 1, 1, DATA[:56], reply=True)),
        *(from_edge(unreachable, what, asked) for what in UNREACHABLE),
        from_edge(too_big, 1400, asked),
        from_edge(time_exceeded, asked),
    ]
    if not family:
        report = b"\x16\0" + struct.pack(">H", checksum(b"\x16\0\0\0\xef\1\2\3")) + b"\xef\1\2\3"
        packets.append(ip(server, "239.1.2.3", IGMP, report, hops=1))
    return packets


def write_every_kind(path: Path) -> list[Written]:
    """Write a capture with all of them; return what is in it."""
    written: list[Written] = []
    with open(path, "wb") as file, PcapngWriter(file, snaplen=SNAPLEN) as capture:
        capture.names(NAMES)
        server = capture.interface("server eth0", "to the edge")
        phone = capture.interface("phone-1 eth0")
        time = 0
        for family in (0, 1):
            for number, data in enumerate(every_kind(family)):
                time += (0, 1, 999, 1_000_000_007)[number % 4]
                inbound = (None, True, False)[number % 3]
                comment = "with a comment\nof two lines" if number == 2 else None
                capture.packet(server, time, data, inbound=inbound, comment=comment)
                written.append(Written(server, time, data, inbound, comment))
        data = every_kind(0)[0]
        capture.drop(phone, time, data, "queue full", inbound=True)
        written.append(Written(phone, time, data, True, "dropped: queue full"))
    return written


def pcap(
    packets: list[tuple[int, int, bytes]], link_type: int, *, order: str = "<", nanoseconds: bool = False
) -> bytes:
    """Return a file of the older format: packets are seconds, fraction and bytes."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    file = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for seconds, fraction, data in packets:
        file += struct.pack(order + "IIII", seconds, fraction, len(data), len(data)) + data
    return file


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Return a block of pcapng."""
    body += bytes(-len(body) & 3)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """Return an option of pcapng."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) & 3)


def section(order: str = "<", version: int = 1) -> bytes:
    """Return a section header."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, version, 0, -1), order)


def interface(link_type: int = 101, options: bytes = b"", order: str = "<") -> bytes:
    """Return the description of an interface."""
    return block(1, struct.pack(order + "HHI", link_type, 0, 0) + options, order)


def packet(number: int, ticks: int, data: bytes, options: bytes = b"", order: str = "<") -> bytes:
    """Return an enhanced packet block."""
    head = struct.pack(order + "5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data + bytes(-len(data) & 3) + options, order)
