"""Names and contents in, files out."""

from __future__ import annotations

import os
from typing import Any, Literal

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.arguments import check_bytes
from kamaelia.axon.errors import shorten

from .arguments import checked_path
from .blocking import BlockingCalls
from .disk import Disk
from .errors import OutsideFolder, told
from .folder import Folder
from .target import Replacement


class WriteFiles(Component):
    """Write whole files into a folder.

    Inbox: ``inbox``, pairs of a name (str or Path, relative to the folder) and the content, bytes. Outbox:
    ``outbox``, each name when its file is there. It is optional: the work of this component lies elsewhere.
    Folders that a name mentions are made. Returns how many files it has written.

    Each file takes its place in one instant, complete, and in that of an older one if there is one; see
    `FileWriter`. A name that leads out of the folder, also by way of ``..`` or a symbolic link, is a failure
    (`OutsideFolder`), and so is whatever cannot be written; the files before it stay.

    Arguments:
        folder: where the files go; it is made if it is not there
        fsync: ``"end"``: bring each file to the disk before it takes its place, so that it survives a power
            cut; ``"never"`` is many times faster for small ones

    Example:
        >>> import os, tempfile
        >>> from kamaelia import run
        >>> from kamaelia.file import WriteFiles
        >>> from kamaelia.flow import Collect, Source
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run(Source([("b", b"one"), ("a/c", b"two")]) | WriteFiles(folder) | Collect())
        ...     sorted(os.listdir(folder))
        ['b', 'a/c']
        ['a', 'b']
    """

    inbox = Inbox[Any]("pairs of a name and what to write into that file", size=4)
    outbox = Outbox[Any]("names of files that are complete", optional=True)

    def __init__(self, folder: str | os.PathLike[str], *, fsync: Literal["end", "never"] = "end") -> None:
        self.folder = checked_path("WriteFiles", folder, "the name of a folder")
        if fsync not in ("end", "never"):
            raise ValueError(f"WriteFiles(fsync={shorten(fsync)}): say 'end' or 'never'")
        self.fsync = fsync

    async def main(self) -> int:
        calls = BlockingCalls(self, f"write a file into {self.folder}")
        folder = Folder(calls.disk, self.folder)
        count = 0
        try:
            async for job in self.inbox:
                name, content = self._parts_of(job)
                try:
                    await calls.do_to_the_end(
                        _write, calls.disk, folder, name, bytes(content), self.fsync == "end"
                    )
                except OutsideFolder as error:
                    raise OutsideFolder(f"{self.path}: {error}") from None
                except OSError as error:
                    raise told(
                        error, self.path, f"cannot write {name}", f" ({count} files were written)"
                    ) from error
                count += 1
                await self.outbox.send(name)
        finally:
            await calls.close()
        return count

    def _parts_of(self, job: Any) -> tuple[Any, Any]:
        if not (isinstance(job, (tuple, list)) and len(job) == 2 and isinstance(job[0], (str, os.PathLike))):
            raise TypeError(f"{self.path} takes pairs of a name and bytes, but got {shorten(job)}")
        check_bytes(self, job[1])
        return job[0], job[1]


async def _write(disk: Disk, folder: Folder, name: Any, content: bytes, synced: bool) -> None:
    path = await folder.locate(name)
    await disk.makedirs(os.path.dirname(path))
    target = Replacement(disk, path, synced)
    try:
        await target.open()
        await target.write([content])
        await target.finish()
    finally:
        await target.discard()


__all__ = ["WriteFiles"]
