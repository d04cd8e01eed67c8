"""The box: the simulated network, driven by real time, with the kernels of real hosts around it.

Theory
------
The box is a process of its own. It makes of the description of a network what a simulation makes of it, with
the same parts: channels with their queues, losses and delays, routers with their ways, rules and translation,
trees of groups, and the same streams of chance for the same seed. Only at the hosts there is no simulated
kernel: what has come to one is written to its TUN device, and what its real kernel sends is read there.

**Time.** The clock of the simulation is set to the real time, again and again. What is due by then happens in
its order, each thing at its own time of the model, whenever that really is. So what is late is late once, at
the end: a packet that has passed five hops in a box which was busy for 100 us comes 100 us late, and not five
times that; and whether a queue was full is computed with the times of the model. How late each packet left
the box is counted (`lateness`).

**Queues.** All that a host's kernel has sent is read at once, however much it is. What has to wait waits in
the model of the queue, and is dropped by it.

**Waiting.** `select` waits for microseconds, where epoll and asyncio round to milliseconds; so it waits here
for one file, an epoll that watches all devices. The kernel is asked to be exact (it may otherwise wake a
process 50 us late, to save power). Waking takes 25 to 30 us all the same, so the box wakes that much early
and looks again and again for the rest.
"""

from __future__ import annotations

import gc
import os
import select
import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ...axon import UsageError, core
from ...axon.clock import monotonic_nanoseconds
from ..addresses import ALL_HOSTS, MOST_HOSTS, ipv4_of, ipv6_of, is_group, is_ipv6
from ..captures import headers
from ..forms import forms
from ..measures_network import Metrics
from ..protocols import CORRUPT, ICMP, ICMPV6, NO_WAY, TOO_LARGE, UDP
from ..simulation import Simulation
from . import kernel
from .lateness import Load
from .names import addresses_of
from .packets import Reader, bytes_of, readdress
from .pipes import Gone, Pipe

if TYPE_CHECKING:
    from ..channel import Channel
    from ..network import Network
    from ..wire import Packet

WAKING = 30_000  # nanoseconds that the kernel may take to wake a process
SECOND = 10**9  # nanoseconds
TURNS = 1 << 40  # of the clock: more than there can be
AT_ONCE = 16  # packets that are read from one host before it is looked again what is due
"""Each takes some 8 us, and what is due waits meanwhile."""


class EmulatedStack:
    """A host, router or switch in the box; a host's packets are for its real kernel."""

    __slots__ = core.NO_SLOTS

    descriptor = -1
    """Of the TUN device; -1 where there is none."""

    def take(self: Any, packet: Packet, channel: Channel) -> None:
        """See `Stack`. What is for a group, a real kernel decides about itself."""
        if self.descriptor < 0 or self.is_down or not is_group(packet.target):
            if not _is_foreign(self, packet):
                super().take(packet, channel)  # type: ignore[misc]
            return
        if self.forwards:
            if not _is_foreign(self, packet):
                super().take(packet, channel)  # type: ignore[misc]
        elif not self.simulation.faults.keeps_out(self, packet):
            self.note_delivery(packet)
            self.simulation.write(self, packet)

    def _translate(self: Any, packet: Packet, channel: Channel) -> bool:
        """See `Stack`. Translators are of IPv4."""
        if is_ipv6(packet.target):
            return is_group(packet.target)
        if super()._translate(packet, channel):  # type: ignore[misc]
            return True
        # What the router itself has asked for, if it runs anything, is for its kernel to know.
        return self.has(packet.target) and bool(self.simulation.network.hosts[self.name].patterns)

    def take_delivered(self: Any, packet: Packet) -> None:
        """See `Stack`: a packet has come to its host."""
        self.simulation.write(self, packet)

    def expire(self: Any, packet: Packet) -> None:
        """See `Stack`: here the sender is told, as `traceroute` wants to know."""
        super().expire(packet)  # type: ignore[misc]
        self.simulation.complain(self, packet, headers.time_exceeded)

    def too_large(self: Any, packet: Packet, channel: Channel) -> None:
        """See `Stack`: a packet that may be cut is cut, as its host has not asked for anything else."""
        pieces = self.simulation.cut_packet(packet, channel.mtu)
        if not pieces:
            channel.drop(packet, TOO_LARGE)
            self.simulation.complain(self, packet, partial(_too_big, channel.mtu))
        for piece in pieces:
            channel.carry(piece)

    def ignore(self: Any, packet: Packet, why: str = "nobody listens") -> None:
        """See `Stack`: a router says that it knows no way."""
        super().ignore(packet, why)  # type: ignore[misc]
        if why == NO_WAY and not is_group(packet.target):
            self.simulation.complain(self, packet, _no_way)


