"""The client's side of one HTTP/1.1 connection: requests in, bytes out; bytes in, events out (RFC 9112).

Theory
------
Pure: no socket, no clock, no task. Whoever uses it sends the bytes that `ClientMachine.send_request`,
`ClientMachine.send_data` and `ClientMachine.send_end` return, gives it what comes back with
`ClientMachine.receive`, and asks `ClientMachine.next_event` until there is nothing more. Events are *pulled*,
so that who has no room for more of a body just does not ask; meanwhile nothing more should be received.

The grammar is h11's. Each exchange (a request and its response) has an h11 connection of its own, and what
that has not used of what it was given is the beginning of the next: so nothing of one exchange can leak into
another, and requests may be sent ahead of their answers (pipelining), which h11 by itself does not do.

Beyond what h11 refuses, the machine refuses what could be read in two ways, since somebody else between us
and the server may read it in the other (request smuggling, response splitting): a response with both
``Transfer-Encoding`` and ``Content-Length``, or with the first in HTTP/1.0; another version than 1.x; and
anything at all that comes when nothing was asked for.

Everything is bounded: a head, the head of a chunk, and the trailers by ``head_limit`` bytes each, exactly,
however the bytes are divided; the number of headers; how many informational responses come before a real
one. What waits unread is what was given last.

A body ends in one of four ways: there is none (HEAD, CONNECT, 204, 304), so many bytes, chunks, or the end of
the connection. An end of the connection is an end of the body only in the last case, else the body is
*truncated*, which is an error. One that comes before any byte of the answer is `Unanswered`: the server may
have closed an idle connection just when we wanted to use it again, so that asking once more is no sin.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from kamaelia.axon.errors import LocalProtocolError, RemoteProtocolError, UsageError, shorten

from .headers import Given, Headers
from .messages import Request, Response

HEAD_LIMIT: Final = 64 * 1024  # bytes; servers send 1 to 8 KiB, curl takes 100 KiB a line
HEADER_LIMIT: Final = 256  # headers in one head
INFORMATIONAL_LIMIT: Final = 16  # responses such as "103 Early Hints" before the real one
SLICE: Final = 16 * 1024  # bytes that h11 is given at a time where it reads heads or chunks
MERGE: Final = 64 * 1024  # bytes of a body that are made one event, if they are there
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # what no header may have (RFC 9110, 5.5)


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


class ClientMachine:
    """Speaks HTTP/1.1 as a client, without a connection.

    Events are `Informational`; a `Response` without its body, which is the head; ``bytes``, parts of the
    body; `EndOfResponse`; and instead of the last two `Switched`.

    Arguments:
        head_limit: bytes that the head of a response may have, the head of a chunk, or the trailers
        header_limit: how many headers each of them may have
        pipeline: how many requests may be unanswered at a time

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

    def __init__(
        self, *, head_limit: int = HEAD_LIMIT, header_limit: int = HEADER_LIMIT, pipeline: int = 1
    ) -> None:
        self._h11 = _h11()
        self.head_limit = head_limit
        self.header_limit = header_limit
        self.pipeline = pipeline
        self._exchanges: deque[_Exchange] = deque()  # those that are not answered, the oldest first
        self._writing: _Exchange | None = None  # the one whose request is not complete
        self._unread: deque[memoryview] = deque()  # received, and not given to h11 yet
        self._ended = False  # nothing more will be received
        self._last = False  # no more requests: one side has said that it will close
        self._error: RemoteProtocolError | None = None
        self.switched = False
        """Whether the connection speaks something else by now."""

    # -- how it is ----------------------------------------------------------------------------------

    @property
    def can_send_request(self) -> bool:
        """Whether another request may be sent now."""
        return (
            self._writing is None
            and not (self._last or self._ended or self.switched or self._error)
            and len(self._exchanges) < self.pipeline
        )

    @property
    def sending(self) -> bool:
        """Whether a request has begun, more of whose body is to come."""
        return self._writing is not None

    @property
    def waits_to_continue(self) -> bool:
        """Whether the server has been asked (``Expect: 100-continue``) if it wants the body, and has not
        said."""
        writing = self._writing
        return writing is not None and bool(writing.connection.client_is_waiting_for_100_continue)

    @property
    def open(self) -> int:
        """How many requests are not answered completely."""
        return len(self._exchanges)

    @property
    def answering(self) -> bool:
        """Whether some of the answer to the oldest open request has come."""
        return bool(self._exchanges) and (self._exchanges[0].fed > 0 or bool(self._unread))

    @property
    def finished(self) -> bool:
        """Whether there is nothing to be done with the connection any more but to close it."""
        over = self._last or self._ended or self._error is not None
        return over and not (self._exchanges or self.switched)

    # -- sending ------------------------------------------------------------------------------------

    def send_whole(self, request: Request) -> bytes:
        """Return the bytes of a request with its body."""
        body = request.body
        head = self.send_request(request, len(body))
        return head + (self.send_data(body) if body else b"") + self.send_end()

    def send_request(self, request: Request, length: int | None = 0) -> bytes:
        """Return the head of a request whose body has so many bytes, or will be sent in chunks (None).

        What frames the body, ``Content-Length`` or ``Transfer-Encoding``, is added; everything else has to be
        there, ``Host`` too. With a length of 0 the request is complete; else send the rest with `send_data`
        and `send_end`.
        """
        if not self.can_send_request:
            raise LocalProtocolError(self._why_not())
        headers = self._framed(request, length)
        h11 = self._h11
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=self.head_limit)
        exchange = _Exchange(connection, request.method)
        try:
            head: bytes = connection.send(
                h11.Request(method=request.method, target=request.target, headers=headers.raw)
            )
            if length == 0:
                connection.send(h11.EndOfMessage())
            else:
                self._writing = exchange
        except h11.LocalProtocolError as error:
            raise LocalProtocolError(f"{request.method} {shorten(request.target)}: {error}") from error
        self._last = "close" in headers.tokens("connection")
        self._exchanges.append(exchange)
        return head

    def send_data(self, data: bytes | bytearray | memoryview) -> bytes:
        """Return some of the request's body as it goes on the wire."""
        sent: bytes = self._send(self._h11.Data(data=data))
        return sent

    def send_end(self, trailers: Given = ()) -> bytes:
        """Return what ends the request's body; after a chunked one there may be trailers."""
        if self._writing is None and not trailers:
            return b""
        headers = trailers if isinstance(trailers, Headers) else Headers(trailers)
        sent: bytes = self._send(self._h11.EndOfMessage(headers=headers.raw))
        self._writing = None
        return sent

    def _send(self, event: Any) -> bytes:
        writing = self._writing
        if writing is None:
            raise LocalProtocolError("no request has been begun whose body could be sent")
        try:
            sent: bytes = writing.connection.send(event)
        except self._h11.LocalProtocolError as error:
            raise LocalProtocolError(f"the body of the request: {error}") from error
        return sent

    def _why_not(self) -> str:
        if self._writing is not None:
            return "the request before is not complete: send the rest of its body, and its end"
        if self.switched or self._last or self._ended or self._error is not None:
            return "no more requests can be sent on this connection: make another"
        return (
            f"{len(self._exchanges)} request is not answered yet, and pipeline={self.pipeline}: wait for the "
            "answer, or allow more"
        )

    def _framed(self, request: Request, length: int | None) -> Headers:
        """Return the headers of a request, with those that say how long its body is."""
        headers = request.headers
        said = headers.get("content-length")
        if "transfer-encoding" in headers:
            if length is not None or headers.tokens("transfer-encoding") != ["chunked"]:
                raise LocalProtocolError(
                    f"{request.method} {shorten(request.target)}: leave Transfer-Encoding out of the "
                    "headers; a body of unknown length is sent in chunks"
                )
            headers = headers.without("transfer-encoding")
        if said is not None and (length is None or said.strip() != str(length)):
            raise LocalProtocolError(
                f"{request.method} {shorten(request.target)}: its header Content-Length is {shorten(said)}, "
                f"and its body has {'an unknown number of' if length is None else length} bytes: leave the "
                "header out"
            )
        if length is None:
            return headers.with_({"Transfer-Encoding": "chunked"})
        if said is None and (length or request.method in ("POST", "PUT", "PATCH")):
            return headers.with_({"Content-Length": length})
        return headers

    # -- receiving ----------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take what has come from the server. Ask for its events before you give more."""
        if self.switched:
            raise LocalProtocolError("this connection does not speak HTTP any more")
        if data:
            self._unread.append(memoryview(data))

    def receive_end(self) -> None:
        """The server has said that nothing more will come."""
        self._ended = True

    def next_event(self) -> Event | None:
        """Return what comes next in what was received; None if more has to come.

        Raises `RemoteProtocolError` for what must not have come, or is not all there at the end; and
        `Unanswered`, which is one, if nothing had come at all.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._next()
        except self._h11.RemoteProtocolError as error:
            self._error = RemoteProtocolError(f"the server's answer is not to be understood: {error}")
            raise self._error from error
        except RemoteProtocolError as error:
            self._error = error
            raise

    def _next(self) -> Event | None:
        if self.switched:
            return None
        if not self._exchanges:
            if self._unread:
                raise RemoteProtocolError(
                    f"the server has sent what nobody asked for: {shorten(bytes(self._unread[0][:40]))}"
                )
            return None
        exchange = self._exchanges[0]
        if exchange.switches:
            self.switched = True
            self._exchanges.popleft()
            return Switched(exchange.rest() + self._take_unread())
        event, exchange.pending = exchange.pending, None
        if isinstance(event, Exception):
            raise event
        if event is None:
            event = self._parse(exchange)
        kind = type(event)
        if kind is self._h11.Data:
            return self._merged(exchange, event)
        if event is None:
            return None
        if kind is self._h11.EndOfMessage:
            return self._end(exchange, event)
        return self._head(exchange, event)

    def _parse(self, exchange: _Exchange) -> Any:
        """Return h11's next event; None if it needs more than there is."""
        h11, connection = self._h11, exchange.connection
        while True:
            event = connection.next_event()
            if event is not h11.NEED_DATA:
                if type(event) is h11.Data:
                    exchange.count_data(event, self.head_limit)
                return event
            if self._unread:
                # Of a head or chunks it is given little at a time, so that to look at what it has not used
                # costs little, however many small chunks there are.
                piece = self._unread.popleft()
                if not exchange.plain and len(piece) > SLICE:
                    self._unread.appendleft(piece[SLICE:])
                    piece = piece[:SLICE]
                exchange.fed += len(piece)
                connection.receive_data(piece)
            elif not self._ended:
                return None
            else:
                self._check_end(exchange)
                connection.receive_data(b"")

    def _check_end(self, exchange: _Exchange) -> None:
        if exchange.answered:
            return  # whether the body may end so is known to h11
        if not exchange.fed:
            raise Unanswered("the server closed the connection before it had answered")
        raise RemoteProtocolError(
            f"the server closed the connection in the middle of the head of its answer, after {exchange.fed} "
            "bytes"
        )

    def _merged(self, exchange: _Exchange, event: Any) -> bytes:
        """Return a part of the body, with what else of it is there."""
        parts, size = [event.data], len(event.data)
        while size < MERGE:
            try:
                event = self._parse(exchange)
            except (self._h11.RemoteProtocolError, RemoteProtocolError) as error:
                exchange.pending = error  # what came before it is good
                break
            if type(event) is not self._h11.Data:
                exchange.pending = event
                break
            parts.append(event.data)
            size += len(event.data)
        return b"".join(parts)

    def _head(self, exchange: _Exchange, event: Any) -> Event:
        status: int = event.status_code
        used = exchange.used()
        size, exchange.counted = used - exchange.counted, used
        if size > self.head_limit:
            raise RemoteProtocolError(
                f"the head of the answer has {size} bytes, head_limit={self.head_limit}"
            )
        raw = event.headers.raw_items()
        if len(raw) > self.header_limit:
            raise RemoteProtocolError(
                f"the answer has {len(raw)} headers, and header_limit={self.header_limit}"
            )
        version = bytes(event.http_version)
        if version[:2] != b"1.":
            raise RemoteProtocolError(f"the server speaks HTTP/{version.decode('latin-1')}, and we 1.1")
        headers = _headers(raw)
        if status < 200 and status != 101:
            exchange.informational += 1
            if exchange.informational > INFORMATIONAL_LIMIT:
                raise RemoteProtocolError(f"more than {INFORMATIONAL_LIMIT} answers before the real one")
            return Informational(status, headers)
        exchange.answered = True
        exchange.switches = status == 101 or (exchange.method == "CONNECT" and status < 300)
        framed = "transfer-encoding" in headers
        if framed and not exchange.switches and ("content-length" in headers or version != b"1.1"):
            other = "with a Content-Length" if version == b"1.1" else "in HTTP/1.0"
            raise RemoteProtocolError(
                f"the answer has a Transfer-Encoding {other}: it can be read in two ways"
            )
        exchange.plain = not framed
        return Response(b"", status, headers)

    def _end(self, exchange: _Exchange, event: Any) -> EndOfResponse:
        h11, connection = self._h11, exchange.connection
        raw = event.headers.raw_items()
        if raw and exchange.used() - exchange.counted > self.head_limit:
            raise RemoteProtocolError(f"the trailers have more than head_limit={self.head_limit} bytes")
        if len(raw) > self.header_limit:
            raise RemoteProtocolError(f"there are {len(raw)} trailers, and header_limit={self.header_limit}")
        trailers = _headers(raw)
        self._exchanges.popleft()
        rest = exchange.rest()
        if rest:
            self._unread.appendleft(memoryview(rest))
        if self._writing is exchange:
            self._writing = None  # answered before it was complete: the connection cannot go on
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            self._last = True
            self._exchanges.clear()  # what was sent ahead will not be answered
        return EndOfResponse(trailers, not (self._last or self._ended))

    def _take_unread(self) -> bytes:
        rest = b"".join(self._unread)
        self._unread.clear()
        return rest


