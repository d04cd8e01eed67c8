"""Errors, as the user of the command sees them: a line about each, then the frames of the user's own code."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType

import kamaelia
from kamaelia.axon import report

OURS = os.path.dirname(kamaelia.__file__) + os.sep


def show(error: BaseException) -> None:
    """Print an error to standard error; with ``KAMAELIA_TRACEBACK=full`` all that is known of it."""
    sys.stderr.write(text_of(error))
    sys.stderr.flush()


def text_of(error: BaseException) -> str:
    """Return what `show` prints.

    >>> text_of(ValueError("too big"))
    'ValueError: too big\\n'
    """
    if not report.shows_all():
        if isinstance(error, SyntaxError):  # Python itself shows best where it is
            return "".join(traceback.format_exception_only(error))
        forget_our_frames(error)
    return report.describe(error)


def forget_our_frames(error: BaseException) -> None:
    """Take the frames of Kamaelia out of an error's traceback, and of those that it is a group of."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            forget_our_frames(one)
    kept: TracebackType | None = None
    steps = []
    step = error.__traceback__
    while step is not None:
        if not step.tb_frame.f_code.co_filename.startswith(OURS):
            steps.append(step)
        step = step.tb_next
    for step in reversed(steps):
        kept = TracebackType(kept, step.tb_frame, step.tb_lasti, step.tb_lineno)
    error.__traceback__ = kept
