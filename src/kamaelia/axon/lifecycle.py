"""From the first step to the last: how components begin, end, fail and are stopped.

Theory
------
There is no control box. "Finish what you have" is the end of an inbox, "stop now" is `Cancelled`.

**Ending.** A body that returns closes its outboxes, and its readers see the end. A chassis ends when its own
body, if it has one, has returned and all its children have ended; a boundary ends when what is wired to
it has.

**Failing is not ending.** A body that fails *breaks* its outboxes: readers get what was sent before, then
`SourceFailed`. Its siblings are stopped with breaks in place of ends: those whom nothing feeds are
cancelled, the chassis's boundaries and holds break, the rest read what there is, and what is left after a
second is cancelled. When all have gone, the chassis has failed, and its own siblings are next. So a
failure goes outward one chassis at a time, and inner parts have finished before outer ones are told.

**Stopping** a system works in the same way with ends: every hold is released, feedback links end, the
sources are cancelled (components none of whose inboxes is fed or has a message left), and the rest drains.
What is left when the grace is over is cancelled, and its outboxes break.

The difference between the two is one argument, the *cause*: with one, ends are breaks.
"""

from __future__ import annotations

import contextvars
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import body, postman, report
from . import process as process_module
from .errors import (
    BrokenLink,
    Cancelled,
    EndOfMessages,
    GraceExceeded,
    KamaeliaError,
    SourceFailed,
    UsageError,
    shorten,
)
from .link import added, removed
from .process import NO_NAMES, Process

if TYPE_CHECKING:
    from .hold import Hold
    from .system import System

process_module.lifecycle = sys.modules[__name__]

log = logging.getLogger("kamaelia")

FAILURE_GRACE = 1.0  # seconds that siblings of a failed component have to finish what they were sent
PATIENCE = 5.0  # seconds that a component has to end after `Cancelled`, before it is cancelled for good
LAST_PATIENCE = 10.0  # seconds that a component has to end after it was cancelled for good


@dataclass(frozen=True)
class Failure:
    """What a chassis that isolates its children sends to its ``failures`` outbox."""

    path: str
    """Which component failed."""
    error: BaseException
    """With what."""
    component: Any
    """The component itself, for another one like it: see rule 15, a component is its own pattern."""
    message: Any = None
    """The message that it was working on, where its seat kept it."""


# -- beginning --------------------------------------------------------------------------------------


def start(process: Process, system: System) -> None:
    """Make a component of a running system, without stepping it yet: it may be linked in the same step."""
    process.enter(system)
    if system.cancelled is not None and process.has_body:
        cancel(process, "grace", system.cancelled)


def begin(process: Process) -> None:
    """Take the first step: boxes without a source end, children start, the body is made."""
    assert process.system is not None and process.scheduler is not None
    process.begun = True
    process.settle_boxes()
    for child in list(process.children) if process.children else ():
        if child.state == "new":
            start(child, process.system)
            if process.system.stopping and process.system.cancelled is None:
                stop(child)  # which could not find those that had not started
    if process.has_body and process.must_cancel:
        process.must_cancel = False
        finish_body(process, Cancelled(), None)
    elif process.has_body:
        try:
            assert process.context is not None
            process.coroutine = process.context.run(body.make_coroutine, process)
        except Exception as error:  # main() itself could not be called
            finish_body(process, error, None)
    else:
        process.state = "holding"
        complete_if_over(process)


