"""Crash points: every component of three systems ended, failed and cancelled at every step of its run.

A run in virtual time is the same every time (rule 11), so it has numbered steps. It is done once as it is,
and then again for each step, each component that lives then, and each way to go: up to that step it must go
as before, and then the component is thrown out. After each step the system is stopped once, too. Whatever the
step was, the contract is looked after:

* the run is over within its grace, and without a deadlock; a failure, and nothing else, is raised, once,
  with the path of the component that failed; what was isolated is not raised but told;
* each inbox got what was sent to it, in order, without gap or double, from each sender; all of it, unless
  its reader was the one thrown out, or nobody listened to that reader any more;
* who reads on after a failure is told of it, and nobody else is; nobody is told that nobody listens while
  somebody does; nobody takes the place of who was cancelled;
* the books balance: what was put in was received, or is counted as unread or dropped;
* nothing is left over: no thread, no open box, no component that has not ended.

Here a sample is taken, by a seed that is printed; `make soak` takes every point.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, Pipeline, component, run, select, sleep
from kamaelia.axon import (
    BrokenLink,
    Cancelled,
    ComponentsFailed,
    EndOfMessages,
    Failure,
    Link,
    LinkError,
    Seat,
    SourceFailed,
    VirtualLoop,
    core,
    lifecycle,
    postman,
)
from kamaelia.axon.link import Route
from kamaelia.axon.process import Process
from kamaelia.axon.queue import Queue, Wait

from .parts import on_every_step

SEED = int(os.environ.get("KAMAELIA_SEED", "20240229"))
TICK = 1 / 1024  # seconds: sums of it are exact, so that things happen at the same time
SAMPLE = 250  # points of each system that are tried when not all are
PATIENCE = 5.0  # virtual seconds that a run may take longer than when nothing happens
MANY = 1000  # steps; the longest of the three systems takes about a hundred


class Boom(Exception):
    """The failure that is thrown into a component."""


# -- the laboratory ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """After which step, who is thrown out, and how; "stop" is for the whole system."""

    at: int
    path: str
    how: str


@dataclass
class Records:
    """What was seen of one run."""

    got: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """Messages by the box that they were received from, as the bodies say."""
    sent: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """Messages by the box that they were sent from, as the boxes say."""
    exits: dict[str, BaseException | None] = field(default_factory=dict)
    """With what each body was left."""
    sent_at_exit: dict[str, dict[str, int]] = field(default_factory=dict)
    """How much had been sent from each box when a body was over."""
    trace: list[str] = field(default_factory=list)
    """Whose each step was."""
    points: list[Point] = field(default_factory=list)
    """Of a run in which nobody is thrown out: who could have been."""
    processes: dict[str, Process] = field(default_factory=dict)
    """By path; who comes later under the same path has a number after it."""
    names: dict[Process, str] = field(default_factory=dict)
    """The same the other way round."""
    routes: list[Route] = field(default_factory=list)
    """Every way from an outbox to a queue that there ever was."""
    broken: set[Queue] = field(default_factory=set)
    """Those of inboxes that a failed component led to when it failed; a seat's outboxes stay open."""
    error: BaseException | None = None
    time: float = 0.0
    point: Point | None = None
    thrown_out: Process | None = None
    came_before: set[str] = field(default_factory=set)
    """Who had been seen before somebody was thrown out."""

    def name(self, process: Process) -> str:
        if process not in self.names:
            name, number = process.path, 1
            while name in self.processes:
                number += 1
                name = f"{process.path}#{number}"
            self.names[process] = name
            self.processes[name] = process
        return self.names[process]


RECORDS = Records()  # of the run that goes on


def got(inbox: Any, message: Any) -> Any:
    """A body says that it has received a message."""
    RECORDS.got[str(inbox)].append(message)
    return message


class Numbers:
    """Messages that can be told apart: each names its sender and counts."""

    def __init__(self, outbox: Any) -> None:
        self.outbox = str(outbox)
        self.count = 0

    def next(self, payload: Any = None) -> tuple[str, int, Any]:
        self.count += 1
        return self.outbox, self.count, payload


def ways_out(process: Process) -> tuple[str, ...]:
    """Say in which ways a component may be thrown out just now."""
    if process.state in ("new", "ended"):
        return ()
    if process.body_done:
        return ("cancel",)  # a chassis without code of its own (any more), with all that is in it
    return ("end", "fail", "cancel")


