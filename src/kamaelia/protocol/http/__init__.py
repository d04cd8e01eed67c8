"""HTTP/1.1, server and client (RFC 9110, 9112).

| part | what it does |
| --- | --- |
| `HTTPServer` | listens on a TCP port, and answers requests by routes |
| `HTTPProtocol` | the same for one connection, whatever carries it |
| `request` | the `Request` that the asking component answers |
| `Request`, `Response`, `Headers`, `Trailers` | what is asked, and answered |
| `Routes`, `Limits` | who answers, and what clients may do |
| `Exchange`, `Handler` | for handlers that answer piece by piece, or speak another protocol |
"""

from .exchange import Exchange, Handler, Trailers
from .headers import Headers
from .limits import Limits
from .machine import Refused
from .messages import Request, Response
from .protocol import HTTPProtocol, request
from .routes import Routes
from .server import HTTPServer, HTTPStatistics

__all__ = [
    "Exchange",
    "HTTPProtocol",
    "HTTPServer",
    "HTTPStatistics",
    "Handler",
    "Headers",
    "Limits",
    "Refused",
    "Request",
    "Response",
    "Routes",
    "Trailers",
    "request",
]
