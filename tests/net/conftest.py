"""What the tests of the transports share: loops, servers on the loopback, and a look at what is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import socket
import subprocess
import threading
import time
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


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=WAIT)


def wait_for_multicast(namespace: str, device: str) -> None:
    """Wait until IPv6 has seen that the link is up: before, there is no route for what comes for groups.

    It notices that within a second or so, and there is nothing to be told by.
    """
    for _ in range(100 * WAIT):
        show = ["ip", "-n", namespace, "-6", "route", "show", "table", "local", "ff00::/8", "dev", device]
        if subprocess.run(show, check=True, capture_output=True, text=True, timeout=WAIT).stdout:
            return
        time.sleep(0.01)
    raise AssertionError(f"{device} has no route for multicast after {WAIT} s")


@pytest.fixture(scope="module")
def namespaces() -> Iterator[tuple[str, str]]:
    left, right = f"kamaelia-{os.getpid()}-left", f"kamaelia-{os.getpid()}-right"
    made = []
    try:
        for name in (left, right):
            ip("netns", "add", name)
            made.append(name)
        ip("-n", left, "link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", right)
        for name, device, number in ((left, "va", 1), (right, "vb", 2)):
            ip("-n", name, "address", "add", f"10.99.0.{number}/24", "dev", device)
            # Without "nodad" an address cannot be used for a second.
            ip("-n", name, "address", "add", f"fd99::{number}/64", "dev", device, "nodad")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", device, "up")
        ip("-n", left, "address", "add", "fd99::11/64", "dev", "va", "nodad")
        ip("-n", left, "address", "add", "10.99.0.11/24", "dev", "va")
        for name, device in ((left, "va"), (right, "vb")):
            wait_for_multicast(name, device)
        yield left, right
    finally:
        for name in made:
            ip("netns", "delete", name)
