"""``kamaelia describe``: one part, with its boxes, arguments, example and picture."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kamaelia.axon import Component, UsageError
from kamaelia.axon.typecheck import name_of

from . import FAILED, USAGE
from .output import complain, plain, say, terminal_columns
from .parser import Parser

if TYPE_CHECKING:
    from kamaelia.catalogue import Part, PartBox

COLUMNS = 100  # at most, of what is wrapped anew
DEFAULT_SIZE = "100 messages"  # of an inbox; says nothing

EPILOG = """
examples
  kamaelia describe Supervisor
  kamaelia describe flow.Lines --json | python -m json.tool
  kamaelia describe TCPServer --svg > server.svg

exit codes
  0  there is such a part
  1  there is, but nobody has made a specimen of it to draw
  2  there is no such part
"""


def parser() -> argparse.ArgumentParser:
    """Make the parser of this verb's command line."""
    made = Parser(
        prog="kamaelia describe",
        description="Describe a part: its boxes and their types, its arguments, an example, a picture.",
        epilog=EPILOG,
    )
    made.add_argument("name", metavar="NAME", help="a part, see 'kamaelia list': Lines, or flow.Lines")
    form = made.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--svg", action="store_true", help="only the picture, as SVG")
    return made


def main(words: Sequence[str]) -> int:
    """Print the description; returns the exit code."""
    from kamaelia.catalogue import find

    options = parser().parse_args(words)
    try:
        part = find(options.name)
    except UsageError as error:
        complain(f"kamaelia describe: {error}")
        return USAGE
    if options.json:
        say(json.dumps(part.about(), indent=2))
    elif options.svg:
        from kamaelia.observe import svg

        made = specimen_of(part)
        if made is None:
            complain(f"kamaelia describe: there is no specimen of {part.name}, so there is nothing to draw")
            return FAILED
        say(svg(made, boxes=True).removesuffix("\n"))
    else:
        say("\n".join(lines(part, min(terminal_columns() or COLUMNS, COLUMNS))))
    return 0


def lines(part: Part, columns: int) -> Iterator[str]:
    """Yield the description as text."""
    yield f"{part.name}: {plain(part.summary)}"
    yield ""
    yield f"  from {part.module} import {part.name}"
    yield textwrap.indent(part.call(columns - 2), "  ")
    made = specimen_of(part)
    if made is not None:
        yield ""
        yield from drawing(made)
    if part.boxes:
        yield ""
        yield "boxes"
        yield from table(
            [(box.name, "in" if box.is_inbox else "out", box.type, about_box(box)) for box in part.boxes]
        )
    if part.arguments:
        yield ""
        yield "arguments"
        for argument in part.arguments:
            yield f"  {argument.text}"
            yield from textwrap.wrap(
                plain(argument.meaning), columns, initial_indent=" " * 6, subsequent_indent=" " * 6
            )
    if part.text:
        yield ""
        yield plain(part.text)
    if part.example:
        yield ""
        yield "example"
        yield textwrap.indent(part.example, "  ")


def specimen_of(part: Part) -> Component | None:
    """Make the first specimen of a part; None if there is none."""
    try:
        specimens = part.specimens()
        return specimens[0].make() if specimens else None
    except Exception as error:  # somebody else's module may raise anything
        complain(f"kamaelia describe: no specimen of {part.name}: {type(error).__name__}: {error}")
        return None


def about_box(box: PartBox) -> str:
    """Return what is to be said about a box beside its name and type."""
    more = []
    if box.is_inbox and box.size != DEFAULT_SIZE:
        more.append(f"senders wait at {box.size}")
    if box.held:
        more.append("stays open when nothing is linked to it")
    if box.optional:
        more.append("need not have a reader")
    return f"{plain(box.doc)} ({'; '.join(more)})" if more else plain(box.doc)


def table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield the rows of a table, aligned.

    >>> list(table([("inbox", "in"), ("a", "out")]))
    ['  inbox  in', '  a      out']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()


def drawing(component: Component) -> Iterator[str]:
    """Yield a picture of a component and its boxes, in letters.

    >>> from kamaelia.flow import Lines
    >>> print("\\n".join(drawing(Lines())))
                       +-------+
      inbox: bytes --> | Lines | --> outbox: str
                       +-------+
    """
    ins: list[str] = []
    outs: list[str] = []
    for name, box in component.boxes.items():
        (ins if box.is_inbox else outs).append(f"{name}: {name_of(box.type)}")
    rows = max(len(ins), len(outs), 1)
    left = max(map(len, ins), default=0)
    name = type(component).__name__
    margin = " " * (left + 7 if ins else 2)
    yield f"{margin}+{'-' * (len(name) + 2)}+"
    for row in range(rows):
        into = f"  {ins[row]:>{left}} --> " if row < len(ins) else margin
        out = f" --> {outs[row]}" if row < len(outs) else ""
        yield f"{into}| {name if row == (rows - 1) // 2 else '':<{len(name)}} |{out}"
    yield f"{margin}+{'-' * (len(name) + 2)}+"
