"""WebSocket servers on the loopback, on each kind of loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kamaelia import background
from kamaelia.protocol.websocket import WebSocketServer
from tests.net.conftest import WAIT, connect, new_loop, nothing_left

__all__ = ["connect", "new_loop", "nothing_left"]


@pytest.fixture
def serve(new_loop: Any) -> Callable[..., Any]:
    """Run a server in the background: ``with serve(Echo) as server``; see ``server.address``."""

    @contextlib.contextmanager
    def serving(handler: Any, *, kind: Any = WebSocketServer, **options: Any) -> Iterator[Any]:
        server = kind(handler, **{"port": 0, "quiet": True, "linger": 0.05, **options})
        with background(server, loop_factory=new_loop) as handle:
            server.handle = handle
            handle.receive("listening", timeout=WAIT)
            server.url = f"ws://127.0.0.1:{server.address[1]}/"
            yield server

    return serving
