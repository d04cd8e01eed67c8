"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
from kamaelia.axon import Component

class Copy(Component):
    async def main(self):
        async for message in self.inbox:
            await self.outbox.send(1 / message)

def test_good(drive, seed):
    copy = drive(Copy(), seed=seed)
    copy.send(1)
    assert copy.take() == 1

def test_fails_unnoticed(drive):
    drive(Copy()).send(0)

def test_red(seed):
    assert seed < 0
"""

pytestmark = pytest.mark.slow  # each runs pytest in a process of its own


def run_pytest(folder: Path, seed: str | None, *, as_installed: bool = False) -> str:
    """Run the tests above; with the plugins of this environment, which takes a second, only if asked to."""
    (folder / "test_them.py").write_text(TESTS)
    plugin = [] if as_installed and _is_installed() else ["-p", "kamaelia.testing.plugin"]
    environment = {name: value for name, value in os.environ.items() if name != "KAMAELIA_SEED"}
    if not as_installed:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin, "test_them.py"],
        cwd=folder,
        env={
            **environment,
            **({"KAMAELIA_SEED": seed} if seed else {}),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def _is_installed() -> bool:
    from importlib.metadata import entry_points

    return any(point.name == "kamaelia" for point in entry_points(group="pytest11"))


def test_fixtures_drive_and_replay(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, "1234", as_installed=True)
    assert "2 failed, 2 passed" in output or "1 failed, 2 passed, 1 error" in output, output
    assert "ERROR at teardown of test_fails_unnoticed" in output
    assert "ZeroDivisionError" in output
    assert "seed=1234; to run it again: KAMAELIA_SEED=1234 pytest 'test_them.py::test_red'" in output


def test_a_seed_is_drawn_anew_when_none_is_given(tmp_path: Path) -> None:
    def seed_of(output: str) -> str:
        return output.partition("seed=")[2].partition(";")[0]

    first, second = (seed_of(run_pytest(tmp_path, None)) for _ in range(2))
    assert first.isdigit() and second.isdigit() and first != second


def test_a_seed_that_is_no_number_is_refused(tmp_path: Path) -> None:
    assert "KAMAELIA_SEED='seven' is no number" in run_pytest(tmp_path, "seven")


@pytest.mark.once
def test_only_the_plugin_imports_pytest() -> None:
    program = "import kamaelia.testing, sys; sys.exit('pytest' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert done.returncode == 0
