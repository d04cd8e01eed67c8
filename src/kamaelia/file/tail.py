"""A file that grows, as it grows."""

from __future__ import annotations

import errno
import logging
import os
import threading

from kamaelia.axon import Component, Outbox
from kamaelia.axon.arguments import check_positive
from kamaelia.axon.errors import shorten

from .arguments import checked_path
from .blocking import BlockingCalls
from .disk import Disk
from .errors import told
from .inotify import CONTENT, NAMES_IN_FOLDER
from .lookout import Lookout
from .source import SourceFile
from .target import status_of

log = logging.getLogger("kamaelia")

BLOCK = 64 * 1024  # bytes


class TailFile(Component):
    r"""Send what is added to a file, as it is added: a log, say.

    Outbox: ``outbox``, bytes, in pieces that have nothing to do with lines: put `Lines` behind it. There is
    no inbox. It goes on until a stop, or until nobody listens any more. A slow reader holds it back.

    It follows the *name*. A file that is not there yet is waited for. When another file has taken the place
    of the one that is read (a log that is rotated), that one is read to its end first, and left when there
    is something in the new one, which is read from its beginning; when the file vanishes, the next one of
    the name is waited for. A file that has become shorter is read from its beginning, which is logged, and
    counted in `truncated`. What it cannot know: that a file was cut and has grown past where it was, or that
    there was another file in between, all since it looked last.

    On Linux it looks as soon as something happens, and in any case once in an interval. A file that cannot be
    read for another reason than that it is not there is a failure, and so is a pipe or a device.

    Arguments:
        path: of the file
        from_start: begin with what is in the file already, and not at its end
        interval: seconds between two looks where the operating system does not tell

    Example:
        >>> import tempfile
        >>> from kamaelia.file import TailFile
        >>> from kamaelia.testing import drive
        >>> with tempfile.NamedTemporaryFile(buffering=0) as file:
        ...     _ = file.write(b"before\n")
        ...     with drive(TailFile(file.name)) as tail:
        ...         _ = file.write(b"after\n")
        ...         tail.advance(1)
        ...         tail.take_all()
        [b'after\n']
    """

    inbox = None
    outbox = Outbox[bytes]("what is added to the file")

    def __init__(
        self, path: str | os.PathLike[str], *, from_start: bool = False, interval: float = 1.0
    ) -> None:
        self.file = checked_path("TailFile", path)
        check_positive(f"TailFile(interval={shorten(interval)})", interval, "the seconds between two looks")
        self.from_start = from_start
        self.interval = interval
        self.truncated = 0
        """How often the file has become shorter."""

    async def main(self) -> None:
        calls = BlockingCalls(self, f"follow {self.file}")
        lookout = Lookout(self, self.interval, relaxed=1)
        trail = Trail(calls.disk, self.file, self.from_start, lookout, calls.given_up)
        try:
            while True:
                try:
                    data = await calls.do(trail.read)
                except OSError as error:
                    raise told(error, self.path, f"cannot follow {self.file}") from error
                if trail.truncated > self.truncated:
                    self.truncated = trail.truncated
                    log.warning("%s: %s was cut, and is read from its beginning", self.path, self.file)
                if data:
                    await self.outbox.send(data)
                else:
                    await lookout.wait()
        finally:
            try:
                await calls.close(trail.close)
            finally:
                lookout.close()


class Trail:
    """Follows the files of one name; that may take long."""

    def __init__(
        self, disk: Disk, path: str, from_start: bool, lookout: Lookout, given_up: threading.Event
    ) -> None:
        self.truncated = 0
        self._disk = disk
        self._path = path
        self._from_start = from_start
        self._lookout = lookout
        self._given_up = given_up
        self._file: SourceFile | None = None
        self._watch: int | None = None
        self._next_watch: int | None = None  # of a file that has taken its place and is empty as yet
        self._folder_watch: int | None = None

    async def read(self) -> bytes:
        """Return what has been added, or nothing."""
        if self._folder_watch is None and self._lookout.is_told:
            self._folder_watch = self._lookout.watch(os.path.dirname(self._path) or ".", NAMES_IN_FOLDER)
        if self._file is None:
            self._file = await self._open()
            self._from_start = True  # what comes later is new from its first byte
            if self._file is None:
                return b""
        data = await self._read_on(self._file)
        if data:
            return data
        if not await self._has_successor(self._file):
            return b""
        # Something may have been added to the old one before the new one was begun.
        data = await self._read_on(self._file)
        if data:
            return data
        self._lookout.forget(self._watch)
        await self.close()
        return await self.read()

    async def _has_successor(self, file: SourceFile) -> bool:
        """Say whether another file, with something in it, has taken the place of the one that is read."""
        there = await status_of(self._disk, self._path)
        if there is None or os.path.samestat(there, file.status):
            return False
        if not there.st_size:
            watch = self._lookout.watch(self._path, CONTENT)
            if self._next_watch != watch:
                self._lookout.forget(self._next_watch)
                self._next_watch = watch
            there = await status_of(self._disk, self._path)  # once more, now that it is watched
        return there is not None and there.st_size > 0

    async def _read_on(self, file: SourceFile) -> bytes:
        size = await file.size()
        if size < file.position:
            self.truncated += 1
            file.position = 0
        return await file.read_added(BLOCK)

    async def _open(self) -> SourceFile | None:
        file = SourceFile(self._disk, self._path, self._given_up)
        try:
            await file.open()
        except FileNotFoundError:
            return None
        if not file.regular:
            await file.close()
            raise OSError(errno.EINVAL, "it is a pipe or device, which FileReader can read")
        # Watched before it is read, so that nothing falls in between.
        self._watch = self._lookout.watch(self._path, CONTENT)
        if not self._from_start:
            file.position = file.status.st_size
        return file

    async def close(self) -> None:
        """Leave the file that is followed."""
        file, self._file = self._file, None
        if file is not None:
            await file.close()


__all__ = ["TailFile", "Trail"]
