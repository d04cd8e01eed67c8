"""Our routes as an application of ASGI: what answers behind `HTTPServer` answers behind uvicorn and others.

Theory
------
Functions, components and handlers need `HTTPProtocol` around them, and that needs a system of ours. The
system runs on the loop of whoever calls the application; it begins with the server's lifespan and ends with
it.

For each request there is an `HTTPProtocol` in it as if for a connection of its own, and at the other end of
that connection our own client, which makes of a request bytes, and of bytes an answer:

    server of ASGI --requests--> HTTPClientProtocol --bytes--> HTTPProtocol --> routes
                   <--responses--                   <--bytes--

So there is one way in which routes answer, with the same limits, back-pressure and failures. It costs what it
costs to write and read a head twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from kamaelia.axon import (
    BrokenLink,
    ClosedBox,
    Component,
    ComponentsFailed,
    Hold,
    Inbox,
    Outbox,
    SourceFailed,
    System,
    UsageError,
)
from kamaelia.axon.errors import shorten
from kamaelia.net import SendFile

from .asgi import Message, Receive, Send
from .client_machine import EndOfResponse
from .client_protocol import Begin, End, HTTPClientProtocol
from .headers import Headers
from .limits import Limits
from .messages import Request, Response
from .private import private_inbox
from .protocol import HTTPProtocol, Site
from .proxy import without_connection
from .routes import Routes
from .static import in_thread

PIECE = 256 * 1024  # bytes of a file that are read at a time


def asgi_application(
    routes: Mapping[Any, Any] | Routes, *beside: Any, limits: Limits | None = None, parser: str = "auto"
) -> Application:
    """Make an application of ASGI 3 of routes, for any server of such.

    Requests are answered as `HTTPServer` answers them. What can't be had behind such a server are handlers
    that speak another protocol (`Exchange.switch`).

    Arguments:
        routes: a mapping of paths to what answers, see `HTTPProtocol`
        beside: components that run beside them, such as the `Backplane` to which they subscribe
        limits: what clients may do, see `Limits`
        parser: see `HTTPProtocol`

    Example:
        In ``shop.py``: ``app = asgi_application({"/": "<h1>Tea"})``; then ``uvicorn shop:app``.
    """
    return Application(Site(routes, limits, parser, None), beside)


class Application:
    """What `asgi_application` returns.

    The server's lifespan begins and ends its system. Behind one that has none the first request begins it,
    and `stop` has to be awaited at last. What fails beside the routes ends the system: then every request
    is an error, and so is the end of the lifespan.
    """

    def __init__(self, site: Site, beside: tuple[Any, ...]) -> None:
        self._site = site
        self._beside = beside
        self._system: System | None = None
        self._host: _Host | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(receive, send)
        elif kind == "http":
            await self._answer(scope, receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close"})
        else:
            raise UsageError(f"an application of routes does not speak {shorten(kind)}")

    async def stop(self) -> None:
        """End the system, and wait until it has ended. Raises what it has failed with."""
        system, self._system, self._host = self._system, None, None
        if system is not None:
            if not system.is_over:
                system.stop()
            await system.wait()
            system.outcome()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            try:
                await self._running()
            except UsageError:  # it has ended already
                await self.stop()
                raise
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": _text_of(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await self.stop()
        except Exception as error:
            await send({"type": "lifespan.shutdown.failed", "message": _text_of(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    async def _running(self) -> _Host:
        """Return the component in which requests are answered; begin its system if there is none."""
        loop = asyncio.get_running_loop()
        if self._system is None or self._system.loop is not loop:
            self._system = System(loop)
            self._host = _Host(self._site)
            self._system.start(self._host, *self._beside)
        if self._host is not None:
            await self._host.begun.wait()
        if self._host is None or self._host.done():
            raise UsageError("the system in which the routes answer has ended")
        return self._host

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        host = await self._running()
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        visit = host.visit(scope)
        try:
            async with asyncio.TaskGroup() as tasks:
                feeding = tasks.create_task(visit.ask(scope, message, receive))
                await visit.answer(send, "http.response.trailers" in (scope.get("extensions") or {}))
                feeding.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            visit.leave()


class _Host(Component):
    """In which all requests are answered: the chassis of their protocols, which outlives its own ``main``."""

    inbox = Inbox[Any]("stays open until a stop")
    outbox = None

    def __init__(self, site: Site) -> None:
        self._axon.given_name = "asgi"
        self._site = site
        self._hold = self.inbox.hold(outside=True)
        self._numbers = 0
        self.begun = asyncio.Event()
        """It has taken its first step, or will never do so."""
        self.add_done_callback(lambda _: self.begun.set())

    async def main(self) -> None:
        self.begun.set()
        async for _ in self.inbox:
            pass

    def visit(self, scope: Message) -> _Visit:
        """Make what one request needs."""
        if self._hold.released:
            raise UsageError("the system in which the routes answer is stopping")
        self._numbers += 1
        name = f"request-{self._numbers}"
        protocol = self.add(
            _Behind(self._site, scope["scheme"], scope.get("client")), name=name, isolated=True
        )
        files = self.add(_Files(), name=f"{name}-files", isolated=True)
        client = self.add(HTTPClientProtocol(), name=f"{name}-client", isolated=True)
        self.link(client.outbox, protocol.inbox)
        self.link(protocol.outbox, files.inbox)
        self.link(files.outbox, client.inbox)
        return _Visit(self, client.boxes["requests"].hold(outside=True), client.boxes["responses"])


class _Visit:
    """One request, seen by the server of ASGI. It runs in a task of that server's, not in a component."""

    def __init__(self, host: _Host, requests: Hold[Any], responses: Any) -> None:
        self._requests = requests
        self._responses: Inbox[Any] = private_inbox(host._axon, responses)
        self._responses.resize(2)

    async def ask(self, scope: Message, message: Message, receive: Receive) -> None:
        """Pass on the request, and then see the client leave."""
        body, more = message.get("body", b""), message.get("more_body", False)
        try:
            await self._requests.send(Begin(*_request(scope, None if more else len(body))))
            while True:
                if body:
                    await self._requests.send(body)
                if not more:
                    break
                message = await receive()
                if message["type"] == "http.disconnect":
                    self._responses.close()
                    return
                body, more = message.get("body", b""), message.get("more_body", False)
            await self._requests.send(End())
            self._requests.release()
        except BrokenLink:
            pass  # it has been answered before it was asked to its end
        while (await receive())["type"] != "http.disconnect":
            pass
        self._responses.close()

    async def answer(self, send: Send, has_trailers: bool) -> None:
        """Pass on the answer."""
        try:
            async for event in self._responses:
                if isinstance(event, Response):
                    await send(_start_of(event, has_trailers))
                elif isinstance(event, bytes):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
                elif isinstance(event, EndOfResponse):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    if has_trailers:
                        await send({"type": "http.response.trailers", "headers": _pairs(event.trailers)})
                    return
        except ClosedBox:
            return  # the client has gone
        except SourceFailed as error:  # which has been logged
            raise RuntimeError("the answer of the routes has been broken off") from error.__cause__
        raise RuntimeError("the answer of the routes has been broken off")

    def leave(self) -> None:
        """It is over, however."""
        self._requests.release()
        self._responses.close()


