"""Futures, tasks and sockets of simulated hosts: in sets they are in the same order in each run.

Python orders a set by the hashes of what is in it. Unless an object says otherwise, its hash is its address
in memory, which differs from process to process, and from run to run. Futures and tasks are kept in sets by
asyncio itself, which cancels the tasks of a `asyncio.TaskGroup` in that order, and by libraries, which wake
those who wait for the same name in that order. So what a simulated host makes of them has a number for its
hash: they are counted as they are first asked for it, on each host from a number made of its name.

What becomes of other objects in sets: `stand_ins.order`.
"""

from __future__ import annotations

import asyncio
from typing import Any


def _hash(self: Any) -> int:
    """Return a number that no address of an object is in."""
    try:
        return self._number  # type: ignore[no-any-return]
    except AttributeError:
        self._number = number = self.get_loop().next_number()
        return number  # type: ignore[no-any-return]


def hash_on_host(self: Any) -> int:
    """Return the same for a part of a host: what has a ``node``, and a place for ``_number``."""
    try:
        return self._number  # type: ignore[no-any-return]
    except AttributeError:
        simulation = self.node.simulation
        simulation.numbered += 1
        self._number = simulation.numbered
        return simulation.numbered  # type: ignore[no-any-return]


class HostFuture(asyncio.Future[Any]):
    """A future of a simulated host."""

    __slots__ = ("_number",)
    __hash__ = _hash


class HostTask(asyncio.Task[Any]):
    """A task of a simulated host."""

    __slots__ = ("_number",)
    __hash__ = _hash


__all__ = ["HostFuture", "HostTask", "hash_on_host"]
