"""DirectoryWatcher and TailFile: in virtual time, where they look, and on Linux, where they are told."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, background, run
from kamaelia.axon import ComponentsFailed
from kamaelia.file import Appeared, Changed, DirectoryWatcher, FileWriter, TailFile, Vanished
from kamaelia.file import lookout as lookout_module
from kamaelia.file.blocking import finish
from kamaelia.file.disk import MACHINE
from kamaelia.file.inotify import IN_FOLDER, Inotify
from kamaelia.file.lookout import Lookout
from kamaelia.file.tail import Trail
from kamaelia.file.watcher import Changes, Look
from kamaelia.flow import Lines, Source
from kamaelia.testing import drive


class Plain(asyncio.SelectorEventLoop):
    """Like the loop of Windows, it cannot watch files."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        if isinstance(fd, int):
            raise NotImplementedError
        super().add_reader(fd, callback, *args)  # type: ignore[misc]


LOOPS = pytest.mark.parametrize(
    ("loop", "interval"), [(None, 60), (asyncio.SelectorEventLoop, 60), (Plain, 0.01)]
)


NO_FOLDER = "a part of the name that should be a folder is a file: check the name"


def short(events: list[Any]) -> list[Any]:
    return [
        (type(event).__name__, event.name, *([event.size] if not isinstance(event, Vanished) else []))
        for event in events
    ]


# --- a folder, in virtual time --------------------------------------------------------------------


def test_what_appears_changes_and_vanishes(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"1")
    with drive(DirectoryWatcher(tmp_path)) as watcher:
        watcher.advance(10)
        watcher.expect_nothing()
        (tmp_path / "b").write_bytes(b"22")
        (tmp_path / "a").mkdir()
        watcher.advance(1)
        folder = str(tmp_path)
        assert watcher.take_all() == [Appeared(folder, "a", 0, True), Appeared(folder, "b", 2, False)]
        (tmp_path / "old").write_bytes(b"333")
        (tmp_path / "a" / "deeper").touch()
        watcher.advance(1)
        assert watcher.take_all() == [Changed(folder, "old", 3, False)]
        (tmp_path / "old").rename(tmp_path / "new")
        (tmp_path / "b").unlink()
        watcher.advance(1)
        events = watcher.take_all()
        assert events == [Vanished(folder, "b"), Appeared(folder, "new", 3, False), Vanished(folder, "old")]
        assert events[1].path == tmp_path / "new"
        watcher.stop()
        assert (watcher.outcome, watcher.state("outbox")) == ("stopped", "ended")


def test_it_may_begin_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with drive(DirectoryWatcher(tmp_path, existing=True)) as watcher:
        assert short(watcher.take_all()) == [("Appeared", "a", 1)]


def test_between_two_looks_only_the_difference_counts(tmp_path: Path) -> None:
    (tmp_path / "back").write_bytes(b"1")
    with drive(DirectoryWatcher(tmp_path, interval=60)) as watcher:
        (tmp_path / "short").touch()
        (tmp_path / "short").unlink()
        (tmp_path / "back").rename(tmp_path / "away")
        (tmp_path / "away").rename(tmp_path / "back")
        (tmp_path / "twice").write_bytes(b"1")
        (tmp_path / "twice").write_bytes(b"12")
        watcher.advance(59)
        watcher.expect_nothing()
        watcher.advance(1)
        assert short(watcher.take_all()) == [("Appeared", "twice", 2)]


def test_a_file_that_replaces_another_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with drive(DirectoryWatcher(tmp_path)) as watcher:
        run(Source([b"2"]) | FileWriter(tmp_path / "a"))
        watcher.advance(1)
        assert short(watcher.take_all()) == [("Changed", "a", 1)]


def test_temporary_files_are_left_out(tmp_path: Path) -> None:
    with drive(DirectoryWatcher(tmp_path)) as watcher, drive(FileWriter(tmp_path / "a")) as writer:
        writer.send(b"half")
        assert os.listdir(tmp_path) == [".a.0.partial"]
        watcher.advance(1)
        watcher.expect_nothing()
        writer.close()
        watcher.advance(1)
        assert short(watcher.take_all()) == [("Appeared", "a", 4)]


