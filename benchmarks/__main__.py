"""``python -m benchmarks``: every figure in one table; ``--json FILE`` writes them for programs as well."""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys

from kamaelia.axon.system import describe_core

from . import pipeline, start


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()

    loop = asyncio.new_event_loop()
    core = describe_core(loop)
    loop.close()
    about = f"CPython {platform.python_version()}, {core}, {platform.machine()}"
    print(f"{about}. Medians; peers interleaved in this run.\n")

    hops = pipeline.results()
    print("| work | kamaelia | asyncio.Queue | ratio |")
    print("| --- | --- | --- | --- |")
    for one in hops:
        print(f"| {one.work} | {one.kamaelia / 1e6:.2f} M/s | {one.peer / 1e6:.2f} M/s | {one.ratio:.2f} |")

    starts = start.results()
    print("\n| work | measured | at most |")
    print("| --- | --- | --- |")
    for two in starts:
        print(f"| {two.work} | {two.milliseconds:.0f} ms | {two.limit:.0f} ms |")

    if options.json:
        figures = {
            "about": about,
            "hops_per_second": {
                one.work: {"kamaelia": one.kamaelia, "asyncio.Queue": one.peer, "ratio": one.ratio}
                for one in hops
            },
            "milliseconds": {two.work: two.milliseconds for two in starts},
        }
        with open(options.json, "w") as file:
            json.dump(figures, file, indent=2)
        print(f"\nwritten to {options.json}", file=sys.stderr)


if __name__ == "__main__":
    main()
