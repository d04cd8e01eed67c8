"""Finding out what is lost, and coming back from it.

**Loss is found by time** (RACK-TLP, RFC 8985). A piece is lost when one that was sent later has arrived, and
more than a round trip and a little has passed; that little is a quarter of the shortest round trip once
packets have been seen to change their order, and more when things that were sent again turned out to have
arrived twice. There is no counting to three. The last piece of all has none after it: so after two round
trips of silence a *probe* is sent, the next piece or the last once more, whose acknowledgement tells.

**Coming back.** In *recovery* the window shrinks while it is used (PRR, RFC 6937): for each packet that
arrives, a share of one is sent, until what is under way is what congestion control says. When even the probe
remains unanswered, the time-out takes all for lost, and starts from one packet. If the acknowledgement of
something that had not been sent again comes after that, the time-out was wrong (F-RTO, RFC 5682), and so if
a time stamp shows it (Eifel, RFC 3522), or everything that was sent again arrived twice (D-SACK, RFC 3708);
then all is set back as it was.

The states are Linux's, and what `Recovery.answer` does is in the order in which Linux does it: first whether
what was lost has come, then, by the state, what is lost now.
"""

from __future__ import annotations

from .congestion import Reno, Window
from .round_trip import RoundTrip
from .scoreboard import AGAIN, EVER_AGAIN, LOST, SACKED, Scoreboard, Sent

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


