"""What clients like best, and bodies that are compressed."""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import RemoteProtocolError, VirtualLoop, run
from kamaelia.flow import Collect, Source
from kamaelia.protocol.http import Headers, Request, Response
from kamaelia.protocol.http.compression import (
    GRACE,
    PIECE,
    Compress,
    Compressor,
    Decompress,
    Decompressor,
    codings_of,
    compressed,
    is_compressible,
)
from kamaelia.protocol.http.negotiation import choose_coding, choose_type, weighted
from kamaelia.testing import drive

pure = pytest.mark.one_core

# --- Accept and Accept-Encoding: RFC 9110, 12.4.2 and 12.5 -----------------------------------------


@pure
@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", []),
        ("a", [("a", 1.0)]),
        ("A ; Q=0.5", [("a", 0.5)]),
        ("a;q=0,b;q=1.000,c;q=0.001", [("a", 0.0), ("b", 1.0), ("c", 0.001)]),
        ("a;q=1.1,b;q=-1,c;q=x,d;q=,e;q=0.1234,f", [("f", 1.0)]),
        (" , a,,b ,", [("a", 1.0), ("b", 1.0)]),
        ("text/html; Level=1;q=0.4;ext=1", [("text/html;level=1", 0.4)]),
        (";q=1", []),
    ],
)
def test_lists_with_weights(value: str, found: list[tuple[str, float]]) -> None:
    assert weighted(value) == found


@pure
def test_of_a_long_list_only_the_beginning_is_read() -> None:
    assert len(weighted(",".join(f"a{n}" for n in range(1000)))) == 100


@pure
@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("deflate, gzip", "gzip"),  # of those it likes equally, what we like
        ("gzip;q=0.5, deflate", "deflate"),
        ("br", None),
        ("*", "gzip"),
        ("*;q=0", None),
        ("gzip;q=0", None),
        ("gzip;q=0, *", "deflate"),
        ("gzip;q=0.0", None),
        ("identity", None),
        ("identity, gzip", "gzip"),
        ("identity, gzip;q=0.9", None),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity;q=0", None),  # rather that than no answer
        ("compress, gzip", "gzip"),
    ],
)
def test_which_coding_is_chosen(accept: str | None, coding: str | None) -> None:
    assert choose_coding(accept, ["gzip", "deflate"]) == coding


@pure
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/html"),
        ("", "text/html"),
        ("*/*", "text/html"),
        ("application/json", "application/json"),
        ("application/*", "application/json"),
        ("text/html;q=0.5, application/json;q=0.8", "application/json"),
        ("text/html;q=0, */*", "text/plain; charset=utf-8"),  # the more exact one counts
        ("text/*;q=0.2, */*;q=0.1", "text/html"),
        ("text/plain;charset=UTF-8, text/html;q=0.9", "text/plain; charset=utf-8"),
        ("image/png", None),
        ("*/*;q=0", None),
    ],
)
def test_which_type_is_chosen(accept: str | None, kind: str | None) -> None:
    offered = ["text/html", "text/plain; charset=utf-8", "application/json"]
    assert choose_type(accept, offered) == kind


# --- what is compressed -------------------------------------------------------


@pure
@pytest.mark.parametrize(
    ("kind", "is_one"),
    [
        *(("text/html", True), ("TEXT/css; charset=utf-8", True), ("application/json", True)),
        *(("application/problem+json", True), ("image/svg+xml", True), ("text/event-stream", True)),
        *(("image/png", False), ("video/mp4", False), ("application/zip", False), ("font/woff2", False)),
        *(("application/octet-stream", False), ("", False), (None, False)),
    ],
)
def test_which_types_get_smaller(kind: str | None, is_one: bool) -> None:
    assert is_compressible(kind) is is_one


ASKS = Request("GET", "/", Headers({"Accept-Encoding": "gzip"}))
TEXT = "tea and milk " * 500


@pure
def test_a_response_is_compressed() -> None:
    given = Response(TEXT, headers=Headers({"ETag": '"a"', "Content-Length": 6500, "Vary": "Cookie"}))
    answer = compressed(ASKS, given)
    assert gzip.decompress(answer.body) == given.body == TEXT.encode()
    assert len(answer.body) < 200
    assert answer.headers.pairs == [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Vary", "Cookie, Accept-Encoding"),
        ("Content-Encoding", "gzip"),
        ("ETag", 'W/"a"'),
    ]


@pure
def test_the_same_is_compressed_to_the_same_bytes() -> None:
    assert compressed(ASKS, Response(TEXT)).body == compressed(ASKS, Response(TEXT)).body


@pure
@pytest.mark.parametrize(
    "response",
    [
        Response(TEXT[:999]),
        Response(TEXT.encode(), type="image/png"),
        Response(TEXT.encode()),
        Response(TEXT, 206),
        Response(TEXT, 304),
        Response(TEXT, headers=Headers({"Content-Range": "bytes 0-1/2"})),
        Response(TEXT, headers=Headers({"Content-Encoding": "br"})),
        Response(TEXT, headers=Headers({"Cache-Control": "public, No-Transform"})),
        Response(b"", 101),
    ],
)
def test_what_is_left_as_it_is(response: Response) -> None:
    assert compressed(ASKS, response) is response


