"""What else a link may do to a packet: deliver it twice, out of turn, or changed.

Each is a description that any number of links may share; its ``begin`` makes what one direction of a link
asks once for each packet. Chance comes from a stream of its own.

**Duplication.** The copy enters the link right behind the packet. It is a packet in its own right: it takes
its time and its place in the queue, and may be lost or late; but it is not duplicated again.

**Reordering.** As netem does it: some packets take no delay at all, so they get ahead of those that are under
way. (A link with no delay does not reorder, then.) With ``gap=n`` at least n - 1 packets go on as usual
before each that gets ahead; among those after, each does so with the chance ``share``::

    rate = 1 / (n - 1 + 1 / share)

With ``late`` the chosen ones are held back instead, and those behind overtake them. Either way the link lets
these packets, and only these, pass others, even where it otherwise keeps the order.

**Corruption.** Some bits of the payload are inverted, at places that are all equally likely. What becomes of
the packet is up to the checksum of UDP and TCP (RFC 1071), the sum of all 16-bit words, modulo 65535. By
default the receiver compares it, as all do. It sees every single bit; two bits it overlooks when they have
the same place in their words and were different. For a payload of n words, half of whose bits are 1, that has
the chance::

    1/2 * (n - 1) / (16 n - 1), about 1/32

and for many bits it comes near 1/65535. What it sees is dropped and counted as corrupted, which is not
counted as lost; what it overlooks is delivered as it is. With ``checksum=False`` all is delivered: that is
UDP over IPv4 with the checksum 0, and what a receiver sees that is given the payload in spite of errors, such
as UDP-Lite's (RFC 3828). Headers are never changed, so a packet still comes to whom it was for; in a packet
without a payload it is a header that was hit, and with a checksum it is dropped.

Not modelled: links that have a checksum of their own, as Ethernet and Wi-Fi do. They lose such packets: say
``loss``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...axon import UsageError, units
from .quantities import count, settle, some_nanoseconds
from .random_stream import RandomStream


@dataclass(frozen=True, init=False, slots=True)
class Duplication:
    """Some packets come twice.

    Arguments:
        share: of the packets, such as ``"1 %"``, or 0.01

    Raises `UsageError` for what is no share.

    Example:
        >>> from kamaelia.testbed.links import Duplication, RandomStream
        >>> duplicates = Duplication("10 %").begin(RandomStream(7, "example"))
        >>> sum(duplicates.duplicates() for _ in range(1000))
        90
    """

    share: float
    """Of the packets."""

    def __init__(self, share: float | str) -> None:
        settle(self, share=units.share(share))

    def begin(self, stream: RandomStream) -> Duplicates:
        """Return what one direction of a link asks; nobody else may use the stream from then on."""
        return Duplicates(self, stream)


class Duplicates:
    """Which packets one direction of a link duplicates. Made by `Duplication.begin`."""

    __slots__ = ("_random", "_share")

    def __init__(self, duplication: Duplication, stream: RandomStream) -> None:
        self._share = duplication.share
        self._random = stream.random

    def duplicates(self) -> bool:
        """Say whether the next packet is sent twice. The copy itself is no occasion to ask."""
        return self._random() < self._share


@dataclass(frozen=True, init=False, slots=True)
class Reordering:
    """Some packets get ahead of those before them, or behind those after them.

    Arguments:
        share: of the packets that may be chosen, such as ``"25 %"``, or 0.25
        gap: from one chosen packet to the next there are at least so many; with 1 each may be chosen
        late: hold them back for so long, such as ``"5 ms"``, or seconds; otherwise they take no delay

    Raises `UsageError` for what is no share, no number from 1 on, or no time.

    Example:
        >>> from kamaelia.testbed.links import RandomStream, Reordering
        >>> reorders = Reordering(1, gap=4).begin(RandomStream(7, "example"))
        >>> [reorders.delay(10_000_000) for _ in range(5)]
        [None, None, None, 0, None]
        >>> Reordering("25 %", gap=5).rate
        0.125
    """

    share: float
    """Of the packets that may be chosen."""
    gap: int
    """How many packets there are at least from one chosen to the next."""
    late: int | None
    """For how many nanoseconds they are held back; None when they get ahead."""

    def __init__(self, share: float | str, gap: int = 1, late: float | str | None = None) -> None:
        settle(
            self,
            share=units.share(share),
            gap=count(gap, "gap"),
            late=None if late is None else some_nanoseconds(late, "late"),
        )

    @property
    def rate(self) -> float:
        """The share of packets that are chosen, in the long run."""
        return 1 / (self.gap - 1 + 1 / self.share) if self.share else 0.0

    def begin(self, stream: RandomStream) -> Reorders:
        """Return what one direction of a link asks; nobody else may use the stream from then on."""
        return Reorders(self, stream)


class Reorders:
    """Which packets one direction of a link reorders. Made by `Reordering.begin`."""

    __slots__ = ("_random", "_reordering", "_since")

    def __init__(self, reordering: Reordering, stream: RandomStream) -> None:
        self._reordering = reordering
        self._random = stream.random
        self._since = 0  # packets since the last one that was chosen

    def delay(self, usual: int) -> int | None:
        """Return the delay of the next packet if it is chosen; None when it goes on as usual.

        Arguments:
            usual: its delay otherwise, in nanoseconds, jitter included
        """
        reordering = self._reordering
        if self._since < reordering.gap - 1 or self._random() >= reordering.share:
            self._since += 1
            return None
        self._since = 0
        return 0 if reordering.late is None else usual + reordering.late


@dataclass(frozen=True, init=False, slots=True)
class Corruption:
    """Some packets have bits of their payload inverted.

    Arguments:
        share: of the packets, such as ``"0.1 %"``, or 0.001
        bits: how many bits, each at another place; in a payload that is smaller, all of them
        checksum: the receiver drops what its checksum finds; otherwise all is delivered

    Raises `UsageError` for what is no share, or no number of bits.

    Example:
        >>> from kamaelia.testbed.links import Corruption, RandomStream
        >>> corrupts = Corruption("1 %", checksum=False).begin(RandomStream(7, "example"))
        >>> [n for n in range(1, 200) if corrupts.corrupts()]
        [118]
        >>> corrupts.receive(b"hello")
        b'hell\\x7f'
    """

    share: float
    """Of the packets."""
    bits: int
    """How many are inverted in each."""
    checksum: bool
    """The receiver compares it."""

    def __init__(self, share: float | str, bits: int = 1, checksum: bool = True) -> None:
        if not isinstance(checksum, bool):
            raise UsageError(f"checksum={checksum!r}: there are True and False")
        settle(self, share=units.share(share), bits=count(bits, "bits"), checksum=checksum)

    def begin(self, stream: RandomStream) -> Corruptions:
        """Return what one direction of a link asks; nobody else may use the stream from then on."""
        return Corruptions(self, stream)


class Corruptions:
    """Which packets one direction of a link corrupts, and how. Made by `Corruption.begin`.

    The places of the bits have a stream of their own, so that which packets are corrupted does not depend on
    how large they are.
    """

    __slots__ = ("_corruption", "_places", "_random")

    def __init__(self, corruption: Corruption, stream: RandomStream) -> None:
        self._corruption = corruption
        self._places = stream.split()
        self._random = stream.random

    def corrupts(self) -> bool:
        """Say whether the next packet is corrupted."""
        return self._random() < self._corruption.share

    def corrupt(self, data: bytes) -> bytes:
        """Return a payload with as many bits inverted as the description says."""
        # Floyd's algorithm: so many of the places, each set of them equally likely, in as many draws.
        size = len(data) * 8
        places: set[int] = set()
        for last in range(size - min(self._corruption.bits, size), size):
            place = self._places.below(last + 1)
            places.add(last if place in places else place)
        changed = bytearray(data)
        for place in places:
            changed[place // 8] ^= 128 >> place % 8
        return bytes(changed)

    def receive(self, data: bytes) -> bytes | None:
        """Return what the receiver gets of a payload that is corrupted; None when its checksum finds out."""
        changed = self.corrupt(data)
        if self._corruption.checksum and (not data or checksum_sees(data, changed)):
            return None
        return changed


def checksum_sees(data: bytes, changed: bytes) -> bool:
    """Say whether the checksum of UDP and TCP tells one payload from another of the same length.

    >>> checksum_sees(bytes([0, 0, 0, 1]), bytes([0, 0, 0, 0]))
    True
    >>> checksum_sees(bytes([0, 0, 0, 1]), bytes([0, 1, 0, 0]))
    False
    """
    # 65536 is 1 modulo 65535, so the whole payload as one number is as good as the sum of its words. One byte
    # too many or too few, as at an odd length, multiplies both sums by 256, which has an inverse.
    difference = int.from_bytes(data, "big") - int.from_bytes(changed, "big")
    return difference % 65535 != 0
