"""``kamaelia experiment``: run a scenario with many parameters and seeds, and say what all the runs say."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import FAILED, USAGE
from .output import complain, say
from .parser import Parser

if TYPE_CHECKING:
    from kamaelia.testbed.experiments import Comparison, Experiment, Interval, Run, Study

EPILOG = """
a SCENARIO is one of
  star.py:stream   the function called stream of a file, which returns a Network
  package.star:stream
                   the same of a module that can be imported from here
  star.py:study    an Experiment, which says by itself what is varied
  star.py          the Experiment called experiment of that file, or the function called scenario

All combinations of what --set varies are run, each with the same seeds. What is over is kept in a folder, so
that the same command goes on where it was ended or killed; with more seeds or values it runs what these need.
The first Ctrl-C waits for the runs under way, the second gives them up.

examples
  kamaelia experiment star.py:stream --set viewers=10,100 --set loss=0,0.01,0.05 --outcome=glitches
  kamaelia experiment star.py:stream --set queue=drop-tail,codel --compare queue --report study.html
  kamaelia experiment study.py --jobs 4 --report study.html
  kamaelia experiment star.py:stream --set "loss=1 %,5 %" --seeds 100 --json

exit codes
  0    all went well, also after a first Ctrl-C
  1    runs have failed; the others are shown all the same
  2    nothing ran: the command line is wrong, or it names no scenario
  130  cancelled by a second Ctrl-C; what was over by then is kept
"""

SHOWN = 5  # errors
USUAL = ("experiment", "scenario")


def parser() -> argparse.ArgumentParser:
    """Make the parser of this verb's command line."""
    made = Parser(
        prog="kamaelia experiment",
        description="Run a simulated network with many parameters and seeds, and show what that says.",
        epilog=EPILOG,
    )
    made.add_argument("scenario", metavar="SCENARIO", help="what is run, see below")
    what = made.add_argument_group("what is run")
    what.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE,...",
        help="values for an argument of the function, as Python or as text; may be given several times",
    )
    what.add_argument("--seeds", help="how many (20), or which: 100:120")
    what.add_argument("--seconds", metavar="TIME", help="of virtual time, or such as '1 min' (60)")
    what.add_argument(
        "--outcome", metavar="NAME", help="a function of the same file that makes numbers of each trace"
    )
    what.add_argument("--queues", action="store_true", help="measure the queues of links, too")
    how = made.add_argument_group("how it is run")
    how.add_argument("--jobs", type=int, metavar="NUMBER", help="processes (one for each processor)")
    how.add_argument("--folder", help="where results are kept (.kamaelia/experiments)")
    how.add_argument("--fresh", action="store_true", help="forget what was done before")
    how.add_argument("--retry", action="store_true", help="make runs that have failed once more")
    shown = made.add_argument_group("what is shown and written")
    shown.add_argument(
        "--of", action="append", default=[], metavar="NAME", help="a number that is shown; several times"
    )
    shown.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="NAME",
        help="say how each value of a parameter differs from its first, in pairs of runs",
    )
    shown.add_argument("--report", metavar="FILE", help="write a page of HTML")
    shown.add_argument(
        "--save",
        metavar="FILE",
        help="write all runs as Parquet (needs duckdb), or their outcomes as FILE.json",
    )
    shown.add_argument("--json", action="store_true", help="print the results as JSON")
    return made


