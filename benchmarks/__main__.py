"""Measure Kamaelia beside its peers: every figure in one table, with the peers interleaved in one run."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path

from . import (
    dumbbell,
    echo,
    fan,
    forward,
    held,
    hosts,
    http,
    million,
    overhead,
    parts,
    pipeline,
    queue_rows,
    report,
    star,
    start,
    threads,
    websocket,
    workers,
)
from .contest import Contest, as_data, take
from .ours import Forms, find_forms
from .programs import MAIN_VERSION, Missing, install

FAMILIES = (
    pipeline,
    threads,
    million,
    fan,
    echo,
    held,
    forward,
    http,
    websocket,
    overhead,
    parts,
    workers,
    start,
    star,
    dumbbell,
    hosts,
    queue_rows,
)
VERSIONS = (MAIN_VERSION, "3.13")
ROUNDS = 7


def contests_for(forms: Forms) -> list[Contest]:
    """Return what is measured on one Python: all on the main one, pipelines on the others."""
    families = FAMILIES if forms.version == MAIN_VERSION else (pipeline,)
    return [contest for family in families for contest in family.contests(forms)]


def choose(word: str, names: list[str]) -> list[str]:
    """Return the row that is so called, or else those of that group: star-100 and others for star."""
    return [word] if word in names else [name for name in names if name.startswith(f"{word}-")]


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="ROW",
        help="measure only these rows, or groups of rows such as star; --list names them",
    )
    parser.add_argument("--list", action="store_true", help="name what can be measured, and measure nothing")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how many, by default {ROUNDS}")
    parser.add_argument("--seconds", type=float, default=1.0, help="what a round should take, by default 1")
    parser.add_argument(
        "--python",
        nargs="+",
        default=list(VERSIONS),
        metavar="VERSION",
        help=f"by default {' and '.join(VERSIONS)}",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="write the tables there")
    parser.add_argument("--install", action="store_true", help="first make the peers' environments")
    parser.add_argument(
        "--write",
        action="store_true",
        help="keep the figures: benchmarks/results-*, docs/explanation/speed.md",
    )
    parser.add_argument("--all", action="store_true", help="fail when something could not be run")
    options = parser.parse_args(words)
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("there must be a round, and it must take some time")
    return options


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(forms: Forms, chosen: list[Contest], options: argparse.Namespace) -> report.Results:
    """Run contests on one Python, and return what came of them."""
    tell(f"CPython {forms.python}, {forms.core}")
    return {
        "python": forms.python,
        "core": forms.core,
        "machine": f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "contests": {
            contest.name: as_data(contest, take(contest, options.rounds, options.seconds, tell))
            for contest in chosen
        },
    }


def main(words: list[str] | None = None) -> int:
    options = parse(words)
    absent: list[str] = []
    found: list[Forms] = []
    for version in options.python:
        try:
            if options.install:
                install(version)
            found.append(find_forms(version))
        except Missing as error:
            absent.append(f"everything on Python {version}: {error}")
    if options.install:
        try:
            install("upstream")
        except Missing as error:
            tell(f"upstream's Kamaelia: {error}")
    plans = {forms: contests_for(forms) for forms in found}
    names = list(dict.fromkeys(contest.name for plan in plans.values() for contest in plan))
    if options.list:
        print("\n".join(names))
        return 0
    rows = {word: choose(word, names) for word in options.only or ()}
    unknown = sorted(word for word, found in rows.items() if not found)
    if unknown and found:
        tell(f"There is no row called {', '.join(unknown)}; there are {', '.join(names)}.")
        return 2

    tables: list[str] = []
    everything: list[report.Results] = []
    for forms, plan in plans.items():
        only = {name for found in rows.values() for name in found}
        chosen = [contest for contest in plan if not rows or contest.name in only]
        if not chosen:
            continue
        results = measure(forms, chosen, options)
        everything.append(results)
        absent += [f"Python {forms.version}: {line}" for line in report.not_run(results)]
        text = f"## {report.title(results)}\n\n{report.table(results)}"
        tables.append(text)
        print(text, flush=True)
        if options.write:  # at once: what comes next may be interrupted
            for path in report.keep(results, [contest.name for contest in plan]):
                tell(f"written: {path.name}")
    if options.write and everything:
        report.rewrite_page()
    if options.json:
        options.json.write_text(report.as_json(everything))
    if options.markdown:
        options.markdown.write_text("\n".join(tables))
    if absent:
        print("Not run:\n" + "\n".join(f"- {line}" for line in absent))
    return 1 if absent and options.all else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
