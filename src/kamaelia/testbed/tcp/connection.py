"""One end of a connection: opening it, closing it, and all timers. RFC 9293, section 3.

`Connection` is a pure state machine. Segments go in with `take`, time with `run_out`, and what the program
does with `send`, `read`, `shut_down` and `abort`; each is told the time. What is to be sent stands in `out`
afterwards, what the program should be told in `events`, and when to call `run_out` in `due`.

The states and their names are the RFC's; of those who listen there is none here, as a listener is no
connection. A passive end begins in ``SYN_RECEIVED`` with the segment that asks for it.
"""

from __future__ import annotations

import errno

from .rack import NEVER, RETRANSMIT, WINDOW_PROBE, wheel
from .receiver import Receiver
from .round_trip import FIRST_TIMEOUT, LONGEST_TIMEOUT
from .scoreboard import EVER_AGAIN, Sent
from .segment import ACK, CWR, ECE, FIN, RST, SACK_BLOCK, SYN, SYN_OPTIONS, TIMESTAMPS, Segment
from .sender import MANY, Sender
from .settings import LinuxTCP

SYN_SENT, SYN_RECEIVED, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2 = range(5)
CLOSE_WAIT, CLOSING, LAST_ACK, TIME_WAIT, CLOSED = range(5, 10)
STATES = (
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
    "CLOSED",
)

CONNECTED, READABLE, WRITABLE, FAILED, OVER = 1, 2, 4, 8, 16
"""What has happened: it is established; there is something to read, or the end; there is room to send; it has
come to nothing, as `error` says; it need not be known any more."""

ECN_MARKED = 3
"""What the network says of a packet that it would rather have dropped (RFC 3168)."""

BETWEEN_ANSWERS = 500_000_000  # nanoseconds, to what has no data and is out of place
LEAST_TIMEOUT = 200_000_000  # nanoseconds, of which the longest wait is counted
PIECE_IN_MEMORY = 2304  # bytes that a segment takes in Linux's send buffer


