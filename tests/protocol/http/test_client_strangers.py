"""The clients against servers that others have written, and against sockets that misbehave."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import http.server
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kamaelia import component, run
from kamaelia.axon import ComponentsFailed
from kamaelia.file import FileReader, FileWriter
from kamaelia.flow import Collect, Source, Take
from kamaelia.net import CannotConnect, ClientTLS
from kamaelia.protocol.http import (
    ConnectionPool,
    EventSource,
    Fetch,
    HTTPClient,
    Request,
    RequestFailed,
    TimedOut,
    TimeLimits,
)

from .servers import OK, heard, listening, ok

PEM = Path(__file__).parents[2] / "testbed" / "server.pem"
BODY = random.Random(7).randbytes(1_000_000) + bytes(1_000_000)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """After every test there are no more threads than before, and no socket was forgotten."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    assert set(threading.enumerate()) <= before


def get(*addresses: Any, **options: Any) -> list[Any]:
    return run(Source(addresses) | HTTPClient(**options) | Collect())


def failure(*addresses: Any, **options: Any) -> Exception:
    with pytest.raises(ComponentsFailed) as caught:
        get(*addresses, **options)
    (error,) = caught.value.exceptions
    return error


# --- servers of others ----------------------------------------------------------------------------------


@contextmanager
def stdlib_server(protocol_version: str = "HTTP/1.1", context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Run the server of the standard library."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(b"you want " + self.path.encode())

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(hashlib.sha256(body).hexdigest().encode())

        def do_HEAD(self) -> None:
            self.answer(b"something")

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    Handler.protocol_version = protocol_version
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if context is not None:
            scheme = "https"
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_the_server_of_the_standard_library(version):
    with stdlib_server(version) as there:
        pool = ConnectionPool()
        found = get(
            *[f"{there}/{n}" for n in range(50)],
            Request("PUT", f"{there}/x", body=BODY),
            Request("HEAD", f"{there}/x"),
            pool=pool,
        )
        assert [one.body for one in found[:50]] == [b"you want /%d" % n for n in range(50)]
        assert found[50].body == hashlib.sha256(BODY).hexdigest().encode()
        assert found[51].body == b"" and found[51].headers["content-length"] == "9"
        made = pool.statistics().made
        assert made <= 6 if version == "HTTP/1.1" else made == 52


@contextmanager
def aiohttp_server() -> Iterator[str]:
    """Run a server of aiohttp."""
    from aiohttp import web

    async def serve() -> None:
        app = web.Application(client_max_size=10**9)
        app.add_routes(routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ends.append((asyncio.get_running_loop(), runner.addresses[0][1]))
        ready.set()
        await over.wait()
        await runner.cleanup()

    def routes() -> list[Any]:
        async def big(request: Any) -> Any:
            return web.Response(body=BODY)

        async def chunked(request: Any) -> Any:
            response = web.StreamResponse()
            response.enable_chunked_encoding()
            response.enable_compression()
            await response.prepare(request)
            for start in range(0, len(BODY), 100_000):
                await response.write(BODY[start : start + 100_000])
            await response.write_eof()
            return response

        async def echo(request: Any) -> Any:
            response = web.StreamResponse()
            await response.prepare(request)
            async for data in request.content.iter_any():
                await response.write(data)
            return response

        async def elsewhere(request: Any) -> Any:
            raise web.HTTPTemporaryRedirect("/digest")

        async def digest(request: Any) -> Any:
            return web.Response(text=hashlib.sha256(await request.read()).hexdigest())

        async def events(request: Any) -> Any:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            first = int(request.headers.get("Last-Event-ID", 0)) + 1
            for number in range(first, first + 2):
                await response.write(b"retry: 10\nid: %d\ndata: number %d\n\n" % (number, number))
            return response

        return [
            web.get("/big", big), web.get("/chunked", chunked), web.put("/echo", echo),
            web.put("/digest", digest), web.put("/elsewhere", elsewhere), web.get("/events", events),
        ]  # fmt: skip

    ends: list[Any] = []
    ready, over = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    ((loop, port),) = ends
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


@pytest.mark.needs("module:aiohttp")
def test_a_server_of_aiohttp(tmp_path):
    with aiohttp_server() as there:
        big, chunked, elsewhere = get(
            f"{there}/big", f"{there}/chunked", Request("PUT", f"{there}/elsewhere", body=BODY)
        )
        assert big.body == chunked.body == BODY
        assert chunked.headers["content-encoding"] == "deflate"
        assert elsewhere.text() == hashlib.sha256(BODY).hexdigest() and elsewhere.url.endswith("/digest")
        run(Fetch(f"{there}/chunked") | FileWriter(tmp_path / "down"))
        assert (tmp_path / "down").read_bytes() == BODY
        assert run(FileReader(tmp_path / "down") | Fetch(f"{there}/digest", "PUT") | Collect()) == [
            hashlib.sha256(BODY).hexdigest().encode()
        ]
        assert (
            b"".join(run(FileReader(tmp_path / "down") | Fetch(f"{there}/echo", "PUT") | Collect())) == BODY
        )
        found = run(EventSource(f"{there}/events", retry=0.01) | Take(5) | Collect())
        assert [(one.id, one.data) for one in found] == [(str(n), f"number {n}") for n in range(1, 6)]


def test_https_and_whom_it_believes():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    with stdlib_server(context=context) as there:
        believing = ConnectionPool(tls=ClientTLS(authorities=PEM, server_name="server"))
        (answer,) = get(f"{there}/x", pool=believing)
        assert answer.body == b"you want /x"
        error = failure(f"{there}/x")
        assert isinstance(error.__cause__, CannotConnect)
        assert "certificate" in str(error)


def test_https_through_a_proxy():
    """The proxy is a few lines of sockets, and what it carries is TLS with the server behind it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)

    def proxy(sock: socket.socket) -> None:
        assert heard(sock).startswith(b"CONNECT 127.0.0.1:")
        port = int(there.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as far:
            sock.sendall(b"HTTP/1.1 200 Go on\r\n\r\n")

            def copy(one: socket.socket, other: socket.socket) -> None:
                while data := one.recv(65536):
                    other.sendall(data)
                other.shutdown(socket.SHUT_WR)

            back = threading.Thread(target=copy, args=(far, sock))
            back.start()
            copy(sock, far)
            back.join()

    with stdlib_server(context=context) as there, listening(proxy) as via:
        pool = ConnectionPool(tls=ClientTLS(authorities=PEM))  # it is the server behind who has to prove it
        (answer,) = get(f"{there}/x", pool=pool, proxy=via)
        assert answer.body == b"you want /x"


# --- sockets that misbehave -------------------------------------------------------------------------------


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = failure(f"http://127.0.0.1:{port}/x")
    assert isinstance(error.__cause__, CannotConnect)
    assert str(error).startswith(
        f"Pipeline/HTTPClient/asker-1: GET http://127.0.0.1:{port}/x: nothing listens on 127.0.0.1:{port}"
    )


def test_a_name_that_nobody_knows():
    error = failure("http://no.such.host.invalid/")
    assert "GET http://no.such.host.invalid/: the name in no.such.host.invalid:80 is not known" in str(error)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def endless(sock: socket.socket) -> None:
    heard(sock)
    sock.sendall(OK)
    while True:
        sock.sendall(b"A: " + b"a" * 1000 + b"\r\n")


@pytest.mark.parametrize(
    ("talk", "text"),
    [
        (lambda sock: heard(sock), "before it had answered"),
        (
            lambda sock: (heard(sock), sock.sendall(OK)),
            "in the middle of the head of its answer, after 17 bytes",
        ),
        (lambda sock: (heard(sock), sock.sendall(ok(b"hello")[:-2])), "bytes missing: 2 ("),
        (
            lambda sock: (heard(sock), sock.sendall(b"\x00\xff" * 50 + b"\r\n\r\n")),
            "does not begin with HTTP/",
        ),
        (lambda sock: (heard(sock), reset(sock)), "Connection reset by peer"),
        (
            lambda sock: (heard(sock), sock.sendall(ok(b"hello")[:-2]), time.sleep(0.1), reset(sock)),
            "reset by peer",
        ),
        (endless, "more than head_limit=65536 bytes"),
    ],
    ids=["silence", "half a head", "half a body", "garbage", "reset", "reset in a body", "endless head"],
)
def test_servers_that_misbehave(talk, text):
    with listening(talk) as there:
        error = failure(f"{there}/x")
        assert isinstance(error, RequestFailed)
        assert f"GET {there}/x: " in str(error) and text in str(error)


def test_a_server_that_drips():
    def drip(sock: socket.socket) -> None:
        heard(sock)
        for byte in ok(b"hello"):
            sock.sendall(bytes([byte]))
            time.sleep(0.001)
        time.sleep(0.3)  # and then does not close

    with listening(drip) as there:
        (answer,) = get(f"{there}/x")
        assert answer.body == b"hello"


def test_a_server_that_does_not_answer():
    over = threading.Event()
    with listening(lambda sock: (heard(sock), over.wait(20))) as there:
        pool = ConnectionPool(connect_timeout=0.1)
        error = failure(f"{there}/x", timeout=TimeLimits(answer=0.1), pool=pool)
        over.set()
        assert isinstance(error, TimedOut)


def test_a_server_that_closes_between_two_requests():
    def once(sock: socket.socket) -> None:
        heard(sock)
        sock.sendall(ok(b"hello"))

    with listening(once, once, once) as there:
        found = get(*[f"{there}/{n}" for n in range(3)], concurrency=1)
        assert [one.body for one in found] == [b"hello"] * 3


def test_a_server_that_answers_before_it_has_read_the_request():
    def hasty(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(ok(b"too much", status="413 Too Much"))
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    with listening(hasty) as there:
        (answer,) = get(Request("PUT", f"{there}/x", body=BODY))
        assert (answer.status, answer.body) == (413, b"too much")


def test_a_server_that_speaks_when_nobody_has_asked():
    def chatty(sock: socket.socket) -> None:
        heard(sock)
        sock.sendall(ok(b"good") + ok(b"evil"))
        sock.recv(1)

    with listening(chatty, chatty) as there:
        found = get(f"{there}/1", f"{there}/2", concurrency=1)
        assert [one.body for one in found] == [b"good", b"good"]


def test_a_download_that_breaks_leaves_no_file(tmp_path):
    def half(sock: socket.socket) -> None:
        heard(sock)
        sock.sendall(OK + b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000)

    target = tmp_path / "down"
    with listening(half) as there:
        with pytest.raises(ComponentsFailed):
            run(Fetch(f"{there}/x") | FileWriter(target))
    assert list(tmp_path.iterdir()) == []


def test_many_requests_leave_nothing_behind():
    @component
    async def count(inbox, outbox):
        number = 0
        async for answer in inbox:
            number += answer.status == 200
        return number

    with stdlib_server() as there:
        assert run(Source([f"{there}/{n}" for n in range(100)]) | HTTPClient() | count()) == 100
