"""The same server, client and strangers, on the hosts of a simulated network."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia import component
from kamaelia.flow import Source
from kamaelia.net import Reconnect
from kamaelia.protocol import Echo
from kamaelia.protocol.http import HTTPServer
from kamaelia.protocol.websocket import WebSocket, WebSocketClient, WebSocketServer
from kamaelia.testbed import Network

from .parts import Repeat, gather

LINK = {"rate": "2 Mbit/s", "delay": "80 ms", "loss": 0.03}


def simulate(server: Any, *clients: Any, seconds: float = 200, seed: int = 7, **link: Any) -> Any:
    network = Network()
    network.host("server").run(server)
    for number, client in enumerate(clients):
        network.host(f"client-{number}").run(client)
        network.link("server", f"client-{number}", **{**LINK, **link})
    return network.simulate(seconds=seconds, seed=seed)


def test_our_client_talks_with_our_server_over_a_network_that_loses_packets() -> None:
    messages = [f"{number} " * 500 for number in range(30)]
    clients = [Source(messages) | WebSocketClient("ws://server:8765/") | gather() for _ in range(3)]
    trace = simulate(WebSocketServer(Repeat, 8765, None, quiet=True), *clients)
    for number in range(3):
        assert trace.results[f"client-{number}"] == messages


def test_the_same_seed_gives_the_same_bytes() -> None:
    def once(seed: int) -> Any:
        client = Source(["one", b"two"]) | WebSocketClient("ws://server:8765/") | gather()
        server = WebSocketServer(Repeat, 8765, None, quiet=True)
        return simulate(server, client, seed=seed).fingerprint

    assert once(1) == once(1)
    assert once(1) != once(2)


def test_websockets_asks_our_server_unchanged() -> None:
    from websockets.asyncio.client import connect

    @component
    async def client(inbox: Any, outbox: Any) -> Any:
        async with connect("ws://server:8765/", proxy=None) as connection:
            await connection.send("hello")
            first = await connection.recv()
            await connection.send(bytes(100_000))
            second = await connection.recv()
        return first, len(second), connection.close_code

    trace = simulate(WebSocketServer(Repeat, 8765, None, quiet=True), client)
    assert trace.results["client-0"] == ("hello", 100_000, 1000)


def test_our_client_asks_websockets_unchanged() -> None:
    from websockets.asyncio.server import serve

    @component
    async def server(inbox: Any, outbox: Any) -> None:
        async def greet(connection: Any) -> None:
            async for message in connection:
                await connection.send(message[::-1])
                await connection.close()

        async with serve(greet, "0.0.0.0", 8765) as listening:
            await listening.serve_forever()

    trace = simulate(server, Source(["hello"], then="stay") | WebSocketClient("ws://server:8765/") | gather())
    assert trace.results["client-0"] == ["olleh"]


@pytest.mark.needs("module:aiohttp")
def test_aiohttp_asks_a_route_of_our_server_unchanged() -> None:
    import aiohttp

    @component
    async def client(inbox: Any, outbox: Any) -> Any:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect("http://server/chat") as connection:
                await connection.send_str("hello")
                return await connection.receive_str()

    trace = simulate(HTTPServer({"/chat": WebSocket(Repeat)}, 80, None, quiet=True), client)
    assert trace.results["client-0"] == "hello"


def test_a_client_connects_again_when_its_server_comes_back() -> None:
    network = Network()
    server, phone = network.host("server"), network.host("phone")
    server.run(WebSocketServer(Echo, 8765, None, quiet=True))
    link = network.link(server, phone, delay="20 ms")

    @component
    async def talker(inbox: Any, outbox: Any) -> None:
        from kamaelia import sleep

        for number in range(10):
            await outbox.send(f"{number}".encode())
            await sleep(10)

    policy = Reconnect(initial=1, limit=2)
    client = WebSocketClient("ws://server:8765/", reconnect=policy, ping_interval=3, ping_timeout=3)
    phone.run(talker() | client | gather())
    network.at(25, lambda: network.partition(server, phone))
    network.at(55, lambda: network.repair(server, phone))
    trace = network.simulate(seconds=400, seed=3)
    got = [int(message) for message in trace.results["phone"]]
    assert got == sorted(got)
    assert {0, 1, 2, 7, 8, 9} <= set(got)
    assert link is not None
