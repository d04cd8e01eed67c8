"""The machine of WebSocket: bytes in, events out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError, RemoteProtocolError
from kamaelia.protocol.websocket.machine import (
    HANDSHAKE_LIMIT,
    ClientMachine,
    Closed,
    Fragment,
    Machine,
    Opened,
    Ping,
    Pong,
    Refused,
    ServerMachine,
)
from tests.fuzz import fuzz_websocket

from .frames import (
    ACCEPTED,
    CLOSE,
    CONT,
    DATA,
    DEFLATE,
    MASK,
    PING,
    PONG,
    TEXT,
    answer,
    close,
    deflated,
    frame,
    request,
)

pytestmark = pytest.mark.one_core()

LIMIT = 1000
CLIENT_ACCEPT = b"S31gNkJuyx3y5Rr4ygBths12Z9E="  # of the key that comes of no chance at all
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + CLIENT_ACCEPT + b"\r\n"
)


def server(*more: bytes, **options: Any) -> ServerMachine:
    """Return a server's machine that is open."""
    machine = ServerMachine(**{"message_limit": LIMIT, **options})
    (opened,) = machine.receive(request(*more))
    assert isinstance(opened, Opened)
    machine.to_send()
    return machine


def client(*more: bytes, **options: Any) -> ClientMachine:
    """Return a client's machine that is open."""
    machine = ClientMachine("example.org", "/chat", chance=bytes(32), **{"message_limit": LIMIT, **options})
    machine.to_send()
    (opened,) = machine.receive(ANSWER + b"".join(line + b"\r\n" for line in more) + b"\r\n")
    assert isinstance(opened, Opened)
    return machine


def in_message() -> Machine:
    machine = server()
    assert machine.receive(frame(TEXT, b"one ", fin=False)) == []
    return machine


def closing() -> Machine:
    machine = server()
    assert machine.close() == answer(CLOSE, close(1000))
    return machine


def closed() -> Machine:
    machine = server()
    assert machine.receive(frame(CLOSE)) == [Closed(1005)]
    return machine


STATES = {
    "request": lambda: ServerMachine(message_limit=LIMIT),
    "open": server,
    "open as bytes": lambda: server(as_bytes=True),
    "streaming": lambda: server(streaming=True),
    "deflate": lambda: server(DEFLATE),
    "in a message": in_message,
    "closing": closing,
    "closed": closed,
    "client": client,
    "client, deflate": lambda: client(DEFLATE),
}

