"""Coins are reported to a bank, each again until the bank has said that it has it; the bank counts them all.

When it was the answer that was lost, and not the report, the coin is counted twice.
"""

from __future__ import annotations

from kamaelia import Component, random, sleep
from kamaelia.testbed.simulated import simulated

from . import answer, on_udp, to

COINS = 10


class Slot(Component):
    async def main(self) -> None:
        for coin in range(COINS):
            await sleep(random.random())
            while True:
                await self.outbox.send(to("bank", coin))
                try:
                    while int((await self.inbox.receive(timeout=0.3)).data) != coin:
                        pass
                except TimeoutError:
                    continue
                break


class Bank(Component):
    def __init__(self, faulty: bool, vault: list[str]) -> None:
        self.faulty = faulty
        self.vault = vault

    async def main(self) -> None:
        async for message in self.inbox:
            coin = message.data.decode()
            if self.faulty or coin not in self.vault:
                self.vault.append(coin)
            await self.outbox.send(answer(message, coin))


@simulated(seeds=1000, seconds=120, until="slot", within="60 s")
def protocol(network, faulty):
    vault: list[str] = []
    network.host("bank").run(on_udp(Bank(faulty, vault)))
    network.host("slot").run(on_udp(Slot()))
    network.link("bank", "slot", delay="30 ms", loss="0.2 %")
    yield network
    assert len(vault) == COINS, f"of {COINS} coins, {len(vault)} are in the vault"
