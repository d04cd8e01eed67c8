"""One scenario with many parameters and seeds, and what all the runs say together.

A simulation with one seed shows one of very many ways in which things can go. So what is said of a protocol
is said of many runs, with an interval beside each mean, and of two variants by comparing them in pairs::

    def outcome(trace):
        return {"p95": trace.metrics.total("film").delay.quantile(0.95)}


    experiment = Experiment(
        stream, queue=["drop-tail", "codel"], viewers=[10, 100], seeds=20, outcome=outcome
    )
    study = experiment.run()
    print(study.table())
    print(study.compare("queue", "drop-tail", "codel", of="p95"))
    study.report("study.html")

Read in this order; each opens with its theory:

| module | what is in it |
| --- | --- |
| `experiment` | what is to be run: `Experiment` |
| `run` | one run, and what came of it: `Run` (`figures`: its numbers; `reference`: functions that travel) |
| `executors` | where runs are made |
| `journal` | what has been done so far, on the disk; `identity`: which results are of the same experiment |
| `study` | what all runs say: `Study`, `Summary`, `Comparison` |
| `intervals` | means with intervals, pairs, many comparisons (`student`: the distribution behind them) |
| `parquet` | studies as files, for others to read (`jsonfile`: small, to be kept) |
| `report` | a study as a page (`plot`: its pictures) |
"""

from .executors import InlineExecutor
from .experiment import Experiment, Standing
from .intervals import Interval, holm, interval
from .run import Run
from .study import Comparison, Group, Study, Summary

__all__ = [
    "Comparison",
    "Experiment",
    "Group",
    "InlineExecutor",
    "Interval",
    "Run",
    "Standing",
    "Study",
    "Summary",
    "holm",
    "interval",
]
