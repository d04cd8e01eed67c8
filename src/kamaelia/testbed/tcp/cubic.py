"""CUBIC (RFC 9438), with HyStart, in whole numbers as Linux counts.

After a loss the window is a cubic function of the time since: it comes back fast to near where it was, stays
there for a while, and then looks for more, ever faster. So it does not depend on how long round trips take;
where Reno would be faster, on short ways, it goes as fast as that.

**HyStart** (Ha and Rhee 2011) ends slow start before it fills the queue: when the acknowledgements of a round
have come for half of the shortest round trip, or when the first eight of a round all took an eighth longer
than that.
"""

from __future__ import annotations

from .congestion import Reno, Window

SCALE = 1024
BETA = 717  # of it remain after a loss: 0.7
CUBE_SCALE = 410  # C = 0.4
UNIT_BITS = 10  # time is counted in 1/1024 s
CUBE_BITS = 10 + 3 * UNIT_BITS
FRIENDLY = 8 * (SCALE + BETA) // 3 // (SCALE - BETA)
MOST_AWAY = 250_000  # so that its cube has 64 bits
NO_ROUND_TRIP = 2**62

LEAST_WINDOW = 16  # packets from which HyStart looks
LEAST_SAMPLES = 8
CLOSE = 2_000_000  # nanoseconds: acknowledgements with less between them are a train
LEAST_RISE, MOST_RISE = 4_000_000, 16_000_000  # nanoseconds by which a round trip counts as longer
TRAIN_SLACK = 1_000_000  # nanoseconds


class Cubic(Reno):
    """The congestion control that Linux has used since 2006."""

    __slots__ = (
        "acked_since",
        "clock",
        "epoch",
        "every",
        "found",
        "last_ack",
        "last_size",
        "last_time",
        "least",
        "origin",
        "reno_size",
        "round_begins",
        "round_ends",
        "round_least",
        "samples",
        "seldom",
        "tick",
        "top",
    )

    name = "cubic"

    def __init__(self, window: Window, tick: int) -> None:
        self.window = window
        self.tick = tick
        self.seldom = 1_000_000_000 // tick // 32  # ticks: nothing is computed anew before, without need
        self.every = 0  # packets to be acknowledged for one more
        self.top = 0  # the window at the last loss
        self.last_size = self.last_time = 0
        self.origin = self.clock = 0  # of the curve: the window at its flat place, and when that is reached
        self.least = 0  # the shortest round trip
        self.epoch = 0  # when the curve began, in ticks; 0 for not yet
        self.acked_since = self.reno_size = 0
        self.found = False  # slow start has been ended here
        self.round_begins = self.last_ack = 0
        self.round_ends = -1
        self.round_least = NO_ROUND_TRIP
        self.samples = 0

    def forget(self) -> None:
        """See `Reno.forget`."""
        self.every = self.top = self.last_size = self.last_time = self.origin = self.clock = 0
        self.least = self.epoch = self.acked_since = self.reno_size = 0
        self.found = False
        self.round_ends = -1

    def reduced(self) -> int:
        """See `Reno.reduced`."""
        size = self.window.size
        self.epoch = 0
        if size < self.top:  # others need room: leave more than our share
            self.top = size * (SCALE + BETA) // (2 * SCALE)
        else:
            self.top = size
        return max(size * BETA // SCALE, 2)

    def grow(self, acked: int, now: int) -> None:
        """See `Reno.grow`."""
        window = self.window
        if not window.is_limited():
            return
        if window.size < window.threshold:
            acked = self.start_slowly(acked)
            if acked == 0:
                return
        self.find_pace(acked, now)
        self.add(self.every, acked)

    def find_pace(self, acked: int, now: int) -> None:
        """Say how many packets have to be acknowledged for the window to grow by one."""
        size = self.window.size
        ticks = now // self.tick + 1  # which is never 0
        self.acked_since += acked
        if self.last_size == size and ticks - self.last_time <= self.seldom:
            return
        if not (self.epoch and ticks == self.last_time):
            self.last_size = size
            self.last_time = ticks
            if self.epoch == 0:
                self.epoch = ticks
                self.acked_since = acked
                self.reno_size = size
                if self.top <= size:
                    self.clock = 0
                    self.origin = size
                else:
                    self.clock = cube_root((1 << CUBE_BITS) // CUBE_SCALE * (self.top - size))
                    self.origin = self.top
            self.follow_curve(size, ticks)
        self.keep_up_with_reno(size)
        if self.every < 2:
            self.every = 2

    def follow_curve(self, size: int, ticks: int) -> None:
        """Find the pace at which the window is where the curve is, a round trip from now."""
        passed = ((ticks - self.epoch) * self.tick + self.least) * 1024 // 1_000_000_000
        away = min(abs(passed - self.clock), MOST_AWAY)
        rise = (CUBE_SCALE * away * away * away) >> CUBE_BITS
        target = self.origin - rise if passed < self.clock else self.origin + rise
        if target > size:
            self.every = size // (target - size)
        else:
            self.every = 100 * size
        if self.top == 0 and self.every > 20:
            self.every = 20

    def keep_up_with_reno(self, size: int) -> None:
        """Be no slower than Reno with the same share of losses would be."""
        step = (size * FRIENDLY) >> 3
        while self.acked_since > step:
            self.acked_since -= step
            self.reno_size += 1
        if self.reno_size > size:
            most = size // (self.reno_size - size)
            if self.every > most:
                self.every = most

    def measure(self, taken: int, acked: int, following: int, now: int) -> None:
        """See `Reno.measure`."""
        if self.epoch and now // self.tick + 1 - self.epoch < 1_000_000_000 // self.tick:
            return  # what was measured right after a loss is not typical
        taken = max(taken, 1)
        if self.least == 0 or taken < self.least:
            self.least = taken
        window = self.window
        if not self.found and window.size < window.threshold:
            self.look_for_the_end(taken, acked, following, now)

    def look_for_the_end(self, taken: int, acked: int, following: int, now: int) -> None:
        """End slow start if the way is full: HyStart."""
        window = self.window
        if acked > self.round_ends:
            self.round_begins = self.last_ack = now
            self.round_ends = following
            self.round_least = NO_ROUND_TRIP
            self.samples = 0
        if window.size < LEAST_WINDOW:
            return
        if now - self.last_ack <= CLOSE:
            self.last_ack = now
            if now - self.round_begins > (self.least + TRAIN_SLACK) >> 1:
                self.found = True
                window.threshold = window.size
        if taken < self.round_least:
            self.round_least = taken
        if self.samples < LEAST_SAMPLES:
            self.samples += 1
        elif self.round_least > self.least + min(max(self.least >> 3, LEAST_RISE), MOST_RISE):
            self.found = True
            window.threshold = window.size

    def idled(self, since: int, now: int) -> None:
        """See `Reno.idled`: the curve stands still meanwhile."""
        if self.epoch and now > since:
            self.epoch = min(self.epoch + (now - since) // self.tick, now // self.tick + 1)


def cube_root(number: int) -> int:
    """Return the cube root of a whole number, rounded to the nearest that Newton's way finds from above."""
    if number < 2:
        return number
    root = 1 << (number.bit_length() + 2) // 3
    while True:
        better = (2 * root + number // (root * root)) // 3
        if better >= root:
            return root
        root = better


WAYS: dict[str, type[Reno]] = {"reno": Reno, "cubic": Cubic}
"""By the name that ``TCP_CONGESTION`` has."""
