"""The queue of an inbox: messages in order, and the lines of those who wait for one or for room.

Theory
------
A queue holds the messages of one seat. An inbox *refers* to a queue, so that who takes a seat over goes
on where the last one stopped. Three things can wait on it, each in a line of its own and in order of
arrival: readers (for a message), senders (for room), and nothing else.

**Readers.** Putting a message in gives the first reader in line a *turn*: it will find a message when it
resumes, and nobody else may have that one. The message leaves the queue only at the instant the reader
resumes with it. A reader that is cancelled in between passes its turn on, so no message is stranded.

**Senders.** A sender is never refused: its message is put in and it waits *afterwards*, once the level
has reached the mark (``size``). When readers have brought the level down to half, waiting senders are
freed in order of arrival and the room is divided evenly among them. That room is *granted*: it counts as
used, so nobody who comes later can take it away. What a freed sender does not use by the end of its step
goes back and frees the next.

**Speed.** All this stays off the usual path. `Outbox.send` may append to ``items`` without asking
anybody while ``len(items) < brake``; a reader may take from ``items`` while ``received < fast_until``,
and only compares the new length with ``alarm``. Whatever is special about a queue (several sources, a
line, a tap, bytes instead of messages) lowers ``brake`` or ``fast_until``, and the slow path asks.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from .errors import UsageError, shorten

if TYPE_CHECKING:
    from .link import Route
    from .process import Process
    from .scheduler import Scheduler

STEP_BUDGET = 100  # messages that a component may take from one queue before others get a turn
MOST_SMALL = 4096  # messages that fill a queue with a mark in bytes, however small they are
DEEP = 1000  # from this level on, a sender gives others a turn after each message, however large the mark


class Wait:
    """One place in a line: whoever waits on boxes, from the moment it suspends until it resumes.

    The waiting side is the component's own process, another asyncio task, or a callback.
    """

    __slots__ = ("callback", "future", "owner", "process", "scheduler", "timed", "turn", "verb", "where")

    def __init__(
        self, scheduler: Scheduler, owner: Process | None, verb: str, where: tuple[Any, ...]
    ) -> None:
        self.scheduler = scheduler
        self.owner = owner  # the component on whose behalf this waits
        self.verb = verb  # "receive from", "send to", "sleep": for those who ask who waits for what
        self.where = where  # the boxes
        self.turn: Any = None  # what has been given: the queue whose message, or how many messages' room
        self.timed = False  # a wait with a time-out counts as a sleep
        self.process: Process | None = None
        self.future: asyncio.Future[None] | None = None
        self.callback: Callable[[], object] | None = None

    def park(self) -> Generator[Any, None, None]:
        """Suspend whoever runs now until `wake` or `fail`."""
        owner = self.owner
        if owner is not None and owner.abandoned is not None and not owner.cancels:
            error, owner.abandoned = owner.abandoned, None
            raise error
        scheduler = self.scheduler
        process = scheduler.running
        if process is not None and scheduler.is_running_component():
            self.process = process
            process.wait = self
            try:
                yield
            finally:
                if process.wait is self:  # not resumed, but closed by whoever drove this coroutine by hand
                    process.wait = None
        else:
            # Some other task of the loop: a TaskGroup's child, gather, wait_for. It understands futures.
            self.future = scheduler.loop.create_future()
            with scheduler.suspended_task(self):
                yield from self.future

    def wake(self) -> None:
        """Resume whoever waits here."""
        if self.process is not None:
            self.process.resume(self)
        elif self.future is not None:
            if not self.future.done():
                self.future.set_result(None)
        elif self.callback is not None:
            callback, self.callback = self.callback, None
            self.scheduler.call_soon(callback)

    def fail(self, error: BaseException) -> None:
        """Resume whoever waits here with an exception."""
        if self.process is not None:
            self.process.resume(self, error)
        elif self.future is not None and not self.future.done():
            self.future.set_exception(error)


class _Turn:
    """Awaiting this gives every other component that is ready one step."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield


TURN = _Turn()


