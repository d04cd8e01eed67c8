"""Capture files in the format pcapng (draft-ietf-opsawg-pcapng): written, and read.

A file is a sequence of *blocks*, each of which says its type and its length, twice. Numbers are written in
the byte order that the first block shows; ours is always little endian, so the same packets give the same
bytes everywhere.

| block | what it says | written |
| --- | --- | --- |
| section header | that a file of this format begins, and who wrote it | first |
| interface description | link type, name, unit of the time stamps | before its packets |
| name resolution | names of addresses | after the first interface (`PcapngWriter.names`) |
| enhanced packet | interface, time, direction, bytes, a comment | in the order of time |
| interface statistics | how many packets there were, and were dropped | last (`PcapngWriter.close`) |

Packets begin with their IP header (link type 101): a simulated link has no frames. Wireshark and its programs
read such files; libpcap's, such as tcpdump 4.99, only those with one interface. Time stamps are
nanoseconds since 1970; virtual time 0 is `EPOCH_NS`, 2000-01-01 00:00 UTC. Nothing in a file tells on which
machine or when it was made.

**A packet that was dropped** is written like the others, on the interface where it happened, with a comment
that begins with "dropped". The format's own count of dropped packets is kept too, but it has no place for
what they were.

**Reading** understands what other programs write: both byte orders, other resolutions of time, several
sections, and the older format pcap with micro- or nanoseconds (draft-ietf-opsawg-pcap). What it has no use
for is skipped, such as simple packet blocks: they have no time. A file that is cut short or damaged raises
`UsageError` with its name and the byte at which the trouble begins, after all packets before it.
"""

from __future__ import annotations

import heapq
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, BinaryIO, NamedTuple

from ...axon import UsageError
from ...axon.clock import EPOCH

EPOCH_NS = int(EPOCH) * 10**9
"""Virtual time 0 in nanoseconds since 1970."""

LINKTYPE_RAW = 101
"""The link type of packets that begin with their IP header."""

LONGEST = 262144
"""Bytes of one packet that other programs take from a file."""

DROPPED = "dropped"
"""How the comment on a packet begins that was dropped."""

_SECTION, _INTERFACE, _NAMES, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 4, 5, 6
_BYTE_ORDER = 0x1A2B3C4D
_NAMES_IN_BLOCK = 10_000  # some programs refuse blocks of more than a few megabytes


class Captured(NamedTuple):
    """A packet out of a capture file."""

    time_ns: int
    """Nanoseconds since 1970."""
    interface: int
    """Number of the interface, from 0, in its section of the file."""
    data: bytes
    """What was kept of it, from the header of the link on."""
    original_length: int
    """Bytes that it had."""
    link_type: int
    """What it begins with: 101 an IP header, 1 Ethernet; the list is kept by tcpdump ("LINKTYPE")."""
    name: str
    """Of the interface, or empty."""
    inbound: bool | None
    """It came in; False if it went out, None if nobody says."""
    comment: str | None
    """Several are joined by line ends."""


# -- writing ----------------------------------------------------------------------------------------


