"""Components in processes of their own: the rest of the system can't tell."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Pipeline, background, run
from kamaelia.axon import (
    ComponentsFailed,
    Deadlock,
    GraceExceeded,
    SourceFailed,
)
from kamaelia.chassis import Pool, Supervisor
from kamaelia.flow import Collect, Count, Interval, Map, Source, Take
from kamaelia.process import RemoteError, Worker, WorkerDied, worker
from kamaelia.process.crossing import Departures
from kamaelia.process.shared import Arena

from . import parts


def children() -> list[str]:
    pid = os.getpid()
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += (task / "children").read_text().split()
        except FileNotFoundError:  # a thread that has just ended
            continue
    return found


def descriptors() -> dict[str, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # the one that listdir had
            continue
    return found


def mapped() -> list[str]:
    """Return the memory of this process that others may share."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in maps if "/memfd:" in line or "/dev/shm/" in line]


def left() -> tuple[Any, ...]:
    gc.collect()
    return children(), sorted(descriptors().items()), mapped(), threading.active_count()


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    """A first system makes descriptors that the loop keeps for the next."""
    run(Source([1]) | Collect())
    run(Source([1]) | Collect(), loop_factory=asyncio.new_event_loop)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = left()
    yield
    for now, then in zip(left(), before, strict=True):
        assert now == then


one_core = pytest.mark.one_core()
LOOPS = pytest.mark.parametrize("factory", [None, asyncio.new_event_loop], ids=["default", "asyncio"])


def failures_of(system: Any, **options: Any) -> list[BaseException]:
    with pytest.raises(ComponentsFailed) as raised:
        run(system, **options)
    return list(raised.value.exceptions)


def path_of(error: BaseException) -> list[str]:
    return [note for note in error.__notes__ if note.startswith("in ")]


# --- boxes ----------------------------------------------------------------------------------------


@LOOPS
def test_a_worker_runs_a_component_in_another_process(factory: Any) -> None:
    results = run(Source([1, 2]) | Worker(Map(parts.pid_and)) | Collect(), loop_factory=factory)
    ((first, _), (second, _)) = results
    assert [message for _, message in results] == [1, 2]
    assert first == second != os.getpid()


def test_its_boxes_are_those_of_the_component() -> None:
    one = Worker(parts.Two)
    boxes = {name: (box.doc, box.type, box.kind()) for name, box in one.boxes.items()}
    assert boxes == {
        "inbox": ("numbers", int, "Inbox"),
        "other": ("chunks", bytes, "Inbox"),
        "outbox": ("numbers", int, "Outbox"),
        "notes": ("notes", str, "Outbox"),
    }
    assert (one.inbox.size, one.inbox.in_bytes) == (7, False)
    assert (one.boxes["other"].size, one.boxes["other"].in_bytes) == (65536, True)
    assert one.boxes["notes"].optional
    assert not one.outbox.optional
    assert Worker(parts.Two() | parts.copy()).inbox.size == 7  # that of the innermost


@one_core
def test_all_boxes_cross_and_the_result_comes_back() -> None:
    two, numbers, notes = Worker(parts.Two()), Collect(), Collect()
    a, b = Source([1, 2, 3]), Source([b"x" * 100, b""])
    system = Graphline(
        a.outbox >> two.inbox,
        b.outbox >> two.boxes["other"],
        two.outbox >> numbers.inbox,
        two.boxes["notes"] >> notes.inbox,
    )
    run(system)
    assert (numbers.messages, notes.messages) == ([1, 2, 3], ["100 bytes", "0 bytes"])
    assert two.result() == "done"


@pytest.mark.parametrize(
    "pattern",
    [
        Map(parts.double),
        Map(parts.double) | parts.copy(),
        parts.graphline("links"),
        parts.graphline("names"),
        parts.script(times=2),
        parts.make_doubler,
        Worker(Map(parts.double)),
    ],
    ids=["component", "pipeline", "links", "names", "function", "factory", "worker"],
)
@one_core
def test_what_may_be_given_to_a_worker(pattern: Any) -> None:
    assert run(Source([1, 2]) | Worker(pattern) | Collect()) == [2, 4]