def throw_out(process: Process, how: str) -> None:
    """Make a component go, wherever it is."""
    if how == "cancel":
        process.component.cancel()
        return
    error: Exception
    if how == "fail":
        error = Boom()
    else:
        error = EndOfMessages("it has had enough")
        error.owner = process  # a normal end, as if its own box had ended
    if process.wait is not None:
        process.throw(error)
    elif process.future is not None:
        process.future = None
        process.pending = error
        assert process.scheduler is not None
        process.scheduler.make_ready(process)
    else:
        process.pending = error


def perform(
    monkeypatch: pytest.MonkeyPatch, system: Callable[[], Component], point: Point | None = None
) -> Records:
    """Run a system; at the point, throw a component out."""
    global RECORDS
    RECORDS = records = Records(point=point)
    finish, send, add_route = core.Process.finish, core.Outbox.send, postman._add_route
    here = threading.get_ident()
    threads = threading.active_count()
    loop = VirtualLoop()

    def seen_step(self: Process) -> None:
        records.trace.append(records.name(self))
        assert self.system is not None
        at = len(records.trace)
        living = {records.name(process): process for process in lifecycle.family(self.system.root)}
        if point is None:
            records.points.append(Point(at, "", "stop"))
            for name, process in living.items():
                records.points.extend(Point(at, name, how) for how in ways_out(process) if name)
        elif at == MANY:
            self.system.abort(AssertionError(f"it goes on and on: {MANY} steps"))
        elif point.at == at and point.how == "stop":
            self.system.stop()
        elif point.at == at:
            records.thrown_out = living[point.path]
            records.came_before = set(records.processes)
            throw_out(records.thrown_out, point.how)

    def seen_finish(self: Process, error: BaseException | None, result: Any) -> None:
        name = records.name(self)
        records.exits[name] = error
        records.sent_at_exit[name] = {box: len(messages) for box, messages in records.sent.items()}
        routes = [] if is_occupant(self) else [route for outbox in self.outboxes for route in outbox.routes]
        finish(self, error, result)
        if self.outcome in ("failed", "broken", "cancelled"):
            records.broken.update(route.queue for route in routes)

    def seen_send(self: Outbox[Any], message: Any) -> Any:
        somebody_reads = bool(self.routes)
        pacing = send(self, message)
        # A script's thread has the loop's send for it. What goes nowhere, as after the end of a feedback
        # link, is discarded and counted.
        if somebody_reads and threading.get_ident() == here:
            records.sent[str(self)].append(message)
        return pacing

    def seen_route(route: Route) -> None:
        records.routes.append(route)
        add_route(route)

    def seen_link(self: Outbox[Any], target: Any, wire: Link | None = None) -> Link | None:
        done = link_simply(self, target, wire)
        if done is not None:
            records.routes.extend(self.routes)
        return done

    link_simply = core.Outbox.link_simply

    with monkeypatch.context() as patch, on_every_step(seen_step):
        patch.setattr(core.Process, "finish", seen_finish)
        patch.setattr(core.Outbox, "send", seen_send)
        patch.setattr(postman, "_add_route", seen_route)
        patch.setattr(core.Outbox, "link_simply", seen_link)
        try:
            run(system(), loop_factory=lambda: loop, seed=1)
        except Exception as error:  # judged below
            records.error = error
    records.time = loop.time()
    assert threading.active_count() == threads, "a thread is left over"
    return records


# -- what is promised --------------------------------------------------------------------------------


def judge(records: Records, quiet: Records, isolated: Callable[[str], bool] = lambda path: False) -> None:
    """Compare what was seen of a run with what the contract promises."""
    judge_outcome(records, isolated)
    if records.thrown_out is not None and records.thrown_out.cancels:
        for name, process in records.processes.items():
            late = went_with(records, process) and name not in records.came_before
            assert not late, f"{name} came after its chassis had been cancelled"
    assert records.time <= quiet.time + PATIENCE, f"it took until {records.time}"
    for process in records.processes.values():
        judge_remains(process)
    for box, messages in records.got.items():
        judge_order(records, box, messages)
    for name, process in records.processes.items():
        if name in records.exits:
            judge_exit(records, name, process)
        for inbox in process.inboxes:
            if inbox.keeps_queue:
                judge_seat(records, inbox)
            elif name in records.exits and not inbox.wired and not is_occupant(process):
                judge_inbox(records, name, inbox)


