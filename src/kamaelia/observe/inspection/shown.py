"""Showing messages: any object, as text of a limited size, at a limited cost.

A message may be anything: a gigabyte of bytes, a list that contains itself, an object whose ``__repr__``
raises, or never returns. What passes is shown on the thread of the system, since who receives it may change
it; what waits is shown beside it. So no code of the message's own is run: what Python itself makes is read by
its own methods, and of any other object its class is told, and what its fields hold. Each piece costs a part
of the limit, and what is left when that is used up is cut.

| kind | what `text` is |
| --- | --- |
| `text` | the text, also of bytes that are one |
| `json` | of a list, dict, number, True, False, None: as JSON; also a text that is JSON already |
| `hex` | of bytes: hexadecimal digits |
| `picture` | bytes that begin as a PNG, JPEG, GIF or WebP does: in base64, with their `media_type` |
| `samples` | of an array of numbers: JSON, at most 1000 values for each channel, from -1 to 1 (`scale`) |
| `repr` | anything else, much as Python shows it |

>>> show({"answer": 42})
{'type': 'builtins.dict', 'size': None, 'kind': 'json', 'text': '{"answer": 42}', 'cut': False}
>>> show(b"hello")["text"], show(bytes([0, 255]))["text"]
('hello', '00ff')
"""

from __future__ import annotations

import array
import base64
import datetime
import decimal
import enum
import fractions
import itertools
import json
import math
import pathlib
import sys
import types
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

MOST = 4096  # characters or bytes of a message that are shown, unless somebody asks for more
MOST_EVER = 65536
MOST_SAMPLES = 1000  # values of each channel
MOST_CHANNELS = 32
DEEPEST = 12  # lists within lists, objects within objects

PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def show(message: Any, most: int = MOST) -> dict[str, Any]:
    """Return how a message is shown; it never raises, and takes no longer than its size allows.

    Arguments:
        message: anything
        most: characters, or bytes, that are shown of it
    """
    kind = type(message)
    shown: dict[str, Any] = {"type": name_of(kind), "size": None}
    try:
        shown |= _show(message, kind, most)
    except Exception as error:  # somebody else's object may do anything when it is looked at
        shown |= {"kind": "repr", "text": f"<{shown['type']}: {type(error).__name__}>", "cut": False}
    return shown


def short(value: Any, most: int = 60) -> str:
    """Return an object as text on one line, of a limited length; like `show`, without its own ``__repr__``.

    >>> short(["a", 1.5, None]), short("x" * 1000, 12)
    ("['a', 1.5, None]", "'xxxxxxxx...")
    """
    writer = _Repr(most)
    try:
        writer.write(value, 0)
    except _Full:
        return writer.text()[: max(0, most - 3)] + "..."
    except Exception as error:  # likewise
        return f"<{name_of(type(value))}: {type(error).__name__}>"
    return writer.text()


def name_of(kind: type) -> str:
    """Return a class with its module: ``builtins.dict``."""
    return f"{type.__getattribute__(kind, '__module__')}.{type.__getattribute__(kind, '__qualname__')}"


def _show(message: Any, kind: type, most: int) -> dict[str, Any]:
    if issubclass(kind, str):
        return _text(message, most)
    if issubclass(kind, (bytes, bytearray)) or (kind is memoryview and message.contiguous):
        return _bytes(message, most)
    samples = _samples(message, kind)
    if samples is not None:
        return samples
    if kind in _PLAIN:
        writer = _Json(most)
        try:
            writer.write(message, 0)
            return {"kind": "json", "text": writer.text(), "cut": False}
        except _Full:
            return {"kind": "json", "text": writer.text()[:most], "cut": True}
        except _NoJson:
            pass
    other = _Repr(most)
    try:
        other.write(message, 0)
        return {"kind": "repr", "text": other.text(), "cut": False}
    except _Full:
        return {"kind": "repr", "text": other.text()[:most], "cut": True}


