"""What is around a worker: the program, the log, the seed, the terminal, other worlds."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, Graphline, Pipeline, background, run
from kamaelia.axon import ComponentsFailed, Inbox, Link, UsageError, VirtualLoop
from kamaelia.axon.component import make
from kamaelia.chassis import Supervisor
from kamaelia.flow import Collect, Map, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.process import Worker

from . import parts
from .test_worker import failures_of, nothing_is_left, one_core, path_of, warm

__all__ = ["nothing_is_left", "warm"]  # fixtures

ROOT = Path(__file__).resolve().parents[2]


# --- what may cross -------------------------------------------------------------------------------


def test_arguments_are_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match=r"Worker\(patience=0\): give the seconds that a process has to end"):
        Worker(parts.copy, patience=0)
    with pytest.raises(ValueError, match=r"Worker\(patience=9\): give at most 8 seconds"):
        Worker(parts.copy, patience=9)
    with pytest.raises(UsageError, match="is no component"):
        Worker(7)
    with pytest.raises(UsageError, match="returned 7"):
        Worker(lambda: 7)


def local_component() -> Component:
    class Local(Component):
        async def main(self) -> None:
            pass

    return Local()


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (lambda: Map(lambda n: n), r"Pipeline/Worker: Map\(fn=<function <lambda>.* this argument cannot go"),
        (
            lambda: parts.copy() | Map(lambda n: n).named("inner"),
            r"Pipeline/Worker: inner\(fn=<function <lambda>.*defined at the top of a module",
        ),
        (
            local_component,
            r"Pipeline/Worker: Local\(\) cannot go to another process.* at the top of a module",
        ),
    ],
    ids=["lambda", "in a pipeline", "class"],
)
@one_core
def test_what_cannot_cross_is_an_error_that_says_what_and_what_to_do(pattern: Any, text: str) -> None:
    import re

    (error,) = failures_of(Source([1]) | Worker(pattern()) | Collect())
    assert isinstance(error, UsageError)
    assert re.search(text, str(error)), str(error)


@one_core
def test_a_factory_that_no_other_process_finds() -> None:
    (error,) = failures_of(Source([1]) | Worker(lambda: Map(parts.double)) | Collect())
    assert "cannot go to another process" in str(error)


@one_core
def test_a_message_that_cannot_be_pickled_fails_the_worker_and_no_other_is_lost() -> None:
    keeps = Collect()
    (error,) = failures_of(Source([1, 2, lambda: None, 3]) | Worker(parts.copy()) | keeps)
    assert str(error).startswith("Pipeline/Worker.inbox: <function ")
    assert "cannot go to another process" in str(error)
    assert path_of(error) == ["in Pipeline/Worker"]
    assert keeps.messages == [1, 2]


@one_core
def test_what_a_seat_keeps_when_a_message_cannot_be_pickled() -> None:
    one = Supervisor(Worker(parts.copy()))
    assert run(Source([1, 2, lambda: None, 3, 4]) | one | Collect()) == [1, 2, 3, 4]
    assert one.statistics().restarts == 1


@one_core
def test_a_message_from_there_that_cannot_be_pickled_or_unpickled() -> None:
    keeps = Collect()
    (error,) = failures_of(Worker(parts.SendThis("one", "lambda")) | keeps)
    assert "Pipeline/Worker/SendThis.outbox" in str(error)
    assert "(function) cannot go to another process" in str(error)
    (error,) = failures_of(Worker(parts.SendThis("one", "unloadable")) | Collect())
    assert isinstance(error, TypeError)


@one_core
def test_a_result_that_cannot_be_pickled_is_a_failure() -> None:
    assert run(Worker(parts.Returns("text"))) == "text"
    (error,) = failures_of(Worker(parts.Returns("lambda")))
    assert str(error).startswith("Worker/Returns returned <function ")


@pytest.mark.parametrize("kind", ["failures"])
@one_core
def test_a_failure_message_crosses_without_what_cannot_be_pickled(kind: str) -> None:
    one, keeps, source = Worker(Supervisor(Map(parts.fail_at_three))), Collect(), Source([1, 3, 4])
    rest = Collect()
    run(Graphline(source.outbox >> one.inbox, one.boxes[kind] >> keeps.inbox, one.outbox >> rest.inbox))
    (failure,) = keeps.messages
    assert rest.messages == [1, 4]
    assert failure.path.startswith("Worker/Supervisor/") or "/Worker/Supervisor/" in failure.path
    assert (type(failure.error), failure.message) == (ValueError, 3)


# --- components are pickled as their recipes --------------------------------------------------------


@pytest.mark.parametrize(
    "component",
    [
        Map(parts.double),
        Map(parts.double).named("mine"),
        Map(parts.double) | parts.copy() | Map(parts.double),
        Pipeline(Pipeline(Map(parts.double), parts.copy()).named("inner"), parts.copy()),
        parts.graphline("links"),
        parts.graphline("names"),
        parts.script(times=3),
        Supervisor(parts.copy()),
        Worker(parts.copy()),
    ],
    ids=lambda one: repr(one)[:30],
)
def test_a_component_is_pickled_as_its_recipe(component: Component) -> None:
    component = make(component)  # of the core that the test runs on
    again = parts.again(component)
    assert (type(again), again.path, list(again.boxes)) == (
        type(component),
        component.path,
        list(component.boxes),
    )
    assert [child.path for child in again.children] == [child.path for child in component.children]
    assert again is not component


def test_what_is_named_twice_is_pickled_once() -> None:
    first, second = parts.copy(), parts.copy()
    again = parts.again(Graphline(first.outbox >> second.inbox, "self.inbox" >> first.inbox, second))
    assert len(again.children) == 2
    link = parts.again(Link(first.outbox, second.inbox, when_full="drop-newest", feedback=True))
    assert (link.when_full, link.feedback) == ("drop-newest", True)


def test_a_component_that_runs_is_pickled_as_one_that_does_not() -> None:
    one = Source([1])
    run(one | Collect())
    assert run(parts.again(one) | Collect()) == [1]


def test_a_mere_declaration_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="mere declaration"):
        pickle.dumps(Inbox("messages"))


# --- the world --------------------------------------------------------------------------------------


def test_in_virtual_time_there_are_no_workers() -> None:
    with pytest.raises(ComponentsFailed) as raised:
        run(Source([1]) | Worker(parts.copy()), loop_factory=VirtualLoop)
    (error,) = raised.value.exceptions
    assert str(error).startswith("Pipeline/Worker: a process cannot run in virtual time. In a simulation")


@one_core
def test_what_is_logged_warned_of_and_announced_there_appears_here(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    caplog.set_level(logging.INFO, logger="kamaelia")
    with pytest.warns(DeprecationWarning, match="be careful") as warned:
        run(Worker(parts.Chatty()))
    assert warned[0].filename.endswith("parts.py")
    assert [(one.name, one.levelname, one.getMessage()) for one in caplog.records] == [
        ("kamaelia", "INFO", "an info"),
        ("some.module", "WARNING", "a warning of 1"),
        ("kamaelia", "ERROR", "it failed"),
    ]
    assert "ValueError: logged" in caplog.text
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("printed\n", "here I am\n")


@one_core
def test_the_path_goes_on_and_so_do_arguments_and_folder() -> None:
    (found,) = run((Worker(parts.Where()) | Collect()).named("here"), seed=5)
    assert found == ("here/Worker/Where", 5, sys.argv, os.getcwd())


@one_core
def test_the_same_seed_draws_the_same_there_as_here() -> None:
    there = run(Worker(parts.Draw()) | Collect(), seed=7)
    again = run(Worker(parts.Draw()) | Collect(), seed=7)
    here = run(Pipeline(Pipeline(parts.Draw()).named("Worker"), Collect()), seed=7)
    other = run(Worker(parts.Draw()) | Collect(), seed=8)
    assert there == again == here != other


@one_core
def test_statistics() -> None:
    one = Worker(parts.Sleepy())
    assert (one.statistics().alive, one.statistics().pid) == (False, None)
    with background(one) as handle:
        for number in range(8):
            handle.send(number)
        assert handle.receive(timeout=10) == 0
        now = one.statistics()
        assert (now.alive, now.pid) != (False, os.getpid())
        assert 0 < now.waiting_in <= 8
        handle.close()
        assert [*handle] == [1, 2, 3, 4, 5, 6, 7]
    last = one.statistics()
    assert (last.alive, last.messages_in, last.messages_out) == (False, 8, 8)
    assert last.bytes_in > 8
    assert last.boxes["inbox"].received == 8
    assert one.boxes["inbox"].statistics().received == 8


@one_core
def test_a_process_for_each_connection() -> None:
    server = TCPServer(Worker(Map(bytes.upper)), port=0, quiet=True)
    with background(server) as handle:
        host, port = handle.receive("listening", timeout=10)
        answers = run(
            *[Source([text]) | TCPClient(host, port) | Collect() for text in (b"one", b"two", b"three")]
        )
        assert answers == [[b"ONE"], [b"TWO"], [b"THREE"]]
    assert server.statistics().failed == 0


# --- the program, and other processes ---------------------------------------------------------------


def program(tmp_path: Path, text: str, **options: Any) -> subprocess.Popen[str]:
    file = tmp_path / "program.py"
    file.write_text(text)
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(
        [sys.executable, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
        **options,
    )


HEAD = """
import os, sys, time, asyncio
from dataclasses import dataclass
from kamaelia import Component, component, run
from kamaelia.flow import Collect, Map, Source
from kamaelia.process import Worker
"""

MAIN = (
    HEAD
    + """
