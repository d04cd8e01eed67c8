"""Time: the machine's, and one of our own.

Every system takes its time from its event loop. `VirtualLoop` is an asyncio event loop whose time does not
pass by itself: when nothing is left to do at one instant, its `VirtualClock` jumps to the next timer. So an
hour of a system's life takes as long as its computations, and always goes the same way.

Several loops can share one clock; `kamaelia.testbed` has one for each simulated host. Callbacks of all of
them stand in one queue in the order in which they became due, timers in one heap ordered by time and then by
a serial number, so nothing depends on hashes, addresses or threads.

**Who is always busy**, with ``while not done: await asyncio.sleep(0)``, would keep time at one instant for
ever, since nothing that is computed takes any. So after `MOST_TURNS` turns in which somebody was ready all
the time, a clock goes on to the next timer all the same.

**Whole nanoseconds.** A clock counts them, so time neither drifts nor depends on the order of additions. Only
asyncio's methods know seconds, as floats: ``loop.time()`` is the nearest to the nanoseconds, and a timer set
for such a time fires at the first nanosecond that is not before it. So nobody who asks a loop for the time in
a timer finds that it is too early, and what `kamaelia.axon.sleep` is told in seconds stays exact.

This is the only module that looks at the machine's clock.
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
from _thread import get_ident
from asyncio import base_events, coroutines, events, format_helpers, futures
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from . import baton, core

monotonic = time.monotonic
monotonic_nanoseconds = time.monotonic_ns
thread_time = time.thread_time  # how long the processor has worked for the thread that asks
sleep_for_real = time.sleep
calendar_for_real = time.time  # seconds since 1970-01-01 00:00 UTC, where there is no loop to ask


EPOCH = 946_684_800.0  # 2000-01-01 00:00:00 UTC in Unix time: the calendar when virtual time is 0
ROUNDING = 1e-9  # seconds: a time that was computed may be this much beside the one that was meant
MOST_TURNS = 1_000_000  # of a clock, at one instant
NEVER = 2**63 - 1  # nanoseconds: no clock comes so far


def nanoseconds(seconds: float) -> int:
    """Return a duration in whole nanoseconds, the nearest; what is longer than nothing is at least one.

    >>> nanoseconds(0.1 + 0.2), nanoseconds(1e-12), nanoseconds(1e300) == NEVER
    (300000000, 1, True)
    """
    exact = seconds * 1e9
    if exact >= NEVER:
        return NEVER
    return round(exact) or int(exact > 0)


def instant(when: float) -> int:
    """Return the first nanosecond that is not before a time in seconds, as a loop's ``time()`` tells it.

    >>> instant(0.3), instant(0.1 + 0.2)
    (300000000, 300000001)
    """
    exact = when * 1e9
    if exact >= NEVER:
        return NEVER
    nearest = round(exact)
    while nearest / 1e9 < when:  # far from 0 several nanoseconds are one float
        nearest += 1
    return nearest


def calendar(loop: events.AbstractEventLoop) -> float:
    """Return the calendar time of a loop: seconds since 1970-01-01 00:00 UTC.

    On a virtual loop it is `EPOCH` plus the virtual time, so that a simulated day is the same day in every
    run. In a component, `kamaelia.axon.here.calendar` finds the loop by itself.

    >>> loop = VirtualLoop()
    >>> calendar(loop)
    946684800.0
    >>> loop.close()
    """
    return EPOCH + loop.time() + loop.skew if isinstance(loop, VirtualLoop) else time.time()


def stand_back() -> None:
    """Let go of the interpreter's lock for long enough (some 50 us) that a thread which waits for it gets it.

    Other than all else here this takes no virtual time, and nothing that a component does depends on it.
    """
    sleep_for_real(1e-6)


def fresh_seed() -> int:
    """Return a seed that nobody could foretell, for a run to which none was given.

    Of 64 bits, for what is drawn is to surprise strangers as well: see the masks of WebSocket.
    """
    return int.from_bytes(os.urandom(8), "big")


class NothingLeft(RuntimeError):
    """Virtual time cannot go on: nothing is ready, no timer is set, no thread works."""


def nothing_left() -> NoReturn:
    """Raise what virtual time raises that cannot go on."""
    raise NothingLeft(
        "virtual time cannot go on: nothing is ready, no timer is set and no thread works. "
        "Something waits for what will never come"
    )


class VirtualClock:
    """One virtual time, and everything that is to happen in it. Made in the form of the core in use.

    What is to happen is anything like asyncio's handles: with a method ``_run``, with ``_cancelled``, and
    with ``_loop``, the loop that is running meanwhile, or None if it calls nobody's code.
    """

    now: int
    """The time in nanoseconds."""
    frozen: int
    """How many loops are frozen: what happens on these is put aside (`VirtualLoop.put_aside`)."""
    limit: int
    """The time in nanoseconds before which `turns` ends: it goes on to none that is not before it."""
    is_at_limit: bool
    """That is why the last `turns` has ended."""

    def __new__(cls, *args: Any, **kwargs: Any) -> VirtualClock:
        if cls is VirtualClock:
            return core.VirtualClock.__new__(core.VirtualClock)
        return object.__new__(cls)

    def __init__(self) -> None:
        self.context = contextvars.Context()  # an empty one, for what is called in nobody's
        self.hears_threads = False  # one may add something, or has: ask `_collect`
        self._expected: dict[Any, None] = {}  # whose threads are at work for us: the clock stands still
        self._from_threads: deque[Any] = deque()
        self._arrival = threading.Condition()
        self._waits = False  # for an arrival
        self._turns_here = 0  # at this instant
        self.limit = NEVER

    # -- what is to happen, from other threads ------------------------------------------------------

    def add_from_thread(self, handle: Any) -> None:
        """Add something from another thread."""
        with self._arrival:
            self.hears_threads = True
            self._from_threads.append(handle)
            self._arrival.notify()

    def add_from_loop(self, handle: Any) -> None:
        """Add something from the loop's own thread, maybe from a signal handler that runs in it."""
        with self._arrival:
            if self._waits:
                self._from_threads.append(handle)
                self._arrival.notify()
            else:
                self.add_ready(handle)

    def expect(self, who: Any) -> None:
        """Stand still until `forget`, when nothing is left to do at this instant: a thread is at work."""
        with self._arrival:
            self.hears_threads = True
            self._expected[who] = None
            self._arrival.notify()

    def forget(self, who: Any) -> None:
        """Somebody's thread is not waited for any more."""
        with self._arrival:
            self._expected.pop(who, None)
            self._arrival.notify()

    def _collect(self) -> bool:
        """Take over what other threads have added, and wait for it while they work."""
        with self._arrival:
            if not self._expected and not self._from_threads:
                self.hears_threads = False
                return False
            self._waits = True
            try:
                if not self._arrival.wait_for(self._need_not_wait, baton.PATIENCE):
                    for who in self._expected:
                        baton.warn_about(who, "It goes on when that thread does")
                    self._arrival.wait_for(self._need_not_wait)
            finally:
                self._waits = False
            found = bool(self._from_threads)
            while self._from_threads:  # one by one: a signal handler of this very thread may add to them
                self.add_ready(self._from_threads.popleft())
        return found

    def _need_not_wait(self) -> bool:
        return bool(self._from_threads) or not self._expected

    # -- letting it happen ------------------------------------------------------------------------

    def turn(self) -> None:
        """Do what is due now; when nothing is, go to the next instant at which something is."""
        self._turns_here += 1
        if not self._anything_due():
            when = self.next_time()
            if when is None:
                nothing_left()
            self.go_to(when)
            self._turns_here = 0
        elif self._turns_here > MOST_TURNS and (when := self.next_time()) is not None:
            self.go_to(when)
            self._turns_here = 0
        self._run_ready()

    def halt(self) -> None:
        """Have `turns` end after this turn; where none is made, the next `turns` makes none.

        May be called from any thread, and from a signal handler: it sets a flag that is looked at after each
        turn, and changes nothing of what happens.
        """
        self._halted = True

    def settle(self) -> None:
        """Do everything that is due at this instant, also what becomes due by it. Time does not pass."""
        while self._anything_due():
            self._run_ready()

    def advance(self, length: int) -> None:
        """Let some nanoseconds pass, and do everything that is due in them."""
        self.run_until(self.now + length)

    def run_until(self, end: int) -> None:
        """Do everything that is due up to and including a time; then it is that time."""
        self.settle()
        while (when := self.next_time()) is not None and when <= end:
            self.go_to(when)
            self.settle()
        self.go_to(end)

    # -- what each form of the core does in its own way ---------------------------------------------

    if TYPE_CHECKING:

        def turns(self, most: int) -> int: ...
        def add_ready(self, happening: Any) -> None: ...
        def add_timer(self, when: int, happening: Any) -> None: ...
        def add_again(self, when: int, serial: int, happening: Any) -> None: ...
        def next_serial(self) -> int: ...
        def forget_timer(self) -> None: ...
        def next_time(self) -> int | None: ...
        def go_to(self, when: int) -> None: ...
        def _run_ready(self) -> None: ...
        def _anything_due(self) -> bool: ...


