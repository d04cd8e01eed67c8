"""Boxes: all that a component knows of the world.

A component receives from its inboxes and sends to its outboxes. In a class they are declared::

    class Shout(Component):
        inbox = Inbox[str]("what to shout")
        outbox = Outbox[str]("the same in capitals")

and each component gets boxes of its own, made from these declarations. What `Inbox.receive`, `Outbox.send`
and `select` return is awaited in a coroutine and yielded in a generator; in a script, which has a thread
of its own, the same calls block and return the value itself.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar, final

from . import postman, typecheck
from .errors import (
    BrokenLink,
    ClosedBox,
    EndOfMessages,
    SourceFailed,
    UsageError,
    WouldBlock,
    shorten,
)
from .link import PAST_LIMIT, Link, Route
from .queue import DEEP, TURN, Queue, Wait, make_queue, parse_size

if TYPE_CHECKING:
    from .hold import Hold
    from .process import Process
    from .scheduler import Scheduler
    from .tap import Tap

T = TypeVar("T")
U = TypeVar("U")

DEFAULT_SIZE: Final = 100  # messages


class _Ready:
    """What `send` returns when there is nothing to wait for: awaiting it takes no time.

    An exhausted iterator ends an await without an exception and without a Python call; its ``__iter__``
    is a bound C method, so that the class needs no function of ours either.
    """

    __slots__ = ()
    __await__ = iter(()).__iter__


READY: Any = _Ready()


class _Declare:
    """``Inbox[bytes]``: calling it declares a box for messages of that type."""

    __slots__ = ("kind", "type")

    def __init__(self, kind: Any, message_type: Any) -> None:
        self.kind = kind
        self.type = message_type

    def __call__(self, doc: str = "", **options: Any) -> Any:
        return self.kind(doc, type=self.type, **options)

    def __repr__(self) -> str:
        return f"{self.kind.__name__}[{typecheck.name_of(self.type)}]"

    def __or__(self, other: Any) -> Any:  # so that "Inbox[str] | None" may be written in an annotation
        return object

    __ror__ = __or__


class Box(Generic[T]):
    """What inboxes and outboxes have in common: their place in the graph that the postman keeps."""

    __slots__ = (
        "__weakref__",
        "doc",
        "ended",
        "failure",
        "holds",
        "incoming",
        "linked",
        "lost",
        "name",
        "outgoing",
        "outside",
        "own",
        "owner",
        "settled",
        "sources",
        "taps",
        "type",
        "wired",
    )

    is_inbox: bool

    def __init__(self, doc: str, type: Any) -> None:
        self.doc = doc
        self.type = type
        self.name = ""
        self.owner: Process = None  # type: ignore[assignment]  # none while it is only declared

    if not TYPE_CHECKING:

        def __class_getitem__(cls, message_type: Any) -> Any:
            if isinstance(message_type, TypeVar):
                return super().__class_getitem__(message_type)
            return _Declare(cls, message_type)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def _attach(self, owner: Process, name: str) -> None:
        self.owner = owner
        self.name = name
        self.incoming: dict[Link, None] = {}
        self.outgoing: dict[Link, None] = {}
        self.sources = 0  # open links that come in
        self.holds = 0  # holds from inside the system
        self.outside = 0  # holds from outside, each of which is a link as well
        self.settled = False  # the component has taken its first step: from now on, no source is an end
        self.ended = False  # nothing more will come in (or, of an outbox, go out)
        self.failure: BaseException | None = None  # why it ended, if that was a failure
        self.linked = False  # something has been linked to it that takes messages from here
        self.lost = False  # all readers that it had have gone
        self.taps: tuple[Tap, ...] = ()
        self.wired = False  # an inbox boundary: messages go on to boxes inside
        # The component's own code uses this box. Of an outbox: is a source, open until the code closes it.
        # Axon sends the failures of a chassis's children for it, so that box is never a mere wire.
        self.own = owner.has_body or (name == "failures" and not self.is_inbox)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __str__(self) -> str:
        if self.owner is None:
            return f"{type(self).__name__}({self.doc!r})"
        return f"{self.owner.path}.{self.name}"

    def __rshift__(self, other: Any) -> Any:
        """Write down a link: ``a.outbox >> b.inbox``, or one to many with a list."""
        if isinstance(other, (list, tuple)):
            return [self >> one for one in other]
        if isinstance(other, (Box, str)):
            return Link(self, other)
        raise TypeError(
            f"{self} >> {shorten(other)}: link box to box, as in a.outbox >> b.inbox; whole components "
            "are joined with |"
        )

    def __rrshift__(self, other: Any) -> Any:
        if isinstance(other, (list, tuple)):
            return [one >> self for one in other]
        if isinstance(other, str):
            return Link(other, self)
        return NotImplemented

    def settle(self) -> None:
        """The component takes its first step: what has no source by now never will have one."""
        self.settled = True
        if any(wire.feedback for wire in self.incoming):
            self.watch_loop()
        if self.sources == 0 and self.holds == 0 and (self.is_inbox or (not self.own and self.incoming)):
            postman.end(self)

    def become_boundary(self) -> None:
        """This outbox passes on what boxes inside send, and its component's own code does not use it."""
        self.own = False

    def count_outside(self, change: int) -> None:
        """Count who may put something in from outside; while there is anybody, rest is no deadlock."""
        self.outside += change
        if self.settled and not (self.is_inbox and self.gone):  # type: ignore[attr-defined]
            self.owner.scheduler.outside += change  # type: ignore[union-attr]

    def watch_loop(self) -> None:
        """A feedback link leads here: let the scheduler see whether its loop has come to rest."""
        scheduler = self.owner.scheduler
        if scheduler is not None and self.settled:
            scheduler.loops[self] = None


