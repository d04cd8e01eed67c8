"""Writing text for people: what `ConsoleEchoer` and `Ticker` have in common."""

from __future__ import annotations

import errno
import os
import sys
import unicodedata
from typing import Any, Final, TextIO

# Windows says EINVAL of a pipe that nobody reads.
GONE: Final = frozenset({errno.EPIPE, *([errno.EINVAL] if sys.platform == "win32" else [])})


class Screen:
    """A stream of text, seen from the component that writes to it.

    It is looked up when it is needed and not when the component is made: a component may be made long
    before it runs, and `sys.stdout` be another one by then.

    Arguments:
        stream: where the text goes; None for standard output
        path: of the component, for error messages
    """

    def __init__(self, stream: TextIO | None, path: str) -> None:
        self._given = stream
        self._path = path

    @property
    def stream(self) -> TextIO | None:
        """The stream; None in a process that has no standard output, where `print` writes nothing either."""
        return sys.stdout if self._given is None else self._given

    def write(self, text: str) -> None:
        """Write and flush. Raises `BrokenPipeError` when nobody reads the stream any more."""
        stream = self.stream
        if stream is None or not text:
            return
        try:
            try:
                stream.write(text)
            except UnicodeEncodeError:  # one emoji from somewhere must not end a program in an ASCII terminal
                encoding = stream.encoding
                stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except OSError as error:
            if error.errno not in GONE:
                raise
            if self._given is None:
                _silence(stream)
            raise BrokenPipeError(
                f"{self._path}: nobody reads what it prints any more (the other end of the pipe is closed, "
                "as after `| head`)"
            ) from None


def printable(text: str) -> str:
    r"""Return text in which control characters are written out, as Python writes them in a string.

    So text from strangers cannot move the cursor, change the title of the window, or answer for the person
    who sits there; nor can it turn the direction of what is written around it.

    >>> print(printable("red: \x1b[31m, \u202eback"))
    red: \x1b[31m, \u202eback
    """
    if text.isprintable():
        return text
    return "".join(
        one if unicodedata.category(one) not in ("Cc", "Cs") and one not in _TURNING else ascii(one)[1:-1]
        for one in text
    )


# The characters of Unicode that change the direction of writing beyond themselves (UAX 9).
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _silence(stream: Any) -> None:
    """Let what a broken standard output still has in its buffer go nowhere.

    Otherwise the interpreter tries once more at its exit, and complains on standard error. This is what the
    documentation of Python's `signal` module advises.
    """
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # not the file of the operating system: then nothing is tried at exit
        pass


__all__ = ["Screen", "printable"]