@one_core
def test_a_class_and_a_source() -> None:
    assert run(Source([1]) | Worker(parts.copy) | Collect()) == [1]
    assert run(Worker(Source([1, 2])) | Collect()) == [1, 2]
    assert run(Source([1, 2]) | Worker(Collect)) == [1, 2]


@one_core
def test_many_messages_of_all_kinds_in_order() -> None:
    messages: list[Any] = [
        value for number in range(3000) for value in (number, str(number), b"%d" % number, {"n": [number]})
    ]
    assert run(Source(messages) | Worker(parts.copy()) | Collect()) == messages


@one_core
def test_several_workers_side_by_side_and_in_a_row() -> None:
    row = Source(range(100)) | Worker(Map(parts.double)) | Worker(Map(parts.double)) | Collect()
    assert run(row, Source([1]) | Worker(Map(parts.double)) | Collect()) == [list(range(0, 400, 4)), [2]]


@one_core
def test_an_inbox_that_nobody_is_linked_to_has_ended_there_too() -> None:
    numbers = Collect()
    two, source = Worker(parts.Two()), Source([5])
    assert run(Graphline(source.outbox >> two.inbox, two.outbox >> numbers.inbox)) is None
    assert (numbers.messages, two.result()) == ([5], "done")


@one_core
def test_results_that_go_nowhere_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    run(Source(range(250)) | Worker(parts.copy()))
    assert [record.getMessage() for record in caplog.records] == [
        "250 messages from Worker went nowhere: add | Collect()"
    ]


# --- large buffers --------------------------------------------------------------------------------

LARGE = 100_000


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"abc" + bytes(LARGE), ("bytes", LARGE + 3, b"abc", False)),
        (b"abc", ("bytes", 3, b"abc", False)),
        (bytearray(b"abc" + bytes(LARGE)), ("bytearray", LARGE + 3, b"\7bc", True)),
        (memoryview(bytearray(b"abc" + bytes(LARGE))), ("memoryview", LARGE + 3, b"\7bc", True)),
        (memoryview(b"abc" + bytes(LARGE)), ("memoryview", LARGE + 3, b"abc", False)),
        (memoryview(b"abc"), ("memoryview", 3, b"abc", False)),
        ((1, b"abc" + bytes(LARGE)), ("bytes", LARGE + 3, b"abc", False)),
        ({"data": bytearray(b"abc" + bytes(LARGE))}, ("bytearray", LARGE + 3, b"\7bc", True)),
        (parts.Frame(1, b"abc" + bytes(LARGE)), ("bytes", LARGE + 3, b"abc", False)),
        (parts.Frame(1, [memoryview(b"abc")]), ("memoryview", 3, b"abc", False)),
    ],
)
@one_core
def test_large_buffers_keep_what_they_are(message: Any, expected: Any) -> None:
    before = repr(message)
    assert run(Source([message, message]) | Worker(Map(parts.describe)) | Collect()) == [expected] * 2
    assert repr(message) == before


@one_core
def test_a_memoryview_keeps_its_shape() -> None:
    shaped = memoryview(bytearray(range(24))).cast("B").cast("I", (2, 3))
    (back,) = run(Source([shaped]) | Worker(parts.copy()) | Collect())
    assert (back.format, back.shape, back.tolist()) == ("I", (2, 3), shaped.tolist())


