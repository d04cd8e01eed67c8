"""The scheduler: gives every component that has something to do a step, in turn.

Theory
------
The scheduler is not an event loop; it runs *on* one. Components that can go on stand in the ``ready``
queue. While there are any, the scheduler has one callback in the loop, the *slice*: it steps components
in order, at most `SLICE` of them, and then lets the loop look at its sockets and timers. So a component
may await anything that an asyncio loop can wake it from, and nothing here ever waits for anything.

A **step** runs a component's coroutine from one suspension to the next. During it, the component is the
loop's current task: asyncio's own time-outs and task groups find it there. What comes out of the step says
how to go on: plain ``None`` after the component has put itself into a line (`queue.Wait`), ``None``
without a line for "give others a turn", or a future of asyncio.

**Nothing is timed, everything is counted**: steps in a slice, messages in a step. So the same messages at
the same times give the same steps, on any machine and in simulated time.

**Rest.** A system is at rest when nobody is ready, every live component waits on a box without a time-out,
and nobody outside holds an inbox. Two counters say so, and they are looked at only when the ready
queue has run empty. What rest means, an end or a deadlock, the `system` decides.

**Other threads** get the interpreter's lock when somebody lets go of it for long enough, or when they have
waited for 5 ms, in vain. A busy loop does neither: it lets go at each look at its sockets, which wakes a
thread that waits, and has the lock again before that thread runs. So after each `STRETCH` it stands back:
this alone goes by time, and changes no step.

What does not belong here: where messages go (`postman`), what waits on a queue (`queue`), what a failure
does to others (`lifecycle`).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import inspect
import threading
from _thread import get_ident
from asyncio import tasks as asyncio_tasks
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from . import core
from .clock import PlainVirtualClock, VirtualClock, monotonic, stand_back
from .errors import ClosedBox

if TYPE_CHECKING:
    from .box import Box
    from .link import Route
    from .process import Process
    from .queue import Wait
    from .system import System

SLICE = 200  # steps between two looks at sockets and timers
STRETCH = 0.01  # seconds that a busy system goes on between two chances for other threads


_current_tasks: dict[Any, Any] = getattr(asyncio_tasks, "_current_tasks", {})


def make_current_by_table(loop: asyncio.AbstractEventLoop, task: Any) -> Any:
    """Up to 3.13 asyncio keeps the current task of each loop in a table that we may write to."""
    if task is None:
        _current_tasks.pop(loop, None)
    else:
        _current_tasks[loop] = task


def _cannot(loop: asyncio.AbstractEventLoop, task: Any) -> Any:
    """Do nothing: on this interpreter no component can be the current task, and each needs one of asyncio's
    (`tasks`)."""


def _find_way_to_be_current() -> Callable[[Any, Any], Any]:
    """Try out on this interpreter how a component can be the loop's current task."""
    ways: list[Callable[[Any, Any], Any]] = [make_current_by_table]
    if hasattr(asyncio_tasks, "_swap_current_task"):
        ways.append(asyncio_tasks._swap_current_task)
    probe: Any = object()
    loop: Any = object()  # only looked up by its identity
    for way in ways:
        try:
            way(loop, probe)
            found = asyncio.current_task(loop) is probe
            way(loop, None)
        except Exception as error:  # an interpreter newer than those tested: the next way may do
            del error
            continue
        if found and asyncio.current_task(loop) is None:
            return way
    return _cannot


make_current = _find_way_to_be_current()
current_task: Callable[[Any], Any] = (
    _current_tasks.get if make_current is make_current_by_table else asyncio.current_task
)
CAN_BE_CURRENT = make_current is not _cannot


