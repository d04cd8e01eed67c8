"""The seam between the parts for files and what they ask for them: a disk.

Theory
------
Everything that a part of this room does to files goes through one `Disk`: a handful of calls, which have
the names and the meaning of those in ``os``. Which disk it is says the event loop that the part runs on: its
attribute ``disk``, if it has one (`disk_of`). So a simulated host can have a disk of its own
(`kamaelia.testbed.disk`), and no part knows. Everybody else has the machine's: `MachineDisk`, whose calls
are those of ``os`` and nothing more.

**Why coroutines.** A call of the operating system blocks the thread that makes it, and the thread here is
there to be blocked (`blocking`). A simulated disk cannot block: in virtual time there is one thread for all.
So what is made of several calls, such as to sync a file, rename it and sync its folder, is written as a
coroutine that awaits each of them. On the machine's disk nothing in it ever waits: a thread runs it from
beginning to end like any function, and it costs what a function costs, some tenth of a microsecond a call.
On a disk that takes virtual time it waits there, between two calls or within one, and others go on.

**Who waits** yields a function, which is called with what is to be called when there is no more reason to
wait. That is all that a disk and a `BlockingCalls` have to agree on.
"""

from __future__ import annotations

import os
from typing import Any, Protocol


class Disk(Protocol):
    """What the parts ask of a disk. Raises `OSError`, as the functions of these names in ``os`` do."""

    async def open(self, path: str, flags: int, mode: int = 0o666) -> int:
        """Open a file or folder; return the number for the calls below."""

    async def fstat(self, fd: int) -> os.stat_result:
        """Return how an open file is."""

    async def read(self, fd: int, size: int) -> bytes:
        """Read what comes next: of pipes and devices."""

    async def pread(self, fd: int, size: int, position: int) -> bytes:
        """Read from a position."""

    def preadv(self, fd: int, buffers: list[bytearray], position: int, flags: int) -> int:
        """Read what is in memory, or raise `BlockingIOError`. No coroutine, as it never waits."""

    async def write(self, fd: int, data: bytes | memoryview) -> int:
        """Write, as many bytes as there is room for; return how many."""

    async def fsync(self, fd: int) -> None:
        """Bring to the disk what was written to a file, or the names in a folder."""

    async def fchown(self, fd: int, uid: int, gid: int) -> None:
        """Give an open file away."""

    async def fchmod(self, fd: int, mode: int) -> None:
        """Say who may do what with an open file."""

    async def close(self, fd: int) -> None:
        """Close it."""

    async def stat(self, path: str) -> os.stat_result:
        """Return how a file is, where symbolic links lead."""

    async def lstat(self, path: str) -> os.stat_result:
        """Return how a file is, or a symbolic link itself."""

    async def listdir(self, path: str) -> list[str]:
        """Return the names in a folder, in any order."""

    async def realpath(self, path: str) -> str:
        """Return the absolute name without symbolic links."""

    async def replace(self, old: str, new: str) -> None:
        """Rename a file, in place of another if there is one."""

    async def unlink(self, path: str) -> None:
        """Remove a file."""

    async def makedirs(self, path: str) -> None:
        """Make a folder, and those that it is in, as far as they are not there."""


class MachineDisk:
    """The files of this machine. Its calls wait for nothing but the operating system.

    >>> from kamaelia.file.blocking import finish
    >>> finish(MACHINE.lstat(os.devnull)).st_size
    0
    """

    async def open(self, path: str, flags: int, mode: int = 0o666) -> int:
        """See `Disk`, as for all of these."""
        return os.open(path, flags, mode)

    async def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    async def read(self, fd: int, size: int) -> bytes:
        return os.read(fd, size)

    async def pread(self, fd: int, size: int, position: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(fd, size, position)
        os.lseek(fd, position, os.SEEK_SET)  # Windows
        return os.read(fd, size)

    def preadv(self, fd: int, buffers: list[bytearray], position: int, flags: int) -> int:
        return os.preadv(fd, buffers, position, flags)

    async def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    async def fsync(self, fd: int) -> None:
        os.fsync(fd)

    async def fchown(self, fd: int, uid: int, gid: int) -> None:
        if hasattr(os, "fchown"):
            os.fchown(fd, uid, gid)

    async def fchmod(self, fd: int, mode: int) -> None:
        if hasattr(os, "fchmod"):
            os.fchmod(fd, mode)

    async def close(self, fd: int) -> None:
        os.close(fd)

    async def stat(self, path: str) -> os.stat_result:
        return os.stat(path)

    async def lstat(self, path: str) -> os.stat_result:
        return os.lstat(path)

    async def listdir(self, path: str) -> list[str]:
        return os.listdir(path)

    async def realpath(self, path: str) -> str:
        return os.path.realpath(path)  # noqa: ASYNC240 - like all here it is called in a thread

    async def replace(self, old: str, new: str) -> None:
        os.replace(old, new)

    async def unlink(self, path: str) -> None:
        os.unlink(path)

    async def makedirs(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)


MACHINE: Disk = MachineDisk()


def disk_of(loop: Any) -> Disk:
    """Return the disk of who runs on an event loop: the loop's ``disk``, or the machine's."""
    disk: Disk | None = getattr(loop, "disk", None)
    return MACHINE if disk is None else disk


__all__ = ["MACHINE", "Disk", "MachineDisk", "disk_of"]
