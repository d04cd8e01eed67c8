"""Studies as JSON: what is kept, and what comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.experiments import Experiment, InlineExecutor, Run, Study

from .scenarios import coin, drawn

pytestmark = pytest.mark.one_core


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(**parameters: Any) -> Study:
    return Experiment(coin, outcome=drawn, **parameters).run(folder=None, executor=InlineExecutor())


def told(run: Run) -> Any:
    """What is kept of a run."""
    replay = run.replay if run.error is not None else ""
    return (run.parameters, run.seed, run.outcome, run.error, replay, run.took, run.fingerprint)


def test_what_was_saved_comes_back_but_for_figures() -> None:
    study = made(seeds=["storm", 3, 0], add=[0, 1], fails=[0.0, 1.0], hypothesis="heads")
    assert 0 < len(study.failures) < len(study.runs) and any(run.figures for run in study.runs)
    study.save("coins.json")
    again = Study.load("coins.json")
    assert list(map(told, again.runs)) == list(map(told, study.runs))
    assert not any(run.figures for run in again.runs)
    assert (again.about, again.points, again.seeds) == (study.about, study.points, study.seeds)
    assert again.table() == study.table()


def test_each_run_is_a_line_and_nothing_is_left_beside(here: Path) -> None:
    study = made(seeds=2, add=[0, 1])
    study.save("coins.json")
    assert [path.name for path in here.iterdir()] == ["coins.json"]
    text = Path("coins.json").read_text()
    lines = text.splitlines()
    first = lines.index(' "runs": [') + 1
    names = json.loads(text)["names"]
    for line, run in zip(lines[first:], study.runs, strict=False):
        row = json.loads(line.rstrip(","))
        values = [run.outcome.get(name) for name in names]
        assert row == [study.points.index(run.parameters), run.seed, values, None, run.fingerprint, run.took]
    assert lines[first + 4 :] == [" ]", "}"]


def test_no_runs_are_none() -> None:
    study = Experiment(coin, seeds=2, outcome=drawn).run(folder=None, stop=lambda: True)
    study.save("none.json")
    assert (Study.load("none.json").runs, Study.load("none.json").missing) == ([], 2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no JSON", "cannot be read as a study"),
        ("[]", "cannot be read as a study"),
        ("{}", r"cannot be read as a study: KeyError\('format'\)"),
        ('{"format": 2}', "has format 2, and this reads 1"),
        ('{"format": 1, "points": [], "names": [], "runs": [[0, 0, [], null, "", 0]]}', "IndexError"),
        ('{"format": 1, "points": [{}], "names": [], "runs": [[0, 0, [1], null, "", 0]]}', "ValueError"),
    ],
)
def test_other_files_are_refused(text: str, why: str) -> None:
    Path("other.json").write_text(text)
    with pytest.raises(UsageError, match=why):
        Study.load("other.json")


def test_a_file_that_is_not_there_is_said_to_be_so() -> None:
    with pytest.raises(UsageError, match=r"there is no file nowhere\.json"):
        Study.load("nowhere.json")