def add_child(chassis: Process, child: Process, *, isolated: bool = False, number: int = 0) -> None:
    """Make a component the child of a chassis; while the chassis runs, the child starts.

    A chassis that numbers its children itself, and so uses no number twice, says which one this has.
    """
    if not (isolated or number) and chassis.adopt_simply(child):
        return
    refuse_used(child)
    if chassis.state == "ended":
        raise UsageError(f"{chassis.path} has ended, so {child.name} cannot be added to it any more")
    if type(child) is not type(chassis):
        raise UsageError(
            f"{child.path} and {chassis.path or 'the system'} were made by different forms of the core, and "
            "cannot run together: call kamaelia.axon.core.use before anything is made"
        )
    if not child.has_its_boxes():
        _refuse_other_boxes(child)
    child.parent = chassis
    child.isolated = isolated
    child.number = number or _free_number(chassis, child.given_name)
    chassis.children = added(chassis.children, child)
    chassis.is_chassis = True
    if chassis.begun:
        assert chassis.system is not None
        start(child, chassis.system)
        if chassis.failing:
            cancel(child, "failure", chassis.cause)


def refuse_used(child: Process) -> None:
    """Raise for a component that is part of a chassis already, or was."""
    if child.parent is not None or child.state != "new":
        what = "is part of a chassis already" if child.state == "new" else "has been run already"
        raise UsageError(
            f"{child.path} {what}, and a component runs once. Make another: "
            f"{type(child.component).__name__}(...). "
            "Where parts are made repeatedly, as in TCPServer(protocol), that is done for you"
        )


def _refuse_other_boxes(process: Process) -> None:
    """Raise for ``self.inbox = ...``: the links would still lead to the box, and the code elsewhere."""
    component = process.component
    for name in component._box_declarations:
        value, box = getattr(component, name), process.boxes[name]
        if value is not box:
            raise UsageError(
                f"{box} is a box, and {shorten(value)} cannot take its place: give that attribute another "
                f"name, or write {name} = None in the class, for no such box"
            )


def _free_number(chassis: Process, wanted: str) -> int:
    """Return with which number a name is one that no sibling has: Echo, Echo-2, Echo-3."""
    taken = chassis.names_taken
    if not taken:
        chassis.names_taken = wanted  # most have but one child
        return 1
    if isinstance(taken, str):
        chassis.names_taken = taken = {taken: 1}
    number = taken.get(wanted, 0) + 1
    if number == 1:  # but it may be what another was called with its number
        base, _, end = wanted.rpartition("-")
        if base in taken and end.isdecimal() and 1 < int(end) <= taken[base]:
            number = 2
    if number > 1:
        while f"{wanted}-{number}" in taken:
            number += 1
    taken[wanted] = number
    return number


# -- ending -----------------------------------------------------------------------------------------


def finish_body(process: Process, error: BaseException | None, result: Any) -> None:
    """The body has returned, or an exception has left it: see what that means, and close its boxes."""
    scheduler = process.scheduler
    assert scheduler is not None and process.system is not None
    process.coroutine = process.context = None
    process.wait = process.future = None
    process.body_done = True
    scheduler.live -= 1
    process.result = result
    process.outcome, cause = _judge(process, error)
    if process.outcome in ("ended", "stopped"):
        cause = None
    elif process.cause is None:
        process.cause = cause
    if process.outcome == "failed":
        assert cause is not None
        if isinstance(cause, Exception):
            process.failures = (*process.failures, *_flat(cause, process))
        else:
            process.system.abort(cause)  # KeyboardInterrupt and SystemExit pass bare
    for box in process.outboxes:
        if box.own and not (process.children and box.name == "failures"):
            box.close(process.cause)
    for inbox in process.inboxes:
        if not inbox.wired:
            inbox.close()
    if process.children:
        process.state = "holding"
        if process.failures and not process.failing:
            fail_children(process, process.cause)
        elif process.outcome == "stopped" and process.reason is None:
            # Somebody has cancelled this very component, and with it what is in it.
            for child in list(process.children):
                child.cancel()
    complete_if_over(process)