print("imported", __name__, flush=True)

@dataclass
class Point:
    x: int

def move(point):
    return Point(point.x + 1)

@component
async def again(inbox, outbox):
    async for point in inbox:
        await outbox.send(move(point))

class Stage(Component):
    async def main(self):
        async for point in self.inbox:
            await self.outbox.send(Point(point.x * 10))

system = Source([Point(1)]) | Worker(Map(move) | again() | Worker(Stage())) | Collect()
"""
)


@one_core
def test_what_is_defined_in_the_program_itself(tmp_path: Path) -> None:
    done = program(tmp_path, MAIN + 'if __name__ == "__main__":\n    print(run(system))\n')
    out, errors = done.communicate(timeout=30)
    assert errors == ""
    lines = sorted(out.splitlines())
    assert lines == ["[Point(x=30)]", "imported __main__", "imported __mp_main__", "imported __mp_main__"]


@pytest.mark.parametrize("start", ["run", "background"])
@one_core
def test_a_program_that_starts_its_system_when_imported_is_told_to_guard_it(
    tmp_path: Path, start: str
) -> None:
    starts = {
        "run": "print(run(system))",
        "background": "from kamaelia import background\nwith background(system): time.sleep(1)",
    }
    done = program(tmp_path, MAIN + starts[start] + "\n")
    out, errors = done.communicate(timeout=30)
    assert done.returncode == 1
    assert 'if __name__ == "__main__":' in errors
    assert out.count("imported") <= 3


@one_core
def test_what_is_defined_nowhere_is_an_error() -> None:
    code = HEAD + "def f(n): return n\nrun(Source([1]) | Worker(Map(f)) | Collect())"
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, timeout=30
    )
    assert "put it into a module" in done.stderr


def wait_until(condition: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", ["idle", "stuck"])
@one_core
def test_when_its_starter_is_killed_the_process_ends_at_once(tmp_path: Path, how: str) -> None:
    text = (
        HEAD
        + f"""
