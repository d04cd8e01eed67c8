"""The process of a Studio: it begins with a system, or beside one, and never outlives it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kamaelia.cli import main
from kamaelia.cli.studio import is_loopback

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.one_core("compiled"),
    pytest.mark.needs("module:websockets"),
]

ROOT = Path(__file__).resolve().parents[2]
WAIT = 20.0
ADDRESS = re.compile(r"(http://\S+/)#([0-9a-f]{32})")
BUSY = "Interval(0.01) | Collect()"
PROGRAM = f"from kamaelia import run\nfrom kamaelia.flow import *\nrun({BUSY}, studio=True, grace=0.2)"


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))

    def start(*words: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, *words], stderr=subprocess.PIPE, text=True, start_new_session=True
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def address(process: subprocess.Popen[str]) -> str:
    """Return where the Studio is, as soon as it says so."""
    assert process.stderr is not None
    for line in process.stderr:
        found = ADDRESS.search(line)
        if found:
            return found[1]
    raise AssertionError("it has ended without a Studio")


def page(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=WAIT) as answer:
        body: bytes = answer.read()
    return body


def wait_until_gone(url: str) -> None:
    end = time.monotonic() + WAIT
    while True:
        try:
            page(url)
        except OSError:
            return
        assert time.monotonic() < end, "the Studio is still there"
        time.sleep(0.05)


def test_the_command_runs_a_system_and_shows_it_until_ctrl_c(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    process = start("-m", "kamaelia", "studio", BUSY, "--no-open")
    url = address(process)
    assert b"<title>Kamaelia Studio</title>" in page(url)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to both of them
    assert process.wait(WAIT) == 0
    wait_until_gone(url)


@pytest.mark.studio
def test_a_program_shows_itself_and_takes_the_studio_with_it(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    process = start("-c", PROGRAM)
    url = address(process)
    assert b"<title>Kamaelia Studio</title>" in page(url)
    process.send_signal(signal.SIGINT)
    process.wait(WAIT)
    wait_until_gone(url)


def test_the_studio_goes_when_its_system_is_killed(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("-c", PROGRAM)
    url = address(process)
    process.kill()
    wait_until_gone(url)


def test_who_attaches_to_nothing_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studio", "--attach", "/no/such.sock", "--no-open"]) == 2
    assert capsys.readouterr().err == "kamaelia studio: there is no socket /no/such.sock\n"
    assert main(["studio", "chat.py", "--attach", "4711"]) == 2
    assert "give one of them" in capsys.readouterr().err


def test_another_host_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studio", "--attach", "/no/such.sock", "--host", "0.0.0.0"]) == 2
    assert "0.0.0.0 is reached from other machines" in capsys.readouterr().err
    assert [is_loopback(host) for host in ("127.0.0.2", "::1", "localhost", "192.0.2.1", "name")] == [
        True, True, True, False, False
    ]  # fmt: skip


def test_without_the_package_for_websockets_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [*sys.modules, "websockets"]:
        if name.partition(".")[0] == "websockets":
            monkeypatch.setitem(sys.modules, name, None)
    assert main(["studio", BUSY]) == 2
    said = "kamaelia studio: WebSocket needs a package: pip install 'kamaelia[websocket]'\n"
    assert capsys.readouterr().err == said
