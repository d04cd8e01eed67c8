"""Where runs are made: processes, threads, here; processes that die; scripts; Ctrl-C."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.experiments import Experiment, InlineExecutor, Run, Standing, Study

from .scenarios import coin, deadly, drawn, heard, line

pytestmark = pytest.mark.one_core
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(study: Study) -> list[Any]:
    return [(run.key, run.values, run.error, run.replay, run.fingerprint) for run in study.runs]


def experiment() -> Experiment:
    return Experiment(
        line, loss=[0, 0.2], seeds=2, seconds=2, outcome=lambda trace: heard(trace) | {"seven": 7}
    )


# -- all do the same --------------------------------------------------------------------------------------


def test_processes_threads_and_this_thread_make_the_same_runs() -> None:
    here = experiment().run(folder=None, executor=InlineExecutor())
    assert here.failures == [] and here.runs[0].outcome["seven"] == 7
    with ThreadPoolExecutor(3) as threads:
        assert told(experiment().run(folder=None, executor=threads)) == told(here)
    assert told(experiment().run(folder=None, jobs=2)) == told(here)
    assert multiprocessing.active_children() == []


class Counting(InlineExecutor):
    """Counts what it was given: nothing else is asked of an executor than `submit`."""

    def __init__(self) -> None:
        self.count = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.count += 1
        return super().submit(fn, *args, **kwargs)

    map = shutdown = None  # type: ignore[assignment]


def test_an_executor_is_asked_for_nothing_but_submit() -> None:
    executor = Counting()
    study = experiment().run(folder=None, executor=executor)
    assert (executor.count, len(study.runs)) == (4, 4)


def test_what_an_executor_itself_raises_for_a_run_is_a_row() -> None:
    class Odd(InlineExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(ConnectionError("the cluster is gone"))
            return future

    study = Experiment(coin, seeds=2).run(folder=None, executor=Odd())
    assert [run.error for run in study.runs] == ["ConnectionError: the cluster is gone"] * 2


def test_an_executor_of_somebody_else_that_breaks_is_theirs_to_mend() -> None:
    class Broken(InlineExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            raise BrokenProcessPool("no more")

    with pytest.raises(BrokenProcessPool, match="no more"):
        Experiment(coin, seeds=2).run(folder=None, executor=Broken())


# -- processes that die -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_that_kills_its_process_is_a_row_and_the_others_are_made() -> None:
    study = Experiment(deadly, when=range(6), seeds=1, seconds=1).run(folder=None, jobs=2)
    assert [run.error for run in study.runs] == [
        None,
        None,
        None,
        "the process that made this run has died of it",
        None,
        None,
    ]
    assert multiprocessing.active_children() == []


def test_what_cannot_be_pickled_is_refused_before_any_run() -> None:
    class Local:
        def __repr__(self) -> str:
            return "Local()"

    with pytest.raises(UsageError, match="cannot go to another process"):
        Experiment(line, loss=[Local()]).run(folder=None)


def test_what_stands_in_no_file_is_refused_before_any_run() -> None:
    typed = """if True:
        from kamaelia.testbed import Experiment, Network
        def typed():
            return Network()
        Experiment(typed, seeds=1).run(folder=None)
    """
    done = subprocess.run(
        [sys.executable, "-c", typed],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert "UsageError: typed stands in no file" in done.stderr


# -- scripts ----------------------------------------------------------------------------------------------

SCRIPT = """
from kamaelia import component, random, sleep
from kamaelia.testbed import Experiment, Network

@component
async def draw(inbox, outbox, add):
    await sleep(0.1)
    return random.random() + add

def coin(add=0):
    network = Network()
    network.host("table").run(draw(add))
    return network

def main():
    look = lambda trace: {"drawn": trace.results["table"]}
    study = Experiment(coin, add=[0, 1], seeds=3, outcome=look).run(jobs=2)
    print(round(study.compare("add", 0, 1, of="drawn").interval.mean, 9), len(study.failures))
"""


def script(folder: Path, end: str) -> subprocess.CompletedProcess[str]:
    (folder / "toss.py").write_text(SCRIPT + end)
    return subprocess.run(
        [sys.executable, "toss.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.mark.slow
def test_an_experiment_in_a_script_goes_to_processes(here: Path) -> None:
    done = script(here, 'if __name__ == "__main__":\n    main()\n')
    assert (done.stdout, done.returncode) == ("1.0 0\n", 0), done.stderr


@pytest.mark.slow
def test_a_script_that_would_start_itself_again_is_told_so(here: Path) -> None:
    done = script(here, "main()\n")
    assert done.returncode == 1 and done.stdout == ""
    assert 'below if __name__ == "__main__"' in done.stderr.splitlines()[-1]


# -- ending -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ctrl_c_ends_it_at_once_and_keeps_what_is_over(here: Path) -> None:
    text = f"""
        import sys
        sys.path[:0] = [{str(ROOT)!r}]
        from tests.testbed.experiments.scenarios import gated
        from kamaelia.testbed import Experiment

        def progress(standing):
            print(standing.done, flush=True)

        if __name__ == "__main__":
            Experiment(gated, number=range(20), seeds=1).run(jobs=2, progress=progress)
    """
    (here / "waiting.py").write_text(textwrap.dedent(text))
    program = subprocess.Popen(
        [sys.executable, "waiting.py"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "KAMAELIA_TEST_GATE": str(here / "never")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert program.stdout is not None
        while program.stdout.readline() != "4\n":
            assert program.poll() is None
        os.killpg(program.pid, signal.SIGINT)  # all of them, as a terminal does
        _, errors = program.communicate(timeout=20)
    finally:
        program.kill()
    assert program.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt") and errors.count("Traceback") <= 2, errors
    deadline = time.monotonic() + 20
    with pytest.raises(ProcessLookupError):  # nobody is left
        while time.monotonic() < deadline:
            os.killpg(program.pid, 0)
            time.sleep(0.02)
    (journal,) = here.glob(".kamaelia/experiments/*/runs.jsonl")
    assert len(re.findall('^{"run"', journal.read_text(), re.MULTILINE)) == 4


def test_after_stop_runs_that_are_under_way_are_waited_for() -> None:
    standings: list[Standing] = []
    with ThreadPoolExecutor(1) as threads:
        study = Experiment(coin, seeds=50).run(
            folder=None,
            executor=threads,
            progress=standings.append,
            stop=lambda: bool(standings) and standings[-1].done >= 3,
        )
    assert 3 <= len(study.runs) <= 5
    assert [run.seed for run in study.runs] == list(range(len(study.runs)))


def test_an_inline_executor_is_one(here: Path) -> None:
    executor = InlineExecutor()
    assert isinstance(executor, Executor)
    assert isinstance(executor.submit(int, "x").exception(), ValueError)
    study = Experiment(coin, seeds=1, outcome=drawn).run(folder=None, executor=executor)
    assert isinstance(study.runs[0], Run)
    assert list(here.iterdir()) == []  # nothing is kept where nothing is to be kept
