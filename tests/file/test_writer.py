"""FileWriter: in place of a file, added to it, rotated; and what becomes of it when something fails."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, background, run
from kamaelia.axon import ComponentsFailed, GraceExceeded, UsageError, VirtualLoop
from kamaelia.file import FileReader, FileWriter
from kamaelia.file import target as target_module
from kamaelia.flow import Collect, Map, Source
from kamaelia.testing import drive

from .programs import result_of, start

WORLDS = pytest.mark.parametrize("loop", [None, asyncio.SelectorEventLoop, VirtualLoop])


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def failures_of(*parts: Any, **options: Any) -> list[str]:
    with pytest.raises(ComponentsFailed) as caught:
        run(*parts, **options)
    return [f"{type(error).__name__}: {error}" for error in caught.value.exceptions]


class Fails(Component):
    """Passes on so many messages, and fails."""

    def __init__(self, after: int) -> None:
        self.after = after

    async def main(self) -> None:
        for _ in range(self.after):
            await self.outbox.send(await self.inbox.receive())
        raise RuntimeError("on purpose")


# --- in place of a file ---------------------------------------------------------------------------


@WORLDS
def test_a_file_is_replaced_as_a_whole(tmp_path: Path, loop: Any) -> None:
    file = tmp_path / "file"
    parts = [b"one", bytearray(b"two"), memoryview(b"three"), memoryview(b"f-o-u-r")[::2], b""]
    assert run(Source(parts) | FileWriter(file), loop_factory=loop) == 15
    assert (file.read_bytes(), names_in(tmp_path)) == (b"onetwothreefour", ["file"])
    assert run(Source([]) | FileWriter(str(file)), loop_factory=loop) == 0
    assert (file.read_bytes(), names_in(tmp_path)) == (b"", ["file"])


@WORLDS
def test_a_copy_is_a_copy(tmp_path: Path, loop: Any) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "from").write_bytes(data)
    copy = FileReader(tmp_path / "from") | FileWriter(tmp_path / "to")
    assert run(copy, loop_factory=loop) == len(data)
    assert (tmp_path / "to").read_bytes() == data


def test_until_its_end_the_old_file_is_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with drive(FileWriter(file)) as writer:
        writer.send(b"new", b"er")
        assert (file.read_bytes(), names_in(tmp_path)) == (b"old", [".file.0.partial", "file"])
        assert (tmp_path / ".file.0.partial").read_bytes() == b"newer"
        assert writer.component.written == 5
        writer.close()
        assert (file.read_bytes(), names_in(tmp_path)) == (b"newer", ["file"])
        assert (writer.outcome, writer.result) == ("ended", 5)


@WORLDS
def test_three_stages_behind_a_failure_nothing_is_committed(tmp_path: Path, loop: Any) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    failing = Source([b"a"] * 10) | Fails(after=5) | Map(bytes.upper) | Map(bytes.lower) | FileWriter(file)
    assert failures_of(failing, loop_factory=loop) == ["RuntimeError: on purpose"]
    assert (file.read_bytes(), names_in(tmp_path)) == (b"old", ["file"])


def test_who_is_cancelled_or_fails_commits_nothing(tmp_path: Path) -> None:
    with drive(FileWriter(tmp_path / "file")) as writer:
        writer.send(b"new")
        writer.cancel()
        assert (writer.outcome, names_in(tmp_path)) == ("cancelled", [])
    with drive(FileWriter(tmp_path / "file", forward=True)) as writer:
        writer.send(b"new")
        writer.fail(OSError("gone"))
        assert (writer.outcome, writer.state("outbox"), names_in(tmp_path)) == ("broken", "failed", [])
    with drive(FileWriter(tmp_path / "file")) as writer:
        writer.send(b"new", "text")
        assert str(writer.error) == "FileWriter takes bytes, but got 'text'; put Encode() before it"
        assert names_in(tmp_path) == []


def test_a_stop_is_an_end(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with background(FileWriter(file)) as handle:
        handle.send(b"what has ")
        handle.send(b"come by then")
    assert (file.read_bytes(), names_in(tmp_path)) == (b"what has come by then", ["file"])


def test_a_stop_while_the_rest_is_written_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, reached, go_on = tmp_path / "file", threading.Event(), threading.Event()
    original = target_module.Replacement.write

    async def slow(*arguments: Any) -> None:
        reached.set()
        assert go_on.wait(10)
        await original(*arguments)

    monkeypatch.setattr(target_module.Replacement, "write", slow)
    with background(FileWriter(file)) as handle:
        handle.send(b"all")
        handle.close()
        assert reached.wait(10)
        handle.stop()
        threading.Timer(0.05, go_on.set).start()
    assert (file.read_bytes(), names_in(tmp_path)) == (b"all", ["file"])


def test_a_stop_while_the_end_is_written_and_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    original = target_module.Replacement.write

    async def slow(*arguments: Any) -> None:
        reached.set()
        assert go_on.wait(10)
        await original(*arguments)

    def fsync(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(target_module.Replacement, "write", slow)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ComponentsFailed) as caught:
        with background(FileWriter(tmp_path / "file")) as handle:
            handle.send(b"all")
            handle.close()
            assert reached.wait(10)
            handle.stop()
            threading.Timer(0.05, go_on.set).start()
    (error,) = caught.value.exceptions
    assert str(error) == (
        f"FileWriter: cannot write {tmp_path}/file: Input/output error "
        "(of the 3 bytes that had come nothing is kept)"
    )
    assert names_in(tmp_path) == []


def test_a_new_file_looks_like_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    file.chmod(0o640)
    (tmp_path / "link").symlink_to("file")
    run(Source([b"new"]) | FileWriter(tmp_path / "link"))
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"new", 0o640)
    assert (tmp_path / "link").is_symlink()


def test_two_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    with drive(FileWriter(tmp_path / "file")) as one, drive(FileWriter(tmp_path / "file")) as other:
        one.send(b"one")
        other.send(b"other")
        assert names_in(tmp_path) == [".file.0.partial", ".file.1.partial"]
        other.close()
        assert (tmp_path / "file").read_bytes() == b"other"
        one.close()
        assert (tmp_path / "file").read_bytes() == b"one"
    assert names_in(tmp_path) == ["file"]


@pytest.mark.one_core
def test_what_a_killed_process_leaves_can_be_told_by_its_name(tmp_path: Path) -> None:
    code = """
