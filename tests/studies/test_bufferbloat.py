"""The study of bufferbloat: what its page says is in the kept results, and it is seen in a new run, too."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from kamaelia.testbed.experiments import Experiment, InlineExecutor, Study

pytestmark = [pytest.mark.one_core, pytest.mark.once]

STUDIES = Path(__file__).resolve().parents[2] / "studies"


@pytest.mark.needs("module:duckdb")
def test_the_page_says_what_came_of_it() -> None:
    page = (STUDIES / "README.md").read_text(encoding="utf-8")
    kept = Study.load(STUDIES / "results" / "bufferbloat.parquet")
    assert (len(kept.runs), kept.failures, kept.missing) == (160, [], 0)
    assert [one["runs"] for one in kept.about["hypotheses"]] == [0]
    for rate, of, digits in ((5, "call p95 ms", 0), (20, "call p95 ms", 0), (5, "downloaded Mbit/s", 3)):
        where = {"rate": rate, "downloads": 1}
        found = kept.compare("queue", "drop-tail", "codel", of, where=where).interval
        mean, low, high = (f"{one:,.{digits}f}" for one in (found.mean, found.low, found.high))
        assert f"[{low}, {high}]" in page and mean in page and found.excludes_zero


@pytest.mark.slow
def test_codel_keeps_the_call_usable_and_the_line_busy() -> None:
    spec = importlib.util.spec_from_file_location("bufferbloat", STUDIES / "bufferbloat.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        study = Experiment(
            module.home,
            queue=["drop-tail", "codel"],
            rate=5,
            downloads=1,
            seeds=[100],
            seconds=module.END + 5,
            outcome=module.outcome,
        ).run(folder=None, executor=InlineExecutor())
    finally:
        del sys.modules[spec.name]
    drop_tail, codel = (run.outcome for run in study.runs)
    assert study.failures == []
    assert 1500 < drop_tail["call p95 ms"] < 2500  # 1000 packets at 5 Mbit/s are 2.4 s
    assert 20 < codel["call p95 ms"] < drop_tail["call p95 ms"] / 10
    assert codel["downloaded Mbit/s"] > 0.85 * drop_tail["downloaded Mbit/s"] > 3.5
