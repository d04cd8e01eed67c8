"""Every so often."""

from __future__ import annotations

import math
from typing import Any

from kamaelia.axon import Component, Outbox, clock, sleep
from kamaelia.axon.arguments import check_positive
from kamaelia.axon.errors import shorten


class Interval(Component):
    """Send something every so many seconds, the first at once, for as long as anybody listens.

    Outbox: ``outbox``, 0, 1, 2, ..., or the same message again and again. There is no inbox.

    Number *n* is sent *n* intervals after the start, so small delays do not add up. When readers hold it up
    for more than an interval, it leaves out what it could not send in time: the numbers then show a gap.

    Arguments:
        seconds: from one message to the next
        message: what to send; the number, if it is not given

    Example:
        >>> from kamaelia.flow import Interval
        >>> from kamaelia.testing import drive
        >>> with drive(Interval(10)) as interval:
        ...     interval.advance(25)
        ...     interval.take_all()
        [0, 1, 2]
    """

    inbox = None
    outbox = Outbox[Any]("numbers from 0 on, or always the same message")

    def __init__(self, seconds: float, message: Any = None) -> None:
        check_positive(f"Interval({shorten(seconds)})", seconds, "the seconds between two messages")
        self.seconds = seconds
        self.message = message

    async def main(self) -> None:
        start = clock()
        number = 0
        while True:
            await self.outbox.send(number if self.message is None else self.message)
            # Usually the next number; a later one when that one's time has gone by while readers held us
            # up. (What is late by less than a billionth of an interval is only rounding.)
            due = math.ceil((clock() - start) / self.seconds - 1e-9)
            number = max(number + 1, due)
            await sleep(start + number * self.seconds - clock())


__all__ = ["Interval"]
