"""Applications of ASGI as routes: Starlette, FastAPI, Django and others answer behind our server.

Theory
------
An ASGI application is called once for each request, with a *scope*, which says what is asked, and two
functions, to ``receive`` the body of the request and to ``send`` the answer, in dictionaries. `ASGI` is a
handler that calls it in the component that speaks HTTP with the client, so it may await whatever the asyncio
world has; its ``receive`` and ``send`` are those of the `Exchange`, and so is their back-pressure.

So it is with WebSocket, see `kamaelia.protocol.http.asgi_websocket`.

When the client leaves, ``receive`` says so (``http.disconnect``), and ``send`` raises `Disconnected`, an
`OSError`, as the specification asks for. What the application raises then is no failure of anybody's.

An application may want to be told when it begins and when it ends (its *lifespan*). For that there is a
component, `Lifespan`, beside everything else in the system, from the first request on, which is answered when
the application has begun. It ends at a stop, when the last request is answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from weakref import WeakKeyDictionary

from kamaelia.axon import (
    BrokenLink,
    Component,
    EndOfMessages,
    Hold,
    Inbox,
    KamaeliaError,
    Signal,
    System,
    UsageError,
    current_component,
    units,
)
from kamaelia.axon.errors import shorten
from kamaelia.net import peer

from .exchange import Exchange
from .headers import Headers
from .incoming import BODILESS
from .messages import Request, Response

log = logging.getLogger("kamaelia")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

VERSIONS = {"version": "3.0", "spec_version": "2.4"}
NEWS: Inbox[None] = Inbox("nothing; but who waits here hears that the client has gone", held=True)


class Disconnected(OSError):
    """The client has gone, so an application can send it nothing more."""


class ASGI:
    """Has an application of ASGI 3 answer: a route, as in ``{"/*": ASGI(app)}`` or ``{"/api/*": ASGI(app)}``.

    Mounted below a path, the application finds that in its ``root_path``. It is given the body of the request
    as it comes, and may answer piece by piece, with trailers as well (``http.response.trailers``). Requests
    for WebSocket get scopes of their own, with ``pip install 'kamaelia[websocket]'``; one that an application
    does not accept is answered 403, or as it says (``websocket.http.response``).

    One that raises before it has begun to answer is answered 500; later, the connection breaks. Either is
    logged, as is one that returns without having answered. One whose start fails ends the whole system: it
    would not work. One that knows nothing of lifespans is left alone with them.

    Arguments:
        application: called with ``scope, receive, send``
        lifespan: tell it when it begins and ends
        message_limit: bytes that a message of WebSocket may have

    Raises `TypeError` for what cannot be called, and `UsageError` for a limit that is none.

    Example:
        >>> import urllib.request
        >>> from kamaelia import background
        >>> from kamaelia.protocol.http import HTTPServer
        >>> async def app(scope, receive, send):
        ...     await send({"type": "http.response.start", "status": 200, "headers": []})
        ...     await send({"type": "http.response.body", "body": scope["path"].encode()})
        >>> with background(HTTPServer({"/*": ASGI(app, lifespan=False)}, port=0, quiet=True)) as server:
        ...     host, port = server.receive("listening")
        ...     urllib.request.urlopen(f"http://{host}:{port}/tea").read()
        b'/tea'
    """

    def __init__(
        self, application: Application, *, lifespan: bool = True, message_limit: int | str = "1 MiB"
    ) -> None:
        if not callable(application):
            raise TypeError(f"ASGI({shorten(application)}): give an application: scope, receive, send")
        self._message_limit = units.size(message_limit, "ASGI(message_limit=...)")
        self.application = application
        self._wants_lifespan = lifespan
        self._lifespans: WeakKeyDictionary[System, Lifespan] = WeakKeyDictionary()

    async def answer(self, exchange: Exchange) -> None:
        """See `Handler`."""
        request = exchange.request
        scope = scope_of(request)
        dialogue: Dialogue | None = None
        if "upgrade" in request.headers:
            from . import asgi_websocket as websocket  # here, as it needs this, and most do without

            if websocket.wants_websocket(request):
                machine, response = websocket.handshake(request, self._message_limit)
                if response.status != 101:
                    await exchange.answer(response)
                    return
                scope = websocket_scope_of(scope, request)
                subprotocols = scope["subprotocols"]
                dialogue = websocket.WebSocketDialogue(exchange, machine, response, subprotocols)
        await self._call(exchange, dialogue or HTTPDialogue(exchange), scope)

    async def _call(self, exchange: Exchange, dialogue: Dialogue, scope: dict[str, Any]) -> None:
        lifespan = await self._begun() if self._wants_lifespan else None
        if lifespan is not None:
            scope["state"] = lifespan.state.copy()
            lifespan.requests += 1
        has_failed = False
        try:
            try:
                await self.application(scope, dialogue.receive, dialogue.send)
            except Exception as error:
                if dialogue.gone is not None:
                    raise dialogue.gone from None
                if not exchange.over:
                    raise
                if not dialogue.left:
                    has_failed = True
                    path = current_component().path
                    log.error(
                        "%s: the application has failed after it had answered: %s",
                        path,
                        error,
                        exc_info=error,
                    )
            await dialogue.complete(has_failed=has_failed)
        finally:
            dialogue.leave()
            if lifespan is not None:
                lifespan.request_over()

    async def _begun(self) -> Lifespan:
        """Return who looks after the application in this system, when that has begun."""
        system = current_component().system
        lifespan = self._lifespans.get(system)
        if lifespan is None:
            lifespan = self._lifespans[system] = Lifespan(self.application, system.loop)
            system.start(lifespan)
        await asyncio.shield(lifespan.begun)
        return lifespan


class Dialogue:
    """One request to an application, until that has returned: what it calls ``receive`` and ``send``."""

    def __init__(self, exchange: Exchange) -> None:
        self.gone: BrokenLink | None = None
        """How it was noticed that the client has gone."""
        self._exchange = exchange

    @property
    def left(self) -> bool:
        """The client has ended it, and well: an application that fails because of that has not failed."""
        return False

    async def receive(self) -> Message:
        """Return what the application is told next."""
        raise NotImplementedError

    async def send(self, message: Message) -> None:
        """Take what the application says. Raises `Disconnected`."""
        if self.gone is not None:
            raise Disconnected("the client has gone") from self.gone
        try:
            await self._send(message)
        except BrokenLink as error:
            self._lose(error)
            raise Disconnected("the client has gone") from error

    async def _send(self, message: Message) -> None:
        raise NotImplementedError

    def _lose(self, error: BrokenLink) -> None:
        """The client has gone."""
        self.gone = self.gone or error

    async def complete(self, *, has_failed: bool) -> None:
        """The application has returned: raise if it has not answered, unless there is nobody to answer."""
        raise NotImplementedError

    def leave(self) -> None:
        """It is over, however."""


class HTTPDialogue(Dialogue):
    """That about a request of HTTP."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self._body_over = False
        self._start: Message | None = None
        self._over = False
        self._trailers: list[tuple[bytes, bytes]] | None = None  # when they are to come
        # For each task in which the application waits for the end: a hold of its box, and what else wakes it.
        self._waiting: list[tuple[Hold[None], Signal]] = []

    async def receive(self) -> Message:
        """Return the next piece of the body, or say that the client has gone or been answered."""
        if not self._body_over:
            try:
                piece = await self._exchange.read()
            except BrokenLink as error:
                self.gone = error
                return {"type": "http.disconnect"}
            self._body_over = not piece
            return {"type": "http.request", "body": piece, "more_body": bool(piece)}
        if not (self._over or self.gone):
            await self._see_the_end()
        return {"type": "http.disconnect"}

    async def _see_the_end(self) -> None:
        """Wait until the client has gone, or is answered.

        An application may do so in a task of its own. Such a task hears that nobody listens to the component
        any more if it waits for one of its boxes (rule 4).
        """
        component = current_component()
        known: Any = component._axon.boxes.get("_client")
        box: Inbox[None] = known or component.add_box("_client", NEWS)
        hold, changed = box.hold(outside=True), Signal("see its client answered")
        self._waiting.append((hold, changed))
        try:
            while not (self._over or self.gone):
                try:
                    # What comes may have been for a task of an earlier request that waited no more.
                    await box.receive()
                except EndOfMessages:  # the system is stopping, and the client may still be there
                    await changed
        except BrokenLink as error:
            self._lose(error)  # only one of several tasks hears it
        finally:
            self._waiting.remove((hold, changed))
            hold.release()

    def _lose(self, error: BrokenLink) -> None:
        super()._lose(error)
        self._tell()

    async def _send(self, message: Message) -> None:
        """Take a part of the answer."""
        kind = message["type"]
        if kind == "http.response.start" and self._start is None:
            self._start = message  # it goes with the first of the body
        elif kind == "http.response.body" and self._start is not None and not self._over:
            if self._trailers is not None:
                raise RuntimeError("the application has sent more of a body that was complete")
            await self._send_body(bytes(message.get("body", b"")), bool(message.get("more_body", False)))
        elif kind == "http.response.trailers" and self._trailers is not None and not self._over:
            self._trailers += message.get("headers", ())
            if not message.get("more_trailers", False):
                await self._finish(headers_of(self._trailers))
        else:
            raise RuntimeError(f"the application has sent {shorten(kind)} when that could not be")

    async def _send_body(self, body: bytes, more: bool) -> None:
        exchange = self._exchange
        assert self._start is not None
        if not exchange.begun:
            headers = headers_of(self._start.get("headers", ()))
            status = self._start["status"]
            length = None if more else len(body)
            if "content-length" in headers:
                length = int(headers["content-length"])
            if status in BODILESS or self._start.get("trailers"):
                length = None
            headers = headers.without("content-length", "transfer-encoding", "connection")
            await exchange.begin(Response(body if not exchange.bodiless else b"", status, headers), length)
        elif body:
            await exchange.send(body)
        if not more:
            if self._start.get("trailers"):
                self._trailers = []
            else:
                await self._finish(Headers())

    async def _finish(self, trailers: Headers) -> None:
        await self._exchange.finish(trailers)
        self._over = True
        self._tell()

    def _tell(self) -> None:
        for hold, changed in self._waiting:
            changed.set()
            if not hold.released:
                hold.send(None)

    async def complete(self, *, has_failed: bool) -> None:
        """See `Dialogue`."""
        if self.gone is not None:
            raise self.gone
        if not self._over:
            what = "part of an answer" if self._exchange.begun else "no answer"
            raise RuntimeError(f"the application has returned, and has given {what}")


