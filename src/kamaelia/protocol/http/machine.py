"""The server's side of HTTP/1.1, without a socket: bytes in, events out; answers in, bytes out (RFC 9112).

Theory
------
Two machines run side by side, for what the client sends and for what is answered, and meet where a request
and its answer are both complete::

    reading:  IDLE --request--> BODY --end--> END --told--> DONE --next--> IDLE ...  or CLOSED
    writing:  IDLE --request--> ANSWER --head--> BODY --end--> DONE --next--> IDLE ...  or CLOSED

`READING` and `WRITING` are these machines, as tables; the code below looks up each step in them, and a step
that is not there is an error of whoever takes it. A request is read only when the one before is answered:
until then `ServerMachine.next_event` says `PAUSED`, and what came of the next waits. `SWITCHED` is where both
end when another protocol takes over, `ERROR` where a broken rule leads, for good: nobody knows what the bytes
behind it mean.

**Nothing ambiguous is read.** An intermediary that finds the end of a request elsewhere than we do lets one
client speak for another ("request smuggling"). So there is one grammar, `HEAD`, and it allows exactly what
RFC 9112 has: lines end with CR LF, nothing stands between a name and its colon, no line is folded, no control
characters; a body is counted or chunked, never both, and chunked is the only coding. Everything else is
refused, with a status that says which rule it was. A head that has passed goes to a parser, h11 or httptools
(`parsers`), which takes the headers apart and may refuse it as well; framing is decided here, so that both
give the same events. Bytes may come in pieces of any size: what is wrong first is found first.

**Bounds.** A head, the line of a chunk and the trailers are kept until they are complete, so each has a limit
(`limits`). A body is not kept. Time is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kamaelia.axon.errors import LocalProtocolError, shorten

from .headers import Headers
from .incoming import (
    BODILESS,
    FIELDS,
    LENGTH,
    LONGEST_LENGTH,
    NEVER,
    NOT_IN_TRAILERS,
    TOKEN,
    Incoming,
    lines_of_trailers,
    never_text,
    parts_of,
    wrong_header,
)
from .limits import Limits
from .messages import NO_HEADERS, Request, Response, reason
from .parsers import NotParsed, choose_parser
from .refusal import Refused

IDLE, BODY, END, DONE, ANSWER = "IDLE", "BODY", "END", "DONE", "ANSWER"
CLOSED, ERROR, SWITCHED = "CLOSED", "ERROR", "SWITCHED"

READING = {
    (IDLE, "request"): BODY,
    (IDLE, "bare request"): END,  # without a body
    (IDLE, "peer ended"): CLOSED,
    (BODY, "data"): BODY,
    (BODY, "end"): END,
    (BODY, "give up"): CLOSED,  # answered before it was whole, and the rest is not wanted
    (END, "told"): DONE,
    (END, "next"): IDLE,
    (END, "close"): CLOSED,
    (END, "switch"): SWITCHED,
    (DONE, "next"): IDLE,
    (DONE, "close"): CLOSED,
    (DONE, "switch"): SWITCHED,
    (IDLE, "error"): ERROR,
    (BODY, "error"): ERROR,
}
"""What the client sends: ``(state, what happens): next state``."""

WRITING = {
    (IDLE, "request"): ANSWER,
    (IDLE, "refuse"): ANSWER,  # the request could not be read, but may be answered
    (ANSWER, "inform"): ANSWER,
    (ANSWER, "head"): BODY,
    (ANSWER, "whole"): DONE,
    (ANSWER, "switch"): SWITCHED,
    (BODY, "data"): BODY,
    (BODY, "end"): DONE,
    (DONE, "next"): IDLE,
    (DONE, "close"): CLOSED,
}
"""What we answer: ``(state, what happens): next state``."""


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of the body of a request."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfRequest:
    """The request is complete."""

    trailers: Headers


class _Sentinel:
    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


NEED_DATA = _Sentinel("NEED_DATA")
"""Nothing more can be said before more has come."""
PAUSED = _Sentinel("PAUSED")
"""The request is complete, and has to be answered before the next one is read."""
ENDED = _Sentinel("ENDED")
"""No more requests will be read from this connection."""

Event = Request | Data | EndOfRequest | _Sentinel

HEAD = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]++) HTTP/([0-9]\.[0-9])\r\n" + FIELDS)
"""What the head of a request looks like (RFC 9112, 2.1 and 5)."""
# The headers that say how the request is to be read.
FRAMING = re.compile(
    rb"\n(host|content-length|transfer-encoding|connection|expect):[ \t]*+([^\r]*+)", re.IGNORECASE
)
TARGET = re.compile(rb"/[^#]*+|(?i:https?)://([^/?#@]++)(?:[/?][^#]*+)?")
HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*+|\[[0-9A-Fa-f:.]++\])(?::[0-9]{0,5})?")

# All that the parsers know (RFC 9110, 9; IANA), but for CONNECT, which asks for a tunnel and no answer.
_NAMES = """
    GET HEAD POST PUT DELETE OPTIONS PATCH TRACE ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY MKCALENDAR
    MKCOL MOVE NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE
