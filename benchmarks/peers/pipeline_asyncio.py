"""asyncio: a task for each stage and an `asyncio.Queue` before it; with the word "uvloop", on that loop."""

from __future__ import annotations

import asyncio
import platform
import sys

from benchmarks.peers.stopwatch import numbers, time_hops, version

STAGES, SIZE, MESSAGES = numbers()


async def main() -> int:
    queues: list[asyncio.Queue[int]] = [asyncio.Queue(SIZE) for _ in range(STAGES + 1)]

    async def start() -> None:
        put = queues[0].put
        for number in range(MESSAGES):
            await put(number)

    async def stage(index: int) -> None:
        get, put = queues[index].get, queues[index + 1].put
        for _ in range(MESSAGES):
            await put(await get())

    async def end() -> int:
        get, count = queues[STAGES].get, 0
        for _ in range(MESSAGES):
            await get()
            count += 1
        return count

    *_, count = await asyncio.gather(start(), *(stage(index) for index in range(STAGES)), end())
    return count


if __name__ == "__main__":
    if "uvloop" in sys.argv:
        import uvloop

        about, loop_factory = f"asyncio on {version('uvloop')}", uvloop.new_event_loop
    else:
        about, loop_factory = f"asyncio of Python {platform.python_version()}", asyncio.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        time_hops(about, lambda: runner.run(main()), MESSAGES, STAGES + 1)
