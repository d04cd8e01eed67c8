"""Snapshots: what a running system is made of and how it is doing, at one moment.

Everything in a snapshot is a plain, frozen value: it can be kept, compared, sent elsewhere and read again.
The boxes of a component stand in it, the links between boxes beside them; who is in whom is said by the
paths.

Counts (messages, steps, drops) are exact, and are always kept. Times (running, blocked) are known only of
systems that somebody looks at, see `watch`; then they are right to within the time between two looks.

As JSON a snapshot is an object with the same names, and ``"version"``, which changes when a name goes or
means something else; new names may come without that. `schema` describes it in the words of JSON Schema.

>>> from kamaelia import component, run, sleep
>>> from kamaelia.flow import Source
>>> @component
... async def look(inbox, outbox):
...     await sleep(0.01)
...     return look_from_here(outbox)
>>> def look_from_here(box):
...     from kamaelia.axon import current_component
...
...     return current_component().system.snapshot()
>>> shot = run(Source(range(1000)) | look())
>>> [(one.path, one.state) for one in shot.components]
[('Pipeline', 'holding'), ('Pipeline/Source', 'sending'), ('Pipeline/look', 'running')]
>>> link = shot.links[0]
>>> link.source, link.target, link.passed, link.waiting
('Pipeline/Source.outbox', 'Pipeline/look.inbox', 100, 100)
>>> Snapshot.from_json(shot.to_json()) == shot
True
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from kamaelia.axon import Seat, body
from kamaelia.axon.clock import calendar as calendar_of
from kamaelia.axon.system import describe_core
from kamaelia.axon.tap import LOOK
from kamaelia.axon.typecheck import name_of

if TYPE_CHECKING:
    from kamaelia.axon import System
    from kamaelia.axon.box import Box
    from kamaelia.axon.link import Link, Route
    from kamaelia.axon.process import Process

    from .watch import Watch

VERSION = 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BoxSnapshot:
    """One box of a component."""

    name: str
    """Such as ``inbox``."""
    direction: str
    """``in`` or ``out``."""
    type: str
    """Of its messages."""
    state: str
    """``open``, ``ended``, ``failed`` (its last source has), ``closed`` (by its component) or ``lost`` (an
    outbox all whose readers have gone)."""
    linked: bool
    """Whether a link leads to it, or from it."""
    boundary: bool
    """Whether it belongs to a chassis that has wired it to boxes inside."""
    waiting: int
    """What is in an inbox's queue: messages, or bytes (``unit``)."""
    size: int
    """The mark at which senders wait."""
    unit: str
    """``messages`` or ``bytes``: what `waiting`, `size` and `peak` count."""
    peak: int
    """The most that has been seen waiting."""
    passed: int
    """Messages that have come into an inbox, or have been delivered from an outbox, to each reader."""
    dropped: int
    """Messages dropped at links that may drop."""
    discarded: int
    """Messages sent while nobody was there to read them, or left unread by who has gone."""
    rate: float | None
    """Messages a second that have `passed` of late; None at the first look."""


@dataclass(frozen=True, slots=True)
class LinkSnapshot:
    """One link."""

    source: str
    """The box it comes from: ``path.box``."""
    target: str
    """The box it leads to."""
    when_full: str
    """What happens at the mark: ``wait``, ``drop-oldest`` or ``drop-newest``."""
    feedback: bool
    """Whether it closes a loop on purpose."""
    outside: bool
    """Whether one of its ends is outside of the system, such as a connection."""
    open: bool
    """Whether more may come."""
    passed: int
    """Messages that have arrived on it."""
    dropped: int
    """Messages that were dropped on it."""
    waiting: int
    """What is in the fullest queue that it leads to, also through boundaries: messages or bytes."""
    size: int
    """The mark of that queue."""
    rate: float | None
    """Messages a second that have `passed` of late; None at the first look."""


