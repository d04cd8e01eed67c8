"""Calls of the Linux kernel that Python has no name for, or only from 3.12 on.

Each raises `OSError` as those of `os` do. Everything that an emulation asks of the kernel besides sockets and
files is here and in `netlink`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from functools import cache
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8

_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK = 1, 29


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *args: Any) -> int:
    result: int = getattr(_libc(), name)(*args)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def unshare(what: int) -> None:
    """Give this process namespaces of its own (unshare(2))."""
    _call("unshare", ctypes.c_int(what))


def setns(descriptor: int, what: int) -> None:
    """Put this process into a namespace (setns(2))."""
    _call("setns", ctypes.c_int(descriptor), ctypes.c_int(what))


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Mount a file system (mount(2))."""
    _call(
        "mount",
        source.encode(),
        os.fsencode(target),
        kind.encode(),
        ctypes.c_ulong(flags),
        options.encode() or None,
    )


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the one that has started it ends, however it does.

    Arguments:
        parent: the number of that process; if it has ended already, this one ends now. 0 where it cannot be
            seen from here, in a namespace of its own
    """
    _call("prctl", _PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def let_timers_be_exact() -> None:
    """Have the kernel wake this thread when it asked to be, and not up to 50 us later to save power."""
    _call("prctl", _PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)


def be_urgent() -> bool:
    """Run before all ordinary processes (SCHED_FIFO); say whether that is allowed."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EINVAL):
            return False
        raise
    return True


__all__ = [
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "MS_BIND",
    "MS_NODEV",
    "MS_NOEXEC",
    "MS_NOSUID",
    "MS_PRIVATE",
    "MS_REC",
    "be_urgent",
    "die_with_parent",
    "let_timers_be_exact",
    "mount",
    "setns",
    "unshare",
]
