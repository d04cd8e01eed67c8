r"""Messages on a stream: where one ends and the next begins.

A stream of bytes keeps their order, but not how they were divided into messages. A *format* says how that is
put into the stream. Formats are pure: `FrameFormat.frame` makes the bytes of one message, and a
`FrameDecoder` finds the messages again, however the stream was divided on its way. `Frame` and `Deframe` are
the components around them.

| format | a message on the wire | it suits |
| --- | --- | --- |
| `LengthPrefix` | its length, then its bytes | a reliable stream such as TCP; the usual choice |
| `Delimiter` | its bytes, then a mark that is in none | texts and other people's protocols |
| `COBS` | stuffed so that it has no zero byte, then a zero | serial lines; at most one byte in 254 more |
| `Resync` | a mark, length, checks, its bytes | what may be joined in the middle, or damaged |

After damage `COBS` and `Resync` find the next good message; the other two cannot, and say so. For lines of
text there is `Lines`.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal

from kamaelia.axon import Component, Inbox, LocalProtocolError, Outbox, RemoteProtocolError
from kamaelia.axon.arguments import check_bytes, check_whole
from kamaelia.axon.errors import shorten

LONGEST: Final = 16 * 1024 * 1024  # bytes of a message, unless a format says otherwise


class FrameDecoder:
    """Finds messages in a stream, in one format; made by `FrameFormat.decoder`.

    It never holds more than one chunk and one longest message.

    Example:
        >>> decoder = Delimiter(b";").decoder()
        >>> decoder.feed(b"one;tw")
        >>> decoder.next_frame(), decoder.next_frame()
        (b'one', None)
        >>> decoder.feed(b"o;")
        >>> decoder.next_frame(), decoder.next_frame()
        (b'two', None)
        >>> decoder.end()
    """

    def __init__(self, format: FrameFormat) -> None:
        self._format = format
        self.skipped = 0
        """Bytes that were part of no good message, in a format that goes on after these."""
        self._bytes = bytearray()  # what has come and has not gone out

    def feed(self, data: bytes) -> None:
        """Add a chunk. Ask for its messages, with `next_frame`, before the next chunk."""
        self._bytes += data

    def next_frame(self) -> bytes | None:
        """Return the next message, or None when none is complete.

        Raises `RemoteProtocolError` for one that is too long, or damaged, where the format cannot go on.
        """
        raise NotImplementedError

    def end(self) -> None:
        """Say that no more will come. Raises `RemoteProtocolError` if that is in the middle of a message."""
        if self._bytes:
            raise RemoteProtocolError(
                f"the stream has ended in the middle of a message, {len(self._bytes)} bytes after its "
                f"beginning: {shorten(bytes(self._bytes[:40]))}"
            )

    def _remove(self, count: int) -> bytes:
        removed = bytes(self._bytes[:count])
        del self._bytes[:count]
        return removed

    def _skip(self, count: int) -> None:
        self.skipped += count
        del self._bytes[:count]


@dataclass(frozen=True)
class FrameFormat:
    """How messages are told apart on a stream."""

    longest: int = field(default=LONGEST, kw_only=True)
    """Bytes of the longest message; a longer one is refused on both sides."""

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_whole(
            f"{name}(longest={shorten(self.longest)})", self.longest, "the bytes of the longest message", 1
        )

    def frame(self, message: bytes) -> bytes:
        """Return the bytes of one message on the wire; `LocalProtocolError` if it cannot be sent so."""
        raise NotImplementedError

    def decoder(self) -> FrameDecoder:
        """Return what finds the messages of one stream."""
        raise NotImplementedError

    def _check_length(self, length: int) -> None:
        if length > self.longest:
            raise LocalProtocolError(
                f"a message has {length} bytes, and {type(self).__name__}(longest={self.longest}) allows no "
                "more than that"
            )

    def _too_long(self, length: str) -> RemoteProtocolError:
        return RemoteProtocolError(
            f"a message has {length} bytes, and {type(self).__name__}(longest={self.longest}) allows no more "
            "than that"
        )


@dataclass(frozen=True)
class LengthPrefix(FrameFormat):
    r"""The length of a message as a whole number, then its bytes.

    Example:
        >>> LengthPrefix(width=2).frame(b"hello")
        b'\x00\x05hello'
    """

    width: int = 4
    """Bytes of the number: 1, 2, 4 or 8."""
    order: Literal["big", "little"] = "big"
    """Which byte of the number comes first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width not in (1, 2, 4, 8):
            raise ValueError(f"LengthPrefix(width={shorten(self.width)}): say 1, 2, 4 or 8")
        if self.order not in ("big", "little"):
            raise ValueError(f"LengthPrefix(order={shorten(self.order)}): say 'big' or 'little'")
        most = 256**self.width - 1
        if self.longest > most:
            object.__setattr__(self, "longest", most)  # no longer one can be said

    def frame(self, message: bytes) -> bytes:
        self._check_length(len(message))
        return len(message).to_bytes(self.width, self.order) + message

    def decoder(self) -> FrameDecoder:
        return _LengthDecoder(self)


