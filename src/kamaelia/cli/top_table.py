"""The table of ``kamaelia top``: which components are in it, in which order, and what stands in its cells.

It is made of what `kamaelia.observe.inspection.mirror` knows, and drawn by `top_screen`, or printed as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kamaelia.observe.inspection.mirror import Mirror, Part

DOING = {
    "new": "not begun",
    "ready": "has its turn",
    "running": "runs",
    "receiving": "waits",
    "sending": "blocked",
    "sleeping": "sleeps",
    "awaiting": "awaits",
    "working": "in its thread",
    "holding": "",
    "vacant": "vacant",
}
"""What a state is called in the table."""

ORDERS = ("tree", "queue", "blocked", "run", "in", "out")


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    name: str
    title: str
    width: int
    right: bool = False
    """Whether its text stands at the right."""


COLUMNS = (
    Column("doing", "DOING", 13),
    Column("in", "IN/s", 7, right=True),
    Column("out", "OUT/s", 7, right=True),
    Column("queue", "QUEUE", 11, right=True),
    Column("run", "RUN%", 5, right=True),
    Column("blocked", "BLOCKED%", 9, right=True),
)
"""Between the component's name, and the notes."""
NOTES = "WAITS FOR"


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    part: Part
    depth: int
    """In how many chassis that are in the table, too."""
    sign: str
    """Whether it is folded (``+``), could be (``-``), or neither."""


class Table:
    """The lines that there are to be seen, of all that a mirror knows."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.order = "tree"
        """One of `ORDERS`: as they are in each other, or the greatest first."""
        self.filter = ""
        """Only those are there whose path has this in it, or that do it."""
        self.folded: set[str] = set()
        """The paths of those whose children are not shown."""

    @classmethod
    def empty(cls) -> Table:
        """Make one of a mirror that knows nothing yet."""
        return cls(Mirror())

    def rows(self) -> list[Row]:
        """Return the lines, as they are to be seen."""
        if self.order == "tree":
            kept = self._kept()
            return [row for root in self.mirror.roots for row in self._branch(root, 0, kept)]
        parts = [part for part in self.mirror.parts.values() if part.body != "none" and self._matches(part)]
        parts.sort(key=lambda part: (-_amount(part, self.order), part.path))
        return [Row(part, 0, " ") for part in parts]

    def _kept(self) -> set[int] | None:
        """Return the numbers of those that match the filter, and of all around them; None if all do."""
        if not self.filter:
            return None
        kept: set[int] = set()
        for part in self.mirror.parts.values():
            if self._matches(part):
                one: Part | None = part
                while one is not None and one.n not in kept:
                    kept.add(one.n)
                    one = None if one.parent is None else self.mirror.parts.get(one.parent)
        return kept

    def _matches(self, part: Part) -> bool:
        wanted = self.filter.lower()
        doing = DOING.get(part.state, part.state)
        return wanted in part.path.lower() or (len(wanted) > 2 and doing.startswith(wanted))

    def _branch(self, part: Part, depth: int, kept: set[int] | None) -> Iterator[Row]:
        if kept is not None and part.n not in kept:
            return
        # What is looked for is shown, also where it is folded away.
        is_folded = part.path in self.folded and kept is None
        yield Row(part, depth, " " if not part.children else "+" if is_folded else "-")
        if not is_folded:
            for child in part.children:
                yield from self._branch(child, depth + 1, kept)

    def guilty(self, rows: list[Row]) -> int | None:
        """Return the line of the component that holds up the others, or of what it is folded into."""
        diagnosis = self.mirror.diagnosis
        stuck = self.mirror.stuck
        path = stuck["path"] if stuck is not None else diagnosis["culprit"] if diagnosis is not None else None
        if path is None:
            return None
        best = None
        for index, row in enumerate(rows):
            if row.part.path == path:
                return index
            if path.startswith(row.part.path + "/") and row.sign == "+":
                best = index
        return best

    def name(self, row: Row) -> str:
        """Return what stands in the first column."""
        if self.order == "tree":
            return f"{'  ' * row.depth}{row.sign} {clean(row.part.name)}"
        return clean(row.part.path)

    def cells(self, row: Row) -> dict[str, str]:
        """Return the texts of the columns between, by name."""
        part = row.part
        fullest = part.fullest
        queue = (
            "" if fullest is None or not fullest.waiting else f"{size(fullest.waiting)}/{size(fullest.size)}"
        )
        doing = DOING.get(part.state, part.state)
        if row.sign == "+":
            blocked = sum(one.state == "sending" for one in _within(part))
            doing = f"{blocked} blocked" if blocked else doing
        return {
            "doing": doing,
            "in": rate(part.rate_in) if part.ins else "",
            "out": rate(part.rate_out) if part.outs else "",
            "queue": queue,
            "run": percent(part.running),
            "blocked": percent(part.blocked),
        }

    def notes(self, part: Part) -> str:
        """Return what stands in the last column: whom it waits for, and what has gone wrong in it."""
        notes = []
        other = None if part.waits_for is None else self.mirror.parts.get(part.waits_for)
        if other is not None:
            path = other.path
            around = part.path.rpartition("/")[0]
            notes.append(clean(path.removeprefix(f"{around}/") if around else path))
        for count, what in (
            (part.failures, "failed"),
            (part.restarts, "restarted"),
            (part.dropped, "dropped"),
        ):
            if count:
                notes.append(f"{count} {what}")
        return ", ".join(notes)


def _within(part: Part) -> Iterator[Part]:
    for child in part.children:
        yield child
        yield from _within(child)


def _amount(part: Part, order: str) -> float:
    if order == "queue":
        return part.fill
    if order == "blocked":
        return part.blocked
    if order == "run":
        return part.running
    return part.rate_in if order == "in" else part.rate_out


def rate(value: float) -> str:
    """Return a rate for a narrow column.

    >>> rate(0), rate(0.25), rate(99.6), rate(12300), rate(2_500_000)
    ('0', '0.25', '99.6', '12.3k', '2.5M')
    """
    return "0" if not value else size(value)


def size(value: float) -> str:
    """Return a number for a narrow column.

    >>> size(7), size(100), size(65536), size(0.333)
    ('7', '100', '65.5k', '0.33')
    """
    for least, unit, name in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= least:
            return f"{value / unit:.3g}{name}"
    if value == int(value):
        return str(int(value))
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def percent(share: float) -> str:
    """Return a share as a percentage; nothing where there is none.

    >>> percent(0.25), percent(0), percent(1)
    ('25', '', '100')
    """
    return f"{share * 100:.0f}" if share >= 0.005 else ""


def clean(text: str) -> str:
    """Return a text with nothing in it that a terminal would obey.

    >>> clean("a\\x1b[31mb\\nc")
    'a?[31mb c'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else " " if one in "\n\t\r" else "?" for one in text)


