"""What the judges have found, compared: one row for each cell, and what is asked of them all."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from .cells import Cell, cells
from .runs import UNFINISHED, Run

MEDIAN_GOODPUT, WORST_GOODPUT, RESENT, MEDIAN_FLOW, LATE_FLOW = 0.10, 0.25, 0.25, 0.20, 0.40
FEW = 4  # segments sent again: a difference of so many is none
SIZES = {10_000: "10 kB", 100_000: "100 kB", 1_000_000: "1 MB"}

Found = dict[tuple[str, str, int], Run]
"""By arm, name of the cell, and seed."""


def off(value: float, other: float) -> float:
    """Return by which share a value is off another."""
    return 0.0 if value == other else abs(value - other) / max(abs(other), 1e-9)


def quantile(values: list[float], share: float) -> float:
    """Return the smallest value that so many are no larger than."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


@dataclass
class Row:
    """One cell: what we say, what the kernel says, and what ns-3 says, if it was asked."""

    cell: Cell
    ours: list[Run]
    kernel: list[Run]
    ns3: list[Run]

    def goodput(self, runs: list[Run]) -> float:
        """Return the median of the seeds, in bits per second."""
        return statistics.median(run.goodput for run in runs)

    def resent(self, runs: list[Run]) -> int:
        """Return the sum of the seeds."""
        return sum(run.resent for run in runs)

    def flows(self, runs: list[Run], size: int) -> list[float]:
        """Return the times of all flows of a size."""
        return [took for run in runs for took in run.flows.get(size, [])]

    @property
    def off_goodput(self) -> float:
        """By how much our goodput is off the kernel's."""
        return off(self.goodput(self.ours), self.goodput(self.kernel))

    @property
    def off_resent(self) -> float:
        """By how much the number of segments that were sent again is."""
        ours, kernel = self.resent(self.ours), self.resent(self.kernel)
        return 0.0 if abs(ours - kernel) <= FEW else off(ours, kernel)

    def off_flow(self, size: int, share: float) -> float:
        """By how much a quantile of the times of flows is."""
        ours, kernel = self.flows(self.ours, size), self.flows(self.kernel, size)
        if not ours or not kernel:
            return UNFINISHED
        return off(quantile(ours, share), quantile(kernel, share))

    @property
    def misses(self) -> list[str]:
        """What is asked of each cell, and is not so here."""
        missed = []
        if self.off_goodput > WORST_GOODPUT:
            missed.append(f"goodput {self.off_goodput:.0%} off")
        if self.off_resent > RESENT:
            missed.append(f"sent again {self.off_resent:.0%} off")
        for size, name in SIZES.items():
            for share, most, what in ((0.5, MEDIAN_FLOW, "median"), (0.95, LATE_FLOW, "95th percentile")):
                found = self.off_flow(size, share)
                if found > most:
                    missed.append(f"{what} of {name} {found:.0%} off")
        return missed


def rows(found: Found) -> list[Row]:
    """Return the cells that both arms have been asked about."""
    made = []
    for cell in cells():
        arms = {
            arm: [run for (one, name, _), run in found.items() if (one, name) == (arm, cell.name)]
            for arm in ("simulated", "kernel", "ns-3")
        }
        if arms["simulated"] and arms["kernel"]:
            made.append(Row(cell, arms["simulated"], arms["kernel"], arms["ns-3"]))
    return made


def summary(table: list[Row]) -> list[tuple[str, str, bool]]:
    """Return what is asked, what was found, and whether it is so."""
    goodput = [row.off_goodput for row in table]
    resent = [row.off_resent for row in table]
    worst_cell = max(table, key=lambda row: row.off_goodput).cell.name
    result = [
        (
            f"goodput within {MEDIAN_GOODPUT:.0%} in the median",
            f"{statistics.median(goodput):.1%}",
            statistics.median(goodput) <= MEDIAN_GOODPUT,
        ),
        (
            f"goodput within {WORST_GOODPUT:.0%} in the worst cell",
            f"{max(goodput):.1%} ({worst_cell})",
            max(goodput) <= WORST_GOODPUT,
        ),
        (
            f"segments sent again within {RESENT:.0%} in each cell",
            f"{statistics.median(resent):.1%} in the median, {max(resent):.1%} at worst",
            max(resent) <= RESENT,
        ),
    ]
    for share, most, what in ((0.5, MEDIAN_FLOW, "median"), (0.95, LATE_FLOW, "95th percentile")):
        for size, name in SIZES.items():
            found = [row.off_flow(size, share) for row in table]
            result.append(
                (
                    f"{what} of the time of {name} within {most:.0%} in each cell",
                    f"{statistics.median(found):.1%} in the median, {max(found):.1%} at worst",
                    max(found) <= most,
                )
            )
    return result


def markdown(found: Found) -> str:
    """Return the tables for the documentation."""
    table = rows(found)
    lines = ["| asked | found | |", "| --- | --- | --- |"]
    for asked, answer, met in summary(table):
        lines.append(f"| {asked} | {answer} | {'met' if met else 'missed'} |")
    lines += [
        "",
        "| cell | goodput, Mbit/s | kernel | ns-3 | sent again | kernel | ns-3 "
        "| 10 kB, ms | kernel | 100 kB | kernel | 1 MB | kernel | missed |",
        "| --- " * 14 + "|",
    ]
    for row in table:
        cells_of_row = [row.cell.name]
        for runs in (row.ours, row.kernel, row.ns3):
            cells_of_row.append(f"{row.goodput(runs) / 1e6:.2f}" if runs else "")
        for runs in (row.ours, row.kernel, row.ns3):
            cells_of_row.append(str(row.resent(runs)) if runs else "")
        for size in SIZES:
            for runs in (row.ours, row.kernel):
                cells_of_row.append(_times(row.flows(runs, size)))
        cells_of_row.append("; ".join(row.misses))
        lines.append("| " + " | ".join(cells_of_row) + " |")
    return "\n".join(lines)


def _times(values: list[float]) -> str:
    """Return median and 95th percentile in milliseconds."""
    if not values:
        return ""
    shown = [quantile(values, share) for share in (0.5, 0.95)]
    return " / ".join("-" if one >= UNFINISHED else f"{one * 1e3:.0f}" for one in shown)
