"""ReadFiles and WriteFiles: names, contents, and names that lead elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from kamaelia import run
from kamaelia.axon import ComponentsFailed, UsageError, VirtualLoop
from kamaelia.file import OutsideFolder, ReadFiles, WriteFiles
from kamaelia.flow import Collect, Source
from kamaelia.testing import drive

WORLDS = pytest.mark.parametrize("loop", [None, VirtualLoop])

OUTSIDE = ["..", "../secret", "/etc/passwd", "in/../../secret", "link/secret", "", ".", "in/..", "a\0b"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "file").write_bytes(b"content")
    (folder / "link").symlink_to(tmp_path)
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


def failure_of(*parts: Any) -> str:
    with pytest.raises(ComponentsFailed) as caught:
        run(*parts)
    (error,) = caught.value.exceptions
    return f"{type(error).__name__}: {error}"


# --- reading --------------------------------------------------------------------------------------


@WORLDS
def test_contents_come_in_the_order_of_the_names(folder: Path, loop: Any) -> None:
    names: list[Any] = [
        "in/file",
        Path("in/file"),
        "in/../in/file",
        str(folder / "in" / "file"),
        "big",
        "empty",
    ]
    (folder / "big").write_bytes(bytes(1_000_000))
    (folder / "empty").touch()
    contents = [b"content"] * 4 + [bytes(1_000_000), b""]
    assert run(Source(names) | ReadFiles(folder) | Collect(), loop_factory=loop) == contents
    pairs = list(zip(names, contents, strict=True))
    assert run(Source(names) | ReadFiles(str(folder), pairs=True) | Collect(), loop_factory=loop) == pairs


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_outside_are_not_read(folder: Path, name: str) -> None:
    with drive(ReadFiles(folder)) as reading:
        reading.send("in/file", name)
        assert (reading.take_all(), reading.state("outbox")) == ([b"content"], "failed")
        assert isinstance(reading.error, OutsideFolder)
        assert str(reading.error) == f"ReadFiles: {name!r} is not in the folder {folder}: give a name in it"


def test_what_cannot_be_read_is_a_failure(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "large").write_bytes(bytes(1001))
    (folder / "just").write_bytes(bytes(1000))
    for name, kind, why in [
        ("none", "FileNotFoundError", "there is no such file or folder: check the name"),
        ("in", "IsADirectoryError", "it is a folder: name a file in it"),
        ("pipe", "OSError", "it is a pipe or a device, and may have no end: read it with FileReader"),
        (
            "large",
            "OSError",
            "it has more than largest=1000 bytes: allow more, or use FileReader, which does not hold it in "
            "memory as a whole",
        ),
    ]:
        text = failure_of(Source([name]) | ReadFiles(folder, largest=1000) | Collect())
        assert text == f"{kind}: Pipeline/ReadFiles: cannot read {name}: {why}"
    assert run(Source(["just"]) | ReadFiles(folder, largest="1 kB") | Collect()) == [bytes(1000)]


def test_what_cannot_be_read_may_be_skipped(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    reader = ReadFiles(folder, on_error="skip")
    assert run(Source(["none", "../secret", "in/file"]) | reader | Collect()) == [b"content"]
    assert reader.skipped == 2
    assert [record.getMessage() for record in caplog.records] == [
        "Pipeline/ReadFiles: cannot read none: there is no such file or folder: check the name",
        f"Pipeline/ReadFiles: '../secret' is not in the folder {folder}: give a name in it",
    ]
    assert failure_of(Source([7]) | ReadFiles(folder, on_error="skip") | Collect()) == (
        "TypeError: Pipeline/ReadFiles takes names of files, but got 7"
    )


def test_a_slow_reader_holds_reading_back(folder: Path) -> None:
    with drive(ReadFiles(folder), sizes={"outbox": 1}) as reading:
        reading.send(*["in/file"] * 5)
        (folder / "in" / "file").write_bytes(b"later")
        assert reading.take_all() == [b"content", b"later", b"later", b"later", b"later"]
        reading.close()
        assert reading.outcome == "ended"


# --- writing --------------------------------------------------------------------------------------


@WORLDS
def test_files_are_written_whole(tmp_path: Path, loop: Any) -> None:
    jobs = [("a", b"one"), ("b/c/d", bytearray(b"two")), [Path("b/e"), memoryview(b"three")], ("a", b"four")]
    writer = WriteFiles(tmp_path / "new")
    assert run(Source(jobs) | writer, loop_factory=loop) == 4
    found = {
        str(path.relative_to(tmp_path / "new")): path.read_bytes()
        for path in (tmp_path / "new").rglob("*")
        if path.is_file()
    }
    assert found == {"a": b"four", "b/c/d": b"two", "b/e": b"three"}


def test_a_name_comes_out_when_its_file_is_there(tmp_path: Path) -> None:
    with drive(WriteFiles(tmp_path)) as writer:
        writer.send(("a", b"one"))
        assert (writer.take(), (tmp_path / "a").read_bytes()) == ("a", b"one")
        writer.send(("b", b"two"))
        writer.fail(OSError("gone"))
        assert (writer.take(), writer.outcome, sorted(os.listdir(tmp_path))) == ("b", "broken", ["a", "b"])


def test_one_after_the_other_copies_a_folder(folder: Path, tmp_path: Path) -> None:
    copy = Source(["in/file"]) | ReadFiles(folder, pairs=True) | WriteFiles(tmp_path / "copy")
    assert run(copy) == 1
    assert (tmp_path / "copy" / "in" / "file").read_bytes() == b"content"


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_outside_are_not_written(folder: Path, tmp_path: Path, name: str) -> None:
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with drive(WriteFiles(folder)) as writer:
        writer.send((name, b"evil"))
        assert isinstance(writer.error, OutsideFolder)
        assert str(writer.error) == f"WriteFiles: {name!r} is not in the folder {folder}: give a name in it"
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_what_cannot_be_written_is_a_failure(folder: Path) -> None:
    text = failure_of(Source([("ok", b""), ("in", b"x")]) | WriteFiles(folder))
    assert text == (
        "IsADirectoryError: Pipeline/WriteFiles: cannot write in: it is a folder: name a file in it "
        "(1 files were written)"
    )
    text = failure_of(Source([("in/file/x", b"x")]) | WriteFiles(folder))
    assert re.match(
        "(NotADirectoryError|FileExistsError): Pipeline/WriteFiles: cannot write in/file/x: ", text
    )
    assert sorted(os.listdir(folder)) == ["in", "link", "ok"]


@pytest.mark.parametrize("job", ["ab", ("a",), ("a", b"b", 3), (7, b"x"), None])
def test_what_is_no_pair_is_refused(tmp_path: Path, job: Any) -> None:
    with drive(WriteFiles(tmp_path)) as writer:
        writer.send(job)
        assert str(writer.error).startswith("WriteFiles takes pairs of a name and bytes, but got ")


def test_text_is_no_content(tmp_path: Path) -> None:
    with drive(WriteFiles(tmp_path)) as writer:
        writer.send(("a", "text"))
        assert str(writer.error) == "WriteFiles takes bytes, but got 'text'; put Encode() before it"


def test_without_fsync_nothing_is_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    run(Source([("a", b"x")]) | WriteFiles(tmp_path, fsync="never"))
    assert synced == []
    run(Source([("a", b"x")]) | WriteFiles(tmp_path))
    assert len(synced) == 2  # the file, and its name


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: ReadFiles(7), TypeError, "ReadFiles(7): give the name of a folder, a text or a Path"),
        (lambda: WriteFiles(""), ValueError, "WriteFiles(''): give the name of a folder"),
        (lambda: ReadFiles("x", on_error="ok"), ValueError, "ReadFiles(on_error='ok'): say 'fail' or 'skip'"),
        (
            lambda: ReadFiles("x", largest=0),
            UsageError,
            "ReadFiles: largest=0 is no size: give a number of bytes from 1 on, or '64 KiB'",
        ),
        (
            lambda: WriteFiles("x", fsync="always"),
            ValueError,
            "WriteFiles(fsync='always'): say 'end' or 'never'",
        ),
    ],
)
def test_arguments_are_checked_when_it_is_made(make: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        make()
    assert str(caught.value) == text
