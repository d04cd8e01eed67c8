"""Requests that two readers could understand in two ways, and headers that would inject others: all refused.

Each case says where it is known from. None is copied; RFC numbers say which rule refuses it, and "smuggling"
is the family of attacks in which a proxy and a server find the end of a request at different places:
CL.TE, TE.CL, TE.TE after who believes Content-Length and who Transfer-Encoding.
"""

from __future__ import annotations

import pytest

from kamaelia.protocol.http import Limits

from .feeding import PARSERS, tell

pytestmark = pytest.mark.one_core()


def get(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"POST / HTTP/1.1", b"Host: x", *lines, b"", body])


CHUNKED = b"Transfer-Encoding: chunked"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"

# What comes, the status that it is refused with, and where the case is from.
CASES: list[tuple[str, bytes, int]] = [
    # -- two lengths: RFC 9112, 6.3 --
    ("CL.TE", get(b"Content-Length: 40", CHUNKED, body=b"0\r\n\r\n" + HIDDEN), 400),
    ("TE.CL", get(CHUNKED, b"Content-Length: 4", body=b"5c\r\n" + HIDDEN), 400),
    ("CL.TE with a length of nothing (CL.0)", get(b"Content-Length: 0", CHUNKED, body=b"0\r\n\r\n"), 400),
    ("CL.CL, differing", get(b"Content-Length: 0", b"Content-Length: 34", body=HIDDEN), 400),
    (
        "CL.CL, the same: nobody honest sends it",
        get(b"Content-Length: 2", b"Content-Length: 2", body=b"hi"),
        400,
    ),
    ("CL, a list", get(b"Content-Length: 0, 34", body=HIDDEN), 400),
    ("CL, a list of the same", get(b"Content-Length: 2, 2", body=b"hi"), 400),
    ("CL in two cases", get(b"Content-Length: 2", b"CONTENT-LENGTH: 3", body=b"hi!"), 400),
    # -- numbers that some read and others do not: RFC 9110, 8.6 --
    ("CL with a sign", get(b"Content-Length: +5", body=b"hello"), 400),
    ("CL, negative", get(b"Content-Length: -1", body=b"hello"), 400),
    ("CL, hexadecimal", get(b"Content-Length: 0x5", body=b"hello"), 400),
    ("CL with an underscore, as Python's int() takes", get(b"Content-Length: 1_0", body=b"0123456789"), 400),
    ("CL with a point", get(b"Content-Length: 5.0", body=b"hello"), 400),
    ("CL with a blank within", get(b"Content-Length: 1 0", body=b"0123456789"), 400),
    (
        "CL in other digits, as str.isdigit takes",
        get("Content-Length: \xb2".encode("latin-1"), body=b"hi"),
        400,
    ),
    ("CL, empty", get(b"Content-Length:", body=b"hi"), 400),
    ("CL with a NUL", get(b"Content-Length: 5\0", body=b"hello"), 400),
    ("CL with a vertical tab, blank to C", get(b"Content-Length: \x0b5", body=b"hello"), 400),
    (
        "CL beyond 64 bits, where counters turn over",
        get(b"Content-Length: 18446744073709551621", body=b"hello"),
        413,
    ),
    ("CL as long as a header may be", get(b"Content-Length: " + b"9" * 5000, body=b"hello"), 413),
    # -- codings that some see and others do not (TE.TE): RFC 9112, 6.1 and 7 --
    ("TE twice", get(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    ("TE twice, one unknown", get(CHUNKED, b"Transfer-Encoding: x", body=b"0\r\n\r\n"), 400),
    ("TE chunked, but not last", get(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), 400),
    ("TE chunked after another", get(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 400),
    ("TE of one unknown", get(b"Transfer-Encoding: gzip", body=b"hi"), 501),
    ("TE of a misspelt one", get(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 400),
    ("TE with a tab behind", get(b"Transfer-Encoding: chunked\t", body=b"0\r\n\r\n"), 400),
    ("CL with a tab behind", get(b"Content-Length: 2\t", body=b"hi"), 400),
    ("Host with a tab behind", b"GET / HTTP/1.1\r\nHost: x\t\r\n\r\n", 400),
    ("TE in quotes", get(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), 400),
    ("TE with a parameter", get(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), 400),
    ("TE with a comma behind", get(b"Transfer-Encoding: chunked,", body=b"0\r\n\r\n"), 400),
    ("TE with a vertical tab before", get(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    ("TE with something beyond ASCII", get(b"Transfer-Encoding: \xff", body=b"0\r\n\r\n"), 501),
    ("TE identity, gone since RFC 7230", get(b"Transfer-Encoding: identity", body=b""), 501),
    ("TE, empty", get(b"Transfer-Encoding:", body=b"0\r\n\r\n"), 501),
    ("TE in HTTP/1.0", b"POST / HTTP/1.0\r\n" + CHUNKED + b"\r\n\r\n0\r\n\r\n", 400),
    # -- names: RFC 9112, 5.1 and 5.2 --
    ("a blank before the colon", get(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400),
    ("a tab before the colon", get(b"Content-Length\t: 5", body=b"hello"), 400),
    ("a blank before the name", b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    (
        "a header that goes on in another line",
        get(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"),
        400,
    ),
    ("one with a tab that does", get(b"A: b", b"\tContent-Length: 5", body=b"hello"), 400),
    ("a header without a name", get(b": chunked"), 400),
    ("a line without a colon", get(b"Transfer-Encoding"), 400),
    ("a NUL in a name", get(b"Transfer\0-Encoding: chunked"), 400),
    ("a name beyond ASCII", get(b"Tr\xe4nsfer-Encoding: chunked"), 400),
    ("a name in brackets", get(b"Transfer-Encoding[]: chunked"), 400),
    # -- line ends: RFC 9112, 2.2 allows a lone LF, which proxies read in other ways, so we do not --
    ("lines that end with LF", b"GET / HTTP/1.1\nHost: x\n\n", 400),
    ("one that does", b"GET / HTTP/1.1\r\nHost: x\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("a line that ends with CR", b"GET / HTTP/1.1\r\nHost: x\rTransfer-Encoding: chunked\r\n\r\n", 400),
    ("a CR in a value", get(b"A: b\rc"), 400),
    ("a CR too many", b"GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", 400),
    ("a head that ends with LF LF", b"GET / HTTP/1.1\r\nHost: x\n\n" + HIDDEN, 400),
    ("an LF before the request", b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a NUL in a value", get(b"A: b\0c"), 400),
    ("an escape in a value, which would be obeyed in a log", get(b"A: \x1b[2J"), 400),
    ("a DEL in a value", get(b"A: \x7f"), 400),
    # -- chunks: RFC 9112, 7.1 --
    ("a size with a sign", get(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    ("a size with 0x", get(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    ("a size with an underscore", get(CHUNKED, body=b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"), 400),
    ("a size with a blank before", get(CHUNKED, body=b" 5\r\nhello\r\n0\r\n\r\n"), 400),
    ("a size with a blank behind", get(CHUNKED, body=b"5 \r\nhello\r\n0\r\n\r\n"), 400),
    ("a negative size", get(CHUNKED, body=b"-1\r\n\r\n0\r\n\r\n"), 400),
    ("no size", get(CHUNKED, body=b"\r\nhello\r\n0\r\n\r\n"), 400),
    ("no size, but an extension", get(CHUNKED, body=b";a=b\r\nhello\r\n0\r\n\r\n"), 400),
    ("a size beyond 64 bits", get(CHUNKED, body=b"10000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    ("a size with an LF only", get(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n"), 400),
    ("a chunk longer than it says", get(CHUNKED, body=b"5\r\nhelloo\r\n0\r\n\r\n"), 400),
    ("a chunk without its line break", get(CHUNKED, body=b"5\r\nhello0\r\n\r\n"), 400),
    ("a chunk with two other bytes behind", get(CHUNKED, body=b"5\r\nhelloXX0\r\n\r\n"), 400),
    ("a chunk with LF behind", get(CHUNKED, body=b"5\r\nhello\n0\r\n\r\n"), 400),
    ("an LF in an extension: TERM.EXT", get(CHUNKED, body=b"5;\nhello\r\n0\r\n\r\n"), 400),
    ("a CR in an extension", get(CHUNKED, body=b"5;a\rb\r\nhello\r\n0\r\n\r\n"), 400),
    ("an extension without end", get(CHUNKED, body=b"5;" + b"a" * 2000 + b"\r\nhello\r\n0\r\n\r\n"), 400),
    (
        "extensions without end",
        get(CHUNKED, body=(b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 20 + b"0\r\n\r\n"),
        400,
    ),
    ("Content-Length as a trailer", get(CHUNKED, body=b"0\r\nContent-Length: 5\r\n\r\n"), 400),
    ("Host as a trailer", get(CHUNKED, body=b"0\r\nhost: y\r\n\r\n"), 400),
    ("a request among the trailers", get(CHUNKED, body=b"0\r\nGET /hidden HTTP/1.1\r\n\r\n"), 400),
    ("a trailer that goes on", get(CHUNKED, body=b"0\r\nA: b\r\n c\r\n\r\n"), 400),
    ("trailers without end", get(CHUNKED, body=b"0\r\n" + b"A: b\r\n" * 11_000 + b"\r\n"), 431),
    ("too many trailers", get(CHUNKED, body=b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n"), 431),
    # -- hosts: RFC 9112, 3.2; a cache that takes one and a server that takes another --
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", get(b"Host: y"), 400),
    ("two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    ("two Hosts in a line", b"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", 400),
    ("a Host with a path", b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
    ("a Host with a name and password", b"GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", 400),
    ("a Host whose port is none", b"GET / HTTP/1.1\r\nHost: x:80a\r\n\r\n", 400),
    ("a Host with two ports", b"GET / HTTP/1.1\r\nHost: x:80:81\r\n\r\n", 400),
    ("a Host with markup", b'GET / HTTP/1.1\r\nHost: x"><script>\r\n\r\n', 400),
    ("a Host beyond ASCII", b"GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n", 400),
    ("an absolute target with a password", b"GET http://a:b@x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("an absolute target whose port is none", b"GET http://x:a/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    # -- the line of the request: RFC 9112, 3 --
    ("a blank in the target", b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("two blanks", b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a blank behind", b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
    ("tabs for blanks", b"GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a blank before", b" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a target beyond ASCII", b"GET /\xe4 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a NUL in the target", b"GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a fragment in the target", b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a target without its slash", b"GET a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a target of another scheme", b"GET file:///etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("* for another method than OPTIONS", b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("HTTP/0.9", b"GET /\r\n\r\n", 400),
    ("a method in small letters", b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    ("an unknown method", b"FETCH / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    ("a method that is no word", b"G@T( / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a tunnel", b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
    ("HTTP/1.10", b"GET / HTTP/1.10\r\nHost: x\r\n\r\n", 400),
    ("HTTP/01.1", b"GET / HTTP/01.1\r\nHost: x\r\n\r\n", 400),
    ("http/1.1", b"GET / http/1.1\r\nHost: x\r\n\r\n", 400),
    ("HTTPS/1.1", b"GET / HTTPS/1.1\r\nHost: x\r\n\r\n", 400),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
    # -- limits --
    ("a target without end", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ("a line without end", b"a" * 70_000, 414),
    ("a header without end", b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000, 431),
    ("a head without end", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 11_000, 431),
    ("too many headers", get(*[b"A: b"] * 100), 431),
    ("what nobody meets", get(b"Expect: 200-ok"), 417),
    ("what nobody meets, and 100-continue", get(b"Expect: 100-continue", b"Expect: x"), 417),
]


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(("name", "data", "status"), CASES, ids=[case[0] for case in CASES])
def test_refused(name: str, data: bytes, status: int, parser: str) -> None:
    pieces = (0, 1, 5) if len(data) < 5000 else (0, 997)
    for piece in pieces:
        told = tell(data, parser=parser, piece=piece)
        assert told[-1] == ("refused", status)
        assert not any("/hidden" in str(one) for one in told)


@pytest.mark.parametrize(("name", "data", "status"), CASES, ids=[case[0] for case in CASES])
def test_refused_behind_a_good_request_too(name: str, data: bytes, status: int) -> None:
    good = b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n"
    assert tell(good + data)[0][1] == "/first"
    told = tell(good + data)[2:]
    # An empty line before a request is no part of it.
    assert told[-1] == ("refused", status)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \0",
        get(CHUNKED, body=b"5\n"),
        get(CHUNKED, body=b"5;a\0"),
        get(CHUNKED, body=b"0\r\nA: b\n"),
    ],
)
def test_refused_before_anything_else_comes(data: bytes) -> None:
    assert tell(data, ends=False)[-1] == ("refused", 400)
    assert tell(data, ends=False, piece=1)[-1] == ("refused", 400)
    assert tell(data[:-1], ends=False)[-1:] != [("refused", 400)]


def test_every_case_stands_for_itself() -> None:
    assert len({name for name, _, _ in CASES}) == len(CASES)
    assert len({data for _, data, _ in CASES}) == len(CASES)


def test_limits_may_be_wider() -> None:
    data = b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    assert tell(data, limits=Limits(target="16 KiB"))[-1] == "ended"
    assert tell(get(*[b"A: b"] * 100), limits=Limits(headers=101))[-1] == "ended"
