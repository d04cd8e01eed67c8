"""Caches ask an origin for a value once, and are told whenever it changes; the origin knows whom to tell.

It knows it in memory only: after a restart it tells nobody, and the caches go on with what they have.
"""

from __future__ import annotations

from kamaelia import Component, clock
from kamaelia.testbed.simulated import simulated
from tests.testbed.zoo import answer, on_udp, to

from . import campus, trouble


class Origin(Component):
    """Its value changes every two seconds until the tenth time, and is on its disk, which outlives it."""

    def __init__(self, disk: dict[str, int]) -> None:
        self.disk = disk

    async def main(self) -> None:
        known: list[str] = []
        while True:
            due = 2.0 * (self.disk["value"] + 1)
            try:
                message = await self.inbox.receive(timeout=max(0.001, due - clock()) if due <= 20 else 60)
            except TimeoutError:
                self.disk["value"] += 1
                for cache in known:
                    await self.outbox.send(to(cache, self.disk["value"]))
                continue
            cache = message.data.decode()
            if cache not in known:
                known.append(cache)
            await self.outbox.send(answer(message, self.disk["value"]))


class Cache(Component):
    def __init__(self, faulty: bool, name: str, values: dict[str, int]) -> None:
        self.faulty = faulty
        self.name = name
        self.values = values

    async def main(self) -> None:
        asks = clock()
        while True:
            if clock() >= asks and (not self.faulty or self.name not in self.values):
                await self.outbox.send(to("origin", self.name))
            if clock() >= asks:
                asks += 1
            try:
                message = await self.inbox.receive(timeout=max(0.001, asks - clock()))
            except TimeoutError:
                continue
            self.values[self.name] = int(message.data)


@simulated(seeds=[7], seconds=30)
def protocol(network, faulty):
    caches = [f"cache-{number}" for number in range(20)]
    bystanders = campus(network, ["origin", *caches])
    disk, values = {"value": 0}, dict[str, int]()
    network.hosts["origin"].run(on_udp(Origin(disk)))
    for name in caches:
        network.hosts[name].run(on_udp(Cache(faulty, name, values)))
    trouble(network, bystanders, quiet=caches[:5])
    network.at("9 s", network.hosts["origin"].crash)
    network.at("9.5 s", network.hosts["origin"].restart)
    yield network
    stale = {name: value for name, value in values.items() if value != disk["value"]}
    assert not stale, f"the value is {disk['value']}, and it is not in {stale}"
