"""Bytes in pieces of one size."""

from __future__ import annotations

from kamaelia.axon import Component, EndOfMessages, Inbox, Outbox, SourceFailed
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten


class Chunk(Component):
    """Cut bytes anew, into pieces of one size.

    Inbox: ``inbox``, bytes in pieces of any size. Outbox: ``outbox``, the same bytes in pieces of ``size``.
    The last piece may be shorter: what is left is passed on when the inbox ends, and also when what feeds it
    fails. What is not bytes is a failure.

    Arguments:
        size: how many bytes to a piece

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Chunk, Collect, Source
        >>> run(Source([b"ab", b"cdefg", b"h"]) | Chunk(3) | Collect())
        [b'abc', b'def', b'gh']
    """

    inbox = Inbox[bytes]("bytes in pieces of any size")
    outbox = Outbox[bytes]("the same in pieces of one size")

    def __init__(self, size: int) -> None:
        check_whole(f"Chunk({shorten(size)})", size, "how many bytes to a piece", 1)
        self.size = size

    async def main(self) -> None:
        size = self.size
        left = bytearray()
        try:
            while True:
                data = await self.inbox.receive()
                if not isinstance(data, (bytes, bytearray, memoryview)):
                    raise TypeError(f"{self.path} takes bytes, and this is none: {shorten(data)}")
                left += data
                whole = len(left) - len(left) % size
                for start in range(0, whole, size):
                    await self.outbox.send(bytes(left[start : start + size]))
                del left[:whole]
        except (EndOfMessages, SourceFailed):
            if left:
                await self.outbox.send(bytes(left))
            raise


__all__ = ["Chunk"]
