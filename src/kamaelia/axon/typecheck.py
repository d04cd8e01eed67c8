"""Whether what one box sends fits into another: the declared message types of a link's two ends.

Classes, unions and what `typing` has for naming them otherwise (`Annotated`, `NewType`, `Literal`, aliases)
are compared here. What types are made of (the ``int`` in ``list[int]``) is compared where ``beartype`` is
installed (``pip install kamaelia[types]``), and is otherwise taken to fit: a link is refused only when it
certainly cannot work.
"""

from __future__ import annotations

import collections.abc
import types
import typing
from typing import Any

# What may stand for what although it is no subclass (PEP 484's numeric tower).
_PROMOTIONS: dict[type, tuple[type, ...]] = {int: (float, complex), float: (complex,)}

# What these are made of need not come in the order of what is sent: arguments, what is sent into a generator.
_CALLED = (
    collections.abc.Callable,
    collections.abc.Generator,
    collections.abc.AsyncGenerator,
    collections.abc.Coroutine,
)


def fits(given: Any, wanted: Any) -> bool:
    """Say whether messages of one declared type may go where another is declared.

    >>> fits(bytes, str), fits(bool, int), fits(int, int | str), fits(Any, str)
    (False, True, True, True)
    """
    if given is wanted or given is Any or wanted is Any:  # which is usual, and to be quick
        return True
    # Every alternative of what is given may come, but any alternative of what is wanted will do.
    others = _alternatives(wanted)
    return all(any(_one_fits(one, other) for other in others) for one in _alternatives(given))


def _alternatives(kind: Any) -> list[Any]:
    """Return the single types of a union, each without the names and notes that it may have."""
    kind = _without_names(kind)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return [one for part in typing.get_args(kind) for one in _alternatives(part)]
    if typing.get_origin(kind) is typing.Literal:
        return [typing.Literal[value] for value in typing.get_args(kind)]
    return [kind]


def _without_names(kind: Any) -> Any:
    """Return what a type stands for: of ``Annotated[int, ...]``, a `NewType` or an alias of int, int."""
    for _ in range(20):  # an alias of itself has no bottom
        if kind is None:
            return type(None)
        if kind is typing.LiteralString:
            return str
        if typing.is_typeddict(kind):
            return dict
        if typing.get_origin(kind) is typing.Annotated:
            kind = typing.get_args(kind)[0]
        elif isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        elif type(kind).__name__ == "TypeAliasType":  # "type X = ...", from 3.12 on
            try:
                kind = kind.__value__
            except NameError:  # of something that only type checkers can look up
                return Any
        else:
            return kind
    return Any


def _one_fits(given: Any, wanted: Any) -> bool:
    if isinstance(given, typing.TypeVar) and given.__bound__ is not None:
        # It stands for its bound or for anything narrower.
        return fits(given.__bound__, wanted) or fits(wanted, given.__bound__)
    if isinstance(wanted, typing.TypeVar) and wanted.__bound__ is not None:
        return fits(given, wanted.__bound__)
    if _is_literal(given) and _is_literal(wanted):
        return typing.get_args(given) == typing.get_args(wanted)
    given, wanted = _class_of_literal(given), _class_of_literal(wanted)
    plain_given, plain_wanted = typing.get_origin(given) or given, typing.get_origin(wanted) or wanted
    if _is_open(plain_given) or _is_open(plain_wanted) or getattr(plain_given, "_is_protocol", False):
        return True
    try:
        related = issubclass(plain_given, plain_wanted)
    except TypeError:  # a protocol that cannot be checked at run time
        return True
    if not related:
        return any(plain_wanted in _PROMOTIONS.get(one, ()) for one in plain_given.__mro__)
    if typing.get_args(given) and typing.get_args(wanted):
        return _asked_of_beartype(given, wanted) or _made_of_the_same(given, wanted)
    return True


def _is_open(kind: Any) -> bool:
    """Say whether a type promises nothing: Any, a name in quotes, a type variable, NoReturn, ..."""
    return kind is Any or kind is object or not isinstance(kind, type)


def _is_literal(kind: Any) -> bool:
    return typing.get_origin(kind) is typing.Literal


def _class_of_literal(kind: Any) -> Any:
    return type(typing.get_args(kind)[0]) if _is_literal(kind) else kind


def _asked_of_beartype(given: Any, wanted: Any) -> bool:
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


def _made_of_the_same(given: Any, wanted: Any) -> bool:
    """Say whether the types in two related types may fit, where beartype says that they differ.

    It compares as a type checker does. But nobody adds to a list that has been sent, so a list of int will do
    for a list of float, and it knows no `NewType` of int to be an int.
    """
    origin, other = typing.get_origin(given), typing.get_origin(wanted)
    parts, others = typing.get_args(given), typing.get_args(wanted)
    if origin in _CALLED:
        return True
    if origin is tuple and other is tuple:
        if others[-1] is ...:
            others = others[:1] * (len(parts) - (parts[-1] is ...))
        if parts[-1] is ...:
            parts = parts[:1] * len(others)
        return len(parts) == len(others) and all(map(fits, parts, others))
    if len(parts) != len(others):
        return True
    if origin.__module__ in ("builtins", "collections", "collections.abc"):
        return all(map(fits, parts, others))
    # In somebody's own generic class, the variables may vary either way.
    return origin is not other or all(
        fits(one, another) or fits(another, one) for one, another in zip(parts, others, strict=True)
    )


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
