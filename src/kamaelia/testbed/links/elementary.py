"""Logarithm, exponential and the normal distribution, the same in each bit on every machine.

IEEE 754 says what the sum, the product, the quotient and the square root of two numbers are, to the last bit.
It does not say it of the logarithm and the exponential function: what `math.log` and `math.exp` return
depends on the C library, and may differ in the last bit from one machine to another. A random number that is
rounded to a nanosecond would then differ rarely; but one nanosecond may change which of two packets is first,
and all that follows. So these are made of the operations that are certain. Taking a number apart into its
exponent and the rest (`math.frexp`), and putting it together again, is exact.

They are good to about 1e-15 of their value, which is plenty for chance, and are not meant for anything else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_LN2 = 0.6931471805599453
# Their sum is ln 2; the first ends in 21 zero bits, so that a small multiple of it is exact.
_LN2_HIGH, _LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
_ROOT_HALF = 0.7071067811865476
_ROOT_TWO_PI = 2.5066282746310002

# The series of 2 artanh(s) and of exp(r), from the last term that counts to the first.
_ODD = tuple(2.0 / n for n in range(21, 0, -2))
_INVERSE_FACTORIALS = tuple(1.0 / math.factorial(n) for n in range(14, -1, -1))


def _polynomial(x: float, coefficients: Sequence[float]) -> float:
    value = 0.0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value


def log(x: float) -> float:
    """Return the natural logarithm of a number that is more than 0.

    With x = m * 2**e and m about 1 it is e ln 2 + 2 artanh(s), where s = (m - 1) / (m + 1) is at most 0.172.

    >>> log(1.0), log(10.0)
    (0.0, 2.3025850929940455)
    """
    m, e = math.frexp(x)
    if m < _ROOT_HALF:
        m, e = 2.0 * m, e - 1
    s = (m - 1.0) / (m + 1.0)
    return e * _LN2 + s * _polynomial(s * s, _ODD)


def exp(x: float) -> float:
    """Return e to the power of x, for x up to 709.

    It is 2**k * exp(r) with x = k ln 2 + r, where r is at most 0.347.

    >>> exp(0.0), exp(1.0), exp(-1000.0)
    (1.0, 2.7182818284590455, 0.0)
    """
    k = round(x / _LN2)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    return math.ldexp(_polynomial(r, _INVERSE_FACTORIALS), k)


def normal_share(x: float) -> float:
    """Return how much of the standard normal distribution is below x, with an error of about 1e-16.

    The series of Marsaglia, "Evaluating the Normal Distribution" (2004):
    1/2 + phi(x) * (x + x**3 / 3 + x**5 / (3 * 5) + ...), where phi is the density.

    >>> normal_share(0.0), normal_share(1.0), normal_share(-40.0)
    (0.5, 0.841344746068543, 0.0)
    """
    if abs(x) > 8.5:
        return 0.0 if x < 0 else 1.0
    total, before, term, n = x, 0.0, x, 1.0
    while total != before:
        before = total
        n += 2.0
        term *= x * x / n
        total += term
    return 0.5 + total * exp(-x * x / 2.0) / _ROOT_TWO_PI


def normal_quantile(share: float) -> float:
    """Return the x below which so much of the standard normal distribution is; the share is between 0 and 1.

    The rational functions of Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution"
    (1988), which are good to 1e-16.

    >>> normal_quantile(0.5), normal_quantile(0.975)
    (0.0, 1.9599639845400536)
    """
    q = share - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _polynomial(r, _MIDDLE) / _polynomial(r, _BELOW_MIDDLE)
    r = math.sqrt(-log(min(share, 1.0 - share)))
    if r <= 5.0:
        x = _polynomial(r - 1.6, _TAIL) / _polynomial(r - 1.6, _BELOW_TAIL)
    else:
        x = _polynomial(r - 5.0, _FAR) / _polynomial(r - 5.0, _BELOW_FAR)
    return -x if q < 0 else x


_MIDDLE = (
    2.5090809287301226727e3,
    3.3430575583588128105e4,
    6.7265770927008700853e4,
    4.5921953931549871457e4,
    1.3731693765509461125e4,
    1.9715909503065514427e3,
    1.3314166789178437745e2,
    3.3871328727963666080e0,
)
_BELOW_MIDDLE = (
    5.2264952788528545610e3,
    2.8729085735721942674e4,
    3.9307895800092710610e4,
    2.1213794301586595867e4,
    5.3941960214247511077e3,
    6.8718700749205790830e2,
    4.2313330701600911252e1,
    1.0,
)
_TAIL = (
    7.74545014278341407640e-4,
    2.27238449892691845833e-2,
    2.41780725177450611770e-1,
    1.27045825245236838258e0,
    3.64784832476320460504e0,
    5.76949722146069140550e0,
    4.63033784615654529590e0,
    1.42343711074968357734e0,
)
_BELOW_TAIL = (
    1.05075007164441684324e-9,
    5.47593808499534494600e-4,
    1.51986665636164571966e-2,
    1.48103976427480074590e-1,
    6.89767334985100004550e-1,
    1.67638483018380384940e0,
    2.05319162663775882187e0,
    1.0,
)
_FAR = (
    2.01033439929228813265e-7,
    2.71155556874348757815e-5,
    1.24266094738807843860e-3,
    2.65321895265761230930e-2,
    2.96560571828504891230e-1,
    1.78482653991729133580e0,
    5.46378491116411436990e0,
    6.65790464350110377720e0,
)
_BELOW_FAR = (
    2.04426310338993978564e-15,
    1.42151175831644588870e-7,
    1.84631831751005468180e-5,
    7.86869131145613259100e-4,
    1.48753612908506148525e-2,
    1.36929880922735805310e-1,
    5.99832206555887937690e-1,
    1.0,
)
