"""asyncio: one task that puts into WIDTH queues ("out"), or WIDTH tasks that put into one ("in")."""

from __future__ import annotations

import asyncio
import platform
import sys

from benchmarks.peers.stopwatch import numbers, time_hops

WIDTH, MESSAGES = numbers()
EACH = MESSAGES // WIDTH


async def send(queues: list[asyncio.Queue[int]]) -> None:
    for number in range(EACH):
        for queue in queues:
            await queue.put(number)


async def receive(queue: asyncio.Queue[int], messages: int) -> int:
    count = 0
    for _ in range(messages):
        await queue.get()
        count += 1
    return count


async def fan_out() -> int:
    queues: list[asyncio.Queue[int]] = [asyncio.Queue(100) for _ in range(WIDTH)]
    _, *counts = await asyncio.gather(send(queues), *(receive(queue, EACH) for queue in queues))
    return sum(counts)


async def fan_in() -> int:
    queue: asyncio.Queue[int] = asyncio.Queue(100)
    *_, count = await asyncio.gather(*(send([queue]) for _ in range(WIDTH)), receive(queue, MESSAGES))
    return count


if __name__ == "__main__":
    main = fan_out if "out" in sys.argv else fan_in
    about = f"asyncio of Python {platform.python_version()}"
    time_hops(about, lambda: asyncio.run(main()), MESSAGES, 1)