@dataclass(frozen=True, slots=True)
class ComponentSnapshot:
    """One component."""

    path: str
    """Its name and those of all around it: ``radio/server/client-3``."""
    parent: str | None
    """The path of the chassis that it is in."""
    type: str
    """The class, or the function, that it was made of, with its module."""
    body: str
    """``coroutine``, ``generator``, ``script``, or ``none`` for a chassis without one."""
    state: str
    """``new``, ``ready``, ``running``, ``receiving`` (waits for a message), ``sending`` (waits for room),
    ``sleeping``, ``awaiting`` (something of asyncio's), ``working`` (a script, in its own thread),
    ``holding`` (waits for what is in it), or ``vacant`` (a seat that nobody sits on)."""
    waits_at: tuple[str, ...]
    """The boxes that it waits for: its own inboxes, or those of others that are full."""
    waits_for: tuple[str, ...]
    """The components that it waits for room from: they read from where it sends to."""
    steps: int
    """How often it has been resumed."""
    running: float | None
    """Seconds in which its code ran, since somebody looks; None in virtual time, of which code takes none."""
    blocked: float | None
    """Seconds in which it waited for room, since somebody looks, on the clock of the system."""
    blocked_on: str | None
    """The component that it has waited for most."""
    restarts: int
    """How often another has taken the place of one that was over: of a seat, and of whatever has seats."""
    failures: int
    """How many components have failed in it, or in its place, since somebody looks."""
    boxes: tuple[BoxSnapshot, ...]
    """Its boxes, in the order of their declaration."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    def box(self, name: str) -> BoxSnapshot:
        """Return one of its boxes; raises `KeyError` if there is none of that name."""
        for one in self.boxes:
            if one.name == name:
                return one
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class StuckSnapshot:
    """A step that lasts: nobody else can do anything meanwhile."""

    path: str
    """The component whose step it is."""
    seconds: float
    """For how long it has been seen."""
    where: str
    """File and line in its code."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A system at one moment."""

    version: int
    """Of this form of a snapshot: 1."""
    name: str
    """What the system is called: the names of the outermost components."""
    pid: int
    """The process it runs in."""
    seed: str
    """Of every random stream in it."""
    core: str
    """Which form of the core runs on which kind of loop."""
    state: str
    """``running``, ``stopping`` or ``over``."""
    time: float
    """Seconds on the clock of the system; only differences mean something."""
    calendar: float
    """Seconds since 1970-01-01 00:00 UTC, as the system has them."""
    watched: float | None
    """For how many seconds somebody has looked, on the clock of the system; None if nobody does."""
    steps: int
    """How many steps the scheduler has made."""
    started: int
    """Components that have been started since somebody looks."""
    ended: int
    """Components that have ended since somebody looks, however."""
    failed: int
    """How many of these have failed."""
    stuck: StuckSnapshot | None
    """The step that lasts, if one does."""
    components: tuple[ComponentSnapshot, ...]
    """All components, each before those in it."""
    links: tuple[LinkSnapshot, ...]
    """All links."""
    index: Mapping[str, ComponentSnapshot] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {one.path: one for one in self.components})

    def __getitem__(self, path: str) -> ComponentSnapshot:
        """Return a component by its path; raises `KeyError` if there is none."""
        return self.index[path]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, as JSON has them."""
        values: dict[str, Any] = _as_plain(self)
        return values

    def to_json(self) -> str:
        """Return it as JSON text, on one line."""
        return json.dumps(self.as_dict(), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Snapshot:
        """Read what `to_json` has written.

        Raises `ValueError` for what is no snapshot, or one of another version.
        """
        try:
            values = json.loads(text)
        except RecursionError:
            raise ValueError("the snapshot is no snapshot: lists are in it too deep") from None
        return from_dict(cls, values)


_NAMES: dict[type, tuple[str, ...]] = {
    kind: tuple(one.name for one in fields(kind) if one.init)
    for kind in (BoxSnapshot, LinkSnapshot, ComponentSnapshot, StuckSnapshot, Snapshot)
}


# -- taking one -----------------------------------------------------------------------------------------


def take(system: System, watch: Watch | None = None) -> Snapshot:
    """Take a snapshot of a system; with a watch, times and rates are known, too.

    May be called from any thread. From another than the system's own it is not of one instant: what is
    seen last may be some milliseconds younger than what is seen first.
    """
    reader = Reader(system, watch)
    components = tuple(reader.component(process) for process in processes_of(system))
    links = tuple(reader.link(wire) for wire in links_of(system))
    top = [child.name for child in list(system.root.children)]
    return Snapshot(
        version=VERSION,
        name=", ".join(top) or os.path.basename(sys.argv[0] or "python"),
        pid=os.getpid(),
        seed=str(system.seed),
        core=describe_core(system.loop),
        state="over" if system.is_over else "stopping" if system.stopping else "running",
        time=system.loop.time(),
        calendar=calendar_of(system.loop),
        watched=None if watch is None else watch.watched,
        steps=system.scheduler.steps,
        started=0 if watch is None else watch.started,
        ended=0 if watch is None else watch.ended,
        failed=0 if watch is None else watch.failed,
        stuck=None if watch is None else watch.stuck,
        components=components,
        links=links,
    )


def processes_of(system: System) -> Iterator[Process]:
    """Yield the processes of all components, each before those in it; what begins meanwhile may be missed."""
    todo = list(system.root.children)[::-1]
    while todo:
        process = todo.pop()
        yield process
        if process.children:
            todo += list(process.children)[::-1]


def links_of(system: System) -> Iterator[Link]:
    """Yield all links, in the order of the components that they lead to or, where that says more, from."""
    for process in processes_of(system):
        for box in list(process.each_box()):
            for wire in tuple(box.outgoing):
                yield wire
            for wire in tuple(box.incoming):
                if wire.outside:
                    yield wire


def reader_of(route: Route) -> Process:
    """Return whose inbox a route ends in: where that is a seat's, who sits there."""
    box = target_of(route)
    while box.is_inbox and box.wired:
        wires = tuple(box.outgoing)
        if len(wires) != 1:
            break
        box = wires[0].lends_to or wires[0].target
    owner: Process = box.owner
    return owner


