"""A component in a process of its own: the side of it that the rest of the system sees.

Theory
------
`Worker` has the boxes of what runs in the process, and passes on what happens at them (`crossing`): messages
both ways, ends, failures, that nobody listens, and, by credit, that there is no room. What happens to the
worker itself goes to the process as a word of its own (``on_...`` in `child`): that the system stops, that
something beside it has failed, that it is cancelled. Back comes how the component has ended: with a result,
or with failures, which become the worker's.

The body of the worker waits for one thing only: that the process is gone, and has been reaped. Whatever else
happens to it meanwhile, `Cancelled` included, it passes on. So whoever waits for the worker's end finds no
process, and no descriptor, left over. A process that does not end when it was cancelled for good is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kamaelia.axon import (
    BrokenLink,
    Cancelled,
    Component,
    GraceExceeded,
    Inbox,
    Outbox,
    Signal,
    UsageError,
    as_part,
    core,
    lifecycle,
    make,
    postman,
)
from kamaelia.axon.arguments import check_positive, check_whole
from kamaelia.axon.box import Box
from kamaelia.axon.component import ComponentFunction, offered
from kamaelia.axon.errors import shorten, text_of
from kamaelia.axon.inbox import DEFAULT_SIZE

from . import channel as frames
from . import spawn
from .bridge import Bridge
from .crossing import BYTES, WINDOW, Arrivals, Departures
from .errors import WorkerDied
from .remote import PackedError
from .shared import make_file

log = logging.getLogger("kamaelia")

LONGEST_PATIENCE = 8.0  # seconds: after `lifecycle.LAST_PATIENCE` nobody would wait for its process any more
POLL = 0.005  # seconds between two looks, where the system does not tell of the end of a process
LAST_WORDS = 8 * 1024  # bytes of what is kept of what a process has said when it crashed


@dataclass(frozen=True)
class WorkerStatistics:
    """What a worker's process does, and what has gone there and come back."""

    alive: bool
    """Whether there is a process."""
    pid: int | None
    """Its number; None before there was one."""
    messages_in: int
    """Messages that have been sent to it."""
    bytes_in: int
    """Bytes of these, as they were sent."""
    messages_out: int
    """Messages that have come from it."""
    bytes_out: int
    """Bytes of these."""
    waiting_in: int
    """Of the messages sent to it, how many had not been taken, as far as is known."""
    waiting_out: int
    """Messages that waited in it to be sent, as last reported."""
    shared: int
    """Bytes of shared memory that messages sent to it take up."""
    boxes: Mapping[str, Any]
    """The statistics of the component's own boxes in the process, as last reported."""


