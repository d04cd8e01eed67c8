"""A watch: who looks at a system again and again, and so knows what takes its time.

Theory
------
Axon counts messages and steps, and takes no times: to read a clock at each step would cost a fifth of all
speed. So times are found by looking. A **look** goes over all components and takes it that each has been
doing since the last look what it is doing now; after some tens of looks the sums are right, and a component
that has waited for room at each of them has done little else. Between looks, **samples** see whose step it
is: that is how long its code runs. The work of looking grows with the system, so the time between two looks
does, too: looking takes no more than a fiftieth of a core.

What is known about *late* is what was seen in the current and the last second. It is what rates, and the
diagnosis, are about; sums are from the beginning of the watch.

A look may be made from any thread. Of another than the system's own it sees no single instant: but each value
that it reads is one that was there. Looking changes nothing in the system, and in virtual time no event is
added to its clock.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kamaelia.axon import body, report
from kamaelia.axon.clock import monotonic

from . import snapshot
from .snapshot import Snapshot, StuckSnapshot

if TYPE_CHECKING:
    from kamaelia.axon import System
    from kamaelia.axon.process import Process

log = logging.getLogger("kamaelia")

LOOK_EVERY = 0.1  # seconds between two looks, at least
SAMPLE_EVERY = 0.01  # seconds between two samples of whose step it is
SHARE = 0.02  # of a core that looking may take
SPAN = 1.0  # seconds: what is known about late is that of one to two of these
STUCK = 0.25  # seconds that one and the same step is seen before it is said that nobody else can do anything
RATE_SPAN = 0.25  # seconds that a rate is about, at least
EVENTS = 1000  # that are kept


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened to a component."""

    number: int
    """Events are numbered from 1."""
    time: float
    """On the clock of the system."""
    what: str
    """``started``, ``ended``, ``stopped``, ``cancelled``, ``broken`` or ``failed``."""
    path: str
    """To which component."""
    detail: str = ""
    """Of a failure: the error, on one line."""


class Times:
    """What a watch knows about one component."""

    __slots__ = (
        *("before", "blocked", "blocked_by", "failures", "late", "ran", "ran_before", "running"),
        *("state", "steps", "steps_before"),
    )

    def __init__(self, steps: int) -> None:
        self.state: str | None = None  # at the last look
        self.running = 0.0
        self.ran = 0.0  # in this span
        self.ran_before = 0.0  # in the last one
        self.blocked = 0.0
        self.blocked_by: dict[str, float] = {}  # seconds, by the path of whom it has waited for
        self.failures = 0
        self.late: dict[Any, float] = {}  # seconds of this span, by what it was doing
        self.before: dict[Any, float] = {}  # of the last one
        self.steps = steps  # when this span began
        self.steps_before = steps  # when the last one did

    @property
    def blocked_on(self) -> str | None:
        """The path of the component that it has waited for most."""
        return max(self.blocked_by, key=self.blocked_by.__getitem__, default=None)

    def share(self, state: Any) -> float:
        """Return in how much of the last one or two seconds it was in a state, from 0 to 1."""
        span = self.span
        if not span:  # it has been looked at once
            return 1.0 if state == self.state else 0.0
        return (self.late.get(state, 0.0) + self.before.get(state, 0.0)) / span

    @property
    def running_share(self) -> float:
        """In how much of the last one or two seconds its code ran, from 0 to 1."""
        return (self.ran + self.ran_before) / self.span if self.span else 0.0

    def mean_step(self, steps: int) -> float:
        """Return how long its steps of the last one or two seconds were, given how many it has taken."""
        return (self.ran + self.ran_before) / max(1, steps - self.steps_before)

    @property
    def span(self) -> float:
        """What is known about late is about so many seconds."""
        return sum(self.late.values()) + sum(self.before.values())


