"""Forms, by RFC 7578, RFC 2046 and WHATWG URL 5."""

from __future__ import annotations

import email.parser
import email.policy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError, RemoteProtocolError
from kamaelia.protocol.http import Exchange, Headers, HTTPProtocol, Refused, Request, stream_form
from kamaelia.protocol.http.forms import (
    END_OF_PART,
    Form,
    FormEvent,
    FormPart,
    Multipart,
    MultipartParser,
    Upload,
    UrlencodedParser,
    content_type,
    display_name,
    form_parser,
    read_form,
    write_form,
)
from kamaelia.protocol.http.messages import BYTES, CODECS, codec_of
from kamaelia.testing import drive
from tests.fuzz import fuzz_http_forms

pytestmark = pytest.mark.one_core


def joined(events: list[FormEvent]) -> list[FormEvent]:
    """Make one piece of those that follow each other."""
    found: list[FormEvent] = []
    for event in events:
        if isinstance(event, bytes) and found and isinstance(found[-1], bytes):
            found[-1] += event
        else:
            found.append(event)
    return found


def parsed(make: Callable[[], MultipartParser | UrlencodedParser], data: bytes) -> list[FormEvent]:
    """Parse whole, and byte by byte, with equal results."""
    parser = make()
    whole = [*parser.feed(data), *parser.end()]
    other = make()
    dribbled = [event for n in range(len(data)) for event in other.feed(data[n : n + 1])] + other.end()
    assert joined(dribbled) == joined(whole)
    return joined(whole)


def field(name: str, value: bytes = b"") -> list[FormEvent]:
    return [FormPart(name), *([value] if value else []), END_OF_PART]


# --- urlencoded: WHATWG URL 5.1 -------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"", []),
        (b"a=1&b=2", [*field("a", b"1"), *field("b", b"2")]),
        (b"a", field("a")),
        (b"a=", field("a")),
        (b"=", field("")),
        (b"=1", field("", b"1")),
        (b"&&a=1&&", field("a", b"1")),
        (b"a=1=2&a=3", [*field("a", b"1=2"), *field("a", b"3")]),
        (b"a+b=c+d%2Be", field("a b", b"c d+e")),
        (b"%C3%A9=%c3%a9", field("\xe9", b"\xc3\xa9")),
        (b"%ff=%ff", field("\ufffd", b"\xff")),
        (b"a=100%&b=%4&c=%zz", [*field("a", b"100%"), *field("b", b"%4"), *field("c", b"%zz")]),
        (b"%=%", field("%", b"%")),
        (b"a=%26%3D&b", [*field("a", b"&="), *field("b")]),
        (b"a=1;b=2", field("a", b"1;b=2")),
        (b"a=\0\r\n", field("a", b"\0\r\n")),
    ],
)
def test_the_urlencoded_format(data: bytes, events: list[FormEvent]) -> None:
    assert parsed(UrlencodedParser, data) == events


def test_a_long_value_passes_piece_by_piece() -> None:
    parser = UrlencodedParser()
    assert parser.feed(b"a=" + b"x" * 1000) == [FormPart("a"), b"x" * 1000]
    assert parser.feed(b"y%4") == [b"y"]
    assert parser.feed(b"1&") == [b"A", END_OF_PART]
    assert parser.end() == []


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a&b&c", "the form has more than 2 parts"),
        (b"abcdef=1", "the name of a field has more than 5 bytes"),
        (b"x" * 18, "the name of a field has more than 5 bytes"),
    ],
)
def test_bounds_of_the_urlencoded_format(data: bytes, text: str) -> None:
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        parser = UrlencodedParser(most_parts=2, most_name=5)
        with pytest.raises(RemoteProtocolError, match=text):
            for piece in pieces:
                parser.feed(piece)
            parser.end()
        assert len(parser._left) <= 18


