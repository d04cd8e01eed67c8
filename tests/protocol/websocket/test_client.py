"""A WebSocket client, with servers who know nothing of us."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.utils import accept_key

from kamaelia import Pipeline, background, component, run, sleep
from kamaelia.axon import ComponentsFailed, LinkError, RemoteProtocolError
from kamaelia.flow import Interval, Lines, Map, Source, Take
from kamaelia.net import CannotConnect, ConnectionLost, Reconnect, TCPServer
from kamaelia.protocol.websocket import HandshakeRefused, WebSocketClient
from tests.net.conftest import WAIT

from .frames import ACCEPT, ACCEPTED, CLOSE, TEXT, answer, close
from .parts import Repeat, gather

pytestmark = pytest.mark.one_core()


@contextlib.contextmanager
def strangers(handler: Any, **options: Any) -> Iterator[str]:
    """Run a server of the library websockets; yields its address."""
    from websockets.asyncio.server import serve

    ready: Any = threading.Event()
    found: dict[str, Any] = {}

    async def main() -> None:
        found["loop"], found["stop"] = asyncio.get_running_loop(), asyncio.Event()
        async with serve(handler, "127.0.0.1", 0, **options) as server:
            found["port"] = server.sockets[0].getsockname()[1]
            ready.set()
            await found["stop"].wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(WAIT)
    try:
        yield f"ws://127.0.0.1:{found['port']}"
    finally:
        found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join(WAIT)


async def echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message)


@component
async def ask(inbox: Any, outbox: Any, questions: Any = ()) -> Any:
    """Ask each question when the one before has been answered; return the answers."""
    answers = []
    for question in questions:
        await outbox.send(question)
        answers.append(await inbox.receive())
    return answers


def talk(url: str, *questions: Any, new_loop: Any = None, **options: Any) -> Any:
    """Ask a server questions, and return its answers."""
    from kamaelia import Graphline

    asking, client = ask(questions), WebSocketClient(url, **options)
    whole = Graphline(asking.outbox >> client.inbox, client.outbox >> asking.inbox)
    run(whole, loop_factory=new_loop)
    return asking.result()


def failure(system: Any) -> Exception:
    """Run what fails, and return its only failure."""
    with pytest.raises(ComponentsFailed) as caught:
        run(system)
    (error,) = caught.value.exceptions
    return error


def test_it_talks_with_websockets(new_loop):
    with strangers(echo) as url:
        questions = ["text", b"bytes", "é" * 1000, bytes(500_000), ""]
        assert talk(url, *questions, new_loop=new_loop) == questions


def test_it_takes_everything_as_bytes_or_only_text_if_asked_to():
    with strangers(echo) as url:
        assert talk(url, "text", b"bytes", messages=bytes) == [b"text", b"bytes"]
        assert talk(url, "text", messages=str) == ["text"]
        assert talk(url, b"bytes", text=True) == ["bytes"]
        error = failure(Source([b"bytes"], then="stay") | WebSocketClient(url, messages=str) | gather())
        assert isinstance(error, RemoteProtocolError)
        assert "bytes have come, where text is wanted" in str(error)


def test_what_comes_out_is_checked_when_it_is_linked():
    assert isinstance(WebSocketClient("ws://x", messages=bytes) | Lines(), Pipeline)
    with pytest.raises(LinkError, match="bytes"):
        WebSocketClient("ws://x", messages=str) | Lines()
    with pytest.raises(LinkError):
        WebSocketClient("ws://x") | Lines()


def test_it_asks_for_a_path_with_headers_and_a_subprotocol():
    seen: dict[str, Any] = {}

    async def note(connection: Any) -> None:
        request = connection.request
        seen.update(path=request.path, headers=dict(request.headers), subprotocol=connection.subprotocol)

    with strangers(note, subprotocols=["chat"]) as url:
        host = url.removeprefix("ws://")
        client = WebSocketClient(
            f"ws://me:secret@{host}/a%20b?c=d",
            headers={"X-Who": "me"},
            subprotocols=["new", "chat"],
            origin="https://example.org",
        )
        assert run(client | gather()) == []
    assert (seen["path"], seen["subprotocol"]) == ("/a%20b?c=d", "chat")
    headers = {name.lower(): value for name, value in seen["headers"].items()}
    assert headers["x-who"] == "me"
    assert headers["origin"] == "https://example.org"
    assert headers["authorization"] == "Basic bWU6c2VjcmV0"
    assert headers["host"] == host


def test_who_only_listens_stays_until_the_server_closes():
    async def count(connection: Any) -> None:
        for n in range(5):
            await connection.send(str(n))
            await asyncio.sleep(0.01)

    with strangers(count) as url:
        assert run(WebSocketClient(url) | gather()) == ["0", "1", "2", "3", "4"]


def test_it_closes_when_nobody_reads_what_comes():
    codes = []

    async def count(connection: Any) -> None:
        await connection.send("one")
        await connection.wait_closed()
        codes.append(connection.close_code)

    with strangers(count) as url:
        assert run(WebSocketClient(url) | Take(1) | gather()) == ["one"]
    assert codes == [1000]


def test_the_end_of_the_inbox_closes_and_what_our_server_has_to_say_still_comes(serve):
    with serve(Repeat) as server:
        messages = [str(n) for n in range(300)]
        assert run(Source(messages) | WebSocketClient(server.url) | gather()) == messages


@pytest.mark.parametrize(("code", "why"), [
    (1011, "the peer has closed with code 1011: 'broken'"),
    (4000, "the peer has closed with code 4000: 'broken'"),
])  # fmt: skip
def test_a_server_that_closes_with_an_error_is_a_failure(code, why):
    async def bad(connection: Any) -> None:
        await connection.send("one")
        await connection.close(code, "broken")

    with strangers(bad) as url:
        error = failure(WebSocketClient(url) | gather())
    assert isinstance(error, ConnectionLost)
    assert why in str(error)


def test_a_server_that_breaks_off_when_all_was_said_harms_nobody(caplog):
    @component
    async def rude(inbox: Any, outbox: Any) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await inbox.receive()
        (key,) = (line[19:] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: "))
        await outbox.send(ACCEPTED.replace(ACCEPT, accept_key(key.decode()).encode()))
        await outbox.send(answer(TEXT, b"one") + answer(CLOSE, close(1000)))
        raise OSError("rude")

    with background(TCPServer(rude, port=0, quiet=True)) as server:
        host, port = server.receive("listening", timeout=WAIT)
        assert run(WebSocketClient(f"ws://{host}:{port}") | gather()) == ["one"]


def test_a_server_that_breaks_off_is_a_failure():
    async def bad(connection: Any) -> None:
        await connection.send("one")
        connection.transport.abort()

    with strangers(bad) as url:
        error = failure(WebSocketClient(url) | gather())
    assert isinstance(error, ConnectionLost)


def test_a_server_that_does_not_want_us_says_so():
    def refuse(connection: Any, request: Any) -> Any:
        return connection.respond(404, "nothing here\n")

    with strangers(echo, process_request=refuse) as url:
        error = failure(Source(["one"]) | WebSocketClient(url) | gather())
    assert isinstance(error, HandshakeRefused)
    assert error.status == 404
    assert "does not speak WebSocket with us: server rejected WebSocket connection: HTTP 404" in str(error)


def test_a_server_that_is_not_there_says_so():
    error = failure(WebSocketClient("ws://127.0.0.1:9") | gather())
    assert isinstance(error, CannotConnect)
    assert "nothing listens on 127.0.0.1:9" in str(error)


def test_it_connects_again_and_goes_on_with_what_waits(new_loop):
    came: list[Any] = []

    async def once(connection: Any) -> None:
        came.append(await connection.recv())
        await connection.close(1001)

    @component
    async def patient(inbox: Any, outbox: Any) -> None:
        for number in range(3):
            await outbox.send(str(number))
            while sum(client.statistics().closed.values()) <= number:
                await sleep(0.005)

    with strangers(once) as url:
        client = WebSocketClient(url, reconnect=Reconnect(initial=0.01, limit=0.01))
        run(patient() | client, loop_factory=new_loop)
    assert came == ["0", "1", "2"]
    said = client.statistics()
    assert (said.opened, said.messages_out, said.closed[1001]) == (3, 3, 3)


@pytest.mark.parametrize(("trouble", "again"), [
    *((status, True) for status in (408, 425, 429, 500, 503)),
    *((status, False) for status in (301, 400, 401, 403, 404, 426)),
    (b"\x83\x00", True),  # a frame of no kind
    (answer(TEXT, b"\xff"), True),
    (answer(TEXT, b"x" * 2000), True),  # above the limit
    (answer(CLOSE, close(1011)), True),
    (b"", True),  # nothing, not even a close
])  # fmt: skip
def test_it_connects_again_after_whatever_may_be_better_the_next_time(trouble, again):
    visits = 0

    def meet(connection: Any, request: Any) -> Any:
        nonlocal visits
        visits += 1
        refuses = visits == 1 and isinstance(trouble, int)
        return connection.respond(trouble, "no\n") if refuses else None

    async def handler(connection: Any) -> None:
        if visits > 1:
            await echo(connection)
        elif trouble:
            connection.transport.write(trouble)
            await connection.wait_closed()
        else:
            connection.transport.abort()

    with strangers(handler, process_request=meet) as url:
        policy = Reconnect(initial=0.01, limit=0.01)
        client = WebSocketClient(url, message_limit=1000, reconnect=policy, close_timeout=0.05)
        system = Interval(0.01) | Map(lambda _: "hello") | client | Take(1) | gather()
        if again:
            assert run(system) == ["hello"]
        else:
            error = failure(system)
            assert isinstance(error, HandshakeRefused) and error.status == trouble
    assert visits == (2 if again else 1)


def test_it_gives_up_after_so_many_attempts():
    policy = Reconnect(initial=0.001, limit=0.001, attempts=3)
    with pytest.raises(ComponentsFailed, match="failed") as caught:
        run(Source(["one"], then="stay") | WebSocketClient("ws://127.0.0.1:9", reconnect=policy) | gather())
    assert "given up after 3 failures in a row" in str(caught.value.exceptions)


def test_a_stop_says_that_it_is_going_away():
    codes = []

    async def note(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)
        codes.append(connection.close_code)

    with strangers(note) as url:
        client = Source(["one"], then="stay") | WebSocketClient(url)
        with background(client) as handle:
            assert handle.receive(timeout=WAIT) == "one"
    assert codes == [1001]


def test_its_figures_are_of_all_connections():
    with strangers(echo) as url:
        client = WebSocketClient(url)
        run(Source(["one", "two"]) | client | gather())
    said = client.statistics()
    assert (said.open, said.opened, said.messages_out) == (0, 1, 2)


@pytest.mark.parametrize(("url", "options", "kind", "why"), [
    (5, {}, TypeError, "WebSocketClient(5): give an address such as 'ws://host:port/path'"),
    ("http://x", {}, ValueError, "WebSocketClient('http://x'): give an address"),
    ("ws://", {}, ValueError, "WebSocketClient('ws://'): give an address"),
    ("ws://x:99999", {}, ValueError, "WebSocketClient('ws://x:99999'): give an address"),
    ("ws://x", {"tls": True}, ValueError, "a protected connection has an address wss://"),
    ("ws://x", {"messages": int}, TypeError, "(messages=<class 'int'>): give bytes, str, or"),
    ("ws://x", {"reconnect": 3}, TypeError, "WebSocketClient(reconnect=3): give True"),
    ("ws://x", {"message_limit": -1}, ValueError, "WebSocketClient(message_limit=-1): give bytes"),
    ("ws://x", {"subprotocols": "chat"}, TypeError, "(subprotocols='chat'): give names in a list"),
    ("ws://x", {"nonsense": 1}, TypeError, "nonsense"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused_when_the_part_is_made(url, options, kind, why):
    with pytest.raises(kind) as caught:
        WebSocketClient(url, **options)
    assert why in str(caught.value)


def test_it_is_its_own_pattern():
    from kamaelia.axon import make

    client = WebSocketClient("ws://x:80/a", messages=bytes)
    assert isinstance(make(client), WebSocketClient)