@pytest.mark.needs("module:numpy")
@one_core
def test_arrays_cross_in_shared_memory_and_stay_writable() -> None:
    import numpy

    array = numpy.arange(LARGE, dtype=numpy.int32)
    fixed = array.copy()
    fixed.flags.writeable = False
    one = Worker(parts.copy())
    free, locked, column = run(Source([array, fixed, array.reshape(1000, 100).T]) | one | Collect())
    assert (free == array).all()
    assert (locked == array).all()
    assert (column == array.reshape(1000, 100).T).all()
    assert (free.flags.writeable, locked.flags.writeable) == (True, False)
    free[0] = 5
    assert one.statistics().bytes_in > 3 * array.nbytes
    assert array[0] == 0


@one_core
def test_who_keeps_more_than_the_shared_memory_gets_the_rest_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kamaelia.process import shared

    monkeypatch.setattr(shared, "SIZE", 1024 * 1024)
    chunks = [memoryview(bytearray(100_000)) for _ in range(50)]
    assert run(Source(chunks) | Worker(parts.Keep())) == 5_000_000


@one_core
def test_shared_memory_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    put = Arena.put

    def put_always(arena: Arena, data: memoryview) -> int | None:
        where = put(arena, data)
        assert where is not None
        return where

    monkeypatch.setattr(Arena, "put", put_always)
    one = Worker(Map(len))
    assert run(Source(bytes(300_000) for _ in range(2000)) | one | Count()) == 2000
    assert one.statistics().bytes_in > 600_000_000


@one_core
def test_what_a_process_has_sent_may_be_kept_longer_than_the_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = Worker(parts.copy())

    class Keeps(Component):
        async def main(self) -> int:
            kept = await self.inbox.receive()
            assert one._outside is not None
            view = one._outside.view  # until the garbage collector comes it is there, too
            async for _ in self.inbox:
                pass
            while not one.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            total = sum(kept)
            del kept
            await asyncio.sleep(0.01)
            assert view is not None
            return total

    assert run(Source([memoryview(bytearray(b"\1" * LARGE))]) | one | Keeps()) == LARGE
    assert caplog.records == []


@one_core
def test_without_shared_memory_all_goes_through_the_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "make_file", lambda: None)
    messages = [b"x" * 3_000_000, bytearray(b"y" * 100_000), b"z"]
    one = Worker(parts.copy())
    assert run(Source(messages) | one | Collect()) == messages
    assert one.statistics().shared == 0


# --- back-pressure --------------------------------------------------------------------------------


class Eager(Component):
    """Counts what it could send."""

    def __init__(self, message: Any = 1) -> None:
        self.message = message
        self.sent = 0

    async def main(self) -> None:
        while True:
            await self.outbox.send(self.message)
            self.sent += 1


def settled(value: Any, at_least: int = 1) -> int:
    """Wait until a number does not change any more."""
    seen, since = value(), time.monotonic()
    while time.monotonic() - since < 0.3 or seen < at_least:
        time.sleep(0.02)
        if value() != seen:
            seen, since = value(), time.monotonic()
    return int(seen)


class Enough(Exception):
    """Leaves a background system, which is cancelled by that."""


@one_core
def test_a_reader_that_takes_nothing_holds_the_sender_in_another_process() -> None:
    eager = Eager()
    with pytest.raises(Enough), background(eager | Worker(parts.Never())):
        # Five in each of the two inboxes, and a window of five; the last is in before its sender waits.
        assert 9 <= settled(lambda: eager.sent, 9) <= 16
        raise Enough


@one_core
def test_a_reader_here_holds_the_sender_there() -> None:
    one = Worker(parts.SendOn())
    with background(one) as handle:
        assert handle.receive(timeout=10) == 0
        # The inbox for the handle has a mark of 100, and as many may be on their way: it is not quick.
        assert 100 <= settled(lambda: one.statistics().messages_out, 100) <= 201


@one_core
def test_large_messages_are_held_back_by_their_bytes() -> None:
    eager = Eager(bytes(1_000_000))
    with pytest.raises(Enough), background(eager | Worker(parts.Never() | parts.copy())) as handle:
        assert handle is not None
        assert settled(lambda: eager.sent, 10) <= 16
        raise Enough
    eager = Eager(bytes(10_000))
    with pytest.raises(Enough), background(eager | Worker(parts.NeverBytes())):
        # 64 KiB in each of the two inboxes, as much on its way, and one message more for each.
        assert 13 <= settled(lambda: eager.sent, 13) <= 25
        raise Enough


