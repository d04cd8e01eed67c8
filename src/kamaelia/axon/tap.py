"""Taps: looking at what passes a link or a box, without being part of the system.

A tap gets the same objects as the readers, each with its time, and at last the end. It never counts as a
reader, so it keeps nobody waiting and nobody alive. By default it is lossy: it keeps the newest ``size``
messages that have not been looked at, and counts what it dropped. An error in a tap's callback is logged and
ends that tap alone.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .box import Box
    from .link import Link

log = logging.getLogger("kamaelia")

LOOK = "look at"
"""The verb of a `Wait` for what will be tapped; ``where[0].end()`` ends it. At rest Axon calls that: who only
looks on keeps nobody from ending, and is in no deadlock."""


@dataclass(frozen=True)
class Tapped:
    """One message that a tap has seen."""

    time: float
    """When it was sent, on the clock of the system."""
    message: Any
    """The message itself, the same object that the readers get."""
    place: Box[Any] | Link | None = field(default=None, compare=False, repr=False)
    """The box or link that it passed."""


class Tap:
    """What `postman.tap` returns: iterate it to take what has passed since.

    Arguments:
        place: the link or box that is tapped
        size: how many messages it keeps; None keeps all (then nothing is lost, and memory is not bounded)
        callback: called with each `Tapped` at once, instead of keeping it
        on_end: called once when nothing more will pass, with the failure that it ended with, or None
    """

    def __init__(
        self,
        place: Box[Any] | Link,
        size: int | None = 1000,
        callback: Callable[[Tapped], object] | None = None,
        on_end: Callable[[BaseException | None], object] | None = None,
    ) -> None:
        self.place = place
        self.size = size
        self.dropped = 0
        """Messages that were dropped because nobody had looked at them in time."""
        self.ended = False
        """Whether nothing more will pass here."""
        self.failure: BaseException | None = None
        """Why it ended, if that was a failure."""
        self._callback = callback
        self._on_end = on_end
        self._kept: deque[Tapped] = deque()

    def __iter__(self) -> Iterator[Tapped]:
        while self._kept:
            yield self._kept.popleft()

    def __len__(self) -> int:
        return len(self._kept)

    def record(self, message: Any, time: float) -> None:
        """Take note of a message."""
        if self.ended:
            return
        seen = Tapped(time, message, self.place)
        if self._callback is not None:
            try:
                self._callback(seen)
            except Exception:  # a tap fails alone: whoever is tapped must not notice
                log.exception("the callback of the tap on %s failed; the tap is taken away", self.place)
                self.finish(None)
            return
        if self.size is not None and len(self._kept) >= self.size:
            self._kept.popleft()
            self.dropped += 1
        self._kept.append(seen)

    def finish(self, failure: BaseException | None) -> None:
        """Take note of the end."""
        if not self.ended:
            self.ended = True
            self.failure = failure
            if self._on_end is not None:
                try:
                    self._on_end(failure)
                except Exception:
                    log.exception("what was to be told of the end of the tap on %s failed", self.place)