def headline(greeting: Mapping[str, Any], mirror: Mirror) -> str:
    """Return one line about the system as a whole."""
    parts, wires = len(mirror.parts), len(mirror.wires)
    total = sum(wire.rate or 0 for wire in mirror.wires.values())
    return clean(
        f"{greeting.get('name')}  ({greeting.get('program')}, process {greeting.get('pid')})  "
        f"{parts} component{'s' * (parts != 1)}, {wires} link{'s' * (wires != 1)}, "
        f"{rate(total)} messages/s"
    )


def verdict(mirror: Mirror) -> tuple[bool, str]:
    """Return whether something holds the system up, and the sentence about it."""
    stuck, diagnosis = mirror.stuck, mirror.diagnosis
    if diagnosis is not None and diagnosis["kind"] != "none":
        return True, clean(diagnosis["sentence"])
    if stuck is not None:
        lasts = f"its step has lasted {stuck['seconds']:.1f} s, at {stuck['where']}"
        return True, clean(f"{stuck['path'] or 'something'} holds up everybody: {lasts}")
    return False, "looking ..." if diagnosis is None else clean(diagnosis["sentence"])


def printed(table: Table, columns: int | None = None) -> Iterator[str]:
    """Yield the lines of the table as plain text, cut to a number of columns if one is given."""
    rows = table.rows()
    guilty = table.guilty(rows)
    names = [f"{'!' if index == guilty else ' '} {table.name(row)}" for index, row in enumerate(rows)]
    width = max([len(name) for name in names] + [len("COMPONENT") + 2])

    def line(name: str, cells: Mapping[str, str], notes: str) -> str:
        between = [
            cells[one.name].rjust(one.width) if one.right else cells[one.name].ljust(one.width)
            for one in COLUMNS
        ]
        return f"{name:<{width}}  {' '.join(between)}  {notes}".rstrip()[:columns]

    yield line("  COMPONENT", {one.name: one.title for one in COLUMNS}, NOTES)
    for name, row in zip(names, rows, strict=True):
        yield line(name, table.cells(row), table.notes(row.part))
