"""What Axon offers to those who write parts and transports: boxes added later, marks moved, signals."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from kamaelia import Component, Inbox, Outbox, Pipeline, clock, run
from kamaelia.axon import (
    BrokenLink,
    ComponentsFailed,
    Signal,
    SourceFailed,
    UsageError,
    current_component,
    postman,
)
from kamaelia.testing import drive

from .parts import collect, copy, source, virtually


def test_a_box_may_be_added_while_the_component_runs():
    class Grows(Component):
        async def main(self):
            answers = self.add_box("answers", Inbox[int]("from the child", held=True))
            questions = self.add_box("questions", Outbox[int]("to the child"))
            assert list(self.boxes) == ["inbox", "outbox", "answers", "questions"]
            assert str(answers) == "Grows.answers"
            child = self.add(copy())
            self.link(questions, child.inbox)
            self.link(child.outbox, answers)
            answers.release()
            for number in range(3):
                await questions.send(number)
            questions.close()
            return [number async for number in answers]

    assert virtually(Grows()) == [0, 1, 2]
    assert run(Grows(), debug=True) == [0, 1, 2]


def test_an_added_inbox_that_nobody_holds_has_ended_and_a_name_is_used_once():
    class Grows(Component):
        async def main(self):
            assert self.add_box("late", Inbox[int]("unlinked")).ended
            with pytest.raises(UsageError, match=r"Grows\.late is there already: give the new box another"):
                self.add_box("late", Inbox[int]("again"))

    virtually(Grows())


def test_a_moved_mark_frees_who_waits_and_stops_senders_where_it_says():
    stalled = copy()
    with drive(stalled, sizes={"outbox": 1}) as driver:
        driver.send(*range(5))  # the first is with the reader, and fills it
        reader = driver._front.readers["outbox"]
        assert driver.waiting == "send to copy.outbox"
        reader.resize(3)
        driver.advance(0)
        assert (reader.statistics().waiting, reader.statistics().size) == (3, 3)
        assert driver.waiting == "send to copy.outbox"


def test_a_mark_counts_bytes_or_messages_and_changes_only_before_the_inbox_is_used():
    part = copy()
    part.inbox.resize("3 B")
    assert (part.inbox.statistics().size, part.inbox.in_bytes) == (3, True)
    with drive(part, sizes={"outbox": 1}) as driver:
        driver.send(b"a", b"b", b"cc", b"d")
        assert part.inbox.statistics().waiting == 4  # bytes; the first message has been taken
        with pytest.raises(UsageError, match=r"copy\.inbox counts bytes, and is in use"):
            part.inbox.resize(5)
        part.inbox.resize("5 B")
        assert part.inbox.statistics().size == 5
    with pytest.raises(ValueError, match=r"size='big' of copy\.inbox"):
        copy().inbox.resize("big")


def test_a_signal_wakes_whoever_waits_and_nobody_else():
    signal = Signal("hear the bell")

    class Waits(Component):
        async def main(self):
            await signal
            return clock()

    class Rings(Component):
        async def main(self):
            signal.set()  # nobody waits yet, so nobody is woken
            await asyncio.sleep(2)  # foreign to Axon: and yet nobody takes this for a deadlock
            signal.set()

    assert virtually(Rings(), Waits()) == [None, 2]


def test_a_signal_is_for_one_who_waits():
    signal = Signal("hear the bell")

    class Waits(Component):
        async def main(self):
            await signal

    with pytest.raises(ComponentsFailed) as caught:
        virtually(Waits(), Waits())
    (error,) = caught.value.exceptions
    assert isinstance(error, UsageError)
    assert str(error).startswith("Waits-2 waits to hear the bell twice: one of the two would never be woken")


def test_waiting_for_a_signal_ends_when_nobody_listens():
    class Waits(Component):
        async def main(self):
            with pytest.raises(BrokenLink):
                await Signal()
            return clock()

    class Leaves(Component):
        async def main(self):
            await asyncio.sleep(3)

    waits = Waits()
    virtually(waits | Leaves())
    assert waits.result() == 3


def test_the_current_component_is_known_in_its_tasks_and_threads_too():
    class Asks(Component):
        async def main(self):
            async def ask():
                return current_component()

            assert current_component() is self
            assert await asyncio.create_task(ask()) is self
            assert await asyncio.to_thread(current_component) is self
            assert asyncio.current_task() is self

    run(Asks())
    with pytest.raises(UsageError, match="belong to a component"):
        current_component()


def test_a_component_knows_the_chassis_that_it_is_in():
    inner = copy()
    outer = Pipeline(Pipeline(source([1]), inner), collect())
    assert isinstance(inner.chassis, Pipeline) and inner.chassis.chassis is outer
    assert outer.chassis is None
    assert virtually(outer) == [1]
    assert outer.chassis is None


def test_the_postman_knows_what_is_behind_a_boundary():
    first = copy()
    outer = Pipeline(Pipeline(first, copy()), copy())
    assert list(postman.inboxes_behind(outer.inbox)) == [first.inbox]
    assert not postman.is_linked(first.inbox)
    feeds = source([1])
    postman.link(feeds.outbox, outer.inbox)
    assert postman.is_linked(first.inbox)


def test_a_failure_in_a_part_of_ours_shows_only_the_users_frames(capfd):
    from kamaelia.axon import ComponentsFailed, report
    from kamaelia.flow import Map, Source

    def divide(number):
        return 1 // number

    with pytest.raises(ComponentsFailed) as caught:
        virtually(Source([1, 0]) | Map(divide) | collect())
    (error,) = caught.value.exceptions
    assert not isinstance(error, SourceFailed)
    names = []
    step = error.__traceback__
    while step is not None:
        names.append(step.tb_frame.f_code.co_name)
        step = step.tb_next
    assert names == ["divide"]
    first, *frames = report.describe(caught.value).splitlines()
    assert first.startswith("Pipeline/Map: ZeroDivisionError")
    assert len(frames) == 2 and frames[0].endswith("in divide") and frames[1] == "    return 1 // number"


INTERRUPTED_FROM_A_THREAD = """
import asyncio, os, signal, sys, threading, time
from kamaelia import component, run, sleep

