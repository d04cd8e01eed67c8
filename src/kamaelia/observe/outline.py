"""Pictures as text: a line for each component, those that are in it below it, and where it sends to.

What runs has a third column: what it does, what waits in its inboxes and, if somebody has looked at the
system before, how many messages a second it gets. Another component is named from where the two meet, or
shorter if only one is called so; ``../outbox`` is the box of what a component is in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from kamaelia.axon import Component, System

from . import snapshot
from .parts import MOST, Part, Wire, ends_of, look_at
from .snapshot import ComponentSnapshot, Snapshot

WIDTH = 80  # letters
NAMES = 36  # of these, at most, for names and arguments
TO_OUTSIDE = "(to outside)"  # how the box of a transport is called
MOST_LINKS = 6  # of one component that have a line


def outline(
    *components: Component, boxes: bool = False, most: int = MOST, system: System | None = None
) -> str:
    """Return a picture of components as text: what is in what, and who sends to whom.

    Arguments:
        components: what to draw, running or not
        boxes: also their boxes that nothing is linked to
        most: parts; of more than that the deepest are folded into what they are in
        system: in which they run; it is looked at for what they do

    Example:
        >>> from kamaelia import Graphline
        >>> from kamaelia.flow import Collect, Source, Tee
        >>> from kamaelia.observe.outline import outline
        >>> start, tee = Source("ab"), Tee(Collect())
        >>> print(outline(Graphline(start.outbox >> tee.inbox).named("row")))
        row
          Source 'ab'   -> Tee
          Tee           -> Collect
            Collect
    """
    scene = look_at(components, boxes=boxes, most=most)
    picture = _Outline(scene.parts, None if system is None else _look(system))
    for source, target, wire in ends_of(scene):
        if source is not None:
            picture.links.setdefault(source, []).append(picture.link(source, target, wire))
        elif not target.is_box:
            picture.links.setdefault(target, []).insert(0, "<- outside")
    return "\n".join([*picture.lines(), *([f"({scene.note})"] if scene.note else [])])


def _look(system: System) -> Snapshot:
    if system.watch is None:
        return snapshot.take(system)
    taken: Snapshot = system.watch.snapshot()
    return taken


class _Outline:
    def __init__(self, parts: list[Part], shot: Snapshot | None) -> None:
        self.parts = parts
        self.shot = shot
        self.links: dict[Part, list[str]] = {}
        self._paths = {part: _path(part) for part in _all(parts)}
        # How many parts a piece of the end of a path could mean.
        self._ends = Counter(end for path in self._paths.values() for end in _ends(path))

    def name_of(self, part: Part) -> str:
        """Return the shortest end of its path that no other part has."""
        path = self._paths[part]
        return next((end for end in _ends(path) if self._ends[end] == 1), path)

    def link(self, source: Part, target: Part, wire: Wire) -> str:
        """Say in some words where a component sends to."""
        inward = source in target.chain
        usual = ("", "outbox", "inbox") if inward else ("", "outbox")
        start = "" if wire.outbox in usual else f".{wire.outbox} "
        if wire.inbox.endswith(TO_OUTSIDE):
            return f"{start}-> outside"
        if target in source.chain:  # up to what it is in
            up = [one for one in source.chain[source.chain.index(target) :] if one.framed]
            return f"{start}-> {'../' * (len(up) - 1)}{wire.inbox}"
        end = "" if wire.inbox in ("", "inbox") else f".{wire.inbox}"
        back = " (back)" if wire.feedback else ""
        common = [one for one in target.chain if one in source.chain]
        below = "/".join(one.name for one in target.chain[len(common) :] if one.framed)
        name = below if inward else min(below, self.name_of(target), key=len)
        return f"{start}-> {name}{end}{back}"

    def lines(self) -> Iterator[str]:
        rows = list(self._rows(self.parts, ""))
        names = min(NAMES, max((len(name) for name, _, _ in rows), default=0))
        figures = max((len(text) for _, _, text in rows), default=0)
        room = WIDTH - names - 3 - (figures + 2 if figures else 0)
        links = min(max((len(link) for _, link, _ in rows), default=0), max(room, 12))
        for name, link, text in rows:
            line = (
                _cut(name, NAMES).ljust(names)
                + "   "
                + _cut(link, max(links, WIDTH - names - 3 - len(text) - 2))
            )
            if text:
                line = line.ljust(names + 3 + links) + "  " + text
            yield line.rstrip()

    def _rows(self, parts: Iterable[Part], indent: str) -> Iterator[tuple[str, str, str]]:
        for part in parts:
            if not part.framed:
                yield from self._rows(part.parts, indent)
                continue
            detail = f" {part.detail}" if part.detail else ""
            links = self.links.get(part, [])
            if len(links) > MOST_LINKS:
                links = [*links[: MOST_LINKS - 1], f"and {len(links) - MOST_LINKS + 1} more"]
            name = f"({part.name})" if part.is_box else part.name
            yield f"{indent}{name}{detail}", links[0] if links else "", self._figures(part)
            for link in links[1:]:
                yield "", link, ""
            yield from self._rows(part.parts, indent + "  ")

    # -- what it does ---------------------------------------------------------------------------------

    def _figures(self, part: Part) -> str:
        if self.shot is None:
            return ""
        known = [self.shot.index[one.path] for one in part.processes if one.path in self.shot.index]
        if not known:
            return ""
        if len(known) > 1:
            states = Counter(one.state for one in known)
            return ", ".join(f"{count} {state}" for state, count in states.most_common(2))
        (one,) = known
        words = [] if one.body == "none" and one.state == "holding" else [one.state]
        words += [
            f"{box.name} {box.waiting}/{box.size}{' B' if box.unit == 'bytes' else ''}"
            for box in one.boxes
            if box.direction == "in" and box.waiting and not box.boundary
        ][:2]
        rate = _rate(one)
        return ", ".join([*words, *([rate] if rate else [])])


def _rate(one: ComponentSnapshot) -> str:
    """Return how many messages a second a component gets; of a source, how many it sends."""
    for direction in ("in", "out"):
        rates = [
            box.rate for box in one.boxes if box.direction == direction and box.linked and not box.boundary
        ]
        if rates:
            known = [rate for rate in rates if rate is not None]
            return f"{sum(known):,.0f}/s" if known else ""
    return ""


def _all(parts: Iterable[Part]) -> Iterator[Part]:
    for part in parts:
        yield part
        yield from _all(part.parts)


def _path(part: Part) -> str:
    return "/".join(one.name for one in part.chain if one.framed)


def _ends(path: str) -> Iterator[str]:
    words = path.split("/")
    for count in range(1, len(words) + 1):
        yield "/".join(words[-count:])


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
