"""How long a round trip takes, and how long to wait for an acknowledgement: RFC 6298 as Linux has it.

The time-out is the smoothed round trip plus four mean deviations, and the latter part is never below the
least time-out (200 ms), so that a connection of 20 ms waits 220 ms. A deviation downwards counts an eighth,
which is Linux's own; and the deviation taken is the largest within a round trip, and sinks slowly.

Beside that it knows the shortest round trip of the last five minutes, which RACK needs.
"""

from __future__ import annotations

FIRST_TIMEOUT = 1_000_000_000
"""Nanoseconds, before anything is known (RFC 6298, section 2.1)."""
LONGEST_TIMEOUT = 120_000_000_000
WINDOW = 300_000_000_000
"""Nanoseconds for which the shortest round trip counts."""
NONE = 2**62


class RoundTrip:
    """The estimates of one connection. All times are in nanoseconds."""

    __slots__ = (
        "deviation",
        "floor",
        "highest",
        "least",
        "least_since",
        "round_ends",
        "smoothed",
        "timeout",
        "variation",
    )

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.smoothed = 0
        """Eight times the smoothed round trip; 0 before the first."""
        self.deviation = 0  # four times the mean deviation
        self.highest = 0  # of them in this round trip
        self.variation = 0
        self.round_ends = 0  # the number of sequence that ends it
        self.timeout = FIRST_TIMEOUT
        """How long to wait for an acknowledgement, before any doubling."""
        self.least = NONE
        """The shortest of late."""
        self.least_since = 0

    def sample(self, taken: int, acked: int, following: int) -> None:
        """Take one measurement.

        Arguments:
            taken: how long the round trip took
            acked: up to where all is acknowledged
            following: what is sent next
        """
        if self.smoothed == 0:
            self.smoothed = taken << 3
            self.deviation = taken << 1
            self.variation = self.highest = max(self.deviation, self.floor)
            self.round_ends = following
        else:
            error = taken - (self.smoothed >> 3)
            self.smoothed += error
            if error < 0:
                change = -error - (self.deviation >> 2)
                if change > 0:
                    change >>= 3
            else:
                change = error - (self.deviation >> 2)
            self.deviation += change
            if self.deviation > self.highest:
                self.highest = self.deviation
                if self.highest > self.variation:
                    self.variation = self.highest
            if acked > self.round_ends:
                if self.highest < self.variation:
                    self.variation -= (self.variation - self.highest) >> 2
                self.round_ends = following
                self.highest = self.floor
        self.timeout = min((self.smoothed >> 3) + self.variation, LONGEST_TIMEOUT)

    def sample_least(self, taken: int, now: int) -> None:
        """Keep the shortest of the last minutes."""
        if taken <= self.least or now - self.least_since > WINDOW:
            self.least, self.least_since = max(taken, 1), now
