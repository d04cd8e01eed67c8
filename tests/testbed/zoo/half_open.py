"""A file is fetched over TCP until nothing more comes; a server that has crashed sends nothing more.

Its end of the connection is gone, and nobody has said so. What has come so far is taken for the whole.
"""

from __future__ import annotations

import asyncio

from kamaelia import component, sleep
from kamaelia.testbed.simulated import simulated

FILE = bytes(range(256)) * 40


@component
async def serve(inbox, outbox) -> None:
    """Send the file to everybody, its length first."""

    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"%d\n" % len(FILE))
        for begin in range(0, len(FILE), 1024):
            writer.write(FILE[begin : begin + 1024])
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.close()

    async with await asyncio.start_server(give, port=1500) as server:
        await server.serve_forever()


async def fetch_once() -> tuple[bytes, int]:
    """Return what comes of the file, and how long it is to be."""
    data, length, writer = b"", 0, None
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("server", 1500)
            length = int(await reader.readline() or b"0")
        while piece := await asyncio.wait_for(reader.read(1000), 1):
            data += piece
    except (OSError, TimeoutError):
        pass
    finally:
        if writer is not None:
            writer.close()
    return data, length


@component
async def fetch(inbox, outbox, faulty: bool, fetched: list[bytes]) -> None:
    """Fetch the file some times."""
    while len(fetched) < 5:
        data, length = await fetch_once()
        if data and (faulty or len(data) == length):
            fetched.append(data)
        await sleep(1)


@simulated(seeds=1000, seconds=300, until="client", within="60 s")
def protocol(network, faulty):
    fetched: list[bytes] = []
    network.host("server").run(serve())
    network.host("client").run(fetch(faulty, fetched))
    network.link("server", "client", delay="20 ms")
    network.disturb(["crash"], every="60 s", lasting="1 s", hosts=["server"])
    yield network
    lengths = [len(data) for data in fetched]
    assert lengths == [len(FILE)] * 5, f"files of {len(FILE)} bytes came with {lengths}"
