"""Source, Collect, Map, Filter and Take."""

from __future__ import annotations

import asyncio
import itertools
import types
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from kamaelia.axon import Component, Inbox, VirtualLoop, component, make, run, sleep
from kamaelia.flow import Collect, Filter, Map, Scan, Source, Take
from kamaelia.testing import drive


def virtually(*parts: Any) -> Any:
    return run(*parts, loop_factory=VirtualLoop)


# --- Source ---------------------------------------------------------------------------------------


async def letters(log: list[str]) -> AsyncIterator[str]:
    try:
        for letter in "abc":
            await asyncio.sleep(1)
            yield letter
    finally:
        log.append("cleaned up")


def test_a_source_takes_any_iterable() -> None:
    for items in ([1, 2], (1, 2), iter([1, 2]), range(1, 3), {1: "a", 2: "b"}, lambda: [1, 2]):
        assert virtually(Source(items) | Collect()) == [1, 2]
    assert virtually(Source([]) | Collect()) == []


class Items:
    """What Python can iterate over, although it has no ``__iter__``."""

    def __getitem__(self, index: int) -> int:
        return [1, 2][index]


def test_a_source_takes_whatever_python_iterates_over() -> None:
    items: Any = Items()
    assert virtually(Source(items) | Collect()) == [1, 2]


def test_a_source_takes_an_asynchronous_iterable_and_cleans_up() -> None:
    log: list[str] = []
    with drive(Source(letters(log))) as source:
        source.advance(1)
        assert source.take_all() == ["a"]
        source.advance(2)
        assert (source.take_all(), source.outcome, log) == (["b", "c"], "ended", ["cleaned up"])
    log.clear()
    with drive(Source(letters(log))) as source:
        source.advance(1.5)
        source.leave("outbox")
        source.advance(0.5)  # notices at its next item
        assert (source.outcome, log) == ("ended", ["cleaned up"])


def test_a_source_of_a_function_can_be_made_again() -> None:
    pattern = Source(lambda: iter([1, 2]))
    assert [virtually(make(pattern) | Collect()) for _ in range(2)] == [[1, 2], [1, 2]]


def test_what_is_no_iterable_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"Source\(b'ab'\) would send the numbers of its bytes: write Source\(\[b'ab'\]\)"
    ):
        Source(b"ab")
    with pytest.raises(TypeError, match="int has no items"):
        Source(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="say 'end' or 'stay'"):
        Source([], then="wait")  # type: ignore[arg-type]


