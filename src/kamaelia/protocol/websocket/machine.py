"""WebSocket (RFC 6455, and the compression of RFC 7692) as a machine: bytes in, events out.

Theory
------
A connection begins as a request of HTTP and its answer, and then is a stream of *frames* each way. A frame
has a kind (text, bytes, "the message goes on", close, ping, pong), a length and a payload; those of a client
are masked. A message is one frame, or several. Either side closes by a close frame, which the other answers
when it has sent what it still has to say; then the server ends the stream. A peer that breaks a rule is told
so in a close frame as well, which comes, like any, when we have sent what we still have to say.

`ServerMachine` and `ClientMachine` are given what comes from the peer, by `Machine.receive`, and say what it
means: a list of events, each message in full. What is to be sent they return as bytes: `Machine.text`,
`Machine.data`, `Machine.ping`, `Machine.close`. What a machine answers by itself (the handshake, a pong)
waits in it for `Machine.to_send`, which is asked after each `receive`.

The rules of the protocol are those of the package ``websockets``, whose machines stand behind these. In front
of them is a short way, for most frames are messages in full, and there in full when a chunk has come:
`Machine.receive` finds out where frames begin and end, and takes those by itself. Every other frame it hands
on. Tests feed both ways the same bytes, and compare.

**Text** is decoded as its frames come, so that what is no UTF-8 is refused (close code 1007) at the frame
that shows it. **Every length has a bound**: a message as long as `message_limit`, after inflation, or 1009; a
handshake of `HANDSHAKE_LIMIT`; and of fragments only the bytes are kept, however many there are. A small
chunk may hold many messages that become long when they are inflated, so `Machine.receive` stops when more
than `message_limit` has been inflated, and `Machine.has_more` says that it is to be asked again.

**Chance**: keys and masks of a client must not be foretold (RFC 6455, 10.3). A machine has no chance of its
own, so it is given some bytes, of which it makes as many more as it needs.
"""

from __future__ import annotations

import base64
import codecs
import functools
import hashlib
import logging
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kamaelia.axon.errors import LocalProtocolError, RemoteProtocolError, UsageError, shorten

HANDSHAKE_LIMIT: Final = 64 * 1024  # bytes of a request, or of an answer
MESSAGE_LIMIT: Final = 1024 * 1024  # bytes of a message, unless said otherwise
ENTROPY: Final = 32  # bytes of chance that a client needs

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
BAD_PROTOCOL: Final = 1002
UNSUPPORTED: Final = 1003
NO_CODE: Final = 1005  # is never sent: the close frame had none
NO_CLOSE: Final = 1006  # is never sent: there was no close frame
BAD_DATA: Final = 1007
TOO_LONG: Final = 1009
FAILED: Final = 1011

GOOD_ENDS: Final = (NORMAL, GOING_AWAY, NO_CODE)
"""Close codes that say that a peer had finished."""

_TEXT, _DATA = 0x81, 0x82  # the first byte of a message that is one frame
_WHOLE = (_TEXT, _DATA)
_SHORT_TEXT = [bytes((_TEXT, length)) for length in range(126)]
_SHORT_DATA = [bytes((_DATA, length)) for length in range(126)]
_MASKED = 0x80  # in the second byte


@dataclass(frozen=True, slots=True)
class Opened:
    """The handshake is done."""

    target: str
    """What was asked for: the path and the query, as they were escaped."""
    headers: tuple[tuple[str, str], ...]
    """Of the request, on a server; of the answer, on a client."""
    subprotocol: str | None = None
    """What was agreed on."""
    compressed: bool = False
    """Whether messages may be compressed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answers to the request."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """There is no connection: the server has answered with something else. Nothing comes after this."""

    status: int | None
    """Of HTTP; None for what was no answer in HTTP."""
    reason: str
    """Why."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a message that comes in several frames; only with ``streaming``."""

    payload: str | bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class Ping:
    """The peer wants to know whether we are there; the machine has answered."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The peer is there."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing more will come. `Machine.close` answers, unless we had closed before."""

    code: int
    """Of the peer's close frame, 1005 if it had none; or ours, where the peer broke the rules; 1006 when the
    stream ended without a close frame."""
    reason: str = ""
    """What it said."""
    error: RemoteProtocolError | None = field(default=None, compare=False)
    """Which rule the peer broke, if it did."""