class Recovery:
    """What a sender knows about losses. `Sender` adds what there is to send."""

    __slots__ = (
        "after_recovery",
        "backoff",
        "board",
        "congestion",
        "deadline",
        "delivered",
        "echo",
        "expiries",
        "frto",
        "high",
        "mss",
        "now",
        "nxt",
        "probe_again",
        "probe_end",
        "prr_delivered",
        "prr_out",
        "rack_advanced",
        "rack_delivered",
        "rack_duplicate",
        "rack_end",
        "rack_persists",
        "rack_steps",
        "rack_time",
        "rack_trip",
        "ready",
        "reduced_for_mark",
        "reordering",
        "reordering_seen",
        "resent",
        "resent_at",
        "state",
        "tick",
        "timer",
        "trip",
        "una",
        "undo_from",
        "undo_left",
        "window",
    )

    def __init__(self, seq: int, mss: int, first_window: int, floor: int, tick: int) -> None:
        self.board = Scoreboard()
        self.window = Window(first_window)
        self.congestion = Reno(self.window, tick)
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
        self.high = seq  # what was sent when the state was entered
        self.ready: list[Sent] = []
        """What is to be sent now, in order."""
        self.delivered = 0
        self.resent = 0
        """Segments that were sent again."""
        self.deadline = NEVER
        """When the timer runs out."""
        self.timer = NOTHING
        self.expiries = 0
        """How often it has, without an answer since."""
        self.backoff = 0  # how often the time-out was doubled
        self.resent_at = -1  # when the first that was sent again since all was well was; -1 for none
        self.undo_from = -1  # where the window was reduced; -1 if there is no going back
        self.undo_left = 0  # what was sent again since, and has not been shown to be superfluous
        self.echo = -1  # the time stamp of the acknowledgement, as ours; -1 for none
        self.prr_delivered = self.prr_out = 0
        self.frto = False
        self.after_recovery = 0  # what to send: 0 for nothing, 1 for what is lost, 2 for something new
        self.probe_end = -1  # what was sent when the probe was; -1 for no probe
        self.probe_again = False
        self.reordering = 3
        self.reordering_seen = False
        self.rack_time = self.rack_trip = self.rack_end = 0
        self.rack_advanced = self.rack_duplicate = False
        self.rack_steps = 1
        self.rack_persists = 0
        self.rack_delivered = 0
        self.reduced_for_mark = False
        """The next new segment is to say that it was."""

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

    def timeout(self) -> int:
        """Return the time-out, doubled as often as it has run out."""
        return min(self.trip.timeout << self.backoff, 120_000_000_000)

    def rearm(self) -> None:
        """Wait for the acknowledgement of what is under way."""
        first = self.board.first()
        if first is None:
            self.stop_timer()
            return
        delay = self.timeout()
        if self.timer == PROBE or self.timer == REORDERING:
            delay = max(first.time + delay - self.now, 1000)
        self.set_timer(RETRANSMIT, delay)

    def set_probe_or_rearm(self) -> None:
        """Wait for what comes first: the time for a probe, or for the time-out."""
        if not self.schedule_probe(True):
            self.rearm()

    def schedule_probe(self, advancing: bool) -> bool:
        """Have a probe be sent if nothing comes for long; False where none is."""
        if self.board.out() == 0 or (self.state != OPEN and self.state != REDUCING):
            return False
        if self.trip.smoothed:
            delay = self.trip.smoothed >> 2
            delay += self.trip.floor if self.board.out() == 1 else LEAST_PROBE
        else:
            delay = 1_000_000_000
        timeout = self.timeout()
        if not advancing:
            first = self.board.first()
            if first is not None:
                timeout = first.time + timeout - self.now
        if timeout > 0 and timeout < delay:
            delay = timeout
        self.set_timer(PROBE, delay)
        return True

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
        again = self.board.again
        wait = 0
        piece: Sent
        time: int
        for time, piece in list(again):
            is_over = piece.time != time or piece.end <= self.una or piece.marks & SACKED
            if is_over or piece.marks & (LOST | AGAIN) == LOST:
                if wait == 0:
                    again.popleft()
                continue
            if time > self.rack_time or (time == self.rack_time and piece.end >= self.rack_end):
                break
            left = time + patience - self.now
            if left <= 0:
                self.board.mark_lost(piece)
                again.popleft()
            elif left > wait:
                wait = left
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

    # -- states ---------------------------------------------------------------------------------------

    def enter(self, state: int) -> None:
        """Be in a state."""
        if state == LOSS:
            self.congestion.forget()
        self.state = state

    def is_reducing(self) -> bool:
        """Say whether the window is on its way down."""
        return self.state == REDUCING or self.state == RECOVERY

    def begin_reducing(self) -> None:
        """Ask congestion control how many packets may be under way, and be on the way there."""
        window = self.window
        self.high = self.nxt
        self.probe_end = -1
        window.count = 0
        window.before = window.size
        self.prr_delivered = self.prr_out = 0
        window.threshold = self.congestion.reduced()
        self.reduced_for_mark = True

    def reduce(self, newly_delivered: int, newly_lost: int, flags: int) -> None:
        """Set the window so that as much is sent as is right after what was delivered (PRR)."""
        window = self.window
        if newly_delivered <= 0 or window.before == 0:
            return
        in_flight = self.board.in_flight()
        room = window.threshold - in_flight
        self.prr_delivered += newly_delivered
        if room < 0:
            share = (window.threshold * self.prr_delivered + window.before - 1) // window.before
            count = share - self.prr_out
        else:
            count = max(self.prr_delivered - self.prr_out, newly_delivered)
            if flags & ADVANCED and not newly_lost:
                count += 1
            count = min(room, count)
        count = max(count, 0 if self.prr_out else 1)
        window.size = in_flight + count

    def end_reducing(self) -> None:
        """The window is where it was to get."""
        window = self.window
        if window.threshold < 2**31 - 1 and (self.state == REDUCING or self.undo_from >= 0):
            window.size = window.threshold
            window.idle_since = self.now

    def enter_reducing(self) -> None:
        """Marks ask for less."""
        self.window.threshold_before = 0
        if self.state < REDUCING:
            self.undo_from = -1
            self.begin_reducing()
            self.enter(REDUCING)

    def remember(self) -> None:
        """Remember where the window is reduced, to go back if that was for nothing."""
        self.undo_from = self.una
        again = self.board.again_out
        if self.probe_end >= 0 and self.probe_again:
            again += 1
        self.undo_left = again if again else -1

    def enter_recovery(self, marked: bool) -> None:
        """Something is lost."""
        self.remember()
        window = self.window
        window.threshold_before = 0
        if not self.is_reducing():
            if not marked:
                window.threshold_before = self.current_threshold()
            self.begin_reducing()
        self.enter(RECOVERY)

    def current_threshold(self) -> int:
        """Return what the threshold amounts to, where the window may not have got there."""
        window = self.window
        if self.is_reducing():
            return window.threshold
        return max(window.threshold, (window.size >> 1) + (window.size >> 2))

    def enter_loss(self) -> None:
        """All is lost, as far as one can tell: nothing was heard for a whole time-out."""
        board, window = self.board, self.window
        is_new = self.state < RECOVERY
        first = board.first()
        if first is not None and first.marks & SACKED:  # it has thrown away what it had
            board.forget_sacks()
        patience = self.rack_trip + self.tolerance()
        for index in range(board.head, len(board.pieces)):
            piece: Sent = board.pieces[index]
            if piece is first or piece.time + patience <= self.now:
                board.mark_lost(piece)
        if self.state <= DISORDER or self.high <= self.una or (self.state == LOSS and not self.expiries):
            window.threshold_before = self.current_threshold()
            window.before = window.size
            window.threshold = self.congestion.reduced()
            self.remember()
        window.size = board.in_flight() + 1
        window.count = 0
        if self.state <= DISORDER and board.sacked_out >= self.reordering:
            self.reordering = min(self.reordering, 3)
        self.enter(LOSS)
        self.high = self.nxt
        self.probe_end = -1
        self.reduced_for_mark = True
        self.frto = is_new or self.expiries > 0

    # -- what was for nothing -------------------------------------------------------------------------

    def was_for_nothing(self) -> bool:
        """Say whether what was taken for lost has arrived."""
        return self.undo_from >= 0 and (self.undo_left == 0 or self.is_delayed())

    def is_delayed(self) -> bool:
        """Say whether this acknowledges something that was sent before anything was sent again (Eifel)."""
        return self.echo >= 0 and self.resent_at >= 0 and self.echo < self.resent_at // 1_000_000

    def undo(self, unmark: bool) -> None:
        """Set the window back."""
        window = self.window
        if unmark:
            self.board.forget_losses()
        if window.threshold_before:
            window.size = max(window.size, window.before)
            if window.threshold_before > window.threshold:
                window.threshold = window.threshold_before
                self.reduced_for_mark = False
        window.idle_since = self.now
        self.undo_from = -1
        self.rack_advanced = True

    def try_to_undo_recovery(self) -> None:
        """Everything is acknowledged that was under way when the losses were found."""
        if self.was_for_nothing():
            self.undo(False)
        if self.rack_persists:
            self.rack_persists -= 1
        self.end_resending()
        self.enter(OPEN)

    def end_resending(self) -> None:
        """Forget when things were sent again, if none is under way any more."""
        if self.board.again_out == 0:
            self.resent_at = -1

    def try_to_undo_loss(self, spurious: bool) -> bool:
        """Set all back if the time-out was wrong."""
        if not (spurious or self.was_for_nothing()):
            return False
        self.undo(True)
        self.expiries = 0
        self.frto = False
        self.enter(OPEN)
        return True

    def try_to_undo_by_duplicates(self) -> bool:
        """Set the window back if all that was sent again has arrived twice."""
        if self.undo_from >= 0 and self.undo_left == 0:
            self.rack_persists = min(SUCCESSES, self.rack_persists + 1)
            self.undo(False)
            return True
        return False

    def try_to_undo_partly(self, prior_una: int) -> bool:
        """Something has arrived in order during recovery: was it there all the time?"""
        if self.undo_from >= 0 and self.is_delayed():
            self.note_reordering(prior_una, self.board.highest if self.board.sacked_out else self.una)
            if self.board.again_out:
                return True
            self.end_resending()
            self.undo(True)
            self.try_to_keep_open()
        return False

    def try_to_keep_open(self) -> None:
        """Be in the state in which nothing is lost."""
        state = OPEN
        if self.board.sacked_out + self.board.lost_out or self.board.again_out:
            state = DISORDER
        if self.state != state:
            self.enter(state)
            self.high = self.nxt

    def try_to_open(self, flags: int) -> None:
        """Nothing is lost now."""
        self.end_resending()
        if flags & CONGESTED:
            self.enter_reducing()
        if self.state != REDUCING:
            self.try_to_keep_open()

    # -- an acknowledgement that is not as usual ----------------------------------------------------

    def answer(self, prior_una: int, duplicates: int, flags: int) -> int:
        """Change the state, as an acknowledgement asks for; return its flags.

        Afterwards `after_recovery` says what to send.
        """
        self.after_recovery = 0
        if flags & CONGESTED:
            self.window.threshold_before = 0
        if self.state == OPEN:
            self.resent_at = -1
        elif self.una >= self.high:
            if self.state == REDUCING:
                if self.una != self.high:
                    self.end_reducing()
                    self.enter(OPEN)
            elif self.state == RECOVERY:
                self.try_to_undo_recovery()
                self.end_reducing()
        if self.state == RECOVERY:
            if flags & ADVANCED and self.try_to_undo_partly(prior_una):
                return flags
            if self.try_to_undo_by_duplicates():
                self.try_to_open(flags)
            flags = self.identify_losses(flags)
            if self.state != RECOVERY:
                if self.board.lost_out == 0:
                    return flags
                self.enter_recovery(bool(flags & CONGESTED))
        elif self.state == LOSS:
            self.answer_in_loss(duplicates, flags)
            flags = self.identify_losses(flags)
            if not (self.state == OPEN or flags & LOST_AGAIN):
                return flags
            return self.answer_as_usual(flags)
        else:
            return self.answer_as_usual(flags)
        self.after_recovery = 1
        return flags

    def answer_as_usual(self, flags: int) -> int:
        """Where nothing is lost so far: find out whether something is."""
        if self.state <= DISORDER:
            self.try_to_undo_by_duplicates()
        flags = self.identify_losses(flags)
        if self.board.lost_out == 0:
            self.try_to_open(flags)
            return flags
        self.enter_recovery(bool(flags & CONGESTED))
        self.after_recovery = 1
        return flags

    def answer_in_loss(self, duplicates: int, flags: int) -> None:
        """After a time-out: was it wrong (F-RTO)? If not, all that is lost is sent again."""
        recovered = self.una >= self.high
        if flags & ADVANCED and self.try_to_undo_loss(False):
            return
        if self.frto:
            if flags & ORIGINAL and self.try_to_undo_loss(True):
                return
            if self.nxt > self.high:
                if flags & SACKED_MORE or duplicates:
                    self.frto = False
            elif flags & ADVANCED and not recovered:
                self.high = self.nxt
                if self.has_more():
                    self.after_recovery = 2
                    return
                self.frto = False
        if recovered:
            self.try_to_undo_recovery()
            return
        self.after_recovery = 1

    def has_more(self) -> bool:
        """Say whether there is something new that may be sent; `Sender` knows."""
        return False

    def answer_probe(self, ack: int, flags: int) -> None:
        """Something has come since the probe: was it needed?"""
        if ack < self.probe_end:
            return
        if not self.probe_again or flags & PROBE_DUPLICATE:
            self.probe_end = -1
        elif ack > self.probe_end:  # it is the probe that has arrived, and what it repeats was lost
            self.begin_reducing()
            self.enter(REDUCING)
            self.end_reducing()
            self.try_to_keep_open()
        elif not flags & (ADVANCED | NOT_DUPLICATE | SACKED_MORE):
            self.probe_end = -1

    # -- what is sent again -----------------------------------------------------------------------------

    def send_again(self, piece: Sent) -> None:
        """Send a piece that is lost."""
        if self.resent_at < 0:
            self.resent_at = self.now
        if self.undo_left < 0:
            self.undo_left = 0
        self.undo_left += 1
        self.board.mark_again(piece, self.now)
        piece.delivered = self.delivered
        self.resent += 1
        self.ready.append(piece)

    def send_lost(self) -> None:
        """Send what is lost, as far as the window goes."""
        board = self.board
        rearm = False
        if board.lost_out == 0:
            return
        while self.window.size > board.in_flight():
            piece = board.next_lost()
            if piece is None:
                break
            self.send_again(piece)
            if self.is_reducing():
                self.prr_out += 1
            if piece is board.first() and self.timer != REORDERING:
                rearm = True
        if rearm:
            self.set_timer(RETRANSMIT, self.timeout())

    def run_out(self) -> None:
        """The time-out has run out: take all for lost, and send the first piece again."""
        self.enter_loss()
        self.expiries += 1
        first = self.board.first()
        if first is not None:
            self.send_again(first)
        self.backoff += 1
        self.set_timer(RETRANSMIT, self.timeout())

    def stop_waiting(self) -> None:
        """What was late by a little is lost now."""
        board = self.board
        in_flight, lost = board.in_flight(), board.lost
        wait = self.detect_losses()
        if wait:
            self.set_timer(REORDERING, wait + LEAST_PROBE)
        else:
            self.stop_timer()
        if board.in_flight() != in_flight:
            if self.state != RECOVERY:
                self.enter_recovery(False)
                self.reduce(1, board.lost - lost, 0)
            self.send_lost()
        if self.timer != RETRANSMIT and self.timer != REORDERING:
            self.rearm()


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