class Worker(Component):
    """Run a component, or a whole chassis, in a process of its own, and so on another core.

    The rest of the system can't tell, but for speed: the worker has the boxes of the component, and passes on
    messages, ends, failures, back-pressure, a stop, and cancellation, both ways. It returns what the
    component returned. What the component logs, warns of or prints appears as if it ran here. Its path is the
    worker's path and then its own name, and it draws from the seed of this system.

    The process is started when the worker is, afresh and not forked. So the component has to be something
    that another process can make: it crosses as its class and arguments, which are pickled. What cannot be
    pickled, such as a ``lambda`` or what is defined within a function, fails the worker with `UsageError`,
    which says what to write. Or give a function at the top of a module that makes the component: it is called
    once here, for the boxes, and once there. A program that starts a worker starts its system under
    ``if __name__ == "__main__":``, as for `multiprocessing`.

    Messages are pickled, many at a time. Buffers of 32 KiB and more (bytes, NumPy arrays and other objects
    that offer them to pickle) cross in shared memory; an array is not copied out of it. There are up to 256
    MiB of it in each direction; while readers keep more than that, messages are sent whole. A message that
    can't be pickled is a failure.

    Ending: it ends when the component has ended, and the process with it. Failure: exceptions keep their
    class where they can be pickled, and are `RemoteError` otherwise; their notes have the path, and the
    traceback as text. A process that dies is a `WorkerDied`; what it had sent is delivered, what it had been
    sent is lost, and ``Supervisor(Worker(part))`` starts another. Stop: the component is stopped there, as
    any other is. Cancelled: so is the component; when that was for good, and it has not ended after
    ``patience``, the process is killed, which is a `GraceExceeded`.
    Back-pressure: of each box, besides what the inboxes on both sides take, as many messages are on their way
    as its mark says (up to 500, while readers keep pace and the mark is 100 or more), but no more than 16
    MiB of them, or what the mark says if that is in bytes, and one frame.

    Limits: its inboxes are linked before it starts, or have ended from the start, also those that the
    component declares with ``held=True``. Services and rooms (``PublishTo("room")``) are those of the
    worker's own system, and so is ``self.system``; taps see what comes to the worker's boxes, not what is
    inside. That all wait for each other, or all in a loop, is not noticed across processes. Standard input is
    empty there. In virtual time, or a simulation, there are no workers: run the component itself. On Windows
    there are none at all, and elsewhere than on Linux there is no shared memory.

    Arguments:
        pattern: what to run: a component, which is made again there; a class; or a function that makes one
        ahead: how many messages of a box may be on their way to the process, and how many may wait there; by
            default what the mark of its inbox says. What is there is lost when the process dies, and 1 leaves
            least to be lost, and most to others who share the work; more is faster.
        patience: seconds that the process has to end after it was cancelled for good

    Example:
        >>> import math
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.process import Worker
        >>> run(Source([1, 4, 9]) | Worker(Map(math.sqrt)) | Collect())
        [1.0, 2.0, 3.0]
    """

    inbox = None
    outbox = None

    def __init__(self, pattern: Any, *, ahead: int | None = None, patience: float = 5.0) -> None:
        if ahead is not None:
            check_whole(f"Worker(ahead={shorten(ahead)})", ahead, "how many messages to send ahead", 1)
        what = f"Worker(patience={shorten(patience)})"
        check_positive(what, patience, "the seconds that a process has to end")
        if patience > LONGEST_PATIENCE:
            raise ValueError(
                f"{what}: give at most {LONGEST_PATIENCE:g} seconds: Axon waits no longer for anybody"
            )
        if isinstance(pattern, (Component, ComponentFunction, type)) or not callable(pattern):
            sample = pattern = as_part(pattern)
        else:
            sample = make(pattern)
        self.ahead = ahead
        self.patience = patience
        self._pattern: Any = pattern
        self._changed = Signal("see its process end")
        self._outside: Outside | None = None
        boxes = offered(sample._axon)
        self.crossing = list(boxes)
        """The names of the boxes of the component."""
        for name, box in boxes.items():
            self._add_like(name, box)

    def _add_like(self, name: str, like: Box[Any]) -> None:
        if isinstance(like, Inbox):
            self.add_box(name, Inbox(like.doc, type=like.type, size=postman.size_behind(like)))
        else:
            assert isinstance(like, Outbox)
            self.add_box(name, Outbox(like.doc, type=like.type, optional=like.optional))

    def statistics(self) -> WorkerStatistics:
        """Return what the process does; may be called from any thread.

        Of what is known there only, the process is asked each time, and its answer to the time before is
        returned.
        """
        outside = self._outside
        if outside is None:
            return WorkerStatistics(False, None, 0, 0, 0, 0, 0, 0, 0, {})
        outside.ask()
        departures, arrivals = outside.departures, outside.arrivals
        return WorkerStatistics(
            alive=not outside.gone,
            pid=outside.process.pid,
            messages_in=sum(one.messages for one in departures),
            bytes_in=sum(one.amount for one in departures),
            messages_out=sum(one.messages for one in arrivals),
            bytes_out=sum(one.amount for one in arrivals),
            waiting_in=0 if outside.gone else sum(one.unread + one.unread_there for one in departures),
            waiting_out=outside.waiting_there,
            shared=0 if outside.arena is None else outside.arena.used,
            boxes=dict(outside.boxes),
        )

    async def main(self) -> Any:
        """Start the process, pass on what happens, and return when the process is gone."""
        self._check_world()
        pattern = self._pickled()
        outside = Outside(self, self._changed)
        self._outside = outside
        # No box of the component, but there for its hold, by whose release Axon tells of a stop or a failure.
        box: Inbox[Any] = Inbox("nothing").attached(self._axon, "(told of a stop)")
        box.settled = True
        box.prepare(self.system)
        hold = box.hold(outside=True)
        hold.on_release = lambda: outside.pass_on_stop(hold.outbox.failure)
        try:
            outside.begin(pattern)
            cancelled = await self._wait(outside)
        finally:
            outside.finish()
            hold.on_release = None
            hold.release()
        return self._conclude(outside, cancelled)

    async def _wait(self, outside: Outside) -> bool:
        """Wait until the process is gone; say whether the worker was cancelled meanwhile."""
        process = self._axon
        cancels = 0  # not counting those of a stop
        while not outside.gone:
            try:
                await self._changed
            except BrokenLink:
                for arrivals in outside.arrivals:
                    if arrivals.outbox.lost:
                        arrivals.tell_lost()
            except Cancelled:
                reason = process.reason
                if reason == "stop":
                    outside.pass_on_stop(None)
                    continue
                cancels += 1
                if reason == "failure" and cancels == 1:
                    outside.pass_on_stop(process.cause)
                else:
                    outside.cancel(reason, process.cause)
                    if cancels > 1 or reason is not None:
                        outside.kill_later(self.patience)
        return cancels > 0

    def _conclude(self, outside: Outside, cancelled: bool) -> Any:
        """The process is gone: say how the worker has ended."""
        if outside.error is not None:
            raise outside.error
        if outside.impatient:
            self.system.left_behind(
                self._axon,
                f"{self.path} was cancelled, and its process {outside.process.pid} had not ended "
                f"{self.patience:g} s later; it was killed. Let Cancelled through, and let no call block for "
                f"long; or give more time: Worker(..., patience={LONGEST_PATIENCE:g})",
            )
            raise Cancelled
        if outside.outcome is None:
            raise self._died(outside)
        failures, errors, fatal, result, discarded = outside.outcome
        for path, count in (discarded or {}).items():
            self.system.note_discarded(path, count)
        if fatal is not None:
            raise fatal
        for error in errors:
            if isinstance(error, GraceExceeded):
                self.system.errors.append(error)
            else:
                error.add_note(f"in {self.path}")
                failures.append(error)
        if failures:
            # They have their paths already.
            lifecycle.fail(self._axon, failures[0], failures)
            return None
        if cancelled:
            raise Cancelled
        return None if result is None else pickle.loads(result)

    def _died(self, outside: Outside) -> WorkerDied:
        code = outside.process.returncode
        try:
            how = (
                f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            )
        except ValueError:
            how = f"was killed by signal {-code}"
        lost = sum(one.unread + one.unread_there for one in outside.departures)
        losses = ""
        if lost:
            losses = (
                f"; of the messages sent to it {lost} had not been read, as far as is known, and are lost"
            )
        error = WorkerDied(
            f"{self.path}: its process {outside.process.pid} {how} before it had finished{losses}"
        )
        if outside.last_words:
            error.add_note(f"its last words:\n{outside.last_words}")
        return error

    # -- before the process is started --------------------------------------------------------------

    def _check_world(self) -> None:
        if hasattr(self.get_loop(), "clock"):
            raise UsageError(
                f"{self.path}: a process cannot run in virtual time. In a simulation, or under drive(), run "
                "the component itself, without Worker"
            )
        if sys.platform == "win32":
            raise UsageError(f"{self.path}: there are no workers on Windows: run the component itself")
        if spawn.importing:
            raise UsageError(
                f"{self.path} was to be started while its program is imported by another worker: start the "
                'system under if __name__ == "__main__":'
            )

    def _pickled(self) -> bytes:
        try:
            pickled = pickle.dumps(self._pattern, 5)
        except Exception as error:  # whatever pickling somebody's objects raises
            raise UsageError(f"{self.path}: {_what_cannot_cross(self._pattern, error)}") from error
        if b"__main__" in pickled and spawn.program() is None:
            raise UsageError(
                f"{self.path}: {shorten(self._pattern)} uses what was defined where no other process can "
                "find it, as in an interactive session: put it into a module"
            )
        return pickled


