"""Coins are reported to a bank, each again until the bank has said that it has it; the bank counts them all.

When it is the answer that is lost, and not the report, a coin is counted twice.
"""

from __future__ import annotations

from kamaelia import Component, random, sleep
from kamaelia.testbed.simulated import simulated
from tests.testbed.zoo import on_udp, to
from tests.testbed.zoo.duplicates import Bank

from . import campus, trouble

COINS = 10


class Slot(Component):
    def __init__(self, name: str) -> None:
        self.name = name

    async def main(self) -> None:
        for number in range(COINS):
            await sleep(random.random())
            coin = f"{self.name}/{number}"
            while True:
                await self.outbox.send(to("bank", coin))
                try:
                    while (await self.inbox.receive(timeout=0.3)).data.decode() != coin:
                        pass
                except TimeoutError:
                    continue
                break


@simulated(seeds=[7], seconds=30)
def protocol(network, faulty):
    slots = [f"slot-{number}" for number in range(20)]
    bystanders = campus(network, ["bank", *slots])
    vault: list[str] = []
    network.hosts["bank"].run(on_udp(Bank(faulty, vault)))
    for name in slots:
        network.hosts[name].run(on_udp(Slot(name)))
    trouble(network, bystanders, quiet=slots[:5])
    network.at("2 s", network.partition, "bank", "slot-17", one_way=True)
    network.at("3 s", network.repair, "bank", "slot-17")
    yield network
    twice = sorted({coin for coin in vault if vault.count(coin) > 1})
    assert not twice, f"counted twice: {twice}"