def test_names_that_are_all_escaped_have_the_same_bound() -> None:
    parser = UrlencodedParser(most_name=5)
    assert parser.feed(b"%61%62%63%64%65=") == [FormPart("abcde")]


# --- multipart/form-data -------------------------------------------------------


def form(*parts: bytes, boundary: bytes = b"AaB03x") -> bytes:
    return (
        b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    )


def text_part(name: str, value: bytes) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value


def part_of(head: str) -> FormPart:
    """Return the part that has this head."""
    data = form(head.encode() + b"\r\n\r\n")
    part = parsed(lambda: MultipartParser("AaB03x"), data)[0]
    assert isinstance(part, FormPart)
    return part


EXAMPLE = form(
    text_part("submit-name", b"Larry"),
    b'content-disposition: form-data; name="files"; filename="file1.txt"\r\nContent-Type: text/plain\r\n\r\n'
    b"line\r\n\r\n--AaB03\r\n",
)


def test_a_form_with_a_field_and_a_file() -> None:
    events = parsed(lambda: MultipartParser("AaB03x"), EXAMPLE)
    assert events == [
        *field("submit-name", b"Larry"),
        FormPart("files", "file1.txt", "text/plain"),
        b"line\r\n\r\n--AaB03\r\n",
        END_OF_PART,
    ]
    assert isinstance(events[3], FormPart)
    assert events[3].headers.pairs == [
        ("content-disposition", 'form-data; name="files"; filename="file1.txt"'),
        ("Content-Type", "text/plain"),
    ]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (form(text_part("a", b"")), field("a")),
        (b"--x--", []),
        (b"before\r\nit begins\r\n--x--after\r\n--x\r\n", []),  # RFC 2046, 5.1.1: preamble and epilogue
        (b"\r\n--x \t\r\n" + text_part("a", b"1") + b"\r\n--x--", field("a", b"1")),  # padding
        (form(text_part("a", b"\r\n\r")), field("a", b"\r\n\r")),
        (form(text_part("a", b"--x")), field("a", b"--x")),
        (form(text_part("a", b"\r\n--y\n--x\r--x")), field("a", b"\r\n--y\n--x\r--x")),
        (form(text_part("a", b"\r\r\n-\r\n-")), field("a", b"\r\r\n-\r\n-")),
        (form(text_part("a", bytes(range(256)))), field("a", bytes(range(256)))),
    ],
)
def test_the_multipart_format(data: bytes, events: list[FormEvent]) -> None:
    assert parsed(lambda: MultipartParser("x"), data.replace(b"AaB03x", b"x")) == events


