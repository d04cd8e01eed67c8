"""Where threads, signals and foreign tasks meet a system: of rules 3, 4, 7, 21, 22, 23, 25, 26, 29 and 30."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import datetime
import itertools
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, background, component, run, sleep
from kamaelia.axon import (
    BrokenLink,
    Cancelled,
    ClosedBox,
    ComponentsFailed,
    Deadlock,
    EndOfMessages,
    Link,
    SourceFailed,
    VirtualLoop,
    clock,
    core,
    scheduler,
)
from kamaelia.axon.watchdog import Watchdog

from .parts import after, collect, copy, source, stay, take, virtually

LOOPS = [asyncio.SelectorEventLoop, None]  # asyncio's own, and the default: uvloop's where it is installed
PATIENCE = 30  # seconds after which something that should have happened has not


def press() -> None:
    """Press Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


# -- rules 25 and 26: interrupts ----------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
def test_rule_26_an_interrupt_while_the_watchdog_ends_is_not_swallowed(loop, monkeypatch):
    stop = Watchdog.stop

    def interrupted(self):
        stop(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Watchdog, "stop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(source([1]) | collect(), loop_factory=loop)


@pytest.mark.parametrize("loop", [*LOOPS, VirtualLoop])
def test_rule_25_a_second_ctrl_c_within_axon_is_raised_only_when_all_have_ended(loop):
    """It lands while Axon tells a chassis that its child has failed. Raised there, it would get lost, or end
    the telling, and the chassis would never end."""
    log: list[str] = []

    @component
    async def bad(inbox, outbox):
        raise ValueError

    class Chassis(Component):
        failures = Outbox[Any]("of the bad one", optional=True)

        def __init__(self) -> None:
            self.add(bad(), isolated=True)
            self.add(stay(log))

        def child_failed(self, child, error):
            press()
            press()
            log.append("told")

    chassis = Chassis()
    with pytest.raises(KeyboardInterrupt):
        run(chassis, loop_factory=loop)
    assert log == ["told", "CancelledError"]
    assert chassis.done()


@pytest.mark.parametrize("loop", [*LOOPS, VirtualLoop])
def test_rule_25_a_second_ctrl_c_in_a_body_is_raised_there(loop):
    """It may be in an endless loop."""
    log: list[str] = []

    @component
    async def busy(inbox, outbox):
        while True:
            press()

    with pytest.raises(KeyboardInterrupt):
        run(stay(log), busy(), loop_factory=loop)
    assert log == ["CancelledError"]


@pytest.mark.parametrize("loop", [*LOOPS, VirtualLoop])
def test_rule_25_a_second_ctrl_c_in_a_task_of_a_component_is_raised_there(loop):
    log: list[str] = []

    async def busy():
        while True:
            press()

    @component
    async def starts_one(inbox, outbox):
        task = asyncio.create_task(busy())
        try:
            await sleep(1e9)
        except Cancelled:
            log.append("cancelled")
            with pytest.raises(KeyboardInterrupt):
                await task
            raise

    with pytest.raises(KeyboardInterrupt):
        run(starts_one(), loop_factory=loop)
    assert log == ["cancelled"]


@pytest.mark.parametrize("loop", [*LOOPS, VirtualLoop])
def test_rule_25_a_body_cannot_keep_the_second_ctrl_c_for_itself(loop):
    @component
    async def greedy(inbox, outbox):
        for _ in range(2):
            with contextlib.suppress(KeyboardInterrupt):
                press()
        with contextlib.suppress(Cancelled):
            await sleep(1e9)

    with pytest.raises(KeyboardInterrupt):
        run(greedy(), loop_factory=loop)


@pytest.mark.parametrize("loop", [*LOOPS, VirtualLoop])
def test_rule_25_a_third_ctrl_c_leaves_run_although_somebody_does_not_end(loop):
    raised: list[int] = []

    @component
    async def stubborn(inbox, outbox):
        for number in (1, 2, 3):
            try:
                press()
            except KeyboardInterrupt:
                raised.append(number)
        while True:
            with contextlib.suppress(Cancelled):
                await sleep(1e9)

    with pytest.raises(KeyboardInterrupt):
        run(stubborn(), grace=1e6, loop_factory=loop)
    assert raised == [2, 3]


@pytest.mark.parametrize("loop", [*LOOPS, VirtualLoop])
def test_rule_25_a_ctrl_c_while_the_loop_is_closed_raises_keyboardinterrupt(loop):
    """The first one is a stop, and there is nothing left to stop; the second does not wait any longer."""
    log: list[str] = []

    async def does_not_end():
        try:
            await asyncio.sleep(1e9)
        finally:
            log.append("closing")
            press()
            asyncio.get_running_loop().call_soon(press)
            await asyncio.sleep(1e9)

    @component
    async def starts_one(inbox, outbox):
        tasks.append(asyncio.create_task(does_not_end()))

    tasks: list[Any] = []
    with pytest.raises(KeyboardInterrupt):
        run(starts_one(), loop_factory=loop)
    assert log == ["closing"]
    tasks[0]._log_destroy_pending = False  # it is what this is about


def test_rule_25_handlers_of_signals_are_put_back():
    before = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    run(source([1]) | collect())
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == before


HAMMER = """
import asyncio, collections, os, random, signal, sys, threading, time
from kamaelia import component, run

@component
async def source(inbox, outbox):
    number = 0
    while True:
        await outbox.send(number)
        number += 1

@component
async def sink(inbox, outbox):
    async for _ in inbox:
        pass

pressed = []

def press():
    time.sleep(0.02)
    for _ in range(presses):
        if over.is_set():
            return
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(random.random() * 0.004)

def guard():
    while True:
        time.sleep(0.5)
        if pressed and time.monotonic() - pressed[-1] > 10:
            os._exit(9)

signal.signal(signal.SIGINT, signal.default_int_handler)  # it may have been inherited as ignored
loop, slow_step, presses = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
threading.Thread(target=guard, daemon=True).start()
outcomes = collections.Counter()
for _ in range(60):
    over = threading.Event()
    pressed.clear()
    thread = threading.Thread(target=press, daemon=True)
    try:
        thread.start()
        try:
            run(
                source() | sink(),
                slow_step=slow_step,
                loop_factory=asyncio.SelectorEventLoop if loop == "asyncio" else None,
            )
            outcomes["stopped"] += 1
        except KeyboardInterrupt:
            outcomes["interrupted"] += 1
        over.set()
        thread.join()
    except KeyboardInterrupt:  # it came just after the run
        over.set()
        thread.join()
assert not [thread for thread in threading.enumerate() if "watchdog" in thread.name]
assert set(outcomes) <= {"stopped", "interrupted"} and outcomes["interrupted"], outcomes
"""


@pytest.mark.soak
@pytest.mark.parametrize("presses", [2, 3])
@pytest.mark.parametrize("slow_step", [0, 0.5])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_rule_25_two_ctrl_c_in_quick_succession_never_hang(loop, slow_step, presses):
    command = [sys.executable, "-c", HAMMER, loop, str(slow_step), str(presses)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")


def test_other_threads_have_a_chance_beside_a_busy_system(monkeypatch):
    chances: list[int] = []
    monkeypatch.setattr(scheduler, "stand_back", lambda: chances.append(done))
    monkeypatch.setattr(scheduler, "STRETCH", 16)
    monkeypatch.setattr(scheduler, "monotonic", itertools.count().__next__)  # a second for each slice
    slices = 16 * scheduler.SLICE
    done = 0

    @component
    async def busy(inbox, outbox):
        nonlocal done
        for done in range(2 * slices + 1):  # noqa: B007
            await asyncio.sleep(0)

    virtually(busy())
    # The first step of all is that of what stands around the system.
    assert chances == [slices - 2, 2 * slices - 2]


# -- rules 23 and 30: being awaited on a loop that runs already -----------------------------------------


def test_rule_30_who_awaits_a_system_and_is_cancelled_twice_leaves_when_it_has_ended():
    log: list[tuple[str, float]] = []

    @component
    async def tidies_up(inbox, outbox):
        now = asyncio.get_running_loop().time
        try:
            await asyncio.sleep(100)
        finally:
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(5)
                log.append(("ended", now()))

    async def main():
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(tidies_up().run())
        loop.call_later(1, task.cancel)
        loop.call_later(2, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        log.append(("left", loop.time()))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())
    assert log == [("ended", 7.0), ("left", 7.0)]


def test_rule_23_who_awaits_a_child_that_fails_gets_its_failure_and_never_none():
    """Its chassis fails, and it may go on for as long as it is fed; but there is no result to go on with."""
    log: list[Any] = []

    @component
    async def bad(inbox, outbox):
        await sleep(0.1)
        raise ValueError("bad")

    class Waits(Component):
        async def main(self) -> None:
            await self.inbox.receive()
            try:
                log.append(await bad().run())
            except SourceFailed as error:
                log.append((str(error), error.__cause__))
                raise

    @component
    async def feeds(inbox, outbox):
        await outbox.send(1)
        await asyncio.sleep(3)
        await outbox.send(2)

    waits = Waits()
    with pytest.raises(ComponentsFailed) as failed:
        virtually(feeds() | waits)
    (failure,) = failed.value.exceptions
    assert str(failure) == "bad"
    assert log == [("Pipeline/Waits/bad has failed, so it has no result", failure)]


def test_rule_23_who_awaits_a_child_that_fails_and_is_fed_by_nobody_is_cancelled():
    log: list[str] = []

    @component
    async def bad(inbox, outbox):
        raise ValueError("bad")

    class Waits(Component):
        async def main(self) -> None:
            try:
                await bad().run()
            except BaseException as error:
                log.append(type(error).__name__)
                raise

    with pytest.raises(ComponentsFailed):
        virtually(Waits())
    assert log == ["CancelledError"]


def test_rule_23_who_awaits_a_child_gets_what_its_main_returned():
    class Waits(Component):
        async def main(self) -> Any:
            return await take(0).run()

    assert virtually(Waits()) == []


# -- rule 4: who is told that nobody listens ------------------------------------------------------------


def test_rule_04_who_asks_for_a_name_is_not_interrupted_when_nobody_listens():
    class Asks(Component):
        async def main(self) -> Any:
            await self.outbox.send(1)
            answer = await self.system.names.ask("answer")
            with pytest.raises(BrokenLink):
                await sleep(1)
            return answer

    class Answers(Component):
        inbox = outbox = None

        async def main(self) -> None:
            await sleep(2)
            self.system.names.offer("answer", 42, self)
            await sleep(2)

    asks = Asks()
    virtually(asks | take(1), Answers())
    assert asks.result() == 42


def test_rule_29_who_asks_for_a_name_that_nobody_will_offer_is_at_rest():
    class Asks(Component):
        async def main(self) -> Any:
            await self.system.names.ask("answer")

    with pytest.raises(Deadlock, match="Asks waits to ask for 'answer'"):
        virtually(Asks())


# -- rule 29: rest that comes about outside of a step ----------------------------------------------------


def ring(first: Any) -> Graphline:
    """Make a ring of two in which nobody ever sends anything."""
    second = copy()
    return Graphline(first.outbox >> second.inbox, second.outbox >> first.inbox)


def when_it_ends(part: Any) -> float:
    """Say at what time a system ends in a deadlock, beside a timer that has nothing to do with it."""
    times: list[float] = []

    @component
    async def first(inbox, outbox):
        asyncio.get_running_loop().call_later(1000, lambda: None)
        kept = part(inbox)
        try:
            async for message in inbox:
                await outbox.send(message)
        finally:
            times.append(clock())
            del kept

    with pytest.raises(Deadlock):
        virtually(ring(first()))
    return times[0]


def test_rule_29_a_deadlock_is_seen_when_the_last_foreign_task_has_ended():
    assert when_it_ends(lambda inbox: asyncio.create_task(asyncio.sleep(3))) == 3


def test_rule_29_a_deadlock_is_seen_when_the_last_of_several_foreign_tasks_has_ended():
    def several(inbox):
        return [asyncio.create_task(asyncio.sleep(seconds)) for seconds in (1, 3, 2)]

    assert when_it_ends(several) == 3


def test_rule_29_a_deadlock_is_seen_when_the_last_outside_hold_is_released_by_a_callback():
    def released(inbox):
        return asyncio.get_running_loop().call_later(3, inbox.hold(outside=True).release)

    assert when_it_ends(released) == 3


def test_rule_29_a_deadlock_is_seen_when_an_inbox_held_from_outside_is_closed_by_a_callback():
    times: list[float] = []

    class First(Component):
        def __init__(self) -> None:
            self.spare = self.add_box("spare", Inbox[Any]("from outside"))
            self.spare.hold(outside=True)

        async def main(self) -> None:
            loop = asyncio.get_running_loop()
            loop.call_later(3, self.spare.close)
            loop.call_later(1000, lambda: None)
            try:
                await self.inbox.receive()
            finally:
                times.append(clock())

    with pytest.raises(Deadlock):
        virtually(ring(First()))
    assert times == [3]


def test_rule_29_a_deadlock_is_seen_in_real_time_too():
    @component
    async def first(inbox, outbox):
        tasks.append(asyncio.create_task(asyncio.sleep(0.01)))
        await inbox.receive()

    tasks: list[Any] = []
    with pytest.raises(Deadlock):
        run(ring(first()))


@pytest.mark.parametrize("busy_one_first", [False, True])
def test_rule_29_a_feedback_link_ends_whichever_wire_of_a_boundary_came_first(busy_one_first):
    """The loop goes through one of two readers behind a boundary; the other is no part of it."""
    ends: dict[str, float] = {}

    @component
    async def counts(inbox, outbox):
        await outbox.send(0)
        async for number in inbox:
            await sleep(1)
            if number < 4:
                await outbox.send(number + 1)
        ends["counts"] = clock()

    @component
    async def busy(inbox, outbox):
        async for _ in inbox:
            await sleep(50)
        ends["busy"] = clock()

    in_the_loop, beside = counts(), busy()
    wires = [Link("self.inbox", beside.inbox), Link("self.inbox", in_the_loop.inbox)]
    inner = Graphline(*(wires if busy_one_first else wires[::-1]), in_the_loop.outbox >> "self.outbox")
    virtually(Graphline(Link(inner.outbox, inner.inbox, feedback=True)))
    assert ends == {"counts": 5, "busy": 250}


class OwnTimeOut:
    """Somebody's own context manager, which enters one of asyncio's."""

    def __init__(self, seconds: float) -> None:
        self.limit = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self.limit.__aenter__()

    async def __aexit__(self, *error: Any) -> Any:
        return await self.limit.__aexit__(*error)


class OwnStack(OwnTimeOut):
    """The same, with a stack of managers."""

    def __init__(self, seconds: float) -> None:
        self.limit: Any = contextlib.AsyncExitStack()
        self.seconds = seconds

    async def __aenter__(self) -> None:
        await self.limit.enter_async_context(asyncio.timeout(self.seconds))


@pytest.mark.parametrize("manager", [OwnTimeOut, OwnStack])
def test_rule_29_a_time_limit_in_somebody_elses_manager_is_no_deadlock(manager):
    @component
    async def first(inbox, outbox):
        with pytest.raises(TimeoutError):
            async with manager(3):
                await inbox.receive()
        return clock()

    part = first()
    virtually(ring(part))
    assert part.result() == 3


# -- rule 7: time-outs of a handle -----------------------------------------------------------------------


def test_rule_07_a_handle_that_times_out_loses_no_message():
    @component
    async def in_bursts(inbox, outbox):
        for number in range(1000):
            await outbox.send(number)
            if number % 3 == 0:
                await asyncio.sleep(0.0002)

    got = []
    with background(in_bursts()) as handle:
        while True:
            try:
                got.append(handle.receive(timeout=0.0002))
            except TimeoutError:
                pass
            except EndOfMessages:
                break
    assert got == list(range(1000))


def test_rule_07_time_outs_of_a_handle_say_what_did_not_happen():
    with pytest.raises(KeyError), background(stay()) as handle:
        with pytest.raises(TimeoutError, match=r"^the system sent nothing from outbox within 0\.01 s$"):
            handle.receive(timeout=0.01)
        for number in range(99):
            handle.send(number, timeout=PATIENCE)
        with pytest.raises(TimeoutError, match=r"^stay\.inbox was still full after 0\.01 s$"):
            handle.send(99, timeout=0.01)
        assert handle.component.inbox.statistics().waiting == 100  # it is in the inbox all the same
        raise KeyError  # a stop would wait for somebody to read that


# -- rule 21: threads --------------------------------------------------------------------------------------


def test_rule_21_a_thread_that_asks_after_the_last_turn_of_the_loop_gets_closedbox():
    posted = threading.Event()

    class Loop(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, *args: Any, **options: Any) -> Any:
            handle = super().call_soon_threadsafe(*args, **options)
            posted.set()
            return handle

    async def never_begun():
        raise AssertionError

    def asks():
        try:
            scheduler.ask(never_begun())
        except ClosedBox as error:
            raised.append(str(error))

    raised: list[str] = []
    loop = Loop()
    scheduler = core.Scheduler(loop)
    thread = threading.Thread(target=asks, daemon=True)
    thread.start()
    assert posted.wait(PATIENCE)
    loop.close()
    scheduler.close()
    thread.join(PATIENCE)
    asks()  # nor does who asks later
    assert raised == ["the system has ended: nothing can be sent into it or received from it any more"] * 2


def test_rule_21_threads_that_send_while_the_block_is_left_get_closedbox():
    def sends(handle):
        try:
            while True:
                handle.send(1)
        except BaseException as error:
            errors.append(type(error))

    errors: list[type[BaseException]] = []
    for _ in range(30):
        errors.clear()
        with background(copy()) as handle:
            threads = [threading.Thread(target=sends, args=(handle,), daemon=True) for _ in range(3)]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert len(errors) == 3 and set(errors) <= {ClosedBox, BrokenLink}


def test_rule_21_helper_threads_of_a_script_may_use_its_boxes_in_virtual_time():
    times: list[float] = []

    @component
    def script(inbox, outbox):
        with concurrent.futures.ThreadPoolExecutor() as helpers:
            list(helpers.map(outbox.send, range(3)))
            list(helpers.map(outbox.send, range(3, 6)))
        times.append(clock())
        sleep(2)
        times.append(clock())

    got, _ = virtually(script() | collect(), after(1))
    assert sorted(got) == [0, 1, 2, 3, 4, 5]
    assert times == [0, 2]  # the clock stands still while the script is busy, whatever its helpers do


def test_rule_21_a_helper_thread_of_a_script_may_receive_in_virtual_time():
    @component
    def script(inbox, outbox):
        with concurrent.futures.ThreadPoolExecutor() as helpers:
            return [helpers.submit(inbox.receive).result() for _ in range(3)]

    assert virtually(source("abc") | script()) == ["a", "b", "c"]


def test_rule_21_a_script_without_helpers_takes_the_same_steps_each_time():
    def steps() -> list[tuple[float, str, int]]:
        log: list[tuple[float, str, int]] = []

        @component
        def script(inbox, outbox, name):
            for number in range(5):
                log.append((clock(), name, number))
                sleep(number % 2)
                outbox.send(number)

        virtually(script("first") | collect(), script("second") | collect())
        return log

    assert steps() == steps()


# -- rule 3: leaving a block by an exception ---------------------------------------------------------------


def test_rule_03_other_threads_see_a_failure_when_background_is_left_by_an_exception():
    @component
    async def endless(inbox, outbox):
        while True:
            await outbox.send(1)
            await asyncio.sleep(0)

    def receives(handle):
        try:
            for _ in handle:
                received.set()
            ends.append("commit")
        except BaseException as error:
            ends.append(error)

    ends: list[Any] = []
    received = threading.Event()
    left = KeyError("left")
    with pytest.raises(KeyError), background(endless()) as handle:
        thread = threading.Thread(target=receives, args=(handle,), daemon=True)
        thread.start()
        assert received.wait(PATIENCE)
        raise left
    thread.join(PATIENCE)
    (end,) = ends
    assert type(end) in (SourceFailed, ClosedBox)  # waiting, or about to ask
    if type(end) is SourceFailed:
        assert end.__cause__ is left


def test_rule_03_other_threads_that_wait_see_a_failure_when_background_is_left_by_an_exception():
    def receives(handle):
        waiting.set()
        try:
            handle.receive()
        except BaseException as error:
            ends.append(error)

    ends: list[Any] = []
    waiting = threading.Event()
    left = KeyError("left")
    with pytest.raises(KeyError), background(stay()) as handle:
        thread = threading.Thread(target=receives, args=(handle,), daemon=True)
        thread.start()
        assert waiting.wait(PATIENCE)
        while not handle._front.received["outbox"].statistics().readers:
            handle.send(None)  # a turn for the loop
        raise left
    thread.join(PATIENCE)
    (end,) = ends
    assert type(end) is SourceFailed
    assert end.__cause__ is left


def test_rule_03_other_threads_that_wait_for_room_get_an_error_with_a_sentence():
    def sends(handle):
        try:
            while True:
                handle.send(1)
        except BaseException as error:
            ends.append(error)

    ends: list[Any] = []
    with pytest.raises(KeyError), background(stay()) as handle:
        threads = [threading.Thread(target=sends, args=(handle,), daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        while handle.component.inbox.statistics().senders < 3:
            with contextlib.suppress(TimeoutError):
                handle.receive(timeout=0.001)  # a turn for the loop
        raise KeyError
    for thread in threads:
        thread.join(PATIENCE)
    assert len(ends) == 3
    for end in ends:
        assert type(end) in (ClosedBox, BrokenLink) and str(end)


# -- rule 22, and scripts that end oddly -------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["x", None, datetime.timedelta(seconds=1)])
def test_rule_22_sleep_says_what_to_give_it(wrong):
    @component
    async def sleeps(inbox, outbox):
        with pytest.raises(TypeError, match="give a number of seconds, such as sleep"):
            await sleep(wrong)
        return "said"

    assert virtually(sleeps()) == "said"


def test_rule_19_a_script_that_raises_stopiteration_says_what_happened():
    @component
    def script(inbox, outbox):
        next(iter([]))

    with pytest.raises(ComponentsFailed) as failed:
        virtually(script())
    (error,) = failed.value.exceptions
    assert str(error) == (
        "script raised StopIteration: a next() in it has met the end of what it goes through; catch that, or "
        "give next() something to return instead"
    )
    assert type(error.__cause__) is StopIteration
