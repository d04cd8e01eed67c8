"""Whose code runs: a simulated host's, or anybody else's.

The running loop says so. In a thread there is none, so there the component says it for which the thread
works: a script's thread, and one in which `asyncio.to_thread` runs something, have its context. What the
loop's own pool of threads runs for others says it by `this_thread_works_for`.
"""

from __future__ import annotations

import contextlib
import threading
from asyncio import events
from collections.abc import Iterator
from typing import Any

from ...axon.process import current_process


class _Thread(threading.local):
    host: Any = None  # the loop of the host for which it works
    allowed = 0  # how deep it is in what may do everything


_thread = _Thread()
_running_loop = events._get_running_loop


def simulated_loop() -> Any:
    """Return the loop of the simulated host whose code runs; None if it is anybody else's.

    >>> simulated_loop()
    """
    if _thread.allowed:
        return None
    loop: Any = _running_loop()
    if loop is not None and getattr(loop, "is_simulated_host", False):
        return loop
    if _thread.host is not None:
        return _thread.host
    process = current_process.get(None)
    if process is not None and process.scheduler is not None:
        loop = process.scheduler.loop
        if getattr(loop, "is_simulated_host", False):
            return loop
    return None


@contextlib.contextmanager
def this_thread_works_for(loop: Any) -> Iterator[None]:
    """Have what this thread does be simulated code of a host, whose loop is given.

    Example:
        >>> class Loop:
        ...     is_simulated_host = True
        >>> loop = Loop()
        >>> with this_thread_works_for(loop):
        ...     simulated_loop() is loop
        True
    """
    before, _thread.host = _thread.host, loop
    try:
        yield
    finally:
        _thread.host = before


@contextlib.contextmanager
def allowed() -> Iterator[None]:
    """Have what this thread does not be simulated code, whatever loop is running.

    For our own code in a simulation that must start a thread, and must not wait for anything meanwhile.

    Example:
        >>> class Loop:
        ...     is_simulated_host = True
        >>> with this_thread_works_for(Loop()), allowed():
        ...     simulated_loop() is None
        True
    """
    _thread.allowed += 1
    try:
        yield
    finally:
        _thread.allowed -= 1


__all__ = ["allowed", "simulated_loop", "this_thread_works_for"]