def judge_outcome(records: Records, isolated: Callable[[str], bool]) -> None:
    """A failure is raised, once, by the name of who failed; nothing else is."""
    failed = [name for name, error in records.exits.items() if isinstance(error, Boom)]
    if not failed or isolated(failed[0]):
        assert records.error is None, f"raised although nothing failed: {records.error!r}"
        if failed:
            told = [one for got in records.got.values() for one in got if isinstance(one, Failure)]
            assert [one for one in told if isinstance(one.error, Boom)], "an isolated failure was not told"
        return
    assert isinstance(records.error, ComponentsFailed), f"{failed[0]} failed, and that was not raised"
    (failure,) = records.error.exceptions
    assert isinstance(failure, Boom)
    assert failure.__notes__ == [f"in {failed[0]}"]


def judge_remains(process: Process) -> None:
    """Nothing is left over."""
    assert process.state == "ended", f"{process} has not ended"
    for inbox in process.inboxes:
        assert inbox.gone, f"{inbox} is still open"
    for outbox in process.outboxes:
        assert outbox.ended, f"{outbox} is still open"


def judge_order(records: Records, box: str, messages: list[Any]) -> None:
    """What an inbox got from each sender is what that one sent, from the first message on, in order."""
    by_sender: dict[str, list[Any]] = defaultdict(list)
    for message in messages:
        if not isinstance(message, Failure):
            by_sender[message[0]].append(message)
    for sender, received in by_sender.items():
        sent = records.sent[sender]
        assert received == sent[: len(received)], f"{box} did not get what {sender} sent, in order"


def judge_exit(records: Records, name: str, process: Process) -> None:
    """Nobody is told that nobody listens while somebody does, or cancelled without a reason."""
    error = records.exits[name]
    if nobody_listened(error):
        for outbox in process.outboxes:
            if outbox.linked and not outbox.optional:
                assert outbox.lost, f"{name} was told that nobody listens, but {outbox} has a reader"
    if isinstance(error, Cancelled) and not went_with(records, process):
        why = "stop" if records.point is not None and records.point.how == "stop" else "failure"
        assert process.reason == why, f"{name} was cancelled for {process.reason}"
    judge_break(records, name, process)


def judge_break(records: Records, name: str, process: Process) -> None:
    """Who reads to the end what a failed component has sent is told of the failure, and nobody else is."""
    if went_with(records, process) or is_occupant(process) or isinstance(process.component, Room):
        return  # what sends to a seat, or to an inbox that is held, may fail without its being an end
    failed = any(inbox.queue in records.broken for inbox in process.inboxes)
    error = records.exits[name]
    if error is None or isinstance(error, EndOfMessages):
        assert not failed, f"{name} saw an end, but what fed it had failed"
    if isinstance(error, SourceFailed) and not is_failing(process):
        assert failed, f"{name} was told of a failure, but nothing that fed it had failed"


def is_failing(process: Process) -> bool:
    """Say whether it is in a chassis that stops because of a failure, so that its boundaries break."""
    chassis = process.parent
    while chassis is not None and not chassis.failing:
        chassis = chassis.parent
    return chassis is not None


def judge_inbox(records: Records, name: str, inbox: Inbox[Any]) -> None:
    """What was sent to an inbox was received, or is accounted for."""
    received = len(records.got[str(inbox)])
    judge_books(records, inbox, received, records.sent_at_exit[name])
    error = records.exits[name]
    # Who reads from two inboxes and lets the failure of one escape has not read all of the other.
    of_another = isinstance(error, SourceFailed) and len(inbox.owner.inboxes) > 1
    if not went_with(records, inbox.owner) and not nobody_listened(error) and not of_another:
        assert not inbox.unread, f"{inbox} was left with {inbox.unread} unread, {error!r}"


def judge_seat(records: Records, inbox: Inbox[Any]) -> None:
    """The same for a seat, whatever became of its occupants."""
    seat = inbox.owner
    received = sum(len(got) for box, got in records.got.items() if box.startswith(f"{seat.path}/"))
    sent = {box: len(messages) for box, messages in records.sent.items()}
    judge_books(records, inbox, received, sent)
    if not went_with(records, seat) and not seat.boxes["outbox"].lost:
        assert not inbox.unread, f"{inbox} was left with {inbox.unread} unread"


def judge_books(records: Records, inbox: Inbox[Any], received: int, sent_from: dict[str, int]) -> None:
    """What was put into a queue was received, or is counted as unread or dropped."""
    queue = inbox.queue
    assert queue.received == received, f"{inbox}: {queue.received} were taken, {received} received"
    senders = {str(route.outbox) for route in records.routes if route.queue is queue}
    sent = sum(sent_from.get(sender, 0) for sender in senders)
    assert sent == received + inbox.unread + queue.dropped, (
        f"{inbox}: {sent} sent, {received} received, {inbox.unread} unread, {queue.dropped} dropped"
    )