class Queue:
    """Messages of one inbox, with a mark counted in messages."""

    __slots__ = (
        "alarm",
        "brake",
        "checks",
        "dropped",
        "drops_oldest",
        "epoch",
        "fast_until",
        "feeders",
        "granted",
        "half",
        "hand",
        "items",
        "on_asked",
        "over",
        "peak",
        "readers",
        "received",
        "senders",
        "shared",
        "size",
        "step",
        "step_received",
        "thread",
        "turns",
    )

    in_bytes = False  # whether the mark is

    def __init__(self, size: int) -> None:
        self.items: deque[Any] = deque()
        self.size = size  # the mark: reaching it stops senders
        self.half = size // 2  # at which they are freed
        self.brake = -1  # see the theory above
        self.fast_until = 0
        self.alarm = -1
        self.received = 0
        self.dropped = 0
        self.peak = 0
        self.feeders = 0  # outboxes that lead here
        self.shared = 0  # messages put in while there were several, see `Route.passed`
        self.readers: OrderedDict[Wait, None] | None = None  # in line for a message
        self.turns = 0  # messages given to readers that have not resumed yet
        self.senders: OrderedDict[Wait, None] | None = None  # in line for room
        self.granted = 0  # room given to senders that have not used it yet
        self.drops_oldest = False  # a link leads here that does; it is the only one then
        self.over = False  # the mark was reached and the level has not been below it since
        self.epoch = 0  # how often the level has come down below the mark
        self.step = 0  # the scheduler's step in which a reader last asked ...
        self.step_received = 0  # ... and how many messages had been received when that step began
        self.checks: deque[Any] | None = None  # with debug=True, copies of the messages as they were sent
        # Of a seat: what its occupant has taken last and works on, in a list that all its inboxes share.
        self.hand: list[Any] | None = None
        # Called when a reader lines up and there is no message for it: on_asked().
        self.on_asked: Callable[[], object] | None = None
        self.thread: int | None = None  # the loop's; None until the component has been started

    def __len__(self) -> int:
        """Return how many messages there are."""
        return len(self.items)

    def __bool__(self) -> bool:
        return True  # whether it is empty is asked of its length

    def __iter__(self) -> Iterator[Any]:
        """Look at the messages, the next to be received first."""
        return iter(self.items)

    # -- how full ---------------------------------------------------------------------------------

    def level(self) -> int:
        """Return how much is in the queue, as its mark counts it."""
        return len(self.items)

    def waiting(self) -> int:
        """Return how many messages are in the queue, or bytes if its mark is in bytes."""
        return len(self.items)

    def resize(self, size: int) -> None:
        """Move the mark."""
        self.size = size
        self.half = size // 2
        self.set_brake()

    def set_brake(self) -> None:
        """Decide afresh up to which level a sender need not ask."""
        if self.feeders == 1 and self.checks is None:
            self.brake = min(self.size - self.granted, DEEP) - 1
        else:
            self.brake = -1

    def set_fast(self, step: int) -> None:
        """The component's own process has asked in this step: let it take its budget without asking."""
        if step != self.step:
            self.step = step
            self.step_received = self.received
        if not self.readers and not self.turns and self.checks is None and self.hand is None:
            self.fast_until = self.step_received + STEP_BUDGET

    def has_budget(self, step: int) -> bool:
        """Say whether a reader may take another message in this step, before others get a turn."""
        return step != self.step or self.received - self.step_received < STEP_BUDGET

    # -- messages ---------------------------------------------------------------------------------

    def put_in(self) -> int:
        """Return how many messages have been put in."""
        return self.received + self.dropped + len(self.items)

    def put_alone(self) -> int:
        """Return how many messages have been put in by a sender that had the queue to itself."""
        return self.received + self.dropped + len(self.items) - self.shared

    def put(self, message: Any) -> None:
        """Add a message and give the first reader in line its turn."""
        self.items.append(message)
        waiting, level = self.waiting(), self.level()
        if waiting > self.peak:
            self.peak = waiting
        if level >= self.size and not self.over:
            self.over = True
            self.alarm = max(self.alarm, self.size - 1)
        if self.checks is not None:
            self.checks.append(snapshot(message))
        # The message is not always one more: the oldest, dropped to make room, may have been given already.
        if self.readers and self.available():
            self.grant()

    def take(self) -> Any:
        """Remove the first message."""
        message = self.items.popleft()
        self.received += 1
        if self.hand is not None:
            self.hand[:] = [message]
        if self.checks is not None:
            check_unchanged(message, self.checks.popleft())
        if self.level() <= self.alarm:
            self.on_alarm()
        return message

    def drain(self) -> tuple[Any, ...]:
        """Remove all messages unread, and return them: they go on to other queues."""
        messages = tuple(self.items)
        self.items.clear()
        if self.checks is not None:
            self.checks.clear()
        return messages

    def check(self) -> None:
        """From now on, see to it that messages are received as they were sent (``debug=True``)."""
        if self.checks is None:  # the queue of a seat is checked already when the next occupant starts
            self.checks = deque(snapshot(message) for message in self.items)
            self.fast_until = 0
            self.set_brake()

    def drop_oldest(self) -> None:
        """Remove the first message unread, and count it."""
        self.items.popleft()
        self.dropped += 1
        if self.checks is not None:
            self.checks.popleft()

    def on_alarm(self) -> None:
        """The level has come down to where somebody wanted to know."""
        level = self.level()
        if self.over and level < self.size:
            self.over = False
            self.epoch += 1
        self.alarm = -1
        if self.senders:
            if level <= self.half:
                self.free_senders()
            if self.senders:
                self.alarm = self.half
        if self.over:
            self.alarm = self.size - 1

    # -- readers ----------------------------------------------------------------------------------

    def available(self) -> bool:
        """Say whether there is a message that has not been given to a reader yet."""
        return len(self.items) > self.turns

    def line_up(self, wait: Wait) -> None:
        """Put a reader at the end of the line; it may get its turn at once."""
        if self.readers is None:
            self.readers = OrderedDict()
        self.readers[wait] = None
        self.fast_until = 0
        if self.available():
            self.grant()
        elif self.on_asked is not None:
            self.on_asked()

    def grant(self) -> None:
        """Give the message that has just become available to the first reader in line."""
        while self.readers:
            wait, _ = self.readers.popitem(last=False)
            if wait.turn is None:  # else a `select` that was served by another box meanwhile
                wait.turn = self
                self.turns += 1
                wait.wake()
                return

    def leave(self, wait: Wait) -> None:
        """Take a reader out of the line; a turn that it was given and did not use goes to the next."""
        if wait.turn is self:
            wait.turn = None
            self.turns -= 1
            if self.readers and self.available():
                self.grant()
        elif self.readers:
            self.readers.pop(wait, None)

    def wake_readers(self) -> None:
        """Resume everybody in line without a message: the inbox has ended or been closed."""
        if self.readers:
            waits = list(self.readers)
            self.readers.clear()
            for wait in waits:
                wait.wake()

    # -- senders ----------------------------------------------------------------------------------

    def is_full(self, route: Any) -> bool:
        """Say whether a sender that has just put a message in must wait before the next."""
        return route.turns <= 0 and self.level() + self.granted >= self.size

    def line_up_sender(self, wait: Wait, route: Any) -> None:
        """Put a sender at the end of the line for room."""
        if self.senders is None:
            self.senders = OrderedDict()
        self.senders[wait] = None
        route.waits[wait] = None
        self.alarm = max(self.alarm, self.half)

    def leave_sender(self, wait: Wait, route: Any, freed: bool) -> None:
        """A sender resumes: its room becomes the route's turns, or goes back where it was cancelled."""
        assert self.senders is not None
        self.senders.pop(wait, None)
        route.waits.pop(wait, None)
        if wait.turn:
            if not freed:
                self.granted -= wait.turn
            else:
                route.turns += wait.turn
                route.scheduler.at_end_of_step(route)
            self.set_brake()
        if self.senders and self.level() <= self.half:
            self.free_senders()

    def free_senders(self) -> None:
        """Free as many waiting senders as there is room, and divide that room evenly among them."""
        assert self.senders is not None
        room = self.size - self.level() - self.granted
        count = min(len(self.senders), room)
        if count <= 0:
            return
        # A lone sender of a lone source needs no grant: there is nobody to take the room away.
        granting = self.feeders > 1 or len(self.senders) > 1
        share, extra = divmod(room, count)
        for index in range(count):
            wait, _ = self.senders.popitem(last=False)
            if granting:
                wait.turn = share + (index < extra)
                self.granted += wait.turn
            wait.wake()
        self.set_brake()

    def give_back(self, route: Any) -> None:
        """The room that a sender was given and has not used becomes anybody's."""
        if route.turns:
            self.granted -= route.turns
            route.turns = 0
            self.set_brake()
            if self.senders and self.level() <= self.half:
                self.free_senders()

    def use_turn(self, route: Any) -> None:
        """A message was put in with room that had been granted to its sender."""
        if route.turns > 0:
            route.turns -= 1
            self.granted -= 1
            self.set_brake()

    def forget_route(self, route: Any, wake: bool) -> None:
        """A link is gone: who waits for room through it resumes, if it is to be woken."""
        self.feeders -= 1
        self.drops_oldest = self.drops_oldest and route.when_full != "drop-oldest"
        self.give_back(route)
        if self.senders and wake:
            for wait in list(route.waits):
                if self.senders.pop(wait, 0) is None:
                    wait.wake()
        self.set_brake()