@one_core
def test_a_full_box_does_not_hold_another_one_up() -> None:
    split, numbers = Worker(parts.Split()), Collect()
    jam = parts.Never()
    source = Source([("b", n) for n in range(50)] + [("a", n) for n in range(50)])
    system = Graphline(
        source.outbox >> split.inbox, split.boxes["a"] >> numbers.inbox, split.boxes["b"] >> jam.inbox
    )
    with pytest.raises(Enough), background(system):
        settled(lambda: len(numbers.messages), 50)
        assert numbers.messages == list(range(50))
        raise Enough


@one_core
def test_more_is_on_its_way_to_who_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    windows: list[int] = []
    set_window = Departures._set_window

    def note(departures: Departures, window: int) -> None:
        windows.append(window)
        set_window(departures, window)

    monkeypatch.setattr(Departures, "_set_window", note)
    assert run(Source(range(50_000)) | Worker(Count())) == 50_000
    assert max(windows) == 500
    windows.clear()
    run(Source(range(300)) | Worker(parts.Slow()))
    assert set(windows) == {100}
    run(Source(range(3000)) | Worker(parts.Two()))
    assert set(windows) <= {100, 7}  # a small one is kept small


@one_core
def test_lock_step() -> None:
    class OneByOne(Component):
        inbox = Inbox[int]("numbers", size=1)

        async def main(self) -> list[int]:
            return [number async for number in self.inbox]

    assert run(Source(range(300)) | Worker(parts.SmallStep()) | OneByOne()) == list(range(300))


# --- ends and failures ------------------------------------------------------------------------------


class Breaks(Component):
    async def main(self) -> None:
        await self.outbox.send(1)
        raise ZeroDivisionError("here")


class Hears(Component):
    """Returns what it got, and how that ended."""

    async def main(self) -> Any:
        got = []
        try:
            async for message in self.inbox:
                got.append(message)
        except SourceFailed as error:
            got.append(error.__cause__)
        return got


@one_core
def test_a_failed_source_crosses_with_its_cause() -> None:
    hears = Hears()
    (error,) = failures_of(Breaks() | Worker(parts.Hears()) | hears)
    assert (type(error), path_of(error)) == (ZeroDivisionError, ["in Pipeline/Breaks"])
    assert hears.result() == [1, ("SourceFailed", "ZeroDivisionError", "here")]


@one_core
def test_a_failure_there_is_a_failure_here_with_its_path_and_traceback() -> None:
    hears = Hears()
    (error,) = failures_of((Source(range(10)) | Worker(Map(parts.fail_at_three)) | hears).named("line"))
    assert (type(error), str(error)) == (ValueError, "three is too much")
    assert path_of(error) == ["in line/Worker/Map"]
    (trace,) = [note for note in error.__notes__ if note.startswith("traceback in the worker process ")]
    assert 'raise ValueError("three is too much")' in trace
    assert hears.result() == [0, 1, 2, error]


@one_core
def test_what_was_sent_before_a_failure_comes_even_if_there_was_no_room() -> None:
    one = Worker(parts.SendThenFail(90))

    class Late(Component):
        inbox = Inbox[int]("numbers", size=5)

        async def main(self) -> Any:
            async with asyncio.timeout(0.9):  # a failed source is told of at once, whoever reads or not
                while not one.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            return await Hears.main(self)  # type: ignore[arg-type]

    late = Late()
    (error,) = failures_of(one | late)
    assert late.result() == [*range(late.result()[-2] + 1), error]
    assert str(error) == "enough"


