"""A watch: who looks at a system again and again, and so knows what takes its time.

Theory
------
Axon counts messages and steps, and takes no times: to read a clock at each step would cost a fifth of all
speed. So times are found by looking. A **look** goes over all components and takes it that each has been
doing since the last look what it is doing now; after some tens of looks the sums are right, and a component
that has waited for room at each of them has done little else. A component that has not taken a step since the
last look is *still*; it does what it did. The work of looking grows with the system, so the time between two
looks does, too: looking takes no more than a hundredth of a core.

**Whose code runs** is found out between looks. After each the steps of the next few milliseconds are timed,
one by one, and then no more until the next look. And somebody in another thread may take **samples** of whose
step it is, and at which line. (They are no measure of short steps. A busy loop lets other threads go on
between two slices of steps, when it is nobody's.)

**Full inboxes.** For whose inbox others wait, or what comes from outside, is noted at each look, with how
many messages have been taken from it: so a reader that is slow can be told from one that is quick, and yet
behind, and from one that takes nothing at all. Others may wait whose component does not, such as the
connection of a client; so an inbox that is half full is noted, too, where its source awaits something.

**A step that lasts** is one and the same at all samples. What blocks the loop need not be a step: a task that
a component has started may do so too. Then the samples see somebody's code run in the loop's thread, and no
step; and the loop, asked to call something, does not.

What is known about *late* is what was seen in the current and the last second. It is what rates, and the
diagnosis, are about; sums are from the beginning of the watch.

A look may be made from any thread. Of another than the system's own it sees no single instant: but each value
that it reads is one that was there. Looking changes nothing in the system, and in virtual time no event is
added to its clock.

**In virtual time** code takes no time, so nobody is busy, and who is ready goes on at once: what takes time
there is to wait. All shares and sums are of virtual seconds. But somebody may wonder what makes a simulation
slow. So the samples are kept there, too, in real seconds: a loop in virtual time never waits in between for
sockets, so they see short steps as well as long ones. What comes of them is the *share of the computing*. It
stands in the frames for those who look, and in nothing that a component of the system can ask for: what a run
does must not depend on who looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from kamaelia.axon import body, report
from kamaelia.axon.clock import monotonic, thread_time

from . import awaited, snapshot
from .snapshot import Snapshot, StuckSnapshot
from .subscription import TURN

if TYPE_CHECKING:
    from kamaelia.axon import System
    from kamaelia.axon.link import Route
    from kamaelia.axon.process import Process

log = logging.getLogger("kamaelia")

LOOK_EVERY = 0.05  # seconds between two looks, at least
UNEVEN = 0.5  # of that, by which the time between two looks differs
GOLDEN = 0.618034  # multiples of this fill the space between 0 and 1 evenly
SAMPLE_EVERY = 0.02  # seconds between two samples of whose step it is
SHARE = 0.0075  # of a core that looking may take
SPAN = 1.0  # seconds: what is known about late is that of one to two of these
STUCK = 0.25  # seconds that one and the same step is seen before it is said that nobody else can do anything
RATE_SPAN = 0.25  # seconds that a rate is about, at least
EVENTS = 1000  # that are kept
TIMED = 0.003  # seconds in which steps are timed, after a look
TIMED_STEPS = 10  # that are timed at least
MOST_STEPS = 100  # that are timed at most
SAMPLES = 12  # that there have to be before they say how much of the time it was
LONG_STEP = 0.02  # seconds
LINES = 100  # of a component's code that are kept, with how often they were seen


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


class Seen:
    """For how many seconds, of late, it is known whose step it was; and in how many it was somebody's."""

    __slots__ = ("before", "busy", "busy_before", "looks", "looks_before", "now", "work", "work_before")

    def __init__(self) -> None:
        self.now = self.busy = self.work = 0.0  # in this span
        self.before = self.busy_before = self.work_before = 0.0  # in the last one
        self.looks = self.looks_before = 0  # how often that was looked at

    def note(self, seconds: float, busy: float, work: float = 0.0) -> None:
        """Add to it: so many seconds, those of them in which it was somebody's step, and for how many the
        processor has worked."""
        self.now += seconds
        self.busy += busy
        self.work += work
        self.looks += 1

    def begin_span(self) -> None:
        self.before, self.now = self.now, 0.0
        self.busy_before, self.busy = self.busy, 0.0
        self.work_before, self.work = self.work, 0.0
        self.looks_before, self.looks = self.looks, 0

    @property
    def seconds(self) -> float:
        return self.now + self.before

    @property
    def all_work(self) -> float:
        return self.work + self.work_before

    @property
    def all_looks(self) -> int:
        return self.looks + self.looks_before

    @property
    def busy_share(self) -> float:
        """In how much of the time it was somebody's step, from 0 to 1."""
        return (self.busy + self.busy_before) / self.seconds if self.seconds else 0.0


