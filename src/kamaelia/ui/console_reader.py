"""What somebody types."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import itertools
import logging
import sys
import weakref
from collections.abc import Iterable, Iterator
from typing import IO, Any

from kamaelia.axon import Component, Inbox, Outbox, UsageError, VirtualLoop
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten
from kamaelia.flow.lines import LONGEST, LineDecoder

from . import keyboard
from .keyboard import News

log = logging.getLogger("kamaelia")

PAUSE = 0.05  # seconds of silence after a line before the next prompt, for an answer to come before it

_numbers = itertools.count()  # what was made, or has ended, before what
# Streams that are being read, files by their descriptors, and the paths of who reads.
_taken: dict[tuple[str, int], str] = {}
# Streams that somebody has read, in which system, until when, and the path of who it was: what is all there
# at once has been read before a second reader, deeper in the system, has even begun.
_was_read: weakref.WeakKeyDictionary[Any, tuple[weakref.ref[Any], int, str]] = weakref.WeakKeyDictionary()


class ConsoleReader(Component):
    r"""Send the lines that are typed, or come in a pipe or file, on standard input.

    Outbox: ``outbox``, str, one message for each line, without its ``\n`` or ``\r\n``. There is no inbox. The
    end of the input (in a terminal, Ctrl-D) is its end, and what is left without a line end is a line too. It
    also ends when nobody listens any more and, at a stop of the system, after the lines that it has read.

    It never holds up the system, nor its end: also while nobody types, the process is gone at once. No more
    than 128 KiB is read ahead of its readers. What other code, such as ``input()``, has
    read into the buffer of the stream before is not seen. A process without standard input has an empty one.

    Bytes that cannot be decoded become U+FFFD. A line of more than ``longest`` bytes is cut, which is
    logged once, and counted in `cut`. An error of the stream is a failure. Two readers of one stream would
    take the lines from each other, so the second fails with `UsageError`.

    Arguments:
        prompt: shown on standard output before each line, if the input is a terminal
        stream: what to read instead of standard input: a file of text or bytes, or an iterable of lines. In
            virtual time any stream is read at once, and the clock stands still meanwhile.
        longest: bytes of the longest line that is sent whole

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect
        >>> from kamaelia.ui import ConsoleReader
        >>> run(ConsoleReader(stream=["one\n", "two\n"]) | Collect())
        ['one', 'two']
    """

    inbox = None
    outbox = Outbox[str]("the lines, without their ends")

    def __init__(
        self,
        prompt: str = "",
        stream: IO[str] | IO[bytes] | Iterable[str] | Iterable[bytes] | None = None,
        longest: int = LONGEST,
    ) -> None:
        given: Any = stream
        if isinstance(given, (str, bytes)) or not (given is None or isinstance(given, Iterable)):
            raise TypeError(f"ConsoleReader(stream={shorten(stream)}): give an open file, or a list of lines")
        what = f"ConsoleReader(longest={shorten(longest)})"
        check_whole(what, longest, "the bytes of the longest line", 1)
        self.prompt = prompt
        self.stream = stream
        self.longest = longest
        self._decoder: LineDecoder | None = None
        self._warned = False
        self._number = next(_numbers)

    @property
    def cut(self) -> int:
        """Lines that were too long and were cut."""
        return 0 if self._decoder is None else self._decoder.cut

    async def main(self) -> None:
        stream: Any = sys.stdin if self.stream is None else self.stream
        if stream is None or getattr(stream, "closed", False):
            return
        raw = keyboard.raw_of(stream)
        encoding = getattr(stream, "encoding", None) or "utf-8"
        decoder = self._decoder = LineDecoder(
            encoding if raw is not None else "utf-8", longest=self.longest, too_long="cut"
        )
        with self._alone(raw, stream):
            if raw is None:
                await self._read_at_once(_chunks_of(stream), decoder)
            elif keyboard.is_regular(raw) or isinstance(asyncio.get_running_loop(), VirtualLoop):
                await self._read_at_once(iter(lambda: _bytes(keyboard.read(raw)), b""), decoder)
            else:
                await self._read_as_it_comes(raw, decoder)

    @contextlib.contextmanager
    def _alone(self, raw: io.RawIOBase | None, stream: Any) -> Iterator[None]:
        """Refuse a second reader of one stream. One that is made when the first is over is no second."""
        if raw is not None:
            stream, key = raw, ("descriptor", raw.fileno())
        elif iter(stream) is stream:  # from an iterator, too, each takes what the other would have had
            key = ("object", id(stream))
        else:
            yield
            return
        system = weakref.ref(self.system)
        other = _taken.get(key)
        try:
            where, when, who = _was_read[stream]
            if where == system and when > self._number:
                other = other or who
        except (KeyError, TypeError):  # nobody, or nobody can know: not every iterator can be remembered
            pass
        if other is not None:
            raise UsageError(
                f"{self.path}: this stream is read by {other} already. Let one read, and "
                "link it to all who want the lines, or publish them: ConsoleReader() | PublishTo('lines')"
            )
        _taken[key] = self.path
        try:
            yield
        finally:
            del _taken[key]
            with contextlib.suppress(TypeError):
                _was_read[stream] = system, next(_numbers), self.path

    async def _read_at_once(self, chunks: Iterator[bytes], decoder: LineDecoder) -> None:
        for chunk in chunks:
            decoder.feed(chunk)
            await self._send_lines(decoder)
        decoder.end()
        await self._send_lines(decoder)

    async def _read_as_it_comes(self, raw: io.RawIOBase, decoder: LineDecoder) -> None:
        # A box of its own, linked to nothing, is what it waits on: so a stop ends the wait, and so it does
        # when nobody listens any more. Room for a single chunk is the back-pressure.
        box = self.add_box("_typed", Inbox[News]("what has been typed", size=1, held=True))
        hold = box.hold(outside=True)
        box.release()  # the hold from outside has taken its place
        loop = self.get_loop()
        waiting: keyboard.Waiting | None = None

        def deliver(news: News) -> None:
            hold.send(news)
            if news and isinstance(news, bytes):
                hold.when_ready(ask)

        def ask() -> None:
            if waiting is not None and not hold.released:
                waiting.ask()

        try:
            waiting = keyboard.Watched(raw, loop, deliver)
        except (NotImplementedError, OSError):
            waiting = keyboard.Threaded(raw, loop, deliver)
        hold.on_release = waiting.forget
        try:
            await self._send_what_comes(box, decoder, prompted=bool(self.prompt) and raw.isatty())
        finally:
            hold.release()

    async def _send_what_comes(self, box: Inbox[News], decoder: LineDecoder, prompted: bool) -> None:
        pause = 0.0
        while True:
            # At a stop this raises EndOfMessages, which ends it; half a line, of which nobody knows how it
            # was to go on, is then not sent.
            chunk = _bytes(await (self._prompt(box, pause) if prompted else box.receive()))
            if not chunk:
                break
            decoder.feed(chunk)
            await self._send_lines(decoder)
            pause = PAUSE
        decoder.end()
        await self._send_lines(decoder)

    async def _prompt(self, box: Inbox[News], pause: float) -> News:
        """Show the prompt when nothing comes for a moment, and wait."""
        try:
            return await box.receive(timeout=pause)
        except TimeoutError:
            pass
        try:
            print(self.prompt, end="", flush=True)
        except (OSError, ValueError):  # nobody sees it; whoever prints what matters will say so
            pass
        return await box.receive()

    async def _send_lines(self, decoder: LineDecoder) -> None:
        while (line := decoder.next_line()) is not None:
            if decoder.cut and not self._warned:
                self._warned = True
                log.warning(
                    "%s cuts lines of more than %s bytes: allow more with longest=", self.path, self.longest
                )
            await self.outbox.send(line)


def _bytes(news: News | None) -> bytes:
    """Return what has been read; the terminal's hanging up is its end, other errors are raised."""
    if isinstance(news, OSError):
        if news.errno == errno.EIO:
            return b""
        raise news
    return news or b""


def _chunks_of(lines: Iterable[Any]) -> Iterator[bytes]:
    for line in lines:
        if isinstance(line, str):
            line = line.encode(errors="replace")
        elif not isinstance(line, (bytes, bytearray, memoryview)):
            raise TypeError(f"a stream of lines gives str or bytes, not {shorten(line)}")
        yield bytes(line).removesuffix(b"\n") + b"\n"


__all__ = ["ConsoleReader"]
