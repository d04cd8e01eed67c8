"""Random systems against a model of the contract: nothing is lost, duplicated or put out of order.

A laboratory (one chassis) holds random nodes with all three bodies, wired at random: fan-in, fan-out, loops,
lossy links, boundaries between. While it runs, links are made, cut and moved, and nodes are cancelled and
failed. The model is small: each node numbers what it sends, the laboratory notes the numbers at which a link
began and ended, and what a reader got through that link must be just these, in order. A reader that left
early has a prefix; a lossy link has a subsequence with all that is missing counted.

`make soak` runs ten thousand examples, CI some; a failing one prints how to run it again.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kamaelia import Component, Inbox, Outbox, Pipeline, sleep
from kamaelia.axon import (
    BrokenLink,
    Deadlock,
    EndOfMessages,
    Link,
    LinkError,
    SourceFailed,
    core,
    postman,
)
from kamaelia.axon.process import Process

from .parts import on_every_step, virtually

EXAMPLES = int(os.environ.get("KAMAELIA_EXAMPLES", "150"))
HOPS = 3  # how often a message may go round a loop
PATIENCE = 1000  # how often a node asks that asks with a time-out


@dataclass
class NodePlan:
    body: str
    reading: str
    size: int | str
    items: int  # that it sends by itself, at first
    pause: int  # milliseconds between two messages
    wrapped: bool  # inside of a pipeline, so that its links lead through boundaries


@dataclass
class LinkPlan:
    source: int
    target: int
    when_full: str = "wait"


@dataclass
class EventPlan:
    at: int  # milliseconds
    kind: str
    a: int
    b: int


@dataclass
class Life:
    """A link while it exists, by the numbers of the messages sent through it."""

    source: Node
    target: Node
    wire: Link
    first: int
    end: int | None = None


@dataclass
class Plan:
    nodes: list[NodePlan]
    links: list[LinkPlan]
    events: list[EventPlan] = field(default_factory=list)


class Node(Component):
    """Sends its own messages, then passes on whatever arrives, once more round for each hop it has left."""

    inbox = Inbox[Any]("numbered messages")
    outbox = Outbox[Any]("the same, numbered anew")

    def __init__(self, number: int, plan: NodePlan) -> None:
        self.number, self.plan = number, plan
        self.sent = 0
        self.received: list[tuple[int, int]] = []
        self.how_it_ended = "not yet"
        self.fail_next = False
        self.gave_up = False

    def numbered(self, hops: int) -> tuple[int, int, int]:
        return (self.number, self.sent, hops)

    def note(self, message: tuple[int, int, int]) -> int | None:
        sender, number, hops = message
        self.received.append((sender, number))
        if self.fail_next:
            raise ValueError(f"node {self.number} was told to fail")
        return hops - 1 if hops > 0 else None


class CoroutineNode(Node):
    async def main(self):
        try:
            for _ in range(self.plan.items):
                await self.put(HOPS)
            await {
                "iterate": self.iterate,
                "time-out": self.poll,
                "wait_for": self.wait_for,
                "tasks": self.tasks,
            }[self.plan.reading]()
            self.how_it_ended = "gave up" if self.gave_up else "end"
        except EndOfMessages:
            self.how_it_ended = "end"
            raise
        except SourceFailed:
            self.how_it_ended = "source failed"
            raise
        except BaseException as error:
            self.how_it_ended = type(error).__name__
            raise

    async def put(self, hops):
        waiting = self.outbox.send(self.numbered(hops))
        self.sent += 1
        await waiting
        if self.plan.pause:
            await sleep(self.plan.pause / 1000)

    async def handle(self, message):
        hops = self.note(message)
        if hops is not None:
            await self.put(hops)

    async def iterate(self):
        async for message in self.inbox:
            await self.handle(message)

    # Whoever waits with a time-out might do something then; so a loop with one in it never comes to rest, and
    # these two give up after a while.

    async def poll(self):
        for _ in range(PATIENCE):
            try:
                message = await self.inbox.receive(timeout=0.003)
            except TimeoutError:
                continue
            await self.handle(message)
        self.gave_up = True

    async def wait_for(self):
        for _ in range(PATIENCE):
            try:
                async with asyncio.timeout(0.004):
                    message = await self.inbox.receive()
            except TimeoutError:
                continue
            await self.handle(message)
        self.gave_up = True

    async def tasks(self):
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(self.iterate())


class GeneratorNode(Node):
    def main(self):
        try:
            for _ in range(self.plan.items):
                yield from self.put(HOPS)
            while True:
                hops = self.note((yield self.inbox.receive()))
                if hops is not None:
                    yield from self.put(hops)
        except SourceFailed:
            self.how_it_ended = "source failed"
            raise
        except EndOfMessages:
            self.how_it_ended = "end"
            raise
        except BaseException as error:
            self.how_it_ended = type(error).__name__
            raise

    def put(self, hops):
        waiting = self.outbox.send(self.numbered(hops))
        self.sent += 1
        yield waiting
        if self.plan.pause:
            yield sleep(self.plan.pause / 1000)


class ScriptNode(Node):
    def main(self):
        try:
            for _ in range(self.plan.items):
                self.put(HOPS)
            for message in self.inbox:
                hops = self.note(message)
                if hops is not None:
                    self.put(hops)
            self.how_it_ended = "end"
        except SourceFailed:
            self.how_it_ended = "source failed"
            raise
        except BaseException as error:
            self.how_it_ended = type(error).__name__
            raise

    def put(self, hops):
        message = self.numbered(hops)
        # Counted before the call, which blocks although the message is there at once. When nobody is left to
        # read it is not; but BrokenLink may come from the waiting as well, and then it is.
        nobody = not self.outbox.routes
        self.sent += 1
        try:
            self.outbox.send(message)
        except BrokenLink:
            self.sent -= nobody
            raise
        if self.plan.pause:
            sleep(self.plan.pause / 1000)


BODIES = {"coroutine": CoroutineNode, "generator": GeneratorNode, "script": ScriptNode}


class Laboratory(Component):
    """Wires the nodes as planned, and carries out the events."""

    inbox = None

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.nodes: list[Node] = [BODIES[node.body](number, node) for number, node in enumerate(plan.nodes)]
        for node, its_plan in zip(self.nodes, plan.nodes, strict=True):
            size: Any = its_plan.size
            node.inbox.queue.resize(size)
        self.outer: list[Component] = [
            Pipeline(Pipeline(node)) if node.plan.wrapped else node for node in self.nodes
        ]
        self.lives: list[Life] = []
        for part in self.outer:
            self.add(part, isolated=True)
        for one in plan.links:
            self.connect(one.source, one.target, one.when_full)

    def connect(self, source: int, target: int, when_full: str = "wait") -> None:
        try:
            wire = postman.link(
                self.outer[source].outbox,
                self.outer[target].inbox,
                when_full=when_full,
                feedback=source >= target,
            )
        except LinkError:
            return  # refused, and nothing has changed: linked already, ended, drop-oldest on a shared inbox
        self.lives.append(Life(self.nodes[source], self.nodes[target], wire, self.nodes[source].sent))

    def running_lives(self) -> list[Life]:
        return [life for life in self.lives if life.end is None and life.wire.made]

    async def main(self):
        for event in sorted(self.plan.events, key=lambda event: event.at):
            now = self.get_loop().time()
            await asyncio.sleep(max(0, event.at / 1000 - now))
            lives = self.running_lives()
            node = self.nodes[event.a % len(self.nodes)]
            if event.kind == "cancel":
                node.cancel()
            elif event.kind == "fail":
                node.fail_next = True
            elif event.kind == "link":
                self.connect(event.a % len(self.nodes), event.b % len(self.nodes))
            elif event.kind == "unlink" and lives:
                life = lives[event.a % len(lives)]
                life.end = life.source.sent
                postman.unlink(life.wire)
            elif event.kind == "relink" and lives:
                life = lives[event.a % len(lives)]
                target = event.b % len(self.nodes)
                try:
                    wire = postman.relink(life.wire, target=self.outer[target].inbox)
                except LinkError:
                    continue
                life.end = life.source.sent
                self.lives.append(Life(life.source, self.nodes[target], wire, life.source.sent))


node_plans = st.builds(
    NodePlan,
    body=st.sampled_from(["coroutine"] * 3 + ["generator"] * 2 + ["script"]),
    reading=st.sampled_from(["iterate", "iterate", "time-out", "wait_for", "tasks"]),
    size=st.sampled_from([1, 2, 3, 10, 100]),
    items=st.integers(0, 30),
    pause=st.sampled_from([0, 0, 1, 5]),
    wrapped=st.booleans(),
)


@st.composite
def plans(draw: Any) -> Plan:
    nodes = draw(st.lists(node_plans, min_size=2, max_size=6))
    index = st.integers(0, len(nodes) - 1)
    links = draw(
        st.lists(
            st.builds(LinkPlan, index, index, st.sampled_from(["wait"] * 4 + ["drop-oldest", "drop-newest"])),
            min_size=1,
            max_size=9,
        )
    )
    events = draw(
        st.lists(
            st.builds(
                EventPlan,
                st.integers(0, 60),
                st.sampled_from(["cancel", "fail", "link", "unlink", "unlink", "relink", "relink"]),
                st.integers(0, 20),
                st.integers(0, 20),
            ),
            max_size=5,
        )
    )
    return Plan(nodes, links, events)


def check(laboratory: Laboratory, complete: bool) -> None:
    """Compare what every reader got with what the model says."""
    for target in laboratory.nodes:
        by_sender: dict[int, list[int]] = {}
        for sender, number in target.received:
            by_sender.setdefault(sender, []).append(number)
        for sender in laboratory.nodes:
            got = by_sender.pop(sender.number, [])
            lives = [life for life in laboratory.lives if life.source is sender and life.target is target]
            expected: list[int] = []
            for life in lives:
                end = sender.sent if life.end is None else life.end
                expected.extend(range(life.first, end))
            lossy = any(life.wire.when_full != "wait" for life in lives)
            where = f"from {sender.number} to {target.number}: got {got}, expected {expected}"
            assert got == sorted(set(got)), f"duplicated or out of order {where}"
            assert set(got) <= set(expected), f"from nowhere {where}"
            if not lossy:
                assert got == expected[: len(got)], f"a gap {where}"
                if complete and target.how_it_ended in ("end", "source failed"):
                    assert got == expected, f"lost {where}"
        assert not by_sender, f"messages from unknown senders {by_sender}"


def run_plan(plan: Plan) -> tuple[Laboratory, str]:
    laboratory = Laboratory(plan)
    try:
        virtually(laboratory, seed=1, slow_step=0)
    except Deadlock:
        return laboratory, "deadlock"
    return laboratory, "ended"


def check_plan(plan: Plan) -> None:
    laboratory, outcome = run_plan(plan)
    if outcome == "deadlock":
        assert any(link.source >= link.target for link in plan.links) or plan.events, (
            "a deadlock without a loop"
        )
    check(laboratory, complete=outcome == "ended")
    failed = [node for node in laboratory.nodes if node.fail_next]
    if (
        not failed
        and not any(event.kind in ("cancel", "fail") for event in plan.events)
        and outcome == "ended"
    ):
        assert all(
            node.how_it_ended in ("end", "gave up", "BrokenLink", "ExceptionGroup")
            for node in laboratory.nodes
        )


# No shrinking: a graph is small enough to read, and one that runs into a time-out shrinks for minutes.
EXPLORE = settings(
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@settings(EXPLORE, max_examples=EXAMPLES, derandomize=True)  # the same ones each time: CI is no lottery
@given(plans())
def test_nothing_is_lost_duplicated_or_reordered(plan: Plan) -> None:
    check_plan(plan)


@pytest.mark.soak
@settings(EXPLORE, max_examples=10_000)
@given(plans())
def test_nothing_is_lost_duplicated_or_reordered_in_ten_thousand_systems(plan: Plan) -> None:
    check_plan(plan)


@settings(EXPLORE, max_examples=max(20, EXAMPLES // 10), derandomize=True)
@given(plans())
def test_the_same_plan_gives_the_same_trace(plan: Plan) -> None:
    first, second = run_plan(plan), run_plan(plan)
    assert first[1] == second[1]
    for one, other in zip(first[0].nodes, second[0].nodes, strict=True):
        assert (one.received, one.sent, one.how_it_ended) == (other.received, other.sent, other.how_it_ended)


# -- both forms of the core: what one does, the other does at the same step -----------------------------


def trace_of(plan: Plan, form: str) -> list[Any]:
    """Run a plan on a form of the core; return whose each step was, when, and in what it left everybody."""
    trace: list[Any] = []

    def look(process: Process) -> None:
        wait = process.wait
        waits = (
            None if wait is None else (wait.verb, [str(getattr(one, "outbox", one)) for one in wait.where])
        )
        assert process.scheduler is not None
        trace.append(
            (
                process.scheduler.loop.time(),
                process.path,
                process.outcome or process.state,
                waits,
                [inbox.statistics() for inbox in process.inboxes],
                [outbox.statistics() for outbox in process.outboxes],
            )
        )

    core.use(form)
    laboratory = Laboratory(plan)
    with on_every_step(look):
        try:
            virtually(laboratory, seed=1, slow_step=0)
        except Deadlock as error:
            trace.append(str(error))
    for node in laboratory.nodes:
        trace.append((node.received, node.sent, node.how_it_ended))
    return trace


@pytest.mark.one_core
@settings(EXPLORE, max_examples=EXAMPLES, derandomize=True)
@given(plans())
def test_both_forms_of_the_core_take_the_same_steps(plan: Plan) -> None:
    compare_forms(plan)


@pytest.mark.one_core
@pytest.mark.soak
@settings(EXPLORE, max_examples=10_000)
@given(plans())
def test_both_forms_of_the_core_take_the_same_steps_in_ten_thousand_systems(plan: Plan) -> None:
    compare_forms(plan)


def compare_forms(plan: Plan) -> None:
    plain, compiled = trace_of(plan, "plain"), trace_of(plan, "compiled")
    for number, (one, other) in enumerate(zip(plain, compiled, strict=False)):
        assert one == other, f"step {number}"
    assert len(plain) == len(compiled)


def test_the_laboratory_notices_a_lost_message():
    """A test that cannot fail is none: take a message away behind everybody's back."""
    plan = Plan(
        [
            NodePlan("coroutine", "iterate", 100, 10, 0, False),
            NodePlan("coroutine", "iterate", 100, 0, 0, False),
        ],
        [LinkPlan(0, 1)],
    )
    laboratory, _ = run_plan(plan)
    check(laboratory, complete=True)
    del laboratory.nodes[1].received[4]
    try:
        check(laboratory, complete=True)
    except AssertionError as error:
        assert "a gap" in str(error)
    else:
        raise AssertionError("the model did not notice")
