"""Two banks commit each transfer, or neither does. The coordinator writes its decision down after it has told
both, and not before.

When it crashes in between, and begins again, it knows of no decision and has everybody abort.
"""

from __future__ import annotations

from typing import Any

from kamaelia import Component, sleep
from kamaelia.testbed.simulated import simulated

from . import answer, on_udp, to

BANKS = ("first", "second")
TRANSFERS = 5


class Coordinator(Component):
    """Its disk outlives it."""

    def __init__(self, faulty: bool, disk: dict[str, Any]) -> None:
        self.faulty = faulty
        self.disk = disk

    async def main(self) -> None:
        begun = self.disk.setdefault("begun", 0)
        decisions: set[int] = self.disk.setdefault("commit", set())
        if begun and self.disk.get("ended", 0) < begun:
            await self.tell("commit" if begun in decisions else "abort", begun)
        for number in range(begun + 1, TRANSFERS + 1):
            self.disk["begun"] = number
            for bank in BANKS:
                await self.ask(bank, "prepare", number)
            if not self.faulty:
                decisions.add(number)
            await self.tell("commit", number)
            decisions.add(number)
            await sleep(0.5)

    async def tell(self, decision: str, number: int) -> None:
        for bank in BANKS:
            await self.ask(bank, decision, number)
        self.disk["ended"] = number

    async def ask(self, bank: str, word: str, number: int) -> None:
        """Say something to a bank until it has answered just that."""
        while True:
            await self.outbox.send(to(bank, word, number, bank))
            try:
                while (await self.inbox.receive(timeout=0.2)).data.decode() != f"{word} {number} {bank}":
                    pass
            except TimeoutError:
                continue
            return


class Bank(Component):
    def __init__(self, book: dict[int, str]) -> None:
        self.book = book

    async def main(self) -> None:
        async for message in self.inbox:
            word, number, _ = message.data.decode().split()
            if word != "prepare":
                self.book.setdefault(int(number), word)  # the first word counts
            await self.outbox.send(answer(message, message.data.decode()))


@simulated(seeds=1000, seconds=60, within="60 s")
def protocol(network, faulty):
    books: dict[str, dict[int, str]] = {bank: {} for bank in BANKS}
    network.host("coordinator").run(on_udp(Coordinator(faulty, {})))
    for bank in BANKS:
        network.host(bank).run(on_udp(Bank(books[bank])))
        network.link("coordinator", bank, delay="10 ms", loss="1 %")
    network.disturb(["crash"], every="10 s", lasting="1 s", hosts=["coordinator"], until="10 s")
    yield network
    assert all(len(book) == TRANSFERS for book in books.values()), f"not all was decided: {books}"
    parted = [number for number in books["first"] if books["first"][number] != books["second"][number]]
    assert not parted, f"the banks disagree about transfers {parted}: {books}"
