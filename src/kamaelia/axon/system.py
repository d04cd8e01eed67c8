"""A system: components, the scheduler that steps them, and how the whole starts, stops and ends.

`run` is what a program calls; ``await component.run()`` is the same on a loop that runs already, and
`background` runs a system in a thread of its own beside ordinary code.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import sys
import threading
import weakref
from _thread import get_ident
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import body, core, lifecycle, postman, report, services
from .clock import fresh_seed
from .component import Component, as_part, offered
from .errors import (
    ClosedBox,
    ComponentsFailed,
    Deadlock,
    EndOfMessages,
    GraceExceeded,
    KamaeliaError,
    SourceFailed,
    UsageError,
    suggestion,
)
from .inbox import Inbox
from .interrupt import Interrupts
from .link import Link
from .names import Names, Parked
from .process import Process, current_process
from .queue import Wait
from .tap import LOOK
from .watchdog import Watchdog

if TYPE_CHECKING:  # what the services return that `System` gets by name, see `services`
    from kamaelia.observe.diagnosis import Diagnosis
    from kamaelia.observe.snapshot import Snapshot

log = logging.getLogger("kamaelia")

INSPECT = "KAMAELIA_INSPECT"  # a variable of the environment: not empty and not 0 means inspect=True
GRACE = 5.0  # seconds that a system has to finish what it was sent, after a stop
SLOW_STEP = 0.5  # seconds from which on a step that holds everybody up is reported


class _Root(Component):
    """The chassis of a whole system; its name is not part of any path."""

    inbox = None
    outbox = None


class System:
    """One run of some components: inside a component, ``self.system``.

    Arguments:
        loop: the event loop to run on, real or virtual
        seed: of every random stream in it; a new one is drawn when there is none, and shown at a failure
        grace: seconds that a stop gives to those who still have something to do
        slow_step: seconds from which on a step is reported that holds everybody up; 0 for never
        debug: check what can be checked of rule 10, and switch asyncio's debug mode on
        inspect: open a local socket through which the system can be looked at, as by ``kamaelia top``; None
            does so if the environment variable ``KAMAELIA_INSPECT`` is set to 1
        studio: open a page in the browser that shows the system as it runs; that inspects it, too
        announce: what `announce` calls, instead of printing on standard error
    """

    # There may be a million: what all have is in slots, what few have in a dictionary, and made then.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_grace_timer",
        "_seed",
        "announce",
        "grace",
        "is_over",
        "loop",
        "on_over",
        "root",
        "scheduler",
        "stopping",
    )

    cancelled: KamaeliaError | None = None
    """Why everything is cancelled, also who is yet to start."""
    errors: tuple[KamaeliaError, ...] = ()
    """Those that are not one component's: a deadlock, a grace that ran out."""
    discarded: dict[str, int] | None = None
    """Messages that went nowhere, by the component that sent them."""
    measures: Any = None
    """What `kamaelia.observe` keeps of those who measure something."""
    watch: Any = None
    """What `kamaelia.observe` knows of a system that it looks at."""
    fatal: BaseException | None = None
    debug = False
    slow_step = 0.0
    _bystanders: frozenset[Any] = frozenset()  # tasks of the loop that were there before
    _names: Names | None = None
    _finished: asyncio.Future[None] | None = None
    _named: Sequence[Process] = ()  # those who have used up the grace, in an error already
    _watchdog: Watchdog | None = None
    _services: Sequence[str] = ()  # to be started with it
    _closers: Sequence[Callable[[], object]] = ()  # of those that have been

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        seed: int | str | None = None,
        grace: float = GRACE,
        slow_step: float = SLOW_STEP,
        debug: bool = False,
        inspect: bool | None = None,
        studio: bool = False,
        announce: Callable[[str], object] | None = None,
    ) -> None:
        self.loop = loop
        self._seed = fresh_seed() if seed is None else seed
        self.grace = grace
        if slow_step:
            self.slow_step = slow_step
        self.announce = announce or print_announcement
        """Tells whoever started the system something that they should know, such as where a server listens.

        By default it is a line on standard error. Where nobody sits, in a test or on a simulated host, it is
        something else: so a component need not know where it runs."""
        self.stopping = False
        self.scheduler = core.Scheduler(loop)
        self.scheduler.system = self
        self.root = _Root()._axon
        self.root.given_name = ""
        self._grace_timer: asyncio.TimerHandle | None = None
        self.is_over = False
        self.on_over: Callable[[System], object] | None = None  # called soon after the last has ended
        there = tasks_of(loop)
        if there:
            self._bystanders = frozenset(there)
        if slow_step and not hasattr(loop, "clock"):
            self._watchdog = Watchdog(self, slow_step)
        if debug:
            self.debug = True
            loop.set_debug(True)
        if inspect is None:
            inspect = os.environ.get(INSPECT, "0") not in ("", "0") and not hasattr(loop, "clock")
        if studio or inspect:
            self._services = ["inspect", "studio"] if studio else ["inspect"]

    @property
    def seed(self) -> int | str:
        """The seed of every random stream in it."""
        return self._seed

    @property
    def names(self) -> Names:
        """The services that components offer each other under names."""
        if self._names is None:
            self._names = Names(self)
        return self._names

    @property
    def finished(self) -> asyncio.Future[None]:
        """What is done when the last component has ended."""
        if self._finished is None:
            self._finished = self.loop.create_future()
            if self.is_over:
                self._finished.set_result(None)
        return self._finished

    # -- from beginning to end --------------------------------------------------------------------

    def start(self, *parts: Any, context: contextvars.Context | None = None) -> list[Component]:
        """Start components side by side; each in a copy of a context, by default of the current one."""
        components = [as_part(part) for part in parts]
        for component in components:
            lifecycle.add_child(self.root, component._axon)
        if self.root.state == "new":
            self.root.context = contextvars.copy_context() if context is None else context
            lifecycle.start(self.root, self)
            if self._watchdog is not None:
                self._watchdog.start()
            if self._services:
                self._closers = [services.load(name)(self) for name in self._services]
        if _awaited:
            self._tell_who_waits_for_the_start()
        return components

    def _tell_who_waits_for_the_start(self) -> None:
        for component in list(_awaited):
            process: Process | None = component._axon
            while process is not None and process is not self.root:
                process = process.parent
            if process is not None:
                for callback in _awaited.pop(component, ()):
                    callback(self)

    def at_end(self, callback: Callable[[], object]) -> None:
        """Have something called when the last component has ended; before `run` returns."""
        self._closers = (*self._closers, callback)

    def over(self) -> None:
        """The last component has ended."""
        if not self.is_over:
            self.is_over = True
            if self._finished is not None and not self._finished.done():
                self._finished.set_result(None)
            if self.on_over is not None:
                self.loop.call_soon(self.on_over, self)
            if self._grace_timer is not None:
                self._grace_timer.cancel()
                self._grace_timer = None
        self.end_watch()  # afterwards: what interrupts this leaves nobody waiting for the end

    def note_discarded(self, path: str, count: int) -> None:
        """Note how many messages of a component, that has ended, went nowhere."""
        if self.discarded is None:
            self.discarded = {}
        self.discarded[path] = count

    def end_watch(self) -> None:
        """End the threads that look after the system; calling it twice is harmless."""
        if self._watchdog is not None:
            self._watchdog.stop()
        closers, self._closers = self._closers, ()
        for close in closers:
            close()

    def outcome(self) -> None:
        """Raise what a run that is over raises; nothing, if all is well."""
        if self.fatal is not None:
            raise self.fatal
        failures: list[Exception] = [*self.root.failures, *self.errors]
        if self.root.failures:
            paths = ", ".join(map(str, report.paths_of(self.root.failures)))
            text = f"{len(self.root.failures)} component(s) failed: {paths} (seed {self.seed})"
            raise ComponentsFailed(text, [report.trimmed(failure) for failure in failures])
        if self.errors:
            raise (
                self.errors[0]
                if len(self.errors) == 1
                else ComponentsFailed("the system failed", list(self.errors))
            )

    async def wait(self) -> None:
        """Wait until the last component has ended; who is cancelled here cancels the system."""
        cancelled: asyncio.CancelledError | None = None
        while not self.is_over:
            try:
                await asyncio.shield(self.finished)
            except asyncio.CancelledError as error:  # each time: a system has to end before it is left
                cancelled = error
                self.cancel()
        if cancelled is not None:
            raise cancelled

    # -- looking at it ----------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return what the system is made of and how it is doing at this moment; from any thread.

        What is a rate, or a sum of times, begins with the first time that somebody looks.
        """
        taken: Snapshot = services.load("snapshot")(self)
        return taken

    def diagnose(self) -> Diagnosis:
        """Say which component holds up the others, if one does, and why; from any thread."""
        found: Diagnosis = services.load("diagnose")(self)
        return found

    def draw(self, form: str = "text") -> str:
        """Return a picture of the system, from any thread: ``text``, ``mermaid``, ``graphviz``, ``svg``."""
        picture: str = services.load("draw")(self, form)
        return picture

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows: a picture of what is in it."""
        return services.notebook_form(self)

    # -- stopping ---------------------------------------------------------------------------------

    def stop(self, grace: float | None = None) -> None:
        """Stop: servers accept no more, sources are cancelled, and what was accepted is finished.

        What has not ended after ``grace`` seconds is cancelled. A second stop cancels at once. May be called
        from any thread.
        """
        if get_ident() != self.scheduler.thread:
            self.loop.call_soon_threadsafe(self.stop, grace)
            return
        if self.stopping:
            self.cancel()
            return
        self.stopping = True
        grace = self.grace if grace is None else grace
        self._grace_timer = self.loop.call_later(grace, self._grace_is_over, grace)
        lifecycle.stop(self.root)

    def cancel(self) -> None:
        """Cancel everything at once; what was under way is lost, and outboxes break."""
        self.stopping = True
        error = GraceExceeded("the system was cancelled")
        self._cancel_all(error)

    def _cancel_all(self, error: KamaeliaError) -> None:
        self.cancelled = error
        lifecycle.cancel_all(self.root, "grace", error)

    def abort(self, error: BaseException) -> None:
        """Something has happened after which nothing can go on: cancel everything, then raise it."""
        if self.fatal is None:
            self.fatal = error
        self.cancel()

    def left_behind(self, process: Process, text: str) -> None:
        """A component does not end, whatever it is told, and is left to itself."""
        # At once, for `run` may go on for weeks before it raises this, or raise something else.
        log.error("%s", text)
        if self.fatal is None and process not in self._named:
            self.errors += (GraceExceeded(text),)

    def _grace_is_over(self, grace: float) -> None:
        left = list(lifecycle.bodies(self.root))
        if left:
            error = lifecycle.grace_exceeded(left, grace)
            if not any(isinstance(other, GraceExceeded) for other in self.errors):
                self.errors += (error,)
                self._named = left
            self._cancel_all(error)

    # -- rest -------------------------------------------------------------------------------------

    def at_rest(self) -> None:
        """Everybody waits for somebody else: end what is only held open, or say that it is a deadlock."""
        if self.root.state == "ended" or self._foreign_tasks():
            return
        if any(body.has_time_limit(process) for process in lifecycle.bodies(self.root)):
            return
        self.end_what_is_held()
        # If that has woken nobody, the system is still at rest.
        self.scheduler.look_for_rest()

    def end_looks(self) -> bool:
        """Nothing will pass any more where components look on: tell them. Return whether there were any."""
        looks = [
            one.wait.where[0] for one in lifecycle.bodies(self.root) if one.wait and one.wait.verb == LOOK
        ]
        for look in looks:
            look.end()
        return bool(looks)

    def end_what_is_held(self) -> None:
        """At rest, holds from inside and feedback links end (rule 29); if there are none, what components
        look on at (`tap.LOOK`); and if there is nothing of that either, it is a deadlock."""
        moved = False
        for process in list(lifecycle.family(self.root)):
            if process.begun and any(box.held or box.holds for box in process.inboxes):
                lifecycle.release_holds(process, None)
                moved = True
            if process.begun and lifecycle.end_feedback(process):
                moved = True
            if process.vacant:
                process.component.vacate()  # type: ignore[attr-defined]
                moved = True
        if not (moved or self.end_looks()):
            self.deadlock()

    def deadlock(self) -> None:
        """Nothing will ever happen again: say who waits for what, and cancel them."""
        left = list(lifecycle.bodies(self.root))
        if not left:
            # Nobody is left to wait for, and yet somebody's end has not been told: an error of Axon's own has
            # interrupted it (`abort` has kept it). Raise that, rather than wait for ever.
            paths = ", ".join(process.path for process in lifecycle.family(self.root) if process.path)
            self.fatal = self.fatal or KamaeliaError(f"an error in Axon: {paths} will never end")
            self.root.state = "ended"
            self.over()
            return
        error = Deadlock(report.who_waits(left))
        self.errors += (error,)
        self._cancel_all(error)

    def _foreign_tasks(self) -> bool:
        """Say whether tasks that components have started may still do something; then look again when they
        have ended, for that may be no step of anybody's."""
        tasks = [task for task in tasks_of(self.loop) if task not in self._bystanders]
        for task in tasks:
            task.remove_done_callback(self._foreign_task_over)  # of the last time that we looked
            task.add_done_callback(self._foreign_task_over)
        return bool(tasks)

    def _foreign_task_over(self, task: asyncio.Task[Any]) -> None:
        self.scheduler.look_for_rest()

    def check_loops(self) -> None:
        """End feedback links of loops that nothing else feeds and in which all wait to receive."""
        loops = self.scheduler.loops or {}
        for box in list(loops):
            wires = [wire for wire in box.incoming if wire.feedback and wire.open]
            if not wires or box.ended:
                del loops[box]
            elif loop_is_idle(box):
                for wire in wires:
                    postman.end_feedback(wire)


