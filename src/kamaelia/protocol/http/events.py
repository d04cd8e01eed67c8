"""Server-sent events: messages from a server to a page that stays open (WHATWG HTML, 9.2).

The body of a response of type ``text/event-stream`` has no end. It is text in lines; an empty one ends an
event:

    event: price          what kind of event; "message" if it is not said
    data: tea 3.20        what it says; several of these are several lines
    id: 17                where to go on after a break: the client says it in `Last-Event-ID`
    retry: 5000           milliseconds to wait before that
    : anything            a comment, such as a sign of life

`Event.wire` writes one; an `EventParser` reads them as bytes come: with a mark of the byte order or without,
with lines that end in any of three ways, and with whatever it does not know passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from kamaelia.axon import Component, EndOfMessages, Inbox, LocalProtocolError, Outbox, RemoteProtocolError
from kamaelia.axon.arguments import check_positive
from kamaelia.axon.errors import shorten

from .headers import Headers
from .messages import Response

TYPE = "text/event-stream"
MOST = 1024 * 1024  # bytes of one event
SIGN_OF_LIFE = b":\n\n"
BEGIN = Response(type=TYPE, headers=Headers({"Cache-Control": "no-cache"}))
"""What a `ServerSentEvents` sends first."""

_LINE_END = re.compile("\r\n|\r|\n")
_WIRE_LINE_END = re.compile(b"\r\n|\r|\n")


@dataclass(frozen=True)
class Event:
    """One event.

    Arguments:
        data: what it says, in one line or several
        event: what kind it is; None for the usual one, which pages call ``message``
        id: where a client is to go on after a break
        retry: seconds that it is to wait before that

    Raises `LocalProtocolError` for what would break out of its line.

    Example:
        >>> Event("tea 3.20\\nmilk 1.10", event="price", id="17").wire
        b'event: price\\nid: 17\\ndata: tea 3.20\\ndata: milk 1.10\\n\\n'
    """

    data: str
    event: str | None = None
    id: str | None = None
    retry: float | None = None

    def __post_init__(self) -> None:
        given: Any = self.data
        if not isinstance(given, str):
            raise LocalProtocolError(f"Event({shorten(given)}): give a text; json.dumps makes one of a value")
        lines: tuple[tuple[str, Any, str], ...] = (("event", self.event, "\r\n"), ("id", self.id, "\r\n\0"))
        for name, value, wrong in lines:
            if value is not None and (not isinstance(value, str) or set(value) & set(wrong)):
                raise LocalProtocolError(f"Event({name}={shorten(value)}): give one line of text")
        retry: Any = self.retry
        if retry is not None and not (isinstance(retry, (int, float)) and 0 <= retry < 1e9):
            raise LocalProtocolError(f"Event(retry={shorten(retry)}): give the seconds, 0 or more")

    @property
    def wire(self) -> bytes:
        """The event as it is sent."""
        lines = []
        if self.event is not None:
            lines.append(f"event: {self.event}\n")
        if self.id is not None:
            lines.append(f"id: {self.id}\n")
        if self.retry is not None:
            lines.append(f"retry: {round(self.retry * 1000)}\n")
        lines += [f"data: {line}\n" for line in _LINE_END.split(self.data)]
        return "".join([*lines, "\n"]).encode("utf-8", "replace")


class EventParser:
    """Takes the bytes of a stream as they come, and gives its events.

    An event that is cut off by the end of the stream is none. The `id` of each is the last that was said.
    Raises `RemoteProtocolError` when one is too long.

    Arguments:
        last_id: where to go on, as a stream before this one has said
        most: bytes that one event may have

    Example:
        >>> EventParser().feed(b"id: 1\\ndata: tea\\n\\n: alive\\n\\ndata: mi")
        [Event(data='tea', event=None, id='1', retry=None)]
    """

    def __init__(self, *, last_id: str | None = None, most: int = MOST) -> None:
        self.last_id = last_id
        """What to say in ``Last-Event-ID`` after a break; None for nothing."""
        self.retry: float | None = None
        """Seconds to wait before that, if the server has said so."""
        self._most = most
        self._left = bytearray()  # of a line whose end has not come
        self._begun = False  # a line has come, before which there might have been a mark of the byte order
        self._after_return = False  # the line before ended with CR, of which LF may be the other half
        self._id = last_id
        self._kind = ""
        self._data: list[str] = []
        self._size = 0  # of the event so far

    def feed(self, data: bytes) -> list[Event]:
        """Take some more, and return the events that are whole by now."""
        if self._after_return and data:
            self._after_return = False
            if data[0] == 10:
                data = data[1:]
        events: list[Event] = []
        at = 0
        for end in _WIRE_LINE_END.finditer(data):
            line = data[at : end.start()]
            if self._left:
                line = bytes(self._left + line)
                self._left.clear()
            at = end.end()
            self._count(len(line))
            self._take(line, events)
        self._after_return = data.endswith(b"\r")
        self._left += data[at:]
        self._count(0)
        return events

    def _count(self, more: int) -> None:
        self._size += more
        if self._size + len(self._left) > self._most:
            raise RemoteProtocolError(f"an event has more than {self._most} bytes")

    def _take(self, wire: bytes, events: list[Event]) -> None:
        line = wire.decode("utf-8", "replace")
        if not self._begun:
            self._begun = True
            line = line.removeprefix("\ufeff")
        if not line:
            self._dispatch(events)
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id":
            if "\0" not in value:
                self._id = value
        elif name == "retry":
            if value.isascii() and value.isdigit() and len(value) < 13:
                self.retry = int(value) / 1000
        elif not name:
            self._size -= len(wire)  # a comment is no part of an event

    def _dispatch(self, events: list[Event]) -> None:
        self.last_id = self._id
        if self._data:
            events.append(Event("\n".join(self._data), self._kind or None, self._id))
        self._kind = ""
        self._data = []
        self._size = 0


class ServerSentEvents(Component):
    """Answer a request with events: a route's part, behind whatever has something to tell.

    Inbox: ``inbox``, what to tell: an `Event`, or text for one without a name. Outbox: ``outbox``, a
    `Response`, at once, and then bytes.

    It ends when its inbox does, and then the client comes back and asks again. When what feeds it fails, the
    response is broken off; a stop ends it when all that has come is sent. Back-pressure: it waits for a slow
    client. When there was nothing to tell for a while it sends a comment, so that nobody on the way takes the
    connection for a dead one, and so that a client that has gone is noticed.

    Arguments:
        keep_alive: seconds of silence before that; None for never

    Raises `LocalProtocolError` for a message that is no event.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source
        >>> run(Source(["tea", Event("milk", id="2")]) | ServerSentEvents() | Collect())[1:]
        [b'data: tea\\n\\n', b'id: 2\\ndata: milk\\n\\n']
    """

    inbox = Inbox[Any]("events, or text")
    outbox = Outbox[Any]("a response, and then bytes")

    def __init__(self, *, keep_alive: float | None = 15.0) -> None:
        if keep_alive is not None:
            what = f"ServerSentEvents(keep_alive={shorten(keep_alive)})"
            check_positive(what, keep_alive, "the seconds of silence before a sign of life")
        self.keep_alive = keep_alive

    async def main(self) -> None:
        await self.outbox.send(BEGIN)
        receive = self.inbox.receive
        while True:
            try:
                message = await receive(timeout=self.keep_alive)
            except TimeoutError:
                await self.outbox.send(SIGN_OF_LIFE)
            except EndOfMessages:
                return
            else:
                await self.outbox.send(self._wire(message))

    def _wire(self, message: Any) -> bytes:
        if isinstance(message, str):
            message = Event(message)
        if not isinstance(message, Event):
            raise LocalProtocolError(
                f"{self.path} sends text or an Event, but got {shorten(message)}: put Map(...) before it, "
                "that makes text of it, such as Map(json.dumps)"
            )
        return message.wire


__all__ = ["Event", "EventParser", "ServerSentEvents"]
