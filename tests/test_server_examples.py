"""Run the examples that are servers as a reader would, and use them: what is seen then is kept beside them.

`KAMAELIA_KEEP=1 pytest tests/test_server_examples.py` keeps it anew, as for the other examples.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.sync.client import connect

from kamaelia import run
from kamaelia.flow import Collect, Take
from kamaelia.protocol.http import EventSource
from tests.test_examples import FOLDER, SERVERS, check_kept, environment
from tools.ports import free_ports

WAIT = 20.0  # seconds for anything at all


class Example:
    """A program of examples/ that serves, in a process of its own.

    Arguments:
        name: of its file
        usual: the ports that its docstring names, for which it gets others
        arguments: all that it is told; None stands for the next of its ports
    """

    def __init__(self, name: str, usual: list[int], *arguments: Any) -> None:
        self.path = FOLDER / f"{name}.py"
        self.ports = free_ports(len(usual))
        self._usual = dict(zip(map(str, self.ports), map(str, usual), strict=True))
        ports = iter(self.ports)
        told = [str(next(ports) if argument is None else argument) for argument in arguments]
        self._said: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, self.path, *told],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches its processes too, as it does in a terminal
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as said:
            for line in said:
                with self._news:
                    self._said.append(line)
                    self._news.notify_all()

    def wait_for(self, what: str, times: int = 1) -> None:
        """Wait until it has said something so often."""
        with self._news:
            heard = self._news.wait_for(lambda: "".join(self._said).count(what) >= times, timeout=WAIT)
        assert heard, "".join(self._said)

    def said(self) -> str:
        """Return what it has said, as it would be with its usual ports, and sorted: which of several servers
        is the first to listen is left open."""
        text = re.sub(r"kamaelia \S+ \(.*?\)", "kamaelia", "".join(sorted(self._said)))
        return re.sub(r"\b\d{5}\b", lambda match: self._usual.get(match[0], match[0]), text)

    def end(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        try:
            return self._process.wait(WAIT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._listener.join()


@contextlib.contextmanager
def served(name: str, usual: list[int], *arguments: Any, listening: int = 1) -> Iterator[Example]:
    """Run an example until it has been used."""
    example = Example(name, usual, *arguments)
    try:
        example.wait_for("Server listens on", listening)
        yield example
    except BaseException:
        example.end()
        raise
    assert example.end() == 0, example.said()


def get(url: str, **options: Any) -> tuple[int, str, str]:
    """Return status, type and text of what is to be had somewhere."""
    try:
        with urllib.request.urlopen(url, timeout=WAIT, **options) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def test_a_page_and_a_terminal_are_in_one_room() -> None:
    seen = []
    with served("web_chat", [8080, 1500], None, None, listening=2) as example:
        web, nc = example.ports
        seen.append(example.said())
        status, kind, page = get(f"http://127.0.0.1:{web}/")
        assert (status, kind) == (200, "text/html; charset=utf-8") and "new WebSocket(" in page
        with (
            connect(f"ws://127.0.0.1:{web}/chat") as anna,
            socket.create_connection(("127.0.0.1", nc), WAIT) as terminal,
            terminal.makefile("rw") as bert,
        ):
            anna.send("anna: is anybody there?")
            seen += ["anna sees  ", anna.recv(WAIT), "\nbert sees  ", bert.readline()]
            bert.write("bert: I am!\n")
            bert.flush()
            seen += ["anna sees  ", anna.recv(WAIT), "\nbert sees  ", bert.readline()]
            with connect(f"ws://127.0.0.1:{web}/chat") as cleo:  # who is told what was said before
                seen += ["cleo sees  ", cleo.recv(WAIT), "\ncleo sees  ", cleo.recv(WAIT), "\n"]
    check_kept(example.path, "".join(map(str, seen)))


@pytest.mark.parametrize("protected", [False, True], ids=["http", "https"])
def test_a_folder_is_a_site(protected: bool, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "pictures").mkdir(parents=True)
    (site / "index.html").write_text("<h1>Welcome")
    (site / "pictures" / "dot.svg").write_text("<svg/>")
    (site / ".secret").write_text("x")
    (tmp_path / "outside").write_text("x")
    authority = trustme.CA()
    certificate = tmp_path / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    options: dict[str, Any] = {}
    if protected:
        options["context"] = context = ssl.create_default_context()
        authority.configure_trust(context)
    with served("static_site", [8080], site, None, *[certificate] * protected) as example:
        seen = [example.said()]
        address = f"{'https' if protected else 'http'}://127.0.0.1:{example.ports[0]}"
        for path in ("/", "/pictures", "/pictures/dot.svg", "/nowhere", "/.secret", "/%2e%2e/outside"):
            status, kind, text = get(address + path, **options)
            seen.append(f"{path}: {status}, {kind}, {text.strip()}\n")
    if protected:
        assert "".join(seen).replace("https:", "http:") == example.path.with_suffix(".txt").read_text()
    else:
        check_kept(example.path, "".join(seen))


@pytest.mark.slow
def test_the_others_answer_in_place_of_the_one_that_is_killed() -> None:
    ports = [8080, 9001, 9002, 9003]
    with served("load_balancer", ports, None, None, None, None, listening=4) as example:
        address = f"http://127.0.0.1:{example.ports[0]}/"
        before = Counter(asked(address) for _ in range(9))
        assert sorted(before.values()) == [3, 3, 3]
        seen = [example.said(), "nine requests: three processes answer three each\n"]
        victim = next(iter(before))
        os.kill(victim, signal.SIGKILL)
        example.wait_for("was killed by SIGKILL")
        meanwhile = {asked(address) for _ in range(20)}
        assert meanwhile == set(before) - {victim}
        seen.append("one is killed; twenty requests: the other two answer all of them\n")
        example.wait_for("Server listens on", 5)
        end = time.monotonic() + WAIT
        while (another := asked(address)) in before:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert another != victim
        seen.append("its supervisor has started another, which answers as well\n")
    check_kept(example.path, "".join(seen))


def asked(address: str) -> int:
    """Return which process has answered."""
    status, _, text = get(address)
    match = re.fullmatch(r"hello from process (\d+), behind 1.1 kamaelia\n", text)
    assert status == 200 and match is not None, text
    return int(match[1])


def test_a_page_is_told_each_figure() -> None:
    with served("dashboard", [8080], None, 0.02) as example:
        seen = [example.said()]
        address = f"http://127.0.0.1:{example.ports[0]}/"
        status, kind, page = get(address)
        assert (status, kind) == (200, "text/html; charset=utf-8") and 'new EventSource("figures")' in page
        seen.append("the page has been asked for\n")
        events = run(EventSource(f"{address}figures") | Take(70) | Collect())
        figures = [json.loads(event.data) for event in events]
        assert all(list(figure) == ["at", "open", "answered"] for figure in figures)
        # What was kept first, and from then on what is new: the page, and this one, who listens.
        assert [figure["answered"] for figure in figures[-10:]] == [2] * 10
        assert [figure["open"] for figure in figures[-10:]] == [1] * 10
        seen.append("who listens is told: 2 requests answered, 1 connection open\n")
    check_kept(example.path, "".join(seen))


@pytest.mark.one_core()
def test_every_example_that_serves_is_used() -> None:
    serving = {path.stem for path in FOLDER.glob("*.py") if "def serve(" in path.read_text()}
    assert serving == SERVERS == served_by_tests(Path(__file__).read_text())


def served_by_tests(source: str) -> set[str]:
    """Return which examples the tests of a file run, and keep the output of. They are read, and not run: some
    of them may have been left out this time."""
    used = set()
    for test in ast.parse(source).body:
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
            calls = [node for node in ast.walk(test) if isinstance(node, ast.Call)]
            named = {call.func.id: call for call in calls if isinstance(call.func, ast.Name)}
            if {"served", "check_kept"} <= named.keys():
                used.add(ast.literal_eval(named["served"].args[0]))
    return used


@pytest.mark.one_core()
def test_an_example_is_only_used_if_it_is_run_and_compared() -> None:
    run, compare = "with served('web_chat', [1]) as example:", "check_kept(example.path, '')"
    assert served_by_tests(f"def test_one():\n  {run}\n    {compare}") == {"web_chat"}
    assert served_by_tests(f"def test_one():\n  {run}\n    pass") == set()
    assert served_by_tests(f"def other():\n  {run}\n    {compare}") == set()