def test_a_link_that_leads_nowhere_is_there_all_the_same(tmp_path: Path) -> None:
    with drive(DirectoryWatcher(tmp_path)) as watcher:
        (tmp_path / "link").symlink_to("none")
        watcher.advance(1)
        assert short(watcher.take_all()) == [("Appeared", "link", 4)]


def test_a_file_is_told_of_when_it_has_settled(tmp_path: Path) -> None:
    with drive(DirectoryWatcher(tmp_path, settle=2.5)) as watcher:
        (tmp_path / "a").write_bytes(b"1")
        watcher.advance(2)
        (tmp_path / "a").write_bytes(b"12")
        watcher.advance(2)  # it was found so at 3 s
        watcher.expect_nothing()
        (tmp_path / "brief").touch()
        watcher.advance(1)
        (tmp_path / "brief").unlink()
        watcher.advance(0.4)
        watcher.expect_nothing()
        watcher.advance(0.1)
        assert (watcher.time, short(watcher.take_all())) == (5.5, [("Appeared", "a", 2)])
        (tmp_path / "a").unlink()
        watcher.advance(1)
        assert short(watcher.take_all()) == [("Vanished", "a")]
        watcher.advance(10)
        watcher.expect_nothing()


def test_changes_are_a_matter_of_what_has_been_told() -> None:
    one, two = Look(1, False, 1, 1), Look(1, False, 2, 2)
    changes = Changes("in", 5, {"a": one})
    assert list(changes.find({"a": two}, None, 0)) == []
    assert (changes.next_time(), changes.due(4.9), changes.due(5)) == (5, set(), {"a"})
    assert list(changes.find({"a": one}, None, 1)) == []  # as it was: there is nothing to tell
    assert changes.next_time() is None
    assert list(changes.find({"a": two}, {"a"}, 2)) == []
    assert list(changes.find({}, {"b"}, 3)) == []  # which was not looked at has not vanished
    assert list(changes.find({"a": two}, {"a"}, 7)) == [Changed("in", "a", 2, False)]


