"""Lines of text from bytes: however these are divided, the lines are the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import RemoteProtocolError
from kamaelia.flow import Encode, LineDecoder, Lines
from kamaelia.testing import drive


def decode(chunks: list[bytes], easily: bool = False, **options: Any) -> tuple[list[str], str | None]:
    """Return the lines, and the error that came after them."""
    decoder = LineDecoder(**options)
    lines: list[str] = []
    try:
        for chunk in chunks:
            decoder.feed(chunk)
            if easily:
                lines.extend(decoder.easy_lines())
            while (line := decoder.next_line()) is not None:
                lines.append(line)
        decoder.end()
        while (line := decoder.next_line()) is not None:
            lines.append(line)
    except RemoteProtocolError as error:
        return lines, type(error).__name__
    return lines, None


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"\r\n\r\n", ["", ""]),
        (b"one\ntwo\r\nthree\n", ["one", "two", "three"]),
        (b"no end", ["no end"]),
        (b"a\rb\r\r\nc\r", ["a\rb\r", "c\r"]),  # only one carriage return belongs to the end of a line
        ("grün\n€".encode(), ["grün", "€"]),
        (b"\xff\xfe\n\xe2\x82", ["\ufffd\ufffd", "\ufffd"]),
    ],
)
def test_lines_whole_and_dribbled(data: bytes, lines: list[str]) -> None:
    assert decode([data]) == decode([data], easily=True) == (lines, None)
    assert decode([data[n : n + 1] for n in range(len(data))]) == (lines, None)


LINE_STUFF = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\r", b"a", b"bcd", "é€".encode(), b"\xff", b"\xe2\x82"])
)


@given(
    pieces=LINE_STUFF,
    cuts=st.lists(st.integers(0, 40)),
    longest=st.integers(1, 8),
    too_long=st.sampled_from(["cut", "refuse"]),
    errors=st.sampled_from(["replace", "strict", "ignore"]),
)
def test_any_division_gives_the_same_lines(
    pieces: list[bytes], cuts: list[int], longest: int, too_long: str, errors: str
) -> None:
    data = b"".join(pieces)
    ends = sorted({min(cut, len(data)) for cut in cuts})
    chunks = [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]
    options: dict[str, Any] = {"longest": longest, "too_long": too_long, "errors": errors}
    whole = decode([data], **options)
    assert decode(chunks, **options) == whole
    assert decode([data], easily=True, **options) == decode(chunks, easily=True, **options) == whole
    assert all(len(line.encode()) <= 3 * longest for line in whole[0])  # U+FFFD takes 3 bytes
    if too_long == "refuse" and whole[1] is None and errors == "replace":
        ends_removed = data.replace(b"\r\n", b"\n").decode(errors="replace").split("\n")
        assert whole[0] == (ends_removed if ends_removed[-1] else ends_removed[:-1])


def test_easy_lines_are_those_with_nothing_to_be_said_about() -> None:
    decoder = LineDecoder(longest=5)
    decoder.feed(b"one\r\ntwo\n\nthr")
    assert (decoder.easy_lines(), decoder.easy_lines(), decoder.next_line()) == (["one", "two", ""], [], None)
    decoder.feed(b"ee\n123456\n")
    assert (decoder.easy_lines(), decoder.next_line()) == ([], "three")
    for options in ({"encoding": "cp1252"}, {"encoding": "iso2022_jp"}):  # one by one
        decoder = LineDecoder(**options)  # type: ignore[arg-type]
        decoder.feed(b"one\n")
        assert (decoder.easy_lines(), decoder.next_line()) == ([], "one")


def test_a_line_of_exactly_the_longest_length_passes() -> None:
    for chunks in ([b"12345\r\n12345\n12345"], [b"12345", b"\r", b"\n", b"12345", b"\n12345"]):
        assert decode(chunks, longest=5) == (["12345", "12345", "12345"], None)
        assert decode(chunks, longest=4) == ([], "RemoteProtocolError")
        assert decode(chunks, longest=4, too_long="cut") == (["1234", "1234", "1234"], None)


def test_a_cut_never_goes_through_a_character() -> None:
    assert decode(["a€b\n".encode()], longest=3, too_long="cut") == (["a"], None)


def test_an_endless_line_takes_no_memory() -> None:
    decoder = LineDecoder(longest=100, too_long="cut")
    for _ in range(10_000):
        decoder.feed(b"x" * 100)
        assert decoder.next_line() is None
        assert len(decoder._bytes) + len(decoder._cutting or b"") <= 200
    decoder.feed(b"\nnext\n")
    assert (decoder.next_line(), decoder.next_line(), decoder.cut) == ("x" * 100, "next", 1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"encoding": "utf-16"}, "line ends are not the byte 10"),
        ({"longest": 0}, "longest=0: give the bytes of the longest line, 1 or more"),
        ({"too_long": "drop"}, "say 'refuse' or 'cut'"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Lines(**options)
    with pytest.raises(LookupError):
        Lines(encoding="no such encoding")
    with pytest.raises(
        TypeError, match="longest='64 KiB': give the bytes of the longest line, a whole number"
    ):
        Lines(longest="64 KiB")  # type: ignore[arg-type]


# --- the component --------------------------------------------------------------------------------


def test_lines_come_out_as_soon_as_they_are_complete() -> None:
    with drive(Lines()) as lines:
        lines.send(b"one\ntw")
        assert lines.take_all() == ["one"]
        lines.send(b"o\r\nthree")
        assert lines.take_all() == ["two"]
        lines.close()
        assert (lines.take_all(), lines.outcome) == (["three"], "ended")


def test_what_is_no_whole_line_when_the_source_breaks_is_not_sent() -> None:
    with drive(Lines()) as lines:
        lines.send(b"whole\nhal")
        lines.fail(ConnectionResetError())
        assert (lines.take_all(), lines.outcome, lines.state("outbox")) == (["whole"], "broken", "failed")


def test_a_line_that_is_too_long_is_refused_after_those_before_it() -> None:
    with drive(Lines(longest=10)) as lines:
        lines.send(b"good\n12345678901")
        assert lines.take_all() == ["good"]
        assert isinstance(lines.error, RemoteProtocolError)
        assert str(lines.error) == (
            "Lines: a line has more than longest=10 bytes; it begins with b'12345678901'. "
            "Allow more with Lines(longest=...), or cut such lines with Lines(too_long='cut')"
        )


def test_lines_that_are_cut_are_counted() -> None:
    with drive(Lines(longest=3, too_long="cut")) as lines:
        lines.send(b"abcdef\nabc\nabcd\n")
        assert (lines.take_all(), lines.component.cut) == (["abc", "abc", "abc"], 2)


def test_bad_bytes_are_replaced_and_counted_or_refused() -> None:
    with drive(Lines()) as lines:
        lines.send(b"caf\xe9\nfine\n")
        assert (lines.take_all(), lines.component.replaced) == (["caf\ufffd", "fine"], 1)
    with drive(Lines(encoding="latin-1")) as lines:
        lines.send(b"caf\xe9\n")
        assert (lines.take(), lines.component.replaced) == ("café", 0)
    with drive(Lines(errors="strict")) as lines:
        lines.send(b"fine\ncaf\xe9\n")
        assert lines.take_all() == ["fine"]
        assert isinstance(lines.error, RemoteProtocolError)
        assert isinstance(lines.error.__cause__, UnicodeDecodeError)
        assert str(lines.error).startswith(
            "Lines: a line is not utf-8: unexpected end of data at byte 3 of b'caf"
        )


def test_what_is_no_bytes_is_refused() -> None:
    with drive(Lines()) as lines:
        lines.send("text")
        assert str(lines.error) == "Lines: Lines takes bytes, but got 'text'; put Encode() before it"


def test_a_slow_reader_holds_the_lines_back() -> None:
    with drive(Lines(), sizes={"outbox": 2}) as lines:
        lines.send(b"1\n2\n3\n4\n")
        assert lines.waiting == "send to Lines.outbox"
        assert lines.take_all() == ["1", "2", "3", "4"]


# --- the way back ---------------------------------------------------------------------------------


def test_encode_adds_an_end() -> None:
    with drive(Encode(end="\r\n")) as encode:
        encode.send("grün", "")
        assert encode.take_all() == [b"gr\xc3\xbcn\r\n", b"\r\n"]


def test_encode_replaces_and_counts_what_the_encoding_does_not_have() -> None:
    with drive(Encode(encoding="ascii")) as encode:
        encode.send("grün", "green")
        assert (encode.take_all(), encode.component.replaced) == ([b"gr?n", b"green"], 1)
    with drive(Encode(encoding="ascii", errors="strict")) as encode:
        encode.send("grün")
        assert isinstance(encode.error, UnicodeEncodeError)
    with pytest.raises(LookupError):
        Encode(encoding="no such encoding")
    with drive(Encode()) as encode:
        encode.send(b"bytes")
        assert (
            str(encode.error)
            == "Encode: Encode takes str, but got b'bytes'; put Lines() or Map(bytes.decode) before it"
        )
    with drive(Encode()) as encode:
        encode.send(7)
        assert str(encode.error) == "Encode: Encode takes str, but got 7; put Map(str) before it"
    with pytest.raises(TypeError, match=r"Encode\(end=b'\\n'\): give text"):
        Encode(end=b"\n")  # type: ignore[arg-type]
    with pytest.raises(LookupError, match="not a text encoding"):
        Encode(encoding="rot13")


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)))
def test_what_is_encoded_as_lines_comes_back(texts: list[str]) -> None:
    data = b"".join(f"{text}\n".encode() for text in texts)
    assert decode([data]) == (texts, None)
