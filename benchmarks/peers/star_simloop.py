"""simloop: a coroutine of asyncio for each viewer that is sent to, and UDP endpoints.

       star_simloop VIEWERS MILLISECONDS [traced]

Between two of its hosts there is nothing but a delay and a loss: no router, no rate and no queue. So a packet
takes one hop of 25 ms, where the others take two, and the time of sending it is not simulated.

It keeps a trace of everything that happens, and has no switch for that. As nobody else here keeps one, what
records it is replaced by something that does nothing; with the last word it is as users get it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from simloop import SimLoop

from benchmarks.peers import star_common as star
from benchmarks.peers.stopwatch import version

DELAY = star.FIRST_DELAY + star.LAST_DELAY
PORT = 5004
TRACED = "traced" in sys.argv[1:]

loop = SimLoop(seed=1)


class Viewer(star.Viewer, asyncio.DatagramProtocol):
    __slots__ = ()
    now = staticmethod(loop.time)
    datagram_received = star.Viewer.take


async def make(viewers: list[Viewer]) -> asyncio.DatagramTransport:
    net = loop.net
    sender = net.host("sender")
    for index, viewer in enumerate(viewers):
        host = net.host(f"viewer-{index}")
        net.set_link("sender", host.name, latency=(DELAY, DELAY), drop=star.LOSS)
        await host.create_task(endpoint(lambda viewer=viewer: viewer))
    return await sender.create_task(endpoint(asyncio.DatagramProtocol))


async def endpoint(factory: Callable[[], asyncio.DatagramProtocol]) -> asyncio.DatagramTransport:
    transport, _ = await loop.create_datagram_endpoint(factory, local_addr=("0.0.0.0", PORT))
    return transport


async def send(transport: asyncio.DatagramTransport, index: int, start: float) -> None:
    payload, target = bytes(star.PAYLOAD), (f"viewer-{index}", PORT)
    await asyncio.sleep(start)
    for _ in range(star.EACH):
        transport.sendto(payload, target)
        await asyncio.sleep(star.EVERY)


async def stream(transport: asyncio.DatagramTransport, viewers: list[Viewer]) -> None:
    sender = loop.net.host("sender")
    await asyncio.gather(
        *[sender.create_task(send(transport, *each)) for each in enumerate(one.start for one in viewers)]
    )
    await asyncio.sleep(2 * DELAY)


if __name__ == "__main__":
    if not TRACED:
        loop._recorder.record = lambda *event: None
    viewers = [Viewer(index) for index in range(star.VIEWERS)]
    transport = loop.run_until_complete(make(viewers))
    kind = "traced" if TRACED else "not traced"
    about = f"{version('simloop')} ({kind}; delay and loss only: no router, rate or queue)"
    star.time_star(about, viewers, lambda: loop.run_until_complete(stream(transport, viewers)), DELAY)
