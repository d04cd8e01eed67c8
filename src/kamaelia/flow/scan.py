"""What has come of all messages so far."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox

from .awaiting import awaitable_test


class Start(Enum):
    """What there is before the first message, if nothing is given."""

    NOTHING = "nothing"


class Scan(Component):
    """Combine each message with what has come of those before it, and send that.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, the result so far, after each message. An exception of
    the function is a failure of the component.

    Arguments:
        fn: a plain or an ``async`` function of the result so far and a message. What it returns is sent, and
            is the next result, so it should be a new object each time.
        start: the result before the first message; if it is not given, the first message is the first result

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Scan, Source
        >>> run(Source([1, 2, 3]) | Scan(lambda total, n: total + n) | Collect())
        [1, 3, 6]
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("the result so far")

    def __init__(self, fn: Callable[[Any, Any], Any], start: Any = Start.NOTHING) -> None:
        if not callable(fn):
            raise TypeError(f"Scan({fn!r}): give a function of the result so far and a message")
        self.fn = fn
        self.start = start

    async def main(self) -> None:
        fn, is_awaitable = self.fn, awaitable_test()
        result = self.start
        async for message in self.inbox:
            if result is Start.NOTHING:
                result = message
            else:
                result = fn(result, message)
                if is_awaitable(result):
                    result = await result
            await self.outbox.send(result)


__all__ = ["Scan"]
