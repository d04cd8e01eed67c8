"""The study of retransmission and FEC: its code corrects what it says, and its kept results come again."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from types import ModuleType

import pytest

from kamaelia.testbed.experiments import InlineExecutor, Study

pytestmark = [pytest.mark.one_core, pytest.mark.once]

ROOT = Path(__file__).resolve().parents[2]
STUDIES = ROOT / "studies"
STUDY = "retransmission_or_fec"


def test_any_ten_of_twelve_packets_give_all(study: ModuleType) -> None:
    media = [study.picture(number) for number in range(study.BLOCK)]
    whole = dict(enumerate([*media, *study.parity_of(media)]))
    assert len(whole) == 12
    for gone in itertools.combinations(whole, study.PARITY):
        left = {number: packet for number, packet in whole.items() if number not in gone}
        assert study.recovered(left) == {number: media[number] for number in gone if number < study.BLOCK}


def test_the_field_is_one(study: ModuleType) -> None:
    for a in range(1, 256):
        assert study.times(a, study.inverse(a)) == 1
        assert study.times(a, 2) == (a << 1 if a < 128 else a << 1 ^ 0x11D)
    for a, b, c in ((7, 200, 33), (255, 254, 2), (0, 9, 4)):
        assert study.times(a, b ^ c) == study.times(a, b) ^ study.times(a, c)
        assert study.times(study.times(a, b), c) == study.times(a, study.times(b, c))


def test_without_losses_nobody_misses_anything(study: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "JUDGED", 40)
    for protection in ("nothing", "retransmission", "fec"):
        network = study.live(protection, viewers=2)
        for link in network.links:
            link.set(loss=0.0)
        found = study.outcome(network.simulate(study.BEGIN + 90 * study.EVERY + 1))
        assert found["missed %"] == 0
        assert found["extra %"] == pytest.approx(20 if protection == "fec" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "_by_group"])
def test_kept_results_come_again(study: ModuleType, name: str) -> None:
    """One seed of some combinations, as a sample."""
    kept = Study.load(STUDIES / "results" / f"retransmission_or_fec{name}.json")
    experiment = study.groups if name else study.experiment
    assert (len(kept.runs), kept.failures, kept.missing) == (experiment.total, [], 0)
    assert kept.points == experiment.labels
    places = [9, 14, 19, 30] if not name else [0, 1, 4]
    points = [kept.points[place] for place in places]
    again = type(experiment)(
        study.live, points=points, seeds=[3], seconds=study.SECONDS, outcome=study.outcome
    ).run(folder=None, executor=InlineExecutor())
    known = {run.key: run.outcome for run in kept.runs}
    assert {run.key: run.outcome for run in again.runs} == {run.key: known[run.key] for run in again.runs}


def test_the_page_says_what_came_of_it_and_what_was_written_before() -> None:
    page = (STUDIES / "README.md").read_text(encoding="utf-8")
    kept = Study.load(STUDIES / "results" / "retransmission_or_fec.json")
    (said,) = kept.about["hypotheses"]
    assert said["runs"] == 0
    for rtt, of, digits in ((60, "missed %", 3), (220, "missed %", 2), (60, "extra %", 1)):
        where = {"rtt": rtt, "burst": 1}
        found = kept.compare("protection", "fec", "retransmission", of, where=where).interval
        mean, low, high = (f"{one:+.{digits}f}" for one in (found.mean, found.low, found.high))
        assert f"{mean} [{low}, {high}]" in page and found.excludes_zero
    p = 0.02
    q = p * (1 - sum(math.comb(11, j) * p**j * (1 - p) ** (11 - j) for j in range(2)))
    assert f"q is {100 * q:.4f} %" in page
    sums = [100 * sum(1 - (1 - p**i) ** viewers for i in range(1, 30)) for viewers in (1, 10, 30, 100)]
    assert "E is {:.1f}, {:.1f}, {:.1f} and {:.1f} %".format(*sums) in page
