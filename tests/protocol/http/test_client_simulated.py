"""The clients on the hosts of a simulated network, against a server of aiohttp that knows nothing of it."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia import component, sleep
from kamaelia.flow import Collect, Source
from kamaelia.protocol.http import Fetch, HTTPClient, HTTPServer, Request
from kamaelia.testbed import Network

BODY = bytes(range(256)) * 400


@component
async def serve(inbox: Any, outbox: Any) -> None:
    from aiohttp import web

    async def answer(request: Any) -> Any:
        return web.Response(body=request.path.encode() + b" " + BODY)

    app = web.Application()
    app.add_routes([web.get("/{name}", answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 80).start()
    try:
        await sleep(50)
    finally:
        await runner.cleanup()


def network(loss: float) -> Network:
    network = Network()
    server = network.host("server").run(serve())
    for number in range(3):
        client = Source([f"http://server/{n}" for n in range(5)]) | HTTPClient(concurrency=2) | Collect()
        phone = network.host(f"phone-{number}").run(client)
        network.link(server, phone, delay="30 ms", rate="20 Mbit/s", loss=loss)
    reader = network.host("reader").run(Fetch("http://server/x") | Collect())
    network.link(server, reader, delay="30 ms", loss=loss)
    return network


@pytest.mark.needs("module:aiohttp")
@pytest.mark.parametrize("loss", [0, 0.05])
def test_requests_over_a_simulated_network(loss):
    trace = network(loss).simulate(seconds=60, seed=7)
    for number in range(3):
        found = trace.results[f"phone-{number}"]
        assert [one.body for one in found] == [b"/%d " % n + BODY for n in range(5)]
    assert b"".join(trace.results["reader"]) == b"/x " + BODY


@pytest.mark.needs("module:aiohttp")
def test_the_same_seed_gives_the_same_run():
    one, two = (network(0.05).simulate(seconds=60, seed=3) for _ in range(2))
    assert [str(event) for event in one.events] == [str(event) for event in two.events]
    assert len(one.events) > 10


def test_our_own_server():
    def echo(request: Request) -> bytes:
        return request.body[::-1]

    network = Network()
    server = network.host("server").run(HTTPServer({"/": "Hello", "POST /echo": echo}, port=80, quiet=True))
    asked = ["http://server/", Request("POST", "http://server/echo", body=BODY), "http://server/nowhere"]
    phone = network.host("phone").run(Source(asked) | HTTPClient(concurrency=1) | Collect())
    network.link(server, phone, delay="30 ms", loss=0.05)
    hello, echoed, nowhere = network.simulate(seconds=60, seed=7).results["phone"]
    assert (hello.status, hello.text()) == (200, "Hello")
    assert (echoed.status, echoed.body) == (200, BODY[::-1])
    assert nowhere.status == 404
