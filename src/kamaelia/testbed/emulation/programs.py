"""Outside programs on emulated hosts: started there, their output kept, and ended when their time is over.

Each is the leader of a session of its own. When its time is over, all of its group is told to end (SIGTERM),
and killed two seconds later; when it has ended, what is left of its group is killed at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...axon.clock import monotonic
from .hosts import enter

MOST_OUTPUT = 16 * 1024 * 1024
"""Bytes that are kept of what a program writes, of each of its two streams."""
PATIENCE = 2.0
"""Seconds that a program has to end, from the time at which it is told to."""
_PIECE = 1 << 16


@dataclass(frozen=True)
class Finished:
    """What came of a program; for those who know `subprocess.CompletedProcess`."""

    args: tuple[str, ...]
    """The command."""
    returncode: int
    """What it returned; the negative number of a signal that has ended it."""
    stdout: bytes
    """What it has written to its standard output; empty if that was not captured."""
    stderr: bytes
    """Likewise of its standard error."""
    timed_out: bool
    """It was ended because its time was over."""
    truncated: bool
    """It has written more than was kept (`MOST_OUTPUT`)."""

    @property
    def text(self) -> str:
        """Its standard output as text."""
        return self.stdout.decode(errors="replace")


class RunningProgram:
    """A program that runs on an emulated host, as the warden knows it."""

    def __init__(
        self,
        number: int,
        host: str,
        namespace: int,
        args: Sequence[str],
        *,
        stdin: bytes | None,
        timeout: float,
        capture: bool,
        cwd: str | None,
        env: Mapping[str, str] | None,
    ) -> None:
        self.number = number
        self.host = host
        self.args = tuple(args)
        self.deadline = monotonic() + timeout
        self.timed_out = False
        self.told = False  # to end
        self.output: dict[int, bytearray] = {}
        self.truncated = False
        self._streams: list[int] = []
        given: Any = subprocess.DEVNULL if capture else None
        if stdin is not None:
            given = os.memfd_create("stdin")
            os.write(given, stdin)
            os.lseek(given, 0, os.SEEK_SET)
        pipe = subprocess.PIPE if capture else None
        try:
            self._popen = subprocess.Popen(
                self.args,
                stdin=given,
                stdout=pipe,
                stderr=pipe,
                cwd=cwd,
                env=None if env is None else dict(env),
                preexec_fn=_entering(namespace, host),
            )
        finally:
            if stdin is not None:
                os.close(given)
        self.pid = self._popen.pid
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self.output[stream.fileno()] = bytearray()
                self._streams.append(stream.fileno())

    def read(self, descriptor: int) -> bool:
        """Keep what the program has written; say whether more may come."""
        while True:
            try:
                piece = os.read(descriptor, _PIECE)
            except BlockingIOError:
                return True
            if not piece:
                return False
            kept = self.output[descriptor]
            room = MOST_OUTPUT - len(kept)
            kept += piece[:room]
            self.truncated |= len(piece) > room

    def tell(self, number: int) -> None:
        """Send a signal to all of its group."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # there is nobody left

    def look_at_time(self, now: float) -> None:
        """End it when its time is over."""
        if now < self.deadline:
            return
        if not self.told:
            self.told = self.timed_out = True
            self.deadline = now + PATIENCE
            self.tell(signal.SIGTERM)
        else:
            self.deadline = now + PATIENCE
            self.tell(signal.SIGKILL)

    def finish(self, status: int) -> Finished:
        """It has ended: end what it has left behind, and say what came of it."""
        self.tell(signal.SIGKILL)
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        for descriptor in self._streams:
            self.read(descriptor)
        stdout, stderr = [bytes(self.output[one]) for one in self._streams] or [b"", b""]
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream is not None:
                stream.close()
        return Finished(self.args, self._popen.returncode, stdout, stderr, self.timed_out, self.truncated)


def _entering(namespace: int, host: str) -> Callable[[], None]:
    def begin() -> None:
        enter(namespace, host)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    return begin


__all__ = ["MOST_OUTPUT", "PATIENCE", "Finished", "RunningProgram"]
