"""The server's side of one connection, as a component that any transport can carry."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kamaelia.axon import (
    Component,
    ComponentFunction,
    Failure,
    Hold,
    LinkError,
    UsageError,
    as_part,
    current_component,
    lifecycle,
    make,
    postman,
)
from kamaelia.axon.errors import shorten
from kamaelia.axon.typecheck import fits, name_of
from kamaelia.net import peer
from kamaelia.net.arguments import check_protocol_is_one
from kamaelia.net.connection import count_in_bytes
from kamaelia.protocol.http import Headers, Request, Response

from .arguments import Origins, check_origins, check_texts
from .conversation import Conversation, Counts, Settings, Writer, let_others_act
from .machine import Machine, Opened, Refused, ServerMachine, need_websockets

log = logging.getLogger("kamaelia")

WAITING = 256 * 1024  # bytes of messages that may wait for a handler


@dataclass(frozen=True)
class Handshake:
    """What was agreed on at the beginning of a connection; had from `handshake`."""

    request: Request
    """What the client has asked for: the path, the query, the headers."""
    subprotocol: str | None
    """The one that both speak, of those that the server has named."""
    compressed: bool
    """Whether messages may be compressed."""


def handshake() -> Handshake:
    """Return what was agreed on at the beginning of the connection in which the asking component runs.

    To be called in the component that serves a WebSocket connection, and in every part of it. Raises
    `UsageError` elsewhere.

    Example:
        >>> from kamaelia import Component, background, run
        >>> from kamaelia.flow import Collect
        >>> from kamaelia.protocol.websocket import WebSocketClient, WebSocketServer, handshake
        >>> class WhatIsAsked(Component):
        ...     async def main(self):
        ...         await self.outbox.send(handshake().request.path)
        >>> with background(WebSocketServer(WhatIsAsked, port=0, quiet=True)) as server:
        ...     host, port = server.receive("listening")
        ...     run(WebSocketClient(f"ws://{host}:{port}/chat?room=7") | Collect())
        ['/chat']
    """
    try:
        asking = around = current_component()
    except UsageError:
        raise UsageError(
            "handshake() tells how a WebSocket connection began: call it in a component that serves one, "
            "or in what that calls"
        ) from None
    while around is not None:
        if isinstance(around, WebSocketProtocol) and around.handshake is not None:
            return around.handshake
        around = around.chassis
    raise UsageError(f"{asking.path} asks for its handshake, but does not run in a WebSocket connection")


class WebSocketProtocol(Conversation):
    """Speaks WebSocket with one client, for a handler that sends and receives messages.

    Inbox: ``inbox``, bytes from the client, in any chunks. Outbox: ``outbox``, bytes for it. The handler is
    made when the handshake is done. Each message from the client goes to its inbox, and what it sends is one
    message each. One whose inbox declares ``str``, or ``str | bytes``, gets text as str; to one that declares
    ``bytes`` all messages are bytes, so that the same component serves TCP and WebSocket. From one that takes
    only ``str`` a client that sends bytes is parted (close code 1003). A str that it sends is a text, bytes
    are data.

    When the handler's outbox ends, the connection is closed (1000), and ends when the client has closed too.
    A client that closes ends the handler's inbox (codes 1000, 1001, none); with any other code, or without a
    close, it is a failed source: the handler gets `SourceFailed`. So is one that breaks the protocol (1002,
    1007), sends more than ``message_limit`` (1009), or does not answer a ping. A handler that fails is closed
    with 1011, logged, and sent to the ``failures`` of the server, and concerns nobody else. A stop ends the
    handler's inbox, and is told to the client as "going away" (1001). A slow handler stops the reading of the
    wire, a slow client the handler. What is no proper request to begin with is answered with an error of
    HTTP.

    Arguments:
        handler: serves the connection: a component (made again from its recipe), a class, a factory
        subprotocols: those that the handler speaks, the best first; who speaks none of them is refused
        origins: from whose pages a browser may connect: ``"same"`` for those of the host that it asks, and
            then what is no browser, and says nothing of pages, may as well; ``"any"`` for all. Or a list of
            values of the header ``Origin`` and compiled patterns, in which None stands for clients without
        compression: compress messages, if the client can (permessage-deflate)
        message_limit: bytes of one message, after inflation
        ping_interval: seconds of silence after which the client is asked whether it is there; None for never
        ping_timeout: seconds that it may take to answer
        open_timeout: seconds that the handshake may take
        close_timeout: seconds to wait for the client's close, after ours
        text: what the handler sends as bytes is text too, which is UTF-8
        counts: where to count, for a server that has many of these

    Raises `LinkError` for a handler that takes or sends neither text nor bytes; `TypeError` and `ValueError`
    for arguments that cannot be meant; `UsageError` without the package ``websockets``
    (``kamaelia[websocket]``).

    Example:
        >>> from kamaelia.protocol import Echo
        >>> from kamaelia.protocol.websocket import WebSocketProtocol
        >>> from kamaelia.testing import drive
        >>> with drive(WebSocketProtocol(Echo)) as server:
        ...     server.send(b"GET / HTTP/1.1\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n")
        ...     server.send(
        ...         b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n"
        ...     )
        ...     _ = server.take()
        ...     server.send(b"\\x82\\x85abcd\\t\\x07\\x0f\\x08\\x0e")
        ...     server.take()
        b'\\x82\\x05hello'
    """

    def __init__(
        self,
        handler: Any,
        *,
        subprotocols: Sequence[str] = (),
        origins: Origins = "same",
        compression: bool = True,
        message_limit: int | str = "1 MiB",
        ping_interval: float | None = 20.0,
        ping_timeout: float = 20.0,
        open_timeout: float = 10.0,
        close_timeout: float = 10.0,
        text: bool = False,
        counts: Counts | None = None,
    ) -> None:
        need_websockets()
        check_protocol_is_one(handler, "WebSocketProtocol")
        check_texts(subprotocols, "WebSocketProtocol(subprotocols=...)", "names")
        check_origins(origins, "WebSocketProtocol(origins=...)")
        settings = Settings(
            compression, message_limit, ping_interval, ping_timeout, open_timeout, close_timeout, text
        )
        self._limit = settings.check("WebSocketProtocol")
        self._subprotocols = tuple(subprotocols)
        self._origins = origins if isinstance(origins, str) else tuple(origins)
        self._handler = handler
        self._request: Request | None = None
        self._hold: Hold[Any] | None = None  # keeps the connection open for a handler that sends nothing
        self.handshake: Handshake | None = None
        """What was agreed on, once it was; see `handshake`."""
        super().__init__(settings, counts)
        if isinstance(handler, (Component, ComponentFunction, type)):
            self._handler = as_part(handler)
            self._see(self._handler, "WebSocketProtocol")

    def _see(self, handler: Component, where: str) -> None:
        """See what a handler takes; raise `LinkError` for one that cannot serve."""
        boxes = handler.boxes
        if "inbox" not in boxes and "outbox" not in boxes:
            raise LinkError(
                f"{where}: {handler!r} has neither inbox nor outbox, so it cannot talk to a client"
            )
        if "inbox" in boxes:
            kind = boxes["inbox"].type
            self.takes_text, self.takes_bytes = fits(str, kind), fits(bytes, kind)
            if not (self.takes_text or self.takes_bytes):
                raise LinkError(
                    f"{where}: messages are str or bytes, which do not fit into {boxes['inbox']} "
                    f"({name_of(kind)})"
                )
        if "outbox" in boxes and not fits(boxes["outbox"].type, str | bytes):
            raise LinkError(
                f"{where}: {boxes['outbox']} sends {name_of(boxes['outbox'].type)}, and messages are str or "
                "bytes"
            )

    def shake_hands(self, request: Request) -> Response:
        """Answer a request that somebody else has read; after 101 the wire is ours.

        To be called before the component is started.
        """
        machine = self.make_machine()
        answer = machine.accept(request.method, request.target, request.headers.pairs, request.version)
        if machine.opened is not None:
            self.machine, self._request = machine, request
        else:
            self.counts.refused += 1
            self._log_refusal(machine)
        return Response(answer.body, answer.status, Headers(answer.headers))

    # -- see `Conversation` ---------------------------------------------------------------------------

    def make_machine(self) -> ServerMachine:
        """Make the machine, and the handler, which is not started yet: it says what messages are to be."""
        if not isinstance(self._handler, Component):
            self._handler = make(self._handler)
            self._see(self._handler, self.path)
        return ServerMachine(
            subprotocols=self._subprotocols,
            origins=self._origins,
            compression=self.settings.compression,
            message_limit=self._limit,
            as_bytes=not self.takes_text,
        )

    def opened(self, opened: Opened, writer: Writer) -> None:
        """See `Conversation`."""
        request = self._request
        if request is None:
            who, scheme = None, "http"
            try:
                other = peer()
                who, scheme = other.address, "http" if other.tls is None else "https"
            except UsageError:  # the wire is no server's
                pass
            headers = Headers(opened.headers)
            request = Request("GET", opened.target, headers, scheme=scheme, peer=who)
        self.handshake = Handshake(request, opened.subprotocol, opened.compressed)
        handler = self._handler = self.add(self._handler, isolated=True)
        boxes = handler.boxes
        if "inbox" in boxes:
            count_in_bytes(boxes["inbox"], WAITING)
            self.link(self.reader.messages, boxes["inbox"])
        if "outbox" in boxes:
            self.link(boxes["outbox"], writer.inbox)
        else:
            self._hold = writer.inbox.hold()

    async def may_answer(self) -> bool:
        """See `Conversation`: what never asks for a message does not notice their end either."""
        await let_others_act()  # it may have been made just now
        box = self._handler.boxes.get("inbox")
        return box is not None and any(
            inbox.asked or len(inbox.queue) for inbox in postman.inboxes_behind(box)
        )

    def refused(self, refused: Refused) -> None:
        """See `Conversation`."""
        assert self.machine is not None
        self._log_refusal(self.machine)

    def _log_refusal(self, machine: Machine) -> None:
        assert machine.refused is not None
        hint = "; see the argument origins" if machine.refused.status == 403 else ""
        log.info("%s: no WebSocket: %s%s", self.path, shorten(machine.refused.reason, 200), hint)

    def too_slow(self, machine: Machine) -> None:
        """See `Conversation`."""
        assert isinstance(machine, ServerMachine)
        limit = self.settings.open_timeout
        for event in machine.refuse(408, f"the request has not come within {limit:g} s"):
            assert isinstance(event, Refused)
            self.refused(event)

    def unsendable(self, error: Exception) -> None:
        """See `Conversation`."""
        path = self._handler.path
        error.add_note(f"in {path}")
        self._tell(Failure(path, error, self._handler))

    def _tell(self, failure: Failure) -> None:
        """The handler has failed, which is told by the server around; see `Component._tell`."""
        self.counts.failed += 1
        around: Component | None = self
        while around is not None and around._axon.box_named("failures") is None:
            around = around.chassis
        lifecycle.report_isolated((around or self)._axon, failure)

    def _child_over(self, child: Component, failure: Failure | None) -> None:
        if child is self._handler and self._hold is not None:
            self._hold.release(None if failure is None else failure.error)


__all__ = ["Handshake", "WebSocketProtocol", "handshake"]
