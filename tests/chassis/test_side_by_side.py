"""Parallel, Sequential and Timeout: chassis around parts as they are."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia.axon import (
    Cancelled,
    Component,
    ComponentsFailed,
    Inbox,
    LinkError,
    Outbox,
    UsageError,
    VirtualLoop,
    component,
    make,
    run,
    sleep,
)
from kamaelia.chassis import Parallel, Retry, Sequential, Timeout
from kamaelia.chassis.restart import Backoff
from kamaelia.flow import Batch, Collect, Delay, Interval, Lines, Map, Source, Take
from kamaelia.testing import drive


def virtually(*parts: Any) -> Any:
    return run(*parts, loop_factory=VirtualLoop)


@component
async def fail_at(inbox: Inbox[Any], outbox: Outbox[Any], what: Any) -> None:
    async for message in inbox:
        if message == what:
            raise ValueError(f"not {what}")
        await outbox.send(message)


@component
async def deaf(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    await sleep(10)


@component
async def stubborn(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    """Take its time, and think little of being cancelled."""
    for _ in range(3):
        try:
            await sleep(100)
        except Cancelled:
            await outbox.send("not yet")


# --- Parallel -------------------------------------------------------------------------------------


def test_a_box_has_the_type_that_those_of_its_parts_have_in_common() -> None:
    class Speaks(Component):
        outbox = Outbox[str]("text")

    class Counts(Component):
        outbox = Outbox[int]("numbers")

    assert Parallel(Speaks, Speaks).outbox.type is str
    assert Parallel(Speaks, Counts).outbox.type is Any


def test_each_part_gets_each_message() -> None:
    system = Source("ab") | Parallel(Map(str.upper), Map(ord), Collect()) | Collect()
    assert virtually(system) == ["A", 97, "B", 98]


def test_a_part_that_ends_leaves_the_rest_to_the_others() -> None:
    first, all_ = Collect(), Collect()
    virtually(Source("abc") | Parallel(Take(1) | first, all_))
    assert (first.messages, all_.messages) == (["a"], ["a", "b", "c"])


def test_the_slowest_part_sets_the_pace() -> None:
    with drive(Parallel(Map(str), deaf()), sizes={"outbox": 1000}) as parallel:
        parallel.send(*range(150))
        assert parallel.full()
        assert len(parallel.take_all()) == 150


def test_parts_with_no_inbox_and_several_outboxes_are_merged() -> None:
    assert virtually(Parallel(Source("a"), Source("b")) | Collect()) == ["a", "b"]


def test_a_failing_part_is_a_failure_of_all() -> None:
    with drive(Parallel(fail_at(2), Map(str))) as parallel:
        parallel.send(1, 2)
        assert (parallel.take_all(), parallel.outcome) == ([1, "1", "2"], "failed")
        assert repr(parallel.error) == "ValueError('not 2')"


def test_types_of_parallel_parts_are_checked() -> None:
    with pytest.raises(LinkError, match="str does not fit into bytes"):
        from kamaelia.flow import Encode

        Source("a") | Encode() | Parallel(Lines(), Map(str)) | Lines() | Lines()
    with pytest.raises(UsageError, match="at least one part"):
        Parallel()


# --- Sequential -----------------------------------------------------------------------------------


def test_one_part_after_another_reads_what_is_left() -> None:
    assert virtually(Source(range(6)) | Sequential(Take(2), Map(lambda n: -n)) | Collect()) == [
        *(0, 1),
        *(-2, -3, -4, -5),
    ]


def test_parts_without_an_inbox_leave_it_all_and_need_none() -> None:
    page = Sequential(Source(["head"]), Map(str.upper), Source(["foot"]))
    assert virtually(Source(["text"]) | page | Collect()) == ["head", "TEXT", "foot"]


def test_the_next_part_begins_when_the_last_has_ended() -> None:
    with drive(Sequential(Delay(5) | Take(1), Map(str))) as row:
        row.send(1, 2)
        assert [child.path for child in row.component.children] == ["Sequential/Pipeline"]
        row.advance(5)
        assert (row.take_all(), [child.path for child in row.component.children]) == (
            [1],
            ["Sequential/Map"],
        )
        row.send(3)
        assert row.take_all() == ["3"]
        row.close()
        assert row.outcome == "ended"


def test_what_waits_for_the_next_part_is_bounded() -> None:
    with drive(Sequential(deaf(), Map(str)), sizes={"outbox": 1000}) as row:
        row.send(*range(150))
        assert row.full()
        row.advance(10)
        assert row.take_all() == [str(n) for n in range(150)]


def test_its_result_is_that_of_the_last_part() -> None:
    assert virtually(Source("abc") | Sequential(Take(1), Collect())) == ["b", "c"]


@pytest.mark.filterwarnings("ignore")
def test_after_a_failure_no_other_part_begins() -> None:
    after = Collect()
    with drive(Sequential(fail_at(2), after)) as row:
        row.send(1, 2)
        assert (row.take_all(), row.outcome, row.state("outbox")) == ([1], "failed", "failed")
        assert repr(row.error) == "ValueError('not 2')"
    assert after._axon.state == "new"


def test_after_a_failure_of_what_feeds_it_no_other_part_begins() -> None:
    with drive(Sequential(Map(str), Source(["after"]))) as row:
        row.send(1)
        row.fail(ValueError("broken"))
        assert (row.take_all(), row.outcome, row.state("outbox")) == (["1"], "ended", "failed")


def test_at_a_stop_only_who_has_something_to_read_begins() -> None:
    with drive(Sequential(Interval(1), Map(str), Source(["after"]))) as row:
        row.send("left")
        row.stop()
        assert (row.take_all(), row.outcome) == ([0, "left"], "ended")


def test_when_nobody_listens_no_other_part_begins() -> None:
    assert virtually(Sequential(Source("ab"), Source("cd")) | Take(1) | Collect()) == ["a"]
    with pytest.raises(UsageError, match="at least one part"):
        Sequential()


def test_parts_of_a_row_are_made_anew_with_it() -> None:
    pattern = Retry(Parallel(Sequential(Source("a"), Source("b"))), attempts=1)
    assert virtually(pattern | Collect()) == ["a", "b"]
    assert virtually(make(pattern) | Collect()) == ["a", "b"]


# --- Timeout --------------------------------------------------------------------------------------


def test_a_part_that_takes_too_long_is_given_up() -> None:
    collect = Collect()
    with pytest.raises(ComponentsFailed) as caught:
        virtually(Interval(2) | Timeout(Map(str), total=5) | collect)
    (error,) = caught.value.exceptions
    assert repr(error) == (
        "TimeoutError('Pipeline/Timeout was given up: Pipeline/Timeout/Map had not ended after 5 s')"
    )
    assert collect.messages == ["0", "1", "2"]


def test_a_part_that_nothing_passes_is_given_up_exactly_then() -> None:
    with drive(Timeout(Map(str), idle=3)) as timeout:
        timeout.advance(2)
        timeout.send(1)
        timeout.advance(2.999)
        assert (timeout.take_all(), timeout.outcome) == (["1"], "running")
        timeout.advance(0.001)
        assert (timeout.outcome, timeout.state("outbox")) == ("failed", "failed")
        assert str(timeout.error) == "Timeout was given up: nothing had passed Timeout/Map for 3 s"


def test_what_comes_out_counts_as_well() -> None:
    with drive(Timeout(Interval(2), idle=3, then="end")) as timeout:
        timeout.advance(20)
        assert timeout.outcome == "running"
    with drive(Timeout(Delay(2.5), idle=3, then="end")) as timeout:
        timeout.send("a")
        timeout.advance(5)
        assert (timeout.take_all(), timeout.outcome) == (["a"], "running")
        timeout.advance(0.5)
        assert (timeout.outcome, timeout.time, timeout.state("outbox")) == ("ended", 5.5, "ended")


def test_with_then_end_it_ends_well() -> None:
    assert virtually(Timeout(Interval(1), total=2.5, then="end") | Collect()) == [0, 1, 2]
    with drive(Timeout(Batch(10), idle=1, then="end")) as timeout:
        timeout.send(1)
        timeout.advance(1)
        assert (timeout.outcome, timeout.state("outbox")) == ("ended", "ended")


def test_a_part_that_does_not_end_when_cancelled_is_cancelled_for_good() -> None:
    with drive(Timeout(stubborn(), total=1, then="end")) as timeout:
        timeout.advance(1)
        assert (timeout.outcome, timeout.take_all()) == ("running", ["not yet"])
        timeout.advance(5)
        assert timeout.take_all() == ["not yet"]
        timeout.advance(9.5)
        assert timeout.outcome == "running"  # its time begins when it is cancelled for good
        timeout.advance(0.5)
        assert timeout.outcome == "ended"
        assert "was left behind" in str(timeout.error)


def test_a_part_in_time_is_left_alone() -> None:
    with drive(Timeout(Take(2), idle=3, total=100)) as timeout:
        timeout.send(1, 2)
        assert (timeout.take_all(), timeout.outcome, timeout.time) == ([1, 2], "ended", 0)
    assert virtually(Timeout(Source("ab") | Collect(), total=1)) == ["a", "b"]


def test_a_time_out_can_be_tried_again() -> None:
    lives: list[int] = []

    class Connect(Component):
        inbox = None

        async def main(self) -> str:
            lives.append(1)
            if len(lives) < 3:
                await sleep(60)
            return "connected"

    tried = Retry(Timeout(Connect(), total=2), attempts=3, backoff=Backoff(first=1, jitter=0))
    assert virtually(tried) == "connected"
    assert len(lives) == 3


def test_a_stop_lets_the_part_finish() -> None:
    with drive(Timeout(Delay(4), total=3)) as timeout:
        timeout.send(1)
        timeout.stop(grace=10)
        assert (timeout.take_all(), timeout.outcome) == ([1], "ended")


def test_wrong_times_are_refused() -> None:
    with pytest.raises(TypeError, match="idle=, total=, or both"):
        Timeout(Take(1))
    with pytest.raises(ValueError, match=r"Timeout\(idle=0\): give seconds, more than 0"):
        Timeout(Take(1), idle=0)
    with pytest.raises(ValueError, match="say 'fail' or 'end'"):
        Timeout(Take(1), idle=1, then="stop")  # type: ignore[arg-type]
