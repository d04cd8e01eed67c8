"""Measuring what passes a place in a system: `Measure`, and `Stamp`, which helps it.

Theory
------
A `Measure` stands at the end of a pipeline, or between two parts, and takes note of each
message as it passes. What it finds out is defined in `measures_flow`, and about numbers in
`measures_sequence`. When it has ended, its result is what the host's pipeline returns if it stands at the
end; in any case it is among the measures of the host, by the path and the name
(`kamaelia.testbed.Metrics.measures`), as are those that any component makes with `kamaelia.observe.count`,
`measure` and `level`.

When a message was sent, and whether one is missing, has to be in the messages. Either the protocol has it,
as RTP has; then ``stamp=`` is a function that reads it. Or `Stamp` puts it in front of each message::

    studio: ... | Stamp() | MulticastSender(...)
    viewer: MulticastReceiver(...) | Measure("film", stamp=True) | ...

A **stamp** has 16 bytes: the number of the message from 0 on, and the time in nanoseconds, both unsigned,
with the most significant byte first. The time is that of the system's clock (`kamaelia.axon.clock`). All
hosts of a simulated network have the same; so have all programs of one machine. Between two machines it
tells jitter, and no delay. `Measure` takes the stamp off again, so the two together change nothing. What is
divided and joined on its way, as by TCP, has to be framed behind the stamp.

In a simulation a measure goes by the time of the simulation, also on a host whose own clocks are wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from kamaelia.axon import BrokenLink, Component, Inbox, Outbox, SourceFailed, UsageError, units
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten
from kamaelia.observe.measure import keep, now_of

from .measures_flow import FULL, ROW, UNKNOWN, Flow, FlowMetrics

SIZE = 16  # bytes of a stamp
NAME = "flow"  # of a measure that is given none

_STAMP = struct.Struct(">QQ")
_BEGINNING = struct.Struct(">qq")  # of a row, which a stamp completes


class Measure(Component):
    """Measure what passes: how much, how regularly, how late, and what is missing.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, the same, if it is linked. Returns `FlowMetrics`, also
    when nobody listens to it any more. Of messages that are bytes, and of those in tuples, the bytes are
    counted.

    Without stamps it knows throughput, gaps between messages, and stalls. With ``stamp=True`` messages
    begin with what `Stamp` has put there, which is taken off. A function is given each message, and returns
    the pair of its number and the time in seconds at which it was sent, on the sender's clock, or None for
    what is not known, or for both. What is too short for a stamp is counted, and passed on as it is.

    Arguments:
        name: by which the result is found among the measures of its host
        stamp: messages have stamps; or a function that reads theirs
        stall: seconds, or text such as ``"200 ms"``: a longer gap between two messages is a stall
        every: seconds, or text: how long the times are whose throughput makes the quantiles of it
        wrap: how many different numbers messages have, if they begin again after the last: of RTP 65536

    Raises `UsageError` for times that are none, and when a function returns something else.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.axon import VirtualLoop
        >>> from kamaelia.flow import RateLimit, Source
        >>> from kamaelia.testbed import Measure, Stamp
        >>> parts = Source([bytes(125)] * 51) | RateLimit(10) | Stamp() | Measure(stamp=True)
        >>> metrics = run(parts, loop_factory=VirtualLoop)
        >>> metrics.messages, metrics.throughput, metrics.gaps.max, metrics.delay.max, metrics.lost
        (51, 10000.0, 0.1, 0.0, 0)
    """

    inbox = Inbox[Any]("what to measure")
    outbox = Outbox[Any]("the same, without stamps")

    def __init__(
        self,
        name: str = "",
        *,
        stamp: bool | Callable[[Any], tuple[int | None, float | None] | None] = False,
        stall: float | str = 1.0,
        every: float | str = 1.0,
        wrap: int | None = None,
    ) -> None:
        if type(name) is not str:
            raise UsageError(f"Measure({shorten(name)}): give a text as the name; the rest by their names")
        if not isinstance(stamp, bool) and not callable(stamp):
            raise UsageError(f"Measure(stamp={shorten(stamp)}): say True, or give a function of a message")
        if wrap is not None:
            check_whole(f"Measure(wrap={shorten(wrap)})", wrap, "how many different numbers there are", 2)
        self.name = name
        """By which its result is found."""
        self._stamp = stamp
        self._flow = Flow(name, 0, _time(stall, "stall"), _time(every, "every"), wrap)
        self._now: Callable[[], int] = lambda: 0  # the system's clock, as soon as there is one

    @property
    def metrics(self) -> FlowMetrics:
        """What has passed so far."""
        return self._flow.result(self._now())

    async def main(self) -> FlowMetrics:
        clock = _clock_of(self)
        self._now = lambda: clock.now
        self._flow.began = clock.now
        keep(self._axon, self.name or NAME, self._flow)
        try:
            if self._stamp is True:
                await self._measure_stamped(clock)
            elif callable(self._stamp):
                await self._measure_read(clock, self._stamp)
            else:
                await self._measure(clock)
        except SourceFailed:
            raise
        except BrokenLink:  # nobody listens any more; what has passed is known
            pass
        finally:
            self._flow.ended = clock.now
        return self.metrics

    # At the end of a pipeline nothing is sent, so that no messages go nowhere.

    async def _measure(self, clock: Any) -> None:
        flow, outbox = self._flow, self.outbox
        rows, pack = flow.rows, ROW.pack
        async for message in self.inbox:
            size = len(message) if type(message) is bytes else _size(message)
            rows += pack(clock.now, size, UNKNOWN, UNKNOWN)
            if len(rows) >= FULL:
                flow.count()
            if outbox.routes:
                await outbox.send(message)

    async def _measure_stamped(self, clock: Any) -> None:
        flow, outbox = self._flow, self.outbox
        rows, pack = flow.rows, _BEGINNING.pack
        async for message in self.inbox:
            data = message if type(message) is bytes else _data(message)
            if data is None or len(data) < SIZE:
                flow.unstamped += 1
                flow.passed(clock.now, _size(message))
                if outbox.routes:
                    await outbox.send(message)
                continue
            rows += pack(clock.now, len(data) - SIZE)
            rows += data[:SIZE]  # which is what a row ends with
            if len(rows) >= FULL:
                flow.count()
            if outbox.routes:
                rest = data[SIZE:]
                await outbox.send(rest if data is message else _with_data(message, rest))

    async def _measure_read(self, clock: Any, read: Callable[[Any], Any]) -> None:
        flow, outbox = self._flow, self.outbox
        async for message in self.inbox:
            stamp = read(message)
            try:
                if stamp is None:
                    flow.unstamped += 1
                    flow.passed(clock.now, _size(message))
                else:
                    number, sent = stamp
                    sent = None if sent is None else round(sent * 1e9)
                    flow.passed(clock.now, _size(message), number, sent)
            except (TypeError, ValueError, OverflowError, struct.error):
                raise UsageError(
                    f"{self.path}: stamp= returned {shorten(stamp)}; it has to return None, or the pair of a "
                    "number, which is whole, and the time of sending in seconds, each of which may be None"
                ) from None
            if outbox.routes:
                await outbox.send(message)


class Stamp(Component):
    """Put its number and the time in front of each message, for a `Measure` at the other end.

    Inbox: ``inbox``, bytes, or pairs of bytes and an address. Outbox: ``outbox``, the same with 16 bytes
    more. It returns how many there were. `kamaelia.testbed.measures` says what is in a stamp.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.axon import VirtualLoop
        >>> from kamaelia.flow import Collect, Source
        >>> from kamaelia.testbed import Stamp
        >>> [first, second] = run(Source([b"one", b"two"]) | Stamp() | Collect(), loop_factory=VirtualLoop)
        >>> second[:8].hex(), second[8:16].hex(), second[16:]
        ('0000000000000001', '0000000000000000', b'two')
    """

    inbox = Inbox[Any]("bytes, or pairs of bytes and an address")
    outbox = Outbox[Any]("the same, with stamps")

    async def main(self) -> int:
        clock = _clock_of(self)
        pack = _STAMP.pack
        number = 0
        async for message in self.inbox:
            stamp = pack(number, clock.now)
            number += 1
            if type(message) is bytes:
                await self.outbox.send(stamp + message)
            else:
                data = _data(message)
                if data is None:
                    raise UsageError(
                        f"{self.path} got {shorten(message)}: only bytes, and pairs of bytes and an address, "
                        "can be stamped; put what makes bytes of it before Stamp()"
                    )
                await self.outbox.send(_with_data(message, stamp + data))
        return number


class _RealClock:
    """What tells the time of a loop, as the clock of a virtual one does."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    @property
    def now(self) -> int:
        return now_of(self._loop)