class PcapngWriter:
    """Writes a capture file.

    Arguments:
        file: open for writing bytes; closing it is up to you
        snaplen: bytes that are kept of each packet at most
        epoch_ns: nanoseconds from 1970 to the time 0 of the packets

    Raises `UsageError` when it is given something that cannot be written, such as a packet that is older
    than the one before it (`Sorted` takes packets in any order).

    >>> import io
    >>> file = io.BytesIO()
    >>> with PcapngWriter(file) as capture:
    ...     capture.names({"10.0.0.1": "server"})
    ...     eth0 = capture.interface("server eth0", "to the edge")
    ...     capture.packet(eth0, 1_500_000_000, b"E...", inbound=False)
    ...     capture.drop(eth0, 1_500_000_001, b"E...", "queue full", inbound=False)
    >>> len(file.getvalue())
    312
    """

    __slots__ = ("_counts", "_early_names", "_epoch_ns", "_file", "_last", "_snaplen", "_tails", "_write")

    def __init__(self, file: BinaryIO, *, snaplen: int = LONGEST, epoch_ns: int = EPOCH_NS) -> None:
        if not 1 <= snaplen <= LONGEST:
            raise UsageError(f"snaplen={snaplen!r}: give the bytes to keep of each packet, 1 to {LONGEST}")
        self._file: BinaryIO | None = file
        self._write: Callable[[bytes], object] = file.write
        self._snaplen = snaplen
        self._epoch_ns = epoch_ns
        self._last = 0  # time stamp of the last packet
        self._counts: list[list[int]] = []  # of each interface: packets, and how many of them were dropped
        self._tails: dict[int, bytes] = {}
        self._early_names: list[bytes] = []
        options = _option(4, b"kamaelia") + _END
        self._block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + options)

    def __enter__(self) -> PcapngWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def epoch_ns(self) -> int:
        """Nanoseconds from 1970 to the time 0 of the packets."""
        return self._epoch_ns

    @property
    def snaplen(self) -> int:
        """Bytes that are kept of each packet at most."""
        return self._snaplen

    def names(self, hosts: Mapping[str, str]) -> None:
        """Say what hosts are called, by their addresses; who reads the file shows names instead of addresses.

        Say it before their packets: some programs read a file only once.

        >>> import io
        >>> PcapngWriter(io.BytesIO()).names({"10.0.0.1": "server", "fd00::1": "server"})
        """
        records = []
        for address, name in hosts.items():
            try:
                packed = ip_address(address).packed
            except ValueError as error:
                raise UsageError(
                    f"{error}: give addresses as text, such as '10.0.0.1' or 'fd00::1'"
                ) from None
            text = name.encode("utf-8", "replace")
            if not text or b"\0" in text or len(text) > 255:
                raise UsageError(f"{name!r} is no name for {address}: give 1 to 255 bytes of text")
            records.append(_option(1 if len(packed) == 4 else 2, packed + text + b"\0"))
        for start in range(0, len(records), _NAMES_IN_BLOCK):
            self._early_names.append(b"".join(records[start : start + _NAMES_IN_BLOCK]) + _END)
        if self._counts:
            self._write_names()

    def interface(self, name: str, description: str = "") -> int:
        """Add an interface; return the number that its packets are given with.

        >>> import io
        >>> capture = PcapngWriter(io.BytesIO())
        >>> capture.interface("server eth0"), capture.interface("edge eth0")
        (0, 1)
        """
        options = _option(2, _encode(name))
        if description:
            options += _option(3, _encode(description))
        options += _option(9, b"\x09") + _END
        self._block(_INTERFACE, struct.pack("<HHI", LINKTYPE_RAW, 0, self._snaplen) + options)
        self._counts.append([0, 0])
        self._write_names()
        return len(self._counts) - 1

    def packet(
        self,
        interface: int,
        time_ns: int,
        data: bytes,
        *,
        original_length: int | None = None,
        inbound: bool | None = None,
        comment: str | None = None,
    ) -> None:
        """Write a packet.

        Arguments:
            interface: its number, from `interface`
            time_ns: nanoseconds since the epoch; not before the packet before
            data: the packet, from its IP header on; what is more than the snaplen is left out
            original_length: bytes that it had, where the data is only its beginning
            inbound: it came in here; False if it went out; None says neither
            comment: anything about it
        """
        stamp = time_ns + self._epoch_ns
        if stamp < self._last:
            raise UsageError(
                f"time_ns={time_ns!r}: the packet before has {self._last - self._epoch_ns}, and time does "
                "not run backwards; Sorted takes packets in any order"
            )
        length = len(data)
        if original_length is None:
            original_length = length
        elif original_length < length:
            raise UsageError(
                f"original_length={original_length!r}: there are {length} bytes of it; give at least that"
            )
        if length > self._snaplen:
            length = self._snaplen
            data = data[:length]
        # What follows the data, up to the block's end, is the same for many packets, and is remembered.
        tail = None
        if comment is None:
            key = length << 2 | (0 if inbound is None else 1 if inbound else 2)
            tail = self._tails.get(key)
        if tail is None:
            tail = _tail(length, inbound, comment)
            if comment is None and len(self._tails) < _TAILS:
                self._tails[key] = tail
        try:
            head = _PACKET_HEAD(
                _PACKET,
                28 + length + len(tail),
                interface,
                stamp >> 32,
                stamp & 0xFFFFFFFF,
                length,
                original_length,
            )
            self._counts[interface][0] += 1
        except (IndexError, struct.error):
            raise self._refusal(interface, time_ns, original_length) from None
        self._last = stamp
        self._write(b"".join((head, data, tail)))

    def drop(
        self,
        interface: int,
        time_ns: int,
        data: bytes,
        why: str,
        *,
        original_length: int | None = None,
        inbound: bool | None = None,
    ) -> None:
        """Write a packet that went no further, with the comment ``dropped: why``, and count it.

        See `packet` for the arguments.
        """
        self.packet(
            interface,
            time_ns,
            data,
            original_length=original_length,
            inbound=inbound,
            comment=f"{DROPPED}: {why}",
        )
        self.count_drop(interface)

    def count_drop(self, interface: int) -> None:
        """Count one of the packets of an interface as dropped."""
        self._counts[interface][1] += 1

    def write_blocks(self, blocks: bytes, last: int) -> None:
        """Write blocks of packets that were made elsewhere, the last of them for a time in nanoseconds."""
        self._last = last + self._epoch_ns
        self._write(blocks)

    def count_packets(self, interface: int, number: int) -> None:
        """Count packets of an interface that were written as blocks made elsewhere."""
        self._counts[interface][0] += number

    def close(self) -> None:
        """Write how many packets each interface had, and how many were dropped. The file stays open."""
        if self._file is None:
            return
        self._write_names()
        for number, (packets, dropped) in enumerate(self._counts):
            counts = _option(4, packets.to_bytes(8, "little")) + _option(5, dropped.to_bytes(8, "little"))
            body = struct.pack("<III", number, self._last >> 32, self._last & 0xFFFFFFFF) + counts + _END
            self._block(_STATISTICS, body)
        self._file.flush()
        self._file = None
        self._write = _refuse_to_write

    def _write_names(self) -> None:
        # Not before the first interface: editcap does not take such a file, for want of a link type.
        for names in self._early_names:
            self._block(_NAMES, names)
        self._early_names = []

    def _block(self, kind: int, body: bytes) -> None:
        length = 12 + len(body)
        self._write(struct.pack("<II", kind, length) + body + struct.pack("<I", length))

    def _refusal(self, interface: int, time_ns: int, original_length: int) -> UsageError:
        if not 0 <= interface < len(self._counts):
            return UsageError(f"interface={interface!r}: give a number that interface() has returned")
        if not 0 <= time_ns + self._epoch_ns < 1 << 64:
            return UsageError(f"time_ns={time_ns!r}: no time stamp can hold that")
        return UsageError(f"original_length={original_length!r}: give at most {0xFFFFFFFF}")


