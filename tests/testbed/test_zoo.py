"""The zoo: each planted fault is found, its command finds it again, and without it all is well.

To look for the faults takes longer than to have them: `python -m tests.testbed.zoo`, or a soak test here.
The other tests begin with the seeds that have found them before.
"""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamaelia.cli import main
from kamaelia.testbed.simulated import SEED, SEEDS
from tests.testbed.zoo import FIRST, names, protocol
from tests.testbed.zoo.__main__ import hunt, replay

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = names()


@pytest.fixture(autouse=True)
def quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is left goes to a folder of the test's own, and nobody reads what sockets complain of."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys.modules["kamaelia.testbed.simulated"], "FOLDER", str(tmp_path))
    for name in (SEED, SEEDS):
        monkeypatch.delenv(name, raising=False)
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.one_core
def test_there_are_twenty() -> None:
    assert len(NAMES) == 20 and sorted(FIRST) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_fault_is_found_and_its_command_finds_it_again(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = hunt(name, (FIRST[name],))
    assert found is not None and found.seed < 1000
    assert "depends on more than the seed" not in found.notes
    words = f"-m kamaelia simulate tests.testbed.zoo.{name}:protocol --seed={found.seed} --param=faulty=True"
    assert found.command.endswith(words)
    assert main(shlex.split(words)[2:]) == 1
    assert f"AssertionError: {found.said}\n" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_without_the_fault_all_is_well(name: str) -> None:
    protocol(name).simulated.run((), {"faulty": False}, (*range(4), FIRST[name]))


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.one_core
def test_the_command_is_one_for_a_shell() -> None:
    found = hunt("reordering", (FIRST["reordering"],))
    assert found is not None and replay(found) == ""


@pytest.mark.soak
@pytest.mark.one_core
@pytest.mark.parametrize("name", NAMES)
def test_the_fault_is_found_within_a_thousand_seeds_and_a_minute(name: str) -> None:
    found = hunt(name)
    assert found is not None and found.seed < 1000 and found.seconds < 60, found
    assert found.seed == FIRST[name], "write this seed into FIRST"
    assert replay(found) == ""


@pytest.mark.soak
@pytest.mark.one_core
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_without_the_fault_all_is_well_a_thousand_times(name: str) -> None:
    protocol(name).simulated.run((), {"faulty": False}, range(1000))
