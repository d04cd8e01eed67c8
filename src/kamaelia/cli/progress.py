"""How far a simulation has come, on a terminal; and how Ctrl-C ends it."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

from .output import terminal_columns

if TYPE_CHECKING:
    from kamaelia.testbed import Network

DRAWN_EVERY = 0.1  # seconds between two looks


class Progress:
    """Shows on a terminal how far a run has come, from a thread beside it, which changes nothing in it.

    Arguments:
        network: what runs
        seconds: of virtual time that it is to run
        number: which run this is
        count: of so many
    """

    def __init__(self, network: Network, seconds: float | str, number: int = 1, count: int = 1) -> None:
        from kamaelia.axon import units

        self._network = network
        self._end = units.seconds(seconds, "seconds")
        self._runs = f"{number} of {count}: " if count > 1 else ""
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

    def _draw(self) -> None:
        from kamaelia.axon.clock import monotonic

        began = monotonic()
        drawn = False
        with contextlib.suppress(OSError, ValueError):  # it is gone
            while not self._over.wait(DRAWN_EVERY):
                simulation = self._network.simulation
                if simulation is not None:
                    columns = terminal_columns(sys.stderr) or 80
                    text = self._runs + bar(
                        simulation.clock.now / 1e9, self._end, monotonic() - began, columns
                    )
                    sys.stderr.write(f"\r{text[: columns - 1]}\x1b[K")
                    sys.stderr.flush()
                    drawn = True
            if drawn:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()


def bar(now: float, end: float, took: float, columns: int) -> str:
    """Return how far a run has come.

    Arguments:
        now: virtual time, in seconds
        end: when it is to end
        took: real time until now
        columns: how wide it may be

    >>> bar(15, 60, 5, 70)
    '[####------------] 15.0 of 60 s, 3 s of virtual time a second, 0:15 left'
    """
    share = min(1.0, now / end) if end else 1.0
    rate = now / took if took else 0.0
    left = round((end - now) / rate) if rate and now < end else 0
    text = f" {now:.1f} of {end:g} s, {rate:.3g} s of virtual time a second, {left // 60}:{left % 60:02} left"
    width = max(10, min(40, columns - len(text) - 3))
    done = int(share * width)
    return f"[{'#' * done}{'-' * (width - done)}]{text}"


class Interrupt:
    """Has the first Ctrl-C end a run as if its time were over; the second cancels, as ever."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._before: Any = None
        self.happened = False
        """There was one."""
        self.at = 0
        """When, in nanoseconds of virtual time."""

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        simulation = self._network.simulation
        if self.happened or simulation is None or not simulation.clock.now:  # there is nothing to show yet
            raise KeyboardInterrupt
        self.happened = True
        self.at = simulation.clock.now
        simulation._end_time()
