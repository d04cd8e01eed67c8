"""Student's t beside printed tables, and beside values of SciPy 1.16."""

from __future__ import annotations

from math import inf

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.experiments.student import incomplete_beta, quantile, two_sided

pytestmark = pytest.mark.one_core

TABLE = {  # the two-sided 90, 95 and 99 %, as every textbook prints them
    1: (6.314, 12.706, 63.657),
    2: (2.920, 4.303, 9.925),
    3: (2.353, 3.182, 5.841),
    4: (2.132, 2.776, 4.604),
    5: (2.015, 2.571, 4.032),
    9: (1.833, 2.262, 3.250),
    10: (1.812, 2.228, 3.169),
    19: (1.729, 2.093, 2.861),
    20: (1.725, 2.086, 2.845),
    29: (1.699, 2.045, 2.756),
    60: (1.671, 2.000, 2.660),
    120: (1.658, 1.980, 2.617),
}


@pytest.mark.parametrize("freedom", TABLE)
def test_quantiles_are_those_of_the_table(freedom: int) -> None:
    found = [f"{quantile(confidence, freedom):.3f}" for confidence in (0.9, 0.95, 0.99)]
    assert found == [f"{value:.3f}" for value in TABLE[freedom]]


@pytest.mark.parametrize(
    ("confidence", "freedom", "expected"),
    [
        (0.95, 1, 12.706204736174694),
        (0.95, 19, 2.0930240544083087),
        (0.99, 9, 3.249835541592126),
        (0.999, 4, 8.610301581379522),
        (0.5, 2, 0.8164965809277261),
        (0.95, 999_999, 1.9599663568164791),
    ],
)
def test_quantiles_are_those_of_scipy(confidence: float, freedom: int, expected: float) -> None:
    assert quantile(confidence, freedom) == pytest.approx(expected, rel=1e-8 if freedom > 1000 else 1e-12)


@pytest.mark.parametrize(
    ("t", "freedom", "expected"),
    [
        (0.1, 1, 0.936548965138893),
        (2.093, 19, 0.05000237894282798),
        (50.0, 19, 1.2440279578064896e-21),
        (1e6, 3, 2.205315581679229e-18),
        (1e30, 5, 1.8980334491124726e-149),
        (1e-8, 7, 0.999999992300171),
        (-40.0, 2, 0.0006244146721847406),
    ],
)
def test_tails_are_those_of_scipy(t: float, freedom: int, expected: float) -> None:
    assert two_sided(t, freedom) == pytest.approx(expected, rel=1e-12)


def test_nothing_is_beyond_infinity() -> None:
    assert two_sided(inf, 3) == 0.0
    assert two_sided(0.0, 3) == 1.0


def test_the_incomplete_beta_function_is_symmetric() -> None:
    # I_x(2, 3) is a polynomial: 6 x**2 - 8 x**3 + 3 x**4
    for x in (0.1, 0.3, 0.5, 0.7, 0.9):
        polynomial = 6 * x**2 - 8 * x**3 + 3 * x**4
        assert incomplete_beta(2, 3, x, 1 - x) == pytest.approx(polynomial, rel=1e-13)
        assert incomplete_beta(3, 2, 1 - x, x) == pytest.approx(1 - polynomial, rel=1e-13)


@pytest.mark.parametrize(("confidence", "freedom"), [(0.0, 3), (1.0, 3), (1.5, 3), (0.95, 0)])
def test_what_cannot_be_meant_is_refused(confidence: float, freedom: int) -> None:
    with pytest.raises(UsageError, match=r"confidence=|freedom=0"):
        quantile(confidence, freedom)
