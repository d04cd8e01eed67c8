"""Many things with a time each, of which the soonest is wanted.

A heap of (time, serial number, thing). What gets another time is entered again, and its old entry is
passed over when it comes up; so setting a time costs the logarithm of the number of entries, and the soonest
costs nothing. Things of one time come in the order in which they were given that time.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

Thing = TypeVar("Thing", bound=Hashable)


class Alarms(Generic[Thing]):
    """When to see to which thing, in nanoseconds.

    >>> alarms = Alarms[str]()
    >>> alarms.set("tea", 300)
    >>> alarms.set("egg", 200)
    >>> alarms.next_time(), alarms.due(250), alarms.next_time()
    (200, ['egg'], 300)
    """

    __slots__ = ("_entries", "_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Thing]] = []
        self._entries: dict[Thing, tuple[int, int, Thing]] = {}
        self._serial = 0

    def set(self, thing: Thing, time: int | None) -> None:
        """Give a thing its time, instead of the one it had; None for no time.

        >>> alarms = Alarms[str]()
        >>> alarms.set("tea", 300)
        >>> alarms.set("tea", None)
        >>> alarms.next_time() is None
        True
        """
        before = self._entries.get(thing)
        if time is None:
            if before is not None:
                del self._entries[thing]
        elif before is None or before[0] != time:
            self._serial += 1
            entry = self._entries[thing] = (time, self._serial, thing)
            heapq.heappush(self._heap, entry)

    def next_time(self) -> int | None:
        """Return the soonest time; None if there is nothing to see to."""
        heap, entries = self._heap, self._entries
        while heap and entries.get(heap[0][2]) is not heap[0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: int) -> list[Thing]:
        """Return the things whose time has come, in their order; they have no time any more."""
        things = []
        time = self.next_time()
        while time is not None and time <= now:
            thing = heapq.heappop(self._heap)[2]
            del self._entries[thing]
            things.append(thing)
            time = self.next_time()
        return things
