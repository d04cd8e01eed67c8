"""Playing a capture again: the messages of one of its boxes, at the same distances in time.

The file is read as it is needed, some kilobytes at a time, on the loop's own thread: so time stands still
meanwhile where it is virtual, and each message is sent exactly at its time. When the readers are slower than
those of the capture were, it waits for them, and then goes on as soon as it can.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any, Literal

from kamaelia.axon import Component, Outbox, UsageError, sleep
from kamaelia.axon.errors import suggestion
from kamaelia.axon.here import clock

from .capture_file import CaptureError, CaptureFile, read_capture

log = logging.getLogger("kamaelia")

SHOWN = 10  # boxes that an error names


def replay(
    file: str | os.PathLike[str],
    box: str | None = None,
    *,
    speed: float | None = 1.0,
    begin: float | None = 0.0,
    types: Iterable[type] = (),
    trust: bool = False,
    gaps: Literal["fail", "skip"] = "fail",
) -> Replay:
    """Return a part that sends again what passed a box; arguments are those of `Replay`.

    Example:
        ``run(replay("talk.capture", "TCPServer/client-1.inbox") | Lines() | Collect())``
    """
    return Replay(file, box, speed=speed, begin=begin, types=types, trust=trust, gaps=gaps)


class Replay(Component):
    """Send what passed a box, as `capture` has kept it, at the same distances in time.

    Outbox: ``outbox``, the messages. There is no inbox. It ends when the box had ended, or with the capture;
    where the box had failed, readers get `SourceFailed`.

    It fails with `CaptureError` for a file that is no capture, or is damaged. One that was torn, as its
    program was killed, is played up to the tear, and that is logged.

    Arguments:
        file: the path of the capture
        box: which, as ``path.box`` or a pattern in the manner of file names that only one box fits; may be
            left out if there is only one
        speed: 2 is twice as fast as it was, 0.5 half as fast; None as fast as the readers can take it
        begin: with which second of the capture it begins; None for the first message, at once
        types: classes that the messages may be of, as `capture` was given them
        trust: whether what was pickled is read; that may run any code of whoever wrote the file
        gaps: what to do where a message is missing, as it could not be kept or came too fast for the disk:
            ``"fail"``, or ``"skip"`` it, and count it in ``skipped``

    Example:
        >>> import os, tempfile
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.observe import Replay, capture
        >>> path = os.path.join(tempfile.mkdtemp(), "row.capture")
        >>> row = Source([1, 2, 3]) | Map(lambda number: number * number) | Collect()
        >>> with capture(row, path, boxes="*/Map.*"):
        ...     run(row)
        [1, 4, 9]
        >>> run(Replay(path, "*/Map.inbox") | Map(str) | Collect())
        ['1', '2', '3']
    """

    inbox = None
    outbox = Outbox[Any]("the messages")

    def __init__(
        self,
        file: str | os.PathLike[str],
        box: str | None = None,
        *,
        speed: float | None = 1.0,
        begin: float | None = 0.0,
        types: Iterable[type] = (),
        trust: bool = False,
        gaps: Literal["fail", "skip"] = "fail",
    ) -> None:
        if speed is not None and not (isfinite(speed) and speed > 0):
            raise UsageError(
                f"Replay(speed={speed!r}): give a number above 0, or None for as fast as possible"
            )
        if begin is not None and not (isfinite(begin) and begin >= 0):
            raise UsageError(f"Replay(begin={begin!r}): give a number of seconds, 0 or more, or None")
        if gaps not in ("fail", "skip"):
            raise UsageError(f"Replay(gaps={gaps!r}): {suggestion(str(gaps), ['fail', 'skip'])}")
        self.file = os.fspath(file)
        self.skipped = 0
        """Messages that are missing in the file."""
        self._box = box
        self._speed = speed
        self._begin = begin
        self._types = tuple(types)
        self._trust = trust
        self._gaps = gaps

    async def main(self) -> None:
        opened = read_capture(self.file, types=self._types, trust=self._trust)
        box = _find_box(opened, self._box)
        start = round(clock() * 1e9)
        begin = None if self._begin is None else round(self._begin * 1e9)
        end: dict[str, Any] | None = None  # another may take the place of one that has ended
        for one in _about(opened, box):
            if begin is None and "at" in one:
                begin = one["t"]
            early = begin is None or one["t"] < begin
            if (early and "at" in one) or (end is not None and "at" not in one):
                continue
            if not early and self._speed is not None:
                await self._wait_until(start + round((one["t"] - begin) / self._speed))
            end = one if "end" in one else None
            if "lost" in one or one.get("kind") == "refused":
                self._miss(opened, one)
            elif "at" in one:
                await self.outbox.send(opened.message_of(one))
        if end is not None and end.get("failed") is not None:
            self.outbox.close(CaptureError(f"{box} had failed: {end['failed']}"))
        if not opened.is_whole:
            log.warning("%s: %s is torn, and was played up to the tear", self.path, self.file)

    async def _wait_until(self, when: int) -> None:
        left = when - round(clock() * 1e9)
        if left > 0:
            await sleep(left / 1e9)

    def _miss(self, opened: CaptureFile, one: dict[str, Any]) -> None:
        count = one.get("lost", 1)
        if self._gaps == "skip":
            self.skipped += count
        elif "lost" in one:
            raise CaptureError(
                f"{self.file}: {count} messages are missing at {one['t'] / 1e9:g} s, as they came too fast "
                "for the disk; gaps='skip' goes on without them"
            )
        else:
            try:
                opened.message_of(one)
            except CaptureError as error:
                raise CaptureError(f"{error}; gaps='skip' goes on without it") from None


def _about(opened: CaptureFile, box: str) -> Iterator[dict[str, Any]]:
    """Yield what concerns a box."""
    for one, boxes in opened.lines():
        if (("at" in one or "end" in one) and box in boxes) or "lost" in one or "over" in one:
            yield one


def _find_box(opened: CaptureFile, wanted: str | None) -> str:
    """Return the one box that is meant. Raises `CaptureError`."""
    found = list(opened.boxes())
    if wanted in found:
        assert wanted is not None
        return wanted
    fitting = found if wanted is None else [one for one in found if fnmatchcase(one, wanted)]
    if len(fitting) == 1:
        return fitting[0]
    if not found:
        raise CaptureError(f"{opened.path}: nothing has passed any box")
    if not fitting:
        raise CaptureError(f"{opened.path}: no box {wanted!r}: {_listed(found)} are there")
    asked = "which box?" if wanted is None else f"several boxes fit {wanted!r}:"
    raise CaptureError(f"{opened.path}: {asked} {_listed(fitting)}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


__all__ = ["Replay", "replay"]
