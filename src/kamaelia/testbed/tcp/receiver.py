"""The receiving half of a connection: putting bytes in order, acknowledging them, saying how many may come.

**Acknowledgements** are sent for every second full segment, or after 40 ms (RFC 1122, 4.2.3.2); at once when
something comes out of order or fills a gap (RFC 5681, section 4.2); and at once for each of the first sixteen
segments, and of those after a pause, so that the sender gets going. More than a few in a row that tell of
gaps are gathered for a twentieth of a round trip.

**What has come out of order** is told in up to three blocks, the newest first (RFC 2018), and what has come
twice in one before these (RFC 2883).

**The window** opens with what is used of it. It is that part of the buffer that data take, beside what each
segment takes in memory. It begins at half of the first buffer; while segments come in, up to two more are
allowed for each; and once in a round trip the buffer is made large enough for twice what was read in the
last, up to its greatest size, so that the other side is never held up by it.
"""

from __future__ import annotations

from collections import deque

from .rack import NEVER, wheel
from .segment import FIN, MOST_BLOCKS, PSH, Segment
from .settings import LinuxTCP

LEAST_DELAY = 40_000_000  # nanoseconds by which an acknowledgement is put off
QUICK = 16  # segments that are acknowledged at once
FEW = 3  # acknowledgements of gaps in a row that are sent at once
GATHER = 1_000_000  # nanoseconds at most
OVERHEAD = 856  # bytes of memory that a segment takes beside its data


class Held:
    """Something that has come before its turn."""

    __slots__ = ("data", "end", "seq")

    def __init__(self, seq: int, end: int, data: bytes) -> None:
        self.seq = seq
        self.end = end
        self.data = data


class Block:
    """What has come out of order without a gap."""

    __slots__ = ("begin", "end")

    def __init__(self, begin: int, end: int) -> None:
        self.begin = begin
        self.end = end


