"""Sketches against the exact quantiles of what was put into them."""

from __future__ import annotations

import json
import math
import pickle
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.observe import Sketch, Summary
from kamaelia.observe.sketch import BUCKETS, OCTAVES, summaries

pytestmark = [pytest.mark.one_core, pytest.mark.once]

SHARES = (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1)
NUMBERS = st.one_of(
    st.integers(-(10**12), 10**12),
    st.floats(1e-6, 1e9),
    st.floats(-1e9, -1e-6),
    st.integers(0, 200),
    st.just(0),
)


def exact(values: list[Any], share: float) -> Any:
    """The value of rank ceil(share * n), computed without floats."""
    rank = math.ceil(Fraction(str(share)) * len(values))
    return sorted(values)[max(rank, 1) - 1]


# -- quantiles --------------------------------------------------------------------------------------


@given(st.lists(NUMBERS, min_size=1, max_size=300))
@example([0.0, 0, -0.0])
@example([2**60 - 1, 2**60, 2**60 + 1])
@example([63, 64, 127, 128, 255, 256])
def test_each_quantile_is_within_one_percent(values: list[float]) -> None:
    sketch = Sketch(values)
    for share in SHARES:
        wanted = exact(values, share)
        assert abs(sketch.quantile(share) - wanted) <= 0.0078 * abs(wanted), share
    assert (sketch.count, sketch.min, sketch.max) == (len(values), min(values), max(values))
    assert math.isclose(sketch.mean, math.fsum(values) / len(values), rel_tol=1e-9, abs_tol=1e-3)


@pytest.mark.parametrize(
    "draw",
    [
        lambda chance: chance.paretovariate(0.7),
        lambda chance: chance.lognormvariate(-4, 2),
        lambda chance: chance.expovariate(50),
        lambda chance: chance.gauss(0, 1),
        lambda chance: chance.choice([1e-6, 1.0, 1e6]),
    ],
    ids=["pareto", "lognormal", "exponential", "normal", "three values"],
)
def test_of_many_values_of_several_distributions(draw: Any) -> None:
    chance = random.Random(7)
    values = [draw(chance) for _ in range(20_000)]
    sketch = Sketch(values)
    for share in (*SHARES, 0.999):
        wanted = exact(values, share)
        assert abs(sketch.quantile(share) - wanted) <= 0.0078 * abs(wanted), share


def test_whole_numbers_below_128_are_told_exactly() -> None:
    values = [n for n in range(-127, 128) for _ in range(n % 3 + 1)]
    sketch = Sketch(values)
    for n in range(1, len(values) + 1):
        assert sketch.quantile(n / len(values)) == sorted(values)[n - 1]


def test_one_number_with_a_fraction_makes_all_of_them_approximate() -> None:
    assert Sketch([5, 5, 6]).quantile(0.5) == 5
    assert Sketch([4, 5, 6.5]).quantile(0.5) == pytest.approx(5, rel=0.0078)
    assert Sketch([4, 5, 6.5]).quantile(0.5) != 5


def test_ranks_are_not_spoilt_by_floats() -> None:
    # 0.07 * 100 is 7.000000000000001
    assert Sketch(range(1, 101)).quantile(0.07) == 7
    assert [Sketch(range(1, 101)).quantile(n / 100) for n in range(1, 101)] == list(range(1, 101))


def test_of_no_values_nothing_is_known() -> None:
    sketch = Sketch()
    assert sketch.count == sketch.total == 0
    assert math.isnan(sketch.mean) and math.isnan(sketch.quantile(0.5))


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_a_quantile_is_a_share(share: float) -> None:
    with pytest.raises(UsageError, match="give a share from 0 to 1"):
        Sketch([1]).quantile(share)


# -- what goes in -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "text", None, [1], 10**400, -(10**400)])
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    sketch = Sketch([1, 2])
    with pytest.raises(UsageError, match="give a finite number"):
        sketch.add(value)
    assert sketch == Sketch([1, 2])


@pytest.mark.parametrize("value", [True, Fraction(1, 2), Decimal("2.5"), 1e300, 5e-324, 2**1000])
def test_other_numbers_are_taken(value: Any) -> None:
    assert Sketch([value, value, value]).quantile(0.5) == value


def test_a_value_may_be_added_several_times() -> None:
    for value in (0, 3, 3.5, -2, 1000):
        sketch = Sketch([1])
        sketch.add(value, 5)
        assert sketch == Sketch([1, *[value] * 5])


@given(st.lists(st.integers(-1000, 2**53 - 1), max_size=50), st.lists(st.integers(-100, 100), max_size=9))
def test_whole_numbers_may_be_added_in_a_quicker_way(values: list[int], more: list[int]) -> None:
    quick = Sketch()
    quick.add_all(values)
    quick.add_all(more)
    assert quick == Sketch(values + more)


# -- merging ----------------------------------------------------------------------------------------


