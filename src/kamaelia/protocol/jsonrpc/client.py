"""A client for a JSON-RPC server, of the parts that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kamaelia.axon import Graphline, Inbox, Outbox
from kamaelia.chassis import Reply
from kamaelia.flow import Encode
from kamaelia.net import TCPClient

from .lines import JSONRPCLines
from .machine import LONGEST, Notification
from .peer import _Caller


class JSONRPCClient(Graphline):
    """Call the methods of a JSON-RPC 2.0 server over TCP, each text on a line of its own.

    Inbox: ``inbox``, each `Call` and `Notification`. Outbox: ``outbox``, a `Reply` for each call, in the
    order in which they are answered; see `JSONRPC`, which has all the rest, and `TCPClient`. (With another
    transport, put the two together as it is done here.)

    Ending: when its inbox has ended and all that was called is answered; with nothing linked to the inbox,
    it serves the server with its methods until that ends. When nobody takes the replies, it ends. Failure: a
    connection that cannot be made, or that breaks, is one; a `Retry` around the client tries again. Stop:
    what was called is answered. Back-pressure: as many calls are open as ``limit`` says, and more wait with
    who calls.

    Arguments:
        host: name or address of the server
        port: of the server
        methods: what the server may call back
        timeout: seconds that an answer may take
        options: others, as `JSONRPC` has them

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Encode, Source
        >>> from kamaelia.net import TCPServer
        >>> from kamaelia.protocol import JSONRPC, Call, JSONRPCClient, JSONRPCLines
        >>> server = TCPServer(JSONRPCLines() | JSONRPC({"pow": pow}) | Encode(end="\\n"), port=0, quiet=True)
        >>> with background(server) as handle:
        ...     host, port = handle.receive("listening")
        ...     replies = run(Source([Call("pow", [2, 10])]) | JSONRPCClient(host, port) | Collect())
        >>> replies[0].answer
        1024
    """

    inbox = Inbox[Notification]("what to call: a Call or Notification")  # type: ignore[assignment]
    outbox = Outbox[Reply]("a reply to each call")  # type: ignore[assignment]

    def __init__(
        self,
        host: str,
        port: int,
        methods: Mapping[str, Any] | None = None,
        *,
        timeout: float = 10.0,
        **options: Any,
    ) -> None:
        rpc = _Caller(methods, timeout=timeout, **options)
        rpc.named("JSONRPC")
        lines = JSONRPCLines(options.get("longest", LONGEST))
        encode, client = Encode(end="\n"), TCPClient(host, port)
        super().__init__(
            "self.inbox" >> rpc.calls,
            rpc.results >> "self.outbox",
            rpc.outbox >> encode.inbox,
            encode.outbox >> client.inbox,
            client.outbox >> lines.inbox,
            lines.outbox >> rpc.inbox,
        )


__all__ = ["JSONRPCClient"]
