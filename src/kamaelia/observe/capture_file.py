"""The file of a capture, version 1: what stands in it, how values are written, and how it is read.

Theory
------
A file is a row of JSON objects, each on a line of its own (ASCII, at most 64 KiB). One with ``size`` has a
payload: so many bytes follow its line, and then a line end that does not count. The first is the header::

    {
        "kamaelia_capture": 1,
        "program": "chat.py",
        "seed": "7",
        "core": "compiled core, uvloop",
        "calendar": 1789000000.25,
        "virtual": false,
    }

Times ``t`` are whole nanoseconds of the system's clock since the header was written, ``at`` names boxes by
their numbers. What comes after the header is

| line | what it says |
| --- | --- |
| ``{"box": 1, "path": "row/Map.inbox", "direction": "in"}`` | from now on 1 is this box |
| ``{"t": 5, "at": [1, 2], "kind": "text", "size": 5}`` | a message passed these boxes, in this order |
| ``{"t": 5, "at": [1], "kind": "refused", "type": "m.Lock", "why": "..."}`` | one that was not kept |
| ``{"t": 6, "lost": 12}`` | that many passed, and were not kept: they came too fast for the disk |
| ``{"t": 7, "end": 1, "failed": "..."}`` | nothing more will pass this box; ``failed``: null, or with what |
| ``{"t": 9, "over": {"messages": 2, "refused": 1, "lost": 12}}`` | the last line: the capture was closed |

A file without the last line is one that is being written, or of a program that was killed: what is there can
be read, up to where it is torn. Lines of other names are passed over, so new ones may come without a new
version; the version changes when one of these goes or means something else.

Kinds of payload: ``bytes`` as they are; ``text`` in UTF-8 (lone surrogates, too); ``pickle``; and ``json``,
in which an object with one name that begins with ``$`` stands for what JSON has no word for:

| JSON | value |
| --- | --- |
| ``{"$tuple": [1, 2]}``, also ``$set``, ``$frozenset`` | these collections |
| ``{"$dict": [[1, "a"]]}`` | a dict whose keys are not all texts, or begin with ``$`` |
| ``{"$bytes": "aGk="}``, ``{"$bytearray": ...}`` | base64 |
| ``{"$float": "nan"}``, also ``inf``, ``-inf`` | floats that are no numbers |
| ``{"$int": "0x..."}`` | integers of more than 64 bits |
| ``{"$object": ["Point", {"x": 1}]}`` | a value of a class that was named: dataclass, NamedTuple |
| ``{"$enum": ["Colour", "RED"]}`` | a member of an Enum that was named |

A class is named by whoever writes and by whoever reads, and known in the file by its qualified name without
the module, which is another when a program is run than when it is imported. So reading a file makes nothing
but plain values and what the reader has named; and nothing is unpickled unless that is asked for.
"""

from __future__ import annotations

import base64
import enum
import json
import os
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from typing import Any, BinaryIO

from kamaelia.axon import KamaeliaError, UsageError
from kamaelia.axon.errors import shorten

VERSION = 1
MOST_LINE = 64 * 1024  # bytes
MOST_DEPTH = 100  # of values in values
MOST_WHY = 200  # letters of an error that are kept


class CaptureError(KamaeliaError, ValueError):
    """A file that is no capture, or that holds what may not, or cannot, be read."""


class Refused(Exception):
    """A value that cannot be kept."""


@dataclass(frozen=True)
class Captured:
    """One message of a capture."""

    time: float
    """Seconds since the capture began, on the clock of the system."""
    boxes: tuple[str, ...]
    """The boxes that it passed at once, each as ``path.box``, in this order."""
    message: Any
    """The message."""


# -- values ---------------------------------------------------------------------------------------------


