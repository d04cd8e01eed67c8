"""The page about limits says what the code does: each default, and all that there are."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kamaelia.net
import kamaelia.protocol
from kamaelia.axon import units

pytestmark = pytest.mark.one_core("plain")

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "limits.md"
ROOMS = ("kamaelia.net", "kamaelia.protocol", "kamaelia.protocol.http", "kamaelia.protocol.websocket")
CODE = re.compile(r"`([^`]+)`")
NO_LIMITS = {"factor", "initial", "jitter", "least", "level", "max_age", "offset", "port", "status", "ttl"}
"""Arguments that are numbers, or may be, and bound nothing that grows."""
WITHOUT = re.compile(
    r"(timeout|limit|_rate|_per_second|_per_address|buffers?|most|attempts|requests|stream|total)$"
)
"""What an argument is called that is a limit even where its default is that there is none."""


def rows() -> list[tuple[str, list[str], str, str, str]]:
    """Return the rows of the table: argument, of what, default, meaning, and where it is counted."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    found = []
    for line in lines[2:]:
        argument, of, default, meaning, counted = (cell.strip() for cell in line[1:-1].split("|"))
        found.append((argument.strip("`"), CODE.findall(of), default, meaning, counted.strip("`")))
    return found


ROWS = rows()
FIXED = [row for row in ROWS if not row[1]]
GIVEN = [(argument, owner, default) for argument, of, default, _, _ in ROWS for owner in of]


def public() -> dict[str, Any]:
    """Return what one can import from the rooms, by name."""
    modules = [importlib.import_module(room) for room in ROOMS]
    return {name: getattr(module, name) for module in modules for name in module.__all__}


PUBLIC = public()


def own_defaults(thing: Any) -> dict[str, Any]:
    """Return the arguments that something takes itself, and what they are if they are not given."""
    function = thing.__dict__.get("__init__") if inspect.isclass(thing) else thing
    if not inspect.isfunction(function):
        return {}
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def default_of(owner: str, argument: str) -> Any:
    """Return the default of an argument, which may be one of a base class."""
    thing = PUBLIC[owner]
    for one in inspect.getmro(thing) if inspect.isclass(thing) else [thing]:
        if argument in (defaults := own_defaults(one)):
            return defaults[argument]
    raise AssertionError(f"{owner} takes no {argument}=")


def number_of(value: Any) -> float | None:
    """Return a default as a number: bytes, seconds, or how many."""
    if value is None:
        return None
    return float(units.size(value, "a default")) if isinstance(value, str) else float(value)


def said(default: str) -> float | None:
    """Return what the page says as a number."""
    if default == "none":
        return None
    return float(default.removesuffix(" s")) if not default.endswith("iB") else number_of(default)


@pytest.mark.parametrize(("argument", "owner", "default"), GIVEN, ids=lambda value: str(value))
def test_a_default_is_as_the_page_says(argument: str, owner: str, default: str) -> None:
    assert number_of(default_of(owner, argument)) == said(default)


@pytest.mark.parametrize(("constant", "default"), [(row[0], row[2]) for row in FIXED])
def test_what_is_fixed_is_as_the_page_says(constant: str, default: str) -> None:
    module, _, name = constant.rpartition(".")
    assert number_of(getattr(importlib.import_module(f"kamaelia.{module}"), name)) == said(default)


def counters() -> set[str]:
    """Return everything that statistics tell."""
    found = {"Conversation.cut"}
    for package in (kamaelia.net, kamaelia.protocol):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for name, thing in vars(importlib.import_module(module.name)).items():
                if name.endswith("Statistics"):
                    found |= {f"{name}.{field}" for field in thing.__dataclass_fields__}
    return found


def test_where_it_is_counted_is_there() -> None:
    assert {row[4] for row in ROWS} - {""} <= counters()


def limits_of(things: dict[str, Any], is_limit: Callable[[str, Any], bool]) -> Iterator[tuple[str, str]]:
    """Yield the limits of parts: argument, and of what."""
    for name, thing in things.items():
        if not (inspect.isclass(thing) and issubclass(thing, BaseException)):
            yield from (
                (argument, name)
                for argument, value in own_defaults(thing).items()
                if is_limit(argument, value)
            )


def is_limit(argument: str, value: Any) -> bool:
    """Say whether an argument is one: a number that is not something else, a size, or none."""
    if argument in NO_LIMITS or isinstance(value, bool):
        return False
    if value is None:
        return WITHOUT.search(argument) is not None
    return isinstance(value, (int, float)) or (
        isinstance(value, str) and re.fullmatch(r"\d+ .?i?B", value) is not None
    )


def test_every_limit_is_on_the_page() -> None:
    known = {(argument, owner) for argument, owner, _ in GIVEN}
    assert sorted(set(limits_of(PUBLIC, is_limit)) - known) == []


def test_no_limit_is_on_the_page_twice() -> None:
    told = [(argument, owner) for argument, owner, _ in GIVEN] + [(row[0], "") for row in FIXED]
    assert len(told) == len(set(told))
