"""The headers of a message: names and values, in their order.

A name may be given in any case and is compared without it (RFC 9110, 5.1). A header may occur several times;
what is asked for by name is then the values joined by commas, as RFC 9110, 5.3 says that they may be read,
and `Headers.all` has them one by one (``Set-Cookie`` is the one that must not be joined).

Headers never change, since a message belongs to its receivers: `Headers.with_` and `Headers.without` make new
ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kamaelia.axon.errors import LocalProtocolError, shorten

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
# RFC 9110, 5.5: visible characters, spaces and tabs between them, and what Latin-1 has beyond ASCII.
VALUE = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")

_PARAMETER = re.compile(
    rf"[ \t]*;[ \t]*(?P<name>{TOKEN.pattern})="
    r"(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<plain>[^\s;\"]*))"
)

Given = Mapping[str, Any] | Iterable[tuple[str, Any]]


class Headers(Mapping[str, str]):
    """Names and values. A mapping by name, which also keeps what occurs twice, and the order.

    Arguments:
        given: a mapping, or pairs; values that are numbers are written as such, lists as several headers

    Raises `LocalProtocolError` for a name or value that would break out of its line, or is none.

    Example:
        >>> headers = Headers({"Content-Type": "text/plain", "set-cookie": ["a=1", "b=2"]})
        >>> headers["content-type"], headers.all("Set-Cookie"), "Accept" in headers
        ('text/plain', ['a=1', 'b=2'], False)
    """

    __slots__ = ("_index", "_pairs", "_raw")

    def __init__(self, given: Given = ()) -> None:
        self._raw: list[tuple[bytes, bytes]] | None = None
        self._index: dict[str, list[str]] | None = None
        self._pairs: list[tuple[str, str]] | None = [_checked(*pair) for pair in _spread(given)]

    @classmethod
    def from_wire(cls, raw: list[tuple[bytes, bytes]]) -> Headers:
        """Make headers of what a machine has parsed, and checked."""
        headers = cls.__new__(cls)
        headers._raw, headers._pairs, headers._index = raw, None, None
        return headers

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All of them, in order, with names as they were written. Not to be changed."""
        if self._pairs is None:
            assert self._raw is not None
            self._pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._raw]
        return self._pairs

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """All of them as bytes. Not to be changed."""
        if self._raw is None:
            assert self._pairs is not None
            self._raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._pairs]
        return self._raw

    def all(self, name: str) -> list[str]:
        """Return the values of each occurrence of a name; an empty list when there is none."""
        return list(self._by_name.get(name.lower(), ()))

    def with_(self, given: Given = (), /, **named: Any) -> Headers:
        """Return headers in which these stand in place of those of the same names.

        >>> Headers({"Age": 1, "Via": "x"}).with_({"age": 2}).pairs
        [('Via', 'x'), ('age', '2')]
        """
        new = [_checked(*pair) for pair in (*_spread(given), *_spread(named))]
        gone = {name.lower() for name, _ in new}
        return _made([*(pair for pair in self.pairs if pair[0].lower() not in gone), *new])

    def without(self, *names: str) -> Headers:
        """Return headers that lack some."""
        gone = {name.lower() for name in names}
        return _made([pair for pair in self.pairs if pair[0].lower() not in gone])

    def tokens(self, name: str) -> list[str]:
        """Return the parts of a list, in lower case: those of ``Connection: Keep-Alive, Upgrade``.

        >>> Headers([("Connection", "Keep-Alive, Upgrade")]).tokens("connection")
        ['keep-alive', 'upgrade']
        """
        values = self._by_name.get(name.lower())
        if not values:
            return []
        return [part for value in values for each in value.split(",") if (part := each.strip().lower())]

    @property
    def _by_name(self) -> dict[str, list[str]]:
        if self._index is None:
            self._index = {}
            for name, value in self.pairs:
                self._index.setdefault(name.lower(), []).append(value)
        return self._index

    def __getitem__(self, name: str) -> str:
        values = self._by_name[name.lower()]
        return values[0] if len(values) == 1 else ", ".join(values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._by_name == other._by_name
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.pairs,)

    def __repr__(self) -> str:
        return f"Headers({self.pairs!r})"


def _made(pairs: list[tuple[str, str]]) -> Headers:
    headers = Headers()
    headers._pairs = pairs
    return headers


def _spread(given: Given) -> Iterator[tuple[str, Any]]:
    """Give each occurrence by itself."""
    if isinstance(given, Headers):
        yield from given.pairs
        return
    for name, value in given.items() if isinstance(given, Mapping) else given:
        if isinstance(value, (list, tuple)):
            for one in value:
                yield name, one
        else:
            yield name, value


def _checked(name: Any, value: Any) -> tuple[str, str]:
    if not isinstance(name, str) or not TOKEN.fullmatch(name):
        raise LocalProtocolError(f"{shorten(name)} is no name of a header: it has letters, digits and -")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not VALUE.fullmatch(value):
        raise LocalProtocolError(
            f"the header {name} cannot have the value {shorten(value)}: give a line of text, without a line "
            "break, control characters, blanks at its ends, or what Latin-1 does not have"
        )
    return name, value


def with_parameters(value: str) -> tuple[str, dict[str, str]]:
    """Return the first word of a value, in lower case, and what is said with it.

    >>> with_parameters('Text/HTML; Charset="utf-8"')
    ('text/html', {'charset': 'utf-8'})
    """
    kind, semicolon, rest = value.partition(";")
    found: dict[str, str] = {}
    rest, at = semicolon + rest, 0
    while (match := _PARAMETER.match(rest, at)) is not None:
        quoted = match["quoted"]
        # Only what has to be escaped is: old browsers send whole paths, with backslashes.
        text = match["plain"] if quoted is None else re.sub(r'\\(["\\])', r"\1", quoted)
        found.setdefault(match["name"].lower(), text)
        at = match.end()
    return kind.strip().lower(), found
