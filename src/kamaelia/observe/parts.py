"""What a picture shows: parts within parts, and the wires between them, read from components.

A component is read as it is now, running or not. What is many times alike (the visitors of a server) becomes
one part with a count; so does the pattern that a server makes a part of for each who connects, which nobody
has connected to yet. A pipeline that has no name of its own is only the row of its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kamaelia.axon import Component, Graphline, Pipeline, Seat
from kamaelia.axon.component import offered
from kamaelia.axon.typecheck import name_of

DETAIL = 26  # letters of the arguments that are shown


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


def look_at(components: Iterable[Component], *, boxes: bool = False) -> Scene:
    """Read components into a scene; with ``boxes``, also those of their boxes that nothing is linked to."""
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
    return Scene(parts, wires)


def _is_in(process: Any, whole: Any) -> bool:
    while process is not None and process is not whole:
        process = process.parent
    return process is whole


def _is_plain(name: str, kind: type) -> bool:
    """Say whether a part is only the row of its parts."""
    return kind in (Pipeline, Graphline) and name == kind.__name__


class _Reader:
    def __init__(self) -> None:
        self.drawn: dict[Any, Part] = {}  # the part that stands for a process
        self.kinds: dict[Part, type] = {}
        self.read: list[Any] = []  # processes, in the order of reading
        self.roots: list[Any] = []  # of these, the outermost

    def part(self, process: Any, parent: Part | None) -> Part:
        component = process.component
        part = Part(process.name, details(component), parent=parent)
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
    shown = [_short(value) for value in args if not list(_components_in(value))]
    shown += [f"{name}={_short(value)}" for name, value in kwargs.items() if not list(_components_in(value))]
    text = ", ".join(one for one in shown if one)
    return text if len(text) <= DETAIL else text[: DETAIL - 1] + "…"


def _short(value: Any) -> str:
    if isinstance(value, (str, bytes, int, float, bool, list, tuple)) or value is None:
        return repr(value)
    name = getattr(value, "__qualname__", None)
    if name is not None:
        return "a function" if "<" in name else str(name)
    text = repr(value)
    return "" if re.search(r"0x[0-9a-f]{6}", text) else text


def _groups(processes: Iterable[Any]) -> list[list[Any]]:
    """Put those side by side that are alike."""
    groups: list[list[Any]] = []
    for process in processes:
        alike = next(
            (
                group
                for group in groups
                if process.isolated and group[0].isolated and _shape(group[0]) == _shape(process)
            ),
            None,
        )
        if alike is None:
            groups.append([process])
        else:
            alike.append(process)
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


def _components_in(value: Any) -> Iterator[Component]:
    if isinstance(value, Component):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _components_in(one)
