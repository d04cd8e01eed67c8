"""Which handler answers a request."""

from __future__ import annotations

from .exchange import Exchange, Handler

__all__ = ["Exchange", "Handler"]
