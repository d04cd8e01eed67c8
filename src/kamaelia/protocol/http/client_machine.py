"""The client's side of one HTTP/1.1 connection: requests in, bytes out; bytes in, events out (RFC 9112).

Theory
------
Pure: no socket, no clock, no task. Whoever uses it sends the bytes that `ClientMachine.send_request`,
`ClientMachine.send_data` and `ClientMachine.send_end` return, gives it what comes back with
`ClientMachine.receive`, and asks `ClientMachine.next_event` until there is nothing more. Events are *pulled*,
so that who has no room for more of a body just does not ask; meanwhile nothing more should be received.

Requests are an *exchange* each, in a line: they may be sent ahead of their answers (pipelining), and what
comes belongs to the oldest. `READING` says how its answer is read::

    HEAD --hint--> HEAD --head--> BODY --end--> END --told--> HEAD of the next
                                  or END at once, or SWITCHED

**How strict.** The grammar is that of the server's machine (`incoming`), and a head that has passed goes to
the same parsers. In two things the client is kinder, since there are old servers that nobody can mend: in a
head, not in trailers, a line may end with LF alone, and a header may go on in another line. Both are put
right before anything is read, so that whoever gets the headers next gets good ones. What could be read in
two ways is refused, since somebody else between us and the server may read it in the other (request
smuggling, response splitting): a response with both ``Transfer-Encoding`` and ``Content-Length``, two
different lengths, another coding than ``chunked``, or any in HTTP/1.0; another version than that and 1.1;
and anything at all that comes when nothing was asked for.

**Bounds.** A head, the line of a chunk, and the trailers have ``head_limit`` bytes each, exactly, however the
bytes are divided; the number of headers has a limit, and how many informational responses come before a real
one. What waits unread is what was given last.

A body ends in one of four ways: there is none (HEAD, CONNECT, 204, 304), so many bytes, chunks, or the end of
the connection. An end of the connection is an end of the body only in the last case, else the body is
*truncated*, which is an error. One that comes before any byte of the answer is `Unanswered`: the server may
have closed an idle connection just when we wanted to use it again, so that asking once more is no sin.
"""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from kamaelia.axon.errors import LocalProtocolError, RemoteProtocolError, shorten

from .headers import Given, Headers
from .incoming import (
    BODILESS,
    FIELDS,
    LENGTH,
    LONGEST_LENGTH,
    Incoming,
    lines_of_trailers,
    parts_of,
    wrong_header,
)
from .messages import NO_HEADERS, Request, Response
from .parsers import NotParsed, Raw, choose_parser

HEAD_LIMIT: Final = 64 * 1024  # bytes; servers send 1 to 8 KiB, curl takes 100 KiB a line
HEADER_LIMIT: Final = 256  # headers in one head
INFORMATIONAL_LIMIT: Final = 16  # responses such as "103 Early Hints" before the real one
MERGE: Final = 64 * 1024  # bytes of a chunked body that are made one event, if they are there

HEAD, BODY, END, SWITCHED = "HEAD", "BODY", "END", "SWITCHED"

READING = {
    (HEAD, "hint"): HEAD,
    (HEAD, "head"): BODY,
    (HEAD, "bare head"): END,  # without a body
    (HEAD, "switch"): SWITCHED,
    (BODY, "data"): BODY,
    (BODY, "end"): END,
    (END, "told"): HEAD,
}
"""How the answer to the oldest request is read: ``(state, what happens): next state``."""

_STATUS = rb"HTTP/([0-9]\.[0-9]) ([0-9]{3})(?: [\t\x20-\x7e\x80-\xff]*+)?\r\n"
_HEAD: Final = re.compile(_STATUS + FIELDS)
_FRAMING: Final = re.compile(
    rb"\n(content-length|transfer-encoding|connection):[ \t]*+([^\r]*+)", re.IGNORECASE
)
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_FOLD: Final = re.compile(rb"\r\n[ \t]++")
_FRAMED: Final = re.compile(rb"(?<=\n)(?:content-length|transfer-encoding):[^\r]*+\r\n", re.IGNORECASE)
_LENGTHS: Final = re.compile(rb"(?<=\n)content-length:[^\r]*+\r\n", re.IGNORECASE)
# Blanks behind the size are no HTTP, but some servers write it into a field of fixed width.
_LINE_OF_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*+(;[\t\x20-\x7e\x80-\xff]*+)?\r\n")


