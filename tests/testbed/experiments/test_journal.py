"""What is kept on the disk: an experiment goes on where it was, whatever has ended it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.experiments import Experiment, InlineExecutor, Standing
from kamaelia.testbed.experiments.journal import Journal

from .scenarios import coin, drawn

pytestmark = [pytest.mark.one_core, pytest.mark.once]
ROOT = Path(__file__).resolve().parents[3]
INLINE = InlineExecutor()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Made:
    """Counts the runs that are made."""

    def __init__(self) -> None:
        self.runs = 0
        self.known = 0

    def __call__(self, standing: Standing) -> None:
        self.runs, self.known = standing.done, standing.known


def run(experiment: Experiment, **options: Any) -> tuple[Any, int]:
    made = Made()
    study = experiment.run(executor=INLINE, progress=made, **options)
    return study, made.runs


def lines(experiment: Experiment) -> list[dict[str, Any]]:
    text = (experiment.place() / "runs.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


# -- going on ---------------------------------------------------------------------------------------------


def test_a_second_run_makes_only_what_is_missing() -> None:
    study, made = run(Experiment(coin, add=[0, 1], seeds=3, outcome=drawn))
    assert (made, len(study.runs)) == (6, 6)
    again, made = run(Experiment(coin, add=[0, 1], seeds=3, outcome=drawn))
    assert (made, again.rows) == (0, study.rows)
    more, made = run(Experiment(coin, add=[0, 1, 2], seeds=4, outcome=drawn))
    assert (made, len(more.runs)) == (12 - 6, 12)
    fewer, made = run(Experiment(coin, add=[1], seeds=2, outcome=drawn))
    assert (made, [one.parameters for one in fewer.runs]) == (0, [{"add": 1}] * 2)


def test_what_results_depend_on_makes_another_experiment() -> None:
    places = [
        one.place()
        for one in (
            Experiment(coin),
            Experiment(coin, seconds=61),
            Experiment(coin, outcome=drawn),
            Experiment(coin, outcome=lambda trace: {"one": 1}),
            Experiment(coin, outcome=lambda trace: {"one": 2}),
            Experiment(coin, measure="queues"),
            Experiment(coin, keep=10),
        )
    ]
    assert len(set(places)) == len(places)
    same = Experiment(coin, add=7, seeds=3, hypothesis="it lands", within=10)
    assert same.place() == places[0]


def test_another_process_finds_the_same_experiment() -> None:
    """Where texts have other hashes, and so sets another order."""
    program = """if True:
        from tests.testbed.experiments.scenarios import coin
        from kamaelia.testbed import Experiment
        words = lambda trace: {word: 1 for word in "abcdefgh" if word in {"a", "b", "c", "d", "e", "f"}}
        print(Experiment(coin, outcome=words).place())
    """
    places = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            timeout=50,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(places) == 1


def test_changed_code_makes_another_experiment(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also code that the scenario's file imports."""
    monkeypatch.syspath_prepend(here)
    (here / "helper_of_this.py").write_text("VALUE = 1\n")
    (here / "scenario_of_this.py").write_text(
        "import helper_of_this\nfrom kamaelia.testbed import Network\ndef scenario():\n    return Network()\n"
    )
    import scenario_of_this  # type: ignore[import-not-found]

    experiment = Experiment(scenario_of_this.scenario)
    assert list(experiment.describe()["sources"]) == ["scenario_of_this.py", "helper_of_this.py"]
    first = experiment.place()
    assert experiment.place() == first
    (here / "helper_of_this.py").write_text("VALUE = 2\n")
    assert experiment.place() != first
    for name in ("scenario_of_this", "helper_of_this"):
        del sys.modules[name]


def test_what_has_failed_is_made_again_only_if_somebody_wants_that() -> None:
    experiment = Experiment(coin, fails=1.0, seeds=2)
    assert run(experiment)[1] == 2
    assert run(experiment)[1] == 0
    study, made = run(experiment, retry=True)
    assert (made, len(study.failures), len(study.runs)) == (2, 2, 2)


def test_fresh_forgets_what_was_done() -> None:
    experiment = Experiment(coin, seeds=2)
    run(experiment)
    assert run(experiment, fresh=True)[1] == 2
    assert [next(iter(line)) for line in lines(experiment)] == ["experiment", "session", "run", "run"]


def test_results_are_known_without_running_anything() -> None:
    experiment = Experiment(coin, seeds=3)
    run(experiment)
    more = Experiment(coin, seeds=5)
    assert (len(more.results().runs), more.results().missing) == (3, 2)
    assert sum("run" in line for line in lines(experiment)) == 3


def test_git_passes_over_what_is_kept(here: Path) -> None:
    run(Experiment(coin, seeds=1))
    assert (here / ".kamaelia" / "experiments" / ".gitignore").read_text() == "*\n"


def test_nan_and_infinity_come_back(here: Path) -> None:
    def odd(trace: Any) -> dict[str, float]:
        return {"never": float("inf"), "none": float("nan")}

    experiment = Experiment(coin, seeds=1, outcome=odd)
    run(experiment)
    assert run(experiment)[0].runs[0].outcome == {"never": float("inf")}


# -- what ends a program ----------------------------------------------------------------------------------


def test_a_last_line_that_is_not_whole_is_taken_off(here: Path) -> None:
    experiment = Experiment(coin, seeds=3)
    run(experiment)
    path = experiment.place() / "runs.jsonl"
    whole = path.read_bytes()
    for cut in (1, 30, len(whole.splitlines(keepends=True)[-1]) - 1):
        path.write_bytes(whole[:-cut])
        study, made = run(experiment)
        assert (made, len(study.runs)) == (1, 3)
        assert all(isinstance(line, dict) for line in lines(experiment))
    path.write_bytes(whole[:40])  # not even the first
    assert run(experiment)[1] == 3


