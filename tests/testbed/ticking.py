"""Networks in which somebody sends a datagram again and again, for tests that look at that."""

from __future__ import annotations

import asyncio
from typing import Any

from kamaelia import component, sleep
from kamaelia.testbed import Network

DEADLINE = 30.0  # real seconds that a test waits for another thread


@component
async def listen(inbox: Any, outbox: Any) -> None:
    """Take datagrams, and do nothing with them."""
    await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("0.0.0.0", 5004)
    )
    await sleep(1000)


@component
async def send(
    inbox: Any, outbox: Any, to: str, every: float = 0.1, count: int | None = None, size: int = 4
) -> None:
    """Send datagrams of so many bytes, the first at once."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0)
    )
    sent = 0
    while count is None or sent < count:
        transport.sendto(bytes(size), (to, 5004))
        sent += 1
        await sleep(every)
    await sleep(1000)


def two(**link: Any) -> Network:
    """Return a network in which a sends to b, each tenth of a second."""
    network = Network()
    network.host("a").run(send("b"))
    network.host("b").run(listen)
    network.link("a", "b", **link)
    return network
