"""Student's t: how far the mean of a few values may be from the truth.

Theory
------
Of n independent values that are normally distributed with mean m, let x be their mean and s their standard
deviation (with n - 1). Then ``t = (x - m) / (s / sqrt(n))`` has a distribution that depends on ``v = n - 1``
only, its degrees of freedom (Student, "The probable error of a mean", 1908). Its tails are those of an
incomplete beta function (DLMF 8.17, Abramowitz and Stegun 26.7.1)::

    P(|T| > t) = I_x(v / 2, 1 / 2)    with  x = v / (v + t**2)

I_x(a, b) is computed as the continued fraction of DLMF 8.17.22, which converges quickly for
``x < (a + 1) / (a + b + 2)``; beyond that ``I_x(a, b) = 1 - I_(1-x)(b, a)`` is used. It is evaluated from the
front (the method of Lentz, as Thompson and Barnett changed it in 1986), until a step changes nothing any
more. Quantiles are found by halving an interval, which needs nothing but the tail.

Beside SciPy, 504 quantiles agree to 10 digits up to a thousand degrees of freedom, and to 8 up to a
million, where the gamma function has lost some. The tests compare with such values, and with printed tables.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, inf, isinf, lgamma, log, log1p

from ...axon import UsageError

STEPS = 10_000  # of the continued fraction; some dozens are taken
TINY = 1e-300


def two_sided(t: float, freedom: int) -> float:
    """Return the probability that Student's t is farther from 0 than a value, on either side.

    Arguments:
        t: the value
        freedom: degrees of freedom, from 1 on

    >>> round(two_sided(2.093, 19), 4), two_sided(0, 5)
    (0.05, 1.0)
    """
    _check(freedom)
    if isinf(t):
        return 0.0
    square = t * t
    # Both shares are given, as 1 - x of an x close to 1 would have lost its digits.
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + square), square / (freedom + square))


@lru_cache(maxsize=256)
def quantile(confidence: float, freedom: int) -> float:
    """Return the t within which, on both sides of 0, a share of the distribution lies.

    Arguments:
        confidence: the share, between 0 and 1: 0.95 for an interval of 95 %
        freedom: degrees of freedom, from 1 on

    >>> round(quantile(0.95, 19), 4), round(quantile(0.99, 9), 4)
    (2.093, 3.2498)
    """
    _check(freedom)
    if not 0 < confidence < 1:
        raise UsageError(f"confidence={confidence!r}: give a share between 0 and 1, such as 0.95")
    outside = 1 - confidence
    low, high = 0.0, 1.0
    while two_sided(high, freedom) > outside:
        low, high = high, 2 * high
        if high == inf:
            raise UsageError(f"confidence={confidence!r} is too close to 1")
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if two_sided(middle, freedom) > outside:
            low = middle
        else:
            high = middle


def incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    Arguments:
        a: more than 0
        b: likewise
        x: from 0 to 1
        rest: 1 - x, which the caller may know more exactly

    >>> round(incomplete_beta(2, 3, 0.5, 0.5), 12)
    0.6875
    """
    if x <= 0:
        return 0.0
    if rest <= 0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _small(b, a, rest, x)
    return _small(a, b, x, rest)


def _small(a: float, b: float, x: float, rest: float) -> float:
    log_x = log(x) if x < 0.5 else log1p(-rest)
    log_rest = log(rest) if rest < 0.5 else log1p(-x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log_x + b * log_rest) / a
    return front / _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """Return ``1 + d1 / (1 + d2 / (1 + ...))`` with the d of DLMF 8.17.23."""
    value = upper = 1.0
    lower = 0.0
    for step in range(1, STEPS):
        m = step // 2
        if step % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        lower = 1 / (1 + d * lower or TINY)
        upper = 1 + d / upper or TINY
        change = upper * lower
        value *= change
        if abs(change - 1) < 1e-15:
            break
    return value


def _check(freedom: int) -> None:
    if freedom < 1:
        raise UsageError(f"freedom={freedom!r}: there are at least two values, which leave one")


__all__ = ["incomplete_beta", "quantile", "two_sided"]
