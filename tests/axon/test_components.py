"""What a component is and offers, beyond the thirty rules."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from kamaelia import Component, Graphline, Outbox, Pipeline, background, component, sleep
from kamaelia.axon import Failure, UsageError, make

from .parts import collect, copy, source, stay, virtually


def test_cancelling_a_chassis_cancels_what_is_in_it():
    log: list[str] = []

    class Parent(Component):
        async def main(self):
            inner = self.add(Pipeline(Pipeline(stay(log)), collect()))
            self.get_loop().call_later(1, inner.cancel)

    virtually(Parent())
    assert log == ["CancelledError"]


def test_cancelling_a_component_with_children_cancels_them_when_its_body_has_ended():
    log: list[str] = []

    class Inner(Component):
        async def main(self):
            self.add(stay(log))
            try:
                await self.get_loop().create_future()
            finally:
                log.append("main")

    class Parent(Component):
        async def main(self):
            inner = self.add(Inner())
            self.get_loop().call_later(1, inner.cancel)

    virtually(Parent())
    assert log == ["main", "CancelledError"]


def test_a_time_out_in_main_leaves_the_children_alone():
    log: list[str] = []

    class Parent(Component):
        async def main(self):
            self.add(source(["from the child"], log))
            child = self.add(stay(log))
            try:
                async with asyncio.timeout(1):
                    await asyncio.sleep(10)
            except TimeoutError:
                log.append("time-out")
            log.append(child._axon.state)
            child.cancel()

    virtually(Parent())
    assert log == ["from the child", "time-out", "waiting", "CancelledError"]


def test_names_of_siblings_are_told_apart_by_numbers_that_are_not_used_twice():
    class Parent(Component):
        async def main(self):
            paths = [self.add(copy()).path for _ in range(3)]
            await self.get_loop().create_task(_nap())  # they end
            paths.append(self.add(copy()).path)
            paths.append(self.add(copy(), name="special").path)
            return paths

    async def _nap():
        await asyncio.sleep(1)

    assert virtually(Parent()) == [
        "Parent/copy",
        "Parent/copy-2",
        "Parent/copy-3",
        "Parent/copy-4",
        "Parent/special",
    ]


def test_a_name_has_no_slash():
    with pytest.raises(UsageError, match="has no '/'"):
        copy().named("a/b")


def test_the_users_names_are_the_users():
    class Mine(Component):
        def __init__(self) -> None:
            self.path, self.children, self.system, self.name, self.result = "my path", [], "mine", "me", 5
            self._state = self._wait = self._process = None

        async def main(self) -> Any:
            self.done = True
            return self.path, self.name, self.result

    assert virtually(Mine()) == ("my path", "me", 5)


def test_nothing_can_be_added_to_a_chassis_that_has_ended():
    class Parent(Component):
        async def main(self): ...

    parent = Parent()
    virtually(parent)
    with pytest.raises(UsageError, match="Parent has ended"):
        parent.add(copy())


def test_pipelines_grow_without_nesting_and_a_part_stays_usable_as_a_pattern():
    front = copy() | copy()
    whole = source([1]) | front | collect()
    assert [child.path for child in whole.children] == [
        "Pipeline/source",
        "Pipeline/copy",
        "Pipeline/copy-2",
        "Pipeline/collect",
    ]
    assert virtually(whole) == [1]
    again = make(front)
    assert virtually(source([2]) | again | collect()) == [2]


def test_a_pipeline_that_has_a_name_stays_one():
    named = (copy() | copy()).named("twice")
    whole = source([1]) | named | collect()
    assert [child.path for child in whole.children] == [
        "Pipeline/source",
        "Pipeline/twice",
        "Pipeline/collect",
    ]
    assert virtually(whole) == [1]


def test_the_repr_shows_how_it_was_made_and_then_how_it_is():
    made = source([1, 2])
    assert repr(made) == "source([1, 2])"
    virtually(made)
    assert repr(made) == "<source: ended>"


def test_arguments_that_hold_no_component_are_shared_with_the_pattern():
    shared: list[int] = []
    pattern = source([1, 2, 3], shared)
    virtually(make(pattern) | collect())
    assert shared == [1, 2, 3]


def test_a_context_variable_set_before_run_reaches_every_component():
    import contextvars

    setting: contextvars.ContextVar[str] = contextvars.ContextVar("setting", default="none")

    class Reads(Component):
        async def main(self):
            return setting.get()

    def within():
        setting.set("mine")
        return virtually(Reads(), copy() | Reads())

    assert contextvars.copy_context().run(within) == ["mine", "mine"]


def test_an_isolated_failure_is_one_line_and_never_blocks_nor_crashes(caplog):
    class Makes(Component):
        failures = Outbox[Failure]("what failed", optional=True)

        async def main(self):
            for _ in range(1300):
                self.add(fails(), isolated=True)
            await sleep(1)
            return self.failures.statistics().dropped

    class Slow(Component):
        async def main(self):
            await sleep(5)
            return len([failure async for failure in self.inbox])

    @component
    async def fails(inbox, outbox):
        raise ValueError("over\nseveral lines")

    maker, reader = Makes(), Slow()
    virtually(Graphline(maker.failures >> reader.inbox))
    assert (maker._axon.result, reader._axon.result) == (1200, 100)
    assert len(caplog.records) == 1300
    assert caplog.records[0].getMessage() == (
        "Graphline/Makes/fails failed and was isolated: ValueError: over several lines "
        f"(test_components.py:{fails.function.__code__.co_firstlineno + 2} in fails)"
    )


def test_a_background_system_that_waits_for_its_handle_is_in_no_deadlock():
    log: list[str] = []

    @component
    async def endless(inbox, outbox):
        number = 0
        try:
            while True:
                await outbox.send(number)
                number += 1
        finally:
            log.append("stopped")

    with background(endless()) as handle:
        assert [handle.receive() for _ in range(500)] == list(range(500))
    assert log == ["stopped"]


def test_what_was_sent_into_a_background_system_is_finished_when_the_block_is_left():
    written: list[int] = []

    @component
    async def write(inbox, outbox):
        async for number in inbox:
            await asyncio.sleep(0.001)
            written.append(number)
            await outbox.send(number)

    with background(write()) as handle:
        for number in range(50):
            handle.send(number)
    assert written == list(range(50))


def test_a_program_whose_standard_input_is_closed_runs(tmp_path):
    program = (
        "from kamaelia import run\n"
        "from kamaelia.flow import Collect, Source\n"
        "print(run(Source('ab') | Collect()))"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&-', sys.executable, program], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "['a', 'b']\n", "")


def test_arguments_that_nobody_takes_are_refused():
    class Bare(Component):
        pass

    class Made(Component):
        def __new__(cls, number):
            return super().__new__(cls, number)

    class Mixin:
        def __init__(self, number):
            self.number = number

    class Mixed(Mixin, Component):
        pass

    for arguments in ({"number": 1}, {"*": (1,)}):
        with pytest.raises(TypeError, match=r"^Bare\(\) takes no arguments$"):
            Bare(*arguments.pop("*", ()), **arguments)
    assert repr(Bare()) == "Bare()"
    assert repr(make(Made(1))) == "Made(1)"
    assert make(Mixed(2)).number == 2
