"""The network over which TCP is judged, and what is counted there, whoever simulates or runs it.

    sender ------ ====== ------ receiver
                  rate, rtt, queue

The link in the middle is the same in both directions, but for what is lost. Which packets are lost is no
matter of chance: they are given by their numbers, so that all judges can lose the same ones. Packet 0 is the
first that leaves the bottleneck's queue towards the receiver, and that is the SYN. All that goes there is
counted, whatever it is, and where there are several connections from the first one to the last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

MTU = 1500

Congestion = Literal["cubic", "cubic-repaired", "reno"]


@dataclass(frozen=True)
class Dumbbell:
    """A network with one bottleneck, which is the same in both directions but for what is lost.

    Arguments:
        rate: of the bottleneck, in bits per second
        rtt: in seconds, without the time that packets wait, and that sending them takes
        queue: of the bottleneck, in bytes: drop-tail, at least a packet of 1500
        congestion: ``"cubic"`` or ``"reno"``; ns-3's CUBIC lacks some of RFC 9438, and has it as
            ``"cubic-repaired"``
        lost: the numbers, from 0 on, of the packets towards the receiver that are lost behind the queue

    Raises `ValueError` for what is none of that.
    """

    rate: float
    rtt: float
    queue: int
    congestion: Congestion = "cubic"
    lost: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not 1 <= self.rate < math.inf:
            raise ValueError(f"rate={self.rate!r}: give bits per second, such as 20e6")
        if not 0 <= self.rtt < 3600:
            raise ValueError(f"rtt={self.rtt!r}: give seconds, such as 0.08")
        if not MTU <= self.queue < 2**32 or self.queue % 1:
            raise ValueError(f"queue={self.queue!r}: give whole bytes, {MTU} at least")
        if self.congestion not in get_args(Congestion):
            raise ValueError(
                f"congestion={self.congestion!r}: it is one of {', '.join(get_args(Congestion))}"
            )
        wrong = [number for number in self.lost if not 0 <= number < 2**63]
        if wrong:
            raise ValueError(f"lost={wrong[0]!r}: packets are numbered from 0 on")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What was counted in a run, at the sender and at the bottleneck towards the receiver."""

    version: str
    """Of ns-3, or Linux."""
    segments: int
    """Segments sent that have data, SYN or FIN, however often."""
    retransmitted: int
    """How many of those had been sent before."""
    timeouts: int
    """How often a retransmission timeout came."""
    recoveries: int
    """How often fast recovery began."""
    packets: int
    """Packets that left the queue."""
    lost: int
    """How many of those were lost because of their number."""
    dropped: int
    """Packets for which the queue had no room."""
    rtt: float | None = None
    """The shortest round trip that the sender has seen, in seconds; None where it does not say."""


@dataclass(frozen=True, kw_only=True)
class Bulk(Counts):
    """One connection that has sent all the time."""

    received: int
    """Bytes that the receiving application got."""
    seconds: float
    """Within this time, counted from connect()."""

    @property
    def goodput(self) -> float:
        """Bits per second."""
        return self.received * 8 / self.seconds


@dataclass(frozen=True, kw_only=True)
class Flows(Counts):
    """Connections one after another, each with as many bytes."""

    took: tuple[float | None, ...]
    """Of each, seconds from connect() to the last byte at the receiver; None where that took too long."""
