"""Servers of streams: a component of its own for each who connects, whatever it is that one connects to.

The server itself only accepts. The loop makes a `Connection` of each who connects, which goes through a
`Gate` first where a proxy or TLS has to speak before the peer does. `StreamServer.arrived` puts it into the
inbox ``accepted``; ``main`` takes it from there and adds a child, the protocol component, that the connection
then serves. What takes time when a connection ends is a task of ``main``'s, which goes on until the last
connection is over.

Where a server listens is its subclass's business: `TCPServer`, `UnixServer`, `MemoryServer`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import ssl
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from kamaelia.axon import (
    Component,
    ComponentFunction,
    Failure,
    Inbox,
    Outbox,
    Signal,
    SourceFailed,
    as_part,
)
from kamaelia.axon.arguments import check_positive
from kamaelia.axon.queue import parse_size
from kamaelia.axon.units import bytes_per_second

from .arguments import check_limit, check_protocol_is_one, check_size, check_time_outs, check_whole
from .connection import SIZE, Connection, Server, address_text, check_protocol
from .errors import CannotListen
from .gate import Gate
from .kernel import bound_buffers, nearly_out_of_files
from .serving import (
    Admission,
    announce,
    make_protocol,
    report_not_made,
    report_unwritable,
    start_protocol,
)
from .tls.settings import BadCertificate, ServerTLS, check_server_tls, server_context
from .watch import Watch

log = logging.getLogger("kamaelia")

BUFFERS = "64 KiB"  # what the operating system keeps for a connection, each way
FILES_KEPT = 16  # that the process may still open, for all else, when who comes is refused
ANYBODY = ("*",)  # as `proxies`: every connection has the header


@dataclass(frozen=True)
class ServerStatistics:
    """What a server has done; see `StreamServer.statistics`."""

    open: int
    """Connections that there are now."""
    accepted: int
    """Connections that were given to a protocol component."""
    refused: int
    """Connections closed at once; ``reasons`` says why."""
    rejected: int
    """Connections closed before they were served, for they had no proper header of a proxy or handshake of
    TLS, or not in time."""
    failed: int
    """Connections whose protocol component failed."""
    broken: int
    """Connections that the peer, or the network, broke off."""
    idle: int
    """Connections ended by ``idle_timeout``."""
    stalled: int
    """Connections ended by ``stall_timeout``, or ``least_rate``."""
    expired: int
    """Connections ended by ``total_timeout``."""
    bytes_in: int
    """Bytes received."""
    bytes_out: int
    """Bytes that the operating system has taken to send."""
    unread: int
    """Bytes received that came when nobody was there to read them any more."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Of those refused, how many for what: ``"limit"`` (connections of the server), ``"address"``
    (connections of one address), ``"rate"`` (connections a second), ``"files"`` (that the process may have
    open), ``"stop"``."""


class ServerOptions(TypedDict, total=False):
    """What may be said to every server of streams; see the arguments of `TCPServer`."""

    limit: int
    accept_rate: float | None
    idle_timeout: float | None
    stall_timeout: float | None
    least_rate: float | str | None
    total_timeout: float | None
    handshake_timeout: float
    linger: float
    size: int | str
    receive_rate: float | str | None
    buffers: int | str | None
    backlog: int
    tls: ServerTLS | ssl.SSLContext | None
    on_failure: Literal["isolate", "stop"]
    quiet: bool


class StreamServer(Server):
    """What servers of streams have in common; see `TCPServer` for the arguments."""

    inbox = None
    outbox = None
    accepted = Inbox[Connection]("connections that have been made, from the loop", size=1000)
    listening = Outbox[Any]("the address, once, when the server listens", optional=True)
    failures = Outbox[Failure]("components that failed", optional=True)

    def __init__(
        self,
        protocol: Any,
        *,
        limit: int = 1000,
        limit_per_address: int | None = None,
        accept_rate: float | None = None,
        idle_timeout: float | None = 300.0,
        stall_timeout: float | None = 60.0,
        least_rate: float | str | None = None,
        total_timeout: float | None = None,
        handshake_timeout: float = 10.0,
        linger: float = 1.0,
        size: int | str = SIZE,
        receive_rate: float | str | None = None,
        buffers: int | str | None = BUFFERS,
        backlog: int = 100,
        tls: ServerTLS | ssl.SSLContext | None = None,
        proxies: Sequence[str] = (),
        on_failure: Literal["isolate", "stop"] = "isolate",
        quiet: bool = False,
    ) -> None:
        kind = type(self).__name__
        check_protocol_is_one(protocol, kind)
        check_whole(limit, f"{kind}(limit=...)", 1, math.inf, "how many may be connected, 1 or more")
        if limit_per_address is not None:
            give = "how many may be connected from one address, 1 or more, or None for any number"
            check_whole(limit_per_address, f"{kind}(limit_per_address=...)", 1, math.inf, give)
        if accept_rate is not None:
            check_positive(f"{kind}(accept_rate={accept_rate!r})", accept_rate, "connections a second")
        check_time_outs(kind, idle_timeout, stall_timeout, linger)
        if total_timeout is not None:
            check_limit(total_timeout, f"{kind}(total_timeout=...)", ", or None for ever")
        check_limit(handshake_timeout, f"{kind}(handshake_timeout=...)")
        check_size(size, f"{kind}(size=...)")
        check_whole(backlog, f"{kind}(backlog=...)", 1, math.inf, "how many may wait, 1 or more")
        check_server_tls(tls, kind)
        if on_failure not in ("isolate", "stop"):
            raise ValueError(f"{kind}(on_failure={on_failure!r}): it is 'isolate' or 'stop'")
        if isinstance(protocol, (Component, ComponentFunction, type)):
            protocol = as_part(protocol)
            check_protocol(protocol, kind)
        self._protocol = protocol
        self._admission = Admission(
            self,
            "refuses connections",
            {
                "limit": f"it has {limit} open, which is its limit={limit}",
                "address": f"one address has {limit_per_address}, which is its limit_per_address",
                "files": "the process may hardly open more files (`ulimit -n`)",
                "rate": f"more than accept_rate={accept_rate} came within a second",
            },
            limit=limit,
            limit_per_address=limit_per_address,
            rate=accept_rate,
        )
        self._idle_timeout, self._stall_timeout = idle_timeout, stall_timeout
        self._least_rate = checked_least_rate(least_rate, stall_timeout, kind)
        self._total_timeout = total_timeout
        self.handshake_timeout = handshake_timeout
        """Seconds for what has to be said before a peer is served."""
        self._receive_rate = checked_receive_rate(receive_rate, kind)
        self.linger = linger
        """Seconds to wait for a peer's end when nobody reads any more what it sends."""
        self.bytes_waiting, _ = parse_size(size, f"size={size!r}")
        """Bytes that may wait in each direction of a connection."""
        self._buffers = checked_buffers(buffers, kind)
        self._backlog = backlog
        self.tls = tls
        """How connections are protected; None if they are not."""
        self._proxies = _networks(proxies, kind)
        self._isolated = on_failure == "isolate"
        self._quiet = quiet
        self.address: Any = None
        """Where the server listens (the first in order, of several); None until it does."""
        self.addresses: list[Any] = []
        """All of them."""
        self.accepted.resize(limit + 1)  # `limit` bounds it: more than that are refused at once
        self._arrivals = self.accepted.hold(outside=True)
        self.connections = {}
        self._own_addresses: dict[Any, Any] = {}
        self._gates: dict[Gate, Any] = {}  # those at them, with the address that is counted for each
        self._waiting: set[Connection] = set()  # that are not served yet
        self._changed = Signal("see its last connection end")
        self._farewells: asyncio.TaskGroup | None = None  # while there is time for farewells
        self._counts = dict.fromkeys(
            ("accepted", "rejected", "failed", "broken", "idle", "stalled", "expired"), 0
        )
        self._bytes = [0, 0, 0]  # in, out, unread of connections that are over

    def statistics(self) -> ServerStatistics:
        """Return what the server has done so far; may be called from any thread."""
        # Copies, for they may change while another thread looks through them.
        gates, open_ = len(self._gates), [*list(self._waiting), *list(self.connections.values())]
        live = [(one.bytes_in, one.bytes_out, one.unread) for one in open_]
        bytes_in, bytes_out, unread = (sum(column) for column in zip(self._bytes, *live, strict=True))
        reasons = dict(self._admission.reasons)
        return ServerStatistics(
            open=gates + len(open_),
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            unread=unread,
            refused=sum(reasons.values()),
            reasons=reasons,
            **self._counts,
        )

    async def main(self) -> None:
        """Listen, and make a connection of each transport that arrives."""
        if self._arrivals.released:
            return  # the system was stopped before it had begun
        watch = Watch(
            idle_timeout=self._idle_timeout,
            stall_timeout=self._stall_timeout,
            least_rate=self._least_rate,
            total_timeout=self._total_timeout,
            handshake_timeout=self.handshake_timeout,
            receive_rate=self._receive_rate,
        )
        if self.tls is not None:
            try:
                server_context(self.tls, watch.clock())
            except BadCertificate as error:
                raise CannotListen(f"{self.path}: {error}") from error
        failure = None
        server = await self._listen(lambda: self._make_connection(watch))
        self.addresses = self._addresses_of(server)
        address = self.address = self.addresses[0]
        try:
            async with asyncio.TaskGroup() as self._farewells:
                try:
                    # A stop releases the hold: at that instant, nothing more is accepted.
                    self._arrivals.on_release = server.close
                    self._announce()
                    await self.listening.send(address)
                    self.listening.close()
                    async for connection in self.accepted:
                        self._serve(connection)
                        del connection  # or it would be kept until the next one comes
                except SourceFailed as error:  # something has failed, but connections may still end well
                    failure = error
                finally:
                    server.close()
                    for gate in list(self._gates):
                        self._admission.refuse("stop")
                        gate.refuse(_Stopping())
                    for connection in list(self._waiting):
                        self._turn_away(connection)
                    if failure is None and sys.exc_info()[1] is not None:
                        self._cut_off()
                try:
                    while self.connections:
                        await self._changed
                finally:
                    self._cut_off()
        finally:
            for connection in list(self.connections.values()):
                while not connection.lost:  # the loop is about to say so
                    await connection.changed
        if failure is not None:
            raise failure

    def _cut_off(self) -> None:
        """There is no time for farewells any more."""
        self._farewells = None
        for connection in list(self.connections.values()):
            connection.cut_off(broken=self._axon.cause is not None)

    # -- listening --------------------------------------------------------------------------------

    async def _listen(self, make: Callable[[], asyncio.BaseProtocol]) -> Any:
        """Begin to listen; return the loop's server, which accepts already. Raises `CannotListen`."""
        raise NotImplementedError

    def _addresses_of(self, server: Any) -> list[Any]:
        """Return where the loop's server listens."""
        raise NotImplementedError

    def _hint(self) -> str:
        """Return what a person may type to try the server."""
        return ""

    def _set_up(self, server: Any) -> None:
        """Set the options of the loop's server, before it accepts anybody, who has them then as well."""
        if self._buffers is not None:
            for socket in server.sockets:
                bound_buffers(socket, self._buffers)

    def _announce(self) -> None:
        where = " and ".join(map(address_text, self.addresses))
        announce(self, f"listens on {where}", self._hint(), quiet=self._quiet)

    # -- connections ------------------------------------------------------------------------------

    def _make_connection(self, watch: Watch) -> asyncio.BaseProtocol:
        """Make the protocol for who has connected."""
        connection = Connection(self, watch)
        return connection if self.tls is None and not self._proxies else Gate(self, connection, watch)

    def may_enter(self, gate: Gate, address: Any, transport: asyncio.BaseTransport) -> bool:
        """Say whether somebody may come in; see `GateKeeper`."""
        counted = None if self.speaks_for_others(address) else address  # a proxy is not who comes
        reason = self._why_not(counted, transport)
        if reason is not None:
            self._admission.refuse(reason)
            return False
        self._gates[gate] = counted
        self._admission.count(counted, 1)
        return True

    def speaks_for_others(self, address: Any) -> bool:
        """Say whether this is a proxy; see `GateKeeper`."""
        if self._proxies is ANYBODY:
            return True
        if not self._proxies or not isinstance(address, tuple):
            return False
        host = ipaddress.ip_address(address[0].partition("%")[0])
        if isinstance(host, ipaddress.IPv6Address) and host.ipv4_mapped is not None:
            host = host.ipv4_mapped
        return any(host in network for network in self._proxies)

    def left(self, gate: Gate, error: Exception | None) -> None:
        """Somebody has left the gate; see `GateKeeper`."""
        self._admission.count(self._gates.pop(gate), -1)
        if error is not None and not isinstance(error, _Stopping):
            self._counts["rejected"] += 1
            log.info("%s: a connection from %s was not served: %s", self.path, gate.peer, error)

    def arrived(self, connection: Connection) -> None:
        """The loop has made a connection, and it has gone through the gate if there is one."""
        address = connection.address
        if not connection.admitted:
            reason = self._why_not(address, connection.transport)
        elif self._arrivals.released:
            reason = "stop"
        else:
            reason = "address" if self._admission.too_many_from(address) else None
        if reason is not None:
            self._admission.refuse(reason)
            connection.transport.abort()
        else:
            self._admission.count(address, 1)
            self._waiting.add(connection)
            self._arrivals.send(connection)

    def _why_not(self, address: Any, transport: asyncio.BaseTransport) -> str | None:
        """Return why nobody may connect now, or not from this address."""
        if self._arrivals.released:
            return "stop"
        count = len(self._gates) + len(self._waiting) + len(self.connections)
        reason = self._admission.why_not(count, address)
        if reason is not None:
            return reason
        # Loops accept as many at once as may wait, and complain at length about those that they cannot.
        if nearly_out_of_files(transport, self._backlog + FILES_KEPT):
            return "files"
        if self._admission.too_fast(asyncio.get_running_loop().time()):
            return "rate"
        self._admission.admit()
        return None

    def _turn_away(self, connection: Connection) -> None:
        """The server is stopping, and the connection is not served yet."""
        self._admission.refuse("stop")
        self._waiting.discard(connection)
        self._admission.count(connection.address, -1)
        connection.transport.abort()

    def _serve(self, connection: Connection) -> None:
        if self._arrivals.released:
            self._turn_away(connection)  # it came, but the system is stopping
            return
        self._waiting.discard(connection)
        self._counts["accepted"] += 1
        number = self._counts["accepted"]
        path = f"{self.path}/client-{number}"
        try:
            protocol = make_protocol(self._protocol, path)
            connection.attach(protocol)
            self.connections[protocol] = connection
            start_protocol(self, protocol, number, isolated=self._isolated)
            connection.begin()
        except Exception as error:  # the factory of somebody's protocol may raise anything
            if connection.protocol is not None:
                self.connections.pop(connection.protocol, None)
            connection.reset()
            self._count(connection)
            if not self._isolated:
                raise
            self._counts["failed"] += 1
            report_not_made(self, path, error, self._protocol)

    def shared(self, address: Any) -> Any:
        """Return the same object for each connection to one of our addresses; see `Owner`."""
        return self._own_addresses.setdefault(address, address)

    def unwritable(self, connection: Connection, error: Exception) -> None:
        """A protocol has sent what can't be written; see `Owner`."""
        protocol = connection.protocol
        assert protocol is not None
        self._counts["failed"] += 1
        report_unwritable(self, protocol, error, isolated=self._isolated)

    def finish_later(self, farewell: Coroutine[Any, Any, None]) -> None:
        """The end of a connection takes time; see `Owner`."""
        context = self.get_context()
        if self._farewells is None or context is None:
            farewell.close()
        else:
            task = self._farewells.create_task(self._see_off(farewell), context=context.copy())
            # Cancelled before its first step, it never awaits the farewell: no warning about that.
            task.add_done_callback(lambda _: farewell.close())

    async def _see_off(self, farewell: Coroutine[Any, Any, None]) -> None:
        try:
            await farewell
        except Exception as error:  # of whatever kind: it must not end the connections of others
            self._counts["failed"] += 1
            log.error("%s: the end of a connection failed: %s", self.path, error, exc_info=error)

    def _child_over(self, child: Component, failure: Failure | None) -> None:
        super()._child_over(child, failure)
        if child._axon.failures:
            self._counts["failed"] += 1
        connection = self.connections.get(child)
        if connection is not None:
            connection.protocol_ended(failed=child._axon.cause is not None)

    def over(self, connection: Connection) -> None:
        """A connection has ended; see `Owner`."""
        assert connection.protocol is not None
        del self.connections[connection.protocol]
        self._count(connection)
        connection.let_go()
        self._changed.set()

    def _count(self, connection: Connection) -> None:
        self._admission.count(connection.address, -1)
        if connection.trouble is not None:
            self._counts[connection.trouble] += 1
            log.info(
                "%s: the connection of %s broke: %s",
                self.path,
                address_text(connection.address),
                connection.failure,
            )
        for index, count in enumerate((connection.bytes_in, connection.bytes_out, connection.unread)):
            self._bytes[index] += count


