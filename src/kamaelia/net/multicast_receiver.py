"""Receiving what is sent to groups."""

from __future__ import annotations

import errno
import functools
import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox, SourceFailed, select
from kamaelia.axon.errors import shorten

from .arguments import check_size, check_whole
from .connection import address_text
from .datagram import (
    ARRIVED,
    SIZE,
    Arrivals,
    DatagramStatistics,
    Once,
    Port,
    add_statistics,
    check_buffer,
    check_port,
    pass_on,
    send_datagram,
)
from .errors import CannotListen, why_not_listening
from .multicast import (
    GroupDatagram,
    JoinGroup,
    LeaveGroup,
    Membership,
    address_of,
    check_group,
    check_interface,
    check_sources,
    usual,
)
from .serving import announce

log = logging.getLogger("kamaelia")


class MulticastReceiver(Component):
    """Receives what is sent to a group, or to several on one port.

    Outboxes: ``outbox`` sends the bytes of each datagram; ``datagrams`` a `GroupDatagram` of the bytes, the
    sender's address and the group; what is not linked costs nothing. ``listening`` sends the first group and
    the port once it hears it. Inbox: ``groups``, a `JoinGroup` or `LeaveGroup` for each group to hear from
    then on, or no more; what had come before is still passed on. One that cannot be obeyed is logged and
    counted.

    Nothing ends it but a stop of the system, which lets it pass on what had come, and that nobody listens any
    more; not the end of ``groups`` either. While its reader is slow, ``size`` bytes wait, and what comes then
    is dropped, counted and logged once. When the whole program is slow, the operating system drops what does
    not fit into its buffers. Other programs and receivers on this machine may hear the same.

    Arguments:
        group: address of the group, IPv4 or IPv6; or several in a list, or None for those joined later
        port: that is sent to
        source: hear only this sender (name or address), or these; None for any. Source-specific groups are
            those from 232.0.0.0 to 232.255.255.255, and those that begin with ff3; the rest works here too
        interface: where to join: its name, number or IPv4 address; None leaves it to the system's routes
        size: bytes that may wait for the reader; each datagram counts 64 more than its data
        buffer: bytes that the operating system may keep for each group; None for what is usual
        limit: groups at a time; each takes a socket
        quiet: do not say on standard error what it receives

    Raises `CannotListen`, `ConnectionLost` when a socket fails; `TypeError` and `ValueError` for arguments
    that cannot be meant.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Source
        >>> from kamaelia.net import MulticastReceiver, MulticastSender
        >>> receiver = MulticastReceiver("239.255.7.7", 50047, interface="127.0.0.1", quiet=True)
        >>> with background(receiver) as receiver:
        ...     group, port = receiver.receive("listening")
        ...     run(Source([b"to all"]) | MulticastSender(group, port, interface="127.0.0.1"))
        ...     receiver.receive(timeout=10)
        b'to all'
    """

    inbox: Any = None
    outbox = Outbox[bytes]("the bytes of each datagram")
    datagrams = Outbox[GroupDatagram]("each datagram with the sender's address and the group")
    listening = Outbox[tuple[str, int]]("the group and port, once, when it receives", optional=True)
    groups = Inbox[JoinGroup | LeaveGroup]("what to join, and what to leave")
    _arrived = Inbox[Any]("datagrams, from the sockets", size=ARRIVED)

    def __init__(
        self,
        group: str | Sequence[str] | None,
        port: int,
        *,
        source: str | Sequence[str] | None = None,
        interface: str | int | None = None,
        size: int | str = SIZE,
        buffer: int | str | None = None,
        limit: int = 500,
        quiet: bool = False,
    ) -> None:
        name = type(self).__name__
        groups = (group,) if isinstance(group, str) else () if group is None else group
        if not isinstance(groups, Sequence):
            check_group(group, f"{name}(group=...)")
        for one in groups:
            check_group(one, f"{name}(group=...)")
        check_port(port, f"{name}(port=...)", free=False)
        sources = check_sources(source, f"{name}(source=...)")
        check_interface(interface, f"{name}(interface=...)")
        check_size(size, f"{name}(size=...)")
        check_buffer(buffer, f"{name}(buffer=...)")
        check_whole(limit, f"{name}(limit=...)", 1, math.inf, "how many groups it may hear, 1 or more")
        if len(groups) > limit:
            raise ValueError(f"{name}(limit={limit}): there are {len(groups)} groups to begin with")
        self._first = [JoinGroup(group, source) for group in groups for source in sources]
        self._port = port
        self._interface = interface
        self._buffer = buffer
        self._most = limit
        self._quiet = quiet
        self._once = Once(self)
        self._arrivals = Arrivals(self, self._arrived, size, self._once)
        self._joined: dict[str, Membership] = {}
        self._refused = 0  # to join or to leave
        self._missed = self._errors = 0  # of sockets that are closed

    @property
    def joined(self) -> list[str]:
        """The addresses of the groups that it hears now, as they are usually written."""
        return list(self._joined)

    def statistics(self) -> DatagramStatistics:
        """Return what has passed so far. ``errors`` also counts groups that could not be joined or left."""
        done = add_statistics(self._all_ports(), self._arrivals)
        missed = None if done.missed is None else done.missed + self._missed
        return replace(done, missed=missed, errors=done.errors + self._errors + self._refused)

    def _all_ports(self) -> list[Port]:
        return [membership.port for membership in self._joined.values()]

    async def main(self) -> None:
        """Receive, until a stop."""
        try:
            if not self._arrivals.hold.released:  # by a stop, or a failure, before it had begun
                for join in self._first:
                    await self._join_first(join)
            await self._begin()
            try:
                if self.groups.incoming:
                    await self._receive_and_change()
                else:
                    await pass_on(self, self._arrivals, self._arrived)
            except SourceFailed:
                for port in self._all_ports():
                    port.check()
                await self._finish()
                raise
            await self._finish()
        finally:
            await self._close()

    async def _begin(self) -> None:
        """It has joined what it was to join from the beginning."""
        if self._joined:
            (first, *others) = self._joined
            text = f"receives what is sent to {address_text((first, self._port))}"
            if others:
                text += f" and {len(others)} other groups"
            announce(self, text, "", quiet=self._quiet)
            await self.listening.send((first, self._port))
        self.listening.close()

    async def _receive_and_change(self) -> None:
        async for box, message in select(self.groups, self._arrived, until=self._arrived):
            if box is self.groups:
                await self._change(message)
            elif type(message) is bytes:
                self._arrivals.passed(len(message))
                await self.outbox.send(message)
            else:
                self._arrivals.passed(len(message.data))
                await send_datagram(self.outbox, self.datagrams, message)

    async def _finish(self) -> None:
        """Nothing more will come, but something may still be on its way out."""

    async def _close(self) -> None:
        for membership in list(self._joined.values()):
            await self._drop(membership)

    def _receive(self, membership: Membership, data: bytes, address: Any) -> None:
        """See asyncio's ``datagram_received``."""
        if membership.hears(address):
            message: Any = data
            if self.datagrams.routes:
                message = GroupDatagram.to_group(data, address, membership.group)
            self._arrivals.take(message, len(data))

    # -- groups -----------------------------------------------------------------------------------

    async def _join_first(self, join: JoinGroup) -> None:
        try:
            await self._join(join)
        except (OSError, ValueError, NotImplementedError) as error:
            where = address_text((join.group, self._port))
            raise CannotListen(f"{self.path}: {_why_not_joined(error, where)}") from error

    async def _change(self, change: JoinGroup | LeaveGroup) -> None:
        if not isinstance(change, (JoinGroup, LeaveGroup)):
            raise TypeError(
                f"{self.path}: {shorten(change)} says nothing about groups: send JoinGroup or LeaveGroup"
            )
        try:
            await (self._leave(change) if isinstance(change, LeaveGroup) else self._join(change))
        except (OSError, ValueError, NotImplementedError) as error:
            self._refused += 1
            verb = "leave" if isinstance(change, LeaveGroup) else "join"
            source = "" if change.source is None else f" for {change.source}"
            where = address_text((change.group, self._port))
            why = _why_not_joined(error, where)
            log.warning("%s could not %s %s%s: %s", self.path, verb, change.group, source, why)

    async def _join(self, join: JoinGroup) -> None:
        source = None if join.source is None else await address_of(join.source, join.group)
        group = usual(join.group)
        membership = self._joined.get(group)
        if membership is not None:
            membership.join(source)
            return
        if len(self._joined) >= self._most:
            raise ValueError(f"there are {self._most} groups, which is its limit=")
        port = Port(self, self._once, on_failure=self._arrivals.hold.release)
        membership = Membership(group, self._interface, port)
        port.datagram_received = functools.partial(self._receive, membership)  # type: ignore[method-assign]
        try:
            await membership.open(self._port, buffer=self._buffer)
            membership.join(source)
        except BaseException:
            await port.close()
            raise
        self._joined[group] = membership

    async def _leave(self, leave: LeaveGroup) -> None:
        membership = self._joined.get(usual(leave.group))
        if membership is None:
            raise ValueError("it was not joined")
        source = None if leave.source is None else await address_of(leave.source, leave.group)
        if membership.leave(source):
            await self._drop(membership)

    async def _drop(self, membership: Membership) -> None:
        """Leave a group by closing its socket."""
        port = membership.port
        await port.close()
        del self._joined[membership.group]
        self._missed += port.missed or 0
        self._errors += port.errors


def _why_not_joined(error: Exception, address: str) -> str:
    if isinstance(error, OSError):
        if error.errno in (errno.ENODEV, errno.ENXIO) or "no interface" in str(error):
            return f"there is no such interface, or no route to {address}: say interface=, such as 'eth0'"
        if error.errno == errno.EADDRINUSE:
            return f"another program has {address} for itself alone"
        return why_not_listening(error, address)
    return str(error)
