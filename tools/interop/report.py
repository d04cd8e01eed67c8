"""What came of it: a table for people, a file for programs.

Both are made of the same plain data, which is kept in `results.json`: who is not asked in one run stays as an
earlier run left him.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from .judge import Judge, Outcome

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
KEPT = FOLDER / "results.json"
PAGE = ROOT / "docs" / "explanation" / "interop.md"
BEGIN = "<!-- The outcomes: written by make interop, so change nothing by hand from here -->"
END = "<!-- to here. -->"

Results = dict[str, Any]


def as_data(judge: Judge, outcomes: list[Outcome]) -> Results:
    """Return what came of one judge's cases as plain data."""
    return {
        "version": judge.about() if judge.missing() is None else "",
        "cases": [
            {
                "name": one.case.do.__name__,
                "ours": one.case.ours,
                "tried": one.case.tried,
                "seen": one.case.seen,
                "outcome": "failed" if one.failed else "not run" if one.not_run else "yes",
                "said": one.failed or one.not_run or one.said or "",
            }
            for one in outcomes
        ],
    }


def machine() -> str:
    return f"{platform.system()} {platform.machine()}, CPython {platform.python_version()}"


def merged(old: Results, new: Results, order: list[str]) -> Results:
    """Return new results, with those of an earlier run for who was not asked now, in one order."""
    judges = {**old.get("judges", {}), **new["judges"]}
    return {**new, "judges": {name: judges[name] for name in order if name in judges}}


def table(results: Results) -> str:
    """Return everything in Markdown: first who has judged, then what."""
    judges: dict[str, Results] = results["judges"]
    lines = ["| judge | version | of ours | cases | outcome |", "| --- | --- | --- | --- | --- |"]
    for name, judge in judges.items():
        ours = ", ".join(f"`{one}`" for one in dict.fromkeys(case["ours"] for case in judge["cases"]))
        lines.append(f"| {name} | {judge['version']} | {ours} | {len(judge['cases'])} | {_sum(judge)} |")
    lines += ["", f"Tried on {results['machine']}."]
    for name, judge in judges.items():
        lines += ["", f"### {name} {judge['version']}".rstrip(), ""]
        lines += ["| ours | what is tried | what must be seen | seen |", "| --- | --- | --- | --- |"]
        for case in judge["cases"]:
            word = {"yes": "yes", "failed": "**no**"}.get(case["outcome"], case["outcome"])
            said = f"{word}: {case['said']}" if case["said"] else word
            cells = [f"`{case['ours']}`", case["tried"], case["seen"], said]
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _sum(judge: Results) -> str:
    outcomes = [case["outcome"] for case in judge["cases"]]
    counts = {word: outcomes.count(word) for word in ("failed", "not run")}
    said = [f"{count} {word}" for word, count in counts.items() if count]
    return ", ".join(said) or "all as it must be"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def keep(results: Results, order: list[str]) -> None:
    """Write the results, and the page that shows them."""
    old = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    whole = merged(old, results, order)
    KEPT.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(whole)}\n{END}{after}")