class Lifespan(Component):
    """Tells an application that it begins, and that it ends."""

    inbox = Inbox[Any]("stays open until a stop, or until all is at rest", held=True)
    outbox = None

    def __init__(self, application: Application, loop: asyncio.AbstractEventLoop) -> None:
        self.application = application
        self.state: dict[str, Any] = {}
        """What the application keeps, and each request gets."""
        self.begun: asyncio.Future[None] = loop.create_future()
        """Done when it has begun, or does not want to hear of it."""
        self.requests = 0
        """That are being answered."""
        self._answered = Signal("see the last request answered")
        self._told = False

    def request_over(self) -> None:
        """A request has been answered."""
        self.requests -= 1
        self._answered.set()

    async def main(self) -> None:
        scope = {"type": "lifespan", "asgi": VERSIONS, "state": self.state}
        try:
            await self.application(scope, self._receive, self._send)
        except Exception as error:
            if self.begun.done():
                raise
            log.debug("%s: the application knows of no lifespan: %s", self.path, error)
        finally:
            if not self.begun.done():
                self.begun.set_result(None)

    async def _receive(self) -> Message:
        if not self._told:
            self._told = True
            return {"type": "lifespan.startup"}
        try:
            while True:
                await self.inbox.receive()
        except EndOfMessages:
            pass
        while self.requests:
            await self._answered
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete" and not self.begun.done():
            self.begun.set_result(None)
        elif kind in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            what = "has not begun" if kind == "lifespan.startup.failed" else "has not ended well"
            error = KamaeliaError(f"{self.path}: the application {what}: {message.get('message', '')}")
            if not self.begun.done():
                self.begun.set_exception(error)
                self.begun.exception()  # whether or not anybody waits
            raise error


