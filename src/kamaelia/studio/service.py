"""``run(..., studio=True)``: a Studio beside a system, in a process of its own, for as long as that runs.

The process ends with the system in each case: it is told to when the system is over, and it ends by itself
when its standard input does, which is when the process of the system is gone, whatever has ended that.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kamaelia.axon import System

log = logging.getLogger("kamaelia")

PATIENCE = 5.0  # seconds that the Studio has to end in, when its system is over


def serve(system: System) -> Callable[[], None]:
    """Start a Studio that shows a system, and return what ends it; the service ``studio``.

    Raises `UsageError` where the system has no inspection socket.

    Example:
        ``run(chat, studio=True)`` calls it.
    """
    from kamaelia.observe.inspection import address_of

    command = [sys.executable, "-m", "kamaelia", "studio", "--attach", address_of(system), "--until-eof"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def end() -> None:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            log.warning("the Studio, process %d, has not ended within %g s: it is killed", process.pid, PATIENCE)
            process.kill()
            process.wait()

    return end


__all__ = ["serve"]
