"""A box whose other side is in another process.

Theory
------
What is in an inbox here (`Departures`) goes to the other process and there out of an outbox (`Arrivals`). No
component takes a step for that: a departure stands in the line of its inbox like a reader, and when its turn
has come sends all that is there in one frame.

**Back-pressure** is by credit. Of each box no more messages are on their way than its *window*, and no more
than so many bytes, plus one frame; the other side gives credit for those that its readers had room for. What
has no credit stays in the inbox here, whose mark holds back who sends. So each box is held up by its own
readers only. Credit is given for half a window at a time, or else each message would cost a frame back. A
window is as large as the mark. But two processes that wait for each other at every hundred messages get
little done: so where the mark is not small, and readers make room again within `SLOW`, it grows, up to
`WINDOW`. When they take longer it is what it was.

**Who is slow** may work for a millisecond and more on each message, and on a hundred in one step. So a
message that finds nobody before it, and nothing sent in the last 5 ms, is sent from within the step that puts
it into the inbox; others wait for the end of the step, and go together.

**Ends** cross after the messages before them, failures likewise; that nobody reads any more crosses the other
way, and closes the inbox.

A message leaves its inbox when it has been packed, and not before: one that can't be is the only one that is
lost to it. What has been sent is in the hands of the other process, and is lost when that dies.
"""

from __future__ import annotations

import itertools
import logging
import struct
from typing import TYPE_CHECKING, Any

from kamaelia.axon import BrokenLink, Inbox, Outbox, UsageError, WouldBlock
from kamaelia.axon.errors import shorten, text_of
from kamaelia.axon.queue import Wait, weight_of

from . import channel as frames
from .packing import Packed, pack, unpack

if TYPE_CHECKING:
    from kamaelia.axon.scheduler import Scheduler

    from .bridge import Bridge

log = logging.getLogger("kamaelia")

FRAME = 128 * 1024  # bytes that a frame should have
WINDOW = 500  # messages of one box that are on their way at most
GROWS = 100  # messages: a smaller window is kept small
SLOW = 0.005  # seconds: who takes longer for a message, or for room, is slow
BYTES = 16 * 1024 * 1024  # the window of a box that counts messages, in bytes

_TWO = struct.Struct("<QQ")
_CREDIT = struct.Struct("<QQb")  # bytes, how many messages wait, and whether readers are quick: -1, 0, 1
_TAIL = struct.Struct("<QI")  # how many bytes there are in all, and how many blocks come before this


