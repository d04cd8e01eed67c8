"""Messages as bytes, many at a time, and without the large buffers that are in them.

They are pickled (protocol 5). A buffer of `shared.LARGE` bytes or more goes into an arena instead: of an
object that offers its buffers, such as a NumPy array, or of bytes, bytearray and memoryview themselves. On
the other side an array is one over the arena, not copied, which can be written to if the first could; so is a
memoryview; bytes and bytearray are copied out.

As pickle calls nobody for bytes unless it asks about each and every object, it is made to ask only where a
look at the messages, and into their tuples, lists, dicts and dataclasses, has found large ones.
"""

from __future__ import annotations

import io
import itertools
import pickle
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .shared import LARGE, Arena, View

PROTOCOL = 5
NUMBERS = frozenset({int, float, bool, type(None)})
TEXTS = frozenset({bytes, str})
BUFFERS = frozenset({bytes, bytearray, memoryview})
LOOKS = 16  # items of a list or the like that are looked at

Block = tuple[int, int]  # where it is in the arena, and how many bytes it has


class Packed:
    """Some messages as bytes."""

    __slots__ = ("amount", "blocks", "body", "lent")

    def __init__(self, body: bytes, lent: Sequence[Block] = (), blocks: Sequence[Block] = ()) -> None:
        self.body = body
        self.lent = lent
        """The blocks whose objects on the other side will lie in the arena, in the order of the pickle."""
        self.blocks = blocks
        """All blocks."""
        self.amount = len(body) + sum(length for _, length in blocks)
        """Bytes in all."""


def pack(messages: Sequence[Any], arena: Arena | None) -> Packed:
    """Pack messages. Raises whatever pickling them raises; nothing is left in the arena then."""
    kinds = set(map(type, messages))
    if kinds <= NUMBERS or (kinds <= TEXTS and max(map(len, messages)) < LARGE):
        return Packed(pickle.dumps(messages, PROTOCOL))
    packing = _Packing(arena)
    try:
        return packing.pack(messages)
    except BaseException:
        for where, _ in packing.blocks:
            assert arena is not None
            arena.free(where)
        raise


def unpack(body: Any, lent: Sequence[Block], view: View | None) -> list[Any]:
    """Return the messages that `pack` was given."""
    messages: list[Any]
    if body[-1:] == PLAIN_END:
        messages = pickle.loads(body)
    else:
        messages = _Unpickler(body, lent, view).load()
    return messages


PLAIN_END = pickle.STOP  # what every pickle ends with; where objects were asked about, another byte follows
ASKED_END = b"?"


class _Packing:
    def __init__(self, arena: Arena | None) -> None:
        self.arena = arena
        self.lent: list[Block] = []
        self.blocks: list[Block] = []

    def pack(self, messages: Sequence[Any]) -> Packed:
        if any(_has_large(message, 2) for message in messages):
            file = io.BytesIO()
            _AskingPickler(file, self).dump(messages)
            file.write(ASKED_END)
            body = file.getvalue()
        else:
            body = pickle.dumps(messages, PROTOCOL, buffer_callback=self.stays)
            if self.lent:
                body += ASKED_END
        return Packed(body, self.lent, self.blocks)

    def stays(self, buffer: pickle.PickleBuffer) -> bool:
        """Say whether an object's buffer stays in the pickle; else it is in the arena."""
        try:
            data = buffer.raw()
        except BufferError:  # it is not contiguous, so whoever offers it has to copy it anyway
            return True
        block = self.put(data)
        if block is None:
            return True
        self.lent.append(block)
        return False

    def put(self, data: memoryview) -> Block | None:
        if self.arena is None or data.nbytes < LARGE:
            return None
        where = self.arena.put(data)
        if where is None:
            return None
        block = (where, data.nbytes)
        self.blocks.append(block)
        return block


class _AskingPickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, packing: _Packing) -> None:
        super().__init__(file, PROTOCOL, buffer_callback=packing.stays)
        self.packing = packing

    def persistent_id(self, value: Any) -> Any:
        kind = type(value)
        if kind not in BUFFERS or (kind is not memoryview and len(value) < LARGE):
            return None
        if kind is not memoryview:
            block = self.packing.put(memoryview(value))
            return None if block is None else (kind.__name__, block)
        if len(value.format.lstrip("@")) != 1:
            raise TypeError(f"a memoryview of items of format {value.format!r}; send what it is a view of")
        plain = value.contiguous
        block = self.packing.put(value.cast("B")) if plain and value.nbytes else None
        shape = (value.format, value.shape, value.readonly)
        return ("memoryview", block if block is not None else value.tobytes(), *shape)


def _lend(view: View | None, lent: Sequence[Block]) -> Iterator[Any]:
    # No method of the unpickler: that would keep it, with all messages, until garbage is collected.
    for where, length in lent:
        assert view is not None
        yield view.lend(where, length)


class _Unpickler(pickle.Unpickler):
    def __init__(self, body: Any, lent: Sequence[Block], view: View | None) -> None:
        super().__init__(io.BytesIO(body), buffers=_lend(view, lent))
        self._view = view

    def persistent_load(self, pid: Any) -> Any:
        kind, data, *shape = pid
        view = self._view
        if kind != "memoryview":
            assert view is not None
            copied = view.copy(*data)
            return copied if kind == "bytes" else bytearray(copied)
        if isinstance(data, tuple):
            assert view is not None
            data = view.lend(*data)
        else:
            data = bytearray(data)
        form, sizes, read_only = shape
        memory = memoryview(data).cast("B")
        if form != "B" or len(sizes) != 1:
            memory = memory.cast(form, sizes)
        return memory.toreadonly() if read_only else memory


def _has_large(value: Any, depth: int) -> bool:
    """Say whether large bytes are in a value, or a memoryview, as far as a look shows."""
    kind = type(value)
    if kind in NUMBERS or kind is str:
        return False
    if kind in BUFFERS:
        return kind is memoryview or len(value) >= LARGE
    if not depth:
        return False
    if kind is tuple or kind is list:
        items: Iterable[Any] = value
    elif kind is dict:
        items = value.values()
    elif hasattr(kind, "__dataclass_fields__"):
        items = (getattr(value, name, None) for name in kind.__dataclass_fields__)
    else:
        return False
    return any(_has_large(item, depth - 1) for item in itertools.islice(items, LOOKS))
