"""Pipelines and graphlines: components wired into one component."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from . import lifecycle, postman
from .box import Box
from .component import Component, as_part, offered
from .errors import LinkError, UsageError, shorten, suggestion
from .inbox import Inbox
from .link import Link
from .outbox import Outbox
from .process import Process


class Chassis(Component):
    """A component without code of its own, made of others."""

    inbox = None
    outbox = None

    def boundary(self, name: str, like: Box[Any], *, inward: bool, type: Any = None) -> Box[Any]:
        """Return this chassis's box of a name, made to pass on what a box inside takes or sends.

        Its messages are of the type of that box's, unless another is given.
        """
        process = self._axon
        if name in process.boxes:
            box = process.boxes[name]
            if box.is_inbox is not inward:
                raise LinkError(
                    f"{box} is {'an inbox' if box.is_inbox else 'an outbox'}, and cannot be wired to {like}: "
                    "messages come in through an inbox and go out through an outbox"
                )
            return box
        made: Box[Any]
        type = like.type if type is None else type
        if inward:
            made = self.add_box(name, Inbox(like.doc, type=type))
        else:
            optional = like.optional  # type: ignore[attr-defined]
            made = self.add_box(name, Outbox(like.doc, type=type, optional=optional))
        return made

    def _boundaries(
        self, parts: Iterable[Component], *, without: str = ""
    ) -> Iterator[tuple[Box[Any], list[Box[Any]]]]:
        """Make a boundary for all boxes of one name that parts have, and yield it with these."""
        like: dict[tuple[str, bool], list[Box[Any]]] = {}
        for part in parts:
            for name, box in offered(part._axon).items():
                if name != without:
                    like.setdefault((name, box.is_inbox), []).append(box)
        for (name, is_inbox), boxes in like.items():
            same = all(box.type == boxes[0].type for box in boxes)
            kind = boxes[0].type if same else Any
            yield self.boundary(name, boxes[0], inward=is_inbox, type=kind), boxes

    def _mirror(self, *parts: Component) -> None:
        """Pass on what the boxes of parts take and send, through boxes of the same names."""
        for own, boxes in self._boundaries(parts):
            for box in boxes:
                postman.link(own, box) if box.is_inbox else postman.link(box, own)


class Pipeline(Chassis):
    """Components in a row: each one's ``outbox`` goes to the next one's ``inbox``.

    ``a | b | c`` is the same as ``Pipeline(a, b, c)``. The pipeline's own ``inbox`` is the first one's, its
    ``outbox`` the last one's. It ends when all of them have ended; what it returns is the last one's result.

    Arguments:
        parts: components, in the order in which messages pass them; a class or `component` function stands
            for one that is made without arguments

    Example:
        >>> from kamaelia import Pipeline, run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> run(Pipeline(Source("abc"), Map(str.upper), Collect()))
        ['A', 'B', 'C']
    """

    def __init__(self, *parts: Any) -> None:
        if not parts:
            raise UsageError("Pipeline() needs at least one component")
        self._row: list[Process] = []
        self._between: list[Link] = []
        for part in parts:  # once through them: a million do not fit into the processor's cache
            process = as_part(part)._axon
            lifecycle.add_child(self._axon, process)
            if self._row:
                self._between.append(_linked(self._row[-1], process))
            self._row.append(process)
        self._ends: list[Link] = []
        first_inbox: Any = self._row[0].box_named("inbox")
        if first_inbox is not None:
            own = self.boundary("inbox", first_inbox, inward=True)
            self._ends.append(postman.link(own, first_inbox))
        last_outbox: Any = self._row[-1].box_named("outbox")
        if last_outbox is not None:
            own = self.boundary("outbox", last_outbox, inward=False)
            self._ends.append(postman.link(last_outbox, own))
        self._axon.result_from = self._row[-1]

    def add(self, pattern: Any, *, name: str | None = None, isolated: bool = False) -> Component:
        """Make another component a child of this one, see `Component.add`; it stands beside the row."""
        process = self._axon
        if not process.children and process.state == "new":
            raise UsageError(
                f"the parts of this pipeline were joined with others by |: add {shorten(pattern)} to the "
                "pipeline that came of it"
            )
        return super().add(pattern, name=name, isolated=isolated)

    def is_mere_row(self) -> bool:
        """Say whether this is a row and nothing else: without a name of its own, and not in use yet.

        Such a one is taken apart by ``|``, so that ``a | b | c`` is one pipeline of three.
        """
        process = self._axon
        return (
            process.given_name == "Pipeline"
            and process.state == "new"
            and process.parent is None
            and not (process.holds or process.callbacks)
            and list(process.children) == self._row
            and all(wire.made for wire in self._between)
            and len(process.boxes) == len(self._ends)
            and not any(box.taps or box.holds for box in process.boxes.values())
            and [wire for box in process.boxes.values() for wire in (*box.incoming, *box.outgoing)]
            == self._ends
            and not any(wire.taps for wire in self._ends)
        )

    def give_parts_to(self, whole: Pipeline) -> None:
        """Become part of another pipeline, which has the parts from now on: using this one is an error."""
        process = self._axon
        process.parent = whole._axon
        for wire in self._ends:
            if wire.made:
                postman.unlink(wire)
        for child in self._row:
            if child.parent is process:
                child.parent = None
        process.children = ()
        for box in process.boxes.values():  # what was linked to these would wait for ever
            if isinstance(box, Inbox):
                box.gone = True
            else:
                box.own = box.ended = True


def _linked(first: Process, second: Process) -> Link:
    """Return the link between two in a row: a new one, unless they have stood in a row before."""
    source, target = first.box_named("outbox"), second.box_named("inbox")
    if source is None:
        raise LinkError(
            f"{first.name} has no outbox, so nothing can come after it in a pipeline: put it last"
        )
    if target is None:
        raise LinkError(
            f"{second.name} has no inbox, so nothing can come before it in a pipeline: put it first"
        )
    for wire in source.outgoing:
        if wire.target is target:
            return wire
    return postman.link(source, target)


def joined(*patterns: Any) -> Pipeline:
    """Return ``a | b``: a pipeline of both; where one of them is a mere row already, of its parts."""
    rows: list[Pipeline] = []
    parts: list[Component] = []
    for part in map(as_part, patterns):
        if type(part) is Pipeline and part.is_mere_row():
            rows.append(part)
            parts.extend(process.component for process in part._row)
        else:
            parts.append(part)
    whole: Pipeline = Pipeline.__new__(Pipeline, *parts)
    for row in rows:
        row.give_parts_to(whole)
    Pipeline.__init__(whole, *parts)
    return whole


class Graphline(Chassis):
    """Components wired in any way.

    Two forms say the same. With links, where ``"self.inbox"`` is a box of the graphline itself::

        Graphline("self.inbox" >> a.inbox, a.outbox >> b.inbox, b.outbox >> "self.outbox")

    and, as it can be saved, with names::

        Graphline(
            a=Lines(),
            b=Encode(),
            linkages={
                ("self", "inbox"): ("a", "inbox"),
                ("a", "outbox"): ("b", "inbox"),
                ("b", "outbox"): ("self", "outbox"),
            },
        )

    where the value may be a list, for one to many. A component that no link names is given as an argument.
    Boxes of the graphline itself are made as they are named. It ends when all its components have ended.

    Arguments:
        links: links, also in lists, and components that no link names
        linkages: links by names, each from a part and its box to one or several others
        parts: components by name, for ``linkages`` and for their paths

    Example:
        >>> from kamaelia import Graphline, run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> numbers, double, collect = Source([1, 2]), Map(lambda n: 2 * n), Collect()
        >>> run(Graphline(numbers.outbox >> double.inbox, double.outbox >> collect.inbox))
        >>> collect.messages
        [2, 4]
    """

    def __init__(self, /, *links: Any, linkages: dict[Any, Any] | None = None, **parts: Any) -> None:
        if "self" in parts:
            raise UsageError(
                f"Graphline(self={shorten(parts['self'])}): in its links, self is the graphline itself: give "
                "the part another name"
            )
        self.parts: dict[str, Component] = {name: as_part(part) for name, part in parts.items()}
        for name, part in self.parts.items():
            lifecycle.add_child(self._axon, part.named(name)._axon)
        wires: list[Link] = []
        for one in _flatten(links):
            if isinstance(one, Link):
                wires.append(one)
            else:
                self._adopt(as_part(one))
        for source, targets in (linkages or {}).items():
            for target in targets if isinstance(targets, list) else [targets]:
                wires.append(Link(self._by_name(source), self._by_name(target)))
        for wire in wires:
            for end in (wire.source, wire.target):
                if isinstance(end, Box) and end.owner not in (None, self._axon):
                    self._adopt(end.owner.component)
        for wire in wires:
            self._make(wire)

    def _adopt(self, part: Component) -> None:
        if part._axon not in self._axon.children:
            lifecycle.add_child(self._axon, part._axon)

    def _by_name(self, end: Any) -> Any:
        if not (isinstance(end, tuple) and len(end) == 2 and all(isinstance(one, str) for one in end)):
            raise LinkError(
                f'linkages: {shorten(end)} is no end of a link: write ("name of the part", "name of its box")'
            )
        part_name, box_name = end
        if part_name == "self":
            return f"self.{box_name}"
        if part_name not in self.parts:
            raise LinkError(
                f"linkages: there is no part called {part_name!r}; "
                f"{suggestion(part_name, [*self.parts, 'self'])}"
            )
        return box_named(self.parts[part_name], box_name)

    def _make(self, wire: Link) -> None:
        source, target = wire.source, wire.target
        if isinstance(source, str) and isinstance(target, str):
            raise LinkError(
                f"{source!r} cannot be linked to {target!r}: one end of a link is a box of a part"
            )
        if isinstance(source, str):
            source = self.boundary(_own_name(source), target, inward=True)
        elif isinstance(target, str):
            target = self.boundary(_own_name(target), source, inward=False)
        postman.link(source, target, when_full=wire.when_full, feedback=wire.feedback)


def box_named(part: Component, name: str) -> Box[Any]:
    """Return a component's box by name; a wrong name is answered with those that there are."""
    boxes = part._axon.boxes
    if name not in boxes:
        raise LinkError(f"{part._axon.path} has no box called {name!r}; {suggestion(name, boxes)}")
    return boxes[name]


def _own_name(text: str) -> str:
    owner, dot, name = text.partition(".")
    if owner != "self" or not dot or not name.isidentifier():
        raise LinkError(
            f'{text!r} is no box: a graphline\'s own boxes are written "self.inbox", "self.outbox", ...'
        )
    return name


def _flatten(values: Any) -> list[Any]:
    flat: list[Any] = []
    for value in values:
        if isinstance(value, (list, tuple)):
            flat.extend(_flatten(value))
        else:
            flat.append(value)
    return flat