class Times:
    """What a watch knows about one component."""

    __slots__ = (
        *("before", "blocked", "blocked_by", "doing", "failures", "late", "lines", "others", "ran"),
        *("ran_before", "raw", "routes", "running", "sampled", "sent", "since", "state", "steps"),
        *("steps_before", "steps_seen", "timed", "took", "took_before", "verb", "virtual", "waits"),
    )

    def __init__(self, steps: int, sampled: Seen, timed: Seen, now: float, virtual: bool = False) -> None:
        self.virtual = virtual  # its time is not that in which code takes time
        self.state: str | None = None  # at the last look
        self.since = now  # at which look it was first seen in the very wait that it is in
        self.steps_seen = -1  # at the last look
        self.raw = ""  # what its process called its state then ...
        self.doing = ""  # ... what we call it ...
        self.routes: tuple[Route, ...] = ()  # ... at the end of which it waits for room ...
        self.others: tuple[str, ...] = ()  # ... and the paths of those who read there
        self.sent: tuple[Route, ...] = ()  # the same routes as were seen last
        self.verb = ""  # what it waited to do when it last awaited something that is not asyncio's
        self.sampled = sampled
        self.timed = timed
        self.running = 0.0
        self.ran = 0.0  # in this span, by the samples
        self.ran_before = 0.0  # in the last one
        self.took = 0.0  # of the processor's work in this span, by the steps that were timed
        self.took_before = 0.0  # in the last one
        self.lines: dict[tuple[CodeType, int], int] = {}  # at which it was seen to run, and how often
        self.waits: dict[
            tuple[CodeType, int], int
        ] = {}  # the same of where it waits, of a reader that is slow
        self.blocked = 0.0
        self.blocked_by: dict[str, float] = {}  # seconds, by the path of whom it has waited for
        self.failures = 0
        self.late: dict[Any, float] = {}  # seconds of this span, by what it was doing
        self.before: dict[Any, float] = {}  # of the last one
        self.steps = steps  # when this span of samples began
        self.steps_before = steps  # when the last one did

    @property
    def blocked_on(self) -> str | None:
        """The path of the component that it has waited for most."""
        waits = dict(self.blocked_by)
        return max(waits, key=waits.__getitem__, default=None)

    def share(self, state: Any) -> float:
        """Return in how much of the last one or two seconds it was in a state, from 0 to 1."""
        span = self.span
        if not span:  # it has been looked at once
            return 1.0 if state == self.state else 0.0
        return (self.late.get(state, 0.0) + self.before.get(state, 0.0)) / span

    @property
    def running_share(self) -> float:
        """In how much of the last one or two seconds its code ran, from 0 to 1; 0 in virtual time."""
        return self._running()[0]

    @property
    def computing_share(self) -> float:
        """The same, but of real time also where the system's is virtual; 0 if nobody samples that."""
        if not self.virtual:
            return self.running_share
        sampled = self.sampled.seconds
        if not sampled or self.sampled.all_looks < SAMPLES:
            return 0.0
        return min(1.0, (self.ran + self.ran_before) / sampled)

    @property
    def surely_running_share(self) -> float:
        """The same as far as it is sure: two standard deviations less, given of how many steps it is known.

        A thread that wants the same lock, or another program, makes single steps long, now one's and now
        another's."""
        share, steps = self._running()
        return share - 1 / math.sqrt(steps) if steps else 0.0

    def _running(self) -> tuple[float, int]:
        """Return in how much of the time its code ran, and of how many steps that is known."""
        if self.virtual:
            return 0.0, 0
        work, sampled = self.timed.all_work, self.sampled.seconds
        share = self.timed.busy_share * (self.took + self.took_before) / work if work else 0.0
        found = (min(1.0, share), self.timed.all_looks)
        # Samples see long steps as they are, but few of the short ones of a busy loop.
        if sampled and self.sampled.all_looks >= SAMPLES and self.mean_step() >= LONG_STEP:
            share = (self.ran + self.ran_before) / sampled
            found = max(found, (min(1.0, share), self.steps_seen - self.steps_before))
        return found

    def mean_step(self) -> float:
        """Return how long its steps of the last one or two seconds were, as far as samples say."""
        return (self.ran + self.ran_before) / max(1, self.steps_seen - self.steps_before)

    @property
    def span(self) -> float:
        """What is known about late is about so many seconds."""
        return sum(tuple(self.late.values())) + sum(tuple(self.before.values()))

    def usual_share(self, state: str) -> float:
        """Return how much of the last one or two seconds it was in a state, where its turns do not count.

        In a loop that has time to spare, as one in virtual time always has, who is ready goes on at once. But
        it is seen to be ready too often: what wakes up who looks may wake up others as well."""
        share = self.share(state)
        if self.virtual or max(self.timed.busy_share, self.sampled.busy_share) < 0.5:
            share /= max(0.1, 1.0 - self.share("ready") - self.share("running"))
        return share

    def usual_state(self) -> str | None:
        """Return what it has been doing most of the last one or two seconds; None if it was this and that."""
        states = {*self.late, *self.before} - {None, "ready", "running"}
        most = max(states, key=self.share, default=None)
        return most if most is not None and self.usual_share(most) >= 0.5 else None