# -- text, bytes, pictures ------------------------------------------------------------------------------


def _text(message: str, most: int) -> dict[str, Any]:
    size = str.__len__(message)
    text = str.__getitem__(message, slice(0, most))
    kind = "json" if size <= most and _is_json(text) else "text"
    return {"size": size, "kind": kind, "text": text, "cut": size > most}


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _bytes(message: Any, most: int) -> dict[str, Any]:
    if issubclass(type(message), bytearray):  # while somebody has a view of it, nobody can make it longer
        size = bytearray.__len__(message)
        begin = bytes(bytearray.__getitem__(message, slice(0, most)))
    else:
        view = memoryview(message).cast("B")
        size, begin = len(view), bytes(view[:most])
    cut = size > most
    for magic, media_type in PICTURES:
        if begin.startswith(magic):
            return _picture(begin, media_type, size, cut)
    if begin[:4] == b"RIFF" and begin[8:12] == b"WEBP":
        return _picture(begin, "image/webp", size, cut)
    text = _decoded(begin, cut)
    if text is not None:
        return {
            "size": size,
            "kind": "json" if not cut and _is_json(text) else "text",
            "text": text,
            "cut": cut,
        }
    half = begin[: most // 2]  # two digits each
    return {"size": size, "kind": "hex", "text": half.hex(), "cut": size > len(half)}


def _picture(begin: bytes, media_type: str, size: int, cut: bool) -> dict[str, Any]:
    text = base64.b64encode(begin).decode()
    return {"size": size, "kind": "picture", "text": text, "cut": cut, "media_type": media_type}


def _decoded(data: bytes, cut: bool) -> str | None:
    """Return bytes as the text that they are, if they are one."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if not cut or error.start < len(data) - 3:  # else the cut has gone through a letter
            return None
        text = data[: error.start].decode()
    return text if all(one.isprintable() or one in "\n\r\t" for one in text) else None


# -- arrays -----------------------------------------------------------------------------------------------

_SCALES = {"b": 2.0**7, "h": 2.0**15, "i": 2.0**31, "B": 2.0**7, "H": 2.0**15}  # B and H have their 0 there


def _samples(message: Any, kind: type) -> dict[str, Any] | None:
    """Show an array of numbers as a few curves; None if it is none."""
    if not issubclass(kind, array.array) and not hasattr(kind, "__array_interface__"):
        return None
    if issubclass(kind, array.array):  # without a view of it, see `_bytes`
        code = array.array.typecode.__get__(message)
        shape: tuple[int, ...] = (array.array.__len__(message),)
        curves = _curves(partial(array.array.__getitem__, message), code, shape)
    else:
        try:
            view = memoryview(message)
        except (TypeError, ValueError, BufferError):  # of objects, or of times: nothing to draw
            return None
        with view:
            code, shape = view.format.lstrip("@=<>!"), view.shape or ()
            foreign = view.format[0] in "><!" and _foreign(view.format[0])
            curves = None if foreign else _curves(view.__getitem__, code, shape)
    if curves is None:
        return None
    count = max(shape)
    zero = _SCALES[code] if code in "BH" else 0.0
    scale = _SCALES.get(code)
    if scale is None:
        peak = max((abs(value) for curve in curves for value in curve if math.isfinite(value)), default=0.0)
        scale = max(peak, 1.0)
    text = json.dumps(
        [[_rounded((value - zero) / scale) for value in curve] for curve in curves], separators=(",", ":")
    )
    return {
        "size": count,
        "kind": "samples",
        "text": text,
        "cut": count > MOST_SAMPLES,
        "scale": scale,
        "shape": list(shape),
    }


def _curves(read: Callable[[Any], Any], code: str, shape: tuple[int, ...]) -> list[list[float]] | None:
    """Return some values of each channel of an array; None if these are not numbers in one or few rows."""
    if code not in "bBhHiIlLqQefd" or len(code) != 1 or not shape or 0 in shape:
        return None
    if len(shape) > 2 or (len(shape) == 2 and min(shape) > MOST_CHANNELS):
        return None
    count = max(shape)
    places = [index * count // min(count, MOST_SAMPLES) for index in range(min(count, MOST_SAMPLES))]
    if len(shape) == 1:
        return [[float(read(place)) for place in places]]
    channels = range(min(shape))
    if shape[0] >= shape[1]:
        return [[float(read((place, one))) for place in places] for one in channels]
    return [[float(read((one, place))) for place in places] for one in channels]


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _foreign(order: str) -> bool:
    return (order == "<") != (sys.byteorder == "little")


# -- anything else ------------------------------------------------------------------------------------------


class _Full(Exception):
    """There is no room left."""


class _NoJson(Exception):
    """JSON has no word for this."""


class _Writer:
    """Collects pieces of text up to a limit."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._pieces: list[str] = []
        self._within: set[int] = set()  # the objects that are being written

    def text(self) -> str:
        return "".join(self._pieces)

    def put(self, piece: str) -> None:
        self._pieces.append(piece)
        self._left -= len(piece)
        if self._left < 0:
            raise _Full

    def cut(self, text: str) -> str:
        """Return as much of a text as can be of use."""
        return str.__getitem__(text, slice(0, self._left + 1))

    def several(self, items: Iterable[Any], write: Callable[[Any], None], begin: str, end: str) -> None:
        self.put(begin)
        first = True
        for one in items:
            if not first:
                self.put(", ")
            first = False
            write(one)
        self.put(end)


class _Json(_Writer):
    def write(self, value: Any, depth: int) -> None:
        kind = type(value)
        if value is None or kind is bool:
            self.put({None: "null", True: "true", False: "false"}[value])
        elif kind is int:
            if value.bit_length() > 1000:
                raise _NoJson
            self.put(repr(value))
        elif kind is float:
            if not math.isfinite(value):
                raise _NoJson
            self.put(repr(value))
        elif kind is str:
            self.put(json.dumps(self.cut(value), ensure_ascii=False))
        elif kind not in (list, tuple, dict) or depth >= DEEPEST or id(value) in self._within:
            raise _NoJson
        else:
            self._within.add(id(value))
            if kind is dict:
                self.several(value.items(), lambda pair: self._pair(pair, depth), "{", "}")
            else:
                self.several(value, lambda one: self.write(one, depth + 1), "[", "]")
            self._within.discard(id(value))

    def _pair(self, pair: tuple[Any, Any], depth: int) -> None:
        if type(pair[0]) is not str:
            raise _NoJson
        self.put(json.dumps(self.cut(pair[0]), ensure_ascii=False))
        self.put(": ")
        self.write(pair[1], depth + 1)


_PLAIN = (list, tuple, dict, int, float, bool, type(None))

# What is made by Python itself shows itself at once, whatever it holds.
_SHOW_THEMSELVES = (
    *(bool, float, complex, range, type(None), type(...), type(NotImplemented)),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone),
    *(decimal.Decimal, fractions.Fraction, uuid.UUID),
    *(pathlib.PosixPath, pathlib.PurePosixPath, pathlib.WindowsPath, pathlib.PureWindowsPath),
)
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


