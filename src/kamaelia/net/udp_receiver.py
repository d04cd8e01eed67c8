"""Receiving datagrams: what comes to a port."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, Inbox, Outbox, SourceFailed

from .arguments import check_size
from .connection import address_text
from .datagram import (
    ARRIVED,
    SIZE,
    Arrivals,
    Datagram,
    DatagramStatistics,
    Once,
    Port,
    add_statistics,
    check_buffer,
    check_listening_host,
    check_port,
    how_to_try,
    pass_on,
)
from .errors import CannotListen, why_not_listening
from .serving import announce


class UDPReceiver(Component):
    """Receives datagrams on a UDP port, from whoever sends them.

    Outboxes: ``outbox`` sends the bytes of each datagram, one message each; ``datagrams`` a `Datagram` of the
    bytes and the sender's address. What is not linked costs nothing. ``listening`` sends our address once.
    There is no inbox.

    Nothing ends it but a stop of the system, which lets it pass on what had come, and that nobody listens any
    more. While its reader is slow, datagrams wait, ``size`` bytes of them; those that come then are dropped,
    counted, and logged once: asyncio cannot stop reading datagrams, and nothing could be told to the sender.
    When the whole program is slow, the operating system drops what does not fit into its buffer.

    Arguments:
        port: to receive on; 0 for any that is free, see `address`
        host: name or address to receive at; None for every IPv4 address of the machine, ``"::"`` for
            every one of both kinds
        size: bytes that may wait for the reader; each datagram counts 64 more than its data
        buffer: bytes that the operating system may keep (``SO_RCVBUF``; it may allow less); None for what is
            usual
        reuse_port: several receivers may share the port; each sender is given to one of them
        quiet: do not say on standard error where it listens

    Raises `CannotListen`, `ConnectionLost` when the socket fails; `TypeError` and `ValueError` for arguments
    that cannot be meant.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Source, Take
        >>> from kamaelia.net import UDPReceiver, UDPSender
        >>> with background(UDPReceiver(port=0, quiet=True)) as receiver:
        ...     run(Source([b"hello"]) | UDPSender(*receiver.receive("listening")))
        ...     receiver.receive(timeout=10)
        b'hello'
    """

    inbox = None
    outbox = Outbox[bytes]("the bytes of each datagram")
    datagrams = Outbox[Datagram]("each datagram with the sender's address")
    listening = Outbox[tuple[str, int]]("the address, once, when it receives", optional=True)
    _arrived = Inbox[Any]("datagrams, from the socket", size=ARRIVED)

    def __init__(
        self,
        port: int,
        host: str | None = "127.0.0.1",
        *,
        size: int | str = SIZE,
        buffer: int | str | None = None,
        reuse_port: bool = False,
        quiet: bool = False,
    ) -> None:
        check_port(port, "UDPReceiver(port=...)", free=True)
        check_listening_host(host, "UDPReceiver(host=...)")
        check_size(size, "UDPReceiver(size=...)")
        check_buffer(buffer, "UDPReceiver(buffer=...)")
        self._where = ("0.0.0.0" if host is None else host, port)
        self._buffer = buffer
        self._reuse_port = reuse_port
        self._quiet = quiet
        self._once = Once(self)
        self._arrivals = Arrivals(self, self._arrived, size, self._once)
        self._ports: list[Port] = []
        self.address: tuple[str, int] | None = None
        """Host and port that it receives at; None until it does."""

    def statistics(self) -> DatagramStatistics:
        """Return what has passed so far."""
        return add_statistics(self._ports, self._arrivals)

    async def main(self) -> None:
        """Receive, until a stop."""
        if self._arrivals.hold.released:  # a stop, or a failure, has come before it had begun
            await pass_on(self, self._arrivals, self._arrived)
            return
        port = Port(self, self._once, self._receive, on_failure=self._arrivals.hold.release)
        try:
            await port.open(local_addr=self._where, reuse_port=self._reuse_port or None, buffer=self._buffer)
        except (OSError, UnicodeError) as error:
            why = why_not_listening(error, address_text(self._where))
            raise CannotListen(f"{self.path}: {why}") from error
        self._ports.append(port)
        try:
            address = self.address = port.address[:2]
            text = address_text(address)
            announce(self, f"receives datagrams on {text}", how_to_try(address), quiet=self._quiet)
            await self.listening.send(address)
            self.listening.close()
            try:
                await pass_on(self, self._arrivals, self._arrived)
            except SourceFailed:
                port.check()
                raise
        finally:
            await port.close()

    def _receive(self, data: bytes, address: Any) -> None:
        """See asyncio's ``datagram_received``."""
        self._arrivals.take(Datagram(data, address) if self.datagrams.routes else data, len(data))
