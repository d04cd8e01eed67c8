"""Retry: one part, run again until it ends well.

How a part is started again is told in `restart`; here is when that is given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from numbers import Integral
from typing import Any

from kamaelia.axon import Failure, Tap, lifecycle, postman
from kamaelia.axon.errors import shorten

from .restart import BACKOFF, Backoff, Restarting, _End, _Member, check_number

SHOWN = 10  # failures that the history in an error shows from its beginning, and from its end


class Retry(Restarting):
    """Runs a part again when it fails, until it ends well, or has failed too often in a row.

    Where a `Supervisor` keeps its members up as long as there is work, and counts failures in time, this is
    over when its part has ended normally, and counts failures in a row, however long that takes: for a
    connection, a download, a job.

    A failure is in a row with the one before unless something has been sent in between, through an outbox
    that somebody reads: an attempt that has sent something has got somewhere, and counting begins anew, as
    does the back-off. For a part without outboxes all failures count.

    The message that the part was working on is not given again, as it might be what made it fail; it goes
    with the failure to ``failures``. The next attempt goes on with the next message. What the part had sent
    was sent: readers see one stream, with no end in between.

    Ending: it ends when the part has ended normally (or was cancelled, which is no failure), and returns what
    that returned. Failure: after the last attempt it fails with `RestartsExceeded`, which has the history in
    its message; with the error itself when that is not one of ``on``, or nothing is left for which to try
    again (what fed the part has ended, or its readers have gone). Stop: an attempt that waits for its turn is
    made at once if there are messages to be finished, and else no more. Back-pressure: messages wait for the
    next attempt in the queue of the part's place, under its mark, so senders are held back. It holds open
    nothing but the outboxes of the part between two attempts.

    Arguments:
        pattern: the part: a component, a class, or a factory; a new one is made for each attempt
        attempts: how many failures in a row are too many, 1 or more
        on: the errors after which to try again, an exception class or several in a tuple
        backoff: how long to wait before the next attempt

    Boxes: those of the part. ``failures`` sends a `Failure` for each; it is optional, and drops what its
    reader has no room for.

    Example:
        >>> from kamaelia import component, random, run
        >>> from kamaelia.axon import VirtualLoop
        >>> from kamaelia.chassis import Retry
        >>> @component
        ... async def fetch(inbox, outbox):
        ...     if random.random() < 0.7:
        ...         raise ConnectionError("nobody there")
        ...     return "the page"
        >>> run(Retry(fetch, attempts=10, on=OSError), loop_factory=VirtualLoop, seed=1)
        'the page'
    """

    def __init__(
        self,
        pattern: Any,
        *,
        attempts: int = 3,
        on: type[Exception] | tuple[type[Exception], ...] = Exception,
        backoff: Backoff = BACKOFF,
    ) -> None:
        given: Any = attempts
        if not isinstance(given, Integral) or isinstance(given, bool):
            raise TypeError(f"Retry(attempts={shorten(attempts)}): give how many attempts, a whole number")
        check_number("Retry(attempts=...)", attempts, 1, "how many attempts to make")
        kinds: Any = on if isinstance(on, tuple) else (on,)
        if not kinds or not all(isinstance(one, type) and issubclass(one, Exception) for one in kinds):
            raise TypeError(
                f"Retry(on={shorten(on)}): give exception classes, such as (OSError, TimeoutError)"
            )
        self._attempts = attempts
        self._on = kinds
        self._row = 0  # failures
        self._first: deque[_End] = deque(maxlen=SHOWN)  # of them
        self._last: deque[_End] = deque(maxlen=SHOWN)
        self._taps: list[Tap] = []
        super().__init__((pattern,), None, {}, backoff)
        self._begun(self._members[0])

    # -- see `Restarting` -------------------------------------------------------------------------

    def _why_not(self, member: _Member, failure: Failure | None) -> str | None:
        if failure is None or not isinstance(failure.error, Exception):
            return "it has ended"
        if not isinstance(failure.error, self._on):
            return f"{type(failure.error).__name__} is not one of the errors after which to try again"
        return None

    def _too_many(self, member: _Member, end: _End) -> str | None:
        self._row += 1
        member._row = self._row
        if len(self._first) < SHOWN:
            self._first.append(end)
        else:
            self._last.append(end)
        if self._row < self._attempts:
            return None
        lines = [one.line for one in (*self._first, *self._last)]
        left_out = self._row - len(lines)
        if left_out:
            lines.insert(SHOWN, f"... {left_out} more ...")
        history = "".join(f"\n  {line}" for line in lines)
        return (
            f"given up after {self._row} failures in a row:{history}\nSee to what fails, or allow more: "
            f"Retry(..., attempts={self._attempts})"
        )

    def _refused(
        self, member: _Member, failure: Failure, why_not: str, failures: Iterable[Exception]
    ) -> None:
        super()._refused(member, failure, why_not, failures)
        if isinstance(failure.error, Exception):
            lifecycle.fail(self._axon, failure.error, failures)
            member.vacate(failure.error)

    def _begun(self, member: _Member) -> None:
        """An attempt begins: look whether it sends something; after its first message nobody looks more."""
        self._untap()
        self._taps = [
            postman.tap(box, callback=lambda _: self._got_somewhere())
            for box in member._axon.outboxes
            if not box.ended
        ]

    def _got_somewhere(self) -> None:
        self._row = 0
        self._first.clear()
        self._last.clear()
        self._untap()

    def _untap(self) -> None:
        for one in self._taps:
            postman.untap(one)
        self._taps = []


__all__ = ["Retry"]
