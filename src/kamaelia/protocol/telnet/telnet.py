"""Telnet around a part that takes and sends lines of text."""

from __future__ import annotations

import asyncio
from typing import Any

from kamaelia.axon import Component, Inbox, LinkError, Outbox, as_part
from kamaelia.axon.arguments import check_bytes, check_whole
from kamaelia.axon.errors import shorten

from .machine import LONGEST, Leave, Line, Send, Terminal


class Telnet(Component):
    r"""Put a part that takes and sends lines of text at the other end of a telnet connection, or just ``nc``.

    The part gets what is typed, line by line, without anything that telnet adds and without control
    characters; what it sends is shown, each message with the end of a line. To ask questions, one after
    another, there is `Conversation`.

    Inbox: ``inbox``, bytes from the client. Outbox: ``outbox``, bytes for it.

    Ending: when the part has. When the person goes, the part's inbox ends. Failure: of the part; when the
    connection breaks, so has what feeds the part. Stop: what was typed the part gets. Back-pressure: both
    ways. It holds nothing open.

    Arguments:
        part: what is to talk with the person: a component that takes and sends str
        end: is added to each text that it sends
        longest: bytes of the longest line; more is cut, and counted in `cut`
        encoding: of the text, both ways

    Example:
        >>> from kamaelia.flow import Map
        >>> from kamaelia.protocol import Telnet
        >>> from kamaelia.testing import drive
        >>> with drive(Telnet(Map(str.upper))) as visitor:
        ...     visitor.send(b"hello\r\n")
        ...     visitor.take_all()
        [b'HELLO\r\n']
    """

    inbox = Inbox[bytes]("bytes from the client")
    outbox = Outbox[bytes]("bytes for the client")

    def __init__(
        self, part: Any, *, end: str = "\n", longest: int = LONGEST, encoding: str = "utf-8"
    ) -> None:
        if not isinstance(end, str):
            raise TypeError(f"Telnet(end={shorten(end)}): give text, such as '\\n'")
        check_whole(f"Telnet(longest={shorten(longest)})", longest, "the bytes of the longest line", 1)
        self.end = end
        self.part = as_part(part)
        """What talks with the person."""
        boxes = self.part._axon.boxes
        if "inbox" not in boxes or "outbox" not in boxes:
            raise LinkError(f"Telnet({shorten(part)}): it needs an inbox and an outbox to talk")
        self.add(self.part)
        self._lines: Outbox[str] = self.add_box("_lines", Outbox[str]("what is typed", optional=True))
        self._texts: Inbox[str] = self.add_box("_texts", Inbox[str]("what is to be shown"))
        self.link(self._lines, boxes["inbox"])
        self.link(boxes["outbox"], self._texts)
        self._terminal = Terminal(encoding=encoding, longest=longest)

    @property
    def cut(self) -> int:
        """Lines that were too long and were cut."""
        return self._terminal.cut

    async def main(self) -> None:
        # Two things at once: neither who types much nor who shows much is to hold up the other.
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read())
            async for text in self._texts:
                await self.outbox.send(self._terminal.encode(text + self.end))
            reading.cancel()

    async def _read(self) -> None:
        async for data in self.inbox:
            check_bytes(self, data)
            if not await self._pass_on(self._terminal.feed(data)):
                break
        else:
            await self._pass_on(self._terminal.end())
        self._lines.close()

    async def _pass_on(self, events: list[Any]) -> bool:
        """Give the part what was typed; say whether the person stays."""
        for event in events:
            if isinstance(event, Line):
                await self._lines.send(event.text)
            elif isinstance(event, Send):
                await self.outbox.send(event.data)
            elif isinstance(event, Leave):
                return False
        return True


__all__ = ["Telnet"]
