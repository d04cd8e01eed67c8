"""A server of HTTP on the loopback, on each kind of loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kamaelia import background
from kamaelia.protocol.http import HTTPServer
from tests.net.conftest import WAIT, connect, new_loop, nothing_left

__all__ = ["connect", "new_loop", "nothing_left"]


@pytest.fixture
def serve(new_loop: Any) -> Callable[..., Any]:
    """Run a server in the background: ``with serve({"/": page}) as server``; see ``server.address``."""

    @contextlib.contextmanager
    def serving(routes: Any, **options: Any) -> Iterator[Any]:
        server = HTTPServer(routes, **{"port": 0, "quiet": True, "linger": 0.05, **options})
        with background(server, loop_factory=new_loop) as handle:
            server.handle = handle  # type: ignore[attr-defined]
            handle.receive("listening", timeout=WAIT)
            yield server

    return serving
