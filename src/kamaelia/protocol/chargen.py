"""The character generator protocol, RFC 864."""

from __future__ import annotations

import asyncio
from typing import Final

from kamaelia.axon import Component, Inbox, Outbox, postman

PRINTABLE: Final = bytes(range(0x20, 0x7F))  # the 95 printable characters of ASCII
LINE_LENGTH: Final = 72


def chargen_line(number: int) -> bytes:
    r"""Return one line of the pattern: 72 characters, each line beginning one character later than the last.

    >>> chargen_line(1)[:10], chargen_line(95) == chargen_line(0), chargen_line(0)[-3:]
    (b'!"#$%&\'()*', True, b'g\r\n')
    """
    first = number % len(PRINTABLE)
    return (PRINTABLE * 2)[first : first + LINE_LENGTH] + b"\r\n"


class Chargen(Component):
    """Send lines of characters without end, as fast as the peer takes them.

    Inbox: ``inbox``, bytes, which are thrown away; its end is the end. Outbox: ``outbox``, bytes, a line of
    74 in each message. RFC 864 (its form for TCP).

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Take
        >>> from kamaelia.protocol import Chargen
        >>> [line[:4] for line in run(Chargen() | Take(3) | Collect())]
        [b' !"#', b'!"#$', b'"#$%']
    """

    inbox = Inbox[bytes]("is thrown away")
    outbox = Outbox[bytes]("lines of characters")

    async def main(self) -> None:
        if not postman.is_linked(self.inbox):
            await self._send_lines()
            return
        # Two things at once: to send, which may have to wait for the peer, and to notice when the peer ends.
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._send_lines())
            async for _ in self.inbox:
                pass
            sending.cancel()

    async def _send_lines(self) -> None:
        number = 0
        while True:
            await self.outbox.send(chargen_line(number))
            number += 1


__all__ = ["Chargen", "chargen_line"]
