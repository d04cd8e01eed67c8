"""Nodes elect a leader; a candidate counts the votes of those that have answered, not of all there are.

So both sides of a cut elect one.
"""

from __future__ import annotations

from kamaelia import Component, clock, random
from kamaelia.testbed.simulated import simulated
from tests.testbed.zoo import answer, on_udp, to

from . import campus, trouble

NODES = [f"node-{number}" for number in range(7)]


class Node(Component):
    def __init__(self, faulty: bool, name: str, leaders: dict[int, set[str]]) -> None:
        self.faulty = faulty
        self.name = name
        self.leaders = leaders
        self.others = [other for other in NODES if other != name]
        self.term = 0
        self.vote: str | None = None  # given in this term

    async def main(self) -> None:
        while True:
            while await self.hear(1 + random.random()):
                pass
            if await self.is_elected():
                await self.lead()

    async def is_elected(self) -> bool:
        self.term, self.vote = self.term + 1, self.name
        term, yes, heard = self.term, 1, 1
        for other in self.others:
            await self.outbox.send(to(other, "vote", term, self.name))
        ends = clock() + 0.3
        while (left := ends - clock()) > 0 and self.term == term:
            try:
                message = await self.inbox.receive(timeout=left)
            except TimeoutError:
                break
            word, of, said = message.data.decode().split()
            if word == "voted" and int(of) == term:
                heard, yes = heard + 1, yes + (said == self.name)
            else:
                await self.obey(message)
        voters = heard if self.faulty else len(NODES)
        return self.term == term and yes * 2 > voters

    async def lead(self) -> None:
        term = self.term
        self.leaders.setdefault(term, set()).add(self.name)
        while self.term == term:
            for other in self.others:
                await self.outbox.send(to(other, "alive", term, self.name))
            ends = clock() + 0.3
            while (left := ends - clock()) > 0 and await self.hear(left):
                pass

    async def hear(self, patience: float) -> bool:
        try:
            await self.obey(await self.inbox.receive(timeout=patience))
        except TimeoutError:
            return False
        return True

    async def obey(self, message) -> None:
        word, of, name = message.data.decode().split()
        term = int(of)
        if term > self.term:
            self.term, self.vote = term, None
        if word == "vote":
            if term == self.term and self.vote is None:
                self.vote = name
            said = self.vote if term == self.term else "nobody"
            await self.outbox.send(answer(message, "voted", term, said))


@simulated(seeds=[7], seconds=30)
def protocol(network, faulty):
    clients = [f"client-{number}" for number in range(10)]
    bystanders = campus(network, [*NODES, *clients])
    leaders: dict[int, set[str]] = {}
    for name in NODES:
        network.hosts[name].run(on_udp(Node(faulty, name, leaders)))
    trouble(network, [*bystanders, *clients], quiet=NODES[:5])
    network.at("0.2 s", network.partition, NODES[:4], NODES[4:])
    network.at("6 s", network.repair, NODES[:4], NODES[4:])
    yield network
    several = {term: sorted(names) for term, names in leaders.items() if len(names) > 1}
    assert not several, f"several leaders in one term: {several}"
