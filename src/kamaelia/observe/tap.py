"""Taps for whoever waits: what passes a place, as something to iterate over, or as a part.

Theory
------
`postman.tap` puts what passes a box or a link into a list, and wakes nobody. Here one waits for it. Who waits
is in line nowhere: messages go past, the newest ``size`` are kept for who looks, and what was not looked at
in time is dropped and counted. So to look changes nothing for those who are looked at.

Nor does it for the system. Who waits for a message to pass is one who waits, so a system in which all wait is
at rest. If nothing else can go on then, looking ends, as if the place had; a deadlock is one of the others.
A component that looks at what it is itself in does not see itself, nor what becomes of what it sends; and
when nobody else is left in there, that is the end. (Tasks that a component has started, such as those of a
TaskGroup, count as always: something may come of them.)

A tap goes when its place has ended, when its iteration is closed, and when nobody refers to it any more: so
``break`` is enough.
"""

from __future__ import annotations

import asyncio
import weakref
from _thread import get_ident
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kamaelia.axon import Component, Outbox, System, UsageError, postman
from kamaelia.axon.box import Box
from kamaelia.axon.link import Link
from kamaelia.axon.names import Parked
from kamaelia.axon.process import current_process
from kamaelia.axon.queue import Wait
from kamaelia.axon.system import when_started
from kamaelia.axon.tap import LOOK, Tapped

from . import place as places
from .place import Place
from .subscription import subscribe
from .survey import Survey

if TYPE_CHECKING:
    from kamaelia.axon.process import Process
    from kamaelia.axon.scheduler import Scheduler

SIZE = 1000  # messages that are kept for who looks


def tap(
    place: Place,
    *,
    size: int | None = SIZE,
    boxes: str | Sequence[str] = "*",
    system: System | None = None,
) -> Tapping:
    """Look at what passes a place from now on: ``async for seen in tap(part.outbox)``.

    Each is a `Tapped`: ``time``, ``message`` and ``place``. The iteration ends when nothing will pass any
    more, ``failure`` of what is returned says why if that was a failure. To be called on the thread of the
    system, in a component or any other task.

    Arguments:
        place: a box, a link, a component with all that is in it, a system; or as text such as
            ``"radio/server.outbox"``, ``"radio/a.outbox >> radio/b.inbox"`` or ``"radio"``, which is waited
            for until it is there
        size: how many messages are kept for who is slower than they come; of more the oldest are dropped, and
            counted. None keeps all, however many that may be.
        boxes: of a component or system, which boxes: one or several patterns in the manner of file names
        system: in which a text is looked up; by default that of the component whose code runs

    Raises `UsageError` for what is no place, and for a text where there is no system.

    Example:
        >>> from kamaelia import component, run
        >>> from kamaelia.flow import Map, Source
        >>> from kamaelia.observe import tap
        >>> @component
        ... async def watch(inbox, outbox, part):
        ...     async for seen in tap(part.outbox):
        ...         print(seen.message)
        >>> shout = Map(str.upper)
        >>> _ = run(Source("ab") | shout, watch(shout))
        A
        B
    """
    return Tapping(place, size=size, boxes=boxes, system=system)


