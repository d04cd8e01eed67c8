"""trio: a task for each stage and a memory channel before it."""

from __future__ import annotations

import trio

from benchmarks.peers.stopwatch import numbers, time_hops, version

STAGES, SIZE, MESSAGES = numbers()


async def main() -> int:
    channels = [trio.open_memory_channel[int](SIZE) for _ in range(STAGES + 1)]
    count = 0

    async def start() -> None:
        async with channels[0][0] as sender:
            for number in range(MESSAGES):
                await sender.send(number)

    async def stage(index: int) -> None:
        async with channels[index + 1][0] as sender:
            async for message in channels[index][1]:
                await sender.send(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(start)
        for index in range(STAGES):
            nursery.start_soon(stage, index)
        async for _ in channels[STAGES][1]:
            count += 1
    return count


if __name__ == "__main__":
    time_hops(version("trio"), lambda: trio.run(main), MESSAGES, STAGES + 1)
