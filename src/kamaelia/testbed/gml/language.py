"""GML as such, whatever its names mean: text into pairs of names and values, and back.

GML (M. Himsolt, "GML: A portable Graph File Format", University of Passau, 1997) is lists of pairs: a name,
and a value, which is a number, text in quotation marks, or a list in brackets::

    graph [
      node [ id 0 label "server" ]
      node [ id 1 label "phone" ]
      edge [ source 0 target 1 delay "80 ms" loss 0.05 ]   # a comment
    ]

What does not follow Himsolt's grammar is refused, with line and column. Beyond it, as most programs do, we
take names with ``_``, comments that follow something on their line, whole numbers of up to 64 bits instead of
32, exponents without a point (``1e-5``), lines of any length, and text in UTF-8. What is written is ASCII: in
text, ``"``, ``&`` and what is no printable ASCII becomes a character reference of HTML, ``&quot;`` or
``&#252;``. A number has one form, too: that of Python, with a point if it is not whole (``1.0e-07``).
"""

from __future__ import annotations

import html.entities
import math
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from ...axon import UsageError

DEEPEST = 100  # lists within lists


class Attribute(NamedTuple):
    """One pair of GML."""

    key: str
    """Its name."""
    value: Value
    """A number, text, or a list."""
    at: int
    """Where it stands: the place of its name in the text."""


Value = int | float | str | tuple[Attribute, ...]
"""What may follow a name."""

_TOKEN = re.compile(
    r"""\s*(?:\#.*\s*)*
    (?: (?P<key> [A-Za-z]\w*+ (?![^\s\["\#\]]) )
      | (?P<number> [+-]? (?: \d+\.?\d* | \.\d+ ) (?: [Ee][+-]?\d+ )? (?![^\s\]\#]) )
      | (?P<text> "[^"]*" )
      | (?P<open> \[ )
      | (?P<close> \] )
      | (?P<end> \Z )
      | (?P<other> . )
    )""",
    re.VERBOSE | re.ASCII,
)
_WORD = re.compile(r"\S{1,30}", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_REFERENCE = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]*));", re.ASCII)
_ESCAPED = re.compile(r"[^ !#-%\'-~]")  # ", & and what is no printable ASCII
_NAMED = {'"': "&quot;", "&": "&amp;"}


