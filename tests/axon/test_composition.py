"""Rules 10, 12, 15 and 20 of the contract where components are put together, and what errors say then."""

from __future__ import annotations

import collections.abc
import enum
import sys
import typing
from typing import Annotated, Any, Literal, LiteralString, NamedTuple, NewType, NoReturn, TypeVar

import pytest

from kamaelia import Component, Inbox, Outbox
from kamaelia.axon import typecheck

from .parts import virtually

# -- rule 12: which types fit ---------------------------------------------------------------------------

UserId = NewType("UserId", int)
T = TypeVar("T")
Text = TypeVar("Text", bound=str)
Either = TypeVar("Either", str, bytes)
Contra = TypeVar("Contra", contravariant=True)


class Movie(typing.TypedDict):
    name: str


class Point(NamedTuple):
    x: int


class Reads(typing.Protocol):
    def read(self) -> bytes: ...


@typing.runtime_checkable
class Closes(typing.Protocol):
    def close(self) -> None: ...


class File:
    def read(self) -> bytes:
        return b""

    def close(self) -> None: ...


class Colour(enum.IntEnum):
    RED = 1


class Eats(typing.Generic[Contra]): ...


class Holds(typing.Generic[T]): ...


ALWAYS = [
    (Annotated[int, "m"], int, True),
    (int, Annotated[int, "m"], True),
    (Annotated[int, "m"], Annotated[int, "n"], True),
    (Annotated[int | None, "m"], int | None, True),
    (Annotated[int, "m"], str, False),
    (bool, float, True),
    (bool, complex, True),
    (Colour, float, True),
    (float, bool, False),
    (LiteralString, str, True),
    (str, LiteralString, True),
    (LiteralString, bytes, False),
    (NoReturn, int, True),
    (typing.Never, int, True),
    (Literal["a"], str, True),
    (Literal["a", 1], str | int, True),
    (Literal["a", 1], str, False),
    (Literal["a"], Literal["a", "b"], True),
    (Literal["a"], Literal["b"], False),
    (str, Literal["a"], True),
    (bytes, Literal["a"], False),
    (Literal[Colour.RED], int, True),
    (Literal[None], None, True),
    (UserId, int, True),
    (int, UserId, True),
    (UserId, float, True),
    (UserId, str, False),
    (T, int, True),
    (int, T, True),
    (Text, str, True),
    (str, Text, True),
    (Text, bytes, False),
    (bytes, Text, False),
    (Either, str, True),
    (Movie, dict, True),
    (Movie, collections.abc.Mapping, True),
    (dict, Movie, True),
    (Movie, list, False),
    (int, Movie, False),
    (Point, tuple, True),
    (tuple, Point, False),
    (Point, tuple[int], True),
    (File, Reads, True),
    (File, Closes, True),
    (int, Closes, False),
    (Reads, File, True),
    (collections.abc.Callable, typing.Callable[[int], str], True),
    (typing.Callable[[object], str], typing.Callable[[int], str], True),
    (typing.Optional[int], int | None, True),  # noqa: UP045
    (typing.Union[int, str], str | int, True),  # noqa: UP007
    (typing.Optional[int], int, False),  # noqa: UP045
    (None, int | None, True),
    (typing.List[int], list, True),  # noqa: UP006
    (list[int], collections.abc.Sequence[int], True),
    (dict[str, int], collections.abc.Iterable[str], True),
    (list[Any], list[int], True),
    (list[bool], list[int], True),
    (list[int], list[float], True),
    (list[UserId], list[int], True),
    (list[int], list[UserId], True),
    (list[int], list[Annotated[int, "m"]], True),
    (list[T], list[int], True),
    (list[int], list[T], True),
    (list["Unknown"], list[int], True),  # noqa: F821
    (list[LiteralString], list[str], True),
    (list[Movie], list[dict], True),
    (dict[str, list[int]], dict[str, list[float]], True),
    (tuple[int, ...], tuple[int, int], True),
    (tuple[int, int], tuple[float, ...], True),
    (Eats[float], Eats[int], True),
    (Holds[int], Holds[float], True),
    (list[int], tuple[int, ...], False),
    (object, int, True),
    (memoryview, str, False),
]

# What types are made of is compared only where beartype is installed.
WITH_BEARTYPE = [
    (list[int], list[str], False),
    (list[str], collections.abc.Sequence[int], False),
    (list[float], list[int], False),
    (dict[str, int], dict[str, str], False),
    (dict[str, list[int]], dict[str, list[str]], False),
    (tuple[int, str], tuple[int, int], False),
    (tuple[int, int, int], tuple[int, int], False),
    (tuple[str, ...], tuple[int, int], False),
    (list[int] | None, list[str] | None, False),
    (Holds[int], Holds[str], False),
]


@pytest.mark.parametrize(("given", "wanted", "fits"), ALWAYS)
@pytest.mark.parametrize("beartype", [True, False])
def test_rule_12_which_types_fit(given, wanted, fits, beartype, monkeypatch):
    if beartype:
        pytest.importorskip("beartype")
    else:
        monkeypatch.setitem(sys.modules, "beartype.door", None)
    assert typecheck.fits(given, wanted) is fits


@pytest.mark.parametrize(("given", "wanted", "fits"), WITH_BEARTYPE)
def test_rule_12_what_types_are_made_of_is_compared_with_beartype(given, wanted, fits, monkeypatch):
    pytest.importorskip("beartype")
    assert typecheck.fits(given, wanted) is fits
    monkeypatch.setitem(sys.modules, "beartype.door", None)
    assert typecheck.fits(given, wanted) is True


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement came with Python 3.12")
def test_rule_12_aliases_of_types_fit_what_they_stand_for():
    names: dict[str, Any] = {}
    exec(
        "type Number = int\ntype Rows = list[Rows] | None\ntype Lost = Nowhere\ntype Row[T] = list[T]", names
    )
    number, rows, lost, row = (names[name] for name in ("Number", "Rows", "Lost", "Row"))
    assert typecheck.fits(number, int)
    assert typecheck.fits(int, number)
    assert typecheck.fits(number, float)
    assert not typecheck.fits(number, str)
    assert typecheck.fits(list[number], list[int])
    assert typecheck.fits(None, rows)
    assert not typecheck.fits(int, rows)
    assert typecheck.fits(lost, int)
    assert typecheck.fits(row[int], list[int])


def test_rule_12_links_of_types_that_fit_are_made():
    class Speaks(Component):
        outbox = Outbox[Annotated[bool, "noted"]]("yes and no")

        async def main(self):
            await self.outbox.send(True)

    class Hears(Component):
        inbox = Inbox[float]("numbers")

        async def main(self):
            return [message async for message in self.inbox]

    assert virtually(Speaks() | Hears()) == [True]