class PlainVirtualClock(VirtualClock):
    """A clock, as the plain form of the core has it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.ready: deque[Any] = deque()
        self.timers: list[tuple[int, int, Any]] = []
        self.serial = 0
        self._cancelled = 0  # timers in the heap that have been cancelled
        self.running: events.AbstractEventLoop | None = None  # the loop, in one of the `turns`
        self.frozen = 0
        self.is_at_limit = self._halted = False

    def add_ready(self, happening: Any) -> None:
        """Add something that happens at this instant, after everything else that does."""
        self.ready.append(happening)

    def add_timer(self, when: int, happening: Any) -> None:
        """Add something that happens later."""
        heappush(self.timers, (when, self.next_serial(), happening))

    def add_again(self, when: int, serial: int, happening: Any) -> None:
        """Add something that was given its place among those of the same time before, by `next_serial`."""
        heappush(self.timers, (when, serial, happening))

    def next_serial(self) -> int:
        """Return a number that comes after all that there have been."""
        self.serial += 1
        return self.serial

    def forget_timer(self) -> None:
        """A timer was cancelled; when most of them are, the heap is made anew."""
        self._cancelled += 1
        if self._cancelled > 100 and self._cancelled * 2 > len(self.timers):
            self.timers[:] = [entry for entry in self.timers if not entry[2]._cancelled]
            heapify(self.timers)
            self._cancelled = 0

    def next_time(self) -> int | None:
        """Return when the next timer is due."""
        timers = self.timers
        while timers and timers[0][2]._cancelled:
            heappop(timers)
            self._cancelled -= 1
        return timers[0][0] if timers and timers[0][0] != NEVER else None

    def go_to(self, when: int) -> None:
        """Set the clock, and make everything ready that is due by then."""
        self.now = max(self.now, when)
        timers = self.timers
        while timers and timers[0][0] <= self.now:
            happening: Any = heappop(timers)[2]
            if happening._cancelled:
                self._cancelled -= 1
            else:
                if isinstance(happening, events.TimerHandle):
                    happening._scheduled = False  # type: ignore[attr-defined]
                self.ready.append(happening)

    def turns(self, most: int) -> int:
        """Make a number of turns, or fewer, and return how many of them are left.

        They end early when somebody has called `halt`, and before time would come to the `limit`. Made in
        pieces or in one go, they do the same. (It is `turn` again and again, in one piece, for speed.)
        """
        ready, timers, limit = self.ready, self.timers, self.limit
        before = self.running = events._get_running_loop()
        last = most + self._turns_here  # what `most` was when time went on
        self.is_at_limit = False
        try:
            while most and not self._halted:
                most -= 1
                if not ready and not (self.hears_threads and self._collect()):
                    if (not timers or timers[0][2]._cancelled) and self.next_time() is None:
                        nothing_left()
                    when, serial, happening = heappop(timers)
                    if when > self.now:
                        if when >= limit:
                            heappush(timers, (when, serial, happening))
                            if when == NEVER:
                                nothing_left()
                            self.is_at_limit = True
                            most += 1
                            break
                        self.now = when
                        last = most
                    elif last - most > MOST_TURNS:
                        heappush(timers, (when, serial, happening))
                        last = self._go_past(most, last)
                        most += 1  # it is not over yet
                        if self.is_at_limit:
                            break
                        continue
                    loop = happening._loop
                    if loop is not None and happening.__class__ is events.TimerHandle:
                        happening._scheduled = False  # type: ignore[attr-defined]
                    if not timers or timers[0][0] > self.now:  # it is the only one, as most are
                        if loop is None:
                            happening._run()
                            continue
                        if loop is not self.running:
                            self.running = loop
                            events._set_running_loop(loop)
                        if self.frozen and loop.is_frozen:
                            loop.put_aside(happening)
                        else:
                            happening._run()
                        continue
                    ready.append(happening)
                elif last - most > MOST_TURNS:
                    last = self._go_past(most, last)
                    if self.is_at_limit:
                        most += 1
                        break
                if timers and timers[0][0] <= self.now:
                    self.go_to(self.now)  # also while others keep each other busy at this instant
                for _ in range(len(ready)):
                    happening = ready.popleft()
                    if not happening._cancelled:
                        loop = happening._loop
                        if loop is not None and loop is not self.running:
                            self.running = loop
                            events._set_running_loop(loop)
                        if self.frozen and loop is not None and loop.is_frozen:
                            loop.put_aside(happening)
                        else:
                            happening._run()
        finally:
            self._halted = False
            self._turns_here = last - most
            self.enter(before)
        return most

    def _go_past(self, most: int, last: int) -> int:
        """Somebody was busy for too long at this instant: go on to the next timer if there is one."""
        self.go_to(self.now)
        when = self.next_time()
        if when is None:
            return last
        if when >= self.limit:
            self.is_at_limit = True
            return last
        self.go_to(when)
        return most

    def enter(self, loop: events.AbstractEventLoop | None) -> None:
        """Have a loop be the running one, in one of the `turns`."""
        if loop is not self.running:
            self.running = loop
            events._set_running_loop(loop)

    def _run_ready(self) -> None:
        ready = self.ready
        before = self.running = events._get_running_loop()
        try:
            for _ in range(len(ready)):
                happening = ready.popleft()
                if happening._cancelled:
                    continue
                loop = happening._loop
                if self.frozen and loop is not None and loop.is_frozen:
                    loop.put_aside(happening)
                    continue
                self.enter(loop)
                happening._run()
        finally:
            self.enter(before)

    def _anything_due(self) -> bool:
        """Make ready what is due at this instant, and say whether there is anything."""
        if self.timers and self.timers[0][0] <= self.now:
            self.go_to(self.now)  # also while others keep each other busy at this instant
        return bool(self.ready) or (self.hears_threads and self._collect())


class VirtualLoop(base_events.BaseEventLoop):
    """An asyncio event loop on a virtual clock. It has no sockets: `kamaelia.testbed` adds simulated ones.

    Example:
        >>> import asyncio
        >>> async def nap():
        ...     await asyncio.sleep(3600)
        ...     return asyncio.get_running_loop().time()
        >>> with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        ...     runner.run(nap())
        3600.0
    """

    clock: VirtualClock
    _crews: dict[Any, baton.Crew] | None = None  # by their executors, when there are any
    has_own_time = False
    """Its time is not the clock's."""
    fields: ClassVar[tuple[str, ...]] = ()
    """The attributes that each loop of this class has, for the compiled form to keep them in little room."""

    def __new__(cls, *args: Any, **kwargs: Any) -> VirtualLoop:
        kind: Any = core.virtual_loop(cls)
        return object.__new__(cls) if kind is cls else kind.__new__(kind)  # type: ignore[no-any-return]

    def __init__(self, clock: VirtualClock | None = None) -> None:
        # Not asyncio's own: what that sets is in the class, or made when it is asked for (see `_attributes`),
        # for there may be a hundred thousand loops.
        self.clock = clock or VirtualClock()
        if coroutines._is_debug_mode():  # type: ignore[attr-defined]
            self.set_debug(True)

    def __getattr__(self, name: str) -> Any:
        if name not in _MADE_WHEN_ASKED:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        made = self.__dict__[name] = _MADE_WHEN_ASKED[name]()
        return made

    async def shutdown_asyncgens(self) -> None:
        """See asyncio."""
        if "_asyncgens" in self.__dict__:
            await super().shutdown_asyncgens()
        self._asyncgens_shutdown_called = True

    skew = 0.0
    """Seconds by which its calendar is wrong."""
    is_frozen = False
    """Nothing happens on it: what was to is put aside."""

    def put_aside(self, happening: Any) -> None:
        """Keep something that was to happen. A loop that can be frozen has this."""
        raise NotImplementedError

    def have_own_time(self) -> None:
        """Its time is not the clock's any more."""
        self.has_own_time = True

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.clock.now / 1e9

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> events.Handle:
        """See asyncio."""
        self._check_closed()
        if self._debug:
            self._check_thread()
            self._check_callback(callback, "call_soon")
        handle = _without_own_frame(events.Handle(callback, args, self, context))
        self.clock.add_ready(handle)
        return handle  # type: ignore[no-any-return]

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> events.Handle:
        """See asyncio. A job, or a script, goes on when the callback has been called (`baton`)."""
        self._check_closed()
        if self._debug:
            self._check_callback(callback, "call_soon_threadsafe")
        handle = _without_own_frame(events.Handle(callback, args, self, context))
        holder = baton.holder_for(self.clock)
        if holder is not None:
            baton.make_answer(callback)
            holder.post(self, handle)
        elif self._thread_id in (None, get_ident()):  # in this thread, or the loop is not running
            self.clock.add_from_loop(handle)
        else:
            self.clock.add_from_thread(handle)
        return handle  # type: ignore[no-any-return]

    def call_from_thread(self, callback: Callable[..., object], *args: Any) -> None:
        """Call something, for another thread that goes on meanwhile."""
        self._check_closed()
        self.clock.add_from_thread(events.Handle(callback, args, self, None))

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> events.TimerHandle:
        """See asyncio."""
        if when is None:
            raise TypeError("call_at(when): a time in seconds, and not None")
        self._check_closed()
        if self._debug:
            self._check_thread()
            self._check_callback(callback, "call_at")
        handle = _without_own_frame(events.TimerHandle(when, callback, args, self, context))
        handle._scheduled = True
        self.clock.add_timer(instant(when), handle)
        return handle  # type: ignore[no-any-return]

    def call_in(self, seconds: float, callback: Callable[..., object]) -> events.TimerHandle:
        """Call something after a duration, which is exact: asyncio's methods add floats."""
        self._check_closed()
        when = min(self.clock.now + nanoseconds(seconds), NEVER)
        handle = events.TimerHandle(when / 1e9, callback, (), self, None)
        handle._scheduled = True  # type: ignore[attr-defined]
        self.clock.add_timer(when, handle)
        return handle

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        """See asyncio. Jobs are done one at a time, in their order, while the clock stands still (`baton`).

        Raises `NotImplementedError` for an executor of processes or interpreters.
        """
        self._check_closed()
        if self._debug:
            self._check_callback(func, "run_in_executor")
        if executor is None:
            self._check_default_executor()
            executor = self._default_executor
        if any(f"{one.__module__}.{one.__qualname__}" in _ELSEWHERE for one in type(executor).__mro__):
            raise NotImplementedError(
                f"run_in_executor({type(executor).__name__}): neither other processes nor other interpreters "
                "live in virtual time; give None or a ThreadPoolExecutor, whose jobs take none of it however "
                "long they compute"
            )
        if executor is None or type(executor).submit is ThreadPoolExecutor.submit:
            return self._crew_of(executor).add(func, args)
        future = futures.wrap_future(executor.submit(func, *args), loop=self)
        stranger = baton.Stranger(executor)
        self.clock.expect(stranger)
        future.add_done_callback(lambda _: self.clock.forget(stranger))
        return future

    def _crew_of(self, executor: ThreadPoolExecutor | None) -> baton.Crew:
        if self._crews is None:
            self._crews = {}
        if executor not in self._crews:
            self._crews[executor] = baton.Crew(self, executor)
        return self._crews[executor]

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """See asyncio. The time-out is one of virtual time."""
        self._executor_shutdown_called = True
        executor = self._default_executor
        if self._crews is not None and executor in self._crews:
            await self._crews[executor].end(timeout)
        elif executor is not None:
            executor.shutdown(wait=True)

    def close(self) -> None:
        """See asyncio. Threads that have done its jobs have ended when this returns."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self._debug or self.__dict__.keys() & _CLOSED_BY_ASYNCIO:
            super().close()
        else:  # there is nothing to clear, and asyncio would make it first
            self._closed = self._executor_shutdown_called = True
        crews, self._crews = self._crews, None
        for crew in (crews or {}).values():
            crew.close()

    def wait_for_thread(self, posted: threading.Event, script: Any) -> None:
        """Stand still until a script, or a thread that it has started, has something to say (`script`)."""
        if not posted.wait(baton.PATIENCE):
            baton.warn_about(script, "A script may compute for long, and wait for nothing but box calls")
            posted.wait()

    def _run_once(self) -> None:
        if self._stopping and not self.clock._anything_due():
            return  # stop() was called before: what is due is done, and no time passes
        self.clock.turn()

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        if handle._scheduled:  # type: ignore[attr-defined]
            self.clock.forget_timer()

    def _process_events(self, event_list: Any) -> None:
        raise NotImplementedError("a virtual loop has no files to poll")

    def _write_to_self(self) -> None:
        """Nothing to wake: whoever adds from a thread notifies the clock."""

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: programs of the machine do not live in virtual time."""
        raise NotImplementedError(
            "a program cannot be run in virtual time: it would not know what time it is. Write what it does "
            "as a component, or run it on a loop in real time"
        )

    subprocess_shell = subprocess_exec

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Callable[..., object], *args: Any
    ) -> None:
        """Refuse, as loops do that cannot: signals come in real time."""
        raise NotImplementedError(
            f"signal {sig!r}: signals come in real time, and a virtual loop handles none. To do something at "
            "some time, use call_at(); to end, cancel the task or stop the system"
        )

    def remove_signal_handler(self, sig: int) -> bool:
        """Say that there is none, as there cannot be."""
        return False

    network = "kamaelia.testbed.Network makes hosts that have a simulated one"
    """What to do for want of a network, in the message of the methods that need one."""


