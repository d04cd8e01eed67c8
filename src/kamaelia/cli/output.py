"""Printing, where that may fail: nobody reads any more, the disk is full, or there is nothing to print on."""

from __future__ import annotations

import os
import re
import sys
from typing import Any


class CannotPrint(Exception):
    """Something could not be printed; the message says why, and is empty when nobody reads any more."""


def say(text: str) -> None:
    """Print a line on standard output, now. Raises `CannotPrint`.

    What the encoding of the stream does not have is written as Python's prompt writes it, as ``\\xfc``.

    >>> say("hello")
    hello
    """
    stream: Any = sys.stdout
    if stream is None:
        raise CannotPrint("there is no standard output")
    line = f"{text}\n"
    try:
        try:
            stream.write(line)
        except UnicodeEncodeError:
            stream.write(line.encode(stream.encoding, "backslashreplace").decode(stream.encoding))
    except (OSError, ValueError) as error:
        raise _cannot_print(error) from error
    flush()


def flush() -> None:
    """Print what has been kept back so far, by others too. Raises `CannotPrint`."""
    try:
        if sys.stdout is not None and not getattr(sys.stdout, "closed", False):
            sys.stdout.flush()
    except (OSError, ValueError) as error:
        raise _cannot_print(error) from error


def complain(text: str) -> None:
    """Print a line on standard error; where that is impossible the exit code alone has to say it."""
    try:
        if sys.stderr is not None:  # with None, print() would write to standard output
            print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass


def terminal_columns(stream: Any = None) -> int | None:
    """Return how many columns the terminal has that a stream, by default standard output, is; None if it is
    none."""
    import shutil

    stream = stream or sys.stdout
    try:
        return shutil.get_terminal_size().columns if stream is not None and stream.isatty() else None
    except ValueError:  # it is closed
        return None


def plain(text: str) -> str:
    """Return the text of a docstring without its marks.

    >>> plain("With ``size=3``, see `Batch`.")
    'With size=3, see Batch.'
    """
    return re.sub(r"(`{1,2})([^`]+)\1", r"\2", text)


def _cannot_print(error: Exception) -> CannotPrint:
    # Otherwise Python would try again when it exits, and complain in its own way.
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (AttributeError, OSError, ValueError):  # no file of the operating system: nothing is tried at exit
        pass
    return CannotPrint("" if isinstance(error, BrokenPipeError) else str(error))


__all__ = ["CannotPrint", "complain", "flush", "plain", "say", "terminal_columns"]
