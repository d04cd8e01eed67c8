"""The thread behind the parts for files: what hangs, what is cancelled, what is left."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, background, run
from kamaelia.axon import ComponentsFailed, VirtualLoop
from kamaelia.file import FileReader
from kamaelia.file import source as source_module
from kamaelia.file.blocking import BlockingCalls
from kamaelia.flow import Collect

from .conftest import open_files


class Works(Component):
    """Has calls made, one after the other, and sends what they return."""

    inbox = None

    def __init__(self, *calls: Any, last: Any = lambda: None, patiently: bool = False) -> None:
        self.calls = calls
        self.last = last
        self.patiently = patiently

    async def main(self) -> None:
        calls = BlockingCalls(self, "do what the test says")
        do = calls.do_to_the_end if self.patiently else calls.do
        try:
            await do(lambda: None)
            for call in self.calls:
                await self.outbox.send(await do(call))
        finally:
            await calls.close(self.last)


class Hangs:
    """A call that hangs until the test lets it go."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.over = False

    def __call__(self) -> str:
        self.reached.set()
        assert self.go_on.wait(30)
        self.over = True
        return "back"


@pytest.fixture
def hangs() -> Iterator[Hangs]:
    call = Hangs()
    yield call
    call.go_on.set()
    for thread in threading.enumerate():
        if thread.name.endswith("(do what the test says)") or "(read " in thread.name:
            thread.join(10)


@pytest.mark.parametrize("loop", [None, asyncio.SelectorEventLoop])
def test_calls_are_made_one_after_the_other_in_one_other_thread(loop: Any) -> None:
    calls = [threading.current_thread] * 3
    one, two, three = run(Works(*calls) | Collect(), loop_factory=loop)
    assert one is two is three is not threading.main_thread()
    assert (one.name, one.daemon, one.is_alive()) == ("Pipeline/Works (do what the test says)", True, False)


def test_in_virtual_time_calls_are_made_at_once() -> None:
    threads = run(Works(*[threading.current_thread] * 3) | Collect(), loop_factory=VirtualLoop)
    assert threads == [threading.main_thread()] * 3


@pytest.mark.parametrize("loop", [None, VirtualLoop])
def test_an_error_is_raised_where_the_answer_is_waited_for(loop: Any) -> None:
    def fails() -> None:
        raise OSError("on purpose")

    done = []
    with pytest.raises(ComponentsFailed) as caught:
        run(Works(fails, last=lambda: done.append("last")), loop_factory=loop)
    assert [str(error) for error in caught.value.exceptions] == ["on purpose"]
    assert done == ["last"]


def test_what_hangs_does_not_hold_up_a_stop_and_is_named(
    hangs: Hangs, caplog: pytest.LogCaptureFixture
) -> None:
    done = []
    with background(Works(hangs, last=lambda: done.append("last")), grace=30) as handle:
        assert hangs.reached.wait(10)
        handle.stop()
        assert list(handle) == []
    assert (hangs.over, done) == (False, [])
    assert [record.getMessage() for record in caplog.records] == [
        "Works has ended, but a thread of it hangs where it was to do what the test says: it is left behind"
    ]
    hangs.go_on.set()
    (thread,) = [thread for thread in threading.enumerate() if thread.name.startswith("Works")]
    thread.join(10)
    assert (hangs.over, done) == (True, ["last"])  # as soon as it was back


def test_what_comes_back_soon_is_waited_for(hangs: Hangs, caplog: pytest.LogCaptureFixture) -> None:
    done = []
    with background(Works(hangs, last=lambda: done.append("last"))) as handle:
        assert hangs.reached.wait(10)
        threading.Timer(0.05, hangs.go_on.set).start()
        handle.stop()
    assert (hangs.over, done, caplog.records) == (True, ["last"], [])


def test_a_call_that_is_waited_for_to_the_end_is_over_when_it_is_cancelled(hangs: Hangs) -> None:
    over = []
    works = Works(hangs, patiently=True, last=lambda: over.append(hangs.over))
    with background(works) as handle:
        assert hangs.reached.wait(10)
        threading.Timer(0.05, hangs.go_on.set).start()
        handle.stop()
    assert over == [True]


def test_nobody_listens_to_who_waits_for_a_call(hangs: Hangs) -> None:
    class Leaves(Component):
        async def main(self) -> None:
            await asyncio.to_thread(hangs.reached.wait, 10)
            threading.Timer(0.05, hangs.go_on.set).start()

    run(Works(hangs) | Leaves())
    assert hangs.over


def test_nobody_listens_to_who_waits_for_the_last_call(hangs: Hangs) -> None:
    class Leaves(Component):
        async def main(self) -> None:
            await asyncio.to_thread(hangs.reached.wait, 10)
            threading.Timer(0.05, hangs.go_on.set).start()

    run(Works(last=hangs) | Leaves())
    assert hangs.over


def test_a_file_that_is_opened_after_its_reader_has_gone_is_closed(
    hangs: Hangs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    original = os.open

    def slow_open(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("file"):
            hangs()
        return original(path, *arguments, **options)

    before = open_files()
    monkeypatch.setattr(os, "open", slow_open)
    with background(FileReader(tmp_path / "file")) as handle:
        assert hangs.reached.wait(10)
        handle.stop()
    hangs.go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("FileReader"):
            thread.join(10)
    assert hangs.over and open_files() == before


def test_a_read_that_hangs_is_left_behind_and_its_file_closed_later(
    hangs: Hangs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setattr(source_module, "_NOWAIT", None)
    monkeypatch.setattr(os, "pread", lambda *arguments: hangs().encode())
    before = open_files()
    with background(FileReader(tmp_path / "file")) as handle:
        assert hangs.reached.wait(10)
        handle.stop()
    assert len(open_files() - before) == 1
    hangs.go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("FileReader"):
            thread.join(10)
    assert open_files() == before
