"""The remote control of a simulation: from other threads pause it, slow it, step it, look into it, change it.

Theory
------
A simulation makes *turns* of its clock: in each of them happens what is due at that moment. Between two turns
nobody's code runs, and all that there is is of one instant. That is where everything here is done: a virtual
moment that is well defined, whenever the wish for it came.

Who wants something puts it into a queue and tells the clock to `halt`. That sets a flag which the clock looks
at after each turn in any case. So a simulation that nobody controls pays nothing for it, and nobody polls.
The clock gives the thread back, with so many turns left of those that it was to make; the simulation's thread
does what is in the queue; and the clock goes on with the turns that were left.

Nothing of this can be seen in the simulation. No event is added to the clock, and no turn: garbage is looked
for at the same ones. Time stops at a moment by the `limit` of the clock, beyond which it does not go, instead
of by a timer. So **the same seed gives the same run**, however often somebody has paused, slowed, stepped or
looked.

Changes are another matter. To cut a link by hand makes another run of it, one that cannot be had again by the
seed alone. So each is an event in the trace (``set``, ``cut``, ``mend``, ``crash``, ``restart``, ``call``),
and in the fingerprint.

**A pause** is the simulation's thread waiting for the queue. Connections, timers, code: all stays as it is.
Ctrl-C comes through. The threads of scripts wait, as they do whenever it is not their turn.

**Speed** is how many virtual seconds pass in a real one, at most. The clock is let go on to where it should
be by now; then the thread waits until something is due, or wanted. What the machine could not do in time is
not made up for later.

A step that does not end (a component that computes, or waits for a lock) holds up the whole simulation, and
what is wanted meanwhile is done after it. Who waits for longer than `PATIENCE` is told where it is.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Impatient
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ..axon import UsageError, baton, body, units
from ..axon.clock import NEVER, monotonic, nanoseconds
from .errors import SimulationError
from .protocols import CALL, CRASH, CUT, MEND, RESTART, SET

if TYPE_CHECKING:
    from .network import Host, NetworkLink
    from .simulation import Simulation
    from .snapshot import NetworkSnapshot

PATIENCE = 10.0  # real seconds that who wants something waits for a step to end
NAP = 0.05  # real seconds that a slowed simulation waits at a time
WAKE = 0.25  # real seconds that a pause waits at a time: a signal that comes just before is seen then
BEHIND = 0.1  # real seconds by which it may be late and make up for it


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a simulation is, and what it does."""

    time: float
    """Virtual time, in seconds."""
    state: str
    """``waiting`` (it has not begun), ``running``, ``paused`` or ``over``."""
    speed: float | None
    """Virtual seconds in a real one, at most; None for as many as possible."""


