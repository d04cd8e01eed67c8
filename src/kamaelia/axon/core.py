"""The core: what every message passes through, in two forms that behave the same.

The *plain* form is Python, and the reference: read that. The *compiled* form is its twin in Cython
(``_core.pyx``). Both have these parts, and everything else in Axon is written once and works with either:

| part | plain form |
| --- | --- |
| ``Queue``, ``Route`` | `queue`, `link` |
| ``Inbox``, ``Outbox`` | `inbox`, `outbox`: the classes that are called Plain |
| ``Process``, ``Scheduler`` | `process`, `scheduler`: likewise |
| ``drive`` | `body`: what steps a generator |

Which form is used is decided when Axon is imported: the compiled one, where it has been built and its tricks
work on this interpreter, unless ``KAMAELIA_PURE=1`` is set. `use` changes that for what is made from then on,
which is for tests: things of both forms cannot be linked with each other, and trying to is an error.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .body import drive
    from .inbox import PlainInbox as Inbox
    from .link import PlainRoute as Route
    from .outbox import PlainOutbox as Outbox
    from .process import PlainProcess as Process
    from .queue import make_queue
    from .scheduler import PlainScheduler as Scheduler

__all__ = [
    "Inbox",
    "Outbox",
    "Process",
    "Route",
    "Scheduler",
    "choose",
    "drive",
    "form",
    "make_queue",
    "use",
    "why_not_compiled",
]

# Of a class that leaves its attributes to the forms of the core.
NO_SLOTS: tuple[str, ...] = ()

form = "plain"
"""The form that is in use: ``"plain"`` or ``"compiled"``."""

why_not_compiled: str | None = None
"""Why there is no compiled form here; None where there is one."""

_forms: dict[str, dict[str, Any]] = {}


def use(name: str) -> None:
    """Make what is made from now on of this form; `choose` has found out which there are."""
    global form
    if name not in _forms:
        raise ImportError(f"there is no {name} core here: {why_not_compiled}")
    globals().update(_forms[name])
    form = name


def choose() -> None:
    """Find the forms that there are, and use the best one."""
    global why_not_compiled
    from . import body, inbox, link, outbox, process, queue, scheduler

    _forms["plain"] = {
        "make_queue": queue.make_queue,
        "Route": link.PlainRoute,
        "Inbox": inbox.PlainInbox,
        "Outbox": outbox.PlainOutbox,
        "Process": process.PlainProcess,
        "Scheduler": scheduler.PlainScheduler,
        "drive": body.drive,
    }
    use("plain")
    if os.environ.get("KAMAELIA_PURE") == "1":
        why_not_compiled = "KAMAELIA_PURE=1 is set"
        return
    try:
        from . import compiled
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        why_not_compiled = (
            "it has not been built: that needs a C compiler and Python's headers (on Debian gcc and "
            "python3-dev) when Kamaelia is installed"
            if missing
            else f"it cannot be loaded: {error}"
        )
        return
    _forms["compiled"] = compiled.FORM
    use("compiled")
