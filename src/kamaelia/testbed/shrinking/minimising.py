"""Smallest sets and numbers with a property that one can only try: delta debugging, and bisection.

`ddmin` is the algorithm of Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (IEEE
Transactions on Software Engineering 28, 2002). It cuts a set into parts, and goes on with a part that fails,
or else with the rest of one whose absence does no harm; where neither fails, it cuts more finely. In the end
nothing can be left out any more (the set is 1-minimal): each single item is needed. That takes between
logarithmically and quadratically many tries.

Of numbers the smallest is looked for by bisection, as if all that are larger would fail, too. Where that is
not so, what is found fails all the same, but may not be the smallest.

What tries is given several candidates at once, in order of preference, so that it may try them side by side.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

First = Callable[[Sequence[T]], int | None]
"""Tries candidates, and returns which is the first of them that fails; None if none does."""


def ddmin(items: Sequence[T], first: First[tuple[T, ...]]) -> tuple[T, ...]:
    """Return the items that are needed, in their order.

    Arguments:
        items: all of which together fail
        first: tries sets of items

    >>> tried = []
    >>> def first(candidates):
    ...     for number, one in enumerate(candidates):
    ...         tried.append(one)
    ...         if {3, 17} <= set(one):
    ...             return number
    >>> ddmin(range(30), first), len(tried)
    ((3, 17), 50)
    """
    kept = tuple(items)
    if not kept or first([()]) == 0:
        return ()
    count = 2
    while len(kept) > 1:
        parts = parts_of(kept, count)
        found = first(parts)
        if found is not None:
            kept, count = parts[found], 2
            continue
        if count > 2:
            rests = [tuple(one for other in parts if other is not part for one in other) for part in parts]
            found = first(rests)
            if found is not None:
                kept, count = rests[found], count - 1
                continue
        if count >= len(kept):
            break
        count = min(len(kept), 2 * count)
    return kept


def parts_of(items: Sequence[T], count: int) -> list[tuple[T, ...]]:
    """Cut a sequence into so many parts of about the same length.

    >>> parts_of("abcdefgh", 3)
    [('a', 'b'), ('c', 'd', 'e'), ('f', 'g', 'h')]
    """
    length = len(items)
    return [tuple(items[length * n // count : length * (n + 1) // count]) for n in range(count)]


def smallest(values: Sequence[T], first: First[T]) -> T | None:
    """Return the first of some values that fails, by bisection; None if the last one does not fail either.

    The very first is tried before all others: often it is what one wants, such as 0.

    >>> smallest(range(1000), lambda candidates: 0 if candidates[0] >= 444 else None)
    444
    """
    if not values:
        return None
    if first(values[:1]) == 0:
        return values[0]
    found: T | None = None
    low, high = 1, len(values)
    while low < high:
        middle = (low + high) // 2
        if first([values[middle]]) == 0:
            found, high = values[middle], middle
        else:
            low = middle + 1
    return found


def simpler(value: float) -> list[float]:
    """Return numbers that are simpler than one, and nearer to 0, which comes first.

    Of a whole number all that are smaller, if there are not too many; else those that begin with 1, 2 or 5,
    and have no further digits.

    >>> simpler(4), simpler(-2), simpler(0)
    ([0, 1, 2, 3], [0, -1], [])
    >>> simpler(0.06)[-6:], simpler(12_000)[-3:]
    ([0.001, 0.002, 0.005, 0.01, 0.02, 0.05], [2000, 5000, 10000])
    """
    size, sign = abs(value), -1 if value < 0 else 1
    if isinstance(size, int) and size <= 1000:
        return [sign * n for n in range(size)]
    rounds: list[Any] = _WHOLE if isinstance(size, int) else _ROUND
    found = [0, *rounds[: bisect_left(rounds, size)]] if size else []
    return [sign * one for one in found]


_WHOLE = [digit * 10**power for power in range(16) for digit in (1, 2, 5)]
_ROUND = [float(f"{digit}e{power}") for power in range(-6, 16) for digit in (1, 2, 5)]
