"""UDP servers: a component of its own for each remote address.

::

        peer --> Port --> Session --(inlet, hold)--> protocol.inbox
        peer <-- Port <-- Session <--(outlet)------- protocol.outbox

There is one socket. A `Session` is what the server keeps of an address: what comes from there goes straight
into the inbox of its component, what that sends goes straight to the socket, each message a datagram. No
component stands between. An address that is new makes a session, which goes into the inbox ``accepted``;
``main`` takes it from there and adds the child.
"""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kamaelia.axon import (
    Component,
    ComponentFunction,
    Failure,
    Hold,
    Inbox,
    Outbox,
    Signal,
    SourceFailed,
    as_part,
    core,
    units,
)
from kamaelia.axon.outlet import lead_outside

from .arguments import check_limit, check_number, check_protocol_is_one, check_size, check_whole
from .connection import Peer, Server, address_text, check_protocol, count_in_bytes
from .datagram import OVERHEAD, Once, Port, check_buffer, check_listening_host, check_port, how_to_try
from .errors import CannotListen, why_not_listening
from .serving import (
    Admission,
    announce,
    make_protocol,
    report_not_made,
    report_unwritable,
    start_protocol,
)
from .watch import Watch

SIZE = "64 KiB"  # that may wait for one component, and from it
FAREWELL = 1.0  # seconds that a component has to say its last words when its peer was idle for too long
EARLY = 100  # datagrams that may come before there is a component to take them


@dataclass(frozen=True)
class UDPServerStatistics:
    """What a UDP server has done; see `UDPServer.statistics`."""

    open: int
    """Components that there are now."""
    accepted: int
    """Components that have been made."""
    refused: int
    """Datagrams from new addresses that got no component; ``reasons`` says why."""
    failed: int
    """Components that failed."""
    idle: int
    """Components whose inbox was ended by ``idle_timeout``."""
    expired: int
    """Components whose inbox was ended by ``total_timeout``."""
    received: int
    """Datagrams that have come."""
    dropped: int
    """Of those, dropped because their component was slow, read no more, or could not be made."""
    missed: int | None
    """Datagrams that came besides, which the operating system dropped; None where it does not tell."""
    sent: int
    """Datagrams given to the operating system."""
    unsent: int
    """Messages that cannot be a datagram: too long, or empty."""
    errors: int
    """What the operating system reported of datagrams sent before."""
    bytes_in: int
    """Bytes of data received."""
    bytes_out: int
    """Bytes of data given to the operating system."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Of those refused, how many for what: ``"limit"`` (components of the server), ``"address"`` (components
    of one host), ``"rate"`` (components a second), ``"stop"``."""


