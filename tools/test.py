"""Run the tests: all of them on the Python of .venv, the short ones on the other Pythons; then sum up.

`make test` runs this after `make lint`. A Python between two others gets the short tests of the framework
only: what differs there differs on its neighbours too.

Much of the time tests wait, so five passes go on side by side: all tests in three parts, and the short ones,
whose environments are made meanwhile. The first part is shown as it goes; what the others print is shown when
they are done. What could not be run, and what would make it run, is listed at the very end; with
KAMAELIA_ALL=1 it is a failure.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
# What is installed or compiled, as in the Makefile.
SOURCES = (
    "pyproject.toml",
    "setup.py",
    "src/kamaelia/axon/_core.pyx",
    "src/kamaelia/axon/_core.pxd",
    "src/kamaelia/testbed/_wire.pyx",
    "src/kamaelia/testbed/_capture.pxi",
    "tools/typed.py",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "src/kamaelia/testbed/tcp").glob("*.py"))),
)
VERSIONS = ("3.11", "3.12", "3.13")
# What is left of the short tests on a version that has others on both sides: what asyncio may do another way.
BETWEEN = ["tests/axon"]
# Two of three parts that take about as long as each other; the first has everything else in it.
OTHER_PARTS = {
    "second part": ["tests/axon", "tests/net", "tests/observe", "tests/process", "tests/protocol"],
    "third part": ["tests/chassis", "tests/file", "tests/flow", "tests/testbed", "tests/testing"],
}
SIDE_BY_SIDE = 5
# Without pytest's cache, because `pytest --last-failed` is about the run in the foreground.
IN_BACKGROUND = ["-q", "-p", "no:cacheprovider"]


@dataclass
class Outcome:
    """What one run of pytest came to."""

    name: str
    exit_code: int
    counts: dict[str, int] = field(default_factory=dict)
    not_run: dict[str, list[str]] = field(default_factory=dict)

    def count(self, *kinds: str) -> int:
        return sum(self.counts.get(kind, 0) for kind in kinds)

    def __str__(self) -> str:
        counted = ", ".join(f"{number} {kind}" for kind, number in sorted(self.counts.items()))
        verdict = "" if self.exit_code == 0 else f" (pytest's exit code was {self.exit_code})"
        return f"{self.name}: {counted or 'no tests'}{verdict}"


def run_pytest(name: str, python: Path, arguments: list[str], output: IO[str] | None = None) -> Outcome:
    """Run pytest; what it prints is shown at once, or goes into a file."""
    print(f"\nTesting on {name}.", flush=True, file=output)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        environment = {**os.environ, "KAMAELIA_TEST_REPORT": str(report)}
        # The tests start a hundred Pythons, and without bytecode files each would compile all it imports.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [str(python), "-m", "pytest", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        # There is no report when pytest did not get as far as running tests.
        facts = json.loads(report.read_text()) if report.exists() else {"counts": {}, "not_run": {}}
    counts = facts["counts"]
    for kind in ("deselected", "warnings"):  # these count no test that was run
        counts.pop(kind, None)
    return Outcome(name, done.returncode, counts, facts["not_run"])


def runs(python: Path) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


def find_python(version: str) -> Path | None:
    """Return a Python of that version, from PATH or from pyenv's store."""
    program = f"python{version}"
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}*/bin"))
    for folder in folders + pyenv:
        candidate = folder / program
        # Being there is not enough: pyenv's shims are there for versions that are not active.
        if os.access(candidate, os.X_OK) and runs(candidate):
            return candidate
    return None


