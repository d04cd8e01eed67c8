"""Intervals: exact values, what they cover in the long run, pairs, and many comparisons."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isnan, nan, sqrt

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.experiments import holm, interval
from kamaelia.testbed.experiments.intervals import p_value
from kamaelia.testbed.links import RandomStream

pytestmark = pytest.mark.one_core

SKEWED = [0.1, 0.4, 0.2, 0.9, 1.7, 0.3, 0.6, 0.2, 3.1, 0.5, 0.8, 0.1]


def test_the_interval_of_student_is_that_of_scipy() -> None:
    found = interval(SKEWED)
    assert found.mean == pytest.approx(8.9 / 12)
    assert (found.low, found.high) == pytest.approx((0.1894507962698867, 1.2938825370634466), rel=1e-12)
    assert p_value(SKEWED) == pytest.approx(0.013066428091350972, rel=1e-12)
    assert p_value([one - 0.5 for one in SKEWED]) == pytest.approx(0.35613496559567326, rel=1e-12)


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [("bca", 0.4083, 1.4833), ("percentile", 0.35, 1.2667)],
    ids=["bca", "percentile"],
)
def test_bootstraps_are_those_of_scipy(method: str, low: float, high: float) -> None:
    found = interval(SKEWED, method=method)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.03))
    assert interval(SKEWED, method=method) == found  # it draws the same each time


def test_a_bootstrap_moves_both_ends_for_what_is_skewed() -> None:
    plain, moved = interval(SKEWED, method="percentile"), interval(SKEWED, method="bca")
    assert plain.low < moved.low and plain.high < moved.high
    mirrored = interval([-one for one in SKEWED], method="bca")
    assert (mirrored.low, mirrored.high) == (
        pytest.approx(-moved.high, abs=0.05),
        pytest.approx(-moved.low, abs=0.02),
    )


def test_one_value_far_out_does_not_break_a_bootstrap() -> None:
    found = interval([0.0] * 19 + [1e12], confidence=0.999, method="bca", resamples=200)
    assert 0 <= found.low <= found.high <= 1e12


def test_few_values_have_a_mean_and_no_interval() -> None:
    none, one = interval([]), interval([7.0])
    assert isnan(none.mean) and isnan(none.low) and str(none) == "-"
    assert one.mean == 7.0 and isnan(one.low) and str(one) == "7"
    assert not none.excludes_zero and not one.excludes_zero


@pytest.mark.parametrize("method", ["t", "bca", "percentile"])
def test_equal_values_have_an_interval_of_one_point(method: str) -> None:
    found = interval([3.0] * 5, method=method)
    assert (found.low, found.mean, found.high) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize("values", [[1.0, inf], [1.0, nan], [inf, -inf]])
def test_what_is_not_finite_has_no_interval(values: list[float]) -> None:
    assert isnan(interval(values).low)
    assert isnan(p_value(values))


@pytest.mark.parametrize(
    "options", [{"method": "z"}, {"confidence": 1.0}, {"confidence": 0.0}, {"resamples": 3, "method": "bca"}]
)
def test_what_cannot_be_meant_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(options))}="):
        interval([1.0, 2.0], **options)  # type: ignore[arg-type]


# -- in the long run --------------------------------------------------------------------------------------

EXPERIMENTS, RUNS = 400, 20


def share_that_covers(draw: Callable[[RandomStream], float], true: float, confidence: float = 0.95) -> float:
    """Return in what share of many experiments the interval has the true mean in it."""
    covered = 0
    for number in range(EXPERIMENTS):
        stream = RandomStream(number, "coverage")
        found = interval([draw(stream) for _ in range(RUNS)], confidence)
        covered += found.low <= true <= found.high
    return covered / EXPERIMENTS


def bounds(share: float) -> tuple[float, float]:
    """Return between what the share of a fair coin is in 999 of 1,000 cases."""
    off = 3.29 * sqrt(share * (1 - share) / EXPERIMENTS)
    return share - off, share + off


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_intervals_have_the_truth_in_them_as_often_as_they_say(confidence: float) -> None:
    low, high = bounds(confidence)
    assert low <= share_that_covers(lambda stream: stream.normal(5, 2), 5, confidence) <= high


def test_for_skewed_numbers_they_are_a_little_short_and_the_page_says_how_much() -> None:
    low, high = bounds(0.915)
    assert low <= share_that_covers(lambda stream: stream.exponential(1), 1) <= high


def test_pairs_tell_a_difference_that_two_intervals_hide() -> None:
    """What both variants of a seed have in common drops out of their difference."""
    found_in_pairs = found_apart = 0
    for number in range(100):
        stream = RandomStream(number, "pairs")
        common = [stream.normal(0, 5) for _ in range(RUNS)]
        first = [one + stream.normal(0, 0.5) for one in common]
        second = [one + 1 + stream.normal(0, 0.5) for one in common]
        one, other = interval(first), interval(second)
        found_apart += one.high < other.low
        found_in_pairs += interval([b - a for a, b in zip(first, second, strict=True)]).excludes_zero
    assert (found_apart, found_in_pairs) == (0, 100)


# -- many comparisons -------------------------------------------------------------------------------------


def test_holm_is_that_of_the_paper() -> None:
    # Each is multiplied by how many are as large or larger, and none is below one before it.
    assert holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx([0.03, 0.04, 0.04, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_leaves_out_what_is_no_number() -> None:
    found = holm([0.01, nan, 0.03])
    assert found[0] == 0.02 and isnan(found[1]) and found[2] == 0.03


def test_holm_keeps_the_chance_of_any_false_alarm() -> None:
    """Of 400 families of ten comparisons without a difference, some 5 % have one that says there is."""
    alarms = single = 0
    for number in range(EXPERIMENTS):
        stream = RandomStream(number, "families")
        values = [p_value([stream.normal(0, 1) for _ in range(RUNS)]) for _ in range(10)]
        single += min(values) < 0.05
        alarms += min(holm(values)) < 0.05
    low, high = bounds(0.05)
    assert low <= alarms / EXPERIMENTS <= high
    assert single / EXPERIMENTS > 0.3  # without it: 1 - 0.95**10 is 0.4
