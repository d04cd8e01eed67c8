"""The diagnosis: which component holds up the others, and why, in one sentence.

Theory
------
Who waits for whom is a graph. Who waits for room in an inbox waits for its reader; who waits for a message
waits for all that may send one. Followed from those who are held up, each way ends at somebody who waits for
nobody in the system, and it is that component's doing; or it goes round.

The causes are looked for in this order, the definite ones first:

| kind | what it is |
| --- | --- |
| `busy-step` | one step lasts, or one component's steps take all the time, so that nobody else has a turn |
| `stuck-group` | components that wait for each other, and for nobody else: it will never end |
| `full-box` | an inbox is full, and its reader waits for something else, or nobody reads it |
| `slow-consumer` | others wait for room in the inbox of one that works, sleeps or awaits |
| `outside` | others wait for one that waits for something outside: a peer, a process, a program |
| `outside` | nothing is blocked, and nothing moves: all wait for one that waits for something outside |
| `none` | nobody holds up anybody |

To wait is no fault. In a pipeline that runs as fast as it can everybody waits for room most of the time,
while others run. So nobody is named for one instant: it has to have been so for most of the last one or two
seconds. And of a reader behind whom others wait it is asked what it does:

- its code runs for two thirds of the time or more, and it takes fewer than `SLOW_CODE` messages a second:
  it is slow;
- it sleeps, awaits, or works in a thread of its own most of the time, and takes fewer than `SLOW` messages a
  second: it is slow. A part that holds others back on purpose, as a rate limit does, says so with a class
  attribute, ``holds_back = True``; it is named only where it lets nothing pass;
- it waits for something else, and has not taken a step for a while: the box is full;
- it waits for something outside, such as a connection, and nothing goes there;
- its turn is next, or its code runs now and then: that is the usual pace of things, and nobody is named.

And who waits for a message of a source that has nothing to send is idle. That is said only where most of the
system waits for one, which has not gone on and does not just sleep: a timer has its time.
"""

from __future__ import annotations

import threading
from _thread import get_ident
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kamaelia.axon import body
from kamaelia.axon.clock import monotonic

from . import awaited, snapshot
from .watch import (
    LONG_STEP,
    SAMPLE_EVERY,
    SAMPLES,
    Event,
    Full,
    Seen,
    Times,
    Watch,
    is_in_box_call,
    usual_line,
    watch_of,
)

if TYPE_CHECKING:
    from kamaelia.axon import System
    from kamaelia.axon.link import Route
    from kamaelia.axon.process import Process