"""
METHODS = {name.encode(): name for name in _NAMES.split()}
VERSIONS = {b"1.1": "1.1", b"1.0": "1.0"}
LONGEST_CHUNK_LINE = 1024  # bytes
LONGEST_EXTENSIONS = 16 * 1024  # bytes, of all chunks of a body together
END_OF_REQUEST = EndOfRequest(NO_HEADERS)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ServerMachine(Incoming):
    """One connection of a server. Give it what comes (`receive`), ask what that is (`next_event`), and write
    what `send_whole`, or `send_head`, `send_data` and `send_end`, return.

    `LocalProtocolError` is raised for what may not be sent, `Refused`, a `RemoteProtocolError` with a
    ``status``, by `next_event` for what the client may not send, from then on always the same one.

    Arguments:
        limits: see `Limits`
        parser: ``"h11"``, ``"httptools"``, or ``"auto"`` for the faster that is installed
        scheme: of the requests
        peer: who asks, for the requests

    Example:
        >>> machine = ServerMachine()
        >>> machine.receive(b"GET /tea HTTP/1.1\\r\\nHost: here\\r\\n\\r\\n")
        >>> machine.next_event().path
        '/tea'
        >>> machine.send_whole(Response("green"))  # doctest: +ELLIPSIS
        b'HTTP/1.1 200 OK\\r\\nContent-Type: text/html; charset=utf-8\\r\\nContent-Length: 5\\r\\n\\r\\ngreen'
        >>> machine.next_event()
        NEED_DATA
    """

    __slots__ = (
        "_chunked", "_end", "_error", "_limits", "_mode", "_most_line", "_most_target", "_parse", "_requests",
        "_to_send", "closing", "expects_continue", "keep_alive", "lines", "peer", "reading", "request",
        "scheme", "writing",
    )  # fmt: skip

    def __init__(
        self, limits: Limits | None = None, parser: Any = "auto", scheme: str = "http", peer: Any = None
    ) -> None:
        self._limits = limits = limits or Limits()
        super().__init__(int(limits.head), limits.headers, LONGEST_CHUNK_LINE, LONGEST_EXTENSIONS)
        self._most_target = int(limits.target)
        self._most_line = self._most_target + 100  # with the method, the version and the blanks
        self._parse = (choose_parser(parser) if isinstance(parser, str) else parser)()
        self.scheme = scheme
        self.peer = peer
        self.reading = IDLE
        """The state of what the client sends."""
        self.writing = IDLE
        """The state of what we answer."""
        self.request: Request | None = None
        """The request that is read or answered."""
        self.keep_alive = True
        """Another request may follow this one."""
        self.closing = False
        """To be set by whoever wants this answer to be the last."""
        self.expects_continue = False
        """The client waits for `send_continue` before it sends the body."""
        self.lines = b""
        """Lines of headers that every answer gets: ``b"Date: ...\\r\\n"``. To be set."""
        self._error: Refused | None = None
        self._end = END_OF_REQUEST
        self._chunked = False
        self._requests = 0
        self._mode = ""  # how the answer's body is sent: "counted", "chunked", "until close", "none"
        self._to_send = 0

    # -- what the client sends --------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take what has come."""
        self._keep(data)
        if self.reading is CLOSED or self.reading is ERROR:
            self._buffer, self._at = b"", 0
        elif self.reading is DONE and self.waiting > self._limits.pipelined + len(data):  # type: ignore[operator]
            raise LocalProtocolError(f"{self.waiting} bytes of later requests wait: answer this one first")

    @property
    def expected(self) -> int | None:
        """How many bytes of the body are to come; None where only its end will tell."""
        if self.reading is not BODY:
            return 0
        return None if self._chunked else self._left

    def next_event(self) -> Event:
        """Return what comes next: a `Request`, `Data`, `EndOfRequest`, or why there is nothing.

        Raises `Refused` for what breaks the rules; any other exception is a fault in here.
        """
        state = self.reading
        if state is IDLE:
            buffer, at = self._buffer, self._at
            if at >= len(buffer) and not self._peer_ended:
                return NEED_DATA
            if type(buffer) is bytes:
                match = HEAD.match(buffer, at)
                if match is not None and (end := match.end()) - at <= self._most_head:
                    self._at = end
                    whole = at == 0 and end == len(buffer)
                    return self._begin(match, buffer if whole else buffer[at:end])
            return self._read_head()
        if state is BODY:
            return self._read_chunked() if self._chunked else self._read_counted()
        if state is END:
            self.reading = READING[END, "told"]
            return self._end
        if state is DONE or state is SWITCHED:
            return PAUSED
        if state is CLOSED:
            return ENDED
        assert self._error is not None
        raise self._error

    def refuse(self, text: str, status: int = 400) -> Refused:
        """Read nothing more of this client, and return why, to be raised; also for what took it too long."""
        self.reading = READING[self.reading, "error"]
        if self.writing is IDLE:
            self.writing = WRITING[IDLE, "refuse"]
            self.request = None
        self._drop()
        self.keep_alive = False
        self._error = Refused(text, status)
        return self._error

    def _read_head(self) -> Event:
        """Read the head of a request that is not simply there."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n", self._at):  # an empty line or two before it (RFC 9112, 2.2)
            self._at += 2
        at = self._at
        if at >= len(buffer):
            self._buffer, self._at = b"", 0
            if self._peer_ended:
                self.reading = READING[IDLE, "peer ended"]
                return ENDED
            return NEED_DATA
        end = buffer.find(b"\r\n\r\n", max(at, at + self._scanned - 3))
        end = len(buffer) if end < 0 else end + 4
        self._check_beginning(at, end)
        if not buffer.endswith(b"\r\n\r\n", at, end):
            if self._peer_ended:
                raise self.refuse("the request ends in the middle of its head")
            self._wait_behind(end)
            return NEED_DATA
        head = bytes(memoryview(buffer)[at:end])
        self._at, self._scanned = end, 0
        match = HEAD.fullmatch(head)
        if match is None:
            raise self.refuse(_why_wrong(head))
        return self._begin(match, head)

    def _check_beginning(self, at: int, end: int) -> None:
        """Raise if the beginning of a head is wrong already, whatever follows; for what is wrong first."""
        buffer = self._buffer
        line = buffer.find(b"\r\n", at, min(end, at + self._most_line + 2))
        most = self._most_line + 1 if line < 0 else self._most_head  # there may be half of a line break
        most = min(most, self._most_head)
        never = NEVER.search(buffer, at + max(0, self._scanned - 1), min(end, at + most + 1))
        if never is not None:
            if never.start() == at and buffer[at] == 0x16:
                raise self.refuse(
                    "this is no request, but looks like TLS: the client speaks https to a server of http"
                )
            raise self.refuse(never_text(buffer[never.start()]))
        if end - at > most:
            raise self._too_long(414 if most < self._most_head else 431)

    def _too_long(self, status: int) -> Refused:
        what, most = ("target", self._most_target) if status == 414 else ("head", self._most_head)
        return self.refuse(f"the {what} is larger than {most} bytes", status)

    def _begin(self, match: re.Match[bytes], head: bytes) -> Request:
        """Understand the head of a request."""
        method = METHODS.get(match[1])
        target = match[2]
        version = VERSIONS.get(match[3])
        if len(target) > self._most_target or match.end(3) - match.start() > self._most_line:
            raise self._too_long(414)
        if version is None:
            raise self.refuse(f"HTTP/{match[3].decode()} is not spoken here: HTTP/1.1 and 1.0 are", 505)
        if method is None:
            raise self.refuse(f"there is no method {shorten(match[1].decode('latin-1'))} here", 501)
        authority = None
        if target[0] != 0x2F or b"#" in target:
            found = TARGET.fullmatch(target)
            if found is not None:
                authority = found[1]
            elif target != b"*" or method != "OPTIONS":
                raise self.refuse(f"{shorten(target.decode())} is no target: it begins with '/' or 'http://'")
        host = length = coding = expect = None
        tokens: list[bytes] = []
        for name, value in FRAMING.findall(head):
            first = name[0] | 0x20
            value = value.rstrip(b" ")  # and no tabs, which some take for part of a length or coding
            if first == 0x68:  # host
                if host is not None:
                    raise self.refuse("there are several Host")
                host = value
            elif first == 0x74:  # transfer-encoding
                if coding is not None:
                    raise self.refuse("there are several Transfer-Encoding")
                coding = value
            elif first == 0x65:  # expect
                expect = value if expect is None else b"several"
            elif len(name) == 10:  # connection
                tokens += parts_of(value)
            else:
                if length is not None:
                    raise self.refuse("there are several Content-Length")
                length = value
        if host is None:
            if version == "1.1":
                raise self.refuse("there is no Host, which HTTP/1.1 has to have")
        elif not HOST.fullmatch(host):
            raise self.refuse(f"{shorten(host.decode('latin-1'))} is no Host")
        if authority is not None and not HOST.fullmatch(authority):
            raise self.refuse(f"{shorten(target.decode())} names no host")
        bare = self._find_framing(version, length, coding)
        try:
            raw = self._parse(head)
        except NotParsed as error:
            raise self.refuse(f"the parser says: {error}") from error
        if len(raw) > self._limits.headers:
            raise self.refuse(f"there are more than {self._limits.headers} headers", 431)
        if authority is not None and authority != host:
            # What the target says of the host is what counts (RFC 9112, 3.2.2).
            raw = [pair for pair in raw if pair[0].lower() != b"host"]
            raw.insert(0, (b"Host", authority))
        if coding is not None and coding != b"chunked":  # h11 has it in small letters
            raw = [(name, b"chunked") if name.lower() == b"transfer-encoding" else (name, value)
                   for name, value in raw]  # fmt: skip
        if expect is not None and version == "1.1":
            if expect.lower() != b"100-continue":
                raise self.refuse(f"nobody here meets Expect: {shorten(expect.decode('latin-1'))}", 417)
            self.expects_continue = not bare
        self._requests += 1
        self.keep_alive = (
            version == "1.1"
            if not tokens
            else (b"close" not in tokens and (version == "1.1" or b"keep-alive" in tokens))
        )
        if self._requests == self._limits.requests:
            self.keep_alive = False
        self.request = request = Request.from_wire(
            method, target.decode("ascii"), Headers.from_wire(raw), version, self.scheme, self.peer
        )
        self.reading = READING[IDLE, "bare request" if bare else "request"]
        self.writing = WRITING[self.writing, "request"]
        return request

    def _find_framing(self, version: str, length: bytes | None, coding: bytes | None) -> bool:
        """See how the end of the request is found; say whether that is at once (RFC 9112, 6.3)."""
        self._end = END_OF_REQUEST
        if coding is not None:
            if length is not None:
                raise self.refuse("there are Content-Length and Transfer-Encoding: it has one end")
            if version == "1.0":
                raise self.refuse("HTTP/1.0 has no Transfer-Encoding")
            if coding.lower() != b"chunked":
                told = f"Transfer-Encoding: {shorten(coding.decode('latin-1'))}"
                known = b"chunked" in coding.lower()
                raise self.refuse(f"{told}: it is 'chunked', and only that", 400 if known else 501)
            self._chunked = True
            self._begin_chunks()
            return False
        self._chunked = False
        if length is None:
            return True
        if not LENGTH.fullmatch(length):
            raise self.refuse(f"Content-Length: {shorten(length.decode('latin-1'))} is no number")
        if len(length) > LONGEST_LENGTH:
            raise self.refuse(f"a body of {shorten(length.decode())} bytes is more than there are", 413)
        self._left = int(length)
        return self._left == 0

    def _nothing_yet(self, what: str) -> Event:
        if self._peer_ended:
            raise self.refuse(f"the request ends in the middle of its {what}")
        return NEED_DATA

    def _read_counted(self) -> Event:
        if self._at >= len(self._buffer):
            return self._nothing_yet("body")
        data = self._take(self._left)
        self._left -= len(data)
        self.reading = READING[BODY, "data"]
        self.expects_continue = False
        if not self._left:
            self._read_to_end()
        return Data(data)

    def _read_chunked(self) -> Event:
        if self._at < len(self._buffer):
            self.expects_continue = False
        data = self._read_chunk()
        if data is None:
            return self._nothing_yet("trailers" if self._chunk == "trailers" else "body")
        if data:
            self.reading = READING[BODY, "data"]
            return Data(data)
        if self._trailers:
            if any(name.lower() in NOT_IN_TRAILERS for name, _ in self._trailers):
                raise self.refuse("there are trailers that have to be in the head")
            self._end = EndOfRequest(Headers.from_wire(self._trailers))
        self._read_to_end()
        self.reading = READING.get((self.reading, "told"), self.reading)
        return self._end

    def _read_to_end(self) -> None:
        self.reading = READING[BODY, "end"]
        if self.writing is DONE:
            self._go_on()

    def give_up(self) -> None:
        """Read nothing more of a request that has been answered, or will be: the connection ends then."""
        if self.reading is BODY:
            self.reading = READING[BODY, "give up"]
            self._drop()
        self.keep_alive = False
        if self.writing is DONE:
            self._go_on()

    def _go_on(self) -> None:
        """The answer is complete, and so is the request, or it does not matter any more."""
        if self.reading is BODY:
            return  # the rest of it is read before the next
        if self.keep_alive and (self.reading is END or self.reading is DONE):
            self.reading = READING[self.reading, "next"]
            self.writing = WRITING[DONE, "next"]
        else:
            self.reading = READING.get((self.reading, "close"), self.reading)
            self.writing = WRITING[DONE, "close"]
            self._buffer, self._at = b"", 0

    # -- what we answer ---------------------------------------------------------------------------

    def send_whole(self, response: Response) -> bytes:
        """Return an answer whose body is bytes, in one piece."""
        if not isinstance(response.body, bytes):
            raise LocalProtocolError(f"the body of a whole answer is bytes, not {shorten(response.body)}")
        return self.send_plain(response.__dict__.get("_head") or prepare(response), response.body)

    def send_plain(self, head: PreparedHead, body: bytes) -> bytes:
        """Return an answer as `send_whole` does, of a head that was prepared once for many bodies."""
        if head.simple and self.keep_alive and not self.closing:
            request = self.request
            # Nearly all answers are of this kind: both machines take their steps at once.
            if (
                self.writing is ANSWER
                and (self.reading is END or self.reading is DONE)
                and request is not None
                and request.version == "1.1"
                and request.method != "HEAD"
            ):
                self.reading = self.writing = IDLE
                return b"%bContent-Length: %d\r\n%b\r\n%b" % (head.block, len(body), self.lines, body)
        sent = self._head_of(head, len(body), "whole")
        if self._mode != "none":
            sent += body
        self._go_on()
        return sent

    def send_head(self, response: Response | PreparedHead, length: int | None = None) -> bytes:
        """Return the status and the headers of an answer, whose body is sent with `send_data`.

        ``length`` is how long that will be, if it is known.
        """
        if isinstance(response, Response):
            response = response.__dict__.get("_head") or prepare(response)
        return self._head_of(response, length, "head")

    def send_data(self, data: bytes) -> bytes:
        """Return a piece of the body, as it goes out."""
        before, after = self.around(len(data))
        if self._mode == "none":
            return b""
        return before + data + after if after else bytes(data)

    def around(self, count: int) -> tuple[bytes, bytes]:
        """Return what goes out before and after a piece of the body of so many bytes."""
        self._write("data")
        if self._mode == "counted":
            if count > self._to_send:
                raise LocalProtocolError(
                    f"the body is longer than its Content-Length: {self._to_send} bytes were left, and "
                    f"there were {count}"
                )
            self._to_send -= count
        if self._mode != "chunked" or not count:
            return b"", b""
        return b"%x\r\n" % count, b"\r\n"

    @property
    def sends_body(self) -> bool:
        """Whether this answer has a body that goes out: that to HEAD has none."""
        return self._mode != "none"

    def send_end(self, trailers: Headers = NO_HEADERS) -> bytes:
        """Return the end of the body. Trailers go out only in a chunked one."""
        lines = lines_of_trailers(trailers)
        if self.writing is BODY and self._mode == "counted" and self._to_send:
            raise LocalProtocolError(
                f"the body is shorter than its Content-Length: {self._to_send} bytes are missing"
            )
        self._write("end")
        sent = b""
        if self._mode == "chunked":
            sent = b"0\r\n%b\r\n" % lines
        self._go_on()
        return sent

    def send_continue(self) -> bytes:
        """Return what asks the client for the body that it has announced; b"" if it does not wait."""
        if not self.expects_continue or self.writing is not ANSWER:
            return b""
        self._write("inform")
        self.expects_continue = False
        return CONTINUE

    def send_information(self, status: int, headers: Headers = NO_HEADERS) -> bytes:
        """Return something that goes ahead of the answer, with a status such as 103."""
        if not 102 <= status <= 199:
            raise LocalProtocolError(f"{status} is no status that goes ahead of an answer: 103 is")
        self._write("inform")
        if self.request is not None and self.request.version == "1.0":
            return b""  # which would take it for the answer
        return b"".join([_status_line(status), *(b"%b: %b\r\n" % pair for pair in headers.raw), b"\r\n"])

    def switch(self, response: Response) -> bytes:
        """Return the head after which another protocol is spoken; what came behind it already is `unread`."""
        if self.reading not in (END, DONE):
            raise LocalProtocolError("another protocol can begin only behind the end of the request")
        self._write("switch")
        self.reading = READING[self.reading, "switch"]
        lines = b"".join([b"%b: %b\r\n" % pair for pair in response.headers.raw])
        return b"%b%b%b\r\n" % (_status_line(response.status), lines, self.lines)

    def _write(self, what: str) -> None:
        state = WRITING.get((self.writing, what))
        if state is None:
            raise LocalProtocolError(
                f"'{what}' cannot be sent now: the answer is in the state {self.writing}"
            )
        self.writing = state

    def _head_of(self, head: PreparedHead, length: int | None, what: str) -> bytes:
        request = self.request
        status = head.status
        if head.length is not None:
            if what == "head" and length is None:
                length = head.length
            elif length != head.length and not (
                status == 304 or (request is not None and request.method == "HEAD")  # RFC 9110, 8.6
            ):
                raise LocalProtocolError(
                    f"Content-Length says {head.length}, and the body has {length} bytes: leave it out"
                )
            else:
                length = head.length
        if status < 200:
            raise LocalProtocolError(f"{status} is no answer, but goes ahead of one, or is one to switch()")
        self._write(what)
        old = request is not None and request.version == "1.0"
        bodiless = status in BODILESS
        framing = b""
        if bodiless:
            self._mode = "none"
            if status == 304 and head.length is not None:
                framing = b"Content-Length: %d\r\n" % head.length
        elif length is not None:
            self._mode, self._to_send = "counted", length
            framing = b"Content-Length: %d\r\n" % length
        elif old:
            self._mode = "until close"
            self.keep_alive = False
        else:
            self._mode = "chunked"
            framing = b"Transfer-Encoding: chunked\r\n"
        if request is not None and request.method == "HEAD":
            self._mode = "none"
        if self.expects_continue or head.close or self.closing:
            self.keep_alive = False  # who was not asked for the body may send it or not
        connection = b""
        if not self.keep_alive:
            connection = b"Connection: close\r\n"
        elif old:
            connection = b"Connection: keep-alive\r\n"
        return b"%b%b%b%b\r\n" % (head.block, framing, connection, self._own_lines(head))

    def _own_lines(self, head: PreparedHead) -> bytes:
        if not head.own:
            return self.lines
        lines = self.lines.split(b"\r\n")[:-1]
        return b"".join([line + b"\r\n" for line in lines if line.partition(b":")[0].lower() not in head.own])


class PreparedHead:
    """The head of a response as far as it is the same for every request; kept with the response."""

    __slots__ = ("block", "close", "length", "own", "simple", "status")

    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.close = False
        self.length: int | None = None
        self.own: frozenset[bytes] = frozenset()  # names that the server need not add
        lines = [_status_line(response.status)]
        for pair in response.headers.raw:
            name = pair[0].lower()
            if name == b"content-length":
                if self.length is not None or not LENGTH.fullmatch(pair[1]):
                    raise LocalProtocolError(
                        f"Content-Length: {shorten(pair[1])} is no number, or one of two"
                    )
                self.length = int(pair[1])
                continue
            if name == b"transfer-encoding":
                raise LocalProtocolError("Transfer-Encoding is added where it is needed: leave it out")
            if name == b"connection":
                said = [one.strip() for one in pair[1].split(b",")]
                self.close = self.close or any(one.lower() == b"close" for one in said)
                said = [one for one in said if one.lower() not in (b"close", b"keep-alive")]  # it is added
                if not said:
                    continue
                pair = pair[0], b", ".join(said)
            if name in (b"date", b"server"):
                self.own |= {name}
            lines.append(b"%b: %b\r\n" % pair)
        self.block = b"".join(lines)
        self.simple = (
            self.length is None
            and not self.close
            and not self.own
            and self.status >= 200
            and self.status not in BODILESS
        )


def prepare(response: Response) -> PreparedHead:
    """Return the head of a response ready-made, and keep it there, since neither will change."""
    head = response.__dict__["_head"] = PreparedHead(response)
    return head


@lru_cache(maxsize=100)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {reason(status)}\r\n".encode("latin-1")


def _why_wrong(head: bytes) -> str:
    """Say what is wrong with a head that the grammar does not allow."""
    first, _, rest = head.partition(b"\r\n")
    if not re.fullmatch(rb"[^ ]+ [^ ]+ [^ ]+", first):
        return f"the line of a request has three words, and not {shorten(first)}"
    if not re.fullmatch(TOKEN + rb" [\x21-\x7e]+ HTTP/[0-9]\.[0-9]", first):
        return f"this is no line of a request: {shorten(first)}"
    return wrong_header(rest) or "this is no request"


__all__ = [
    "ENDED",
    "NEED_DATA",
    "PAUSED",
    "READING",
    "WRITING",
    "Data",
    "EndOfRequest",
    "Event",
    "Refused",
    "ServerMachine",
]
