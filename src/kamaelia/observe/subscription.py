"""Subscriptions: more than one may be told of what begins, ends, and is linked in a system.

A scheduler tells one observer (`Scheduler.observer`), and nobody at no cost. Here stands the one that tells
several. It is there while there are any, and leaves alone who has come before it or after it. Whoever puts
itself there holds `TURN` meanwhile: a watch does so on any thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from kamaelia.axon.scheduler import Scheduler

log = logging.getLogger("kamaelia")

Told = Callable[[str, Any], object]

TURN = threading.Lock()
"""Held while another observer is put before the one that is there: else one of two would be forgotten."""


class _Several:
    """An observer that tells several."""

    def __init__(self, before: Told | None) -> None:
        self.before = before
        self.told: tuple[Told, ...] = ()

    def __call__(self, what: str, subject: Any) -> None:
        if self.before is not None:
            self.before(what, subject)
        for one in self.told:
            try:
                one(what, subject)
            except Exception:  # who looks must not harm whom it looks at
                log.exception("what looks at a system has failed; it is not told of anything any more")
                self.told = tuple(other for other in self.told if other is not one)


def subscribe(scheduler: Scheduler, told: Told) -> Callable[[], None]:
    """Have something told, on the system's own thread, what begins, ends and is linked in a system.

    It is called with ``started`` or ``ended`` and a process, or ``linked`` or ``unlinked`` and a link.
    Returns what ends that. To be called on the thread of the system.
    """
    with TURN:
        several = scheduler.observer
        if not isinstance(several, _Several):
            several = _Several(several)
            scheduler.observer = several
    several.told = (*several.told, told)

    def unsubscribe() -> None:
        several.told = tuple(one for one in several.told if one is not told)
        with TURN:
            if not several.told and scheduler.observer is several:
                scheduler.observer = several.before

    return unsubscribe
