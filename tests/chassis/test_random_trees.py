"""Random trees of supervisors under random kills, against a model of what they promise.

A tree is a chain of leaves, cut into members, pipelines and supervisors within supervisors, at random.
Numbered messages go through it while a killer throws exceptions into leaves, and cancels members, at random
times. Each leaf notes what it has taken and what it has sent. The model is a set of books:

- What a leaf takes is, in order and without doubles, what the one before it has sent; what is missing was
  dropped and counted, or is counted as unread in a queue that died with its supervisor or pipeline.
- What a leaf has taken it has sent, but for one message in hand in a life that did not end by itself. Of a
  member that failed that message is in the `Failure`.
- Nobody sees an end before the source has ended, or the system is stopped.
- A stop finishes what was accepted, within its grace.
- A supervisor gives up exactly when there were too many ends in its period; then its own supervisor has a
  failure more, and the outermost fails the run.
- Afterwards nothing is left.

`make soak` runs thousands of examples, CI some; a failing one prints how to run it again.
"""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kamaelia import Component, Graphline, Inbox, Outbox, Pipeline, clock, sleep
from kamaelia.axon import Cancelled, ComponentsFailed, Failure, postman
from kamaelia.chassis import Backoff, RestartsExceeded, Supervisor

from ..axon.parts import Stop, virtually

EXAMPLES = int(os.environ.get("KAMAELIA_EXAMPLES", "100"))
COUNT = 60  # messages
PACE = 0.005  # seconds between two of them
TAIL = 10  # messages at the end which nobody disturbs: they come much later
LATER = 200.0  # seconds
GRACE = 30.0  # seconds that a stopped tree has to finish what it was sent


class Killed(Exception):
    """What the killer throws."""


# -- what a tree is ---------------------------------------------------------------------------------


@dataclass
class LeafPlan:
    body: str
    size: int
    pause: int  # milliseconds for each message
    number: int = -1


@dataclass
class PipePlan:
    parts: list[LeafPlan]


@dataclass
class TreePlan:
    strategy: str
    intensity: int
    period: float
    first: float  # of the back-off, in seconds
    members: list[Any]


@dataclass
class Kill:
    at: int  # milliseconds
    leaf: int
    how: str


@dataclass
class Plan:
    tree: TreePlan
    kills: list[Kill]
    stop: int | None = None  # milliseconds: when the system is stopped
    debug: bool = False


@dataclass
class Ledger:
    """What everybody notes; given to all as an argument, so it is shared by all lives."""

    leaves: dict[int, list[Leaf]] = field(default_factory=dict)
    trees: list[Tree] = field(default_factory=list)
    source: list[int] = field(default_factory=list)
    source_ended: float | None = None

    def __repr__(self) -> str:
        return "Ledger()"


class Leaf(Component):
    """Passes messages on, and notes it."""

    inbox = Inbox[int]("numbers", size=100)
    outbox = Outbox[int]("the same")

    def __init__(self, ledger: Ledger, plan: LeafPlan) -> None:
        self.ledger, self.plan = ledger, plan
        self.inbox.resize(plan.size)
        self.taken: list[int] = []
        self.sent: list[int] = []
        self.how_it_ended = "not yet"
        self.ended_at: float | None = None
        self.fail_next = False

    def note_life(self) -> None:
        self.ledger.leaves.setdefault(self.plan.number, []).append(self)

    def take(self, message: int) -> int:
        self.taken.append(message)
        if self.fail_next:
            raise Killed(f"leaf {self.plan.number}")
        return message

    def put(self, message: int) -> Any:
        waiting = self.outbox.send(message)
        self.sent.append(message)
        return waiting

    def note_end(self, how: str) -> None:
        self.how_it_ended = how
        self.ended_at = clock()


class CoroutineLeaf(Leaf):
    async def main(self):
        self.note_life()
        try:
            async for message in self.inbox:
                self.take(message)
                if self.plan.pause:
                    await sleep(self.plan.pause / 1000)
                await self.put(message)
            self.note_end("end")
        except BaseException as error:
            self.note_end(type(error).__name__)
            raise


