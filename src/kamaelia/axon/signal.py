"""A signal: how something outside of the boxes, such as a transport, wakes a component that waits for it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from .errors import UsageError
from .here import here
from .queue import Wait


class Signal:
    """Wakes the one component that awaits it: a sleep without a given end.

    Like every wait on a box or `sleep` it ends with `BrokenLink` when nobody listens to the component any
    more; an `asyncio.Event` would not. What is waited for comes from outside, so to wait for it is no
    deadlock. Waking is no message: who is woken looks whether what it waits for has come, and otherwise
    awaits again.

    Arguments:
        verb: what the component waits to do, for those who ask: ``"hear from its connection"``

    Example:
        ``while not stream.writable: await stream.changed``; the transport's callback says
        ``stream.changed.set()``.
    """

    __slots__ = ("_verb", "_wait")

    def __init__(self, verb: str = "be woken") -> None:
        self._verb = verb
        self._wait: Wait | None = None

    def set(self) -> None:
        """Wake whoever awaits the signal; nobody, if nobody does. On the loop's own thread."""
        wait, self._wait = self._wait, None
        if wait is not None:
            wait.wake()

    def __await__(self) -> Generator[Any, None, None]:
        process = here()
        assert process.scheduler is not None
        if self._wait is not None:
            raise UsageError(
                f"{process.path} waits to {self._verb} twice: one of the two would never be woken"
            )
        wait = self._wait = Wait(process.scheduler, process, self._verb, ())
        wait.timed = True
        try:
            yield from wait.park()
        finally:
            if self._wait is wait:
                self._wait = None
