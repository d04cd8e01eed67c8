"""What appears, changes and vanishes in a folder.

`Changes` is the pure part: what has been seen, and when, goes in; what is to be told of comes out.
`DirectoryWatcher` is the component that looks, when its `Lookout` says so.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kamaelia.axon import Component, Outbox, clock
from kamaelia.axon.arguments import check_not_negative, check_positive
from kamaelia.axon.errors import shorten

from .arguments import checked_path
from .blocking import BlockingCalls
from .disk import Disk
from .errors import told
from .inotify import IN_FOLDER
from .lookout import Lookout
from .target import is_temporary

if TYPE_CHECKING:
    from pathlib import Path

RELAXED = 30  # intervals between two looks without reason, where the operating system tells


@dataclass(frozen=True)
class FileEvent:
    """Something has happened in a folder."""

    folder: str
    """The folder, as it was given to `DirectoryWatcher`."""
    name: str
    """To whom, without the folder."""

    @property
    def path(self) -> Path:
        """The folder and the name."""
        from pathlib import Path  # here, because not everybody asks and it takes some milliseconds

        return Path(self.folder, self.name)


@dataclass(frozen=True)
class Appeared(FileEvent):
    """There is a file, or a folder, that was not there before."""

    size: int
    """Its bytes."""
    is_folder: bool
    """Whether it is itself a folder."""


@dataclass(frozen=True)
class Changed(FileEvent):
    """A file has another content, or another file has taken its place."""

    size: int
    """Its bytes."""
    is_folder: bool
    """Whether it is itself a folder, one that has taken the place of another."""


@dataclass(frozen=True)
class Vanished(FileEvent):
    """A file, or folder, is not there any more."""


@dataclass(frozen=True)
class Look:
    """How one file was found: equal as long as nothing has happened to it."""

    inode: int
    is_folder: bool
    size: int
    modified: int  # nanoseconds

    @classmethod
    def of(cls, status: os.stat_result) -> Look:
        """Take what matters of it: of a folder not when something was put into it."""
        if stat.S_ISDIR(status.st_mode):
            return cls(status.st_ino, True, 0, 0)
        return cls(status.st_ino, False, status.st_size, status.st_mtime_ns)


class Changes:
    """Compares how files are found with what has been told of them. Pure.

    Arguments:
        folder: for the events
        settle: seconds that a file has to stay as it is before it is told of
        known: how the files were found of which nothing is to be told
    """

    def __init__(self, folder: str, settle: float, known: Mapping[str, Look]) -> None:
        self._folder = folder
        self._settle = settle
        self._told = dict(known)
        self._restless: dict[str, tuple[Look, float]] = {}  # found so since when, and not told of yet

    def find(self, found: Mapping[str, Look], names: Iterable[str] | None, now: float) -> Iterator[FileEvent]:
        """Take how files have been found, at a time; yield what is to be told, in the order of names.

        Of the ``names`` that were looked at (None: all), those that were not found are not there.
        """
        looked_at = {*found, *self._told, *self._restless} if names is None else names
        for name in sorted(looked_at):
            look, told = found.get(name), self._told.get(name)
            if look == told:
                self._restless.pop(name, None)
            elif look is None:
                self._restless.pop(name, None)
                del self._told[name]
                yield Vanished(self._folder, name)
            elif self._has_settled(name, look, now):
                self._restless.pop(name, None)
                self._told[name] = look
                kind = Appeared if told is None else Changed
                yield kind(self._folder, name, look.size, look.is_folder)

    def _has_settled(self, name: str, look: Look, now: float) -> bool:
        if not self._settle:
            return True
        before, since = self._restless.get(name, (None, now))
        if before != look:
            self._restless[name] = look, now
            return False
        return now >= since + self._settle

    def next_time(self) -> float | None:
        """Return when the next file will have settled, if it stays as it is; None if nothing is restless."""
        return min((since + self._settle for _, since in self._restless.values()), default=None)

    def due(self, now: float) -> set[str]:
        """Return the files that have settled by now, if they are still as they were."""
        return {name for name, (_, since) in self._restless.items() if now >= since + self._settle}


class DirectoryWatcher(Component):
    """Tell what appears, changes and vanishes in a folder.

    Outbox: ``outbox``, `Appeared`, `Changed` and `Vanished`, each with the ``name`` and ``path`` of a file or
    of a folder in this one; what is in those is not looked at. There is no inbox. It goes on until a stop, or
    until nobody listens any more. What happens to a file between two looks is told as one event, or not at
    all if it is as before; in what a reader is too slow for, too. A file that is renamed vanishes and
    appears. Temporary files of `FileWriter` are left out.

    On Linux it looks as soon as something happens, and every 30 intervals besides: what others do on a
    network drive nobody tells. Elsewhere, and in virtual time, it looks once in an interval. Of two changes
    within some milliseconds that leave the size as it was the second may go unnoticed.

    A folder that is not there, or cannot be read, is a failure, also when it vanishes later.

    Arguments:
        folder: to watch
        existing: begin with what is there already, as if it appeared now
        settle: tell of a file only when it has not changed for so many seconds. A file that is copied there
            appears when its first byte does; with ``settle=2`` it will be complete
        interval: seconds between two looks where the operating system does not tell

    Example:
        >>> import os, tempfile
        >>> from kamaelia.file import DirectoryWatcher
        >>> from kamaelia.testing import drive
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with drive(DirectoryWatcher(folder)) as watcher:
        ...         os.mkdir(os.path.join(folder, "new"))
        ...         watcher.advance(1)
        ...         event = watcher.take()
        >>> type(event).__name__, event.name, event.is_folder
        ('Appeared', 'new', True)
    """

    inbox = None
    outbox = Outbox[FileEvent]("what has happened in the folder")

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        existing: bool = False,
        settle: float = 0.0,
        interval: float = 1.0,
    ) -> None:
        self.folder = checked_path("DirectoryWatcher", folder, "the name of a folder")
        check_not_negative(
            f"DirectoryWatcher(settle={shorten(settle)})",
            settle,
            "the seconds that a file has to stay as it is",
        )
        check_positive(
            f"DirectoryWatcher(interval={shorten(interval)})", interval, "the seconds between two looks"
        )
        self.existing = existing
        self.settle = settle
        self.interval = interval

    async def main(self) -> None:
        calls = BlockingCalls(self, f"look into {self.folder}")
        lookout = Lookout(self, self.interval, RELAXED)
        view = _View(calls.disk, self.folder, lookout)
        try:
            found = await self._look(calls, view, None)
            changes = Changes(self.folder, self.settle, {} if self.existing else found)
            names: set[str] | None = None
            while True:
                for event in changes.find(found, names, clock()):
                    await self.outbox.send(event)
                names = await lookout.wait(changes.next_time())
                if names is not None:
                    names |= changes.due(clock())
                found = await self._look(calls, view, names)
        finally:
            try:
                await calls.close()
            finally:
                lookout.close()

    async def _look(self, calls: BlockingCalls, view: _View, names: set[str] | None) -> dict[str, Look]:
        try:
            return await calls.do(view.look, names)
        except OSError as error:
            raise told(error, self.path, f"cannot watch {self.folder}") from error


class _View:
    """Looks into a folder; that may take long."""

    def __init__(self, disk: Disk, folder: str, lookout: Lookout) -> None:
        self._disk = disk
        self._folder = folder
        self._lookout = lookout
        self._watched: tuple[int, int] | None = None  # which folder, since another may take its place
        self._watch: int | None = None

    async def look(self, names: Iterable[str] | None) -> dict[str, Look]:
        """Return how the files of these names, or all, are found. Raises OSError if there is no folder."""
        if names is None:
            folder = await self._disk.stat(self._folder)
            if self._watched != (folder.st_dev, folder.st_ino):
                self._lookout.forget(self._watch)
                self._watch = self._lookout.watch(self._folder, IN_FOLDER)
                self._watched = folder.st_dev, folder.st_ino
            # After it is watched, so that nothing falls in between.
            names = await self._disk.listdir(self._folder)
        found = {}
        for name in names:
            if not is_temporary(name) and (status := await self._status(name)) is not None:
                found[name] = Look.of(status)
        return found

    async def _status(self, name: str) -> os.stat_result | None:
        path = os.path.join(self._folder, name)
        try:
            return await self._disk.stat(path)
        except OSError:  # it has gone; or it is a symbolic link that leads nowhere
            try:
                return await self._disk.lstat(path)
            except FileNotFoundError:
                return None


__all__ = ["Appeared", "Changed", "Changes", "DirectoryWatcher", "FileEvent", "Look", "Vanished"]