_awaited: weakref.WeakKeyDictionary[Component, list[Callable[[System], object]]] = weakref.WeakKeyDictionary()


def when_started(component: Component, callback: Callable[[System], object]) -> None:
    """Have something called with the system in which a component that does not run yet is started.

    That is when it, or what it is part of, is given to `run`; nothing has been stepped then.
    """
    _awaited.setdefault(component, []).append(callback)


def tasks_of(loop: asyncio.AbstractEventLoop) -> Collection[asyncio.Task[Any]]:
    """Return the tasks of a loop that are not done, in the order of their making where the loop keeps it."""
    in_order = getattr(loop, "tasks_in_order", None)
    return asyncio.all_tasks(loop) if in_order is None else in_order()


def loop_is_idle(box: Any) -> bool:
    """Say whether all who can reach an inbox wait to receive, with nothing queued and no other source."""
    seen: set[Process] = set()
    todo: list[Process] = list(_feeding(box))  # whoever of its readers is in the loop reaches one of these
    while todo:
        process = todo.pop()
        if process in seen:
            continue
        seen.add(process)
        wait = process.wait
        if process.state == "ended" or process.body_done:
            continue
        if wait is None or wait.verb != "receive from" or wait.timed:
            return False
        for inbox in process.inboxes:
            if len(inbox.queue) or inbox.holds or inbox.outside:
                return False
            todo.extend(_feeding(inbox))
    return True


