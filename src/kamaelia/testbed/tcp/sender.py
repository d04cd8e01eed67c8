"""The sending half of a connection: what waits to be sent, when it may be, and what acknowledgements do.

A new segment is sent when the congestion window and the other side's window have room for it. One that is not
full waits for those before it, if one of them was not full either (Nagle's algorithm, RFC 9293 section
3.7.4, as Minshall mended it), unless it was asked not to.

When the other side's window is closed and nothing is under way, it is *probed*, so that its opening is not
missed: RFC 9293, section 3.8.6.1.
"""

from __future__ import annotations

from collections import deque

from .cubic import WAYS
from .rack import (
    ADVANCED,
    CONFIRMED,
    CONGESTED,
    DUPLICATE,
    HAS_DATA,
    NEVER,
    NEW_WINDOW,
    NOT_DUPLICATE,
    NOTHING,
    OPEN,
    ORIGINAL,
    PROBE,
    PROBE_DUPLICATE,
    RECOVERY,
    REDUCING,
    REORDERING,
    RETRANSMIT,
    SACKED_MORE,
    SET_TIMER,
    WINDOW_PROBE,
)
from .recovery import Recovery
from .round_trip import LONGEST_TIMEOUT
from .scoreboard import AGAIN, EVER_AGAIN, LOST, SACKED, Sent
from .segment import ECE, FIN, PSH, SYN, Segment
from .settings import LinuxTCP

MANY = 2**31
LONGEST_BURST = 65160  # bytes of data


