"""Make reports of the studies' results, or run the studies again: ``make studies ARGS=--run``.

Results are kept in ``studies/results`` as JSON, and reports made of them into ``.kamaelia/studies``. With
``--run`` all runs are made that are not there yet, under ``.kamaelia/experiments``, and what is kept is
replaced; names of studies do only these.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from kamaelia.testbed.experiments import Study

STUDIES = {
    "retransmission_or_fec": ("retransmission_or_fec.py", "protection"),
    "retransmission_or_fec_by_group": ("retransmission_or_fec.py:groups", "protection"),
    "bufferbloat": ("bufferbloat.py", "queue"),
    "http_1_or_3": ("http_1_or_3.py", "http"),
    "http_1_or_3_by_control": ("http_1_or_3.py:controls", "control"),
}
"""Name of the kept results: where the experiment is, and which of its parameters is compared."""
ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "studies"
REPORTS = ROOT / ".kamaelia" / "studies"


def run(name: str) -> int:
    """Make all runs that are missing, and keep the results. Returns the command's exit status."""
    where, compared = STUDIES[name]
    return subprocess.run(
        [
            *(Path(sys.executable).with_name("kamaelia"), "experiment", FOLDER / where),
            *(f"--compare={compared}", f"--save={FOLDER / 'results' / name}.json"),
        ],
        cwd=ROOT,
        check=False,
    ).returncode


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STUDIES))
    parser.add_argument("--run", action="store_true", help="run them again, which takes up to half an hour")
    options = parser.parse_args()
    for name in options.names:
        if name not in STUDIES:
            parser.error(f"there is no study {name!r}; there are {', '.join(STUDIES)}")
    status = 0
    for name in options.names or STUDIES:
        if options.run:
            status = run(name) or status
        REPORTS.mkdir(parents=True, exist_ok=True)
        report = REPORTS / f"{name}.html"
        Study.load(FOLDER / "results" / f"{name}.json").report(report)
        print(f"Wrote {report.relative_to(ROOT)}.")
    return status


if __name__ == "__main__":
    sys.exit(main())
