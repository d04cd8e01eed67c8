"""The same server, client and strangers, on the hosts of a simulated network."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from websockets.utils import accept_key

from kamaelia import clock, component, sleep
from kamaelia.flow import Source, Take
from kamaelia.net import Reconnect, TCPServer
from kamaelia.protocol.http import HTTPServer
from kamaelia.protocol.websocket import WebSocket, WebSocketClient, WebSocketServer
from kamaelia.testbed import Network

from .frames import ACCEPT, ACCEPTED
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


def test_a_client_connects_again_as_often_as_the_server_closes() -> None:
    @component
    async def talker(inbox: Any, outbox: Any) -> None:
        for number in range(10):
            await outbox.send(str(number))
            await sleep(10)

    client = WebSocketClient("ws://server:8765/", reconnect=Reconnect(initial=1, limit=2))
    server = WebSocketServer(Take(1), 8765, None, quiet=True)
    trace = simulate(server, talker() | client | gather(), seconds=400)
    assert trace.results["client-0"] == [str(number) for number in range(10)]
    assert [event.what for event in trace.events].count("accept") == 11


def test_a_server_that_falls_silent_is_given_up_and_tried_again() -> None:
    told: list[float] = []

    @component
    async def deaf(inbox: Any, outbox: Any) -> None:
        """Shake hands, and say nothing more."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await inbox.receive()
        told.append(clock())
        (key,) = (line[19:] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: "))
        await outbox.send(ACCEPTED.replace(ACCEPT, accept_key(key.decode()).encode()))
        async for _ in inbox:
            pass

    policy = Reconnect(initial=1, limit=1, jitter=0)
    client = WebSocketClient("ws://server:8765/", reconnect=policy, ping_interval=10, ping_timeout=5)
    server = TCPServer(deaf, port=8765, host=None, quiet=True)
    simulate(server, Source(["x"], then="stay") | client | gather(), seconds=60, loss=0)
    # Ten seconds of silence, five for the answer, one before the next attempt, and some trips.
    assert [round(later - earlier) for earlier, later in itertools.pairwise(told)] == [16, 16, 16]
