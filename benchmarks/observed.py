"""What it costs to be looked at: the throughput of systems while somebody watches, and while nobody does.

Run by hand: ``python -m benchmarks.observed``. Each system runs in a process of its own, as fast as it can,
with an inspection socket. Short rounds with a client that watches, four frames a second, and without one
follow each other, so that what else the machine does is the same for both. Printed are the medians, and that
of the ratios of neighbours: what is left of the throughput. On a machine that does other things as well, the
figures by computing time are the steadier ones.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from kamaelia import Component, Pipeline, component, run, sleep
from kamaelia.observe.inspection import find, looking

ROUND = 1.0  # seconds
SETTLE = 0.4  # seconds after somebody has come, or gone


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
        print(time.perf_counter(), time.process_time(), sum(counts), flush=True)
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
    looking.LINGER = 0.0  # so that it is left alone as soon as nobody watches
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

    def rate(self, seconds: float) -> tuple[float, float]:
        """Return how many messages arrive a second, and a second of its computing time."""
        first = self._newest()
        end = first[0] + seconds
        last = first
        while last[0] < end:
            last = self._line()
        arrived = last[2] - first[2]
        return arrived / (last[0] - first[0]), arrived / (last[1] - first[1])

    def settle(self, seconds: float) -> None:
        """Let some time pass."""
        self.rate(seconds)

    def _newest(self) -> tuple[float, float, int]:
        line = self._line()
        while time.perf_counter() - line[0] > 0.1:
            line = self._line()
        return line

    def _line(self) -> tuple[float, float, int]:
        assert self.program.stdout is not None
        when, computed, arrived = self.program.stdout.readline().split()
        return float(when), float(computed), int(arrived)

    def end(self) -> None:
        """End it."""
        self.program.kill()
        self.program.wait()


class Watcher:
    """Somebody who watches a system until it is told to go; what is said is taken, and not looked at."""

    def __init__(self, pid: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(find(pid))
        self._socket.sendall(b'{"id":1,"do":"watch","every":0.25}\n')
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while self._socket.recv(1 << 20):
            pass

    def go(self) -> None:
        """End it."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


def measure(name: str, rounds: int, watchers: int) -> None:
    """Measure one system, and print what came of it."""
    served = Served(name)
    watched: list[tuple[float, float]] = []
    alone: list[tuple[float, float]] = []
    try:
        served.settle(1.0)
        for _ in range(rounds):
            served.settle(SETTLE)
            alone.append(served.rate(ROUND))
            clients = [Watcher(served.program.pid) for _ in range(watchers)]
            served.settle(SETTLE)
            watched.append(served.rate(ROUND))
            for client in clients:
                client.go()
    finally:
        served.end()
    for index, what in enumerate(("a second", "a second of computing time")):
        ratios = sorted(one[index] / other[index] for one, other in zip(watched, alone, strict=True))
        quarter = len(ratios) // 4
        print(
            f"{name:<12} alone {statistics.median(one[index] for one in alone):>10,.0f}   "
            f"watched {statistics.median(one[index] for one in watched):>10,.0f} {what}:   "
            f"{statistics.median(ratios):.1%} is left (half of the rounds: {ratios[quarter]:.1%} to "
            f"{ratios[-1 - quarter]:.1%})",
            flush=True,
        )


def main() -> None:
    """Do what the command line says."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    options.add_argument("--rounds", type=int, default=21)
    options.add_argument("--watchers", type=int, default=1, help="clients that watch at the same time")
    options.add_argument("--only", choices=SYSTEMS)
    options.add_argument("--serve", choices=SYSTEMS, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve:
        serve(given.serve)
    else:
        for name in [given.only] if given.only else SYSTEMS:
            measure(name, given.rounds, given.watchers)


if __name__ == "__main__":
    main()
