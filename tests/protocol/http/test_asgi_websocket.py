"""WebSocket for applications of ASGI: bare ones, frame by frame, and one of Starlette with a real client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import background
from kamaelia.axon import UsageError
from kamaelia.protocol.http import ASGI, HTTPProtocol, HTTPServer
from kamaelia.protocol.http.asgi_websocket import CLOSE, EACH, PING, WAITING
from kamaelia.testing import drive
from tests.protocol.websocket import frames
from tests.protocol.websocket.frames import ACCEPT, DATA, TEXT, answer, close, frame

HELLO = frame(TEXT, b"hello")
WANTED = frames.request(path=b"/chat?room=7")


class Noting:
    """An application that accepts, repeats what it is sent, and notes what it is told."""

    def __init__(self, **accept: Any) -> None:
        self.told: list[Any] = []
        self.accept = accept

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.told.append(scope)
        while True:
            message = await receive()
            self.told.append(message)
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept", **self.accept})
            elif message["type"] == "websocket.receive":
                await send({**message, "type": "websocket.send"})
            else:
                return


def driving(app: Any, path: str = "/*", **options: Any) -> Any:
    return drive(HTTPProtocol({path: ASGI(app, lifespan=False, **options)}, server=None))


def taken(http: Any) -> bytes:
    return b"".join(http.take_all())


def opened(http: Any, wanted: bytes = WANTED) -> None:
    """Shake hands."""
    http.send(wanted)
    head = taken(http)
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n") and head.endswith(b"\r\n\r\n")
    assert b"\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n" in head


def test_what_is_said_goes_both_ways() -> None:
    app = Noting()
    with driving(app) as http:
        opened(http)
        http.send(HELLO + frame(DATA, b"\0\xff") + frame(frames.PING, b"there?"))
        assert taken(http) == answer(frames.PONG, b"there?") + answer(TEXT, b"hello") + answer(
            DATA, b"\0\xff"
        )
        http.send(frame(frames.CLOSE, close(3000, "enough")))
        assert taken(http) == answer(frames.CLOSE, close(3000, "enough"))
        assert (http.outcome, http.error) == ("ended", None)
    scope, *told = app.told
    assert told == [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "hello"},
        {"type": "websocket.receive", "bytes": b"\0\xff"},
        {"type": "websocket.disconnect", "code": 3000, "reason": "enough"},
    ]
    assert "method" not in scope
    assert {name: scope[name] for name in ("type", "scheme", "path", "query_string", "subprotocols")} == {
        "type": "websocket", "scheme": "ws", "path": "/chat", "query_string": b"room=7", "subprotocols": [],
    }  # fmt: skip
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert (b"upgrade", b"websocket") in scope["headers"]


def test_the_pages_of_strangers_and_long_cookies_are_for_the_application_to_see() -> None:
    app = Noting()
    with driving(app) as http:
        opened(http, frames.request(b"Origin: http://elsewhere", b"Cookie: " + b"x" * 9000))
        http.send(HELLO)
        assert taken(http) == answer(TEXT, b"hello")
    headers = dict(app.told[0]["headers"])
    assert (headers[b"origin"], len(headers[b"cookie"])) == (b"http://elsewhere", 9000)


def test_many_messages_that_become_long_in_one_chunk_come_one_after_the_other() -> None:
    """Each has 100,000 bytes, and the machine tells no more at a time than a message may have."""
    sizes: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            sizes.append(len(message["bytes"]))

    message = frame(DATA, frames.deflated(bytes(100_000)), rsv=4)
    with driving(app, message_limit=100_000) as http:
        opened(http, frames.request(frames.DEFLATE + b"; client_no_context_takeover"))
        http.send(message * 5)
        http.advance(0)
        assert sizes == [100_000] * 5


def test_an_application_chooses_how_to_speak_and_what_to_say_with_it() -> None:
    app = Noting(subprotocol="tea", headers=[(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
    with driving(app) as http:
        http.send(frames.request(b"Sec-WebSocket-Protocol: milk, tea"))
        head = taken(http).lower()
        assert b"\r\nsec-websocket-protocol: tea\r\n" in head
        assert b"\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n" in head
        http.leave()
    assert app.told[0]["subprotocols"] == ["milk", "tea"]


def test_how_the_client_speaks_not_it_cannot_be_answered(caplog: pytest.LogCaptureFixture) -> None:
    with driving(Noting(subprotocol="tea")) as http:
        http.send(WANTED)
        assert taken(http).startswith(b"HTTP/1.1 500 ")
    assert "the application accepts as 'tea', which the client speaks not" in caplog.text


async def refuses(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.close"})
    assert (await receive())["type"] == "websocket.disconnect"


async def sends_away(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    headers = [(b"x-why", b"tea")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"are you?"})


@pytest.mark.parametrize(
    ("app", "parts"),
    [
        (refuses, (b"HTTP/1.1 403 Forbidden\r\n", b"Content-Length: 0\r\n")),
        (
            sends_away,
            (b"HTTP/1.1 401 Unauthorized\r\n", b"x-why: tea\r\n", b"4\r\nwho \r\n8\r\nare you?\r\n0\r\n"),
        ),
    ],
)
def test_an_application_may_not_want_to(app: Any, parts: tuple[bytes, ...]) -> None:
    with driving(app) as http:
        for _ in range(2):  # the connection goes on
            http.send(WANTED)
            said = taken(http)
            assert said.startswith(parts[0]) and all(part in said for part in parts)


def test_what_is_no_handshake_is_answered_without_asking() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError(scope)

    with driving(app) as http:
        http.send(WANTED.replace(b"Version: 13", b"Version: 12"))
        assert taken(http).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize(
    ("said", "closes"),
    [
        ({}, close(1000)),
        ({"code": 4001, "reason": "late"}, close(4001, "late")),
        ({"code": None, "reason": None}, close(1000)),
    ],
)
def test_an_application_closes_behind_what_it_has_said(said: Any, closes: bytes) -> None:
    noted = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "bye"})
        await send({"type": "websocket.close", **said})
        noted.append(await receive())

    with driving(app) as http:
        http.send(WANTED)
        assert taken(http).endswith(answer(TEXT, b"bye") + answer(frames.CLOSE, closes))
        http.send(HELLO)  # was on its way, and nobody hears it
        assert not http.ended
        http.send(frame(frames.CLOSE, closes))
        assert (http.outcome, http.error) == ("ended", None)
    assert [one["type"] for one in noted] == ["websocket.disconnect"]


def test_an_application_that_returns_has_closed_and_the_client_has_some_seconds() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})

    with driving(app) as http:
        http.send(WANTED)
        assert taken(http).endswith(answer(frames.CLOSE, close(1000)))
        http.advance(CLOSE - 0.1)
        assert not http.ended
        http.advance(0.2)
        assert (http.outcome, http.error) == ("ended", None)


@pytest.mark.parametrize("accepts", [True, False])
def test_an_application_that_fails(accepts: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if accepts:
            await send({"type": "websocket.accept"})
        raise ValueError("no water")

    with driving(app) as http:
        http.send(WANTED)
        said = taken(http)
        assert (
            said.endswith(answer(frames.CLOSE, close(1011))) if accepts else said.startswith(b"HTTP/1.1 500 ")
        )
    assert "no water" in caplog.text


@pytest.mark.parametrize(
    "first", ["websocket.send", "http.response.start", "websocket.accept twice", "nothing"]
)
def test_what_an_application_must_not_do(first: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if first.endswith("twice"):
            await send({"type": "websocket.accept"})
        if first != "nothing":
            await send({"type": first.split(" ")[0], "text": "x", "status": 200})

    with driving(app) as http:
        http.send(WANTED)
        taken(http)
    assert ("has given no answer" if first == "nothing" else "when that could not be") in caplog.text


def disconnects(http: Any) -> None:
    http.leave()


def breaks(http: Any) -> None:
    http.fail(ConnectionResetError("reset"))


def breaks_a_rule(http: Any) -> None:
    http.send(frame(TEXT, b"\xff"))
    assert taken(http).startswith(answer(frames.CLOSE, close(1007))[:1])


@pytest.mark.parametrize(("how", "code"), [(disconnects, 1006), (breaks, 1006), (breaks_a_rule, 1007)])
def test_an_application_hears_how_its_client_has_gone(
    how: Callable[[Any], None], code: int, caplog: pytest.LogCaptureFixture
) -> None:
    noted: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        noted.append(await receive())
        try:
            await send({"type": "websocket.send", "text": "milk"})
        except OSError as error:
            noted.append(str(error))
            raise

    with driving(app) as http:
        opened(http)
        how(http)
        http.advance(CLOSE + 1)
        assert http.ended
    assert noted[0]["type"] == "websocket.disconnect" and noted[0]["code"] == code
    assert noted[1].startswith("the client has ")
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_a_client_that_says_nothing_is_asked_whether_it_is_there() -> None:
    app = Noting()
    with driving(app) as http:
        opened(http)
        http.advance(PING + 0.1)
        assert taken(http) == answer(frames.PING)
        http.send(frame(frames.PONG))
        http.advance(PING - 0.2)
        assert taken(http) == b""
        http.advance(0.3)
        assert taken(http) == answer(frames.PING)
        http.advance(PING)
        assert app.told[-1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


def test_a_message_that_is_too_long() -> None:
    app = Noting()
    with driving(app, message_limit=100) as http:
        opened(http)
        http.send(frame(TEXT, b"x" * 100))
        assert taken(http) == answer(TEXT, b"x" * 100)
        http.send(frame(TEXT, b"x" * 101))
        assert close(1009) in taken(http)
    assert app.told[-1]["code"] == 1009


def test_an_application_that_takes_nothing_holds_its_client_back() -> None:
    go_on = asyncio.Event()
    noted = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await go_on.wait()
        while (message := await receive())["type"] == "websocket.receive":
            noted.append(message["text"])

    size = 1000
    with driving(app) as http:
        opened(http)
        for _ in range(800):
            http.send(frame(TEXT, b"x" * size))
        waits = http.component.inbox.statistics().waiting
        assert 800 - waits <= WAITING / (size + EACH) + 2
        go_on.set()
        http.advance(1)
        assert len(noted) == 800
        http.leave()


def test_a_slow_client_holds_an_application_back() -> None:
    sent = [0]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "bytes": b"x" * 1000})
            sent[0] += 1

    protocol = HTTPProtocol({"/*": ASGI(app, lifespan=False)}, server=None)
    with drive(protocol, sizes={"outbox": 10}) as http:
        http.send(WANTED)
        http.advance(1)
        assert sent[0] < 20
        http.take()
        http.leave()


def test_a_stop_is_told_to_both() -> None:
    app = Noting()
    with driving(app) as http:
        opened(http)
        http.stop()
        assert taken(http) == answer(frames.CLOSE, close(1001))
        assert (http.outcome, http.error) == ("ended", None)
    assert app.told[-1] == {"type": "websocket.disconnect", "code": 1001, "reason": ""}


def test_other_requests_are_none_of_it() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["type"].encode()})

    with driving(app) as http:
        for wanted in (WANTED.replace(b"websocket", b"tea"), WANTED.replace(b"Connection: Upgrade", b"X: y")):
            http.send(wanted)
            assert taken(http).endswith(b"\r\n\r\nhttp")


def test_an_application_of_starlette() -> None:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    noted = []

    async def chat(websocket: WebSocket) -> None:
        if websocket.query_params.get("who") != "me":
            await websocket.close()
            return
        await websocket.accept(subprotocol="tea")
        async for text in websocket.iter_text():
            await websocket.send_text(f"{websocket.path_params['room']}: {text}")
        noted.append("left")

    app = Starlette(routes=[WebSocketRoute("/chat/{room}", chat)])
    with background(HTTPServer({"/app/*": ASGI(app)}, port=0, quiet=True)) as handle:
        host, port = handle.receive("listening")
        url = f"ws://{host}:{port}/app/chat/kitchen"
        with connect(f"{url}?who=me", subprotocols=["tea"], proxy=None) as client:  # type: ignore[list-item]
            for text in ("hello", "x" * 200_000):
                client.send(text)
                assert client.recv(timeout=20) == f"kitchen: {text}"
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            with connect(url, proxy=None):
                pass
    assert noted == ["left"]


@pytest.mark.one_core
def test_arguments() -> None:
    with pytest.raises(UsageError, match=r"ASGI\(message_limit=\.\.\.\)"):
        ASGI(Noting(), message_limit="x")
