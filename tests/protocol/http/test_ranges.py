"""Ranges, by the sections of RFC 9110."""

from __future__ import annotations

import email.parser
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.protocol.http.ranges import (
    GAP,
    MOST,
    ByteRanges,
    Span,
    coalesced,
    parse_range,
)

pytestmark = pytest.mark.one_core


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        # 14.1.2: the examples, of 10000 bytes
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 500)]),
        ("bytes=-500", [(9500, 500)]),
        ("bytes=9500-", [(9500, 500)]),
        ("bytes=0-0,-1", [(0, 1), (9999, 1)]),
        ("bytes= 0-999, 4500-5499, -1000", [(0, 1000), (4500, 1000), (9000, 1000)]),
        ("bytes=500-600,601-999", [(500, 500)]),
        ("bytes=500-700,601-999", [(500, 500)]),
        # beyond the end
        ("bytes=9990-20000", [(9990, 10)]),
        ("bytes=-20000", [(0, 10000)]),
        ("bytes=0-", [(0, 10000)]),
        ("bytes=10000-", []),
        ("bytes=10000-10001,20000-", []),
        ("bytes=-0", []),
        ("bytes=-0,5-5", [(5, 1)]),
        ("bytes=5-5,10000-", [(5, 1)]),
        ("bytes=99999999999999999999999-", []),
        # in any case, with blanks, with empty elements (5.6.1.2)
        ("BYTES=1-1", [(1, 1)]),
        ("bytes=,1-1\t, ,", [(1, 1)]),
        ("bytes=0001-0001", [(1, 1)]),
        # the order of asking is kept (15.3.7.2)
        ("bytes=5000-5001,1-1", [(5000, 2), (1, 1)]),
        # 14.2: what is not understood is ignored
        ("bytes=2-1", None),
        ("bytes=1-1,2-1", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=1", None),
        ("bytes=1-2-3", None),
        ("bytes=--1", None),
        ("bytes=+1-2", None),
        ("bytes=1 - 2", None),
        ("bytes=1_0-20", None),
        ("bytes=\u0661-\u0662", None),
        ("bytes", None),
        ("0-4", None),
        ("lines=0-4", None),
        ("", None),
        ("bytes=" + "9" * 101 + "-", None),
    ],
)
def test_which_pieces_a_range_asks_for(value: str, spans: list[tuple[int, int]] | None) -> None:
    found = parse_range(value, 10000)
    assert (found if found is None else [(span.start, span.length) for span in found]) == spans


def test_too_many_ranges_are_ignored() -> None:
    many = ",".join(f"{n * 200}-{n * 200}" for n in range(MOST))
    assert len(parse_range("bytes=" + many, 10000) or []) == MOST
    assert parse_range("bytes=" + many + ",9999-", 10000) is None
    assert parse_range("bytes=0-0,500-500", 10000, most=1) is None
    assert parse_range("bytes=" + "," * 10000 + "1-1", 10000) is None


def test_of_nothing_everything_is_sent() -> None:
    assert parse_range("bytes=0-", 0) is None
    assert parse_range("bytes=-5", 0) is None


def test_a_small_gap_is_sent_rather_than_another_head() -> None:
    assert coalesced([Span(0, 10), Span(10 + GAP, 99 + GAP)]) == [Span(0, 99 + GAP)]
    apart = [Span(0, 10), Span(11 + GAP, 99 + GAP)]
    assert coalesced(apart) == apart
    assert coalesced([Span(0, 1000), Span(5, 10)]) == [Span(0, 1000)]


@given(st.text("0123456789-,= \tbytesx", max_size=40), st.integers(0, 2000))
def test_whatever_is_asked_for_lies_within_the_whole(text: str, size: int) -> None:
    for value in (text, "bytes=" + text):
        spans = parse_range(value, size)
        covered: set[int] = set()
        for span in spans or []:
            piece = set(range(*span))
            assert piece and 0 <= span.start < span.stop <= size
            assert not piece & covered
            covered |= piece


# --- several: 14.6 -------------------------------------------------------


@pytest.mark.parametrize("kind", ["text/x-y", None])
def test_another_reader_finds_the_pieces(kind: str | None) -> None:
    whole = bytes(range(65, 91)) * 100
    spans = [Span(0, 5), Span(1000, 1007), Span(2599, 2600)]
    parts = ByteRanges(spans, len(whole), kind, "gc0p4Jq0M2Yt08jU534c0p")
    body = b"".join(head + whole[start:stop] for head, (start, stop) in zip(parts.heads, spans, strict=True))
    body += parts.end
    assert len(body) == parts.length
    text = f"Content-Type: {parts.type}\r\n\r\n".encode() + body
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(text)
    found = list(message.iter_parts())  # type: ignore[attr-defined]
    assert [part.get_payload(decode=True) for part in found] == [whole[start:stop] for start, stop in spans]
    assert [part["content-range"] for part in found] == [
        "bytes 0-4/2600", "bytes 1000-1006/2600", "bytes 2599-2599/2600",
    ]  # fmt: skip
    assert [part["content-type"] for part in found] == [kind] * 3