def _judge(process: Process, error: BaseException | None) -> tuple[str, BaseException | None]:
    """Say what an exception that left the body means, and what the cause for its readers is."""
    if error is None:
        if process.reason in ("failure", "grace") and process.cause is not None and process.cancels:
            return "cancelled", process.cause
        return "ended", None
    if isinstance(error, Cancelled):
        if process.reason == "stop" or (process.reason is None and process.cancels):
            return "stopped", None
        if process.reason is not None:
            return "cancelled", process.cause
        unasked = KamaeliaError(
            f"{process.path} was cancelled, but nobody had asked for it: something that it awaited was "
            "cancelled"
        )
        unasked.__cause__ = error
        return "failed", unasked
    leaves = list(_leaves(error))
    if all(isinstance(leaf, (EndOfMessages, BrokenLink)) and leaf.owner is process for leaf in leaves):
        for leaf in leaves:
            if isinstance(leaf, SourceFailed):
                return "broken", leaf.__cause__
        return "ended", None
    if isinstance(error, BaseExceptionGroup) and not isinstance(error, Exception):
        # What was cancelled beside a failure is none itself. Only what is to end the program passes bare.
        bare = [leaf for leaf in leaves if not isinstance(leaf, (Exception, Cancelled))]
        return "failed", bare[0] if bare else error.subgroup(Exception)
    return "failed", error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _flat(error: Exception, process: Process) -> Iterator[Exception]:
    """Yield the single failures in an exception, each with a note that says where it came from."""
    for leaf in _leaves(error):
        if isinstance(leaf, (EndOfMessages, BrokenLink)) and leaf.owner is process and leaf is not error:
            continue  # a normal end that shared a TaskGroup with a failure
        leaf.add_note(f"in {process.path}")
        if isinstance(leaf, Exception):
            yield leaf


def complete_if_over(process: Process) -> None:
    """A component is over when its body is and it has no children left."""
    if (
        process.state == "ended"
        or process.children
        or not process.body_done
        or not process.begun
        or process.vacant
    ):
        return
    assert process.system is not None and process.scheduler is not None
    process.state = "ended"
    process.context = None
    for name in list(process.names):
        process.system.names.withdraw(name)
    if process.failures:
        process.outcome = "failed"
    elif process.outcome is None:
        process.outcome = "cancelled" if process.reason in ("failure", "grace") else "ended"
    if process.scheduler.observer is not None:
        process.scheduler.observer("ended", process)
    cause = process.cause if process.outcome in ("failed", "broken", "cancelled") else None
    for outbox in process.outboxes:
        if outbox.discarded and not (outbox.optional or outbox.lost or process.isolated):
            process.system.note_discarded(process.path, outbox.discarded)
    for box in process.each_box():
        if box.is_inbox:
            if not box.gone:  # type: ignore[attr-defined]
                box.close()  # type: ignore[attr-defined]
        elif not box.ended:
            postman.close_source(box, cause)
        if process.scheduler.loops:
            process.scheduler.loops.pop(box, None)
    for hold in list(process.holds):
        _release(hold, None)
    if process.result_from is not None:
        process.result = process.result_from.result
    callbacks, process.callbacks = process.callbacks, ()
    for callback, context in callbacks:
        process.scheduler.loop.call_soon(callback, process.component, context=context)
    if process.parent is not None:
        child_over(process.parent, process)
    else:
        process.system.over()


def child_over(chassis: Process, child: Process) -> None:
    """A child has gone: its chassis may be over too, or have failed."""
    chassis.children = removed(chassis.children, child)
    taken = chassis.names_taken
    if isinstance(taken, str):
        if taken == child.given_name:
            chassis.names_taken = NO_NAMES
    elif taken.get(child.given_name) == 1:  # else it is counted from: no number is used twice
        del taken[child.given_name]
    failure = None
    if child.failures:
        if child.isolated:
            failure = Failure(child.path, child.failures[0], child.component, in_hand(chassis))
            chassis.component._tell(failure)
        else:
            chassis.failures = (*chassis.failures, *child.failures)
            if chassis.cause is None:
                chassis.cause = child.cause
            if not chassis.failing:
                fail_children(chassis, child.cause)
    try:
        if failure is not None:
            chassis.component.child_failed(child.component, failure.error)
        chassis.component._child_over(child.component, failure)
    except Exception as error:  # of the user's code: it is the chassis that fails, and not Axon
        fail(chassis, error)
    _hand_of(chassis).clear()
    complete_if_over(chassis)