def is_occupant(process: Process) -> bool:
    return process.parent is not None and isinstance(process.parent.component, Seat)


def went_with(records: Records, process: Process | None) -> bool:
    """Say whether this one was thrown out, or a chassis that it is in and that took it along."""
    while process is not None and process is not records.thrown_out:
        process = process.parent
    return process is not None


def nobody_listened(error: BaseException | None) -> bool:
    return isinstance(error, BrokenLink) and not isinstance(error, SourceFailed)


# -- three sample systems ----------------------------------------------------------------------------


@component
async def numbers(inbox, outbox, count, pause=0.0):
    """Send so many messages, then end."""
    make = Numbers(outbox)
    for _ in range(count):
        await outbox.send(make.next())
        if pause:
            await sleep(pause)


class Stage(Component):
    """Pass messages on, each as one of its own."""

    inbox = Inbox[Any]("messages", size=3)

    async def main(self) -> None:
        make = Numbers(self.outbox)
        async for message in self.inbox:
            got(self.inbox, message)
            await self.outbox.send(make.next(message))


class GeneratorStage(Component):
    inbox = Inbox[Any]("messages", size=2)

    def main(self) -> Any:
        make = Numbers(self.outbox)
        while True:
            message = got(self.inbox, (yield self.inbox.receive()))
            yield self.outbox.send(make.next(message))


class ScriptStage(Component):
    inbox = Inbox[Any]("messages", size=1)

    def main(self) -> None:
        make = Numbers(self.outbox)
        for message in self.inbox:
            got(self.inbox, message)
            self.outbox.send(make.next(message))


class Sink(Component):
    inbox = Inbox[Any]("messages", size=2)
    outbox = None

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause

    async def main(self) -> int:
        count = 0
        async for message in self.inbox:
            got(self.inbox, message)
            count += 1
            if self.pause:
                await sleep(self.pause)
        return count


