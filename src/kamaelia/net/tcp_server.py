"""TCP servers: a component of its own for each who connects.

The server itself only accepts. The loop makes a `Connection` of each who connects, which `TCPServer.arrived`
puts into the inbox ``accepted``; ``main`` takes it from there and adds a child, the protocol component, that
the connection then serves. What takes time when a connection ends is a task of ``main``'s, which goes on
until the last connection is over.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kamaelia.axon import (
    Component,
    ComponentFunction,
    Failure,
    Inbox,
    Outbox,
    Signal,
    SourceFailed,
    as_part,
    lifecycle,
    make,
)
from kamaelia.axon.queue import parse_size
from kamaelia.axon.system import describe_core

from .arguments import check_protocol_is_one, check_server_host, check_size, check_time_outs, check_whole
from .connection import SIZE, Connection, Server, address_text, check_protocol
from .errors import CannotListen, why_not_listening
from .watch import Watch

log = logging.getLogger("kamaelia")


@dataclass(frozen=True)
class ServerStatistics:
    """What a server has done; see `TCPServer.statistics`."""

    open: int
    """Connections that there are now."""
    accepted: int
    """Connections that were given to a protocol component."""
    refused: int
    """Connections closed at once: beyond ``limit``, or during a stop."""
    failed: int
    """Connections whose protocol component failed."""
    broken: int
    """Connections that the peer, or the network, broke off."""
    idle: int
    """Connections ended by ``idle_timeout``."""
    stalled: int
    """Connections ended by ``stall_timeout``."""
    bytes_in: int
    """Bytes received."""
    bytes_out: int
    """Bytes that the operating system has taken to send."""
    unread: int
    """Bytes received that came when nobody was there to read them any more."""


class TCPServer(Server):
    """Listens on a TCP port, and makes a protocol component for each who connects.

    What the peer sends arrives in the component's inbox, what it sends goes to the peer, both in bytes. The
    end of one is the end of the other's half; the connection closes when both have ended. A connection that
    breaks (reset, a time-out) is a failed source: the component gets `SourceFailed`, whose cause is a
    `ConnectionError` or `TimeoutError`. When the peer has gone, the component's outbox has lost its reader. A
    component that fails breaks its own connection and no other's: its peer gets what was sent before, and
    then a reset. The children of the server are called ``client-1``, ``client-2``, ...

    A peer that leaves in an orderly way looks like one that has only finished sending. So a component ends
    when its inbox has ended, as most do by themselves; one that does not, and is silent, is found by
    ``idle_timeout``.

    A stalled peer is noticed at the latest a quarter later. A component whose inbox declares a ``size`` of
    its own keeps that one.

    Arguments:
        protocol: the component for a connection: a class, a component (made again from its recipe), a factory
        port: to listen on; 0 for any that is free, see `address`
        host: name or address to listen on, several in a list, or None for every address of the machine
        limit: connections at a time; those beyond are closed at once, and counted
        idle_timeout: seconds without a byte in either direction after which a connection is ended; None for
            never
        stall_timeout: seconds for which a peer may take nothing of what is sent; None for ever
        linger: seconds to wait for the peer's end of stream once nobody reads what it sends
        size: bytes that may wait for the component, and for the peer, and one message more
        backlog: connections that may wait in the operating system to be accepted
        on_failure: ``"isolate"`` ends only the connection whose component failed; ``"stop"`` the server too
        quiet: do not say on standard error where the server listens

    Boxes: ``listening`` sends the address once the server listens, ``failures`` a `Failure` for each
    component that failed. Raises `CannotListen`; `LinkError` for a protocol that does not take and send
    bytes; `TypeError` and `ValueError` for arguments that cannot be meant.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.net import TCPClient, TCPServer
        >>> with background(TCPServer(Map(bytes.upper), port=0, quiet=True)) as server:
        ...     host, port = server.receive("listening")
        ...     run(Source([b"hello"]) | TCPClient(host, port) | Collect())
        [b'HELLO']
    """

    inbox = None
    outbox = None
    accepted = Inbox[Connection]("connections that have been made, from the loop", size=1000)
    listening = Outbox[tuple[str, int]]("the address, once, when the server listens", optional=True)
    failures = Outbox[Failure]("components that failed", optional=True)

    def __init__(
        self,
        protocol: Any,
        *,
        port: int,
        host: str | Sequence[str] | None = "127.0.0.1",
        limit: int = 1000,
        idle_timeout: float | None = 300.0,
        stall_timeout: float | None = 60.0,
        linger: float = 1.0,
        size: int | str = SIZE,
        backlog: int = 100,
        on_failure: Literal["isolate", "stop"] = "isolate",
        quiet: bool = False,
    ) -> None:
        check_protocol_is_one(protocol, "TCPServer")
        check_whole(port, "TCPServer(port=...)", 0, 65535, "a port from 0 (any that is free) to 65535")
        check_server_host(host, "TCPServer(host=...)")
        check_whole(limit, "TCPServer(limit=...)", 1, math.inf, "how many may be connected, 1 or more")
        check_time_outs("TCPServer", idle_timeout, stall_timeout, linger)
        check_size(size, "TCPServer(size=...)")
        check_whole(backlog, "TCPServer(backlog=...)", 1, math.inf, "how many may wait, 1 or more")
        if on_failure not in ("isolate", "stop"):
            raise ValueError(f"TCPServer(on_failure={on_failure!r}): it is 'isolate' or 'stop'")
        if isinstance(protocol, (Component, ComponentFunction, type)):
            protocol = as_part(protocol)
            check_protocol(protocol, "TCPServer")
        self._protocol = protocol
        self._host, self._port = host, port
        self._most = limit
        self._idle_timeout, self._stall_timeout = idle_timeout, stall_timeout
        self.linger = linger
        """Seconds to wait for a peer's end when nobody reads any more what it sends."""
        self.bytes_waiting, _ = parse_size(size, f"size={size!r}")
        """Bytes that may wait in each direction of a connection."""
        self._backlog = backlog
        self._isolated = on_failure == "isolate"
        self._quiet = quiet
        self.address: tuple[str, int] | None = None
        """Host and port that the server listens on (the first in order, of several); None until it does."""
        self.addresses: list[tuple[str, int]] = []
        """All of them."""
        self.accepted.resize(limit + 1)  # `limit` bounds it: more than that are refused at once
        self._arrivals = self.accepted.hold(outside=True)
        self.connections = {}
        self._own_addresses: dict[Any, Any] = {}
        self._waiting: set[Connection] = set()  # that are not served yet
        self._changed = Signal("see its last connection end")
        self._farewells: asyncio.TaskGroup | None = None  # while there is time for farewells
        self._refusing = False  # and it has been logged
        self._counts = dict.fromkeys(("accepted", "refused", "failed", "broken", "idle", "stalled"), 0)
        self._bytes = [0, 0, 0]  # in, out, unread of connections that are over

    def statistics(self) -> ServerStatistics:
        """Return what the server has done so far; may be called from any thread."""
        # Copies, for they may change while another thread looks through them.
        open_ = [*list(self._waiting), *list(self.connections.values())]
        live = [(one.bytes_in, one.bytes_out, one.unread) for one in open_]
        bytes_in, bytes_out, unread = (sum(column) for column in zip(self._bytes, *live, strict=True))
        return ServerStatistics(
            open=len(open_), bytes_in=bytes_in, bytes_out=bytes_out, unread=unread, **self._counts
        )

    async def main(self) -> None:
        """Listen, and make a connection of each transport that arrives."""
        if self._arrivals.released:
            return  # the system was stopped before it had begun
        watch = Watch(idle_timeout=self._idle_timeout, stall_timeout=self._stall_timeout)
        failure = None
        server = await self._listen(watch)
        self.addresses = sorted(socket.getsockname()[:2] for socket in server.sockets)
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
                    for connection in list(self._waiting):
                        self._refuse(connection)
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

    async def _listen(self, watch: Watch) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(
                lambda: Connection(self, watch), self._host, self._port, backlog=self._backlog
            )
        except (OSError, UnicodeError) as error:  # the latter comes of names that cannot be looked up
            hosts = self._host if isinstance(self._host, (list, tuple)) else [self._host or "*"]
            address = " or ".join(address_text((host, self._port)) for host in hosts)
            why = why_not_listening(error, address)
            raise CannotListen(f"{self.path}: {why}") from error

    def _announce(self) -> None:
        text = f"{self.path} listens on {' and '.join(map(address_text, self.addresses))}"
        log.info("%s", text)
        if not self._quiet:
            core = describe_core(asyncio.get_running_loop())
            version = ".".join(sys.modules["kamaelia"].__version__.split(".")[:2])
            host, port = self.addresses[0]
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
            hint = f"Try: nc {host} {port}. Ctrl-C ends."
            self.system.announce(f"kamaelia {version} ({core}): {text}. {hint}")

    # -- connections ------------------------------------------------------------------------------

    def arrived(self, connection: Connection) -> None:
        """The loop has made a connection."""
        count = len(self._waiting) + len(self.connections)
        if count >= self._most or self._arrivals.released:
            if not self._refusing and not self._arrivals.released:
                self._refusing = True
                log.warning(
                    "%s refuses connections: it has %d open, which is its limit=%d",
                    self.path, count, self._most,
                )  # fmt: skip
            self._refuse(connection)
        else:
            self._refusing = False
            self._waiting.add(connection)
            self._arrivals.send(connection)

    def _refuse(self, connection: Connection) -> None:
        self._counts["refused"] += 1
        self._waiting.discard(connection)
        connection.transport.abort()

    def _serve(self, connection: Connection) -> None:
        if self._arrivals.released:
            self._refuse(connection)  # it came, but the system is stopping
            return
        self._waiting.discard(connection)
        self._counts["accepted"] += 1
        number = self._counts["accepted"]
        try:
            protocol = make(self._protocol)
            if not isinstance(self._protocol, Component):  # else that has been done
                check_protocol(protocol, f"{self.path}/client-{number}")
                lifecycle.refuse_used(protocol._axon)
            connection.attach(protocol)
            self.connections[protocol] = connection
            # Ten thousand names would take half a megabyte: so it is "client", and a number. But the number 1
            # is never shown, and the first has it in its name.
            process = protocol.named("client" if number > 1 else "client-1")._axon
            counted = number if number > 1 else 0
            lifecycle.add_child(self._axon, process, isolated=self._isolated, number=counted)
            connection.begin()
        except Exception as error:  # the factory of somebody's protocol may raise anything
            if connection.protocol is not None:
                self.connections.pop(connection.protocol, None)
            connection.reset()
            self._count(connection)
            if not self._isolated:
                raise
            self._counts["failed"] += 1
            path = f"{self.path}/client-{number}"
            log.error("%s could not be made: %s: %s", path, type(error).__name__, error, exc_info=error)
            lifecycle.send_failure(self._axon, Failure(path, error, self._protocol))

    def shared(self, address: Any) -> Any:
        """Return the same object for each connection to one of our addresses; see `Owner`."""
        return self._own_addresses.setdefault(address, address)

    def unwritable(self, connection: Connection, error: Exception) -> None:
        """A protocol has sent what can't be written; see `Owner`."""
        protocol = connection.protocol
        assert protocol is not None
        self._counts["failed"] += 1
        error.add_note(f"in {protocol.path}")
        if self._isolated:
            lifecycle.report_isolated(self._axon, Failure(protocol.path, error, protocol))
        else:
            lifecycle.fail(self._axon, error, [error])

    def finish_later(self, farewell: Coroutine[Any, Any, None]) -> None:
        """The end of a connection takes time; see `Owner`."""
        context = self.get_context()
        if self._farewells is None or context is None:
            farewell.close()
        else:
            self._farewells.create_task(farewell, context=context.copy())

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
        self._changed.set()

    def _count(self, connection: Connection) -> None:
        if connection.trouble is not None:
            self._counts[connection.trouble] += 1
        for index, count in enumerate((connection.bytes_in, connection.bytes_out, connection.unread)):
            self._bytes[index] += count
