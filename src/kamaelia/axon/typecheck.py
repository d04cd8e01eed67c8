"""Whether what one box sends fits into another: the declared message types of a link's two ends.

Plain classes and unions of them are compared here. Whatever needs more (``list[int]``, protocols, type
variables) is left to ``beartype`` where that is installed (``pip install kamaelia[types]``), and is
otherwise taken to fit: a link is refused only when it certainly cannot work.
"""

from __future__ import annotations

import types
import typing
from typing import Any

# What may stand for what although it is no subclass (PEP 484's numeric tower).
_PROMOTIONS: dict[type, tuple[type, ...]] = {int: (float, complex), float: (complex,)}


def fits(given: Any, wanted: Any) -> bool:
    """Say whether messages of one declared type may go where another is declared.

    >>> fits(bytes, str), fits(bool, int), fits(int, int | str), fits(Any, str)
    (False, True, True, True)
    """
    if _is_open(given) or _is_open(wanted):
        return True
    # Every alternative of what is given may come, but any alternative of what is wanted will do.
    return all(
        any(_plain_fits(one, other) for other in _alternatives(wanted)) for one in _alternatives(given)
    )


def _is_open(kind: Any) -> bool:
    return kind is Any or kind is object or isinstance(kind, (str, typing.TypeVar))


def _alternatives(kind: Any) -> tuple[Any, ...]:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return typing.get_args(kind)
    return (kind,)


def _plain_fits(given: Any, wanted: Any) -> bool:
    if _is_open(given) or _is_open(wanted):
        return True
    given = type(None) if given is None else given
    wanted = type(None) if wanted is None else wanted
    plain_given, plain_wanted = _origin(given), _origin(wanted)
    if not (isinstance(plain_given, type) and isinstance(plain_wanted, type)):
        return _ask_beartype(given, wanted)
    try:
        related = issubclass(plain_given, plain_wanted)
    except TypeError:  # a protocol that cannot be checked at run time
        return True
    if not related and plain_wanted in _PROMOTIONS.get(plain_given, ()):
        return True
    if related and (typing.get_args(given) and typing.get_args(wanted)):
        return _ask_beartype(given, wanted)
    return related


def _origin(kind: Any) -> Any:
    return typing.get_origin(kind) or kind


def _ask_beartype(given: Any, wanted: Any) -> bool:
    try:
        from beartype.door import is_subhint
    except ImportError:
        return True
    try:
        return bool(is_subhint(given, wanted))
    except Exception as error:  # beartype does not know every kind of hint
        import logging

        logging.getLogger("kamaelia").debug("beartype cannot compare %r and %r: %s", given, wanted, error)
        return True


def name_of(kind: Any) -> str:
    """Return a message type as a user would write it.

    >>> name_of(bytes), name_of(int | str), name_of(Any)
    ('bytes', 'int | str', 'Any')
    """
    if kind is Any:
        return "Any"
    if isinstance(kind, type) and not typing.get_args(kind):
        return kind.__name__
    return str(kind).replace("typing.", "")


def advice(given: Any, wanted: Any) -> str:
    """Return what to put between two boxes that do not fit."""
    if given is bytes and wanted is str:
        return "put Lines() between (bytes to lines of text)"
    if given is str and wanted is bytes:
        return "put Encode() between (text to bytes)"
    return f"put a Map(...) between that makes {name_of(wanted)} of {name_of(given)}"
