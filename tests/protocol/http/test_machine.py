"""The server's machine of HTTP: states, bytes and events, whole and byte by byte, with both parsers."""

from __future__ import annotations

from typing import Any

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError, UsageError
from kamaelia.protocol.http import Headers, Limits, Refused, Response, parsers
from kamaelia.protocol.http import incoming as incoming_module
from kamaelia.protocol.http import machine as machine_module
from kamaelia.protocol.http.machine import (
    ANSWER,
    BODY,
    CLOSED,
    DONE,
    END,
    ENDED,
    ERROR,
    IDLE,
    NEED_DATA,
    PAUSED,
    READING,
    SWITCHED,
    WRITING,
    Data,
    EndOfRequest,
    ServerMachine,
)  # fmt: skip
from tests.fuzz.fuzz_http_server import one_input

from .feeding import PARSERS, tell
from .test_smuggling import CASES

pytestmark = pytest.mark.one_core()

HOST = [("Host", "x")]

# What comes, and what the machine says of it.
ACCEPTED: dict[str, tuple[bytes, list[Any]]] = {
    "a simple request": (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        [("GET", "/", "1.1", HOST), "end", "ended"],
    ),
    "headers keep their order, case and repetition": (
        b"GET / HTTP/1.1\r\nhOst:x\r\nB: 1\r\nA:\t 2 \t\r\nB: 3\r\nE:\r\n\r\n",
        [("GET", "/", "1.1", [("hOst", "x"), ("B", "1"), ("A", "2"), ("B", "3"), ("E", "")]), "end", "ended"],
    ),
    "a counted body": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        [("POST", "/", "1.1", [*HOST, ("Content-Length", "5")]), b"hello", "end", "ended"],
    ),
    "an empty counted body": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        [("POST", "/", "1.1", [*HOST, ("Content-Length", "0")]), "end", "ended"],
    ),
    "zeros before a length": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0002\r\n\r\nhi",
        [("POST", "/", "1.1", [*HOST, ("Content-Length", "0002")]), b"hi", "end", "ended"],
    ),
    "a chunked body with extensions and trailers": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'5;name="va lue"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nDigest: abc\r\nX:\r\n\r\n',
        [
            ("POST", "/", "1.1", [*HOST, ("Transfer-Encoding", "chunked")]),
            b"hello0123456789",
            [("Digest", "abc"), ("X", "")],
            "ended",
        ],
    ),
    "chunked in capitals": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked \r\n\r\n1\r\nx\r\n0\r\n\r\n",
        [("POST", "/", "1.1", [*HOST, ("Transfer-Encoding", "chunked")]), b"x", "end", "ended"],
    ),
    "pipelined requests": (
        b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
        b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n",
        [
            ("GET", "/a", "1.1", HOST), "end",
            ("POST", "/b", "1.1", [*HOST, ("Content-Length", "2")]), b"hi", "end",
            ("GET", "/c", "1.1", HOST), "end", "ended",
        ],
    ),
    "empty lines before a request": (
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        [("GET", "/", "1.1", HOST), "end", ("GET", "/", "1.1", HOST), "end", "ended"],
    ),
    "Connection: close, and something behind it": (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        [("GET", "/", "1.1", [*HOST, ("Connection", "close")]), "end", "ended"],
    ),
    "close counts among several": (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\nConnection: x, Close\r\n\r\nGET",
        [
            ("GET", "/", "1.1", [*HOST, ("Connection", "Keep-Alive"), ("Connection", "x, Close")]),
            "end", "ended",
        ],
    ),
    "HTTP/1.0 without a host": (
        b"GET / HTTP/1.0\r\n\r\nrubbish",
        [("GET", "/", "1.0", []), "end", "ended"],
    ),
    "HTTP/1.0 that stays": (
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        [("GET", "/", "1.0", [("Connection", "keep-alive")]), "end", ("GET", "/", "1.0", []), "end", "ended"],
    ),
    "the host of an absolute target counts": (
        b"GET http://real.example:8/a?b HTTP/1.1\r\nHost: other\r\nA: 1\r\n\r\n",
        [
            ("GET", "http://real.example:8/a?b", "1.1", [("Host", "real.example:8"), ("A", "1")]),
            "end", "ended",
        ],
    ),
    "OPTIONS *": (
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        [("OPTIONS", "*", "1.1", HOST), "end", "ended"],
    ),
    "an upgrade that nobody takes up": (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        [
            ("GET", "/", "1.1", [*HOST, ("Connection", "upgrade"), ("Upgrade", "h2c")]), "end",
            ("GET", "/", "1.1", HOST), "end", "ended",
        ],
    ),
    "Latin-1 in a value": (
        b"GET / HTTP/1.1\r\nHost: x\r\nName: Andr\xe9\r\n\r\n",
        [("GET", "/", "1.1", [*HOST, ("Name", "Andr\xe9")]), "end", "ended"],
    ),
    "an IPv6 host": (
        b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        [("GET", "/", "1.1", [("Host", "[::1]:80")]), "end", "ended"],
    ),
    "nothing": (b"", ["ended"]),
}  # fmt: skip


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("name", ACCEPTED)
def test_events(name: str, parser: str) -> None:
    data, expected = ACCEPTED[name]
    for piece in (0, 1, 2, 3, 7):
        assert tell(data, parser=parser, piece=piece) == expected


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_cut_short_is_a_beginning_and_ends_or_is_refused(name: str, parser: str) -> None:
    data, expected = ACCEPTED[name]
    for cut in range(len(data)):
        *told, last = tell(data[:cut], parser=parser)
        assert last in ("ended", ("refused", 400))
        if told and isinstance(told[-1], bytes):
            assert expected[len(told) - 1].startswith(told.pop())
        assert expected[: len(told)] == told


