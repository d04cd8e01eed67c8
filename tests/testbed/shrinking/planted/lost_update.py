"""Peers keep a list together: each adds something to it now and then, and all tell each other what they have.

A list has a version, and the larger version wins; what was added on both sides of a cut is lost on one.
"""

from __future__ import annotations

from kamaelia import Component, clock
from kamaelia.testbed.simulated import simulated
from tests.testbed.zoo import on_udp, to

from . import campus, trouble

PEERS = [f"peer-{number}" for number in range(16)]


class Peer(Component):
    def __init__(self, faulty: bool, name: str, adds: float, seen: dict[str, set[str]]) -> None:
        self.faulty = faulty
        self.name = name
        self.adds = adds
        self.seen = seen
        self.has_added = False
        self.version = 0
        self.items: set[str] = set()

    async def main(self) -> None:
        tells = 1.0 + self.adds / 10
        while True:
            if not self.has_added and clock() >= self.adds:
                self.has_added = True
                self.items.add(self.name)
                self.version += 1
                tells = clock()
            if clock() >= tells:
                tells += 2
                for other in PEERS:
                    if other != self.name:
                        await self.outbox.send(to(other, self.version, *sorted(self.items)))
            self.seen[self.name] = set(self.items)
            due = tells if self.has_added else min(tells, self.adds)
            try:
                message = await self.inbox.receive(timeout=max(0.001, due - clock()))
            except TimeoutError:
                continue
            version, *items = message.data.decode().split()
            if int(version) > self.version and self.faulty:
                self.items, self.version = set(items), int(version)
            elif not self.faulty:
                self.items.update(items)
                self.version = max(self.version, int(version))


@simulated(seeds=[7], seconds=30)
def protocol(network, faulty):
    bystanders = campus(network, PEERS)
    seen: dict[str, set[str]] = {}
    for number, name in enumerate(PEERS):
        network.hosts[name].run(on_udp(Peer(faulty, name, 1 + number, seen)))
    trouble(network, bystanders, quiet=PEERS[:5])
    network.at("6.5 s", network.partition, PEERS[:8], PEERS[8:])
    network.at("13.5 s", network.repair, PEERS[:8], PEERS[8:])
    yield network
    lost = {name: sorted(set(seen) - items) for name, items in seen.items() if set(seen) - items}
    assert not lost, f"not all has come to everybody: {lost}"