@pure
def test_caches_are_told_even_when_this_client_takes_it_as_it_is() -> None:
    answer = compressed(Request("GET", "/"), Response(TEXT))
    assert (answer.body, answer.headers["Vary"]) == (TEXT.encode(), "Accept-Encoding")
    assert "Content-Encoding" not in answer.headers
    for said in ("*", "accept-encoding"):
        again = compressed(ASKS, Response(TEXT, headers=Headers({"Vary": said})))
        assert again.headers.all("Vary") == [said]


def test_a_component_goes_on_to_send_what_it_sends() -> None:
    answer = compressed(ASKS, Response(Source([TEXT, b"!"]), type="text/plain"))
    assert answer.headers["Content-Encoding"] == "gzip"
    pieces = run(answer.body | Collect(), loop_factory=VirtualLoop)
    assert gzip.decompress(b"".join(pieces)) == TEXT.encode() + b"!"


# --- the machines -------------------------------------------------------


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def raw_deflate(data: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(data) + machine.flush()


def undone(codings: list[str], pieces: list[bytes], **options: Any) -> bytes:
    machine = Decompressor(codings, **options)
    found = [out for piece in pieces for out in machine.feed(piece)]
    machine.end()
    assert all(0 < len(piece) <= PIECE for piece in found)
    return b"".join(found)


FORMS: list[tuple[list[str], Callable[[bytes], bytes]]] = [
    (["gzip"], gzipped),
    (["deflate"], zlib.compress),
    (["deflate"], raw_deflate),
    (["deflate", "gzip"], lambda data: gzipped(zlib.compress(data))),
    (["gzip"], lambda data: gzipped(data[:7]) + gzipped(b"") + gzipped(data[7:])),
]


@pure
@pytest.mark.parametrize(("codings", "make"), FORMS)
@pytest.mark.parametrize("data", [b"", b"a", b"tea" * 1000, bytes(300_000), bytes(range(256)) * 2000])
def test_what_was_compressed_comes_out_whole_and_byte_by_byte(
    codings: list[str], make: Callable[[bytes], bytes], data: bytes
) -> None:
    sent = make(data)
    options = {"ratio": 100_000}
    assert undone(codings, [sent], **options) == data
    step = 1 if len(sent) < 5000 else 997
    assert undone(codings, [sent[n : n + step] for n in range(0, len(sent), step)], **options) == data


@pure
@given(st.lists(st.binary(max_size=300)), st.sampled_from(["gzip", "deflate"]), st.integers(1, 9))
def test_whatever_was_flushed_can_be_read(pieces: list[bytes], coding: str, level: int) -> None:
    sender, receiver = Compressor(coding, level), Decompressor([coding])
    for piece in pieces:
        assert b"".join(receiver.feed(sender.feed(piece) + sender.flush())) == piece
    assert b"".join(receiver.feed(sender.end())) == b""
    receiver.end()


@pure
@given(
    st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]), st.integers(0, 200), st.integers(1, 255)
)
def test_damage_is_the_fault_of_the_other_side(data: bytes, coding: str, where: int, change: int) -> None:
    machine = Compressor(coding)
    sent = bytearray(machine.feed(data) + machine.end())
    sent[where % len(sent)] ^= change
    for wire in (bytes(sent), data):
        try:
            undone([coding], [wire])
        except RemoteProtocolError:
            pass


@pure
@pytest.mark.parametrize(
    ("codings", "sent", "text"),
    [
        (["gzip"], b"hello", "the body is no gzip: .*incorrect header check"),
        (["gzip"], gzipped(b"tea")[:-1], "the body is cut off: its gzip has no end"),
        (["gzip"], gzipped(b"tea") + b"x", "the body is cut off"),
        (["gzip"], gzipped(b"tea") + b"xyz", "the body is no gzip"),
        (["deflate"], zlib.compress(b"tea") + b"x", "something follows the compressed body"),
        (["br"], b"", "the body is compressed with 'br': what can be read is gzip, deflate"),
        (["gzip"] * 4, b"", "the body is compressed 4 times: 3 is the most"),
    ],
)
def test_what_cannot_be_undone(codings: list[str], sent: bytes, text: str) -> None:
    with pytest.raises(RemoteProtocolError, match=text):
        undone(codings, [sent] if sent else [])


@pure
def test_what_was_not_compressed_passes() -> None:
    assert list(Decompressor([]).feed(b"tea")) == [b"tea"]


@pure
def test_an_empty_body_need_not_be_compressed() -> None:
    Decompressor(["gzip"]).end()


@pure
def test_a_bomb_is_refused_before_it_has_grown() -> None:
    bomb = gzipped(bytes(50 * GRACE))
    given = 0
    with pytest.raises(RemoteProtocolError, match="it grows more than 250 times"):
        for piece in Decompressor(["gzip"]).feed(bomb):
            given += len(piece)
    assert given <= max(GRACE, len(bomb) * 250) + PIECE
    nested = gzipped(bomb)
    assert len(nested) < 2000
    with pytest.raises(RemoteProtocolError, match="it grows more than 250 times"):
        for _ in Decompressor(["gzip", "gzip"]).feed(nested):
            pass