class Unanswered(RemoteProtocolError):
    """The server closed the connection before the first byte of its answer."""


@dataclass(frozen=True)
class Informational:
    """A response before the response: 100 (go on with the body), 103 (early hints) or another."""

    status: int
    """From 100 to 199."""
    headers: Headers = field(default_factory=Headers)
    """What it says."""


@dataclass(frozen=True)
class EndOfResponse:
    """The body is complete."""

    trailers: Headers = field(default_factory=Headers)
    """Headers that came after a chunked body."""
    reusable: bool = True
    """Whether the connection may be used for another request: both sides allow it, and ours is complete."""


@dataclass(frozen=True)
class Switched:
    """The connection does not speak HTTP any more, as was asked for: by ``Upgrade``, or by ``CONNECT``."""

    rest: bytes = b""
    """What has come already and belongs to what is spoken now."""


Event = Informational | Response | bytes | EndOfResponse | Switched


class _Exchange:
    """A request and its answer."""

    __slots__ = ("begun", "closes", "expects", "hints", "method", "reads_to_end", "upgrades")

    def __init__(self, method: str) -> None:
        self.method = method
        self.upgrades = False  # it has asked for another protocol
        self.closes = False  # one of both has said that the connection ends with this
        self.expects = False  # that the server says whether it wants the body
        self.begun = False  # some of the answer has come
        self.hints = 0  # responses before the real one
        self.reads_to_end = False  # the body ends with the connection


