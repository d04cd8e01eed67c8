"""Parts of something: ``Range: bytes=0-99`` and what answers it (RFC 9110, 14).

A request for ranges may always be answered with the whole (14.2), and is whenever it is not understood, or
looks like an attempt to make much work of a few bytes: more than `MOST` ranges. Those that overlap, or lie so
close that the head of another part would cost more than the gap, are made one. One range is answered by its
bytes, several by ``multipart/byteranges``.

All here are functions of their arguments. Positions count bytes from 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

MOST = 16  # ranges in one request
GAP = 80  # bytes between two ranges that are sent rather than the head of another part
DIGITS = 100  # of a number: no file is so large, and to read long ones takes time

_SPEC = re.compile(rf"(?P<first>[0-9]{{0,{DIGITS}}})-(?P<last>[0-9]{{0,{DIGITS}}})")


class Span(NamedTuple):
    """A piece of something: the bytes from one position up to another."""

    start: int
    """Of its first byte."""
    stop: int
    """Behind its last byte; more than ``start``."""

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return self.stop - self.start


def parse_range(value: str, size: int, *, most: int = MOST) -> list[Span] | None:
    """Return which pieces a ``Range`` header asks for; none if there are no such; None to send everything.

    Arguments:
        value: of the header
        size: bytes that there are
        most: ranges beyond which all are ignored

    >>> parse_range("bytes=0-4,-2", 1000)
    [Span(start=0, stop=5), Span(start=998, stop=1000)]
    >>> parse_range("bytes=1000-", 1000)
    []
    >>> parse_range("lines=1-2", 1000)
    """
    unit, _, given = value.partition("=")
    if unit.strip().lower() != "bytes" or not size:
        return None  # some clients add a range to everything: of nothing, they get all of it
    specs = [spec for part in given.split(",", most + 1) if (spec := part.strip(" \t"))]
    if not specs or len(specs) > most:
        return None
    spans = []
    for spec in specs:
        found = _SPEC.fullmatch(spec)
        if found is None or spec == "-":
            return None
        first, last = found["first"], found["last"]
        if not first:
            start, stop = max(size - int(last), 0), size
        else:
            start, stop = int(first), min(int(last) + 1, size) if last else size
            if last and int(last) < start:
                return None
        if start < stop:
            spans.append(Span(start, stop))
    return coalesced(spans)


def coalesced(spans: list[Span]) -> list[Span]:
    """Make one of those that overlap or nearly touch; where there are none, keep the order (15.3.7.2).

    >>> coalesced([Span(500, 600), Span(0, 10), Span(550, 650)])
    [Span(start=0, stop=10), Span(start=500, stop=650)]
    """
    merged: list[Span] = []
    for span in sorted(spans):
        before = merged[-1] if merged else None
        if before is not None and span.start - before.stop <= GAP:
            merged[-1] = Span(before.start, max(before.stop, span.stop))
        else:
            merged.append(span)
    return merged if len(merged) < len(spans) else spans


def content_range(span: Span | None, size: int) -> str:
    """Return the value of ``Content-Range`` for a piece; None stands for there being no such (416).

    >>> content_range(Span(0, 5), 1000), content_range(None, 1000)
    ('bytes 0-4/1000', 'bytes */1000')
    """
    if span is None:
        return f"bytes */{size}"
    return f"bytes {span.start}-{span.stop - 1}/{size}"


class ByteRanges:
    """What surrounds several pieces in one ``multipart/byteranges`` (14.6).

    Arguments:
        spans: the pieces
        size: bytes of the whole
        type: of the whole; None if nobody knows
        boundary: a text that does not occur in the whole, letters and digits

    Example:
        >>> parts = ByteRanges([Span(0, 1), Span(500, 502)], 1000, None, "x")
        >>> parts.type, parts.length
        ('multipart/byteranges; boundary=x', 94)
        >>> parts.heads[0], parts.end
        (b'--x\\r\\nContent-Range: bytes 0-0/1000\\r\\n\\r\\n', b'\\r\\n--x--\\r\\n')
    """

    def __init__(self, spans: Sequence[Span], size: int, type: str | None, boundary: str) -> None:
        self.spans = spans
        self.type = f"multipart/byteranges; boundary={boundary}"
        """For ``Content-Type``."""
        kind = f"Content-Type: {type}\r\n" if type else ""
        self.heads = [
            f"{before}--{boundary}\r\n{kind}Content-Range: {content_range(span, size)}\r\n\r\n".encode(
                "latin-1"
            )
            for before, span in zip(["", *["\r\n"] * (len(spans) - 1)], spans, strict=True)
        ]
        """What goes before each piece."""
        self.end = f"\r\n--{boundary}--\r\n".encode()
        """What comes after the last one."""

    @property
    def length(self) -> int:
        """How many bytes it is altogether."""
        return sum(map(len, self.heads)) + sum(span.length for span in self.spans) + len(self.end)


__all__ = ["ByteRanges", "Span", "coalesced", "content_range", "parse_range"]
