"""Outboxes: where messages leave, and what a sender waits for.

Where they go is worked out by the postman beforehand: an outbox has its routes (`link`), and where there is
only one and nothing about it is special, `Outbox.send` is a comparison and an append.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from . import core, postman
from .box import Box, Declare, PlainBox
from .errors import BrokenLink, ClosedBox, UsageError, WouldBlock, shorten
from .link import PAST_LIMIT, Link, Route, Routes
from .queue import DEEP, TURN, Queue, call_when_room, wait_for_room

if TYPE_CHECKING:
    from .process import Process
    from .scheduler import Scheduler
    from .tap import Tap

T = TypeVar("T")


class _Ready:
    """What `send` returns when there is nothing to wait for: awaiting it takes no time.

    An exhausted iterator ends an await without an exception and without a Python call; its ``__iter__``
    is a bound C method, so that the class needs no function of ours either.
    """

    __slots__ = ()
    __await__ = iter(()).__iter__


READY: Any = _Ready()


@dataclass(frozen=True)
class OutboxStatistics:
    """What became of messages that were sent through an outbox."""

    discarded: int
    """Messages sent while nothing was linked, or nobody was left to read."""
    dropped: int
    """Messages dropped by ``when_full="drop-newest"`` or ``"drop-oldest"`` links."""
    readers: int
    """Inboxes that messages go to now."""
    full: bool
    """Whether a sender has to wait."""


@final
class Outbox(Box[T]):
    """Where a component sends its messages. Where they go, only the postman knows.

    Arguments:
        doc: what is sent from here, for people
        optional: the component works on although nobody reads this; what is sent then is discarded
            and counted. For logs and progress, and for outboxes whose readers come and go.
        type: the type of the messages; usually written ``Outbox[bytes]("...")``
    """

    __slots__ = core.NO_SLOTS

    is_inbox = False
    optional: bool
    closed: bool
    discarded: int  # messages that went nowhere
    dropped: int  # messages that lossy links dropped, of links that are gone
    carried: int  # messages that have been delivered, of links that are gone
    routes: Routes
    tapped_by: tuple[Tap, ...]
    fast: Queue | None  # the one queue that messages go to, where it is as simple as that

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(DeclaredOutbox if cls is Outbox else cls)  # type: ignore[redundant-expr]

    def __init__(self, doc: str = "", *, optional: bool = False, type: Any = Any) -> None:
        self.doc = doc
        self.type = type
        self.optional = optional

    def __init_subclass__(cls, *, core: bool = False) -> None:
        if not core:
            raise TypeError("Outbox is final: declare boxes in your component, do not subclass them")

    def attached(self, owner: Process, name: str) -> Outbox[T]:
        """Make a component's own outbox from this declaration."""
        return core.Outbox(self, owner, name)

    # -- sending ----------------------------------------------------------------------------------

    def send(self, message: T) -> Awaitable[None]:
        """Send a message: it is in the readers' inboxes at once. Await what is returned before the next.

        Awaiting is how a sender is held back when readers are slower. Raises `BrokenLink` when every
        reader has gone, `ClosedBox` after `close`, `WouldBlock` when a thousand messages have gone
        past the mark and none of the sends was awaited.

        From the moment it is sent the message belongs to its receivers: do not change it again.
        """
        self._check_open()
        raise AssertionError(f"{self} is of no form of the core")

    def send_nowait(self, message: T) -> None:
        """Send a message if there is room for it at once. Raises `WouldBlock` if not, else like `send`."""
        if self._on_another_thread():
            self._elsewhere(lambda: self.send_nowait(message), wait=False)
            return
        self._check_open()
        for route in self.routes:
            if route.when_full == "wait" and route.queue.is_full(route):
                raise WouldBlock(
                    f"{self} would have to wait: {self._target(route)} holds {route.queue.level()} "
                    f"and its mark is {route.queue.size}. Use 'await outbox.send(...)'"
                )
        self.send(message)

    def wait_for_room(self) -> Generator[Any, None, None]:
        """Wait until every reader that must not miss anything has room again."""
        waited = False
        for route in tuple(self.routes):
            route.past = 0
            if route.when_full == "wait" and route.queue.is_full(route):
                waited = True
                yield from wait_for_room(route)
        if not waited and len(self.routes) > 0:
            yield from TURN.__await__()

    def when_ready(self, callback: Callable[[], object]) -> None:
        """Call something once when the readers have room again, at once if they have.

        For what lives outside of components: a transport that stopped reading its socket, say.
        """
        for route in self.routes:
            if route.when_full == "wait" and route.queue.is_full(route):
                call_when_room(route, lambda: self.when_ready(callback))
                return
        callback()

    @property
    def full(self) -> bool:
        """Whether a sender has to wait before it sends more."""
        return any(route.when_full == "wait" and route.queue.is_full(route) for route in self.routes)

    def link_simply(self, target: Box[Any], wire: Link | None = None) -> Link | None:
        """Make a link if it is one of the usual kind, to which the compiled form has a quick way.

        Without ``wire`` that is a new one with the usual options. Returns the link, or None if it has to be
        made in the way for all.
        """
        return None

    # -- closing ----------------------------------------------------------------------------------

    def close(self, failure: BaseException | None = None) -> None:
        """Say that nothing more will be sent: readers see the end. Calling it twice is harmless.

        With ``failure`` the readers get `SourceFailed` with that cause instead.
        """
        if self._on_another_thread():
            self._elsewhere(lambda: self.close(failure), wait=False)
        elif not self.closed:
            self.closed = True
            if not self.ended:
                postman.close_source(self, failure)

    def statistics(self) -> OutboxStatistics:
        """Return what became of the messages that were sent here."""
        return OutboxStatistics(
            discarded=self.discarded,
            dropped=self.dropped + sum(route.dropped for route in self.routes),
            readers=len(self.routes),
            full=self.full,
        )

    # -- machinery --------------------------------------------------------------------------------

    def set_fast_route(self) -> None:
        """Links have changed: is there just one queue, and no message may be dropped?"""
        self.fast = None
        if len(self.routes) == 1 and not self.tapped_by:
            (route,) = self.routes
            if route.when_full == "wait":
                self.fast = route.queue

    def find_taps(self) -> None:
        """Taps or links have changed: whose taps see what is sent here?"""
        taps = dict.fromkeys(self.taps)
        for route in self.routes:
            taps.update(dict.fromkeys(postman.taps_of(route)))
        self.tapped_by = tuple(taps)
        self.set_fast_route()

    def broken(self) -> BrokenLink:
        """Make the error for a sender whom nobody hears any more."""
        error = BrokenLink(f"{self}: every reader has gone, so nobody would see what is sent")
        error.owner = self.owner
        return error

    def without_length(self, message: Any, route: Route) -> TypeError:
        """Make the error for a message that an inbox which counts bytes cannot count."""
        return TypeError(
            f"{self} sends {shorten(message)} to {self._target(route)}, whose size is in bytes, and "
            f"{type(message).__name__} has no length: send bytes, or give it a size in messages"
        )

    def too_far_past(self, route: Route) -> WouldBlock:
        """Make the error for a sender that has never waited for room."""
        return WouldBlock(
            f"{self} has sent {PAST_LIMIT} messages past the mark ({route.queue.size}) of "
            f"{self._target(route)} without waiting: write 'await' (in a generator 'yield') "
            "before send(...)"
        )

    def _target(self, route: Route) -> str:
        return str(route.links[-1].target)

    def _check_open(self) -> Scheduler:
        if self.owner is None:
            raise UsageError(
                f"Outbox({self.doc!r}) is only a declaration: use the outbox of a component, self.{self.name}"
            )
        if self.closed:
            raise ClosedBox(f"{self} has been closed, so nothing can be sent from it")
        scheduler = self.owner.scheduler
        if scheduler is None:
            raise UsageError(f"{self} cannot be used yet: {self.owner.name} is not running. Give it to run()")
        if not self.own:
            raise UsageError(
                f"{self} is wired to boxes inside {self.owner.name}, so {self.owner.name} itself cannot "
                "send from it"
            )
        return scheduler

    def _on_another_thread(self) -> bool:
        if self.owner is None:
            return False
        scheduler = self.owner.scheduler
        return scheduler is not None and get_ident() != scheduler.thread

    def _elsewhere(self, call: Callable[[], Any], *, wait: bool) -> Any:
        return self._check_open().from_thread(self.owner, call, wait=wait)


