"""Two stores keep each value, and say so at once; each writes to its disk once a second what has come.

When one crashes, the other one still has it. When both crash within that second, nobody has.
"""

from __future__ import annotations

import asyncio

from kamaelia import Component, sleep
from kamaelia.testbed.simulated import simulated
from tests.testbed.zoo import answer, on_udp, to

from . import campus, trouble

STORES = ("store-a", "store-b")
VALUES = 12


class Store(Component):
    """Its disk outlives it."""

    def __init__(self, faulty: bool, disk: set[str]) -> None:
        self.faulty = faulty
        self.disk = disk

    async def main(self) -> None:
        waiting: set[str] = set()
        async with asyncio.TaskGroup() as both:
            writer = both.create_task(self.write(waiting))
            async for message in self.inbox:
                value = message.data.decode()
                (waiting if self.faulty else self.disk).add(value)
                await self.outbox.send(answer(message, value))
            writer.cancel()

    async def write(self, waiting: set[str]) -> None:
        while True:
            await asyncio.sleep(1)
            self.disk |= waiting
            waiting.clear()


class Client(Component):
    def __init__(self, name: str, begins: float, known: set[str]) -> None:
        self.name = name
        self.begins = begins
        self.known = known

    async def main(self) -> None:
        await sleep(self.begins)
        for number in range(VALUES):
            value = f"{self.name}/{number}"
            for store in STORES:
                await self.give(store, value)
            self.known.add(value)
            await sleep(1.5)

    async def give(self, store: str, value: str) -> None:
        """Give a value to a store until it has said that it has it."""
        while True:
            await self.outbox.send(to(store, value))
            try:
                while (await self.inbox.receive(timeout=0.3)).data.decode() != value:
                    pass
            except TimeoutError:
                continue
            return


@simulated(seeds=[7], seconds=30)
def protocol(network, faulty):
    clients = [f"client-{number}" for number in range(15)]
    bystanders = campus(network, [*STORES, *clients])
    disks: dict[str, set[str]] = {store: set() for store in STORES}
    known: set[str] = set()
    for store in STORES:
        network.hosts[store].run(on_udp(Store(faulty, disks[store])))
    for number, name in enumerate(clients):
        network.hosts[name].run(on_udp(Client(name, number / 10, known)))
    trouble(network, bystanders, quiet=clients[:5])
    for number, store in enumerate(STORES):
        network.at(f"{8.7 + number / 10} s", network.hosts[store].crash)
        network.at(f"{9.7 + number / 10} s", network.hosts[store].restart)
        network.at("20.5 s" if number else "15.5 s", network.hosts[store].crash)
        network.at("21.5 s" if number else "16.5 s", network.hosts[store].restart)
    yield network
    lost = sorted(known - disks["store-a"] - disks["store-b"])
    assert not lost, f"kept by both, and by none: {lost}"
