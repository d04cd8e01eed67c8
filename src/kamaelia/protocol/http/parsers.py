"""Who takes the head of a message apart: h11, or httptools where that is installed.

What a head may look like is decided before, by the machines, with one grammar for both; so they need not
agree on what they would let pass, and a new release of either lets nothing new in. What either refuses is
refused. Framing, which says where a body ends, is the machines' too, and neither sees bodies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kamaelia.axon.errors import UsageError

Raw = list[tuple[bytes, bytes]]
Parse = Callable[[bytes], Raw]


class NotParsed(Exception):
    """The parser refuses the head, which the grammar has let pass."""


def choose_parser(name: str, responses: bool = False) -> Callable[[], Parse]:
    """Return what makes a parser of the heads of requests, or of responses: for ``"h11"``, ``"httptools"``,
    or ``"auto"``, the faster that is there.

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
            return lambda: (_HttptoolsOfResponses if responses else _Httptools)(httptools).parse
    try:
        import h11
    except ImportError:
        raise _missing("h11") from None
    return lambda: (_H11OfResponses if responses else _H11)(h11).parse


def _missing(library: str) -> UsageError:
    return UsageError(f"HTTP needs {library}, which is not installed: pip install 'kamaelia[http]'")


class _H11:
    def __init__(self, h11: Any) -> None:
        self._h11 = h11

    def parse(self, head: bytes) -> Raw:
        """Return the headers, in the order and the case in which they came."""
        connection = self._connect(len(head) + 1)
        connection.receive_data(head)
        try:
            event = connection.next_event()
        except self._h11.RemoteProtocolError as error:
            raise NotParsed(str(error)) from error
        return event.headers.raw_items()  # type: ignore[no-any-return]

    def _connect(self, most: int) -> Any:
        """Return a connection of h11's that waits for a head of so many bytes at most."""
        return self._h11.Connection(self._h11.SERVER, max_incomplete_event_size=most)


class _H11OfResponses(_H11):
    def _connect(self, most: int) -> Any:
        h11 = self._h11
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=most)
        # It knows no response without a request. This one allows any.
        connection.send(h11.Request(method="GET", target="/", headers=[("Host", ""), ("Upgrade", "any")]))
        connection.send(h11.EndOfMessage())
        return connection


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
        return _trimmed(headers, head)


class _HttptoolsOfResponses:
    """Takes a parser of httptools for each head, since that does not know what was asked for: it would wait
    for a body that the answer to HEAD does not have."""

    def __init__(self, httptools: Any) -> None:
        self._httptools = httptools
        self._heard = _Heard()

    def parse(self, head: bytes) -> Raw:
        """Return the headers, in the order and the case in which they came."""
        headers = self._heard.clear()
        try:
            self._httptools.HttpResponseParser(self._heard).feed_data(head)
        except self._httptools.HttpParserUpgrade:
            pass
        except self._httptools.HttpParserError as error:
            if not self._heard.complete:  # as it is before the pause behind 101, which is an error, too
                raise NotParsed(str(error)) from error
        return _trimmed(headers, head)


def _trimmed(headers: Raw, head: bytes) -> Raw:
    """Return what httptools has heard without the blanks behind values, which it leaves there."""
    if b" \r\n" in head or b"\t\r\n" in head:
        return [(name, value.rstrip(b" \t")) for name, value in headers]
    return headers


__all__ = ["NotParsed", "Parse", "Raw", "choose_parser"]
