"""Give each machine a million inputs of atheris's making: `make fuzz`.

Each target is a module of tests/fuzz that opens with what must be true of any input. It runs as a program of
its own, with little memory and little time for one input, so that whatever hangs or grows is found. An input
that breaks a target is kept in the folder that is named at the end, and can be tried again:

    .venv/bin/python -m tests.fuzz.fuzz_proxy FILE
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in (ROOT / "tests" / "fuzz").glob("fuzz_*.py"))
LONGEST = 2048  # bytes of an input
MEMORY = 1024  # MB that a target may need, Python and the fuzzer included
SECONDS = 10  # for one input


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs for each target")
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=TARGETS, help="targets")
    parser.add_argument("--seed", type=int, default=1, help="of the fuzzer's chance")
    asked = parser.parse_args()
    broken = Path(tempfile.mkdtemp(prefix="kamaelia-fuzz-"))
    bad = []
    print(f"{'target':16} {'inputs':>10} {'a second':>9} {'MB':>5}", flush=True)
    for target in asked.only:
        if not fuzz(target, asked.runs, asked.seed, broken):
            bad.append(target)
    if bad:
        print(f"Broken: {', '.join(bad)}. The inputs are in {broken}.")
        return 1
    broken.rmdir()
    return 0


def fuzz(target: str, runs: int, seed: int, broken: Path) -> bool:
    """Fuzz one target; print how that went, and return whether it went well."""
    command = [
        sys.executable, "-m", f"tests.fuzz.fuzz_{target}", f"-runs={runs}", f"-max_len={LONGEST}",
        f"-rss_limit_mb={MEMORY}", f"-timeout={SECONDS}", f"-seed={seed}",
        f"-artifact_prefix={broken}/{target}-", "-print_final_stats=1",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    figures = dict(re.findall(r"stat::(\w+):\s+(\d+)", said))
    count = int(figures.get("number_of_executed_units", 0))
    ran = done.returncode == 0 and count >= runs
    rate, memory = figures.get("average_exec_per_sec", "?"), figures.get("peak_rss_mb", "?")
    print(f"{target:16} {count:>10,} {rate:>9} {memory:>5}", flush=True)
    if not ran:
        print(said[-4000:])
    return ran


if __name__ == "__main__":
    sys.exit(main())