def target_of(route: Route) -> Any:
    """Return the inbox that a route ends in."""
    return route.links[-1].target


class Reader:
    """Reads the parts of a system into the parts of a snapshot."""

    def __init__(self, system: System, watch: Watch | None) -> None:
        self._scheduler = system.scheduler
        self._watch = watch
        self._paths: dict[Process, str] = {}  # a path is asked for some ten times

    def _path(self, process: Process) -> str:
        path = self._paths.get(process)
        if path is None:
            parent = process.parent
            around = "" if parent is None or not process.name else self._path(parent)
            path = self._paths[process] = f"{around}/{process.name}" if around else process.name
        return path

    def _name(self, box: Box[Any]) -> str:
        """Return what ``str(box)`` would be."""
        path = self._path(box.owner)
        return f"{path}.{box.name}" if path else box.name

    def component(self, process: Process) -> ComponentSnapshot:
        """Read a component."""
        state, boxes, others = doing(process)
        if process is self._scheduler.running:
            state, boxes, others = "running", (), ()
        kept = None if self._watch is None else self._watch.times_of(process)
        parent = process.parent
        component = process.component
        return ComponentSnapshot(
            path=self._path(process),
            parent=None if parent is None or not parent.name else self._path(parent),
            type=type_of(component),
            body=body_of(process),
            state=state,
            waits_at=tuple(map(self._name, boxes)),
            waits_for=tuple(dict.fromkeys(map(self._path, others))),
            steps=process.steps,
            running=None if kept is None or kept.virtual else round(kept.running, 6),
            blocked=None if kept is None else round(kept.blocked, 6),
            blocked_on=None if kept is None else kept.blocked_on,
            restarts=restarts_of(process),
            failures=0 if kept is None else kept.failures,
            boxes=tuple(self._box(box) for box in list(process.each_box())),
        )

    def _box(self, box: Any) -> BoxSnapshot:
        wires = list(box.outgoing) if box.outgoing else ()
        if box.is_inbox:
            queue = box.queue
            waiting = queue.waiting()
            # A boundary is a wire: what has come into it is what has gone on, to one of those behind it.
            # But who sits on a seat reads from the seat's own queue.
            is_wire = box.wired and not any(wire.lends_to is not None for wire in wires)
            passed = max((wire.passed for wire in wires), default=0) if is_wire else queue.put_in()
            rest = {"dropped": queue.dropped, "discarded": box.unread}
            rest |= {"waiting": waiting, "size": queue.size, "peak": max(queue.peak, waiting)}
        else:
            queue = None
            routes = (
                tuple(box.routes) if box.own else [route for wire in wires for route in tuple(wire.routes)]
            )
            passed = (
                box.carried + sum(route.passed for route in routes)
                if box.own
                else sum(wire.passed for wire in wires)
            )
            rest = {
                "dropped": box.dropped + sum(route.dropped for route in routes),
                "discarded": box.discarded,
            }
            rest |= {"waiting": 0, "size": 0, "peak": 0}
        return BoxSnapshot(
            name=box.name,
            direction="in" if box.is_inbox else "out",
            type=name_of(box.type),
            state=state_of(box),
            linked=bool(box.incoming if box.is_inbox else box.outgoing),
            boundary=bool(box.wired if box.is_inbox else not box.own),
            unit="bytes" if box.is_inbox and queue.in_bytes else "messages",
            passed=passed,
            rate=None if self._watch is None else self._watch.rate_of(box, passed),
            **rest,
        )

    def link(self, wire: Link) -> LinkSnapshot:
        """Read a link."""
        passed, dropped, waiting, size = figures_of(wire)
        return LinkSnapshot(
            source=self._name(wire.source),
            target=self._name(wire.target),
            when_full=wire.when_full,
            feedback=bool(wire.feedback),
            outside=bool(wire.outside) or wire.source.owner is wire.target.owner,
            open=bool(wire.open),
            passed=passed,
            dropped=dropped,
            waiting=waiting,
            size=size,
            rate=None if self._watch is None else self._watch.rate_of(wire, passed),
        )


