"""Names in, contents out."""

from __future__ import annotations

import logging
import os
from typing import Any, Literal

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.errors import shorten

from .arguments import checked_path, checked_size
from .blocking import BlockingCalls
from .errors import OutsideFolder, told
from .folder import Folder
from .source import SourceFile

LARGEST = 16 * 1024 * 1024  # bytes

log = logging.getLogger("kamaelia")


class ReadFiles(Component):
    """Read the files of a folder whose names arrive, each as a whole.

    Inbox: ``inbox``, names relative to the folder, str or Path. Outbox: ``outbox``, for each what is in the
    file, bytes; or with ``pairs`` a pair of the name and that, as `WriteFiles` takes it. They come in the
    order of the names, one at a time: a slow reader holds it back.

    A name that leads out of the folder is refused, also by way of ``..`` or a symbolic link; so is what is no
    ordinary file, and one that is larger than ``largest``. That, or a file that cannot be read, is a failure
    (`OutsideFolder`, another `OSError`), or with ``on_error="skip"`` logged and counted in `skipped`.

    Arguments:
        folder: where the files are
        pairs: send pairs
        largest: bytes that a file may have, a number or text; 16 MiB if it is not given. Each is held in
            memory as a whole; for larger ones there is `FileReader`.
        on_error: ``"fail"``, or ``"skip"`` the files that cannot be had

    Example:
        >>> import os, tempfile
        >>> from kamaelia import run
        >>> from kamaelia.file import ReadFiles, WriteFiles
        >>> from kamaelia.flow import Collect, Source
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = run(Source([("a", b"one"), ("b/c", b"two")]) | WriteFiles(folder))
        ...     run(Source(["b/c", "a"]) | ReadFiles(folder) | Collect())
        [b'two', b'one']
    """

    inbox = Inbox[Any]("names of files")
    outbox = Outbox[Any]("what is in them")

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        pairs: bool = False,
        largest: int | str = LARGEST,
        on_error: Literal["fail", "skip"] = "fail",
    ) -> None:
        self.folder = checked_path("ReadFiles", folder, "the name of a folder")
        if on_error not in ("fail", "skip"):
            raise ValueError(f"ReadFiles(on_error={on_error!r}): say 'fail' or 'skip'")
        self.pairs = pairs
        self.largest = checked_size("ReadFiles: largest", largest)
        self.on_error = on_error
        self.skipped = 0
        """Files that could not be had."""

    async def main(self) -> None:
        calls = BlockingCalls(self, f"read a file of {self.folder}")
        folder = Folder(calls.disk, self.folder)
        try:
            async for name in self.inbox:
                if not isinstance(name, (str, os.PathLike)):
                    raise TypeError(f"{self.path} takes names of files, but got {shorten(name)}")
                try:
                    content = await calls.do(self._read, calls, folder, name)
                except OSError as error:
                    failure = _refusal(self.path, name, error)
                    if self.on_error == "fail":
                        raise failure from error
                    self.skipped += 1
                    log.warning("%s", failure)
                else:
                    await self.outbox.send((name, content) if self.pairs else content)
        finally:
            await calls.close()

    async def _read(self, calls: BlockingCalls, folder: Folder, name: Any) -> bytes:
        source = SourceFile(calls.disk, await folder.locate(name), calls.given_up)
        await source.open()
        try:
            if not source.regular:
                raise OSError("it is a pipe or a device, and may have no end: read it with FileReader")
            content = await source.read_all(self.largest + 1)
            if len(content) > self.largest:
                raise OSError(
                    f"it has more than largest={self.largest} bytes: allow more, or use FileReader, which "
                    "does not hold it in memory as a whole"
                )
            return content
        finally:
            await source.close()


def _refusal(where: str, name: Any, error: OSError) -> OSError:
    if isinstance(error, OutsideFolder):
        return OutsideFolder(f"{where}: {error}")
    return told(error, where, f"cannot read {name}")


__all__ = ["ReadFiles"]
