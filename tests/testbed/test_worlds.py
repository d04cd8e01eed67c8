"""The parts of the library, unchanged, on simulated hosts and elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia import Component, component, sleep
from kamaelia.chassis import PublishTo, SubscribeTo
from kamaelia.flow import Collect, Encode, Lines, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import Network
from tests.worlds import every_network, every_world, world

__all__ = ["world"]


class Echo(Component):
    async def main(self) -> None:
        async for data in self.inbox:
            await self.outbox.send(data)


@component
async def shout(inbox: Any, outbox: Any) -> None:
    async for line in inbox:
        await outbox.send(line.upper())


@every_world
def test_echo(world: Any) -> None:
    assert world.converse(Echo, b"hello", b" ", b"world") == b"hello world"


@every_world
def test_a_protocol_of_several_parts(world: Any) -> None:
    protocol = Lines() | shout() | Encode(end="\n")
    assert world.converse(protocol, b"hel", b"lo\nwor", b"ld\n") == b"HELLO\nWORLD\n"


@every_world
def test_more_than_any_buffer_holds(world: Any) -> None:
    blocks = [bytes([n]) * 50_000 for n in range(20)]
    assert world.converse(Echo, *blocks) == b"".join(blocks)


@every_network
def test_several_clients_by_name(world: Any) -> None:
    network = Network()
    network.host("server").run(TCPServer(Echo, port=world.port))
    for n in range(5):
        network.host(f"phone-{n}").run(
            Source([f"I am {n}".encode()]) | TCPClient("server", world.port) | Collect()
        )
        network.link("server", f"phone-{n}", delay="10 ms")
    results = world.run(network, seconds=1).results  # the server would go on
    assert [results[f"phone-{n}"] for n in range(5)] == [[b"I am %d" % n] for n in range(5)]


def echo_network(phones: int) -> Network:
    network = Network()
    server = network.host("server").run(TCPServer(Echo, port=1500))
    for n in range(phones):
        phone = network.host(f"phone-{n}")
        network.link(server, phone, rate="2 Mbit/s", delay="80 ms", loss=0.05)
        phone.run(Source([f"hello from {n}\n".encode()], then="stay") | TCPClient("server", 1500) | Collect())
    return network


def test_an_echo_server_and_a_hundred_phones() -> None:
    trace = echo_network(100).simulate(seconds=60, seed=7)
    for n in range(100):
        assert trace.results[f"phone-{n}"] == [f"hello from {n}\n".encode()]
    assert [event.what for event in trace.events].count("accept") == 100
    assert trace.fingerprint == echo_network(100).simulate(seconds=60, seed=7).fingerprint


def chat_network(phones: int) -> Network:
    """Return chat.py, as it stands in the design, and some phones."""
    chat = TCPServer(Lines() | PublishTo("room") | SubscribeTo("room") | Encode(end="\n"), port=1500)
    network = Network()
    server = network.host("server")
    server.run(chat)
    for n in range(phones):
        phone = network.host(f"phone-{n}")
        network.link(server, phone, rate="2 Mbit/s", delay="80 ms", loss=0.05)
        phone.run(Source([f"hello from {n}\n".encode()], then="stay") | TCPClient("server", 1500) | Collect())
    return network


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.once) for seed in (1, 2))])
def test_a_chat_room_and_a_hundred_phones(seed: int) -> None:
    trace = chat_network(100).simulate(seconds=60, seed=seed)
    heard = {n: b"".join(trace.results[f"phone-{n}"]).decode().split("\n")[:-1] for n in range(100)}
    everything = max(heard.values(), key=len)
    assert sorted(everything) == sorted(f"hello from {n}" for n in range(100))
    for n, lines in heard.items():
        # From when on one is in the room, one hears what all hear, and in the same order; and oneself.
        assert lines == everything[len(everything) - len(lines) :]
        assert f"hello from {n}" in lines
    assert trace.fingerprint == chat_network(100).simulate(seconds=60, seed=seed).fingerprint


def test_an_echo_takes_no_more_packets_than_it_needs() -> None:
    network = Network()
    server = network.host("server").run(TCPServer(Echo, port=1500))
    for n in range(100):
        phone = network.host(f"phone-{n}")
        network.link(server, phone, rate="20 Mbit/s", delay="20 ms")
        phone.run(Source([bytes(1000)] * 100) | TCPClient("server", 1500) | Collect())
    trace = network.simulate(seconds=60)
    packets = sum(host.sent for host in trace.metrics.hosts.values())
    assert packets == 100 * (3 + 2 * 100 + 2)  # to connect, the data there and back, and to end


def test_websockets_runs_unchanged() -> None:
    websockets = pytest.importorskip("websockets")
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    @component
    async def server(inbox: Any, outbox: Any) -> None:
        async def echo(connection: Any) -> None:
            async for message in connection:
                await connection.send(message[::-1])

        async with serve(echo, "0.0.0.0", 8765) as listening:
            await listening.serve_forever()

    @component
    async def client(inbox: Any, outbox: Any) -> Any:
        async with connect("ws://server:8765", proxy=None) as connection:
            await connection.send("hello")
            answer = await connection.recv()
            await connection.send("x" * 200_000)
            return answer, len(await connection.recv())

    network = Network()
    network.host("server").run(server())
    network.host("client").run(client())
    network.link("server", "client", delay="50 ms", loss="1 %")
    assert network.simulate(seconds=100).results["client"] == ("olleh", 200_000)
    assert websockets.__name__


def test_aiohttp_runs_unchanged() -> None:
    aiohttp = pytest.importorskip("aiohttp")
    from aiohttp import web

    @component
    async def server(inbox: Any, outbox: Any) -> None:
        async def hello(request: Any) -> Any:
            return web.Response(text=f"hello {request.match_info['name']} at {request.remote}")

        application = web.Application()
        application.add_routes([web.get("/{name}", hello)])
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", 80).start()
        try:
            await sleep(20)
        finally:
            await runner.cleanup()

    @component
    async def client(inbox: Any, outbox: Any) -> Any:
        async with aiohttp.ClientSession() as session:
            async with session.get("http://server/you") as response:
                return response.status, await response.text()

    network = Network()
    network.host("server").run(server())
    network.host("client").run(client())
    network.link("server", "client", delay="50 ms")
    assert network.simulate(seconds=30).results["client"] == (200, "hello you at 10.0.0.2")


def test_httpx_runs_unchanged() -> None:
    httpx = pytest.importorskip("httpx")

    @component
    async def respond(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await outbox.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            break

    @component
    async def client(inbox: Any, outbox: Any) -> Any:
        async with httpx.AsyncClient(trust_env=False) as session:
            return (await session.get("http://server/")).text

    network = Network()
    network.host("server").run(TCPServer(respond, port=80))
    network.host("client").run(client())
    network.link("server", "client", delay="50 ms")
    assert network.simulate(seconds=30).results["client"] == "hello"
