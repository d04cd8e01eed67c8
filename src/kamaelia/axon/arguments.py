"""What the arguments of parts have to be: found out when a part is made, and not at its first message."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from .errors import shorten

if TYPE_CHECKING:
    from .component import Component


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


def check_name(who: str, name: Any, what: str) -> str:
    """Raise TypeError unless something can be the name of a room or service; return it.

    >>> check_name("Join", 7, "room")
    Traceback (most recent call last):
    ...
    TypeError: Join(7): the name of a room is a text such as 'talk'
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"{who}({shorten(name)}): the name of a {what} is a text such as 'talk'")
    return name


def check_box_names(component: Component, names: tuple[Any, ...], meaning: str, least: int) -> None:
    """Raise TypeError or ValueError unless these can be the names of boxes that a component gets.

    Each is a name as Python has them, no two are equal, and none means something else in the component.
    """
    what = f"{type(component).__name__}({', '.join(map(shorten, names))})"
    if len(names) < least:
        raise TypeError(f"{what}: give {meaning}, {least} or more")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{what}: {shorten(name)} is no name: give {meaning}, as texts such as 'left'")
        if not name.isidentifier() or getattr(type(component), name, None) is not None:
            raise ValueError(f"{what}: no box can be called {name!r}: give it a name such as 'left'")
    if len(set(names)) < len(names):
        raise ValueError(f"{what}: give each box a name of its own")


def check_bytes(component: Component, message: Any) -> None:
    """Raise TypeError unless a message that has come to a component is bytes."""
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise TypeError(f"{component.path} takes bytes, but got {shorten(message)}; put Encode() before it")


__all__ = ["check_box_names", "check_bytes", "check_not_negative", "check_positive", "check_whole"]
