"""The latest message, every so often."""

from __future__ import annotations

import math
from typing import Any

from kamaelia.axon import Component, EndOfMessages, Inbox, Outbox, SourceFailed, clock
from kamaelia.axon.arguments import check_positive
from kamaelia.axon.errors import shorten


class Sample(Component):
    """Send the latest message every so many seconds, if there has been a new one.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, the latest of each interval; the others are left out. When
    the inbox ends, or what feeds it fails, the latest is sent at once, so that the last state is known. What
    `RateLimit` holds back, this leaves out.

    Arguments:
        seconds: from one look to the next; the first is so long after the start

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.axon import VirtualLoop
        >>> from kamaelia.flow import Collect, Interval, Sample, Take
        >>> run(Interval(0.25) | Take(9) | Sample(1) | Collect(), loop_factory=VirtualLoop)
        [3, 7, 8]
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("the latest of each interval")

    def __init__(self, seconds: float) -> None:
        check_positive(f"Sample({shorten(seconds)})", seconds, "the seconds from one look to the next")
        self.seconds = seconds
        self.left_out = 0
        """Messages after which another came within the same interval."""

    async def main(self) -> None:
        start = clock()
        while True:
            latest = await self.inbox.receive()
            # The end of the interval that we are in. (What is a billionth before it is only rounding.)
            number = math.floor((clock() - start) / self.seconds + 1e-9) + 1
            due = start + number * self.seconds
            try:
                while True:
                    latest = await self.inbox.receive(timeout=max(0.0, due - clock()))
                    self.left_out += 1
            except TimeoutError:
                await self.outbox.send(latest)
            except (EndOfMessages, SourceFailed):
                await self.outbox.send(latest)
                raise


__all__ = ["Sample"]
