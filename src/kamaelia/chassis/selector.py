"""One of several streams, and now another."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from kamaelia.axon import Component, Inbox, Outbox, select
from kamaelia.axon.arguments import check_box_names
from kamaelia.axon.errors import shorten, suggestion

log = logging.getLogger("kamaelia")


class Selector(Component):
    """Pass one of several streams on; a message says which.

    Inboxes: those that are named, anything; ``choose``, the name of the one that is passed on from then on.
    Outbox: ``outbox``, what comes to that one. A name that is none is refused: it is logged, counted in
    `refused`, and changes nothing.

    Ending: it ends when the chosen inbox has, and nobody can choose another any more. Failure: when what
    feeds one of them fails, so has what this sends. Stop: what was sent to the chosen inbox is passed on.
    Back-pressure: who sends to the chosen inbox is held back by the reader of the outbox; who sends to
    another waits for being chosen, or with ``others="drop"`` is never held back, as it should be for what is
    live. It holds nothing open.

    Arguments:
        names: of the inboxes, one or more; the first is chosen at the beginning
        others: what happens to messages of those that are not chosen: they ``"wait"``, or are taken and
            counted in `dropped`: ``"drop"``

    Example:
        >>> from kamaelia.chassis import Selector
        >>> from kamaelia.testing import drive
        >>> with drive(Selector("studio", "street", others="drop")) as selector:
        ...     selector.send("Good evening.", box="studio")
        ...     selector.send("wind", box="street")
        ...     selector.send("street", box="choose")
        ...     selector.send("Over to you.", box="street")
        ...     selector.take_all()
        ['Good evening.', 'Over to you.']
    """

    inbox = None
    choose = Inbox[str]("the name of the inbox to pass on")
    outbox = Outbox[Any]("what comes to the chosen inbox")

    def __init__(self, *names: str, others: Literal["wait", "drop"] = "wait") -> None:
        check_box_names(self, names, "the names of its inboxes", 1)
        if others not in ("wait", "drop"):
            raise ValueError(f"Selector(others={others!r}): say 'wait' or 'drop'")
        self.others = others
        self._inboxes = {name: self.add_box(name, Inbox[Any](f"messages from {name}")) for name in names}
        self.chosen = names[0]
        """The name of the inbox that is passed on now."""
        self.dropped = 0
        """Messages of inboxes that were not chosen."""
        self.refused = 0
        """Messages to ``choose`` that named no inbox."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Inbox[Any]: ...

    async def main(self) -> None:
        choose = self.choose
        while True:
            chosen = self._inboxes[self.chosen]
            listened = [choose, chosen]
            if self.others == "drop":
                if _is_over(choose) and _is_over(chosen):
                    return
                listened += [box for box in self._inboxes.values() if box is not chosen]
            box, message = await select(*listened)
            if box is choose:
                self._choose(message)
            elif box is chosen:
                await self.outbox.send(message)
            else:
                self.dropped += 1

    def _choose(self, name: Any) -> None:
        if name in self._inboxes:
            self.chosen = name
            return
        self.refused += 1
        log.warning("%s cannot choose %s: %s", self.path, shorten(name), suggestion(str(name), self._inboxes))


def _is_over(box: Inbox[Any]) -> bool:
    """Say whether a box has ended well, with nothing left in it."""
    return box.ended and box.failure is None and not box.statistics().waiting


__all__ = ["Selector"]
