"""Studies as Parquet: what duckdb reads there, and what comes back."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.experiments import Experiment, InlineExecutor, Run, Study

from .scenarios import coin, drawn

pytestmark = [pytest.mark.one_core, pytest.mark.needs("module:duckdb")]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(**parameters: Any) -> Study:
    return Experiment(coin, seeds=4, outcome=drawn, **parameters).run(folder=None, executor=InlineExecutor())


def told(study: Study) -> list[Any]:
    return [
        (run.key, run.outcome, run.figures, run.error, run.replay, run.took, run.fingerprint)
        for run in study.runs
    ]


def ask(question: str) -> list[tuple[Any, ...]]:
    import duckdb

    with duckdb.connect(":memory:") as database:
        return database.execute(question).fetchall()


def test_duckdb_reads_what_was_saved() -> None:
    study = made(add=[0, 1], fails=[0.0, 0.5])
    study.save("coins.parquet")
    rows = ask("SELECT add, fails, seed, number, error, fingerprint FROM 'coins.parquet'")
    assert rows == [
        (
            run.parameters["add"],
            run.parameters["fails"],
            str(run.seed),
            run.outcome.get("number"),
            run.error,
            run.fingerprint,
        )
        for run in study.runs
    ]
    ((mean, count),) = ask(
        "SELECT avg(number), count(*) FROM 'coins.parquet' WHERE add = 1 AND error IS NULL"
    )
    group = study.summary("number", by="add").groups[1]
    assert count == sum(run.error is None and run.parameters["add"] == 1 for run in study.runs)
    assert group.failed == 8 - count
    assert mean == pytest.approx(
        sum(run.outcome["number"] for run in study.runs[8:] if not run.error) / count
    )


def test_what_was_saved_can_be_loaded() -> None:
    study = made(add=[0, 1], fails=0.5)
    study.save("coins.parquet")
    again = Study.load("coins.parquet")
    assert told(again) == told(study)
    assert (again.points, again.seeds, again.about) == (study.points, study.seeds, study.about)
    assert again.table() == study.table()


def test_a_run_leaves_parquet_beside_its_journal(here: Path) -> None:
    experiment = Experiment(coin, seeds=2, outcome=drawn)
    study = experiment.run(executor=InlineExecutor())
    assert told(Study.load(experiment.place() / "results.parquet")) == told(study)
    assert sorted(path.name for path in experiment.place().iterdir()) == ["results.parquet", "runs.jsonl"]


def test_values_of_all_kinds_and_odd_names_come_back() -> None:
    points: list[dict[str, Any]] = [
        {"seed": 1, "queue": 'it\'s "quoted"', "n": 2**40, "loss": 0, "on": True},
        {"seed": "x", "queue": None, "n": -1, "loss": 0.5, "on": False},
    ]
    runs = [
        Run(
            points[0],
            0,
            {"p95": 1.5, "P95": 2.5, "error": 3},
            {"p95": 7.0, "a b > c: d": 1},
            None,
            "again",
            0.5,
            "f",
        ),
        Run(points[1], "storm", {}, {"p95": float("inf")}, "ValueError: ü\n'", "", 0.25, ""),
    ]
    about = {"name": "odd 'quotes'", "sources": {"a.py": "x = '{}' # \u2603\n"}}
    study = Study(about, points, [0, "storm"], runs)
    study.save("odd.parquet")
    again = Study.load("odd.parquet")
    assert told(again) == told(study)
    assert again.about == about
    assert again.points == points and again.seeds == [0, "storm"]


def test_a_study_without_runs_can_be_kept() -> None:
    Study({"name": "none"}, [{"a": 1}], [0], []).save("none.parquet")
    assert Study.load("none.parquet").missing == 1


def test_many_rows_come_back() -> None:
    runs = [Run({"a": 1}, seed, {"value": float(seed)}) for seed in range(601)]
    Study({}, [{"a": 1}], [run.seed for run in runs], runs).save("many.parquet")
    assert ask("SELECT count(*), sum(value) FROM 'many.parquet'") == [(601, 601 * 300.0)]


def test_other_files_are_refused(here: Path) -> None:
    (here / "text.parquet").write_text("no")
    ask("COPY (SELECT 1 AS one) TO 'foreign.parquet' (FORMAT parquet)")
    for name, number in (("newer", 99), ("broken", 1)):
        about = f"{{kamaelia: '{{\"format\": {number}}}'}}"
        ask(f"COPY (SELECT 1 AS one) TO '{name}.parquet' (FORMAT parquet, KV_METADATA {about})")
    for name, said in (
        ("text", "cannot be read as a study"),
        ("foreign", "is no study"),
        ("newer", "has format 99"),
        ("broken", "cannot be read as a study"),
        ("missing", "there is no file"),
    ):
        with pytest.raises(UsageError, match=said):
            Study.load(f"{name}.parquet")


def test_a_name_with_a_quote_is_a_name(here: Path) -> None:
    Study({}, [{}], [0], [Run({}, 0)]).save("o'clock.parquet")
    assert len(Study.load("o'clock.parquet").runs) == 1


def test_without_duckdb_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "duckdb":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    study = made()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageError, match=r"pip install 'kamaelia\[exp\]'"):
        study.save("coins.parquet")
    with pytest.raises(UsageError, match=r"pip install 'kamaelia\[exp\]'"):
        Study.load("coins.parquet")