def _what_cannot_cross(pattern: Any, error: Exception) -> str:
    """Say what it is in a pattern that can't be pickled, and what to do."""
    reason = f"cannot go to another process ({type(error).__name__}: {text_of(error)})"
    found = _bad_argument(pattern) if isinstance(pattern, Component) else None
    if found is not None:
        component, argument, value = found
        what = f"{component}({argument}={shorten(value)}): this argument {reason}"
    else:
        what = f"{shorten(pattern)} {reason}"
    return f"{what}: give what is defined at the top of a module, or can be pickled"


def _bad_argument(component: Component) -> tuple[str, str, Any] | None:
    """Find the argument in a recipe that can't be pickled, in the innermost component that has one."""
    args, kwargs = component._recipe
    maker = component.__reduce__()[1][0]
    names: list[str] = []
    with contextlib.suppress(TypeError, ValueError):
        signature = maker.signature if isinstance(maker, ComponentFunction) else inspect.signature(maker)
        for parameter in signature.parameters.values():
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                names.append(parameter.name)
    named = [*((names[i] if i < len(names) else f"argument {i + 1}", v) for i, v in enumerate(args))]
    for name, value in [*named, *kwargs.items()]:
        for inner in _components_in(value):
            found = _bad_argument(inner)
            if found is not None:
                return found
        try:
            pickle.dumps(value, 5)
        except Exception:  # as above
            return component._axon.name, name, value
    return None


