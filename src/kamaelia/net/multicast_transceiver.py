"""Sending to a group and receiving from it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from kamaelia.axon import Inbox

from . import options
from .connection import address_text
from .datagram import SIZE, Outgoing, Port, check_port
from .errors import CannotConnect, ConnectionLost, why_not_connected
from .multicast import check_group
from .multicast_receiver import MulticastReceiver
from .multicast_sender import check_sending


class MulticastTransceiver(MulticastReceiver):
    """Sends each message as a datagram to a group, and receives what is sent there.

    Inbox: ``inbox``, bytes, each message a datagram to the group. All else is as with `MulticastReceiver`, of
    which it is a kind: ``outbox``, ``datagrams``, ``listening``, ``groups``. It sends to its own group only,
    whatever it joins and leaves later. Sending is from a socket of its own, as `MulticastSender` does.

    With ``loop`` it hears itself too, as everybody on this machine does: by the sender's address in
    ``datagrams`` a protocol may know its own. The end of its inbox is not its end, for others go on; a stop
    is, after all has been sent, and that nobody listens. A failure of what feeds it breaks its outboxes.

    Arguments:
        group: address of the group, IPv4 or IPv6
        port: that is sent to
        ttl: over how many links it may go: 1 stays in this network; 0 on this machine
        loop: receivers on this machine, this one too, hear what it sends
        source: as for `MulticastReceiver`
        interface: where to send and join: its name, number or IPv4 address; None leaves it to the system
        size: as for `MulticastReceiver`, and so is what follows
        buffer: bytes that the operating system may keep for each group
        limit: groups at a time
        quiet: do not say on standard error what it receives

    Raises `CannotListen`, `CannotConnect`, `ConnectionLost` when a socket fails; `TypeError` for messages
    that are no bytes, and with `ValueError` for arguments that cannot be meant.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source, Take
        >>> from kamaelia.net import MulticastTransceiver
        >>> room = MulticastTransceiver("239.255.7.7", 50048, interface="127.0.0.1", quiet=True)
        >>> run(Source([b"is anybody there?"], then="stay") | room | Take(1) | Collect())
        [b'is anybody there?']
    """

    inbox = Inbox[bytes]("bytes for the group", size="192 KiB")

    def __init__(
        self,
        group: str,
        port: int,
        *,
        ttl: int = 1,
        loop: bool = True,
        source: str | Sequence[str] | None = None,
        interface: str | int | None = None,
        size: int | str = SIZE,
        buffer: int | str | None = None,
        limit: int = 500,
        quiet: bool = False,
    ) -> None:
        check_group(group, "MulticastTransceiver(group=...)")
        check_port(port, "MulticastTransceiver(port=...)", free=False)
        check_sending("MulticastTransceiver", ttl, loop, interface)
        super().__init__(
            group,
            port,
            source=source,
            interface=interface,
            size=size,
            buffer=buffer,
            limit=limit,
            quiet=quiet,
        )
        self._to = (group, port)
        self._way_out = (ttl, loop, interface)
        self._sender: Port | None = None
        self._outgoing: Outgoing | None = None
        self._failure: Exception | None = None

    def _all_ports(self) -> list[Port]:
        return [*super()._all_ports(), *([self._sender] if self._sender is not None else [])]

    async def _begin(self) -> None:
        if self.inbox.incoming:
            port = Port(self, self._once, on_failure=self._sent)
            family: Any = options.family_of(self._to[0])
            try:
                await port.open(
                    local_addr=("0.0.0.0" if family == socket.AF_INET else "::", 0), family=family
                )
                self._sender = port
                for option in options.sending(family, *self._way_out, port.socket):
                    port.set(option)
            except OSError as error:
                why = why_not_connected(error, address_text(self._to))
                raise CannotConnect(f"{self.path} cannot send: {why}") from error
            self._outgoing = Outgoing(self.inbox, port, self._to, self._sent)
        await super()._begin()

    async def _finish(self) -> None:
        while self._outgoing is not None and not self._outgoing.over:
            assert self._sender is not None
            await self._sender.changed
        if self._failure is not None:
            raise self._failure

    async def _close(self) -> None:
        if self._outgoing is not None:
            self._outgoing.close()
        if self._sender is not None:
            await self._sender.close()
        await super()._close()

    def _sent(self, failure: BaseException | None) -> None:
        """Everything has been sent, or something has failed."""
        assert self._sender is not None
        self._sender.changed.set()
        if isinstance(failure, (TypeError, ConnectionLost)):
            self._failure = failure
            if self._outgoing is not None:
                self._outgoing.close()
            self._arrivals.hold.release()
        elif failure is not None:
            self._arrivals.hold.release(failure)