OPENED = Opened(
    "/",
    (
        ("Host", "example.org"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ),
)


def broken(why: str) -> Closed:
    return Closed(1002, f"the peer has broken the protocol: {why}")


TOO_LONG = Closed(1009, f"the peer has sent a message of more than {LIMIT} bytes")
NOT_SHORTEST = broken("the length of a frame takes more bytes than it needs")
NO_TEXT = Closed(1007, "the peer has sent text that is no UTF-8")

# In which state it is, what comes, what that means, and what is sent by itself.
TABLE: list[tuple[str, bytes, list[Any], bytes]] = [
    ("request", b"", [], b""),
    ("request", request()[:-1], [], b""),
    ("request", request(), [OPENED], ACCEPTED),
    ("request", request() + frame(TEXT, b"early"), [OPENED, "early"], ACCEPTED),
    ("open", frame(TEXT, b"one"), ["one"], b""),
    ("open", frame(DATA, b"one"), [b"one"], b""),
    ("open", frame(TEXT, b""), [""], b""),
    ("open", frame(DATA, b"x" * 125), [b"x" * 125], b""),
    ("open", frame(DATA, b"x" * 126), [b"x" * 126], b""),
    ("open", frame(DATA, b"x" * LIMIT), [b"x" * LIMIT], b""),
    ("open", frame(DATA, b"x" * (LIMIT + 1)), [TOO_LONG], b""),
    ("open", b"\xc2\x7f" + frame(TEXT, b"one")[1:], [broken("incorrect masking")], b""),
    ("open", b"\x82\xff\x7f" + b"\xff" * 7 + b"mask", [TOO_LONG], b""),
    ("open", frame(TEXT, b"one") + b"\x81\xfe\x00\x7d" + MASK + bytes(125), ["one", NOT_SHORTEST], b""),
    ("open", b"\x81\xff" + bytes(6) + b"\xff\xff" + MASK + bytes(65535), [NOT_SHORTEST], b""),
    ("open", b"\x89\xfe\x00\x01" + MASK + b"?", [NOT_SHORTEST], b""),
    ("open", b"\x82\xff" + bytes(5) + b"\x01\x00\x00" + MASK, [TOO_LONG], b""),
    ("in a message", b"\x80\xfe\x00\x03" + MASK + b"two", [NOT_SHORTEST], b""),
    ("closing", b"\x81\xfe\x00\x03" + MASK + b"two", [NOT_SHORTEST], b""),
    ("client", b"\x81\x7e\x00\x03one", [NOT_SHORTEST], b""),
    ("open", frame(TEXT, b"one") + frame(DATA, b"two") + frame(TEXT, b"th"), ["one", b"two", "th"], b""),
    ("open", frame(TEXT, "é☃𝄞".encode()), ["é☃𝄞"], b""),
    ("open", frame(TEXT, b"one") + frame(TEXT, b"\xff"), ["one", NO_TEXT], b""),
    ("open", frame(TEXT, b"\xed\xa0\x80"), [NO_TEXT], b""),
    ("open", frame(TEXT, b"\xc3"), [NO_TEXT], b""),
    ("open", frame(PING, b"there?"), [Ping(b"there?")], answer(PONG, b"there?")),
    ("open", frame(PONG, b"here"), [Pong(b"here")], b""),
    ("open", frame(PING, b"x" * 126), [broken("control frame too long")], b""),
    ("open", frame(PING, fin=False), [broken("fragmented control frame")], b""),
    ("open", frame(TEXT, b"one", masked=False), [broken("incorrect masking")], b""),
    ("open", frame(TEXT, b"one", rsv=4), [broken("reserved bits must be 0")], b""),
    ("open", frame(3), [broken("invalid opcode")], b""),
    ("open", frame(CONT, b"two"), [broken("unexpected continuation frame")], b""),
    ("open", frame(CLOSE, close(1000, "bye")), [Closed(1000, "bye")], b""),
    ("open", frame(CLOSE), [Closed(1005)], b""),
    ("open", frame(CLOSE, b"x"), [broken("close frame too short")], b""),
    ("open", frame(CLOSE, close(1006)), [broken("invalid status code")], b""),
    ("open", frame(CLOSE, close(1000) + b"\xff"), [NO_TEXT], b""),
    ("open", frame(CLOSE) + frame(TEXT, b"late"), [Closed(1005)], b""),
    ("open as bytes", frame(TEXT, b"one") + frame(DATA, b"two"), [b"one", b"two"], b""),
    ("open as bytes", frame(TEXT, b"\xff"), [NO_TEXT], b""),
    (
        "open as bytes",
        frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"\xa9"),
        ["é".encode()],
        b"",
    ),
    ("in a message", frame(CONT, b"two"), ["one two"], b""),
    ("in a message", frame(CONT, b"two", fin=False), [], b""),
    ("in a message", frame(PING) + frame(CONT, b"two"), [Ping(b""), "one two"], answer(PONG)),
    ("in a message", frame(TEXT, b"two"), [broken("expected a continuation frame")], b""),
    ("in a message", frame(CONT, b"\xff", fin=False), [NO_TEXT], b""),
    ("in a message", frame(CONT, b"\xe2\x98", fin=False) + frame(CONT, b"\x83"), ["one ☃"], b""),
    ("in a message", frame(CONT, b"\xe2\x98", fin=False) + frame(CONT, b""), [NO_TEXT], b""),
    ("in a message", frame(CONT, b"x" * (LIMIT - 3)), [TOO_LONG], b""),
    ("in a message", frame(CONT, b"", fin=False) * 50 + frame(CONT, b"two"), ["one two"], b""),
    ("in a message", frame(CLOSE, close(1001)), [Closed(1001)], b""),
    ("streaming", frame(TEXT, b"one"), ["one"], b""),
    (
        "streaming",
        frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"\xa9", fin=False) + frame(CONT, b"!"),
        [Fragment(""), Fragment("é"), Fragment("!", last=True)],
        b"",
    ),
    (
        "streaming",
        frame(TEXT, b"\xe2\x98", fin=False) + frame(CONT, b""),
        [Fragment(""), NO_TEXT],
        b"",
    ),
    (
        "streaming",
        frame(DATA, b"x" * LIMIT, fin=False) + frame(CONT, b"x" * LIMIT),
        [Fragment(b"x" * LIMIT), Fragment(b"x" * LIMIT, last=True)],
        b"",
    ),
    ("deflate", frame(TEXT, b"plain"), ["plain"], b""),
    ("deflate", frame(TEXT, deflated(b"small"), rsv=4), ["small"], b""),
    ("deflate", frame(DATA, deflated(b"x" * LIMIT), rsv=4), [b"x" * LIMIT], b""),
    ("deflate", frame(DATA, deflated(b"x" * (LIMIT + 1)), rsv=4), [TOO_LONG], b""),
    ("deflate", frame(DATA, deflated(bytes(10**6)), rsv=4), [TOO_LONG], b""),
    ("deflate", frame(DATA, b"\xff\xff", rsv=4), [broken("decompression failed")], b""),
    ("deflate", frame(TEXT, deflated(b"\xff"), rsv=4), [NO_TEXT], b""),
    (
        "deflate",
        frame(TEXT, deflated(b"in two")[:3], rsv=4, fin=False) + frame(CONT, deflated(b"in two")[3:]),
        ["in two"],
        b"",
    ),
    ("closing", frame(TEXT, b"still") + frame(CLOSE, close(1000)), ["still", Closed(1000)], b""),
    ("closing", frame(PING, b"?"), [Ping(b"?")], answer(PONG, b"?")),
    ("closing", frame(3), [broken("invalid opcode")], b""),
    ("closed", frame(TEXT, b"late"), [], b""),
    ("closed", frame(3), [], b""),
    ("client", answer(TEXT, b"one") + answer(DATA, b"x" * 200), ["one", b"x" * 200], b""),
    ("client", frame(TEXT, b"one"), [broken("incorrect masking")], b""),
    ("client", answer(CLOSE, close(1000)), [Closed(1000)], b""),
    ("client, deflate", answer(TEXT, deflated(b"small", 15), rsv=4), ["small"], b""),
]  # fmt: skip


