"""What every system can be asked through its socket, and the streams that some of the answers begin."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from kamaelia.axon import postman
from kamaelia.axon.clock import monotonic
from kamaelia.axon.errors import KamaeliaError, shorten, suggestion

from ..diagnosis import LOOKED
from .details import details, find_process
from .logs import Keeper, Line
from .looking import Looker, again
from .protocol import Arguments, RequestError, body_of
from .shown import MOST, MOST_EVER, show
from .target import PATIENCE, After, Later, Stream, Target
from .waiting import LAST, waiting_at

if TYPE_CHECKING:
    from kamaelia.axon import System
    from kamaelia.axon.box import Box
    from kamaelia.axon.link import Link
    from kamaelia.axon.tap import Tap, Tapped

FORMS = ("text", "mermaid", "graphviz", "svg")
KEPT = 1000  # lines of a log, or messages, that wait to be sent to one client


class Answers:
    """Answers what a target's systems can be asked.

    Arguments:
        target: what is looked at
        keeper: of what was logged
    """

    def __init__(self, target: Target, keeper: Keeper) -> None:
        self._target = target
        self._keeper = keeper
        self._lookers: dict[System, Looker] = {}

    @property
    def handlers(self) -> Mapping[str, Callable[[Arguments], Any]]:
        """All that can be asked, by the word that asks it."""
        own = {
            "snapshot": self._snapshot,
            "diagnose": self._diagnose,
            "draw": self._draw,
            "details": self._details,
            "watch": self._watch,
            "tap": self._tap,
            "waiting": self._waiting,
            "log": self._log,
            "stop": self._stop,
        }
        return {**own, **self._target.handlers}

    @property
    def lookers(self) -> Iterable[Looker]:
        """Those who look at a system, or have."""
        return self._lookers.values()

    def looker(self, name: str | None = None) -> Looker:
        """Return who looks at a system, and have it looked at from now on."""
        system = self._target.system(name)
        looker = self._lookers.get(system)
        if looker is None:
            for other, one in list(self._lookers.items()):
                if not one.users and (other.is_over or not self._target.knows(other)):
                    del self._lookers[other]
            looker = self._lookers[system] = Looker(system)
        looker.want()
        return looker

    # -- questions ----------------------------------------------------------------------------------------

    def _snapshot(self, given: Arguments) -> Any:
        looker = self.looker(given.text("system"))
        given.end()
        return looker.snapshot().as_dict()

    def _diagnose(self, given: Arguments) -> Any:
        looker = self.looker(given.text("system"))
        given.end()
        left = looker.since + LOOKED - monotonic()
        return After(left, lambda: asdict(looker.diagnose())) if left > 0 else asdict(looker.diagnose())

    def _draw(self, given: Arguments) -> Any:
        form = given.text("form", "text", needed=True)
        system = self._target.system(given.text("system"))
        given.end()
        if form not in FORMS:
            raise RequestError(f"'form' is {shorten(form)}: {suggestion(form, FORMS)}")
        try:
            return system.draw(form)
        except KamaeliaError as error:
            raise RequestError(str(error)) from None

    def _details(self, given: Arguments) -> Any:
        path = given.text("path", needed=True)
        looker = self.looker(given.text("system"))
        given.end()
        host = self._target.host_of(looker.system)
        return again(lambda: details(looker.watch, path, self._keeper.of(path, host)))

    def _stop(self, given: Arguments) -> Any:
        system = self._target.system(given.text("system"))
        given.end()
        return Later(partial(self._target.call, system), partial(_stop, system), system, PATIENCE)

    def _watch(self, given: Arguments) -> Any:
        every = given.number("every", 0.25, 0.1, 10)
        looker = self.looker(given.text("system"))
        given.end()
        return Watching(looker, every, self._target)

    def _log(self, given: Arguments) -> Any:
        level = given.text("level", "INFO", needed=True)
        name = given.text("system")
        given.end()
        host = None if name is None else self._target.host_of(self._target.system(name))
        number = logging.getLevelNamesMapping().get(level.upper())
        if number is None:
            known = [name for name in logging.getLevelNamesMapping() if name != "NOTSET"]
            raise RequestError(f"'level' is {shorten(level)}: {suggestion(level.upper(), known)}")
        return Logging(self._keeper, number, host)

    def _tap(self, given: Arguments) -> Any:
        ends = _ends(given)
        most = given.integer("most", MOST, 1, MOST_EVER)
        rate = given.number("rate", 50, 0.1, 1000)
        system = self._target.system(given.text("system"))
        given.end()
        call = partial(self._target.call, system)

        def begin() -> Tapping:
            return Tapping(find_place(system, ends), most, rate, call)

        return Later(call, begin, system, PATIENCE, Stream.close)

    def _waiting(self, given: Arguments) -> Any:
        ends = _ends(given)
        most = given.integer("most", MOST, 1, MOST_EVER)
        last = given.integer("last", LAST, 1, LAST)
        system = self._target.system(given.text("system"))
        given.end()
        return waiting_at(again(lambda: find_place(system, ends)), last, most)


def _stop(system: System) -> dict[str, Any]:
    if not system.stopping:
        system.stop()
    return {}


def _ends(given: Arguments) -> list[str]:
    at = given.take("at")
    ends = [at] if isinstance(at, str) else at
    if isinstance(ends, list) and len(ends) in (1, 2) and all(isinstance(one, str) for one in ends):
        return ends
    raise RequestError('\'at\' is a box, "path.box", or the two ends of a link, ["path.box", "path.box"]')


# -- finding places -----------------------------------------------------------------------------------------


def find_place(system: System, ends: Sequence[str]) -> Box[Any] | Link:
    """Return the box, or the link between two boxes, that a request names; raises `RequestError`.

    A box is named ``path.box``, and one whose component stands alone around a system, ``box``.
    """
    first = find_box(system, ends[0])
    if len(ends) == 1:
        return first
    for wire in list(first.outgoing):
        if str(wire.target) == ends[1]:
            return wire
    raise RequestError(f"no link leads from {ends[0]} to {ends[1]} (any more)")


def find_box(system: System, text: str) -> Box[Any]:
    """Return a box by its path and name; raises `RequestError`."""
    path, _, name = text.rpartition(".")
    process = find_process(system, path)
    box = process.box_named(name)
    if box is not None:
        return box
    for one in list(process.each_box()):
        for wire in list(one.incoming):
            if wire.outside and str(wire.source) == text:
                return wire.source  # type: ignore[no-any-return]  # which a transport has put there
    known = [one.name for one in list(process.each_box())]
    raise RequestError(f"{path} has no box {name!r}; {suggestion(name, known)}")


# -- streams -------------------------------------------------------------------------------------------------


class Watching(Stream):
    """The frames of one who watches a system."""

    latest_only = True

    def __init__(self, looker: Looker, every: float, target: Target) -> None:
        self.every = every
        self._looker = looker
        self._target = target
        self._seen = 0
        self._frame = 0
        looker.users += 1

    @property
    def result(self) -> Any:
        """See `Stream`."""
        return {"every": self.every}

    def lines(self) -> Iterable[Sequence[bytes]]:
        """See `Stream`."""
        before = self._seen
        body, self._seen = self._looker.frame(before)
        if self._seen != before:
            self._frame += 1
            yield b'"frame":%d,' % self._frame, body
        system = self._looker.system
        if system.is_over:
            self.over = "the system is over"
        elif not self._target.knows(system):
            self.over = "the host has crashed"

    def close(self) -> None:
        """See `Stream`."""
        self._looker.users -= 1


class Tapping(Stream):
    """What passes a box or a link, as it can be shown; made on the system's own thread.

    Arguments:
        place: the box or link
        most: bytes, or characters, of each message that are shown
        rate: messages a second that are shown, at most
        call: has a function called on the system's thread
    """

    def __init__(
        self,
        place: Box[Any] | Link,
        most: int,
        rate: float,
        call: Callable[[Callable[[], object]], object],
    ) -> None:
        self._most = most
        self._rate = rate
        self._call = call
        self._waiting: deque[tuple[float, dict[str, Any], int]] = deque()
        self._left_out = 0
        self._room = max(1.0, rate / 10)  # messages that may be shown at once
        self._filled = monotonic()
        self._tap: Tap = postman.tap(place, callback=self._see)

    def _see(self, seen: Tapped) -> None:
        """Keep what has just passed, shown; on the system's thread, where nobody changes it meanwhile."""
        now = monotonic()
        self._room = min(max(1.0, self._rate / 10), self._room + (now - self._filled) * self._rate)
        self._filled = now
        if self._room < 1 or len(self._waiting) >= KEPT:
            self._left_out += 1
            return
        self._room -= 1
        left_out, self._left_out = self._left_out, 0
        self._waiting.append((seen.time, show(seen.message, self._most), left_out))

    def lines(self) -> Iterable[Sequence[bytes]]:
        """See `Stream`."""
        ended = self._tap.ended  # first: what comes before the end is there then
        for _ in range(len(self._waiting)):
            time, shown, left_out = self._waiting.popleft()
            yield (body_of({"time": round(time, 6), "message": shown, "left_out": left_out}),)
        if ended:
            failure = self._tap.failure
            self.over = (
                "nothing more will pass here" if failure is None else f"its source failed: {failure}"[:500]
            )

    def close(self) -> None:
        """See `Stream`."""
        with suppress(RequestError):  # the system is over, and so is the tap
            self._call(lambda: postman.untap(self._tap))


class Logging(Stream):
    """What is logged.

    Arguments:
        keeper: who hears it
        level: the least, as a number
        host: only what is logged there; None for all
    """

    def __init__(self, keeper: Keeper, level: int, host: str | None = None) -> None:
        self._keeper = keeper
        self._level = level
        self._host = host
        self._waiting: deque[Line] = deque()
        self._left_out = 0
        keeper.listeners = (*keeper.listeners, self._hear)

    def _hear(self, line: Line) -> None:
        if line.number >= self._level and self._host in (None, line.host):
            if len(self._waiting) < KEPT:
                self._waiting.append(line)
            else:
                self._left_out += 1

    def lines(self) -> Iterable[Sequence[bytes]]:
        """See `Stream`."""
        for _ in range(len(self._waiting)):
            message = self._waiting.popleft().as_dict()
            if self._left_out:
                message["left_out"], self._left_out = self._left_out, 0
            yield (body_of(message),)

    def close(self) -> None:
        """See `Stream`."""
        self._keeper.listeners = tuple(one for one in self._keeper.listeners if one != self._hear)