MOSTLY = 0.5  # of the time
LARGELY = 0.65
NEARLY_ALL = 0.85
OFTEN = 0.3
LOOKED = 1.2  # seconds that somebody looks who asks for a diagnosis of a system that nobody has looked at
ENOUGH = (
    0.25  # seconds that a system has to have been looked at before somebody is named for how long it took
)
STILL = 0.25  # seconds without a step after which a component is still
UNTAKEN = 0.75  # seconds in which somebody outside takes nothing, after which it does not just take its time
NOT_BEGUN = 5.0  # the same, where it has not taken anything yet: a process takes time to start
NOTHING_PASSES = 1.0  # seconds that one that holds back on purpose may let nothing pass
NOTHING_MOVES = 0.5  # seconds without a step after which a system does not move
SLOW = 500.0  # messages a second: who takes more is not slow, whatever it waits for
SLOW_SCRIPT = 150.0  # the same for a script: busy threads let each other go on every few milliseconds
SLOW_CODE = 4_000.0  # the same for one whose code runs all the time


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What holds a system up."""

    kind: str
    """``busy-step``, ``stuck-group``, ``full-box``, ``slow-consumer``, ``outside`` or ``none``."""
    sentence: str
    """All of it, for people."""
    culprit: str | None
    """The path of the component whose doing it is."""
    where: str | None
    """File and line of its code at which it is."""
    held: tuple[str, ...]
    """The paths of those who are held up."""
    group: tuple[str, ...]
    """Of a stuck group: the paths of all who are in it."""

    def __str__(self) -> str:
        return self.sentence


def diagnose(system: System) -> Diagnosis:
    """What `System.diagnose` does: say what holds a system up.

    A system that nobody looks at is looked at for a moment first, if this is another thread than its own. In
    its own it is about what earlier looks have seen; the first call there only knows what can be seen at one
    instant, which is a group that waits for itself.
    """
    watch = watch_of(system)
    if get_ident() != system.scheduler.thread and not watch.is_sampled:
        end = monotonic() + LOOKED
        next_look, pause = 0.0, threading.Event()
        while (now := monotonic()) < end:
            watch.sample()
            if now >= next_look:
                next_look = now + max(LOOKED / 12, watch.look())
            pause.wait(SAMPLE_EVERY)
    return find(watch)


def find(watch: Watch) -> Diagnosis:
    """Say what holds up a system that a watch has looked at."""
    with watch.lock:
        watch.look()
        return _Doctor(watch).find()


@dataclass(slots=True)
class _Cause:
    """What somebody is named for, and who is held up by it."""

    kind: str
    what: str  # it does, after "it", or a whole clause
    culprit: Process
    advice: str
    where: str | None = None
    box: Any = None  # the full inbox
    held: dict[Process, None] = field(default_factory=dict)
    outside: bool = False  # what comes from outside is held up, too
    others: int = 0  # that are as slow, and in the same place

    @property
    def definite(self) -> bool:
        return self.kind == "full-box"


class _Doctor:
    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._system = watch.system
        self._now = watch._last
        self._processes = [one for one in snapshot.processes_of(watch.system) if one.state != "ended"]
        self._doing = {one: self._usually(one) for one in self._processes}

    def _usually(
        self, process: Process
    ) -> tuple[str, tuple[Any, ...], tuple[Process, ...], tuple[Route, ...]]:
        """Return what a component does; of one whose turn has just come, what it did most of the time."""
        doing = snapshot.doing_at(process)
        if process is self._system.scheduler.running:
            return "running", (), (), ()
        times = self._watch.times_of(process)
        in_call = doing[0] == "working" and is_in_box_call(process)
        if times is None or not (doing[0] == "ready" or in_call):
            return doing
        usual = times.usual_state()
        # In a chain of those who wait one may have been let go on at this very moment.
        if times.sent and times.usual_share("sending") >= OFTEN:
            readers = tuple(map(snapshot.reader_of, times.sent))
            return "sending", tuple(map(snapshot.target_of, times.sent)), readers, times.sent
        if usual in ("sleeping", "awaiting", "working"):
            return usual, (), (), ()
        return ("ready", (), (), ()) if in_call else doing

    def find(self) -> Diagnosis:
        for look in (self._busy_step, self._stuck_group, self._blocked, self._nothing_moves):
            found = look()
            if found is not None:
                return found
        return self._none()

    # -- a step that lasts ------------------------------------------------------------------------------

    def _busy_step(self) -> Diagnosis | None:
        stuck = self._watch.stuck
        if stuck is not None:
            who = stuck.path or "a task or callback that is no component's"
            what = "its step" if stuck.path else "it"
            sentence = (
                f"{who} holds up everybody: {what} has lasted {_seconds(stuck.seconds)}, at {stuck.where}; "
                f"{_NO_BLOCKING}"
            )
            others = [one for one in self._processes if one.path != stuck.path and one.has_body]
            return Diagnosis("busy-step", sentence, stuck.path or None, stuck.where, _paths(others), ())
        if self._watch.watched < ENOUGH:
            return None
        for process in self._processes:
            times = self._times(process)
            share, step = times.running_share, times.mean_step()
            if share < NEARLY_ALL or times.sampled.all_looks < SAMPLES or step < LONG_STEP:
                continue
            if times.surely_running_share < LARGELY:
                continue
            others = [one for one in self._processes if one is not process and self._is_kept_waiting(one)]
            if others:
                where = usual_line(times.lines) or _function(process)
                sentence = (
                    f"{process.path} holds up everybody: its code takes {share:.0%} of the time, "
                    f"{_seconds(step)} at a step, mostly at {where}; {_NO_BLOCKING}"
                )
                return Diagnosis("busy-step", sentence, process.path, where, _paths(others), ())
        return None

    def _is_kept_waiting(self, process: Process) -> bool:
        times = self._times(process)
        return times.share("ready") >= OFTEN or times.share("sending") >= OFTEN

    # -- a group that waits for itself -------------------------------------------------------------------

    def _stuck_group(self) -> Diagnosis | None:
        """Find the largest group all of whose members wait, and only for members."""
        group: dict[Process, list[Process]] = {}
        for process in self._processes:
            others = self._waits_only_for(process)
            if others is not None:
                group[process] = others
        ring: list[Process] = []
        while group:
            _take_out_who_is_free(group)
            # Who waits for the group is held up by it, and not in it: in it are those on a ring.
            ring = [one for one in group if self._leads_back(one, group)]
            limited = [one for one in ring if body.has_time_limit(one)]
            if not limited:
                break
            for one in limited:
                del group[one]
        if not ring:
            return None
        waits = "; ".join(f"{one.path} {self._what(one)}, at {body.where(one)}" for one in ring[:4])
        more = f"; and {len(ring) - 4} more" if len(ring) > 4 else ""
        if len(ring) == 1:
            sentence = f"{ring[0].path} waits for itself: it {self._what(ring[0])}, at {body.where(ring[0])}"
        else:
            sentence = (
                f"{_listed(_paths(ring))} wait for each other, and nobody else can end that: {waits}{more}"
            )
        if any(self._doing[one][0] == "sending" for one in ring):
            sentence += (
                "; give a box of the ring more room (size=...), drop what is too much (when_full=...), or "
                "let one take what comes with select() before it sends more"
            )
        else:
            sentence += "; one of them has to send first"
        held = [one for one in group if one not in ring]
        return Diagnosis(
            "stuck-group", sentence, ring[0].path, body.where(ring[0]), _paths(held), _paths(ring)
        )

    def _waits_only_for(self, process: Process) -> list[Process] | None:
        """Return the only components that may wake one; None if something else may."""
        state, boxes, readers, routes = self._doing[process]
        if state not in ("sending", "receiving") or not self._is_lasting(process):
            return None
        wait = process.wait
        if wait is None or wait.timed:
            return None
        if state == "sending":
            return None if any(map(self._is_transport, routes)) else list(readers)
        sources: list[Process] = []
        for box in boxes:
            if len(box.queue) or box.holds or box.outside or box.ended:
                return None
            found = list(_sources_of(box))
            if any(one is None or one is process for one in found):
                return None  # its own: a part of it sends there, or something calls it back
            sources += [one for one in found if one is not None]
        return sources or None

    def _is_lasting(self, process: Process) -> bool:
        """Say whether a component has been in its wait for a while; in its own thread an instant is true."""
        if get_ident() == self._system.scheduler.thread:
            return True
        return self._stillness(process) >= STILL

    def _leads_back(self, start: Process, group: dict[Process, list[Process]]) -> bool:
        seen: set[Process] = set()
        todo = list(group[start])
        while todo:
            one = todo.pop()
            if one is start:
                return True
            if one not in seen:
                seen.add(one)
                todo += group[one]
        return False

    # -- who waits for room, and for whom ------------------------------------------------------------------

    def _blocked(self) -> Diagnosis | None:
        """Follow those who wait for room to those who wait for nobody."""
        if self._watch.watched < ENOUGH or self._watch.looks < 3:
            return None
        causes: dict[Any, _Cause] = {}
        for process in self._processes:
            doing, times = self._doing[process], self._times(process)
            if (
                doing[0] == "sending"
                and times.usual_share("sending") >= MOSTLY
                and self._are_linked(doing[3])
            ):
                self._follow(doing[3], [process], causes)
        for full in list(self._watch.fulls()):
            looks = self._watch.looks - full.first + 1
            if full.looks < OFTEN * looks or self._now - full.since < STILL:
                continue
            if full.outside:
                for cause in self._follow((full.route,), [], causes):
                    cause.outside = True
            elif full.source is not None and self._are_linked((full.route,)):
                self._follow((full.route,), [full.source], causes)
        best = max(causes.values(), key=lambda one: (len(one.held), one.definite), default=None)
        return None if best is None else self._say(best)

    def _follow(self, routes: Iterable[Route], way: list[Process], causes: dict[Any, _Cause]) -> list[_Cause]:
        """Find who is to blame that there is no room at the end of some routes; return the causes."""
        found: list[_Cause] = []
        seen: set[Any] = set()
        todo = [(route, way) for route in routes]
        while todo:
            route, way = todo.pop()
            if route.queue in seen:
                continue
            seen.add(route.queue)
            reader = snapshot.reader_of(route)
            further = self._further(reader, route)
            if further:
                todo += [(one, [*way, reader]) for one in further]
                continue
            cause = self._why(reader, route, way)
            if cause is not None:
                cause = causes.setdefault((cause.culprit, cause.kind), cause)
                cause.held.update(dict.fromkeys(one for one in way if one is not cause.culprit))
                found.append(cause)
        return found

    def _further(self, reader: Process, route: Route) -> list[Route]:
        """Return the routes at whose ends a reader waits for room itself, or something of its does."""
        if self._is_transport(route):
            return []
        state, _, _, routes = self._doing.get(reader, _GONE)
        if state == "sending":
            return list(routes)
        if state != "awaiting":
            return []
        # Tasks that it has started, a connection or a process may send for it.
        outgoing = [one for box in reader.outboxes for one in tuple(box.routes)]
        return [one for one in outgoing if one.when_full == "wait" and one.queue.waiting() >= one.queue.size]

    def _why(self, reader: Process, route: Route, way: list[Process]) -> _Cause | None:
        """Say why there is no room at the end of a route; None if its reader just does its work."""
        box = snapshot.target_of(route)
        full = self._watch.full_of(route)
        # Where there is nothing to take, it is no wonder that nothing is taken.
        untaken = 0.0 if full is None or self._is_nearly_empty(route) else full.untaken(self._now)
        outside_lets_wait = untaken >= (UNTAKEN if route.queue.received else NOT_BEGUN)
        if self._is_transport(route):
            if not outside_lets_wait:
                return None
            peer = "waits for the other end of its connection, which takes nothing"
            return self._cause("outside", peer, reader, _PEER, box=box)
        if not reader.path:  # what `background` has put around it all
            if not outside_lets_wait or not way:
                return None
            what = "waits for the program that has started it to take what it sends"
            return self._cause("outside", what, way[-1], "call handle.receive(), or close the box", box=box)
        seat = reader.parent
        if seat is not None and self._times(seat).usual_share("vacant") >= MOSTLY:
            reader = seat  # whose occupants do not last
        state, boxes, _, _ = self._doing.get(reader, _GONE)
        times = self._times(reader)
        if times.usual_share("vacant") >= MOSTLY:
            state = "vacant"
        if state == "receiving":
            if any(len(one.queue) for one in boxes) or self._stillness(reader) < STILL:
                return None  # its turn is next, or it takes now from one and now from another
            within = self._within(reader, boxes)
            if within is not None:
                return within
            names = ", ".join(one.name for one in (box, *boxes) if one.owner is reader)
            return self._cause(
                "full-box",
                f"{self._what(reader)} and does not read {box.name}",
                reader,
                f"let it take from both, with select({names})",
                box=box,
            )
        if state == "sleeping":
            on_purpose = bool(getattr(type(reader.component), "holds_back", False))
            if times.usual_share(state) < MOSTLY or (on_purpose and untaken < NOTHING_PASSES):
                return None
            what = "holds back on purpose, and lets nothing pass" if on_purpose else "sleeps"
            advice = "is that rate what was meant?" if on_purpose else "let it sleep less for each message"
            return self._cause("slow-consumer", what, reader, advice, box=box, full=full)
        if state in ("awaiting", "working"):
            return self._why_foreign(reader, box, full, outside_lets_wait)
        if state in ("holding", "vacant", "new"):
            if full is None or self._is_nearly_empty(route) or times.usual_share(state) < MOSTLY:
                return None
            # One that is refilled again and again may be as quick as it can be, or fail again and again.
            lasts = self._now - times.since >= (UNTAKEN if state == "vacant" else STILL)
            if not lasts and (len(self._failures_in(reader)) < 2 or full.pace(self._now) >= SLOW):
                return None
            return self._why_empty(reader, state, box)
        is_busy = times.running_share >= LARGELY and times.surely_running_share >= MOSTLY
        if is_busy and full is not None and full.pace(self._now) < SLOW_CODE:
            what = f"is busy: its code takes {times.running_share:.0%} of the time"
            where = usual_line(times.lines) or _function(reader)
            return self._cause("slow-consumer", what, reader, _BUSY, box=box, full=full, where=where)
        return None

    def _why_foreign(
        self, reader: Process, box: Any, full: Full | None, outside_lets_wait: bool
    ) -> _Cause | None:
        """Say why one that awaits something takes no messages, or few."""
        state, times = self._doing[reader][0], self._times(reader)
        if times.usual_share(state) < MOSTLY:
            return None
        if state == "awaiting" and times.verb == "see the end of":  # a child's
            return self._within(reader, ())
        if state == "awaiting" and times.verb:
            if not outside_lets_wait:
                return None
            return self._cause("outside", self._what(reader), reader, _OUTSIDE, box=box)
        if full is None or full.pace(self._now) >= (SLOW_SCRIPT if state == "working" else SLOW):
            return None
        if state == "working":
            advice = "let no call in a script block for long, or have several copies of it (Pool)"
        else:
            advice = _SEVERAL
        return self._cause("slow-consumer", self._what(reader), reader, advice, box=box, full=full)

    def _why_empty(self, reader: Process, state: str, box: Any) -> _Cause:
        if state == "vacant":
            what, advice = self._why_vacant(reader)
        elif state == "new":
            what, advice = "has not begun", "what comes before it in its chassis has to end first"
        else:
            what = f"has nothing linked to {box.name} inside of it"
            advice = f"link it to a part in there: self.link(self.{box.name}, part.inbox)"
        return self._cause("full-box", what, reader, advice, box=box)

    def _why_vacant(self, seat: Process) -> tuple[str, str]:
        """Say why nobody sits in a seat, and what to do."""
        failures = self._failures_in(seat)
        if failures:
            last = failures[-1]
            times = "once" if len(failures) == 1 else f"{len(failures)} times"
            return (
                f"is empty: who sat there has failed {times} of late, and at last with {last.detail}",
                "mend that first",
            )
        return "is empty: nobody sits there at present", "it has to be told who comes next"

    def _failures_in(self, seat: Process) -> list[Event]:
        within = seat.path + "/"
        return [
            one for one in list(self._watch.events) if one.what == "failed" and one.path.startswith(within)
        ]

    def _within(self, chassis: Process, boxes: Iterable[Any]) -> _Cause | None:
        """Find who is to blame in a chassis that waits for what its own children send; None if it waits for
        somebody else."""
        senders = {one for box in boxes for one in _sources_of(box)}
        family = [one for one in _family(chassis) if one is not chassis]
        if not family or not senders <= {chassis, *family}:
            return None
        found: list[Process] = []
        for child in family:
            state = self._doing.get(child, _GONE)[0]
            lasting = self._stillness(child) >= STILL or self._times(child).usual_share(state) >= MOSTLY
            if state in ("awaiting", "working", "sleeping", "sending") and lasting:
                found.append(child)
        if not found:
            return None
        longest = max(map(self._stillness, found))
        culprit = min((one for one in found if 2 * self._stillness(one) >= longest), key=lambda one: one.path)
        from_outside = self._doing[culprit][0] == "awaiting" and self._times(culprit).verb
        kind = "outside" if from_outside else "slow-consumer"
        what = self._what(culprit)
        cause = self._cause(kind, what, culprit, _MORE_COPIES if len(found) > 1 else _SLOW_PART)
        cause.others = len(found) - 1
        cause.held[chassis] = None
        return cause

    def _cause(
        self,
        kind: str,
        what: str,
        culprit: Process,
        advice: str,
        *,
        box: Any = None,
        full: Full | None = None,
        where: str | None = None,
    ) -> _Cause:
        if full is not None:
            pace = full.pace(self._now)
            if not pace:
                what += f", and has taken no message for {_seconds(full.untaken(self._now))}"
            elif kind == "slow-consumer":
                what += f", and takes {pace:.3g} messages a second"
        if where is None and culprit.has_body and not culprit.body_done:
            where = usual_line(self._times(culprit).waits) or body.where(culprit)
        return _Cause(kind, what, culprit, advice, where, box)

    def _say(self, cause: _Cause) -> Diagnosis:
        culprit, held = cause.culprit, list(cause.held)
        whom = [*_paths(held), "what comes from outside"] if cause.outside else [*_paths(held)]
        sentence = f"{culprit.path} " + (f"holds up {_listed(whom)}" if whom else "is held up")
        sentence += f": it {cause.what}"
        if cause.where is not None:
            sentence += f", at {cause.where}"
        if cause.box is not None:
            queue = cause.box.queue
            unit = " bytes" if queue.in_bytes else ""
            sentence += f" ({cause.box} holds {queue.waiting()} of {queue.size}{unit})"
        if cause.others:
            sentence += f", and {cause.others} like it {'does' if cause.others == 1 else 'do'} the same"
        sentence += f"; {cause.advice}"
        return Diagnosis(cause.kind, sentence, culprit.path, cause.where, _paths(held), ())

    def _what(self, process: Process) -> str:
        """Say what a component does, after "it" or its name."""
        state, boxes, _, routes = self._doing[process]
        if state == "sending":
            if any(map(self._is_transport, routes)):
                return "waits for the other end of its connection"
            full = [f"{box} ({box.queue.waiting()} of {box.queue.size})" for box in boxes]
            return f"waits for room in {_listed(full)}"
        if state == "receiving":
            return (
                f"waits for a message in {_listed([str(box) for box in boxes])}{self._from(process, boxes)}"
            )
        if state == "sleeping":
            return "sleeps"
        if state == "working":
            return "works, or waits, in a thread of its own"
        if state == "awaiting":
            return awaited.describe(process, self._times(process).verb)
        return f"is {state}"

    def _from(self, process: Process, boxes: Iterable[Any]) -> str:
        """Say from whom a message would come."""
        sources = dict.fromkeys(one for box in boxes for one in _sources_of(box) if one is not process)
        named = [one.path for one in sources if one is not None]
        if None in sources:
            named.append("outside")
        return f" from {_listed(named)}" if named else ""

    # -- nothing moves ---------------------------------------------------------------------------------------

    def _nothing_moves(self) -> Diagnosis | None:
        bodies = [one for one in self._processes if one.has_body and not one.body_done]
        if self._watch.watched < NOTHING_MOVES or self._watch.looks < 3 or not bodies:
            return None
        bodies = [one for one in bodies if one is not self._system.scheduler.running]
        blamed: dict[Process, dict[Process, None]] = {}
        for process in bodies:
            if self._doing[process][0] == "receiving" and self._stillness(process) >= NOTHING_MOVES:
                for source in self._silent_sources(process):
                    blamed.setdefault(source, {})[process] = None
        culprit, starved = max(blamed.items(), key=lambda pair: len(pair[1]), default=(None, {}))
        if culprit is None or 2 * (len(starved) + 1) < len(bodies):
            return None
        where = body.where(culprit)
        wait = "wait" if len(starved) > 1 else "waits"
        sentence = (
            f"nothing moves: {culprit.path} {self._what(culprit)}, at {where}, and "
            f"{_listed(_paths(starved))} {wait} for what it sends"
        )
        return Diagnosis("outside", sentence, culprit.path, where, _paths(starved), ())

    def _silent_sources(self, process: Process) -> Iterator[Process]:
        """Yield those on whom a component waits, directly or not, and who have been doing something else."""
        seen = {process}
        todo = [process]
        while todo:
            one = todo.pop()
            state, boxes, _, _ = self._doing.get(one, _GONE)
            if state == "receiving":
                sources = (source for box in boxes for source in _sources_of(box))
                fresh = dict.fromkeys(one for one in sources if one is not None and one not in seen)
                seen.update(fresh)
                todo += fresh
            elif state in ("awaiting", "working") and self._stillness(one) >= NOTHING_MOVES:
                yield one

    def _none(self) -> Diagnosis:
        bodies = [one for one in self._processes if one.has_body and not one.body_done]
        counts = Counter(_STATES.get(self._doing[one][0], _OTHER) for one in bodies)
        found = [f"{count} {words}" for words, count in counts.most_common()]
        if not bodies:
            sentence = "nobody holds up anybody: nothing runs"
        elif len(found) == 1 and len(bodies) > 1:
            sentence = f"nobody holds up anybody: all {found[0].replace(' ', ' components are ', 1)}"
        else:
            sentence = f"nobody holds up anybody: of {len(bodies)} components {_listed(found, 9)}"
        return Diagnosis("none", sentence, None, None, (), ())

    # -- what is known of a component ---------------------------------------------------------------------

    def _times(self, process: Process) -> Times:
        return self._watch.times_of(process) or Times(process.steps, Seen(), Seen(), self._now)

    def _stillness(self, process: Process) -> float:
        """Return for how many seconds a component has been seen in the very wait that it is in."""
        times = self._times(process)
        return self._now - times.since if times.steps_seen == process.steps else 0.0

    def _is_nearly_empty(self, route: Route) -> bool:
        """Say whether few messages wait at the end of a route; with room for few that may be by chance."""
        queue = route.queue
        return queue.size >= 8 and 4 * queue.waiting() < queue.size

    def _are_linked(self, routes: Iterable[Route]) -> bool:
        """Say whether routes are still there: one that was seen earlier may be gone."""
        return all(route in tuple(route.outbox.routes) for route in routes)

    def _is_transport(self, route: Route) -> bool:
        """Say whether what arrives at the end of a route goes outside: then no component has that inbox."""
        box = snapshot.target_of(route)
        return box.owner.box_named(box.name) is not box


_GONE: tuple[str, tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]] = ("ended", (), (), ())
_OTHER = "doing something else"
_STATES = {
    "receiving": "waiting for messages",
    "sending": "waiting for room",
    "sleeping": "sleeping",
    "awaiting": "awaiting something of asyncio's, or outside",
    "working": "working in threads of their own",
    "ready": "ready to go on",
    "running": "running",
}
_NO_BLOCKING = (
    "nothing may block in a coroutine or generator: what waits belongs into a script (a plain def) or "
    "asyncio.to_thread, what computes for long into a Worker"
)
_PEER = "who does not read for long can be let go (stall_timeout=...)"
_OUTSIDE = "see what keeps the other side"
_SEVERAL = "see to it that this comes, or work on several messages at a time (Map(..., concurrency=n), Pool)"
_BUSY = "make it cheaper, or share its work (Pool, Worker)"
_MORE_COPIES = "make it quicker, or have more copies"
_SLOW_PART = "make it quicker, or have several (Pool)"


def _take_out_who_is_free(group: dict[Process, list[Process]]) -> None:
    """Leave only those who wait for nobody but each other."""
    while free := [one for one, others in group.items() if not all(other in group for other in others)]:
        for one in free:
            del group[one]


def _function(process: Process) -> str:
    """Say which function a component's body is."""
    for frame in body.frames_of(process.coroutine):
        code = frame.f_code
        return f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno} in {code.co_name}"
    return body.where(process)


