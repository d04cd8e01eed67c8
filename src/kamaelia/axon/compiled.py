"""The compiled form of the core: what `_core` has, put together with what both forms share."""

from __future__ import annotations

from typing import Any, TypeVar

from . import _core, inbox, outbox, process, scheduler

T = TypeVar("T")


class CompiledInbox(_core.Inbox, inbox.Inbox[T], core=True):  # type: ignore[misc]
    """A component's own inbox."""

    __slots__ = ()


class CompiledOutbox(_core.Outbox, outbox.Outbox[T], core=True):  # type: ignore[misc]
    """A component's own outbox."""

    __slots__ = ()


class CompiledProcess(_core.Process, process.Process):
    """The state of one component."""

    __slots__ = ()


class CompiledScheduler(_core.Scheduler, scheduler.Scheduler):
    """Steps the components of one system."""

    __slots__ = scheduler.REST


FORM: dict[str, Any] = {
    "make_queue": _core.Queue,
    "Route": _core.Route,
    "Inbox": CompiledInbox,
    "Outbox": CompiledOutbox,
    "Process": CompiledProcess,
    "Scheduler": CompiledScheduler,
    "drive": _core.Drive,
}
