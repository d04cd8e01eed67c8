"""Faults: what can go wrong in a network beside its links, when, and what that means.

Each fault is a verb of `Network`, `Host` or `NetworkLink`. Used while a simulation runs, by a component, a
script or a step at a time, it acts at once and on that run only; used before, it acts at the beginning of
each. `at` and `when` put it off, `disturb` draws faults from the seed.

| verb | what it does |
| --- | --- |
| `partition`, `repair` | packets between hosts are dropped, by whatever way they come |
| `hold`, `release` | they are kept, and come later, in order |
| ``link.cut()``, ``link.repair()`` | a link carries nothing; ways lead around it, if there are others |
| ``host.crash()``, ``host.restart()`` | power off: nothing of the host runs any more; then all begins anew |
| ``host.pause(seconds)`` | no code of the host runs for a time, while its kernel goes on |
| ``host.set_clock(...)`` | its clocks are wrong by so much, or go wrong |
| ``host.disk.set(...)``, ``fail``, ``repair`` | its disk is full, slow, hangs, fails (`disk`) |
| ``link.set(...)`` | everything about a link |

**A crash** is not a stop. Nothing is cancelled, no ``finally`` runs, no connection is closed: who talks to
the host hears nothing, and, when it is there again, that there is no such connection. (Python has to end
what it has begun: what stands in ``finally`` runs when the simulation is over, with no network and no effect
on it.) What the host had in memory is gone; a simulated disk keeps what was synced to it.

**A journal.** Each use of a verb is a `Deed`. Who sets `journal` while a step of a network's script begins is
told of all deeds that come of that step, now or later, also those that are drawn, those of scripts, and those
that wait for a condition: so it can be said what has really happened (`shrinking`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..axon import UsageError, units
from ..axon.clock import nanoseconds
from .links import RandomStream
from .protocols import PARTITION

if TYPE_CHECKING:
    from .network import Host
    from .simulation import Simulation
    from .stack import Stack
    from .wire import Packet


class Deed(NamedTuple):
    """One use of a verb, as data."""

    target: Any
    """The network, or the host, link or disk whose verb it is."""
    verb: str
    """Such as ``"crash"``."""
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = {}


journal: ContextVar[Callable[[Deed], object] | None] = ContextVar("journal", default=None)
"""Who is told of the deeds that come of the step that begins now."""


def note(target: Any, verb: str, /, *args: Any, **options: Any) -> None:
    """Tell whoever keeps a journal of a deed."""
    write = journal.get()
    if write is not None:
        write(Deed(target, verb, args, options))


def _carried(call: Callable[..., object]) -> Callable[..., object]:
    """Return what does something later, and has it noted where deeds are noted now."""
    return call if journal.get() is None else partial(copy_context().run, call)


class Step:
    """Something that is done at the beginning of each simulation of a network.

    Arguments:
        call: what is done
        deed: the verb that was used for it
    """

    __slots__ = ("call", "deed")

    def __init__(self, call: Callable[[Simulation], None], deed: Deed) -> None:
        self.call = call
        self.deed = deed

    def __call__(self, simulation: Simulation) -> None:
        target, verb, args, options = self.deed
        note(target, verb, *args, **options)
        self.call(simulation)


class Wall:
    """What keeps packets of some hosts from one other."""

    __slots__ = ("dropped", "held")

    def __init__(self) -> None:
        self.dropped: dict[Stack, None] = {}
        self.held: dict[Stack, list[Packet]] = {}

    @property
    def is_open(self) -> bool:
        """It keeps nobody out."""
        return not self.dropped and not self.held


class Faults:
    """The faults of one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._walls: dict[Stack, Wall] = {}
        self.due = 0
        """How many calls are still to come: with one of them a host that has gone may come back."""

    # -- between hosts ------------------------------------------------------------------------------------

    def partition(self, a: Sequence[Stack], b: Sequence[Stack], *, one_way: bool) -> None:
        """Let nothing come from one side to the other."""
        for source, target in _pairs(a, b, one_way):
            self._wall_of(target).dropped[source] = None
        self._look_at(*a, *b)

    def hold(self, a: Sequence[Stack], b: Sequence[Stack], *, one_way: bool) -> None:
        """Keep what comes from one side to the other."""
        for source, target in _pairs(a, b, one_way):
            self._wall_of(target).held.setdefault(source, [])
        self._look_at(*a, *b)

    def open(self, a: Sequence[Stack], b: Sequence[Stack], *, one_way: bool, held: bool) -> None:
        """Let everything pass again, and what was held first."""
        for source, target in _pairs(a, b, one_way):
            wall = self._walls.get(target)
            if wall is None:
                continue
            if not held:
                wall.dropped.pop(source, None)
                continue
            packets = wall.held.pop(source, [])
            if wall.is_open:
                del self._walls[target]
            for packet in packets:
                target.deliver(packet)
        self._look_at(*a, *b)

    def open_all(self) -> None:
        """Let everything pass between all hosts."""
        walls, self._walls = self._walls, {}
        for target, wall in walls.items():
            target.look()
            for packets in wall.held.values():
                for packet in packets:
                    target.deliver(packet)

    def keeps_out(self, stack: Stack, packet: Packet) -> bool:
        """A packet has come to a host: say whether it is dropped or held instead."""
        wall = self._walls.get(stack)
        if wall is None:
            return False
        source = self._simulation.stack_of(packet.source[0])
        if source is None:
            return False
        if source in wall.dropped:
            stack.drop(packet, PARTITION)
            return True
        if source in wall.held:
            wall.held[source].append(packet)
            return True
        return False

    def concern(self, stack: Stack) -> bool:
        """Say whether there is a wall around a host."""
        return stack in self._walls

    def _wall_of(self, stack: Stack) -> Wall:
        wall = self._walls.get(stack)
        if wall is None:
            wall = self._walls[stack] = Wall()
        return wall

    def _look_at(self, *stacks: Stack) -> None:
        for stack in stacks:
            wall = self._walls.get(stack)
            if wall is not None and wall.is_open:
                del self._walls[stack]
            stack.look()

    # -- at some time -------------------------------------------------------------------------------------

    def call_at(self, when: int, call: Callable[[], object]) -> None:
        """Do something at a time."""
        self.due += 1
        self._simulation.call_at(max(when, self._simulation.clock.now), self._do, _carried(call))

    def _do(self, call: Callable[[], object]) -> None:
        self.due -= 1
        call()
        self._simulation.look_for_end()

    def call_when(self, condition: Callable[[], bool], every: int, call: Callable[[], object]) -> None:
        """Do something as soon as a condition is true, of which we ask again and again."""
        if condition():
            call()
        else:
            again = _carried(self.call_when)
            self._simulation.call_at(self._simulation.clock.now + every, again, condition, every, call)


