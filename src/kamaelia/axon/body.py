"""The three kinds of body that a component can have, made into one: a coroutine.

| kind | written as | waits by |
| --- | --- | --- |
| coroutine | ``async def`` | ``await inbox.receive()`` |
| generator | ``def`` with ``yield`` | ``yield inbox.receive()`` |
| script | plain ``def``, own thread | ``inbox.receive()``, which blocks |

The scheduler knows coroutines only. A generator is driven by a coroutine that awaits what it yields; a script
is served by one that awaits what its thread asks for (`script`). So every rule holds for all three.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import linecache
import math
import os
from collections.abc import Callable, Coroutine, Generator, Iterator
from types import CodeType, FrameType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from . import core
from .errors import Cancelled, UsageError, shorten
from .queue import TURN

if TYPE_CHECKING:
    from .process import Process

_COROUTINE = inspect.CO_COROUTINE
_GENERATOR = inspect.CO_GENERATOR
_ASYNC_GENERATOR = inspect.CO_ASYNC_GENERATOR


def kind_of(function: Callable[..., Any]) -> str:
    """Say which kind of body a function is: ``"coroutine"``, ``"generator"`` or ``"script"``."""
    plain = function
    if type(plain) is MethodType and type(plain.__func__) is FunctionType:  # the usual ``self.main``
        plain = plain.__func__
    while hasattr(plain, "func"):  # functools.partial
        plain = plain.func
    plain = getattr(plain, "__func__", plain)
    plain = getattr(plain, "calls", plain)  # the ``main`` that `component` makes for a function
    code: CodeType | None = getattr(plain, "__code__", None)
    flags = code.co_flags if code is not None else 0
    if flags & _ASYNC_GENERATOR:
        raise UsageError(
            f"{_name(plain)} has both 'async def' and 'yield': send messages with 'await outbox.send(...)' "
            "instead of yielding them"
        )
    if flags & _COROUTINE:
        return "coroutine"
    if flags & _GENERATOR:
        return "generator"
    return "script"


def make_coroutine(process: Process) -> Coroutine[Any, Any, Any]:
    """Call a component's ``main`` and make a coroutine of what it is."""
    main = process.component.main
    assert main is not None
    kind = kind_of(main)
    if kind == "script":
        from .script import ScriptThread

        process.script = ScriptThread(process, main)
        return process.script.serve()  # type: ignore[no-any-return]
    made = main()
    if kind == "generator":
        return core.drive(made)
    return made  # type: ignore[no-any-return]


async def drive(generator: Generator[Any, Any, Any]) -> Any:
    """Run a generator body: whatever it yields is awaited, and the result is what the yield returns."""
    value: Any = None
    error: BaseException | None = None
    try:
        while True:
            try:
                if error is None:
                    awaitable = generator.send(value)
                else:
                    awaitable, error = generator.throw(error), None
            except StopIteration as end:
                return end.value
            value = None
            try:
                if awaitable is None:
                    await TURN
                elif hasattr(awaitable, "__await__") or inspect.isawaitable(awaitable):
                    value = await awaitable
                else:
                    raise no_awaitable(awaitable)
            except BaseException as raised:  # whatever it is, it belongs into the generator
                error = raised
    finally:
        generator.close()


def iterator_of(awaitable: Any) -> Any:
    """Return what steps something that a generator has yielded; for the compiled form, which has no await."""
    if inspect.isawaitable(awaitable):
        return awaitable if hasattr(awaitable, "send") else awaitable.__await__()
    raise no_awaitable(awaitable)


def no_awaitable(yielded: Any) -> TypeError:
    """Make the error for a generator that has yielded something that cannot be awaited."""
    return TypeError(
        f"a generator yields what a coroutine would await, but this one yielded {shorten(yielded)}. "
        "To send it: 'yield outbox.send(...)'; to call a helper generator: 'yield from helper(...)'"
    )


def refuse_result(process: Process, result: Any) -> None:
    """A plain function that returned a coroutine or generator was meant to be one: say so."""
    if inspect.iscoroutine(result) or inspect.isgenerator(result) or inspect.isasyncgen(result):
        what = "coroutine" if inspect.iscoroutine(result) else "generator"
        result.close() if not inspect.isasyncgen(result) else None
        raise UsageError(
            f"the body of {process.path} is a plain function, which runs as a script in a thread of its own, "
            f"but it returned a {what}: write 'async def', or use 'yield' in the function itself"
        )


# -- where it is ------------------------------------------------------------------------------------


def where(process: Process) -> str:
    """Say at which line of its own code a component is, for those who wait for it."""
    frame = waiting_frame(process)
    if frame is None:
        return "not started" if not process.begun else "has ended"
    return describe_frame(frame)


def waiting_frame(process: Process) -> FrameType | None:
    """Return the innermost frame of a component that is the user's; None before it begins and after its
    end."""
    if process.script is not None:
        script_frame: FrameType | None = process.script.frame()
        if script_frame is not None:
            return script_frame
    frame: FrameType | None = None
    for here in frames_of(process.coroutine):
        if not is_library(here.f_code):
            frame = here
    return frame