def in_hand(seat: Process) -> Any:
    """Return the message that the occupant of a seat has taken last and works on, or None."""
    return next(iter(_hand_of(seat)), None)


def _hand_of(chassis: Process) -> list[Any]:
    return next((box.queue.hand for box in chassis.inboxes if box.queue.hand is not None), [])


def report_isolated(chassis: Process, failure: Failure) -> None:
    """A child that was made for somebody outside has failed: nobody else has to suffer."""
    log.error("%s failed and was isolated: %s", failure.path, report.one_line(failure.error))
    send_failure(chassis, failure)


def send_failure(chassis: Process, failure: Failure) -> None:
    """Send a failure to the ``failures`` outbox of a chassis, if it has one."""
    box: Any = chassis.box_named("failures")
    if box is not None and box.own and not box.ended and not box.closed:
        if box.full:  # nobody can wait here, and it has been logged
            box.dropped += 1
        else:
            box.send(failure)


# -- failing ----------------------------------------------------------------------------------------


def fail(chassis: Process, error: Exception, failures: Iterable[Exception] | None = None) -> None:
    """A chassis itself fails, or, with ``failures``, because of these, which are noted with their paths."""
    chassis.failures = (*chassis.failures, *(_flat(error, chassis) if failures is None else failures))
    if chassis.cause is None:
        chassis.cause = error
    if not chassis.failing:
        fail_children(chassis, error)


def fail_children(chassis: Process, cause: BaseException | None) -> None:
    """Stop what is in a chassis, with breaks in place of ends."""
    assert chassis.system is not None and chassis.scheduler is not None
    chassis.failing = True
    if chassis.cause is None:
        chassis.cause = cause
    sources = [process for process in bodies(chassis) if not is_fed(process)]
    for box in chassis.inboxes:
        if box.wired and not box.ended:
            postman.close_source(box, cause)
    for process in family(chassis):
        release_holds(process, cause)
    for process in sources:
        cancel(process, "failure", cause)
    chassis.scheduler.loop.call_later(
        FAILURE_GRACE, _cancel_rest, chassis, "failure", cause, context=contextvars.Context()
    )


def _cancel_rest(chassis: Process, reason: str, cause: BaseException | None) -> None:
    if chassis.state != "ended":
        cancel_all(chassis, reason, cause)


# -- stopping ---------------------------------------------------------------------------------------


def stop(root: Process) -> None:
    """Begin to stop everything below, as if all input had come to its end."""
    sources = [process for process in bodies(root) if not is_fed(process)]
    for process in family(root):
        release_holds(process, None)
        end_feedback(process)
    for process in sources:
        cancel(process, "stop", None)


def insist_later(root: Process, reason: str | None = None, still: Callable[[], bool] = lambda: True) -> None:
    """A component was cancelled: after `PATIENCE` cancel what is left for good, if it is ``still`` to end."""
    assert root.scheduler is not None
    root.scheduler.loop.call_later(PATIENCE, _insist, root, reason, still, context=contextvars.Context())


def _insist(root: Process, reason: str | None, still: Callable[[], bool]) -> None:
    if still():
        cancel_all(root, reason, None)


def cancel_all(
    root: Process, reason: str | None, cause: BaseException | None, *, finally_: bool = True
) -> None:
    """Cancel everything that is left."""
    for process in list(family(root)):
        if process.has_body:
            if not process.body_done and process.state != "new":
                cancel(process, reason, cause, finally_=finally_)
        elif process.state != "ended" and reason is not None:
            # Only bodies can be cancelled. But a seat that Axon means is not to be taken again by whom nobody
            # would cancel.
            process.reason = reason
            if process.cause is None:
                process.cause = cause


