"""Connections that are kept and used again: `ConnectionPool`.

Theory
------
The pool is a chassis. Each connection is a child of it, a graphline of `HTTPClientProtocol` and a transport;
so nothing here knows of sockets, and all of it runs simulated. Who wants to ask something (a `Caller`) sends
a `Wanted` to the pool, and gets a `Lease` of a connection for one exchange: the postman links the two, and
requests and bodies pass between them without the pool. At the end the caller unlinks, and sends the lease
`Returned`.

The pool answers every `Wanted` with one message, and may send a second for a lease: `Gone`, when the
connection is no more. So a caller that listens to the pool learns of each end, and what failed. The pool
never waits to send: what it sends to a caller is so little that there is room.

A connection is kept for as long as both sides allow (`EndOfResponse.reusable`), and then for some seconds. It
may be closed by the server in the very moment in which it is leased again; a caller that has heard nothing
of an answer then may ask for one that is new. Who could not ask again says for how long at most a connection
may have been idle: one that was used just now is most likely still there.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kamaelia.axon import (
    Component,
    EndOfMessages,
    Failure,
    Graphline,
    Hold,
    Inbox,
    KamaeliaError,
    Outbox,
    UsageError,
    as_part,
    clock,
    select,
)
from kamaelia.axon.arguments import check_name, check_not_negative, check_positive, check_whole
from kamaelia.axon.errors import shorten
from kamaelia.net import TCPClient

from .client_machine import HEAD_LIMIT
from .client_protocol import HTTPClientProtocol, Tunnel
from .headers import Headers
from .url import URL

log = logging.getLogger("kamaelia")

PER_HOST: Final = 6  # connections; what browsers have
ROUNDING: Final = 1e-9  # seconds: a wait may end this much beside the time that was meant


class PoolFull(KamaeliaError):
    """So many wait for a connection already that no more are let in."""


class Route(NamedTuple):
    """Where a connection leads: what two requests have to have in common to use the same."""

    origin: tuple[str, str, int]
    """Scheme, host and port of the server."""
    proxy: URL | None = None
    """Through whom."""

    def __str__(self) -> str:
        _, host, port = self.origin
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return f"{where}-via-{self.proxy.address}" if self.proxy is not None else where


@dataclass(eq=False)
class Wanted:
    """Somebody wants a connection."""

    url: URL
    proxy: URL | None
    way_back: Outbox[Any]
    """Where to send the `Lease`, or what is in the way."""
    idle: float = math.inf
    """Seconds for which it may have been idle; 0 for one that has not been used."""


@dataclass(eq=False)
class Lease:
    """A connection, for one exchange."""

    connection: Connection
    wanted: Wanted
    is_fresh: bool
    """Whether it has not been used before."""


@dataclass(frozen=True)
class NoConnection:
    """There will be no connection."""

    wanted: Wanted
    error: Exception


@dataclass(frozen=True)
class Gone:
    """A leased connection is no more."""

    lease: Lease
    error: BaseException | None
    """Why; None when it just ended."""
    answering: bool
    """Whether some of an answer had come."""


@dataclass(frozen=True)
class Returned:
    """A lease, or a `Wanted` that had no answer yet, is given back."""

    what: Lease | Wanted
    reusable: bool = False


@dataclass(eq=False)
class Connection:
    """One of a pool's connections."""

    route: Route
    protocol: HTTPClientProtocol
    hold: Hold[Any]  # keeps it open between two requests
    lease: Lease | None = None
    uses: int = 0
    idle_since: float = 0.0
    closing: bool = False


@dataclass(frozen=True)
class PoolStatistics:
    """What a pool has done; see `ConnectionPool.statistics`."""

    open: int
    """Connections that there are, also those that are being made."""
    idle: int
    """Of these, how many nobody uses."""
    waiting: int
    """How many wait for one."""
    made: int
    """How many have been made."""
    failed: int
    """How many of them have failed: were not to be had, or broke."""
    reused: int
    """How often one was used again."""
    refused: int
    """How many were not even let in to wait."""


