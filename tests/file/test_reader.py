"""FileReader: in blocks and lines, at a rate, as it is asked for, and with what goes wrong."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, Inbox, background, clock, run
from kamaelia.axon import ComponentsFailed, LinkError, UsageError, VirtualLoop
from kamaelia.file import FileReader, FileTruncated
from kamaelia.file import source as source_module
from kamaelia.file.reader import LineCutter
from kamaelia.flow import Collect, Lines, Map, Source, Take
from kamaelia.testing import drive

from .programs import result_of

WORLDS = pytest.mark.parametrize("loop", [None, asyncio.SelectorEventLoop, VirtualLoop])
DATA = bytes(range(256)) * 3000  # 768,000 bytes, which no block divides


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


def failure_of(*parts: Any, **options: Any) -> str:
    with pytest.raises(ComponentsFailed) as caught:
        run(*parts, **options)
    (error,) = caught.value.exceptions
    return f"{type(error).__name__}: {error}"


# --- all that there is ----------------------------------------------------------------------------


@WORLDS
@pytest.mark.parametrize("block", [1000, 64 * 1024, "128 KiB", 300_000, "1 MiB"])
def test_a_file_comes_in_blocks(file: Path, loop: Any, block: Any) -> None:
    blocks = run(FileReader(file, block=block) | Collect(), loop_factory=loop)
    size = FileReader(file, block=block).block
    assert b"".join(blocks) == DATA
    assert {len(one) for one in blocks[:-1]} <= {size} and len(blocks[-1]) == (len(DATA) % size or size)


@WORLDS
def test_a_file_comes_by_way_of_a_thread_where_it_is_not_in_memory(
    file: Path, loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_in_memory(*arguments: Any) -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "preadv", not_in_memory)
    blocks = run(FileReader(str(file)) | Collect(), loop_factory=loop)
    assert [len(one) for one in blocks] == [65536] * 11 + [47104] and b"".join(blocks) == DATA


def test_a_file_system_that_cannot_say_what_is_in_memory_is_asked_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def unsupported(*arguments: Any) -> int:
        asked.append(arguments[2])
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "preadv", unsupported)
    assert b"".join(run(FileReader(file) | Collect())) == DATA
    assert asked == [0]


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="only Linux can be asked for what is in memory")
def test_what_is_in_memory_needs_no_thread_for_each_block(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        with file.open("rb") as opened:
            os.preadv(opened.fileno(), [bytearray(10)], 0, os.RWF_NOWAIT)
    except OSError:
        return  # the folder of this test is in a file system that does not know it
    reads = []
    original = source_module.SourceFile.read_blocks
    monkeypatch.setattr(
        source_module.SourceFile, "read_blocks", lambda *args: reads.append(1) or original(*args)
    )
    assert b"".join(run(FileReader(file) | Collect())) == DATA
    assert len(reads) == 2  # the rest, and the end


def test_in_virtual_time_it_does_not_matter_what_is_in_memory(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "preadv")
    assert b"".join(run(FileReader(file) | Collect(), loop_factory=VirtualLoop)) == DATA
    assert run(Source([5]) | FileReader(file, prompted=True) | Collect(), loop_factory=VirtualLoop) == [
        DATA[:5]
    ]


@WORLDS
def test_an_empty_file_is_an_end(tmp_path: Path, loop: Any) -> None:
    (tmp_path / "empty").touch()
    assert run(FileReader(tmp_path / "empty") | Collect(), loop_factory=loop) == []
    assert run(FileReader(tmp_path / "empty", lines=True) | Collect(), loop_factory=loop) == []


def test_files_of_the_system_may_be_shorter_than_they_say() -> None:
    (text,) = run(FileReader("/proc/self/stat") | Collect())
    assert text.split()[0] == str(os.getpid()).encode()
    assert b"".join(run(FileReader("/sys/kernel/mm/transparent_hugepage/enabled") | Collect()))  # says 4096


@WORLDS
@pytest.mark.parametrize("block", [4, 5, 7, 1000])
def test_lines_keep_their_ends_and_long_ones_come_in_pieces(tmp_path: Path, loop: Any, block: int) -> None:
    data = b"one\n\r\n\ntwo\rand half\r\nlonger than any\xff block\nend"
    (tmp_path / "text").write_bytes(data)
    pieces = run(FileReader(tmp_path / "text", lines=True, block=block) | Collect(), loop_factory=loop)
    assert b"".join(pieces) == data
    expected = []
    for line in data.split(b"\n"):
        line += b"\n"
        expected += [line[start : start + block] for start in range(0, len(line), block)]
    expected[-1] = expected[-1].removesuffix(b"\n")
    assert pieces == [piece for piece in expected if piece]


def test_however_bytes_are_divided_the_lines_are_the_same() -> None:
    data = b"a\nbcdef\n\nghijklmnop\nq"
    whole = LineCutter(4)
    expected = whole.cut(data) + whole.rest()
    for size in range(1, len(data)):
        cutter = LineCutter(4)
        pieces = []
        for start in range(0, len(data), size):
            pieces += cutter.cut(data[start : start + size])
        assert pieces + cutter.rest() == expected


def test_the_lines_of_a_text_come_without_their_ends_from_lines(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes("eins\nzwölf\r\ndrei".encode())
    assert run(FileReader(tmp_path / "text") | Lines() | Collect()) == ["eins", "zwölf", "drei"]


# --- at a constant rate ---------------------------------------------------------------------------


class Times(Component):
    """Returns what arrives, and when."""

    inbox = Inbox[bytes]("anything", size=1)

    def __init__(self, pause_at: int = -1, pause: float = 0) -> None:
        self.pause_at, self.pause = pause_at, pause

    async def main(self) -> list[tuple[float, int]]:
        times = []
        async for data in self.inbox:
            times.append((clock(), len(data)))
            if len(times) == self.pause_at:
                await asyncio.sleep(self.pause)
        return [*times, (clock(), 0)]


@pytest.mark.parametrize(("rate", "block"), [("2 Mbit/s", None), (250_000, None), ("250 kB/s", 5000)])
def test_a_file_of_a_second_takes_exactly_a_second(tmp_path: Path, rate: Any, block: Any) -> None:
    (tmp_path / "talk.ts").write_bytes(bytes(250_000))
    times = run(FileReader(tmp_path / "talk.ts", rate=rate, block=block) | Times(), loop_factory=VirtualLoop)
    assert times == [(pytest.approx((n + 1) / 50, abs=1e-9), 5000) for n in range(50)] + [(1.0, 0)]


def test_a_constant_rate_does_not_drift(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(bytes(100_003))
    times = run(FileReader(tmp_path / "long", rate="7 kB/s", block=7) | Times(), loop_factory=VirtualLoop)
    assert times[-1] == (pytest.approx(100_003 / 7000, abs=1e-9), 0)
    assert all(when == pytest.approx((n + 1) / 1000, abs=1e-9) for n, (when, _) in enumerate(times[:14_286]))


def test_who_was_held_back_goes_on_at_the_rate(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(800))
    # The fourth was sent in time, and the fifth is overdue. From there on it is the rate again: nothing of
    # the time that the reader took is made up for.
    times = run(FileReader(tmp_path / "data", rate=100, block=100) | Times(3, 5.0), loop_factory=VirtualLoop)
    assert [when for when, _ in times] == [1, 2, 3, 8, 8, 9, 10, 11, 11]


def test_a_little_lateness_is_made_up_for(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(1000))
    times = run(
        FileReader(tmp_path / "data", rate=5000, block=100) | Times(3, 0.09), loop_factory=VirtualLoop
    )
    assert times[-1] == (pytest.approx(0.2), 0)


def test_messages_at_a_rate_are_as_small_as_makes_it_smooth() -> None:
    assert FileReader("x", rate="2 Mbit/s").block == 5000
    assert FileReader("x", rate=3).block == 1
    assert FileReader("x", rate="1 GB/s").block == 65536
    assert FileReader("x", rate="2 Mbit/s", lines=True).block == 65536


# --- as it is asked for ---------------------------------------------------------------------------


@WORLDS
def test_who_asks_for_bytes_gets_them(file: Path, loop: Any) -> None:
    asked = [1, 10, 300, 2, 700_000, 1_000_000, 5]
    pieces = run(Source(asked) | FileReader(file, prompted=True) | Collect(), loop_factory=loop)
    assert b"".join(pieces) == DATA
    assert [len(piece) for piece in pieces[:4]] == [1, 10, 300, 2]
    assert [len(piece) for piece in pieces[4:15]] == [65536] * 10 + [700_000 % 65536]
    assert len(pieces) == 17 and len(pieces[-1]) == len(DATA) - 700_313 - 65536


def test_nothing_is_sent_that_nobody_asks_for(file: Path) -> None:
    with drive(FileReader(file, prompted=True)) as reader:
        reader.expect_nothing()
        reader.send(3)
        assert reader.take_all() == [b"\0\1\2"]
        reader.send(2, 1)
        assert reader.take_all() == [b"\3\4", b"\5"]
        reader.close()
        assert (reader.outcome, reader.state("outbox")) == ("ended", "ended")


def test_the_end_of_the_file_is_met_with_the_prompt_that_goes_beyond(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"abcd")
    with drive(FileReader(tmp_path / "data", prompted=True)) as reader:
        reader.send(4)
        assert (reader.take_all(), reader.outcome) == ([b"abcd"], "running")
        reader.send(1)
        assert (reader.take_all(), reader.outcome) == ([], "ended")


@WORLDS
def test_who_asks_for_lines_gets_them(tmp_path: Path, loop: Any) -> None:
    (tmp_path / "text").write_bytes(b"one\ntwo\nmuch longer\nfour\nfive")
    reader = FileReader(tmp_path / "text", prompted=True, lines=True, block=6)
    with background(reader, loop_factory=loop) if loop is not VirtualLoop else drive(reader) as reading:
        reading.send(1)
        take = getattr(reading, "receive", None) or reading.take
        assert take() == b"one\n"
        reading.send(2)
        assert [take(), take(), take()] == [b"two\n", b"much l", b"onger\n"]
        reading.send(9)
        assert [take(), take()] == [b"four\n", b"five"]


@pytest.mark.parametrize(
    ("prompt", "kind", "text"),
    [
        ("3", TypeError, "FileReader takes numbers, how many bytes to send next, but got '3'"),
        (0, ValueError, "FileReader takes numbers, how many bytes to send next, 1 or more, but got 0"),
        (-1, ValueError, "FileReader takes numbers, how many bytes to send next, 1 or more, but got -1"),
    ],
)
def test_a_prompt_that_is_no_number_is_refused(file: Path, prompt: Any, kind: Any, text: str) -> None:
    with drive(FileReader(file, prompted=True)) as reader:
        reader.send(prompt)
        assert (type(reader.error), str(reader.error)) == (kind, text)


def test_an_inbox_that_nobody_reads_is_not_linked(file: Path) -> None:
    with pytest.raises(LinkError, match="FileReader has no inbox"):
        Source([1]) | FileReader(file) | Collect()


def test_a_failure_of_who_asks_goes_on(file: Path) -> None:
    with drive(FileReader(file, prompted=True)) as reader:
        reader.send(1)
        reader.fail(OSError("gone"))
        assert (reader.take_all(), reader.outcome, reader.state("outbox")) == ([b"\0"], "broken", "failed")


# --- readers and stops ----------------------------------------------------------------------------


def test_a_slow_reader_holds_it_back(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    positions = []
    original = os.pread

    def counted(fd: int, size: int, position: int) -> bytes:
        positions.append(position + size)
        return original(fd, size, position)

    monkeypatch.setattr(os, "pread", counted)
    with drive(FileReader(file, block=1000), sizes={"outbox": 3}) as reader:
        assert positions == [262_000]  # one look ahead, and nothing more until that is sent
        blocks = [reader.take() for _ in range(259)]
        assert positions == [262_000] and len(blocks) == 259
        reader.take_all()
        assert reader.outcome == "ended"


def test_it_ends_when_nobody_listens_any_more(file: Path) -> None:
    assert run(FileReader(file, block=10) | Take(2) | Collect()) == [DATA[:10], DATA[10:20]]
    with drive(FileReader(file, rate=10)) as reader:
        reader.leave()
        assert (reader.outcome, reader.time) == ("ended", 0)
    with drive(FileReader(file, prompted=True)) as reader:
        reader.leave()
        assert reader.outcome == "ended"


@pytest.mark.parametrize("options", [{}, {"prompted": True}, {"rate": 1}])
def test_a_stop_and_a_cancellation_end_it_where_it_is(file: Path, options: dict[str, Any]) -> None:
    with drive(FileReader(file, block=10, **options), sizes={"outbox": 1}) as reader:
        reader.stop()
        reader.take_all()
        assert reader.state("outbox") == "ended"
    with drive(FileReader(file, block=10, **options), sizes={"outbox": 1}) as reader:
        reader.cancel()
        assert (reader.outcome, reader.state("outbox")) == ("cancelled", "failed")


def test_a_stop_does_not_wait_for_a_pipe_that_nobody_writes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    original, waits = source_module.wait_for, threading.Event()
    monkeypatch.setattr(source_module, "wait_for", lambda *args: waits.set() or original(*args))
    with background(FileReader(tmp_path / "pipe"), grace=30) as handle:
        assert waits.wait(10)
        handle.stop()
        assert list(handle) == []


def test_nobody_listens_to_who_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    class Leaves(Component):
        outbox = None

        async def main(self) -> None:
            return

    run(FileReader(tmp_path / "pipe") | Leaves())


def test_what_is_written_to_a_pipe_comes_as_it_is_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with background(FileReader(tmp_path / "pipe")) as handle:
        with open(tmp_path / "pipe", "wb", buffering=0) as pipe:
            for text in (b"one", b"two", b"three"):
                pipe.write(text)
                assert handle.receive(timeout=10) == text
        assert list(handle) == []


def test_a_device_is_read_as_well() -> None:
    assert run(FileReader("/dev/zero", block=10) | Take(2) | Collect()) == [bytes(10)] * 2
    assert run(FileReader("/dev/null") | Collect()) == []


def test_while_a_disk_takes_its_time_everybody_else_goes_on(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, go_on = os.pread, threading.Event()
    monkeypatch.setattr(source_module, "_NOWAIT", None)
    monkeypatch.setattr(os, "pread", lambda *arguments: go_on.wait(10) and original(*arguments))

    class Frees(Component):
        async def main(self) -> int:
            for _ in range(100):
                await asyncio.sleep(0)
            go_on.set()
            return len(await self.inbox.receive())

    assert run(FileReader(file) | Frees()) == 65536


# --- what goes wrong ------------------------------------------------------------------------------


@WORLDS
def test_errors_say_who_what_why_and_what_to_do(tmp_path: Path, loop: Any) -> None:
    (tmp_path / "file").touch()
    os.symlink("loop", tmp_path / "loop")
    for name, kind, why in [
        ("none", "FileNotFoundError", "there is no such file or folder: check the name"),
        (".", "IsADirectoryError", "it is a folder: name a file in it"),
        (
            "file/x",
            "NotADirectoryError",
            "a part of the name that should be a folder is a file: check the name",
        ),
        ("loop", "OSError", "Too many levels of symbolic links"),
    ]:
        path = os.path.join(tmp_path, name)
        assert failure_of(FileReader(path) | Collect(), loop_factory=loop) == (
            f"{kind}: Pipeline/FileReader: cannot read {path}: {why}"
        )


def test_errors_keep_their_numbers(tmp_path: Path) -> None:
    with drive(FileReader(tmp_path / "none")) as reader:
        assert isinstance(reader.error, FileNotFoundError) and reader.error.errno == 2
        assert isinstance(reader.error.__cause__, FileNotFoundError)


@pytest.mark.one_core
def test_a_file_that_one_has_no_right_to(file: Path) -> None:
    file.chmod(0)
    code = """
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    run(FileReader(sys.argv[1]) | Collect())
except ComponentsFailed as failed:
    print(*failed.exceptions)