@dataclass(frozen=True)
class InboxStatistics:
    """How full an inbox is and was."""

    waiting: int
    """Messages (or bytes) in the queue now."""
    size: int
    """The mark at which senders wait."""
    peak: int
    """The most that has been seen waiting."""
    received: int
    """Messages that have been received."""
    dropped: int
    """Messages dropped from the queue by ``when_full="drop-oldest"``."""
    senders: int
    """Senders that wait for room."""
    readers: int
    """Readers that wait for a message."""


@final
class Inbox(Box[T]):
    """Where messages for a component arrive, in the order of sending.

    Arguments:
        doc: what arrives here, for people
        size: the mark at which senders wait: messages, or bytes as in ``"256 KiB"``
        held: stays open although nothing is linked to it, until `release`, a stop, or rest
        type: the type of the messages; usually written ``Inbox[bytes]("...")``

    Example:
        >>> from kamaelia import Component, Inbox, Outbox
        >>> class Count(Component):
        ...     inbox = Inbox[bytes]("chunks", size="64 KiB")
        ...     outbox = Outbox[int]("how many bytes there were, once, at the end")
        ...
        ...     async def main(self):
        ...         total = 0
        ...         async for chunk in self.inbox:
        ...             total += len(chunk)
        ...         await self.outbox.send(total)
    """

    __slots__ = (
        "_iterator",
        "asked",
        "failure_told",
        "gone",
        "held",
        "in_bytes",
        "keeps_queue",
        "queue",
        "size",
        "unread",
    )

    is_inbox = True
    _iterator: _Iterator
    asked: bool  # somebody has tried to receive here
    gone: bool  # its component has ended or closed it: nobody will read it any more
    unread: int  # messages that nobody read
    keeps_queue: bool  # a seat's: its queue outlives its occupants
    failure_told: bool  # `select` has raised the failure of this box
    queue: Queue

    def __init__(
        self,
        doc: str = "",
        *,
        size: int | str = DEFAULT_SIZE,
        held: bool = False,
        type: Any = Any,
    ) -> None:
        super().__init__(doc, type)
        self.size, self.in_bytes = parse_size(size, f"inbox {doc!r}")
        self.held = held

    def __init_subclass__(cls) -> None:
        raise TypeError("Inbox is final: declare boxes in your component, do not subclass them")

    def attached(self, owner: Process, name: str) -> Inbox[T]:
        """Make a component's own inbox from this declaration."""
        box: Inbox[T] = Inbox.__new__(Inbox)
        box.doc, box.type = self.doc, self.type
        box.size, box.in_bytes, box.held = self.size, self.in_bytes, self.held
        box._attach(owner, name)
        box.queue = make_queue(self.size, self.in_bytes)
        box.asked = False
        box.gone = False
        box.unread = 0
        box.keeps_queue = False
        box.failure_told = False
        box._iterator = _Iterator(box)
        if self.held:
            box.holds = 1
        return box

    # -- receiving --------------------------------------------------------------------------------

    def receive(self, *, timeout: float | None = None) -> Awaitable[T]:
        """Wait for the next message and take it.

        Raises `EndOfMessages` when there will be no more, `SourceFailed` when what fed the inbox failed,
        `TimeoutError` after ``timeout`` seconds. Cancelling it or timing out never loses a message.
        """
        queue = self.queue
        if get_ident() == queue.thread:
            # A new one for each call, however alike they are: asyncio.gather awaits equal objects only once.
            return _Take(self, timeout)
        return self._elsewhere(  # type: ignore[no-any-return]
            lambda: self.receive(timeout=timeout), wait=True
        )

    def receive_nowait(self) -> T:
        """Take the next message if there is one.

        Raises `WouldBlock` when there is none yet, otherwise like `receive`.
        """
        queue = self.queue
        if get_ident() != queue.thread:
            return self._elsewhere(self.receive_nowait, wait=False)  # type: ignore[no-any-return]
        self._check_open()
        if queue.available() and not queue.readers:
            return queue.take()  # type: ignore[no-any-return]
        if self.ended and not queue.available():
            self.raise_end(None)
        raise WouldBlock(f"{self} has no message just now: await receive(), or ask again later")

    def __aiter__(self) -> AsyncIterator[T]:
        return self._iterator

    def __iter__(self) -> Iterator[T]:
        if get_ident() == self.queue.thread:
            raise TypeError(
                f"'for' over {self} would block every other component: write 'async for' in a coroutine, "
                "or 'message = yield inbox.receive()' in a generator"
            )
        return self._iterate()

    def _iterate(self) -> Iterator[T]:
        while True:
            try:
                message = self.receive()
            except EndOfMessages as end:
                if end.owner is self.owner:
                    return
                raise
            yield message  # type: ignore[misc]

    def wait_for_message(
        self, end: type[BaseException] | None, timeout: float | None = None
    ) -> Generator[Any, None, Any]:
        """The slow path of every way to receive: whatever needs more than taking a message off a queue."""
        queue = self.queue
        scheduler = self._check_open()
        self.asked = True
        wait: Wait | None = None
        timer = None
        try:
            while True:
                own = scheduler.is_running_component()
                if queue.available():
                    # Only the component's own code may take several in one step. Other tasks of the loop
                    # take turns, or the first of two would find the queue full and leave it empty.
                    if own and not queue.readers and not queue.turns and queue.has_budget(scheduler.steps):
                        queue.set_fast(scheduler.steps)
                        return queue.take()
                elif self.ended:
                    self.raise_end(end)
                elif self.gone:
                    raise ClosedBox(f"{self} was closed while it was waited for")
                if wait is None:
                    wait = Wait(scheduler, self.owner, "receive from", (self,))
                    if timeout is not None:
                        wait.timed = True
                        error = TimeoutError(f"{self} got no message within {timeout:g} s")
                        timer = scheduler.loop.call_later(max(0, timeout), wait.fail, error)
                queue.line_up(wait)
                if wait.turn is None:
                    yield from wait.park()
                else:
                    yield from TURN.__await__()
                if wait.turn is queue:
                    wait.turn = None
                    queue.turns -= 1
                    if wait.process is not None or own:
                        queue.set_fast(scheduler.steps)
                    return queue.take()
        finally:
            if timer is not None:
                timer.cancel()
            if wait is not None:
                queue.leave(wait)

    def raise_end(self, end: type[BaseException] | None) -> NoReturn:
        """Raise what a reader gets after the last message."""
        if self.failure is not None:
            failed = SourceFailed(
                f"{self}: what fed it failed ({type(self.failure).__name__}: {self.failure}); "
                "what had been sent before has been received"
            )
            failed.owner = self.owner
            raise failed from self.failure
        if end is not None:
            raise end
        ended = EndOfMessages(f"{self} has ended: everything that will ever arrive has been received")
        ended.owner = self.owner
        raise ended

    # -- opening and closing ----------------------------------------------------------------------

    def hold(self, *, outside: bool = False) -> Hold[T]:
        """Keep this inbox open, although nothing may be linked to it.

        With ``outside=True`` something outside the system puts messages in, through the hold. A plain
        hold says that links may come from within the system, and goes when the system is at rest.
        """
        from .hold import Hold

        return Hold(self, outside)

    def release(self) -> None:
        """Give up the hold of ``Inbox(held=True)``; calling it twice is harmless."""
        if self.held:
            self.held = False
            self.holds -= 1
            postman.end_if_unfed(self)

    def close(self) -> None:
        """Say that nothing more will be received here; calling it twice is harmless."""
        if self._on_another_thread():
            self._elsewhere(self.close, wait=False)
        elif not self.gone:
            if self.lender is None:
                self.unread += len(self.queue.items)
            if self.settled and self.outside:
                self.owner.scheduler.outside -= self.outside  # type: ignore[union-attr]
            postman.close_reader(self)
            self.queue.wake_readers()

    def resize(self, size: int | str) -> None:
        """Move the mark at which senders wait: a number of messages, or bytes as in ``"256 KiB"``.

        From messages to bytes, or back, only while the inbox is empty and nothing is linked to it.
        """
        number, in_bytes = parse_size(size, str(self))
        if in_bytes is not self.in_bytes:
            if self.queue.items or self.queue.feeders or self.keeps_queue or self.lender is not None:
                raise UsageError(
                    f"{self} counts {'bytes' if self.in_bytes else 'messages'}, and is in use: before it is "
                    "linked it can be made to count something else"
                )
            self.in_bytes = in_bytes
            self.size = number
            self.replace_queue()
        self.size = number
        self.queue.resize(number)
        self.queue.on_alarm()  # with more room there may be senders to free

    @property
    def lender(self) -> Link | None:
        """The link through which this inbox reads from the queue of a seat."""
        box: Any = self
        while len(box.incoming) == 1:
            (wire,) = box.incoming
            if wire.lends_to is self:
                return wire  # type: ignore[no-any-return]
            if not wire.source.is_inbox:
                break
            box = wire.source
        return None

    def replace_queue(self) -> None:
        """Go on with an empty queue of its own, where another was lent or counted something else."""
        thread = self.queue.thread
        self.queue = make_queue(self.size, self.in_bytes)
        self.queue.thread = thread

    @property
    def closed(self) -> bool:
        """Whether `close` has been called, by the component or by its end."""
        return self.gone

    def statistics(self) -> InboxStatistics:
        """Return how full the inbox is and what has passed through it."""
        queue = self.queue
        return InboxStatistics(
            waiting=queue.level(),
            size=queue.size,
            peak=max(queue.peak, queue.level()),
            received=queue.received,
            dropped=queue.dropped,
            senders=len(queue.senders or ()),
            readers=len(queue.readers or ()),
        )

    # -- machinery --------------------------------------------------------------------------------

    def _check_open(self) -> Scheduler:
        if self.owner is None:
            raise UsageError(
                f"Inbox({self.doc!r}) is only a declaration: use the inbox of a component, self.{self.name}"
            )
        scheduler = self.owner.scheduler
        if scheduler is None:
            raise UsageError(
                f"{self} cannot be received from yet: {self.owner.name} is not running. Give it to run()"
            )
        if self.wired:
            raise UsageError(
                f"{self} is wired to boxes inside {self.owner.name}, so {self.owner.name} itself receives "
                "nothing here"
            )
        if self.gone:
            raise ClosedBox(f"{self} has been closed, so nothing can be received from it")
        return scheduler

    def _on_another_thread(self) -> bool:
        scheduler = self.owner.scheduler
        return scheduler is not None and get_ident() != scheduler.thread

    def _elsewhere(self, call: Callable[[], Any], *, wait: bool) -> Any:
        return self._check_open().from_thread(self.owner, call, wait=wait)


