"""Serialise, Deserialise, and the formats: exact bytes, any division, and what is refused."""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError, RemoteProtocolError, UsageError, VirtualLoop, run
from kamaelia.flow import (
    CSV,
    JSON,
    Collect,
    Deserialise,
    MessagePack,
    Serialise,
    Source,
    UnsafePickle,
    ValueFormat,
)
from kamaelia.testing import drive

pytestmark = pytest.mark.needs("module:msgpack")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | texts
values = st.recursive(
    plain.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
rows = st.lists(st.lists(texts, min_size=1, max_size=3), max_size=6)
cuts = st.lists(st.integers(0, 10_000), max_size=8)


def virtually(*parts: Any) -> Any:
    return run(*parts, loop_factory=VirtualLoop)


def encode(format: ValueFormat, values: list[Any]) -> bytes:
    return b"".join(map(format.encoder(), values))


def decode(format: ValueFormat, stream: bytes, cuts: list[int]) -> list[Any]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    decoder = format.decoder()
    found = []
    for begin, end in itertools.pairwise(places):
        found += decoder.feed(stream[begin:end])
    return [*found, *decoder.end()]


# --- there and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [JSON(), MessagePack(), UnsafePickle()], ids=str)
@given(values=st.lists(values, max_size=6), cuts=cuts)
def test_values_come_out_as_they_went_in(format: ValueFormat, values: list[Any], cuts: list[int]) -> None:
    assert decode(format, encode(format, values), cuts) == values


@given(rows=rows, cuts=cuts, separator=st.sampled_from(",;\t"))
def test_rows_come_out_as_they_went_in(rows: list[list[str]], cuts: list[int], separator: str) -> None:
    format = CSV(separator=separator)
    stream = encode(format, rows)
    assert decode(format, stream, cuts) == rows
    # Python's own, which has to have all of it at once.
    assert list(csv.reader(io.StringIO(stream.decode(), newline=""), delimiter=separator)) == rows


@given(rows=st.lists(st.fixed_dictionaries({"a": texts, 'b,"': texts}), max_size=4), cuts=cuts)
def test_rows_with_a_header_come_out_as_they_went_in(rows: list[dict[str, str]], cuts: list[int]) -> None:
    format = CSV(header=True)
    assert decode(format, encode(format, rows), cuts) == rows


@pytest.mark.parametrize("format", [JSON(), MessagePack(), UnsafePickle(), CSV()], ids=str)
def test_the_parts_are_the_two_ways(format: ValueFormat) -> None:
    messages = [["a", "b"], ["c\n", 'd"']]
    assert virtually(Source(messages) | Serialise(format) | Deserialise(format) | Collect()) == messages


def test_each_stream_has_a_header_of_its_own() -> None:
    format = CSV(header=True)
    for _ in range(2):
        assert virtually(Source([{"a": 1}, {"a": 2}]) | Serialise(format) | Collect()) == [
            b"a\r\n1\r\n",
            b"2\r\n",
        ]


@pytest.mark.parametrize(
    ("format", "value", "expected"),
    [
        (JSON(), {"ä": [1, 2.5, None, True]}, '{"ä":[1,2.5,null,true]}\n'.encode()),
        (MessagePack(), {"a": [1, b"\xff", None]}, b"\x81\xa1a\x93\x01\xc4\x01\xff\xc0"),
        (CSV(), ["a", 1, None, 'say "hi"'], b'a,1,,"say ""hi"""\r\n'),
        (CSV(), [""], b'""\r\n'),
        (CSV(header=True, separator=";"), {"x": 1.5, "y": "p;q"}, b'x;y\r\n1.5;"p;q"\r\n'),
    ],
    ids=str,
)
def test_exact_bytes(format: ValueFormat, value: Any, expected: bytes) -> None:
    assert format.encoder()(value) == expected


def test_what_others_write_is_read() -> None:
    assert decode(JSON(), b'{"a": 1}\r\n\n  \n[2]', []) == [{"a": 1}, [2]]
    assert decode(JSON(), json.dumps({"ä": "\n"}).encode(), []) == [{"ä": "\n"}]
    assert decode(CSV(), b'a,b\n\n"x\r\ny",z', []) == [["a", "b"], ["x\r\ny", "z"]]
    assert decode(CSV(header=True), b"a,b\n1,2\n3,4\n", [5, 9]) == [
        {"a": "1", "b": "2"},
        {"a": "3", "b": "4"},
    ]


# --- what is refused ------------------------------------------------------------------------------


class Unsayable:
    def __reduce__(self) -> Any:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("format", "value"),
    [
        (JSON(), object()),
        (JSON(), float("nan")),
        (JSON(), "\ud800"),
        (JSON(), {1: 2, (3,): 4}),
        (MessagePack(), object()),
        (MessagePack(), 2**64),
        (MessagePack(), "\ud800"),
        (CSV(), "text"),
        (CSV(), []),
        (CSV(), ["\ud800"]),
        (CSV(), {"a": 1}),
        (CSV(header=True), ["a"]),
        (CSV(header=True), {}),
        (UnsafePickle(), Unsayable()),
        (UnsafePickle(), lambda: None),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_written_is_refused(format: ValueFormat, value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=rf"{type(format).__name__}.* carr"):
        format.encoder()(value)
    with drive(Serialise(format)) as serialise:
        serialise.send(value)
        assert isinstance(serialise.error, LocalProtocolError)
        assert str(serialise.error).startswith("Serialise: ")


def test_rows_of_other_columns_are_refused() -> None:
    say = CSV(header=True).encoder()
    say({"a": 1, "b": 2})
    assert say({"b": 4, "a": 3}) == b"3,4\r\n"
    with pytest.raises(LocalProtocolError, match="carries dicts with the keys a, b, and not"):
        say({"a": 1})


DEEP = b"[" * 200_000 + b"]" * 200_000 + b"\n"


@pytest.mark.parametrize(
    ("format", "good", "stream"),
    [
        (JSON(), [1], b"1\n{\n"),
        (JSON(), [1], b"1\nNaN\n"),
        (JSON(), [1], b"1\n\xff\n"),
        (JSON(), [], DEEP),
        (JSON(longest=5), ["abc"], b'"abc"\n"abcd"\n'),
        (JSON(), [1], b'1\n"half'),
        (MessagePack(), [1], b"\x01\xc1"),
        (MessagePack(), [1], b"\x01\x92\x01"),
        (MessagePack(longest=100), [], b"\xc6\x7f\xff\xff\xff"),
        (CSV(), [["a"]], b'a\n"b"c\n'),
        (CSV(), [["a"]], b'a\nb"c\nd"e\n'),
        (CSV(), [["a"]], b'a\n"half'),
        (CSV(), [["a"]], b"a\nb\rc\n"),
        (CSV(), [["a"]], b"a\n\xff\n"),
        (CSV(longest=5), [["abcd"]], b"abcd\nabcdefg\n"),
        (MessagePack(longest=5), [b"abc"], b"\xc4\x03abc\xc4\x04abcd\xc4"),
        (CSV(header=True), [{"a": "1"}], b"a\n1\n1,2\n"),
        (CSV(header=True), [], b"a,a\n1,2\n"),
        (UnsafePickle(), [], b"\0\0\0\1x"),
        (UnsafePickle(), [], b"\0\0\0\5x"),
        (UnsafePickle(longest=5), [], b"\0\0\0\6"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_stream_that_is_not_in_the_format_is_refused_after_what_is_good(
    format: ValueFormat, good: list[Any], stream: bytes
) -> None:
    for chunks in ([stream], [stream[at : at + 1000] for at in range(0, len(stream), 1000)]):
        with drive(Deserialise(format)) as deserialise:
            deserialise.send(*chunks[:50])
            if deserialise.error is None:
                for chunk in chunks[50:]:
                    deserialise.send(chunk)
                deserialise.close()
            assert isinstance(deserialise.error, RemoteProtocolError)
            assert str(deserialise.error).startswith("Deserialise: ")
            assert deserialise.take_all() == good


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(UsageError, match=r"pip install 'kamaelia\[msgpack\]'"):
        Serialise(MessagePack())


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Serialise(7), r"Serialise\(7\): give a format"),
        (lambda: Deserialise(JSON), r"Deserialise\(.*\): give a format"),
        (lambda: CSV(separator="ab"), r"CSV\(separator='ab'\): give one character"),
        (lambda: CSV(separator='"'), r"give one character"),
        (lambda: JSON(longest=0), r"JSON\(longest=0\): give the bytes of the longest value, 1 or more"),
    ],
)
def test_what_is_no_format_is_refused(make: Any, complaint: str) -> None:
    with pytest.raises((TypeError, ValueError), match=complaint):
        make()


def test_text_is_refused() -> None:
    with drive(Deserialise()) as deserialise:
        deserialise.send("text")
        assert "Deserialise takes bytes, but got 'text'; put Encode() before it" in str(deserialise.error)
