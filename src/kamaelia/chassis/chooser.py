"""Steps through a row of things, forwards and backwards, as it is told."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.errors import shorten, suggestion

log = logging.getLogger("kamaelia")

STEPS = ("next", "previous", "same", "first", "last")


class Chooser(Component):
    """Send one of several items for each message, which says which: the slides of a talk, a playlist.

    Inbox: ``inbox``, ``"next"``, ``"previous"``, ``"same"``, ``"first"``, ``"last"``, or a number, from 0, or
    from the end when it is less. Before the first message it stands before the first item. Outbox:
    ``outbox``, the items. What it is told and does not understand is refused: it is logged, counted in
    `refused`, and changes nothing; so too a number for which there is no item.

    Together with a `Carousel` it makes a playlist: the carousel asks for the ``"next"`` one.

    Ending: it ends when its inbox does, or beyond the last item, see ``beyond``. Failure: when what feeds it
    fails, so has what it sends. Stop: it answers what it was sent. Back-pressure: who tells it is held back
    by its reader. It holds nothing open.

    Arguments:
        items: what to choose from: a list or another sequence. Of another iterable, such as a generator, only
            the next one is made at a time, and it understands just ``"next"`` and ``"same"``.
        beyond: what ``"next"`` does at the last item: ``"end"``, ``"stay"`` (nothing is sent), or ``"wrap"``
            around to the first. At the first item, ``"previous"`` wraps around too, or stays.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.chassis import Chooser
        >>> from kamaelia.flow import Collect, Source
        >>> told = ["next", "next", "previous", "last", "next", "first"]
        >>> run(Source(told) | Chooser(["red", "green", "blue"], beyond="stay") | Collect())
        ['red', 'green', 'red', 'blue', 'red']
    """

    inbox = Inbox[str | int]("which one to send: 'next', 'previous', 'same', 'first', 'last', or a number")
    outbox = Outbox[Any]("the items")

    def __init__(self, items: Iterable[Any], beyond: Literal["end", "stay", "wrap"] = "end") -> None:
        given: Any = items
        if not isinstance(given, Iterable) or isinstance(given, (str, bytes)):
            raise TypeError(f"Chooser({shorten(items)}): give the items to choose from, in a list")
        if beyond not in ("end", "stay", "wrap"):
            raise ValueError(f"Chooser(beyond={beyond!r}): say 'end', 'stay' or 'wrap'")
        if beyond == "wrap" and not isinstance(items, Sequence):
            raise TypeError(f"Chooser({shorten(items)}, beyond='wrap'): only a list can begin again")
        self.items = items
        self.beyond = beyond
        self.place = -1
        """Which item was sent last, from 0; -1 before the first."""
        self.refused = 0
        """Messages that were not understood."""

    async def main(self) -> None:
        if isinstance(self.items, Sequence):
            await self._choose(self.items)
        else:
            await self._step(self.items)

    async def _choose(self, items: Sequence[Any]) -> None:
        async for told in self.inbox:
            place = self._place_of(told, len(items))
            if place is None:
                self._refuse(told, STEPS)
            elif 0 <= place < len(items):
                self.place = place
                await self.outbox.send(items[place])
            elif self.beyond == "wrap" and items:
                self.place = place % len(items)
                await self.outbox.send(items[self.place])
            elif self.beyond == "end" and place >= len(items):
                return

    def _place_of(self, told: Any, count: int) -> int | None:
        """Return the place that is meant, perhaps one beyond the items; None where there is no such."""
        if isinstance(told, int) and not isinstance(told, bool):
            place = told if told >= 0 else count + told
            return place if 0 <= place < count else None
        places = {
            "next": self.place + 1,
            "previous": max(self.place, 0) - 1,
            "same": max(self.place, 0),
            "first": 0,
            "last": count - 1,
        }
        return places.get(told) if isinstance(told, str) else None

    async def _step(self, items: Iterable[Any]) -> None:
        iterator = iter(items)
        item: Any = None
        async for told in self.inbox:
            if told == "next" or (told == "same" and self.place < 0):
                try:
                    item = next(iterator)
                except StopIteration:
                    if self.beyond == "end":
                        return
                    continue
                self.place += 1
            elif told != "same":
                self._refuse(told, ("next", "same"))
                continue
            await self.outbox.send(item)

    def _refuse(self, told: Any, known: tuple[str, ...]) -> None:
        self.refused += 1
        log.warning("%s: there is no item %s; %s", self.path, shorten(told), suggestion(str(told), known))


__all__ = ["Chooser"]
