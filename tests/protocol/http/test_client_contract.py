"""The contract of all parts, kept by the clients: their server is a component that says hello."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia import Component
from kamaelia.axon.specimen import Specimen
from kamaelia.protocol.http import ConnectionPool, Fetch, Headers, HTTPClient, HTTPClientProtocol, Request
from kamaelia.protocol.http.specimens import SPECIMENS
from kamaelia.testing.contract import CHECKS, check_memory, check_repeats, check_stop


class Hello(Component):
    """In place of a connection to a server, which says hello to whoever asks."""

    async def main(self):
        asked = b""
        async for data in self.inbox:
            asked += data
            while b"\r\n\r\n" in asked:
                asked = asked.partition(b"\r\n\r\n")[2]
                await self.outbox.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def hello() -> ConnectionPool:
    return ConnectionPool(transport=lambda url: Hello())


ASKED = {
    "requests": (Request("GET", "/", Headers({"Host": "a"})),),
    "inbox": (b"HTTP/1.1 204 No Content\r\n\r\n",),
}
KEEPING = {
    "fetch": Specimen(lambda: Fetch("http://a/", pool=hello()), gives=None),
    "client": Specimen(
        lambda: HTTPClient(pool=hello(), concurrency=2), {"inbox": ("http://a/", "http://b/")}, gives=None
    ),
    "protocol": Specimen(HTTPClientProtocol, ASKED, gives=None),
    "pool": SPECIMENS["ConnectionPool"][0],
}
# Responses are equal to none but themselves, and requests do not count in bytes.
NOT_FOR = {(name, check_repeats) for name in ("fetch", "client", "protocol")} | {("protocol", check_memory)}
# At a stop half a download must not look like a whole one: it is broken, and not ended.
NOT_FOR |= {("fetch", check_stop)}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", KEEPING)
def test_the_clients_keep_the_contract(name: str, check: Any) -> None:
    if (name, check) not in NOT_FOR:
        check(KEEPING[name])
