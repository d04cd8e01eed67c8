"""Holds: what keeps an inbox open although nothing in the system is linked to it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from . import postman
from .errors import ClosedBox, UsageError
from .inbox import Inbox
from .link import Link, added, removed
from .outbox import Outbox

T = TypeVar("T")

_DECLARATION: Outbox[Any] = Outbox("messages from outside")


class Hold(Generic[T]):
    """Keeps an inbox open; with ``outside=True`` also the way to put messages into it from outside.

    It is what a transport, a handle, a test or a callback has in its hand. A stop of the system releases
    it; ``on_release`` is then called once, so that the outside can stop producing.

    Example:
        ``hold = self.inbox.hold(outside=True)``; then, from a callback: ``hold.send(data)``, and at last
        ``hold.release()``.
    """

    __slots__ = ("_outbox", "inbox", "on_release", "outside", "released")

    def __init__(self, inbox: Inbox[T], outside: bool) -> None:
        if inbox.ended or inbox.gone:
            what = "has been closed" if inbox.gone else "has ended, and an end is final"
            raise ClosedBox(f"{inbox} {what}: it cannot be held open any more")
        self.inbox = inbox
        self.outside = outside
        self.released = False
        self.on_release: Callable[[], object] | None = None
        self._outbox: Outbox[T] | None = None
        if outside:
            outbox: Outbox[T] = _DECLARATION.attached(inbox.owner, sys.intern(f"{inbox.name} (from outside)"))
            outbox.own = True
            self._outbox = outbox
            wire = Link(outbox, inbox)
            wire.outside = True
            inbox.count_outside(1)
            postman.make(wire)
        else:
            inbox.holds += 1
        inbox.owner.holds = added(inbox.owner.holds, self)

    def send(self, message: T) -> Awaitable[None]:
        """Put a message into the inbox, as `Outbox.send` does."""
        return self.outbox.send(message)

    def send_nowait(self, message: T) -> None:
        """Put a message into the inbox if there is room, as `Outbox.send_nowait` does."""
        self.outbox.send_nowait(message)

    @property
    def full(self) -> bool:
        """Whether whoever puts messages in should wait."""
        return self._outbox is not None and self._outbox.full

    @property
    def lost(self) -> bool:
        """Whether nobody reads the inbox any more."""
        return self._outbox is not None and self._outbox.lost

    def when_ready(self, callback: Callable[[], object]) -> None:
        """Call something once when there is room again."""
        self.outbox.when_ready(callback)

    def release(self, failure: BaseException | None = None) -> None:
        """Give the hold up; with ``failure`` the reader gets `SourceFailed`. Twice is harmless."""
        if self.released:
            return
        self.released = True
        owner = self.inbox.owner
        owner.holds = removed(owner.holds, self)
        if self._outbox is not None:
            self._outbox.close(failure)
        else:
            self.inbox.holds -= 1
            if failure is not None and not self.inbox.holds and not self.inbox.outside:
                self.inbox.failure = self.inbox.failure or failure
            postman.end_if_unfed(self.inbox)
        if self.on_release is not None:
            callback, self.on_release = self.on_release, None
            callback()

    def __enter__(self) -> Hold[T]:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.release(error)

    @property
    def outbox(self) -> Outbox[T]:
        """Through which messages come from outside."""
        if self._outbox is None:
            raise UsageError(
                f"this hold of {self.inbox} is one from inside the system: to put messages in, "
                "ask for hold(outside=True)"
            )
        return self._outbox
