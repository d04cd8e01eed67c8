"""A thread that does for one component what may take long: everything that asks a disk.

Theory
------
Opening, reading, writing and looking into a folder may each take as long as the disk, or the network behind
it, likes, and no event loop can watch a file. So a component has such calls done by its `BlockingCalls`, one
after the other, in a thread that is the component's alone: one drive that hangs holds up nobody else, which
it would in a pool. The thread begins with the first call and ends with the component.

**Waiting** for the answer is a wait on a `Signal`. So a stop, a cancellation and "nobody listens" (rule 4)
end it at once. The call itself cannot be called back. What is to be closed is therefore closed by the
thread, as the last thing it does (`close`), and in order: a file that a call opens after its component has
gone is closed all the same.

**What hangs** for more than `PATIENCE` seconds after its component has ended is left behind and logged. The
thread is a daemon, so the process exits (rule 21's exception to rule 30). Pipes and devices do not come to
that: for them the file is opened without blocking, and its thread looks at `given_up` while it waits.

**In virtual time** calls are made on the loop's own thread: with another one the order of things would
depend on the machine. What asks the machine's disk is done at once, and the clock stands still meanwhile.
Where the loop has a simulated disk (`disk`) that takes its time, a call waits in the middle, and is gone on
with when virtual time has come so far. Everything above holds for it as for a thread.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any, Generic, ParamSpec, TypeVar, overload

from kamaelia.axon import BrokenLink, Cancelled, Component, Signal, VirtualLoop

from .disk import disk_of

P = ParamSpec("P")
R = TypeVar("R")

Wake = Callable[[], None]

log = logging.getLogger("kamaelia")

PATIENCE = 0.5  # seconds that a call has to come back after its component was cancelled


class _Job(Generic[R]):
    """One call: of a function, or of a coroutine function that waits for nothing but a disk."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.done = False
        self.result: R
        self.error: BaseException | None = None
        self._steps: CoroutineType[Any, Any, R] | None = None

    def go_on(self) -> Callable[[Wake], None] | None:
        """Do it as far as possible. Return what has to be told how to wake it, or None when it is over."""
        try:
            if self._steps is None:
                result = self.call()
                if type(result) is not CoroutineType:
                    self._finish(result)
                    return None
                self._steps = result
            try:
                arrange: Callable[[Wake], None] = self._steps.send(None)
            except StopIteration as end:
                self._finish(end.value)
                return None
            return arrange
        except BaseException as error:  # it is raised again where the answer is waited for
            self.error = error
            self._finish(None)
            return None

    def _finish(self, result: Any) -> None:
        self.result = result
        self._steps = None
        self.done = True

    def run(self) -> None:
        """Do all of it."""
        if self.go_on() is not None:
            assert self._steps is not None
            self._steps.close()
            self.error = RuntimeError("a disk that takes virtual time was asked in real time")
            self._finish(None)