class GeneratorLeaf(Leaf):
    def main(self):
        self.note_life()
        try:
            while True:
                message = self.take((yield self.inbox.receive()))
                if self.plan.pause:
                    yield sleep(self.plan.pause / 1000)
                yield self.put(message)
        except BaseException as error:
            self.note_end("end" if type(error).__name__ == "EndOfMessages" else type(error).__name__)
            raise


class ScriptLeaf(Leaf):
    def __init__(self, ledger: Ledger, plan: LeafPlan) -> None:
        super().__init__(ledger, plan)
        # Only the loop's thread knows whether a script that is killed in a call has sent its message.
        postman.tap(self.outbox, callback=lambda tapped: self.sent.append(tapped.message))

    def main(self):
        self.note_life()
        try:
            for message in self.inbox:
                self.take(message)
                if self.plan.pause:
                    sleep(self.plan.pause / 1000)
                self.outbox.send(message)
            self.note_end("end")
        except BaseException as error:
            self.note_end(type(error).__name__)
            raise


BODIES = {"coroutine": CoroutineLeaf, "generator": GeneratorLeaf, "script": ScriptLeaf}


class Tree(Supervisor):
    """A supervisor that can be found again, and notes when a restart was asked of it."""

    def __init__(self, ledger: Ledger, plan: TreePlan) -> None:
        self.ledger, self.plan = ledger, plan
        self.asked: list[float] = []
        self.waits: list[list[float]] = []  # from when to when members waited for their restarts
        self.told: list[Failure] = []
        members = {f"m{n}": member_of(ledger, one) for n, one in enumerate(plan.members)}
        names = list(members)
        linkages = {("self", "inbox"): (names[0], "inbox"), (names[-1], "outbox"): ("self", "outbox")}
        for first, second in itertools.pairwise(names):
            linkages[first, "outbox"] = (second, "inbox")
        super().__init__(
            linkages=linkages,
            strategy=plan.strategy,  # type: ignore[arg-type]
            intensity=plan.intensity,
            period=plan.period,
            backoff=Backoff(first=plan.first, maximum=1.0),
            **members,
        )
        ledger.trees.append(self)

    def _start_again(self, member: Any, failure: Failure | None, ended: str = "") -> None:
        now = self.system.loop.time()
        self.asked.append(now)
        nobody_waits = not self._under_way
        super()._start_again(member, failure, ended)
        if nobody_waits and self._under_way:
            self.waits.append([now, math.inf])

    def _restarted(self, member: Any) -> None:
        super()._restarted(member)
        if not self._under_way:
            self.waits[-1][1] = self.system.loop.time()

    def awake_between(self, start: float, end: float) -> float:
        """Return the seconds between two times in which nobody waited for a restart."""
        waited = sum(max(0.0, min(end, last) - max(start, first)) for first, last in self.waits)
        return end - start - waited

    def _report(self, member: Any, failure: Failure, what: str) -> None:
        self.told.append(failure)
        super()._report(member, failure, what)


def member_of(ledger: Ledger, plan: Any) -> Component:
    if isinstance(plan, LeafPlan):
        return BODIES[plan.body](ledger, plan)
    if isinstance(plan, PipePlan):
        return Pipeline(*(member_of(ledger, part) for part in plan.parts))
    return Tree(ledger, plan)


def leaves_of(plan: Any) -> list[LeafPlan]:
    if isinstance(plan, LeafPlan):
        return [plan]
    parts = plan.parts if isinstance(plan, PipePlan) else plan.members
    return [leaf for part in parts for leaf in leaves_of(part)]


class Feed(Component):
    inbox = None
    outbox = Outbox[int]("numbers")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def main(self):
        for number in range(COUNT):
            await self.put(number)
            await sleep(PACE)
        await sleep(LATER)
        for number in range(COUNT, COUNT + TAIL):
            await self.put(number)
        self.ledger.source_ended = clock()

    async def put(self, number):
        waiting = self.outbox.send(number)
        self.ledger.source.append(number)
        await waiting


class Gather(Component):
    outbox = None

    def __init__(self) -> None:
        self.got: list[int] = []
        self.how_it_ended = ""

    async def main(self):
        try:
            async for number in self.inbox:
                self.got.append(number)
            self.how_it_ended = "end"
        except BaseException as error:
            self.how_it_ended = type(error).__name__
            raise


