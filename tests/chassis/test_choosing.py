"""Dispatch, Selector, Chooser and Carousel: something is picked, by a message or on request."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from kamaelia.axon import (
    Cancelled,
    Component,
    Graphline,
    Inbox,
    Outbox,
    UsageError,
    VirtualLoop,
    clock,
    component,
    run,
    sleep,
)
from kamaelia.chassis import Carousel, Chooser, Dispatch, Selector
from kamaelia.flow import Collect, Delay, Interval, Map, Source, Take
from kamaelia.testing import drive


def virtually(*parts: Any) -> Any:
    return run(*parts, loop_factory=VirtualLoop)


# --- Dispatch -------------------------------------------------------------------------------------


def by_kind(message: Any) -> Any:
    return type(message).__name__


def test_each_message_goes_through_the_outbox_that_is_picked() -> None:
    with drive(Dispatch(by_kind, "int", "str", other="rest")) as dispatch:
        dispatch.send(1, "a", 2, 0.5)
        taken = [dispatch.take_all(box) for box in ("int", "str", "rest")]
        assert taken == [[1, 2], ["a"], [0.5]]
        dispatch.close()
        assert [dispatch.state(box) for box in ("int", "str", "rest")] == ["ended"] * 3


def test_what_is_picked_and_is_no_outbox_is_a_failure() -> None:
    with drive(Dispatch(by_kind, "ind", "str")) as dispatch:
        dispatch.send(1)
        assert str(dispatch.error) == (
            "Dispatch has no outbox 'int', which was picked for 1: did you mean 'ind'? (For all others, name "
            "one with other=.)"
        )
    with drive(Dispatch(lambda message: ["a"], "a")) as dispatch:  # no name, and not hashable either
        dispatch.send(1)
        assert "has no outbox ['a'], which was picked for 1" in str(dispatch.error)


def test_an_outbox_whose_reader_has_gone_does_not_stop_the_others() -> None:
    with drive(Dispatch(by_kind, "int", "str")) as dispatch:
        dispatch.leave("int")
        dispatch.send(1, "a")
        assert (dispatch.take_all("str"), dispatch.component.undelivered) == (["a"], 1)
        dispatch.leave("str")
        assert dispatch.outcome == "ended"


def test_a_slow_reader_holds_up_who_sends() -> None:
    with drive(Dispatch(by_kind, "int", "str"), sizes={"int": 1}) as dispatch:
        dispatch.send(1, 2, "a")
        dispatch.expect_nothing("str")
        assert (dispatch.take_all("int"), dispatch.take_all("str")) == ([1, 2], ["a"])


def test_names_of_outboxes_are_checked() -> None:
    with pytest.raises(TypeError, match="give the names of its outboxes, 1 or more"):
        Dispatch(by_kind)
    with pytest.raises(ValueError, match=r"Dispatch\('a', 'a'\): give each box a name of its own"):
        Dispatch(by_kind, "a", other="a")
    for name in ("path", "no name", "inbox", ""):
        with pytest.raises(ValueError, match="no box can be called"):
            Dispatch(by_kind, name)
    with pytest.raises(TypeError, match="7 is no name"):
        Dispatch(by_kind, 7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give a function of a message"):
        Dispatch("a", "b")  # type: ignore[arg-type]


# --- Selector -------------------------------------------------------------------------------------


def test_one_stream_is_passed_on_and_the_others_wait() -> None:
    with drive(Selector("a", "b")) as selector:
        selector.send(1, box="a")
        selector.send(2, box="b")
        assert selector.take_all() == [1]
        selector.send("b", box="choose")
        selector.send(3, box="a")
        assert (selector.take_all(), selector.component.chosen) == ([2], "b")
        selector.send("a", box="choose")
        assert selector.take_all() == [3]


def test_streams_that_are_not_chosen_may_be_dropped() -> None:
    with drive(Selector("a", "b", others="drop")) as selector:
        selector.send(*range(500), box="b")
        assert not selector.full("b")
        selector.send("b", box="choose")
        selector.send("after", box="b")
        assert (selector.take_all(), selector.component.dropped) == (["after"], 500)


@pytest.mark.parametrize("others", ["wait", "drop"])
def test_it_ends_when_nothing_can_come_any_more(others: Any) -> None:
    with drive(Selector("a", "b", others=others)) as selector:
        selector.close("a")
        assert selector.outcome == "running"
        selector.send("b", box="choose")
        selector.send(1, box="b")
        selector.close("choose")
        assert (selector.take_all(), selector.outcome) == ([1], "running")
        selector.close("b")
        assert selector.outcome == "ended"
    with drive(Selector("a", "b", others=others)) as selector:
        selector.close("choose")
        selector.close("a")
        selector.send(1, box="b") if selector.outcome == "running" else None
        assert selector.outcome == "ended"


def test_a_name_that_is_none_is_refused_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with drive(Selector("left", "right")) as selector, caplog.at_level(logging.WARNING):
        selector.send("rihgt", 7, box="choose")
        selector.send(1, box="left")
        assert (selector.take_all(), selector.component.refused) == ([1], 2)
    assert caplog.messages == [
        "Selector cannot choose 'rihgt': did you mean 'right'?",
        "Selector cannot choose 7: there are 'left' and 'right'",
    ]


def test_a_stream_that_fails_breaks_what_is_sent() -> None:
    with drive(Selector("a", "b", others="drop")) as selector:
        selector.send(1, box="a")
        selector.fail(OSError("cable"), box="b")
        assert (selector.take_all(), selector.outcome, selector.state("outbox")) == ([1], "broken", "failed")


# --- Chooser --------------------------------------------------------------------------------------


def told(*messages: Any, **options: Any) -> list[Any]:
    return virtually(Source(messages) | Chooser("abc", **options) | Collect())


def test_steps_forwards_and_backwards() -> None:
    with drive(Chooser(["a", "b", "c"])) as chooser:
        chooser.send("same", "next", "same", "last", "previous", "first", 2, -3)
        assert chooser.take_all() == ["a", "b", "b", "c", "b", "a", "c", "a"]
        assert chooser.component.place == 0


def test_what_lies_beyond() -> None:
    steps = ["last", "next", "first", "previous"]
    for beyond, expected in (("end", "c"), ("stay", "ca"), ("wrap", "caac")):
        with drive(Chooser(list("abc"), beyond=beyond)) as chooser:
            chooser.send(*steps[: 2 if beyond == "end" else 4])
            assert "".join(chooser.take_all()) == expected
            assert chooser.outcome == ("ended" if beyond == "end" else "running")


def test_of_a_generator_only_the_next_one_is_made() -> None:
    made: list[int] = []

    def numbers() -> Any:
        for number in range(3):
            made.append(number)
            yield number

    with drive(Chooser(numbers())) as chooser:
        chooser.send("next", "same")
        assert (chooser.take_all(), made) == ([0, 0], [0])
        chooser.send("previous", "next", "next", "next")
        assert (chooser.take_all(), chooser.component.refused, chooser.outcome) == ([1, 2], 1, "ended")


def test_what_is_not_understood_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with drive(Chooser(["a"])) as chooser:
        chooser.send("nxt", 7, True, b"next")
        chooser.expect_nothing()
        assert chooser.component.refused == 4
    assert caplog.messages[0] == "Chooser: there is no item 'nxt'; did you mean 'next'?"
    with drive(Chooser([], beyond="wrap")) as chooser:
        chooser.send("next", "last")
        chooser.expect_nothing()
    with pytest.raises(TypeError, match="give the items to choose from, in a list"):
        Chooser("abc")
    with pytest.raises(TypeError, match="only a list can begin again"):
        Chooser(iter("abc"), beyond="wrap")
    with pytest.raises(ValueError, match="say 'end', 'stay' or 'wrap'"):
        Chooser(["a"], beyond="stop")  # type: ignore[arg-type]


# --- Carousel -------------------------------------------------------------------------------------


@component
async def record(inbox: Inbox[Any], outbox: Outbox[Any], name: str) -> None:
    messages = [message async for message in inbox]
    await outbox.send((name, messages))


@component
async def player(outbox: Outbox[Any], what: Any) -> None:
    await outbox.send(f"begin {what}")
    try:
        await sleep(10)
    except Cancelled:
        await outbox.send(f"cut {what}")
        raise
    if what == "bad":
        raise OSError("scratch")
    await outbox.send(f"end {what}")


def test_a_playlist_of_carousel_and_chooser() -> None:
    carousel, chooser, collect = Carousel(Source), Chooser(["la", "lu"]), Collect()
    virtually(
        Graphline(
            carousel.requests >> chooser.inbox,
            chooser.outbox >> carousel.next,
            carousel.outbox >> collect.inbox,
        )
    )
    assert (collect.messages, carousel.filled) == (list("lalu"), 2)


def test_the_next_part_takes_the_place_of_one_that_has_not_ended() -> None:
    with drive(Carousel(player)) as carousel:
        carousel.send("a", box="next")
        carousel.advance(4)
        carousel.send("b", box="next")
        assert carousel.take_all() == ["begin a", "cut a", "begin b"]
        carousel.advance(10)
        assert (carousel.take_all(), carousel.take_all("requests")) == (["end b"], ["next", "next"])


def test_or_waits_for_its_end() -> None:
    with drive(Carousel(player, when_taken="wait")) as carousel:
        carousel.send("a", "b", box="next")
        carousel.advance(10)
        assert carousel.take_all() == ["begin a", "end a", "begin b"]
        carousel.advance(10)
        assert carousel.take_all() == ["end b"]


def test_what_was_sent_by_then_is_for_the_part_that_is_replaced() -> None:
    with drive(Carousel(record)) as carousel:
        carousel.send("before")
        carousel.send("one", box="next")
        carousel.send(1, 2)
        carousel.send("two", box="next")
        carousel.send(3)
        assert carousel.take_all() == [("one", ["before", 1, 2])]
        carousel.close("inbox")
        assert carousel.take_all() == [("two", [3])]
        assert (carousel.outcome, carousel.time) == ("ended", 0)  # nothing is left for another


def test_what_waits_in_the_queue_at_the_change_goes_along() -> None:
    with drive(Carousel(lambda name: Delay(1, size=1) | record(name), like=record(""), grace=10)) as carousel:
        carousel.send("one", box="next")
        carousel.send(*range(5))  # one is on its way, the others wait in the queue of the place
        carousel.send("two", box="next")
        carousel.send("x")
        carousel.advance(4.5)
        assert carousel.take_all() == []
        carousel.advance(0.5)
        assert carousel.take_all() == [("one", [0, 1, 2, 3, 4])]
        carousel.close()
        carousel.advance(1)
        assert (carousel.take_all(), carousel.outcome) == ([("two", ["x"])], "ended")


def test_who_does_not_finish_in_its_grace_is_cancelled() -> None:
    with drive(Carousel(lambda n: Map(str) | Delay(100) if n else Take(1), grace=3)) as carousel:
        carousel.send(1, box="next")
        carousel.send("late")
        carousel.send(0, box="next")
        carousel.advance(2.9)
        assert carousel.component.filled == 1
        carousel.advance(0.1)
        assert carousel.component.filled == 2


def test_who_does_not_end_when_cancelled_is_cancelled_for_good_and_left_behind() -> None:
    cancelled: list[float] = []

    class Deaf(Component):
        async def main(self) -> None:
            while True:
                try:
                    await sleep(1000)
                except Cancelled:
                    cancelled.append(clock())

    with drive(Carousel(lambda n: Deaf() if n else Take(1), grace=3)) as carousel:
        carousel.send(1, box="next")
        carousel.send(0, box="next")
        carousel.advance(17)
        # when its grace is over, and 5 s later
        assert (cancelled, carousel.component.filled) == ([3, 8], 1)
        carousel.advance(2)
        assert (cancelled, carousel.component.filled) == ([3, 8], 2)
        assert "was left behind" in str(carousel.error)


def test_a_part_that_fails_is_told_of_and_another_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with drive(Carousel(player)) as carousel:
        carousel.send("bad", box="next")
        carousel.advance(10)
        (failure,) = carousel.take_all("failures")
        assert (failure.path, repr(failure.error)) == ("Carousel/place/part-1", "OSError('scratch')")
        assert (carousel.take_all("requests"), carousel.component.failed) == (["next", "next"], 1)
        carousel.send("good", box="next")
        carousel.advance(10)
        assert carousel.take_all() == ["begin bad", "begin good", "end good"]
    assert caplog.messages == [
        f"Carousel/place/part-1 failed and was isolated: OSError: scratch ({where(player, 'scratch')})"
    ]


def where(part: Any, text: str) -> str:
    """Return the place in this file that a report names: where a function raises."""
    import inspect

    lines, first = inspect.getsourcelines(part.function)
    return f"test_choosing.py:{first + next(n for n, line in enumerate(lines) if text in line)} in player"


def test_or_its_failure_is_one_of_the_carousel() -> None:
    with drive(Carousel(player, on_failure="stop")) as carousel:
        carousel.send("bad", box="next")
        carousel.advance(10)
        assert (carousel.outcome, carousel.state("outbox")) == ("failed", "failed")
        assert repr(carousel.error) == "OSError('scratch')"
    with drive(Carousel(Source, on_failure="stop")) as carousel:
        carousel.send(7, box="next")
        assert "int has no items" in str(carousel.error)


def test_what_makes_no_part_is_told_of() -> None:
    with drive(Carousel(lambda what: what)) as carousel:
        carousel.send("text", box="next")
        (failure,) = carousel.take_all("failures")
        assert "has made 'text' of 'text', and that is no component" in str(failure.error)
        assert (failure.message, carousel.component.failed) == ("text", 1)
        carousel.send(Source("a"), box="next")
        assert carousel.take_all() == ["a"]


def test_without_a_function_messages_are_parts() -> None:
    with drive(Carousel()) as carousel:
        carousel.send(Source("a"), box="next")
        carousel.send(Take(1), box="next")
        carousel.send("b")
        assert carousel.take_all() == ["a", "b"]


def test_when_nobody_listens_it_ends_whether_it_is_taken_or_not() -> None:
    with drive(Carousel(player)) as carousel:
        carousel.leave("outbox")
        assert carousel.outcome == "ended"
    with drive(Carousel(player)) as carousel:
        carousel.send("a", box="next")
        carousel.leave("outbox")
        assert carousel.outcome == "ended"
    assert virtually(Source([Interval(1)]) | _wired(Carousel()) | Take(2) | Collect()) == [0, 1]


def _wired(carousel: Any) -> Any:
    return Graphline("self.inbox" >> carousel.next, carousel.outbox >> "self.outbox")


def test_it_ends_when_next_has_and_the_last_part() -> None:
    with drive(Carousel(player)) as carousel:
        carousel.send("a", box="next")
        carousel.close("next")
        assert carousel.outcome == "running"
        carousel.advance(10)
        assert (carousel.take_all(), carousel.outcome) == (["begin a", "end a"], "ended")


def test_a_failure_of_what_feeds_next_breaks_the_free_place() -> None:
    with drive(Carousel(player)) as carousel:
        carousel.fail(OSError("cable"), box="next")
        assert (carousel.outcome, carousel.state("outbox")) == ("broken", "failed")


def test_a_stop_lets_the_part_finish_and_no_other_follow() -> None:
    with drive(Carousel(record)) as carousel:
        carousel.send("a", box="next")
        carousel.send(1)
        carousel.stop()
        assert (carousel.take_all(), carousel.outcome, carousel.time) == ([("a", [1])], "ended", 0)
    with drive(Carousel(player)) as carousel:
        carousel.send("a", box="next")
        carousel.stop()
        assert (carousel.take_all(), carousel.outcome) == (["begin a", "cut a"], "ended")


def test_cancelled_it_takes_its_part_along() -> None:
    with drive(Carousel(player)) as carousel:
        carousel.send("a", box="next")
        carousel.component.cancel()
        carousel.advance(0)
        assert carousel.take_all() == ["begin a", "cut a"]
        assert carousel.outcome == "stopped"


def test_wrong_arguments_of_a_carousel_are_refused() -> None:
    with pytest.raises(TypeError, match="give what makes a part of a message"):
        Carousel(Take(1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="say 'replace' or 'wait'"):
        Carousel(Take, when_taken="queue")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="say 'isolate' or 'stop'"):
        Carousel(Take, on_failure="end")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seconds to finish in, 0 or more"):
        Carousel(Take, grace=-1)

    class Clash(Component):
        requests = Outbox[Any]("of its own")

    with pytest.raises(UsageError, match="its part has a box 'requests', and so has the carousel itself"):
        Carousel(Clash)
