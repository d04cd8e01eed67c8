"""What is looked at through a socket, and what it can be asked.

A `Target` has systems, and offers handlers: functions by the name that a request says with ``do``. What one
returns goes to the client:

| a handler returns | the client gets |
| --- | --- |
| plain values, as JSON has them | the answer |
| a `Stream` | an answer, then its lines, until it has ended or the client cancels it |
| `Later` | an answer when something has been done on the system's own thread |
| `After` | an answer when some time has passed |

All of it runs on the thread of the socket, beside the system; only what `Later` names runs on the system's.
What a handler raises as `RequestError` is the answer, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kamaelia.axon.system import describe_core

from ..watch import watch_of
from .protocol import Arguments, RequestError, body_of

if TYPE_CHECKING:
    from kamaelia.axon import System

MOST_NAMES = 4  # that a system is called by
PATIENCE = 2.0  # seconds in which the system's thread has to do what it is asked to

Handler = Callable[[Arguments], Any]


class Target(Protocol):
    """What is looked at: one system, or several that belong together.

    It need not be derived from this class; these are the names that it has to have.
    """

    kind: str
    """``system`` or ``network``."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def core(self) -> str:
        """Which form of the core runs on which kind of loop."""
        ...

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What it can be asked beside what all systems can; one of the same name takes the other's place."""
        ...

    def system(self, name: str | None) -> System:
        """Return the system that a request means; raises `RequestError` if there is none of that name.

        None is what a request says that names none.
        """
        ...

    def knows(self, system: System) -> bool:
        """Say whether a system is one of its own; one that has been switched off is not any more."""
        ...

    def host_of(self, system: System) -> str | None:
        """Return the name of the host that a system runs on; None where there are no hosts.

        It is asked on any thread, for each line that is logged.
        """
        ...

    def call(self, system: System, function: Callable[[], object]) -> None:
        """Have a function called soon, on a system's own thread; raises `RequestError` if that has ended."""
        ...


class SystemTarget:
    """One system."""

    kind = "system"

    def __init__(self, system: System) -> None:
        self._system = system
        self.handlers: Mapping[str, Handler] = {}

    @property
    def name(self) -> str:
        """The names of the outermost components."""
        return name_of(self._system)

    @property
    def core(self) -> str:
        """See `Target`."""
        return describe_core(self._system.loop)

    def system(self, name: str | None) -> System:
        """See `Target`."""
        if name not in (None, "", self.name):
            raise RequestError(f"there is no system {name!r} here, only {self.name!r}")
        return self._system

    def knows(self, system: System) -> bool:
        """See `Target`."""
        return system is self._system

    def host_of(self, system: System) -> str | None:
        """See `Target`."""
        return None

    def call(self, system: System, function: Callable[[], object]) -> None:
        """See `Target`."""
        call_soon(system, function)


def name_of(system: System) -> str:
    """Return what a system is called: the names of its outermost components, or else its program's."""
    outermost = list(system.root.children)
    while outermost and not any(one.name for one in outermost):  # what stands around it for ordinary code
        outermost = [child for one in outermost for child in list(one.children)]
    names = [one.name for one in outermost if one.name]
    if len(names) > MOST_NAMES:
        names[MOST_NAMES - 1 :] = [f"{len(names) - MOST_NAMES + 1} more"]
    return ", ".join(names) or program()


def program() -> str:
    """Return the name of the program that this process runs.

    >>> isinstance(program(), str)
    True
    """
    name = os.path.basename(sys.argv[0] if sys.argv else "")
    return name if name not in ("", "-c", "-m") else "python"


def call_soon(system: System, function: Callable[[], object]) -> None:
    """Have a function called soon, on a system's own thread; raises `RequestError` if that has ended."""
    try:
        system.scheduler.call_soon(function)
    except RuntimeError:
        raise RequestError("the system is over") from None


@dataclass(frozen=True)
class Later:
    """An answer that is worked out on the system's own thread.

    Example:
        ``Later(lambda function: target.call(system, function), system.stop)``
    """

    call: Callable[[Callable[[], object]], object]
    """Has a function called soon on that thread."""
    work: Callable[[], Any]
    """What is done there; it returns what a handler returns, and may raise `RequestError`."""
    system: System | None = None
    """Whose thread it is, to say what holds that up if it does not answer."""
    patience: float = PATIENCE
    """Seconds, after which the answer is that nothing was done; nor will it be, then."""
    undo: Callable[[Any], object] | None = None
    """Takes back what was done, given what `work` returned, if that came too late."""


@dataclass(frozen=True)
class After:
    """An answer that is worked out, beside the system, when some time has passed."""

    seconds: float
    work: Callable[[], Any]
    """Returns what a handler returns, and may raise `RequestError`."""


class Stream:
    """Lines that follow an answer, each time that `every` seconds have passed.

    Who makes one of its own overrides `lines`.
    """

    every: float = 0.05
    """Seconds between two times that it is asked for lines."""
    latest_only = False
    """Whether it is only asked when the client has read nearly all that came before: then, what has not been
    told by then is what the next lines say. How often it was not asked is said with them, as ``missed``."""
    over: str | None = None
    """Why there will be no more lines, once it is known."""

    @property
    def result(self) -> Any:
        """The answer that begins it, as JSON has it."""
        return {}

    def lines(self) -> Iterable[Sequence[bytes]]:
        """Return the lines that are due, each in pieces that follow one another.

        A line is a JSON object without its first brace, and ends as `body_of` ends it.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Nobody reads it any more."""


class Repeated(Stream):
    """A stream of what a function returns: each time a value for a line, or None where there is nothing new.

    Arguments:
        function: returns a dictionary, or None; it may raise `RequestError` to end the stream
        every: seconds between two calls
    """

    latest_only = True

    def __init__(self, function: Callable[[], Mapping[str, Any] | None], every: float) -> None:
        self._function = function
        self.every = every

    @property
    def result(self) -> Any:
        """See `Stream`."""
        return {"every": self.every}

    def lines(self) -> Iterable[Sequence[bytes]]:
        """See `Stream`."""
        try:
            message = self._function()
        except RequestError as error:
            self.over = str(error)
            return
        if message is not None:
            yield (body_of(message),)


def stuck_text(system: System | None, patience: float) -> str:
    """Say that a system's thread does not answer, and, where that is known, whose step it is."""
    text = f"the system has not answered for {patience:g} s"
    if system is None:
        return text
    stuck = watch_of(system).stuck
    if stuck is None:
        return text
    return f"{text}: {stuck.path or 'something'} holds it up, at {stuck.where}"
