"""The files of one simulated disk, and what a crash leaves of them. Pure: it knows neither time nor chance.

Theory
------
What programs see of a disk and what is on it are two things. A program that writes, writes into memory; the
operating system brings it to the disk when it likes, or when it is told to (``fsync``). A crash of the
machine, such as a power cut, takes away the memory. So a file has bytes that are *safe* and, behind these,
bytes that are not. And a folder has names as programs see them, and names as they stand on the disk.

**Names** change by way of a journal, as on ext4 or XFS: each change is one entry, and entries get to the
disk in their order and as wholes. A rename is one entry. So a crash leaves the names as they were after
one of the changes: some are there, those after them never happened, and none is there by half. To sync any
folder brings the whole journal to the disk. To sync a file does not: POSIX does not ask for it, and a
program that relies on it is wrong somewhere.

**Bytes** have nothing to do with names. A file that was renamed into its place, and was not synced before,
may be there after a crash and be empty or short, as on ext4 with ``data=writeback`` or on XFS. That is the
way in which programs that replace files lose them, if they leave out the sync. A crash cuts a file anywhere
behind its safe bytes; where, is for others to say (`Fate`).

**What is not modelled.** Nothing is brought to the disk by itself, however long it waits: the worst that may
happen. There are no blocks: a byte takes a byte, names take nothing. No symbolic or hard links, users,
rights, or devices. Files are written at their ends, never in the middle, as the parts of `kamaelia.file` do.
After a crash a file never holds bytes that nobody has written.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Callable, Iterator

DEVICE = 1  # as which all files show their disk
FILE_MODE = stat.S_IFREG | 0o644
FOLDER_MODE = stat.S_IFDIR | 0o755

Fate = Callable[[int], int]
"""Says of so many bytes, or changes of names, that are not safe how many are there after a crash."""


class Node:
    """A file or folder. It may have lost its name and be open still."""

    __slots__ = (
        "content",
        "entries",
        "handles",
        "links",
        "mode",
        "modified",
        "number",
        "safe",
        "safe_entries",
    )

    def __init__(self, number: int, is_folder: bool, modified: int) -> None:
        self.number = number
        """By which it is told from others; never given twice."""
        self.modified = modified
        """When it was changed, in nanoseconds since 1970."""
        self.mode = FOLDER_MODE if is_folder else FILE_MODE
        self.links = 0
        self.handles = 0
        self.content: bytes | bytearray = b""
        self.safe = 0
        """So many of its bytes a crash does not touch."""
        self.entries: dict[str, Node] | None = {} if is_folder else None
        """What is in a folder, as programs see it."""
        self.safe_entries: dict[str, Node] | None = {} if is_folder else None
        """What is in a folder, on the disk."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.entries is not None

    def status(self) -> os.stat_result:
        """Return what ``os.stat`` says of it."""
        seconds = self.modified // 10**9
        return os.stat_result(
            (
                *(self.mode, self.number, DEVICE, self.links, 0, 0, len(self.content)),
                *(seconds, seconds, seconds),
            ),
            {
                f"st_{letter}time{unit}": value
                for letter in "amc"
                for unit, value in (("", self.modified / 1e9), ("_ns", self.modified))
            },
        )


Change = tuple[Node, str, "Node | None"]
"""In a folder, under a name: what there is from now on."""


