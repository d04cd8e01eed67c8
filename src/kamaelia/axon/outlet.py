"""Inlets and outlets: where a system meets what calls it back, such as the transports of asyncio.

Theory
------
A transport knows neither boxes nor ``await``: it calls `data_received` when something has come, its ``write``
takes whatever it is given, and it says "pause" when that is too much. A component between it and a box would
cost a step, a context and a coroutine for each connection, to pass on what is there already.

So an `Inlet` puts what a transport has received into an inbox, from within the transport's own callback; and
an `Outlet` is the reader of an inbox which hands each message to the transport, in the order and at the
time in which a component would. It stands in the line of the queue like any reader and has its turn in the
ready queue like any component; only no body is stepped then. While the transport has said "pause", messages
wait in the inbox, whose mark holds back who sends them.

Both note when they were last used, and how much has passed: for time-outs and statistics. Neither keeps a
system running: a component has to be there that waits until its transports have finished.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from . import core, postman
from .errors import shorten
from .inbox import Inbox
from .outbox import Outbox

if TYPE_CHECKING:
    from .queue import Queue
    from .system import System


class Listener(Protocol):
    """Who looks after an inlet or outlet, and is told what it cannot do itself."""

    def not_taken(self, data: Any, /) -> None:
        """Nobody reads what has come: not yet, or no more."""

    def sink_full(self, /) -> None:
        """The inbox has reached its mark: stop what comes in until there is room."""

    def outlet_ended(self, failure: BaseException | None, /) -> None:
        """Everything has been written, and nothing more will come; with a failure if that is why."""

    def outlet_failed(self, message: Any, error: Exception, /) -> None:
        """The transport has refused a message. Nothing more is written."""


class Transport(Protocol):
    """What an outlet writes to: a part of `asyncio.WriteTransport`."""

    def write(self, data: Any, /) -> object: ...

    def is_closing(self) -> bool: ...


def check_bytes(message: Any) -> None:
    """Raise `TypeError` for what no transport carries."""
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"a connection carries bytes, and was given {shorten(message)} ({type(message).__name__}): "
            "put Encode() between (text to bytes)"
        )


class Inlet:
    """Puts what a transport has received into an inbox.

    Arguments:
        listener: told of what cannot be put there
        clock: what time it is, in seconds

    ``box`` is the outbox that leads to the inbox, usually that of a hold; None while nobody reads.
    """

    __slots__ = core.NO_SLOTS

    box: Outbox[Any] | None
    amount: int  # of bytes that have come
    active: float  # when something came last

    if TYPE_CHECKING:

        def __init__(self, listener: Listener, clock: Callable[[], float]) -> None: ...

        def data_received(self, data: bytes) -> None:
            """Put something into the inbox."""


class PlainInlet(Inlet):
    """An inlet, as the plain form of the core has it."""

    __slots__ = ("active", "amount", "box", "clock", "listener")

    def __init__(self, listener: Listener, clock: Callable[[], float]) -> None:
        self.listener = listener
        self.clock = clock
        self.box = None
        self.amount = 0
        self.active = clock()

    def data_received(self, data: bytes) -> None:
        """See `Inlet`."""
        self.amount += len(data)
        self.active = self.clock()
        box = self.box
        if box is None or box.lost:
            self.listener.not_taken(data)
        else:
            box.send(data)
            if box.full:
                self.listener.sink_full()


class Outlet:
    """Reads an inbox by writing each message to a transport.

    Arguments:
        inbox: to read; nobody else may
        transport: to write to. What waits when it is closing stays in the inbox
        listener: told of the end, and of what the transport refuses
        clock: what time it is, in seconds
    """

    __slots__ = core.NO_SLOTS

    component = None  # whose step it is
    inbox: Inbox[Any]
    amount: int  # of bytes that were written
    active: float  # when something was written last

    if TYPE_CHECKING:

        def __init__(
            self, inbox: Inbox[Any], transport: Transport, listener: Listener, clock: Callable[[], float]
        ) -> None: ...

        def pause(self) -> None:
            """Write nothing until `resume`."""

        def resume(self) -> None:
            """Go on."""

        def close(self) -> None:
            """Write nothing more: who sends learns that nobody listens, and what waits is counted as unread.

            Twice is harmless."""


class PlainOutlet(Outlet):
    """An outlet, as the plain form of the core has it."""

    __slots__ = (
        "active", "amount", "clock", "inbox", "listener", "over", "paused", "queued", "transport", "turn",
    )  # fmt: skip

    def __init__(
        self, inbox: Inbox[Any], transport: Transport, listener: Listener, clock: Callable[[], float]
    ) -> None:
        self.inbox = inbox
        self.transport = transport
        self.listener = listener
        self.clock = clock
        self.amount = 0
        self.active = clock()
        self.turn: Queue | None = None  # in which it has been given a message, as in `queue.Wait`
        self.paused = False
        self.queued = False  # its turn will come
        self.over = False
        inbox.queue.line_up(self)  # type: ignore[arg-type]

    def wake(self) -> None:
        """There is a message, or an end: have its turn come."""
        if not self.queued:
            self.queued = True
            self.inbox.owner.scheduler.make_ready(self)  # type: ignore[arg-type,union-attr]

    def step(self) -> None:
        """Write what is there."""
        self.queued = False
        box, queue, transport = self.inbox, self.inbox.queue, self.transport
        if self.turn is not None:
            self.turn = None
            queue.turns -= 1
        if self.over:
            return
        if len(queue):
            self.active = self.clock()
        while len(queue) and not self.paused:
            if transport.is_closing():
                return  # its listener will hear of the loss
            message = None
            try:
                message = queue.take()
                check_bytes(message)
                transport.write(message)
            except Exception as error:  # of whatever kind: it is the message that is wrong
                self.over = True
                self.listener.outlet_failed(message, error)
                return
            self.amount += memoryview(message).nbytes
        if self.paused:
            return
        if box.ended:
            self.over = True
            self.listener.outlet_ended(box.failure)
        else:
            queue.line_up(self)  # type: ignore[arg-type]

    def pause(self) -> None:
        """See `Outlet`."""
        if not self.paused:
            self.paused = True
            count_outside(self.inbox, 1)

    def resume(self) -> None:
        """See `Outlet`."""
        if self.paused:
            self.paused = False
            count_outside(self.inbox, -1)
            self.inbox.queue.leave(self)  # type: ignore[arg-type]
            self.wake()

    def close(self) -> None:
        """See `Outlet`."""
        if self.paused:
            self.paused = False
            count_outside(self.inbox, -1)
        self.over = True
        self.inbox.queue.leave(self)  # type: ignore[arg-type]  # of a seat, it is the next occupant's
        self.inbox.close()


def count_outside(inbox: Inbox[Any], change: int) -> None:
    """While a transport is paused, it is from outside that somebody goes on: rest is no deadlock."""
    inbox.owner.scheduler.outside += change  # type: ignore[union-attr]


@lru_cache(maxsize=64)
def _declaration(size: int | str) -> Inbox[Any]:
    declared: Inbox[Any] = Inbox("messages to outside", size=size)
    return declared


def lead_outside(outbox: Outbox[Any], size: int | str, system: System) -> Inbox[Any]:
    """Make an inbox for an outlet, and link an outbox to it, whose component is about to be started."""
    name = sys.intern(f"{outbox.name} (to outside)")
    inbox = _declaration(size).attached(outbox.owner, name)
    inbox.own = True
    inbox.settled = True
    inbox.prepare(system)
    postman.link(outbox, inbox)
    return inbox