class BlockingCalls:
    """Makes the blocking calls of one component. To be made in its body.

    Arguments:
        component: for which it works
        doing: what the calls do, for those who ask what the component waits for: ``"read talk.ts"``
    """

    def __init__(self, component: Component, doing: str) -> None:
        self.given_up = threading.Event()
        """Set as soon as nobody wants an answer any more."""
        self._component = component
        self._doing = doing
        self._loop = component.get_loop()
        self.at_once = isinstance(self._loop, VirtualLoop)
        """Whether calls are made on the loop's own thread, because its time is virtual."""
        self.disk = disk_of(self._loop)
        """The disk to ask."""
        self._answered = Signal(doing)
        # Neither of the two knows the component: who hangs would keep it.
        self._worker: _Thread | _Steps | None = _Steps(self._loop, self._answered) if self.at_once else None

    @overload
    async def do(self, call: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    async def do(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...

    async def do(self, call: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Any:
        """Have something called, and return its result or raise its error."""
        job = self._post(lambda: call(*args, **kwargs))
        while not job.done:
            await self._answered
        return _answer(job)

    @overload
    async def do_to_the_end(
        self, call: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    async def do_to_the_end(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...

    async def do_to_the_end(self, call: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Any:
        """Like `do`, but a cancellation is raised only when the call has come back, or `PATIENCE` is over."""
        job = self._post(lambda: call(*args, **kwargs))
        try:
            while not job.done:
                await self._answered
        except Cancelled:
            await self._wait_patiently(job)
            if job.done:
                _answer(job)
            raise
        return _answer(job)

    async def close(self, last: Callable[[], object] = lambda: None) -> None:
        """Have one last thing done, after the call that is under way, and end the thread."""
        self.given_up.set()
        if self._worker is None:
            job = _Job[object](last)
            job.run()
            _answer(job)
            return
        job = self._post(last)
        self._worker.post_end()
        await self._wait_patiently(job)
        if not job.done:
            if not self._loop.is_closed():
                log.warning(
                    "%s has ended, but a %s of it hangs where it was to %s: it is left behind",
                    self._component.path,
                    self._worker.kind,
                    self._doing,
                )
            return
        self._worker.join()
        _answer(job)

    def _post(self, call: Callable[[], Any]) -> _Job[Any]:
        if self._worker is None:
            name = f"{self._component.path} ({self._doing})"
            self._worker = _Thread(self._loop, self._answered, name)
        job = _Job[Any](call)
        self._worker.post(job)
        return job

    async def _wait_patiently(self, job: _Job[Any]) -> None:
        if job.done or self._loop.is_closed():  # who is thrown away with its loop waits for nobody
            return
        over = False

        def give_up() -> None:
            nonlocal over
            over = True
            self._answered.set()

        timer = self._loop.call_later(PATIENCE, give_up, context=contextvars.Context())
        try:
            while not job.done:
                if over:
                    return
                try:
                    await self._answered
                except BrokenLink:  # said once: it is ending already
                    pass
        finally:
            timer.cancel()


class _Thread:
    """Does jobs in a thread of its own, each as a whole."""

    kind = "thread"

    def __init__(self, loop: Any, answered: Signal, name: str) -> None:
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=_work, args=(self._jobs, loop, answered), name=name, daemon=True
        )
        self._thread.start()

    def post(self, job: _Job[Any]) -> None:
        """Have a job done, after those before it."""
        self._jobs.put(job)

    def post_end(self) -> None:
        """There will be no more jobs."""
        self._jobs.put(None)

    def join(self) -> None:
        """Wait for the end of the thread, which has nothing left to do."""
        self._thread.join()


def _work(jobs: queue.SimpleQueue[_Job[Any] | None], loop: Any, answered: Signal) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        del job  # or its result would stay until the next one
        try:
            # In a copy of the caller's context the callback would keep a component that is over.
            loop.call_soon_threadsafe(answered.set, context=contextvars.Context())
        except RuntimeError:  # the loop has been closed: the thread was left behind, and has come back
            pass


class _Steps:
    """Does jobs on the loop's own thread: at once, as far as they need not wait for virtual time."""

    kind = "call"

    def __init__(self, loop: Any, answered: Signal) -> None:
        self._loop = loop
        self._answered = answered
        self._jobs: deque[_Job[Any]] = deque()

    def post(self, job: _Job[Any]) -> None:
        """Have a job done, after those before it."""
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self._go_on()

    def _go_on(self) -> None:
        while self._jobs and not self._loop.is_closed():
            arrange = self._jobs[0].go_on()
            if arrange is not None:
                arrange(self._go_on)
                return
            self._jobs.popleft()
            self._answered.set()

    def post_end(self) -> None:
        """See `_Thread`. Here there is nothing to end."""

    join = post_end


def finish(call: Coroutine[Any, Any, R]) -> R:
    """Do all that a coroutine does, here and at once: one that waits for nothing but the machine's disk.

    >>> async def number():
    ...     return 7
    >>> finish(number())
    7
    """
    job = _Job[R](lambda: call)
    job.run()
    return _answer(job)


def _answer(job: _Job[R]) -> R:
    if job.error is not None:
        try:
            raise job.error
        finally:
            job.error = None  # the error knows this frame, and this frame the job: break the ring
    return job.result


__all__ = ["PATIENCE", "BlockingCalls", "finish"]