class _LengthDecoder(FrameDecoder):
    _format: LengthPrefix

    def next_frame(self) -> bytes | None:
        width = self._format.width
        if len(self._bytes) < width:
            return None
        length = int.from_bytes(self._bytes[:width], self._format.order)
        if length > self._format.longest:
            raise self._format._too_long(str(length))
        if len(self._bytes) < width + length:
            return None
        return self._remove(width + length)[width:]


@dataclass(frozen=True)
class Delimiter(FrameFormat):
    r"""The bytes of a message, then a mark that may be in none of them.

    What is left without a mark when the stream ends is refused, as nobody knows whether it is all.

    Example:
        >>> Delimiter(b"\r\n").frame(b"HELO")
        b'HELO\r\n'
    """

    mark: bytes = b"\n"
    """What ends a message."""

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self.mark
        if not isinstance(given, bytes) or not given:
            raise TypeError(f"Delimiter({shorten(self.mark)}): give the bytes that end a message")

    def frame(self, message: bytes) -> bytes:
        self._check_length(len(message))
        whole = message + self.mark
        # Not only within: the end of a message and the beginning of the mark may make one, too.
        if whole.find(self.mark) != len(message):
            raise LocalProtocolError(
                f"a message contains {self.mark!r}, which ends messages here: {shorten(message)}. Take a "
                "format that can carry any bytes, such as LengthPrefix()"
            )
        return whole

    def decoder(self) -> FrameDecoder:
        return _DelimiterDecoder(self)


class _DelimiterDecoder(FrameDecoder):
    _format: Delimiter

    def __init__(self, format: Delimiter) -> None:
        super().__init__(format)
        self._searched = 0  # so many bytes are known to have no mark that begins in them

    def next_frame(self) -> bytes | None:
        mark = self._format.mark
        end = self._bytes.find(mark, self._searched)
        if end < 0:
            self._searched = max(0, len(self._bytes) - len(mark) + 1)
            if self._searched > self._format.longest:
                raise self._format._too_long(f"{self._searched} or more")
            return None
        if end > self._format.longest:
            raise self._format._too_long(str(end))
        self._searched = 0
        return self._remove(end + len(mark))[:end]


@dataclass(frozen=True)
class COBS(FrameFormat):
    r"""Consistent overhead byte stuffing: a message without zero bytes, then a zero.

    The zeros of a message are replaced by the distances between them (Cheshire and Baker, IEEE/ACM
    Transactions on Networking 7 (2), 1999). It grows by one byte, and one more for each 254. A damaged
    message is skipped and counted, and the next zero is a new beginning.

    Example:
        >>> COBS().frame(b"\x11\x22\x00\x33")
        b'\x03\x11"\x023\x00'
    """

    def frame(self, message: bytes) -> bytes:
        self._check_length(len(message))
        return stuff(message) + b"\0"

    def decoder(self) -> FrameDecoder:
        return _COBSDecoder(self)


