"""Only some of the messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox

from .awaiting import awaitable_test


class Filter(Component):
    """Pass on the messages for which a function says yes, and leave the others out.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, those for which the function returned something true.
    An exception of the function is a failure of the component.

    Arguments:
        fn: is asked about each message; a plain or an ``async`` function

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Filter, Source
        >>> run(Source(range(6)) | Filter(lambda n: n % 2) | Collect())
        [1, 3, 5]
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("those that pass")

    def __init__(self, fn: Callable[[Any], bool | Awaitable[bool] | Any]) -> None:
        if not callable(fn):
            raise TypeError(f"Filter({fn!r}): give a function that says whether a message passes")
        self.fn = fn
        self.left_out = 0
        """Messages that have not passed."""

    async def main(self) -> None:
        fn, is_awaitable = self.fn, awaitable_test()
        async for message in self.inbox:
            passes: Any = fn(message)
            if is_awaitable(passes):
                passes = await passes
            if passes:
                await self.outbox.send(message)
            else:
                self.left_out += 1


__all__ = ["Filter"]
