"""A second judge of TCP: the same dumbbell in ns-3, without real time.

`dumbbell.cc` says what is simulated, what of Linux is set there, and what ns-3 does otherwise. Here it is
compiled, once, into `.build`, which git ignores; it is run; and what it prints is read. `make fidelity-deps`
installs ns-3. Where it is not there, or no compiler is, `Missing` says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .dumbbell import Bulk, Dumbbell, Flows

FOLDER = Path(__file__).resolve().parent
SOURCE = FOLDER / "dumbbell.cc"
BUILD = FOLDER / ".build"
HEADER = Path("/usr/include/ns3/internet-module.h")
LIBRARIES = ("-Wl,--no-as-needed", "-lns3-internet", "-lns3-network", "-lns3-core")
LONGEST = 600.0  # seconds that one run may take; the largest cell takes three


class Missing(Exception):
    """Something is not there that this judge needs; the message says what, and what would provide it."""


def words_of(dumbbell: Dumbbell) -> list[str]:
    """Return what the program is told of the network; the numbers go to its standard input."""
    return [
        f"--rate={round(dumbbell.rate)}",
        f"--rtt={round(dumbbell.rtt * 1e9)}",
        f"--queue={round(dumbbell.queue)}",
        f"--congestion={dumbbell.congestion}",
    ]


def bulk(dumbbell: Dumbbell, seconds: float = 10.0) -> Bulk:
    """Send all the time for so many seconds of simulated time. Raises `Missing`."""
    line = _run(dumbbell, ["bulk", f"--seconds={_some(seconds, 'seconds')!r}"])
    return Bulk(**line)


def flows(dumbbell: Dumbbell, size: int, repeats: int = 1, pause: float = 1.0, limit: float = 120.0) -> Flows:
    """Send so many bytes again and again, each time over a new connection. Raises `Missing`.

    Arguments:
        dumbbell: the network, which stays from the first connection to the last
        size: bytes
        repeats: how many connections
        pause: seconds from the end of one, when its last byte has come, to the next
        limit: seconds after which one is given up
    """
    if size < 1 or repeats < 1:
        raise ValueError(f"size={size!r}, repeats={repeats!r}: give 1 at least of each")
    words = [f"--size={size}", f"--repeats={repeats}"]
    words += [f"--pause={_some(pause, 'pause', 0)!r}", f"--limit={_some(limit, 'limit')!r}"]
    line = _run(dumbbell, ["flows", *words])
    return Flows(**{**line, "took": tuple(line["took"])})


def _some(value: float, what: str, least: float = 1e-9) -> float:
    if not least <= value < 1e6:
        raise ValueError(f"{what}={value!r}: give some seconds")
    return float(value)


def numbers(lost: Iterable[int]) -> str:
    """Return what the program is told about packets that are lost: in order, so that equal ones are seen."""
    return " ".join(map(str, sorted(lost)))


def _run(dumbbell: Dumbbell, words: list[str]) -> dict[str, Any]:
    """Run the program, and return its line. What is wrong with it is no fault of who asked."""
    command = [str(program()), *words, *words_of(dumbbell)]
    done = subprocess.run(
        command, input=numbers(dumbbell.lost), capture_output=True, text=True, timeout=LONGEST
    )
    if done.returncode != 0:
        raise Missing(f"{SOURCE.name} failed with {done.returncode}: {_last_line(done.stderr)}")
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return line


def program() -> Path:
    """Return the program, compiled when it is not there or its source is newer. Raises `Missing`."""
    made = BUILD / "dumbbell"
    if made.exists() and made.stat().st_mtime >= SOURCE.stat().st_mtime:
        return made
    if not HEADER.exists():
        raise Missing("ns-3 is not installed: `make fidelity-deps` installs libns3-dev")
    if shutil.which("g++") is None:
        raise Missing("there is no compiler g++: `make fidelity-deps` installs it")
    BUILD.mkdir(exist_ok=True)
    # Two may compile at the same time; nobody runs what is half written.
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        target = Path(folder, "dumbbell")
        command = ["g++", "-O2", "-std=c++17", "-o", str(target), str(SOURCE), *LIBRARIES]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
        if done.returncode != 0:
            raise Missing(f"g++ could not compile {SOURCE.name}: {_last_line(done.stderr)}")
        os.replace(target, made)
    return made


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    return lines[-1][:200]
