"""What tests of chance need: chi-square, Kolmogorov, and the theory of runs in a two-state chain.

A test with chance asks for the p-value: how often theory would give something as odd as what was seen. A
single one is less than 0.05 in one of twenty cases though nothing is wrong, so a test takes the p-values of
several seeds, which have to be spread evenly from 0 to 1: `judge` fails when one is too small for their
number (Bonferroni), or when they are not spread evenly (Kolmogorov and Smirnov). The seeds are fixed, so what
passes once passes always.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

ALPHA = 0.001  # of each judgement
SEEDS = range(1, 21)


def chi_square_p(observed: Sequence[int], expected: Sequence[float]) -> float:
    """Return the p-value of Pearson's test; what is expected has to come to as much as what is observed."""
    assert math.isclose(sum(observed), sum(expected), rel_tol=1e-9)
    statistic = sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True))
    return upper_gamma((len(observed) - 1) / 2, statistic / 2)


def upper_gamma(a: float, x: float) -> float:
    """Return the regularised upper incomplete gamma function Q(a, x), by its series or its continued
    fraction."""
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        n = a
        while term > total * 1e-16:
            n += 1
            term *= x / n
            total += term
        return 1 - scale * total
    value = 0.0
    for k in range(500, 0, -1):  # x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / (x + 5 - a - ...))
        value = k * (k - a) / (x + 2 * k + 1 - a - value)
    return scale / (x + 1 - a - value)


def kolmogorov_p(values: Iterable[float]) -> float:
    """Return the p-value of numbers that should be spread evenly from 0 to 1 (Stephens' approximation)."""
    ordered = sorted(values)
    n = len(ordered)
    distance = max(max((i + 1) / n - x, x - i / n) for i, x in enumerate(ordered))
    scaled = (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n)) * distance
    total = sum((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 100))
    return min(1.0, max(0.0, 2 * total))


def judge(p_values: Sequence[float]) -> None:
    """Fail when p-values of several seeds are not what chance gives."""
    shown = ", ".join(f"{p:.4f}" for p in p_values)
    assert min(p_values) > ALPHA / len(p_values), f"one is too small; seeds {SEEDS}: {shown}"
    assert kolmogorov_p(p_values) > ALPHA, f"they are not spread evenly; seeds {SEEDS}: {shown}"


def pooled(observed: Iterable[int], chances: Sequence[float]) -> tuple[list[int], list[float]]:
    """Return counts and expectations of the numbers 1, 2, ..., where rare ones go together at the end.

    Arguments:
        observed: numbers from 1 on
        chances: of 1, 2, ...; the rest is that of all larger ones
    """
    numbers = list(observed)
    counts: list[int] = []
    expected: list[float] = []
    left = 1.0
    for number, chance in enumerate(chances, start=1):
        if min(chance, left - chance) * len(numbers) < 5:
            break
        counts.append(numbers.count(number))
        expected.append(chance * len(numbers))
        left -= chance
    counts.append(len(numbers) - sum(counts))
    expected.append(len(numbers) - sum(expected))
    return counts, expected


def run_chances(
    p: float, r: float, loss_good: float, loss_bad: float, lost: bool, longest: int
) -> list[float]:
    """Return how likely runs of lost (or delivered) packets are to be 1, 2, ... packets long.

    Worked out step by step, without the formula that is under test: the chances of both states at the first
    packet of a run, and then at each packet that goes on with it.
    """
    of_run = (loss_good, loss_bad) if lost else (1 - loss_good, 1 - loss_bad)
    share_bad = p / (p + r)

    def step(good: float, bad: float) -> tuple[float, float]:
        return good * (1 - p) + bad * r, good * p + bad * (1 - r)

    good, bad = step((1 - share_bad) * (1 - of_run[0]), share_bad * (1 - of_run[1]))
    good, bad = good * of_run[0], bad * of_run[1]
    good, bad = good / (good + bad), bad / (good + bad)
    at_least = [1.0]
    for _ in range(longest):
        good, bad = step(good, bad)
        good, bad = good * of_run[0], bad * of_run[1]
        at_least.append(good + bad)
    return [this - following for this, following in pairwise(at_least)]


def runs(packets: Iterable[bool], wanted: int) -> tuple[list[int], list[int]]:
    """Return the lengths of the first runs of lost and of delivered packets, so many of each, all of them
    whole."""
    lengths: dict[bool, list[int]] = {True: [], False: []}
    before: bool | None = None
    length = 0
    changes = 0
    for lost in packets:
        if lost != before:
            if changes >= 2:  # the first run may have begun earlier
                lengths[not lost].append(length)
                if min(len(lengths[True]), len(lengths[False])) == wanted:
                    break
            changes += 1
            before, length = lost, 0
        length += 1
    return lengths[True][:wanted], lengths[False][:wanted]
