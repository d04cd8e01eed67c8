"""Kamaelia: a `UDPReceiver` and a `UDPSender`, which forward what comes to a port.

It says its own port and goes on until it is ended from outside. With the word "asyncio" it runs on asyncio's
own loop, else on uvloop.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import report
from kamaelia import Component, Graphline, Inbox, run
from kamaelia.net import UDPReceiver, UDPSender


class SayPort(Component):
    inbox = Inbox[tuple[str, int]]("the address that datagrams are received at")
    outbox = None

    async def main(self) -> None:
        async for _, port in self.inbox:
            report(about(loop_factory), port=port)


if __name__ == "__main__":
    loop_factory = asyncio.new_event_loop if "asyncio" in sys.argv else None
    receiver, sender = UDPReceiver(port=0, quiet=True), UDPSender("127.0.0.1", int(sys.argv[1]))
    links = receiver.outbox >> sender.inbox, receiver.listening >> SayPort().inbox
    run(Graphline(*links), loop_factory=loop_factory)
