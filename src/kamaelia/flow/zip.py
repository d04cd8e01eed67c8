"""Messages of several streams that belong together by their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kamaelia.axon import Component, Inbox, Outbox, select
from kamaelia.axon.arguments import check_box_names


class Zip(Component):
    """Put the first messages of several inboxes together, then the second ones, and so on.

    Inboxes: those that are named, anything. Outbox: ``outbox``, tuples with one message of each, in the order
    of the names. No more than one message is taken before the others have come, so a stream that is ahead is
    held back. It ends when one of its inboxes has: a message for which no other came is then counted in
    `unpaired`. When what feeds one of them fails, so has what this sends.

    Arguments:
        names: of the inboxes, two or more

    Example:
        >>> from kamaelia import Graphline, run
        >>> from kamaelia.flow import Collect, Source, Zip
        >>> numbers, letters, both, collect = Source([1, 2, 3]), Source("ab"), Zip("left", "right"), Collect()
        >>> run(
        ...     Graphline(
        ...         numbers.outbox >> both.left,
        ...         letters.outbox >> both.right,
        ...         both.outbox >> collect.inbox,
        ...     )
        ... )
        >>> collect.messages
        [(1, 'a'), (2, 'b')]
    """

    inbox = None
    outbox = Outbox[tuple[Any, ...]]("one message of each inbox")

    def __init__(self, *names: str) -> None:
        check_box_names(self, names, "the names of its inboxes", 2)
        self._inboxes = [self.add_box(name, Inbox[Any](f"messages from {name}")) for name in names]
        self.unpaired = 0
        """Messages that were taken, and for which no other came."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Inbox[Any]: ...

    async def main(self) -> None:
        taken: dict[Inbox[Any], Any] = {}
        try:
            while True:
                while missing := [box for box in self._inboxes if box not in taken]:
                    box, message = await select(*missing, until=missing)
                    taken[box] = message
                together = tuple([taken[box] for box in self._inboxes])
                taken.clear()
                await self.outbox.send(together)
        finally:
            self.unpaired += len(taken)


__all__ = ["Zip"]
