"""One place, and what sits there is replaced on request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

from kamaelia.axon import (
    Component,
    ComponentFunction,
    Failure,
    Inbox,
    Outbox,
    SourceFailed,
    UsageError,
    as_part,
    lifecycle,
    make,
    select,
)
from kamaelia.axon.arguments import check_not_negative
from kamaelia.axon.component import offered
from kamaelia.axon.errors import shorten

from .place import Place

log = logging.getLogger("kamaelia")


class Carousel(Component):
    """A place for one part at a time, which is made anew on request: a playlist, a recorder of programmes.

    Each message to ``next`` says what the next part is. With ``Carousel(FileReader)`` it is what
    ``FileReader(...)`` is called with; without a function it is the part itself. Links, queues and outboxes
    belong to the place: who sends to it or reads from it sees no end when one part follows another.

    Boxes: those of the part, where its class is known, or else ``inbox`` and ``outbox``; ``like`` gives
    others. ``next``, what the next part is made of. ``requests``, the text ``"next"`` whenever the place is
    free, also at the beginning: what answers it, such as a `Chooser`, is linked to ``next``. ``failures``, a
    `Failure` for each part that has failed. The last two are optional.

    A ``next`` that comes while the place is taken replaces the part: what had been sent to it by then it may
    finish, within ``grace`` seconds, and what is sent from then on waits for the next. With
    ``when_taken="wait"`` the message waits for the end of the part.

    Ending: it ends when ``next`` has and the last part, when its inboxes have with nothing left, or when
    nobody listens any more. Failure: a part that fails, or cannot be made, is logged, told of and counted,
    and the next one is asked for; with ``on_failure="stop"`` it is a failure of the whole. Stop: the part
    finishes what it was sent, and another follows only if something is left to read. Back-pressure: messages
    wait for the next part in the queue of the place, under its mark. It holds open its outboxes, between
    two parts.

    Arguments:
        fn: what makes a part of a message: a component class or any other function; without it messages are
            parts, or what they are made of
        like: a component whose boxes the place gets
        when_taken: what happens to a ``next`` while the place is taken: ``"replace"`` or ``"wait"``
        grace: seconds that a part has to finish when it is replaced
        on_failure: ``"isolate"`` or ``"stop"``

    Example:
        >>> from kamaelia import Graphline, run
        >>> from kamaelia.chassis import Carousel, Chooser
        >>> from kamaelia.flow import Collect, Source
        >>> player, playlist, collect = Carousel(Source), Chooser(["la", "lu"]), Collect()
        >>> run(
        ...     Graphline(
        ...         player.requests >> playlist.inbox,
        ...         playlist.outbox >> player.next,
        ...         player.outbox >> collect.inbox,
        ...     )
        ... )
        >>> collect.messages
        ['l', 'a', 'l', 'u']
    """

    inbox = None
    outbox = None
    next = Inbox[Any]("what the next part is made of")
    requests = Outbox[str]('"next", when the place is free', optional=True)
    failures = Outbox[Failure]("parts that have failed", optional=True)

    def __init__(
        self,
        fn: Callable[[Any], Any] | None = None,
        *,
        like: Any = None,
        when_taken: Literal["replace", "wait"] = "replace",
        grace: float = 5.0,
        on_failure: Literal["isolate", "stop"] = "isolate",
    ) -> None:
        given: Any = fn
        if given is not None and (isinstance(given, Component) or not callable(given)):
            raise TypeError(
                f"Carousel({shorten(fn)}): give what makes a part of a message: a component class, such as "
                "FileReader, or a function"
            )
        if when_taken not in ("replace", "wait"):
            raise ValueError(f"Carousel(when_taken={when_taken!r}): say 'replace' or 'wait'")
        check_not_negative(f"Carousel(grace={shorten(grace)})", grace, "seconds to finish in")
        if on_failure not in ("isolate", "stop"):
            raise ValueError(f"Carousel(on_failure={on_failure!r}): say 'isolate' or 'stop'")
        self._fn = fn
        self._replaces = when_taken == "replace"
        self._grace = grace
        self._isolates = on_failure == "isolate"
        told: Outbox[Place] = self.add_box("_told", Outbox("that a part has ended", optional=True))
        self._ends: Inbox[Place] = self.add_box("_ends", Inbox("parts that have ended"))
        self.link(told, self._ends)
        shape = as_part(like) if like is not None else _shape_of(fn)
        self._place = Place(told, [shape], isolated=self._isolates)
        self.add(self._place, name="place")
        for name, box in offered(self._place._axon).items():
            if name in self._axon.boxes:
                raise UsageError(
                    f"Carousel({shorten(fn)}): its part has a box {name!r}, and so has the carousel itself: "
                    "give like=, a component without"
                )
            if box.is_inbox:
                own: Any = self.add_box(name, Inbox(box.doc, type=box.type))
                self.link(own, box)
            else:
                optional: bool = box.optional  # type: ignore[attr-defined]
                own = self.add_box(name, Outbox(box.doc, type=box.type, optional=optional))
                own.become_boundary()
                self.link(box, own)
        self._not_made = 0

    @property
    def failed(self) -> int:
        """How many parts have failed, or could not be made."""
        return self._place.failed + self._not_made

    @property
    def filled(self) -> int:
        """How many parts there have been."""
        return self._place.count

    async def main(self) -> None:
        place = self._place
        place.stand_in()
        try:
            while place.has_work():
                await self.requests.send("next")
                box, message = await select(self._ends, self.next, until=self.next)
                if box is self.next and place.has_work():
                    self._fill(message)
                while place.occupant is not None:
                    await self._wait_for_end()
        except SourceFailed as error:
            place.give_up(error.__cause__)
            raise
        finally:
            place.give_up()

    async def _wait_for_end(self) -> None:
        """Wait until the part has ended; one that is to be replaced is told to finish."""
        if not self._replaces:
            await self._ends.receive()
            return
        box, message = await select(self._ends, self.next)
        if box is self._ends:
            return
        self._place.finish(self._grace)
        while self._place.occupant is not None:
            await self._ends.receive()
        if self._place.has_work():
            self._fill(message)

    def _fill(self, message: Any) -> None:
        try:
            part = make(message) if self._fn is None else self._fn(message)
            if not isinstance(part, Component):
                raise UsageError(
                    f"{self.path}: {shorten(self._fn)} has made {shorten(part)} of {shorten(message)}, and "
                    "that is no component"
                )
            lifecycle.refuse_used(part._axon)
        except Exception as error:  # of somebody's function
            if not self._isolates:
                raise
            self._not_made += 1
            lifecycle.report_isolated(self._axon, Failure(self.path, error, self._fn, message))
            return
        self._place.seat(part)


def _shape_of(fn: Any) -> Component:
    """Return a component with the boxes of those that a function makes, as far as that can be known."""
    kind = fn.component_class if isinstance(fn, ComponentFunction) else fn
    if not (isinstance(kind, type) and issubclass(kind, Component)):
        return make(Component)
    boxes = {"inbox": None, "outbox": None, **kind._box_declarations}
    shape: Component = type(kind.__name__, (Component,), boxes)()
    return shape


__all__ = ["Carousel"]
