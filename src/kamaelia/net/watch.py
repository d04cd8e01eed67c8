"""A watch over many streams: their time limits, and one timer for all of them.

A timer of the loop's for each connection would take more memory than all else that is kept of it. So the
streams stand in a heap, by when each has to be looked at; the timer is for the first. Who has been active
meanwhile gets a new place, and a stream that is over is left where it is until most of the heap are such.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections.abc import Callable
from typing import Any, Protocol


class Watched(Protocol):
    """A stream, as far as its watch is concerned."""

    deadline: float
    lost: bool

    @property
    def active(self) -> float: ...

    def __lt__(self, other: Any, /) -> bool: ...

    def break_off(self, error: Exception, trouble: str, /) -> None: ...


class Watch:
    """The time limits of streams that belong together. To be made on the loop's thread.

    Arguments:
        idle_timeout: seconds without a byte in either direction after which a connection is broken; None for
            never
        stall_timeout: seconds for which the peer may take nothing of what is written, then the connection is
            broken (at the latest a quarter later); None for ever
        least_rate: bytes per second that the peer has to take of what waits for it, over that time; None for
            any
        total_timeout: seconds that a connection may last; None for ever
        handshake_timeout: seconds for the handshake of TLS on a live connection
        receive_rate: bytes per second that are read of each; None for all that come
    """

    def __init__(
        self,
        *,
        idle_timeout: float | None = None,
        stall_timeout: float | None = None,
        least_rate: float | None = None,
        total_timeout: float | None = None,
        handshake_timeout: float = 10.0,
        receive_rate: float | None = None,
    ) -> None:
        self.idle_timeout = idle_timeout
        self.stall_timeout = stall_timeout
        self.least_rate = least_rate
        self.total_timeout = total_timeout
        self.handshake_timeout = handshake_timeout
        self.receive_rate = receive_rate
        self._loop = asyncio.get_running_loop()
        self.clock = self._loop.time
        """What time it is, in seconds."""
        # For timers: in a copy of the caller's context they would keep a component that is over.
        self._context = contextvars.Context()
        self._heap: list[Watched] = []
        self._over = 0  # of those in the heap
        self._timer: asyncio.TimerHandle | None = None

    def call_later(self, delay: float, callback: Callable[..., Any], *arguments: Any) -> asyncio.TimerHandle:
        """Have the loop call something after so many seconds."""
        return self._loop.call_later(delay, callback, *arguments, context=self._context)

    def add(self, stream: Watched) -> None:
        """Begin to watch a stream."""
        if self.idle_timeout is not None:
            self._insert(stream, self.clock() + self.idle_timeout)
            self._set_timer()

    def remove(self, stream: Watched) -> None:
        """A stream is over."""
        if self.idle_timeout is None:
            return
        self._over += 1
        if 2 * self._over > len(self._heap):
            self._heap = [stream for stream in self._heap if not stream.lost]
            heapq.heapify(self._heap)
            self._over = 0
            self._set_timer()

    def _insert(self, stream: Watched, deadline: float) -> None:
        stream.deadline = deadline
        heapq.heappush(self._heap, stream)

    def _set_timer(self) -> None:
        """Have the timer fire when the first deadline has come."""
        first = self._heap[0].deadline if self._heap else None
        if self._timer is not None:
            if first is not None and self._timer.when() <= first:
                return  # it will look, and be set anew
            self._timer.cancel()
            self._timer = None
        if first is not None:
            self._timer = self._loop.call_at(first, self._look, context=self._context)

    def _look(self) -> None:
        assert self.idle_timeout is not None
        self._timer = None
        now = self.clock()
        while self._heap and self._heap[0].deadline <= now:
            stream = heapq.heappop(self._heap)
            if stream.lost:
                self._over -= 1
                continue
            deadline = stream.active + self.idle_timeout
            if deadline > now:
                self._insert(stream, deadline)
                continue
            # It is watched no more, but will be counted as removed.
            self._over -= 1
            error = TimeoutError(f"no byte has moved in either direction for {self.idle_timeout:g} s")
            stream.break_off(error, "idle")
        self._set_timer()