def _attributes() -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    """Return what asyncio sets in every loop: what can be shared, and how the rest is made."""
    loop = base_events.BaseEventLoop()
    attributes = vars(loop)
    loop._closed = True  # type: ignore[attr-defined]  # or it would complain that nobody has closed it
    shared = {
        name: value for name, value in attributes.items() if isinstance(value, (bool, float, int, type(None)))
    }
    return {**shared, "_closed": False}, {
        name: type(value) for name, value in attributes.items() if name not in shared
    }


_SHARED, _MADE_WHEN_ASKED = _attributes()
_CLOSED_BY_ASYNCIO = ("_ready", "_scheduled", "_default_executor")
for _name, _value in _SHARED.items():
    if _name != "_debug":
        setattr(VirtualLoop, _name, _value)
VirtualLoop._debug = False  # type: ignore[attr-defined]


def report_failure(handle: Any, error: BaseException) -> None:
    """Do what asyncio does when a callback has failed."""
    called = format_helpers._format_callback_source(handle._callback, handle._args)
    handle._loop.call_exception_handler(
        {"message": f"Exception in callback {called}", "exception": error, "handle": handle}
    )


def describe_handle(handle: Any) -> str:
    """Return the repr of a handle, as asyncio writes it."""
    info = [type(handle).__name__]
    if handle._cancelled:
        info.append("cancelled")
    if hasattr(handle, "_when"):
        info.append(f"when={handle._when}")
    if handle._callback is not None:
        called = format_helpers._format_callback_source
        info.append(called(handle._callback, handle._args))
    return f"<{' '.join(info)}>"


