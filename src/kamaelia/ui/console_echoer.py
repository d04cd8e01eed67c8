"""Printing what arrives."""

from __future__ import annotations

import codecs
from typing import Any, TextIO

from kamaelia.axon import Component, EndOfMessages, Inbox, Outbox, SourceFailed, WouldBlock

from .screen import Screen

BATCH = 100  # messages that are printed in one go


class ConsoleEchoer(Component):
    r"""Print what arrives.

    Inbox: ``inbox``, anything: str as it is, bytes as UTF-8 (what is not becomes U+FFFD), the rest as
    `str` shows it. Outbox: ``outbox``, with ``forward=True`` the same messages once they are printed;
    nobody need listen.

    Like ``cat`` it writes what it gets, also the sequences that a terminal obeys (colours, but from strangers
    perhaps worse); `Ticker` writes those out. What has arrived by the time that it prints is written and
    flushed together. Characters that the stream
    cannot encode are written as ``\u20ac``. Printing blocks, as `print` does: a terminal that is held with
    Ctrl-S holds up the whole system.

    When nobody reads the stream any more, as after ``| head``, it fails with `BrokenPipeError`. Other
    errors of the stream (a full disk) are failures too. In a process without standard output it prints
    nothing.

    Arguments:
        end: what comes after each message. With ``end=""``, for a stream of bytes in chunks, a character
            may be divided between two messages.
        forward: send the messages on
        stream: a text stream to print to, instead of standard output

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Source
        >>> from kamaelia.ui import ConsoleEchoer
        >>> run(Source(["one", b"two", 3]) | ConsoleEchoer())
        one
        two
        3
    """

    inbox = Inbox[Any]("what to print")
    outbox = Outbox[Any]("the same, once it is printed (with forward=True)", optional=True)

    def __init__(self, end: str = "\n", forward: bool = False, stream: TextIO | None = None) -> None:
        self.end = end
        self.forward = forward
        self.stream = stream

    async def main(self) -> None:
        screen = Screen(self.stream, self.path)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            async for message in self.inbox:
                batch = [message, *self._what_else_is_there()]
                screen.write("".join(self._text(one, decoder) for one in batch))
                if self.forward:
                    for one in batch:
                        await self.outbox.send(one)
        except SourceFailed:
            screen.write(decoder.decode(b"", final=True))
            raise
        screen.write(decoder.decode(b"", final=True))

    def _what_else_is_there(self) -> list[Any]:
        more: list[Any] = []
        try:
            while len(more) < BATCH - 1:
                more.append(self.inbox.receive_nowait())
        except (WouldBlock, EndOfMessages, SourceFailed):  # an end is met again at the next message
            pass
        return more

    def _text(self, message: Any, decoder: codecs.IncrementalDecoder) -> str:
        if isinstance(message, (bytes, bytearray, memoryview)):
            # A text between ends is complete, whatever its last byte says.
            return decoder.decode(bytes(message), final=bool(self.end)) + self.end
        return decoder.decode(b"", final=True) + str(message) + self.end


__all__ = ["ConsoleEchoer"]
