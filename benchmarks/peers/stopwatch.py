"""What the contestants written in Python share: how they are told what to do, and say what came of it."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable


def numbers() -> list[int]:
    """Return the whole numbers on the command line, which say how much work there is."""
    return [int(word) for word in sys.argv[1:] if word.isdigit()]


def version(package: str) -> str:
    """Return the name and version of a library, as the table names it."""
    return f"{package} {importlib.metadata.version(package)}"


def report(about: str, **figures: float) -> None:
    """Print the one line that whoever started this program waits for."""
    print(json.dumps({"about": about, "python": platform.python_version(), **figures}), flush=True)


def time_hops(about: str, work: Callable[[], int], messages: int, hops: int) -> None:
    """Do the work, which returns how many messages came out at its end, and report message hops a second.

    The garbage collector has nothing left over from the start of the program, and is on, as it is for users.
    """
    gc.collect()
    before = time.perf_counter()
    arrived = work()
    seconds = time.perf_counter() - before
    if arrived != messages:
        raise SystemExit(f"{arrived} of {messages} messages arrived")
    report(about, messages=messages, hops=hops, seconds=seconds, rate=messages * hops / seconds)


def resident() -> int:
    """Return how many bytes of memory this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
