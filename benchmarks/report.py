"""Tables of what was measured, the files that keep it, and the page of the documentation that shows it.

All of them are made of the plain data that `contest.as_data` returns, whether it is from this run or was read
from a file. So the rows that one run leaves out stay as an earlier run left them.
"""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

from .programs import FOLDER, ROOT

PAGE = ROOT / "docs" / "explanation" / "speed.md"
BEGIN = "<!-- The figures: written by make bench, so change nothing by hand from here -->"
END = "<!-- to here. -->"

HEAD = "| work | Kamaelia | beside | figure | Kamaelia is | wanted | met |"
RULE = "| --- | --- | --- | --- | --- | --- | --- |"

Results = dict[str, Any]


# --- figures as people read them ----------------------------------------------------------------------


def shown(value: float, unit: str) -> str:
    """Return a figure with its unit, in three digits."""
    if unit == "/s":
        return scaled(value, [(1e6, "M/s"), (1e3, "k/s"), (1, "/s")])
    if unit == "B":
        return scaled(value, [(1e6, "MB"), (1e3, "KB"), (1, "B")])
    if unit == "B/s":
        return scaled(value, [(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "KB/s"), (1, "B/s")])
    if unit == "s":
        return scaled(value, [(1, "s"), (1e-3, "ms"), (1e-6, "µs")])
    return f"{digits(value)} {unit}".strip()


def scaled(value: float, scales: list[tuple[float, str]]) -> str:
    for factor, name in scales:
        if value >= factor:
            return f"{digits(value / factor)} {name}"
    factor, name = scales[-1]
    return f"{digits(value / factor)} {name}"


def digits(value: float) -> str:
    """Return a number in three digits, or all that stand before the point."""
    if value == int(value):
        return f"{value:,.0f}"
    places = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{places}f}"


def wanted_shown(comparison: dict[str, Any], measure: dict[str, Any]) -> str:
    bound = comparison["bound"]
    if bound is None:
        return ""
    side = "at least" if measure["more_is_better"] else "at most"
    return (
        f"{side} {shown(bound, measure['unit'])}" if comparison["beside"] is None else f"{side} {bound:g} x"
    )


# --- tables -------------------------------------------------------------------------------------------


def rows(contest: dict[str, Any]) -> list[str]:
    """Return the lines of the table for one contest: one for each measure and each who was beside us."""
    entries = {entry["name"]: entry for entry in contest["contestants"]}
    own = contest["contestants"][0]
    lines = []
    for key, measure in contest["measures"].items():
        comparisons = [one for one in contest["comparisons"] if one["measure"] == key]
        first = measure["what"] if contest["work"] == "start" else f"{contest['work']}: {measure['what']}"
        ours = _figure(own, key, measure)
        for one in comparisons or [{"beside": None, "bound": None, "met": None}]:
            other = entries.get(one["beside"])
            cells = [
                first,
                ours,
                one["beside"] or "",
                _figure(other, key, measure) if other else "",
                f"{digits(one['ratio'])} x" if one.get("ratio") is not None else "",
                wanted_shown(one, measure),
                _verdict(one, own, other),
            ]
            lines.append("| " + " | ".join(cells) + " |")
            first = ours = ""  # said once is enough
    return lines


def _figure(entry: dict[str, Any], key: str, measure: dict[str, Any]) -> str:
    if "not_run" in entry:
        return "not run"
    return shown(entry["figures"][key]["median"], measure["unit"])


def _verdict(comparison: dict[str, Any], own: dict[str, Any], other: dict[str, Any] | None) -> str:
    if comparison["bound"] is None:
        return ""
    if "not_run" in own or (other is not None and "not_run" in other):
        return "not run"
    return "yes" if comparison["met"] else "no"


def not_run(results: Results) -> list[str]:
    """Return a line for each contestant that could not be run, and why."""
    return [
        f"{name}: {entry['name']}: {entry['not_run']}"
        for name, contest in results["contests"].items()
        for entry in contest["contestants"]
        if "not_run" in entry
    ]


def peers(results: Results) -> list[str]:
    """Return the names and versions of all who took part."""
    seen: dict[str, None] = {}
    for contest in results["contests"].values():
        for entry in contest["contestants"]:
            if entry.get("about"):
                seen[entry["about"]] = None
    return list(seen)