def _is_foreign(stack: Any, packet: Packet) -> bool:
    """Say whether a packet to a group is of a kind that no router knows; it is ignored here."""
    if type(packet.data) is bytes and packet.protocol != UDP and is_group(packet.target):
        stack.ignore(packet)
        return True
    return False


def _too_big(mtu: int, source: str, target: str, about: bytes) -> bytes:
    return headers.too_big(source, target, mtu, about)


def _no_way(source: str, target: str, about: bytes) -> bytes:
    return headers.unreachable(source, target, "host", about)


class EmulatedChannel:
    """One direction of a link, which carries real packets."""

    __slots__ = core.NO_SLOTS

    def _corrupt(self: Any, packet: Packet, specials: Any) -> None:
        """See `Channel`: bits of the real payload are inverted."""
        specials.corrupted += 1
        self._note(CORRUPT, packet)
        raw = packet.data
        if type(raw) is not bytes:
            packet.spoiled = True
            return
        start = 40 if raw[0] >> 4 == 6 else (raw[0] & 15) * 4
        found = None
        if packet.protocol == UDP and len(raw) >= start + 8:
            found = specials.corruptions.receive(raw[start + 8 :])
        if found is None:  # its checksum will find it
            packet.data = raw[:-1] + bytes([raw[-1] ^ 1])
            return
        source, target = packet.source[0], packet.target
        packet.data = raw[:start] + headers.udp(source, target, packet.source[1], packet.port, found)


class EmulatedCapture:
    """Writes down real packets."""

    __slots__ = core.NO_SLOTS

    def __init__(self: Any, *args: Any) -> None:
        super().__init__(*args)
        self.bytes_of = _bytes_on_the_link


def _bytes_on_the_link(packet: Packet) -> bytes:
    return bytes(readdress(bytes_of(packet), packet))


_made: dict[str, Any] = {}


def emulated_forms() -> Any:
    """Return the form of the wire that is in use, with the nodes and channels of a box."""
    form = core.form
    if form not in _made:
        plain = forms()
        body = {"__slots__": (), "__module__": __name__}
        _made[form] = plain._replace(
            Stack=type("Stack", (EmulatedStack, plain.Stack), body),
            Channel=type("Channel", (EmulatedChannel, plain.Channel), body),
            Capture=type("Capture", (EmulatedCapture, plain.Capture), body),
        )
    return _made[form]


