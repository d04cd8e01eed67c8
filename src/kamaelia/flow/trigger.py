"""Something each time that anything arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox

from .awaiting import awaitable_test


class Trigger(Component):
    """Call a function each time that anything arrives, and send what it returns.

    Inbox: ``inbox``, anything; what it is does not matter. Outbox: ``outbox``, what the function returns.
    Where the message matters, use `Map`. An exception of the function is a failure of the component.

    Arguments:
        fn: a plain or an ``async`` function without arguments. ``iter(things).__next__`` hands out one thing
            after the other; when it has none left (`StopIteration`), the component ends.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Interval, Trigger
        >>> from kamaelia.axon import VirtualLoop
        >>> slides = iter(["welcome", "agenda", "questions"])
        >>> run(Interval(60) | Trigger(slides.__next__) | Collect(), loop_factory=VirtualLoop)
        ['welcome', 'agenda', 'questions']
    """

    inbox = Inbox[Any]("each message is a request")
    outbox = Outbox[Any]("what the function returns")

    def __init__(self, fn: Callable[[], Any]) -> None:
        if not callable(fn):
            raise TypeError(f"Trigger({fn!r}): give a function without arguments, such as lambda: {fn!r}")
        self.fn = fn

    async def main(self) -> None:
        is_awaitable = awaitable_test()
        async for _ in self.inbox:
            try:
                result = self.fn()
                if is_awaitable(result):
                    result = await result
            except (StopIteration, StopAsyncIteration):
                return
            await self.outbox.send(result)


__all__ = ["Trigger"]
