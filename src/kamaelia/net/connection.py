"""One connection of a server: a `Stream` to the peer, and the protocol component that serves it.

::

        peer --> Stream --(inlet, hold)--> protocol.inbox
        peer <-- Stream <--(outlet)------- protocol.outbox

What the peer sends goes straight into the protocol's inbox; what the protocol sends goes straight to the
transport, at the peer's pace. No component stands between: there may be tens of thousands of connections, and
what each takes of memory and time is what the server takes. How the two halves end is told in `stream`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from kamaelia.axon import Component, Hold, Inbox, LinkError, System, UsageError, current_component, postman
from kamaelia.axon.box import Box
from kamaelia.axon.inbox import DEFAULT_SIZE
from kamaelia.axon.outlet import lead_outside
from kamaelia.axon.typecheck import advice, fits, name_of

from .instructions import Instruction, Wire
from .kernel import peer_process
from .proxy import ProxyHeader
from .stream import CHUNK, Stream
from .tls.machine import TLSInfo
from .watch import Watch

SIZE = "256 KiB"  # what may wait in a connection, in each direction


@dataclass(frozen=True)
class Peer:
    """The two ends of the connection that a component serves; had from `peer`."""

    address: Any
    """The peer's address: for TCP and UDP host and port, for a Unix socket its path, which is mostly empty.
    Behind a proxy that says so, the address that it says."""
    local: Any
    """Our own address on this connection, or what the proxy says it is."""
    tls: TLSInfo | None = None
    """What was agreed on for protection; None if the connection has none."""
    process: tuple[int, int, int] | None = None
    """For a Unix socket, the numbers of the peer's process, user and group, where the system tells."""
    proxy: Any = None
    """Of a connection that a proxy has passed on: the proxy's address."""
    extras: Mapping[int, bytes] = field(default_factory=dict)
    """What else the proxy has said; see `kamaelia.net.proxy.ProxyHeader`."""

    def __str__(self) -> str:
        return address_text(self.address)


def peer() -> Peer:
    """Return who is at the other end of the connection in which the asking component runs.

    To be called in the component that a server makes for a connection, and in every part of it. Raises
    `UsageError` elsewhere.

    Example:
        >>> from kamaelia import Component, background, run
        >>> from kamaelia.flow import Collect
        >>> from kamaelia.net import TCPClient, TCPServer, peer
        >>> class WhoAmI(Component):
        ...     async def main(self):
        ...         await self.outbox.send(peer().address[0].encode())
        >>> with background(TCPServer(WhoAmI, port=0, quiet=True)) as server:
        ...     run(TCPClient(*server.receive("listening")) | Collect())
        [b'127.0.0.1']
    """
    try:
        asking = around = current_component()
    except UsageError:
        raise UsageError(
            "peer() says who is at the other end of a connection: call it in a component that serves one, "
            "or in what that calls"
        ) from None
    while around is not None:
        chassis = around.chassis
        connection = chassis.connections.get(around) if isinstance(chassis, Server) else None
        if connection is not None:
            return connection.peer
        around = chassis
    raise UsageError(f"{asking.path} asks for its peer, but does not run in a connection of a server")


def address_text(address: Any) -> str:
    """Return an address as people write it.

    >>> address_text(("127.0.0.1", 1500)), address_text(("::1", 1500, 0, 0))
    ('127.0.0.1:1500', '[::1]:1500')
    """
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return str(address)


class Server(Component):
    """What has connections: whoever asks for its `peer` runs in a child of it."""

    connections: dict[Component, Connection]
    """By the component that serves them."""


