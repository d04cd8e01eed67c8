"""Whether what a function has returned is to be awaited.

To find it out takes longer than to pass a message on. So parts that call a plain or an ``async`` function
look only at a result that is of another type than the last one was.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import GeneratorType
from typing import Any


def awaitable_test() -> Callable[[Any], bool]:
    """Return a function that says whether something is to be awaited, for the results of one function.

    >>> is_awaitable = awaitable_test()
    >>> is_awaitable(7), is_awaitable(8)
    (False, False)
    """
    plain: type | None = None  # nothing of this type can be awaited

    def is_awaitable(result: Any) -> bool:
        nonlocal plain
        if type(result) is plain:
            return False
        if inspect.isawaitable(result):
            return True
        if type(result) is not GeneratorType:  # one that is awaitable may come yet: see `types.coroutine`
            plain = type(result)
        return False

    return is_awaitable


__all__ = ["awaitable_test"]
