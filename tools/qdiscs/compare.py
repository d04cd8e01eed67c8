"""What can be said of two runs of the same packets: what was lost, in which bursts, when what came.

Where both are ruled by chance, a test says how often two runs of one and the same thing would differ as much:
that is the p-value, and below `ALPHA` they are taken for different. Where nothing is left to chance the
figures themselves are compared.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from tests.testbed.links.chances import upper_gamma

from .real import Seen

ALPHA = 0.001  # of each test: of a thousand things that are alike one is called different
RARE = 5.0  # of what is expected less often, several values go together


def first_times(seen: Seen) -> dict[int, int]:
    """Return when each packet came out for the first time."""
    return {number: time for number, time, _ in reversed(seen.came)}


def lost(seen: Seen) -> list[bool]:
    """Return of each packet whether it did not come out."""
    came = first_times(seen)
    return [number not in came for number in range(len(seen.arrived))]


def delays(seen: Seen) -> list[int]:
    """Return how long each packet that came out was under way, in the order in which they were sent."""
    return [time - seen.arrived[number] for number, time in sorted(first_times(seen).items())]


def runs(lost: Iterable[bool]) -> list[int]:
    """Return how many packets were lost in a row, each time; the first and the last row may have been longer.

    >>> runs([False, True, True, False, True, False])
    [2, 1]
    """
    return [len(list(group)) for is_lost, group in groupby(lost) if is_lost]


def share(values: Sequence[int], part: float) -> int:
    """Return the value within which that part of all is.

    >>> share([5, 1, 4, 2, 3], 0.5), share([5, 1, 4, 2, 3], 0.99)
    (3, 5)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


@dataclass(frozen=True)
class Shaped:
    """How a qdisc and a model, neither of which draws chance, have treated the same packets."""

    dropped: tuple[int, int]
    """By the real one, and by ours."""
    unlike: int
    """Packets that only one of them has dropped."""
    apart: int
    """How far apart the numbers of drops are that both have had up to any packet, at most."""
    early: int
    """Nanoseconds by which a packet came earlier than ours, at most: less than 0 when none did."""
    late: tuple[int, int, int]
    """Nanoseconds by which those that both let through came later than ours: p50, p99, the most."""
    throughput: float
    """Bytes a second of the real one, from the first packet that came out to the last, over that of ours."""


def shaped(real: Seen, ours: Seen, sizes: Sequence[int]) -> Shaped:
    """Compare packet by packet."""
    one, other = first_times(real), first_times(ours)
    late = [time - other[number] for number, time in one.items() if number in other]

    def speed(times: dict[int, int]) -> float:
        last = max(times, key=lambda number: times[number])
        carried = sum(sizes[number] for number in times) - sizes[last]
        return carried / max(1, max(times.values()) - min(times.values()))

    count = len(real.arrived)
    differences = list(accumulate((number in one) - (number in other) for number in range(count)))
    return Shaped(
        (count - len(one), count - len(other)),
        len(one.keys() ^ other.keys()),
        max(map(abs, differences)),
        -min(late),
        (share(late, 0.5), share(late, 0.99), max(late)),
        speed(one) / speed(other),
    )


# --- chance -------------------------------------------------------------------------------------------


def same_shares(one: Sequence[int], other: Sequence[int]) -> float:
    """Return the p-value of two rows of counts of the same things (chi-square, of homogeneity).

    >>> same_shares([50, 50], [55, 45]) > 0.4, same_shares([50, 950], [10, 990]) < 0.001
    (True, True)
    """
    rows = [(a, b) for a, b in zip(one, other, strict=True) if a + b]
    if len(rows) < 2:
        return 1.0
    first, second = sum(one), sum(other)
    whole = first + second
    statistic = 0.0
    for a, b in rows:
        for seen, total in ((a, first), (b, second)):
            expected = (a + b) * total / whole
            statistic += (seen - expected) ** 2 / expected
    return upper_gamma((len(rows) - 1) / 2, statistic / 2)


def same_rate(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Return the p-value of two rows of packets, of which each is lost by itself.

    >>> same_rate([True] * 10 + [False] * 90, [True] * 12 + [False] * 88) > 0.5
    True
    """
    return same_shares([sum(one), len(one) - sum(one)], [sum(other), len(other) - sum(other)])


def same_numbers(one: Sequence[int], other: Sequence[int]) -> float:
    """Return the p-value of two lists of whole numbers from 1 on, such as lengths of bursts; of large ones,
    which are rare, several go together (chi-square).

    >>> same_numbers([1, 1, 2, 1, 3] * 20, [1, 2, 1, 1, 3] * 20) > 0.001
    True
    >>> same_numbers([1] * 100, [1, 2] * 50) < 0.001
    True
    """
    if not one or not other:
        return 1.0 if not one and not other else 0.0
    counts: list[list[int]] = [[], []]
    least = RARE * (len(one) + len(other)) / min(len(one), len(other))
    waiting = [0, 0]
    for number in range(1, max(*one, *other) + 1):
        waiting = [waiting[0] + one.count(number), waiting[1] + other.count(number)]
        if sum(waiting) >= least:
            for row, value in zip(counts, waiting, strict=True):
                row.append(value)
            waiting = [0, 0]
    for row, value in zip(counts, waiting, strict=True):
        if row:
            row[-1] += value
        else:
            row.append(value)
    return same_shares(*counts)


def apart(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the largest difference between the shares of both that are up to a value.

    >>> apart([1, 2, 3, 4], [1, 2, 3, 5])
    0.25
    """
    first, second = sorted(one), sorted(other)
    return max(
        abs(bisect_right(first, value) / len(first) - bisect_right(second, value) / len(second))
        for value in {*first, *second}
    )


def same_distribution(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the p-value of two samples (Kolmogorov and Smirnov, with Stephens' approximation).

    >>> (
    ...     same_distribution(range(100), range(2, 102)) > 0.9,
    ...     same_distribution(range(100), range(50, 150)) < 0.001,
    ... )
    (True, True)
    """
    weight = len(one) * len(other) / (len(one) + len(other))
    scaled = (math.sqrt(weight) + 0.12 + 0.11 / math.sqrt(weight)) * apart(one, other)
    if scaled < 0.3:  # there the series needs too many terms, and p is 1 to four digits
        return 1.0
    total = sum((-1.0) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 100))
    return min(1.0, max(0.0, 2 * total))


def overtaken(seen: Seen) -> int:
    """Return how many packets came out after one that was sent later."""
    latest, count = -1, 0
    for number, _, _ in seen.came:
        count += number < latest
        latest = max(latest, number)
    return count