@one_core
def test_all_failures_of_a_chassis_are_one_flat_group() -> None:
    first, second = failures_of(Worker(parts.TwoFail()))
    assert [type(first), type(second)] == [ValueError, TypeError]
    assert path_of(first) == path_of(second) == ["in Worker/TwoFail"]


@one_core
def test_what_cannot_be_pickled_of_an_exception_is_told_as_text() -> None:
    (error,) = failures_of(Worker(parts.RaiseOdd()))
    assert isinstance(error, RemoteError)
    assert str(error) == "tests.process.parts.Odd: 1 and 2"
    assert path_of(error) == ["in Worker/RaiseOdd"]
    assert (type(error.__cause__), error.__cause__.args) == (KeyError, ("the cause",))


@one_core
def test_workers_in_workers_fail_with_one_path() -> None:
    (error,) = failures_of(Source(range(5)) | Worker(Worker(Map(parts.fail_at_three)) | Collect()))
    assert path_of(error) == ["in Pipeline/Worker/Pipeline/Worker/Map"]
    assert sum(note.startswith("traceback") for note in error.__notes__) == 1


@one_core
def test_a_deadlock_in_a_process_is_found_there() -> None:
    (error,) = failures_of(Worker(parts.deadlock))
    assert isinstance(error, Deadlock)
    assert "Worker/Graphline/copy-2" in str(error)


@one_core
def test_an_inbox_that_is_held_there_and_not_linked_here() -> None:
    one = Worker(parts.Held())
    assert not one.inbox.held
    assert run(one) == "at rest"


@one_core
def test_a_room_in_a_process_ends_when_all_is_at_rest_there() -> None:
    run(Worker(parts.room))


@one_core
def test_system_exit_passes_bare() -> None:
    with pytest.raises(SystemExit) as raised:
        run(Worker(parts.Die("system exit")))
    assert raised.value.code == 4


def test_a_reader_that_has_enough_ends_the_worker() -> None:
    assert run(Worker(Interval(0.01)) | Take(2) | Collect()) == [0, 1]


@one_core
def test_nobody_listens_is_told_at_once_and_not_at_the_next_message() -> None:
    before = time.monotonic()
    assert run(Worker(Pipeline(Interval(100))) | Take(1) | Collect()) == [0]
    assert time.monotonic() - before < 10


@one_core
def test_a_worker_that_has_enough_ends_its_senders() -> None:
    eager = Eager()
    assert run(eager | Worker(Take(3) | Collect())) == [1, 1, 1]
    assert eager.done()


@one_core
def test_an_inbox_that_is_closed_early_there_is_closed_here() -> None:
    one, eager = Worker(parts.CloseEarly()), Eager(b"x")
    result = Collect()
    run(Graphline(eager.outbox >> one.inbox, one.outbox >> result.inbox))
    assert result.messages == ["got one", "still here"]


@one_core
def test_an_inbox_that_is_closed_there_is_noticed_by_who_sleeps_here() -> None:
    one, result, ticks = Worker(parts.CloseOne()), Collect(), Interval(100)

    class Gate(Component):
        inbox = None

        async def main(self) -> None:
            async with asyncio.timeout(5):
                while not ticks.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    gate = Gate()
    run(Graphline(ticks.outbox >> one.inbox, gate.outbox >> one.boxes["other"], one.outbox >> result.inbox))
    assert result.messages == ["the other has ended"]


@one_core
def test_one_of_two_outboxes_loses_its_reader() -> None:
    split, numbers, taken = Worker(parts.Split()), Collect(), Take(1)
    source = Source([("b", 1), *[("b", n) for n in range(3000)]])
    system = Graphline(
        source.outbox >> split.inbox, split.boxes["a"] >> numbers.inbox, split.boxes["b"] >> taken.inbox
    )
    run(system)  # BrokenLink is the normal end of who sends there


# --- stop and cancel ------------------------------------------------------------------------------


