"""A seat: a place in a chassis that one component after another takes.

Boxes, the queue and the links belong to the seat, not to its occupant. An occupant's inbox (of a chassis, the
innermost inbox that its boundary leads to) reads from the seat's queue; so the next occupant goes on where
the last one stopped, and who sends to the seat notices nothing. The outboxes of the seat stay open in
between.

The message that an occupant is working on when it fails is not given to the next one: it goes with the
failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import lifecycle, postman
from .box import Box
from .component import Component, as_part, make
from .errors import UsageError
from .graph import Chassis
from .inbox import Inbox
from .outbox import Outbox
from .process import Process


class Seat(Chassis):
    """A place that one component after another takes.

    Arguments:
        pattern: what the first occupant is made of (see `make`); None for a seat that waits for it, see
            `keep`
        on_vacant: called with the occupant that has ended and its failure (or None); it may `fill` the seat
            again, otherwise the seat ends
        like: components whose boxes the seat gets, where these are not those of the first occupant
        isolated: an occupant that fails does not fail the seat

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
        pattern: Any = None,
        on_vacant: Callable[[Component, lifecycle.Failure | None], object] | None = None,
        *,
        like: Iterable[Component] = (),
        isolated: bool = True,
    ) -> None:
        self._on_vacant = on_vacant
        self._isolated = isolated and on_vacant is not None
        self._kept = False  # `on_vacant` has asked for the seat to wait, and not to end
        self._hand: list[Any] = []  # what its occupant has taken last
        self.occupants = 0
        """How many have sat here, one after another."""
        first = None if pattern is None else as_part(pattern)
        if first is not None and first._axon.parent is not None:
            first = make(first)
        self._furnish_like(list(like) if like else [] if first is None else [first])
        if first is None:
            self._axon.vacant = self._kept = True
        else:
            self._sit(first)

    def _furnish_like(self, components: list[Component]) -> None:
        """Get all the boxes that these components have."""
        for own, (box, *_) in self._boundaries(components, without="failures"):
            if isinstance(own, Inbox) and isinstance(box, Inbox):
                own.resize(postman.size_behind(box))  # as that will read from the seat's queue
                own.keeps_queue = True
            else:
                own.own = False
                own.holds += 1  # stays open between two occupants

    def fill(self, pattern: Any) -> Component:
        """Let another component take the seat; it starts at once. Returns the component.

        Raises `UsageError` while somebody sits there, and when nothing is left to do (see `has_work`).
        """
        if self._axon.children:
            raise UsageError(f"{self._axon.path} is taken by {next(iter(self._axon.children)).name}")
        if not self.has_work():
            if self._is_cancelled():
                why = "it was cancelled"
            elif self._is_fed():
                why = "every reader has gone"
            else:
                why = "its inbox has ended with nothing left"
            raise UsageError(f"{self._axon.path} is not filled again: {why}")
        occupant = make(pattern)
        self._sit(occupant)
        return occupant

    def keep(self) -> None:
        """Called by ``on_vacant``: let the seat wait for its next occupant, until `fill` or `vacate`.

        Meanwhile messages wait in its queue, and senders at its mark. At rest a seat that waits ends.
        """
        self._kept = True

    def has_work(self) -> bool:
        """Say whether another occupant would have anything to do: an inbox that is open, or holds a
        message, and somebody for whom to do it.

        Inboxes that were never linked do not count. Without any that were the occupant is a source, and
        always has something to do, unless the system is being stopped.
        """
        return not self._is_cancelled() and self._is_fed() and not self._is_lost()

    def _is_cancelled(self) -> bool:
        return self._axon.cancels > 0 or self._axon.reason is not None

    def _is_fed(self) -> bool:
        fed = [box for box in self._axon.inboxes if self._was_linked(box)]
        if not fed:
            return not self.has_to_hurry()
        return any(not box.ended or len(box.queue) for box in fed)

    def has_to_hurry(self) -> bool:
        """Say whether only what was accepted is to be finished: at a stop, or as something around has
        failed."""
        process: Process | None = self._axon
        if self._axon.system is not None and self._axon.system.stopping:
            return True
        while process is not None and not process.failing:
            process = process.parent
        return process is not None

    def _was_linked(self, box: Inbox[Any]) -> bool:
        # Not by what it has received: a room is linked to the inbox of the occupant that asked for it.
        return not box.ended or box.gone or len(box.queue) > 0 or postman.is_linked(box)

    def _is_lost(self) -> bool:
        """Say whether the last reader has gone: who sat here then was told so, the next one would not be."""
        required = [box for box in self._axon.outboxes if not box.optional]
        return any(box.lost for box in required) and not any(postman.has_reader(box) for box in required)

    def _sit(self, occupant: Component) -> None:
        process = self._axon
        process.vacant = False
        self.occupants += 1
        process.result_from = occupant._axon
        lifecycle.add_child(process, occupant._axon, isolated=self._isolated)
        for name, box in process.boxes.items():
            if isinstance(box, Inbox):
                box.queue.hand = self._hand
            other: Box[Any] | None = occupant._axon.boxes.get(name)
            if other is None or (not box.is_inbox and box.ended):
                continue
            if box.is_inbox:
                postman.link(box, other)
            elif isinstance(other, Outbox):
                postman.link(other, box)
        system = process.system
        if process.begun and system is not None and system.stopping and system.cancelled is None:
            lifecycle.stop(occupant._axon)  # it came too late for that: it is to finish what there is

    def _child_over(self, child: Component, failure: lifecycle.Failure | None) -> None:
        process = self._axon
        if self._on_vacant is not None and not self._means_the_seat(child) and self.has_work():
            self._kept = False
            process.vacant = True  # it does not end while `on_vacant` decides
            try:
                self._on_vacant(child, failure)
            finally:
                process.vacant = self._kept and not process.children
        if process.children or process.vacant:
            return
        # Nobody comes after this one, so its end is that of the seat; and where it has failed with work left
        # undone, or its boxes were broken, so are the seat's. A failure at the last message is none for the
        # readers, as it would be none at any other: they have got everything else.
        if failure is not None:
            self.vacate(failure.error if self.has_work() else None)
        else:
            self._end({name: box.failure for name, box in child._axon.boxes.items()}.get)

    def _means_the_seat(self, child: Component) -> bool:
        """Say whether Axon has cancelled who sat here, and with that means the place. (What has failed from
        within has been cancelled as well, in the end; but by itself.)"""
        return self._axon.failing or (child._axon.reason is not None and not child._axon.failing)

    def vacate(self, cause: BaseException | None = None) -> None:
        """Let the seat end: nobody will take it any more. Twice is harmless.

        With a cause its outboxes break; so too when Axon has cancelled the seat because another had failed,
        and when what fed it has failed, and nobody sat here who could have been told.
        """
        if cause is None:
            fed_by = (box.failure for box in self._axon.inboxes if box.failure is not None)
            cause = self._axon.cause or next(fed_by, None)
        self._end(lambda name: cause)

    def _vacate(self) -> None:
        self.vacate()

    def _end(self, cause_of: Callable[[str], BaseException | None]) -> None:
        process = self._axon
        process.vacant = False
        for outbox in process.outboxes:
            if outbox.holds:
                outbox.holds -= 1
                if process.children:  # who sits there still may go on
                    postman.end_if_unfed(outbox)
                elif not outbox.ended:
                    postman.close_source(outbox, cause_of(outbox.name))
        lifecycle.complete_if_over(process)
