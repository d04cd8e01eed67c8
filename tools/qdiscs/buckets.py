"""Cases for the token bucket: tbf of the running kernel, and the same of ours.

Where packets come all the time, some come at the very moment at which another may go, and the kernel's timer
is late by some microseconds. So it may drop one where ours drops the next. That is no difference, as long as
neither is ever ahead of the other by more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kamaelia.testbed.links import TokenBucket

from . import ours, real
from .compare import Shaped, shaped
from .streams import Packet, bursts, merged, steady


@dataclass(frozen=True)
class Bucket:
    """A token bucket, and what is sent to it."""

    name: str
    packets: list[Packet]
    rate: int
    """Bits per second."""
    burst: int
    """Bytes."""
    limit: int
    """Bytes that wait, at most."""
    peak: int = 0
    """Bits per second; with 0 there is no second bucket, and else it is as deep as a packet of 1500 bytes."""
    tail: float = 0.3
    """Seconds in which nothing comes, after which all has come."""

    @property
    def qdisc(self) -> str:
        """What `tc` is told."""
        words = f"tbf rate {self.rate}bit burst {self.burst}b limit {self.limit}b"
        return f"{words} peakrate {self.peak}bit mtu 1500b" if self.peak else words

    @property
    def link(self) -> dict[str, Any]:
        """What our link is told."""
        peak = self.peak or None
        queue = TokenBucket(rate=self.rate, burst=self.burst, peak_rate=peak, queue=self.limit)
        return {"queue": queue}

    def compare(self) -> Shaped:
        """Send the packets through both."""
        seen = real.through([self.qdisc], self.packets, self.tail)
        model = ours.through(self.link, self.packets, seen.arrived)
        return shaped(seen, model, [packet.size for packet in self.packets])


SHORT = (
    Bucket("a burst that fills it", bursts(60, 0.25, 2), 400_000, 3000, 8000),
    Bucket("packets of all sizes", bursts(40, 0.29, 2, (1500, 60, 700, 300)), 400_000, 3600, 9000),
    Bucket("a peak rate", bursts(40, 0.29, 2), 400_000, 9000, 8000, peak=800_000),
    Bucket("some larger than the bucket", bursts(20, 0.25, 2, (1400, 900)), 400_000, 1000, 8000),
)
"""Half a second each, and clear about what is dropped: a burst has come long before one more may go."""

LONG = (
    *SHORT,
    Bucket("bursts for ten seconds", bursts(100, 0.25, 40, (1500, 60, 700)), 2_000_000, 8000, 40_000),
    Bucket("twice what it carries", steady(8e6, 10), 4_000_000, 16_000, 50_000),
    Bucket("a little more than it carries", steady(10.4e6, 10, 1500), 10_000_000, 16_000, 75_000),
    Bucket("a little less than it carries", steady(9.6e6, 10, 1500), 10_000_000, 3000, 75_000),
    Bucket("50 Mbit/s", steady(60e6, 3, 1500), 50_000_000, 30_000, 150_000),
    Bucket(
        "two kinds of packets, with a peak rate",
        merged(bursts(50, 0.5, 20), steady(1e6, 10, 300, flow=1)),
        3_000_000,
        15_000,
        40_000,
        peak=6_000_000,
    ),
)
"""A minute in all."""
