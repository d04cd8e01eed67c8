"""A process: what Axon knows about one component while it runs.

The component is the user's object and its attributes are the user's names. All that Axon needs to run
it is kept in its process. To asyncio the *component* is the current task, so it forwards the few task
methods that asyncio, anyio and others use (``cancel``, ``cancelling``, ``uncancel`` ...) to its process.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import core
from .errors import BrokenLink, Cancelled

if TYPE_CHECKING:
    import random
    from collections.abc import Coroutine

    from .box import Box
    from .component import Component
    from .hold import Hold
    from .inbox import Inbox
    from .outbox import Outbox
    from .queue import Wait
    from .scheduler import Scheduler
    from .system import System

lifecycle: Any = None  # the module, which imports this one, and introduces itself

# The process whose code runs, also in the tasks and threads that a component has started.
current_process: contextvars.ContextVar[Process] = contextvars.ContextVar("kamaelia_process")


class Process:
    """The state of one component, from its making to its end.

    ``state`` is one of

    | state | meaning |
    | --- | --- |
    | new | has not been given to `run`, or its chassis has not started it yet |
    | ready | can go on, and will when its turn comes (also while it is running) |
    | waiting | is in line at a box, or sleeps |
    | foreign | awaits something of asyncio's |
    | holding | has no code of its own (any more), and waits for its children to end |
    | ended | is over: ``outcome`` says how |

    ``outcome`` is ``"ended"``, ``"stopped"`` (cancelled by a stop), ``"failed"``, ``"broken"`` (what fed it
    failed, and it had no use for that) or ``"cancelled"`` (because another failed, or the grace ran out).
    """

    __slots__ = core.NO_SLOTS

    component: Component
    given_name: str  # without the number that tells it from siblings of the same name
    number: int  # that number; 1, or 0 before it has siblings, is not shown
    has_body: bool
    is_chassis: bool  # it has no body, or has children
    parent: Process | None
    children: tuple[Process, ...] | dict[Process, None]
    # Of children, each with the number last given to another of that name; or the name of the only one.
    names_taken: dict[str, int] | str
    result_from: Process | None  # the child whose result is the chassis's
    holds: tuple[Hold[Any], ...] | dict[Hold[Any], None]  # on its inboxes
    names: tuple[str, ...]  # of services that it offers
    vacant: bool  # a seat that waits for its next occupant

    scheduler: Scheduler | None
    steps: int  # that it has taken
    state: str
    begun: bool  # it has taken its first step
    body_done: bool
    coroutine: Coroutine[Any, Any, Any] | None
    script: Any  # the thread of a script
    script_thread: int | None  # its number, while it may do by itself what needs nobody else
    context: contextvars.Context | None
    random: random.Random | None

    wait: Wait | None  # the place in line while it waits
    future: asyncio.Future[Any] | None  # what it awaits of asyncio's
    abandoned: BrokenLink | None  # raised at the next wait on a box
    task_name: str | None  # if a library calls its current task something
    must_cancel: bool
    cancel_message: object  # of the last request: anyio knows its own by it
    cancels: int  # as asyncio.Task.cancelling()
    reason: str | None  # why Axon has cancelled it: "stop", "failure", "grace"

    isolated: bool  # its failure is nobody else's
    failing: bool  # a chassis one of whose children has failed
    failures: tuple[Exception, ...]  # every failure in it, however deep
    cause: BaseException | None  # the first of them, or why it was broken or cancelled
    outcome: str | None
    result: Any
    callbacks: tuple[tuple[Callable[[Any], object], contextvars.Context | None], ...]

    def __repr__(self) -> str:
        return f"<Process {self.path}: {self.outcome or self.state}>"

    @property
    def name(self) -> str:
        """Its name among its siblings: ``Echo``, ``Echo-2``."""
        return self.given_name if self.number < 2 else f"{self.given_name}-{self.number}"

    @property
    def system(self) -> System | None:
        """The system in which it runs, if it does."""
        return None if self.scheduler is None else self.scheduler.system

    @property
    def path(self) -> str:
        """The names of all chassis around the component, and its own: ``radio/server/client-3``."""
        names = []
        process: Process | None = self
        while process is not None and process.name:
            names.append(process.name)
            process = process.parent
        return "/".join(reversed(names))

    @property
    def inboxes(self) -> list[Inbox[Any]]:
        """Its inboxes, in the order of their declaration."""
        return [box for box in self.boxes.values() if box.is_inbox]  # type: ignore[misc]

    @property
    def outboxes(self) -> list[Outbox[Any]]:
        """Its outboxes, in the order of their declaration."""
        return [box for box in self.boxes.values() if not box.is_inbox]  # type: ignore[misc]

    # -- how it is made and begins --------------------------------------------------------------------

    def furnish(self, declarations: Mapping[str, Box[Any]]) -> None:
        """Make boxes for the component of what its class declares."""
        for name, declaration in declarations.items():
            box = declaration.attached(self, name)  # type: ignore[attr-defined]
            self.add_box(box)
            object.__setattr__(self.component, name, box)

    def each_box(self) -> Iterable[Box[Any]]:
        """Its boxes, in the order of their declaration; none may be added meanwhile."""
        return self.boxes.values()

    def box_named(self, name: str) -> Box[Any] | None:
        """Return one of its boxes, if there is one of that name."""
        return self.boxes.get(name)

    def adopt_simply(self, child: Process) -> bool:
        """Make another its child if it is one of very many, for which the compiled form has a quick way; say
        whether that was done."""
        return False

    def has_its_boxes(self) -> bool:
        """Say whether what it declares as boxes are still its boxes, and not ``self.inbox = ...``."""
        component = self.component
        return all(getattr(component, name) is self.boxes[name] for name in component._box_declarations)

    def settle_boxes(self) -> None:
        """It takes its first step: boxes without a source end."""
        assert self.scheduler is not None
        for box in self.boxes.values():
            if box.outside:
                self.scheduler.outside += box.outside
            box.settle()

    def enter(self, system: System) -> None:
        """Take part in a system that runs: what is left is to take its first step.

        It gets a context of its own, so that others do not see what it sets; as a copy of its chassis's;
        the outermost was given one.
        """
        self.scheduler = system.scheduler
        self.state = "ready"
        for box in self.each_box():
            box.prepare(system)
        parent = self.parent
        if parent is not None:  # the outermost, which is none of the user's, runs nothing
            self.context = contextvars.copy_context() if parent.context is None else parent.context.copy()
            self.context.run(current_process.set, self)
        if self.has_body:
            system.scheduler.live += 1
        system.scheduler.make_ready(self)
        if system.scheduler.observer is not None:
            system.scheduler.observer("started", self)

    # -- being told -------------------------------------------------------------------------------

    def cancel(self, message: object = None) -> bool:
        """Raise `Cancelled` where the body waits, or at its next wait. False when it is over."""
        if self.state == "ended":
            return False
        self.cancels += 1
        if self.body_done:  # a chassis without code of its own (any more): it is its children
            for child in list(self.children):
                child.cancel(message)
            if self.vacant:  # a seat on which nobody sits who could be cancelled
                self.component._vacate()
            return True
        self.cancel_message = message
        if self.wait is not None:
            self.throw(self._cancelled())
        elif self.future is None or not self.future.cancel(msg=message):
            self.must_cancel = True
        return True

    def _cancelled(self) -> Cancelled:
        return Cancelled() if self.cancel_message is None else Cancelled(self.cancel_message)

    def reader_lost(self, outbox: Outbox[Any]) -> None:
        """An outbox has lost its last reader: when no other is left, nobody needs this component."""
        if outbox.optional or self.body_done or self.abandoned is not None:
            return
        required = [box for box in self.outboxes if box.own and not box.optional and not box.closed]
        if not any(box.lost for box in required) or any(box.routes for box in required):
            return
        error = outbox.broken()
        if self.cancels:
            # Not after Cancelled. But a time-out takes its cancellation back, and then it is due.
            self.abandoned = error
            return
        if self.wait is not None and not self.wait_is_foreign():
            self.throw(error)
            return
        for box in self.inboxes:  # a task of the component's own may wait on a box
            for wait in box.queue.readers or ():
                if wait.owner is self and wait.future is not None:
                    wait.fail(error)
                    return
        self.abandoned = error

    def forget_wait(self) -> None:
        """It will not go on, whatever it waits for."""
        if self.state == "waiting" and self.wait is not None and not self.wait.timed:
            assert self.scheduler is not None
            self.scheduler.parked -= 1
        self.wait = self.future = None

    def reader_gained(self, outbox: Outbox[Any]) -> None:
        """An outbox has a reader again, before the component was told that it had none."""
        if self.abandoned is not None and not outbox.optional and self.boxes.get(outbox.name) is outbox:
            self.abandoned = None

    def wait_is_foreign(self) -> bool:
        """Say whether it is in line at a box of another component, whose end it does not concern."""
        return self.wait is not None and self.wait.owner is not self

    # -- the two ends of its life, in `lifecycle` -------------------------------------------------

    def begin(self) -> None:
        """Take the first step."""
        lifecycle.begin(self)

    def finish(self, error: BaseException | None, result: Any) -> None:
        """The body is over."""
        lifecycle.finish_body(self, error, result)

    # -- what each form of the core does in its own way ---------------------------------------------

    if TYPE_CHECKING:
        boxes: dict[str, Box[Any]]

        def add_box(self, box: Box[Any]) -> None: ...
        def step(self) -> None: ...
        def resume(self, wait: Wait, error: BaseException | None = None) -> None: ...
        def throw(self, error: BaseException) -> None: ...


NO_NAMES: dict[str, int] = {}  # never written to


class PlainProcess(Process):
    """A process, as the plain form of the core has it."""

    __slots__ = (
        "__weakref__",
        "abandoned",
        "begun",
        "body_done",
        "boxes",
        "callbacks",
        "cancel_message",
        "cancels",
        "cause",
        "children",
        "component",
        "context",
        "coroutine",
        "failing",
        "failures",
        "future",
        "given_name",
        "has_body",
        "holds",
        "is_chassis",
        "isolated",
        "must_cancel",
        "names",
        "names_taken",
        "number",
        "outcome",
        "parent",
        "pending",
        "random",
        "reason",
        "result",
        "result_from",
        "scheduler",
        "script",
        "script_thread",
        "state",
        "steps",
        "task_name",
        "vacant",
        "wait",
    )

    def __init__(self, component: Component, name: str, has_body: bool) -> None:
        self.component = component
        self.given_name = name
        self.number = 0
        self.has_body = has_body
        self.is_chassis = not has_body
        self.boxes: dict[str, Box[Any]] = {}
        self.parent = None
        self.children = ()
        self.names_taken = NO_NAMES
        self.result_from = None
        self.holds = ()
        self.names = ()
        self.vacant = False

        self.scheduler = None
        self.steps = 0
        self.state = "new"
        self.begun = False
        self.body_done = not has_body
        self.coroutine = None
        self.script = None
        self.script_thread = None
        self.context = None
        self.random = None

        self.wait = None
        self.future = None
        self.pending: BaseException | None = None  # thrown into the body at the next step
        self.abandoned = None
        self.task_name = None
        self.must_cancel = False
        self.cancel_message = None
        self.cancels = 0
        self.reason = None

        self.isolated = False
        self.failing = False
        self.failures = ()
        self.cause = None
        self.outcome = None
        self.result = None
        self.callbacks = ()

    def add_box(self, box: Box[Any]) -> None:
        """Take note of another box of the component's."""
        self.boxes[box.name] = box

    def step(self) -> None:
        """Run the body up to its next suspension."""
        if self.coroutine is None:
            if self.begun:  # and over: it was abandoned while it was ready
                return
            self.begin()
            if self.coroutine is None:
                return
        error = self.pending
        if self.must_cancel:
            self.must_cancel = False
            error = self._cancelled()
        assert self.context is not None
        try:
            if error is None:
                yielded = self.context.run(self.coroutine.send, None)
            else:
                self.pending = None
                yielded = self.context.run(self.coroutine.throw, error)
        except StopIteration as end:
            self.finish(None, end.value)
        except BaseException as raised:
            self.finish(raised, None)
        else:
            wait = self.wait
            if yielded is not None:
                self._wait_for_future(yielded)
            elif wait is None:
                self.scheduler.ready.append(self)  # type: ignore[union-attr]  # it only gives others a turn
            else:
                self.state = "waiting"
                if not wait.timed:
                    self.scheduler.parked += 1  # type: ignore[union-attr]
                if self.must_cancel:
                    self.must_cancel = False
                    self.throw(self._cancelled())
                elif self.abandoned is not None and not self.cancels:
                    error, self.abandoned = self.abandoned, None
                    self.throw(error)

    def _wait_for_future(self, future: Any) -> None:
        if getattr(future, "_asyncio_future_blocking", None):
            future._asyncio_future_blocking = False
            self.state = "foreign"
            self.future = future
            future.add_done_callback(self._future_done, context=self.context)
            if self.must_cancel and future.cancel(msg=self.cancel_message):
                self.must_cancel = False
        else:
            self.pending = RuntimeError(f"{self.path} awaited {future!r}, which is no awaitable of asyncio's")
            scheduler: Any = self.scheduler
            scheduler.ready.append(self)

    def resume(self, wait: Wait, error: BaseException | None = None) -> None:
        """Go on after a wait, perhaps with an exception."""
        if self.wait is not wait:
            return
        self.wait = None
        self.pending = error
        scheduler = self.scheduler
        assert scheduler is not None
        if self.state == "waiting" and not wait.timed:
            scheduler.parked -= 1
        self.state = "ready"
        scheduler.make_ready(self)

    def throw(self, error: BaseException) -> None:
        """Go on with an exception, whatever it waits for."""
        assert self.wait is not None
        self.resume(self.wait, error)

    def _future_done(self, future: asyncio.Future[Any]) -> None:
        if self.future is not future:
            return
        self.future = None
        try:
            future.result()
        except BaseException as error:  # it is thrown into the body, whatever it is
            self.pending = error
        self.state = "ready"
        assert self.scheduler is not None
        self.scheduler.make_ready(self)
