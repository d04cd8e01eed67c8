"""Where runs are made: a pool of processes of our own, this thread, or whatever executor somebody has.

An executor is asked for nothing but ``submit`` and futures with ``add_done_callback``, so those of
`concurrent.futures`, and others that are made like them, such as Dask's, will do. It is never given
more than `WINDOW` runs at a time.

The pool of our own starts fresh interpreters (``spawn``), which share nothing with this one and hear no
Ctrl-C. When one of them dies, because it ran out of memory or some library crashed, nobody knows whose run it
was. So each run that was under way is made again, alone; the one that kills its process then, too, has
failed, and the others go on.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from multiprocessing import context as contexts
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ...axon import UsageError, report
from ..orphans import end_with_parent
from .run import Run, Task, carry_out, lost, ready

WINDOW = 1000
"""Runs that an executor has at a time."""
TICK = 0.2  # seconds between two looks at whether to stop
START = 120.0  # seconds that a process may take to start

Result = TypeVar("Result")


class InlineExecutor(Executor):
    """Does everything at once, in the thread that asks for it: for a debugger, and for notebooks.

    Example:
        >>> from kamaelia.testbed.experiments import InlineExecutor
        >>> InlineExecutor().submit(max, 3, 7).result()
        7
    """

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Call a function, and return a future that is done. Ctrl-C comes through."""
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Conductor:
    """Has tasks carried out.

    Arguments:
        executor: by whom; None for a pool of our own
        jobs: how many processes that has; None for one for each processor
        take: is given each run that is over
        tick: is called now and then
        stop: says whether no more runs are to be begun; those under way are waited for
    """

    def __init__(
        self,
        executor: Executor | None,
        jobs: int | None,
        take: Callable[[Run], object],
        tick: Callable[[], object],
        stop: Callable[[], bool],
    ) -> None:
        self._foreign = executor
        self._jobs = processors() if jobs is None else jobs
        self._take = take
        self._tick = tick
        self._stop = stop

    def conduct(self, tasks: Iterable[Task]) -> None:
        """Carry tasks out, in about this order.

        Raises `UsageError` when no process can be started, and what somebody's executor raises when it
        breaks.
        """
        waiting = deque(tasks)
        if not waiting:
            return
        if self._foreign is not None:
            self._go(self._foreign, waiting, WINDOW, None)
            return
        jobs = min(self._jobs, len(waiting))
        while waiting and not self._stop():
            suspects: list[Task] = []
            with _pool(jobs) as pool:
                self._go(pool, waiting, jobs + 1, suspects)  # one to go on with
            for suspect in suspects:
                if self._stop():
                    break
                self._go_alone(suspect)

    def _go_alone(self, task: Task) -> None:
        again: list[Task] = []
        with _pool(1) as pool:
            self._go(pool, deque([task]), 1, again)
        if again:
            self._take(lost(task, "the process that made this run has died of it"))

    def _go(self, executor: Executor, waiting: deque[Task], window: int, suspects: list[Task] | None) -> None:
        """Carry out what is waiting, until nothing is, or the executor is broken."""
        under_way: dict[Future[Run], Task] = {}
        try:
            self._go_on(executor, waiting, window, suspects, under_way)
        except BaseException:
            for future in under_way:
                future.cancel()  # of an executor that is not ours, and may have more to do
            raise

    def _go_on(
        self,
        executor: Executor,
        waiting: deque[Task],
        window: int,
        suspects: list[Task] | None,
        under_way: dict[Future[Run], Task],
    ) -> None:
        over: SimpleQueue[Future[Run]] = SimpleQueue()
        broken = False
        while under_way or (waiting and not broken and not self._stop()):
            while waiting and len(under_way) < window and over.empty() and not broken and not self._stop():
                task = waiting.popleft()
                try:
                    with contextlib.nullcontext() if suspects is None else _without_ctrl_c():
                        future = executor.submit(carry_out, task)
                except BrokenExecutor:
                    if suspects is None:
                        raise
                    waiting.appendleft(task)
                    broken = True
                    break
                under_way[future] = task
                future.add_done_callback(over.put)
            if self._stop():
                for future in list(under_way):
                    future.cancel()
            try:
                future = over.get(timeout=TICK)
            except Empty:
                self._tick()
                continue
            task = under_way.pop(future)
            if future.cancelled():
                continue
            error = future.exception()
            if error is None:
                self._take(future.result())
            elif not isinstance(error, BrokenExecutor):
                self._take(lost(task, report.one_line(error)))
            elif suspects is not None:
                suspects.append(task)
                broken = True
            else:
                raise error


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


class _Context(contexts.SpawnContext):
    """Starts fresh interpreters, and remembers them."""

    def __init__(self) -> None:
        self.workers: list[Any] = []

    def Process(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]  # of a class, a method
        """Make a process, which is not started yet."""
        worker = contexts.SpawnProcess(*args, **options)
        self.workers.append(worker)
        return worker


@contextlib.contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of our own. Who leaves in good order leaves no run under way; who does not kills those."""
    context = _Context()
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin)
    try:
        with _without_ctrl_c():
            first = pool.submit(ready)
        try:
            first.result(START)
        except (BrokenExecutor, TimeoutError):
            raise UsageError(
                "no process could be started for the runs. In a script, what starts an experiment has to "
                'stand below if __name__ == "__main__": each process reads the script, too'
            ) from None
        yield pool
    except BaseException:
        for worker in context.workers:
            if worker.is_alive():
                worker.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """A process for runs begins."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    gc.freeze()  # what is loaded by now stays


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """What is started here hears no Ctrl-C, from its first moment on; here it comes a little later."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


__all__ = ["TICK", "WINDOW", "Conductor", "InlineExecutor", "processors"]
