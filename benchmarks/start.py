"""How long it takes to import Kamaelia, and to run a one-line system from start to exit."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

ROUNDS = 15


@dataclass(frozen=True)
class Start:
    """Medians in milliseconds, each without the interpreter's own start."""

    work: str
    milliseconds: float
    limit: float


def once(*arguments: str) -> float:
    # Whoever installs Kamaelia has its modules compiled; so let them be, whatever is set here.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    return (time.perf_counter() - before) * 1000


def results() -> list[Start]:
    """Measure, interleaved with a bare interpreter."""
    cases = {
        "bare": ("-c", "pass"),
        "import": ("-c", "import kamaelia"),
        "run": ("-m", "kamaelia", "run", "Source('ab') | Collect()"),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, arguments in cases.items():
            times[name].append(once(*arguments))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return [
        Start("import kamaelia", medians["import"] - medians["bare"], 60),
        Start("kamaelia run of a one-liner, start to exit", medians["run"] - medians["bare"], 200),
    ]
