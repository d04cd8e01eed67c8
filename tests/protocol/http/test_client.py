"""`HTTPClient`, `Fetch` and `fetch` in virtual time: their servers are components, too."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
from typing import Any

import pytest

from kamaelia import Component, Graphline, clock, component, run, sleep
from kamaelia.axon import ComponentsFailed, SourceFailed, VirtualLoop
from kamaelia.flow import Collect, Map, Source
from kamaelia.protocol.http import (
    BadStatus,
    BodyTooLong,
    ConnectionPool,
    Fetch,
    Headers,
    HTTPClient,
    PoolFull,
    RedirectRefused,
    Request,
    RequestFailed,
    TimedOut,
    TimeLimits,
    fetch,
)
from kamaelia.protocol.http.cookies import CookieJar
from kamaelia.testing import drive

from .servers import OK, Script, ok, scripted


def say_target(head: bytes, body: bytes) -> list[Any]:
    return [ok(head.split(b" ")[1])]


def answers(requests: list[Any], answer: Any, log: list[Any] | None = None, **options: Any) -> list[Any]:
    """Return what a client makes of requests to a scripted server."""
    pool = {name: options.pop(name) for name in ("per_host", "limit", "idle", "waiting") if name in options}
    client = HTTPClient(pool=scripted(answer, log, **pool), **options)
    return run(Source(requests) | client | Collect(), loop_factory=VirtualLoop)


def failure(requests: list[Any], answer: Any, **options: Any) -> Exception:
    with pytest.raises(ComponentsFailed) as caught:
        answers(requests, answer, **options)
    (error,) = caught.value.exceptions
    return error


# --- requests and answers -----------------------------------------------------------------------------


def test_addresses_go_in_and_answers_come_out_in_order():
    def answer(head: bytes, body: bytes) -> list[Any]:
        target = head.split(b" ")[1]
        return [float(target[1:]), ok(target)]

    found = answers([f"http://a/{n}" for n in (3, 1, 2)], answer)
    assert [(one.status, one.body, one.url, one.request.target) for one in found] == [
        (200, b"/3", "http://a/3", "http://a/3"),
        (200, b"/1", "http://a/1", "http://a/1"),
        (200, b"/2", "http://a/2", "http://a/2"),
    ]
    found = answers([f"http://a/{n}" for n in (3, 1, 2)], answer, ordered=False)
    assert [one.body for one in found] == [b"/1", b"/2", b"/3"]


def test_what_is_sent_for_an_address():
    heads = []
    answers(["http://me:you@a:81/x?y#z"], lambda head, body: [heads.append(head) or ok()])
    assert heads == [
        b"GET /x?y HTTP/1.1\r\nHost: a:81\r\nUser-Agent: kamaelia/2.0\r\nAccept: */*\r\n"
        b"Accept-Encoding: gzip, deflate\r\nAuthorization: Basic bWU6eW91"
    ]


def test_a_request_has_its_own_headers_and_body():
    heads = []
    request = Request("POST", "http://a/x", Headers({"Accept": "text/plain", "user-agent": "me"}), b"hello")
    (answer,) = answers(
        [request],
        lambda head, body: [heads.append(head) or ok(body.upper())],
        headers={"Accept": "not this", "X-All": "1"},
        decompress=False,
    )
    assert answer.body == b"HELLO" and answer.request is request
    assert heads == [
        b"POST /x HTTP/1.1\r\nHost: a\r\nX-All: 1\r\nAccept: text/plain\r\nuser-agent: me\r\n"
        b"Content-Length: 5"
    ]


def test_every_status_is_an_answer():
    (answer,) = answers(["http://a/"], lambda head, body: [ok(b"no", status="404 Not Found")])
    assert (answer.status, answer.body) == (404, b"no")


def test_hints_are_passed_over_and_trailers_kept():
    chunks = b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nSum: 7\r\n\r\n"
    (answer,) = answers(
        ["http://a/"], lambda head, body: [b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", OK + chunks]
    )
    assert answer.body == b"hi" and answer.trailers["sum"] == "7"


def test_no_more_requests_are_made_at_a_time_than_were_allowed():
    now, most = 0, 0

    class Count:
        def __call__(self, head: bytes, body: bytes) -> Any:
            nonlocal now, most
            now += 1
            most = max(most, now)
            yield 1
            now -= 1
            yield ok()

    answers([f"http://a{n}/" for n in range(20)], Count(), concurrency=3)
    assert most == 3


def test_no_more_answers_wait_for_an_earlier_one_than_three_for_each_asker():
    log: list[Any] = []
    with drive(HTTPClient(pool=scripted(slow_first, log), concurrency=2)) as client:
        for n in range(20):
            client.send(f"http://a/{n}")
        client.advance(5)
        asked = [one for one in log if one.startswith("GET")]
        assert len(asked) == 6 and client.waits_to_be_taken() == 0
        client.advance(100)
        assert [one.body for one in client.take_all()] == [b"/%d" % n for n in range(20)]


def slow_first(head: bytes, body: bytes) -> list[Any]:
    target = head.split(b" ")[1]
    return [10 if target == b"/0" else 0.1, ok(target)]


def test_a_slow_reader_holds_requests_back():
    log: list[Any] = []
    with drive(HTTPClient(pool=scripted(say_target, log), concurrency=2), sizes={"outbox": 1}) as client:
        for n in range(30):
            client.send(f"http://a/{n}")
        client.advance(60)
        assert len([one for one in log if one.startswith("GET")]) <= 9
        for n in range(30):
            assert client.take().body == b"/%d" % n
        client.close()
        client.finish()


# --- failures -----------------------------------------------------------------------------------------


def broken(head: bytes, body: bytes) -> list[Any]:
    return [OK + b"Content-Length: 5\r\n\r\nhel", "close"]


def test_a_request_that_fails_is_a_failure_of_the_client():
    error = failure(["http://a/x"], broken)
    assert type(error) is RequestFailed
    assert str(error) == (
        "Pipeline/HTTPClient/asker-1: GET http://a/x: the server closed the connection in the middle of the "
        "body of its answer: bytes missing: 2 (GET '/x')"
    )
    assert error.request.target == "/x"


def test_with_somebody_to_tell_the_others_go_on():
    pool = scripted(lambda head, body: broken(head, body) if b"/bad" in head else say_target(head, body))
    with drive(HTTPClient(pool=pool)) as client:
        client.send("http://a/1", "http://a/bad", "gopher://a/", "http://a/2")
        assert [one.body for one in client.take_all()] == [b"/1", b"/2"]
        first, second = client.take_all("failures")
        assert first.message == "http://a/bad" and "bytes missing: 2 (" in str(first.error)
        assert second.message == "gopher://a/" and "only http and https are spoken here" in str(second.error)
        assert first.path == "HTTPClient" and first.component is client.component
        client.close()
        client.finish()
        done = client.component.statistics()
        assert (done.asked, done.answered, done.failed, done.bytes_in) == (4, 2, 2, 4)


def test_what_is_no_request_is_a_mistake():
    error = failure([7], say_target)
    assert isinstance(error, TypeError)
    assert "takes addresses as text, or a Request whose target is one, but got 7" in str(error)


def test_a_mistake_is_a_failure_of_the_client_whoever_listens():
    with drive(HTTPClient(pool=scripted(say_target))) as client:
        client.send(7)
        client.advance(2)
        assert isinstance(client.error, TypeError)
        client.expect_nothing()


def test_a_source_that_fails_is_a_source_that_failed():
    with drive(HTTPClient(pool=scripted(say_target))) as client:
        client.send("http://a/1")
        client.fail(OSError("disk"))
        client.advance(2)
        assert client.outcome == "broken"
        assert client.state("outbox") == "failed"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda head, body: ["close"], "the server closed the connection before it had answered"),
        (lambda head, body: [b"SSH-2.0\r\n\r\n"], "begin with HTTP/, but with b'SSH-"),
        (lambda head, body: [b"x" * 70_000], "not to be understood"),
        (lambda head, body: [b"HTTP/" + b"x" * 70_000], "the answer has more than head_limit=65536 bytes"),
        (lambda head, body: [ConnectionResetError("reset by peer")], "reset by peer"),
        (lambda head, body: [OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi"], "is no gzip"),
        (
            lambda head, body: [OK + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\nhi"],
            "compressed with 'br'",
        ),
    ],
)
def test_what_goes_wrong_names_the_address(answer, text):
    error = failure(["http://a/x"], answer)
    assert str(error).startswith("Pipeline/HTTPClient/asker-1: GET http://a/x: ")
    assert text in str(error)


def test_a_body_that_is_too_long():
    endless = OK + b"\r\n"
    error = failure(["http://a/x"], lambda head, body: [endless, *([b"x" * 1000] * 100)], body_limit="10 kB")
    assert isinstance(error, BodyTooLong)
    assert "has more than body_limit=10000 bytes: allow more, or take it as it comes, with Fetch" in str(
        error
    )


def test_the_limit_of_a_body_is_exact():
    (answer,) = answers(["http://a/"], lambda head, body: [ok(bytes(1000))], body_limit=1000)
    assert len(answer.body) == 1000
    assert isinstance(
        failure(["http://a/"], lambda head, body: [ok(bytes(1001))], body_limit=1000), BodyTooLong
    )


def test_a_bomb():
    bomb = gzip.compress(bytes(30_000_000))
    error = failure(
        ["http://a/x"],
        lambda head, body: [ok(bomb, "Content-Encoding: gzip")],
        body_limit="10 MB",
    )
    assert isinstance(error, RequestFailed)


def test_compressed_bodies_come_as_they_were():
    (answer,) = answers(
        ["http://a/"], lambda head, body: [ok(gzip.compress(b"hello " * 1000), "Content-Encoding: gzip")]
    )
    assert answer.body == b"hello " * 1000
    (answer,) = answers(
        ["http://a/"], lambda head, body: [ok(b"\x1f\x8b", "Content-Encoding: gzip")], decompress=False
    )
    assert answer.body == b"\x1f\x8b"


# --- time ---------------------------------------------------------------------------------------------


def failure_and_time(answer: Any, **options: Any) -> tuple[Exception, float]:
    @component
    async def ask(inbox, outbox):
        try:
            await fetch("http://a/x", pool="web", **options)
        except RequestFailed as error:
            return error, clock()

    _, result = run(scripted(answer, name="web"), ask(), loop_factory=VirtualLoop)
    return result


def test_no_answer():
    error, when = failure_and_time(lambda head, body: [1000], timeout=TimeLimits(answer=7))
    assert isinstance(error, TimedOut) and isinstance(error, TimeoutError)
    assert str(error).endswith(
        "fetch: GET http://a/x: there is no answer after 7 s. A slower server needs TimeLimits(answer=...)"
    )
    assert when == 17  # ten are allowed to connect


def test_an_answer_that_stands_still():
    drip = [OK + b"Content-Length: 9\r\n\r\n", *[4, b"x"] * 3, 1000]
    error, when = failure_and_time(lambda head, body: drip, timeout=TimeLimits(idle=5))
    assert "nothing more has come of the answer for 5 s" in str(error)
    assert when == 17


def test_an_answer_that_takes_too_long_altogether():
    drip = [OK + b"Content-Length: 99\r\n\r\n", *[4, b"x"] * 50]
    error, when = failure_and_time(lambda head, body: drip, timeout=30)
    assert "GET http://a/x: it was not done after 30 s" in str(error)
    assert when == 30


def test_the_time_to_wait_for_a_connection_counts():
    def answer(head: bytes, body: bytes) -> list[Any]:
        return [40, ok()]

    error = failure([f"http://a/{n}" for n in range(3)], answer, per_host=1, timeout=50)
    assert isinstance(error, TimedOut) and "GET http://a/1" in str(error)


# --- elsewhere ----------------------------------------------------------------------------------------


def redirecting(head: bytes, body: bytes) -> list[Any]:
    """``/301/x`` sends to ``x``, and anything else says what was asked."""
    target = head.split(b" ")[1].decode()
    if target[1:4].isdigit():
        where = target[5:] if "://" in target else f"/{target[5:]}"
        return [ok(b"over there", f"Location: {where}", status=f"{target[1:4]} Elsewhere")]
    return [ok(head + b"\n" + body)]


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        (301, "GET", b"GET", b""), (301, "POST", b"GET", b""), (302, "POST", b"GET", b""),
        (303, "POST", b"GET", b""), (303, "PUT", b"GET", b""), (307, "POST", b"POST", b"hello"),
        (308, "PUT", b"PUT", b"hello"), (302, "PUT", b"PUT", b"hello"),
    ],
)  # fmt: skip
def test_which_method_goes_on(status, method, then, body):
    log: list[Any] = []
    sent = b"" if method == "GET" else b"hello"
    request = Request(method, f"http://a/{status}/x", Headers({"Content-Type": "text/plain"}), sent)
    (answer,) = answers([request], redirecting, log)
    assert answer.body.startswith(then + b" /x HTTP/1.1\r\n")
    assert answer.body.endswith(b"\n" + body)
    assert (b"Content-Type" in answer.body) is bool(body or method == "GET")
    assert answer.url == "http://a/x"
    assert log[0] == "connect a:80" and sum(one.startswith("connect") for one in log) == 1


def test_what_is_for_one_server_does_not_go_to_another():
    request = Request("GET", "http://a/302/http://b/x", Headers({"Authorization": "secret", "Cookie": "c=d"}))
    (answer,) = answers([request], redirecting, headers={"Proxy-Authorization": "mine"})
    assert b"Host: b" in answer.body and answer.url == "http://b/x"
    assert b"secret" not in answer.body and b"c=d" not in answer.body and b"mine" not in answer.body
    (answer,) = answers(["http://me:you@a/302/http://b/x"], redirecting)
    assert b"Authorization" not in answer.body
    for here in ("x", "http://a:80/x"):
        (answer,) = answers([f"http://me:you@a/302/{here}"], redirecting)
        assert b"Authorization: Basic" in answer.body


def test_a_redirect_that_nobody_wants_to_follow_is_an_answer():
    (answer,) = answers(["http://a/302/x"], redirecting, follow_redirects=False)
    assert answer.status == 302 and answer.headers["location"] == "/x"


@pytest.mark.parametrize("where", ["/x#\xe9", "/x#a b", "/x#\x85", "#\xe9"])
def test_a_redirect_names_a_fragment_that_no_server_hears_of(where):
    # Such as Request would refuse; the server is not to end the client with it.
    there = b"/x" if where.startswith("/") else b"/"
    gone: list[bytes] = []

    def answer(head: bytes, body: bytes) -> list[Any]:
        gone.append(head.split(b" ")[1])
        if len(gone) > 1:
            return [ok(b"there")]
        return [b"HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: " + where.encode() + b"\r\n\r\n"]

    (found,) = answers(["http://a/"], answer)
    assert (found.body, gone) == (b"there", [b"/", there])


def test_there_is_an_end_of_redirects():
    log: list[Any] = []
    error = failure(
        ["http://a/302/302/x"], lambda head, body: [ok(b"", "Location: /", status="302 x")], log=log
    )
    assert isinstance(error, RedirectRefused)
    assert "is the end of 10 redirects" in str(error)
    assert sum(one.startswith("GET") for one in log) == 11


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("ftp://a/", "which is no place of HTTP"),
        ("http://a:99999/", "Port out of range"),
        ("http://a..b/", "sends on to 'http://a..b/'"),
    ],
)
def test_redirects_that_lead_nowhere(where, text):
    error = failure(["http://a/"], lambda head, body: [ok(b"", f"Location: {where}", status="302 x")])
    assert isinstance(error, RedirectRefused)
    assert text in str(error)


def test_https_does_not_lead_to_http():
    error = failure(["https://a/302/http://a/x"], redirecting)
    assert isinstance(error, RedirectRefused) and "which is not secure" in str(error)
    (answer,) = answers(["https://a/302/http://a/x"], redirecting, allow_downgrade=True)
    assert answer.url == "http://a/x"


def test_cookies_are_kept_and_said_again():
    heads = []

    def answer(head: bytes, body: bytes) -> list[Any]:
        heads.append(b"Cookie" in head and head.split(b"Cookie: ")[1].split(b"\r\n")[0])
        return [ok(b"", "Set-Cookie: a=1; Max-Age=50", "Set-Cookie: b=2")]

    jar = CookieJar()
    addresses = ["http://x.example/", "http://x.example/", "http://y.example/"]
    answers(addresses, answer, concurrency=1, cookies=jar)
    assert heads == [False, b"a=1; b=2", False]
    assert len(jar) == 4


# --- proxies ------------------------------------------------------------------------------------------


def test_a_proxy_is_asked_for_whole_addresses():
    heads, log = [], []

    def answer(head: bytes, body: bytes) -> list[Any]:
        heads.append(head)
        return [ok()]

    answers(["http://a:81/x?y"], answer, log, proxy="http://me:you@p:3128")
    assert log[0] == "connect p:3128"
    assert heads[0].startswith(b"GET http://a:81/x?y HTTP/1.1\r\nHost: a:81\r\n")
    assert b"\r\nProxy-Authorization: Basic bWU6eW91" in heads[0]
    assert b"\r\nAuthorization" not in heads[0]


def test_a_proxy_of_the_environment_only_when_asked_for(monkeypatch):
    monkeypatch.setenv("http_proxy", "p:3128")
    monkeypatch.setenv("no_proxy", "b")
    for proxy, first in (
        (None, ["connect a:80", "connect b:80"]),
        ("environment", ["connect p:3128", "connect b:80"]),
    ):
        log: list[Any] = []
        answers(["http://a/", "http://b/"], say_target, log, proxy=proxy)
        assert [one for one in log if one.startswith("connect")] == first


def test_https_goes_through_a_tunnel():
    heads = []

    def answer(head: bytes, body: bytes) -> list[Any]:
        heads.append(head)
        return [b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"]

    error = failure(["https://a/x"], answer, proxy="http://me:you@p:3128")
    assert heads == [b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nProxy-Authorization: Basic bWU6eW91"]
    assert "GET https://a/x: the proxy makes no way to a:443: 407 Proxy Authentication Required" in str(error)


# --- connections --------------------------------------------------------------------------------------


def test_a_connection_is_used_again():
    log: list[Any] = []
    answers([f"http://a/{n}" for n in range(3)], say_target, log, concurrency=1)
    assert log == ["connect a:80", "GET /0", "GET /1", "GET /2", "gone"]


@pytest.mark.parametrize("then", [["close"], []], ids=["at once", "later"])
def test_a_connection_that_the_server_closes_is_not(then):
    log: list[Any] = []
    answer = ok(b"", "Connection: close")
    requests = [Request("POST", f"http://a/{n}") for n in range(2)]
    answers(requests, lambda head, body: [answer, *then], log, concurrency=1)
    end = "close" if then else "gone"
    assert log == ["connect a:80", "POST /0", end, "connect a:80", "POST /1", end]


def test_so_many_connections_for_each_host_and_altogether():
    log: list[Any] = []
    addresses = [f"http://{host}/" for host in "aaaabbbbcccc"]
    pool = scripted(lambda head, body: [1, ok()], log, per_host=2, limit=3)
    client = HTTPClient(concurrency=12, pool=pool)
    with drive(client) as client_:
        client_.send(*addresses)
        assert sorted(one for one in log if one.startswith("connect")) == [
            "connect a:80", "connect a:80", "connect b:80",
        ]  # fmt: skip
        figures = pool.statistics()
        assert (figures.open, figures.idle, figures.waiting) == (3, 0, 9)
        client_.advance(10)
        assert len(client_.take_all()) == 12
        figures = pool.statistics()
        assert figures.open <= 3 and figures.waiting == 0 and figures.made + figures.reused == 12
        assert figures.reused > 0 and figures.failed == 0


def test_an_idle_connection_is_closed_after_a_while():
    log: list[Any] = []
    with drive(HTTPClient(pool=scripted(say_target, log, idle=15))) as client:
        client.send("http://a/")
        client.advance(14.9)
        assert log[-1] == "GET /"
        client.advance(0.2)
        assert log[-1] == "gone"
        client.send("http://a/2")
        assert log[-2:] == ["connect a:80", "GET /2"]


def test_none_is_kept_if_none_is_to_be():
    log: list[Any] = []
    answers(["http://a/0", "http://a/1"], say_target, log, concurrency=1, idle=0)
    assert [one for one in log if one != "gone"] == ["connect a:80", "GET /0", "connect a:80", "GET /1"]


def test_none_is_kept_for_who_waits_already():
    log: list[Any] = []
    answers(["http://a/0", "http://a/1"], say_target, log, per_host=1, idle=0)
    assert sum(one.startswith("connect") for one in log) == 2


@pytest.mark.parametrize(("method", "is_repeated"), [("GET", True), ("PUT", True), ("POST", False)])
def test_a_request_is_repeated_once_if_the_connection_had_been_used_before(method, is_repeated):
    log: list[Any] = []

    class Answer:
        served = 0

        def __call__(self, head: bytes, body: bytes) -> list[Any]:
            self.served += 1
            return ["close"] if self.served == 2 else [ok(b"%d" % self.served)]

    requests = [Request(method, f"http://a/{n}") for n in range(2)]
    pool = scripted(Answer(), log)
    with drive(HTTPClient(pool=pool, concurrency=1)) as client:
        client.send(*requests)
        client.advance(1)
        if is_repeated:
            assert [one.body for one in client.take_all()] == [b"1", b"3"]
            assert log == [
                "connect a:80",
                f"{method} /0",
                f"{method} /1",
                "close",
                "connect a:80",
                f"{method} /1",
            ]
        else:
            assert [one.body for one in client.take_all()] == [b"1"]
            assert "before it had answered" in str(client.take("failures").error)
            assert pool.statistics().failed == 1


def test_no_request_is_repeated_twice():
    class Answer:
        served = 0

        def __call__(self, head: bytes, body: bytes) -> list[Any]:
            self.served += 1
            return ["close"] if self.served >= 2 else [ok()]

    log: list[Any] = []
    error = failure(["http://a/0", "http://a/1"], Answer(), log=log, concurrency=1)
    assert "before it had answered" in str(error)
    assert log.count("GET /1") == 2


def test_a_request_is_repeated_on_a_connection_that_is_new():
    """And not on another that has been idle as long, and is as dead."""

    class Answer:
        served = 0

        def __call__(self, head: bytes, body: bytes) -> list[Any]:
            self.served += 1
            return [1, ok()] if self.served <= 2 else ["close"] if self.served == 3 else [ok(b"good")]

    log: list[Any] = []
    with drive(HTTPClient(pool=scripted(Answer(), log))) as client:
        client.send("http://a/1", "http://a/2")
        client.advance(2)
        client.take_all()
        client.send("http://a/3")
        assert client.take().body == b"good"
    assert [one for one in log if one.startswith("connect")] == ["connect a:80"] * 3


def streams(answer: Any, *pauses: float, method: str = "PUT") -> list[Any]:
    """Return what becomes of some streams, sent one after the other over the same pool, after pauses."""
    log: list[Any] = []

    class Uploads(Component):
        async def main(self) -> None:
            for number, pause in enumerate(pauses):
                await sleep(pause)
                upload = Fetch(f"http://a/{number}", method, pool="web", length=5)
                try:
                    await (Source([b"he", b"llo"]) | upload | Collect()).named(f"upload-{number}").run()
                except Exception as error:
                    log.append(error)

    run(scripted(answer, log, name="web"), Uploads(), loop_factory=VirtualLoop)
    return [one for one in log if one not in ("gone", "close")]


def test_streams_use_a_connection_again_that_was_used_just_now():
    assert streams(say_target, 0, 0.5, 0.5) == ["connect a:80", "PUT /0", "PUT /1", "PUT /2"]


def test_a_stream_goes_over_a_connection_that_is_new_if_the_other_may_be_gone():
    told = streams(say_target, 0, 2, 0.5)
    assert told == ["connect a:80", "PUT /0", "connect a:80", "PUT /1", "PUT /2"]


def test_connections_that_are_too_old_for_a_stream_do_not_pile_up():
    log: list[Any] = []
    pool = scripted(say_target, log, name="web", per_host=100)

    class Uploads(Component):
        async def main(self) -> int:
            for number in range(5):
                upload = Fetch(f"http://a/{number}", "PUT", pool="web", length=5)
                await (Source([b"hello"]) | upload | Collect()).named(f"upload-{number}").run()
                await sleep(2)
            return pool.statistics().open

    uploads = Uploads()
    run(pool, uploads, loop_factory=VirtualLoop)
    assert uploads.result() == 1
    assert log.count("connect a:80") == 5


def test_a_connection_that_takes_the_place_of_another_costs_no_third_one():
    log: list[Any] = []

    class Uploads(Component):
        async def main(self) -> None:
            for name, method, pause in (("a", "GET", 0), ("b", "GET", 0), ("a", "PUT", 2), ("b", "GET", 0)):
                await sleep(pause)
                asked = Source([b"hello"] if method == "PUT" else []) | Fetch(
                    f"http://{name}/", method, pool="web"
                )
                await (asked | Collect()).named(f"{method}-{name}-{len(log)}").run()

    run(scripted(say_target, log, name="web", limit=2), Uploads(), loop_factory=VirtualLoop)
    connects = [one for one in log if one.startswith("connect")]
    assert connects == ["connect a:80", "connect b:80", "connect a:80"]


@pytest.mark.parametrize(
    ("method", "pieces", "is_repeated"), [("PUT", 0, True), ("PUT", 1, False), ("POST", 0, False)]
)
def test_a_stream_is_asked_again_only_if_nothing_of_it_is_gone(method, pieces, is_repeated):
    log: list[Any] = []

    @component
    async def hangs_up(inbox, outbox):
        await inbox.receive()
        await outbox.send(ok())
        for _ in range(1 + pieces):  # the head of the next request, and something of its body
            await inbox.receive()

    def transport(url: Any) -> Any:
        log.append("connect")
        return hangs_up() if log == ["connect"] else Script(say_target, log, url)

    @component
    async def later(inbox, outbox):
        await outbox.send(b"")  # a stream begins when its first piece is there
        for piece in (b"he", b"llo"):
            await sleep(3)
            await outbox.send(piece)

    class Uploads(Component):
        async def main(self) -> Any:
            await (Fetch("http://a/", pool="web") | Collect()).named("first").run()
            upload = later() | Fetch("http://a/2", method, pool="web", length=5) | Collect()
            return await upload.named("second").run()

    uploads = Uploads()
    try:
        run(ConnectionPool("web", transport=transport), uploads, loop_factory=VirtualLoop)
    except ComponentsFailed as failed:
        assert not is_repeated
        assert "the server closed the connection before it had answered" in str(failed.exceptions[0])
    else:
        assert is_repeated and uploads.result() == [b"/2"]
    assert log.count("connect") == 1 + is_repeated


def test_a_connection_that_fails_before_it_is_used_says_why():
    @component
    async def fails(inbox, outbox):
        raise OSError("no cable")

    error = None
    with drive(HTTPClient(pool=ConnectionPool(transport=lambda url: fails()))) as client:
        client.send("http://a/")
        client.advance(1)
        error = client.take("failures").error
    assert str(error) == "HTTPClient/asker-1: GET http://a/: no cable"


@pytest.mark.parametrize(
    "said", [b"HTTP", b"SSH", OK + b"X: a\0b\r\n\r\n", OK + b"Content-Length: x\r\n\r\n"]
)
def test_no_request_is_repeated_when_something_of_an_answer_has_come(said):
    class Answer:
        served = 0

        def __call__(self, head: bytes, body: bytes) -> list[Any]:
            self.served += 1
            return [ok()] if self.served == 1 else [said, "close"]

    log: list[Any] = []
    failure(["http://a/0", "http://a/1"], Answer(), log=log, concurrency=1)
    assert log.count("GET /1") == 1


def test_a_connection_that_cannot_be_made_concerns_nobody_else():
    def transport(url: Any) -> Any:
        if url.host == "b":
            raise OSError("no way to b")
        return Script(say_target, [], url)

    pool = ConnectionPool(transport=transport)
    with drive(HTTPClient(pool=pool)) as client:
        client.send("http://a/1", "http://b/2", "http://a/3")
        (failed,) = client.take_all("failures")
        assert failed.message == "http://b/2" and "GET http://b/2: no way to b" in str(failed.error)
        assert isinstance(failed.error.__cause__, OSError)
        assert [one.body for one in client.take_all()] == [b"/1", b"/3"]
        assert (pool.statistics().made, pool.statistics().failed) == (1, 1)


def test_tls_of_which_a_proxy_cannot_be_told_fails_one_request():
    pool = scripted(say_target, tls=ssl.create_default_context())
    with drive(HTTPClient(pool=pool, proxy="http://p:80")) as client:
        client.send("https://a/")
        client.send("http://a/1")
        (failed,) = client.take_all("failures")
        assert isinstance(failed.error, RequestFailed) and "give ClientTLS(...)" in str(failed.error)
        assert [one.status for one in client.take_all()] == [200]


def test_more_that_wait_than_may_are_refused():
    pool = scripted(lambda head, body: [1, ok()], per_host=1, waiting=2)
    with drive(HTTPClient(pool=pool, concurrency=5, ordered=False)) as client:
        client.send(*[f"http://a/{n}" for n in range(5)])
        refused = client.take_all("failures")
        assert [one.message for one in refused] == ["http://a/3", "http://a/4"]
        assert isinstance(refused[0].error.__cause__, PoolFull)
        assert "2 requests wait for a connection already: ask less at a time" in str(refused[0].error)
        client.advance(5)
        assert len(client.take_all()) == 3
        assert pool.statistics().refused == 2


def test_an_answer_that_nobody_asked_for_poisons_no_other():
    log: list[Any] = []
    twice = ok(b"good") + ok(b"evil")
    found = answers(["http://a/0", "http://a/1"], lambda head, body: [twice], log, concurrency=1)
    assert [one.body for one in found] == [b"good", b"good"]
    assert sum(one.startswith("connect") for one in log) == 2


def test_clients_share_a_pool_of_a_name():
    log: list[Any] = []
    one, two = HTTPClient(pool="web"), HTTPClient(pool="web")
    run(
        scripted(say_target, log, name="web"),
        Source(["http://a/1"]) | one | Map(lambda answer: "http://a/2") | two | Collect(),
        loop_factory=VirtualLoop,
    )
    assert log == ["connect a:80", "GET /1", "GET /2", "gone"]


# --- one thing ------------------------------------------------------------------------------------------


def test_a_download():
    def answer(head: bytes, body: bytes) -> list[Any]:
        return [OK + b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\none\r\n", 1, b"3\r\ntwo\r\n", b"0\r\n\r\n"]

    with drive(Fetch("http://a/x", pool=scripted(answer)), unlinked=["inbox"]) as one:
        assert one.take("responses").status == 200
        assert one.take_all() == [b"one"]
        one.advance(1)
        assert one.take_all() == [b"two"]
        assert one.outcome == "ended"


def test_an_upload():
    seen = []
    pool = scripted(lambda head, body: [seen.append((head, body)) or ok(b"thanks")])
    with drive(Fetch("http://a/x", "PUT", pool=pool)) as one:
        one.send(b"one", b"two")
        one.expect_nothing()
        one.close()
        assert one.take_all() == [b"thanks"]
        assert one.outcome == "ended"
    ((head, body),) = seen
    assert body == b"onetwo" and b"Transfer-Encoding: chunked" in head


def test_an_upload_of_a_known_length():
    seen = []
    pool = scripted(lambda head, body: [seen.append((head, body)) or ok()])
    with drive(Fetch("http://a/x", "PUT", length=6, pool=pool)) as one:
        one.send(b"one", b"two")
        one.close()
    ((head, body),) = seen
    assert body == b"onetwo" and b"Content-Length: 6" in head


def test_a_slow_source_of_an_upload_is_not_the_servers_fault():
    limits = TimeLimits(answer=5, idle=5)
    with drive(Fetch("http://a/x", "PUT", timeout=limits, pool=scripted(say_target))) as one:
        one.send(b"one")
        one.advance(1000)
        one.send(b"two")
        one.close()
        assert one.take_all() == [b"/x"]
        assert one.outcome == "ended"


def test_an_upload_of_nothing():
    seen = []
    pool = scripted(lambda head, body: [seen.append((head, body)) or ok()])
    with drive(Fetch("http://a/x", "PUT", pool=pool)) as one:
        one.close()
    ((head, body),) = seen
    assert body == b"" and b"Content-Length: 0" in head


def test_an_upload_whose_source_fails_is_broken_off():
    log: list[Any] = []
    with drive(Fetch("http://a/x", "PUT", pool=scripted(say_target, log))) as one:
        one.send(b"one")
        one.fail(OSError("disk"))
        one.advance(2)
        assert one.outcome == "broken"
        assert one.state("outbox") == "failed"
    assert "PUT /x" not in log


def test_a_slow_reader_of_a_download_holds_back_the_server():
    sent = 0

    def answer(head: bytes, body: bytes) -> Any:
        nonlocal sent
        yield OK + b"\r\n"
        for _ in range(200):
            sent += 1
            yield 50_000 * b"x"
        yield "close"

    with drive(Fetch("http://a/x", pool=scripted(answer)), unlinked=["inbox"], sizes={"outbox": 1}) as one:
        assert one.waits_to_be_taken() == 1
        assert sent < 15
        assert sum(map(len, one.take_all())) == 10_000_000
        assert one.outcome == "ended"


def test_a_slow_server_holds_back_an_upload():
    class Slow(Component):
        async def main(self):
            await sleep(100)

    pool = ConnectionPool(transport=lambda url: Slow())
    with drive(Fetch("http://a/x", "PUT", pool=pool)) as one:
        for _ in range(300):
            one.send(10_000 * b"x")
        assert one.full()
        one.close()
        one.advance(200)
        assert isinstance(one.error, RequestFailed)


def test_a_status_of_400_or_more_is_a_failure_of_a_fetch():
    pool = scripted(lambda head, body: [ok(b"not here", status="404 Not Found")])
    with drive(Fetch("http://a/x", pool=pool), unlinked=["inbox"]) as one:
        assert isinstance(one.error, BadStatus)
        assert str(one.error) == (
            "Fetch: GET http://a/x: the answer is 404 Not Found. Check the address; check=False takes every "
            "answer"
        )
        assert one.error.response.body == b"not here"
        assert one.state("outbox") == "failed"
        one.expect_nothing()


def test_unless_told_otherwise():
    pool = scripted(lambda head, body: [ok(b"not here", status="404 Not Found")])
    with drive(Fetch("http://a/x", check=False, pool=pool), unlinked=["inbox"]) as one:
        assert one.take("responses").status == 404
        assert one.take_all() == [b"not here"]


def test_a_server_that_has_had_enough_is_heard_while_we_send():
    def answer_early(url: Any) -> Any:
        @component
        async def early(inbox, outbox):
            await inbox.receive()
            await outbox.send(ok(b"too much", status="413 Too Much"))
            await sleep(1000)  # and reads nothing more

        return early()

    with drive(Fetch("http://a/x", "PUT", pool=ConnectionPool(transport=answer_early))) as one:
        for _ in range(50):
            if not one.is_read():
                break
            one.send(50_000 * b"x")
        assert isinstance(one.error, BadStatus) and one.error.response.status == 413
        assert one.time == 0


def test_a_stream_is_not_sent_twice():
    with drive(Fetch("http://a/307/x", "PUT", pool=scripted(redirecting))) as one:
        one.send(b"hello")
        one.close()
        assert isinstance(one.error, RedirectRefused)
        assert "wants the body, which came as a stream and has gone" in str(one.error)
    with drive(Fetch("http://a/307/x", "PUT", body=b"hello", pool=scripted(redirecting))) as one:
        assert one.take().endswith(b"hello")


def test_half_an_answer_is_a_failure_of_what_reads_it():
    got = []

    class Keep(Component):
        async def main(self):
            try:
                async for data in self.inbox:
                    got.append(data)
            except SourceFailed as error:
                got.append(type(error.__cause__))
                raise

    with pytest.raises(ComponentsFailed):
        run(Fetch("http://a/x", pool=scripted(broken)) | Keep(), loop_factory=VirtualLoop)
    assert got == [b"hel", RequestFailed]


def test_a_reader_that_goes_ends_a_fetch():
    log: list[Any] = []
    endless = scripted(lambda head, body: [OK + b"\r\n", *[1, b"x"] * 1000], log)
    with drive(Fetch("http://a/x", pool=endless), unlinked=["inbox"]) as one:
        one.advance(2)
        one.leave("outbox")
        one.advance(2)
        assert one.outcome == "ended"


# --- inside a component -----------------------------------------------------------------------------------


def test_fetch_in_a_component():
    class Ask(Component):
        async def main(self):
            one = await fetch("http://a/1", pool="web")
            two, three = await asyncio.gather(
                fetch("http://a/2", "POST", body=b"x", headers={"A": "b"}, pool="web"),
                fetch("http://a/3", pool="web"),
            )
            return [answer.body for answer in (one, two, three)]

    _, result = run(scripted(say_target, name="web"), Ask(), loop_factory=VirtualLoop)
    assert result == [b"/1", b"/2", b"/3"]


def test_a_fetch_that_fails_fails_nobody_else():
    class Ask(Component):
        async def main(self):
            try:
                await fetch("http://a/x", pool="web")
            except RequestFailed as error:
                return str(error)

    _, result = run(scripted(broken, name="web"), Ask(), loop_factory=VirtualLoop)
    assert "/Ask/fetch: GET http://a/x: " in f"/{result}" and "bytes missing: 2 (" in result


# --- a stop -----------------------------------------------------------------------------------------------


def test_a_stop_gives_up_what_has_no_answer(caplog):
    with caplog.at_level(logging.WARNING, "kamaelia"):
        with drive(HTTPClient(pool=scripted(lambda head, body: [1000, ok()]), concurrency=2)) as client:
            client.send(*[f"http://a/{n}" for n in range(4)])
            client.stop()
            client.advance(1)
            assert client.outcome in ("ended", "stopped")
            assert client.component.statistics().interrupted == 4
    assert [record.message for record in caplog.records] == [
        "HTTPClient: stopped before 4 requests had their whole answers"
    ]


def test_a_stop_of_half_a_download_is_no_whole_one(caplog):
    half = scripted(lambda head, body: [OK + b"Content-Length: 9\r\n\r\nhello", 1000])
    with drive(Fetch("http://a/x", pool=half), unlinked=["inbox"]) as one:
        assert one.take_all() == [b"hello"]
        one.stop()
        one.advance(6)
        assert one.outcome == "ended"
        assert one.state("outbox") == "failed"
    (record,) = caplog.records
    assert record.message == "Fetch: GET http://a/x: the system was stopped before the whole answer had come"


def test_a_pool_ends_when_all_else_is_at_rest():
    assert run(ConnectionPool("web"), Graphline(Collect()), loop_factory=VirtualLoop) == [None, None]


# --- arguments --------------------------------------------------------------------------------------------


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: HTTPClient(concurrency=0), ValueError, "HTTPClient(concurrency=0): give how many at a time"),
        (
            lambda: HTTPClient(body_limit="lots"),
            ValueError,
            "HTTPClient(body_limit=...)='lots': write a number",
        ),
        (
            lambda: HTTPClient(follow_redirects=-1),
            ValueError,
            "HTTPClient(follow_redirects=-1): give how many",
        ),
        (
            lambda: HTTPClient(pool=7),
            TypeError,
            "HTTPClient(pool=7): give the name of a ConnectionPool, or one",
        ),
        (lambda: HTTPClient(proxy="p:80"), ValueError, "HTTPClient(proxy=...): 'p:80': only http and https"),
        (
            lambda: HTTPClient(proxy="https://p"),
            ValueError,
            "a proxy is spoken to by http; it carries https too",
        ),
        (
            lambda: HTTPClient(timeout=0),
            ValueError,
            "TimeLimits(total=0): give seconds, or None for no limit",
        ),
        (lambda: Fetch("a b"), ValueError, "Fetch: 'a b': blanks"),
        (lambda: Fetch("http://a/", length=-1), ValueError, "Fetch(length=-1): give the bytes of"),
        (lambda: Fetch("http://a/", body="x"), TypeError, "the body of a request is bytes, and not 'x'"),
        (lambda: ConnectionPool(per_host=0), ValueError, "ConnectionPool(per_host=0): give how many"),
        (lambda: ConnectionPool(7), TypeError, "ConnectionPool(7): the name of a pool is a text"),
        (
            lambda: ConnectionPool(transport=7),
            TypeError,
            "ConnectionPool(transport=7): give a function of a URL",
        ),
    ],
)
def test_arguments_are_checked(make, kind, text):
    with pytest.raises((kind, Exception)) as caught:
        make()
    assert text in str(caught.value)
