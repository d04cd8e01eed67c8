"""The baton: threads that work for a virtual loop, one at a time and in a fixed order.

Theory
------
Two threads that run at the same time do so in an order that nobody can foretell. So in virtual time only one
ever runs: whoever has the *baton*. To begin with that is the loop's thread.

**A job** is what ``run_in_executor`` and `asyncio.to_thread` are given. It gets a place in the queue of its
clock, as any callback. When its turn comes, at the same instant, the loop's thread lends the baton to a
worker thread and stands still until the job has ended: no virtual time passes, however long it takes. Then
the loop goes on with what comes next in the queue.

**A job that needs the loop** would wait for ever if the loop waited for it. So two calls give the baton back
before the job has ended:

- ``loop.call_soon_threadsafe(callback)`` returns when the callback has been called;
- ``asyncio.run_coroutine_threadsafe(coroutine, loop)`` returns when the task has been made; ``result()`` and
  ``exception()`` of what it returns come back when the task is done, or when their time-out is over, which
  is one of virtual time. Until then time passes, and other jobs are done, in other threads.

The job goes on when it has another turn, in the same queue: that comes right behind the callback, or behind
what was in the queue when the task ended. So there is one order of all that happens, the same in every run.

A script (`script`) is under the same rule: the loop's thread waits until it makes its next box call, and for
a script the two calls above are box calls.

**Which thread** does a job can be told by its name, and by what it keeps for itself (`threading.local`), so
that is fixed, too: the idle one that has worked last for the same executor, or else a new one. Of a
`ThreadPoolExecutor` its limit, its names and its initializer are kept, but its own threads never start; where
there is none, there is no limit. An executor of another kind is asked in its own way, and only the clock
stands still for it. One of processes or interpreters is refused.

**Not under the baton** are threads that a job, a script or a library starts by itself; what they post arrives
when the machine likes. And a job that waits for the loop in another way than by the two calls (for a queue
that a task fills) waits for ever, as does a callback that waits for a lock which a job holds while it posts.
After `PATIENCE` seconds of real time the log says where such a thread stands. It is never killed, for in
Python nobody can do that.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import concurrent.futures.thread
import logging
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Any

from . import body

if TYPE_CHECKING:
    from .clock import VirtualClock, VirtualLoop

PATIENCE = 10.0  # real seconds after which the log says where a thread is for which others wait

log = logging.getLogger("kamaelia")
_local = threading.local()


# -- who has the baton --------------------------------------------------------------------------------


class Holder:
    """A thread that may get the baton: a worker's, or a script's."""

    clock: VirtualClock

    def post(self, loop: VirtualLoop, handle: asyncio.Handle) -> None:
        """Let the loop go on until it has called something."""
        raise NotImplementedError

    def wait_for(self, answer: Answer, timeout: float | None) -> None:
        """Let the loop go on until there is an answer, or until some virtual seconds have passed."""
        raise NotImplementedError


def enrol(holder: Holder) -> None:
    """Have this thread be one that gets the baton."""
    _local.holder = holder


def holder_for(clock: VirtualClock) -> Holder | None:
    """Return what this thread is for a clock; None for that of its loops, and for strangers."""
    holder: Holder | None = getattr(_local, "holder", None)
    return holder if holder is not None and holder.clock is clock else None


class Answer(concurrent.futures.Future[Any]):
    """What `asyncio.run_coroutine_threadsafe` returns to a job: to ask for the result lets the loop go on."""

    def result(self, timeout: float | None = None) -> Any:
        """See `concurrent.futures.Future`."""
        return super().result(self._wait(timeout))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See `concurrent.futures.Future`."""
        return super().exception(self._wait(timeout))

    def _wait(self, timeout: float | None) -> float | None:
        """Wait in virtual time, if this thread has the baton; return how long to wait in real time then."""
        holder: Holder | None = getattr(_local, "holder", None)
        if holder is None:
            return timeout
        if not self.done():
            holder.wait_for(self, timeout)
        return 0


def make_answer(callback: Any) -> None:
    """If a callback is that of `asyncio.run_coroutine_threadsafe`, have its future be an `Answer`."""
    if _CALLBACK is None or getattr(callback, "__code__", None) is not _CALLBACK:
        return
    future = callback.__closure__[_PLACE].cell_contents
    if type(future) is concurrent.futures.Future:
        future.__class__ = Answer


def _callback_in(function: Any) -> CodeType | None:
    inner = [one for one in function.__code__.co_consts if isinstance(one, CodeType)]
    return inner[0] if len(inner) == 1 and "future" in inner[0].co_freevars else None


_CALLBACK = _callback_in(asyncio.run_coroutine_threadsafe)
_PLACE = 0 if _CALLBACK is None else _CALLBACK.co_freevars.index("future")


# -- jobs ---------------------------------------------------------------------------------------------