@pytest.mark.parametrize(
    ("head", "part"),
    [
        ('Content-Disposition: form-data; name="a"', FormPart("a")),
        ("Content-Disposition: form-data; name=a", FormPart("a")),
        ("Content-Disposition:Form-Data;NAME=a;x=y", FormPart("a")),
        ('X-More: 1\r\nContent-Disposition: form-data; name="a b"', FormPart("a b")),
        ('Content-Disposition: form-data; name="\xe9"', FormPart("\xe9")),  # in UTF-8
        ('Content-Disposition: form-data; name="%22%0d%0A%41%"', FormPart('"\r\n%41%')),  # HTML 4.10.22.8
        ('Content-Disposition: form-data; name="a\\"b\\\\"', FormPart('a"b\\')),
        ('Content-Disposition: form-data; name="a;b=c"; filename=""', FormPart("a;b=c", "", BYTES)),
        ('Content-Disposition: form-data; name="\x1f"', FormPart("\x1f")),
        (
            'Content-Disposition: form-data; name=a; filename="C:\\dir\\file.txt"\r\nContent-Type: text/x',
            FormPart("a", "C:\\dir\\file.txt", "text/x"),
        ),
        # RFC 7578, 4.2: this form of a name is not to be used
        ("Content-Disposition: form-data; name=a; filename*=UTF-8''b", FormPart("a")),
        ("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: 8BIT", FormPart("a")),
    ],
)
def test_heads_of_parts(head: str, part: FormPart) -> None:
    assert part_of(head) == part


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "the form is cut off: its last boundary has not come"),
        (b"--x", "the form is cut off"),
        (b"--x-", "the form is cut off"),
        (b"--x\r\n" + text_part("a", b"1"), "the form is cut off"),
        (b"--x\r\n" + text_part("a", b"1") + b"\r\n--x\r\n", "the form is cut off"),
        (b"--xy\r\n", "behind a boundary there is b'y.*', and no end of a line"),
        (b"--x\n", "behind a boundary there is b'.n', and no end of a line"),
        (b"--x -", "the form is cut off"),
        (b"--x --", "behind a boundary there is b'--', and no end of a line"),
        (b"--x" + b" " * 300, "there is no end to the blanks behind a boundary"),
        (form(b"\r\n1", boundary=b"x"), "has a line that is no header: b''"),
        (form(b"hello\r\n\r\n1", boundary=b"x"), "has a line that is no header: b'hello'"),
        (form(b" a: b\r\n\r\n1", boundary=b"x"), "has a line that is no header: b' a: b'"),
        (form(b"a : b\r\n\r\n1", boundary=b"x"), "has a line that is no header: b'a : b'"),
        (form(b"a: b\nc\r\n\r\n1", boundary=b"x"), "has a line that is no header"),
        (form(b"a: b\0\r\n\r\n1", boundary=b"x"), "has a line that is no header"),
        (form(b"a: b\r\n\r\n1", boundary=b"x"), "a part of the form has no name"),
        (form(b"Content-Disposition: attachment; name=a\r\n\r\n", boundary=b"x"), "has no name"),
        (form(b"Content-Disposition: form-data; filename=a\r\n\r\n", boundary=b"x"), "has no name"),
        (
            form(b"Content-Transfer-Encoding: base64\r\n" + text_part("a", b"1"), boundary=b"x"),
            "a part of the form is encoded as 'base64'",
        ),
        (form(*[text_part("a", b"1")] * 4, boundary=b"x"), "the form has more than 3 parts"),
        (form(text_part("a" * 41, b"1"), boundary=b"x"), "the name of a field has more than 40 bytes"),
        (
            form(b"a: " + b"b" * 200 + b"\r\n\r\n", boundary=b"x"),
            "the head of a part has more than 200 bytes",
        ),
        (b"--x\r\n" + b"b" * 300, "the head of a part has more than 200 bytes"),
    ],
)
def test_what_is_no_form(data: bytes, text: str) -> None:
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        parser = MultipartParser("x", most_parts=3, most_head=200, most_name=40)
        with pytest.raises(RemoteProtocolError, match=text):
            for piece in pieces:
                parser.feed(piece)
            parser.end()


def test_a_head_may_have_as_much_as_it_may() -> None:
    head = b"Content-Disposition: form-data; name=a\r\nX: "
    data = form(head + b"y" * (200 - len(head)) + b"\r\n\r\n", boundary=b"x")
    assert parsed(lambda: MultipartParser("x", most_head=200), data) == field("a")


def test_what_is_no_boundary_passes_at_once() -> None:
    parser = MultipartParser("x")
    parser.feed(b"--x\r\n" + text_part("a", b""))
    assert parser.feed(b"a\rb\r\nc\r\n-d") == [b"a\rb\r\nc\r\n-d"]
    assert parser.feed(b"e\r\r\n-") == [b"e\r"]


def test_a_large_file_is_not_kept() -> None:
    parser = MultipartParser("x")
    parser.feed(b"--x\r\n" + text_part("a", b""))
    for _ in range(100):
        assert parser.feed(b"\r" * 10_000) == [b"\r" * 10_000] or len(parser._left) <= 5
        assert len(parser._left) <= 5


