"""One connection of a client: a component between the bytes of a transport and requests and responses.

It knows nothing of where the bytes go, so it works with every transport, and none::

    Graphline(
        http=HTTPClientProtocol(),
        tcp=TCPClient("example.org", 80),
        linkages={
            ("self", "requests"): ("http", "requests"),
            ("http", "outbox"): ("tcp", "inbox"),
            ("tcp", "outbox"): ("http", "inbox"),
            ("http", "responses"): ("self", "responses"),
        },
    )

HTTP/1.1 is one thing after the other, and so are the messages: a `Request`, or a `Begin`, parts of a body and
an `End`; back come a `Response` that is a head, parts of its body, and an `EndOfResponse`.

To both sides it listens at once. While the transport takes nothing, it takes no more of a request, but still
reads: a server that has had enough says so, and does not read on. While nobody takes a response it reads
nothing, and in the end the server has to wait.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from kamaelia.axon import (
    BrokenLink,
    Component,
    EndOfMessages,
    Inbox,
    KamaeliaError,
    LocalProtocolError,
    Outbox,
    RemoteProtocolError,
    clock,
    select,
)
from kamaelia.axon.arguments import check_positive, check_whole
from kamaelia.axon.errors import shorten

from .client_machine import HEAD_LIMIT, ClientMachine, EndOfResponse, Informational, Switched, Unanswered
from .headers import Headers
from .messages import Request, Response, reason
from .room import Room, is_over

GO_ON: float = 1.0  # seconds that a server has to say whether it wants a body, RFC 9110, 10.1.1


@dataclass(frozen=True)
class Begin:
    """The head of a request whose body follows: parts of it as bytes, and an `End`."""

    request: Request
    """Its own ``body`` is not sent."""
    length: int | None = None
    """How many bytes the body has; None if that is not known, it goes out in chunks then."""


@dataclass(frozen=True)
class End:
    """The body of a request is complete."""

    trailers: Headers = field(default_factory=Headers)
    """Headers to come after it; only where its length was not known."""


@dataclass(frozen=True)
class Tunnel:
    """Ask a proxy for a way to somewhere else first, and then speak HTTP through it."""

    address: str
    """Where to: host and port."""
    headers: Headers = field(default_factory=Headers)
    """For the proxy, such as ``Proxy-Authorization``."""
    then: Any = None
    """A message for the transport when there is a way, such as one that begins TLS; None for none."""


class ProxyRefused(KamaeliaError):
    """A proxy does not make a way to where it was asked to."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status
        """What the proxy has answered."""


