"""Every common mistake gets exactly the text that the documentation shows."""

from __future__ import annotations

import linecache
import logging
from pathlib import Path
from typing import Any

import pytest

from kamaelia.axon import report

from .mistakes import MISTAKES, PRELUDE, Mistake, page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "how-to" / "mistakes.md"


def make(one: Mistake, caplog: pytest.LogCaptureFixture) -> str:
    """Make the mistake and return what it gets: the first line of the error, or the warning."""
    namespace: dict[str, Any] = {"__name__": "listing"}
    exec(PRELUDE, namespace)
    # The source is put where tracebacks look for it, so that messages can show the line.
    linecache.cache["listing.py"] = (len(one.code), None, one.code.splitlines(keepends=True), "listing.py")
    with caplog.at_level(logging.WARNING):
        try:
            exec(compile(one.code, "listing.py", "exec"), namespace)
        except Exception as error:
            first = report.describe(error).splitlines()[0]
            # A port that was free by chance is shown as the one that people use.
            return first.replace(str(namespace.get("taken", "no port")), "1500")
    return caplog.records[0].getMessage()


@pytest.mark.parametrize("one", MISTAKES, ids=lambda one: one.title)
def test_the_mistake_gets_its_text(one: Mistake, caplog: pytest.LogCaptureFixture) -> None:
    assert make(one, caplog) == one.text


def test_there_are_more_than_thirty() -> None:
    assert len({one.title for one in MISTAKES}) == len(MISTAKES) > 30


@pytest.mark.once
def test_the_page_shows_just_these() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.mistakes > docs/how-to/mistakes.md"
