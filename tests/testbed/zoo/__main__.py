"""Hunt the faults of the zoo: ``python -m tests.testbed.zoo [NAME...]`` prints how soon each was found."""

from __future__ import annotations

import sys
import time

from . import names, protocol


def seed_of(error: BaseException) -> str:
    """Return the seed that an error of a test over seeds tells of."""
    leaves = [error, *getattr(error, "exceptions", ())]
    notes = [note for leaf in leaves for note in getattr(leaf, "__notes__", ()) if note.startswith("seed ")]
    return notes[-1].split()[1]


def main(words: list[str]) -> int:
    """Hunt those that are named, or all."""
    missed = 0
    print(f"{'fault':<20} {'seed':>5} {'seconds':>8}   without it: seeds, a second")
    for name in words or names():
        test = protocol(name)
        began = time.perf_counter()
        found = "none"
        try:
            test(faulty=True)
        except Exception as error:
            found = seed_of(error)
        took = time.perf_counter() - began
        missed += found == "none"
        began = time.perf_counter()
        test.simulated.run((), {"faulty": False}, range(200))
        rate = 200 / (time.perf_counter() - began)
        print(f"{name:<20} {found:>5} {took:>8.2f}   200, {rate:.0f}", flush=True)
    print(f"{len(words or names()) - missed} of {len(words or names())} found")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
