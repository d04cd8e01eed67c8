"""Small components that the tests of the transports put on either side of a connection."""

from __future__ import annotations

from typing import Any

from kamaelia import Component, Inbox, Outbox, component, select, sleep
from kamaelia.net import peer


class Echo(Component):
    inbox = Inbox[bytes]("bytes")
    outbox = Outbox[bytes]("the same bytes")

    async def main(self):
        async for data in self.inbox:
            await self.outbox.send(data)


@component
async def source(inbox, outbox, items=(), then="end"):
    """Send each item; then end, or stay until nobody listens."""
    for item in items:
        await outbox.send(item)
    while then == "stay":
        await sleep(1000)


@component
async def gather(inbox, outbox):
    """Return everything as one string of bytes."""
    return b"".join([data async for data in inbox])


class Room(Component):
    """A visitor's place in a silent room: it also listens to a box that nobody is linked to."""

    inbox = Inbox[bytes]("bytes from the visitor")
    outbox = Outbox[bytes]("what others say, for the visitor")
    others = Inbox[bytes]("what others say")

    async def main(self):
        async for _, data in select(self.others, self.inbox):
            await self.outbox.send(data)


class DeafRoom(Room):
    """A visitor's place in a room where one only listens, and nothing is ever said."""

    others = Inbox[bytes]("what others say", held=True)

    async def main(self):
        async for data in self.others:
            await self.outbox.send(data)


class Tell(Component):
    """Put what happens into a queue of the test's: ("begin", path, peer), data, then "end" or the error."""

    def __init__(self, tell: Any) -> None:
        self.tell = tell

    async def main(self):
        self.tell.put(("begin", self.path, peer().address[0]))
        try:
            async for data in self.inbox:
                self.tell.put(data)
        except Exception as error:
            self.tell.put(error)
            raise
        self.tell.put("end")
