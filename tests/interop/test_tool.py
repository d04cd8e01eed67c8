"""`make interop` as a measuring instrument: what is wrong is called so, and nothing is left behind."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kamaelia.flow import Map
from kamaelia.net import TCPServer
from tools import ports
from tools.interop import report
from tools.interop.judge import Judge, Missing, attempt
from tools.interop.workshop import HOST, Workshop, Wrong, contains, equal, true

pytestmark = [pytest.mark.once, pytest.mark.one_core()]


def judged(do: Any, **options: Any) -> Any:
    """Return what comes of a case that does this."""
    judge = Judge("somebody", **options)
    judge.case("Map", "`what is tried`", "what | must be seen")(do)
    return attempt(judge.cases[0])


def test_what_is_seen_is_compared() -> None:
    outcome = judged(lambda shop: equal("milk", "tea", "the drink"))
    assert outcome.failed == "the drink is 'milk', not 'tea'"
    assert judged(lambda shop: contains("milk", "il", "tea")).failed == "no 'tea' in 'milk'"
    assert judged(lambda shop: true([], "nothing there")).failed == "nothing there"
    assert str(judged(lambda shop: None)) == "yes"
    assert str(judged(lambda shop: "12 a second")) == "12 a second"


def test_a_case_that_breaks_has_failed() -> None:
    def breaks(shop: Workshop) -> None:
        raise ExceptionGroup("two", [KeyError("tea"), ExceptionGroup("one", [OSError("milk")])])

    assert judged(breaks).failed == "KeyError: 'tea'; OSError: milk"


def test_what_is_missing_is_named() -> None:
    assert judged(None, programs=["no-such-program"]).not_run == "no program no-such-program"
    assert judged(None, modules=["no_such_module"]).not_run == "no module no_such_module"

    def lacks(shop: Workshop) -> None:
        raise Missing("no Python 2.7")

    assert str(judged(lacks)) == "not run: no Python 2.7"


def test_programs_are_stopped_and_so_are_those_that_they_have_started(tmp_path: Path) -> None:
    with Workshop(tmp_path) as shop:
        shell = shop.start("sh", "-c", "sleep 1000 & echo $!; wait", stdout=subprocess.PIPE)
        assert shell.stdout is not None
        child = Path("/proc") / shell.stdout.readline().decode().strip()
        assert child.exists()
    assert shell.poll() is not None

    def over() -> bool:  # or dead, and nobody has asked for it yet
        try:
            return "State:\tZ" in (child / "status").read_text()
        except OSError:
            return True

    Workshop(tmp_path).until(over, "it is gone")  # a signal takes its time


def test_programs_have_limits(tmp_path: Path) -> None:
    with Workshop(tmp_path) as shop:
        with pytest.raises(Wrong, match=r"sleep has not ended within 0\.1 s"):
            shop.run("sleep", "1000", timeout=0.1)
        with pytest.raises(Wrong, match=r"sh has ended with 3, not 0: milk"):
            shop.run("sh", "-c", "echo milk >&2; exit 3")
        assert shop.run("cat", given=b"tea", code=None).text == "tea"
        with pytest.raises(Wrong, match="sh has ended before it listened"):
            shop.start("sh", "-c", "exit 1", port=1)


def test_a_port_that_is_used_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ports.free_ports(100)
    assert len(set(found)) == 100
    with socket.create_server((HOST, found[0])):
        monkeypatch.setattr(ports, "FIRST", found[0])
        monkeypatch.setattr(ports, "LAST", found[0] + 5)
        assert found[0] not in [ports.free_port() for _ in range(100)]


def test_servers_are_stopped(tmp_path: Path) -> None:
    with Workshop(tmp_path) as shop:
        address = shop.serve(TCPServer(Map(bytes.upper), port=0, quiet=True))
        with shop.connection(address) as connection:
            connection.sendall(b"tea")
            assert connection.recv(3) == b"TEA"
    assert address[0] == HOST
    with pytest.raises(ConnectionRefusedError), shop.connection(address):
        pass


def test_outcomes_are_kept_beside_those_of_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "interop.md"
    page.write_text(f"# Who\n\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "KEPT", tmp_path / "results.json")
    monkeypatch.setattr(report, "PAGE", page)
    for name, do in (("ann", lambda shop: equal(1, 2)), ("bob", lambda shop: None)):
        judge = Judge(name, version=["echo", "version 1.2.3"])
        judge.case("Map", "`a`", "b | c")(do)
        data = report.as_data(judge, [attempt(judge.cases[0])])
        report.keep({"machine": "here", "judges": {name: data}}, ["bob", "ann"])
    kept = json.loads((tmp_path / "results.json").read_text())
    assert list(kept["judges"]) == ["bob", "ann"]
    lines = page.read_text().splitlines()
    assert lines[:3] == ["# Who", "", report.BEGIN]
    assert lines[-2:] == [report.END, "after"]
    assert "| bob | 1.2.3 | `Map` | 1 | all as it must be |" in lines
    assert "| ann | 1.2.3 | `Map` | 1 | 1 failed |" in lines
    assert "| `Map` | `a` | b \\| c | **no**: it is 1, not 2 |" in lines
    assert "old" not in lines
