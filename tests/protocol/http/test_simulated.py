"""The same server on a simulated host, asked by libraries that know nothing of it."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia import component, sleep
from kamaelia.protocol.http import HTTPServer, Limits, Response, request
from kamaelia.testbed import Network


@component
async def feed(inbox: Any, outbox: Any) -> None:
    await outbox.send(Response(b"", type="text/event-stream"))
    for n in range(3):
        await outbox.send(f"data: {request().path} {n}\n\n")
        await sleep(10)


@component
async def upper(inbox: Any, outbox: Any) -> None:
    async for data in inbox:
        await outbox.send(data.upper())


def size(request: Any) -> str:
    return str(len(request.body))


def simulate(client: Any, **options: Any) -> Any:
    network = Network()
    routes = {
        "/": "<h1>Hello",
        "/feed": feed,
        "/upper": upper,
        "/size": lambda request: str(len(request.body)),
    }
    network.host("server").run(HTTPServer(routes, 80, **options))
    network.host("client").run(client)
    network.link("server", "client", rate="10 Mbit/s", delay="50 ms", loss="1 %")
    return network.simulate(seconds=200, seed=7)


def test_aiohttp_asks() -> None:
    aiohttp = pytest.importorskip("aiohttp")

    @component
    async def client(inbox: Any, outbox: Any) -> Any:
        async with aiohttp.ClientSession("http://server/") as session:
            async with session.get("/") as response:
                date, page = response.headers["Date"], await response.text()
            async with session.post("/upper", data=b"abc" * 100_000) as response:
                size = len(await response.read())
            async with session.get("/feed") as response:
                lines = [line async for line in response.content]
            async with session.get("/none") as response:
                return date, page, size, lines[::2], response.status

    trace = simulate(client())
    lines = [b"data: /feed 0\n", b"data: /feed 1\n", b"data: /feed 2\n"]
    expected = ("Sat, 01 Jan 2000 00:00:00 GMT", "<h1>Hello", 300_000, lines, 404)
    assert trace.results["client"] == expected
    assert [event.what for event in trace.events].count("accept") == 1
    assert trace.fingerprint == simulate(client()).fingerprint


def test_httpx_asks() -> None:
    httpx = pytest.importorskip("httpx")

    @component
    async def client(inbox: Any, outbox: Any) -> Any:
        async with httpx.AsyncClient(base_url="http://server", trust_env=False) as session:
            page = (await session.get("/")).text
            await sleep(100)  # longer than the connection is kept: httpx makes another
            return page, (await session.post("/size", content=b"x" * 1000)).text

    trace = simulate(client(), limits=Limits(keep_alive_timeout=30))
    assert trace.results["client"] == ("<h1>Hello", "1000")
    assert [event.what for event in trace.events].count("accept") == 2