def scope_of(request: Request) -> dict[str, Any]:
    """Return what an application is told of a request."""
    path, rest = request.path, request.arguments.get("rest")
    prefix = path[: len(path) - len(rest)].rstrip("/") if rest is not None and path.endswith(rest) else ""
    try:
        local = peer().local
    except UsageError:
        local = None
    return {
        "type": "http",
        "asgi": VERSIONS,
        "http_version": request.version,
        "method": request.method,
        "scheme": request.scheme,
        "path": path,
        "raw_path": request.raw_path.encode("ascii"),
        "query_string": request.query_string.encode("ascii"),
        "root_path": prefix,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": _address(request.peer),
        "server": _address(local),
        "extensions": {"http.response.trailers": {}},
    }


def websocket_scope_of(scope: dict[str, Any], request: Request) -> dict[str, Any]:
    """Return what an application is told of a request for WebSocket, of what it would be told of another."""
    said = ",".join(request.headers.all("sec-websocket-protocol"))
    changed: dict[str, Any] = {
        "type": "websocket",
        "scheme": "wss" if scope["scheme"] == "https" else "ws",
        "subprotocols": [one for each in said.split(",") if (one := each.strip())],
        "extensions": {"websocket.http.response": {}},
    }
    return {name: value for name, value in scope.items() if name != "method"} | changed


def _address(given: Any) -> tuple[str, int | None] | None:
    if isinstance(given, (tuple, list)) and len(given) >= 2:
        return str(given[0]), int(given[1])
    return (given, None) if isinstance(given, str) and given else None


def headers_of(given: Any) -> Headers:
    """Return headers as an application gives them."""
    return Headers([(name.decode("latin-1"), value.decode("latin-1").strip(" \t")) for name, value in given])


__all__ = ["ASGI", "Dialogue", "Disconnected", "HTTPDialogue", "headers_of"]
