"""Kamaelia: a server of HTTP that answers all requests in one way.

WAY is "function", "page" (a fixed one), "component", or "static" and a folder. It says its port and serves
until it is ended from outside. With the word "asyncio" it runs on asyncio's own loop, else on uvloop.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import report
from kamaelia import Component, Graphline, Inbox, component, run
from kamaelia.protocol.http import HTTPServer, Response, StaticFiles

HELLO = b"Hello, world!\n"


class SayPort(Component):
    inbox = Inbox[tuple[str, int]]("the address that the server listens on")
    outbox = None

    async def main(self) -> None:
        async for _, port in self.inbox:
            report(about(loop_factory), port=port)


def hello(request: Any) -> Response:
    return Response(HELLO, type="text/plain")


@component
async def greet(inbox: Any, outbox: Any) -> None:
    await outbox.send(Response(HELLO, type="text/plain"))


if __name__ == "__main__":
    way = sys.argv[1]
    loop_factory = asyncio.new_event_loop if "asyncio" in sys.argv else None
    if way == "static":
        routes: dict[str, Any] = {"/*": StaticFiles(sys.argv[2])}
    else:
        routes = {
            "/": {"function": hello, "page": Response(HELLO, type="text/plain"), "component": greet}[way]
        }
    server = HTTPServer(routes, port=0, limit=20_000, backlog=1024, quiet=True)
    run(Graphline(server.listening >> SayPort().inbox), loop_factory=loop_factory)