"""
    assert result_of(code, file) == (
        f"Pipeline/FileReader: cannot read {file}: this user has no right to do that: change the "
        "permissions, or run as a user who has it\n"
    )


def test_a_failure_while_it_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.pread

    def fails_later(fd: int, size: int, position: int) -> bytes:
        if position >= 512_000:
            raise OSError(5, "Input/output error")
        return original(fd, size, position)

    monkeypatch.setattr(os, "pread", fails_later)
    with drive(FileReader(file, block=1000)) as reader:
        assert b"".join(reader.take_all()) == DATA[:524_000]
        assert str(reader.error) == f"FileReader: cannot read {file}: Input/output error"
        assert reader.state("outbox") == "failed"


def test_a_file_that_is_cut_meanwhile_is_a_failure(file: Path) -> None:
    with drive(FileReader(file, block=256_000), sizes={"outbox": 1}) as reader:
        os.truncate(file, 300_000)
        assert len(b"".join(reader.take_all())) in (300_000, 512_000)  # one block may have been read already
        assert isinstance(reader.error, FileTruncated)
        assert re.fullmatch(
            rf"FileReader: cannot go on reading {file}: it had 768000 bytes and was cut to 300000 "
            r"meanwhile, and \d+ had been read\. Let who writes it replace it as a whole, as FileWriter does",
            str(reader.error),
        )
        assert reader.state("outbox") == "failed"


def test_a_file_that_is_deleted_or_replaced_meanwhile_is_read_to_its_end(file: Path) -> None:
    with drive(FileReader(file, block=1000), sizes={"outbox": 1}) as reader:
        file.unlink()
        file.write_bytes(b"another")
        assert b"".join(reader.take_all()) == DATA
        assert reader.outcome == "ended"


def test_a_file_that_grows_meanwhile_is_read_to_its_new_end(file: Path) -> None:
    with drive(FileReader(file, block=1000), sizes={"outbox": 1}) as reader:
        with file.open("ab") as more:
            more.write(b"more")
        assert b"".join(reader.take_all()) == DATA + b"more"


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: FileReader(7), TypeError, "FileReader(7): give the name of a file, a text or a Path"),
        (lambda: FileReader(b"x"), TypeError, "FileReader(b'x'): give the name of a file, a text or a Path"),
        (lambda: FileReader(""), ValueError, "FileReader(''): give the name of a file"),
        (lambda: FileReader("a\0b"), ValueError, "FileReader('a\\x00b'): give the name of a file"),
        (
            lambda: FileReader("x", rate=1, prompted=True),
            ValueError,
            "FileReader(rate=..., prompted=True): who asks decides how fast it is; choose one of the two",
        ),
        (
            lambda: FileReader("x", rate="2 MB"),
            UsageError,
            "FileReader: rate='2 MB': write a number and one of bit/s, B/s, kbit/s, kB/s, Mbit/s, MB/s, "
            "Gbit/s, GB/s, such as '2 Mbit/s'; or a plain number",
        ),
        (
            lambda: FileReader("x", rate=0),
            UsageError,
            "FileReader: rate=0: nothing would ever come; give more than 0",
        ),
        (
            lambda: FileReader("x", block=0),
            UsageError,
            "FileReader: block=0 is no size: give a number of bytes from 1 on, or '64 KiB'",
        ),
    ],
)
def test_arguments_are_checked_when_it_is_made(make: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        make()
    assert str(caught.value) == text


def test_it_is_its_own_pattern(file: Path) -> None:
    reader = FileReader(file, block=300_000)
    sizes = Map(len)
    assert run(reader | sizes | Collect()) == [300_000, 300_000, 168_000]
    with pytest.raises(UsageError):
        run(reader)
