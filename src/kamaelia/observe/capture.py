"""Captures: what passed the boxes of a system, with times, kept in a file.

Theory
------
Every box is tapped (`survey`). A message becomes bytes at once, for from the moment it is sent it belongs to
its receivers, who may change it; what is written of it is gathered, and a thread takes that to the disk. What
is gathered is bounded: when the disk is slower than the messages, messages are left out, and the file says
how many. In virtual time no thread is needed: time stands still while it is written, and nothing is lost.

One message that passes several boxes at once, an outbox and the inboxes that it is linked to, is written once
with all their numbers.

The form of the file stands in `capture_file`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from _thread import get_ident
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from kamaelia.axon import Component, System, UsageError
from kamaelia.axon.clock import calendar as calendar_of
from kamaelia.axon.errors import ClosedBox, shorten
from kamaelia.axon.system import Handle, describe_core, when_started
from kamaelia.axon.tap import Tapped

from . import place as places
from .capture_file import MOST_WHY, VERSION, Refused, Values, _name, _on_one_line, line
from .survey import Survey

if TYPE_CHECKING:
    from kamaelia.axon.box import Box

log = logging.getLogger("kamaelia")

MEMORY = 8 * 1024 * 1024  # bytes that wait for the disk
BATCH = 64 * 1024  # bytes that are written at once
PAUSE = 0.1  # seconds in which it gathers before it writes
PATIENCE = 10.0  # seconds that the end of a capture waits for the disk


def capture(
    what: System | Component | Handle | Sequence[Component],
    file: str | os.PathLike[str],
    *,
    boxes: str | Sequence[str] = "*",
    types: Iterable[type] = (),
    pickle: bool = False,
    memory: int = MEMORY,
) -> Capture:
    """Keep what passes boxes from now on in a file, with times; `replay` plays it again.

    It ends when what is captured has ended, or is closed: ``with capture(...)`` does so where it is left.

    Arguments:
        what: a component, running or yet to be given to `run` (it itself, and not one made anew of it);
            several; a system; or a handle of `background`. With all that is in it, now and later.
        file: its path; what is there is overwritten
        boxes: which: one or several patterns in the manner of file names, such as ``"*.inbox"`` or
            ``"TCPServer/client-*.inbox"``
        types: classes whose values are kept: dataclasses, NamedTuples, Enums. Texts, bytes, numbers, None,
            and lists, tuples, sets and dicts of such values need not be named.
        pickle: pickle all other values. A file with pickles is to be read only by who trusts its writer.
            Without it they are left out; the file says where, and ``refused`` how many.
        memory: bytes that may wait for the disk; what comes above that is left out, and counted in ``lost``

    Raises `OSError` when the file cannot be made. When it cannot be written later, that is logged, and kept
    in ``failure``: the system goes on.

    Example:
        >>> import os, tempfile
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source
        >>> from kamaelia.observe import capture, replay
        >>> path = os.path.join(tempfile.mkdtemp(), "row.capture")
        >>> row = Source("ab") | Collect()
        >>> kept = capture(row, path)
        >>> run(row)
        ['a', 'b']
        >>> kept.messages
        2
        >>> run(replay(path, "*/Source.outbox") | Collect())
        ['a', 'b']
    """
    return Capture(what, file, boxes=boxes, types=types, pickle=pickle, memory=memory)


class Capture:
    """What `capture` returns: how it goes, and how it is ended."""

    def __init__(
        self,
        what: System | Component | Handle | Sequence[Component],
        file: str | os.PathLike[str],
        *,
        boxes: str | Sequence[str] = "*",
        types: Iterable[type] = (),
        pickle: bool = False,
        memory: int = MEMORY,
    ) -> None:
        if isinstance(what, Handle):
            assert what._system is not None
            what = what._system
        parts: list[Any] = list(what) if isinstance(what, (list, tuple)) else [what]
        if not parts or not all(isinstance(one, (System, Component)) for one in parts):
            raise UsageError(f"capture({shorten(what)}): give a component, several, or a system")
        if memory < BATCH:
            raise UsageError(f"memory={memory!r}: give a number of bytes, {BATCH} or more")
        self.file = os.fspath(file)
        """The path of the file."""
        self.messages = 0
        """Messages that were kept; one that passed several boxes at once counts once."""
        self.refused: dict[str, int] = {}
        """Messages that could not be kept, by their type."""
        self.lost = 0
        """Messages that were left out as they came too fast for the disk, or after that has failed."""
        self.failure: OSError | None = None
        """Why the file could not be written, if so."""
        self.closed = False
        """Whether it has ended."""
        self._boxes = (boxes,) if isinstance(boxes, str) else tuple(boxes)
        self._values = Values(types, pickle)
        self._memory = memory
        self._begun: int | None = None  # nanoseconds, on the clock of the system
        self._now = 0  # nanoseconds since then, at the last message
        self._numbers: dict[str, int] = {}  # of boxes, by their paths
        self._paths: dict[Any, str] = {}  # of boxes that have not ended
        self._lost_here = 0  # since the last line that said so
        # A message that may pass other boxes at once, with those that it has passed and their numbers; and
        # what is to be written of it, if it is not left out.
        self._last: tuple[Any, float, dict[str, int], dict[str, Any] | None, bytes | None] | None = None
        self._is_settling = False
        self._gathered = bytearray()
        self._lock = threading.Lock()
        self._there_is_some = threading.Event()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        self._surveys: list[Survey] = []
        self._awaited = len(parts)
        self._system: System | None = None
        self._opened: BinaryIO = open(self.file, "wb", buffering=0)  # noqa: SIM115  # until `close`
        try:
            for one in parts:
                self._join(one)
        except BaseException:
            self.close()
            raise

    def _join(self, what: System | Component) -> None:
        system = what if isinstance(what, System) else what._axon.system
        process = places.process_of(what)
        if system is None:
            assert isinstance(what, Component)
            when_started(what, lambda system: self._begin(system, what))
        elif process.state == "ended":
            raise UsageError(f"{what} has ended, so nothing will pass there")
        else:
            _on_its_thread(system, lambda: self._begin(system, what))

    def _begin(self, system: System, what: System | Component) -> None:
        """Begin, on the thread of the system."""
        if self.closed:
            return
        if self._begun is None:
            self._write_header(system)
        elif self._system is not system:
            raise UsageError("capture(...): what is captured together has to run in one system")
        self._surveys.append(
            Survey(
                places.process_of(what),
                system.scheduler,
                self._record,
                boxes=self._boxes,
                on_box_end=self._box_over,
                on_end=self._one_has_ended,
            )
        )

    def _write_header(self, system: System) -> None:
        loop = system.loop
        is_virtual = hasattr(loop, "clock")
        self._system = system
        self._begun = round(loop.time() * 1e9)
        self._gathered += line(
            {
                "kamaelia_capture": VERSION,
                "program": os.path.basename(sys.argv[0] or "python"),
                "seed": str(system.seed),
                "core": describe_core(loop),
                "calendar": calendar_of(loop),
                "virtual": is_virtual,
            }
        )
        system.at_end(self.close)
        if not is_virtual:
            self._thread = threading.Thread(target=self._work, name=f"capture {self.file}", daemon=True)
            self._thread.start()
        self._there_is_some.set()

    # -- what passes ----------------------------------------------------------------------------------

    def _record(self, seen: Tapped) -> None:
        last = self._last
        path = self._paths.get(seen.place)
        if path is None:
            path = self._paths[seen.place] = str(seen.place)
        if last is not None and last[0] is seen.message and last[1] == seen.time and path not in last[2]:
            last[2][path] = 0 if last[3] is None else self._number_of(seen.place, path)
            return
        self._finish_last()
        now = self._since(seen.time)
        values: dict[str, Any] = {"t": now, "at": []}
        payload: bytes | None = None
        try:
            kind, payload = self._values.write(seen.message)
            values["kind"] = kind
        except Refused as refused:
            name = _name(type(seen.message))
            self.refused[name] = self.refused.get(name, 0) + 1
            values |= {"kind": "refused", "type": name[:MOST_WHY], "why": str(refused)[:MOST_WHY]}
        if len(self._gathered) + len(payload or b"") > self._memory or self.failure is not None:
            self.lost += 1
            self._lost_here += 1
            self._last = (seen.message, seen.time, {path: 0}, None, None)
            return
        if payload is not None:
            self.messages += 1
        self._last = (seen.message, seen.time, {path: self._number_of(seen.place, path)}, values, payload)
        if self._thread is not None and not self._is_settling:
            assert self._system is not None
            self._is_settling = True
            self._system.scheduler.call_soon(self._settle)
        elif len(self._gathered) >= BATCH:
            self._write()

    def _settle(self) -> None:
        """Who has sent is done with it: what was told last is written even if nothing comes after it."""
        self._is_settling = False
        self._finish_last()
        self._there_is_some.set()

    def _since(self, time: float) -> int:
        assert self._begun is not None
        self._now = max(self._now, round(time * 1e9) - self._begun)  # it never goes back
        return self._now

    def _number_of(self, box: Any, path: str) -> int:
        number = self._numbers.get(path)
        if number is None:
            number = self._numbers[path] = len(self._numbers) + 1
            direction = "in" if box.is_inbox else "out"
            self._gather(line({"box": number, "path": path, "direction": direction}))
        return number

    def _gather(self, text: bytes) -> None:
        with self._lock:
            self._gathered += text

    def _finish_last(self) -> None:
        """What was told last passes no other box at once: gather it."""
        last, self._last = self._last, None
        if last is not None and last[3] is not None:
            _, _, numbers, values, payload = last
            assert values is not None
            if self._lost_here:
                self._tell_of_losses(values["t"])
            at = ",".join(map(str, numbers.values()))
            if payload is None:
                self._gather(line({**values, "at": list(numbers.values())}))
            else:  # as `line` would write it, in a third of the time
                head = f'{{"t":{values["t"]},"at":[{at}],"kind":"{values["kind"]}","size":{len(payload)}}}\n'
                self._gather(b"%b%b\n" % (head.encode(), payload))

    def _tell_of_losses(self, now: int) -> None:
        self._gather(line({"t": now, "lost": self._lost_here}))
        self._lost_here = 0

    def _box_over(self, box: Box[Any], failure: BaseException | None) -> None:
        number = self._numbers.get(self._paths.pop(box, ""))
        if number is None or len(self._gathered) > 2 * self._memory:  # nothing has passed there; or too much
            return
        assert self._system is not None
        self._finish_last()
        now = self._since(self._system.loop.time())
        if self._lost_here:
            self._tell_of_losses(now)
        failed = None if failure is None else _on_one_line(failure)
        self._gather(line({"t": now, "end": number, "failed": failed}))
        self._there_is_some.set()

    # -- the disk -------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._is_over.is_set():
            self._there_is_some.wait()
            if len(self._gathered) < BATCH:
                self._is_over.wait(PAUSE)
            self._there_is_some.clear()
            self._write()
        self._write()

    def _write(self) -> None:
        with self._lock:
            taken, self._gathered = self._gathered, bytearray()
        if self.failure is not None:
            return
        view = memoryview(taken)
        try:
            while view:
                view = view[self._opened.write(view[:BATCH]) :]
        except OSError as error:
            self.failure = error
            log.error("%s: cannot write any more, and the capture ends here: %s", self.file, error)

    # -- the end --------------------------------------------------------------------------------------

    def _one_has_ended(self) -> None:
        self._awaited -= 1
        if self._awaited <= 0:
            self.close()

    def close(self) -> None:
        """End the capture; when it returns, all is in the file. From any thread; twice is harmless."""
        if self.closed:
            return
        system = self._system
        if system is not None and get_ident() != system.scheduler.thread and not system.is_over:
            try:
                _on_its_thread(system, self.close)
            except ClosedBox:
                pass  # it has ended meanwhile, and has closed this
            return
        self.closed = True
        surveys, self._surveys = self._surveys, []
        for one in surveys:
            one.close()
        if system is not None:
            self._finish_last()
            now = self._since(system.loop.time())
            if self._lost_here:
                self._tell_of_losses(now)
            counts = {"messages": self.messages, "refused": sum(self.refused.values()), "lost": self.lost}
            self._gather(line({"t": now, "over": counts}))
        self._is_over.set()
        if self._thread is None:
            self._write()
        else:
            self._there_is_some.set()
            self._thread.join(PATIENCE)
            if self._thread.is_alive():
                log.error("%s: the disk is stuck, and what is left is not written", self.file)
                return
        self._opened.close()
        if self.lost or self.refused:
            log.warning("%s", self)

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        opened = getattr(self, "_opened", None)
        if opened is not None and self._thread is None:
            opened.close()

    def __str__(self) -> str:
        text = f"{self.file}: {self.messages} messages"
        if self.refused:
            named = ", ".join(f"{count} of {name}" for name, count in sorted(self.refused.items())[:5])
            text += f"; not kept: {named}"
        return text + (f"; left out: {self.lost}" if self.lost else "")

    def __repr__(self) -> str:
        return f"<Capture {self}>"


def _on_its_thread(system: System, what: Callable[[], None]) -> None:
    if get_ident() == system.scheduler.thread:
        what()
        return

    async def do() -> None:
        what()

    system.scheduler.ask(do())


__all__ = ["Capture", "capture"]
