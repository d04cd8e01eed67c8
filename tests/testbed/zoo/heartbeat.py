"""Workers say that they are alive; who is silent for a second is struck off the list, and never put back.

It was not dead, only paused.
"""

from __future__ import annotations

import contextlib

from kamaelia import Component, clock
from kamaelia.testbed.simulated import simulated

from . import on_udp, to

WORKERS = ("ant", "bee", "cow")


class Worker(Component):
    def __init__(self, name: str) -> None:
        self.name = name

    async def main(self) -> None:
        while True:
            await self.outbox.send(to("monitor", self.name))
            with contextlib.suppress(TimeoutError):
                await self.inbox.receive(timeout=0.2)  # nobody writes; but it ends when all end


class Monitor(Component):
    def __init__(self, faulty: bool, alive: set[str]) -> None:
        self.faulty = faulty
        self.alive = alive

    async def main(self) -> None:
        heard: dict[str, float] = {}
        dead: set[str] = set()
        while True:
            try:
                name = (await self.inbox.receive(timeout=0.1)).data.decode()
            except TimeoutError:
                pass
            else:
                if not (self.faulty and name in dead):
                    heard[name] = clock()
                    self.alive.add(name)
            for name in [name for name in sorted(self.alive) if clock() - heard[name] > 1]:
                self.alive.discard(name)
                dead.add(name)


@simulated(seeds=1000, seconds=20, within="60 s")
def protocol(network, faulty):
    alive: set[str] = set()
    network.router("hub")
    network.host("monitor").run(on_udp(Monitor(faulty, alive)))
    network.link("hub", "monitor", delay="5 ms")
    for name in WORKERS:
        network.host(name).run(on_udp(Worker(name)))
        network.link("hub", name, delay="5 ms", loss="1 %")
    network.disturb(["pause"], every="5 s", lasting="0.2 s", hosts=WORKERS, until="15 s")
    yield network
    assert alive == set(WORKERS), f"on the list in the end: {sorted(alive)}"
