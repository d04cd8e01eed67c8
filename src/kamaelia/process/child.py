"""What runs in the process of a worker: the component, in a system of its own.

::

    here:        Feed.outbox --> component.inbox        component.outbox --> (to outside)
                    ^                                                            |
                 Arrivals                                                    Departures
    ............... | ......................................................... | ....
                 Departures                                                  Arrivals
                    ^                                                           v
    there:       Worker.inbox                                               Worker.outbox

The system has the path of the worker as the beginning of all its paths, and its seed. When the component has
ended, the result or the failures are told, and the process ends. It also ends, at once, when its starter has
gone, however that went.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

from kamaelia.axon import (
    BrokenLink,
    Cancelled,
    Component,
    GraceExceeded,
    Inbox,
    Outbox,
    Signal,
    System,
    body,
    core,
    lifecycle,
    make,
    postman,
)
from kamaelia.axon.errors import shorten, text_of
from kamaelia.axon.outlet import lead_outside
from kamaelia.axon.process import current_process
from kamaelia.axon.queue import parse_size
from kamaelia.axon.system import default_loop_factory

from . import spawn
from .bridge import Bridge
from .channel import HEAD
from .crossing import Arrivals, Departures
from .errors import RemoteError
from .spawn import OTHERS_SIGNALS

LOG_WAITING = 1024 * 1024  # bytes that wait to be sent, from which on log records are dropped
FOR_EVER = 10 * 365 * 86400.0  # seconds


def main(*numbers: int) -> None:
    """Run the component that the other end of the connection sends: the whole life of the process.

    Arguments:
        numbers: the descriptor of the connection, perhaps those of the files, and the number of the process
            that has started this one
    """
    connection_number, *files, starter = numbers
    for number in OTHERS_SIGNALS:  # not SIG_IGN, which programs that are started here would inherit
        signal.signal(number, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OTHERS_SIGNALS)
    _die_with(starter)
    for descriptor in numbers[:-1]:
        os.set_inheritable(descriptor, False)
    connection = socket.socket(fileno=connection_number)
    if files:
        import faulthandler

        faulthandler.enable(files[0], all_threads=False)
    start = _read_start(connection)
    sys.argv = start["argv"]
    spawn.import_when_needed(start["program"])
    if core.form != start["core"]:
        core.use(start["core"])
    factory = default_loop_factory() if start["uvloop"] else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(connection, tuple(files[1:]), start))


def _die_with(starter: int) -> None:
    """Have the system kill this process when its starter has gone, also if our loop is stuck then."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != starter:
        os._exit(1)


