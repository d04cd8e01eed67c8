"""Objects between the processes of an emulation, over a pair of connected sockets.

Each is pickled, with its length before it. All processes are forked from one, and so trust each other.
"""

from __future__ import annotations

import pickle
import socket
import struct
from typing import Any

_HEAD = struct.Struct("!Q")
_PIECE = 1 << 20  # bytes that are read at once


class Gone(Exception):
    """The process at the other end has ended."""


class Pipe:
    """One end of a connection.

    Arguments:
        sock: a stream socket
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._bytes = bytearray()

    @classmethod
    def pair(cls) -> tuple[Pipe, Pipe]:
        """Return both ends of a new connection."""
        one, other = socket.socketpair()
        return cls(one), cls(other)

    def fileno(self) -> int:
        """Return the number of its file, to be waited for."""
        return self._socket.fileno()

    def send(self, *message: Any) -> None:
        """Send an object. Raises `Gone`."""
        data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        try:
            self._socket.sendall(_HEAD.pack(len(data)) + data)
        except (BrokenPipeError, ConnectionResetError):
            raise Gone from None

    def receive(self, timeout: float | None = None) -> list[tuple[Any, ...]]:
        """Wait until something can be read, and return the objects that are there whole, perhaps none.

        Arguments:
            timeout: seconds; then it returns none

        Raises `Gone` when nothing can come any more.
        """
        self._socket.settimeout(timeout)
        try:
            piece = self._socket.recv(_PIECE)
        except (TimeoutError, BlockingIOError):
            return []
        except ConnectionResetError:
            raise Gone from None
        finally:
            self._socket.settimeout(None)
        if not piece:
            raise Gone
        self._bytes += piece
        found = []
        while len(self._bytes) >= _HEAD.size:
            end = _HEAD.size + _HEAD.unpack_from(self._bytes)[0]
            if len(self._bytes) < end:
                break
            found.append(pickle.loads(memoryview(self._bytes)[_HEAD.size : end]))
            del self._bytes[:end]
        return found

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


__all__ = ["Gone", "Pipe"]
