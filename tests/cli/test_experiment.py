"""``kamaelia experiment``: what it takes, what it shows and writes, and how it goes on and ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from kamaelia.cli import main
from kamaelia.testbed import Study

from .programs import Done
from .test_simulate import read_until

pytestmark = [pytest.mark.slow, pytest.mark.one_core]

COINS = """
    import os
    import signal

    from kamaelia import component, random, sleep
    from kamaelia.testbed import Experiment, Network

    @component
    async def draw(inbox, outbox, add, fails):
        await sleep(1)
        if random.random() < fails:
            raise ValueError("unlucky")
        return random.random() + add

    def coin(add=0, fails=0.0, kind="plain"):
        network = Network()
        network.host("table").run(draw(add, fails))
        return network

    def needs(size):
        return coin()

    def waits(number=0):
        if number >= 4:
            open("waiting", "w").close()
        while number >= 4 and not os.path.exists("gate"):
            signal.sigtimedwait([], 0.01)
        return coin()

    def drawn(trace):
        return {"drawn": trace.results["table"]}

    def other():
        return "no network"

    network = coin()
    experiment = Experiment(coin, add=[0, 5], seeds=3, outcome=drawn, hypothesis="It lands.", seconds=2)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coins.py").write_text(textwrap.dedent(COINS))
    return tmp_path


def experiment(capsys: pytest.CaptureFixture[str], *words: str) -> Done:
    before = list(sys.path)
    try:
        code = main(["experiment", *words])
    finally:
        sys.path[:] = before
        for name in ("coins", "kamaelia_run_coins"):
            sys.modules.pop(name, None)
    out, err = capsys.readouterr()
    return Done(out, err, code)


# -- what it shows ----------------------------------------------------------------------------------------


def test_combinations_are_run_and_shown_with_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("coins.py:coin", "--set", "add=0,5", "--set", "kind=drop-tail,5 %", "--seeds=3", "--jobs=2")
    done = experiment(capsys, *words, "--outcome=drawn", "--compare=add")
    assert (done.err, done.code) == ("", 0)
    lines = done.out.splitlines()
    assert lines[0].split() == ["add", "kind", "runs", "drawn"]
    assert re.fullmatch(r"0    drop-tail     3  0\.\d+ \[-?[\d.]+, [\d.]+\]", lines[1])
    assert [line.split()[0] for line in lines[1:5]] == ["0", "0", "5", "5"]
    assert lines[5] == "in brackets: 95 % intervals for the mean over all seeds (Student's t)"
    assert lines[7].split()[:5] == ["add", "against", "0", "kind", "pairs"]
    assert lines[8].split()[:6] == ["5", "drop-tail", "3", "5", "5", "to"] and lines[9].split()[1] == "5"
    assert re.fullmatch(
        r"12 runs, [\d.]+ s of real time, kept in \.kamaelia/experiments/coin-\w{12}", lines[11]
    )


