r"""Values on a stream of bytes: numbers, texts, lists and what else a program works with.

A *format* says how values are written. Formats are pure: `ValueFormat.encoder` makes bytes of values, a
`ValueDecoder` finds the values again, however the stream was divided on its way, so no framing is needed.
`Serialise` and `Deserialise` are the components around them.

| format | a value on the wire | it carries |
| --- | --- | --- |
| `JSON` | JSON on a line of its own | None, bool, int, float, str, list, dict with str as keys |
| `MessagePack` | MessagePack (extra ``msgpack``) | the same, and bytes; a third to a half of the size |
| `CSV` | a row of RFC 4180 | lists of text, or with a header dicts of text |
| `UnsafePickle` | Python's pickle, with its length | nearly anything; **its writer can run any code here** |

Python's modules for these are imported where they are needed: together they take several milliseconds, and
most programs need none of them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kamaelia.axon import Component, Inbox, LocalProtocolError, Outbox, RemoteProtocolError, UsageError
from kamaelia.axon.arguments import check_bytes, check_whole
from kamaelia.axon.errors import shorten

from .framing import LONGEST, Delimiter, FrameDecoder, LengthPrefix


class ValueDecoder:
    """Finds values in a stream, in one format; made by `ValueFormat.decoder`.

    Example:
        >>> decoder = JSON().decoder()
        >>> list(decoder.feed(b'{"a": 1}\\n[2')), list(decoder.feed(b"]\\n")), list(decoder.end())
        ([{'a': 1}], [[2]], [])
    """

    def feed(self, data: bytes) -> Iterator[Any]:
        """Add a chunk, and yield the values that are complete. Raises `RemoteProtocolError` at a bad one."""
        raise NotImplementedError

    def end(self) -> Iterator[Any]:
        """Say that no more will come, and yield what is left; in the middle of a value that is an error."""
        raise NotImplementedError


@dataclass(frozen=True)
class ValueFormat:
    """How values are written on a stream."""

    longest: int = field(default=LONGEST, kw_only=True)
    """Bytes of the longest value that is taken."""

    def __post_init__(self) -> None:
        what = f"{type(self).__name__}(longest={shorten(self.longest)})"
        check_whole(what, self.longest, "the bytes of the longest value", 1)

    def encoder(self) -> Callable[[Any], bytes]:
        """Return a function that makes bytes of each value of one stream.

        It raises `LocalProtocolError` for a value that the format cannot carry.
        """
        raise NotImplementedError

    def decoder(self) -> ValueDecoder:
        """Return what finds the values of one stream."""
        raise NotImplementedError

    def _cannot_say(self, value: Any, error: Exception) -> LocalProtocolError:
        return LocalProtocolError(f"{type(self).__name__} cannot carry {shorten(value)}: {error}")

    def _cannot_read(self, data: Any, error: Exception) -> RemoteProtocolError:
        return RemoteProtocolError(f"this is no {type(self).__name__}: {shorten(data)}: {error}")


# -- JSON ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JSON(ValueFormat):
    r"""A value of JSON (RFC 8259) on each line, as in "JSON lines".

    Empty lines are passed over. Infinity and NaN are no JSON, so they are refused on both sides.

    Example:
        >>> say = JSON().encoder()
        >>> say({"name": "Zoë"})
        b'{"name":"Zo\xc3\xab"}\n'
    """

    def encoder(self) -> Callable[[Any], bytes]:
        import json

        dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

        def encode(value: Any) -> bytes:
            try:
                return dumps(value).encode() + b"\n"
            except (TypeError, ValueError, RecursionError) as error:
                raise self._cannot_say(value, error) from error

        return encode

    def decoder(self) -> ValueDecoder:
        return _JSONDecoder(self)


class _JSONDecoder(ValueDecoder):
    def __init__(self, format: JSON) -> None:
        import json

        self._format = format
        self._lines = Delimiter(b"\n", longest=format.longest).decoder()
        # As `json.loads` does it, which would make a new decoder for each line.
        self._encoding_of = json.detect_encoding
        self._loads = json.JSONDecoder(parse_constant=_refuse_constant).decode

    def feed(self, data: bytes) -> Iterator[Any]:
        self._lines.feed(data)
        while (line := self._lines.next_frame()) is not None:
            if line.strip():
                yield self._read(line)

    def end(self) -> Iterator[Any]:
        return self.feed(b"\n")  # the last line need not have an end of its own

    def _read(self, line: bytes) -> Any:
        try:
            return self._loads(line.decode(self._encoding_of(line), "surrogatepass"))
        except (ValueError, RecursionError) as error:
            raise self._format._cannot_read(line, error) from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


# -- MessagePack --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MessagePack(ValueFormat):
    r"""MessagePack, as the package ``msgpack`` writes it: ``pip install 'kamaelia[msgpack]'``.

    Example:
        >>> say = MessagePack().encoder()
        >>> say([1, "a"])
        b'\x92\x01\xa1a'
    """

    def encoder(self) -> Callable[[Any], bytes]:
        packb = _msgpack().packb

        def encode(value: Any) -> bytes:
            try:
                return bytes(packb(value))
            except (TypeError, ValueError, OverflowError) as error:
                raise self._cannot_say(value, error) from error

        return encode

    def decoder(self) -> ValueDecoder:
        return _MessagePackDecoder(self)


class _MessagePackDecoder(ValueDecoder):
    def __init__(self, format: MessagePack) -> None:
        self._format = format
        # Room for what is there of one value, and for a chunk that may end it and begin others.
        self._unpacker = _msgpack().Unpacker(max_buffer_size=2 * format.longest)
        self._fed = self._read = 0  # bytes; read are those of whole values

    def feed(self, data: bytes) -> Iterator[Any]:
        longest = self._format.longest
        for begin in range(0, len(data), longest):
            piece = data[begin : begin + longest]
            self._fed += len(piece)
            self._unpacker.feed(piece)
            while True:
                try:
                    value = next(self._unpacker)
                except StopIteration:
                    break
                except Exception as error:  # there is no base class of what may be wrong with the bytes
                    raise self._format._cannot_read(piece[:40], error) from error
                begun, self._read = self._read, self._unpacker.tell()
                self._check(self._read - begun)
                yield value
            self._check(self._fed - self._read)

    def _check(self, length: int) -> None:
        if length > self._format.longest:
            raise RemoteProtocolError(
                f"a value has more than MessagePack(longest={self._format.longest}) bytes"
            )

    def end(self) -> Iterator[Any]:
        left = self._fed - self._read
        if left:
            raise RemoteProtocolError(
                f"the stream has ended in the middle of a value, {left} bytes after its beginning"
            )
        yield from ()


def _msgpack() -> Any:
    try:
        import msgpack  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError("MessagePack() needs a package: pip install 'kamaelia[msgpack]'") from None
    return msgpack


# -- CSV ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CSV(ValueFormat):
    r"""Rows of text with commas between (RFC 4180), in UTF-8.

    A value is a list of text; with a header it is a dict, whose keys stand in the first row. Everything that
    is read is text; of what is written text is made with `str`, and of None nothing. Line ends within quotes
    are part of the text. Empty lines are passed over.

    Example:
        >>> say = CSV(header=True).encoder()
        >>> say({"name": "Ada", "said": "yes, no"})
        b'name,said\r\nAda,"yes, no"\r\n'
    """

    header: bool = False
    """Whether the first row has the names of the columns."""
    separator: str = ","
    """What is between two columns."""

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self.separator
        if not isinstance(given, str) or len(given) != 1 or given in '"\r\n':
            raise ValueError(f"CSV(separator={shorten(self.separator)}): give one character, such as ';'")

    def encoder(self) -> Callable[[Any], bytes]:
        names: list[str] | None = None

        def encode(value: Any) -> bytes:
            nonlocal names
            if not self.header:
                if not isinstance(value, (list, tuple)) or not value:
                    raise LocalProtocolError(
                        f"CSV() carries lists that are not empty, and not {shorten(value)}"
                    )
                return self._write(value, [value])
            if not isinstance(value, dict) or not value or (names is not None and value.keys() != set(names)):
                wanted = (
                    "dicts that are not empty" if names is None else f"dicts with the keys {', '.join(names)}"
                )
                raise LocalProtocolError(f"CSV(header=True) carries {wanted}, and not {shorten(value)}")
            if names is not None:
                return self._write(value, [[value[name] for name in names]])
            written = self._write(value, [list(value), list(value.values())])
            names = list(value)
            return written

        return encode

    def _write(self, value: Any, rows: list[Any]) -> bytes:
        import csv

        text = io.StringIO()
        try:
            csv.writer(text, delimiter=self.separator).writerows(rows)
            return text.getvalue().encode()
        except (csv.Error, ValueError) as error:
            raise self._cannot_say(value, error) from error

    def decoder(self) -> ValueDecoder:
        return _CSVDecoder(self)


class _CSVDecoder(ValueDecoder):
    def __init__(self, format: CSV) -> None:
        self._format = format
        self._row = bytearray()  # what has come of the present row
        self._quotes = 0  # in that: within quotes it is odd, as each that belongs to the text is doubled
        self._names: list[str] | None = None

    def feed(self, data: bytes) -> Iterator[Any]:
        # No other character of UTF-8 has the byte of a line feed or a quote in it.
        for piece in re.findall(rb"[^\n]*\n|[^\n]+", data):
            self._row += piece
            self._quotes += piece.count(b'"')
            if len(self._row) > self._format.longest + 2:
                raise RemoteProtocolError(f"a row has more than CSV(longest={self._format.longest}) bytes")
            if piece.endswith(b"\n") and self._quotes % 2 == 0:
                yield from self._finish()

    def end(self) -> Iterator[Any]:
        if self._row:
            yield from self._finish()

    def _finish(self) -> Iterator[Any]:
        """A row is complete: yield what it says."""
        import csv

        whole = bytes(self._row)
        self._row.clear()
        self._quotes = 0
        try:
            lines = io.StringIO(whole.decode(), newline="\n")
            rows = list(csv.reader(lines, delimiter=self._format.separator, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise self._format._cannot_read(whole[:80], error) from error
        if len(rows) > 1:
            stray = ValueError("a quote within a text has to be doubled, and the text to be in quotes")
            raise self._format._cannot_read(whole[:80], stray)
        for row in rows:
            if row:
                yield from self._named(row)

    def _named(self, row: list[str]) -> Iterator[Any]:
        if not self._format.header:
            yield row
        elif self._names is None:
            if len(set(row)) < len(row):
                raise RemoteProtocolError(f"two columns have the same name: {shorten(row)}")
            self._names = row
        elif len(row) != len(self._names):
            raise RemoteProtocolError(
                f"a row has {len(row)} columns, and its header has {len(self._names)}: {shorten(row)}"
            )
        else:
            yield dict(zip(self._names, row, strict=True))


# -- pickle -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UnsafePickle(ValueFormat):
    """Python's pickle, each with its length before it, for programs that trust each other.

    To read a pickle is to run what its writer wanted to have run. Never read one that somebody else could
    have written or changed: take `JSON` or `MessagePack` for these.

    Example:
        >>> say = UnsafePickle().encoder()
        >>> list(UnsafePickle().decoder().feed(say({1, 2})))
        [{1, 2}]
    """

    def encoder(self) -> Callable[[Any], bytes]:
        import pickle

        frame = LengthPrefix(longest=self.longest).frame

        def encode(value: Any) -> bytes:
            try:
                pickled = pickle.dumps(value, protocol=5)
            except Exception as error:  # the code of the value's own class may raise anything
                raise self._cannot_say(value, error) from error
            return frame(pickled)

        return encode

    def decoder(self) -> ValueDecoder:
        return _PickleDecoder(self)


class _PickleDecoder(ValueDecoder):
    def __init__(self, format: UnsafePickle) -> None:
        import pickle

        self._format = format
        self._frames: FrameDecoder = LengthPrefix(longest=format.longest).decoder()
        self._loads = pickle.loads

    def feed(self, data: bytes) -> Iterator[Any]:
        self._frames.feed(data)
        while (pickled := self._frames.next_frame()) is not None:
            try:
                value = self._loads(pickled)
            except Exception as error:  # as above
                raise self._format._cannot_read(pickled[:40], error) from error
            yield value

    def end(self) -> Iterator[Any]:
        self._frames.end()
        yield from ()


# -- the components -----------------------------------------------------------------------------------


class Serialise(Component):
    r"""Write values onto a stream of bytes.

    Inbox: ``inbox``, values. Outbox: ``outbox``, bytes. `Deserialise` is the way back. A value that the
    format cannot carry is a failure, `LocalProtocolError`.

    Arguments:
        format: how values are written; `JSON()` if it is not given

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Serialise, Source
        >>> run(Source([{"a": 1}, [2, None]]) | Serialise() | Collect())
        [b'{"a":1}\n', b'[2,null]\n']
    """

    inbox = Inbox[Any]("values")
    outbox = Outbox[bytes]("the same, as a stream")

    def __init__(self, format: ValueFormat | None = None) -> None:
        self._encode = _checked(format, "Serialise").encoder()

    async def main(self) -> None:
        async for value in self.inbox:
            try:
                written = self._encode(value)
            except LocalProtocolError as error:
                raise LocalProtocolError(f"{self.path}: {error}") from error.__cause__
            await self.outbox.send(written)


class Deserialise(Component):
    r"""Read values from a stream of bytes.

    Inbox: ``inbox``, bytes, divided in any way. Outbox: ``outbox``, the values that `Serialise` was given. A
    stream that is not in the format is a failure, `RemoteProtocolError`; what comes before that is sent.

    Arguments:
        format: how values are written; `JSON()` if it is not given

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import CSV, Collect, Deserialise, Source
        >>> run(Source([b"name,age\r\nAda,3", b"6\r\n"]) | Deserialise(CSV(header=True)) | Collect())
        [{'name': 'Ada', 'age': '36'}]
    """

    inbox = Inbox[bytes]("a stream of bytes", size="64 KiB")
    outbox = Outbox[Any]("its values")

    def __init__(self, format: ValueFormat | None = None) -> None:
        self._decoder = _checked(format, "Deserialise").decoder()

    async def main(self) -> None:
        async for data in self.inbox:
            check_bytes(self, data)
            await self._send(self._decoder.feed(bytes(data)))
        await self._send(self._decoder.end())

    async def _send(self, values: Iterator[Any]) -> None:
        while True:
            try:
                value = next(values)
            except StopIteration:
                return
            except RemoteProtocolError as error:
                raise RemoteProtocolError(f"{self.path}: {error}") from error.__cause__
            await self.outbox.send(value)


def _checked(format: Any, who: str) -> ValueFormat:
    if format is None:
        return JSON()
    if not isinstance(format, ValueFormat):
        raise TypeError(f"{who}({shorten(format)}): give a format, such as JSON() or CSV()")
    return format


__all__ = [
    "CSV",
    "JSON",
    "Deserialise",
    "MessagePack",
    "Serialise",
    "UnsafePickle",
    "ValueDecoder",
    "ValueFormat",
]
