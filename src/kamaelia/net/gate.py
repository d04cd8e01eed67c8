"""What a new connection has to go through before it is served: the header of a proxy, and the handshake of
TLS, within a time.

A `Gate` is the protocol of a connection until then; there is none where neither is asked for. So whoever
fails here has cost no component, and nobody has heard of him but the server that counts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, cast

from kamaelia.axon import ProtocolError

from .proxy import HeaderReader, ProxyHeader
from .tls.settings import ServerTLS, server_context
from .tls.transport import TLSTransport

if TYPE_CHECKING:
    import ssl

    from .connection import Connection
    from .watch import Watch


class GateKeeper(Protocol):
    """What a gate needs of its server."""

    tls: ServerTLS | ssl.SSLContext | None
    handshake_timeout: float

    def may_enter(self, gate: Gate, address: Any, transport: asyncio.BaseTransport, /) -> bool:
        """Say whether somebody may come in at all; otherwise the server has counted him."""

    def speaks_for_others(self, address: Any, /) -> bool:
        """Say whether this is a proxy, which has to say for whom it speaks."""

    def left(self, gate: Gate, error: Exception | None, /) -> None:
        """Somebody has gone through, or not, because of an error."""


class Gate(asyncio.Protocol):
    """What a connection goes through before it is made."""

    __slots__ = (
        "_connection",
        "_done",
        "_keeper",
        "_reader",
        "_timer",
        "_tls",
        "_transport",
        "_watch",
        "peer",
    )

    def __init__(self, keeper: GateKeeper, connection: Connection, watch: Watch) -> None:
        self._keeper = keeper
        self._connection = connection
        self._watch = watch
        self._transport: asyncio.Transport | None = None
        self._tls: TLSTransport | None = None
        self._reader: HeaderReader | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._done = False
        self.peer: Any = None
        """Who is at the other end of the wire."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        address = self.peer = transport.get_extra_info("peername")
        if not self._keeper.may_enter(self, address, transport):
            self._done = True
            self._transport.abort()
            return
        self._timer = self._watch.call_later(self._keeper.handshake_timeout, self._late)
        if self._keeper.speaks_for_others(address):
            self._reader = HeaderReader()
        else:
            self._secure(b"")

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._reader is None or self._done:
            return
        try:
            found = self._reader.receive(data)
        except ProtocolError as error:
            self.refuse(error)
            return
        if isinstance(found, ProxyHeader):
            self._connection.proxied = found
            self._secure(self._reader.rest)

    def eof_received(self) -> None:
        """See asyncio."""
        self.refuse(ConnectionAbortedError("the peer has ended the connection before it could be served"))

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.refuse(exc or ConnectionAbortedError("the connection has ended before it could be served"))

    def refuse(self, error: Exception) -> None:
        """Let nobody through. Twice is harmless."""
        if not self._done:
            self._leave(error)
            assert self._transport is not None
            self._transport.abort()

    def _secure(self, rest: bytes) -> None:
        """There is no header, or it has been read: now for TLS."""
        transport, connection = self._transport, self._connection
        assert transport is not None
        if self._keeper.tls is None:
            self._leave(None)
            transport.set_protocol(connection)
            connection.connection_made(transport)
            if rest:
                connection.data_received(rest)
            return
        try:
            context = server_context(self._keeper.tls, self._watch.clock())
        except Exception as error:  # its files cannot be used: the server goes on for when they can
            self.refuse(error)
            return
        self._tls = TLSTransport(context, connection, server=True, on_open=self._open, on_failure=self._fail)
        transport.set_protocol(self._tls)
        self._tls.connection_made(transport)
        if rest:
            self._tls.data_received(rest)

    def _open(self) -> None:
        assert self._tls is not None
        if not self._done:
            self._leave(None)
            self._connection.connection_made(self._tls)

    def _fail(self, error: Exception) -> None:
        """The handshake has failed. The transport closes by itself, when the peer has been told why."""
        if not self._done:
            self._leave(error)

    def _late(self) -> None:
        limit = self._keeper.handshake_timeout
        self.refuse(TimeoutError(f"no handshake within {limit:g} s"))

    def _leave(self, error: Exception | None) -> None:
        self._done = True
        self._connection.admitted = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._keeper.left(self, error)
