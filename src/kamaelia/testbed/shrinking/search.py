"""The search for the smallest run that still fails in the same way.

It goes over what a run is made of, one kind after the other, and again until nothing gets smaller:

1. *faults*: which are needed (`ddmin`), of those that have really happened;
2. *time*: how long the run has to be (bisection over round numbers);
3. *hosts*: which are needed, first of those that run something, then routers and switches; then *links*;
4. *settings*: which links need which of their loss, jitter, rate, queue, ..., and a delay that is not the one
   that most have;
5. *parameters* of the scenario: numbers, and quantities such as ``"5 %"``, towards 0, lists to fewer items;
6. *routers* that only join two or three others: links in their place;
7. *moments*: those of the faults to fewer digits.

Each candidate is one run with the same seed. As all random streams have names, what is left draws the same
numbers as before. No other seeds are tried for it: then it would be another failure that one looks at. A
candidate that fails is one only if a control of it passes (`CONTROLS`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ...axon.clock import monotonic
from ..network import Network
from .acts import Act, Fault, Journal, faults_of
from .failure import Failure
from .minimising import ddmin, simpler, smallest
from .plan import Plan, can_be_bypassed, settings_of, usual_delay
from .running import Limits, Played, Subject, play

T = TypeVar("T")

CONTROLS = {
    "faults": "without faults it passes",
    "links": "without faults, and with plain links, it passes",
    "seeds": "with another seed it passes",
}
"""What has to be true of a candidate, by which it is seen that it fails for a reason: the first that is true
of the whole run."""
SEEDS = 5
"""Other seeds that are tried for that, at most."""
SHORTEST = 0.001
"""Virtual seconds that a run takes, at least."""
ROUNDS = 4
"""How often all is gone over, at most."""
PATIENCE = 20
"""Times as much as the first run a candidate may take, of turns of the clock and of real time, ..."""
SLACK, SLACK_SECONDS = 100_000, 1.0
"""... and so much more."""
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(\s*[^\d\s].*)?")


class Exhausted(Exception):
    """No more runs are to be made; as text, why."""


@dataclass(frozen=True)
class Stage:
    """What came of going over one kind of thing."""

    what: str
    before: str
    """What there was of it."""
    after: str
    runs: int
    """How many were made for it."""

    def __str__(self) -> str:
        came = f"{self.before} > {self.after}" if self.before != self.after else self.before
        return f"{self.what:<10} {came}, {self.runs:,} run{'' if self.runs == 1 else 's'}"


@dataclass(frozen=True)
class Goal:
    """What is tried, and when it counts as the same failure; all of it is known to other processes, too."""

    subject: Subject
    failure: Failure
    limits: Limits
    control: str = ""
    """How it is seen that it is not just anything that fails, one of `CONTROLS`; empty for not at all."""

    @classmethod
    def begin(cls, subject: Subject, first: Played, took: float) -> Goal:
        """Return the goal that a first run has shown, which has taken so much real time."""
        assert first.failure is not None
        limits = Limits(PATIENCE * first.turns + SLACK, PATIENCE * took + SLACK_SECONDS)
        return cls(subject, first.failure, limits)

    def judge(self, plan: Plan) -> tuple[bool, int]:
        """Say whether a plan fails as it should, and how many runs it took to see."""
        if not plan.hosts:
            return False, 0
        if not self.fails(play(self.subject, plan, self.limits)):
            return False, 1
        passes, runs = (True, 0) if not self.control else self.passes(self.control, plan)
        return passes, 1 + runs

    def passes(self, control: str, plan: Plan) -> tuple[bool, int]:
        """Say whether a plan passes that has only a little changed, and how many runs it took to see."""
        if control == "seeds":
            for number in range(1, SEEDS + 1):
                other = replace(self.subject, seed=f"{self.subject.seed}, control {number}")
                if play(other, plan, self.limits).failure is None:
                    return True, number
            return False, SEEDS
        quiet = plan.quiet(control == "links")
        if quiet.key == plan.key:
            return False, 0
        return play(self.subject, quiet, self.limits).failure is None, 1

    def fails(self, played: Played) -> bool:
        """Say whether a run has failed in the same way; if there is no control, with the same words, too."""
        failure = played.failure
        if failure is None or not failure.is_like(self.failure):
            return False
        return bool(self.control) or self.failure.is_event or failure.said == self.failure.said


class Search:
    """One search.

    Arguments:
        goal: what is looked for
        plan: from where it begins
        seconds: of virtual time that this takes
        runs: how many may be made
        within: real seconds after which none is begun any more; None for without limit
        executor: where they are made side by side; None for here
        jobs: how many at a time
        tell: is called with each stage when it is over
    """

    def __init__(
        self,
        goal: Goal,
        plan: Plan,
        *,
        seconds: float,
        runs: int,
        within: float | None,
        executor: Executor | None,
        jobs: int,
        tell: Callable[[Stage], object] | None,
    ) -> None:
        self.goal = goal
        self.plan = plan
        """The smallest so far."""
        self.runs = 0
        """How many were made."""
        self.stages: list[Stage] = []
        self.ended = ""
        """Why it has ended before nothing could be left out any more."""
        self._most = runs
        self._until = None if within is None else monotonic() + within
        self._executor = executor
        self._jobs = jobs
        self._tell = tell
        self._known: dict[str, bool] = {}
        self._settle = max(0.0, seconds - max((fault.last for fault in plan.faults), default=0.0))

    # -- trying -------------------------------------------------------------------------------------------

    def first(self, plans: Sequence[Plan]) -> int | None:
        """Try candidates, and go on with the first of them that fails; return which that is."""
        for begin in range(0, len(plans), self._jobs):
            batch = plans[begin : begin + self._jobs]
            self._judge_all([plan for plan in batch if plan.key not in self._known])
            for number, plan in enumerate(batch, begin):
                if self._known[plan.key]:
                    self.plan = plan
                    return number
        return None

    def _judge_all(self, plans: Sequence[Plan]) -> None:
        if not plans:
            return
        if self.runs >= self._most:
            raise Exhausted(f"{self._most:,} runs were made")
        if self._until is not None and monotonic() > self._until:
            raise Exhausted("its time was over")
        if self._executor is None:
            judged = [self.goal.judge(plan) for plan in plans]
        else:
            judged = [
                one.result() for one in [self._executor.submit(self.goal.judge, plan) for plan in plans]
            ]
        for plan, (fails, runs) in zip(plans, judged, strict=True):
            self._known[plan.key] = fails
            self.runs += runs

    def tries(self, make: Callable[[T], Plan]) -> Callable[[Sequence[T]], int | None]:
        """Return what tries things of which plans are made."""
        return lambda candidates: self.first(list(map(make, candidates)))

    # -- going over everything ----------------------------------------------------------------------------

    def go(self) -> None:
        """Look until nothing gets smaller any more, or no more may be tried."""
        self._known[self.plan.key] = True
        stages: list[tuple[str, Callable[[], object], Callable[[Plan], object]]] = [
            ("faults", self._faults, lambda plan: plan.fault_count),
            ("seconds", self._seconds, lambda plan: f"{plan.seconds:g}"),
            ("hosts", self._hosts, lambda plan: plan.host_count),
            ("links", self._links, lambda plan: len(plan.links)),
            ("settings", self._settings, lambda plan: sum(len(names) for _, names in plan.links)),
            ("parameters", self._parameters, lambda plan: _shown(plan.parameters)),
            ("routers", self._bypass, lambda plan: plan.host_count),
            ("moments", self._moments, _digits),
        ]
        try:
            for _ in range(ROUNDS):
                before = self.plan.key
                for name, stage, measure in stages:
                    self._do(name, stage, measure)
                if self.plan.key == before:
                    break
        except Exhausted as error:
            self.ended = str(error)
        except KeyboardInterrupt:
            self.ended = "Ctrl-C"

    def _do(self, name: str, stage: Callable[[], object], measure: Callable[[Plan], object]) -> None:
        before, runs = str(measure(self.plan)), self.runs
        try:
            stage()
        finally:
            done = Stage(name, before, str(measure(self.plan)), self.runs - runs)
            if done.runs:
                self.stages.append(done)
                if self._tell is not None:
                    self._tell(done)

    def _faults(self) -> None:
        plan = self.plan
        steps = [one for one in plan.steps if one in plan.breaking]
        others = tuple(one for one in plan.steps if one not in plan.breaking)

        def with_faults(kept: tuple[Fault | int, ...]) -> Plan:
            return replace(
                plan,
                faults=tuple(one for one in kept if isinstance(one, Fault)),
                steps=tuple(sorted((*others, *(one for one in kept if isinstance(one, int))))),
            )

        items: tuple[Fault | int, ...] = (*plan.faults, *steps)
        ddmin(items, self.tries(with_faults))
        plan = self.plan
        kept_faults = tuple(one for one in plan.steps if one in plan.breaking)
        ddmin(
            tuple(one for one in plan.steps if one not in plan.breaking),
            self.tries(lambda kept: replace(plan, steps=tuple(sorted((*kept_faults, *kept))))),
        )

    def _seconds(self) -> None:
        plan = self.plan
        if not self.goal.control and not self.goal.failure.is_event:
            return  # at the end it is judged what has not come: sooner there would be still less
        least = 0.0
        if plan.fault_count and not self.goal.failure.is_event:
            # To recover from the last fault, there is to be as much time as there was.
            least = max((fault.last for fault in plan.faults), default=0.0) + self._settle
            if len(plan.faults) < plan.fault_count:
                return  # nobody knows when the scenario's own steps have ended
        lengths = [one for one in simpler(float(plan.seconds)) if one >= max(least, SHORTEST)]
        smallest(lengths, self.tries(lambda length: replace(plan, seconds=float(length))))

    def _hosts(self) -> None:
        passive = joining(self.network())
        for busy in (True, False):
            plan = self.plan
            items = tuple(name for name in plan.hosts if (name not in passive) is busy)
            others = frozenset(plan.hosts).difference(items)

            def with_hosts(kept: tuple[str, ...], plan: Plan = plan, others: frozenset[str] = others) -> Plan:
                names = others.union(kept)
                return replace(plan, hosts=tuple(name for name in plan.hosts if name in names))

            ddmin(items, self.tries(with_hosts))

    def _links(self) -> None:
        plan = self.plan
        ddmin(plan.links, self.tries(lambda kept: replace(plan, links=kept)))

    def _settings(self) -> None:
        plan = self.plan
        items = tuple((link, name) for link, names in plan.links for name in names)

        def with_settings(kept: tuple[tuple[str, str], ...]) -> Plan:
            wanted = frozenset(kept)
            return replace(
                plan,
                links=tuple(
                    (link, tuple(name for name in names if (link, name) in wanted))
                    for link, names in plan.links
                ),
            )

        ddmin(items, self.tries(with_settings))

    def _parameters(self) -> None:
        for name in self.plan.parameters:
            value = self.plan.parameters[name]

            def with_value(one: Any, name: str = name) -> Plan:
                return replace(self.plan, parameters={**self.plan.parameters, name: one})

            if type(value) is list:
                ddmin(value, self.tries(lambda kept, make=with_value: make(list(kept))))  # type: ignore[misc]
            elif type(value) is tuple:
                ddmin(value, self.tries(with_value))
            else:
                smallest(_simpler_values(value), self.tries(with_value))

    def _bypass(self) -> None:
        refused: set[str] = set()
        while True:
            network, plan = self.network(), self.plan
            able = [name for name in joining(network) if can_be_bypassed(network, name)]
            able = [name for name in able if name not in refused]
            if not able:
                return
            name = min(able, key=lambda one: links_at(network, one))  # from the edges inward
            if self.first([replace(plan, bypass=(*plan.bypass, name))]) is None:
                refused.add(name)

    def _moments(self) -> None:
        for number in range(len(self.plan.faults)):
            for digits in range(4):
                plan = self.plan
                rounded = tuple(
                    _rounded(fault, digits) if fault is plan.faults[number] else fault
                    for fault in plan.faults
                )
                candidate = replace(plan, faults=rounded)
                if candidate.key == plan.key or self.first([candidate]) == 0:
                    break

    # -- what there is ------------------------------------------------------------------------------------

    def network(self) -> Network:
        """Return the network of the smallest plan so far, without a run."""
        return describe(self.goal.subject, self.plan)


def joining(network: Network) -> list[str]:
    """Return the hosts that only pass on what others send."""
    return [name for name, host in network.hosts.items() if host.kind != "host" and not host.patterns]


def links_at(network: Network, name: str) -> int:
    """Return how many links a host has."""
    return sum(name in (link.a.name, link.b.name) for link in network.links)


class _Taken(BaseException):
    """The network has been described, and that was all that was wanted."""


def describe(subject: Subject, plan: Plan) -> Network:
    """Return the network of a plan; those that a test simulates before it are run for that."""
    found: list[Network] = []
    count = 0

    def simulate(network: Network, seed: int | str) -> Any:
        nonlocal count
        count += 1
        if count == subject.number:
            found.append(plan.apply(network))
            raise _Taken
        return network.simulate(subject.seconds, seed=seed, **subject.options)

    with suppress(_Taken):
        subject.once(plan.parameters, simulate)
    return found[0]


# -- where it begins ---------------------------------------------------------------------------------------


def plans_of(journal: Journal, network: Network, parameters: Mapping[str, Any], seconds: float) -> list[Plan]:
    """Return plans for the whole of a run, the one in which most is known first.

    In the first, all that was done to the network is done at the same moments; in the second, only steps that
    do nothing else are replaced by what they have done; in the last none.
    """
    steps = range(len(journal.acts))
    breaking = frozenset(
        number for number in steps if journal.acts[number] or not journal.is_whole[number]
    ) | {number for number in steps if journal.kinds[number] == "disturb"}
    known = [
        number
        for number in steps
        if journal.is_whole[number]
        and journal.kinds[number] != "when"
        and (journal.acts[number] or journal.kinds[number] == "disturb")
    ]
    pure = [number for number in known if journal.is_pure[number]]
    delay = usual_delay(network)
    found: list[Plan] = []
    for replaced in (known, pure, []):
        acts: list[Act] = [act for number in replaced for act in journal.acts[number]]
        plan = Plan(
            parameters=parameters,
            seconds=seconds,
            hosts=tuple(network.hosts),
            links=settings_of(network, delay),
            delay=delay,
            faults=tuple(faults_of(acts)),
            steps=tuple(number for number in steps if number not in replaced),
            breaking=breaking,
        )
        if plan.key not in [one.key for one in found]:
            found.append(plan)
    return found


# -- values -----------------------------------------------------------------------------------------------


def _simpler_values(value: Any) -> Sequence[Any]:
    """Return values that are simpler than one, the simplest first.

    >>> _simpler_values("5 %")[:2], _simpler_values(True), _simpler_values("a name")
    (['0 %', '1 %'], [False], [])
    """
    if isinstance(value, bool):
        return [False] if value else []
    if isinstance(value, (int, float)):
        return simpler(value)
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return []
    number = float(found[1])
    lower = simpler(int(number) if number.is_integer() else number)
    return [f"{one:g}{found[2] or ''}" for one in lower]


def _rounded(fault: Fault, digits: int) -> Fault:
    begin, end = (_round(act, digits) for act in (fault.begin, fault.end))
    assert begin is not None
    return Fault(begin, end)


def _round(act: Act | None, digits: int) -> Act | None:
    if act is None or act.at is None:
        return act
    args = tuple(round(one, digits) or one for one in act.args) if act.verb == "pause" else act.args
    return replace(act, at=round(act.at, digits), args=args)


def _digits(plan: Plan) -> str:
    acts = [act for fault in plan.faults for act in fault.acts]
    numbers = [act.at for act in acts if act.at is not None]
    numbers += [act.args[0] for act in acts if act.verb == "pause"]
    return f"{sum(len(f'{one:.9f}'.rstrip('0').partition('.')[2]) for one in numbers)} digits"


def _shown(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items()) or "none"
