"""What has come of an experiment: all runs, and what they say together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import fsum, isnan, nan
from os import PathLike
from pathlib import Path
from typing import Any

from kamaelia.observe.tables import figures as shown
from kamaelia.observe.tables import percent, several, table

from ...axon import UsageError
from ...axon.errors import suggestion
from .intervals import Interval, holm, interval, p_value
from .run import Run, place_of

COLUMNS = 6
"""Of a table that is asked for nothing in particular."""
METHODS = {"t": "Student's t", "bca": "bootstrap, BCa", "percentile": "bootstrap, percentile"}


@dataclass(frozen=True)
class Group:
    """The runs of one combination of parameters, and what they have come to."""

    where: dict[str, Any]
    """The combination."""
    interval: Interval
    """The mean of the runs that went well, and an interval for that of all runs there could be."""
    values: dict[int | str, float]
    """Of each run that went well, by its seed."""
    failed: int
    """Runs that have failed; they are in no mean."""


@dataclass(frozen=True)
class Summary:
    """One number of all runs, by parameters. As text it is a table."""

    of: str
    """Which number."""
    by: tuple[str, ...]
    """By which parameters."""
    groups: tuple[Group, ...]

    def __str__(self) -> str:
        rows = [[*self.by, "runs", "failed", f"mean of {self.of}", "interval"]]
        for group in self.groups:
            ends = group.interval
            cells = [told(group.where[name]) for name in self.by]
            between = "-" if isnan(ends.low) else f"{shown(ends.low)} to {shown(ends.high)}"
            rows.append([*cells, f"{ends.count}", f"{group.failed}", shown_or_none(ends.mean), between])
        return table(rows) + _said_of([group.interval for group in self.groups])


@dataclass(frozen=True)
class Comparison:
    """Two values of a parameter, compared in pairs of runs with the same seed."""

    parameter: str
    first: Any
    second: Any
    of: str
    """Which number."""
    where: dict[str, Any]
    """With which other parameters; over those that are not named the mean is taken, for each seed."""
    interval: Interval
    """Of the second minus the first: the mean of the differences, and an interval for that of all seeds."""
    base: float
    """The mean of the first, over the same seeds."""
    p: float
    """How probable differences like these were, if there were none in truth: by Student's t."""
    adjusted: float
    """The same, if the comparisons that it was made with are looked at together (Holm)."""
    family: int = 1
    """How many comparisons these are."""
    unpaired: int = 0
    """Seeds that are left out, as one run of the two is not there or has failed."""

    @property
    def relative(self) -> float:
        """The mean difference as a share of the mean of the first; not a number when that is 0."""
        return self.interval.mean / abs(self.base) if self.base else nan

    def __str__(self) -> str:
        one = self.interval
        where = "".join(f", {name}={told(value)}" for name, value in self.where.items())
        text = f"{self.of}: {told(self.second)} minus {told(self.first)} ({self.parameter}{where}) is {one}"
        text += f": mean of {several(one.count, 'paired difference')}"
        if not isnan(one.low):
            text += f", with a {percent(one.confidence)} interval for that of all seeds"
            text += f" ({METHODS[one.method]})"
        if not isnan(self.relative):
            text += (
                f"; that is {'+' if self.relative > 0 else ''}{percent(self.relative)} of {shown(self.base)}"
            )
        text += f"; p {'' if self.p < 0.0001 else '= '}{p_text(self.p)}"
        if self.family > 1:
            text += f", {p_text(self.adjusted)} among {self.family} comparisons (Holm)"
        if self.unpaired:
            text += f"; {several(self.unpaired, 'seed')} left out, as a run has failed or is missing"
        return text