class Killer(Component):
    inbox = None
    outbox = None

    def __init__(self, ledger: Ledger, plan: Plan) -> None:
        self.ledger, self.kills, self.leaves = ledger, plan.kills, len(leaves_of(plan.tree))

    async def main(self):
        for kill in sorted(self.kills, key=lambda kill: kill.at):
            await sleep(kill.at / 1000 - clock())
            lives = self.ledger.leaves.get(kill.leaf % self.leaves, [])
            if lives and lives[-1].how_it_ended == "not yet":
                if kill.how == "throw":
                    throw(lives[-1])
                else:
                    whole = lives[-1].chassis
                    (whole if isinstance(whole, Pipeline) else lives[-1]).cancel()
        await sleep(LATER / 2 - clock())
        for lives in self.ledger.leaves.values():
            lives[-1].fail_next = False


def throw(leaf: Leaf) -> None:
    """Throw an exception into a leaf where it waits; if it does not, have it fail at its next message."""
    process = leaf._axon
    if process.wait is not None and process.wait.owner is process and process.script is None:
        process.resume(process.wait, Killed(f"leaf {leaf.plan.number}"))
    else:
        leaf.fail_next = True


# -- the plans --------------------------------------------------------------------------------------

leaf_plans = st.builds(
    LeafPlan,
    body=st.sampled_from(["coroutine"] * 4 + ["generator"] * 3 + ["script"]),
    size=st.sampled_from([1, 2, 5, 100]),
    pause=st.sampled_from([0, 0, 3, 9, 20, 40]),
)
pipe_plans = st.builds(PipePlan, st.lists(leaf_plans, min_size=2, max_size=3))


def tree_plans(depth: int) -> Any:
    members = st.one_of(leaf_plans, leaf_plans, pipe_plans, *([tree_plans(depth - 1)] if depth > 1 else []))
    return st.builds(
        TreePlan,
        strategy=st.sampled_from(["one_for_one", "rest_for_one", "one_for_all"]),
        intensity=st.sampled_from([0, 1, 2, 4, 50, 50, 50]),
        period=st.sampled_from([0.05, 0.2, 1.0, 5.0]),
        first=st.sampled_from([0.0, 0.01, 0.05]),
        members=st.lists(members, min_size=1, max_size=3),
    )


@st.composite
def plans(draw: Any) -> Plan:
    tree = draw(tree_plans(3))
    for number, leaf in enumerate(leaves_of(tree)):
        leaf.number = number
    kills = draw(
        st.lists(
            st.builds(
                Kill, st.integers(0, 900), st.integers(0, 20), st.sampled_from(["throw"] * 2 + ["cancel"])
            ),
            max_size=16,
        )
    )
    stop = draw(st.one_of(st.none(), st.none(), st.integers(0, 900)))
    return Plan(tree, kills, stop, draw(st.booleans()))


# -- the books --------------------------------------------------------------------------------------


@dataclass
class Run:
    plan: Plan
    ledger: Ledger
    gather: Gather
    root: Tree
    error: ComponentsFailed | None


def run_plan(plan: Plan) -> Run:
    ledger = Ledger()
    root, gather = Tree(ledger, plan.tree), Gather()
    error: ComponentsFailed | None = None
    parts = [Feed(ledger) | root | gather, Killer(ledger, plan)]
    if plan.stop is not None:
        parts.append(Stop(plan.stop / 1000, grace=GRACE))
    try:
        virtually(Graphline(*parts), seed=1, slow_step=0, debug=plan.debug)
    except ComponentsFailed as failed:
        error = failed
    return Run(plan, ledger, gather, root, error)


def first_leaf(plan: Any) -> int:
    return leaves_of(plan)[0].number


def lost_before(run: Run, number: int) -> int:
    """Return how many messages on their way to a leaf the books say are lost."""
    lost = sum(life.inbox.unread for life in run.ledger.leaves.get(number, []))
    for tree in run.ledger.trees:
        for plan, member in zip(tree.plan.members, tree._members, strict=True):
            if first_leaf(plan) == number:
                lost += member.inbox.unread + tree.statistics().members[member._axon.name].dropped
    return lost


