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

**In virtual time** calls are made at once, on the loop's own thread, while the clock stands still: with a
thread the order of things would depend on the machine.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from kamaelia.axon import BrokenLink, Cancelled, Component, Signal, VirtualLoop

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("kamaelia")

PATIENCE = 0.5  # seconds that a call has to come back after its component was cancelled


class _Job(Generic[R]):
    """One call."""

    def __init__(self, call: Callable[[], R]) -> None:
        self.call = call
        self.done = False
        self.result: R
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.call()
        except BaseException as error:  # it is raised again where the answer is waited for
            self.error = error
        self.done = True


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
        self._answered = Signal(doing)
        self._thread: threading.Thread | None = None
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()

    async def do(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Have something called, and return its result or raise its error."""
        if self.at_once:
            return call(*args, **kwargs)
        job = self._post(lambda: call(*args, **kwargs))
        while not job.done:
            await self._answered
        return _answer(job)

    async def do_to_the_end(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Like `do`, but a cancellation is raised only when the call has come back, or `PATIENCE` is over."""
        if self.at_once:
            return call(*args, **kwargs)
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
        if self._thread is None:
            last()
            return
        job = self._post(last)
        self._jobs.put(None)
        await self._wait_patiently(job)
        if not job.done:
            log.warning(
                "%s has ended, but a thread of it hangs where it was to %s: it is left behind",
                self._component.path,
                self._doing,
            )
            return
        self._thread.join()  # it has nothing left to do
        _answer(job)

    def _post(self, call: Callable[[], R]) -> _Job[R]:
        if self._thread is None:
            # It must not know the component: a thread that hangs would keep it.
            self._thread = threading.Thread(
                target=_work,
                args=(self._jobs, self._loop, self._answered),
                name=f"{self._component.path} ({self._doing})",
                daemon=True,
            )
            self._thread.start()
        job = _Job(call)
        self._jobs.put(job)
        return job

    async def _wait_patiently(self, job: _Job[Any]) -> None:
        over = False

        def give_up() -> None:
            nonlocal over
            over = True
            self._answered.set()

        timer = self._loop.call_later(PATIENCE, give_up, context=contextvars.Context())
        try:
            while not (job.done or over):
                try:
                    await self._answered
                except BrokenLink:  # said once: it is ending already
                    pass
        finally:
            timer.cancel()


def _answer(job: _Job[R]) -> R:
    if job.error is not None:
        try:
            raise job.error
        finally:
            job.error = None  # the error knows this frame, and this frame the job: break the ring
    return job.result


def _work(jobs: queue.SimpleQueue[_Job[Any] | None], loop: Any, answered: Signal) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        del job  # or its result would stay until the next one
        try:
            # In a copy of the caller's context the callback would keep a component that is over.
            loop.call_soon_threadsafe(answered.set, context=contextvars.Context())
        except RuntimeError:  # the loop has been closed: the thread was left behind, and has come back
            pass


__all__ = ["PATIENCE", "BlockingCalls"]
