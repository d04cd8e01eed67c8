"""The judges of chance are judged by tables, and by what they have to find."""

from __future__ import annotations

import pytest

from .chances import chi_square_p, judge, kolmogorov_p, pooled, run_chances, runs, upper_gamma

pytestmark = [pytest.mark.one_core, pytest.mark.once]


@pytest.mark.parametrize(
    ("degrees", "statistic", "p"),
    [
        (1, 3.841, 0.05),
        (1, 6.635, 0.01),
        (5, 11.070, 0.05),
        (10, 18.307, 0.05),
        (10, 2.558, 0.99),
        (30, 59.703, 0.001),
    ],
)
def test_chi_square_is_that_of_the_tables(degrees: int, statistic: float, p: float) -> None:
    assert upper_gamma(degrees / 2, statistic / 2) == pytest.approx(p, rel=2e-3)


@pytest.mark.parametrize(("n", "distance", "p"), [(20, 0.294, 0.05), (20, 0.352, 0.01), (50, 0.188, 0.05)])
def test_kolmogorov_is_that_of_the_tables(n: int, distance: float, p: float) -> None:
    even = [(i + 0.5) / n for i in range(n)]
    assert kolmogorov_p(even) > 0.999
    moved = [min(1.0, x + distance - 0.5 / n) for x in even]
    assert kolmogorov_p(moved) == pytest.approx(p, rel=0.06)


def test_p_values_that_are_too_small_or_not_even_are_found() -> None:
    judge([(i + 0.5) / 20 for i in range(20)])
    with pytest.raises(AssertionError, match="too small"):
        judge([0.00004, *((i + 0.5) / 19 for i in range(19))])
    with pytest.raises(AssertionError, match="not spread evenly"):
        judge([0.5 + (i + 0.5) / 40 for i in range(20)])


def test_rare_numbers_are_pooled() -> None:
    assert pooled([1] * 60 + [2] * 25 + [3] * 10 + [9] * 5, [0.5, 0.25, 0.125, 0.0625]) == (
        [60, 25, 10, 0, 5],
        [50.0, 25.0, 12.5, 6.25, 6.25],
    )
    # 2 + 0 + 0.5 + 6.25 + 0.25 = 9, with four degrees of freedom: exp(-4.5) (1 + 4.5)
    assert chi_square_p([60, 25, 10, 0, 5], [50.0, 25.0, 12.5, 6.25, 6.25]) == pytest.approx(0.0610995)


def test_runs_are_those_between_changes() -> None:
    marks = [mark == "1" for mark in "1100101110011"]
    assert runs(marks, 2) == ([1, 3], [2, 1])


def test_runs_of_the_simple_chain_are_geometric() -> None:
    assert run_chances(0.1, 0.25, 0, 1, lost=True, longest=3) == pytest.approx([0.25, 0.1875, 0.140625])
    assert run_chances(0.1, 0.25, 0, 1, lost=False, longest=2) == pytest.approx([0.1, 0.09])