Event = str | bytes | Opened | Refused | Fragment | Ping | Pong | Closed
"""What `Machine.receive` tells. A message is its own event: text is a str, and data are bytes."""


class Machine:
    """One side of a connection; see `ServerMachine` and `ClientMachine`.

    Arguments:
        protocol: of ``websockets``, what knows the rules
        message_limit: bytes of a message, or of a fragment with ``streaming``
        streaming: tell each `Fragment` of a message that comes in several frames, instead of the message
        as_bytes: tell text as bytes too (which are UTF-8)
        chance: of a client: `ENTROPY` bytes that nobody can foretell
    """

    def __init__(
        self, protocol: Any, *, message_limit: int, streaming: bool, as_bytes: bool, chance: bytes | None
    ) -> None:
        from websockets.frames import Close, Opcode
        from websockets.protocol import State

        try:
            from websockets.speedups import apply_mask
        except ImportError:  # it was not compiled
            from websockets.utils import apply_mask

        self._protocol = protocol
        self._opcode, self._state = Opcode, State
        self._open_state = State.OPEN
        self._close_type = Close
        self._apply_mask = apply_mask
        self._limit = message_limit
        self._streaming = streaming
        self._as_bytes = as_bytes
        self._masks = None if chance is None else _Masks(chance)
        self._mask_bit = 0 if chance is None else _MASKED  # of what is sent
        self._peers_mask_bit = _MASKED - self._mask_bit
        # websockets calls these three, so what is done here is part of its own course.
        protocol.recv_frame = self._recv_frame
        protocol.send_frame = self._send_frame
        protocol.fail = self._fail
        self._events: list[Event] = []
        self._rest = b""  # the beginning of what a frame, or a line of the handshake, begins with
        self._read = 0  # bytes of the rest that have been told; the rest is more than a beginning then
        self._taken = 0  # bytes of payload that websockets has told since we have stopped because of them
        self._left = 0  # bytes of a frame that websockets has got a part of
        self._message: bytearray | None = None  # what has come of a message in fragments
        self._in_fragments = False  # and more of it will come
        self._decoder: Any = None  # of a text in fragments
        self._handshake = 0  # bytes of it that have come
        self._has_head = False  # and these have an empty line at their end
        self._unanswered: Callable[[], object] | None = None  # of the peer's end: answers it
        self._sends_text: bool | None = None  # of a message that is sent in fragments, while it is
        self.opened: Opened | None = None
        """The handshake, once it is done."""
        self.refused: Refused | None = None
        """Why there is no connection, if there is none."""
        self.closed: Closed | None = None
        """How the peer's side has ended, once it has."""
        self.answer: Answer | None = None
        """Of a server: how it has answered the request, for who writes that in another way."""
        self.finished = False
        """Our side of the stream is to end when everything has been sent."""

    # -- what comes -------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        """Take what has come from the peer, and return what it means; then look at `has_more`."""
        if self.closed is not None:
            return []
        at = 0
        if self.opened is None:
            data = self._shake_hands(data)
        elif self._rest:
            if data:
                data = self._rest[self._read :] + data
            else:
                data, at = self._rest, self._read
            self._rest, self._read = b"", 0
        events, bit = self._events, self._peers_mask_bit
        size = len(data)
        if self._left and at < size:
            at = self._hand_on(data, 0, self._left)
        while at < size and self.closed is None:
            # Here a frame begins.
            start = at + 2
            if start > size:
                break
            length = data[at + 1]
            masked, length = length & _MASKED, length & 127
            if length > 125:
                more = 2 if length == 126 else 8
                start += more
                length = int.from_bytes(data[start - more : start], "big")
                if (length < 126 or (more == 8 and length < 65536)) and start <= size:
                    self._break_off("the length of a frame takes more bytes than it needs")
                    break
            if masked:
                start += 4
            if start > size:
                break
            kind, end = data[at], start + length
            if (
                kind in _WHOLE
                and end <= size
                and masked == bit
                and length <= self._limit
                and not self._in_fragments
            ):
                payload = data[start:end]
                if masked:
                    payload = self._apply_mask(payload, data[start - 4 : start])
                try:
                    if kind == _DATA:
                        events.append(payload)
                    else:
                        text = payload.decode()
                        events.append(payload if self._as_bytes else text)
                    at = end
                    continue
                except UnicodeDecodeError:  # websockets is to close because of it
                    pass
            at = self._hand_on(data, at, end - at)
            if self._taken > self._limit and at < size and self.closed is None:
                # The whole of it, for to cut off what has been told takes long if that is done often.
                self._rest, self._read, self._taken = data, at, 0
                return self._told()
        if at < size and self.closed is None:
            self._rest = data[at:]
        return self._told()

    @property
    def has_more(self) -> bool:
        """Whether not all that has come is told yet: ask `receive` again, with ``b""``, before more comes."""
        return self._read > 0

    def receive_end(self) -> list[Event]:
        """The peer's stream has ended; return what that means, and all that has not been told yet."""
        events = []
        while self.has_more:
            events += self.receive(b"")
        rest, self._rest = self._rest, b""
        if rest:
            self._feed(rest)
        if self._unanswered is not None:
            self._answer()
        self._protocol.receive_eof()
        self._look()
        return events + self._told()

    def to_send(self) -> bytes:
        """Return what the machine itself has to say to the peer, such as a pong; then look at `finished`."""
        if not self._protocol.writes:
            return b""
        writes = self._protocol.data_to_send()
        if b"" in writes:  # how websockets says that the stream ends
            self.finished = True
        return writes[0] if len(writes) == 1 else b"".join(writes)

    def _shake_hands(self, data: bytes) -> bytes:
        """Take of the handshake what there is, a line at a time; return what comes after it."""
        while data and self.opened is None and self.refused is None:
            end = len(data) if self._has_head else data.find(b"\n") + 1
            self._handshake += end or len(data)
            if self._handshake > HANDSHAKE_LIMIT:
                self._handshake_too_long()
            elif not end:
                self._rest += data
                data = b""
            else:
                line, data = self._rest + data[:end], data[end:]
                self._rest = b""
                self._has_head = self._has_head or not line.strip()
                self._feed(line)
        return b"" if self.opened is None else data

    def _hand_on(self, data: bytes, at: int, length: int) -> int:
        """Have websockets take so much of a frame as is there; return where that ends."""
        end = min(at + length, len(data))
        self._left = length - (end - at)
        self._feed(data[at:end])
        return end

    def _feed(self, data: bytes) -> None:
        """Have websockets take something."""
        self._protocol.receive_data(data)
        self._look()

    def _break_off(self, why: str) -> None:
        """The peer has broken a rule that websockets does not look after."""
        from websockets.exceptions import ProtocolError

        self._protocol.parser_exc = ProtocolError(why)
        self._fail(BAD_PROTOCOL, why)
        self._look()

    def _look(self) -> None:
        """See how websockets has taken it."""
        protocol = self._protocol
        if self.opened is None:
            self._open()
            if self.opened is None:
                return
        if self.closed is None and protocol.parser_exc is not None:
            self._close(self._reason_of(protocol.parser_exc))
        elif self.closed is None and protocol.state is self._state.CLOSED:
            self._close(Closed(NO_CLOSE))

    def _open(self) -> None:
        """See whether the handshake is done, or has failed."""
        raise NotImplementedError

    def _handshake_too_long(self) -> None:
        """Have it fail."""
        raise NotImplementedError

    def _refuse(self, status: int | None, reason: str) -> None:
        if self.refused is None:
            self.refused = Refused(status, reason)
            self._events.append(self.refused)

    def _reason_of(self, error: Exception) -> Closed:
        """Return what it means that websockets has met this; it has closed our side by itself."""
        if isinstance(error, EOFError):
            return Closed(NO_CLOSE)
        if isinstance(error, UnicodeDecodeError):
            code, why = BAD_DATA, "the peer has sent text that is no UTF-8"
        elif type(error).__name__ == "PayloadTooBig":
            code, why = TOO_LONG, f"the peer has sent a message of more than {self._limit} bytes"
        else:
            code, why = BAD_PROTOCOL, f"the peer has broken the protocol: {error}"
        return Closed(code, why, RemoteProtocolError(why))

    def _close(self, closed: Closed) -> None:
        self.closed = closed
        self._events.append(closed)
        self._message = self._decoder = None

    def _told(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _recv_frame(self, frame: Any) -> None:
        """A frame has come in full. Called by websockets, which closes with 1007 at UnicodeDecodeError."""
        if self.opened is None:
            self._open()
        if frame.opcode is self._opcode.CLOSE and self._protocol.state is self._state.OPEN:
            close = self._close_type.parse(frame.data)
            self._unanswered = lambda: type(self._protocol).recv_frame(self._protocol, frame)
            self._close(Closed(int(close.code), close.reason))
            return
        type(self._protocol).recv_frame(self._protocol, frame)
        self._protocol.events.clear()
        opcode, data = frame.opcode, frame.data
        self._taken += len(data)
        if opcode is self._opcode.PING:
            self._events.append(Ping(bytes(data)))
        elif opcode is self._opcode.PONG:
            self._events.append(Pong(bytes(data)))
        elif opcode is self._opcode.CLOSE:
            close = self._protocol.close_rcvd
            self._close(Closed(int(close.code), close.reason))
        elif frame.fin and opcode is not self._opcode.CONT:
            payload = bytes(data)
            text = payload.decode() if opcode is self._opcode.TEXT else None
            self._events.append(payload if text is None or self._as_bytes else text)
        else:
            self._take_fragment(frame)

    def _fail(self, code: int, reason: str = "") -> None:
        """The peer has broken a rule, or off: called by websockets."""
        fail = functools.partial(type(self._protocol).fail, self._protocol, code, reason)
        if self._protocol.state is self._state.OPEN and code != NO_CLOSE:
            self._unanswered = fail
        else:
            fail()

    def _take_fragment(self, frame: Any) -> None:
        self._in_fragments = not frame.fin
        if frame.opcode is not self._opcode.CONT:
            self._message = bytearray()
            text = frame.opcode is self._opcode.TEXT
            self._decoder = codecs.getincrementaldecoder("utf-8")() if text else None
        assert self._message is not None
        piece: str | bytes = bytes(frame.data)
        if self._decoder is not None:
            text_piece = self._decoder.decode(piece, final=frame.fin)
            if self._streaming and not self._as_bytes:
                piece = text_piece
        if self._streaming:
            self._events.append(Fragment(piece, frame.fin))
        else:
            self._message += frame.data
        if frame.fin:
            message, decoder = self._message, self._decoder
            self._message = self._decoder = None
            if not self._streaming:
                as_text = decoder is not None and not self._as_bytes
                self._events.append(message.decode() if as_text else bytes(message))

    # -- what is sent -----------------------------------------------------------------------------

    def text(self, message: str) -> bytes:
        """Return what sends a text. Raises `LocalProtocolError` before the handshake, and after the end."""
        try:
            payload = message.encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"{shorten(message)} is no text that can be sent: {error}") from None
        return self._whole(_TEXT, _SHORT_TEXT, payload)

    def utf8(self, payload: bytes) -> bytes:
        """Return what sends a text that is given as bytes; `LocalProtocolError` also for what is none."""
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            raise LocalProtocolError(f"{shorten(payload)} cannot be sent as text: {error}") from None
        return self._whole(_TEXT, _SHORT_TEXT, payload)

    def data(self, message: bytes) -> bytes:
        """Return what sends bytes. Raises `LocalProtocolError` before the handshake, and after the end."""
        return self._whole(_DATA, _SHORT_DATA, message)

    def fragment(self, payload: str | bytes, *, last: bool = False) -> bytes:
        """Return what sends a part of a message, whose other parts follow until one is the last.

        Raises `LocalProtocolError` also when the parts are not of the same type.
        """
        self._check_open()
        is_text = isinstance(payload, str)
        raw = payload.encode() if isinstance(payload, str) else payload
        if self._sends_text is None:
            (self._protocol.send_text if is_text else self._protocol.send_binary)(raw, fin=last)
        elif self._sends_text is not is_text:
            raise LocalProtocolError("a message is either text or bytes, in all of its fragments")
        else:
            self._protocol.send_continuation(raw, fin=last)
        self._sends_text = None if last else is_text
        return self.to_send()

    def ping(self, payload: bytes = b"") -> bytes:
        """Return what asks the peer whether it is there; it answers with a `Pong` of the same payload."""
        if len(payload) > 125:
            raise LocalProtocolError(f"a ping has at most 125 bytes, and {shorten(payload)} {len(payload)}")
        self._check_open()
        self._protocol.send_ping(payload)
        return self.to_send()

    def close(self, code: int = NORMAL, reason: str = "") -> bytes:
        """Return what says that we have finished. The peer's `Closed` follows; before that, what it had sent.

        Where the peer has ended already, this is the answer: to its close frame one with its own code, unless
        ours tells of an error; and if it has broken a rule, one that tells which. Nothing is returned when
        that has been said before. Raises `LocalProtocolError` for a code that is not to be sent, or a reason
        of more than 123 bytes.
        """
        if self._protocol.state is self._state.CONNECTING:
            raise LocalProtocolError("the handshake has not been done, so there is nothing to close yet")
        if self._protocol.state is not self._state.OPEN:
            return b""
        from websockets.exceptions import ProtocolError

        if len(reason.encode()) > 123:
            raise LocalProtocolError(f"the reason for a close has at most 123 bytes: {shorten(reason)}")
        broken = self.closed is not None and self.closed.error is not None
        if self._unanswered is None or (code not in GOOD_ENDS and not broken):
            try:
                self._protocol.send_close(code, reason)
            except ProtocolError:
                text = f"{code} is no code to close with: 1000 is, or 3000 to 4999"
                raise LocalProtocolError(text) from None
        if self._unanswered is not None:
            self._answer()
        return self.to_send()

    def _answer(self) -> None:
        """Answer how the peer has ended."""
        assert self._unanswered is not None
        self._protocol.current_size = None  # a message that it has begun will not be finished
        self._unanswered()
        self._unanswered = None
        self._protocol.events.clear()

    @property
    def has_closed(self) -> bool:
        """Whether our close has been sent, or is among what is to be sent."""
        return self._protocol.close_sent is not None

    @property
    def closing(self) -> bool:
        """Whether one of the two has said that it has finished, so that no message can be sent any more."""
        return self._protocol.state is not self._state.OPEN

    def _whole(self, first: int, short: list[bytes], payload: bytes) -> bytes:
        """Return a message in full, in one frame."""
        protocol = self._protocol
        if self._sends_text is not None:
            raise LocalProtocolError("a message in fragments has been begun, and its last is still to come")
        if protocol.state is self._open_state and not (protocol.extensions or self._masks or protocol.writes):
            length = len(payload)
            return (short[length] if length < 126 else _head(first, length)) + payload
        self._check_open()
        (protocol.send_text if first == _TEXT else protocol.send_binary)(payload)
        return self.to_send()

    def _check_open(self) -> None:
        state = self._protocol.state
        if state is not self._state.OPEN:
            what = "has not been opened" if state is self._state.CONNECTING else "has been closed"
            raise LocalProtocolError(f"the connection {what}, so nothing can be sent")

    def _send_frame(self, frame: Any) -> None:
        """Write a frame: called by websockets."""
        frame.check()
        for extension in self._protocol.extensions:
            frame = extension.encode(frame)
        first = frame.fin << 7 | frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4 | frame.opcode
        head, payload = _head(first, len(frame.data), self._mask_bit), frame.data
        if self._masks is not None:
            mask = self._masks.next()
            head, payload = head + mask, self._apply_mask(payload, mask)
        self._protocol.writes.append(head + payload)


