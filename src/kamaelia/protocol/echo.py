"""The echo protocol, RFC 862."""

from __future__ import annotations

from kamaelia.axon import Component, Inbox, Outbox


class Echo(Component):
    """Send back whatever arrives, and end when the peer does.

    Inbox: ``inbox``, bytes. Outbox: ``outbox``, the same bytes in the same chunks. RFC 862.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source
        >>> from kamaelia.protocol import Echo
        >>> run(Source([b"one", b"two"]) | Echo() | Collect())
        [b'one', b'two']
    """

    inbox = Inbox[bytes]("bytes from the peer")
    outbox = Outbox[bytes]("the same bytes, going back")

    async def main(self) -> None:
        async for data in self.inbox:
            await self.outbox.send(data)


__all__ = ["Echo"]
