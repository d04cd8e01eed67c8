"""One connection that speaks HTTP: what comes in, what goes out, and when; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from kamaelia import Component, Inbox, component, run, sleep
from kamaelia.axon import BrokenLink, LinkError, SourceFailed, UsageError, make
from kamaelia.flow import Collect, Source
from kamaelia.net import MemoryClient, MemoryServer
from kamaelia.protocol import Echo
from kamaelia.protocol.http import (
    Exchange,
    Headers,
    HTTPProtocol,
    Limits,
    Refused,
    Response,
    Trailers,
    read_form,
    request,
    trailers,
)
from kamaelia.testing import drive

DATE = b"Date: Sat, 01 Jan 2000 00:00:00 GMT\r\nServer: kamaelia\r\n"


def get(path: str = "/", *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, *length, "", ""]).encode() + body


def whole(http: Any) -> bytes:
    return b"".join(http.take_all())


def page(
    body: bytes, kind: str = "text/html; charset=utf-8", status: str = "200 OK", more: bytes = b""
) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n".encode()
    return head + more + DATE + b"\r\n" + body


def plain(text: str, status: str, more: bytes = b"Connection: close\r\n") -> bytes:
    return page(f"{status}\n{text}".encode(), "text/plain; charset=utf-8", status, more)


@contextmanager
def http_with(routes: Any, sizes: Any = None, **options: Any) -> Iterator[Any]:
    with drive(HTTPProtocol(routes, **options), sizes=sizes) as http:
        yield http


@component
async def shout(inbox: Any, outbox: Any) -> None:
    async for data in inbox:
        await outbox.send(data.upper())


# -- the short way ------------------------------------------------------------------------------------


def test_values_answer() -> None:
    routes = {"/": "<p>Hi", "/b": b"\0\1", "/j": {"a": [1]}, "/r": Response("no", 403, type="text/plain")}
    with http_with(routes) as http:
        http.send(get("/"))
        assert http.take_all() == [page(b"<p>Hi")]  # one message: head and body
        http.send(get("/b"))
        assert http.take_all() == [page(b"\0\1", "application/octet-stream")]
        http.send(get("/j"))
        assert http.take_all() == [page(b'{"a":[1]}', "application/json")]
        http.send(get("/r"))
        assert http.take_all() == [page(b"no", "text/plain", "403 Forbidden")]
        http.send(get("/none"))
        assert whole(http) == plain("", "404 Not Found", b"")
        http.close()
        assert http.outcome == "ended"


def test_functions_answer() -> None:
    async def later(request: Any) -> str:
        await sleep(5)
        return request.path

    routes = {
        "/hello/{name}": lambda request: "Hello " + request.arguments["name"],
        "/later": later,
        "/none": lambda request: None,
        "/all/*": lambda request: request.arguments,
        "POST /size": lambda request: str(len(request.body)),
        "/made": lambda request: Response.json([request.method], 201),
        "/shout": lambda request: shout(),
    }
    with http_with(routes) as http:
        http.send(get("/hello/Ada%20L"))
        assert http.take_all() == [page(b"Hello Ada L")]
        http.send(get("/all/a/b%2Fc"))
        assert http.take_all() == [page(b'{"rest":"a/b/c"}', "application/json")]
        http.send(get("/none"))
        assert http.take_all() == [b"HTTP/1.1 204 No Content\r\n" + DATE + b"\r\n"]
        http.send(get("/size", method="POST", body=b"12345"))
        assert http.take_all() == [page(b"5")]
        http.send(get("/size", method="POST"))
        assert http.take_all() == [page(b"0")]
        http.send(get("/made", method="PUT"))
        assert http.take_all() == [page(b'["PUT"]', "application/json", "201 Created")]
        http.send(get("/shout"))
        assert whole(http).endswith(b"Content-Length: 0\r\n" + DATE + b"\r\n")
        http.send(get("/later"))
        http.expect_nothing()
        http.advance(5)
        assert http.take_all() == [page(b"/later").replace(b"00:00:00", b"00:00:05")]


def test_head_options_and_other_methods() -> None:
    routes = {"/": "page", "GET /f": lambda request: "f", "POST /f": lambda request: "posted", "/c": shout}
    with http_with(routes) as http:
        http.send(get("/", method="HEAD"))
        assert http.take_all() == [page(b"page")[:-4]]
        http.send(get("/f", method="HEAD"))
        assert http.take_all() == [page(b"f")[:-1]]
        http.send(get("/f", method="DELETE"))
        assert whole(http) == plain("", "405 Method Not Allowed", b"").replace(
            b"Content-Length", b"Allow: GET, HEAD, OPTIONS, POST\r\nContent-Length"
        )
        http.send(get("/f", method="OPTIONS"))
        assert whole(http) == (
            b"HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS, POST\r\n" + DATE + b"\r\n"
        )
        http.send(get("*", method="OPTIONS"))
        assert whole(http) == b"HTTP/1.1 204 No Content\r\n" + DATE + b"\r\n"
        http.send(get("/c", method="HEAD"))
        assert whole(http).endswith(b"\r\n\r\n")
        http.send(get("/"))
        assert whole(http) == page(b"page")


def test_what_is_asked_of_the_server_itself_is_for_no_route() -> None:
    with http_with({"/{name}": lambda request: "a name", "/*": lambda request: "all"}) as http:
        http.send(get("*", method="OPTIONS"))
        assert whole(http) == b"HTTP/1.1 204 No Content\r\n" + DATE + b"\r\n"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://x/a%20b?c=/d", "/a b"),
        ("http://x", "/"),
        ("http://x?c=/d", "/"),
        ("HTTPS://x:1/a://b", "/a://b"),
        ("/a?b=://c/d", "/a"),
        ("http://[.]/a", "/a"),  # no address, but nobody has to go there
    ],
)
def test_a_whole_address_may_be_asked_for(target: str, path: str) -> None:
    with http_with({"/*": lambda request: request.path}) as http:
        http.send(get(target))
        assert whole(http) == page(path.encode())


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_requests_in_pieces_and_in_one(parser: str) -> None:
    routes = {"/a": "A", "/b": lambda request: request.body}
    data = get("/a") + get("/b", method="POST", body=b"body") + get("/a")
    wanted = page(b"A") + page(b"body", "application/octet-stream") + page(b"A")
    with http_with(routes, parser=parser) as http:
        http.send(data)
        assert whole(http) == wanted
        for byte in data:
            http.send(bytes([byte]))
        assert whole(http) == wanted


def test_the_date_follows_the_clock() -> None:
    with http_with({"/": ""}, server=None) as http:
        http.send(get())
        http.advance(0.999)
        http.send(get())
        http.advance(0.002)
        http.send(get())
        assert [one.split(b"GMT")[0][-9:-1] for one in http.take_all()] == [
            b"00:00:00",
            b"00:00:00",
            b"00:00:01",
        ]


def test_old_clients_and_those_that_close() -> None:
    for asked in (b"GET / HTTP/1.0\r\n\r\n", get("/", "Connection: close")):
        with http_with({"/": "x"}) as http:
            http.send(asked + get())
            assert whole(http) == page(b"x", more=b"Connection: close\r\n")
            assert http.outcome == "ended"


def test_half_close_is_no_reason_not_to_answer() -> None:
    async def slow(request: Any) -> str:
        await sleep(1)
        return "slow"

    with http_with({"/": slow}) as http:
        http.send(get())
        http.close()
        http.advance(1)
        assert whole(http) == page(b"slow").replace(b":00 GMT", b":01 GMT")
        assert http.outcome == "ended"


# -- components ---------------------------------------------------------------------------------------


def chunked(
    *chunks: bytes, kind: str = "application/octet-stream", trailers: bytes = b"", head: bytes = b""
) -> bytes:
    head = (
        head or f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n".encode() + DATE
    )
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head + b"\r\n" + body + b"0\r\n" + trailers + b"\r\n"


def test_a_component_gets_the_body_and_sends_another() -> None:
    with http_with({"POST /": shout}) as http:
        http.send(get("/", method="POST", body=b"hello"))
        assert whole(http) == chunked(b"HELLO")
        http.send(get("/", "Transfer-Encoding: chunked", method="POST"))
        http.send(b"2\r\nab\r\n")
        assert whole(http).endswith(b"2\r\nAB\r\n")  # at once, while more is to come
        http.send(b"1\r\nc\r\n0\r\nT: 1\r\n\r\n")
        assert whole(http) == b"1\r\nC\r\n0\r\n\r\n"


def test_a_component_says_what_its_answer_is_and_adds_trailers() -> None:
    @component
    async def page(inbox: Any, outbox: Any) -> None:
        asked = request()
        await outbox.send(Response("begin ", 201, {"X": asked.arguments["n"]}))
        await outbox.send("text")
        await outbox.send(Trailers({"Digest": "d"}))

    with http_with({"/{n}": page}) as http:
        http.send(get("/7"))
        head = (
            b"HTTP/1.1 201 Created\r\nX: 7\r\nContent-Type: text/html; charset=utf-8\r\n"
            b"Transfer-Encoding: chunked\r\n" + DATE
        )
        assert whole(http) == chunked(b"begin ", b"text", trailers=b"Digest: d\r\n", head=head)


def test_a_component_gets_the_trailers_when_the_body_has_ended() -> None:
    seen: list[Any] = []

    @component
    async def look(inbox: Any, outbox: Any) -> None:
        seen.append(trailers())
        async for _ in inbox:
            seen.append(trailers())
        seen.append(trailers())

    with http_with({"/": look}) as http:
        http.send(get("/", "Transfer-Encoding: chunked", method="POST"))
        http.send(b"2\r\nab\r\n", b"0\r\nT: 1\r\n\r\n")
        assert seen == [None, None, Headers({"T": 1})]
        seen.clear()
        http.send(get("/", method="POST", body=b"ab"), get("/"))
        assert (seen[0], seen[2:]) == (None, 3 * [Headers()])
    with pytest.raises(UsageError, match=r"trailers\(\) is what a component answers: call it in a component"):
        trailers()


def test_the_request_is_there_in_every_part() -> None:
    @component
    async def ask(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await outbox.send(request().target)

    with http_with({"/*": Source([1, 2]) | ask()}) as http:
        http.send(get("/a?b"))
        assert whole(http) == chunked(b"/a?b", b"/a?b", kind="text/plain; charset=utf-8")
    with pytest.raises(UsageError, match=r"request\(\) is what a component answers: call it in a component"):
        request()


def test_a_component_outside_of_a_route_has_no_request() -> None:
    @component
    async def ask(inbox: Any, outbox: Any) -> None:
        with pytest.raises(UsageError, match="ask asks for its request, but answers none"):
            request()
        await outbox.send("well")

    with drive(ask()) as driver:
        assert driver.take() == "well"


def test_a_component_is_made_anew_for_each_request_and_only_one_works_at_a_time() -> None:
    made = []

    class Slow(Component):
        def __init__(self) -> None:
            made.append(self)

        async def main(self) -> None:
            await sleep(1)
            await self.outbox.send(b"x")

    pattern = Slow()
    with http_with({"/": pattern}) as http:
        http.send(get() + get())
        http.advance(1.5)
        assert whole(http).count(b"HTTP/1.1 200 OK") == 1
        http.advance(1)
        assert whole(http).count(b"HTTP/1.1 200 OK") == 1
        assert len(made) == 3


def test_a_component_that_sends_nothing_has_an_empty_body() -> None:
    with http_with({"/": Source([])}) as http:
        http.send(get())
        assert whole(http) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + DATE + b"\r\n"


def test_a_component_without_outbox() -> None:
    got = []

    class Keep(Component):
        outbox = None

        async def main(self) -> None:
            async for data in self.inbox:
                got.append(data)
                if data == b"bad":
                    raise ValueError("no")

    with http_with({"/": Keep}) as http:
        http.send(get("/", method="POST", body=b"kept"))
        assert whole(http) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + DATE + b"\r\n"
        http.send(get("/", method="POST", body=b"bad"))
        assert whole(http) == plain("", "500 Internal Server Error", b"")
        assert got == [b"kept", b"bad"]


def test_a_response_whose_body_is_a_component() -> None:
    routes = {
        "/": Response(Source([b"a", b"b"]), type="text/x"),
        "/f": lambda request: Response(Source([b"c"])),
    }
    with http_with(routes) as http:
        http.send(get() + get())
        assert whole(http) == 2 * chunked(b"a", b"b", kind="text/x")
        http.send(get("/f"))
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + DATE
        assert whole(http) == chunked(b"c", head=head)


def test_a_client_that_never_reads_stops_the_component() -> None:
    sent = []

    @component
    async def endless(inbox: Any, outbox: Any) -> None:
        while True:
            sent.append(1)
            await outbox.send(bytes(1000))

    with http_with({"/": endless}, sizes={"outbox": 10}) as http:
        http.send(get())
        for _ in range(5):
            http.advance(100)
        assert len(sent) < 250  # what two boxes hold
        http.leave()
        http.advance(1)
        assert http.ended
    assert len(sent) < 250


CHUNK = 64 * 1024
MOST = (
    256 * 1024 + CHUNK
)  # that may wait for a component: the mark, and the one message by which it is passed


def test_a_component_that_does_not_read_stops_the_client() -> None:
    @component
    async def deaf(inbox: Any, outbox: Any) -> None:
        await sleep(5)
        async for data in inbox:
            await outbox.send(data)

    number = 110
    with http_with({"/": deaf}) as http:
        http.send(get("/", f"Content-Length: {number * CHUNK}", method="POST"))
        for _ in range(number):
            http.send(bytes(CHUNK))
        assert http.full()  # by a hundred messages
        assert number * CHUNK - http._hold("inbox").inbox.statistics().waiting * CHUNK <= MOST + CHUNK
        http.advance(5)
        assert len(whole(http)) > number * CHUNK


def test_what_a_component_has_sent_waits_in_bytes_that_are_few() -> None:
    """Beside what waits in the outbox, which is counted by who carries the bytes."""
    sent: list[int] = []

    @component
    async def endless(inbox: Any, outbox: Any) -> None:
        while True:
            await outbox.send(bytes(CHUNK))
            sent.append(CHUNK)

    async def switched(exchange: Exchange) -> None:
        await exchange.switch(Response(b"", 101))
        await exchange.serve(endless)

    for route in (endless, handler(switched)):
        sent.clear()
        with http_with({"/": route}, sizes={"outbox": 1}) as http:
            http.send(get())
            assert http.take().startswith(b"HTTP/1.1 ")
            assert 0 < sum(sent) <= MOST + CHUNK


def test_what_a_component_of_another_protocol_is_to_read_waits_in_bytes() -> None:
    @component
    async def deaf(inbox: Any, outbox: Any) -> None:
        await sleep(1000)

    async def switched(exchange: Exchange) -> None:
        await exchange.switch(Response(b"", 101))
        await exchange.serve(deaf)

    with http_with({"/": handler(switched)}) as http:
        http.send(get())
        for _ in range(10):
            http.send(bytes(CHUNK))
        assert 10 * CHUNK - http._hold("inbox").inbox.statistics().waiting * CHUNK <= MOST + CHUNK


def test_both_ways_at_once() -> None:
    with http_with({"/": Echo}, sizes={"outbox": 2}) as http:
        http.send(get("/", "Content-Length: 500", method="POST"))
        for _ in range(500):
            http.send(b"x")
        assert whole(http).count(b"1\r\nx\r\n") == 500


def test_a_component_that_has_heard_enough_answers_and_the_rest_is_thrown_away() -> None:
    @component
    async def first(inbox: Any, outbox: Any) -> None:
        await outbox.send(await inbox.receive())

    with http_with({"/": first, "/next": "next"}) as http:
        http.send(get("/", "Content-Length: 20", method="POST"))
        http.send(b"0123456789")
        assert whole(http) == chunked(b"0123456789")
        http.send(b"9876543210" + get("/next"))
        assert whole(http) == page(b"next")
        http.send(get("/", "Content-Length: 1000000", method="POST"))
        http.send(b"0123456789")
        assert whole(http) == chunked(b"0123456789")
        assert http.outcome == "ended"  # a megabyte is too much to read for nothing


# -- what goes wrong ----------------------------------------------------------------------------------


def test_a_function_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: Any) -> str:
        raise ValueError("my fault")

    async def fail_later(request: Any) -> str:
        raise ValueError("my fault")

    with http_with({"/": fail, "/later": fail_later, "/set": lambda request: {1, 2}}) as http:
        for path in ("/", "/later"):
            http.send(get(path))
            assert whole(http) == plain("", "500 Internal Server Error", b"")
            failure = http.take("failures")
            assert (failure.path, str(failure.error), failure.message.path) == (
                "HTTPProtocol",
                "my fault",
                path,
            )
        http.send(get("/set"))
        assert b"500 Internal" in whole(http)
        assert http.component.site.counts.failed == 3
    logged = [record.getMessage() for record in caplog.records]
    assert logged[0].startswith("HTTPProtocol: GET '/' failed: ValueError: my fault")
    assert "answers nothing: give text, bytes" in logged[2]


@pytest.mark.parametrize(
    ("read", "kind", "body", "why"),
    [
        (lambda request: request.json(), "application/json", b"{", "the body is no JSON: "),
        (lambda request: request.text(), "text/plain", b"\xff", "the body is no text in utf-8: "),
        (
            lambda request: request.text(),
            "text/plain; charset=undefined",
            b"x",
            "the body is in 'undefined', ",
        ),
        (
            lambda request: request.text(),
            "a/b; charset*=us-ascii''a%00b",
            b"\xff",
            "the body is no text in utf-8",
        ),
        (lambda request: request.text(), "text/plain; charset=punycode", b"x" * 50_000, "the body is in "),
        (lambda request: request.query, "text/plain", b"", "the query of the request cannot be read: "),
        (read_form, "text/plain", b"a=1", "'text/plain' is no form: "),
        (read_form, "application/x-www-form-urlencoded", b"a=1&" * 1001, "the form has more than "),
    ],
    ids=["json", "text", "no encoding", "no word", "slow encoding", "query", "no form", "too many fields"],
)
def test_what_cannot_be_read_is_the_clients_fault(read: Any, kind: str, body: bytes, why: str) -> None:
    def answer(request: Any) -> str:
        read(request)
        return "read"

    async def answer_later(request: Any) -> str:
        return answer(request)

    for function in (answer, answer_later):
        with http_with({"/": function}) as http:
            http.send(get("/?" + "x=1&" * 1001, f"Content-Type: {kind}", method="POST", body=body))
            answered = whole(http)
            assert answered.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert f"\r\n\r\n400 Bad Request\n{why}".encode() in answered
            counts = http.component.site.counts
            assert (counts.refused, counts.failed) == ({400: 1}, 0)
            assert http.take_all("failures") == []


def test_answers_that_cannot_be_sent() -> None:
    routes = {
        "/long": lambda request: Response(b"x", headers={"Content-Length": 2}),
        "/coded": lambda request: Response(b"x", headers={"Transfer-Encoding": "chunked"}),
        "/text": lambda request: "\ud800",
        "/": "well",
    }
    with http_with(routes) as http:
        for path in ("/long", "/coded", "/text"):
            http.send(get(path))
            assert whole(http) == plain("", "500 Internal Server Error", b"")
        http.send(get())
        assert whole(http) == page(b"well")


def test_a_component_that_fails_before_it_answers_and_after(caplog: pytest.LogCaptureFixture) -> None:
    @component
    async def fail(inbox: Any, outbox: Any) -> None:
        if request().path == "/late":
            await outbox.send(b"a")
        raise ValueError("mine")

    with http_with({"/*": fail}) as http:
        http.send(get("/"))
        assert whole(http) == plain("", "500 Internal Server Error", b"")
        assert http.take("failures").path == "HTTPProtocol/fail"
        http.send(get("/late") + get("/"))
        assert whole(http) == chunked(b"a")[: -len(b"0\r\n\r\n")]
        assert http.ended
        assert http.component.outbox.ended
        assert isinstance(http._front.readers["outbox"].failure, Exception)  # the client sees it break
    assert caplog.records[0].getMessage().startswith("HTTPProtocol/fail failed and was isolated")


def test_messages_that_are_no_body() -> None:
    for bad in (5, Response("twice")):

        @component
        async def wrong(inbox: Any, outbox: Any, bad: Any = bad) -> None:
            await outbox.send(b"a")
            await outbox.send(bad)

        with http_with({"/": wrong}) as http:
            http.send(get())
            whole(http)
            assert http.ended
            text = str(http.take("failures").error)
            assert "a piece of a body is bytes, not 5" in text or "it can be only the first message" in text


def test_who_breaks_the_rules_is_told_and_left(caplog: pytest.LogCaptureFixture) -> None:
    with http_with({"/": "x"}) as http:
        http.send(get() + b"GET / HTTP/1.1\r\n\r\n" + get())
        text = "there is no Host, which HTTP/1.1 has to have\n"
        assert whole(http) == page(b"x") + plain(text, "400 Bad Request")
        assert http.outcome == "ended"
        assert http.component.site.counts.refused == {400: 1}
    assert [record.getMessage() for record in caplog.records] == [
        "HTTPProtocol refused a request (400): there is no Host, which HTTP/1.1 has to have"
    ]


def test_strangers_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Crowd(Component):
        """Has three connections of one site."""

        async def main(self) -> None:
            for _ in range(3):
                with suppress(Exception):
                    await (Source([b"GET / HTTP/1.1\r\n\r\n"]) | MemoryClient("shop") | Collect()).run()
            self.system.stop()

    caplog.set_level("INFO")
    server = MemoryServer(HTTPProtocol({"/": "x"}), "shop", quiet=True)
    run(server, Crowd())
    refusals = [record for record in caplog.records if "refused a request (400)" in record.getMessage()]
    assert [record.levelname for record in refusals] == ["WARNING", "INFO", "INFO"]


def test_who_will_not_be_read_on_is_told() -> None:
    for path in ("/there", "/not-there"):
        for length, more in [(65_536, b""), (65_537, b"Connection: close\r\n")]:
            with http_with({"/there": "well"}) as http:
                http.send(get(path, f"Content-Length: {length}", method="POST"))
                assert whole(http).count(b"Connection: close\r\n") == (1 if more else 0)
                assert http.ended == bool(more)


def test_a_body_that_is_too_large_for_a_function() -> None:
    with http_with({"/": lambda request: "x"}, limits=Limits(body=10)) as http:
        http.send(get("/", "Content-Length: 11", method="POST"))
        assert whole(http) == plain("the body is larger than 10 bytes\n", "413 Content Too Large")
        assert http.outcome == "ended"
    with http_with({"/": lambda request: "x"}, limits=Limits(body=10)) as http:
        http.send(get("/", "Transfer-Encoding: chunked", method="POST") + b"b\r\nhello world\r\n")
        assert b"413" in whole(http)
        assert http.outcome == "ended"


def test_a_body_in_many_pieces_takes_no_time_to_speak_of_and_lets_others_work() -> None:
    number, pieces = 200_000, 1000  # in a time with the square of the number this would take minutes
    steps: list[Any] = []
    driver = drive(HTTPProtocol({"/": lambda request: str(len(request.body))}))
    driver.on_step = steps.append
    with driver as http:
        http.send(get("/", "Transfer-Encoding: chunked", method="POST"))
        before = len(steps)
        for _ in range(number // pieces):
            http.send(b"2\r\nab\r\n" * pieces)
        assert len(steps) - before > number / 101
        http.send(b"0\r\n\r\n")
        assert whole(http) == page(str(2 * number).encode())


def test_a_body_may_be_limited_for_components_too() -> None:
    with http_with({"/": shout}, limits=Limits(stream=3)) as http:
        http.send(get("/", method="POST", body=b"abcd"))
        assert b"413" in whole(http)
        assert http.outcome == "ended"


def test_a_broken_body_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def calm(exchange: Exchange) -> str:
        with pytest.raises(Refused):
            await exchange.read_all()
        return "well"

    for route in (shout, lambda request: "x", handler(calm)):
        for first in (b"", b"1\r\na\r\n"):
            caplog.clear()
            with http_with({"/": route}) as http:
                http.send(get("/", "Transfer-Encoding: chunked", method="POST") + first)
                http.send(b"rubbish\r\n")
                sent = whole(http)
                assert sent.count(b"HTTP/1.1 ") == 1
                assert http.ended
                assert http.component.site.counts.refused == {400: 1}
            assert len(caplog.records) == 1


def test_a_body_that_breaks_off() -> None:
    for route in (shout, lambda request: "x"):
        with http_with({"/": route}) as http:
            http.send(get("/", "Content-Length: 10", method="POST"))
            http.send(b"abc")
            http.close()
            sent = whole(http)
            assert (b"400 Bad Request" in sent) or sent.endswith(b"3\r\nABC\r\n")
            assert http.ended


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"3\r\nabc\r\nrubbish\r\n", "a chunk begins with its size"),
        (b"3\r\nabc\r\n4\r\ndefg\r\n1\r\nh\r\n0\r\n\r\n", "the body is larger than 6 bytes"),
    ],
)
def test_a_body_that_was_refused_is_refused_again(body: bytes, why: str) -> None:
    seen: list[str] = []

    async def stubborn(exchange: Exchange) -> str:
        seen.append((await exchange.read()).decode())
        for _ in range(3):
            try:
                seen.append((await exchange.read()).decode())
            except Refused as error:
                seen.append(str(error)[: len(why)])
        return "well"

    with http_with({"/": handler(stubborn)}, limits=Limits(stream=6)) as http:
        http.send(get("/", "Transfer-Encoding: chunked", method="POST") + body)
        assert seen == ["abc", why, why, why]


def test_a_component_learns_that_the_client_is_gone_in_mid_body() -> None:
    seen = []

    @component
    async def watch(inbox: Any, outbox: Any) -> None:
        try:
            async for data in inbox:
                seen.append(data)
        except SourceFailed as error:
            seen.append(error.__cause__)
            raise

    reset = ConnectionResetError("reset")
    with http_with({"/": watch}) as http:
        http.send(get("/", "Content-Length: 10", method="POST") + b"abc")
        http.fail(reset)
        http.leave()
        assert seen == [b"abc", reset]
        assert http.ended


def test_when_the_client_leaves_what_answers_ends() -> None:
    seen = []

    @component
    async def silent(inbox: Any, outbox: Any) -> None:
        await outbox.send(b"first")
        try:
            await sleep(1000)
        except BrokenLink:
            seen.append("left")
            raise

    with http_with({"/": silent}) as http:
        http.send(get())
        http.take_all()
        http.leave()
        http.advance(0.1)
        assert seen == ["left"]
        assert http.ended


# -- time ---------------------------------------------------------------------------------------------


def test_an_idle_connection_ends() -> None:
    with http_with({"/": "x"}) as http:
        http.advance(50)
        http.send(get())
        http.advance(59.9)
        assert whole(http) == page(b"x").replace(b"00:00:00", b"00:00:50")
        assert not http.ended
        http.advance(0.2)
        assert http.outcome == "ended"
        http.expect_nothing()


@pytest.mark.parametrize("byte", [b"a", b"\r\n"])
def test_a_slow_head_is_not_waited_for(byte: bytes) -> None:
    with http_with({"/": "x"}) as http:
        http.send(b"GET / HTTP/1.1\r\nHost: x\r\nA: " if byte == b"a" else b"\r\n")
        for _ in range(59):
            if http.ended or not http.is_read():
                break
            http.send(byte)
            http.advance(1)
        if byte == b"a":
            assert http.time == 10
            assert b"408 Request Timeout" in whole(http)
        http.advance(2)
        assert http.outcome == "ended"


def test_a_slow_body_is_not_waited_for() -> None:
    for route in (lambda request: "x", shout):
        with http_with({"/": route}) as http:
            http.send(get("/", "Content-Length: 5000", method="POST"))
            for _ in range(15):  # 200 bytes a second will do
                http.send(bytes(200))
                http.advance(1)
            for _ in range(20):
                if not http.is_read():
                    break
                http.send(bytes(10))
                http.advance(1)
            assert 20 <= http.time <= 30
            sent = whole(http)
            assert b"408 Request Timeout" in sent or (b"200 OK" in sent and not sent.endswith(b"0\r\n\r\n"))
            assert http.ended


@pytest.mark.parametrize("first", ["what has come", "the timer"])
def test_what_has_come_in_the_last_moment_counts(first: str) -> None:
    """As after a stall of the loop, in which both became due."""
    post = get("/", "Content-Length: 2000", method="POST")
    for begun, seconds, rest in [
        (b"", 60, get()),
        (get()[:9], 10, get()[9:]),
        (post + bytes(999), 10, bytes(1001)),
    ]:
        with http_with({"/": lambda request: str(len(request.body))}) as http:
            if not begun:
                http.send(get())
                whole(http)
            loop, hold = http.component.get_loop(), http._hold("inbox")
            if first == "what has come":
                loop.call_at(seconds, hold.send, rest)
            http.send(*([begun] if begun else []))
            if first == "the timer":
                loop.call_at(seconds, hold.send, rest)
            http.advance(seconds - 0.1)
            http.expect_nothing()
            http.advance(0.1)
            assert b"200 OK" in whole(http)
            assert not http.ended


def test_each_body_has_its_own_time() -> None:
    with http_with({"/": lambda request: str(len(request.body))}) as http:
        for _ in range(50):
            http.send(get("/", "Content-Length: 2", method="POST"))
            http.advance(0.5)
            http.send(b"ab")
            assert b"200 OK" in whole(http)


def test_time_in_which_nobody_reads_is_not_the_clients() -> None:
    class Nap:
        async def answer(self, exchange: Exchange) -> Response:
            await sleep(100)
            return Response(await exchange.read_all())

    with http_with({"/": Nap()}) as http:
        http.send(get("/", "Content-Length: 4", method="POST"))
        http.advance(105)
        http.send(b"late")
        assert whole(http).endswith(b"late")


def test_a_request_may_be_limited_in_time() -> None:
    async def slow(request: Any) -> str:
        await asyncio.sleep(10)
        return "slow"

    with http_with({"/": slow}, limits=Limits(request_timeout=3)) as http:
        http.send(get())
        http.advance(3)
        assert b"503 Service Unavailable" in whole(http)
        assert http.outcome == "ended"


def test_the_time_for_a_request_is_over_when_another_protocol_is_spoken() -> None:
    async def serve(exchange: Exchange) -> None:
        await exchange.serve(shout, await exchange.switch(Response(b"", 101)))

    with http_with({"/": handler(serve)}, limits=Limits(request_timeout=3)) as http:
        http.send(get())
        http.advance(10)
        whole(http)
        http.send(b"still there")
        assert whole(http) == b"STILL THERE"


def test_an_answer_that_has_begun_and_takes_too_long_is_broken() -> None:
    @component
    async def slow(inbox: Any, outbox: Any) -> None:
        await outbox.send(b"a")
        await sleep(10)
        await outbox.send(b"b")

    with http_with({"/": slow}, limits=Limits(request_timeout=3)) as http:
        http.send(get())
        http.advance(3)
        assert whole(http) == chunked(b"a")[: -len(b"0\r\n\r\n")]
        assert http.ended
        assert isinstance(http._front.readers["outbox"].failure, Refused)
        assert http.component.site.counts.refused == {503: 1}


# -- continue -----------------------------------------------------------------------------------------


def test_who_waits_for_that_is_asked_for_the_body_when_it_is_wanted() -> None:
    with http_with({"/": lambda request: request.body, "/no": Response("no", 403), "/c": shout}) as http:
        http.send(get("/", "Expect: 100-continue", "Content-Length: 3", method="PUT"))
        assert http.take_all() == [b"HTTP/1.1 100 Continue\r\n\r\n"]
        http.send(b"abc")
        assert whole(http) == page(b"abc", "application/octet-stream")
        http.send(get("/c", "Expect: 100-continue", "Content-Length: 3", method="PUT"))
        assert http.take_all() == [b"HTTP/1.1 100 Continue\r\n\r\n"]
        http.send(b"abc")
        assert whole(http) == chunked(b"ABC")
        http.send(get("/no", "Expect: 100-continue", "Content-Length: 3"))
        assert b"403 Forbidden" in (sent := whole(http))
        assert b"100 Continue" not in sent
        assert http.outcome == "ended"


# -- handlers -----------------------------------------------------------------------------------------


def handler(function: Any) -> Any:
    return type("Handled", (), {"answer": lambda self, exchange: function(exchange)})()


def test_handlers_answer_in_pieces_or_return_an_answer() -> None:
    async def pieces(exchange: Exchange) -> None:
        await exchange.inform(103, Headers({"Link": "</x>"}))
        await exchange.begin(Response(type="text/x"), 6)
        async for piece in exchange:
            await exchange.send(piece)
        await exchange.send(memoryview(b"def"))

    async def whole_(exchange: Exchange) -> None:
        await exchange.answer({"method": exchange.request.method})

    routes = {
        "/pieces": handler(pieces),
        "/whole": handler(whole_),
        "/plain": handler(lambda exchange: f"plain {exchange.request.path}"),
        "/nothing": handler(lambda exchange: None),
    }
    with http_with(routes) as http:
        http.send(get("/pieces", method="POST", body=b"abc"))
        assert whole(http) == b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + page(b"abcdef", "text/x")
        http.send(get("/whole"))
        assert whole(http) == page(b'{"method":"GET"}', "application/json")
        http.send(get("/plain"))
        assert whole(http) == page(b"plain /plain")
        http.send(get("/nothing"))
        assert b"204 No Content" in whole(http)


def test_a_piece_may_be_what_the_transport_knows_to_send() -> None:
    class Piece:
        count = 300

        def __len__(self) -> int:
            return self.count

    piece = Piece()

    async def send(exchange: Exchange) -> None:
        await exchange.begin(Response(b""), 300 if exchange.request.path == "/counted" else None)
        await exchange.send(piece)

    with http_with({"/*": handler(send)}) as http:
        http.send(get("/counted"))
        assert http.take_all()[1:] == [piece]
        http.send(get("/chunked"))
        assert http.take_all()[1:] == [b"12c\r\n", piece, b"\r\n", b"0\r\n\r\n"]
        http.send(get("/counted", method="HEAD"))
        assert len(http.take_all()) == 1


def test_a_handler_that_promises_too_much_breaks_the_connection() -> None:
    async def short(exchange: Exchange) -> None:
        await exchange.begin(Response(b""), 10)
        await exchange.send(b"short")

    with http_with({"/": handler(short)}) as http:
        http.send(get())
        assert whole(http).endswith(b"short")
        assert "5 bytes are missing" in str(http.take("failures").error)
        assert http.ended


def test_a_handler_speaks_another_protocol() -> None:
    async def upgrade(exchange: Exchange) -> None:
        first = await exchange.switch(Response(b"", 101, {"Upgrade": "echo", "Connection": "upgrade"}))
        await exchange.outbox.send(b"first " + first)
        async for data in exchange.inbox:
            await exchange.outbox.send(data)

    async def serve(exchange: Exchange) -> None:
        first = await exchange.switch(Response(b"", 101))
        await exchange.serve(shout, first)

    for route in (upgrade, serve):
        with http_with({"/": handler(route)}) as http:
            http.send(get() + b"x")
            assert whole(http).endswith(b"first x" if route is upgrade else b"X")
            http.send(b"ABC")
            assert whole(http) == b"ABC"
            http.close()
            assert http.outcome == "ended"


# -- the end ------------------------------------------------------------------------------------------


def test_a_stop_lets_what_was_asked_be_answered() -> None:
    async def slow(request: Any) -> str:
        await sleep(1)
        return request.path

    with http_with({"/*": slow}) as http:
        http.send(get("/one") + get("/two"))
        http.send(get("/three"))
        http.stop()
        http.advance(3)
        sent = whole(http)
        assert [one[-5:] for one in sent.split(b"HTTP/1.1 ")[1:]] == [b"\n/one", b"\n/two", b"three"]
        assert sent.count(b"Connection: close") == 1
        assert http.outcome == "ended"


def test_a_stop_ends_a_stream_in_good_order() -> None:
    @component
    async def feed(inbox: Any, outbox: Any) -> None:
        n = 0
        while True:
            await outbox.send(f"data: {n}\n\n")
            n += 1
            await sleep(1)

    with http_with({"/": feed}) as http:
        http.send(get())
        http.advance(2.5)
        http.stop()
        assert whole(http).endswith(b"data: 2\n\n\r\n0\r\n\r\n")
        assert http.outcome == "ended"


# -- arguments ----------------------------------------------------------------------------------------


def test_routes_that_cannot_be_meant() -> None:
    class Numbers(Component):
        inbox = Inbox[int]("numbers")

        async def main(self) -> None: ...

    for routes, error, text in [
        (["/"], TypeError, "routes are a mapping of paths"),
        ({"a": ""}, ValueError, "'a' is no route: write '/path', 'POST /path'"),
        ({"get /": ""}, ValueError, "methods are in capitals: GET"),
        ({5: ""}, ValueError, "5 is no route"),
        ({"/": 5}, TypeError, "the route /: 5 answers nothing"),
        ({"/": lambda: "x"}, TypeError, r"<lambda>\(\) is to be called with the request"),
        ({"/": Numbers}, LinkError, "the body of a request is bytes"),
        ({"/{a}": "", "/{b}": ""}, ValueError, r"the route /\{b\} is there twice"),
        ({"/{a}/{a}": ""}, ValueError, "uses a name twice"),
        ({"/a*b": ""}, ValueError, "a segment is text"),
        ({"/": "", ("GET", "/"): ""}, ValueError, "the route GET / is there twice"),
        ({"GET /a": {"/b": ""}}, ValueError, "mounted at a path, without a method"),
        ({"/": type("H", (), {"answer": lambda self, exchange: None})}, TypeError, "H is a class: make one"),
    ]:
        with pytest.raises(error, match=text):
            HTTPProtocol(routes)
    with pytest.raises(TypeError, match="give Limits"):
        HTTPProtocol({}, limits={"body": 5})  # type: ignore[arg-type]
    for wrong in ({"body": "much"}, {"headers": 0}, {"header_timeout": 0}, {"head": None}):
        with pytest.raises((ValueError, TypeError, UsageError)):
            Limits(**wrong)


def test_connections_share_routes_and_counts() -> None:
    pattern = HTTPProtocol({"/": "x"})
    assert make(pattern).site is pattern.site
