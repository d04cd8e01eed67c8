"""What every part has to keep: one suite of checks, for ours and for anybody's.

Theory
------
A *specimen* (`kamaelia.axon.specimen`) is a part ready-made, with messages that suit it. A check runs it, by
hand and in virtual time (`driver`), over and over: once as it is, and then once more for each step of that
run with something happening at that step. Runs in virtual time are the same every time, so steps have
numbers. What a component may rely on is written in the thirty rules (the contract of Axon); here is what
others may rely on when they use a part:

| check | what has to be |
| --- | --- |
| `check_result` | it gives what its specimen says, and so does one that is made again from its recipe |
| `check_repeats` | with the same seed it takes the same steps at the same times |
| `check_alone` | no thread, socket, process or real time is touched |
| `check_books` | what was sent to an inbox was received, or is counted: unread, dropped |
| `check_stop` | stopped at any step, it ends in time, and what was accepted is finished (rule 25) |
| `check_cancel` | cancelled at any step, it ends, and nothing is left of it (rules 3, 25) |
| `check_break` | when what feeds it fails at any step, so has what it sends (rule 3) |
| `check_failure` | when it fails itself, at any step, that is told once, with its path (rules 3, 26) |
| `check_leave` | when nobody listens any more, it ends, whatever it waits for (rule 4) |
| `check_held_back` | when nobody takes what it sends, who sends to it is held back (rule 9) |
| `check_memory` | it keeps no more messages than its specimen says |

In a test of one's own parts::

    import pytest
    from kamaelia.testing.contract import CHECKS
    from kitchen.specimens import SPECIMENS


    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    @pytest.mark.parametrize("name", SPECIMENS)
    def test_contract(name, check):
        for specimen in SPECIMENS[name]:
            check(specimen)

Where a specimen says that a rule is not for it, and why, that check looks for the other thing instead.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from kamaelia.axon import Component, lifecycle, make, postman
from kamaelia.axon.process import Process
from kamaelia.axon.specimen import Specimen

from .driver import Driver, drive

LONG = 24 * 3600.0  # virtual seconds that a part has to end by itself
GRACE = 5.0  # virtual seconds to end in after a stop
ENOUGH = 10  # messages of a part that goes on and on
MANY = 100_000  # messages or bytes before which a part whose readers take nothing holds back who sends
Act = Callable[["Run"], None]


class PlannedFailure(Exception):
    """The failure that a check throws into a part, or lets its source have."""


@dataclass
class Run:
    """One run of a specimen, and what was seen of it."""

    specimen: Specimen
    driver: Driver[Any]
    steps: list[str] = field(default_factory=list)
    """Whose each step was."""
    times: list[float] = field(default_factory=list)
    """When each was."""
    sent: dict[str, list[Any]] = field(default_factory=dict)
    """What was sent to each inbox."""
    got: dict[str, list[Any]] = field(default_factory=dict)
    """What came out of each outbox."""
    ends: dict[str, str] = field(default_factory=dict)
    """How each outbox was at the end: ``"open"``, ``"ended"`` or ``"failed"``."""
    acted_at: float | None = None
    """When what was to happen has happened, if it has."""
    sent_before: int = 0
    """How many messages had been sent when it did."""
    open_before: tuple[str, ...] = ()
    """Which outboxes were open then."""
    fed_before: bool = False
    """Something fed one of its inboxes then."""

    outcome: str = "running"
    """How the component has ended, see `Driver.outcome`."""
    error: BaseException | None = None
    """With what it has failed, see `Driver.error`."""
    is_over: bool = False
    """What comes now is only to clear up."""
    remains: str = ""
    """What is left over of it at the end."""
    time: float = 0.0
    """When that was."""

    @property
    def required(self) -> list[str]:
        """The outboxes that need a reader."""
        boxes: Any = self.driver.component._axon.boxes
        return [name for name in self.driver.outboxes if not boxes[name].optional]


def perform(
    specimen: Specimen,
    act: Act | None = None,
    at: int = 0,
    *,
    limit: int | None = None,
    component: Component | None = None,
    seed: int = 1,
) -> Run:
    """Run a specimen as it says; after a step, have something happen.

    Arguments:
        specimen: what to run
        act: what happens
        at: after which step; 0 for before the first
        limit: send only so many messages
        component: run this instead of a new one
        seed: of the part's random streams
    """
    driver = drive(specimen.make() if component is None else component, seed=seed, debug=False)
    run = Run(specimen, driver)

    def happen() -> None:
        run.acted_at = driver.time
        run.sent_before = sum(map(len, run.sent.values()))
        run.open_before = tuple(name for name in driver.outboxes if driver.state(name) == "open")
        run.fed_before = any(driver.is_read(name) for name in specimen.feed)
        assert act is not None
        act(run)

    def seen_step(process: Process) -> None:
        if run.is_over:
            return
        run.steps.append(process.path)
        run.times.append(driver.time)
        if act is not None and len(run.steps) == at:
            happen()

    driver.on_step = seen_step
    with driver:
        try:
            if act is not None and at == 0:
                happen()
            _feed(run, limit)
            _finish(run)
        finally:
            _take(run)
            run.is_over = True
            run.ends = {name: driver.state(name) for name in driver.outboxes}
            run.outcome, run.error, run.time = driver.outcome, driver.error, driver.time
            run.remains = _what_is_left(driver)
    return run


def _feed(run: Run, limit: int | None) -> None:
    driver = run.driver
    count = itertools.count()
    for name, messages in run.specimen.feed.items():
        run.sent.setdefault(name, [])
        for message in messages:
            if next(count) == limit:
                return
            if not driver.is_read(name):
                break
            run.sent[name].append(message)
            driver.send(message, box=name)
            _take(run)


def _finish(run: Run) -> None:
    driver = run.driver
    if not run.specimen.endless:
        driver.close()
    elif run.acted_at is None and run.specimen.gives:
        while any(len(run.got.get(name, ())) < len(some) for name, some in run.specimen.gives.items()):
            if driver.ended or not driver.skip(LONG):
                break
            _take(run)
        return
    while not driver.ended and driver.skip(LONG):
        _take(run)
        if run.specimen.endless and driver.time > LONG:
            break


def _take(run: Run) -> None:
    for name in run.driver.outboxes:
        got = run.got.setdefault(name, [])
        if not run.specimen.endless:
            got.extend(run.driver.take_all(name))
            continue
        for _ in range(
            len((run.specimen.gives or {}).get(name, ())) or ENOUGH
        ):  # there may be no end of them
            if not run.driver.waits_to_be_taken(name):
                break
            got.append(run.driver.take(name))


# -- the checks ---------------------------------------------------------------------------------------


def check_result(specimen: Specimen) -> None:
    """It gives what its specimen says, and so does one that is made again from its recipe."""
    for component in (specimen.make(), make(specimen.make())):
        run = perform(specimen, component=component)
        judge_result(run)


def judge_result(run: Run) -> None:
    """Say whether a run gave what its specimen says, in whichever world it was."""
    specimen = run.specimen
    if specimen.endless:
        if specimen.gives is not None:
            expected = {name: list(some) for name, some in specimen.gives.items()}
            got = {name: run.got[name][: len(some)] for name, some in expected.items()}
            assert got == expected, "it gives other things"
        return
    assert not run.remains, f"its inboxes have ended, and {run.remains}"
    assert run.error is None, f"it has failed: {run.error!r}"
    assert run.outcome == "ended", f"it has not ended, but been {run.outcome}"
    assert all(state == "ended" for state in run.ends.values()), f"outboxes have not ended: {run.ends}"
    if specimen.gives is not None:
        given = {name: tuple(some) for name, some in run.got.items() if some}
        assert given == dict(specimen.gives), "it gives other things"
        assert run.driver.result == specimen.returns, "it returns something else"


def check_repeats(specimen: Specimen) -> None:
    """With the same seed it takes the same steps at the same times."""
    first, second = perform(specimen), perform(specimen)
    assert first.steps == second.steps, "two runs with one seed take other steps"
    assert first.times == second.times, "two runs with one seed take their steps at other times"
    assert first.got == second.got, "two runs with one seed give other things"


def check_alone(specimen: Specimen) -> None:
    """No thread, socket, process or real time is touched."""
    with _nothing_outside() as called:
        perform(specimen)
    # Whoever has called it may have kept to itself what came of that.
    assert not called, called[0]


@contextlib.contextmanager
def _nothing_outside() -> Iterator[list[str]]:
    import socket
    import subprocess
    import threading
    import time

    complaints: list[str] = []

    def refuse(what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            # Records of a log have the machine's time, and so has a header that websockets writes, and that
            # is taken out again.
            if sys._getframe(1).f_globals["__name__"] in ("logging", "email.utils"):
                return real(*args, **options)
            complaints.append(f"it has called {what}: in virtual time a part stays alone")
            raise AssertionError(complaints[-1])

        return called

    with contextlib.ExitStack() as stack:
        for owner, name in (
            (threading.Thread, "start"),
            (socket.socket, "connect"),
            (socket.socket, "bind"),
            (subprocess.Popen, "__init__"),
            (time, "sleep"),
            (time, "time"),
            (time, "monotonic"),
        ):
            stack.enter_context(
                mock.patch.object(owner, name, refuse(f"{owner.__name__}.{name}", getattr(owner, name)))
            )
        yield complaints


def check_books(specimen: Specimen) -> None:
    """What was sent to an inbox was received, or is counted: unread, dropped."""
    run = perform(specimen)
    for name, messages in run.sent.items():
        inbox: Any = run.driver.component._axon.boxes[name]
        if inbox.wired:
            continue  # what is inside of it keeps the books
        seen = inbox.statistics()
        there = seen.received + seen.waiting + seen.dropped + inbox.unread
        assert there == len(messages), f"{len(messages)} were sent to {name}, and {there} are accounted for"


def check_stop(specimen: Specimen) -> None:
    """Stopped at any step, it ends in time, and what was accepted is finished."""
    for at in _steps(specimen):
        run = perform(specimen, lambda run: run.driver.stop(GRACE), at)
        where = f"stopped after step {at}"
        _judge_gone(run, where)
        whole = perform(specimen, limit=run.sent_before)
        if whole.error is not None and repr(whole.error) == repr(run.error):
            continue  # what it had accepted is not all of something, and the end of that is a failure
        assert run.error is None, f"{where} it has failed: {run.error!r}"
        assert run.outcome in ("ended", "stopped"), f"{where} it was {run.outcome}"
        assert "failed" not in run.ends.values(), f"{where} what it sends was broken: {run.ends}"
        if specimen.gives is None or specimen.endless or specimen.by_time or not specimen.feed:
            continue
        for name in run.required:
            got, all_ = run.got[name], whole.got[name]
            # What nothing feeds any more is cancelled, as a source is: also when it is not done yet.
            wanted = all_ if run.fed_before else all_[: len(got)]
            assert got == wanted, f"{where}, {name} gave {got}; of what it had accepted comes {all_}"


def check_cancel(specimen: Specimen) -> None:
    """Cancelled at any step, it ends, and nothing is left of it."""

    def cancel(run: Run) -> None:
        run.driver.component.cancel()

    for at in _steps(specimen):
        run = perform(specimen, cancel, at)
        where = f"cancelled after step {at}"
        _judge_gone(run, where)
        assert run.error is None, f"{where} it has failed: {run.error!r}"
        assert run.outcome in ("ended", "stopped"), f"{where} it was {run.outcome}"
        assert "failed" not in run.ends.values(), f"{where} what it sends was broken: {run.ends}"


def check_break(specimen: Specimen) -> None:
    """When what feeds it fails at any step, so has what it sends."""
    for name in specimen.feed:

        def fail(run: Run, name: str = name) -> None:
            if not run.driver.is_read(name):
                run.acted_at = None
            run.driver.fail(PlannedFailure(), name)

        for at in _steps(specimen):
            run = perform(specimen, fail, at)
            if run.acted_at is None:
                continue  # nothing had fed it any more
            where = f"broken at {name} after step {at}"
            if not specimen.endless:
                _judge_gone(run, where)
            assert not run.driver.component._axon.failures, f"{where} it has failed: {run.error!r}"
            inbox: Any = run.driver.component._axon.boxes[name]
            read_on = any(inner.end_told for inner in postman.inboxes_behind(inbox))
            if not read_on or specimen.forgives or specimen.endless:
                continue  # who had had enough by then has not read on to the failure
            for box in run.required:
                assert run.ends[box] == "failed" or box not in run.open_before, (
                    f"{where} its {box} just ended: its readers take what they have for the whole"
                )


def check_failure(specimen: Specimen) -> None:
    """When it fails itself, at any step, that is told once, with its path."""
    quiet = perform(specimen)
    whole = quiet.driver.component._axon
    if not whole.has_body or whole.is_chassis:
        return  # what becomes of the failures of its parts is its own affair, and in its own tests

    def fail(run: Run) -> None:
        process = run.driver.component._axon
        error = PlannedFailure()
        if process.state == "ended" or process.body_done or not process.begun:
            run.acted_at = None
            return
        if process.wait is not None:
            process.throw(error)
        elif process.future is None:
            process.pending = error
        else:
            run.acted_at = None  # it awaits something of asyncio's, which would raise no such thing

    for at in _steps(specimen):
        run = perform(specimen, fail, at)
        where = f"failed after step {at}"
        if run.acted_at is None:
            continue
        _judge_gone(run, where)
        failures = run.driver.component._axon.failures
        assert len(failures) == 1 and isinstance(failures[0], PlannedFailure), (
            f"{where}, {len(failures)} failures are told of: {list(failures)}"
        )
        assert failures[0].__notes__ == [f"in {run.driver.component.path}"], f"{where}, nobody knows what has"
        for box in run.required:
            if box in run.open_before:
                assert run.ends[box] == "failed", f"{where} its {box} just ended"


def check_leave(specimen: Specimen) -> None:
    """When nobody listens any more, it ends, whatever it waits for."""

    def leave(run: Run) -> None:
        run.driver.leave(*run.driver.outboxes)

    for at in _steps(specimen):
        run = perform(specimen, leave, at)
        where = f"left after step {at}"
        if run.required and not specimen.stays:
            assert run.outcome != "running", f"{where} it goes on: {run.remains}"
            # The wait in which it was told was its last one: no time has passed after that.
            assert run.times[-1] <= (run.acted_at or 0.0), f"{where} it went on for some time"
        if run.outcome != "running":
            _judge_gone(run, where)
            assert run.error is None, f"{where} it has failed: {run.error!r}"


def check_held_back(specimen: Specimen) -> None:
    """When nobody takes what it sends, who sends to it is held back."""
    probe = perform(specimen)
    busy = {name: some for name, some in probe.got.items() if name in probe.required and len(some) > 1}
    if not busy or specimen.unbounded or not any(len(some) > 1 for some in specimen.feed.values()):
        return
    sizes = dict.fromkeys(busy, 1)
    with drive(specimen.make(), sizes=sizes, debug=False) as driver:
        sent = 0
        while any(driver.is_read(name) and not driver.full(name) for name in specimen.feed):
            for name, messages in specimen.feed.items():
                for message in messages:
                    if driver.is_read(name) and not driver.full(name):
                        driver.send(message, box=name)
                        inbox: Any = driver.component._axon.boxes[name]
                        sent += len(message) if inbox.in_bytes else 1
            if sent > MANY:
                assert specimen.by_time, f"it has taken {sent}, and nobody has read what it sent"
                break
        driver.leave()
        driver.stop()
        driver.advance(GRACE)
        _ = driver.error


def check_memory(specimen: Specimen) -> None:
    """It keeps no more messages than its specimen says."""
    if specimen.unbounded or not specimen.feed:
        return
    fresh: list[Any] = []
    with drive(specimen.make(), debug=False) as driver:
        for _ in range(40):
            for name, messages in specimen.feed.items():
                for message in messages:
                    new = _another(message)
                    if not driver.is_read(name) or driver.full(name):
                        continue
                    if new is not message:
                        fresh.append(new)
                    driver.send(new, box=name)
                    del new
                    for outbox in driver.outboxes:
                        for _ in range(ENOUGH if specimen.endless else MANY):
                            if not driver.waits_to_be_taken(outbox):
                                break
                            driver.take(outbox)
        gc.collect()  # components that have ended are cycles, and know what they were made with
        kept = [one for one in fresh if sys.getrefcount(one) > _NOT_KEPT]
        processes = list(lifecycle.family(driver.component._axon))
        boxes = [box for process in processes for box in process.inboxes if not box.wired]
        waiting = sum(len(box.queue) for box in boxes)
        in_bytes = any(box.in_bytes for box in boxes)
        count = sum(len(one) if in_bytes else 1 for one in kept)
        in_work = max((len(one) for one in fresh), default=0) if in_bytes else 1
        allowed = specimen.holds + waiting + in_work * len(processes)
        assert count <= allowed, f"it keeps {count}; {specimen.holds} are said, {waiting} are in boxes"
        driver.leave()
        driver.stop()
        driver.advance(GRACE)
        _ = driver.error


def _another(message: Any) -> Any:
    """Return another object that equals a message, where there can be one."""
    if isinstance(message, (bytes, str)) and len(message) > 1:
        return type(message)(bytearray(message)) if isinstance(message, bytes) else "".join(list(message))
    if isinstance(message, tuple) and message:
        return tuple(list(message))
    return copy.copy(message)


_NOT_KEPT = 3  # references to an object in a list: the list's, the loop's and the call's


# -- what they share ----------------------------------------------------------------------------------


def _steps(specimen: Specimen) -> range:
    """Return after which steps something is to happen: after each, and before the first."""
    return range(len(perform(specimen).steps) + 1)


def _what_is_left(driver: Driver[Any]) -> str:
    """Say what is left over of a component, or nothing."""
    process = driver.component._axon
    if not driver.ended:
        return f"it does not end: it waits to {driver.waiting}"
    box: Any
    for box in process.each_box():
        if not (box.gone if box.is_inbox else box.ended):
            return f"{box} was left open"
    return f"{list(process.children)} were left" if process.children else ""


def _judge_gone(run: Run, where: str) -> None:
    """Nothing is left over, and that was soon so."""
    assert not run.remains, f"{where}, {run.remains}"
    assert run.acted_at is None or run.times[-1] <= run.acted_at + GRACE, (
        f"{where} it went on until {run.time}"
    )


CHECKS: tuple[Callable[[Specimen], None], ...] = (
    check_result,
    check_repeats,
    check_alone,
    check_books,
    check_stop,
    check_cancel,
    check_break,
    check_failure,
    check_leave,
    check_held_back,
    check_memory,
)

__all__ = [
    "CHECKS",
    "PlannedFailure",
    "Run",
    "check_alone",
    "check_books",
    "check_break",
    "check_cancel",
    "check_failure",
    "check_held_back",
    "check_leave",
    "check_memory",
    "check_repeats",
    "check_result",
    "check_stop",
    "judge_result",
    "perform",
]
