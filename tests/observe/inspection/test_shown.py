"""Messages, as they are shown: never at a cost, never with code of theirs."""

from __future__ import annotations

import array
import base64
import collections
import dataclasses
import datetime
import enum
import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia import Component
from kamaelia.observe.inspection.shown import short, show

pytestmark = pytest.mark.one_core


@dataclasses.dataclass
class Point:
    x: int
    y: Any


@dataclasses.dataclass(slots=True)
class Slotted:
    x: int


class Colour(enum.Enum):
    RED = 1


Pair = collections.namedtuple("Pair", "left right")


RAN: list[str] = []  # code of messages that was run


class Hostile:
    """Takes note of whatever is asked of it."""

    def __init__(self) -> None:
        object.__setattr__(self, "inner", 7)

    def __getattribute__(self, name: str) -> Any:
        RAN.append(name)
        raise RuntimeError(name)

    def _no(self, *_: Any) -> Any:
        RAN.append("method")
        raise RuntimeError

    __repr__ = __str__ = __len__ = __iter__ = __getitem__ = __eq__ = __bool__ = __format__ = _no  # type: ignore
    __hash__ = None  # type: ignore


class HostileDict(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        RAN.append("items")
        raise RuntimeError

    __iter__ = __len__ = __repr__ = keys = items  # type: ignore[assignment]


class HostileStr(str):
    def __getitem__(self, key: Any) -> Any:
        RAN.append("[]")
        raise RuntimeError

    __len__ = __repr__ = __str__ = __iter__ = __getitem__  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        ("hello", "text", "hello"),
        ("[1, 2]", "json", "[1, 2]"),
        ("[1, 2", "text", "[1, 2"),
        (b"hello\r\n", "text", "hello\r\n"),
        (b'{"a": 1}', "json", '{"a": 1}'),
        (b"\x00\xff", "hex", "00ff"),
        (bytearray(b"\x00\x01"), "hex", "0001"),
        (memoryview(b"abc"), "text", "abc"),
        ({"a": [1, 2.5, None, True, "x"]}, "json", '{"a": [1, 2.5, null, true, "x"]}'),
        ((1, 2), "json", "[1, 2]"),
        (None, "json", "null"),
        (7, "json", "7"),
        (float("inf"), "repr", "inf"),
        ({1: 2}, "repr", "{1: 2}"),
        ((1, {2}), "repr", "(1, {2})"),
        (Point(1, "a"), "repr", "Point(x=1, y='a')"),
        (Slotted(3), "repr", "Slotted(x=3)"),
        (Pair(1, b"x"), "repr", "Pair(left=1, right=b'x')"),
        (Colour.RED, "repr", "Colour.RED"),
        (datetime.date(2001, 2, 3), "repr", "datetime.date(2001, 2, 3)"),
        (ValueError("no"), "repr", "ValueError('no',)"),
        (collections.deque([1]), "repr", "deque([1])"),
        (10**400, "repr", "<int of 1329 bits>"),
        (object(), "repr", "<object>"),
        (int, "repr", "int"),
        (Component, "repr", "kamaelia.axon.component.Component"),
    ],
)
def test_each_kind_is_shown_in_its_way(message, kind, text):
    shown = show(message)
    assert (shown["kind"], shown["text"], shown["cut"]) == (kind, text, False)
    json.dumps(shown)


def test_types_are_told_with_their_modules():
    assert show([])["type"] == "builtins.list"
    assert show(Point(1, 2))["type"] == f"{__name__}.Point"


