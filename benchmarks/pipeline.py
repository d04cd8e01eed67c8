"""A pipeline of ten coroutines: message hops a second, beside asyncio's own queues.

The two take turns, round by round, and the median counts: a noisy machine is noisy for both.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kamaelia import Component, Inbox, Outbox, run

STAGES = 10


@dataclass(frozen=True)
class Result:
    """Median hops a second of both, and their ratio."""

    work: str
    kamaelia: float
    peer: float

    @property
    def ratio(self) -> float:
        return self.kamaelia / self.peer


def with_kamaelia(messages: int, size: int, body: str) -> Callable[[], None]:
    """Return what runs the pipeline once on Kamaelia."""

    class Start(Component):
        async def main(self) -> None:
            send = self.outbox.send
            for number in range(messages):
                await send(number)

    class Coroutine(Component):
        inbox = Inbox[Any]("messages", size=size)
        outbox = Outbox[Any]("the same")

        async def main(self) -> None:
            send = self.outbox.send
            async for message in self.inbox:
                await send(message)

    class Generator(Component):
        inbox = Inbox[Any]("messages", size=size)
        outbox = Outbox[Any]("the same")

        def main(self) -> Any:
            receive, send = self.inbox.receive, self.outbox.send
            while True:
                yield send((yield receive()))

    class End(Component):
        inbox = Inbox[Any]("messages", size=size)

        async def main(self) -> int:
            count = 0
            async for _ in self.inbox:
                count += 1
            return count

    stage = {"coroutine": Coroutine, "generator": Generator}[body]

    def once() -> None:
        pipeline: Any = Start()
        for _ in range(STAGES):
            pipeline = pipeline | stage()
        arrived = run(pipeline | End(), loop_factory=asyncio.new_event_loop)
        assert arrived == messages, arrived

    return once


def with_asyncio(messages: int, size: int) -> Callable[[], None]:
    """Return what runs the same pipeline once with tasks and queues of asyncio."""

    async def main() -> None:
        queues: list[asyncio.Queue[int]] = [asyncio.Queue(size) for _ in range(STAGES + 1)]

        async def start() -> None:
            put = queues[0].put
            for number in range(messages):
                await put(number)

        async def stage(index: int) -> None:
            get, put = queues[index].get, queues[index + 1].put
            for _ in range(messages):
                await put(await get())

        async def end() -> None:
            get = queues[STAGES].get
            for _ in range(messages):
                await get()

        await asyncio.gather(start(), *(stage(index) for index in range(STAGES)), end())

    return lambda: asyncio.run(main())


def measure(size: int, body: str = "coroutine", messages: int = 30_000, rounds: int = 7) -> Result:
    """Measure both, interleaved; with so many messages that starting and ending a system hardly counts."""
    hops = messages * (STAGES + 1)
    ours, theirs = with_kamaelia(messages, size, body), with_asyncio(messages, size)
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for once, into in zip((ours, theirs), rates, strict=True):
            gc.collect()
            before = time.perf_counter()
            once()
            into.append(hops / (time.perf_counter() - before))
    work = f"{STAGES}-stage pipeline of {body}s, queue {size}"
    return Result(work, statistics.median(rates[0]), statistics.median(rates[1]))


def results() -> list[Result]:
    """Measure all that is printed."""
    return [
        measure(100),
        measure(1000),
        measure(1, messages=3000),
        measure(100, "generator"),
    ]
