"""Being told by Linux that something happens in a folder (inotify), through the C library.

What it tells is taken as a hint to look, never as the truth: it says nothing of what others do on a network
drive, and forgets when too much happens at once (and says so, once). So whoever uses it looks for itself,
with the names that it was given or, when it does not know, at everything.
"""

from __future__ import annotations

import os
import struct
from typing import Any

MODIFY = 0x2
ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800

IN_FOLDER = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF
NAMES_IN_FOLDER = MOVED_TO | CREATE | DELETE_SELF | MOVE_SELF
CONTENT = MODIFY | ATTRIB | MOVE_SELF | DELETE_SELF

_HEAD = struct.Struct("iIII")


class Inotify:
    """One channel on which Linux tells. Raises OSError where there is none to be had."""

    def __init__(self) -> None:
        self._libc = _library()
        self.fd: int = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "")

    def watch(self, path: str, mask: int) -> int:
        """Ask to be told of a folder or file; may take long. Returns the number under which `forget` does."""
        return self._checked(self._libc.inotify_add_watch(self.fd, os.fsencode(path), mask), path)

    def forget(self, number: int) -> None:
        """Ask no longer; a file that is gone is forgotten already."""
        self._libc.inotify_rm_watch(self.fd, number)

    def read(self) -> set[str]:
        """Return the names of which something was told: "" for the folder itself, or too much at once."""
        names: set[str] = set()
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return names
            start = 0
            while start < len(data):
                _, _, _, length = _HEAD.unpack_from(data, start)
                start += _HEAD.size
                names.add(os.fsdecode(data[start : start + length].rstrip(b"\0")))
                start += length

    def close(self) -> None:
        """Be told nothing any more."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def _checked(self, result: int, path: str) -> int:
        import ctypes

        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return result


def _library() -> Any:
    try:
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        if hasattr(library, "inotify_init1"):
            return library
    except (ImportError, TypeError):  # a Python without ctypes; Windows, which has no library without a name
        pass
    raise OSError("this platform has no inotify")


__all__ = ["CONTENT", "IN_FOLDER", "NAMES_IN_FOLDER", "Inotify"]
