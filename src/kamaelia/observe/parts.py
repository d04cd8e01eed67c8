"""What a picture shows: parts within parts, and the wires between them, read from components.

A component is read as it is now, running or not. What is many times alike (the visitors of a server) becomes
one part with a count; so does the pattern that a server makes a part of for each who connects, which nobody
has connected to yet. A pipeline that has no name of its own is only the row of its parts. What would be too
many to be seen is folded, from the inside, and says how many it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kamaelia.axon import Component, Graphline, Pipeline, Seat
from kamaelia.axon.component import offered
from kamaelia.axon.errors import shorten
from kamaelia.axon.link import Link
from kamaelia.axon.typecheck import name_of

DETAIL = 26  # letters of the arguments that are shown
MOST = 200  # parts on a picture


@dataclass(eq=False)
class Part:
    """A box of the picture."""

    name: str
    detail: str = ""
    """Its arguments."""
    parts: list[Part] = field(default_factory=list)
    several: bool = False
    """Whether it stands for more than one."""
    framed: bool = True
    """Whether it is drawn itself, or only its parts."""
    is_box: bool = False
    """Whether it is only the end of an arrow: a box that nothing is linked to."""
    parent: Part | None = None
    processes: list[Any] = field(default_factory=list)
    """What it stands for."""

    @property
    def chain(self) -> list[Part]:
        """This part and all that it is in, from the outermost."""
        return [*(self.parent.chain if self.parent else []), self]


@dataclass(frozen=True)
class Wire:
    """An arrow of the picture."""

    source: Part | None
    """None for something outside of the system."""
    outbox: str
    target: Part
    inbox: str
    kind: str
    """The type of the messages; nothing where that says nothing."""
    feedback: bool


@dataclass
class Scene:
    """Everything that a picture shows."""

    parts: list[Part]
    wires: list[Wire]
    note: str = ""
    """What is left out, in a sentence; nothing if that is nothing."""


def look_at(components: Iterable[Component], *, boxes: bool = False, most: int = MOST) -> Scene:
    """Read components into a scene; with ``boxes``, also those of their boxes that nothing is linked to.

    If it would have more than so many parts, the deepest are folded: what they are in is shown without them.
    """
    reader = _Reader()
    parts = [reader.part(component._axon, None) for component in components]
    if len(parts) == 1 and parts[0].parts and _is_plain(parts[0].name, reader.kinds[parts[0]]):
        parts[0].framed = False
    wires = list(reader.wires())
    for part, process in list(zip(parts, reader.roots, strict=True)) if boxes else ():
        for box in offered(process).values():
            others = (
                [wire.source.owner for wire in box.incoming if not wire.outside]
                if box.is_inbox
                else [wire.target.owner for wire in box.outgoing]
            )
            if not all(_is_in(other, process) for other in others):
                continue
            end = Part(box.name, name_of(box.type), is_box=True)
            parts.append(end)
            if box.is_inbox:
                wires.append(Wire(end, "", part, box.name, "", False))
            else:
                wires.append(Wire(part, box.name, end, "", "", False))
    return _folded(Scene(parts, wires), most)


def _folded(scene: Scene, most: int) -> Scene:
    """Return a scene with no more than so many parts, which says what it does not show."""
    depths: dict[int, int] = {}  # how many parts there are, by how deep they are
    for part in _all(scene.parts):
        depths[len(part.chain)] = depths.get(len(part.chain), 0) + 1
    if sum(depths.values()) <= most:
        return scene
    shown, deepest = 0, 0
    while shown + depths[deepest + 1] <= most:
        deepest += 1
        shown += depths[deepest]
    instead: dict[Part, Part] = {}  # of what is not shown, the part in which it is
    folded = [part for part in _all(scene.parts) if len(part.chain) == deepest and part.parts]
    parts = scene.parts
    for part in folded:
        inside = list(_all(part.parts))
        instead.update(dict.fromkeys(inside, part))
        part.parts, part.framed = [], True
        part.detail = _and_so_many(part.detail, f"{len(inside)} inside")
    holders = "another" if len(folded) == 1 else f"{len(folded)} others"
    notes = [f"{len(instead)} parts in {holders} are not shown"] if folded else []
    if not deepest:  # there are too many even of the outermost
        left_out = Part(f"{len(parts) - most + 1} more", "not shown")
        instead.update({one: left_out for part in parts[most - 1 :] for one in _all([part])})
        notes.append(f"{len(instead)} parts are not shown")
        parts = [*parts[: most - 1], left_out]
        for part in parts[:-1]:
            inside = list(_all(part.parts))
            instead.update(dict.fromkeys(inside, part))
            part.parts, part.framed = [], True
            if inside:
                part.detail = _and_so_many(part.detail, f"{len(inside)} inside")
    wires: dict[Wire, None] = {}
    for wire in scene.wires:
        source = None if wire.source is None else instead.get(wire.source, wire.source)
        target = instead.get(wire.target, wire.target)
        if source is not target and not (source is None and target is not wire.target):
            names = [
                wire.outbox if source is wire.source else "outbox",
                wire.inbox if target is wire.target else "inbox",
            ]
            wires[Wire(source, names[0] if source else "", target, names[1], wire.kind, wire.feedback)] = None
    note = f"{'; '.join(notes)}: it would be more than {most}"
    return Scene(parts, list(wires), note)


def _and_so_many(detail: str, inside: str) -> str:
    return f"{detail}, {inside}" if detail else inside


def _all(parts: Iterable[Part]) -> Iterator[Part]:
    for part in parts:
        yield part
        yield from _all(part.parts)


def _is_in(process: Any, whole: Any) -> bool:
    while process is not None and process is not whole:
        process = process.parent
    return process is whole


def _is_plain(name: str, kind: type) -> bool:
    """Say whether a part is only the row of its parts."""
    return kind in (Pipeline, Graphline) and name == kind.__name__


def ends_of(scene: Scene) -> list[tuple[Part | None, Part, Wire]]:
    """Return the wires without the boundaries that they pass: from part to part."""
    ways: dict[tuple[Part, str], list[Wire]] = {}
    for wire in scene.wires:
        if wire.source is not None:
            ways.setdefault((wire.source, wire.outbox), []).append(wire)

    def follow(wire: Wire) -> list[Wire]:
        further = ways.get((wire.target, wire.inbox), [])
        return [end for next_one in further for end in follow(next_one)] if further else [wire]

    into = {(wire.target, wire.inbox) for wire in scene.wires}
    found: dict[tuple[Part | None, Part, str], tuple[Part | None, Part, Wire]] = {}
    for wire in scene.wires:
        if wire.source is not None and (wire.source, wire.outbox) in into:
            continue  # it goes on from a boundary
        for end in follow(wire):
            target = end.target
            if wire.source is None:  # from outside, through the edge of the outermost that it comes into
                target = end.target
            if not target.framed:
                continue
            kind = wire.kind or end.kind
            shown = Wire(wire.source, wire.outbox, target, end.inbox, kind, wire.feedback or end.feedback)
            found.setdefault((wire.source, target, end.inbox), (wire.source, target, shown))
    return [one for one in found.values() if one[0] is None or one[0].framed]


class _Reader:
    def __init__(self) -> None:
        self.drawn: dict[Any, Part] = {}  # the part that stands for a process
        self.kinds: dict[Part, type] = {}
        self.read: list[Any] = []  # processes, in the order of reading
        self.roots: list[Any] = []  # of these, the outermost

    def part(self, process: Any, parent: Part | None) -> Part:
        component = process.component
        part = Part(process.name, details(component), parent=parent, processes=[process])
        part.framed = bool(process.name)  # what stands around a system in the background is no part of it
        self.kinds[part] = type(component)
        self.drawn[process] = part
        self.read.append(process)
        if parent is None:
            self.roots.append(process)
        patterns = [] if process.children else [one for one in _arguments(component) if _is_pattern(one)]
        patterns = [one for one in patterns if one._axon not in self.drawn]  # some name themselves
        for group in _groups(process.children):
            child = self.part(group[0], part)
            part.parts.append(child)
            if len(group) > 1:
                child.name = f"{group[0].name} … {group[-1].name}"
                child.several, child.detail = True, ""
                for other in group[1:]:
                    self._stands_for(group[0], other)
        for pattern in patterns:
            child = self.part(pattern._axon, part)
            child.name, child.several, child.detail = "one for each", True, ""
            part.parts.append(child)
        if len(part.parts) == 1 and _is_plain(part.parts[0].name, self.kinds[part.parts[0]]):
            part.parts[0].framed = False
        if _is_plain(part.name, type(component)) or part.detail.strip("'") in part.name:
            part.detail = ""  # what the picture says anyway
        return part

    def _stands_for(self, first: Any, other: Any) -> None:
        self.drawn[other] = self.drawn[first]
        self.drawn[first].processes.append(other)
        for one, two in zip(first.children, other.children, strict=True):
            self._stands_for(one, two)

    def wires(self) -> Iterator[Wire]:
        seen: set[Wire] = set()
        for process in self.read:
            for box in process.boxes.values():
                for wire in box.outgoing:
                    yield from self._new(wire, seen)
                for wire in box.incoming:
                    if wire.outside or wire.source.owner not in self.drawn:
                        yield from self._new(wire, seen)

    def _new(self, wire: Any, seen: set[Wire]) -> Iterator[Wire]:
        source = None if wire.outside else self.drawn.get(wire.source.owner)
        target = self.drawn.get(wire.target.owner)
        if target is None or (source is None and not wire.outside):
            return
        if source is not None and wire.source.owner is wire.target.owner and wire.source.name.startswith("_"):
            return  # how a component tells itself something
        # What only the component itself puts in is no link that anybody has drawn.
        if source is None and wire.target.own:
            return
        kind = name_of(wire.source.type) if not wire.outside else name_of(wire.target.type)
        kind = "" if kind == "Any" or len(kind) > 12 else kind
        names = [box.name.removeprefix("_") for box in (wire.source, wire.target)]
        new = Wire(source, names[0] if source else "", target, names[1], kind, wire.feedback)
        if new not in seen:
            seen.add(new)
            yield new


def details(component: Component) -> str:
    """Return the arguments of a component as they were written, without the components among them.

    >>> from kamaelia.flow import Encode
    >>> details(Encode(end="!"))
    "end='!'"
    """
    if isinstance(component, Seat):
        return ""  # what matters is who sits there
    args, kwargs = component._recipe
    shown = [_short(value) for value in args if not _is_drawn(value)]
    shown += [f"{name}={_short(value)}" for name, value in kwargs.items() if not _is_drawn(value)]
    text = ", ".join(one for one in shown if one)
    return text if len(text) <= DETAIL else text[: DETAIL - 1] + "…"


def _short(value: Any) -> str:
    # Only the beginning is to be seen, and what somebody has given may be megabytes.
    if isinstance(value, (str, bytes, int, float, bool, list, tuple)) or value is None:
        return shorten(value, 2 * DETAIL)
    if type(value) is dict:
        value = dict(islice(value.items(), DETAIL))
    elif type(value) in (set, frozenset):
        value = type(value)(islice(value, DETAIL))
    name = getattr(value, "__qualname__", None)
    if name is not None:
        return "a function" if "<" in name else str(name)
    text = repr(value)
    return "" if re.search(r"0x[0-9a-f]{6}", text) else text


def _groups(processes: Iterable[Any]) -> list[list[Any]]:
    """Put those side by side that are alike."""
    groups: list[list[Any]] = []
    alike: dict[Any, list[Any]] = {}  # groups of those that may be put side by side
    for process in processes:
        group: list[Any] = []
        if process.isolated:
            group = alike.setdefault(_shape(process), group)
        if not group:
            groups.append(group)
        group.append(process)
    return groups


def _shape(process: Any) -> Any:
    return type(process.component), details(process.component), tuple(_shape(one) for one in process.children)


def _arguments(component: Component) -> Iterator[Component]:
    args, kwargs = component._recipe
    for value in (*args, *kwargs.values()):
        yield from _components_in(value)


def _is_pattern(component: Component) -> bool:
    process = component._axon
    return (
        process.state == "new"
        and process.parent is None
        and not any(
            box.incoming or (box.outgoing and not box.is_inbox)
            for box in process.boxes.values()
            if not process.children
        )
    )


def _is_drawn(value: Any) -> bool:
    """Say whether an argument is on the picture anyway: components, and links between them."""
    if isinstance(value, (list, tuple)):
        return any(_is_drawn(one) for one in value)
    return isinstance(value, (Component, Link))


def _components_in(value: Any) -> Iterator[Component]:
    if isinstance(value, Component):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _components_in(one)
