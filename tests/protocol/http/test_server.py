"""The server on real sockets, asked by strangers: curl, Python's http.client, and plain sockets."""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import socket
import subprocess
import threading
import time
from typing import Any

import pytest

from kamaelia import background, component, run, sleep
from kamaelia.flow import Collect, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.protocol import Echo
from kamaelia.protocol.http import HTTPProtocol, HTTPServer, Limits, Response, Trailers, request
from tests.net.conftest import WAIT, read_all, read_to_reset

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@component
async def digest(inbox: Any, outbox: Any) -> None:
    total = hashlib.sha256()
    async for data in inbox:
        total.update(data)
    await outbox.send(total.hexdigest())


@component
async def ticks(inbox: Any, outbox: Any) -> None:
    await outbox.send(Response(b"", type="text/event-stream"))
    for n in range(int(request().query["n"])):
        await outbox.send(f"data: {n}\n\n")
        await sleep(0.001)
    await outbox.send(Trailers({"X-Count": request().query["n"]}))


def fail(request: Any) -> str:
    raise ValueError("mine")


ROUTES = {
    "/": "<h1>Hello",
    "/echo": Echo,
    "/digest": digest,
    "/ticks": ticks,
    "/say/{word}": lambda request: {"word": request.arguments["word"], "query": request.query},
    "/body": lambda request: Response(request.body, type="application/octet-stream"),
    "/fail": fail,
    "/who": lambda request: f"{request.peer[0]} {request.scheme}",
}


def curl(server: Any, path: str, *arguments: str, data: bytes | None = None) -> bytes:
    host, port = server.address
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "20", *arguments, f"http://{host}:{port}{path}"]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=WAIT).stdout


@pytest.mark.needs("program:curl")
def test_curl_asks(serve: Any) -> None:
    big = bytes(range(256)) * 20_000
    status = ("-o", "/dev/null", "-w", "%{http_code}")
    with serve(ROUTES) as server:
        assert curl(server, "/") == b"<h1>Hello"
        assert json.loads(curl(server, "/say/a%20b?c=d")) == {"word": "a b", "query": {"c": "d"}}
        assert curl(server, "/who") == b"127.0.0.1 http"
        head = curl(server, "/", "-I").decode()
        assert head.startswith("HTTP/1.1 200 OK\r\n")
        assert "Content-Length: 9\r\n" in head
        assert curl(server, "/none", *status) == b"404"
        assert curl(server, "/fail", *status) == b"500"
        assert curl(server, "/", "-X", "DELETE", *status) == b"405"
        # Uploads: counted with "Expect: 100-continue", and chunked from a pipe.
        wanted = hashlib.sha256(big).hexdigest().encode()
        assert curl(server, "/digest", "--data-binary", "@-", data=big) == wanted
        assert curl(server, "/digest", "-T", "-", data=big) == wanted
        assert curl(server, "/echo", "-T", "-", data=big) == big
        assert curl(server, "/body", "--data-binary", "@-", data=big[:100_000]) == big[:100_000]
        assert curl(server, "/body", "--data-binary", "@-", *status, data=big) == b"413"
        told = curl(server, "/ticks?n=3", "-i")
        assert told.endswith(b"\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\nX-Count: 3\r\n")
        assert curl(server, "/", "-0") == b"<h1>Hello"
        statistics = server.requests()
    assert (statistics.blamed, statistics.failed, statistics.failures) == (3, 1, 1)
    assert statistics.refused == {413: 1}
    assert statistics.answered == statistics.succeeded + 4


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_http_client_asks_again_and_again_over_one_connection(serve: Any, parser: str) -> None:
    with serve(ROUTES, parser=parser) as server:
        connection = http.client.HTTPConnection(*server.address, timeout=WAIT)
        for n in range(20):
            connection.request("POST", "/body", body=b"x" * n)
            assert connection.getresponse().read() == b"x" * n
            connection.request("PUT", "/echo", body=iter([b"ab", b"c" * n]), encode_chunked=True)
            assert connection.getresponse().read() == b"ab" + b"c" * n
            connection.request("HEAD", "/")
            answer = connection.getresponse()
            assert (answer.status, answer.length, answer.read()) == (200, 0, b"")
        connection.close()
        assert server.requests().succeeded == 60
        assert server.statistics().accepted == 1


def test_pipelined_requests_are_answered_in_their_order(serve: Any, connect: Any) -> None:
    async def slow(request: Any) -> str:
        await sleep(0.02)
        return "slow"

    with serve({"/slow": slow, "/": "quick"}) as server:
        sock = connect(server)
        sock.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + GET * 2)
        sock.shutdown(socket.SHUT_WR)  # and still all are answered
        bodies = [one.rpartition(b"\r\n\r\n")[2] for one in read_all(sock).split(b"HTTP/1.1 200 OK")[1:]]
        assert bodies == [b"slow", b"quick", b"quick"]