@pytest.mark.parametrize(("state", "data", "events", "sent"), TABLE)
@pytest.mark.parametrize("size", [1, 3, 10**9], ids=lambda size: f"by {size}")
def test_the_table(state, data, events, sent, size):
    machine = STATES[state]()
    got: list[Any] = []
    answers = b""
    for at in range(0, len(data), size):
        got += machine.receive(data[at : at + size])
        answers += machine.to_send()
    assert (got, answers) == (events, sent)


def in_turns(machine: Machine, data: bytes) -> list[list[Any]]:
    """Return what some bytes mean, as it is told one time after another."""
    turns = [machine.receive(data)]
    while machine.has_more:
        turns.append(machine.receive(b""))
    return turns


def test_messages_that_become_long_are_told_a_few_at_a_time():
    machine = server(DEFLATE)
    zeros = frame(DATA, deflated(bytes(600)), rsv=4)
    turns = in_turns(machine, zeros * 5 + frame(TEXT, b"small") * 3 + zeros * 2 + frame(PING) + frame(CLOSE))
    assert turns == [
        [bytes(600)] * 2,
        [bytes(600)] * 2,
        [bytes(600)] + ["small"] * 3 + [bytes(600)],
        [bytes(600), Ping(b""), Closed(1005)],
    ]
    assert not machine.has_more


