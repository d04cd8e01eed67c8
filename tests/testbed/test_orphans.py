"""Processes that simulate for another one end when that is killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.one_core, pytest.mark.slow, pytest.mark.once]

PROGRAM = """
from kamaelia import component, sleep
from kamaelia.testbed import Network, check, simulated

@component
async def go_on(inbox, outbox):
    while True:
        await sleep(0.001)

def endless():
    network = Network()
    network.host("a").run(go_on)
    return network

@simulated(seeds=1000, seconds=1e9, jobs=2)
def side_by_side():
    return endless()

if __name__ == "__main__":
    {call}
"""
WAIT = 30.0


def children_of(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # nobody may have asked yet how it has ended


@pytest.mark.parametrize(
    ("call", "count"), [("check(endless, 1e9, seed=7, processes=True)", 2), ("side_by_side()", 2)]
)
def test_they_end_when_the_one_that_has_started_them_is_killed(tmp_path: Path, call: str, count: int) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM).format(call=call))
    process = subprocess.Popen([sys.executable, str(program)], cwd=tmp_path)
    try:
        end = time.monotonic() + WAIT
        while len(started := children_of(process.pid)) < count:
            assert time.monotonic() < end and process.poll() is None, "it has started none"
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    while any(map(is_alive, started)):
        assert time.monotonic() < end, f"of {started} some go on"
        time.sleep(0.02)
