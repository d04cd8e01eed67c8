"""A contest: the same work done by several programs, which take turns; what counts is the median.

Each contestant is a program of its own that does its work once and prints one line of JSON (`peers`). They
run round by round, A B C, C B A, A B C, so that a machine that is slower for a minute is so for all of them.
Before the first round each is run with little work, and then more, until it is known how much takes about a
second: what it takes to start hardly counts then, and a slow one need not do as much as a fast one. (The
figures are rates, or something for each, so this changes nothing in the comparison.)
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .programs import ROOT, C, Missing, Program, last_line

AMOUNT = "AMOUNT"  # stands among a contestant's arguments for how much work it is to do
SECONDS = 1.0  # what a round should take
ENOUGH = 0.1  # seconds after which a trial says how fast a program is

Line = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """One figure of the line of JSON."""

    key: str
    what: str
    unit: str = "/s"  # "/s", "B", "B/s", "s", "ms", "%", or nothing for a number
    more_is_better: bool = True


def latencies(what: str) -> tuple[Measure, Measure]:
    """Return the two figures of how long something takes that is so called, in the plural."""
    return (
        Measure("p50", f"half of the {what} within", "s", more_is_better=False),
        Measure("p99", f"99 of 100 {what} within", "s", more_is_better=False),
    )


@dataclass(frozen=True)
class Target:
    """What the figure has to be: so many times that of somebody else, or, beside nobody, so much.

    At least, of a measure of which more is better, or else at most.
    """

    bound: float
    beside: str | None = None
    measure: str = "rate"


@dataclass(frozen=True)
class Contestant:
    """A program, and what it is told."""

    name: str
    program: Program
    arguments: tuple[str | int, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    first: int = 1000  # the amount of work of the first trial
    step: int = 1  # the amount is a multiple of this
    one_core: bool = True  # an interpreter uses no more at a time, and moving between cores is noise
    rounds: int | None = None  # no more than these, for one that is very slow
    limit: float = 120.0  # seconds

    @property
    def sized(self) -> bool:
        return AMOUNT in self.arguments

    def run(self, amount: int) -> Line:
        """Do the work once."""
        words = [str(amount) if word == AMOUNT else str(word) for word in self.arguments]
        command = [*self.program.command(), *words]
        core = cores()[-1] if self.one_core else None
        return run_line(command, self.environ, core, self.limit)


@dataclass(frozen=True)
class Server(Contestant):
    """A server on one core, with load from a compiled client on the other, which is told `load`."""

    load: tuple[int | str, ...] = ()
    client: str = "load"

    def run(self, amount: int) -> Line:
        client = C(self.client).command()
        with self.served() as (_, about):
            words = [str(word) for word in (about["port"], *self.load)]
            return about | run_line([*client, *words], {}, cores()[0], self.limit)

    @contextlib.contextmanager
    def served(self) -> Iterator[tuple[subprocess.Popen[str], Line]]:
        """Start the server, and yield its process and what it has said about itself."""
        command = [*self.program.command(), *map(str, self.arguments)]
        with started(command, self.environ, cores()[-1]) as process:
            yield process, first_line(process)


@dataclass(frozen=True)
class Held(Server):
    """The same with a client that holds all its connections open and seldom says something."""

    def run(self, amount: int) -> Line:
        connections = int(self.load[0])
        check_open_files(connections + 100)
        client = C("hold").command()
        with self.served() as (server, about):
            before = resident(server.pid)
            words = [str(word) for word in (about["port"], *self.load)]
            with started([*client, *words], {}, cores()[0]) as process:
                opened = first_line(process)["open"]
                memory = resident(server.pid) - before
                try:
                    said, errors = process.communicate("go on\n", timeout=self.limit)
                except subprocess.TimeoutExpired:
                    raise Missing(f"took longer than {self.limit:g} s") from None
                if process.returncode != 0:
                    raise Missing(last_line(errors))
                return about | json.loads(said) | {"open": opened, "memory": memory / max(1, opened)}


@dataclass(frozen=True)
class Contest:
    """Some work, who does it, and what is wanted of the first of them, which is ours."""

    name: str
    work: str
    measures: tuple[Measure, ...]
    contestants: tuple[Contestant, ...]
    targets: tuple[Target, ...] = ()
    times_rounds: float = 1.0  # less for what takes many seconds each time
    times_seconds: float = 1.0  # more for what has to get going first


@dataclass
class Taken:
    """What came of one contestant's rounds; or why there were none."""

    contestant: Contestant
    lines: list[Line] = field(default_factory=list)
    amount: int = 0
    not_run: str = ""

    def values(self, measure: str) -> list[float]:
        return [line[measure] for line in self.lines]


# --- running ----------------------------------------------------------------------------------------


def cores() -> list[int]:
    """Return the cores that may be used."""
    return sorted(os.sched_getaffinity(0))


