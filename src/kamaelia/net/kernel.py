"""What transports cannot say or do, and the socket below them can: to reset a connection, and to say
what has arrived.

Both go through ``transport.get_extra_info("socket")``, of which every loop has something: asyncio a socket
that can only be asked, uvloop one that looks like it, a simulated host one that is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys

try:
    import fcntl
    import termios
except ImportError:  # not a Unix
    SIOCOUTQ = None
else:
    SIOCOUTQ = getattr(termios, "TIOCOUTQ", None) if sys.platform == "linux" else None

SO_NWRITE = 0x1024  # macOS' option for the same; simulated sockets know it too
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
        if SIOCOUTQ is not None and sock.fileno() >= 0:
            (count,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), SIOCOUTQ, bytes(4)))
            return int(count)
        return int(sock.getsockopt(socket.SOL_SOCKET, SO_NWRITE))
    return None
