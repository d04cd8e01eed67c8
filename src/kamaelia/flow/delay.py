"""Later."""

from __future__ import annotations

from collections import deque
from typing import Any

from kamaelia.axon import Cancelled, Component, EndOfMessages, Inbox, Outbox, SourceFailed, clock, sleep
from kamaelia.axon.arguments import check_positive, check_whole
from kamaelia.axon.errors import shorten


class Delay(Component):
    """Pass each message on so many seconds after it has come.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, the same in the same order, later. Each waits for itself,
    so they come out as far apart as they went in. What still waits when the inbox ends, or what feeds it
    fails, is passed on in its time; at a stop, at once.

    Arguments:
        seconds: how long a message waits
        size: how many messages may wait at a time; when there are more, senders are held back, and the time
            of a message is that at which it could be taken

    Example:
        >>> from kamaelia.flow import Delay
        >>> from kamaelia.testing import drive
        >>> with drive(Delay(2)) as delay:
        ...     delay.send("a")
        ...     delay.advance(1)
        ...     delay.send("b")
        ...     delay.advance(1)
        ...     delay.take_all()
        ['a']
    """

    holds_back = True  # on purpose: see kamaelia.observe.diagnosis

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("the same, later")

    def __init__(self, seconds: float, size: int = 1000) -> None:
        check_positive(f"Delay({shorten(seconds)})", seconds, "how many seconds a message waits")
        check_whole(f"Delay(size={shorten(size)})", size, "how many messages may wait", 1)
        self.seconds = seconds
        self.size = size

    async def main(self) -> None:
        waiting: deque[tuple[float, Any]] = deque()  # when each is due
        try:
            while True:
                await self._take_more(waiting)
                _, message = waiting.popleft()
                await self.outbox.send(message)
        except (EndOfMessages, SourceFailed):
            await self._pass_on_the_rest(waiting)
            raise

    async def _take_more(self, waiting: deque[tuple[float, Any]]) -> None:
        """Take messages until the first of those that wait is due."""
        if not waiting:
            message = await self.inbox.receive()
            waiting.append((clock() + self.seconds, message))
        due, _ = waiting[0]
        while (left := due - clock()) > 0:
            if len(waiting) >= self.size:
                await sleep(left)
                continue
            try:
                message = await self.inbox.receive(timeout=left)
            except TimeoutError:
                return
            waiting.append((clock() + self.seconds, message))

    async def _pass_on_the_rest(self, waiting: deque[tuple[float, Any]]) -> None:
        """Nothing more comes: pass on what waits, each in its time; at a stop at once."""
        for due, message in waiting:
            if not self.system.stopping:
                try:
                    await sleep(max(0.0, due - clock()))
                except Cancelled:
                    if self._axon.reason != "stop":  # which is no reason to lose what was accepted
                        raise
            await self.outbox.send(message)


__all__ = ["Delay"]