@contextlib.contextmanager
def started(
    command: list[str], environ: Mapping[str, str], core: int | None
) -> Iterator[subprocess.Popen[str]]:
    """Start a program on a core of its own, and see that it is gone afterwards."""

    def settle() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    environment = {**os.environ, **environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as where somebody has installed what they run
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        cwd=ROOT,
        env=environment,
        preexec_fn=settle,
        process_group=0,  # some of them start others
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def first_line(process: subprocess.Popen[str], limit: float = 60.0) -> Line:
    """Return the first line of JSON that a program prints; it goes on running."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], limit)[0]:
        raise Missing(f"said nothing within {limit:g} s")
    text = process.stdout.readline()
    if not text:
        raise Missing(last_line(process.communicate()[1]))
    line: Line = json.loads(text)
    return line


def run_line(command: list[str], environ: Mapping[str, str], core: int | None, limit: float) -> Line:
    """Run a program to its end, and return the line of JSON that it has printed; else raise `Missing`."""
    with started(command, environ, core) as process:
        try:
            output, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise Missing(f"took longer than {limit:g} s") from None
        if process.returncode != 0:
            raise Missing(last_line(errors))
        line: Line = json.loads(output.splitlines()[-1])
        return line


def check_open_files(number: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < number:
        raise Missing(f"a process may open {hard} files here, and this takes {number}")


def resident(pid: int) -> int:
    """Return how many bytes of memory a process holds."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def find_amount(run: Callable[[int], Line], first: int, step: int, seconds: float) -> int:
    """Return how much work takes about so many seconds, found by trying."""
    amount = max(step, first // step * step)
    while True:
        took = run(amount)["seconds"]
        if took >= min(ENOUGH, seconds):
            return max(step, int(amount * seconds / took) // step * step)
        amount *= 10


def take(
    contest: Contest, rounds: int, seconds: float = SECONDS, tell: Callable[[str], object] = print
) -> list[Taken]:
    """Run a contest."""
    rounds = max(1, round(rounds * contest.times_rounds))
    seconds *= contest.times_seconds
    all_taken = [Taken(contestant) for contestant in contest.contestants]
    tell(f"{contest.name}: {rounds} rounds of {len(all_taken)} programs")
    for taken in all_taken:
        one = taken.contestant
        try:
            if one.sized:
                taken.amount = find_amount(one.run, one.first, one.step, seconds)
            else:
                one.program.command()
        except (Missing, OSError, ValueError, KeyError) as error:
            _not_run(taken, error, tell)
    for number in range(rounds):
        for taken in all_taken if number % 2 == 0 else reversed(all_taken):
            if taken.not_run or number >= (taken.contestant.rounds or rounds):
                continue
            try:
                taken.lines.append(taken.contestant.run(taken.amount))
            except (Missing, OSError, ValueError, KeyError) as error:
                _not_run(taken, error, tell)
    return all_taken


def _not_run(taken: Taken, error: Exception, tell: Callable[[str], object]) -> None:
    """One that fails once is out: half of its rounds would be compared with all those of the others."""
    taken.not_run = (
        str(error) if isinstance(error, Missing) else last_line(f"{type(error).__name__}: {error}")
    )
    taken.lines.clear()
    tell(f"  not run: {taken.contestant.name}: {taken.not_run}")


# --- comparing --------------------------------------------------------------------------------------


def ratio_of(ours: list[float], theirs: list[float]) -> float | None:
    """Return how many times theirs ours is; None where there is nothing to compare."""
    if not ours or not theirs:
        return None
    other = statistics.median(theirs)
    return statistics.median(ours) / other if other else None


def is_met(value: float | None, bound: float | None, more_is_better: bool) -> bool | None:
    """Say whether a figure or ratio is what was wanted; None where nothing was, or it could not be told."""
    if value is None or bound is None:
        return None
    return value >= bound if more_is_better else value <= bound


def as_data(contest: Contest, all_taken: list[Taken]) -> dict[str, Any]:
    """Return all of a contest as plain data, which is what is kept, and what tables are made of."""
    ours = all_taken[0]
    contestants: list[dict[str, Any]] = []
    comparisons: list[dict[str, Any]] = []
    for taken in all_taken:
        entry: dict[str, Any] = {"name": taken.contestant.name}
        if taken.not_run or not taken.lines:
            entry["not_run"] = taken.not_run or "no rounds"
        else:
            entry["about"] = taken.lines[0].get("about", "")
            if taken.amount:
                entry["amount"] = taken.amount
            entry["figures"] = {
                measure.key: {
                    "median": statistics.median(taken.values(measure.key)),
                    "rounds": taken.values(measure.key),
                }
                for measure in contest.measures
            }
        contestants.append(entry)
    bounds = {(target.measure, target.beside): target.bound for target in contest.targets}
    for measure in contest.measures:
        own = ours.values(measure.key)
        bound = bounds.pop((measure.key, None), None)
        value = statistics.median(own) if own else None
        if bound is not None:
            met = is_met(value, bound, measure.more_is_better)
            comparisons.append({"measure": measure.key, "beside": None, "bound": bound, "met": met})
        for taken in all_taken[1:]:
            bound = bounds.pop((measure.key, taken.contestant.name), None)
            ratio = ratio_of(own, taken.values(measure.key))
            met = is_met(ratio, bound, measure.more_is_better)
            comparisons.append(
                {
                    "measure": measure.key,
                    "beside": taken.contestant.name,
                    "ratio": ratio,
                    "bound": bound,
                    "met": met,
                }
            )
    if bounds:
        raise ValueError(f"{contest.name}: targets beside nobody who takes part: {sorted(map(str, bounds))}")
    return {
        "work": contest.work,
        "measures": {
            measure.key: {
                "what": measure.what,
                "unit": measure.unit,
                "more_is_better": measure.more_is_better,
            }
            for measure in contest.measures
        },
        "contestants": contestants,
        "comparisons": comparisons,
    }