def frames_of(awaited: Any) -> Iterator[FrameType]:
    """Yield the frames of a suspended coroutine, the outermost first; but none of Axon's own."""
    while awaited is not None:
        here = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if here is not None and not is_ours(here.f_code):
            yield here
        generator = getattr(awaited, "generator", None)  # of the compiled form's `drive`
        if here is not None and here.f_code is drive.__code__:
            generator = here.f_locals.get("generator")
        if generator is not None:
            while (inner := getattr(generator, "gi_frame", None)) is not None:
                yield inner
                generator = generator.gi_yieldfrom
        awaited = awaited_by(awaited)


def awaited_by(awaited: Any) -> Any:
    """Return what something suspended is waiting for in turn, if it says so."""
    for name in ("cr_await", "gi_yieldfrom", "awaited"):
        inner = getattr(awaited, name, None)
        if inner is not None:
            return inner
    return None


def has_time_limit(process: Process) -> bool:
    """Say whether a waiting body is inside of somebody else's time-out, such as ``async with
    asyncio.timeout(5)``.

    Such a wait will end although no message comes. The exit method of a ``with`` block that is under way lies
    on the stack of the suspended frame, where the garbage collector can see it.
    """
    awaited: Any = process.coroutine
    while awaited is not None:
        if any(_is_time_limit(manager) for manager in _managers(awaited)):
            return True
        awaited = awaited_by(awaited)
    return False


def _managers(suspended: Any) -> Iterator[Any]:
    """Yield the context managers whose blocks are under way in a suspended coroutine or generator."""
    for referent in gc.get_referents(suspended):
        if getattr(referent, "__name__", "") in ("__exit__", "__aexit__"):
            yield from _managers_in(getattr(referent, "__self__", None))


def _managers_in(manager: Any) -> Iterator[Any]:
    """Yield a context manager, and those inside of one that was made of others with `contextlib`."""
    yield manager
    if isinstance(manager, contextlib._GeneratorContextManagerBase):
        yield from _managers(manager.gen)  # anyio.fail_after is one
    yield from _managers_on(manager)
    for part in vars(manager).values() if hasattr(manager, "__dict__") else ():
        # Somebody's own manager may enter another, which it then keeps to leave it again.
        if isinstance(part, asyncio.Timeout):
            yield part
        elif isinstance(part, (contextlib.ExitStack, contextlib.AsyncExitStack)):
            yield from _managers_on(part)


def _managers_on(stack: Any) -> Iterator[Any]:
    """Yield what an ExitStack will leave; nothing, for anything else."""
    for _, leave in getattr(stack, "_exit_callbacks", ()):
        yield from _managers_in(getattr(leave, "__self__", None))


def _is_time_limit(manager: Any) -> bool:
    if isinstance(manager, asyncio.Timeout):
        return manager.when() is not None
    return getattr(manager, "deadline", math.inf) != math.inf  # anyio's scopes


def is_ours(code: CodeType) -> bool:
    """Say whether code belongs to Axon, which is never where a component waits or is stuck."""
    return code.co_filename.startswith(_OUR_FOLDER)


def is_users(filename: str) -> bool:
    """Say whether a file is the user's own or another package's: neither Kamaelia's nor Python's."""
    compiled = filename.endswith("_core.pyx")  # a path of where it was built
    return not (compiled or filename.startswith((_PACKAGE_FOLDER, "<frozen", _STANDARD_LIBRARY)))


def is_library(code: CodeType) -> bool:
    """Say whether code is Python's own or that of an installed package."""
    name = code.co_filename
    return name.startswith(("<frozen", _STANDARD_LIBRARY)) or "/site-packages/" in name


_OUR_FOLDER = os.path.dirname(__file__) + os.sep
_PACKAGE_FOLDER = os.path.dirname(os.path.dirname(__file__)) + os.sep
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep


def user_frame(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame, from this one outward, that is neither ours nor the library's."""
    innermost = frame
    while frame is not None:
        code = frame.f_code
        if not is_ours(code) and not is_library(code):
            return frame
        frame = frame.f_back
    return innermost


def describe_frame(frame: FrameType | None) -> str:
    """Return a frame as ``chat.py:12 in main: time.sleep(60)``."""
    return "has ended" if frame is None else describe_line(frame.f_code, frame.f_lineno)


def describe_line(code: CodeType, number: int) -> str:
    """Return a line of some code as ``chat.py:12 in main: time.sleep(60)``."""
    line = linecache.getline(code.co_filename, number).strip()
    name = code.co_filename.rpartition("/")[2]
    return f"{name}:{number} in {code.co_name}" + (f": {line}" if line else "")


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", repr(function))


__all__ = ["Cancelled", "describe_frame", "is_ours", "kind_of", "make_coroutine", "user_frame", "where"]