class _Take:
    """What `receive` returns; nothing but ``await`` can be done with it."""

    __slots__ = ("box", "timeout")

    def __init__(self, box: Inbox[Any], timeout: float | None) -> None:
        self.box = box
        self.timeout = timeout

    def __await__(self) -> Generator[Any, None, Any]:
        queue = self.box.queue
        items = queue.items
        if items and queue.received < queue.fast_until:
            queue.received += 1
            message = items.popleft()
            if len(items) <= queue.alarm:
                queue.on_alarm()
            return message
        return (yield from self.box.wait_for_message(None, self.timeout))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"this is no message yet, so it has no {name!r}: write 'await {self.box.name}.receive()' "
            f"in a coroutine, 'yield {self.box.name}.receive()' in a generator"
        )

    def __repr__(self) -> str:
        return f"<receive() of {self.box}, which nobody has awaited>"


class _Next:
    """What iterating an inbox awaits: like `_Take`, but the end is the end of the iteration.

    Nobody else gets hold of it, so one per inbox is made beforehand.
    """

    __slots__ = ("box",)

    def __init__(self, box: Inbox[Any]) -> None:
        self.box = box

    def __await__(self) -> Generator[Any, None, Any]:
        # The same lines as in _Take: this is the path of every message, and a call would cost a third more.
        queue = self.box.queue
        items = queue.items
        if items and queue.received < queue.fast_until:
            queue.received += 1
            message = items.popleft()
            if len(items) <= queue.alarm:
                queue.on_alarm()
            return message
        return (yield from self.box.wait_for_message(StopAsyncIteration))


