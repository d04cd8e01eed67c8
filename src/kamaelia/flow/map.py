"""A function of each message."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from kamaelia.axon import Component, Inbox, KamaeliaError, Outbox
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten

from .awaiting import awaitable_test


class Map(Component):
    """Apply a function to each message, and send on what it returns, also None.

    Inbox: ``inbox``, what the function takes. Outbox: ``outbox``, what it returns. An exception of the
    function is a failure of the component, and so is it when what it awaits was cancelled by somebody else.

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
        what = f"Map(concurrency={shorten(concurrency)})"
        check_whole(what, concurrency, "how many messages to work on at a time", 1)
        self.fn = fn
        self.concurrency = concurrency
        self.ordered = ordered

    async def main(self) -> None:
        if self.concurrency > 1:
            await self._several_at_a_time()
            return
        fn, is_awaitable = self.fn, awaitable_test()
        async for message in self.inbox:
            result = fn(message)
            if is_awaitable(result):
                result = await result
            await self.outbox.send(result)

    async def _several_at_a_time(self) -> None:
        free = asyncio.Semaphore(self.concurrency)
        before: asyncio.Event | None = None  # set when the result of the message before has been sent
        self._ending = False  # something has failed or stopped it, so what is under way is cancelled
        async with asyncio.TaskGroup() as group:
            try:
                await free.acquire()
                async for message in self.inbox:
                    sent = asyncio.Event()
                    # Called here, so a plain function sees the messages in order, one at a time.
                    result = self.fn(message)
                    task = group.create_task(self._send_result(result, before, sent, free))
                    if inspect.iscoroutine(result):
                        # Cancelled before its first step, the task never awaits it: no warning about that.
                        task.add_done_callback(functools.partial(_close, result))
                    before = sent
                    await free.acquire()
                # Waiting for the last of them is not left to the group: then this is where a stop is noticed.
                for _ in range(self.concurrency - 1):
                    await free.acquire()
            except BaseException:
                self._ending = True
                raise

    async def _send_result(
        self,
        result: Any | Awaitable[Any],
        before: asyncio.Event | None,
        sent: asyncio.Event,
        free: asyncio.Semaphore,
    ) -> None:
        try:
            if inspect.isawaitable(result):
                result = await result
            if self.ordered and before is not None:
                await before.wait()
            await self.outbox.send(result)
        except asyncio.CancelledError as error:
            if self._ending:
                raise
            self._ending = True
            # To the group one who was cancelled is one who is done, and the message would be lost; it is a
            # failure, as it is when messages are worked on one at a time.
            raise KamaeliaError(
                f"{self.path} was cancelled, but nobody had asked for it: something that it awaited was "
                "cancelled"
            ) from error
        except BaseException:
            self._ending = True
            raise
        # Only now: after a failure nothing further is to be sent, nor to be taken from the inbox.
        sent.set()
        free.release()


def _close(result: Coroutine[Any, Any, Any], task: object) -> None:
    result.close()


__all__ = ["Map"]
