"""Rates: exact times, and an integral that never loses or makes up a bit."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.links import (
    ConstantRate,
    RateFunction,
    RateModel,
    RateTrace,
    UniformLoss,
    rate_model,
)

pytestmark = [pytest.mark.one_core, pytest.mark.once]

MS = 10**6
SECOND = 10**9
PACKET = 12_000  # bits


# --- exact times ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "start", "bits", "expected"),
    [
        ("2 Mbit/s", 0, PACKET, 6 * MS),
        ("2 Mbit/s", 17, PACKET, 6 * MS + 17),
        ("10 Gbit/s", 0, PACKET, 1200),
        ("10 Gbit/s", 0, 12_032, 1204),  # 1203.2: the last bit is sent in the 1204th
        (3, 0, 1, 333_333_334),
        (3, 0, 3, SECOND),
        (0.1, 0, 1, 9_999_999_999 + 1),  # 0.1 is a little more than 1/10: just below, rounded up
        (1e-3, 0, 1, 10**12),
        ("1 bit/s", 10**18, 1, 10**18 + SECOND),
        (1e12, 0, 0.5, 1),
        (1e12, 5, 0, 5),
        (8, 0, 0.25, SECOND // 32),
    ],
)
def test_a_constant_rate(rate: Any, start: int, bits: float, expected: int) -> None:
    assert ConstantRate(rate).finish(start, bits) == expected
    assert RateTrace([(0, rate)]).finish(start, bits) == expected
    assert RateTrace([(0, rate)], period="7 ms").finish(start, bits) == expected


STEPS = RateTrace([(0, "1 Mbit/s"), ("10 ms", 0), ("20 ms", "2 Mbit/s"), ("30 ms", "500 kbit/s")])
AGAIN = RateTrace([(0, "1 Mbit/s"), ("10 ms", 0), ("20 ms", "2 Mbit/s")], period="30 ms")


@pytest.mark.parametrize(
    ("start", "bits", "once", "again"),
    [
        (0, 0, 0, 0),
        (15 * MS, 0, 15 * MS, 15 * MS),  # nothing is sent at once, even while the rate is 0
        (0, 1000, 1 * MS, 1 * MS),
        (0, 10_000, 10 * MS, 10 * MS),
        (0, 10_001, 20 * MS + 500, 20 * MS + 500),
        (9 * MS, 1000, 10 * MS, 10 * MS),
        (10 * MS, 1, 20 * MS + 500, 20 * MS + 500),
        (15 * MS, 2000, 21 * MS, 21 * MS),
        (20 * MS, 20_000, 30 * MS, 30 * MS),
        (20 * MS, 20_001, 30 * MS + 2000, 30 * MS + 1000),
        (29 * MS, 4000, 34 * MS, 32 * MS),
        (0, 30_000, 30 * MS, 30 * MS),
        (0, 60_000, 90 * MS, 60 * MS),
        (0, 61_000, 92 * MS, 61 * MS),
        (45 * MS, 500, 46 * MS, 50 * MS + 250_000),
        (SECOND, 30_000, SECOND + 60 * MS, SECOND + 30 * MS),  # at 1 s: 10 ms into the 34th round
        (10**15, 30_000 * 10**6, 10**15 + 60_000 * SECOND, 10**15 + 30_000 * SECOND),
    ],
)
def test_steps(start: int, bits: int, once: int, again: int) -> None:
    assert (STEPS.finish(start, bits), AGAIN.finish(start, bits)) == (once, again)


@pytest.mark.parametrize(
    ("time", "once", "again"),
    [
        (0, 1e6, 1e6),
        (10 * MS - 1, 1e6, 1e6),
        (10 * MS, 0, 0),
        (20 * MS, 2e6, 2e6),
        (30 * MS, 5e5, 1e6),
        (55 * MS, 5e5, 2e6),
    ],
)
def test_the_rate_at_a_time(time: int, once: float, again: float) -> None:
    assert (STEPS.at(time), AGAIN.at(time), ConstantRate(once or 1).at(time)) == (once, again, once or 1)


def test_what_is_carried() -> None:
    assert STEPS.carried(5 * MS, 25 * MS) == 5000 + 10_000
    assert AGAIN.carried(5 * MS, 65 * MS) == 60_000
    assert ConstantRate("2 Mbit/s").carried(7, 7) == 0
    assert ConstantRate("2 Mbit/s").carried(0, 1) == 0.002


# --- packets in a row -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", [ConstantRate("10 Gbit/s"), ConstantRate(7e6), STEPS, AGAIN], ids=repr)
def test_packets_in_a_row_take_as_long_as_all_at_once(model: RateModel) -> None:
    sending = model.begin()
    waiting = [sending.send(5, 12_032) for _ in range(1000)]  # all are there from the beginning
    assert waiting == [model.finish(5, 12_032 * n) for n in range(1, 1001)]
    punctual, now = model.begin(), 5
    for end in waiting:  # each comes when the last one is through
        now = punctual.send(now, 12_032)
        assert now == end == punctual.free_at


def test_a_link_that_was_idle_begins_anew() -> None:
    sending = ConstantRate("10 Gbit/s").begin()
    assert [sending.send(now, 12_032) for now in (0, 1204, 2408, 2408)] == [1204, 2407, 3612, 4815]
    assert ConstantRate("10 Gbit/s").begin().send(SECOND, 12_032) == SECOND + 1204


def test_a_function_is_asked_for_each_packet_in_a_row() -> None:
    sending = RateFunction(lambda seconds: 1e6 if seconds < 0.001 else 2e6).begin()
    assert [sending.send(0, 1000) for _ in range(3)] == [MS, MS + MS // 2, 2 * MS]


# --- the integral ---------------------------------------------------------------------------------

rates = st.one_of(st.just(0.0), st.floats(1e-3, 1e12), st.integers(1, 10**9).map(float))
lengths = st.integers(1, 10**10)


@st.composite
def traces(draw: st.DrawFn) -> tuple[RateTrace, list[tuple[int, float]], int | None]:
    """Return a trace, the length and rate of each of its steps, and its period."""
    steps = draw(st.lists(st.tuples(lengths, rates), min_size=1, max_size=6))
    repeats = draw(st.booleans())
    assume(any(rate for _, rate in steps) if repeats else steps[-1][1])
    times = [0]
    for length, _ in steps:
        times.append(times[-1] + length)
    period = times[-1] if repeats else None
    trace = RateTrace(
        [(f"{time} ns", rate) for time, (_, rate) in zip(times, steps, strict=False)],
        None if period is None else f"{period} ns",
    )
    return trace, steps, period


def integral(steps: list[tuple[int, float]], period: int | None, time: int) -> Fraction:
    """Return the bits that can be sent from 0 to a time, as one would work it out by hand."""
    total, rounds = Fraction(0), 0
    if period is not None:
        rounds, time = divmod(time, period)
    for n, (length, rate) in enumerate(steps):
        last = period is None and n == len(steps) - 1
        part = time if last else min(time, length)
        total += Fraction(rate) * part / SECOND
        time -= part
    whole = sum((Fraction(rate) * length / SECOND for length, rate in steps), Fraction(0))
    return total + rounds * whole


times = st.integers(0, 10**12)
amounts = st.one_of(st.integers(0, 10**7), st.floats(0, 1e7))


@given(traces(), times, amounts)
def test_it_finishes_in_the_first_nanosecond_by_which_all_is_sent(
    given: tuple[RateTrace, list[tuple[int, float]], int | None], start: int, bits: float
) -> None:
    trace, steps, period = given
    end = trace.finish(start, bits)
    before = integral(steps, period, start)
    assert end >= start
    assert integral(steps, period, end) - before >= Fraction(bits)
    if end > start:
        assert integral(steps, period, end - 1) - before < Fraction(bits)
    assert trace.carried(start, end) == float(integral(steps, period, end) - before)


@given(traces(), times, times, amounts, amounts)
def test_who_begins_later_or_sends_more_is_never_earlier(
    given: tuple[RateTrace, list[tuple[int, float]], int | None],
    start: int,
    later: int,
    bits: float,
    more: float,
) -> None:
    trace, _, period = given
    assert trace.finish(start, bits) <= trace.finish(start + later, bits)
    assert trace.finish(start, min(bits, more)) <= trace.finish(start, max(bits, more))
    if period is not None:
        assert trace.finish(start + 3 * period, bits) == trace.finish(start, bits) + 3 * period


@given(st.floats(1e-3, 1e12), times, amounts)
def test_a_constant_rate_is_a_trace_of_one_step(rate: float, start: int, bits: float) -> None:
    end = ConstantRate(rate).finish(start, bits)
    assert end == RateTrace([(0, rate)]).finish(start, bits)
    assert ConstantRate(rate).carried(start, end) == RateTrace([(0, rate)]).carried(start, end)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantRate(0), "rate=0 is 0 for ever, so that nothing is ever sent"),
        (lambda: ConstantRate("0 bit/s"), "rate='0 bit/s' is 0 for ever"),
        (lambda: ConstantRate("fast"), "rate='fast': write a number"),
        (lambda: ConstantRate(math.inf), "rate=inf is no quantity"),
        (lambda: RateTrace([]), "RateTrace([]): give pairs (time, rate)"),
        (
            lambda: RateTrace([(1, 5)]),
            "RateTrace([(1, 5)]): give pairs (time, rate), the first for the beginning",
        ),
        (lambda: RateTrace([(0, 5), (2, 6), ("2 s", 7)]), "time='2 s' does not come after the one before it"),
        (lambda: RateTrace([(0, 5), (2, -6)]), "rate=-6 is no quantity"),
        (lambda: RateTrace([(0, 0)]), "from 0 on the rate is 0 for ever"),
        (lambda: RateTrace([(0, 0), (1, 0)], period=2), "from 0 on the rate is 0 for ever"),
        (
            lambda: RateTrace([(0, 1), ("60 s", 0)]),
            "from '60 s' on the rate is 0 for ever, so that nothing is ever",
        ),
        (lambda: RateTrace([(0, 1), (2, 2)], period=2), "period=2 ends before the last step, at 2 s, begins"),
        (lambda: RateFunction(5), "RateFunction(5): give a function"),
        (lambda: rate_model(True), "rate=True: give a rate such as '2 Mbit/s', a function of seconds, or"),
        (lambda: rate_model([1]), "rate=[1]: give a rate"),
        (lambda: rate_model(UniformLoss(0.1)), "rate=UniformLoss(share=0.1): give a rate"),
        (lambda: rate_model(0), "rate=0 is 0 for ever"),
        (lambda: rate_model(RateTrace), "rate=RateTrace is a kind of model: make one, RateTrace(...)"),
    ],
)
def test_what_users_should_not_write(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        make()


def rising(seconds: float) -> float:
    return 1e6 * seconds


@pytest.mark.parametrize(
    ("value", "model"),
    [
        (None, None),
        ("2 Mbit/s", ConstantRate(2e6)),
        (5, ConstantRate(5.0)),
        (STEPS, STEPS),
        (rising, RateFunction(rising)),
    ],
)
def test_what_users_write(value: Any, model: RateModel | None) -> None:
    assert rate_model(value) == model


# --- functions ------------------------------------------------------------------------------------


def test_a_function_is_asked_when_a_packet_begins() -> None:
    asked = []

    def rate(seconds: float) -> float:
        asked.append(seconds)
        return 1000.0 if seconds < 2 else 2000

    model = RateFunction(rate)
    assert model.finish(SECOND, 3000) == 4 * SECOND  # it goes on as it began
    assert model.finish(2 * SECOND, 3000) == 3 * SECOND + SECOND // 2
    assert model.finish(2 * SECOND, 0) == 2 * SECOND
    assert asked == [1.0, 2.0]
    assert model.at(1_500_000_000) == 1000


def test_while_a_function_says_0_it_is_asked_again() -> None:
    asked = []

    def rate(seconds: float) -> float:
        asked.append(seconds)
        return 0 if seconds < 1.0025 else 1e6

    assert RateFunction(rate).finish(SECOND, 1000) == SECOND + 4 * MS
    assert asked == [1.0, 1.001, 1.002, 1.003]
    assert RateFunction(lambda seconds: 0 if seconds < 60 else 1e9).finish(0, 1) == 60 * SECOND + 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "the rate is 0 for ever from 1.5 s on, says <function"),
        (-1, "the rate at 1.5 s is -1, says <function"),
        (math.nan, "the rate at 1.5 s is nan"),
        (math.inf, "the rate at 1.5 s is inf"),
        (None, "the rate at 1.5 s is None"),
        ("1 Mbit/s", "the rate at 1.5 s is '1 Mbit/s'"),
        (True, "the rate at 1.5 s is True"),
    ],
)
def test_what_a_function_should_not_say(value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        RateFunction(lambda seconds: value).finish(1_500_000_000, 1)


# --- files ----------------------------------------------------------------------------------------


def test_a_trace_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rate.txt"
    path.write_text("# time rate\n1700000000.25 1e6\n1700000000.75, 0\n1700000001.500000001 2000000\n")
    trace = RateTrace.read(path, period="10 s")
    assert trace == RateTrace([(0, 1e6), (0.5, 0), (1.250000001, 2e6)], period=10)
    assert trace.times == (0, 500_000_000, 1_250_000_001)
    assert repr(trace) == "<3 rates of 0 to 2000000 bit/s, again after 10 s>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "RateTrace([]): give pairs"),
        (
            "0 1\n1\n",
            "rate.txt, line 2: '1': a line has to be a time in seconds and a rate in bits per second",
        ),
        ("0 1\n1 2 3\n", "line 2: '1 2 3'"),
        ("0 1 Mbit/s\n", "line 1: '0 1 Mbit/s'"),
        ("0 nan\n", "line 1: '0 nan'"),
        ("1 5\n0 5\n", "time=-1.0 is no quantity"),
        ("0 5\n1 0\n", "from 1.0 on the rate is 0 for ever"),
    ],
)
def test_what_is_no_trace(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rate.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)):
        RateTrace.read(path)


@pytest.mark.parametrize(
    ("lines", "steps", "period"),
    [
        ("1", [(0, 12_032_000)], "1 ms"),
        ("1 2 3 4", [(0, 12_032_000)], "4 ms"),
        ("4", [(0, 0), ("3 ms", 12_032_000)], "4 ms"),
        (
            "1 1 3 5 5 5",
            [(0, 24_064_000), ("1 ms", 0), ("2 ms", 12_032_000), ("3 ms", 0), ("4 ms", 36_096_000)],
            "5 ms",
        ),
        ("0 0 2", [(0, 0), ("1 ms", 36_096_000)], "2 ms"),  # 0 is the end of the round before
    ],
)
def test_mahimahi(tmp_path: Path, lines: str, steps: Any, period: str) -> None:
    path = tmp_path / "trace"
    path.write_text(lines.replace(" ", "\n") + "\n")
    assert RateTrace.mahimahi(path) == RateTrace(steps, period)


def test_packets_that_wait_are_sent_when_mahimahi_would_send_them(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    opportunities = [1, 1, 3, 4, 4, 4, 9, 10]
    path.write_text("".join(f"{ms}\n" for ms in opportunities))
    sending = RateTrace.mahimahi(path).begin()
    ends = [math.ceil(sending.send(0, 1504 * 8) / MS) for _ in range(24)]
    assert ends == [ms + 10 * n for n in range(3) for ms in opportunities]
    assert RateTrace.mahimahi(path, packet=752).finish(0, 752 * 8) == MS // 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "trace lasts for no time"),
        ("0\n0\n", "trace lasts for no time"),
        ("3\n2\n", "trace, line 2: 2 is no whole number of milliseconds from 3 on"),
        ("-1\n", "trace, line 1: -1 is no whole number"),
        ("1.5\n", "trace, line 1: 3/2 is no whole number"),
        ("1 2\n", "trace, line 1: '1 2': a line has to be a time in milliseconds"),
    ],
)
def test_what_is_no_trace_of_mahimahi(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)):
        RateTrace.mahimahi(path)
    with pytest.raises(UsageError, match=r"packet=0: give a whole number from 1 on"):
        RateTrace.mahimahi(path, packet=0)
