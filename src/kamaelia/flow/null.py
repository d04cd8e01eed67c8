"""The end of a pipeline: nothing."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, Inbox


class Null(Component):
    """Take every message and forget it.

    Inbox: ``inbox``, anything. There is no outbox. It ends when its inbox does, and never holds anybody up.

    An outbox that is not linked discards what is sent there, too, but a server or a simulated host may want
    something at the end; and here `run` does not say that results went nowhere.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Map, Null, Source
        >>> run(Source(["one", "two"]) | Map(print) | Null())
        one
        two
    """

    inbox = Inbox[Any]("what to forget")
    outbox = None

    async def main(self) -> None:
        async for _ in self.inbox:
            pass


__all__ = ["Null"]
