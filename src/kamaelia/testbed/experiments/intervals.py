"""What a few runs say about all runs: intervals for a mean, and differences of pairs.

Theory
------
Each run of a scenario, with a seed of its own, gives one number: the p95 of its delays, say. What one wants
to know is the mean of that number over *all* seeds. Some runs tell it only roughly, and an **interval** says
how roughly. One of 95 % is made in such a way that of a hundred experiments like this one, about 95 have the
true mean in their intervals. It says nothing about single runs, which vary far more.

**Student's t** (the default): ``mean +- q * s / sqrt(n)`` with the quantile q of `student`. It is exact when
the numbers are normally distributed, and close to it for most others with 20 runs. For very skewed numbers it
is too short: of 20 values from an exponential distribution it has the mean in 92 of a hundred cases, not 95.

**The bootstrap** (Efron 1979) draws n values from the n there are, again and again, and looks at how the
means of these vary. ``"percentile"`` takes the middle 95 % of them. ``"bca"`` moves the two ends for bias and
for a spread that changes with the mean (Efron, "Better bootstrap confidence intervals", 1987): with z0 the
normal quantile of the share of means below the one that was seen, and with the acceleration a from leaving
out one value after the other::

    end = the quantile  F(z0 + (z0 + z) / (1 - a * (z0 + z)))  of the means,  z = -1.96 and 1.96

Neither makes up for few runs: with 20, both are somewhat shorter than Student's. They are for numbers that
are plainly no bell.

**Pairs.** When two variants are run with the same seeds, the network deals both of them the same hand, as far
as they play in the same way (common random numbers). So what is looked at is the difference of each pair, and
an interval for the mean of the differences is usually much shorter than what two separate intervals suggest.

**Many comparisons.** Of twenty intervals of 95 %, one is expected to miss. `holm` makes the p-values of a
family of comparisons larger, so that the probability that *any* of them is below 0.05 without reason is at
most 5 % (Holm 1979), whatever depends on what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, erfc, fsum, isfinite, isnan, nan, sqrt
from random import Random

from kamaelia.observe.tables import figures

from ...axon import UsageError
from ..links.elementary import normal_quantile
from . import student

METHODS = ("t", "bca", "percentile")
RESAMPLES = 10_000
"""How many means a bootstrap draws."""


@dataclass(frozen=True)
class Interval:
    """A mean, and where the true one is likely to be.

    Example:
        >>> from kamaelia.testbed.experiments import interval
        >>> print(interval([9.1, 10.4, 9.8, 10.1]))
        9.85 [8.96, 10.7]
    """

    mean: float
    """Of the values; not a number when there are none."""
    low: float
    """The lower end; not a number when there are fewer than two values."""
    high: float
    """The upper end, likewise."""
    count: int
    """Of how many values."""
    confidence: float = 0.95
    """What share of such intervals has the true mean in it."""
    method: str = "t"
    """How it was made: ``"t"``, ``"bca"`` or ``"percentile"``."""

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 is outside, so that the sign of the mean is known. False where there is no interval."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        if isnan(self.mean):
            return "-"
        if isnan(self.low):
            return figures(self.mean)
        return f"{figures(self.mean)} [{figures(self.low)}, {figures(self.high)}]"


def interval(
    values: Sequence[float], confidence: float = 0.95, method: str = "t", resamples: int = RESAMPLES
) -> Interval:
    """Return the mean of some values, and an interval for the mean of all.

    Arguments:
        values: one of each run
        confidence: the share of such intervals that is to have the true mean in it
        method: ``"t"`` (Student's), or by bootstrap ``"bca"`` or ``"percentile"``
        resamples: how many means a bootstrap draws; it draws the same ones each time

    With fewer than two values, or values that are not finite, there is a mean and no interval. Raises
    `UsageError` for other methods, and shares that are none.

    Example:
        >>> from kamaelia.testbed.experiments import interval
        >>> interval([1.0, 2.0, 3.0, 4.0, 100.0]).excludes_zero
        False
        >>> print(interval([1.0, 2.0, 3.0, 4.0, 100.0], method="bca"))
        22 [2.2, 80.6]
    """
    if method not in METHODS:
        raise UsageError(f"method={method!r}: there are 't', 'bca' and 'percentile'")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence={confidence!r}: give a share between 0 and 1, such as 0.95")
    if resamples < 100:
        raise UsageError(f"resamples={resamples!r}: give 100 or more")
    count = len(values)
    mean = _mean(values)
    low = high = nan
    if count > 1 and isfinite(mean):
        if min(values) == max(values):
            low = high = mean
        elif method == "t":
            half = student.quantile(confidence, count - 1) * _deviation(values, mean) / sqrt(count)
            low, high = mean - half, mean + half
        else:
            low, high = _bootstrap(values, mean, confidence, method == "bca", resamples)
    return Interval(mean, low, high, count, confidence, method)


def p_value(values: Sequence[float]) -> float:
    """Return how probable a mean this far from 0 would be, if the true one were 0: by Student's t.

    Not a number for fewer than two values.

    >>> round(p_value([1.0, 2.0, 3.0]), 4), p_value([0.0, 0.0]), p_value([1.0, 1.0])
    (0.0742, 1.0, 0.0)
    """
    mean = _mean(values)
    if len(values) < 2 or not isfinite(mean):
        return nan
    spread = _deviation(values, mean)
    if not spread:
        return 1.0 if mean == 0 else 0.0
    return student.two_sided(mean / spread * sqrt(len(values)), len(values) - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values as they are when all of them are looked at together; not a number stays that.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if not isnan(p))
    adjusted = [nan] * len(p_values)
    least = 0.0
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        adjusted[place] = least
    return adjusted


def _normal(z: float) -> float:
    """Return the share of the standard normal distribution below a value."""
    return erfc(-z / sqrt(2)) / 2


def _mean(values: Sequence[float]) -> float:
    if not values:
        return nan
    try:
        return fsum(values) / len(values)
    except (OverflowError, ValueError):  # infinities of both signs
        return nan


def _deviation(values: Sequence[float], mean: float) -> float:
    return sqrt(fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _bootstrap(
    values: Sequence[float], mean: float, confidence: float, corrected: bool, resamples: int
) -> tuple[float, float]:
    random = Random("bootstrap")  # the same each time, so that a report can be made again
    count = len(values)
    means = sorted(fsum(random.choices(values, k=count)) / count for _ in range(resamples))
    shares = [(1 - confidence) / 2, (1 + confidence) / 2]
    if corrected:
        shares = _corrected(values, mean, means, shares)
    low, high = (means[min(max(ceil(share * resamples) - 1, 0), resamples - 1)] for share in shares)
    return low, high


def _corrected(
    values: Sequence[float], mean: float, means: Sequence[float], shares: Sequence[float]
) -> list[float]:
    """Return where in the means the ends are: Efron 1987, equations 2.3 and 6.6."""
    below = sum(one < mean for one in means) + 0.5 * sum(one == mean for one in means)
    bias = normal_quantile(min(max(below / len(means), 1e-6), 1 - 1e-6))
    # The mean without one value is off by what that value is off, divided by n - 1, to the other side.
    off = [value - mean for value in values]
    acceleration = fsum(one**3 for one in off) / (6 * fsum(one**2 for one in off) ** 1.5)
    moved = []
    for share in shares:
        z = bias + normal_quantile(share)
        scale = 1 - acceleration * z
        moved.append(_normal(bias + z / scale) if scale > 0 else float(z > 0))
    return moved


__all__ = ["METHODS", "RESAMPLES", "Interval", "holm", "interval", "p_value"]