class ImpatientSink(Component):
    """Asks with a time-out, which often expires at the very moment at which something comes."""

    inbox = Inbox[Any]("messages", size=4)
    outbox = None

    async def main(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    got(self.inbox, await self.inbox.receive())


def pipeline() -> Component:
    """All three bodies in a row, with small inboxes, so that everybody waits for everybody."""
    return Pipeline(
        numbers(8),
        GeneratorStage(),
        ScriptStage(),
        Stage(),
        Pipeline(ScriptStage(), GeneratorStage()),
        Sink(TICK),
    )


class Router(Component):
    """Sends every third message round once more, and the others to all."""

    inbox = Inbox[Any]("new messages", size=2)
    again = Inbox[Any]("messages that have been round", size=4)
    outbox = Outbox[Any]("to all")
    back = Outbox[Any]("round once more")

    async def main(self) -> None:
        onward, around = Numbers(self.outbox), Numbers(self.back)
        count = 0
        async for box, message in select(self.again, self.inbox):
            got(box, message)
            count += 1
            if box is self.inbox and count % 3 == 0:
                await self.back.send(around.next(message))
            else:
                await self.outbox.send(onward.next(message))


def graph() -> Component:
    """Fan-in of three, fan-out to three, and a loop."""
    router, around = Router(), Stage()
    first, second, third = numbers(4), Pipeline(numbers(3, 2 * TICK), ScriptStage()), numbers(5)
    slow, fast, impatient = Sink(TICK), Pipeline(GeneratorStage(), Sink()), ImpatientSink()
    return Graphline(
        [first.outbox, second.outbox, third.outbox] >> router.inbox,
        router.outbox >> [slow.inbox, fast.inbox, impatient.inbox],
        router.back >> around.inbox,
        Link(around.outbox, router.again, feedback=True),
    )


class Room(Component):
    """What all visitors say, in one inbox that stays open while there may be more visitors."""

    inbox = Inbox[Any]("what visitors say", held=True, size=3)

    async def main(self) -> None:
        make = Numbers(self.outbox)
        async for message in self.inbox:
            got(self.inbox, message)
            await self.outbox.send(make.next(message))


class Server(Component):
    """Makes a pipeline for each visitor, isolated from the others."""

    inbox = Inbox[Any]("visitors", size=2)
    outbox = Outbox[Any]("what all of them say")
    failures = Outbox[Any]("visitors that failed", optional=True)

    def __init__(self) -> None:
        self.room = self.add(Room())
        self.link(self.room.outbox, self.outbox)

    async def main(self) -> None:
        count = 0
        async for visitor in self.inbox:
            got(self.inbox, visitor)
            count += 1
            child = Pipeline(numbers(3, TICK * (count % 2)), GeneratorStage())
            self.add(child, name=f"visitor-{count}", isolated=True)
            try:
                self.link(child.outbox, self.room.inbox)
            except LinkError:
                pass  # the room has gone, or its hold at a failure: so nobody hears this visitor
        self.room.inbox.release()


class Worker(Component):
    """Does three messages, then goes; fails at the fifth that there ever was."""

    inbox = Inbox[Any]("work", size=2)

    async def main(self) -> None:
        make = Numbers(self.outbox)
        for _ in range(3):
            message = got(self.inbox, await self.inbox.receive())
            if message[1] == 5:
                raise ValueError("the fifth")
            await self.outbox.send(make.next(message))


class WorkerSeat(Seat):
    failures = Outbox[Any]("workers that failed", optional=True)

    def __init__(self) -> None:
        super().__init__(Worker(), on_vacant=self.refill)

    def refill(self, worker: Component, failure: Any) -> None:
        self.fill(Worker)


class Failures(Component):
    inbox = Inbox[Any]("failures")
    outbox = None

    async def main(self) -> None:
        async for failure in self.inbox:
            got(self.inbox, failure)


def server() -> Component:
    """Visitors on demand, and a seat that one worker after the other takes."""
    visitors, seat, sink, told = Server(), WorkerSeat(), Sink(TICK), Failures()
    return Graphline(
        numbers(4, 2 * TICK).outbox >> visitors.inbox,
        visitors.outbox >> seat.inbox,
        seat.outbox >> sink.inbox,
        [visitors.failures, seat.failures] >> told.inbox,
    )


# -- the sweep ---------------------------------------------------------------------------------------


def isolated_in_server(path: str) -> bool:
    """Say whether a failure is nobody else's: a visitor's, or that of a worker in the seat."""
    return "/visitor-" in path or "/Worker" in path


SYSTEMS: dict[str, tuple[Callable[[], Component], Callable[[str], bool]]] = {
    "pipeline": (pipeline, lambda path: False),
    "graph": (graph, lambda path: False),
    "server": (server, isolated_in_server),
}


def sweep(monkeypatch: pytest.MonkeyPatch, name: str, sample: int | None) -> None:
    system, isolated = SYSTEMS[name]
    quiet = perform(monkeypatch, system)
    judge(quiet, quiet, isolated)
    points = quiet.points if sample is None else random.Random(SEED).sample(quiet.points, sample)
    for point in points:
        where = f"{name}: {point.how} {point.path} after step {point.at} of {len(quiet.trace)} (seed {SEED})"
        records = perform(monkeypatch, system, point)
        assert records.trace[: point.at] == quiet.trace[: point.at], f"{where}: another run"
        try:
            judge(records, quiet, isolated)
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error
    print(f"{name}: swept {len(points)} of {len(quiet.points)} points")


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_sample_of_crash_points(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sweep(monkeypatch, name, SAMPLE)


@pytest.mark.soak
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_crash_point(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sweep(monkeypatch, name, None)


# -- can it fail at all? -----------------------------------------------------------------------------


@pytest.mark.one_core("plain")
def test_the_laboratory_sees_a_lost_message(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Queue.take
    lost: list[Any] = []

    def loses_one(self: Queue) -> Any:
        message = take(self)
        if self.items and not lost:
            lost.append(self.items.popleft())
        return message

    monkeypatch.setattr(Queue, "take", loses_one)
    records = perform(monkeypatch, graph)
    assert len(lost) == 1
    with pytest.raises(AssertionError, match=r"did not get what .* sent, in order"):
        judge(records, records)


@pytest.mark.one_core("plain")
def test_the_laboratory_sees_a_turn_that_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the last lines of `Queue.leave` a cancelled reader keeps the message that it had been given."""
    leave = Queue.leave

    def keeps_its_turn(self: Queue, wait: Wait) -> None:
        if wait.turn is self:
            wait.turn = None  # but the turn still counts
        else:
            leave(self, wait)

    monkeypatch.setattr(Queue, "leave", keeps_its_turn)
    with pytest.raises(AssertionError, match="it goes on and on"):
        sweep(monkeypatch, "graph", 100)


def test_the_laboratory_sees_a_failure_that_ends_like_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A component that fails must be raised: here `_judge` is told that it only ended."""
    monkeypatch.setattr(lifecycle, "_judge", lambda process, error: ("ended", None))
    with pytest.raises(AssertionError, match="failed, and that was not raised"):
        sweep(monkeypatch, "pipeline", 100)
