"""Not more than so much in a time."""

from __future__ import annotations

from numbers import Real
from typing import Any, Literal

from kamaelia.axon import Cancelled, Component, Inbox, Outbox, clock, sleep
from kamaelia.axon.arguments import check_positive
from kamaelia.axon.clock import ROUNDING
from kamaelia.axon.errors import shorten

LAG = 0.1  # seconds that are made up for when messages wait, and it is the machine or a reader who is late


class RateLimit(Component):
    """Hold messages back, so that no more than so many, or so many bytes, pass in a time.

    Inbox: ``inbox``, anything; with ``unit="bytes"``, bytes only. Outbox: ``outbox``, the same in the
    same order. Nothing is dropped: who sends into it is held back when its inbox is full. What waits here
    when the system is stopped, and nothing more can come, is passed on at once.

    This is a token bucket. It holds ``burst`` tokens at first and at most, and ``rate`` of them come in
    each ``per`` seconds; each message costs 1, or its length. A message passes when its tokens are there.
    One that costs more than the bucket holds passes when the bucket is full, and the next one waits until
    that is paid for. So in any time of *t* seconds at most ``burst + rate * t / per`` pass, and one such
    large message.

    Times are reckoned from the beginning of a busy period, never from one message to the next, so they are
    exact. When the machine wakes up late, or a reader is slow, messages that wait make up for up to 0.1 s.

    Arguments:
        rate: how many messages or bytes
        per: in how many seconds
        unit: ``"messages"`` or ``"bytes"``
        burst: how much may pass at once after a pause; by default a single message, however long

    Example:
        >>> from kamaelia.flow import RateLimit
        >>> from kamaelia.testing import drive
        >>> with drive(RateLimit(2)) as limit:
        ...     limit.send("a", "b", "c")
        ...     first = limit.take_all()
        ...     limit.advance(1)
        ...     (first, limit.take_all())
        (['a'], ['b', 'c'])
    """

    holds_back = True  # on purpose: see kamaelia.observe.diagnosis

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("the same, not too many at a time")

    def __init__(
        self,
        rate: float,
        per: float = 1.0,
        unit: Literal["messages", "bytes"] = "messages",
        burst: float | None = None,
    ) -> None:
        if unit not in ("messages", "bytes"):
            raise ValueError(f"RateLimit(unit={unit!r}): say 'messages' or 'bytes'")
        check_positive(f"RateLimit(rate={shorten(rate)})", rate, f"how many {unit} may pass")
        check_positive(f"RateLimit(per={shorten(per)})", per, "the seconds in which they may pass")
        given: Any = burst
        if not (given is None or isinstance(given, Real)):
            raise TypeError(f"RateLimit(burst={shorten(burst)}): give how many {unit}, a number")
        if burst is not None and not burst >= (1 if unit == "messages" else 0):
            raise ValueError(f"RateLimit(burst={burst!r}): at least one message passes at a time")
        self.rate = rate
        self.per = per
        self.unit = unit
        self.burst = burst if burst is not None else (1 if unit == "messages" else 0)

    async def main(self) -> None:
        start = clock()  # when the bucket was full for the last time
        spent = 0  # since then
        waits = self.inbox.queue.__len__
        while True:
            has_waited = waits() > 0
            message = await self.inbox.receive()
            cost = self._cost(message)
            late = clock() - (start + spent * self.per / self.rate)
            if late > (LAG if has_waited else ROUNDING):
                # All that was spent has come back, and the bucket cannot get fuller.
                start, spent = clock(), 0
            # In a bucket into which nothing has come since:
            tokens_missing = spent + min(cost, self.burst) - self.burst
            await self._wait_until(start + tokens_missing * self.per / self.rate)
            spent += cost
            await self.outbox.send(message)

    def _cost(self, message: Any) -> int:
        if self.unit == "messages":
            return 1
        if isinstance(message, (bytes, bytearray)):
            return len(message)
        if isinstance(message, memoryview):
            return message.nbytes
        # Not whatever has a length: a str has one, but how many bytes that is only its encoding says.
        raise TypeError(
            f'{self.path}: RateLimit(unit="bytes") takes bytes, but got {shorten(message)}; '
            'put Encode() before it, or say unit="messages"'
        )

    async def _wait_until(self, when: float) -> None:
        if (seconds := when - clock()) > ROUNDING:
            try:
                await sleep(seconds)
            except Cancelled:
                if self._axon.reason != "stop":  # which is no reason to lose what was accepted
                    raise


__all__ = ["RateLimit"]