@pytest.mark.parametrize("boundary", ["", " ", "a ", "x" * 71, "\xe9", "a\r\nb"])
def test_what_is_no_boundary(boundary: str) -> None:
    with pytest.raises(RemoteProtocolError, match="is no boundary: that has 1 to 70 characters"):
        MultipartParser(boundary)


PIECES = [b"--x", b"\r\n", b"--", b"-", b"\r", b"\n", b" ", b"x", b"&", b"=", b"%4", b"1", b"+"]
HEADS = [b"Content-Disposition: form-data", b'; name="a"', b"; filename=b", b"\r\n\r\n", b"Content-Type: a/b"]


@settings(max_examples=500)
@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from(PIECES + HEADS)).map(b"".join)
    | st.lists(st.binary(max_size=20)).map(
        lambda values: form(*(text_part("a", value) for value in values), boundary=b"x")
    )
)
def test_fuzz(data: bytes) -> None:
    fuzz_http_forms.one_input(data)


# --- types, names -------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("text/html", ("text/html", {})),
        ('Text/HTML ; Charset="utf-8" ;x=1', ("text/html", {"charset": "utf-8", "x": "1"})),
        ("a/b;x=1;x=2", ("a/b", {"x": "1"})),
        ("a/b;;x=1", ("a/b", {})),
        ('a/b; x="1', ("a/b", {"x": ""})),
        ("", ("", {})),
    ],
)
def test_types_with_parameters(value: str, found: tuple[str, dict[str, str]]) -> None:
    assert content_type(Headers({"Content-Type": value})) == found


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("cup.png", "cup.png"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\x", "x"),
        ("../..", "unnamed"),
        (".bashrc", "bashrc"),
        ("", "unnamed"),
        ("a\0b\r\nc\x1b[31m", "abc[31m"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a" * 300, "a" * 100),
        ("\N{SNOWMAN} a.txt", "\N{SNOWMAN} a.txt"),
    ],
)
def test_names_of_files_are_fit_to_be_shown(given: str, shown: str) -> None:
    assert display_name(given) == Upload(b"", given).display_name == shown


def test_which_parser_a_request_needs() -> None:
    def parser(value: str) -> Any:
        return form_parser(Headers({"Content-Type": value}), most_parts=1, most_head=100)

    assert type(parser("application/x-www-form-urlencoded; charset=utf-8")) is UrlencodedParser
    assert type(parser('multipart/form-data; boundary="a b"')) is MultipartParser
    with pytest.raises(RemoteProtocolError, match="the form has no boundary"):
        parser("multipart/form-data")
    with pytest.raises(
        RemoteProtocolError, match=r"'application/json' is no form: it is multipart/form-data or"
    ):
        parser("application/json")
    with pytest.raises(RemoteProtocolError, match="'' is no form"):
        form_parser(Headers())


# --- whole forms -------------------------------------------------------


def posted(type: str, body: bytes) -> Request:
    return Request("POST", "/", Headers({"Content-Type": type}), body)


def test_a_whole_form_is_a_mapping() -> None:
    read = read_form(posted('multipart/form-data; boundary="AaB03x"', EXAMPLE))
    assert read.pairs == [
        ("submit-name", "Larry"),
        ("files", Upload(b"line\r\n\r\n--AaB03\r\n", "file1.txt", "text/plain")),
    ]
    assert (list(read), len(read), read["submit-name"], read.get("x")) == (
        ["submit-name", "files"],
        2,
        "Larry",
        None,
    )
    twice = read_form(posted("application/x-www-form-urlencoded", b"a=1&b=%ff&a=2"))
    assert (twice["a"], twice.all("a"), twice["b"], twice.all("c")) == ("1", ["1", "2"], "\ufffd", [])
    assert repr(Form([("a", "1")])) == "Form([('a', '1')])"