class Source:
    """A text, and what it is called in errors."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name

    def error(self, at: int, message: str) -> UsageError:
        """Return the error that something is wrong at a place in the text."""
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        return UsageError(f"{self.name}, line {line}, column {column}: {message}")


def parse_gml(text: str, name: str = "GML") -> tuple[Attribute, ...]:
    """Return what stands in a text of GML.

    Arguments:
        text: the whole of it
        name: what errors call it, such as the name of a file

    Raises `UsageError` for what is no GML, with line and column.

    Example:
        >>> from kamaelia.testbed.gml import parse_gml
        >>> parse_gml('id 7 label "this &amp; that"')
        (Attribute(key='id', value=7, at=0), Attribute(key='label', value='this & that', at=5))
        >>> parse_gml("graph [ node [ id 0 ]")
        Traceback (most recent call last):
        ...
        kamaelia.axon.errors.UsageError: GML, line 1, column 7: this [ is never closed
    """
    if not isinstance(text, str):
        raise UsageError(f"parse_gml({text!r}): give the text")
    source = Source(text, name)
    outer: list[tuple[list[Attribute], str, int, int]] = []  # lists that are open, and where
    inner: list[Attribute] = []
    key: str | None = None
    key_at = position = 0
    while True:
        match = _TOKEN.match(text, position)
        assert match is not None and match.lastgroup is not None, "one of them always fits"
        kind, word, at = match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)
        position = match.end()
        if key is None:
            if kind == "key":
                key, key_at = word, at
            elif kind == "close" and outer:
                value: Value = tuple(inner)
                inner, name, name_at, _ = outer.pop()
                inner.append(Attribute(name, value, name_at))
            elif kind == "end" and not outer:
                return tuple(inner)
            elif kind == "end":
                raise source.error(outer[-1][3], "this [ is never closed")
            elif kind == "close":
                raise source.error(at, "this ] closes nothing")
            else:
                raise source.error(at, f"{_shown(text, at)}: here the name of an attribute is expected")
        elif kind == "number":
            inner.append(Attribute(key, _number(source, word, at), key_at))
            key = None
        elif kind == "text":
            inner.append(Attribute(key, _unescaped(source, word[1:-1], at + 1), key_at))
            key = None
        elif kind == "open":
            if len(outer) == DEEPEST:
                raise source.error(at, f"lists within lists, more than {DEEPEST} deep")
            outer.append((inner, key, key_at, at))
            inner, key = [], None
        elif word == '"':
            raise source.error(at, "this text is never closed: a quotation mark is missing")
        else:
            raise source.error(
                key_at,
                f"{key} has no value: write a number, text in quotation marks, or [ ... ]"
                + (f", not {_shown(text, at)}" if word else ""),
            )


def _shown(text: str, at: int) -> str:
    """Return what stands somewhere, for people."""
    match = _WORD.match(text, at)
    return repr(match[0] if match else "")


def _number(source: Source, word: str, at: int) -> int | float:
    if _INTEGER.fullmatch(word):
        digits = word.lstrip("+-").lstrip("0")
        if len(digits) <= 19 and -(2**63) <= (number := int(word)) < 2**63:
            return number
        raise source.error(at, f"{word[:30]}: whole numbers have at most 64 bits; write it as text")
    real = float(word)
    if math.isinf(real):
        raise source.error(at, f"{word[:30]}: this number is too large")
    return real


def _unescaped(source: Source, text: str, at: int) -> str:
    """Replace what stands for characters in a text."""
    if "&" not in text:
        return text
    parts: list[str] = []
    done = 0
    while (start := text.find("&", done)) >= 0:
        match = _REFERENCE.match(text, start)
        character = None if match is None else _character(*match.groups())
        if match is None or character is None:
            raise source.error(
                at + start, "& begins a character reference, such as &quot; or &#252;; for itself write &amp;"
            )
        parts += text[done:start], character
        done = match.end()
    return "".join((*parts, text[done:]))


def _character(decimal: str | None, hexadecimal: str | None, name: str | None) -> str | None:
    if name is not None:
        return html.entities.html5.get(f"{name};")
    code = int(decimal) if decimal is not None else int(hexadecimal or "0", 16)
    return chr(code) if code < 0xD800 or 0xDFFF < code <= 0x10FFFF else None


def format_gml(attributes: Iterable[tuple[Any, ...]]) -> str:
    """Return pairs as text: each on a line of its own, and two blanks for each level of lists.

    Arguments:
        attributes: names and values; what follows in a tuple does not matter, so what `parse_gml` has
            returned may be given. Truth values are written as 1 and 0

    Raises `UsageError` for names and values that GML has not.

    Example:
        >>> from kamaelia.testbed.gml import format_gml
        >>> print(format_gml([("graph", [("label", 'a "b"'), ("x", 0.5), ("empty", [])])]), end="")
        graph [
          label "a &quot;b&quot;"
          x 0.5
          empty [
          ]
        ]
    """
    lines: list[str] = []
    _write(attributes, 0, lines)
    return "".join(lines)


def _write(attributes: Iterable[tuple[Any, ...]], level: int, lines: list[str]) -> None:
    if level > DEEPEST:
        raise UsageError(f"lists within lists, more than {DEEPEST} deep")
    indent = "  " * level
    for key, value, *_ in attributes:
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z]\w*", key, re.ASCII):
            raise UsageError(f"{key!r}: names in GML are of letters, digits and _, and begin with a letter")
        if isinstance(value, str):
            lines.append(f'{indent}{key} "{_escaped(value)}"\n')
        elif isinstance(value, int):
            if not -(2**63) <= value < 2**63:
                raise UsageError(f"{key}={value!r}: whole numbers in GML have at most 64 bits; give text")
            lines.append(f"{indent}{key} {int(value)}\n")
        elif isinstance(value, float):
            lines.append(f"{indent}{key} {_real(key, value)}\n")
        elif isinstance(value, Iterable):
            lines.append(f"{indent}{key} [\n")
            _write(value, level + 1, lines)
            lines.append(f"{indent}]\n")
        else:
            raise UsageError(f"{key}={value!r}: values in GML are numbers, text, and lists of pairs")


def _escaped(text: str) -> str:
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise UsageError(f"{text!r}: half a character (a surrogate) cannot be written")
    return _ESCAPED.sub(lambda match: _NAMED.get(match[0]) or f"&#{ord(match[0])};", text)


def _real(key: str, value: float) -> str:
    if not math.isfinite(value):
        raise UsageError(f"{key}={value!r}: numbers in GML are finite")
    mantissa, mark, exponent = repr(float(value)).partition("e")
    return mantissa + ("" if "." in mantissa else ".0") + mark + exponent
