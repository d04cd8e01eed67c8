"""Words on a screen, at the speed of reading."""

from __future__ import annotations

import shutil
import unicodedata
from typing import Any, Final, TextIO

from kamaelia.axon import Cancelled, Component, Inbox, Outbox, clock, sleep
from kamaelia.axon.arguments import check_positive, check_whole
from kamaelia.axon.clock import ROUNDING
from kamaelia.axon.errors import shorten

from .screen import Screen, printable

READING_SPEED: Final = 240.0  # words per minute: what adults read silently, in most studies
LOOK_UP = 1.0  # seconds after which even the slowest ticker sees that the system is being stopped


class Ticker(Component):
    r"""Show text word by word, at reading speed.

    Inbox: ``inbox``, text: str, bytes as UTF-8 (what is not becomes U+FFFD), the rest as `str` shows it.
    Each message is a paragraph, which begins on a line of its own; white space in it only divides words.
    Control characters, such as those that a terminal obeys, are written out as ``\x1b``.
    Outbox: ``outbox``, the same messages, each when its last word is shown; nobody need listen.

    The first word appears at once, and each further one, also of the next paragraph, ``60 /
    words_per_minute`` seconds after the one before. These times do not drift. Who sends is held back when
    the inbox is full.

    When the inbox has ended it shows the text to its end, at its speed. When the system is stopped it
    hurries: what there is is shown at once. When nobody reads the stream any more it fails with
    `BrokenPipeError`.

    Arguments:
        words_per_minute: the speed
        width: columns of a line; a word that would go beyond begins a new one. By default those of the
            terminal, as it is at the time, and none where the text goes elsewhere: there a paragraph is
            one line.
        stream: a text stream to write to, instead of standard output

    Example:
        >>> from kamaelia.axon import VirtualLoop, run
        >>> from kamaelia.flow import Source
        >>> from kamaelia.ui import Ticker
        >>> text = ["To be, or not to be:", "that is the question."]
        >>> run(Source(text) | Ticker(width=12), loop_factory=VirtualLoop)  # without the waiting
        To be, or
        not to be:
        that is the
        question.
    """

    inbox = Inbox[Any]("paragraphs of text")
    outbox = Outbox[Any]("the same, each when it has been shown", optional=True)

    def __init__(
        self,
        words_per_minute: float = READING_SPEED,
        width: int | None = None,
        stream: TextIO | None = None,
    ) -> None:
        what = f"Ticker(words_per_minute={shorten(words_per_minute)})"
        check_positive(what, words_per_minute, "how many words to show in a minute")
        if width is not None:
            check_whole(f"Ticker(width={shorten(width)})", width, "the columns of a line", 1)
        self.words_per_minute = words_per_minute
        self.width = width
        self.stream = stream

    async def main(self) -> None:
        self._screen = Screen(self.stream, self.path)
        start, shown = clock(), 0  # since when it has gone on without a pause, and how many words that were
        async for message in self.inbox:
            if clock() > start + shown * 60 / self.words_per_minute + ROUNDING:
                start, shown = clock(), 0
            words = [printable(word) for word in _text(message).split()]
            column = 0
            stopped: Cancelled | None = None
            for word in words:
                try:
                    if stopped is None:
                        await self._wait_until(start + shown * 60 / self.words_per_minute)
                except Cancelled as error:  # a stop, in the last paragraph: show what is left of it
                    stopped = error
                column = self._show(word, column)
                shown += 1
            self._screen.write("\n")
            await self.outbox.send(message)
            if stopped is not None:
                raise stopped

    async def _wait_until(self, when: float) -> None:
        while not self.system.stopping and (seconds := when - clock()) > ROUNDING:
            await sleep(min(seconds, LOOK_UP))

    def _show(self, word: str, column: int) -> int:
        """Write a word behind others, or on a line of its own; return the column after it."""
        columns = _columns(word)
        limit = self._limit()
        if column == 0:
            self._screen.write(word)
            return columns
        if limit is not None and column + 1 + columns > limit:
            self._screen.write("\n" + word)
            return columns
        self._screen.write(" " + word)
        return column + 1 + columns

    def _limit(self) -> int | None:
        if self.width is not None:
            return self.width
        stream = self._screen.stream
        # Asked for each word, because a window may be resized in the middle of a paragraph.
        return shutil.get_terminal_size().columns if stream is not None and stream.isatty() else None


def _text(message: Any) -> str:
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message).decode(errors="replace")
    return str(message)


def _columns(word: str) -> int:
    """Return how wide a word is in a terminal: Chinese characters take two columns, accents none."""
    if word.isascii():
        return len(word)
    return sum(
        2 if unicodedata.east_asian_width(one) in "WF" else 0 if unicodedata.combining(one) else 1
        for one in word
    )


__all__ = ["Ticker"]
