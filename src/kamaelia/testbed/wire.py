"""Packets, and what carries them.

A **packet** knows the whole of its way, a tuple of channels, and how far it has come. It is its own entry
in the clock's queue: there is one event for each hop, "this packet is now here", and none for anything that
can be computed. At the end of a channel it enters the next one; after the last it arrives.

A **channel** is one direction of a link. What becomes of a packet is computed when it enters:

1. It waits for those before it: the channel is free again at ``free_at``, so no queue of packets is kept.
   If what waits already is more than the queue holds, the packet is *dropped*.
2. It takes its size divided by the rate to be sent.
3. It may be *lost*; then it has taken up the channel all the same.
4. It arrives after the delay, more or less the jitter, but never before one that was sent before it.

Each channel has two random streams of its own, for losses and for jitter, made from the seed and its name. So
another link, or another packet elsewhere, does not change what is lost here.
"""

from __future__ import annotations

import random
from asyncio import events
from typing import TYPE_CHECKING

from ..axon.clock import nanoseconds

if TYPE_CHECKING:
    from .loop import HostLoop
    from .simulation import Simulation


class Packet(events.TimerHandle):
    """Something under way. A subclass says what happens when it arrives, or is lost."""

    __slots__ = ("number", "path", "position", "protocol", "simulation", "size", "source", "target", "waits")

    protocol: str
    """What it is, in the trace."""
    waits: bool
    """It waits however long the queue is, instead of being dropped."""

    def __init__(
        self,
        simulation: Simulation,
        loop: HostLoop,
        path: tuple[Channel, ...],
        size: int,
        source: str,
        target: str,
    ) -> None:
        self._cancelled = False  # this and the next three make it a timer of the clock
        self._loop = loop  # the one that is running when it arrives
        self._scheduled = False
        self._when = 0.0
        self.simulation = simulation
        self.path = path
        self.position = 0
        self.size = size
        self.source = source
        self.target = target
        simulation.packets += 1
        self.number = simulation.packets

    def send(self) -> None:
        """Start on the way, now."""
        self.simulation.record("send", self)
        if self.path:
            self.path[0].carry(self)
        else:  # to the same host: no time passes, but others have their turn before
            self.simulation.clock.add_ready(self)

    def come_again(self, when: float) -> None:
        """Be where it is at a later time."""
        self.simulation.clock.add_timer(nanoseconds(when), self)

    def _run(self) -> None:
        path, position = self.path, self.position
        if position:
            path[position - 1].delivered += 1
        if position == len(path):
            self.simulation.record("deliver", self)
            self.arrive()
        elif position:
            self.simulation.record("forward", self, path[position].source)
            path[position].carry(self)
        else:
            self.resend()

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<packet {self.number}: {self.protocol} from {self.source} to {self.target}>"

    def arrive(self) -> None:
        """It has come to the end of its way."""
        raise NotImplementedError

    def lost(self) -> None:
        """It has not."""

    def resend(self) -> None:
        """Start once more, after it was lost and has `come_again`."""
        self.simulation.record("resend", self)
        self.path[0].carry(self)


class Channel:
    """One direction of a link, in one simulation. Rates are in bits, the rest in bytes and seconds."""

    __slots__ = (
        "_chance_of_jitter",
        "_chance_of_loss",
        "_last_arrival",
        "_queue_bits",
        "bytes",
        "delay",
        "delivered",
        "dropped",
        "free_at",
        "jitter",
        "loss",
        "lost",
        "name",
        "packets",
        "rate",
        "simulation",
        "source",
        "target",
    )

    def __init__(
        self,
        simulation: Simulation,
        source: str,
        target: str,
        number: int,
        *,
        delay: float,
        jitter: float,
        loss: float,
        rate: float | None,
        queue: int,
    ) -> None:
        self.simulation = simulation
        self.source = source
        self.target = target
        self.name = f"{source} > {target}" + (f" ({number})" if number > 1 else "")
        self.delay = delay
        self.jitter = jitter
        self.loss = loss
        self.rate = rate
        self.free_at = 0.0
        self.packets = self.bytes = self.delivered = self.lost = self.dropped = 0
        self._queue_bits = queue * 8
        self._last_arrival = 0.0
        self._chance_of_loss = random.Random(f"{simulation.seed}/{self.name}/loss").random
        self._chance_of_jitter = random.Random(f"{simulation.seed}/{self.name}/jitter").random

    def carry(self, packet: Packet) -> None:
        """Take a packet at this end, and compute when it is at the other."""
        simulation = self.simulation
        leaves = simulation.time
        self.packets += 1
        self.bytes += packet.size
        if self.rate is not None:
            bits = packet.size * 8
            if self.free_at > leaves:
                waiting = (self.free_at - leaves) * self.rate
                if waiting + bits > self._queue_bits and not packet.waits:
                    self.dropped += 1
                    simulation.record("drop", packet, self.name)
                    packet.lost()
                    return
                leaves = self.free_at
            leaves += bits / self.rate
            self.free_at = leaves
        if self.loss and self._chance_of_loss() < self.loss:
            self.lost += 1
            simulation.record("lose", packet, self.name)
            packet.lost()
            return
        arrival = leaves + self.delay
        if self.jitter:
            arrival += self.jitter * (2 * self._chance_of_jitter() - 1)
            if arrival < self._last_arrival:
                arrival = self._last_arrival
            self._last_arrival = arrival
        packet.position += 1
        packet.come_again(arrival)

    def __repr__(self) -> str:
        return f"<channel {self.name}>"


def delay_of(path: tuple[Channel, ...]) -> float:
    """Return the time that the smallest packet takes on a way that is free: the sum of the delays."""
    return sum((channel.delay for channel in path), 0.0)
