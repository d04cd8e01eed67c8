"""How the process of a worker is started, and finds the program that it belongs to.

It is started afresh, not forked: threads, locks and loops of this process are not in it. So it imports what
it needs, from where this process would. What was defined in the program itself (``__main__``) it finds by
importing that under another name, as `multiprocessing` does; but only when something of it is asked for, so
that a program which keeps its parts in modules is not run through a second time.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Sequence
from typing import Any

from kamaelia.axon import UsageError

MAIN = "__mp_main__"  # the name that multiprocessing has for it, too

# They may reach all processes of a terminal, or of a service, and what they mean is for the starter to
# decide.
OTHERS_SIGNALS = {signal.SIGINT, signal.SIGTERM}

importing = False  # the program, in the process of a worker
_program: tuple[str, str] | None = None  # in such a process, what its starter has told


def program() -> tuple[str, str] | None:
    """Return how the program can be imported: ``("name", ...)`` or ``("path", ...)``; None if it can't."""
    if _program is not None:
        return _program
    main = sys.modules["__main__"]
    sys.modules.setdefault(MAIN, main)  # that is where what comes from a worker says that it belongs
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if name is not None:
        return "name", name
    path = getattr(main, "__file__", None)
    return None if path is None else ("path", os.path.abspath(path))


def import_when_needed(where: tuple[str, str] | None) -> None:
    """Have the program imported as soon as something of it is asked for (in the process of a worker)."""
    global _program
    _program = where
    main = sys.modules[MAIN] = sys.modules["__main__"]

    def find(name: str) -> Any:
        if name.startswith("__"):  # asked for by who looks through modules
            raise AttributeError(name)
        if where is None or importing:
            raise AttributeError(f"the program has no {name}" + " yet, and is being imported" * importing)
        return getattr(_import(*where), name)

    main.__dict__["__getattr__"] = find


def _import(kind: str, where: str) -> types.ModuleType:
    global importing
    import runpy

    importing = True
    try:
        if kind == "name":
            found = runpy.run_module(where, run_name=MAIN, alter_sys=True)
        else:
            found = runpy.run_path(where, run_name=MAIN)
    except Exception as error:
        raise UsageError(
            f"a worker could not import the program, {where}: {type(error).__name__}: {error}. What starts "
            'the system belongs under if __name__ == "__main__":'
        ) from error
    finally:
        importing = False
    main = types.ModuleType(MAIN)
    main.__dict__.update(found)
    sys.modules["__main__"] = sys.modules[MAIN] = main
    return main


def start_process(connection: socket.socket, files: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start the process of a worker, which finds the other end of the connection, and the files."""
    numbers = (connection.fileno(), *files)
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        f"from kamaelia.process.child import main; main{(*numbers, os.getpid())}"
    )
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    # The new process is to do nothing at these, and until it can say so, they are blocked there.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, OTHERS_SIGNALS)
    try:
        return subprocess.Popen(
            [sys.executable, *flags, "-c", code], stdin=subprocess.DEVNULL, pass_fds=numbers
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