def wait_for_room(route: Route) -> Generator[Any, None, None]:
    """Suspend a sender until it is freed."""
    wait = Wait(route.scheduler, route.outbox.owner, "send to", (route,))
    queue = route.queue
    queue.line_up_sender(wait, route)
    freed = False
    try:
        yield from wait.park()
        freed = True
    finally:
        queue.leave_sender(wait, route, freed)


def call_when_room(route: Route, callback: Callable[[], object]) -> None:
    """Put a callback into the line for room, in place of a sender that can be suspended."""
    wait = Wait(route.scheduler, route.outbox.owner, "send to", (route,))
    queue = route.queue

    def resume() -> None:
        queue.leave_sender(wait, route, True)
        callback()

    wait.callback = resume
    queue.line_up_sender(wait, route)


def weight_of(message: Any) -> int:
    """Return how many bytes a message counts: its length, but at least one, or empty ones had no limit."""
    return (message.nbytes if isinstance(message, memoryview) else len(message)) or 1


class ByteQueue(Queue):
    """Messages of one inbox, with a mark counted in bytes: each message must have a length.

    Python needs some fifty bytes for a message besides. So that a peer who sends byte by byte cannot make us
    keep fifty times what we mean to, the queue is full with so many messages too (`MOST_SMALL`).
    """

    __slots__ = ("weight",)

    in_bytes = True

    def __init__(self, size: int) -> None:
        self.weight = 0
        super().__init__(size)

    def level(self) -> int:
        """Return the number of bytes in the queue, or more if the messages are many for that."""
        return max(self.weight, len(self.items) * (self.size // MOST_SMALL))

    def waiting(self) -> int:
        """Return the number of bytes in the queue."""
        return self.weight

    def set_brake(self) -> None:
        """Never: somebody has to add the bytes up."""

    def set_fast(self, step: int) -> None:
        """Note the step, but never let a reader take without asking: somebody has to subtract the bytes."""
        super().set_fast(step)
        self.fast_until = 0

    def put(self, message: Any) -> None:
        """Add a message."""
        self.weight += weight_of(message)
        super().put(message)

    def take(self) -> Any:
        """Remove the first message."""
        self.weight -= weight_of(self.items[0])
        return super().take()

    def drain(self) -> tuple[Any, ...]:
        """Remove all messages unread, and return them."""
        self.weight = 0
        return super().drain()

    def drop_oldest(self) -> None:
        """Remove the first message unread, and count it."""
        self.weight -= weight_of(self.items[0])
        super().drop_oldest()

    def free_senders(self) -> None:
        """Free one sender; how much it is going to send nobody knows."""
        assert self.senders is not None
        if self.level() <= self.half:
            wait, _ = self.senders.popitem(last=False)
            wait.wake()

    def use_turn(self, route: Any) -> None:
        """Nothing is granted by bytes."""


_MUTABLE = (list, dict, set, bytearray)


def snapshot(message: Any) -> Any:
    """Copy a message that its sender might change afterwards; of others, return None.

    So too of one with something in it that has no copy (a lock), or does not equal its copy (most objects).
    """
    if not isinstance(message, _MUTABLE):
        return None
    import copy  # here, because only debugging needs it

    try:
        copied = copy.deepcopy(message)
        return copied if message == copied else None
    except Exception:  # of whatever is in the message: it can be sent all the same
        return None


def check_unchanged(message: Any, copied: Any) -> None:
    """Raise when a message is no longer what was sent."""
    if copied is None:
        return
    try:
        changed = message != copied
    except Exception:  # something has been put into it that compares with nothing
        changed = True
    if changed:
        raise UsageError(
            f"a message was changed after it had been sent: it was {shorten(copied)} and is "
            f"{shorten(message)}. From the "
            "moment it is sent a message belongs to its receivers; send a copy, or a new one"
        )


def parse_size(size: Any, where: str) -> tuple[int, bool]:
    """Read the ``size=`` of an inbox: a number of messages, or a text like ``"256 KiB"``.

    Returns the number, and whether it counts bytes.

    >>> parse_size(100, "inbox"), parse_size("64 KiB", "inbox"), parse_size("1 MB", "inbox")
    ((100, False), (65536, True), (1000000, True))
    """
    units = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}
    if isinstance(size, str):
        number, _, unit = size.strip().partition(" ")
        if number.isdigit() and int(number) > 0 and unit.strip().upper() in units:
            return int(number) * units[unit.strip().upper()], True
    elif isinstance(size, int) and size >= 1 and size is not True:
        return size, False
    raise ValueError(
        f"size={size!r} of {where}: give a number of messages (1 or more), or bytes like '256 KiB'"
    )


def make_queue(size: int, in_bytes: bool) -> Queue:
    """Make a queue with its mark in messages or in bytes."""
    return ByteQueue(size) if in_bytes else Queue(size)