class Owner(Protocol):
    """What a connection needs of its server."""

    @property
    def system(self) -> System: ...

    linger: float
    bytes_waiting: int  # at most, in each direction

    def arrived(self, connection: Connection, /) -> None:
        """There is a connection."""

    def shared(self, address: Any, /) -> Any:
        """Return one and the same object for equal addresses of our own: many connections have it."""

    def finish_later(self, farewell: Coroutine[Any, Any, None], /) -> None:
        """The end of a connection needs time: see to it, unless the server has none left."""

    def unwritable(self, connection: Connection, error: Exception, /) -> None:
        """Something that the protocol sent can't be written."""

    def over(self, connection: Connection, /) -> None:
        """The connection is lost, and the protocol has ended."""


class Connection(Stream):
    """Serves one peer with one protocol component; made by a server for each that connects.

    It is over when both sides have finished, or one has failed. If the protocol fails, the peer gets what was
    sent before and then a reset; a connection that breaks is a failed source for the protocol.
    """

    __slots__ = (
        "_failed", "_hold", "_local", "_peer", "_speaks", "admitted", "owner", "protocol", "protocol_over",
        "proxied",
    )  # fmt: skip

    server = True

    def __init__(self, owner: Owner, watch: Watch) -> None:
        super().__init__(watch)
        self.owner = owner
        self.protocol: Component | None = None
        """The component that serves the peer, once there is one."""
        self.protocol_over = False
        self.admitted = False
        """The server has let it in already, at the gate."""
        self.proxied: ProxyHeader | None = None
        """What a proxy has said of the connection."""
        self._failed = False  # the component
        self._speaks = False  # it has an outbox, whose end is that of what it says
        self._peer: Any = None
        self._local: Any = None
        self._hold: Hold[bytes] | None = None

    @property
    def peer(self) -> Peer:
        """Both ends of the connection."""
        get, said = self.transport.get_extra_info, self.proxied
        tls, process = get("tls"), peer_process(self.transport)
        if said is None or said.source is None:
            return Peer(self._peer, self._local, tls, process)
        return Peer(said.source, said.destination, tls, process, self._peer, said.extras)

    def on_made(self) -> None:
        """See `Stream`."""
        # They are looked up at once: of a connection that is lost, a loop may not know them any more.
        get = self.transport.get_extra_info
        self._peer, self._local = get("peername"), self.owner.shared(get("sockname"))
        self.owner.arrived(self)

    def attach(self, protocol: Component) -> None:
        """Link the two ways between the peer and a component, which has not been started yet."""
        self.protocol = protocol
        boxes = protocol.boxes
        if "inbox" in boxes:
            count_in_bytes(boxes["inbox"], self.owner.bytes_waiting)
            self._hold = boxes["inbox"].hold(outside=True)
            self._hold.on_release = self.stop_reading  # a stop of the system
        if "outbox" in boxes:
            self._speaks = True
            # The transport may hold one message besides, so the mark is lower by what one message is.
            size = f"{max(1, self.owner.bytes_waiting - CHUNK)} B"
            self.lead_out(lead_outside(boxes["outbox"], size, self.owner.system))

    def begin(self) -> None:
        """Begin to read: the component has been started."""
        self.start(self._hold)

    def on_deaf(self, failure: Exception | None) -> None:
        """See `Stream`."""
        if self._hold is not None:
            self._hold.release(failure)

    def on_lost(self) -> None:
        """See `Stream`."""
        if self.protocol_over:
            self.owner.over(self)

    def protocol_ended(self, *, failed: bool) -> None:
        """The component is over."""
        self.protocol_over = True
        self._failed = failed
        self.tell()
        if self.lost:
            self.owner.over(self)
        elif not self._speaks:  # there is no end of stream that could say that it has finished
            self.owner.finish_later(self.break_after_delivery() if failed else self.finish_with_peer())

    def outlet_ended(self, failure: BaseException | None) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        if failure is not None:
            self.owner.finish_later(self.break_after_delivery())
        elif self.peer_ended and self.writable:  # as it is most of the time
            self.transport.close()
        else:
            self.owner.finish_later(self.finish_with_peer())

    def outlet_failed(self, message: Any, error: Exception) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        assert self._outlet is not None
        if isinstance(message, Instruction):
            message.prepare(self)
            self.owner.finish_later(self._carry_out(message, self._outlet.inbox))
        else:
            self._cannot_write(self._outlet.inbox, error)

    async def _carry_out(self, instruction: Instruction, outgoing: Inbox[bytes]) -> None:
        """Carry out an instruction of the protocol's, and write on."""
        try:
            await self.follow(instruction)
        except Exception as error:  # whatever is wrong with it costs this connection only
            if self.protocol is None:
                outgoing.close()  # and that is over already: there is nobody left who could be told
            else:
                self._cannot_write(outgoing, error)
            return
        if self.lost:
            outgoing.close()
        else:
            self.lead_on(outgoing)

    def _cannot_write(self, outgoing: Inbox[bytes], error: Exception) -> None:
        self.owner.unwritable(self, error)
        outgoing.close()
        self.owner.finish_later(self.break_after_delivery())

    def has_unread(self) -> bool:
        """See `Stream`."""
        protocol = self.protocol
        if protocol is None or "inbox" not in protocol.boxes:
            return False
        return postman.waits_beyond(protocol.boxes["inbox"], [protocol._axon])

    def cut_off(self, *, broken: bool) -> None:
        """End it now, whatever was not written yet; with a reset if it is broken off."""
        if self.connected:
            if broken:
                self.reset()
            else:
                self._throw_away()

    async def finish_with_peer(self) -> None:
        """Everything has been given to the transport: end our half, wait for the peer's, and close."""
        try:
            await self.finish(self.owner.linger, self._nobody_reads, lambda: self._failed)
        finally:
            await self.leave()

    async def break_after_delivery(self) -> None:
        """Let the peer get what was sent, and then a reset."""
        try:
            await self.deliver()
        finally:
            await self.abort()

    def let_go(self) -> None:
        """It is over, and has been counted: refer no more to what refers to it.

        So it goes at once, with its transport, and not at a garbage collection: with many visitors who come
        and go, there would be much to collect, and everybody waits for that.
        """
        self._count_outlet()
        self._inlet = _Past(self._inlet.amount, self._inlet.active)
        self._hold = self.protocol = None

    def _nobody_reads(self) -> bool:
        return self.deaf or self._hold is None or self._hold.lost or self.protocol_over


