"""A busy system for a week of virtual time: nothing grows.

It has a bit of everything that is made again and again: copies of a pool that fail, a supervised part, a
carousel whose parts change every few minutes, visitors who come to a room and go, questions that are answered
late or never, batches, windows, timers. Memory is that of Python's own objects (`tracemalloc`), after a
garbage collection, at the same time of each day.
"""

from __future__ import annotations

import gc
import logging
import tracemalloc
from typing import Any

import pytest

from kamaelia import Component, Graphline, Outbox, component, random, run, sleep
from kamaelia.axon import VirtualLoop
from kamaelia.chassis import (
    Ask,
    Backplane,
    Calls,
    Carousel,
    Chooser,
    Pool,
    PublishTo,
    Retry,
    SubscribeTo,
    Supervisor,
    Timeout,
)
from kamaelia.chassis.restart import Backoff
from kamaelia.flow import (
    Batch,
    Count,
    Deduplicate,
    Delay,
    Interval,
    Map,
    Null,
    RateLimit,
    Sample,
    Take,
    Tee,
    Window,
)

HOUR = 3600.0
DAY = 24 * HOUR


@component
async def shaky(inbox: Any, outbox: Any) -> None:
    """Fail now and then."""
    async for message in inbox:
        await sleep(random.random())
        if random.random() < 0.01:
            raise ValueError(f"cannot stand {message}")
        await outbox.send(message)


@component
async def answer(inbox: Any, outbox: Any) -> None:
    """Answer most questions, some of them late."""
    async for number, question in inbox:
        await sleep(random.choice([0.1, 0.1, 0.1, 8.0]))
        if random.random() < 0.9:
            await outbox.send((number, question))


class Programme(Component):
    """Passes on what comes, until the next one takes its place."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send((self.name, message))


class Visitors(Component):
    """One after another comes into the room, listens for a while, and goes."""

    inbox = outbox = None

    async def main(self) -> None:
        while True:
            visitor = self.add(SubscribeTo("room") | Take(5) | Count())
            while not visitor.done():
                await sleep(10)


class Watch(Component):
    """Sends, every so often, how much memory is in use."""

    inbox = None
    outbox = Outbox[int]("bytes")

    def __init__(self, every: float, times: int) -> None:
        self.every, self.times = every, times
        self.seen: list[int] = []

    async def main(self) -> None:
        for _ in range(self.times):
            await sleep(self.every)
            gc.collect()
            self.seen.append(tracemalloc.get_traced_memory()[0])
        self.system.stop(60)


def busy(watch: Watch) -> list[Component]:
    pool, server = Pool(shaky, 3, ordered=True), Supervisor(shaky, intensity=1000, backoff=Backoff(first=1))
    ticks, out, carousel = Interval(3), Null(), Carousel(Programme)
    names = Chooser(f"programme {n}" for n in range(10_000_000))
    return [
        Graphline(
            ticks.outbox >> pool.inbox,
            pool.outbox >> server.inbox,
            server.outbox >> carousel.inbox,
            (changes := Interval(400, "next")).outbox >> names.inbox,
            names.outbox >> carousel.next,
            carousel.outbox >> out.inbox,
            changes,
        ),
        Interval(5) | Tee(PublishTo("room")) | Batch(7, seconds=20) | Window(3) | Null(),
        Backplane("room", key=lambda number: number % 50),
        Visitors(),
        Calls("service", Pool(answer, 2), timeout=5),
        Interval(4) | Ask("service") | Sample(60) | Null(),
        Interval(2) | Delay(30) | RateLimit(1) | Deduplicate() | Map(str) | Null(),
        Retry(Timeout(Interval(7), total=100), attempts=10**9, backoff=Backoff(first=1)) | Null(),
        watch,
    ]


def measure(every: float, times: int) -> list[int]:
    logging.disable(logging.CRITICAL)  # pytest would keep each line
    tracemalloc.start()
    try:
        watch = Watch(every, times)
        run(*busy(watch), loop_factory=VirtualLoop, seed=1)
        return watch.seen
    finally:
        tracemalloc.stop()
        logging.disable(logging.NOTSET)


def judge(seen: list[int]) -> None:
    """The first is left out: until then queues, tables and caches fill."""
    growth = max(seen[2:]) - seen[1]
    print(f"memory: {[f'{one / 1e6:.2f} MB' for one in seen]}")
    assert growth < 100_000, f"{growth} bytes more than at first: {seen}"


@pytest.mark.slow
def test_some_time() -> None:
    judge(measure(HOUR / 3, 4))


@pytest.mark.soak
def test_a_week() -> None:
    judge(measure(DAY, 7))
