"""Inboxes: where messages arrive, and the ways to receive them.

The usual way to a message is short: `_Take` or `_Next`, and the queue. Whatever needs more (to wait, to end,
to take turns) is in `Inbox.wait_for_message`.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar, final

from . import core, postman
from .box import Box, Declare, PlainBox
from .errors import ClosedBox, EndOfMessages, SourceFailed, UsageError, WouldBlock, text_of
from .link import Link
from .queue import TURN, Queue, Wait, make_queue, parse_size

if TYPE_CHECKING:
    from .hold import Hold
    from .process import Process
    from .scheduler import Scheduler

T = TypeVar("T")

DEFAULT_SIZE: Final = 100  # messages


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
        size: the mark at which senders wait: messages, or bytes as in ``"256 KiB"``, where an empty message
            counts as one byte, and 4096 messages fill it, however small
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

    __slots__ = core.NO_SLOTS

    is_inbox = True
    size: int
    in_bytes: bool
    held: bool
    asked: bool  # somebody has tried to receive here
    gone: bool  # its component has ended or closed it: nobody will read it any more
    unread: int  # messages that nobody read
    keeps_queue: bool  # a seat's: its queue outlives its occupants
    end_told: bool  # a reader has seen the end, or the failure
    failure_told: bool  # `select` has raised the failure of this box
    queue: Queue

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(DeclaredInbox if cls is Inbox else cls)  # type: ignore[redundant-expr]

    def __init__(
        self,
        doc: str = "",
        *,
        size: int | str = DEFAULT_SIZE,
        held: bool = False,
        type: Any = Any,
    ) -> None:
        self.doc = doc
        self.type = type
        self.size, self.in_bytes = parse_size(size, f"inbox {doc!r}")
        self.held = held

    def __init_subclass__(cls, *, core: bool = False) -> None:
        if not core:
            raise TypeError("Inbox is final: declare boxes in your component, do not subclass them")

    def attached(self, owner: Process, name: str) -> Inbox[T]:
        """Make a component's own inbox from this declaration."""
        return core.Inbox(self, owner, name)

    # -- receiving --------------------------------------------------------------------------------

    def receive(self, *, timeout: float | None = None) -> Awaitable[T]:
        """Wait for the next message and take it.

        Raises `EndOfMessages` when there will be no more, `SourceFailed` when what fed the inbox failed,
        `TimeoutError` after ``timeout`` seconds. Cancelling it or timing out never loses a message.
        """
        raise self._unusable()

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
        raise self._unusable()

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
                        timer = scheduler.loop.call_later(max(0, timeout), self._is_late, wait, timeout)
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

    def _is_late(self, wait: Wait, timeout: float) -> None:
        wait.fail(TimeoutError(f"{self} got no message within {timeout:g} s"))

    def raise_end(self, end: type[BaseException] | None) -> NoReturn:
        """Raise what a reader gets after the last message."""
        self.end_told = True
        if self.failure is not None:
            failed = SourceFailed(
                f"{self}: what fed it failed ({type(self.failure).__name__}: {text_of(self.failure)}); "
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
            own = self.lender is None
            if self.settled and self.outside:
                self.owner.scheduler.outside -= self.outside  # type: ignore[union-attr]
            postman.close_reader(self)
            if own:  # now that nobody can put more in, not even a script on its own thread
                self.unread += len(self.queue)
            self.queue.wake_readers()

    def resize(self, size: int | str) -> None:
        """Move the mark at which senders wait: a number of messages, or bytes as in ``"256 KiB"``.

        From messages to bytes, or back, only while the inbox is empty and nothing is linked to it.
        """
        number, in_bytes = parse_size(size, str(self))
        if in_bytes is not self.in_bytes:
            if len(self.queue) or self.queue.feeders or self.keeps_queue or self.lender is not None:
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
        old = self.queue
        self.queue = core.make_queue(self.size, self.in_bytes)
        self.queue.thread = old.thread
        if old.checks is not None:
            self.queue.check()

    @property
    def closed(self) -> bool:
        """Whether `close` has been called, by the component or by its end."""
        return self.gone

    def statistics(self) -> InboxStatistics:
        """Return how full the inbox is and what has passed through it."""
        queue = self.queue
        return InboxStatistics(
            waiting=queue.waiting(),
            size=queue.size,
            peak=max(queue.peak, queue.waiting()),
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

    def _unusable(self) -> BaseException:
        """Return the error for who receives from a mere declaration."""
        self._check_open()
        return AssertionError(f"{self} is of no form of the core")

    def _on_another_thread(self) -> bool:
        scheduler = self.owner.scheduler
        return scheduler is not None and get_ident() != scheduler.thread

    def _elsewhere(self, call: Callable[[], Any], *, wait: bool) -> Any:
        return self._check_open().from_thread(self.owner, call, wait=wait)


class DeclaredInbox(Inbox[T], core=True):  # type: ignore[misc]  # final for users
    """What ``Inbox(...)`` makes: the declaration of a box, in the body of a class."""

    __slots__ = ("doc", "held", "in_bytes", "name", "size", "type")

    owner: Any = None


class PlainInbox(PlainBox[T], Inbox[T], core=True):  # type: ignore[misc]
    """A component's own inbox, as the plain form of the core has it."""

    __slots__ = (
        "_iterator",
        "asked",
        "end_told",
        "failure_told",
        "gone",
        "held",
        "in_bytes",
        "keeps_queue",
        "queue",
        "size",
        "unread",
    )

    def __init__(self, declaration: Inbox[Any], owner: Process, name: str) -> None:
        super().__init__(declaration, owner, name)
        self.size, self.in_bytes = declaration.size, declaration.in_bytes
        self.held = declaration.held
        if self.held:
            self.holds = 1
        self.queue = make_queue(self.size, self.in_bytes)
        self.asked = False
        self.gone = False
        self.unread = 0
        self.keeps_queue = False
        self.end_told = False
        self.failure_told = False
        self._iterator = _Iterator(self)

    def receive(self, *, timeout: float | None = None) -> Awaitable[Any]:
        """See `Inbox`."""
        if get_ident() == self.queue.thread:
            # A new one for each call, however alike they are: asyncio.gather awaits equal objects only once.
            return _Take(self) if timeout is None else TimedTake(self, timeout)
        return self._elsewhere(  # type: ignore[no-any-return]
            lambda: self.receive(timeout=timeout), wait=True
        )

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._iterator


class _Take:
    """What `receive` returns; nothing but ``await`` can be done with it."""

    __slots__ = ("box",)

    def __init__(self, box: PlainInbox[Any]) -> None:
        self.box = box

    def __await__(self) -> Generator[Any, None, Any]:
        queue = self.box.queue
        items = queue.items
        if items and queue.received < queue.fast_until:
            queue.received += 1
            message = items.popleft()
            if len(items) <= queue.alarm:
                queue.on_alarm()
            return message
        return (yield from self.box.wait_for_message(None))

    def __getattr__(self, name: str) -> Any:
        raise no_message_yet(self.box, name)

    def __repr__(self) -> str:
        return describe_take(self.box)


class TimedTake:
    """What `receive` returns when it is given a time-out."""

    __slots__ = ("box", "timeout")

    def __init__(self, box: Inbox[Any], timeout: float) -> None:
        self.box = box
        self.timeout = timeout

    def __await__(self) -> Generator[Any, None, Any]:
        return self.box.wait_for_message(None, self.timeout)

    def __getattr__(self, name: str) -> Any:
        raise no_message_yet(self.box, name)

    def __repr__(self) -> str:
        return describe_take(self.box)


def no_message_yet(box: Inbox[Any], name: str) -> AttributeError:
    """Make the error for who uses what `receive` returns as if it were the message."""
    return AttributeError(
        f"this is no message yet, so it has no {name!r}: write 'await {box.name}.receive()' "
        f"in a coroutine, 'yield {box.name}.receive()' in a generator"
    )


def describe_take(box: Inbox[Any]) -> str:
    """Return how what `receive` returns is shown to people."""
    return f"<receive() of {box}, which nobody has awaited>"


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


if TYPE_CHECKING:

    class ScriptInbox(Generic[T]):
        """The inbox of a script: the same box as `Inbox`, whose calls block and return plain values."""

        def receive(self, *, timeout: float | None = None) -> T: ...
        def receive_nowait(self) -> T: ...
        def __iter__(self) -> Iterator[T]: ...
        def close(self) -> None: ...

else:

    class ScriptInbox:
        """The inbox of a script: the same box as `Inbox`, whose calls block and return plain values."""

        def __class_getitem__(cls, message_type):
            return Declare(Inbox, message_type)