def is_in_box_call(process: Process) -> bool:
    """Say whether a script is in a box call that is being dealt with: then it does not work, or wait for
    something of its own."""
    top = process.script.top_frame()
    return top is not None and body.is_ours(top.f_code)


def usual_line(lines: dict[tuple[CodeType, int], int]) -> str | None:
    """Return the line that was seen most often; None if none was."""
    lines = dict(lines)
    if not lines:
        return None
    return body.describe_line(*max(lines, key=lines.__getitem__))


def note_line(lines: dict[tuple[CodeType, int], int], frame: FrameType | None) -> None:
    """Note that a line was seen."""
    if frame is not None:
        line = (frame.f_code, frame.f_lineno)
        if line in lines or len(lines) < LINES:
            lines[line] = lines.get(line, 0) + 1


class Full:
    """An inbox for which somebody waits, or what comes from outside."""

    __slots__ = (
        "before",
        "changed",
        "first",
        "looks",
        "now",
        "outside",
        "received",
        "route",
        "seen",
        "since",
        "source",
    )

    def __init__(
        self, route: Route, outside: bool, now: float, look: int, source: Process | None = None
    ) -> None:
        self.route = route
        self.outside = outside  # what fills it comes from outside
        self.source = source  # or through this component, which does not wait for room itself
        self.since = self.seen = now  # when it was first, and last, seen
        self.first = look  # the number of the look at which it was first seen ...
        self.looks = 1  # ... and at how many it was
        self.changed = now  # when something was last taken from it
        self.received: int = route.queue.received
        self.now = self.before = (now, self.received)  # at the beginning of this span, and of the last

    def look(self, now: float) -> None:
        """See what has become of it."""
        self.seen = now
        self.looks += 1
        received = self.route.queue.received
        if received != self.received:
            self.received, self.changed = received, now

    def pace(self, now: float) -> float:
        """Return how many messages a second were taken from it in the last one or two seconds."""
        time, before = self.before
        received: int = self.route.queue.received
        return (received - before) / (now - time) if now > time else 0.0

    def untaken(self, now: float) -> float:
        """Return for how many seconds nothing has been taken from it, as far as is known."""
        return now - self.changed if self.route.queue.received == self.received else 0.0


