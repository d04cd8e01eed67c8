"""One protocol object, and every way in which somebody can reach it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import Component, Graphline, run
from kamaelia.axon import make
from kamaelia.flow import Collect, Map, Source
from kamaelia.net import (
    MemoryClient,
    MemoryServer,
    TCPClient,
    TCPServer,
    UDPPeer,
    UDPServer,
    UnixClient,
    UnixServer,
)
from kamaelia.protocol.http import Fetch, HTTPServer
from kamaelia.protocol.websocket import WebSocketClient, WebSocketServer
from kamaelia.testbed import Network

from ..net.certificates import Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def url(scheme: str, address: Any) -> str:
    return f"{scheme}://{address[0]}:{address[1]}/"


# How a server is made of the protocol, and a client of the server's address.
WAYS: dict[str, Callable[[Any, Certificates, Any], tuple[Any, Callable[[Any], Any]]]] = {
    "TCP": lambda shout, certificates, path: (
        TCPServer(shout, port=0, quiet=True),
        lambda address: TCPClient(*address),
    ),
    "TLS": lambda shout, certificates, path: (
        TCPServer(shout, port=0, tls=certificates.server, quiet=True),
        lambda address: TCPClient(*address, tls=certificates.client),
    ),
    "Unix": lambda shout, certificates, path: (
        UnixServer(shout, str(path / "socket"), quiet=True),
        lambda address: UnixClient(address),
    ),
    "memory": lambda shout, certificates, path: (
        MemoryServer(shout, "shout", quiet=True),
        lambda address: MemoryClient(address),
    ),
    "UDP": lambda shout, certificates, path: (
        UDPServer(shout, port=0, quiet=True),
        lambda address: UDPPeer(*address, linger=0.2),
    ),
    "WebSocket": lambda shout, certificates, path: (
        WebSocketServer(shout, port=0, quiet=True),
        lambda address: WebSocketClient(url("ws", address)),
    ),
    "WebSocket over TLS": lambda shout, certificates, path: (
        WebSocketServer(shout, port=0, tls=certificates.server, quiet=True),
        lambda address: WebSocketClient(url("wss", address), tls=certificates.client),
    ),
    "HTTP": lambda shout, certificates, path: (
        HTTPServer({"/": shout}, port=0, quiet=True),
        lambda address: Fetch(url("http", address), "POST"),
    ),
}


@pytest.mark.parametrize(
    "loop", ["asyncio", pytest.param("uvloop", marks=pytest.mark.needs("module:uvloop")), "simulated"]
)
@pytest.mark.parametrize("way", WAYS)
def test_the_same_protocol_is_served_in_every_way(way, loop, certificates, tmp_path):
    shout = Map(bytes.upper)  # the same object each time: it is its own pattern
    server, client = WAYS[way](shout, certificates, tmp_path)
    heard: list[bytes] = []

    class Visit(Component):
        async def main(self) -> None:
            address = await self.inbox.receive()
            heard.extend(await (Source([b"one ", b"two ", b"three"]) | client(address) | Collect()).run())
            self.system.stop()

    visit = Visit()
    graph = Graphline(server.listening >> visit.inbox)
    if loop == "simulated":
        network = Network()
        network.host("here").run(lambda: graph)
        network.simulate(seed=5)
    else:
        factory = (
            asyncio.new_event_loop if loop == "asyncio" else importlib.import_module("uvloop").new_event_loop
        )
        run(graph, loop_factory=factory)
    assert b"".join(heard) == b"ONE TWO THREE"


def test_and_alone():
    assert run(Source([b"one ", b"two ", b"three"]) | make(Map(bytes.upper)) | Collect()) == [
        b"ONE ", b"TWO ", b"THREE",
    ]  # fmt: skip