def cancel(
    process: Process, reason: str | None, cause: BaseException | None, *, finally_: bool = False
) -> None:
    """Cancel one component, and remember why: what it reads from will be closed, or broken with a cause."""
    process.reason = reason
    if cause is not None and process.cause is None:
        process.cause = cause
    if process.script is not None and finally_:
        process.script.cut_off()
    process.cancel()
    if finally_ and not process.body_done:
        assert process.scheduler is not None
        process.scheduler.loop.call_later(LAST_PATIENCE, _abandon, process, context=contextvars.Context())


def _abandon(process: Process) -> None:
    """A component was cancelled for good and goes on all the same: end it as far as the others go."""
    if process.body_done or process.script is not None:  # a script's thread is left behind in its own way
        return
    assert process.system is not None
    process.system.left_behind(
        process,
        f"{process.path} was cancelled and had not ended {LAST_PATIENCE:g} s later; it was left behind at "
        f"{body.where(process)}. Let Cancelled through: 'except Exception' does, a bare 'except' does not",
    )
    keep_for_ever(process)
    process.forget_wait()
    finish_body(process, Cancelled(), None)


def keep_for_ever(process: Process) -> None:
    """Never close the coroutine of a component that was cancelled and goes on all the same.

    Python closes a suspended coroutine when nobody knows it any more, at the latest at exit. That runs its
    code once more, and what has swallowed `Cancelled` may swallow that too, and go round for ever.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(process.coroutine))


def is_fed(process: Process) -> bool:
    """Say whether a component has an inbox into which something may still come, or in which something waits.

    An inbox that is only held open feeds nobody who has never asked for a message there: such a component
    would not notice the end of the hold either. One that has just failed still has that to tell.
    """
    return any(
        len(box.queue)
        or box.sources > box.outside
        or (box.asked and (box.holds or box.outside))
        or (box.failure is not None and not box.end_told)
        for box in process.inboxes
        if not box.wired and not box.gone
    )


def release_holds(process: Process, cause: BaseException | None) -> None:
    """Give up every hold on a component's inboxes."""
    for hold in list(process.holds):
        _release(hold, cause)
    for box in process.inboxes:
        if box.held:
            box.held = False
            box.holds -= 1
            if cause is not None and not box.holds and not box.outside and not box.ended:
                box.failure = box.failure or cause
            postman.end_if_unfed(box)


def _release(hold: Hold[Any], cause: BaseException | None) -> None:
    """Give up one hold; whoever stands behind it may fail at that, and nobody else has to suffer."""
    try:
        hold.release(cause)
    except Exception:  # of the user's on_release
        log.exception("on_release of a hold on %s failed", hold.inbox)


def end_feedback(process: Process) -> bool:
    """End the links that close a loop; say whether there were any."""
    wires = [wire for box in process.each_box() for wire in box.incoming if wire.feedback and wire.open]
    for wire in wires:
        postman.end_feedback(wire)
    return bool(wires)


def family(root: Process) -> Iterator[Process]:
    """Yield a component and everything below it, in the order of making."""
    yield root
    for child in list(root.children):
        yield from family(child)


def bodies(root: Process) -> Iterator[Process]:
    """Yield everything below a component (and itself) that has code of its own which has not ended."""
    for process in family(root):
        if process.has_body and not process.body_done and process.state != "new":
            yield process


def grace_exceeded(left: list[Process], grace: float) -> GraceExceeded:
    """Make the error that says who has used up the grace of a stop, and where in its code."""
    lines = [f"  {process.path}: {body.where(process)}" for process in left]
    return GraceExceeded(
        f"{len(left)} component(s) had not ended {grace:g} s after the stop and were cancelled:\n"
        + "\n".join(lines)
        + "\nEnd when your inbox has ended, and let Cancelled through; or give more time: run(..., grace=30)"
    )