class Watch:
    """Looks at a system, again and again.

    Arguments:
        system: to look at; the time is the real one, or the system's own where that is virtual
    """

    def __init__(self, system: System) -> None:
        self.system = system
        loop: Any = system.loop
        self._clock = loop.time if hasattr(loop, "clock") else monotonic
        self.lock = threading.RLock()
        """Held while it looks: one looks at a time."""
        self.is_sampled = False
        """Whether somebody calls `sample` all the time."""
        self._began = self._last = self._span_began = self._clock()
        self.virtual = hasattr(loop, "clock")
        """Whether the system keeps a time of its own."""
        self._sampling_began = monotonic()  # the current span of samples, which are of real time
        self.looks = 0
        """How often it has looked."""
        self._by_samples, self._by_timing = Seen(), Seen()
        self._times: dict[Process, Times] = {}
        self._full: dict[Any, Full] = {}  # by the queue
        self._rates: dict[Any, tuple[float, int, float | None]] = {}
        self._rates_before = self._rates
        self._sampled = monotonic()
        self._step: tuple[Any, int, float] = (None, 0, 0.0)  # whose step, which, and since when it is seen
        self._asked: float | None = None  # when the loop was asked to call us, and has not done so
        self._timing = (0.0, 0)  # until when, and how many steps, we time steps
        # When a step ended, what its thread had worked by then, and whether the next one began at once.
        self._stepped: tuple[float, float, bool] | None = None
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
        with TURN:
            self._also = system.scheduler.observer
            system.scheduler.observer = self._observe
        self.look()

    def close(self) -> None:
        """Look no more."""
        with TURN:
            if self.system.scheduler.observer == self._observe:
                self.system.scheduler.observer = self._also

    def resume(self) -> None:
        """Go on after a pause in which nobody has looked: what was done in it is not known."""
        with self.lock:
            now = self._clock()
            self._began += now - self._last
            self._last = self._span_began = now
            self._sampled = monotonic()
            self._step, self.stuck, self._asked = (None, 0, 0.0), None, None
            self._full.clear()
            for _ in range(2):  # so that nothing is left of this one, nor of the last
                self._begin_span(now)
                self._begin_sampling(self._sampled)
            for process, times in self._times.items():
                times.since = now
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
            self.looks += 1
            now = self._clock()
            passed, self._last = now - self._last, now
            if now - self._span_began >= SPAN:
                self._begin_span(now)
            if began - self._sampling_began >= SPAN:
                self._begin_sampling(began)
            known, running = self._times, self.system.scheduler.running
            seen: dict[Process, Times] = {}
            for process in snapshot.processes_of(self.system):
                times = known.get(process)
                steps, raw = process.steps, process.state
                if times is None:
                    times = Times(steps, self._by_samples, self._by_timing, now, self.virtual)
                seen[process] = times
                # Who waits, and has taken no step, waits for what it has waited for before.
                if steps != times.steps_seen or raw != times.raw or raw in ("holding", "foreign"):
                    self._look_at(process, times, steps, raw, now)
                state = "running" if process is running else times.doing
                times.state = state
                if times.took or times.ran:
                    times.running += passed * times.running_share
                late = times.late
                late[state] = late.get(state, 0.0) + passed
                if times.routes:
                    times.blocked += passed
                    for path in times.others:
                        times.blocked_by[path] = times.blocked_by.get(path, 0.0) + passed
                    for route in times.routes:
                        self._note_full(route, False, now)
                if process.holds:
                    self._look_outside(process, now)
                if state == "awaiting":
                    self._look_behind(process, now)
            self._times = seen
            for queue, full in list(self._full.items()):
                if now - full.seen > SPAN:
                    del self._full[queue]
                elif full.seen == now:
                    self._look_at_reader(full)
        if not self.virtual:
            self._begin_timing()
        # Never as regular as what is looked at: who wakes up as often would be seen ready each time.
        uneven = 1 + UNEVEN * (self.looks * GOLDEN % 1 - 0.5)
        return uneven * max(LOOK_EVERY, (monotonic() - began) / SHARE)

    def _look_at(self, process: Process, times: Times, steps: int, raw: str, now: float) -> None:
        """See what a component does that may have gone on since the last look."""
        if raw == "foreign" and steps == times.steps_seen and times.doing == "awaiting":
            return
        doing, _, others, routes = snapshot.doing_at(process)
        if doing == "working" and is_in_box_call(process):
            doing = "ready"
        if raw == "holding":  # it takes no steps, but if it is a seat it may be filled again and again
            steps += snapshot.occupants_of(process)
        if steps != times.steps_seen or doing != times.doing:
            times.since = now
        times.steps_seen, times.raw, times.doing = steps, raw, doing
        times.routes = routes
        if routes:
            times.sent = routes
        elif doing == "awaiting":
            wait = process.wait
            times.verb = "" if wait is None else wait.verb
        times.others = tuple(other.path for other in others)

    def _look_outside(self, process: Process, now: float) -> None:
        """See whether the inboxes of a component are full of what comes from outside."""
        for hold in tuple(process.holds):
            outbox = hold._outbox
            if outbox is not None:
                for route in tuple(outbox.routes):
                    queue = route.queue
                    if 0 < queue.size <= 2 * queue.waiting():
                        self._note_full(route, True, now)

    def _look_behind(self, process: Process, now: float) -> None:
        """See whether there is room for what a connection, a process or a task sends for a component."""
        for box in process.outboxes:
            for route in tuple(box.routes):
                queue = route.queue
                if route.when_full == "wait" and 0 < queue.size <= 2 * queue.waiting():
                    self._note_full(route, False, now, process)

    def _look_at_reader(self, full: Full) -> None:
        """Note at which line a reader is that lets others wait, and does not just go on."""
        reader = snapshot.reader_of(full.route)
        times = self._times.get(reader)
        if times is not None and times.state in ("sleeping", "awaiting", "working"):
            note_line(times.waits, body.waiting_frame(reader))

    def _note_full(self, route: Route, outside: bool, now: float, source: Process | None = None) -> None:
        full = self._full.get(route.queue)
        if full is None:
            self._full[route.queue] = Full(route, outside, now, self.looks, source)
        elif full.seen != now:  # or several wait for it
            full.look(now)

    def _begin_span(self, now: float) -> None:
        self._span_began = now
        for times in self._times.values():
            times.before, times.late = times.late, {}
            if times.waits:
                times.waits = {}
        for full in self._full.values():
            full.before, full.now = full.now, (now, full.received)

    def _begin_sampling(self, now: float) -> None:
        """Begin another span of what is known of steps; it is of real time."""
        self._sampling_began = now
        self._by_samples.begin_span()
        self._by_timing.begin_span()
        for process, times in self._times.items():
            times.steps_before, times.steps = times.steps, process.steps
            times.ran_before, times.ran = times.ran, 0.0
            times.took_before, times.took = times.took, 0.0
            if times.lines:
                times.lines = {}

    # -- whose step it is -------------------------------------------------------------------------------

    def sample(self) -> None:
        """See whose step it is. From another thread than the system's own; at any time, the more the
        better."""
        now = monotonic()
        passed, self._sampled = now - self._sampled, now
        scheduler = self.system.scheduler
        process, step = scheduler.running, scheduler.steps
        top = sys._current_frames().get(scheduler.thread)
        # A busy loop lets other threads go on between two slices of steps, so that is when they look most
        # often, and not how the time is spent.
        if process is not None or not scheduler.busy or self.virtual:
            self._by_samples.note(passed, 0.0 if process is None else passed)
        if process is None:
            self._step = (None, 0, 0.0)
            self._look_for_callback(top, now)
            return
        self._asked = None
        frame = body.user_frame(top)
        times = self._times.get(process)
        if times is not None:
            times.ran += passed
            note_line(times.lines, frame)
        whose, which, since = self._step
        if whose is not process or which != step:
            self._step, self.stuck = (process, step, now), None
        elif now - since >= STUCK:
            self.stuck = StuckSnapshot(process.path, round(now - since, 3), body.describe_frame(frame))

    def _look_for_callback(self, top: FrameType | None, now: float) -> None:
        """No step is under way: see whether the loop is stuck in something else.

        Its thread may be in somebody's code at one sample after the other, and yet not stuck. So it is asked
        to call us.
        """
        frame = _frame_in_callback(top)
        if frame is None or self.virtual:
            self.stuck = self._asked = None
        elif self._asked is None:
            self._asked, self.stuck = now, None
            with contextlib.suppress(RuntimeError):  # it has just been closed
                self.system.loop.call_soon_threadsafe(self._answer, now)
        elif now - self._asked >= STUCK:
            path = self._path_of_task(asyncio.current_task(self.system.loop))
            self.stuck = StuckSnapshot(path, round(now - self._asked, 3), body.describe_frame(frame))

    def _answer(self, asked: float) -> None:
        if self._asked == asked:
            self._asked = None

    def _path_of_task(self, task: asyncio.Task[Any] | None) -> str:
        """Return the path of the component that waits for a task; empty if none does."""
        if task is not None:
            for process, times in self._times.items():
                if times.doing == "awaiting" and any(one is task for one in awaited.all_tasks_of(process)):
                    return process.path
        return ""

    def _begin_timing(self) -> None:
        """Time the steps of the next few milliseconds."""
        scheduler = self.system.scheduler
        if scheduler.on_step is None:
            self._timing = (monotonic() + TIMED, TIMED_STEPS)
            self._stepped = None
            scheduler.on_step = self._time_step

    def _time_step(self, process: Process) -> None:
        """A step has ended. It began when the last one ended, if somebody was ready then.

        How long it took is what the processor has worked for this thread: not the time in which other threads
        and programs had it.
        """
        now, worked = monotonic(), thread_time()
        before = self._stepped
        if before is not None:
            passed, work = now - before[0], worked - before[1]
            self._by_timing.note(passed, passed if before[2] else min(passed, work), work)
            times = self._times.get(process)
            if times is not None:
                times.took += work
        until, left = self._timing
        self._timing = (until, left - 1)
        if (now >= until and left <= 0) or left <= TIMED_STEPS - MOST_STEPS:
            self.system.scheduler.on_step = None
        self._stepped = (monotonic(), thread_time(), self.system.scheduler.busy)

    def fulls(self) -> list[Full]:
        """Return what is known about full inboxes."""
        return list(self._full.values())

    def full_of(self, route: Route) -> Full | None:
        """Return what is known about the inbox at the end of a route; None if it was not seen to be full."""
        return self._full.get(route.queue)

    # -- what is known --------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Take a snapshot, with times and rates."""
        with self.lock:
            self.look()
            self._rates_before, self._rates = self._rates, {}
            return snapshot.take(self.system, self)

    @property
    def by_timing(self) -> Seen:
        """How much of the time of late it was somebody's step, by those that were timed."""
        return self._by_timing

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


def _frame_in_callback(top: FrameType | None) -> FrameType | None:
    """Return the frame of somebody's own code that a loop has called, of the frames of its thread."""
    frame = top
    while frame is not None:
        code = frame.f_code
        if body.is_ours(code) or code.co_filename.endswith(_LOOPS):
            return None
        if not body.is_library(code):
            return frame
        frame = frame.f_back
    return None


# Outward from these, the program stands that has started the loop.
_LOOPS = ("asyncio/base_events.py", "asyncio/runners.py")


_FIRST = threading.Lock()  # held while a system gets its watch: two threads may ask at once


def watch_of(system: System) -> Watch:
    """Return the watch of a system; it has one from when it is first asked for."""
    with _FIRST:
        if system.watch is None:
            system.watch = Watch(system)
    made: Watch = system.watch
    return made


def take_snapshot(system: System) -> Snapshot:
    """What `System.snapshot` does: rates and times are those since the first time that it was called."""
    return watch_of(system).snapshot()
