"""A scenario with a bit of everything, which prints the fingerprint of its trace.

Run by tests on several interpreters; it needs nothing but Kamaelia.
"""

from __future__ import annotations

import asyncio
from typing import Any

from kamaelia import component, random, sleep
from kamaelia.chassis import PublishTo, SubscribeTo
from kamaelia.flow import Collect, Encode, Lines, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import Network


@component
async def serve(inbox: Any, outbox: Any) -> None:
    """Echo lines, and answer datagrams."""

    class Answer(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.transport.sendto(data * 2, address)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Answer, local_addr=("0.0.0.0", 5004))
    async with await asyncio.start_server(echo, "0.0.0.0", 1500) as server:
        await server.serve_forever()


@component
async def talk(inbox: Any, outbox: Any) -> list[Any]:
    """Say something now and then, in several tasks."""

    async def ask(number: int) -> bytes:
        await sleep(random.random())
        reader, writer = await asyncio.open_connection("server", 1500)
        writer.write(b"x" * random.randrange(1, 100_000) + b"\n")
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    class Count(asyncio.DatagramProtocol):
        count = 0

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.count += len(data)

    transport, count = await asyncio.get_running_loop().create_datagram_endpoint(
        Count, remote_addr=("server", 5004)
    )
    asked = asyncio.gather(*[ask(number) for number in range(3)])
    async with asyncio.timeout(100):
        for _ in range(20):
            transport.sendto(b"?" * random.randrange(1, 1400))
            await asyncio.sleep(random.random() / 10)
        answers = await asked
    transport.close()
    return [len(answer) for answer in answers] + [count.count]


def network(phones: int = 10) -> Network:
    """Return a server and some phones behind an edge."""
    made = Network()
    made.host("server").run(serve())
    made.router("edge")
    made.link("server", "edge", rate="100 Mbit/s", delay="7 ms")
    for number in range(phones):
        made.host(f"phone-{number}").run(talk())
        made.link("edge", f"phone-{number}", rate="5 Mbit/s", delay="20 ms", jitter="3 ms", loss=0.02)
    return made


def chat(phones: int = 20) -> Network:
    """Return a chat room made of the library's parts."""
    made = Network()
    room = Lines() | PublishTo("room") | SubscribeTo("room") | Encode(end="\n")
    made.host("server").run(TCPServer(room, port=1500))
    for n in range(phones):
        hello = Source([f"hello from {n}\n".encode()], then="stay")
        made.host(f"phone-{n}").run(hello | TCPClient("server", 1500) | Collect())
        made.link("server", f"phone-{n}", rate="2 Mbit/s", delay="80 ms", loss=0.05)
    return made


if __name__ == "__main__":
    for trace in (network().simulate(seconds=30, seed=7), chat().simulate(seconds=30, seed=7)):
        print(trace.fingerprint, len(trace.events), trace.metrics.seconds, trace.results)
