"""The page about what is spoken of HTTP shows the machines as they are, and refusals that happen."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from kamaelia.protocol.http.machine import READING, ServerMachine
from kamaelia.protocol.http.refusal import Refused

pytestmark = pytest.mark.one_core("plain")

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "explanation" / "supported-http.md"


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("state_pictures", ROOT / "tools" / "state_pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refusals() -> list[tuple[bytes, int]]:
    """Return what the page says is refused, and how."""
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    told = [(row[0].strip("| `"), int(row[1])) for row in rows if len(row) == 3]
    return [(sent.encode().decode("unicode_escape").encode("latin-1"), status) for sent, status in told]


def test_the_pictures_are_those_of_the_machines() -> None:
    page = PAGE.read_text()
    assert tool().with_pictures(page) == page, "draw them again: python tools/state_pictures.py"


def test_a_picture_has_every_step() -> None:
    picture = tool().mermaid(READING)
    for (state, what), following in READING.items():
        (step,) = [line for line in picture.splitlines() if line.startswith(f"    {state} --> {following}: ")]
        assert what in step.partition(": ")[2].split(", ")


@pytest.mark.parametrize("parser", ["h11", "httptools"])
@pytest.mark.parametrize(("sent", "status"), refusals())
def test_what_the_page_says_is_refused_is_refused(sent: bytes, status: int, parser: str) -> None:
    machine = ServerMachine(parser=parser)
    machine.receive(sent)
    with pytest.raises(Refused) as refusal:
        for _ in range(10):
            machine.next_event()
    assert refusal.value.status == status
    with pytest.raises(Refused):  # and from then on
        machine.next_event()


def test_there_are_refusals_on_the_page() -> None:
    assert len(refusals()) > 20