def _components_in(value: Any) -> list[Component]:
    if isinstance(value, Component):
        return [value]
    if type(value) in (list, tuple):
        return [one for item in value for one in _components_in(item)]
    if type(value) is dict:
        return [one for item in value.items() for one in _components_in(item)]
    ends = [getattr(value, name, None) for name in ("source", "target")]  # of a link
    return [end.owner.component for end in ends if isinstance(end, Box) and end.owner is not None]


class Outside(Bridge):
    """The end of the bridge on the worker's side, and its process.

    Arguments:
        worker: whose boxes cross
        changed: set when the process is gone
    """

    def __init__(self, worker: Worker, changed: Signal) -> None:
        self.gone = False
        """There is no process any more, and it has been reaped."""
        self.error: Exception | None = None
        """What has come from it could not be dealt with."""
        self.impatient = False
        """It had to be killed."""
        self.outcome: tuple[list[Exception], list[Exception], BaseException | None, Any, Any] | None = None
        """How the component has ended: failures, errors of its system, what passes bare, result, and the
        messages that went nowhere."""
        self.last_words = ""
        """What the process has said when it crashed."""
        self.boxes: dict[str, Any] = {}
        self.waiting_there = 0
        self._worker = worker
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._asked = False
        self._watched: int | None = None  # a descriptor that tells of its end
        self._words: int | None = make_file()
        files = (make_file(), make_file()) if self._words is not None else (None, None)
        mine, its = socket.socketpair()
        numbers = [number for number in (self._words, *files) if number is not None]
        try:
            with its:
                # What one side sends with, the other receives with.
                to_it = numbers if len(numbers) == 3 else numbers[:1]
                self.process: subprocess.Popen[bytes] = spawn.start_process(its, to_it)
                super().__init__(
                    mine, worker.get_loop(), (numbers[2], numbers[1]) if len(numbers) == 3 else None
                )
        except BaseException:
            mine.close()
            if self._words is not None:
                os.close(self._words)
            raise
        finally:
            for number in files:
                if number is not None:
                    os.close(number)

    def begin(self, pattern: bytes) -> None:
        """Tell the process what to run, and let messages cross."""
        worker = self._worker
        process = worker._axon
        scheduler = process.scheduler
        system = worker.system
        assert scheduler is not None
        try:
            self._watched = os.pidfd_open(self.process.pid)
            self.loop.add_reader(self._watched, self._has_ended)
        except (AttributeError, OSError, NotImplementedError):  # `closed` will have it looked for
            pass
        inboxes, outboxes = [], []
        for name in worker.crossing:
            box = process.boxes[name]
            if isinstance(box, Inbox):
                if postman.is_linked(box) or not box.ended or len(box.queue):
                    ahead = box.size if worker.ahead is None or box.in_bytes else worker.ahead
                    number = min(box.size, ahead)
                    size: int | str = f"{number} B" if box.in_bytes else number
                    inboxes.append((name, size, *_window(number, box.in_bytes)))
            elif isinstance(box, Outbox):
                number, in_bytes = _mark_of_readers(box)
                size = f"{number} B" if in_bytes else min(number, WINDOW)
                outboxes.append((name, size, *_window(number, in_bytes)))
        start = {
            "argv": sys.argv,
            "program": spawn.program(),
            "core": core.form,
            "uvloop": type(self.loop).__module__.startswith("uvloop"),
            "seed": system.seed,
            "debug": system.debug,
            "slow_step": system.slow_step,
            "path": worker.path,
            "levels": _levels(),
            "pattern": pattern,
            "inboxes": inboxes,
            "outboxes": outboxes,
        }
        self.channel.send(frames.OTHER, 0, 0, pickle.dumps(start, 5))
        for index, (name, _, window, window_bytes) in enumerate(outboxes):
            outbox = process.boxes[name]
            assert isinstance(outbox, Outbox)
            self.arrivals.append(Arrivals(self, index, outbox, window, window_bytes))
        for index, (name, _, window, window_bytes) in enumerate(inboxes):
            inbox = process.boxes[name]
            assert isinstance(inbox, Inbox)
            departures = Departures(self, index, inbox, scheduler, window, window_bytes)
            self.departures.append(departures)
            departures.begin()
        self.channel.begin()

    def finish(self) -> None:
        """Close everything; a process that is still there is killed. Twice is harmless."""
        self.close()
        if self._timer is not None:
            self._timer.cancel()
        if not self.gone:
            self._kill()
            self._reap()
        self.arena = self.view = None  # the memory goes with the last message that lies in it
        if self._words is not None:
            words = os.pread(self._words, LAST_WORDS, 0)
            os.close(self._words)
            self._words = None
            self.last_words = words.rstrip(b"\0").decode(errors="replace").strip()

    # -- what becomes of the process ----------------------------------------------------------------

    def pass_on_stop(self, cause: BaseException | None) -> None:
        """The system stops; with a cause, as something beside the worker has failed."""
        boxes = [one.inbox for one in self.departures]
        held = [n for n, box in enumerate(boxes) if not len(box.queue) and box.sources <= box.outside]
        if cause is not None:
            self.tell("fail", held, self.errors.pack(cause))
        elif not self._stopped:
            self._stopped = True
            self.tell("stop", held)

    def cancel(self, reason: str | None, cause: BaseException | None) -> None:
        """The worker was cancelled."""
        self.tell("cancel", reason, None if cause is None else self.errors.pack(cause))

    def kill_later(self, patience: float) -> None:
        """The process was cancelled for good, or has finished: kill it, if it does not end."""
        if self._timer is None:
            self._timer = self.loop.call_later(patience, self._lose_patience)

    def ask(self) -> None:
        """Ask the process for its statistics, if it has answered the last time."""
        if self.gone or self._asked:
            return
        self._asked = True
        with contextlib.suppress(RuntimeError):  # the loop has just been closed
            self.loop.call_soon_threadsafe(self.tell, "ask")

    def closed(self) -> None:
        """See `Bridge`: all that the process had sent has come."""
        if self._watched is None:
            self._look()

    def broken(self, error: Exception, departures: Departures) -> None:
        """See `Bridge`: to the process it is as if what feeds that box had failed, and all beside it."""
        if self.error is None and self.outcome is None:
            self.error = error
            self.end(departures, error)
            self.pass_on_stop(error)
            self.kill_later(lifecycle.FAILURE_GRACE + self._worker.patience)

    def trouble(self, error: Exception) -> None:
        """See `Bridge`: nothing sensible can be done with this process any more."""
        if self.error is None and self.outcome is None:
            self.error = error
            self._kill()

    def _lose_patience(self) -> None:
        if self.outcome is None:
            self.impatient = True
        else:
            log.warning(
                "%s: its process %d had finished and did not end, so it was killed: does a thread go on?",
                self._worker.path,
                self.process.pid,
            )
        self._kill()

    def _kill(self) -> None:
        # Not by SIGTERM, which the process leaves to this one: it may be sent to all processes of a service.
        if not self.gone:
            self.process.kill()

    def _has_ended(self) -> None:
        self.channel.read_rest()
        self._reap()

    def _look(self) -> None:
        """Look whether the process has ended, and if not, again."""
        if self.process.poll() is None:
            self.loop.call_later(POLL, self._look)
        else:
            self._reap()

    def _reap(self) -> None:
        if self.gone:
            return
        self.process.wait()
        self.gone = True
        if self._watched is not None:
            self.loop.remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None
        self._changed.set()

    # -- what the process tells ---------------------------------------------------------------------

    def on_over(
        self,
        failures: list[PackedError],
        errors: list[PackedError],
        fatal: PackedError | None,
        result: bytes | None,
        discarded: dict[str, int] | None,
        statistics: tuple[dict[str, Any], int] | None,
    ) -> None:
        """The component has ended."""
        unpack: Any = self.errors.unpack
        self.outcome = (
            [unpack(one) for one in failures],
            [unpack(one) for one in errors],
            None if fatal is None else unpack(fatal),
            result,
            discarded,
        )
        if statistics is not None:
            self.on_statistics(*statistics)
        for departures in self.departures:
            departures.close()
        self.kill_later(self._worker.patience)

    def on_statistics(self, boxes: dict[str, Any], waiting: int) -> None:
        """The process has been asked."""
        self._asked = False
        self.boxes = boxes
        self.waiting_there = waiting

    def on_left(self, lines: list[str]) -> None:
        """Those were there still when the grace was over."""
        cause = self._worker._axon.cause
        if lines and isinstance(cause, GraceExceeded):
            cause.add_note(f"within {self._worker.path}: " + "; ".join(lines))

    def on_announce(self, text: str) -> None:
        """A component there has something to say to whoever has started the system."""
        self._worker.system.announce(text)

    def on_log(self, values: dict[str, Any]) -> None:
        """Something was logged there."""
        record = logging.makeLogRecord(values)
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)

    def on_dropped(self, count: int) -> None:
        """Too much was logged there."""
        log.warning(
            "%s: %d log records and the like were dropped, as there were too many", self._worker.path, count
        )

    def on_warning(self, text: str, category: type[Warning], filename: str, lineno: int) -> None:
        """Something was warned of there."""
        import warnings

        warnings.showwarning(category(text), category, filename, lineno)


def _window(number: int, in_bytes: bool) -> tuple[int, int]:
    """Return how many messages of a box, and how many bytes, may be on their way, by its mark."""
    return (WINDOW, number) if in_bytes else (min(number, WINDOW), BYTES)


def _mark_of_readers(outbox: Outbox[Any]) -> tuple[int, bool]:
    """Return at which mark who sends through an outbox has to wait, and whether that is in bytes."""
    marks = [(route.queue.size, route.queue.in_bytes) for route in outbox.routes if route.when_full == "wait"]
    in_messages = [mark for mark in marks if not mark[1]]
    return min(in_messages or marks, default=(DEFAULT_SIZE, False))


def _levels() -> dict[str, int]:
    """Return the levels of logging that have been set, by name; that of the root has the empty name."""
    loggers = logging.root.manager.loggerDict.items()
    levels = {name: one.level for name, one in loggers if isinstance(one, logging.Logger) and one.level}
    return {"": logging.root.level, **levels}


__all__ = ["Worker", "WorkerStatistics"]
