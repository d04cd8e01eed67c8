"""The last few messages, again and again."""

from __future__ import annotations

from collections import deque
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten


class Window(Component):
    """Send the last so many messages, as a tuple, each time that there are new ones.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, tuples of ``size`` messages, oldest first. There is none
    before so many have come, and what has come since the last is left out at the end; for that, see `Batch`.

    Arguments:
        size: how many messages to a window
        step: how many messages from one window to the next

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Map, Source, Window
        >>> run(Source([1, 2, 6, 7]) | Window(3) | Map(lambda last: sum(last) / 3) | Collect())
        [3.0, 5.0]
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[tuple[Any, ...]]("the last of them")

    def __init__(self, size: int, step: int = 1) -> None:
        check_whole(f"Window({shorten(size)})", size, "how many messages to a window", 1)
        check_whole(f"Window(step={shorten(step)})", step, "how many messages to the next window", 1)
        self.size = size
        self.step = step

    async def main(self) -> None:
        last: deque[Any] = deque(maxlen=self.size)
        missing = self.size  # messages before the next window
        async for message in self.inbox:
            last.append(message)
            missing -= 1
            if not missing:
                missing = self.step
                await self.outbox.send(tuple(last))


__all__ = ["Window"]