def venv_for(version: str, output: IO[str]) -> Path | str:
    """Return the Python of .venv-VERSION, made or brought up to date first; or why there is none."""
    python = find_python(version)
    if python is None:
        return f"no python{version} on PATH or in ~/.pyenv"
    directory = ROOT / f".venv-{version}"
    stamp = directory / ".has-test"
    if not stamp.exists() or any(stamp.stat().st_mtime < (ROOT / one).stat().st_mtime for one in SOURCES):
        command = ["sh", "tools/venv.sh", directory.name, ".[test]", str(python)]
        made = subprocess.run(command, cwd=ROOT, stdout=output, stderr=output)
        if made.returncode != 0:
            return f"no .venv-{version} (see above)"
        stamp.touch()
    return directory / "bin" / "python"


def short_pass(version: str, venv: Future[Path | str], output: IO[str]) -> Outcome | str:
    """Run the short tests on another Python; return what came of it, or why they could not be run."""
    python = venv.result()
    if isinstance(python, str):
        return f"the short pass on Python {version}: {python}"
    between = version not in (VERSIONS[0], VERSIONS[-1])
    name = f"Python {version}, short pass{' over what may depend on it' if between else ''}"
    arguments = [*IN_BACKGROUND, "--short-pass", *(BETWEEN if between else [])]
    return run_pytest(name, python, arguments, output)


def all_passes() -> tuple[list[Outcome], list[str]]:
    """Run everything; return what came of it, and which passes could not be run."""
    own_version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # The longer one first, so that the other does not end long after everything else.
    others = [version for version in reversed(VERSIONS) if version != own_version]
    with contextlib.ExitStack() as stack:
        outputs = [
            stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
            for _ in (*OTHER_PARTS, *others)
        ]
        of_parts, of_others = outputs[: len(OTHER_PARTS)], outputs[len(OTHER_PARTS) :]
        running, making = ThreadPoolExecutor(SIDE_BY_SIDE), ThreadPoolExecutor(max_workers=1)
        for pool in (running, making):
            # After Ctrl-C, which those in the background get too, none of them begins any more.
            stack.callback(pool.shutdown, cancel_futures=True)
        venvs = [making.submit(venv_for, *both) for both in zip(others, of_others, strict=True)]
        own, name = Path(sys.executable), f"Python {own_version}, "
        ignored = [f"--ignore={one}" for part in OTHER_PARTS.values() for one in part]
        first = running.submit(run_pytest, name + "first part", own, ignored)
        passes: list[Future[Outcome | str]] = [
            running.submit(run_pytest, name + part, own, [*IN_BACKGROUND, *tests], output)
            for (part, tests), output in zip(OTHER_PARTS.items(), of_parts, strict=True)
        ]
        passes += [running.submit(short_pass, *all3) for all3 in zip(others, venvs, of_others, strict=True)]

        outcomes = [first.result()]
        absent: list[str] = []
        for came_of_it, output in zip(passes, outputs, strict=True):
            outcome = came_of_it.result()
            output.seek(0)
            sys.stdout.writelines(output)
            if isinstance(outcome, Outcome):
                outcomes.append(outcome)
            else:
                absent.append(outcome)
    return outcomes, absent


def main() -> int:
    outcomes, absent = all_passes()
    print("\n" + "\n".join(str(outcome) for outcome in outcomes))
    not_run = list(absent)
    for outcome in outcomes:
        for reason, tests in outcome.not_run.items():
            more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
            not_run.append(f"{outcome.name}: {tests[0]}{more}: {reason}")
    if not_run:
        print("\nNot run:")
        print("\n".join(f"- {line}" for line in not_run))

    failed = any(outcome.exit_code != 0 for outcome in outcomes)
    if not_run and os.environ.get("KAMAELIA_ALL") == "1":
        print("KAMAELIA_ALL=1: what was not run is a failure.")
        failed = True

    passed = sum(outcome.count("passed", "xfailed") for outcome in outcomes)
    # a run that broke down before it came to a test counts as one failure
    broken = sum(outcome.count("failed", "error") or (outcome.exit_code != 0) for outcome in outcomes)
    skipped = sum(outcome.count("skipped") for outcome in outcomes)
    print(f"\n{passed} passed, {broken} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell counts a program that Ctrl-C ended