class Values:
    """Writes messages as payloads, and reads them.

    Arguments:
        types: classes whose values may be written and read: dataclasses, NamedTuples, Enums
        pickles: whether what has no other form is pickled, or may be unpickled

    >>> values = Values()
    >>> values.write(("a", {1: b"b"}))
    ('json', b'{"$tuple":["a",{"$dict":[[1,{"$bytes":"Yg=="}]]}]}')
    >>> values.read(*values.write(("a", {1: b"b"})))
    ('a', {1: b'b'})
    """

    def __init__(self, types: Iterable[type] = (), pickles: bool = False) -> None:
        self.pickles = pickles
        self._types: dict[str, type] = {}
        for one in types:
            self._add(one)

    def _add(self, one: Any) -> None:
        if not isinstance(one, type) or not (_is_record(one) or issubclass(one, enum.Enum)):
            raise UsageError(
                f"types={shorten(one)}: name classes, and of these dataclasses, NamedTuples or Enums; "
                "anything else can be kept with pickle=True"
            )
        other = self._types.setdefault(one.__qualname__, one)
        if other is not one:
            raise UsageError(
                f"types: two classes are called {one.__qualname__}, in {other.__module__} and "
                f"{one.__module__}; in a file they cannot be told apart"
            )

    def write(self, message: Any) -> tuple[str, bytes]:
        """Return the kind of payload that a message becomes, and the payload. Raises `Refused`."""
        kind = type(message)
        if kind is bytes:
            return "bytes", message
        if kind is str:
            return "text", message.encode("utf-8", "surrogatepass")
        if kind is memoryview:  # it comes back as bytes
            return "bytes", bytes(message)
        try:
            plain = self._plain(message, 0)
        except Refused as refused:
            if not self.pickles:
                raise
            try:
                return "pickle", pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
            except Exception as error:  # of whatever is in the message
                raise Refused(f"{refused}; nor can it be pickled: {_on_one_line(error)}") from None
        return "json", json.dumps(plain, separators=(",", ":"), allow_nan=False).encode()

    def _plain(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            return value if value.bit_length() <= 64 else {"$int": hex(value)}
        if kind is float:
            return value if isfinite(value) else {"$float": repr(value)}
        if kind is bytes or kind is bytearray:
            return {f"${kind.__name__}": base64.b64encode(value).decode()}
        if depth >= MOST_DEPTH:
            raise Refused(f"values are in it more than {MOST_DEPTH} deep")
        if kind is list:
            return [self._plain(one, depth + 1) for one in value]
        if kind in (tuple, set, frozenset):
            return {f"${kind.__name__}": [self._plain(one, depth + 1) for one in value]}
        if kind is dict:
            if all(type(key) is str and not key.startswith("$") for key in value):
                return {key: self._plain(one, depth + 1) for key, one in value.items()}
            pairs = [[self._plain(key, depth + 1), self._plain(one, depth + 1)] for key, one in value.items()]
            return {"$dict": pairs}
        if self._types.get(kind.__qualname__) is not kind:
            hint = "name its class in types=[...], or ask for pickle=True"
            raise Refused(f"{_name(kind)} has no plain form: {hint}")
        if issubclass(kind, enum.Enum):
            return {"$enum": [kind.__qualname__, value.name]}
        values = {name: self._plain(getattr(value, name), depth + 1) for name in _names_of(kind)}
        return {"$object": [kind.__qualname__, values]}

    def read(self, kind: str, payload: bytes) -> Any:
        """Return the message of a payload. Raises `CaptureError`."""
        if kind == "bytes":
            return payload
        if kind == "pickle":
            if not self.pickles:
                raise CaptureError(
                    "it was pickled, and to read that may run any code of whoever wrote the file: say "
                    "trust=True if that was you"
                )
            try:
                return pickle.loads(payload)
            except Exception as error:  # what is pickled may raise anything
                raise CaptureError(f"it cannot be unpickled: {_on_one_line(error)}") from error
        try:
            if kind == "text":
                return payload.decode("utf-8", "surrogatepass")
            if kind == "json":
                return self._value(json.loads(payload))
        except CaptureError:
            raise
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise CaptureError(f"its payload is no {kind}: {_on_one_line(error)}") from None
        raise CaptureError(f"its kind is {shorten(kind)}, which this Kamaelia does not know")

    def _value(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return [self._value(one) for one in plain]
        if not isinstance(plain, dict):
            return plain
        if len(plain) == 1:
            ((name, inner),) = plain.items()
            if name.startswith("$"):
                return self._special(name, inner)
        return {key: self._value(one) for key, one in plain.items()}

    def _special(self, name: str, inner: Any) -> Any:
        if name in _COLLECTIONS:
            return _COLLECTIONS[name](self._value(one) for one in _list(inner))
        if name == "$dict":
            return {self._value(key): self._value(one) for key, one in _list(inner)}
        if name == "$bytes":
            return base64.b64decode(inner, validate=True)
        if name == "$bytearray":
            return bytearray(base64.b64decode(inner, validate=True))
        if name == "$float":
            return float(inner)
        if name == "$int":
            return int(inner, 16)
        if name in ("$object", "$enum"):
            called, values = _list(inner)
            kind: Any = self._types.get(called)
            if kind is None or (name == "$enum") != issubclass(kind, enum.Enum):
                raise CaptureError(f"it is of a class {called!r}: name that, as in types=[{called}]")
            if name == "$enum":
                return kind[values]
            return _make(kind, {key: self._value(one) for key, one in values.items()})
        raise ValueError(f"{name!r} means nothing")


_COLLECTIONS: dict[str, Any] = {"$tuple": tuple, "$set": set, "$frozenset": frozenset}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{shorten(value)} is no list")
    return value


def _is_record(kind: type) -> bool:
    return is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))