def test_a_second_time_it_runs_only_what_is_missing(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    words = ("coins.py:coin", "--set=add=0,5", "--outcome=drawn")
    experiment(capsys, *words, "--seeds=2", "--jobs=1")
    (journal,) = here.glob(".kamaelia/experiments/*/runs.jsonl")
    first = journal.read_text()
    done = experiment(capsys, *words, "--seeds=3", "--jobs=1", "--retry")
    assert "6 runs" in done.out
    assert journal.read_text().startswith(first) and journal.read_text().count('{"run":') == 6


def test_an_experiment_of_the_file_is_run_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    done = experiment(capsys, "coins.py", "--json", "--jobs=1")
    told = json.loads(done.out)
    assert (told["scenario"], told["parameters"], told["seeds"]) == (
        "coins.py:coin",
        {"add": [0, 5]},
        [0, 1, 2],
    )
    assert (told["runs"], told["missing"], told["failed"]) == (6, 0, 0)
    (summary,) = told["summaries"]
    assert (summary["of"], [one["where"] for one in summary["groups"]]) == ("drawn", [{"add": 0}, {"add": 5}])
    assert summary["groups"][1]["mean"] == pytest.approx(summary["groups"][0]["mean"] + 5)
    more = json.loads(
        experiment(capsys, "coins.py:experiment", "--json", "--seeds=5", "--compare=add", "--jobs=1").out
    )
    assert (more["runs"], more["key"]) == (10, told["key"])
    (comparison,) = more["comparisons"]
    assert comparison["mean"] == pytest.approx(5) and comparison["count"] == 5


def test_reports_and_parquet_are_written(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    done = experiment(capsys, "coins.py", "--report=study.html", "--save=study.parquet", "--jobs=1")
    assert done.code == 0
    assert (
        "It lands." in (here / "study.html").read_text() and "def coin(" in (here / "study.html").read_text()
    )
    assert len(Study.load("study.parquet").runs) == 6
    (kept,) = here.glob(".kamaelia/experiments/*/results.parquet")
    assert Study.load(kept).table() == Study.load("study.parquet").table()


def test_failures_are_shown_with_the_command_that_runs_them_again(capsys: pytest.CaptureFixture[str]) -> None:
    done = experiment(capsys, "coins.py:coin", "--set=fails=0,1.0", "--seeds=7", "--seconds=2", "--jobs=1")
    assert done.code == 1
    assert "7 runs of 14 failed" in done.out
    said = done.err.splitlines()
    assert said[0] == (
        "failed with fails=1.0, seed 0, and 6 more like it: table: ValueError: unlucky (coins.py:12 in draw)"
    )
    assert len(said) == 2
    command = said[1].removeprefix("  (to run it again: ").removesuffix(")")
    assert command == "kamaelia simulate coins.py:coin --seed=0 --seconds=2 --param=fails=1.0"
    assert main(command.split()[1:]) == 1
    assert "ValueError: unlucky" in capsys.readouterr().err


# -- what it refuses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["coins.py:toss"], "'toss' is not in coins.py"),
        (["gone.py:coin"], "there is no file gone.py"),
        (["coins.py:network"], "is a Network; give the function that makes it"),
        (["coins.py:experiment", "--set=add=1"], "--set: coins.py:experiment is an Experiment"),
        (["coins.py:experiment", "--seconds=3"], "--seconds: coins.py:experiment is an Experiment"),
        (["coins.py:needs"], "needs 'size'"),
        (["coins.py:coin", "--set=ad=1"], "coin takes no 'ad'; did you mean 'add'"),
        (["coins.py:coin", "--set=add"], "write NAME=VALUE"),
        (["coins.py:coin", "--set=add=1", "--set=add=2"], "add is set already"),
        (["coins.py:coin", "--outcome=drwn"], "'drwn' is not in coins.py; did you mean 'drawn'"),
        (["coins.py:coin", "--seeds=0"], "seeds"),
        (["coins.py:coin", "--seconds=soon"], "seconds='soon'"),
        (["coins.py:coin", "--jobs=0", "--seeds=1"], "jobs=0"),
        (["coins.py:coin", "--report=gone/study.html"], "there is no folder gone"),
    ],
)
def test_what_cannot_be_meant_runs_nothing(
    capsys: pytest.CaptureFixture[str], here: Path, words: list[str], said: str
) -> None:
    done = experiment(capsys, *words)
    assert (done.out, done.code) == ("", 2)
    assert done.err.startswith("kamaelia experiment: ") and said in done.err
    assert not list(here.glob(".kamaelia/experiments/*/runs.jsonl"))


def test_a_function_that_makes_no_network_fails_in_each_run(capsys: pytest.CaptureFixture[str]) -> None:
    done = experiment(capsys, "coins.py:other", "--seeds=1", "--jobs=1")
    assert done.code == 1 and "has returned 'no network', and no Network" in done.err


# -- Ctrl-C ----------------------------------------------------------------------------------------


WAITS = ("--jobs=2", "--seeds=1", "--set=number=0,1,2,3,4,5,6,7,8,9")


def test_a_terminal_shows_how_far_it_is_and_ctrl_c_waits_for_what_is_under_way(here: Path) -> None:
    import pty

    terminal, other = pty.openpty()
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": other, "text": True}
    program = subprocess.Popen(
        [sys.executable, "-m", "kamaelia", "experiment", "coins.py:waits", *WAITS],
        env={**os.environ, "COLUMNS": "90"},
        start_new_session=True,
        **options,
    )
    os.close(other)
    with program:
        try:
            shown = read_until(terminal, r"4 of 10 runs.* left")
            assert re.search(r"\r\[#+-+\] 4 of 10 runs, [\d.]+ a second, \d+:\d\d left", shown)
            os.killpg(program.pid, signal.SIGINT)
            read_until(terminal, "4 of 10 runs, ending: Ctrl-C gives up those under way")
            (here / "gate").touch()
            assert re.search(
                r"ended by Ctrl-C; [2-6] runs are still to be made", read_until(terminal, "to be made")
            )
            assert program.stdout is not None
            text = program.stdout.read()
            assert re.search("^[2-6] runs still to be made$", text, re.MULTILINE)
            assert program.wait(20) == 0
        finally:
            program.kill()
            os.close(terminal)


def test_a_second_ctrl_c_gives_up_what_is_under_way(here: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "kamaelia", "experiment", "coins.py:waits", *WAITS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with program:
        try:
            while not (here / "waiting").exists() or not any(
                path.read_text().count('{"run":') == 4
                for path in here.glob(".kamaelia/experiments/*/runs.jsonl")
            ):
                assert program.poll() is None
            os.killpg(program.pid, signal.SIGINT)
            signal.sigtimedwait([], 0.5)  # two signals that come together are one
            os.killpg(program.pid, signal.SIGINT)
            out, err = program.communicate(timeout=20)
        finally:
            program.kill()
    assert (out, program.returncode) == ("", 130)
    assert err == "kamaelia experiment: cancelled; the same command goes on with the runs that are missing\n"
