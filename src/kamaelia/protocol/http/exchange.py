"""One request and its answer: what a handler is given.

Theory
------
Most routes are values, functions or components, and never see this. A *handler* is for what these cannot
do: files that go out piece by piece, a proxy, an ASGI application, an upgrade. It is any object with a method
``answer(exchange)``, plain or ``async``::

    class Upper:
        async def answer(self, exchange):
            await exchange.begin(Response(type="text/plain"))
            async for piece in exchange:
                await exchange.send(piece.upper())
            await exchange.finish()

What it returns, if it is not None, is the answer: a `Response`, or any other value that a route may be.
Otherwise it has answered through the exchange. One that has begun and returns is finished for it; one that
raises before it has begun is answered 500, and later the connection is broken, since nothing else tells the
peer that the body is not whole.

The handler runs in the component that speaks HTTP with this peer, one exchange at a time. Each wait is one
for the peer: `Exchange.read` for what it sends, `Exchange.send` until it has room. So a slow peer makes the
handler wait, and a slow handler the peer. When the peer has gone, the next wait raises `BrokenLink`: let it
through. `kamaelia.sleep`, and waits on boxes, end with it as well; waits for anything else do not.

To read and send at the same time a handler may do one of them in a task of its own (`asyncio.TaskGroup`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol

from .headers import Headers
from .messages import Request, Response

if TYPE_CHECKING:
    from kamaelia.axon import Component, Inbox, Outbox


class Handler(Protocol):
    """What answers requests through an `Exchange`. Any object with this method is one, see above."""

    def answer(self, exchange: Exchange, /) -> Any:
        """Answer. Plain or ``async``; returns a `Response` (or what else a route may be), or None."""


class Exchange:
    """A request, and the way to answer it."""

    request: Request
    """What is asked. Its ``body`` is empty: see `read`."""
    trailers: Headers | None
    """What came behind the body; None before its end."""
    begun: bool
    """The head of the answer has been sent: it is too late for another one."""
    bodiless: bool
    """The method is HEAD: pieces of the body are not sent, so they need not be made."""

    async def read(self) -> bytes:
        """Return the next piece of the request's body as it comes, b"" at its end (and again after that).

        Asks a client for the body that has waited for that ("Expect: 100-continue"). Raises
        `RemoteProtocolError` when the body breaks the rules, comes too slowly, is larger than the limit or
        breaks off.
        """
        raise NotImplementedError

    async def read_all(self, limit: int | None = None) -> bytes:
        """Return the rest of the body. Raises `RemoteProtocolError`, with the status 413, for more bytes
        than the limit: those of `Limits.body` unless it is given."""
        raise NotImplementedError

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over what `read` returns."""
        raise NotImplementedError

    async def inform(self, status: int, headers: Headers | None = None) -> None:
        """Send something ahead of the answer: 103 Early Hints, 102 Processing."""
        raise NotImplementedError

    async def begin(self, response: Response, length: int | None = None) -> None:
        """Send the status and the headers of the answer. Its body is not looked at, except that bytes in it
        are the first piece.

        ``length`` is how many bytes of body there will be, if that is known, and becomes Content-Length;
        otherwise the body is chunked (for HTTP/1.0 it ends with the connection). To be awaited once.
        """
        raise NotImplementedError

    async def send(self, piece: Any) -> None:
        """Send a piece of the body: bytes, or what the transport knows to send and has a ``count`` of bytes
        or a ``len``. Waits while the peer is behind."""
        raise NotImplementedError

    async def finish(self, trailers: Headers | None = None) -> None:
        """The body is whole. Trailers go to a client that was answered in chunks; others do without."""
        raise NotImplementedError

    async def answer(self, value: Any) -> None:
        """Answer with whatever a route may be: a `Response`, text, bytes, JSON or a component."""
        raise NotImplementedError

    async def switch(self, response: Response) -> bytes:
        """Send the head of a response such as 101, and speak another protocol from here on.

        Returns the bytes that came behind the request already. Whatever else comes is in `inbox`, and what
        is to go out is sent to `outbox`, both plain bytes. The connection ends when the handler returns.
        """
        raise NotImplementedError

    async def serve(self, component: Component, first: bytes = b"") -> None:
        """After `switch`: let a component have the connection, and return when it has ended.

        Its ``inbox`` gets ``first`` and then what comes, what its ``outbox`` sends goes to the peer; both
        are bytes. It becomes a child, so it ends when the peer has gone.
        """
        raise NotImplementedError

    inbox: Inbox[bytes]
    """After `switch`: what comes from the peer."""
    outbox: Outbox[Any]
    """After `switch`: what goes to the peer."""


__all__ = ["Exchange", "Handler"]
