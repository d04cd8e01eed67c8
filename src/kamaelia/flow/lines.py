"""From the wire to lines of text.

A stream comes in chunks that have nothing to do with its lines. `LineDecoder` is the pure part, bytes in
and lines out; `Lines` is the component around it.
"""

from __future__ import annotations

import codecs
from typing import Final, Literal

from kamaelia.axon import Component, Inbox, Outbox, RemoteProtocolError
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten

LONGEST: Final = 65536  # bytes; SMTP allows 1000, IRC 8191, and no text for people needs more than this

TooLong = Literal["refuse", "cut"]


class LineDecoder:
    r"""Lines of text out of chunks of bytes; pure, so it can be used anywhere.

    A line ends with ``\n`` or ``\r\n``, which is not part of it. However the bytes are divided into chunks,
    the lines are the same. It never holds more than one chunk and one longest line.

    Arguments are those of `Lines`.

    Example:
        >>> decoder = LineDecoder()
        >>> decoder.feed(b"one\r\ntw")
        >>> decoder.next_line(), decoder.next_line()
        ('one', None)
        >>> decoder.feed(b"o")
        >>> decoder.end()
        >>> decoder.next_line(), decoder.next_line()
        ('two', None)
    """

    def __init__(
        self,
        encoding: str = "utf-8",
        errors: str = "replace",
        longest: int = LONGEST,
        too_long: TooLong = "refuse",
    ) -> None:
        if "\n".encode(encoding) != b"\n":
            raise ValueError(
                f"encoding={encoding!r}: its line ends are not the byte 10, "
                "so lines cannot be told apart before decoding"
            )
        codecs.lookup_error(errors)
        check_whole(f"longest={shorten(longest)}", longest, "the bytes of the longest line", 1)
        if too_long not in ("refuse", "cut"):
            raise ValueError(f"too_long={too_long!r}: say 'refuse' or 'cut'")
        self.encoding = encoding
        # Whether lines can be decoded together: others may shift in and out of something.
        self._is_plain = codecs.lookup(encoding).name in ("utf-8", "ascii", "iso8859-1")
        self.errors = errors
        self.longest = longest
        self.too_long = too_long
        self.replaced = 0
        """Lines in which bytes could not be decoded and were replaced."""
        self.cut = 0
        """Lines that were too long and were cut."""
        self._bytes = bytearray()  # what has come and has not gone out as a line
        self._searched = 0  # so many of them are known to contain no line end
        self._cutting: bytes | None = None  # the beginning of a line that is too long, until its end comes
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Add a chunk. Ask for its lines, with `next_line`, before the next chunk."""
        self._bytes += data

    def end(self) -> None:
        """Say that no more will come, so that what is left is the last line."""
        self._ended = True

    def easy_lines(self) -> list[str]:
        """Return the complete lines that there are, if none of them is too long or cannot be decoded.

        It is what `next_line` would return one by one, and much faster. If there is anything to be said about
        a line, none is returned, and `next_line` says it.
        """
        end = self._bytes.rfind(b"\n", self._searched)
        if end < 0 or self._cutting is not None or not self._is_plain:
            return []
        whole = bytes(self._bytes[:end])
        if end > self.longest and max(map(len, whole.split(b"\n"))) > self.longest:
            return []
        try:
            text = whole.decode(self.encoding)
        except UnicodeDecodeError:
            return []
        del self._bytes[: end + 1]
        self._searched = 0
        lines = text.split("\n")
        return [line.removesuffix("\r") for line in lines] if "\r" in text else lines

    def next_line(self) -> str | None:
        """Return the next line, or None when none is complete.

        Raises `RemoteProtocolError` for a line that is too long (unless these are cut) and, with
        ``errors="strict"``, for bytes that cannot be decoded.
        """
        end = self._bytes.find(b"\n", self._searched)
        if end >= 0:
            return self._finish(self._remove(end, end + 1).removesuffix(b"\r"))
        self._searched = len(self._bytes)
        if self._ended and (self._bytes or self._cutting is not None):
            return self._finish(self._remove(len(self._bytes), len(self._bytes)))
        # One more than the longest may still turn out to be a line that fits, with the first half of its end.
        if self._cutting is not None or len(self._bytes.removesuffix(b"\r")) > self.longest:
            self._drop()
        return None

    def _remove(self, end: int, upto: int) -> bytes:
        line = bytes(self._bytes[:end])
        del self._bytes[:upto]
        self._searched = 0
        return line

    def _drop(self) -> None:
        """Keep the beginning of a line that is too long already, and nothing else."""
        if self._cutting is None:
            self._cutting = self._refuse_or_cut(bytes(self._bytes))
        self._bytes.clear()
        self._searched = 0

    def _finish(self, line: bytes) -> str:
        if self._cutting is not None:
            line, self._cutting = self._cutting, None
        elif len(line) > self.longest:
            line = self._refuse_or_cut(line)
        else:
            return self._decode(line, final=True)
        self.cut += 1
        return self._decode(line, final=False)  # the cut may have gone through a character: leave that out

    def _refuse_or_cut(self, line: bytes) -> bytes:
        if self.too_long == "refuse":
            raise RemoteProtocolError(
                f"a line has more than longest={self.longest} bytes; it begins with {shorten(line[:40])}. "
                "Allow more with Lines(longest=...), or cut such lines with Lines(too_long='cut')"
            )
        return line[: self.longest]

    def _decode(self, line: bytes, *, final: bool) -> str:
        try:
            return self._decode_with("strict", line, final)
        except UnicodeDecodeError as error:
            if self.errors == "strict":
                raise RemoteProtocolError(
                    f"a line is not {self.encoding}: {error.reason} at byte {error.start} of "
                    f"{shorten(line)}. Take such lines all the same with Lines(errors='replace')"
                ) from error
            self.replaced += 1
            return self._decode_with(self.errors, line, final)

    def _decode_with(self, errors: str, line: bytes, final: bool) -> str:
        if final:
            return line.decode(self.encoding, errors)
        return codecs.getincrementaldecoder(self.encoding)(errors).decode(line, False)


class Lines(Component):
    r"""Turn a stream of bytes into lines of text.

    Inbox: ``inbox``, bytes, divided in any way. Outbox: ``outbox``, str, one message for each line, without
    its ``\n`` or ``\r\n``. What is left at the end is a line too. `Encode` is the way back.

    A line that is too long is refused: the component fails with `RemoteProtocolError`. In a server that
    ends this one connection, and is logged and counted there. It never keeps more than that in memory.

    Arguments:
        encoding: of the bytes; one that leaves ``\n`` as it is, such as UTF-8 and the ISO 8859 family
        errors: what to do about bytes that cannot be decoded, as Python calls it. With ``"replace"`` they
            become U+FFFD, and `replaced` counts the lines; with ``"strict"`` they are refused.
        longest: bytes of the longest line that is taken, without its end
        too_long: ``"refuse"`` a longer line, or ``"cut"`` it, and count it in `cut`

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Lines, Source
        >>> run(Source([b"one\r\ntw", b"o\nthree"]) | Lines() | Collect())
        ['one', 'two', 'three']
    """

    inbox = Inbox[bytes]("a stream of bytes", size="64 KiB")
    outbox = Outbox[str]("its lines, without their ends")

    def __init__(
        self,
        encoding: str = "utf-8",
        errors: str = "replace",
        longest: int = LONGEST,
        too_long: TooLong = "refuse",
    ) -> None:
        self._decoder = LineDecoder(encoding, errors, longest, too_long)

    @property
    def replaced(self) -> int:
        """Lines in which bytes could not be decoded and were replaced."""
        return self._decoder.replaced

    @property
    def cut(self) -> int:
        """Lines that were too long and were cut."""
        return self._decoder.cut

    async def main(self) -> None:
        async for data in self.inbox:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(
                    f"{self.path}: Lines takes bytes, but got {shorten(data)}; put Encode() before it"
                )
            self._decoder.feed(data)
            await self._send_lines()
        self._decoder.end()
        await self._send_lines()

    async def _send_lines(self) -> None:
        for easy in self._decoder.easy_lines():
            await self.outbox.send(easy)
        try:
            while (line := self._decoder.next_line()) is not None:
                await self.outbox.send(line)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{self.path}: {error}") from error.__cause__


__all__ = ["LineDecoder", "Lines"]
