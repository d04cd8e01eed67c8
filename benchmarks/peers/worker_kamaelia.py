"""Kamaelia: what a worker process does with MESSAGES of a KIND.

MESSAGES KIND. "out" and "in" are messages of 64 bytes from and to a worker, "arrays" are arrays of 1 MB to
one; "two-workers" is a pipeline with two stages that compute, each in a worker, "one-process" the same
without workers, and "bare" the same work in two processes that send nothing. The time is from the first
message at the end of the way to the last.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import numbers, report
from kamaelia import Component, run
from kamaelia.flow import Map, Source
from kamaelia.process import Worker

MEGABYTE = 1_000_000


class Send(Component):
    """Sends the same message again and again."""

    inbox = None

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size

    async def main(self) -> None:
        message: Any = b"x" * self.size
        if self.size == MEGABYTE:
            import numpy

            message = numpy.zeros(self.size, numpy.uint8)
        send = self.outbox.send
        for _ in range(self.count):
            await send(message)


class Stopwatch(Component):
    """Returns how many messages came, and how many seconds lay between the first and the last."""

    outbox = None

    async def main(self) -> tuple[int, float]:
        await self.inbox.receive()
        count = 1
        start = time.perf_counter()
        async for _ in self.inbox:
            count += 1
        return count, time.perf_counter() - start


def compute(number: int) -> int:
    """Take about half a millisecond."""
    for _ in range(5000):
        number = (number * 1103515245 + 12345) & 0x7FFFFFFF
    return number


def bare(count: int) -> tuple[int, float]:
    """Do half of the work in each of two processes; each takes its own time, and the slower one counts."""
    code = (
        "import time\nfrom benchmarks.peers.worker_kamaelia import compute\nstart = time.perf_counter()\n"
        f"for number in range({count}): compute(number)\nprint(time.perf_counter() - start)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    return count, max(float(process.communicate()[0]) for process in started)


def work(count: int, kind: str) -> tuple[int, float]:
    if kind == "bare":
        return bare(count)
    systems = {
        "out": lambda: Worker(Send(count, 64)) | Stopwatch(),
        "in": lambda: Send(count, 64) | Worker(Stopwatch()),
        "arrays": lambda: Send(count, MEGABYTE) | Worker(Stopwatch()),
        "one-process": lambda: Source(range(count)) | Map(compute) | Map(compute) | Stopwatch(),
        "two-workers": lambda: (
            Source(range(count)) | Worker(Map(compute)) | Worker(Map(compute)) | Stopwatch()
        ),
    }
    counted: tuple[int, float] = run(systems[kind]())
    return counted


if __name__ == "__main__":
    (MESSAGES,) = numbers()[:1]
    KIND = sys.argv[2]
    arrived, seconds = work(MESSAGES, KIND)
    if arrived != MESSAGES:
        raise SystemExit(f"{arrived} of {MESSAGES} messages arrived")
    volume = MESSAGES * MEGABYTE / seconds / 1e9
    report(about(), messages=MESSAGES, seconds=seconds, rate=MESSAGES / seconds, volume=volume)
