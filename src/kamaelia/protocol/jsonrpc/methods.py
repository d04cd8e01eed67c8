"""What a peer may call: functions of a user's, with what they may be called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from kamaelia.axon.errors import shorten
from kamaelia.chassis import Ask

from .machine import INVALID_PARAMS, RPCError


class Method:
    """A function that a peer may call.

    Example:
        >>> Method("add", lambda a, b: a + b).call({"a": 1, "b": 2})
        3
    """

    __slots__ = ("_signature", "function")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.function = function
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):  # one of those of Python's own that do not tell
            self._signature = None

    def call(self, params: Any) -> Any:
        """Call it with a list, or with a dict by names; `RPCError` if it does not take these."""
        args, kwargs = ((), params) if isinstance(params, dict) else (params, {})
        if self._signature is not None:
            try:
                self._signature.bind(*args, **kwargs)
            except TypeError as error:
                raise RPCError(INVALID_PARAMS, data=str(error)) from None
        return self.function(*args, **kwargs)


def check_methods(methods: Any) -> None:
    """Raise TypeError or ValueError unless these can be what a peer may call.

    >>> check_methods({"rpc.stop": print})
    Traceback (most recent call last):
    ValueError: JSONRPC({'rpc.stop': ...}): names that begin with 'rpc.' are the standard's: choose another
    """
    if not isinstance(methods, Mapping):
        raise TypeError(f"JSONRPC({shorten(methods)}): give functions by their names: {{'add': add}}")
    for name, value in methods.items():
        where = f"JSONRPC({{{shorten(name)}: ...}})"
        if not isinstance(name, str) or not name:
            raise TypeError(f"{where}: the name of a method is a text, such as 'add'")
        if name.startswith("rpc."):
            raise ValueError(f"{where}: names that begin with 'rpc.' are the standard's: choose another")
        if not callable(value) and not isinstance(value, Ask):
            raise TypeError(
                f"{where}: give a function, or an Ask(...) of the service that answers, not {shorten(value)}"
            )


__all__ = ["Method", "check_methods"]