class HTTPClientProtocol(Component):
    """Speaks HTTP/1.1 with one server, as a client: requests go in, responses come out, in the same order.

    Inbox: ``requests``, a `Request` with its body; or a `Begin`, the body as bytes, and an `End`; and
    ``inbox``, bytes from the server. Outbox: ``responses``, for each request an `Informational` if the server
    sends any, a `Response` without its body, the body as bytes, and an `EndOfResponse`; and ``outbox``, bytes
    for the server. After a `Switched` bytes go through as they are, both ways.

    A request goes out as it is: its target is what the server gets, ``Host`` has to be among its headers.
    One that has ``Expect: 100-continue`` keeps its body back until the server wants it, or has said nothing
    for a second. When the server refuses (a status from 300 on) before all of a body is sent, the rest is
    not.

    Ending: when ``requests`` has ended and all are answered; or when the server or a request has asked for
    it, or the server has closed the connection and owes no answer; `EndOfResponse.reusable` says so before.
    Failure: `RemoteProtocolError` for what the server must not send, such as half a body; `Unanswered` when
    it closes without an answer; `LocalProtocolError` for what it must not be sent. A transport that breaks,
    and a request that does, is a failed source. Stop: the transport ends what comes from the server; an
    answer of which there is more to come then has no `EndOfResponse`. Back-pressure: both ways, see above; a
    request is taken when the one before is answered, or with ``pipeline`` as many as that. It holds nothing
    open.

    Arguments:
        pipeline: how many requests may be on their way at a time
        head_limit: bytes that the head of a response may have
        tunnel: through which to reach the server, see `Tunnel`
        go_on: seconds to wait for ``100 Continue``

    Example:
        >>> from kamaelia.protocol.http import Headers, HTTPClientProtocol, Request
        >>> from kamaelia.testing import drive
        >>> with drive(HTTPClientProtocol()) as http:
        ...     http.send(Request("GET", "/", Headers({"Host": "example.org"})), box="requests")
        ...     print(http.take())
        ...     http.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
        ...     head, body, end = http.take_all("responses")
        ...     print(head.status, body, end.reusable)
        b'GET / HTTP/1.1\\r\\nHost: example.org\\r\\n\\r\\n'
        200 b'hello' True
    """

    inbox = Inbox[bytes]("bytes from the server", size="128 KiB")
    outbox = Outbox[bytes]("bytes for the server")
    requests = Inbox[Any]("requests, whole or in parts", size=4)
    responses = Outbox[Any]("the head of a response, its body, and its end")

    def __init__(
        self,
        *,
        pipeline: int = 1,
        head_limit: int = HEAD_LIMIT,
        tunnel: Tunnel | None = None,
        go_on: float = GO_ON,
    ) -> None:
        name = type(self).__name__
        check_whole(f"{name}(pipeline={shorten(pipeline)})", pipeline, "how many requests to send ahead", 1)
        check_whole(f"{name}(head_limit={shorten(head_limit)})", head_limit, "the bytes of a head", 100)
        check_positive(f"{name}(go_on={shorten(go_on)})", go_on, "the seconds to wait for '100 Continue'")
        self._options: dict[str, Any] = {"pipeline": pipeline, "head_limit": head_limit}
        self._tunnel = tunnel
        self._go_on = go_on
        self._machine = ClientMachine(**self._options)
        self._is_whole = True  # the request taken last needs no End
        self._wants_no_more = False  # the server has refused what it is being sent
        self._waits_until: float | None = None  # when a body is sent that nobody has asked for
        self._held = b""  # the body of a whole request, until then
        self._can_write = True
        self._asked: deque[str] = deque()  # what was asked for and is not answered, for errors
        self._room = Room(self, self.outbox)

    @property
    def answering(self) -> bool:
        """Whether some of the answer to what was asked last has come."""
        return self._machine.answering

    async def main(self) -> None:
        try:
            await self._speak()
        except RemoteProtocolError:
            if self._is_whole:
                self.outbox.close()  # what we have sent is good: there is nothing to be broken off
            raise

    async def _speak(self) -> None:
        if self._tunnel is not None:
            await self._dig(self._tunnel)
        while not self._machine.finished:
            if is_over(self.inbox):
                await self._end_of_server()
                if self.system.stopping:
                    return
                break
            boxes: list[Inbox[Any]] = [self._room.news, self.inbox]
            if self._wants_requests() and not is_over(self.requests):
                boxes.append(self.requests)
            elif is_over(self.requests) and self._is_done():
                if not self._machine.switched:
                    return
                self.outbox.close()  # what the server still says is passed on
            until = boxes[1:]
            left = None if self._waits_until is None else max(0.0, self._waits_until - clock())
            try:
                box, message = await select(*boxes, until=until, timeout=left)
            except TimeoutError:
                self._go_on_with_body()
            except EndOfMessages:
                if is_over(self.requests) and not self._is_whole:
                    if self.system.stopping:
                        return  # the server sees that something is missing
                    raise LocalProtocolError(
                        f"{self.path}: the requests ended in the middle of a body: send an End() after it"
                    ) from None
            else:
                if box is self.inbox:
                    await self._receive(message)
                elif box is self.requests:
                    self._request(message)
        if self._asked:  # sent ahead, to a server that closes
            raise Unanswered(f"{self.path}: the server closes, and has not answered {', '.join(self._asked)}")

    def _wants_requests(self) -> bool:
        """Say whether the next message of a request can be sent on."""
        if not self._can_write or self.outbox.closed or self._wants_no_more or not self._room.is_there():
            return False
        if self._machine.switched:
            return True
        return self._waits_until is None if self._machine.sending else self._machine.can_send_request

    def _is_done(self) -> bool:
        return self._is_whole and (self._machine.switched or not self._machine.open)

    # -- to the server ------------------------------------------------------------------------------

    def _request(self, message: Any) -> None:
        machine = self._machine
        if machine.switched:
            self._write(message)
        elif isinstance(message, Request):
            self._check_whole(message)
            self._asked.append(f"{message.method} {shorten(message.target)}")
            head = machine.send_request(message, len(message.body))
            if machine.waits_to_continue:
                self._write(head)
                self._held, self._waits_until = message.body, clock() + self._go_on
            else:
                self._write(head + self._whole_body(message.body))
        elif isinstance(message, Begin):
            self._check_whole(message)
            self._is_whole = message.length == 0
            request = message.request
            self._asked.append(f"{request.method} {shorten(request.target)}")
            self._write(machine.send_request(request, message.length))
            if machine.waits_to_continue:
                self._waits_until = clock() + self._go_on
        elif isinstance(message, (bytes, bytearray, memoryview)):
            if message:
                self._write(machine.send_data(message))
        elif isinstance(message, End):
            self._is_whole = True
            self._write(machine.send_end(message.trailers))
        else:
            raise TypeError(
                f"{self.path} takes a Request, or Begin, bytes and End, but got {shorten(message)}"
            )

    def _go_on_with_body(self) -> None:
        """The server wants the body, or has not said that it does not."""
        self._waits_until = None
        held, self._held = self._held, b""
        self._write(self._whole_body(held))

    def _whole_body(self, body: bytes) -> bytes:
        return self._machine.send_data(body) + self._machine.send_end() if body else b""

    def _check_whole(self, message: Any) -> None:
        if not self._is_whole:
            raise LocalProtocolError(
                f"{self.path}: {shorten(message)} came in the middle of a body: send an End() after it"
            )

    def _write(self, data: Any) -> None:
        if data == b"":
            return
        try:
            self.outbox.send(data)
        except BrokenLink:  # the inbox is about to say why
            self._can_write = False

    # -- from the server ----------------------------------------------------------------------------

    async def _receive(self, data: bytes) -> None:
        if self._machine.switched:
            await self.responses.send(data)
            return
        self._machine.receive(data)
        await self._pass_on()

    async def _pass_on(self) -> None:
        """Send on what the machine has understood."""
        try:
            while (event := self._machine.next_event()) is not None:
                if isinstance(event, (Response, Informational)):
                    if self._machine.answers_too_early and event.status >= 300:
                        self._wants_no_more = True
                        self._held = b""
                    if self._waits_until is not None and not self._machine.waits_to_continue:
                        self._go_on_with_body()
                elif isinstance(event, EndOfResponse):
                    self._asked.popleft()
                    self._is_whole = self._is_whole or not self._machine.sending
                elif isinstance(event, Switched):
                    self._asked.popleft()
                    await self.responses.send(event)
                    if event.rest:
                        await self.responses.send(event.rest)
                    continue
                await self.responses.send(event)
        except RemoteProtocolError as error:
            asked = f" ({self._asked[0]})" if self._asked else ""
            raise type(error)(f"{self.path}: {error}{asked}") from error.__cause__

    async def _end_of_server(self) -> None:
        """The server has ended its half of the connection."""
        if self._machine.switched:
            return
        self._machine.receive_end()
        try:
            await self._pass_on()
        except RemoteProtocolError:
            if not self.system.stopping:  # else it is we who have stopped to listen
                raise

    async def _dig(self, tunnel: Tunnel) -> None:
        """Ask a proxy for a way."""
        machine = ClientMachine(head_limit=self._options["head_limit"])
        ask = Request(
            "CONNECT", tunnel.address, Headers({"Host": tunnel.address}).with_(tunnel.headers.pairs)
        )
        self._write(machine.send_whole(ask))
        while True:
            try:
                machine.receive(await self.inbox.receive())
            except EndOfMessages:
                machine.receive_end()
            while (event := machine.next_event()) is not None:
                if isinstance(event, Switched):
                    if event.rest and tunnel.then is not None:
                        raise RemoteProtocolError(f"{self.path}: the server spoke before TLS had begun")
                    if tunnel.then is not None:
                        self._write(tunnel.then)
                    elif event.rest:
                        self._machine.receive(event.rest)
                    return
                if isinstance(event, Response) and event.status >= 300:
                    raise ProxyRefused(
                        f"{self.path}: the proxy makes no way to {tunnel.address}: {event.status} "
                        f"{reason(event.status)}. Check its address, and name and password in it",
                        event.status,
                    )


__all__ = ["Begin", "End", "HTTPClientProtocol", "ProxyRefused", "Tunnel"]