@pytest.mark.parametrize("damage", [b"nonsense\n", b"[1]\n", b'{"run": {"seed": 1}}\n', b'{"run": 7}\n'])
def test_damage_within_is_refused_with_its_place(damage: bytes) -> None:
    experiment = Experiment(coin, seeds=2)
    run(experiment)
    path = experiment.place() / "runs.jsonl"
    text = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*text[:2], damage, *text[2:]]))
    with pytest.raises(UsageError, match=r"runs\.jsonl, line 3: this is damaged .*fresh=True"):
        run(experiment)


def test_the_journal_of_another_experiment_is_refused() -> None:
    one, other = Experiment(coin, seeds=1), Experiment(coin, seeds=1, seconds=3)
    run(one)
    other.place().mkdir(parents=True)
    (other.place() / "runs.jsonl").write_bytes((one.place() / "runs.jsonl").read_bytes())
    with pytest.raises(UsageError, match="is the journal of another experiment"):
        run(other)


def test_one_program_at_a_time_works_on_an_experiment() -> None:
    experiment = Experiment(coin, seeds=1)
    with Journal(experiment.place() / "runs.jsonl", experiment.describe()):
        with pytest.raises(UsageError, match="another program is at work on this experiment"):
            run(experiment)
    assert run(experiment)[1] == 1


@pytest.mark.slow
def test_after_kill_9_only_the_runs_under_way_are_missing(here: Path) -> None:
    """A script is killed while two processes work; nothing of it stays, and the next call makes the rest."""
    text = f"""
        import sys
        sys.path[:0] = [{str(ROOT)!r}]
        from tests.testbed.experiments.scenarios import gated, drawn
        from kamaelia.testbed import Experiment

        def progress(standing):
            print(standing.known, standing.done, flush=True)

        if __name__ == "__main__":
            study = Experiment(gated, number=range(12), seeds=1, outcome=drawn).run(jobs=2, progress=progress)
            print("values", len(study.runs), len(study.failures))
    """
    (here / "waiting.py").write_text(textwrap.dedent(text))
    gate = here / "gate"
    options: dict[str, Any] = {
        "cwd": here,
        "env": {**os.environ, "PYTHONPATH": str(ROOT / "src"), "KAMAELIA_TEST_GATE": str(gate)},
        "stdout": subprocess.PIPE,
        "text": True,
    }
    program = subprocess.Popen([sys.executable, "waiting.py"], start_new_session=True, **options)
    try:
        assert program.stdout is not None
        while program.stdout.readline() != "0 4\n":  # of the others two wait for the gate
            assert program.poll() is None
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
        deadline = time.monotonic() + 20
        with pytest.raises(ProcessLookupError):  # the workers end by themselves
            while time.monotonic() < deadline:
                os.killpg(program.pid, 0)
                time.sleep(0.02)
    finally:
        program.kill()
        program.stdout.close()
    (journal,) = here.glob(".kamaelia/experiments/*/runs.jsonl")
    before = journal.read_bytes()
    assert before.count(b'{"run":') == 4
    gate.touch()
    done = subprocess.run([sys.executable, "waiting.py"], timeout=50, check=False, **options)
    assert done.stdout.splitlines()[0] == "4 0"
    assert done.stdout.splitlines()[-2:] == ["4 8", "values 12 0"]
    assert journal.read_bytes().startswith(before)
    made = [
        json.loads(line)["run"] for line in journal.read_bytes().splitlines() if line.startswith(b'{"run":')
    ]
    assert sorted(one["parameters"]["number"] for one in made) == list(range(12))  # each once


# -- hypotheses -------------------------------------------------------------------------------------------


def test_a_hypothesis_is_written_down_before_the_first_run() -> None:
    experiment = Experiment(coin, seeds=2, hypothesis="Heads.", expected="more than half")
    study, _ = run(experiment)
    assert [next(iter(line)) for line in lines(experiment)] == [
        "experiment",
        "hypothesis",
        "session",
        "run",
        "run",
    ]
    (said,) = study.about["hypotheses"]
    assert (said["hypothesis"], said["expected"], said["runs"]) == ("Heads.", "more than half", 0)
    data = (experiment.place() / "runs.jsonl").read_bytes()
    assert hashlib.sha256(data[: said["bytes"]]).hexdigest() == said["hash"]
    assert data[: said["bytes"]].count(b"\n") == 2
    again, _ = run(experiment)  # read back, it is the same
    assert again.about["hypotheses"] == [said]


def test_whoever_changes_their_mind_afterwards_is_seen_to() -> None:
    run(Experiment(coin, seeds=2, hypothesis="Heads."))
    study, made = run(Experiment(coin, seeds=3, hypothesis="Tails, of course."))
    assert made == 1
    assert [(one["hypothesis"], one["runs"]) for one in study.about["hypotheses"]] == [
        ("Heads.", 0),
        ("Tails, of course.", 2),
    ]


def test_who_says_nothing_has_not_changed_their_mind() -> None:
    run(Experiment(coin, seeds=2, hypothesis="Heads."))
    study, _ = run(Experiment(coin, seeds=3))
    assert [one["hypothesis"] for one in study.about["hypotheses"]] == ["Heads."]


def test_sessions_say_by_what_they_were_made() -> None:
    study, _ = run(Experiment(coin, seeds=2))
    (session,) = study.about["sessions"]
    assert session["executor"] == "InlineExecutor"
    assert session["versions"]["python"] == sys.version.split()[0]
    assert set(session["machine"]) == {"core", "platform", "processors"}
    assert session["at"].endswith(" UTC")
