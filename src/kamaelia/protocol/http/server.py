"""A server of HTTP: `TCPServer` with `HTTPProtocol`, and what belongs to both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kamaelia.net import TCPServer
from kamaelia.net.connection import address_text

from .limits import Limits
from .protocol import HTTPProtocol, Site
from .routes import Routes

LEAST_RATE = 240.0  # bytes a second: a slow modem is faster, and who keeps a connection for long is slower


@dataclass(frozen=True)
class HTTPStatistics:
    """What a server has been asked; see `HTTPServer.requests`."""

    answered: int
    """Requests that were answered, also those with an error."""
    informed: int
    """Of those, with another protocol (1xx)."""
    succeeded: int
    """With success (2xx)."""
    redirected: int
    """With where to look instead, or that nothing has changed (3xx)."""
    blamed: int
    """With a fault of the client's (4xx)."""
    failed: int
    """With a fault of the server's (5xx)."""
    failures: int
    """Functions, handlers and components that have failed, also behind the beginning of an answer."""
    refused: dict[int, int]
    """What was no request, or beyond a limit, by the status that it got."""


class HTTPServer(TCPServer):
    """Serves HTTP/1.1: pages, functions and components, by their paths.

    It is a `TCPServer` with an `HTTPProtocol` for each connection: see there for what a route may be, and
    what becomes of failures. A stop ends it gracefully: it accepts no more, and what has been asked is
    answered.

    Arguments:
        routes: a mapping of paths to what answers, see `HTTPProtocol`
        port: to listen on; 0 for any that is free
        host: name or address to listen on, several in a list, or None for every address of the machine
        limits: what clients may do, see `Limits`
        parser: ``"h11"``, ``"httptools"``, or ``"auto"`` for the faster that is installed
        server: what ``Server`` says; None for nothing
        least_rate: bytes a second that a client has to take of what waits for it, over ``stall_timeout``;
            None for any
        options: of `TCPServer`: ``limit``, ``idle_timeout``, ``stall_timeout``, ``quiet`` and the others

    Boxes: those of `TCPServer`. Raises what `HTTPProtocol` and `TCPServer` raise.

    Example:
        >>> import urllib.request
        >>> from kamaelia import background
        >>> with background(HTTPServer({"/": "<h1>Hello"}, port=0, quiet=True)) as server:
        ...     host, port = server.receive("listening")
        ...     urllib.request.urlopen(f"http://{host}:{port}/").read()
        b'<h1>Hello'
    """

    def __init__(
        self,
        routes: Mapping[Any, Any] | Routes,
        port: int = 8080,
        host: Any = "127.0.0.1",
        *,
        limits: Limits | None = None,
        parser: str = "auto",
        server: str | None = "kamaelia",
        least_rate: float | str | None = LEAST_RATE,
        **options: Any,
    ) -> None:
        protocol = HTTPProtocol(routes, limits=limits, parser=parser, server=server)
        self._site: Site = protocol.site
        if least_rate == LEAST_RATE and "stall_timeout" in options and options["stall_timeout"] is None:
            least_rate = None  # who waits for ever for a byte does not mean this
        super().__init__(protocol, port=port, host=host, least_rate=least_rate, **options)

    def _hint(self) -> str:
        host, port = self.addresses[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        return f"curl {'http' if self.tls is None else 'https'}://{address_text((host, port))}/"

    def requests(self) -> HTTPStatistics:
        """Return what the server has been asked so far; may be called from any thread."""
        counts = self._site.counts
        _, informed, succeeded, redirected, blamed, failed, *_ = counts.by_class
        return HTTPStatistics(
            answered=counts.requests,
            informed=informed,
            succeeded=succeeded,
            redirected=redirected,
            blamed=blamed,
            failed=failed,
            failures=counts.failed,
            refused=counts.refused.copy(),
        )


__all__ = ["HTTPServer", "HTTPStatistics"]
