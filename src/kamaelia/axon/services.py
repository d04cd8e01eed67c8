"""Services: what rooms above Axon offer to a system, found by name and never imported.

A system can be looked at, drawn and inspected, and how that is done stands in `kamaelia.observe` and
`kamaelia.studio`. Axon imports neither: who offers a service names it in the entry-point group
``kamaelia.services``, as another distribution may, too.

| service | what it is |
| --- | --- |
| `snapshot`, `diagnose`, `draw` | what the methods of a `System` of these names call, with the system first |
| `draw` | also what a notebook shows of a component, a system, or a handle of `background`, as ``svg`` |
| `inspect`, `studio` | ``service(system)`` looks after a system that begins, and returns what ends that |
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
from collections.abc import Callable
from typing import Any

from .errors import UsageError

log = logging.getLogger("kamaelia")

GROUP = "kamaelia.services"


@functools.cache
def load(name: str) -> Callable[..., Any]:
    """Return a service; raises `UsageError` where it is not installed."""
    for one in importlib.metadata.entry_points(group=GROUP, name=name):
        service: Callable[..., Any] = one.load()
        return service
    raise UsageError(
        f"no service called {name!r} is installed (entry-point group {GROUP}): install kamaelia again, with "
        "pip, so that what it offers is listed"
    )


def notebook_form(what: Any) -> dict[str, str]:
    """Return what a notebook shows of a component, a system or a handle: its picture, where one can be drawn.

    >>> from kamaelia.flow import Null
    >>> sorted(notebook_form(Null()))
    ['image/svg+xml', 'text/plain']
    """
    shown = {"text/plain": repr(what)}
    try:
        shown["image/svg+xml"] = load("draw")(what, "svg")
    except Exception:  # what stands for a value must not raise; whoever wants to know why calls `draw`
        log.debug("%r cannot be drawn", what, exc_info=True)
    return shown
