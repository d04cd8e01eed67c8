"""Looking at a system for as long as somebody wants to know something about it, and no longer.

While a client is connected its system is looked at all the time, as `kamaelia.observe.watch` says; what is
known about late is then at hand at once. When the last has gone the looking goes on for a while, in case that
one comes back; after that it costs nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from kamaelia.axon.clock import monotonic, thread_time

from .. import diagnosis
from ..watch import SAMPLE_EVERY, watch_of
from .frames import Ledger

if TYPE_CHECKING:
    from kamaelia.axon import System

    from ..diagnosis import Diagnosis
    from ..snapshot import Snapshot

T = TypeVar("T")

log = logging.getLogger("kamaelia")

LINGER = 5.0  # seconds that a system is looked at after the last who wanted to know something
DIAGNOSE_EVERY = 1.0  # seconds between two diagnoses for those who watch, at least
SHARE = 0.005  # of a core that diagnoses may take
BUSY = 0.02  # of a core that our thread may take in all, where passes and what is sent of them are the most
ATTEMPTS = 5  # to look at what may change meanwhile
FRESH = 0.05  # seconds for which a pass is as good as a new one
SENT = 0.00015  # seconds that a frame costs that is sent to one: two threads change places
OLD = 1.0  # seconds after which a pass is made in any case


def again(work: Callable[[], T]) -> T:
    """Look at something, again if that has failed: it may have changed in the midst of it."""
    for _ in range(ATTEMPTS - 1):
        try:
            return work()
        except Exception as error:  # such as an index that was right when the length was asked for
            log.debug("looked in vain, and look again: %r", error)
    return work()


class Looker:
    """Looks at one system; all of it is called on the thread of the socket."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.watch = watch_of(system)
        self.ledger = Ledger(self.watch)
        self.users = 0
        """How many clients and streams want it to be looked at."""
        self.since = 0.0
        """When the looking began, or went on after a pause."""
        self._until = 0.0
        self._worked = 0.0  # seconds that our thread had worked when the last pass began
        self._sent = 0  # frames of that pass
        self._next_sample = self._next_look = self._next_diagnosis = 0.0

    @property
    def is_looking(self) -> bool:
        """Whether the system is looked at now."""
        return self.watch.is_sampled

    def want(self) -> None:
        """Somebody wants to know something about the system: look at it, for a while at least."""
        now = monotonic()
        self._until = now + LINGER
        if not self.watch.is_sampled:
            self.watch.is_sampled = True
            self.watch.resume()
            self.ledger.resume()
            self.since = self._next_sample = self._next_look = now
            self._next_diagnosis = now + diagnosis.LOOKED

    def tick(self, now: float) -> None:
        """Do what is due."""
        if not self.watch.is_sampled:
            return
        if self.users:
            self._until = now + LINGER
        elif now >= self._until:
            self.stop()
            return
        if now >= self._next_sample:
            again(self.watch.sample)
            self._next_sample = now + SAMPLE_EVERY
        if now >= self._next_look:
            self._next_look = now + again(self.watch.look)

    def next_due(self) -> float | None:
        """Return when `tick` has something to do next; None for never."""
        return self._next_sample if self.watch.is_sampled else None

    def stop(self) -> None:
        """Look no more, until somebody wants it again."""
        self.watch.is_sampled = False
        self.watch.stuck = None

    def frame(self, seen: int) -> tuple[bytes, int]:
        """Return what is new to who has seen some pass, and the number of the pass that this is.

        That is the same if it is too early for another: the more it takes to make frames, and to send them to
        all who watch, the fewer there are, but for one a second.
        """
        now, worked = monotonic(), thread_time()
        cost = worked - self._worked + self._sent * SENT
        if now - self.ledger.made >= min(OLD, max(FRESH, cost / BUSY)):
            self._worked, self._sent = worked, 0
            if now >= self._next_diagnosis:
                self.ledger.note(self.diagnose())
            again(self.ledger.advance)
        if seen != self.ledger.number:
            self._sent += 1
        return self.ledger.since(seen), self.ledger.number

    def snapshot(self) -> Snapshot:
        """Take a snapshot, with times and rates."""
        return again(self.watch.snapshot)

    def diagnose(self) -> Diagnosis:
        """Say what holds the system up."""
        began = thread_time()
        found = again(lambda: diagnosis.find(self.watch))
        cost = thread_time() - began
        self._next_diagnosis = monotonic() + max(DIAGNOSE_EVERY, cost / SHARE)
        return found
