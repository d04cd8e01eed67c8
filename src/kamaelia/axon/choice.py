"""Choosing: taking messages from several inboxes."""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Awaitable, Generator, Iterable, Iterator
from typing import Any, Generic, NoReturn, TypeVar

from .errors import EndOfMessages, shorten
from .inbox import Inbox
from .queue import TURN, Wait

T = TypeVar("T")


class Select(Generic[T]):
    """Messages of several inboxes, one at a time; made by `select`."""

    __slots__ = ("boxes", "timeout", "until")

    def __init__(
        self,
        boxes: tuple[Inbox[Any], ...],
        until: Inbox[Any] | Iterable[Inbox[Any]] | None,
        timeout: float | None,
    ) -> None:
        for box in boxes:
            if not isinstance(box, Inbox):
                raise TypeError(f"select({shorten(box)}, ...): select takes inboxes")
            box._check_open()
        if not boxes:
            raise TypeError("select() needs at least one inbox")
        untils = () if until is None else (until,) if isinstance(until, Inbox) else tuple(until)
        for box in untils:
            if box not in boxes:
                raise TypeError(f"select(..., until={box}): the box that ends it must be one of those listed")
        self.boxes = boxes
        self.until = untils
        self.timeout = timeout

    def receive(self) -> Awaitable[tuple[Inbox[Any], T]]:
        """Take one message from the first listed box that has one: in a script, ``select(a, b).receive()``.

        In a coroutine ``await select(a, b)`` is the same.
        """
        scheduler = self.boxes[0]._check_open()
        if get_ident() != scheduler.thread:
            return scheduler.from_thread(self.boxes[0].owner, lambda: self, wait=True)  # type: ignore[no-any-return]
        return self

    def __await__(self) -> Generator[Any, None, tuple[Inbox[Any], T]]:
        return self._wait(None)

    def __aiter__(self) -> Select[T]:
        return self

    def __anext__(self) -> Awaitable[tuple[Inbox[Any], T]]:
        return _SelectNext(self)

    def __iter__(self) -> Iterator[tuple[Inbox[Any], T]]:
        if get_ident() == self.boxes[0].queue.thread:
            raise TypeError("'for' over select(...) would block every other component: write 'async for'")
        return self._iterate()

    def _iterate(self) -> Iterator[tuple[Inbox[Any], T]]:
        while True:
            try:
                pair = self.receive()
            except EndOfMessages as end:
                if end.owner is self.boxes[0].owner:
                    return
                raise
            yield pair  # type: ignore[misc]

    def _wait(self, end: type[BaseException] | None) -> Generator[Any, None, Any]:
        boxes = self.boxes
        scheduler = boxes[0]._check_open()
        for box in boxes:
            box.asked = True
        wait: Wait | None = None
        timer = None
        try:
            while True:
                own = scheduler.is_running_component()
                for until in self.until:
                    if (wait is None or wait.turn is not until.queue) and self._is_over(until):
                        self._raise_end(end)
                waiting = False
                for box in boxes:
                    queue = box.queue
                    if wait is not None and wait.turn is queue:
                        wait.turn = None
                        queue.turns -= 1
                        return box, queue.take()
                    if queue.available():
                        # Who has not been suspended yet may take only within the budget of its step.
                        if wait is not None or (own and queue.has_budget(scheduler.steps)):
                            if own:
                                queue.set_fast(scheduler.steps)
                            return box, queue.take()
                        waiting = True
                    elif not self._is_over(box):
                        waiting = True
                if not waiting:
                    self._raise_end(end)
                if wait is None:
                    wait = Wait(scheduler, boxes[0].owner, "receive from", boxes)
                    if self.timeout is not None:
                        wait.timed = True
                        timer = scheduler.loop.call_later(max(0, self.timeout), self._is_late, wait)
                for box in boxes:
                    if not (box.gone or (box.ended and not box.queue.available())):
                        box.queue.line_up(wait)
                        if wait.turn is not None:
                            break
                if wait.turn is None:
                    yield from wait.park()
                else:
                    yield from TURN.__await__()
                for box in boxes:
                    if wait.turn is not box.queue:
                        box.queue.leave(wait)
        finally:
            if timer is not None:
                timer.cancel()
            if wait is not None:
                for box in boxes:
                    box.queue.leave(wait)

    def _is_late(self, wait: Wait) -> None:
        wait.fail(TimeoutError(f"{self._names} got no message within {self.timeout:g} s"))

    def _is_over(self, box: Inbox[Any]) -> bool:
        """Say whether a box has nothing more to give; its failure counts as its last message."""
        if box.gone:
            return True
        if not box.ended or box.queue.available():
            return False
        if box.failure is not None and not box.failure_told:
            box.failure_told = True
            box.raise_end(None)
        return True

    @property
    def _names(self) -> str:
        return f"select({', '.join(str(box) for box in self.boxes)})"

    def _raise_end(self, end: type[BaseException] | None) -> NoReturn:
        if end is not None:
            raise end
        ended = EndOfMessages(f"{self._names} has ended: everything that will ever arrive has been received")
        ended.owner = self.boxes[0].owner
        raise ended


class _SelectNext:
    """What iterating a `Select` awaits."""

    __slots__ = ("select",)

    def __init__(self, select: Select[Any]) -> None:
        self.select = select

    def __await__(self) -> Generator[Any, None, Any]:
        return self.select._wait(StopAsyncIteration)


def select(
    *boxes: Inbox[Any],
    until: Inbox[Any] | Iterable[Inbox[Any]] | None = None,
    timeout: float | None = None,
) -> Select[Any]:
    """Take messages from several inboxes: one from the first listed box that has any.

    ``box, message = await select(a, b)`` takes one, ``async for box, message in select(a, b)`` takes all;
    in a generator ``yield select(a, b)``; in a script ``select(a, b).receive()`` and a plain ``for``.
    Listed order is priority. Ended boxes are skipped.

    Arguments:
        boxes: inboxes of the component
        until: one of them, or several in a list; when one of these has ended, so has the select, whatever the
            others hold
        timeout: seconds to wait for a message

    Raises `EndOfMessages` when all boxes have ended, or ``until`` has; `SourceFailed` once for a box whose
    source failed, in listed order; `TimeoutError`.
    """
    return Select(boxes, until, timeout)