class Scheduler:
    """Steps the components of one system on one event loop."""

    __slots__ = core.NO_SLOTS

    system: System
    loop: asyncio.AbstractEventLoop
    thread: int
    running: Process | None  # whose step this is
    steps: int
    live: int  # components with a body that has not ended
    parked: int  # of these, how many wait on a box without a time-out
    loops: dict[Box[Any], None] | None  # inboxes whose only sources are feedback links
    on_step: Callable[[Process], object] | None  # called after each step, by whoever looks at a run
    # Told when a component has "started" or "ended", and when a link was "linked" or "unlinked".
    observer: Callable[[str, Any], object] | None

    _outside: int
    _rest_checks: int
    _stood_back: float
    # What other threads wait for, each with what the loop is to run for it.
    _asked: dict[concurrent.futures.Future[Any], Coroutine[Any, Any, Any]] | None
    _closed: bool
    # An empty context of our own, or each callback would keep the context of whoever caused it. All loops on
    # one virtual clock share one: of them only one runs at a time.
    _context: contextvars.Context

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.thread = get_ident()
        self.running = None
        self.steps = 0
        self.live = 0
        self.parked = 0
        self.loops = None
        self.on_step = None
        self.observer = None
        self._outside = 0
        self._rest_checks = 0
        self._stood_back = monotonic()
        self._asked = None  # made when somebody asks
        self._closed = False
        clock = getattr(loop, "clock", None)
        self._context = clock.context if isinstance(clock, VirtualClock) else contextvars.Context()

    # -- who runs ---------------------------------------------------------------------------------

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Have the loop call something, from whatever thread."""
        if get_ident() == self.thread:
            self.loop.call_soon(callback, context=self._context)
        else:
            self.loop.call_soon_threadsafe(callback, context=self._context)

    def suspended_task(self, wait: Wait) -> contextlib.AbstractContextManager[None]:
        """Return what some other task of the loop waits within; it is no component, but see `tasks`."""
        return _NOTHING

    def is_running_component(self) -> bool:
        """Say whether the running code is a component's own, not some other task of the loop."""
        process = self.running
        if process is None:
            return False
        return current_task(self.loop) is process.component

    def plain_clock(self, process: Process) -> PlainVirtualClock | None:
        """Return the clock in whose queue a component may put itself, if it is one of the plain form."""
        return None

    def stay_busy(self) -> None:
        """A slice is over, and somebody is ready still: now and then let other threads have a turn."""
        now = monotonic()
        if now - self._stood_back >= STRETCH:
            self._stood_back = now
            stand_back()

    # -- rest -------------------------------------------------------------------------------------

    @property
    def outside(self) -> int:
        """How many holds from outside there are on inboxes of this system."""
        return self._outside

    @outside.setter
    def outside(self, count: int) -> None:
        fewer = count < self._outside
        self._outside = count
        if fewer:
            self.look_for_rest()  # the last may have gone in a callback, after which there is no slice

    def look_for_rest(self) -> None:
        """See whether the system may be at rest; callbacks that are due already come first."""
        if self.parked == self.live and not self.outside and not self.busy and not self._rest_checks:
            self._rest_checks = 2
            self.call_soon(self._check_rest)

    def _check_rest(self) -> None:
        if self.parked != self.live or self.outside or self.busy:
            self._rest_checks = 0
        elif self._rest_checks > 1:
            self._rest_checks -= 1
            self.call_soon(self._check_rest)
        else:
            self._rest_checks = 0
            self.system.at_rest()

    # -- other threads ----------------------------------------------------------------------------

    def from_thread(self, owner: Process, call: Callable[[], Any], *, wait: bool) -> Any:
        """Make a box call for another thread, which blocks until it is done."""
        from . import script

        thread = script.current()
        if thread is not None:
            return thread.request(call, wait)

        if owner.script is not None:
            owner.script.stir()

        async def answer() -> Any:
            result = call()
            return await result if wait else result

        return self.ask(answer())

    def ask(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Have the loop run a coroutine for another thread, which blocks until it is done.

        Raises `ClosedBox` when the loop ends before that.
        """
        future: concurrent.futures.Future[Any] | None = None
        with _ASKING:
            if not self._closed:
                with contextlib.suppress(RuntimeError):  # the loop is closed, and `close` will be called
                    future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
                    if self._asked is None:
                        self._asked = {}
                    self._asked[future] = coroutine
        try:
            if future is None:
                raise ClosedBox(_OVER)
            return future.result()
        except concurrent.futures.CancelledError:  # as the loop was closed
            raise ClosedBox(_OVER) from None
        finally:
            if future is None:
                coroutine.close()
            else:
                future.cancel()  # if this thread was interrupted; a future that is done stays as it is
                with _ASKING:
                    if self._asked is not None:
                        self._asked.pop(future, None)

    async def end_asking(self) -> None:
        """The system has ended: other threads get an answer to what they have asked for, and ask no more."""
        with _ASKING:
            self._closed = True
            asked = [asyncio.wrap_future(future) for future in self._asked or ()]
        if asked:  # all but sleeps, for which nobody needs to wait, are about boxes that are closed by now
            await asyncio.wait([asyncio.gather(*asked, return_exceptions=True)], timeout=1)

    def close(self) -> None:
        """The loop is closed: threads that still wait for an answer get none."""
        with _ASKING:
            self._closed = True
            asked = list(self._asked.items()) if self._asked else []
        for future, coroutine in asked:
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()
            with contextlib.suppress(concurrent.futures.InvalidStateError):  # it has its answer
                future.set_exception(ClosedBox(_OVER))

    # -- what each form of the core does in its own way ---------------------------------------------

    if TYPE_CHECKING:

        @property
        def busy(self) -> bool: ...
        def make_ready(self, process: Process) -> None: ...
        def at_end_of_step(self, route: Route) -> None: ...


_NOTHING = contextlib.nullcontext()

# What keeps `_asked` whole. One for all systems will do: it is held for a moment, by few.
_ASKING = threading.Lock()

# What only the methods above use.
REST = ("_asked", "_closed", "_context", "_outside", "_rest_checks", "_stood_back", "system")


class _Turn:
    """A slice of a scheduler's, in the queue of a plain `VirtualClock`."""

    __slots__ = ("_loop", "_run")

    _cancelled = False

    def __init__(self, scheduler: PlainScheduler) -> None:
        self._loop = scheduler.loop
        self._run = scheduler._slice


class PlainScheduler(Scheduler):
    """A scheduler, as the plain form of the core has it."""

    __slots__ = (
        *REST,
        "_clock",
        "_scheduled",
        "_turn",
        "live",
        "loop",
        "loops",
        "observer",
        "on_step",
        "parked",
        "ready",
        "running",
        "steps",
        "thread",
        "turns_given",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.ready: deque[Any] = deque()
        self.turns_given: list[Any] = []  # room that was given to the running component
        self._scheduled = False
        clock = getattr(loop, "clock", None)
        # Its queue is ours, where nothing else depends on how a loop calls what it calls.
        self._clock = clock if isinstance(clock, PlainVirtualClock) and not loop.get_debug() else None
        self._turn = _Turn(self)

    @property
    def busy(self) -> bool:
        """Whether a component is ready."""
        return bool(self.ready)

    def make_ready(self, process: Process) -> None:
        """Put a component at the end of the ready queue."""
        self.ready.append(process)
        if not self._scheduled:
            self._scheduled = True
            clock = self._clock
            if clock is not None and get_ident() == self.thread:
                clock.ready.append(self._turn)
            else:
                self.call_soon(self._slice)

    def plain_clock(self, process: Process) -> PlainVirtualClock | None:
        """See `Scheduler`."""
        if self.running is not process or self._clock is None or self.loop.has_own_time:  # type: ignore[attr-defined]
            return None
        # An eager task may run in the midst of a step.
        if process.abandoned is not None or current_task(self.loop) is not process.component:
            return None
        return self._clock

    def _slice(self) -> None:
        ready, loop = self.ready, self.loop
        left = SLICE
        try:
            while ready and left:
                left -= 1
                process = ready.popleft()
                if process.component is None:  # an outlet: it is nobody's step
                    self.running = None
                    make_current(loop, None)
                    process.step()
                    continue
                self.steps += 1
                self.running = process
                process.steps += 1
                make_current(loop, process.component)
                process.step()
                if self.on_step is not None:
                    self.on_step(process)
                if self.turns_given:
                    self._take_turns_back()
        except BaseException as error:
            self.system.abort(error)
            if not isinstance(error, Exception):
                raise
        finally:
            make_current(loop, None)
            self.running = None
            if self.loops:
                self.system.check_loops()
            if ready:
                self.stay_busy()
                loop.call_soon(self._slice, context=self._context)
            else:
                self._scheduled = False
                self.look_for_rest()

    def at_end_of_step(self, route: Route) -> None:
        """Take back, when the running step ends, what a sender has not used of the room it was given."""
        self.turns_given.append(route)
        if self.running is None:
            self.call_soon(self._take_turns_back)

    def _take_turns_back(self) -> None:
        routes = self.turns_given[:]
        self.turns_given.clear()
        for route in routes:
            route.queue.give_back(route)


_OVER = "the system has ended: nothing can be sent into it or received from it any more"
