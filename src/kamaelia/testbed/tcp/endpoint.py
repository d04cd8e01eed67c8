"""Between a `Connection` and the network: packets in and out, and the clock.

It is on the way of every segment, so it does nothing but that, and tells the rest to its owner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .connection import READABLE, SYN_RECEIVED, TIME_WAIT, Connection
from .rack import NEVER
from .segment import SYN, Segment

ECN_CAPABLE = 2


class Endpoint:
    """What a node delivers the segments of one connection to.

    Arguments:
        connection: which takes them
        node: of the wire, which sends segments
        template: a packet that all others are copies of
        headers: bytes of the IP header
        owner: is told what has happened (``happened(events)``), and asked whether a listener has room
            (``is_full()``)
        call_at: calls a function, with an argument, at a time
    """

    __slots__ = (
        "call",
        "call_at",
        "clock",
        "connection",
        "context",
        "headers",
        "owner",
        "reader",
        "scheduled",
        "send_like",
        "template",
    )

    def __init__(
        self,
        connection: Connection,
        node: Any,
        template: Any,
        headers: int,
        owner: Any,
        call_at: Callable[..., object],
    ) -> None:
        self.connection = connection
        self.call = node.call  # taken once: they are called for each segment
        self.send_like = node.send_like
        self.clock = node.fabric.clock
        self.template = template
        self.headers = headers
        self.owner = owner
        self.call_at = call_at
        self.scheduled = NEVER
        self.reader: Any = None
        """What is called, in a context, when there is something to read and nothing else to tell; None if
        the owner is to be told of that, too."""
        self.context: Any = None

    def take(self, segment: Segment, mark: int, now: int) -> None:
        """A segment has come at a time, and this is what the network says of its packet."""
        connection = self.connection
        if connection.state == SYN_RECEIVED and self.owner.is_full():
            return
        if connection.state == TIME_WAIT and segment.flags & SYN:
            self.owner.asked_again(segment)
            return
        connection.take(segment, mark, now)
        self.follow_up()

    def open(self) -> None:
        """Ask for a connection."""
        self.connection.open(self.clock.now)
        self.follow_up()

    def accept(self, segment: Segment) -> None:
        """Answer one that asks for a connection."""
        self.connection.accept(segment, self.clock.now)
        self.follow_up()

    def send(self, data: bytes) -> int:
        """Take bytes to be sent, as far as there is room; return how many."""
        size = self.connection.send(data, self.clock.now)
        self.follow_up()
        return size

    def read(self, most: int) -> bytes:
        """Return bytes that have come; none if there are none."""
        data = self.connection.read(most, self.clock.now)
        if self.connection.out:
            self.follow_up()
        return data

    def run_out(self, when: int) -> None:
        """It is a time that was asked for."""
        if self.scheduled == when:
            self.scheduled = NEVER
            if self.connection.due() <= when:
                self.connection.run_out(when)
            self.follow_up()

    def follow_up(self) -> None:
        """Send what is to be sent, tell what is to be told, and see to it that time is told."""
        connection = self.connection
        out = connection.out
        if out:
            capable = ECN_CAPABLE if connection.sender.ecn else 0
            segment: Segment
            for segment in out:
                self.send_like(
                    self.template,
                    segment.kind(),
                    self.headers + segment.size(),
                    segment,
                    capable if segment.data and not segment.again else 0,
                    segment.again,
                )
            out.clear()
        if connection.events:
            events = connection.events
            connection.events = 0
            if events == READABLE and self.reader is not None and not self.clock.frozen:
                self.call(self.context, self.reader)
            else:
                self.owner.happened(events)
        due = connection.due()
        if due < self.scheduled:
            self.scheduled = due
            self.call_at(due, self.run_out, due)
