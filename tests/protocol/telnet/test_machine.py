"""Telnet: bytes in, events out."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError
from kamaelia.protocol.telnet.machine import (
    AGREE,
    YES_I_AM,
    Event,
    Leave,
    Line,
    Send,
    Terminal,
    Window,
)
from tests.fuzz.fuzz_telnet import one_input

pytestmark = pytest.mark.one_core("plain")

WILL_ECHO, WONT_ECHO = b"\xff\xfb\x01", b"\xff\xfc\x01"
DO_ECHO, DONT_ECHO = b"\xff\xfd\x01", b"\xff\xfe\x01"
NAWS_80_24 = b"\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0"
LONG = b"\xff\xfa\x18" + b"x" * 1000 + b"\xff\xf0"

# What comes, and what that means.
TABLE: list[tuple[bytes, list[Event]]] = [
    # ends of lines
    (b"one\r\ntwo\r\0three\nfour\rfive\n", [Line(word) for word in ("one", "two", "three", "four", "five")]),
    (b"\r\n\r\n\n\r\r\0", [Line("")] * 5),
    (b"a\rb\nc\n", [Line("a"), Line("b"), Line("c")]),
    (b"a\r\n\nb", [Line("a"), Line(""), Line("b")]),
    (b"a\r\0\nb\n", [Line("a"), Line(""), Line("b")]),
    (b"the last", [Line("the last")]),
    (b"", []),
    # editing
    (b"helo\x08lo\n", [Line("hello")]),
    (b"\x7f\x7fa\x7fb\n", [Line("b")]),
    ("ü\u20ac\U0001f600".encode() + b"\x7f\x7f\n", [Line("ü")]),
    (b"x\xbf\xbf\xbf\x7f\n", [Line("x")]),
    (b"wrong\x15right\n", [Line("right")]),
    (b"a\xff\xf8b\n", [Line("b")]),
    (b"ab\xff\xf7c\n", [Line("ac")]),
    # what would do something to a terminal
    (b"a\x1b[2Jb\x07\x00c\x0b\n", [Line("a[2Jbc")]),
    (b"a\tb\n", [Line("a\tb")]),
    (b"a\xc2\x9bb\n", [Line("ab")]),
    (b"a\xff\xffb\xfe\n", [Line("a\ufffdb\ufffd")]),
    # commands
    (b"a\xff\xf1b\xff\xf9\xff\xf2\xff\xf5c\n", [Line("abc")]),
    (b"\xff\xf6", [Send(YES_I_AM)]),
    (b"\xff\xf4", [Leave()]),
    (b"\xff\xf3\xff\xec\xff\xee", [Leave()] * 3),
    (b"ab\x03", [Leave(), Line("ab")]),
    (b"\x04", [Leave()]),
    (b"\xff\x00a\n", [Line("a")]),
    # options: refused, agreed, and nothing said twice
    (b"\xff\xfd\x18", [Send(b"\xff\xfc\x18")]),
    (b"\xff\xfb\x18\xff\xfb\x18", [Send(b"\xff\xfe\x18")] * 2),
    (b"\xff\xfe\x18\xff\xfc\x18", []),
    (DO_ECHO, [Send(WONT_ECHO)]),
    (WILL_ECHO, [Send(DONT_ECHO)]),
    (b"\xff\xfd\x03\xff\xfd\x03", [Send(b"\xff\xfb\x03")]),
    (b"\xff\xfb\x03\xff\xfc\x03", [Send(b"\xff\xfd\x03"), Send(b"\xff\xfe\x03")]),
    (b"\xff\xfb\x1f" + NAWS_80_24, [Send(b"\xff\xfd\x1f"), Window(80, 24)]),
    (b"\xff\xfa\x1f\x00\xff\xff\x01\x02\xff\xf0", [Window(255, 258)]),
    # subnegotiations of no use, too long, or broken off
    (b"\xff\xfa\x18\x00xterm\xff\xf0a\n", [Line("a")]),
    (b"\xff\xfa\x1f\x00\x50\x00\xff\xf0a\n", [Line("a")]),
    (LONG + b"a\n", [Line("a")]),
    (b"\xff\xfa\x18abc\xff\xf4b\n", [Leave(), Line("b")]),
    (b"\xff\xfa\xff\xf0\xff\xfa", []),
]


@pytest.mark.parametrize(("data", "events"), TABLE)
def test_what_comes_means_the_same_however_it_is_divided(data: bytes, events: list[Event]) -> None:
    for size in (1, 2, 3, len(data) + 1):
        terminal = Terminal()
        chunks = [data[n : n + size] for n in range(0, len(data), size)]
        got = [event for chunk in chunks for event in terminal.feed(chunk)]
        assert got + terminal.end() == events


def test_a_line_that_is_too_long_is_cut_and_counted() -> None:
    terminal = Terminal(longest=5)
    assert terminal.feed(b"12345\n123456\r\nab") == [Line("12345"), Line("12345")]
    assert terminal.feed("c€x\n".encode()) == [Line("abc")]
    assert terminal.cut == 2
    for forget in (b"\x15", b"\xff\xf8"):
        assert terminal.feed(b"1234567" + forget + b"12345\n" + b"12" + forget + b"3\n") == [
            Line("12345"),
            Line("3"),
        ]
    assert terminal.cut == 2
    for _ in range(100):
        terminal.feed(b"x" * 1000)
    assert len(terminal._line) == 5


def test_other_encodings() -> None:
    terminal = Terminal(encoding="latin-1")
    assert terminal.feed(b"\xfc\xe9\x7f\xff\xff\n") == [Line("ü\xff")]
    assert terminal.encode("ÿ€\n") == b"\xff\xff?\r\n"
    with pytest.raises(ValueError, match="does not leave ASCII as it is"):
        Terminal(encoding="utf-16")


@pytest.mark.parametrize(
    ("text", "data"),
    [("", b""), ("a\nb\r\nc\rd", b"a\r\nb\r\nc\r\nd"), ("ü", "ü".encode()), ("\ud800", b"?")],
)
def test_what_is_sent(text: str, data: bytes) -> None:
    assert Terminal().encode(text) == data


def test_only_text_is_sent() -> None:
    with pytest.raises(LocalProtocolError, match="a terminal is sent str, not b'bytes'"):
        Terminal().encode(b"bytes")  # type: ignore[arg-type]


def test_a_password() -> None:
    terminal = Terminal()
    assert terminal.hide() == WILL_ECHO and not terminal.hidden
    assert terminal.feed(DO_ECHO) == [] and terminal.hidden
    assert terminal.feed(DO_ECHO) == []
    assert terminal.show() == WONT_ECHO and not terminal.hidden
    assert terminal.feed(DONT_ECHO) == []
    assert terminal.hide() == WILL_ECHO
    assert terminal.feed(DONT_ECHO) == [] and not terminal.hidden
    assert terminal.show() == b""


def test_a_password_of_one_who_answers_late_or_never() -> None:
    terminal = Terminal()
    assert (terminal.hide(), terminal.show(), terminal.hide(), terminal.show()) == (WILL_ECHO, b"", b"", b"")
    # Here is the answer, at last: it is not wanted any more.
    assert terminal.feed(DO_ECHO) == [Send(WONT_ECHO)]
    assert terminal.hide() == b""
    assert terminal.feed(DONT_ECHO) == [Send(WILL_ECHO)]
    assert terminal.feed(DO_ECHO) == [] and terminal.hidden


def test_the_window_is_asked_for() -> None:
    terminal = Terminal()
    assert terminal.ask_size() == b"\xff\xfd\x1f"
    assert terminal.feed(b"\xff\xfb\x1f" + NAWS_80_24) == [Window(80, 24)]
    assert terminal.window == (80, 24)
    assert terminal.ask_size() == b""


STATES = ("no", "yes", "want no", "want no, yes", "want yes", "want yes, no")
WORDS = ("on", "refused", "off", "want", "unwant")


def test_the_table_has_an_answer_for_everything() -> None:
    assert set(AGREE) == set(itertools.product(STATES, WORDS))
    assert {state for state, _ in AGREE.values()} <= set(STATES)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["want", "unwant", "hear"])), max_size=40))
@settings(deadline=None)
def test_both_sides_come_to_agree_whatever_each_asks_for_and_when(steps: list[tuple[str, str]]) -> None:
    """The two ends of an option: one that does it, and one that lets it. Answers may be long on their way."""
    state = {"a": "no", "b": "no"}
    wants = {"a": False, "b": False}
    way: dict[str, list[bool]] = {"a": [], "b": []}  # to whom: what is on its way

    def do(who: str, word: str) -> None:
        state[who], say = AGREE[state[who], word]
        if say is not None:
            way["b" if who == "a" else "a"].append(say)

    def hear(who: str) -> None:
        do(who, ("on" if wants[who] else "refused") if way[who].pop(0) else "off")

    for who, word in steps:
        if word == "hear":
            if way[who]:
                hear(who)
        else:
            wants[who] = word == "want"
            do(who, word)
    for _ in range(100):
        if not (way["a"] or way["b"]):
            break
        hear("a" if way["a"] else "b")
    assert not way["a"] and not way["b"], "they go on for ever"
    assert state["a"] == state["b"], "they think differently of it"
    assert state["a"] in ("yes", "no")
    assert state["a"] == "no" or (wants["a"] or wants["b"])


parts = st.sampled_from(
    [b"\xff", b"\xff\xff", b"\xff\xfb", b"\xff\xfd", b"\xff\xfa", b"\xff\xf0", b"\x1f", b"\x01", b"\x03",
     b"\r", b"\n", b"\0", b"\x7f", b"\x15", b"abc", b"\xc3\xbc", b"\xc2\x9b", b"\x1b[2J", NAWS_80_24]
)  # fmt: skip


@given(st.binary(max_size=1), st.lists(parts | st.binary(max_size=6), max_size=25))
@settings(max_examples=500, deadline=None)
def test_whatever_comes_nothing_is_raised_and_bounds_are_kept(first: bytes, data: list[bytes]) -> None:
    one_input((first or b"\0") + b"".join(data))