@component
async def tell(inbox, outbox):
    print(await inbox.receive(), flush=True)
    await inbox.receive()
run(Source([b"half"], then="stay") | FileWriter(sys.argv[1], forward=True) | tell)
"""
    with start(code, tmp_path / "file") as program:
        assert program.stdout is not None and program.stdout.readline() == "b'half'\n"
        program.send_signal(signal.SIGKILL)
        program.wait(30)
    assert names_in(tmp_path) == [".file.0.partial"]
    assert target_module.is_temporary(".file.0.partial")
    run(Source([b"whole"]) | FileWriter(tmp_path / "file"))  # it is in nobody's way
    assert ((tmp_path / "file").read_bytes(), names_in(tmp_path)) == (b"whole", [".file.0.partial", "file"])


# --- added to a file ------------------------------------------------------------------------------


@WORLDS
def test_a_file_is_added_to(tmp_path: Path, loop: Any) -> None:
    file = tmp_path / "log"
    assert run(Source([b"one\n", b"two\n"]) | FileWriter(file, mode="append"), loop_factory=loop) == 8
    assert run(Source([b"three\n"]) | FileWriter(file, mode="append"), loop_factory=loop) == 6
    assert (file.read_bytes(), names_in(tmp_path)) == (b"one\ntwo\nthree\n", ["log"])


def test_what_is_added_is_there_at_once_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "log"
    for end, outcome in (
        (lambda writer: writer.close(), "ended"),
        (lambda writer: writer.fail(OSError("gone")), "broken"),
        (lambda writer: writer.cancel(), "cancelled"),
        (lambda writer: writer.stop(), "ended"),
    ):
        with drive(FileWriter(file, mode="append")) as writer:
            writer.send(b"x")
            assert file.read_bytes().endswith(b"x")
            end(writer)
            assert writer.outcome == outcome
    assert file.read_bytes() == b"xxxx"


def test_what_comes_before_a_failure_is_written(tmp_path: Path) -> None:
    file = tmp_path / "log"
    assert len(failures_of(Source([b"a"] * 9) | Fails(after=5) | FileWriter(file, mode="append"))) == 1
    assert file.read_bytes() == b"aaaaa"
    message = "TypeError: Pipeline/FileWriter takes bytes, but got 7; put Encode() before it"
    assert failures_of(Source([b"b", b"c", Odd(), b"d"]) | FileWriter(file, mode="append"))[0].startswith(
        message.partition("7")[0]
    )
    assert file.read_bytes() == b"aaaaabc"


class Odd:
    """It has a length, and is no bytes."""

    def __len__(self) -> int:
        return 1


def test_a_new_file_must_not_be_there(tmp_path: Path) -> None:
    file = tmp_path / "new"
    assert run(Source([b"x"]) | FileWriter(file, mode="create")) == 1
    assert failures_of(Source([b"y"]) | FileWriter(file, mode="create")) == [
        f"FileExistsError: Pipeline/FileWriter: cannot write {file}: it is there already: choose another "
        "name, or say mode='append' or mode='replace'"
    ]
    assert file.read_bytes() == b"x"


# --- rotated --------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@WORLDS
def test_a_file_is_rotated_before_it_gets_too_large(tmp_path: Path, loop: Any) -> None:
    (tmp_path / "log").write_bytes(b"older")
    messages = [b"aaa", b"bb", b"ccc", b"d", b"longer than ten", b"ee", b"fffff"]
    writer = FileWriter(tmp_path / "log", mode="append", rotate_size=10, keep=2)
    assert run(Source(messages) | writer, loop_factory=loop) == 31
    assert contents(tmp_path) == {"log": b"eefffff", "log.1": b"longer than ten", "log.2": b"cccd"}


def test_however_messages_come_the_files_are_the_same(tmp_path: Path) -> None:
    writer = FileWriter(tmp_path / "log", mode="append", rotate_size="10 B", keep=9)
    with drive(writer) as writing:
        for message in [b"aaa", b"bb", b"ccc", b"d", b"longer than ten", b"ee", b"fffff"]:
            writing.send(message)
    assert contents(tmp_path) == {
        "log": b"eefffff",
        "log.1": b"longer than ten",
        "log.2": b"aaabbcccd",
    }


def test_a_file_is_rotated_when_it_is_old(tmp_path: Path) -> None:
    with drive(FileWriter(tmp_path / "log", mode="append", rotate_after="1 h", keep=2)) as writer:
        writer.advance(9000)  # an empty file does not get old
        writer.send(b"a")
        assert contents(tmp_path) == {"log": b"a"}
        writer.send(b"b")
        assert contents(tmp_path) == {"log": b"b", "log.1": b"a"}
        writer.advance(3599)
        writer.send(b"c")
        writer.advance(1)
        writer.send(b"d")
        assert contents(tmp_path) == {"log": b"d", "log.1": b"bc", "log.2": b"a"}
        writer.advance(3600)
        writer.send(b"e")
        assert contents(tmp_path) == {"log": b"e", "log.1": b"d", "log.2": b"bc"}


def test_a_log_that_somebody_takes_away_is_begun_anew(tmp_path: Path) -> None:
    with drive(FileWriter(tmp_path / "log", mode="append", rotate_size=1, keep=1)) as writer:
        writer.send(b"a")
        os.unlink(tmp_path / "log")
        writer.send(b"b")
    assert contents(tmp_path) == {"log": b"b"}


def test_a_device_is_not_renamed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert failures_of(Source([b"x"]) | FileWriter(tmp_path / "pipe", mode="append", rotate_size=1)) == [
            f"OSError: Pipeline/FileWriter: cannot write {tmp_path}/pipe: "
            "it is a pipe or device, which cannot be rotated"
        ]
    finally:
        os.close(reading)


# --- to the disk ----------------------------------------------------------------------------------


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has been brought to the disk."""
    done: list[str] = []
    original = os.fsync

    def fsync(fd: int) -> None:
        original(fd)
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))

    monkeypatch.setattr(os, "fsync", fsync)
    return done


