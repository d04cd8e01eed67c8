"""Rules 16 and 19 to 24 of the contract: bodies, threads, asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
import weakref
from typing import Any

import pytest

from kamaelia import Component, Inbox, Outbox, ScriptInbox, ScriptOutbox, clock, component, random, run, sleep
from kamaelia.axon import Cancelled, ComponentsFailed, GraceExceeded, UsageError, VirtualLoop

from .parts import Stop, collect, copy, generator_copy, script_copy, source, stay, virtually

# -- rule 19: three bodies ----------------------------------------------------------------------------


@pytest.mark.parametrize("body", [copy, generator_copy, script_copy])
@pytest.mark.parametrize("runs", [run, virtually])
def test_rule_19_the_three_bodies_do_the_same(body, runs):
    assert runs(source(range(250)) | body | collect) == list(range(250))


def test_rule_19_freely_mixed():
    assert virtually(source("abc") | copy | generator_copy | script_copy | copy | collect) == ["a", "b", "c"]


def test_rule_19_methods_of_a_class_too():
    class Generator(Component):
        def main(self):
            while True:
                yield self.outbox.send((yield self.inbox.receive()) + 1)

    class Script(Component):
        def main(self):
            for number in self.inbox:
                self.outbox.send(number * 2)

    assert virtually(source([1, 2]) | Generator | Script | collect) == [4, 6]


def test_rule_19_a_generator_may_yield_any_awaitable_and_call_helpers():
    async def answer():
        await asyncio.sleep(1)
        return 42

    def helper(outbox):
        yield outbox.send("from the helper")
        return "result"

    @component
    def generator(inbox, outbox):
        yield outbox.send((yield answer()))
        yield outbox.send((yield asyncio.gather(answer(), answer())))
        yield outbox.send((yield from helper(outbox)))
        yield

    assert virtually(generator | collect) == [42, [42, 42], "from the helper", "result"]


def test_rule_19_a_bare_yield_gives_others_a_turn():
    order: list[str] = []

    @component
    def polite(inbox, outbox, name):
        for _ in range(2):
            order.append(name)
            yield

    virtually(polite("a"), polite("b"))
    assert order == ["a", "b", "a", "b"]


def test_rule_19_exceptions_are_raised_where_a_generator_yields():
    @component
    def generator(inbox, outbox):
        try:
            yield asyncio.wait_for(asyncio.sleep(10), 1)
        except TimeoutError:
            return "time-out"

    assert virtually(generator()) == "time-out"


def test_rule_19_a_plain_def_that_returns_a_coroutine_is_an_error():
    async def other(inbox, outbox): ...

    @component
    def forgot(inbox, outbox):
        return other(inbox, outbox)

    with pytest.raises(ComponentsFailed) as failed:
        virtually(forgot())
    assert "is a plain function, which runs as a script in a thread of its own" in str(
        failed.value.exceptions[0]
    )
    assert "but it returned a coroutine" in str(failed.value.exceptions[0])


# -- rule 16 ------------------------------------------------------------------------------------------


def test_rule_16_text_is_str_and_the_wire_is_bytes():
    from kamaelia.flow import Encode, Lines

    assert Lines().inbox.type is bytes
    assert Lines().outbox.type is str
    assert Encode().inbox.type is str
    assert Encode().outbox.type is bytes


# -- rule 20: declarations ----------------------------------------------------------------------------


def test_rule_20_every_component_has_inbox_and_outbox_and_declarations_add():
    class Plain(Component): ...

    class More(Plain):
        control = Inbox[str]("more")
        inbox = None

    class Back(More):
        inbox = Inbox[int]("again")

    assert sorted(Plain().boxes) == ["inbox", "outbox"]
    assert sorted(More().boxes) == ["control", "outbox"]
    assert More().inbox is None
    assert sorted(Back().boxes) == ["control", "inbox", "outbox"]
    assert Plain().inbox is not Plain().inbox


def test_rule_20_box_parameters_come_first_and_the_rest_are_arguments():
    @component
    async def many(inbox: Inbox[int], outbox: Outbox[str], log: Outbox[str], factor: int, unit: str = "m"):
        async for number in inbox:
            await outbox.send(f"{factor * number} {unit}")

    made = many(3, unit="km")
    assert list(made.boxes) == ["inbox", "outbox", "log"]
    assert (made.inbox.type, made.log.type) == (int, str)
    assert virtually(source([1, 2]) | made | collect) == ["3 km", "6 km"]
    with pytest.raises(TypeError, match="missing a required argument: 'factor'"):
        many()


def test_rule_20_script_annotations_name_the_same_boxes():
    @component
    def shout(inbox: ScriptInbox[str], outbox: ScriptOutbox[str]):
        for line in inbox:
            outbox.send(line.upper())

    made = shout()
    assert (made.inbox.type, made.outbox.type) == (str, str)
    assert virtually(source(["a"]) | made | collect) == ["A"]


def test_rule_20_boxes_are_final():
    with pytest.raises(TypeError, match="final"):
        type("Mine", (Inbox,), {})
    with pytest.raises(TypeError, match="final"):
        type("Mine", (Outbox,), {})


# -- rule 21: threads ---------------------------------------------------------------------------------


def test_rule_21_a_script_has_a_thread_of_its_own_and_none_is_left():
    names: list[str] = []

    @component
    def script(inbox, outbox):
        names.append(threading.current_thread().name)

    run(script(), script())
    assert names == ["script", "script-2"]
    assert threading.active_count() == 1


def test_rule_21_iterating_on_the_loops_thread_is_an_error_that_says_async_for():
    @component
    async def wrong(inbox, outbox):
        for _ in inbox:
            pass

    with pytest.raises(ComponentsFailed) as failed:
        virtually(source([1]) | wrong)
    assert "write 'async for' in a coroutine" in str(failed.value.exceptions[0])


@pytest.mark.parametrize("runs", [run, virtually])
def test_rule_21_cancelling_a_script_raises_in_its_box_calls_and_sleep(runs):
    log: list[str] = []

    @component
    def receives(inbox, outbox):
        try:
            inbox.receive()
        except Cancelled:
            log.append("receive")
            outbox.send("finally may still send")
            raise

    @component
    def sleeps(inbox, outbox):
        try:
            sleep(1000)
        except Cancelled:
            log.append("sleep")
            raise

    class Cancels(Component):
        async def main(self):
            end = self.add(collect())
            first, second = self.add(receives()), self.add(sleeps())
            self.hold = first.inbox.hold()
            self.link(first.outbox, end.inbox)
            await sleep(0.01)
            first.cancel()
            second.cancel()
            self.end = end

    parent = Cancels()
    runs(parent)
    assert sorted(log) == ["receive", "sleep"]
    assert parent.end._axon.result == ["finally may still send"]


def test_rule_21_a_stuck_script_is_left_behind_and_named_with_its_line():
    release = threading.Event()

    @component
    def stuck(inbox, outbox):
        release.wait(60)

    with pytest.raises(GraceExceeded) as error:
        run(stuck(), Stop(0.01, grace=0.05))
    release.set()
    assert "stuck" in str(error.value)
    assert "release.wait(60)" in str(error.value)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(5)


def test_rule_21_in_virtual_time_scripts_run_one_at_a_time_and_the_clock_stands_still():
    order: list[Any] = []

    @component
    def script(inbox, outbox, name):
        for _ in range(3):
            before = clock()
            order.append((name, before))
            time.sleep(0.001)  # real work takes no virtual time
            assert clock() == before
            sleep(1)

    virtually(script("a"), script("b"))
    assert order == [(name, float(at)) for at in range(3) for name in "ab"]


# -- rule 22: sleep, clock, random --------------------------------------------------------------------


def test_rule_22_they_find_the_component_they_run_in():
    @component
    async def coroutine(inbox, outbox):
        await sleep(2)
        return clock(), random.random()

    @component
    def generator(inbox, outbox):
        yield sleep(2)
        return clock(), random.random()

    @component
    def script(inbox, outbox):
        sleep(2)
        return clock(), random.random()

    results = virtually(coroutine(), generator(), script(), seed=7)
    assert [at for at, _ in results] == [2.0, 2.0, 2.0]
    assert len({number for _, number in results}) == 3
    assert results == virtually(coroutine(), generator(), script(), seed=7)
    assert results != virtually(coroutine(), generator(), script(), seed=8)


def test_rule_22_one_component_that_draws_more_does_not_change_what_another_draws():
    @component
    async def draws(inbox, outbox, count):
        return [random.randrange(1000) for _ in range(count)]

    class Named(Component):
        async def main(self):
            await sleep(0)
            return random.randrange(10**9)

    first = virtually(draws(1), Named(), seed=1)[1]
    second = virtually(draws(100), Named(), seed=1)[1]
    assert first == second


def test_rule_22_outside_of_a_system_they_say_so():
    with pytest.raises(UsageError, match="belong to a component"):
        sleep(1)
    with pytest.raises(UsageError, match="belong to a component"):
        clock()
    with pytest.raises(UsageError, match="belong to a component"):
        random.random()


# -- rule 23: asyncio ---------------------------------------------------------------------------------


def test_rule_23_the_component_is_the_current_task_and_no_asyncio_task():
    class Looks(Component):
        async def main(self):
            assert asyncio.current_task() is self
            assert self not in asyncio.all_tasks()
            assert not isinstance(self, asyncio.Task)
            await asyncio.sleep(0)
            assert asyncio.current_task() is self
            return self.get_name()

    assert virtually(Looks()) == "Looks"


def test_rule_23_run_inside_a_running_loop_is_an_error_that_says_await():
    async def main():
        with pytest.raises(UsageError, match=r"write 'await system.run\(\)'"):
            run(collect())
        return await (source([1]) | collect()).run()

    assert asyncio.run(main()) == [1]


def test_rule_23_run_inside_a_component_makes_a_child():
    @component
    async def after_a_while(inbox, outbox):
        await sleep(1)
        async for message in inbox:
            await outbox.send(message)

    class Parent(Component):
        async def main(self):
            inner = source([1, 2]) | after_a_while() | collect()
            running = asyncio.ensure_future(inner.run())
            await asyncio.sleep(0.01)  # a moment for the task to begin
            path = inner._axon.path
            return path, await running

    assert virtually(Parent()) == ("Parent/Pipeline", [1, 2])


def test_rule_23_each_component_has_its_own_context():
    setting: contextvars.ContextVar[str] = contextvars.ContextVar("setting", default="none")

    @component
    async def sets(inbox, outbox, value):
        before = setting.get()
        setting.set(value)
        await sleep(1)
        return before, setting.get()

    assert virtually(sets("a"), sets("b")) == [("none", "a"), ("none", "b")]


def test_rule_23_the_contexts_of_others_are_not_kept_alive():
    class Big:
        pass

    held: contextvars.ContextVar[Any] = contextvars.ContextVar("held")
    gone: list[bool] = []

    @component
    async def sets(inbox, outbox):
        big = Big()
        held.set(big)
        references.append(weakref.ref(big))
        await outbox.send("wakes the other")

    references: list[Any] = []

    @component
    async def reads(inbox, outbox):
        await inbox.receive()
        await asyncio.sleep(1)
        gc.collect()
        gone.append(references[0]() is None)

    virtually(sets | reads)
    assert gone == [True]


@pytest.mark.parametrize("runs", [run, virtually])
def test_rule_23_boxes_may_be_awaited_from_any_task(runs):
    @component
    async def uses_all(inbox, outbox):
        got: list[Any] = []
        async with asyncio.TaskGroup() as group:
            task = group.create_task(take_one(inbox))
        got.append(task.result())
        got.extend(await asyncio.gather(inbox.receive(), inbox.receive()))
        got.append(await asyncio.wait_for(inbox.receive(), 5))
        async with asyncio.timeout(5):
            got.append(await inbox.receive())
        try:
            await asyncio.wait_for(never.receive(), 0.01)
        except TimeoutError:
            got.append("time-out")
        await asyncio.gather(*(outbox.send(message) for message in got))
        return got

    async def take_one(inbox):
        return await inbox.receive()

    class WithNever(Component):
        never = Inbox[Any]("nothing comes", held=True)

        async def main(self):
            nonlocal never
            never = self.never
            return await uses_all.function(self.inbox, self.outbox)

    never: Any = None
    end = collect()
    runs(source(range(5)) | WithNever() | end)
    assert end._axon.result == [0, 1, 2, 3, 4, "time-out"]


def test_rule_23_a_task_group_with_a_failure_cancels_and_fails():
    log: list[str] = []

    @component
    async def grouped(inbox, outbox):
        async def fails():
            await asyncio.sleep(1)
            raise ValueError("in the group")

        async def waits():
            try:
                await inbox.receive()
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            group.create_task(waits())

    with pytest.raises(ComponentsFailed) as failed:
        virtually(stay() | grouped)
    assert [str(error) for error in failed.value.exceptions] == ["in the group"]
    assert log == ["cancelled"]


# -- rule 24: what is awaited -------------------------------------------------------------------------


def test_rule_24_what_is_awaited_is_a_private_object():
    class Looks(Component):
        inbox = Inbox[int]("messages", held=True)

        async def main(self):
            for awaitable in (self.inbox.receive(), self.outbox.send(1), self.inbox.receive(timeout=1)):
                assert awaitable is not self.inbox and awaitable is not self.outbox
                assert not any(hasattr(awaitable, name) for name in ("close", "send", "throw"))
            self.inbox.release()

    virtually(Looks())


def test_rule_24_closing_a_waiting_coroutine_does_not_close_the_box():
    class Closes(Component):
        inbox = Inbox[int]("messages", held=True)

        async def main(self):
            async def wait():
                await self.inbox.receive()

            coroutine = wait()
            coroutine.send(None)
            readers = self.inbox.statistics().readers
            coroutine.close()
            await asyncio.sleep(0)  # and what was begun by hand does not confuse the next wait
            return readers, self.inbox.statistics().readers, self.inbox.closed

    assert virtually(Closes()) == (1, 0, False)


def test_the_virtual_loop_is_used():
    async def nap():
        await asyncio.sleep(100)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(nap()) == 100.0