class Receiver:
    """What one end of a connection receives."""

    __slots__ = (
        "ack_by",
        "ack_now",
        "arrived",
        "arrived_bytes",
        "blocks",
        "buffer",
        "buffer_is_fixed",
        "clamp",
        "copied",
        "duplicate",
        "end_seq",
        "full_size",
        "gap_acks",
        "gap_acks_from",
        "gathered",
        "gathers_by",
        "held",
        "held_bytes",
        "interactive",
        "largest_buffer",
        "last_acked",
        "last_came",
        "mss",
        "now",
        "nxt",
        "offered",
        "offered_most",
        "patience",
        "pushed",
        "quick",
        "ratio",
        "read_since",
        "read_until",
        "round_trip",
        "round_trip_echo",
        "scale",
        "space",
        "tick",
    )

    def __init__(self, settings: LinuxTCP, mss: int) -> None:
        self.mss = mss
        self.tick: int = settings.tick
        self.now = 0
        self.nxt = 0
        """The number of what comes next in order."""
        self.arrived: deque[bytes] = deque()
        self.arrived_bytes = 0
        """That are in order, and have not been read."""
        self.held: list[Held] = []  # what has come out of order, by number
        self.held_bytes = 0
        self.blocks: list[Block] = []  # of them, the newest first
        self.duplicate: tuple[int, int] | None = None  # what has come twice
        self.end_seq = -1
        """The number of the end, once it has come; -1 before."""
        self.copied = 0  # bytes that were read
        # The window
        self.buffer: int = settings.first_receive_buffer
        self.largest_buffer: int = settings.largest_receive_buffer
        self.buffer_is_fixed = False
        self.scale = min(max(max(self.largest_buffer, self.buffer).bit_length() - 16, 0), 14)
        self.ratio = 128  # of 256 parts of the buffer, how many are for data
        self.clamp = self.window_of(self.buffer)
        self.offered_most: int = self.clamp // mss * mss if self.clamp > mss else self.clamp
        self.offered = min(self.offered_most, 65535)  # bytes, in the last acknowledgement
        self.last_acked = 0  # its number
        self.space = min(self.offered, 10 * mss)  # bytes that were read in a round trip, at most
        self.read_since = 0
        self.read_until = 0
        self.round_trip = 0  # as one can tell from time stamps
        self.round_trip_echo = -1
        # When to acknowledge
        self.quick = 0  # segments still to be acknowledged at once
        self.interactive = False  # acknowledgements go with what is sent back
        self.patience = 0  # nanoseconds; 0 before anything has come
        self.last_came = 0
        self.full_size = 536  # what is taken for a full segment
        self.pushed = (
            0  # 1 after a segment that was not full or had the last of what was written, 2 after more
        )
        self.ack_now = False
        """An acknowledgement is due."""
        self.ack_by = NEVER
        """When one is, if nothing else happens."""
        self.gap_acks = 0
        self.gap_acks_from = -1
        self.gathered = 0
        self.gathers_by = NEVER
        """When those of gaps that were put off are due."""

    def begin(self, seq: int, now: int) -> None:
        """The other side has said with which number it begins; what comes next is after that."""
        self.nxt = self.last_acked = self.read_until = seq + 1
        self.read_since = now
        self.copied = seq + 1

    # -- what comes -------------------------------------------------------------------------------

    def take(self, segment: Segment, smoothed: int, timeout: int) -> bool:
        """Take the data of a segment, and its end; return whether something new is in order.

        Arguments:
            segment: that has come
            smoothed: the round trip, as the sender knows it; 0 if it does not
            timeout: the sender's time-out
        """
        seq, data, nxt = segment.seq, segment.data, self.nxt
        size = len(data)
        end = seq + size
        if size < self.full_size or segment.flags & PSH:
            self.pushed = min(self.pushed + 1, 2) if size < self.full_size else self.pushed or 1
        if segment.flags & FIN:
            self.end_seq = end
            end += 1  # it counts as a byte
        edge = self.last_acked + self.offered
        if end <= nxt or (seq >= edge and size):
            if end <= nxt:
                self.duplicate = (seq, end)
            self.enter_quick(QUICK)
            self.ack_now = True
            return False
        self.note_arrival(size, timeout)
        if seq > nxt:
            self.hold(seq, end, data)
            self.decide(smoothed)
            return False
        if seq < nxt:
            self.duplicate = (seq, nxt)
            data = data[nxt - seq :]
            self.enter_quick(QUICK)
        if data:
            self.arrived.append(data)
            self.arrived_bytes += len(data)
        self.nxt = end
        if self.held:
            self.join()
        self.decide(smoothed)
        return True

    def note_duplicate(self, begin: int, end: int) -> None:
        """Something has come twice, and is not even looked at."""
        self.duplicate = (begin, end)
        self.enter_quick(QUICK)

    def has_ended(self) -> bool:
        """Say whether the end has come, and all before it."""
        return 0 <= self.end_seq < self.nxt

    def hold(self, seq: int, end: int, data: bytes) -> None:
        """Keep what has come before its turn."""
        held = self.held
        place = len(held)
        before: Held
        while place:
            before = held[place - 1]
            if before.seq <= seq:
                break
            place -= 1
        if place and before.end > seq:
            self.duplicate = (seq, min(end, before.end))
            if before.end >= end:
                return
            data, seq = data[before.end - seq :], before.end
        while place < len(held):
            after: Held = held[place]
            if after.seq >= end:
                break
            if after.end <= end:  # it lies within
                self.duplicate = (after.seq, after.end)
                self.held_bytes -= len(after.data)
                del held[place]
                continue
            self.duplicate = (after.seq, end)
            data, end = data[: after.seq - seq], after.seq
        held.insert(place, Held(seq, end, data))
        self.held_bytes += len(data)
        self.note_block(seq, end)

    def rightmost(self) -> int:
        """Return the end of what has come out of order; -1 if there is none."""
        if not self.held:
            return -1
        last: Held = self.held[-1]
        return last.end

    def note_block(self, begin: int, end: int) -> None:
        """Put a block of what was held first, joined with those that it touches."""
        blocks = self.blocks
        place = 0
        while place < len(blocks):
            other: Block = blocks[place]
            if other.end < begin or other.begin > end:
                place += 1
            else:
                begin, end = min(begin, other.begin), max(end, other.end)
                del blocks[place]
        blocks.insert(0, Block(begin, end))

    def join(self) -> None:
        """The gap before what was held is filled."""
        held = self.held
        count = 0
        while count < len(held):
            one: Held = held[count]
            if one.seq > self.nxt:
                break
            count += 1
            self.held_bytes -= len(one.data)
            if one.end <= self.nxt:
                continue
            data: bytes = one.data[self.nxt - one.seq :] if one.seq < self.nxt else one.data
            if data:
                self.arrived.append(data)
                self.arrived_bytes += len(data)
            self.nxt = one.end
        if count:
            del held[:count]
            self.forget_blocks()
        self.ack_now = True

    def forget_blocks(self) -> None:
        """What lay in some blocks is in order now."""
        place = len(self.blocks)
        while place:
            place -= 1
            block: Block = self.blocks[place]
            if block.end <= self.nxt:
                del self.blocks[place]

    def read(self, most: int) -> bytes:
        """Return bytes that are in order, none if there are none."""
        arrived = self.arrived
        if not arrived:
            return b""
        data: bytes = arrived.popleft()
        if len(data) < most and arrived:
            pieces = [data]
            size = len(data)
            while arrived and size < most:
                data = arrived.popleft()
                pieces.append(data)
                size += len(data)
            data = b"".join(pieces)
        if len(data) > most:
            arrived.appendleft(data[most:])
            data = data[:most]
        size = len(data)
        self.arrived_bytes -= size
        self.copied += size
        self.adapt_buffer()
        self.after_read()
        return data

    # -- when to acknowledge ------------------------------------------------------------------------

    def note_arrival(self, size: int, timeout: int) -> None:
        """A segment has come: learn how large they are, how often they come, and let more come."""
        now = self.now
        if size > self.full_size:
            self.full_size = min(size, self.mss)
            self.ratio = (size << 8) // (size + OVERHEAD)
            self.clamp = self.window_of(self.buffer)
        if self.patience == 0:
            self.enter_quick(QUICK)
            self.patience = LEAST_DELAY
        else:
            pause = now - self.last_came
            if pause <= LEAST_DELAY >> 1:
                self.patience = (self.patience >> 1) + (LEAST_DELAY >> 1)
            elif pause < self.patience:
                self.patience = min((self.patience >> 1) + pause, timeout)
            elif pause > timeout:
                self.enter_quick(QUICK)
        self.last_came = now
        if size >= 128 and self.offered_most < self.clamp:
            room: int = min(self.clamp, self.free()) - self.offered_most
            if room > 0:
                self.offered_most += min(room, max(2 * self.mss, 2 * size))
                self.quick |= 1

    def enter_quick(self, most: int) -> None:
        """Acknowledge the next segments at once."""
        quick = min(self.offered // (2 * self.full_size), most) or 2
        if quick > self.quick:
            self.quick = quick
        self.interactive = False
        self.patience = LEAST_DELAY

    def decide(self, smoothed: int) -> None:
        """Something has come: acknowledge it now, or later."""
        if self.ack_now:
            return
        if (self.nxt - self.last_acked > self.full_size and self.select_window() >= self.offered) or (
            self.quick and not self.interactive
        ):
            self.ack_now = True
        elif not self.held:
            if self.ack_by == NEVER:
                delay = self.patience
                if delay > LEAST_DELAY:
                    most = 200_000_000 if self.interactive else 500_000_000
                    if smoothed:
                        most = min(most, max(smoothed, LEAST_DELAY))
                    delay = min(delay, most)
                self.ack_by = wheel(self.now, delay, self.tick)
        else:
            self.decide_about_gap(smoothed)

    def decide_about_gap(self, smoothed: int) -> None:
        """Acknowledgements that tell of gaps are sent at once, but not too many."""
        if self.gap_acks_from != self.nxt:
            self.gap_acks_from = self.nxt
            self.gap_acks = 0
        if self.gap_acks < FEW or self.gathered >= 44:
            self.gap_acks += 1
            self.ack_now = True
            return
        self.gathered += 1
        if self.gathers_by == NEVER:
            taken = self.round_trip
            if smoothed and (smoothed < taken or not taken):
                taken = smoothed
            self.gathers_by = self.now + min(GATHER, taken // 20)

    def was_acknowledged(self) -> None:
        """An acknowledgement goes out, of all that is in order."""
        self.last_acked = self.nxt
        self.ack_now = False
        self.ack_by = self.gathers_by = NEVER
        self.gathered = self.pushed = 0
        if self.quick:
            self.quick -= 1

    def is_due(self, now: int) -> bool:
        """Say whether an acknowledgement that was put off is due."""
        return now >= self.ack_by or now >= self.gathers_by

    def run_out(self) -> None:
        """The delay of an acknowledgement has run out: the other side is slower than was thought."""
        if self.now >= self.ack_by:
            if not self.interactive:
                self.patience = min(self.patience << 1, 200_000_000)
            else:
                self.interactive = False
                self.patience = LEAST_DELAY
        self.ack_now = True

    def after_read(self) -> None:
        """Something was read: if that opens the window much, say so."""
        if self.ack_now:
            return
        if self.ack_by != NEVER:
            has_all = self.pushed > (1 if self.interactive else 0) and not self.arrived_bytes
            if has_all or self.nxt - self.last_acked > self.full_size:
                self.ack_now = True
                return
        left = self.last_acked + self.offered - self.nxt
        if 2 * left <= self.clamp:
            window = self.select_window()
            if window and window >= 2 * left:
                self.ack_now = True

    def count_blocks(self) -> int:
        """Return how many blocks there are to tell of, as far as they fit."""
        return min(len(self.blocks) + (0 if self.duplicate is None else 1), MOST_BLOCKS)

    def acknowledged_blocks(self, most: int) -> tuple[int, ...]:
        """Return the blocks to tell of: what has come twice, and then what has come out of order.

        Arguments:
            most: how many there is room for
        """
        blocks: list[int] = []
        if most <= 0:
            return ()
        if self.duplicate is not None:
            blocks.extend(self.duplicate)
            self.duplicate = None
        block: Block
        for block in self.blocks:
            if len(blocks) >= 2 * min(most, MOST_BLOCKS):
                break
            blocks.append(block.begin)
            blocks.append(block.end)
        return tuple(blocks)

    # -- the window ---------------------------------------------------------------------------------

    def window_of(self, space: int) -> int:
        """Return how many bytes of data have room in so much memory."""
        return space * self.ratio >> 8

    def free(self) -> int:
        """Return how many bytes there is room for."""
        count: int = len(self.arrived) + len(self.held)
        return self.window_of(self.buffer - self.arrived_bytes - self.held_bytes - count * OVERHEAD)

    def select_window(self) -> int:
        """Return how many bytes may come now."""
        full: int = min(self.window_of(self.buffer), self.clamp)
        free: int = self.free()
        mss: int = min(self.full_size, full)
        if free < full >> 1:
            self.quick = 0
            free = free >> self.scale << self.scale
            if free < full >> 4 or free < mss:
                return 0
        free = min(free, self.offered_most)
        return ((free + (1 << self.scale) - 1) >> self.scale) << self.scale

    def offer(self) -> int:
        """Return the window for a segment that goes out now; it is never taken back."""
        left = max(self.last_acked + self.offered - self.nxt, 0)
        window = self.select_window()
        if window < left:
            window = ((left + (1 << self.scale) - 1) >> self.scale) << self.scale
        self.offered = min(window, 65535 << self.scale)
        return self.offered

    def adapt_buffer(self) -> None:
        """Once in a round trip: make room for twice what was read in it."""
        taken = self.round_trip
        if taken == 0 or self.now - self.read_since < taken:
            return
        read = self.copied - self.read_until
        if read > self.space:
            window = read << 1
            window += 2 * (window * (read - self.space) // self.space)
            if self.held:
                window += self.rightmost() - self.nxt
            self.space = read
            buffer = min((window << 8) // self.ratio, self.largest_buffer)
            if not self.buffer_is_fixed and buffer > self.buffer:
                self.buffer = buffer
                self.clamp = self.window_of(buffer)
        self.read_until = self.copied
        self.read_since = self.now

    def forgo_scaling(self) -> None:
        """The other side does not shift windows: there are 16 bits for them."""
        self.scale = 0
        self.clamp = min(self.clamp, 65535)
        self.largest_buffer = min(self.largest_buffer, 2 * 65535)

    def fix_buffer(self, size: int) -> None:
        """Have a buffer of this size, and no other. Before it is opened, the first window follows from it."""
        self.buffer = size
        self.buffer_is_fixed = True
        self.clamp = self.window_of(size)
        self.offered_most = min(self.offered_most, self.clamp)
        if self.last_acked == 0:
            self.scale = min(max(self.clamp.bit_length() - 16, 0), 14)
            self.offered_most = max(self.clamp // self.mss * self.mss, min(self.clamp, self.mss))
            self.offered = min(self.offered_most, 65535)
            self.space = min(self.offered, 10 * self.mss)

    def measure(self, segment: Segment, echo: int) -> None:
        """Measure the round trip from here, by the time that a full segment sends back."""
        if echo == self.round_trip_echo or len(segment.data) < self.full_size:
            return
        self.round_trip_echo = echo
        taken = max(self.now // 1_000_000 - echo, 1) * 1_000_000
        if self.round_trip:
            self.round_trip += (taken - self.round_trip) >> 3
        else:
            self.round_trip = taken
