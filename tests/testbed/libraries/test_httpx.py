"""httpx: its client, with the servers of aiohttp and of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from kamaelia import component
from kamaelia.protocol.http import HTTPServer, Limits
from kamaelia.testbed import Network

from .cases import Pair, every_case
from .pairs import of

pytestmark = pytest.mark.one_core("compiled")


@every_case
@pytest.mark.parametrize("pair", of("httpx"), ids=str)
def test_httpx(pair: Pair, case: Callable[[Pair], None]) -> None:
    case(pair)


@pytest.mark.parametrize(("pause", "connections"), [(1, 1), (20, 2)])
def test_a_connection_that_the_server_has_closed_meanwhile_is_not_used_again(
    pause: float, connections: int
) -> None:
    """It asks the socket whether it is readable; see `kamaelia.testbed.stand_ins.polling`."""

    @component
    async def ask(inbox: Any, outbox: Any) -> list[int]:
        statuses = []
        limits = httpx.Limits(keepalive_expiry=None)
        async with httpx.AsyncClient(trust_env=False, limits=limits) as session:
            for _ in range(2):
                statuses.append((await session.get("http://server/")).status_code)
                await asyncio.sleep(pause)
        return statuses

    network = Network()
    limits = Limits(keep_alive_timeout=5)
    network.host("server").run(HTTPServer({"/": "Hello"}, port=80, host=None, quiet=True, limits=limits))
    network.host("phone").run(ask)
    network.link("server", "phone", delay="80 ms")
    trace = network.simulate(until="phone", seed=7)
    assert trace.results["phone"] == [200, 200]
    assert [event.what for event in trace.events].count("accept") == connections
