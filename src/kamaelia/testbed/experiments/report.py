"""A study as one page of HTML, which asks nobody for anything: no scripts, no fonts, no pictures from
elsewhere.

What comes from outside (names, errors, source code) is escaped, and the page forbids itself by a policy (CSP)
to load or run anything at all; only its own style sheet is let through, by its hash. Nothing in it depends on
when it is made, so the same study makes the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from html import escape
from math import isnan
from os import PathLike
from pathlib import Path
from typing import Any

from kamaelia.observe.tables import figures as shown
from kamaelia.observe.tables import percent, several

from .intervals import Interval
from .plot import SERIES, Series, mark, plot
from .study import METHODS, Comparison, Study, p_text, told

FAILURES = 50
"""Failed runs that are shown."""
LINES = 3000
"""Lines of source code that are shown of a file."""
ROWS = 100  # of the table of everything
COMBINATIONS = 12  # columns of that

STYLE = Path(__file__).with_name("report.css").read_text(encoding="utf-8")


def write(study: Study, path: str | PathLike[str], of: Sequence[str] | None = None) -> None:
    """Write a report to a file, whole or not at all."""
    text = page(study, of)
    target = Path(path)
    part = target.with_name(f"{target.name}.part")
    part.write_text(text, encoding="utf-8", errors="backslashreplace")
    os.replace(part, target)


def page(study: Study, of: Sequence[str] | None = None) -> str:
    """Return the report of a study."""
    names = study.interesting() if of is None else list(of)
    sections = [_head(study), _hypothesis(study), _failures(study)]
    sections += [_measure(study, name, place) for place, name in enumerate(names)]
    sections += [_how_to_read(), _everything(study, names), _made(study), _code(study)]
    hashed = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(study.name)}: an experiment</title>\n<style>{STYLE}</style>\n"
        "</head>\n<body>\n<main>\n"
        + "\n".join(one for one in sections if one)
        + "\n</main>\n</body>\n</html>\n"
    )


# -- sections -------------------------------------------------------------------------------------------


def _head(study: Study) -> str:
    failed = len(study.failures)
    count = f"{several(len(study.points), 'combination')} with {several(len(study.seeds), 'seed')} each"
    seconds = study.about.get("seconds")
    facts = [
        ("runs", f"{len(study.runs):,}"),
        ("that is", count),
        ("each", f"{seconds:g} s of virtual time" if isinstance(seconds, (int, float)) else "-"),
        ("failed", f"{failed:,}" if failed else "none"),
    ]
    if study.missing:
        facts.append(("still to be made", f"{study.missing:,}"))
    listed = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in facts)
    first = study.about.get("description", "").partition("\n\n")[0]
    said = f"<p>{escape(first)}</p>" if first else ""
    return f"<header><h1>{escape(study.name)}</h1>{said}<dl>{listed}</dl></header>"


def _hypothesis(study: Study) -> str:
    said = study.about.get("hypotheses") or []
    if not said:
        return ""
    parts = ["<section><h2>Hypothesis</h2>"]
    for place, one in enumerate(said):
        if place:
            parts.append("<p><strong>It was changed:</strong></p>")
        parts.append(f"<blockquote><p>{escape(one['hypothesis'])}</p>")
        if one["expected"]:
            parts.append(f"<p><strong>Expected:</strong> {escape(one['expected'])}</p>")
        known = one["runs"]
        when = "before the first run" if not known else f"when {several(known, 'run')} had been made"
        parts.append(
            f"</blockquote><p class=soft>Written down {escape(one['at'])}, {when}. The first "
            f"{one['bytes']:,} bytes of the journal end with it; their SHA-256 is "
            f"<code>{escape(one['hash'])}</code>.</p>"
        )
    return "".join([*parts, "</section>"])


def _failures(study: Study) -> str:
    failed = study.failures
    if not failed:
        return ""
    items = []
    for run in failed[:FAILURES]:
        which = ", ".join([*(f"{name}={told(value)}" for name, value in run.parameters.items())])
        again = f"<p><code>{escape(run.replay)}</code></p>" if run.replay else ""
        named = f"{which}, seed {run.seed}" if which else f"seed {run.seed}"
        items.append(f"<li><p><strong>{escape(named)}</strong>: {escape(run.error or '')}</p>{again}</li>")
    more = f" The first {FAILURES} are shown." if len(failed) > FAILURES else ""
    text = (
        f"{several(len(failed), 'run')} of {len(study.runs):,} failed. They are in no mean, and their "
        f"partners in no comparison. The command below each runs it again.{more}"
    )
    return f"<section class=alarm><h2>Failures</h2><p>{text}</p><ol>{''.join(items)}</ol></section>"


def _measure(study: Study, name: str, place: int) -> str:
    parts = [f"<section><h2>{escape(name)}</h2><div class=plots>"]
    for number, along in enumerate(study.swept):
        parts.append(_figure(study, name, along, f"p{place}-{number}"))
    parts.append("</div>")
    summary = study.summary(name)
    rows: list[list[Any]] = []
    for group in summary.groups:
        values = list(group.values.values())
        ends = [shown(min(values)), shown(max(values))] if values else ["-", "-"]
        cells = [*(told(group.where[one]) for one in summary.by), f"{len(values)}", *_cells(group.interval)]
        rows.append([*cells, *ends])
    headings = [*summary.by, "runs", "mean", "interval", "least", "greatest"]
    parts.append(_table(f"{name}: mean of each combination", headings, rows))
    parts.append(_comparisons(study, name))
    return "".join([*parts, "</section>"])


def _figure(study: Study, name: str, along: str, identity: str) -> str:
    series, said = _series(study, name, along)
    legend = "".join(
        f'<li><svg viewBox="-7 -7 14 14" aria-hidden="true">{mark(place)}</svg>{escape(one.name)}</li>'
        for place, one in enumerate(series)
        if one.name
    )
    legend = f"<ul class=legend>{legend}</ul>" if legend else ""
    caption = f"<figcaption>{escape(name)} by {escape(along)}{escape(said)}</figcaption>"
    return f"<figure>{caption}{plot(series, along, name, identity)}{legend}</figure>"


def _series(study: Study, name: str, along: str) -> tuple[list[Series], str]:
    """Return what is to be drawn along a parameter, and what is to be said of the others."""
    others = [one for one in study.swept if one != along]
    summary = study.summary(name, [along, *others])
    found: dict[str, list[Any]] = {}
    for group in summary.groups:
        title = ", ".join(f"{one}={told(group.where[one])}" for one in others)
        values = tuple(group.values.values())
        found.setdefault(title, []).append((group.where[along], group.interval, values))
    if len(found) <= SERIES:
        return [Series(title, tuple(points)) for title, points in found.items()], ""
    alone = study.summary(name, along)
    points = [(one.where[along], one.interval, tuple(one.values.values())) for one in alone.groups]
    return [Series("", tuple(points))], f": means over all values of {' and '.join(others)}"


def _comparisons(study: Study, name: str) -> str:
    parts = []
    for parameter in study.swept:
        made = study.compare_all(parameter, name)
        if not made:
            continue
        rows = [_comparison_row(one) for one in made]
        first = told(study.parameters[parameter][0])
        caption = f"{name}: {parameter} against {first}, in pairs of the same seed"
        others = [one for one in study.swept if one != parameter]
        headings = [*others, parameter, "pairs", "difference", "interval", "relative", "p", "p (Holm)"]
        note = f"p (Holm) is for all {made[0].family} comparisons of this table; each interval is by itself."
        parts.append(_table(caption, headings, rows) + f"<p class=soft>{escape(note)}</p>")
    if not parts:
        return ""
    return f"<details><summary>Differences, in pairs</summary>{''.join(parts)}</details>"


def _comparison_row(one: Comparison) -> list[Any]:
    relative = "-" if isnan(one.relative) else f"{'+' if one.relative > 0 else ''}{percent(one.relative)}"
    return [
        *map(told, one.where.values()),
        told(one.second),
        f"{one.interval.count}",
        *_cells(one.interval),
        relative,
        p_text(one.p),
        p_text(one.adjusted),
    ]


def _how_to_read() -> str:
    return (
        "<section><h2>How to read this</h2><p>Each run gives one number. A mean is over runs with different "
        "seeds, and the interval beside it (the bar in a plot) is for the mean over all possible seeds: "
        "made as here, 95 of a hundred such intervals have it in them "
        f"({METHODS['t']}). It says nothing about single runs, which are the small dots.</p>"
        "<p>All combinations were run with the same seeds. So differences are taken between the two runs of "
        "a seed, and their intervals are often far shorter than those of the two means: whether two bars "
        "overlap does not tell whether there is a difference.</p></section>"
    )


def _everything(study: Study, names: Iterable[str]) -> str:
    left = [name for name in study.measures if name not in set(names) and ": " not in name]
    if not left or len(study.points) > COMBINATIONS:
        return ""
    headings = ["mean of", *(_named(point, study.swept) for point in study.points)]
    rows: list[list[Any]] = []
    for name in left[:ROWS]:
        groups = study.summary(name, list(study.parameters)).groups
        rows.append(
            [name, *("-" if isnan(one.interval.mean) else shown(one.interval.mean) for one in groups)]
        )
    table = _table("Means of everything else that was measured", headings, rows)
    return f"<section><h2>Everything else</h2><details><summary>Means</summary>{table}</details></section>"


def _made(study: Study) -> str:
    about = study.about
    rows: list[list[Any]] = [["scenario", Code(str(about.get("scenario", "")))]]
    for name, values in study.parameters.items():
        rows.append([name, ", ".join(map(told, values))])
    rows.append(["seeds", _seeds(study.seeds)])
    for name, value in (about.get("options") or {}).items():
        rows.append([f"option {name}", str(value)])
    took = sum(run.took for run in study.runs)
    rows.append(
        [
            "real time of all runs",
            f"{took:,.1f} s, {took / len(study.runs):.3g} s each" if study.runs else "-",
        ]
    )
    rows.append(["key of the code, options and versions", Code(str(about.get("key", "")))])
    if about.get("journal"):
        rows.append(["journal", Code(str(about["journal"]))])
    parts = ["<section><h2>How it was made</h2>", _table("What was run", ["what", "value"], rows, texts=True)]
    sessions = about.get("sessions") or []
    if sessions:
        named = list(dict.fromkeys(name for one in sessions for name in one.get("versions", {})))
        machine = list(dict.fromkeys(name for one in sessions for name in one.get("machine", {})))
        headings = ["begun", "runs", "executor", "revision", *named, *machine]
        cells = [
            [
                str(one.get("at", "")),
                str(one.get("runs", "")),
                str(one.get("executor", "")),
                str(one.get("revision") or "-"),
                *(str(one.get("versions", {}).get(name, "-")) for name in named),
                *(str(one.get("machine", {}).get(name, "-")) for name in machine),
            ]
            for one in sessions
        ]
        turned = [[heading, *(row[place] for row in cells)] for place, heading in enumerate(headings)]
        parts.append(
            _table(
                "By what, session by session",
                ["what", *(f"session {place + 1}" for place in range(len(sessions)))],
                turned,
                texts=True,
            )
        )
    return "".join([*parts, "</section>"])


def _code(study: Study) -> str:
    files = study.about.get("sources") or {}
    if not files:
        return ""
    parts = ["<section><h2>Source code</h2>"]
    for place, (name, text) in enumerate(files.items()):
        lines = text.splitlines()
        left = f"\n... {len(lines) - LINES:,} more lines" if len(lines) > LINES else ""
        shown_text = escape("\n".join(lines[:LINES]) + left)
        state = " open" if not place else ""
        parts.append(
            f"<details{state}><summary><code>{escape(name)}</code></summary>"
            f'<pre tabindex="0" aria-label="{escape(name)}"><code>{shown_text}</code></pre></details>'
        )
    return "".join([*parts, "</section>"])


# -- small parts ----------------------------------------------------------------------------------------


class Code(str):
    """A text that is shown as code."""

    __slots__ = ()


def _table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[Any]], texts: bool = False) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in headings)
    body = []
    for row in rows:
        first, *others = [
            f"<code>{escape(cell)}</code>" if isinstance(cell, Code) else escape(str(cell)) for cell in row
        ]
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        body.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    kind = " class=texts" if texts else ""
    return (
        f'<div class=wide tabindex="0" role="group" aria-label="{escape(caption)}"><table{kind}>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
        "</table></div>"
    )


def _cells(ends: Interval) -> list[str]:
    mean = "-" if isnan(ends.mean) else shown(ends.mean)
    return [mean, "-" if isnan(ends.low) else f"{shown(ends.low)} to {shown(ends.high)}"]


def _named(point: dict[str, Any], swept: Sequence[str]) -> str:
    return ", ".join(f"{name}={told(point[name])}" for name in swept if name in point) or "all runs"


def _seeds(seeds: Sequence[int | str]) -> str:
    """Return seeds as text.

    >>> _seeds([0, 1, 2, 3]), _seeds([3, "storm"])
    ('0 to 3', '3, storm')
    """
    if len(seeds) > 2 and all(isinstance(one, int) for one in seeds):
        whole = [one for one in seeds if isinstance(one, int)]
        if whole == list(range(whole[0], whole[0] + len(whole))):
            return f"{whole[0]:,} to {whole[-1]:,}"
    return ", ".join(map(str, seeds))


__all__ = ["FAILURES", "LINES", "page", "write"]
