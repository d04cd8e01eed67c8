"""Messages of several streams that belong together by something in them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from kamaelia.axon import Component, Inbox, Outbox, SourceFailed, select
from kamaelia.axon.arguments import check_box_names, check_whole
from kamaelia.axon.errors import shorten

_MISSING: Any = object()


class Collate(Component):
    """Put messages of several inboxes together that have the same key.

    Where `Zip` goes by the order of messages, this goes by what is in them: the number of a frame, the
    question that an answer is to. They may come in any order, and some need not come at all.

    Inboxes: those that are named, anything. Outbox: ``outbox``, tuples with one message of each inbox, in the
    order of the names, as soon as the last of them has come. ``unmatched``, the same with None in place of
    what is missing: when more than ``keep`` wait the oldest goes there, and at the end, or at a failure of
    what feeds it, all do. It is optional; how many there were is counted in `given_up`. It ends when all its
    inboxes have.

    Arguments:
        names: of the inboxes, two or more
        key: what messages that belong together have in common: a function of a message that returns something
            hashable, or a function for each inbox, by its name
        keep: how many incomplete ones may wait

    Example:
        >>> from operator import itemgetter
        >>> from kamaelia import Graphline, run
        >>> from kamaelia.flow import Collate, Collect, Source
        >>> asked, answered = Source([(1, "1 + 1"), (2, "2 * 3")]), Source([(2, 6), (1, 2)])
        >>> both, collect = Collate("question", "answer", key=itemgetter(0)), Collect()
        >>> run(
        ...     Graphline(
        ...         asked.outbox >> both.question,
        ...         answered.outbox >> both.answer,
        ...         both.outbox >> collect.inbox,
        ...     )
        ... )
        >>> collect.messages
        [((2, '2 * 3'), (2, 6)), ((1, '1 + 1'), (1, 2))]
    """

    inbox = None
    outbox = Outbox[tuple[Any, ...]]("messages that belong together, one of each inbox")
    unmatched = Outbox[tuple[Any, ...]](
        "those that were given up, with None for what is missing", optional=True
    )

    def __init__(
        self,
        *names: str,
        key: Callable[[Any], Hashable] | dict[str, Callable[[Any], Hashable]],
        keep: int = 1000,
    ) -> None:
        check_box_names(self, names, "the names of its inboxes", 2)
        check_whole(f"Collate(keep={shorten(keep)})", keep, "how many may wait", 1)
        keys = key if isinstance(key, dict) else dict.fromkeys(names, key)
        if set(keys) != set(names) or not all(map(callable, keys.values())):
            raise TypeError(
                f"Collate(key={shorten(key)}): give a function of a message, or a dict of one for each inbox"
            )
        self.keep = keep
        self._inboxes = [self.add_box(name, Inbox[Any](f"messages from {name}")) for name in names]
        self._keys = [keys[name] for name in names]
        self._waiting: dict[Hashable, list[list[Any]]] = {}  # the oldest key first
        self._count = 0
        self.given_up = 0
        """How many were never complete."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Inbox[Any]: ...

    async def main(self) -> None:
        places = {box: place for place, box in enumerate(self._inboxes)}
        try:
            async for box, message in select(*self._inboxes):
                await self._add(places[box], message)
        except SourceFailed:
            await self._give_up(self._count)
            raise
        await self._give_up(self._count)

    async def _add(self, place: int, message: Any) -> None:
        key = self._keys[place](message)
        waiting = self._waiting.setdefault(key, [])
        found = next((one for one in waiting if one[place] is _MISSING), None)
        if found is None:
            found = [_MISSING] * len(self._inboxes)
            waiting.append(found)
            self._count += 1
        found[place] = message
        if all(one is not _MISSING for one in found):
            self._forget(key, found)
            await self.outbox.send(tuple(found))
        await self._give_up(self._count - self.keep)

    async def _give_up(self, count: int) -> None:
        """Give up the oldest of those that are incomplete, so many."""
        for _ in range(count):
            key, (oldest, *_) = next(iter(self._waiting.items()))
            self._forget(key, oldest)
            self.given_up += 1
            await self.unmatched.send(tuple([None if one is _MISSING else one for one in oldest]))

    def _forget(self, key: Hashable, found: list[Any]) -> None:
        waiting = self._waiting[key]
        waiting[:] = [one for one in waiting if one is not found]
        self._count -= 1
        if not waiting:
            del self._waiting[key]


__all__ = ["Collate"]
