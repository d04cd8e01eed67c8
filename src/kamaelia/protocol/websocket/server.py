"""WebSocket servers: on a port of their own, or as a route of an HTTP server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kamaelia.net import TCPServer

from .protocol import WebSocketProtocol


class WebSocketServer(TCPServer):
    def __init__(
        self,
        protocol: Any,
        port: int,
        host: str | Sequence[str] | None = "127.0.0.1",
        *,
        subprotocols: Sequence[str] = (),
        origins: Sequence[str | re.Pattern[str] | None] | None = None,
        compression: bool = True,
        message_limit: int | str = "1 MiB",
        ping_interval: float | None = 20.0,
        ping_timeout: float = 20.0,
        open_timeout: float = 10.0,
        close_timeout: float = 10.0,
        text: bool = False,
        **options: Any,
    ) -> None:
        pattern = WebSocketProtocol(
            protocol,
            subprotocols=subprotocols,
            origins=origins,
            compression=compression,
            message_limit=message_limit,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            open_timeout=open_timeout,
            close_timeout=close_timeout,
            text=text,
        )
        super().__init__(pattern, port=port, host=host, **options)


__all__ = ["WebSocketServer"]
