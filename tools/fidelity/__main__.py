"""Compare TCP as packets with that of the kernel of this machine: ``make fidelity``.

Some twenty minutes, nearly all of it the kernel's, which takes its time. What was found is kept after each
run, so that it can be ended at any time and goes on where it was: ``--fresh`` begins anew. The kernel's runs
want a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

from kamaelia.testbed import EmulationError
from kamaelia.testbed.emulation import missing

from .cells import SEEDS, cells
from .ns3 import Missing
from .runs import Run, run
from .table import Found, markdown, rows, summary

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "tcp-fidelity.md"
KEPT = ROOT / "tools" / "fidelity" / "results.json"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
ATTEMPTS = 3  # at a cell for which the box is late


def load(path: Path) -> Found:
    """Return what was found before."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text())
    return {(one["arm"], one["cell"], one["seed"]): Run.from_json(one) for one in kept["runs"]}


def save(path: Path, found: Found) -> None:
    """Keep what has been found, whole or not at all."""
    runs = [
        {"arm": arm, "cell": cell, "seed": seed, **one.to_json()}
        for (arm, cell, seed), one in sorted(found.items())
    ]
    about = {"kernel": platform.release(), "python": platform.python_version()}
    written = path.with_suffix(".part")
    written.write_text(json.dumps({"about": about, "runs": runs}, indent=0) + "\n")
    os.replace(written, path)


def write_page(found: Found) -> None:
    """Put the tables into the page of the documentation."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    about = f"Linux {platform.release().partition('-')[0]}, {len(SEEDS)} seeds."
    PAGE.write_text(f"{before}{BEGIN}\n{about}\n\n{markdown(found)}\n{END}{after}")


def main() -> int:
    """Run what is missing, and show the table; returns 1 if something asked is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.fidelity", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget what was found before")
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="only these cells, from 0")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), metavar="SEED")
    parser.add_argument("--arms", nargs="+", default=["simulated", "kernel", "ns-3"], metavar="ARM")
    parser.add_argument("--write", action="store_true", help="rewrite the page of the documentation")
    parser.add_argument("--file", type=Path, default=KEPT, help="where results are kept")
    options = parser.parse_args()
    if "kernel" in options.arms and (lacking := missing()):
        print("The kernel cannot be asked: " + "; ".join(lacking), file=sys.stderr)
        return 1
    found = {} if options.fresh else load(options.file)
    every = cells()
    for number in options.only or range(len(every)):
        cell = every[number]
        for seed in options.seeds:
            for arm in options.arms:
                key = (arm, cell.name, seed)
                if arm == "simulated" or key not in found:
                    one = attempt(arm, number, seed)
                    if one is not None:
                        found[key] = one
                        save(options.file, found)
    table = rows(found)
    if not table:
        print("Nothing could be compared.", file=sys.stderr)
        return 1
    for asked, answer, met in summary(table):
        print(f"{'met   ' if met else 'MISSED'} {asked}: {answer}")
    for row in table:
        if row.misses:
            print(f"       {row.cell.name}: {'; '.join(row.misses)}")
    if options.write:
        write_page(found)
    return 0 if all(met for _, _, met in summary(table)) else 1


def attempt(arm: str, number: int, seed: int) -> Run | None:
    """Run a cell, and again when the box was late; None if it could not be."""
    cell = cells()[number]
    for _ in range(ATTEMPTS):
        began = time.monotonic()
        try:
            one = run(arm, cell, seed)
        except (Missing, EmulationError) as error:
            print(f"{number:2} {cell.name}, seed {seed}, {arm}: not run: {error}", file=sys.stderr)
            return None
        took = time.monotonic() - began
        late = f", {one.lateness * 1e6:.0f} us late" if one.lateness else ""
        print(
            f"{number:2} {cell.name}, seed {seed}, {arm}: {one.goodput / 1e6:.2f} Mbit/s, "
            f"{one.resent} sent again{late} ({took:.0f} s)",
            flush=True,
        )
        if not one.is_void(cell):
            return one
        print("   void: the box was too late", flush=True)
    return None


if __name__ == "__main__":
    sys.exit(main())
