"""Driving one component by hand.

Theory
------
The component runs in a real `System`, on a `VirtualLoop` that nobody else runs: time stands still
until the test says otherwise. A *front*, a chassis around the component, plays the outside world. It holds
each inbox of the component from outside, so the test is what feeds it; and it has one inbox for each
outbox, so the test is who reads it. These inboxes have a mark like any other: a component that sends much
has to wait until the test takes something.

After each thing that the test does, everything is run that is due at this instant. So when a method
returns, the component has done all it can, and what comes next needs another message, or time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar, overload

from kamaelia.axon import (
    Component,
    ComponentFunction,
    Hold,
    Inbox,
    Link,
    Outbox,
    System,
    UsageError,
    VirtualLoop,
    as_part,
    postman,
)
from kamaelia.axon.clock import PlainVirtualClock, nanoseconds
from kamaelia.axon.component import offered
from kamaelia.axon.errors import shorten, suggestion
from kamaelia.axon.lifecycle import bodies
from kamaelia.axon.process import Process

C = TypeVar("C", bound=Component)

READER_SIZE = 100  # messages; the mark of any inbox, see `sizes`
WORK_LIMIT = 500_000  # steps at one instant, from which on the component is taken to go round for ever
TAKE_LIMIT = 20_000  # messages that `take_all` takes before it says that there is no end of them
FINISH_LIMIT = 24 * 3600.0  # virtual seconds that `finish` waits
GRACE = 5.0  # virtual seconds that a component has to end when it is stopped


@overload
def drive(
    component: C | type[C],
    *,
    seed: int | str = ...,
    sizes: Mapping[str, int | str] | None = ...,
    unlinked: Iterable[str] = ...,
    names: Mapping[str, Any] | None = ...,
    debug: bool = ...,
) -> Driver[C]: ...
@overload
def drive(
    component: ComponentFunction[...],
    *,
    seed: int | str = ...,
    sizes: Mapping[str, int | str] | None = ...,
    unlinked: Iterable[str] = ...,
    names: Mapping[str, Any] | None = ...,
    debug: bool = ...,
) -> Driver[Component]: ...
def drive(
    component: Any,
    *,
    seed: int | str = 0,
    sizes: Mapping[str, int | str] | None = None,
    unlinked: Iterable[str] = (),
    names: Mapping[str, Any] | None = None,
    debug: bool = True,
) -> Driver[Any]:
    """Run one component by hand: ``with drive(Echo()) as echo``. Entering the block starts it.

    Leaving the block stops the component if it still runs, and nobody listens to it then. If it has failed,
    and the test has not read `Driver.error`, leaving raises that failure: no component fails unnoticed.

    Arguments:
        component: what to drive; a class or `component` function stands for one made without arguments
        seed: of the component's random stream; the same seed gives the same run
        sizes: how much the reader of an outbox takes before the component has to wait, ``{"outbox": 1}`` for
            a slow one; messages, or bytes as in ``"64 KiB"``. 100 messages where it is not given.
        unlinked: boxes that nobody is linked to. Such an inbox has ended from the start, such an outbox
            discards.
        names: services that the component may ask for, by name
        debug: also check that no message is changed after it was sent (rule 10)

    Example:
        >>> from kamaelia.flow import Interval
        >>> with drive(Interval(10)) as interval:
        ...     interval.advance(25)
        ...     interval.take_all()
        [0, 1, 2]
    """
    return Driver(as_part(component), seed, sizes or {}, tuple(unlinked), names or {}, debug)


class Driver(Generic[C]):
    """One component in the hands of a test; made by `drive`.

    Messages: `send` and `take`, `take_all`, `expect_nothing`. The world around the component: `close` and
    `fail` an inbox, `leave` an outbox, `advance` the time, `stop` and `cancel`. How it is: `outcome`,
    `ended`, `result`, `error`, `state` of a box, `waiting`, `time`.
    """

    def __init__(
        self,
        component: C,
        seed: int | str,
        sizes: Mapping[str, int | str],
        unlinked: tuple[str, ...],
        names: Mapping[str, Any],
        debug: bool,
    ) -> None:
        self.component = component
        """The component itself."""
        self.on_step: Callable[[Process], object] | None = None
        """Called after each step of whatever is driven, to be given before the block is entered. It may do
        what a test does, and what comes of that happens later."""
        self._in_step = False
        self.announcements: list[str] = []
        """What the component wanted to have said, as a server does that says where it listens."""
        self._clock = _PatientClock(component)
        self._runner = asyncio.Runner(loop_factory=lambda: VirtualLoop(self._clock))
        self._seed = seed
        self._debug = debug
        self._names = names
        self._front = _Front(component, sizes, unlinked)
        self._system: System | None = None
        self._noticed = False  # the test has seen the failure
        self._left = False
        self._present = True

    # -- from beginning to end --------------------------------------------------------------------

    def __enter__(self) -> Driver[C]:
        if self._system is not None:
            raise UsageError(f"{self._name} is driven already: enter the block of a driver once")
        loop = self._runner.get_loop()
        self._system = System(
            loop,
            seed=self._seed,
            grace=GRACE,
            slow_step=0,
            debug=self._debug,
            announce=self.announcements.append,
        )
        scheduler = self._system.scheduler
        self._clock.count_steps = lambda: scheduler.steps
        # As long as the test is there, something may come from outside: what it takes frees a sender.
        scheduler.outside += 1
        for name, service in self._names.items():
            self._system.names.offer(name, service, self._front)
        if self.on_step is not None:
            scheduler.on_step = self._seen_step
        self._system.start(self._front)
        try:
            self._settle()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        system = self._running
        try:
            if kind is not None:
                system.cancel()  # what the test raises is what matters: nothing else is checked
                self._clock.advance(nanoseconds(1))
                return
            if not system.is_over:
                if not system.stopping:
                    system.stop()
                self.leave()
                self._clock.advance(nanoseconds(GRACE))
            self._check_end()
        finally:
            self._left = True
            self._runner.close()

    def _check_end(self) -> None:
        failures = self.component._axon.failures
        if failures and not self._noticed:
            raise failures[0]
        if self._running.fatal is not None:
            raise self._running.fatal
        for trouble in self._running.errors:
            if not self._noticed:
                raise trouble
        left = [task.get_name() for task in asyncio.all_tasks(self._runner.get_loop())]
        if left:
            raise AssertionError(
                f"{self._name} has ended, but asyncio tasks that it started run on: "
                f"{', '.join(sorted(left))}. Start tasks in an asyncio.TaskGroup, which waits for them"
            )

    # -- messages ---------------------------------------------------------------------------------

    def send(self, *messages: Any, box: str = "inbox") -> None:
        """Put messages into an inbox, one after the other, and let the component do what it can.

        Never waits; `full` says whether a sender would have had to.
        Raises `WouldBlock` when a thousand messages have gone past the mark of the inbox.
        """
        hold = self._hold(box)
        for message in messages:
            if hold.released or hold.lost:
                raise AssertionError(
                    self._tell(f"nobody reads {hold.inbox} any more, so {shorten(message)} is lost")
                )
            hold.send(message)
            self._settle()

    def is_read(self, box: str = "inbox") -> bool:
        """Say whether a message for an inbox would be accepted: it has not ended, and somebody reads it."""
        hold = self._hold(box)
        return not (hold.released or hold.lost)

    def full(self, box: str = "inbox") -> bool:
        """Say whether an inbox has reached its mark, so that a sender would have to wait."""
        return self._hold(box).full

    def take(self, box: str = "outbox") -> Any:
        """Return the next message that the component has sent through an outbox.

        Raises AssertionError, with how the component is, when there is none.
        """
        reader = self._reader(box)
        if not len(reader.queue):
            raise AssertionError(self._tell(f"nothing has come out of {self._name}.{box}")) from self.error
        message = reader.queue.take()
        self._settle()  # it may have waited for room
        return message

    def waits_to_be_taken(self, box: str = "outbox") -> int:
        """Return how many messages of an outbox there are to take now."""
        return len(self._reader(box).queue)

    def take_all(self, box: str = "outbox") -> list[Any]:
        """Return everything that the component sends through an outbox until it waits for something else."""
        reader = self._reader(box)
        messages: list[Any] = []
        while len(reader.queue):
            messages.append(self.take(box))
            if len(messages) >= TAKE_LIMIT:
                raise AssertionError(
                    f"{self._name}.{box} has sent {TAKE_LIMIT} messages, and there is no end of them: "
                    "take them one by one, with take()"
                )
        return messages

    def expect_nothing(self, *boxes: str) -> None:
        """Raise AssertionError if any of these outboxes (of all, when none is named) has a message to
        take."""
        for box in boxes or self._front.readers:
            items = list(self._reader(box).queue)
            if items:
                shown = ", ".join(shorten(item) for item in list(items)[:5])
                raise AssertionError(
                    f"{self._name}.{box} was to be silent, but has sent {len(items)}: {shown}"
                )

    # -- the world around it ----------------------------------------------------------------------

    def close(self, *boxes: str) -> None:
        """End these inboxes: nothing more will come. Without a name, every inbox."""
        for box in boxes or list(self._front.holds):
            self._hold(box).release()
        self._settle()

    def fail(self, error: BaseException, box: str = "inbox") -> None:
        """Break an inbox: what fed it has failed. After what is queued the component gets `SourceFailed`."""
        self._hold(box).release(error)
        self._settle()

    def leave(self, *boxes: str) -> None:
        """Stop listening to these outboxes: their reader has gone. Without a name, every outbox.

        What was sent before can still be taken.
        """
        for box in boxes or list(self._front.readers):
            self._reader(box).close()
        self._settle()

    def advance(self, seconds: float) -> None:
        """Let virtual time pass, and everything happen that is due in it."""
        if seconds < 0:
            raise ValueError(f"advance({seconds!r}): time does not go back")
        self._check_started()
        self._clock.begin()
        self._clock.advance(nanoseconds(seconds))

    def skip(self, limit: float = FINISH_LIMIT) -> bool:
        """Let time pass until the next thing is due, and that happen; False if nothing is, within a limit."""
        self._settle()
        when = self._clock.next_time()
        if when is None or when > self._clock.now + nanoseconds(limit):
            return False
        self._clock.begin()
        self._clock.run_until(when)
        return True

    def finish(self, limit: float = FINISH_LIMIT) -> Any:
        """Let time pass until the component has ended, and return its result.

        Raises AssertionError when it has not within ``limit`` virtual seconds, or needs something from the
        test.
        """
        self._settle()
        end = self.time + limit
        while not self.ended:
            if not self.skip(end - self.time):
                raise AssertionError(self._tell(f"{self._name} does not end by itself"))
        return self.result

    def rest(self) -> None:
        """Leave the component to itself: nothing will come from outside any more, and nobody reads slowly.

        Ends every inbox, and lets the system come to rest: what is held only from inside ends too (rule
        29), and a component that still waits then is a deadlock.
        """
        for hold in list(self._front.holds.values()):
            hold.release()
        for reader in self._front.readers.values():
            reader.resize(f"{TAKE_LIMIT} B" if reader.in_bytes else TAKE_LIMIT)
        if self._present:
            self._present = False
            self._running.scheduler.outside -= 1
            self._running.scheduler.look_for_rest()
        self._settle()

    def stop(self, grace: float = GRACE) -> None:
        """Stop the component as the end of a program does (rule 25); what it was sent it may finish."""
        self._running.stop(grace)
        self._settle()

    def cancel(self) -> None:
        """Cancel the component at once."""
        self._running.cancel()
        self._settle()

    # -- how it is --------------------------------------------------------------------------------

    @property
    def outboxes(self) -> tuple[str, ...]:
        """The names of the outboxes that the test reads."""
        return tuple(self._front.readers)

    @property
    def time(self) -> float:
        """The virtual time in seconds; it starts at 0."""
        return self._clock.now / 1e9

    @property
    def outcome(self) -> str:
        """``"running"``, ``"ended"``, ``"stopped"``, ``"failed"``, ``"broken"`` or ``"cancelled"``.

        Broken is a component that had no use for the failure of what fed it.
        """
        process = self.component._axon
        return (process.outcome or "ended") if process.state == "ended" else "running"

    @property
    def ended(self) -> bool:
        """Whether the component is over, however."""
        return self.component._axon.state == "ended"

    @property
    def result(self) -> Any:
        """What the component has returned. Raises AssertionError as long as it runs."""
        if not self.ended:
            raise AssertionError(self._tell(f"{self._name} has not ended, so it has no result yet"))
        return self.component._axon.result

    @property
    def error(self) -> BaseException | None:
        """What the component failed with, or None. Who reads it has noticed: it is not raised again at the
        end.

        Of a component that was broken or cancelled, the failure that caused it; of several failures, the
        first.
        """
        process = self.component._axon
        if process.failures:
            self._noticed = True
            return process.failures[0]
        for trouble in self._running.errors:  # a deadlock, a grace that ran out
            self._noticed = True
            return trouble
        return process.cause if self.ended else None

    def state(self, box: str) -> str:
        """Say how a box is: ``"open"``, ``"ended"``, ``"failed"``; or, of an inbox, ``"closed"`` by the
        component.

        An outbox has ended when its reader has seen the end, once everything is taken.
        """
        reader = self._front.readers.get(box)
        if reader is None:
            found = self._hold(box).inbox
            if found.closed:
                return "closed"
        else:
            found = reader
        if not found.ended:
            return "open"
        return "failed" if found.failure is not None else "ended"

    @property
    def waiting(self) -> str:
        """What the component waits for: ``"receive from Echo.inbox"``, ``"send to Echo.outbox"``,
        ``"sleep"``, ...

        Empty when it has ended; of a composite, what each of its components waits for, separated by ``"; "``.
        """
        return "; ".join(self._waits())

    def _waits(self) -> Iterator[str]:
        for process in bodies(self.component._axon):
            wait = process.wait
            if wait is not None:
                boxes = ", ".join(str(getattr(place, "outbox", place)) for place in wait.where)
                yield f"{wait.verb} {boxes}".rstrip()
            else:
                yield "await something of asyncio's" if process.future is not None else "go on"

    # -- machinery --------------------------------------------------------------------------------

    @property
    def _running(self) -> System:
        if self._system is None:
            raise UsageError(
                f"{self._name} is not started: write 'with drive(...) as ...' and drive it in the block"
            )
        return self._system

    @property
    def _name(self) -> str:
        return self.component._axon.path or self.component._axon.name

    def _seen_step(self, process: Process) -> None:
        assert self.on_step is not None
        self._in_step = True
        try:
            self.on_step(process)
        finally:
            self._in_step = False

    def _settle(self) -> None:
        self._check_started()
        if self._in_step:
            return
        self._clock.begin()
        self._clock.settle()

    def _check_started(self) -> System:
        if self._left:
            raise UsageError(f"the block in which {self._name} was driven is over")
        return self._running

    def _hold(self, box: str) -> Hold[Any]:
        if box not in self._front.holds:
            raise UsageError(
                f"{self._name} has no inbox {box!r} to drive; {suggestion(box, self._front.holds)}"
            )
        self._check_started()
        return self._front.holds[box]

    def _reader(self, box: str) -> Inbox[Any]:
        if box not in self._front.readers:
            raise UsageError(
                f"{self._name} has no outbox {box!r} to read; {suggestion(box, self._front.readers)}"
            )
        self._check_started()
        return self._front.readers[box]

    def _tell(self, what: str) -> str:
        """Add to a message how the component is."""
        if not self.ended:
            return f"{what}; at {self.time:g} s it waits to {self.waiting}"
        outcome = self.outcome
        return f"{what}; it has {outcome if outcome in ('ended', 'failed') else 'been ' + outcome}"

    def __repr__(self) -> str:
        return f"<drive({self._name}): {self.outcome} at {self.time:g} s>"


class _PatientClock(PlainVirtualClock):
    """A virtual clock that notices when something goes round and round at one instant."""

    def __init__(self, component: Component) -> None:
        super().__init__()
        self.count_steps: Callable[[], int] = lambda: 0  # how many the scheduler has made
        self._component = component
        self._rounds = 0  # of the loop, at this instant
        self._steps_before = 0

    def begin(self) -> None:
        """The test has done something, or time has passed: from here on there may be much to do."""
        self._rounds = 0
        self._steps_before = self.count_steps()

    def go_to(self, when: int) -> None:
        self.begin()
        super().go_to(when)

    def _run_ready(self) -> None:
        self._rounds += 1
        if self._rounds + self.count_steps() - self._steps_before > WORK_LIMIT:
            self.begin()
            raise AssertionError(
                f"{self._component!r} never comes to rest: at {self.now / 1e9:g} s there is always more "
                "to do. A loop without a wait? An endless sender whose outbox nobody is linked to?"
            )
        super()._run_ready()


class _Front(Component):
    """Stands around the driven component: holds its inboxes from outside, and reads its outboxes."""

    inbox = None
    outbox = None

    def __init__(
        self, component: Component, sizes: Mapping[str, int | str], unlinked: tuple[str, ...]
    ) -> None:
        process = self._axon
        process.given_name = ""  # no part of any path
        boxes = offered(component._axon)
        for name in (*sizes, *unlinked):
            if name not in boxes or (name in sizes and boxes[name].is_inbox):
                raise UsageError(
                    f"drive({component!r}): there is no such box {name!r}; {suggestion(name, boxes)}"
                )
        self.add(component)
        self.holds: dict[str, Hold[Any]] = {}
        self.readers: dict[str, Inbox[Any]] = {}
        for name, box in boxes.items():
            if name in unlinked:
                continue
            if isinstance(box, Inbox):
                self.holds[name] = box.hold(outside=True)
            elif isinstance(box, Outbox):
                declared: Inbox[Any] = Inbox("for the test", size=sizes.get(name, READER_SIZE))
                self.readers[name] = self.add_box(f"reader of {name}", declared)
                postman.make(Link(box, self.readers[name]))


__all__ = ["Driver", "drive"]
