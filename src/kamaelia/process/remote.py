"""Exceptions on their way from one process to another.

An exception is pickled where that can be done and undone, else a `RemoteError` stands for it. Its notes go
with it, and its cause; its traceback as text, in one note more. One and the same exception, sent several
times, is one exception on the other side as well.
"""

from __future__ import annotations

import itertools
import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from kamaelia.axon import BrokenLink, EndOfMessages, Failure, report
from kamaelia.axon.errors import text_of

from .errors import RemoteError

CAUSES = 5  # how many causes of causes go with an exception
KEPT = 100  # exceptions that are known again when they come once more


class PackedError(NamedTuple):
    """An exception as it crosses."""

    number: int
    pickled: bytes | None
    text: str  # of the one that stands for it
    notes: tuple[str, ...]
    frames: str
    process: int
    cause: PackedError | None


class Errors:
    """The exceptions that have crossed between this process and another."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._sent: dict[int, tuple[BaseException, PackedError]] = {}  # by their ids
        self._received: dict[int, BaseException] = {}

    def pack(self, error: BaseException, depth: int = CAUSES) -> PackedError:
        """Make an exception ready to be pickled."""
        if id(error) in self._sent:
            return self._sent[id(error)][1]
        notes = tuple(getattr(error, "__notes__", ()))
        frames = ""
        if error.__traceback__ is not None:
            shown = report.trimmed(error) if isinstance(error, Exception) else error
            frames = "".join(traceback.format_tb(shown.__traceback__))
        cause = error.__cause__
        packed = PackedError(
            next(self._numbers),
            _pickled(error),
            f"{type(error).__module__}.{type(error).__qualname__}: {text_of(error)}",
            notes,
            frames,
            os.getpid(),
            self.pack(cause, depth - 1) if cause is not None and depth else None,
        )
        _keep(self._sent, id(error), (error, packed))  # as long as it is there, the number means nothing else
        return packed

    def unpack(self, packed: PackedError) -> BaseException:
        """Return the exception that was packed, or what stands for it."""
        if packed.number in self._received:
            return self._received[packed.number]
        error: BaseException | None = None
        if packed.pickled is not None:
            try:
                error = pickle.loads(packed.pickled)
            except Exception:  # of whatever is in it: its class may not be there, for one
                error = None
        if not isinstance(error, BaseException):
            error = RemoteError(packed.text)
        error.__notes__ = list(packed.notes)
        if packed.frames:
            error.add_note(f"traceback in the worker process {packed.process}:\n{packed.frames.rstrip()}")
        if packed.cause is not None:
            error.__cause__ = self.unpack(packed.cause)
        _keep(self._received, packed.number, error)
        return error


def _keep(kept: dict[int, Any], number: int, value: Any) -> None:
    kept[number] = value
    if len(kept) > KEPT:
        del kept[next(iter(kept))]


def _pickled(error: BaseException) -> bytes | None:
    if isinstance(error, (BrokenLink, EndOfMessages)):  # they know whose box it was
        error = type(error)(*error.args)
    try:
        data = pickle.dumps(error, 5)
        # Many classes take other arguments than they leave in `args`, and that shows only here.
        return data if type(pickle.loads(data)) is type(error) else None
    except Exception:  # of somebody's class
        return None


def portable_failure(failure: Failure, errors: Errors) -> Any:
    """Return what stands for a `Failure` in a pickle: without what can't be pickled, where need be."""

    def if_possible(value: Any) -> Any:
        try:
            pickle.dumps(value, 5)
        except Exception:  # of somebody's class
            return None
        return value

    return _PortableFailure(
        failure.path, errors.pack(failure.error), if_possible(failure.component), if_possible(failure.message)
    )


class _PortableFailure(NamedTuple):
    path: str
    error: PackedError
    component: Any
    message: Any


def unpack_failures(messages: list[Any], unpack: Callable[[PackedError], BaseException]) -> list[Any]:
    """Return messages with a `Failure` for each that was made portable."""
    return [
        Failure(one.path, unpack(one.error), one.component, one.message)
        if type(one) is _PortableFailure
        else one
        for one in messages
    ]
