"""What is kept of each study: all runs, and of some the beginning of the journal."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from kamaelia.testbed.experiments import Study

pytestmark = [pytest.mark.one_core, pytest.mark.once]

RESULTS = Path(__file__).resolve().parents[2] / "studies" / "results"
NAMES = sorted(path.stem for path in RESULTS.glob("*.json"))
BEGUN = sorted(path.name.partition(".")[0] for path in RESULTS.glob("*.hypothesis.jsonl"))


def test_there_is_one_of_each_kind() -> None:
    kept = {path.name for path in RESULTS.iterdir()}
    assert len(NAMES) == 5
    assert kept == {f"{name}.json" for name in NAMES} | {f"{name}.hypothesis.jsonl" for name in BEGUN}


@pytest.mark.parametrize("name", BEGUN)
def test_the_hypothesis_was_there_before_the_first_run(name: str) -> None:
    begun = (RESULTS / f"{name}.hypothesis.jsonl").read_bytes()
    (said,) = Study.load(RESULTS / f"{name}.json").about["hypotheses"]
    assert (said["runs"], said["bytes"], said["hash"]) == (0, len(begun), hashlib.sha256(begun).hexdigest())
    first, last = (json.loads(line) for line in begun.splitlines())
    assert list(first) == ["experiment"]
    assert {one: last["hypothesis"][one] for one in ("hypothesis", "expected", "at")}.items() <= said.items()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_it_is_of_the_machine_that_made_it(name: str) -> None:
    study = Study.load(RESULTS / f"{name}.json")
    assert re.fullmatch(r"[\w-]+/runs\.jsonl", study.about["journal"])
    assert not re.search(r"/(home|root|tmp|work)/", json.dumps(study.about))
