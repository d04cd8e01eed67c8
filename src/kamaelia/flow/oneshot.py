"""A single message."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, Outbox, sleep
from kamaelia.axon.arguments import check_not_negative
from kamaelia.axon.errors import shorten


class OneShot(Component):
    """Send one message, at once or after some time, then end.

    Outbox: ``outbox``, the message. There is no inbox. While it waits it ends when nobody listens any more.

    Arguments:
        message: what to send
        after: how many seconds after the start

    Example:
        >>> from kamaelia.flow import OneShot
        >>> from kamaelia.testing import drive
        >>> with drive(OneShot("tea is ready", after=180)) as timer:
        ...     timer.advance(180)
        ...     timer.take_all()
        ['tea is ready']
    """

    inbox = None
    outbox = Outbox[Any]("the message")

    def __init__(self, message: Any, after: float = 0) -> None:
        check_not_negative(f"OneShot(after={shorten(after)})", after, "the seconds before it is sent")
        self.message = message
        self.after = after

    async def main(self) -> None:
        if self.after:
            await sleep(self.after)
        await self.outbox.send(self.message)


__all__ = ["OneShot"]
