"""Applications of ASGI behind our server: bare ones, and one of Starlette."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from kamaelia import background
from kamaelia.axon import ComponentsFailed, KamaeliaError
from kamaelia.protocol.http import HTTPProtocol, HTTPServer
from kamaelia.protocol.http.asgi import ASGI
from kamaelia.testing import drive

GET = b"GET /a%20b?c=d%20e HTTP/1.1\r\nHost: here\r\nX-More: 1\r\nx-more: 2\r\n\r\n"


def driving(app: Any, path: str = "/*", **options: Any) -> Any:
    return drive(HTTPProtocol({path: ASGI(app, **{"lifespan": False, **options})}, server=None))


def taken(http: Any) -> bytes:
    return b"".join(http.take_all())


def without_date(answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    return (
        b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"Date:"))
        + b"\r\n\r\n"
        + body
    )


async def answer(
    send: Any, *pieces: bytes, status: int = 200, headers: Any = (), trailers: bool = False
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": trailers})
    for number, piece in enumerate(pieces):
        await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces) - 1})


# --- what is asked -----------------------------------------------------------------------------------


def test_what_an_application_is_told() -> None:
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await answer(send, b"")

    with driving(app) as http:
        http.send(GET)
        taken(http)
    assert scopes == [
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/a b",
            "raw_path": b"/a%20b",
            "query_string": b"c=d%20e",
            "root_path": "",
            "headers": [(b"host", b"here"), (b"x-more", b"1"), (b"x-more", b"2")],
            "client": None,
            "server": None,
            "extensions": {"http.response.trailers": {}},
        }
    ]


@pytest.mark.parametrize(
    ("route", "target", "root"),
    [
        ("/*", "/x/y", ""),
        ("/api/*", "/api/x/y", "/api"),
        ("/api/*", "/api/", "/api"),
        ("/api/v1/*", "/api/v1/%C3%A9%20", "/api/v1"),
        ("/api", "/api", ""),
        ("/{who}/*", "/me/x", "/me"),
    ],
)
def test_an_application_knows_where_it_is_mounted(route: str, target: str, root: str) -> None:
    found = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append((scope["path"], scope["root_path"]))
        await answer(send, b"")

    with driving(app, route) as http:
        http.send(f"GET {target} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        assert taken(http).startswith(b"HTTP/1.1 200 ")
    assert found == [(httpx.URL(target).path, root)]


def test_the_body_of_a_request_comes_as_it_comes() -> None:
    messages = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while True:
            messages.append(await receive())
            if not messages[-1]["more_body"]:
                break
        await answer(send, b"")

    with driving(app) as http:
        http.send(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nte")
        assert messages == [{"type": "http.request", "body": b"te", "more_body": True}]
        http.send(b"a!")
        assert messages[1:] == [
            {"type": "http.request", "body": b"a!", "more_body": True},
            {"type": "http.request", "body": b"", "more_body": False},
        ]
        assert taken(http).startswith(b"HTTP/1.1 200 OK")


# --- what is answered --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "given", "expected"),
    [
        ((b"tea",), {}, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntea"),
        ((b"",), {}, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (
            (b"tea", b" and", b"", b" milk"),
            {"headers": [(b"x-more", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]},
            b"HTTP/1.1 200 OK\r\nx-more: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n3\r\ntea\r\n4\r\n and\r\n5\r\n milk\r\n0\r\n\r\n",
        ),
        (
            (b"tea", b"!"),
            {"headers": [(b"Content-Length", b"4"), (b"Connection", b"close")], "status": 404},
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ntea!",
        ),
        ((b"",), {"status": 204}, b"HTTP/1.1 204 No Content\r\n\r\n"),
        ((b"",), {"status": 304}, b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    ],
)
def test_answers(pieces: tuple[bytes, ...], given: dict[str, Any], expected: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, *pieces, **given)

    with driving(app) as http:
        http.send(GET)
        assert without_date(taken(http)) == expected
        http.send(GET)  # the connection goes on
        assert without_date(taken(http)) == expected


def test_head_is_answered_without_the_body() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"tea", b"!")

    async def other(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"", headers=[(b"content-length", b"7")])

    for one, expected in ((app, b"Transfer-Encoding: chunked"), (other, b"Content-Length: 7")):
        with driving(one) as http:
            http.send(GET.replace(b"GET", b"HEAD"))
            assert without_date(taken(http)) == b"HTTP/1.1 200 OK\r\n" + expected + b"\r\n\r\n"


def test_trailers() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"tea", trailers=True)
        more = {"type": "http.response.trailers", "more_trailers": True}
        await send({**more, "headers": [(b"x-one", b"1")]})
        await send({"type": "http.response.trailers", "headers": [(b"x-two", b"2")]})

    with driving(app) as http:
        http.send(GET)
        assert taken(http).endswith(b"3\r\ntea\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n")


def test_a_slow_client_holds_an_application_back() -> None:
    sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        for number in range(10):
            await send({"type": "http.response.body", "body": b"x" * 10, "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body"})

    with drive(HTTPProtocol({"/": ASGI(app, lifespan=False)}), sizes={"outbox": 2}) as http:
        http.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert len(sent) == 1
        http.take()
        http.take()
        assert 2 <= len(sent) < 5
        http.take_all()
        assert len(sent) == 10


# --- what goes wrong ---------------------------------------------------------------------------------


async def fails(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("no tea")


async def fails_later(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"tea", b"", b"x")
    raise ValueError("no more tea")


async def fails_in_the_body(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"tea", "more_body": True})
    raise ValueError("no milk")


async def says_nothing(scope: Any, receive: Any, send: Any) -> None:
    pass


async def says_half(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"tea", "more_body": True})


async def says_too_much(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"tea", b"!", headers=[(b"content-length", b"3")])


async def says_it_wrongly(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.body", "body": b"tea"})


async def says_nonsense(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"", headers=[(b"x y", b"1")])


@pytest.mark.parametrize(
    ("app", "status", "text", "breaks"),
    [
        (fails, b"500", "no tea", False),
        (fails_later, b"200", "no more tea", False),
        (fails_in_the_body, b"200", "no milk", True),
        (says_nothing, b"500", "the application has returned, and has given no answer", False),
        (says_half, b"200", "the application has returned, and has given part of an answer", True),
        (says_too_much, b"200", "the body is longer than its Content-Length", True),
        (
            says_it_wrongly,
            b"500",
            "the application has sent 'http.response.body' when that could not be",
            False,
        ),
        (says_nonsense, b"500", "'x y' is no name of a header", False),
    ],
)
def test_an_application_that_fails(
    app: Any, status: bytes, text: str, breaks: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with driving(app) as http, caplog.at_level(logging.ERROR, "kamaelia"):
        http.send(GET)
        assert taken(http).startswith(b"HTTP/1.1 " + status)
        assert http.state("outbox") == ("failed" if breaks else "open")
        assert text in caplog.text
        if breaks:
            _ = http.error


def test_an_application_hears_that_its_client_has_gone(caplog: pytest.LogCaptureFixture) -> None:
    noted: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"tea", "more_body": True})
        noted.append((await receive())["type"])
        noted.append((await receive())["type"])
        try:
            await send({"type": "http.response.body", "body": b"milk"})
        except OSError as error:
            noted.append(str(error))
            raise

    with driving(app) as http:
        http.send(GET)
        assert noted == ["http.request"]
        http.leave()
        assert noted == ["http.request", "http.disconnect", "the client has gone"]
        assert (http.outcome, http.error) == ("ended", None)
    assert not caplog.records  # nobody has failed


def test_an_application_that_streams_and_listens_in_tasks_hears_it_too() -> None:
    noted: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def listen() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            noted.append("gone")
            raise ConnectionError

        async def stream() -> None:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"tea", "more_body": True})
            await asyncio.sleep(10_000)

        with contextlib.suppress(BaseExceptionGroup):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(listen())
                tasks.create_task(stream())

    with driving(app) as http:
        http.send(GET)
        assert taken(http).endswith(b"3\r\ntea\r\n")
        assert noted == []
        http.leave()
        assert noted == ["gone"]
        assert (http.outcome, http.error) == ("ended", None)


def test_when_it_is_answered_there_is_nothing_more_to_receive() -> None:
    noted = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await answer(send, b"tea")
        noted.append(await receive())
        with pytest.raises(RuntimeError, match=r"has sent 'http\.response\.body' when that could not be"):
            await send({"type": "http.response.body"})

    with driving(app) as http:
        http.send(GET)
        assert noted == [{"type": "http.disconnect"}]


def test_who_listened_to_one_request_says_nothing_to_the_next_one() -> None:
    noted: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["path"] == "/first":
            listening = asyncio.ensure_future(receive())
            await asyncio.sleep(1)
            await answer(send, b"tea")
            listening.cancel()  # before it has taken notice
            return
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"tea", "more_body": True})
        noted.append((await receive())["type"])

    with driving(app) as http:
        http.send(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
        http.advance(2)
        assert taken(http).endswith(b"tea")
        http.send(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        http.advance(2)
        assert taken(http).endswith(b"3\r\ntea\r\n")
        assert noted == []
        http.leave()
        assert noted == ["http.disconnect"]


@pytest.mark.parametrize("leaves", [False, True])
def test_several_tasks_may_wait_for_the_end(leaves: bool) -> None:
    noted: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def listen(name: str) -> None:
            noted.append(f"{name} {(await receive())['type']}")

        await receive()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen("first"))
            tasks.create_task(listen("second"))
            await asyncio.sleep(1)
            if not leaves:
                await answer(send, b"tea")

    with driving(app) as http:
        http.send(GET)
        if leaves:
            http.leave()
        http.advance(2)
        assert noted == ["first http.disconnect", "second http.disconnect"]
        assert http.error is None


# --- lifespans ---------------------------------------------------------------------------------------


class Noting:
    """An application that notes what it is told."""

    def __init__(self) -> None:
        self.noted: list[Any] = []
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["pot"] = "full"
            for kind in ("startup", "shutdown"):
                message = await receive()
                self.noted.append(message["type"])
                await send({"type": f"lifespan.{kind}.complete"})
            return
        self.noted.append((scope["path"], scope["state"]))
        if scope["path"] == "/slow":
            await self.go_on.wait()
        await answer(send, b"tea")


def test_an_application_is_told_when_it_begins_and_ends() -> None:
    app = Noting()
    with driving(app, lifespan=True) as http:
        assert app.noted == []
        http.send(GET)
        assert taken(http).endswith(b"tea")
        assert app.noted == ["lifespan.startup", ("/a b", {"pot": "full"})]
        http.send(GET.replace(b"/a", b"/slow").replace(b"/slow%20b?c=d%20e", b"/slow"))
        http.stop()
        assert len(app.noted) == 3
        app.go_on.set()
        http.advance(0)
        assert taken(http).endswith(b"tea")
        assert app.noted[3:] == ["lifespan.shutdown"]
        assert http.outcome == "ended"


def test_each_system_has_a_lifespan_of_its_own() -> None:
    app = Noting()
    component = HTTPProtocol({"/*": ASGI(app)})
    for pattern in (component, HTTPProtocol(component.site)):
        with drive(pattern) as http:
            http.send(GET)
            taken(http)
    assert [one for one in app.noted if isinstance(one, str)] == ["lifespan.startup", "lifespan.shutdown"] * 2


def test_the_state_of_one_request_is_none_of_the_next_one() -> None:
    states = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        states.append(dict(scope["state"]))
        scope["state"]["mine"] = 1
        await answer(send, b"")

    with driving(app, lifespan=True) as http:
        http.send(GET, GET)
    assert states == [{}, {}]


def test_an_application_that_knows_of_no_lifespan_is_left_alone_with_it() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await answer(send, b"tea")

    with driving(app, lifespan=True) as http:
        http.send(GET)
        assert taken(http).endswith(b"tea")


def test_an_application_that_cannot_begin_ends_the_system() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no water"})

    with driving(app, lifespan=True) as http:
        http.send(GET)
        assert taken(http).startswith(b"HTTP/1.1 500")
        assert http.ended
        http._noticed = True
        failures = http._running.root.failures
        assert [str(one) for one in failures] == ["Lifespan: the application has not begun: no water"]


def test_an_application_that_ends_badly_is_a_failure() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.failed", "message": "still hot"})
            return
        await answer(send, b"tea")

    with pytest.raises(ComponentsFailed) as raised:
        with background(HTTPServer({"/*": ASGI(app)}, port=0, quiet=True)) as server:
            httpx.get("http://{}:{}/".format(*server.receive("listening")))
    assert isinstance(raised.value.exceptions[0], KamaeliaError)
    assert "the application has not ended well: still hot" in str(raised.value.exceptions[0])


# --- a real application behind a real server ---------------------------------------------------------


def starlette_app(noted: list[str]) -> Any:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Mount, Route

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        noted.append("begin")
        yield {"pot": "full"}
        noted.append("end")

    async def tell(request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "url": str(request.url),
                "client": request.client.host,
                "pot": request.state.pot,
                "who": request.path_params,
            }
        )

    async def upload(request: Request) -> PlainTextResponse:
        size = 0
        async for piece in request.stream():
            size += len(piece)
        return PlainTextResponse(str(size), background=BackgroundTask(noted.append, "afterwards"))

    async def count() -> AsyncIterator[bytes]:
        try:
            for number in range(1_000_000):
                yield b"%d\n" % number
                await asyncio.sleep(0.001)
        finally:
            noted.append("left")

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(count(), media_type="text/plain")

    def blocking(request: Request) -> PlainTextResponse:
        return PlainTextResponse("from a thread")

    routes = [
        Route("/tell/{name}", tell),
        Route("/upload", upload, methods=["POST"]),
        Route("/stream", stream),
    ]
    return Starlette(routes=[*routes, Mount("/sub", routes=[Route("/thread", blocking)])], lifespan=lifespan)


def test_an_application_of_starlette() -> None:
    noted: list[str] = []
    server = HTTPServer({"/": "ours", "/app/*": ASGI(starlette_app(noted))}, port=0, quiet=True)
    with background(server) as handle:
        host, port = handle.receive("listening")
        with httpx.Client(base_url=f"http://{host}:{port}") as client:
            assert client.get("/").text == "ours"
            assert client.get("/app/tell/me?x=y").json() == {
                "url": f"http://{host}:{port}/app/tell/me?x=y", "client": "127.0.0.1", "pot": "full",
                "who": {"name": "me"},
            }  # fmt: skip
            assert client.post("/app/upload", content=b"x" * 300_000).text == "300000"
            assert client.get("/app/sub/thread").text == "from a thread"
            assert client.get("/app/none").status_code == 404
            assert noted == ["begin", "afterwards"]
            with client.stream("GET", "/app/stream") as response:
                lines = response.iter_lines()
                assert [next(lines) for _ in range(3)] == ["0", "1", "2"]
        # The client has left, and the application comes to know of it.
        with socket.create_connection((host, port)) as other:
            other.sendall(b"GET /app/stream HTTP/1.1\r\nHost: x\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 200 OK")
    assert sorted(noted[2:]) == ["end", "left", "left"]


def test_what_is_no_application() -> None:
    with pytest.raises(TypeError, match=r"ASGI\('app'\): give an application: scope, receive, send"):
        ASGI("app")  # type: ignore[arg-type]
