"""A crowd of visitors of whom two thirds mean no good: the others hardly notice.

A third of them sends a request a byte a second, a third asks for a large page and never reads it, a third
asks for a small page now and then. The server is a process of its own, and the crowd is another, written in C
(`benchmarks/peers/crowd.c`). It is measured how long those wait who behave, alone and then among the others.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import contest, programs

pytestmark = [
    pytest.mark.needs("program:gcc"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="epoll, and /proc tell only on Linux"),
]

MB = 1_000_000

SERVER = """
import asyncio, dataclasses, gc, json, logging
from kamaelia import Component, Graphline, Inbox, run
from kamaelia.net import TCPServer
from kamaelia.protocol.http import HTTPServer, Limits

logging.disable(logging.WARNING)

class SayPort(Component):
    inbox = Inbox("the address")
    outbox = None

    async def main(self):
        async for _, port in self.inbox:
            print(json.dumps({{"port": port}}), flush=True)

# A garbage collection of all takes half a second with so many visitors: docs/how-to/serve-many-people.md.
gc.set_threshold(50, 5, 40_000)
routes = {{"/": "<h1>Hello", "/large": b"x" * 1_000_000}}
server = HTTPServer(routes, port=0, limit=12_000, backlog=1024, quiet=True, {options})
run(Graphline(server.listening >> SayPort().inbox), loop_factory={factory})
print(json.dumps(dataclasses.asdict(server.statistics()) | dataclasses.asdict(server.requests())))
"""


class Served:
    """A server in a process of its own."""

    def __init__(self, process: Any, port: int) -> None:
        self.process, self.port = process, port
        self.memory = 0  # the most that it and the kernel's sockets have had, in bytes
        self.of_process = self.of_kernel = 0  # both at that time
        self._over = threading.Event()

    def watch_memory(self) -> None:
        before = kernel_memory()
        while not self._over.wait(0.1):
            own, kernel = contest.resident(self.process.pid), kernel_memory() - before
            if own + kernel > self.memory:
                self.memory, self.of_process, self.of_kernel = own + kernel, own, kernel

    def visited(self, *numbers: int, every: int, settle: int, duration: int) -> Any:
        """Have a crowd come: of each kind so many, times in milliseconds."""
        words = [self.port, *numbers, every, settle, duration, 7]
        command = [*programs.C("crowd").command(), *map(str, words)]
        return contest.run_line(command, {}, contest.cores()[0], (settle + duration) / 1000 + 60)

    def stop(self) -> Any:
        self._over.set()
        self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=60)
        assert errors == ""
        return json.loads(output)


@contextlib.contextmanager
def served(factory: str, options: str = "") -> Iterator[Served]:
    text = SERVER.format(factory=factory, options=options)
    with contest.started([sys.executable, "-c", text], {}, contest.cores()[-1]) as process:
        server = Served(process, contest.first_line(process)["port"])
        thread = threading.Thread(target=server.watch_memory)
        thread.start()
        try:
            yield server
        finally:
            server._over.set()
            thread.join()


def kernel_memory() -> int:
    """Return how many bytes all TCP sockets of this machine keep in the kernel."""
    with open("/proc/net/sockstat") as file:
        words = next(line for line in file if line.startswith("TCP:")).split()
    return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE")


LOOPS = ["asyncio.new_event_loop", pytest.param("None", marks=pytest.mark.needs("module:uvloop"))]


@pytest.mark.slow
@pytest.mark.one_core
@pytest.mark.parametrize("factory", LOOPS)
def test_who_means_no_good_is_shed_with_a_reason_and_counted(factory: str) -> None:
    options = "stall_timeout=1.0, limits=Limits(header_timeout=1.5), linger=0.05"
    with served(factory, options) as server:
        crowd = server.visited(100, 100, 100, every=200, settle=500, duration=3500)
        said = server.stop()
    # None of those that behave has lost its connection, or got another answer.
    assert crowd["lost"][0] == crowd["wrong"] == 0
    assert crowd["measured"] > 1000
    assert said["succeeded"] >= crowd["answered"]
    assert said["refused"]["408"] >= crowd["refused"] >= 100
    assert said["stalled"] >= crowd["lost"][2] >= 100
    assert said["failed"] == said["failures"] == 0
    if factory == "None":  # asyncio's transports make copies of what they could not write, up to Python 3.11
        assert server.of_process < 130 * MB  # they all are sent the same large page


@pytest.mark.soak
@pytest.mark.one_core
@pytest.mark.needs("module:uvloop")
def test_ten_thousand_of_whom_two_thirds_mean_no_good() -> None:
    contest.check_open_files(11_000)
    number = 3333
    with served("None") as server:
        quiet = server.visited(number, 0, 0, every=1000, settle=5000, duration=20_000)
        crowd = server.visited(number, number, number, every=1000, settle=12_000, duration=90_000)
        said = server.stop()
    for name, figures in (("quiet", quiet), ("crowd", crowd), ("server", said)):
        print(f"{name}: {figures}")
    print(f"memory: {server.of_process / MB:.0f} MB + {server.of_kernel / MB:.0f} MB in the kernel")
    assert crowd["lost"][0] == crowd["wrong"] == 0
    assert said["refused"]["408"] >= crowd["refused"] > number
    assert said["stalled"] >= number
    assert said["failed"] == said["failures"] == 0
    assert crowd["p99"] <= 3 * quiet["p99"]
    assert server.memory < 1000 * MB
