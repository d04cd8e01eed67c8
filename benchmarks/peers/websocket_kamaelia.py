"""Kamaelia: a WebSocket server with an `Echo` component for each connection, on uvloop.

It says its port and serves until it is ended from outside.
"""

from __future__ import annotations

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import report
from kamaelia import Component, Graphline, Inbox, run
from kamaelia.protocol import Echo
from kamaelia.protocol.websocket import WebSocketServer


class SayPort(Component):
    inbox = Inbox[tuple[str, int]]("the address that the server listens on")
    outbox = None

    async def main(self) -> None:
        async for _, port in self.inbox:
            report(about(None), port=port)


if __name__ == "__main__":
    server = WebSocketServer(Echo(), 0, limit=20_000, backlog=1024, quiet=True)
    run(Graphline(server.listening >> SayPort().inbox))
