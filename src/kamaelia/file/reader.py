"""What a file holds, as messages: at full speed, at a constant rate, or as it is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from numbers import Integral
from typing import Any, ParamSpec, TypeVar

from kamaelia.axon import Component, Inbox, Outbox, clock, sleep
from kamaelia.axon.clock import ROUNDING
from kamaelia.axon.errors import shorten

from .arguments import checked_path, checked_rate, checked_size
from .blocking import BlockingCalls
from .errors import FileTruncated, told
from .source import SourceFile

P = ParamSpec("P")
R = TypeVar("R")

BLOCK = 64 * 1024  # bytes
AHEAD = 256 * 1024  # bytes that one call of a thread reads at most, unless a single block is larger
SMOOTH = 50  # messages a second that a constant rate is divided into, where nobody says otherwise
LAG = 0.1  # seconds that a constant rate makes up for when it is late, by machine or reader


class FileReader(Component):
    r"""Send what a file holds, as bytes.

    Outbox: ``outbox``, bytes: blocks of ``block`` bytes, the last one shorter, or with ``lines`` a line each,
    with its end. Together they are the file as it is; for text put `Lines` behind it. There is no inbox,
    unless it is ``prompted``: ``inbox``, int, how many bytes to send next, or lines. Then nothing is sent but
    what is asked for, more bytes than ``block`` in several messages, and it ends when its inbox does.

    It ends at the end of the file, or when nobody listens any more, and at a stop where it is. A reader that
    is slow holds it back: at most 256 KiB, or one block, is read ahead. The file may be a pipe or a device,
    from which blocks come as they are written; a stop does not have to wait for those. In virtual time any
    file is read at once, and the clock stands still meanwhile, unless a simulated host has a disk of its own.

    A file that cannot be read is a failure, an `OSError` of the usual kind whose text says what to do. So is
    one that is cut shorter meanwhile (`FileTruncated`); one that is deleted or replaced is read to its end.

    With ``rate`` a message leaves when its last byte is due, as if the file came along a wire: 250 kB at
    "2 Mbit/s" take 1 s. Times are reckoned from the beginning, so they are exact. When a reader has
    held it back for more than 0.1 s, it does not make up for the time lost, but goes on at the rate.

    Arguments:
        path: of the file
        lines: a message for each line, of which one longer than ``block`` comes in pieces
        block: bytes of the longest message, as a number or as text; 64 KiB, or with ``rate`` what is due in
            0.02 s if that is less
        rate: bytes a second, or text such as ``"2 Mbit/s"`` or ``"64 kB/s"``; otherwise at full speed
        prompted: send only what is asked for

    Example:
        >>> import tempfile
        >>> from kamaelia import run
        >>> from kamaelia.file import FileReader
        >>> from kamaelia.flow import Collect, Lines, Source
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(b"one\ntwo\nthree")
        ...     file.flush()
        ...     run(FileReader(file.name) | Lines() | Collect())
        ...     run(Source([1, 5]) | FileReader(file.name, prompted=True) | Collect())
        ['one', 'two', 'three']
        [b'o', b'ne\ntw']
    """

    inbox = None
    outbox = Outbox[bytes]("what the file holds")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        lines: bool = False,
        block: int | str | None = None,
        rate: float | str | None = None,
        prompted: bool = False,
    ) -> None:
        self.file = checked_path("FileReader", path)
        if rate is not None and prompted:
            raise ValueError(
                "FileReader(rate=..., prompted=True): who asks decides how fast it is; choose one of the two"
            )
        self.rate = None if rate is None else checked_rate("FileReader: rate", rate)
        if block is not None:
            self.block = checked_size("FileReader: block", block)
        elif self.rate is not None and not lines:
            self.block = min(BLOCK, max(1, round(self.rate / SMOOTH)))
        else:
            self.block = BLOCK
        self.lines = lines
        self.prompted = prompted
        self._prompts: Inbox[int] | None = None
        if prompted:
            self._prompts = self.add_box("inbox", Inbox[int]("how many bytes or lines to send next"))
        self._source: SourceFile
        self._calls: BlockingCalls

    async def main(self) -> None:
        self._calls = BlockingCalls(self, f"read {self.file}")
        # In virtual time nothing may depend on what the machine happens to have in memory.
        self._source = SourceFile(self._calls.disk, self.file, self._calls.given_up, not self._calls.at_once)
        try:
            await self._do(self._source.open)
            if self._prompts is None:
                await self._send_all()
            elif self.lines:
                await self._answer_with_lines(self._prompts)
            else:
                await self._answer_with_bytes(self._prompts)
        finally:
            await self._calls.close(self._source.close)

    # -- all that there is --------------------------------------------------------------------------

    async def _send_all(self) -> None:
        cutter = LineCutter(self.block) if self.lines else None
        pace = None if self.rate is None else _Pace(self.rate)
        while blocks := await self._read():
            for block in blocks:
                for piece in (block,) if cutter is None else cutter.cut(block):
                    await self._send(piece, pace)
        for piece in () if cutter is None else cutter.rest():
            await self._send(piece, pace)

    async def _send(self, piece: bytes, pace: _Pace | None) -> None:
        if pace is not None:
            await pace.wait(len(piece))
        await self.outbox.send(piece)

    async def _read(self) -> list[bytes]:
        """Return the next blocks; none at the end."""
        cached = self._source.read_cached(self.block)
        if cached is not None:
            # Others have their turn, however much of the file is in memory; and what they get is still near.
            await sleep(0)
            return [cached]
        count = max(1, AHEAD // self.block) if self.rate is None else 1
        return await self._do(self._source.read_blocks, self.block, count)

    # -- what is asked for --------------------------------------------------------------------------

    async def _answer_with_bytes(self, prompts: Inbox[int]) -> None:
        async for wanted in prompts:
            missing = self._checked(wanted)
            while missing:
                size = min(missing, self.block)
                data = self._source.read_cached(size)
                if data is None:
                    data = await self._do(self._source.read_all, size)
                if data:
                    await self.outbox.send(data)
                if len(data) < size:
                    return
                missing -= size

    async def _answer_with_lines(self, prompts: Inbox[int]) -> None:
        cutter = LineCutter(self.block)
        pieces: list[bytes] = []  # that have been read and not sent, the next one last
        over = False
        async for wanted in prompts:
            missing = self._checked(wanted)
            while missing:
                if not pieces and over:
                    return
                if not pieces:
                    data = await self._do(self._source.read, self.block)
                    over = not data
                    pieces = cutter.cut(data)[::-1] if data else cutter.rest()
                    continue
                piece = pieces.pop()
                await self.outbox.send(piece)
                if piece.endswith(b"\n"):
                    missing -= 1

    def _checked(self, wanted: Any) -> int:
        what = "lines" if self.lines else "bytes"
        if not isinstance(wanted, Integral):
            raise TypeError(
                f"{self.path} takes numbers, how many {what} to send next, but got {shorten(wanted)}"
            )
        if wanted < 1:
            raise ValueError(
                f"{self.path} takes numbers, how many {what} to send next, 1 or more, but got {wanted}"
            )
        return int(wanted)

    async def _do(self, call: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await self._calls.do(call, *args, **kwargs)
        except FileTruncated as error:
            raise FileTruncated(f"{self.path}: cannot go on reading {self.file}: {error}") from None
        except OSError as error:
            raise told(error, self.path, f"cannot read {self.file}") from error


class LineCutter:
    r"""Cuts bytes at their line ends, and nothing away; longer lines into pieces of one size. Pure.

    >>> cutter = LineCutter(4)
    >>> cutter.cut(b"a\nbc"), cutter.cut(b"\nlonger"), cutter.rest()
    ([b'a\n'], [b'bc\n', b'long'], [b'er'])
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = b""

    def cut(self, data: bytes) -> list[bytes]:
        """Add bytes; return the lines, and pieces of lines, that are complete with them."""
        lines = (self._rest + data).split(b"\n")
        last = lines.pop()
        longest = self._longest
        pieces = []
        for line in lines:
            line += b"\n"
            if len(line) <= longest:
                pieces.append(line)
            else:
                pieces += [line[start : start + longest] for start in range(0, len(line), longest)]
        whole = len(last) - len(last) % longest
        pieces += [last[start : start + longest] for start in range(0, whole, longest)]
        self._rest = last[whole:]
        return pieces

    def rest(self) -> list[bytes]:
        """Return what is left at the end: a line that has none, if there is one."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class _Pace:
    """So many bytes a second, exactly."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._start = clock()  # from when on the bytes are reckoned
        self._passed = 0  # since then

    async def wait(self, cost: int) -> None:
        """Wait until the last of so many more bytes is due."""
        self._passed += cost
        due = self._start + self._passed / self._rate
        seconds = due - clock()
        if seconds > ROUNDING:
            await sleep(seconds)
        elif seconds < -LAG:
            self._start, self._passed = clock(), 0


__all__ = ["FileReader", "LineCutter"]