class _Repr(_Writer):
    def write(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind in _SHOW_THEMSELVES:
            self.put(self.cut(repr(value)))
        elif issubclass(kind, enum.Enum):
            self.put(f"{kind.__name__}.{object.__getattribute__(value, '_name_')}")
        elif issubclass(kind, int):
            bits = int.bit_length(value)
            self.put(int.__repr__(value) if bits <= 1000 else f"<int of {bits} bits>")
        elif issubclass(kind, float):
            self.put(float.__repr__(value))
        elif issubclass(kind, str):
            self.put(str.__repr__(self.cut(value)))
        elif issubclass(kind, (bytes, bytearray)):
            plain = bytes if issubclass(kind, bytes) else bytearray
            begin = bytes(plain.__getitem__(value, slice(0, self._left + 1)))
            self.put(repr(begin) if plain is bytes else f"bytearray({begin!r})")
        elif issubclass(kind, type):
            self.put(name_of(value).removeprefix("builtins."))
        elif kind in _FUNCTIONS:
            self.put(f"<function {getattr(value, '__qualname__', '?')}>")
        elif kind is types.ModuleType:
            self.put(f"<module {getattr(value, '__name__', '?')}>")
        elif id(value) in self._within:
            self.put("...")
        elif depth >= DEEPEST:
            self.put(f"<{kind.__qualname__}>")
        else:
            self._within.add(id(value))
            self._within_of(value, kind, depth)
            self._within.discard(id(value))

    def _within_of(self, value: Any, kind: type, depth: int) -> None:
        name = kind.__qualname__
        if issubclass(kind, tuple):
            fields = kind.__dict__.get("_fields")
            items = tuple.__getitem__(value, slice(0, self._left + 2))
            if isinstance(fields, tuple) and len(fields) == len(items):  # a named one
                self._fields(name, dict(zip(fields, items, strict=True)), depth)
            else:
                end = ",)" if len(items) == 1 else ")"
                self.several(items, lambda one: self.write(one, depth + 1), "(", end)
        elif issubclass(kind, list):
            begin, end = ("[", "]") if kind is list else (f"{name}([", "])")
            self.several(list.__iter__(value), lambda one: self.write(one, depth + 1), begin, end)
        elif issubclass(kind, dict):
            begin, end = ("{", "}") if kind is dict else (f"{name}({{", "})")
            self.several(dict.items(value), lambda pair: self._item(pair, depth), begin, end)
        elif issubclass(kind, (set, frozenset)):
            begin, end = ("{", "}") if kind is set else (f"{name}({{", "})")
            each = set.__iter__(value) if issubclass(kind, set) else frozenset.__iter__(value)
            self.several(each, lambda one: self.write(one, depth + 1), begin, end)
        elif kind is deque:
            self.several(deque.__iter__(value), lambda one: self.write(one, depth + 1), "deque([", "])")
        elif hasattr(kind, "__array_interface__") or kind is array.array:
            shape = getattr(value, "shape", None) or (len(value),)
            self.put(f"<{name} {getattr(value, 'dtype', getattr(value, 'typecode', ''))} {shape}>")
        elif issubclass(kind, BaseException):
            self.put(name)
            self.write(BaseException.args.__get__(value), depth + 1)  # type: ignore[attr-defined]
        elif hasattr(kind, "_axon") and hasattr(kind, "_recipe"):
            self.put(f"<{name} {value._axon.path}>")
        else:
            self._fields(name, fields_of(value, kind), depth)

    def _item(self, pair: tuple[Any, Any], depth: int) -> None:
        self.write(pair[0], depth + 1)
        self.put(": ")
        self.write(pair[1], depth + 1)

    def _fields(self, name: str, fields: Mapping[str, Any], depth: int) -> None:
        if not fields:
            self.put(f"<{name}>")
            return
        self.put(f"{name}(")
        for index, (field, value) in enumerate(fields.items()):
            self.put(f"{', ' if index else ''}{field}=")
            self.write(value, depth + 1)
        self.put(")")


def fields_of(value: Any, kind: type) -> dict[str, Any]:
    """Return what an object's attributes hold, without running code of its class."""
    fields: dict[str, Any] = {}
    for base in reversed(type.__getattribute__(kind, "__mro__")):
        for name, slot in list(base.__dict__.items()):
            if type(slot) is types.MemberDescriptorType and not name.startswith("__"):
                try:
                    fields[name] = slot.__get__(value)
                except AttributeError:  # it has not been set
                    pass
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        held = None
    if type(held) is dict:
        names = itertools.islice(held, 100)
        fields |= {name: held[name] for name in names if type(name) is str and not name.startswith("_")}
    return fields
