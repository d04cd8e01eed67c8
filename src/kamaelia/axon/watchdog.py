"""The watchdog: reports a component whose step holds everybody up.

It runs in a thread of its own, so that it can look while the loop is stuck. It only compares the number of
the step that runs with the one it saw before, so it costs the scheduler nothing.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

from . import body

if TYPE_CHECKING:
    from .system import System

log = logging.getLogger("kamaelia")


class Watchdog:
    """Looks at a system's scheduler every so often; ``slow`` seconds are too long for a step."""

    def __init__(self, system: System, slow: float) -> None:
        self._scheduler = system.scheduler
        self._slow = slow
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="kamaelia watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; the thread is gone when this returns."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        looks = 4  # a step is slow when that many looks in a row have seen it
        seen = (0, 0)  # the step, and how often it has been seen
        while not self._over.wait(self._slow / looks):
            scheduler = self._scheduler
            process = scheduler.running
            if process is None:
                seen = (0, 0)
                continue
            seen = (scheduler.steps, seen[1] + 1 if seen[0] == scheduler.steps else 1)
            if seen[1] == looks:
                frame = body.user_frame(sys._current_frames().get(scheduler.thread))
                log.warning(
                    "%s has held everybody up for %g s, at %s. In a coroutine or generator nothing may "
                    "block: await "
                    "it, use asyncio.to_thread, or make the component a script (a plain def)",
                    process.path,
                    self._slow,
                    body.describe_frame(frame),
                )
