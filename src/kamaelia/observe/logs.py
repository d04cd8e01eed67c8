"""Logs: ordinary logging, with the component whose code ran when something was logged.

Parts, and whatever they use, log through `logging` of the standard library, and how that is set up is the
program's business. A record does not say which of a hundred components it came from. So here is a filter that
adds that, as ``record.component``: the path of the component in whose body, or in what that has called, or in
a task or thread that it has started, something was logged; empty outside of all components. It goes onto any
handler, before any formatter:

>>> import logging, sys
>>> from kamaelia.observe.logs import ComponentFilter
>>> handler = logging.StreamHandler(sys.stdout)
>>> handler.addFilter(ComponentFilter())
>>> handler.setFormatter(logging.Formatter("%(levelname)s %(component)s: %(message)s"))
>>> log = logging.getLogger("weather")
>>> log.addHandler(handler)
>>> log.propagate = False

>>> from kamaelia import component, run
>>> from kamaelia.flow import Map, Source
>>> @component
... async def station(inbox, outbox):
...     async for degrees in inbox:
...         if degrees > 40:
...             log.warning("%d degrees", degrees)
>>> run(Source([20, 45]) | Map(int) | station())
WARNING Pipeline/station: 45 degrees

A program that has set nothing up gets lines such as this from `log_lines`, as ``kamaelia run`` does::

    2026-05-04 12:30:01.250 WARNING Pipeline/station 45 degrees

It is one line an event, whatever is in it: the line of a traceback that counts, and no line breaks. They are
the last resort of `logging`, so they give way to any handler that the program sets up, before or after.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from kamaelia.axon import report
from kamaelia.axon.process import current_process


class ComponentFilter(logging.Filter):
    """Adds ``component`` to each record, the path of the component whose code runs; it keeps back none.

    A record that has one already, such as one from a `Worker`'s process, keeps it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add it."""
        note_component(record)
        return True


def note_component(record: logging.LogRecord) -> str:
    """Add ``component`` to a record, unless it has one; return it."""
    path: str | None = getattr(record, "component", None)
    if path is None:
        process = current_process.get(None)
        path = record.component = "" if process is None else process.path
    return path


class LineFormatter(logging.Formatter):
    """Makes one line of each record: time, level, component, and the text.

    What would not fit on a line, or harm a terminal, is written as in Python's own strings. Of an exception
    there is its type, its text, and the place in the program's own code where it was raised;
    ``KAMAELIA_TRACEBACK=full`` has all of it follow on lines of its own.

    Example:
        >>> record = logging.makeLogRecord({"levelname": "ERROR", "msg": "a\\nb", "created": 0.25})
        >>> LineFormatter().format(record).partition(" ERROR ")[2]
        '- a\\\\nb'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        path = note_component(record)
        text = record.getMessage()
        if path:  # with which many messages of our own begin
            text = text.removeprefix(f"{path}: ").removeprefix(f"{path} ")
        error: Any = record.exc_info[1] if record.exc_info else None
        if error is not None and not report.shows_all():
            text += f" ({report.one_line(error)})"
        line = f"{self.formatTime(record)} {record.levelname} {printable(path) or '-'} {printable(text)}"
        if report.shows_all() and record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        elif record.exc_text and error is None:  # of a process that has sent no more than this
            line += f" ({printable(record.exc_text.splitlines()[-1])})"
        return line

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return when it was, on the clock of this place."""
        return datetime.fromtimestamp(record.created).isoformat(" ", "milliseconds")


def printable(text: str) -> str:
    """Return a text without line breaks, and other characters that do more than to be shown.

    >>> printable("two\\nlines, and \\x1b[31m")
    'two\\\\nlines, and \\\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


class _StandardError(logging.StreamHandler[Any]):
    """Writes to what is standard error at that time, as the last resort of `logging` does."""

    def __init__(self, level: int) -> None:
        logging.Handler.__init__(self, level)
        self.setFormatter(LineFormatter())

    @property
    def stream(self) -> Any:
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is not None:
            super().emit(record)


def log_lines(level: int = logging.WARNING) -> Callable[[], None]:
    """From now on what is logged, and has no handler, goes to standard error, one line each; return what ends
    that.

    A program that has set handlers up, or does so later, does not notice.

    Arguments:
        level: what is less than this is left out. What is less than a warning is left out by `logging` itself
            unless the level of a logger says otherwise: ``logging.getLogger().setLevel("INFO")``

    Example:
        ``log_lines()`` at the beginning of a program.
    """
    before, logging.lastResort = logging.lastResort, _StandardError(level)

    def end() -> None:
        logging.lastResort = before

    return end