class Tapping:
    """What `tap` returns: iterate it with ``async for``; ``async with`` closes it where it is left."""

    def __init__(
        self,
        place: Place,
        *,
        size: int | None = SIZE,
        boxes: str | Sequence[str] = "*",
        system: System | None = None,
        who: Component | None = None,
    ) -> None:
        places.check(place)
        if size is not None and size < 1:
            raise UsageError(f"tap(..., size={size!r}): give a number of messages, 1 or more, or None")
        self.place = place
        """What is looked at, as it was given."""
        self.size = size
        self.dropped = 0
        """Messages that were dropped because nobody had looked at them in time."""
        self.failure: BaseException | None = None
        """Why the place ended, if that was a failure."""
        self.ended = False
        """Whether nothing more will pass there."""
        self._boxes = (boxes,) if isinstance(boxes, str) else tuple(boxes)
        self._kept: deque[Tapped] = deque()
        self._waiting: Wait | asyncio.Future[None] | None = None
        self._stop: Callable[[], None] | None = None
        process = current_process.get(None)
        self._who = who or (None if process is None else process.component)
        if isinstance(place, str):
            if system is None and process is not None:
                system = process.system
            if system is None:
                raise UsageError(
                    f"tap({place!r}): a path is looked up in a system, and here is none. Say tap(..., "
                    "system=...), or give the box itself"
                )
            self._scheduler: Scheduler | None = system.scheduler
            self._check_thread()
            self._search(system, place)
        elif isinstance(place, (Component, System)):
            inside = places.process_of(place)
            self._scheduler = inside.scheduler
            if isinstance(place, System):
                self._scheduler = place.scheduler
            elif system is not None:  # which has been started, as the component is about to be
                self._scheduler = system.scheduler
            self._check_thread()
            if self._scheduler is None:
                me = weakref.ref(self)
                when_started(place, lambda system: _do(me, lambda one: one._survey(inside, system.scheduler)))  # type: ignore[arg-type]
            else:
                self._attach(place)
        else:
            box = place.source if isinstance(place, Link) else place
            self._scheduler = box.owner.scheduler
            self._check_thread()
            self._attach(place)

    def _check_thread(self) -> None:
        if self._scheduler is not None and get_ident() != self._scheduler.thread:
            raise UsageError(
                f"tap({self.place}): this is not the thread of the system. In a script, link the outbox of "
                "WireTap(place) to an inbox of yours"
            )

    # -- where it looks -------------------------------------------------------------------------------

    def _search(self, system: System, text: str) -> None:
        """Look for a place by its name, now and whenever something has changed."""
        found = places.find(system, text)
        if found is not None:
            self._attach(found)
            return
        me = weakref.ref(self)

        def look(what: str, subject: Any) -> None:
            if what in ("started", "linked"):
                there = places.find(system, text)
                if there is not None:
                    unsubscribe()
                    _do(me, lambda one: one._attach(there))

        unsubscribe = subscribe(system.scheduler, look)
        self._stop = unsubscribe

    def _attach(self, place: Box[Any] | Link | Component | System) -> None:
        if places.is_over(place):
            self.end()
            return
        if isinstance(place, (Component, System)):
            scheduler = self._scheduler
            assert scheduler is not None
            self._survey(places.process_of(place), scheduler)
            return
        me = weakref.ref(self)  # so that it goes when nobody has it any more
        made = postman.tap(
            place,
            callback=lambda seen: _do(me, lambda one: one._record(seen)),
            on_end=lambda failure: _do(me, lambda one: one.end(failure)),
        )
        self._stop = lambda: postman.untap(made)

    def _survey(self, process: Process, scheduler: Scheduler) -> None:
        me = weakref.ref(self)
        survey = Survey(
            process,
            scheduler,
            lambda seen: _do(me, lambda one: one._record(seen)),
            boxes=self._boxes,
            on_end=lambda: _do(me, lambda one: one.end()),
            without=self._who,
        )
        self._scheduler = scheduler
        self._stop = survey.close

    # -- what comes of it -----------------------------------------------------------------------------

    def _record(self, seen: Tapped) -> None:
        if self.size is not None and len(self._kept) >= self.size:
            self._kept.popleft()
            self.dropped += 1
        self._kept.append(seen)
        if self._waiting is not None:
            self._wake()

    def end(self, failure: BaseException | None = None) -> None:
        """Nothing more will pass: the iteration ends after what was kept."""
        if not self.ended:
            self.ended = True
            self.failure = failure
            self._let_go()
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if isinstance(waiting, Wait):
            waiting.wake()
        elif waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _let_go(self) -> None:
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    # -- iterating ------------------------------------------------------------------------------------

    def __aiter__(self) -> Tapping:
        return self

    async def __anext__(self) -> Tapped:
        while not self._kept:
            if self.ended:
                raise StopAsyncIteration
            if self._waiting is not None:
                raise UsageError(f"two wait for what passes {self.place}: call tap(...) once for each")
            try:
                await self._wait()
            finally:
                self._waiting = None
        return self._kept.popleft()

    async def _wait(self) -> None:
        process = current_process.get(None)
        scheduler = None if process is None else process.scheduler
        if scheduler is not None and scheduler.is_running_component():
            self._waiting = wait = Wait(scheduler, process, LOOK, (self,))
            await Parked(wait)
        else:
            self._waiting = future = asyncio.get_running_loop().create_future()
            await future

    def __len__(self) -> int:
        """Return how many are kept for who looks."""
        return len(self._kept)

    def __bool__(self) -> bool:
        return True

    async def aclose(self) -> None:
        """Look no more: the tap is taken away, and what was kept is forgotten. Twice is harmless."""
        self.end()
        self._kept.clear()

    async def __aenter__(self) -> Tapping:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        stop = getattr(self, "_stop", None)
        if stop is None:
            return
        scheduler = self._scheduler
        if scheduler is None or get_ident() == scheduler.thread:
            stop()
        elif not scheduler.loop.is_closed():
            scheduler.call_soon(stop)

    def __str__(self) -> str:
        return str(self.place)

    def __repr__(self) -> str:
        return f"<Tapping {self.place}>"


def _do(me: weakref.ref[Tapping], what: Callable[[Tapping], object]) -> None:
    one = me()
    if one is not None:
        what(one)


class WireTap(Component):
    """Send everything that passes a place, with its time, and end with the place.

    Outbox: ``outbox``, `Tapped` values: ``time``, ``message`` and ``place``. There is no inbox.

    It is no reader there: it neither keeps anybody waiting nor anybody alive. It is lossy: of what its own
    reader is too slow for, the oldest are dropped, and counted in ``dropped``. A stop ends it at once.

    Arguments:
        place: a box, a link, a component with all that is in it; or as text such as
            ``"radio/server.outbox"``, ``"radio/a.outbox >> radio/b.inbox"`` or ``"radio"``, which is waited
            for until it is there
        size: how many messages are kept for a slow reader; None keeps all
        boxes: of a component, which boxes: one or several patterns in the manner of file names

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.observe import WireTap
        >>> shout = Map(str.upper)
        >>> run(
        ...     Source("ab") | shout | Collect(),
        ...     WireTap(shout.inbox) | Map(lambda seen: seen.message) | Collect(),
        ... )
        [['A', 'B'], ['a', 'b']]
    """

    inbox = None
    outbox = Outbox[Tapped]("what has passed")

    def __init__(self, place: Place, *, size: int | None = SIZE, boxes: str | Sequence[str] = "*") -> None:
        places.check(place)
        self.place = place
        self.dropped = 0
        """Messages that were dropped because the reader was too slow."""
        self._size = size
        self._boxes = boxes
        self._looks: Tapping | None = None
        me = weakref.ref(self)
        when_started(self, lambda system: _begin(me(), system))  # before anybody has taken a step

    def _look(self, system: System) -> Tapping:
        return Tapping(self.place, size=self._size, boxes=self._boxes, system=system, who=self)

    async def main(self) -> None:
        looks, self._looks = self._looks or self._look(self.system), None
        async with looks:
            async for seen in looks:
                self.dropped = looks.dropped
                await self.outbox.send(seen)
            self.dropped = looks.dropped


def _begin(part: WireTap | None, system: System) -> None:
    if part is not None:
        part._looks = part._look(system)


__all__ = ["SIZE", "Tapped", "Tapping", "WireTap", "tap"]
