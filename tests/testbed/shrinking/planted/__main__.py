"""Shrink the planted failures: ``python -m tests.testbed.shrinking.planted [NAME...]`` prints a table."""

from __future__ import annotations

import argparse
import logging
import statistics
import sys

from . import names, shrunk, wrong_with

HEAD = """\
| planted failure | hosts | links | faults | runs | time | needed |
| --- | ---: | ---: | ---: | ---: | ---: | --- |"""


def main(words: list[str]) -> int:
    """Shrink those that are named, or all."""
    parser = argparse.ArgumentParser(
        "python -m tests.testbed.shrinking.planted", description=__doc__.partition(":")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a failure; all, if there is none")
    parser.add_argument("-v", action="store_true", help="say what was tried")
    options = parser.parse_args(words)
    logging.disable()  # what sockets complain of, as networks are broken on purpose
    print(HEAD, flush=True)
    hosts: list[int] = []
    wrong: list[str] = []
    for name in options.names or names():
        found = shrunk(name, tell=print if options.v else None)
        plan, whole = found.plan, found.whole
        needed = "; ".join(f"{fault.begin}" for fault in plan.faults).replace("|", "/")
        hosts.append(plan.host_count)
        print(
            f"| `{name}` | {whole.host_count} > {plan.host_count} | {len(whole.links)} > {found.link_count} "
            f"| {whole.fault_count} > {plan.fault_count} | {found.runs} | {found.took:.1f} s "
            f"| {needed} |",
            flush=True,
        )
        if said := wrong_with(name, found):
            wrong.append(f"{name}: {said}")
    median = statistics.median(hosts)
    print(f"\nMedian: {median:g} hosts.")
    for said in wrong:
        print(said, file=sys.stderr)
    return int(bool(wrong) or median > 3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