class Job:
    """A call that was given to an executor. It stands in the queue of the clock until its turn comes."""

    __slots__ = ("_args", "_call", "_cancelled", "_crew", "_loop", "error", "future", "result")

    def __init__(self, crew: Crew, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._crew = crew
        self._loop = crew.loop
        self._call = call
        self._args = args
        self._cancelled = False
        self.future: asyncio.Future[Any] = crew.loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def _run(self) -> None:
        self._crew.begin(self)

    def work(self) -> None:
        """Do it, in a worker's thread."""
        try:
            self.result = self._call(*self._args)
        except StopIteration as error:  # which no future takes
            self.error = RuntimeError("a job in a thread has raised StopIteration")
            self.error.__cause__ = error
        except BaseException as error:  # whoever awaits the future gets it
            self.error = error

    def finish(self) -> None:
        """Tell whoever awaits it, in the loop's thread."""
        if not (self.future.done() or self._loop.is_closed()):
            if self.error is None:
                self.future.set_result(self.result)
            elif isinstance(self.error, concurrent.futures.CancelledError):  # asyncio has one of its own
                self.future.set_exception(asyncio.CancelledError(*self.error.args))
            else:
                self.future.set_exception(self.error)
        self._call, self._args, self.result, self.error = tuple, (), None, None


class Worker(Holder):
    """A thread that does jobs."""

    def __init__(self, crew: Crew, name: str) -> None:
        self.crew = crew
        self.clock = crew.loop.clock
        self.job: Job | None = None
        """What it does, until the loop's thread has taken it back."""
        self._has_ended = False  # the job
        self._has_come = False  # back with the baton
        self._is_lost = False  # the loop's thread was interrupted, and does not wait for it any more
        self._is_dismissed = False
        self._begins = _taken_lock()
        self._comes = _taken_lock()
        self._guard = threading.Lock()  # over what follows from two of the above
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    # -- on the loop's thread -----------------------------------------------------------------------

    def lend(self) -> None:
        """Lend it the baton, and stand still until it comes back."""
        self._has_come = False
        self._begins.release()
        try:
            if not self._comes.acquire(timeout=PATIENCE):
                warn_about(self, "In a job, wait for the loop with run_coroutine_threadsafe(...).result()")
                self._comes.acquire()
        except BaseException:  # Ctrl-C
            with self._guard:
                self._is_lost = not self._has_come
                if self._is_lost:
                    self.clock.expect(self)
            if not self._is_lost:
                self._comes.acquire()
                self._come()
            raise
        self._come()

    def _come(self) -> None:
        """It is back: the job has ended, or waits for the loop."""
        if self._has_ended:
            job, self.job = self.job, None
            assert job is not None
            self.crew.ended(job, self, can_do_more=not self._is_lost)

    def dismiss(self) -> None:
        """Have its thread end, and wait for that. If its job waits for the loop, an error is raised there."""
        self._is_dismissed = True
        if not self._is_lost:
            self._begins.release()
            self._thread.join(PATIENCE)
        if self._thread.is_alive():
            warn_about(self, "The loop has been closed, and this thread is left behind")

    def describe(self) -> str:
        """Say which thread it is, and where that stands."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        return f"the job in thread {self._thread.name} {at_frame(frame)}"

    # -- on its own ---------------------------------------------------------------------------------

    def _work(self) -> None:
        enrol(self)
        while True:
            self._begins.acquire()
            if self.job is None:
                return
            if self.crew.prepare(self.job):
                self.job.work()
            with self._guard:
                self._has_ended = self._has_come = True
                if self._is_lost or self._is_dismissed:
                    break
            self._comes.release()
        if self._is_lost:
            self.clock.forget(self)
            self.clock.add_from_thread(_Call(self.crew.loop, self._come))

    def _give_back(self) -> None:
        """Let the loop go on until the next turn."""
        with self._guard:
            self._has_come = True
        self._comes.release()

    def post(self, loop: VirtualLoop, handle: asyncio.Handle) -> None:
        """Let the loop go on until it has called something."""
        if self._is_lost or self._is_dismissed:
            self.clock.add_from_thread(handle)
            return
        self.clock.add_ready(handle)
        _Turn(self).come()
        self._give_back()
        if not self._begins.acquire(timeout=PATIENCE):
            warn_about(_LoopsThread(loop), "A job waits for it in call_soon_threadsafe(): with a lock?")
            self._begins.acquire()

    def wait_for(self, answer: Answer, timeout: float | None) -> None:
        """Let the loop go on until there is an answer, or until some virtual seconds have passed."""
        self._check_dismissed()
        if self._is_lost:
            concurrent.futures.wait([answer], timeout)
            return
        turn = _Turn(self)
        timer = None if timeout is None else self.crew.loop.call_in(timeout, turn.come)
        answer.add_done_callback(turn.come)
        self._give_back()
        self._begins.acquire()
        self._check_dismissed()
        if timer is not None:
            timer.cancel()

    def _check_dismissed(self) -> None:
        if self._is_dismissed:
            raise concurrent.futures.CancelledError("the loop has been closed for which this job waits")


class _Turn:
    """A place in the queue of the clock, for a job that goes on; there is one, whoever asks for it."""

    __slots__ = ("_asked", "_cancelled", "_loop", "_worker")

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._loop = worker.crew.loop
        self._cancelled = False
        self._asked = False

    def come(self, _: object = None) -> None:
        """Let it have its turn when those before it have had theirs."""
        if not self._asked:
            self._asked = True
            self._worker.clock.add_ready(self)

    def _run(self) -> None:
        self._worker.lend()


class _Call:
    """Something to be called in the loop's thread."""

    __slots__ = ("_call", "_cancelled", "_loop")

    def __init__(self, loop: VirtualLoop, call: Callable[[], object]) -> None:
        self._loop = loop
        self._call = call
        self._cancelled = False

    def _run(self) -> None:
        self._call()


class Crew:
    """The workers that a loop has for one executor, or for all jobs that are given to none."""

    def __init__(self, loop: VirtualLoop, executor: concurrent.futures.ThreadPoolExecutor | None) -> None:
        self.loop = loop
        self._executor: Any = executor
        self._limit: int = sys.maxsize if executor is None else executor._max_workers
        self._name: str = "asyncio" if executor is None else str(executor._thread_name_prefix)
        self._made = 0
        self._workers: dict[Worker, None] = {}
        self._idle: list[Worker] = []
        self._queue: deque[Job] = deque()  # those whose turn has come when there were too many workers
        self._unfinished = 0
        self._finished: list[asyncio.Future[None]] = []  # of those who wait for all jobs
        self._ready = threading.local()
        self._broken = False

    def add(self, call: Callable[..., Any], args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Have a job done when its turn comes. Raises `RuntimeError` when the executor takes none."""
        if self._broken:
            raise concurrent.futures.thread.BrokenThreadPool(_BROKEN)
        if self._executor is not None and self._executor._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        job = Job(self, call, args)
        self._unfinished += 1
        self.loop.clock.add_ready(job)
        return job.future

    def begin(self, job: Job) -> None:
        """The turn of a job has come."""
        if job.future.done():  # it was cancelled
            self.ended(job)
            return
        if self._idle:
            worker = self._idle.pop()
        elif len(self._workers) < self._limit:
            try:
                worker = Worker(self, f"{self._name}_{self._made}")
            except Exception as error:  # the machine has no more threads to give
                job.error = error
                self.ended(job)
                return
            self._made += 1
            self._workers[worker] = None
        else:
            self._queue.append(job)
            return
        worker.job, worker._has_ended = job, False
        worker.lend()

    def prepare(self, job: Job) -> bool:
        """Do what the executor wants in each of its threads; say whether that has worked."""
        if not hasattr(self._ready, "yes") and self._executor is not None:
            initializer = getattr(self._executor, "_initializer", None)
            try:
                if initializer is not None:
                    initializer(*self._executor._initargs)
            except BaseException:
                log.critical("Exception in initializer:", exc_info=True)
                self._broken = True
        self._ready.yes = True
        if self._broken:
            job.error = concurrent.futures.thread.BrokenThreadPool(_BROKEN)
        return not self._broken

    def ended(self, job: Job, worker: Worker | None = None, *, can_do_more: bool = True) -> None:
        """A job has ended, and its worker is free."""
        job.finish()
        self._unfinished -= 1
        if worker is not None and can_do_more:
            self._idle.append(worker)
        elif worker is not None:
            self._workers.pop(worker, None)
        if self._queue and (self._idle or len(self._workers) < self._limit):
            self.loop.clock.add_ready(self._queue.popleft())
        if not self._unfinished:
            for future in self._finished:
                if not future.done():
                    future.set_result(None)
            self._finished.clear()

    async def end(self, timeout: float | None) -> None:
        """Wait until all jobs have ended, then let go of the threads."""
        if self._unfinished:
            finished = self.loop.create_future()
            self._finished.append(finished)
            await asyncio.wait([finished], timeout=timeout)
        if self._unfinished:
            warnings.warn(
                f"The executor did not finishing joining its threads within {timeout} seconds.",  # as asyncio
                RuntimeWarning,
                stacklevel=3,
            )
        else:
            self.close()

    def close(self) -> None:
        """Let go of the threads. A job that waits for the loop gets an error there."""
        workers, self._workers = list(self._workers), {}
        self._idle.clear()
        self._queue.clear()
        for worker in workers:
            worker.dismiss()


_BROKEN = "A thread initializer failed, the thread pool is not usable anymore"


# -- those that are stuck ---------------------------------------------------------------------------


class _LoopsThread:
    """The loop's thread, for who waits for it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._thread = loop._thread_id or 0

    def describe(self) -> str:
        return f"the event loop {at_frame(sys._current_frames().get(self._thread))}"


class Stranger:
    """An executor of another kind, for which the clock stands still."""

    def __init__(self, executor: Any) -> None:
        self._executor = executor

    def describe(self) -> str:
        """Say which executor it is."""
        return f"a job of {self._executor!r} is somewhere"


def at_frame(frame: Any) -> str:
    """Say where a thread stands."""
    return f"is at {body.describe_frame(body.user_frame(frame))}"


def warn_about(who: Any, advice: str) -> None:
    """Say in the log that somebody keeps virtual time from going on."""
    log.warning(
        "for %g s of real time %s, and virtual time stands still. %s", PATIENCE, who.describe(), advice
    )


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
