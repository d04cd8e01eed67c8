"""What compares our queues with those of ns-3, as a measuring instrument; nothing here needs ns-3."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks import queues
from benchmarks.queues import Comparison, Imitation, Likeness, gap, run_ours, trace, within
from kamaelia.testbed.links.codel import CoDel
from kamaelia.testbed.links.fq_codel import FQCoDel
from kamaelia.testbed.links.queues import DropTail
from kamaelia.testbed.links.red import RED

pytestmark = [pytest.mark.once, pytest.mark.one_core]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([], [], 0.0),
        ([1], [], 1.0),
        ([1, 2, 3], [1, 2, 3], 0.0),
        ([1, 2, 3, 4], [1, 2, 3, 5], 0.25),
        ([1, 2], [3, 4], 1.0),
        ([1, 1, 2, 2], [1, 2], 0.0),
        ([1, 5, 5, 5], [1, 1, 1, 5], 0.5),
    ],
)
def test_the_gap_is_the_statistic_of_kolmogorov_and_smirnov(
    ours: list[int], theirs: list[int], expected: float
) -> None:
    assert gap(ours, theirs) == gap(theirs, ours) == expected


def test_within_which_time_most_are_out() -> None:
    assert within([n * 10**6 for n in range(100, 0, -1)]) == 0.096
    assert within([10**9]) == 1.0


@pytest.mark.parametrize("kind", queues.TRACES, ids=lambda kind: kind.__name__)
def test_traces_are_more_than_the_line_carries_and_the_same_each_time(kind: Any) -> None:
    arrivals = trace(kind)
    assert arrivals == trace(kind) == sorted(arrivals)
    assert arrivals != trace(kind, 1)
    bits = sum(one.size for one in arrivals) * 8
    assert 1.0 < bits * queues.SECOND / queues.LENGTH / queues.RATE < 1.5
    assert {one.ecn for one in arrivals} == {0, 2}
    assert 0 <= arrivals[0].time < arrivals[-1].time < queues.LENGTH


def test_the_line_sends_one_after_the_other() -> None:
    arrivals = [queues.Arrival(time, 0, 1250, 0) for time in (5, 5, 5, 1_000_005, 9_000_000)]
    run = run_ours(DropTail(packets=1), arrivals, random.Random(7))
    # A packet takes a millisecond; one that comes just when another has been sent finds the queue as it was.
    assert run.dropped == [(5, 2), (1_000_005, 3)]
    assert run.sent == [(5, 0), (1_000_005, 1), (9_000_000, 4)]
    assert run.delays(arrivals) == [0, 1_000_000, 0]


@pytest.mark.parametrize(
    ("description", "drops", "marks"),
    [
        (RED(minimum=20, maximum=60, limit=150, ecn=True), True, True),
        (CoDel(ecn=True), True, True),
        (FQCoDel(limit=60), True, True),
        (CoDel(), True, False),
    ],
)
@pytest.mark.parametrize("imitated", [False, True])
def test_all_that_happens_is_told(description: Any, drops: bool, marks: bool, imitated: bool) -> None:
    arrivals = trace(queues.bursts)[:8000]
    run = run_ours(Imitation(description) if imitated else description, arrivals, random.Random(7))
    assert sorted(number for _, number in run.sent + run.dropped) == list(range(8000))
    assert (bool(run.dropped), bool(run.marked)) == (drops, marks)
    assert {arrivals[number].ecn for _, number in run.marked} <= {2}


@pytest.mark.parametrize("difference", queues.DIFFERENCES)
def test_each_difference_makes_one(difference: str) -> None:
    seen = []
    for kind, description in [
        (queues.bursts, FQCoDel(limit=60, flows=4)),
        (queues.steady, FQCoDel(ecn=False)),
        (queues.bursts, RED(adaptive=True, limit=100, mean_packet=1000)),
    ]:
        arrivals = trace(kind)[:12_000]
        pair = description, Imitation(description, frozenset({difference}))
        plain, different = (run_ours(one, arrivals, random.Random(7)) for one in pair)
        seen.append(plain != different)
    assert any(seen)


COMPARISON = Comparison("steady", "CoDel", (105.0, 100.0), 0.05, (0.0202, 0.02))


def test_the_tables() -> None:
    wrong = Comparison("bursts", "RED", (120.0, 100.0), 0.01, (0.02, 0.02))
    reason = Comparison("bursts", "RED", (100.0, 100.0), 0.0, (0.02, 0.02), "no hash")
    unknown = Comparison("bursts", "RED", (150.0, 100.0), 0.0, (0.02, 0.02), "no hash")
    text = queues.tables([Likeness("CoDel", 5, 5, 4, 3)], [COMPARISON, wrong], [reason, unknown])
    assert (COMPARISON.met, wrong.met, reason.met) == (True, False, True)
    assert "| CoDel | 3 | 5 | 5 | 4 | **no** |" in text
    assert "| steady | CoDel | 105 | 100 | 1.050 | 0.050 | 20.2 ms | 20.0 ms | 1.010 | yes |" in text
    assert "| bursts | RED | 120 | 100 | 1.200 | 0.010 | 20.0 ms | 20.0 ms | 1.000 | no |" in text
    assert "| bursts | RED | no hash | 1.000 | 0.000 | 1.000 |" in text
    assert "| bursts | RED | **nothing alone** | 1.500 | 0.000 | 1.000 |" in text


@pytest.mark.parametrize(
    ("drops", "apart", "p95", "met"),
    [
        ((109, 100), 0.1, (0.91, 1.0), True),
        ((111, 100), 0.0, (1.0, 1.0), False),
        ((100, 100), 0.11, (1.0, 1.0), False),
        ((100, 100), 0.0, (0.89, 1.0), False),
        ((0, 0), 0.0, (0.0, 0.0), True),
        ((1, 0), 1.0, (0.0, 0.0), False),
    ],
)
def test_what_is_within_ten_per_cent(
    drops: tuple[float, float], apart: float, p95: tuple[float, float], met: bool
) -> None:
    assert Comparison("steady", "CoDel", drops, apart, p95).met is met


def test_the_page_gets_the_tables_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{queues.BEGIN}\n\nold\n\n{queues.END}\nafter\n")
    queues.write("new", page)
    assert page.read_text() == f"before\n\n{queues.BEGIN}\n\nnew\n\n{queues.END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match=r"page\.md has not both"):
        queues.write("new", page)
    text = queues.PAGE.read_text()
    assert text.count(queues.BEGIN) == text.count(queues.END) == 1
    for pair in queues.EXACT:
        assert f"| {pair.name} |" in text