class ClientMachine(Incoming):
    """Speaks HTTP/1.1 as a client, without a connection.

    Events are `Informational`; a `Response` without its body, which is the head; ``bytes``, parts of the
    body; `EndOfResponse`; and instead of the last two `Switched`.

    Arguments:
        head_limit: bytes that the head of a response may have, the line of a chunk, or the trailers
        header_limit: how many headers each of them may have
        pipeline: how many requests may be unanswered at a time
        parser: ``"h11"``, ``"httptools"``, or ``"auto"`` for the faster that is installed

    Raises `LocalProtocolError` for what must not be sent, and `RemoteProtocolError` for what must not have
    been received; after that the connection is of no use.

    Example:
        >>> machine = ClientMachine()
        >>> machine.send_request(Request("GET", "/", Headers({"Host": "example.org"})))
        b'GET / HTTP/1.1\\r\\nHost: example.org\\r\\n\\r\\n'
        >>> machine.receive(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
        >>> machine.next_event().status, machine.next_event(), machine.next_event().reusable
        (200, b'hello', True)
        >>> print(machine.next_event())
        None
    """

    __slots__ = (
        "_chunked", "_error", "_exchanges", "_last", "_parse", "_pending", "_to_send", "_writing", "pipeline",
        "reading", "switched",
    )  # fmt: skip

    _line_of_chunk = _LINE_OF_CHUNK

    def __init__(
        self,
        *,
        head_limit: int = HEAD_LIMIT,
        header_limit: int = HEADER_LIMIT,
        pipeline: int = 1,
        parser: str = "auto",
    ) -> None:
        super().__init__(head_limit, header_limit, line=head_limit, extensions=math.inf)
        self.pipeline = pipeline
        """See the arguments."""
        self.reading = HEAD
        """How the answer to the oldest request is read; see `READING`."""
        self.switched = False
        """Whether the connection speaks something else by now."""
        self._parse = choose_parser(parser, responses=True)()
        self._exchanges: deque[_Exchange] = deque()  # those that are not answered, the oldest first
        self._writing: _Exchange | None = None  # the one whose request is not complete
        self._to_send: int | None = None  # bytes of that; None where it is sent in chunks
        self._chunked = False  # the body comes in chunks
        self._pending: RemoteProtocolError | None = None  # what is wrong behind a part of a body
        self._last = False  # no more requests: one side has said that it will close
        self._error: RemoteProtocolError | None = None

    # -- how it is ----------------------------------------------------------------------------------

    @property
    def can_send_request(self) -> bool:
        """Whether another request may be sent now."""
        return (
            self._writing is None
            and not (self._last or self._peer_ended or self.switched or self._error)
            and len(self._exchanges) < self.pipeline
            and not (self.waiting and not self._exchanges)  # of what nobody has asked for
        )

    @property
    def sending(self) -> bool:
        """Whether a request has begun, more of whose body is to come."""
        return self._writing is not None

    @property
    def answers_too_early(self) -> bool:
        """Whether what is answered is the request of whose body more is to come."""
        return self._writing is not None and self._writing is self._exchanges[0]

    @property
    def waits_to_continue(self) -> bool:
        """Whether the server has been asked (``Expect: 100-continue``) if it wants the body, and has not
        said."""
        return self._writing is not None and self._writing.expects

    @property
    def open(self) -> int:
        """How many requests are not answered completely."""
        return len(self._exchanges)

    @property
    def answering(self) -> bool:
        """Whether some of the answer to the oldest open request has come."""
        return bool(self._exchanges) and (self._exchanges[0].begun or self.waiting > 0)

    @property
    def finished(self) -> bool:
        """Whether there is nothing to be done with the connection any more but to close it."""
        over = self._last or self._peer_ended or self._error is not None
        return over and not (self._exchanges or self.switched)

    # -- sending ------------------------------------------------------------------------------------

    def send_whole(self, request: Request) -> bytes:
        """Return the bytes of a request with its body."""
        body = request.body
        head = self.send_request(request, len(body))
        return head + self.send_data(body) + self.send_end() if body else head

    def send_request(self, request: Request, length: int | None = 0) -> bytes:
        """Return the head of a request whose body has ``length`` bytes, or will be sent in chunks (None).

        What frames the body, ``Content-Length`` or ``Transfer-Encoding``, is added; everything else has to be
        there, ``Host`` too. With a length of 0 the request is complete; else send the rest with `send_data`
        and `send_end`.
        """
        if not self.can_send_request:
            raise LocalProtocolError(self._why_not())
        if length is not None and (type(length) is not int or length < 0):
            raise _wrong(request, f"length={shorten(length)}: give the bytes of its body, or None for chunks")
        headers = request.headers
        host = b""
        lines: list[bytes] = []
        exchange = _Exchange(request.method)
        named = expects = False
        for name, value in headers.raw:
            small = name.lower()
            if small == b"host":
                if host:
                    raise _wrong(request, "there are several Host")
                host = b"%b: %b\r\n" % (name, value)  # it comes first (RFC 9110, 7.2)
                continue
            if small == b"transfer-encoding":
                if length is not None or headers.tokens("transfer-encoding") != ["chunked"]:
                    raise _wrong(
                        request,
                        "leave Transfer-Encoding out of the headers; a body of unknown length is sent in "
                        "chunks",
                    )
                continue
            if small == b"content-length":
                if named or length is None or value != b"%d" % length:
                    said = shorten(headers["content-length"])
                    has = "an unknown number of" if length is None else length
                    raise _wrong(
                        request,
                        f"its header Content-Length is {said}, and its body has {has} bytes: leave the "
                        "header out",
                    )
                named = True
            elif small == b"connection":
                exchange.closes = exchange.closes or b"close" in parts_of(value)
            elif small == b"upgrade":
                exchange.upgrades = True
            elif small == b"expect":
                expects = b"100-continue" in parts_of(value)
            lines.append(b"%b: %b\r\n" % (name, value))
        if not host:
            raise _wrong(request, "there is no Host, which HTTP/1.1 has to have")
        if length is None:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        elif not named and (length or request.method in ("POST", "PUT", "PATCH")):
            lines.append(b"Content-Length: %d\r\n" % length)
        if length != 0:
            exchange.expects = expects
            self._writing, self._to_send = exchange, length
        self._last = exchange.closes
        self._exchanges.append(exchange)
        line = f"{request.method} {request.target} HTTP/1.1\r\n".encode()
        return b"".join((line, host, *lines, b"\r\n"))

    def send_data(self, data: bytes | bytearray | memoryview) -> bytes:
        """Return some of the request's body as it goes on the wire."""
        writing = self._being_sent()
        data = bytes(data)
        size = len(data)
        writing.expects = False
        if self._to_send is None:
            return b"%x\r\n%b\r\n" % (size, data) if size else b""  # an empty chunk would end it
        if size > self._to_send:
            raise LocalProtocolError(
                f"the body of the request is longer than its Content-Length: {self._to_send} bytes were "
                f"left, and there were {size}"
            )
        self._to_send -= size
        return data

    def send_end(self, trailers: Given = ()) -> bytes:
        """Return what ends the request's body; after a chunked one there may be trailers."""
        if self._writing is None and not trailers:
            return b""
        self._being_sent()
        headers = trailers if isinstance(trailers, Headers) else Headers(trailers)
        sent = b""
        if self._to_send is None:
            sent = b"0\r\n%b\r\n" % lines_of_trailers(headers)
        elif self._to_send:
            raise LocalProtocolError(
                f"the body of the request is shorter than its Content-Length: {self._to_send} bytes are "
                "missing"
            )
        elif headers.raw:
            raise LocalProtocolError("only behind a body that is sent in chunks there may be trailers")
        self._writing = None
        return sent

    def _being_sent(self) -> _Exchange:
        if self._writing is None:
            raise LocalProtocolError("no request has been begun whose body could be sent")
        return self._writing

    def _why_not(self) -> str:
        if self._writing is not None:
            return "the request before is not complete: send the rest of its body, and its end"
        if not self._exchanges or self._last or self._peer_ended or self._error is not None:
            return "no more requests can be sent on this connection: make another"
        return (
            f"{len(self._exchanges)} request is not answered yet, and pipeline={self.pipeline}: wait for the "
            "answer, or allow more"
        )

    # -- receiving ----------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take what has come from the server. Ask for its events before you give more."""
        if self.switched:
            raise LocalProtocolError("this connection does not speak HTTP any more")
        if self._error is None:
            self._keep(data)

    def refuse(self, text: str, status: int = 0) -> RemoteProtocolError:
        """Return why the answer cannot be read, to be raised."""
        return RemoteProtocolError(f"the server's answer is not to be understood: {text}")

    def next_event(self) -> Event | None:
        """Return what comes next in what was received; None if more has to come.

        Raises `RemoteProtocolError` for what must not have come, or is not all there at the end; and
        `Unanswered`, which is one, if nothing had come at all.
        """
        if self._error is not None:
            raise self._error
        try:
            if self._pending is not None:
                raise self._pending
            return self._next()
        except RemoteProtocolError as error:
            self._error = error
            raise

    def _next(self) -> Event | None:
        if not self._exchanges:
            if self.waiting and not self.switched:
                raise RemoteProtocolError(
                    f"the server has sent what nobody asked for: {shorten(self.unread[:40])}"
                )
            return None
        exchange = self._exchanges[0]
        if self.reading is HEAD:
            return self._read_head(exchange)
        if self.reading is BODY:
            return self._read_chunks() if self._chunked else self._read_plain(exchange)
        if self.reading is END:
            return self._end(exchange)
        self.switched = True
        self._exchanges.clear()  # what was sent ahead will not be answered
        rest = self.unread
        self._drop()
        return Switched(rest)

    def _read_head(self, exchange: _Exchange) -> Event | None:
        buffer, at = self._buffer, self._at
        match = _HEAD.match(buffer, at) if type(buffer) is bytes else None
        if match is not None:
            if match.end() - at > self._most_head:
                raise self._too_long()
            head = match[0]
            self._at = match.end()
        else:
            end = self._find_end_of_head(exchange)
            if end < 0:
                return None
            exchange.begun = True
            head = _put_right(self._take(end - at))
            match = _HEAD.fullmatch(head)
            if match is None:
                raise self.refuse(_why_wrong(head))
        return self._begin(exchange, match, head)

    def _find_end_of_head(self, exchange: _Exchange) -> int:
        """Return where a head ends; -1 if that has not come."""
        buffer, at = self._buffer, self._at
        if not b"HTTP/".startswith(buffer[at : at + 5]):
            raise self.refuse(
                f"it does not begin with HTTP/, but with {shorten(bytes(buffer[at : at + 40]))}"
            )
        match = _EMPTY_LINE.search(buffer, at + max(0, self._scanned - 2))
        end = len(buffer) if match is None else match.end()
        if end - at > self._most_head:
            raise self._too_long()
        if match is not None:
            self._scanned = 0
            return end
        if self._peer_ended:
            if end == at and not exchange.begun:
                raise Unanswered("the server closed the connection before it had answered")
            if end == at:
                raise RemoteProtocolError(
                    "the server closed the connection before the answer it had announced"
                )
            raise RemoteProtocolError(
                f"the server closed the connection in the middle of the head of its answer, after {end - at} "
                "bytes"
            )
        if end > at:
            self._wait_behind(end)
        return -1

    def _too_long(self) -> RemoteProtocolError:
        return RemoteProtocolError(f"the head of the answer has more than head_limit={self._most_head} bytes")

    def _begin(self, exchange: _Exchange, match: re.Match[bytes], head: bytes) -> Event:
        """Understand the head of a response."""
        exchange.begun = True
        version, status = match[1], int(match[2])
        if version not in (b"1.1", b"1.0"):
            raise RemoteProtocolError(f"the server speaks HTTP/{version.decode()}, and we 1.1")
        if status < 100:
            raise self.refuse(f"{match[2].decode()} is no status")
        lengths: list[bytes] = []
        codings: list[bytes] = []
        closes = version == b"1.0"
        for name, value in _FRAMING.findall(head):
            if len(name) == 14:  # content-length
                lengths += value.rstrip(b" ").split(b",")
            elif len(name) == 10:  # connection
                closes = closes or b"close" in parts_of(value)
            else:
                codings.append(value.rstrip(b" "))
        length = None
        if exchange.method == "CONNECT" and 200 <= status < 300:
            if lengths or codings:
                head = _FRAMED.sub(b"", head)  # which says nothing here (RFC 9110, 9.3.6)
            codings.clear()
        else:
            length = self._one_length(lengths)
        if length is not None and len(lengths) > 1:
            told = iter([b"Content-Length: %d\r\n" % length])
            head = _LENGTHS.sub(lambda _: next(told, b""), head)  # once what it says several times
        if codings:
            self._check_codings(codings, version, length)
        headers = Headers.from_wire(self._take_apart(head, codings))
        if status < 200 and status != 101:
            return self._hint(exchange, status, headers)
        exchange.expects = False
        exchange.closes = exchange.closes or closes
        self.reading = READING[HEAD, self._find_body(exchange, status, length, bool(codings))]
        return Response(b"", status, headers)

    def _hint(self, exchange: _Exchange, status: int, headers: Headers) -> Informational:
        self.reading = READING[HEAD, "hint"]
        exchange.hints += 1
        if exchange.hints > INFORMATIONAL_LIMIT:
            raise RemoteProtocolError(f"more than {INFORMATIONAL_LIMIT} answers before the real one")
        if status == 100:
            exchange.expects = False
        return Informational(status, headers)

    def _find_body(self, exchange: _Exchange, status: int, length: int | None, chunked: bool) -> str:
        """See what follows a head (RFC 9112, 6.3), and say how that is called in `READING`."""
        if status == 101 or (exchange.method == "CONNECT" and status < 300):
            if status == 101 and not exchange.upgrades:
                raise self.refuse("it speaks another protocol from here on, which nobody has asked for")
            if self._writing is not None:
                raise self.refuse("it speaks another protocol from here on, in the middle of our request")
            return "switch"
        if exchange.method == "HEAD" or status in BODILESS or length == 0:
            return "bare head"
        self._chunked = chunked
        if chunked:
            self._begin_chunks()
        elif length is None:
            exchange.reads_to_end = exchange.closes = True
        else:
            self._left = length
        return "head"

    def _one_length(self, values: list[bytes]) -> int | None:
        """Return the length that one or several Content-Length agree upon."""
        if not values:
            return None
        said = values[0].strip(b" ")
        if any(value.strip(b" ") != said for value in values):
            raise self.refuse("there are several Content-Length, which are not the same")
        if not LENGTH.fullmatch(said) or len(said) > LONGEST_LENGTH:
            raise self.refuse(f"Content-Length: {shorten(said.decode('latin-1'))} is no length")
        return int(said)

    def _check_codings(self, codings: list[bytes], version: bytes, length: int | None) -> None:
        if len(codings) > 1:
            raise self.refuse("there are several Transfer-Encoding")
        if codings[0].lower() != b"chunked":
            said = shorten(codings[0].decode("latin-1"))
            raise self.refuse(f"Transfer-Encoding: {said}: it is 'chunked', and only that")
        if length is not None or version != b"1.1":
            other = "with a Content-Length" if length is not None else "in HTTP/1.0"
            raise RemoteProtocolError(
                f"the answer has a Transfer-Encoding {other}: it can be read in two ways"
            )

    def _take_apart(self, head: bytes, codings: list[bytes]) -> Raw:
        """Return the headers of a head."""
        try:
            raw = self._parse(head)
        except NotParsed as error:
            raise self.refuse(f"the parser says: {error}") from error
        if len(raw) > self._most_fields:
            raise RemoteProtocolError(
                f"the answer has {len(raw)} headers, and header_limit={self._most_fields}"
            )
        if codings and codings[0] != b"chunked":  # h11 has it in small letters
            return [
                (name, b"chunked" if name.lower() == b"transfer-encoding" else value) for name, value in raw
            ]
        return raw

    def _read_plain(self, exchange: _Exchange) -> bytes | EndOfResponse | None:
        """Read a body that is counted, or ends with the connection."""
        if self._at < len(self._buffer):
            self.reading = READING[BODY, "data"]
            if exchange.reads_to_end:
                return self._take(self.waiting)
            data = self._take(self._left)
            self._left -= len(data)
            if not self._left:
                self.reading = READING[BODY, "end"]
            return data
        if not self._peer_ended:
            return None
        if not exchange.reads_to_end:
            raise RemoteProtocolError(
                "the server closed the connection in the middle of the body of its answer: bytes missing: "
                f"{self._left}"
            )
        self.reading = READING[BODY, "end"]
        return self._end(exchange)

    def _read_chunks(self) -> bytes | EndOfResponse | None:
        """Read a body in chunks: small ones come together, as far as they are there."""
        parts: list[bytes] = []
        size = 0
        while size < MERGE:
            try:
                part = self._read_chunk()
            except RemoteProtocolError as error:
                if not parts:
                    raise
                self._pending = error  # what came before it is good
                break
            if part is None:
                if not parts and self._peer_ended:
                    raise RemoteProtocolError(
                        "the server closed the connection in the middle of the body of its answer: it was "
                        "before the end of the chunks"
                    )
                break
            if not part:
                self.reading = READING[BODY, "end"]
                break
            self.reading = READING[BODY, "data"]
            parts.append(part)
            size += len(part)
        if parts:
            return parts[0] if len(parts) == 1 else b"".join(parts)
        return self._end(self._exchanges[0]) if self.reading is END else None

    def _end(self, exchange: _Exchange) -> EndOfResponse:
        self.reading = READING[END, "told"]
        raw, self._trailers = self._trailers, []
        self._exchanges.popleft()
        # What is answered before it was sent ends the connection, too: nobody knows what the rest would mean.
        if exchange.closes or self._writing is exchange:
            self._last, self._writing = True, None
            self._exchanges.clear()  # what was sent ahead will not be answered
        trailers = Headers.from_wire(raw) if raw else NO_HEADERS
        return EndOfResponse(trailers, not (self._last or self._peer_ended))


def _wrong(request: Request, why: str) -> LocalProtocolError:
    return LocalProtocolError(f"{request.method} {shorten(request.target)}: {why}")


def _put_right(head: bytes) -> bytes:
    """Return a head whose lines end with CR LF, and none of which goes on in another."""
    if _BARE_LF.search(head):
        head = _BARE_LF.sub(b"\r\n", head)
    first = head.index(b"\r\n") + 2
    if head[first : first + 1] in (b" ", b"\t"):
        return head  # it would be the line of the status that goes on
    return head[:first] + _FOLD.sub(b" ", head[first:])


def _why_wrong(head: bytes) -> str:
    """Say what is wrong with a head that the grammar does not allow."""
    first, _, rest = head.partition(b"\r\n")
    if not re.fullmatch(_STATUS, first + b"\r\n"):
        return f"this is no line of a status: {shorten(first)}"
    return wrong_header(rest) or "this is no response"


__all__ = [
    "HEADER_LIMIT",
    "HEAD_LIMIT",
    "READING",
    "ClientMachine",
    "EndOfResponse",
    "Event",
    "Informational",
    "Switched",
    "Unanswered",
]
