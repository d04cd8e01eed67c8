"""Who the Studio lets in, and what it lets through."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from kamaelia import run
from kamaelia.axon import UsageError
from kamaelia.flow import Collect, Source
from kamaelia.studio import Studio, serve
from kamaelia.studio.guard import POLICY, fresh_token
from kamaelia.studio.relay import BURST, LONGEST, Relay

from .conftest import Shown
from .feed import MadeUp

pytestmark = [pytest.mark.once, pytest.mark.one_core("compiled"), pytest.mark.needs("module:websockets")]

WAIT = 10.0
Show = Callable[..., Shown]


def get(shown: Shown, path: str = "/", host: str | None = None, **headers: str) -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", shown.port, timeout=WAIT)
    try:
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{shown.port}")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def feed(shown: Shown, token: str | None = None, **options: Any) -> ClientConnection:
    token = shown.token if token is None else token
    options = {"open_timeout": WAIT, "max_size": None, "compression": None} | options
    return connect(f"ws://127.0.0.1:{shown.port}/feed?token={token}", **options)


def status_of(shown: Shown, token: str | None = None, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as caught:
        feed(shown, token, **options)
    return caught.value.response.status_code


def hear(wire: ClientConnection) -> Any:
    return json.loads(wire.recv(WAIT))


def ask(wire: ClientConnection, request: Any) -> Any:
    """Send a request, and return what is answered, whatever else comes meanwhile."""
    wire.send(request if isinstance(request, (str, bytes)) else json.dumps(request))
    while "stream" in (said := hear(wire)):
        pass
    return said


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.02)


# -- the files -----------------------------------------------------------------------------------------


def test_the_page_is_served_with_a_strict_policy(show: Show) -> None:
    shown = show()
    for path in ("/", "/main.js", "/style.css", "/vendor/joint.min.js", "/no-such-file"):
        status, headers, body = get(shown, path)
        assert status == (404 if "no-such" in path else 200)
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert shown.token.encode() not in body
    assert "default-src 'none'" in POLICY and "frame-ancestors 'none'" in POLICY
    assert "unsafe" not in POLICY and "http" not in POLICY  # no other host, and no code in the page


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "a b", "[::1"])
def test_a_page_under_another_name_gets_nothing(show: Show, host: str) -> None:
    status, _, body = get(show(), "/", host)
    assert status in (400, 421) and b"<title>" not in body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "192.0.2.7"])
def test_addresses_and_localhost_are_names_of_ours(show: Show, host: str) -> None:
    shown = show()
    assert get(shown, "/", f"{host}:{shown.port}")[0] == 200


def test_a_request_without_a_host_gets_nothing(show: Show) -> None:
    shown = show()
    with socket.create_connection(("127.0.0.1", shown.port), WAIT) as wire:
        wire.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert wire.recv(1000).split()[1] == b"421"


@pytest.mark.parametrize(
    "path",
    ["/../guard.py", "/%2e%2e/guard.py", "/..%2fguard.py", "/vendor/../../guard.py", "//etc/passwd",
     "/%2fetc/passwd", "/.git/config", "/vendor/%00", "/..\\guard.py", "/vendor/..%5c..%5cguard.py"],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder(show: Show, path: str) -> None:
    status, _, body = get(show(), path)
    assert status in (400, 404) and b"class Guard" not in body and b"root:" not in body


def test_other_methods_and_bodies_are_refused(show: Show) -> None:
    shown = show()
    connection = http.client.HTTPConnection("127.0.0.1", shown.port, timeout=WAIT)
    connection.request("POST", "/", b"x" * 100)
    assert connection.getresponse().status in (405, 413)
    connection.close()


# -- the feed ------------------------------------------------------------------------------------------


def test_who_knows_the_token_hears_the_system(show: Show) -> None:
    with feed(show(), origin=None) as wire:
        assert hear(wire)["kamaelia_inspection"] == 1
        wire.send(json.dumps({"id": 1, "do": "watch"}))
        assert hear(wire) == {"id": 1, "ok": {}}
        frame = hear(wire)
        assert frame["frame"] == 1 and len(frame["components"]) == 11


@pytest.mark.parametrize("token", ["", "0" * 32, "x", "%00", "ä", "a&token=b"])
def test_a_wrong_token_opens_nothing(show: Show, token: str) -> None:
    shown = show()
    assert status_of(shown, token) == 403
    assert shown.studio.refused == {"not let in": 1}
    assert shown.made.asked == []


def test_a_part_of_the_token_is_not_enough_and_neither_are_two(show: Show) -> None:
    shown = show()
    assert status_of(shown, shown.token[:-1]) == 403
    assert status_of(shown, f"{shown.token}&token={shown.token}") == 403


def test_tokens_are_128_bits_and_never_the_same() -> None:
    tokens = {fresh_token() for _ in range(100)}
    assert len(tokens) == 100 and {len(token) for token in tokens} == {32}


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1", "null", "http://localhost:1"])
def test_a_page_of_another_origin_is_refused_even_with_the_token(show: Show, origin: str) -> None:
    assert status_of(show(), origin=origin) == 403


def test_the_page_itself_is_no_other_origin(show: Show) -> None:
    shown = show()
    with feed(shown, origin=f"http://127.0.0.1:{shown.port}") as wire:
        assert "pid" in hear(wire)


def test_a_name_that_leads_here_is_no_host_of_ours(show: Show) -> None:
    shown = show()
    with socket.create_connection(("127.0.0.1", shown.port), WAIT) as wire:  # DNS rebinding
        wire.sendall(
            f"GET /feed?token={shown.token} HTTP/1.1\r\nHost: evil.example:{shown.port}\r\n"
            f"Origin: http://evil.example:{shown.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert wire.recv(1000).split()[1] == b"421"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ("no json", "this is no JSON"),
        ("[" * 5000, "this is no JSON"),
        ("[1]", "a request is a JSON object"),
        ('{"do": "watch"}', "a request has an id: a whole number, or at most 64 characters"),
        ('{"id": {}, "do": "watch"}', "a request has an id: a whole number, or at most 64 characters"),
        ('{"id": true, "do": "watch"}', "a request has an id: a whole number, or at most 64 characters"),
        ('{"id": 7, "do": "stop"}', "a page may not ask for 'stop'"),
        ('{"id": 7, "do": ["watch"]}', "a page may not ask for \"['watch']\""),
        ('{"id": 7}', "a page may not ask for 'None'"),
    ],
)
def test_what_is_no_request_is_answered_and_never_reaches_the_system(
    show: Show, request_: str, error: str
) -> None:
    shown = show()
    with feed(shown) as wire:
        hear(wire)
        assert ask(wire, request_)["error"] == error
        assert shown.made.asked == []
        assert ask(wire, {"id": 8, "do": "details", "path": "stage-0"})["id"] == 8  # and it goes on


def test_a_line_break_in_a_message_does_not_make_two_requests(show: Show) -> None:
    shown = show()
    with feed(shown) as wire:
        hear(wire)
        answer = ask(wire, '{"id": 1,\n"do": "details", "path": "a\\nb"}')
        assert answer["ok"]["path"] == "a\nb" and len(shown.made.asked) == 1


def test_an_oversized_message_ends_the_connection(show: Show) -> None:
    with feed(show()) as wire:
        hear(wire)
        wire.send("x" * (LONGEST + 1))
        with pytest.raises(ConnectionClosed) as caught:
            wire.recv(WAIT)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1009


def test_bytes_are_no_requests(show: Show) -> None:
    with feed(show()) as wire:
        hear(wire)
        wire.send(b'{"id": 1, "do": "watch"}')
        with pytest.raises(ConnectionClosed) as caught:
            wire.recv(WAIT)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1003


def test_a_page_that_asks_too_often_is_told_to_wait(show: Show) -> None:
    shown = show()
    with feed(shown) as wire:
        hear(wire)
        for number in range(2 * BURST):
            wire.send(json.dumps({"id": number, "do": "details", "path": "stage-0"}))
        answers = [hear(wire) for _ in range(2 * BURST)]
        refused = [one for one in answers if "requests a second" in one.get("error", "")]
        assert BURST / 2 < len(refused) <= BURST
        assert len(shown.made.asked) == 2 * BURST - len(refused)


def test_a_page_that_never_reads_is_let_go(show: Show) -> None:
    made = MadeUp(400)
    shown = show(made, stall_timeout=1.0)
    shown.feed.every = 0.005  # frames of some tens of kilobytes, much faster than anybody asks for
    wire = socket.create_connection(("127.0.0.1", shown.port), WAIT)
    with wire:
        wire.sendall(
            f"GET /feed?token={shown.token} HTTP/1.1\r\nHost: 127.0.0.1:{shown.port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        request = json.dumps({"id": 1, "do": "watch"}).encode()
        wire.sendall(bytes([0x81, 0x80 | len(request), 0, 0, 0, 0]) + request)
        wait_for(lambda: made.asked != [])
        assert shown.studio.statistics().open == 1
        wait_for(lambda: shown.studio.statistics().open == 0)
    with feed(shown) as other:  # and others are served
        assert "pid" in hear(other)


def test_the_end_of_the_system_is_told(show: Show) -> None:
    shown = show()
    with feed(shown) as wire:
        hear(wire)
        shown.feed.close()
        assert hear(wire) == {"studio": "gone", "why": "the system has ended"}
        with pytest.raises(ConnectionClosed):
            wire.recv(WAIT)
    with feed(shown) as wire:
        said = hear(wire)
        assert said["studio"] == "gone" and "nothing answers at" in said["why"]


def test_a_connection_to_the_system_that_breaks_while_it_is_asked_is_told() -> None:
    class Broken:
        def write(self, data: bytes) -> None:
            pass

        async def drain(self) -> None:
            raise ConnectionResetError(104, "Connection reset by peer")

    class Half(Relay):
        async def main(self) -> None:
            await self._carry_requests(Broken())  # type: ignore[arg-type]
            await self._tell_gone("and only once")

    said = run(Source(['{"id": 1, "do": "watch"}']) | Half("/nowhere") | Collect())
    assert [json.loads(text) for text in said] == [
        {"studio": "gone", "why": "the connection to the system broke: Connection reset by peer"}
    ]


def test_pages_beyond_the_limit_are_not_let_in(show: Show) -> None:
    shown = show(None, limit=1)
    with feed(shown) as wire:
        hear(wire)
        with pytest.raises((OSError, http.client.HTTPException)):
            get(shown)


# -- the service ---------------------------------------------------------------------------------------


def test_the_service_needs_an_inspection_socket() -> None:
    from kamaelia import background
    from kamaelia.flow import Map

    with background(Map(str.upper)) as handle, pytest.raises(UsageError, match="inspect=True"):
        serve(handle._system)


def test_the_address_has_the_token_behind_the_hash(show: Show) -> None:
    shown = show()
    assert shown.url == f"http://127.0.0.1:{shown.port}/#{shown.token}"
    assert isinstance(shown.studio, Studio)
