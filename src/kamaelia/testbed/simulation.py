"""One run of a network: everything is made anew from the description, driven to its end, and counted.

Time is one `VirtualClock`. Everything that is to happen stands in its queue, ordered by time and then by a
serial number: callbacks and timers of all hosts' loops, and packets. Each host has a stack, a loop on this
clock, and one Axon system for all that it runs, with names and random streams of its own. So nothing depends
on hashes, addresses of objects, or real time; and what happens on one host depends on another only by the
packets between them.

Nor does anything depend on when Python collects garbage, which may close what was forgotten: meanwhile that
happens only every so many turns of the clock.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import gc
import heapq
import sys
from _thread import get_ident
from asyncio import events
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..axon import GraceExceeded, VirtualClock
from .hostrun import HostRun, judge
from .stack import Stack, address_of
from .trace import HostMetrics, LinkMetrics, Metrics, Trace
from .wire import Channel

if TYPE_CHECKING:
    from .loop import HostLoop
    from .network import Network
    from .stream import StreamEnd
    from .wire import Packet

PATIENCE = 60.0  # virtual seconds that code has to end after it was cancelled
GARBAGE = 100_000  # turns of the clock after which garbage is collected


class Simulation:
    """A network in virtual time."""

    def __init__(self, network: Network, seed: int | str, grace: float) -> None:
        self.clock = VirtualClock()
        self.seed = seed
        self.packets = 0  # how many there have been
        self.rows: list[tuple[Any, ...]] = []  # the events, as they will be in the trace
        self.stacks: dict[str, Stack] = {}
        self.by_address: dict[str, Stack] = {}
        self.memberships_version = 0  # how often any has changed
        self.channels: list[Channel] = []
        self._channels_from: dict[str, list[Channel]] = {}
        self._paths: dict[tuple[str, str], tuple[Channel, ...] | None] = {}
        self._grace = grace
        self._patterns = {host.name: host.patterns for host in network.hosts.values()}
        self._runs: list[HostRun] = []
        self._running = 0  # hosts whose components have not ended
        self._turns = 0
        self._time_is_over = False
        self._is_stopping = False
        self._homes: dict[int, HostLoop] = {}  # of asynchronous generators, by id
        for number, name in enumerate(network.hosts, 1):
            stack = Stack(self, name, address_of(number))
            self.stacks[name] = self.by_address[stack.address] = stack
            self._channels_from[name] = []
        for link in network.links:
            ways = [(link.a.name, link.b.name), (link.b.name, link.a.name)]
            for source, target in ways[:1] if link.one_way else ways:
                self._add_channel(source, target, link.settings)

    @property
    def time(self) -> float:
        """Virtual time in seconds."""
        return self.clock.now / 1e9

    # -- what there is ----------------------------------------------------------------------------

    def _add_channel(self, source: str, target: str, settings: dict[str, Any]) -> None:
        number = sum(channel.target == target for channel in self._channels_from[source]) + 1
        channel = Channel(self, source, target, number, **settings)
        self.channels.append(channel)
        self._channels_from[source].append(channel)

    def path(self, source: str, target: str) -> tuple[Channel, ...] | None:
        """Return the way with the least delay; of equals that over fewer links, then that over older ones."""
        key = (source, target)
        if key not in self._paths:
            self._paths[key] = self._find_path(source, target)
        return self._paths[key]

    def _find_path(self, source: str, target: str) -> tuple[Channel, ...] | None:
        serial = 0
        heap: list[tuple[float, int, int, str, tuple[Channel, ...]]] = [(0.0, 0, serial, source, ())]
        done: dict[str, None] = {}
        while heap:
            delay, hops, _, name, path = heapq.heappop(heap)
            if name == target:
                return path
            if name in done:
                continue
            done[name] = None
            for channel in self._channels_from[name]:
                further = channel.target
                # A host with one link is on the way to nowhere else.
                if further == target or (further not in done and len(self._channels_from[further]) > 1):
                    serial += 1
                    heapq.heappush(heap, (delay + channel.delay, hops + 1, serial, further, (*path, channel)))
        return None

    # -- what happens -----------------------------------------------------------------------------

    def record(self, what: str, packet: Packet, where: str = "") -> None:
        """Something has happened to a packet."""
        self.rows.append(
            (
                self.time,
                what,
                packet.number,
                packet.protocol,
                packet.source,
                packet.target,
                packet.size,
                where,
            )
        )

    def record_for(self, end: StreamEnd, what: str) -> None:
        """Something has happened to a connection."""
        self.rows.append((self.time, what, 0, "tcp", end.name, end.remote_name, 0, ""))

    def record_at(self, stack: Stack, what: str, source: str) -> None:
        """Something has happened on a host."""
        self.rows.append((self.time, what, 0, "tcp", source, "", 0, ""))

    # -- from beginning to end --------------------------------------------------------------------

    def run(self, seconds: float, until: str | None, errors: str) -> Trace:
        """Run everything, and return or raise what came of it."""
        with self._as_running_loops(), _without_garbage_collection():
            try:
                self._start(until)
                self._drive(seconds)
                self._stop()
            except BaseException:
                self._cancel()
                raise
            finally:
                for stack in self.stacks.values():
                    stack.loop._thread_id = None  # type: ignore[attr-defined]
                    stack.loop.close()
        return self._outcome(seconds, errors)

    def _start(self, until: str | None) -> None:
        for name, patterns in self._patterns.items():
            if patterns:
                loop = self.stacks[name].loop
                with _inside(loop):
                    run = HostRun(name, loop, patterns, self.seed, self._grace)
                    self._runs.append(run)
                    self._running += 1
                    run.system.start(*run.components)
                    run.system.finished.add_done_callback(functools.partial(self._leave, run))
                    if name == until:
                        run.system.finished.add_done_callback(self._host_is_over)

    def _drive(self, seconds: float) -> None:
        """Let things happen for some time, or until the components of all hosts have ended."""
        if self._running:
            self._time_is_over = False
            loop = self.stacks[self._runs[0].name].loop
            timer = loop.call_at(self.time + seconds, self._end_time, context=contextvars.Context())
            while self._running and not self._time_is_over:
                self.clock.turn()
                self._turns += 1
                if self._turns % GARBAGE == 0:
                    gc.collect()
            timer.cancel()
            if self._running:
                self.clock.settle()

    def _end_time(self) -> None:
        self._time_is_over = True

    def _host_is_over(self, _: object) -> None:
        if not self._is_stopping:
            self._time_is_over = True

    def _stop(self) -> None:
        """Stop the systems that still run, as Ctrl-C would."""
        self._is_stopping = True
        for run in self._runs:
            if not run.system.finished.done() and not run.system.stopping:
                with _inside(self.stacks[run.name].loop):
                    run.system.stop()
        self._drive(self._grace + PATIENCE)

    def _leave(self, run: HostRun, _: object) -> None:
        """A host's components have ended: end its program, as `asyncio.run` and the kernel do."""
        self.stacks[run.name].loop.create_task(self._end_program(run))

    async def _end_program(self, run: HostRun) -> None:
        stack = self.stacks[run.name]
        await stack.loop.end_tasks()
        stack.exit()
        run.has_left = True
        self._running -= 1

    def _cancel(self) -> None:
        """Something has gone wrong here: end the systems at once, if they let us."""
        for run in self._runs:
            if not run.system.finished.done():
                with _inside(self.stacks[run.name].loop):
                    run.system.cancel()
        self.clock.settle()

    @contextlib.contextmanager
    def _as_running_loops(self) -> Iterator[None]:
        """Do what asyncio does around a running loop, for all of them."""
        hooks = sys.get_asyncgen_hooks()
        for stack in self.stacks.values():
            stack.loop._thread_id = get_ident()  # type: ignore[attr-defined]
        sys.set_asyncgen_hooks(firstiter=self._generator_begins, finalizer=self._generator_is_dropped)
        try:
            yield
        finally:
            sys.set_asyncgen_hooks(*hooks)

    def _generator_begins(self, generator: Any) -> None:
        loop: Any = events._get_running_loop()
        self._homes[id(generator)] = loop
        loop._asyncgen_firstiter_hook(generator)

    def _generator_is_dropped(self, generator: Any) -> None:
        loop: Any = self._homes.pop(id(generator))
        loop._asyncgen_finalizer_hook(generator)

    # -- what came of it --------------------------------------------------------------------------

    def _outcome(self, seconds: float, errors: str) -> Trace:
        for run in self._runs:
            if not run.has_left:
                run.error = GraceExceeded(
                    f"{run.name}: something here was cancelled and has not ended {PATIENCE:g} s later; "
                    "let Cancelled through"
                )
        hint = f"run it again with simulate(seconds={seconds:g}, seed={self.seed!r})"
        failed = judge(self._runs, errors, hint)
        return Trace(
            seed=self.seed,
            rows=self.rows,
            metrics=self._metrics(),
            results={run.name: run.result for run in self._runs},
            errors=failed,
        )

    def _metrics(self) -> Metrics:
        links = {
            one.name: LinkMetrics(one.packets, one.delivered, one.lost, one.dropped, one.bytes)
            for one in self.channels
        }
        hosts = {
            one.name: HostMetrics(one.sent, one.received, one.bytes_sent, one.bytes_received)
            for one in self.stacks.values()
        }
        return Metrics(self.time, links, hosts)


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Have Python collect no garbage by itself."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def _inside(loop: HostLoop) -> Iterator[None]:
    """Have a loop be the running one."""
    before = events._get_running_loop()
    events._set_running_loop(loop)
    try:
        yield
    finally:
        events._set_running_loop(before)
