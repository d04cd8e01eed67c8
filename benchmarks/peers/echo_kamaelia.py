"""Kamaelia: a TCP server with an `Echo` component for each connection.

It says its port and serves until it is ended from outside. With the word "asyncio" it runs on
asyncio's own loop, else on uvloop.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import report
from kamaelia import Component, Graphline, Inbox, run
from kamaelia.net import TCPServer
from kamaelia.protocol import Echo


class SayPort(Component):
    inbox = Inbox[tuple[str, int]]("the address that the server listens on")
    outbox = None

    async def main(self) -> None:
        async for _, port in self.inbox:
            report(about(loop_factory), port=port)


if __name__ == "__main__":
    loop_factory = asyncio.new_event_loop if "asyncio" in sys.argv else None
    server = TCPServer(Echo(), port=0, limit=20_000, backlog=1024, quiet=True)
    run(Graphline(server.listening >> SayPort().inbox), loop_factory=loop_factory)