def _feeding(box: Any) -> Iterator[Process]:
    for wire in box.incoming:
        if wire.open:
            source = wire.source
            if not source.is_inbox and source.own:
                yield source.owner
            else:
                yield from _feeding(source)


# -- running ----------------------------------------------------------------------------------------


def run(
    *systems: Any,
    seed: int | str | None = None,
    grace: float = GRACE,
    slow_step: float = SLOW_STEP,
    debug: bool = False,
    inspect: bool | None = None,
    studio: bool = False,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Any:
    """Run components until they have ended, and return what the component's ``main`` returned.

    Several components run side by side; then a list of their results is returned. Ctrl-C stops the system:
    what was accepted is finished, within ``grace`` seconds; a second cancels, a third waits for nobody.
    Arguments are those of `System`; ``loop_factory`` makes the event loop, by default uvloop's where that is
    installed.

    Raises `ComponentsFailed` when components failed, `Deadlock` when all of them wait for each other,
    `GraceExceeded` when a stop took too long, `KeyboardInterrupt` after a second Ctrl-C.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source
        >>> run(Source("ab") | Collect())
        ['a', 'b']
    """
    if not systems:
        raise UsageError(
            "run() was given nothing to run: give it a component, such as run(Source('abc') | Collect())"
        )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError(
            "run() starts an event loop, and one is running already (as in a notebook): write 'await "
            "system.run()'"
        )
    components = [as_part(one) for one in systems]
    options = {"seed": seed, "grace": grace, "slow_step": slow_step, "debug": debug}
    options |= {"inspect": inspect, "studio": studio}
    with asyncio.Runner(loop_factory=loop_factory or default_loop_factory()) as runner:
        system = System(runner.get_loop(), **options)  # type: ignore[arg-type]
        interrupts = Interrupts(system)
        try:
            with interrupts.handled():
                try:
                    interrupts.drive(components)
                finally:
                    interrupts.close(runner)
            system.outcome()
        except BaseException as error:
            report.tell_at_exit(error)
            raise
    report.warn_about_discarded(system.discarded)
    results = [component._axon.result for component in components]
    return results[0] if len(results) == 1 else results


def default_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop: uvloop's where it is installed, else asyncio's."""
    try:
        import uvloop

        for standard in (0, 1, 2):  # uvloop aborts the process when it gets one of these for its own use
            os.fstat(standard)
    except (ImportError, OSError):
        return asyncio.new_event_loop
    make_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return make_loop


def print_announcement(text: str) -> None:
    """Print a line for the person at the terminal, beside the results on standard output."""
    print(text, file=sys.stderr, flush=True)


def describe_core(loop: asyncio.AbstractEventLoop) -> str:
    """Return which form of the core runs on which kind of loop, for banners and bug reports."""
    kind = "virtual time" if hasattr(loop, "clock") else type(loop).__module__.partition(".")[0]
    form = {"compiled": "compiled", "plain": "plain Python"}.get(core.form, "plain Python (on asyncio tasks)")
    return f"{form} core, {kind}"


def run_here(component: Component, options: dict[str, Any]) -> Coroutine[Any, Any, Any]:
    """Run a component on the loop that runs already; inside another component, as its child."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            f"{component._axon.name}.run() is awaited on a running event loop, and there is none: write "
            "run(component)"
        ) from None
    parent = current_process.get(None)
    if (
        parent is not None
        and parent.state != "ended"
        and parent.scheduler is not None
        and parent.scheduler.loop is loop
    ):
        if options:
            raise UsageError(
                f"await {component._axon.name}.run(...) inside a component takes no options: it is its child"
            )
        return _run_as_child(parent, component)
    return _run_on(loop, component, options)


