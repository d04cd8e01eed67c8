"""A conversation with one remote address."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any, Literal

from kamaelia.axon import Component, Inbox, Outbox, SourceFailed

from .arguments import check_client_host, check_number, check_size
from .connection import address_text
from .datagram import (
    ARRIVED,
    SIZE,
    Arrivals,
    DatagramStatistics,
    Once,
    Outgoing,
    Port,
    add_statistics,
    check_buffer,
    check_local,
    check_port,
    why_not_sent,
)
from .errors import CannotConnect, ConnectionLost, why_not_connected


class UDPPeer(Component):
    """Exchanges datagrams with one remote address, and hears nobody else.

    Inbox: ``inbox``, bytes, each message a datagram to the peer. Outbox: ``outbox``, the bytes of each
    datagram from there.

    UDP has no end that the peer could send. So after the end of the inbox it goes on receiving until nothing
    has come for ``linger`` seconds, and ends; a peer whose inbox was never linked receives until a stop. It
    also ends when nobody listens. A failure of what feeds it breaks its outbox, after what was sent before.

    While its reader is slow, ``size`` bytes wait, and what comes then is dropped, counted and logged once.
    While the operating system takes nothing more, messages wait in the inbox. What it reports of a datagram
    sent before (nobody has the port there) is counted and logged once, or with ``on_error="fail"`` the
    failure `ConnectionLost`.

    Arguments:
        host: name or address of the peer
        port: of the peer
        local: our own address ``(host, port)``, of the same kind as the peer's; None for any
        linger: seconds without a datagram, after the end of the inbox, until it ends
        size: bytes that may wait for the reader; each datagram counts 64 more than its data
        buffer: bytes that the operating system may keep of what comes; None for what is usual
        on_error: ``"ignore"``, or ``"fail"`` when the operating system reports that something did not arrive

    Raises `CannotConnect` (the name is unknown, there is no way), `ConnectionLost` also when the socket
    fails; `TypeError` for messages that are no bytes, and with `ValueError` for arguments that cannot be
    meant.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map, Source, Take
        >>> from kamaelia.net import UDPPeer, UDPServer
        >>> with background(UDPServer(Map(bytes.upper), port=0, quiet=True)) as server:
        ...     run(Source([b"hello"]) | UDPPeer(*server.receive("listening")) | Take(1) | Collect())
        [b'HELLO']
    """

    inbox = Inbox[bytes]("bytes for the peer", size="192 KiB")
    outbox = Outbox[bytes]("the bytes of each datagram from the peer")
    _arrived = Inbox[bytes]("datagrams, from the socket", size=ARRIVED)

    def __init__(
        self,
        host: str,
        port: int,
        *,
        local: tuple[str, int] | None = None,
        linger: float = 1.0,
        size: int | str = SIZE,
        buffer: int | str | None = None,
        on_error: Literal["ignore", "fail"] = "ignore",
    ) -> None:
        check_client_host(host, "UDPPeer(host=...)")
        check_port(port, "UDPPeer(port=...)", free=False)
        check_local(local, "UDPPeer(local=...)")
        check_number(linger, "UDPPeer(linger=...)", lambda seconds: seconds >= 0, "seconds, 0 or more")
        check_size(size, "UDPPeer(size=...)")
        check_buffer(buffer, "UDPPeer(buffer=...)")
        if on_error not in ("ignore", "fail"):
            raise ValueError(f"UDPPeer(on_error={on_error!r}): it is 'ignore' or 'fail'")
        self._remote = (host, port)
        self._local = local
        self._linger = linger
        self._buffer = buffer
        self._fails = on_error == "fail"
        self._once = Once(self)
        self._arrivals = Arrivals(self, self._arrived, size, self._once)
        self._ports: list[Port] = []
        self._outgoing: Outgoing | None = None
        self._failure: Exception | None = None
        self._heard = 0  # how many had come when that was last looked at
        self.address: tuple[str, int] | None = None
        """Our own host and port; None until there is a socket."""

    def statistics(self) -> DatagramStatistics:
        """Return what has passed so far."""
        return add_statistics(self._ports, self._arrivals)

    async def main(self) -> None:
        """Send and receive."""
        on_error = self._on_error if self._fails else None
        port = Port(self, self._once, self._receive, on_error=on_error, on_failure=self._fail)
        try:
            await port.open(local_addr=self._local, remote_addr=self._remote, buffer=self._buffer)
        except (OSError, UnicodeError) as error:
            why = why_not_connected(error, address_text(self._remote))
            raise CannotConnect(f"{self.path} cannot send: {why}") from error
        self._ports.append(port)
        self.address = port.address[:2]
        outgoing = Outgoing(self.inbox, port, None, self._sent) if self.inbox.incoming else None
        self._outgoing = outgoing
        try:
            try:
                send, passed = self.outbox.send, self._arrivals.passed
                async for data in self._arrived:
                    passed(len(data))
                    await send(data)
            except SourceFailed as error:
                self._failure = self._failure or error
            # A stop, or a failure, has ended what comes, but not yet what goes.
            while outgoing is not None and not outgoing.over:
                await port.changed
            if self._failure is not None:
                raise self._failure
        finally:
            if outgoing is not None:
                outgoing.close()
            await port.close()

    def _receive(self, data: bytes, address: Any) -> None:
        """See asyncio's ``datagram_received``."""
        self._arrivals.take(data, len(data))

    # -- endings ----------------------------------------------------------------------------------

    def _sent(self, failure: BaseException | None) -> None:
        """Everything has been sent, or something has failed."""
        self._ports[0].changed.set()
        if isinstance(failure, TypeError):
            self._fail(failure)
        elif failure is not None or not self.outbox.routes:
            self._arrivals.hold.release(failure)
        else:
            self._wait_for_more()

    def _wait_for_more(self) -> None:
        """End what comes when nothing has come for a while."""
        self._heard = self._arrivals.received
        # In a copy of this context the timer would keep what it has nothing to do with.
        asyncio.get_running_loop().call_later(self._linger, self._look, context=contextvars.Context())

    def _look(self) -> None:
        if self._arrivals.hold.released:
            return
        if self._arrivals.received == self._heard:
            self._arrivals.hold.release()
        else:
            self._wait_for_more()

    def _on_error(self, error: Exception) -> None:
        if self._failure is None:
            text = f"{self.path}: {address_text(self._remote)}: {why_not_sent(error)}"
            lost = ConnectionLost(text)
            lost.__cause__ = error
            self._fail(lost)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        if self._outgoing is not None:
            self._outgoing.close()
        self._arrivals.hold.release()
        self._ports[0].changed.set()
