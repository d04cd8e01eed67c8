"""HTTP/1.1, server and client (RFC 9110, 9112).

| part | what it does |
| --- | --- |
| `HTTPServer` | listens on a TCP port, and answers requests by routes |
| `HTTPProtocol` | the same for one connection, whatever carries it |
| `request` | the `Request` that the asking component answers |
| `Request`, `Response`, `Headers`, `Trailers` | what is asked, and answered |
| `Routes`, `Limits` | who answers, and what clients may do |
| `Exchange`, `Handler` | for handlers that answer piece by piece, or speak another protocol |
| `HTTPClient` | asks for the addresses and requests that it is sent, and sends the answers |
| `Fetch`, `fetch` | one request: a part through which its bodies stream; in a component, to be awaited |
| `EventSource` | listens to server-sent events, and comes back |
| `ConnectionPool`, `TimeLimits` | the connections of clients, and how long they wait |
| `HTTPClientProtocol` | the client's side of one connection, whatever carries it |
"""

from .caller import (
    BadStatus,
    BodyTooLong,
    Interrupted,
    RedirectRefused,
    RequestFailed,
    TimedOut,
    TimeLimits,
)
from .client import Answer, HTTPClient, HTTPClientStatistics
from .client_protocol import HTTPClientProtocol
from .event_source import EventSource
from .exchange import Exchange, Handler, Trailers
from .fetch import Fetch, fetch
from .headers import Headers
from .limits import Limits
from .machine import Refused
from .messages import Request, Response
from .pool import ConnectionPool, PoolFull, PoolStatistics
from .protocol import HTTPProtocol, request
from .routes import Routes
from .server import HTTPServer, HTTPStatistics

__all__ = [
    "Answer",
    "BadStatus",
    "BodyTooLong",
    "ConnectionPool",
    "EventSource",
    "Exchange",
    "Fetch",
    "HTTPClient",
    "HTTPClientProtocol",
    "HTTPClientStatistics",
    "HTTPProtocol",
    "HTTPServer",
    "HTTPStatistics",
    "Handler",
    "Headers",
    "Interrupted",
    "Limits",
    "PoolFull",
    "PoolStatistics",
    "RedirectRefused",
    "Refused",
    "Request",
    "RequestFailed",
    "Response",
    "Routes",
    "TimeLimits",
    "TimedOut",
    "Trailers",
    "fetch",
    "request",
]
