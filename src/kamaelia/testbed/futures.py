"""Futures and tasks of simulated hosts, in an order of their own where they are kept in sets.

Python orders a set by the hashes of what is in it. Unless an object says otherwise, its hash is its address
in memory, which differs from process to process, and from run to run. Futures and tasks are kept in sets by
asyncio itself, which cancels the tasks of a `asyncio.TaskGroup` in that order, and by libraries, which wake
those who wait for the same name in that order. So what a simulated host makes of them has a number for its
hash: those of one host are counted as they are first asked for it.

Sets of other objects, such as connections of a library, or coroutines, are still in the order of addresses.
"""

from __future__ import annotations

import asyncio
from typing import Any


def _hash(self: Any) -> int:
    """Return a number that no address of an object is in."""
    try:
        return self._number  # type: ignore[no-any-return]
    except AttributeError:
        loop = self.get_loop()
        loop.numbered += 1
        self._number = loop.numbered
        return loop.numbered  # type: ignore[no-any-return]


class HostFuture(asyncio.Future[Any]):
    """A future of a simulated host."""

    __slots__ = ("_number",)
    __hash__ = _hash


class HostTask(asyncio.Task[Any]):
    """A task of a simulated host."""

    __slots__ = ("_number",)
    __hash__ = _hash


__all__ = ["HostFuture", "HostTask"]
