"""Who takes the head of a request apart: h11, or httptools where that is installed.

What a head may look like is decided before, by `machine`, with one grammar for both; so they need not agree
on what they would let pass, and a new release of either lets nothing new in. What either refuses is refused.
Framing, which says where a body ends, is the machine's too, and neither sees bodies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kamaelia.axon.errors import UsageError

Raw = list[tuple[bytes, bytes]]
Parse = Callable[[bytes], Raw]


class NotParsed(Exception):
    """The parser refuses the head, which the grammar has let pass."""


def choose_parser(name: str) -> Callable[[], Parse]:
    """Return what makes a parser: for ``"h11"``, ``"httptools"``, or ``"auto"``, the faster that is there.

    Raises `UsageError` for another name, or when that library is missing.
    """
    if name not in ("auto", "h11", "httptools"):
        raise UsageError(f"parser={name!r}: there are 'h11' and 'httptools', and 'auto' takes the faster")
    if name != "h11":
        try:
            import httptools
        except ImportError:
            if name == "httptools":
                raise _missing("httptools") from None
        else:
            return lambda: _Httptools(httptools).parse
    try:
        import h11
    except ImportError:
        raise _missing("h11") from None
    return lambda: _H11(h11).parse


def _missing(library: str) -> UsageError:
    return UsageError(f"HTTP needs {library}, which is not installed: pip install 'kamaelia[http]'")


class _H11:
    def __init__(self, h11: Any) -> None:
        self._h11 = h11

    def parse(self, head: bytes) -> Raw:
        """Return the headers, in the order and the case in which they came."""
        h11 = self._h11
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=len(head) + 1)
        connection.receive_data(head)
        try:
            request = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise NotParsed(str(error)) from error
        return request.headers.raw_items()  # type: ignore[no-any-return]


class _Heard:
    """What a parser of httptools has found. It knows no parser: so both go when a connection does."""

    __slots__ = ("complete", "headers")

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        self.headers.append((name, value))

    def on_message_complete(self) -> None:
        """See httptools."""
        self.complete = True

    def clear(self) -> Raw:
        """Forget the last head; return where the headers of the next will be."""
        self.complete = False
        self.headers: Raw = []
        return self.headers


class _Httptools:
    """Keeps a parser of httptools as long as that waits for a head: after one that a body follows, or that
    would end the connection, it takes another."""

    def __init__(self, httptools: Any) -> None:
        self._httptools = httptools
        self._heard = _Heard()
        self._parser: Any = None

    def parse(self, head: bytes) -> Raw:
        """Return the headers, in the order and the case in which they came."""
        parser, heard = self._parser, self._heard
        if parser is None:
            parser = self._parser = self._httptools.HttpRequestParser(heard)
        headers = heard.clear()
        try:
            parser.feed_data(head)
        except self._httptools.HttpParserUpgrade:
            self._parser = None
        except self._httptools.HttpParserError as error:
            self._parser = None
            raise NotParsed(str(error)) from error
        else:
            if not heard.complete or not parser.should_keep_alive():
                self._parser = None
        if b" \r\n" in head or b"\t\r\n" in head:
            headers[:] = [(name, value.rstrip(b" \t")) for name, value in headers]
        return headers


__all__ = ["NotParsed", "Parse", "Raw", "choose_parser"]
