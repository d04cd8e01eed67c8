"""Studies as files of JSON, a line for each run: small, and made to be kept under version control.

Of each run there are its seed and outcome, but no figures of links, hosts and components; whoever wants those
takes Parquet, or makes the run again. ``points`` has the combinations of parameters, and ``names`` the names
of outcomes. A run is a list::

    [place among the points, seed, [outcomes in the order of names], failure, fingerprint, seconds it took]

An outcome that a run does not have is null, and so is the failure of one in which all went well; else it is
the error, and the command that makes the run again.
"""

from __future__ import annotations

import json
import os
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...axon import UsageError
from .run import Run, place_of

if TYPE_CHECKING:
    from .study import Study

FORMAT = 1


def write(study: Study, path: str | PathLike[str]) -> None:
    """Write a study."""
    places = {place_of(point): place for place, point in enumerate(study.points)}
    names = study.outcomes
    head = {
        "format": FORMAT,
        "about": study.about,
        "points": study.points,
        "seeds": study.seeds,
        "names": names,
    }
    rows = [
        json.dumps(
            [
                places[place_of(run.parameters)],
                run.seed,
                [run.outcome.get(name) for name in names],
                None if run.error is None else [run.error, run.replay],
                run.fingerprint,
                run.took,
            ]
        )
        for run in study.runs
    ]
    text = json.dumps(head, indent=1)
    target = Path(path)
    part = target.with_name(f"{target.name}.part")
    part.write_text(text[:-2] + ',\n "runs": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n", encoding="utf-8")
    os.replace(part, target)


def check() -> None:
    """Nothing has to be installed for these files."""


def read(path: str | PathLike[str]) -> Study:
    """Read a study. Raises `UsageError` for other files."""
    from .study import Study

    if not Path(path).is_file():
        raise UsageError(f"there is no file {path}")
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise UsageError(f"{path} has format {found['format']!r}, and this reads {FORMAT}")
        runs = [_run(row, found["points"], found["names"]) for row in found["runs"]]
        return Study(found["about"], found["points"], found["seeds"], runs)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path} cannot be read as a study: {error!r}") from error


def _run(row: list[Any], points: list[dict[str, Any]], names: list[str]) -> Run:
    place, seed, values, failure, fingerprint, took = row
    error, replay = failure or (None, "")
    outcome = {name: value for name, value in zip(names, values, strict=True) if value is not None}
    return Run(points[place], seed, outcome, {}, error, replay, took, fingerprint)


__all__ = ["FORMAT", "check", "read", "write"]
