"""A function of each message."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox


class Map(Component):
    """Apply a function to each message, and send on what it returns, also None.

    Inbox: ``inbox``, what the function takes. Outbox: ``outbox``, what it returns. An exception of the
    function is a failure of the component.

    A plain function is called on the loop's thread, so it should be quick; what blocks belongs into a
    script, or into an ``async`` function with `asyncio.to_thread`.

    Arguments:
        fn: a plain or an ``async`` function of one message
        concurrency: how many messages an ``async`` function may work on at the same time. No more than these
            are taken from the inbox, so senders are held back as ever.
        ordered: with ``concurrency``, send results in the order of the messages; if not, as they are ready

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> run(Source([1, 2, 3]) | Map(lambda n: n * n) | Collect())
        [1, 4, 9]
    """

    inbox = Inbox[Any]("what the function takes")
    outbox = Outbox[Any]("what it returns")

    def __init__(self, fn: Callable[[Any], Any], concurrency: int = 1, ordered: bool = True) -> None:
        if not callable(fn):
            raise TypeError(f"Map({fn!r}): give a function of one message")
        if concurrency < 1:
            raise ValueError(f"Map(concurrency={concurrency!r}): at least 1 message is worked on at a time")
        self.fn = fn
        self.concurrency = concurrency
        self.ordered = ordered

    async def main(self) -> None:
        if self.concurrency > 1:
            await self._several_at_a_time()
            return
        async for message in self.inbox:
            result = self.fn(message)
            if inspect.isawaitable(result):
                result = await result
            await self.outbox.send(result)

    async def _several_at_a_time(self) -> None:
        free = asyncio.Semaphore(self.concurrency)
        before: asyncio.Event | None = None  # set when the result of the message before has been sent
        async with asyncio.TaskGroup() as group:
            await free.acquire()
            async for message in self.inbox:
                sent = asyncio.Event()
                # Called here, so a plain function sees the messages in order, one at a time.
                group.create_task(self._send_result(self.fn(message), before, sent, free))
                before = sent
                await free.acquire()

    async def _send_result(
        self,
        result: Any | Awaitable[Any],
        before: asyncio.Event | None,
        sent: asyncio.Event,
        free: asyncio.Semaphore,
    ) -> None:
        if inspect.isawaitable(result):
            result = await result
        if self.ordered and before is not None:
            await before.wait()
        await self.outbox.send(result)
        sent.set()
        free.release()


__all__ = ["Map"]
