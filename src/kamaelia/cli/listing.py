"""``kamaelia list``: the parts that are installed, one line each."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

from . import FAILED
from .output import complain, plain, say, terminal_columns
from .parser import Parser

EPILOG = """
Other packages add parts by an entry point of the group kamaelia.parts. One that cannot be imported is listed
with what is wrong.

examples
  kamaelia list
  kamaelia list flow
  kamaelia list delay
  kamaelia list --json | python -m json.tool

exit codes
  0  there is something to list
  1  nothing is called so, nor says so
"""


def parser() -> argparse.ArgumentParser:
    """Make the parser of this verb's command line."""
    made = Parser(
        prog="kamaelia list",
        description="List the parts that are installed. 'kamaelia describe NAME' says more about one.",
        epilog=EPILOG,
    )
    made.add_argument(
        "word", metavar="GROUP or WORD", nargs="?", help="only this group, or parts with this in their line"
    )
    made.add_argument("--json", action="store_true", help="for programs")
    return made


def main(words: Sequence[str]) -> int:
    """Print the list; returns the exit code."""
    options = parser().parse_args(words)
    found = list(chosen(options.word))
    if not found:
        complain(f"kamaelia list: no group and no part is called {options.word!r}, or says that in its line")
        return FAILED
    if options.json:
        say(json.dumps(found, indent=2))
    else:
        say("\n".join(lines(found, terminal_columns())))
    return 0


def chosen(word: str | None) -> Iterator[dict[str, Any]]:
    """Yield the groups with what is to be listed of them, as ``--json`` prints it."""
    from kamaelia.catalogue import groups

    everything = groups()
    whole = word is None or any(word in (group.name, group.module) for group in everything)
    for group in everything:
        if whole and word not in (None, group.name, group.module):
            continue
        parts = [
            {"name": part.name, "summary": part.summary}
            for part in group.parts
            if whole or str(word).lower() in f"{part.name} {part.summary}".lower()
        ]
        if parts or whole:
            yield {
                "name": group.name,
                "module": group.module,
                "summary": group.summary,
                "problem": group.problem,
                "parts": parts,
            }


def lines(found: Sequence[dict[str, Any]], columns: int | None) -> Iterator[str]:
    """Yield the list as text, each line no longer than the terminal is wide.

    >>> parts = [{"name": "Take", "summary": "Pass on."}, {"name": "RateLimit", "summary": "Holds back."}]
    >>> for line in lines([{"name": "flow", "summary": "Parts.", "problem": "", "parts": parts}], 21):
    ...     print(line)
    flow: Parts.
      Take       Pass on.
      RateLimit  Holds...
    """
    width = max((len(part["name"]) for group in found for part in group["parts"]), default=0)
    for number, group in enumerate(found):
        if number:
            yield ""
        title = group["name"] + (f": {plain(group['summary'])}" if group["summary"] else "")
        yield cut(title, columns)
        if group["problem"]:
            yield f"  {group['problem']}"
        for part in group["parts"]:
            yield cut(f"  {part['name']:<{width}}  {plain(part['summary'])}", columns)


def cut(line: str, columns: int | None) -> str:
    """Return a line as it fits into a terminal."""
    return line if columns is None or len(line) <= columns else line[: max(0, columns - 3)] + "..."
