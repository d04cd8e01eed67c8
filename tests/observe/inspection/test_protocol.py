"""The words of the inspection protocol."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.observe.inspection.protocol import (
    Arguments,
    Dialogue,
    InspectionError,
    Malformed,
    RequestError,
    Said,
    Splitter,
    read_request,
)

pytestmark = pytest.mark.one_core

GREETING = b'{"kamaelia_inspection":1,"pid":1,"name":"a"}\n'


@given(st.lists(st.binary().map(lambda data: data.replace(b"\n", b""))), st.lists(st.integers(1, 9)))
def test_lines_are_the_same_however_they_are_cut(lines, cuts):
    data = b"".join(line + b"\n" for line in lines)
    splitter, found, at = Splitter(10_000), [], 0
    for length in [*cuts, len(data)]:
        found += splitter.feed(data[at : at + length])
        at += length
    assert found == lines


def test_a_line_that_is_too_long_is_refused_before_its_end_has_come():
    splitter = Splitter(10)
    assert splitter.feed(b"0123456789") == []
    with pytest.raises(OverflowError):
        splitter.feed(b"0")
    with pytest.raises(OverflowError):
        Splitter(3).feed(b"1234\n")
    assert Splitter(3).feed(b"123\n") == [b"123"]


@pytest.mark.parametrize(
    ("line", "said", "number"),
    [
        (b"no", "this is no JSON: Expecting value: line 1 column 1 (char 0)", None),
        (b"\xff", "this is no JSON: ", None),
        (b"[" * 60_000, "this is no JSON: ", None),
        (b"[1]", 'a request is an object: {"id": 1, "do": "snapshot"}', None),
        (b'{"do":"x"}', 'a request has an "id", an integer or a text, that its answer will bear', None),
        (b'{"id":true,"do":"x"}', 'a request has an "id", an integer or a text, that its answer', None),
        (b'{"id":1.5,"do":"x"}', 'a request has an "id", an integer or a text', None),
        (
            b'{"id":"%s","do":"x"}' % (b"a" * 101),
            "the id is too long: at most 2**53, or 100 characters",
            None,
        ),
        (b'{"id":%d,"do":"x"}' % 2**60, "the id is too long", None),
        (b'{"id":4}', 'a request says with "do" what is asked for, such as "snapshot"', 4),
        (b'{"id":4,"do":5}', 'a request says with "do" what is asked for', 4),
    ],
)
def test_what_is_no_request_is_refused_with_a_sentence(line, said, number):
    with pytest.raises(Malformed) as raised:
        read_request(line)
    assert str(raised.value).startswith(said)
    assert raised.value.id == number


@pytest.mark.parametrize("value", ["0.5", None, True, [], 0.05, 11, float("nan")])
def test_a_number_has_to_be_one_and_in_its_range(value):
    with pytest.raises(RequestError, match=r"^'every' is a number from 0.1 to 10, not "):
        Arguments({"every": value}).number("every", 0.25, 0.1, 10)


def test_arguments_are_of_their_type():
    with pytest.raises(RequestError, match=r"'most' is a whole number, not 1\.5"):
        Arguments({"most": 1.5}).integer("most", 1, 1, 10)
    with pytest.raises(RequestError, match="'path' is a text, not 7"):
        Arguments({"path": 7}).text("path")
    with pytest.raises(RequestError, match="'path' is a text, not None"):
        Arguments({}).text("path", needed=True)
    with pytest.raises(RequestError, match="there is no argument 'x'; there are none"):
        Arguments({"x": 7}).end()


def test_what_a_server_says_goes_to_the_question_that_it_answers():
    words = Dialogue()
    assert json.loads(words.ask("watch", {"every": 1})) == {"id": 1, "do": "watch", "every": 1}
    assert words.receive(GREETING[:10]) == []
    assert words.greeting is None
    rest = b'{"id":1,"ok":{}}\n{"stream":1,"frame":1}\n{"id":2,"error":"no"}\n{"stream":1,"end":"over"}\n'
    assert words.receive(GREETING[10:] + rest) == [
        Said(1, "ok", {}),
        Said(1, "line", {"stream": 1, "frame": 1}),
        Said(2, "error", "no"),
        Said(1, "end", "over"),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"SSH-2.0\n", "does not write JSON objects"),
        (b"{}\n", "it greets in another way"),
        (b'{"error":"not you"}\n', "not you"),
        (b'{"kamaelia_inspection":2}\n', "version 2 of the inspection protocol, and this Kamaelia 1"),
        (GREETING + b"[]\n", "does not write JSON objects"),
        (GREETING + b'{"error":"too long"}\n', "too long"),
        (b"x" * 200, "a line that is too long"),
    ],
)
def test_what_is_not_this_protocol_is_an_error(data, said):
    with pytest.raises(InspectionError, match=said):
        Dialogue(longest=100).receive(data)
