"""A place in a chassis that fills its places itself: what `Carousel` and `Pool` have in common.

A place is a seat (`kamaelia.axon.seat`) whose occupants are the business of its chassis: that is told when
one has gone, by a message to an inbox of its own, and decides in its own time who comes next. Meanwhile the
place waits. So the chassis is an ordinary component that receives and sends, and whatever it waits for is a
message.

While nobody sits there, nobody would be told that what comes out of the place has lost its readers. So then
the chassis stands for the occupant at its outboxes (`Place.stand_in`), and the wait that it is in is
interrupted, as rule 4 has it.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterable
from typing import Any

from kamaelia.axon import Component, Failure, Inbox, Link, Outbox, Seat, lifecycle, postman


class Place(Seat):
    """A seat that is filled again by its chassis, which is told of each end through an outbox.

    Arguments:
        told: the chassis's own outbox, through which a place is sent when its occupant has gone
        like: components whose boxes the place gets
        isolated: an occupant that fails does not fail the chassis
    """

    def __init__(self, told: Outbox[Place], like: Iterable[Component], *, isolated: bool) -> None:
        super().__init__(None, self._gone, like=like, isolated=isolated)
        self._told = told
        self._given_up = False
        self._wires: list[Link] = []
        self.failure: Failure | None = None
        """Of the last occupant, if it has failed."""
        self.count = 0
        """How many have sat here."""
        self.failed = 0
        """How many of them have failed."""

    @property
    def occupant(self) -> Component | None:
        """Who sits here."""
        return next(iter(self.children), None)

    def seat(self, occupant: Component) -> None:
        """Let a component take the place."""
        self._leave_outboxes()
        self.count += 1
        self.failure = None
        self._sit(occupant.named(f"part-{self.count}"))

    def _gone(self, occupant: Component, failure: Failure | None) -> None:
        self.failure = failure
        if not self._given_up:
            self.keep()
            self.stand_in()

    def _child_over(self, child: Component, failure: Failure | None) -> None:
        super()._child_over(child, failure)
        self._tell_chassis()

    def child_failed(self, child: Component, error: BaseException) -> None:
        """Count it."""
        self.failed += 1

    def _tell(self, failure: Failure) -> None:
        """A failure here is one of the chassis's parts; see `Component._tell`."""
        assert self._axon.parent is not None
        lifecycle.report_isolated(self._axon.parent, failure)

    def stand_in(self) -> None:
        """Nobody sits here: have the chassis be told when nobody listens any more to what comes out."""
        chassis = self.chassis
        assert chassis is not None
        for box in self._axon.outboxes:
            if not (box.ended or box.optional or self._wires):
                name = f"_{self._axon.name} {box.name}"
                own = chassis._axon.box_named(name)
                if own is None:
                    own = chassis.add_box(name, Outbox(box.doc))
                self._wires.append(postman.link(own, box))

    def _leave_outboxes(self) -> None:
        for wire in self._wires:
            postman.unlink(wire)
        self._wires = []

    def _vacate(self) -> None:
        """Somebody has cancelled the place while nobody sat there."""
        super()._vacate()
        self._tell_chassis()

    def _tell_chassis(self) -> None:
        if not (self._given_up or self._told.closed):  # else its body is over
            self._told.send(self)

    def give_up(self, cause: BaseException | None = None) -> None:
        """Nobody will take this place any more: it ends, when who sits there has."""
        self._given_up = True
        self._leave_outboxes()
        self.vacate(cause)

    def finish(self, patience: float) -> None:
        """Have the occupant end as a system is stopped: its inboxes end after what has been sent to it, and
        what nothing feeds is cancelled. After so many seconds all that is left of it is."""
        occupant = self.occupant
        assert occupant is not None
        process = occupant._axon
        sources = [one for one in lifecycle.bodies(process) if not lifecycle.is_fed(one)]
        for box in self._axon.inboxes:
            self._hand_over(box)
        for one in lifecycle.family(process):
            lifecycle.release_holds(one, None)
            lifecycle.end_feedback(one)
        for one in sources:
            one.cancel()
        self.system.loop.call_later(patience, self._cancel, occupant, context=contextvars.Context())

    def _hand_over(self, box: Inbox[Any]) -> None:
        """Give what waits in an inbox to the occupant, and let its own inbox end after that."""
        for wire in list(box.outgoing):
            inner = wire.lends_to
            messages = () if inner is None else box.queue.drain()
            kept = wire.target
            postman.unlink(wire)
            for message in messages:
                assert inner is not None and kept is not None
                inner.queue.put(message)
            if messages:
                box.queue.on_alarm()  # there may be senders to free

    def _cancel(self, occupant: Component) -> None:
        """An occupant was to finish and has not: cancel it, and then for good."""
        if self.occupant is occupant:
            for process in list(lifecycle.bodies(occupant._axon)):
                process.cancel()
            lifecycle.insist_later(occupant._axon)


__all__ = ["Place"]
