"""WebSocket servers: on a port of their own, or at a path of an HTTP server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kamaelia.axon import Component, make
from kamaelia.net import TCPServer
from kamaelia.net.connection import address_text
from kamaelia.protocol.http import Exchange

from .arguments import Origins
from .conversation import Counts, WebSocketStatistics
from .protocol import WebSocketProtocol


class WebSocketServer(TCPServer):
    """Listens on a TCP port, and makes a handler for each client that speaks WebSocket.

    It is a `TCPServer` with a `WebSocketProtocol` for each connection: see there how messages reach the
    handler, and how a connection ends. Any path will do; `handshake` says which was asked for, and with what
    headers. A server that has pages as well is an `HTTPServer`, with `WebSocket` as one of its routes.

    Arguments:
        protocol: the handler for a connection: a class, a component (made again from its recipe), a factory
        port: to listen on; 0 for any that is free, see `address`
        host: name or address to listen on, several in a list, or None for every address of the machine
        subprotocols: those that the handler speaks, the best first; who speaks none of them is refused
        origins: from whose pages a browser may connect, see `WebSocketProtocol`
        compression: compress messages, if the client can (permessage-deflate)
        message_limit: bytes of one message, after inflation
        ping_interval: seconds of silence after which a client is asked whether it is there; None for never
        ping_timeout: seconds that it may take to answer
        open_timeout: seconds that the handshake may take
        close_timeout: seconds to wait for the client's close, after ours
        text: what the handler sends as bytes is text too, which is UTF-8
        options: of `TCPServer`: ``limit``, ``idle_timeout``, ``tls``, ``quiet`` and the others

    Boxes: those of `TCPServer`. Raises what `WebSocketProtocol` and `TCPServer` raise.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.protocol.websocket import WebSocketClient, WebSocketServer
        >>> with background(WebSocketServer(Map(str.upper), port=0, quiet=True)) as server:
        ...     host, port = server.receive("listening")
        ...     run(Source(["hello"]) | WebSocketClient(f"ws://{host}:{port}/") | Collect())
        ['HELLO']
    """

    def __init__(
        self,
        protocol: Any,
        port: int,
        host: str | Sequence[str] | None = "127.0.0.1",
        *,
        subprotocols: Sequence[str] = (),
        origins: Origins = "same",
        compression: bool = True,
        message_limit: int | str = "1 MiB",
        ping_interval: float | None = 20.0,
        ping_timeout: float = 20.0,
        open_timeout: float = 10.0,
        close_timeout: float = 10.0,
        text: bool = False,
        **options: Any,
    ) -> None:
        self._counts_of_messages = Counts()
        pattern = WebSocketProtocol(
            protocol,
            subprotocols=subprotocols,
            origins=origins,
            compression=compression,
            message_limit=message_limit,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            open_timeout=open_timeout,
            close_timeout=close_timeout,
            text=text,
            counts=self._counts_of_messages,
        )
        super().__init__(pattern, port=port, host=host, **options)

    def messages(self) -> WebSocketStatistics:
        """Return what has been said so far, by all connections; may be called from any thread."""
        return self._counts_of_messages.statistics()

    def _hint(self) -> str:
        host, port = self.addresses[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        return f"python -m websockets {'ws' if self.tls is None else 'wss'}://{address_text((host, port))}/"


class WebSocket:
    """A route of an `HTTPServer`: who asks for it speaks WebSocket with a handler, made for each.

    What is no request for that is answered as it should be: 426 with what to upgrade to, 400, 403 for a page
    of a wrong origin. A connection lasts as long as those of HTTP do there, ``idle_timeout`` included; pings
    keep it.

    Arguments:
        handler: serves a connection, see `WebSocketProtocol`
        options: the other arguments of `WebSocketProtocol`

    Raises what `WebSocketProtocol` raises.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.protocol.http import HTTPServer
        >>> from kamaelia.protocol.websocket import WebSocket, WebSocketClient
        >>> site = HTTPServer({"/": "<h1>Hello", "/chat": WebSocket(Map(str.upper))}, port=0, quiet=True)
        >>> with background(site) as server:
        ...     host, port = server.receive("listening")
        ...     run(Source(["hello"]) | WebSocketClient(f"ws://{host}:{port}/chat") | Collect())
        ['HELLO']
    """

    def __init__(self, handler: Any, **options: Any) -> None:
        self._counts = Counts()
        self._pattern: Component = WebSocketProtocol(handler, counts=self._counts, **options)

    def messages(self) -> WebSocketStatistics:
        """Return what has been said so far, by all connections; may be called from any thread."""
        return self._counts.statistics()

    async def answer(self, exchange: Exchange) -> Any:
        """See `kamaelia.protocol.http.Handler`."""
        protocol = make(self._pattern)
        assert isinstance(protocol, WebSocketProtocol)
        response = protocol.shake_hands(exchange.request)
        if response.status != 101:
            return response
        first = await exchange.switch(response)
        await exchange.serve(lambda: protocol, first)
        return None


__all__ = ["WebSocket", "WebSocketServer"]