def _read_start(connection: socket.socket) -> dict[str, Any]:
    def read(length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            part = connection.recv(min(length - len(data), 1 << 20))
            if not part:
                os._exit(1)
            data += part
        return bytes(data)

    connection.setblocking(True)
    length, *_ = HEAD.unpack(read(HEAD.size))
    start: dict[str, Any] = pickle.loads(read(length))
    return start


async def _serve(connection: socket.socket, files: tuple[int, ...], start: dict[str, Any]) -> None:
    inside = Inside(connection, files, start)
    try:
        await inside.run()
    finally:
        inside.close()


class Feed(Component):
    """Stands for whoever sends into one inbox of the component from the other process."""

    inbox = None
    outbox = Outbox[Any]("what comes from there")

    def __init__(self, bridge: Inside, number: int) -> None:
        self._bridge = bridge
        self._number = number
        self.running = asyncio.Event()
        self.ended = False
        self.changed = Signal("hear from the other process")

    async def main(self) -> None:
        self.running.set()
        failing = False
        while not self.ended:
            try:
                await self.changed
            except BrokenLink:
                self._bridge.arrivals[self._number].tell_lost()
                return
            except Cancelled:
                # Axon takes it for a source, as it can't see what feeds it: that will be told to end by
                # itself.
                reason = self._axon.reason
                if reason not in ("stop", "failure") or (reason == "failure" and failing):
                    raise
                failing = reason == "failure"
                self.uncancel()


class FeedArrivals(Arrivals):
    """What arrives for a feed."""

    def __init__(self, bridge: Inside, number: int, feed: Feed, window: int, window_bytes: int) -> None:
        super().__init__(bridge, number, feed.outbox, window, window_bytes)
        self._feed = feed

    def end(self, failure: BaseException | None) -> None:
        """See `Arrivals`."""
        super().end(failure)
        self._feed.ended = True
        self._feed.changed.set()


class Inside(Bridge):
    """The end of the bridge in the process of a worker, and what is done here for the other end.

    Arguments:
        connection: to the other end
        files: of the arenas, if there is shared memory: the one to send with comes first
        start: what the other end has sent at first, see `worker`
    """

    def __init__(self, connection: socket.socket, files: tuple[int, ...], start: dict[str, Any]) -> None:
        super().__init__(connection, asyncio.get_running_loop(), files[:2] if len(files) > 1 else None)  # type: ignore[arg-type]
        for number in files:
            os.close(number)
        self._start = start
        self._changed = asyncio.Event()
        self._given_up = False  # nobody waits for what has not been sent yet
        self._dropped = 0  # log records
        self.component: Component | None = None
        self.system = System(
            self.loop,
            seed=start["seed"],
            debug=start["debug"],
            slow_step=start["slow_step"],
            announce=lambda text: self.tell("announce", text),
        )
        self.system.root.given_name = start["path"]
        self._take_over_messages()

    # -- from beginning to end --------------------------------------------------------------------

    async def run(self) -> None:
        """Run the component, and tell how it has ended when all that it has sent has gone."""
        result = None
        system = self.system
        try:
            self.component = self._make()
            feeds = self._link(self.component)
            system.start(*feeds, self.component)
            for feed in feeds:
                await feed.running.wait()  # until then nobody can send anything through it
            self.channel.begin()
            self.tell("statistics", *self._statistics())
        except Exception as error:  # of somebody's factory, or module
            error.add_note(f"in {self._start['path']}")
            await self._tell_over([error], None)
            return
        await system.wait()
        if system.root.failures:  # who reads is to be told of that now, and not when there is room
            for departures in self.departures:
                departures.hurry()
        while not (self._given_up or all(one.over for one in self.departures)):
            self._changed.clear()
            await self._changed.wait()
        if system.fatal is not None:
            await self._tell_over([], None, system.fatal)
            return
        failures = list(system.root.failures)
        if not failures:
            try:
                result = pickle.dumps(self.component._axon.result, 5)
            except Exception as error:  # of somebody's class
                what = shorten(self.component._axon.result)
                bad: Exception = RemoteError(
                    f"{self.component.path} returned {what}, which cannot go to another process: "
                    f"{type(error).__name__}: {text_of(error)}"
                )
                bad.add_note(f"in {self.component.path}")
                failures = [bad]
        await self._tell_over(failures, result)

    async def _tell_over(
        self, failures: list[Exception], result: bytes | None, fatal: BaseException | None = None
    ) -> None:
        self.tell(
            "over",
            [self.errors.pack(error) for error in failures],
            [self.errors.pack(error) for error in self.system.errors],
            None if fatal is None else self.errors.pack(fatal),
            result,
            self.system.discarded,
            None if self.component is None else self._statistics(),
        )
        while self.channel.blocked:
            self._changed.clear()
            await self._changed.wait()

    def _make(self) -> Component:
        made = pickle.loads(self._start["pattern"])
        return made if isinstance(made, Component) else make(made)

    def _link(self, component: Component) -> list[Feed]:
        """Link the boxes that cross; return what feeds them."""
        feeds: list[Feed] = []
        for number, (name, size, window, window_bytes) in enumerate(self._start["inboxes"]):
            box = component._axon.boxes[name]
            behind = list(postman.inboxes_behind(box))
            if len(behind) == 1 and (behind[0].size, behind[0].in_bytes) != parse_size(size, name):
                postman.count_anew(behind[0], size)
            feed = Feed(self, number)
            feed.named(f"{name} (from outside)")
            postman.link(feed.outbox, box)
            feeds.append(feed)
            self.arrivals.append(FeedArrivals(self, number, feed, window, window_bytes))
        for number, (name, size, window, window_bytes) in enumerate(self._start["outboxes"]):
            inbox: Inbox[Any] = lead_outside(component._axon.boxes[name], size, self.system)  # type: ignore[arg-type]
            departures = Departures(self, number, inbox, self.system.scheduler, window, window_bytes)
            self.departures.append(departures)
            departures.begin()
        return feeds

    def _statistics(self) -> tuple[dict[str, Any], int]:
        assert self.component is not None
        boxes: dict[str, Any] = self.component._axon.boxes
        waiting = sum(len(one.inbox.queue) for one in self.departures)
        return {name: box.statistics() for name, box in boxes.items()}, waiting

    # -- the bridge -------------------------------------------------------------------------------

    def closed(self) -> NoReturn:
        """See `Bridge`: whoever has started this process has gone."""
        os._exit(1)

    def trouble(self, error: Exception) -> None:
        """See `Bridge`."""
        error.add_note(f"in {self._start['path']}")
        lifecycle.fail(self.system.root, error, [error])

    def starved(self, change: int) -> None:
        """See `Bridge`: while the other end is to read, rest here is no deadlock."""
        self.system.scheduler.outside += change

    def departures_over(self) -> None:
        """See `Bridge`."""
        self._changed.set()

    def _unblocked(self) -> None:
        super()._unblocked()
        self._changed.set()

    # -- what the other end tells -------------------------------------------------------------------

    def on_stop(self, held: list[int]) -> None:
        """The system there is being stopped; when its grace is over it will tell."""
        if not self.system.stopping:
            with self._as_held(held):
                self.system.stop(FOR_EVER)

    def on_fail(self, held: list[int], cause: Any) -> None:
        """Something beside the worker has failed."""
        if self.system.root.state != "ended":
            with self._as_held(held):
                lifecycle.fail_children(self.system.root, self.errors.unpack(cause))

    @contextlib.contextmanager
    def _as_held(self, numbers: list[int]) -> Iterator[None]:
        """Let some inboxes look as they do there: not fed, but held from outside, if at all."""
        assert self.component is not None
        names = [self._start["inboxes"][number][0] for number in numbers]
        boxes = [self.component._axon.boxes[name] for name in names]
        for box in boxes:
            box.outside += 1
        try:
            yield
        finally:
            for box in boxes:
                box.outside -= 1

    def on_cancel(self, reason: str | None, cause: Any) -> None:
        """The worker was cancelled, and with a reason for good."""
        if reason is None:
            if self.component is not None:
                self.component._axon.cancel()
            return
        error = self.errors.unpack(cause) if cause is not None else GraceExceeded("the worker was cancelled")
        left = [one for one in lifecycle.bodies(self.system.root) if not isinstance(one.component, Feed)]
        self.tell("left", [f"{one.path}: {body.where(one)}" for one in left])
        self.system.cancelled = error  # type: ignore[assignment]
        lifecycle.cancel_all(self.system.root, reason, error)
        self._given_up = True
        self._changed.set()

    def on_ask(self) -> None:
        """The statistics are wanted."""
        self.tell("statistics", *self._statistics())

    # -- what goes to the log, and the like -----------------------------------------------------------

    def _take_over_messages(self) -> None:
        import warnings

        levels: dict[str, int] = self._start["levels"]
        for name, level in levels.items():
            logging.getLogger(name or None).setLevel(level)
        logging.getLogger().addHandler(_Handler(self))

        def show(
            message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
        ) -> None:
            try:
                pickle.dumps(category, 5)
            except Exception:  # a class that was made within a function
                category = UserWarning
            self.tell_from_anywhere("warning", str(message), category, filename, lineno)

        warnings.showwarning = show

    def tell_from_anywhere(self, verb: str, *values: Any) -> None:
        """Tell the other end, from whatever thread; dropped where too much waits already."""
        if threading.get_ident() != self._thread:
            self.loop.call_soon_threadsafe(self.tell_from_anywhere, verb, *values)
        elif self.channel.waiting > LOG_WAITING:
            self._dropped += 1
        else:
            if self._dropped:
                self.tell("dropped", self._dropped)
                self._dropped = 0
            self.tell(verb, *values)


class _Handler(logging.Handler):
    """Sends the records of this process to the logging of the other."""

    def __init__(self, inside: Inside) -> None:
        super().__init__()
        self.inside = inside

    def emit(self, record: logging.LogRecord) -> None:
        try:
            values = dict(record.__dict__, msg=record.getMessage(), args=None, exc_info=None)
            process = current_process.get(None)  # see `kamaelia.observe.logs`
            values.setdefault("component", "" if process is None else process.path)
            if record.exc_info:
                values["exc_text"] = logging.Formatter().formatException(record.exc_info)
            try:
                pickle.dumps(values, 5)
            except Exception:  # of whatever somebody has added
                values = {name: value for name, value in values.items() if name in _OF_RECORDS}
            self.inside.tell_from_anywhere("log", values)
        except Exception:  # as handlers do, who may not fail
            self.handleError(record)


_OF_RECORDS = frozenset(logging.makeLogRecord({"component": ""}).__dict__)