class _COBSDecoder(FrameDecoder):
    def __init__(self, format: COBS) -> None:
        super().__init__(format)
        self._limit = format.longest + format.longest // 254 + 1  # bytes of the longest message, stuffed
        self._searched = 0
        self._too_long = False  # what we are in the middle of is being skipped

    def next_frame(self) -> bytes | None:
        while True:
            end = self._bytes.find(0, self._searched)
            if end < 0:
                self._searched = len(self._bytes)
                if self._too_long or self._searched > self._limit:
                    self._too_long = True
                    self._skip(self._searched)
                    self._searched = 0
                return None
            message = None if self._too_long else unstuff(self._bytes[:end])
            self._too_long = False
            self._searched = 0
            if message is not None and len(message) <= self._format.longest:
                del self._bytes[: end + 1]
                return message
            self._skip(end + 1)

    def end(self) -> None:
        self._skip(len(self._bytes))


def stuff(message: bytes) -> bytes:
    r"""Return a message without zero bytes, as `COBS` sends it, but for the zero at its end.

    >>> stuff(b"\0")
    b'\x01\x01'
    """
    stuffed = bytearray()
    parts = message.split(b"\0")
    for number, part in enumerate(parts):
        begin = 0
        while len(part) - begin >= 254:
            stuffed.append(255)
            stuffed += part[begin : begin + 254]
            begin += 254
        # A part of just 254 that is the last needs no more to say that it is over.
        if begin == 0 or begin < len(part) or number < len(parts) - 1:
            stuffed.append(len(part) - begin + 1)
            stuffed += part[begin:]
    return bytes(stuffed)


def unstuff(stuffed: bytes | bytearray) -> bytes | None:
    r"""Return the message that `stuff` has stuffed, or None for what it cannot have made.

    >>> unstuff(b"\x01\x01")
    b'\x00'
    """
    message = bytearray()
    at = 0
    while at < len(stuffed):
        code = stuffed[at]
        end = at + code
        if code == 0 or end > len(stuffed):
            return None
        message += stuffed[at + 1 : end]
        at = end
        if code < 255 and at < len(stuffed):
            message.append(0)
    return bytes(message) if stuffed else None


@dataclass(frozen=True)
class Resync(FrameFormat):
    r"""A mark, the length, a check of both; the bytes, and a check of these.

    Whoever joins in the middle, or gets damaged bytes, skips and counts what is no good message, and goes on
    with the next good one. On the wire: ``C5 AB 9E 3D``, the length in 4 bytes, CRC-16 (CCITT, beginning with
    FFFF) of these 8, the message, and its CRC-32; numbers with their high byte first. That is 14 bytes more
    than the message.

    Example:
        >>> decoder = Resync().decoder()
        >>> decoder.feed(b"junk" + Resync().frame(b"hello"))
        >>> decoder.next_frame(), decoder.skipped
        (b'hello', 4)
    """

    MARK: ClassVar[bytes] = b"\xc5\xab\x9e\x3d"

    def frame(self, message: bytes) -> bytes:
        self._check_length(len(message))
        header = self.MARK + struct.pack(">I", len(message))
        check = struct.pack(">H", binascii.crc_hqx(header, 0xFFFF))
        return b"".join((header, check, message, struct.pack(">I", binascii.crc32(message))))

    def decoder(self) -> FrameDecoder:
        return _ResyncDecoder(self)