def _names_of(kind: Any) -> list[str]:
    return [one.name for one in fields(kind)] if is_dataclass(kind) else list(kind._fields)


def _make(kind: Any, values: dict[str, Any]) -> Any:
    """Make a value as it was: without what its class would do when one is made."""
    if values.keys() != set(_names_of(kind)):
        raise CaptureError(
            f"a {kind.__qualname__} of the file has {sorted(values)}, and not what it has here"
        )
    if not is_dataclass(kind):
        return kind(**values)
    made: Any = object.__new__(kind)  # type: ignore[arg-type]  # it is a class, and no value of one
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _on_one_line(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= MOST_WHY else text[:MOST_WHY] + "..."


# -- lines ----------------------------------------------------------------------------------------------


def line(values: dict[str, Any], payload: bytes | None = None) -> bytes:
    """Return one object of a file, with its payload.

    >>> line({"t": 5, "at": [1], "kind": "bytes"}, b"hi")
    b'{"t":5,"at":[1],"kind":"bytes","size":2}\\nhi\\n'
    """
    if payload is not None:
        values = {**values, "size": len(payload)}
    text = json.dumps(values, separators=(",", ":")).encode() + b"\n"
    return text if payload is None else b"".join((text, payload, b"\n"))


class CaptureFile:
    """A capture, to be read: iterate it for all messages, as `Captured`.

    Made by `read_capture`. It may be iterated again, and while the file still grows.
    """

    def __init__(self, file: str | os.PathLike[str], values: Values) -> None:
        self.path = os.fspath(file)
        self._values = values
        with open(self.path, "rb") as opened:
            self.header = self._read_header(opened)
            """The first line: ``program``, ``seed``, ``core``, ``calendar``, ``virtual``."""
        self._is_whole = False

    @property
    def is_whole(self) -> bool:
        """Whether the last line is there: nobody was killed while writing, or is writing still."""
        if not self._is_whole:
            for _ in self.lines(payloads=False):
                pass
        return self._is_whole

    def __iter__(self) -> Iterator[Captured]:
        for one, boxes in self.lines():
            if "at" in one:
                yield Captured(one["t"] / 1e9, tuple(boxes), self.message_of(one))

    def boxes(self) -> dict[str, int]:
        """Return all boxes of the file, each with the number of messages that passed it."""
        found: dict[str, int] = {}
        for one, boxes in self.lines(payloads=False):
            for path in boxes:
                found[path] = found.get(path, 0) + ("at" in one)
        return found

    def message_of(self, one: dict[str, Any]) -> Any:
        """Return the message of a line. Raises `CaptureError`."""
        kind = one.get("kind")
        if kind == "refused":
            raise self._bad(one, f"a {one.get('type')} has passed, and was not kept: {one.get('why')}")
        try:
            return self._values.read(str(kind), one.get("payload", b""))
        except CaptureError as error:
            raise self._bad(one, str(error)) from error

    def _bad(self, one: dict[str, Any], why: str) -> CaptureError:
        return CaptureError(f"{self.path}: the message at {one['t'] / 1e9:g} s: {why}")

    def _read_header(self, opened: BinaryIO) -> dict[str, Any]:
        try:
            header = json.loads(opened.readline(MOST_LINE))
        except (ValueError, RecursionError):
            header = None
        if not isinstance(header, dict) or "kamaelia_capture" not in header:
            raise CaptureError(f"{self.path} is no capture: it does not begin as one")
        if header["kamaelia_capture"] != VERSION:
            raise CaptureError(
                f"{self.path} is a capture of version {shorten(header['kamaelia_capture'])}, and this "
                f"Kamaelia reads {VERSION}"
            )
        return header

    def lines(self, *, payloads: bool = True) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """Yield the objects after the header, each with the boxes that it is about; with its payload as
        ``payload``.

        What is at the end of a file that was torn is left out. Raises `CaptureError` where the file is
        damaged.
        """
        names: dict[int, str] = {}
        with open(self.path, "rb") as opened:
            self._read_header(opened)
            while True:
                place = opened.tell()
                text = opened.readline(MOST_LINE)
                if not text.endswith(b"\n"):
                    if len(text) == MOST_LINE:
                        raise CaptureError(f"{self.path}: at byte {place} stands no line of a capture")
                    return  # torn, or not written yet
                try:
                    one = json.loads(text)
                    boxes = self._check(one, names)
                except (ValueError, TypeError, KeyError, RecursionError) as error:
                    raise CaptureError(
                        f"{self.path}: at byte {place} stands no line of a capture: {_on_one_line(error)}"
                    ) from None
                if "size" in one:
                    size, begin = one["size"], opened.tell()
                    if begin + size + 1 > os.fstat(opened.fileno()).st_size:
                        return
                    if payloads:
                        one["payload"] = opened.read(size)
                    else:
                        opened.seek(size, os.SEEK_CUR)
                    if opened.read(1) != b"\n":
                        raise CaptureError(f"{self.path}: the payload at byte {begin} has another length")
                if "over" in one:
                    self._is_whole = True
                yield one, boxes

    def _check(self, one: Any, names: dict[int, str]) -> list[str]:
        """See that an object is what it should be; return the boxes that it is about."""
        for name in ("t", "size", "lost"):
            if name in one and not (type(one[name]) is int and one[name] >= 0):
                raise ValueError(f"{name} is {shorten(one[name])}, and no number")
        if "box" in one:
            names[int(one["box"])] = str(one["path"])
            return [str(one["path"])]
        if any(name in one for name in ("at", "end", "lost", "over")) and "t" not in one:
            raise ValueError("there is no time t")
        numbers = one["at"] if "at" in one else [one["end"]] if "end" in one else []
        return [names[number] for number in numbers]


def read_capture(
    file: str | os.PathLike[str], *, types: Iterable[type] = (), trust: bool = False
) -> CaptureFile:
    """Open what `capture` has written: iterate it for the messages, as `Captured`.

    Arguments:
        file: its path
        types: classes that values in it may be of, see `capture`
        trust: whether what was pickled is read; that may run any code of whoever wrote the file

    Raises `OSError`; `CaptureError` for a file that is no capture, and while it is iterated for what cannot
    be read. A file that was torn, as its program was killed, is read up to the tear: ``is_whole`` says so.

    Example:
        >>> import os, tempfile
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source
        >>> from kamaelia.observe import capture, read_capture
        >>> row = Source("ab") | Collect()
        >>> path = os.path.join(tempfile.mkdtemp(), "row.capture")
        >>> _ = capture(row, path)
        >>> _ = run(row)
        >>> [(one.message, one.boxes) for one in read_capture(path)][0]
        ('a', ('Pipeline/Source.outbox', 'Pipeline/Collect.inbox'))
    """
    return CaptureFile(file, Values(types, trust))