class _Behind(HTTPProtocol):
    """Knows from the server of ASGI what it cannot know from a connection."""

    def __init__(self, site: Site, scheme: str, peer: Any) -> None:
        super().__init__(site)
        self._scheme, self._peer = scheme, None if peer is None else tuple(peer)

    def _find_peer(self) -> tuple[str, Any]:
        return self._scheme, self._peer


class _Files(Component):
    """Makes bytes of what a connection would have sent by itself."""

    inbox = Inbox[Any]("bytes, and parts of files", size="64 KiB")
    outbox = Outbox[bytes]("bytes")

    async def main(self) -> None:
        async for message in self.inbox:
            if isinstance(message, SendFile):
                await self._send_file(message)
            else:
                await self.outbox.send(message)

    async def _send_file(self, message: SendFile) -> None:
        file, left = message.file, message.count
        try:
            await in_thread(file.seek, message.offset)
            while left:
                data = await in_thread(file.read, min(left, PIECE))
                if not data:
                    raise OSError(f"the file has become shorter: {left} bytes are missing")
                left -= len(data)
                await self.outbox.send(data)
        finally:
            message.close()


def _text_of(error: Exception) -> str:
    return "; ".join(map(str, error.exceptions if isinstance(error, ComponentsFailed) else [error]))


def _request(scope: Message, length: int | None) -> tuple[Request, int | None]:
    """Return the request of a scope, and how long its body is."""
    raw = scope.get("raw_path")
    path = raw.decode("ascii") if raw else ""
    if not path.startswith("/"):
        from urllib.parse import quote

        path = quote(scope["path"]) or "/"
    prefix = scope.get("root_path", "")
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        path = path[len(prefix) :] or "/"
    query = scope.get("query_string", b"").decode("latin-1")
    headers = Headers.from_wire([(name, value) for name, value in scope["headers"]])
    said = headers.get("content-length", "")
    if length is None and said.isdigit():
        length = int(said)
    headers = without_connection(headers).without("content-length", "expect", "http2-settings")
    headers = headers.with_({"Connection": "close"})
    if "host" not in headers:
        host, port = (scope.get("server") or ("localhost", None))[:2]
        headers = headers.with_({"Host": host if port is None else f"{host}:{port}"})
    return Request(scope["method"], f"{path}?{query}" if query else path, headers), length


def _start_of(response: Response, has_trailers: bool) -> Message:
    # The server says these itself.
    headers = response.headers.without("connection", "date", "keep-alive", "transfer-encoding")
    return {
        "type": "http.response.start",
        "status": response.status,
        "headers": _pairs(headers),
        "trailers": has_trailers,
    }


def _pairs(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers.raw]


__all__ = ["Application", "asgi_application"]