class UDPServer(Server):
    """Receives on a UDP port, and makes a protocol component for each address that datagrams come from.

    So a protocol serves UDP as it serves TCP. What comes from the address arrives in the component's inbox,
    one message for each datagram; each message that it sends is one datagram back. `peer` says whose it is.
    The children are called ``client-1``, ``client-2``, ...

    UDP has no end that a peer could send. The component's inbox ends when no datagram has passed in either
    direction for ``idle_timeout`` seconds, after ``total_timeout`` seconds, and at a stop; but for a stop,
    nobody listens to it either a second later. When the component has ended, or its inbox has, the next
    datagram from there makes a new one. A component that fails concerns no other; its peer is not told.

    What comes while a component has ``size`` bytes to read is dropped, and counted. So is what comes from a
    new address when there are ``limit`` components, or ``limit_per_address`` for one host with many ports;
    sender addresses are easily forged, so there is no telling who that is. The first of each kind is logged.
    What a component sends waits where the operating system takes nothing more; what it reports of a datagram
    is counted, and logged once of each kind.

    Arguments:
        protocol: the component for an address: a class, a component (made again from its recipe), a factory
        port: to receive on; 0 for any that is free, see `address`
        host: name or address to receive at; None for every IPv4 address of the machine, ``"::"`` for
            every one of both kinds
        limit: components at a time
        limit_per_address: components at a time for one host, whatever its ports; None for any number
        new_per_second: components that may be made in a second; None for any number
        idle_timeout: seconds without a datagram in either direction after which a component's inbox ends;
            None for never
        total_timeout: seconds after which a component's inbox ends all the same; None for never
        size: bytes that may wait for a component, and from it; each that waits for it counts 64 more than its
            data
        buffer: bytes that the operating system may keep of what comes; None for what is usual
        on_failure: ``"isolate"`` ends only the component that failed; ``"stop"`` the server too
        quiet: do not say on standard error where the server receives

    Boxes: ``listening`` sends the address once the server receives, ``failures`` a `Failure` for each
    component that failed. Raises `CannotListen`, `ConnectionLost` when the socket fails;
    `LinkError` for a protocol that does not take and send bytes; `TypeError` and `ValueError` for
    arguments that cannot be meant.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map, Source, Take
        >>> from kamaelia.net import UDPPeer, UDPServer
        >>> with background(UDPServer(Map(bytes.upper), port=0, quiet=True)) as server:
        ...     run(Source([b"hello"]) | UDPPeer(*server.receive("listening")) | Take(1) | Collect())
        [b'HELLO']
    """

    inbox = None
    outbox = None
    accepted = Inbox[Any]("addresses that datagrams have come from, from the loop", size=1000)
    listening = Outbox[tuple[str, int]]("the address, once, when the server receives", optional=True)
    failures = Outbox[Failure]("components that failed", optional=True)

    connections: dict[Component, Any]

    def __init__(
        self,
        protocol: Any,
        *,
        port: int,
        host: str | None = "127.0.0.1",
        limit: int = 1000,
        limit_per_address: int | None = None,
        new_per_second: float | None = None,
        idle_timeout: float | None = 60.0,
        total_timeout: float | None = None,
        size: int | str = SIZE,
        buffer: int | str | None = None,
        on_failure: Literal["isolate", "stop"] = "isolate",
        quiet: bool = False,
    ) -> None:
        check_protocol_is_one(protocol, "UDPServer")
        check_port(port, "UDPServer(port=...)", free=True)
        check_listening_host(host, "UDPServer(host=...)")
        check_whole(limit, "UDPServer(limit=...)", 1, math.inf, "how many components there may be, 1 or more")
        if limit_per_address is not None:
            give = "how many components there may be for one host, 1 or more, or None for any number"
            check_whole(limit_per_address, "UDPServer(limit_per_address=...)", 1, math.inf, give)
        if new_per_second is not None:
            give = "how many, more than 0, or None for any number"
            check_number(new_per_second, "UDPServer(new_per_second=...)", lambda number: number > 0, give)
        if idle_timeout is not None:
            check_limit(idle_timeout, "UDPServer(idle_timeout=...)", ", or None for never")
        if total_timeout is not None:
            check_limit(total_timeout, "UDPServer(total_timeout=...)", ", or None for never")
        check_size(size, "UDPServer(size=...)")
        check_buffer(buffer, "UDPServer(buffer=...)")
        if on_failure not in ("isolate", "stop"):
            raise ValueError(f"UDPServer(on_failure={on_failure!r}): it is 'isolate' or 'stop'")
        if isinstance(protocol, (Component, ComponentFunction, type)):
            protocol = as_part(protocol)
            check_protocol(protocol, "UDPServer")
        self._protocol = protocol
        self._where = ("0.0.0.0" if host is None else host, port)
        self._admission = Admission(
            self,
            "refuses who is new",
            {
                "limit": f"it has {limit} components, which is its limit={limit}",
                "address": f"one host has {limit_per_address}, which is its limit_per_address",
                "rate": f"they are more than new_per_second={new_per_second}",
            },
            limit=limit,
            limit_per_address=limit_per_address,
            rate=new_per_second,
        )
        self._idle_timeout = idle_timeout
        self._total_timeout = total_timeout
        self._bytes_waiting = units.size(size, "size")
        self._buffer = buffer
        self._isolated = on_failure == "isolate"
        self._quiet = quiet
        self.address: tuple[str, int] | None = None
        """Host and port that the server receives at; None until it does."""
        self.accepted.resize(limit + 1)  # `limit` bounds it: more than that are refused at once
        self._arrivals = self.accepted.hold(outside=True)
        self._by_address: dict[Any, Session] = {}  # those who get what comes from there
        self._waiting: dict[Session, None] = {}  # those who have no component yet
        self.connections = {}
        self._once = Once(self)
        self._changed = Signal("see its last component end")
        self._port: Port | None = None
        self._counts = dict.fromkeys(
            ("accepted", "failed", "idle", "expired", "received", "dropped", "bytes_in"), 0
        )

    def statistics(self) -> UDPServerStatistics:
        """Return what the server has done so far; may be called from any thread."""
        port, reasons = self._port, dict(self._admission.reasons)
        return UDPServerStatistics(
            open=len(self._waiting) + len(self.connections),
            missed=port.missed if port is not None else None,
            sent=port.sent if port is not None else 0,
            unsent=port.unsent if port is not None else 0,
            errors=port.errors if port is not None else 0,
            bytes_out=port.bytes_out if port is not None else 0,
            refused=sum(reasons.values()),
            reasons=reasons,
            **self._counts,
        )

    async def main(self) -> None:
        """Receive, and make a component for each address that is new."""
        if self._arrivals.released:
            return  # the system was stopped before it had begun
        self._watch = Watch(idle_timeout=self._idle_timeout)
        self.clock = self._watch.clock
        port = Port(self, self._once, self._receive, on_failure=self._arrivals.release)
        port.on_change = self._on_change
        try:
            await port.open(local_addr=self._where, buffer=self._buffer)
        except (OSError, UnicodeError) as error:
            why = why_not_listening(error, address_text(self._where))
            raise CannotListen(f"{self.path}: {why}") from error
        self._port = port
        address = self.address = port.address[:2]
        failure = None
        try:
            text = f"receives datagrams on {address_text(address)}"
            announce(self, text, how_to_try(address), quiet=self._quiet)
            await self.listening.send(address)
            self.listening.close()
            try:
                async for session in self.accepted:
                    self._serve(session)
                    del session  # or it would be kept until the next one comes
            except SourceFailed as error:  # something has failed, but the others may still end well
                port.check()
                failure = error
            for session in list(self._waiting):
                self._refuse(session)
            while self.connections:
                await self._changed
        finally:
            for session in [*self._waiting, *self.connections.values()]:
                session.close()
            await port.close()
        if failure is not None:
            raise failure

    # -- datagrams --------------------------------------------------------------------------------

    def _receive(self, data: bytes, address: Any) -> None:
        """See asyncio's ``datagram_received``."""
        counts = self._counts
        counts["received"] += 1
        counts["bytes_in"] += len(data)
        session = self._by_address.get(address)
        if session is None:
            reason = self._why_not(address)
            if reason is not None:
                self._admission.refuse(reason)
                return
            session = self._admit(address)
        session.take(data)

    def _why_not(self, address: Any) -> str | None:
        """Return why somebody new gets no component."""
        if self._arrivals.released:
            return "stop"
        reason = self._admission.why_not(len(self._waiting) + len(self.connections), address)
        return reason or ("rate" if self._admission.too_fast(self._watch.clock()) else None)

    def _admit(self, address: Any) -> Session:
        """Somebody new has sent something."""
        self._admission.admit()
        self._admission.count(address, 1)
        session = self._by_address[address] = Session(self, address, self._watch.clock)
        self._waiting[session] = None
        self._arrivals.send(session)
        return session

    def dropped(self) -> None:
        """A component has not taken a datagram."""
        self._counts["dropped"] += 1
        self._once.warn("dropped", "drops what comes for a component that is slow, or reads no more")

    def _on_change(self) -> None:
        """The socket has no room for what is sent, or has room again."""
        assert self._port is not None
        for session in list(self.connections.values()):
            session.pause(self._port.full)

    # -- components -------------------------------------------------------------------------------

    def _refuse(self, session: Session) -> None:
        """The server is stopping, and the session has no component yet."""
        del self._waiting[session]
        self._admission.refuse("stop", session.waiting)
        self._admission.count(session.address, -1)
        self.forget(session)

    def _serve(self, session: Session) -> None:
        if self._arrivals.released:
            self._refuse(session)  # it came, but the system is stopping
            return
        del self._waiting[session]
        self._counts["accepted"] += 1
        number = self._counts["accepted"]
        path = f"{self.path}/client-{number}"
        assert self._port is not None
        try:
            protocol = make_protocol(self._protocol, path)
            session.attach(protocol, self._port, self._bytes_waiting)
            self.connections[protocol] = session
            start_protocol(self, protocol, number, isolated=self._isolated)
            session.begin(self._total_timeout)
            self._watch.add(session)
        except Exception as error:  # the factory of somebody's protocol may raise anything
            if session.protocol is not None:
                self.connections.pop(session.protocol, None)
            self._admission.count(session.address, -1)
            self.forget(session)
            if not self._isolated:
                raise
            self._counts["failed"] += 1
            self._counts["dropped"] += session.waiting
            report_not_made(self, path, error, self._protocol)

    def forget(self, session: Session) -> None:
        """What comes from that address from now on is for somebody new."""
        if self._by_address.get(session.address) is session:
            del self._by_address[session.address]

    def end_by(self, session: Session, trouble: str) -> None:
        """No datagram has passed for too long, or the time is over."""
        self._counts[trouble] += 1
        self.forget(session)
        self._watch.remove(session)
        self._watch.call_later(FAREWELL, session.close)

    def unwritable(self, session: Session, error: Exception) -> None:
        """A protocol has sent what is no datagram."""
        assert session.protocol is not None
        self._counts["failed"] += 1
        report_unwritable(self, session.protocol, error, isolated=self._isolated)

    def call_later(self, delay: float, callback: Callable[[], Any]) -> asyncio.TimerHandle:
        """Have the loop call something after so many seconds."""
        return self._watch.call_later(delay, callback)

    def _child_over(self, child: Component, failure: Failure | None) -> None:
        super()._child_over(child, failure)
        if child._axon.failures:
            self._counts["failed"] += 1
        session = self.connections.get(child)
        if session is not None:
            self.forget(session)
            session.protocol_over = True
            self.see(session)

    def see(self, session: Session) -> None:
        """Something has ended: is the session over?"""
        if session.protocol_over and session.sent_all and session.protocol in self.connections:
            del self.connections[session.protocol]
            self._admission.count(session.address, -1)
            if not session.lost:
                session.be_over()
                self._watch.remove(session)
            self._changed.set()