class _Stopping(Exception):
    """Why somebody at the gate is sent away, and counted as refused."""


def checked_receive_rate(rate: Any, where: str) -> float | None:
    """Return a rate in bytes per second."""
    return _checked_rate(rate, where, "receive_rate", "all that comes")


def checked_least_rate(rate: Any, stall_timeout: float | None, where: str) -> float | None:
    """Return a rate in bytes per second, which is measured over the time after which a peer has stalled."""
    if rate is not None and stall_timeout is None:
        raise ValueError(f"{where}(least_rate={rate!r}, stall_timeout=None): say over how many seconds")
    return _checked_rate(rate, where, "least_rate", "any")


def _checked_rate(rate: Any, where: str, name: str, otherwise: str) -> float | None:
    if rate is None:
        return None
    number = bytes_per_second(rate, f"{where}({name}=...)")
    if not number:
        raise ValueError(f"{where}({name}={rate!r}): give more than 0, or None for {otherwise}")
    return number


def checked_buffers(buffers: Any, where: str) -> int | None:
    """Return a number of bytes, or None for what the operating system takes."""
    if buffers is None:
        return None
    check_size(buffers, f"{where}(buffers=...)")
    number, _ = parse_size(buffers, f"buffers={buffers!r}")
    return number


def _networks(proxies: Any, kind: str) -> Any:
    """Return the networks in which proxies are."""
    if isinstance(proxies, str):
        proxies = (proxies,)
    if tuple(proxies) == ANYBODY:
        return ANYBODY
    try:
        return tuple(ipaddress.ip_network(one) for one in proxies)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'{kind}(proxies={proxies!r}): give addresses or networks of proxies, like ["10.0.0.0/8"], or '
            f'"*" if every connection comes by one: {error}'
        ) from None
