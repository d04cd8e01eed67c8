from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from typing import Any

import pytest

from kamaelia import Component, background, component, run, sleep
from kamaelia.axon import Deadlock, System, core
from kamaelia.axon.system import default_loop_factory
from kamaelia.flow import Collect, Map, Source
from kamaelia.observe.diagnosis import Diagnosis, diagnose, find
from kamaelia.observe.watch import Watch, watch_of

from .zoo.healthy import HEALTHY
from .zoo.keeper import Animal, Findings, complaints, examine_all
from .zoo.stalls import STALLS

pytestmark = pytest.mark.slow  # real systems, in real time

STALLED_AT_ONCE, BUSY_AT_ONCE = 20, 3  # the first mostly wait, the others want all of the processor
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": None}


@functools.cache
def findings(form: str, loop: str) -> dict[str, Findings | Exception]:
    """Examine the whole zoo on one form of the core; it takes seconds, and there are many tests of it."""
    assert core.form == form
    found = examine_all(STALLS, STALLED_AT_ONCE, LOOPS[loop])
    return found | examine_all(HEALTHY, BUSY_AT_ONCE, LOOPS[loop])


def check(animal: Animal, found: dict[str, Findings | Exception]) -> None:
    one = found[animal.name]
    if isinstance(one, Exception):
        raise one
    assert complaints(animal, one.outside) == []
    if animal.inside:
        assert one.inside is not None
        assert complaints(animal, one.inside) == []


# The plain form runs on asyncio's loop and the compiled one on uvloop; `make soak` has all four.


@pytest.mark.slow
@pytest.mark.parametrize("animal", STALLS, ids=lambda animal: animal.name)
def test_the_culprit_of_a_stall_is_named(animal: Animal, core_form: str) -> None:
    check(animal, findings(core_form, "uvloop" if core_form == "compiled" else "asyncio"))


@pytest.mark.slow
@pytest.mark.parametrize("animal", HEALTHY, ids=lambda animal: animal.name)
def test_nobody_is_named_in_a_system_that_is_well(animal: Animal, core_form: str) -> None:
    check(animal, findings(core_form, "uvloop" if core_form == "compiled" else "asyncio"))


def test_there_are_twenty_of_each_and_every_kind_is_there() -> None:
    assert len(STALLS) >= 20 and len(HEALTHY) >= 20
    assert {animal.kind for animal in STALLS} == {
        *("busy-step", "stuck-group", "full-box", "slow-consumer", "outside")
    }
    assert all(animal.culprit is not None for animal in STALLS)


BUSY = "import time\nend = time.monotonic() + 600\nwhile time.monotonic() < end: pass"


@pytest.mark.soak
@pytest.mark.parametrize("loop", LOOPS)
def test_the_whole_zoo_twenty_times_under_load(loop: str, core_form: str) -> None:
    load = [subprocess.Popen([sys.executable, "-S", "-c", BUSY]) for _ in range(2)]
    wrong: list[str] = []
    try:
        for _ in range(20):
            found = examine_all(STALLS, STALLED_AT_ONCE, LOOPS[loop])
            found |= examine_all(HEALTHY, BUSY_AT_ONCE, LOOPS[loop])
            for animal in [*STALLS, *HEALTHY]:
                try:
                    check(animal, found)
                except AssertionError as error:
                    wrong.append(f"{animal.name}: {error}")
    finally:
        for one in load:
            one.kill()
            one.wait()
    assert wrong == []


# -- asking -------------------------------------------------------------------------------------------


