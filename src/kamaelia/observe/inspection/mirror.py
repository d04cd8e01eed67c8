"""A mirror: what a client knows of a system that it watches, put together from frames.

>>> mirror = Mirror()
>>> echo = {"n": 1, "path": "Echo", "parent": None, "type": "m.Echo", "body": "coroutine", "boxes": []}
>>> mirror.apply(
...     {
...         "frame": 1,
...         "time": 2.0,
...         "components": [echo],
...         "links": [],
...         "c": {"1": ["ready", 0.5, 0, None, 7, 0, 0]},
...     }
... )
True
>>> mirror.parts[1].path, mirror.parts[1].running, mirror.parts[1].steps
('Echo', 0.5, 7)
>>> mirror.apply({"frame": 2, "time": 2.25, "removed": {"components": [1], "links": []}})
True
>>> mirror.parts
{}
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EVENTS = 1000  # that are kept


@dataclass(slots=True)
class Wire:
    """A link, as it was at the last frame."""

    n: int
    """Its number."""
    source: tuple[int | None, str]
    """The number of the component that it comes from, if it is one, and the box."""
    target: tuple[int | None, str]
    """The same of where it leads."""
    when_full: str = "wait"
    """What happens at the mark."""
    feedback: bool = False
    """Whether it closes a loop on purpose."""
    outside: bool = False
    """Whether one end is outside of the system."""
    passed: int = 0
    """Messages that have arrived on it."""
    rate: float | None = None
    """Messages a second, of late."""
    waiting: int = 0
    """What is in the fullest queue that it leads to."""
    size: int = 0
    """The mark of that."""
    dropped: int = 0
    """Messages that were dropped on it."""
    open: bool = True
    """Whether more may come."""

    @property
    def fill(self) -> float:
        """How full the queue is, 1 at its mark."""
        return self.waiting / self.size if self.size else 0.0


@dataclass(slots=True)
class Part:
    """A component, as it was at the last frame."""

    n: int
    """Its number."""
    path: str
    """Its path."""
    parent: int | None
    """The number of the chassis that it is in."""
    type: str
    """The class or function that it was made of."""
    body: str
    """Its kind of body."""
    boxes: list[list[Any]]
    """Name, direction, type, and whether it is a boundary, of each box."""
    state: str = "new"
    """What it is doing."""
    running: float = 0.0
    """In how much of the last one or two seconds of real time its code ran."""
    blocked: float = 0.0
    """In how much of them it waited for room."""
    waits_for: int | None = None
    """The number of the component that it waits for."""
    steps: int = 0
    """How often it has been resumed."""
    restarts: int = 0
    """How often another has taken the place of one that was over."""
    failures: int = 0
    """How many components have failed in it, or in its place."""
    ins: list[Wire] = field(default_factory=list)
    """The links that lead to its inboxes."""
    outs: list[Wire] = field(default_factory=list)
    """The links that come from its outboxes."""
    children: list[Part] = field(default_factory=list)
    """The components in it."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def rate_in(self) -> float:
        """Messages a second that come to it."""
        return sum(wire.rate or 0.0 for wire in self.ins)

    @property
    def rate_out(self) -> float:
        """Messages a second that it sends; what goes to several counts once."""
        rates: dict[str, float] = {}
        for wire in self.outs:
            rates[wire.source[1]] = max(rates.get(wire.source[1], 0.0), wire.rate or 0.0)
        return sum(rates.values())

    @property
    def fullest(self) -> Wire | None:
        """The link to the fullest of its inboxes."""
        return max(self.ins, key=lambda wire: wire.fill, default=None)

    @property
    def fill(self) -> float:
        """How full the fullest of its inboxes is, 1 at the mark."""
        return max((wire.fill for wire in self.ins), default=0.0)

    @property
    def dropped(self) -> int:
        """Messages that were dropped on their way to it."""
        return sum(wire.dropped for wire in self.ins)


class Mirror:
    """What is known of a system, from the frames of its stream ``watch``."""

    def __init__(self) -> None:
        self.parts: dict[int, Part] = {}
        """The components by their numbers."""
        self.wires: dict[int, Wire] = {}
        """The links by theirs."""
        self.time = 0.0
        """Of the last frame, on the clock of the system."""
        self.stuck: Mapping[str, Any] | None = None
        """The step that lasts, if one does."""
        self.diagnosis: Mapping[str, Any] | None = None
        """What holds the system up, once it is known."""
        self.events: deque[list[Any]] = deque(maxlen=EVENTS)
        """What has happened: number, time, what, path, detail."""

    def apply(self, frame: Mapping[str, Any]) -> bool:
        """Take in a frame; say whether parts or links have come or gone."""
        changed = False
        if "components" in frame:
            self.parts.clear()
            self.wires.clear()
            self._add(frame)
            changed = True
        removed = frame.get("removed")
        if removed:
            for n in removed["components"]:
                self.parts.pop(n, None)
            for n in removed["links"]:
                self.wires.pop(n, None)
            changed = True
        if "added" in frame:
            self._add(frame["added"])
            changed = True
        for n, figures in frame.get("c", {}).items():
            part = self.parts.get(int(n))
            if part is not None:
                part.state, part.running, part.blocked, part.waits_for = figures[:4]
                part.steps, part.restarts, part.failures = figures[4:7]
        for n, figures in frame.get("l", {}).items():
            wire = self.wires.get(int(n))
            if wire is not None:
                wire.passed, wire.rate, wire.waiting, wire.size, wire.dropped, wire.open = figures[:6]
        if changed:
            self._join()
        self.time = frame.get("time", self.time)
        if "stuck" in frame:
            self.stuck = frame["stuck"]
        if "diagnosis" in frame:
            self.diagnosis = frame["diagnosis"]
        self.events += frame.get("events", ())
        return changed

    def at(self, path: str) -> Part | None:
        """Return the component of a path, if there is one."""
        return next((part for part in self.parts.values() if part.path == path), None)

    @property
    def roots(self) -> list[Part]:
        """The outermost components."""
        return [part for part in self.parts.values() if part.parent not in self.parts]

    def _add(self, what: Mapping[str, Any]) -> None:
        for one in what["components"]:
            known = self.parts.get(one["n"])
            if known is not None:
                known.boxes, known.parent = one["boxes"], one["parent"]
            else:
                self.parts[one["n"]] = Part(
                    one["n"], one["path"], one["parent"], one["type"], one["body"], one["boxes"]
                )
        for one in what["links"]:
            self.wires[one["n"]] = Wire(
                one["n"],
                (one["from"][0], one["from"][1]),
                (one["to"][0], one["to"][1]),
                one["when_full"],
                one["feedback"],
                one["outside"],
            )

    def _join(self) -> None:
        """See anew which links lead to which components, and who is in whom."""
        inboxes: set[tuple[int, str]] = set()
        for part in self.parts.values():
            part.ins, part.outs, part.children = [], [], []
            inboxes |= {(part.n, box[0]) for box in part.boxes if box[1] == "in"}
        for wire in self.wires.values():
            source, target = wire.source[0], wire.target[0]
            if target in self.parts and wire.target in inboxes:
                self.parts[target].ins.append(wire)
            if source in self.parts and wire.source not in inboxes and source != target:
                self.parts[source].outs.append(wire)
        for part in self.parts.values():
            if part.parent in self.parts:
                self.parts[part.parent].children.append(part)
