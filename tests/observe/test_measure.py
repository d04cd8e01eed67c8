"""Measures that components make with one line."""

from __future__ import annotations

import asyncio
import contextvars
import json
import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kamaelia import Component, clock, component, run, sleep
from kamaelia.axon import ComponentsFailed, Inbox, System, UsageError, VirtualLoop
from kamaelia.chassis import Backoff, Parallel, Supervisor
from kamaelia.flow import Source
from kamaelia.observe import Gauge, Sketch, Summary, Tally, count, level, measure, measures, total
from kamaelia.observe.measure import MOST_NAMES, MOST_PATHS, OTHERS, keep


def measured(part: Any, **options: Any) -> dict[str, dict[str, Any]]:
    """Run a part in virtual time, and return what its system has measured."""
    run(part, loop_factory=VirtualLoop, **options)
    return measures(part.system)


# -- the three kinds --------------------------------------------------------------------------------


def test_all_three_kinds_of_body_may_measure() -> None:
    @component
    async def coroutine(inbox: Any, outbox: Any) -> None:
        async for message in inbox:
            count("seen")
            measure("size", message)
            await outbox.send(message)

    @component
    def generator(inbox: Any, outbox: Any) -> Iterator[Any]:
        while True:
            message = yield inbox.receive()
            count("seen")
            measure("size", message)
            yield outbox.send(message)

    @component
    def script(inbox: Any, outbox: Any) -> None:
        for message in inbox:
            count("seen")
            measure("size", message)

    found = measured(Source([1, 2, 3]) | coroutine() | generator() | script())
    expected = {"seen": Tally(3, 3), "size": Summary(Sketch([1, 2, 3]))}
    assert found == {f"Pipeline/{name}": expected for name in ("coroutine", "generator", "script")}


def test_a_count_may_be_of_anything_that_can_be_added() -> None:
    @component
    async def counts(inbox: Any, outbox: Any) -> None:
        count("bytes", 1000, "B")
        count("bytes", 500)
        count("hours", 0.25, unit="h")
        count("owed", -3)

    assert measured(counts()) == {
        "counts": {"bytes": Tally(1500, 2, "B"), "hours": Tally(0.25, 1, "h"), "owed": Tally(-3, 1)}
    }


def test_a_level_is_weighed_by_time_exactly() -> None:
    @component
    async def buffer(inbox: Any, outbox: Any) -> None:
        await sleep(5)  # before the first call there is no level
        for value, seconds in ((3, 0.1), (0, 0.2), (7, 0.3), (0, 0), (1, 0.4)):
            level("buffer", value, "frames")
            await sleep(seconds)

    gauge = measured(buffer())["buffer"]["buffer"]
    assert gauge == Gauge(mean=(0.3 + 2.1 + 0.4), min=0, max=7, empty=0.2, seconds=1.0, unit="frames")
    assert str(gauge) == "mean 2.8 frames, min 0 frames, max 7 frames, 20 % of 1 s at 0"


def test_a_level_for_no_time_is_what_it_is() -> None:
    @component
    async def brief(inbox: Any, outbox: Any) -> None:
        level("one", 4)
        level("none", 0)

    found = measured(brief())["brief"]
    assert found == {"one": Gauge(4, 4, 4, 0.0, 0.0), "none": Gauge(0, 0, 0, 1.0, 0.0)}


def test_a_level_goes_on_to_the_end_of_its_component_and_no_further() -> None:
    @component
    async def brief(inbox: Any, outbox: Any) -> None:
        level("n", 2)
        await sleep(1)
        level("n", 4)
        await sleep(1)

    @component
    async def long(inbox: Any, outbox: Any) -> Any:
        await sleep(1.5)
        early = measures(part.system)["Parallel/brief"]["n"]
        await sleep(10)
        return early

    last = long()
    part = Parallel(brief(), last)
    found = measured(part)["Parallel/brief"]["n"]
    assert found == Gauge(3.0, 2, 4, 0.0, 2.0)
    assert last.result() == Gauge((2 * 1 + 4 * 0.5) / 1.5, 2, 4, 0.0, 1.5)


# -- whose they are ---------------------------------------------------------------------------------


def test_tasks_and_threads_of_a_component_measure_for_it() -> None:
    def work() -> None:
        count("done")

    async def task() -> None:
        await sleep(0.1)
        count("done")
        await asyncio.to_thread(work)

    @component
    async def worker(inbox: Any, outbox: Any) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(task())

    @component
    def script(inbox: Any, outbox: Any) -> None:
        helper = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        helper.start()
        helper.join()

    found = measured(Parallel(worker(), script()))
    assert found == {"Parallel/worker": {"done": Tally(6, 6)}, "Parallel/script": {"done": Tally(1, 1)}}


