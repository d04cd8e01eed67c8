"""Several messages as one."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, EndOfMessages, Inbox, Outbox, SourceFailed, clock
from kamaelia.axon.arguments import check_positive, check_whole
from kamaelia.axon.errors import shorten


class Batch(Component):
    """Send so many messages at a time, as a tuple.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, tuples of ``size`` messages. The last may be shorter: what
    has come is passed on when the inbox ends, and also when what feeds it fails.

    Arguments:
        size: how many messages to a batch
        seconds: send what there is when its first message has waited so long, however few; if it is not
            given, a batch waits until it is full

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Batch, Collect, Source
        >>> run(Source(range(5)) | Batch(2) | Collect())
        [(0, 1), (2, 3), (4,)]
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[tuple[Any, ...]]("several at a time")

    def __init__(self, size: int, seconds: float | None = None) -> None:
        check_whole(f"Batch({shorten(size)})", size, "how many messages to a batch", 1)
        if seconds is not None:
            check_positive(f"Batch(seconds={shorten(seconds)})", seconds, "how long a message may wait")
        self.size = size
        self.seconds = seconds

    async def main(self) -> None:
        batch: list[Any] = []
        try:
            while True:
                batch.append(await self.inbox.receive())
                await self._fill(batch)
                full, batch = tuple(batch), []
                await self.outbox.send(full)
        except (EndOfMessages, SourceFailed):
            if batch:
                await self.outbox.send(tuple(batch))
            raise

    async def _fill(self, batch: list[Any]) -> None:
        """Add messages to a batch until it is full, or its first one has waited long enough."""
        receive = self.inbox.receive
        if self.seconds is None:
            for _ in range(self.size - 1):
                batch.append(await receive())
            return
        due = clock() + self.seconds
        waiting = self.inbox.queue.__len__
        while len(batch) < self.size:
            if waiting():
                batch.append(await receive())
                continue
            # Only now a timer is worth its price.
            try:
                batch.append(await receive(timeout=max(0.0, due - clock())))
            except TimeoutError:
                return


__all__ = ["Batch"]
