"""Functions that are the same in each bit everywhere, and near enough to the true ones."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Callable

import pytest

from kamaelia.testbed.links.elementary import exp, log, normal_quantile, normal_share
from kamaelia.testbed.links.random_stream import RandomStream

pytestmark = [pytest.mark.one_core, pytest.mark.once]

SHARES = (
    [2.0**-k for k in range(1, 54)] + [1 - 2.0**-k for k in range(1, 54)] + [k / 997 for k in range(1, 997)]
)
NUMBERS = [k / 7 for k in range(-4900, 4900, 3)]
DEVIATES = [k / 100 for k in range(-900, 901)]


def normal(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


@pytest.mark.parametrize(
    ("ours", "theirs", "values", "relative", "absolute"),
    [
        (log, math.log, SHARES, 1e-15, 0),
        (log, math.log, [1e-300, 0.1, 1.5, 2.0, 10.0, 1e300], 1e-15, 0),
        (exp, math.exp, NUMBERS, 1e-15, 0),
        (exp, math.exp, [0.0, -0.0, 1e-20, -1e-20, -800.0], 1e-15, 0),
        (normal_share, normal, DEVIATES, 0, 1e-15),
        (normal_quantile, statistics.NormalDist().inv_cdf, SHARES, 2e-15, 1e-16),
    ],
)
def test_they_are_near_to_those_of_the_library(
    ours: Callable[[float], float],
    theirs: Callable[[float], float],
    values: list[float],
    relative: float,
    absolute: float,
) -> None:
    for value in values:
        assert ours(value) == pytest.approx(theirs(value), rel=relative, abs=absolute), value


@pytest.mark.parametrize(
    ("function", "values", "digest"),
    [
        (log, SHARES, "92dfe2a4dbd912c5"),
        (exp, NUMBERS, "921d0f718473bc10"),
        (normal_share, DEVIATES, "3c920a3ba0937806"),
        (normal_quantile, SHARES, "6a575ebc703c334b"),
    ],
)
def test_each_bit_is_the_same_on_every_machine(
    function: Callable[[float], float], values: list[float], digest: str
) -> None:
    text = " ".join(function(value).hex() for value in values)
    assert hashlib.blake2b(text.encode(), digest_size=8).hexdigest() == digest


def test_quantile_and_share_are_inverses() -> None:
    stream = RandomStream(7, "inverses")
    for _ in range(2000):
        share = stream.inside()
        assert normal_share(normal_quantile(share)) == pytest.approx(share, abs=1e-15)


def test_the_ends() -> None:
    assert (normal_share(-9.0), normal_share(9.0)) == (0.0, 1.0)
    assert normal_quantile(1e-300) == pytest.approx(-37.0471, abs=1e-4)
    with pytest.raises(OverflowError):
        exp(710.0)
