"""Messages with a tag, so that it can be seen later where they came from."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.errors import shorten


class Tag(Component):
    """Send each message together with a tag, as a pair.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, pairs ``(tag, message)``. `Detag` takes the tags off
    again.

    Arguments:
        tag: what comes before each message

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source, Tag
        >>> run(Source(["hello"]) | Tag("anna") | Collect())
        [('anna', 'hello')]
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[tuple[Any, Any]]("each with the tag before it")

    def __init__(self, tag: Any) -> None:
        self.tag = tag

    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send((self.tag, message))


class Detag(Component):
    """Take the tags or numbers off that `Tag` or `Number` has put before messages.

    Inbox: ``inbox``, pairs. Outbox: ``outbox``, the second of each pair. What is no pair is a failure.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Detag, Source
        >>> run(Source([("anna", "hello"), ("bert", "hi")]) | Detag() | Collect())
        ['hello', 'hi']
    """

    inbox = Inbox[tuple[Any, Any]]("pairs")
    outbox = Outbox[Any]("the second of each pair")

    async def main(self) -> None:
        async for pair in self.inbox:
            given: Any = pair
            if not isinstance(given, tuple) or len(given) != 2:
                raise TypeError(f"{self.path} takes pairs (tag, message), and this is none: {shorten(pair)}")
            await self.outbox.send(pair[1])


__all__ = ["Detag", "Tag"]
