"""Rules 25 to 27, 29 and 30 of the contract: stopping, failing, rest, results."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, background, clock, component, run, sleep
from kamaelia.axon import (
    Cancelled,
    ComponentsFailed,
    Deadlock,
    EndOfMessages,
    Failure,
    GraceExceeded,
    Link,
    SourceFailed,
)

from .parts import Held, Stop, after, collect, copy, fail_at, script_copy, source, stay, virtually

# -- rule 25: stopping --------------------------------------------------------------------------------


def test_rule_25_a_stop_cancels_sources_and_everything_accepted_is_finished():
    sent: list[int] = []

    @component
    async def endless(inbox, outbox):
        number = 0
        while True:
            sent.append(number)
            await outbox.send(number)
            number += 1
            await sleep(0.01)

    @component
    async def slow(inbox, outbox):
        async for message in inbox:
            await sleep(0.02)
            await outbox.send(message)

    end = collect()
    virtually(endless | slow | end, Stop(1))
    assert len(sent) > 90
    assert end._axon.result == sent


def test_rule_25_finally_may_still_send_and_wait():
    @component
    async def tidy(inbox, outbox):
        try:
            await sleep(1e9)
        finally:
            await sleep(1)
            await outbox.send("last words")

    assert virtually(tidy | collect, Stop(1))[0] == ["last words"]


def test_rule_25_a_stop_releases_holds():
    held = Held()
    assert virtually(held | collect, Stop(1)) == [[], None]


def test_rule_25_a_stop_ends_feedback_links():
    class Loop(Component):
        async def main(self):
            await self.outbox.send(0)
            async for number in self.inbox:
                await sleep(0.01)
                await self.outbox.send(number + 1)
            return "ended"

    loop = Loop()
    virtually(Graphline(Link(loop.outbox, loop.inbox, feedback=True)), Stop(1))
    assert loop._axon.result == "ended"


def test_rule_25_what_is_left_after_the_grace_is_cancelled_and_named():
    log: list[str] = []

    @component
    async def ignores_its_end(inbox, outbox):
        async for _ in inbox:
            pass
        try:
            await sleep(1e9)
        except Cancelled:
            log.append("cancelled")
            raise

    @component
    async def reader(inbox, outbox):
        try:
            async for _ in inbox:
                pass
        finally:
            try:
                await inbox.receive()
            except SourceFailed as error:
                log.append(type(error.__cause__).__name__)

    with pytest.raises(GraceExceeded) as error:
        virtually(stay() | ignores_its_end | reader, Stop(1, grace=2))
    assert log == ["cancelled", "GraceExceeded"]
    assert "Pipeline/ignores_its_end: test_rules_ending.py:" in str(error.value)
    assert "await sleep(1e9)" in str(error.value)


def test_rule_25_a_second_stop_cancels():
    times: list[float] = []

    @component
    async def stubborn(inbox, outbox):
        try:
            await sleep(1e9)
        finally:
            await sleep(3)
            times.append(asyncio.get_running_loop().time())

    class Twice(Component):
        async def main(self):
            for seconds in (1, 2):
                self.get_loop().call_later(seconds, self.system.stop, 100)

    virtually(stubborn(), Twice())
    assert times == []  # the second took it out of its second sleep


class AtOnce(Component):
    """Does something in its first step, when what is inside of its siblings has yet to start."""

    def __init__(self, do: Callable[[Component], object]) -> None:
        self.do = do

    async def main(self) -> None:
        self.do(self)


def test_rule_25_a_stop_also_stops_who_was_still_to_start():
    late, end = stay(), collect()
    virtually(AtOnce(lambda me: me.system.stop()), late | end)
    assert (late._axon.outcome, end._axon.outcome) == ("stopped", "ended")


def test_rule_25_cancelling_the_system_also_cancels_who_was_still_to_start():
    late = stay()
    virtually(AtOnce(lambda me: me.system.cancel()), late | collect())
    assert late._axon.outcome == "cancelled"


def test_rule_25_a_chassis_cancelled_before_its_first_step_takes_its_children_along():
    class Parent(Component):
        def __init__(self):
            self.child = self.add(stay())

        async def main(self):
            raise AssertionError("this is never run")

    parent = Parent()
    virtually(AtOnce(lambda me: parent.cancel()), parent)
    assert (parent._axon.outcome, parent.child._axon.outcome) == ("stopped", "stopped")


def test_rule_25_leaving_background_stops_and_an_exception_cancels():
    log: list[str] = []

    @component
    async def noted(inbox, outbox):
        try:
            async for message in inbox:
                await outbox.send(message * 2)
            log.append("ended")
        except Cancelled:
            log.append("cancelled")
            raise

    with background(noted()) as handle:
        handle.send(21)
        assert handle.receive(timeout=5) == 42
    with pytest.raises(ZeroDivisionError), background(noted()) as handle:
        handle.send(1)
        raise ZeroDivisionError
    assert log == ["ended", "cancelled"]


def test_rule_25_background_keeps_what_was_sent_until_the_block_is_left():
    with background(source([1, 2, 3])) as handle:
        time.sleep(0)
        assert list(handle) == [1, 2, 3]
        with pytest.raises(EndOfMessages):
            handle.receive()


def run_script(text: str, tmp_path: Any, *signals: tuple[str, int]) -> tuple[int, str, str]:
    """Run a program; send it a signal after each line of its output that is waited for."""
    path = tmp_path / "program.py"
    path.write_text(text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        output = ""
        for wanted, number in signals:
            while wanted not in output:
                line = process.stdout.readline()
                assert line, output
                output += line
            process.send_signal(number)
        rest, errors = process.communicate(timeout=30)
        return process.returncode, output + rest, errors


LOADED = """
from kamaelia import run, component, sleep
sent, got = [], []
@component
async def endless(inbox, outbox):
    while True:
        sent.append(len(sent))
        await outbox.send(sent[-1])
