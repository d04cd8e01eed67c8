"""What stands between a transport and a stream whose connection is protected.

`TLSTransport` is the protocol of the transport below it, and a transport for the protocol above; the
`TLSMachine` between the two does the work. It exists, although event loops have TLS of their own, because
theirs has no half-close: with it, whoever says that he has finished gets no answer any more. So this is how
the same component finds the same ends over TLS as over TCP.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

from kamaelia.axon import ProtocolError, RemoteProtocolError

from .machine import State, TLSMachine


class TLSTransport(asyncio.Transport, asyncio.Protocol):
    """A protected connection, as a transport.

    Arguments:
        context: see `TLSMachine`
        protocol: what is above: it is told of a connection when the handshake has succeeded
        server: this is the server's side
        server_name: see `TLSMachine`
        on_open: called when the handshake has succeeded
        preface: bytes to send before, unprotected
        wait: begin the handshake at `start`, and not when there is a connection
        live: the protocol has the connection already, and hears if it is lost during the handshake
        on_failure: called when the handshake fails, with what the peer has done wrong

    It is given to an event loop as the protocol of a connection, or takes one over (`take_over`). The
    protocol above is not told by it of the connection, but by ``on_open``, and of a loss only if it has it.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        protocol: asyncio.Protocol,
        *,
        server: bool,
        server_name: str | None = None,
        on_open: Callable[[], None],
        on_failure: Callable[[Exception], None],
        preface: bytes = b"",
        wait: bool = False,
        live: bool = False,
    ) -> None:
        super().__init__()
        self._machine = TLSMachine(context, server=server, server_name=server_name)
        self._above: Any = protocol
        self._on_open = on_open
        self._preface = preface
        self._wait = wait
        self._live = live
        self._on_failure = on_failure
        self._told = False  # the protocol has heard of it
        self._lost = False
        self._below: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._paused = False  # the protocol wants nothing
        self._ended = False  # the protocol has been told of the peer's end
        self._closing = False
        self._error: Exception | None = None  # why the connection was given up

    def take_over(self, below: asyncio.Transport) -> None:
        """Begin the handshake on a connection that somebody else has used until now."""
        below.set_protocol(self)
        self.connection_made(below)
        below.resume_reading()

    # -- for the transport below --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._below = cast(asyncio.Transport, transport)
        if not self._wait:
            self.start()

    def start(self) -> None:
        """Begin the handshake."""
        if self._preface and self._below is not None and not self._lost:
            self._below.write(self._preface)
        self._act(self._machine.start)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._act(lambda: self._machine.feed(data))
        self._pass_up()

    def eof_received(self) -> bool:
        """See asyncio."""
        self._act(self._machine.feed_end)
        self._pass_up()
        return True  # our half is open until we say "close notify" and close

    def pause_writing(self) -> None:
        """See asyncio."""
        if self._told and not self._lost:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio."""
        if self._told and not self._lost:
            self._above.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._lost = True
        error = self._error or exc
        if not self._told and self._error is None:  # else it has been called
            self._on_failure(error or RemoteProtocolError("TLS: the peer has left during the handshake"))
        if self._told or self._live:
            self._above.connection_lost(error)

    # -- for the protocol above -----------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See asyncio."""
        if not self._closing and data:
            self._act(lambda: self._machine.send(data))

    def write_eof(self) -> None:
        """Say "close notify": the peer hears the end, and may go on sending."""
        self._act(self._machine.send_end)
        self._loop.call_soon(self._pass_up)  # it may have met the peer's end

    def can_write_eof(self) -> bool:
        """See asyncio."""
        return True

    def close(self) -> None:
        """See asyncio. Says "close notify" before, if that has not been done."""
        if not self._closing and self._below is not None:
            self._act(self._machine.send_end)
            self._closing = True
            self._below.close()

    def abort(self) -> None:
        """See asyncio."""
        self._closing = True
        if self._below is not None:
            self._below.abort()

    def is_closing(self) -> bool:
        """See asyncio."""
        return self._closing or (self._below is not None and self._below.is_closing())

    def pause_reading(self) -> None:
        """See asyncio."""
        self._paused = True
        if self._below is not None and not self._lost:
            self._below.pause_reading()

    def resume_reading(self) -> None:
        """See asyncio."""
        self._paused = False
        if self._below is not None and not self._lost:
            self._below.resume_reading()
            if self._machine.pending or (self._machine.received_end and not self._ended):
                self._loop.call_soon(self._pass_up)

    def is_reading(self) -> bool:
        """See asyncio."""
        return not self._paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See asyncio."""
        if self._below is not None:
            self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """See asyncio: of what is encrypted already."""
        return self._below.get_write_buffer_size() if self._below is not None else 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See asyncio."""
        self._above = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See asyncio."""
        return cast(asyncio.BaseProtocol, self._above)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See asyncio; ``tls`` is the `TLSInfo`."""
        if name == "tls":
            return self._machine.info if self._machine.agreed else default
        if name == "ssl_object":
            return self._machine.object
        if self._below is None:
            return default
        return self._below.get_extra_info(name, default)

    # -- machinery --------------------------------------------------------------------------------

    def _act(self, act: Callable[[], None]) -> None:
        """Do something with the machine, and send what comes of it."""
        if self._error is not None or self._lost:
            return
        error = None
        try:
            act()
        except ProtocolError as failure:
            error = failure
        if error is not None:
            self._give_up(error)
            return
        data = self._machine.to_send()
        if data and self._below is not None and not self._below.is_closing():
            self._below.write(data)
        if not self._told and self._machine.state is State.OPEN:
            self._told = True
            self._on_open()

    def _pass_up(self) -> None:
        """Give the protocol what has been decrypted, as far as it wants it."""
        while self._told and not (self._paused or self._closing or self._ended or self._lost):
            try:
                data = self._machine.receive()
            except ProtocolError as error:
                self._give_up(error)
                return
            if data:
                self._above.data_received(data)
            elif self._machine.received_end:
                self._ended = True
                if not self._above.eof_received():
                    self.close()
            else:
                return

    def _give_up(self, error: Exception) -> None:
        self._error = error
        self._closing = True
        if not self._told:
            self._on_failure(error)
        if self._below is not None:
            alert = self._machine.to_send()
            if alert and not self._below.is_closing():
                self._below.write(alert)
            self._below.close()  # and not abort: the peer is to hear why