class ServerMachine(Machine):
    """The server's side of a connection.

    Arguments:
        subprotocols: those that the server speaks, the best first; a client that speaks none of them is
            refused
        origins: from whose pages a browser may connect: ``"same"`` for those of the host that it asks,
            ``"any"`` for all; or a list of values of ``Origin`` and compiled patterns, and None in it for
            clients that are no browsers
        compression: compress messages, if the client can
        message_limit: bytes of a message
        streaming: tell fragments, see `Fragment`
        as_bytes: tell text as bytes

    Example:
        >>> from kamaelia.protocol.websocket.machine import ServerMachine
        >>> server = ServerMachine()
        >>> _ = server.receive(b"GET /chat HTTP/1.1\\r\\nHost: example.org\\r\\nConnection: Upgrade\\r\\n")
        >>> _ = server.receive(b"Upgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\n")
        >>> (opened,) = server.receive(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n")
        >>> opened.target, server.to_send()[:34]
        ('/chat', b'HTTP/1.1 101 Switching Protocols\\r\\n')
        >>> server.receive(b"\\x81\\x85abcd\\t\\x07\\x0f\\x08\\x0e")
        ['hello']
        >>> server.text("hello")
        b'\\x81\\x05hello'
    """

    def __init__(
        self,
        *,
        subprotocols: Sequence[str] = (),
        origins: Sequence[Any] | str = "same",
        compression: bool = True,
        message_limit: int = MESSAGE_LIMIT,
        streaming: bool = False,
        as_bytes: bool = False,
    ) -> None:
        need_websockets()
        from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
        from websockets.server import ServerProtocol

        extensions = None
        if compression:
            # As websockets itself has it: windows of 4 KiB, for many connections take as many.
            extensions = [
                ServerPerMessageDeflateFactory(
                    server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5}
                )
            ]
        listed: Any = None if isinstance(origins, str) else origins
        protocol = ServerProtocol(
            origins=listed,
            extensions=extensions,
            subprotocols=list(subprotocols) or None,  # type: ignore[arg-type]
            max_size=_limits(message_limit, streaming),
            logger=_silent(),
        )
        super().__init__(
            protocol, message_limit=message_limit, streaming=streaming, as_bytes=as_bytes, chance=None
        )
        # websockets calls these, too.
        protocol.reject = self._reject  # type: ignore[method-assign]
        protocol.send_response = self._send_response  # type: ignore[method-assign]
        if origins == "same":
            protocol.process_origin = self._process_origin  # type: ignore[method-assign]

    def accept(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], version: str = "1.1"
    ) -> Answer:
        """Take a request that somebody else has read, in full and by rules of his own; return the answer.

        He writes that in his own way, so `to_send` does not have it; and unless it is 101 goes on with the
        connection, so it does not say that this ends. What comes then is given to `receive`.
        """
        from websockets.datastructures import Headers
        from websockets.http11 import Request

        protocol, given = self._protocol, Headers(headers)
        if method != "GET":
            self._turn_away(405, f"it is asked for with GET, and not with {shorten(method)}", Allow="GET")
        elif version != "1.1":
            self._turn_away(505, f"it is asked for with HTTP/1.1, and not with HTTP/{version}")
        elif "Transfer-Encoding" in given or not set(given.get_all("Content-Length")) <= {"0"}:
            self._turn_away(400, "the request has a body")
        else:
            protocol.events.append(Request(target, given))
            self._open()
            if self.opened is not None:
                protocol.parser = protocol.parse()  # it has waited for the request
                next(protocol.parser)
        self._told()
        protocol.writes.clear()
        answer = self.answer
        assert answer is not None
        if answer.status == 101:
            return answer
        kept = [pair for pair in answer.headers if pair[0].lower() not in ("connection", "content-length")]
        if any(name.lower() == "upgrade" for name, _ in kept):
            kept.append(("Connection", "Upgrade"))
        return Answer(answer.status, tuple(kept), answer.body)

    def refuse(self, status: int, why: str) -> list[Event]:
        """Answer a request that has not come in full with an error of HTTP."""
        self._turn_away(status, why)
        return self._told()

    def _turn_away(self, status: int, why: str, **headers: str) -> None:
        protocol = self._protocol
        if protocol.state is self._state.CONNECTING and not protocol.eof_sent:
            response = protocol.reject(status, f"Failed to open a WebSocket connection: {why}.\n")
            response.headers.update(headers)
            protocol.send_response(response)
            self._refuse(status, why)

    def _handshake_too_long(self) -> None:
        self._turn_away(431, f"a request of more than {HANDSHAKE_LIMIT} bytes")

    def _open(self) -> None:
        protocol = self._protocol
        for request in protocol.events_received():
            response = protocol.accept(request)
            protocol.send_response(response)
            if response.status_code == 101:
                headers = tuple(request.headers.raw_items())
                self.opened = Opened(request.path, headers, protocol.subprotocol, bool(protocol.extensions))
                self._events.append(self.opened)
            else:
                self._refuse(response.status_code, _why(protocol.handshake_exc))
        if self.opened is None and self.refused is None and protocol.eof_sent:
            if protocol.reader.eof:
                self._refuse(None, "the stream has ended before the request had")
            elif self.answer is not None:
                self._refuse(self.answer.status, _why(protocol.handshake_exc))
            else:  # websockets would just end the stream
                response = protocol.reject(400, "This is no request of HTTP.\n")
                protocol.writes.insert(0, response.serialize())
                self._note_answer(response)
                self._refuse(400, _why(protocol.handshake_exc))

    def _reject(self, status: Any, text: str) -> Any:
        """Make an error of HTTP."""
        response = type(self._protocol).reject(self._protocol, status, text)
        del response.headers["Date"]  # who has no clock gives none (RFC 9110, 6.6.1)
        return response

    def _send_response(self, response: Any) -> None:
        """Write the answer."""
        if response.status_code == 101:
            del response.headers["Date"]
        elif "Upgrade" in response.headers:  # and then it is said twice (RFC 9110, 7.8)
            del response.headers["Connection"]
            response.headers["Connection"] = "close, Upgrade"
        type(self._protocol).send_response(self._protocol, response)
        self._note_answer(response)

    def _note_answer(self, response: Any) -> None:
        headers = tuple(response.headers.raw_items())
        self.answer = Answer(response.status_code, headers, bytes(response.body))

    def _process_origin(self, headers: Any) -> Any:
        """See whether a browser asks on behalf of a page of the same host that it asks."""
        from websockets.exceptions import InvalidOrigin

        origin = type(self._protocol).process_origin(self._protocol, headers)
        if origin is not None and not is_same_host(origin, headers.get_all("Host")):
            raise InvalidOrigin(origin)
        return origin