def main(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    options = parser().parse_args(words)
    from kamaelia.axon import UsageError

    from .show import show
    from .systems import NotASystem

    try:
        experiment = find(options)
        for path in (options.report, options.save):
            if path and not Path(path).absolute().parent.is_dir():
                raise NotASystem(f"cannot write {path}: there is no folder {Path(path).parent}")
        if options.save:
            _check_format(options.save)
    except (NotASystem, UsageError) as error:
        complain(f"kamaelia experiment: {error}")
        return USAGE
    except Exception as error:  # the user's file may raise anything
        show(error)
        return USAGE
    return run(experiment, options)


def find(options: argparse.Namespace) -> Experiment:
    """Return the experiment that a command line describes. Raises `NotASystem` and `UsageError`."""
    from kamaelia.testbed import Experiment, Network

    from .scenarios import locate, named
    from .systems import NotASystem

    text = options.scenario
    module, where, name = locate(text)
    known = [
        one
        for one, value in vars(module).items()
        if isinstance(value, Experiment)
        or (callable(value) and getattr(value, "__module__", "") == module.__name__ and one[0] != "_")
    ]
    name = name or next((one for one in USUAL if one in known), "")
    if not name:
        names = ", ".join(known) or "nothing that could be one"
        raise NotASystem(
            f"{text}: say which function describes the network, such as {where}:stream; there is {names}"
        )
    found = named(module, where, name, text, known)
    if isinstance(found, Experiment):
        return _as_it_is(found, options)
    if isinstance(found, Network):
        raise NotASystem(f"{text} is a Network; give the function that makes it, as each run makes its own")
    if getattr(found, "simulated", None) is not None:
        raise NotASystem(f"{text} is a test, which varies only its seed: see kamaelia simulate")
    if not callable(found):
        raise NotASystem(f"{text} is {found!r}: neither an Experiment nor a function that makes a network")
    outcome = None
    if options.outcome:
        outcome = named(module, where, options.outcome, f"--outcome={options.outcome}", known)
    return Experiment(
        found,
        seeds=_seeds(options.seeds or "20"),
        seconds=_seconds(options.seconds or "60"),
        outcome=outcome,
        measure="queues" if options.queues else (),
        points=_points(options.set),
    )


def _as_it_is(experiment: Experiment, options: argparse.Namespace) -> Experiment:
    from .systems import NotASystem

    for name in ("set", "seconds", "outcome", "queues"):
        if getattr(options, name):
            raise NotASystem(f"--{name}: {options.scenario} is an Experiment, which says that by itself")
    if options.seeds:  # more or fewer runs of the same experiment
        from kamaelia.testbed.simulated import which_seeds

        experiment.seeds = list(which_seeds(_seeds(options.seeds), f"--seeds={options.seeds}"))
    return experiment


def run(experiment: Experiment, options: argparse.Namespace) -> int:
    """Run an experiment, and show what it says."""
    from kamaelia.axon import UsageError
    from kamaelia.axon.clock import monotonic
    from kamaelia.testbed.experiments.experiment import FOLDER

    from .progress import Ending, RunsProgress
    from .show import show

    began = monotonic()
    folder = options.folder or FOLDER
    progress = RunsProgress()
    try:
        with Ending(progress) as ending:
            study = experiment.run(
                folder=folder,
                jobs=options.jobs,
                fresh=options.fresh,
                retry=options.retry,
                progress=progress,
                stop=lambda: ending.happened,
            )
    except KeyboardInterrupt:
        progress.clear()
        complain("kamaelia experiment: cancelled; the same command goes on with the runs that are missing")
        raise
    except UsageError as error:
        progress.clear()
        complain(f"kamaelia experiment: {error}")
        return USAGE
    except Exception as error:  # of somebody's disk, say
        progress.clear()
        show(error)
        return FAILED
    progress.clear()
    try:
        _show(study, experiment, options, monotonic() - began)
    except UsageError as error:
        complain(f"kamaelia experiment: {error}")
        return FAILED
    except OSError as error:
        complain(f"kamaelia experiment: cannot write: {error}")
        return FAILED
    if ending.happened:
        complain(f"kamaelia experiment: ended by Ctrl-C; {study.missing:,} runs are still to be made")
    return FAILED if study.failures else 0


# -- what is shown ----------------------------------------------------------------------------------------


def _show(study: Study, experiment: Experiment, options: argparse.Namespace, took: float) -> None:
    names = options.of or study.interesting()
    compared = [study.compare_all(parameter, of) for parameter in options.compare for of in names]
    from kamaelia.testbed.experiments.study import differences

    if options.json:
        from .simulate import print_json

        print_json(
            {
                **_as_json(study, names, [one for some in compared for one in some]),
                "folder": str(study.folder),
                "real_seconds": round(took, 3),
            }
        )
    else:
        say(study.table(*options.of).rstrip("\n"))
        for comparisons in filter(None, compared):
            say(f"\n{differences(comparisons)}")
        say(f"{len(study.runs):,} runs, {took:.2f} s of real time, kept in {study.folder}")
    _show_failures(study)
    if options.report:
        study.report(options.report, of=options.of or None)
    if options.save:
        study.save(options.save)


def _show_failures(study: Study) -> None:
    """Print what has failed, each error once."""
    by_error: dict[str | None, list[Run]] = {}
    for run in study.failures:
        by_error.setdefault(run.error, []).append(run)
    for error, runs in list(by_error.items())[:SHOWN]:
        first = runs[0]
        which = ", ".join(
            [*(f"{name}={value}" for name, value in first.parameters.items()), f"seed {first.seed}"]
        )
        more = f", and {len(runs) - 1:,} more like it" if len(runs) > 1 else ""
        complain(f"failed with {which}{more}: {error}\n  (to run it again: {first.replay})")
    left = sum(len(runs) for runs in list(by_error.values())[SHOWN:])
    if left:
        complain(f"kamaelia experiment: {left:,} more runs have failed in other ways")


def _as_json(study: Study, names: Sequence[str], comparisons: Sequence[Comparison]) -> dict[str, Any]:
    return {
        "scenario": study.about["scenario"],
        "key": study.about["key"],
        "parameters": study.parameters,
        "seeds": study.seeds,
        "runs": len(study.runs),
        "missing": study.missing,
        "failed": len(study.failures),
        "summaries": [
            {
                "of": name,
                "groups": [
                    {"where": one.where, "failed": one.failed, **_interval(one.interval)}
                    for one in study.summary(name).groups
                ],
            }
            for name in names
        ],
        "comparisons": [
            {
                "of": one.of,
                "parameter": one.parameter,
                "first": one.first,
                "second": one.second,
                "where": one.where,
                **_interval(one.interval),
                "p": _finite(one.p),
                "p_holm": _finite(one.adjusted),
            }
            for one in comparisons
        ],
        "failures": [
            {"parameters": one.parameters, "seed": one.seed, "error": one.error, "replay": one.replay}
            for one in study.failures
        ],
    }


def _interval(one: Interval) -> dict[str, Any]:
    ends = {"mean": one.mean, "low": one.low, "high": one.high}
    return {"count": one.count, **{name: _finite(value) for name, value in ends.items()}}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


# -- the command line -------------------------------------------------------------------------------------


def values_of(text: str) -> list[Any]:
    """Return the values that a text lists, each as Python or as text.

    >>> values_of("0,0.01,5 %"), values_of("drop-tail,codel"), values_of("(1, 2),[3]")
    ([0, 0.01, '5 %'], ['drop-tail', 'codel'], [(1, 2), [3]])
    """
    try:
        return list(ast.literal_eval(f"({text},)"))
    except (ValueError, SyntaxError):
        pass
    found = []
    for part in text.split(","):
        try:
            found.append(ast.literal_eval(part.strip()))
        except (ValueError, SyntaxError):
            found.append(part.strip())
    return found


def _points(texts: Sequence[str]) -> list[dict[str, Any]] | None:
    """Return all combinations, so that no argument of a scenario can be taken for one of the experiment's."""
    from .systems import NotASystem

    points: list[dict[str, Any]] = [{}]
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.isidentifier() or not values:
            raise NotASystem(f"--set {text}: write NAME=VALUE,VALUE such as --set loss=0,0.01")
        if name in points[0]:
            raise NotASystem(f"--set {text}: {name} is set already; write all of its values at once")
        points = [{**point, name: value} for point in points for value in values_of(values)]
    return points if texts else None


def _seeds(text: str) -> str | list[int | str]:
    if text.strip().replace(":", "", 1).isdecimal():
        return text
    return [int(one) if one.isdecimal() else one for one in text.split(",")]


def _seconds(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _check_format(path: str) -> None:
    from kamaelia.testbed.experiments.study import format_of

    format_of(path).check()