class Box(Simulation):
    """A network in real time.

    Arguments, beside those of `Simulation`:
        devices: descriptors of TUN devices, by host
        line: to whom it obeys
    """

    def __init__(
        self,
        network: Network,
        seed: int | str,
        keep: int | None,
        measure: frozenset[str],
        devices: dict[str, int],
        line: Pipe,
    ) -> None:
        super().__init__(network, seed, 0.0, keep, measure)
        self.line = line
        self.load = Load(devices)
        names = {address: name for name, own in addresses_of(network).items() for address in own}
        stack: Any
        for stack in self.stacks.values():
            stack.descriptor = devices.get(stack.name, -1)
        self._reader = Reader(self.forms.Packet, names)
        self._translates = any(stack.translator is not None for stack in self.stacks.values())
        self._by_descriptor = {devices[name]: self.stacks[name] for name in devices}
        self._began = 0
        self._is_over = False

    def _make_forms(self) -> Any:
        return emulated_forms()

    @property
    def real(self) -> int:
        """The real time since the beginning, in nanoseconds."""
        return monotonic_nanoseconds() - self._began

    # -- driving ------------------------------------------------------------------------------------

    def serve(self, orders: list[tuple[Any, ...]]) -> None:
        """Carry packets until whoever drives this says that it is over; some orders may be there already."""
        with select.epoll() as files:
            for descriptor in self._by_descriptor:
                _drain(descriptor)
                files.register(descriptor, select.EPOLLIN)
            files.register(self.line.fileno(), select.EPOLLIN)
            self._began = monotonic_nanoseconds()
            self.load.begin()
            self.network.simulation = self
            for call in self.network.script_of_runs:
                call(self)
            self._look()
            self.line.send("begun")
            self.look_for_end()
            self._obey(orders)
            self._carry(files)

    def _carry(self, files: Any) -> None:
        clock, began, line = self.clock, self._began, self.line.fileno()
        now_of, poll, wait, epoll = monotonic_nanoseconds, files.poll, select.select, [files.fileno()]
        ingest = self._ingest
        while not self._is_over:
            now = now_of() - began
            when = clock.next_time()
            if when is not None and when <= now:
                clock.limit = now + 1
                clock.turns(TURNS)
                when = clock.next_time()
            clock.go_to(now)
            if when is not None and when > now + WAKING:
                wait(epoll, (), (), (when - now - WAKING) / 1e9)
            for descriptor, _ in poll(0):
                if descriptor == line:
                    self._hear()
                else:
                    clock.limit = (now := now_of() - began) + 1
                    clock.turns(TURNS)
                    clock.go_to(now)
                    ingest(descriptor)

    def _look(self) -> None:
        """Find out each second how much passes; so the clock always has something to wait for, too."""
        self.load.look(monotonic_nanoseconds())
        self.call_at(self.clock.now + SECOND, self._look)

    def _ingest(self, descriptor: int) -> None:
        """Read what a host's kernel has sent."""
        stack = self._by_descriptor[descriptor]
        read, reader, load = os.read, self._reader.read, self.load.of[stack.name]
        for _ in range(AT_ONCE):
            try:
                raw = read(descriptor, 65536)
            except BlockingIOError:
                return
            load.packets_out += 1
            load.bytes_out += len(raw)
            packet = reader(raw)
            if packet is not None and not stack.is_down:
                self._send(stack, packet)

    def _send(self, stack: Any, packet: Packet) -> None:
        """A host sends a packet."""
        stack.count_sent(packet)
        target = packet.target
        way = stack.table.get(target)
        if way is None or type(way) is dict or way is stack:
            if is_group(target):
                if packet.protocol == UDP:
                    self.groups.send(stack, packet, 0, loop=False)
                elif stack.channels:
                    stack.channels[0].carry(packet)
                return
            if target == ALL_HOSTS:
                self.broadcast(stack, packet)
                return
            way = stack.way_to(target)
            if way is None or way is stack:
                stack.ignore(packet, NO_WAY)
                return
        way.carry(packet)

    def write(self, stack: Any, packet: Packet) -> None:
        """Give a packet to the kernel of a host."""
        if stack.descriptor < 0:
            stack.count_loss("nobody listens")
            return
        data = bytes_of(packet)
        if self._translates:
            data = readdress(data, packet)
        load = self.load.of[stack.name]
        try:
            os.write(stack.descriptor, data)
        except OSError as error:
            load.refuse(error)
            return
        load.packets_in += 1
        load.bytes_in += len(data)
        self.load.late(monotonic_nanoseconds() - self._began - self.clock.now)

    # -- what routers say ---------------------------------------------------------------------------

    def complain(self, stack: Any, about: Packet, make: Callable[[str, str, bytes], bytes]) -> None:
        """Have a router send a message of ICMP to the sender of a packet."""
        raw = bytes(bytes_of(about))
        source = about.source[0]
        if self.stack_of(source) is None or _is_error(raw) or is_group(about.target):
            return
        six = ":" in source
        if stack.has(source):  # a kernel takes nothing that seems to be from itself
            own = (ipv6_of if six else ipv4_of)(MOST_HOSTS + 1)
        else:
            own = stack.address6 if six else stack.address
        whole = headers.ip(own, source, ICMPV6 if six else ICMP, make(own, source, raw))
        packet = self._reader.read(whole)
        if packet is not None:
            stack.count_sent(packet)
            stack.emit(packet)

    def cut_packet(self, packet: Packet, mtu: int) -> list[Packet]:
        """Cut a packet that may be cut; return its pieces, or none."""
        from ..captures.fragments import fragments

        if type(packet.data) is not bytes or packet.data[0] >> 4 != 4:
            return []
        try:
            pieces = fragments(bytes(bytes_of(packet)), mtu)
        except UsageError:  # it says that it may not be cut
            return []
        found = []
        for piece in pieces:
            one = packet.copy()
            one.data, one.size = piece, len(piece)
            found.append(one)
        return found

    # -- who drives this ----------------------------------------------------------------------------

    def _hear(self) -> None:
        try:
            self._obey(self.line.receive(0))
        except Gone:
            os._exit(0)

    def _obey(self, orders: list[tuple[Any, ...]]) -> None:
        for what, *arguments in orders:
            getattr(self, f"_do_{what}")(*arguments)
        self.clock.settle()  # what that has made ready is in no timer

    def _do_act(self, number: int, method: str, *arguments: Any) -> None:
        """Somebody uses a verb of faults."""
        clock = self.clock
        clock.go_to(max(clock.now, self.real))
        problem = None
        try:
            self._act(method, arguments)
        except Exception as error:
            problem = error
        if number:
            self.line.send("done", number, problem)
        elif problem is not None:
            raise problem

    def _act(self, method: str, arguments: tuple[Any, ...]) -> None:
        if method == "change":
            number, direction, changes = arguments
            self.change(self.network.links[number], direction, changes)
        elif method == "cut":
            number, repaired = arguments
            self.cut(self.network.links[number], repaired=repaired)
        elif method in ("partition", "hold", "open"):
            first, second, options = arguments
            sides = [[self.stacks[name] for name in names] for names in (first, second)]
            getattr(self.faults, method)(*sides, **options)
        elif method == "open_all":
            self.faults.open_all()
        else:
            getattr(self, method)(*arguments)

    def crash(self, name: str) -> None:
        """See `Simulation`. The host's processes are killed."""
        stack = self.stacks[name]
        if not stack.is_down:
            stack.crash()
            self.line.send("crash", name)

    def restart(self, name: str) -> None:
        """See `Simulation`."""
        self.crash(name)
        stack = self.stacks[name]
        stack.is_down = False
        stack.look()
        self.groups.returned(stack)
        self.line.send("restart", name)

    def pause(self, name: str, length: int) -> None:
        """See `Simulation`: the host's processes are stopped for so long."""
        self.line.send("pause", name)
        self.call_at(self.clock.now + length, self.line.send, "resume", name)

    def loop_of(self, stack: Any) -> Any:
        """See `Simulation`. Raises `UsageError`: no loop of a host is here."""
        raise UsageError(
            f"{stack.name}: the clocks of an emulated host are the machine's, and cannot be set; simulate it"
        )

    def look_for_end(self) -> None:
        """See `Simulation`: whoever drives this is told that nothing is due any more, or that a script has
        failed."""
        if self._time_is_over or not self.faults.due:
            self.line.send("idle", self._time_is_over)

    def _do_end(self) -> None:
        """It is over: tell what has been."""
        self._is_over = True
        self.clock.go_to(self.real)
        problem = None
        try:
            self._end_scripts()
        except Exception as error:
            problem = error
        if self._captures is not None:
            self._captures.close()
        recorder = self.fabric.recorder
        metrics = self._metrics()
        self.line.send(
            "outcome",
            Metrics(metrics.seconds, metrics.links, metrics.hosts),
            None if recorder is None else (recorder.rows, recorder.count, recorder.fingerprint()),
            {} if self._captures is None else self._captures.kept,
            self.load.report(self._reader),
            problem,
        )


