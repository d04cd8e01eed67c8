"""The end of a pipeline: a number."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, Inbox


class Count(Component):
    """Count the messages, and return how many there were.

    Inbox: ``inbox``, anything. There is no outbox. It keeps none of them.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Count, Source
        >>> run(Source("abc") | Count())
        3
    """

    inbox = Inbox[Any]("what to count")
    outbox = None

    def __init__(self) -> None:
        self.count = 0
        """How many have arrived so far."""

    async def main(self) -> int:
        async for _ in self.inbox:
            self.count += 1
        return self.count


__all__ = ["Count"]
