"""One connection of a client, driven by hand: the wire on one side, requests and responses on the other."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia.axon import LocalProtocolError, RemoteProtocolError
from kamaelia.protocol.http import Headers, HTTPClientProtocol, Request
from kamaelia.protocol.http.client_machine import EndOfResponse, Informational, Switched, Unanswered
from kamaelia.protocol.http.client_protocol import Begin, End, ProxyRefused, Tunnel
from kamaelia.testing import drive

HOST = Headers({"Host": "a"})
GET = Request("GET", "/", HOST)
WIRE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = Request("PUT", "/", HOST)
PUT_WIRE = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"


def plain(events: list[Any]) -> list[Any]:
    return [
        (event.status,)
        if hasattr(event, "status")
        else ("end", event.reusable)
        if isinstance(event, EndOfResponse)
        else event
        for event in events
    ]


def test_one_request_after_the_other():
    with drive(HTTPClientProtocol()) as http:
        http.send(GET, GET, box="requests")
        assert http.take_all() == [WIRE]
        http.send(HELLO)
        assert plain(http.take_all("responses")) == [(200,), b"hello", ("end", True)]
        assert http.take_all() == [WIRE]
        http.send(HELLO[:20])
        http.send(HELLO[20:-2])
        http.send(HELLO[-2:])
        assert plain(http.take_all("responses")) == [(200,), b"hel", b"lo", ("end", True)]
        http.close("requests")
        assert http.outcome == "ended"


def test_the_last_answer_is_waited_for():
    with drive(HTTPClientProtocol()) as http:
        http.send(GET, box="requests")
        http.close("requests")
        assert not http.ended and http.state("outbox") == "open"
        http.send(HELLO)
        assert plain(http.take_all("responses")) == [(200,), b"hello", ("end", True)]
        assert http.outcome == "ended" and http.state("outbox") == "ended"


def test_requests_are_sent_ahead_only_if_asked_for():
    with drive(HTTPClientProtocol(pipeline=2)) as http:
        http.send(GET, GET, GET, box="requests")
        assert http.take_all() == [WIRE, WIRE]
        http.send(HELLO + HELLO[:3])
        assert plain(http.take_all("responses")) == [(200,), b"hello", ("end", True)]
        assert http.take_all() == [WIRE]
        http.send(HELLO[3:] + HELLO)
        assert len(http.take_all("responses")) == 6


def test_a_server_that_closes_owes_what_was_sent_ahead():
    with drive(HTTPClientProtocol(pipeline=2)) as http:
        http.send(GET, GET, box="requests")
        http.send(OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
        assert plain(http.take_all("responses")) == [(200,), ("end", False)]
        assert isinstance(http.error, Unanswered)
        assert str(http.error).endswith("the server closes, and has not answered GET '/'")


def test_so_does_one_that_closes_without_having_said_so():
    with drive(HTTPClientProtocol(pipeline=2)) as http:
        http.send(GET, GET, box="requests")
        http.send(OK + b"\r\nhello")
        http.close("inbox")
        assert plain(http.take_all("responses")) == [(200,), b"hello", ("end", False)]
        assert isinstance(http.error, Unanswered)


def test_what_is_answered_meanwhile_says_nothing_of_what_is_being_sent():
    with drive(HTTPClientProtocol(pipeline=2)) as http:
        http.send(GET, Begin(PUT), b"one", box="requests")
        http.take_all()
        http.send(b"HTTP/1.1 404 Not there\r\nContent-Length: 0\r\n\r\n")
        http.send(b"two", End(), box="requests")
        assert http.take_all() == [b"3\r\ntwo\r\n", b"0\r\n\r\n"]
        http.send(HELLO)
        assert plain(http.take_all("responses")) == [(404,), ("end", True), (200,), b"hello", ("end", True)]


@pytest.mark.parametrize("first", [b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n", HELLO])
def test_nor_whether_the_server_wants_it(first):
    with drive(HTTPClientProtocol(pipeline=2)) as http:
        put = Request("PUT", "/", Headers({"Host": "a", "Expect": "100-continue"}), b"hi")
        http.send(GET, put, box="requests")
        assert len(http.take_all()) == 2
        http.send(b"HTTP/1.1 103 x\r\n\r\n" + first)
        http.expect_nothing("outbox")
        http.send(b"HTTP/1.1 100 x\r\n\r\n")
        assert http.take_all() == [b"hi"]


def test_a_body_goes_out_as_it_comes():
    with drive(HTTPClientProtocol()) as http:
        http.send(Begin(PUT), b"one", b"", bytearray(b"two"), box="requests")
        assert http.take_all() == [PUT_WIRE, b"3\r\none\r\n", b"3\r\ntwo\r\n"]
        http.send(End(Headers({"Sum": 7})), box="requests")
        assert http.take_all() == [b"0\r\nSum: 7\r\n\r\n"]
        http.send(Begin(PUT, 2), box="requests")
        http.send(HELLO)
        assert http.take().endswith(b"Content-Length: 2\r\n\r\n")
        http.send(b"hi", End(), box="requests")
        assert http.take_all() == [b"hi"]


def test_a_slow_transport_holds_back_the_body_and_not_the_answer():
    with drive(HTTPClientProtocol(), sizes={"outbox": 1}) as http:
        http.send(Begin(PUT), b"1", b"2", b"3", b"4", b"5", box="requests")
        assert http.waits_to_be_taken() == 1
        assert http.full("requests")
        http.send(b"HTTP/1.1 103 x\r\n\r\n")
        assert http.take_all("responses") == [Informational(103)]
        assert http.take() == PUT_WIRE
        assert http.waits_to_be_taken() == 1
        assert b"".join(http.take_all()) == b"".join(b"1\r\n%d\r\n" % n for n in range(1, 6))


def test_a_slow_reader_of_the_answer_holds_back_the_wire():
    with drive(HTTPClientProtocol(), sizes={"responses": 2}) as http:
        http.send(GET, box="requests")
        http.send(OK + b"\r\n")
        for _ in range(10):
            http.send(20_000 * b"x")
        assert http.full()
        assert http.waits_to_be_taken("responses") == 2
        taken = http.take_all("responses")
        assert sum(map(len, taken[1:])) == 200_000
        assert not http.full()
        http.close("inbox")
        assert plain(http.take_all("responses")) == [("end", False)]
        assert http.outcome == "ended"


# --- 100-continue -----------------------------------------------------------------------------------

EXPECT = HOST.with_({"Expect": "100-continue"})
ASKING = [
    pytest.param([Begin(Request("PUT", "/", EXPECT), 2), b"hi", End()], id="in parts"),
    pytest.param([Request("PUT", "/", EXPECT, b"hi")], id="whole"),
]


@pytest.mark.parametrize("asked", ASKING)
def test_a_body_waits_until_the_server_wants_it(asked):
    with drive(HTTPClientProtocol()) as http:
        http.send(*asked, box="requests")
        assert http.take().endswith(b"\r\n\r\n")
        http.expect_nothing()
        http.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert http.take_all("responses") == [Informational(100)]
        assert http.take_all() == [b"hi"]
        assert http.time == 0


@pytest.mark.parametrize("asked", ASKING)
def test_a_body_waits_for_a_second_at_most(asked):
    with drive(HTTPClientProtocol()) as http:
        http.send(*asked, box="requests")
        http.take()
        http.advance(0.9)
        http.send(b"HTTP/1.1 103 x\r\n\r\n")  # says nothing of the body
        http.expect_nothing("outbox")
        http.advance(0.11)
        assert http.take_all() == [b"hi"]
        http.send(HELLO)
        assert plain(http.take_all("responses")) == [(103,), (200,), b"hello", ("end", True)]


@pytest.mark.parametrize("asked", ASKING)
def test_a_body_that_is_refused_is_not_sent(asked):
    with drive(HTTPClientProtocol()) as http:
        http.send(*asked, box="requests")
        http.take()
        http.send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        assert plain(http.take_all("responses")) == [(417,), ("end", False)]
        http.expect_nothing()
        assert http.outcome == "ended"


@pytest.mark.parametrize("asked", ASKING)
def test_a_body_follows_an_answer_that_came_before_it(asked):
    with drive(HTTPClientProtocol()) as http:
        http.send(*asked, box="requests")
        http.take()
        http.send(HELLO[:-1])
        assert http.take_all() == [b"hi"]
        http.send(HELLO[-1:])
        assert plain(http.take_all("responses")) == [(200,), b"hell", b"o", ("end", True)]


# --- a server that does not wait ----------------------------------------------------------------------


def test_the_rest_of_a_body_is_not_sent_to_a_server_that_has_refused_it():
    with drive(HTTPClientProtocol()) as http:
        http.send(Begin(PUT), b"one", box="requests")
        http.take_all()
        http.send(b"HTTP/1.1 413 Too much\r\nContent-Length: 3\r\n\r\nno")
        http.send(b"two", box="requests")
        http.expect_nothing("outbox")
        http.send(b"!")
        assert plain(http.take_all("responses")) == [(413,), b"no", b"!", ("end", False)]
        assert http.outcome == "ended"


def test_an_answer_may_begin_before_the_request_is_complete():
    with drive(HTTPClientProtocol()) as http:
        http.send(Begin(PUT), b"one", box="requests")
        http.send(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nONE\r\n")
        http.send(b"two", box="requests")
        http.send(b"3\r\nTWO\r\n")
        http.send(End(), box="requests")
        http.send(b"0\r\n\r\n")
        assert http.take_all() == [PUT_WIRE, b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n"]
        assert plain(http.take_all("responses")) == [(200,), b"ONE", b"TWO", ("end", True)]
        assert not http.ended


# --- ends and failures --------------------------------------------------------------------------------


def test_the_servers_end_between_two_requests_is_the_end():
    with drive(HTTPClientProtocol()) as http:
        http.send(GET, box="requests")
        http.send(HELLO)
        http.close("inbox")
        assert http.outcome == "ended"
        assert not http.component.answering


def test_no_answer_at_all():
    with drive(HTTPClientProtocol()) as http:
        http.send(GET, box="requests")
        http.close("inbox")
        assert isinstance(http.error, Unanswered)
        assert str(http.error) == (
            "HTTPClientProtocol: the server closed the connection before it had answered (GET '/')"
        )
        assert (http.state("responses"), http.state("outbox")) == ("failed", "ended")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (HELLO[:10], "in the middle of the head of its answer, after 10 bytes (GET '/')"),
        (HELLO[:-1], "of its answer: bytes missing: 1 (GET '/')"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "before the end of the chunks"),
    ],
)
def test_half_an_answer(answer, text):
    with drive(HTTPClientProtocol()) as http:
        http.send(GET, box="requests")
        http.send(answer)
        http.close("inbox")
        assert type(http.error) is RemoteProtocolError
        assert text in str(http.error)
        assert http.state("responses") == "failed"


def test_half_a_request_is_broken_off():
    with drive(HTTPClientProtocol()) as http:
        http.send(Begin(PUT), b"one", box="requests")
        http.close("inbox")
        assert isinstance(http.error, Unanswered)
        assert (http.state("responses"), http.state("outbox")) == ("failed", "failed")


def test_what_nobody_asked_for():
    with drive(HTTPClientProtocol()) as http:
        http.send(HELLO)
        assert str(http.error).startswith(
            "HTTPClientProtocol: the server has sent what nobody asked for: b'HTTP/1.1 200 OK\\r\\nCon"
        )
        http.expect_nothing()


def test_an_answer_that_is_complete_is_passed_on_before_what_is_wrong_behind_it():
    with drive(HTTPClientProtocol()) as http:
        http.send(GET, GET, box="requests")
        http.send(HELLO + HELLO)
        assert plain(http.take_all("responses")) == [(200,), b"hello", ("end", True)]
        assert isinstance(http.error, RemoteProtocolError)
        assert http.take_all() == [WIRE]


def test_a_connection_that_breaks():
    with drive(HTTPClientProtocol()) as http:
        http.send(GET, box="requests")
        http.send(HELLO[:-1])
        http.fail(ConnectionResetError("reset"))
        assert http.outcome == "broken"
        assert plain(http.take_all("responses")) == [(200,), b"hell"]
        assert http.state("responses") == "failed"
        assert http.component.answering


def test_a_request_that_breaks_breaks_the_connection():
    with drive(HTTPClientProtocol()) as http:
        http.send(Begin(PUT), b"one", box="requests")
        http.fail(OSError("disk"), "requests")
        assert http.outcome == "broken"
        assert http.take_all() == [PUT_WIRE, b"3\r\none\r\n"]
        assert http.state("outbox") == "failed"


def test_a_body_without_an_end():
    with drive(HTTPClientProtocol()) as http:
        http.send(Begin(PUT), b"one", box="requests")
        http.close("requests")
        assert isinstance(http.error, LocalProtocolError)
        assert str(http.error) == (
            "HTTPClientProtocol: the requests ended in the middle of a body: send an End() after it"
        )


@pytest.mark.parametrize(
    ("messages", "kind", "text"),
    [
        (
            ["GET /"],
            TypeError,
            "HTTPClientProtocol takes a Request, or Begin, bytes and End, but got 'GET /'",
        ),
        ([Request("GET", "/")], LocalProtocolError, "there is no Host"),
        ([Begin(PUT), GET], LocalProtocolError, "came in the middle of a body: send an End() after it"),
        ([b"x"], LocalProtocolError, "no request has been begun whose body could be sent"),
    ],
)
def test_what_cannot_be_sent(messages, kind, text):
    with drive(HTTPClientProtocol()) as http:
        http.send(*messages, box="requests")
        assert type(http.error) is kind
        assert text in str(http.error)


def test_a_transport_that_has_gone_may_have_left_an_answer():
    with drive(HTTPClientProtocol()) as http:
        http.send(Begin(PUT), box="requests")
        http.leave("outbox")
        http.send(b"more", box="requests")
        http.send(b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")
        assert plain(http.take_all("responses")) == [(400,), ("end", False)]
        assert http.outcome == "ended"


def test_nobody_is_interested_any_more():
    with drive(HTTPClientProtocol()) as http:
        http.send(GET, box="requests")
        http.leave()
        assert http.outcome == "ended"


def test_a_stop():
    with drive(HTTPClientProtocol()) as http:
        http.send(GET, box="requests")
        http.send(HELLO[:-1])
        http.stop()
        assert plain(http.take_all("responses")) == [(200,), b"hell"]
        assert http.outcome == "ended"


# --- other things than HTTP ---------------------------------------------------------------------------


def test_after_a_switch_bytes_go_through():
    upgrade = Request("GET", "/", HOST.with_({"Upgrade": "x", "Connection": "upgrade"}))
    with drive(HTTPClientProtocol()) as http:
        http.send(upgrade, box="requests")
        http.take()
        http.send(b"HTTP/1.1 101 x\r\nUpgrade: x\r\n\r\nmore")
        assert plain(http.take_all("responses")) == [(101,), Switched(b"more"), b"more"]
        http.send(b"one", b"two", box="requests")
        http.send(b"three")
        assert http.take_all() == [b"one", b"two"]
        http.close("requests")
        assert http.state("outbox") == "ended"
        http.send(b"four")
        assert http.take_all("responses") == [b"three", b"four"]
        http.close("inbox")
        assert http.outcome == "ended"


def test_a_way_through_a_proxy():
    tunnel = Tunnel("b:443", Headers({"Proxy-Authorization": "Basic eA=="}))
    with drive(HTTPClientProtocol(tunnel=tunnel)) as http:
        http.send(GET, box="requests")
        assert http.take_all() == [
            b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\nProxy-Authorization: Basic eA==\r\n\r\n"
        ]
        http.send(b"HTTP/1.1 200 Go on\r\n\r\n")
        assert http.take_all() == [WIRE]
        http.send(HELLO)
        assert plain(http.take_all("responses")) == [(200,), b"hello", ("end", True)]


def test_a_way_through_a_proxy_that_is_to_be_secret():
    tls = object()
    with drive(HTTPClientProtocol(tunnel=Tunnel("b:443", then=tls))) as http:
        http.send(GET, box="requests")
        http.take()
        http.send(b"HTTP/1.1 200 Go on\r\n\r\n")
        assert http.take_all() == [tls, WIRE]


def test_a_proxy_that_speaks_for_the_server_before_there_is_tls():
    with drive(HTTPClientProtocol(tunnel=Tunnel("b:443", then=object()))) as http:
        http.send(b"HTTP/1.1 200 Go on\r\n\r\nHTTP/1.1 200 OK\r\n")
        assert str(http.error) == "HTTPClientProtocol: the server spoke before TLS had begun"


def test_a_proxy_that_refuses():
    with drive(HTTPClientProtocol(tunnel=Tunnel("b:443"))) as http:
        http.send(GET, box="requests")
        http.send(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
        assert isinstance(http.error, ProxyRefused) and http.error.status == 407
        assert "the proxy makes no way to b:443: 407 Proxy Authentication Required" in str(http.error)


@pytest.mark.one_core
def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r"HTTPClientProtocol\(pipeline=0\): give how many requests"):
        HTTPClientProtocol(pipeline=0)
    with pytest.raises(ValueError, match=r"HTTPClientProtocol\(head_limit=9\)"):
        HTTPClientProtocol(head_limit=9)