def test_so_are_fragments_and_what_comes_with_the_handshake():
    zeros = deflated(bytes(600))
    first, rest = frame(DATA, zeros, rsv=4, fin=False), frame(CONT, b"", fin=False) + frame(CONT, b"")
    machine = ServerMachine(message_limit=LIMIT)
    (opened, *one), *more = in_turns(machine, request(DEFLATE) + (first + rest) * 4)
    assert isinstance(opened, Opened)
    assert [one, *more] == [[bytes(600)], [bytes(600)] * 2, [bytes(600)]]


def test_what_is_not_told_yet_is_told_before_what_comes_next_and_before_the_end():
    zeros = frame(DATA, deflated(bytes(600)), rsv=4)
    machine = server(DEFLATE)
    assert machine.receive(zeros * 4 + frame(TEXT, b"one")[:3]) == [bytes(600)] * 2
    assert machine.receive(frame(TEXT, b"one")[3:]) == [bytes(600)] * 2
    assert machine.has_more
    assert machine.receive_end() == ["one", Closed(1006)]
    machine = server(DEFLATE)
    machine.receive(zeros * 7)
    assert machine.receive_end() == [bytes(600)] * 5 + [Closed(1006)]
    assert not machine.has_more


@pytest.mark.parametrize(("more", "headers", "status", "why"), [
    (
        b"Origin: https://evil.example\r\n",
        {"origins": ["https://example.org"]},
        403,
        "invalid Origin header: https://evil.example",
    ),
    (b"", {"origins": ["https://example.org"]}, 403, "missing Origin header"),
    (b"", {"subprotocols": ["chat"]}, 400, "missing subprotocol"),
])  # fmt: skip
def test_a_client_that_is_not_wanted_is_refused(more, headers, status, why):
    machine = ServerMachine(**headers)
    data = request()[:-2] + more + b"\r\n"
    assert machine.receive(data) == [Refused(status, why)]
    answered = machine.to_send()
    assert answered.startswith(b"HTTP/1.1 %d " % status)
    assert machine.finished


