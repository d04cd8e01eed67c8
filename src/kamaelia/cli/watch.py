"""``kamaelia run --watch``: run a system in a process of its own, and start it again when a file changes.

Which files a system is made of nobody knows before it has run, so every Python file in the folders that the
command line names, and below, is watched: their times are looked at a few times a second.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kamaelia.axon.clock import sleep_for_real

INTERVAL = 0.25  # seconds between two looks
MOST_FILES = 5000  # beyond which a look would take too long


def watch(words: Sequence[str], systems: Iterable[str]) -> int:
    """Run ``kamaelia run`` with these words, again and again, until Ctrl-C; returns the last exit code."""
    folders = folders_of(systems)
    seen = look(folders)
    command = [sys.executable, "-m", "kamaelia", "run", *words]
    ending = False

    def end(number: int, frame: Any) -> None:
        nonlocal ending
        ending = True
        # From the terminal, Ctrl-C reaches the child as well; other signals only us.
        if number != signal.SIGINT and child.poll() is None:
            child.terminate()

    tell(f"watching {len(seen)} Python files in {', '.join(str(folder) for folder in folders)}")
    child = subprocess.Popen(command)
    before = {kind: signal.signal(kind, end) for kind in (signal.SIGINT, signal.SIGTERM)}
    told_of_end = False
    try:
        while True:
            code = child.poll()
            if ending:
                return child.wait() if code is None else 0
            if code is not None and not told_of_end:
                told_of_end = True
                tell(f"ended with exit code {code}; a change starts it again, Ctrl-C ends")
            now = look(folders)
            if now != seen:
                changed = sorted({path for path, _ in now.items() ^ seen.items()})
                seen = now
                tell(f"{os.path.relpath(changed[0])} has changed: starting again")
                if child.poll() is None:
                    child.terminate()  # a stop: it finishes what it has accepted
                    child.wait()
                if not ending:
                    child = subprocess.Popen(command)
                    told_of_end = False
                continue
            sleep_for_real(INTERVAL)
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def tell(what: str) -> None:
    """Say something to who sits there."""
    print(f"kamaelia run --watch: {what}", file=sys.stderr, flush=True)


def folders_of(systems: Iterable[str]) -> list[Path]:
    """Return the folders to watch: those of the files, and this one for anything else.

    >>> folders_of(["music/radio.py", "music/mixer.py:desk"])
    [PosixPath('music')]
    """
    folders: dict[Path, None] = {}
    for text in systems:
        file = re.match(r"(.+\.py)(:[\w.]+)?$", text)
        folders[Path(file[1]).parent if file else Path()] = None
    return list(folders)


def look(folders: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Return each file's time and size."""
    found: dict[Path, tuple[int, int]] = {}
    for folder in folders:
        for parent, below, files in os.walk(folder):
            below[:] = [
                name
                for name in below
                if not name.startswith(".") and name not in ("__pycache__", "site-packages")
            ]
            for name in files:
                if name.endswith(".py") and len(found) < MOST_FILES:
                    path = Path(parent, name)
                    try:
                        status = path.stat()
                    except OSError:  # it has just gone
                        continue
                    found[path] = (status.st_mtime_ns, status.st_size)
    return found
