"""The page that says what there is of TCP names tests; they exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_core

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "linux-tcp.md"


def test_each_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    sources = Path(__file__).parent.glob("test_*.py")
    there = {
        name
        for source in sources
        for name in re.findall(r"^def (test_\w+)", source.read_text(), re.MULTILINE)
    }
    assert len(named) > 50 and named - there == set()


def test_each_mechanism_has_a_test() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 30
    assert [row for row in rows if "`test_" not in row] == []
