"""What an experiment has done so far, on the disk: one line of JSON each.

| line | what it says |
| --- | --- |
| ``experiment`` | the first: scenario, its source, what is swept, options, and what these results depend on |
| ``hypothesis`` | what somebody expects, and when they wrote that down; another if they change their minds |
| ``session`` | runs are made from here on: when, with which versions, on what machine |
| ``run`` | one run: parameters, seed, figures, error |

Lines are only ever added. A line is written at once, in one piece, when its run is over. So whatever ends the
program, also ``kill -9``, what is lost are the runs that were under way; a machine that loses its power loses
the last second besides. A last line that is not whole is taken off at the next start.

What stands first was there first. The hash of all bytes up to and with the hypothesis, which a report shows
together with the number of runs that were known by then, can be checked with nothing but ``head`` and
``sha256sum``; who puts it where others see it, such as into a commit, cannot change it later.

One program at a time writes: it holds a lock on the file (where there is `fcntl`), which goes with it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from ...axon import UsageError
from ...axon.clock import monotonic
from .run import Run

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
LONGEST_LINE = 16 * 2**20  # bytes
SYNC = 1.0  # seconds after which what was written is forced onto the disk


class Journal:
    """The journal of one experiment. To be used in a ``with`` block, for which time it is locked.

    Arguments:
        path: of the file, which is made when it is not there; None for none: then nothing is kept
        header: what the first line says, if there is none yet
        fresh: forget what is in it

    Raises `UsageError` when another program writes to it, when it is another's file, or is damaged.
    """

    def __init__(self, path: Path | None, header: dict[str, Any], fresh: bool = False) -> None:
        self.path = path
        self.header = header
        """What the first line says."""
        self.hypotheses: list[dict[str, Any]] = []
        """Each with ``runs``, how many were known then, and ``hash``, of all up to it."""
        self.sessions: list[dict[str, Any]] = []
        self.runs: dict[str, Run] = {}
        """By their keys; of what was run twice the last."""
        self._fresh = fresh
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._length = 0
        self._synced = 0.0

    def __enter__(self) -> Journal:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "ab+")
            try:
                _lock(self._file, self.path)
                if self._fresh:
                    self._file.truncate(0)
                self._file.seek(0)
                self._read(self._file, self.path)
            except BaseException:
                self._file.close()
                raise
        if not self._length:
            self._append({"experiment": self.header})
        return self

    def __exit__(self, *_: object) -> None:
        self._sync(force=True)
        if self._file is not None:
            self._file.close()

    def add_run(self, run: Run) -> None:
        """A run is over."""
        run = run.with_shared_names()
        self.runs[run.key] = run
        self._append({"run": asdict(run)})

    def add_hypothesis(self, hypothesis: str, expected: str, at: str) -> None:
        """Somebody expects something, which is written down unless it was before."""
        said = {"hypothesis": hypothesis, "expected": expected}
        known = self.hypotheses and {name: self.hypotheses[-1][name] for name in said} == said
        if (hypothesis or expected) and not known:
            self._append({"hypothesis": {**said, "at": at}})
            self._note_hypothesis({**said, "at": at})
            self._sync(force=True)

    def add_session(self, session: dict[str, Any]) -> None:
        """Runs are made from now on."""
        self.sessions.append(session)
        self._append({"session": session})

    # -- writing ----------------------------------------------------------------------------------------

    def _append(self, line: dict[str, Any]) -> None:
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        if self._file is not None:
            self._file.write(data)
            self._file.flush()
        self._take(data)
        self._sync()

    def _sync(self, force: bool = False) -> None:
        now = monotonic()
        if self._file is not None and (force or now - self._synced > SYNC):
            os.fsync(self._file.fileno())
            self._synced = now

    # -- reading ----------------------------------------------------------------------------------------

    def _read(self, file: IO[bytes], path: Path) -> None:
        for data, line in _lines(file, path):
            if not self._length:
                self._check(line, path)
            elif "run" in line:
                run = Run(**line["run"]).with_shared_names()
                self.runs[run.key] = run
            elif "session" in line:
                self.sessions.append(line["session"])
            self._take(data)
            if "hypothesis" in line:
                self._note_hypothesis(line["hypothesis"])
        file.truncate(self._length)

    def _check(self, line: dict[str, Any], path: Path) -> None:
        found = line.get("experiment")
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise UsageError(f"{path} is no journal of format {FORMAT}; choose another folder")
        if found.get("key") != self.header["key"]:
            raise UsageError(f"{path} is the journal of another experiment; choose another folder")
        self.header = found

    def _take(self, data: bytes) -> None:
        self._hash.update(data)
        self._length += len(data)

    def _note_hypothesis(self, said: dict[str, Any]) -> None:
        here = {"runs": len(self.runs), "bytes": self._length, "hash": self._hash.hexdigest()}
        self.hypotheses.append({**said, **here})


def _lock(file: IO[bytes], path: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"{path}: another program is at work on this experiment; wait for it, or end it"
        ) from None


def _lines(file: IO[bytes], path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield the lines of a journal up to the last one that is whole."""
    number = 0
    while data := file.readline(LONGEST_LINE):
        number += 1
        if not data.endswith(b"\n") and len(data) < LONGEST_LINE:
            return  # the writer was killed just then
        try:
            line = json.loads(data)
            if not isinstance(line, dict):
                raise ValueError("it is no object")
            if "run" in line:
                Run(**line["run"])
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{path}, line {number}: this is damaged ({error}); remove that line, or begin anew with "
                "fresh=True (--fresh)"
            ) from None
        yield data, line


__all__ = ["FORMAT", "Journal"]
