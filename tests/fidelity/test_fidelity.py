"""Simulated TCP against what the kernel was found to do: the figures that `make fidelity` has kept."""

from __future__ import annotations

import pytest

from tools.fidelity.__main__ import KEPT, load
from tools.fidelity.cells import SEEDS, Cell, cells
from tools.fidelity.runs import run
from tools.fidelity.table import rows

pytestmark = pytest.mark.one_core

# What the page names as missed. Once in each run a queue is too full, by three packets or by six: the kernel
# sends up to four at a time.
MISSED = {"20 Mbit/s, 80 ms, 0 %, 0.5 BDP, cubic": ("sent again",)}
KERNEL = {key: one for key, one in load(KEPT).items() if key[0] == "kernel"}


def test_the_cells_are_balanced() -> None:
    every = cells()
    assert len(every) == len({cell.name for cell in every}) == 24
    for queue in (0.5, 2.0):
        for control in ("cubic", "reno"):
            assert sum((cell.queue, cell.control) == (queue, control) for cell in every) == 6


def test_the_same_packets_are_lost_for_the_same_seed() -> None:
    first, second = (cells()[18] for _ in range(2))
    assert first.lost(1, "bulk") == second.lost(1, "bulk") != first.lost(2, "bulk")
    assert first.lost(1, "small-0 0") != first.lost(1, "small-0 1")
    assert 0.008 < len(first.lost(1, "bulk")) / (10 * first.rate / 8 / 500) < 0.012


def test_the_kernel_was_asked_about_every_cell() -> None:
    assert set(KERNEL) == {("kernel", cell.name, seed) for cell in cells() for seed in SEEDS}
    assert not any(KERNEL["kernel", cell.name, seed].is_void(cell) for cell in cells() for seed in SEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("cell", cells(), ids=lambda cell: cell.name)
def test_simulated_tcp_does_what_the_kernel_did(cell: Cell) -> None:
    found = {("simulated", cell.name, seed): run("simulated", cell, seed) for seed in SEEDS}
    (row,) = rows({**KERNEL, **found})
    assert [one for one in row.misses if not one.startswith(MISSED.get(cell.name, ("none",)))] == []
