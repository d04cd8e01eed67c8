"""Errors, as the user of the command sees them: a line about each, then the frames of the user's own code."""

from __future__ import annotations

import traceback

from kamaelia.axon import report

from .output import complain


def show(error: BaseException) -> None:
    """Print an error to standard error; with ``KAMAELIA_TRACEBACK=full`` all that is known of it."""
    complain(text_of(error).removesuffix("\n"))


def text_of(error: BaseException) -> str:
    """Return what `show` prints.

    >>> text_of(ValueError("too big"))
    'ValueError: too big\\n'
    """
    if isinstance(error, SyntaxError) and not report.shows_all():  # Python itself shows best where it is
        return "".join(traceback.format_exception_only(error))
    return report.describe(error)
