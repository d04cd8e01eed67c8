"""Finding out what is lost, by time: RACK-TLP, RFC 8985.

A piece is lost when one that was sent later has arrived, and more than a round trip and a little has passed.
That little is a quarter of the shortest round trip once packets have been seen to change their order, and
more when things that were sent again turned out to have arrived twice. There is no counting to three. The
last piece of all has none after it: so after two round trips of silence a *probe* is sent, the next piece or
the last once more, whose acknowledgement tells.

Here are also the states and flags that `recovery` and `sender` share, and the one timer of a sender, which
runs on a wheel as Linux's does.
"""

from __future__ import annotations

from .round_trip import RoundTrip
from .scoreboard import AGAIN, EVER_AGAIN, LOST, SACKED, Again, Scoreboard, Sent

OPEN, DISORDER, REDUCING, RECOVERY, LOSS = range(5)
STATES = ("open", "disorder", "reducing", "recovery", "loss")
"""Nothing is wrong; something has arrived out of order; marks ask for less; something is lost; all is."""

NOTHING, RETRANSMIT, PROBE, REORDERING, WINDOW_PROBE = range(5)
"""What the timer is for."""

# What an acknowledgement has shown.
ADVANCED = 1  # something more has arrived in order
SACKED_MORE = 2  # something more has arrived out of order
CONFIRMED = 4  # something is acknowledged that was under way
ORIGINAL = 8  # something that was never sent again has arrived
HAS_DATA = 16
NEW_WINDOW = 32
LOST_AGAIN = 64  # what was sent again is lost once more
SET_TIMER = 128
CONGESTED = 256  # the other side has seen marks
DUPLICATE = 512  # it reports something that it has got twice
PROBE_DUPLICATE = 1024  # which is the probe
NOT_DUPLICATE = HAS_DATA | NEW_WINDOW | CONFIRMED

NEVER = 2**62
MOST_REORDERING = 300
LEAST_PROBE = 2_000_000  # nanoseconds
SUCCESSES = 16  # recoveries after which a wider tolerance of reordering is given up


