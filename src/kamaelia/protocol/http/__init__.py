"""HTTP/1.1, server and client (RFC 9110, 9112).

| part | what it does |
| --- | --- |
| `HTTPServer` | listens on a TCP port, and answers requests by routes |
| `HTTPProtocol` | the same for one connection, whatever carries it |
| `request`, `trailers` | the `Request` that the asking component answers, and what came behind its body |
| `Request`, `Response`, `Headers`, `Trailers` | what is asked, and answered |
| `Routes`, `Limits` | who answers, and what clients may do |
| `Exchange`, `Handler` | for handlers that answer piece by piece, or speak another protocol |
| `HTTPClient` | asks for the addresses and requests that it is sent, and sends the answers |
| `Fetch`, `fetch` | one request: a part through which its bodies stream; in a component, to be awaited |
| `EventSource` | listens to server-sent events, and comes back |
| `ConnectionPool`, `TimeLimits` | the connections of clients, and how long they wait |
| `HTTPClientProtocol` | the client's side of one connection, whatever carries it |
| `StaticFiles`, `ReverseProxy`, `ASGI` | handlers: files of a folder, other servers, applications of ASGI |
| `asgi_application` | the other way: our routes behind a server of ASGI |
| `ServerSentEvents`, `Event` | tells pages that stay open what happens |
| `Compress`, `Decompress`, `compressed` | bodies that are compressed |
| `read_form`, `write_form`, `Form`, `Upload` | forms, with files |
| `stream_form`, `StreamedPart` | forms whose files may have any length, as they come |
| `cookies_of`, `set_cookie`, `delete_cookie`, `CookieJar` | what clients are asked to say again |
| `choose_type` | what a client likes best |
"""

from .asgi import ASGI
from .asgi_application import asgi_application
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
from .compression import Compress, Decompress, compressed
from .cookies import CookieJar, cookies_of, delete_cookie, set_cookie
from .event_source import EventSource
from .events import Event, ServerSentEvents
from .exchange import Exchange, Handler, Trailers
from .fetch import Fetch, fetch
from .forms import Form, StreamedPart, Upload, read_form, stream_form, write_form
from .headers import Headers
from .limits import Limits
from .messages import Request, Response
from .negotiation import choose_type
from .pool import ConnectionPool, PoolFull, PoolStatistics
from .protocol import HTTPProtocol, request, trailers
from .proxy import ReverseProxy
from .refusal import Refused
from .routes import Routes
from .server import HTTPServer, HTTPStatistics
from .static import StaticFiles

__all__ = [
    "ASGI",
    "Answer",
    "BadStatus",
    "BodyTooLong",
    "Compress",
    "ConnectionPool",
    "CookieJar",
    "Decompress",
    "Event",
    "EventSource",
    "Exchange",
    "Fetch",
    "Form",
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
    "ReverseProxy",
    "Routes",
    "ServerSentEvents",
    "StaticFiles",
    "StreamedPart",
    "TimeLimits",
    "TimedOut",
    "Trailers",
    "Upload",
    "asgi_application",
    "choose_type",
    "compressed",
    "cookies_of",
    "delete_cookie",
    "fetch",
    "read_form",
    "request",
    "set_cookie",
    "stream_form",
    "trailers",
    "write_form",
]
