"""Whether what a function has returned is to be awaited.

To find it out takes longer than to pass a message on. So parts that call a plain or an ``async`` function ask
only when the result is of another type than the last one was.
"""

from __future__ import annotations

import inspect
from types import GeneratorType
from typing import Any


def is_awaitable(result: Any) -> bool:
    """Say whether something can be awaited.

    >>> is_awaitable(7)
    False
    """
    return inspect.isawaitable(result)


def plain_type(result: Any) -> type | None:
    """Return the type of something that cannot be awaited, if nothing of that type can.

    >>> plain_type(7)
    <class 'int'>
    """
    kind = type(result)
    return None if kind is GeneratorType else kind  # a generator may be awaitable: see `types.coroutine`


__all__ = ["is_awaitable", "plain_type"]
