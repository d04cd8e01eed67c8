"""One request and its answer: what a handler is given.

Theory
------
Most routes are values, functions or components, and never see this. A *handler* is for what these cannot
do: files that go out piece by piece, a proxy, an ASGI application, an upgrade. It is any object with a method
``answer(exchange)``, plain or ``async``::

    class Upper:
        async def answer(self, exchange):
            await exchange.begin(Response(type="text/plain"))
            async for piece in exchange:
                await exchange.send(piece.upper())
            await exchange.finish()

What it returns, if it is not None, is the answer: a `Response`, or any other value that a route may be.
Otherwise it has answered through the exchange. One that has begun and returns is finished for it; one that
raises before it has begun is answered 500, and later the connection is broken, since nothing else tells the
peer that the body is not whole.

The handler runs in the component that speaks HTTP with this peer, one exchange at a time. Each wait is one
for the peer: `Exchange.read` for what it sends, `Exchange.send` until it has room. So a slow peer makes the
handler wait, and a slow handler the peer. When the peer has gone, the next wait raises `BrokenLink`: let it
through. `kamaelia.sleep`, and waits on boxes, end with it as well; waits for anything else do not.

To read and send at the same time a handler may do one of them in a task of its own (`asyncio.TaskGroup`).
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol

from kamaelia.axon import BrokenLink, Inbox, LocalProtocolError, Outbox, Signal, SourceFailed, make, sleep
from kamaelia.axon.errors import shorten
from kamaelia.net.connection import count_in_bytes

from .client_machine import Informational
from .headers import Headers
from .machine import BODY, END, ERROR, Data, EndOfRequest, Refused
from .messages import BYTES, NO_HEADERS, TEXT, Request, Response
from .private import private_inbox, private_outbox

if TYPE_CHECKING:
    from .protocol import HTTPProtocol


WAITING = 256 * 1024  # bytes that wait for a component that answers; and from it, where it sends only bytes
PIECES = 4  # messages that wait from a component that answers: pieces of 64 KiB are usual
IN_A_ROW = 100  # pieces of a body that are read before others have their turn, if all are there already


class Handler(Protocol):
    """What answers requests through an `Exchange`. Any object with this method is one, see above."""

    def answer(self, exchange: Exchange, /) -> Any:
        """Answer. Plain or ``async``; returns a `Response` (or what else a route may be), or None."""


class Trailers:
    """What a component sends last to have headers follow the body: ``Trailers({"Digest": ...})``.

    Clients get them if the body is chunked, which that of a component is, except for HTTP/1.0.
    """

    def __init__(self, headers: Any) -> None:
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)


class Exchange:
    """A request, and the way to answer it; made by `HTTPProtocol` for each.

    The bytes of a request that were not read when it has been answered are read and thrown away, if there
    are few, or else the connection ends.
    """

    __slots__ = (
        "_bytes_read", "_protocol", "_reads", "_whole", "begun", "over", "request", "switched", "trailers",
    )  # fmt: skip

    def __init__(self, protocol: HTTPProtocol, request: Request) -> None:
        self._protocol = protocol
        self._bytes_read = self._reads = 0
        self._whole = False  # the body has been read
        self.request = request
        """What is asked. Its ``body`` is empty: see `read`."""
        self.trailers: Headers | None = None
        """What came behind the body; None before its end."""
        self.begun = False
        """The head of the answer has been sent: it is too late for another one."""
        self.over = False
        """The answer is complete."""
        self.switched = False
        """Another protocol is spoken now."""

    @property
    def bodiless(self) -> bool:
        """The method is HEAD: pieces of the body are not sent, so they need not be made."""
        return self.request.method == "HEAD"

    # -- the request ------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """Return the next piece of the request's body as it comes, b"" at its end (and again after that).

        Asks a client for the body that has waited for that ("Expect: 100-continue"). Raises `Refused`, a
        `RemoteProtocolError`, when the body breaks the rules, comes too slowly, is larger than the limit or
        breaks off; and again after that, so that what has come is never taken for the whole.
        """
        protocol = self._protocol
        machine = protocol.machine
        self._reads += 1
        if not self._reads % IN_A_ROW:
            await sleep(0)  # before it is taken, since whoever waits may be cancelled
        while not self._whole:
            if machine.reading not in (BODY, END, ERROR):
                self._whole = True  # it was answered meanwhile
                break
            most = protocol.site.limits.stream
            if most is not None and self._bytes_read > int(most):
                raise Refused(f"the body is larger than {most} bytes", 413)
            event = machine.next_event()
            if type(event) is Data:
                self._bytes_read += len(event.data)
                if most is None or self._bytes_read <= int(most):
                    return event.data
            elif type(event) is EndOfRequest:
                self._whole = True
                self.trailers = event.trailers
            else:
                await protocol.receive_body()
        return b""

    async def read_all(self, limit: int | None = None) -> bytes:
        """Return the rest of the body. Raises `Refused`, with the status 413, for more bytes than the
        limit: those of `Limits.body` unless it is given."""
        most: Any = self._protocol.site.limits.body if limit is None else limit
        body = io.BytesIO()  # a list of pieces could take a hundred times what is in them
        size = self._protocol.machine.expected or 0
        while most is None or size <= most:
            piece = await self.read()
            if not piece:
                return body.getvalue()
            body.write(piece)
            size = max(size, body.tell())
        raise Refused(f"the body is larger than {most} bytes", 413)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece

    # -- the answer -------------------------------------------------------------------------------

    async def inform(self, status: int, headers: Headers = NO_HEADERS) -> None:
        """Send something ahead of the answer, such as 103 Early Hints."""
        sent = self._protocol.machine.send_information(status, headers)
        if sent:
            await self._protocol.outbox.send(sent)

    async def begin(self, response: Response, length: int | None = None) -> None:
        """Send the status and the headers of the answer, and the bytes in its body if there are any.

        ``length`` is how many bytes of body there will be, if that is known, and becomes Content-Length;
        otherwise the body is chunked (for HTTP/1.0 it ends with the connection).
        """
        protocol = self._protocol
        sent = protocol.begin_answer(response, length)
        self.begun = True
        if isinstance(response.body, bytes) and response.body:
            sent += protocol.machine.send_data(response.body)
        await protocol.outbox.send(sent)

    async def send(self, piece: Any) -> None:
        """Send a piece of the body: bytes, or what the transport knows to send, with a ``count`` of bytes or
        a length. Waits while the peer is behind."""
        machine, outbox = self._protocol.machine, self._protocol.outbox
        if isinstance(piece, (bytes, bytearray, memoryview)):
            data = machine.send_data(bytes(piece))
            if data:
                await outbox.send(data)
            return
        count = getattr(piece, "count", None)
        if not isinstance(count, int):
            try:
                count = len(piece)
            except TypeError:
                raise TypeError(f"a piece of a body is bytes, not {shorten(piece)}") from None
        before, after = machine.around(count)
        if machine.sends_body:
            for one in (before, piece, after):
                if one is piece or one:
                    await outbox.send(one)

    async def finish(self, trailers: Headers = NO_HEADERS) -> None:
        """The body is whole. Trailers go to a client that was answered in chunks; others do without."""
        sent = self._protocol.machine.send_end(trailers)
        self.over = True
        if sent:
            await self._protocol.outbox.send(sent)

    async def answer(self, value: Any) -> None:
        """Answer with whatever a route may be: a `Response`, text, bytes, JSON, a component."""
        await self._protocol.give(self, value)

    # -- another protocol -------------------------------------------------------------------------

    async def switch(self, response: Response) -> bytes:
        """Send the head of a response such as 101, and speak another protocol from here on.

        Returns the bytes that came behind the request already. Whatever else comes is in `inbox`, and what
        is to go out is sent to `outbox`, both plain bytes. The connection ends when the handler returns. The
        request has been answered with that: `Limits.request_timeout` does not count any more.
        """
        await self.read_all()
        sent = self._protocol.machine.switch(response)
        timer = self._protocol.request_timer
        if timer is not None and not timer.expired():
            timer.reschedule(None)
        self.begun = self.over = self.switched = True
        self._protocol.count(self.request, sent[9:12])
        await self._protocol.outbox.send(sent)
        return self._protocol.machine.unread

    @property
    def inbox(self) -> Inbox[bytes]:
        """After `switch`: what comes from the peer."""
        return self._protocol.inbox

    @property
    def outbox(self) -> Outbox[Any]:
        """After `switch`: what goes to the peer."""
        return self._protocol.outbox

    async def serve(self, pattern: Any, first: bytes = b"") -> None:
        """After `switch`: let a component have the connection, and return when it has ended.

        Its ``inbox`` gets ``first`` and then what comes; what its ``outbox`` sends goes to the peer; both
        are bytes. One that fails breaks the connection.
        """
        part = Part(self, pattern, with_body=True, size=f"{WAITING} B")
        await self.relay(part, first)

    async def relay(self, part: Part, first: bytes = b"") -> None:
        """After `switch`: let a component have the connection that has been made before, see `serve`."""

        async def feed() -> None:
            try:
                if first:
                    await part.give(first)
                async for data in self.inbox:
                    await part.give(data)
            except SourceFailed as error:
                part.end_body(error.__cause__)
            except BrokenLink:
                pass  # it wants no more
            part.end_body()

        try:
            async with asyncio.TaskGroup() as tasks:
                feeding = tasks.create_task(feed())
                if part.answers is not None:
                    async for message in part.answers:
                        await self.outbox.send(message)
                await part.over()
                feeding.cancel()
        finally:
            part.leave()

    # -- components -------------------------------------------------------------------------------

    async def run(self, pattern: Any, response: Response | None = None) -> None:
        """Let a component answer; with a response, only for its body."""
        machine = self._protocol.machine
        part = Part(self, pattern, with_body=machine.reading is BODY)
        try:
            if response is not None:
                await self.begin(response)
            if machine.reading is BODY:
                async with asyncio.TaskGroup() as tasks:
                    feeding = tasks.create_task(self._feed(part))
                    await self._pass_on(part)
                    feeding.cancel()
            else:
                self.trailers = self.trailers or NO_HEADERS
                await self._pass_on(part)
            part.leave()
            await part.over()
        finally:
            part.leave()

    async def _feed(self, part: Part) -> None:
        """Give a component the body of the request as it comes, as long as it takes it."""
        try:
            while piece := await self.read():
                await part.give(piece)
        except Refused as error:
            part.refused = error
            part.end_body(error)
        except BrokenLink as error:
            if isinstance(error, SourceFailed):
                part.end_body(error.__cause__)
        else:
            part.end_body()

    async def _pass_on(self, part: Part) -> None:
        """Make the messages of a component the answer."""
        trailers = NO_HEADERS
        try:
            if part.answers is not None:
                async for message in part.answers:
                    if isinstance(message, Trailers):
                        trailers = message.headers
                        continue
                    if isinstance(message, Informational):
                        await self.inform(message.status, message.headers)
                        continue
                    if isinstance(message, str):
                        message, kind = message.encode(), TEXT
                    else:
                        kind = BYTES
                    if isinstance(message, Response):
                        if self.begun:
                            raise LocalProtocolError(
                                f"{part} has sent a Response, and it can be only the first message"
                            )
                        await self.begin(message)
                    else:
                        if not self.begun:
                            await self.begin(Response(type=kind))
                        await self.send(message)
                    if self.bodiless:
                        break
            else:
                await part.over()
                if part.failed:
                    raise PartFailed(part.path)
        except SourceFailed as error:
            if part.refused is not None:
                raise part.refused from None
            if part.answers is not None and part.answers.failure is not None:
                raise PartFailed(part.path) from error.__cause__
            raise
        if not self.begun:
            await self.begin(Response(), 0)
        await self.finish(trailers)


class PartFailed(Exception):
    """A component that answers has failed, which has been logged."""


class Part:
    """A component that answers one request, with the boxes between it and who speaks HTTP."""

    def __init__(
        self, exchange: Exchange, pattern: Any, *, with_body: bool, size: int | str = PIECES
    ) -> None:
        self.refused: Refused | None = None
        """Why the body was not given to it to its end."""
        self.answers: Inbox[Any] | None = None
        """What it sends."""
        self.exchange = exchange
        """What it answers."""
        self.failed = False
        protocol = self._protocol = exchange._protocol
        part = self._part = make(pattern)
        process = protocol._axon
        protocol.serving[part] = self
        protocol.add(part, isolated=True)
        self.path: str = part.path
        boxes = part.boxes
        self._into: Outbox[Any] | None = None
        if with_body and "inbox" in boxes:
            count_in_bytes(boxes["inbox"], WAITING)
            self._into = private_outbox(process, boxes["inbox"])
        if "outbox" in boxes:
            self.answers = private_inbox(process, boxes["outbox"], size)

    def __str__(self) -> str:
        return self.path

    async def give(self, data: bytes) -> None:
        """Send it a piece of the body."""
        if self._into is not None:
            await self._into.send(data)

    def end_body(self, failure: BaseException | None = None) -> None:
        """It will get nothing more; twice is harmless."""
        if self._into is not None:
            self._into.close(failure)

    async def over(self) -> None:
        """Wait until it has ended."""
        protocol = self._protocol
        while self._part in protocol.serving:
            protocol.part_over = Signal("see the end of what answers")
            await protocol.part_over

    def leave(self) -> None:
        """Want nothing more of it, and send it nothing more."""
        self.end_body()
        if self.answers is not None:
            self.answers.close()


__all__ = ["Exchange", "Handler", "Part", "PartFailed", "Trailers"]
