"""HTTP/1.1, server and client (RFC 9110, 9112)."""

from .client_protocol import HTTPClientProtocol
from .headers import Headers
from .messages import Request, Response

__all__ = ["HTTPClientProtocol", "Headers", "Request", "Response"]
