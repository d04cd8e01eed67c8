"""Programs of the machine, and worker processes of one's own.

| module | what is in it |
| --- | --- |
| `command` | `Command`: a program of the machine as a component; start reading here |
| `program` | its process, its group, its exit; `pipes`: what is between its descriptors and boxes |
| `worker` | `Worker`: a component in a process of its own, on a core of its own; start reading here |
| `child` | what runs in that process |
| `crossing` | a box whose other side is in another process |
| `channel` | frames between two processes |
| `packing` | messages as bytes; `shared`: large buffers, which are not copied into these |
| `remote` | exceptions on their way from one process to another |
| `spawn` | how the process is started, and how it finds the program it belongs to |
"""

from .command import Command, CommandFailed
from .errors import RemoteError, WorkerDied
from .program import ExitStatus
from .worker import Worker, WorkerStatistics

__all__ = [
    "Command",
    "CommandFailed",
    "ExitStatus",
    "RemoteError",
    "Worker",
    "WorkerDied",
    "WorkerStatistics",
]