def check_order(run: Run, plan: Plan) -> None:
    count = len(leaves_of(plan.tree))
    before, name = run.ledger.source, "the source"
    for number in range(count):
        lives = run.ledger.leaves.get(number, [])
        taken = [message for life in lives for message in life.taken]
        sent = [message for life in lives for message in life.sent]
        assert taken == sorted(set(taken)), f"leaf {number} has taken {taken}"
        assert set(taken) <= set(before), f"leaf {number} has taken what {name} has not sent"
        discarded = (
            0
            if number == 0
            else sum(life.outbox.statistics().discarded for life in run.ledger.leaves.get(number - 1, []))
        )
        missing = len(before) - len(taken)
        assert missing == lost_before(run, number) + discarded, (
            f"of what {name} has sent to leaf {number}, {missing} are missing, and the books say "
            f"{lost_before(run, number)} + {discarded}"
        )
        before, name = sent, f"leaf {number}"
    assert run.gather.got == before


def check_lives(run: Run) -> None:
    for lives in run.ledger.leaves.values():
        for life in lives:
            in_hand = life.taken[len(life.sent) :]
            assert life.taken[: len(life.sent)] == life.sent
            assert len(in_hand) <= (life.how_it_ended != "end"), f"{life!r} has lost {in_hand}"
            assert life.how_it_ended != "not yet"
            if life.how_it_ended == "end":
                ended = run.ledger.source_ended if run.plan.stop is None else run.plan.stop / 1000
                assert run.error is not None or (ended is not None and life.ended_at >= ended), (
                    f"{life!r} has seen an end too early"
                )
    for tree in run.ledger.trees:
        for failure in tree.told:
            if isinstance(failure.component, Leaf):
                taken = failure.component.taken
                assert failure.message == (taken[-1] if taken else None)
                assert isinstance(failure.error, (Killed, Cancelled))


def check_intensity(run: Run) -> None:
    for tree in run.ledger.trees:
        counts = [
            sum(tree.awake_between(when, now) <= tree.plan.period + 1e-9 for when in tree.asked[: index + 1])
            for index, now in enumerate(tree.asked)
        ]
        too_many = [count > tree.plan.intensity for count in counts]
        gave_up = any(isinstance(one, RestartsExceeded) for one in tree._axon.failures)
        assert gave_up == any(too_many), f"{tree!r}: {counts} at {tree.asked}"
        assert not any(too_many[:-1]), "it went on although there were too many"
    failed = any(isinstance(one, RestartsExceeded) for one in run.root._axon.failures)
    assert failed == (run.error is not None)
    if run.error is not None:
        assert [type(one) for one in run.error.exceptions] == [RestartsExceeded]


def check_end(run: Run) -> None:
    for component in (*run.ledger.trees, *(life for lives in run.ledger.leaves.values() for life in lives)):
        assert component._axon.state in ("ended", "new"), f"{component!r} is left"
    if run.error is None:
        assert run.gather.how_it_ended == "end"
        if run.plan.stop is not None:
            assert not any(member.inbox.unread for member in run.root._members)
            return
        assert run.gather.got[-TAIL:] == list(range(COUNT, COUNT + TAIL))
    else:
        assert run.gather.how_it_ended == "SourceFailed"


def check_plan(plan: Plan) -> Run:
    run = run_plan(plan)
    check_order(run, plan)
    check_lives(run)
    check_intensity(run)
    check_end(run)
    return run


EXPLORE = settings(
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@settings(EXPLORE, max_examples=EXAMPLES, derandomize=True)  # the same ones each time: CI is no lottery
@given(plans())
def test_rule_28_random_trees_keep_their_promises(plan: Plan) -> None:
    check_plan(plan)


@pytest.mark.soak
@settings(EXPLORE, max_examples=5_000)
@given(plans())
def test_rule_28_five_thousand_random_trees_keep_their_promises(plan: Plan) -> None:
    check_plan(plan)


@settings(EXPLORE, max_examples=max(10, EXAMPLES // 10), derandomize=True)
@given(plans())
def test_rule_28_the_same_plan_gives_the_same_trace(plan: Plan) -> None:
    def trace() -> Any:
        run = run_plan(plan)
        lives = {
            number: [(life.taken, life.sent, life.how_it_ended, life.ended_at) for life in lives]
            for number, lives in run.ledger.leaves.items()
        }
        return run.gather.got, lives, [tree.asked for tree in run.ledger.trees], str(run.error)

    assert trace() == trace()
