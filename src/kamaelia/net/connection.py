"""One connection of a server: a chassis with a protocol component in it, and a `Stream` to the peer.

::

        peer --> Stream --(hold)--> protocol.inbox
        peer <-- Stream <-- Connection.main <-- Connection.outgoing <-- protocol.outbox

What the peer sends goes straight into the protocol's inbox; what the protocol sends, the connection's own
``main`` writes, at the peer's pace. How the two halves end is told in `stream`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kamaelia.axon import (
    Cancelled,
    Component,
    Hold,
    Inbox,
    LinkError,
    SourceFailed,
    UsageError,
    current_component,
    postman,
)
from kamaelia.axon.box import Box
from kamaelia.axon.inbox import DEFAULT_SIZE
from kamaelia.axon.queue import parse_size
from kamaelia.axon.typecheck import advice, fits, name_of

from .stream import CHUNK, Stream

SIZE = "256 KiB"  # what may wait in a connection, in each direction


@dataclass(frozen=True)
class Peer:
    """The two ends of the connection that a component serves; had from `peer`."""

    address: Any
    """The peer's address: for TCP its host and port."""
    local: Any
    """Our own address on this connection."""

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
        if isinstance(around, Connection):
            return around.peer
        around = around.chassis
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


class Connection(Component):
    """Serves one peer with one protocol component; made by a server for each that connects.

    It ends when both sides have finished, or one has failed. A failure of the protocol is a failure of the
    connection, and the peer gets what was sent before and then a reset; a connection that breaks is not one,
    but a failed source for the protocol.

    Arguments:
        protocol: the component that serves the peer
        stream: the connection
        linger: seconds to wait for the peer's end when nobody reads any more what it sends
        size: what may wait in each direction, in bytes
    """

    inbox = None
    outbox = None
    outgoing = Inbox[bytes]("what the protocol sends, on its way to the peer", size=SIZE)
    news = Inbox[str]("what happens to the connection: 'lost'")

    def __init__(self, protocol: Component, stream: Stream, linger: float, size: int | str) -> None:
        self.stream = stream
        transport = stream.transport
        self.peer = Peer(transport.get_extra_info("peername"), transport.get_extra_info("sockname"))
        """Both ends of the connection."""
        self._linger = linger
        self._protocol = self.add(protocol)
        limit, _ = parse_size(size, f"size={size!r}")
        # The transport may hold one message besides, so the mark is lower by what one message is.
        self.outgoing.resize(f"{max(1, limit - CHUNK)} B")
        self._news = self.news.hold(outside=True)
        boxes = protocol.boxes
        self._sink: Hold[bytes] | None = None
        if "inbox" in boxes:
            count_in_bytes(boxes["inbox"], limit)
            self._sink = boxes["inbox"].hold(outside=True)
            self._sink.on_release = stream.stop_reading  # a stop of the system
        self._answers = "outbox" in boxes
        if self._answers:
            self.link(boxes["outbox"], self.outgoing)
        protocol.add_done_callback(lambda _: stream.changed.set())

    async def main(self) -> None:
        """Write what the protocol sends, until both sides have finished."""
        stream = self.stream
        stream.start(self._sink, self._end_of_peer, self._lost)
        broken = True
        try:
            if self._answers:
                await stream.write_from(self.outgoing, self.news)
            else:  # there is no end of stream that could say that the protocol has finished: it has to end
                while not (stream.lost or self._protocol.done()):
                    await stream.changed
            if not stream.lost:
                await stream.finish(self._linger, self._nobody_reads)
        except SourceFailed:
            await stream.deliver()  # what the protocol sent before it failed
        except Cancelled:
            # Not every stop is a break: the contract's rule 3 says that there is a cause if it is one.
            broken = self._axon.cause is not None
            raise
        except Exception:  # something that the protocol sent cannot be written
            await stream.deliver()
            raise
        finally:
            await (stream.abort() if broken else stream.leave())

    def _nobody_reads(self) -> bool:
        return self.stream.deaf or self._sink is None or self._sink.lost or self._protocol.done()

    def _end_of_peer(self, failure: Exception | None) -> None:
        if self._sink is not None:
            self._sink.release(failure)

    def _lost(self) -> None:
        if not self._news.released:
            self._news.send("lost")


def check_protocol(protocol: Component, where: str) -> None:
    """Raise `LinkError` for a component that can't serve a peer: it takes or sends what is not bytes."""
    boxes = protocol.boxes
    if "inbox" not in boxes and "outbox" not in boxes:
        raise LinkError(f"{where}: {protocol!r} has neither inbox nor outbox, so it cannot talk to a peer")
    if "inbox" in boxes and not fits(bytes, boxes["inbox"].type):
        kind = boxes["inbox"].type
        ends = f"a peer's bytes do not fit into {boxes['inbox']} ({name_of(kind)})"
        raise LinkError(f"{where}: {ends}: {advice(bytes, kind)}")
    if "outbox" in boxes and not fits(boxes["outbox"].type, bytes):
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
