"""Have strangers' programs judge our servers and clients, and say what came of it."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path

from . import report
from .judge import Judge, Outcome, attempt
from .judges import (
    aiohttp,
    autobahn,
    browser,
    curl,
    dig,
    httpx,
    netcat,
    nginx,
    openssl,
    socat,
    standard,
    starlette,
    uvicorn,
    websockets,
    wrk,
)

JUDGES: list[Judge] = [
    module.judge
    for module in (
        curl,
        netcat,
        wrk,
        browser,
        nginx,
        aiohttp,
        httpx,
        standard,
        starlette,
        uvicorn,
        websockets,
        openssl,
        socat,
        dig,
        autobahn,
    )
]
"""In the order of the page."""


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.interop", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these judges or cases; --list names them")
    parser.add_argument("--list", action="store_true", help="name judges and cases, and try nothing")
    parser.add_argument(
        "--write", action="store_true", help="keep the outcomes: results.json, docs/explanation/interop.md"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes there")
    parser.add_argument("--all", action="store_true", help="fail when something could not be run")
    parser.add_argument("--verbose", action="store_true", help="show what our parts log")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    options = parse(words)
    names = {judge.name for judge in JUDGES} | {case.name for judge in JUDGES for case in judge.cases}
    if options.list:
        for judge in JUDGES:
            print(judge.name, *(f"  {case.name}" for case in judge.cases), sep="\n")
        return 0
    if unknown := sorted(set(options.only or ()) - names):
        print(f"There is no {', '.join(unknown)}: see --list.", file=sys.stderr)
        return 2
    # What our parts say of peers that break rules is what some cases provoke.
    logging.getLogger("kamaelia").setLevel(logging.INFO if options.verbose else logging.CRITICAL)
    wanted = set(options.only or names)
    outcomes: list[Outcome] = []
    judges = {}
    for judge in JUDGES:
        chosen = [case for case in judge.cases if judge.name in wanted or case.name in wanted]
        for case in chosen:
            began = time.monotonic()
            outcomes.append(attempt(case))
            took = time.monotonic() - began
            print(f"{case.name} ({case.ours}; {took:.1f} s): {outcomes[-1]}", flush=True)
        if chosen:
            judges[judge.name] = report.as_data(judge, outcomes[-len(chosen) :])
        if options.write and len(chosen) == len(judge.cases):  # at once: a later one may be interrupted
            one = {"machine": report.machine(), "judges": {judge.name: judges[judge.name]}}
            report.keep(one, [judge.name for judge in JUDGES])
    if options.json:
        results = {"machine": report.machine(), "judges": judges}
        options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    failed = [outcome for outcome in outcomes if outcome.failed is not None]
    absent = [outcome for outcome in outcomes if outcome.not_run is not None]
    print(f"{len(outcomes)} tried: {len(failed)} failed, {len(absent)} not run.")
    return 1 if failed or (absent and options.all) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
