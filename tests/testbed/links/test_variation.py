"""Jitter: exact draws, distributions, correlation, recorded samples, and what users write."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.links import (
    Distribution,
    Empirical,
    Exponential,
    JitterModel,
    Normal,
    Pareto,
    RandomStream,
    Uniform,
    UniformLoss,
    jitter_model,
)

from .chances import SEEDS, chi_square_p, judge

pytestmark = [pytest.mark.one_core, pytest.mark.once]

MS = 10**6


def draws(model: JitterModel, count: int, seed: int = 7) -> list[int]:
    jitter = model.begin(RandomStream(seed, "jitter"))
    return [jitter.draw() for _ in range(count)]


SAMPLES = ["1 ms", "1.5 ms", 0.002, -0.0005, "12 ms"]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Uniform("2 ms"), [-818574, 1576814, -819110, -1352880, 934628]),
        (Uniform("2 ms", correlation="75 %"), [655284, -61891, -1009581, -157495, 1785695]),
        (Normal("2 ms"), [-1075606, 2498394, -1076382, -1974338, 1247823]),
        (Normal("2 ms", 0.5), [1625870, -119239, -1769446, 195923, 4511029]),
        (Exponential("2 ms"), [700127, 4492476, 699746, 352949, 2645941]),
        (Pareto("2 ms", shape=2.5), [450909, 4367714, 450646, 219423, 2092661]),
        (Empirical(SAMPLES), [1000000, 12000000, 1000000, -500000, 2000000]),
    ],
    ids=lambda value: repr(value) if isinstance(value, JitterModel) else "",
)
def test_the_same_seed_draws_the_same_delays_for_ever(model: JitterModel, expected: list[int]) -> None:
    assert draws(model, 5) == expected


def pareto(mean: float, shape: float) -> Callable[[float], float]:
    return lambda x: 1 - (1 + x / ((shape - 1) * mean)) ** -shape


@pytest.mark.parametrize("correlation", [0, 0.9])
@pytest.mark.parametrize(
    ("make", "share_below"),
    [
        (lambda c: Uniform("2 ms", c), lambda x: (x / MS + 2) / 4),
        (lambda c: Normal("2 ms", c), statistics.NormalDist(0, 2 * MS).cdf),
        (lambda c: Exponential("2 ms", c), lambda x: 1 - math.exp(-x / (2 * MS))),
        (lambda c: Pareto("2 ms", 3, c), pareto(2 * MS, 3)),
        (lambda c: Pareto("2 ms", 1.2, c), pareto(2 * MS, 1.2)),
    ],
    ids=["uniform", "normal", "exponential", "pareto", "heavy pareto"],
)
def test_distributions(
    make: Callable[[float], Distribution], share_below: Callable[[float], float], correlation: float
) -> None:
    model = make(correlation)
    p_values = []
    for seed in SEEDS:
        if correlation:  # the first draws of many streams: those of one are not independent
            values = [draws(model, 2, seed * 1000 + n)[1] for n in range(600)]
        else:
            values = draws(model, 600, seed)
        counts = [0] * 20
        for value in values:
            counts[min(19, int(share_below(value) * 20))] += 1
        p_values.append(chi_square_p(counts, [30.0] * 20))
    judge(p_values)


@pytest.mark.parametrize(
    ("model", "mean", "deviation"),
    [
        (Uniform("2 ms"), 0, 2 * MS / math.sqrt(3)),
        (Normal("2 ms"), 0, 2 * MS),
        (Exponential("2 ms"), 2 * MS, 2 * MS),
        (Pareto("2 ms", 6), 2 * MS, 2 * MS * math.sqrt(6 / 4)),
        (Empirical([0.001, 0.002, 0.006]), 3 * MS, math.sqrt(14 / 3) * MS),
    ],
    ids=repr,
)
def test_means_and_deviations_are_those_of_the_table(
    model: Distribution, mean: float, deviation: float
) -> None:
    # Integrated over u, in the middle of many equal parts.
    n = 20_000
    values = [model.quantile((k + 0.5) / n) for k in range(n)]
    assert statistics.fmean(values) == pytest.approx(mean, abs=0.002 * MS)
    assert statistics.pstdev(values) == pytest.approx(deviation, rel=0.01)


def test_bounds() -> None:
    least, most = 2.0**-53, 1 - 2.0**-53
    assert all(-2 * MS <= value <= 2 * MS for value in draws(Uniform("2 ms", 0.9), 5000))
    assert all(value >= 0 for value in draws(Exponential("2 ms", 0.5), 5000) + draws(Pareto("2 ms"), 5000))
    assert Uniform("2 ms").quantile(least) == -Uniform("2 ms").quantile(most) == pytest.approx(-2 * MS)
    assert Normal("2 ms").quantile(most) == pytest.approx(8.21 * 2 * MS, rel=1e-3)
    assert 0 <= Exponential("2 ms").quantile(least) < 1e-6
    assert math.isfinite(Pareto("2 ms", 1.01).quantile(most))
    assert set(draws(Empirical(SAMPLES, 1), 50)) < set(Empirical(SAMPLES).samples)
    for model in (Uniform(0), Normal(0), Exponential(0), Pareto(0), Empirical([0])):
        assert draws(model, 20) == [0] * 20


# --- correlation ----------------------------------------------------------------------------------


def autocorrelation(values: list[int], distance: int) -> float:
    return statistics.correlation(values[:-distance], values[distance:])


@pytest.mark.parametrize("correlation", [0.0, 0.25, 0.9])
@pytest.mark.parametrize("distance", [1, 3])
def test_draws_are_correlated_as_they_should_be(correlation: float, distance: int) -> None:
    expected = correlation**distance
    normal = [autocorrelation(draws(Normal("2 ms", correlation), 3000, seed), distance) for seed in SEEDS]
    uniform = [autocorrelation(draws(Uniform("2 ms", correlation), 3000, seed), distance) for seed in SEEDS]
    for found, theory in ((normal, expected), (uniform, 6 / math.pi * math.asin(expected / 2))):
        # what is estimated from n numbers with the mean taken away is about (1 + 4 c) / n too small
        slack = 4 * statistics.stdev(found) / math.sqrt(len(found)) + (1 + 4 * correlation) / 3000
        assert abs(statistics.fmean(found) - theory) < slack, found


def test_full_correlation_keeps_the_first_draw() -> None:
    for seed in range(5):
        assert len(set(draws(Normal("2 ms", 1), 20, seed))) == 1
    assert len({draws(Normal("2 ms", 1), 1, seed)[0] for seed in range(20)}) == 20


# --- recorded samples -----------------------------------------------------------------------------


def test_samples_are_drawn_equally_often() -> None:
    model = Empirical(SAMPLES)
    assert model.samples == (-500_000, 1_000_000, 1_500_000, 2_000_000, 12_000_000)
    p_values = []
    for seed in SEEDS:
        values = draws(model, 500, seed)
        p_values.append(chi_square_p([values.count(sample) for sample in model.samples], [100.0] * 5))
    judge(p_values)


def test_samples_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "delays.txt"
    path.write_text("# seconds\n0.001\n2e-3  # usual\n\n-0.0005\n")
    assert Empirical.read(path, 0.5) == Empirical([-0.0005, 0.001, 0.002], 0.5)
    path.write_text("0.001\n2 ms\n")
    with pytest.raises(UsageError, match=r"delays\.txt, line 2: '2 ms': a line has to be a delay in seconds"):
        Empirical.read(path)


# --- what users write -----------------------------------------------------------------------------


class Mine(Distribution):
    correlation = 0.0

    def quantile(self, u: float) -> float:
        return 1e6 * u


MINE = Mine()


@pytest.mark.parametrize(
    ("value", "model"),
    [
        (None, None),
        (0, None),
        ("0 ms", None),
        ("2 ms", Uniform(0.002)),
        (0.002, Uniform("2 ms")),
        (Normal("1 ms"), Normal("1 ms")),
        (Uniform(0), Uniform(0)),
        (MINE, MINE),
    ],
)
def test_what_users_write(value: Any, model: JitterModel | None) -> None:
    assert jitter_model(value) == model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: jitter_model("2"), "jitter='2': write a number and one of ns"),
        (lambda: jitter_model(-1), "jitter=-1 is no quantity"),
        (lambda: jitter_model(False), "jitter=False: give a time such as '2 ms', or a model such as Normal"),
        (lambda: jitter_model(UniformLoss(0.1)), "jitter=UniformLoss(share=0.1): give a time"),
        (lambda: jitter_model(Pareto), "jitter=Pareto is a kind of model: make one, Pareto(...)"),
        (lambda: Uniform("much"), "range='much': write a number"),
        (lambda: Uniform("2 ms", 2), "correlation=2 is more than all"),
        (lambda: Normal(-1), "deviation=-1 is no quantity"),
        (lambda: Exponential("1 MB"), "mean='1 MB': write a number"),
        (lambda: Pareto("1 ms", 1), "Pareto: shape=1: give a number above 1"),
        (lambda: Pareto("1 ms", math.inf), "Pareto: shape=inf"),
        (lambda: Pareto("1 ms", "3"), "Pareto: shape='3'"),
        (lambda: Empirical([]), "Empirical([]): give at least one delay"),
        (lambda: Empirical("1 ms"), "Empirical('1 ms'): give a list of delays"),
        (lambda: Empirical([0.1, math.nan]), "sample=nan is no quantity"),
        (lambda: Empirical([-math.inf]), "sample=-inf is no quantity"),
    ],
)
def test_what_users_should_not_write(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        make()
