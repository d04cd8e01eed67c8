"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon.specimen import Specimen

from . import (
    Compress,
    ConnectionPool,
    Decompress,
    EventSource,
    Fetch,
    Headers,
    HTTPClient,
    HTTPClientProtocol,
    HTTPProtocol,
    HTTPServer,
    Request,
    ServerSentEvents,
)
from .compression import Compressor
from .events import BEGIN

ASKED = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
ANSWERED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n"
    b"Date: Sat, 01 Jan 2000 00:00:00 GMT\r\nServer: kamaelia\r\n\r\nHello"
)

PACKED = Compressor("gzip")

SPECIMENS = {
    "Compress": (Specimen(Compress, {"inbox": (b"tea", "milk")}, gives=None),),
    "ConnectionPool": (Specimen(ConnectionPool, gives={}, endless=True),),
    "Decompress": (
        Specimen(Decompress, {"inbox": (PACKED.feed(b"tea") + PACKED.end(),)}, {"outbox": (b"tea",)}),
    ),
    "EventSource": (
        Specimen(
            lambda: EventSource("http://127.0.0.1:1500/"), gives=None, outside="it connects to a server"
        ),
    ),
    "Fetch": (
        Specimen(lambda: Fetch("http://127.0.0.1:1500/"), gives=None, outside="it connects to a server"),
    ),
    "HTTPClient": (
        Specimen(
            HTTPClient, {"inbox": ("http://127.0.0.1:1500/",)}, gives=None, outside="it connects to a server"
        ),
    ),
    "HTTPClientProtocol": (
        Specimen(
            HTTPClientProtocol,
            {
                "requests": (Request("GET", "/", Headers({"Host": "a"})),),
                "inbox": (b"HTTP/1.1 204 No Content\r\n\r\n",),
            },
            gives=None,
            outside="it speaks with a server",
        ),
    ),
    "HTTPProtocol": (
        Specimen(
            lambda: HTTPProtocol({"/": "Hello"}),
            {"inbox": (ASKED, ASKED)},
            {"outbox": (ANSWERED, ANSWERED)},
        ),
    ),
    "HTTPServer": (
        Specimen(
            lambda: HTTPServer({"/": "Hello"}, port=0, quiet=True),
            gives=None,
            endless=True,
            outside="it listens on the network",
        ),
    ),
    "ServerSentEvents": (
        Specimen(
            ServerSentEvents,
            {"inbox": ("tea", "milk")},
            {"outbox": (BEGIN, b"data: tea\n\n", b"data: milk\n\n")},
            by_time="where a stop leaves nothing to tell, it does not even begin to",
        ),
    ),
}