def noise(results: Results) -> str:
    """Say how far the rounds of one program lie apart, so that nobody takes a small difference for one."""
    spreads = []
    for contest in results["contests"].values():
        for entry in contest["contestants"]:
            for key, figure in entry.get("figures", {}).items():
                per_cent = contest["measures"][key]["unit"] == "%"  # a difference already, and near nothing
                if len(figure["rounds"]) > 2 and figure["median"] and not per_cent:
                    away = [abs(one / figure["median"] - 1) for one in figure["rounds"]]
                    spreads.append(statistics.median(away) * 100)
    if not spreads:
        return "Too few rounds to say how noisy the machine was."
    typical, worst = statistics.median(spreads), max(spreads)
    return (
        "How noisy the machine was: half of a program's rounds lie within "
        f"{typical:.0f} % of its median, typically; within {worst:.0f} %, of the noisiest."
    )


def title(results: Results) -> str:
    return f"CPython {results['python']}, {results['core']}"


def table(results: Results) -> str:
    """Return everything about one interpreter and core in Markdown."""
    lines = [HEAD, RULE]
    for contest in results["contests"].values():
        lines += rows(contest)
    met = [one["met"] for contest in results["contests"].values() for one in contest["comparisons"]]
    wanted = [verdict for verdict in met if verdict is not None]
    lines += ["", f"{wanted.count(True)} of {len(wanted)} targets that could be judged are met."]
    lines += ["", noise(results)]
    absent = not_run(results)
    if absent:
        lines += ["", "Not run:", "", *(f"- {line}" for line in absent)]
    lines += ["", f"Measured on {results['machine']}: {'; '.join(peers(results))}."]
    return "\n".join(lines) + "\n"


# --- what is kept -------------------------------------------------------------------------------------


def file_of(results: Results, folder: Path = FOLDER) -> Path:
    """Return where results are kept: by interpreter and core."""
    version = ".".join(results["python"].split(".")[:2])
    core = "plain" if results["core"].startswith("plain") else "compiled"
    return folder / f"results-{version}-{core}.json"


def merged(old: Results | None, new: Results, order: list[str]) -> Results:
    """Return new results with those of an earlier run for what was not measured now, in one order."""
    both = {**(old or {"contests": {}})["contests"], **new["contests"]}
    known = [name for name in order if name in both]
    return {**new, "contests": {name: both[name] for name in known}}


def as_json(results: Results | list[Results]) -> str:
    """Return results for programs; rounded, because nobody could measure more exactly."""
    text = json.dumps(_rounded(results), indent=1, ensure_ascii=False)
    # The figures of all rounds stand in one line.
    return re.sub(r"\[\s+([-+.e\d]+(?:,\s+[-+.e\d]+)*)\s+\]", _one_line, text) + "\n"


def _one_line(found: re.Match[str]) -> str:
    return f"[{' '.join(found.group(1).split())}]"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return value


def keep(results: Results, order: list[str], folder: Path = FOLDER) -> list[Path]:
    """Write the results and their table beside the benchmarks; return where."""
    path = file_of(results, folder)
    old = json.loads(path.read_text()) if path.exists() else None
    whole = merged(old, results, order)
    path.write_text(as_json(whole))
    readable = path.with_suffix(".md")
    readable.write_text(f"# {title(whole)}\n\n{table(whole)}")
    return [path, readable]


def all_kept(folder: Path = FOLDER) -> list[Results]:
    """Return the results that are kept: older Pythons first, and the compiled core before the plain one."""

    def place(results: Results) -> tuple[list[int], bool]:
        version = [int(number) for number in results["python"].split(".")[:2]]
        return version, results["core"].startswith("plain")

    return sorted((json.loads(path.read_text()) for path in folder.glob("results-*.json")), key=place)


def rewrite_page(page: Path = PAGE, folder: Path = FOLDER) -> None:
    """Put the tables that are kept into the page of the documentation, between its two marks."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has lost the marks between which the figures stand")
    sections = [f"### {title(results)}\n\n{table(results)}" for results in all_kept(folder)]
    page.write_text(before + begin + "\n\n" + "\n".join(sections) + "\n" + end + after)
