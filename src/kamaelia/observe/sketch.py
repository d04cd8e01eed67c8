"""Sketches: what many numbers were like, in little memory.

Theory
------
A sketch keeps how many values fell into each of many **buckets**, and forgets the values.
Each power of two is divided into 64 buckets of equal width, as in the HDR histogram; which one a value
belongs to is seen in its binary representation: ``value = mantissa * 2**exponent`` with a mantissa from 0.5
to 1, and the bucket is ``floor(128 * mantissa)`` of that exponent. There is no logarithm in this, whose
last digit would depend on the machine. Values below 0 have buckets of their own, 0 has one to itself.

A **quantile** q of n values is the one of rank ``ceil(q * n)`` when they are sorted (Hyndman and Fan 1996,
definition 1). The sketch knows the bucket [low, high) in which that one is, and answers ``2 * low * high /
(low + high)``, which is off by the same share at both of its ends: at most ``1 / (2 * 64 + 1)``, or 0.78 %.
So the **relative error is less than 1 %**, of each quantile, whatever the distribution; that is the promise
of the DDSketch (Masson, Rim and Lee 2019), with simpler buckets, of which there are twice as many.
Quantiles 0 and 1 are the least and the greatest value, exactly; so are number, sum and, as long as there
were whole numbers only, quantiles that are less than 128.

**Merging** two sketches adds their buckets: it gives just the sketch that all the values together would have
given, in whatever order they came. (Of numbers with fractions the sum may differ in the last digit.)

**Memory** is bounded: 64 powers of two are kept, down from the greatest magnitude. What is smaller, and
that is less than a 10**18th of it, is counted in the smallest bucket (and what is smaller than 10**-301, as
0). Each power of two that there are values in takes half a kilobyte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, frexp, inf, isfinite, ldexp, nan
from typing import Any

from kamaelia.axon import UsageError
from kamaelia.axon.errors import shorten

from .tables import quantity, table

BUCKETS = 64  # of each power of two
OCTAVES = 64  # powers of two that are kept
SMALLEST = -1000  # exponent; below, numbers lose their digits, and count as 0
SHOWN = (0.5, 0.95, 0.99)


class Sketch:
    """How many numbers there were, their sum, least and greatest, and any quantile with an error below 1 %.

    Arguments:
        values: some to begin with

    Example:
        >>> from kamaelia.observe import Sketch
        >>> sketch = Sketch(n / 1000 for n in range(1, 1001))
        >>> sketch.count, sketch.min, sketch.max, round(sketch.quantile(0.95), 3)
        (1000, 0.001, 1.0, 0.949)
    """

    __slots__ = ("_above", "_below", "_is_whole", "_zeros", "max", "min", "total")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._above: dict[int, list[int]] = {}  # counts, by exponent, of values above 0
        self._below: dict[int, list[int]] = {}  # likewise of values below 0, by their magnitude
        self._zeros = 0
        self._is_whole = True
        self.total: float = 0
        """The sum of the values."""
        self.min: float = inf
        """The least value."""
        self.max: float = -inf
        """The greatest."""
        for value in values:
            self.add(value)

    def add(self, value: float, times: int = 1) -> None:
        """Add a value, or the same one several times.

        Raises `UsageError` for what is no number, and for numbers that are not finite.
        """
        kind = type(value)
        try:
            if kind is not int and kind is not float:
                value = float(value)
            mantissa, exponent = frexp(value)
            bucket = int(mantissa * 128.0)
        except (TypeError, ValueError, OverflowError):
            raise UsageError(f"{shorten(value)} cannot be measured: give a finite number") from None
        # Also when several threads do this at a time nothing goes lost: in each line the interpreter changes
        # threads nowhere between reading a number and writing it.
        if exponent < SMALLEST or not bucket:
            self._zeros += times
        elif bucket > 0:
            try:
                self._above[exponent][bucket - 64] += times
            except KeyError:
                self._row(self._above, exponent)[bucket - 64] += times
        else:
            try:
                self._below[exponent][-64 - bucket] += times
            except KeyError:
                self._row(self._below, exponent)[-64 - bucket] += times
        if kind is not int:
            self._is_whole = False
        self.total += value * times
        if value < self.min:
            self.min = value
        if value > self.max:
            self.max = value

    def add_all(self, values: Sequence[int]) -> None:
        """Add whole numbers, less than 2**53: as `add` does with each, in a quarter of the time."""
        if not values:
            return
        above = self._above
        for value in values:
            if value > 63:
                exponent = value.bit_length()
                try:
                    above[exponent][(value >> exponent - 7) - 64] += 1
                except KeyError:
                    self._row(above, exponent)[(value >> exponent - 7) - 64] += 1
            elif value:
                size = abs(value)
                exponent = size.bit_length()
                bucket = size >> exponent - 7 if exponent > 7 else size << 7 - exponent
                self._row(above if value > 0 else self._below, exponent)[bucket - 64] += 1
            else:
                self._zeros += 1
        self.total += sum(values)
        self.min = min(self.min, *values)
        self.max = max(self.max, *values)

    def merge(self, other: Sketch) -> None:
        """Add all values of another sketch."""
        for mine, theirs in ((self._above, other._above), (self._below, other._below)):
            for exponent, row in theirs.items():
                own = self._row(mine, exponent)
                for bucket, count in enumerate(row):
                    own[bucket] += count
        self._zeros += other._zeros
        self._is_whole = self._is_whole and other._is_whole
        self.total += other.total
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)

    def copy(self) -> Sketch:
        """Return another with the same values."""
        other = Sketch()
        other.merge(self)
        return other

    @property
    def count(self) -> int:
        """How many values there were."""
        return self._zeros + sum(sum(row) for rows in (self._above, self._below) for row in rows.values())

    @property
    def mean(self) -> float:
        """The mean of the values; not a number (``nan``) when there are none."""
        count = self.count
        return self.total / count if count else nan

    def quantile(self, share: float) -> float:
        """Return the value that this share of all do not exceed; not a number when there are none.

        Raises `UsageError` for a share that is not from 0 to 1.

        >>> Sketch([1, 2, 3, 4, 100]).quantile(0.5), Sketch().quantile(0.5)
        (3, nan)
        """
        if not 0 <= share <= 1:
            raise UsageError(f"quantile({share!r}): give a share from 0 to 1, such as 0.95")
        count = self.count
        if not count:
            return nan
        rank = ceil(round(share * count, 6))  # 0.07 * 100 is 7, and no more
        if rank <= 1:
            return self.min
        if rank >= count:
            return self.max
        seen = 0
        for value, times in self._values():
            seen += times
            if seen >= rank:
                return min(max(value, self.min), self.max)
        raise AssertionError("there are as many values as were counted")

    def _values(self) -> Iterator[tuple[float, int]]:
        """Yield what stands for each bucket in which there are values, and how many, in order."""
        self._settle()
        for exponent in sorted(self._below, reverse=True):
            for bucket in range(BUCKETS - 1, -1, -1):
                if times := self._below[exponent][bucket]:
                    yield -self._middle(exponent, bucket), times
        if self._zeros:
            yield 0, self._zeros
        for exponent in sorted(self._above):
            for bucket, times in enumerate(self._above[exponent]):
                if times:
                    yield self._middle(exponent, bucket), times

    def _middle(self, exponent: int, bucket: int) -> float:
        low = BUCKETS + bucket
        if self._is_whole and exponent <= 7:  # no more than one whole number belongs here
            return int(ldexp(low, exponent - 7))
        return ldexp(2 * low * (low + 1) / (2 * low + 1), exponent - 7)

    # -- its bounds -------------------------------------------------------------------------------------

    def _row(self, rows: dict[int, list[int]], exponent: int) -> list[int]:
        if len(rows) >= 2 * OCTAVES and exponent not in rows:
            self._settle()
        return rows.setdefault(exponent, [0] * BUCKETS)

    def _settle(self) -> None:
        """Put together what is too small to be kept apart. When it is done makes no difference."""
        floor = max((*self._above, *self._below), default=0) - OCTAVES + 1
        for rows in (self._above, self._below):
            small = [exponent for exponent in rows if exponent < floor]
            if small:
                times = sum(sum(rows.pop(exponent)) for exponent in small)
                rows.setdefault(floor, [0] * BUCKETS)[0] += times

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        for one in (self, other):
            one._settle()
        return all(getattr(self, name) == getattr(other, name) for name in Sketch.__slots__)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<sketch of {self.count} values>"


@dataclass(frozen=True, repr=False)
class Summary:
    """What was measured many times: number, mean, least, greatest, and quantiles.

    As text it is a line; `as_dict` is for JSON. What there is none of, of no values, is not a number.

    Example:
        >>> from kamaelia.observe import Sketch, Summary
        >>> delay = Summary(Sketch([0.020, 0.021, 0.025]), "s")
        >>> print(delay)
        3 values: mean 22 ms, min 20 ms, p50 21.1 ms, p95 25 ms, p99 25 ms, max 25 ms
        >>> delay.max
        0.025
    """

    sketch: Sketch
    """All that is known; do not change it."""
    unit: str = ""
    """Of the numbers: ``s``, ``bit/s``, ``frames`` ..."""
    per_unit: int = 1
    """How many of what the sketch counts are one of these: of nanoseconds 10**9 for seconds."""

    @property
    def count(self) -> int:
        """How often it was measured."""
        return self.sketch.count

    @property
    def total(self) -> float:
        """The sum."""
        return self.sketch.total / self.per_unit

    @property
    def mean(self) -> float:
        """The mean."""
        count = self.sketch.count
        return self.sketch.total / (count * self.per_unit) if count else nan

    @property
    def min(self) -> float:
        """The least."""
        return self._told(self.sketch.min)

    @property
    def max(self) -> float:
        """The greatest."""
        return self._told(self.sketch.max)

    def quantile(self, share: float) -> float:
        """Return what this share of all do not exceed, with an error of less than 1 %: see `Sketch`."""
        return self._told(self.sketch.quantile(share))

    def merged(self, other: Summary) -> Summary:
        """Return a summary of what this and another have measured."""
        sketch = self.sketch.copy()
        if self.per_unit != other.per_unit:
            raise UsageError(f"{self.unit!r} and {other.unit!r} are counted in different parts")
        sketch.merge(other.sketch)
        return Summary(sketch, self.unit or other.unit, self.per_unit)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values; None for those that there are not."""
        values = {name: getattr(self, name) for name in ("mean", "min")}
        values |= {name_of(share): self.quantile(share) for share in SHOWN}
        values["max"] = self.max
        shown = {name: value if isfinite(value) else None for name, value in values.items()}
        return {"kind": "summary", "count": self.count, **shown, "unit": self.unit}

    def cells(self) -> list[str]:
        """Return the cells of a row in a table: those that `COLUMNS` names."""
        quantiles = [self.quantile(share) for share in SHOWN]
        return [quantity(value, self.unit) for value in (self.mean, self.min, *quantiles, self.max)]

    def _told(self, value: float) -> float:
        if not isfinite(value):
            return nan
        return value if self.per_unit == 1 else value / self.per_unit

    def __str__(self) -> str:
        told = ", ".join(f"{name} {cell}" for name, cell in zip(COLUMNS, self.cells(), strict=True))
        return f"{self.count:,} values: {told}" if self.count else "no values"

    def __repr__(self) -> str:
        return f"<Summary of {self}>"


def name_of(share: float) -> str:
    """Return what a quantile is called.

    >>> name_of(0.95), name_of(0.999)
    ('p95', 'p99.9')
    """
    return f"p{100 * share:.10g}"


COLUMNS = ("mean", "min", *map(name_of, SHOWN), "max")


def summaries(rows: Iterable[tuple[str, Summary]]) -> str:
    """Return a table of summaries, each with its name.

    >>> print(summaries([("delay", Summary(Sketch([0.02, 0.03]), "s"))]), end="")
           count   mean    min    p50    p95    p99    max
    delay      2  25 ms  20 ms  20 ms  30 ms  30 ms  30 ms
    """
    return table([["", "count", *COLUMNS], *([name, f"{one.count:,}", *one.cells()] for name, one in rows)])


__all__ = ["Sketch", "Summary", "summaries"]
