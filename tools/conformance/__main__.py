"""Run Python's own tests of asyncio on the event loop of a simulated host.

    python -m tools.conformance                  all modules, on both forms of the core
    python -m tools.conformance --write          the same, and write down how many have passed
    python -m tools.conformance --skipped        those that are skipped, to see whether any passes
    python -m tools.conformance --only test_ssl test_tasks --form plain

The tests come with the interpreter that runs this, as far as its makers have put them in; Debian has them in
`libpython3-testsuite`. What is replaced in them says `loops`, `servers` and `threads`. Which are skipped, and
why, stands in ``tests/testbed/conformance.toml``; how many have to pass, in ``results.json`` and on a page of
the documentation, see `report`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import report
from .modules import MODULES

ROOT = Path(__file__).resolve().parent.parent.parent
LIST = ROOT / "tests" / "testbed" / "conformance.toml"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass
class Outcome:
    """What came of one module."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: dict[str, str] = field(default_factory=dict)
    """What has failed, or died, and how."""
    passed: list[str] = field(default_factory=list)
    patterns: Counter[str] = field(default_factory=Counter)
    """How often each pattern has left something out."""
    not_for_here: Counter[str] = field(default_factory=Counter)
    """How often Python itself has skipped something, by its reason."""
    loops: dict[str, int] = field(default_factory=dict)
    """How many there were, simulated and real."""


def skips(version: str = VERSION) -> dict[str, str]:
    """Return the patterns of tests that are skipped, each with the reason."""
    found: dict[str, str] = {}
    for entry in tomllib.loads(LIST.read_text())["skip"]:
        if version in entry.get("versions", [version]):
            for pattern in entry["tests"]:
                found[pattern] = entry["reason"]
    return found


def modules(version: str = VERSION) -> list[str]:
    """Return the modules that a version of Python has."""
    return [name for name, first in MODULES.items() if first <= version]


def run(names: list[str], form: str, patterns: list[str], *, run_those: bool = False) -> dict[str, Outcome]:
    """Run modules but the tests that patterns name, or those alone."""
    outcomes = {name: Outcome() for name in names}
    done: list[str] = []
    left = list(names)
    while left:
        order = {
            "modules": left,
            "form": form,
            "patterns": patterns,
            "run_those": run_those,
            "done": done,
        }
        child = subprocess.run(
            [sys.executable, "-m", "tools.conformance.child"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        running = ""
        for line in child.stdout.splitlines():
            facts: dict[str, Any] = json.loads(line)
            if "module" in facts:
                outcomes[facts.pop("module")].loops = facts
                del left[0]
            elif "outcome" in facts:
                note(outcomes[left[0]], facts)
                done.append(facts["test"])
                running = ""
            else:
                running = facts["test"]
        if running:  # the process has died of it
            note(outcomes[left[0]], {"test": running, "outcome": "died", "why": child.stderr[-2000:]})
            done.append(running)
        elif left:
            raise RuntimeError(
                f"the process that runs {left[0]} has ended by itself:\n{child.stderr[-4000:]}"
            )
    return outcomes


def note(outcome: Outcome, facts: dict[str, Any]) -> None:
    """Take down what came of a test."""
    kind, name = facts["outcome"], facts["test"]
    outcome.counts[kind] += 1
    if kind in ("failed", "died"):
        outcome.bad[name] = facts["why"]
    elif kind == "passed":
        outcome.passed.append(name)
    elif kind == "left out":
        outcome.patterns[facts["why"]] += 1
    elif kind == "not for here":
        outcome.not_for_here[facts["why"].splitlines()[0]] += 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", metavar="MODULE", default=modules(), help="these modules")
    parser.add_argument("--form", choices=["compiled", "plain"], help="on this form of the core only")
    parser.add_argument("--skipped", action="store_true", help="run those that are skipped, and no others")
    parser.add_argument("--write", action="store_true", help="keep the counts, and write them into the docs")
    parser.add_argument("--list", action="store_true", help="say how many are skipped for which reason")
    parser.add_argument("--verbose", action="store_true", help="show how tests have failed")
    return parser.parse_args()


def main() -> int:
    """Run what is asked for, and return 1 if something is not as it should be."""
    arguments = parse()
    reasons = skips()
    wrong: list[str] = []
    for form in [arguments.form] if arguments.form else ["compiled", "plain"]:
        print(f"Python {sys.version.split()[0]}, {form} core")
        outcomes = run(arguments.only, form, list(reasons), run_those=arguments.skipped)
        by_reason: Counter[str] = Counter()
        for name, outcome in outcomes.items():
            counted = ", ".join(f"{number} {kind}" for kind, number in sorted(outcome.counts.items()))
            print(f"  {name}: {counted or 'nothing'}; {outcome.loops.get('simulated', 0)} simulated loops")
            for one, number in outcome.patterns.items():
                by_reason[reasons[one]] += number
            if arguments.skipped:
                wrong += [f"{one} passes: do not skip it ({form})" for one in outcome.passed]
            else:
                wrong += [f"{one} has failed ({form})" for one in outcome.bad]
            if outcome.loops.get("real"):
                wrong.append(f"{name} has made {outcome.loops['real']} loops that are not simulated")
            if arguments.verbose:
                for one, why in outcome.bad.items():
                    print(f"--- {one}\n{why}")
        if arguments.write and form == "compiled":
            report.write(outcomes, reasons)
        used = {one for outcome in outcomes.values() for one in outcome.patterns}
        if not arguments.skipped and arguments.only == modules():
            wrong += [f"the skip {one} skips nothing ({form})" for one in reasons if one not in used]
        if arguments.list:
            for reason, number in by_reason.most_common():
                print(f"  {number:4} skipped: {reason}")
    print("\n".join(wrong) or "All as it should be.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
