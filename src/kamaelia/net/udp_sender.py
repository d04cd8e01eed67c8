"""Sending datagrams: to one address, or to one after another."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import replace
from typing import Any

from kamaelia.axon import Component, Inbox, UsageError, select
from kamaelia.axon.errors import shorten

from .arguments import check_client_host
from .connection import address_text
from .datagram import (
    Arrivals,
    Datagram,
    DatagramStatistics,
    Once,
    Port,
    add_statistics,
    check_address,
    check_buffer,
    check_local,
    check_port,
)
from .errors import CannotConnect, CannotListen, why_not_connected, why_not_listening
from .options import family_of

KNOWN = 1000  # addresses whose names are remembered


class UDPSender(Component):
    """Sends each message as a datagram.

    Inboxes: ``inbox``, bytes for the address that was given; ``datagrams``, each a `Datagram` of bytes and
    the address that they are for; ``target``, a new address ``(host, port)`` for what comes to ``inbox`` from
    then on. There is no outbox.

    It ends when all its inboxes have ended and everything has been sent; a failure of what feeds it, or a
    stop, is no different. Where the operating system takes nothing more it waits, and so do those who send.
    Whether a datagram arrives nobody knows. What the operating system reports (nobody has the port there, it
    is too long) is counted, logged once of each kind, and ends nothing. That nobody has the port it reports
    only when ``inbox`` alone is linked: the socket is then connected to the address, which is quicker too.

    A datagram has 65507 bytes at most, and above some 1400 it travels in several pieces, of which none may be
    lost: messages that are too long are counted as unsent. So are empty ones, which not every loop can send,
    and those for an address that cannot be found, or cannot be one.

    Arguments:
        host: name or address to send to; None leaves it to ``target``
        port: to send to
        local: our own address ``(host, port)``; None for any
        broadcast: may send to all of a network, such as 255.255.255.255
        buffer: bytes that the operating system may keep of what comes back; None for what is usual

    Raises `CannotConnect` (the name is unknown, there is no way), `CannotListen` for a ``local`` address that
    cannot be had, `UsageError` for bytes without an address, `ConnectionLost` when the socket fails;
    `TypeError` for messages that are no bytes or have nothing like an address, and with `ValueError` for a
    ``target`` and for arguments that cannot be meant.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Source
        >>> from kamaelia.net import UDPReceiver, UDPSender
        >>> with background(UDPReceiver(port=0, quiet=True)) as receiver:
        ...     run(Source([b"one", b"two"]) | UDPSender(*receiver.receive("listening")))
        ...     [receiver.receive(timeout=10) for _ in range(2)]
        [b'one', b'two']
    """

    inbox = Inbox[bytes]("bytes for the address", size="192 KiB")
    outbox: Any = None
    datagrams = Inbox[Datagram]("datagrams for addresses of their own")
    target = Inbox[tuple[str, int]]("new addresses for the bytes")

    _connects = True  # to its address, if it is the only one
    _arrivals: Arrivals | None = None  # what has come, of a kind that receives

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        local: tuple[str, int] | None = None,
        broadcast: bool = False,
        buffer: int | str | None = None,
    ) -> None:
        name = type(self).__name__
        if (host is None) is not (port is None):
            raise TypeError(f"{name}({shorten(host)}, {shorten(port)}): give both host and port, or neither")
        if host is not None:
            check_client_host(host, f"{name}(host=...)")
            check_port(port, f"{name}(port=...)", free=False)
        check_local(local, f"{name}(local=...)")
        check_buffer(buffer, f"{name}(buffer=...)")
        self._to: Any = None if host is None else (host, port)
        self._local = local
        self._broadcast = broadcast
        self._buffer = buffer
        self._once = Once(self)
        self._ports: dict[Any, Port] = {}  # by the kind of addresses that it sends to
        self._unknown = 0  # datagrams whose address could not be found
        self._known: dict[Any, tuple[Port, Any]] = {}  # addresses, and from which port where to

    def statistics(self) -> DatagramStatistics:
        """Return what has passed so far."""
        done = add_statistics(list(self._ports.values()), self._arrivals)
        return replace(done, unsent=done.unsent + self._unknown)

    async def main(self) -> None:
        """Send what comes."""
        try:
            await self._send_all()
        finally:
            for port in self._ports.values():
                await port.close()

    async def _send_all(self) -> None:
        if not (is_over(self.datagrams) and is_over(self.target)):
            await self._send_to_many()
        elif self._to is not None:
            await self._send_to_one(*await (self._connect if self._connects else self._way)(self._to))
        else:
            self._check_nothing_is_left()

    async def _send_to_one(self, port: Port, address: Any) -> None:
        send = port.send
        async for data in self.inbox:
            send(data, address)
            if port.full:
                await port.flush()

    async def _send_to_many(self) -> None:
        to = None if self._to is None else await self._way(self._to)
        if to is None:  # what has no address waits until there is one
            async for box, message in select(self.target, self.datagrams):
                if box is self.target:
                    to = await self._way(message)
                    break
                await self._send_datagram(message)
            else:
                self._check_nothing_is_left()
                return
        async for box, message in select(self.target, self.datagrams, self.inbox):
            if box is self.inbox:
                port, address = to
                port.send(message, address)
                if port.full:
                    await port.flush()
            elif box is self.datagrams:
                await self._send_datagram(message)
            else:
                to = await self._way(message)

    async def _send_datagram(self, datagram: Datagram) -> None:
        data, to = datagram
        try:
            way = self._known.get(to)
        except TypeError:  # it cannot be looked up, so it is no address: `_way` says so
            way = None
        if way is None:
            try:
                way = await self._way(to)
            except (CannotConnect, ValueError) as error:
                self._unknown += 1
                self._once.warn("address", f"does not send a datagram: {error}")
                return
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[to] = way
        port, address = way
        port.send(data, address)
        if port.full:
            await port.flush()

    def _check_nothing_is_left(self) -> None:
        if not is_over(self.inbox):
            raise UsageError(
                f"{self.path} has bytes to send, but no address: give it host and port, or link its target"
            )

    # -- sockets ----------------------------------------------------------------------------------

    async def _connect(self, to: tuple[str, int]) -> tuple[Port, None]:
        """Open a socket that is connected to an address."""
        return await self._open("the one", to, local_addr=self._local, remote_addr=to), None

    async def _way(self, to: Any) -> tuple[Port, Any]:
        """Return the socket that sends to an address, and that address as numbers."""
        check_address(to, self.path)
        family: Any = family_of(to[0])
        if family is None:
            try:
                infos = await asyncio.get_running_loop().getaddrinfo(*to[:2], type=socket.SOCK_DGRAM)
            except (OSError, UnicodeError) as error:
                raise self._cannot_send(to, error) from error
            family, _, _, _, to = infos[0]
        elif family == socket.AF_INET:
            to = to[:2]
        port = self._ports.get(family)
        if port is None:
            local = self._local or ("0.0.0.0" if family == socket.AF_INET else "::", 0)
            port = await self._open(family, to, local_addr=local, family=family)
            try:
                self._prepare(port, family)
            except OSError as error:
                raise self._cannot_send(to, error) from error
        return port, to

    async def _open(self, key: Any, to: Any, **where: Any) -> Port:
        port = self._new_port()
        try:
            await port.open(allow_broadcast=self._broadcast or None, buffer=self._buffer, **where)
        except (OSError, UnicodeError) as error:
            if getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
                assert isinstance(error, OSError)
                why = why_not_listening(error, address_text(self._local or to))
                raise CannotListen(f"{self.path}: {why}") from error
            raise self._cannot_send(to, error) from error
        self._ports[key] = port
        return port

    def _new_port(self) -> Port:
        return Port(self, self._once)

    def _prepare(self, port: Port, family: int) -> None:
        """A socket has been made."""

    def _cannot_send(self, to: Any, error: OSError | UnicodeError) -> CannotConnect:
        return CannotConnect(f"{self.path} cannot send: {why_not_connected(error, address_text(to))}")


def is_over(box: Inbox[Any]) -> bool:
    """Say whether nothing will come out of an inbox any more."""
    return box.ended and not box.statistics().waiting and box.failure is None