class _Exchange:
    """A request and its answer."""

    __slots__ = (
        "answered",
        "connection",
        "counted",
        "fed",
        "informational",
        "method",
        "pending",
        "plain",
        "switches",
    )

    def __init__(self, connection: Any, method: str) -> None:
        self.connection = connection  # h11's
        self.method = method
        self.fed = 0  # bytes of the answer that h11 was given
        self.counted = 0  # of these, how many belong to heads and bodies that have been looked at
        self.informational = 0  # responses before the real one
        self.answered = False  # the real one's head has come
        self.plain = False  # its body is not in chunks
        self.switches = False  # what comes now is not HTTP
        self.pending: Any = None  # an event of h11's that comes next, or an error

    def rest(self) -> bytes:
        """Return what h11 has been given and has not used."""
        rest: bytes = self.connection.trailing_data[0]
        return rest

    def used(self) -> int:
        """Return how many bytes of the answer h11 has used."""
        return self.fed - len(self.rest())

    def count_data(self, event: Any, limit: int) -> None:
        """Refuse a part of the body whose chunk began with too long a head."""
        self.counted += len(event.data)
        if not self.plain:  # h11 does not always say where a chunk begins
            used = self.used()
            if used - self.counted > limit:
                raise RemoteProtocolError(
                    f"the head of a chunk has {used - self.counted} bytes, and head_limit={limit}"
                )
            self.counted = used


def _headers(raw: list[tuple[Any, Any]]) -> Headers:
    """Make headers of what h11 has parsed, which lets more through than a header may have."""
    for name, value in raw:
        if _CONTROL.search(value):
            raise RemoteProtocolError(
                f"the header {name.decode('latin-1')} of the answer has a control character: "
                f"{shorten(value.decode('latin-1'))}"
            )
    return Headers.from_wire([(bytes(name), bytes(value)) for name, value in raw])


def _h11() -> Any:
    try:
        import h11
    except ImportError:
        raise UsageError("the HTTP client needs a package: pip install 'kamaelia[http]'") from None
    return h11


__all__ = [
    "HEADER_LIMIT",
    "HEAD_LIMIT",
    "ClientMachine",
    "EndOfResponse",
    "Event",
    "Informational",
    "Switched",
    "Unanswered",
]
