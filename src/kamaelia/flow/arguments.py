"""What the arguments of parts have to be: found out when a part is made, and not at its first message."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from kamaelia.axon.errors import shorten

if TYPE_CHECKING:
    from kamaelia.axon import Component


def check_whole(what: str, value: Any, meaning: str, least: int | None) -> None:
    """Raise TypeError unless something is a whole number, and ValueError when it is less than the least.

    Without a least, any whole number will do.

    >>> check_whole("Take(2.5)", 2.5, "how many messages to pass on", 0)
    Traceback (most recent call last):
    ...
    TypeError: Take(2.5): give how many messages to pass on, a whole number, 0 or more
    """
    bound = "" if least is None else f", {least} or more"
    if not isinstance(value, Integral):
        raise TypeError(f"{what}: give {meaning}, a whole number{bound}")
    if least is not None and value < least:
        raise ValueError(f"{what}: give {meaning}{bound}")


def check_positive(what: str, value: Any, meaning: str) -> None:
    """Raise TypeError unless something is a number, and ValueError unless that is finite and more than 0.

    >>> check_positive("Interval(0)", 0, "the seconds between two messages")
    Traceback (most recent call last):
    ...
    ValueError: Interval(0): give the seconds between two messages, more than 0
    """
    _check_real(what, value, f"{meaning}, a number more than 0")
    if not _is_finite(value) or value <= 0:
        raise ValueError(f"{what}: give {meaning}, more than 0")


def check_not_negative(what: str, value: Any, meaning: str) -> None:
    """Raise TypeError unless something is a number, and ValueError unless that is finite and 0 or more.

    >>> check_not_negative("OneShot(after=-1)", -1, "the seconds before it is sent")
    Traceback (most recent call last):
    ...
    ValueError: OneShot(after=-1): give the seconds before it is sent, 0 or more
    """
    _check_real(what, value, f"{meaning}, a number, 0 or more")
    if not _is_finite(value) or value < 0:
        raise ValueError(f"{what}: give {meaning}, 0 or more")


def _check_real(what: str, value: Any, meaning: str) -> None:
    if not isinstance(value, Real):
        is_timedelta = hasattr(value, "total_seconds")  # to import the class for its name would take longer
        hint = "; of a timedelta, give its total_seconds()" if is_timedelta else ""
        raise TypeError(f"{what}: give {meaning}{hint}")


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def check_bytes(component: Component, message: Any) -> None:
    """Raise TypeError unless a message that has come to a component is bytes."""
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise TypeError(f"{component.path} takes bytes, but got {shorten(message)}; put Encode() before it")


__all__ = ["check_bytes", "check_not_negative", "check_positive", "check_whole"]
