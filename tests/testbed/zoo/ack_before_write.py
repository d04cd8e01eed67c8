"""A store says that it has a value, and writes it to its disk a little later; crashes come in between."""

from __future__ import annotations

import asyncio

from kamaelia import Component, sleep
from kamaelia.testbed.simulated import simulated

from . import answer, on_udp, to

VALUES = 20


class Store(Component):
    """Keeps values on a disk, which outlives it."""

    def __init__(self, faulty: bool, disk: list[str]) -> None:
        self.faulty = faulty
        self.disk = disk

    async def main(self) -> None:
        waiting: list[str] = []
        async with asyncio.TaskGroup() as both:
            writer = both.create_task(self.write(waiting))
            async for message in self.inbox:
                value = message.data.decode()
                if self.faulty:
                    waiting.append(value)
                elif value not in self.disk:
                    await sleep(0.005)
                    self.disk.append(value)
                await self.outbox.send(answer(message, value))
            writer.cancel()

    async def write(self, waiting: list[str]) -> None:
        """Write what has come together, every tenth of a second: so the disk has less to do."""
        while True:
            await asyncio.sleep(0.1)
            self.disk += waiting
            waiting.clear()


class Client(Component):
    def __init__(self, known: list[str]) -> None:
        self.known = known

    async def main(self) -> None:
        for value in range(VALUES):
            while True:
                await self.outbox.send(to("store", value))
                try:
                    reply = await self.inbox.receive(timeout=0.5)
                except TimeoutError:
                    continue
                if int(reply.data) == value:
                    self.known.append(reply.data.decode())
                    break
            await sleep(0.5)


@simulated(seeds=1000, seconds=300, until="client", within="60 s")
def protocol(network, faulty):
    disk: list[str] = []
    known: list[str] = []
    network.host("store").run(on_udp(Store(faulty, disk)))
    network.host("client").run(on_udp(Client(known)))
    network.link("store", "client", delay="20 ms")
    network.disturb(["crash"], every="60 s", lasting="1 s", hosts=["store"])
    yield network
    lost = [value for value in known if value not in disk]
    assert not lost, f"the store has said that it has {lost}, and has not"