def test_a_folder_must_be_there_and_stay(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, kind, why in [
        ("none", "FileNotFoundError", "there is no such file or folder: check the name"),
        (
            "file",
            "NotADirectoryError",
            NO_FOLDER,
        ),
    ]:
        with pytest.raises(ComponentsFailed) as caught:
            run(DirectoryWatcher(tmp_path / name))
        (error,) = caught.value.exceptions
        text = f"{type(error).__name__}: {error}"
        assert text == f"{kind}: DirectoryWatcher: cannot watch {tmp_path}/{name}: {why}"
    (tmp_path / "folder").mkdir()
    with drive(DirectoryWatcher(tmp_path / "folder")) as watcher:
        (tmp_path / "folder").rmdir()
        watcher.advance(1)
        assert (watcher.outcome, watcher.state("outbox")) == ("failed", "failed")
        why = "there is no such file or folder: check the name"
        assert str(watcher.error) == f"DirectoryWatcher: cannot watch {tmp_path}/folder: {why}"


def test_watching_ends_when_nobody_listens(tmp_path: Path) -> None:
    with drive(DirectoryWatcher(tmp_path)) as watcher:
        watcher.leave()
        assert watcher.outcome == "ended"
    with drive(TailFile(tmp_path / "none")) as tail:
        tail.leave()
        assert tail.outcome == "ended"


def test_a_slow_reader_holds_watching_back(tmp_path: Path) -> None:
    with drive(DirectoryWatcher(tmp_path), sizes={"outbox": 1}) as watcher:
        for name in "abc":
            (tmp_path / name).touch()
        watcher.advance(1)
        (tmp_path / "c").unlink()
        (tmp_path / "d").touch()
        assert short(watcher.take_all()) == [("Appeared", name, 0) for name in "abc"]
        watcher.advance(1)
        assert short(watcher.take_all()) == [("Vanished", "c"), ("Appeared", "d", 0)]


# --- a folder, as Linux tells ---------------------------------------------------------------------


@LOOPS
def test_events_come_when_they_happen(tmp_path: Path, loop: Any, interval: float) -> None:
    (tmp_path / "there").touch()
    watcher = DirectoryWatcher(tmp_path, existing=True, interval=interval)
    with background(watcher, loop_factory=loop) as handle:
        assert short([handle.receive(timeout=10)]) == [("Appeared", "there", 0)]
        (tmp_path / "dir").mkdir()
        assert short([handle.receive(timeout=10)]) == [("Appeared", "dir", 0)]
        with (tmp_path / "there").open("ab", buffering=0) as file:
            file.write(b"123")
            assert short([handle.receive(timeout=10)]) == [("Changed", "there", 3)]
        (tmp_path / "there").unlink()
        assert short([handle.receive(timeout=10)]) == [("Vanished", "there")]
        os.symlink("none", tmp_path / "link")
        assert short([handle.receive(timeout=10)]) == [("Appeared", "link", 4)]


@pytest.mark.slow
@pytest.mark.one_core
def test_a_burst_that_nobody_can_tell_of_is_not_missed(tmp_path: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    count = limit // 3 + 100  # each is made, written to and closed

    class Bursts(Component):
        """Holds the loop, and with it who could take the events of the queue."""

        async def main(self) -> list[Any]:
            events = [await self.inbox.receive()]
            for number in range(count):
                (tmp_path / f"{number:06}").write_bytes(b"x")
            while len(events) < count + 1:
                events.append(await self.inbox.receive(timeout=30))
            return events

    (tmp_path / "first").touch()
    watcher = DirectoryWatcher(tmp_path, existing=True, interval=60)
    events = run(watcher | Bursts(), slow_step=0)
    assert short(events[1:]) == [("Appeared", f"{number:06}", 1) for number in range(count)]


def test_everything_is_looked_at_in_its_time_also_while_much_is_told(tmp_path: Path) -> None:
    class Asks(Component):
        """Has a lookout that is told of something all the time."""

        async def main(self) -> list[Any]:
            lookout = Lookout(self, 0.1, relaxed=3)
            try:
                lookout.watch(str(tmp_path), IN_FOLDER)
                assert await lookout.wait() is None
                answers = []
                while None not in answers:
                    (tmp_path / "busy").write_bytes(b"x")
                    answers.append(await lookout.wait())
                return answers
            finally:
                lookout.close()

    answers = run(Asks())
    assert len(answers) > 10 and answers[:-1] == [{"busy"}] * (len(answers) - 1)


def test_a_queue_that_was_too_short_says_look_at_all(tmp_path: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    channel = Inotify()
    try:
        channel.watch(str(tmp_path), IN_FOLDER)
        (tmp_path / "a").touch()
        assert channel.read() == {"a"}
        for _ in range(limit // 2 + 10):  # in turns, as the same event twice counts once
            (tmp_path / "b").touch()
            os.utime(tmp_path / "a")
        assert "" in channel.read()
        assert channel.read() == set()
    finally:
        channel.close()


def test_names_that_are_too_many_become_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout_module, "MANY", 5)
    test_events_come_when_they_happen(tmp_path, None, 60)
    for number in range(20):
        (tmp_path / str(number)).touch()
    with background(DirectoryWatcher(tmp_path, existing=True, interval=60)) as handle:
        assert len([handle.receive(timeout=10) for _ in range(22)]) == 22
        for number in range(20):
            (tmp_path / str(number)).unlink()
        gone = [handle.receive(timeout=10) for _ in range(20)]
        assert {event.name for event in gone} == {str(number) for number in range(20)}


def test_where_no_more_can_be_told_it_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*arguments: Any) -> int:
        raise OSError(28, "No space left on device")

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(Inotify, "watch", full)
    test_events_come_when_they_happen(tmp_path, None, 0.01)
    monkeypatch.setattr(Inotify, "__init__", full)
    (tmp_path / "other").mkdir()
    test_events_come_when_they_happen(tmp_path / "other", None, 0.01)
    told = "DirectoryWatcher looks every 0.01 s, as nobody tells it: [Errno 28] No space left on device"
    assert [record.getMessage() for record in caplog.records] == [told, told]


def test_where_no_more_can_be_told_any_more_it_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, watched = Inotify.watch, []

    def full_later(*arguments: Any) -> int:
        watched.append(arguments)
        if len(watched) > 1:
            raise OSError(28, "No space left on device")
        return original(*arguments)

    monkeypatch.setattr(Inotify, "watch", full_later)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder").symlink_to("one")
    (tmp_path / "link").symlink_to("two")
    (tmp_path / "one" / "here").touch()
    watcher = DirectoryWatcher(tmp_path / "folder", existing=True, interval=0.4)
    with background(watcher) as handle:
        assert short([handle.receive(timeout=10)]) == [("Appeared", "here", 0)]
        os.replace(tmp_path / "link", tmp_path / "folder")
        (tmp_path / "one").rename(tmp_path / "three")
        assert short([handle.receive(timeout=10)]) == [("Vanished", "here")]
        (tmp_path / "two" / "new").touch()
        assert short([handle.receive(timeout=10)]) == [("Appeared", "new", 0)]


@LOOPS
def test_another_folder_may_take_its_place(tmp_path: Path, loop: Any, interval: float) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    (tmp_path / "folder").symlink_to("one")
    (tmp_path / "link").symlink_to("two")
    watcher = DirectoryWatcher(tmp_path / "folder", existing=True, interval=interval)
    with background(watcher, loop_factory=loop) as handle:
        assert short([handle.receive(timeout=10)]) == [("Appeared", "one", 0)]
        os.replace(tmp_path / "link", tmp_path / "folder")
        (tmp_path / "one").rename(tmp_path / "three")  # of which it is told, and looks
        assert short([handle.receive(timeout=10)]) == [("Vanished", "one")]
        assert short([handle.receive(timeout=10)]) == [("Appeared", "two", 0)]
        (tmp_path / "two" / "new").touch()
        assert short([handle.receive(timeout=10)]) == [("Appeared", "new", 0)]


# --- a file that grows ----------------------------------------------------------------------------


def test_what_is_added_is_sent(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before")
    with drive(TailFile(log)) as tail, log.open("ab", buffering=0) as file:
        file.write(b"one")
        tail.advance(1)
        assert tail.take_all() == [b"one"]
        file.write(b"two")
        file.write(b"x" * 100_000)
        tail.advance(1)
        assert [len(piece) for piece in tail.take_all()] == [65536, 34467]
        tail.advance(100)
        tail.expect_nothing()
        tail.stop()
        assert (tail.outcome, tail.state("outbox")) == ("stopped", "ended")


def test_a_file_may_be_read_from_its_start(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"before")
    with drive(TailFile(tmp_path / "log", from_start=True)) as tail:
        assert tail.take_all() == [b"before"]


def test_a_file_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    with drive(TailFile(tmp_path / "folder" / "log")) as tail:
        tail.advance(10)
        (tmp_path / "folder").mkdir()
        tail.advance(10)
        (tmp_path / "folder" / "log").write_bytes(b"all of it")
        tail.advance(1)
        assert tail.take_all() == [b"all of it"]


def test_a_file_that_was_cut_is_read_from_its_beginning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before")
    with drive(TailFile(log)) as tail:
        log.write_bytes(b"new")
        tail.advance(1)
        assert tail.take_all() == [b"new"]
        log.write_bytes(b"")
        tail.advance(1)
        with log.open("ab") as file:
            file.write(b"more")
        tail.advance(1)
        assert (tail.take_all(), tail.component.truncated) == ([b"more"], 2)
    text = f"TailFile: {log} was cut, and is read from its beginning"
    assert [record.getMessage() for record in caplog.records] == [text, text]


def test_a_log_that_is_rotated_is_followed_without_loss(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"")
    with drive(TailFile(log)) as tail, log.open("ab", buffering=0) as old:
        old.write(b"1")
        tail.advance(1)
        old.write(b"2")
        log.rename(tmp_path / "log.1")
        tail.advance(1)
        old.write(b"3")  # who writes has not noticed yet
        log.touch()
        tail.advance(1)
        old.write(b"4")
        log.write_bytes(b"5")
        tail.advance(1)
        assert tail.take_all() == [b"1", b"2", b"3", b"4", b"5"]
        log.unlink()
        tail.advance(5)
        log.write_bytes(b"6")
        tail.advance(1)
        assert (tail.take_all(), tail.component.truncated) == ([b"6"], 0)


def test_what_rotates_and_what_follows_fit_together(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with drive(FileWriter(log, mode="append", rotate_size=5, keep=3)) as writer, drive(TailFile(log)) as tail:
        seen = b""
        for number in range(20):
            writer.send(b"%d " % number)
            tail.advance(1)
            seen += b"".join(tail.take_all())
        assert seen == b"".join(b"%d " % number for number in range(20))


def test_a_slow_reader_holds_following_back(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(bytes(1_000_000))
    with drive(TailFile(tmp_path / "log", from_start=True), sizes={"outbox": 1}) as tail:
        os.truncate(tmp_path / "log", 100_000)
        assert [len(piece) for piece in tail.take_all()] == [65536, 34464]


def test_what_cannot_be_followed_is_a_failure(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for name, kind, why in [
        (".", "IsADirectoryError", "it is a folder: name a file in it"),
        ("pipe", "OSError", "it is a pipe or device, which FileReader can read"),
        (
            "file/x",
            "NotADirectoryError",
            NO_FOLDER,
        ),
    ]:
        path = os.path.join(tmp_path, name)
        with drive(TailFile(path)) as tail:
            error = tail.error
            assert f"{type(error).__name__}: {error}" == f"{kind}: TailFile: cannot follow {path}: {why}"


@LOOPS
def test_lines_come_when_they_are_written(tmp_path: Path, loop: Any, interval: float) -> None:
    log = tmp_path / "log"
    tail = TailFile(log, from_start=True, interval=interval)
    with background(tail | Lines(), loop_factory=loop) as handle:
        for name in ("log.2", "log.1"):
            with log.open("ab", buffering=0) as file:
                file.write(b"one\ntw")
                assert handle.receive(timeout=10) == "one"
                file.write(b"o\n")
                assert handle.receive(timeout=10) == "two"
            os.rename(log, tmp_path / name)
        log.write_bytes(b"three\n")
        assert handle.receive(timeout=10) == "three"


def test_what_is_written_before_it_is_watched_is_not_missed(tmp_path: Path) -> None:
    log = tmp_path / "log"

    class Late:
        """A lookout that is told of nothing, as what happens does so while it begins to watch."""

        is_told = True

        def watch(self, path: str, mask: int) -> int:
            if log.exists() and not log.stat().st_size:
                log.write_bytes(b"new")
            return 1

        def forget(self, number: int | None) -> None:
            """Nothing was watched."""

    log.write_bytes(b"old")
    late: Any = Late()
    trail = Trail(MACHINE, str(log), True, late, threading.Event())
    assert (finish(trail.read()), finish(trail.read())) == (b"old", b"")
    (tmp_path / "empty").touch()
    os.replace(tmp_path / "empty", log)
    assert (finish(trail.read()), finish(trail.read())) == (b"new", b"")
    finish(trail.close())


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (
            lambda: DirectoryWatcher(None),
            TypeError,
            "DirectoryWatcher(None): give the name of a folder, a text or a Path",
        ),
        (
            lambda: DirectoryWatcher("x", interval=0),
            ValueError,
            "DirectoryWatcher(interval=0): give the seconds between two looks, more than 0",
        ),
        (
            lambda: DirectoryWatcher("x", settle=-1),
            ValueError,
            "DirectoryWatcher(settle=-1): give the seconds that a file has to stay as it is, 0 or more",
        ),
        (lambda: TailFile(""), ValueError, "TailFile(''): give the name of a file"),
        (
            lambda: TailFile("x", interval="1"),
            TypeError,
            "TailFile(interval='1'): give the seconds between two looks, a number more than 0",
        ),
    ],
)
def test_arguments_are_checked_when_it_is_made(make: Callable[[], Any], kind: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        make()
    assert str(caught.value) == text
