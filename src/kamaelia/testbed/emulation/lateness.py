"""How faithful an emulation was: how late packets left the box, and how much the box had to do.

The model says when a packet arrives; the box can give it to its host only later, when it gets round to it.
That is its **lateness**. It is no error that adds up (`box`), but if it is not small beside the delays of the
network, what was measured is the box. So each run reports it, and says when it was asked for more than is
guaranteed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from kamaelia.observe.tables import percent, quantity

from ...axon.clock import monotonic_nanoseconds, thread_time

if TYPE_CHECKING:
    from .packets import Reader

MOST_BITS = 100_000_000
"""Bits a second, of one host and one direction, up to which lateness is small."""
MOST_PACKETS = 15_000
"""Packets a second, likewise."""
TOLERANCE = 1.05  # for a second is not measured to the last packet
MICROSECONDS = 100_000  # of lateness that are told apart; there is no time for more than one count a packet
SECOND = 10**9


@dataclass(frozen=True)
class Lateness:
    """How late packets left the box, in seconds, compared with what the model says."""

    packets: int
    """How many there were."""
    p50: float
    """Half were no later than that; in steps of a microsecond, up to 0.1 s."""
    p99: float
    """Of a hundred, 99 were no later; likewise."""
    max: float
    """None was later."""


@dataclass(frozen=True)
class EmulationReport:
    """How faithful an emulation was; in ``trace.emulation``."""

    lateness: Lateness
    """Of all packets that were given to hosts."""
    busiest: dict[str, float]
    """The most that one host sent or received in a second: ``packets`` and ``bits``."""
    busy: float
    """The share of one processor that the box has used."""
    is_urgent: bool
    """The box ran before all ordinary processes; that takes a right (CAP_SYS_NICE)."""
    malformed: int
    """What hosts have sent that is no packet."""
    refused: dict[str, int] = field(default_factory=dict)
    """Packets that a host's kernel did not take, by reason."""
    warnings: tuple[str, ...] = ()
    """What was asked for beyond what is guaranteed."""

    def __str__(self) -> str:
        late = self.lateness
        shown = ", ".join(f"{name} {quantity(getattr(late, name), 's')}" for name in ("p50", "p99", "max"))
        lines = [f"{late.packets:,} packets left the box late by {shown}"]
        lines.append(
            f"the busiest second of a host: {self.busiest['packets']:,.0f} packets, "
            f"{quantity(self.busiest['bits'], 'bit/s')}; the box used {percent(self.busy)} of a processor"
        )
        return "\n".join([*lines, *self.warnings])


class HostLoad:
    """What has passed the device of one host."""

    __slots__ = ("before", "bytes_in", "bytes_out", "most", "packets_in", "packets_out", "refused")

    def __init__(self) -> None:
        self.packets_in = self.packets_out = self.bytes_in = self.bytes_out = 0
        self.before = (0, 0, 0, 0)
        self.most = (0.0, 0.0)
        self.refused: dict[str, int] = {}

    def refuse(self, error: OSError) -> None:
        """The kernel did not take a packet."""
        why = errno.errorcode.get(error.errno or 0, os.strerror(error.errno or 0))
        self.refused[why] = self.refused.get(why, 0) + 1

    def look(self, seconds: float) -> None:
        """Some time has passed."""
        now = (self.packets_in, self.packets_out, self.bytes_in, self.bytes_out)
        rates = [(one - other) / seconds for one, other in zip(now, self.before, strict=True)]
        self.before = now
        packets, size = max(rates[:2]), 8 * max(rates[2:])
        self.most = max(self.most[0], packets), max(self.most[1], size)


class Load:
    """What a box has had to do.

    Arguments:
        hosts: the names of those that have devices
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        self.of = {name: HostLoad() for name in hosts}
        self.is_urgent = False
        self._late = [0] * MICROSECONDS
        self._latest = 0
        self.begin()

    def begin(self) -> None:
        """The time has begun."""
        self._began = self._looked = monotonic_nanoseconds()
        self._worked = thread_time()

    def late(self, nanoseconds: int) -> None:
        """A packet has left the box so long after its time."""
        if nanoseconds > self._latest:
            self._latest = nanoseconds
        self._late[min(nanoseconds // 1000, MICROSECONDS - 1)] += 1

    def lateness(self) -> Lateness:
        """Return how late packets were."""
        count = sum(self._late)
        most = self._latest / SECOND
        found = []
        for share in (0.5, 0.99):
            rank, passed = ceil(share * count), 0
            for microseconds, packets in enumerate(self._late, 1):
                passed += packets
                if passed >= rank:
                    found.append(min(most, microseconds / 1e6))
                    break
        return Lateness(count, found[0], found[1], most)

    def look(self, now: int) -> None:
        """Find out how much passes, about once a second."""
        passed, self._looked = now - self._looked, now
        for one in self.of.values():
            one.look(max(passed, SECOND // 2) / SECOND)

    def report(self, reader: Reader) -> EmulationReport:
        """Return what has been."""
        self.look(monotonic_nanoseconds())
        late = self.lateness()
        refused: dict[str, int] = {}
        for one in self.of.values():
            for why, number in one.refused.items():
                refused[why] = refused.get(why, 0) + number
        packets = max((one.most[0] for one in self.of.values()), default=0.0)
        bits = max((one.most[1] for one in self.of.values()), default=0.0)
        return EmulationReport(
            late,
            {"packets": packets, "bits": bits},
            (thread_time() - self._worked) / max(1e-9, (monotonic_nanoseconds() - self._began) / SECOND),
            self.is_urgent,
            reader.malformed,
            refused,
            tuple(_warnings(packets, bits, late.p99)),
        )


def _warnings(packets: float, bits: float, late: float) -> Iterable[Any]:
    for value, most, unit in ((packets, MOST_PACKETS, "packets"), (bits, MOST_BITS, "bits")):
        if value > most * TOLERANCE:
            yield (
                f"a host sent or received {value:,.0f} {unit} in a second; the box is made for {most:,}, and "
                f"was {quantity(late, 's')} late at p99"
            )


__all__ = ["MOST_BITS", "MOST_PACKETS", "EmulationReport", "HostLoad", "Lateness", "Load"]