@component
async def slow(inbox, outbox):
    async for message in inbox:
        got.append(message)
        if len(got) == 1000:
            print("under load")
        if len(got) % 100 == 0:
            await sleep(0.001)
run(endless | slow)
print("accepted", len(sent), "written", len(got), sent == got)
"""


def test_rule_25_the_first_ctrl_c_finishes_every_accepted_message(tmp_path):
    code, output, errors = run_script(LOADED, tmp_path, ("under load", signal.SIGINT))
    assert code == 0, errors
    assert output.splitlines()[-1].endswith("True")


def test_rule_25_the_second_ctrl_c_ends_at_once_and_exit_codes_differ(tmp_path):
    text = """
from kamaelia import run, component, sleep
@component
async def stubborn(inbox, outbox):
    print("ready")
    try:
        await sleep(1000)
    finally:
        print("stopping")
        await sleep(1000)
run(stubborn(), grace=1000)
"""
    started = time.monotonic()
    code, _, errors = run_script(text, tmp_path, ("ready", signal.SIGINT), ("stopping", signal.SIGINT))
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in errors
    assert time.monotonic() - started < 20


# -- rule 26: failure ---------------------------------------------------------------------------------


def test_rule_26_siblings_are_stopped_with_breaks():
    log: list[Any] = []

    @component
    async def reader(inbox, outbox):
        try:
            async for message in inbox:
                log.append(message)
        except SourceFailed as error:
            log.append(str(error.__cause__))
            raise

    with pytest.raises(ComponentsFailed):
        virtually(Graphline(stay(log), source([1, 2, 3]) | fail_at(3) | reader))
    assert log == [
        1,
        2,
        "cannot stand 3",
        "Cancelled" if Cancelled.__name__ == "Cancelled" else "CancelledError",
    ]


def test_rule_26_what_is_left_after_a_second_is_cancelled():
    times: list[float] = []

    @component
    async def busy(inbox, outbox):
        try:
            async for _ in inbox:
                await asyncio.sleep(100)
        finally:
            times.append(asyncio.get_running_loop().time())

    fed, bad = source([1, 2]), after(2)  # a message is left for it, so it is not cancelled at once
    with pytest.raises(ComponentsFailed):
        virtually(Graphline(fed | busy, bad | fail_at(None)))
    assert times == [3.0]


def test_rule_26_one_flat_group_however_deep_with_notes_and_the_users_frames():
    deep: Any = fail_at(1)
    for _ in range(3):
        deep = Graphline(deep, "self.inbox" >> deep.inbox)
    with pytest.raises(ComponentsFailed) as failed:
        virtually(source([1]) | deep)
    group = failed.value
    assert group.message.startswith(
        "1 component(s) failed: Pipeline/Graphline/Graphline/Graphline/fail_at (seed "
    )
    (error,) = group.exceptions
    assert error.__notes__ == ["in Pipeline/Graphline/Graphline/Graphline/fail_at"]
    import traceback

    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)] == ["fail_at"]


def test_rule_26_run_prints_one_line_then_the_users_frames(tmp_path):
    text = """
from kamaelia import run, component
@component
async def source(inbox, outbox):
    await outbox.send(1)
@component
async def divide(inbox, outbox):
    async for number in inbox:
        await outbox.send(number / 0)
