"""What it costs to be looked at: the throughput of systems while somebody watches them, and while nobody does.

Run by hand: ``python -m benchmarks.observed``. Each system runs in a process of its own, as fast as it can, with
an inspection socket. The rounds with a client that watches, four frames a second, and those without follow
one another, so that what else the machine does is the same for both. Printed are the medians, and their
ratio: what is left of the throughput.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from kamaelia import Component, Pipeline, component, run, sleep
from kamaelia.observe.inspection import connect

ROUND = 2.0  # seconds
SETTLE = 0.5  # seconds after somebody has come, or gone


@component
async def numbers(inbox, outbox):
    number = 0
    while True:
        await outbox.send(number)
        number += 1


@component
async def copy(inbox, outbox):
    async for message in inbox:
        await outbox.send(message)


@component
async def count(inbox, outbox, counts, index):
    async for _ in inbox:
        counts[index] += 1


@component
async def tell(inbox, outbox, counts):
    """Print how many messages have arrived in all, twenty times a second."""
    while True:
        print(time.perf_counter(), sum(counts), flush=True)
        await sleep(0.05)


SYSTEMS = {"pipeline": (1, 8), "300 parts": (20, 13), "1000 parts": (100, 8)}
"""How many pipelines, and how many copies in each."""


def serve(name: str) -> None:
    """Run a system, for ever."""
    lines, copies = SYSTEMS[name]
    counts = [0] * lines
    parts: list[Component] = [
        Pipeline(numbers(), *[copy() for _ in range(copies)], count(counts, index)) for index in range(lines)
    ]
    run(*parts, tell(counts), inspect=True)


class Served:
    """A system in a process of its own."""

    def __init__(self, name: str) -> None:
        self.program = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.observed", "--serve", name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        assert self.program.stdout is not None and self.program.stderr is not None
        os.set_blocking(self.program.stdout.fileno(), True)
        self.program.stderr.readline()  # it can be looked at

    def rate(self, seconds: float) -> float:
        """Return how many messages a second arrive in the next seconds."""
        first = self._newest()
        end = first[0] + seconds
        last = first
        while last[0] < end:
            last = self._line()
        return (last[1] - first[1]) / (last[0] - first[0])

    def settle(self, seconds: float) -> None:
        """Let some time pass."""
        self.rate(seconds)

    def _newest(self) -> tuple[float, int]:
        line = self._line()
        while time.perf_counter() - line[0] > 0.1:
            line = self._line()
        return line

    def _line(self) -> tuple[float, int]:
        assert self.program.stdout is not None
        when, arrived = self.program.stdout.readline().split()
        return float(when), int(arrived)

    def end(self) -> None:
        """End it."""
        self.program.kill()
        self.program.wait()


def watch(pid: str) -> None:
    """Watch a system until this process is ended."""
    with connect(pid) as inspector:
        for frame in inspector.stream("watch", every=0.25):
            assert frame is not None


def measure(name: str, rounds: int, watchers: int) -> None:
    """Measure one system, and print what came of it."""
    served = Served(name)
    watched: list[float] = []
    alone: list[float] = []
    try:
        served.settle(1.0)
        for _ in range(rounds):
            # Longer than a system is looked at after the last has gone.
            served.settle(6.0)
            alone.append(served.rate(ROUND))
            clients = [
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.observed", "--watch", str(served.program.pid)],
                    cwd=Path(__file__).parent.parent,
                )
                for _ in range(watchers)
            ]
            served.settle(SETTLE + 0.5)
            watched.append(served.rate(ROUND))
            for client in clients:
                client.kill()
                client.wait()
    finally:
        served.end()
    ratio = statistics.median(one / other for one, other in zip(watched, alone, strict=True))
    print(
        f"{name:<12} alone {statistics.median(alone):>10,.0f}/s   watched {statistics.median(watched):>10,.0f}/s   "
        f"{ratio:.1%} is left"
    )


def main() -> None:
    """Do what the command line says."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--watchers", type=int, default=1, help="clients that watch at the same time")
    options.add_argument("--only", choices=SYSTEMS)
    options.add_argument("--serve", choices=SYSTEMS, help=argparse.SUPPRESS)
    options.add_argument("--watch", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve:
        serve(given.serve)
    elif given.watch:
        watch(given.watch)
    else:
        for name in [given.only] if given.only else SYSTEMS:
            measure(name, given.rounds, given.watchers)


if __name__ == "__main__":
    main()