class _Iterator:
    __slots__ = ("_next",)

    def __init__(self, box: Inbox[Any]) -> None:
        self._next = _Next(box)

    def __aiter__(self) -> _Iterator:
        return self

    def __anext__(self) -> _Next:
        return self._next


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

    __slots__ = (
        "_fast_route",
        "_pacing",
        "closed",
        "discarded",
        "dropped",
        "optional",
        "routes",
        "tapped_by",
    )

    is_inbox = False
    _fast_route: Queue | None  # the one queue that messages go to, where it is as simple as that
    _pacing: _Pacing
    closed: bool
    discarded: int  # messages that went nowhere
    dropped: int  # messages that lossy links dropped, of links that are gone
    routes: dict[Route, None]
    tapped_by: tuple[Tap, ...]

    def __init__(self, doc: str = "", *, optional: bool = False, type: Any = Any) -> None:
        super().__init__(doc, type)
        self.optional = optional

    def __init_subclass__(cls) -> None:
        raise TypeError("Outbox is final: declare boxes in your component, do not subclass them")

    def attached(self, owner: Process, name: str) -> Outbox[T]:
        """Make a component's own outbox from this declaration."""
        box: Outbox[T] = Outbox.__new__(Outbox)
        box.doc, box.type, box.optional = self.doc, self.type, self.optional or name == "failures"
        box._attach(owner, name)
        box.routes = {}
        box.closed = False
        box.discarded = 0
        box.dropped = 0
        box.tapped_by = ()
        box._fast_route = None
        box._pacing = _Pacing(box)
        return box

    # -- sending ----------------------------------------------------------------------------------

    def send(self, message: T) -> Awaitable[None]:
        """Send a message: it is in the readers' inboxes at once. Await what is returned before the next.

        Awaiting is how a sender is held back when readers are slower. Raises `BrokenLink` when every
        reader has gone, `ClosedBox` after `close`, `WouldBlock` when a thousand messages have gone
        past the mark and none of the sends was awaited.

        From the moment it is sent the message belongs to its receivers: do not change it again.
        """
        queue = self._fast_route
        if queue is not None and len(queue.items) < queue.brake and get_ident() == queue.thread:
            queue.items.append(message)
            if queue.readers:
                queue.grant()
            return READY  # type: ignore[no-any-return]
        return self._send(message)  # type: ignore[no-any-return]

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
        self._send(message)

    def _send(self, message: T) -> Any:
        if self._on_another_thread():
            return self._elsewhere(lambda: self.send(message), wait=True)
        scheduler = self._check_open()
        routes = self.routes
        if not routes and self.lost and not self.optional:
            raise self.broken()
        for route in routes:  # all before any is used: a refused message goes to no reader
            if route.when_full == "wait" and not route.count_past():
                raise WouldBlock(
                    f"{self} has sent {PAST_LIMIT} messages past the mark ({route.queue.size}) of "
                    f"{self._target(route)} without waiting: write 'await' (in a generator 'yield') "
                    "before send(...)"
                )
        for tap in self.tapped_by:
            tap.record(message, scheduler.loop.time())
        if not routes:
            self.discarded += 1
            return TURN
        full = turn = False
        for route in tuple(routes):
            queue = route.queue
            if route.when_full == "wait":
                queue.use_turn(route)
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
                queue.put(message)
        if full:
            return self._pacing
        return TURN if turn else READY

    def wait_for_room(self) -> Generator[Any, None, None]:
        """Wait until every reader that must not miss anything has room again."""
        waited = False
        for route in tuple(self.routes):
            route.past = 0
            if route.when_full == "wait" and route.queue.is_full(route):
                waited = True
                yield from route.queue.wait_for_room(route, self.owner)
        if not waited and len(self.routes) > 0:
            yield from TURN.__await__()

    def when_ready(self, callback: Callable[[], object]) -> None:
        """Call something once when the readers have room again, at once if they have.

        For what lives outside of components: a transport that stopped reading its socket, say.
        """
        for route in self.routes:
            if route.when_full == "wait" and route.queue.is_full(route):
                route.queue.call_when_room(route, self.owner, lambda: self.when_ready(callback))
                return
        callback()

    @property
    def full(self) -> bool:
        """Whether a sender has to wait before it sends more."""
        return any(route.when_full == "wait" and route.queue.is_full(route) for route in self.routes)

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
        self._fast_route = None
        if len(self.routes) == 1 and not self.tapped_by:
            (route,) = self.routes
            if route.when_full == "wait":
                self._fast_route = route.queue

    def find_taps(self) -> None:
        """Taps or links have changed: whose taps see what is sent here?"""
        taps = dict.fromkeys(self.taps)
        for route in self.routes:
            for wire in route.links:
                taps.update(dict.fromkeys((*wire.source.taps, *wire.taps, *wire.target.taps)))
        self.tapped_by = tuple(taps)
        self.set_fast_route()

    def broken(self) -> BrokenLink:
        """Make the error for a sender whom nobody hears any more."""
        error = BrokenLink(f"{self}: every reader has gone, so nobody would see what is sent")
        error.owner = self.owner
        return error

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


