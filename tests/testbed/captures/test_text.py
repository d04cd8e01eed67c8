"""The text of a trace, and where two of them part."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.captures import Divergence, compare, event_line

pytestmark = [pytest.mark.one_core, pytest.mark.once]

EVENTS: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    (
        (0, "send", "udp", "server:5004", "phone-3:49152"),
        {"number": 1, "size": 33},
        "     0.000000000 send     udp       "
        "server:5004              > phone-3:49152                   1     33",
    ),
    (
        (80_000_001, "deliver", "tcp data", "a:1", "b:2"),
        {"number": 12345678, "size": 1344},
        "     0.080000001 deliver  tcp data  "
        "a:1                      > b:2                      12345678   1344",
    ),
    (
        (86_400_000_000_000, "drop", "udp", "a:1", "b:2"),
        {"number": 3, "size": 65535, "where": "a > b (2)"},
        " 86400.000000000 drop     udp       "
        "a:1                      > b:2                             3  65535 a > b (2)",
    ),
    (
        (999_999_999, "listen", "tcp", "server:80"),
        {},
        "     0.999999999 listen   tcp       server:80",
    ),
    (
        (5, "crash", "", "server"),
        {"where": "by hand"},
        "     0.000000005 crash              "
        "server                                                              by hand",
    ),
]


@pytest.mark.parametrize(("values", "more", "expected"), EVENTS)
def test_the_columns_do_not_move(values: tuple[Any, ...], more: dict[str, Any], expected: str) -> None:
    assert event_line(*values, **more) == expected


@given(st.text(), st.text(), st.text())
def test_an_event_is_one_line(source: str, target: str, where: str) -> None:
    text = event_line(5, "send", "udp", source, target, number=1, size=1, where=where)
    assert text.isprintable() and len(text.splitlines()) == 1


def test_what_would_break_the_line_is_escaped() -> None:
    assert event_line(5, "send", "udp", "a\nb", "c\u2028d").split()[3:] == ["a\\nb", ">", "c\\u2028d"]
    assert event_line(5, "send", "udp", "\N{LATIN SMALL LETTER U WITH DIAERESIS}").endswith(
        "\N{LATIN SMALL LETTER U WITH DIAERESIS}"
    )


def test_virtual_time_begins_at_0() -> None:
    with pytest.raises(UsageError, match="time_ns=-1"):
        event_line(-1, "send", "udp", "a")


@pytest.mark.parametrize(
    ("first", "second", "context", "expected"),
    [
        ([], [], 3, None),
        (["a", "b"], ["a", "b"], 3, None),
        (["a\n", "b\r\n"], ["a", "b"], 3, None),
        (["a"], [], 3, Divergence(1, "a", None, ())),
        ([], ["a"], 3, Divergence(1, None, "a", ())),
        (["a", "b", "c", "d", "x"], ["a", "b", "c", "d", "y"], 3, Divergence(5, "x", "y", ("b", "c", "d"))),
        (["a", "b", "x", "e"], ["a", "b", "y", "e"], 0, Divergence(3, "x", "y", ())),
        (["a", "b"], ["a", "b", "c"], 9, Divergence(3, None, "c", ("a", "b"))),
        (["a", ""], ["a"], 1, Divergence(2, "", None, ("a",))),
    ],
)
def test_where_two_traces_part(
    first: list[str], second: list[str], context: int, expected: Divergence | None
) -> None:
    assert compare(first, second, context=context) == expected


def test_a_divergence_as_text() -> None:
    found = compare(["a", "b", "x"], ["a", "b", "y"], context=1)
    assert str(found) == "line 3 differs:\n  b\n- x\n+ y"
    assert str(compare(["a"], ["a", "b"])) == "line 2 differs:\n  a\n- (no more lines)\n+ b"


def test_open_files_are_compared_and_read_no_further_than_needed() -> None:
    def endless() -> Iterator[str]:
        yield "a"
        yield "b"
        raise AssertionError("was read further than needed")

    assert compare(io.StringIO("a\nc\n"), endless()) == Divergence(2, "c", "b", ("a",))


def test_context_is_a_number_of_lines() -> None:
    with pytest.raises(UsageError, match="context=-1"):
        compare([], [], context=-1)


@given(st.lists(st.sampled_from("ab"), max_size=8), st.lists(st.sampled_from("ab"), max_size=8))
def test_the_first_difference_is_found(first: list[str], second: list[str]) -> None:
    found = compare(first, second, context=100)
    if found is None:
        assert first == second
        return
    same = found.number - 1
    assert first[:same] == second[:same] == list(found.before)
    assert first[same : same + 1] != second[same : same + 1]
