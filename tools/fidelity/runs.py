"""One cell with one seed, judged by one of three: our simulation, the kernel of this machine, or ns-3.

Each answers with a `Run`. That of the kernel is void, and has to be repeated, when the box that lies between
its hosts was late: by more than a millisecond, or a twentieth of the delay, for one packet in a hundred.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from . import ns3
from .cells import SECONDS, Cell, Lane
from .dumbbell import Dumbbell
from .scenario import build, seconds

ARMS = ("simulated", "kernel", "ns-3")
UNFINISHED = 1e9  # seconds: a flow that has not ended in time took longer than all others


@dataclass
class Run:
    """What a judge has found.

    Arguments:
        goodput: of the bulk transfer, in bits per second
        resent: segments that it has sent again
        flows: by size, how many seconds each flow took, from asking for the connection to its last byte
        lateness: of the box at the 99th percentile, in seconds; 0 without real time
    """

    goodput: float
    resent: int
    flows: dict[int, list[float]] = field(default_factory=dict)
    lateness: float = 0.0

    def is_void(self, cell: Cell) -> bool:
        """Say whether the box was too late to tell."""
        return self.lateness > min(0.001, 0.05 * cell.round_trip / 2)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Run:
        """Return what `to_json` has kept."""
        flows = {int(size): took for size, took in value["flows"].items()}
        return cls(value["goodput"], value["resent"], flows, value["lateness"])


def run(arm: str, cell: Cell, seed: int) -> Run:
    """Run a cell, and return what was found. Raises `ns3.Missing`, and `EmulationError`."""
    if arm == "ns-3":
        return _by_ns3(cell, seed)
    network = build(cell, seed)
    if arm == "simulated":
        trace = network.simulate(seconds=seconds(cell) + 1, seed=seed, keep=None)
    else:
        trace = network.emulate(seconds=seconds(cell) + 1, seed=seed, keep=None)
    results = trace.results
    flows: dict[int, list[float]] = {}
    for lane in cell.lanes:
        flows.setdefault(lane.size, []).extend(
            _times(lane, results[f"{lane.name}-from"], results[f"{lane.name}-to"])
        )
    return Run(
        results["bulk-to"][0][0] * 8 / SECONDS,
        results["bulk-from"],
        flows,
        0.0 if arm == "simulated" else trace.emulation.lateness.p99,
    )


def _times(lane: Lane, sent: list[tuple[int, float]] | None, came: list[tuple[int, float]]) -> list[float]:
    """Return how long each flow took that began."""
    begun = [began for _, began in sent or ()]
    ended = [last if count == lane.size else None for count, last in came]
    ended += [None] * (len(begun) - len(ended))
    return [UNFINISHED if last is None else last - began for began, last in zip(begun, ended, strict=False)]


def _by_ns3(cell: Cell, seed: int) -> Run:
    """Ask ns-3, which counts packets from 0."""
    control: Any = cell.control

    def dumbbell(what: str) -> Dumbbell:
        lost = frozenset(number - 1 for number in cell.lost(seed, what))
        return Dumbbell(cell.rate, cell.round_trip, cell.queue_bytes, control, lost)

    bulk = ns3.bulk(dumbbell("bulk"), SECONDS)
    flows: dict[int, list[float]] = {}
    for lane in cell.lanes:
        for slot in range(lane.slots):
            (took,) = ns3.flows(dumbbell(f"{lane.name} {slot}"), lane.size).took
            flows.setdefault(lane.size, []).append(UNFINISHED if took is None else took)
    return Run(bulk.goodput, bulk.retransmitted, flows)
