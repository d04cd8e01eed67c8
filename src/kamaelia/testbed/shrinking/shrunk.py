"""What is asked for, and what comes of it: `shrink` and `Shrunk`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...axon import UsageError, units
from ...axon.arguments import check_whole
from ...axon.clock import monotonic
from ..captures.pcapng import LONGEST
from ..network import Network
from ..simulated import Simulated, can_be_written
from .failure import Failure
from .plan import Plan
from .running import AllLinks, Subject, play, watched
from .search import CONTROLS, Goal, Search, Stage, describe, plans_of
from .writing import code_of

if TYPE_CHECKING:
    from ..trace import Trace

RUNS = 3000
"""How many runs are made at most, if nothing else is said."""
WITHIN = 60.0
"""Real seconds after which no run is begun any more, if nothing else is said."""


class NotShrunk(Exception):
    """There is nothing to be made smaller: the run does not fail, or not again."""


@dataclass(frozen=True)
class Shrunk:
    """The smallest failing run that was found. Made by `shrink`."""

    failure: Failure
    """How it fails, as the smallest run says it."""
    plan: Plan
    """What is left: parameters, seconds, hosts, links, faults."""
    whole: Plan
    """What there was."""
    seed: int | str
    """Of both."""
    runs: int
    """How many were made."""
    took: float
    """In real seconds."""
    stages: tuple[Stage, ...]
    """What was tried, in order, and what came of it."""
    control: str
    """By what it was seen that what fails fails for a reason (`search.CONTROLS`); empty for by nothing."""
    ended: str
    """Why it has ended before nothing more could be left out; empty if it has not."""
    link_count: int
    """How many links are left."""
    fingerprint: str
    """Of the trace of the smallest run; empty where it raises."""
    subject: Subject
    """What was run."""
    steps: Mapping[int, str]
    """What the steps of the scenario are that break something, by their numbers."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts, routers and switches that are left."""
        return tuple(name for name in self.plan.hosts if name not in self.plan.bypass)

    @property
    def faults(self) -> tuple[str, ...]:
        """What goes wrong in it, in words."""
        steps = [self.steps[one] for one in self.plan.steps if one in self.plan.breaking]
        return (*map(str, self.plan.faults), *steps)

    @property
    def title(self) -> str:
        """It in one sentence."""
        whole, plan = self.whole, self.plan
        hosts = f"{plan.host_count} of {whole.host_count} hosts"
        links = f"{self.link_count} of {len(whole.links)} links"
        faults = f"{plan.fault_count} of {whole.fault_count} faults"
        return f"It fails with {hosts}, {links} and {faults}, in {plan.seconds:g} s."

    def network(self) -> Network:
        """Return the smallest network, made anew, and ready to be simulated with `seed`."""
        return describe(self.subject, self.plan)

    def write(self, path: str | os.PathLike[str] = "failure.py", *, snaplen: int = LONGEST) -> list[Path]:
        """Write a file that runs it again, and one with its packets (pcapng) beside it; return both.

        ``python failure.py`` and ``kamaelia simulate failure.py`` fail as it does.

        Arguments:
            path: of the file of Python; the other has the same name with another ending
            snaplen: bytes that are kept of each packet at most

        Raises `UsageError` where that cannot be written down, such as for a scenario that is no function at
        the top level of a module.
        """
        path = Path(path)
        text = code_of(self.subject, self.plan, self._unjoined(), self.failure, self.title, path, self.seed)
        path.write_text(text, encoding="utf-8")
        packets = path.with_suffix(".pcapng")
        self.pcap(packets, snaplen=snaplen)
        return [path, packets]

    def pcap(self, path: str | os.PathLike[str], *, snaplen: int = LONGEST) -> None:
        """Run it once more, and write the packets of all its links to a file (pcapng)."""
        with Path(path).open("wb") as file:
            links = AllLinks(file, snaplen)
            try:
                play(self.subject, self.plan, begin=links.begin)
            finally:
                links.close()

    def _unjoined(self) -> Network:
        """Return the network before routers are bypassed, whose links are those of the scenario."""
        return replace(self, plan=replace(self.plan, bypass=())).network()

    def __str__(self) -> str:
        lines = [self.title, f"  {self.failure}"]
        lines += [f"  needs: {fault}" for fault in self.faults]
        lines += [f"  hosts: {', '.join(self.hosts)}", f"  {self.runs:,} runs in {self.took:.1f} s"]
        control = CONTROLS.get(self.control, "it fails as well without faults, and with other seeds")
        lines.append(f"  control: {control}")
        if self.ended:
            lines.append(f"  it may be smaller still: the search has ended early ({self.ended})")
        return "\n".join(lines)


