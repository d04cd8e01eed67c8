"""A relay: programs of this machine talk through a simulated network in real time, with no rights at all.

Theory
------
Where namespaces cannot be made, a network can still be between a program and its peer. It is simulated, but
its clock is set to the real time, as in the box; and it has *doors* and *exits*, on 127.0.0.1::

    program --> door, port 8080 . . host phone --- simulated network --- host server . . exit --> real server
                                                                                     or a component there

Who connects to a door is, in the network, the host that the door belongs to, and connects from there. An exit
listens on a host, and connects whoever comes to a real address; where the host itself runs a server, no exit
is needed. Each real connection is two simulated ends that pass on bytes to real sockets, and hold back
whoever is faster than the network.

So loss, delay, rate and queues are those of the links, for connections as the testbed's own TCP bears them.
What a real kernel would do, with its own TCP, this does not tell: that takes an emulation.

All of it is done by one thread: real sockets are not blocking, and are looked after between two turns of the
clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import select
import socket
import threading
from _thread import get_ident
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ...axon import UsageError
from ...axon.clock import monotonic_nanoseconds, nanoseconds
from ..errors import EmulationError
from ..faults import Faults
from ..simulation import Simulation
from ..stand_ins.where import allowed

if TYPE_CHECKING:
    from ..loop import HostLoop
    from ..network import Host, Network
    from ..trace import Trace

LOCAL = "127.0.0.1"
PROTOCOLS = ("tcp", "udp")
MOST_PEERS = 1000
"""Programs that send datagrams to a door, and hosts that do to an exit; of more, the oldest is forgotten."""
MOST_CONNECTIONS = 1000
"""Real sockets of one relay; who comes to a door then is let go at once."""
BACKLOG = 100  # connections that wait at a door
PIECE = 65536  # bytes
PATIENCE = 10.0  # seconds that a thread waits for the relay to do something
TURNS = 1 << 40  # of the clock: more than there can be
SECOND = 10**9


@dataclass(frozen=True)
class Door:
    """A port of 127.0.0.1 that leads into a simulated network.

    Example:
        >>> from kamaelia.testbed.emulation import Door
        >>> Door("phone", "server:80", port=8080)
        Door(host='phone', to='server:80', port=8080, protocol='tcp')
    """

    host: str
    """Who those are in the network who come in here."""
    to: str
    """Whom they reach: a host of the network and its port."""
    port: int = 0
    """The port of 127.0.0.1; 0 for any that is free (`Relay.port`)."""
    protocol: str = "tcp"
    """``"tcp"`` or ``"udp"``."""


@dataclass(frozen=True)
class Exit:
    """A port of a simulated host that leads to a real server.

    Example:
        >>> from kamaelia.testbed.emulation import Exit
        >>> Exit("server:80", "127.0.0.1:8000")
        Exit(at='server:80', to='127.0.0.1:8000', protocol='tcp')
    """

    at: str
    """A host of the network, and the port at which it listens."""
    to: str
    """A real address and its port."""
    protocol: str = "tcp"
    """``"tcp"`` or ``"udp"``."""


class Relay:
    """A simulated network in real time, while it lasts, with doors and exits. Made by `Network.relay`.

    It works in a thread of its own between entering and leaving it.
    """

    def __init__(
        self,
        network: Network,
        doors: Iterable[Door],
        exits: Iterable[Exit],
        *,
        seed: int | str,
        grace: float,
        errors: str,
        captures: dict[str, Any],
        snaplen: int,
    ) -> None:
        self.network = network
        """What is simulated."""
        self.doors = tuple(_checked(network, doors, Door))
        self.exits = tuple(_checked(network, exits, Exit))
        self.trace: Trace | None = None
        """What came of it, when it is over."""
        self._errors = errors
        self._options = (seed, grace, captures, snaplen)
        self._listening: dict[Door, socket.socket] = {}
        self._thread: threading.Thread | None = None
        self._simulation: RealTime | None = None
        self._begun = threading.Event()
        self._problem: BaseException | None = None

    def port(self, door: Door) -> int:
        """Return the port of 127.0.0.1 at which a door is."""
        number: int = self._listening[door].getsockname()[1]
        return number

    def __enter__(self) -> Relay:
        if self._thread is not None:
            raise UsageError("this relay has been used already; make another one")
        if self.network.simulation is not None:
            raise UsageError(f"{self.network!r} runs already")
        try:
            for door in self.doors:
                self._listening[door] = _listen(door)
            seed, grace, captures, snaplen = self._options
            self._simulation = RealTime(self, seed, grace)
            if captures:
                self._simulation.capture(captures, snaplen)
        except BaseException:
            self._close()
            raise
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()
        self._begun.wait()
        return self

    def _run(self) -> None:
        assert self._simulation is not None
        try:
            self.trace = self._simulation.run(float("inf"), None, self._errors)
        except BaseException as error:
            self._problem = error
            self._close()  # who knocks is refused, and does not wait
        finally:
            self._begun.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._simulation is not None and self._thread is not None
        if self._problem is None:
            self._simulation.tell_to_stop()
        self._thread.join()
        self._close()
        if self._problem is not None and error is None:
            raise self._problem

    def _close(self) -> None:
        for listening in self._listening.values():
            listening.close()
        if self._simulation is not None:
            self._simulation.close()


def _in_its_thread(verb: Any) -> Any:
    """Return a verb of faults that is done by the thread of the relay, whoever uses it."""

    @functools.wraps(verb)
    def use(self: Any, *args: Any, **options: Any) -> Any:
        simulation: RealTime = getattr(self, "_simulation", self)
        return simulation.do(functools.partial(verb, self, *args, **options))

    return use


class RealTimeFaults(Faults):
    """Faults that any thread may make."""

    partition = _in_its_thread(Faults.partition)
    hold = _in_its_thread(Faults.hold)
    open = _in_its_thread(Faults.open)
    open_all = _in_its_thread(Faults.open_all)
    call_at = _in_its_thread(Faults.call_at)
    call_when = _in_its_thread(Faults.call_when)


class RealTime(Simulation):
    """A simulation on the clock of the machine, whose hosts also have real sockets.

    Arguments, beside those of `Simulation`:
        relay: whose it is
    """

    def __init__(self, relay: Relay, seed: int | str, grace: float) -> None:
        super().__init__(relay.network, seed, grace, None)
        self.faults = RealTimeFaults(self)
        self._wishes: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._relay = relay
        self._files = select.epoll()
        self._waiting: dict[int, dict[int, Callable[[], None]]] = {}  # by file and event
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._sockets: dict[socket.socket, None] = {}
        self._bell, self._rung = socket.socketpair()
        self._rung.setblocking(False)
        self._zero = 0
        self.refused = 0
        """Connections for which there was no room."""
        self.unsent = 0
        """Datagrams that a real socket did not take."""

    change = _in_its_thread(Simulation.change)
    cut = _in_its_thread(Simulation.cut)
    crash = _in_its_thread(Simulation.crash)
    restart = _in_its_thread(Simulation.restart)
    pause = _in_its_thread(Simulation.pause)
    run_script = _in_its_thread(Simulation.run_script)

    def do(self, call: Callable[[], Any]) -> Any:
        """Call something in the thread of the relay, between two turns of the clock; return its result."""
        if self.thread in (0, get_ident()):
            return call()
        answer: Future[Any] = Future()
        self._wishes.put((call, answer))
        self._bell.send(b"x")
        return answer.result(PATIENCE)

    def tell_to_stop(self) -> None:
        """End it, from another thread."""
        with contextlib.suppress(OSError):  # it has just failed
            self._wishes.put((self._end_time, Future()))
            self._bell.send(b"x")

    def close(self) -> None:
        """Close all files that are its own."""
        self._files.close()
        self._bell.close()
        self._rung.close()
        for one in list(self._sockets):
            one.close()

    # -- driving ------------------------------------------------------------------------------------

    def _start(self, until: str | None) -> None:
        self.faults.due += 1  # it goes on when all components have ended
        super()._start(until)
        self._tick()
        self._zero = monotonic_nanoseconds()
        self._listen_to_bell()
        for exit_ in self._relay.exits:
            self._serve_exit(exit_)
        for door, listening in self._relay._listening.items():
            self._serve_door(door, listening)
        self._relay._begun.set()

    def _tick(self) -> None:
        """So the clock always has something to wait for."""
        self.call_at(self.clock.now + SECOND, self._tick)

    def _listen_to_bell(self) -> None:
        self.on_ready(self._rung, select.EPOLLIN, self._hear_bell)

    def _hear_bell(self) -> None:
        """Another thread wants something."""
        with contextlib.suppress(BlockingIOError):
            self._rung.recv(PIECE)
        while not self._wishes.empty():
            call, answer = self._wishes.get()
            try:
                answer.set_result(call())
            except Exception as error:
                answer.set_exception(error)
        self._listen_to_bell()

    def _drive(self, seconds: float) -> None:
        """See `Simulation`: let things happen when it is their time, and look after real sockets."""
        clock, files = self.clock, self._files
        end = clock.now + nanoseconds(min(seconds, 1e9))
        self._time_is_over = False
        while self._goes_on and clock.now < end:
            self._catch_up()
            clock.settle()
            when = clock.next_time()
            wait = min(SECOND if when is None else max(0, when - self._real), SECOND)
            select.select([files.fileno()], (), (), wait / 1e9)
            for descriptor, events in files.poll(0):
                self._catch_up()
                self._serve(descriptor, events)

    @property
    def _real(self) -> int:
        return monotonic_nanoseconds() - self._zero

    def _catch_up(self) -> None:
        """Do what is due by now."""
        clock = self.clock
        clock.limit = (now := self._real) + 1
        clock.turns(TURNS)
        clock.go_to(now)

    def _stop(self) -> None:
        self.faults.due = 0
        for task in list(self._tasks):
            task.cancel()
        self.clock.settle()
        super()._stop()

    # -- real sockets ---------------------------------------------------------------------------------

    def on_ready(self, one: socket.socket, event: int, call: Callable[[], None]) -> None:
        """Call something once, when a socket can be read or written."""
        number = one.fileno()
        wanted = self._waiting.setdefault(number, {})
        is_new = not wanted
        wanted[event] = call
        mask = sum(wanted) | select.EPOLLONESHOT
        try:
            (self._files.register if is_new else self._files.modify)(number, mask)
        except FileExistsError:
            self._files.modify(number, mask)

    def _serve(self, descriptor: int, events: int) -> None:
        wanted = self._waiting.pop(descriptor, {})
        left = {}
        for event, call in wanted.items():
            if events & (event | select.EPOLLERR | select.EPOLLHUP):
                call()
            else:
                left[event] = call
        if left and descriptor not in self._waiting:
            self._waiting[descriptor] = left
            self._files.modify(descriptor, sum(left) | select.EPOLLONESHOT)
        self.clock.settle()

    def forget(self, one: socket.socket) -> None:
        """Close a socket."""
        self._waiting.pop(one.fileno(), None)
        self._sockets.pop(one, None)
        with allowed():
            one.close()

    async def until_ready(self, one: socket.socket, event: int) -> None:
        """Wait, in a simulated host's code, until a socket can be read or written."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def call() -> None:
            if not done.done():
                done.set_result(None)

        self.on_ready(one, event, call)
        await done

    def begin(self, loop: HostLoop, body: Coroutine[Any, Any, Any]) -> None:
        """Have a host do something."""
        task = loop.create_task(body)
        self._tasks[task] = None
        task.add_done_callback(self._has_ended_task)

    def _has_ended_task(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # of a connection that broke: both its ends are closed

    def keep(self, one: socket.socket) -> socket.socket:
        """Have a socket be one that is not blocking, and closed at the end."""
        one.setblocking(False)
        self._sockets[one] = None
        return one

    # -- connections ----------------------------------------------------------------------------------

    def _serve_door(self, door: Door, listening: socket.socket) -> None:
        loop = self.loop_of(self.stacks[door.host])
        if door.protocol == "udp":
            _DatagramDoor(self, loop, door, listening).listen()
            return
        host, port = _parted(door.to)

        def accept() -> None:
            with allowed():
                try:
                    one, _ = listening.accept()
                except (BlockingIOError, ConnectionError):
                    one = None
            if one is not None and len(self._sockets) >= MOST_CONNECTIONS:
                one.close()
                self.refused += 1
            elif one is not None:
                self.begin(loop, self._come_in(self.keep(one), host, port))
            self.on_ready(listening, select.EPOLLIN, accept)

        self.on_ready(listening, select.EPOLLIN, accept)

    async def _come_in(self, one: socket.socket, host: str, port: int) -> None:
        try:
            reader, writer = await asyncio.open_connection(host, port)
            await self._join(one, reader, writer)
        finally:
            self.forget(one)

    def _serve_exit(self, exit_: Exit) -> None:
        name, port = _parted(exit_.at)
        loop = self.loop_of(self.stacks[name])
        if exit_.protocol == "udp":
            self.begin(loop, _DatagramExit(self, loop, _parted(exit_.to)).listen(port))
            return

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with allowed():
                one = self.keep(socket.socket())
                one.connect_ex(_parted(exit_.to))
            try:
                await self.until_ready(one, select.EPOLLOUT)
                with allowed():
                    failed = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if failed:
                    writer.transport.abort()
                else:
                    await self._join(one, reader, writer)
            finally:
                self.forget(one)

        async def listen() -> None:
            async with await asyncio.start_server(serve, "", port) as server:
                await server.serve_forever()

        self.begin(loop, listen())

    async def _join(
        self, one: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass on what comes from either side to the other, until both have ended."""

        async def inwards() -> None:
            while data := await self._receive(one):
                writer.write(data)
                await writer.drain()
            writer.write_eof()

        async def outwards() -> None:
            while data := await reader.read(PIECE):
                await self._send(one, data)
            with allowed():
                one.shutdown(socket.SHUT_WR)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(inwards())
                group.create_task(outwards())
        except* OSError:
            writer.transport.abort()
        finally:
            writer.close()

    async def _receive(self, one: socket.socket) -> bytes:
        while True:
            with allowed():
                try:
                    return one.recv(PIECE)
                except BlockingIOError:
                    pass
            await self.until_ready(one, select.EPOLLIN)

    async def _send(self, one: socket.socket, data: bytes) -> None:
        left = memoryview(data)
        while left:
            with allowed():
                try:
                    left = left[one.send(left) :]
                    continue
                except BlockingIOError:
                    pass
            await self.until_ready(one, select.EPOLLOUT)


class _DatagramDoor:
    """A door for datagrams: each program that sends some is a socket of the host."""

    def __init__(self, simulation: RealTime, loop: HostLoop, door: Door, one: socket.socket) -> None:
        self._simulation, self._loop, self._socket = simulation, loop, one
        self._to = _parted(door.to)
        self._peers: dict[Any, _Peer] = {}

    def listen(self) -> None:
        """Take what comes, from now on."""
        self._simulation.on_ready(self._socket, select.EPOLLIN, self._take)

    def _take(self) -> None:
        for _ in range(100):
            try:
                data, address = self._socket.recvfrom(PIECE)
            except (BlockingIOError, ConnectionError):
                break
            peer = self._peers.get(address)
            if peer is None:
                _make_room(self._peers)
                peer = self._peers[address] = _Peer(lambda data, to=address: self._answer(data, to))
                self._simulation.begin(self._loop, self._open(peer))
            peer.send(data)
        self.listen()

    async def _open(self, peer: _Peer) -> None:
        await self._loop.create_datagram_endpoint(lambda: peer, remote_addr=self._to)

    def _answer(self, data: bytes, address: Any) -> None:
        with allowed():
            try:
                self._socket.sendto(data, address)
            except OSError:
                self._simulation.unsent += 1


class _DatagramExit:
    """An exit for datagrams: each simulated socket that sends some is a real one."""

    def __init__(self, simulation: RealTime, loop: HostLoop, to: tuple[str, int]) -> None:
        self._simulation, self._loop, self._to = simulation, loop, to
        self._transport: Any = None
        self._sockets: dict[Any, _Out] = {}

    async def listen(self, port: int) -> None:
        """Take what comes, from now on."""
        self._transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Peer(self._send_from), local_addr=("0.0.0.0", port)
        )

    def _send_from(self, data: bytes, address: Any) -> None:
        out = self._sockets.get(address)
        if out is None:
            _make_room(self._sockets)
            with allowed():
                one = self._simulation.keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                one.connect(self._to)
            out = self._sockets[address] = _Out(self._simulation, one, self._transport, address)
            out.listen()
        with allowed():
            try:
                out.socket.send(data)
            except OSError:
                self._simulation.unsent += 1


class _Out:
    """A real socket that stands for a simulated one."""

    def __init__(self, simulation: RealTime, one: socket.socket, transport: Any, address: Any) -> None:
        self._simulation, self.socket, self._transport, self._address = simulation, one, transport, address

    def listen(self) -> None:
        """Take what comes, from now on."""
        self._simulation.on_ready(self.socket, select.EPOLLIN, self._take)

    def _take(self) -> None:
        try:
            self._transport.sendto(self.socket.recv(PIECE), self._address)
        except (BlockingIOError, ConnectionError):
            pass  # nobody is there; who waits for an answer notices
        self.listen()

    def close(self) -> None:
        """Another needs its place."""
        self._simulation.forget(self.socket)


class _Peer(asyncio.DatagramProtocol):
    """A simulated socket of datagrams that stands for a real one."""

    def __init__(self, received: Callable[..., None]) -> None:
        self._received = received
        self._transport: Any = None
        self._early: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        self._transport = transport
        for data in self._early:
            transport.sendto(data)
        self._early.clear()

    def datagram_received(self, data: bytes, address: Any) -> None:
        """See asyncio."""
        if self._transport.get_extra_info("peername") is None:
            self._received(data, address)
        else:
            self._received(data)

    def send(self, data: bytes) -> None:
        """Send a datagram, as soon as that can be done."""
        if self._transport is not None:
            self._transport.sendto(data)
        elif len(self._early) < BACKLOG:
            self._early.append(data)

    def close(self) -> None:
        """Another needs its place."""
        if self._transport is not None:
            self._transport.close()


def _make_room(table: dict[Any, Any]) -> None:
    if len(table) >= MOST_PEERS:
        table.pop(next(iter(table))).close()


def _parted(text: str) -> tuple[str, int]:
    """Return the host and the port of an address. Raises `UsageError`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{text!r}: write a host and its port, as in 'server:80'")
    return host, int(port)


def _checked(network: Network, given: Iterable[Any], kind: type[Any]) -> Iterable[Any]:
    for one in given:
        if not isinstance(one, kind):
            raise UsageError(f"{one!r} is no {kind.__name__}: write {kind.__name__}(...)")
        if one.protocol not in PROTOCOLS:
            raise UsageError(f"{one!r}: there are {' and '.join(map(repr, PROTOCOLS))}")
        _parted(one.to)
        host: Host | str = one.host if isinstance(one, Door) else _parted(one.at)[0]
        if network.find(host).kind == "switch":
            raise UsageError(f"{one!r}: a switch has no address; name a host")
        if isinstance(one, Door):
            network.find(_parted(one.to)[0])
        yield one


def _listen(door: Door) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM if door.protocol == "tcp" else socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        if door.protocol == "tcp":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((LOCAL, door.port))
        if door.protocol == "tcp":
            made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise EmulationError(f"{door!r}: {error.strerror}") from None
    return made


__all__ = ["MOST_PEERS", "Door", "Exit", "Relay"]