def test_threads_lose_no_count() -> None:
    def work() -> None:
        for n in range(20_000):
            count("done")
            measure("number", n % 100)

    @component
    async def worker(inbox: Any, outbox: Any) -> None:
        await asyncio.gather(*[asyncio.to_thread(work) for _ in range(4)])

    part = worker()
    run(part, slow_step=0)
    found = measures(part.system)["worker"]
    assert found["done"] == Tally(80_000, 80_000)
    assert found["number"].count == 80_000


def test_siblings_have_rows_of_their_own_in_the_order_of_first_use() -> None:
    @component
    async def late(inbox: Any, outbox: Any, seconds: float) -> None:
        await sleep(seconds)
        count("n", seconds)

    found = measured(Parallel(late(3), late(1), late(2)))
    assert found == {
        "Parallel/late-2": {"n": Tally(1, 1)},
        "Parallel/late-3": {"n": Tally(2, 1)},
        "Parallel/late": {"n": Tally(3, 1)},
    }
    assert list(found) == ["Parallel/late-2", "Parallel/late-3", "Parallel/late"]


def test_who_comes_later_to_the_same_path_adds_to_it() -> None:
    @component
    async def visitor(inbox: Any, outbox: Any, number: int) -> None:
        count("visits")
        measure("number", number)
        level("number of", number)
        await sleep(number)

    class Server(Component):
        async def main(self) -> None:
            for number in (1, 2, 3):
                self.add(visitor(number))
                await sleep(5)

    (path, row), *others = measured(Server()).items()
    assert (path, others) == ("Server/visitor", [])
    assert row["visits"] == Tally(3, 3)
    assert row["number"] == Summary(Sketch([1, 2, 3]))
    assert row["number of"] == Gauge(pytest.approx(14 / 6), 1, 3, 0.0, 6.0)


def test_each_life_under_a_supervisor_has_its_row() -> None:
    class Fails(Component):
        async def main(self) -> None:
            async for message in self.inbox:
                count("seen")
                if message == 2:
                    raise ValueError(message)

    found = measured(Source([1, 2, 3]) | Supervisor(Fails(), backoff=Backoff(first=0.5)))
    assert {path.rpartition("/")[2]: row["seen"].total for path, row in found.items()} == {
        "life-1": 2,
        "life-2": 1,
    }


def test_a_system_that_measures_nothing_keeps_nothing() -> None:
    part = Source([1])
    assert measured(part) == {}
    assert part.system.measures is None


def test_two_systems_share_nothing() -> None:
    @component
    async def one(inbox: Any, outbox: Any) -> None:
        count("n")

    first, second = one(), one()
    assert measured(first) == measured(second) == {"one": {"n": Tally(1, 1)}}


def test_real_time_measures_too() -> None:
    @component
    async def waits(inbox: Any, outbox: Any) -> None:
        level("n", 3)
        began = clock()
        await sleep(0.01)
        measure("waited", clock() - began, "s")

    part = waits()
    run(part)
    found = measures(part.system)["waits"]
    assert 1 < found["n"].mean <= 3  # a loaded machine may be late to say so
    assert 0.005 < found["waited"].min < 5  # uvloop counts milliseconds
    assert found["n"].seconds >= 0.005


# -- bounds -----------------------------------------------------------------------------------------


def test_of_very_many_paths_the_later_share_a_row() -> None:
    @component
    async def visitor(inbox: Any, outbox: Any) -> None:
        count("visits")
        measure("size", 7)

    class Server(Component):
        async def main(self) -> None:
            for n in range(MOST_PATHS + 50):
                self.add(visitor(), name=f"visitor {n}")
                await sleep(0.001)
            self.most = len(self.system.measures.live)

    part = Server()
    found = measured(part)
    assert part.most <= 2
    assert len(found) == MOST_PATHS + 1
    assert found[OTHERS] == {"visits": Tally(50, 50), "size": Summary(Sketch([7] * 50))}
    assert total(row["visits"] for row in found.values()) == Tally(MOST_PATHS + 50, MOST_PATHS + 50)


