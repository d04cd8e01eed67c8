"""Quantities as people write them: "80 ms", "2 Mbit/s", "64 KiB", "5 %".

A plain number is taken as it is: seconds, bytes, a share of 1, bits or bytes per second. Text is computed
exactly and rounded once, so "35 ms" is the same number as 0.035.
"""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from numbers import Real

from .errors import UsageError, shorten

_SECONDS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
}
_BITS_PER_SECOND = {
    f"{prefix}{unit}": Fraction(factor * bits)
    for prefix, factor in {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}.items()
    for unit, bits in {"bit/s": 1, "B/s": 8}.items()
}
_BYTES_PER_SECOND = {unit: bits / 8 for unit, bits in _BITS_PER_SECOND.items()}
_BYTES = {
    "B": Fraction(1),
    **{f"{prefix}B": Fraction(1000**power) for power, prefix in enumerate("kMG", 1)},
    **{f"{prefix}iB": Fraction(1024**power) for power, prefix in enumerate("KMG", 1)},
}
_SHARE = {"%": Fraction(1, 100)}

_QUANTITY = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(\D*?)\s*")
_LONGEST = 200  # characters of a quantity: what is longer is none, and some would not fit into a float


def seconds(value: float | str, what: str = "time") -> float:
    """Return a length of time in seconds. Raises `UsageError` for what is none, as for all below.

    >>> seconds("80 ms"), seconds(2), seconds("1.5 min")
    (0.08, 2.0, 90.0)
    """
    return _parse(value, _SECONDS, what, "80 ms")


def bits_per_second(value: float | str, what: str = "rate") -> float:
    """Return a rate in bits per second.

    >>> bits_per_second("2 Mbit/s"), bits_per_second("1 kB/s")
    (2000000.0, 8000.0)
    """
    return _parse(value, _BITS_PER_SECOND, what, "2 Mbit/s")


def bytes_per_second(value: float | str, what: str = "rate") -> float:
    """Return a rate in bytes per second; a plain number is one already.

    >>> bytes_per_second("2 Mbit/s"), bytes_per_second("1 kB/s"), bytes_per_second(500)
    (250000.0, 1000.0, 500.0)
    """
    return _parse(value, _BYTES_PER_SECOND, what, "2 Mbit/s")


def size(value: float | str, what: str = "size") -> int:
    """Return a number of bytes.

    >>> size("64 KiB"), size("150 kB")
    (65536, 150000)
    """
    return int(_parse(value, _BYTES, what, "64 KiB"))


def share(value: float | str, what: str = "share") -> float:
    """Return a share of 1.

    >>> share("5 %"), share(0.05)
    (0.05, 0.05)
    """
    number = _parse(value, _SHARE, what, "5 %")
    if number > 1:
        raise UsageError(
            f"{what}={value!r} is more than all: give a share from 0 to 1, or text such as '5 %'"
        )
    return number


def _parse(value: float | str, units: dict[str, Fraction], what: str, example: str) -> float:
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value) if len(value) <= _LONGEST else None
        if match is not None and match[2] in units:
            return float(Fraction(match[1]) * units[match[2]])
        raise UsageError(
            f"{what}={shorten(value)}: write a number and one of {', '.join(units)}, such as {example!r}; "
            "or a plain number"
        )
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and 0 <= value <= sys.float_info.max):
        raise UsageError(f"{what}={shorten(value)} is no quantity: give a number from 0 on, or {example!r}")
    return float(value)
