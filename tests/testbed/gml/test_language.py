"""GML as such: what it says, where it is wrong, and that nothing is lost on the way to text and back."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.gml import Attribute, format_gml, parse_gml

pytestmark = [pytest.mark.one_core, pytest.mark.once]


def plain(attributes: Any) -> Any:
    """Return attributes without their places."""
    return [(one.key, plain(one.value) if isinstance(one.value, tuple) else one.value) for one in attributes]


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n\t", []),
        ("# nothing but a comment", []),
        ("id 7", [("id", 7)]),
        ("id 7 ", [("id", 7)]),
        ("id\n\n7", [("id", 7)]),
        ("id -7", [("id", -7)]),
        ("id +007", [("id", 7)]),
        ("id 9223372036854775807", [("id", 2**63 - 1)]),
        ("id -9223372036854775808", [("id", -(2**63))]),
        ("x 0.5", [("x", 0.5)]),
        ("x .5", [("x", 0.5)]),
        ("x 5.", [("x", 5.0)]),
        ("x -1.5E-3", [("x", -0.0015)]),
        ("x 1.e+2", [("x", 100.0)]),
        ("x 1e-05", [("x", 1e-05)]),
        ('label ""', [("label", "")]),
        ('label "a b"', [("label", "a b")]),
        ('label"a"id 5', [("label", "a"), ("id", 5)]),
        ('label "two\nlines"', [("label", "two\nlines")]),
        ('label "[ # no comment ]"', [("label", "[ # no comment ]")]),
        (
            'label "&quot;&amp;&lt;&eacute;&#228;&#xE4;&#x1F600;&euro;"',
            [("label", '"&<\xe9\xe4\xe4\U0001f600\u20ac')],
        ),
        ('label "&#38;amp;"', [("label", "&amp;")]),
        ('label "\xe4\xf6\xfc"', [("label", "\xe4\xf6\xfc")]),
        ("x []", [("x", [])]),
        ("x[]", [("x", [])]),
        ("x [ a 1 a 2 ]", [("x", [("a", 1), ("a", 2)])]),
        ("x [a 1]y 2", [("x", [("a", 1)]), ("y", 2)]),
        ("x [ y [ z [ a 1 ] ] ]", [("x", [("y", [("z", [("a", 1)])])])]),
        ("a_1 1", [("a_1", 1)]),
        ("a 1 # one\n# two\n  # three\nb 2#four", [("a", 1), ("b", 2)]),
        ("a#why\n1", [("a", 1)]),
        ("a 1\r\nb 2\r\n", [("a", 1), ("b", 2)]),
        ("x " + 100 * "[y " + "1" + 100 * "]", None),
    ],
)
def test_what_it_says(text: str, expected: Any) -> None:
    found = plain(parse_gml(text))
    if expected is None:
        for _ in range(100):
            ((_, found),) = found
        expected = [("y", 1)]
    assert found == expected
    assert [type(value) for _, value in found] == [type(value) for _, value in expected]


def test_each_attribute_knows_its_place() -> None:
    assert parse_gml("a 1\n  b [ c 2 ]") == (
        Attribute("a", 1, 0),
        Attribute("b", (Attribute("c", 2, 10),), 6),
    )


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("7", 1, 1, "'7': here the name of an attribute is expected"),
        ("a 1 2", 1, 5, "'2': here the name of an attribute is expected"),
        ('"a" 1', 1, 1, "'\"a\"': here the name of an attribute is expected"),
        ("_a 1", 1, 1, "'_a': here the name of an attribute is expected"),
        ("a-b 1", 1, 1, "'a-b': here the name of an attribute is expected"),
        ("\xe9 1", 1, 1, "'\xe9': here the name of an attribute is expected"),
        ("\x1f", 1, 1, "'\\x1f': here the name of an attribute is expected"),
        ("\xa0a 1", 1, 1, "'\\xa0a': here the name of an attribute is expected"),
        ("a 1\n [ ]", 2, 2, "'[': here the name of an attribute is expected"),
        ("a", 1, 1, "a has no value: write a number, text in quotation marks, or [ ... ]"),
        ("x [\n  a ]", 2, 3, "a has no value: write a number, text in quotation marks, or [ ... ], not ']'"),
        (
            "label server",
            1,
            1,
            "label has no value: write a number, text in quotation marks, or [ ... ], not",
        ),
        ("a 12x", 1, 1, "a has no value: write a number, text in quotation marks, or [ ... ], not '12x'"),
        ("a 1.2.3", 1, 1, "not '1.2.3'"),
        ("a 1,5", 1, 1, "not '1,5'"),
        ("a .", 1, 1, "not '.'"),
        ("a -", 1, 1, "not '-'"),
        ("a +INF", 1, 1, "not '+INF'"),
        ("a NAN", 1, 1, "a has no value"),
        ("a 9223372036854775808", 1, 3, "9223372036854775808: whole numbers have at most 64 bits"),
        ("a " + 5000 * "9", 1, 3, 30 * "9" + ": whole numbers have at most 64 bits"),
        ("a 1.0e999", 1, 3, "1.0e999: this number is too large"),
        ('a 1\nlabel "server\n]', 2, 7, "this text is never closed: a quotation mark is missing"),
        (
            'a "AT&T"',
            1,
            6,
            "& begins a character reference, such as &quot; or &#252;; for itself write &amp;",
        ),
        ('a "&nosuch;"', 1, 4, "& begins a character reference"),
        ('a "\n&#55296;"', 2, 1, "& begins a character reference"),
        ('a "&#1114112;"', 1, 4, "& begins a character reference"),
        ('a "&#99999999;"', 1, 4, "& begins a character reference"),
        ('a "&;"', 1, 4, "& begins a character reference"),
        ("x [ y [ a 1 ]", 1, 3, "this [ is never closed"),
        ("x [\n y [ ] ] ]", 2, 10, "this ] closes nothing"),
        ("x " + 101 * "[y " + "1" + 101 * "]", 1, 303, "lists within lists, more than 100 deep"),
    ],
)
def test_where_it_is_wrong(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gml(text, "net.gml")
    assert str(caught.value).startswith(f"net.gml, line {line}, column {column}: ")
    assert words in str(caught.value)


def test_only_text_is_read() -> None:
    with pytest.raises(UsageError, match="give the text"):
        parse_gml(b"a 1")  # type: ignore[arg-type]


# --- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ([], ""),
        ([("id", 7)], "id 7\n"),
        ([("yes", True), ("no", False)], "yes 1\nno 0\n"),
        ([("x", 0.1)], "x 0.1\n"),
        ([("x", 3.0)], "x 3.0\n"),
        ([("x", 1e-07)], "x 1.0e-07\n"),
        ([("x", -2.5e300)], "x -2.5e+300\n"),
        ([("label", 'say "&"')], 'label "say &quot;&amp;&quot;"\n'),
        ([("label", "\xe4\n\x7f\U0001f600")], 'label "&#228;&#10;&#127;&#128512;"\n'),
        ([("x", [])], "x [\n]\n"),
        ([("x", [("y", [("z", 1)])]), ("w", 2)], "x [\n  y [\n    z 1\n  ]\n]\nw 2\n"),
        (parse_gml("x [ a 1 ]"), "x [\n  a 1\n]\n"),
    ],
)
def test_what_is_written(attributes: Any, text: str) -> None:
    assert format_gml(attributes) == text


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ([("", 1)], "'': names in GML are of letters, digits and _"),
        ([("a b", 1)], "'a b': names in GML"),
        ([("1a", 1)], "'1a': names in GML"),
        ([("a\n", 1)], "names in GML"),
        ([("\xe9", 1)], "'\xe9': names in GML"),
        ([(5, 1)], "5: names in GML"),
        ([("a", None)], "a=None: values in GML are numbers, text, and lists of pairs"),
        ([("a", 2**63)], "a=9223372036854775808: whole numbers in GML have at most 64 bits"),
        ([("a", math.inf)], "a=inf: numbers in GML are finite"),
        ([("a", math.nan)], "a=nan: numbers in GML are finite"),
        ([("a", "\ud800")], "half a character"),
    ],
)
def test_what_cannot_be_written(attributes: Any, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        format_gml(attributes)


def test_lists_are_no_deeper_than_can_be_read() -> None:
    attributes: Any = [("x", 1)]
    for _ in range(100):
        attributes = [("x", attributes)]
    assert format_gml(parse_gml(format_gml(attributes))) == format_gml(attributes)
    with pytest.raises(UsageError, match="more than 100 deep"):
        format_gml([("x", attributes)])


# --- there and back, and what is nothing at all -----------------------------------------------------

KEYS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
VALUES = st.recursive(
    st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda values: st.lists(st.tuples(KEYS, values), max_size=4),
    max_leaves=12,
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=5))
def test_what_was_written_is_read_as_it_was(attributes: list[tuple[str, Any]]) -> None:
    text = format_gml(attributes)
    assert plain(parse_gml(text)) == attributes
    assert text.isascii()
    assert format_gml(parse_gml(text)) == text


PIECES = st.sampled_from(
    [
        "graph",
        "node",
        "a_1",
        " ",
        "\n",
        "[",
        "]",
        '"',
        '"b"',
        "#",
        "&",
        "&amp;",
        "&#1;",
        "1",
        "-",
        ".",
        "e5",
        "\xe9",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
def test_garbage_is_refused_by_nothing_but_usage_errors(text: str) -> None:
    try:
        found = parse_gml(text)
    except UsageError as error:
        assert re.match(r"GML, line \d+, column \d+: ", str(error)), text
    else:
        assert plain(parse_gml(format_gml(found))) == plain(found)