class Rack:
    """What a sender knows about what has arrived, and when. `Recovery` adds what follows from that."""

    __slots__ = (
        "board",
        "deadline",
        "delivered",
        "mss",
        "now",
        "nxt",
        "rack_advanced",
        "rack_delivered",
        "rack_duplicate",
        "rack_end",
        "rack_persists",
        "rack_steps",
        "rack_time",
        "rack_trip",
        "reordering",
        "reordering_seen",
        "state",
        "tick",
        "timer",
        "trip",
        "una",
    )

    def __init__(self, seq: int, mss: int, floor: int, tick: int) -> None:
        self.board = Scoreboard()
        self.trip = RoundTrip(floor)
        self.tick = tick
        self.mss = mss
        """Bytes of data in a segment."""
        self.una = seq
        """The first number that is not acknowledged."""
        self.nxt = seq
        """The number of what is sent next."""
        self.now = 0
        self.state = OPEN
        self.delivered = 0
        self.deadline = NEVER
        """When the timer runs out."""
        self.timer = NOTHING
        self.reordering = 3
        self.reordering_seen = False
        self.rack_time = self.rack_trip = self.rack_end = 0
        self.rack_advanced = self.rack_duplicate = False
        self.rack_steps = 1
        self.rack_persists = 0
        self.rack_delivered = 0

    # -- the timer ----------------------------------------------------------------------------------

    def after(self, delay: int) -> int:
        """Return when a timer runs out that is set now: never early, and as coarse as Linux's wheel is."""
        return wheel(self.now, delay, self.tick)

    def set_timer(self, timer: int, delay: int) -> None:
        """Have the one timer run out, for something, and not for anything else."""
        self.timer = timer
        self.deadline = self.after(min(delay, 120_000_000_000))

    def stop_timer(self) -> None:
        """Wait for nothing."""
        self.timer = NOTHING
        self.deadline = NEVER

    # -- what is lost: RACK ---------------------------------------------------------------------------

    def advance_rack(self, marks: int, end: int, time: int) -> None:
        """A piece has arrived that was sent at some time: what was sent before it should have, too."""
        taken = self.now - time
        if marks & EVER_AGAIN and taken < self.trip.least:
            return  # it is the acknowledgement of what was sent first
        self.rack_advanced = True
        self.rack_trip = taken
        if time > self.rack_time or (time == self.rack_time and end > self.rack_end):
            self.rack_time = time
            self.rack_end = end

    def tolerance(self) -> int:
        """Return how much later than others a piece may come."""
        in_order = not self.reordering_seen
        if in_order and (self.state >= RECOVERY or self.board.sacked_out >= self.reordering):
            return 0
        return min((self.trip.least >> 2) * self.rack_steps, self.trip.smoothed >> 3)

    def adapt_tolerance(self, prior_delivered: int) -> None:
        """Widen the tolerance when something that was sent again arrived twice, once in a round trip."""
        if prior_delivered < 0:
            return
        if prior_delivered < self.rack_delivered:
            self.rack_duplicate = False
        if self.rack_duplicate:
            self.rack_steps = min(255, self.rack_steps + 1)
            self.rack_duplicate = False
            self.rack_delivered = self.delivered
            self.rack_persists = SUCCESSES
        elif self.rack_persists == 0:
            self.rack_steps = 1

    def detect_losses(self) -> int:
        """Mark what is lost by now; return how long to wait for those of which it is not clear, or 0."""
        patience = self.rack_trip + self.tolerance()
        wait = 0
        board = self.board
        pieces = board.pieces
        index = board.find(board.quiet_from)
        quiet = True
        while index < len(pieces):
            piece: Sent = pieces[index]
            if piece.marks & (SACKED | LOST | EVER_AGAIN):
                index += 1
                continue
            if quiet:
                board.quiet_from = piece.seq
                quiet = False
            if piece.time > self.rack_time or (piece.time == self.rack_time and piece.end >= self.rack_end):
                break
            left = piece.time + patience - self.now
            if left <= 0:
                board.mark_lost(piece)
            elif left > wait:
                wait = left
            index += 1
        if quiet and pieces:
            board.quiet_from = pieces[-1].end
        left = self.detect_losses_of_resent(patience)
        return left if left > wait else wait

    def detect_losses_of_resent(self, patience: int) -> int:
        """Do the same with what was sent again, which stands in the order of time."""
        board = self.board
        wait = 0
        index = board.again_head
        while index < len(board.again):
            one: Again = board.again[index]
            piece = one.piece
            time = one.time
            index += 1
            is_over = piece.time != time or piece.end <= self.una or piece.marks & SACKED != 0
            if not is_over and piece.marks & (LOST | AGAIN) != LOST:
                if time > self.rack_time or (time == self.rack_time and piece.end >= self.rack_end):
                    break
                left = time + patience - self.now
                if left > 0:
                    wait = max(wait, left)
                    continue
                board.mark_lost(piece)
            if wait == 0:
                board.again_head = index
        return wait

    def identify_losses(self, flags: int) -> int:
        """Mark what is lost by now, and wait for what is not clear; return the flags with what that shows."""
        board = self.board
        if board.out() == 0:
            return flags
        again_out = board.again_out
        wait = 0
        if self.rack_advanced:
            self.rack_advanced = False
            wait = self.detect_losses()
        if wait:
            self.set_timer(REORDERING, wait + LEAST_PROBE)
            flags &= ~SET_TIMER
        if board.again_out < again_out:
            flags |= LOST_AGAIN
        return flags

    def note_reordering(self, seq: int, highest: int) -> None:
        """Something has arrived later than what was sent after it."""
        distance = highest - seq
        if distance > 0:
            if distance > self.reordering * self.mss:
                self.reordering = min((distance + self.mss - 1) // self.mss, MOST_REORDERING)
            self.reordering_seen = True


def wheel(now: int, delay: int, tick: int) -> int:
    """Return when a timer of Linux's runs out: in whole ticks, one later so as never to be early, and the
    coarser the longer it takes: by 8 ticks from 63 on, by 64 from 504 on."""
    if tick == 0:
        return now + delay
    ticks = (delay + tick - 1) // tick
    due = now // tick + ticks
    coarse, long = 0, 63
    while ticks >= long:
        coarse += 3
        long <<= 3
    return (((due >> coarse) + 1) << coarse) * tick