@pytest.mark.parametrize(
    ("begin", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
def test_pictures_are_known_by_how_they_begin(begin, media_type):
    message = begin + b"\x00" * 10
    shown = show(message)
    assert (shown["kind"], shown["media_type"], shown["size"]) == ("picture", media_type, len(message))
    assert base64.b64decode(shown["text"]) == message
    assert show(message, 12)["cut"] is True


def test_what_is_too_long_is_cut_to_its_limit():
    assert show("x" * 5000, 100) == {
        "type": "builtins.str",
        "size": 5000,
        "kind": "text",
        "text": "x" * 100,
        "cut": True,
    }
    assert show(b"\x00" * 5000, 100)["text"] == "00" * 50
    for message in (list(range(10_000)), {str(one): one for one in range(10_000)}, [Point(1, "a" * 10_000)]):
        shown = show(message, 100)
        assert shown["cut"] is True
        assert len(shown["text"]) <= 100
    # A letter of several bytes that the cut goes through does not make it binary.
    assert show("\u00e4".encode() * 100, 101)["text"] == "\u00e4" * 50


def test_samples_are_of_each_channel_and_from_minus_one_to_one():
    shown = show(np.array([0, 16384, -32768], dtype=np.int16))
    assert (shown["kind"], json.loads(shown["text"]), shown["size"]) == ("samples", [[0, 0.5, -1]], 3)
    shown = show(np.array([[0.5, -0.5], [0.25, 1.0], [0.0, float("nan")]], dtype=np.float32))
    assert json.loads(shown["text"]) == [[0.5, 0.25, 0], [-0.5, 1, None]]
    assert json.loads(show(np.zeros((2, 5000)))["text"]) == [[0.0] * 1000] * 2
    assert show(np.zeros((2, 5000)))["cut"] is True
    shown = show(array.array("d", [10.0, -20.0]))
    assert (json.loads(shown["text"]), shown["scale"]) == ([[0.5, -1]], 20.0)
    assert json.loads(show(np.array([0, 128, 192], dtype=np.uint8))["text"]) == [[-1, 0, 0.5]]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (np.zeros((4, 50, 50)), "<ndarray float64 (4, 50, 50)>"),
        (np.zeros((0,)), "<ndarray float64 (0,)>"),
        (np.array(["a"]), "<ndarray <U1 (1,)>"),
        (np.array([1 + 2j]), "<ndarray complex128 (1,)>"),
        (np.array([object()]), "<ndarray object (1,)>"),
    ],
)
def test_arrays_that_are_no_curves_are_told_of(message, text):
    assert show(message)["text"] == text


def test_no_code_of_a_message_is_run():
    shown = [show(one)["text"] for one in (Hostile(), HostileDict(a=1), HostileStr("abc"))]
    shown.append(short([Hostile(), HostileStr("x")]))
    assert shown == ["Hostile(inner=7)", "HostileDict({'a': 1})", "abc", "[Hostile(inner=7), 'x']"]
    assert RAN == []


def test_what_contains_itself_is_shown():
    ring: list[Any] = [1]
    ring.append(ring)
    assert show(ring)["text"] == "[1, ...]"
    point = Point(1, None)
    point.y = point
    assert show(point)["text"] == "Point(x=1, y=...)"
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    assert show(deep)["kind"] == "repr"


def test_large_messages_take_no_longer_than_small_ones():
    large = [list(range(1000)) for _ in range(2000)]
    began = time.perf_counter()
    for message in (large, {"a": large}, "x" * 10**7, b"\x00" * 10**7, np.zeros(10**6), [Point(1, large)]):
        show(message)
    assert time.perf_counter() - began < 0.5


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    ),
    st.integers(1, 200),
)
def test_whatever_it_is_it_is_shown_within_its_limit(message, most):
    shown = show(message, most)
    assert len(shown["text"]) <= most * (2 if shown["kind"] == "picture" else 1)
    json.dumps(shown)
    assert len(short(message, most)) <= max(most, 3)


def test_what_is_shown_can_be_resized_by_another_thread_meanwhile(monkeypatch):
    data, numbers = bytearray(b"\x00\x01"), array.array("h", [1, 2])

    def decoded(*_: object) -> None:
        data.extend(b"\x02")  # a BufferError, while anybody has a view of it

    def as_float(value: int) -> float:
        numbers.append(3)
        return float(value)

    monkeypatch.setattr("kamaelia.observe.inspection.shown._decoded", decoded)
    monkeypatch.setattr("kamaelia.observe.inspection.shown.float", as_float, raising=False)
    assert (show(data)["text"], show(numbers)["size"]) == ("0001", 2)
    assert (data, list(numbers)) == (b"\x00\x01\x02", [1, 2, 3, 3])
