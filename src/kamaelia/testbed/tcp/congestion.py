"""How many packets may be under way: the congestion window, and Reno, which is the plainest way to set it.

Both ways begin alike: **slow start** (RFC 5681) adds a packet for each that is acknowledged, until the
threshold; what follows is the matter of each. The window grows only while it is what holds the sender up
(RFC 7661), and that is found out by `Window.validate`.

A loss is answered by `Reno.reduced`, which says what the threshold is to be; that the window gets there
packet by packet is `recovery`'s.
"""

from __future__ import annotations

INFINITE = 2**31 - 1
"""A threshold that nobody has set."""


class Window:
    """The congestion window of a connection, in packets."""

    __slots__ = (
        "before",
        "count",
        "idle_since",
        "is_limiting",
        "most_out",
        "size",
        "threshold",
        "threshold_before",
        "usage_ends",
        "used",
    )

    def __init__(self, size: int) -> None:
        self.size = size
        self.threshold = INFINITE
        """Below it the window grows fast."""
        self.count = 0
        """Acknowledged packets that have not made it grow yet."""
        self.before = 0
        """What it was before it was reduced."""
        self.threshold_before = 0
        """What to go back to if that was for nothing; 0 if there is no going back."""
        self.is_limiting = False
        """It was what held up the sender, within this round trip."""
        self.most_out = 0  # packets, within this round trip
        self.usage_ends = 0  # the number of sequence that ends it
        self.used = 0  # packets at most, since nobody was held up by it
        self.idle_since = 0

    def is_limited(self) -> bool:
        """Say whether it may grow: it is what holds the sender up, or might soon."""
        return self.is_limiting or (self.size < self.threshold and self.size < 2 * self.most_out)

    def validate(self, limited: bool, out: int, acked: int, following: int, now: int, timeout: int) -> None:
        """Note how much of it is used, each time that something was sent; what was not used for long goes.

        Arguments:
            limited: it has held up the sender
            out: packets that have been sent and not been acknowledged
            acked: up to where all is acknowledged
            following: what is sent next
            now: the time
            timeout: after which it counts as unused
        """
        if acked >= self.usage_ends or limited or (not self.is_limiting and out > self.most_out):
            self.is_limiting = limited
            self.most_out = out
            self.usage_ends = following
        if self.is_limited():
            self.used = 0
            self.idle_since = now
            return
        if out > self.used:
            self.used = out
        if now - self.idle_since >= timeout:
            self._shrink_to_what_is_used(now)

    def _shrink_to_what_is_used(self, now: int) -> None:
        used = max(self.used, 10)
        if used < self.size:
            self.threshold = max(self.threshold, (self.size >> 1) + (self.size >> 2))
            self.size = (self.size + used) >> 1
        self.used = 0
        self.idle_since = now

    def restart(self, idle: int, timeout: int, first: int, now: int) -> None:
        """Halve it for each time-out for which nothing was sent, down to what a connection begins with."""
        self.threshold = max(self.threshold, (self.size >> 1) + (self.size >> 2))
        least = min(first, self.size)
        idle -= timeout
        size = self.size
        while idle > 0 and size > least:
            size >>= 1
            idle -= timeout
        self.size = max(size, least)
        self.idle_since = now
        self.used = 0


class Reno:
    """The congestion control of RFC 5681, and what others have in common with it."""

    __slots__ = ("window",)

    name = "reno"

    def __init__(self, window: Window, tick: int) -> None:
        self.window = window

    def reduced(self) -> int:
        """Return the threshold after a loss."""
        return max(self.window.size >> 1, 2)

    def grow(self, acked: int, now: int) -> None:
        """Some packets were acknowledged while nothing is lost."""
        window = self.window
        if not window.is_limited():
            return
        if window.size < window.threshold:
            acked = self.start_slowly(acked)
            if acked == 0:
                return
        self.add(window.size, acked)

    def start_slowly(self, acked: int) -> int:
        """Grow by a packet for each, up to the threshold; return those that are left over."""
        window = self.window
        size = min(window.size + acked, window.threshold)
        acked -= size - window.size
        window.size = size
        return acked

    def add(self, many: int, acked: int) -> None:
        """Grow by one packet for so many."""
        window = self.window
        if window.count >= many:
            window.count = 0
            window.size += 1
        window.count += acked
        if window.count >= many:
            window.size += window.count // many
            window.count %= many

    def measure(self, taken: int, acked: int, following: int, now: int) -> None:
        """A round trip was measured; for those who watch delays.

        Arguments:
            taken: how long it took
            acked: up to where all is acknowledged
            following: what is sent next
            now: the time
        """

    def forget(self) -> None:
        """All was lost: what was known about the way may be wrong."""

    def idled(self, since: int, now: int) -> None:
        """Something is sent, and nothing was under way since a time."""
