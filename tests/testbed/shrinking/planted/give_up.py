"""News are pushed to readers one by one, each until it is acknowledged; after three tries the press goes on.

Who was down for that long never gets them. (It should get them when it is there again.)
"""

from __future__ import annotations

from kamaelia import Component, sleep
from kamaelia.testbed.simulated import simulated
from tests.testbed.zoo import answer, on_udp, to

from . import campus, trouble

NEWS = 15


class Press(Component):
    """Has a way to each reader: the next piece is sent when the last one was acknowledged."""

    def __init__(self, faulty: bool, readers: list[str]) -> None:
        self.faulty = faulty
        self.missing = {reader: 0 for reader in readers}  # the first piece that it has not got
        self.tries = dict.fromkeys(readers, 0)

    async def main(self) -> None:
        loop_ends = 0
        while loop_ends < NEWS * 8:
            for reader, piece in self.missing.items():
                if piece < NEWS and piece <= loop_ends // 4:
                    if self.faulty and self.tries[reader] == 3:
                        self.missing[reader], self.tries[reader] = piece + 1, 0
                        continue
                    self.tries[reader] += 1
                    await self.outbox.send(to(reader, piece))
            loop_ends += 1
            await self.listen()

    async def listen(self) -> None:
        """Take what was acknowledged, for a quarter of a second."""
        await sleep(0.25)
        while True:
            try:
                reader, piece = (await self.inbox.receive(timeout=0)).data.decode().split()
            except TimeoutError:
                return
            if int(piece) == self.missing[reader]:
                self.missing[reader], self.tries[reader] = int(piece) + 1, 0


class Reader(Component):
    def __init__(self, name: str, got: set[str]) -> None:
        self.name = name
        self.got = got

    async def main(self) -> None:
        async for message in self.inbox:
            piece = message.data.decode()
            self.got.add(piece)
            await self.outbox.send(answer(message, self.name, piece))


@simulated(seeds=[7], seconds=30)
def protocol(network, faulty):
    readers = [f"reader-{number}" for number in range(22)]
    bystanders = campus(network, ["press", *readers])
    got: dict[str, set[str]] = {reader: set() for reader in readers}
    network.hosts["press"].run(on_udp(Press(faulty, readers)))
    for reader in readers:
        network.hosts[reader].run(on_udp(Reader(reader, got[reader])))
    trouble(network, bystanders, quiet=readers[:5])
    network.at("5 s", network.hosts["reader-12"].crash)
    network.at("7 s", network.hosts["reader-12"].restart)
    yield network
    holes = {reader: NEWS - len(pieces) for reader, pieces in got.items() if 0 < len(pieces) < NEWS}
    assert not holes, f"so many news are missing: {holes}"
