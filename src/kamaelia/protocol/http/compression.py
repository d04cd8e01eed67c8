"""Bodies that are compressed on their way (RFC 9110, 8.4 and 12.5.3): ``gzip`` and ``deflate``.

What is sent is compressed if the client takes that, and it pays: text of some size. What the client gets then
has other bytes, and so another tag: a weak one. ``Vary`` tells caches that the answer depends on what was
asked for.

What comes may be a bomb: a few bytes that become gigabytes. So a `Decompressor` gives pieces of a bounded
size, one after the other, and refuses what grows beyond all reason.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from kamaelia.axon import Component, EndOfMessages, Inbox, Outbox, RemoteProtocolError
from kamaelia.axon.arguments import check_bytes, check_positive, check_whole
from kamaelia.axon.errors import shorten

from .conditional import weak
from .headers import Headers
from .messages import Request, Response
from .negotiation import choose_coding

CODINGS = ("gzip", "deflate")
"""Those that there are, the best first."""

LEAST = 1000  # bytes: what is shorter fits into one packet anyway
LEVEL = 6  # of zlib's effort, from 1 to 9
PIECE = 65536  # bytes that a decompressor gives at a time, at most
RATIO = 250  # to which so many bytes something may grow; zlib comes to a little more than 1000
GRACE = 1024 * 1024  # bytes to which anything may grow
LAYERS = 3  # codings of one body, one upon the other

_BITS = {"gzip": 31, "deflate": 15}  # zlib's name for the two formats
_RAW = -15  # deflate without the head that it is to have: some send it so
_NAMES = {"x-gzip": "gzip", "x-deflate": "deflate"}

_COMPRESSED_APPLICATIONS = frozenset(
    f"application/{name}"
    for name in (
        "ecmascript", "graphql", "javascript", "json", "jsonl", "manifest+json", "rtf", "sql", "toml",
        "vnd.apple.mpegurl", "vnd.ms-fontobject", "wasm", "x-javascript", "x-ndjson", "x-sh", "x-tar",
        "x-www-form-urlencoded", "xml", "yaml",
    )
)  # fmt: skip
_COMPRESSED_OTHERS = frozenset({"font/otf", "font/ttf", "image/bmp", "image/svg+xml", "image/x-icon"})


def is_compressible(kind: str | None) -> bool:
    """Say whether content of a type gets smaller: text does, pictures and films have been compressed.

    >>> is_compressible("text/html; charset=utf-8"), is_compressible("image/png"), is_compressible(None)
    (True, False, False)
    """
    plain = (kind or "").partition(";")[0].strip().lower()
    return (
        plain.startswith("text/")
        or plain in _COMPRESSED_APPLICATIONS
        or plain in _COMPRESSED_OTHERS
        or plain.endswith(("+json", "+xml", "+text"))
    )


def codings_of(headers: Headers) -> list[str]:
    """Return how a body is compressed, in the order in which that was done.

    >>> codings_of(Headers({"Content-Encoding": "X-GZip, identity"}))
    ['gzip']
    """
    return [_NAMES.get(one, one) for one in headers.tokens("content-encoding") if one != "identity"]


def compressed(request: Request, response: Response, *, least: int = LEAST, level: int = LEVEL) -> Response:
    """Return a response as its client is to get it: compressed, if the client takes that, and it pays.

    A body of bytes is compressed at once. A component goes on to send what it sends, through a `Compress`. A
    response is returned as it was if it is a part of something, has been compressed, or forbids it
    (``Cache-Control: no-transform``).

    A page that shows both a secret and what the client has sent tells the secret by its length, when it is
    compressed (this is called BREACH): say ``no-transform`` there.

    Arguments:
        request: which is answered
        response: the answer
        least: bytes, from which on it pays
        level: of effort, from 1 to 9

    Example:
        >>> request = Request("GET", "/", Headers({"Accept-Encoding": "gzip"}))
        >>> answer = compressed(request, Response("tea " * 1000))
        >>> answer.headers["Content-Encoding"], answer.headers["Vary"], len(answer.body) < 100
        ('gzip', 'Accept-Encoding', True)
    """
    headers, body = response.headers, response.body
    is_whole = isinstance(body, (bytes, bytearray, memoryview))
    if (
        not is_compressible(response.type)
        or response.status < 200
        or response.status in (204, 206, 304)
        or "content-encoding" in headers
        or "content-range" in headers
        or "no-transform" in headers.tokens("cache-control")
        or (is_whole and len(body) < least)
        or not (is_whole or isinstance(body, Component))
    ):
        return response
    headers = _varying(headers)
    coding = choose_coding(request.headers.get("accept-encoding"), CODINGS)
    if coding is None:
        return response.with_(headers=headers)
    headers = headers.without("content-length", "accept-ranges").with_({"Content-Encoding": coding})
    if "etag" in headers:
        headers = headers.with_({"ETag": weak(headers["etag"])})
    if isinstance(body, Component):
        return response.with_(body=body | Compress(coding, level=level), headers=headers)
    machine = Compressor(coding, level)
    return response.with_(body=machine.feed(body) + machine.end(), headers=headers)


def _varying(headers: Headers) -> Headers:
    if {"accept-encoding", "*"} & set(headers.tokens("vary")):
        return headers
    return headers.with_({"Vary": ", ".join([*headers.all("vary"), "Accept-Encoding"])})


class Compressor:
    """Compresses a body as it comes.

    Arguments:
        coding: ``"gzip"`` or ``"deflate"``
        level: of effort, from 1 to 9
    """

    def __init__(self, coding: str, level: int = LEVEL) -> None:
        self._zlib = zlib.compressobj(level, wbits=_BITS[coding])

    def feed(self, data: bytes) -> bytes:
        """Take some more, and return what can be sent by now; often nothing."""
        return self._zlib.compress(data)

    def flush(self) -> bytes:
        """Return all that was taken and not returned yet, so that the other side can read up to here."""
        return self._zlib.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        """Return what ends it."""
        return self._zlib.flush()


class Decompressor:
    """Takes a compressed body as it comes, and gives it as it was.

    Raises `RemoteProtocolError` for what is not compressed so, what is cut off, and what grows too much; when
    it is made, for a coding that there is not.

    Arguments:
        codings: in the order in which it was compressed, see `codings_of`
        most: bytes that it may become; None for any number
        ratio: how many times as long as what has come it may become, beyond a megabyte

    Example:
        >>> machine = Decompressor(["gzip"])
        >>> sender = Compressor("gzip")
        >>> pieces = [*machine.feed(sender.feed(b"tea") + sender.end())]
        >>> machine.end()
        >>> pieces
        [b'tea']
    """

    def __init__(self, codings: list[str], *, most: int | None = None, ratio: float = RATIO) -> None:
        if len(codings) > LAYERS:
            raise RemoteProtocolError(f"the body is compressed {len(codings)} times: {LAYERS} is the most")
        for coding in codings:
            if coding not in _BITS:
                raise RemoteProtocolError(
                    f"the body is compressed with {shorten(coding)}: what can be read is {', '.join(CODINGS)}"
                )
        self._layers = [_Layer(coding, ratio) for coding in reversed(codings)]
        self._most = most
        self._amount = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take some more, and give what it becomes, in pieces of a bounded size.

        All of them have to be taken before there is more.
        """
        pieces: Iterator[bytes] = iter([data])
        for layer in self._layers:
            pieces = layer.feed(pieces)
        for piece in pieces:
            self._amount += len(piece)
            if self._most is not None and self._amount > self._most:
                raise RemoteProtocolError(f"the body is more than {self._most} bytes, decompressed")
            yield piece

    def end(self) -> None:
        """Say that nothing more will come."""
        for layer in self._layers:
            layer.end()


