"""The files of a simulated disk, alone: names, bytes, room, and what a crash leaves of them."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia.testbed.filesystem import FileSystem, Node, canonical, error

pytestmark = pytest.mark.one_core


def everything(count: int) -> int:
    return count


def nothing(count: int) -> int:
    return 0


def forbidden(count: int) -> int:
    raise AssertionError(f"nothing was to be asked, but it was, with {count}")


def written(files: FileSystem, path: str, data: bytes) -> Node:
    node = files.create(path, 0)
    assert files.write(node, data, 0) == len(data)
    return node


def contents(files: FileSystem) -> dict[str, bytes]:
    return {path: files.content(path) for path in files.paths()}


# -- names and bytes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("a", "/a"),
        ("/a", "/a"),
        ("//a", "/a"),
        ("./a/./b/", "/a/b"),
        ("a/../b", "/b"),
        ("../../a", "/a"),
        ("", "/"),
        (".", "/"),
        ("/..", "/"),
    ],
)
def test_paths_have_one_spelling(path: str, shown: str) -> None:
    assert canonical(path) == shown


def test_files_and_folders() -> None:
    files = FileSystem()
    files.make_folders("/rec/new", 5)
    files.make_folders("/rec", 6)
    log = written(files, "/rec/log", b"one")
    files.write(log, bytearray(b"two"), 7)
    files.write(log, memoryview(b""), 7)
    assert (files.content("/rec/log"), files.used) == (b"onetwo", 6)
    assert (files.names_in("/"), files.names_in("/rec")) == (["rec"], ["new", "log"])
    assert files.exists("/rec/log") and not files.exists("/rec/none") and not files.exists("/rec/log/x")
    files.rename("/rec/log", "/rec/new/log", 8)
    written(files, "/b", b"")
    assert files.paths() == ["/b", "/rec/new/log"]
    files.rename("/rec/new/log", "/rec/new/log", 9)
    files.remove("/b", 9)
    assert contents(files) == {"/rec/new/log": b"onetwo"}


def test_what_stat_says() -> None:
    files = FileSystem()
    files.make_folders("/rec", 10**9 + 5)
    node = files.create("/rec/log", 2 * 10**9)
    files.write(node, b"four", 3_000_000_001)
    status = node.status()
    assert stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o644
    assert (status.st_size, status.st_mtime_ns, status.st_mtime, status.st_nlink) == (
        *(4, 3_000_000_001, 3.000000001, 1),
    )
    folder = files.find("/rec").status()
    assert stat.S_ISDIR(folder.st_mode) and folder.st_mtime_ns == 2 * 10**9  # when the file came
    assert not os.path.samestat(status, folder)
    files.remove("/rec/log", 0)
    again = files.create("/rec/log", 0).status()
    assert not os.path.samestat(status, again)


@pytest.mark.parametrize(
    ("do", "kind"),
    [
        (lambda files: files.find("/none"), FileNotFoundError),
        (lambda files: files.find("/none/x"), FileNotFoundError),
        (lambda files: files.find("/file/x"), NotADirectoryError),
        (lambda files: files.create("/file", 0), FileExistsError),
        (lambda files: files.create("/none/x", 0), FileNotFoundError),
        (lambda files: files.create("/file/x", 0), NotADirectoryError),
        (lambda files: files.create("/", 0), IsADirectoryError),
        (lambda files: files.names_in("/file"), NotADirectoryError),
        (lambda files: files.make_folders("/file", 0), FileExistsError),
        (lambda files: files.make_folders("/file/x", 0), NotADirectoryError),
        (lambda files: files.remove("/none", 0), FileNotFoundError),
        (lambda files: files.remove("/folder", 0), IsADirectoryError),
        (lambda files: files.rename("/none", "/x", 0), FileNotFoundError),
        (lambda files: files.rename("/file", "/none/x", 0), FileNotFoundError),
        (lambda files: files.rename("/file", "/folder", 0), IsADirectoryError),
        (lambda files: files.put("/folder", b"", 0), IsADirectoryError),
    ],
)
def test_what_cannot_be_done_changes_nothing(do: Callable[[FileSystem], Any], kind: type[OSError]) -> None:
    files = FileSystem()
    files.make_folders("/folder", 0)
    written(files, "/file", b"x")
    with pytest.raises(kind):
        do(files)
    assert (contents(files), files.names_in("/"), files.used) == ({"/file": b"x"}, ["folder", "file"], 1)


def test_folders_are_not_renamed() -> None:
    files = FileSystem()
    files.make_folders("/folder", 0)
    with pytest.raises(OSError) as caught:
        files.rename("/folder", "/other", 0)
    assert (caught.value.errno, files.names_in("/")) == (errno.EOPNOTSUPP, ["folder"])


# -- room -------------------------------------------------------------------------------------------


def test_a_write_takes_what_there_is_room_for() -> None:
    files = FileSystem(capacity=10)
    node = written(files, "/a", b"123456")
    assert files.write(node, b"7890more", 0) == 4
    with pytest.raises(OSError) as caught:
        files.write(node, b"m", 0)
    assert (caught.value.errno, files.content("/a"), files.used) == (errno.ENOSPC, b"1234567890", 10)
    assert files.write(node, b"", 0) == 0
    files.create("/empty", 0)  # a name takes nothing


def test_room_comes_back_when_nobody_needs_the_file() -> None:
    files = FileSystem(capacity=10)
    a, b = written(files, "/a", b"12345"), written(files, "/b", b"123")
    files.hold(a)
    files.remove("/a", 0)
    assert files.used == 8
    assert files.write(a, b"6", 0) == 1  # it is open still
    files.release(a)
    assert files.used == 3
    files.hold(b)
    written(files, "/c", b"12")
    files.rename("/c", "/b", 0)
    assert files.used == 5
    files.release(b)
    assert (files.used, contents(files)) == (2, {"/b": b"12"})
    files.truncate(files.find("/b"), 1, 0)
    assert (files.used, contents(files)) == (1, {"/b": b"1"})
    files.truncate(files.find("/b"), 5, 0)
    assert (files.used, contents(files)) == (1, {"/b": b"1"})


def test_what_is_put_there_is_safe_and_needs_no_room() -> None:
    files = FileSystem(capacity=3)
    content = b"old content"
    files.put("/a/b", content, 0)
    assert (files.used, contents(files)) == (11, {"/a/b": content})
    files.put("/a/b", b"new", 0)
    assert files.used == 3
    files.crash(forbidden, forbidden)
    assert (files.used, contents(files)) == (3, {"/a/b": b"new"})
    files.capacity = 5
    assert files.write(files.find("/a/b"), b"er!", 0) == 2
    assert (contents(files), content) == ({"/a/b": b"newer"}, b"old content")


# -- crashes ----------------------------------------------------------------------------------------


def test_what_is_synced_survives() -> None:
    files = FileSystem()
    node = written(files, "/log", b"safe")
    files.sync(node)
    files.sync(files.find("/"))
    files.write(node, b" and more", 0)
    files.crash(forbidden, nothing)
    assert (contents(files), files.used) == ({"/log": b"safe"}, 4)


def test_a_file_that_was_synced_is_lost_with_its_name() -> None:
    files = FileSystem()
    files.sync(written(files, "/log", b"safe"))
    files.crash(nothing, forbidden)
    assert (contents(files), files.used) == ({}, 0)


def test_a_name_that_was_synced_has_nothing_in_it() -> None:
    files = FileSystem()
    written(files, "/log", b"unsafe")
    files.sync_names()
    files.crash(forbidden, nothing)
    assert contents(files) == {"/log": b""}


def test_a_crash_asks_about_each_file_in_the_order_of_their_making() -> None:
    files = FileSystem()
    for name, size in (("z", 3), ("a", 4), ("m", 0), ("b", 5)):
        written(files, f"/{name}", bytes(size))
    files.rename("/a", "/y", 0)
    asked = []

    def half(count: int) -> int:
        asked.append(count)
        return count // 2

    files.crash(everything, half)
    assert asked == [3, 4, 5]
    assert {path: len(content) for path, content in contents(files).items()} == {
        "/b": 2,
        "/m": 0,
        "/y": 2,
        "/z": 1,
    }
    files.crash(forbidden, forbidden)  # what is left is safe
    assert files.used == 5


def test_names_are_as_they_were_after_one_of_the_changes() -> None:
    """Each prefix of the changes, and nothing else; a rename is one of them."""

    def changed() -> FileSystem:
        files = FileSystem()
        files.put("/a", b"old", 0)
        files.sync(written(files, "/new", b"new"))
        files.rename("/new", "/a", 0)
        files.make_folders("/x/y", 0)
        files.sync(written(files, "/x/y/z", b"deep"))
        files.remove("/a", 0)
        return files

    expected: list[dict[str, bytes]] = [
        {"/a": b"old"},
        {"/a": b"old", "/new": b"new"},
        {"/a": b"new"},
        {"/a": b"new"},
        {"/a": b"new"},
        {"/a": b"new", "/x/y/z": b"deep"},
        {"/x/y/z": b"deep"},
    ]
    for count, names in enumerate(expected):
        files = changed()
        asked = []
        files.crash(lambda most, count=count, asked=asked: asked.append(most) or count, forbidden)
        assert (asked, contents(files)) == ([6], names)
        assert files.used == sum(map(len, names.values()))


def test_a_replaced_file_is_there_until_the_name_is_safe() -> None:
    for synced, survives in ((False, b"old"), (True, b"new")):
        files = FileSystem()
        files.put("/a", b"old", 0)
        files.sync(written(files, "/b", b"new"))
        files.rename("/b", "/a", 0)
        assert files.used == 3
        if synced:
            files.sync_names()
        files.crash(nothing, forbidden)
        assert (contents(files), files.used) == ({"/a": survives}, 3)


def test_nothing_is_open_after_a_crash() -> None:
    files = FileSystem()
    files.put("/a", b"12345", 0)
    node = files.find("/a")
    files.hold(node)
    files.crash(forbidden, forbidden)
    files.remove("/a", 0)
    assert files.used == 0


def test_what_is_cut_is_cut_on_the_disk() -> None:
    files = FileSystem()
    files.put("/a", b"12345", 0)
    files.truncate(files.find("/a"), 2, 0)
    files.write(files.find("/a"), b"x", 0)
    files.crash(forbidden, nothing)
    assert contents(files) == {"/a": b"12"}


def test_whatever_is_done_a_crash_leaves_a_beginning_of_each_file() -> None:
    """For many orders of writes and syncs: what is left begins what was there, and holds what was safe."""
    for steps in itertools.product("wsn", repeat=6):
        for share in (0, 1, 2):
            files = FileSystem()
            node = files.create("/a", 0)
            files.sync_names()
            safe = 0
            for number, step in enumerate(steps):
                if step == "w":
                    files.write(node, bytes([65 + number]) * 2, 0)
                elif step == "s":
                    files.sync(node)
                    safe = len(node.content)
                else:
                    files.sync_names()
            before = files.content("/a")
            files.crash(everything, lambda count, share=share: count * share // 2)
            after = files.content("/a")
            assert before.startswith(after), (steps, share)
            assert len(after) == safe + (len(before) - safe) * share // 2 == files.used, (steps, share)


def test_errors_are_those_of_the_system() -> None:
    assert repr(error(errno.ENOSPC)) == f"OSError({errno.ENOSPC}, {os.strerror(errno.ENOSPC)!r})"
    assert error(errno.ENOENT, "/x").filename == "/x"
