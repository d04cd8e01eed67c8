"""What it costs to be looked at: the throughput of systems while somebody watches, and while nobody does.

``make bench-observed``. Each system runs in a process of its own on one core, as fast as it can, with an
inspection socket; who watches is on the other core. Short rounds with somebody who watches, and without,
follow each other, so that what else the machine does is the same for both. Told are the medians, and that of
the ratios of neighbours: what is left of the throughput. Watched are they by one client, four times a second;
and by a hundred, and a page of the Studio in a real browser.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kamaelia import Component, Pipeline, component, run, sleep
from kamaelia.observe.inspection import find, looking

ROUND = 1.0  # seconds
SETTLE = 0.4  # seconds after somebody has come, or gone
OPENED = 3.0  # seconds after which a page has drawn its first picture for certain
PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "speed.md"
BEGIN, END = "<!-- Written by make bench-observed -->\n", "<!-- to here -->\n"


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
    pin(0)
    lines, copies = SYSTEMS[name]
    counts = [0] * lines
    parts: list[Component] = [
        Pipeline(numbers(), *[copy() for _ in range(copies)], count(counts, index)) for index in range(lines)
    ]
    looking.LINGER = 0.0  # so that it is left alone as soon as nobody watches
    run(*parts, tell(counts), inspect=True)


def pin(core: int) -> None:
    """Stay on one core, where there are several."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


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
        """Return how many messages arrive a second."""
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


class Watcher:
    """Somebody who watches a system until it is told to go; what is said is taken, and not looked at."""

    def __init__(self, pid: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(find(pid))
        self._socket.sendall(b'{"id":1,"do":"watch","every":0.25}\n')
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(ConnectionError):  # it may have gone before all was read
            while self._socket.recv(1 << 20):
                pass

    def go(self) -> None:
        """End it."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


class Browser:
    """A real browser, without a window, in which the Studio can be opened."""

    def __init__(self, chromium: Any, pid: int) -> None:
        self._chromium = chromium
        self._studio = subprocess.Popen(
            [sys.executable, "-m", "kamaelia", "studio", "--attach", str(pid), "--no-open"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._studio.stdout is not None
        said = ""
        while "#" not in said:
            said = self._studio.stdout.readline()
            if not said:
                raise RuntimeError("the Studio has not begun")
        self._url = next(word for word in said.split() if word.startswith("http"))
        self._page: Any = None

    def open(self) -> None:
        """Look at the page, and wait until it shows something."""
        self._page = self._chromium.new_page()
        self._page.goto(self._url)
        self._page.wait_for_selector("#paper .part")

    def close(self) -> None:
        """Leave the page."""
        self._page.close()

    def end(self) -> None:
        """End the Studio; the browser is its maker's."""
        self._studio.terminate()
        self._studio.communicate()


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser; it is gone afterwards."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield program
        program.close()


def measure(name: str, rounds: int, watchers: int, browser: Any = None) -> str:
    """Measure one system; return the row of the table."""
    served = Served(name)
    watched: list[float] = []
    alone: list[float] = []
    page = None if browser is None else Browser(browser, served.program.pid)
    try:
        served.settle(1.0)
        for _ in range(rounds):
            served.settle(SETTLE)
            alone.append(served.rate(ROUND))
            clients = [Watcher(served.program.pid) for _ in range(watchers)]
            if page is not None:
                page.open()
            served.settle(SETTLE if page is None else OPENED)
            watched.append(served.rate(ROUND))
            for client in clients:
                client.go()
            if page is not None:
                page.close()
    finally:
        if page is not None:
            page.end()
        served.end()
    ratios = sorted(one / other for one, other in zip(watched, alone, strict=True))
    quarter = len(ratios) // 4
    who = "one client" if watchers == 1 else f"{watchers} clients"
    if page is not None:
        who += " and a page"
    row = (
        f"| {name} | {who} | {statistics.median(alone):,.0f} | {statistics.median(watched):,.0f} | "
        f"{statistics.median(ratios):.1%} | {ratios[quarter]:.1%} to {ratios[-1 - quarter]:.1%} |"
    )
    print(row, flush=True)
    return row


def main() -> None:
    """Do what the command line says."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--only", choices=SYSTEMS)
    options.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    options.add_argument("--serve", choices=SYSTEMS, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve:
        serve(given.serve)
        return
    pin(1)
    head = [
        f"Messages a second, {given.rounds} rounds of each, Python {platform.python_version()}:",
        "",
        "| system | who watches | alone | watched | is left | half of the rounds |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    print(*head, sep="\n")
    names = [given.only] if given.only else list(SYSTEMS)
    rows = [measure(name, given.rounds, 1) for name in names]
    with chromium() as browser:
        rows += [measure(name, given.rounds, 100, browser) for name in names]
    if given.write:
        text = PAGE.read_text()
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(
            "".join([before, BEGIN, "\n", *(f"{row}\n" for row in [*head, *rows]), "\n", END, after])
        )


if __name__ == "__main__":
    main()
