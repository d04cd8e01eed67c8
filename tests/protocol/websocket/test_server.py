"""WebSocket servers over real sockets, with clients who know nothing of us."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, Graphline, Outbox, background, component, run, sleep
from kamaelia.chassis import PublishTo, SubscribeTo
from kamaelia.flow import Map
from kamaelia.net import ServerTLS, peer
from kamaelia.protocol import Echo
from kamaelia.protocol.http import HTTPProtocol, HTTPServer
from kamaelia.protocol.websocket import WebSocket, WebSocketServer, handshake
from kamaelia.testing import drive
from tests.net.conftest import WAIT, read_all

from .frames import CLOSE, DATA, PING, PONG, TEXT, answer, close, frame, request
from .parts import Repeat, Tell, kinds

CERTIFICATE = Path(__file__).parents[2] / "testbed" / "server.pem"

pytestmark = pytest.mark.one_core()


def asked(what: Any) -> Any:
    """Run a client's coroutine."""

    async def limited() -> Any:
        async with asyncio.timeout(WAIT):
            return await what

    return asyncio.run(limited())


def until(check: Any) -> None:
    """Wait until something is so, which another thread is about to do."""
    end = time.monotonic() + WAIT
    while not check():
        assert time.monotonic() < end, "it has not become so"
        time.sleep(0.005)


@contextlib.contextmanager
def knocking(server: Any, *more: bytes) -> Any:
    """A plain socket that has shaken hands."""
    with socket.create_connection(server.address, timeout=WAIT) as sock:
        sock.sendall(request(*more))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        yield sock


# --- the library websockets -------------------------------------------------------------------------------


def test_websockets_talks_with_a_handler_of_bytes(serve):
    from websockets.asyncio.client import connect

    async def talk(url: str) -> Any:
        async with connect(url, proxy=None) as connection:
            await connection.send("text")
            await connection.send(b"bytes")
            await connection.send(["in ", "frag", "ments"])
            await connection.send(bytes(500_000))
            got = [await connection.recv() for _ in range(4)]
            pong = await connection.ping()
            await pong
        return got, connection.close_code

    with serve(Echo) as server:
        got, code = asked(talk(server.url))
        assert got == [b"text", b"bytes", b"in fragments", bytes(500_000)]
        assert code == 1000
        until(lambda: server.messages().open == 0)
        said = server.messages()
        assert (said.opened, said.messages_in, said.messages_out, said.closed) == (1, 4, 4, {1000: 1})


def test_websockets_agrees_on_a_subprotocol_and_shows_its_headers(serve):
    from websockets.asyncio.client import connect

    class Ask(Component):
        outbox = Outbox[str]("what was asked")

        async def main(self) -> None:
            asked = handshake()
            await self.outbox.send(
                f"{asked.request.target} {asked.request.headers['X-Who']} {asked.subprotocol}"
            )
            await self.outbox.send(peer().address[0])

    async def talk(url: str) -> Any:
        headers = {"X-Who": "me"}
        async with connect(
            url + "a?b=c", subprotocols=["new", "old"], additional_headers=headers, proxy=None
        ) as connection:
            return connection.subprotocol, [message async for message in connection], connection.close_code

    with serve(Ask, subprotocols=["old"]) as server:
        assert asked(talk(server.url)) == ("old", ["/a?b=c me old", "127.0.0.1"], 1000)


@pytest.mark.parametrize(("options", "ask", "status"), [
    ({"origins": ["https://good.example"]}, {"origin": "https://evil.example"}, 403),
    ({"origins": ["https://good.example"]}, {}, 403),
    ({}, {"origin": "https://evil.example"}, 403),
    ({"subprotocols": ["chat"]}, {}, 400),
])  # fmt: skip
def test_websockets_is_refused_as_it_should_be(serve, options, ask, status):
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    async def talk(url: str) -> Any:
        with pytest.raises(InvalidStatus) as caught:
            await connect(url, proxy=None, **ask)
        return caught.value.response.status_code

    with serve(Echo, **options) as server:
        assert asked(talk(server.url)) == status
        assert server.messages().refused == 1


