"""Two stations share a radio channel: what is sent at the same time is lost. Both try again after 50 ms.

And then again both at the same time, and again.
"""

from __future__ import annotations

import asyncio

from kamaelia import Component, random, sleep
from kamaelia.testbed.simulated import simulated

from . import answer, on_udp, to

FRAMES = 5


class Channel(Component):
    """Takes 5 ms for each frame; of two at a time it understands none."""

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard

    async def main(self) -> None:
        while True:
            message = await self.inbox.receive()
            collides = False
            free = asyncio.get_running_loop().time() + 0.005
            while (left := free - asyncio.get_running_loop().time()) > 0:
                try:
                    await self.inbox.receive(timeout=left)
                    collides = True
                except TimeoutError:
                    break
            if not collides:
                frame = message.data.decode()
                if frame not in self.heard:
                    self.heard.append(frame)
                await self.outbox.send(answer(message, frame))


class Station(Component):
    def __init__(self, faulty: bool, name: str) -> None:
        self.faulty = faulty
        self.name = name

    async def main(self) -> None:
        for number in range(FRAMES):
            await sleep(random.random())
            while True:
                await self.outbox.send(to("channel", f"{self.name}/{number}"))
                try:
                    await self.inbox.receive(timeout=0.05)
                    break
                except TimeoutError:
                    if not self.faulty:
                        await sleep(random.random() * 0.2)


@simulated(seeds=1000, seconds=30, within="60 s")
def protocol(network, faulty):
    heard: list[str] = []
    network.host("channel").run(on_udp(Channel(heard)))
    for name in ("one", "other"):
        network.host(name).run(on_udp(Station(faulty, name)))
        network.link("channel", name, delay="10 ms")
    yield network
    assert len(heard) == 2 * FRAMES, f"of {2 * FRAMES} frames, {len(heard)} got through"
