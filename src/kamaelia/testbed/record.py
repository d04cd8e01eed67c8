"""What a run writes down: each event in the network, in order, and a hash over all of them.

A row is a tuple of time in nanoseconds, event, number of the packet, kind of packet, where it comes from
and goes to, size, where it happened, and why. The **fingerprint** is a BLAKE2b over all rows, whether they
were kept or not: numbers as they are, and each text once, where it first appears, later by its number. Two
runs with the same seed have the same one, on any machine and any of the supported interpreters.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kamaelia.axon import VirtualClock

PIECE = 4096  # rows that are put into the hash at once

Row = tuple[int, int, int, str, str, str, int, str, int]

_pack = struct.Struct("<qBqiiiiiB").pack


def new_hash() -> Any:
    """Return what makes fingerprints."""
    return blake2b(digest_size=32)


class PlainRecorder:
    """Writes down the events of one run.

    Arguments:
        clock: whose time it is
        keep: how many rows are kept; of those after them there is only the hash
    """

    def __init__(self, clock: VirtualClock, keep: int) -> None:
        self.clock = clock
        self.keep = keep
        self.rows: list[Row] = []
        """The rows that are kept."""
        self.count = 0
        """How many rows there were."""
        self._hash = new_hash()
        self._texts: dict[str, int] = {}
        self._pending: list[Row] = []

    def record(self, what: int, packet: Any, where: Any, why: int) -> None:
        """Something has happened to a packet; ``where`` has a name, or is None for one of its ends."""
        self.write(
            what,
            packet.number,
            packet.kind,
            packet.name,
            packet.target_name,
            packet.size,
            "" if where is None else where.name,
            why,
        )

    def write(
        self, what: int, number: int, kind: str, source: str, target: str, size: int, where: str, why: int
    ) -> None:
        """Write down a row."""
        row = (self.clock.now, what, number, kind, source, target, size, where, why)
        if self.count < self.keep:
            self.rows.append(row)
        self.count += 1
        self._pending.append(row)
        if len(self._pending) == PIECE:
            self._digest()

    def fingerprint(self) -> str:
        """Return the hash over all rows so far: 64 hexadecimal digits."""
        self._digest()
        text: str = self._hash.hexdigest()
        return text

    def _digest(self) -> None:
        piece = bytearray()
        for time, what, number, kind, source, target, size, where, why in self._pending:
            texts = [self._number_of(text, piece) for text in (kind, source, target, where)]
            piece += _pack(time, what, number, *texts, size, why)
        self._pending.clear()
        self._hash.update(piece)

    def _number_of(self, text: str, piece: bytearray) -> int:
        number = self._texts.get(text)
        if number is None:
            number = self._texts[text] = len(self._texts)
            piece += text.encode() + b"\0"
        return number
