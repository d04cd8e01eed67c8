"""Three nodes elect a leader; a candidate counts the votes of those that it can reach, not of all.

Who can reach nobody has all the votes there are, and so has another one who can reach nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

from kamaelia import Component, clock, random
from kamaelia.testbed.simulated import simulated

from . import answer, on_udp, to

NODES = ("ada", "bob", "cyd")


class Node(Component):
    nodes: Sequence[str] = NODES
    """Who may be elected."""
    patience = 0.5
    """Seconds without a leader that are borne, at least; up to twice as many."""
    election, beat = 0.2, 0.1
    """Seconds that votes are waited for, and those between two signs of life."""

    def __init__(self, faulty: bool, name: str, leaders: dict[int, set[str]]) -> None:
        self.faulty = faulty
        self.name = name
        self.leaders = leaders
        self.others = [other for other in self.nodes if other != name]
        self.term = 0
        self.vote: str | None = None  # given in this term

    async def main(self) -> None:
        while True:
            await self.follow()
            if await self.is_elected():
                await self.lead()

    async def follow(self) -> None:
        """Until no leader is heard of."""
        while await self.hear(self.patience + random.random() * self.patience):
            pass

    async def is_elected(self) -> bool:
        self.term, self.vote = self.term + 1, self.name
        term, yes, heard = self.term, 1, 1
        for other in self.others:
            await self.outbox.send(to(other, "vote", term, self.name))
        ends = clock() + self.election
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
        voters = heard if self.faulty else len(self.nodes)
        return self.term == term and yes * 2 > voters

    async def lead(self) -> None:
        term = self.term
        self.leaders.setdefault(term, set()).add(self.name)
        while self.term == term:
            for other in self.others:
                await self.outbox.send(to(other, "alive", term, self.name))
            ends = clock() + self.beat
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
            await self.outbox.send(
                answer(message, "voted", term, self.vote if term == self.term else "nobody")
            )


@simulated(seeds=1000, seconds=15, within="60 s")
def protocol(network, faulty):
    leaders: dict[int, set[str]] = {}
    network.router("hub")
    for name in NODES:
        network.host(name).run(on_udp(Node(faulty, name, leaders)))
        network.link("hub", name, delay="5 ms", jitter="5 ms")
    network.disturb(["partition"], every="1 s", lasting="1 s")
    yield network
    several = {term: sorted(names) for term, names in leaders.items() if len(names) > 1}
    assert not several, f"several leaders in one term: {several}"