def test_at_the_end_the_bytes_are_on_the_disk_before_the_name_is(tmp_path: Path, synced: list[str]) -> None:
    run(Source([b"a", b"b"]) | FileWriter(tmp_path / "file"))
    assert synced == [".file.0.partial", tmp_path.name]


def test_what_is_added_is_on_the_disk_at_the_end(tmp_path: Path, synced: list[str]) -> None:
    with drive(FileWriter(tmp_path / "log", mode="append", rotate_size=1)) as writer:
        assert synced == [tmp_path.name]  # that there is such a file
        writer.send(b"a")
        assert synced == [tmp_path.name]
        writer.send(b"b")
        assert synced == [tmp_path.name, "log", tmp_path.name]
    assert synced == [tmp_path.name, "log", tmp_path.name, "log"]


def test_always_means_each_time(tmp_path: Path, synced: list[str]) -> None:
    with drive(FileWriter(tmp_path / "log", mode="append", fsync="always")) as writer:
        writer.send(b"a")
        writer.send(b"b")
        assert synced[1:] == ["log", "log"]


def test_never_means_never(tmp_path: Path, synced: list[str]) -> None:
    run(Source([b"a"]) | FileWriter(tmp_path / "file", fsync="never"))
    run(Source([b"a"]) | FileWriter(tmp_path / "log", mode="append", fsync="never", rotate_size=1))
    assert synced == []


