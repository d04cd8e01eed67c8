"""A file that is written: the calls to the operating system behind `FileWriter` and `WriteFiles`.

All of them may take long, and are made by a `BlockingCalls`. There are two ways to write a file.

**In place** (`InPlace`): bytes are in the file as soon as they are written, after what is there already. It
may be *rotated*: when it gets too large or too old, it is renamed ``log`` to ``log.1``, ``log.1`` to
``log.2`` and so on, the oldest goes, and a new one is begun. That happens between messages, never within one.

**As a whole** (`Replacement`): everything is written to a temporary file beside it, which takes its place by
being renamed, in one instant, when it is complete. Whoever reads the file finds the old content or the
new one, never a half; also after a crash, if the bytes are brought to the disk before the name is. The
temporary file of ``talk.ts`` is called ``.talk.ts.0.partial``; one that is found later was left by a process
that had no time to end, and may be deleted.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import threading
from collections.abc import Sequence
from typing import Protocol

from .disk import Disk
from .source import wait_for

_WRITE = (
    os.O_WRONLY
    | os.O_CREAT
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
PARTIAL = ".partial"  # how the names of temporary files end
LOOK = 0.05  # seconds after which to look again whether somebody reads a pipe that is to be written


class Target(Protocol):
    """What is written."""

    written: int
    keeps_part: bool

    async def open(self, now: float) -> None:
        """Begin. Raises OSError, as all of these do."""

    async def write(self, messages: Sequence[bytes], now: float) -> None:
        """Write all of these; ``now`` is the time by which files become old."""

    async def sync(self) -> None:
        """Bring to the disk what was written."""

    async def finish(self) -> None:
        """Everything has been written: make it last."""

    async def discard(self) -> None:
        """Clean up. After `finish` there is nothing to do. Raises nothing."""


class InPlace:
    """A file to which is added what is written.

    Arguments:
        disk: on which it is
        path: of the file
        new: it must not be there yet
        given_up: set when nobody waits any more
        synced: bring it to the disk at its end, and when it is rotated
        rotate_size: bytes that it has at most, unless a single message has more
        rotate_after: seconds for which it is written to
        keep: so many old ones
    """

    keeps_part = True
    """What was written before a failure stays."""

    def __init__(
        self,
        disk: Disk,
        path: str,
        new: bool,
        given_up: threading.Event,
        synced: bool,
        rotate_size: int | None = None,
        rotate_after: float | None = None,
        keep: int = 1,
    ) -> None:
        self.path = path
        self.written = 0
        """Bytes that have been written."""
        self._disk = disk
        self._flags = _WRITE | os.O_APPEND | (os.O_EXCL if new else 0)
        self._given_up = given_up
        self._synced = synced
        self._rotate_size = rotate_size
        self._rotate_after = rotate_after
        self._keep = keep
        self._fd = -1
        self._size = 0
        self._opened = 0.0
        self._waits = False  # it is a pipe or a device

    async def open(self, now: float) -> None:
        """See `Target`."""
        while self._fd < 0:
            try:
                self._fd = await self._disk.open(self.path, self._flags)
            except OSError as error:
                nobody_reads = error.errno == errno.ENXIO and stat.S_ISFIFO(
                    (await self._disk.stat(self.path)).st_mode
                )
                if not nobody_reads or self._given_up.wait(LOOK):
                    raise
        status = await self._disk.fstat(self._fd)
        self._waits = not stat.S_ISREG(status.st_mode)
        if self._waits and not (self._rotate_size is None and self._rotate_after is None):
            raise OSError(errno.EINVAL, "it is a pipe or device, which cannot be rotated")
        self._size = status.st_size
        self._opened = now
        if self._synced and not self._waits:
            await sync_folder(self._disk, self.path)

    async def write(self, messages: Sequence[bytes], now: float) -> None:
        """See `Target`."""
        if self._rotate_after is not None and self._size and now - self._opened >= self._rotate_after:
            await self._rotate(now)
        if self._rotate_size is None:
            await self._write(messages)
            return
        begin, size = 0, self._size
        for number, message in enumerate(messages):
            if size and size + len(message) > self._rotate_size:
                await self._write(messages[begin:number])
                await self._rotate(now)
                begin, size = number, 0
            size += len(message)
        await self._write(messages[begin:])

    async def _write(self, messages: Sequence[bytes]) -> None:
        rest = memoryview(b"".join(messages))
        while rest:
            if self._waits and not wait_for(self._fd, self._given_up, "write"):
                raise InterruptedError(errno.EINTR, "it was given up")
            try:
                count = await self._disk.write(self._fd, rest)
            except BlockingIOError:  # the pipe has some room, and not enough
                if self._given_up.wait(LOOK / 50):
                    raise
                continue
            self.written += count
            self._size += count
            rest = rest[count:]

    async def sync(self) -> None:
        """See `Target`."""
        await sync(self._disk, self._fd)

    async def finish(self) -> None:
        """See `Target`."""
        try:
            if self._synced and self._fd >= 0:
                await self.sync()
        finally:
            await self._close()

    async def discard(self) -> None:
        """See `Target`."""
        try:
            await self._close()
        except OSError:
            pass

    async def _rotate(self, now: float) -> None:
        await self.finish()
        path = await self._disk.realpath(self.path)
        for number in range(self._keep - 1, -1, -1):
            try:
                await self._disk.replace(f"{path}.{number}" if number else path, f"{path}.{number + 1}")
            except FileNotFoundError:  # there are not so many yet; or somebody has taken it away
                pass
        await self.open(now)

    async def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            await self._disk.close(fd)


class Replacement:
    """A file that takes the place of another when it is complete.

    Arguments:
        disk: on which it is
        path: of the file
        synced: bring it to the disk before it takes its place
    """

    keeps_part = False
    """Of what was written before a failure nothing stays."""

    def __init__(self, disk: Disk, path: str, synced: bool) -> None:
        self.path = path
        self.written = 0
        """Bytes that have been written."""
        self.is_in_place = False
        """It has taken the place of the old one."""
        self._disk = disk
        self._synced = synced
        self._fd = -1
        self._target = ""  # where a symbolic link leads
        self._temporary = ""

    async def open(self, now: float = 0.0) -> None:
        """See `Target`."""
        self._target = await self._disk.realpath(self.path)
        before = await status_of(self._disk, self._target)
        if before is not None and stat.S_ISDIR(before.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if before is not None and not stat.S_ISREG(before.st_mode):
            raise OSError(
                errno.EINVAL, "it is a pipe or device, which nothing can replace: say mode='append'"
            )
        folder, name = os.path.split(self._target)
        for number in itertools.count():
            temporary = os.path.join(folder, f".{name[:60]}.{number}{PARTIAL}")
            try:
                self._fd = await self._disk.open(temporary, _WRITE | os.O_EXCL)
            except FileExistsError:
                continue
            self._temporary = temporary
            break
        if before is not None:
            await self._look_like(before)

    async def _look_like(self, before: os.stat_result) -> None:
        try:
            await self._disk.fchown(self._fd, before.st_uid, before.st_gid)
        except PermissionError:  # only a few may give files away
            pass
        await self._disk.fchmod(self._fd, stat.S_IMODE(before.st_mode))

    async def write(self, messages: Sequence[bytes], now: float = 0.0) -> None:
        """See `Target`."""
        rest = memoryview(b"".join(messages))
        while rest:
            count = await self._disk.write(self._fd, rest)
            self.written += count
            rest = rest[count:]

    async def sync(self) -> None:
        """See `Target`."""
        await sync(self._disk, self._fd)

    async def finish(self) -> None:
        """See `Target`."""
        if not self._temporary:  # it has been finished already, or was never begun
            return
        try:
            if self._synced:
                await self.sync()
            await self._close()
            await self._disk.replace(self._temporary, self._target)
        except BaseException:
            await self.discard()
            raise
        self._temporary = ""
        self.is_in_place = True
        if self._synced:
            await sync_folder(self._disk, self._target)

    async def discard(self) -> None:
        """See `Target`."""
        try:
            await self._close()
        except OSError:
            pass
        if self._temporary:
            try:
                await self._disk.unlink(self._temporary)
            except OSError:  # it can be told by its name
                pass
            self._temporary = ""

    async def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            await self._disk.close(fd)


def is_temporary(name: str) -> bool:
    """Say whether a file has the name of a temporary one of ours.

    >>> is_temporary(".talk.ts.0.partial"), is_temporary("talk.ts")
    (True, False)
    """
    return name.startswith(".") and name.endswith(PARTIAL)


async def status_of(disk: Disk, path: str) -> os.stat_result | None:
    """Return how a file is, or None if there is none."""
    try:
        return await disk.stat(path)
    except FileNotFoundError:
        return None


async def sync(disk: Disk, fd: int) -> None:
    """Bring to the disk what was written; a pipe or device has none."""
    try:
        await disk.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


async def sync_folder(disk: Disk, path: str) -> None:
    """Bring the name of a file to the disk, where that can be asked for."""
    try:
        fd = await disk.open(os.path.dirname(path) or ".", os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except PermissionError:  # Windows; or a folder that may be written to and not read
        return
    try:
        await sync(disk, fd)
    finally:
        await disk.close(fd)


__all__ = ["InPlace", "Replacement", "Target", "is_temporary", "status_of", "sync", "sync_folder"]
