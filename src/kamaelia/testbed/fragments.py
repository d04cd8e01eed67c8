"""Datagrams that do not fit into one packet, and links into which a packet does not fit.

A host cuts a datagram into fragments as large as the smallest link on the way takes, as far as it knows that;
at first it knows its own. All fragments must arrive, within 30 s of the first, or the datagram is lost. A
router cuts nothing: hosts ask it not to, as Linux does. It drops a packet that is too large for the next
link, and tells the sender, in an ICMP packet, how large it may be. The sender remembers that, and cuts the
next one smaller. Connections know the smallest link on their way from the beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .addresses import is_ipv6
from .protocols import FRAGMENT, ICMP, ICMPV6, UDP

if TYPE_CHECKING:
    from .channel import Channel
    from .stack import Stack
    from .wire import Packet

PATIENCE = 30.0  # seconds that fragments wait for the others
MOST = 1000  # datagrams of which fragments wait, on one host
HEADERS = {4: 20, 6: 48}  # bytes of a fragment: IP, and for IPv6 the header of fragments
UDP_HEADER = 8  # bytes, in the first
MOST_QUOTED = 1232  # bytes of a packet that an error of IPv6 quotes


class Datagram:
    """A datagram that is sent in fragments."""

    __slots__ = ("count", "data", "number", "port", "source")

    def __init__(self, number: int, data: bytes, source: Any, port: int) -> None:
        self.number = number
        self.data = data
        self.source = source
        self.port = port
        self.count = 0
        """How many fragments it has."""


class Fragment:
    """What one packet carries of a datagram."""

    __slots__ = ("datagram", "length", "offset")

    def __init__(self, datagram: Datagram, offset: int, length: int) -> None:
        self.datagram = datagram
        self.offset = offset
        """Where it stands in the datagram, in bytes, with the header of UDP."""
        self.length = length

    def arrive(self, stack: Stack, packet: Packet) -> None:
        """It has come to its host: put the datagram together, if it is the last."""
        stack.reassembly.add(self, packet)

    def lost(self, packet: Packet) -> None:
        """Nobody is told."""


class Reassembly:
    """The fragments that have come to a host, and wait for others."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._waiting: dict[Datagram, set[int]] = {}
        self.given_up = 0
        """Datagrams of which not all has come in time, or for which there was no room."""

    def add(self, fragment: Fragment, packet: Packet) -> None:
        """A fragment has come."""
        datagram = fragment.datagram
        offsets = self._waiting.get(datagram)
        if offsets is None:
            if len(self._waiting) >= MOST:
                self._give_up(next(iter(self._waiting)))
            offsets = self._waiting[datagram] = set()
            self._stack.simulation.call_later(PATIENCE, self._give_up, datagram)
        offsets.add(fragment.offset)
        if len(offsets) == datagram.count:
            del self._waiting[datagram]
            whole = packet.copy()
            whole.protocol, whole.kind, whole.data = UDP, "udp", datagram.data
            whole.port = datagram.port
            self._stack.deliver_datagram(whole)

    def _give_up(self, datagram: Datagram) -> None:
        if self._waiting.pop(datagram, None) is not None:
            self.given_up += 1


class TooLarge:
    """What a router says of a packet that does not fit into its link."""

    __slots__ = ("about", "mtu")

    def __init__(self, about: Packet, mtu: int) -> None:
        self.about = about
        self.mtu = mtu

    def arrive(self, stack: Stack, packet: Packet) -> None:
        """The sender hears of it."""
        stack.hear_too_large(self.about, self.mtu)


def send_in_fragments(transport: Any, data: bytes, way: Any) -> None:
    """Send a datagram that does not fit into one packet."""
    stack: Stack = transport.node
    version = 6 if is_ipv6(way.target) else 4
    datagram = Datagram(stack.fabric.packets + 1, data, way.source, way.port)
    room = (way.longest + way.headers - HEADERS[version]) // 8 * 8  # offsets are told in units of 8 bytes
    whole = UDP_HEADER + len(data)
    offsets = range(0, whole, room)
    datagram.count = len(offsets)
    for offset in offsets:
        length = min(room, whole - offset)
        packet = transport.packet_to(b"", way.target, way.port, way.name, way.ttl)
        packet.protocol, packet.kind = FRAGMENT, "udp fragment"
        packet.size = HEADERS[version] + length
        packet.data = Fragment(datagram, offset, length)
        stack.count_sent(packet)
        if way.channel is None:
            packet.place = stack
            stack.fabric.clock.add_timer(stack.fabric.clock.now, packet)
        else:
            way.channel.carry(packet)


def icmp_size(about: Packet) -> int:
    """Return the bytes of a packet of ICMP that quotes another: its header and 8 bytes, in IPv6 more."""
    return 48 + min(about.size, MOST_QUOTED) if is_ipv6(about.target) else 20 + 8 + 20 + 8


def refuse_too_large(stack: Stack, packet: Packet, channel: Channel) -> None:
    """Tell the sender of a packet that it does not fit into a link."""
    sender = stack.simulation.stack_of(packet.source[0])
    if sender is None or packet.protocol in (ICMP, ICMPV6):
        return
    version = 6 if is_ipv6(packet.target) else 4
    if sender is stack:  # it knows its own links, unless one has just been changed
        stack.hear_too_large(packet, channel.mtu)
        return
    answer = stack.simulation.forms.Packet()
    answer.protocol, answer.kind = (ICMPV6 if version == 6 else ICMP), "icmp too large"
    answer.size = icmp_size(packet)
    own = stack.address6 if version == 6 else stack.address
    answer.source, answer.target, answer.port = (own, 0), packet.source[0], 0
    answer.name, answer.target_name = stack.name, sender.name
    answer.data = TooLarge(packet.copy(), channel.mtu)
    stack.count_sent(answer)
    stack.emit(answer)