def _is_error(raw: bytes) -> bool:
    """Say whether a packet is itself an error of ICMP, about which nobody complains (RFC 1122, 4443)."""
    if raw[0] >> 4 == 4:
        return raw[9] == 1 and len(raw) > 20 and raw[(raw[0] & 15) * 4] not in (0, 8)
    return raw[6] == 58 and len(raw) > 40 and raw[40] < 128


def _drain(descriptor: int) -> None:
    """Throw away what a kernel has sent while its host was set up."""
    try:
        while os.read(descriptor, 65536):
            pass
    except BlockingIOError:
        pass


def run_box(
    network: Network,
    seed: int | str,
    keep: int | None,
    measure: frozenset[str],
    captures: dict[str, Any],
    snaplen: int,
    devices: dict[str, int],
    line: Pipe,
) -> None:
    """Be the box: the whole life of its process, from the order to begin on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    kernel.let_timers_be_exact()
    try:
        box = Box(network, seed, keep, measure, devices, line)
        if captures:
            box.capture(captures, snaplen)
    except Exception as error:
        line.send("failed", error)
        return
    line.send("ready")
    _go, *more = line.receive()
    box.load.is_urgent = kernel.be_urgent()
    gc.collect()
    gc.freeze()
    gc.disable()
    box.serve(more)


__all__ = ["Box", "run_box"]
