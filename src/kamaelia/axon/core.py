"""The core: what every message passes through, in two forms that behave the same.

The *plain* form is Python, and the reference: read that. The *compiled* form is its twin in Cython
(``_core.pyx``). Both have these parts, and everything else in Axon is written once and works with either:

| part | plain form |
| --- | --- |
| ``Queue`` | `queue` |
| ``Inbox``, ``Outbox`` | `inbox`, `outbox`: the classes that are called Plain |
| ``Link``, ``Route`` | `link`: likewise |
| ``Process``, ``Scheduler`` | `process`, `scheduler`: likewise |
| ``Inlet``, ``Outlet`` | `outlet`: likewise |
| ``drive`` | `body`: what steps a generator |
| ``VirtualClock`` | `clock`: the class that is called Plain; loops on it get compiled methods as well |

There is a third, for an interpreter on which a component cannot be asyncio's current task: the plain form,
but each component is run by a task of asyncio's (`tasks`).

Which form is used is decided when Axon is imported: the compiled one, where it has been built and its tricks
work on this interpreter, unless ``KAMAELIA_PURE=1`` is set. `use` changes that for what is made from then on,
which is for tests: things of both forms cannot be linked with each other, and trying to is an error.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .body import drive
    from .clock import PlainVirtualClock as VirtualClock
    from .inbox import PlainInbox as Inbox
    from .link import PlainLink as Link
    from .link import PlainRoute as Route
    from .outbox import PlainOutbox as Outbox
    from .outlet import PlainInlet as Inlet
    from .outlet import PlainOutlet as Outlet
    from .process import PlainProcess as Process
    from .queue import make_queue
    from .scheduler import PlainScheduler as Scheduler

    def virtual_loop(kind: type[Any]) -> type[Any]: ...


__all__ = [
    "Inbox",
    "Inlet",
    "Link",
    "Outbox",
    "Outlet",
    "Process",
    "Route",
    "Scheduler",
    "VirtualClock",
    "choose",
    "drive",
    "form",
    "make_queue",
    "use",
    "virtual_loop",
    "why_not_compiled",
]

# Of a class that leaves its attributes to the forms of the core.
NO_SLOTS: tuple[str, ...] = ()

form = "plain"
"""The form that is in use: ``"plain"``, ``"compiled"`` or ``"tasks"``."""

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
    from . import body, inbox, link, outbox, outlet, process, queue, scheduler, tasks
    from .clock import PlainVirtualClock

    _forms["plain"] = {
        "make_queue": queue.make_queue,
        "Link": link.PlainLink,
        "Route": link.PlainRoute,
        "Inbox": inbox.PlainInbox,
        "Outbox": outbox.PlainOutbox,
        "Inlet": outlet.PlainInlet,
        "Outlet": outlet.PlainOutlet,
        "Process": process.PlainProcess,
        "Scheduler": scheduler.PlainScheduler,
        "drive": body.drive,
        "VirtualClock": PlainVirtualClock,
        "virtual_loop": lambda kind: kind,
    }
    if not scheduler.CAN_BE_CURRENT:
        why_not_compiled = "on this interpreter no component can be the current task of asyncio's"
    _forms["tasks"] = {**_forms["plain"], "Process": tasks.TaskProcess, "Scheduler": tasks.TaskScheduler}
    use("plain" if scheduler.CAN_BE_CURRENT else "tasks")
    if why_not_compiled is not None:
        return
    pure = os.environ.get("KAMAELIA_PURE", "0")
    if pure not in ("", "0"):
        why_not_compiled = f"KAMAELIA_PURE={pure} is set"
        return
    try:
        from . import compiled
    except Exception as error:  # whatever comes of an extension that was built of other sources
        import importlib.util

        if importlib.util.find_spec(f"{__package__}._core") is None:
            why_not_compiled = (
                "it has not been built: that needs a C compiler and Python's headers (on Debian gcc and "
                "python3-dev) when Kamaelia is installed"
            )
        else:
            why_not_compiled = f"it cannot be loaded, so install Kamaelia again: {error}"
        return
    _forms["compiled"] = compiled.FORM
    use("compiled")
    trouble = _try_out()
    if trouble is not None:
        del _forms["compiled"]
        use("plain")
        why_not_compiled = f"it does not work on this interpreter: {trouble}"


def best_sleep() -> Any:
    """Return the quickest `here.sleep` that there is; it works with things of all forms."""
    if "compiled" in _forms:
        from ._core import sleep
    else:
        from .here import sleep
    return sleep


def _try_out() -> str | None:
    """Pass values that are handed out in different ways through a small system; say what is wrong, if so."""
    from .clock import VirtualLoop
    from .component import Component
    from .inbox import Inbox as AnyInbox
    from .system import run

    values = [None, (1, 2), "text", StopIteration(3)]

    class Passes(Component):
        inbox = AnyInbox[Any]("values", size=1)

        async def main(self) -> None:
            async for value in self.inbox:
                await self.outbox.send(value)

    class Yields(Component):
        inbox = AnyInbox[Any]("values", held=True)

        def main(self) -> Any:
            for value in values:
                yield self.outbox.send(value)

    class Keeps(Component):
        async def main(self) -> list[Any]:
            return [await self.inbox.receive() for _ in values]

    try:
        got = run(Yields() | Passes() | Keeps(), loop_factory=VirtualLoop, slow_step=0)
    except Exception as error:  # whatever it is, there is another form
        return f"{type(error).__name__}: {error}"
    same = all(one is other for one, other in zip(got, values, strict=True))
    return None if same else f"of {values} it made {got}"