class Study:
    """The runs of an experiment. Made by `Experiment.run` and `Study.load`.

    Arguments:
        about: what is known of the experiment, as plain values
        points: the combinations of parameters
        seeds: those that each was to be run with
        runs: those that have been made, in the order of the combinations
        folder: where they are kept
    """

    def __init__(
        self,
        about: dict[str, Any],
        points: Sequence[dict[str, Any]],
        seeds: Sequence[int | str],
        runs: Sequence[Run],
        folder: Path | None = None,
    ) -> None:
        self.about = about
        """Scenario, sources, versions, hypotheses, and where the journal is."""
        self.points = list(points)
        """The combinations of parameters, as they are written down."""
        self.seeds = list(seeds)
        """With which each was to be run."""
        self.runs = list(runs)
        """All that have been made, failed ones, too."""
        self.folder = folder
        """Where the experiment keeps its journal; None for one that is kept nowhere, or was loaded."""
        self._parameters: dict[str, dict[Any, Any]] = {}
        for point in self.points:
            for name, value in point.items():
                self._parameters.setdefault(name, {}).setdefault(_place(name, value), value)
        # By names of parameters, and by their values: how many combinations there are, and the runs.
        self._indexes: dict[tuple[str, ...], dict[Any, tuple[int, list[Run]]]] = {}

    # -- what there is ----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What the experiment is called."""
        return str(self.about.get("name", "experiment"))

    @property
    def missing(self) -> int:
        """Runs that have not been made yet."""
        return len(self.points) * len(self.seeds) - len(self.runs)

    @property
    def failures(self) -> list[Run]:
        """Runs that have failed; each has a ``replay``."""
        return [run for run in self.runs if run.error is not None]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Each run as one flat row: parameters, seed, error, replay, took, fingerprint, and all numbers.

        A number that is called as a parameter or one of these is has ``outcome `` before its name.
        """
        rows = []
        for run in self.runs:
            row = {**run.parameters, "seed": run.seed}
            row |= {name: getattr(run, name) for name in ("error", "replay", "took", "fingerprint")}
            row |= {f"outcome {name}" if name in row else name: value for name, value in run.values.items()}
            rows.append(row)
        return rows

    @property
    def parameters(self) -> dict[str, list[Any]]:
        """All parameters with their values, in the order in which they were given."""
        return {name: list(values.values()) for name, values in self._parameters.items()}

    @property
    def swept(self) -> list[str]:
        """The parameters that have several values."""
        return [name for name, values in self.parameters.items() if len(values) > 1]

    @cached_property
    def measures(self) -> list[str]:
        """The names of all numbers; those of the outcome come first."""
        return list(dict.fromkeys([*self.outcomes, *(name for run in self.runs for name in run.figures)]))

    @cached_property
    def outcomes(self) -> list[str]:
        """The names of those that the experiment's own function has made."""
        return list(dict.fromkeys(name for run in self.runs for name in run.outcome))

    def interesting(self, most: int = COLUMNS) -> list[str]:
        """Return the outcomes; where there are none, numbers that are not the same in all runs."""
        if self.outcomes:
            return self.outcomes
        found = []
        for name in self.measures:
            values = {run.value(name) for run in self.runs} - {None}
            if len(values) > 1:
                found.append(name)
        # Sums come before what is of one host; of each, in the order in which they were measured.
        return sorted(found, key=lambda name: ": " in name)[:most]

    # -- what it says -----------------------------------------------------------------------------------

    def summary(
        self,
        of: str,
        by: str | Iterable[str] | None = None,
        *,
        confidence: float = 0.95,
        method: str = "t",
    ) -> Summary:
        """Return the mean of a number, by parameters, each with an interval.

        Arguments:
            of: its name, see `measures`
            by: parameters; all that have several values, if it is left out. Over the others the mean is
                taken for each seed, so that the interval is over seeds in any case
            confidence: the share of such intervals that is to have the true mean in it
            method: ``"t"``, ``"bca"`` or ``"percentile"`` (`kamaelia.testbed.experiments.intervals`)

        Raises `UsageError` for names that there are not.
        """
        self._check_measure(of)
        names = self.swept if by is None else [by] if isinstance(by, str) else list(by)
        for name in names:
            self._check_parameter(name)
        made = []
        for where in self._combinations(names):
            _, runs = self._group(where)
            values = self._by_seed(of, where)
            ends = interval(list(values.values()), confidence, method)
            made.append(Group(where, ends, values, sum(run.error is not None for run in runs)))
        return Summary(of, tuple(names), tuple(made))

    def compare(
        self,
        parameter: str,
        first: Any,
        second: Any,
        of: str,
        *,
        where: Mapping[str, Any] | None = None,
        confidence: float = 0.95,
        method: str = "t",
    ) -> Comparison:
        """Return how two values of a parameter differ, in pairs of runs with the same seed.

        Arguments:
            parameter: which
            first: one of its values
            second: another
            of: in which number
            where: values of other parameters; over those that are not named the mean is taken, for each seed
            confidence: see `summary`
            method: likewise

        Raises `UsageError` for names and values that there are not.
        """
        self._check_measure(of)
        where = dict(where or {})
        for name, value in {**where, parameter: first}.items():
            self._check_value(name, value)
        self._check_value(parameter, second)
        one = self._by_seed(of, {**where, parameter: first})
        other = self._by_seed(of, {**where, parameter: second})
        seeds = [seed for seed in self.seeds if seed in one and seed in other]
        differences = [other[seed] - one[seed] for seed in seeds]
        p = p_value(differences)
        return Comparison(
            parameter,
            first,
            second,
            of,
            where,
            interval(differences, confidence, method),
            fsum(one[seed] for seed in seeds) / len(seeds) if seeds else nan,
            p,
            p,
            unpaired=len(self.seeds) - len(seeds),
        )

    def compare_all(
        self,
        parameter: str,
        of: str,
        *,
        baseline: Any = None,
        each: bool = True,
        confidence: float = 0.95,
        method: str = "t",
    ) -> list[Comparison]:
        """Return how each value of a parameter differs from a baseline, corrected for their number (Holm).

        Arguments:
            parameter: which
            of: in which number
            baseline: the value that the others are compared with; the first, if it is left out
            each: compare for each combination of the other parameters by itself; else over all of them
            confidence: see `summary`; it is of each interval by itself
            method: likewise
        """
        self._check_parameter(parameter)
        values = self.parameters[parameter]
        first = values[0] if baseline is None else baseline
        self._check_value(parameter, first)
        others = [name for name in self.swept if name != parameter] if each else []
        made = [
            self.compare(parameter, first, value, of, where=where, confidence=confidence, method=method)
            for where in self._combinations(others)
            for value in values
            if _place(parameter, value) != _place(parameter, first)
            and self._group({**where, parameter: value})[0]
            and self._group({**where, parameter: first})[0]
        ]
        adjusted = holm([one.p for one in made])
        family = sum(not isnan(p) for p in adjusted)
        return [replace(one, adjusted=p, family=family) for one, p in zip(made, adjusted, strict=True)]

    def table(self, *of: str, confidence: float = 0.95, method: str = "t") -> str:
        """Return text: a row for each combination, with mean and interval of some numbers.

        Arguments:
            of: which; by default those that `interesting` returns
            confidence: see `summary`
            method: likewise
        """
        names = list(of) or self.interesting()
        summaries = [self.summary(name, confidence=confidence, method=method) for name in names]
        rows = [[*self.swept, "runs", *names]]
        failed = self.failures
        for place, group in enumerate(summaries[0].groups if summaries else ()):
            cells = [str(one.groups[place].interval) for one in summaries]
            rows.append([*map(told, group.where.values()), f"{len(self._group(group.where)[1])}", *cells])
        text = table(rows)
        text += _said_of([group.interval for one in summaries for group in one.groups])
        if failed:
            text += f"{several(len(failed), 'run')} of {len(self.runs):,} failed, and are in no mean\n"
        if self.missing:
            text += f"{several(self.missing, 'run')} still to be made\n"
        return text

    # -- where it goes ----------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write all runs, a row each, and what is known of the experiment beside them.

        As JSON, with the outcomes and no other figures, if the name ends in ``.json``; otherwise as Parquet,
        with all that was measured. Raises `UsageError` when duckdb is not installed, which that needs.
        """
        format_of(path).write(self, path)

    @staticmethod
    def load(path: str | PathLike[str]) -> Study:
        """Read what `save` has written. Raises `UsageError` for other files, and as `save` does."""
        study: Study = format_of(path).read(path)
        return study

    def report(self, path: str | PathLike[str], *, of: Iterable[str] | None = None) -> None:
        """Write a page of HTML that needs nothing else: plots, tables, code, versions, seeds, failures.

        Arguments:
            path: of the file
            of: the numbers that it shows; by default those that `interesting` returns
        """
        from .report import write

        write(self, path, None if of is None else list(of))

    def __repr__(self) -> str:
        return f"<study {self.name}: {len(self.runs):,} runs, {self.missing:,} missing>"

    # -- which runs -------------------------------------------------------------------------------------

    def _combinations(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Return the combinations that there are of some parameters, in the order of the points."""
        found: dict[Any, dict[str, Any]] = {}
        for point in self.points:
            where = {name: point[name] for name in names if name in point}
            found.setdefault(place_of(where), where)
        return list(found.values())

    def _group(self, where: Mapping[str, Any]) -> tuple[int, list[Run]]:
        """Return how many combinations have some values, and their runs."""
        names = tuple(sorted(where))
        if names not in self._indexes:
            index = self._indexes[names] = {}
            for point in self.points:
                place = place_of({name: point[name] for name in names if name in point})
                count, runs = index.setdefault(place, (0, []))
                index[place] = (count + 1, runs)
            for run in self.runs:
                place = place_of({name: run.parameters[name] for name in names if name in run.parameters})
                index.setdefault(place, (0, []))[1].append(run)
        return self._indexes[names].get(place_of(where), (0, []))

    def _by_seed(self, of: str, where: Mapping[str, Any]) -> dict[int | str, float]:
        """Return a number for each seed: the mean over all combinations, if all of them have it."""
        combinations, runs = self._group(where)
        values: dict[int | str, list[float]] = {}
        for run in runs:
            value = run.value(of)
            if value is not None:
                values.setdefault(run.seed, []).append(value)
        return {
            seed: fsum(values[seed]) / combinations
            for seed in self.seeds
            if len(values.get(seed, ())) == combinations
        }

    def _check_measure(self, name: str) -> None:
        if name not in self.measures:
            raise UsageError(f"no run has measured {name!r}; {suggestion(name, self.measures)}")

    def _check_parameter(self, name: str) -> None:
        if name not in self._parameters:
            raise UsageError(f"{self.name} has no parameter {name!r}; {suggestion(name, self._parameters)}")

    def _check_value(self, name: str, value: Any) -> None:
        self._check_parameter(name)
        if _place(name, value) not in self._parameters[name]:
            known = ", ".join(map(repr, self.parameters[name]))
            raise UsageError(f"{name} was never {value!r}; it was {known}")


