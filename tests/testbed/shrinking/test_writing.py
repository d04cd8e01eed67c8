"""What is left of a failure: a file that fails in the same way, its packets, and what is said about it."""

from __future__ import annotations

import ast
import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamaelia.axon import ComponentsFailed, UsageError
from kamaelia.cli import main
from kamaelia.testbed import Network, simulated
from kamaelia.testbed.captures import read_pcapng
from kamaelia.testbed.shrinking import NotShrunk, Shrunk, leaving, shrink
from kamaelia.testbed.simulated import SEED, SEEDS, SHRINK
from tests.testbed.shrinking.systems import asking, coins, nothing_came, test_all_is_answered

pytestmark = pytest.mark.one_core
test_all_is_answered.__test__ = False  # type: ignore[attr-defined]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Everything is left in a folder of the test's own, and nobody reads what sockets complain of."""
    monkeypatch.chdir(tmp_path)
    for name in (SEED, SEEDS, SHRINK):
        monkeypatch.delenv(name, raising=False)
    logging.disable()
    yield tmp_path
    logging.disable(logging.NOTSET)


def load(path: Path) -> Any:
    """Import a file, as somebody does who runs it; what it has put on the path goes again."""
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def drawn() -> Shrunk:
    return shrink(asking, seed=11, seconds=40)


def test_the_file_of_a_scenario_fails_as_it_did(here: Path) -> None:
    found = shrink(asking, {"by": "script", "raises": False}, seconds=40, fails=nothing_came)
    path, packets = found.write()
    assert (path, packets) == (Path("failure.py"), Path("failure.pcapng"))
    module = load(path)
    network = module.network()
    assert list(network.hosts) == list(found.hosts) and len(network.links) == 1
    trace = network.simulate(found.plan.seconds, seed=found.seed, errors="collect")
    assert trace.fingerprint == found.fingerprint != ""
    with pytest.raises(AssertionError, match="missing at client-1"):
        module.scenario()


def test_the_file_says_what_is_left_of_it(here: Path) -> None:
    text = drawn().write("why.py")[0].read_text()
    assert ast.get_docstring(ast.parse(text)) == (
        "It fails with 2 of 8 hosts, 1 of 7 links and 1 of 6 faults, in 10 s.\n"
        "\n"
        "    Broken: no answer to 4\n"
        "\n"
        "python why.py                                        runs it again\n"
        "kamaelia simulate why.py                             likewise, and shows only what matters\n"
        "kamaelia simulate why.py:network --seed=11 --studio  lets you watch it\n"
        "\n"
        "The packets of all its links are in why.pcapng."
    )
    _, _, body = text.partition("def network():\n")
    assert body.partition("\n\n\n")[0] == (
        '    """Return the smallest network that was found to fail."""\n'
        "    network = asking(clients=2, loss='0 %', raises=True, by='disturb')\n"
        "    keep(\n"
        "        network,\n"
        '        hosts=["hub", "server", "client-1"],\n'
        "        links={\n"
        '            "hub - server": [],  # delay 5 ms\n'
        '            "hub - client-1": [],  # delay 5 ms\n'
        "        },\n"
        '        bypass=["hub"],\n'
        "    )\n"
        '    network.at(2.0, network.hosts["server"].crash)\n'
        '    network.at(6.0, network.hosts["server"].restart)\n'
        "    return network"
    )


