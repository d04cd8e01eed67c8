"""How far a simulation has come, on a terminal; and how Ctrl-C ends it."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from kamaelia.axon.clock import monotonic

from .output import terminal_columns

if TYPE_CHECKING:
    from kamaelia.testbed import Network
    from kamaelia.testbed.experiments import Standing

DRAWN_EVERY = 0.1  # seconds between two looks


class Progress:
    """Shows on a terminal how far runs have come, from a thread beside them, which changes nothing in them.

    Arguments:
        seconds: of virtual time that each run is to take
        count: how many runs there are to be
    """

    def __init__(self, seconds: float, count: int = 1) -> None:
        self._seconds = seconds
        self._count = count
        self._number = 0  # of the run that is under way
        self._network: Network | None = None
        self._is_drawn = False
        self._drawing = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if terminal_columns(sys.stderr) is not None:
            self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._write("")

    @contextlib.contextmanager
    def run(self, network: Network) -> Iterator[None]:
        """The next run begins; at its end nothing is on the terminal any more."""
        self._number += 1
        self._network = network
        try:
            yield
        finally:
            with self._drawing:
                self._network = None
                self._write("")

    def look_at(self, network: Network) -> None:
        """A network is about to be run by somebody else."""
        self._number = 1
        self._network = network

    def begin_run(self, number: int, count: int) -> None:
        """Somebody else begins a run, one of so many, of whatever networks there are in it."""
        self._number, self._count = number, count

    def __str__(self) -> str:
        return f"with run {self._number:,} of {self._count:,}"

    def _draw(self) -> None:
        began = monotonic()
        while not self._over.wait(DRAWN_EVERY):
            with self._drawing:
                simulation = None if self._network is None else self._network.simulation
                if simulation is not None or (self._number and self._count > 1):
                    columns = terminal_columns(sys.stderr) or 80
                    now = 0.0 if simulation is None else min(self._seconds, simulation.clock.now / 1e9)
                    took = monotonic() - began
                    self._write(
                        bar(now, self._seconds, took, columns, self._number, self._count)[: columns - 1]
                    )

    def _write(self, text: str) -> None:
        if text or self._is_drawn:
            with contextlib.suppress(OSError, ValueError):  # it is gone
                sys.stderr.write(f"\r{text}\x1b[K")
                sys.stderr.flush()
        self._is_drawn = bool(text)


def bar(now: float, end: float, took: float, columns: int, number: int = 1, count: int = 1) -> str:
    """Return how far runs have come.

    Arguments:
        now: virtual time of the one that is under way, in seconds
        end: when it is to end
        took: real time since the first has begun
        columns: how wide it may be
        number: which run it is
        count: of so many

    >>> bar(15, 60, 5, 70)
    '[###----------] 15.0 of 60 s, 3 s of virtual time a second, 0:15 left'
    >>> bar(30, 60, 5, 70, 11, 100)
    '[##--------------------------] run 11 of 100, 2.1 a second, 0:43 left'
    """
    share = (number - 1 + (now / end if end else 1.0)) / count
    left = round(took * (1 - share) / share) if share else 0
    if count > 1:
        rate = share * count / took if took else 0.0
        text = f" run {number:,} of {count:,}, {rate:.3g} a second, "
    else:
        rate = now / took if took else 0.0
        text = f" {now:.1f} of {end:g} s, {rate:.3g} s of virtual time a second, "
    text += f"{left // 60}:{left % 60:02} left"
    width = max(10, min(40, columns - len(text) - 3))
    done = int(share * width)
    return f"[{'#' * done}{'-' * (width - done)}]{text}"


class RunsProgress:
    """Shows on a terminal how many runs of an experiment are over; to be called with each `Standing`."""

    def __init__(self) -> None:
        self.is_ending = False
        """No more runs are begun."""
        self._began = monotonic()
        self._drawn = 0.0
        self._is_drawn = False

    def __call__(self, standing: Standing) -> None:
        columns = terminal_columns(sys.stderr)
        now = monotonic()
        if columns is None or (self._is_drawn and now - self._drawn < DRAWN_EVERY):
            return
        self._drawn = now
        self._write(bar_of_runs(standing, now - self._began, columns, self.is_ending)[: columns - 1])

    def clear(self) -> None:
        """Take it off the terminal."""
        if self._is_drawn:
            self._write("")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # it is gone
            sys.stderr.write(f"\r{text}\x1b[K")
            sys.stderr.flush()
        self._is_drawn = bool(text)


def bar_of_runs(standing: Standing, took: float, columns: int, is_ending: bool = False) -> str:
    """Return how far an experiment has come.

    Arguments:
        standing: that
        took: real time since it has begun
        columns: how wide it may be
        is_ending: no more runs are begun

    >>> from kamaelia.testbed.experiments import Standing
    >>> bar_of_runs(Standing(total=100, known=20, done=30, failed=1), 10, 70)
    '[#########----------] 50 of 100 runs, 1 failed, 3 a second, 0:17 left'
    """
    over = standing.known + standing.done
    text = f" {over:,} of {standing.total:,} runs"
    if standing.failed:
        text += f", {standing.failed:,} failed"
    if is_ending:
        text += ", ending: Ctrl-C gives up those under way"
    elif standing.done and took:
        left = round(took * standing.left / standing.done)
        text += f", {standing.done / took:.3g} a second, {left // 60}:{left % 60:02} left"
    width = max(10, min(40, columns - len(text) - 3))
    done = int(over / standing.total * width)
    return f"[{'#' * done}{'-' * (width - done)}]{text}"


class _CtrlC:
    """Hears Ctrl-C for the time of a ``with`` block; its derived classes say what that means."""

    _before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        raise NotImplementedError


class Interrupt(_CtrlC):
    """Has the first Ctrl-C end the run that is under way as if its time were over; the second cancels.

    Arguments:
        is_last: what runs now is all there is to run; so where it has not begun yet, there is nothing to end
    """

    def __init__(self, is_last: bool) -> None:
        self.network: Network | None = None
        """What runs, or is about to."""
        self.happened = False
        """There was one."""
        self.at = 0
        """When, in nanoseconds of virtual time."""
        self._is_last = is_last

    def _hear(self, number: int, frame: FrameType | None) -> None:
        simulation = None if self.network is None else self.network.simulation
        if self.happened or (simulation is None and self._is_last):
            raise KeyboardInterrupt
        self.happened = True
        if simulation is not None:
            self.at = simulation.clock.now
            simulation.end_soon()


class Cancelling(_CtrlC):
    """Has Ctrl-C cancel a series of runs, also where the exception is lost.

    That happens: Python only prints what is raised in a ``__del__``, and every loop has one.
    """

    def __init__(self) -> None:
        self._happened = False

    def check(self) -> None:
        """Raise KeyboardInterrupt if there has been a Ctrl-C; to be called before each run."""
        if self._happened:
            raise KeyboardInterrupt

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._happened = True
        raise KeyboardInterrupt


class Ending(_CtrlC):
    """Has the first Ctrl-C end a series of runs when those that are under way are over; the second cancels.

    Arguments:
        progress: is to say so
    """

    def __init__(self, progress: RunsProgress) -> None:
        self.happened = False
        """There was one."""
        self._progress = progress

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.happened:
            raise KeyboardInterrupt
        self.happened = self._progress.is_ending = True
