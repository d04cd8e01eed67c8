"""Each message goes its own way: by what is in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kamaelia.axon import BrokenLink, Component, Inbox, Outbox, UsageError
from kamaelia.axon.arguments import check_box_names
from kamaelia.axon.errors import shorten, suggestion


class Dispatch(Component):
    """Send each message through one of several outboxes, which a function of it picks.

    Inbox: ``inbox``, anything. Outboxes: those that are named, the same, each in the order in which it came.
    There is no ``outbox``, unless one is given that name.

    Ending: it ends when its inbox does, or when nobody listens to any of its outboxes any more; what goes to
    one whose reader has gone is counted in `undelivered`. Failure: a function that fails, or names no outbox,
    is a failure of the component. Stop: it passes on what it was sent. Back-pressure: a message that waits
    for a slow reader holds up those behind it, also for other readers. It holds nothing open.

    Arguments:
        fn: a plain function of a message that returns the name of an outbox
        names: of the outboxes, one or more
        other: the name of one more outbox, for messages for which the function returns anything else

    Example:
        >>> from kamaelia import Graphline, run
        >>> from kamaelia.chassis import Dispatch
        >>> from kamaelia.flow import Collect, Source
        >>> numbers, even, rest = Source(range(5)), Collect(), Collect()
        >>> dispatch = Dispatch(lambda n: "even" if n % 2 == 0 else None, "even", other="rest")
        >>> run(
        ...     Graphline(
        ...         numbers.outbox >> dispatch.inbox,
        ...         dispatch.even >> even.inbox,
        ...         dispatch.rest >> rest.inbox,
        ...     )
        ... )
        >>> even.messages, rest.messages
        ([0, 2, 4], [1, 3])
    """

    inbox = Inbox[Any]("messages")
    outbox = None

    def __init__(self, fn: Callable[[Any], Any], *names: str, other: str | None = None) -> None:
        if not callable(fn):
            raise TypeError(f"Dispatch({shorten(fn)}): give a function of a message")
        every = names if other is None else (*names, other)
        check_box_names(self, every, "the names of its outboxes", 1)
        self.fn = fn
        self._outboxes = {name: self.add_box(name, Outbox[Any](f"messages for {name}")) for name in every}
        self._other = None if other is None else self._outboxes[other]
        self.undelivered = 0
        """Messages for an outbox whose reader had gone."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Outbox[Any]: ...

    async def main(self) -> None:
        fn, outboxes = self.fn, self._outboxes
        async for message in self.inbox:
            name = fn(message)
            outbox = outboxes.get(name) if isinstance(name, str) else None
            outbox = self._other if outbox is None else outbox
            if outbox is None:
                raise UsageError(
                    f"{self.path} has no outbox {shorten(name)}, which was picked for {shorten(message)}: "
                    f"{suggestion(str(name), outboxes)} (For all others, name one with other=.)"
                )
            try:
                await outbox.send(message)
            except BrokenLink as error:
                if error.owner is not self._axon:
                    raise
                self.undelivered += 1


__all__ = ["Dispatch"]