class Stays(Component):
    async def main(self):
        print(os.getpid(), flush=True)
        if {how == "stuck"}:
            while True: time.sleep(100)
        await asyncio.Event().wait()

if __name__ == "__main__":
    run(Worker(Stays()))
"""
    )
    done = program(tmp_path, text)
    assert done.stdout is not None
    pid = int(done.stdout.readline())
    assert alive(pid)
    done.kill()
    done.wait()
    wait_until(lambda: not alive(pid))
    done.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@one_core
def test_a_signal_to_all_processes_is_left_to_the_starter(tmp_path: Path, number: int) -> None:
    text = (
        HEAD
        + """
class Stays(Component):
    async def main(self):
        print("ready", flush=True)
        async for message in self.inbox:
            pass
        print("ended well", flush=True)

class Feeds(Component):
    async def main(self):
        await asyncio.Event().wait()

if __name__ == "__main__":
    run(Feeds() | Worker(Stays()))
    print("over", flush=True)
"""
    )
    done = program(tmp_path, text, start_new_session=True)
    assert done.stdout is not None
    assert done.stdout.readline() == "ready\n"
    os.killpg(done.pid, number)
    out, errors = done.communicate(timeout=20)
    assert out.startswith("ended well\n")
    assert "Traceback" not in errors


@one_core
def test_a_thread_that_goes_on_there_does_not_keep_the_process(caplog: pytest.LogCaptureFixture) -> None:
    assert run(Worker(parts.LeavesThread(), patience=0.2) | Collect()) == ["done"]
    (record,) = caplog.records
    assert "had finished and did not end, so it was killed" in record.getMessage()


@one_core
def test_ctrl_c_twice_cancels(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
class Stays(Component):
    async def main(self):
        print("ready", flush=True)
        while True:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                print("cancelled", flush=True)
                if self._axon.reason == "grace":
                    raise

if __name__ == "__main__":
    run(Worker(Stays()), grace=30)
"""
    )
    done = program(tmp_path, text, start_new_session=True)
    assert done.stdout is not None
    assert done.stdout.readline() == "ready\n"
    os.killpg(done.pid, signal.SIGINT)
    assert done.stdout.readline() == "cancelled\n"
    os.killpg(done.pid, signal.SIGINT)
    out, errors = done.communicate(timeout=20)
    assert out == "cancelled\n"
    assert "KeyboardInterrupt" in errors


