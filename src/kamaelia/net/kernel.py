"""What transports cannot say or do, and the socket below them can: to reset a connection, to say what has
arrived, to copy from a file, to bound what the operating system keeps.

All of it goes through ``transport.get_extra_info("socket")``, of which every loop has something: asyncio a
socket that can only be asked, uvloop one that looks like it, a simulated host one that is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from typing import Any

try:
    import fcntl
    import termios
except ImportError:  # not a Unix
    SIOCOUTQ = None
else:
    SIOCOUTQ = getattr(termios, "TIOCOUTQ", None) if sys.platform == "linux" else None

MOST_FILES = 2**30  # Linux has no larger numbers of files
SO_NWRITE = 0x1024  # macOS' option for the same; simulated sockets know it too
LARGEST_BUFFER = 2**31 - 1  # bytes: what can be asked for at all
PROBES = 4  # questions without an answer until a peer is given up
LINGER = "hh" if sys.platform == "win32" else "ii"  # struct linger


def reset_at_close(transport: asyncio.BaseTransport) -> None:
    """Have the peer get a reset, and no end of stream, when the transport closes its socket.

    What the operating system has not sent by then is thrown away.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):  # it is closed already, or cannot do this
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(LINGER, 1, 0))


def not_arrived(transport: asyncio.BaseTransport) -> int | None:
    """Return how many bytes the operating system keeps because the peer's has not confirmed them.

    None where it cannot be asked.
    """
    sock = transport.get_extra_info("socket")
    if sock is None:
        return None
    with contextlib.suppress(OSError):
        if SIOCOUTQ is not None and (file := file_of(sock)) is not None:
            (count,) = struct.unpack("i", fcntl.ioctl(file, SIOCOUTQ, bytes(4)))
            return int(count)
        return int(sock.getsockopt(socket.SOL_SOCKET, SO_NWRITE))
    return None


def bound_buffers(socket_: Any, size: int) -> None:
    """Have the operating system keep about so many bytes each way, for a socket or for all that it accepts.

    Left alone, Linux keeps up to some 6 MB for each connection whose peer does not read.
    """
    if socket_ is None:
        return  # there is no operating system in this
    size = min(size, LARGEST_BUFFER)
    with contextlib.suppress(OSError):  # it is closed already, or cannot do this
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def ask_whether_alive(socket_: Any, after: float) -> None:
    """Have the operating system ask the peer whether it is still there, after so many seconds of silence.

    Who has not answered within as long again is given up, as one who cannot be reached: nothing is heard of a
    machine that has lost its power or its network. For a socket, or for all that it accepts.
    """
    if socket_ is None:
        return  # there is nobody to ask in this
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)  # macOS'
    pause = max(1, round(after / PROBES))
    with contextlib.suppress(OSError):  # it is closed already, or cannot do this
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if idle is not None:
            socket_.setsockopt(socket.IPPROTO_TCP, idle, max(1, round(after)))
            socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, pause)
            socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


def file_of(sock: Any) -> int | None:
    """Return the number of the file behind a socket; None where there is none.

    Sockets that no kernel has made may have numbers as well, which are larger than any of a kernel's.
    """
    number: int = sock.fileno()
    return number if 0 <= number < MOST_FILES else None


def duplicate(transport: asyncio.BaseTransport) -> int | None:
    """Return a number of our own for a connection's socket, to be closed; None where there is no socket.

    Event loops do not let others wait for a socket that a transport has: for this number, they do.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or not hasattr(os, "sendfile"):
        return None
    with contextlib.suppress(OSError):
        if (file := file_of(sock)) is not None:
            return os.dup(file)
    return None


def nearly_out_of_files(transport: asyncio.BaseTransport, keep: int) -> bool:
    """Say whether the process may open fewer files than are to be kept, or half of all if that is less.

    Numbers of files are given out from the lowest: so those above that of a new connection may be free, and
    those below are not.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or sys.platform == "win32" or (file := file_of(sock)) is None:
        return False
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit != resource.RLIM_INFINITY and limit - file <= min(keep, limit // 2)


def peer_process(transport: asyncio.BaseTransport) -> tuple[int, int, int] | None:
    """Return the numbers of the process, user and group at the other end of a Unix socket, on Linux."""
    sock = transport.get_extra_info("socket")
    option = getattr(socket, "SO_PEERCRED", None)
    if sock is None or option is None or getattr(sock, "family", None) != socket.AF_UNIX:
        return None
    with contextlib.suppress(OSError):
        process, user, group = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, option, 12))
        return process, user, group
    return None
