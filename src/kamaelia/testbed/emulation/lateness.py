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
from typing import TYPE_CHECKING, Any

from kamaelia.observe import Sketch
from kamaelia.observe.tables import quantity

from ...axon.clock import monotonic_nanoseconds

if TYPE_CHECKING:
    from .packets import Reader

MOST_BITS = 100_000_000
"""Bits a second, of one host and one direction, up to which lateness is small."""
MOST_PACKETS = 15_000
"""Packets a second, likewise."""
AT_ONCE = 8192  # that are kept before they are put into the sketch
SECOND = 10**9


@dataclass(frozen=True)
class Lateness:
    """How late packets left the box, in seconds, compared with what the model says."""

    packets: int
    """How many there were."""
    p50: float
    """Half were no later than that; within 1 %."""
    p99: float
    """Of a hundred, 99 were no later; within 1 %."""
    max: float
    """None was later."""


@dataclass(frozen=True)
class EmulationReport:
    """How faithful an emulation was; in ``trace.emulation``."""

    lateness: Lateness
    """Of all packets that were given to hosts."""
    busiest: dict[str, float]
    """The most that one host sent or received in a second: ``packets`` and ``bits``."""
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
            f"{quantity(self.busiest['bits'], 'bit/s')}"
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
        self._late: list[int] = []
        self._sketch = Sketch()
        self._looked = monotonic_nanoseconds()

    def late(self, nanoseconds: int) -> None:
        """A packet has left the box so long after its time."""
        self._late.append(nanoseconds)
        if len(self._late) >= AT_ONCE:
            self.fold()

    def fold(self) -> None:
        """Put what was kept into the sketch."""
        self._late, late = [], self._late
        for one in late:
            self._sketch.add(one)

    def look(self, now: int) -> None:
        """Find out how much passes, about once a second."""
        passed, self._looked = now - self._looked, now
        for one in self.of.values():
            one.look(max(passed, SECOND // 2) / SECOND)

    def report(self, reader: Reader) -> EmulationReport:
        """Return what has been."""
        self.look(monotonic_nanoseconds())
        sketch = self._sketch
        count = sketch.count
        late = [sketch.quantile(share) / SECOND if count else 0.0 for share in (0.5, 0.99, 1.0)]
        refused: dict[str, int] = {}
        for one in self.of.values():
            for why, packets in one.refused.items():
                refused[why] = refused.get(why, 0) + packets
        packets = max((one.most[0] for one in self.of.values()), default=0.0)
        bits = max((one.most[1] for one in self.of.values()), default=0.0)
        return EmulationReport(
            Lateness(count, *late),
            {"packets": packets, "bits": bits},
            self.is_urgent,
            reader.malformed,
            refused,
            tuple(_warnings(packets, bits, late[1])),
        )


def _warnings(packets: float, bits: float, late: float) -> Iterable[Any]:
    for value, most, unit in ((packets, MOST_PACKETS, "packets"), (bits, MOST_BITS, "bits")):
        if value > most:
            yield (
                f"a host sent or received {value:,.0f} {unit} in a second; the box is made for {most:,}, and "
                f"was {quantity(late, 's')} late at p99"
            )


__all__ = ["MOST_BITS", "MOST_PACKETS", "EmulationReport", "HostLoad", "Lateness", "Load"]
