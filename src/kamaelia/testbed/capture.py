"""What passes a host or a link, as a capture that Wireshark and others read.

A capture watches channels: each end of a link is an interface of the file. A packet is written down where
it leaves, with the time at which its last bit has gone, and where it arrives, with the time of its last bit
there. What a link drops is written down where it would have left, with a comment that says why. Time 0 is
the beginning of the virtual calendar, 2000-01-01.

The bytes are those that a real host would have sent, with all headers and checksums. Connections of the
simulation carry no acknowledgements of their own; what they carry has the numbers that it would have.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..axon import VirtualClock, core
from .addresses import is_ipv6
from .captures import PcapngWriter, Sorted, headers
from .captures.checksum import checksum
from .captures.pcapng import LONGEST
from .fragments import Fragment, TooLarge
from .protocols import FRAGMENT, REASONS, TCP, UDP
from .stream import ACK, DATA, FIN, RST, SYN, SYN_ACK, Segment
from .taps import add_tap

if TYPE_CHECKING:
    from .channel import Channel
    from .simulation import Simulation
    from .wire import Packet

FLAGS = {
    SYN: headers.SYN,
    SYN_ACK: headers.SYN | headers.ACK,
    ACK: headers.ACK,
    DATA: headers.ACK | headers.PSH,
    FIN: headers.FIN | headers.ACK,
    RST: headers.RST | headers.ACK,
}
ROUTER_ALERT = b"\x94\x04\x00\x00"
HOP_BY_HOP = b"\x3a\x00\x05\x02\x00\x00\x01\x00"  # with the router alert of IPv6, before ICMPv6
WINDOW = 65535


class PlainBlocks:
    """Puts packets into blocks of a capture file, in order of time. It is a tap of channels (`taps`)."""

    __slots__ = ("_clock", "_sorted", "bytes_of", "numbers")

    numbers: dict[Channel, tuple[int, int]]
    """Of the interfaces at both ends of a channel; -1 for one that is not watched."""
    bytes_of: Callable[[Packet], bytes]

    def begin(self, clock: VirtualClock, writer: PcapngWriter) -> None:
        """Prepare to write."""
        self._clock = clock
        self._sorted = Sorted(writer, limit=sys.maxsize)  # those that have not left are bounded by the queues
        self.numbers = {}

    def out(self, channel: Channel, packet: Packet) -> None:
        """A packet leaves."""
        number = self.numbers[channel][0]
        if number >= 0:
            self._sorted.add(number, packet.leaves, self.bytes_of(packet), inbound=False)
            self._sorted.flush_until(self._clock.now)

    def into(self, channel: Channel, packet: Packet) -> None:
        """A packet has arrived."""
        number = self.numbers[channel][1]
        if number >= 0:
            comment = "corrupted on the way" if packet.spoiled else None
            self._sorted.add(number, self._clock.now, self.bytes_of(packet), inbound=True, comment=comment)
            self._sorted.flush_until(self._clock.now)

    def dropped(self, channel: Channel, packet: Packet, why: int) -> None:
        """A packet does not even leave."""
        number = self.numbers[channel][0]
        if number >= 0:
            self._sorted.add_drop(
                number, self._clock.now, self.bytes_of(packet), REASONS[why] or "dropped", inbound=False
            )
            self._sorted.flush_until(self._clock.now)

    def end(self) -> None:
        """Write what is left."""
        self._sorted.flush()


if TYPE_CHECKING:
    Base = PlainBlocks
else:
    Base = object


class Capture(Base):
    """Writes down what passes some channels.

    Arguments:
        simulation: whose channels they are
        file: where to
        snaplen: bytes that are kept of each packet at most
    """

    __slots__ = core.NO_SLOTS

    def __init__(self, simulation: Simulation, file: BinaryIO, snaplen: int = LONGEST) -> None:
        self._writer = PcapngWriter(file, snaplen=snaplen)
        self._interfaces: dict[tuple[Any, Any], int] = {}  # by host and link
        self.bytes_of = packet_bytes
        self.begin(simulation.clock, self._writer)

    def watch(self, channels: Iterable[Channel], *, at: Any = None) -> None:
        """Watch channels: both ends, or only those at a host."""
        watched = [
            (channel, [at is None or host is at for host in (channel.near, channel.far)])
            for channel in channels
        ]
        names = {
            address: host.name
            for channel, _ in watched
            for host in (channel.near, channel.far)
            for address in (*host.own, host.address, host.address6)
        }
        self._writer.names(names)
        for channel, (near, far) in watched:
            self.numbers[channel] = (
                self._interface(channel.near, channel) if near else -1,
                self._interface(channel.far, channel) if far else -1,
            )
            add_tap(channel, self)

    def _interface(self, host: Any, channel: Channel) -> int:
        both = (host, _pair(channel))
        number = self._interfaces.get(both)
        if number is None:
            out = channel if channel.near is host else channel.back
            name = f"{host.name} eth{0 if out is None else out.interface}"
            number = self._interfaces[both] = self._writer.interface(name, channel.name)
        return number

    def close(self) -> None:
        """Write what is left, and close the capture. What would have left after the end is in it, too."""
        self.end()
        self._writer.close()


SLOTS = ("_interfaces", "_writer")


class Captures:
    """All captures of one run, each to a file or kept in memory."""

    def __init__(
        self, simulation: Simulation, wanted: dict[str, str | PathLike[str] | None], snaplen: int
    ) -> None:
        self.kept: dict[str, io.BytesIO] = {}
        self._open: list[tuple[Capture, BinaryIO]] = []
        for what, path in wanted.items():
            file: BinaryIO
            if path is None:
                file = self.kept[what] = io.BytesIO()
            else:
                file = Path(path).open("wb")  # noqa: SIM115 - `close` does it, when the run is over
            capture: Capture = simulation.forms.Capture(simulation, file, snaplen)
            self._open.append((capture, file))
            if what in simulation.stacks:
                stack = simulation.stacks[what]
                capture.watch((*stack.channels, *stack.channels_in), at=stack)
            else:
                capture.watch(simulation.channels_called(what))

    def close(self) -> None:
        """The run is over."""
        for capture, file in self._open:
            capture.close()
            if not isinstance(file, io.BytesIO):
                file.close()


def id_of(channel: Channel) -> tuple[str, int]:
    """Return something to tell the two directions of a link apart by, in the same way in each run."""
    return channel.near.name, channel.interface


def _pair(channel: Channel) -> Channel:
    """Return one for both directions of a link."""
    return channel if channel.back is None else min(channel, channel.back, key=id_of)


# --- bytes ----------------------------------------------------------------------------------------------


def packet_bytes(packet: Packet) -> bytes:
    """Return the bytes of a packet, as they would be on a link."""
    source, target = packet.source[0], packet.target
    six = is_ipv6(target)
    protocol = packet.protocol
    marks: dict[str, Any] = {"hops": max(1, packet.ttl), "dscp": packet.tos >> 2, "ecn": packet.tos & 3}
    if protocol == UDP:
        payload = headers.udp(source, target, packet.source[1], packet.port, packet.data)
    elif protocol == TCP:
        payload = _segment(packet)
    elif protocol == FRAGMENT:
        return _fragment(packet, marks)
    elif isinstance(packet.data, TooLarge) or hasattr(packet.data, "about"):
        payload = _icmp(packet)
    else:
        return _membership(packet, marks)
    if packet.spoiled:
        payload = payload[:-1] + bytes([payload[-1] ^ 1])
    if six:
        return headers.ipv6(source, target, protocol, payload, **marks)
    number = packet.number & 0xFFFF
    return headers.ipv4(source, target, protocol, payload, identification=number, dont_fragment=True, **marks)


def _segment(packet: Packet) -> bytes:
    if not isinstance(packet.data, Segment):
        return _linux_segment(packet)
    segment = packet.data
    sender, peer = segment.sender, segment.receiver
    sequence = first_number(sender.name, sender.remote_name)
    if segment.kind not in (SYN, SYN_ACK):
        sequence += 1 + segment.position
    flags = FLAGS[segment.kind]
    acknowledged = 0
    if peer is not None:
        acknowledged = first_number(peer.name, peer.remote_name) + 1 + segment.received
    if not acknowledged:
        flags &= ~headers.ACK
    return headers.tcp(
        packet.source[0],
        packet.target,
        packet.source[1],
        packet.port,
        segment.data,
        sequence=sequence & 0xFFFFFFFF,
        acknowledgement=acknowledged & 0xFFFFFFFF,
        flags=flags,
        window=WINDOW,
        mss=sender.segment if segment.kind in (SYN, SYN_ACK) else None,
    )


def _linux_segment(packet: Packet) -> bytes:
    """Return the bytes of a segment where TCP is packets."""
    segment = packet.data
    opens = segment.scale >= 0 or segment.mss >= 0
    blocks = [edge & 0xFFFFFFFF for edge in segment.sack]
    return headers.tcp(
        packet.source[0],
        packet.target,
        packet.source[1],
        packet.port,
        segment.data,
        sequence=segment.seq & 0xFFFFFFFF,
        acknowledgement=segment.ack & 0xFFFFFFFF if segment.flags & headers.ACK else 0,
        flags=segment.flags,
        window=min(segment.window >> segment.shift, 65535),
        mss=segment.mss if opens else None,
        window_scale=segment.scale if segment.scale >= 0 else None,
        sack_permitted=segment.sack_allowed,
        timestamps=None if segment.stamp < 0 else (segment.stamp & 0xFFFFFFFF, segment.echo & 0xFFFFFFFF),
        sack=tuple(zip(blocks[::2], blocks[1::2], strict=True)),
    )


def first_number(name: str, remote: str) -> int:
    """Return the first sequence number of one end of a connection; every run has the same."""
    return int.from_bytes(blake2b(f"{name} {remote}".encode(), digest_size=4).digest(), "big")


def _fragment(packet: Packet, marks: dict[str, Any]) -> bytes:
    fragment: Fragment = packet.data
    datagram = fragment.datagram
    source, target = packet.source[0], packet.target
    whole = headers.udp(source, target, datagram.source[1], datagram.port, datagram.data)
    piece = whole[fragment.offset : fragment.offset + fragment.length]
    more = fragment.offset + fragment.length < len(whole)
    if is_ipv6(target):
        cut = headers.ipv6_fragment(
            UDP,
            piece,
            identification=datagram.number & 0xFFFFFFFF,
            offset=fragment.offset,
            more_fragments=more,
        )
        return headers.ipv6(source, target, headers.FRAGMENT, cut, **marks)
    return headers.ipv4(
        source,
        target,
        UDP,
        piece,
        identification=datagram.number & 0xFFFF,
        more_fragments=more,
        offset=fragment.offset,
        **marks,
    )


def _icmp(packet: Packet) -> bytes:
    source, target, data = packet.source[0], packet.target, packet.data
    original = packet_bytes(data.about)
    if isinstance(data, TooLarge):
        return headers.too_big(source, target, data.mtu, original)
    return headers.unreachable(source, target, "port", original)


def _membership(packet: Packet, marks: dict[str, Any]) -> bytes:
    source, target = packet.source[0], packet.target
    payload = packet.data.to_bytes(source, target)
    if is_ipv6(target):
        whole = headers.ipv6(source, target, headers.ICMPV6, HOP_BY_HOP + payload, **marks)
        return whole[:6] + b"\0" + whole[7:]  # the next header is the one of options
    whole = headers.ipv4(source, target, packet.protocol, payload, **marks)
    head = bytearray(whole[:20] + ROUTER_ALERT)
    head[0] = 0x46
    head[2:4] = (len(whole) + 4).to_bytes(2, "big")
    head[10:12] = b"\0\0"
    head[10:12] = checksum(bytes(head)).to_bytes(2, "big")
    return bytes(head) + whole[20:]
