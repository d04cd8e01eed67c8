"""Listening while an outbox has no room: for a component that must not be held up by one reader.

Who awaits a send hears nothing meanwhile. A component that has to (a client whose server has had enough, and
says so) does not send while there is no room, and is told by a message when there is: so what it waits for
are messages, and `select` is enough.
"""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, Inbox, Outbox


class Room:
    """Knows whether an outbox has room, and has `news` when it has room again.

    Arguments:
        component: whose outbox it is
        outbox: the outbox
    """

    def __init__(self, component: Component, outbox: Outbox[Any]) -> None:
        self._outbox = outbox
        self._waits = False
        self._told: Outbox[None] = component.add_box(
            f"_room in {outbox.name}", Outbox("there is room", optional=True)
        )
        self.news: Inbox[None] = component.add_box(f"_news of {outbox.name}", Inbox("there is room"))
        """Receives something when there is room again, after `is_there` has said no."""
        component.link(self._told, self.news)

    def is_there(self) -> bool:
        """Say whether a message may be sent now without waiting."""
        if not self._outbox.full:
            return True
        if not self._waits:
            self._waits = True
            self._outbox.when_ready(self._tell)
        return False

    def _tell(self) -> None:
        self._waits = False
        if not self._told.closed:
            self._told.send(None)


def is_over(box: Inbox[Any]) -> bool:
    """Say whether a box has ended with nothing left, and no failure to tell."""
    return box.ended and not box.statistics().waiting and (box.failure is None or box.failure_told)


__all__ = ["Room", "is_over"]
