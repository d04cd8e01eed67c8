"""A WebSocket client: one connection to a server, made again if need be."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kamaelia.axon import BrokenLink, Failure, Hold, Inbox, Outbox, SourceFailed, lifecycle, postman
from kamaelia.axon.component import Component
from kamaelia.axon.errors import KamaeliaError, RemoteProtocolError, shorten
from kamaelia.axon.graph import Chassis
from kamaelia.chassis import Backoff, Retry
from kamaelia.net import CannotConnect, ClientTLS, ConnectionLost, Reconnect, TCPClient
from kamaelia.net.connection import address_text
from kamaelia.protocol.http import Headers

from .arguments import check_texts
from .conversation import Conversation, Counts, Reader, Settings, WebSocketStatistics, Writer, chance
from .machine import NORMAL, ClientMachine, Machine, Opened, Refused, need_websockets

LATER: Final = frozenset({408, 425, 429, *range(500, 600)})
"""What a server answers that may think otherwise later."""


class HandshakeRefused(KamaeliaError):
    """A server does not want to speak WebSocket with this client; ``status`` is what it has answered."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class WebSocketClient(Chassis):
    """Connects to a WebSocket server: each message that arrives in the inbox goes there, and each from there
    goes to the outbox.

    Inbox: ``inbox``, str for text, bytes for data. Outbox: ``outbox``, the same; only bytes with
    ``messages=bytes``, and only str with ``messages=str``.

    The end of the inbox closes the connection, and what the server still had to say goes to the outbox before
    that ends. (A server may leave that unsaid: WebSocket knows no half of a connection. Ours does not.) An
    inbox to which nothing is linked closes nothing: the client listens until the server closes. It ends when
    both have closed, and closes when nobody reads its outbox.

    Without ``reconnect`` a server that closes (codes 1000, 1001, none) ends the client; another code, no
    close, and a server that breaks the protocol or does not answer a ping, are failures of it. With
    ``reconnect``, the client connects again whenever the connection ends before the inbox has, in whichever
    of these ways, and when there is none because nobody is there, or not now (answers such as 408, 429 and
    503): what is in the inbox waits, and the outbox stays open. What had been taken from the inbox may or may
    not have arrived. A server that refuses in another way ends it all the same.

    A stop closes with "going away" (1001). A slow reader of the outbox stops the reading of the wire, a slow
    server who sends to the inbox.

    Arguments:
        url: ``"ws://host:port/path?query"``, or ``"wss://..."`` for a protected connection
        messages: what comes out: ``bytes`` for everything as bytes, ``str`` for text only, or both
        headers: more headers for the request
        subprotocols: those that the client speaks, the best first
        origin: on behalf of whose page, for servers that ask
        compression: compress messages, if the server can (permessage-deflate)
        message_limit: bytes of one message, after inflation
        ping_interval: seconds of silence after which the server is asked whether it is there; None for never
        ping_timeout: seconds that it may take to answer
        open_timeout: seconds that the handshake may take, beside the time to connect
        close_timeout: seconds to wait for the server's close, after ours
        text: what arrives as bytes is sent as text too, which is UTF-8
        reconnect: connect again: True, or a `Reconnect` that says how often and how soon
        tls: for ``wss``: a `ClientTLS` or an `ssl.SSLContext`, for other than the usual
        options: of `TCPClient`: ``connect_timeout``, ``stall_timeout`` and others

    Raises `CannotConnect`, also for a server that refuses for the time being; `HandshakeRefused`;
    `ConnectionLost`; `RemoteProtocolError` for a server that breaks the protocol, or sends what ``messages``
    or ``message_limit`` exclude; `TimeoutError` for one that does not answer a ping; `TypeError` and
    `ValueError` for arguments that cannot be meant; `UsageError` without the package ``websockets``
    (``kamaelia[websocket]``).

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Source
        >>> from kamaelia.protocol import Echo
        >>> from kamaelia.protocol.websocket import WebSocketClient, WebSocketServer
        >>> with background(WebSocketServer(Echo, port=0, quiet=True)) as server:
        ...     host, port = server.receive("listening")
        ...     run(Source([b"one", b"two"]) | WebSocketClient(f"ws://{host}:{port}/") | Collect())
        [b'one', b'two']
    """

    def __init__(
        self,
        url: str,
        *,
        messages: Any = str | bytes,
        headers: Mapping[str, Any] | None = None,
        subprotocols: Sequence[str] = (),
        origin: str | None = None,
        compression: bool = True,
        message_limit: int | str = "1 MiB",
        ping_interval: float | None = 20.0,
        ping_timeout: float = 20.0,
        open_timeout: float = 10.0,
        close_timeout: float = 10.0,
        text: bool = False,
        reconnect: bool | Reconnect | None = None,
        tls: ClientTLS | ssl.SSLContext | None = None,
        **options: Any,
    ) -> None:
        need_websockets()
        settings = Settings(
            compression, message_limit, ping_interval, ping_timeout, open_timeout, close_timeout, text
        )
        limit = settings.check("WebSocketClient")
        check_texts(subprotocols, "WebSocketClient(subprotocols=...)", "names")
        if messages not in (str, bytes, str | bytes):
            raise TypeError(f"WebSocketClient(messages={shorten(messages)}): give bytes, str, or str | bytes")
        if reconnect is not None and not isinstance(reconnect, (bool, Reconnect)):
            raise TypeError(
                f"WebSocketClient(reconnect={shorten(reconnect)}): give True, False or a Reconnect()"
            )
        policy = Reconnect() if reconnect is True else reconnect or None
        host, port, target, secure, more = _parsed(url)
        if tls is not None and not secure:
            raise ValueError(
                f"WebSocketClient({url!r}, tls=...): a protected connection has an address wss://..."
            )
        asked = {
            "host": host,
            "port": port,
            "target": target,
            "secure": secure,
            "headers": Headers([*more, *Headers(headers or {}).pairs]).pairs,
            "subprotocols": tuple(subprotocols),
            "origin": origin,
            "compression": compression,
            "message_limit": limit,
            "as_bytes": messages is bytes,
        }
        if secure:
            options["tls"] = tls or True
        self._counts = Counts()
        once: Component = Session(settings, self._counts, asked, messages, options)
        if policy is not None:
            backoff = Backoff(policy.initial, policy.factor, policy.limit, policy.jitter)
            lost = (CannotConnect, ConnectionLost, RemoteProtocolError, TimeoutError)
            once = Again(once, attempts=policy.attempts or sys.maxsize, on=lost, backoff=backoff)
        self.add(once, name="session")
        self.link(self.boundary("inbox", once.boxes["inbox"], inward=True), once.boxes["inbox"])
        self.link(once.boxes["outbox"], self.boundary("outbox", once.boxes["outbox"], inward=False))

    def statistics(self) -> WebSocketStatistics:
        """Return what has been done so far, over all connections; may be called from any thread."""
        return self._counts.statistics()


