"""A seat: a place in a chassis that one component after another takes.

Boxes, the queue and the links belong to the seat, not to its occupant. An occupant's inbox (of a chassis, the
innermost inbox that its boundary leads to) reads from the seat's queue; so the next occupant goes on where
the last one stopped, and who sends to the seat notices nothing. The outboxes of the seat stay open in
between.

The message that an occupant is working on when it fails is not given to the next one: it goes with the
failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import lifecycle, postman
from .box import Box
from .component import Component, as_part, make
from .errors import UsageError
from .graph import Chassis
from .inbox import Inbox
from .outbox import Outbox


class Seat(Chassis):
    """A place that one component after another takes, all of the same kind.

    Arguments:
        pattern: what the first occupant is made of (see `make`); the seat gets boxes like its
        on_vacant: called with the occupant that has ended and its failure (or None); it may `fill` the seat
            again, otherwise the seat ends

    Example:
        >>> from kamaelia import component, run
        >>> from kamaelia.axon import Seat
        >>> from kamaelia.flow import Collect, Source
        >>> @component
        ... async def pair(inbox, outbox):
        ...     await outbox.send((await inbox.receive(), await inbox.receive()))
        >>> seat = Seat(pair, on_vacant=lambda occupant, failure: seat.fill(pair))
        >>> run(Source([1, 2, 3, 4]) | seat | Collect())
        [(1, 2), (3, 4)]
    """

    def __init__(
        self,
        pattern: Any,
        on_vacant: Callable[[Component, lifecycle.Failure | None], object] | None = None,
    ) -> None:
        self._on_vacant = on_vacant
        hand: list[Any] = []
        first = as_part(pattern) if not isinstance(pattern, Component) else pattern
        if first._axon.parent is not None:
            first = make(first)
        for name, box in first._axon.boxes.items():
            if name == "failures":
                continue
            own = self.boundary(name, box, inward=box.is_inbox)
            if isinstance(own, Inbox) and isinstance(box, Inbox):
                own.resize(f"{box.size} B" if box.in_bytes else box.size)
                own.keeps_queue = True
                own.queue.hand = hand
            else:
                own.own = False
                own.holds += 1  # stays open between two occupants
        self._sit(first)

    def fill(self, pattern: Any) -> Component:
        """Let another component take the seat; it starts at once. Returns the component.

        Raises `UsageError` while somebody sits there, and when nothing is left to do: every inbox of
        the seat has ended and holds no message, or all who read its outboxes have gone.
        """
        if self._axon.children:
            raise UsageError(f"{self._axon.path} is taken by {next(iter(self._axon.children)).name}")
        if not self.has_work():
            why = "every reader has gone" if self._is_fed() else "its inbox has ended with nothing left"
            raise UsageError(f"{self._axon.path} is not filled again: {why}")
        occupant = make(pattern)
        self._sit(occupant)
        return occupant

    def has_work(self) -> bool:
        """Say whether another occupant would have anything to do: an inbox that is open, or holds a
        message, and somebody for whom to do it."""
        return self._is_fed() and not self._is_lost()

    def _is_fed(self) -> bool:
        inboxes = self._axon.inboxes
        return not inboxes or any(not box.ended or len(box.queue) for box in inboxes)

    def _is_lost(self) -> bool:
        """Say whether the last reader has gone: who sat here then was told so, the next one would not be."""
        required = [box for box in self._axon.outboxes if not box.optional]
        return any(box.lost for box in required) and not any(postman.has_reader(box) for box in required)

    def _sit(self, occupant: Component) -> None:
        process = self._axon
        process.vacant = False
        lifecycle.add_child(process, occupant._axon, isolated=self._on_vacant is not None)
        for name, box in process.boxes.items():
            other: Box[Any] | None = occupant._axon.boxes.get(name)
            if other is None or (not box.is_inbox and box.ended):
                continue
            if box.is_inbox:
                postman.link(box, other)
            elif isinstance(other, Outbox):
                postman.link(other, box)

    def _child_over(self, child: Component, failure: lifecycle.Failure | None) -> None:
        process = self._axon
        # Whoever cancels the seat means the place; so does Axon when it cancels who sits there.
        cancelled = process.cancels > 0 or child._axon.reason is not None
        if self._on_vacant is not None and not cancelled and not process.failing:
            process.vacant = True  # it does not end while `on_vacant` decides
            try:
                if self.has_work():
                    self._on_vacant(child, failure)
            finally:
                if not process.children:
                    process.vacant = False
        if not process.children:
            self.vacate()

    def vacate(self) -> None:
        """Let the seat end: nobody will take it any more."""
        process = self._axon
        process.vacant = False
        for outbox in process.outboxes:
            if outbox.holds:
                outbox.holds -= 1
                postman.end_if_unfed(outbox)
        lifecycle.complete_if_over(process)
