"""Run single runs of the studies of TCP in real time, on Linux's own TCP, beside the simulated ones.

    PYTHONPATH=src .venv/bin/python tools/judge_studies.py [bufferbloat] [http] [--seeds 2]

The components are the same, and so are the links, with their queues and losses for a seed: only TCP, UDP and
the time that programs take are real. It needs root, as `Network.emulate` does.

`clock`, by which the studies say when something begins, counts from the beginning there, too.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from kamaelia.testbed import Network

STARTING = 0.3  # seconds until all hosts run
ROOT = Path(__file__).resolve().parents[1]
HOUSEHOLDS: list[dict[str, Any]] = [
    {"queue": "4 BDP", "transfers": 1, "direction": "down"},
    {"queue": "CoDel", "transfers": 1, "direction": "down"},
    {"queue": "FQ-CoDel", "transfers": 4, "direction": "down"},
    {"queue": "CoDel", "transfers": 4, "direction": "up"},
]
VISITS: list[dict[str, Any]] = [
    {"page": page, "loss": loss, "http": http}
    for page, loss in (("100 x 10 kB", 0), ("100 x 10 kB", 1), ("1 x 1000 kB", 1))
    for http in (1, 3)
]


@contextmanager
def counted_from_now(study: ModuleType) -> Iterator[None]:
    """Have the study's clock count from when all hosts run."""
    virtual = study.clock
    began = time.monotonic() + STARTING
    study.clock = lambda: time.monotonic() - began  # type: ignore[attr-defined]
    try:
        yield
    finally:
        study.clock = virtual  # type: ignore[attr-defined]


def judge(
    study: ModuleType,
    make: Callable[..., Network],
    arguments: dict[str, Any],
    seeds: int,
    seconds: float,
    until: str | None,
) -> None:
    """Run one combination in both ways, and print what came of it."""
    for seed in range(seeds):
        simulated = study.outcome(make(**arguments).simulate(seconds, seed=seed, until=until))
        with counted_from_now(study):
            trace = make(**arguments).emulate(min(seconds, 60), seed=seed, until=until)
        emulated = study.outcome(trace)
        print(", ".join(f"{name}={value}" for name, value in arguments.items()), f"seed={seed}")
        for name, value in simulated.items():
            print(f"  {name:16}{value:10.4g} simulated{emulated[name]:10.4g} on Linux's own TCP")
        print(f"  {trace.emulation}".replace("\n", "\n  "), flush=True)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", choices=["bufferbloat", "http"], help="which; both by default")
    parser.add_argument("--seeds", type=int, default=2, help="how many, from 0 on")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "studies"))
    if "bufferbloat" in options.studies or not options.studies:
        study = importlib.import_module("bufferbloat")
        for arguments in HOUSEHOLDS:
            judge(study, study.household, arguments, options.seeds, study.OVER, None)
    if "http" in options.studies or not options.studies:
        study = importlib.import_module("http_1_or_3")
        for arguments in VISITS:
            judge(study, study.visit, arguments, options.seeds, study.SECONDS, "phone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