def _family(process: Process) -> Iterator[Process]:
    todo = [process]
    while todo:
        one = todo.pop()
        yield one
        todo += list(one.children)


def _sources_of(box: Any) -> Iterator[Process | None]:
    """Yield who may send to a box; None for somebody outside."""
    for wire in tuple(box.incoming):
        if wire.outside:
            yield None
        elif wire.open:
            source = wire.source
            if not source.is_inbox and source.own:
                yield source.owner
            else:
                yield from _sources_of(source)
                if source.holds or source.outside:
                    yield None
    if box.is_inbox:
        lender = _lender_of(box)
        if lender is not None:
            yield from _sources_of(lender)


def _lender_of(box: Any) -> Any:
    """Return the seat's inbox from whose queue a box reads; None if it has its own."""
    at = box
    while len(wires := tuple(at.incoming)) == 1:
        if wires[0].lends_to is box:
            return wires[0].source
        at = wires[0].source
        if not at.is_inbox:
            break
    return None


def _paths(processes: Iterable[Process]) -> tuple[str, ...]:
    return tuple(one.path for one in processes)


def _listed(texts: Iterable[str], most: int = 4) -> str:
    """Return texts as a sentence has them.

    >>> _listed(["a"]), _listed(["a", "b"]), _listed("abcdef")
    ('a', 'a and b', 'a, b, c and 3 more')
    """
    texts = list(texts)
    if len(texts) > most:
        texts = [*texts[: most - 1], f"{len(texts) - most + 1} more"]
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
