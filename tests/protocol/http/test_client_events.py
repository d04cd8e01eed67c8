"""`EventSource` in virtual time."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from kamaelia.protocol.http import BadStatus, EventSource, RequestFailed
from kamaelia.protocol.http.events import Event
from kamaelia.testing import drive

from .servers import OK, ok, scripted

HEAD = OK + b"Content-Type: text/event-stream\r\n\r\n"


class Server:
    """Does one thing after the other, one for each request; keeps what clients said of the last event."""

    def __init__(self, *turns: list[Any]) -> None:
        self.turns = list(turns)
        self.asked: list[str | None] = []

    def __call__(self, head: bytes, body: bytes) -> list[Any]:
        assert b"\r\nAccept: text/event-stream" in head
        _, found, rest = head.partition(b"\r\nLast-Event-ID: ")
        self.asked.append(rest.split(b"\r\n")[0].decode() if found else None)
        return self.turns.pop(0)


def test_events_come_as_they_are_sent():
    server = Server([HEAD, b"data: one\n\ndata: t", 5, b"wo\n\n", 1000])
    with drive(EventSource("http://a/", pool=scripted(server))) as source:
        assert source.take_all() == [Event("one")]
        source.advance(5)
        assert source.take_all() == [Event("two")]
        source.leave()
        source.advance(1)
        assert source.outcome == "ended"


def test_it_comes_back_and_says_where_it_was():
    server = Server(
        [HEAD, b"retry: 1000\nid: 7\ndata: one\n\n", "close"],
        ["close"],
        [HEAD, b"data: two\n\n", "close"],
        [ok(status="204 No Content")],
    )
    with drive(EventSource("http://a/", pool=scripted(server))) as source:
        assert source.take_all() == [Event("one", id="7")]
        source.advance(0.99)
        assert server.asked == [None]
        source.finish(60)
        assert source.take_all() == [Event("two", id="7")]
        assert server.asked == [None, "7", "7", "7"]
        assert source.outcome == "ended"


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (b"1 ", "1"),
        (b" 1\t", "1"),
        (b"a\x08b", None),
        (b"a\x7f", None),
        (b" ", None),
        (b"\xc3\xa9 x", "\xe9 x"),
    ],
)
def test_an_id_that_cannot_stand_in_a_header_ends_nothing(said, sent):
    server = Server([HEAD, b"id: " + said + b"\ndata: one\n\n", "close"], [HEAD, b"data: two\n\n", 1000])
    with drive(EventSource("http://a/", retry=1, pool=scripted(server))) as source:
        source.advance(2)
        assert [event.data for event in source.take_all()] == ["one", "two"]
        assert server.asked == [None, sent]
        source.leave()


def test_a_server_that_wants_us_back_at_once_gets_us_back_soon():
    server = Server(*[[HEAD, b"retry: 0\ndata: one\n\n", "close"]] * 1000)
    with drive(EventSource("http://a/", retry=1, pool=scripted(server))) as source:
        source.advance(1)
        assert 5 <= len(server.asked) <= 11
        source.leave()


def test_it_waits_longer_and_longer():
    server = Server(*[["close"]] * 100)
    times = []
    with drive(EventSource("http://a/", retry=1, pool=scripted(server))) as source:
        while len(times) < 9:
            if len(server.asked) > len(times):
                times.append(source.time)
            source.skip()
        source.leave()
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    for wait, least in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
        assert least <= wait <= 1.5 * least
    assert len({wait / least for wait, least in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60), strict=True)}) > 3


def test_an_event_lets_the_waits_begin_anew():
    server = Server(*[["close"]] * 5, [HEAD, b"data: one\n\n", "close"], [HEAD, b"data: two\n\n", 1000])
    with drive(EventSource("http://a/", retry=1, pool=scripted(server))) as source:
        while len(server.asked) < 6:
            source.skip()
        source.advance(1.5)
        assert len(server.asked) == 7
        assert source.take_all() == [Event("one"), Event("two")]
        source.leave()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (ok(status="404 Not Found"), "there are no events here: the answer is 404 Not Found"),
        (ok(b"hello", "Content-Type: text/html"), "the answer is of the type 'text/html'"),
        (ok(b"hello"), "the answer is of the type None"),
    ],
)
def test_an_answer_that_will_not_change_is_a_failure(answer, text):
    with drive(EventSource("http://a/", pool=scripted(Server([answer])))) as source:
        assert isinstance(source.error, BadStatus)
        assert text in str(source.error)


def test_an_answer_that_may_change_is_tried_again():
    server = Server([ok(status="503 Later")], [HEAD, b"data: one\n\n", 1000])
    with drive(EventSource("http://a/", retry=1, pool=scripted(server))) as source:
        source.advance(2)
        assert source.take_all() == [Event("one")]
        source.leave()


def test_an_event_that_is_too_long_breaks_the_connection():
    server = Server([HEAD, *([b"data: " + b"x" * 100_000 + b"\n"] * 11)], [HEAD, b"data: one\n\n", 1000])
    with drive(EventSource("http://a/", retry=1, pool=scripted(server))) as source:
        source.advance(2)
        assert source.take_all() == [Event("one")]
        source.leave()


def test_silence_for_too_long_breaks_the_connection():
    server = Server([HEAD, b"data: one\n\n", 1000], [HEAD, b"data: two\n\n", 1000])
    with drive(EventSource("http://a/", retry=1, idle_timeout=30, pool=scripted(server))) as source:
        source.advance(29)
        assert len(server.asked) == 1
        source.advance(3)
        assert source.take_all() == [Event("one"), Event("two")]
        source.leave()


@pytest.mark.parametrize("when", [0.5, 2])
def test_a_stop_ends_it(when):
    server = Server(["close"], [HEAD, b"data: one\n\n", 1000])
    with drive(EventSource("http://a/", retry=1.5, pool=scripted(server))) as source:
        source.advance(when)
        source.stop()
        source.advance(1)
        assert source.outcome == "ended"
        assert source.state("outbox") == "ended"


def test_a_slow_reader_holds_back_the_server():
    server = Server([HEAD, *[b"data: %d\n\n" % n for n in range(2000)], 1000])
    with drive(EventSource("http://a/", pool=scripted(server)), sizes={"outbox": 1}) as source:
        assert source.waits_to_be_taken() == 1
        assert [event.data for event in source.take_all()] == [str(n) for n in range(2000)]
        source.leave()


@pytest.mark.one_core
def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r"EventSource: 'x': only http and https are spoken here"):
        EventSource("x")
    with pytest.raises(ValueError, match=r"EventSource\(retry=0\): give the seconds before coming back"):
        EventSource("http://a/", retry=0)
    assert issubclass(BadStatus, RequestFailed)
