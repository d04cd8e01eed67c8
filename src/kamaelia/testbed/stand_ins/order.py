"""The order of sets in simulated code, where it depends on addresses in memory.

Python orders a set by the hashes of what is in it. Unless a class says otherwise, an object's hash is made of
its address, which differs from process to process, and from run to run. Usually nobody can tell. But who goes
through a set of connections to send something to each, or of tasks to cancel them, has another order each
time. So while a simulation runs, numbers stand in place of addresses, for objects that are first asked for
their hash by simulated code; they are counted for each host. That goes for

- futures, tasks and sockets, which a host makes as it likes (`kamaelia.testbed.futures`);
- protocols, transports, and asyncio's stream readers and writers, with all classes that are made of these;
- the streams of aioquic, since a connection gives them their turns in the order of a set;
- what ``asyncio.as_completed`` is given: it would start coroutines in the order of their addresses.

Sets of other objects, such as those of a program's own classes, are still in the order of addresses.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from .places import InClass, StandIn
from .where import simulated_loop

CLASSES = {
    "aioquic.quic.stream": ("QuicStream",),
    "asyncio.protocols": ("BaseProtocol",),
    "asyncio.streams": ("StreamReader", "StreamWriter"),
    "asyncio.transports": ("BaseTransport",),
}
"""By module, the classes whose objects are numbered."""

NUMBER = "number on a simulated host"  # which is no name that a class could give to anything


def numbered(self: Any) -> int:
    """Return a hash that is a number, if simulated code is the first to ask for it."""
    kept: dict[str, Any] | None = getattr(self, "__dict__", None)
    if kept is None:  # there is no place for a number
        return object.__hash__(self)
    number: int | None = kept.get(NUMBER)
    if number is None:
        loop = simulated_loop()
        if loop is None:
            return object.__hash__(self)
        number = kept[NUMBER] = loop.next_number()
    return number


def of_classes(module: str) -> Callable[[], list[Any]]:
    """Return what makes the stand-ins for hashes of the classes of a module; those that it has not are left
    out, and those that have a hash of their own."""

    def make() -> list[Any]:
        found = [vars(sys.modules[module]).get(name) for name in CLASSES[module]]
        return [
            InClass(one, "__hash__", numbered)
            for one in found
            if isinstance(one, type) and "__hash__" not in vars(one)
        ]

    return make


def of_tasks() -> list[Any]:
    """Return the stand-in of ``asyncio.as_completed``."""
    real = asyncio.as_completed

    def as_completed(loop: Any, fs: Any, **options: Any) -> Any:
        if not asyncio.isfuture(fs) and not asyncio.iscoroutine(fs):  # else it says what is wrong with that
            fs = [asyncio.ensure_future(one, loop=loop) for one in dict.fromkeys(fs)]
        return real(fs, **options)

    return [StandIn("asyncio.tasks", "as_completed", real, as_completed, everywhere=True)]


__all__ = ["CLASSES", "NUMBER", "numbered", "of_classes", "of_tasks"]