class Sender(Recovery):
    """What one end of a connection sends."""

    __slots__ = (
        "ecn",
        "ends",
        "first_sacked",
        "first_window",
        "largest_window",
        "last_sacked",
        "last_sent",
        "late_from",
        "newest_delivered",
        "nodelay",
        "peer_window",
        "probe_due",
        "probes",
        "sack_blocks",
        "small_end",
        "taken",
        "unsent",
        "unsent_bytes",
        "unsent_from",
        "window_seq",
    )

    def __init__(self, seq: int, mss: int, settings: LinuxTCP) -> None:
        super().__init__(seq, mss, settings.initial_window, settings.floor, settings.tick)
        self.first_window: int = settings.initial_window
        self.peer_window = 0
        """How many bytes after `una` the other side takes."""
        self.largest_window = 0
        self.window_seq = seq  # of the segment that has said so
        self.unsent: deque[bytes] = deque()
        self.unsent_from = 0  # bytes of the first that have been sent
        self.unsent_bytes = 0
        """How many bytes wait to be sent."""
        self.ends = 0
        """1 if the end is to be sent after them, 2 if it has been."""
        self.nodelay = False
        self.small_end = -1  # the end of the last segment that was not full
        self.taken = 0
        """Bytes that the blocks of an acknowledgement take in the segments that are sent now."""
        self.last_sent = 0
        self.ecn = False
        """Both ends understand marks."""
        self.sack_blocks: tuple[int, ...] = ()  # of the last acknowledgement
        self.probes = 0
        """Of a closed window, without an answer since."""
        self.probe_due = False
        """One is to be sent."""
        # What the acknowledgement that is looked at shows:
        self.newest_delivered = -1  # how many were delivered when the newest of what it delivers was sent
        self.first_sacked = self.last_sacked = -1  # when the first and last were sent that it sacks
        self.late_from = NEVER  # the first that it sacks later than others that were sent after it

        self.use(settings.congestion)

    def use(self, name: str) -> None:
        """Take a congestion control by its name; what the window is, it stays."""
        self.congestion = WAYS[name](self.window, self.tick or 1_000_000)

    # -- what there is to send --------------------------------------------------------------------

    def put(self, data: bytes) -> None:
        """Have something be sent, after all that is."""
        self.unsent.append(data)
        self.unsent_bytes += len(data)

    def take(self, size: int) -> bytes:
        """Return the next bytes to send."""
        unsent = self.unsent
        first: bytes = unsent[0]
        begin = self.unsent_from
        left = len(first) - begin
        self.unsent_bytes -= size
        if size < left:
            self.unsent_from = begin + size
            return first[begin : begin + size]
        unsent.popleft()
        self.unsent_from = 0
        if size == left:
            return first[begin:] if begin else first
        pieces = [first[begin:] if begin else first]
        size -= left
        while size:
            first = unsent[0]
            if size < len(first):
                pieces.append(first[:size])
                self.unsent_from = size
                break
            pieces.append(unsent.popleft())
            size -= len(first)
        return b"".join(pieces)

    def waiting(self) -> int:
        """Return how many bytes wait for their acknowledgement, or to be sent."""
        return self.nxt - self.una + self.unsent_bytes

    def has_more(self) -> bool:
        """See `Recovery`."""
        return (self.unsent_bytes > 0 or self.ends == 1) and self.nxt < self.una + self.peer_window

    def segment_size(self) -> int:
        """Return how many bytes of data a full segment has: no more than half of the largest window seen.

        What the options of an acknowledgement take is not there for data.
        """
        most = self.largest_window >> 1 if self.largest_window > 536 else self.largest_window
        size = min(self.mss, max(most, 48)) if most else self.mss
        return size - self.taken

    def send_new(self, most: int) -> bool:
        """Send what may be sent, at most so many segments, and at least one if it is a probe (1).

        Returns whether nothing is under way and something could not be sent: the window is closed.
        """
        board, window = self.board, self.window
        mss = self.segment_size()
        sent = 0
        limited: bool = False
        burst = self.burst_size()
        edge = self.una + self.peer_window
        if board.out() == 0 and self.unsent_bytes and self.last_sent:
            self.look_for_idleness()
        while (self.unsent_bytes or self.ends == 1) and sent < most:
            room = 1 if most == 1 else window.size - board.in_flight()
            if room <= 0:
                limited = True
                break
            if self.nxt + min(self.unsent_bytes, mss) > edge:
                break
            if self.unsent_bytes > mss and most != 1 and self.gathers(room, edge, mss, burst):
                limited = room * mss < edge - self.nxt
                break
            count = self.send_burst(min(room, max(window.size >> 1, 1), burst), edge, mss, most == 1)
            if count == 0:
                break
            sent += count
        if sent:
            if self.is_reducing():
                self.prr_out += sent
            if most != 1:
                self.schedule_probe(False)
            limited = limited or board.in_flight() >= window.size
        if sent or limited:
            window.validate(limited, board.out(), self.una, self.nxt, self.now, self.timeout())
        return board.out() == 0 and (self.unsent_bytes > 0 or self.ends == 1)

    def send_burst(self, most: int, edge: int, mss: int, is_probe: bool) -> int:
        """Send some segments at once; return how many."""
        count = 0
        while count < most and (self.unsent_bytes or self.ends == 1):
            size = min(self.unsent_bytes, mss)
            if self.nxt + size > edge:
                break
            if size < mss and not self.ends and not is_probe and self.must_wait():
                break
            self.send_next(size, mss)
            count += 1
        if count > 1:
            last: Sent = self.ready[-1]
            last.flags |= PSH
        return count

    def gathers(self, room: int, edge: int, mss: int, burst: int) -> bool:
        """Say whether to wait for room for more: Linux would rather hand over many segments at once.

        Not if nothing was sent for a millisecond, nor if the next acknowledgement is not expected within one.
        """
        trip = self.trip.smoothed >> 3
        if self.state >= RECOVERY or self.now - self.last_sent > 1_000_000:
            return False
        for_window, for_peer = room * mss, edge - self.nxt
        limit = min(for_window, for_peer)
        if limit >= burst * mss or limit >= min(self.peer_window, self.window.size * mss) // 3:
            return False
        first = self.board.first()
        if first is None or first.time + trip - self.now > min(trip >> 1, 1_000_000):
            return False
        return limit <= min(self.unsent_bytes, LONGEST_BURST) or self.ends == 0

    def burst_size(self) -> int:
        """Return how many segments go out at once: what is sent in a millisecond, at least two.

        Linux hands them to the device as one, and marks the last with PSH.
        """
        trip = self.trip
        if trip.smoothed == 0:
            return 2
        window = self.window
        faster = 16 if window.size < window.threshold >> 1 else 10  # eighths of the rate of the window
        size = window.size * self.mss * faster * 1_000_000 // trip.smoothed
        size += 65536 >> min(trip.least // 512_000, 31)
        return min(max(size // self.mss, 2), 44)

    def must_wait(self) -> bool:
        """Say whether a segment that is not full waits for the acknowledgement of another."""
        return not self.nodelay and self.board.out() > 0 and self.small_end > self.una

    def send_next(self, size: int, mss: int) -> None:
        """Send the next bytes, in one segment, and the end with them if nothing follows."""
        data = self.take(size) if size else b""
        end = self.nxt + size
        flags = 0
        if not self.unsent_bytes:
            flags = PSH if data else 0
            if self.ends == 1:
                self.ends = 2
                flags |= FIN
                end += 1
        board = self.board
        was_empty = board.out() == 0
        piece = Sent(self.nxt, end, data, flags, self.now, self.delivered)
        if size < mss:
            self.small_end = end
        self.nxt = end
        board.add(piece)
        self.last_sent = self.now
        self.ready.append(piece)
        if was_empty or self.timer == PROBE:
            self.rearm()

    def look_for_idleness(self) -> None:
        """After a pause the network may have changed: begin with a smaller window (RFC 2861)."""
        idle = self.now - self.last_sent
        self.congestion.idled(self.last_sent, self.now)
        timeout = self.timeout()
        if idle > timeout:
            self.window.restart(idle, timeout, self.first_window, self.now)

    # -- an acknowledgement ---------------------------------------------------------------------------

    def acknowledge(self, segment: Segment, duplicate: bool) -> bool:
        """Take what a segment says of our sending; return False if it acknowledges what was never sent.

        Arguments:
            segment: that has come
            duplicate: its first block tells of something that has arrived twice
        """
        ack = segment.ack
        if ack > self.nxt:
            return False
        board = self.board
        prior_una, prior_delivered, prior_lost = self.una, self.delivered, board.lost
        prior_highest = board.highest if board.sacked_out else prior_una
        self.newest_delivered = self.first_sacked = self.last_sacked = -1
        self.late_from = NEVER
        if ack < prior_una:
            if segment.sack:
                flags = self.take_blocks(segment, prior_una, duplicate, 0)
                self.answer(prior_una, 0 if segment.data else 1, flags)
                self.send_after_recovery()
            return True
        flags = HAS_DATA if segment.data or segment.flags & (SYN | FIN) else 0
        flags = self.take_window(segment, flags)
        if ack > prior_una:
            flags |= ADVANCED
            self.expiries = 0
            self.una = ack
        if segment.sack or self.sack_blocks:
            flags = self.take_blocks(segment, prior_una, duplicate, flags)
        if segment.flags & ECE and self.ecn and not segment.flags & SYN:
            flags |= CONGESTED
        self.probes = 0
        if board.out() == 0:
            if flags & DUPLICATE:
                self.answer(prior_una, 0, flags)
            if self.timer == WINDOW_PROBE:
                if min(self.unsent_bytes, self.segment_size()) <= self.peer_window:
                    self.backoff = 0
                    self.stop_timer()
                else:
                    self.set_timer(WINDOW_PROBE, self.probe_delay())
            if self.probe_end >= 0:
                self.answer_probe(ack, flags)
            return True
        flags = self.clear(segment, prior_highest, flags)
        if self.newest_delivered >= 0:
            self.adapt_tolerance(self.newest_delivered)
        if self.probe_end >= 0:
            self.answer_probe(ack, flags)
        self.after_recovery = 0
        if self.state != OPEN or not flags & NOT_DUPLICATE or flags & (SACKED_MORE | CONGESTED):
            duplicates = 0 if flags & (ADVANCED | NOT_DUPLICATE | DUPLICATE) else 1
            flags = self.answer(prior_una, duplicates, flags)
        if flags & SET_TIMER:
            self.set_probe_or_rearm()
        arrived = self.delivered - prior_delivered
        if self.state == REDUCING or self.state == RECOVERY:
            self.reduce(arrived, board.lost - prior_lost, flags)
        elif arrived and flags & (CONFIRMED if self.reordering <= 3 else ADVANCED | SACKED_MORE):
            self.congestion.grow(arrived, self.now)
        if self.after_recovery:
            self.send_after_recovery()
        return True

    def send_after_recovery(self) -> None:
        """Send what `answer` has found should be."""
        if self.after_recovery == 2:
            self.send_new(MANY)
            if self.nxt > self.high:
                return
            self.frto = False
        if self.after_recovery:
            self.send_lost()

    def take_window(self, segment: Segment, flags: int) -> int:
        """Take how much the other side takes, if no older than what is known."""
        ack, window = segment.ack, segment.window
        if (
            ack > self.una
            or segment.seq > self.window_seq
            or (segment.seq == self.window_seq and (window > self.peer_window or window == 0))
        ):
            flags |= NEW_WINDOW
            self.window_seq = segment.seq
            self.peer_window = window
            if window > self.largest_window:
                self.largest_window = window
        return flags

    def take_blocks(self, segment: Segment, prior_una: int, duplicate: bool, flags: int) -> int:
        """Mark what the other side has got out of order (RFC 2018), and what it has got twice (RFC 2883)."""
        blocks = segment.sack
        first = 0
        if duplicate:
            first = 2
            flags = self.take_duplicate(blocks[0], blocks[1], segment.ack, prior_una, flags)
        before = self.sack_blocks
        board = self.board
        for place in range(first, len(blocks), 2):
            begin, end = blocks[place], blocks[place + 1]
            if end <= self.una or end > self.nxt or begin >= end:
                continue
            for other in range(0, len(before), 2):  # what was in a block before has been marked
                if before[other] <= begin < before[other + 1]:
                    begin = before[other + 1]
            if begin < end:
                flags = self.take_block(begin, end, flags)
        self.sack_blocks = blocks[first:]
        if self.late_from < board.highest:
            self.note_reordering(self.late_from, board.highest)
        return flags

    def take_block(self, begin: int, end: int, flags: int) -> int:
        """Mark what lies in a block."""
        board = self.board
        pieces = board.pieces
        index = board.find(begin)
        while index < len(pieces):
            piece: Sent = pieces[index]
            index += 1
            if piece.end > end:
                break
            if piece.seq < begin or piece.marks & SACKED or piece.end <= self.una:
                continue
            marks = piece.marks
            self.advance_rack(marks, piece.end, piece.time)
            if not marks & EVER_AGAIN:
                if piece.seq < board.highest and piece.seq < self.late_from:
                    self.late_from = piece.seq
                if piece.end <= self.high:
                    flags |= ORIGINAL
                if self.first_sacked < 0:
                    self.first_sacked = piece.time
                self.last_sacked = piece.time
            board.mark_sacked(piece)
            self.delivered += 1
            if piece.delivered > self.newest_delivered:
                self.newest_delivered = piece.delivered
            if piece.end > board.highest:
                board.highest = piece.end
            flags |= SACKED_MORE
        return flags

    def take_duplicate(self, begin: int, end: int, ack: int, prior_una: int, flags: int) -> int:
        """Something has arrived twice: it was sent again for nothing."""
        flags |= DUPLICATE
        if self.probe_end >= 0 and self.probe_again and end == self.probe_end:
            flags |= PROBE_DUPLICATE
        self.rack_duplicate = True
        if self.undo_from >= 0 and self.undo_left > 0 and end > self.undo_from:
            again = 1
            if end > prior_una:
                index = self.board.find(begin)
                pieces = self.board.pieces
                again = 1 if index < len(pieces) and pieces[index].marks & EVER_AGAIN else 0
            self.undo_left = max(0, self.undo_left - again)
        return flags

    def clear(self, segment: Segment, prior_highest: int, flags: int) -> int:
        """Forget what is acknowledged, and measure the round trip."""
        board = self.board
        una = self.una
        first_time = last_time = -1
        late_from = NEVER
        again = False
        piece = board.first()
        while piece is not None and piece.end <= una:
            marks = piece.marks
            if marks & EVER_AGAIN:
                again = True
            elif not marks & SACKED:  # what was sacked has been measured
                last_time = piece.time
                if first_time < 0:
                    first_time = last_time
                if piece.seq < late_from:
                    late_from = piece.seq
                if piece.end <= self.high:
                    flags |= ORIGINAL
            if not marks & SACKED:
                self.delivered += 1
                self.advance_rack(marks, piece.end, piece.time)
            if piece.delivered > self.newest_delivered:
                self.newest_delivered = piece.delivered
            if piece.end > board.highest:
                board.highest = piece.end
            board.remove_first()
            flags |= CONFIRMED
            piece = board.first()
        if piece is not None and piece.seq < una:  # in its midst
            piece.data = piece.data[una - piece.seq :]
            piece.seq = una
        if flags & CONFIRMED:
            flags |= SET_TIMER
            if late_from < prior_highest:
                self.note_reordering(late_from, prior_highest)
        return self.measure(segment, first_time, last_time, again, flags)

    def measure(self, segment: Segment, first_time: int, last_time: int, again: bool, flags: int) -> int:
        """Measure the round trip: by what has not been sent again, or else by the time stamp."""
        now = self.now
        taken = newest = -1
        if first_time >= 0 and not again:
            taken, newest = now - first_time, now - last_time
        sacked = now - self.first_sacked if self.first_sacked >= 0 else -1
        if sacked >= 0:
            newest = now - self.last_sacked
        if taken < 0:
            taken = sacked
        if taken < 0 and self.echo >= 0 and flags & CONFIRMED:
            taken = newest = max(now // 1_000_000 - self.echo, 1) * 1_000_000
        if taken >= 0:
            self.trip.sample_least(newest, now)
            self.trip.sample(taken, self.una, self.nxt)
            self.backoff = 0
            first = self.board.first()
            if not flags & CONFIRMED and sacked >= 0 and first is not None and sacked > now - first.time:
                flags |= SET_TIMER
        if newest >= 0:
            self.congestion.measure(newest, self.una, self.nxt, now)
        return flags

    def cut(self, mss: int) -> None:
        """Have no segment be larger than this from now on, not even those that were sent."""
        self.mss = mss
        board = self.board
        pieces = board.pieces[board.head :]
        board.pieces, board.head = [], 0
        for piece in pieces:
            large = len(piece.data) > mss and not piece.marks & SACKED
            if not large:
                board.pieces.append(piece)
                continue
            marks = piece.marks
            board.again_out -= 1 if marks & AGAIN else 0
            board.lost_out -= 1 if marks & LOST else 0
            for begin in range(0, len(piece.data), mss):
                data = piece.data[begin : begin + mss]
                is_last = begin + mss >= len(piece.data)
                seq = piece.seq + begin
                end = piece.end if is_last else seq + mss
                part = Sent(seq, end, data, piece.flags if is_last else 0, piece.time, piece.delivered)
                board.pieces.append(part)
                board.mark_lost(part)
        self.send_lost()

    # -- the timer ------------------------------------------------------------------------------------

    def expire(self) -> None:
        """The timer has run out."""
        timer = self.timer
        self.stop_timer()
        if timer == RETRANSMIT:
            self.run_out()
        elif timer == PROBE:
            self.probe()
        elif timer == REORDERING:
            self.stop_waiting()
        elif timer == WINDOW_PROBE:
            self.probe_window()

    def probe(self) -> None:
        """Send something, so that its acknowledgement tells what has become of the last (TLP)."""
        if self.probe_end < 0:
            out = self.board.out()
            if self.unsent_bytes or self.ends == 1:
                self.send_new(1)
            if self.board.out() > out:
                self.probe_again = False
                self.probe_end = self.nxt
            elif out:
                last: Sent = self.board.pieces[-1]
                last.marks |= EVER_AGAIN
                self.board.note_time(last, self.now)
                self.resent += 1
                self.ready.append(last)
                self.probe_again = True
                self.probe_end = self.nxt
        self.timer = NOTHING
        self.rearm()

    def watch_window(self) -> None:
        """The other side's window is closed: ask after a while whether it still is."""
        if self.timer == NOTHING:
            self.set_timer(WINDOW_PROBE, self.probe_delay())

    def probe_delay(self) -> int:
        """Return how long to wait before a closed window is probed."""
        return min(max(self.trip.timeout, self.trip.floor) << min(self.backoff, 10), LONGEST_TIMEOUT)

    def probe_window(self) -> None:
        """Send what fits if the window is open by less than a segment.

        If it is closed, have a segment be sent that has to be answered; `Connection` makes it.
        """
        room = min(self.una + self.peer_window - self.nxt, self.unsent_bytes)
        if room > 0:
            mss = self.segment_size()
            self.send_next(min(room, mss), mss)
            self.probes = self.backoff = 0
            return
        self.probes += 1
        self.backoff += 1
        self.probe_due = True
        self.watch_window()
