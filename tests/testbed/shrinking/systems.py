"""Small systems that fail, for the tests of how they are made smaller."""

from __future__ import annotations

from typing import Any

from kamaelia import Component, component, random, sleep
from kamaelia.observe import count
from kamaelia.testbed import Network, Trace, simulated
from tests.testbed.zoo import answer, on_udp, to


class Broken(Exception):
    """Something has gone wrong in a component."""


class Echo(Component):
    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send(answer(message, message.data.decode()))


class Asker(Component):
    """Asks every second; fails, or counts, when so many answers in a row do not come."""

    def __init__(self, patience: int = 3, questions: int = 10, raises: bool = True) -> None:
        self.patience = patience
        self.questions = questions
        self.raises = raises

    async def main(self) -> None:
        missing = 0
        for number in range(self.questions):
            await self.outbox.send(to("server", number))
            try:
                await self.inbox.receive(timeout=0.5)
                missing = 0
            except TimeoutError:
                missing += 1
            if missing >= self.patience:
                if self.raises:
                    raise Broken(f"no answer to {number}")
                count("missing")
            await sleep(1)


def asking(clients: int = 6, loss: str = "0 %", raises: bool = True, by: str = "disturb") -> Network:
    """Clients and a server, which is down for a while."""
    network = Network()
    network.router("hub")
    server = network.host("server").run(on_udp(Echo()))
    network.link("hub", server, delay="5 ms")
    for number in range(clients):
        network.host(f"client-{number}").run(on_udp(Asker(raises=raises)))
        network.link("hub", f"client-{number}", delay="5 ms", jitter="1 ms", loss=loss)

    async def trouble() -> None:
        await sleep_until(2.0)
        network.hosts["client-1"].pause("100 ms")
        await sleep_until(4.25)
        server.crash()
        await sleep_until(8.5)
        server.restart()

    async def sleep_until(time: float) -> None:
        import asyncio

        await asyncio.sleep(time - network.snapshot().time)

    if by == "disturb":
        network.disturb(["crash", "pause"], every="1 s", lasting="4 s", until="9 s")
    elif by == "script":
        network.script(trouble)
    elif by == "when":
        network.at("1 s", network.hosts["client-0"].pause, "50 ms")
        network.when(lambda: network.snapshot().time > 4, server.crash)
        network.at("9 s", server.restart)
    return network


def nothing_came(trace: Trace) -> bool | str:
    """Say whether somebody has missed answers."""
    missing = [host for host, paths in trace.metrics.measures.items() if "missing" in str(paths)]
    return f"missing at {missing[0]}" if missing else False


@simulated(seeds=50, seconds=30)
def test_all_is_answered(network: Network, clients: int = 3) -> Any:
    answers: list[str] = []

    class Client(Component):
        async def main(self) -> None:
            for number in range(5):
                await self.outbox.send(to("server", number))
                try:
                    await self.inbox.receive(timeout=0.5)
                    answers.append("one")
                except TimeoutError:
                    pass
                await sleep(1)

    network.router("hub")
    network.host("server").run(on_udp(Echo()))
    network.link("hub", "server", delay="5 ms")
    network.disturb(["crash", "pause"], every="2 s", lasting="2 s", until="5 s")
    for number in range(clients):
        network.host(f"client-{number}").run(on_udp(Client()))
        network.link("hub", f"client-{number}", delay="5 ms")
    yield network
    assert len(answers) == 5 * sum(name.startswith("client") for name in network.hosts), "some are missing"


@component
async def toss(inbox: Any, outbox: Any, limit: float) -> None:
    if random.random() > limit:
        raise Broken("heads")


def coins(count: int = 30, limit: float = 0.97) -> Network:
    """Fails by chance, and by nothing that could be taken away."""
    network = Network()
    for number in range(count):
        network.host(f"table-{number}").run(toss(limit=limit))
    return network