class _Layer:
    """Undoes one compression."""

    def __init__(self, coding: str, ratio: float) -> None:
        self._coding = coding
        self._ratio = ratio
        self._zlib: Any = None  # from the first byte on
        self._taken = 0
        self._given = 0

    def feed(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for data in pieces:
            self._taken += len(data)
            while data:
                if self._zlib is None or self._zlib.eof:
                    self._begin(data)
                try:
                    piece = self._zlib.decompress(data, PIECE)
                except zlib.error as error:
                    raise RemoteProtocolError(f"the body is no {self._coding}: {error}") from None
                data = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
                if not piece:
                    continue
                yield self._counted(piece)
            while len(piece := self._rest()):
                yield self._counted(piece)

    def _rest(self) -> bytes:
        """Return what zlib has made, but had no room for, of bytes that it has taken."""
        if self._zlib is None or self._zlib.eof:
            return b""
        try:
            return bytes(self._zlib.decompress(b"", PIECE))
        except zlib.error as error:
            raise RemoteProtocolError(f"the body is no {self._coding}: {error}") from None

    def _begin(self, data: bytes) -> None:
        """Begin it, or another one behind it: a gzip file may be several, one after the other."""
        if self._zlib is not None and self._coding != "gzip":
            raise RemoteProtocolError("something follows the compressed body")
        is_raw = self._coding == "deflate" and data[0] & 0x0F != 8  # 8 is what zlib's head begins with
        self._zlib = zlib.decompressobj(_RAW if is_raw else _BITS[self._coding])

    def _counted(self, piece: bytes) -> bytes:
        self._given += len(piece)
        if self._given > max(GRACE, self._taken * self._ratio):
            raise RemoteProtocolError(
                f"{self._taken} bytes of the body become more than {self._given}: it grows more than "
                f"{self._ratio:g} times"
            )
        return piece

    def end(self) -> None:
        if self._zlib is not None and not self._zlib.eof:
            raise RemoteProtocolError(f"the body is cut off: its {self._coding} has no end")


def _check_coding(what: str, coding: Any) -> None:
    if coding not in _BITS:
        raise ValueError(f"{what}: give one of {', '.join(map(repr, CODINGS))}")


class Compress(Component):
    """Compress bytes as they pass.

    Inbox: ``inbox``, bytes; text is taken as UTF-8. Outbox: ``outbox``, the same compressed. What has come is
    passed on at once when nothing more waits to be compressed, so it holds back nothing that somebody is
    waiting for.

    It ends when its inbox does; then the compressed bytes have their end. When what feeds it fails they have
    none, so that nobody takes what has come for everything. At a stop it finishes what it was sent.

    Arguments:
        coding: ``"gzip"`` or ``"deflate"``
        level: of effort, from 1 to 9

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source
        >>> run(Source([b"tea ", b"and milk"]) | Compress("gzip") | Decompress("gzip") | Collect())
        [b'tea and milk']
    """

    inbox = Inbox[Any]("bytes, or text")
    outbox = Outbox[bytes]("the same compressed")

    def __init__(self, coding: str = "gzip", *, level: int = LEVEL) -> None:
        _check_coding(f"Compress({shorten(coding)})", coding)
        check_whole(f"Compress(level={shorten(level)})", level, "how much effort, from 1 to 9", 1)
        if level > 9:
            raise ValueError(f"Compress(level={level}): give how much effort, from 1 to 9")
        self.coding = coding
        self.level = level

    async def main(self) -> None:
        machine = Compressor(self.coding, self.level)
        waiting = self.inbox.queue.__len__
        while True:
            try:
                message = await self.inbox.receive()
            except EndOfMessages:
                break
            if isinstance(message, str):
                message = message.encode()
            check_bytes(self, message)
            data = machine.feed(message)
            if not waiting():
                data += machine.flush()
            if data:
                await self.outbox.send(data)
        await self.outbox.send(machine.end())


class Decompress(Component):
    """Undo a compression, as bytes pass.

    Inbox: ``inbox``, compressed bytes. Outbox: ``outbox``, what they were, in pieces of at most 64 KiB.

    It ends when its inbox does. It fails with `RemoteProtocolError` when what comes is not compressed so, is
    cut off, or grows too much. When what feeds it fails, so has what it sends. At a stop it finishes what it
    was sent.

    Arguments:
        coding: ``"gzip"`` or ``"deflate"``
        most: bytes that it may become; None for any number
        ratio: how many times as long as what has come it may become, beyond a megabyte

    Example:
        >>> import gzip
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source
        >>> run(Source([gzip.compress(b"tea")]) | Decompress("gzip") | Collect())
        [b'tea']
    """

    inbox = Inbox[bytes]("compressed bytes")
    outbox = Outbox[bytes]("what they were")

    def __init__(self, coding: str = "gzip", *, most: int | None = None, ratio: float = RATIO) -> None:
        _check_coding(f"Decompress({shorten(coding)})", coding)
        if most is not None:
            check_whole(f"Decompress(most={shorten(most)})", most, "how many bytes it may become", 0)
        check_positive(f"Decompress(ratio={shorten(ratio)})", ratio, "how many times it may grow")
        self.coding = coding
        self.most = most
        self.ratio = ratio

    async def main(self) -> None:
        machine = Decompressor([self.coding], most=self.most, ratio=self.ratio)
        try:
            async for data in self.inbox:
                check_bytes(self, data)
                for piece in machine.feed(data):
                    await self.outbox.send(piece)
            machine.end()
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{self.path}: {error}") from error


__all__ = [
    "CODINGS",
    "Compress",
    "Compressor",
    "Decompress",
    "Decompressor",
    "codings_of",
    "compressed",
    "is_compressible",
]
