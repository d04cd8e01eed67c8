"""Which modules have stand-ins, and the one for importing itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from . import audit, chance, network, order, polling, times
from .places import StandIn
from .where import allowed


def of_import() -> list[Any]:
    """Return the stand-in of what finds and executes modules, for both ``import`` and `importlib`.

    What a module does when it is imported is not simulated. Then it is searched for what it holds, at once,
    for it may be one that brings stand-ins, such as `numpy.random`.
    """
    real = sys.modules["_frozen_importlib"]._find_and_load

    def find_and_load(loop: Any, name: str, import_: Any) -> Any:
        if name in sys.modules:
            return real(name, import_)
        from . import places

        with allowed():
            module = real(name, import_)
        places.put()
        return module

    return [StandIn("_frozen_importlib", "_find_and_load", real, find_and_load)]


MODULES: dict[str, Callable[[], list[Any]]] = {
    "_frozen_importlib": of_import,
    "_posixsubprocess": audit.of_subprocess,
    "_thread": audit.of_thread,
    "datetime": times.of_datetime,
    "numpy.random": chance.of_numpy,
    "os": chance.of_os,
    "random": chance.of_random,
    "select": polling.of_select,
    "socket": network.of_socket,
    "ssl": chance.of_ssl,
    "time": times.of_time,
    "uuid": chance.of_uuid,
    "asyncio.tasks": order.of_tasks,
    **{module: order.of_classes(module) for module in order.CLASSES},
}
"""By the name of a module, what makes its stand-ins."""

__all__ = ["MODULES"]
