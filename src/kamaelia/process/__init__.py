"""Programs and worker processes.

| module | what is in it |
| --- | --- |
| `worker` | `Worker`: a component in a process of its own, on a core of its own; start reading here |
| `child` | what runs in that process |
| `crossing` | a box whose other side is in another process |
| `channel` | frames between two processes |
| `packing` | messages as bytes; `shared`: large buffers, which are not copied into these |
| `remote` | exceptions on their way from one process to another |
| `spawn` | how the process is started, and how it finds the program it belongs to |
"""

from .errors import RemoteError, WorkerDied
from .worker import Worker, WorkerStatistics

__all__ = ["RemoteError", "Worker", "WorkerDied", "WorkerStatistics"]
