"""What is awaited: what of asyncio's a component waits for, in words.

A component may await whatever asyncio has: a task, an event, a lock, a future, a thread's result. What that
is can be read off the suspended coroutine. Its frames lead from the component's own code to the library's,
and the first of the library's says what was called there: ``Event.wait``, ``Lock.acquire``, ``sleep``. What
the last one awaits is a future; where that is a task, its own frames say where that stands.

All of it may be called from any thread, while the loop goes on: then what is described may be over by the
time that it is read, and nothing worse.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from kamaelia.axon import body

if TYPE_CHECKING:
    from kamaelia.axon.process import Process

MOST = 3  # tasks that are named; of the others it is said how many there are
DEEPEST = 20  # tasks that wait for tasks that wait for tasks


def describe(process: Process, verb: str = "") -> str:
    """Say what a component awaits, in words that go after "it"; with a verb it is that, and not asyncio's."""
    if verb:
        return f"waits to {verb}"
    frames = list(body.frames_of(process.coroutine))
    future = process.future
    tasks = tasks_of(frames, future)
    call = "gather()" if hasattr(future, "_children") else _call(frames)
    if isinstance(future, asyncio.Task) and tasks == [future]:
        return f"awaits the task {_task(future)}"
    if tasks:
        shown = ", ".join(map(_task, tasks[:MOST])) + (
            f" and {len(tasks) - MOST} more" if len(tasks) > MOST else ""
        )
        what = "tasks that it has started" if call is None else call
        return f"awaits {what}: {shown}"
    if call is not None:
        return f"awaits {call}"
    if _comes_from_a_thread(future):
        return "awaits the result of a thread or process (run_in_executor)"
    if future is None:  # it has just gone on
        return "awaits something of asyncio's"
    kind = type(future).__name__.lstrip("_")
    return f"awaits a {kind} of asyncio's, which nobody has set"


def tasks_of(frames: list[FrameType], future: Any) -> list[asyncio.Task[Any]]:
    """Return the tasks that somebody waits for who stands at some frames and awaits a future."""
    found: list[Any] = []
    if isinstance(future, asyncio.Task):
        found = [future]
    elif hasattr(future, "_children"):  # what gather returns
        found = list(future._children)
    for frame in frames:
        if frame.f_globals.get("__name__") == "asyncio.taskgroups":
            group = frame.f_locals.get("self")
            found += list(getattr(group, "_tasks", ()))
        elif frame.f_globals.get("__name__") == "asyncio.tasks" and frame.f_code.co_name == "_wait":
            found += list(frame.f_locals.get("fs") or ())
    waiting = [one for one in dict.fromkeys(found) if isinstance(one, asyncio.Task) and not one.done()]
    return sorted(waiting, key=lambda one: (len(one.get_name()), one.get_name()))


def all_tasks_of(process: Process) -> Iterator[asyncio.Task[Any]]:
    """Yield the tasks that a component awaits, and those that these await."""
    todo = tasks_of(list(body.frames_of(process.coroutine)), process.future)
    seen: set[asyncio.Task[Any]] = set()
    while todo and len(seen) < DEEPEST * DEEPEST:
        task = todo.pop()
        if task not in seen:
            seen.add(task)
            yield task
            todo += tasks_of(list(body.frames_of(task.get_coro())), getattr(task, "_fut_waiter", None))


def _task(task: asyncio.Task[Any], depth: int = 0) -> str:
    """Name a task, and say where in its code it is."""
    coroutine: Any = task.get_coro()
    frames = list(body.frames_of(coroutine))
    name = getattr(coroutine, "__qualname__", None) or type(coroutine).__name__
    own = [one for one in frames if not body.is_library(one.f_code)]
    text = f"{task.get_name()!r} ({name.rpartition('<locals>.')[2]}"
    text += f" at {body.describe_frame(own[-1])})" if own else ")"
    inner = getattr(task, "_fut_waiter", None)
    if isinstance(inner, asyncio.Task) and depth < MOST:
        text += f", which awaits the task {_task(inner, depth + 1)}"
    return text


def _call(frames: list[FrameType]) -> str | None:
    """Say what of the library's was called by the last of somebody's own frames; None if nothing was."""
    last = max((n for n, one in enumerate(frames) if not body.is_library(one.f_code)), default=-1)
    if last + 1 >= len(frames):
        return None
    below = frames[last + 1 :]
    # The first with a name of its own: "async with lock" is about Lock.acquire, not about who calls that.
    frame = next((one for one in below if not _is_private(one)), below[0])
    module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    name = frame.f_code.co_qualname.rpartition("<locals>.")[2]
    if below[0].f_code.co_qualname == "TaskGroup.__aexit__":
        return "the tasks of its TaskGroup"
    if module == "asyncio" and name == "sleep":
        return f"asyncio.sleep({frame.f_locals.get('delay')!r})"
    if module == "asyncio" and name == "to_thread":
        return f"asyncio.to_thread of {_thread(frame.f_locals.get('func'))}"
    return f"{module}'s {name}()" if module else f"{name}()"


def _is_private(frame: FrameType) -> bool:
    return any(part.startswith("_") for part in frame.f_code.co_qualname.split("."))


def _thread(function: Any) -> str:
    """Name a function that runs in some thread, and say where in it that thread is."""
    name = getattr(function, "__qualname__", None) or type(function).__name__
    name = name.rpartition("<locals>.")[2]
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is not None:
        for top in list(sys._current_frames().values()):
            frame: FrameType | None = top
            while frame is not None:
                if frame.f_code is code:
                    return f"{name}, which is at {body.describe_frame(body.user_frame(top))}"
                frame = frame.f_back
    return f"{name}, which has not begun" if code is not None else name


def _comes_from_a_thread(future: Any) -> bool:
    """Say whether a future is set by what an executor has been given."""
    callbacks = getattr(future, "_callbacks", None) or ()
    return any("_chain_future" in getattr(one[0], "__qualname__", "") for one in list(callbacks))