def figures_of(wire: Link) -> tuple[int, int, int, int]:
    """Return what has passed a link, what was dropped on it, what waits at its end, and the mark there."""
    if wire.lends_to is not None:  # who sits there reads from the seat's own queue
        queue = wire.lends_to.queue
        return wire.passed, 0, queue.waiting(), queue.size
    dropped, waiting, size = wire.dropped, 0, 0
    for route in list(wire.routes):
        queue = route.queue
        if wire.when_full != "wait":
            dropped += route.dropped
        if not size or queue.waiting() * size > waiting * queue.size:
            waiting, size = queue.waiting(), queue.size
    return wire.passed, dropped, waiting, size


def doing(process: Process) -> tuple[str, tuple[Box[Any], ...], tuple[Process, ...]]:
    """Return what a component is doing, the boxes that it waits for, and whose room it waits for."""
    return doing_at(process)[:3]


def doing_at(
    process: Process,
) -> tuple[str, tuple[Box[Any], ...], tuple[Process, ...], tuple[Route, ...]]:
    """Return what `doing` does, and at the end of which routes it waits for room."""
    state = process.state
    if state == "holding" and process.vacant:
        return "vacant", (), (), ()
    if state == "foreign":  # the coroutine that stands for a script awaits that it makes a box call
        return "awaiting" if process.script is None else "working", (), (), ()
    if state != "waiting":
        return state, (), (), ()
    wait = process.wait
    if wait is None:  # it goes on just now
        return "ready", (), (), ()
    where = wait.where
    if wait.verb == "send to":
        # Seen from another thread, a route may have gone by now.
        routes = tuple(route for route in where if route is not None)
        return "sending", tuple(map(target_of, routes)), tuple(map(reader_of, routes)), routes
    if wait.verb == "receive from":
        return "receiving", tuple(where), (), ()
    if wait.verb == LOOK:  # at what passes somewhere
        return "receiving", (), (), ()
    if wait.verb == "sleep":
        return "sleeping", (), (), ()
    return "awaiting", (), (), ()