@given(st.lists(st.lists(NUMBERS.map(int), max_size=40), max_size=6), st.randoms(use_true_random=False))
def test_merging_is_the_sketch_of_all(parts: list[list[int]], chance: random.Random) -> None:
    everything = [value for part in parts for value in part]
    chance.shuffle(parts)
    merged = Sketch()
    for part in parts:
        merged.merge(Sketch(part))
    assert merged == Sketch(everything)


def test_merging_keeps_all_quantiles_of_fractions() -> None:
    chance = random.Random(3)
    values = [chance.expovariate(10) for _ in range(3000)]
    merged = Sketch(values[:1000])
    merged.merge(Sketch(values[1000:]))
    whole = Sketch(values)
    assert [merged.quantile(share) for share in SHARES] == [whole.quantile(share) for share in SHARES]
    assert merged.total == pytest.approx(whole.total)


def test_a_copy_goes_its_own_way() -> None:
    sketch = Sketch([1, 2])
    other = sketch.copy()
    other.add(3)
    assert (sketch.count, other.count) == (2, 3)
    assert sketch != other
    assert sketch != 2


# -- memory -----------------------------------------------------------------------------------------


def rows(sketch: Sketch) -> int:
    return len(sketch._above) + len(sketch._below)


def test_memory_is_bounded_whatever_comes() -> None:
    chance = random.Random(1)
    sketch = Sketch()
    for _ in range(30_000):
        sketch.add(chance.choice([-1, 1]) * 2.0 ** chance.uniform(-990, 990))
        assert rows(sketch) <= 4 * OCTAVES
    assert sketch.count == 30_000
    assert sketch.quantile(0.9) > 2.0**500
    assert rows(sketch) <= 2 * OCTAVES
    assert all(len(row) == BUCKETS for row in sketch._above.values())


def test_what_is_too_small_beside_the_greatest_is_put_together() -> None:
    # 64 powers of two from 2**99 to 2**100 down begin at 2**36
    values = [2.0**99, 1.0, 3.0, 2.0**36, 2.0**37]
    sketch = Sketch(values)
    assert sketch.quantile(0.2) == 1.0  # the least is known
    assert sketch.quantile(0.4) == sketch.quantile(0.6) == pytest.approx(2.0**36, rel=0.01)
    assert sketch.quantile(0.8) == pytest.approx(2.0**37, rel=0.01)
    assert sketch.count == 5


@given(st.permutations([2.0**n for n in range(-200, 200, 7)] + [-(2.0**n) for n in range(-100, 90, 11)]))
@settings(max_examples=30)
def test_bounds_do_not_depend_on_the_order(values: list[float]) -> None:
    whole = Sketch(sorted(values))
    half = len(values) // 2
    merged = Sketch(values[half:])
    merged.merge(Sketch(values[:half]))
    merged.total = whole.total  # which may differ in the last digit
    assert merged == whole


def test_numbers_that_are_hardly_any_count_as_nothing() -> None:
    assert Sketch([-1.0, 5e-324, 1e-310, 1.0]).quantile(0.5) == 0


# -- as results -------------------------------------------------------------------------------------


def test_a_summary_tells_in_its_unit() -> None:
    summary = Summary(Sketch([20_000_000, 30_000_000, 40_000_000]), "s", 10**9)
    assert (summary.count, summary.total, summary.mean) == (3, 0.09, 0.03)
    assert (summary.min, summary.max) == (0.02, 0.04)
    assert summary.quantile(0.5) == pytest.approx(0.03, rel=0.0078)
    assert summary.as_dict() == {
        "kind": "summary",
        "count": 3,
        "mean": 0.03,
        "min": 0.02,
        "p50": summary.quantile(0.5),
        "p95": 0.04,
        "p99": 0.04,
        "max": 0.04,
        "unit": "s",
    }
    assert str(summary) == "3 values: mean 30 ms, min 20 ms, p50 30 ms, p95 40 ms, p99 40 ms, max 40 ms"
    assert repr(summary) == f"<Summary of {summary}>"
    assert pickle.loads(pickle.dumps(summary)) == summary


def test_a_summary_of_nothing_is_no_number() -> None:
    summary = Summary(Sketch(), "s")
    assert all(math.isnan(value) for value in (summary.mean, summary.min, summary.max, summary.quantile(0.5)))
    assert json.loads(json.dumps(summary.as_dict(), allow_nan=False))["mean"] is None
    assert str(summary) == "no values"
    assert "-" in summaries([("delay", summary)])


def test_summaries_are_merged_if_they_count_the_same() -> None:
    one, other = Summary(Sketch([1, 2]), "B"), Summary(Sketch([3]), "B")
    assert one.merged(other) == Summary(Sketch([1, 2, 3]), "B")
    assert one.sketch.count == 2
    with pytest.raises(UsageError, match="counted in different parts"):
        one.merged(Summary(Sketch([1]), "s", 10**9))
