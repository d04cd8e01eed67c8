"""Numbers of messages: by hand, and against the definitions of the RFCs, computed in the slow way."""

from __future__ import annotations

import random
from collections.abc import Sequence as Row
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kamaelia.observe import Sketch
from kamaelia.testbed.measures_sequence import Sequence

pytestmark = [pytest.mark.one_core, pytest.mark.once]


class Told(NamedTuple):
    """What a sequence tells; lists are sorted."""

    expected: int
    lost: int
    bursts: list[int]
    duplicates: int
    extents: list[int]
    lateness: list[int]
    late: int


def told(numbers: Row[int], window: int = 1000, wrap: int | None = None) -> tuple[list[bool], Told]:
    """Let numbers come at 10, 20, 30 ..., and return what was said of each, and what is told at last."""
    sequence = Sequence(window, wrap)
    said = [sequence.arrived(number, 10 * place) for place, number in enumerate(numbers, 1)]
    values = [values_of(one) for one in (sequence.bursts(), sequence.extents, sequence.lateness)]
    return said, Told(
        sequence.expected,
        sequence.lost,
        values[0],
        sequence.duplicates,
        values[1],
        values[2],
        sequence.late,
    )


def values_of(sketch: Sketch) -> list[int]:
    """The values in a sketch of whole numbers below 128, and of multiples of 10 above."""
    found = [sketch.quantile(rank / sketch.count) for rank in range(1, sketch.count + 1)]
    return [round(value) if value < 128 else round(value / 10) * 10 for value in found]


def by_definition(numbers: Row[int]) -> Told:
    """The same as the RFCs define it."""
    first: list[tuple[int, int]] = []  # number and time of each that is no duplicate
    known: set[int] = set()
    for place, number in enumerate(numbers, 1):
        if number not in known:
            first.append((number, 10 * place))
            known.add(number)
    extents, lateness = [], []
    for i, (number, time) in enumerate(first):
        greater = [j for j in range(i) if first[j][0] > number]
        if greater:  # RFC 4737, sections 4.2.2 and 4.3.2
            extents.append(i - greater[0])
            lateness.append(time - first[greater[0]][1])
    whole = range(min(known), max(known) + 1) if known else range(0)
    bursts, length = [], 0
    for number in whole:
        if number not in known:
            length += 1
        elif length:
            bursts.append(length)
            length = 0
    return Told(
        len(whole),
        len(whole) - len(known),
        sorted(bursts),
        len(numbers) - len(first),
        sorted(extents),
        sorted(lateness),
        0,
    )


# -- by hand ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "what"),
    [
        ([], Told(0, 0, [], 0, [], [], 0)),
        ([7], Told(1, 0, [], 0, [], [], 0)),
        ([0, 1, 2, 3], Told(4, 0, [], 0, [], [], 0)),
        ([5, 6, 9, 10], Told(6, 2, [2], 0, [], [], 0)),
        ([0, 2, 5, 6, 10], Told(11, 6, [1, 2, 3], 0, [], [], 0)),
        ([0, 1, 1, 2, 0], Told(3, 0, [], 2, [], [], 0)),
        # 3 comes after 4: one message too late, and 10 later than that one
        ([1, 2, 4, 3, 5], Told(5, 0, [], 0, [1], [10], 0)),
        # RFC 4737, section 7.1, table 1: 4 comes after 5, 6, 7 and 8
        ([1, 2, 3, 5, 6, 7, 8, 4, 9, 10], Told(10, 0, [], 0, [4], [40], 0)),
        # section 7.2, table 3: 7 and 8 are late by two and by three
        ([1, 2, 3, 4, 5, 6, 9, 10, 7, 8, 11], Told(11, 0, [], 0, [2, 3], [20, 30], 0)),
        # a gap that is half filled leaves two bursts
        ([0, 6, 3, 7], Told(8, 4, [2, 2], 0, [1], [10], 0)),
        # what comes before the first is reordered, too; 8 has not come
        ([10, 9, 7, 11], Told(5, 1, [1], 0, [1, 2], [10, 20], 0)),
        ([10, 7, 8, 7], Told(4, 1, [1], 1, [1, 2], [10, 20], 0)),
        # duplicates count in no extent
        ([1, 3, 3, 3, 2], Told(3, 0, [], 2, [1], [30], 0)),
        ([-3, -2, 0], Told(4, 1, [1], 0, [], [], 0)),
    ],
)
def test_by_hand(numbers: list[int], what: Told) -> None:
    assert told(numbers)[1] == what
    if numbers:
        assert by_definition(numbers) == what


def test_copies_and_late_ones_are_told_from_the_others() -> None:
    said, _ = told([1, 2, 2, 4, 3, 3], window=1000)
    assert said == [True, True, False, True, True, False]


