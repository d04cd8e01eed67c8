"""What has come over a connection and has not been read, and the grammar by which it is (RFC 9112).

Both machines, that of the server and that of the client, are an `Incoming`. It keeps the bytes, finds the
ends of lines in them, and reads bodies that come in chunks; how a head begins, and what sort of body follows
it, each machine knows itself. Each byte is looked at once, however small the pieces are in which it comes,
and what is wrong first is found first.

The grammar is strict, because what can be read in two ways is, by somebody on the way: lines end with CR LF,
nothing stands between a name and its colon, no line is folded, no control characters.
"""

from __future__ import annotations

import re

from kamaelia.axon.errors import LocalProtocolError, RemoteProtocolError, shorten

from .headers import Headers
from .parsers import Raw

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
FIELDS = rb"((?:" + TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+)\r\n"
"""The headers of a message, and the empty line behind them (RFC 9112, 5)."""
LENGTH = re.compile(rb"[0-9]++")
LONGEST_LENGTH = 18  # digits of a Content-Length
BODILESS = (204, 304)  # statuses of answers without a body
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t\x20-\x7e\x80-\xff]*+)?\r\n")
NOT_IN_TRAILERS = frozenset((b"host", b"content-length", b"transfer-encoding", b"trailer"))
# What may nowhere be in a line: half of a line break, and control characters.
NEVER = re.compile(rb"(?<!\r)\n|\r[^\n]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_TRAILERS = re.compile(FIELDS)
_FIELD = re.compile(rb"([^:]++):[ \t]*+([^\r]*+)\r\n")


class Incoming:
    """One side of a connection, as far as it reads.

    Arguments:
        head: bytes that a head may have, and the trailers
        fields: how many headers there may be in each
        line: bytes that the line of a chunk may have
        extensions: bytes that all extensions of the chunks of a body may have
    """

    __slots__ = (
        "_at", "_buffer", "_chunk", "_extensions", "_left", "_most_extensions", "_most_fields", "_most_head",
        "_most_line_of_chunk", "_peer_ended", "_scanned", "_trailers",
    )  # fmt: skip

    _line_of_chunk = CHUNK

    def __init__(self, head: int, fields: int, line: int, extensions: float) -> None:
        self._most_head, self._most_fields = head, fields
        self._most_line_of_chunk, self._most_extensions = line, extensions
        self._buffer: bytes | bytearray = b""
        self._at = 0  # where in the buffer that begins which has not been read
        self._scanned = 0  # of a head, or line in a body, that is not complete: how much has been looked at
        self._peer_ended = False
        self._left = 0  # bytes of the body, or chunk, that are to come
        self._chunk = ""  # what comes next in a chunked body: "size", "data", "break", "trailers"
        self._extensions = 0
        self._trailers: Raw = []

    def refuse(self, text: str, status: int = 400) -> RemoteProtocolError:
        """Read nothing more, and return why, to be raised; ``status`` is how a server answers that."""
        raise NotImplementedError

    def _keep(self, data: bytes) -> None:
        """Put what has come behind what has not been read."""
        if type(data) is not bytes:
            data = bytes(data)
        buffer = self._buffer
        if self._at >= len(buffer):
            self._buffer, self._at = data, 0
            return
        if type(buffer) is bytes:
            self._buffer = buffer = bytearray(memoryview(buffer)[self._at :])
            self._at = 0
        buffer += data

    def _drop(self) -> None:
        """Forget what has not been read."""
        self._buffer, self._at, self._scanned = b"", 0, 0

    def receive_end(self) -> None:
        """The other side will send nothing more."""
        self._peer_ended = True

    @property
    def waiting(self) -> int:
        """How many bytes have come that have not been read."""
        return len(self._buffer) - self._at

    @property
    def unread(self) -> bytes:
        """What has come and has not been read."""
        return bytes(self._buffer[self._at :])

    def _take(self, most: int) -> bytes:
        """Take so many bytes off the buffer, or all that there are."""
        buffer, at = self._buffer, self._at
        if at == 0 and len(buffer) <= most and type(buffer) is bytes:
            data = buffer
        else:
            data = bytes(memoryview(buffer)[at : at + most])
        self._at = at + len(data)
        if self._at >= len(buffer):
            self._buffer, self._at = b"", 0
        elif type(buffer) is bytearray and self._at > 64 * 1024:
            del buffer[: self._at]
            self._at = 0
        return data

    def _wait_behind(self, end: int) -> None:
        """Remember that all has been looked at, of a head that is not complete."""
        buffer, at = self._buffer, self._at
        self._scanned = end - at
        if type(buffer) is bytearray:
            del buffer[:at]  # who always sends a part of the next one, too, leaves nothing behind
        else:
            self._buffer = bytearray(memoryview(buffer)[at:])
        self._at = 0

    def _find_end(self, mark: bytes, most: int, what: str, status: int) -> int:
        """Return how many bytes there are up to a mark and with it, -1 if it has not come; refuse more than
        the limit, and what may be in no line."""
        buffer, at = self._buffer, self._at
        found = buffer.find(mark, at + max(0, self._scanned - len(mark) + 1))
        end = len(buffer) if found < 0 else found + len(mark)
        never = NEVER.search(buffer, at + max(0, self._scanned - 1), min(end, at + most + 1))
        if never is not None:
            raise self.refuse(never_text(buffer[never.start()]))
        if end - at > most:
            raise self.refuse(f"there are more than {most} bytes in the {what}", status)
        self._scanned = end - at if found < 0 else 0
        return -1 if found < 0 else end - at

    # -- chunks -----------------------------------------------------------------------------------

    def _begin_chunks(self) -> None:
        self._chunk, self._left, self._extensions = "size", 0, 0

    def _read_chunk(self) -> bytes | None:
        """Return the next piece of a chunked body; b"" when it is over, and the trailers are known; None
        before more has come."""
        while self._at < len(self._buffer):
            if self._chunk == "data":
                data = self._take(self._left)
                self._left -= len(data)
                if not self._left:
                    self._chunk = "break"
                return data
            if self._chunk == "break":
                if not b"\r\n".startswith(self._buffer[self._at : self._at + 2]):
                    raise self.refuse("a chunk is longer than its line says")
                if self.waiting < 2:
                    return None
                self._take(2)
                self._chunk = "size"
            elif self._chunk == "size":
                end = self._find_end(b"\r\n", self._most_line_of_chunk, "line of a chunk", 400)
                if end < 0:
                    return None
                self._read_line_of_chunk(self._take(end))
            else:
                end = 2 if self._buffer.startswith(b"\r\n", self._at) else 0
                end = end or self._find_end(b"\r\n\r\n", self._most_head, "trailers", 431)
                if end < 0:
                    return None
                self._scanned = 0
                self._read_trailers(self._take(end))
                return b""
        return None

    def _read_line_of_chunk(self, line: bytes) -> None:
        match = self._line_of_chunk.fullmatch(line)
        if match is None:
            raise self.refuse(f"a chunk begins with its size, and not with {shorten(line)}")
        self._extensions += len(match[2] or b"")
        if self._extensions > self._most_extensions:
            raise self.refuse("the chunks have more extensions than content")
        self._left = int(match[1], 16)
        self._chunk = "data" if self._left else "trailers"

    def _read_trailers(self, lines: bytes) -> None:
        if not _TRAILERS.fullmatch(lines):
            raise self.refuse("the trailers are no headers")
        raw = [(name, value.rstrip(b" \t")) for name, value in _FIELD.findall(lines[:-2])]
        if len(raw) > self._most_fields:
            raise self.refuse(f"there are more than {self._most_fields} trailers", 431)
        self._trailers = raw


def parts_of(value: bytes) -> list[bytes]:
    """Return the parts of a list, such as those of ``Connection``, in lower case."""
    return [one.strip().lower() for one in value.split(b",")]


def lines_of_trailers(trailers: Headers) -> bytes:
    """Return trailers as they are sent. Raises `LocalProtocolError` for what belongs into the head."""
    for name, _ in trailers.raw:
        if name.lower() in NOT_IN_TRAILERS:
            raise LocalProtocolError(
                f"{name.decode('latin-1')} cannot be a trailer: Content-Length, Transfer-Encoding, Host and "
                "Trailer belong into the head"
            )
    return b"".join([b"%b: %b\r\n" % pair for pair in trailers.raw])


def never_text(byte: int) -> str:
    """Say what is wrong with a byte that may be in no line."""
    if byte in b"\r\n":
        return "a line does not end with CR LF"
    return f"there is a control character, {byte:#04x}, in a line"


def wrong_header(lines: bytes) -> str:
    """Say which of the lines behind the first of a head is no header; "" if all are."""
    for line in lines.split(b"\r\n"):
        if line.startswith((b" ", b"\t")):
            return f"a header goes on in another line: {shorten(line)}"
        name, colon, value = line.partition(b":")
        if line and (not colon or not re.fullmatch(TOKEN, name)):
            return f"this is no header: {shorten(line)}"
        if (never := NEVER.search(value)) is not None:
            return f"{never_text(value[never.start()])}: {shorten(line)}"
    return ""


__all__ = [
    "BODILESS",
    "CHUNK",
    "FIELDS",
    "LENGTH",
    "LONGEST_LENGTH",
    "NEVER",
    "NOT_IN_TRAILERS",
    "TOKEN",
    "Incoming",
    "lines_of_trailers",
    "never_text",
    "parts_of",
    "wrong_header",
]