def test_the_tables_know_every_state_and_lead_nowhere_else() -> None:
    reading = {IDLE, BODY, END, DONE, CLOSED, ERROR, SWITCHED}
    writing = {IDLE, ANSWER, BODY, DONE, CLOSED, SWITCHED}
    assert {state for state, _ in READING} | set(READING.values()) == reading
    assert {state for state, _ in WRITING} | set(WRITING.values()) == writing
    assert not {CLOSED, ERROR, SWITCHED} & {state for state, _ in READING}  # from there nothing leads back
    assert not {CLOSED, SWITCHED} & {state for state, _ in WRITING}


def begun(request: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", **options: Any) -> ServerMachine:
    machine = ServerMachine(**options)
    machine.receive(request)
    machine.next_event()
    return machine


# What is done to the writing side, from each of its states.
TO_STATE: dict[str, list[str]] = {
    IDLE: [],
    ANSWER: ["request"],
    BODY: ["request", "head"],
    DONE: ["request with body", "whole"],
    CLOSED: ["request", "close", "whole"],
    SWITCHED: ["request", "switch"],
}
DO: dict[str, Any] = {
    "request": lambda machine: (machine.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), machine.next_event()),
    "request with body": lambda machine: (
        machine.receive(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"), machine.next_event(),
    ),
    "inform": lambda machine: machine.send_information(103),
    "head": lambda machine: machine.send_head(Response(b"")),
    "whole": lambda machine: machine.send_whole(Response(b"")),
    "data": lambda machine: machine.send_data(b"x"),
    "end": lambda machine: machine.send_end(),
    "switch": lambda machine: machine.switch(Response(b"", 101)),
    "close": lambda machine: setattr(machine, "closing", True),
}  # fmt: skip


@pytest.mark.parametrize("what", ["inform", "head", "whole", "data", "end", "switch"])
@pytest.mark.parametrize("state", TO_STATE)
def test_what_may_be_sent_in_each_state(state: str, what: str) -> None:
    machine = ServerMachine()
    for one in TO_STATE[state]:
        DO[one](machine)
    assert machine.writing == state
    following = WRITING.get((state, what))
    if following is None:
        with pytest.raises(LocalProtocolError):
            DO[what](machine)
        assert machine.writing == state
    else:
        DO[what](machine)
        # A complete answer to a complete request is followed by the next at once.
        assert machine.writing == (IDLE if following == DONE else following)


@pytest.mark.parametrize("parser", PARSERS)
def test_reading_passes_through_its_states(parser: str) -> None:
    machine = ServerMachine(parser=parser)
    states = [machine.reading]

    def step() -> Any:
        event = machine.next_event()
        states.append(machine.reading)
        return event

    machine.receive(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab")
    step()
    assert step() == Data(b"ab")
    assert step() is NEED_DATA
    machine.receive(b"cGET")
    assert step() == Data(b"c")
    assert isinstance(step(), EndOfRequest)
    assert step() is PAUSED
    machine.send_whole(Response("x"))
    states.append(machine.reading)
    assert step() is NEED_DATA
    machine.receive(b" / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    step()
    machine.send_whole(Response("x"))
    states.append(machine.reading)
    assert step() is ENDED
    assert states == [IDLE, BODY, BODY, BODY, END, DONE, DONE, IDLE, IDLE, END, CLOSED, CLOSED]
    assert repr([NEED_DATA, PAUSED, ENDED]) == "[NEED_DATA, PAUSED, ENDED]"


def test_a_flood_of_pipelined_requests_is_not_kept() -> None:
    machine = begun(limits=Limits(pipelined=100))
    machine.next_event()
    machine.receive(bytes(100))
    machine.receive(bytes(100))
    with pytest.raises(LocalProtocolError, match="answer this one first"):
        machine.receive(b"x")


def test_the_number_of_requests_may_be_limited() -> None:
    machine = begun(limits=Limits(requests=2))
    machine.send_whole(Response("x"))
    DO["request"](machine)
    assert b"Connection: close\r\n" in machine.send_whole(Response("x"))
    machine.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert machine.next_event() is ENDED


# -- what is answered ---------------------------------------------------------------------------------

OLD = b"GET / HTTP/1.0\r\n\r\n"
OLD_STAYS = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
TYPE = b"Content-Type: text/html; charset=utf-8\r\n"


@pytest.mark.parametrize(
    ("request_", "response", "sent"),
    [
        (None, Response("hi"), b"HTTP/1.1 200 OK\r\n" + TYPE + b"Content-Length: 2\r\n\r\nhi"),
        (None, Response("hi", 799), b"HTTP/1.1 799 \r\n" + TYPE + b"Content-Length: 2\r\n\r\nhi"),
        (HEAD, Response("hi"), b"HTTP/1.1 200 OK\r\n" + TYPE + b"Content-Length: 2\r\n\r\n"),
        (HEAD, Response(b"", headers={"Content-Length": 7}), b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"),
        (None, Response(b"", 204), b"HTTP/1.1 204 No Content\r\n\r\n"),
        (None, Response(b"", 304, {"ETag": '"a"'}), b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'),
        (None, Response(b"", 304, {"Content-Length": 7}),
         b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
        (None, Response(b"x", headers={"Connection": "close"}),
         b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"),
        (None, Response(b"x", headers={"Connection": "X-A, Close,Keep-Alive , x-b"}),
         b"HTTP/1.1 200 OK\r\nConnection: X-A, x-b\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"),
        (OLD_STAYS, Response(b"x", headers={"Connection": "x-a"}),
         b"HTTP/1.1 200 OK\r\nConnection: x-a\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx"),
        (OLD, Response(b"x"), b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"),
        (OLD_STAYS, Response(b"x"),
         b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx"),
    ],
)  # fmt: skip
def test_whole_answers(request_: bytes | None, response: Response, sent: bytes) -> None:
    machine = begun(request_) if request_ else begun()
    assert machine.send_whole(response) == sent


def test_own_lines_stand_in_place_of_the_servers() -> None:
    machine = begun()
    machine.lines = b"Date: now\r\nServer: me\r\n"
    assert machine.send_whole(Response(b"", headers={"date": "then"})) == (
        b"HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 0\r\nServer: me\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("request_", "length", "pieces", "sent"),
    [
        (
            None,
            None,
            [b"ab", b"", b"c"],
            b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n",
        ),
        (None, 3, [b"ab", b"c"], b"Content-Length: 3\r\n\r\nabc"),
        (HEAD, None, [b"ab"], b"Transfer-Encoding: chunked\r\n\r\n"),
        (HEAD, 2, [b"ab"], b"Content-Length: 2\r\n\r\n"),
        (OLD_STAYS, None, [b"ab"], b"Connection: close\r\n\r\nab"),
    ],
)
def test_answers_in_pieces(
    request_: bytes | None, length: int | None, pieces: list[bytes], sent: bytes
) -> None:
    machine = begun(request_) if request_ else begun()
    out = machine.send_head(Response(b""), length)
    out += b"".join(machine.send_data(piece) for piece in pieces)
    out += machine.send_end(Headers({"T": 1}))
    assert out == b"HTTP/1.1 200 OK\r\n" + sent
    assert machine.next_event() is (ENDED if request_ == OLD_STAYS else NEED_DATA)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "HOST", "Trailer"])
def test_trailers_say_nothing_about_the_end(name: str) -> None:
    machine = begun()
    machine.send_head(Response(b""))
    with pytest.raises(LocalProtocolError, match="belong into the head"):
        machine.send_end(Headers({"A": 1, name: "1"}))
    assert machine.send_end(Headers({"Not-Host": 1})) == b"0\r\nNot-Host: 1\r\n\r\n"


def test_a_body_that_does_not_keep_its_length() -> None:
    machine = begun()
    machine.send_head(Response(b""), 3)
    with pytest.raises(LocalProtocolError, match="longer than its Content-Length: 3 bytes were left"):
        machine.send_data(b"abcd")
    machine.send_data(b"ab")
    with pytest.raises(LocalProtocolError, match="1 bytes are missing"):
        machine.send_end()


@pytest.mark.parametrize(
    "response",
    [
        Response(b"x", headers={"Content-Length": 2}),
        Response(b"x", headers={"Content-Length": "+1"}),
        Response(b"x", headers={"Content-Length": ["1", "1"]}),
        Response(b"x", headers={"Transfer-Encoding": "chunked"}),
        Response(b"x", 100),
        Response(bytearray(b"x")),
    ],
)
def test_answers_that_would_mislead_the_client(response: Response) -> None:
    machine = begun()
    with pytest.raises(LocalProtocolError):
        machine.send_whole(response)
    assert machine.writing == ANSWER  # another may still be sent


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "a\rb", "a\0b", " a", "\u2028"])
def test_no_header_breaks_out_of_its_line(value: str) -> None:
    with pytest.raises(LocalProtocolError):
        Response(b"", headers={"Location": value})
    with pytest.raises(LocalProtocolError):
        Response(b"", headers={value: "x"})
    with pytest.raises(LocalProtocolError):
        Response("text", type=value)


# -- continue, information, switching -----------------------------------------------------------------

EXPECTS = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n"


def test_a_client_that_waits_is_asked_once() -> None:
    machine = begun(EXPECTS)
    assert machine.expects_continue
    assert machine.send_continue() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert machine.send_continue() == b""
    machine.receive(b"hi")
    assert machine.next_event() == Data(b"hi")
    assert b"Connection" not in machine.send_whole(Response("x"))


def test_a_client_that_does_not_wait_is_not_asked() -> None:
    machine = begun(EXPECTS + b"h")
    assert machine.next_event() == Data(b"h")
    assert machine.send_continue() == b""


def test_who_answers_without_asking_closes() -> None:
    machine = begun(EXPECTS)
    assert b"Connection: close\r\n" in machine.send_whole(Response("x", 403))
    machine.give_up()
    assert machine.next_event() is ENDED
    assert (machine.reading, machine.writing) == (CLOSED, CLOSED)


def test_an_answer_before_the_end_of_the_body_may_be_followed_by_another() -> None:
    machine = begun(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
    machine.send_whole(Response("x"))
    machine.receive(b"hiGET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert machine.next_event() == Data(b"hi")
    assert machine.next_event().method == "GET"  # type: ignore[union-attr]


def test_information_goes_ahead_but_not_to_old_clients() -> None:
    machine = begun()
    link = Headers({"Link": "</a.css>; rel=preload"})
    assert machine.send_information(103, link) == (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    )
    assert begun(OLD).send_information(103, link) == b""
    with pytest.raises(LocalProtocolError, match="200 is no status that goes ahead"):
        machine.send_information(200)


def test_another_protocol_takes_over() -> None:
    machine = begun(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n\0\1")
    sent = machine.switch(Response(b"", 101, {"Upgrade": "y", "Connection": "upgrade"}))
    assert sent == b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n"
    assert machine.unread == b"\0\1"
    assert machine.next_event() is PAUSED
    assert (machine.reading, machine.writing) == (SWITCHED, SWITCHED)


def test_no_other_protocol_begins_in_a_body() -> None:
    machine = begun(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
    with pytest.raises(LocalProtocolError, match="behind the end"):
        machine.switch(Response(b"", 101))


# -- parsers --------------------------------------------------------------------------------------------


def test_there_are_two_parsers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there are 'h11' and 'httptools'"):
        ServerMachine(parser="mine")
    monkeypatch.setitem(__import__("sys").modules, "httptools", None)
    assert isinstance(parsers.choose_parser("auto")().__self__, parsers._H11)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"needs httptools.*pip install 'kamaelia\[http\]'"):
        ServerMachine(parser="httptools")
    monkeypatch.setitem(__import__("sys").modules, "h11", None)
    with pytest.raises(UsageError, match=r"HTTP needs h11.*pip install 'kamaelia\[http\]'"):
        ServerMachine()


def test_what_a_parser_refuses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for parser, module, name in (("h11", h11, "Connection"), ("httptools", httptools, "HttpRequestParser")):

        class Grumpy:
            def __init__(self, *args: Any, module: Any = module, **options: Any) -> None:
                self.module = module

            def receive_data(self, data: bytes) -> None: ...

            def next_event(self) -> None:
                raise self.module.RemoteProtocolError("no")

            def feed_data(self, data: bytes) -> None:
                raise self.module.HttpParserError("no")

        with monkeypatch.context() as patch:
            patch.setattr(module, name, Grumpy)
            told = tell(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", parser=parser)
        assert told == [("refused", 400)]


# -- anything -------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        b"GET", b"POST", b"get", b"FOO", b"CONNECT", b"PRI", b" ", b"  ", b"\t", b"/", b"/a?b#c", b"*",
        b"http://h/", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"\r\n", b"\n", b"\r", b"\0", b"\xff",
        b"Host: x", b"Host:", b"Host : x", b"Content-Length: 3", b"Content-Length: +3", b"content-length:3",
        b"Transfer-Encoding: chunked", b"transfer-encoding:\tchunked", b"Transfer-Encoding: x, chunked",
        b"Expect: 100-continue", b"A: b", b"A : b", b" folded", b"Connection: close", b"Connection: upgrade",
        b"Upgrade: z", b"3", b";a=b", b"abc", b"0", b"fffffffffffffffff", b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"3\r\nabc\r\n",
    ]
)  # fmt: skip
VALUES = st.binary(max_size=9).filter(lambda value: not set(value) & set(b"\r\n"))
BYTES = st.one_of(st.lists(PIECES, max_size=25).map(b"".join), st.binary(max_size=100))


@settings(max_examples=400, deadline=None)
@given(BYTES)
def test_whatever_comes_all_parsers_and_pieces_give_the_same(data: bytes) -> None:
    one_input(data)


SEEDS = [data for data, _ in ACCEPTED.values()] + [data for _, data, _ in CASES if len(data) < 600]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 3), PIECES | st.binary(max_size=2)), max_size=3),
)
def test_nor_do_they_differ_about_known_attacks_changed_a_little(
    data: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    for at, less, more in changes:
        at %= len(data) + 1
        data = data[:at] + more + data[at + less :]
    one_input(data)


@pytest.mark.parametrize(
    "rest", [b"", b"\r", b"\n", b"\r\n", b"\rx", b"\r\n\r\n", b"\0", b"a\0", b"a\r\nb: c\r\n"]
)
def test_nor_do_they_differ_at_the_edges_of_the_limits(rest: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nA: "
    for size in (*range(155, 166), *range(290, 306)):
        one_input(b"a" * size + rest)
        one_input(b"a" * (size - len(rest)) + rest + b"b")
        one_input(head.ljust(size, b"a") + rest)
        one_input(b"GET /".ljust(size - 9, b"a") + b" HTTP/1.1" + rest)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"GET", b"POST", b"HEAD", b"DELETE"]),
    st.lists(st.tuples(st.from_regex(rb"[A-Za-z-]{1,9}", fullmatch=True), VALUES), max_size=5),
    st.lists(st.binary(min_size=1, max_size=20), max_size=5),
    st.booleans(),
)
def test_h11_reads_the_same_where_we_accept(
    method: bytes, fields: list[tuple[bytes, bytes]], chunks: list[bytes], chunked: bool
) -> None:
    """h11, fed with everything, is the judge of what a body is."""
    lines = [b"%b: %b" % pair for pair in [(b"Host", b"x"), *fields]]
    body = b"".join(chunks)
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
        wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    else:
        lines.append(b"Content-Length: %d" % len(body))
        wire = body
    data = b"%b / HTTP/1.1\r\n%b\r\n\r\n%b" % (method, b"\r\n".join(lines), wire)
    told = tell(data, ends=False)
    if told[0][0] == "refused":
        return
    judge = h11.Connection(h11.SERVER)
    judge.receive_data(data)
    request = judge.next_event()
    assert [(name.decode(), value.decode("latin-1")) for name, value in request.headers.raw_items()] == told[
        0
    ][3]
    got = b""
    while isinstance(event := judge.next_event(), h11.Data):
        got += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert got == body
    assert [one for one in told if isinstance(one, bytes)] == ([body] if body else [])


class Counting:
    """In place of what looks for that which may be in no line: counts how much it is to look at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.searched = 0
        for module in (machine_module, incoming_module):
            monkeypatch.setattr(module, "NEVER", self)

    def search(self, data: bytes, at: int, end: int) -> None:
        self.searched += max(0, min(end, len(data)) - at)


def test_a_head_byte_by_byte_takes_no_time_to_speak_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte is looked at once, however small the pieces are."""
    counting = Counting(monkeypatch)
    machine = ServerMachine()
    with pytest.raises(Refused, match="the target is larger than 8192 bytes"):
        for _ in range(10_000):
            machine.receive(b"a")
            machine.next_event()
    assert counting.searched < 20_000


def test_nor_do_the_lines_of_a_chunked_body(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = begun(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    counting = Counting(monkeypatch)
    lines = (
        b"1;" + b"e" * 1000 + b"\r\nx\r\n0\r\n" + b"A: b\r\n" * 99 + b"Long: " + b"c" * 10_000 + b"\r\n\r\n"
    )
    for byte in lines:
        machine.receive(bytes([byte]))
        event = machine.next_event()
    assert isinstance(event, EndOfRequest)
    assert len(event.trailers.all("a")) == 99
    assert counting.searched < 2 * len(lines)


def test_what_has_been_read_is_not_kept_when_the_next_head_is_never_whole() -> None:
    machine = ServerMachine()
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    for _ in range(1000):
        machine.receive(request[-5:] + request[:-5] if machine.waiting else request[:-5])
        while machine.next_event() is not NEED_DATA:
            machine.send_whole(Response(b""))
        assert len(machine._buffer) < len(request)