def test_some_seconds_later(tmp_path: Path, synced: list[str]) -> None:
    with drive(FileWriter(tmp_path / "log", mode="append", fsync=2)) as writer:
        synced.clear()
        writer.advance(10)
        writer.send(b"a")
        writer.advance(1.5)
        writer.send(b"b")
        assert synced == []
        writer.advance(0.5)
        assert synced == ["log"]
        writer.advance(10)
        assert synced == ["log"]  # there is nothing new
        writer.send(b"c")
        writer.advance(2)
        assert synced == ["log", "log"]
    assert synced == ["log", "log", "log"]


def test_some_seconds_later_also_while_more_comes(tmp_path: Path, synced: list[str]) -> None:
    writer = FileWriter(tmp_path / "log", mode="append", fsync=2, forward=True)
    with drive(writer, sizes={"outbox": 1}) as writing:
        synced.clear()
        writing.send(b"a", b"b", b"c")  # the first is written, and then it has to wait until that is taken
        writing.advance(5)
        assert synced == []
        assert (writing.take(), synced) == (b"a", ["log"])


# --- passing on -----------------------------------------------------------------------------------


def test_only_what_has_been_written_is_passed_on(tmp_path: Path) -> None:
    def seen(message: bytes) -> tuple[bytes, bytes]:
        return message, file.read_bytes()

    file = tmp_path / "log"
    writer = FileWriter(file, mode="append", forward=True)
    with drive(writer | Map(seen)) as writing:
        writing.send(b"a", b"b")
        assert writing.take_all() == [(b"a", b"a"), (b"b", b"ab")]
    assert run(Source([b"a"]) | FileWriter(file, mode="append") | Collect()) == []


def test_the_end_is_passed_on_when_the_file_is_there(tmp_path: Path) -> None:
    file = tmp_path / "file"

    class Looks(Component):
        async def main(self) -> list[Any]:
            return [[message async for message in self.inbox], file.read_bytes()]

    assert run(Source([b"a", b"b"]) | FileWriter(file, forward=True) | Looks()) == [[b"a", b"b"], b"ab"]


def test_it_works_on_when_nobody_listens(tmp_path: Path) -> None:
    with drive(FileWriter(tmp_path / "log", mode="append", forward=True)) as writer:
        writer.leave()
        writer.send(b"a", b"b")
        writer.close()
        assert writer.result == 2


# --- holding back ---------------------------------------------------------------------------------


def test_a_slow_disk_holds_senders_back(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    sent = 0

    def blocks() -> Any:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield bytes(65536)

    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(GraceExceeded, match="Pipeline/FileWriter"):
            with background(Source(blocks) | FileWriter(tmp_path / "pipe", mode="append"), grace=0.1):
                while sent < 8:
                    os.sched_yield()
    finally:
        os.close(reading)
    assert sent <= 10  # 256 KiB are being written, as much waits, and one has been sent beyond


def test_a_stop_does_not_wait_for_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with background(FileWriter(tmp_path / "pipe", mode="append"), grace=30) as handle:
        handle.stop()


@WORLDS
def test_a_pipe_is_written_to(tmp_path: Path, loop: Any) -> None:
    os.mkfifo(tmp_path / "pipe")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    writer = FileWriter(tmp_path / "pipe", mode="append")
    assert run(Source([b"x" * 100_000] * 5) | writer, loop_factory=loop) == 500_000
    reader.join(10)
    assert received == [b"x" * 500_000]


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_full_disk_is_a_failure_that_says_how_much_is_lost() -> None:
    assert failures_of(Source([b"one", b"two"]) | FileWriter("/dev/full", mode="append")) == [
        "OSError: Pipeline/FileWriter: cannot write /dev/full: the disk is full: make room on it, or write "
        "to another one (0 of the 6 bytes that had come are in it)"
    ]


LIMITED = """
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    run(Source([bytes(30_000)] * 5) | FileWriter(sys.argv[1], mode=sys.argv[2]))
except ComponentsFailed as failed:
    print(*failed.exceptions)
"""


@pytest.mark.one_core
def test_a_file_that_cannot_grow_further(tmp_path: Path) -> None:
    file = tmp_path / "file"
    why = "a file may not be so large here: raise the limit (ulimit -f), or say rotate_size="
    assert result_of(LIMITED, file, "append") == (
        f"Pipeline/FileWriter: cannot write {file}: {why} "
        "(100000 of the 150000 bytes that had come are in it)\n"
    )
    assert file.stat().st_size == 100_000
    file.write_bytes(b"old")
    assert result_of(LIMITED, file, "replace") == (
        f"Pipeline/FileWriter: cannot write {file}: {why} "
        "(of the 150000 bytes that had come nothing is kept)\n"
    )
    assert (file.read_bytes(), names_in(tmp_path)) == (b"old", ["file"])


def test_a_disk_that_fails_at_the_very_end_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(fd: int) -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fsync)
    assert failures_of(Source([b"new"]) | FileWriter(tmp_path / "file")) == [
        f"OSError: Pipeline/FileWriter: cannot write {tmp_path}/file: Input/output error "
        "(of the 3 bytes that had come nothing is kept)"
    ]
    assert contents(tmp_path) == {"file": b"old"}


