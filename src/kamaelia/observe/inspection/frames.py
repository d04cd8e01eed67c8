"""Frames: what a system does, told again and again to many, of which each is told only what is new to it.

Theory
------
A `Ledger` goes over a system in *passes*, as often as the quickest of those who watch wants to be told. Each
component and each link has an entry with its figures, as JSON, and the number of the pass in which these
have changed last. So what is new since any earlier pass is a selection of entries; and all who have seen the
same pass are sent the same bytes, made once.

Parts and links are looked up anew only in passes before which something has begun, ended, or was linked. All
others go over the entries alone, in the order of a microsecond for each, and most entries of a system that
does little are left after one comparison.

Numbers are given once and not used again, so a frame never has to say a path twice. Who has missed so many
passes that it is not known any more what is new to it is told everything again.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kamaelia.axon.clock import monotonic
from kamaelia.axon.typecheck import name_of

from .. import snapshot
from ..watch import EVENTS, Event, Times, Watch

if TYPE_CHECKING:
    from kamaelia.axon.link import Link
    from kamaelia.axon.process import Process

    from ..diagnosis import Diagnosis

REMEMBERED = 1024  # passes of which it is known what was new in them
RATE_SPAN = 0.5  # seconds: a rate is that of the last one or two of these
EVENTS_A_FRAME = 50


class _Part:
    """A component in the ledger."""

    __slots__ = (
        *("changed", "figures", "is_quiet", "n", "path", "process", "raw", "restarts", "said", "since"),
        *("steps", "text"),
    )

    def __init__(self, n: int, process: Process) -> None:
        self.n = n
        self.path = process.path
        self.process = process
        self.said = ""  # what it is, as JSON
        self.since = 0  # the pass since which it is what is said
        self.restarts = 0
        self.steps = -1  # when it was measured
        self.raw = ""  # what its process called its state then
        self.is_quiet = False  # it waited then, and its figures are the same until it goes on
        self.figures: tuple[Any, ...] = ()
        self.text = ""  # the figures, as JSON
        self.changed = 0  # the pass in which they have


class _Wire:
    """A link in the ledger."""

    __slots__ = (
        *("at", "before", "changed", "figures", "marked", "n", "open", "queue", "rate", "route", "said"),
        *("since", "taken", "text", "waiting", "wire"),
    )

    def __init__(self, n: int, wire: Link) -> None:
        self.n = n
        self.wire = wire
        self.route: Any = None  # of a link with one, which is what most have
        self.queue: Any = None
        self.said = ""
        self.since = 0
        self.at = 0.0  # when it was first seen
        self.marked = 0  # how many had passed when the current span began
        self.before: int | None = None  # when the last one did
        self.rate: float | None = None
        self.taken = self.waiting = -1  # from the queue, and in it
        self.open = False
        self.figures: tuple[Any, ...] = ()
        self.text = ""
        self.changed = 0


class Ledger:
    """Keeps account of one system for all who watch it.

    Arguments:
        watch: that looks at the system
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        loop: Any = watch.system.loop
        self._clock = loop.time if hasattr(loop, "clock") else monotonic
        self.number = 0
        """Of the last pass; 0 before the first."""
        self.made = -1.0
        """When that was made, in real time."""
        self._last_n = 0
        self._changes = -1
        self._parts: dict[Process, _Part] = {}
        self._wires: dict[Link, _Wire] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()  # the numbers of those that are over, by path
        self._time = 0.0
        self._worked = 0.0  # to how much of the time a second of the processor's work comes
        self._marked = self._marked_before = self._clock()
        self._stuck: Any = None
        self._diagnosis: tuple[Any, int] = (None, 0)
        # Of each pass: its number, which parts and links went, and the number of the last event before it.
        self._history: deque[tuple[int, list[int], list[int], int]] = deque(maxlen=REMEMBERED)
        self._events: list[Event] = []
        self._told = 0  # the number of the last event
        self._frames: dict[int, bytes] = {}  # of this pass, by the pass that was seen before

    # -- a pass -----------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Make a pass.

        Whatever it raises, because a part has changed in the midst of it, the next pass makes good: then
        everything is told again.
        """
        watch = self._watch
        self.number += 1
        self.made = monotonic()
        self._frames = {}
        self._time = self._clock()
        turns = self._time - self._marked >= RATE_SPAN
        span = self._time - self._marked_before
        if turns:
            self._marked_before, self._marked = self._marked, self._time
        gone: tuple[list[int], list[int]] = ([], [])
        try:
            with watch.lock:
                changes = watch.changes
                if changes != self._changes:
                    gone = self._look_around()
                    self._changes = changes
                    for part in self._parts.values():
                        part.is_quiet = False
                by_timing = watch.by_timing
                self._worked = by_timing.busy_share / by_timing.all_work if by_timing.all_work else 0.0
                running_now = watch.system.scheduler.running
                for part in self._parts.values():
                    self._measure(part, running_now)
            for wire in self._wires.values():
                self._measure_link(wire, span, turns)
        except Exception:
            self._changes = -1
            self._history.clear()  # what is new to whom is not known any more
            raise
        self._stuck = watch.stuck
        before = self._told
        # Without those of what stands around a system for ordinary code.
        self._events = [event for event in list(watch.events) if event.path]
        if self._events:
            self._told = self._events[-1].number
        self._history.append((self.number, *gone, before))

    def resume(self) -> None:
        """Go on after a pause, in which nobody has watched: of the rates in it nothing is known."""
        self._marked = self._marked_before = self._clock()
        for wire in self._wires.values():
            wire.before = wire.rate = None

    def note(self, diagnosis: Diagnosis) -> None:
        """Take note of a diagnosis, to be told with the next pass if it is another."""
        if diagnosis != self._diagnosis[0]:
            self._diagnosis = (diagnosis, self.number + 1)

    def _look_around(self) -> tuple[list[int], list[int]]:
        """See which components and links there are now; return the numbers of those that have gone."""
        system = self._watch.system
        parts: dict[Process, _Part] = {}
        for process in snapshot.processes_of(system):
            if process.name:  # else it stands around a system for ordinary code, and is no part of any path
                parts[process] = self._parts.get(process) or self._new_part(process)
        gone = [part for process, part in self._parts.items() if process not in parts]
        for part in gone:
            self._gone[part.path] = part.n
            self._gone.move_to_end(part.path)
            if len(self._gone) > 10_000:
                self._gone.popitem(last=False)
        self._parts = parts
        for part in parts.values():
            self._describe(part)
        wires: dict[Link, _Wire] = {}
        for link in snapshot.links_of(system):
            wire = self._wires.get(link)
            if wire is None:
                self._last_n += 1
                wire = _Wire(self._last_n, link)
            self._describe_link(wire)
            wires[link] = wire
        gone_wires = [wire.n for link, wire in self._wires.items() if link not in wires]
        self._wires = wires
        return [part.n for part in gone], gone_wires

    def _new_part(self, process: Process) -> _Part:
        self._last_n += 1
        return _Part(self._last_n, process)

    def _describe(self, part: _Part) -> None:
        process = part.process
        part.restarts = snapshot.restarts_of(process)
        parent = process.parent
        above = None if parent is None else self._parts.get(parent)
        path = part.path
        said: dict[str, Any] = {"n": part.n, "path": path, "parent": None if above is None else above.n}
        said["type"] = snapshot.type_of(process.component)
        said["body"] = snapshot.body_of(process)
        said["boxes"] = [
            [
                box.name,
                "in" if box.is_inbox else "out",
                name_of(box.type),
                bool(box.wired if box.is_inbox else not box.own),
            ]
            for box in list(process.each_box())
        ]
        if path in self._gone:
            said["after"] = self._gone[path]
        text = _json(said)
        if text != part.said:
            part.said, part.since = text, self.number

    def _describe_link(self, wire: _Wire) -> None:
        link = wire.wire
        routes = list(link.routes)
        wire.route = routes[0] if len(routes) == 1 and link.lends_to is None else None
        wire.queue = wire.route.queue if wire.route is not None else None
        wire.taken = -1  # of this queue it is not known
        source, target = self._parts.get(link.source.owner), self._parts.get(link.target.owner)
        outside = bool(link.outside) or source is target or source is None or target is None
        said = {
            "n": wire.n,
            "from": [None if source is None else source.n, link.source.name],
            "to": [None if target is None else target.n, link.target.name],
            "when_full": link.when_full,
            "feedback": bool(link.feedback),
            "outside": outside,
        }
        text = _json(said)
        if text != wire.said:
            wire.said, wire.since = text, self.number

    def _measure(self, part: _Part, running_now: Process | None) -> None:
        process = part.process
        steps, raw = process.steps, process.state
        # Who waits, and has taken no step, waits for what it has waited for before.
        if part.is_quiet and steps == part.steps and raw == part.raw and process is not running_now:
            return
        state, _, others = snapshot.doing(process)
        if process is running_now:
            state = "running"
        times = self._watch.times_of(process)
        waits_for = None
        if others:
            other = self._parts.get(others[0])
            waits_for = None if other is None else other.n
        running, blocked = self._shares(times)
        failures = 0 if times is None else times.failures
        part.steps, part.raw = steps, raw
        part.is_quiet = raw == "waiting" and not running and not blocked and state != "sending"
        figures = (state, running, blocked, waits_for, steps, part.restarts, failures)
        if figures != part.figures:
            part.figures = figures
            part.changed = self.number
            part.text = (
                f'"{part.n}":["{state}",{running},{blocked},{"null" if waits_for is None else waits_for},'
                f"{steps},{part.restarts},{failures}]"
            )

    def _shares(self, times: Times | None) -> tuple[float, float]:
        """Return in how much of the last one or two seconds a component ran, and waited for room.

        To run takes real time, and nothing of a virtual one; to wait takes time as the system has it."""
        if times is None:
            return 0, 0
        if times.ran or times.ran_before:  # samples have seen it: it may have steps that last
            running = times.computing_share
        else:
            running = min(1.0, (times.took + times.took_before) * self._worked)
        late, before = times.late, times.before
        blocked = 0.0
        if "sending" in late or "sending" in before:
            span = sum(late.values()) + sum(before.values())
            if span > 0:
                blocked = (late.get("sending", 0.0) + before.get("sending", 0.0)) / span
        return round(running, 2) or 0, round(blocked, 2) or 0

    def _measure_link(self, wire: _Wire, span: float, turns: bool) -> None:
        link, queue = wire.wire, wire.queue
        is_open = link.open
        if queue is not None:
            route = wire.route
            waiting, taken = queue.waiting(), queue.received + queue.dropped
            if wire.rate == 0 and taken == wire.taken and waiting == wire.waiting and is_open is wire.open:
                return  # nothing has been put in, nor has of late
            wire.taken = taken
            dropped, size = route.dropped, queue.size
            passed = link.passed if dropped else link.carried + route.passed
            if dropped and link.when_full == "wait":
                dropped = 0
            dropped += link.dropped
        else:
            passed, dropped, waiting, size = snapshot.figures_of(link)
        if wire.before is None:
            wire.before = wire.marked = passed
            wire.at = self._time
        else:
            seen = self._time - wire.at
            if seen > 0:
                wire.rate = _rounded((passed - wire.before) / min(span, seen))
        if turns:
            wire.before, wire.marked = wire.marked, passed
        wire.waiting, wire.open = waiting, is_open
        figures = (passed, wire.rate, waiting, size, dropped, is_open)
        if figures != wire.figures:
            wire.figures = figures
            wire.changed = self.number
            rate = "null" if wire.rate is None else wire.rate
            wire.text = (
                f'"{wire.n}":[{passed},{rate},{waiting},{size},{dropped},{"true" if is_open else "false"}]'
            )

    # -- telling ----------------------------------------------------------------------------------------

    def since(self, seen: int) -> bytes:
        """Return what is new to who has seen some pass, 0 for none: a frame, but for its beginning."""
        frame = self._frames.get(seen)
        if frame is None:
            if seen and (not self._history or self._history[0][0] > seen + 1):
                frame = self.since(0)
            else:
                frame = self._tell(seen)
            self._frames[seen] = frame
        return frame

    def _tell(self, seen: int) -> bytes:
        parts = [part.said for part in self._parts.values() if part.since > seen]
        wires = [wire.said for wire in self._wires.values() if wire.since > seen]
        pieces = [f'"time":{round(self._time, 3)}']
        if not seen:
            pieces.append(f'"components":[{",".join(parts)}],"links":[{",".join(wires)}]')
            told = max(0, self._told - EVENTS_A_FRAME)
        else:
            if parts or wires:
                pieces.append(f'"added":{{"components":[{",".join(parts)}],"links":[{",".join(wires)}]}}')
            news = [one for one in self._history if one[0] > seen]
            parts_gone = [n for one in news for n in one[1]]
            wires_gone = [n for one in news for n in one[2]]
            if parts_gone or wires_gone:
                pieces.append(f'"removed":{{"components":{_json(parts_gone)},"links":{_json(wires_gone)}}}')
            told = news[0][3] if news else self._told
        figures = [part.text for part in self._parts.values() if part.changed > seen]
        if figures:
            pieces.append(f'"c":{{{",".join(figures)}}}')
        figures = [wire.text for wire in self._wires.values() if wire.changed > seen]
        if figures:
            pieces.append(f'"l":{{{",".join(figures)}}}')
        stuck = self._stuck
        pieces.append(f'"stuck":{"null" if stuck is None else _json(asdict(stuck))}')
        diagnosis, changed = self._diagnosis
        if diagnosis is not None and changed > seen:
            pieces.append(f'"diagnosis":{_json(asdict(diagnosis))}')
        events = [event for event in self._events if event.number > told]
        if events:
            shown = [as_list(event) for event in events[-EVENTS_A_FRAME:]]
            lost = events[0].number - told - 1 if len(self._events) == EVENTS else 0
            left_out = lost + len(events) - len(shown)
            pieces.append(f'"events":{_json(shown)}')
            if left_out and seen:
                pieces.append(f'"events_left_out":{left_out}')
        return (",".join(pieces) + "}\n").encode(errors="replace")


def as_list(event: Event) -> list[Any]:
    """Return an event as a frame has it."""
    return [event.number, round(event.time, 6), event.what, event.path, event.detail[:500]]


def _rounded(rate: float) -> float:
    """Return a rate with three digits that count.

    >>> _rounded(12345.6), _rounded(0.12345), _rounded(-1)
    (12300, 0.123, 0)
    """
    if rate <= 0:
        return 0
    return int(float(f"{rate:.3g}")) if rate >= 100 else float(f"{rate:.3g}")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