class ClientMachine(Machine):
    """The client's side of a connection. It begins: see `to_send`.

    Arguments:
        host: of the server, as it stands in the address
        target: what is asked for: the path and the query, escaped
        chance: `ENTROPY` bytes that nobody can foretell
        port: of the server
        secure: the connection is one of TLS
        headers: more of them for the request
        subprotocols: those that the client speaks, the best first
        origin: on whose behalf, for servers that ask
        compression: compress messages, if the server can
        message_limit: bytes of a message
        streaming: tell fragments, see `Fragment`
        as_bytes: tell text as bytes

    Raises `LocalProtocolError` for what cannot stand in a request.

    Example:
        >>> from kamaelia.protocol.websocket.machine import ClientMachine
        >>> client = ClientMachine("example.org", "/chat", chance=bytes(32))
        >>> client.to_send()[:39]
        b'GET /chat HTTP/1.1\\r\\nHost: example.org\\r\\n'
    """

    def __init__(
        self,
        host: str,
        target: str = "/",
        *,
        chance: bytes,
        port: int = 80,
        secure: bool = False,
        headers: Iterable[tuple[str, str]] = (),
        subprotocols: Sequence[str] = (),
        origin: str | None = None,
        compression: bool = True,
        message_limit: int = MESSAGE_LIMIT,
        streaming: bool = False,
        as_bytes: bool = False,
    ) -> None:
        need_websockets()
        from websockets.client import ClientProtocol
        from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
        from websockets.uri import WebSocketURI

        if len(chance) < ENTROPY:
            raise LocalProtocolError(f"a client needs {ENTROPY} bytes of chance, and was given {len(chance)}")
        path, _, query = target.partition("?")
        if not path.startswith("/") or not target.isascii() or not target.isprintable() or " " in target:
            raise LocalProtocolError(
                f"{shorten(target)} cannot be asked for: give a path, escaped, such as '/chat'"
            )
        extensions = None
        if compression:
            settings = {"memLevel": 5}
            extensions = [
                ClientPerMessageDeflateFactory(client_max_window_bits=True, compress_settings=settings)
            ]
        protocol = ClientProtocol(
            WebSocketURI(secure, host, port, path, query),
            origin=origin,  # type: ignore[arg-type]
            extensions=extensions,
            subprotocols=list(subprotocols) or None,  # type: ignore[arg-type]
            max_size=_limits(message_limit, streaming),
            logger=_silent(),
        )
        key = hashlib.shake_256(b"key" + chance).digest(16)
        protocol.key = base64.b64encode(key).decode()
        super().__init__(
            protocol, message_limit=message_limit, streaming=streaming, as_bytes=as_bytes, chance=chance
        )
        request = protocol.connect()
        for name, value in headers:
            request.headers[name] = value
        protocol.send_request(request)

    def _handshake_too_long(self) -> None:
        self._refuse(None, f"the answer has more than {HANDSHAKE_LIMIT} bytes")

    def _open(self) -> None:
        protocol = self._protocol
        response = next((one for one in protocol.events_received() if hasattr(one, "status_code")), None)
        if protocol.handshake_exc is not None:
            status = None if response is None else response.status_code
            if protocol.reader.eof and response is None:
                self._refuse(None, "the server has ended the connection without an answer")
            else:
                self._refuse(status, _why(protocol.handshake_exc))
        elif response is not None:
            headers = tuple(response.headers.raw_items())
            target = protocol.uri.resource_name
            self.opened = Opened(target, headers, protocol.subprotocol, bool(protocol.extensions))
            self._events.append(self.opened)