def test_a_stop_ends_a_source_there_and_what_it_sent_arrives() -> None:
    one = Worker(Interval(0.001))
    with background(one) as handle:
        assert handle.receive(timeout=10) == 0
        handle.stop()
        rest = list(handle)
    # It leaves out the numbers of ticks for which it came too late.
    assert rest == sorted(set(rest))
    assert len(rest) + 1 == one.statistics().messages_out


@one_core
def test_a_stop_reaches_what_is_fed_and_what_is_not() -> None:
    with background(Interval(0.01) | Worker(parts.Both())) as handle:
        assert handle.receive(timeout=10) in ("a tick", "a message")
        handle.stop()
        rest = list(handle)
    assert {"a message"} <= {*rest, "a message"}
    assert rest[-1] == "the end"


@one_core
def test_what_was_sent_before_a_stop_is_finished() -> None:
    class Stops(Component):
        async def main(self) -> None:
            for number in range(20):
                await self.outbox.send(number)
            self.system.stop()

    assert run(Stops() | Worker(parts.Sleepy()) | Collect()) == list(range(20))


@one_core
def test_cancelled_is_raised_there_and_finally_may_still_send() -> None:
    one = Worker(parts.Careful())

    class Cancels(Component):
        outbox = None

        async def main(self) -> list[str]:
            said = self.add_box("said", Inbox[str]("what it says", held=True))
            self.add(one)
            self.link(one.outbox, said)
            said.release()
            heard = [await said.receive()]
            one.cancel()
            return heard + [text async for text in said]

    assert run(Cancels()) == ["hello", "good bye"]
    assert one.cancelled()


class FailsAfter(Component):
    """Fails as soon as it has got something."""

    async def main(self) -> None:
        await self.inbox.receive()
        raise ZeroDivisionError("beside it")


@one_core
def test_a_failure_beside_a_worker_stops_it() -> None:
    one, fails = Worker(parts.Careful()), FailsAfter()
    (error,) = failures_of(one | fails)
    assert type(error) is ZeroDivisionError
    assert one._axon.outcome == "cancelled"


@one_core
def test_a_worker_that_is_fed_reads_what_was_sent_before_a_failure() -> None:
    keeps = Hears()

    class Fails(Component):
        inbox = None

        async def main(self) -> None:
            for number in range(30):
                await self.outbox.send(number)
            raise ZeroDivisionError("beside it")

    (error,) = failures_of(Fails() | Worker(parts.copy()) | keeps)
    got = keeps.result()
    assert (got[:-1], type(got[-1])) == (list(range(30)), ZeroDivisionError)
    assert type(error) is ZeroDivisionError


@one_core
def test_who_uses_up_the_grace_is_named_with_the_line() -> None:
    with pytest.raises(GraceExceeded) as raised:
        with background(Worker(parts.Never()), grace=0.2) as handle:
            handle.send(1)
            time.sleep(0.3)
    assert str(raised.value).startswith("1 component(s) had not ended 0.2 s after the stop")
    (note,) = raised.value.__notes__
    assert note.startswith("within Worker: Worker/Never: parts.py:")


@pytest.mark.parametrize("kind", ["stuck", "stubborn"])
@one_core
def test_a_process_that_does_not_end_is_killed_and_that_is_an_error(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    pattern = {"stuck": parts.Stuck, "stubborn": parts.Stubborn}[kind]()
    one = Worker(pattern, patience=0.3)
    error, late = failures_of(one | FailsAfter(), grace=0.2)
    assert (type(error), type(late)) == (ZeroDivisionError, GraceExceeded)
    text = [record.getMessage() for record in caplog.records if "killed" in record.getMessage()]
    assert len(text) == 1
    assert text == [str(late)]
    assert text[0].startswith("Pipeline/Worker was cancelled, and its process ")


# --- death ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("kill", "was killed by SIGKILL"),
        ("segv", "was killed by SIGSEGV"),
        ("exit", "ended with exit code 3"),
    ],
)
@one_core
def test_a_process_that_dies_is_an_error_after_what_it_had_sent(how: str, text: str) -> None:
    hears = Hears()
    (error,) = failures_of(Source([1, 2, "die", 3]) | Worker(parts.Die(how, "die")) | hears)
    assert isinstance(error, WorkerDied)
    assert str(error).startswith("Pipeline/Worker: its process ")
    assert f"{text} before it had finished" in str(error)
    assert path_of(error) == ["in Pipeline/Worker"]
    assert hears.result() == [1, 2, error]
    if how == "segv":
        assert "in die" in error.__notes__[0]