@WORLDS
@pytest.mark.parametrize("mode", ["replace", "append", "create"])
def test_errors_say_who_what_why_and_what_to_do(tmp_path: Path, loop: Any, mode: Any) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    no_folder = "a part of the name that should be a folder is a file: check the name"
    cases = [
        ("none/x", "FileNotFoundError", "there is no such file or folder: check the name"),
        ("file/x", "NotADirectoryError", no_folder),
    ]
    if mode != "create":
        cases.append(("folder", "IsADirectoryError", "it is a folder: name a file in it"))
    for name, kind, why in cases:
        path = tmp_path / name
        assert failures_of(Source([b"x"]) | FileWriter(path, mode=mode), loop_factory=loop) == [
            f"{kind}: Pipeline/FileWriter: cannot write {path}: {why}"
        ]
    assert names_in(tmp_path) == ["file", "folder"]


def test_a_device_is_not_replaced() -> None:
    assert failures_of(Source([b"x"]) | FileWriter("/dev/null")) == [
        "OSError: Pipeline/FileWriter: cannot write /dev/null: it is a pipe or device, which nothing can "
        "replace: say mode='append'"
    ]


@pytest.mark.one_core
def test_a_folder_that_one_has_no_right_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    code = """
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    run(Source([b"x"]) | FileWriter(sys.argv[1]))
except ComponentsFailed as failed:
    print(*failed.exceptions)
"""
    try:
        assert result_of(code, tmp_path / "file") == (
            f"Pipeline/FileWriter: cannot write {tmp_path}/file: this user has no right to do that: change "
            "the permissions, or run as a user who has it\n"
        )
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: FileWriter(7), TypeError, "FileWriter(7): give the name of a file, a text or a Path"),
        (
            lambda: FileWriter("x", mode="w"),
            ValueError,
            "FileWriter(mode='w'): say 'replace', 'append' or 'create'",
        ),
        (
            lambda: FileWriter("x", fsync="sometimes"),
            ValueError,
            "FileWriter(fsync='sometimes'): say 'never', 'end' or 'always', or give a number of seconds",
        ),
        (
            lambda: FileWriter("x", fsync=True),
            ValueError,
            "FileWriter(fsync=True): say 'never', 'end' or 'always', or give a number of seconds",
        ),
        (
            lambda: FileWriter("x", fsync=0),
            ValueError,
            "FileWriter(fsync=0): give the seconds until it is on the disk, more than 0",
        ),
        (
            lambda: FileWriter("x", rotate_size=10),
            ValueError,
            "FileWriter(mode='replace', rotate_...): only with mode='append' is a file rotated",
        ),
        (
            lambda: FileWriter("x", mode="append", rotate_size="much"),
            UsageError,
            "FileWriter: rotate_size='much': write a number and one of B, kB, MB, GB, KiB, MiB, GiB, such as "
            "'64 KiB'; or a plain number",
        ),
        (
            lambda: FileWriter("x", mode="append", rotate_after=0),
            UsageError,
            "FileWriter: rotate_after=0 is no time: give more than 0",
        ),
        (
            lambda: FileWriter("x", mode="append", keep=0),
            ValueError,
            "FileWriter(keep=0): give how many old files stay, 1 or more",
        ),
    ],
)
def test_arguments_are_checked_when_it_is_made(make: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        make()
    assert str(caught.value) == text
