"""What has Linux judge TCP in a kernel of its own, as an instrument. Nothing here needs that kernel."""

from __future__ import annotations

import doctest
import shutil
from collections.abc import Sequence
from typing import Any

import pytest

from tools.fidelity import linux, uml
from tools.fidelity.dumbbell import Bulk, Dumbbell, Flows
from tools.fidelity.uml import BulkJob, FlowsJob
from tools.qdiscs.uml import Missing

from .test_ns3 import BELL, COUNTS

pytestmark = [pytest.mark.once, pytest.mark.one_core]

ANSWERS: list[dict[str, Any]] = [
    {**COUNTS, "received": 24_003_496, "seconds": 10.0, "rtt": 0.0204},
    {**COUNTS, "took": [0.0342, None], "rtt": 0.02},
]
JOBS: list[BulkJob | FlowsJob] = [BulkJob(BELL), FlowsJob(BELL, 10_000, repeats=2)]


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are there."""
    monkeypatch.setattr(shutil, "which", lambda name: name)


def test_without_a_program_it_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(Missing, match="no program nft: `make fidelity-deps` installs nftables"):
        uml.run(JOBS)


def test_jobs_are_told_all_and_answers_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def inside(program: str, jobs: Sequence[Any], modules: Sequence[str], length: float) -> Any:
        network = {"rate": 20e6, "rtt": 0.02, "queue": 50_000, "congestion": "reno", "lost": [7, 12, 100]}
        flows = {"what": "flows", "size": 10_000, "repeats": 2, "pause": 0.3, "limit": 30.0}
        assert list(jobs) == [{"what": "bulk", "seconds": 10.0, **network}, {**flows, **network}]
        assert program == "tools.fidelity.linux"
        assert length == pytest.approx(10 + 2 + 2 * 1.3 + 2)
        return "6.1.176", ANSWERS

    monkeypatch.setattr(uml, "inside", inside)
    assert uml.run(JOBS) == [
        Bulk(**COUNTS, received=24_003_496, seconds=10.0, rtt=0.0204),
        Flows(**COUNTS, took=(0.0342, None), rtt=0.02),
    ]


def test_what_failed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uml, "inside", lambda *words: ("6.1.176", [ANSWERS[0], {"failed": "no nft"}]))
    with pytest.raises(Missing, match=r"Linux 6\.1\.176: no nft"):
        uml.run(JOBS)


def test_linux_has_no_repaired_cubic() -> None:
    with pytest.raises(ValueError, match="congestion='cubic-repaired': Linux has cubic and reno"):
        uml.run([BulkJob(Dumbbell(20e6, 0.02, 50_000, "cubic-repaired"))])


def test_the_examples_are_right() -> None:
    assert doctest.testmod(linux) == (0, 1)


def test_rules_name_each_packet_that_is_dropped() -> None:
    rules = linux._rules([3, 14])
    assert "numgen inc mod 2147483647 vmap { 3 : drop, 14 : drop }" in rules
    assert rules.index("counter name came") < rules.index("numgen") < rules.index("counter name went")
    assert "numgen" not in linux._rules([])
