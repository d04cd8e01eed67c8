"""HTTP/1.1, server and client (RFC 9110, 9112)."""

from .headers import Headers
from .messages import Request, Response

__all__ = ["Headers", "Request", "Response"]
