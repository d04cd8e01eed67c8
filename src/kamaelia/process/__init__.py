"""Programs and worker processes.

`Command` runs a program of the machine as a component: `command` is that, `program` the processes,
`pipes` what is between their descriptors and boxes.
"""

from .command import Command, CommandFailed
from .program import ExitStatus

__all__ = ["Command", "CommandFailed", "ExitStatus"]
