"""`sleep`, `clock` and `random`: the time and the chance of the component that asks.

A component takes both from the system that it runs in, never from the machine. So the same component keeps
real time on real sockets and virtual time in a simulation, and a run with a seed can be run again.
"""

from __future__ import annotations

import numbers
from _thread import get_ident
from collections.abc import Awaitable, Generator
from heapq import heappush
from typing import TYPE_CHECKING, Any

from .clock import calendar as calendar_of
from .clock import nanoseconds
from .errors import UsageError, shorten
from .process import Process, current_process
from .queue import Wait

if TYPE_CHECKING:
    import random as random_module

    from .component import Component

    Chance = random_module.Random
else:
    Chance = object


def here() -> Process:
    """Return the process of the component whose code runs."""
    try:
        process = current_process.get()
    except LookupError:
        raise UsageError(
            "sleep, clock and random belong to a component: call them in its body, or in what it calls. "
            "Outside of a system use asyncio's, or `time` and `random` of the standard library"
        ) from None
    return process


def current_component() -> Component:
    """Return the component whose code runs, also in the tasks and threads that it has started.

    Unlike `asyncio.current_task`, which in such a task is the task.
    """
    return here().component


def sleep(seconds: float) -> Awaitable[None]:
    """Wait for some seconds of the system's time. Await it, yield it, or, in a script, just call it.

    Unlike `asyncio.sleep` it ends at once with `BrokenLink` when nobody listens to the component any more.
    """
    if type(seconds) is not float and not isinstance(seconds, numbers.Real):
        raise TypeError(
            f"sleep({shorten(seconds)}): give a number of seconds, such as sleep(0.5); of a timedelta, its "
            "total_seconds()"
        )
    process = current_process.get(None) or here()
    awaitable = _Sleep(process, seconds)
    if get_ident() != awaitable.scheduler.thread:
        return awaitable.scheduler.from_thread(process, lambda: awaitable, wait=True)  # type: ignore[no-any-return]
    return awaitable


def plain_sleep(process: Process, seconds: float) -> Awaitable[None]:
    """Return what a component awaits, wherever the compiled core does not do it in its own way."""
    return _Sleep(process, seconds)


def clock() -> float:
    """Return the time of the system in seconds; only differences mean something."""
    scheduler = here().scheduler
    assert scheduler is not None
    return scheduler.loop.time()


def calendar() -> float:
    """Return the calendar time of the system: seconds since 1970-01-01 00:00 UTC, see `clock.calendar`."""
    scheduler = here().scheduler
    assert scheduler is not None
    return calendar_of(scheduler.loop)


class _Sleep(Wait):
    """What `sleep` returns. In virtual time it stands in the clock's queue itself."""

    __slots__ = ("_cancelled", "_loop", "seconds")

    def __init__(self, process: Process, seconds: float) -> None:
        scheduler = process.scheduler
        assert scheduler is not None
        self.scheduler = scheduler
        self.owner = process
        self.process = None
        self.verb = "sleep"
        self.where = ()
        self.turn = self.future = self.callback = None
        self.timed = True
        self.seconds = seconds

    def __await__(self) -> Generator[Any, None, None]:
        if self.seconds <= 0:
            yield
            return
        process: Any = self.owner
        scheduler = self.scheduler
        clock = scheduler.plain_clock(process)
        if clock is None or self.process is not None:  # or it is awaited again
            yield from self._sleep_on_loop()
            return
        self.process = process
        self._cancelled = False
        self._loop: Any = scheduler.loop
        process.wait = self
        clock.serial = serial = clock.serial + 1
        heappush(clock.timers, (clock.now + nanoseconds(self.seconds), serial, self))
        try:
            yield
        finally:
            if process.wait is self:  # see `Wait.park`
                process.wait = None
            if self._loop is not None:
                self._cancelled = True
                clock.forget_timer()

    def _run(self) -> None:
        self._loop = None
        self.process.resume(self)  # type: ignore[union-attr]

    def _sleep_on_loop(self) -> Generator[Any, None, None]:
        wait = Wait(self.scheduler, self.owner, "sleep", ())
        wait.timed = True
        loop: Any = self.scheduler.loop
        timer = getattr(loop, "call_in", loop.call_later)(self.seconds, wait.wake)
        try:
            yield from wait.park()
        finally:
            timer.cancel()


class _Random(Chance):
    """The random stream of the component that asks: every method of `random.Random`.

    Each component has a stream of its own, made from the seed of the run and the component's path; so one
    component that draws more often does not change what another draws.
    """

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):  # inspect and doctest look for some in whatever a module imports
                raise AttributeError(name)
            return getattr(stream_of(here()), name)

    def __repr__(self) -> str:
        return "<the random stream of the running component>"


def stream_of(process: Process) -> random_module.Random:
    """Return a component's random stream."""
    if process.random is None:
        import random as random_module  # here, because most programs never need it and it takes a millisecond

        assert process.system is not None
        process.random = random_module.Random(f"{process.system.seed}/{process.path}")
    return process.random


random = _Random()
