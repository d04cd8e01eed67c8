"""Draw the machines of HTTP in the documentation, from the tables that the code executes.

    python tools/state_pictures.py

It writes the pictures into docs/explanation/supported-http.md, between two marks. A test sees that they are
there as this makes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from kamaelia.protocol.http import client_machine
from kamaelia.protocol.http.machine import READING, WRITING

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "supported-http.md"
MARK = "<!-- made by tools/state_pictures.py: {} -->"
MACHINES = {"reading": READING, "writing": WRITING, "client": client_machine.READING}


def mermaid(table: Mapping[tuple[str, str], str]) -> str:
    """Return a picture of a machine: each step from one state to another, with all that leads there."""
    steps: dict[tuple[str, str], list[str]] = {}
    for (state, what), following in table.items():
        steps.setdefault((state, following), []).append(what)
    lines = [f"    {state} --> {following}: {', '.join(what)}" for (state, following), what in steps.items()]
    first = next(iter(table))[0]
    leaves = sorted(set(table.values()) - {state for state, _ in table})
    ends = [f"    {state} --> [*]" for state in leaves]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *lines, *ends, "```"])


def with_pictures(page: str) -> str:
    """Return the page with pictures of the machines as they are."""
    for name, table in MACHINES.items():
        begin, end = MARK.format(name), MARK.format(f"end of {name}")
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(page)) != 1:
            raise ValueError(f"{PAGE.name} has to have the marks {begin!r} and {end!r}, once")
        picture = f"{begin}\n\n{mermaid(table)}\n\n{end}"
        page = pattern.sub(lambda _, picture=picture: picture, page)
    return page


if __name__ == "__main__":
    PAGE.write_text(with_pictures(PAGE.read_text()))
    print(f"Drawn: {', '.join(MACHINES)} in {PAGE.name}")