def state_of(box: Any) -> str:
    """Return whether a box is open, and why not."""
    if box.is_inbox:
        if box.gone:
            return "closed"
    elif box.lost:
        return "lost"
    if box.ended:
        return "ended" if box.failure is None else "failed"
    return "open"


def type_of(component: Any) -> str:
    """Return the class of a component, or the function that it was made of, with its module."""
    kind = type(component)
    return f"{kind.__module__}.{kind.__qualname__}"


def body_of(process: Process) -> str:
    """Return what kind of body a component has."""
    if not process.has_body:
        return "none"
    if process.script is not None:
        return "script"
    return body.kind_of(process.component.main)


def occupants_of(process: Process) -> int:
    """Return how many have sat on a seat, one after another; 0 for what is no seat."""
    component = process.component
    return component.occupants if isinstance(component, Seat) else 0


def restarts_of(process: Process) -> int:
    """Return how often another component has taken the place of one that was over."""
    taken = occupants_of(process)
    return taken - 1 if taken else sum(restarts_of(child) for child in list(process.children))


# -- as JSON --------------------------------------------------------------------------------------------


def _as_plain(value: Any) -> Any:
    """Return a dataclass, and those in it, as objects and lists, in a tenth of the time of `asdict`."""
    names = _NAMES.get(type(value))
    if names is not None:
        return {name: _as_plain(getattr(value, name)) for name in names}
    if type(value) is tuple:
        return [_as_plain(one) for one in value]
    return value


def from_dict(kind: type[T], values: Any, where: str = "the snapshot") -> T:
    """Make a dataclass of plain values, as JSON has them; names that it does not know are passed over.

    Raises `ValueError` that says what is wrong, and where.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where}: {type(values).__name__} stands where there should be an object")
    if "version" in values and values["version"] != VERSION:
        raise ValueError(f"{where} is of version {values['version']!r}, and this Kamaelia reads {VERSION}")
    hints = _hints(kind)
    given = {}
    for one in fields(kind):  # type: ignore[arg-type]
        if not one.init:
            continue
        if one.name not in values:
            raise ValueError(f"{where} has no {one.name!r}")
        given[one.name] = _read(hints[one.name], values[one.name], f"{where}: {one.name}")
    return kind(**given)


_hints: Callable[[Any], dict[str, Any]] = functools.cache(
    get_type_hints
)  # of a class: there are many of each in a snapshot


def _read(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (Union, UnionType):
        if value is None:
            return None
        hint = next(one for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where}: {value!r} is no list")
        return tuple(_read(get_args(hint)[0], one, f"{where}[{index}]") for index, one in enumerate(value))
    if hasattr(hint, "__dataclass_fields__"):
        return from_dict(hint, value, where)
    right = (int, float) if hint is float else hint
    if not isinstance(value, right) or (isinstance(value, bool) and hint is not bool):
        raise ValueError(f"{where}: {value!r} is no {hint.__name__}")
    return float(value) if hint is float else value


def schema(kind: type = Snapshot) -> dict[str, Any]:
    """Return what a snapshot is as JSON, in the words of JSON Schema (draft 2020-12).

    >>> schema()["properties"]["version"]
    {'const': 1}
    """
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": kind.__name__}
    return made | _object(kind)


def _object(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    names = [one.name for one in fields(kind) if one.init]
    properties = {name: {"const": VERSION} if name == "version" else _words(hints[name]) for name in names}
    return {"type": "object", "properties": properties, "required": names}


_WORDS = {int: "integer", float: "number", str: "string", bool: "boolean"}


def _words(hint: Any) -> dict[str, Any]:
    if get_origin(hint) in (Union, UnionType):
        inner = next(one for one in get_args(hint) if one is not type(None))
        return {"anyOf": [_words(inner), {"type": "null"}]}
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _words(get_args(hint)[0])}
    if hasattr(hint, "__dataclass_fields__"):
        return _object(hint)
    return {"type": _WORDS[hint]}
