"""What a user reads: one line about what went wrong and where, and the user's own frames."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from . import body
from .errors import ComponentsFailed, KamaeliaError, text_of

if TYPE_CHECKING:
    from .process import Process

log = logging.getLogger("kamaelia")


def shows_all() -> bool:
    """Say whether the user wants to see the frames of Kamaelia and of Python's library, too."""
    return os.environ.get("KAMAELIA_TRACEBACK") == "full"


def trimmed(error: Exception) -> Exception:
    """Take the frames of Kamaelia, its parts included, out of an exception's traceback."""
    if shows_all():
        return error
    frames: list[TracebackType] = []
    step = error.__traceback__
    while step is not None:
        if not step.tb_frame.f_code.co_filename.startswith(body._PACKAGE_FOLDER):
            frames.append(step)
        step = step.tb_next
    kept: TracebackType | None = None
    for frame in reversed(frames):
        kept = TracebackType(kept, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return error.with_traceback(kept)


def describe(error: BaseException) -> str:
    """Return an error as a user should see it: for each failure a line, then the user's own frames.

    The environment variable ``KAMAELIA_TRACEBACK=full`` shows everything instead.
    """
    if shows_all():
        return "".join(traceback.format_exception(error))
    errors = error.exceptions if isinstance(error, ComponentsFailed) else (error,)
    return "".join(map(_describe_one, errors, paths_of(errors)))


def paths_of(errors: Sequence[BaseException]) -> list[str | None]:
    """Return which component each error came from; None for one that is nobody's.

    Each component that an error has left has put a note with its path into it. An error that several have
    raised, one and the same object, is there several times: the first time is the first note's.
    """
    left = Counter(map(id, errors))
    paths: list[str | None] = []
    for error in errors:
        notes = [note for note in getattr(error, "__notes__", ()) if note.startswith("in ")]
        place = notes[-min(left[id(error)], len(notes))] if notes else None
        paths.append(None if place is None else place.removeprefix("in "))
        left[id(error)] -= 1
    return paths


def one_line(error: BaseException) -> str:
    """Return an error on one line, with the place in the user's code where it was raised."""
    text = " ".join(text_of(error).split())
    frames = [one for one in traceback.extract_tb(error.__traceback__) if body.is_users(one.filename)]
    where = (
        f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno} in {frames[-1].name})"
        if frames
        else ""
    )
    return f"{type(error).__name__}: {text}{where}"


def _describe_one(error: BaseException, path: str | None) -> str:
    line = f"{type(error).__name__}: {text_of(error)}"
    if path is not None:
        line = f"{path}: {type(error).__name__}: {text_of(error).removeprefix(path + ': ')}"
    lines = [line + "\n"]
    for other in getattr(error, "__notes__", []):
        if not other.startswith("in "):
            lines.append(f"  ({other})\n")
    for frame in traceback.extract_tb(error.__traceback__):
        if body.is_users(frame.filename):
            lines.append(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n')
            if frame.line:
                lines.append(f"    {frame.line}\n")
    if error.__cause__ is not None:
        lines.append(f"  because of {type(error.__cause__).__name__}: {text_of(error.__cause__)}\n")
    return "".join(lines)


def tell_at_exit(error: BaseException) -> None:
    """Have the interpreter print an error of ours in our way, if nothing catches it before."""
    if sys.excepthook is sys.__excepthook__ and isinstance(error, KamaeliaError):
        sys.excepthook = _excepthook


def _excepthook(kind: type[BaseException], error: BaseException, tb: TracebackType | None) -> None:
    if isinstance(error, KamaeliaError) and not shows_all():
        sys.stderr.write(describe(error))
    else:
        sys.__excepthook__(kind, error, tb)


def who_waits(processes: Iterable[Process]) -> str:
    """Return the text of a deadlock: who waits for what."""
    lines = []
    for process in processes:
        wait = process.wait
        if wait is None:
            kind = type(process.future).__name__  # and not its repr, which tells of Axon's own callbacks
            lines.append(f"  {process.path} awaits asyncio's {kind} ({body.where(process)})")
        else:
            what = ", ".join(str(getattr(box, "outbox", box)) for box in wait.where)
            lines.append(f"  {process.path} waits to {wait.verb} {what} ({body.where(process)})")
    return (
        "every component waits for another, so nothing will ever happen:\n"
        + "\n".join(lines)
        + "\nIs a link missing, or a loop not declared with feedback=True? Something outside the system that "
        "puts messages in needs inbox.hold(outside=True)"
    )


def warn_about_discarded(discarded: dict[str, int] | None) -> None:
    """Say in one line each when results went nowhere."""
    for path, count in list((discarded or {}).items())[:3]:
        name = path.rpartition("/")[2]
        log.warning("%d message%s from %s went nowhere: add | Collect()", count, "s" * (count != 1), name)
