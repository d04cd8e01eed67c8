"""Simulated disks under the parts of `kamaelia.file`: their time, their faults, and what a crash leaves."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, clock, component, run, sleep
from kamaelia.axon import ComponentsFailed, GraceExceeded, System, UsageError, VirtualLoop
from kamaelia.file import (
    DirectoryWatcher,
    FileReader,
    FileTruncated,
    FileWriter,
    OutsideFolder,
    ReadFiles,
    TailFile,
    WriteFiles,
)
from kamaelia.file.blocking import PATIENCE, finish
from kamaelia.file.disk import MACHINE, Disk, MachineDisk, disk_of
from kamaelia.flow import Collect, Source, Take
from kamaelia.testbed.disk import DiskCall, DiskTrace, HostDisk, MountedDisk, SimulatedDisk

Script = Callable[[Any, SimulatedDisk], object]


@dataclass
class Outcome:
    """What came of some parts on a disk."""

    result: Any
    failures: list[str]
    disk: SimulatedDisk
    seconds: float

    @property
    def calls(self) -> list[str]:
        return [str(call) for call in self.disk.calls]

    @property
    def names(self) -> list[str]:
        """What was called, without times."""
        return [str(call).partition(" ")[2] for call in self.disk.calls]

    @property
    def files(self) -> dict[str, bytes]:
        return dict(self.disk.trace())


def play(disk: HostDisk, *parts: Any, seed: int | str = 7, script: Script | None = None) -> Outcome:
    """Run parts in virtual time, on a loop that has this disk; the script is called before."""
    made: list[Any] = []

    def make() -> VirtualLoop:
        loop = VirtualLoop()
        running = disk.begin(loop.clock, seed)
        loop.disk = running.mount(loop)
        made.extend([loop, running])
        if script is not None:
            script(loop, running)
        return loop

    result, failures = None, []
    try:
        result = run(*parts, loop_factory=make)
    except ComponentsFailed as failed:
        failures = [f"{type(error).__name__}: {error}" for error in failed.exceptions]
    loop, running = made
    running.end()
    return Outcome(result, failures, running, loop.time())


def at(when: float, change: Callable[[SimulatedDisk], object]) -> Script:
    """Return a script: change something at a time."""
    return lambda loop, disk: loop.call_at(when, change, disk)


def a_disk(files: dict[str, bytes] | None = None, **settings: Any) -> HostDisk:
    disk = HostDisk("recorder")
    for name, data in ({"in": b"hello"} if files is None else files).items():
        disk.put(name, data)
    disk.set(**settings)
    return disk


SLOW = {"latency": "10 ms", "rate": "1 kB/s"}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """A coroutine that was left somewhere would complain when it is collected."""
    yield
    gc.collect()


class Stops(Component):
    """Stops the system at some time."""

    inbox = outbox = None

    def __init__(self, after: float) -> None:
        self.after = after

    async def main(self) -> None:
        await sleep(self.after)
        self.system.stop()


@component
async def times(inbox: Any, outbox: Any) -> list[Any]:
    """Return what comes, with when it comes."""
    return [(round(clock(), 9), message) async for message in inbox]


# -- the seam ---------------------------------------------------------------------------------------


def test_all_disks_have_the_calls_of_the_seam() -> None:
    calls = [name for name in vars(Disk) if not name.startswith("_")]
    assert len(calls) == 17
    for kind in (MachineDisk, MountedDisk):
        assert {name for name in vars(kind) if not name.startswith("_")} - set(calls) == set()
        for name in calls:
            wanted, had = getattr(Disk, name), getattr(kind, name)
            assert inspect.signature(wanted) == inspect.signature(had), (kind, name)
            assert inspect.iscoroutinefunction(wanted) == inspect.iscoroutinefunction(had), (kind, name)


def test_a_loop_says_which_disk_it_is() -> None:
    loop = VirtualLoop()
    assert disk_of(loop) is MACHINE
    loop.disk = mounted = a_disk().begin(loop.clock, 7).mount(loop)
    assert disk_of(loop) is mounted
    loop.close()
    assert disk_of(object()) is MACHINE


def test_without_one_parts_have_the_files_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"real")
    copy = FileReader(tmp_path / "in") | FileWriter(tmp_path / "out")
    assert run(copy, loop_factory=VirtualLoop) == 4
    assert (tmp_path / "out").read_bytes() == b"real"


def test_with_one_they_have_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"real")
    outcome = play(a_disk(), FileReader(tmp_path / "in") | Collect())
    assert outcome.failures == [
        f"FileNotFoundError: Pipeline/FileReader: cannot read {tmp_path}/in: there is no such file or "
        "folder: check the name"
    ]
    outcome = play(a_disk(), Source([b"x"]) | WriteFiles(tmp_path, fsync="never"))
    assert len(outcome.failures) == 1  # no pair
    assert sorted(os.listdir(tmp_path)) == ["in"]


def test_a_disk_in_real_time_is_a_mistake() -> None:
    class Slow(asyncio.SelectorEventLoop):
        disk: Any

    loop = VirtualLoop()
    slow = a_disk(**SLOW).begin(loop.clock, 7).mount(loop)
    loop.close()

    def make() -> Slow:
        made = Slow()
        made.disk = slow
        return made

    with pytest.raises(ComponentsFailed) as caught:
        run(FileReader("in") | Collect(), loop_factory=make)
    assert "a disk that takes virtual time was asked in real time" in str(caught.value.exceptions[0])


# -- whole traces, with times -----------------------------------------------------------------------

WHOLE = [
    (
        lambda: FileReader("in") | times(),
        [(0.025, b"hello")],
        ["0.010000 open   in", "0.025000 read   in 5 B", "0.035000 read   in"],
    ),
    (
        lambda: FileReader("in", block=2, lines=True) | times(),
        [(0.025, b"he"), (0.025, b"ll"), (0.035, b"o")],
        ["0.010000 open   in", "0.025000 read   in 5 B", "0.035000 read   in"],
    ),
    (
        lambda: FileReader("in", rate=10, block=2) | times(),
        [(0.21, b"he"), (0.41, b"ll"), (0.51, b"o")],
        [
            "0.010000 open   in",
            "0.022000 read   in 2 B",
            "0.222000 read   in 2 B",
            "0.421000 read   in 1 B",
            "0.520000 read   in",
        ],
    ),
    (
        lambda: Source([4, 4]) | FileReader("in", prompted=True) | times(),
        [(0.024, b"hell"), (0.045, b"o")],  # only then it is known that there is no more
        [
            "0.010000 open   in",
            "0.024000 read   in 4 B",
            "0.035000 read   in 1 B",
            "0.045000 read   in",
        ],
    ),
    (
        lambda: Source([b"one", b"two"]) | FileWriter("out"),
        6,
        [
            "0.010000 stat   out: ENOENT",
            "0.020000 open   .out.0.partial",
            "0.036000 write  .out.0.partial 6 B",
            "0.046000 sync   .out.0.partial",
            "0.056000 rename .out.0.partial > out",
            "0.066000 open   /",
            "0.076000 sync   /",
        ],
    ),
    (
        lambda: Source([b"one"]) | FileWriter("out", mode="append", fsync="always", forward=True) | times(),
        [(0.053, b"one")],
        [
            "0.010000 open   out",
            "0.020000 open   /",
            "0.030000 sync   /",
            "0.043000 write  out 3 B",
            "0.053000 sync   out",
            "0.063000 sync   out",
        ],
    ),
    (
        lambda: Source([b"one"]) | FileWriter("out", mode="create", fsync="never"),
        3,
        ["0.010000 open   out", "0.023000 write  out 3 B"],
    ),
    (
        lambda: Source([b"one", b"two"]) | FileWriter("in", mode="append", rotate_size=5, keep=1),
        6,
        [
            "0.010000 open   in",
            "0.020000 open   /",
            "0.030000 sync   /",
            "0.040000 sync   in",
            "0.050000 rename in > in.1",
            "0.060000 open   in",
            "0.070000 open   /",
            "0.080000 sync   /",
            "0.093000 write  in 3 B",
            "0.103000 sync   in",
            "0.113000 rename in > in.1",
            "0.123000 open   in",
            "0.133000 open   /",
            "0.143000 sync   /",
            "0.156000 write  in 3 B",
            "0.166000 sync   in",
        ],
    ),
    (
        lambda: Source(["in"]) | ReadFiles("/", pairs=True) | times(),
        [(0.035, ("in", b"hello"))],
        ["0.010000 open   in", "0.025000 read   in 5 B", "0.035000 read   in"],
    ),
    (
        lambda: Source([("a/b", b"x")]) | WriteFiles("new") | times(),
        [(0.081, "a/b")],
        [
            "0.010000 mkdir  new/a",
            "0.020000 stat   new/a/b: ENOENT",
            "0.030000 open   new/a/.b.0.partial",
            "0.041000 write  new/a/.b.0.partial 1 B",
            "0.051000 sync   new/a/.b.0.partial",
            "0.061000 rename new/a/.b.0.partial > new/a/b",
            "0.071000 open   new/a",
            "0.081000 sync   new/a",
        ],
    ),
    (
        lambda: TailFile("in", from_start=True) | Take(1) | times(),
        [(0.025, b"hello")],
        ["0.010000 open   in", "0.025000 read   in 5 B", "0.035000 read   in", "0.045000 stat   in"],
    ),
    (
        lambda: DirectoryWatcher("/", existing=True) | Take(1) | times(),
        None,
        ["0.010000 stat   /", "0.020000 list   /", "0.030000 stat   in"],
    ),
]


@pytest.mark.parametrize(("make", "result", "calls"), WHOLE)
def test_each_call_takes_its_time(make: Callable[[], Any], result: Any, calls: list[str]) -> None:
    outcome = play(a_disk(**SLOW), make())
    assert outcome.failures == []
    if result is not None:
        assert outcome.result == result
    assert outcome.calls == calls


@pytest.mark.parametrize(("make", "result", "calls"), WHOLE)
def test_a_disk_of_which_nothing_was_said_takes_no_time(
    make: Callable[[], Any], result: Any, calls: list[str]
) -> None:
    outcome = play(a_disk(), make())
    assert (outcome.failures, outcome.names) == ([], [call.partition(" ")[2] for call in calls])
    is_paced = isinstance(result, list) and result[-1] == (0.51, b"o")  # by the reader: five bytes at 10 B/s
    assert outcome.seconds == (0.5 if is_paced else 0)


def test_others_go_on_meanwhile() -> None:
    @component
    async def count(inbox: Any, outbox: Any) -> int:
        ticks = 0
        while clock() < 0.0345:
            await sleep(0.001)
            ticks += 1
        return ticks

    outcome = play(a_disk(**SLOW), FileReader("in") | Collect(), count())
    assert outcome.result == [[b"hello"], 35]


def test_calls_of_several_parts_are_done_one_after_the_other() -> None:
    disk = a_disk({"a": b"12345", "b": b"67890"}, **SLOW)
    outcome = play(disk, FileReader("a") | times(), FileReader("b") | times())
    assert outcome.calls == [
        "0.010000 open   a",
        "0.020000 open   b",
        "0.035000 read   a 5 B",
        "0.050000 read   b 5 B",
        "0.060000 read   a",
        "0.070000 read   b",
    ]
    assert outcome.result == [[(0.035, b"12345")], [(0.05, b"67890")]]


def test_a_slow_disk_holds_senders_back() -> None:
    messages = [bytes(100_000)] * 20

    @component
    async def send(inbox: Any, outbox: Any) -> float:
        for message in messages:
            await outbox.send(message)
        return clock()

    outcome = play(a_disk(rate="1 MB/s"), send() | FileWriter("out", mode="append"))
    assert outcome.result == 2_000_000 and outcome.seconds == 2
    sizes = [call.size for call in outcome.disk.calls if call.call == "write"]
    assert max(sizes) <= 400_000 and len(sizes) >= 5


def test_the_rate_and_the_latency_may_change() -> None:
    disk = a_disk({"in": bytes(4000)}, rate="1 kB/s")
    reader = Source([1000] * 5) | FileReader("in", prompted=True) | Collect()
    outcome = play(disk, reader, script=at(1.5, lambda disk: disk.set(rate=None, latency="1 s")))
    # what is under way goes on as it was
    assert [call.time for call in outcome.disk.calls] == [0, 1, 2, 3, 4, 5]


# -- no room ----------------------------------------------------------------------------------------

WRITES = "Pipeline/FileWriter: cannot write out"
FULL = "the disk is full: make room on it, or write to another one"


@pytest.mark.parametrize(
    ("make", "failure", "calls", "files"),
    [
        (
            lambda: Source([b"1234567"]) | FileWriter("out"),
            f"OSError: {WRITES}: {FULL} (of the 7 bytes that had come nothing is kept)",
            [
                "stat   out: ENOENT",
                "open   .out.0.partial",
                "write  .out.0.partial 5 B",
                "write  .out.0.partial: ENOSPC",
                "remove .out.0.partial",
            ],
            {"in": b"hello"},
        ),
        (
            lambda: Source([b"1234567"]) | FileWriter("in", mode="append", fsync="never"),
            f"OSError: Pipeline/FileWriter: cannot write in: {FULL} (5 of the 7 bytes that had come "
            "are in it)",
            ["open   in", "write  in 5 B", "write  in: ENOSPC"],
            {"in": b"hello12345"},
        ),
        (
            lambda: Source([("a", b"123"), ("b", b"456")]) | WriteFiles("/", fsync="never"),
            f"OSError: Pipeline/WriteFiles: cannot write b: {FULL} (1 files were written)",
            [
                "mkdir  /",
                "stat   a: ENOENT",
                "open   .a.0.partial",
                "write  .a.0.partial 3 B",
                "rename .a.0.partial > a",
                "mkdir  /",
                "stat   b: ENOENT",
                "open   .b.0.partial",
                "write  .b.0.partial 2 B",
                "write  .b.0.partial: ENOSPC",
                "remove .b.0.partial",
            ],
            {"a": b"123", "in": b"hello"},
        ),
    ],
)
def test_a_full_disk(
    make: Callable[[], Any], failure: str, calls: list[str], files: dict[str, bytes]
) -> None:
    outcome = play(a_disk(capacity="10 B"), make())
    assert (outcome.failures, outcome.names, outcome.files) == ([failure], calls, files)
    assert outcome.disk.trace().used == sum(map(len, files.values()))


def test_full_is_full_whatever_is_removed_and_an_empty_file_needs_no_room() -> None:
    disk = a_disk(full=True)
    disk.remove("in")
    assert play(disk, Source([]) | FileWriter("out")).files == {"out": b""}
    outcome = play(disk, Source([b"x"]) | FileWriter("out"))
    assert (len(outcome.failures), outcome.files) == (1, {})


def test_it_may_be_full_for_a_while() -> None:
    @component
    async def letters(inbox: Any, outbox: Any) -> None:
        for n in range(4):
            await outbox.send((f"file-{n}", b"x"))
            await sleep(1)

    def script(loop: Any, disk: SimulatedDisk) -> None:
        loop.call_at(1.5, lambda: disk.set(full=True))
        loop.call_at(3.5, lambda: disk.set(full=False))

    parts = letters() | WriteFiles("/"), Later(3) | WriteFiles("/"), Later(4) | WriteFiles("/new")
    outcome = play(a_disk({}), *parts, script=script)
    assert outcome.files == {"file-0": b"x", "file-1": b"x"}  # with the failure all ended
    assert [(call.time, call.name) for call in outcome.disk.calls if call.error == "ENOSPC"] == [
        (2, ".file-2.0.partial")
    ]
    for after, files in ((3, {}), (4, {"late": b"x"})):
        outcome = play(a_disk({}, full=True), Later(after) | WriteFiles("/"), script=script)
        assert outcome.files == files


class Later(Component):
    """Sends one file, late."""

    inbox = None

    def __init__(self, after: float) -> None:
        self.after = after

    async def main(self) -> None:
        await sleep(self.after)
        await self.outbox.send(("late", b"x"))


# -- no end -----------------------------------------------------------------------------------------

PARTS = {
    "FileReader": lambda: FileReader("in") | times(),
    "FileReader, prompted": lambda: Source([5]) | FileReader("in", prompted=True) | times(),
    "FileWriter, replace": lambda: Source([b"x"]) | FileWriter("out"),
    "FileWriter, append": lambda: Source([b"x"]) | FileWriter("out", mode="append"),
    "ReadFiles": lambda: Source(["in"]) | ReadFiles("/") | times(),
    "WriteFiles": lambda: Source([("out", b"x")]) | WriteFiles("/"),
    "TailFile": lambda: TailFile("in", from_start=True) | Take(1) | times(),
    "DirectoryWatcher": lambda: DirectoryWatcher("/", existing=True) | Take(1) | times(),
}
EVERY_PART = pytest.mark.parametrize("part", PARTS)


@EVERY_PART
def test_a_disk_that_hangs_holds_up_everybody_until_it_does_no_more(part: str) -> None:
    normal = play(a_disk(), PARTS[part]())
    outcome = play(a_disk(hang=True), PARTS[part](), script=at(3, lambda disk: disk.set(hang=False)))
    assert (outcome.failures, outcome.files) == ([], normal.files)
    count = len(normal.names)  # those that look every second look once more
    assert (outcome.names[:count], {call.time for call in outcome.disk.calls}) == (normal.names, {3})


@EVERY_PART
def test_in_the_middle_of_a_call_it_may_hang(part: str) -> None:
    """What is under way has its time, and comes back when the disk does."""

    def script(loop: Any, disk: SimulatedDisk) -> None:
        loop.call_at(0.005, lambda: disk.set(hang=True))
        loop.call_at(2, disk.repair)

    outcome = play(a_disk(latency="10 ms"), PARTS[part](), script=script)
    first, second = outcome.calls[:2]
    assert (first[:8], second[:8]) == ("2.000000", "2.010000")
    assert outcome.failures == []


LEFT = "a call of it hangs where it was to"


@EVERY_PART
def test_a_stop_leaves_behind_what_hangs(part: str, caplog: pytest.LogCaptureFixture) -> None:
    has_more_to_do = part in ("FileReader, prompted", "FileWriter, replace", "FileWriter, append")
    with caplog.at_level(logging.WARNING, "kamaelia"):
        if has_more_to_do:
            with pytest.raises(GraceExceeded, match="had not ended 5 s after the stop"):
                play(a_disk(hang=True), PARTS[part](), Stops(after=1))
        else:
            outcome = play(a_disk(hang=True), PARTS[part](), Stops(after=1))
            assert (outcome.calls, outcome.failures) == ([], [])
            assert 1 + PATIENCE <= outcome.seconds <= 1 + 2 * PATIENCE
    assert [LEFT in record.getMessage() for record in caplog.records] == [True]


def test_what_was_left_behind_cleans_up_when_the_disk_is_back() -> None:
    outcome = play(
        a_disk(hang=True),
        FileReader("in") | Collect(),
        Stops(after=1),
        Late(5),
        script=at(3, lambda disk: disk.set(hang=False)),
    )
    assert outcome.names == ["open   in"]
    assert outcome.disk.files.find("/in").handles == 0  # it was closed


class Late(Component):
    """Goes on for some time, whatever is asked of it."""

    inbox = outbox = None

    def __init__(self, until: float) -> None:
        self.until = until

    async def main(self) -> None:
        while clock() < self.until:
            try:
                await asyncio.sleep(self.until - clock())
            except asyncio.CancelledError:
                continue


# -- nothing to be changed --------------------------------------------------------------------------

READ_ONLY = "its disk can only be read: write to another one"


@pytest.mark.parametrize(
    ("make", "failures"),
    [
        (PARTS["FileReader"], []),
        (PARTS["FileReader, prompted"], []),
        (PARTS["ReadFiles"], []),
        (PARTS["TailFile"], []),
        (PARTS["DirectoryWatcher"], []),
        (
            PARTS["FileWriter, replace"],
            [f"OSError: Pipeline/FileWriter: cannot write out: {READ_ONLY}"],
        ),
        (
            PARTS["FileWriter, append"],
            [f"OSError: Pipeline/FileWriter: cannot write out: {READ_ONLY}"],
        ),
        (
            lambda: Source([b"x"]) | FileWriter("in", mode="append"),
            [f"OSError: Pipeline/FileWriter: cannot write in: {READ_ONLY}"],
        ),
        (
            PARTS["WriteFiles"],
            [f"OSError: Pipeline/WriteFiles: cannot write out: {READ_ONLY} (0 files were written)"],
        ),
        (
            lambda: Source([("a/b", b"")]) | WriteFiles("/"),
            [f"OSError: Pipeline/WriteFiles: cannot write a/b: {READ_ONLY} (0 files were written)"],
        ),
    ],
)
def test_a_disk_that_can_only_be_read(make: Callable[[], Any], failures: list[str]) -> None:
    outcome = play(a_disk(read_only=True), make())
    assert (outcome.failures, outcome.files) == (failures, {"in": b"hello"})


def test_a_disk_may_become_read_only_while_it_is_written_to() -> None:
    @component
    async def letters(inbox: Any, outbox: Any) -> None:
        for _ in range(3):
            await outbox.send(b"x")
            await sleep(1)

    disk = a_disk({})
    outcome = play(
        disk,
        letters() | FileWriter("log", mode="append"),
        script=at(1.5, lambda disk: disk.set(read_only=True)),
    )
    assert outcome.failures == [
        f"OSError: Pipeline/FileWriter: cannot write log: {READ_ONLY} (2 of the 3 bytes that had come "
        "are in it)"
    ]
    assert outcome.files == {"log": b"xx"}
    outcome = play(
        disk,
        letters() | FileWriter("log"),
        script=at(2.5, lambda disk: disk.set(read_only=True)),
    )
    assert outcome.names[-2:] == [  # nor can it clean up
        "rename .log.0.partial > log: EROFS",
        "remove .log.0.partial: EROFS",
    ]
    assert outcome.files == {".log.0.partial": b"xxx"}


# -- errors -----------------------------------------------------------------------------------------

BROKEN = os.strerror(5)
READS = "Pipeline/FileReader: cannot read in"


@pytest.mark.parametrize(
    ("part", "call", "failure"),
    [
        ("FileReader", "open", f"OSError: {READS}: {BROKEN}"),
        ("FileReader", "read", f"OSError: {READS}: {BROKEN}"),
        ("FileReader, prompted", "read", f"OSError: {READS}: {BROKEN}"),
        ("FileWriter, replace", "stat", f"OSError: {WRITES}: {BROKEN}"),
        ("FileWriter, replace", "open", f"OSError: {WRITES}: {BROKEN}"),
        *(
            (
                "FileWriter, replace",
                call,
                f"OSError: {WRITES}: {BROKEN} (of the 1 bytes that had come nothing is kept)",
            )
            for call in ("write", "sync", "rename")
        ),
        ("FileWriter, append", "open", f"OSError: {WRITES}: {BROKEN}"),
        (
            "FileWriter, append",
            "write",
            f"OSError: {WRITES}: {BROKEN} (0 of the 1 bytes that had come are in it)",
        ),
        ("ReadFiles", "open", f"OSError: Pipeline/ReadFiles: cannot read in: {BROKEN}"),
        ("ReadFiles", "read", f"OSError: Pipeline/ReadFiles: cannot read in: {BROKEN}"),
        *(
            (
                "WriteFiles",
                call,
                f"OSError: Pipeline/WriteFiles: cannot write out: {BROKEN} (0 files were written)",
            )
            for call in ("mkdir", "stat", "open", "write", "sync", "rename")
        ),
        ("TailFile", "open", f"OSError: Pipeline/TailFile: cannot follow in: {BROKEN}"),
        ("TailFile", "read", f"OSError: Pipeline/TailFile: cannot follow in: {BROKEN}"),
        ("DirectoryWatcher", "stat", f"OSError: Pipeline/DirectoryWatcher: cannot watch /: {BROKEN}"),
        ("DirectoryWatcher", "list", f"OSError: Pipeline/DirectoryWatcher: cannot watch /: {BROKEN}"),
    ],
)
def test_a_call_that_fails(part: str, call: str, failure: str) -> None:
    disk = a_disk()
    disk.fail(call)
    outcome = play(disk, PARTS[part]())
    assert outcome.failures == [failure]
    assert {(one.call, one.error) for one in outcome.disk.calls if one.error == "EIO"} == {(call, "EIO")}
    if part == "FileWriter, append" and call == "write":
        assert outcome.files == {"in": b"hello", "out": b""}
    else:
        assert outcome.files == {"in": b"hello"}


@pytest.mark.parametrize("call", ["open", "sync"])
def test_a_name_that_cannot_be_brought_to_the_disk_is_told(call: str) -> None:
    disk = a_disk()
    disk.fail(call, name="/")
    outcome = play(disk, PARTS["FileWriter, replace"]())
    assert outcome.failures == [
        f"OSError: {WRITES}: {BROKEN} (the new file is in its place, but may not survive a power cut)"
    ]
    assert outcome.files["out"] == b"x"
    disk = a_disk()
    disk.fail(call, name="/")
    outcome = play(disk, PARTS["FileWriter, append"]())
    assert (outcome.failures, outcome.files["out"]) == ([f"OSError: {WRITES}: {BROKEN}"], b"")


def test_a_folder_that_may_be_written_to_and_not_read_does_for_writing() -> None:
    disk = a_disk()
    disk.fail("open", name="/", error="EACCES")
    for part in ("FileWriter, replace", "FileWriter, append", "WriteFiles"):
        outcome = play(disk, PARTS[part]())
        assert (outcome.failures, outcome.files["out"]) == ([], b"x")


def test_which_calls_fail_may_be_chosen() -> None:
    disk = a_disk({"a/in": bytes(10), "b/in": bytes(10)})
    disk.fail("read", name="a/*", after=2, times=1)
    outcome = play(disk, Source(["in"] * 3) | ReadFiles("a", on_error="skip") | Collect())
    assert outcome.result == [bytes(10)] * 2
    assert outcome.names == [
        *("open   a/in", "read   a/in 10 B", "read   a/in"),
        *("open   a/in", "read   a/in: EIO"),
        *("open   a/in", "read   a/in 10 B", "read   a/in"),
    ]
    assert play(disk, Source(["in"] * 3) | ReadFiles("b") | Collect()).result == [bytes(10)] * 3
    again = play(disk, Source(["in"] * 3) | ReadFiles("a", on_error="skip") | Collect())
    assert again.names == outcome.names  # each run begins anew


def test_any_error_will_do_and_of_a_rename_both_names_count() -> None:
    for pattern in ("*.partial", "out"):
        disk = a_disk()
        disk.fail("rename", name=pattern, error="EDQUOT")
        outcome = play(disk, PARTS["FileWriter, replace"]())
        assert outcome.failures == [
            f"OSError: {WRITES}: this user's share of the disk is used up: make room, or write to another "
            "one (of the 1 bytes that had come nothing is kept)"
        ]
    disk = a_disk()
    disk.fail(name="none*")
    assert play(disk, PARTS["FileWriter, replace"]()).failures == []


def test_a_sync_that_has_failed_may_be_tried_again() -> None:
    @component
    async def letters(inbox: Any, outbox: Any) -> None:
        await outbox.send(b"x")
        await sleep(10)

    disk = a_disk({})
    disk.fail("sync", name="log", times=1)
    writer = FileWriter("log", mode="append", fsync=2)
    outcome = play(disk, letters() | writer)
    assert [str(call) for call in outcome.disk.calls if call.name == "log"] == [
        "0.000000 open   log",
        "0.000000 write  log 1 B",
        "2.000000 sync   log: EIO",
    ]
    assert len(outcome.failures) == 1


def test_a_repair_ends_all_that_is_wrong_and_leaves_what_it_is_like() -> None:
    disk = a_disk(full=True, hang=True, read_only=True, latency="1 s", capacity="1 kB")
    disk.fail("write")
    disk.repair()
    outcome = play(disk, PARTS["FileWriter, replace"]())
    assert (outcome.failures, outcome.files["out"], outcome.seconds) == ([], b"x", 7)
    # and while it runs
    disk = a_disk(hang=True, latency="1 s")
    disk.fail()
    outcome = play(disk, PARTS["FileWriter, replace"](), script=at(3, lambda disk: disk.repair()))
    assert (outcome.failures, outcome.seconds) == ([], 10)


# -- what others do there ---------------------------------------------------------------------------


def test_a_file_that_is_cut_while_it_is_read() -> None:
    disk = a_disk({"in": bytes(3000)}, latency="1 s")
    reader = Source([1000, 1000, 1000]) | FileReader("in", prompted=True) | Collect()
    outcome = play(disk, reader, script=at(2.5, lambda disk: disk.truncate("in", 500)))
    (failure,) = outcome.failures
    assert failure == (
        f"{FileTruncated.__name__}: Pipeline/FileReader: cannot go on reading in: it had 3000 bytes and was "
        "cut to 500 meanwhile, and 1000 had been read. Let who writes it replace it as a whole, as "
        "FileWriter does"
    )


def test_a_file_that_is_followed() -> None:
    def script(loop: Any, disk: SimulatedDisk) -> None:
        loop.call_at(1.5, lambda: disk.put("log", b"one"))
        loop.call_at(3.5, lambda: disk.truncate("log", 0))
        loop.call_at(4.5, lambda: disk.put("log", b"two"))
        loop.call_at(6.5, lambda: disk.remove("log"))
        loop.call_at(8.5, lambda: disk.put("log", b"three"))

    outcome = play(a_disk({}), TailFile("log") | Take(3) | times(), script=script)
    assert outcome.result == [(2, b"one"), (5, b"two"), (9, b"three")]


def test_one_part_writes_and_another_follows() -> None:
    @component
    async def letters(inbox: Any, outbox: Any) -> None:
        for n in range(5):
            await outbox.send(b"line %d\n" % n)
            await sleep(1.25)

    writer = letters() | FileWriter("log", mode="append", rotate_size=14, keep=2)
    outcome = play(a_disk({}, **SLOW), writer, TailFile("log") | Take(4) | times())
    assert b"".join(data for _, data in outcome.result[1])[:28] == b"line 0\nline 1\nline 2\nline 3\n"
    assert outcome.files == {
        "log": b"line 4\n",
        "log.1": b"line 2\nline 3\n",
        "log.2": b"line 0\nline 1\n",
    }


def test_a_folder_that_is_watched() -> None:
    def script(loop: Any, disk: SimulatedDisk) -> None:
        loop.call_at(1.5, lambda: disk.put("new", b"12"))
        loop.call_at(2.5, lambda: disk.put("in", b"other"))
        loop.call_at(3.5, lambda: disk.make_folder("folder/inner"))
        loop.call_at(4.5, lambda: disk.truncate("in", "1 B"))
        loop.call_at(5.5, lambda: disk.remove("in"))

    outcome = play(a_disk(), DirectoryWatcher("/") | Take(5) | times(), script=script)
    assert [(when, type(event).__name__, event.name) for when, event in outcome.result] == [
        (2, "Appeared", "new"),
        (3, "Changed", "in"),
        (4, "Appeared", "folder"),
        (5, "Changed", "in"),
        (6, "Vanished", "in"),
    ]
    assert outcome.result[2][1].is_folder and outcome.result[0][1].size == 2


def test_names_do_not_lead_out_of_a_folder_there_either() -> None:
    disk = a_disk({"a/in": b"x", "secret": b"y"})
    for name in ("../secret", "/secret", ".."):
        outcome = play(disk, Source([name]) | ReadFiles("a") | Collect())
        assert outcome.failures[0].startswith(
            f"{OutsideFolder.__name__}: Pipeline/ReadFiles: {name!r} is not in"
        )
    assert play(disk, Source(["../a/in", "/a/in"]) | ReadFiles("a") | Collect()).result == [b"x", b"x"]


# -- crashes ----------------------------------------------------------------------------------------

FATES = ("lost", "torn", "kept", "drawn")
NEW = [b"brand ", b"new ", b"content"]


def crash_after(number: int) -> Script:
    """Return a script: the host crashes when so many calls have been made."""

    def script(loop: Any, disk: SimulatedDisk) -> None:
        def look(call: DiskCall) -> None:
            if call.number == number:
                disk.crash()

        disk.after_each(look)

    return script


def every_crash(disk: HostDisk, make: Callable[[], Any]) -> Iterator[tuple[str, int, int, Outcome, Outcome]]:
    """Crash after each call, with each fate, and if it is drawn with several seeds.

    Yields also how it goes without a crash.
    """
    whole = play(disk, make())
    assert whole.failures == []
    for fate in FATES:
        disk.set(unsynced=fate)
        for seed in range(25 if fate == "drawn" else 3):
            for number in range(1, len(whole.calls) + 1):
                crashed = play(disk, make(), seed=seed, script=crash_after(number))
                assert crashed.names[: number + 1][:-1] == whole.names[:number]
                assert crashed.disk.calls[number].call == "crash"
                assert len(crashed.calls) == number + 1  # nobody has done anything since
                yield fate, seed, number, whole, crashed


def test_a_file_that_is_replaced_is_after_any_crash_the_old_one_or_the_new_one() -> None:
    disk = a_disk({"out": b"old"})
    seen = set()
    for fate, seed, number, whole, crashed in every_crash(
        disk, lambda: Source(NEW, then="end") | FileWriter("out")
    ):
        found = crashed.files["out"]
        assert found in (b"old", b"brand new content"), (fate, seed, number)
        renamed = whole.names.index("rename .out.0.partial > out") + 1
        if number < renamed:
            assert found == b"old", (fate, seed, number)
        if number == len(whole.calls):
            assert found == b"brand new content", (fate, seed, number)
        seen.add((number >= renamed, found))
        assert set(crashed.files) <= {"out", ".out.0.partial"}
    assert seen == {(False, b"old"), (True, b"old"), (True, b"brand new content")}


def test_without_a_sync_it_may_be_neither() -> None:
    """The sweep finds what is wrong: a name that has got to the disk before the bytes."""
    disk = a_disk({"out": b"old"})
    found: dict[str, set[bytes]] = {}
    for fate, _, _, _, crashed in every_crash(disk, lambda: Source(NEW) | FileWriter("out", fsync="never")):
        found.setdefault(fate, set()).add(crashed.files["out"])
    assert found["lost"] == {b"old"}  # and so is the name
    assert found["kept"] == {b"old", b"brand new content"}
    torn = found["torn"] - {b"old"}
    assert torn and all(b"brand new content".startswith(one) and 0 < len(one) < 17 for one in torn)
    assert {b"", b"old", b"brand new content"} < found["drawn"]


def test_what_was_synced_is_after_any_crash_at_its_place_in_a_file_that_is_added_to() -> None:
    disk = a_disk({"log": b"old"})
    messages = [bytes([65 + n]) * (n + 1) for n in range(6)]
    everything = b"old" + b"".join(messages)

    @component
    async def letters(inbox: Any, outbox: Any) -> None:
        for message in messages:
            await outbox.send(message)
            await sleep(1)

    lengths = set()
    for fate, seed, number, _, crashed in every_crash(
        disk, lambda: letters() | FileWriter("log", mode="append", fsync="always")
    ):
        found, calls = crashed.files["log"], crashed.disk.calls
        written = 3 + sum(call.size for call in calls if call.call == "write")
        syncs = [index for index, call in enumerate(calls) if (call.call, call.name) == ("sync", "log")]
        safe = 3 + sum(call.size for call in calls[: max(syncs, default=0)] if call.call == "write")
        assert everything.startswith(found), (fate, seed, number)
        assert safe <= len(found) <= written, (fate, seed, number)
        lengths.add((len(found) - safe, written - safe))
    assert {(0, 0), (0, 6), (6, 6), (3, 6)} <= lengths  # lost, kept, torn


def test_a_file_that_is_rotated_loses_nothing_that_was_synced() -> None:
    messages = [bytes([65 + n]) * 4 for n in range(5)]

    @component
    async def letters(inbox: Any, outbox: Any) -> None:
        for message in messages:
            await outbox.send(message)
            await sleep(1)

    def make() -> Any:
        return letters() | FileWriter("log", mode="append", fsync="always", rotate_size=8, keep=9)

    for fate, seed, number, _, crashed in every_crash(a_disk({}), make):
        files, calls = crashed.files, crashed.disk.calls
        found = b"".join(files[name] for name in sorted(files, reverse=True))
        syncs = [index for index, call in enumerate(calls) if call.call == "sync" and call.name == "log"]
        safe = sum(call.size for call in calls[: max(syncs, default=0)] if call.call == "write")
        assert b"".join(messages).startswith(found), (fate, seed, number)
        assert len(found) >= safe, (fate, seed, number)


def test_each_of_many_files_is_whole_or_not_there() -> None:
    jobs = [("a", b"first"), ("deep/b", b"second"), ("a", b"third")]
    contents = {"a": {b"first", b"third"}, "deep/b": {b"second"}}

    def make() -> Any:
        return Source(jobs) | WriteFiles("/out") | Collect()

    for fate, seed, number, whole, crashed in every_crash(a_disk({}), make):
        files = {name: data for name, data in crashed.files.items() if not name.endswith(".partial")}
        for name, data in files.items():
            assert data in contents[name.removeprefix("out/")], (fate, seed, number)
        done = [
            jobs[index][0]
            for index, end in enumerate(
                i
                for i, name in enumerate(whole.names)
                if name.startswith("sync   out") and not name.endswith(".partial")
            )
            if end < number
        ]
        assert {f"out/{name}" for name in done} <= set(files), (fate, seed, number)


def test_readers_of_a_host_that_crashes_see_an_error_and_nothing_else() -> None:
    for part in ("FileReader", "ReadFiles", "TailFile", "DirectoryWatcher"):
        for _, _, _, _, crashed in every_crash(a_disk(), PARTS[part]):
            assert crashed.files == {"in": b"hello"}


@pytest.mark.parametrize("fate", FATES)
def test_at_whatever_time_it_crashes_a_replaced_file_is_whole(fate: str) -> None:
    disk = a_disk({"out": b"old"}, latency="4 ms", rate="1 kB/s", unsynced=fate)
    whole = play(disk, Source(NEW) | FileWriter("out"))
    assert whole.seconds == 0.045  # seven calls, 17 bytes
    found = set()
    for tick in range(60):
        outcome = play(disk, Source(NEW) | FileWriter("out"), script=at(tick / 1000, SimulatedDisk.crash))
        found.add(outcome.files["out"])
        assert outcome.files["out"] in (b"old", b"brand new content"), tick
        assert bool(outcome.failures) == (tick / 1000 <= whole.seconds), tick
        assert all("cannot write out: the host has crashed" in one for one in outcome.failures)
    assert found == {b"old", b"brand new content"}


def test_a_write_that_is_under_way_is_torn() -> None:
    disk = a_disk({"log": b"old"}, rate="1 kB/s", unsynced="torn")

    def writer() -> Any:
        return Source([bytes(100)]) | FileWriter("log", mode="append", fsync="never")

    sizes = set()
    for seed in range(40):
        outcome = play(disk, writer(), seed=seed, script=at(0.05, SimulatedDisk.crash))
        assert outcome.calls[-1].startswith("0.050000 crash")
        sizes.add(len(outcome.files["log"]) - 3)
    assert min(sizes) >= 1 and max(sizes) <= 99 and len(sizes) > 20
    # what waits in the line behind another one has not begun
    disk = a_disk({"in": bytes(1000), "log": b"old"}, rate="1 kB/s", unsynced="torn")
    outcome = play(disk, FileReader("in") | Collect(), writer(), script=at(0.5, SimulatedDisk.crash))
    assert outcome.files["log"] == b"old"


def test_what_a_crash_leaves_is_drawn_from_the_seed() -> None:
    disk = a_disk({"log": b""})

    def left(seed: int | str) -> int:
        writer = Source([bytes(90)]) | FileWriter("log", mode="append", fsync="never")
        return len(play(disk, writer, seed=seed, script=crash_after(2)).files["log"])

    found = [left(seed) for seed in range(300)]
    assert found == [left(seed) for seed in range(300)]
    assert [found.count(0) in range(70, 131), found.count(90) in range(70, 131)] == [True, True], found
    assert found[:12] == [90, 45, 0, 90, 0, 90, 90, 34, 83, 90, 90, 8]
    assert left("7") == left(7)


def test_after_a_crash_it_can_be_used_again() -> None:
    loop = VirtualLoop()
    disk = a_disk({"out": b"old"}, unsynced="kept").begin(loop.clock, 7)
    before, seam = disk.mount(loop), os.O_WRONLY | os.O_CREAT | os.O_EXCL
    number = finish(before.open("left", seam))
    assert finish(before.write(number, b"unsynced")) == 8
    disk.crash()
    for call in (
        lambda: before.write(number, b"x"),
        lambda: before.fsync(number),
        lambda: before.fstat(number),
        lambda: before.stat("out"),
        lambda: before.replace("left", "out"),
        lambda: before.unlink("out"),
    ):
        with pytest.raises(OSError, match="the host has crashed"):
            finish(call())
    finish(before.close(number))  # this alone goes well: it is what cleaning up ends with
    after = disk.mount(loop)
    number = finish(after.open("out", os.O_RDONLY))
    assert finish(after.pread(number, 10, 0)) == b"old"
    finish(after.close(number))
    with pytest.raises(OSError) as caught:
        finish(after.close(number))
    assert caught.value.errno == 9
    assert dict(disk.trace()) == {"left": b"unsynced", "out": b"old"}
    loop.close()


def test_what_a_crash_leaves_lying_about_is_in_nobodys_way() -> None:
    disk = a_disk({"out": b"old"}, unsynced="kept")
    crashed = play(disk, Source(NEW) | FileWriter("out"), script=crash_after(3))
    assert crashed.files == {".out.0.partial": b"brand new content", "out": b"old"}
    for name, data in crashed.files.items():
        disk.put(name, data)
    again = play(disk, Source(NEW) | FileWriter("out"))
    assert again.files == {".out.0.partial": b"brand new content", "out": b"brand new content"}


def test_a_crash_of_a_host_whose_disk_hangs() -> None:
    for part in PARTS:
        outcome = play(a_disk(hang=True), PARTS[part](), script=at(3, SimulatedDisk.crash))
        assert outcome.calls == ["3.000000 crash"]
        assert "the host has crashed" in outcome.failures[0]
        assert outcome.seconds == 3


def test_a_run_that_ends_while_a_disk_hangs_leaves_nothing() -> None:
    """Whoever was in the middle of something is dropped there, without a word."""
    for part in PARTS:
        loop = VirtualLoop()
        disk = a_disk(latency="1 s").begin(loop.clock, 7)
        loop.disk = disk.mount(loop)
        system = System(loop, seed=7)
        loop.call_soon(system.start, PARTS[part]())
        loop.call_at(1.5, loop.stop)
        loop.run_forever()
        assert (disk.count, system.finished.done()) == (1, False), part
        disk.end()
        loop.close()
        del loop, disk, system
        gc.collect()


# -- the description --------------------------------------------------------------------------------


def test_a_description_is_for_many_runs_and_keeps_nothing_of_them() -> None:
    disk = a_disk({"in": b"1"})
    for _ in range(2):
        outcome = play(disk, Source([b"2"]) | FileWriter("in", mode="append"))
        assert outcome.files == {"in": b"12"}
    assert repr(disk) == "<disk of recorder: 1 file, 1 bytes>"
    disk.put("more", b"23")
    assert repr(disk) == "<disk of recorder: 2 files, 3 bytes>"
    disk.remove("in")
    disk.make_folder("empty")
    disk.truncate("more", 1)
    outcome = play(disk, Source([]) | FileWriter("empty/out"))
    assert outcome.files == {"empty/out": b"", "more": b"2"}


def test_a_file_of_this_machine_may_be_put_there(tmp_path: Path) -> None:
    (tmp_path / "talk.ts").write_bytes(b"talk")
    disk = a_disk({})
    disk.put("in/talk.ts", tmp_path / "talk.ts")
    (tmp_path / "talk.ts").unlink()
    assert play(disk, FileReader("/in/talk.ts") | Collect()).result == [b"talk"]


def test_what_is_called_after_each_call() -> None:
    seen: list[str] = []
    disk = a_disk()
    disk.after_each(lambda call: seen.append(f"{call.number} {call.call} {call.name}"))
    play(disk, FileReader("in") | Collect())
    assert seen == ["1 open in", "2 read in", "3 read in"]
    play(disk, FileReader("none") | Collect())
    assert seen[3:] == ["1 open none"]


def test_files_after_the_run_are_a_mapping() -> None:
    trace = play(a_disk({"b/c": b"2", "a": b"1"}), FileReader("a") | Collect()).disk.trace()
    assert isinstance(trace, DiskTrace)
    assert (list(trace), len(trace), "a" in trace, "x" in trace) == (["a", "b/c"], 2, True, False)
    assert (trace["/b/../a"], trace.get("none"), trace.used) == (b"1", None, 2)
    with pytest.raises(KeyError) as caught:
        trace["b/d"]
    assert caught.value.args == ("there is no file 'b/d' on the disk of recorder; did you mean 'b/c'?",)
    with pytest.raises(KeyError):
        trace["b"]
    assert repr(trace) == "<disk of recorder: 2 files, 2 bytes>"


@pytest.mark.parametrize(
    ("do", "kind", "text"),
    [
        (
            lambda disk: disk.put("a", "text"),
            UsageError,
            "disk.put('a', 'text'): give bytes, or the Path of a file that has them",
        ),
        (
            lambda disk: (disk.set(capacity=8), disk.put("a", b"1234")),
            UsageError,
            "disk.put('a'): 4 bytes do not fit on the disk of recorder, which has 5 of 8 taken; set a larger "
            "capacity",
        ),
        (lambda disk: disk.remove("none"), FileNotFoundError, None),
        (lambda disk: disk.truncate("none", 0), FileNotFoundError, None),
        (lambda disk: disk.truncate("in", "much"), UsageError, None),
        (lambda disk: disk.put("/", b""), IsADirectoryError, None),
        (lambda disk: disk.make_folder("in"), FileExistsError, None),
        (
            lambda disk: disk.set(speed=1),
            UsageError,
            "disk.set(speed=...): a disk has no 'speed'; there are 'capacity', 'full', 'hang', 'latency', "
            "'rate', 'read_only' and 'unsynced'",
        ),
        (
            lambda disk: disk.set(rate=0),
            UsageError,
            "rate=0: no call would ever end; say hang=True; rate=None is no limit",
        ),
        (
            lambda disk: disk.set(latency="soon"),
            UsageError,
            "latency='soon': write a number and one of ns, us, \u00b5s, ms, s, min, h, such as '80 ms'; or a "
            "plain number",
        ),
        (lambda disk: disk.set(capacity="lots"), UsageError, None),
        (lambda disk: disk.set(full=1), UsageError, "full=1: say True or False"),
        (
            lambda disk: disk.set(unsynced="gone"),
            UsageError,
            "unsynced='gone': what was not synced is 'drawn', 'lost', 'torn', 'kept'",
        ),
        (
            lambda disk: disk.fail("fsync"),
            UsageError,
            "disk.fail('fsync'): no part calls that; did you mean 'sync'?",
        ),
        (
            lambda disk: disk.fail("read", error="EWHAT"),
            UsageError,
            "disk.fail(error='EWHAT'): give the name of an error, such as 'EIO'",
        ),
        (lambda disk: disk.fail("read", error="errorcode"), UsageError, None),
        (
            lambda disk: disk.fail("read", after=-1),
            ValueError,
            "disk.fail(after=-1): give how many calls go well before, 0 or more",
        ),
        (
            lambda disk: disk.fail("read", times=0),
            ValueError,
            "disk.fail(times=0): give how many calls fail, 1 or more",
        ),
    ],
)
def test_what_makes_no_sense_is_told_at_once(
    do: Callable[[HostDisk], Any], kind: Any, text: str | None
) -> None:
    with pytest.raises(kind) as caught:
        do(a_disk())
    if text is not None:
        assert str(caught.value) == text
