"""What components log: kept for those who look, without a change to what is logged, and where.

A handler on the root logger would change that: `logging.basicConfig` does nothing once there is one, and
warnings that nobody handles would not come to standard error any more. So what is listened to is how records
are made. Only what the levels of the program's own loggers let through is made at all.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kamaelia.axon.errors import text_of
from kamaelia.axon.process import Process, current_process

if TYPE_CHECKING:
    from .target import Target

LONGEST = 2000  # characters of a line that are kept
LINES = 50  # that are kept of each component
PATHS = 1000  # of which lines are kept


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was logged."""

    time: float
    """Seconds since 1970-01-01 00:00 UTC."""
    level: str
    """Its name, such as ``WARNING``."""
    number: int
    """The level as a number."""
    logger: str
    """The name of the logger."""
    path: str | None
    """Of the component whose code has logged it; None if it was nobody's."""
    text: str
    """What was logged, and on a further line the error that came with it."""
    host: str | None = None
    """Of a simulated network: the host whose component it was."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as a stream has it."""
        line = {
            "time": round(self.time, 3),
            "level": self.level,
            "logger": self.logger,
            "path": self.path,
            "text": self.text,
        }
        return line if self.host is None else line | {"host": self.host}


Listener = Callable[["Process | None", Line], object]


class _Ears:
    """Hears all records that are made in this process, while anybody listens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self._factory: Callable[..., logging.LogRecord] | None = None  # that made records before
        self._deaf = threading.local()

    def add(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = (*self._listeners, listener)
            # Somebody else may have put another in our place meanwhile, which may call ours, or not.
            if self._factory is None:
                self._factory = logging.getLogRecordFactory()
                logging.setLogRecordFactory(self.make)

    def remove(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one != listener)
            if not self._listeners and logging.getLogRecordFactory() == self.make:
                assert self._factory is not None
                logging.setLogRecordFactory(self._factory)
                self._factory = None

    def make(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """Make a record, as it was made before, and tell who listens."""
        factory = self._factory or logging.LogRecord
        record = factory(*args, **kwargs)
        if self._listeners and record.name and not getattr(self._deaf, "now", False):
            self._deaf.now = True  # to what is logged by who listens
            try:
                self._tell(record)
            except Exception:  # whoever logs must not notice that somebody listens
                pass
            finally:
                self._deaf.now = False
        return record

    def _tell(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()[:LONGEST]
        except Exception as error:  # the arguments do not fit: Python itself complains of that
            text = f"{str(record.msg)[:LONGEST]} ({type(error).__name__})"
        if record.exc_info and record.exc_info[1] is not None:
            raised = record.exc_info[1]
            text += f"\n{type(raised).__name__}: {text_of(raised)[:LONGEST]}"
        process = current_process.get(None)
        path = None if process is None else process.path or None
        line = Line(record.created, record.levelname, record.levelno, record.name, path, text)
        for listener in self._listeners:
            listener(process, line)


EARS = _Ears()


class Keeper:
    """Keeps the last lines of each component of a few systems, for whoever asks later.

    Arguments:
        target: whose systems they are
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lock = threading.Lock()
        # By host and path: what hosts run is often called the same.
        self._lines: OrderedDict[tuple[str | None, str | None], deque[Line]] = OrderedDict()
        self.listeners: tuple[Callable[[Line], object], ...] = ()
        """Each is called with every line, on whatever thread."""

    def start(self) -> None:
        """Begin to listen."""
        EARS.add(self._hear)

    def stop(self) -> None:
        """Listen no more."""
        EARS.remove(self._hear)

    def of(self, path: str | None, host: str | None = None) -> list[Line]:
        """Return the last lines of a component, on a host where there are some, the oldest first."""
        with self._lock:
            return list(self._lines.get((host, path), ()))

    def _hear(self, process: Process | None, line: Line) -> None:
        if process is not None:
            system = process.system
            if system is None or not self._target.knows(system):
                return
            host = self._target.host_of(system)
            if host is not None:
                line = replace(line, host=host)
        key = (line.host, line.path)
        with self._lock:
            kept = self._lines.get(key)
            if kept is None:
                kept = self._lines[key] = deque(maxlen=LINES)
                if len(self._lines) > PATHS:
                    self._lines.popitem(last=False)
            else:
                self._lines.move_to_end(key)
            kept.append(line)
        for listener in self.listeners:
            listener(line)
