"""What the arguments of parts have to be: found out when a part is made, and not at its first message."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def check_whole(what: str, value: Any, meaning: str, least: int) -> None:
    """Raise TypeError unless something is a whole number, and ValueError when it is less than the least.

    >>> check_whole("Take(2.5)", 2.5, "how many messages to pass on", 0)
    Traceback (most recent call last):
    ...
    TypeError: Take(2.5): give how many messages to pass on, a whole number, 0 or more
    """
    if not isinstance(value, Integral):
        raise TypeError(f"{what}: give {meaning}, a whole number, {least} or more")
    if value < least:
        raise ValueError(f"{what}: give {meaning}, {least} or more")


def check_positive(what: str, value: Any, meaning: str) -> None:
    """Raise TypeError unless something is a number, and ValueError unless that is finite and more than 0.

    >>> check_positive("Interval(0)", 0, "the seconds between two messages")
    Traceback (most recent call last):
    ...
    ValueError: Interval(0): give the seconds between two messages, more than 0
    """
    if not isinstance(value, Real):
        is_timedelta = hasattr(value, "total_seconds")  # to import the class for its name would take longer
        hint = "; of a timedelta, give its total_seconds()" if is_timedelta else ""
        raise TypeError(f"{what}: give {meaning}, a number more than 0{hint}")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        finite = False
    if not finite or value <= 0:
        raise ValueError(f"{what}: give {meaning}, more than 0")


__all__ = ["check_positive", "check_whole"]