class _Masks:
    """Masks, as many as are asked for, made of a little chance."""

    def __init__(self, chance: bytes) -> None:
        self._state = b"masks" + chance
        self._pool = b""
        self._at = 0

    def next(self) -> bytes:
        if self._at == len(self._pool):
            made = hashlib.shake_256(self._state).digest(32 + 1024)
            self._state, self._pool, self._at = made[:32], made[32:], 0
        self._at += 4
        return self._pool[self._at - 4 : self._at]


def is_same_host(origin: str, hosts: Sequence[str]) -> bool:
    """Say whether the page of an origin is of the host that a request names in its ``Host``.

    The scheme need not be the same: what stands before a server may have taken the protection off.

    Example:
        >>> is_same_host("https://example.org", ["Example.org"])
        True
        >>> is_same_host("https://example.org:8443", ["example.org"])
        False
    """
    scheme, _, place = origin.lower().partition("://")
    usual = {"http": ":80", "https": ":443"}.get(scheme, "")
    return len(hosts) == 1 and place != "" and hosts[0].lower() in (place, place + usual)


def need_websockets() -> None:
    """Raise `UsageError` unless the package is there that knows the rules."""
    try:
        import websockets.protocol  # noqa: F401
    except ImportError:
        raise UsageError("WebSocket needs a package: pip install 'kamaelia[websocket]'") from None


def _head(first: int, length: int, mask_bit: int = 0) -> bytes:
    """Return what a frame begins with."""
    if length < 126:
        return bytes((first, mask_bit | length))
    if length < 65536:
        return struct.pack("!BBH", first, mask_bit | 126, length)
    return struct.pack("!BBQ", first, mask_bit | 127, length)


def _limits(message_limit: int, streaming: bool) -> Any:
    return (None, message_limit) if streaming else message_limit


def _why(error: BaseException | None) -> str:
    """Return what websockets says of a handshake, with what it says is behind that."""
    parts = []
    while error is not None:
        parts.append(str(error))
        error = error.__cause__
    return "; ".join(parts)


@functools.cache
def _silent() -> logging.Logger:
    """Return a logger for websockets: what there is to say, our own components say."""
    logger = logging.getLogger("kamaelia.websockets")
    logger.propagate = False
    logger.setLevel(logging.CRITICAL + 1)
    return logger