class Session:
    """What a server keeps of one remote address: the component, and the ways to it and from it."""

    __slots__ = (
        "_early",
        "_expiry",
        "_full",
        "_hold",
        "_inlet",
        "_outlet",
        "_port",
        "address",
        "deadline",
        "lost",
        "protocol",
        "protocol_over",
        "sent_all",
        "server",
    )

    def __init__(self, server: UDPServer, address: Any, clock: Callable[[], float]) -> None:
        self.server = server
        self.address = address
        self.protocol: Component | None = None
        """The component that serves the address, once there is one."""
        self.protocol_over = False
        self.sent_all = True
        """What the component has sent has been given to the socket."""
        self.lost = False
        """Its time was up, or it is over: it is watched no more."""
        self.deadline = 0.0
        """When the watch is to look at it again."""
        self._inlet = core.Inlet(self, clock)
        self._outlet: core.Outlet | None = None
        self._hold: Hold[bytes] | None = None
        self._port: Port | None = None
        self._full = False  # the component has enough to read
        self._early: list[bytes] | None = []  # what came before there was a component
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def peer(self) -> Peer:
        """Both ends of the conversation."""
        return Peer(self.address, self.server.address)

    @property
    def waiting(self) -> int:
        """How many datagrams wait for there to be a component."""
        return len(self._early or ())

    def take(self, data: bytes) -> None:
        """A datagram has come."""
        if self._early is not None:
            self._early.append(data)
            if len(self._early) > EARLY:
                self._early.pop()
                self.server.dropped()
        elif self._full or self._has_no_room_for(len(data)):
            self.server.dropped()
        else:
            self._inlet.data_received(data)

    def _has_no_room_for(self, length: int) -> bool:
        """Say whether too much waits, with what each datagram takes besides its data.

        Inboxes count the data only, and of tiny datagrams there would be far too many.
        """
        if self._hold is not None and not self._hold.released:
            for route in self._hold.outbox.routes:
                queue = route.queue
                if queue.in_bytes and len(queue):
                    level = queue.level() + length + (len(queue) + 1) * OVERHEAD
                    if level > queue.size:
                        return True
        return False

    def attach(self, protocol: Component, port: Port, limit: int) -> None:
        """Link the two ways between the address and a component, which has not been started yet."""
        self.protocol = protocol
        self._port = port
        boxes = protocol.boxes
        if "inbox" in boxes:
            count_in_bytes(boxes["inbox"], limit)
            self._hold = boxes["inbox"].hold(outside=True)
            self._hold.on_release = self._end_input
        if "outbox" in boxes:
            self.sent_all = False
            inbox = lead_outside(boxes["outbox"], f"{limit} B", self.server.system)
            self._outlet = core.Outlet(inbox, self, self, self.server.clock)
            self.pause(port.full)

    def begin(self, total_timeout: float | None) -> None:
        """The component has been started: give it what has come."""
        if total_timeout is not None:
            text = f"it has lasted {total_timeout:g} s, and may not longer"
            expire = functools.partial(self.break_off, TimeoutError(text), "expired")
            self._expiry = self.server.call_later(total_timeout, expire)
        if self._hold is not None and not self._hold.released:
            self._inlet.box = self._hold.outbox
        early, self._early = self._early, None
        for data in early or ():
            self.take(data)

    def pause(self, full: bool) -> None:
        """Let what the component sends wait, or not any more."""
        if self._outlet is not None and not self.sent_all:
            if full:
                self._outlet.pause()
            else:
                self._outlet.resume()

    def close(self) -> None:
        """Nobody listens to the component any more."""
        if self._outlet is not None and not self.sent_all:
            self.sent_all = True
            self._outlet.close()
            self.server.see(self)

    def be_over(self) -> None:
        """It needs no watch any more."""
        self.lost = True
        if self._expiry is not None:
            self._expiry.cancel()

    def _end_input(self) -> None:
        self._inlet.box = None

    def _has_room(self) -> None:
        self._full = False

    # -- for the inlet and the outlet ---------------------------------------------------------------

    def not_taken(self, data: bytes) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        self.server.dropped()

    def sink_full(self) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        assert self._hold is not None
        self._full = True
        self._hold.when_ready(self._has_room)

    def outlet_ended(self, failure: BaseException | None) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        self.sent_all = True
        self.server.see(self)

    def outlet_failed(self, message: Any, error: Exception) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        self.server.unwritable(self, error)
        self.close()

    def write(self, data: bytes) -> None:
        """See `kamaelia.axon.outlet.Transport`."""
        self._port.send(data, self.address)  # type: ignore[union-attr]

    def is_closing(self) -> bool:
        """See `kamaelia.axon.outlet.Transport`."""
        return self._port.closed  # type: ignore[union-attr]

    # -- for the watch ------------------------------------------------------------------------------

    @property
    def active(self) -> float:
        """When a datagram last passed, in either direction."""
        latest = self._inlet.active
        return latest if self._outlet is None else max(latest, self._outlet.active)

    def break_off(self, error: Exception, trouble: str) -> None:
        """No datagram has passed for too long, or its time is over."""
        self.be_over()
        self.server.end_by(self, trouble)
        if self._hold is not None:
            self._hold.release()

    def __lt__(self, other: Session) -> bool:
        """Which of the two the watch has to look at first."""
        return self.deadline < other.deadline