class Watch:
    """Looks at a system, again and again.

    Arguments:
        system: to look at
        clock: what time it is for whoever looks; by default the real time, or the system's own where that is
            virtual
    """

    def __init__(self, system: System, clock: Callable[[], float] | None = None) -> None:
        self.system = system
        loop: Any = system.loop
        self._clock = clock or (loop.time if hasattr(loop, "clock") else monotonic)
        self.lock = threading.RLock()
        """Held while it looks: one looks at a time."""
        self.is_sampled = False
        """Whether somebody calls `sample` all the time."""
        self._began = self._last = self._span_began = self._clock()
        self._times: dict[Process, Times] = {}
        self._rates: dict[Any, tuple[float, int, float | None]] = {}
        self._rates_before = self._rates
        self._sampled = monotonic()
        self._step: tuple[Any, int, float] = (None, 0, 0.0)  # whose step, which, and since when it is seen
        self.stuck: StuckSnapshot | None = None
        """The step that lasts, as it was last seen."""
        self.started = self.ended = self.failed = 0
        self.events: deque[Event] = deque(maxlen=EVENTS)
        """What has happened, the oldest first."""
        self.changes = 0
        """How often the parts or links of the system have changed."""
        self._numbered = 0
        self.listeners: tuple[Callable[[Event], object], ...] = ()
        """Each is called with every event, on the system's own thread."""
        self._also = system.scheduler.observer
        system.scheduler.observer = self._observe
        self.look()

    def close(self) -> None:
        """Look no more."""
        if self.system.scheduler.observer == self._observe:
            self.system.scheduler.observer = self._also

    def resume(self) -> None:
        """Go on after a pause in which nobody has looked: what was done in it is not known."""
        with self.lock:
            now = self._clock()
            self._began += now - self._last
            self._last = self._span_began = now
            self._sampled = monotonic()
            self._step, self.stuck = (None, 0, 0.0), None
            for process, times in self._times.items():
                times.late, times.before = {}, {}
                times.ran = times.ran_before = 0.0
                times.steps = times.steps_before = process.steps

    @property
    def watched(self) -> float:
        """For how many seconds it has looked."""
        return round(self._last - self._began, 6)

    # -- looking --------------------------------------------------------------------------------------

    def look(self) -> float:
        """Look at all components; return after how many seconds to do so again."""
        began = monotonic()
        with self.lock:
            now = self._clock()
            passed, self._last = now - self._last, now
            if now - self._span_began >= SPAN:
                self._begin_span(now)
            known, running = self._times, self.system.scheduler.running
            seen: dict[Process, Times] = {}
            for process in snapshot.processes_of(self.system):
                times = known.get(process)
                if times is None:
                    times = Times(process.steps)
                seen[process] = times
                state, _, others = snapshot.doing(process)
                if process is running:
                    state = "running"
                if state == "sending":
                    times.blocked += passed
                    for other in others:
                        path = other.path
                        times.blocked_by[path] = times.blocked_by.get(path, 0.0) + passed
                times.state = state
                times.late[state] = times.late.get(state, 0.0) + passed
            self._times = seen
        return max(LOOK_EVERY, (monotonic() - began) / SHARE)

    def _begin_span(self, now: float) -> None:
        self._span_began = now
        for process, times in self._times.items():
            times.before, times.late = times.late, {}
            times.steps_before, times.steps = times.steps, process.steps
            times.ran_before, times.ran = times.ran, 0.0

    def sample(self) -> None:
        """See whose step it is. From another thread than the system's own; at any time, the more the
        better."""
        now = monotonic()
        passed, self._sampled = now - self._sampled, now
        scheduler = self.system.scheduler
        process, step = scheduler.running, scheduler.steps
        if process is None:
            self._step, self.stuck = (None, 0, 0.0), None
            return
        times = self._times.get(process)
        if times is not None:
            times.running += passed
            times.ran += passed
        whose, which, since = self._step
        if whose is not process or which != step:
            self._step, self.stuck = (process, step, now), None
        elif now - since >= STUCK:
            frame = body.user_frame(sys._current_frames().get(scheduler.thread))
            self.stuck = StuckSnapshot(process.path, round(now - since, 3), body.describe_frame(frame))

    # -- what is known --------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Take a snapshot, with times and rates."""
        with self.lock:
            self.look()
            self._rates_before, self._rates = self._rates, {}
            return snapshot.take(self.system, self)

    def times_of(self, process: Process) -> Times | None:
        """Return what is known of a component; None if it has only just come."""
        return self._times.get(process)

    def rate_of(self, what: Any, passed: int) -> float | None:
        """Return how many a second have passed a box or link of late, given how many have in all."""
        kept = self._rates_before.get(what)
        if kept is None:
            self._rates[what] = (self._last, passed, None)
            return None
        time, count, rate = kept
        if self._last - time >= RATE_SPAN:
            rate = round((passed - count) / (self._last - time), 3)
            kept = (self._last, passed, rate)
        self._rates[what] = kept
        return rate

    # -- what happens ---------------------------------------------------------------------------------

    def _observe(self, what: str, subject: Any) -> None:
        self.changes += 1
        if what == "started":
            self.started += 1
            self._note("started", subject.path)
        elif what == "ended":
            self.ended += 1
            detail = ""
            if subject.failures:
                detail = report.one_line(subject.failures[0])
                if report.paths_of(subject.failures[:1]) == [subject.path]:  # and not what is in it
                    self._count_failure(subject)
            self._note(subject.outcome, subject.path, detail)
        if self._also is not None:
            self._also(what, subject)

    def _count_failure(self, process: Process) -> None:
        self.failed += 1
        around: Process | None = process
        while around is not None:
            times = self._times.get(around)
            if times is not None:
                times.failures += 1
            around = around.parent

    def _note(self, what: str, path: str, detail: str = "") -> None:
        self._numbered += 1
        event = Event(self._numbered, self.system.loop.time(), what, path, detail)
        self.events.append(event)
        for listener in self.listeners:
            try:
                listener(event)
            except Exception:  # who looks must not harm whom it looks at
                log.exception("a listener of the watch failed; it is not called again")
                self.listeners = tuple(one for one in self.listeners if one is not listener)


def watch_of(system: System) -> Watch:
    """Return the watch of a system; it has one from when it is first asked for."""
    if system.watch is None:
        system.watch = Watch(system)
    made: Watch = system.watch
    return made


def take_snapshot(system: System) -> Snapshot:
    """What `System.snapshot` does: rates and times are those since the first time that it was called."""
    return watch_of(system).snapshot()
