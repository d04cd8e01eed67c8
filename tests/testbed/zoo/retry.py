"""A purse is charged over TCP; who gets no answer in time connects again, and charges it again.

The server was only slow: it has done what the first request asked for, and does it once more.
"""

from __future__ import annotations

import asyncio

from kamaelia import component, sleep
from kamaelia.testbed.simulated import simulated

CHARGES = 10


@component
async def serve(inbox, outbox, faulty: bool, purse: list[int]) -> None:
    """Subtract what each request says."""
    done: set[int] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line:
            number, amount = map(int, line.split())
            if faulty or number not in done:
                done.add(number)
                purse[0] -= amount
            writer.write(b"done\n")
        writer.close()

    async with await asyncio.start_server(take, port=1500) as server:
        await server.serve_forever()


async def has_charged(number: int) -> bool:
    """Charge the purse, and say whether the server has said that it is done."""
    writer = None
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("server", 1500)
            writer.write(b"%d 1\n" % number)
            return await reader.readline() == b"done\n"
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()


@component
async def buy(inbox, outbox) -> None:
    """Spend something every second."""
    for number in range(CHARGES):
        while not await has_charged(number):
            pass
        await sleep(1)


@simulated(seeds=1000, seconds=300, until="client", within="60 s")
def protocol(network, faulty):
    purse = [100]
    network.host("server").run(serve(faulty, purse))
    network.host("client").run(buy())
    network.link("server", "client", delay="30 ms")
    network.disturb(["pause"], every="20 s", lasting="0.5 s", hosts=["server"])
    yield network
    assert purse == [100 - CHARGES], f"{CHARGES} charges of 1 have left {purse[0]} of 100"
