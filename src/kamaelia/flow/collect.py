"""The end of a pipeline: a list."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, Inbox


class Collect(Component):
    """Gather every message into a list, and return it.

    Inbox: ``inbox``, anything. There is no outbox. It keeps all that arrives, so put `Take` before it where
    that could be without end.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source
        >>> run(Source("abc") | Collect())
        ['a', 'b', 'c']
    """

    inbox = Inbox[Any]("what to collect")
    outbox = None

    def __init__(self) -> None:
        self.messages: list[Any] = []
        """What has arrived so far; all of it, when it has ended, whether it ended well or not."""

    async def main(self) -> list[Any]:
        async for message in self.inbox:
            self.messages.append(message)
        return self.messages


__all__ = ["Collect"]
