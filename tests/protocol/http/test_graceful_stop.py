"""A server that is stopped under load: whatever it has begun to answer arrives whole.

Visitors ask without a pause, some of them several things at once. Then the server is stopped. Each answer has
come whole, or nothing of it; and as many have come as the server says it has given.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from kamaelia import Component, clock, component, sleep
from kamaelia.protocol.http import HTTPServer, Response
from kamaelia.testbed import Network

VISITORS = 20
ENOUGH = 400  # answers, after which the server is stopped
DELAY = 0.005  # seconds from a simulated visitor to the server
LARGE = bytes(range(256)) * 1200

SERVER = """
import asyncio, dataclasses, json
from collections import Counter
from kamaelia import Graphline, run
from kamaelia.protocol.http import HTTPServer
from tests.protocol.http.test_graceful_stop import SayPort, make_routes

accepted = Counter()
server = HTTPServer(make_routes(accepted), port=0, quiet=True)
run(Graphline(server.listening >> SayPort().inbox), loop_factory={factory})
print(json.dumps(dataclasses.asdict(server.requests()) | {{"accepted": accepted.total()}}))
"""


class SayPort(Component):
    async def main(self) -> None:
        async for _, port in self.inbox:
            print(port, flush=True)


def make_routes(accepted: Counter[str]) -> dict[str, Any]:
    """Return what answers, and counts."""

    def small(request: Any) -> str:
        accepted["small"] += 1
        return f"small {request.query['n']}"

    async def slow(request: Any) -> str:
        accepted["slow"] += 1
        await sleep(0.02)
        return f"slow {request.query['n']}"

    def large(request: Any) -> bytes:
        accepted["large"] += 1
        return LARGE

    @component
    async def upper(inbox: Any, outbox: Any) -> None:
        accepted["upper"] += 1
        body = b"".join([data async for data in inbox])
        await outbox.send(Response(b"", headers={"Content-Length": str(len(body))}))
        await outbox.send(body.upper())

    return {"/small": small, "/slow": slow, "/upper": upper, "/large": large}


def asking(path: str, number: int) -> tuple[bytes, bytes]:
    """Return a request, and the body of its answer."""
    name = b"%b %d" % (path.encode(), number)
    if path == "upper":
        head = b"POST /upper HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(name)
        return head + name, name.upper()
    request = b"GET /%b?n=%d HTTP/1.1\r\nHost: h\r\n\r\n" % (path.encode(), number)
    return request, LARGE if path == "large" else name


async def visit(host: str, port: int, seed: str, counts: Counter[str], enough: Any) -> float:
    """Ask until the server has had enough; return when that was asked which got no answer."""
    loop = asyncio.get_running_loop()
    choice = random.Random(seed)
    reader, writer = await asyncio.open_connection(host, port)
    try:
        while True:
            asked = [
                asking(choice.choice(["small", "slow", "upper", "large"]), choice.randrange(100))
                for _ in range(choice.choice([1, 1, 3]))
            ]
            asked_at = loop.time()
            writer.write(b"".join(request for request, _ in asked))
            for _, answer in asked:
                begun = False
                try:
                    head = await reader.readexactly(1)
                    begun = True
                    head += await reader.readuntil(b"\r\n\r\n")
                    assert head.startswith(b"HTTP/1.1 200 ")
                    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                    assert await reader.readexactly(length) == answer
                except (asyncio.IncompleteReadError, ConnectionError):
                    counts["cut" if begun else "closed"] += 1
                    return asked_at
                counts["whole"] += 1
                if counts["whole"] == ENOUGH:
                    enough()
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


@pytest.mark.slow
@pytest.mark.one_core
@pytest.mark.parametrize(
    "factory", ["asyncio.new_event_loop", pytest.param("None", marks=pytest.mark.needs("module:uvloop"))]
)
def test_a_stop_under_load_cuts_no_answer(factory: str) -> None:
    text = SERVER.format(factory=factory)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", text], stdout=pipe, stderr=pipe, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            counts: Counter[str] = Counter()

            async def crowd() -> None:
                def stop() -> None:
                    server.send_signal(signal.SIGINT)

                async with asyncio.TaskGroup() as group:
                    for number in range(VISITORS):
                        group.create_task(visit("127.0.0.1", port, f"{number}", counts, stop))

            asyncio.run(asyncio.wait_for(crowd(), 30))
            output, errors = server.communicate(timeout=20)
        finally:
            server.kill()
    said = json.loads(output)
    assert errors == ""
    assert counts["cut"] == 0
    assert counts["closed"] == VISITORS
    assert said["accepted"] == said["answered"] == said["succeeded"] == counts["whole"] >= ENOUGH
    assert said["failures"] == said["failed"] == 0


class Until(Component):
    """Stops the host that it runs on at some time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def main(self) -> None:
        await sleep(self.seconds - clock())
        self.system.stop()


class Visitors(Component):
    """Ask a server from several connections; return what came of it."""

    async def main(self) -> Any:
        counts: Counter[str] = Counter()
        visits = [visit("server", 80, f"{number}", counts, int) for number in range(VISITORS)]
        return counts, await asyncio.gather(*visits)


@pytest.mark.parametrize("seed", range(5))
def test_nor_does_one_in_a_simulated_network(seed: int) -> None:
    accepted: Counter[str] = Counter()
    stop = 2 + seed / 7
    network = Network()
    server = network.host("server").run(HTTPServer(make_routes(accepted), 80, None, quiet=True))
    server.run(Until(stop))
    network.host("client").run(Visitors())
    network.link("server", "client", rate="100 Mbit/s", delay=DELAY)
    trace = network.simulate(seconds=30, seed=seed, until="client")
    counts, asked_at = trace.results["client"]
    assert min(asked_at) > stop - DELAY - 0.001  # what had arrived by then was answered
    assert counts["cut"] == 0
    assert counts["closed"] == VISITORS
    assert accepted.total() == counts["whole"] > 100
