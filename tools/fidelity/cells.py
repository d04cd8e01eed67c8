"""The 24 networks in which TCP is compared, and which packets each of them loses.

All are dumbbells: a sender, two routers with the bottleneck between them, a receiver. Rates, round trips and
losses are combined in every way; for each of these, the length of the queue and the congestion control go
through their four combinations.

Which packets are lost is drawn here, by number, and given to all judges alike. For the bulk transfer that is
one list. Of the flows each has a list of its own, for what comes after its beginning: so one that takes a
packet more than elsewhere does not move the losses of all that follow.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from kamaelia.testbed.links import RandomStream

RATES = (5e6, 20e6, 100e6)  # bits per second
ROUND_TRIPS = (0.02, 0.08)  # seconds
LOSSES = (0.0, 0.001, 0.01, 0.02)
QUEUES = (0.5, 2.0)  # times what is under way in a round trip
CONTROLS = ("cubic", "reno")
SEEDS = (1, 2, 3)
SECONDS = 10.0  # of the bulk transfer
MTU = 1500


@dataclass(frozen=True)
class Lane:
    """Flows of one size, one after another, over a dumbbell of their own.

    Arguments:
        name: of the lane, and of its hosts
        size: bytes of a flow
        slot: seconds from the beginning of a flow to that of the next
        first: seconds from the beginning to the first
    """

    name: str
    size: int
    slot: float
    first: float

    @property
    def slots(self) -> int:
        """How many flows have time."""
        return math.floor((SECONDS - self.first) / self.slot)


@dataclass(frozen=True)
class Cell:
    """One of the networks."""

    rate: float
    round_trip: float
    loss: float
    queue: float
    control: str

    @property
    def name(self) -> str:
        """Short, and the same in all runs."""
        return (
            f"{self.rate / 1e6:g} Mbit/s, {self.round_trip * 1e3:g} ms, {self.loss * 100:g} %, "
            f"{self.queue:g} BDP, {self.control}"
        )

    @property
    def queue_bytes(self) -> int:
        """What may wait at the bottleneck."""
        return max(round(self.queue * self.rate * self.round_trip / 8), 2 * MTU)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """Where flows are sent, beside the bulk transfer; they begin at different times."""
        small, middle = (0.9, 1.6) if self.round_trip < 0.05 else (1.4, 2.4)
        return (
            *(Lane(f"small-{number}", 10_000, small, 0.3 + 0.21 * number) for number in range(4)),
            *(Lane(f"middle-{number}", 100_000, middle, 0.4 + 0.37 * number) for number in range(3)),
            *(Lane(f"large-{number}", 1_000_000, 4.7, 0.5 + 0.09 * number) for number in range(2)),
        )

    def lost(self, seed: int, what: str) -> list[int]:
        """Return which packets are lost, counted from 1, towards the receiver.

        Arguments:
            seed: of the run
            what: ``"bulk"``, or the name of a lane and the number of a slot
        """
        if not self.loss:
            return []
        place = f"{self.rate} {self.round_trip} {self.loss}"
        mark = hashlib.blake2b(place.encode(), digest_size=4).hexdigest()
        stream = RandomStream(seed, f"{mark} {what}")
        most = round(SECONDS * self.rate / 8 / 500) if what == "bulk" else 4000
        return [number for number in range(1, most + 1) if stream.random() < self.loss]


def cells() -> list[Cell]:
    """Return all of them."""
    found = []
    for first, rate in enumerate(RATES):
        for second, round_trip in enumerate(ROUND_TRIPS):
            for third, loss in enumerate(LOSSES):
                queue = QUEUES[(first + second + third) % 2]
                control = CONTROLS[(first + second + third // 2) % 2]
                found.append(Cell(rate, round_trip, loss, queue, control))
    return found
