"""A lock is leased for a second; who holds it may write to a store. The store does not ask who holds it now.

A holder looks at its clock, and is paused; when it goes on and writes, the lease is another's.
"""

from __future__ import annotations

from kamaelia import Component, clock, sleep
from kamaelia.testbed.simulated import simulated

from . import answer, on_udp, to

LEASE = 1.0


class Locks(Component):
    """Leases one lock; each lease has a number."""

    async def main(self) -> None:
        lease, ends = 0, -1.0
        async for message in self.inbox:
            if clock() > ends:
                lease, ends = lease + 1, clock() + LEASE
                await self.outbox.send(answer(message, "yours", lease))
            else:
                await self.outbox.send(answer(message, "no", 0))


class Store(Component):
    def __init__(self, faulty: bool, written: list[int]) -> None:
        self.faulty = faulty
        self.written = written

    async def main(self) -> None:
        async for message in self.inbox:
            lease = int(message.data)
            if self.faulty or not self.written or lease >= self.written[-1]:
                self.written.append(lease)


class Writer(Component):
    async def main(self) -> None:
        while True:
            await self.outbox.send(to("locks", "please"))
            asked = clock()
            try:
                said, lease = (await self.inbox.receive(timeout=1)).data.split()
            except TimeoutError:
                continue
            while said == b"yours" and clock() < asked + LEASE * 0.8:  # to be on the safe side
                await sleep(0.01)  # thinks of what to write
                await self.outbox.send(to("store", int(lease)))
                await sleep(0.1)
            await sleep(0.3)


@simulated(seeds=1000, seconds=30, within="60 s")
def protocol(network, faulty):
    written: list[int] = []
    network.router("hub")
    network.host("locks").run(on_udp(Locks()))
    network.host("store").run(on_udp(Store(faulty, written)))
    for name in ("one", "other"):
        network.host(name).run(on_udp(Writer()))
    for name in ("locks", "store", "one", "other"):
        network.link("hub", name, delay="10 ms")
    network.disturb(["pause"], every="10 s", lasting="1 s", hosts=["one", "other"], until="25 s")
    yield network
    assert written == sorted(written), f"an old lease wrote after a new one: {written}"
