"""Parts that keep time, exact in virtual time."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import Component, VirtualLoop, clock, run
from kamaelia.flow import Collect, Debounce, Delay, Interval, OneShot, RateLimit, Sample, Take
from kamaelia.testing import Driver, drive


def trace(driver: Driver[Any], until: float) -> list[tuple[float, Any]]:
    """Return when which message comes, exactly."""
    found = [(driver.time, message) for message in driver.take_all()]
    while driver.skip(until - driver.time):
        found += [(driver.time, message) for message in driver.take_all()]
    return found


# --- Interval -------------------------------------------------------------------------------------


def test_interval_counts_from_zero_at_once() -> None:
    with drive(Interval(2.5)) as interval:
        assert trace(interval, 10) == [(0, 0), (2.5, 1), (5, 2), (7.5, 3), (10, 4)]


def test_interval_repeats_a_message() -> None:
    with drive(Interval(10, message="tick")) as interval:
        assert trace(interval, 20) == [(0, "tick"), (10, "tick"), (20, "tick")]


@pytest.mark.slow
def test_interval_does_not_drift() -> None:
    with drive(Interval(0.1)) as interval:
        times = [when for when, _ in trace(interval, 1000)]
    assert times == pytest.approx([number * 0.1 for number in range(10_001)], rel=0, abs=1e-9)


def test_interval_leaves_out_what_slow_readers_make_it_miss() -> None:
    with drive(Interval(1), sizes={"outbox": 1}) as interval:
        interval.advance(3.5)
        assert interval.take() == 0
        interval.expect_nothing()
        interval.advance(0.5)
        assert (interval.time, interval.take()) == (4.0, 4)


def test_interval_ends_when_nobody_listens_even_between_two_messages() -> None:
    assert run(Interval(3600) | Take(1) | Collect(), loop_factory=VirtualLoop) == [0]
    with drive(Interval(3600)) as interval:
        interval.leave()
        assert (interval.outcome, interval.time) == ("ended", 0)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 10**400])
def test_interval_refuses_what_is_no_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Interval(seconds)


def test_interval_refuses_what_is_no_number() -> None:
    wrong: list[Any] = ["x", None, timedelta(seconds=1)]
    for seconds in wrong:
        with pytest.raises(
            TypeError, match=r"Interval\(.*\): give the seconds between two messages, a number"
        ):
            Interval(seconds)
    with pytest.raises(TypeError, match="of a timedelta, give its total_seconds"):
        Interval(wrong[-1])
    assert Interval(Fraction(1, 2)).seconds == 0.5  # type: ignore[arg-type]


# --- RateLimit ------------------------------------------------------------------------------------


def test_one_message_at_a_time() -> None:
    with drive(RateLimit(4)) as limit:
        limit.send(*"abcd")
        assert trace(limit, 10) == [(0, "a"), (0.25, "b"), (0.5, "c"), (0.75, "d")]
        limit.advance(10 - limit.time)  # a pause saves up no more than one message
        limit.send(*"ef")
        assert trace(limit, 20) == [(10, "e"), (10.25, "f")]


def test_a_burst_after_a_pause() -> None:
    with drive(RateLimit(60, per=60, burst=3)) as limit:
        limit.send(*"abcde")
        assert trace(limit, 10) == [(0, "a"), (0, "b"), (0, "c"), (1, "d"), (2, "e")]
        limit.advance(3.5 - limit.time)  # one and a half messages saved up
        limit.send(*"fg")
        assert trace(limit, 10) == [(3.5, "f"), (4, "g")]


def test_bytes_wait_until_what_came_before_is_paid_for() -> None:
    with drive(RateLimit(1000, unit="bytes")) as limit:
        limit.send(b"x" * 500, b"y" * 2000, b"z")
        assert [(when, len(data)) for when, data in trace(limit, 10)] == [(0, 500), (0.5, 2000), (2.5, 1)]


def test_bytes_with_a_burst() -> None:
    with drive(RateLimit(1000, unit="bytes", burst=1000)) as limit:
        limit.send(b"x" * 600, b"y" * 400, b"z" * 5000, b"w" * 100)
        # The third costs more than the bucket holds, so it passes when the bucket is full, and leaves a
        # debt of 4000.
        assert [(when, len(data)) for when, data in trace(limit, 10)] == [
            (0, 600),
            (0, 400),
            (1, 5000),
            (5.1, 100),
        ]


@pytest.mark.parametrize("message", [7, "ü", ["a", "list"]])
def test_what_is_no_bytes_is_refused(message: Any) -> None:
    with drive(RateLimit(1, unit="bytes")) as limit:
        limit.send(message)
        assert str(limit.error) == (
            f'RateLimit: RateLimit(unit="bytes") takes bytes, but got {message!r}; put Encode() before it, '
            'or say unit="messages"'
        )


def test_bytes_are_counted_in_whatever_holds_them() -> None:
    with drive(RateLimit(1, unit="bytes")) as limit:
        words = memoryview(array("H", [1, 2]))  # two items, of two bytes each
        limit.send(bytearray(2), words, b"x")
        assert [when for when, _ in trace(limit, 10)] == [0, 2, 6]


@pytest.mark.parametrize(
    "options", [{"rate": 0}, {"rate": 1, "per": 0}, {"rate": 1, "burst": 0}, {"rate": 1, "unit": "bits"}]
)
def test_rate_limit_refuses_what_is_no_rate(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="RateLimit"):
        RateLimit(**options)


@pytest.mark.parametrize("name", ["rate", "per", "burst"])
def test_rate_limit_refuses_what_is_no_number(name: str) -> None:
    options: dict[str, Any] = {"rate": 1, name: "x"}
    with pytest.raises(TypeError, match=rf"RateLimit\({name}='x'\): give .*, a number"):
        RateLimit(**options)


def test_rate_limit_does_not_drift() -> None:
    class Times(Component):
        async def main(self) -> list[float]:
            return [clock() async for _ in self.inbox]

    from kamaelia.flow import Source

    times = run(Source(range(10_000)) | RateLimit(30) | Times(), loop_factory=VirtualLoop)
    assert times == pytest.approx([number / 30 for number in range(10_000)], rel=0, abs=1e-8)


def allowed_times(arrivals: Sequence[tuple[float, int]], rate: float, burst: float) -> list[float]:
    """Say when messages pass a token bucket, told in the simplest way: token by token."""
    times: list[float] = []
    now, tokens = 0.0, float(burst)
    for when, cost in arrivals:
        if when > now:
            tokens = min(burst, tokens + (when - now) * rate)
            now = when
        missing = min(cost, burst) - tokens
        if missing > 0:
            now += missing / rate
            tokens += missing
        tokens -= cost
        times.append(now)
    return times


@given(
    gaps=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 50)), min_size=1, max_size=30),
    rate=st.integers(1, 40),
    burst=st.integers(0, 60),
)
def test_bytes_pass_exactly_when_a_token_bucket_lets_them(
    gaps: list[tuple[int, int]], rate: int, burst: int
) -> None:
    arrivals: list[tuple[float, int]] = []
    when = 0.0
    for gap, cost in gaps:
        when += gap / 4
        arrivals.append((when, cost))
    with drive(RateLimit(rate, unit="bytes", burst=burst)) as limit:
        passed: list[tuple[float, Any]] = []
        for when, cost in arrivals:
            passed += trace(limit, when)
            limit.advance(max(0, when - limit.time))
            limit.send(b"x" * cost)
        passed += trace(limit, 1e9)
    assert [len(data) for _, data in passed] == [cost for _, cost in arrivals]
    expected = allowed_times(arrivals, rate, burst)
    assert [when for when, _ in passed] == pytest.approx(expected, abs=1e-6)


# --- OneShot, Delay, Debounce, Sample --------------------------------------------------------------


def test_oneshot_sends_one_message_when_it_says() -> None:
    with drive(OneShot("now")) as one:
        assert (trace(one, 10), one.outcome) == ([(0, "now")], "ended")
    with drive(OneShot("later", after=2.5)) as one:
        assert (trace(one, 10), one.outcome) == ([(2.5, "later")], "ended")
    with drive(OneShot("never", after=2.5)) as one:
        one.leave("outbox")
        assert (one.outcome, one.time) == ("ended", 0)


def test_delay_keeps_the_distances() -> None:
    with drive(Delay(10)) as delay:
        delay.send("a")
        delay.advance(4)
        delay.send("b", "c")
        delay.advance(9)
        assert delay.take_all() == ["a"]
        delay.send("d")
        assert trace(delay, 100) == [(14, "b"), (14, "c"), (23, "d")]


def test_delay_takes_no_more_than_may_wait() -> None:
    with drive(Delay(10, size=2)) as delay:
        delay.send("a", "b", "c", "d")
        assert delay.component.inbox.statistics().waiting == 2
        assert trace(delay, 100) == [(10, "a"), (10, "b"), (20, "c"), (20, "d")]


@pytest.mark.parametrize("end", ["close", "fail"])
def test_what_is_delayed_when_its_inbox_ends_comes_in_its_time(end: str) -> None:
    with drive(Delay(10)) as delay:
        delay.send("a")
        delay.advance(3)
        delay.send("b")
        if end == "close":
            delay.close()
        else:
            delay.fail(OSError("gone"))
        assert trace(delay, 100) == [(10, "a"), (13, "b")]
        assert delay.outcome == ("ended" if end == "close" else "broken")


@pytest.mark.parametrize("closed", [False, True])
def test_what_is_delayed_at_a_stop_comes_at_once(closed: bool) -> None:
    with drive(Delay(3600)) as delay:
        delay.send("a", "b")
        delay.advance(3)
        if closed:
            delay.close("inbox")
        delay.stop()
        assert (delay.take_all(), delay.time) == (["a", "b"], 3)


def test_debounce_waits_until_it_is_quiet() -> None:
    part = Debounce(1)
    with drive(part) as quiet:
        for seconds, message in ((0, "a"), (0.5, "b"), (0.75, "c"), (2, "d")):
            quiet.advance(seconds)
            quiet.send(message)
        assert trace(quiet, 100) == [(3.25, "c"), (4.25, "d")]
        assert quiet.component.left_out == 2
    with drive(Debounce(1)) as quiet:
        quiet.send("a")
        quiet.advance(0.25)
        quiet.send("b")
        assert trace(quiet, 100) == [(1.25, "b")]


def test_sample_sends_the_latest_of_each_interval() -> None:
    with drive(Sample(1)) as sample:
        sample.advance(2.25)
        sample.send("a", "b")
        assert trace(sample, 2.75) == []
        assert trace(sample, 10) == [(3, "b")]
        sample.advance(10 - sample.time)
        sample.send("c")  # at the very beginning of an interval
        assert trace(sample, 20) == [(11, "c")]
        assert sample.component.left_out == 1


@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=20), st.floats(0.1, 3))
def test_sample_and_debounce_lose_nothing_but_what_they_count(gaps: list[float], seconds: float) -> None:
    for part in (Sample(seconds), Debounce(seconds)):
        with drive(part) as driver:
            for number, gap in enumerate(gaps):
                driver.send(number)
                driver.advance(gap)
            driver.close("inbox")
            got = driver.take_all()
            assert got == sorted(got) and got[-1] == len(gaps) - 1
            assert len(got) + driver.component.left_out == len(gaps)


def test_what_waits_in_a_rate_limit_at_a_stop_is_passed_on_at_once() -> None:
    with drive(RateLimit(1, per=60)) as limit:
        limit.send("a", "b")
        limit.close()
        assert limit.take_all() == ["a"]
        limit.stop()
        assert (limit.take_all(), limit.outcome, limit.time) == (["b"], "ended", 0)


def test_a_rate_limit_makes_up_for_what_little_a_slow_reader_has_cost() -> None:
    def passed(held_for: float) -> list[float]:
        """Return when messages at 10 a second pass, of which the second is held back for some time."""
        times: list[float] = []
        with drive(RateLimit(10), sizes={"outbox": 1}) as limit:
            limit.send(*range(8))
            for number in range(8):
                if number == 1:
                    limit.advance(0.1 + held_for)
                while not limit.waits_to_be_taken():
                    assert limit.skip()
                limit.take()
                times.append(round(limit.time, 6))
        return times

    assert passed(0.0) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert passed(0.05)[2:] == [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert passed(1.0)[2:] == [1.1, 1.2, 1.3, 1.4, 1.5, 1.6]  # a whole second is not made up for
