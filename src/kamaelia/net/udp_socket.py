"""Both ways with anybody, through one socket."""

from __future__ import annotations

import asyncio
from typing import Any

from kamaelia.axon import Inbox, Outbox, SourceFailed

from .arguments import check_size
from .connection import address_text
from .datagram import (
    ARRIVED,
    SIZE,
    Arrivals,
    Datagram,
    Port,
    how_to_try,
)
from .errors import ConnectionLost
from .options import family_of
from .serving import announce
from .udp_sender import UDPSender


class UDPSocket(UDPSender):
    """Sends datagrams to any address, and receives from anybody, through one socket.

    So whoever gets something knows where to answer, and what it answers is heard: for protocols between
    equals, of whom none is the server. `UDPPeer` is for one address, `UDPServer` makes a component for each.

    Inboxes as those of `UDPSender`, of which it is a kind: ``datagrams``, each a `Datagram` of bytes and the
    address that they are for; ``inbox``, bytes for the address that was given; ``target``, a new one for what
    comes to ``inbox`` from then on. Outboxes: ``outbox`` sends a `Datagram` of the bytes and the sender's
    address for each that comes; ``listening`` our own address once.

    The end of its inboxes is not its end, for others go on; a stop is, after all has been sent, and that
    nobody listens. A failure of what feeds it breaks its outbox. While its reader is slow, ``size`` bytes
    wait, and what comes then is dropped, counted and logged once; that does not hold up what is sent.
    Otherwise it sends and counts as `UDPSender` does.

    Arguments:
        host: name or address to send to; None leaves it to ``target``
        port: to send to
        local: our own address ``(host, port)``, where it receives, too; port 0 for any that is free
        broadcast: may send to all of a network, such as 255.255.255.255
        size: bytes that may wait for the reader; each datagram counts 64 more than its data
        buffer: bytes that the operating system may keep of what comes; None for what is usual
        quiet: do not say on standard error where it receives

    Raises what `UDPSender` does.

    Example:
        >>> from kamaelia import background
        >>> from kamaelia.net import Datagram, UDPSocket
        >>> with background(UDPSocket(quiet=True)) as one, background(UDPSocket(quiet=True)) as other:
        ...     one.send(Datagram(b"hello", other.receive("listening")), "datagrams")
        ...     data, address = other.receive(timeout=10)
        ...     other.send(Datagram(data.upper(), address), "datagrams")
        ...     one.receive(timeout=10).data
        b'HELLO'
    """

    outbox = Outbox[Datagram]("each datagram that comes, with the sender's address")
    listening = Outbox[tuple[str, int]]("our own address, once, when it receives", optional=True)
    _arrived = Inbox[Datagram]("datagrams, from the socket", size=ARRIVED)

    _connects = False

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        local: tuple[str, int] = ("127.0.0.1", 0),
        broadcast: bool = False,
        size: int | str = SIZE,
        buffer: int | str | None = None,
        quiet: bool = False,
    ) -> None:
        super().__init__(host, port, local=local, broadcast=broadcast, buffer=buffer)
        if local is None:
            raise TypeError(
                "UDPSocket(local=None): give our own address as (host, port), where it is to receive"
            )
        check_size(size, "UDPSocket(size=...)")
        self._here = local
        self._arrivals: Arrivals = Arrivals(self, self._arrived, size, self._once)
        self._quiet = quiet
        self.address: tuple[str, int] | None = None
        """Host and port that it receives at; None until it does."""

    async def main(self) -> None:
        """Send what comes to the inboxes, and receive, until a stop."""
        failure = None
        try:
            if not self._arrivals.hold.released:  # by a stop, or a failure, before it had begun
                await self._listen()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._send())
                try:
                    await self._pass_on()
                except SourceFailed as error:  # but what is to be sent is sent
                    failure = error
            if failure is not None:
                raise failure
        finally:
            for port in self._ports.values():
                await port.close()

    async def _listen(self) -> None:
        """Open our socket, and say where it is."""
        port = await self._open(None, self._here, local_addr=self._here)
        address = self.address = port.address[:2]
        self._ports[family_of(address[0])] = self._ports.pop(None)
        doing = f"receives datagrams on {address_text(address)}"
        announce(self, doing, how_to_try(address), quiet=self._quiet)
        await self.listening.send(address)
        self.listening.close()

    async def _send(self) -> None:
        try:
            await self._send_all()
        except SourceFailed as error:  # what has come is still passed on
            self._arrivals.hold.release(error.__cause__ or error)
        except ConnectionLost:
            return  # `_pass_on` hears of it too, and says so

    async def _pass_on(self) -> None:
        """Pass on what arrives, at the pace of the readers."""
        try:
            async for datagram in self._arrived:
                self._arrivals.passed(len(datagram.data))
                await self.outbox.send(datagram)
        except SourceFailed:
            for port in self._ports.values():
                port.check()
            raise

    def _new_port(self) -> Port:
        return Port(self, self._once, self._receive, on_failure=self._arrivals.hold.release)

    def _receive(self, data: bytes, address: Any) -> None:
        """See asyncio's ``datagram_received``."""
        self._arrivals.take(Datagram(data, address), len(data))
