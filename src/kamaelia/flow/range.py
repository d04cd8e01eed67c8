"""Only messages between two bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.errors import shorten


class Range(Component):
    """Pass on the messages between two bounds, and leave the others out.

    Inbox: ``inbox``, anything that can be compared with the bounds. Outbox: ``outbox``, those from ``low`` to
    ``high``, both included. What cannot be compared is a failure.

    Arguments:
        low: the least that passes; None for no such bound
        high: the most that passes; None for no such bound
        key: of a message, what is compared; without it the message itself

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Range, Source
        >>> run(Source([17, 21, 19, 30]) | Range(18, 21) | Collect())
        [21, 19]
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("those between the bounds")

    def __init__(self, low: Any = None, high: Any = None, key: Callable[[Any], Any] | None = None) -> None:
        if low is None and high is None:
            raise TypeError("Range(): give at least one bound, low or high")
        if low is not None and high is not None and high < low:
            raise ValueError(f"Range({shorten(low)}, {shorten(high)}): nothing is between these; swap them")
        if key is not None and not callable(key):
            raise TypeError(f"Range(key={shorten(key)}): give a function of a message")
        self.low = low
        self.high = high
        self.key = key
        self.left_out = 0
        """Messages outside of the bounds."""

    async def main(self) -> None:
        low, high, key = self.low, self.high, self.key
        async for message in self.inbox:
            value = message if key is None else key(message)
            if (low is None or low <= value) and (high is None or value <= high):
                await self.outbox.send(message)
            else:
                self.left_out += 1


__all__ = ["Range"]