def _refuse_to_write(data: bytes) -> object:
    raise UsageError("this capture is closed: write before close()")


class Sorted:
    """Takes packets in any order, and writes them in the order of time; those of one time in the order given.

    Arguments:
        capture: where they are written
        limit: how many are kept at most

    Packets are kept until `flush_until` says that none will come which is older. Two flushes or twenty: the
    file is the same.

    >>> import io
    >>> file = io.BytesIO()
    >>> capture = PcapngWriter(file)
    >>> eth0, merged = capture.interface("eth0"), Sorted(capture)
    >>> merged.add(eth0, 7, b"second")
    >>> merged.add(eth0, 5, b"first")
    >>> merged.flush_until(10)
    >>> file.getvalue().index(b"first") < file.getvalue().index(b"second")
    True
    """

    __slots__ = ("_capture", "_flushed", "_heap", "_limit", "_serial")

    def __init__(self, capture: PcapngWriter, *, limit: int = 100_000) -> None:
        if limit < 1:
            raise UsageError(f"limit={limit!r}: give at least 1")
        self._capture = capture
        self._limit = limit
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...], dict[str, Any]]] = []
        self._serial = 0
        self._flushed: int | None = None

    def __len__(self) -> int:
        """How many packets are kept."""
        return len(self._heap)

    def add(
        self,
        interface: int,
        time_ns: int,
        data: bytes,
        *,
        original_length: int | None = None,
        inbound: bool | None = None,
        comment: str | None = None,
    ) -> None:
        """Take a packet; see `PcapngWriter.packet`.

        Raises `UsageError` for one that is older than what was flushed, and when there are too many.
        """
        options = {"original_length": original_length, "inbound": inbound, "comment": comment}
        self._add(self._capture.packet, interface, time_ns, data, (), options)

    def add_drop(
        self,
        interface: int,
        time_ns: int,
        data: bytes,
        why: str,
        *,
        original_length: int | None = None,
        inbound: bool | None = None,
    ) -> None:
        """Take a packet that went no further; see `PcapngWriter.drop` and `add`."""
        options = {"original_length": original_length, "inbound": inbound}
        self._add(self._capture.drop, interface, time_ns, data, (why,), options)

    def flush_until(self, time_ns: int) -> None:
        """Write what is not younger than this. Nothing that is older may come afterwards."""
        heap = self._heap
        while heap and heap[0][0] <= time_ns:
            _, _, write, arguments, options = heapq.heappop(heap)
            write(*arguments, **options)
        if self._flushed is None or time_ns > self._flushed:
            self._flushed = time_ns

    def flush(self) -> None:
        """Write everything."""
        if self._heap:
            self.flush_until(max(self._heap)[0])

    def _add(
        self,
        write: Callable[..., None],
        interface: int,
        time_ns: int,
        data: bytes,
        more: tuple[str, ...],
        options: dict[str, Any],
    ) -> None:
        if self._flushed is not None and time_ns < self._flushed:
            raise UsageError(
                f"time_ns={time_ns!r}: everything up to {self._flushed} is written already; flush later"
            )
        if len(self._heap) >= self._limit:
            raise UsageError(
                f"limit={self._limit!r}: so many packets are kept already; call flush_until() more often"
            )
        if len(data) > self._capture.snaplen:  # what is not written need not be kept
            if options["original_length"] is None:
                options["original_length"] = len(data)
            data = data[: self._capture.snaplen]
        self._serial += 1
        entry = (time_ns, self._serial, write, (interface, time_ns, data, *more), options)
        heapq.heappush(self._heap, entry)


