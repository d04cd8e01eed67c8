"""What the arguments of the parts for files have to be."""

from __future__ import annotations

import os
from typing import Any

from kamaelia.axon import UsageError
from kamaelia.axon.errors import shorten


def checked_path(what: str, value: Any, meaning: str = "the name of a file") -> str:
    """Return a path as text. Raises TypeError or ValueError for what is none.

    >>> checked_path("FileReader", "")
    Traceback (most recent call last):
    ...
    ValueError: FileReader(''): give the name of a file
    """
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError(f"{what}({shorten(value)}): give {meaning}, a text or a Path")
    if not value or "\0" in value:
        raise ValueError(f"{what}({shorten(value)}): give {meaning}")
    return value


def checked_size(what: str, value: Any) -> int:
    """Return a number of bytes, 1 or more, that was given as a number or as text like "64 KiB".

    >>> checked_size("FileReader: block", "64 KiB")
    65536
    """
    if type(value) is int and value >= 1:
        return value
    from kamaelia.axon import units  # here, because few arguments are texts and it takes some milliseconds

    size = units.size(value, what)
    if size < 1:
        raise UsageError(f"{what}={value!r} is no size: give a number of bytes from 1 on, or '64 KiB'")
    return size


def checked_rate(what: str, value: Any) -> float:
    """Return bytes a second, more than 0, that were given as a number or as text like "2 Mbit/s".

    >>> checked_rate("FileReader: rate", "2 Mbit/s")
    250000.0
    """
    from kamaelia.axon import units

    rate = units.bytes_per_second(value, what)
    if rate == 0:
        raise UsageError(f"{what}={value!r}: nothing would ever come; give more than 0")
    return rate


def checked_time(what: str, value: Any) -> float:
    """Return seconds, more than 0, that were given as a number or as text like "24 h".

    >>> checked_time("FileWriter: rotate_after", "24 h")
    86400.0
    """
    from kamaelia.axon import units

    time = units.seconds(value, what)
    if time == 0:
        raise UsageError(f"{what}={value!r} is no time: give more than 0")
    return time


__all__ = ["checked_path", "checked_rate", "checked_size", "checked_time"]
