"""What the stars written in Python share: what is simulated, how long it took, and whether it is right.

A sender, a router and VIEWERS viewers. For MILLISECONDS of the simulation's own time, the sender sends each
viewer a datagram of 1316 bytes every 5 ms; viewer i is sent its first one at i * 5 ms / VIEWERS, so they do
not all come at once. The first link has 10 Gbit/s (100 with more than 4000 viewers, who would fill it) and
20 ms, the last ones 20 Mbit/s and 5 ms. Each has a drop-tail queue of 64 packets, and the last ones lose one
packet in a hundred.

The figure is how many datagrams come a second of this computer's time, from the first one sent until all have
come. The network is made before that. `cpu` is the same in seconds of the processor, which are fewer on a
busy machine.
"""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.peers.stopwatch import numbers, report

VIEWERS, MILLISECONDS = numbers()
EVERY = 0.005
EACH = MILLISECONDS // 5
PAYLOAD = 1316
SIZE = PAYLOAD + 8 + 20  # with the heads of UDP and IP
LOSS = 0.01
QUEUE = 64
FIRST_RATE = 100e9 if VIEWERS > 4000 else 10e9
LAST_RATE = 20e6
FIRST_DELAY = 0.020
LAST_DELAY = 0.005
LATE = 0.9 * EACH - 20  # packets, more of which come to each viewer: see `check`
SENDING = SIZE * 8 / FIRST_RATE + SIZE * 8 / LAST_RATE

Times = tuple[float, float]

CLOSE = 1e-8  # seconds that a sum of many fractions may be off


class Viewer:
    """One who is sent to: counts, and remembers when the first and the last came, in the simulation's time.

    What may be the last one is known only to be among those when little is left to come. So the time of all
    others is not asked for, which in a simulation in Python could take a quarter of all the time.
    """

    __slots__ = ("first", "last", "now", "received", "start")

    now: Callable[[], float]  # says the simulation's time

    def __init__(self, index: int) -> None:
        self.start = index * EVERY / VIEWERS
        self.received = 0
        self.first = self.last = -1.0

    def take(self, packet: Any = None, source: Any = None) -> None:
        """A packet has come; what else there is to say of it is not looked at."""
        self.received = number = self.received + 1
        if number == 1:
            self.first = self.last = self.now()
        elif number > LATE:
            self.last = self.now()


def time_star(about: str, viewers: Sequence[Viewer], work: Callable[[], object], delay: float) -> None:
    """Simulate, check that what came is right and came after that delay, and report."""
    gc.collect()
    before = times()
    work()
    after = times()
    report_star(about, viewers, before, after, delay)


def times() -> tuple[float, float]:
    """Return what time it is, and how much of that of the processor has been used, both in seconds."""
    return time.perf_counter(), time.process_time()


def report_star(
    about: str, viewers: Sequence[Viewer], before: Times, after: Times, delay: float, close: float = CLOSE
) -> None:
    """Check what came between two times, and report how long it took."""
    check(viewers, delay, close)
    delivered = sum(viewer.received for viewer in viewers)
    seconds, cpu = after[0] - before[0], after[1] - before[1]
    report(
        about,
        viewers=VIEWERS,
        milliseconds=MILLISECONDS,
        delivered=delivered,
        seconds=seconds,
        cpu=cpu,
        rate=delivered / seconds,
        each=seconds / delivered,
    )


def check(viewers: Sequence[Viewer], delay: float, close: float = CLOSE) -> None:
    """Exit unless as much came as should, to five standard deviations, and no packet waited for another.

    `close` is how many seconds each may be off.
    """
    sent = VIEWERS * EACH
    delivered = sum(viewer.received for viewer in viewers)
    if abs(delivered - sent * (1 - LOSS)) > 5 * math.sqrt(sent * LOSS * (1 - LOSS)):
        sys.exit(f"{delivered} of {sent} packets came, and {LOSS:.0%} should be lost")
    heard = [viewer for viewer in viewers if viewer.received]
    firsts = [viewer.first - viewer.start - delay for viewer in heard]
    lasts = [viewer.last - viewer.start - delay for viewer in heard]
    # Of many viewers some get the first one that they are sent, and some the last one.
    wrong = [late for late in (*firsts, *lasts) if abs(late - round(late / EVERY) * EVERY) > close]
    wrong += [late for late in (min(firsts), max(lasts) - (EACH - 1) * EVERY) if abs(late) > close]
    if wrong:
        sys.exit(f"packets came {wrong[0]:g} s later than after {delay:g} s")
