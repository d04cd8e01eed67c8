"""Server-sent events, by WHATWG HTML, 9.2."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError, RemoteProtocolError
from kamaelia.protocol.http import Response
from kamaelia.protocol.http.events import Event, EventParser, ServerSentEvents
from kamaelia.testing import drive
from tests.fuzz import fuzz_http_events

pure = pytest.mark.one_core

PIECES = [b"data", b":", b" ", b"\r", b"\n", b"id", b"event", b"retry", b"5", b"\xef\xbb\xbf", b"\0"]


@pure
@pytest.mark.parametrize(
    ("event", "wire"),
    [
        (Event("tea"), b"data: tea\n\n"),
        (Event(""), b"data: \n\n"),
        (Event("a\nb\r\nc\rd\n"), b"data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (Event("a\x0bb\u2028c"), "data: a\x0bb\u2028c\n\n".encode()),  # these end no line
        (Event(" a"), b"data:  a\n\n"),
        (Event("x", event="price", id="7", retry=2.5), b"event: price\nid: 7\nretry: 2500\ndata: x\n\n"),
        (Event("x", id=""), b"id: \ndata: x\n\n"),
        (Event("\ud800"), b"data: ?\n\n"),
    ],
)
def test_events_are_written(event: Event, wire: bytes) -> None:
    assert event.wire == wire


@pure
@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"data": b"x"}, r"Event\(b'x'\): give a text; json.dumps makes one of a value"),
        ({"data": None}, r"Event\(None\): give a text"),
        ({"data": "x", "event": "a\nb"}, r"Event\(event='a\\nb'\): give one line of text"),
        ({"data": "x", "id": "a\rb"}, r"Event\(id='a\\rb'\): give one line of text"),
        ({"data": "x", "id": "a\0b"}, r"Event\(id='a\\x00b'\): give one line of text"),
        ({"data": "x", "id": 7}, r"Event\(id=7\): give one line of text"),
        ({"data": "x", "retry": -1}, r"Event\(retry=-1\): give the seconds, 0 or more"),
        ({"data": "x", "retry": "1"}, r"Event\(retry='1'\): give the seconds"),
    ],
)
def test_what_is_no_event(given: dict[str, Any], text: str) -> None:
    with pytest.raises(LocalProtocolError, match=text):
        Event(**given)


@pure
@pytest.mark.parametrize(
    ("stream", "events"),
    [
        # 9.2.6: the examples
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event("YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [Event("first event", id="1"), Event("second event", id=""), Event(" third event", id="")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [Event(""), Event("\n")]),
        (b"data:test\n\ndata: test\n\n", [Event("test"), Event("test")]),
        # 9.2.5: three ends of line, and a mark of the byte order
        (b"data: a\rdata: b\r\rdata: c\r\n\r\n", [Event("a\nb"), Event("c")]),
        (b"data: a\r\n\ndata: b\n\r\n", [Event("a"), Event("b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event("a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Event("a")]),
        # 9.2.6: fields
        (b"event: x\ndata: a\n\ndata: b\n\n", [Event("a", event="x"), Event("b")]),
        (b"event: x\nevent: y\ndata: a\n\n", [Event("a", event="y")]),
        (b"event: x\nevent\ndata: a\n\n", [Event("a")]),
        (b"event: \0\ndata: \0\n\n", [Event("\0", event="\0")]),
        (b"event: x\n\ndata: a\n\n", [Event("a")]),  # without data there is no event
        (b"id: 1\n\ndata: a\n\n", [Event("a", id="1")]),
        (b"id: 1\nid: a\0b\ndata: a\n\n", [Event("a", id="1")]),
        (b"Data: a\nDATA: b\n data: c\ndata : d\nother: e\n\n", []),
        (b"data: a:b: c\n\n", [Event("a:b: c")]),
        (b":data: a\n\n", []),
        (b"data: \xff\xe2\x98\x83\xe2\n\n", [Event("\ufffd\N{SNOWMAN}\ufffd")]),
        # what is cut off is none
        (b"data: a\n", []),
        (b"data: a", []),
        (b"", []),
    ],
)
def test_streams_are_read_whole_and_byte_by_byte(stream: bytes, events: list[Event]) -> None:
    assert EventParser().feed(stream) == events
    parser = EventParser()
    assert [event for n in range(len(stream)) for event in parser.feed(stream[n : n + 1])] == events


@pure
def test_the_end_of_a_line_may_come_in_two_halves() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\r") == []
    assert parser.feed(b"\n\r") == [Event("a")]
    assert parser.feed(b"") == []
    assert parser.feed(b"\ndata: b\r\n\r\n") == [Event("b")]


@pure
@pytest.mark.parametrize(
    ("line", "seconds"),
    [("2500", 2.5), ("0", 0.0), ("", None), ("1.5", None), ("-1", None), ("\u0662", None), ("9" * 13, None)],
)
def test_how_long_to_wait_after_a_break(line: str, seconds: float | None) -> None:
    parser = EventParser()
    assert parser.feed(f"retry: {line}\n\n".encode()) == []
    assert parser.retry == seconds


@pure
def test_where_to_go_on_is_what_the_last_whole_event_has_said() -> None:
    parser = EventParser(last_id="6")
    assert parser.feed(b"data: a\n\nid: 7\ndata: b\n") == [Event("a", id="6")]
    assert parser.last_id == "6"
    assert parser.feed(b"\n") == [Event("b", id="7")]
    assert parser.last_id == "7"


@pure
@pytest.mark.parametrize(
    "stream", [b"data: aaaaa", b"data: a\ndata: a", b"aaaaaaaaaaa", b"a\n" * 11, b":" * 11, b"event: aaaa"]
)
def test_an_event_has_a_bound(stream: bytes) -> None:
    text = "an event has more than 10 bytes"
    with pytest.raises(RemoteProtocolError, match=text):
        EventParser(most=10).feed(stream + b"\n\n")
    parser = EventParser(most=10)
    with pytest.raises(RemoteProtocolError, match=text):
        for n in range(len(stream)):
            parser.feed(stream[n : n + 1])


@pure
def test_comments_may_come_for_ever() -> None:
    parser = EventParser(most=20)
    assert parser.feed(b":1234567\n" * 1000 + b"data: aaaa\n" + b": alive\n\n") == [Event("aaaa")]


@pure
@given(st.lists(st.tuples(st.text(), st.none() | st.text("ab:é ", min_size=1), st.none() | st.text("12 "))))
def test_what_is_written_is_read_again(given: list[tuple[str, str | None, str | None]]) -> None:
    events, last = [], None
    for data, kind, id in given:
        last = last if id is None else id
        events.append((Event(data, kind, id), last))
    found = EventParser().feed(b"".join(event.wire for event, _ in events))
    assert [(one.data, one.event, one.id) for one in found] == [
        (event.data.replace("\r\n", "\n").replace("\r", "\n"), event.event, last) for event, last in events
    ]


@pure
@settings(max_examples=400)
@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from([b"data", b":", b" ", b"\r", b"\n", b"id", b"x"])).map(b"".join)
)
def test_fuzz(data: bytes) -> None:
    fuzz_http_events.one_input(data)


# --- the part -------------------------------------------------------


def test_a_response_comes_first_and_then_events() -> None:
    with drive(ServerSentEvents()) as part:
        response = part.take()
        assert isinstance(response, Response)
        assert (response.status, response.headers.pairs) == (
            200, [("Cache-Control", "no-cache"), ("Content-Type", "text/event-stream")],
        )  # fmt: skip
        part.send("tea", Event("milk", event="price", id="2"))
        assert part.take_all() == [b"data: tea\n\n", b"event: price\nid: 2\ndata: milk\n\n"]
        part.close()
        assert part.outcome == "ended"


def test_silence_is_broken_by_a_sign_of_life() -> None:
    with drive(ServerSentEvents(keep_alive=10)) as part:
        part.take()
        part.advance(9)
        part.expect_nothing()
        part.send("tea")
        assert part.take() == b"data: tea\n\n"
        part.advance(9.5)
        part.expect_nothing()
        part.advance(11)
        assert part.take_all() == [b":\n\n"] * 2


def test_silence_may_be_left_alone() -> None:
    with drive(ServerSentEvents(keep_alive=None)) as part:
        part.take()
        part.advance(100_000)
        part.expect_nothing()


def test_a_slow_client_holds_it_back() -> None:
    with drive(ServerSentEvents(keep_alive=10), sizes={"outbox": 1}) as part:
        part.advance(100)
        assert part.waiting == "send to ServerSentEvents.outbox"
        assert isinstance(part.take(), Response)
        part.expect_nothing()


def test_what_was_broken_off_stays_so() -> None:
    with drive(ServerSentEvents()) as part:
        part.send("tea")
        part.fail(ConnectionError("gone"))
        assert part.take_all()[1:] == [b"data: tea\n\n"]
        assert (part.outcome, part.state("outbox")) == ("broken", "failed")


def test_it_ends_when_the_client_has_gone_and_at_a_stop() -> None:
    with drive(ServerSentEvents()) as part:
        part.leave()
        assert part.outcome == "ended"
    with drive(ServerSentEvents()) as part:
        part.send("tea")
        part.stop()
        assert part.take_all()[1:] == [b"data: tea\n\n"]
        assert part.outcome == "ended"


def test_what_it_does_not_take() -> None:
    with drive(ServerSentEvents()) as part:
        part.send({"a": 1})
        assert isinstance(part.error, LocalProtocolError)
        assert str(part.error) == (
            "ServerSentEvents sends text or an Event, but got {'a': 1}: put Map(...) before it, that makes "
            "text of it, such as Map(json.dumps)"
        )


@pure
def test_arguments() -> None:
    with pytest.raises(ValueError, match=r"ServerSentEvents\(keep_alive=0\): give the seconds of silence"):
        ServerSentEvents(keep_alive=0)