_PACKET_HEAD = struct.Struct("<7I").pack
_END = bytes(4)
_TAILS = 1 << 14  # ends of packet blocks that are remembered


def _tail(length: int, inbound: bool | None, comment: str | None) -> bytes:
    """Return how the block of a packet of some length ends."""
    options = b""
    if inbound is not None:
        options += _option(2, struct.pack("<I", 1 if inbound else 2))
    if comment is not None:
        options += _option(1, _encode(comment))
    if options:
        options += _END
    padding = bytes(-length & 3)
    return padding + options + struct.pack("<I", 32 + length + len(padding) + len(options))


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) & 3)


def _encode(text: str) -> bytes:
    encoded = text.encode("utf-8", "replace")
    if len(encoded) > 0xFFFF:
        raise UsageError(f"{text[:40]!r}...: {len(encoded)} bytes of text; give at most {0xFFFF}")
    return encoded


# -- reading ----------------------------------------------------------------------------------------


def read_pcapng(path: str | os.PathLike[str]) -> Iterator[Captured]:
    """Return the packets of a capture file, one after another, in the order of the file.

    The file may be pcapng or pcap. It is read as the packets are taken. Raises `UsageError` where it is
    damaged, and `OSError` if it cannot be opened.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "one.pcapng")
    ...     with open(path, "wb") as file, PcapngWriter(file) as capture:
    ...         capture.packet(capture.interface("eth0"), 5, b"E...", comment="hello")
    ...     [packet] = read_pcapng(path)
    >>> packet.time_ns - EPOCH_NS, packet.name, packet.data, packet.comment
    (5, 'eth0', b'E...', 'hello')
    """
    with open(path, "rb") as file:
        source = _Source(file, os.fspath(path))
        start = source.read(4, "the mark of a capture file")
        if start == _SECTION.to_bytes(4, "big"):
            yield from _read_blocks(source)
        elif start in _CLASSIC:
            yield from _read_classic(source, *_CLASSIC[start])
        else:
            raise source.error(
                f"{start!r} begins neither pcapng nor pcap; give a capture file, not compressed", 0
            )