def differences(comparisons: Sequence[Comparison]) -> str:
    """Return a table of comparisons of the same parameter, number and baseline."""
    if not comparisons:
        return ""
    one = comparisons[0]
    names = list(one.where)
    title = f"{one.parameter} against {told(one.first)}"
    rows = [[title, *names, "pairs", f"difference in {one.of}", "interval", "relative", "p", "p (Holm)"]]
    for each in comparisons:
        ends, relative = each.interval, each.relative
        rows.append(
            [
                told(each.second),
                *(told(each.where[name]) for name in names),
                f"{ends.count}",
                shown_or_none(ends.mean),
                "-" if isnan(ends.low) else f"{shown(ends.low)} to {shown(ends.high)}",
                "-" if isnan(relative) else f"{'+' if relative > 0 else ''}{percent(relative)}",
                p_text(each.p),
                p_text(each.adjusted),
            ]
        )
    return table(rows)


def told(value: Any) -> str:
    """Return a value of a parameter as people write it.

    >>> told(0.01), told("codel"), told(1000)
    ('0.01', 'codel', '1,000')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def p_text(p: float) -> str:
    """Return a p-value as it is written.

    >>> p_text(0.0312), p_text(1e-9)
    ('0.031', '< 0.0001')
    """
    if isnan(p):
        return "-"
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def shown_or_none(value: float) -> str:
    """Return a number with three figures."""
    return "-" if isnan(value) else shown(value)


def _said_of(intervals: Sequence[Interval]) -> str:
    known = [one for one in intervals if not isnan(one.low)]
    if not known:
        return ""
    one = known[0]
    what = f"{percent(one.confidence)} intervals for the mean over all seeds"
    return f"in brackets: {what} ({METHODS[one.method]})\n"


def _place(name: str, value: Any) -> Any:
    return place_of({name: value if value.__hash__ is not None else repr(value)})


def format_of(path: str | PathLike[str]) -> Any:
    """Return the module that reads and writes files of that name; its ``check`` says what it lacks."""
    from . import jsonfile, parquet

    return jsonfile if Path(path).suffix == ".json" else parquet


__all__ = [
    "COLUMNS",
    "METHODS",
    "Comparison",
    "Group",
    "Study",
    "Summary",
    "differences",
    "format_of",
    "p_text",
    "told",
]
