"""The first messages."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten


class Take(Component):
    """Pass on the first messages, then end; so whatever comes before ends too, as nobody listens any more.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, the first of it.

    Arguments:
        count: how many messages to pass on

    Example:
        >>> from itertools import count
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source, Take
        >>> run(Source(count()) | Take(3) | Collect())
        [0, 1, 2]
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("the first of them")

    def __init__(self, count: int) -> None:
        check_whole(f"Take({shorten(count)})", count, "how many messages to pass on", 0)
        self.count = count

    async def main(self) -> None:
        for _ in range(self.count):
            await self.outbox.send(await self.inbox.receive())


__all__ = ["Take"]
