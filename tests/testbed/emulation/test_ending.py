"""However an emulation ends, nothing of it is left: no process, no namespace, no device."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kamaelia.testbed import Network

pytestmark = [pytest.mark.needs("right:emulation", "program:pgrep"), pytest.mark.one_core]

MARK = f"4{os.getpid()}"  # seconds, and what our processes are found by
SCENARIO = """
import sys, time
from kamaelia import component
from kamaelia.testbed import Network

@component
async def wait(inbox, outbox):
    import asyncio
    await asyncio.sleep(100)

network = Network()
a, b = network.host("a").run(wait), network.host("b").run(wait)
network.link(a, b)
with network.emulation() as running:
    # one that leaves its session, its parent and its standard files, as daemons do
    running.start("a", ["sh", "-c", "setsid sleep {mark}1 >/dev/null 2>&1 & exec sleep {mark}2"])
    print("running", flush=True)
    {then}
"""


def with_mark(mark: str) -> list[str]:
    """Return the processes whose command has a text in it; those that are forked have their parent's."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            if mark in command:
                found.append(f"{entry.name} {command}")
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, with_mark(MARK)
        time.sleep(0.01)


def wait_until_gone() -> None:
    wait_until(lambda: not with_mark(MARK))


@pytest.fixture
def run() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a program that emulates, and return it when all runs that it starts."""
    programs: list[subprocess.Popen[str]] = []

    def run(then: str) -> subprocess.Popen[str]:
        started = subprocess.Popen(
            [sys.executable, "-c", SCENARIO.format(then=then, mark=MARK)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        programs.append(started)
        assert started.stdout is not None and started.stdout.readline() == "running\n"
        # it, the launcher, the warden, the box, two hosts, two programs
        wait_until(lambda: len(with_mark(MARK)) == 8 and not any(" sh " in one for one in with_mark(MARK)))
        return started

    yield run
    for one in programs:
        one.kill()
        one.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_whoever_emulates_gets_a_signal(run, number) -> None:
    started = run("time.sleep(100)")
    os.killpg(started.pid, number)
    assert started.wait(10) == -number
    wait_until_gone()
    assert ("KeyboardInterrupt" in started.communicate()[1]) == (number == signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["launcher", "warden", "box"])
def test_nothing_is_left_when_a_process_of_the_emulation_is_killed(run, whom) -> None:
    started = run("running.wait(100)")
    launcher = int(subprocess.check_output(["pgrep", "-P", str(started.pid)], text=True))
    pid = launcher
    if whom != "launcher":
        pid = int(subprocess.check_output(["pgrep", "-P", str(launcher)], text=True))
    if whom == "box":
        pid = int(subprocess.check_output(["pgrep", "-o", "-P", str(pid)], text=True))
    os.kill(pid, signal.SIGKILL)
    _, said = started.communicate(timeout=15)
    assert "EmulationError" in said and "ended by itself" in said
    wait_until_gone()


def test_nothing_is_left_after_an_exception_and_it_is_the_one_that_is_raised() -> None:
    network = Network()
    network.link(network.host("a"), network.host("b"))
    with pytest.raises(ZeroDivisionError), network.emulation() as running:
        running.start("a", ["sh", "-c", f"setsid sleep {MARK}3 & exec sleep 100"])
        # the one in a session of its own is there, and no shell that would still become one of both
        wait_until(lambda: [one.split()[1:] for one in with_mark(MARK)] == [["sleep", f"{MARK}3"]])
        _ = 1 / 0
    assert with_mark(f"{MARK}3") == []
    assert network.simulation is None


def test_nothing_is_left_after_an_ordinary_end() -> None:
    network = Network()
    network.link(network.host("a"), network.host("b"))
    files = len(os.listdir("/proc/self/fd"))
    with network.emulation() as running:
        running.start("a", ["sleep", f"{MARK}4"])
    assert with_mark(f"{MARK}4") == []
    assert len(os.listdir("/proc/self/fd")) == files
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert [one for one in children if "defunct" in one or not Path(f"/proc/{one}").exists()] == []