def test_of_very_many_names_the_later_share_one() -> None:
    @component
    async def careless(inbox: Any, outbox: Any) -> None:
        for n in range(MOST_NAMES + 5):
            count(f"from 10.0.0.{n}")
            measure(f"size of 10.0.0.{n}", 3)
            count(f"from 10.0.0.{n}")

    found = measured(careless())["careless"]
    assert len(found) == MOST_NAMES + 2
    assert found["from 10.0.0.7"] == Tally(2, 2)
    assert found["(other counts)"].total == 2 * (MOST_NAMES + 5 - MOST_NAMES // 2)
    assert found["(other measures)"].count == MOST_NAMES + 5 - MOST_NAMES // 2


# -- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "verb"), [(count, "count"), (measure, "measure"), (level, "level")])
def test_outside_of_a_component_nobody_measures(call: Any, verb: str) -> None:
    with pytest.raises(UsageError, match=rf"{verb}\('n'\): a measure belongs to a component"):
        call("n", 1)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: measure("n", math.nan), "nan cannot be measured: give a finite number"),
        (lambda: measure("n", "much"), "'much' cannot be measured"),
        (lambda: level("n", math.inf), "inf is no level"),
        (lambda: level("n", "full"), "'full' is no level"),
        (lambda: count("n", "one"), r"count\(by='one'\): give a number"),
        (lambda: count(7), r"count\(7, unit=''\): give texts for name and unit"),  # type: ignore[arg-type]
        (lambda: count([]), r"count\(\[\], unit=''\): give texts"),  # type: ignore[arg-type]
        (lambda: measure("n", 1, 2), r"measure\('n', unit=2\): give texts"),  # type: ignore[arg-type]
        (lambda: (count("n"), level("n", 1)), r"level\('n'\): wrong has a measure of this name already"),
        (lambda: (level("n", 1), measure("n", 1)), r"measure\('n'\): wrong has a measure of this name"),
    ],
)
def test_what_cannot_be_meant_is_refused(call: Any, says: str) -> None:
    @component
    async def wrong(inbox: Any, outbox: Any) -> None:
        call()

    with pytest.raises(ComponentsFailed) as failed:
        run(wrong(), loop_factory=VirtualLoop)
    (error,) = failed.value.exceptions
    assert isinstance(error, UsageError)
    with pytest.raises(UsageError, match=says):
        raise error


# -- others ------------------------------------------------------------------------------------------


def test_totals_are_of_one_kind() -> None:
    gauges = [Gauge(2, 1, 3, 0.0, 1.0, "frames"), Gauge(5, 0, 8, 0.5, 3.0)]
    assert total(gauges) == Gauge(4.25, 0, 8, 0.375, 4.0, "frames")
    assert total([Gauge(1, 1, 1, 0.0, 0.0), Gauge(3, 3, 3, 0.0, 0.0)]).mean == 2
    assert total([]) is None
    with pytest.raises(UsageError, match="are not of one kind"):
        total([Tally(1, 1), Gauge(1, 1, 1, 0, 1)])


def test_results_are_plain_values_for_json() -> None:
    assert json.loads(json.dumps(Tally(3, 2, "B").as_dict())) == {
        "kind": "tally",
        "total": 3,
        "calls": 2,
        "unit": "B",
    }
    assert Gauge(1.5, 0, 3, 0.25, 4.0).as_dict() == {
        "kind": "gauge",
        "mean": 1.5,
        "min": 0,
        "max": 3,
        "empty": 0.25,
        "seconds": 4.0,
        "unit": "",
    }


def test_another_kind_may_be_kept() -> None:
    class Words:
        def result(self, now: int) -> tuple[str, int]:
            return "so far", now

    class Speaks(Component):
        inbox = Inbox[Any]("words")

        async def main(self) -> None:
            keep(self._axon, "words", Words())
            await sleep(2)
            with pytest.raises(UsageError, match="measures two things by the name 'words'"):
                keep(self._axon, "words", Words())
            with pytest.raises(UsageError, match="of another kind"):
                count("words")

    assert measured(Speaks()) == {"Speaks": {"words": ("so far", 2 * 10**9)}}


def test_namesakes_that_measure_something_else_stay_apart() -> None:
    class Server(Component):
        async def main(self) -> None:
            for call in (count, level, count, level):
                self.add(visitor(call), name="visitor")
                await sleep(1)

    @component
    async def visitor(inbox: Any, outbox: Any, call: Any) -> None:
        call("n", 1)

    found = measured(Server())
    assert found == {"Server/visitor": {"n": Tally(2, 2), "n (gauge)": Gauge(1, 1, 1, 0.0, 0.0)}}


def test_the_system_of_a_component_is_asked() -> None:
    loop = VirtualLoop()
    assert measures(System(loop)) == {}
    loop.close()
