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

from kamaelia.axon import UsageError
from kamaelia.observe.inspection import server_of

if TYPE_CHECKING:
    from kamaelia.axon import System

log = logging.getLogger("kamaelia")

PATIENCE = 3.0  # seconds that the Studio has to end in, when its system is over


def serve(system: System) -> Callable[[], None]:
    """Start a Studio that shows a system, and return what ends it; the service ``studio``.

    Raises `UsageError` where the system has no inspection socket.

    Example:
        ``run(chat, studio=True)`` calls it.
    """
    server = server_of(system)
    if server is None:
        raise UsageError("the Studio looks through the inspection socket: use run(..., inspect=True)")
    return start(server.path)


def start(path: str) -> Callable[[], None]:
    """Start a Studio that looks through a socket; return what ends it.

    Arguments:
        path: of the inspection socket

    Example:
        ``end = start("/run/user/1000/kamaelia/4711-1.sock")``
    """
    command = [sys.executable, "-m", "kamaelia", "studio", "--attach", path, "--until-eof"]
    # In a session of its own: a Ctrl-C is for the system, whose end one may want to watch.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )

    def end() -> None:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            log.warning("the Studio (process %d) is killed: it did not end in %g s", process.pid, PATIENCE)
            process.kill()
            process.wait()

    return end


__all__ = ["serve", "start"]
