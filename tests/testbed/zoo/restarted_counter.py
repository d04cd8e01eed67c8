"""A server hands out numbers, each once. It writes down how far it is every ten numbers, after these.

When it begins again after a crash, it begins where it was when it last wrote.
"""

from __future__ import annotations

from kamaelia import Component, sleep
from kamaelia.testbed.simulated import simulated

from . import answer, on_udp, to

BLOCK = 10
NUMBERS = 30


class Counter(Component):
    """Its disk outlives it."""

    def __init__(self, faulty: bool, disk: dict[str, int]) -> None:
        self.faulty = faulty
        self.disk = disk

    async def main(self) -> None:
        number = self.disk.setdefault("next", 0)
        async for message in self.inbox:
            if not self.faulty and number % BLOCK == 0:
                self.disk["next"] = number + BLOCK  # a whole block is reserved before any of it is given away
            await self.outbox.send(answer(message, number))
            number += 1
            if self.faulty and number % BLOCK == 0:
                self.disk["next"] = number


class Client(Component):
    def __init__(self, got: list[int]) -> None:
        self.got = got

    async def main(self) -> None:
        while len(self.got) < NUMBERS:
            await self.outbox.send(to("counter", "please"))
            try:
                self.got.append(int((await self.inbox.receive(timeout=0.3)).data))
            except TimeoutError:
                continue
            await sleep(0.2)


@simulated(seeds=1000, seconds=300, until="client", within="60 s")
def protocol(network, faulty):
    got: list[int] = []
    network.host("counter").run(on_udp(Counter(faulty, {})))
    network.host("client").run(on_udp(Client(got)))
    network.link("counter", "client", delay="20 ms")
    network.disturb(["crash"], every="100 s", lasting="1 s", hosts=["counter"])
    yield network
    twice = sorted({number for number in got if got.count(number) > 1})
    assert not twice, f"handed out twice: {twice}"
