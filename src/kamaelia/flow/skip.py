"""All but the first messages."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten


class Skip(Component):
    """Leave out the first messages, and pass on the rest.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, all but the first of it.

    Arguments:
        count: how many messages to leave out

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Skip, Source
        >>> run(Source(["name,age", "Ada,36", "Alan,41"]) | Skip(1) | Collect())
        ['Ada,36', 'Alan,41']
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("all but the first of them")

    def __init__(self, count: int) -> None:
        check_whole(f"Skip({shorten(count)})", count, "how many messages to leave out", 0)
        self.count = count

    async def main(self) -> None:
        for _ in range(self.count):
            await self.inbox.receive()
        async for message in self.inbox:
            await self.outbox.send(message)


__all__ = ["Skip"]
