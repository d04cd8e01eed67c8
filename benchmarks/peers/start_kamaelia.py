"""Start a bare Python, one that imports Kamaelia, and ``kamaelia run`` of a one-liner, in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import report

TURNS = 5
CASES = {
    "bare": ("-c", "pass"),
    "import": ("-c", "import kamaelia"),
    "run": ("-m", "kamaelia", "run", "Source('ab') | Collect()"),
}


def once(*arguments: str) -> float:
    before = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return (time.perf_counter() - before) * 1000


if __name__ == "__main__":
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(TURNS):
        for name, arguments in CASES.items():
            times[name].append(once(*arguments))
    medians = {name: statistics.median(values) for name, values in times.items()}
    bare = medians.pop("bare")
    report(about(), **{name: value - bare for name, value in medians.items()})
