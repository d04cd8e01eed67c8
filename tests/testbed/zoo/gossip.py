"""Who hears a rumour for the first time tells four others, drawn at random; and that is all.

Whoever is drawn by nobody, or loses what it was told, never hears it. (Without the fault each one also tells
somebody everything it knows, now and then.)
"""

from __future__ import annotations

from kamaelia import Component, clock, random
from kamaelia.testbed.simulated import simulated

from . import on_udp, to

NODES = [f"node-{number}" for number in range(6)]
FANOUT = 4
EVERY = 0.5


class Node(Component):
    def __init__(self, faulty: bool, name: str, known: set[str]) -> None:
        self.faulty = faulty
        self.name = name
        self.known = known

    async def main(self) -> None:
        if self.name == NODES[0]:
            await self.learn("the-king-is-dead")
        following = clock() + EVERY
        while True:
            try:
                message = await self.inbox.receive(timeout=max(0.001, following - clock()))
            except TimeoutError:
                following = clock() + EVERY
                if not self.faulty:
                    for rumour in sorted(self.known):
                        await self.tell(1, rumour)
            else:
                await self.learn(message.data.decode())

    async def learn(self, rumour: str) -> None:
        if rumour not in self.known:
            self.known.add(rumour)
            await self.tell(FANOUT, rumour)

    async def tell(self, how_many: int, rumour: str) -> None:
        others = [node for node in NODES if node != self.name]
        for node in random.sample(others, how_many):
            await self.outbox.send(to(node, rumour))


@simulated(seeds=1000, seconds=15, within="60 s")
def protocol(network, faulty):
    known: dict[str, set[str]] = {node: set() for node in NODES}
    network.router("hub")
    for node in NODES:
        network.host(node).run(on_udp(Node(faulty, node, known[node])))
        network.link("hub", node, delay="10 ms", jitter="5 ms", loss="3 %")
    yield network
    deaf = [node for node in NODES if not known[node]]
    assert not deaf, f"never heard of it: {deaf}"