@one_core
def test_a_process_that_dies_is_noticed_though_another_has_its_end_of_the_channel() -> None:
    keeps = Collect()
    (error,) = failures_of(Worker(parts.Forks()) | keeps)
    (pid,) = keeps.messages
    assert "was killed by SIGKILL" in str(error)
    os.kill(pid, signal.SIGKILL)  # it belongs to nobody any more
    wait_until(lambda: not alive(pid))


@pytest.mark.parametrize("how", ["end", "death"])
@one_core
def test_where_the_system_does_not_tell_of_the_end_of_a_process(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def refuse(pid: int) -> int:
        raise OSError("not here")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    if how == "end":
        assert run(Source([1, 2]) | Worker(parts.copy()) | Collect()) == [1, 2]
    else:
        (error,) = failures_of(Source([1, "die"]) | Worker(parts.Die("kill", "die")))
        assert "was killed by SIGKILL" in str(error)


@one_core
def test_the_workers_of_a_worker_die_with_it() -> None:
    with pytest.raises(ComponentsFailed), background(Worker(parts.Family())) as handle:
        pid, inner = handle.receive(timeout=10)
        assert alive(pid) and alive(inner)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(inner))


@one_core
def test_in_debug_mode() -> None:
    assert run(Source([[1], [2]]) | Worker(parts.copy()) | Collect(), debug=True) == [[1], [2]]


@one_core
def test_kill_at_any_moment_leaves_nothing() -> None:
    run_of_kills(4, 1)


@pytest.mark.soak
@one_core
def test_kill_at_any_moment_leaves_nothing_for_a_long_time() -> None:
    run_of_kills(300, int.from_bytes(os.urandom(2), "big"))


def run_of_kills(rounds: int, seed: int) -> None:
    import random

    chance = random.Random(seed)
    for _ in range(rounds):
        one = Worker(parts.copy())
        delay = chance.uniform(0, 0.4)

        class Kills(Component):
            inbox = None
            outbox = None

            async def main(self, one: Worker = one, delay: float = delay) -> None:
                import asyncio

                await asyncio.sleep(delay)
                pid = one.statistics().pid
                if pid is not None and one.statistics().alive:
                    os.kill(pid, signal.SIGKILL)

        messages: list[Any] = [chance.choice([b"x" * 50_000, 7, "text"]) for _ in range(3000)]
        keeps = Collect()
        try:
            run(Source(messages) | one | keeps, Kills())
        except ComponentsFailed as error:
            (died,) = error.exceptions
            assert "was killed by SIGKILL" in str(died), seed
            assert keeps.messages == messages[: len(keeps.messages)], seed
        else:
            assert keeps.messages == messages, seed