class Remote:
    """Controls one simulation, from other threads than its own.

    Each simulation has one: that of the run that is under way is `Network.remote`. To have it before the run
    begins, make one, and give it to `Network.simulate`.

    Methods return when what they want has been done. Each raises `UsageError` when the simulation is over,
    and in its own thread (its components and scripts use the verbs of `faults`), and `SimulationError` when a
    step does not end.

    Arguments:
        paused: when what is due at the beginning has happened, do nothing before `go`, or a step
        speed: virtual seconds in a real one, at most; None for as many as possible

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> from kamaelia import sleep, component
        >>> from kamaelia.testbed import Network, Remote
        >>> @component
        ... async def nap(inbox, outbox):
        ...     await sleep(5)
        >>> network, remote = Network(), Remote(paused=True)
        >>> link = network.link(network.host("server").run(nap), network.host("phone"))
        >>> with ThreadPoolExecutor() as pool:
        ...     run = pool.submit(network.simulate, remote=remote)
        ...     print(remote.run_until("2 s"))
        ...     remote.cut(link)
        ...     print(remote.go())
        ...     trace = run.result()
        Moment(time=2.0, state='paused', speed=None)
        Moment(time=2.0, state='running', speed=None)
        >>> print(trace.events[0])
        2.000000 cut     link server > phone
    """

    def __init__(self, *, paused: bool = False, speed: float | None = None) -> None:
        self._asked: SimpleQueue[_Wish] = SimpleQueue()  # what is to be done between two turns
        self._simulation: Simulation | None = None
        self._is_over = False
        self._is_paused = paused
        self._speed = checked_speed(speed)
        self._until: int | None = None  # the time at which it is to pause
        self._steps: int | None = None  # turns, after which it is to pause
        self._waiting: list[Future[Moment]] = []  # for that
        self._began = (0.0, 0)  # real and virtual time since when it has its speed

    # -- for others: where it is ------------------------------------------------------------------

    @property
    def speed(self) -> float | None:
        """Virtual seconds in a real one, at most; None for as many as possible."""
        return self._speed

    @property
    def state(self) -> str:
        """``waiting``, ``running``, ``paused`` or ``over``."""
        if self._is_over:
            return "over"
        if self._simulation is None:
            return "waiting"
        return "paused" if self._is_paused else "running"

    @property
    def moment(self) -> Moment:
        """Where it is, and what it does."""
        simulation = self._simulation
        time = 0.0 if simulation is None else simulation.clock.now / 1e9
        return Moment(time, self.state, self._speed)

    def snapshot(self) -> NetworkSnapshot:
        """Return what the network is like between two turns: all of it at one instant."""
        taken: NetworkSnapshot = self._wait(self.ask(lambda: self._running().snapshot()))
        return taken

    # -- for others: time -------------------------------------------------------------------------

    def pause(self) -> Moment:
        """Have it wait; what it was to run until is forgotten."""
        return self._command("pause")

    def go(self, speed: float | None = None) -> Moment:
        """Have it go on.

        Arguments:
            speed: virtual seconds in a real one, at most; None for as many as possible
        """
        return self._command("go", checked_speed(speed))

    def step(self, events: int = 1, *, seconds: float | str | None = None) -> Moment:
        """Have it go on for a little, as fast as it can, and then pause; returns when it has.

        Arguments:
            events: turns of the clock: in each happens what is due at that moment, such as that one packet
                arrives
            seconds: of virtual time, or text such as ``"10 ms"``, instead of a number of events
        """
        if seconds is not None:
            return self._command("advance", nanoseconds(units.seconds(seconds, "seconds")), lasts=True)
        return self._command("step", checked_events(events), lasts=True)

    def run_until(self, time: float | str) -> Moment:
        """Have it go on to a virtual time, as fast as it can, and pause there; returns when it has.

        What is due at that time has happened then. Raises `UsageError` for a time that is over.
        """
        return self._command("run_until", nanoseconds(units.seconds(time, "time")), lasts=True)

    # -- for others: changes ----------------------------------------------------------------------

    def set_link(self, link: NetworkLink | str, *, direction: str = "both", **changes: Any) -> None:
        """Change a link for the rest of this run: ``remote.set_link("server - phone-3", loss="20 %")``.

        Arguments:
            link: itself, or its name, or that of one of its directions, as the metrics have it
            direction: ``"there"``, ``"back"`` or ``"both"``; of a link that was given by the name of a
                direction it is that one
            changes: as in `NetworkLink.set`

        Raises `UsageError` for a link that is not there, and for quantities that are none.
        """
        self._wait(self.set_soon(link, direction, changes))

    def cut(self, link: NetworkLink | str) -> None:
        """Let a link carry nothing. Raises `UsageError` for one that is not there."""
        self._wait(self.cut_soon(link))

    def mend(self, link: NetworkLink | str) -> None:
        """Let a link carry everything again. Raises `UsageError` for one that is not there."""
        self._wait(self.mend_soon(link))

    def crash(self, host: Host | str) -> None:
        """Switch a host off (`Host.crash`). Raises `UsageError` for one that is not there."""
        self._wait(self.crash_soon(host))

    def restart(self, host: Host | str) -> None:
        """Switch a host on again (`Host.restart`). Raises `UsageError` for one that is not there."""
        self._wait(self.restart_soon(host))

    def call(self, verb: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call any other verb of the network, such as ``remote.call(network.partition, server, phone)``.

        Returns what it returns, and raises what it raises.
        """
        return self._wait(self.ask(self._call, verb, args, options))

    # -- how others ask ---------------------------------------------------------------------------

    def ask(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have something called between two turns, in the simulation's thread; returns at once.

        What it does is not written into the trace: so it is for looking. From the future's `cancel` on it is
        not called any more. Raises `UsageError` when the simulation is over.
        """
        return self._ask(_Wish(call, args))

    def set_soon(self, link: NetworkLink | str, direction: str, changes: dict[str, Any]) -> Future[Any]:
        """As `set_link`; returns at once, as the following do."""
        return self.ask(self._set_link, link, direction, changes)

    def cut_soon(self, link: NetworkLink | str) -> Future[Any]:
        """As `cut`."""
        return self.ask(self._cut, link, CUT)

    def mend_soon(self, link: NetworkLink | str) -> Future[Any]:
        """As `mend`."""
        return self.ask(self._cut, link, MEND)

    def crash_soon(self, host: Host | str) -> Future[Any]:
        """As `crash`."""
        return self.ask(self._switch, host, CRASH)

    def restart_soon(self, host: Host | str) -> Future[Any]:
        """As `restart`."""
        return self.ask(self._switch, host, RESTART)

    def command(self, name: str, *args: Any) -> Future[Moment]:
        """Begin one of ``pause``, ``go``, ``step``, ``advance`` and ``run_until``; returns at once.

        They take a speed, a number of events, a length of time and a time in nanoseconds. The future is done
        when the simulation has paused, or another command has taken this one's place.
        """
        calls: dict[str, Callable[..., None]] = {
            "pause": self._hold,
            "go": self._go,
            "step": self._step,
            "advance": self._advance,
            "run_until": self._run_until,
        }
        return self._ask(_Wish(calls[name], args, self._waiting))

    def _command(self, name: str, *args: Any, lasts: bool = False) -> Moment:
        future = self.command(name, *args)
        moment: Moment = future.result() if lasts else self._wait(future)
        return moment

    def _ask(self, wish: _Wish) -> Future[Any]:
        simulation = self._simulation
        if self._is_over:
            raise UsageError("the simulation is over: there is nothing to control any more")
        if simulation is not None and (
            get_ident() == simulation.thread or baton.holder_for(simulation.clock) is not None
        ):
            raise UsageError(
                "a Remote is for other threads than the simulation's own, which would wait for itself: in "
                "there, use the verbs of hosts and links, such as link.cut()"
            )
        self._asked.put(wish)
        if simulation is None:
            simulation = self._simulation
        if simulation is not None:
            simulation.clock.halt()
        if self._is_over:  # since we looked: nobody may read any more
            self._refuse_all()
        return wish.future

    def _wait(self, future: Future[Any]) -> Any:
        try:
            return future.result(PATIENCE)
        except Impatient:
            if not future.cancel():  # it is being done just now
                return future.result()
            raise SimulationError(
                f"nothing was done within {PATIENCE:g} s: the simulation {self.where()}"
            ) from None

    def where(self) -> str:
        """Say what the simulation does, as what follows "the simulation" in a sentence."""
        simulation = self._simulation
        if simulation is None:
            return "has not begun yet"
        frame = body.user_frame(sys._current_frames().get(simulation.thread))
        return f"is still in a step, at {body.describe_frame(frame)}"

    def _running(self) -> Simulation:
        if self._simulation is None:
            raise UsageError("the simulation has not begun: there is nothing to look at")
        return self._simulation

    # -- in the simulation's thread -----------------------------------------------------------------

    def begin(self, simulation: Simulation) -> None:
        """A simulation begins, in this thread. Raises `UsageError` if another had this remote."""
        if self._simulation is not None:
            raise UsageError("a Remote is for one simulation, and this one has had it: make another")
        self._simulation = simulation
        self._began = (monotonic(), 0)

    def end(self, simulation: Simulation) -> None:
        """A simulation is over. Who still waits is told so."""
        if self._simulation is not simulation:
            return
        self._is_over = True
        self._is_paused = False
        self._tell()
        self._refuse_all()

    def turns(self, most: int) -> int:
        """Make turns of the clock, as far as is wanted; return how many of these are left.

        What others have asked for is done before; during a pause, this waits.
        """
        while not self._asked.empty():
            self._do(self._asked.get())
        while self._is_paused:
            with suppress(Empty):
                self._do(self._asked.get(timeout=WAKE))
        clock = self._running().clock
        if self._speed is None and self._until is None and self._steps is None:
            return clock.turns(most)
        chunk = most
        is_slow = False
        if self._steps is not None:
            chunk = min(most, self._steps)
        elif self._until is not None:
            clock.limit = min(self._until + 1, NEVER)
        else:
            clock.limit = min(self._reached() + 1, NEVER)
            is_slow = True
        limit = clock.limit
        try:
            left = clock.turns(chunk)
        finally:
            clock.limit = NEVER
        made = chunk - left
        if self._steps is not None:
            self._steps -= made
            if not self._steps:
                self._hold()
        elif clock.is_at_limit:
            if not clock._anything_due():  # else somebody is always busy at this instant, and time stands
                clock.go_to(limit - 1)
            if is_slow:
                self._nap()
            else:
                self._hold()
        return most - made

    def let_go(self) -> None:
        """Have a simulation that is paused, or slow, go on; from a signal handler, which may not wait."""
        self._asked.put(_Wish(self._go, (None,)))
        if self._simulation is not None:
            self._simulation.clock.halt()

    def _do(self, wish: _Wish) -> None:
        if not wish.future.set_running_or_notify_cancel():
            return
        try:
            if wish.waiting is None:
                wish.future.set_result(wish.call(*wish.args))
                return
            wish.call(*wish.args)  # a command, which may tell those who wait for earlier ones
        except Exception as error:
            wish.future.set_exception(error)
            return
        wish.waiting.append(wish.future)
        if self._until is None and self._steps is None:
            self._tell()

    def _tell(self) -> None:
        """Tell those who wait for it where we are."""
        waiting, moment = self._waiting[:], self.moment
        self._waiting.clear()
        for future in waiting:
            future.set_result(moment)

    def _refuse_all(self) -> None:
        while True:
            try:
                wish = self._asked.get_nowait()
            except Empty:
                return
            if wish.future.set_running_or_notify_cancel():
                wish.future.set_exception(
                    UsageError("the simulation has ended meanwhile: there is nothing to control any more")
                )

    # -- commands -----------------------------------------------------------------------------------

    def _hold(self) -> None:
        self._is_paused = True
        self._until = self._steps = None
        self._tell()

    def _go(self, speed: float | None) -> None:
        self._go_on()
        self._speed = speed
        self._began = (monotonic(), self._running().clock.now)

    def _go_on(self) -> None:
        """Whatever was wanted before is not wanted any more."""
        self._until = self._steps = None
        self._is_paused = False
        self._tell()

    def _step(self, events: int) -> None:
        self._go_on()
        self._steps = events

    def _advance(self, length: int) -> None:
        self._run_until(self._running().clock.now + length)

    def _run_until(self, time: int) -> None:
        now = self._running().clock.now
        if time < now:
            raise UsageError(f"run_until({time / 1e9:g}): it is {now / 1e9:g} s already")
        self._go_on()
        self._until = time

    # -- speed --------------------------------------------------------------------------------------

    def _reached(self) -> int:
        """Return what time it should be by now."""
        assert self._speed is not None
        clock = self._running().clock
        real, (began, zero) = monotonic(), self._began
        due = zero + int((real - began) * self._speed * 1e9)
        if clock.now < due - int(BEHIND * self._speed * 1e9):  # it cannot keep up
            due = clock.now
            self._began = (real, due)
        return max(due, clock.now)

    def _nap(self) -> None:
        """Wait until something is due, or wanted."""
        assert self._speed is not None
        clock = self._running().clock
        began, zero = self._began
        when = clock.next_time()
        left = NAP if when is None else began + (when - zero) / (self._speed * 1e9) - monotonic()
        try:
            wish = self._asked.get(timeout=min(max(left, 0.0), NAP))
        except Empty:
            return
        self._do(wish)

    # -- changes ------------------------------------------------------------------------------------

    def _set_link(self, link: NetworkLink | str, direction: str, changes: dict[str, Any]) -> None:
        simulation = self._running()
        found = self.link_of(link)
        channels = simulation.channels_of(found)
        if isinstance(link, str) and direction == "both" and len(channels) > 1:
            names = [channel.name for channel in channels]
            if link in names:
                direction = ("there", "back")[names.index(link)]
        found.set(direction=direction, **changes)
        text = f"link {', '.join(f'{name}={value!r}' for name, value in changes.items())}"
        chosen = {"there": channels[:1], "back": channels[1:], "both": channels}[direction]
        for channel in chosen:
            simulation.note_by_hand(SET, text, channel.near.name, channel.far.name)

    def _cut(self, link: NetworkLink | str, what: int) -> None:
        found = self.link_of(link)
        self._running().note_by_hand(what, "link", found.a.name, found.b.name)
        if what == CUT:
            found.cut()
        else:
            found.repair()

    def _switch(self, host: Host | str, what: int) -> None:
        simulation = self._running()
        found = simulation.network.find(host)
        simulation.note_by_hand(what, "host", found.name)
        if what == CRASH:
            found.crash()
        else:
            found.restart()

    def _call(self, verb: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self._running().note_by_hand(CALL, getattr(verb, "__name__", type(verb).__name__))
        return verb(*args, **options)

    def link_of(self, link: NetworkLink | str) -> NetworkLink:
        """Return a link, given itself or a name. Raises `UsageError` for one that is not there."""
        simulation = self._running()
        if isinstance(link, str):
            return simulation.link_called(link)
        if link not in simulation.links:
            raise UsageError(f"{link!r} is not in the network that is simulated")
        return link


class _Wish:
    """Something that somebody wants to be done."""

    __slots__ = ("args", "call", "future", "waiting")

    def __init__(
        self,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        waiting: list[Future[Moment]] | None = None,
    ) -> None:
        self.call = call
        self.args = args
        self.future: Future[Any] = Future()
        self.waiting = waiting  # of a command: those who wait for its end


def checked_events(events: Any) -> int:
    """Return a number of events. Raises `UsageError` for what is none."""
    if isinstance(events, bool) or not isinstance(events, int) or events < 1:
        raise UsageError(f"step({events!r}): give a number of events, from 1 on, or seconds=...")
    return events


def checked_speed(speed: Any) -> float | None:
    """Return a speed. Raises `UsageError` for what is none."""
    if speed is None:
        return None
    if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not isfinite(speed) or speed <= 0:
        raise UsageError(
            f"speed={speed!r}: give the virtual seconds that pass in a real one, more than 0; None is for as "
            "many as possible"
        )
    return float(speed)


__all__ = ["Moment", "Remote"]