run(source | divide)
"""
    code, _, errors = run_script(text, tmp_path)
    assert code == 1
    path = tmp_path / "program.py"
    assert errors == (
        "Pipeline/divide: ZeroDivisionError: division by zero\n"
        f'  File "{path}", line 9, in divide\n'
        "    await outbox.send(number / 0)\n"
    )


def test_rule_26_the_chassis_fails_when_all_its_children_have_gone():
    order: list[str] = []

    class Slow(Component):
        async def main(self):
            try:
                await sleep(1e9)
            finally:
                await asyncio.sleep(0.5)
                order.append("inner sibling has gone")

    class Outer(Component):
        async def main(self):
            try:
                await sleep(1e9)
            finally:
                order.append("outer sibling is told")

    with pytest.raises(ComponentsFailed):
        virtually(Graphline(Graphline(Slow(), after(1) | fail_at(None)), Outer()))
    assert order == ["inner sibling has gone", "outer sibling is told"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_rule_26_keyboard_interrupt_and_system_exit_pass_bare(error):
    with pytest.raises(error):
        virtually(source([1]) | fail_at(1, error) | collect, stay())


# -- rule 27: isolation -------------------------------------------------------------------------------


class Pool(Component):
    """Makes a child for each message, on demand for outsiders."""

    failures = Outbox[Failure]("what failed", optional=True)

    def __init__(self, isolated: bool) -> None:
        self.isolated = isolated
        self.failed = 0

    def child_failed(self, child, error):
        self.failed += 1

    async def main(self):
        async for message in self.inbox:
            self.add(source([message]) | fail_at(2) | collect(into=seen), isolated=self.isolated)


seen: list[Any] = []


def test_rule_27_a_failing_child_ends_alone_is_logged_counted_and_sent_to_failures(caplog):
    seen.clear()
    pool, failures, start = Pool(True), collect(), source([1, 2, 3])
    virtually(Graphline(start.outbox >> pool.inbox, pool.failures >> failures.inbox))
    assert sorted(seen) == [1, 3]
    assert pool.failed == 1
    (failure,) = failures._axon.result
    assert (failure.path, str(failure.error)) == ("Graphline/Pool/Pipeline-2", "cannot stand 2")
    assert "Graphline/Pool/Pipeline-2 failed and was isolated: ValueError: cannot stand 2" in caplog.text


def test_rule_27_without_isolation_the_usual_rule_holds():
    seen.clear()
    with pytest.raises(ComponentsFailed):
        virtually(source([1, 2, 3]) | Pool(False))


# -- rule 29: deadlock --------------------------------------------------------------------------------


def test_rule_29_a_ring_that_waits_is_a_deadlock_and_says_who_waits_for_what():
    first, second = copy().named("first"), copy().named("second")
    with pytest.raises(Deadlock) as error:
        virtually(Graphline(first.outbox >> second.inbox, second.outbox >> first.inbox))
    text = str(error.value)
    assert "Graphline/first waits to receive from Graphline/first.inbox" in text
    assert "Graphline/second waits to receive from Graphline/second.inbox" in text


def test_rule_29_a_ring_blocked_on_sends_is_one_feedback_or_not():
    class Pushes(Component):
        inbox = Inbox[int]("one", size=1)

        async def main(self):
            for number in range(3):
                await self.outbox.send(number)

    first, second = Pushes(), Pushes()
    with pytest.raises(Deadlock, match="waits to send to"):
        virtually(Graphline(first.outbox >> second.inbox, Link(second.outbox, first.inbox, feedback=True)))


def test_rule_29_feedback_links_end_at_rest():
    first, second = copy(), copy()
    virtually(Graphline(first.outbox >> second.inbox, Link(second.outbox, first.inbox, feedback=True)))


def test_rule_29_inside_holds_end_at_rest():
    assert virtually(Held() | collect) == []


def test_rule_29_a_time_out_is_a_sleep():
    class Waits(Component):
        inbox = Inbox[int]("nothing comes", held=True)

        async def main(self):
            try:
                await self.inbox.receive(timeout=100)
            except TimeoutError:
                return "time-out"

    assert virtually(Waits()) == "time-out"


def test_rule_29_somebody_elses_time_out_is_a_sleep_too():
    class Waits(Component):
        inbox = Inbox[int]("nothing comes", held=True)

        async def main(self):
            try:
                async with asyncio.timeout(100):
                    await self.helper()
            except TimeoutError:
                log.append(asyncio.get_running_loop().time())
            async with asyncio.timeout(None):
                return await self.helper()  # this one really waits for ever

        async def helper(self):
            return await self.inbox.receive()

    log: list[float] = []
    assert virtually(Waits()) is None
    assert log == [100.0]


def test_rule_29_an_outside_holder_may_still_put_something_in():
    end = collect()
    hold = end.inbox.hold(outside=True)
    threading.Timer(0.05, lambda: end.get_loop().call_soon_threadsafe(hold.release)).start()
    assert run(end) == []


def test_rule_29_a_feedback_link_also_ends_when_its_loop_is_idle_whatever_else_runs():
    class Loop(Component):
        back = Inbox[int]("what came round")

        async def main(self):
            from kamaelia import select

            got = []
            async for box, number in select(self.inbox, self.back):
                got.append((box.name, number))
                if box is self.inbox:
                    await self.outbox.send(number)
            times.append(asyncio.get_running_loop().time())
            return got

    times: list[float] = []
    loop, round_, start = Loop(), copy(), source([1, 2])
    virtually(
        Graphline(
            start.outbox >> loop.inbox,
            loop.outbox >> round_.inbox,
            Link(round_.outbox, loop.back, feedback=True),
        ),
        after(100),
    )
    assert sorted(loop._axon.result) == [("back", 1), ("back", 2), ("inbox", 1), ("inbox", 2)]
    assert times == [0.0]


# -- rule 30: results ---------------------------------------------------------------------------------


def test_rule_30_what_run_returns():
    @component
    async def returns(inbox, outbox, value):
        return value

    assert virtually(returns(1)) == 1
    assert virtually(returns(1) | returns(2)) == 2
    assert virtually(Graphline(returns(1), returns(2))) is None
    assert virtually(returns(1), returns(2)) == [1, 2]


def test_rule_30_a_stopped_part_returns_what_its_main_returned():
    @component
    async def counts(inbox, outbox):
        ticks = 0
        try:
            while True:
                await sleep(1)
                ticks += 1
        except Cancelled:
            return ticks

    assert virtually(counts(), stay(), Stop(5.5)) == [5, None, None]


@pytest.mark.parametrize(
    "system", [lambda: source([1]) | copy | collect, lambda: source([1]) | script_copy | collect]
)
def test_rule_30_nothing_is_left_of_a_system(system):
    made = system()
    references = [weakref.ref(made), *(weakref.ref(child) for child in made.children)]
    run(made)
    del made
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)
    assert threading.active_count() == 1


# -- what a review has found -----------------------------------------------------------------------------


@component
async def fail_after(inbox, outbox, messages=(), seconds=1.0):
    """Send some messages, then fail."""
    for message in messages:
        await outbox.send(message)
    await sleep(seconds)
    raise ValueError("boom")


def test_rule_26_the_direct_reader_of_a_failed_component_gets_source_failed():
    seen: list[Any] = []

    @component
    async def writer(inbox, outbox):
        try:
            async for message in inbox:
                seen.append(message)
        except BaseException as error:
            seen.append(type(error))
            raise

    with pytest.raises(ComponentsFailed, match=r"1 component\(s\) failed: Pipeline/fail_after"):
        virtually(fail_after([1]) | writer())
    assert seen == [1, SourceFailed]


def test_rule_26_who_still_works_on_a_message_of_the_failed_finishes_it_and_then_learns_of_the_failure():
    seen: list[Any] = []

    @component
    async def slow(inbox, outbox):
        async for message in inbox:
            await sleep(1.5)  # half a second after the failure, within its grace
            await outbox.send(message)

    end = collect(into=seen)
    with pytest.raises(ComponentsFailed):
        virtually(fail_after(["in hand"]) | slow() | end)
    assert seen == ["in hand"]
    assert (end._axon.outcome, str(end._axon.cause)) == ("broken", "boom")


def test_rule_06_the_end_of_somebody_elses_box_is_a_failure_also_in_a_task_group():
    @component
    async def reader_of(inbox, outbox, other):
        async with asyncio.TaskGroup() as group:
            group.create_task(receive(other))

    async def receive(other):
        await other.inbox.receive()

    other = after(5)
    with pytest.raises(ComponentsFailed) as caught:
        virtually(reader_of(other), other)
    (error,) = caught.value.exceptions
    assert isinstance(error, EndOfMessages) and error.__notes__ == ["in reader_of"]


def test_rule_06_an_end_that_a_component_has_made_up_is_a_failure():
    @component
    async def makes_up(inbox, outbox):
        raise ExceptionGroup("g", [EndOfMessages("mine")])

    with pytest.raises(ComponentsFailed) as caught:
        virtually(makes_up())
    assert [str(error) for error in caught.value.exceptions] == ["mine"]


def test_rule_26_a_failure_that_shares_a_group_with_a_cancellation_is_an_ordinary_failure():
    @component
    async def mixed(inbox, outbox):
        raise BaseExceptionGroup("g", [Cancelled(), ValueError("one"), KeyError("two")])

    with pytest.raises(ComponentsFailed) as caught:
        virtually(mixed())
    assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]
    assert [error.__notes__ for error in caught.value.exceptions] == [["in mixed"], ["in mixed"]]


def test_rule_26_keyboard_interrupt_in_a_group_passes_bare():
    @component
    async def mixed(inbox, outbox):
        raise BaseExceptionGroup("g", [KeyboardInterrupt("now"), ValueError("one")])

    with pytest.raises(KeyboardInterrupt, match="now"):
        virtually(mixed())


def test_rule_25_who_fails_at_the_release_of_a_hold_does_not_stop_the_stop(caplog):
    log = []

    class Holder(Component):
        inbox = Inbox("x", held=True)

        async def main(self):
            first, second = self.inbox.hold(outside=True), self.inbox.hold(outside=True)
            first.on_release = lambda: 1 / 0
            second.on_release = lambda: log.append("second")
            async for _ in self.inbox:
                pass
            log.append("end")

    virtually(Holder(), Stop(1))
    assert log == ["second", "end"]
    (record,) = caplog.records
    assert record.getMessage() == "on_release of a hold on Holder.inbox failed"


def test_rule_29_when_a_feedback_link_has_ended_its_sender_goes_on():
    log: list[Any] = []

    @component
    async def up_to_five(inbox, outbox):
        async for number in inbox:
            if number < 5:
                await outbox.send(number + 1)

    @component
    async def count(inbox, outbox):
        number = 0
        async for message in inbox:
            number += 1
            await outbox.send(message)
        await outbox.send(("total", number))

    @component
    async def sieve(inbox, outbox):
        async for message in inbox:
            if isinstance(message, tuple):
                log.append(message)
            else:
                await outbox.send(message)
        log.append("end")

    s, a, b, c = source([1]), up_to_five(), count(), sieve()
    virtually(
        Graphline(
            s.outbox >> a.inbox,
            a.outbox >> b.inbox,
            b.outbox >> c.inbox,
            Link(c.outbox, a.inbox, feedback=True),
        )
    )
    assert log == [("total", 4), "end"]


def test_rule_27_an_error_without_a_text_is_isolated_like_any_other(caplog):
    class BadText(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    @component
    async def bad(inbox, outbox):
        raise BadText

    class Server(Component):
        async def main(self):
            self.add(bad(), isolated=True)
            await sleep(1)
            return "well"

    assert virtually(Server()) == "well"
    (record,) = caplog.records
    assert record.getMessage().startswith("Server/bad failed and was isolated: BadText")


@component
async def stubborn(inbox, outbox):
    while True:
        try:
            await sleep(100)
        except BaseException:  # as beginners write
            pass


def test_rule_25_who_swallows_cancelled_is_named_and_left_behind():
    start = time.monotonic()
    with pytest.raises(GraceExceeded) as caught:
        virtually(stubborn(), Stop(1))
    assert "stubborn: test_rules_ending.py" in str(caught.value)
    assert "await sleep(100)" in str(caught.value)
    assert time.monotonic() - start < 30  # it has ended at all


def test_rule_26_who_swallows_cancelled_does_not_keep_a_failed_chassis_alive(caplog):
    class Server(Component):
        async def main(self):
            pair = self.add(Graphline(stubborn(), fail_after()), isolated=True)
            while not pair.done():
                await sleep(0.5)
            return clock()

    with pytest.raises(
        GraceExceeded, match="stubborn was cancelled and had not ended 10 s later; it was left"
    ):
        virtually(Server())
    left, failed = (record.getMessage() for record in caplog.records)
    assert left.startswith("Server/Graphline/stubborn was cancelled and had not ended 10 s later; it was")
    assert failed.startswith("Server/Graphline failed and was isolated: ValueError: boom")


def test_rule_27_an_end_that_escapes_from_child_failed_is_a_failure_of_the_chassis():
    class Server(Component):
        inbox = Inbox("ends at once")

        def child_failed(self, child, error):
            self.inbox.receive_nowait()

        async def main(self):
            self.add(fail_after(), isolated=True)
            await sleep(5)

    with pytest.raises(ComponentsFailed) as caught:
        virtually(Server())
    (error,) = caught.value.exceptions
    assert isinstance(error, EndOfMessages) and error.__notes__ == ["in Server"]
