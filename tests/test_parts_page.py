"""The page about the parts of Kamaelia 1 names only what there is, and everything that there is."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import kamaelia
from kamaelia import Component, catalogue
from kamaelia.catalogue import parts
from kamaelia.cli.systems import evaluate

pytestmark = pytest.mark.one_core("plain")

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "parts.md"
BAR = re.compile(r"(?<!\\)\|")
CODE = re.compile(r"`([^`]+)`")
ROOMS = {*catalogue.ROOMS, "catalogue", "observe", "testbed", "testing"}


def tables() -> list[list[list[str]]]:
    """Return the tables of the page: of rows, of cells."""
    found: list[list[list[str]]] = [[]]
    for line in PAGE.read_text().splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in BAR.split(line)[1:-1]])
        elif found[-1]:
            found.append([])
    return [table[2:] for table in found if table]


ROWS = [row for table in tables() for row in table]
SERVED = [row for row in ROWS if len(row) == 4]
OURS = [row for row in ROWS if len(row) == 2]
NEW = {name for row in OURS for name in CODE.findall(row[0])}
SAID = [text.replace("\\|", "|") for row in SERVED for text in CODE.findall(row[2])]
NAMES = sorted({text for text in SAID if text.isidentifier()} | NEW)
EXPRESSIONS = sorted({text for text in SAID if not text.isidentifier()})
LATER = {room for row in SERVED for room in re.findall(r"yet: (\w+)", row[3])}


def test_the_tables_are_what_they_seem() -> None:
    assert len(SERVED) + len(OURS) == len(ROWS)
    for original, importance, served, how in SERVED:
        assert original and importance in ("A", "B")
        assert (served == "none") != bool(CODE.search(served)), f"{original}: name what serves, or say none"
        assert how or served != "none", f"{original}: say why there is none"
        rest = CODE.sub("", served)
        assert served == "none" or not rest.strip(":, "), f"{original}: words belong into the last column"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_named_can_be_imported(name: str) -> None:
    public = {known for room in ROOMS for known in importlib.import_module(f"kamaelia.{room}").__all__}
    assert name in public | set(kamaelia.__all__)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_makes_a_component(expression: str) -> None:
    assert isinstance(evaluate(expression), Component)


def test_every_part_of_ours_is_on_the_page() -> None:
    """A part that is added is either one that the original had, or listed as new."""
    words = {word for text in [*SAID, *NEW] for word in re.findall(r"\w+", text)}
    ours = {part.name for part in parts() if part.module.startswith("kamaelia.")}
    assert ours <= words, f"add these to {PAGE.name}: {', '.join(sorted(ours - words))}"


def test_what_is_missing_has_a_room() -> None:
    rooms = {"delivery", "media", "net", "process", "protocol", "studio", "testbed", "ui"}
    assert rooms >= LATER
