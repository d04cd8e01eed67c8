"""A side branch."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, Inbox, LinkError, Outbox, WhenFull, as_part
from kamaelia.axon.errors import shorten


class Tee(Component):
    """Pass messages on, and give them to another part as well.

    ``a | Tee(b) | c`` is for what would else take a `Graphline`: what a sends goes to b and to c. The other
    part is a child of the tee, and what it sends goes nowhere unless it sees to that itself, as `PublishTo`
    and a file writer do.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, the same. Both branches get each message at the same time,
    and the slower one sets the pace, unless ``when_full`` says otherwise. When one branch ends the other goes
    on; when nobody listens in either, so has the tee. It is over when its inbox and the other part have
    ended. A failure of the other part is one of the tee. What feeds it fails for both.

    Arguments:
        part: the other part: anything with an inbox
        when_full: what happens when the other part does not keep up: ``"wait"``, ``"drop-oldest"`` or
            ``"drop-newest"``, which it alone then misses, and which is counted

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Count, Source, Tee
        >>> count = Count()
        >>> run(Source("abc") | Tee(count) | Collect()), count.count
        (['a', 'b', 'c'], 3)
    """

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("the same")

    def __init__(self, part: Any, *, when_full: WhenFull = "wait") -> None:
        self.part = as_part(part)
        """The other part."""
        side = self.part._axon.boxes.get("inbox")
        if side is None:
            raise LinkError(f"Tee({shorten(part)}): it has no inbox, so nothing can be given to it")
        self.add(self.part)
        self.link(self.outbox, side, when_full=when_full)

    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send(message)


__all__ = ["Tee"]
