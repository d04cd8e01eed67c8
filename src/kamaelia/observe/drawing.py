"""Pictures of components: what is in them and how it is wired.

Theory
------
A picture is laid out from the inside. Every part that has parts of its own puts them into columns, in the
direction of the messages (a part stands to the right of all that send to it), and what stands in a column
below each other. A part that both hears from a neighbour and speaks to it, as a room does, gets its place
below that neighbour. Then each part knows its size, and from the outside all get their positions.

Arrows go from the right side of a part to the left side of the next; those that lead to another row leave and
arrive at the lower or upper side. Everything is computed from the components alone, without measuring letters
on this machine, so that the same system gives the same picture everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from kamaelia.axon import Component, System, UsageError
from kamaelia.axon.errors import suggestion
from kamaelia.axon.system import Handle

from .graphviz import graphviz
from .outline import outline
from .parts import MOST, Part, Scene, Wire, ends_of, look_at

LETTER = 7.6  # width of a letter of a name (13 px), at most
SMALL = 6.1  # of a letter of anything else (10.5 px)
ROW = 46.0  # height of a part without parts
GAP = 52.0  # between two columns, for the arrows and their types
BETWEEN = 22.0  # between two parts of a column
BELOW = 40.0  # between a part and the room below it
PADDING = 22.0
TITLE = 26.0  # the height of a frame's title
MARGIN = 20.0

INK, PALE, LINE, PAPER = "#1d2b3a", "#5b6b7b", "#3b6ea5", "#ffffff"
FILLS = ("#f3f7fb", "#e6eff8", "#d9e7f4")  # of frames, by how deep they are
ATTEMPTS = 20  # to look at a system that changes meanwhile
PART_FILL, DOT = "#fff8e6", "#e0a100"


def draw(
    what: System | Component | Handle, form: str = "text", *, boxes: bool = False, most: int = MOST
) -> str:
    """Return a picture of a component, running or not, or of a system; `System.draw` does this.

    Arguments:
        what: a component, a system, or a handle of `background`; from any thread
        form: ``"text"`` (see `outline`), ``"mermaid"``, ``"graphviz"`` or ``"svg"``
        boxes: draw their boxes, too, that nothing is linked to
        most: parts; of more than that the deepest are folded into what they are in, which says so

    Raises `UsageError` for another form.

    Example:
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.observe import draw
        >>> print(draw(Source("ab") | Map(str.upper) | Collect()))
        Source 'ab'     -> Map
        Map str.upper   -> Collect
        Collect
    """
    if form not in _FORMS:
        raise UsageError(f"draw(form={form!r}): {suggestion(str(form), list(_FORMS))}")
    system: System | None
    if isinstance(what, Handle):
        what = what.component
    if isinstance(what, Component):
        parts, system = [what], what._axon.system
    else:
        parts, system = [child.component for child in list(what.root.children)], what
    for attempt in range(ATTEMPTS):
        try:
            if form == "text":
                return outline(*parts, boxes=boxes, most=most, system=system)
            return _FORMS[form](*parts, boxes=boxes, most=most)
        except (RuntimeError, ValueError):  # seen from another thread: something came or went meanwhile
            if attempt + 1 == ATTEMPTS:
                raise
    raise AssertionError


def picture_of(what: System | Component | Handle) -> str:
    """Return the picture that a notebook shows."""
    return draw(what, "svg")


def svg(*components: Component, boxes: bool = False, most: int = MOST) -> str:
    """Return a picture of components as SVG, running or not, with all that is in them.

    Circles at the edge of a part are its boxes: to the left inboxes, to the right outboxes; the words between
    are the types of the messages. Frames that look like a pile of paper stand for many of the same kind.

    Arguments:
        components: what to draw
        boxes: draw their boxes, too, that nothing is linked to, with the types of their messages
        most: parts; of more than that the deepest are folded into what they are in, which says so

    Example:
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.observe import svg
        >>> picture = svg(Source("ab") | Map(str.upper) | Collect())
        >>> picture.startswith("<svg xmlns=")
        True
    """
    return _Picture(look_at(components, boxes=boxes, most=most)).text()


def mermaid(*components: Component, boxes: bool = False, most: int = MOST) -> str:
    """Return a picture of components in the language of Mermaid, which many sites draw by themselves.

    Arguments are those of `svg`.

    Example:
        >>> from kamaelia.flow import Collect, Source
        >>> from kamaelia.observe import mermaid
        >>> print(mermaid(Source([1]) | Collect()))
        flowchart LR
            n1["Source<br/>[1]"]
            n2["Collect"]
            n1 --> n2
    """
    scene = look_at(components, boxes=boxes, most=most)
    lines = ["flowchart LR"]
    if scene.note:
        lines.append(f"    %% {scene.note}")
    names: dict[Part, str] = {}

    def quoted(part: Part) -> str:
        words = [part.name, part.detail]
        return (
            '"'
            + "<br/>".join(escape(word, quote=False) for word in words if word).replace('"', "#quot;")
            + '"'
        )

    def write(part: Part, indent: str) -> None:
        if part.framed:
            names[part] = f"n{len(names) + 1}"
        if not part.parts:
            shape = f"([{quoted(part)}])" if part.is_box else f"[{quoted(part)}]"
            lines.append(f"{indent}{names[part]}{shape}")
            return
        if part.framed:
            lines.append(f"{indent}subgraph {names[part]}[{quoted(part)}]")
        for child in part.parts:
            write(child, indent + "    " * part.framed)
        if part.framed:
            lines.append(f"{indent}end")

    for part in scene.parts:
        write(part, "    ")
    for source, target, wire in ends_of(scene):
        if source is None:
            continue
        arrow = f" -->|{escape(wire.kind, quote=False)}| " if wire.kind else " --> "
        lines.append(f"    {names[source]}{arrow}{names[target]}")
    return "\n".join(lines)


@dataclass
class _Place:
    """Where a part stands, and how large it is."""

    width: float = 0.0
    height: float = 0.0
    x: float = 0.0
    y: float = 0.0

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


class _Picture:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.wires = ends_of(scene)
        self.places: dict[Part, _Place] = {}
        self.offsets: dict[Part, tuple[float, float]] = {}  # within what a part is in
        self.insets: dict[Part, tuple[float, float]] = {}  # of frames, to the left and to the right
        self.lines: list[str] = []
        width, height = self._arrange(scene.parts)
        self.width, self.height = width + 2 * MARGIN, height + 2 * MARGIN
        self._settle(scene.parts, MARGIN, MARGIN)

    # -- sizes, from the inside -------------------------------------------------------------------

    def _measure(self, part: Part) -> _Place:
        place = self.places[part] = _Place()
        if not part.parts:
            text = max(len(part.name) * LETTER, len(part.detail) * SMALL)
            place.width = text + 12 if part.is_box else max(64.0, text + 26)
            place.height = ROW
            return place
        width, height = self._arrange(part.parts)
        if part.framed:
            title = len(part.name) * LETTER + (len(part.detail) + 4) * SMALL
            left, right = self.insets[part] = self._insets(part)
            width = max(width + left + right, title + 2 * PADDING)
            height += TITLE + PADDING + 4
        place.width, place.height = width, height
        return place

    def _insets(self, part: Part) -> tuple[float, float]:
        """Leave room for the arrows between a frame and what is in it."""
        left = right = PADDING
        for source, target, _ in self.wires:
            if source is part or (source is None and target in _row(part)):
                left = GAP
            if target is part and source is not None and part in source.chain:
                right = GAP
        return left, right

    def _arrange(self, parts: list[Part]) -> tuple[float, float]:
        """Give parts their places relative to each other; return the size of the whole."""
        for part in parts:
            self._measure(part)
        links = self._links_between(parts)
        rooms = {
            b: a
            for a in parts
            for b in parts
            if not b.parts and (a, b) in links and (b, a) in links and a.parts
        }
        others = [part for part in parts if part not in rooms]
        columns = _columns(others, links)
        heights = [
            sum(self.places[part].height for part in column) + BETWEEN * (len(column) - 1)
            for column in columns
        ]
        height = max(heights, default=0.0)
        x = 0.0
        for column, own in zip(columns, heights, strict=True):
            y = (height - own) / 2
            width = max(self.places[part].width for part in column)
            for part in column:
                place = self.places[part]
                self.offsets[part] = (x + (width - place.width) / 2, y)
                y += place.height + BETWEEN
            x += width + GAP
        width = x - GAP if columns else 0.0
        if rooms:
            left = 0.0
            for room, host in rooms.items():
                x = self.offsets[host][0] + self._towards(room, host) - self.places[room].width / 2
                self.offsets[room] = (max(x, left), height + BELOW)
                left = self.offsets[room][0] + self.places[room].width + BETWEEN
            width = max(width, left - BETWEEN)
            height += BELOW + max(self.places[room].height for room in rooms)
        return width, height

    def _links_between(self, parts: list[Part]) -> set[tuple[Part, Part]]:
        links = set()
        for source, target, _ in self.wires:
            if source is not None:
                a = next((part for part in source.chain if part in parts), None)
                b = next((part for part in target.chain if part in parts), None)
                if a is not None and b is not None and a is not b:
                    links.add((a, b))
        return links

    def _towards(self, room: Part, host: Part) -> float:
        """Return where, within its neighbour, those stand with whom a room is linked."""
        found = []
        for source, target, _ in self.wires:
            for one, other in ((source, target), (target, source)):
                if one is room and other is not None and host in other.chain:
                    x = self.places[other].width / 2
                    for part in other.chain[other.chain.index(host) + 1 :]:
                        x += self.offsets[part][0]
                    for part in other.chain[other.chain.index(host) : -1]:
                        x += self.insets.get(part, (0.0, 0.0))[0]
                    found.append(x)
        return sum(found) / len(found)

    # -- positions, from the outside --------------------------------------------------------------

    def _settle(self, parts: list[Part], x: float, y: float) -> None:
        for part in parts:
            place = self.places[part]
            place.x, place.y = x + self.offsets[part][0], y + self.offsets[part][1]
            if part.parts:
                left, right = self.insets.get(part, (0.0, 0.0))
                free = (place.width - left - right - self._extent(part.parts)) / 2
                self._settle(part.parts, place.x + left + free, place.y + (TITLE if part.framed else 0.0))

    def _extent(self, parts: list[Part]) -> float:
        return max(self.offsets[part][0] + self.places[part].width for part in parts)

    # -- drawing ----------------------------------------------------------------------------------

    def text(self) -> str:
        for part in self.scene.parts:
            self._draw(part, 0)
        for source, target, wire in self.wires:
            self._arrow(source, target, wire)
        width, height = round(self.width), round(self.height)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" font-family="Helvetica, Arial, sans-serif">\n'
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0,0.5 L8,4 L0,7.5 z" fill="{LINE}"/></marker></defs>\n'
            f'<rect width="{width}" height="{height}" rx="10" fill="{PAPER}"/>\n'
        )
        return head + "\n".join(self.lines) + "\n</svg>\n"

    def _draw(self, part: Part, depth: int) -> None:
        place = self.places[part]
        if part.framed:
            fill = FILLS[min(depth, len(FILLS) - 1)] if part.parts else PART_FILL
            stroke = LINE if part.parts else DOT
            for step in (8, 4) if part.several else ():
                self._rect(place.x + step, place.y + step, place, fill, stroke)
            if not part.is_box:
                self._rect(place.x, place.y, place, fill, stroke)
            if part.parts:
                self._title(part, place)
            else:
                y = place.y + place.height / 2
                self._words(
                    place.middle,
                    y - 3 if part.detail else y + 5,
                    part.name,
                    13,
                    PALE if part.is_box else INK,
                    "middle",
                    bold=True,
                )
                if part.detail:
                    self._words(place.middle, y + 13, part.detail, 10.5, PALE, "middle")
        for child in part.parts:
            self._draw(child, depth + part.framed)

    def _title(self, part: Part, place: _Place) -> None:
        self.lines.append(
            f'<text x="{_n(place.x + 12)}" y="{_n(place.y + 18)}" font-size="13" font-weight="bold" '
            f'fill="{INK}">{escape(part.name)}'
            f'<tspan font-size="10.5" font-weight="normal" fill="{PALE}" dx="8">'
            f"{escape(part.detail)}</tspan></text>"
        )

    def _rect(self, x: float, y: float, place: _Place, fill: str, stroke: str) -> None:
        self.lines.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(place.width)}" height="{_n(place.height)}" rx="7" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="1.2"/>'
        )

    def _words(
        self, x: float, y: float, words: str, size: float, color: str, anchor: str, *, bold: bool = False
    ) -> None:
        weight = ' font-weight="bold"' if bold else ""
        self.lines.append(
            f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" fill="{color}" '
            f'text-anchor="{anchor}"{weight}>{escape(words)}</text>'
        )

    def _dot(self, x: float, y: float, *, full: bool) -> None:
        fill = LINE if full else PAPER
        self.lines.append(
            f'<circle cx="{_n(x)}" cy="{_n(y)}" r="3.5" fill="{fill}" stroke="{LINE}" stroke-width="1.2"/>'
        )

    def _arrow(self, source: Part | None, target: Part, wire: Wire) -> None:
        end = self.places[target]
        if source is None or source in target.chain:  # from outside, or from the edge of what it is in
            frames = [self.places[part] for part in target.chain if part.framed and part is not target]
            edge = self.places[source].x if source is not None else min(one.x for one in frames) - 14
            y = end.y + end.height / 2
            self._path(f"M{_n(edge)},{_n(y)} H{_n(end.x - 4)}")
            self._label(end.x - GAP / 2, y - 6, wire)
            self._dot(end.x, y, full=False)
            if source is not None:
                self._dot(edge, y, full=False)
            return
        start = self.places[source]
        if target in source.chain:  # into the component that this one is part of
            y = start.y + start.height / 2
            self._path(f"M{_n(start.right)},{_n(y)} H{_n(end.right - 4)}")
            self._label((start.right + end.right) / 2, y - 6, wire)
            self._dot(start.right, y, full=True)
            self._dot(end.right, y, full=False)
        elif end.x >= start.right and not (
            end.y >= start.bottom + BELOW / 2 and source.parent is not target.parent
        ):
            y1, y2 = start.y + start.height / 2, end.y + end.height / 2
            half = (end.x - start.right) / 2
            if abs(y1 - y2) < 0.5:
                self._path(f"M{_n(start.right)},{_n(y1)} H{_n(end.x - 4)}")
            elif end.bottom <= start.y:  # up to another row
                self._turn(start.right, y1, end.middle, end.bottom, wire)
                return
            else:
                x = end.x - 4
                self._path(
                    f"M{_n(start.right)},{_n(y1)} C{_n(start.right + half)},{_n(y1)} "
                    f"{_n(x - half)},{_n(y2)} {_n(x)},{_n(y2)}"
                )
            self._label(start.right + half, (y1 + y2) / 2 - 6, wire)
            self._dot(start.right, y1, full=True)
            self._dot(end.x, y2, full=False)
        elif end.y >= start.bottom:  # down to another row
            self._down(start, end, wire)
        elif end.bottom <= start.y:
            self._turn(start.right, start.y + start.height / 2, end.middle, end.bottom, wire)
        else:  # back, below both
            low = max(start.bottom, end.bottom) + 14
            self._path(
                f"M{_n(start.middle)},{_n(start.bottom)} V{_n(low)} H{_n(end.middle)} V{_n(end.bottom + 4)}"
            )
            self._dot(start.middle, start.bottom, full=True)
            self._dot(end.middle, end.bottom, full=False)

    def _down(self, start: _Place, end: _Place, wire: Wire) -> None:
        y = end.y + end.height / 2
        if start.middle < end.x - 4:
            self._path(f"M{_n(start.middle)},{_n(start.bottom)} {_bend(start.middle, y, end.x - 4)}")
            self._dot(end.x, y, full=False)
        else:
            x = min(max(start.middle, end.x + 12), end.right - 12)
            middle = (start.bottom + end.y) / 2
            self._path(
                f"M{_n(start.middle)},{_n(start.bottom)} C{_n(start.middle)},{_n(middle)} "
                f"{_n(x)},{_n(middle)} {_n(x)},{_n(end.y - 4)}"
            )
            self._dot(x, end.y, full=False)
        self._dot(start.middle, start.bottom, full=True)
        if wire.outbox != "outbox":
            self._words(start.middle + 7, start.bottom + 13, wire.outbox, 10, PALE, "start")

    def _turn(self, x: float, y: float, to_x: float, to_y: float, wire: Wire) -> None:
        """Go sideways, then up into the lower side of a part."""
        radius = max(-10.0, min(10.0, to_x - x))
        self._path(
            f"M{_n(x)},{_n(y)} H{_n(to_x - radius)} "
            f"Q{_n(to_x)},{_n(y)} {_n(to_x)},{_n(y - 10)} V{_n(to_y + 4)}"
        )
        self._dot(x, y, full=True)
        self._dot(to_x, to_y, full=False)
        if wire.inbox != "inbox":
            self._words(to_x + 7, to_y + 15, wire.inbox, 10, PALE, "start")

    def _path(self, path: str) -> None:
        self.lines.append(
            f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.6" marker-end="url(#tip)"/>'
        )

    def _label(self, x: float, y: float, wire: Wire) -> None:
        if wire.kind:
            self._words(x, y, wire.kind, 10, PALE, "middle")


def _bend(x: float, y: float, to_x: float) -> str:
    radius = min(10.0, to_x - x)
    return f"V{_n(y - 10)} Q{_n(x)},{_n(y)} {_n(x + radius)},{_n(y)} H{_n(to_x)}"


def _row(part: Part) -> list[Part]:
    """Return the parts of a part, looking through those that are not drawn themselves."""
    return [one for child in part.parts for one in ([child] if child.framed else _row(child))]


def _columns(parts: list[Part], links: set[tuple[Part, Part]]) -> list[list[Part]]:
    """Put each part into the column right of those that send to it; circles are cut."""
    order = {part: index for index, part in enumerate(parts)}
    depth: dict[Part, int] = {}

    def find(part: Part, path: tuple[Part, ...]) -> int:
        if part not in depth:
            sources = [a for a in parts if (a, part) in links and a not in path and a is not part]
            # Of a circle, the part that was made first comes first.
            sources = [a for a in sources if not (_reaches(part, a, links) and order[part] < order[a])]
            depth[part] = max((find(a, (*path, part)) + 1 for a in sources), default=0)
        return depth[part]

    for part in parts:
        find(part, ())
    columns: list[list[Part]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for part in parts:
        columns[depth[part]].append(part)
    return [column for column in columns if column]


def _reaches(start: Part, goal: Part, links: set[tuple[Part, Part]]) -> bool:
    todo, seen = [start], {start}
    while todo:
        part = todo.pop()
        if part is goal:
            return True
        new = [b for a, b in links if a is part and b not in seen]
        seen.update(new)
        todo.extend(new)
    return False


def _n(number: float) -> str:
    """Write a number with one decimal at most, the same everywhere."""
    text = f"{number:.1f}"
    return text.removesuffix(".0")


_FORMS: dict[str, Callable[..., str]] = {
    "text": outline,
    "mermaid": mermaid,
    "graphviz": graphviz,
    "svg": svg,
}