class ConnectionPool(Component):
    """Keeps the connections of HTTP clients, so that several requests may use one after the other.

    Each `HTTPClient` has one of its own. Several of them, `Fetch` and `fetch` share one that has a name and
    runs in the same system: ``HTTPClient(pool="web")``.

    Inbox: ``wanted``, from clients. A pool has no outbox: whom it serves it links to a connection.

    Ending: when it has been released (``wanted.release()``) and nobody is linked to it any more; at a stop,
    or when all else is at rest. Failure: connections fail by themselves, and who uses one is told. Stop:
    those who wait get no connection any more. Back-pressure: ``waiting`` requests wait for a connection; more
    are refused with `PoolFull`. It holds ``wanted`` open.

    Arguments:
        name: by which clients find it; None for one that they are given
        per_host: how many connections to one server, through one proxy, at a time
        limit: how many at all; idle ones are closed to make room
        idle: seconds that a connection is kept which nobody uses; 0 to keep none
        waiting: how many may wait for a connection
        connect_timeout: seconds to make a connection
        head_limit: bytes that the head of a response may have
        tls: for ``https``: None for the usual, or what `TCPClient` takes
        transport: makes the transport for an address, in place of `TCPClient`: a function of a `URL`

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.protocol.http import ConnectionPool
        >>> run(ConnectionPool("web"))
    """

    inbox = None
    outbox = None
    wanted = Inbox[Any]("from everybody who wants a connection", held=True, size=1000)

    def __init__(
        self,
        name: str | None = None,
        *,
        per_host: int = PER_HOST,
        limit: int = 100,
        idle: float = 15.0,
        waiting: int = 1000,
        connect_timeout: float = 10.0,
        head_limit: int = HEAD_LIMIT,
        tls: Any = None,
        transport: Callable[[URL], Any] | None = None,
    ) -> None:
        who = "ConnectionPool"
        if name is not None:
            check_name(who, name, "pool")
        check_whole(f"{who}(per_host={shorten(per_host)})", per_host, "how many connections to a server", 1)
        check_whole(f"{who}(limit={shorten(limit)})", limit, "how many connections", 1)
        check_not_negative(f"{who}(idle={shorten(idle)})", idle, "the seconds to keep a connection")
        check_whole(f"{who}(waiting={shorten(waiting)})", waiting, "how many may wait", 0)
        check_positive(f"{who}(connect_timeout={shorten(connect_timeout)})", connect_timeout, "seconds")
        check_whole(f"{who}(head_limit={shorten(head_limit)})", head_limit, "the bytes of a head", 100)
        if transport is not None and not callable(transport):
            raise TypeError(f"{who}(transport={shorten(transport)}): give a function of a URL")
        self.name = name
        self.connect_timeout = connect_timeout
        self._per_host, self._limit, self._idle, self._may_wait = per_host, limit, idle, waiting
        self._head_limit, self._tls, self._transport = head_limit, tls, transport
        self._connections: list[Connection] = []
        self._waiting: deque[Wanted] = deque()
        self._made = self._failed = self._reused = self._refused = 0
        self._over: Outbox[Connection] = self.add_box(
            "_over", Outbox("connections that ended", optional=True)
        )
        self._news: Inbox[Connection] = self.add_box("_news", Inbox("connections that have ended"))
        self.link(self._over, self._news)

    def statistics(self) -> PoolStatistics:
        """Return what has been done so far."""
        idle = sum(one.lease is None and not one.closing for one in self._connections)
        return PoolStatistics(
            open=len(self._connections),
            idle=idle,
            waiting=len(self._waiting),
            made=self._made,
            failed=self._failed,
            reused=self._reused,
            refused=self._refused,
        )

    async def main(self) -> None:
        if self.name is not None:
            self.system.names.offer(self.name, self, self)
        try:
            while True:
                self._serve()
                left = self._close_idle()
                try:
                    box, message = await select(self._news, self.wanted, until=self.wanted, timeout=left)
                except TimeoutError:
                    continue
                except EndOfMessages:
                    return
                if box is self._news:
                    self._has_ended(message)
                elif isinstance(message, Wanted):
                    self._let_in(message)
                elif isinstance(message, Returned):
                    self._take_back(message)
        finally:
            self._close_all()

    # -- those who want one -------------------------------------------------------------------------

    def _let_in(self, wanted: Wanted) -> None:
        self._waiting.append(wanted)
        self._serve()
        if len(self._waiting) > self._may_wait:
            self._waiting.remove(wanted)
            self._refused += 1
            self._refuse(
                wanted,
                PoolFull(
                    f"{self.path}: {len(self._waiting)} requests wait for a connection already: ask less "
                    "at a time, or allow more with ConnectionPool(waiting=...) or per_host=..."
                ),
            )

    def _serve(self) -> None:
        """Give connections to those who wait, in order; who cannot be helped does not hold up others."""
        if self.system.stopping:
            while self._waiting:
                self._refuse(self._waiting.popleft(), KamaeliaError(f"{self.path} is being stopped"))
        if not self._waiting:
            return
        still: deque[Wanted] = deque()
        busy: set[Route] = set()  # routes to which nothing is to be had now
        for wanted in self._waiting:
            route = Route(wanted.url.origin, wanted.proxy)
            if wanted.way_back.closed:
                continue
            try:
                connection = None if route in busy else self._find(route, wanted)
            except Exception as error:  # of what makes transports, or of how TLS is to be
                self._failed += 1
                self._refuse(wanted, error)
                continue
            if connection is None:
                busy.add(route)
                still.append(wanted)
            else:
                self._lend(connection, wanted)
        self._waiting = still

    def _find(self, route: Route, wanted: Wanted) -> Connection | None:
        """Return a connection for somebody, a new one if there is none; None if there cannot be one now."""
        same = [one for one in self._connections if one.route == route and not one.closing]
        idle = [one for one in same if one.lease is None]
        if idle:
            newest = max(idle, key=lambda one: one.idle_since)
            if clock() - newest.idle_since < wanted.idle:
                return newest
            # The new one takes its place: else there were ever more.
            self._close(min(idle, key=lambda one: one.idle_since))
        elif len(same) >= self._per_host:
            return None
        there = [one for one in self._connections if not one.closing]
        if len(there) >= self._limit:
            unused = [one for one in there if one.lease is None]
            if not unused:
                return None
            self._close(min(unused, key=lambda one: one.idle_since))
        return self._connect(route, wanted.url)

    def _lend(self, connection: Connection, wanted: Wanted) -> None:
        lease = connection.lease = Lease(connection, wanted, connection.uses == 0)
        self._reused += connection.uses > 0
        connection.uses += 1
        wanted.way_back.send(lease)

    def _take_back(self, returned: Returned) -> None:
        what = returned.what
        if isinstance(what, Wanted):
            if what in self._waiting:
                self._waiting.remove(what)
                return
            # It was answered just now.
            leases = [one.lease for one in self._connections if one.lease and one.lease.wanted is what]
            for lease in leases:
                self._end_lease(lease, reusable=False)
        else:
            self._end_lease(what, reusable=returned.reusable)

    def _end_lease(self, lease: Lease, *, reusable: bool) -> None:
        connection = lease.connection
        if connection.lease is not lease:
            return
        connection.lease = None
        connection.idle_since = clock()
        if not reusable or not self._idle:
            self._close(connection)

    def _refuse(self, wanted: Wanted, error: Exception) -> None:
        if not wanted.way_back.closed:
            wanted.way_back.send(NoConnection(wanted, error))

    # -- connections --------------------------------------------------------------------------------

    def _connect(self, route: Route, url: URL) -> Connection:
        proxy = route.proxy
        tunnel = None
        if proxy is not None and url.is_secure:
            headers = Headers()
            if proxy.authorization is not None:
                headers = Headers({"Proxy-Authorization": proxy.authorization})
            tunnel = Tunnel(url.address, headers, _start_tls(self._tls, url.host))
        http = HTTPClientProtocol(head_limit=self._head_limit, tunnel=tunnel)
        transport = as_part(self._make_transport(url if proxy is None else proxy))
        line = Graphline(http.outbox >> transport.inbox, transport.outbox >> http.inbox)
        self.add(line, name=str(route), isolated=True)
        self._made += 1
        connection = Connection(route, http, http.requests.hold())
        self._connections.append(connection)
        http.add_done_callback(lambda _: self._note_end(connection))
        return connection

    def _make_transport(self, url: URL) -> Any:
        if self._transport is not None:
            return self._transport(url)
        options: dict[str, Any] = {"connect_timeout": self.connect_timeout}
        if url.is_secure:
            options["tls"] = True if self._tls is None else self._tls
        return TCPClient(url.host, url.port, **options)

    def _note_end(self, connection: Connection) -> None:
        if not self._over.closed:
            self._over.send(connection)

    def _tell(self, failure: Failure) -> None:
        """Who uses a connection is told what has become of it; nobody else needs to know."""
        log.debug("%s: %s", failure.path, failure.error)

    def _has_ended(self, connection: Connection) -> None:
        """A connection is no more: tell who used it."""
        self._connections.remove(connection)
        protocol, lease = connection.protocol, connection.lease
        error = None if protocol.cancelled() else protocol.exception()
        self._failed += error is not None
        if lease is not None and not lease.wanted.way_back.closed:
            lease.wanted.way_back.send(Gone(lease, error, protocol.answering))

    def _close(self, connection: Connection) -> None:
        """Close a connection that nobody uses."""
        if not connection.closing:
            connection.closing = True
            connection.hold.release()
            connection.protocol.cancel()

    def _close_idle(self) -> float | None:
        """Close what nobody has used for long enough; return the seconds until there is more to close."""
        now, soonest = clock(), None
        for one in self._connections:
            if one.lease is None and not one.closing:
                left = one.idle_since + self._idle - now
                if left <= ROUNDING:
                    self._close(one)
                elif soonest is None or left < soonest:
                    soonest = left
        return soonest

    def _close_all(self) -> None:
        if self.name is not None:
            self.system.names.withdraw(self.name)
        left = [self.wanted.receive_nowait() for _ in range(self.wanted.statistics().waiting)]
        for wanted in itertools.chain(self._waiting, left):
            if isinstance(wanted, Wanted):
                self._refuse(wanted, KamaeliaError(f"{self.path} has ended, and makes no more connections"))
        self._waiting.clear()
        for connection in self._connections:
            lease = connection.lease
            if lease is not None and not lease.wanted.way_back.closed:
                lease.wanted.way_back.send(Gone(lease, None, connection.protocol.answering))
            self._close(connection)


def _start_tls(tls: Any, host: str) -> Any:
    """Return the message with which a transport begins TLS with somebody behind a proxy."""
    import copy
    import importlib

    net: Any = importlib.import_module("kamaelia.net")  # of which not every program needs TLS
    settings = net.ClientTLS() if tls is None or tls is True else tls
    if not isinstance(settings, net.ClientTLS):
        raise UsageError(
            f"ConnectionPool(tls={shorten(tls)}): through a proxy, give ClientTLS(...): of an SSLContext it "
            "cannot be said whose certificate there has to be"
        )
    if settings.server_name is None:
        settings = copy.copy(settings)
        settings.server_name = host
    return net.StartTLS(settings)


__all__ = ["ConnectionPool", "PoolFull", "PoolStatistics"]
