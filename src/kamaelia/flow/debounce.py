"""A message when it has become quiet."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, EndOfMessages, Inbox, Outbox, SourceFailed
from kamaelia.axon.arguments import check_positive
from kamaelia.axon.errors import shorten


class Debounce(Component):
    """Pass on a message when no other has come for some time; of a burst, so, only the last.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, the last message of each burst. One that still waits is
    passed on when the inbox ends, and also when what feeds it fails.

    Arguments:
        seconds: for how long it has to be quiet

    Example:
        >>> from kamaelia.flow import Debounce
        >>> from kamaelia.testing import drive
        >>> with drive(Debounce(0.5)) as search:
        ...     for typed in ("k", "ka", "kam"):
        ...         search.send(typed)
        ...         search.advance(0.1)
        ...     search.advance(0.4)
        ...     search.take_all()
        ['kam']
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("the last one of each burst")

    def __init__(self, seconds: float) -> None:
        check_positive(f"Debounce({shorten(seconds)})", seconds, "for how many seconds it has to be quiet")
        self.seconds = seconds
        self.left_out = 0
        """Messages after which another came too soon."""

    async def main(self) -> None:
        while True:
            message = await self.inbox.receive()
            try:
                while True:
                    message = await self.inbox.receive(timeout=self.seconds)
                    self.left_out += 1
            except TimeoutError:
                await self.outbox.send(message)
            except (EndOfMessages, SourceFailed):
                await self.outbox.send(message)
                raise


__all__ = ["Debounce"]
