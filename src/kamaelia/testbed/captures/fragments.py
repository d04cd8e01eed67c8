"""Packets cut into fragments, and put together again (RFC 791, 8200 section 4.5).

A fragment is a packet of its own that carries a piece of another's payload. Its header says where the piece
belongs: its *offset* in bytes, a multiple of 8, and whether *more* follow. Pieces of one packet have the
same source, destination, protocol and identification. Who puts them together knows the length once it has
the last piece, and is done when nothing is missing in between.

What overlaps is given up, as RFC 5722 says of IPv6: it has no use but attacks. An exact copy of a fragment
changes nothing. Memory is bounded: packets that stay incomplete are given up after a time, and the oldest
when they are too many.
"""

from __future__ import annotations

from ...axon import UsageError
from .headers import FRAGMENT, ipv4, ipv6, ipv6_fragment
from .parsing import IPPacket, parse

PATIENCE = 30_000_000_000
"""Nanoseconds that Linux waits for missing fragments; RFC 8200 says 60 seconds, RFC 1122 60 to 120."""

_LONGEST = 65535  # bytes in the payload of a packet


def fragments(packet: bytes, mtu: int, *, identification: int | None = None) -> list[bytes]:
    """Return the fragments of a packet, each no longer than the MTU; the packet itself if it is short.

    Arguments:
        packet: a whole packet or an IPv4 fragment, as `headers.ipv4` and `headers.ipv6` make them
        mtu: in bytes; with IPv4 at least 68, with IPv6 at least 1280
        identification: the same in all fragments; IPv4 has one in the packet

    Raises `UsageError` where the packet may not be cut.

    >>> from kamaelia.testbed.captures.headers import UDP, ip
    >>> [len(piece) for piece in fragments(ip("10.0.0.1", "10.0.0.2", UDP, bytes(2000)), 1500)]
    [1500, 540]
    """
    smallest = 1280 if packet[:1] >= b"\x60" else 68
    if mtu < smallest:
        raise UsageError(f"mtu={mtu!r}: give at least {smallest}, which every link carries")
    if len(packet) <= mtu:
        return [packet]
    whole = parse(packet)
    if whole.version == 4 and packet[0] != 0x45:
        raise UsageError(
            f"a packet with {(packet[0] - 0x45) * 4} bytes of options: only one without can be cut"
        )
    if not whole.complete:
        raise UsageError(f"{len(packet)} bytes of a packet of {whole.length}: only a whole one can be cut")
    if whole.dont_fragment:
        raise UsageError("this packet says that it may not be cut: answer with too_big()")
    if whole.version == 6 and (identification is None or packet[6] == FRAGMENT):
        raise UsageError("an IPv6 packet is cut by its sender, once: give it whole, with identification=")
    step = (mtu - (20 if whole.version == 4 else 48)) & ~7
    number = whole.identification if identification is None else identification
    payload = packet[20 : whole.length] if whole.version == 4 else packet[40 : whole.length]
    pieces = []
    for start in range(0, len(payload), step):
        piece, more = payload[start : start + step], start + step < len(payload) or whole.more_fragments
        if whole.version == 4:
            made = ipv4(
                whole.source,
                whole.destination,
                whole.protocol,
                piece,
                hops=whole.hops,
                dscp=whole.dscp,
                ecn=whole.ecn,
                identification=number,
                more_fragments=more,
                offset=whole.offset + start,
            )
        else:
            made = ipv6(
                whole.source,
                whole.destination,
                FRAGMENT,
                ipv6_fragment(packet[6], piece, identification=number, offset=start, more_fragments=more),
                hops=whole.hops,
                dscp=whole.dscp,
                ecn=whole.ecn,
                flow_label=whole.flow_label,
            )
        pieces.append(made)
    return pieces


class _Incomplete:
    """A packet of which pieces are there."""

    __slots__ = ("length", "pieces", "protocol", "size", "started")

    def __init__(self, started: int) -> None:
        self.started = started
        self.pieces: dict[int, bytes] = {}
        self.size = 0  # bytes in all pieces
        self.length: int | None = None  # of the whole, once the last piece is there
        self.protocol = 0


class Reassembly:
    """Puts fragments together.

    Arguments:
        limit: how many incomplete packets are kept at most
        patience: how long one is kept, in nanoseconds

    >>> from kamaelia.testbed.captures.headers import UDP, ip
    >>> whole = ip("10.0.0.1", "10.0.0.2", UDP, bytes(2000))
    >>> reassembly = Reassembly()
    >>> [reassembly.add(0, parse(piece)) == (UDP, bytes(2000)) for piece in fragments(whole, 1500)]
    [False, True]
    """

    __slots__ = ("_incomplete", "_limit", "_patience", "given_up")

    def __init__(self, *, limit: int = 1000, patience: int = PATIENCE) -> None:
        if limit < 1:
            raise UsageError(f"limit={limit!r}: give at least 1")
        self._limit = limit
        self._patience = patience
        self._incomplete: dict[tuple[object, ...], _Incomplete] = {}
        self.given_up = 0
        """Packets that will never be complete: too late, too many, or of pieces that do not fit together."""

    @property
    def incomplete(self) -> int:
        """How many packets are waited for."""
        return len(self._incomplete)

    def add(self, time_ns: int, fragment: IPPacket, *, where: object = None) -> tuple[int, bytes] | None:
        """Take a fragment; return protocol and payload of the whole packet if that is the last one missing.

        Arguments:
            time_ns: what time it is, in nanoseconds
            fragment: a complete one
            where: fragments that were taken at different places do not belong together
        """
        waiting = self._incomplete
        while waiting:
            oldest = next(iter(waiting))
            if time_ns - waiting[oldest].started <= self._patience:
                break
            self._give_up(oldest)
        protocol = fragment.protocol if fragment.version == 4 else None
        key = (where, fragment.source, fragment.destination, fragment.identification, protocol)
        packet = waiting.get(key)
        if packet is None:
            if len(waiting) >= self._limit:
                self._give_up(next(iter(waiting)))
            packet = waiting[key] = _Incomplete(time_ns)
        if not _fits(packet, fragment):
            self._give_up(key)
            return None
        if packet.length != packet.size:
            return None
        end = 0
        for offset in sorted(packet.pieces):
            if offset != end:  # as much as is missing here is there twice elsewhere
                self._give_up(key)
                return None
            end += len(packet.pieces[offset])
        del waiting[key]
        return packet.protocol, b"".join(packet.pieces[offset] for offset in sorted(packet.pieces))

    def _give_up(self, key: tuple[object, ...]) -> None:
        del self._incomplete[key]
        self.given_up += 1


def _fits(packet: _Incomplete, fragment: IPPacket) -> bool:
    """Add a piece to a packet; say whether it can belong to it."""
    offset, payload = fragment.offset, fragment.payload
    end = offset + len(payload)
    there = packet.pieces.get(offset)
    if there is not None:
        return there == payload
    if end > _LONGEST or not payload or (fragment.more_fragments and len(payload) & 7):
        return False
    if not fragment.more_fragments:
        if packet.length is not None:
            return False
        packet.length = end
    if not offset:
        packet.protocol = fragment.protocol
    packet.pieces[offset] = payload
    packet.size += len(payload)
    return packet.length is None or packet.size <= packet.length


__all__ = ["PATIENCE", "Reassembly", "fragments"]
