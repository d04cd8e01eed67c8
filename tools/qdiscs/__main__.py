"""Compare the queues and links of the testbed with those of Linux.

    python -m tools.qdiscs tbf              the token bucket, with tbf of the running kernel: a minute
    python -m tools.qdiscs uml              netem, codel, fq_codel and red, in a kernel of their own: four
    python -m tools.qdiscs --write          both, and keep them: results.json, and a page of the docs
    python -m tools.qdiscs --only fq_codel  what has that in its name

It needs root and iproute2, and for the second Debian's user-mode-linux and kmod: `make qdiscs-deps`.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import buckets, ours, real, uml
from .scenarios import SCENARIOS, Finding, Scenario, by_packet

RESULTS = Path(__file__).resolve().parent / "results.json"
PAGE = uml.ROOT / "docs" / "explanation" / "kernel-queues.md"
BEGIN = "<!-- Written by python -m tools.qdiscs --write, so change nothing by hand from here -->"
END = "<!-- to here. -->"
SEED = 7  # of ours
HEAD = "| | compared | Linux | ours | Linux over ours, or p | agrees |\n| --- | --- | --: | --: | --: | --- |"
YES = {True: "yes", False: "**no**", None: ""}


@dataclass(frozen=True)
class Result:
    """What came of a scenario."""

    name: str
    qdiscs: Sequence[str]
    ours: str
    reason: str
    findings: Sequence[Finding]
    failed: str = ""

    @property
    def is_as_expected(self) -> bool:
        """All agrees, or it is known why something does not."""
        agrees = all(finding.agrees is not False for finding in self.findings)
        return not self.failed and agrees is not bool(self.reason)


def tbf(only: Sequence[str]) -> list[Result]:
    """Compare the token bucket with tbf of the running kernel."""
    chosen = [bucket for bucket in buckets.LONG if is_wanted(f"tbf: {bucket.name}", only)]
    results = []
    for bucket in chosen:
        scenario = Scenario(
            bucket.name,
            (bucket.qdisc,),
            bucket.link,
            "the same token bucket",
            bucket.packets,
            by_packet,
        )
        try:
            came = real.through(scenario.qdiscs, scenario.packets, bucket.tail)
        except (OSError, RuntimeError) as error:
            results.append(judge(scenario, uml.Answer(None, str(error))))
        else:
            results.append(judge(scenario, uml.Answer(came)))
    return results


def others(only: Sequence[str]) -> tuple[str, list[Result]]:
    """Compare the rest with a kernel that has them; return its version too. Raises `uml.Missing`."""
    chosen = [scenario for scenario in SCENARIOS if is_wanted(scenario.name, only)]
    if not chosen:
        return "", []
    version, answers = uml.run([uml.Job(one.qdiscs, one.packets) for one in chosen])
    return version, [judge(*pair) for pair in zip(chosen, answers, strict=True)]


def is_wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(word in name for word in only)


def judge(scenario: Scenario, answer: uml.Answer) -> Result:
    """Send the same packets at the same times through ours, and compare."""
    seen = answer.seen
    findings: list[Finding] = []
    if seen is not None:
        model = ours.through(scenario.link, scenario.packets, seen.arrived, SEED)
        findings = scenario.judge(seen, model, scenario.packets)
    return Result(scenario.name, scenario.qdiscs, scenario.written, scenario.reason, findings, answer.failed)


# --- what is shown ------------------------------------------------------------------------------------


def table(results: Sequence[Result]) -> str:
    """Return what was found in Markdown."""
    lines = [HEAD]
    for result in results:
        if result.failed:
            lines.append(f"| {result.name} | not run: {result.failed} | | | | |")
        for number, finding in enumerate(result.findings):
            name = result.name if number == 0 else ""
            verdict = YES[finding.agrees]
            lines.append(
                f"| {name} | {finding.what} | {finding.real} | {finding.ours} | {finding.alike} | {verdict} |"
            )
    return "\n".join(lines)


def told(results: Sequence[Result]) -> str:
    """Return what both were told, and why what does not agree does not."""
    lines = ["| | `tc` is told | ours |", "| --- | --- | --- |"]
    lines += [f"| {one.name} | `{'`, inside `'.join(one.qdiscs)}` | `{one.ours}` |" for one in results]
    return "\n".join(lines)


def reasons(results: Sequence[Result]) -> str:
    return "\n".join(f"- {one.name}: {one.reason}." for one in results if one.reason)


def text(data: dict[str, Any]) -> str:
    """Return the part of the page that is written by this."""
    first, second = ([result_of(one) for one in data[key]] for key in ("tbf", "uml"))
    count = [finding.agrees for one in (*first, *second) for finding in one.findings]
    judged = [agrees for agrees in count if agrees is not None]
    parts = [f"{judged.count(True)} of {len(judged)} figures agree."]
    if first:
        parts += [f"### tbf of Linux {data['kernel']}", table(first), "What both were told:", told(first)]
    if second:
        parts += [f"### netem, codel, fq_codel, red and tbf of Linux {data['version']}", table(second)]
    if any(one.reason for one in second):
        parts += ["What does not agree, and why:", reasons(second)]
    if second:
        parts += ["What both were told:", told(second)]
    return "\n\n".join(parts)


def result_of(data: dict[str, Any]) -> Result:
    return Result(**{**data, "findings": [Finding(**one) for one in data["findings"]]})


def write(data: dict[str, Any], page: Path = PAGE, results: Path = RESULTS) -> None:
    """Keep what was found: as JSON, and in the page, between its marks."""
    before, found, rest = page.read_text().partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"{page.name} has not both of the lines between which the tables stand")
    results.write_text(json.dumps(data, indent=1) + "\n")
    page.write_text(f"{before}{BEGIN}\n\n{text(data)}\n\n{END}{after}")


def main(words: list[str] | None = None) -> int:
    """Do what is asked; the exit code says whether all is as expected."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tools.qdiscs", description=first)
    parser.add_argument("which", nargs="?", choices=("tbf", "uml"), help="only this one of the two")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="with one of these in its name")
    parser.add_argument("--write", action="store_true", help=f"keep it, and {PAGE.relative_to(uml.ROOT)}")
    options = parser.parse_args(words)
    if options.write and (options.only or options.which):
        parser.error("--write keeps all of it, so do all of it")
    data: dict[str, Any] = {"kernel": platform.release().partition("-")[0], "version": ""}
    data |= {"tbf": [], "uml": []}
    if options.which != "uml":
        data["tbf"] = [asdict(one) for one in tbf(options.only)]
    if options.which != "tbf":
        try:
            data["version"], results = others(options.only)
        except uml.Missing as error:
            print(error, file=sys.stderr)
            return 1
        data["uml"] = [asdict(one) for one in results]
    print(text(data))
    if options.write:
        write(data)
    everything = [result_of(one) for one in (*data["tbf"], *data["uml"])]
    wrong = [one.name for one in everything if not one.is_as_expected]
    if wrong:
        print(f"\nNot as expected: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
