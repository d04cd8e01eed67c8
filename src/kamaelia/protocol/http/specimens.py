"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon.specimen import Specimen

from .client import HTTPClient
from .client_protocol import HTTPClientProtocol
from .event_source import EventSource
from .fetch import Fetch
from .headers import Headers
from .messages import Request
from .pool import ConnectionPool

SPECIMENS = {
    "ConnectionPool": (Specimen(ConnectionPool, gives={}, endless=True),),
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
}