def test_a_field_may_say_in_which_encoding_it_is() -> None:
    def value(encoding: str) -> object:
        head = (
            f"Content-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset={encoding}\r\n\r\n"
        )
        body = form(head.encode() + b"\xe9")
        return read_form(posted("multipart/form-data; boundary=AaB03x", body))["a"]

    assert value("iso-8859-1") == "\xe9"
    for strange in ("klingon", "undefined", "punycode", "utf-7", "rot13"):
        with pytest.raises(RemoteProtocolError, match=f"is in '{strange}', which is not read here"):
            value(strange)


def test_each_encoding_that_is_read_is_there() -> None:
    for codec in CODECS:
        assert codec_of(codec) == codec
        assert b"".decode(codec) == ""
    common = (
        "UTF8",
        "utf-8",
        "US-ASCII",
        "iso-8859-15",
        "Latin1",
        "windows-1252",
        "Shift_JIS",
        "EUC-KR",
        "UTF-16LE",
    )
    assert None not in map(codec_of, common)
    assert codec_of("a\0b") is None


# --- a form that is still coming ------------------------------------------


class Streaming:
    """Answers with what it has found in a form."""

    def __init__(self, *names: str, limit: int = 100) -> None:
        self.names = names  # of the parts that are read
        self.limit = limit
        self.pieces: list[int] = []
        self.refused: list[str] = []

    async def answer(self, exchange: Exchange) -> Any:
        found: dict[str, Any] = {}
        try:
            async for part in stream_form(exchange, most_parts=4):
                assert part.name not in found
                if part.filename is not None:
                    found[part.name] = [part.display_name, part.type, 0]
                    async for piece in part:
                        self.pieces.append(len(piece))
                        found[part.name][2] += len(piece)
                elif part.name in self.names:
                    found[part.name] = (await part.read_all(self.limit)).decode()
                assert await part.read() == b"" or part.name not in self.names
        except Refused as error:
            self.refused.append(str(error))
            raise
        return found


def streamed(handler: Streaming, kind: str, *pieces: bytes, length: int | None = None) -> tuple[int, bytes]:
    """Return the status and the body of the answer to a form that comes in pieces."""
    length = sum(map(len, pieces)) if length is None else length
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    with drive(HTTPProtocol({"/": handler})) as http:
        http.send(head.encode() + pieces[0], *pieces[1:])
        if sum(map(len, pieces)) < length:
            http.close()
        sent = b"".join(http.take_all())
        assert http.component.site.counts.failed == 0
    return int(sent.split()[1]), sent.split(b"\r\n\r\n", 1)[1]


def test_a_form_may_be_read_as_it_comes() -> None:
    fields = {
        "a": "tea",
        "skipped": "x" * 1000,
        "file": Upload(bytes(3_000_000), "C:\\cup.png", "image/png"),
        "b": "",
    }
    kind, body = write_form(fields, "bound")
    for size in (64 * 1024, 1000, 17 * 1024):
        handler = Streaming("a", "b")
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        status, answer = streamed(handler, kind, *pieces)
        assert status == 200
        assert json.loads(answer) == {"a": "tea", "file": ["cup.png", "image/png", 3_000_000], "b": ""}
        assert max(handler.pieces) <= size + 20  # what might have been the boundary comes with the next


def test_the_urlencoded_format_too() -> None:
    status, answer = streamed(
        Streaming("a", "b"), "application/x-www-form-urlencoded", b"a=1&skip=2", b"34&b=%20"
    )
    assert (status, json.loads(answer)) == (200, {"a": "1", "b": " "})


@pytest.mark.parametrize(
    ("kind", "body", "status", "why"),
    [
        ("text/plain", b"a=1", 400, "'text/plain' is no form"),
        ("multipart/form-data; boundary=x", b"--x\r\nrubbish", 400, "the form is cut off"),
        ("multipart/form-data; boundary=x", b"--x\r\nrubbish\r\n\r\n", 400, "the head of a part has a line"),
        ("application/x-www-form-urlencoded", b"a=1&b=2&c=3&d=4&e=5", 400, "the form has more than 4 parts"),
        (
            "application/x-www-form-urlencoded",
            b"a=" + b"x" * 101,
            413,
            "the field 'a' is larger than 100 bytes",
        ),
    ],
)
def test_what_is_no_form_to_stream_is_the_clients_fault(
    kind: str, body: bytes, status: int, why: str
) -> None:
    handler = Streaming("a")
    got, answer = streamed(handler, kind, body)
    assert got == status
    assert why in answer.decode()
    assert [one[: len(why)] for one in handler.refused] == [why]


