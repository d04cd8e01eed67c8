"""What the tests use beside loops: sockets, and servers that are to answer.

A test makes sockets with the `socket` module; here they are those of the host whose loop was made last. The
helpers' servers of HTTP and echo are threads with sockets of the machine; here the same loop serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

from test.test_asyncio import functional, utils

from kamaelia.testbed.listener import Server
from kamaelia.testbed.sockets import SimulatedSocket

from .loops import Instead, SimulatedLoop

REAL = socket.socket


class _Kind(type):
    def __call__(cls, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> Any:
        return newest_loop().make_socket(family, type, proto, fileno)

    def __instancecheck__(cls, one: object) -> bool:
        return isinstance(one, (SimulatedSocket, REAL))


class Socket(REAL, metaclass=_Kind):
    """What the name ``socket.socket`` means to the tests."""


def newest_loop() -> SimulatedLoop:
    """Return the loop that was made last."""
    loop = SimulatedLoop.newest
    assert loop is not None
    return loop


def create_server(address: Any, *, family: int = socket.AF_INET, backlog: int | None = None, **_: Any) -> Any:
    """See `socket.create_server`."""
    sock = newest_loop().make_socket(family, socket.SOCK_STREAM)
    sock.bind(address)
    sock.listen(128 if backlog is None else backlog)
    return sock


def make_socket_pair(*_: Any) -> Any:
    """See `socket.socketpair`."""
    return newest_loop().make_socket_pair()


class Page(asyncio.Protocol):
    """One request of HTTP, answered as the tests' server does: with a message, or with what was sent."""

    def __init__(self) -> None:
        self._data = b""
        self._left = -1
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._data += data
            head, end, data = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            lines = head.split(b"\r\n")
            self._transport.write(b"HTTP/1.0 200 OK\r\nContent-type: text/plain\r\n\r\n")
            if lines[0].split()[1:2] != [b"/loop"]:
                self._transport.write(b"Test message")
                self._left = 0
            else:
                fields = dict(line.lower().split(b": ") for line in lines[1:])
                self._left = int(fields[b"content-length"])
        self._transport.write(data[: self._left])
        self._left -= len(data[: self._left])
        if self._left == 0:
            self._transport.close()


class _Running:
    def __init__(self, address: Any) -> None:
        self.address = address


@contextlib.contextmanager
def serve_pages(sock: SimulatedSocket, use_ssl: bool) -> Iterator[_Running]:
    """Serve on a socket that is bound."""
    context = None
    if use_ssl:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(utils.ONLYCERT, utils.ONLYKEY)
    server = Server(newest_loop(), [sock], Page, {"ssl": context}, 100)
    server._open()
    try:
        yield _Running(sock.getsockname())
    finally:
        server.close()


def run_test_server(*, host: str = "127.0.0.1", port: int = 0, use_ssl: bool = False) -> Any:
    """See `test.test_asyncio.utils`."""
    sock = newest_loop().make_socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind((host, port))
    return serve_pages(sock, use_ssl)


@contextlib.contextmanager
def run_test_unix_server(*, use_ssl: bool = False) -> Iterator[Any]:
    """See `test.test_asyncio.utils`."""
    with utils.unix_socket_path() as path:
        sock = newest_loop().make_socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(path)
        with serve_pages(sock, use_ssl) as running:
            yield running


@contextlib.contextmanager
def run_udp_echo_server(*, host: str = "127.0.0.1", port: int = 0) -> Iterator[Any]:
    """See `test.test_asyncio.utils`."""
    loop = newest_loop()
    sock = loop.make_socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    sock.setblocking(False)

    def answer() -> None:
        data, source = sock.recvfrom(65536)
        sock.sendto(data, source)

    loop.add_reader(sock, answer)
    try:
        yield sock.getsockname()
    finally:
        loop.remove_reader(sock)
        sock.close()


def replace_sockets(tests: Any) -> None:
    """Have a module of tests, and the helpers, make sockets of simulated hosts."""
    for module in (tests, utils, functional):
        if getattr(module, "socket", None) is socket:
            module.socket = Instead(
                socket, socket=Socket, create_server=create_server, socketpair=make_socket_pair
            )
    utils.run_test_server = run_test_server
    utils.run_test_unix_server = run_test_unix_server
    utils.run_udp_echo_server = run_udp_echo_server
