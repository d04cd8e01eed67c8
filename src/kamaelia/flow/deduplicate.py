"""Each message once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten


class Deduplicate(Component):
    """Leave out messages that have been there before.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, each of it once. Which are the same is known of the last
    ``remember`` different ones, so memory is bounded; one that was not seen for longer passes again.

    Arguments:
        key: two messages are the same when this function of them is; without it, when they are equal. What
            it returns has to be hashable, as numbers, texts and tuples are.
        remember: of how many different messages it is known that they have been there

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Deduplicate, Source
        >>> run(Source(["to", "be", "or", "not", "to", "be"]) | Deduplicate() | Collect())
        ['to', 'be', 'or', 'not']
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("each of them once")

    def __init__(self, key: Callable[[Any], Hashable] | None = None, remember: int = 1000) -> None:
        if key is not None and not callable(key):
            raise TypeError(f"Deduplicate(key={shorten(key)}): give a function of a message")
        check_whole(
            f"Deduplicate(remember={shorten(remember)})", remember, "how many messages to know again", 1
        )
        self.key = key
        self.remember = remember
        self.left_out = 0
        """Messages that were there before."""

    async def main(self) -> None:
        seen: OrderedDict[Any, None] = OrderedDict()  # the one that was seen last is at the end
        async for message in self.inbox:
            key = message if self.key is None else self.key(message)
            try:
                known = key in seen
            except TypeError:
                raise TypeError(
                    f"{self.path} cannot know {shorten(key)} again: give Deduplicate(key=...), a function "
                    "that makes something hashable of a message"
                ) from None
            if known:
                seen.move_to_end(key)
                self.left_out += 1
                continue
            seen[key] = None
            if len(seen) > self.remember:
                seen.popitem(last=False)
            await self.outbox.send(message)


__all__ = ["Deduplicate"]
