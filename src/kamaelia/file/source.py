"""A file that is read: the calls to the operating system behind `FileReader`, `ReadFiles` and `TailFile`.

All but `read_cached` may take long, and are made by a `BlockingCalls`.

**What the system has in memory** need not go through a thread: since Linux 4.14 it can be asked to read
only that (``RWF_NOWAIT``) and to say so if it would have to wait. A copy of 64 KiB takes less time than
waking a thread, by far; so what has just been written, or read before, comes at nearly the speed of ``cat``.

**Pipes and devices** give something when somebody else feels like it. They are opened without blocking, and
waited for in short turns, so that their thread ends soon after its component.
"""

from __future__ import annotations

import errno
import os
import stat
import threading

from .disk import Disk
from .errors import FileTruncated

CACHED = 256 * 1024  # bytes that are read at most on the loop's own thread: some 20 us
TURN = 50  # milliseconds for which a pipe is waited for before looking whether anybody still wants it

_READ = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)


class SourceFile:
    """A file that is read from its beginning, or from a position.

    Arguments:
        disk: on which it is
        path: of the file
        given_up: set when nobody wants anything of it any more
        may_be_cached: what is in memory may be read in another way than the rest
    """

    def __init__(self, disk: Disk, path: str, given_up: threading.Event, may_be_cached: bool = False) -> None:
        self.path = path
        self.position = 0
        """How many bytes have been read."""
        self.status: os.stat_result
        """Of the file, when it was opened."""
        self._disk = disk
        self._given_up = given_up
        self._fd = -1
        self._seekable = False
        self._cached = may_be_cached and _NOWAIT is not None
        self._buffer = bytearray()

    async def open(self) -> None:
        """Open it. Raises OSError, also for a folder."""
        self._fd = await self._disk.open(self.path, _READ)
        try:
            self.status = await self._disk.fstat(self._fd)
            if stat.S_ISDIR(self.status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.path)
        except BaseException:
            await self.close()
            raise
        self._seekable = stat.S_ISREG(self.status.st_mode) or stat.S_ISBLK(self.status.st_mode)
        self._cached = self._cached and self._seekable

    @property
    def regular(self) -> bool:
        """Whether it is an ordinary file, and no pipe or device."""
        return stat.S_ISREG(self.status.st_mode)

    async def read(self, size: int) -> bytes:
        """Return the next bytes: of a file as many as there are, of a pipe what comes; none at the end."""
        data = await self.read_added(size)
        if not data and self.regular and self.position < self.status.st_size:
            # Not by what it promised when it was opened: some files of the system are shorter than they say.
            now = await self.size()
            if now < self.status.st_size:
                raise FileTruncated(
                    f"it had {self.status.st_size} bytes and was cut to {now} meanwhile, and {self.position} "
                    "had been read. Let who writes it replace it as a whole, as FileWriter does"
                )
        return data

    async def read_all(self, size: int) -> bytes:
        """Return as many bytes, waiting for those of a pipe; fewer only at the end."""
        data = await self.read(size)
        if len(data) == size or not data:
            return data
        parts = [data]
        missing = size - len(data)
        while missing and (data := await self.read(missing)):
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    async def read_blocks(self, size: int, count: int) -> list[bytes]:
        """Return the next blocks of one size, not more than so many; an empty list at the end."""
        data = await self.read(size * count)
        if len(data) <= size:
            return [data] if data else []
        return [data[start : start + size] for start in range(0, len(data), size)]

    def read_cached(self, size: int) -> bytes | None:
        """Return so many bytes if they are in memory; otherwise None. Never waits."""
        if not self._cached or size > CACHED:
            return None
        assert _NOWAIT is not None
        if len(self._buffer) != size:
            self._buffer = bytearray(size)
        try:
            count = self._disk.preadv(self._fd, [self._buffer], self.position, _NOWAIT)
        except BlockingIOError:
            return None
        except OSError:  # this file system has no such thing; if it is something else, `read` will say so
            self._cached = False
            return None
        if count < size:  # the end, or the rest is not in memory: `read` will see
            return None
        self.position += size
        return bytes(self._buffer)

    async def read_added(self, size: int) -> bytes:
        """Return the next bytes of a file that may grow: at the end none, as yet."""
        data = await self._read_once(size)
        self.position += len(data)
        return data

    async def size(self) -> int:
        """Return how many bytes the file has now."""
        return (await self._disk.fstat(self._fd)).st_size

    async def close(self) -> None:
        """Close it, if it is open."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            await self._disk.close(fd)

    async def _read_once(self, size: int) -> bytes:
        if self._seekable:
            return await self._disk.pread(self._fd, size, self.position)
        while True:
            if not wait_for(self._fd, self._given_up, "read"):
                return b""
            try:
                return await self._disk.read(self._fd, size)
            except BlockingIOError:  # another reader of the same pipe was faster
                if self._given_up.is_set():
                    return b""


def wait_for(fd: int, given_up: threading.Event, verb: str) -> bool:
    """Wait until a pipe or device can be read from, or written to; return False if given up before."""
    import select

    if not hasattr(select, "poll"):  # Windows, where nothing was opened without blocking
        return True
    poll = select.poll()
    poll.register(fd, select.POLLIN if verb == "read" else select.POLLOUT)
    while not poll.poll(TURN):
        if given_up.is_set():
            return False
    return True


__all__ = ["CACHED", "SourceFile", "wait_for"]