def test_a_flood_of_requests_that_nobody_reads_the_answers_of(serve: Any, connect: Any) -> None:
    asked = 0

    def count(request: Any) -> bytes:
        nonlocal asked
        asked += 1
        return bytes(10_000)

    with serve({"/": count}) as server:
        sock = connect(server)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                sock.sendall(GET * 100)
        assert asked < 3000  # what the operating system's buffers and ours hold
        other = connect(server)
        other.sendall(GET)
        assert other.recv(100).startswith(b"HTTP/1.1 200")
        sock.close()  # or it would use up the grace of the stop


def test_a_client_that_goes_in_mid_body(serve: Any, connect: Any) -> None:
    ended = threading.Event()

    @component
    async def watch(inbox: Any, outbox: Any) -> None:
        try:
            async for _ in inbox:
                pass
        finally:
            ended.set()

    with serve({"/": watch}) as server:
        sock = connect(server)
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
        assert ended.wait(WAIT)


def test_a_client_that_goes_while_it_is_answered(serve: Any, connect: Any) -> None:
    ended = threading.Event()

    @component
    async def endless(inbox: Any, outbox: Any) -> None:
        try:
            while True:
                await outbox.send(bytes(1000))
        finally:
            ended.set()

    with serve({"/": endless}) as server:
        sock = connect(server)
        sock.sendall(GET)
        assert len(sock.recv(5000)) > 0
        sock.close()
        assert ended.wait(WAIT)


def test_an_answer_that_breaks_is_a_reset(serve: Any, connect: Any) -> None:
    @component
    async def half(inbox: Any, outbox: Any) -> None:
        await outbox.send(b"half")
        raise ValueError("broken")

    with serve({"/": half}) as server:
        sock = connect(server)
        sock.sendall(GET)
        assert read_to_reset(sock).endswith(b"4\r\nhalf\r\n")
        other = connect(server)
        other.sendall(GET)
        assert read_to_reset(other).endswith(b"4\r\nhalf\r\n")
        assert server.requests().failures == 2


def test_huge_and_slow_heads(serve: Any, connect: Any) -> None:
    with serve({"/": "x"}, limits=Limits(header_timeout=0.1, keep_alive_timeout=0.2)) as server:
        sock = connect(server)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000)
        assert b"431 Request Header Fields Too Large" in read_all(sock)
        sock = connect(server)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert b"408 Request Timeout" in read_all(sock)
        sock = connect(server)
        sock.sendall(GET)
        assert read_all(sock).endswith(b"\r\n\r\nx")
        assert server.requests().refused == {431: 1, 408: 1}


def test_a_stop_under_load_drops_no_request(new_loop: Any) -> None:
    """Whatever was asked before the end of a connection was seen is answered, or was never read."""

    async def work(request: Any) -> str:
        await sleep(0.002)
        return "done"

    server = HTTPServer({"/": work}, port=0, quiet=True)
    failures: list[str] = []
    answered = [0] * 8

    def ask(number: int, address: Any) -> None:
        sock = socket.create_connection(address, timeout=WAIT)
        with sock:
            while True:
                try:
                    sock.sendall(GET)
                    answer = sock.recv(10_000)
                except ConnectionError:
                    return  # it had ended before this was read
                if not answer:
                    return
                if not answer.endswith(b"\r\n\r\ndone"):
                    failures.append(f"{answer!r}")
                    return
                answered[number] += 1
                if b"Connection: close" in answer:
                    return

    with background(server, loop_factory=new_loop) as handle:
        address = handle.receive("listening", timeout=WAIT)
        threads = [threading.Thread(target=ask, args=(number, address)) for number in range(8)]
        for thread in threads:
            thread.start()
        while min(answered) < 5:
            time.sleep(0.001)  # a real wait: for threads, on real sockets
        handle.stop()
    for thread in threads:
        thread.join(WAIT)
    assert failures == []
    assert server.requests().answered == sum(answered)


def test_log_and_announcement(caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    server = HTTPServer({"/": "x"}, port=0)
    with caplog.at_level(logging.INFO, logger="kamaelia"), background(server) as handle:
        host, port = handle.receive("listening", timeout=WAIT)
        sock = socket.create_connection((host, port), timeout=WAIT)
        with sock:
            sock.sendall(GET)
            sock.recv(1000)
            own = sock.getsockname()
    said = capsys.readouterr().err
    assert f"HTTPServer listens on 127.0.0.1:{port}. Try: curl http://127.0.0.1:{port}/. Ctrl-C ends." in said
    lines = [record.getMessage() for record in caplog.records]
    assert f"HTTPServer/client-1: 127.0.0.1:{own[1]} GET '/' 200" in lines


def test_a_tcp_server_will_do(new_loop: Any) -> None:
    with background(TCPServer(HTTPProtocol({"/": "x"}), port=0, quiet=True), loop_factory=new_loop) as handle:
        address = handle.receive("listening", timeout=WAIT)
        asked = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = b"".join(run(Source([asked]) | TCPClient(*address) | Collect()))
    assert answer.endswith(b"\r\n\r\nx")
