"""Studies as files of Parquet, by way of duckdb: a row for each run, and what is known of all beside them.

| column | what is in it |
| --- | --- |
| the parameters | numbers, truth values, or text; null where a combination does not have one |
| ``seed`` | as text, as seeds may be texts |
| numbers by their names | ``DOUBLE``; null where a run has none |
| ``error``, ``replay``, ``fingerprint`` | text; ``error`` is null where all went well |
| ``took`` | seconds of real time |
| ``_point`` | which combination of ``points`` it is, from 0 on |

The metadata of the file has a text of JSON under the key ``kamaelia``: with ``format``, ``about``,
``points``, ``seeds``, and which columns are parameters, outcomes and figures. Where a figure is called as a
parameter is, or as another column, ``figure `` stands before its name; names of columns differ in more than
capitals.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ...axon import UsageError
from .run import Run, place_of

if TYPE_CHECKING:
    from .study import Study

FORMAT = 1
KEY = "kamaelia"
CSV = """FORMAT csv, HEADER false, AUTO_DETECT false, DELIMITER ',', QUOTE '"', ESCAPE '"', NULLSTR '',
    ALLOW_QUOTED_NULLS false"""
TEXTS = ("error", "replay", "fingerprint")


def is_there() -> bool:
    """Say whether duckdb is installed."""
    return find_spec("duckdb") is not None


def write(study: Study, path: str | PathLike[str]) -> None:
    """Write a study. Raises `UsageError` when duckdb is not installed."""
    duckdb = _duckdb()
    columns = _columns(study)
    about = {
        "format": FORMAT,
        "about": study.about,
        "points": study.points,
        "seeds": study.seeds,
        "columns": [[name, kind, column] for kind, name, column, _ in columns],
    }
    places = {place_of(point): place for place, point in enumerate(study.points)}
    texts = {name for kind, name, _, type in columns if kind == "parameter" and type == "VARCHAR"}
    names = ", ".join(f"{_quoted(column)} {type}" for _, _, column, type in columns)
    target = Path(path)
    part = target.with_name(f"{target.name}.part")
    with duckdb.connect(":memory:") as database:
        database.execute(f"CREATE TABLE runs ({names})")
        with TemporaryDirectory() as folder:
            table = Path(folder, "runs.csv")
            with table.open("w", encoding="utf-8", newline="") as file:
                for run in study.runs:
                    cells = (_cell(run, kind, name, places, texts) for kind, name, _, _ in columns)
                    file.write(",".join(map(_csv, cells)) + "\n")
            database.execute(f"COPY runs FROM '{_path(table)}' ({CSV})")
        text = json.dumps(about).replace("'", "''")
        database.execute(
            f"COPY runs TO '{_path(part)}' "
            f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{KEY}: '{text}'}})"
        )
    os.replace(part, target)


def read(path: str | PathLike[str]) -> Study:
    """Read a study. Raises `UsageError` for other files, and when duckdb is not installed."""
    from .study import Study

    duckdb = _duckdb()
    if not Path(path).is_file():
        raise UsageError(f"there is no file {path}")
    with duckdb.connect(":memory:") as database:
        try:
            found = database.execute(
                f"SELECT value FROM parquet_kv_metadata('{_path(path)}') WHERE key = '{KEY}'"
            ).fetchone()
            if found is None:
                raise UsageError(f"{path} is no study: nothing of Kamaelia is written in it")
            about = json.loads(bytes(found[0]))
            if about.get("format") != FORMAT:
                raise UsageError(f"{path} has format {about.get('format')!r}, and this reads {FORMAT}")
            table = database.execute(f"SELECT * FROM read_parquet('{_path(path)}')")
            places = {column[0]: place for place, column in enumerate(table.description or ())}
            runs = [_run(row, places, about) for row in table.fetchall()]
            return Study(about["about"], about["points"], about["seeds"], runs)
        except (duckdb.Error, KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{path} cannot be read as a study: {error}") from error


def check() -> None:
    """Raise `UsageError` when duckdb is not installed."""
    _duckdb()


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise UsageError("files of Parquet need a package: pip install 'kamaelia[exp]'") from None
    return duckdb


def _columns(study: Study) -> list[tuple[str, str, str, str]]:
    """Return for each column its kind, what it is about, its own name, and its type."""
    found = [("point", "_point", "_point", "INTEGER")]
    for name, values in study.parameters.items():
        found.append(("parameter", name, name, _type(values)))
    found.append(("seed", "seed", "seed", "VARCHAR"))
    found += [("outcome", name, name, "DOUBLE") for name in study.outcomes]
    found.append(("took", "took", "took", "DOUBLE"))
    found += [("text", name, name, "VARCHAR") for name in TEXTS]
    found += [
        ("figure", name, name, "DOUBLE")
        for name in dict.fromkeys(name for run in study.runs for name in run.figures)
    ]
    taken: set[str] = set()
    columns = []
    for kind, name, column, type in found:
        while column.lower() in taken:  # SQL does not tell capitals from small letters
            column = f"{kind} {column}"
        taken.add(column.lower())
        columns.append((kind, name, column, type))
    return columns


def _type(values: list[Any]) -> str:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, bool) for value in known):
        return "BOOLEAN"
    numbers = [value for value in known if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if not known or len(numbers) < len(known):
        return "VARCHAR"
    if all(isinstance(value, int) and abs(value) < 2**63 for value in numbers):
        return "BIGINT"
    return "DOUBLE"


def _cell(run: Run, kind: str, name: str, places: Mapping[Any, int], texts: set[str]) -> Any:
    if kind == "point":
        return places[place_of(run.parameters)]
    if kind == "parameter":
        value = run.parameters.get(name)
        return str(value) if value is not None and name in texts else value
    if kind == "seed":
        return str(run.seed)
    if kind == "outcome":
        return run.outcome.get(name)
    if kind == "figure":
        return run.figures.get(name)
    return getattr(run, name)


def _run(row: tuple[Any, ...], places: dict[str, int], about: dict[str, Any]) -> Run:
    by_kind: dict[str, dict[str, Any]] = {}
    for name, kind, column in about["columns"]:
        value = row[places[column]]
        if value is not None:
            by_kind.setdefault(kind, {})[name] = value
    seeds = {str(seed): seed for seed in about["seeds"]}
    texts = by_kind.get("text", {})
    return Run(
        about["points"][by_kind["point"]["_point"]],
        seeds[by_kind["seed"]["seed"]],
        by_kind.get("outcome", {}),
        by_kind.get("figure", {}),
        texts.get("error"),
        texts.get("replay", ""),
        by_kind["took"]["took"],
        texts.get("fingerprint", ""),
    )


def _csv(cell: Any) -> str:
    """Return a cell as text of CSV, which duckdb reads thirty times as fast as it takes parameters."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        escaped = cell.replace('"', '""')
        return f'"{escaped}"'
    return str(cell).lower() if isinstance(cell, bool) else repr(cell)


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _path(path: str | PathLike[str]) -> str:
    return str(path).replace("'", "''")


__all__ = ["FORMAT", "check", "is_there", "read", "write"]
