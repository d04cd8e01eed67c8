"""Messages with their numbers."""

from __future__ import annotations

import itertools
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten


class Number(Component):
    """Send each message together with its number, as a pair.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, pairs ``(number, message)``. `Detag` takes the numbers
    off again.

    Arguments:
        start: the number of the first message

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Number, Source
        >>> run(Source("abc") | Number(start=1) | Collect())
        [(1, 'a'), (2, 'b'), (3, 'c')]
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[tuple[int, Any]]("each with its number before it")

    def __init__(self, start: int = 0) -> None:
        check_whole(f"Number(start={shorten(start)})", start, "the number of the first message", None)
        self.start = start

    async def main(self) -> None:
        numbers = itertools.count(self.start)
        async for message in self.inbox:
            await self.outbox.send((next(numbers), message))


__all__ = ["Number"]
