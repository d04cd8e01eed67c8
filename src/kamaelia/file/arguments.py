"""What the arguments of the parts for files have to be."""

from __future__ import annotations

import os
from typing import Any

from kamaelia.axon import UsageError, units
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
    size = units.size(value, what)
    if size < 1:
        raise UsageError(f"{what}={value!r} is no size: give a number of bytes from 1 on, or '64 KiB'")
    return size


__all__ = ["checked_path", "checked_size"]