class Connection:
    """One end of a connection."""

    __slots__ = (
        "alive_at",
        "answered_at",
        "error",
        "events",
        "heard_at",
        "idle_probes",
        "is_closed",
        "is_marked",
        "keep_between",
        "keep_count",
        "keep_idle",
        "keeps_alive",
        "largest_send_buffer",
        "offers_marks",
        "opened_at",
        "out",
        "receiver",
        "recent",
        "send_buffer",
        "send_buffer_is_fixed",
        "sender",
        "settings",
        "soft_error",
        "state",
        "syn_retries",
        "until",
        "user_timeout",
        "wants_room",
    )

    def __init__(self, settings: LinuxTCP, seq: int, mss: int) -> None:
        self.settings = settings
        self.sender = Sender(seq, mss - TIMESTAMPS, settings)
        self.receiver = Receiver(settings, mss)
        self.state = CLOSED
        self.out: list[Segment] = []
        """Segments to be sent, in order; whoever sends them empties it."""
        self.events = 0
        """What the program should be told; whoever tells it sets it to 0."""
        self.error = 0
        """Why it has failed, as a number of ``errno``."""
        self.soft_error = 0  # what the network has said meanwhile
        self.recent = 0  # the newest time of the other side
        self.is_closed = False
        """The program is done with it."""
        self.is_marked = (
            False  # the network has marked something, and the other side does not know that we know
        )
        self.offers_marks: bool = settings.ecn
        self.send_buffer: int = settings.first_send_buffer
        self.largest_send_buffer: int = settings.largest_send_buffer
        self.send_buffer_is_fixed = False
        self.wants_room = False
        """The program waits for room to send."""
        self.opened_at = self.heard_at = 0
        self.until = NEVER  # when the state ends by itself
        self.keeps_alive = False
        times = settings.keepalive_times
        self.keep_idle: int = times[0]  # nanoseconds after which it is asked, ...
        self.keep_between: int = times[1]  # ... those between two probes, ...
        self.keep_count: int = times[2]  # ... and how many there are
        self.alive_at = NEVER
        self.answered_at = -BETWEEN_ANSWERS  # when something out of place was
        self.idle_probes = 0
        self.syn_retries = 0
        """How often a syn, or the answer to one, is sent again; 0 for as often as the host says."""
        self.user_timeout = 0
        """Nanoseconds after which something not acknowledged is a failure; 0 for as usual."""

    # -- time -----------------------------------------------------------------------------------------

    def at(self, now: int) -> None:
        """It is a time now."""
        self.sender.now = self.receiver.now = now

    def due(self) -> int:
        """Return when `run_out` is to be called."""
        sender, receiver = self.sender, self.receiver
        due = sender.deadline
        if receiver.ack_by < due:
            due = receiver.ack_by
        if receiver.gathers_by < due:
            due = receiver.gathers_by
        if self.until < due:
            due = self.until
        return min(due, self.alive_at)

    def run_out(self, now: int) -> None:
        """Do what is due."""
        self.at(now)
        sender, receiver = self.sender, self.receiver
        if receiver.is_due(now):
            receiver.run_out()
        if now >= sender.deadline:
            if self.state == SYN_SENT or self.state == SYN_RECEIVED:
                self.ask_again()
            elif self.is_hopeless():
                self.fail(self.soft_error or errno.ETIMEDOUT)
            else:
                sender.expire()
        if now >= self.until:
            self.end()
        if now >= self.alive_at:
            self.look_whether_alive()
        self.flush()

    def is_hopeless(self) -> bool:
        """Say whether the time-out has run out too often."""
        sender = self.sender
        if sender.timer == WINDOW_PROBE:
            is_slow = sender.probe_delay() >= LONGEST_TIMEOUT
            return sender.probes >= (8 if self.is_closed else self.settings.retries) or (
                self.is_closed and is_slow
            )
        if sender.timer != RETRANSMIT or sender.resent_at < 0 or sender.expiries == 0:
            return False
        retries = 8 if self.is_closed else self.settings.retries
        longest = self.user_timeout or longest_wait(retries, LEAST_TIMEOUT)
        return sender.now - sender.resent_at >= longest

    def look_whether_alive(self) -> None:
        """Nothing was heard for long: ask whether the other side is there."""
        idle, now = self.keep_idle, self.sender.now
        if not self.keeps_alive or self.state == CLOSED or self.state == TIME_WAIT:
            self.alive_at = NEVER
        elif self.sender.waiting() or now - self.heard_at < idle:
            self.alive_at = wheel(now, idle - min(now - self.heard_at, idle - 1), self.settings.tick)
        elif self.idle_probes >= self.keep_count:
            self.reset()
            self.fail(self.soft_error or errno.ETIMEDOUT)
        else:
            self.idle_probes += 1
            self.out.append(self.make(ACK, self.sender.una - 1, b""))
            self.alive_at = wheel(now, self.keep_between, self.settings.tick)

    def keep_alive(self, wanted: bool, now: int) -> None:
        """Ask, or not, whether the other side is there when nothing was heard for long."""
        self.at(now)
        self.keeps_alive = wanted
        self.alive_at = wheel(now, self.keep_idle, self.settings.tick) if wanted else NEVER

    def keep_idle_for(self, idle: int, now: int) -> None:
        """Have it be idle for so many nanoseconds before it is asked, since something was heard."""
        self.at(now)
        self.keep_idle = idle
        if self.keeps_alive:
            waited = now - self.heard_at
            self.alive_at = wheel(now, idle - waited if waited < idle else 0, self.settings.tick)

    def acknowledge_quickly(self, wanted: bool, now: int) -> None:
        """Acknowledge at once from now on, until it is seen that there are answers to go with; or do not."""
        self.at(now)
        receiver = self.receiver
        receiver.interactive = not wanted
        if wanted and receiver.ack_by != NEVER:
            receiver.ack_now = True
            self.flush()

    # -- what the program does --------------------------------------------------------------------

    def open(self, now: int) -> None:
        """Ask for a connection."""
        self.at(now)
        self.opened_at = now
        self.state = SYN_SENT
        self.sender.nxt += 1
        self.ask()

    def accept(self, segment: Segment, now: int) -> None:
        """Answer one that asks for a connection."""
        self.at(now)
        self.opened_at = now
        self.state = SYN_RECEIVED
        self.sender.nxt += 1
        self.offers_marks = segment.flags & (ECE | CWR) == ECE | CWR
        self.sender.ecn = self.offers_marks
        self.take_options(segment)
        self.ask()

    def send(self, data: bytes, now: int) -> int:
        """Take bytes to be sent, as far as there is room; return how many."""
        self.at(now)
        size = min(len(data), max(self.room(), 0))
        if size:
            self.sender.put(data if size == len(data) else data[:size])
            self.flush()
        return size

    def read(self, most: int, now: int) -> bytes:
        """Return bytes that have come, at most so many; none if there are none."""
        self.at(now)
        data = self.receiver.read(most)
        if self.receiver.ack_now:
            self.flush()
        return data

    def room(self) -> int:
        """Return how many bytes may be put into the send buffer, which grows with the window."""
        sender = self.sender
        if not self.send_buffer_is_fixed:
            size = 2 * max(sender.window.size, 10, sender.reordering + 1) * PIECE_IN_MEMORY
            self.send_buffer = max(self.send_buffer, min(size, self.largest_send_buffer))
        return self.send_buffer - sender.waiting()

    def is_writable(self) -> bool:
        """Say whether there is room worth waking somebody for: a third of the buffer."""
        return self.room() >= self.sender.waiting() >> 1

    def is_readable(self) -> bool:
        """Say whether there is something to read, or the end."""
        return self.receiver.arrived_bytes > 0 or self.receiver.has_ended()

    def has_ended(self) -> bool:
        """Say whether everything has been read that will ever come."""
        return self.receiver.has_ended() and not self.receiver.arrived

    def shut_down(self, now: int) -> None:
        """Nothing more will be sent."""
        self.at(now)
        if self.state == ESTABLISHED:
            self.state = FIN_WAIT_1
        elif self.state == CLOSE_WAIT:
            self.state = LAST_ACK
        else:
            return
        self.sender.ends = 1
        self.flush()

    def close(self, now: int) -> None:
        """The program is done with it. What was sent goes on its way; if something was not read, reset."""
        self.at(now)
        self.is_closed = True
        if self.state == SYN_SENT:
            self.end()
        elif self.receiver.arrived_bytes:
            self.abort(now)
        else:
            self.shut_down(now)
            if self.state == FIN_WAIT_2:
                self.until = now + self.settings.fin_time

    def abort(self, now: int) -> None:
        """Break it off."""
        self.at(now)
        self.is_closed = True
        if self.state != CLOSED and self.state != TIME_WAIT and self.state != SYN_SENT:
            self.reset()
        self.end()

    def reset(self) -> None:
        """Have the other side know that there is no connection any more."""
        self.out.append(self.make(RST | ACK, self.sender.nxt, b""))

    def end(self) -> None:
        """There is nothing any more."""
        self.state = CLOSED
        self.sender.stop_timer()
        self.sender.ready.clear()
        self.receiver.ack_by = self.receiver.gathers_by = self.until = self.alive_at = NEVER
        self.receiver.ack_now = False
        self.events |= OVER

    def fail(self, error: int) -> None:
        """It has come to nothing."""
        self.error = error
        self.end()
        self.events |= FAILED | READABLE | WRITABLE

    # -- opening --------------------------------------------------------------------------------------

    def ask(self) -> None:
        """Send what opens it, and wait for an answer."""
        sender, receiver = self.sender, self.receiver
        flags = SYN
        if self.state == SYN_RECEIVED:
            flags |= ACK
            if self.offers_marks:
                flags |= ECE
        elif self.offers_marks:
            flags |= ECE | CWR
        segment = Segment(flags, sender.una, receiver.nxt, min(receiver.offered, 65535), b"")
        segment.mss = receiver.mss
        segment.scale = receiver.scale if self.settings.window_scaling else -1
        segment.sack_allowed = True
        segment.stamp, segment.echo = sender.now // 1_000_000, self.recent
        segment.options = SYN_OPTIONS
        segment.again = sender.expiries > 0
        self.out.append(segment)
        receiver.ack_now = False
        sender.set_timer(RETRANSMIT, sender.timeout())

    def ask_again(self) -> None:
        """There was no answer."""
        sender, settings = self.sender, self.settings
        asks = self.state == SYN_SENT
        retries = self.syn_retries or (settings.syn_retries if asks else settings.synack_retries)
        most = retries + settings.linear_syn_retries if asks else retries
        waited = sender.now - self.opened_at
        longest = self.user_timeout or longest_wait(retries, FIRST_TIMEOUT)
        if sender.expiries >= most or (asks and waited >= longest):
            self.fail(self.soft_error or errno.ETIMEDOUT)
            return
        sender.expiries += 1
        if not asks or sender.expiries > settings.linear_syn_retries:
            sender.backoff += 1
        sender.resent += 1
        self.ask()

    def take_options(self, segment: Segment) -> None:
        """Take what the other side has said of itself when it opened."""
        sender, receiver = self.sender, self.receiver
        receiver.begin(segment.seq, sender.now)
        if segment.mss > 0:
            sender.mss = min(sender.mss, segment.mss - TIMESTAMPS)
        if segment.scale < 0 or not self.settings.window_scaling:
            receiver.forgo_scaling()
        self.recent = max(segment.stamp, 0)
        sender.peer_window = sender.largest_window = segment.window
        sender.window_seq = segment.seq
        self.heard_at = sender.now

    def establish(self, segment: Segment) -> None:
        """The other side has answered."""
        sender = self.sender
        self.state = ESTABLISHED
        sender.stop_timer()
        sender.una = sender.high = segment.ack
        sender.board.highest = sender.board.lost_from = segment.ack
        if sender.expiries == 0:
            taken = sender.now - self.opened_at
        else:
            taken = max(sender.now // 1_000_000 - segment.echo, 1) * 1_000_000
        sender.trip.sample_least(taken, sender.now)
        sender.trip.sample(taken, sender.una, sender.nxt)
        if sender.resent > 1 and segment.echo != self.opened_at // 1_000_000:
            sender.window.size = 1  # RFC 6298, section 5.7; Linux forgives one
        sender.expiries = sender.backoff = 0
        sender.peer_window = segment.window
        sender.largest_window = max(sender.largest_window, segment.window)
        self.events |= CONNECTED | WRITABLE

    def take_in_syn_sent(self, segment: Segment) -> None:
        """Something has come, and nothing was heard of the other side before."""
        sender = self.sender
        flags = segment.flags
        if flags & ACK and segment.ack != sender.nxt:
            if not flags & RST:
                self.out.append(Segment(RST, segment.ack, 0, 0, b""))
            return
        if flags & RST:
            if flags & ACK:
                self.fail(errno.ECONNREFUSED)
            return
        if not flags & SYN:
            return
        sender.ecn = self.offers_marks and flags & (ECE | CWR) == (ECE if flags & ACK else ECE | CWR)
        self.take_options(segment)
        if flags & ACK:
            self.establish(segment)
            self.receiver.ack_now = True
        else:
            self.state = SYN_RECEIVED
            self.ask()

    # -- what comes -------------------------------------------------------------------------------

    def take(self, segment: Segment, mark: int, now: int) -> None:
        """Take a segment that has come, and what the network says of its packet."""
        self.at(now)
        sender, receiver = self.sender, self.receiver
        flags = segment.flags
        if self.state == SYN_SENT:
            self.take_in_syn_sent(segment)
            self.flush()
            return
        if self.state == CLOSED:
            return
        is_next = segment.seq == receiver.nxt and segment.stamp >= self.recent
        if not is_next and not self.is_due(segment):
            self.flush()
            return
        if segment.seq <= receiver.last_acked and segment.stamp > self.recent and not flags & RST:
            self.recent = segment.stamp
        if flags & (RST | SYN) or not flags & ACK or self.state >= TIME_WAIT:
            self.take_special(segment)
            self.flush()
            return
        self.heard_at = now
        self.idle_probes = 0
        if self.state == SYN_RECEIVED:
            if segment.ack != sender.nxt:
                self.out.append(Segment(RST, segment.ack, 0, 0, b""))
                return
            self.establish(segment)
        sender.echo = segment.echo if segment.stamp >= 0 else -1
        blocks = segment.sack
        duplicate = bool(blocks) and (
            blocks[0] < segment.ack or (len(blocks) > 2 and blocks[0] >= blocks[2] and blocks[1] <= blocks[3])
        )
        if not sender.acknowledge(segment, duplicate):
            receiver.ack_now = True
            self.flush()
            return
        if sender.ends == 2 and sender.una == sender.nxt:
            self.end_is_acknowledged()
        if segment.data or flags & FIN:
            self.take_data(segment, mark)
        if self.wants_room and self.is_writable():
            self.wants_room = False
            self.events |= WRITABLE
        self.flush()

    def is_due(self, segment: Segment) -> bool:
        """Say whether a segment is of now, and not from before or from somewhere else; if not, answer it.

        This is what `Linux` does with the tests of RFC 9293, section 3.10.7.4, and RFC 7323, section 5.3.
        """
        receiver = self.receiver
        flags = segment.flags
        if flags & SYN and self.state == SYN_RECEIVED:
            return True
        size = segment.end() - segment.seq
        if 0 <= segment.stamp < self.recent and not flags & RST and not self.is_late_duplicate(segment):
            if size or segment.seq >= receiver.nxt:
                self.answer_stray(segment)
            return False
        edge = max(receiver.last_acked + receiver.offered, receiver.nxt)
        if segment.end() < receiver.last_acked or segment.seq > edge:
            if not flags & RST:
                self.answer_stray(segment)
            return False
        return True

    def is_late_duplicate(self, segment: Segment) -> bool:
        """Say whether something is a mere acknowledgement that was overtaken, of what is known."""
        sender = self.sender
        if segment.end() != segment.seq or segment.seq != self.receiver.nxt or segment.ack != sender.una:
            return False
        return segment.window == sender.peer_window

    def answer_stray(self, segment: Segment) -> None:
        """Tell the other side where we are. Segments without data are answered twice a second at most."""
        sender, receiver = self.sender, self.receiver
        if not segment.data or segment.flags & SYN:
            if sender.now - self.answered_at < BETWEEN_ANSWERS:
                return
            self.answered_at = sender.now
        if segment.end() > segment.seq and segment.seq < receiver.nxt and not segment.flags & SYN:
            receiver.note_duplicate(segment.seq, min(segment.end(), receiver.nxt))
        receiver.ack_now = True

    def take_special(self, segment: Segment) -> None:
        """Take one that resets, opens, or comes when all is over."""
        sender, receiver = self.sender, self.receiver
        flags = segment.flags
        if flags & RST:
            if segment.seq == receiver.nxt or segment.seq == receiver.rightmost():
                self.be_reset()
            else:
                receiver.ack_now = True  # a challenge: RFC 5961, section 3.2
        elif flags & SYN:
            if self.state == SYN_RECEIVED and segment.seq + 1 == receiver.nxt:
                if flags & ACK and segment.ack == sender.nxt:  # both have asked at once
                    self.establish(segment)
                    receiver.ack_now = True
                else:
                    sender.resent += 1
                    self.ask()
            else:
                receiver.ack_now = True
        elif self.state == TIME_WAIT:
            if flags & FIN:
                self.until = sender.now + self.settings.wait_time
            if segment.data or flags & FIN:
                receiver.ack_now = True

    def be_reset(self) -> None:
        """The other side has broken it off."""
        if self.state == TIME_WAIT:
            self.end()
        elif self.state == CLOSE_WAIT:
            self.fail(errno.EPIPE)
        else:
            self.fail(errno.ECONNRESET)

    def end_is_acknowledged(self) -> None:
        """The other side has our end, and all before it."""
        if self.state == FIN_WAIT_1:
            self.state = FIN_WAIT_2
            if self.is_closed:
                self.until = self.sender.now + self.settings.fin_time
        elif self.state == CLOSING:
            self.wait_for_old_ones()
        elif self.state == LAST_ACK:
            self.end()

    def wait_for_old_ones(self) -> None:
        """Stay until all segments that are still somewhere have arrived."""
        self.state = TIME_WAIT
        self.until = self.sender.now + self.settings.wait_time
        self.alive_at = NEVER

    def take_data(self, segment: Segment, mark: int) -> None:
        """Take what the other side has sent."""
        sender, receiver = self.sender, self.receiver
        if receiver.has_ended():
            receiver.ack_now = True
            return
        if self.is_closed and segment.data and segment.seq + len(segment.data) > receiver.nxt:
            self.reset()  # nobody will read it
            self.end()
            return
        if sender.ecn:
            if segment.flags & CWR:
                self.is_marked = False
            if mark == ECN_MARKED:
                if not self.is_marked:
                    receiver.enter_quick(2)
                self.is_marked = True
        if segment.stamp >= 0:
            receiver.measure(segment, segment.echo)
        if receiver.take(segment, sender.trip.smoothed >> 3, sender.timeout()):
            self.events |= READABLE
            if receiver.has_ended():
                self.end_has_come()

    def end_has_come(self) -> None:
        """The other side will send nothing more."""
        receiver = self.receiver
        if self.state == ESTABLISHED:
            self.state = CLOSE_WAIT
            receiver.interactive = True  # the acknowledgement may go with our own end
            return
        receiver.ack_now = True
        if self.state == FIN_WAIT_1:
            self.state = CLOSING
        elif self.state == FIN_WAIT_2:
            self.wait_for_old_ones()

    def hear_of_trouble(self, error: int, now: int) -> None:
        """The network says that a packet could not be delivered (ICMP): RFC 5461."""
        self.at(now)
        if self.state == SYN_SENT:
            self.fail(error)
        else:
            self.soft_error = error

    def take_mtu(self, mss: int, now: int) -> None:
        """Segments have to be smaller (RFC 1191): what was sent in larger ones is sent again."""
        self.at(now)
        if mss - TIMESTAMPS < self.sender.mss:
            self.sender.cut(mss - TIMESTAMPS)
            self.flush()

    # -- what goes ------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Put all into `out` that is to be sent now."""
        sender, receiver = self.sender, self.receiver
        has_more = sender.unsent_bytes or sender.ends == 1
        sender.taken = 0
        if receiver.blocks or receiver.duplicate is not None:
            sender.taken = 4 + SACK_BLOCK * receiver.count_blocks()
        if has_more and ESTABLISHED <= self.state < TIME_WAIT and sender.send_new(MANY):
            sender.watch_window()
        if sender.ready:
            piece: Sent
            for piece in sender.ready:
                self.send_piece(piece)
            sender.ready.clear()
        if sender.probe_due:
            sender.probe_due = False
            self.out.append(self.make(ACK, sender.una - 1, b""))
        if receiver.ack_now and self.state > SYN_RECEIVED:
            self.out.append(self.make(ACK, sender.nxt, b""))

    def send_piece(self, piece: Sent) -> None:
        """Make a segment of a piece."""
        sender, receiver = self.sender, self.receiver
        flags = piece.flags | ACK
        if not piece.marks & EVER_AGAIN:
            if sender.reduced_for_mark and sender.ecn:
                flags |= CWR
            sender.reduced_for_mark = False
        if piece.data:
            sender.last_sent = sender.now
            if sender.now - receiver.last_came < receiver.patience:
                receiver.interactive = True
        segment = self.make(flags, piece.seq, piece.data)
        segment.again = bool(piece.marks & EVER_AGAIN)
        self.out.append(segment)

    def make(self, flags: int, seq: int, data: bytes) -> Segment:
        """Make a segment, which acknowledges what has come."""
        receiver = self.receiver
        if self.is_marked:
            flags |= ECE
        segment = Segment(flags, seq, receiver.nxt, receiver.offer(), data)
        segment.shift = receiver.scale
        segment.stamp = self.sender.now // 1_000_000
        segment.echo = self.recent
        segment.options = TIMESTAMPS
        if receiver.blocks or receiver.duplicate is not None:
            segment.sack = receiver.acknowledged_blocks((self.sender.mss - len(data) - 4) // SACK_BLOCK)
            if segment.sack:
                segment.options += 4 + SACK_BLOCK * (len(segment.sack) >> 1)
        receiver.was_acknowledged()
        return segment


def longest_wait(retries: int, first: int) -> int:
    """Return how long so many time-outs take, doubled each time up to two minutes, and the one after them.

    Arguments:
        retries: how many
        first: the first of them, in nanoseconds
    """
    doubled = min(retries, 6 if first == FIRST_TIMEOUT else 9)
    return ((2 << doubled) - 1) * first + (retries - doubled) * LONGEST_TIMEOUT