@component
async def wait(inbox, outbox):
    try:
        threading.Thread(target=press, daemon=True).start()
        await sleep(30)
    finally:
        os._exit(0 if time.monotonic() - pressed[0] < 5 else 1)

def press():
    time.sleep(0.2)  # the loop sleeps by now
    pressed.append(time.monotonic())
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # the loop's own thread gets no signal
    time.sleep(60)

pressed = []
run(wait(), loop_factory=asyncio.SelectorEventLoop if sys.argv[1] == "asyncio" else None)
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_rule_25_a_ctrl_c_that_another_thread_gets_wakes_the_loop(loop):
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_FROM_A_THREAD, loop], timeout=60)
    assert done.returncode == 0


def test_what_is_shown_of_a_value_is_as_long_as_it_may_be_and_soon_made():
    from kamaelia.axon.errors import shorten

    class Loud:
        def __repr__(self):
            raise AssertionError("nobody will see this")

    for value in ("a", b"", [1, "b"], (1,), (), [], [[], [(), b"x"]], {"a": 1}, None, ["x" * 20, "y" * 25]):
        assert shorten(value) == repr(value)
    for value in ("a" * 100, b"\x00" * 100, list(range(100)), ("ab",) * 100, [["abc"] * 100], {1: "x" * 99}):
        assert shorten(value) == repr(value)[:57] + "..."
    assert shorten(["x" * 56]) == repr(["x" * 56])
    assert shorten(["x" * 57]) == repr(["x" * 57])[:57] + "..."
    assert shorten((1,)) == "(1,)"
    # Python itself refuses to write as many digits, also where they are alone in a list.
    assert shorten([10**10_000]).startswith("[0x")
    itself = [1]
    itself.append(itself)
    assert shorten(itself) == ("[1, " * 20)[:57] + "..."
    assert shorten(["x" * 60, Loud()]) == "['" + "x" * 55 + "..."
    assert shorten([b"y" * 10_000_000, Loud()], 30) == "[b'" + "y" * 24 + "..."