@pure
def test_what_it_may_become_has_a_bound() -> None:
    sent = gzipped(bytes(1000))
    assert len(undone(["gzip"], [sent], most=1000)) == 1000
    with pytest.raises(RemoteProtocolError, match="the body is more than 999 bytes, decompressed"):
        undone(["gzip"], [sent], most=999)


@pure
def test_how_a_body_is_compressed() -> None:
    assert codings_of(Headers()) == []
    several = Headers([("Content-Encoding", "deflate, X-Gzip"), ("content-encoding", "identity,br")])
    assert codings_of(several) == ["deflate", "gzip", "br"]


# --- the parts -------------------------------------------------------


def test_what_somebody_waits_for_passes_at_once() -> None:
    machine = Decompressor(["gzip"])
    with drive(Compress("gzip")) as part:
        for message, expected in [
            (b"data: 1\n\n", b"data: 1\n\n"),
            ("data: \N{SNOWMAN}\n\n", b"data: \xe2\x98\x83\n\n"),
        ]:
            part.send(message)
            assert b"".join(machine.feed(b"".join(part.take_all()))) == expected
        part.close()
        assert b"".join(machine.feed(b"".join(part.take_all()))) == b""
        machine.end()
        assert part.outcome == "ended"


def test_what_waits_anyway_is_compressed_together() -> None:
    pieces = run(Source([b"tea "] * 50) | Compress() | Collect(), loop_factory=VirtualLoop)
    assert gzip.decompress(b"".join(pieces)) == b"tea " * 50
    assert len(b"".join(pieces)) < 60


def test_what_was_broken_off_has_no_end() -> None:
    with drive(Compress("gzip")) as part:
        part.send(b"tea")
        part.fail(ConnectionError("gone"))
        assert (part.outcome, part.state("outbox")) == ("broken", "failed")
        machine = Decompressor(["gzip"])
        assert b"".join(machine.feed(b"".join(part.take_all()))) == b"tea"
        with pytest.raises(RemoteProtocolError, match="cut off"):
            machine.end()


def test_a_stop_lets_it_finish() -> None:
    with drive(Compress("deflate")) as part:
        part.send(b"tea")
        part.stop()
        assert zlib.decompress(b"".join(part.take_all())) == b"tea"
        assert part.outcome == "ended"


def test_both_end_when_nobody_listens() -> None:
    for component in (Compress(), Decompress()):
        with drive(component) as part:
            part.leave()
            assert part.outcome == "ended"


def test_compress_takes_nothing_but_bytes_and_text() -> None:
    with drive(Compress()) as part:
        part.send(7)
        assert "Compress takes bytes, but got 7" in str(part.error)


def test_decompress_waits_for_a_slow_reader() -> None:
    sent = gzipped(bytes(range(256)) * 4096)
    with drive(Decompress(), sizes={"outbox": 2}) as part:
        part.send(sent)
        assert part.waits_to_be_taken() == 2
        assert part.waiting == "send to Decompress.outbox"
        assert b"".join(part.take_all()) == bytes(range(256)) * 4096
        part.close()
        assert part.outcome == "ended"


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ([b"hello"], "Decompress: the body is no gzip"),
        ([gzipped(b"tea")[:-2]], "Decompress: the body is cut off: its gzip has no end"),
        ([gzipped(bytes(11))], "Decompress: the body is more than 10 bytes, decompressed"),
    ],
)
def test_decompress_fails_with_what_is_wrong(sent: list[bytes], text: str) -> None:
    with drive(Decompress(most=10)) as part:
        part.send(*sent)
        if not part.ended:
            part.close()
        assert isinstance(part.error, RemoteProtocolError) and str(part.error).startswith(text)
        assert part.state("outbox") == "failed"


@pure
@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Compress("br"), ValueError, r"Compress\('br'\): give one of 'gzip', 'deflate'"),
        (lambda: Compress(level=0), ValueError, r"Compress\(level=0\): give how much effort, from 1 to 9"),
        (lambda: Compress(level=10), ValueError, r"Compress\(level=10\): give how much effort, from 1 to 9"),
        (lambda: Decompress("zip"), ValueError, r"Decompress\('zip'\): give one of 'gzip', 'deflate'"),
        (lambda: Decompress(most=-1), ValueError, r"Decompress\(most=-1\): give how many bytes"),
        (lambda: Decompress(ratio=0), ValueError, r"Decompress\(ratio=0\): give how many times it may grow"),
    ],
)
def test_arguments(make: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


def test_cut_anywhere_it_is_the_same() -> None:
    sent = gzipped(TEXT.encode())
    for cuts in itertools.islice(itertools.combinations(range(len(sent)), 2), 300):
        pieces = [sent[: cuts[0]], sent[cuts[0] : cuts[1]], sent[cuts[1] :]]
        assert undone(["gzip"], [piece for piece in pieces if piece]) == TEXT.encode()
