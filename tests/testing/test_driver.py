"""The public harness: one component driven by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kamaelia.axon import (
    Cancelled,
    Component,
    GraceExceeded,
    Inbox,
    Outbox,
    ScriptInbox,
    ScriptOutbox,
    SourceFailed,
    UsageError,
    component,
    random,
    select,
    sleep,
)
from kamaelia.testing import drive, driver


class Copy(Component):
    async def main(self) -> str:
        async for message in self.inbox:
            await self.outbox.send(message)
        return "copied all"


@component
def copy_generator(inbox, outbox):  # type: ignore[no-untyped-def]
    while True:
        yield outbox.send((yield inbox.receive()))


@component
def copy_script(inbox: ScriptInbox[Any], outbox: ScriptOutbox[Any]) -> None:
    for message in inbox:
        outbox.send(message)


@component
async def delay(inbox: Inbox[Any], outbox: Outbox[Any], seconds: float) -> None:
    async for message in inbox:
        await sleep(seconds)
        await outbox.send(message)


@component
async def fail_at_once(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    raise ValueError("no good")


@component
async def fail_on_message(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    raise ValueError(f"no good: {await inbox.receive()}")


@component
async def count(inbox: Inbox[Any], outbox: Outbox[int]) -> None:
    number = 0
    while True:
        await outbox.send(number)
        number += 1


# --- messages in and out --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [Copy, copy_generator, copy_script, lambda: Copy() | Copy(), lambda: copy_script() | copy_generator()],
    ids=["coroutine", "generator", "script", "pipeline", "mixed"],
)
def test_whatever_the_body_messages_go_in_and_come_out(part: Any) -> None:
    with drive(part() if callable(part) else part) as copy:
        copy.send(b"x")
        assert copy.take() == b"x"
        copy.send(1, 2, 3)
        assert copy.take_all() == [1, 2, 3]
        copy.expect_nothing()
        assert copy.state("outbox") == "open"
        copy.close()
        assert (copy.ended, copy.outcome, copy.state("outbox")) == (True, "ended", "ended")


def test_a_class_or_a_component_function_stands_for_one_made_without_arguments() -> None:
    with drive(Copy) as copy, drive(copy_generator) as other:
        copy.send(1)
        other.send(2)
        assert (copy.take(), other.take()) == (1, 2)


def test_a_missing_message_is_reported_with_what_the_component_waits_for() -> None:
    with drive(Copy()) as copy:
        copy.advance(2.5)
        with pytest.raises(AssertionError) as caught:
            copy.take()
        assert (
            str(caught.value)
            == "nothing has come out of Copy.outbox; at 2.5 s it waits to receive from Copy.inbox"
        )


def test_a_missing_message_of_a_failed_component_shows_the_failure() -> None:
    with drive(fail_at_once()) as part:
        with pytest.raises(AssertionError, match="it has failed") as caught:
            part.take()
        assert isinstance(caught.value.__cause__, ValueError)


def test_an_unexpected_message_is_reported() -> None:
    with drive(Copy()) as copy:
        copy.send("a", "b")
        with pytest.raises(AssertionError, match=r"Copy\.outbox was to be silent, but has sent 2: 'a', 'b'"):
            copy.expect_nothing()
        copy.take_all()


def test_several_boxes_are_driven_by_name() -> None:
    class Sort(Component):
        other = Inbox[int]("more numbers")
        odd = Outbox[int]("the odd ones")

        async def main(self) -> None:
            async for box, number in select(self.inbox, self.other):
                sign = 1 if box is self.inbox else -1
                await (self.odd if number % 2 else self.outbox).send(sign * number)

    with drive(Sort()) as sort:
        sort.send(1, 2)
        sort.send(3, 4, box="other")
        assert (sort.take_all("odd"), sort.take_all()) == ([1, -3], [2, -4])
        sort.close("other")
        assert (sort.state("other"), sort.outcome) == ("ended", "running")
        sort.close("inbox")
        assert sort.outcome == "ended"


def test_a_wrong_box_name_is_answered_with_the_right_ones() -> None:
    with drive(Copy()) as copy:
        with pytest.raises(UsageError, match="did you mean 'outbox'"):
            copy.take("outbx")
        with pytest.raises(UsageError, match="there is only 'inbox'"):
            copy.send(1, box="elsewhere")
    with pytest.raises(UsageError, match="no such box 'outbx'"):
        drive(Copy(), sizes={"outbx": 1})


# --- a slow reader, a full inbox ------------------------------------------------------------------


def test_a_slow_reader_makes_the_component_wait() -> None:
    with drive(Copy(), sizes={"outbox": 1}) as copy:
        copy.send(1, 2, 3)
        assert copy.waiting == "send to Copy.outbox"
        assert [copy.take(), copy.waiting] == [1, "send to Copy.outbox"]
        assert [copy.take(), copy.waiting] == [2, "send to Copy.outbox"]
        assert [copy.take(), copy.waiting] == [3, "receive from Copy.inbox"]


def test_a_full_inbox_says_so() -> None:
    with drive(delay(1.0), sizes={"outbox": 1000}) as part:
        part.send(*range(101))  # the component has taken one
        assert part.full()
        part.advance(200)
        assert not part.full()
        assert part.take_all() == list(range(101))


def test_an_endless_sender_waits_for_its_reader_as_in_life() -> None:
    with drive(count(), sizes={"outbox": 5}) as part:
        assert part.waiting == "send to count.outbox"
        assert [part.take() for _ in range(20)] == list(range(20))
        with pytest.raises(AssertionError, match="there is no end of them"):
            part.take_all()


def test_going_round_for_ever_at_one_instant_is_noticed() -> None:
    with pytest.raises(AssertionError, match="never comes to rest: at 0 s"):
        with drive(count(), unlinked=["outbox"]):
            pytest.fail("the block must not be entered")


def test_much_to_do_at_one_instant_is_not_going_round_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "WORK_LIMIT", driver.WORK_LIMIT // 10)  # and a tenth of what it is to allow

    @component
    async def many(inbox: Inbox[Any], outbox: Outbox[int]) -> None:
        for number in range(2_000):
            await outbox.send(number)

    @component
    def add_up(inbox: ScriptInbox[int], outbox: ScriptOutbox[int]) -> None:
        outbox.send(sum(inbox))

    with drive(many() | add_up()) as part:
        assert part.take() == sum(range(2_000))


# --- time -----------------------------------------------------------------------------------------


def test_time_passes_only_when_the_test_says_so() -> None:
    with drive(delay(3.0)) as part:
        part.send("a")
        part.expect_nothing()
        assert (part.waiting, part.time) == ("sleep", 0.0)
        part.advance(2.9)
        part.expect_nothing()
        part.advance(0.2)
        assert (part.take(), part.time) == ("a", 3.1)
        with pytest.raises(ValueError, match="time does not go back"):
            part.advance(-1)


def test_finish_lets_time_pass_until_the_end() -> None:
    with drive(delay(3.0) | Copy()) as part:
        part.send(*"abc")
        part.close()
        assert (part.finish(), part.time, part.take_all()) == ("copied all", 9.0, ["a", "b", "c"])


def test_finish_says_what_the_component_waits_for() -> None:
    with drive(Copy()) as copy:
        with pytest.raises(AssertionError, match=r"Copy does not end by itself; .* receive from Copy\.inbox"):
            copy.finish()
        with pytest.raises(AssertionError, match="has no result yet"):
            copy.result  # noqa: B018
    with drive(delay(10.0)) as part:
        part.send("a")
        with pytest.raises(AssertionError, match="at 0 s it waits to sleep"):
            part.finish(limit=5)


def test_a_script_sleeps_in_virtual_time_too() -> None:
    @component
    def slow(inbox: ScriptInbox[int], outbox: ScriptOutbox[int]) -> None:
        for number in inbox:
            sleep(60)
            outbox.send(number)

    with drive(slow()) as part:
        part.send(1)
        part.advance(59.9)
        part.expect_nothing()
        part.advance(0.1)
        assert part.take() == 1


# --- how it ends ----------------------------------------------------------------------------------


def test_a_failing_source_breaks_the_component_and_its_readers() -> None:
    error = ValueError("torn")
    with drive(Copy()) as copy:
        copy.send(1)
        copy.fail(error)
        assert (copy.outcome, copy.error, copy.state("outbox")) == ("broken", error, "failed")
        assert copy.take() == 1  # what was sent before


def test_a_component_may_have_a_use_for_the_failure_of_its_source() -> None:
    @component
    async def tell(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        try:
            await inbox.receive()
        except SourceFailed as failed:
            await outbox.send(failed.__cause__)

    error = ValueError("torn")
    with drive(tell()) as part:
        part.fail(error)
        assert (part.take(), part.outcome, part.error) == (error, "ended", None)


def test_a_reader_that_leaves_ends_the_component() -> None:
    with drive(Copy()) as copy:
        copy.send(1)
        copy.leave("outbox")
        assert copy.outcome == "ended"
        assert copy.take() == 1
        assert copy.state("inbox") == "closed"
        with pytest.raises(AssertionError, match=r"nobody reads Copy\.inbox any more, so 2 is lost"):
            copy.send(2)


def test_a_failure_that_the_test_has_not_seen_is_raised_at_the_end() -> None:
    with pytest.raises(ValueError, match="no good: 1") as caught:
        with drive(fail_on_message()) as part:
            part.send(1)
            assert part.outcome == "failed"  # that alone is not enough
    assert caught.value.__notes__ == ["in fail_on_message"]


def test_a_failure_that_the_test_has_seen_is_not_raised_again() -> None:
    with drive(fail_on_message()) as part:
        part.send(1)
        assert isinstance(part.error, ValueError)


def test_what_the_test_raises_is_what_counts() -> None:
    with pytest.raises(KeyError):
        with drive(fail_on_message()) as part:
            part.send(1)
            raise KeyError


def test_stop_and_cancel() -> None:
    with drive(delay(1.0)) as part:
        part.send(1)
        part.stop()
        assert part.outcome == "running"  # it finishes what it was sent
        part.advance(1)
        assert (part.take(), part.outcome) == (1, "ended")
    with drive(delay(1.0)) as part:
        part.send(1)
        part.cancel()
        assert (part.outcome, part.state("outbox")) == ("cancelled", "failed")


def test_a_component_that_ends_by_no_means_is_reported() -> None:
    @component
    async def stubborn(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        for _ in range(100):
            try:
                await asyncio.sleep(1)  # asyncio's, which does not mind that nobody listens
            except Cancelled:
                pass

    with pytest.raises(GraceExceeded, match=r"stubborn: test_driver\.py"):
        with drive(stubborn()):
            pass


def test_a_task_left_behind_is_reported() -> None:
    @component
    async def careless(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        asyncio.get_running_loop().create_task(asyncio.sleep(10), name="forgotten")

    with pytest.raises(AssertionError, match="tasks that it started run on: forgotten"):
        with drive(careless()):
            pass


def test_rest_ends_what_is_held_from_inside() -> None:
    class Held(Component):
        feed = Inbox[Any]("fed by whoever comes", held=True)

        async def main(self) -> str:
            async for _ in self.feed:
                pass
            return "came to rest"

    with drive(Held(), unlinked=["inbox", "feed"]) as part:
        part.advance(3600)
        assert part.outcome == "running"
        part.rest()
        assert part.result == "came to rest"


def test_an_unlinked_inbox_has_ended_from_the_start() -> None:
    with drive(Copy(), unlinked=["inbox"]) as copy:
        assert copy.result == "copied all"


# --- its surroundings -----------------------------------------------------------------------------


def test_services_are_found_by_name() -> None:
    @component
    async def ask(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        names = outbox.owner.system.names  # type: ignore[attr-defined]
        await outbox.send(await names.ask("answer"))

    with drive(ask(), names={"answer": 42}) as part:
        assert part.take() == 42


def test_the_seed_decides_what_is_drawn() -> None:
    @component
    async def draw(inbox: Inbox[Any], outbox: Outbox[float]) -> None:
        await outbox.send(random.random())

    def drawn(**options: Any) -> Any:
        with drive(draw(), **options) as part:
            return part.take()

    assert drawn() == drawn(seed=0) == drawn(seed=0)
    assert drawn(seed=1) != drawn(seed=2)


def test_debug_finds_a_message_that_was_changed_after_sending() -> None:
    @component
    async def reuse(inbox: Inbox[Any], outbox: Outbox[list[int]]) -> None:
        numbers = [1]
        await outbox.send(numbers)
        numbers.append(2)

    with drive(reuse()) as part:
        with pytest.raises(UsageError, match=r"changed after it had been sent: it was \[1\] and is \[1, 2\]"):
            part.take()


def test_the_driver_is_used_in_its_block() -> None:
    copy = drive(Copy())
    with pytest.raises(UsageError, match="is not started: write 'with drive"):
        copy.send(1)
    with copy:
        with pytest.raises(UsageError, match="driven already"):
            copy.__enter__()
    with pytest.raises(UsageError, match="is over"):
        copy.send(1)
    assert repr(copy) == "<drive(Copy): ended at 5 s>"
