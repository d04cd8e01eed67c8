"""What passes a point: exact values of sequences made by hand."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.observe import Sketch, total
from kamaelia.testbed.measures_flow import Flow, FlowMetrics

pytestmark = [pytest.mark.one_core, pytest.mark.once]

MS = 10**6


def flow_of(times: list[int], size: int = 100, **options: Any) -> Flow:
    """A flow of messages at times in milliseconds."""
    flow = Flow(**options)
    for time in times:
        flow.passed(time * MS, size)
    return flow


def stamped(*rows: tuple[int, int | None, int | None], **options: Any) -> FlowMetrics:
    """Metrics of messages with time, number, and time of sending; times are in milliseconds."""
    flow = Flow(**options)
    for time, number, sent in rows:
        flow.passed(time * MS, 100, number, None if sent is None else sent * MS)
    return flow.result(max(time for time, _, _ in rows) * MS)


# -- throughput and gaps ----------------------------------------------------------------------------


def test_nothing_has_passed() -> None:
    metrics = Flow("film").result(3 * 10**9)
    assert (metrics.messages, metrics.bytes, metrics.silence, metrics.active) == (0, 0, 3.0, 0.0)
    assert all(math.isnan(value) for value in (metrics.first, metrics.last, metrics.throughput, metrics.loss))
    assert str(metrics) == "film: no messages\n"
    assert json.loads(json.dumps(metrics.as_dict(), allow_nan=False))["throughput"] is None


def test_throughput_is_of_what_came_after_the_first() -> None:
    metrics = flow_of(list(range(500, 1501, 10))).result(2 * 10**9)
    assert (metrics.messages, metrics.bytes, metrics.active_bytes) == (101, 10_100, 10_000)
    assert (metrics.first, metrics.last, metrics.active, metrics.silence) == (0.5, 1.5, 1.0, 0.5)
    assert metrics.throughput == 80_000.0
    assert (metrics.gaps.count, metrics.gaps.min, metrics.gaps.max, metrics.gaps.mean) == (
        100,
        0.01,
        0.01,
        0.01,
    )


def test_times_are_counted_from_the_beginning_of_the_measure() -> None:
    metrics = flow_of([2500, 4500], began=2 * 10**9).result(5 * 10**9)
    assert (metrics.first, metrics.last, metrics.silence) == (0.5, 2.5, 0.5)
    assert metrics.first_stall == 0.5


def test_one_message_has_no_throughput() -> None:
    metrics = flow_of([5]).result(10 * MS)
    assert math.isnan(metrics.throughput)
    assert (metrics.messages, metrics.rate.count, metrics.gaps.count) == (1, 0, 0)
    assert str(metrics).startswith("1 message, 100 B, from 5 ms to 5 ms, -\n")


def rates(metrics: FlowMetrics) -> list[float]:
    sketch = metrics.rate.sketch
    return [sketch.quantile(n / sketch.count) for n in range(1, sketch.count + 1)]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        # seconds are counted from the first message; the one that is not over does not count
        ([300, 600, 1299], []),
        ([300, 600, 1299, 1300], [2400.0]),
        ([0, 100, 200, 1000, 2000, 2999], [800.0, 2400.0]),
        ([0, 100, 200, 1000, 2000, 3000], [800.0, 800.0, 2400.0]),
        # three silent seconds between
        ([0, 5000], [0.0, 0.0, 0.0, 0.0, 800.0]),
        ([0, 4999], [0.0, 0.0, 0.0, 800.0]),
        ([0, 0, 0, 1000], [2400.0]),
    ],
)
def test_the_rate_of_each_second(times: list[int], expected: list[float]) -> None:
    found = rates(flow_of(times).result(10 * 10**9))
    assert found == pytest.approx(expected, rel=0.0078)
    assert found[-1:] == expected[-1:]  # the greatest is exact


def test_rates_may_be_of_other_times_than_a_second() -> None:
    metrics = flow_of(list(range(0, 1000, 10)), every=100 * MS).result(10**9)
    assert metrics.rate.count == 9
    assert (metrics.rate.min, metrics.rate.max) == (80_000.0, 80_000.0)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=50), st.integers(1, 3000))
def test_rates_are_those_of_a_slow_count(times: list[int], every: int) -> None:
    times.sort()
    counts = [
        sum(start <= time < start + every for time in times)
        for start in range(times[0], times[-1] - every + 1, every)
    ]
    metrics = flow_of(times, every=every * MS).result(10**11)
    assert metrics.rate.sketch == Sketch(8 * 10**9 * 100 * count / (every * MS) for count in counts)


# -- stalls -----------------------------------------------------------------------------------------


def test_a_stall_is_a_gap_that_is_longer_than_the_limit() -> None:
    metrics = flow_of([0, 50, 100, 151, 200, 500, 550], stall=50 * MS).result(10**9)
    assert (metrics.stalls.count, metrics.stalls.total, metrics.stalls.max) == (2, 0.351, 0.3)
    assert (metrics.first_stall, metrics.stall, metrics.silence) == (0.1, 0.05, 0.45)
    assert "stalls of more than 50 ms: 2, 351 ms in all, longest 300 ms, first at 100 ms\n" in str(metrics)


def test_no_stall() -> None:
    metrics = flow_of([0, 50, 100], stall=50 * MS).result(10**12)
    assert metrics.stalls.count == 0
    assert math.isnan(metrics.first_stall)
    assert "stall" not in str(metrics)


# -- delay and jitter -------------------------------------------------------------------------------


def test_delays_and_jitter_by_hand() -> None:
    # delays of 20, 25, 22, 22 ms: differences of 5, 3, 0
    metrics = stamped((20, 0, 0), (35, 1, 10), (42, 2, 20), (52, 3, 30))
    assert (metrics.delay.count, metrics.delay.min, metrics.delay.max) == (4, 0.02, 0.025)
    assert metrics.delay.mean == 0.02225
    assert (metrics.jitter.count, metrics.jitter.min, metrics.jitter.max) == (3, 0.0, 0.005)
    # RFC 3550: J = 5/16 = 0.3125; + (3 - 0.3125)/16 = 0.48046875; + (0 - 0.48046875)/16
    assert metrics.smoothed_jitter == pytest.approx(0.00048046875 * 15 / 16, rel=1e-12)


def test_the_smoothed_jitter_comes_near_to_that_which_is_always_there() -> None:
    metrics = stamped(*[(20 * n + 8 * (n % 2), n, 20 * n) for n in range(1000)])
    assert metrics.smoothed_jitter == pytest.approx(0.008)
    assert metrics.jitter.min == metrics.jitter.max == 0.008


def test_a_clock_that_began_elsewhere_shifts_delays_and_no_jitter() -> None:
    rows = [(20 * n + n * n % 7, n, 20 * n) for n in range(50)]
    right = stamped(*rows)
    wrong = stamped(*[(time, number, sent + 10_000) for time, number, sent in rows if sent is not None])
    assert wrong.jitter == right.jitter
    assert wrong.smoothed_jitter == right.smoothed_jitter
    assert wrong.delay.min == pytest.approx(right.delay.min - 10)
    assert wrong.delay.mean == pytest.approx(right.delay.mean - 10)


def test_copies_have_no_delay() -> None:
    metrics = stamped((20, 0, 0), (25, 1, 5), (90, 1, 5), (30, 2, 10))
    assert (metrics.delay.count, metrics.delay.max, metrics.duplicates) == (3, 0.02, 1)


def test_numbers_without_times_and_times_without_numbers() -> None:
    metrics = stamped((20, 0, None), (25, 2, None))
    assert (metrics.delay.count, metrics.expected, metrics.lost, metrics.loss) == (0, 3, 1, 1 / 3)
    assert math.isnan(metrics.smoothed_jitter)
    metrics = stamped((20, None, 10), (25, None, 10))
    assert (metrics.delay.count, metrics.expected, metrics.jitter.max) == (2, 0, 0.005)
    assert "lost" not in str(metrics)


# -- loss -------------------------------------------------------------------------------------------


def test_loss_and_disorder_are_told() -> None:
    numbers = [0, 1, 2, 6, 7, 9, 8, 9, 10, 12]
    metrics = stamped(*[(10 * place, number, None) for place, number in enumerate(numbers)])
    assert (metrics.expected, metrics.lost, metrics.loss) == (13, 4, 4 / 13)
    assert (metrics.bursts.count, metrics.bursts.mean, metrics.bursts.max) == (2, 2.0, 3)
    assert (metrics.duplicates, metrics.reordered, metrics.late) == (1, 1, 0)
    assert (metrics.extents.max, metrics.lateness.max) == (1, 0.01)
    assert str(metrics) == (
        "10 messages, 1 kB, from 0 s to 90 ms, 80 kbit/s\n"
        "      mean    min    p50    p95    p99    max\n"
        "gap  10 ms  10 ms  10 ms  10 ms  10 ms  10 ms\n"
        "lost: 4 of 13 (30.8 %) in 2 bursts, mean 2, longest 3\n"
        "reordered: 1, by 1 message and 10 ms at most\n"
        "duplicates: 1\n"
    )


# -- merging ----------------------------------------------------------------------------------------


def test_merged_flows_are_as_if_one_had_looked_at_all() -> None:
    one = stamped((20, 0, 0), (35, 1, 10), (47, 3, 20), name="film", stall=11 * MS)
    other = stamped((1020, 7, 1000), (1040, 8, 1000), (1070, 8, 1000), name="film")
    both = one.merged(other)
    assert (both.name, both.flows, both.messages, both.bytes) == ("film", 2, 6, 600)
    assert (both.first, both.last) == (0.02, 1.07)
    assert (both.active, both.active_bytes) == (pytest.approx(0.077), 400)
    assert both.throughput == pytest.approx(8 * 400 / 0.077)
    assert (both.expected, both.lost, both.duplicates, both.loss) == (6, 1, 1, 1 / 6)
    assert both.gaps.sketch == Sketch([15 * MS, 12 * MS, 20 * MS, 30 * MS])
    assert both.delay.sketch == Sketch([20 * MS, 25 * MS, 27 * MS, 20 * MS, 40 * MS])
    assert both.jitter.sketch == Sketch([5 * MS, 2 * MS, 20 * MS])
    assert (both.stalls.count, both.first_stall, both.stall) == (2, 0.02, 0.011)
    weighed = (one.smoothed_jitter * 2 + other.smoothed_jitter) / 3
    assert both.smoothed_jitter == pytest.approx(weighed)
    assert total([one, other]) == both
    assert "6 messages in 2 flows" in str(both)


def test_merging_with_nothing_changes_nothing() -> None:
    one = stamped((20, 0, 0), (35, 1, 10))
    both = one.merged(Flow().result(0))
    assert (both.flows, both.smoothed_jitter, both.first, both.last) == (
        2,
        one.smoothed_jitter,
        one.first,
        one.last,
    )
    assert math.isnan(both.first_stall)


# -- as data ----------------------------------------------------------------------------------------


def test_a_result_is_a_value() -> None:
    metrics = stamped((20, 0, 0), (2035, 1, 10), (2042, 2, 20))
    assert metrics == stamped((20, 0, 0), (2035, 1, 10), (2042, 2, 20))
    assert pickle.loads(pickle.dumps(metrics)) == metrics
    nothing = Flow().result(0)
    assert pickle.loads(pickle.dumps(nothing)) == nothing != metrics
    assert nothing != 0
    with pytest.raises(AttributeError):
        metrics.lost = 3  # type: ignore[misc]


def test_a_result_does_not_change_afterwards() -> None:
    flow = flow_of([0, 10])
    before = flow.result(20 * MS)
    flow.passed(50 * MS, 100)
    assert (before.messages, before.gaps.count) == (2, 1)
    assert flow.result(50 * MS).gaps.count == 2


def test_plain_values() -> None:
    values = json.loads(json.dumps(stamped((20, 0, 0), (35, 2, 10)).as_dict(), allow_nan=False))
    assert values["kind"] == "flow"
    assert (values["messages"], values["loss"], values["first_stall"]) == (2, 1 / 3, None)
    assert values["delay"]["max"] == 0.025
    assert values["rate"] == {
        "kind": "summary",
        "count": 0,
        "mean": None,
        "min": None,
        "p50": None,
        "p95": None,
        "p99": None,
        "max": None,
        "unit": "bit/s",
    }
