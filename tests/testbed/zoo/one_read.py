"""Numbers are sent over TCP, one a line; what one read returns is taken for one line.

It nearly always is. When a packet was lost, it comes together with the next ones.
"""

from __future__ import annotations

import asyncio

from kamaelia import component, sleep
from kamaelia.testbed.simulated import simulated

NUMBERS = list(range(100, 120))


@component
async def serve(inbox, outbox, faulty: bool, got: list[str]) -> None:
    """Collect the lines of one client."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await (reader.read(1000) if faulty else reader.readline()):
            got.append(line.decode().strip())
        writer.close()

    async with await asyncio.start_server(take, port=1500) as server:
        await server.serve_forever()


@component
async def talk(inbox, outbox) -> None:
    """Send the numbers."""
    _, writer = await asyncio.open_connection("server", 1500)
    for number in NUMBERS:
        writer.write(b"%d\n" % number)
        await sleep(0.1)
    writer.close()
    await writer.wait_closed()
    await sleep(2)


@simulated(seeds=1000, seconds=60, until="client", within="60 s")
def protocol(network, faulty):
    got: list[str] = []
    network.host("server").run(serve(faulty, got))
    network.host("client").run(talk())
    network.link("client", "server", delay="20 ms", loss="0.2 %")
    yield network
    assert got == [str(number) for number in NUMBERS], f"the lines are {got}"