class _Past(NamedTuple):
    """What is left of an inlet."""

    amount: int
    active: float


def check_protocol(protocol: Component, where: str) -> None:
    """Raise `LinkError` for a component that can't serve a peer: it takes or sends what is not bytes."""
    boxes = protocol.boxes
    if "inbox" not in boxes and "outbox" not in boxes:
        raise LinkError(f"{where}: {protocol!r} has neither inbox nor outbox, so it cannot talk to a peer")
    if "inbox" in boxes and not fits(bytes, boxes["inbox"].type):
        kind = boxes["inbox"].type
        ends = f"a peer's bytes do not fit into {boxes['inbox']} ({name_of(kind)})"
        raise LinkError(f"{where}: {ends}: {advice(bytes, kind)}")
    if "outbox" in boxes and not fits(boxes["outbox"].type, Wire):
        kind = boxes["outbox"].type
        ends = f"{boxes['outbox']} sends {name_of(kind)}, and a peer gets bytes"
        raise LinkError(f"{where}: {ends}: {advice(kind, bytes)}")


def count_in_bytes(box: Box[Any], limit: int) -> None:
    """Have the inbox that takes a peer's bytes count them, if it has the usual mark of so many messages.

    A chunk from the network may have a quarter of a megabyte, and a hundred of those are more than one silent
    component should make a server keep for one visitor.
    """
    for inbox in postman.inboxes_behind(box):
        usual = inbox.size == DEFAULT_SIZE and not inbox.in_bytes
        if usual and not inbox.keeps_queue and not inbox.queue.feeders:
            postman.count_anew(inbox, f"{limit} B")