def shrink(
    scenario: Callable[..., Any] | Simulated,
    parameters: Mapping[str, Any] | None = None,
    *,
    seed: int | str = 0,
    seconds: float | str | None = None,
    fails: Callable[[Trace], bool | str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    runs: int = RUNS,
    within: float | str | None = WITHIN,
    executor: Executor | None = None,
    jobs: int = 1,
    tell: Callable[[Stage], object] | None = None,
    **options: Any,
) -> Shrunk:
    """Find the smallest run that fails in the same way as one that is known to fail.

    Arguments:
        scenario: a function that describes a network and returns it, or a test over seeds (`simulated`)
        parameters: with which it fails; those that are left out have their defaults, which may get smaller,
            too, where they are numbers, quantities or lists
        seed: with which it fails
        seconds: of virtual time, or text; those of the test, or else 60
        fails: is given the trace of a run, and says whether it has failed, or how; if it is not given, a run
            has failed that raises something. A test says by itself when it has failed
        fixed: further arguments, which stay as they are
        runs: how many are made at most
        within: real seconds, or text, after which none is begun any more; None for without limit
        executor: where runs are made side by side, in processes, such as
            `concurrent.futures.ProcessPoolExecutor`; None for in this one
        jobs: how many at a time are given to the executor
        tell: is called with each `Stage` of the search when it is over
        options: further arguments of `Network.simulate`

    Raises `NotShrunk` when the run does not fail, or not again, `UsageError` for arguments that cannot be
    meant.

    Example:
        >>> from kamaelia import component, sleep
        >>> from kamaelia.testbed import Network
        >>> @component
        ... async def serve(inbox, outbox):
        ...     await sleep(10)
        ...     return "served"
        >>> def many(nodes=50):
        ...     network = Network()
        ...     for n in range(nodes):
        ...         network.host(f"node-{n}").run(serve)
        ...         network.at(f"{n / 100} s", network.hosts[f"node-{n}"].crash)
        ...         network.at("5 s", network.hosts[f"node-{n}"].restart)
        ...     return network
        >>> def late(trace):
        ...     return trace.metrics.seconds > 10
        >>> shrunk = shrink(many, fails=late)
        >>> shrunk.title
        'It fails with 1 of 50 hosts, 0 of 0 links and 1 of 50 faults, in 20 s.'
        >>> shrunk.faults
        ('crash of host node-0 at 0 s, until 5 s',)
    """
    began = monotonic()
    subject = replace(_subject(scenario, seed, seconds, fails, options), fixed=fixed or {})
    check_whole(f"shrink(runs={runs!r})", runs, "how many runs are made at most", 1)
    check_whole(f"shrink(jobs={jobs!r})", jobs, "how many runs are made at a time", 1)
    limit = None if within is None else units.seconds(within, "within")
    given = _all_parameters(subject, parameters or {})
    first, number, journal, network = watched(subject, given)
    if first.failure is None:
        raise NotShrunk(f"with seed {seed!r} it does not fail: there is nothing to make smaller")
    if journal is None or network is None:
        raise NotShrunk(f"it has failed before anything was simulated: {first.failure}")
    subject = replace(subject, number=number)
    goal = Goal.begin(subject, first, monotonic() - began)
    count = 1
    for plan in plans_of(journal, network, given, subject.seconds):
        count += 1
        again = play(subject, plan, goal.limits)
        if goal.fails(again):
            break
    else:
        raise NotShrunk(
            f"a second run with seed {seed!r} has not failed like the first ({first.failure}): it depends on "
            "more than the seed, and kamaelia.testbed.check says where two runs part"
        )
    for control in CONTROLS:
        passes, more = goal.passes(control, plan)
        count += more
        if passes:
            goal = replace(goal, control=control)
            break
    search = Search(
        goal,
        plan,
        seconds=again.seconds,
        runs=runs,
        within=limit,
        executor=executor,
        jobs=jobs if executor else 1,
        tell=tell,
    )
    search.go()
    last = play(subject, search.plan)
    assert last.failure is not None
    return Shrunk(
        failure=last.failure,
        plan=search.plan,
        whole=plan,
        seed=seed,
        runs=count + search.runs + 1,
        took=monotonic() - began,
        stages=tuple(search.stages),
        control=goal.control,
        ended=search.ended,
        link_count=len(search.network().links),
        fingerprint=last.fingerprint,
        subject=subject,
        steps={number: journal.describe(number) for number in sorted(plan.breaking)},
    )


def _subject(
    scenario: Any,
    seed: int | str,
    seconds: float | str | None,
    fails: Callable[[Trace], bool | str] | None,
    options: Mapping[str, Any],
) -> Subject:
    if isinstance(scenario, Network) or not (callable(scenario) or isinstance(scenario, Simulated)):
        raise UsageError(
            f"shrink({scenario!r}): give a function that describes the network, as it has to be described "
            "anew for each run"
        )
    test = getattr(scenario, "simulated", scenario)
    usual: float | str = 60.0
    own: dict[str, Any] = {}
    if isinstance(test, Simulated):
        if fails is not None:
            raise UsageError(
                f"shrink(fails={fails!r}): {test.name} is a test, which says by itself when it fails"
            )
        usual, own = test.seconds, dict(test.options)
    elif fails is not None:
        own = {"errors": "collect"}
    length = units.seconds(usual if seconds is None else seconds, "seconds")
    unfit = {"remote", "inspect", "studio", "capture", "seed"}.intersection(options)
    if unfit:
        raise UsageError(f"shrink({sorted(unfit)[0]}=...): that is for a single run")
    return Subject(scenario, seed, length, fails, {**own, **options})


def _all_parameters(subject: Subject, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with which something is called, with the defaults that could be simpler."""
    test = subject.test
    function = subject.scenario if test is None else test.body
    found = dict(given)
    try:
        signature = test.signature if test is not None else inspect.signature(function)
    except (TypeError, ValueError):  # of what is called by other means
        return found
    for name, one in signature.parameters.items():
        is_value = isinstance(one.default, (int, float, str, list, tuple))
        if name not in found and name not in subject.fixed and is_value and can_be_written(one.default):
            found[name] = one.default
    return found