async def _run_as_child(parent: Process, component: Component) -> Any:
    assert parent.scheduler is not None
    # Nobody's wait, as rule 4 goes: who waits for a child to end is not told that nobody listens. But it is
    # no waiting for something foreign either, so a system in which all wait is at rest.
    wait = Wait(parent.scheduler, None, "see the end of", (component._axon.name,))
    component.add_done_callback(lambda _: wait.wake())
    lifecycle.add_child(parent, component._axon)
    try:
        await Parked(wait)
    except asyncio.CancelledError:
        component.cancel()
        raise
    child = component._axon
    if child.outcome in ("failed", "broken", "cancelled"):
        # The child is a part of its chassis, which fails with it. To the body that waited for its result it
        # is what a failed source is: no second failure, and nothing to go on with.
        failed = SourceFailed(f"{child.path} has failed, so it has no result")
        failed.owner = parent
        raise failed from child.cause
    return child.result


async def _run_on(loop: asyncio.AbstractEventLoop, component: Component, options: dict[str, Any]) -> Any:
    system = System(loop, **options)
    system.start(component)
    await system.wait()
    system.outcome()
    report.warn_about_discarded(system.discarded)
    return component._axon.result


# -- beside ordinary code ---------------------------------------------------------------------------


class Handle:
    """A system that runs in the background, seen from ordinary code. Made by `background`."""

    def __init__(self, component: Component) -> None:
        self.component = component
        self.result: Any = None
        """What the system returned, once it has ended."""
        self._system: System | None = None
        self._front: Any = None

    def send(self, message: Any, box: str = "inbox", *, timeout: float | None = None) -> None:
        """Put a message into one of the system's inboxes; blocks while that is full.

        Raises `TimeoutError` after ``timeout`` seconds: the message is in the inbox all the same. Raises
        `ClosedBox` when the system has ended.
        """
        self._ask(self._front.send_to(box, message, timeout))

    def receive(self, box: str = "outbox", *, timeout: float | None = None) -> Any:
        """Take the next message that the system has sent through one of its outboxes.

        Raises `EndOfMessages` when the system will send no more, `SourceFailed` when it has failed or was
        cancelled, `TimeoutError` after ``timeout`` seconds, `ClosedBox` after the ``with`` block was left.
        """
        return self._ask(self._front.receive_from(box, timeout))

    def close(self, box: str = "inbox") -> None:
        """Say that nothing more will be sent into an inbox."""
        self._ask(self._front.close_box(box))

    def stop(self, grace: float | None = None) -> None:
        """Stop the system, without waiting for it."""
        assert self._system is not None
        self._system.stop(grace)

    def __iter__(self) -> Iterator[Any]:
        while True:
            try:
                yield self.receive()
            except EndOfMessages:
                return

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows: a picture of the system."""
        return services.notebook_form(self)

    def _leave(self, error: BaseException | None) -> None:
        assert self._system is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: the system has failed to start
            self._system.loop.call_soon_threadsafe(self._front.leave, self._system, error)

    def _ask(self, what: Coroutine[Any, Any, Any]) -> Any:
        # Time-outs are kept on the loop's side. Here, one could pass just as the loop takes the message.
        assert self._system is not None
        return self._system.scheduler.ask(what)


class _Front(Component):
    """Stands around a background system: its inboxes are held from outside, its outboxes kept for the
    handle."""

    inbox = None
    outbox = None

    def __init__(self, component: Component) -> None:
        self._axon.given_name = ""  # no part of any path
        self.inner = self.add(component)
        self.wires: list[Link] = []
        self.left = asyncio.Event()  # the with block has been left
        self.holds: dict[str, Any] = {}
        self.received: dict[str, Inbox[Any]] = {}
        for name, box in offered(self.inner._axon).items():
            if box.is_inbox:
                self.holds[name] = box.hold(outside=True)  # type: ignore[attr-defined]
            elif name != "failures":
                inbox: Inbox[Any] = self.add_box(f"from {name}", Inbox("for the handle"))
                self.received[name] = inbox
                self.wires.append(self.link(box, inbox))

    def leave(self, system: System, error: BaseException | None) -> None:
        """Nobody asks any more: stop. What is sent from now on is discarded, and who waits for room goes on.

        If the block was left by an exception the system is cancelled, and other threads that still receive
        see no end but a failure.
        """
        self.left.set()
        system.scheduler.outside -= 1
        if error is not None:
            for inbox in self.received.values():
                if not inbox.ended:
                    inbox.failure = error
        for wire in self.wires:
            postman.unlink(wire)
        if error is None:
            system.stop()
        else:
            system.cancel()

    def find(self, boxes: dict[str, Any], name: str, what: str) -> Any:
        if name not in boxes:
            raise UsageError(f"{self.inner!r} has no {what} called {name!r}; {suggestion(name, boxes)}")
        return boxes[name]

    async def send_to(self, name: str, message: Any, timeout: float | None) -> None:
        hold = self.find(self.holds, name, "inbox")
        if hold.released or hold.lost:
            raise ClosedBox(f"{hold.inbox}: nobody reads this inbox any more")
        sent = hold.send(message)
        try:
            async with asyncio.timeout(timeout):
                await sent
        except TimeoutError:
            raise TimeoutError(f"{hold.inbox} was still full after {timeout} s") from None

    async def receive_from(self, name: str, timeout: float | None) -> Any:
        box = self.find(self.received, name, "outbox")
        if not box.gone:
            try:
                return await box.receive(timeout=timeout)
            except TimeoutError:
                raise TimeoutError(f"the system sent nothing from {name} within {timeout} s") from None
            except ClosedBox:  # the system has ended meanwhile
                pass
        if len(box.queue):  # sent before the system ended, and nobody has asked for it yet
            return box.queue.take()
        return box.raise_end(None)

    async def close_box(self, name: str) -> None:
        self.find(self.holds, name, "inbox").release()


@contextlib.contextmanager
def background(component: Any, **options: Any) -> Iterator[Handle]:
    """Run a system in a thread of its own, beside ordinary code, for the time of a ``with`` block.

    Leaving the block stops the system and waits for it; leaving by an exception cancels it. What the system
    raised is raised there. Options are those of `run`.

    Example:
        >>> from kamaelia import background
        >>> from kamaelia.flow import Map
        >>> with background(Map(str.upper)) as handle:
        ...     handle.send("hello")
        ...     handle.receive()
        'HELLO'
    """
    part = as_part(component)
    handle = Handle(part)
    ready = threading.Event()
    raised: list[BaseException] = []
    loop_factory = options.pop("loop_factory", None) or default_loop_factory()

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(serve())
        except BaseException as error:  # raised again in the thread that waits for the system
            raised.append(error)
        finally:
            if handle._system is not None:
                handle._system.scheduler.close()
            ready.set()

    async def serve() -> None:
        system = System(asyncio.get_running_loop(), **options)
        front = _Front(part)
        handle._system, handle._front = system, front
        system.start(front)
        # The handle may receive at any time, so nobody who waits is in a deadlock.
        system.scheduler.outside += 1
        ready.set()
        await system.wait()
        handle.result = part._axon.result
        await front.left.wait()  # until then, what was sent can be received
        await system.scheduler.end_asking()
        system.outcome()

    thread = threading.Thread(target=work, name=f"background {part._axon.name}", daemon=True)
    thread.start()
    ready.wait()
    if handle._front is None:
        thread.join()
        raise raised[0]
    try:
        yield handle
    except BaseException as error:
        handle._leave(error)
        thread.join()
        raise
    handle._leave(None)
    thread.join()
    if raised:
        raise raised[0]
