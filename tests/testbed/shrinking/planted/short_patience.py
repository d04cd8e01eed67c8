"""Phones ask a server, each question three times, with a quarter of a second of patience; then it is "down".

Where the way is longer than that, all answers come, each too late.
"""

from __future__ import annotations

from kamaelia import Component, sleep
from tests.testbed.zoo import answer, on_udp, to

from . import campus, trouble

QUESTIONS = 20


class ServerIsDown(Exception):
    """A question got no answer in time."""


class Phone(Component):
    def __init__(self, faulty: bool) -> None:
        self.faulty = faulty

    async def main(self) -> None:
        number = 0
        for _ in range(QUESTIONS):
            patience = 0.25
            for _ in range(3 if self.faulty else 8):
                number += 1
                if await self.ask(number, patience):
                    break
                patience *= 1 if self.faulty else 2
            else:
                raise ServerIsDown(f"no answer to {number}")
            await sleep(0.5)

    async def ask(self, number: int, patience: float) -> bool:
        await self.outbox.send(to("server", number))
        try:
            while int((await self.inbox.receive(timeout=patience)).data) != number:
                pass
        except TimeoutError:
            return False
        return True


class Server(Component):
    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send(answer(message, message.data.decode()))


def scenario(faulty=True, phones=24):
    from kamaelia.testbed import Network

    network = Network()
    names = [f"phone-{number}" for number in range(phones)]
    bystanders = campus(network, ["server", *names])
    network.hosts["server"].run(on_udp(Server()))
    for name in names:
        network.hosts[name].run(on_udp(Phone(faulty)))
    trouble(network, bystanders, quiet=names[:5])
    (link,) = (one for one in network.links if one.b.name == "phone-11")
    network.at("5 s", link.set, delay="180 ms")
    network.at("8 s", link.set, delay="3 ms")
    return network