class Again(Retry):
    """Connects again after a failure, and also when the server has ended the connection well, for as long as
    there is somebody to connect for."""

    def _why_not(self, member: Any, failure: Failure | None) -> str | None:
        return None if failure is None else super()._why_not(member, failure)


class Session(Chassis):
    """One connection of a client, with all that belongs to it.

    Arguments:
        settings: see `WebSocketClient`
        counts: where to count
        asked: the arguments of the machine
        messages: the type of what comes out
        options: of `TCPClient`
    """

    def __init__(
        self,
        settings: Settings,
        counts: Counts,
        asked: dict[str, Any],
        messages: Any,
        options: dict[str, Any],
    ) -> None:
        self._talk = ClientConversation(settings, counts, asked, messages)
        self._wire = TCPClient(asked["host"], asked["port"], **options)
        self.add(self._talk, name="talk")
        self.add(self._wire, name="wire", isolated=True)
        self.link(self._wire.outbox, self._talk.inbox)
        self.link(self._talk.outbox, self._wire.inbox)
        self.link(self.boundary("inbox", self._talk.sent, inward=True), self._talk.sent)
        self.link(self._talk.received, self.boundary("outbox", self._talk.received, inward=False))

    def _tell(self, failure: Failure) -> None:
        """The wire has failed: that matters unless all had been said."""
        machine = self._talk.machine
        if machine is None or machine.closed is None:
            lifecycle.fail(self._axon, failure.error, [failure.error])  # type: ignore[list-item,arg-type]


