"""What the tests of the transports share: loops, servers on the loopback, and a look at what is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kamaelia import background
from kamaelia.net import TCPServer

WAIT = 20  # seconds until a test that waits for a real socket gives up


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=pytest.mark.needs("module:uvloop"))])
def new_loop(request: pytest.FixtureRequest) -> Any:
    """Make an event loop, of each kind there is."""
    if request.param == "asyncio":
        return asyncio.new_event_loop
    return importlib.import_module("uvloop").new_event_loop


@pytest.fixture
def serve(new_loop: Any) -> Callable[..., Any]:
    """Run a TCP server in the background: ``with serve(Echo) as server``; see ``server.address``."""

    @contextlib.contextmanager
    def serving(protocol: Any, **options: Any) -> Iterator[Any]:
        # Most clients of these tests are still there at the stop, so nobody should wait long for them to end.
        server = TCPServer(protocol, **{"port": 0, "quiet": True, "linger": 0.01, **options})
        with background(server, loop_factory=new_loop) as handle:
            server.handle = handle
            handle.receive("listening", timeout=WAIT)
            yield server

    return serving


@pytest.fixture
def connect() -> Iterator[Callable[..., socket.socket]]:
    """Open plain blocking sockets to a server; they are closed when the test is over."""
    with contextlib.ExitStack() as stack:
        yield lambda server: stack.enter_context(socket.create_connection(server.address[:2], timeout=WAIT))


@pytest.fixture(scope="module", autouse=True)
def little_to_search() -> None:
    """Spare the garbage collector what earlier tests have left to stay, such as pytest's reports."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """After every test there are no more threads than before, and no socket was forgotten."""
    before = set(threading.enumerate())
    yield
    gc.collect()  # a forgotten socket warns now, and pytest makes an error of it
    for thread in set(threading.enumerate()) - before:
        thread.join(1)  # it has been told to end, and may need a moment for that
    assert set(threading.enumerate()) <= before


def read_all(sock: socket.socket) -> bytes:
    """Read until the end of stream."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


def read_to_reset(sock: socket.socket) -> bytes:
    """Read until the connection is reset, which it has to be."""
    data = bytearray()
    with pytest.raises(ConnectionResetError):
        while more := sock.recv(65536):
            data += more
    return bytes(data)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Certificates by an authority of the tests' own."""
    from .certificates import Certificates

    return Certificates(tmp_path_factory.mktemp("certificates"))
