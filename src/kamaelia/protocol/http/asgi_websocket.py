"""WebSocket for applications of ASGI: what `ASGI` does with a request for it.

Theory
------
An application is called with a scope of the type ``websocket``, hears ``websocket.connect``, and says whether
it accepts; only then the handshake is answered. From there on the connection belongs to one
`kamaelia.protocol.websocket.machine.ServerMachine` with two users:

- a task reads the wire. It answers what the machine answers by itself, puts messages where the application
  takes them, and while too many wait there reads nothing, so that the client has to wait. It asks a client
  that is silent whether it is there;
- what the application sends goes to the wire at once, and waits until the client has room.

An application that returns, or fails, has closed (1000, 1011), and the client gets some seconds to close too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from typing import Final

from kamaelia.axon import BrokenLink, EndOfMessages, UsageError, current_component
from kamaelia.axon.errors import shorten
from kamaelia.protocol.websocket.machine import (
    FAILED,
    GOING_AWAY,
    NO_CLOSE,
    NORMAL,
    Closed,
    Event,
    ServerMachine,
    need_websockets,
)

from .asgi import Dialogue, Disconnected, HTTPDialogue, Message, headers_of
from .exchange import Exchange
from .headers import Headers
from .messages import Request, Response

WAITING: Final = 256 * 1024  # bytes of messages that may wait for an application
EACH: Final = 100  # bytes that a message counts for itself
PING: Final = 20.0  # seconds of silence after which a client is asked whether it is there; and to answer
CLOSE: Final = 10.0  # seconds for a client to close, after us


def wants_websocket(request: Request) -> bool:
    """Say whether a request is one for WebSocket, and that is spoken here."""
    headers = request.headers
    if "upgrade" not in headers or "websocket" not in headers.tokens("upgrade"):
        return False
    try:
        need_websockets()
    except UsageError:
        return False
    return "upgrade" in headers.tokens("connection")


def handshake(request: Request, limit: int) -> tuple[ServerMachine, Response]:
    """Return the machine for a connection, and how it answers a request."""
    # Whose pages may connect is said by the application, and so is the subprotocol.
    machine = ServerMachine(message_limit=limit, origins="any")
    answer = machine.accept(request.method, request.target, request.headers.pairs, request.version)
    return machine, Response(answer.body, answer.status, Headers(answer.headers))


class WebSocketDialogue(Dialogue):
    """That about one connection, whose handshake would succeed.

    Arguments:
        exchange: of the request
        machine: for the connection
        response: by which the machine accepts it
        subprotocols: that the client speaks
    """

    def __init__(
        self, exchange: Exchange, machine: ServerMachine, response: Response, subprotocols: Collection[str]
    ) -> None:
        super().__init__(exchange)
        self._accepts = (machine, response)
        self._subprotocols = subprotocols
        self._is_told = False  # that somebody wants to connect
        self._machine: ServerMachine | None = None  # once it has accepted
        self._denial: HTTPDialogue | None = None  # once it has not
        self._reading: asyncio.Task[None] | None = None
        self._waiting: deque[str | bytes] = deque()  # messages for the application
        self._size = 0  # of these
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._end: Message | None = None  # what it is told last

    @property
    def left(self) -> bool:
        """The client has closed, so an application that fails because of it has not failed."""
        return self._end is not None

    # -- what the application calls -----------------------------------------------------------------

    async def receive(self) -> Message:
        """Return the next message of the client, or say that there are no more."""
        if not self._is_told:
            self._is_told = True
            return {"type": "websocket.connect"}
        while not self._waiting:
            if self._end is not None:
                return self._end
            self._news.clear()
            await self._news.wait()
        message = self._waiting.popleft()
        self._size -= len(message) + EACH
        self._room.set()
        return {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}

    async def _send(self, message: Message) -> None:
        """Take a message for the client, or how it is answered."""
        kind, machine = message["type"], self._machine
        if machine is None and kind == "websocket.accept" and self._denial is None:
            await self._accept(message)
        elif machine is None and kind == "websocket.close" and self._denial is None:
            await self._deny({"type": "http.response.start", "status": 403, "headers": []})
            await self._deny({"type": "http.response.body"})
        elif machine is None and kind in ("websocket.http.response.start", "websocket.http.response.body"):
            await self._deny({**message, "type": kind.removeprefix("websocket.")})
        elif machine is not None and kind in ("websocket.send", "websocket.close") and not machine.has_closed:
            if self._end is not None:
                raise Disconnected("the client has closed")
            if kind == "websocket.close":
                frame = machine.close(message.get("code") or NORMAL, message.get("reason") or "")
            elif message.get("bytes") is not None:
                frame = machine.data(bytes(message["bytes"]))
            else:
                frame = machine.text(message["text"])
            await self._exchange.outbox.send(frame)
        elif machine is not None and self._end is not None:
            raise Disconnected("the client has closed")
        else:
            raise RuntimeError(f"the application has sent {shorten(kind)} when that could not be")

    async def _accept(self, message: Message) -> None:
        machine, response = self._accepts
        pairs, subprotocol = [*response.headers.pairs], message.get("subprotocol")
        if subprotocol is not None:
            if subprotocol not in self._subprotocols:
                raise RuntimeError(
                    f"the application accepts as {shorten(subprotocol)}, which the client speaks not"
                )
            pairs.append(("Sec-WebSocket-Protocol", subprotocol))
        pairs += headers_of(message.get("headers", ())).pairs
        first = await self._exchange.switch(response.with_(headers=Headers(pairs)))
        self._machine = machine
        self._reading = asyncio.get_running_loop().create_task(self._read(machine, first))

    async def _deny(self, message: Message) -> None:
        if self._denial is None:
            self._denial = HTTPDialogue(self._exchange)
        try:
            await self._denial.send(message)
        finally:
            self.gone = self._denial.gone
        self._tell_end(NO_CLOSE)

    async def complete(self, *, has_failed: bool) -> None:
        """The application has returned: close, and wait for the client's close.

        Raises if it has not answered, unless there is nobody to answer.
        """
        machine, reading = self._machine, self._reading
        if self._denial is not None:
            return await self._denial.complete(has_failed=has_failed)
        if machine is None or reading is None:
            raise self.gone or RuntimeError("the application has returned, and has given no answer")
        try:
            if self.gone is None and (frame := machine.close(FAILED if has_failed else NORMAL)):
                await self._exchange.outbox.send(frame)
            self._waiting.clear()  # nobody will take them
            self._room.set()
            async with asyncio.timeout(CLOSE):
                await reading
        except TimeoutError:
            pass
        except BrokenLink as error:
            self._lose(error)
        if self.gone is not None:
            raise self.gone

    def leave(self) -> None:
        """It is over, however."""
        if self._reading is not None:
            self._reading.cancel()

    # -- what the client sends ----------------------------------------------------------------------

    async def _read(self, machine: ServerMachine, data: bytes) -> None:
        """Read until the client has closed, or has gone."""
        inbox, send = self._exchange.inbox, self._exchange.outbox.send
        is_asked = False  # whether it is there
        try:
            while True:
                if data or machine.has_more:
                    is_asked = False
                    events = machine.receive(data)
                    if answer := machine.to_send():
                        await send(answer)
                    for event in events:
                        await self._happened(machine, event)
                    if machine.closed is not None:
                        return
                    while self._size > WAITING and not machine.closing:
                        self._room.clear()
                        await self._room.wait()
                    if machine.has_more:
                        data = b""
                        continue
                try:
                    data = await inbox.receive(timeout=PING)
                except TimeoutError:
                    data = b""
                    if is_asked:
                        return
                    if not machine.closing:
                        is_asked = True
                        await send(machine.ping())
        except EndOfMessages:
            is_stop = current_component().system.stopping
            if is_stop and (frame := machine.close(GOING_AWAY)):
                await send(frame)
            self._tell_end(GOING_AWAY if is_stop else NO_CLOSE)
        except BrokenLink as error:
            self._lose(error)
        finally:
            self._tell_end(NO_CLOSE)

    async def _happened(self, machine: ServerMachine, event: Event) -> None:
        if isinstance(event, (str, bytes)):
            if not machine.has_closed:
                self._waiting.append(event)
                self._size += len(event) + EACH
                self._news.set()
        elif isinstance(event, Closed):
            self._tell_end(event.code, event.reason)
            if frame := machine.close():
                await self._exchange.outbox.send(frame)

    def _lose(self, error: BrokenLink) -> None:
        super()._lose(error)
        self._tell_end(NO_CLOSE)

    def _tell_end(self, code: int, reason: str = "") -> None:
        if self._end is None:
            self._end = {"type": "websocket.disconnect", "code": code, "reason": reason}
            self._news.set()


__all__ = ["WebSocketDialogue", "handshake", "wants_websocket"]
