"""Jobs come over the network into a list; a worker that finds it empty waits until somebody wakes it.

It clears the bell after it has looked into the list, and not before: who has rung in between has rung in
vain, and the job lies there until another one comes.
"""

from __future__ import annotations

import asyncio

from kamaelia import Component, random, sleep
from kamaelia.testbed.simulated import simulated

from . import on_udp, to

JOBS = 10


class Office(Component):
    """Sends jobs now and then."""

    async def main(self) -> None:
        for job in range(JOBS):
            await sleep(random.random())
            await self.outbox.send(to("workshop", job))
        await sleep(1)  # for the socket goes with the office


class Workshop(Component):
    """Has one who takes jobs in, and one who does them."""

    def __init__(self, faulty: bool, done: list[str]) -> None:
        self.faulty = faulty
        self.done = done

    async def main(self) -> None:
        jobs: list[str] = []
        bell = asyncio.Event()
        async with asyncio.TaskGroup() as both:
            worker = both.create_task(self.work(jobs, bell))
            async for message in self.inbox:
                jobs.append(message.data.decode())
                bell.set()
            worker.cancel()

    async def work(self, jobs: list[str], bell: asyncio.Event) -> None:
        while True:
            if not self.faulty:
                bell.clear()
            while jobs:
                self.done.append(jobs.pop(0))
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.003)  # puts its tools away
            if self.faulty:
                bell.clear()
            await bell.wait()


@simulated(seeds=1000, seconds=30, within="60 s")
def protocol(network, faulty):
    done: list[str] = []
    network.host("workshop").run(on_udp(Workshop(faulty, done)))
    network.host("office").run(on_udp(Office()))
    network.link("office", "workshop", delay="10 ms")
    yield network
    assert len(done) == JOBS, f"of {JOBS} jobs, {len(done)} are done"
