"""From text to the wire."""

from __future__ import annotations

import codecs

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.errors import shorten


class Encode(Component):
    """Turn text into bytes, with something at the end of each message if you like.

    Inbox: ``inbox``, str. Outbox: ``outbox``, bytes. `Lines` is the way back.

    Arguments:
        end: is added to each message, such as ``"\\n"``
        encoding: of the bytes, as Python calls it
        errors: what to do about a character that the encoding does not have, as Python calls it. With
            ``"replace"`` it becomes a question mark, and `replaced` counts the messages; with ``"strict"``
            the component fails with UnicodeEncodeError.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Encode, Source
        >>> run(Source(["one", "two"]) | Encode(end="\\r\\n") | Collect())
        [b'one\\r\\n', b'two\\r\\n']
    """

    inbox = Inbox[str]("text")
    outbox = Outbox[bytes]("the same, encoded")

    def __init__(self, end: str = "", encoding: str = "utf-8", errors: str = "replace") -> None:
        if not isinstance(end, str):
            raise TypeError(f"Encode(end={shorten(end)}): give text, such as '\\n'")
        "".encode(encoding)  # one that is unknown, or not of text, is an error here, not at the first message
        codecs.lookup_error(errors)
        self.end = end
        self.encoding = encoding
        self.errors = errors
        self.replaced = 0
        """Messages in which something could not be encoded and was replaced."""

    async def main(self) -> None:
        async for text in self.inbox:
            await self.outbox.send(self._encode(text))

    def _encode(self, text: str) -> bytes:
        if not isinstance(text, str):
            # Of bytes, str() would make what Python's prompt shows: b'...', with quotes.
            is_bytes = isinstance(text, (bytes, bytearray, memoryview))
            before = "Lines() or Map(bytes.decode)" if is_bytes else "Map(str)"
            raise TypeError(f"{self.path}: Encode takes str, but got {shorten(text)}; put {before} before it")
        whole = text + self.end
        try:
            return whole.encode(self.encoding)
        except UnicodeEncodeError:
            encoded = whole.encode(self.encoding, self.errors)
            self.replaced += 1
            return encoded


__all__ = ["Encode"]