@one_core
def test_all_that_was_sent_before_a_death_comes_though_both_are_seen_at_once() -> None:
    class Busy(Component):
        inbox = None
        outbox = None

        async def main(self) -> None:
            while not one.statistics().alive:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            time.sleep(1.0)  # noqa: ASYNC251  # the loop sees nothing meanwhile

    one, keeps = Worker(parts.SendAndDie(80)), Collect()
    (error,) = failures_of(Graphline(one.outbox >> keeps.inbox, Busy()), slow_step=0)
    assert isinstance(error, WorkerDied)
    assert keeps.messages == [bytes([number]) * 2000 for number in range(80)]


@one_core
def test_messages_in_the_hands_of_a_process_that_dies_are_counted() -> None:
    one = Worker(parts.DieWithoutReading())
    (error,) = failures_of(Source(range(100)) | one)
    sent = one.statistics().messages_in
    assert 40 <= sent <= 80
    assert f"; of the messages sent to it {sent} had not been read" in str(error)


@one_core
def test_a_supervisor_restarts_what_has_failed_there() -> None:
    one = Supervisor(Worker(Map(parts.fail_at_three)))
    got = run(Source(range(6)) | one | Collect())
    assert got[:3] == [0, 1, 2]
    statistics = one.statistics()
    assert str(statistics.last_failure.error) == "three is too much"
    assert statistics.restarts == (0 if len(got) == 3 else 1)


def test_how_much_is_sent_ahead_is_how_much_can_be_lost() -> None:
    one = Supervisor(Worker(parts.Die("kill", 20), ahead=1))
    got = run(Source(range(50)) | one | Collect())
    missing = [number for number in range(50) if number not in got]
    # The one that killed it, and at most one that waited there, one on its way, and one frame.
    assert (missing[0], one.statistics().restarts) == (20, 1)
    assert len(missing) <= 4
    assert got == sorted(got)
    with pytest.raises(
        ValueError, match=r"Worker\(ahead=0\): give how many messages to send ahead, 1 or more"
    ):
        Worker(parts.Die("kill", 20), ahead=0)


def test_a_supervisor_starts_another_process() -> None:
    one = Supervisor(Worker(parts.Die("kill", "die")))

    class Patient(Component):
        inbox = Inbox[Any]("what came back", size=1000)

        async def main(self) -> None:
            for number in range(3):
                await self.outbox.send(number)
                assert await self.inbox.receive() == number
                await self.outbox.send("die")
                await asyncio.sleep(0.2)

    patient = Patient()
    run(Graphline(patient.outbox >> one.inbox, one.outbox >> patient.inbox))
    assert one.statistics().restarts >= 2
    assert isinstance(one.statistics().last_failure.error, WorkerDied)


def test_workers_share_the_work_and_keep_the_order() -> None:
    numbers = list(range(200))
    pool = Pool(Worker(Map(math.sqrt)), 2, ordered=True, results=1)
    assert run(Source(numbers) | pool | Collect()) == [math.sqrt(n) for n in numbers]


def test_a_pool_says_what_to_do_where_it_cannot_keep_the_order_of_workers() -> None:
    with pytest.raises(ComponentsFailed) as caught:
        run(Source([1]) | Pool(Worker(Map(math.sqrt)), 1, ordered=True) | Collect())
    assert "say how many results each has, Pool(..., ordered=True, results=1)" in str(
        caught.value.exceptions[0]
    )