class _Pacing:
    """What `send` returns at the mark. One per outbox is made beforehand."""

    __slots__ = ("box",)

    def __init__(self, box: Outbox[Any]) -> None:
        self.box = box

    def __await__(self) -> Generator[Any, None, None]:
        return self.box.wait_for_room()


if TYPE_CHECKING:
    # For type checkers only: a script's boxes block, so its calls return plain values.

    class ScriptInbox(Generic[T]):
        """The inbox of a script: the same box as `Inbox`, whose calls block and return plain values."""

        def receive(self, *, timeout: float | None = None) -> T: ...
        def receive_nowait(self) -> T: ...
        def __iter__(self) -> Iterator[T]: ...
        def close(self) -> None: ...

    class ScriptOutbox(Generic[T]):
        """The outbox of a script: the same box as `Outbox`, whose calls block until done."""

        def send(self, message: T) -> None: ...
        def send_nowait(self, message: T) -> None: ...
        def close(self) -> None: ...

else:

    class ScriptInbox:
        """The inbox of a script: the same box as `Inbox`, whose calls block and return plain values."""

        def __class_getitem__(cls, message_type):
            return _Declare(Inbox, message_type)

    class ScriptOutbox:
        """The outbox of a script: the same box as `Outbox`, whose calls block until done."""

        def __class_getitem__(cls, message_type):
            return _Declare(Outbox, message_type)