def test_a_system_that_nobody_looks_at_is_looked_at_for_a_moment_when_another_thread_asks() -> None:
    @component
    async def slow(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await sleep(0.05)

    with background(slow()) as handle:
        for number in range(100):
            handle.send(number)
        assert handle._system is not None
        found = diagnose(handle._system)
        handle._leave(ValueError("enough"))
    # What comes from the program is held up, too; and whoever asks has looked for long enough.
    assert found.kind == "slow-consumer"
    assert found.culprit == "slow"
    assert "slow holds up what comes from outside" in found.sentence


def test_who_asks_from_within_for_the_first_time_is_not_told_of_one_instant() -> None:
    asked: list[Diagnosis] = []

    @component
    async def ask(inbox: Any, outbox: Any) -> None:
        await sleep(0.01)
        from kamaelia.axon import current_component

        asked.append(current_component().system.diagnose())
        async for _ in inbox:
            pass

    run(Source(range(1000)) | Map(str) | ask())
    assert [one.kind for one in asked] == ["none"]


def test_a_group_that_waits_for_itself_is_seen_at_the_first_look_from_within() -> None:
    asked: list[Diagnosis] = []

    class Polite(Component):
        async def main(self) -> None:
            await self.outbox.send(await self.inbox.receive())

    class Around(Component):
        async def main(self) -> None:
            a, b = self.add(Polite()), self.add(Polite())
            self.link(a.outbox, b.inbox)
            self.link(b.outbox, a.inbox)
            await sleep(0.01)
            asked.append(self.system.diagnose())

    with pytest.raises(Deadlock):
        run(Around())
    assert [one.kind for one in asked] == ["stuck-group"]
    assert set(asked[0].group) == {"Around/Polite", "Around/Polite-2"}


def test_in_virtual_time_it_is_virtual_seconds_that_count() -> None:
    from kamaelia.axon import VirtualLoop

    asked: list[Diagnosis] = []

    class Ask(Component):
        inbox = None
        outbox = None

        async def main(self) -> None:
            for _ in range(10):
                asked.append(self.system.diagnose())
                await sleep(0.1)
            self.system.cancel()

    @component
    async def slow(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await sleep(5)

    run(Source(range(10**6)) | slow(), Ask(), loop_factory=VirtualLoop)
    assert asked[-1].kind == "slow-consumer"
    assert asked[-1].culprit == "Pipeline/slow"
    assert "has taken no message for" in asked[-1].sentence


def test_who_sends_to_the_program_that_does_not_receive_waits_for_that() -> None:
    with background(Source(range(10**9)) | Map(str)) as handle:
        assert handle.receive() == "0"
        assert handle._system is not None
        found = diagnose(handle._system)
    assert (found.kind, found.culprit) == ("outside", "Pipeline/Map")
    assert "call handle.receive()" in found.sentence


def test_a_system_that_is_over_holds_up_nobody() -> None:
    made: list[System] = []

    @component
    async def note(inbox: Any, outbox: Any) -> None:
        from kamaelia.axon import current_component

        made.append(current_component().system)
        async for _ in inbox:
            pass

    run(Source("ab") | note())
    assert diagnose(made[0]).sentence == "nobody holds up anybody: nothing runs"


def test_a_sentence_counts_what_components_do() -> None:
    said: list[str] = []

    class Ask(Component):
        async def main(self) -> None:
            await self.inbox.receive()
            await sleep(0.01)
            said.append(str(find(watch_of(self.system))))

    run(Source([1]) | Ask() | Collect())
    assert said == [
        "nobody holds up anybody: of 2 components 1 running and 1 waiting for messages",
    ]


def test_one_who_holds_back_on_purpose_is_not_named_while_something_passes() -> None:
    class Slowly(Component):
        holds_back = True

        async def main(self) -> None:
            async for message in self.inbox:
                await sleep(0.05)
                await self.outbox.send(message)

    async def serve() -> list[str]:
        system = System(asyncio.get_running_loop(), slow_step=0)
        system.start(Source(range(10**9)) | Slowly() | Map(int))
        watch, found = Watch(system), []
        for _ in range(15):
            await asyncio.sleep(watch.look())
            found.append(find(watch).kind)
        system.cancel()
        await system.wait()
        return found

    with asyncio.Runner(loop_factory=default_loop_factory()) as runner:
        assert set(runner.run(serve())) == {"none"}
