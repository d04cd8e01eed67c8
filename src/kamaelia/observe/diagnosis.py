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
| `outside` | nothing is blocked, and nothing moves: all wait for one that waits for something outside |
| `none` | nobody holds up anybody |

To wait is no fault. In a pipeline that runs as fast as it can everybody waits for room most of the time,
while others run: so nobody is named because of a wait of which the reader's own code, at its usual pace, is
the cause; only one that runs nearly all of the time is. And who waits for a message of a source that has
nothing to send is idle: that is only said where nothing else moves either.
"""

from __future__ import annotations

import threading
from _thread import get_ident
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kamaelia.axon import body
from kamaelia.axon.clock import monotonic

from . import snapshot
from .watch import SAMPLE_EVERY, SPAN, Times, Watch, watch_of

if TYPE_CHECKING:
    from kamaelia.axon import System
    from kamaelia.axon.process import Process

MOSTLY = 0.5  # of the time
NEARLY_ALL = 0.8
LOOKED = 0.6  # seconds that somebody looks who asks for a diagnosis of a system that nobody has looked at
LONG_STEP = 0.02  # seconds


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

    A system that nobody looks at is looked at for a moment first, if this is another thread than its own; in
    its own, what it does at this instant, and what earlier snapshots have seen, has to do.
    """
    watch = watch_of(system)
    if get_ident() != system.scheduler.thread and not watch.is_sampled:
        end = monotonic() + LOOKED
        next_look, pause = 0.0, threading.Event()
        while (now := monotonic()) < end:
            watch.sample()
            if now >= next_look:
                watch.look()
                next_look = now + LOOKED / 12
            pause.wait(SAMPLE_EVERY)
    return find(watch)


def find(watch: Watch) -> Diagnosis:
    """Say what holds up a system that a watch has looked at."""
    with watch.lock:
        watch.look()
        return _Doctor(watch).find()


