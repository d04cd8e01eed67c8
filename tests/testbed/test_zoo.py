"""The zoo: each planted fault is found, its command finds it again, and without it all is well."""

from __future__ import annotations

import functools
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kamaelia.testbed.simulated import SEED, SEEDS
from tests.testbed.zoo import names, protocol
from tests.testbed.zoo.__main__ import note_of

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = names()


@pytest.fixture(autouse=True)
def quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is left goes to a folder of the test's own, and nobody reads what sockets complain of."""
    monkeypatch.setattr(sys.modules["kamaelia.testbed.simulated"], "FOLDER", str(tmp_path))
    for name in (SEED, SEEDS):
        monkeypatch.delenv(name, raising=False)
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Found(NamedTuple):
    """What the hunt for one fault has found."""

    seed: int
    took: float
    command: str
    said: str
    notes: str


@functools.cache
def hunt(name: str) -> Found:
    """Try seeds until the fault is found."""
    began = time.perf_counter()
    with pytest.raises(AssertionError) as caught:
        protocol(name)(faulty=True)
    took = time.perf_counter() - began
    error = caught.value
    seed = int(note_of(error, "seed ").split()[0])
    command = note_of(error, "to run it again: ")
    return Found(seed, took, command, str(error).splitlines()[0], " ".join(error.__notes__))


def test_there_are_twenty() -> None:
    assert len(NAMES) == 20


@pytest.mark.one_core
@pytest.mark.parametrize("name", NAMES)
def test_the_fault_is_found_within_a_thousand_seeds_and_a_minute(name: str) -> None:
    found = hunt(name)
    assert found.seed < 1000 and found.took < 60, found
    assert "depends on more than the seed" not in found.notes


@pytest.mark.parametrize("name", NAMES)
def test_without_the_fault_all_is_well(name: str) -> None:
    protocol(name).simulated.run((), {"faulty": False}, range(20))


@pytest.mark.soak
@pytest.mark.one_core
@pytest.mark.parametrize("name", NAMES)
def test_without_the_fault_all_is_well_a_thousand_times(name: str) -> None:
    protocol(name).simulated.run((), {"faulty": False}, range(1000))


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.one_core
@pytest.mark.parametrize("name", NAMES)
def test_the_command_finds_it_again(name: str) -> None:
    found = hunt(name)
    words = f"kamaelia simulate tests.testbed.zoo.{name}:protocol --seed={found.seed} --param=faulty=True"
    assert found.command.endswith(words)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        found.command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    said = re.search(r"AssertionError: (.*)", done.stderr)
    assert said and said[1] == found.said, done.stderr
