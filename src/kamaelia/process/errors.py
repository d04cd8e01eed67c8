"""What goes wrong with worker processes."""

from __future__ import annotations

from kamaelia.axon import KamaeliaError


class WorkerDied(KamaeliaError):
    """The process of a worker has ended without having finished: it was killed, or has crashed."""


class RemoteError(KamaeliaError):
    """Stands for an exception of another process that can't be pickled; its text names the original."""


__all__ = ["RemoteError", "WorkerDied"]
