"""A simulation on the clock of the machine, whose hosts' code may also wait for real sockets.

One thread does all of it: what is due happens between two looks at the sockets, which are not blocking. Other
threads may use the verbs of faults; they are done between two turns of the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import select
import socket
from _thread import get_ident
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from ...axon.clock import monotonic_nanoseconds, nanoseconds
from ..faults import Faults
from ..simulation import Simulation
from ..stand_ins.where import allowed

if TYPE_CHECKING:
    from ..loop import HostLoop
    from ..network import Network

PATIENCE = 10.0  # seconds that another thread waits for something to be done
NAP = 0.001  # seconds between two looks whether tasks have ended
PIECE = 4096  # bytes
TURNS = 1 << 40  # of the clock: more than there can be
SECOND = 10**9


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
        begin: is called with it when the time begins
    """

    def __init__(
        self, network: Network, seed: int | str, grace: float, begin: Callable[[RealTime], None]
    ) -> None:
        super().__init__(network, seed, grace, None)
        self.faults = RealTimeFaults(self)
        self._wishes: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._begin = begin
        self._files = select.epoll()
        self._waiting: dict[int, dict[int, Callable[[], None]]] = {}  # by file and event
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self.sockets: dict[socket.socket, None] = {}
        """Real ones that are its own, and closed at the end."""
        self._bell, self._rung = socket.socketpair()
        self._rung.setblocking(False)
        self._zero = 0

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
        for one in list(self.sockets):
            one.close()

    # -- driving ------------------------------------------------------------------------------------

    def _start(self, until: str | None) -> None:
        self.faults.due += 1  # it goes on when all components have ended
        super()._start(until)
        self._tick()
        self._zero = monotonic_nanoseconds()
        self._listen_to_bell()
        self._begin(self)

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
        """See `Simulation`; the tasks that join sockets end, too."""
        for task in list(self._tasks):
            task.cancel()
        super()._stop()
        loops = [loop for loop in self._loops if not loop.is_frozen]
        left = [loop.create_task(loop.end_tasks()) for loop in loops]
        end = self._real + nanoseconds(PATIENCE)
        while not all(task.done() for task in left) and self._real < end:
            self._catch_up()
            self.clock.settle()
            select.select((), (), (), NAP)

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
        self.sockets.pop(one, None)
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
        self.sockets[one] = None
        return one


__all__ = ["RealTime"]
