"""The pages of the reference about parts, which the build of the documentation makes of the catalogue."""

from __future__ import annotations

import doctest
import importlib.util
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from kamaelia.catalogue import Part, parts

from .test_docstrings import MODULES

pytestmark = pytest.mark.one_core

ROOT = Path(__file__).resolve().parent.parent
OURS = [part for part in parts() if part.module.startswith("kamaelia.")]
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "tools" / "reference_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FILES = {path.rpartition("/")[2]: (title, text) for path, title, text in tool().pages()}
PAGES = {name: text for name, (title, text) in FILES.items() if title}


def section(part: Part) -> str:
    _, _, rest = PAGES[f"{part.group}.md"].partition(f"\n## {part.name}\n")
    return rest.partition("\n## ")[0]


def test_there_is_a_page_for_each_room_and_a_section_for_each_part() -> None:
    assert list(PAGES) == [f"{group}.md" for group in dict.fromkeys(part.group for part in OURS)]
    for name, text in PAGES.items():
        found = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert found == [part.name for part in OURS if f"{part.group}.md" == name]
        assert FILES[name][0] == text.partition("\n")[0].removeprefix("# ")


@pytest.mark.parametrize("part", OURS, ids=lambda part: part.name)
def test_a_section_says_what_is_known_of_its_part(part: Part) -> None:
    text = section(part)
    assert f"from {part.module} import {part.name}\n" in text
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
    expected = len(part.boxes) + len(part.arguments)
    assert [row[0].strip() for row in rows][:expected] == [
        *(f"`{one.name}`" for one in part.boxes),
        *(f"`{one.name}`" for one in part.arguments),
    ]
    assert all(len(row) == 4 for row in rows[:expected])
    assert f"]({part.name}.svg)" in text


@pytest.mark.parametrize("part", OURS, ids=lambda part: part.name)
def test_its_picture_shows_its_boxes(part: Part) -> None:
    words = {element.text for element in ElementTree.fromstring(FILES[f"{part.name}.svg"][1]).iter()}
    assert {box.name for box in part.boxes} <= words


def test_every_example_on_the_pages_is_run_with_the_docstrings() -> None:
    """What tests/test_docstrings.py runs is what doctest finds in these modules."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    run = {
        (example.source, example.want)
        for name in MODULES
        for test in finder.find(importlib.import_module(name))
        for example in test.examples
    }
    shown = [
        (example.source, example.want)
        for text in PAGES.values()
        for example in doctest.DocTestParser().get_examples(re.sub(r"^```$", "", text, flags=re.MULTILINE))
    ]
    assert len(shown) > 3 * len(OURS)
    assert not set(shown) - run


def test_links_lead_somewhere() -> None:
    for name, text in PAGES.items():
        for path, anchor in LINK.findall(text):
            if path.startswith("../"):
                assert importlib.util.find_spec(path.removeprefix("../").removesuffix(".md"))
                assert not anchor
            elif anchor:
                headings = re.findall(r"^## (.*)$", PAGES[path or name], re.MULTILINE)
                assert anchor in map(str.lower, headings)
            else:
                assert path in FILES
