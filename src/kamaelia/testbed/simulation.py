"""One run of a network: everything is made anew from the description, driven to its end, and counted.

Time is one `VirtualClock`. Everything that is to happen stands in its queue, ordered by time and then by a
serial number: callbacks and timers of all hosts' loops, and packets. Each host has a stack; one that runs
something has a loop on this clock, too, and one Axon system for all that it runs, with names and random
streams of its own. So nothing depends on hashes, addresses of objects, or real time; and what happens on
one host depends on another only by the packets between them.

Nor does anything depend on when Python collects garbage, which may close what was forgotten: meanwhile that
happens only every so many turns of the clock, which is at the same virtual times in every run. Of a large
network, what there is when all has begun is there to stay, and is not searched.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sys
from _thread import get_ident
from asyncio import events
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from ..axon import GraceExceeded, System, UsageError, VirtualClock, VirtualLoop
from ..axon.clock import nanoseconds
from ..axon.errors import suggestion
from ..axon.system import print_announcement
from ..observe import measures
from . import stand_ins
from .addresses import ipv4_of, ipv6_of, is_ipv6, number_of
from .capture import Captures
from .disk import KEEP as KEEP_CALLS
from .faults import Faults
from .forms import Forms, forms
from .fragments import icmp_size
from .hostrun import HostRun, judge
from .links import RandomStream
from .loop import HostLoop
from .measures_network import Metrics, host_metrics, link_metrics, measures_of
from .multicast import Groups
from .nat import Translator
from .options import FIRST_NUMBER
from .protocols import ICMP, ICMPV6, LINK_DOWN
from .remote import Remote
from .routing import Routes
from .settings import LinkSettings, changed
from .snapshot import NetworkSnapshot, NetworkWatch, name_of_link
from .trace import Trace

if TYPE_CHECKING:
    from .channel import Channel
    from .network import Network, NetworkLink
    from .sockets import SimulatedSocket
    from .stack import Stack
    from .wire import Packet

PATIENCE = 60.0  # virtual seconds that code has to end after it was cancelled
MANY = 1000  # hosts: so many are worth it to treat them in another way, for memory or time
GARBAGE_PER_HOST = 100  # turns for each, if that is more: what waits there has to be looked at each time
GARBAGE = 100_000  # turns of the clock after which young garbage is collected; older every tenth time


class Simulation:
    """A network in virtual time."""

    def __init__(
        self,
        network: Network,
        seed: int | str,
        grace: float,
        keep: int | None,
        measure: frozenset[str] = frozenset(),
        remote: Remote | None = None,
    ) -> None:
        self.network = network
        self.remote = Remote() if remote is None else remote
        self.forms = self._make_forms()
        self.clock = VirtualClock()
        self.fabric = self.forms.Fabric(self.clock)
        self.fabric.recorder = None if keep is None else self.forms.Recorder(self.clock, keep)
        self.seed = seed
        self.has_ipv6 = network.ipv6
        self.stacks: dict[str, Stack] = {}
        self.routes = Routes()
        self.groups = Groups(self, network.group_timing)
        self.faults = Faults(self)
        self._there: dict[NetworkLink, Channel] = {}  # of each link the first direction
        self.thread = 0  # which runs all this, while it runs
        self.seconds = 0.0  # that it is to take
        self.announce: Callable[[str], object] = print_announcement
        self.services: Sequence[Callable[[Simulation], Callable[[], object]]] = ()
        """What looks after the run: each is called when it begins, and what it returns when it has ended."""
        self._watch: NetworkWatch | None = None
        self._links_by_name: dict[str, NetworkLink] = {}  # made when it is asked for
        self._by_number: list[Stack] = []
        self._by_address: dict[str, Stack] = {}  # for those that were given addresses
        self._captures: Captures | None = None
        self._grace = grace
        self._runs: list[HostRun] = []
        self._running = 0  # hosts whose components have not ended
        self._on_over = self._leave  # one for all: each time that a method is taken it is an object
        self._time_is_over = False
        self._until: str | None = None
        self._context = contextvars.copy_context()  # of all systems: each component has a copy of its own
        self._script_loop: VirtualLoop | None = None
        self._scripts: dict[asyncio.Task[object], None] = {}
        self._is_stopping = False
        self._collections = 0
        self._last_number = FIRST_NUMBER
        self.first_numbers = RandomStream(seed, "first numbers of TCP")
        self.numbered = 0  # objects that have a number for their hash
        self._numbered: WeakValueDictionary[int, SimulatedSocket] = WeakValueDictionary()
        self._loops: list[HostLoop] = []  # all that there were
        self._homes: dict[int, HostLoop] = {}  # of asynchronous generators, by id
        self.disks = {
            host.name: host.disk.begin(self.clock, seed, KEEP_CALLS if keep is not None else 0)
            for host in network.hosts.values()
            if host.has_disk
        }
        everybody = [*network.hosts.values(), *network.removed.values()]
        for host in sorted(everybody, key=attrgetter("number")) if network.removed else everybody:
            self._add_stack(host)
        for link in network.links:
            self._add_link(link)
        if "queues" in measure:
            for channel in self.each_channel():
                channel.watch_queue()
        for host in network.hosts.values():
            for route, neighbour in host.routes:
                if neighbour in network.removed:
                    continue
                self._add_route(self.stacks[host.name], route, self.stacks[neighbour])

    def _make_forms(self) -> Forms:
        """Return of which classes all is made."""
        return forms()

    @property
    def time(self) -> float:
        """Virtual time in seconds."""
        return self.clock.now / 1e9

    # -- what there is ----------------------------------------------------------------------------

    def _add_stack(self, host: Any) -> None:
        stack = self.forms.Stack(self, host.name, len(self._by_number) + 1, host.kind)
        self._by_number.append(stack)
        self.stacks[host.name] = stack
        if self.network.tcp is not None or host.tcp is not None:
            stack.tcp_settings = host.tcp or self.network.tcp
        if host.name in self.network.removed:
            stack.is_down = True
            stack.look()
            self.routes.nowhere.add(stack)
        if host.group_options:
            stack.group_options = host.group_options
        if host.rules or host.translation is not None:
            stack.rules = host.rules
            if host.translation is not None:
                stack.translator = Translator(stack, *host.translation)
            stack.look()
        if host.addresses:
            stack.own = host.addresses
            for address in host.addresses:
                self._by_address[address] = stack

    def _add_link(self, link: NetworkLink) -> None:
        a, b = self.stacks[link.a.name], self.stacks[link.b.name]
        there = self._there[link] = self.forms.Channel(a, b, link.settings, self.seed)
        if not link.one_way:
            back = self.forms.Channel(b, a, link.settings_back, self.seed)
            there.back, back.back = back, there

    @property
    def present(self) -> dict[str, Stack]:
        """The hosts by name, without those that were removed (`Network.remove`)."""
        if not self.network.removed:
            return self.stacks
        return {name: self.stacks[name] for name in self.network.hosts}

    def channels_of(self, link: NetworkLink) -> tuple[Channel, ...]:
        """Return the directions of a link."""
        there = self._there[link]
        return (there,) if there.back is None else (there, there.back)

    def each_channel(self) -> Iterator[Channel]:
        """Yield the directions of all links, in the order of their making."""
        for link in self._there:
            yield from self.channels_of(link)

    def _add_route(self, stack: Stack, network: Any, neighbour: Stack) -> None:
        for channel in stack.channels:
            if channel.far is neighbour:
                stack.routes = (*stack.routes, (network, channel))
                return

    def change(self, link: NetworkLink, direction: str, changes: dict[str, Any]) -> None:
        """Change a link for the rest of this run."""
        channels = self.channels_of(link)
        both = changed_both(channels, direction, changes)  # first all, as what is no quantity changes nothing
        for channel, settings in both:
            channel.adjust(settings, self.seed)

    def loop_of(self, stack: Stack) -> HostLoop:
        """Return the loop of a host, which is made when it is needed."""
        if stack.loop is None:
            stack.loop = HostLoop(stack)
            self._loops.append(stack.loop)
            if stack.name in self.disks:
                stack.loop.disk = self.disks[stack.name].mount(stack.loop)
        return stack.loop  # type: ignore[no-any-return]

    def stack_of(self, address: str) -> Stack | None:
        """Return the host that has an address."""
        found = self._by_address.get(address)
        if found is not None:
            return found
        number = number_of(address)
        if 0 < number <= len(self._by_number) and address in (ipv4_of(number), ipv6_of(number)):
            return self._by_number[number - 1]
        return None

    def channels_called(self, name: str) -> list[Channel]:
        """Return both directions of the link that has a name, as the metrics have it for one of them."""
        for link in self._there:
            channels = self.channels_of(link)
            if any(channel.name == name for channel in channels):
                return list(channels)
        known = [*self.stacks, *(channel.name for channel in self.each_channel())]
        raise UsageError(f"capture: there is no host and no link {name!r}; {suggestion(name, known)}")

    @property
    def links(self) -> Collection[NetworkLink]:
        """All links, in the order of their making."""
        return self._there.keys()

    def link_called(self, name: str) -> NetworkLink:
        """Return the link that has a name, or one of whose directions has it. Raises `UsageError`."""
        if not self._links_by_name:
            for link in self._there:
                for channel in self.channels_of(link):
                    self._links_by_name[channel.name] = link
                self._links_by_name[name_of_link(self.channels_of(link))] = link
        if name not in self._links_by_name:
            raise UsageError(f"there is no link {name!r}; {suggestion(name, self._links_by_name)}")
        return self._links_by_name[name]

    @property
    def watch(self) -> NetworkWatch:
        """What is known to those who look at it again and again, which is when rates are."""
        if self._watch is None:
            self._watch = NetworkWatch(self)
        return self._watch

    def snapshot(self) -> NetworkSnapshot:
        """Return what the network is like at this moment; from any thread."""
        return self.watch.snapshot()

    @property
    def is_stopping(self) -> bool:
        """Its time is over, and those who still run have been stopped."""
        return self._is_stopping

    def capture(self, wanted: dict[str, Any], snaplen: int) -> None:
        """Write down what passes hosts and links."""
        self._captures = Captures(self, wanted, snaplen)

    # -- what happens -----------------------------------------------------------------------------

    def number_socket(self, sock: SimulatedSocket) -> int:
        """Return a number for a socket, which is like that of a file, and no file's."""
        self._last_number += 1
        self._numbered[self._last_number] = sock
        return self._last_number

    def socket_numbered(self, number: int) -> SimulatedSocket | None:
        """Return the socket that has a number."""
        return self._numbered.get(number)

    def call_soon(self, call: Callable[..., object], *args: Any) -> None:
        """Call something at this instant, when others have had their turn."""
        self.clock.add_ready(_Call(call, args))

    def call_at(self, when: int, call: Callable[..., object], *args: Any) -> None:
        """Call something at a time in nanoseconds; no host's loop is running then."""
        self.clock.add_timer(when, _Call(call, args))

    def call_later(self, seconds: float, call: Callable[..., object], *args: Any) -> None:
        """Call something after some seconds."""
        self.call_at(self.clock.now + nanoseconds(seconds), call, *args)

    def answer_unreachable(self, stack: Stack, packet: Packet) -> None:
        """Tell the sender of a datagram that nobody has its port; who is not connected does not hear it."""
        sender = self.stack_of(packet.source[0]) if not packet.source[0].startswith("127.") else stack
        socket = None
        if sender is not None:
            socket = sender.find_socket(packet.source[0], packet.source[1], (packet.target, packet.port))
        if sender is None or socket is None or socket.connected_to is None:
            return
        answer = self.forms.Packet()
        six = is_ipv6(packet.target)
        answer.protocol, answer.kind = (ICMPV6 if six else ICMP), "icmp"
        answer.size = icmp_size(packet)
        answer.source, answer.target, answer.port = (packet.target, 0), packet.source[0], 0
        answer.name, answer.target_name = stack.name, sender.name
        answer.data = _Unreachable(socket, packet.copy())
        stack.count_sent(answer)
        stack.emit(answer)

    def broadcast(self, stack: Stack, packet: Packet) -> None:
        """Send a packet to all on the links of a host."""
        for channel in stack.channels:
            channel.carry(packet.copy())

    # -- from beginning to end --------------------------------------------------------------------

    def run(self, seconds: float, until: str | None, errors: str) -> Trace:
        """Run everything, and return or raise what came of it."""
        self.seconds = seconds
        with (
            contextlib.ExitStack() as looking,
            _without_garbage_collection(len(self.stacks) >= MANY) as freeze,
        ):
            for begin in self.services:
                looking.callback(begin(self))
            self._run_all(seconds, until, freeze)
            return self._outcome(seconds, errors)

    def _run_all(self, seconds: float, until: str | None, freeze: Callable[[], None]) -> None:
        with stand_ins.installed(), self._as_running_loops():
            before, self.network.simulation = self.network.simulation, self
            try:
                self.remote.begin(self)
                self._start(until)
                self.clock.settle()
                freeze()
                self._drive(seconds)
                self._end_scripts()
                self._stop()
            except BaseException:
                self._cancel()
                raise
            finally:
                self.remote.end(self)
                self.network.simulation = before
                self.thread = 0
                if self._captures is not None:
                    self._captures.close()
                if self._script_loop is not None:
                    self._script_loop.close()
                for disk in self.disks.values():
                    disk.end()
                for run in self._runs:
                    if run.has_crashed:
                        run.bury()
                for loop in self._loops:
                    loop.close()

    def _start(self, until: str | None) -> None:
        self._until = until
        for name, host in self.network.hosts.items():
            if host.patterns:
                self._start_host(name, self.seed, 1)
        for call in self.network.script_of_runs:
            call(self)

    def _start_host(self, name: str, seed: int | str, start: int) -> None:
        loop = self.loop_of(self.stacks[name])
        loop.seed = seed  # of what it draws by Python's own means
        with _inside(loop):
            run = HostRun(name, loop, self.network.hosts[name].patterns, seed, self._grace, start)
            self._runs.append(run)
            self.stacks[name].run = run
            self._running += 1
            run.system.start(*run.components, context=self._context)
            run.system.on_over = self._on_over
            if name == self._until:
                run.system.finished.add_done_callback(self._host_is_over)

    # -- faults -------------------------------------------------------------------------------------

    def crash(self, name: str) -> None:
        """Switch a host off; once is enough."""
        stack = self.stacks[name]
        if stack.is_down:
            return
        stack.crash()
        if stack.loop is not None:
            stack.loop.kill()
            stack.loop = None
        if name in self.disks:
            self.disks[name].crash()
        run = stack.run
        if run is not None and not run.has_left and not run.has_crashed:
            run.has_crashed = True
            run.measures = measures(run.system)
            self._running -= 1
        self.look_for_end()

    def restart(self, name: str) -> None:
        """Switch a host on again: all that it runs is made anew. One that runs is crashed before."""
        if name in self.network.removed:
            return
        self.crash(name)
        stack = self.stacks[name]
        stack.is_down = False
        stack.look()
        self.groups.returned(stack)
        if self.network.hosts[name].patterns and not self._is_stopping:
            start = stack.run.start + 1 if stack.run is not None else 1
            self._start_host(name, f"{self.seed}/start {start}", start)

    def pause(self, name: str, length: int) -> None:
        """Let no code of a host run for some time."""
        loop = self.stacks[name].loop
        if loop is not None and not loop.is_frozen:
            loop.freeze()
            self.call_at(self.clock.now + length, loop.thaw)

    def cut(self, link: NetworkLink, *, repaired: bool) -> None:
        """Have a link carry nothing, or everything again; ways lead around it."""
        for channel in self.channels_of(link):
            channel.close_for(0 if repaired else LINK_DOWN)
            channel.is_open = repaired
        self.routes.forget()
        for stack in self._by_number:
            stack.table.clear()
        self.fabric.version += 1
        self.groups.ways_changed()

    def run_script(self, body: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run a coroutine that belongs to no host."""
        if self._script_loop is None:
            self._script_loop = VirtualLoop(self.clock)
        task = self._script_loop.create_task(body())
        self._scripts[task] = None
        self.faults.due += 1
        task.add_done_callback(self._script_is_over)

    def _script_is_over(self, task: asyncio.Task[object]) -> None:
        self.faults.due -= 1
        if not task.cancelled() and task.exception() is not None:
            self._time_is_over = True
            self.clock.halt()
        self.look_for_end()

    def _end_scripts(self) -> None:
        """Cancel scripts that still run, and raise what one has raised."""
        for task in self._scripts:
            task.cancel()
        self.clock.settle()
        for task in self._scripts:
            if task.done() and not task.cancelled():
                task.result()

    def look_for_end(self) -> None:
        """See whether all hosts have ended, and none can come back."""
        if not self._running and not self.faults.due:
            self.clock.halt()

    def _drive(self, seconds: float) -> None:
        """Let things happen for some time, or until the components of all hosts have ended."""
        if self._running or self.faults.due:
            self._time_is_over = False
            end = _Call(self._end_time, ())
            self.clock.add_timer(self.clock.now + nanoseconds(seconds), end)
            left = turns = max(GARBAGE, GARBAGE_PER_HOST * len(self.stacks))
            while self._goes_on:
                left = self.remote.turns(left)
                if not left or not self._goes_on:
                    self._collect_garbage()
                    left = turns
            if not self._time_is_over:
                end._cancelled = True
                self.clock.forget_timer()
            if self._running:
                self.clock.settle()

    @property
    def _goes_on(self) -> bool:
        return not self._time_is_over and bool(self._running or self.faults.due)

    def end_soon(self) -> None:
        """End the run as if its time were over, from a signal handler in its thread; one that is paused goes
        on for that."""
        # In a moment of virtual time: what happens at this one may be the beginning.
        self.call_at(self.clock.now + 1, self._end_time)
        self.remote.let_go()

    def do_on(self, system: System, function: Callable[[], object]) -> object:
        """Do something as on the host that has a system, between two turns."""
        loop: Any = system.loop
        with _inside(loop):
            return function()

    def note_by_hand(self, what: int, kind: str, source: str = "", target: str = "") -> None:
        """Write down that somebody has changed something by hand."""
        if self.fabric.recorder is not None:
            self.fabric.recorder.write(what, 0, kind, source, target, 0, "", 0)

    def _collect_garbage(self) -> None:
        """Have Python look for garbage. What that still does is done as on the first host."""
        self._collections += 1
        with _inside(self._loops[0]) if self._loops else contextlib.nullcontext():
            gc.collect(2 if self._collections % 100 == 0 else self._collections % 10 == 0)

    def _end_time(self) -> None:
        self._time_is_over = True
        self.clock.halt()

    def _host_is_over(self, _: object) -> None:
        if not self._is_stopping:
            self._time_is_over = True
            self.clock.halt()

    def _stop(self) -> None:
        """Stop the systems that still run, as Ctrl-C would."""
        self._is_stopping = True
        self.faults.due = 0
        for number, run in enumerate(self._runs, 1):
            self._wake(run)
            if not run.has_crashed and not run.system.is_over and not run.system.stopping:
                with _inside(self.stacks[run.name].loop):
                    run.system.stop()
            if number % MANY == 0:  # let them go before the others: else all need memory for it at once
                self.clock.settle()
        self._drive(self._grace + PATIENCE)

    def _wake(self, run: HostRun) -> None:
        """A host that is paused is to end with the others."""
        if run.loop.is_frozen and not run.has_crashed:
            run.loop.thaw()

    def _leave(self, system: System) -> None:
        """A host's components have ended: end its program, as `asyncio.run` and the kernel do."""
        loop: Any = system.loop
        run = loop.stack.run
        if loop.is_bare:
            loop.call_soon(self._end_bare_program, run)
        else:
            loop.create_task(self._end_program(run))

    def _end_bare_program(self, run: HostRun) -> None:
        stack = self.stacks[run.name]
        if stack.loop.is_bare:  # still
            self._has_ended(run)
        else:
            stack.loop.create_task(self._end_program(run))

    async def _end_program(self, run: HostRun) -> None:
        await self.stacks[run.name].loop.end_tasks()
        self._has_ended(run)

    def _has_ended(self, run: HostRun) -> None:
        self.stacks[run.name].exit()
        run.has_left = True
        self._running -= 1
        self.look_for_end()

    def _cancel(self) -> None:
        """Something has gone wrong here: end the systems at once, if they let us."""
        for run in self._runs:
            if not run.has_crashed and not run.system.is_over:
                with _inside(self.stacks[run.name].loop):
                    run.system.cancel()
        self.clock.settle()

    @contextlib.contextmanager
    def _as_running_loops(self) -> Iterator[None]:
        """Do what asyncio does around a running loop, for all of them."""
        hooks = sys.get_asyncgen_hooks()
        self.thread = get_ident()
        sys.set_asyncgen_hooks(firstiter=self._generator_begins, finalizer=self._generator_is_dropped)
        try:
            yield
        finally:
            self.thread = 0
            sys.set_asyncgen_hooks(*hooks)

    def _generator_begins(self, generator: Any) -> None:
        loop: Any = events._get_running_loop()
        self._homes[id(generator)] = loop
        loop._asyncgen_firstiter_hook(generator)

    def _generator_is_dropped(self, generator: Any) -> None:
        loop: Any = self._homes.pop(id(generator))
        if loop.stack.loop is loop:  # else its host has crashed
            loop._asyncgen_finalizer_hook(generator)

    # -- what came of it --------------------------------------------------------------------------

    def _outcome(self, seconds: float, errors: str) -> Trace:
        for run in self._runs:
            if not run.has_left and not run.has_crashed:
                run.error = GraceExceeded(
                    f"{run.name}: something here was cancelled and has not ended {PATIENCE:g} s later; "
                    "let Cancelled through"
                )
        hint = f"run it again with simulate(seconds={seconds:g}, seed={self.seed!r})"
        failed = judge([run for run in self._runs if not run.has_crashed], errors, hint)
        return Trace(
            seed=self.seed,
            recorder=self.fabric.recorder,
            metrics=self._metrics(),
            results={run.name: run.result for run in self._runs},
            errors=failed,
            captures={} if self._captures is None else self._captures.kept,
            disks={name: disk.trace() for name, disk in self.disks.items()},
        )

    def _metrics(self) -> Metrics:
        links = {one.name: link_metrics(one) for one in self.each_channel()}
        hosts = {name: host_metrics(stack) for name, stack in self.present.items()}
        return Metrics(self.time, links, hosts, measures_of(self._runs))


def changed_both(
    channels: tuple[Channel, ...], direction: str, changes: dict[str, Any]
) -> list[tuple[Channel, LinkSettings]]:
    """Return the settings that the directions of a link are to have."""
    chosen = {"there": channels[:1], "back": channels[1:], "both": channels}[direction]
    return [(channel, changed(channel.settings, changes)) for channel in chosen]


class _Call:
    """Something that a simulation itself does at some time."""

    __slots__ = ("_args", "_call", "_cancelled")

    _loop = None

    def __init__(self, call: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._call = call
        self._args = args
        self._cancelled = False

    def _run(self) -> None:
        self._call(*self._args)


class _Unreachable:
    """What the answer to a datagram says that nobody has taken."""

    def __init__(self, transport: Any, about: Packet) -> None:
        self._transport = transport
        self.about = about

    def arrive(self, stack: Stack, packet: Packet) -> None:
        """Tell the sender."""
        self._transport.refused(self.about.target, self.about.port)


@contextlib.contextmanager
def _without_garbage_collection(large: bool) -> Iterator[Callable[[], None]]:
    """Have Python collect no garbage by itself; yield what spares it what there is by then.

    It is spared only in a large network, for Python counts what is frozen by looking at each; and not if
    something is frozen already: somebody has plans of their own.
    """
    was_enabled, may_freeze = gc.isenabled(), large and not gc.get_freeze_count()
    gc.disable()
    try:
        yield gc.freeze if may_freeze else _nothing
    finally:
        if may_freeze:
            gc.unfreeze()
        if was_enabled:
            gc.enable()


def _nothing() -> None:
    pass


@contextlib.contextmanager
def _inside(loop: HostLoop) -> Iterator[None]:
    """Have a loop be the running one."""
    before = events._get_running_loop()
    events._set_running_loop(loop)
    try:
        yield
    finally:
        events._set_running_loop(before)
