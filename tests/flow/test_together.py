"""Zip, Collate and Tee: several streams."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import pytest

from kamaelia.axon import LinkError, VirtualLoop, make, run
from kamaelia.flow import Collate, Collect, Delay, Encode, Filter, Interval, Map, Source, Take, Tee, Zip
from kamaelia.testing import drive


def virtually(*parts: Any) -> Any:
    return run(*parts, loop_factory=VirtualLoop)


# --- Zip ------------------------------------------------------------------------------------------


def test_messages_are_paired_by_their_order() -> None:
    with drive(Zip("a", "b", "c")) as zipped:
        zipped.send(1, 2, box="b")
        zipped.send("x", box="c")
        zipped.expect_nothing()
        zipped.send(0.5, 0.6, box="a")
        assert zipped.take_all() == [(0.5, 1, "x")]
        zipped.send("y", box="c")
        assert zipped.take_all() == [(0.6, 2, "y")]


def test_a_stream_that_is_ahead_is_held_back() -> None:
    with drive(Zip("a", "b")) as zipped:
        zipped.send(*range(102), box="a")
        assert zipped.full("a")
        assert zipped.component.boxes["a"].statistics().waiting == 101  # one has been taken
        zipped.send(*range(102), box="b")
        assert zipped.take_all() == [(n, n) for n in range(102)]


def test_it_ends_with_the_first_stream_that_does_whichever_it_waits_for() -> None:
    for first, second in ("ab", "ba"):
        with drive(Zip("a", "b")) as zipped:
            zipped.send(1, 2, box=first)
            zipped.send(1, box=second)
            zipped.close(second)
            assert (zipped.take_all(), zipped.outcome, zipped.component.unpaired) == ([(1, 1)], "ended", 1)
            assert zipped.state(first) == "closed"


def test_what_was_sent_before_the_end_of_a_stream_is_paired() -> None:
    with drive(Zip("a", "b")) as zipped:
        zipped.send(1, box="a")
        zipped.close("a")
        assert zipped.outcome == "running"
        zipped.send(2, box="b")
        assert (zipped.take_all(), zipped.outcome, zipped.component.unpaired) == ([(1, 2)], "ended", 0)


def test_a_stream_that_fails_breaks_the_pairs() -> None:
    with drive(Zip("a", "b")) as zipped:
        zipped.send(1, box="a")
        zipped.fail(OSError("cable"), box="b")
        assert (zipped.outcome, zipped.state("outbox"), zipped.component.unpaired) == ("broken", "failed", 1)


def test_streams_to_be_paired_have_names() -> None:
    with pytest.raises(TypeError, match=r"Zip\('a'\): give the names of its inboxes, 2 or more"):
        Zip("a")
    with pytest.raises(ValueError, match="no box can be called 'outbox'"):
        Zip("a", "outbox")


# --- Collate --------------------------------------------------------------------------------------

KEY = itemgetter(0)


def test_messages_are_paired_by_their_key() -> None:
    with drive(Collate("a", "b", key=KEY)) as collate:
        collate.send("1x", "2x", "3x", box="a")
        collate.send("3y", "1y", box="b")
        assert collate.take_all() == [("3x", "3y"), ("1x", "1y")]
        collate.close()
        assert (collate.take_all("unmatched"), collate.outcome) == ([("2x", None)], "ended")
        assert collate.component.given_up == 1


def test_each_inbox_may_have_a_key_of_its_own() -> None:
    with drive(Collate("a", "b", key={"a": KEY, "b": itemgetter(-1)})) as collate:
        collate.send("1x", box="a")
        collate.send("y1", box="b")
        assert collate.take_all() == [("1x", "y1")]


def test_messages_of_one_key_are_paired_in_order() -> None:
    with drive(Collate("a", "b", key=KEY)) as collate:
        collate.send("1x", "1y", "1z", box="a")
        collate.send("1X", "1Y", box="b")
        assert collate.take_all() == [("1x", "1X"), ("1y", "1Y")]
        collate.send("1Z", "1W", box="b")
        assert collate.take_all() == [("1z", "1Z")]


def test_when_too_many_wait_the_oldest_is_given_up() -> None:
    with drive(Collate("a", "b", "c", key=KEY, keep=2)) as collate:
        collate.send("1a", "2a", box="a")
        collate.send("1b", box="b")
        collate.expect_nothing()
        collate.send("3a", box="a")
        assert collate.take_all("unmatched") == [("1a", "1b", None)]
        collate.send("1c", box="c")  # too late
        assert collate.take_all("unmatched") == [("2a", None, None)]
        assert collate.component.given_up == 2


def test_a_stream_that_fails_gives_up_what_waits() -> None:
    with drive(Collate("a", "b", key=KEY)) as collate:
        collate.send("1a", box="a")
        collate.fail(OSError("cable"), box="b")
        assert collate.take_all("unmatched") == [("1a", None)]
        assert (collate.outcome, collate.state("outbox")) == ("broken", "failed")


def test_keys_are_checked() -> None:
    for key in (7, {"a": KEY}, {"a": KEY, "b": 7}, {"a": KEY, "b": KEY, "c": KEY}):
        with pytest.raises(TypeError, match=r"Collate\(key=.*: give a function of a message, or a dict"):
            Collate("a", "b", key=key)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="how many may wait"):
        Collate("a", "b", key=KEY, keep=0)


# --- Tee ------------------------------------------------------------------------------------------


def test_both_branches_get_each_message() -> None:
    side = Collect()
    assert virtually(Source("abc") | Tee(side) | Map(str.upper) | Collect()) == ["A", "B", "C"]
    assert side.messages == ["a", "b", "c"]


def test_a_branch_that_ends_leaves_the_other() -> None:
    side = Collect()
    assert virtually(Source("abc") | Tee(Take(1) | side) | Collect()) == ["a", "b", "c"]
    assert side.messages == ["a"]
    side = Collect()
    assert virtually(Source("abc") | Tee(side) | Take(1) | Collect()) == ["a"]
    assert side.messages == ["a", "b", "c"]


def test_when_nobody_listens_in_either_it_ends() -> None:
    with drive(Tee(Take(2))) as tee:
        tee.send(1)
        tee.leave("outbox")
        assert tee.outcome == "running"
        tee.send(2)
        assert tee.outcome == "ended"
    assert virtually(Interval(1) | Tee(Take(3) | Collect()) | Take(2) | Collect()) == [0, 1]


def test_the_slower_branch_sets_the_pace_or_misses_some() -> None:
    with drive(Tee(Delay(5, size=1) | Collect()), sizes={"outbox": 1000}) as tee:
        tee.send(*range(199))
        assert not tee.full()
        tee.send(199, 200)
        assert (tee.full(), len(tee.take_all())) == (True, 101)  # one is on its way through the branch
        tee.close()
        tee.finish()
    side = Collect()
    with drive(Tee(Delay(5, size=1) | side, when_full="drop-newest"), sizes={"outbox": 1000}) as tee:
        tee.send(*range(300))
        assert tee.take_all() == list(range(300))
        tee.close()
        tee.finish()
        assert side.messages == list(range(101))


def test_a_failure_of_the_branch_is_one_of_the_tee() -> None:
    with drive(Tee(Map(lambda n: 1 // n))) as tee:
        tee.send(1, 0)
        assert (tee.take_all(), tee.outcome, tee.state("outbox")) == ([1, 0], "failed", "failed")
        assert isinstance(tee.error, ZeroDivisionError)


def test_a_failure_of_what_feeds_it_is_one_for_both() -> None:
    side = Collect()
    with drive(Tee(side)) as tee:
        tee.send(1)
        tee.fail(OSError("cable"))
        assert (tee.take_all(), tee.state("outbox"), side._axon.outcome) == ([1], "failed", "broken")


def test_a_tee_is_made_anew_with_its_part() -> None:
    pattern = Source("ab") | Tee(Filter(str.isalpha) | Collect()) | Collect()
    assert virtually(make(pattern)) == ["a", "b"]
    with pytest.raises(LinkError, match="it has no inbox, so nothing can be given to it"):
        Tee(Source("a"))
    with pytest.raises(LinkError, match="when_full"):
        Tee(Encode(), when_full="drop")  # type: ignore[arg-type]
