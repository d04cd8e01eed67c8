"""asyncio: NUMBER tasks that all wait, each on its `asyncio.Queue`, and a message that goes through all.

As with the others, the garbage collector is off while they are made.
"""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import time

from benchmarks.peers.stopwatch import numbers, report, resident

(NUMBER,) = numbers()


async def main() -> dict[str, float]:
    gc.collect()
    memory = resident()
    gc.disable()
    before = time.perf_counter()
    queues: list[asyncio.Queue[int]] = [asyncio.Queue(100) for _ in range(NUMBER + 1)]

    async def idle(mine: asyncio.Queue[int], following: asyncio.Queue[int]) -> None:
        while True:
            await following.put(await mine.get())

    async def once_through() -> float:
        before = time.perf_counter()
        await queues[0].put(1)
        await queues[NUMBER].get()
        return time.perf_counter() - before

    tasks = [asyncio.create_task(idle(queues[n], queues[n + 1])) for n in range(NUMBER)]
    await once_through()
    made = time.perf_counter() - before
    gc.enable()
    gc.collect()
    memory = resident() - memory
    passes = sorted([await once_through() for _ in range(3)])
    assert len(tasks) == NUMBER
    return {"memory": memory / NUMBER, "making": (made - passes[1]) / NUMBER, "passing": passes[1] / NUMBER}


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    report(
        f"asyncio of Python {platform.python_version()}",
        number=NUMBER,
        **loop.run_until_complete(main()),
    )
    os._exit(0)  # to cancel each of the tasks is no part of the work
