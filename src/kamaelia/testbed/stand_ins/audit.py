"""What slips through the stand-ins: CPython tells us of it, and we refuse it.

`sys.addaudithook` has a function called for some hundred sorts of events, of which those in `REFUSED` would
lead out of a simulation. Such a hook stays for ever, so it is added by the first simulation of a process; in
between it looks at one variable.

Our own threads are let through: those of scripts, and those that do jobs for ``run_in_executor``.
So is the only place where we sleep (`kamaelia.axon.clock.stand_back`).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from ...axon.baton import Worker
from ...axon.clock import stand_back
from ...axon.errors import shorten
from ...axon.script import ScriptThread
from ..errors import SimulationError
from .network import INSTEAD
from .places import StandIn
from .times import no_sleep
from .where import simulated_loop

watching = False
"""Whether a simulation runs somewhere in this process."""

_added = False


def watch() -> None:
    """Add the hook, the first time."""
    global _added
    if not _added:
        _added = True
        sys.addaudithook(_hear)


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if watching and event in REFUSED:
        loop = simulated_loop()
        if loop is not None:
            REFUSED[event](loop, *args)


def _refuse(loop: Any, what: str, why: str) -> SimulationError:
    return SimulationError(f"{what} on simulated host {loop.stack.name}: {why}")


def _socket(loop: Any, sock: Any, *args: Any) -> None:
    kind = type(sock)
    raise _refuse(
        loop,
        f"making a real {kind.__module__}.{kind.__qualname__}",
        f"it would lead out of the simulation. {INSTEAD}",
    )


def _use_socket(doing: str) -> Callable[..., None]:
    def refuse(loop: Any, sock: Any, address: Any) -> None:
        raise _refuse(
            loop,
            f"{doing} a real socket to {shorten(address)}",
            f"it would lead out of the simulation. {INSTEAD}",
        )

    return refuse


def _name(loop: Any, *args: Any) -> None:
    raise _refuse(
        loop,
        f"asking the machine for the name {shorten(args[0])}" if args else "asking the machine for its name",
        "it does not know the simulated network. Write `await asyncio.get_running_loop().getaddrinfo(...)`",
    )


def _sleep(loop: Any, seconds: float) -> None:
    if sys._getframe(2).f_code is not stand_back.__code__:
        raise no_sleep(loop, seconds)


def _program(loop: Any, program: Any, *args: Any) -> None:
    raise _refuse(
        loop,
        f"the program {shorten(program)}",
        "it would run in real time, on the machine's network. Simulate it as a component: run one on a host "
        "that does what it does",
    )


def _spawned(loop: Any, mode: int, program: Any, *args: Any) -> None:
    _program(loop, program)


def _fork(loop: Any) -> None:
    raise _refuse(
        loop,
        "a fork",
        "the new process would leave the simulation. Simulate it as a component: run another one, on this "
        "host or on one of its own",
    )


def _thread(loop: Any, function: Any, *args: Any) -> None:
    if not _is_ours(function):
        thread = getattr(function, "__self__", None)
        name = thread.name if isinstance(thread, threading.Thread) else getattr(function, "__name__", "")
        raise _refuse(
            loop,
            f"the thread {name!r}",
            "the machine would choose when it runs. Write `await asyncio.to_thread(...)`, or a component "
            "that is a plain `def`: such a script has a thread of its own",
        )


def _is_ours(function: Any) -> bool:
    """Say whether a function, with which a thread begins, is that of a script or of a job."""
    target = getattr(getattr(function, "__self__", None), "_target", None)
    return isinstance(getattr(target, "__self__", None), (ScriptThread, Worker))


REFUSED: dict[str, Callable[..., None]] = {
    "_thread.start_joinable_thread": _thread,
    "_thread.start_new_thread": _thread,
    "os.exec": _program,
    "os.fork": _fork,
    "os.forkpty": _fork,
    "os.posix_spawn": _program,
    "os.spawn": _spawned,
    "os.system": _program,
    "socket.__new__": _socket,
    "socket.bind": _use_socket("binding"),
    "socket.connect": _use_socket("connecting"),
    "socket.getaddrinfo": _name,
    "socket.gethostbyaddr": _name,
    "socket.gethostbyname": _name,
    "socket.gethostname": _name,
    "socket.getnameinfo": _name,
    "socket.sethostname": _name,
    "subprocess.Popen": _program,
    "time.sleep": _sleep,
}
"""By event, what is called with the host's loop and what the event tells; it raises, or lets it be."""


def of_thread() -> list[Any]:
    """Return the stand-in of ``_thread.start_new_thread``: up to Python 3.11 no hook hears of it."""
    real = sys.modules["_thread"].start_new_thread

    def start(loop: Any, function: Any, *args: Any) -> Any:
        _thread(loop, function)
        return real(function, *args)

    return [StandIn("_thread", "start_new_thread", real, start, everywhere=True)]


def of_subprocess() -> list[Any]:
    """Return the stand-in of what `multiprocessing` starts its processes with: no hook hears of it."""

    def refuse(loop: Any, args: Any, *more: Any) -> Any:
        _program(loop, args[0] if args else "")

    below = sys.modules["_posixsubprocess"]
    return [StandIn("_posixsubprocess", "fork_exec", below.fork_exec, refuse, everywhere=True)]


__all__ = ["REFUSED", "of_subprocess", "of_thread", "watch", "watching"]
