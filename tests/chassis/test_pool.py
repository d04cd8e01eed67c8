"""Pool: copies of a part share the work."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from kamaelia.axon import (
    ComponentsFailed,
    Inbox,
    LinkError,
    Outbox,
    VirtualLoop,
    component,
    run,
    select,
    sleep,
)
from kamaelia.chassis import Pool, Sequential, Supervisor, Timeout
from kamaelia.flow import Batch, Collect, Delay, Filter, Interval, Map, Source, Take, Tee
from kamaelia.testing import drive


def virtually(*parts: Any) -> Any:
    return run(*parts, loop_factory=VirtualLoop)


@component
async def work(inbox: Inbox[float], outbox: Outbox[Any]) -> None:
    async for seconds in inbox:
        await sleep(seconds)
        await outbox.send(seconds)


@component
async def repeat(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    """Send each number as often as it says, taking a second for each."""
    async for number in inbox:
        for index in range(number):
            await sleep(1)
            await outbox.send((number, index))


@component
async def invert(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    async for number in inbox:
        await sleep(number)
        await outbox.send(1 / number)


@component
async def once(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    await outbox.send(-(await inbox.receive()))


@component
async def broken(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    raise OSError("no disk")


# --- who gets what --------------------------------------------------------------------------------


def test_the_copy_that_asks_first_gets_the_next_message() -> None:
    with drive(Pool(work, 2)) as pool:
        pool.send(10, 1, 1, 1)
        assert [child.path for child in pool.component.children] == ["Pool/copy-1", "Pool/copy-2"]
        pool.advance(3)
        assert pool.take_all() == [1, 1, 1]  # none has waited behind the long one
        pool.advance(7)
        assert pool.take_all() == [10]


def test_order_is_kept_if_it_is_asked_for() -> None:
    seconds = [3, 1, 2, 5, 1, 1, 1, 1, 9, 1, 1, 1]
    collect, started = Collect(), Source(seconds)
    virtually(started | Pool(work, 3, ordered=True) | collect)
    assert collect.messages == seconds


def test_none_or_many_results_of_a_message_stay_in_order() -> None:
    expected = [(n, index) for n in [3, 0, 2, 1, 0, 0, 1, 4] for index in range(n)]
    collect = Collect()
    assert virtually(Source([3, 0, 2, 1, 0, 0, 1, 4]) | Pool(repeat, 3, ordered=True) | collect) == expected


def test_results_of_the_oldest_message_come_as_they_are_ready() -> None:
    with drive(Pool(repeat, 2, ordered=True)) as pool:
        pool.send(3, 1)
        pool.advance(1)
        assert pool.take_all() == [(3, 0)]
        pool.advance(1)
        assert pool.take_all() == [(3, 1)]
        pool.advance(1)
        assert pool.take_all() == [(3, 2), (1, 0)]


@pytest.mark.parametrize("pattern", [work() | Map(str), Map(lambda n: n) | work() | Filter(bool) | Map(str)])
def test_a_pipeline_is_given_the_next_message_when_all_of_it_is_at_rest(pattern: Any) -> None:
    seconds = [3, 1, 2, 5, 1, 1]
    assert virtually(Source(seconds) | Pool(pattern, 3, ordered=True) | Collect()) == list(map(str, seconds))


def test_many_random_jobs_keep_their_order(seed: int) -> None:
    chance = random.Random(seed)
    jobs = [chance.choice([0, 0, 0.5, 1, 2, 3]) for _ in range(200)]
    size = chance.randrange(1, 8)
    assert virtually(Source(jobs) | Pool(work, size, ordered=True) | Collect()) == jobs
    assert sorted(virtually(Source(jobs) | Pool(work, size) | Collect())) == sorted(jobs)


def test_other_inboxes_go_to_every_copy_and_other_outboxes_come_out_together() -> None:
    @component
    async def scale(
        inbox: Inbox[float], factor: Inbox[float], outbox: Outbox[float], log: Outbox[str]
    ) -> None:
        value = 1.0
        async for box, message in select(factor, inbox, until=inbox):
            if box is factor:
                value = message
                await log.send(f"factor {message}")
            else:
                await outbox.send(value * message)

    for ordered in (False, True):
        with drive(Pool(scale, 3, ordered=ordered)) as pool:
            pool.send(10, box="factor")
            pool.send(1, 2, 3, 4)
            assert (pool.take_all(), pool.take_all("log")) == ([10, 20, 30, 40], ["factor 10"] * 3)


def test_a_part_of_which_several_inboxes_get_what_comes() -> None:
    pattern = Tee(Collect()) | Map(str)
    assert sorted(virtually(Source(range(5)) | Pool(pattern, 2) | Collect())) == list("01234")


@pytest.mark.parametrize(
    "pattern",
    [
        Map(str),
        Map(lambda n: n) | Map(str),
        Map(lambda n: n) | Delay(1) | Map(str),
        Map(lambda n: later(n), concurrency=3),
    ],
)
def test_where_it_is_known_how_many_results_there_are_they_are_counted(pattern: Any) -> None:
    numbers = list(range(30))
    collect = Collect()
    assert virtually(Source(numbers) | Pool(pattern, 3, ordered=True, results=1) | collect) == [
        str(n) for n in numbers
    ]


async def later(number: int) -> str:
    await sleep((number * 7) % 5)
    return str(number)


def test_copies_whose_results_are_counted_need_not_be_at_rest() -> None:
    with drive(Pool(Delay(10), 2, ordered=True, results=1)) as pool:
        pool.send(*range(6))
        pool.advance(10)
        assert pool.take_all() == [0, 1, 2, 3, 4, 5]


def test_what_a_copy_that_dies_leaves_undone_is_missing_and_nothing_else() -> None:
    with drive(Pool(Map(lambda n: n) | invert(), 2, ordered=True, results=1)) as pool:
        pool.send(1, 1, 0, 2, 4, 1)
        pool.close()
        pool.advance(30)
        got = pool.take_all()
        assert pool.outcome == "ended"
        assert got == [value for value in [1.0, 1.0, 0.5, 0.25, 1.0] if value in got]
        assert pool.component.failed == 1


def test_a_part_that_still_waits_for_a_time_is_not_at_rest() -> None:
    assert virtually(Source("abcde") | Pool(Delay(1), 2, ordered=True) | Collect()) == list("abcde")


def test_what_belongs_to_no_message_is_passed_on() -> None:
    @component
    async def chatty(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        await outbox.send("begin")
        async for message in inbox:
            await outbox.send(message)
        await sleep(1)
        await outbox.send("end")

    with drive(Pool(chatty, 2, ordered=True)) as pool:
        assert pool.take_all() == ["begin", "begin"]
        pool.send(1, 2)
        assert pool.take_all() == [1, 2]
        pool.close()
        assert (pool.finish(), pool.take_all()) == (None, ["end", "end"])


@pytest.mark.parametrize(
    "pattern",
    [Timeout(work(), idle=60), Supervisor(work), Sequential(Take(1), work), Pool(work, 1)],
    ids=["Timeout", "Supervisor", "Sequential", "Pool"],
)
def test_chassis_may_be_copies(pattern: Any) -> None:
    seconds = [3, 1, 2, 5, 1, 1, 4]
    assert virtually(Source(seconds) | Pool(pattern, 3, ordered=True) | Collect()) == seconds


def test_a_copy_that_is_never_seen_at_rest_is_told_of() -> None:
    @component
    async def two_tasks(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        async def work_on() -> None:
            async for message in inbox:
                await outbox.send(message)

        async with asyncio.TaskGroup() as group:
            group.create_task(work_on())

    assert virtually(Source("abc") | Pool(two_tasks, 2, ordered=True, results=1) | Collect()) == list("abc")
    with pytest.raises(ComponentsFailed) as caught:
        virtually(Source("abc") | Pool(two_tasks, 2, ordered=True) | Collect())
    assert "two_tasks takes messages while it does something else" in str(caught.value.exceptions[0]).replace(
        "part-1", "two_tasks"
    )


# --- back-pressure --------------------------------------------------------------------------------


def test_while_no_copy_asks_messages_wait_in_the_inbox() -> None:
    with drive(Pool(work, 2)) as pool:
        pool.send(*[1.0] * 101)
        assert not pool.full()  # two are in work
        pool.send(1.0)
        assert pool.full()
        assert pool.component.boxes["inbox"].statistics().waiting == 100


@pytest.mark.parametrize("ordered", [False, True])
def test_a_slow_reader_holds_the_copies_up(ordered: bool) -> None:
    with drive(Pool(Map(str), 2, ordered=ordered), sizes={"outbox": 1}) as pool:
        pool.send(*range(300))
        waiting = pool.component.boxes["inbox"].statistics().waiting
        assert waiting >= 300 - 1 - 2 * (100 + 100)
        assert sorted(pool.take_all(), key=int) == [str(n) for n in range(300)]


def test_how_far_others_run_ahead_of_a_slow_message_is_bounded() -> None:
    with drive(Pool(work, 2, ordered=True)) as pool:
        pool.send(1000.0, *[0.0] * 500)
        assert pool.component.boxes["inbox"].statistics().waiting == 501 - 1 - 100
        pool.advance(1000)
        assert pool.take_all() == [1000.0] + [0.0] * 500


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
def test_a_copy_that_fails_is_replaced_and_only_its_message_is_missing(ordered: bool) -> None:
    with drive(Pool(invert, 2, ordered=ordered)) as pool:
        pool.send(2, 0, 1, 0, 4)
        pool.close()
        pool.advance(10)
        assert (sorted(pool.take_all()), pool.outcome) == ([0.25, 0.5, 1.0], "ended")
        failures = pool.take_all("failures")
        assert [(failure.path, failure.message) for failure in failures] == [
            ("Pool/copy-2/part-1", 0),
            ("Pool/copy-2/part-2", 0),
        ]
        assert pool.component.failed == 2


def test_a_copy_that_ends_is_replaced() -> None:
    for ordered in (False, True):
        assert virtually(Source(range(5)) | Pool(once, 2, ordered=ordered) | Collect()) == [0, -1, -2, -3, -4]


def test_when_each_copy_fails_before_it_was_given_anything_so_does_the_pool() -> None:
    with pytest.raises(ComponentsFailed) as caught:
        virtually(Source(range(5)) | Pool(broken, 3) | Collect())
    (error,) = caught.value.exceptions
    assert str(error) == (
        "Pipeline/Pool has no copy left: each has failed before it has taken a message; at last "
        "Pipeline/Pool/copy-3/part-1: OSError: no disk"
    )
    assert isinstance(error.__cause__, OSError)


def test_a_copy_that_cannot_be_kept_leaves_the_work_to_the_others() -> None:
    copies = iter([broken(), broken(), Map(str)])  # the first shows what boxes they have
    with drive(Pool(lambda: next(copies), 2)) as pool:
        pool.send("a", "b")
        assert (pool.take_all(), pool.component.failed) == (["a", "b"], 1)
        assert [child.path for child in pool.component.children] == ["Pool/copy-2"]


@pytest.mark.parametrize("options", [{}, {"ordered": True}, {"ordered": True, "results": 1}])
def test_what_was_given_out_and_nobody_is_left_to_take_is_told_of(options: Any) -> None:
    copies = iter([work(), work(), broken()])  # the first shows what boxes they have
    driver = drive(Pool(lambda: next(copies), 1, **options))

    killed: list[Any] = []

    def kill(process: Any) -> None:
        copies = driver.component.children
        if process.path == "Pool" and not killed and len(copies[0].boxes["inbox"].queue):
            killed.extend(copies[0].children)
            killed[0]._axon.wait = None
            killed[0]._axon.pending = ValueError("killed")  # given a message, it has not taken it yet

    driver.on_step = kill
    with driver as pool:
        pool.send(1)
        pool.close()
        assert str(pool.error) == (
            "Pool has no copy left: each has failed before it has taken a message, and 1 of those given out "
            "are left; at last Pool/copy-1/part-2: OSError: no disk"
        )
        assert [repr(one.error) for one in pool.take_all("failures")] == [
            "ValueError('killed')",
            "OSError('no disk')",
        ]


def test_with_stop_a_failure_is_one_of_the_pool() -> None:
    with drive(Pool(invert, 2, on_failure="stop")) as pool:
        pool.send(0.5, 0)
        pool.advance(0.5)
        assert (pool.take_all(), pool.outcome, pool.state("outbox")) == ([2.0], "failed", "failed")
        assert repr(pool.error) == "ZeroDivisionError('division by zero')"


@pytest.mark.parametrize("ordered", [False, True])
def test_a_failure_of_what_feeds_it_comes_after_what_was_sent_before(ordered: bool) -> None:
    with drive(Pool(work, 2, ordered=ordered)) as pool:
        pool.send(2, 1, 1)
        pool.fail(OSError("cable"))
        pool.advance(5)
        assert sorted(pool.take_all()) == [1, 1, 2]
        assert (pool.outcome, pool.state("outbox")) == ("broken", "failed")


# --- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
def test_it_ends_when_the_work_is_done(ordered: bool) -> None:
    with drive(Pool(work, 3, ordered=ordered)) as pool:
        pool.send(2, 1)
        pool.close()
        pool.advance(1.5)
        assert pool.outcome == "running"
        pool.advance(0.5)
        assert (sorted(pool.take_all()), pool.outcome, pool.state("outbox")) == ([1, 2], "ended", "ended")
    with drive(Pool(work, 3, ordered=ordered), unlinked=["inbox"]) as pool:
        assert pool.outcome == "ended"


@pytest.mark.parametrize("ordered", [False, True])
def test_it_ends_when_nobody_listens(ordered: bool) -> None:
    with drive(Pool(work, 3, ordered=ordered)) as pool:
        pool.send(2, 1)
        pool.leave("outbox")
        assert pool.outcome == "ended"
    assert virtually(Interval(1) | Pool(Map(str), 2, ordered=ordered) | Take(2) | Collect()) == ["0", "1"]


@pytest.mark.parametrize("ordered", [False, True])
def test_a_stop_finishes_what_was_accepted(ordered: bool) -> None:
    with drive(Pool(work, 2, ordered=ordered)) as pool:
        pool.send(1, 1, 1, 1)
        pool.stop(grace=5)
        pool.advance(2)
        assert (pool.take_all(), pool.outcome) == ([1, 1, 1, 1], "ended")


@pytest.mark.parametrize("ordered", [False, True])
def test_cancelled_nothing_is_left_of_it(ordered: bool) -> None:
    with drive(Pool(work, 2, ordered=ordered)) as pool:
        pool.send(1, 1, 1)
        pool.component.cancel()
        pool.advance(0)
        assert (pool.take_all(), pool.outcome, pool.component.children) == ([], "stopped", [])


def test_what_is_gathered_in_copies_comes_at_the_end() -> None:
    assert sorted(virtually(Source(range(5)) | Pool(Batch(10), 2) | Collect())) == [(0, 2, 4), (1, 3)]
    assert virtually(Source(range(4)) | Pool(Delay(3), 2) | Collect()) == [0, 1, 2, 3]
    assert sorted(virtually(Source(range(5)) | Pool(Batch(10), 2, ordered=True) | Collect())) == [
        (0, 2, 4),
        (1, 3),
    ]


def test_wrong_pools_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Pool\(size=0\): give how many copies, 1 or more"):
        Pool(work, 0)
    with pytest.raises(LinkError, match="it has no inbox, so there is no work to share"):
        Pool(Source("a"), 2)
    with pytest.raises(ValueError, match="without ordered=True nobody has to know that"):
        Pool(work, 2, results=1)
    with pytest.raises(ValueError, match=r"Pool\(results=0\): give how many results a message has"):
        Pool(work, 2, ordered=True, results=0)
    with pytest.raises(ValueError, match="'isolate' or 'stop'"):
        Pool(work, 2, on_failure="end")  # type: ignore[arg-type]
