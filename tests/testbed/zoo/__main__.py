"""Hunt the faults of the zoo: ``python -m tests.testbed.zoo [NAME...]`` prints how soon each was found."""

from __future__ import annotations

import argparse
import logging
import os
import re
import subprocess
import sys
import time
from typing import NamedTuple

from . import names, protocol


class Found(NamedTuple):
    """What the hunt for one fault has found."""

    seed: int
    seconds: float
    """Of real time, until it was found and written down."""
    said: str
    command: str
    notes: str


def hunt(name: str, first: tuple[int, ...] = ()) -> Found | None:
    """Try the seeds of a protocol with its fault, and before them some others; None if all of them pass."""
    test = protocol(name).simulated
    began = time.perf_counter()
    try:
        test.run((), {"faulty": True}, [*first, *test.seeds] if first else None)
    except AssertionError as error:
        took = time.perf_counter() - began
        seed, command = (note_of(error, begin) for begin in ("seed ", "to run it again: "))
        notes = "\n".join(error.__notes__)
        return Found(int(seed.split()[0]), took, str(error).splitlines()[0], command, notes)
    return None


def note_of(error: BaseException, begin: str) -> str:
    """Return what a note of an error says after some words."""
    (found,) = (note for note in error.__notes__ if note.startswith(begin))
    return found.removeprefix(begin)


def replay(found: Found) -> str:
    """Give the command in a shell, as a reader would; return what is wrong with what it says, if anything."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        found.command, shell=True, env=environment, capture_output=True, text=True, timeout=60
    )
    said = re.search(r"AssertionError: (.*)", done.stderr)
    if done.returncode != 1 or said is None or said[1] != found.said:
        return f"exit code {done.returncode}: {done.stdout}{done.stderr}"
    return ""


def main(words: list[str]) -> int:
    """Hunt those that are named, or all."""
    parser = argparse.ArgumentParser("python -m tests.testbed.zoo", description=__doc__.partition(":")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a fault; all, if there is none")
    parser.add_argument("--without", type=int, default=200, metavar="N", help="seeds without the fault (200)")
    options = parser.parse_args(words)
    logging.disable()  # what sockets complain of, as networks are broken on purpose
    hunted = options.names or names()
    good = 0
    print(f"| fault | found with seed | after | its command | {options.without:,} seeds without it |")
    print("| --- | ---: | ---: | --- | --- |", flush=True)
    for name in hunted:
        found = hunt(name)
        wrong = "" if found is None else replay(found)
        began = time.perf_counter()
        passed = "pass"
        try:
            protocol(name).simulated.run((), {"faulty": False}, range(options.without))
        except AssertionError as error:
            passed = f"**fail** with {note_of(error, 'seed ').split()[0]}"
        took = time.perf_counter() - began
        seed, after = ("none", "") if found is None else (str(found.seed), f"{found.seconds:.1f} s")
        again = "" if found is None else "differs" if wrong else "fails again"
        print(f"| `{name}` | {seed} | {after} | {again} | {passed}, {took:.1f} s |", flush=True)
        if wrong:
            print(wrong, file=sys.stderr)
        good += found is not None and not wrong and passed == "pass"
    print(f"\n{good} of {len(hunted)}")
    return int(good < len(hunted))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
