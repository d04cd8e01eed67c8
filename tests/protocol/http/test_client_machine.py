"""The client's machine: what it sends, and what it makes of what it is sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError, RemoteProtocolError
from kamaelia.protocol.http import Headers, Request
from kamaelia.protocol.http.client_machine import READING, ClientMachine, Unanswered
from tests.fuzz.fuzz_http_client import _hear, _joined, _plain, one_input

from .feeding import PARSERS

pytestmark = [pytest.mark.one_core]

HOST = Headers({"Host": "a"})
OK = b"HTTP/1.1 200 OK\r\n"


def get(method: str = "GET", target: str = "/", **headers: Any) -> Request:
    return Request(method, target, HOST.with_(headers))


def heard(chunks: list[bytes], request: Request, *, end: bool = False, **options: Any) -> list[Any]:
    """Return the events of an answer in pieces, and at last what is wrong with it, if anything is."""
    machine = ClientMachine(**options)
    machine.send_whole(request)
    events: list[Any] = []
    try:
        for chunk in chunks:
            if machine.switched:
                events.append(("rest", chunk))
                continue
            machine.receive(chunk)
            _hear(machine, events)
        if end:
            machine.receive_end()
            _hear(machine, events)
    except RemoteProtocolError as error:
        events.append((type(error).__name__, str(error)))
    return _joined(events)


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


# --- what is understood -----------------------------------------------------------------------------

# (name, request, answer, whether the connection then ends, events)
ANSWERS: list[tuple[str, Request, bytes, bool, list[Any]]] = [
    (
        "a body of a length",
        get(),
        OK + b"Content-Length: 5\r\n\r\nhello",
        False,
        [("head", 200, [("Content-Length", "5")]), ("body", b"hello"), ("end", [], True)],
    ),
    (
        "a body of no length",
        get(),
        OK + b"Content-Length: 0\r\n\r\n",
        False,
        [("head", 200, [("Content-Length", "0")]), ("end", [], True)],
    ),
    (
        "the same length twice",
        get(),
        OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        False,
        [("head", 200, [("Content-Length", "2")]), ("body", b"hi"), ("end", [], True)],
    ),
    (
        "chunks, with an extension and trailers",
        get(),
        OK + b"Transfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0\r\nSum: 7\r\n\r\n",
        False,
        [
            ("head", 200, [("Transfer-Encoding", "chunked")]),
            ("body", b"abc0123456789"),
            ("end", [("Sum", "7")], True),
        ],
    ),
    (
        "a body up to the end of the connection",
        get(),
        OK + b"\r\nall there is",
        True,
        [("head", 200, []), ("body", b"all there is"), ("end", [], False)],
    ),
    (
        "nothing up to the end of the connection",
        get(),
        OK + b"\r\n",
        True,
        [("head", 200, []), ("end", [], False)],
    ),
    (
        "HTTP/1.0",
        get(),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        False,
        [("head", 200, [("Content-Length", "2")]), ("body", b"hi"), ("end", [], False)],
    ),
    (
        "the server closes",
        get(),
        OK + b"Connection: Close\r\nContent-Length: 2\r\n\r\nhi",
        False,
        [
            ("head", 200, [("Connection", "Close"), ("Content-Length", "2")]),
            ("body", b"hi"),
            ("end", [], False),
        ],
    ),
    (
        "we close",
        get(Connection="close"),
        OK + b"Content-Length: 2\r\n\r\nhi",
        False,
        [("head", 200, [("Content-Length", "2")]), ("body", b"hi"), ("end", [], False)],
    ),
    (
        "HEAD",
        get("HEAD"),
        OK + b"Content-Length: 500\r\n\r\n",
        False,
        [("head", 200, [("Content-Length", "500")]), ("end", [], True)],
    ),
    (
        "HEAD, chunked",
        get("HEAD"),
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        False,
        [("head", 200, [("Transfer-Encoding", "chunked")]), ("end", [], True)],
    ),
    (
        "204",
        get(),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        False,
        [("head", 204, []), ("end", [], True)],
    ),
    (
        "304",
        get(),
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        False,
        [("head", 304, [("Content-Length", "500")]), ("end", [], True)],
    ),
    (
        "hints before the answer",
        get(),
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        + OK
        + b"Content-Length: 0\r\n\r\n",
        False,
        [
            (103, [("Link", "</a>")]),
            (100, []),
            ("head", 200, [("Content-Length", "0")]),
            ("end", [], True),
        ],
    ),
    (
        "no reason, and lines that end as they may",
        get(),
        b"HTTP/1.1 299\nContent-Length: 0\n\n",
        False,
        [("head", 299, [("Content-Length", "0")]), ("end", [], True)],
    ),
    (
        "headers that go on in other lines, of which some end as they may",
        get(),
        OK + b"A: b\r\n c\n\t d\r\n \r\nB:\r\n e\nContent-Length: 1\n\r\nx",
        False,
        [
            ("head", 200, [("A", "b c d"), ("B", "e"), ("Content-Length", "1")]),
            ("body", b"x"),
            ("end", [], True),
        ],
    ),
    (
        "blanks around values",
        get(),
        OK + b"A:b \t\r\nB:\t \tc\r\nContent-Length:2 \r\n\r\nhi",
        False,
        [
            ("head", 200, [("A", "b"), ("B", "c"), ("Content-Length", "2")]),
            ("body", b"hi"),
            ("end", [], True),
        ],
    ),
    (
        "the same length three times",
        get(),
        OK + b"A: b\r\ncontent-length: 2, 2\r\nC: d\r\nContent-Length: 2\r\n\r\nhi",
        False,
        [
            ("head", 200, [("A", "b"), ("Content-Length", "2"), ("C", "d")]),
            ("body", b"hi"),
            ("end", [], True),
        ],
    ),
    (
        "sizes of chunks in columns",
        get(),
        OK + b"Transfer-Encoding: chunked\r\n\r\n3   \r\nabc\r\n0   \r\n\r\n",
        False,
        [("head", 200, [("Transfer-Encoding", "chunked")]), ("body", b"abc"), ("end", [], True)],
    ),
    (
        "an upgrade",
        get(Upgrade="thing", Connection="upgrade"),
        b"HTTP/1.1 101 Switching\r\nUpgrade: thing\r\n\r\n\x00\xffHTTP",
        False,
        [("head", 101, [("Upgrade", "thing")]), ("rest", b"\x00\xffHTTP")],
    ),
    (
        "an upgrade that is declined",
        get(Upgrade="thing", Connection="upgrade"),
        OK + b"Content-Length: 1\r\n\r\nx",
        False,
        [("head", 200, [("Content-Length", "1")]), ("body", b"x"), ("end", [], True)],
    ),
    (
        "a tunnel",
        get("CONNECT", "a:443"),
        OK + b"Transfer-Encoding: chunked\r\n\r\nwhatever",
        False,
        [("head", 200, []), ("rest", b"whatever")],
    ),
    (
        "a tunnel, of which nonsense is said that means nothing",
        get("CONNECT", "a:443"),
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: x\r\nA: b\r\nContent-Length: y\r\n\r\n\0",
        False,
        [("head", 200, [("A", "b")]), ("rest", b"\0")],
    ),
    (
        "a tunnel that is refused",
        get("CONNECT", "a:443"),
        b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno",
        False,
        [("head", 407, [("Content-Length", "2")]), ("body", b"no"), ("end", [], True)],
    ),
]


@pytest.mark.parametrize(
    ("request_", "answer", "end", "events"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
@pytest.mark.parametrize("parser", PARSERS)
def test_what_an_answer_means_however_it_is_divided(request_, answer, end, events, parser):
    assert heard([answer], request_, end=end, parser=parser) == events
    assert heard(one_by_one(answer), request_, end=end, parser=parser) == events


# --- what is refused --------------------------------------------------------------------------------

TRUNCATED = "the server closed the connection in the middle of the body of its answer"
# (name, request, answer, part of what is said)
REFUSED: list[tuple[str, Request, bytes, str]] = [
    *(
        (
            f"control character {code:#x}",
            get(),
            OK + b"X: a%cb\r\n\r\n" % code,
            f"there is a control character, {code:#04x}, in a line: b'X: a",
        )
        for code in (0x01, 0x07, 0x0E, 0x1B, 0x1F, 0x7F)
    ),
    (
        "a control character in a trailer",
        get(),
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\x08b\r\n\r\n",
        "there is a control character, 0x08, in a line",
    ),
    (
        "no HTTP",
        get(),
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "it does not begin with HTTP/, but with b'SSH-2.0-OpenSSH_9.2",
    ),
    ("HTTP/2", get(), b"HTTP/2.0 200 OK\r\n\r\n", "the server speaks HTTP/2.0, and we 1.1"),
    ("HTTP/1.2", get(), b"HTTP/1.2 200 OK\r\n\r\n", "the server speaks HTTP/1.2, and we 1.1"),
    ("TLS", get(), b"\x15\x03\x01\0\2\2\x46", "it does not begin with HTTP/, but with b'\\x15"),
    ("HTTP/0.9", get(), b"<html>hello</html>\r\n\r\n", "does not begin with HTTP/"),
    ("a blank line first", get(), b"\r\n" + OK + b"\r\n", "does not begin with HTTP/"),
    (
        "a status of two digits",
        get(),
        b"HTTP/1.1 20 OK\r\n\r\n",
        "this is no line of a status: b'HTTP/1.1 20",
    ),
    ("a status below 100", get(), b"HTTP/1.1 099 x\r\n\r\n", "099 is no status"),
    ("a control character in the reason", get(), b"HTTP/1.1 200 \7\r\n\r\n", "this is no line of a status"),
    ("two lengths", get(), OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "not the same"),
    ("two lengths in one", get(), OK + b"Content-Length: 5, 6\r\n\r\nhello!", "not the same"),
    (
        "a length with a sign",
        get(),
        OK + b"Content-Length: +5\r\n\r\nhello",
        "Content-Length: '+5' is no length",
    ),
    ("a negative length", get(), OK + b"Content-Length: -1\r\n\r\n", "'-1' is no length"),
    ("a length in hex", get(), OK + b"Content-Length: 0x5\r\n\r\nhello", "is no length"),
    ("a length of nothing", get(), OK + b"Content-Length:\r\n\r\n", "'' is no length"),
    ("a length and a tab", get(), OK + b"Content-Length: 5\t\r\n\r\nhello", "'5\\t' is no length"),
    ("a length beyond all bounds", get(), OK + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n", "is no length"),
    (
        "a length and chunks",
        get(),
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "the answer has a Transfer-Encoding with a Content-Length: it can be read in two ways",
    ),
    (
        "chunks in HTTP/1.0",
        get(),
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "the answer has a Transfer-Encoding in HTTP/1.0: it can be read in two ways",
    ),
    (
        "another coding",
        get(),
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        "Transfer-Encoding: 'gzip, chunked': it is 'chunked', and only that",
    ),
    ("xchunked", get(), OK + b"Transfer-Encoding: xchunked\r\n\r\n", "'xchunked': it is 'chunked'"),
    (
        "two codings",
        get(),
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "there are several Transfer-Encoding",
    ),
    (
        "a blank before the colon",
        get(),
        OK + b"Content-Length : 5\r\n\r\nhello",
        "no header: b'Content-Length : 5'",
    ),
    ("a line without a colon", get(), OK + b"Content-Length\r\n\r\n", "this is no header: b'Content-"),
    ("an empty name", get(), OK + b": 5\r\n\r\n", "this is no header: b': 5'"),
    ("a zero byte", get(), OK + b"A: b\x00c\r\n\r\n", "a control character, 0x00, in a line"),
    ("a bare CR", get(), OK + b"A: b\rSet-Cookie: x=1\r\n\r\n", "a line does not end with CR LF"),
    ("a continued first line", get(), OK + b" Content-Length: 5\r\n\r\nhello", "goes on in another line"),
    ("a size that is none", get(), OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "begins with its size"),
    (
        "a size with 0x",
        get(),
        OK + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n",
        "a chunk begins with its size, and not with b'0x5\\r\\n'",
    ),
    ("a negative size", get(), OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", "begins with its size"),
    (
        "a size beyond all bounds",
        get(),
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"F" * 17 + b"\r\n",
        "a chunk begins with its size",
    ),
    (
        "a chunk longer than said",
        get(),
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        "a chunk is longer than its line says",
    ),
    (
        "a second answer",
        get(),
        2 * (OK + b"Content-Length: 0\r\n\r\n"),
        "the server has sent what nobody asked for",
    ),
    ("more than the length", get(), OK + b"Content-Length: 2\r\n\r\nhi!", "what nobody asked for: b'!'"),
    ("a body for HEAD", get("HEAD"), OK + b"Content-Length: 2\r\n\r\nhi", "what nobody asked for: b'h"),
    ("a body for 204", get(), b"HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\nhi", "what nobody asked for: b'h"),
    (
        "an upgrade nobody asked for",
        get(),
        b"HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n",
        "it speaks another protocol from here on, which nobody has asked for",
    ),
    ("no end of hints", get(), 17 * b"HTTP/1.1 103 x\r\n\r\n", "more than 16 answers before the real one"),
    (
        "a truncated head",
        get(),
        OK + b"Content-Le",
        "in the middle of the head of its answer, after 27 bytes",
    ),
    (
        "a truncated body",
        get(),
        OK + b"Content-Length: 9\r\n\r\nhello",
        f"{TRUNCATED}: bytes missing: 4",
    ),
    (
        "truncated chunks",
        get(),
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        f"{TRUNCATED}: it was before the end of the chunks",
    ),
    ("only a hint", get(), b"HTTP/1.1 103 x\r\n\r\n", "before the answer it had announced"),
]


@pytest.mark.parametrize(
    ("request_", "answer", "text"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
@pytest.mark.parametrize("parser", PARSERS)
def test_what_is_refused_however_it_is_divided(request_, answer, text, parser):
    together = heard([answer], request_, end=True, parser=parser)
    assert together[-1][0] == "RemoteProtocolError"
    assert text in together[-1][1]
    apart = heard(one_by_one(answer), request_, end=True, parser=parser)
    assert apart[-1][0] == "RemoteProtocolError"
    assert apart[:-1] == together[:-1]


def test_an_end_before_the_answer_is_told_apart():
    machine = ClientMachine()
    machine.send_whole(get())
    machine.receive_end()
    for _ in range(2):  # and it stays so
        with pytest.raises(Unanswered, match="the server closed the connection before it had answered"):
            machine.next_event()
    assert machine.finished is False and not machine.can_send_request


def test_an_end_between_two_requests_is_no_error():
    machine = ClientMachine()
    machine.receive_end()
    assert machine.next_event() is None
    assert machine.finished and not machine.can_send_request


# --- bounds -----------------------------------------------------------------------------------------


def padded(size: int) -> bytes:
    """Return a head of so many bytes."""
    rest = b"Content-Length: 0\r\n\r\n"
    return OK + b"A: " + b"a" * (size - len(OK) - len(rest) - 5) + b"\r\n" + rest


@pytest.mark.parametrize("divide", [lambda data: [data], one_by_one], ids=["whole", "bytes"])
def test_the_limit_of_a_head_is_exact(divide):
    assert len(padded(300)) == 300
    assert heard(divide(padded(300)), get(), head_limit=300)[-1] == ("end", [], True)
    refused = heard(divide(padded(301)), get(), head_limit=300)
    assert refused[0][0] == "RemoteProtocolError"


def test_an_endless_head_is_refused_when_it_is_too_long_and_not_at_its_end():
    machine = ClientMachine(head_limit=1000)
    machine.send_whole(get())
    with pytest.raises(RemoteProtocolError):
        for _ in range(3):
            machine.receive(b"A" * 400)
            machine.next_event()


@pytest.mark.parametrize("divide", [lambda data: [data], one_by_one], ids=["whole", "bytes"])
def test_the_limit_of_the_head_of_a_chunk(divide):
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    fits, does_not = b"1;" + b"x" * 294 + b"\r\nb\r\n0\r\n\r\n", b"1;" + b"x" * 297 + b"\r\nb\r\n0\r\n\r\n"
    assert heard(divide(head + fits), get(), head_limit=300)[-1] == ("end", [], True)
    kind, text = heard(divide(head + does_not), get(), head_limit=300)[-1]
    assert kind == "RemoteProtocolError" and "more than 300 bytes in the line of a chunk" in text


def test_the_limits_of_headers_and_trailers():
    many = b"".join(b"A%d: x\r\n" % number for number in range(9))
    _, text = heard([OK + many + b"\r\n"], get(), header_limit=8)[-1]
    assert text == "the answer has 9 headers, and header_limit=8"
    chunks = OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    _, text = heard([chunks + many + b"\r\n"], get(), header_limit=8)[-1]
    assert text.endswith("there are more than 8 trailers")
    _, text = heard([chunks + b"A: " + b"x" * 300 + b"\r\n\r\n"], get(), head_limit=200)[-1]
    assert text.endswith("there are more than 200 bytes in the trailers")


def test_many_small_chunks_cost_time_that_grows_with_their_number_only():
    """In a quarter of a megabyte at once: if what is unread were copied for each, it would take minutes."""
    body = b"1\r\nx\r\n" * 50_000
    events = heard([OK + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"], get())
    assert events[1] == ("body", b"x" * 50_000)


def test_a_body_comes_in_pieces_of_bounded_size():
    machine = ClientMachine()
    machine.send_whole(get())
    machine.receive(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + 1024 * b"x" + b"\r\n")
    machine.next_event()
    assert machine.next_event() == 1024 * b"x"
    machine.receive(200 * (b"400\r\n" + 1024 * b"x" + b"\r\n"))
    sizes = []
    while (part := machine.next_event()) is not None:
        sizes.append(len(part))
    assert sum(sizes) == 200 * 1024 and max(sizes) <= 64 * 1024 + 16 * 1024


# --- sending ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "wire"),
    [
        (get(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            Request("GET", "/x?y", Headers({"A": "b", "Host": "a"})),
            b"GET /x?y HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n",
        ),
        (
            Request("POST", "/", HOST, b"hello"),
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        ),
        (Request("POST", "/", HOST), b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        (Request("DELETE", "/", HOST), b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            Request("PUT", "/", HOST.with_({"Content-Length": 2}), b"hi"),
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        ),
    ],
)
def test_how_a_request_goes_on_the_wire(request_, wire):
    assert ClientMachine().send_whole(request_) == wire


def test_a_request_whose_body_comes_later():
    machine = ClientMachine()
    assert machine.send_request(Request("PUT", "/", HOST), None) == (
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert machine.sending and not machine.can_send_request
    assert machine.send_data(b"hello") == b"5\r\nhello\r\n"
    assert machine.send_data(b"") == b""  # an empty chunk would end it
    assert machine.send_end({"Sum": 7}) == b"0\r\nSum: 7\r\n\r\n"
    assert not machine.sending


def test_a_request_of_a_length_whose_body_comes_later():
    machine = ClientMachine()
    assert machine.send_request(Request("PUT", "/", HOST), 5).endswith(b"Content-Length: 5\r\n\r\n")
    assert machine.send_data(b"hel") + machine.send_data(b"lo") + machine.send_end() == b"hello"


@pytest.mark.parametrize(
    ("send", "text"),
    [
        (lambda m: m.send_whole(Request("GET", "/")), "GET '/': there is no Host"),
        (
            lambda m: m.send_whole(Request("GET", "/", Headers([("Host", "a"), ("host", "b")]))),
            "GET '/': there are several Host",
        ),
        (
            lambda m: m.send_whole(get("PUT", **{"Content-Length": 3})),
            "its header Content-Length is '3', and its body has 0 bytes: leave the header out",
        ),
        (
            lambda m: m.send_request(get("PUT", **{"Content-Length": 3}), None),
            "its header Content-Length is '3', and its body has an unknown number of bytes",
        ),
        (
            lambda m: m.send_whole(get(**{"Transfer-Encoding": "chunked"})),
            "leave Transfer-Encoding out of the headers",
        ),
        (lambda m: m.send_request(get("PUT"), -1), "PUT '/': length=-1: give the bytes of its body"),
        (lambda m: m.send_request(get("PUT"), 1.5), "PUT '/': length=1.5: give the bytes of its body"),
        (
            lambda m: (m.send_request(get("PUT"), None), m.send_end({"Host": "b"})),
            "Host cannot be a trailer",
        ),
        (
            lambda m: (m.send_request(get("PUT"), 2), m.send_data(b"ab"), m.send_end({"A": "b"})),
            "only behind a body that is sent in chunks there may be trailers",
        ),
        (lambda m: m.send_data(b"x"), "no request has been begun whose body could be sent"),
        (
            lambda m: (m.send_request(get("PUT"), 2), m.send_data(b"abc")),
            "longer than its Content-Length: 2 bytes were left, and there were 3",
        ),
        (
            lambda m: (m.send_request(get("PUT"), 2), m.send_end()),
            "the body of the request is shorter than its Content-Length: 2 bytes are missing",
        ),
        (
            lambda m: (m.send_request(get("PUT"), 2), m.send_whole(get())),
            "the request before is not complete",
        ),
        (
            lambda m: (m.send_whole(get()), m.send_whole(get())),
            "1 request is not answered yet, and pipeline=1: wait for the answer, or allow more",
        ),
    ],
)
def test_what_must_not_be_sent(send, text):
    with pytest.raises(LocalProtocolError) as caught:
        send(ClientMachine())
    assert text in str(caught.value)


def test_a_server_that_wants_the_body_says_so():
    machine = ClientMachine()
    machine.send_request(get("PUT", Expect="100-continue"), 2)
    assert machine.waits_to_continue
    machine.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert machine.next_event().status == 100
    assert not machine.waits_to_continue
    assert machine.send_data(b"hi") + machine.send_end() == b"hi"


@pytest.mark.parametrize("divide", [lambda data: [data], one_by_one], ids=["whole", "bytes"])
@pytest.mark.parametrize(
    "data",
    [
        OK + b"X: a\0b\r\n\r\n",
        b"HTTP/2.0 200 x\r\n\r\n",
        b"SSH",
        OK + b"X" * 70_000,
        b"HTTP/1.1 103 x\r\n\r\n",
    ],
)
def test_of_what_is_refused_it_is_known_that_some_has_come(data, divide):
    machine = ClientMachine()
    machine.send_whole(get())
    assert not machine.answering
    with pytest.raises(RemoteProtocolError):
        for piece in divide(data):
            machine.receive(piece)
            machine.next_event()
        machine.receive_end()
        machine.next_event()
    assert machine.answering and not machine.can_send_request


@pytest.mark.parametrize("kind", [memoryview, bytearray, type("B", (bytes,), {})])
def test_any_bytes_may_come_and_belong_to_whom_they_came_from(kind):
    machine = ClientMachine()
    machine.send_whole(get())
    given = [
        kind(piece)
        for piece in (OK + b"Transfer-Enc", b"oding: chunked\r\n\r\n2", b"\r\nhi\r\n", b"0\r\n\r\n")
    ]
    events: list[Any] = []
    for piece in given:
        machine.receive(piece)
        if kind is bytearray:
            piece[:] = b"?" * len(piece)
        _hear(machine, events)
    assert events[1:] == [("body", b"hi"), ("end", [], True)]


def test_what_nobody_asked_for_does_not_answer_the_next():
    machine = ClientMachine()
    machine.send_whole(get())
    machine.receive(2 * (OK + b"Content-Length: 0\r\n\r\n"))
    assert machine.next_event().status == 200
    assert machine.next_event().trailers.pairs == []
    assert not machine.can_send_request
    with pytest.raises(LocalProtocolError, match="no more requests can be sent on this connection"):
        machine.send_whole(get())


@pytest.mark.parametrize("said", [b"Upgrade: thing\r\n", b"Connection: close\r\nContent-Length: 0\r\n"])
def test_what_is_sent_ahead_ends_when_the_connection_does(said):
    machine = ClientMachine(pipeline=2)
    machine.send_whole(get(Upgrade="thing"))
    machine.send_request(get("PUT"), None)
    assert not machine.answers_too_early
    if said.startswith(b"Upgrade"):
        machine.receive(b"HTTP/1.1 101 x\r\n" + said + b"\r\n")
        with pytest.raises(RemoteProtocolError, match="in the middle of our request"):
            machine.next_event()
    else:
        machine.receive(OK + said + b"\r\n")
        assert machine.next_event().status == 200
        assert machine.next_event().reusable is False
        assert machine.finished and not machine.sending


def test_a_body_may_be_any_bytes():
    machine = ClientMachine()
    machine.send_request(get("PUT"), None)
    assert machine.send_data(memoryview(b"a?b?")[::2]) == b"2\r\nab\r\n"
    assert machine.send_data(bytearray(b"cd")) == b"2\r\ncd\r\n"


def test_a_hint_says_nothing_of_the_body():
    machine = ClientMachine()
    machine.send_request(get("PUT", Expect="100-continue"), 2)
    machine.receive(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    assert machine.next_event().status == 103
    assert machine.waits_to_continue
    machine.receive(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
    assert machine.next_event().status == 417
    assert not machine.waits_to_continue


def test_another_protocol_does_not_begin_in_the_middle_of_a_request():
    machine = ClientMachine()
    machine.send_request(get("PUT", Upgrade="thing"), 2)
    machine.receive(b"HTTP/1.1 101 Switching\r\nUpgrade: thing\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match="in the middle of our request"):
        machine.next_event()


def test_what_was_sent_ahead_of_another_protocol_is_not_answered():
    machine = ClientMachine(pipeline=2)
    machine.send_whole(get(Upgrade="thing", Connection="upgrade"))
    machine.send_whole(get())
    machine.receive(b"HTTP/1.1 101 Switching\r\nUpgrade: thing\r\n\r\n")
    assert machine.next_event().status == 101
    assert not machine.switched
    assert machine.next_event().rest == b""
    assert machine.switched and machine.next_event() is None and machine.open == 0
    with pytest.raises(LocalProtocolError, match="does not speak HTTP any more"):
        machine.receive(b"x")


COUNTED, CHUNKED = OK + b"Content-Length: 2\r\n\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n"
AGREED = b"HTTP/1.1 101 Switching\r\n\r\n"

# (what has come before, state, bytes, event, state)
STEPS: list[tuple[bytes, str, bytes, Any, str]] = [
    (b"", "HEAD", b"HTTP/1.1 20", None, "HEAD"),
    (b"HTTP/1.1 20", "HEAD", b"4 x\r\n\r\n", ("head", 204, []), "END"),
    (b"", "HEAD", b"HTTP/1.1 103 x\r\n\r\n", (103, []), "HEAD"),
    (b"", "HEAD", COUNTED, ("head", 200, [("Content-Length", "2")]), "BODY"),
    (b"", "HEAD", CHUNKED, ("head", 200, [("Transfer-Encoding", "chunked")]), "BODY"),
    (b"", "HEAD", AGREED, ("head", 101, []), "SWITCHED"),
    (COUNTED, "BODY", b"a", ("body", b"a"), "BODY"),
    (COUNTED, "BODY", b"ab", ("body", b"ab"), "END"),
    (COUNTED + b"ab", "END", b"", ("end", [], True), "HEAD"),
    (CHUNKED, "BODY", b"2", None, "BODY"),
    (CHUNKED, "BODY", b"2\r\na", ("body", b"a"), "BODY"),
    (CHUNKED, "BODY", b"1\r\na\r\n0\r\n\r\n", ("body", b"a"), "END"),
    (CHUNKED, "BODY", b"0\r\n\r\n", ("end", [], True), "HEAD"),
    (AGREED, "SWITCHED", b"xyz", ("rest", b"xyz"), "SWITCHED"),
]


@pytest.mark.parametrize(("before", "state", "data", "event", "following"), STEPS)
def test_each_step_of_reading(before, state, data, event, following):
    machine = ClientMachine()
    machine.send_whole(get(Upgrade="thing"))
    machine.receive(before)
    while machine.waiting and machine.reading != state:
        machine.next_event()
    if machine.reading == "BODY" and machine.waiting:
        machine.next_event()
    assert machine.reading == state
    machine.receive(data)
    found = machine.next_event()
    assert (found and _plain(found)) == event
    assert machine.reading == following


def test_every_step_of_the_table_is_tried():
    tried = {(state, following) for _, state, _, _, following in STEPS}
    assert {(state, following) for (state, _), following in READING.items()} <= tried


def test_a_server_that_answers_before_the_request_is_complete_ends_the_connection():
    machine = ClientMachine()
    machine.send_request(get("PUT"), None)
    machine.send_data(b"something")
    machine.receive(b"HTTP/1.1 413 Too much\r\nContent-Length: 0\r\n\r\n")
    assert machine.next_event().status == 413
    assert machine.sending
    assert machine.next_event().reusable is False
    assert not machine.sending and not machine.can_send_request and machine.finished


def test_requests_sent_ahead_are_answered_in_order():
    machine = ClientMachine(pipeline=3)
    for number in range(3):
        machine.send_whole(get(target=f"/{number}"))
    assert not machine.can_send_request
    machine.receive(
        OK + b"Content-Length: 1\r\n\r\na" + OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n"
    )
    events: list[Any] = []
    _hear(machine, events)
    assert [event[-1] for event in events if event[0] == "body"] == [b"a", b"b"]
    assert machine.open == 1
    machine.receive(OK + b"Connection: close\r\n\r\nc")
    machine.receive_end()
    events.clear()
    _hear(machine, events)
    assert events[1:] == [("body", b"c"), ("end", [], False)]
    assert machine.finished


def test_a_server_that_closes_leaves_what_was_sent_ahead_unanswered():
    machine = ClientMachine(pipeline=2)
    machine.send_whole(get())
    machine.send_whole(get())
    machine.receive(OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
    machine.next_event()
    assert machine.next_event().reusable is False
    assert machine.open == 0 and machine.finished


def test_one_connection_serves_many():
    machine = ClientMachine()
    for number in range(5):
        machine.send_whole(get(target=f"/{number}"))
        machine.receive(OK + b"Content-Length: 1\r\n\r\n%d" % number)
        events: list[Any] = []
        _hear(machine, events)
        assert events[1:] == [("body", b"%d" % number), ("end", [], True)]
        assert machine.can_send_request


# --- at random --------------------------------------------------------------------------------------

LINES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204", b"HTTP/1.1 100 x", b"HTTP/1.1 101 x", b"",
        b"Content-Length: 5", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Connection: close",
        b"Upgrade: x", b"5", b"hello", b"0", b"1;a=b", b"A: b", b" folded", b"HTTP/1.1 304 Not Modified",
    ]
)  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(st.one_of(LINES, LINES, LINES, st.binary(max_size=20)), max_size=20))
    ends = draw(st.sampled_from([b"\r\n", b"\r\n", b"\n", b"\r"]))
    return bytes([draw(st.integers(0, 255))]) + ends.join(lines)


@settings(max_examples=300, deadline=None)
@given(answers())
@example(b"\x10" + 2 * (OK + b"Content-Length: 1\r\n\r\nx"))
def test_whatever_comes_it_is_understood_or_refused(data):
    one_input(data)