class _ResyncDecoder(FrameDecoder):
    HEADER = struct.Struct(">4sIH")

    def __init__(self, format: Resync) -> None:
        super().__init__(format)
        self._ended = False

    def next_frame(self) -> bytes | None:
        while self._go_to_mark():
            length = self._length()
            if length is not None:
                whole = self.HEADER.size + length + 4
                if len(self._bytes) < whole and not self._ended:
                    return None
                message = bytes(self._bytes[self.HEADER.size : whole - 4])
                if self._bytes[whole - 4 : whole] == struct.pack(">I", binascii.crc32(message)):
                    del self._bytes[:whole]
                    return message
            # Only past the mark: within what is damaged another message may begin.
            self._skip(len(Resync.MARK))
        return None

    def end(self) -> None:
        """What has begun and will not be complete may have another message in it: `next_frame` finds that."""
        self._ended = True

    def _go_to_mark(self) -> bool:
        """Skip what comes before a mark, and say whether there is one with a header behind it."""
        mark = Resync.MARK
        found = self._bytes.find(mark)
        if found < 0:
            # The last bytes may be the beginning of a mark.
            kept = 0 if self._ended else len(mark) - 1
            self._skip(max(0, len(self._bytes) - kept))
            return False
        self._skip(found)
        return len(self._bytes) >= self.HEADER.size or self._ended

    def _length(self) -> int | None:
        """Return what the header says, or None if it is none."""
        if len(self._bytes) < self.HEADER.size:
            return None
        _, length, check = self.HEADER.unpack_from(self._bytes)
        good = check == binascii.crc_hqx(self._bytes[:8], 0xFFFF) and length <= self._format.longest
        return int(length) if good else None


class Frame(Component):
    r"""Put each message onto a stream, so that it can be told from the next.

    Inbox: ``inbox``, bytes. Outbox: ``outbox``, bytes, for a stream. `Deframe` is the way back. A message
    that the format cannot carry is a failure, `LocalProtocolError`.

    Arguments:
        format: how messages are told apart; `LengthPrefix()` if it is not given

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Frame, Source
        >>> run(Source([b"one", b"two"]) | Frame() | Collect())
        [b'\x00\x00\x00\x03one', b'\x00\x00\x00\x03two']
    """

    inbox = Inbox[bytes]("messages")
    outbox = Outbox[bytes]("the same, as a stream")

    def __init__(self, format: FrameFormat | None = None) -> None:
        self.format = _checked(format, "Frame")

    async def main(self) -> None:
        frame = self.format.frame
        async for message in self.inbox:
            check_bytes(self, message)
            try:
                framed = frame(bytes(message))
            except LocalProtocolError as error:
                raise LocalProtocolError(f"{self.path}: {error}") from None
            await self.outbox.send(framed)


class Deframe(Component):
    r"""Find the messages in a stream again.

    Inbox: ``inbox``, bytes, divided in any way. Outbox: ``outbox``, bytes, one message for each that `Frame`
    was given. A stream that is not in the format is a failure, `RemoteProtocolError`, as is one that ends in
    the middle of a message; with the formats `COBS` and `Resync` that is skipped instead, and counted in
    `skipped`.

    Arguments:
        format: how messages are told apart; `LengthPrefix()` if it is not given

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Deframe, Delimiter, Source
        >>> run(Source([b"one;tw", b"o;"]) | Deframe(Delimiter(b";")) | Collect())
        [b'one', b'two']
    """

    inbox = Inbox[bytes]("a stream of bytes", size="64 KiB")
    outbox = Outbox[bytes]("its messages")

    def __init__(self, format: FrameFormat | None = None) -> None:
        self._decoder = _checked(format, "Deframe").decoder()

    @property
    def skipped(self) -> int:
        """Bytes that were part of no good message."""
        return self._decoder.skipped

    async def main(self) -> None:
        async for data in self.inbox:
            check_bytes(self, data)
            self._decoder.feed(data)
            await self._send_frames()
        try:
            self._decoder.end()
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{self.path}: {error}") from None
        await self._send_frames()

    async def _send_frames(self) -> None:
        try:
            while (message := self._decoder.next_frame()) is not None:
                await self.outbox.send(message)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{self.path}: {error}") from None


def _checked(format: Any, who: str) -> FrameFormat:
    if format is None:
        return LengthPrefix()
    if not isinstance(format, FrameFormat):
        raise TypeError(f"{who}({shorten(format)}): give a format, such as LengthPrefix() or COBS()")
    return format


__all__ = [
    "COBS",
    "Deframe",
    "Delimiter",
    "Frame",
    "FrameDecoder",
    "FrameFormat",
    "LengthPrefix",
    "Resync",
    "stuff",
    "unstuff",
]