class _Source:
    """A file that knows how far it has been read."""

    __slots__ = ("file", "name", "position")

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file = file
        self.name = name
        self.position = 0

    def read(self, size: int, what: str) -> bytes:
        """Return exactly so many bytes."""
        data = self.file.read(size)
        if len(data) < size:
            raise self.error(f"the file ends in {what}: {len(data)} of {size} bytes are there", self.position)
        self.position += size
        return data

    def at_end(self) -> bool:
        """Say whether everything has been read."""
        return not self.file.peek(1)  # type: ignore[attr-defined]

    def error(self, what: str, position: int) -> UsageError:
        """Return the error for something at a position."""
        return UsageError(f"{self.name}, at byte {position}: {what}")


_LARGEST_BLOCK = 1 << 24  # bytes; more is taken for damage, before memory is asked for


class _Interface(NamedTuple):
    link_type: int
    name: str
    multiplier: int  # of time stamps, to have nanoseconds
    divisor: int
    offset_ns: int


def _read_blocks(source: _Source) -> Iterator[Captured]:
    """Read pcapng; the type of the first block has been read."""
    order = ""
    interfaces: list[_Interface] = []
    kind = section = _SECTION.to_bytes(4, "big")
    while True:
        start = source.position - 4
        length_bytes = source.read(4, "the length of a block")
        if kind == section:
            mark = source.read(4, "the byte order of a section")
            if mark not in _ORDERS:
                raise source.error(f"{mark!r} is no byte order of pcapng", source.position - 4)
            order = _ORDERS[mark]
            interfaces = []
        read = 12 if kind == section else 8
        (length,) = struct.unpack(order + "I", length_bytes)
        if not read + 4 <= length <= _LARGEST_BLOCK or length & 3:
            raise source.error(f"a block that says it has {length} bytes", start)
        body = source.read(length - read, "a block")
        if body[-4:] != length_bytes:
            raise source.error(
                f"a block of {length} bytes that ends with another length: {body[-4:]!r}", start
            )
        block = _Block(source, start, order, body[:-4])
        number = int.from_bytes(kind, "little" if order == "<" else "big")
        if number == _SECTION:
            (major,) = block.unpack("H")
            if major != 1:
                raise source.error(f"version {major} of pcapng: only version 1 is known", start)
        elif number == _INTERFACE:
            interfaces.append(_read_interface(block))
        elif number == _PACKET:
            yield _read_packet(block, interfaces)
        if source.at_end():
            return
        kind = source.read(4, "the type of a block")


