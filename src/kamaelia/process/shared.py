"""Memory that two processes share, for the large buffers of messages.

Theory
------
An *arena* is an anonymous file in memory (`os.memfd_create`) which both processes have mapped. It has no
name, so nothing can be left of it: when both have gone, however they went, so has the memory. One side writes
(`Arena`) and is the one that knows what is free; the other reads (`View`), and gives each block back when the
last object that uses it has died. There is an arena for each direction.

The file is as large as it may become, and takes memory only where it has been written. What is freed is used
again, the lowest addresses first, since that memory is there already and in the processor's cache. What is
free at the upper end is returned to the system, but only when it has not been used for a while: to return it
and get it anew takes several times as long as to copy a message into it.

A reader may keep what it has got for ever. Then the arena is full one day, and what finds no room in it is
sent in the ordinary way, which is slower, but never waits for a reader that will not come.
"""

from __future__ import annotations

import bisect
import mmap
import os
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

LARGE = 32 * 1024  # bytes of a buffer from which on it goes through shared memory
SIZE = 256 * 1024 * 1024  # bytes of an arena, at most: for each worker, in each direction
WARM = 16 * 1024 * 1024  # bytes at its beginning that it keeps, though nobody uses them
TRIM = 4 * 1024 * 1024  # bytes that are given back to the system at a time, which takes a millisecond
IDLE = 1.0  # seconds after which they are, if no more were used meanwhile
PAGE = mmap.PAGESIZE


def make_file() -> int | None:
    """Return the descriptor of a new file for an arena; None where the system has no such files."""
    if not hasattr(os, "memfd_create"):
        return None
    file = None
    try:
        file = os.memfd_create("kamaelia", os.MFD_CLOEXEC)
        os.ftruncate(file, SIZE)
    except OSError:  # there is a limit to something; messages can cross without
        if file is not None:
            os.close(file)
        return None
    return file


def map_file(file: int) -> mmap.mmap:
    """Map the file of an arena."""
    return mmap.mmap(file, 0)


class Arena:
    """The side that writes, and knows what is free."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._free: list[tuple[int, int]] = [
            (0, len(memory))
        ]  # (where, how much), in order, none beside another
        self._used: dict[int, int] = {}
        self._top = 0  # from here on it takes no memory
        self._puts = 0
        self._puts_seen = 0

    @property
    def used(self) -> int:
        """Bytes that are in use."""
        return sum(self._used.values())

    def put(self, data: memoryview) -> int | None:
        """Copy bytes into the arena, and return where they are; None if there is no room."""
        needed = (data.nbytes + PAGE - 1) // PAGE * PAGE
        for index, (where, length) in enumerate(self._free):
            if length >= needed:
                if length == needed:
                    del self._free[index]
                else:
                    self._free[index] = (where + needed, length - needed)
                self._used[where] = needed
                self._memory[where : where + data.nbytes] = data
                self._top = max(self._top, where + needed)
                self._puts += 1
                return where
        return None

    def free(self, where: int) -> None:
        """A block is not used any more."""
        length = self._used.pop(where)
        index = bisect.bisect(self._free, (where, length))
        if index < len(self._free) and self._free[index][0] == where + length:
            length += self._free.pop(index)[1]
        if index and sum(self._free[index - 1]) == where:
            before, more = self._free[index - 1]
            self._free[index - 1] = (before, more + length)
        else:
            self._free.insert(index, (where, length))

    def is_large(self) -> bool:
        """Say whether there is memory to be given back to the system, now or later."""
        return self._top > WARM and hasattr(mmap, "MADV_REMOVE")

    def trim(self) -> float | None:
        """Give some memory back, if it is not in use; return when to try again, in seconds, if at all."""
        if self._puts != self._puts_seen:
            self._puts_seen = self._puts
            return IDLE
        where, length = self._free[-1] if self._free else (self._top, 0)
        start = max(where, WARM, self._top - TRIM)
        if where + length < self._top or start >= self._top:
            return None  # what is at the end is in use: when it is freed there is another try
        self._memory.madvise(mmap.MADV_REMOVE, start, self._top - start)
        self._top = start
        return 0.0


class View:
    """The side that reads; ``give_back`` is called, on any thread, when there are blocks to give back."""

    def __init__(self, memory: mmap.mmap, give_back: Callable[[], object]) -> None:
        self._memory = memory
        self._dead: deque[int] = deque()  # where the blocks are that nobody here uses any more
        self._told = False  # that there are some
        self._give_back = give_back
        self._lent: dict[int, _Loan] = {}  # by where they are

    def copy(self, where: int, length: int) -> bytes:
        """Return the bytes of a block, and give it back."""
        data = self._memory[where : where + length]
        self._end(where)
        return data

    def lend(self, where: int, length: int) -> Any:
        """Return a buffer over a block, which is given back when that and all objects over it have died."""
        import ctypes  # here, as it takes milliseconds

        # An array of ctypes is the one exporter of foreign memory that also says when it is used no more.
        buffer = (ctypes.c_char * length).from_buffer(self._memory, where)
        loan = self._lent[where] = _Loan(buffer, self._died)
        loan.where = where
        return buffer

    def _died(self, loan: _Loan) -> None:
        del self._lent[loan.where]
        self._end(loan.where)

    def take_dead(self) -> list[int]:
        """Return where the blocks are that nobody here uses any more, each once."""
        self._told = False
        places = []
        while self._dead:
            places.append(self._dead.popleft())
        return places

    def _end(self, where: int) -> None:
        self._dead.append(where)
        if not self._told:
            self._told = True
            self._give_back()


class _Loan(weakref.ref[Any]):
    """Tells of the death of an object over a block."""

    __slots__ = ("where",)

    where: int