class FileSystem:
    """Files and folders in memory.

    Arguments:
        capacity: how many bytes there is room for; None for any number

    Example:
        >>> from kamaelia.testbed.filesystem import FileSystem
        >>> files = FileSystem()
        >>> node = files.create("/log", now=0)
        >>> files.write(node, b"one", now=0)
        3
        >>> files.sync(node)
        >>> files.write(node, b"two", now=0)
        3
        >>> files.sync_names()
        >>> files.crash(names=lambda count: count, content=lambda count: count // 2)
        >>> files.content("/log")
        b'onet'
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.used = 0
        """Bytes that are taken, also those of files that have no name but are open."""
        self._numbers = 1
        self._root = Node(1, True, 0)
        self._root.links = 1
        self._journal: list[tuple[Change, ...]] = []

    # -- looking --------------------------------------------------------------------------------------

    def find(self, path: str) -> Node:
        """Return what has a path. Raises `FileNotFoundError` and `NotADirectoryError`."""
        node = self._root
        for name in _parts(path):
            if node.entries is None:
                raise error(errno.ENOTDIR, path)
            if name not in node.entries:
                raise error(errno.ENOENT, path)
            node = node.entries[name]
        return node

    def exists(self, path: str) -> bool:
        """Say whether there is something of this path."""
        try:
            self.find(path)
        except OSError:
            return False
        return True

    def names_in(self, path: str) -> list[str]:
        """Return the names in a folder, in the order in which they came there."""
        node = self.find(path)
        if node.entries is None:
            raise error(errno.ENOTDIR, path)
        return [*node.entries]

    def paths(self) -> list[str]:
        """Return the paths of all files, in their order."""
        return sorted(path for path, node in _walk(self._root, "") if not node.is_folder)

    def content(self, path: str) -> bytes:
        """Return what is in a file."""
        return bytes(self.find(path).content)

    # -- changing -------------------------------------------------------------------------------------

    def create(self, path: str, now: int) -> Node:
        """Make an empty file; the name must not be taken."""
        folder, name = self._place(path)
        if name in folder.entries:  # type: ignore[operator]
            raise error(errno.EEXIST, path)
        node = self._new(False, now)
        self._change((folder, name, node), now=now)
        return node

    def make_folders(self, path: str, now: int) -> None:
        """Make a folder and those that it is in, as far as they are not there."""
        node = self._root
        for name in _parts(path):
            if node.entries is None:
                raise error(errno.ENOTDIR, path)
            if name not in node.entries:
                self._change((node, name, self._new(True, now)), now=now)
            node = node.entries[name]
        if not node.is_folder:
            raise error(errno.EEXIST, path)

    def write(self, node: Node, data: bytes | bytearray | memoryview, now: int) -> int:
        """Put bytes at the end of a file, as many as there is room for; return how many.

        Raises `OSError` (ENOSPC) when there is room for none of them.
        """
        count = len(data) if self.capacity is None else min(len(data), max(self.capacity - self.used, 0))
        if data and not count:
            raise error(errno.ENOSPC)
        if isinstance(node.content, bytes):  # those that were put there are shared by all runs
            node.content = bytearray(node.content)
        node.content += memoryview(data)[:count]
        node.modified = now
        self.used += count
        return count

    def sync(self, node: Node) -> None:
        """Make what is in a file safe, or the names if it is a folder."""
        if node.is_folder:
            self.sync_names()
        else:
            node.safe = len(node.content)

    def sync_names(self) -> None:
        """Make all names safe."""
        self._bring_names_to_disk(len(self._journal))

    def rename(self, old: str, new: str, now: int) -> None:
        """Give a file another name, in place of a file that has it."""
        node = self.find(old)
        from_folder, from_name = self._place(old)
        to_folder, to_name = self._place(new)
        there = to_folder.entries.get(to_name)  # type: ignore[union-attr]
        if node.is_folder:
            raise error(errno.EOPNOTSUPP, old)
        if there is node:
            return
        if there is not None and there.is_folder:
            raise error(errno.EISDIR, new)
        self._change((from_folder, from_name, None), (to_folder, to_name, node), now=now)

    def remove(self, path: str, now: int) -> None:
        """Take a file's name away; what is in it stays as long as it is open."""
        node = self.find(path)
        if node.is_folder:
            raise error(errno.EISDIR, path)
        folder, name = self._place(path)
        self._change((folder, name, None), now=now)

    def truncate(self, node: Node, size: int, now: int) -> None:
        """Cut a file; that is safe at once."""
        cut = node.content[:size]
        self.used -= len(node.content) - len(cut)
        node.content, node.modified = cut, now
        node.safe = min(node.safe, size)

    def put(self, path: str, content: bytes, now: int) -> None:
        """Have a file, and the folders that it is in, in place of one that there may be, room or not.

        It is safe at once, and so are all names.
        """
        self.make_folders(posixpath.dirname(path), now)
        folder, name = self._place(path)
        there = folder.entries.get(name)  # type: ignore[union-attr]
        if there is not None and there.is_folder:
            raise error(errno.EISDIR, path)
        node = self._new(False, now)
        node.content, node.safe = content, len(content)
        self.used += len(content)
        self._change((folder, name, node), now=now)
        self.sync_names()

    # -- open files -----------------------------------------------------------------------------------

    def hold(self, node: Node) -> None:
        """Somebody has opened it: it stays, whatever becomes of its name."""
        node.handles += 1

    def release(self, node: Node) -> None:
        """Somebody has closed it."""
        node.handles -= 1
        self._free(node)

    # -- a crash --------------------------------------------------------------------------------------

    def crash(self, names: Fate, content: Fate) -> None:
        """Lose what is not safe, or some of it. Nothing is open any more.

        Arguments:
            names: says how many of the changes of names that are not safe have got to the disk; not asked
                if there are none
            content: says the same of the bytes of a file; asked for each that has some, in the order of
                their numbers
        """
        if self._journal:
            self._bring_names_to_disk(names(len(self._journal)))
            self._journal.clear()
        nodes = {self._root.number: self._root}
        _revive(self._root, nodes)
        self.used = 0
        for _, node in sorted(nodes.items()):
            node.handles = 0
            unsafe = len(node.content) - node.safe
            if unsafe:
                node.safe += content(unsafe)
                node.content = node.content[: node.safe]
            self.used += len(node.content)

    def _bring_names_to_disk(self, count: int) -> None:
        for changes in self._journal[:count]:
            for folder, name, node in changes:
                _enter(folder.safe_entries, name, node)
        del self._journal[:count]

    # -- inside ---------------------------------------------------------------------------------------

    def _new(self, is_folder: bool, now: int) -> Node:
        self._numbers += 1
        return Node(self._numbers, is_folder, now)

    def _place(self, path: str) -> tuple[Node, str]:
        """Return the folder in which a path is or would be, and its name there."""
        above, name = posixpath.split(path)
        if not name:
            raise error(errno.EISDIR, path)
        folder = self.find(above)
        if not folder.is_folder:
            raise error(errno.ENOTDIR, path)
        return folder, name

    def _change(self, *changes: Change, now: int) -> None:
        """Change names, all at once."""
        gone = []
        for folder, name, node in changes:
            assert folder.entries is not None
            before = folder.entries.get(name)
            if before is not None:
                before.links -= 1
                gone.append(before)
            if node is not None:
                node.links += 1
            _enter(folder.entries, name, node)
            folder.modified = now
        self._journal.append(changes)
        for node in gone:
            self._free(node)

    def _free(self, node: Node) -> None:
        """Give back the room of a file that has neither a name nor anybody who has it open."""
        if not (node.links or node.handles or node.is_folder):
            self.used -= len(node.content)


