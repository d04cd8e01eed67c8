"""A writer gives each record to the first of three replicas that answers; after the third it takes the record
for written.

It is so only where one of the three was there: with all three down at the same time, the record is nowhere.
"""

from __future__ import annotations

from kamaelia import Component, sleep
from tests.testbed.zoo import answer, on_udp, to

from . import campus, trouble

REPLICAS = ("replica-0", "replica-1", "replica-2")
RECORDS = 20


class LostRecord(Exception):
    """A record that was taken for written is on no replica."""


class Writer(Component):
    """Writes records, and asks for each of them in the end."""

    def __init__(self, faulty: bool, name: str) -> None:
        self.faulty = faulty
        self.name = name

    async def main(self) -> None:
        records = [f"{self.name}/{number}" for number in range(RECORDS)]
        for record in records:
            while not await self.write(record) and not self.faulty:
                await sleep(0.5)
            await sleep(1)
        for record in records:
            if not await self.is_there(record):
                raise LostRecord(record)

    async def write(self, record: str) -> bool:
        for replica in REPLICAS:
            if await self.ask(replica, "write", record) == "written":
                return True
        return False

    async def is_there(self, record: str) -> bool:
        """Ask all replicas, and again until all have answered, or one has found it."""
        while True:
            answers = [await self.ask(replica, "read", record) for replica in REPLICAS]
            if "found" in answers or "" not in answers:
                return "found" in answers
            await sleep(0.2)

    async def ask(self, replica: str, *words: str) -> str:
        await self.outbox.send(to(replica, *words))
        try:
            while True:
                said, record = (await self.inbox.receive(timeout=0.1)).data.decode().split()
                if record == words[1]:
                    return said
        except TimeoutError:
            return ""


class Replica(Component):
    """Keeps records on a disk, which outlives it."""

    def __init__(self, disk: set[str]) -> None:
        self.disk = disk

    async def main(self) -> None:
        async for message in self.inbox:
            word, record = message.data.decode().split()
            if word == "write":
                self.disk.add(record)
                await self.outbox.send(answer(message, "written", record))
            else:
                await self.outbox.send(answer(message, "found" if record in self.disk else "missing", record))


def scenario(faulty=True, writers=12):
    from kamaelia.testbed import Network

    network = Network()
    names = [f"writer-{number}" for number in range(writers)]
    bystanders = campus(network, [*REPLICAS, *names])
    for replica in REPLICAS:
        network.hosts[replica].run(on_udp(Replica(set())))
    for name in names:
        network.hosts[name].run(on_udp(Writer(faulty, name)))
    trouble(network, bystanders, quiet=names[:5])
    for number, replica in enumerate(REPLICAS):
        network.at(f"{10 + number / 10} s", network.hosts[replica].crash)
        network.at(f"{13 + number / 10} s", network.hosts[replica].restart)
    return network


def fails(trace):
    return "a record is lost" if any("LostRecord" in repr(error) for error in trace.errors.values()) else ""
