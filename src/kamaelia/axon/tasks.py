"""Components as asyncio tasks: the last resort, for an interpreter on which our tricks do not work.

The plain core makes a component the loop's current task while it steps it. Where that is not possible
(`scheduler.make_current` has tried), each body runs in a task of asyncio's own instead, which the loop steps.
To everybody else the component waits, is cancelled and ends as before. It is slower, steps are not counted
one by one, and `asyncio.current_task` is not the component.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .errors import Cancelled
from .process import PlainProcess
from .scheduler import PlainScheduler

if TYPE_CHECKING:
    from .queue import Wait


class TaskProcess(PlainProcess):
    """A process whose body runs in a task of asyncio's."""

    __slots__ = ("task",)

    def step(self) -> None:
        """Begin; everything that follows the task does by itself."""
        if self.begun:
            return
        self.begin()
        if self.coroutine is None:
            return
        scheduler: Any = self.scheduler
        self.state = "foreign"
        self.future = self.task = scheduler.loop.create_task(self.coroutine, context=self.context)
        scheduler.processes[self.task] = self
        self.task.add_done_callback(self._task_over)
        if self.must_cancel:
            self.must_cancel = False
            self.task.cancel(msg=self.cancel_message)

    def _task_over(self, task: asyncio.Task[Any]) -> None:
        scheduler: Any = self.scheduler
        del scheduler.processes[task]
        if self.body_done:  # it was abandoned
            return
        error = Cancelled() if task.cancelled() else task.exception()
        self.finish(error, None if error is not None else task.result())
        scheduler.look_for_rest()

    @contextlib.contextmanager
    def suspended(self, wait: Wait) -> Iterator[None]:
        """Count as waiting on a box, for the time of a ``with`` block."""
        scheduler: Any = self.scheduler
        self.wait, self.state, self.future = wait, "waiting", None
        scheduler.parked += not wait.timed
        scheduler.look_for_rest()
        try:
            yield
        finally:
            if self.wait is wait:
                self.resume(wait)

    def resume(self, wait: Wait, error: BaseException | None = None) -> None:
        """Go on after a wait, perhaps with an exception."""
        if self.wait is not wait:
            return
        scheduler: Any = self.scheduler
        scheduler.parked -= not wait.timed
        self.wait, self.state, self.future = None, "foreign", self.task
        if error is not None:
            wait.fail(error)


class TaskScheduler(PlainScheduler):
    """A scheduler that only begins components."""

    __slots__ = ("processes",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.processes: dict[asyncio.Task[Any], TaskProcess] = {}

    def suspended_task(self, wait: Wait) -> contextlib.AbstractContextManager[None]:
        """Return what a task of the loop waits within: a component's own counts as the component."""
        process = self.of_current_task()
        return contextlib.nullcontext() if process is None else process.suspended(wait)

    def of_current_task(self) -> TaskProcess | None:
        """Return the process in whose own task the running code is; None in any other task."""
        task = asyncio.current_task(self.loop)
        return None if task is None else self.processes.get(task)
