"""What came of Python's own tests, on each Python that was asked: as data, and on a page of the docs."""

from __future__ import annotations

import json
import platform
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .modules import NOT_RUN

if TYPE_CHECKING:
    from .__main__ import Outcome

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = Path(__file__).with_name("results.json")
PAGE = ROOT / "docs" / "explanation" / "simulated-loop.md"

BEGIN = "<!-- The counts: written by make conformance, so change nothing by hand from here -->"
END = "<!-- to here. -->"


def counts(outcomes: dict[str, Outcome], reasons: dict[str, str]) -> dict[str, Any]:
    """Return what came of modules as plain data: how many have passed, and how many not been run, and why."""
    found = {}
    for name, outcome in outcomes.items():
        skipped: Counter[str] = Counter()
        for pattern, number in outcome.patterns.items():
            skipped[reasons[pattern]] += number
        found[name] = {
            "passed": len(outcome.passed),
            "skipped": dict(sorted(skipped.items())),
            "not for here": dict(sorted(outcome.not_for_here.items())),
        }
    return found


def known() -> dict[str, Any]:
    """Return the counts of each release of Python for which they are known, the oldest first."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]))


def write(outcomes: dict[str, Outcome], reasons: dict[str, str]) -> None:
    """Keep the counts of this Python in place of those of its siblings, and write the page anew."""
    version = platform.python_version()
    series = version.rpartition(".")[0]
    found = {one: each for one, each in known().items() if one.rpartition(".")[0] != series}
    found[version] = counts(outcomes, reasons)
    RESULTS.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")
    PAGE.write_text(with_counts(PAGE.read_text()))


def with_counts(page: str) -> str:
    """Return the page with what is known now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(known())}\n{END}{after}"


def tables(found: dict[str, Any]) -> str:
    """Return what is known as tables: by module, and by reason."""
    versions = list(found)
    modules = sorted({name for each in found.values() for name in each})
    lines = [
        "| module of `test.test_asyncio` | " + " | ".join(versions) + " |",
        "| --- |" + " --- |" * len(versions),
    ]
    for name in modules:
        cells = [cell(each[name]) if name in each else "not there" for each in found.values()]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    totals = [
        cell(
            {
                "passed": total(each, "passed"),
                "skipped": by_reason(each, "skipped"),
                "not for here": by_reason(each, "not for here"),
            }
        )
        for each in found.values()
    ]
    lines += [
        f"| **all** | {' | '.join(totals)} |",
        "",
        *reasons_table(found, "skipped", "skipped, since the test"),
    ]
    lines += ["", *reasons_table(found, "not for here", "skipped by Python itself")]
    lines += ["", "| module that is not run | for it is |", "| --- | --- |"]
    lines += [f"| `{name}` | {reason} |" for name, reason in NOT_RUN.items()]
    return "\n".join(lines) + "\n"


def cell(one: dict[str, Any]) -> str:
    """Return what came of a module in few words."""
    words = [f"{one['passed']} passed"]
    skipped, elsewhere = sum(one["skipped"].values()), sum(one["not for here"].values())
    if skipped:
        words.append(f"{skipped} skipped")
    if elsewhere:
        words.append(f"{elsewhere} by Python itself")
    return ", ".join(words)


def total(each: dict[str, Any], kind: str) -> int:
    """Return a number of all modules together."""
    return sum(one[kind] for one in each.values())


def by_reason(each: dict[str, Any], kind: str) -> Counter[str]:
    """Return how many tests of all modules were not run, by the reason."""
    found: Counter[str] = Counter()
    for one in each.values():
        found.update(one[kind])
    return found


def reasons_table(found: dict[str, Any], kind: str, title: str) -> list[str]:
    """Return the lines of a table of reasons, the most frequent first."""
    columns = [by_reason(each, kind) for each in found.values()]
    reasons = sorted(
        {one for each in columns for one in each}, key=lambda one: (-max(each[one] for each in columns), one)
    )
    lines = [f"| {title} | {' | '.join(found)} |", "| --- |" + " --- |" * len(found)]
    for reason in reasons:
        lines.append(f"| {reason} | {' | '.join(str(each[reason]) for each in columns)} |")
    return lines