class Departures:
    """The messages of an inbox, on their way to another process.

    Arguments:
        side: whose box it is
        number: of the box, among those of its direction
        inbox: nobody else may read it
        scheduler: of the system
        window: messages that may be on their way, to begin with
        window_bytes: bytes that may be
    """

    def __init__(
        self,
        side: Bridge,
        number: int,
        inbox: Inbox[Any],
        scheduler: Scheduler,
        window: int,
        window_bytes: int,
    ) -> None:
        self.side = side
        self.number = number
        self.inbox = inbox
        self.messages = 0
        """How many have been sent."""
        self.amount = 0
        """Bytes of these."""
        self.unread = 0
        """Messages for which there has been no credit."""
        self.unread_there = 0
        """Of the others, how many had not been taken when there was credit last."""
        self.over = False
        self._least = self._window = self._room = window
        self._room_bytes = window_bytes
        self._burst = 4
        self._starved = False
        self._wait = _Line(scheduler, self)
        self._clock = scheduler.loop.time
        self._sent_at = -SLOW

    def begin(self) -> None:
        """Stand in line for the first message."""
        if not self.over:
            self.inbox.queue.line_up(self._wait)
            if self.inbox.ended:
                self.go_on()

    def go_on(self) -> None:
        """Send what may be sent now."""
        if self.over:
            return
        inbox = self.inbox
        queue = inbox.queue
        queue.leave(self._wait)
        while len(queue) and self._may_send():
            if not self._send(queue):
                return
        if len(queue):
            self._set_starved(True)
        elif inbox.ended:
            self.close()
            self.side.end(self, inbox.failure)
        else:
            self._set_starved(False)
            self.begin()

    def told(self) -> bool:
        """There is a message, whose sender is in the middle of a step; say whether it was sent."""
        queue = self.inbox.queue
        if self._clock() - self._sent_at < SLOW or not len(queue) or not self._may_send():
            return False
        try:
            packed = pack([next(iter(queue))], self.side.arena)
        except Exception:  # of whatever kind: it will be raised again when somebody can be told
            return False
        queue.leave(self._wait)
        queue.take()
        self._write(packed, 1)
        self.begin()
        return True

    def credit(self, count: int, body: Any) -> None:
        """The other side has had room for so many messages."""
        amount, level, quick = _CREDIT.unpack(body)
        self._room += count
        self._room_bytes += amount
        self.unread -= count
        self.unread_there = level
        if quick < 0:
            self._set_window(self._least)
        elif quick > 0 and self._least >= GROWS:
            self._set_window(min(2 * self._window, WINDOW))
        self.try_again()

    def _set_window(self, window: int) -> None:
        self._room += window - self._window
        self._window = window

    def try_again(self) -> None:
        """The other side, or the channel, has more room."""
        if self._starved:
            self.go_on()

    def hurry(self) -> None:
        """Send what there is, whether or not there is room for it."""
        self._room = self._room_bytes = 1 << 60
        self.try_again()

    def lost(self) -> None:
        """Nobody reads on the other side any more."""
        if not self.over:
            self.close()
            self.inbox.close()

    def close(self) -> None:
        """Send nothing more; what is in the inbox stays there."""
        if not self.over:
            self.over = True
            self.inbox.queue.leave(self._wait)
            self._set_starved(False)
            self.side.departures_over()

    def _may_send(self) -> bool:
        return self._room > 0 and self._room_bytes > 0 and not self.over and not self.side.channel.blocked

    def _send(self, queue: Any) -> bool:
        """Send a frame; False if that was the last thing that could be done."""
        batch = list(itertools.islice(queue, min(self._burst, self._room)))
        if self.inbox.in_bytes:
            room = self._room_bytes
            for count, message in enumerate(batch, 1):
                room -= weight_of(message)
                if room <= 0:
                    del batch[count:]
        side = self.side
        try:
            packed = pack(batch, side.arena)
        except Exception as first:  # whatever pickling somebody's objects raises
            return self._send_up_to_the_bad_one(queue, batch, first)
        for _ in batch:
            queue.take()
        self._write(packed, len(batch))
        return True

    def _write(self, packed: Packed, count: int) -> None:
        self._sent_at = self._clock()
        self._room -= count
        self._room_bytes -= packed.amount
        self.messages += count
        self.amount += packed.amount
        self.unread += count
        if packed.amount <= FRAME // 2:
            self._burst = min(2 * self._burst, WINDOW)
        elif packed.amount > FRAME:
            self._burst = max(1, self._burst // 2)
        blocks = b"".join([_TWO.pack(*block) for block in packed.lent])
        body = packed.body + blocks + _TAIL.pack(packed.amount, len(packed.lent))
        self.side.channel.send(frames.MESSAGES, self.number, count, body)

    def _send_up_to_the_bad_one(self, queue: Any, batch: list[Any], error: Exception) -> bool:
        for message in batch:
            try:
                packed = pack([message], self.side.arena)
            except Exception as raised:  # as above
                error = raised
                stand_in = self.side.portable(message)
                if stand_in is message:
                    break
                packed = pack([stand_in], self.side.arena)
            queue.take()
            self._write(packed, 1)
        else:
            return True
        queue.take()
        self.close()
        bad = UsageError(
            f"{self.inbox}: {shorten(message)} ({type(message).__name__}) cannot go to another process: "
            f"{type(error).__name__}: {text_of(error)}. Send what can be pickled"
        )
        bad.__cause__ = error
        self.side.broken(bad, self)
        return False

    def _set_starved(self, starved: bool) -> None:
        if starved is not self._starved:
            self._starved = starved
            self.side.starved(1 if starved else -1)


class _Line(Wait):
    """The place of departures in the line of their inbox."""

    __slots__ = ("departures",)

    def __init__(self, scheduler: Scheduler, departures: Departures) -> None:
        super().__init__(scheduler, departures.inbox.owner, "send to its other side", (departures.inbox,))
        self.departures = departures

    def wake(self) -> None:
        """There is a message, or an end."""
        if not self.departures.told():
            self.scheduler.call_soon(self.departures.go_on)


class Arrivals:
    """The messages of another process, on their way out of an outbox."""

    def __init__(
        self, side: Bridge, number: int, outbox: Outbox[Any], window: int, window_bytes: int
    ) -> None:
        self.side = side
        self.number = number
        self.outbox = outbox
        self.messages = 0
        """How many have come."""
        self.amount = 0
        """Bytes of these."""
        self._half = max(1, window // 2)
        self._half_bytes = window_bytes // 2
        self._count = 0  # messages without credit
        self._bytes = 0
        self._waits = False  # to be told that there is room
        self._full_at = 0.0
        self._clock = side.loop.time
        self._told = False  # that nobody reads

    def arrive(self, count: int, body: Any) -> None:
        """Send what has come out of the outbox."""
        tail = len(body) - _TAIL.size
        amount, lent = _TAIL.unpack_from(body, tail)
        end = tail - lent * _TWO.size
        blocks = list(_TWO.iter_unpack(body[end:tail])) if lent else []
        self.messages += count
        self.amount += amount
        self._count += count
        self._bytes += amount
        messages = unpack(body[:end], blocks, self.side.view)
        outbox = self.outbox
        if outbox.closed:
            return
        if outbox.name == "failures":
            messages = self.side.received(messages)
        try:
            send = outbox.send
            for message in messages:
                send(message)
        except BrokenLink:
            self.tell_lost()
            return
        except WouldBlock:  # there is no window when it has failed: see `Departures.hurry`
            log.warning("%s: some messages had no room and were lost: what sent them has failed", outbox)
            return
        if not outbox.full:
            self._give_credit(0)
        elif not self._waits:
            self._waits = True
            self._full_at = self._clock()
            outbox.when_ready(self._ready)

    def end(self, failure: BaseException | None) -> None:
        """The other side has ended."""
        self.outbox.close(failure)

    def tell_lost(self) -> None:
        """Nobody reads here any more: tell the other side."""
        if not self._told:
            self._told = True
            self.side.channel.send(frames.LOST, self.number)

    def _ready(self) -> None:
        self._waits = False
        if self.outbox.lost and not self.outbox.optional:
            self.tell_lost()
        elif not self.outbox.full:
            self._give_credit(1 if self._clock() - self._full_at < SLOW else -1)
        else:
            self._waits = True
            self.outbox.when_ready(self._ready)

    def _give_credit(self, quick: int) -> None:
        if self._count >= self._half or self._bytes >= self._half_bytes:
            level = max((len(route.queue) for route in self.outbox.routes), default=0)
            body = _CREDIT.pack(self._bytes, level, quick)
            self.side.channel.send(frames.CREDIT, self.number, self._count, body)
            self._count = self._bytes = 0
