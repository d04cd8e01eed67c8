"""HTTP/1.1, server and client (RFC 9110, 9112)."""

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
from .fetch import Fetch, fetch
from .headers import Headers
from .messages import Request, Response
from .pool import ConnectionPool, PoolFull, PoolStatistics

__all__ = [
    "Answer",
    "BadStatus",
    "BodyTooLong",
    "ConnectionPool",
    "EventSource",
    "Fetch",
    "HTTPClient",
    "HTTPClientProtocol",
    "HTTPClientStatistics",
    "Headers",
    "Interrupted",
    "PoolFull",
    "PoolStatistics",
    "RedirectRefused",
    "Request",
    "RequestFailed",
    "Response",
    "TimeLimits",
    "TimedOut",
    "fetch",
]
