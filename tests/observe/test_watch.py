from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import Component, background, component, run, sleep
from kamaelia.axon import System, VirtualLoop
from kamaelia.chassis import PublishTo, SubscribeTo
from kamaelia.flow import Interval, Map, Null, Source
from kamaelia.observe.diagnosis import diagnose, find
from kamaelia.observe.subscription import subscribe
from kamaelia.observe.watch import Watch, watch_of

LIMIT = 20.0  # seconds after which what is waited for will not come


class Look(Component):
    """Calls a function with its system, and ends it."""

    inbox = None
    outbox = None

    def __init__(self, look: Callable[[System], Any], after: float = 0.02) -> None:
        self.look = look
        self.after = after
        self.found: Any = None

    async def main(self) -> None:
        await sleep(self.after)
        found = self.look(self.system)
        self.found = await found if asyncio.iscoroutine(found) else found
        self.system.stop()


def look_from_within(look: Callable[[System], Any], *parts: Any, **options: Any) -> Any:
    looking = Look(look)
    run(looking, *parts, **options)
    return looking.found


# -- what is seen ---------------------------------------------------------------------------------------


def test_in_virtual_time_it_is_known_to_the_second_what_each_has_done() -> None:
    @component
    async def slow(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await sleep(10)

    async def look(system: System) -> dict[str, tuple[float, str | None]]:
        watch = Watch(system)
        for _ in range(20):
            await sleep(0.25)
            watch.look()
        return {
            one.path: (one.blocked, one.blocked_on)
            for one in watch.snapshot().components
            if one.path.startswith("Pipeline")
        }

    found = look_from_within(look, Source(range(1000)) | slow(), loop_factory=VirtualLoop, grace=10**5)
    assert found["Pipeline/Source"] == (pytest.approx(5.0), "Pipeline/slow")
    assert found["Pipeline/slow"] == (0.0, None)


class RealTime:
    """What a watch takes for the real time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("kamaelia.observe.watch.monotonic", lambda: self.now)


def test_in_virtual_time_the_share_of_the_computing_is_one_of_real_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = RealTime(monkeypatch)
    made: list[Watch] = []

    @component
    async def heavy(inbox: Any, outbox: Any) -> None:
        while True:
            await sleep(3600)
            for _ in range(3):  # a step takes 60 ms, in which it is sampled three times
                real.now += 0.02
                for watch in made:
                    watch.sample()

    async def look(system: System) -> Any:
        watch = Watch(system)
        for _ in range(10):
            await sleep(3600)
        made.append(watch)
        watch.resume()
        found = []
        for _ in range(8):
            await sleep(3600)
            real.now += 0.02
            system.loop.call_soon(watch.sample)  # between two steps
            await sleep(0.001)
            watch.look()
            (times,) = [one for process, one in watch._times.items() if process.path == "heavy"]
            found.append((times.running_share, round(times.computing_share, 6)))
        blocked = times.blocked
        shot = watch.snapshot()
        watch.close()
        made.clear()
        return found, blocked, [one.running for one in shot.components], find(watch).kind

    found, blocked, running, kind = look_from_within(look, heavy(), loop_factory=VirtualLoop, grace=0)
    # Before there are twelve samples they say nothing; and hours of virtual time have passed meanwhile.
    assert found == [(0.0, 0.0)] * 2 + [(0.0, 0.75)] * 6
    assert blocked == 0.0
    assert running == [None, None]
    assert kind == "none"


def test_what_a_paused_simulation_has_computed_of_late_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    real = RealTime(monkeypatch)

    async def look(system: System) -> list[float]:
        watch = Watch(system)
        (times,) = [one for process, one in watch._times.items() if process.path == "Look"]
        for _ in range(50):  # all in this very step
            real.now += 0.02
            watch.sample()
        before = times.computing_share
        watch.look()

        def pause() -> None:
            for _ in range(100):  # in which no virtual time passes
                real.now += 0.02
                watch.sample()
                watch.look()

        system.loop.call_soon(pause)
        await sleep(0.001)
        return [before, times.computing_share]

    assert look_from_within(look, loop_factory=VirtualLoop) == [pytest.approx(1.0), 0.0]


def test_who_has_taken_no_step_is_in_the_wait_that_it_was_in() -> None:
    async def look(system: System) -> tuple[float, float]:
        watch = Watch(system)
        began = system.loop.time()
        for _ in range(5):
            await sleep(1)
            watch.look()
        times = {process.path: watch.times_of(process) for process in watch._times}
        idle, ticking = times["Pipeline/Null"], times["Pipeline-2/Null"]
        assert idle is not None and ticking is not None
        return began - idle.since, system.loop.time() - ticking.since

    found = look_from_within(look, Interval(3600) | Null(), Interval(0.7) | Null(), loop_factory=VirtualLoop)
    assert found == (0.0, 0.0)


def test_the_time_between_two_looks_is_uneven_and_grows_with_the_system() -> None:
    def look(system: System) -> list[float]:
        watch = Watch(system)
        return [watch.look() for _ in range(50)]

    pauses = look_from_within(look, Interval(1) | Null())
    assert 0.037 < min(pauses) < 0.045
    assert max(pauses) > 0.06
    assert len(set(pauses)) > 40


def test_a_closed_watch_gives_the_observer_back() -> None:
    def look(system: System) -> tuple[Any, Any, Any]:
        before = system.scheduler.observer
        watch = Watch(system)
        during = system.scheduler.observer
        watch.close()
        return before, during == watch._observe, system.scheduler.observer

    assert look_from_within(look) == (None, True, None)


def test_what_has_happened_is_numbered_and_told() -> None:
    @component
    async def fails(inbox: Any, outbox: Any) -> None:
        await inbox.receive()
        raise ValueError("no\nmore")

    async def look(system: System) -> Any:
        watch, heard = watch_of(system), []
        watch.listeners = (heard.append,)

        class Around(Component):
            def _child_over(self, child: Component, failure: Any) -> None:
                pass

        from kamaelia.chassis import Pool

        system.start(Source("a") | Pool(fails, 1))
        await sleep(0.1)
        return [(one.what, one.path, one.detail.partition(" (")[0]) for one in heard if "part-1" in one.path]

    found = look_from_within(look)
    assert found[:2] == [
        ("started", "Pipeline/Pool/copy-1/part-1", ""),
        ("failed", "Pipeline/Pool/copy-1/part-1", "ValueError: no more"),
    ]


def test_a_listener_that_fails_is_not_called_again(caplog: pytest.LogCaptureFixture) -> None:
    called: list[Any] = []

    async def look(system: System) -> None:
        def listen(event: Any) -> None:
            called.append(event)
            raise ValueError("no")

        watch_of(system).listeners = (listen,)
        system.start(Map(int))
        system.start(Map(int))
        await sleep(0.01)

    look_from_within(look)
    assert len(called) == 1
    assert "a listener of the watch failed" in caplog.text


def test_after_a_pause_what_was_done_in_it_is_not_known() -> None:
    async def look(system: System) -> Any:
        watch = Watch(system)
        for _ in range(5):
            await sleep(1)
            watch.look()
        await sleep(100)
        watch.resume()
        (times, *_) = [one for process, one in watch._times.items() if process.path == "Pipeline/Null"]
        return watch.watched, times.span, watch.fulls()

    assert look_from_within(look, Interval(3600) | Null(), loop_factory=VirtualLoop) == (5.0, 0.0, [])


# -- whose step it is -------------------------------------------------------------------------------------


def wait_until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def test_a_step_that_lasts_is_seen_with_its_line_and_forgotten_when_it_is_over() -> None:
    free = threading.Event()

    @component
    async def block(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            free.wait(LIMIT)  # it blocks

    with background(block(), slow_step=0) as handle:
        assert handle._system is not None
        watch = Watch(handle._system)
        handle._system.loop.call_soon_threadsafe(handle._front.holds["inbox"].send, 1)

        def stuck() -> bool:
            watch.sample()
            return watch.stuck is not None

        wait_until(stuck)
        assert watch.stuck is not None
        assert watch.stuck.path == "block"
        assert "in block: free.wait(LIMIT)  # it blocks" in watch.stuck.where
        assert 0.25 <= watch.stuck.seconds < LIMIT
        free.set()
        wait_until(lambda: not stuck())


def test_a_task_that_is_busy_but_lets_others_go_on_is_not_stuck() -> None:
    @component
    async def busy(inbox: Any, outbox: Any) -> None:
        async def work() -> None:
            while True:
                time.sleep(0.005)  # noqa: ASYNC251
                await asyncio.sleep(0)

        task = asyncio.create_task(work())
        await inbox.receive()
        task.cancel()

    with background(busy(), slow_step=0) as handle:
        assert handle._system is not None
        watch = Watch(handle._system)
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            watch.sample()
            assert watch.stuck is None
            time.sleep(0.01)


def test_steps_are_timed_for_a_moment_after_a_look_and_then_no_more() -> None:
    def spin(number: int) -> int:
        end = time.perf_counter() + 0.00002
        while time.perf_counter() < end:
            pass
        return number

    async def look(system: System) -> Any:
        watch = Watch(system)
        for _ in range(10):
            watch.look()
            assert system.scheduler.on_step is not None
            await sleep(0.03)
        wait = 0
        while system.scheduler.on_step is not None and wait < 200:
            await sleep(0.01)
            wait += 1
        shares = {process.path: times.running_share for process, times in watch._times.items()}
        return system.scheduler.on_step, shares["Pipeline/Map"], shares["Pipeline/Null"]

    after, heavy, light = look_from_within(look, Source(itertools.count()) | Map(spin) | Null())
    assert after is None
    assert heavy > 0.8
    assert light < 0.2


# -- other threads ------------------------------------------------------------------------------------------


class Turmoil(Component):
    """Makes and ends children and links, as many as it can."""

    inbox = None
    outbox = None

    def __init__(self, count: itertools.count[int]) -> None:
        self.made = count

    async def main(self) -> None:
        while True:
            for _ in range(20):
                self.add(Source(range(150)) | Map(str) | Short())
                self.add(SubscribeTo("room") | Null())
                self.add(Source(range(3)) | PublishTo("room"))
                next(self.made)
            here, there = self.add(Source(range(10**6))), self.add(Null())
            self.link(here.outbox, there.inbox)
            await sleep(0)
            for child in list(self._axon.children):
                if child.name.startswith(("Source", "Pipeline")) and child.number % 3 == 0:
                    child.cancel()
            await sleep(0.001)


class Short(Component):
    """Ends in various ways, before all has come."""

    async def main(self) -> None:
        async for number in self.inbox:
            if number == "100":
                await sleep(0.001)
                return


@pytest.mark.slow
def test_nothing_raises_while_thousands_come_and_go() -> None:
    count = itertools.count()
    with background(Turmoil(count), slow_step=0) as handle:
        system = handle._system
        assert system is not None
        watch = watch_of(system)
        watch.is_sampled = True
        looks = 0
        begun = time.monotonic()
        while (
            looks < 3 or time.monotonic() < begun + 1.5
        ):  # one takes half a second where thousands are there
            assert time.monotonic() < begun + LIMIT
            watch.sample()
            watch.look()
            shot = system.snapshot()
            assert type(shot).from_json(shot.to_json()) == shot
            assert find(watch).sentence
            assert system.diagnose().sentence
            looks += 1
        assert next(count) > 100
        system.loop.call_soon_threadsafe(system.cancel)
        handle._leave(ValueError("enough"))


def test_looks_from_several_threads_take_turns() -> None:
    with background(Source(itertools.count()) | Map(str) | Null(), slow_step=0) as handle:
        system = handle._system
        assert system is not None
        watch = watch_of(system)
        watch.is_sampled = True
        errors: list[BaseException] = []

        def look() -> None:
            try:
                for _ in range(10):
                    watch.snapshot()
                    diagnose(system)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(LIMIT)
        assert errors == []
        handle._leave(ValueError("enough"))


class Turn:
    """Stands for a lock that somebody else has just before."""

    def __init__(self, does: Callable[[], object]) -> None:
        self.does = does

    def __enter__(self) -> None:
        self.does()

    def __exit__(self, *_: object) -> None:
        pass


def test_who_begins_to_observe_at_the_same_moment_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(system: System) -> tuple[list[str], list[str], Any]:
        told: list[str] = []
        other: list[Callable[[], None]] = []

        def begins() -> None:
            if not other:
                other.append(subscribe(system.scheduler, lambda what, subject: told.append(what)))

        with monkeypatch.context() as patch:
            patch.setattr("kamaelia.observe.watch.TURN", Turn(begins))
            watch = Watch(system)
        seen: list[str] = []
        watch.listeners = (lambda event: seen.append(event.what),)
        system.start(Map(int))
        watch.close()
        other[0]()
        return told, seen, system.scheduler.observer

    told, seen, left = look_from_within(look)
    assert told[0] == seen[0] == "started"
    assert left is None


def test_a_system_has_one_watch_also_when_two_threads_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(system: System) -> tuple[Watch, Watch | None]:
        def another() -> None:
            system.watch = Watch(system)

        with monkeypatch.context() as patch:
            patch.setattr("kamaelia.observe.watch._FIRST", Turn(another))
            return watch_of(system), system.watch

    found, kept = look_from_within(look)
    assert found is kept
