"""Kamaelia: NUMBER simulated hosts that are idle, each linked to one router both ways.

On each a component sleeps. A script looks when all have been started: at the most memory that
this process has held until then, and at how long that took. Then it sends something to the last of them from
the first, to see that they are there. What takes more memory for a moment is ending them all at once.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from typing import Any

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import numbers, report, resident
from kamaelia import component, sleep
from kamaelia.axon import VirtualLoop
from kamaelia.testbed import Network

(NUMBER,) = numbers()
LINK = {"rate": "20 Mbit/s", "delay": "5 ms", "queue": "64 packets", "loss": 0.01}
PORT = 5004
SECONDS = 2.0  # virtual

waiting = 0
heard: list[tuple[str, float]] = []


@component
async def wait(inbox: Any, outbox: Any) -> None:
    global waiting
    waiting += 1
    try:
        await sleep(3600)
    finally:
        waiting -= 1


class Listener(asyncio.DatagramProtocol):
    def datagram_received(self, data: bytes, address: Any) -> None:
        heard.append((data.decode(), asyncio.get_running_loop().time()))


@component
async def listen(inbox: Any, outbox: Any) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Listener, local_addr=("0.0.0.0", PORT))
    await loop.create_future()


@component
async def tell(inbox: Any, outbox: Any, name: str) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(SECONDS / 2)
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(name, PORT))
    transport.sendto(b"there")


def make() -> Network:
    network = Network()
    router = network.router("router")
    for index in range(NUMBER):
        network.link(router, network.host(f"idle-{index}").run(wait), **LINK)
    network.link(router, network.host("talker").run(tell("listener")), delay="5 ms")
    network.link(router, network.host("listener").run(listen), delay="5 ms")
    return network


def main() -> None:
    empty = resident()
    before = time.perf_counter()
    network = make()
    figures: dict[str, float] = {}

    async def look() -> None:
        await asyncio.sleep(SECONDS / 4)
        figures["waiting"] = waiting
        figures["making"] = (time.perf_counter() - before) / NUMBER
        figures["memory"] = memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        figures["each"] = (memory - empty) / NUMBER
        await asyncio.sleep(SECONDS / 2)
        figures["ending"] = time.perf_counter()

    network.script(look)
    network.simulate(SECONDS, keep=None)
    figures["ending"] = (time.perf_counter() - figures["ending"]) / NUMBER
    if figures["waiting"] != NUMBER or waiting or heard != [("there", SECONDS / 2 + 0.010)]:
        sys.exit(f"{figures['waiting']} of {NUMBER} components waited, {waiting} still do, {heard} came")
    report(about(VirtualLoop), number=NUMBER, **figures)


if __name__ == "__main__":
    main()