class ClientReader(Reader):
    """Reads the wire of a client. It is for whoever reads the messages that the connection is there."""

    outbox = Outbox[bytes]("what the connection itself has to say", optional=True)
    messages = Outbox[Any]("messages that have come")

    async def main(self) -> None:
        """Read until both sides have closed, also when nobody takes the messages any more."""
        try:
            await super().main()
        except SourceFailed:
            raise
        except BrokenLink:
            machine = self._machine
            if machine.opened is not None and not machine.closing:
                await self._say_goodbye(machine)
            raise

    async def _say_goodbye(self, machine: Machine) -> None:
        try:
            async with asyncio.timeout(self._settings.close_timeout):
                await self.outbox.send(machine.close(NORMAL))
                async for data in self.inbox:
                    machine.receive(data)  # which nobody takes
                    while machine.has_more:
                        machine.receive(b"")
                    await self.outbox.send(machine.to_send())
                    if machine.closed is not None:
                        return
        except TimeoutError:
            return


class ClientConversation(Conversation):
    """The client's side of one connection. Arguments: see `Session`."""

    sent = Inbox[str | bytes]("messages for the server")

    def __init__(self, settings: Settings, counts: Counts, asked: dict[str, Any], messages: Any) -> None:
        super().__init__(settings, counts)
        self._asked = asked
        self._is_fed = False
        self._hold: Hold[Any] | None = None  # keeps the connection open for a client that only listens
        self.takes_text = messages is not bytes
        self.takes_bytes = messages is not str
        received: Outbox[Any] = Outbox("messages from the server", type=messages)
        self.received = self.add_box("received", received)
        self.link(self.reader.messages, self.received)

    # -- see `Conversation` -------------------------------------------------------------------------

    def make_machine(self) -> ClientMachine:
        """Make the machine."""
        self._is_fed = postman.is_linked(self.sent)
        return ClientMachine(chance=chance(), **self._asked)

    def make_reader(self) -> Reader:
        """Make what reads the wire."""
        return ClientReader(self)

    def opened(self, opened: Opened, writer: Writer) -> None:
        """See `Conversation`."""
        if self._is_fed:
            self.link(self.sent, writer.inbox)
        else:
            self._hold = writer.inbox.hold()

    async def may_answer(self) -> bool:
        """See `Conversation`: who sends does not learn that the server has finished."""
        return False

    def refused(self, refused: Refused) -> None:
        """See `Conversation`."""
        status = refused.status
        text = f"{self.path}: {self._server} does not speak WebSocket with us: {refused.reason}"
        if status is None or status in LATER:
            raise CannotConnect(text)
        raise HandshakeRefused(text, status)

    def too_slow(self, machine: Machine) -> None:
        """See `Conversation`."""
        limit = self.settings.open_timeout
        raise CannotConnect(f"{self.path}: {self._server} has not done the handshake within {limit:g} s")

    def lost(self, error: Exception) -> Exception | None:
        """See `Conversation`."""
        return error

    def unsendable(self, error: Exception) -> None:
        """See `Conversation`."""
        raise error

    @property
    def _server(self) -> str:
        return address_text((self._asked["host"], self._asked["port"]))


def _parsed(url: Any) -> tuple[str, int, str, bool, list[tuple[str, str]]]:
    """Return host, port, target, whether it is protected, and headers that say who asks."""
    from websockets.exceptions import InvalidURI
    from websockets.headers import build_authorization_basic
    from websockets.uri import parse_uri

    give = "give an address such as 'ws://host:port/path'"
    if not isinstance(url, str):
        raise TypeError(f"WebSocketClient({shorten(url)}): {give}")
    try:
        parsed = parse_uri(url)
    except (InvalidURI, ValueError, UnicodeError) as error:
        raise ValueError(f"WebSocketClient({shorten(url)}): {give} ({error})") from None
    headers = []
    if parsed.user_info is not None:
        headers.append(("Authorization", build_authorization_basic(*parsed.user_info)))
    return parsed.host, parsed.port, parsed.resource_name, parsed.secure, headers


__all__ = ["HandshakeRefused", "WebSocketClient"]
