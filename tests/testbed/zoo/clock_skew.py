"""A ticket says until when it is valid, by the clock of the office; the door looks at a clock of its own."""

from __future__ import annotations

from kamaelia import Component, sleep
from kamaelia.axon.here import calendar
from kamaelia.testbed.simulated import simulated

from . import answer, on_udp, to

VALID = 2.0  # seconds
LEEWAY = 10.0  # by which clocks may differ


class Office(Component):
    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send(answer(message, "ticket", calendar() + VALID))


class Door(Component):
    def __init__(self, faulty: bool) -> None:
        self.leeway = 0.0 if faulty else LEEWAY

    async def main(self) -> None:
        async for message in self.inbox:
            ends = float(message.data.split()[1])
            await self.outbox.send(answer(message, "in" if calendar() <= ends + self.leeway else "out"))


class Visitor(Component):
    def __init__(self, said: list[str]) -> None:
        self.said = said

    async def main(self) -> None:
        ticket = await self.ask("office", "please")
        self.said.append(await self.ask("door", ticket))
        await sleep(VALID + 3 * LEEWAY)
        self.said.append(await self.ask("door", ticket))

    async def ask(self, *words: str) -> str:
        await self.outbox.send(to(*words))
        return (await self.inbox.receive()).data.decode()


@simulated(seeds=1000, seconds=120, until="visitor", within="60 s")
def protocol(network, faulty, random):
    said: list[str] = []
    network.router("hub")
    network.host("office").run(on_udp(Office()))
    network.host("door").run(on_udp(Door(faulty))).set_clock(skew=random.gauss(0, 0.8))
    network.host("visitor").run(on_udp(Visitor(said)))
    for name in ("office", "door", "visitor"):
        network.link("hub", name, delay="10 ms")
    yield network
    assert said == ["in", "out"], f"the door has said {said}"
