"""The compiled form of the core: what `_core` has, put together with what both forms share."""

from __future__ import annotations

from typing import Any, TypeVar

from . import _core, box, inbox, link, outbox, outlet, process, scheduler
from .clock import VirtualClock, VirtualLoop

T = TypeVar("T")


# What only some of the following need has a place in them only while they need it (`_core.Rarely`).


class CompiledInbox(_core.Inbox, inbox.Inbox[T], core=True):  # type: ignore[misc]
    """A component's own inbox."""

    __slots__ = ()

    __reduce__ = box.Box.__reduce__  # Cython has one that refuses

    failure = _core.Rarely()
    taps = _core.Rarely(())
    unread = _core.Rarely(0)


class CompiledOutbox(_core.Outbox, outbox.Outbox[T], core=True):  # type: ignore[misc]
    """A component's own outbox."""

    __slots__ = ()

    __reduce__ = box.Box.__reduce__  # Cython has one that refuses

    failure = _core.Rarely()
    taps = _core.Rarely(())
    dropped = _core.Rarely(0)
    carried = _core.Rarely(0)
    tapped_by = _core.Rarely(())


class CompiledLink(_core.Link, link.Link):
    """A wire between two boxes."""

    __slots__ = ()

    __reduce__ = link.Link.__reduce__

    lends_to = _core.Rarely()
    taps = _core.Rarely(())
    carried = _core.Rarely(0)
    dropped = _core.Rarely(0)


_core.introduce(CompiledInbox, CompiledLink, outlet.check_bytes)


class CompiledProcess(_core.Process, process.Process):
    """The state of one component."""

    __slots__ = ()

    holds = _core.Rarely(())
    future = _core.Rarely()
    result_from = _core.Rarely()
    names = _core.Rarely(())
    script = _core.Rarely()
    random = _core.Rarely()
    task_name = _core.Rarely()
    cancel_message = _core.Rarely()
    failures = _core.Rarely(())
    cause = _core.Rarely()
    result = _core.Rarely()
    callbacks = _core.Rarely(())


class CompiledScheduler(_core.Scheduler, scheduler.Scheduler):
    """Steps the components of one system."""

    __slots__ = tuple([name for name in scheduler.REST if name != "_context"])


class CompiledInlet(_core.Inlet, outlet.Inlet):
    """Puts what a transport has received into an inbox."""

    __slots__ = ()


class CompiledOutlet(_core.Outlet, outlet.Outlet):
    """Reads an inbox by writing each message to a transport."""

    __slots__ = ()


class CompiledVirtualClock(_core.VirtualClock, VirtualClock):
    """One virtual time, and everything that is to happen in it."""


_loops: dict[type[VirtualLoop], type[VirtualLoop]] = {}


def virtual_loop(kind: type[VirtualLoop]) -> type[VirtualLoop]:
    """Return a class of loops with the compiled form of what loops do most often; some of it the class may do
    in its own way."""
    if kind not in _loops:
        own = {name: vars(one)[name] for one in _between(kind) for name in _CALLS if name in vars(one)}
        # In slots, as a loop that has no more than these then needs no dictionary.
        slots = {"__slots__": kind.fields, "__module__": kind.__module__}
        made = type(kind.__name__, (_core.LoopCalls, kind), {**slots, **own})
        _loops[kind] = _loops[made] = made
    return _loops[kind]


_CALLS = ("call_at", "call_later", "call_soon", "time")


def _between(kind: type[VirtualLoop]) -> list[type]:
    """Return the classes that derive from `VirtualLoop` and that this one derives from, the nearest last."""
    order = kind.__mro__
    return list(reversed(order[: order.index(VirtualLoop)]))


FORM: dict[str, Any] = {
    "VirtualClock": CompiledVirtualClock,
    "virtual_loop": virtual_loop,
    "make_queue": _core.Queue,
    "Link": CompiledLink,
    "Route": _core.Route,
    "Inbox": CompiledInbox,
    "Outbox": CompiledOutbox,
    "Inlet": CompiledInlet,
    "Outlet": CompiledOutlet,
    "Process": CompiledProcess,
    "Scheduler": CompiledScheduler,
    "drive": _core.Drive,
}