class _Block:
    """What is in a block, and where it stands."""

    __slots__ = ("body", "order", "source", "start")

    def __init__(self, source: _Source, start: int, order: str, body: bytes) -> None:
        self.source = source
        self.start = start
        self.order = order
        self.body = body

    def unpack(self, fields: str) -> tuple[int, ...]:
        """Return the fields that the block begins with."""
        if len(self.body) < struct.calcsize(self.order + fields):
            raise self.error(f"{len(self.body)} bytes: too few for what it is")
        return struct.unpack_from(self.order + fields, self.body)

    def options(self, at: int) -> Iterator[tuple[int, bytes]]:
        """Return codes and values of the options that begin at a place."""
        body = self.body
        while at < len(body):
            code, length = struct.unpack_from(self.order + "HH", body, at)
            if not code:
                return
            at += 4
            if at + length > len(body):
                raise self.error(f"option {code} says that it has {length} bytes")
            yield code, body[at : at + length]
            at += length + (-length & 3)

    def error(self, what: str) -> UsageError:
        """Return the error for something in this block."""
        return self.source.error(f"a block with {what}", self.start)


def _read_interface(block: _Block) -> _Interface:
    link_type, _, _ = block.unpack("HHI")
    name, resolution, offset = "", 6, 0
    for code, value in block.options(8):
        if code == 2:
            name = value.decode("utf-8", "replace")
        elif code == 9 and len(value) == 1:
            resolution = value[0]
        elif code == 14 and len(value) == 8:
            (offset,) = struct.unpack(block.order + "q", value)
    if resolution & 0x80:
        multiplier, divisor = 10**9, 1 << (resolution & 0x7F)
    else:
        multiplier, divisor = 10 ** max(9 - resolution, 0), 10 ** max(resolution - 9, 0)
    return _Interface(link_type, name, multiplier, divisor, offset * 10**9)


def _read_packet(block: _Block, interfaces: list[_Interface]) -> Captured:
    number, high, low, length, original_length = block.unpack("5I")
    if number >= len(interfaces):
        raise block.error(f"a packet of interface {number}, of which there is no description")
    if 20 + length > len(block.body):
        raise block.error(f"a packet that says it has {length} bytes")
    interface = interfaces[number]
    inbound: bool | None = None
    comments: list[str] = []
    for code, value in block.options(20 + length + (-length & 3)):
        if code == 1:
            comments.append(value.decode("utf-8", "replace"))
        elif code == 2 and len(value) == 4:
            inbound = {1: True, 2: False}.get(struct.unpack(block.order + "I", value)[0] & 3)
    ticks = high << 32 | low
    return Captured(
        ticks * interface.multiplier // interface.divisor + interface.offset_ns,
        number,
        block.body[20 : 20 + length],
        original_length,
        interface.link_type,
        interface.name,
        inbound,
        "\n".join(comments) if comments else None,
    )


def _read_classic(source: _Source, order: str, multiplier: int) -> Iterator[Captured]:
    """Read pcap; the first four bytes have been read."""
    header = source.read(20, "the header of a pcap file")
    major, _, _, _, _, link_type = struct.unpack(order + "HHiIII", header)
    if major != 2:
        raise source.error(f"version {major} of pcap: only version 2 is known", 4)
    link_type &= 0xFFFF  # the rest says whether frames end with a checksum
    while not source.at_end():
        start = source.position
        header = source.read(16, "the header of a packet")
        seconds, fraction, length, original_length = struct.unpack(order + "IIII", header)
        if length > _LARGEST_BLOCK:
            raise source.error(f"a packet that says it has {length} bytes", start)
        data = source.read(length, "a packet")
        time_ns = seconds * 10**9 + fraction * multiplier
        yield Captured(time_ns, 0, data, original_length, link_type, "", None, None)


_ORDERS = {_BYTE_ORDER.to_bytes(4, "little"): "<", _BYTE_ORDER.to_bytes(4, "big"): ">"}

_CLASSIC: dict[bytes, tuple[str, int]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""First bytes of a pcap file: its byte order, and how many nanoseconds a fraction of a second counts in."""

__all__ = [
    "DROPPED",
    "EPOCH_NS",
    "LINKTYPE_RAW",
    "LONGEST",
    "Captured",
    "PcapngWriter",
    "Sorted",
    "read_pcapng",
]
