"""Giving up after some time."""

from __future__ import annotations

import math
from typing import Any, Literal

from kamaelia.axon import Cancelled, Component, Signal, as_part, clock, lifecycle, postman
from kamaelia.axon.arguments import check_positive
from kamaelia.axon.clock import ROUNDING
from kamaelia.axon.errors import shorten
from kamaelia.axon.graph import Chassis


class Timeout(Chassis):
    """Gives a part up when it takes too long, or when nothing has come out of it or gone into it for a time.

    It has the boxes of the part, and returns what that returned.

    Ending: it ends when the part has. When time is up it fails with `TimeoutError`, so who reads from it gets
    what was sent before and then a failure, and a `Retry` or `Supervisor` around it may start it again; with
    ``then="end"`` the part is cancelled, and what it sends just ends. Failure: that of the part is its own.
    Stop: the part finishes what it was sent, with no regard to these times but that of the stop itself.
    Back-pressure: messages pass without a stop in between, so it is that of the part; time in which the part
    waits for a slow reader counts as any other. It holds nothing open.

    Arguments:
        part: what is to be given up
        idle: seconds without a message through any of its boxes
        total: seconds from its beginning
        then: what follows: ``"fail"`` or ``"end"``

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.axon import VirtualLoop
        >>> from kamaelia.chassis import Timeout
        >>> from kamaelia.flow import Collect, Interval
        >>> run(Timeout(Interval(1), total=2.5, then="end") | Collect(), loop_factory=VirtualLoop)
        [0, 1, 2]
    """

    def __init__(
        self,
        part: Any,
        *,
        idle: float | None = None,
        total: float | None = None,
        then: Literal["fail", "end"] = "fail",
    ) -> None:
        if idle is None and total is None:
            raise TypeError("Timeout(...): say after how many seconds: idle=, total=, or both")
        for name, seconds in (("idle", idle), ("total", total)):
            if seconds is not None:
                check_positive(f"Timeout({name}={shorten(seconds)})", seconds, "seconds")
        if then not in ("fail", "end"):
            raise ValueError(f"Timeout(then={then!r}): say 'fail' or 'end'")
        self._idle, self._total = idle, total
        self._then = then
        self._last = 0.0  # when a message has passed
        self._over = Signal("see the end of its part, or the time pass")
        self.part: Component = as_part(part)
        """What is to be given up."""
        lifecycle.add_child(self._axon, self.part._axon)
        self._axon.result_from = self.part._axon
        self._mirror(self.part)

    async def main(self) -> None:
        loop = self.system.loop
        begun = self._last = clock()
        if self._idle is not None:
            for box in self.part._axon.each_box():
                postman.tap(box, callback=self._note)
        while not self.part.done():
            total = math.inf if self._total is None else begun + self._total
            idle = math.inf if self._idle is None else self._last + self._idle
            due = min(total, idle)
            if clock() >= due - ROUNDING:
                return self._give_up(self._total if total <= idle else self._idle, total <= idle)
            timer = loop.call_at(due, self._over.set)
            try:
                await self._over
            except Cancelled:
                if self._axon.reason != "stop":
                    raise
                return  # what is left of the part's time is a matter of the stop
            finally:
                timer.cancel()

    def _note(self, _: Any) -> None:
        self._last = self.system.loop.time()

    def _give_up(self, seconds: float | None, is_total: bool) -> None:
        if self._then == "end":
            lifecycle.cancel_all(self.part._axon, "stop", None, finally_=False)
            lifecycle.insist_later(self.part._axon, "stop")
            return
        if is_total:
            raise TimeoutError(
                f"{self.path} was given up: {self.part.path} had not ended after {seconds:g} s"
            )
        raise TimeoutError(f"{self.path} was given up: nothing had passed {self.part.path} for {seconds:g} s")

    def _child_over(self, child: Component, failure: Any) -> None:
        self._over.set()


__all__ = ["Timeout"]
