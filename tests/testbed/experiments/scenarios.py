"""Scenarios of the tests of experiments, in a module that worker processes can import."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from kamaelia import component, random, sleep
from kamaelia.observe import count
from kamaelia.testbed import Network, Trace
from kamaelia.testbed.experiments import Experiment
from kamaelia.testbed.links import CoDel

GATE = "KAMAELIA_TEST_GATE"  # a variable with the path of a file


@component
async def talk(inbox: Any, outbox: Any, packets: int = 50) -> None:
    """Send numbered datagrams, one each 10 ms."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("phone", 5004))
    for number in range(packets):
        transport.sendto(b"%d" % number)
        await sleep(0.01)
    transport.close()


@component
async def hear(inbox: Any, outbox: Any, seconds: float = 1.0) -> list[int]:
    """Return which numbers have come."""
    heard: list[int] = []

    class Hear(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: Any) -> None:
            heard.append(int(data))
            count("heard")

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Hear, local_addr=("0.0.0.0", 5004)
    )
    await sleep(seconds)
    transport.close()
    return heard


def line(
    loss: Any = 0.0, queue: Any = None, delay: float = 0.02, others: int = 0, packets: int = 50
) -> Network:
    """One talks, another hears; others are there, too."""
    network = Network()
    network.host("phone").run(hear)
    network.host("server").run(talk(packets))
    options = {} if queue is None else {"rate": "1 Mbit/s", "queue": CoDel() if queue == "codel" else queue}
    network.link("server", "phone", delay=delay, loss=loss, **options)
    for number in range(others):
        network.host(f"other-{number}")
        network.link("phone", f"other-{number}", loss=0.5)
    return network


def heard(trace: Trace) -> dict[str, float]:
    """Return how many numbers have come, and a sum that tells which."""
    numbers = trace.results["phone"]
    return {"heard": len(numbers), "sum": sum(numbers)}


@component
async def draw(inbox: Any, outbox: Any, add: float = 0.0, fails: float = 0.0) -> float:
    """Return a number that the seed decides; or fail."""
    await sleep(0.1)
    if random.random() < fails:
        raise ValueError("unlucky <b>&amp;</b>")
    return random.random() + add


def coin(add: float = 0.0, fails: float = 0.0) -> Network:
    """One host that draws a number."""
    network = Network()
    network.host("table").run(draw(add, fails))
    return network


def drawn(trace: Trace) -> dict[str, float]:
    """Return the number."""
    return {"number": trace.results.get("table", float("nan"))}


def deadly(when: int = 3) -> Network:
    """Kill the process of one of these."""
    if when == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return coin()


def endless() -> Network:
    """A network in which something goes on all the time."""
    network = Network()

    @component
    async def go_on(inbox: Any, outbox: Any) -> None:
        while True:
            await sleep(0.0001)

    network.host("busy").run(go_on)
    return network


def gated(number: int = 0) -> Network:
    """Wait in real time for a file, but for the first few."""
    if number >= 4:
        while not os.path.exists(os.environ[GATE]):
            signal.sigtimedwait([], 0.01)
    return coin()


study = Experiment(coin, add=[0, 1], seeds=3, outcome=drawn, name="coins")