def _pairs(a: Sequence[Stack], b: Sequence[Stack], one_way: bool) -> Iterable[tuple[Stack, Stack]]:
    for first in a:
        for second in b:
            if first is not second:
                yield first, second
                if not one_way:
                    yield second, first


KINDS = ("crash", "pause", "partition", "hold", "cut")
"""What happens to hosts and links at random when nothing else is said."""
MORE_KINDS = ("clock", "disk full", "disk hang", "disk slow")
"""What can happen besides."""
SLOW = 0.1  # seconds that a call takes, in the mean, of a disk that is slow


class Disturbance:
    """Faults that are drawn from the seed. Made by `Network.disturb`, which says what the arguments mean."""

    def __init__(
        self,
        faults: Iterable[str],
        every: float | str,
        lasting: float | str,
        hosts: tuple[str, ...] | None,
        until: float | str | None,
    ) -> None:
        self.faults = tuple(faults)
        for fault in self.faults:
            if fault not in (*KINDS, *MORE_KINDS):
                raise UsageError(
                    f"disturb(faults={self.faults!r}): there are {', '.join((*KINDS, *MORE_KINDS))}"
                )
        if not self.faults:
            raise UsageError("disturb(faults=()): say which, such as faults=['crash', 'partition']")
        self.every = units.seconds(every, "every")
        self.lasting = units.seconds(lasting, "lasting")
        if self.every <= 0 or self.lasting <= 0:
            raise UsageError(f"disturb(every={every!r}, lasting={lasting!r}): give times longer than nothing")
        self.hosts = hosts
        self.until = None if until is None else nanoseconds(units.seconds(until, "until"))

    def begin(self, simulation: Simulation, number: int) -> None:
        """Draw the first fault of a run."""
        stream = RandomStream(simulation.seed, f"faults/{number}")
        self._put_off(simulation, stream)

    def _put_off(self, simulation: Simulation, stream: RandomStream) -> None:
        when = simulation.clock.now + nanoseconds(stream.exponential(self.every))
        if self.until is None or when <= self.until:
            simulation.call_at(when, _carried(self._strike), simulation, stream)

    def _strike(self, simulation: Simulation, stream: RandomStream) -> None:
        self._put_off(simulation, stream)
        network = simulation.network
        names = self.hosts or tuple(name for name, host in network.hosts.items() if host.patterns)
        fault = self.faults[stream.below(len(self.faults))]
        lasting = nanoseconds(stream.exponential(self.lasting))
        first = network.hosts[names[stream.below(len(names))]]
        second = network.hosts[names[stream.below(len(names))]]
        end: Callable[[], Any] | None = None
        if fault == "crash":
            first.crash()
            end = first.restart
        elif fault == "pause":
            first.pause(lasting / 1e9)
        elif fault == "cut":
            if network.links:
                link = network.links[stream.below(len(network.links))]
                link.cut()
                end = link.repair
        elif fault in MORE_KINDS:
            end = self._strike_one(simulation, fault, first, stream)
        elif first is not second:
            act, undo = (
                (network.partition, network.repair)
                if fault == "partition"
                else (network.hold, network.release)
            )
            act(first, second)

            def end() -> None:
                undo(first, second)

        if end is not None:
            simulation.faults.call_at(simulation.clock.now + lasting, end)

    def _strike_one(
        self, simulation: Simulation, fault: str, host: Host, stream: RandomStream
    ) -> Callable[[], object] | None:
        """Do what concerns a clock or a disk of a host; return what undoes it."""
        stack = simulation.stacks[host.name]
        if fault == "clock":
            wrong = stream.exponential(self.lasting) * (1 if stream.below(2) else -1)
            return _for_a_time(wrong, lambda more: host.set_clock(skew=simulation.loop_of(stack).skew + more))
        if not host.has_disk:
            return None
        if fault == "disk slow":
            disk = simulation.disks[host.name]
            return _for_a_time(
                nanoseconds(stream.exponential(SLOW)),
                lambda more: host.disk.set(latency=(disk.settings.latency + more) / 1e9),
            )
        word = fault.removeprefix("disk ")
        host.disk.set(**{word: True})
        return partial(host.disk.set, **{word: False})


def _for_a_time(value: float, add: Callable[[float], object]) -> Callable[[], object]:
    """Add something, and return what takes it away again; others may do likewise meanwhile."""
    add(value)
    return partial(add, -value)