class DeclaredOutbox(Outbox[T], core=True):  # type: ignore[misc]  # final for users
    """What ``Outbox(...)`` makes: the declaration of a box, in the body of a class."""

    __slots__ = ("doc", "name", "optional", "type")

    owner: Any = None


class PlainOutbox(PlainBox[T], Outbox[T], core=True):  # type: ignore[misc]
    """A component's own outbox, as the plain form of the core has it."""

    __slots__ = (
        "_pacing",
        "carried",
        "closed",
        "discarded",
        "dropped",
        "fast",
        "optional",
        "routes",
        "tapped_by",
    )

    def __init__(self, declaration: Outbox[Any], owner: Process, name: str) -> None:
        super().__init__(declaration, owner, name)
        self.optional = declaration.optional or name == "failures"
        self.routes = ()
        self.closed = False
        self.discarded = 0
        self.dropped = 0
        self.carried = 0
        self.tapped_by = ()
        self.fast = None
        self._pacing = _Pacing(self)

    def send(self, message: Any) -> Awaitable[None]:
        """See `Outbox`."""
        queue = self.fast
        if queue is not None:
            level = len(queue.items)
            if level < queue.brake and get_ident() == queue.thread:
                queue.items.append(message)
                if level >= queue.peak:
                    queue.peak = level + 1
                if queue.readers:
                    queue.grant()
                return READY  # type: ignore[no-any-return]
        return self._send(message)  # type: ignore[no-any-return]

    def _send(self, message: Any) -> Any:
        if self._on_another_thread():
            return self._elsewhere(lambda: self.send(message), wait=True)
        scheduler = self._check_open()
        routes = self.routes
        if not routes and self.lost and not self.optional:
            raise self.broken()
        for route in routes:  # all before any is used: a refused message goes to no reader
            if route.queue.in_bytes and not hasattr(type(message), "__len__"):
                raise self.without_length(message, route)
            if route.when_full == "wait" and not route.count_past():
                raise self.too_far_past(route)
        if self.tapped_by:
            now = scheduler.loop.time()
            for tap in self.tapped_by:
                tap.record(message, now)
        if not routes:
            self.discarded += 1
            return TURN
        full = turn = False
        for route in tuple(routes):
            queue = route.queue
            if route.when_full == "wait":
                queue.use_turn(route)
                route.count_shared()
                queue.put(message)
                if queue.is_full(route):
                    full = True
                elif queue.feeders > 1 or queue.level() >= DEEP:
                    turn = True  # those who share an inbox share it evenly, message by message
            else:
                turn = True
                if queue.level() >= queue.size:
                    route.dropped += 1
                    if route.when_full == "drop-newest":
                        continue
                    queue.drop_oldest()
                route.count_shared()
                queue.put(message)
        if full:
            return self._pacing
        return TURN if turn else READY


class _Pacing:
    """What `send` returns at the mark. One per outbox is made beforehand."""

    __slots__ = ("box",)

    def __init__(self, box: Outbox[Any]) -> None:
        self.box = box

    def __await__(self) -> Generator[Any, None, None]:
        return self.box.wait_for_room()


if TYPE_CHECKING:

    class ScriptOutbox(Generic[T]):
        """The outbox of a script: the same box as `Outbox`, whose calls block until done."""

        def send(self, message: T) -> None: ...
        def send_nowait(self, message: T) -> None: ...
        def close(self) -> None: ...

else:

    class ScriptOutbox:
        """The outbox of a script: the same box as `Outbox`, whose calls block until done."""

        def __class_getitem__(cls, message_type):
            return Declare(Outbox, message_type)