@pytest.mark.slow
def test_the_file_is_a_program(here: Path) -> None:
    path = drawn().write(here / "sub.py")[0]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
    for command in ([str(path)], ["-m", "kamaelia", "simulate", "sub.py"]):
        done = subprocess.run(
            [sys.executable, *command], env=environment, cwd=here, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1 and "Broken: no answer to 4" in done.stderr, done.stderr
        assert "seed 11 of scenario" in done.stderr


@pytest.mark.once
@pytest.mark.needs("module:ruff")
def test_the_file_is_formatted_well(here: Path) -> None:
    for number, found in enumerate((drawn(), shrink(test_all_is_answered, seed=0))):
        path = found.write(f"failure_{number}.py")[0]
        # but for the length of lines: one holds the way to this checkout, however long that is
        options = ["--config", ROOT / "pyproject.toml", "--extend-ignore=E501", "--no-cache"]
        done = subprocess.run([sys.executable, "-m", "ruff", "check", *options, path], capture_output=True)
        assert done.returncode == 0, done.stdout.decode()


def test_the_packets_are_those_of_all_links(here: Path) -> None:
    found = drawn()
    _, packets = found.write()
    read = list(read_pcapng(packets))
    assert {one.name for one in read} == {"server eth0", "client-1 eth0"}
    sent = [one.data[28:] for one in read if one.name == "client-1 eth0" and not one.inbound]
    assert sent == [b"%d" % number for number in range(5)]  # to 4 there is no answer


def test_the_file_of_a_test_fails_as_it_did(here: Path) -> None:
    found = shrink(test_all_is_answered, seed=0)
    module = load(found.write()[0])
    with pytest.raises(AssertionError, match="some are missing") as caught:
        module.scenario()
    assert any(note.startswith("seed 0 of scenario") for note in caught.value.__notes__)
    network = module.smaller(_described())
    assert list(network.hosts) == ["server", "client-1"] == list(found.hosts)


def _described() -> Network:
    network = Network()
    next(test_all_is_answered.simulated.body(network))  # type: ignore[attr-defined]
    return network


def test_a_test_makes_its_failure_smaller(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = simulated([0], seconds=30, shrink=True)(test_all_is_answered.simulated.body)  # type: ignore[attr-defined]
    monkeypatch.setattr(test.simulated, "_started_in", str(here))  # type: ignore[attr-defined]
    with pytest.raises(AssertionError) as caught:
        test()
    made = [note for note in caught.value.__notes__[3:] if not note.startswith("in ")]
    folder = ".kamaelia/failures/tests.testbed.shrinking.systems.test_all_is_answered"
    assert made[0] == "made smaller: It fails with 2 of 5 hosts, 1 of 4 links and 1 of 2 faults, in 30 s."
    assert made[1] == "it needs: crash of host client-1 at 3 s, until 13 s"
    assert made[2].startswith("to run that: ") and made[2].endswith(f" {folder}/failure.py")
    left = {path.name for path in (here / folder).iterdir()}
    assert left >= {"failure.py", "failure.pcapng", "trace.txt"}


def test_the_environment_asks_for_it_too(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @simulated([3])
    def test(network: Network, tmp_path: Path) -> Any:
        for name in "abc":
            network.host(name)
        yield network
        assert not tmp_path.exists() or "b" not in network.hosts, "b is there"

    monkeypatch.setenv(SHRINK, "1")
    with pytest.raises(AssertionError) as caught:
        test(tmp_path=here)  # type: ignore[call-arg]
    notes = caught.value.__notes__
    assert notes[-2] == "made smaller: It fails with 1 of 3 hosts, 0 of 0 links and 0 of 0 faults, in 60 s."
    assert notes[-1].startswith("that cannot be written down (scenario=")


def test_the_command_makes_a_failure_smaller(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "tests.testbed.shrinking.systems:asking", "--seconds=40", "--shrink"]
    assert main([*words, "--seed=11"]) == 1
    said = capsys.readouterr().err
    assert "smaller: faults     6 > 1, 8 runs\n" in said
    assert "made smaller: It fails with 2 of 8 hosts, 1 of 7 links and 1 of 6 faults, in 10 s.\n" in said
    path = Path(".kamaelia/failures/tests.testbed.shrinking.systems.asking/failure.py")
    assert said.endswith(f" {path}\n") and path.with_suffix(".pcapng").exists()
    assert main(["simulate", str(path)]) == 1
    assert "Broken: no answer to 4\n" in capsys.readouterr().err


def test_the_command_does_so_for_the_first_seed_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "tests.testbed.shrinking.systems:coins", "--seeds=10", "--shrink", "--param=count=5"]
    assert main([*words, "--param=limit=0.9"]) == 1
    assert "made smaller: It fails with 1 of 5 hosts" in capsys.readouterr().err
    words = ["simulate", "tests.testbed.shrinking.systems:test_all_is_answered", "--shrink", "--seed=0"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "smaller: faults     2 > 1" in said and "(it needs: crash of host client-1 at 3 s" in said


def test_of_a_search_that_ends_early_it_is_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "SHOWN", 2)
    said = leaving.shrink_and_leave(asking, {}, 11, here, "why", "python3", None, seconds=40, within=0)
    assert [line.partition(":")[0] for line in said] == [
        "made smaller",
        "it still has",
        "it still has",
        "it still has 4 more",
        "it may be smaller still",
        "to run that",
    ]
    assert said[4].endswith("(its time was over)") and said[5].endswith(
        "python3 .kamaelia/failures/why/failure.py"
    )


def test_what_passes_is_left_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "tests.testbed.shrinking.systems:asking", "--shrink"]) == 0
    assert "smaller" not in capsys.readouterr().err and list(here.iterdir()) == []
    (here / "net.py").write_text("from kamaelia.testbed import Network\nnetwork = Network()\n")
    assert main(["simulate", "net.py", "--shrink"]) == 2
    assert "--shrink makes many runs, each of a new network" in capsys.readouterr().err
    assert main(["simulate", "tests.testbed.shrinking.systems:asking", "--shrink", "--check"]) == 2


def test_what_cannot_be_written_is_said(here: Path) -> None:
    def inside() -> Network:
        return coins(limit=0.0)

    with pytest.raises(UsageError, match=r"scenario=.*inside.*: a file cannot import it"):
        shrink(inside).write()
    found = shrink(asking, {"by": "script", "raises": False}, seconds=40, fails=lambda trace: True)
    with pytest.raises(UsageError, match=r"fails=.*lambda.*: a file cannot import it"):
        found.write()
    with pytest.raises((NotShrunk, ComponentsFailed)):
        shrink(coins, {"limit": 2.0})