def test_a_form_that_breaks_off_is_never_taken_for_a_whole_one() -> None:
    class Stubborn(Streaming):
        async def answer(self, exchange: Exchange) -> None:
            parts = stream_form(exchange)
            part = await anext(parts)
            for _ in range(3):
                try:
                    self.refused.append((await part.read()).decode())
                except Refused as error:
                    self.refused.append(str(error))

    for body, why in [
        (
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--xx",
            "behind a boundary there is b'x'",
        ),
        (
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb",
            "the request ends in the middle of its body",
        ),
    ]:
        handler = Stubborn()
        streamed(handler, "multipart/form-data; boundary=x", body[:-2], body[-2:], length=1000)
        assert [one.partition(",")[0] for one in handler.refused[-2:]] == [why, why]


def test_a_form_is_written_as_it_has_to_be() -> None:
    assert write_form([("a", "b c"), ("\xe9", "&")], "x") == (
        "application/x-www-form-urlencoded", b"a=b+c&%C3%A9=%26",
    )  # fmt: skip
    kind, body = write_form({"a": 1, "f": Upload(b"\0", 'a"b\r\n.txt', "image/png")}, "x")
    assert kind == "multipart/form-data; boundary=x"
    assert body == (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="a%22b%0D%0A.txt"\r\n'
        b"Content-Type: image/png\r\n\r\n\0\r\n--x--\r\n"
    )


def test_a_form_without_parts_is_one() -> None:
    assert [*MultipartParser("x").feed(Multipart("x").end)] == []


@pytest.mark.parametrize("boundary", ["", "a b", "x" * 71, 'a"', "\xe9"])
def test_no_boundary_is_written_that_would_not_be_read(boundary: str) -> None:
    with pytest.raises(LocalProtocolError, match="is no boundary: give 1 to 70 letters and digits"):
        Multipart(boundary)


def test_what_cannot_be_written() -> None:
    with pytest.raises(
        LocalProtocolError, match=r"'a.x00' can be the name of no field or file: it has a NUL"
    ):
        write_form({"a\0": Upload(b"", "f")}, "abc")
    with pytest.raises(LocalProtocolError, match="the boundary 'abc' occurs in 'xabcx': give another one"):
        write_form([("a", "xabcx"), ("b", Upload(b"", "f"))], "abc")
    with pytest.raises(LocalProtocolError, match="Content-Type cannot have the value"):
        write_form({"a": Upload(b"", "f", "text/plain\r\nx: y")}, "abc")


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="%\0"), max_size=40)


@given(st.lists(st.tuples(NAMES, st.text() | st.builds(Upload, st.binary(), NAMES, st.just("a/b")))))
def test_what_is_written_is_read_again(pairs: list[tuple[str, Any]]) -> None:
    kind, body = write_form(pairs, "5f3a9c2e1b7d4f60")
    assert read_form(posted(kind, body)).pairs == pairs


def test_another_reader_reads_what_is_written() -> None:
    kind, body = write_form({"a": "\xe9", "f": Upload(b"\0\r\n1", "n.bin", "a/b")}, "xyz")
    text = f"Content-Type: {kind}\r\n\r\n".encode() + body
    parts = list(email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(text).iter_parts())  # type: ignore
    assert [part.get_param("name", header="content-disposition") for part in parts] == ["a", "f"]
    assert [part.get_payload(decode=True) for part in parts] == ["\xe9".encode(), b"\0\r\n1"]
    assert parts[1].get_filename() == "n.bin"
