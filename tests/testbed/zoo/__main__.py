"""Hunt the faults of the zoo: ``python -m tests.testbed.zoo [NAME...]`` prints how soon each was found."""

from __future__ import annotations

import logging
import sys
import time

from . import names, protocol

SEEDS = 200  # that are tried without the fault


def note_of(error: BaseException, begin: str) -> str:
    """Return what a note of an error says after some words."""
    (found,) = (note for note in error.__notes__ if note.startswith(begin))
    return found.removeprefix(begin)


def main(words: list[str]) -> int:
    """Hunt those that are named, or all."""
    logging.disable()  # what sockets complain of, as networks are broken on purpose
    hunted = words or names()
    found = 0
    print(f"{'fault':<20} {'found with seed':>15} {'after':>8}   without it {SEEDS} seeds pass, in a second")
    for name in hunted:
        test = protocol(name)
        began = time.perf_counter()
        try:
            test(faulty=True)
        except AssertionError as error:
            seed = note_of(error, "seed ").split()[0]
            found += 1
        else:
            seed = "none"
        took = time.perf_counter() - began
        began = time.perf_counter()
        test.simulated.run((), {"faulty": False}, range(SEEDS))
        rate = SEEDS / (time.perf_counter() - began)
        print(f"{name:<20} {seed:>15} {took:>6.2f} s   {rate:.0f}", flush=True)
    print(f"{found} of {len(hunted)} found")
    return int(found < len(hunted))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