def _without_own_frame(handle: Any) -> Any:
    """Have a handle that knows where it was made, for debugging, know the caller of the loop's method."""
    if handle._source_traceback:
        del handle._source_traceback[-1]
    return handle


# Classes of executors whose jobs are done where our baton does not reach.
_ELSEWHERE = (
    "concurrent.futures.process.ProcessPoolExecutor",
    "concurrent.futures.interpreter.InterpreterPoolExecutor",
)


def _refused(name: str) -> Callable[..., Any]:
    """Make a method that says that there is no network; asyncio's own would reach for the machine's."""

    def refuse(self: VirtualLoop, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f"{name}() leads out of virtual time, where there is no network: {self.network}"
        )

    async def refuse_later(self: VirtualLoop, *args: Any, **kwargs: Any) -> Any:
        refuse(self)

    made = refuse if name.startswith(("add_", "remove_")) else refuse_later
    made.__name__, made.__doc__ = name, "Refuse: there is no network in virtual time alone."
    return made


_NETWORK = """
    add_reader add_writer remove_reader remove_writer
    connect_accepted_socket connect_read_pipe connect_write_pipe
    create_connection create_datagram_endpoint create_server create_unix_connection create_unix_server
    getaddrinfo getnameinfo
    sock_accept sock_connect sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into
    sock_sendall sock_sendfile sock_sendto
"""
for _name in _NETWORK.split():
    setattr(VirtualLoop, _name, _refused(_name))