def canonical(path: str) -> str:
    """Return a path as it is written here: from the root on, without detours.

    >>> canonical("talk.ts"), canonical("/a/../rec//out.ts"), canonical(".")
    ('/talk.ts', '/rec/out.ts', '/')
    """
    if os.sep != "/":
        path = path.replace(os.sep, "/")
    return "/" + posixpath.normpath(f"/{path}").lstrip("/")


def error(number: int, path: str | None = None) -> OSError:
    """Return an error as the operating system makes it.

    >>> error(errno.ENOENT, "/none")
    FileNotFoundError(2, 'No such file or directory')
    """
    return OSError(number, os.strerror(number), *(() if path is None else (path,)))


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _enter(entries: dict[str, Node] | None, name: str, node: Node | None) -> None:
    assert entries is not None
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node


def _walk(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    for name, inner in (node.entries or {}).items():
        yield f"{path}/{name}", inner
        yield from _walk(inner, f"{path}/{name}")


def _revive(folder: Node, found: dict[int, Node]) -> None:
    """Have a folder and all in it be as it stands on the disk; note what there is."""
    assert folder.safe_entries is not None
    folder.entries = dict(folder.safe_entries)
    for node in folder.entries.values():
        node.links = 1
        found[node.number] = node
        if node.is_folder:
            _revive(node, found)


__all__ = ["Change", "Fate", "FileSystem", "Node", "canonical", "error"]
