"""What has been sent and not been acknowledged, and what is known of each piece: the scoreboard of RFC 6675.

Each piece was one segment. It may be **sacked**: the other side says that it has it, out of order; **lost**,
as far as one can tell; and **sent again**. What counts as under way is all that are not sacked or lost, and
those that were sent again besides.

The pieces stand in the order of their numbers, and are found by halving. Those that were sent again have
another order in time, which RACK goes by; it is kept beside, and what is out of date in it is skipped.
"""

from __future__ import annotations

SACKED, LOST, AGAIN, EVER_AGAIN = 1, 2, 4, 8
COMPACT = 512  # pieces that are done with before room is made


class Sent:
    """A piece of what was sent, in one segment."""

    __slots__ = ("data", "delivered", "end", "flags", "marks", "seq", "time")

    def __init__(self, seq: int, end: int, data: bytes, flags: int, time: int, delivered: int) -> None:
        self.seq = seq
        self.end = end
        self.data = data
        self.flags = flags
        """FIN and PSH, as it was sent."""
        self.time = time
        """When it was sent for the last time."""
        self.marks = 0
        self.delivered = delivered
        """How many packets had been delivered by then."""


class Again:
    """That a piece was sent again, at some time."""

    __slots__ = ("piece", "time")

    def __init__(self, time: int, piece: Sent) -> None:
        self.time = time
        self.piece = piece


class Scoreboard:
    """The pieces of one connection."""

    __slots__ = (
        "again",
        "again_head",
        "again_out",
        "head",
        "highest",
        "lost",
        "lost_from",
        "lost_out",
        "pieces",
        "quiet_from",
        "sacked_out",
    )

    def __init__(self) -> None:
        self.pieces: list[Sent] = []
        self.head = 0  # those before it are done with
        self.sacked_out = 0
        """How many are sacked."""
        self.lost_out = 0
        """How many are lost, whether they were sent again or not."""
        self.lost = 0
        """How many were ever found to be lost."""
        self.again_out = 0
        """How many were sent again, and are not acknowledged nor lost again."""
        self.highest = 0
        """The end of the last that was ever sacked or acknowledged."""
        self.again: list[Again] = []
        """Those that were sent again, in that order."""
        self.again_head = 0  # those before it are done with
        self.lost_from = 0
        """No piece before this number is lost and has not been sent again."""
        self.quiet_from = 0
        """All pieces before this number are sacked, lost, or were sent again."""

    def out(self) -> int:
        """Return how many have been sent and not been acknowledged."""
        return len(self.pieces) - self.head

    def in_flight(self) -> int:
        """Return how many are taken to be under way (RFC 6675 calls it the pipe)."""
        return len(self.pieces) - self.head - self.sacked_out - self.lost_out + self.again_out

    def first(self) -> Sent | None:
        """Return the first that is not acknowledged."""
        if self.head >= len(self.pieces):
            return None
        piece: Sent = self.pieces[self.head]
        return piece

    def add(self, piece: Sent) -> None:
        """It was sent, after all others."""
        self.pieces.append(piece)

    def remove_first(self) -> Sent:
        """Return the first, which is acknowledged."""
        piece: Sent = self.pieces[self.head]
        marks = piece.marks
        if marks:
            if marks & SACKED:
                self.sacked_out -= 1
            if marks & LOST:
                self.lost_out -= 1
            if marks & AGAIN:
                self.again_out -= 1
        self.head += 1
        if self.head >= COMPACT and self.head * 2 >= len(self.pieces):
            del self.pieces[: self.head]
            self.head = 0
        return piece

    def find(self, seq: int) -> int:
        """Return the index of the piece that holds a number, or of the first one after it."""
        pieces = self.pieces
        low, high = self.head, len(pieces)
        while low < high:
            middle = (low + high) >> 1
            piece: Sent = pieces[middle]
            if piece.end <= seq:
                low = middle + 1
            else:
                high = middle
        return low

    # -- marks --------------------------------------------------------------------------------------

    def mark_sacked(self, piece: Sent) -> None:
        """The other side has it."""
        marks = piece.marks
        if marks & AGAIN:
            self.again_out -= 1
        if marks & LOST:
            self.lost_out -= 1
        piece.marks = (marks | SACKED) & ~(LOST | AGAIN)
        self.sacked_out += 1

    def mark_lost(self, piece: Sent) -> None:
        """It, or what was sent again of it, is lost."""
        marks = piece.marks
        if marks & SACKED:
            return
        if marks & AGAIN:
            self.again_out -= 1
            piece.marks = marks & ~AGAIN
        if not marks & LOST:
            self.lost_out += 1
            piece.marks |= LOST
            self.lost += 1
        elif marks & AGAIN:
            self.lost += 1
        if piece.seq < self.lost_from:
            self.lost_from = piece.seq

    def mark_again(self, piece: Sent, now: int) -> None:
        """It is sent again."""
        if not piece.marks & AGAIN:
            self.again_out += 1
        piece.marks |= AGAIN | EVER_AGAIN
        self.note_time(piece, now)

    def note_time(self, piece: Sent, now: int) -> None:
        """It is sent again, which may not count."""
        piece.time = now
        if self.again_head >= COMPACT and self.again_head * 2 >= len(self.again):
            del self.again[: self.again_head]
            self.again_head = 0
        self.again.append(Again(now, piece))

    def next_lost(self) -> Sent | None:
        """Return the first that is lost and was not sent again."""
        index = self.find(self.lost_from)
        pieces = self.pieces
        while index < len(pieces):
            piece: Sent = pieces[index]
            if piece.marks & (LOST | AGAIN | SACKED) == LOST:
                self.lost_from = piece.seq
                return piece
            index += 1
        self.lost_from = pieces[-1].end if pieces else 0
        return None

    def forget_losses(self) -> None:
        """None is lost, as it turns out."""
        for index in range(self.head, len(self.pieces)):
            self.pieces[index].marks &= ~LOST
        self.lost_out = 0
        self.begin_again()

    def forget_sacks(self) -> None:
        """The other side does not have what it said that it has (RFC 2018, section 8)."""
        for index in range(self.head, len(self.pieces)):
            self.pieces[index].marks &= ~SACKED
        self.sacked_out = 0
        self.begin_again()

    def begin_again(self) -> None:
        """Marks were taken away: look at all pieces again."""
        self.lost_from = self.quiet_from = 0