def test_websockets_sees_how_a_handler_has_failed(serve, caplog):
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosedError

    async def talk(url: str) -> Any:
        async with connect(url, proxy=None) as connection:
            await connection.send("5")
            with pytest.raises(ConnectionClosedError):
                await connection.recv()
            return connection.close_code

    with serve(Map(lambda text: str(1 / 0))) as server:
        assert asked(talk(server.url)) == 1011
        (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert line.startswith("WebSocketServer/client-1/Map failed and was isolated: ZeroDivisionError")
        assert (server.messages().failed, server.statistics().broken) == (1, 0)


def test_websockets_is_told_that_we_are_going_away(serve):
    from websockets.asyncio.client import connect

    async def talk(server: Any) -> Any:
        async with connect(server.url, proxy=None) as connection:
            await connection.send("one")
            assert await connection.recv() == "one"
            server.handle.stop()
            await connection.wait_closed()
            return connection.close_code

    with serve(Repeat) as server:
        assert asked(talk(server)) == 1001


def test_what_is_said_in_a_room_is_heard_by_all(serve):
    from websockets.asyncio.client import connect

    async def talk(url: str) -> Any:
        async with contextlib.AsyncExitStack() as stack:
            clients = []
            for n in range(5):
                client = await stack.enter_async_context(connect(url, proxy=None))
                clients.append(client)
                await client.send(f"{n} is here")
                for one in clients:
                    assert await one.recv() == f"{n} is here"
        return True

    with serve(PublishTo("room") | SubscribeTo("room")) as server:
        assert asked(talk(server.url))


def test_a_connection_may_be_protected(serve):
    from websockets.asyncio.client import connect

    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    context.check_hostname = False

    async def talk(server: Any) -> Any:
        url = f"wss://127.0.0.1:{server.address[1]}/"
        async with connect(url, ssl=context, proxy=None) as connection:
            await connection.send("hello")
            return await connection.recv()

    with serve(Repeat, tls=ServerTLS(str(CERTIFICATE))) as server:
        assert asked(talk(server)) == "hello"


# --- aiohttp ----------------------------------------------------------------------------------------------


@pytest.mark.needs("module:aiohttp")
def test_aiohttp_talks_with_it(serve):
    import aiohttp

    async def talk(url: str) -> Any:
        async with aiohttp.ClientSession() as session, session.ws_connect(url, compress=15) as connection:
            await connection.send_str("text")
            await connection.send_bytes(b"bytes" * 1000)
            got = [(await connection.receive()).data for _ in range(2)]
            await connection.ping(b"?")
            await connection.close(code=1000)
            return got, connection.close_code

    with serve(Repeat) as server:
        assert asked(talk(server.url)) == (["text", b"bytes" * 1000], 1000)


# --- as a route -------------------------------------------------------------------------------------------


def test_it_is_a_route_beside_pages(serve):
    from urllib.request import urlopen

    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    class Where(Component):
        outbox = Outbox[str]("where")

        async def main(self) -> None:
            asked = handshake().request
            await self.outbox.send(f"{asked.path} {asked.arguments} {peer().address[0]}")
            async for message in self.inbox:
                await self.outbox.send(message)

    chat = WebSocket(Where, origins=[None])
    site = {"/": "<h1>Hello", "/chat/{room}": chat, "/own": WebSocket(Repeat)}

    async def talk(url: str) -> Any:
        async with connect(url + "chat/tea", proxy=None) as connection:
            await connection.send("hello" * 100)
            got = [await connection.recv(), await connection.recv()]
        with pytest.raises(InvalidStatus) as caught:
            await connect(url + "chat/tea", origin="https://evil.example", proxy=None)
        async with connect(
            url + "own", origin=url.replace("ws", "http").rstrip("/"), proxy=None
        ) as connection:
            await connection.send("hello")
            assert await connection.recv() == "hello"
        return got, connection.close_code, caught.value.response.status_code

    with serve(site, kind=HTTPServer) as server:
        http = server.url.replace("ws", "http")
        assert urlopen(http, timeout=WAIT).read() == b"<h1>Hello"
        assert asked(talk(server.url)) == (
            ["/chat/tea {'room': 'tea'} 127.0.0.1", "hello" * 100],
            1000,
            403,
        )
        with socket.create_connection(server.address, timeout=WAIT) as sock:
            sock.sendall(b"GET /chat/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answered = read_all(sock)
        assert answered.startswith(b"HTTP/1.1 426 ")
        assert b"\r\nupgrade: websocket\r\n" in answered.lower()
        until(lambda: chat.messages().open == 0)
        assert (chat.messages().opened, chat.messages().refused) == (1, 2)


def asks(*more: bytes, method: bytes = b"GET", path: bytes = b"/chat", body: bytes = b"") -> bytes:
    return request(*more, path=path).replace(b"GET", method, 1) + body


@pytest.mark.parametrize(("asked_for", "status"), [
    (asks(), 101),
    (asks(b"Cookie: a=" + b"x" * 9000), 101),
    (asks(b"Origin: http://example.org"), 101),
    (asks(path=b"/chat?" + b"x" * 8000), 101),
    (asks(path=b"/chat?" + b"x" * 9000), 414),
    (asks(b"Origin: http://evil.example"), 403),
    (asks(b"Content-Length: 5", body=b"hello"), 400),
    (asks(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"), 400),
    (asks(b"Content-Length: 5", method=b"POST", body=b"hello"), 405),
    (asks(method=b"POST").replace(b"Upgrade: websocket\r\n", b""), 405),
    (b"GET /chat HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    (b"GET /chat HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nno", 400),
])  # fmt: skip
def test_whatever_asks_for_a_route_is_answered_and_nothing_fails(asked_for, status, caplog):
    chat = WebSocket(Repeat)
    again = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with drive(HTTPProtocol({"/": "home", "/chat": chat})) as server:
        server.send(asked_for + (frame(TEXT, b"one") if status == 101 else again))
        got = b"".join(server.take_all())
        assert got.startswith(b"HTTP/1.1 %d " % status)
        if status != 414:  # with which the connection ends
            assert got.endswith(answer(TEXT, b"one") if status == 101 else b"\r\n\r\nhome")
        head = got.partition(b"\r\n\r\n")[0].lower()
        assert (b"\r\nupgrade: websocket" in head) == (b"\r\nconnection: upgrade" in head)
        assert (b"\r\nupgrade: websocket" in head) == (status in (101, 426))
        assert (b"\r\nallow: get" in head) == (status == 405)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    assert chat.messages().refused == (0 if status in (101, 414) else 1)


# --- who does not behave ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "said"), [
    (frame(TEXT, b"x", masked=False), close(1002, "incorrect masking")),
    (frame(3), close(1002, "invalid opcode")),
    (frame(TEXT, b"\xff\xfe"), close(1007, "invalid start byte at position 0")),
    (
        b"\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00mask",
        close(1009, "frame with 4294967296 bytes exceeds limit of 1000 bytes"),
    ),
])  # fmt: skip
def test_who_breaks_a_rule_is_told_which_and_closed(serve, data, said):
    told: list[Any] = []
    with serve(Tell(told), message_limit=1000) as server, knocking(server) as sock:
        sock.sendall(data)
        assert read_all(sock) == answer(CLOSE, said)
        until(lambda: kinds(told) == ["RemoteProtocolError"])


def test_a_client_that_never_closes_is_left(serve):
    with serve(lambda: Map(str.upper), close_timeout=0.2, linger=0.05) as server, knocking(server) as sock:
        sock.sendall(frame(TEXT, b"one"))
        assert sock.recv(100) == answer(TEXT, b"ONE")
        server.handle.stop(grace=5)
        assert read_all(sock) == answer(CLOSE, close(1001))
        sock.settimeout(WAIT)


def test_a_client_that_does_not_read_is_left_by_the_servers_stall_timeout(serve):
    told: list[Any] = []
    with serve(Tell(told), stall_timeout=0.3, compression=False) as server, knocking(server) as sock:
        sock.settimeout(WAIT)
        with pytest.raises(OSError):
            for _ in range(10_000):
                sock.sendall(frame(DATA, bytes(60_000), mask=bytes(4)))
        until(lambda: server.statistics().stalled == 1)
        until(lambda: kinds(told[-1:]) == ["BrokenLink"])  # it was about to send


def test_a_client_that_resets_is_a_failed_source(serve):
    told: list[Any] = []
    with serve(Tell(told)) as server, knocking(server) as sock:
        sock.sendall(frame(TEXT, b"one"))
        assert sock.recv(100) == answer(TEXT, b"one")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
        until(lambda: kinds(told) == ["one", "ConnectionResetError"])
        until(lambda: server.messages().closed == {1006: 1})


def test_a_flood_of_pings_is_answered(serve):
    with serve(Echo) as server, knocking(server) as sock:
        for _ in range(100):
            sock.sendall(frame(PING, b"?") * 100)
        got = b""
        while len(got) < 10_000 * 3:
            got += sock.recv(65536)
        assert got == answer(PONG, b"?") * 10_000


def test_a_silent_client_is_given_up(serve):
    told: list[Any] = []
    with serve(Tell(told), ping_interval=0.1, ping_timeout=0.1) as server, knocking(server) as sock:
        assert read_all(sock) == answer(PING, b"1") + answer(CLOSE, close(1011))
        until(lambda: kinds(told) == ["TimeoutError"])


def test_who_never_asks_is_sent_away(serve):
    with serve(Echo, open_timeout=0.1) as server:
        with socket.create_connection(server.address, timeout=WAIT) as sock:
            assert read_all(sock).startswith(b"HTTP/1.1 408 ")


# --- the part itself ----------------------------------------------------------------------------------------


def test_a_server_says_how_to_try_it(new_loop, capsys):
    with background(WebSocketServer(Echo, 0), loop_factory=new_loop) as handle:
        host, port = handle.receive("listening", timeout=WAIT)
    assert f"Try: python -m websockets ws://{host}:{port}/. Ctrl-C ends." in capsys.readouterr().err


def test_failures_of_handlers_come_out_of_the_server():
    failed: list[Any] = []

    @component
    async def note(inbox, outbox):
        failed.append(await inbox.receive())

    @component
    async def visit(inbox, outbox):
        from websockets.asyncio.client import connect

        host, port = await inbox.receive()
        async with connect(f"ws://{host}:{port}/", proxy=None) as connection:
            await connection.send("5")
            await connection.wait_closed()

    server, noting, visiting = WebSocketServer(Map(lambda text: str(1 / 0)), 0, quiet=True), note(), visit()

    @component
    async def end(inbox, outbox):
        while not failed:
            await sleep(0.01)
        server.system.stop()

    run(Graphline(server.listening >> visiting.inbox, server.failures >> noting.inbox, end()))
    assert failed[0].path == "Graphline/WebSocketServer/client-1/Map"
    assert isinstance(failed[0].error, ZeroDivisionError)


def test_what_the_server_is_told_is_passed_on():
    with pytest.raises(ValueError, match=r"WebSocketServer\(port=...\): give|port=70000"):
        WebSocketServer(Echo, 70000)
    with pytest.raises(TypeError, match="subprotocols='chat'"):
        WebSocketServer(Echo, 0, subprotocols="chat")
    with pytest.raises(ValueError, match="limit"):
        WebSocketServer(Echo, 0, limit=0)