class _Doctor:
    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._system = watch.system
        self._processes = [one for one in snapshot.processes_of(watch.system) if one.state != "ended"]
        self._doing = {one: snapshot.doing(one) for one in self._processes}

    def find(self) -> Diagnosis:
        for look in (self._busy_step, self._stuck_group, self._blocked, self._outside):
            found = look()
            if found is not None:
                return found
        return self._none()

    # -- a step that lasts ------------------------------------------------------------------------------

    def _busy_step(self) -> Diagnosis | None:
        stuck = self._watch.stuck
        if stuck is not None:
            sentence = (
                f"{stuck.path} holds up everybody: its step has lasted {_seconds(stuck.seconds)}, at "
                f"{stuck.where}. In a coroutine or generator nothing may block: make it a script, or use "
                "asyncio.to_thread"
            )
            others = [one for one in self._processes if one.path != stuck.path and one.has_body]
            return Diagnosis("busy-step", sentence, stuck.path, stuck.where, _paths(others), ())
        for process in self._processes:
            times = self._times(process)
            share, step = times.running_share, times.mean_step(process.steps)
            if share >= NEARLY_ALL and step >= LONG_STEP:
                where = body.where(process)
                sentence = (
                    f"{process.path} holds up everybody: its code takes {share:.0%} of the time, "
                    f"{_seconds(step)} at a step, and nobody else has a turn meanwhile (it is at {where})"
                )
                others = [one for one in self._processes if one is not process and one.has_body]
                return Diagnosis("busy-step", sentence, process.path, where, _paths(others), ())
        return None

    # -- a group that waits for itself -------------------------------------------------------------------

    def _stuck_group(self) -> Diagnosis | None:
        """Find the largest group all of whose members wait, and only for members."""
        group: dict[Process, list[Process]] = {}
        for process in self._processes:
            others = self._waits_only_for(process)
            if others is not None:
                group[process] = others
        while True:
            free = [one for one, others in group.items() if not all(other in group for other in others)]
            if not free:
                break
            for one in free:
                del group[one]
        # Who waits for the group is held up by it, and not in it: in it are those on a ring.
        ring = [one for one in group if self._leads_back(one, group)]
        if not ring:
            return None
        waits = "; ".join(f"{one.path} {self._what(one)}" for one in ring[:4])
        more = f"; and {len(ring) - 4} more" if len(ring) > 4 else ""
        sentence = f"{_listed(_paths(ring))} wait for each other, and nobody else can end that: {waits}{more}"
        held = [one for one in group if one not in ring]
        return Diagnosis(
            "stuck-group", sentence, ring[0].path, body.where(ring[0]), _paths(held), _paths(ring)
        )

    def _waits_only_for(self, process: Process) -> list[Process] | None:
        """Return the only components that may wake one; None if something else may."""
        state, boxes, readers = self._doing[process]
        wait = process.wait
        if wait is None or wait.timed or body.has_time_limit(process):
            return None
        if state == "sending":
            return list(readers) if process not in readers else None  # its own: a transport, of the outside
        if state != "receiving":
            return None
        sources: list[Process] = []
        for box in boxes:
            if len(box.queue) or box.holds or box.outside or box.ended:  # type: ignore[attr-defined]
                return None
            found = list(_sources_of(box))
            if any(one is None for one in found):
                return None
            sources += [one for one in found if one is not None]
        return sources or None

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
        blamed: dict[Process, dict[Process, None]] = {}  # and who waits for it, directly or not
        for process in self._processes:
            if self._doing[process][0] == "sending" and self._times(process).share("sending") >= MOSTLY:
                for end, on_the_way in self._ends_of(process):
                    blamed.setdefault(end, {}).update(dict.fromkeys(on_the_way))
        for culprit, held in sorted(blamed.items(), key=lambda pair: -len(pair[1])):
            why = self._why(culprit)
            if why is not None:
                return self._name(culprit, [one for one in held if one is not culprit], *why)
        return None

    def _ends_of(self, process: Process) -> Iterable[tuple[Process, list[Process]]]:
        """Yield those who wait for nobody's room, with who waits for them on the way."""
        seen = {process}
        todo = [(process, [process])]
        while todo:
            one, way = todo.pop()
            for reader in self._doing.get(one, ("", (), ()))[2]:
                if reader is one:  # what it sends to is read by a transport
                    yield one, way
                elif reader not in seen:
                    seen.add(reader)
                    if self._doing.get(reader, ("",))[0] == "sending":
                        todo.append((reader, [*way, reader]))
                    else:
                        yield reader, way

    def _why(self, culprit: Process) -> tuple[str, str] | None:
        """Return which kind of cause a component is for those who wait for it, and what it does; None if it
        just does its work."""
        state = self._doing.get(culprit, ("ended", (), ()))[0]
        times = self._times(culprit)
        if state == "sending":
            return "outside", "waits for the other end of its connection, which takes nothing"
        if state == "receiving":
            if any(len(box.queue) for box in self._doing[culprit][1]):  # type: ignore[attr-defined]
                return None  # it has been given a message, and has its turn next
            if times.share("receiving") < MOSTLY:
                return None
            return "full-box", self._what(culprit)
        if state in ("sleeping", "awaiting", "working"):
            if times.share(state) < MOSTLY:
                return None
            return "slow-consumer", self._what(culprit)
        if state in ("holding", "vacant", "new"):
            what = {"vacant": "nobody sits there at present", "new": "it has not begun"}
            return "full-box", what.get(state, "nothing is linked to that inbox inside of it")
        if times.running_share >= NEARLY_ALL:
            return "slow-consumer", f"is busy: its code takes {times.running_share:.0%} of the time"
        return None

    def _name(self, culprit: Process, held: list[Process], kind: str, what: str) -> Diagnosis:
        where = body.where(culprit) if culprit.has_body else None
        full = [
            f"{box} holds {box.queue.waiting()} of {box.queue.size}"
            for box in culprit.inboxes
            if not box.wired and box.queue.waiting() >= box.queue.size // 2 > 0
        ]
        who = _listed(_paths(held)) or "nobody"
        sentence = (
            f"{culprit.path} holds up {who}: it {what}" if held else f"{culprit.path} is held up: it {what}"
        )
        sentence = (
            sentence.replace("it nobody", "nobody").replace("it nothing", "nothing").replace("it it", "it")
        )
        if where is not None:
            sentence += f", at {where}"
        if full:
            sentence += f" ({'; '.join(full)})"
        return Diagnosis(kind, sentence, culprit.path, where, _paths(held), ())

    def _what(self, process: Process) -> str:
        """Say what a component does, after "it" or its name."""
        state, boxes, _ = self._doing[process]
        if state == "sending":
            return f"waits for room in {_listed([str(box) for box in boxes])}"
        if state == "receiving":
            return f"waits for a message in {_listed([str(box) for box in boxes])}"
        if state == "sleeping":
            return "sleeps"
        if state == "working":
            return "works, or waits, in its own thread"
        if state == "awaiting":
            awaited = process.future
            task = getattr(awaited, "get_name", None)
            kind = type(awaited).__name__
            return f"awaits asyncio's {kind}{f' {task()!r}' if task is not None else ''}"
        return f"is {state}"

    # -- nothing moves ---------------------------------------------------------------------------------------

    def _outside(self) -> Diagnosis | None:
        bodies = [one for one in self._processes if one.has_body and not one.body_done]
        if self._watch.watched < SPAN / 2 or not bodies:
            return None
        blamed: dict[Process, set[Process]] = {}
        for process in bodies:
            state, boxes, _ = self._doing[process]
            if state != "receiving" or self._times(process).share(state) < NEARLY_ALL:
                continue
            seen = {process}
            todo = [source for box in boxes for source in _sources_of(box) if source is not None]
            while todo:
                one = todo.pop()
                if one in seen:
                    continue
                seen.add(one)
                doing = self._doing.get(one, ("ended", (), ()))
                if doing[0] in ("awaiting", "working", "sleeping") and self._is_still(one):
                    blamed.setdefault(one, set()).add(process)
                elif doing[0] == "receiving":
                    todo += [source for box in doing[1] for source in _sources_of(box) if source is not None]
        for culprit, starved in sorted(blamed.items(), key=lambda pair: -len(pair[1])):
            if 2 * (len(starved) + 1) < len(bodies):
                break
            where = body.where(culprit)
            held = [one for one in self._processes if one in starved]
            wait = "wait" if len(held) > 1 else "waits"
            sentence = (
                f"nothing moves: {culprit.path} {self._what(culprit)}, at {where}, and "
                f"{_listed(_paths(held))} {wait} for what it sends"
            )
            return Diagnosis("outside", sentence, culprit.path, where, _paths(held), ())
        return None

    def _is_still(self, process: Process) -> bool:
        """Say whether a component has not taken a step in the last one or two seconds."""
        return process.steps == self._times(process).steps_before

    def _none(self) -> Diagnosis:
        bodies = [one for one in self._processes if one.has_body and not one.body_done]
        waiting = [one for one in bodies if self._doing[one][0] == "receiving"]
        if bodies and len(waiting) == len(bodies):
            sentence = "nobody holds up anybody: all wait for messages"
        else:
            sentence = (
                f"nobody holds up anybody: of {len(bodies)} components {len(waiting)} wait for messages"
            )
        return Diagnosis("none", sentence, None, None, (), ())

    def _times(self, process: Process) -> Times:
        return self._watch.times_of(process) or Times(process.steps)


def _sources_of(box: Any) -> Iterable[Process | None]:
    """Yield who may send to a box; None for somebody outside."""
    for wire in list(box.incoming):
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
    if box.is_inbox and getattr(box, "lender", None) is not None:
        yield from _sources_of(box.lender.source)


def _paths(processes: Iterable[Process]) -> tuple[str, ...]:
    return tuple(one.path for one in processes)


def _listed(texts: Iterable[str]) -> str:
    """Return texts as a sentence has them.

    >>> _listed(["a"]), _listed(["a", "b"]), _listed("abcdef")
    ('a', 'a and b', 'a, b, c and 3 more')
    """
    texts = list(texts)
    if len(texts) > 4:
        texts = [*texts[:3], f"{len(texts) - 3} more"]
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