@pytest.mark.parametrize(("data", "status"), [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (request(without=b"Sec-WebSocket-Key"), 400),
    (request(without=b"Sec-WebSocket-Version"), 400),
    (request().replace(b": 13", b": 12"), 400),
    (request().replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
    (b"hello\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\n", 400),
    (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n", 414),
    (b"GET / HTTP/1.1\r\n" + b"".join(b"a%d: 1\r\n" % one for one in range(200)), 431),
    (b"GET / HTTP/1.1\r\n" + b"a: " + b"x" * 9000 + b"\r\n", 431),
    (b"x" * (HANDSHAKE_LIMIT + 1), 431),
])  # fmt: skip
def test_what_is_no_proper_request_is_answered_with_an_error_of_http(data, status):
    machine = ServerMachine()
    (refused,) = machine.receive(data)
    answered = machine.to_send()
    assert isinstance(refused, Refused)
    assert refused.status == status
    assert answered.startswith(b"HTTP/1.1 %d " % status)
    assert machine.answer.status == status and answered.endswith(b"\r\n\r\n" + machine.answer.body)
    # Who names what to upgrade to says so in Connection, too (RFC 9110, 7.8).
    assert (b"\r\nConnection: close, Upgrade\r\n" in answered) == (status == 426)
    assert machine.finished
    assert machine.receive(b"more") == [] and machine.receive_end() == []


def test_an_origin_may_be_a_text_a_pattern_or_none_at_all():
    import re

    origins = ["https://example.org", re.compile(r"https://[a-z]+\.example\.net"), None]
    for origin in (b"https://example.org", b"https://www.example.net", None):
        machine = ServerMachine(origins=origins)
        (opened,) = machine.receive(request(*([] if origin is None else [b"Origin: " + origin])))
        assert isinstance(opened, Opened)


@pytest.mark.parametrize(("origin", "host", "same"), [
    (None, b"example.org", True),
    (b"http://example.org", b"example.org", True),
    (b"https://example.org", b"example.org", True),
    (b"https://Example.org", b"eXample.org", True),
    (b"http://example.org:8080", b"example.org:8080", True),
    (b"http://example.org", b"example.org:80", True),
    (b"https://example.org", b"example.org:443", True),
    (b"http://127.0.0.1:8080", b"127.0.0.1:8080", True),
    (b"http://[::1]:8080", b"[::1]:8080", True),
    (b"https://example.org", b"example.org:80", False),
    (b"http://example.org:8081", b"example.org:8080", False),
    (b"http://example.org", b"example.org:8080", False),
    (b"https://evil.example", b"example.org", False),
    (b"https://example.org.evil.example", b"example.org", False),
    (b"https://www.example.org", b"example.org", False),
    (b"null", b"example.org", False),
    (b"", b"example.org", False),
    (b"example.org", b"example.org", False),
    (b"file://", b"", False),
    (b"http://localhost:8080", b"127.0.0.1:8080", False),
    (b"https://evil.example", b"evil.example\r\nHost: example.org", False),
])  # fmt: skip
def test_a_page_of_another_host_is_refused_unless_it_is_said_otherwise(origin, host, same):
    asked = request(*([] if origin is None else [b"Origin: " + origin]))
    asked = asked.replace(b"Host: example.org", b"Host: " + host)
    (event,) = ServerMachine().receive(asked)
    assert isinstance(event, Opened) == same
    if not same:
        assert isinstance(event, Refused) and event.status == 403
        assert event.reason == (
            f"invalid Origin header: {origin.decode()}" if origin else "empty Origin header"
        )
    (event,) = ServerMachine(origins="any").receive(asked)
    assert isinstance(event, Opened)


@pytest.mark.parametrize(("method", "more", "version", "status"), [
    ("GET", [], "1.1", 101),
    ("GET", [("Content-Length", "0")], "1.1", 101),
    ("GET", [("Cookie", "x" * 9000)], "1.1", 101),
    ("GET", [(f"A{number}", "x") for number in range(200)], "1.1", 101),
    ("GET", [("Content-Length", "5")], "1.1", 400),
    ("GET", [("Transfer-Encoding", "chunked")], "1.1", 400),
    ("GET", [("Sec-WebSocket-Key", "again")], "1.1", 400),
    ("GET", [("Origin", "https://evil.example")], "1.1", 403),
    ("GET", [], "1.0", 505),
    ("POST", [("Content-Length", "5")], "1.1", 405),
    ("BREW", [], "1.1", 405),
])  # fmt: skip
def test_a_request_that_somebody_else_has_read_is_answered(method, more, version, status):
    lines = request().decode().split("\r\n")[1:-2]
    headers = [tuple(line.split(": ", 1)) for line in lines] + more
    machine = ServerMachine()
    given = machine.accept(method, "/" + "x" * 9000, headers, version)
    assert given.status == status and machine.to_send() == b""
    if status == 101:
        assert machine.opened.target == "/" + "x" * 9000
        assert machine.receive(frame(TEXT, b"one") + frame(CLOSE)) == ["one", Closed(1005)]
        assert machine.text("two") == answer(TEXT, b"two")
    else:
        assert machine.refused.status == status and machine.refused.reason in given.body.decode()
        assert (dict(given.headers).get("Allow") == "GET") == (status == 405)


def test_of_the_subprotocols_the_first_of_the_servers_is_taken():
    machine = ServerMachine(subprotocols=["best", "good"])
    (opened,) = machine.receive(request(b"Sec-WebSocket-Protocol: good, best"))
    assert opened.subprotocol == "best"
    assert b"\r\nSec-WebSocket-Protocol: best\r\n" in machine.to_send()


def test_a_request_that_breaks_off_is_told():
    machine = ServerMachine()
    assert machine.receive(b"GET / HT") == []
    assert machine.receive_end() == [Refused(None, "the stream has ended before the request had")]
    assert (machine.to_send(), machine.finished) == (b"", True)


@pytest.mark.parametrize(("data", "status", "why"), [
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 404, "HTTP 404"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "HTTP 200"),
    (ANSWER.replace(CLIENT_ACCEPT, b"AA==") + b"\r\n", 101, "invalid Sec-WebSocket-Accept header: AA=="),
    (ANSWER + DEFLATE + b"; nonsense=1\r\n\r\n", 101, "Unsupported extension"),
    (ANSWER + b"Sec-WebSocket-Protocol: other\r\n\r\n", 101, "no subprotocols supported"),
])  # fmt: skip
def test_a_client_says_why_there_is_no_connection(data, status, why):
    machine = ClientMachine("example.org", "/chat", chance=bytes(32))
    (refused,) = machine.receive(data)
    assert refused.status == status
    assert why in refused.reason


def test_a_client_takes_no_endless_answer():
    machine = ClientMachine("example.org", chance=bytes(32))
    events = []
    for _ in range(100):
        events += machine.receive(b"HTTP/1.1 404 Not Found\r\n\r\n" + b"x" * 1000)
    (refused,) = events
    assert refused == Refused(None, f"the answer has more than {HANDSHAKE_LIMIT} bytes")


@pytest.mark.parametrize(("data", "why"), [
    (b"", "the server has ended the connection without an answer"),
    (b"SSH-2.0\r\n", "did not receive a valid HTTP response; invalid HTTP status line: SSH-2.0"),
])  # fmt: skip
def test_a_client_meets_what_is_no_server_of_http(data, why):
    machine = ClientMachine("example.org", chance=bytes(32))
    assert machine.receive(data) + machine.receive_end() == [Refused(None, why)]


def test_what_is_sent_is_what_comes():
    here, there = client(), server()
    for message in ("", "text", "é" * 300, b"", b"data", bytes(70_000)):
        make = here.text if isinstance(message, str) else here.data
        make_back = there.text if isinstance(message, str) else there.data
        there._limit = 10**6
        if len(message) < LIMIT:
            assert there.receive(make(message)) == [message]
            assert here.receive(make_back(message)) == [message]
        else:
            assert len(make(message)) == len(message) + 14


def test_a_compressed_message_arrives_as_it_was():
    machine, peer = server(DEFLATE), client(DEFLATE + b"; server_max_window_bits=12")
    data = machine.text("x" * 500)
    assert len(data) < 20
    assert peer.receive(data) == ["x" * 500]
    assert machine.receive(peer.data(b"y" * 500)) == [b"y" * 500]


def test_what_the_machine_itself_has_to_say_comes_first():
    machine = server()
    machine.receive(frame(PING, b"?"))
    assert machine.text("one") == answer(PONG, b"?") + answer(TEXT, b"one")


def test_frames_are_as_rfc_6455_prints_them():
    # 5.7: a single frame of text, and the same masked
    machine = server()
    assert machine.text("Hello") == bytes.fromhex("810548656c6c6f")
    assert machine.receive(bytes.fromhex("818537fa213d7f9f4d5158")) == ["Hello"]
    assert machine.receive(bytes.fromhex("898537fa213d7f9f4d5158")) == [Ping(b"Hello")]
    assert machine.to_send() == bytes.fromhex("8a0548656c6c6f")
    assert machine.data(bytes(256))[:4] == bytes.fromhex("827e0100")
    assert machine.data(bytes(65536))[:10] == bytes.fromhex("827f0000000000010000")


def test_masks_differ_from_frame_to_frame_and_are_the_same_of_the_same_chance():
    one, same, other = (
        ClientMachine("example.org", "/chat", chance=bytes([chance]) * 32) for chance in (1, 1, 2)
    )
    for machine in (one, same, other):
        machine.receive(ANSWER.replace(CLIENT_ACCEPT, accept_of(machine.to_send())) + b"\r\n")
    masks = [one.data(b"1234")[2:6] for _ in range(1000)]
    assert len(set(masks)) == 1000
    assert masks == [same.data(b"1234")[2:6] for _ in range(1000)]
    assert not set(masks) & {other.data(b"1234")[2:6] for _ in range(1000)}


def accept_of(sent: bytes) -> bytes:
    from websockets.utils import accept_key

    (key,) = (line[19:] for line in sent.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: "))
    return accept_key(key.decode()).encode()


def test_a_message_may_be_sent_in_fragments():
    machine = server()
    assert machine.fragment("one ") == answer(TEXT, b"one ", fin=False)
    with pytest.raises(LocalProtocolError, match="a message is either text or bytes"):
        machine.fragment(b"two")
    with pytest.raises(LocalProtocolError, match="its last is still to come"):
        machine.text("another")
    assert machine.ping() == answer(PING)
    assert machine.fragment("two", last=True) == answer(CONT, b"two")
    assert machine.fragment(b"whole", last=True) == answer(DATA, b"whole")
    assert machine.text("another") == answer(TEXT, b"another")


@pytest.mark.parametrize(
    "act",
    [
        lambda machine: machine.text("x"),
        lambda machine: machine.data(b"x"),
        lambda machine: machine.ping(),
        lambda machine: machine.fragment("x"),
    ],
)
def test_nothing_is_sent_before_the_handshake_and_after_the_close(act):
    with pytest.raises(LocalProtocolError, match="has not been opened"):
        act(ServerMachine())
    machine = server()
    machine.close()
    with pytest.raises(LocalProtocolError, match="has been closed"):
        act(machine)


def test_what_cannot_be_sent_is_refused_and_harms_nothing():
    machine = server()
    for act, why in (
        (lambda: machine.text("\ud800"), "is no text that can be sent"),
        (lambda: machine.utf8(b"\xff"), "cannot be sent as text"),
        (lambda: machine.ping(bytes(126)), "a ping has at most 125 bytes"),
        (lambda: machine.close(1005), "1005 is no code to close with"),
        (lambda: machine.close(1000, "x" * 124), "at most 123 bytes"),
    ):
        with pytest.raises(LocalProtocolError, match=why):
            act()
    assert machine.utf8(b"fine") == answer(TEXT, b"fine")
    with pytest.raises(LocalProtocolError, match="there is nothing to close yet"):
        ServerMachine().close()


def test_a_close_is_answered_when_we_have_finished():
    machine = server()
    assert machine.receive(frame(CLOSE, close(1001, "bye"))) == [Closed(1001, "bye")]
    assert (machine.to_send(), machine.finished, machine.closing) == (b"", False, False)
    assert machine.text("one more") == answer(TEXT, b"one more")
    assert machine.close() == answer(CLOSE, close(1001, "bye"))
    assert machine.finished
    assert machine.close() == b""


def test_a_close_is_answered_with_our_own_code_if_that_tells_of_an_error():
    machine = server()
    machine.receive(frame(CLOSE, close(1000)))
    assert machine.close(1011) == answer(CLOSE, close(1011))
    assert machine.finished


def test_the_answer_to_a_close_between_two_fragments_ends_it_well():
    machine = server()
    assert machine.receive(frame(TEXT, b"one", fin=False) + frame(CLOSE, close(1000))) == [Closed(1000)]
    assert machine.close() == answer(CLOSE, close(1000))


def test_a_client_leaves_it_to_the_server_to_end_the_stream():
    machine = client()
    assert machine.receive(answer(CLOSE, close(1000))) == [Closed(1000)]
    sent = machine.close()
    assert sent[:2] == b"\x88\x82"
    assert not machine.finished
    assert machine.receive_end() == []
    assert (machine.to_send(), machine.finished) == (b"", True)


def test_who_breaks_a_rule_is_told_which_and_what_came_before_may_be_answered():
    machine = server()
    message, closed = machine.receive(frame(TEXT, b"fine") + frame(CONT, b"wrong") + frame(TEXT, b"late"))
    assert (message, closed.code) == ("fine", 1002)
    assert isinstance(closed.error, RemoteProtocolError)
    assert str(closed.error) == "the peer has broken the protocol: unexpected continuation frame"
    assert machine.text(message) == answer(TEXT, b"fine")
    assert machine.close() == answer(CLOSE, close(1002, "unexpected continuation frame"))
    assert machine.finished


@pytest.mark.parametrize("begun", [b"", b"\x81", frame(TEXT, b"one")[:4], frame(TEXT, b"one", fin=False)])
def test_a_stream_that_ends_without_a_close_is_told_with_1006(begun):
    machine = server()
    assert machine.receive(begun) + machine.receive_end() == [Closed(1006)]
    assert machine.to_send() == b""
    assert machine.finished


def test_a_handshake_that_takes_too_long_can_be_refused():
    machine = ServerMachine()
    machine.receive(b"GET / HTTP/1.1\r\n")
    assert machine.refuse(408, "no request within 10 s") == [Refused(408, "no request within 10 s")]
    head, _, body = machine.to_send().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert body == b"Failed to open a WebSocket connection: no request within 10 s.\n"
    assert machine.refuse(408, "again") == []


def test_a_client_writes_a_request():
    machine = ClientMachine(
        "example.org",
        "/a%20b?c=d",
        port=8080,
        chance=bytes(32),
        headers=[("Cookie", "x=1")],
        subprotocols=["a", "b"],
        origin="https://example.org",
    )
    assert machine.to_send().split(b"\r\n") == [
        b"GET /a%20b?c=d HTTP/1.1",
        b"Host: example.org:8080",
        b"Origin: https://example.org",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + machine._protocol.key.encode(),
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        b"Sec-WebSocket-Protocol: a, b",
        b"Cookie: x=1",
        b"",
        b"",
    ]


@pytest.mark.parametrize("target", ["", "chat", "/a b", "/é", "/a\r\nb"])
def test_a_client_asks_for_nothing_that_would_break_its_request(target):
    with pytest.raises(LocalProtocolError, match="cannot be asked for"):
        ClientMachine("example.org", target, chance=bytes(32))


def test_a_client_needs_enough_chance():
    with pytest.raises(LocalProtocolError, match="a client needs 32 bytes of chance, and was given 16"):
        ClientMachine("example.org", chance=bytes(16))


# --- whatever comes -----------------------------------------------------------------------------------

PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([b"x" * length for length in (125, 126, 299, 300, 301)]),
    st.integers(0, 2000).map(lambda length: deflated(bytes(length))),
    st.sampled_from([close(1000), close(1000, "bye"), close(1006), b"x"]),
)


@st.composite
def inputs(draw: Any) -> bytes:
    choice = draw(st.integers(0, 31))
    frames = st.builds(
        frame,
        st.sampled_from([CONT, TEXT, TEXT, TEXT, DATA, DATA, DATA, CLOSE, PING, PONG, 3]),
        PAYLOADS,
        fin=st.sampled_from([True, True, True, False]),
        rsv=st.sampled_from([0, 0, 0, 4, 2]),
        masked=st.sampled_from([choice & 1 == 0] * 15 + [choice & 1 == 1]),
    )
    body = b"".join(draw(st.lists(frames, max_size=8)))
    head = draw(st.sampled_from([fuzz_websocket.REQUEST, fuzz_websocket.ANSWER + b"\r\n"]))
    return bytes([choice]) + (head if choice & 16 else b"") + body


@given(st.one_of(inputs(), st.binary(max_size=100)))
@settings(max_examples=200, deadline=None)
@example(b"\x02" + frame(DATA, deflated(bytes(300)), rsv=4) * 40)
@example(b"\x06" + frame(DATA, deflated(bytes(300)), rsv=4, fin=False) + frame(CONT, b"x") * 40)
@example(b"\x00\x81\xfe\x00\x03" + MASK + b"two")
@example(b"\x00" + frame(DATA, b"x", fin=False) + frame(CONT, b"", fin=False) * 100)
def test_whatever_comes_is_told_in_events_the_same_however_it_is_cut(data):
    fuzz_websocket.one_input(data)
