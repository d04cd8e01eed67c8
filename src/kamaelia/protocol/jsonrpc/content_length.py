r"""How language servers, and some others, put JSON-RPC onto a stream: headers, an empty line, and the text.

::

    Content-Length: 38\r\n
    \r\n
    {"jsonrpc":"2.0","result":1024,"id":1}
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from kamaelia.axon import RemoteProtocolError
from kamaelia.axon.errors import shorten
from kamaelia.flow import FrameDecoder, FrameFormat

from .machine import LONGEST

HEADERS: Final = 4096  # bytes that the headers of a message may have
LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*([0-9]{1,15})[ \t]*", re.IGNORECASE)
HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*:[^\r\n\0]*")


@dataclass(frozen=True)
class ContentLength(FrameFormat):
    r"""Headers with the length of a message, then its bytes; for `Frame` and `Deframe`.

    Example:
        >>> ContentLength().frame(b"{}")
        b'Content-Length: 2\r\n\r\n{}'
    """

    longest: int = field(default=LONGEST, kw_only=True)
    """Bytes of the longest message; a longer one is refused on both sides."""

    def frame(self, message: bytes) -> bytes:
        self._check_length(len(message))
        return b"Content-Length: %d\r\n\r\n%b" % (len(message), message)

    def decoder(self) -> FrameDecoder:
        return _Decoder(self)


class _Decoder(FrameDecoder):
    def __init__(self, format: ContentLength) -> None:
        super().__init__(format)
        self._length: int | None = None  # of the message whose headers are read
        self._searched = 0

    def next_frame(self) -> bytes | None:
        if self._length is None and not self._read_headers():
            return None
        assert self._length is not None
        if len(self._bytes) < self._length:
            return None
        length, self._length = self._length, None
        return self._remove(length)

    def end(self) -> None:
        if self._length is not None:
            raise RemoteProtocolError(
                f"the stream has ended in the middle of a message: of its {self._length} bytes "
                f"{len(self._bytes)} have come"
            )
        super().end()

    def _read_headers(self) -> bool:
        end = self._bytes.find(b"\r\n\r\n", self._searched)
        if (len(self._bytes) if end < 0 else end) > HEADERS:
            raise RemoteProtocolError(
                f"the headers of a message have more than {HEADERS} bytes; they begin with "
                f"{shorten(bytes(self._bytes[:40]))}"
            )
        if end < 0:
            self._searched = max(0, len(self._bytes) - 3)
            return False
        lengths = set()
        for line in bytes(self._bytes[:end]).split(b"\r\n"):
            if not HEADER.fullmatch(line):
                raise RemoteProtocolError(f"this is no header of a message: {shorten(line)}")
            if found := LENGTH.fullmatch(line):
                lengths.add(int(found[1]))
        if len(lengths) != 1:
            raise RemoteProtocolError(
                f"the headers of a message say {'several lengths' if lengths else 'no length'}: "
                f"{shorten(bytes(self._bytes[:end]))}"
            )
        (length,) = lengths
        if length > self._format.longest:
            raise self._format._too_long(str(length))
        del self._bytes[: end + 4]
        self._searched = 0
        self._length = length
        return True


__all__ = ["ContentLength"]