@given(st.lists(st.integers(0, 40), max_size=60))
@example([3, 2, 1, 0])
@example([40, 0, 20, 10, 30, 5, 5])
def test_whatever_comes_is_told_as_defined(numbers: list[int]) -> None:
    assert told(numbers)[1] == by_definition(numbers)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=300), st.integers(0, 2**32))
def test_a_stream_with_loss_copies_and_disorder_is_told_as_defined(kinds: list[int], seed: int) -> None:
    chance = random.Random(seed)
    sent = [number for number, kind in enumerate(kinds) for _ in range((0, 1, 1, 1, 1, 2)[kind])]
    numbers = [number for _, number in sorted((number + chance.uniform(0, 4), number) for number in sent)]
    assert told(numbers)[1] == by_definition(numbers)


# -- the window -------------------------------------------------------------------------------------


def test_what_is_too_late_stays_lost() -> None:
    # with a window of 10, 5 may come as long as the greatest is 14
    assert told([4, *range(6, 15), 5], 10) == ([True] * 11, Told(11, 0, [], 0, [9], [90], 0))
    said, what = told([4, *range(6, 16), 5], 10)
    assert (said[-1], what) == (False, Told(12, 1, [1], 0, [], [], 1))
    # whether a late one is a copy nobody knows any more
    assert told([*range(20), 5], 10) == ([True] * 20 + [False], Told(20, 0, [], 0, [], [], 1))


def test_bursts_are_whole_however_they_leave_the_window() -> None:
    for window in (1, 2, 3, 7, 1000):
        for numbers in ([0, 30], [0, 10, 11, 30, 31], [0, *range(5, 60), 70, *range(71, 100), 140]):
            what = by_definition(numbers)
            assert told(numbers, window)[1] == what, (window, numbers)


def test_a_burst_may_grow_when_its_middle_never_comes() -> None:
    # 3 and 4 are given up one after the other, and are one burst all the same
    assert told([2, 5, *range(6, 20)], 10)[1].bursts == [2]
    assert told([2, 4, 6, 3, *range(7, 40)], 10)[1].bursts == [1]


@given(st.lists(st.integers(0, 500), max_size=100), st.integers(1, 50))
@example([1, 317, 473], 1)
def test_nothing_gets_lost_in_the_books(numbers: list[int], window: int) -> None:
    sequence = Sequence(window)
    said = [sequence.arrived(number, 10 * place) for place, number in enumerate(numbers, 1)]
    assert said.count(True) + sequence.duplicates + sequence.late == len(numbers)
    assert sequence.lost == sequence.expected - said.count(True)
    assert sequence.expected <= 501
    bursts = sequence.bursts()
    lengths = [bursts.quantile(rank / bursts.count) for rank in range(1, bursts.count + 1)]
    assert sum(lengths) == pytest.approx(sequence.lost, rel=0.01)


def test_memory_is_bounded() -> None:
    sequence = Sequence(window=100)
    chance = random.Random(5)
    number = 0
    for _ in range(2000):
        number += chance.choice([1, 1, 3, 1000, 10**15])
        sequence.arrived(number, 0)
        assert len(sequence._missing) <= 100
    assert sequence.lost == number - sequence._first + 1 - 2000


# -- numbers that begin again -----------------------------------------------------------------------


def test_numbers_of_16_bits_begin_again() -> None:
    numbers = [n % 65536 for n in range(65000, 200_000) if n not in (65535, 65536, 65537, 150_000)]
    assert told(numbers, wrap=65536)[1] == Told(135_000, 4, [1, 3], 0, [], [], 0)


def test_disorder_at_the_turn() -> None:
    assert told([65534, 0, 65535, 1, 3, 2], wrap=65536)[1] == Told(6, 0, [], 0, [1, 1], [10, 10], 0)
    assert told([0, 65535, 65534, 1], wrap=65536)[1] == Told(4, 0, [], 0, [1, 2], [10, 20], 0)


def test_a_sender_that_begins_again_begins_another_sequence() -> None:
    sequence = Sequence(window=10)
    for number in (*range(100), *range(105, 200)):
        assert sequence.arrived(number, number, sent=number)
    for number in (0, 1, 3):
        assert sequence.arrived(number, 1000 + number, sent=1000 + number)
    assert (sequence.expected, sequence.came, sequence.lost) == (204, 198, 6)
    assert values_of(sequence.bursts()) == [1, 5]
    assert sequence.arrived(2, 1010, sent=1002)
    assert values_of(sequence.extents) == [1]
    assert values_of(sequence.lateness) == [7]
    assert sequence.late == 0


def test_without_times_of_sending_nobody_can_tell() -> None:
    sequence = Sequence(window=10)
    for number in (*range(100), 0, 1, 2):
        sequence.arrived(number, 0)
    assert (sequence.late, sequence.expected) == (3, 100)
    for number in (100, 5):  # it was sent before, and has only been on its way for long
        sequence.arrived(number, 0, sent=number)
    assert (sequence.late, sequence.expected) == (4, 101)
