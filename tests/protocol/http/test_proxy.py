"""A reverse proxy in front of real servers, on the loopback."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from kamaelia import Graphline, Inbox, Outbox, background, component, sleep
from kamaelia.net import TCPClient, TCPServer
from kamaelia.protocol.http import Exchange, Headers, HTTPServer, Response, TimeLimits, Trailers
from kamaelia.protocol.http.messages import Request
from kamaelia.protocol.http.proxy import (
    ReverseProxy,
    Upstream,
    _ByClient,
    _LeastOpen,
    _parsed,
    _RoundRobin,
    _target,
    onward_headers,
    without_connection,
)
from kamaelia.protocol.websocket import WebSocket
from kamaelia.testbed import Network

pure = pytest.mark.one_core

# --- what is passed on: RFC 9110, 7.6 -----------------------------------------------------------------


@pure
@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"Accept": "a", "Connection": "close"}, {"Accept": "a"}),
        ({"Connection": "X-One, keep-alive", "X-One": "1", "X-Two": "2", "Keep-Alive": "5"}, {"X-Two": "2"}),
        ({"TE": "trailers", "Transfer-Encoding": "chunked", "Trailer": "X"}, {"Trailer": "X"}),
        ({"Upgrade": "websocket", "Connection": "upgrade"}, {}),
        ({"Host": "a", "Connection": "host, Via", "Via": "x"}, {"Host": "a"}),
        ({"Proxy-Authorization": "x", "Proxy-Connection": "y", "Authorization": "z"}, {"Authorization": "z"}),
    ],
)
def test_what_is_for_one_connection_stays_behind(given: dict[str, str], left: dict[str, str]) -> None:
    assert without_connection(Headers(given)) == Headers(left)


@pure
def test_who_has_passed_it_on() -> None:
    said = {
        "Host": "shop.example", "X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "Via": "1.0 other",
        "X-Forwarded-Proto": "https", "X-Real-IP": "6.6.6.6", "Content-Length": "4", "Expect": "100-continue",
    }  # fmt: skip
    asked = Request("PUT", "/", Headers(said), peer=("10.0.0.1", 99))
    assert onward_headers(asked, ReverseProxy(["a:1"])).pairs == [
        ("Host", "shop.example"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Host", "shop.example"),
        ("X-Forwarded-Proto", "http"),
        ("Forwarded", 'for=10.0.0.1;proto=http;host="shop.example"'),
        ("Via", "1.0 other, 1.1 kamaelia"),
    ]
    trusting = onward_headers(asked, ReverseProxy(["a:1"], trust=True, via="edge"))
    assert (trusting["X-Forwarded-For"], trusting["X-Forwarded-Proto"]) == ("6.6.6.6, 10.0.0.1", "https")
    assert trusting["Forwarded"] == 'for=6.6.6.6, for=10.0.0.1;proto=http;host="shop.example"'
    assert (trusting["Via"], trusting["X-Real-IP"]) == ("1.0 other, 1.1 edge", "6.6.6.6")


@pure
@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Ssl", "X-Forwarded-Server",
        "X-Forwarded-Whatever", "X_Forwarded_For", "X-Real-IP", "X-Client-IP", "True-Client-IP",
        "CF-Connecting-IP", "Forwarded", "x_real_ip",
    ],
)  # fmt: skip
def test_what_a_client_says_of_itself_is_believed_only_if_somebody_wants_that(name: str) -> None:
    asked = Request("GET", "/", Headers({"Host": "a", name: "6.6.6.6", "X-Forward": "stays"}))
    distrusting, trusting = (onward_headers(asked, ReverseProxy(["a:1"], trust=one)) for one in (False, True))
    assert "6.6.6.6" not in str(distrusting) and distrusting["x-forward"] == "stays"
    assert "6.6.6.6" in trusting[name]


@pure
@pytest.mark.parametrize(
    ("method", "said", "then"),
    [
        ("OPTIONS", "3", "2"), ("TRACE", "1", "0"), ("GET", "3", "3"), ("OPTIONS", "x", "x"),
        ("TRACE", "9" * 6000, "999"), ("OPTIONS", "0" * 6000 + "12", "11"), ("OPTIONS", None, None),
        ("OPTIONS", "-1", "-1"),
    ],
)  # fmt: skip
def test_how_often_a_request_is_passed_on_is_counted_down(method: str, said: Any, then: Any) -> None:
    headers = {"Host": "a"} if said is None else {"Host": "a", "Max-Forwards": said}
    assert (
        onward_headers(Request(method, "/", Headers(headers)), ReverseProxy(["a:1"])).get("max-forwards")
        == then
    )


@pure
def test_who_is_not_known() -> None:
    nobody = onward_headers(Request("GET", "/"), ReverseProxy(["a:1"]))
    assert nobody.pairs == [
        ("X-Forwarded-Proto", "http"), ("Forwarded", "for=unknown;proto=http"), ("Via", "1.1 kamaelia"),
    ]  # fmt: skip
    six = onward_headers(Request("GET", "/", peer=("::1", 9, 0, 0)), ReverseProxy(["a:1"]))
    assert six["Forwarded"] == 'for="[::1]";proto=http'


@pure
@pytest.mark.parametrize(
    ("target", "rest", "strip", "expected"),
    [
        ("/api/users?x=y", "users", True, "/users?x=y"),
        ("/api/users?x=y", "users", False, "/api/users?x=y"),
        ("/api/", "", True, "/"),
        ("/api/a%20b/c%2Fd", "a b/c/d", True, "/a%20b/c%2Fd"),
        ("/a/a/a", "a/a", True, "/a/a"),
        ("/exact", None, True, "/exact"),
        ("http://shop.example/api/users?x", "users", True, "/users?x"),
    ],
)
def test_what_is_asked_of_an_upstream(target: str, rest: str | None, strip: bool, expected: str) -> None:
    asked = Request("GET", target, arguments={} if rest is None else {"rest": rest})
    assert _target(asked, strip=strip) == expected


# --- who is asked ------------------------------------------------------------------------------------


def three() -> list[Upstream]:
    return [Upstream(_parsed(f"10.0.0.{n}:80")) for n in range(3)]


GET = Request("GET", "/")


@pure
def test_one_after_the_other() -> None:
    a, b, c = three()
    order = _RoundRobin()
    assert [order([a, b, c], GET)[0] for _ in range(5)] == [a, b, c, a, b]
    assert order([a, c], GET) == [c, a]
    assert order([a, b, c], GET)[0] is a


@pure
def test_who_has_least_to_do() -> None:
    a, b, c = three()
    a.open, b.open, c.open = 2, 1, 1
    order = _LeastOpen()
    assert [order([a, b, c], GET) for _ in range(3)] == [[b, c, a], [c, b, a], [b, c, a]]


@pure
def test_the_same_for_a_client() -> None:
    upstreams = three()
    order = _ByClient()
    chosen = {}
    for n in range(300):
        asked = Request("GET", "/", peer=(f"10.1.{n}.1", n))
        first, second, _ = order(upstreams, asked)
        assert order(upstreams, Request("GET", "/x", peer=(f"10.1.{n}.1", n + 1)))[0] is first
        assert order([one for one in upstreams if one is not first], asked)[0] is second
        chosen[n] = first
    assert all(60 < list(chosen.values()).count(one) < 140 for one in upstreams)


# --- real servers ------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(*upstreams: Any, **options: Any) -> Iterator[Any]:
    """Run servers, and a proxy before them; gives a client, the proxy and the addresses."""
    with contextlib.ExitStack() as stack:
        addresses = []
        for one in upstreams:
            if isinstance(one, str):
                addresses.append(one)
                continue
            server = one if isinstance(one, TCPServer) else HTTPServer(one, port=0, quiet=True, linger=0.01)
            handle = stack.enter_context(background(server))
            addresses.append("{}:{}".format(*handle.receive("listening")))
        proxy = ReverseProxy(addresses, **options)
        front = HTTPServer({"/*": proxy}, port=0, quiet=True, linger=0.01)
        handle = stack.enter_context(background(front))
        host, port = handle.receive("listening")
        client = stack.enter_context(httpx.Client(base_url=f"http://{host}:{port}", timeout=20))
        yield client, proxy, (host, port)


def tell(asked: Request) -> Response:
    return Response.json(
        {
            "method": asked.method,
            "target": asked.target,
            "headers": dict(asked.headers),
            "body": len(asked.body),
        }
    )


@component
async def shout(inbox: Inbox[bytes], outbox: Outbox[Any]) -> None:
    async for data in inbox:
        await outbox.send(data.upper())
    await outbox.send(Trailers({"X-Digest": "1"}))


def test_requests_go_on_and_answers_come_back() -> None:
    routes = {
        "/tell": tell,
        "/shout": shout,
        "/made": Response(
            b"", 201, Headers([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Via", "1.1 x")])
        ),
        "/nothing": Response(b"", 204),
        "/page": "<h1>tea",
    }
    with serving(routes) as (client, proxy, (host, port)):
        told = client.post("/tell?x=y", content=b"tea", headers={"Connection": "x-one", "X-One": "1"}).json()
        assert (told["method"], told["target"], told["body"]) == ("POST", "/tell?x=y", 3)
        assert told["headers"]["host"] == f"{host}:{port}"
        assert told["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert "x-one" not in told["headers"]
        page = client.get("/page")
        assert (page.text, page.headers["content-length"], page.headers["via"]) == (
            "<h1>tea",
            "7",
            "1.1 kamaelia",
        )
        assert len(page.headers.get_list("date")) == 1
        head = client.head("/page")
        assert (head.content, head.headers["content-length"]) == (b"", "7")
        assert client.get("/nothing").status_code == 204
        made = client.get("/made")
        assert (made.status_code, made.headers.get_list("set-cookie")) == (201, ["a=1", "b=2"])
        assert made.headers["via"] == "1.1 x, 1.1 kamaelia"
        assert client.get("/none").status_code == 404
        assert client.post("/shout", content=b"tea" * 100_000).content == b"TEA" * 100_000
        assert client.post("/shout", content=iter([b"tea", b" and ", b"milk"])).content == b"TEA AND MILK"
        assert (proxy.upstreams[0].open, proxy.upstreams[0].answered, proxy.upstreams[0].failed) == (0, 8, 0)


def test_trailers_come_back_too() -> None:
    with serving({"/": shout}) as (_, _, address):
        with socket.create_connection(address, timeout=20) as peer:
            peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\ntea")
            received = b""
            while data := peer.recv(10_000):
                received += data
    assert received.lower().endswith(b"3\r\ntea\r\n0\r\nx-digest: 1\r\n\r\n")


class TellTrailers:
    """Answers with the body, and the trailers of a request."""

    async def answer(self, exchange: Exchange) -> Response:
        body = await exchange.read_all()
        assert exchange.trailers is not None
        return Response.json([body.decode(), exchange.trailers.pairs])


def test_trailers_of_requests_go_on() -> None:
    asked = (
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\ntea\r\n0\r\nX-Digest: 1\r\nConnection: X-One\r\nX-One: 2\r\n\r\n"
    )
    with serving({"/": TellTrailers()}) as (_, _, address):
        assert exchanged(address, asked).endswith(b'["tea",[["X-Digest","1"]]]')


class Hints:
    """Says what will be needed, ahead of the answer."""

    async def answer(self, exchange: Exchange) -> Response:
        await exchange.inform(
            103, Headers({"Link": "</style.css>; rel=preload", "Connection": "X-One", "X-One": "1"})
        )
        return Response("tea")


def test_what_is_said_ahead_of_an_answer_comes_back_too() -> None:
    with serving({"/": Hints()}) as (_, _, address):
        for upgrade in (b"", b"Connection: upgrade\r\nUpgrade: websocket\r\n"):
            with socket.create_connection(address, timeout=20) as peer:
                peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\n")
                received = b""
                while not received.endswith(b"tea"):
                    received += peer.recv(10_000)
            early, answer, _ = received.split(b"\r\n\r\n")
            assert early == b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload"
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_trailers_that_speak_of_the_message_stay_behind() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntea\r\n0\r\nContent-Length: 9\r\n"
        b"Host: x\r\nConnection: close\r\nTrailer: X\r\nX-Digest: 1\r\n\r\n"
    )
    with serving(raw(answer)) as (_, _, address):
        received = exchanged(address, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert received.endswith(b"3\r\ntea\r\n0\r\nX-Digest: 1\r\n\r\n")


def test_an_answer_comes_back_as_it_comes() -> None:
    go_on = threading.Event()

    @component
    def slowly(inbox: Any, outbox: Any) -> None:
        outbox.send(b"first")
        go_on.wait(20)
        outbox.send(b"second")

    with serving({"/": slowly}) as (client, _, _):
        with client.stream("GET", "/") as response:
            pieces = response.iter_raw()
            assert next(pieces) == b"first"
            go_on.set()
            assert b"".join(pieces) == b"second"


def test_upstreams_take_turns() -> None:
    with serving({"/": "a"}, {"/": "b"}, {"/": "c"}) as (client, _, _):
        assert "".join(client.get("/").text for _ in range(6)) == "abcabc"


def exchanged(address: Any, said: bytes) -> bytes:
    """Say something to a server, and return all that comes back."""
    with socket.create_connection(address, timeout=20) as peer:
        peer.sendall(said)
        received = b""
        while data := peer.recv(10_000):
            received += data
    return received


def test_a_request_that_names_no_host_asks_that_of_the_upstream() -> None:
    with serving({"/": lambda asked: asked.host}) as (_, proxy, address):
        port = int(proxy.upstreams[0].address.rpartition(":")[2])
        assert exchanged(address, b"GET / HTTP/1.0\r\n\r\n").endswith(f"\r\n\r\n127.0.0.1:{port}".encode())
        hostile = b"GET / HTTP/1.1\r\nHost: mine\r\nConnection: host, close\r\n\r\n"
        assert exchanged(address, hostile).endswith(b"\r\n\r\nmine")
        assert (proxy.upstreams[0].failed, proxy.upstreams[0].out_until) == (0, float("-inf"))


def test_a_request_that_is_forwarded_no_more_is_answered_here() -> None:
    with serving({"/": tell}) as (client, proxy, _):
        for method, status in (("OPTIONS", 204), ("TRACE", 501)):
            answer = client.request(method, "/", headers={"Max-Forwards": "0", "Authorization": "secret"})
            assert answer.status_code == status and "secret" not in answer.text
        assert proxy.upstreams[0].answered == 0
        told = client.options("/", headers={"Max-Forwards": "1"}).json()
        assert told["headers"]["max-forwards"] == "0" and proxy.upstreams[0].answered == 1


def free_address() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


def test_one_that_is_not_there_is_left_out_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "kamaelia"):
        with serving(free_address(), {"/": lambda asked: "b"}) as (client, proxy, _):
            assert [client.get("/").text for _ in range(4)] == ["b"] * 4
            assert [(one.answered, one.failed) for one in proxy.upstreams] == [(0, 1), (4, 0)]
            proxy.upstreams[0].out_until = 0.0
            # What may not be done twice is not tried twice, even if it was not done.
            codes = [client.post("/", content=b"x").status_code for _ in range(3)]
            assert sorted(codes) == [200, 200, 502]
    assert len([one for one in caplog.records if "_Forward" in one.message]) == 2


def test_one_that_hangs_up_without_an_answer_is_left_out() -> None:
    @component
    async def hangs_up(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
        await inbox.receive()

    server = TCPServer(hangs_up, port=0, quiet=True, linger=0.01)
    with serving(server, {"/": "b"}) as (client, proxy, _):
        assert [client.get("/").text for _ in range(4)] == ["b"] * 4
        assert [(one.answered, one.failed) for one in proxy.upstreams] == [(0, 1), (4, 0)]


def test_one_that_closes_an_idle_connection_is_not_left_out() -> None:
    @component
    async def once(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
        async for data in inbox:
            if data.endswith(b"y"):
                return
            if data.endswith(b"x"):
                await outbox.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with serving(TCPServer(once, port=0, quiet=True, linger=0.01)) as (client, proxy, _):
        assert [client.post("/", content=one).status_code for one in (b"x", b"y")] == [200, 502]
        assert (proxy.upstreams[0].failed, proxy.upstreams[0].out_until) == (1, float("-inf"))


def test_bodies_go_on_over_connections_that_are_kept() -> None:
    seen = set()

    def note(asked: Request) -> str:
        seen.add(asked.peer)
        return str(len(asked.body))

    with serving({"/": note}) as (client, _, _):
        assert [client.post("/", content=b"x" * n).text for n in range(10)] == [str(n) for n in range(10)]
    assert len(seen) <= 2  # one, unless a second goes by between two of them


def test_none_is_there() -> None:
    with serving(free_address(), free_address()) as (client, proxy, _):
        assert (client.get("/").status_code, client.get("/").status_code) == (502, 502)
        assert sum(one.failed for one in proxy.upstreams) == 3  # when all are left out, one is tried


@component
async def speaks(inbox: Inbox[bytes], outbox: Outbox[bytes], said: bytes) -> None:
    async for _ in inbox:
        await outbox.send(said)
        return


def raw(said: bytes) -> TCPServer:
    return TCPServer(speaks(said), port=0, quiet=True, linger=0.01)


def test_an_upstream_that_breaks_the_rules() -> None:
    for said in (
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nCon",
    ):
        with serving(raw(said)) as (client, proxy, _):
            assert client.get("/").status_code == 502
            assert (proxy.upstreams[0].failed, proxy.upstreams[0].out_until) == (1, float("-inf"))


def test_an_answer_that_breaks_off_breaks_off() -> None:
    for said in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nte",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nte",
    ):
        with serving(raw(said)) as (client, proxy, _):
            with pytest.raises(httpx.TransportError):
                client.get("/")
            assert [(one.answered, one.failed) for one in proxy.upstreams] == [(1, 1)]


def test_an_upstream_that_is_too_slow() -> None:
    @component
    async def silent(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
        async for _ in inbox:
            pass

    server = TCPServer(silent, port=0, quiet=True, linger=0.01)
    with serving(server, {"/": "tea"}, timeout=TimeLimits(total=0.2)) as (client, proxy, _):
        # All would have the same work with it, one after the other; and others may be quick.
        assert client.get("/").status_code == 504
        assert [(one.answered, one.failed) for one in proxy.upstreams] == [(0, 1), (0, 0)]
        assert [client.get("/").status_code for _ in range(3)] == [200, 504, 200]
        assert all(one.out_until == float("-inf") for one in proxy.upstreams)


def test_when_a_client_leaves_its_upstream_hears_of_it() -> None:
    left = threading.Event()

    @component
    async def endless(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
        try:
            while True:
                await outbox.send(b"x" * 1000)
        finally:
            left.set()

    with serving({"/": endless}) as (client, proxy, _):
        with client.stream("GET", "/") as response:
            assert next(response.iter_raw())
        assert left.wait(20)
    assert proxy.upstreams[0].open == 0


def when_nothing_moves(sent: list[int]) -> int:
    """Return how many have been sent when no more are."""
    before = -1
    while before != sent[0]:
        before = sent[0]
        threading.Event().wait(0.2)
    return before


def test_a_slow_client_holds_an_upstream_back() -> None:
    sent = [0]

    @component
    async def endless(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
        while True:
            await outbox.send(b"x" * 100_000)
            sent[0] += 1

    with serving({"/": endless}) as (_, _, address):
        with socket.create_connection(address, timeout=20) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            peer.recv(100)
            assert when_nothing_moves(sent) < 400  # 40 MB: what sockets and boxes on the way hold


# --- other protocols -------------------------------------------------------------------------------------


@component
async def repeat(inbox: Inbox[str | bytes], outbox: Outbox[str | bytes]) -> None:
    async for message in inbox:
        await outbox.send(message)


def test_websocket_goes_through() -> None:
    from websockets.sync.client import connect

    routes = {"/chat": WebSocket(repeat, subprotocols=["tea"]), "/page": "tea"}
    with serving(routes) as (client, proxy, (host, port)):
        url = f"ws://{host}:{port}/chat"
        with connect(url, subprotocols=["milk", "tea"], proxy=None, max_size=None) as talk:  # type: ignore[list-item]
            assert talk.subprotocol == "tea" and talk.response.headers["via"] == "1.1 kamaelia"
            for message in ("hello", b"x" * 500_000, "bye"):
                talk.send(message)
                assert talk.recv(timeout=20) == message
            assert proxy.upstreams[0].open == 1
            assert client.get("/page").text == "tea"  # others are answered meanwhile
        assert talk.close_code == 1000
        assert client.get("/chat").status_code == 426
    assert (proxy.upstreams[0].open, proxy.upstreams[0].failed) == (0, 0)


def test_at_a_stop_both_ends_of_a_tunnel_hear_of_it(caplog: pytest.LogCaptureFixture) -> None:
    from websockets.sync.client import connect

    with background(HTTPServer({"/": WebSocket(repeat)}, port=0, quiet=True)) as behind:
        proxy = ReverseProxy(["{}:{}".format(*behind.receive("listening"))])
        with background(HTTPServer({"/*": proxy}, port=0, quiet=True)) as handle:
            host, port = handle.receive("listening")
            with connect(f"ws://{host}:{port}/", proxy=None) as talk:
                talk.send("tea")
                assert talk.recv(timeout=20) == "tea"
                handle.stop()
                with pytest.raises(ConnectionClosed):
                    talk.recv(timeout=20)
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


def switching(*said: bytes, protocol: bytes = b"websocket", **options: Any) -> TCPServer:
    """Return a server that agrees, and says something then for everything that it hears."""

    @component
    async def switches(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
        answers = list(said)
        await inbox.receive()
        head = b"HTTP/1.1 101 Yes\r\nUpgrade: %b\r\nConnection: upgrade\r\n\r\n" % protocol
        await outbox.send(head + answers.pop(0))
        async for data in inbox:
            await outbox.send(data + answers.pop(0))
        await outbox.send(b"bye")

    return TCPServer(switches, **{"port": 0, "quiet": True, "linger": 0.01, **options})


def test_bytes_pass_both_ways_and_so_do_ends() -> None:
    with serving(switching(b"first", b"!")) as (_, proxy, address):
        with socket.create_connection(address, timeout=20) as peer, peer.makefile("rb") as heard:
            peer.sendall(UPGRADE)
            assert heard.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
            head = b"".join(iter(heard.readline, b"\r\n")).lower()
            assert b"upgrade: websocket\r\n" in head and b"connection: upgrade\r\n" in head
            assert heard.read(5) == b"first"
            peer.sendall(b"tea")
            assert heard.read(4) == b"tea!"
            peer.shutdown(socket.SHUT_WR)
            assert heard.read() == b"bye"
        assert (proxy.upstreams[0].answered, proxy.upstreams[0].failed) == (1, 0)


@pure
def test_a_tunnel_has_no_limits_in_time() -> None:
    heard: list[bytes] = []

    @component
    async def talk(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
        await outbox.send(UPGRADE)
        heard.append(await inbox.receive())
        for _ in range(3):
            await sleep(200)
            await outbox.send(b"tea")
            heard.append(await inbox.receive())

    network = Network()
    proxy = ReverseProxy(["behind:80"], timeout=TimeLimits(answer=1, idle=1, total=2))
    network.host("behind").run(switching(b"", b"!", b"!", b"!", port=80))
    network.host("proxy").run(HTTPServer({"/*": proxy}, 80, None))
    network.host("client").run(
        Graphline((one := talk()).outbox >> (tcp := TCPClient("proxy", 80)).inbox, tcp.outbox >> one.inbox)
    )
    network.link("behind", "proxy", rate="10 Mbit/s", delay="5 ms")
    network.link("proxy", "client", rate="10 Mbit/s", delay="5 ms")
    network.simulate(seconds=700, seed=7)
    assert heard[0].startswith(b"HTTP/1.1 101 ")
    assert heard[-3:] == [b"tea!"] * 3


def test_when_either_side_goes_so_does_the_other() -> None:
    left = threading.Event()

    @component
    async def waits(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
        try:
            await inbox.receive()
            await outbox.send(b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
            async for data in inbox:
                if data == b"go":
                    return
        finally:
            left.set()

    with serving(TCPServer(waits, port=0, quiet=True, linger=0.01)) as (_, proxy, address):
        for how in ("go", "close", "reset"):
            left.clear()
            with socket.create_connection(address, timeout=20) as peer:
                peer.sendall(UPGRADE)
                assert peer.recv(1000).startswith(b"HTTP/1.1 101 ")
                if how == "go":
                    peer.sendall(b"go")
                    assert peer.recv(1000) == b""
                elif how == "reset":
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            assert left.wait(20)
        assert proxy.upstreams[0].out_until == float("-inf")


def test_a_slow_client_holds_the_other_side_of_a_tunnel_back() -> None:
    sent = [0]

    @component
    async def endless(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
        await inbox.receive()
        await outbox.send(b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        while True:
            await outbox.send(b"x" * 100_000)
            sent[0] += 1

    with serving(TCPServer(endless, port=0, quiet=True, linger=0.01)) as (_, _, address):
        with socket.create_connection(address, timeout=20) as peer:
            peer.sendall(UPGRADE)
            peer.recv(100)
            assert when_nothing_moves(sent) < 400  # 40 MB: what sockets and boxes on the way hold


@pytest.mark.parametrize(
    ("changed", "options"),
    [
        ((b"websocket", b"h2c"), {}),  # which would lead past everything that a proxy keeps out
        ((b"websocket", b"websocket"), {"upgrades": ()}),
        ((b"Connection: upgrade", b"Connection: close"), {}),
        ((b"HTTP/1.1", b"HTTP/1.0"), {}),
        ((b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx"), {}),
    ],
)
def test_what_is_asked_as_if_there_were_no_upgrade(changed: tuple[bytes, bytes], options: Any) -> None:
    with serving({"/": tell}, **options) as (_, _, address):
        said = UPGRADE.replace(b"Host: x", b"Host: x\r\nConnection: close").replace(*changed)
        answer = exchanged(address, said)
    assert answer.startswith(b"HTTP/1.1 200 ") and b"upgrade" not in answer


def test_a_server_that_wants_another_protocol_than_was_asked_for_is_not_heard() -> None:
    with serving(switching(b"", protocol=b"tea")) as (_, _, address):
        with socket.create_connection(address, timeout=20) as peer:
            peer.sendall(UPGRADE)
            assert peer.recv(1000).startswith(b"HTTP/1.1 502 ")


def test_no_more_tunnels_than_may() -> None:
    with serving(switching(b""), tunnels=1) as (_, _, address):
        with socket.create_connection(address, timeout=20) as one:
            one.sendall(UPGRADE)
            assert one.recv(1000).startswith(b"HTTP/1.1 101 ")
            with socket.create_connection(address, timeout=20) as another:
                another.sendall(UPGRADE)
                assert another.recv(1000).startswith(b"HTTP/1.1 503 ")


def test_an_upgrade_that_cannot_be_had() -> None:
    with serving(free_address()) as (_, _, address):
        with socket.create_connection(address, timeout=20) as peer:
            peer.sendall(UPGRADE)
            assert peer.recv(1000).startswith(b"HTTP/1.1 502 ")


def test_what_is_behind_the_route_may_be_all_that_is_passed_on() -> None:
    with background(HTTPServer({"/users": lambda asked: asked.target}, port=0, quiet=True)) as behind:
        address = "{}:{}".format(*behind.receive("listening"))
        routes = {"/api/*": ReverseProxy([address], strip=True)}
        with background(HTTPServer(routes, port=0, quiet=True)) as front:
            host, port = front.receive("listening")
            assert httpx.get(f"http://{host}:{port}/api/users?x=y").text == "/users?x=y"


@pure
@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: ReverseProxy("a:1"), TypeError, r"ReverseProxy\('a:1'\): give a list of addresses"),
        (lambda: ReverseProxy([]), TypeError, r"ReverseProxy\(\[\]\): give a list"),
        (lambda: ReverseProxy([7]), TypeError, "ReverseProxy: the address 7: give text"),  # type: ignore[list-item]
        (lambda: ReverseProxy(["a:1/x"]), ValueError, "'a:1/x' is more than 'host:port'"),
        (lambda: ReverseProxy(["http://u:p@a"]), ValueError, "is more than 'host:port'"),
        (lambda: ReverseProxy(["ftp://a"]), ValueError, "only http and https"),
        (lambda: ReverseProxy(["a:99999"]), ValueError, "Port out of range"),
        (lambda: ReverseProxy(["a"], balance="x"), ValueError, "balance='x'.: it is one of 'round-robin'"),  # type: ignore[arg-type]
        (lambda: ReverseProxy(["a"], left_out=0), ValueError, "give the seconds to leave one out"),
        (lambda: ReverseProxy(["a"], per_upstream=0), ValueError, "give how many connections to each"),
        (lambda: ReverseProxy(["a"], tunnels=0), ValueError, "give how many connections of other protocols"),
        (lambda: ReverseProxy(["a"], upgrades="websocket"), TypeError, "give a list such as .'websocket'"),
        (lambda: ReverseProxy(["a"], via="a b"), ValueError, "via='a b'.: give a name of letters"),
    ],
)
def test_arguments(make: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()
