"""A folder that names from elsewhere cannot lead out of."""

from __future__ import annotations

import os

from kamaelia.axon.errors import shorten

from .disk import Disk
from .errors import OutsideFolder


class Folder:
    """Where the files are that a part may touch.

    Names may come from anybody, so neither ``..`` nor an absolute name nor a symbolic link leads out. Whoever
    may make links in the folder is trusted not to do so between the look and the use.
    """

    def __init__(self, disk: Disk, path: str) -> None:
        self.path = path
        self._disk = disk

    async def locate(self, name: str | os.PathLike[str]) -> str:
        """Return the path of a name; may take long. Raises `OutsideFolder`."""
        name = os.fspath(name)
        root = await self._disk.realpath(self.path)
        path = "" if "\0" in name else await self._disk.realpath(os.path.join(root, name))
        if path == root or os.path.commonpath([root, path or os.sep]) != root:
            raise OutsideFolder(f"{shorten(name)} is not in the folder {self.path}: give a name in it")
        return path


__all__ = ["Folder"]