def test_an_iterable_that_fails_is_a_failure_of_the_source() -> None:
    with drive(Source(1 // n for n in (1, 0))) as source:
        assert (source.take_all(), source.outcome, source.state("outbox")) == ([1], "failed", "failed")
        assert isinstance(source.error, ZeroDivisionError)


def test_a_source_that_stays_keeps_the_line_open() -> None:
    with drive(Source("ab", then="stay")) as source:
        source.advance(3600)
        assert (source.take_all(), source.outcome, source.state("outbox")) == (["a", "b"], "running", "open")
        source.leave("outbox")
        assert source.outcome == "ended"


def test_a_source_that_stays_ends_at_a_stop_and_at_rest() -> None:
    with drive(Source("ab", then="stay")) as source:
        source.stop()
        assert (source.outcome, source.state("outbox"), source.time) == ("ended", "ended", 0)
    assert virtually(Source("ab", then="stay") | Collect()) == ["a", "b"]


@pytest.mark.parametrize("then", ["end", "stay"])
def test_an_endless_source_is_cancelled_by_a_stop(then: Any) -> None:
    with drive(Source(count(), then=then), sizes={"outbox": 3}) as source:
        source.stop()
        assert (source.outcome, source.time) == ("stopped", 0)


# --- Collect --------------------------------------------------------------------------------------


def test_what_was_collected_is_there_although_the_source_failed() -> None:
    with drive(Collect()) as collect:
        collect.send(1, None, 2)
        collect.fail(ValueError())
        assert (collect.component.messages, collect.outcome) == ([1, None, 2], "broken")


# --- Map ------------------------------------------------------------------------------------------


def test_map_passes_on_whatever_the_function_returns() -> None:
    with drive(Map(lambda n: n or None)) as part:
        part.send(1, 0, "x")
        assert part.take_all() == [1, None, "x"]


async def later(number: int) -> int:
    return -number


@types.coroutine
def later_of_old(number: int) -> Any:
    yield
    return -number


@pytest.mark.parametrize("slow", [later, later_of_old])
def test_a_function_may_return_something_to_await_now_and_then(slow: Any) -> None:
    kinds = itertools.cycle([int, slow, lambda number: (n for n in range(number)), slow, int])
    got = virtually(Source([1, 2, 3, 4, 5]) | Map(lambda n: next(kinds)(n)) | Collect())
    assert (got[:2], list(got[2]), got[3:]) == ([1, -2], [0, 1, 2], [-4, 5])
    assert virtually(Source([1, 2, 0]) | Filter(lambda n: slow(n) if n else n) | Collect()) == [1, 2]
    assert virtually(Source([1, 2]) | Scan(lambda _, n: slow(n), 0) | Collect()) == [-1, -2]


def test_map_waits_for_an_asynchronous_function_one_message_at_a_time() -> None:
    async def late(seconds: float) -> float:
        await sleep(seconds)
        return seconds

    with drive(Map(late)) as part:
        part.send(3, 1)
        part.advance(3)
        assert part.take_all() == [3]
        part.advance(1)
        assert part.take_all() == [1]


def trace_of_map(**options: Any) -> list[tuple[float, Any]]:
    """Return when which result comes of messages that take 3, 1, 1 and 2 seconds."""

    async def late(message: tuple[str, int]) -> str:
        name, seconds = message
        await asyncio.sleep(seconds)
        return name

    trace: list[tuple[float, Any]] = []
    with drive(Map(late, **options)) as part:
        part.send(("a", 3), ("b", 1), ("c", 1), ("d", 2))
        part.close()
        while not part.ended:
            part.advance(1)
            trace += [(part.time, result) for result in part.take_all()]
    return trace


def test_map_works_on_several_messages_at_once_in_order() -> None:
    assert trace_of_map(concurrency=2) == [(3, "a"), (3, "b"), (4, "c"), (5, "d")]
    assert trace_of_map(concurrency=10) == [(3, "a"), (3, "b"), (3, "c"), (3, "d")]


def test_map_works_on_several_messages_at_once_as_they_come() -> None:
    assert trace_of_map(concurrency=2, ordered=False) == [(1, "b"), (2, "c"), (3, "a"), (4, "d")]


def test_map_takes_no_more_than_it_works_on() -> None:
    async def never(message: int) -> None:
        await asyncio.sleep(3600)

    with drive(Map(never, concurrency=3)) as part:
        part.send(*range(10))
        assert part.component.inbox.statistics().waiting == 7
        part.cancel()
        assert part.outcome == "cancelled"


def test_map_with_concurrency_ends_when_nobody_listens() -> None:
    async def same(message: int) -> int:
        return message

    with drive(Map(same, concurrency=3)) as part:
        part.send(1)
        part.leave("outbox")
        assert part.outcome == "ended"


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_function_that_fails_fails_the_part(concurrency: int) -> None:
    async def invert(number: int) -> float:
        return 1 / number

    with drive(Map(invert, concurrency=concurrency)) as part:
        part.send(1, 0)
        assert (part.take(), part.outcome, part.state("outbox")) == (1, "failed", "failed")
        assert isinstance(part.error, ZeroDivisionError)


async def awaits_what_another_cancels() -> None:
    other = asyncio.ensure_future(asyncio.sleep(3600))
    other.cancel()
    await other


async def cancels_its_own_task() -> None:
    task: Any = asyncio.current_task()
    task.cancel()
    await asyncio.sleep(0)


@pytest.mark.parametrize("options", [{}, {"concurrency": 3}, {"concurrency": 3, "ordered": False}])
@pytest.mark.parametrize("messages", [2, 10])
def test_a_cancelled_that_nobody_asked_for_is_a_failure_of_the_part(
    options: dict[str, Any], messages: int
) -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(1)
        if number == 1:
            await awaits_what_another_cancels()
        return number

    with drive(Map(work, **options)) as part:
        part.send(*range(messages))
        part.close()
        part.advance(2)
        assert (part.outcome, part.state("outbox")) == ("failed", "failed")
        assert str(part.error) == (
            "Map was cancelled, but nobody had asked for it: something that it awaited was cancelled"
        )
        assert isinstance(part.error.__cause__, asyncio.CancelledError)


def test_a_call_that_cancels_its_own_task_is_a_failure_too() -> None:
    async def work(number: int) -> None:
        await asyncio.sleep(1)
        if number == 1:
            await cancels_its_own_task()

    with drive(Map(work, concurrency=3)) as part:
        part.send(*range(5))
        part.advance(1)
        assert "nobody had asked for it" in str(part.error)
        assert (part.outcome, part.take_all()) == ("failed", [None])


@pytest.mark.parametrize("ordered", [True, False])
def test_what_is_cancelled_beside_a_failure_is_no_failure(ordered: bool) -> None:
    async def work(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return 1 / (seconds - 1)

    with drive(Map(work, concurrency=3, ordered=ordered)) as part:
        part.send(5, 1, 5, 5)
        part.advance(1)
        assert isinstance(part.error, ZeroDivisionError)  # by itself, and not in a group with others
        assert (part.take_all(), part.component.inbox.statistics().waiting) == ([], 1)


@pytest.mark.parametrize("messages", [1, 5])
def test_a_stop_while_the_last_calls_are_under_way_is_no_failure(messages: int) -> None:
    async def never(number: int) -> None:
        await asyncio.sleep(3600)

    with drive(Map(never, concurrency=3)) as part:
        part.send(*range(messages))
        part.close()
        part.cancel()
        assert part.outcome == "cancelled"


def test_map_refuses_what_it_cannot_do() -> None:
    with pytest.raises(TypeError, match="give how many messages to work on at a time, a whole number"):
        Map(str, concurrency=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give a function"):
        Map(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 or more"):
        Map(str, concurrency=0)


# --- Filter and Take ------------------------------------------------------------------------------


def test_filter_leaves_out_and_counts() -> None:
    async def is_even(number: int) -> bool:
        await sleep(1)
        return number % 2 == 0

    for fn in (lambda n: n % 2 == 0, is_even):
        with drive(Filter(fn)) as part:
            part.send(*range(5))
            part.advance(5)
            assert (part.take_all(), part.component.left_out) == ([0, 2, 4], 2)
    with pytest.raises(TypeError, match="give a function"):
        Filter(None)  # type: ignore[arg-type]


def test_take_ends_after_the_first_messages_and_so_does_what_comes_before() -> None:
    with drive(Take(2)) as part:
        part.send(None, 1)
        assert (part.take_all(), part.outcome, part.state("inbox")) == ([None, 1], "ended", "closed")
    assert virtually(Source(count()) | Take(2) | Collect()) == [0, 1]
    assert virtually(Source(count()) | Take(0) | Collect()) == []
    assert virtually(Source([1]) | Take(2) | Collect()) == [1]
    with pytest.raises(ValueError, match="0 or more"):
        Take(-1)
    for wrong in (2.5, "3", None):
        with pytest.raises(TypeError, match=r"Take\(.*\): give how many messages to pass on, a whole number"):
            Take(wrong)  # type: ignore[arg-type]


def test_a_part_is_also_its_own_pattern() -> None:
    @component
    async def twice(inbox: Inbox[Any], outbox: Any, pattern: Component) -> None:
        for _ in range(2):
            await outbox.send(await make(pattern).run())

    assert virtually(twice(Source([1, 2]) | Map(str) | Collect()) | Collect()) == [["1", "2"], ["1", "2"]]


def test_a_source_refuses_a_function_that_makes_no_items() -> None:
    async def later() -> list[int]:
        return [1]

    for function, kind in ((lambda: 5, "int"), (later, "coroutine")):
        with drive(Source(function)) as source:  # type: ignore[arg-type]
            assert isinstance(source.error, TypeError)
            assert str(source.error).endswith(f": {kind} has no items; give a list of them")