def _clock_of(component: Component) -> Any:
    """Return what tells the time of a component's system in nanoseconds, as ``now``."""
    loop = component.get_loop()
    return getattr(loop, "clock", None) or _RealClock(loop)


def _time(value: float | str, what: str) -> int:
    length = round(units.seconds(value, what) * 1e9)
    if length < 1:
        raise UsageError(f"{what}={value!r}: give some time, 1 ns at least, such as '200 ms'")
    return length


def _data(message: Any) -> Any:
    """Return the bytes of a message in front of which a stamp may stand, or None if there are none."""
    if isinstance(message, tuple) and message:
        message = message[0]
    if isinstance(message, memoryview):
        return message.cast("B")
    return message if isinstance(message, (bytes, bytearray)) else None


def _size(message: Any) -> int:
    """Return how many bytes are in a message, or in the parts of a tuple."""
    parts = message if isinstance(message, tuple) else (message,)
    return sum(memoryview(one).nbytes for one in parts if isinstance(one, (bytes, bytearray, memoryview)))


def _with_data(message: Any, data: Any) -> Any:
    """Return a message with other bytes."""
    if not isinstance(message, tuple):
        return data
    rest = message[1:]
    return type(message)(data, *rest) if hasattr(message, "_fields") else (data, *rest)


__all__ = ["Measure", "Stamp"]
