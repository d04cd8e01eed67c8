"""Parts that number, tag, gather, cut and leave out messages; and the ends of pipelines."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from kamaelia.axon import ComponentsFailed, VirtualLoop, run
from kamaelia.flow import (
    Batch,
    Chunk,
    Collect,
    Count,
    Debounce,
    Deduplicate,
    Delay,
    Detag,
    Null,
    Number,
    OneShot,
    Range,
    Sample,
    Scan,
    Skip,
    Source,
    Tag,
    Trigger,
    Window,
)
from kamaelia.testing import drive


def virtually(*parts: Any) -> Any:
    return run(*parts, loop_factory=VirtualLoop)


# --- ends of a pipeline ---------------------------------------------------------------------------


def test_count_counts_and_null_forgets() -> None:
    assert virtually(Source(range(1000)) | Count()) == 1000
    assert virtually(Source([]) | Count()) == 0
    assert virtually(Source(range(1000)) | Null()) is None


def test_count_says_how_many_it_has_seen_before_a_failure() -> None:
    with drive(Count()) as count:
        count.send("a", "b")
        count.fail(OSError("gone"))
        assert (count.component.count, count.outcome) == (2, "broken")


# --- one message for another ----------------------------------------------------------------------


def test_trigger_calls_its_function_for_each_message() -> None:
    numbers = iter(range(10))
    assert virtually(Source("abc") | Trigger(lambda: next(numbers)) | Collect()) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_trigger_ends_when_there_is_nothing_left_to_hand_out(kind: str) -> None:
    async def letters() -> Any:
        for letter in "ab":
            yield letter

    fn: Any = iter("ab").__next__ if kind == "plain" else letters().__anext__
    trigger = Trigger(fn)
    assert virtually(Source("1234") | trigger | Collect()) == ["a", "b"]
    assert trigger.inbox.unread == 1  # the third was the request that could not be met


def test_scan_keeps_the_result() -> None:
    def add(total: int, number: int) -> int:
        return total + number

    async def slowly(total: int, number: int) -> int:
        await asyncio.sleep(1)
        return total + number

    assert virtually(Source([1, 2, 3]) | Scan(add) | Collect()) == [1, 3, 6]
    assert virtually(Source([1, 2, 3]) | Scan(add, 10) | Collect()) == [11, 13, 16]
    assert virtually(Source([1, 2, 3]) | Scan(slowly, start=10) | Collect()) == [11, 13, 16]
    assert virtually(Source([None]) | Scan(lambda a, b: (a, b), None) | Collect()) == [(None, None)]
    assert virtually(Source([]) | Scan(add, 10) | Collect()) == []


def test_numbers_and_tags_go_on_and_come_off() -> None:
    assert virtually(Source("ab") | Number() | Collect()) == [(0, "a"), (1, "b")]
    assert virtually(Source("ab") | Number(-1) | Collect()) == [(-1, "a"), (0, "b")]
    assert virtually(Source("ab") | Tag("x") | Number() | Collect()) == [(0, ("x", "a")), (1, ("x", "b"))]
    assert virtually(Source("ab") | Tag("x") | Number() | Detag() | Detag() | Collect()) == ["a", "b"]


@pytest.mark.parametrize("message", ["ab", (1, 2, 3), [1, 2], None])
def test_detag_refuses_what_is_no_pair(message: Any) -> None:
    with drive(Detag()) as detag:
        detag.send(message)
        assert "Detag takes pairs (tag, message), and this is none: " in str(detag.error)


# --- fewer messages -------------------------------------------------------------------------------


def test_skip_leaves_out_the_first() -> None:
    for count, left in [(0, ["a", "b", "c"]), (2, ["c"]), (3, []), (10, [])]:
        assert virtually(Source("abc") | Skip(count) | Collect()) == left


def test_range_includes_its_bounds() -> None:
    both, key = Range(2, 4), Range(high=3, key=len)
    assert virtually(Source([1, 2, 3, 4, 5]) | both | Collect()) == [2, 3, 4]
    assert both.left_out == 2
    assert virtually(Source([1, 2, 3]) | Range(low=2) | Collect()) == [2, 3]
    assert virtually(Source(["a", "four", "abc"]) | key | Collect()) == ["a", "abc"]
    with pytest.raises(ComponentsFailed):
        virtually(Source(["text"]) | Range(1, 2) | Collect())


def test_deduplicate_forgets_what_it_has_not_seen_for_longest() -> None:
    part = Deduplicate(remember=2)
    assert virtually(Source("abaacab") | part | Collect()) == ["a", "b", "c", "b"]
    assert part.left_out == 3
    assert virtually(Source(["Ab", "aB", "c"]) | Deduplicate(key=str.lower) | Collect()) == ["Ab", "c"]


def test_deduplicate_says_what_it_needs() -> None:
    with drive(Deduplicate()) as part:
        part.send(["a list"])
        assert "cannot know ['a list'] again: give Deduplicate(key=...)" in str(part.error)


# --- several as one -------------------------------------------------------------------------------


def test_batch_sends_so_many_at_a_time_and_then_the_rest() -> None:
    assert virtually(Source(range(4)) | Batch(2) | Collect()) == [(0, 1), (2, 3)]
    assert virtually(Source(range(5)) | Batch(2) | Collect()) == [(0, 1), (2, 3), (4,)]
    assert virtually(Source([]) | Batch(2) | Collect()) == []
    assert virtually(Source("ab") | Batch(1) | Collect()) == [("a",), ("b",)]


def test_a_batch_does_not_wait_for_longer_than_it_may() -> None:
    with drive(Batch(3, seconds=2)) as batch:
        batch.advance(10)  # nothing waits, so there is nothing to send
        batch.expect_nothing()
        batch.send("a")
        batch.advance(1.5)
        batch.send("b")
        batch.advance(0.25)
        batch.expect_nothing()
        batch.advance(0.25)
        assert batch.take_all() == [("a", "b")]
        batch.send("c", "d", "e", "f")
        assert batch.take_all() == [("c", "d", "e")]
        batch.advance(2)
        assert batch.take_all() == [("f",)]


@pytest.mark.parametrize("end", ["close", "fail"])
def test_what_has_been_gathered_is_passed_on_at_any_end(end: str) -> None:
    for part, messages, rest in [
        (Batch(3), ["a", "b"], [("a", "b")]),
        (Batch(3, seconds=60), ["a", "b"], [("a", "b")]),
        (Chunk(3), [b"a", b"b"], [b"ab"]),
        (Debounce(60), ["a", "b"], ["b"]),
        (Sample(60), ["a", "b"], ["b"]),
    ]:
        with drive(part) as driver:
            driver.send(*messages)
            driver.expect_nothing()
            if end == "close":
                driver.close()
            else:
                driver.fail(OSError("gone"))
            assert (driver.take_all(), driver.time) == (rest, 0)
            assert driver.outcome == ("ended" if end == "close" else "broken")


def test_who_gathers_holds_back_whom_it_cannot_serve() -> None:
    with drive(Batch(2), sizes={"outbox": 1}) as batch:
        batch.send(*range(7))
        assert batch.component.inbox.statistics().waiting == 5  # one batch is sent, and nobody has taken it
        assert batch.take_all() == [(0, 1), (2, 3), (4, 5)]


def test_window_slides() -> None:
    assert virtually(Source("abcde") | Window(3) | Collect()) == [tuple("abc"), tuple("bcd"), tuple("cde")]
    assert virtually(Source("abcdef") | Window(2, step=3) | Collect()) == [tuple("ab"), tuple("de")]
    assert virtually(Source("abcdef") | Window(3, step=2) | Collect()) == [tuple("abc"), tuple("cde")]
    assert virtually(Source("ab") | Window(3) | Collect()) == []


def test_chunk_cuts_anew() -> None:
    for pieces in ([b"abcdefgh"], [b"abc", b"", b"defg", b"h"], [bytearray(b"abcdefgh")]):
        assert virtually(Source(pieces) | Chunk(3) | Collect()) == [b"abc", b"def", b"gh"]
    assert virtually(Source([b"abc"]) | Chunk(3) | Collect()) == [b"abc"]
    with drive(Chunk(3)) as chunk:
        chunk.send("text")
        assert "takes bytes, and this is none: 'text'" in str(chunk.error)


# --- what they refuse -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Trigger(7), r"TypeError: Trigger\(7\): give a function without arguments"),
        (lambda: Scan(7), r"TypeError: Scan\(7\): give a function of the result so far and a message"),
        (lambda: Number("a"), r"TypeError: .*the number of the first message, a whole number$"),
        (lambda: Skip(-1), r"ValueError: Skip\(-1\): give how many messages to leave out, 0 or more"),
        (lambda: Range(), r"TypeError: Range\(\): give at least one bound"),
        (lambda: Range(3, 2), r"ValueError: Range\(3, 2\): nothing is between these; swap them"),
        (lambda: Range(3, key=7), r"TypeError: Range\(key=7\): give a function"),
        (lambda: Deduplicate(7), r"TypeError: Deduplicate\(key=7\): give a function"),
        (lambda: Deduplicate(remember=0), r"ValueError: Deduplicate\(remember=0\): .*1 or more"),
        (lambda: Batch(0), r"ValueError: Batch\(0\): give how many messages to a batch, 1 or more"),
        (lambda: Batch(2, seconds=0), r"ValueError: Batch\(seconds=0\): .*more than 0"),
        (lambda: Window(2, step=0), r"ValueError: Window\(step=0\): .*1 or more"),
        (lambda: Chunk(2.5), r"TypeError: Chunk\(2.5\): give how many bytes to a piece, a whole number"),
        (lambda: OneShot("x", after=-1), r"ValueError: OneShot\(after=-1\): .*0 or more"),
        (lambda: OneShot("x", after="1"), r"TypeError: OneShot\(after='1'\): .*a number, 0 or more"),
        (lambda: Delay(float("inf")), r"ValueError: Delay\(inf\): .*more than 0"),
        (lambda: Delay(1, size=0), r"ValueError: Delay\(size=0\): .*1 or more"),
        (lambda: Debounce(0), r"ValueError: Debounce\(0\): .*more than 0"),
        (lambda: Sample(0), r"ValueError: Sample\(0\): .*more than 0"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(make: Any, complaint: str) -> None:
    with pytest.raises((TypeError, ValueError)) as refused:
        make()
    assert re.search(complaint, f"{type(refused.value).__name__}: {refused.value}")
