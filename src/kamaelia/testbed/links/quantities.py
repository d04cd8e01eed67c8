"""What the descriptions have in common: times in whole nanoseconds, counts, and numbers read from files.

A person writes seconds, or text such as "80 ms" (`kamaelia.axon.units`); a link counts whole nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from os import PathLike
from typing import Any

from ...axon import UsageError, units

NANOSECONDS = 10**9
"""In a second."""


def nanoseconds(value: float | str, what: str = "time") -> int:
    """Return a length of time in whole nanoseconds. Raises `UsageError` for what is none.

    >>> nanoseconds("80 ms"), nanoseconds(2), nanoseconds(0.1)
    (80000000, 2000000000, 100000000)
    """
    return round(units.seconds(value, what) * NANOSECONDS)


def some_nanoseconds(value: float | str, what: str = "time") -> int:
    """Return a length of time in whole nanoseconds, at least one. Raises `UsageError` for less.

    >>> some_nanoseconds("1 us")
    1000
    """
    time = nanoseconds(value, what)
    if time == 0:
        raise UsageError(f"{what}={value!r}: give a time that is more than nothing, such as '80 ms'")
    return time


def as_text(nanoseconds: int) -> str:
    """Return a time in the largest unit of which it is at least one.

    >>> as_text(80_000_000), as_text(2_500_000_000), as_text(17)
    ('80 ms', '2.5 s', '17 ns')
    """
    for unit, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.12g} {unit}"
    return f"{nanoseconds} ns"


def count(value: object, what: str, least: int = 1) -> int:
    """Return a whole number that is large enough. Raises `UsageError` for anything else.

    >>> count(3, "gap")
    3
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{what}={value!r}: give a whole number from {least} on")
    return value


def settle(description: object, **values: Any) -> None:
    """Set the attributes of a description while it is made; from then on it is frozen.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, init=False)
    ... class Half:
    ...     share: float
    ...
    ...     def __init__(self) -> None:
    ...         settle(self, share=0.5)
    >>> Half()
    Half(share=0.5)
    """
    for name, value in values.items():
        object.__setattr__(description, name, value)


def lines(path: str | PathLike[str]) -> Iterator[tuple[str, str]]:
    """Yield where each line of a text file is, and what it says, without comments (after ``#``) and empty
    lines. Raises `OSError` when the file can't be read, and `UsageError` when it is no text."""
    with open(path, encoding="utf-8") as file:
        try:
            for number, line in enumerate(file, start=1):
                text = line.partition("#")[0].strip()
                if text:
                    yield f"{path}, line {number}", text
        except UnicodeDecodeError:
            raise UsageError(f"{path} is no text") from None


def columns(path: str | PathLike[str], *names: str) -> Iterator[tuple[str, list[Fraction]]]:
    """Yield where each line of a text file is, and its numbers, exactly. There are as many as there are
    names,
    and blanks or commas between them. Raises `OSError` and `UsageError` as `lines` does."""
    for where, text in lines(path):
        words = text.replace(",", " ").split()
        try:
            row = [Fraction(word) for word in words]
        except (ValueError, ZeroDivisionError):
            row = []
        if len(row) != len(names):
            raise UsageError(f"{where}: {text!r}: a line has to be {' and '.join(names)}, as plain numbers")
        yield where, row
