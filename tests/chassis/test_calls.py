"""Calls and Ask: questions, and answers that find their way back."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia.axon import (
    Component,
    ComponentsFailed,
    Deadlock,
    Inbox,
    LinkError,
    Outbox,
    UsageError,
    VirtualLoop,
    component,
    run,
    sleep,
)
from kamaelia.chassis import Ask, Backplane, Calls, NoAnswer, Pool, Reply, Supervisor
from kamaelia.flow import JSON, Collect, Delay, Deserialise, Map, RateLimit, Serialise, Source, Take


def virtually(*parts: Any) -> Any:
    return run(*parts, loop_factory=VirtualLoop)


def shown(replies: list[Reply]) -> list[Any]:
    return [
        (reply.question, reply.answer if reply.error is None else type(reply.error).__name__)
        for reply in replies
    ]


@component
async def wait(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    """Answer each question after so many seconds, one at a time; die at ``"die"``."""
    async for number, seconds in inbox:
        if seconds == "die":
            raise OSError("dead")
        await sleep(seconds)
        await outbox.send((number, f"{seconds} s"))


@component
async def backwards(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    """Answer three questions at a time, the last first."""
    while True:
        three = [await inbox.receive() for _ in range(3)]
        for number, question in reversed(three):
            await outbox.send((number, question.upper()))


def test_an_answer_finds_its_question_whatever_the_order() -> None:
    calls = Calls("service", backwards)
    assert shown(virtually(calls, Source("abcdef") | Ask("service") | Collect())[1]) == [
        *(("c", "C"), ("b", "B"), ("a", "A")),
        *(("f", "F"), ("e", "E"), ("d", "D")),
    ]
    statistics = calls.statistics()
    assert (statistics.asked, statistics.answered, statistics.open) == (6, 6, 0)


def test_two_who_ask_get_their_own_answers() -> None:
    _, first, second = virtually(
        Calls("service", Map(lambda pair: (pair[0], pair[1].upper())) | Delay(1)),
        Source("abc") | Ask("service") | Collect(),
        Source("bcd") | Ask("service") | Collect(),
    )
    assert (shown(first), shown(second)) == (
        [("a", "A"), ("b", "B"), ("c", "C")],
        [("b", "B"), ("c", "C"), ("d", "D")],
    )


def test_a_question_times_out_exactly_then_and_a_late_answer_is_counted() -> None:
    calls = Calls("service", Pool(wait, 3), timeout=2)
    replies = virtually(calls, Source([1, 3, 2]) | Ask("service") | Collect())[1]
    assert shown(replies) == [(1, "1 s"), (3, "TimeoutError"), (2, "TimeoutError")]
    assert str(replies[1].error) == "Calls has not answered within 2 s"
    statistics = calls.statistics()
    assert (statistics.timed_out, statistics.late, statistics.answered) == (2, 2, 1)


def test_when_the_service_dies_who_waits_is_told() -> None:
    collect = Collect()
    with pytest.raises(ComponentsFailed, match="Calls/wait"):
        virtually(
            Calls("service", wait), Source([1, "die", 1]) | RateLimit(1, 0.1) | Ask("service") | collect
        )
    assert shown(collect.messages) == [(1, "1 s"), ("die", "NoAnswer"), (1, "NoAnswer")]
    assert str(collect.messages[1].error) == "Calls has ended, and has not answered"


def test_a_service_that_ends_leaves_no_question_without_a_reply() -> None:
    replies = virtually(
        Calls("service", Map(lambda pair: pair) | Take(1)),
        Source(range(3)) | RateLimit(1) | Ask("service") | Collect(),
    )[1]
    assert shown(replies) == [(0, 0), (1, "NoAnswer"), (2, "NoAnswer")]
    assert str(replies[2].error) == "Pipeline/Ask: nobody offers 'service' any more"


def test_a_part_that_is_kept_up_answers_the_others() -> None:
    replies = virtually(
        Calls("service", Supervisor(wait), timeout=5), Source([1, "die", 2]) | Ask("service") | Collect()
    )[1]
    assert shown(replies) == [(1, "1 s"), (2, "2 s"), ("die", "TimeoutError")]


def test_a_service_that_is_kept_up_can_be_asked_again() -> None:
    replies = virtually(
        Supervisor(Calls("service", wait)),
        Source([1, "die", 2, 1]) | RateLimit(1, 3) | Ask("service") | Collect(),
    )[1]
    assert shown(replies) == [(1, "1 s"), ("die", "NoAnswer"), (2, "2 s"), (1, "1 s")]


def test_questions_may_go_over_a_wire() -> None:
    server = Deserialise(JSON()) | Map(lambda pair: [pair[0], pair[1] * 2]) | Serialise(JSON())
    replies = virtually(
        Calls("double", Serialise(JSON()) | server | Deserialise(JSON())),
        Source([1, "a"]) | Ask("double") | Collect(),
    )[1]
    assert shown(replies) == [(1, 2), ("a", "aa")]


def test_what_is_no_answer_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    @component
    async def odd(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        async for number, _ in inbox:
            for answer in ("what?", (99, "?"), ("1", "?"), (0, "?"), (number, "first"), (number, "second")):
                await outbox.send(answer)

    calls = Calls("service", odd)
    assert shown(virtually(calls, Source("a") | Ask("service") | Collect())[1]) == [("a", "first")]
    assert (calls.statistics().strange, calls.statistics().late) == (4, 1)
    assert caplog.messages[0] == "Calls: this is no answer (number, answer): 'what?'"


def test_how_many_questions_are_open_is_bounded() -> None:
    taken: list[Any] = []

    @component
    async def hold(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        async for number, question in inbox:
            taken.append((number, question))
            if question == "go":
                for one, _ in taken:
                    await outbox.send((one, "done"))

    calls = Calls("service", hold, limit=3, timeout=60)
    replies = virtually(calls, Source(["a", "b", "go", "c"]) | Ask("service") | Collect())[1]
    assert shown(replies) == [("a", "done"), ("b", "done"), ("go", "done"), ("c", "TimeoutError")]
    assert [question for _, question in taken] == ["a", "b", "go", "c"]


def test_an_asker_has_no_more_than_a_hundred_questions_open() -> None:
    calls = Calls("service", Map(lambda pair: pair) | Delay(1))
    seen: list[int] = []

    @component
    async def look(outbox: Outbox[Any]) -> None:
        await sleep(0.5)
        seen.append(calls.statistics().open)

    replies = virtually(calls, Source(range(250)) | Ask("service") | Collect(), look())[1]
    assert (len(replies), seen) == (250, [100])


def test_who_asks_waits_for_a_service_that_is_not_there_yet() -> None:
    class Later(Component):
        async def main(self) -> None:
            await sleep(5)
            self.add(Calls("service", Map(lambda pair: pair)))

    assert shown(virtually(Later(), Source("a") | Ask("service") | Collect())[1]) == [("a", "a")]
    with pytest.raises(Deadlock, match="ask for 'service'"):
        virtually(Source("a") | Ask("service") | Collect())


def test_who_asks_and_has_gone_is_no_trouble() -> None:
    calls = Calls("service", Map(lambda pair: pair) | Delay(5))
    assert virtually(calls, Source("abc") | Ask("service") | Collect(), Source("a") | Ask("service"))[1]
    calls = Calls("service", Map(lambda pair: pair) | Delay(1))
    _, one = virtually(calls, Source(range(1000)) | Ask("service") | Take(1) | Collect())
    assert shown(one) == [(0, 0)]


def test_a_stop_lets_open_questions_be_answered() -> None:
    system = Collect()

    class Both(Component):
        async def main(self) -> None:
            self.add(Calls("service", wait))
            self.add(Source([2, 1]) | Ask("service") | system)
            await sleep(1)
            self.system.stop(grace=10)

    virtually(Both())
    assert shown(system.messages) == [(2, "2 s"), (1, "1 s")]


def test_a_failure_of_what_feeds_who_asks_breaks_its_replies() -> None:
    calls = Calls("service", Map(lambda pair: pair))

    @component
    async def broken(outbox: Outbox[Any]) -> None:
        await outbox.send("a")
        raise OSError("cable")

    collect = Collect()
    with pytest.raises(ComponentsFailed):
        virtually(calls, broken() | Ask("service") | collect)
    assert collect._axon.outcome == "broken"


def test_wrong_services_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Calls\(7\): the name of a service is a text"):
        Calls(7, wait)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Ask\(''\): the name of a service is a text"):
        Ask("")
    with pytest.raises(LinkError, match="needs an inbox and an outbox to answer"):
        Calls("service", Source("a"))
    with pytest.raises(ValueError, match="more than 0"):
        Calls("service", wait, timeout=0)
    with pytest.raises(ValueError, match="how many questions may be open"):
        Calls("service", wait, limit=0)
    with pytest.raises(ComponentsFailed) as caught:
        virtually(Backplane("room"), Source("a") | Ask("room") | Collect())
    assert isinstance(caught.value.exceptions[0], UsageError)
    assert issubclass(NoAnswer, Exception)
