"""Delta debugging and bisection find what is needed, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.testbed.shrinking.minimising import ddmin, simpler, smallest

pytestmark = pytest.mark.one_core


class Tries:
    """Tries candidates with a property, and counts."""

    def __init__(self, fails: Any) -> None:
        self.fails = fails
        self.tried: list[Any] = []

    def __call__(self, candidates: Sequence[Any]) -> int | None:
        for number, one in enumerate(candidates):
            self.tried.append(one)
            if self.fails(one):
                return number
        return None


@given(st.integers(0, 60), st.data())
def test_what_is_needed_is_found_exactly(count: int, data: st.DataObject) -> None:
    needed = data.draw(st.sets(st.integers(0, max(count - 1, 0)), max_size=min(count, 5)))
    tries = Tries(lambda kept: needed <= set(kept))
    assert ddmin(range(count), tries) == tuple(sorted(needed))


@given(st.integers(1, 16), st.integers(0, 2**32))
def test_nothing_can_be_left_out_of_what_is_found(count: int, salt: int) -> None:
    def fails(kept: tuple[int, ...]) -> bool:
        return len(kept) == count or hash((salt, kept)) % 3 == 0

    found = ddmin(range(count), Tries(fails))
    assert fails(found)
    assert not any(fails(found[:n] + found[n + 1 :]) for n in range(len(found))) or len(found) == 0


@given(st.integers(1, 40))
def test_it_takes_quadratically_many_tries_at_most(count: int) -> None:
    tries = Tries(lambda kept: len(kept) == count)  # all are needed
    assert ddmin(range(count), tries) == tuple(range(count))
    assert len(tries.tried) <= count**2 + 3 * count + 1


def test_one_of_many_takes_logarithmically_many() -> None:
    tries = Tries(lambda kept: 700 in kept)
    assert ddmin(range(1024), tries) == (700,)
    assert len(tries.tried) <= 1 + 2 * 10


def test_nothing_is_needed() -> None:
    tries = Tries(lambda kept: True)
    assert ddmin("abc", tries) == () and tries.tried == [()]
    assert ddmin("", Tries(lambda kept: False)) == ()


@given(st.integers(0, 999), st.integers(1, 1000))
def test_the_smallest_number_is_found(least: int, count: int) -> None:
    tries = Tries(lambda value: value >= least)
    assert smallest(range(count), tries) == (least if least < count else None)
    assert len(tries.tried) <= 12


def test_the_simplest_is_tried_first() -> None:
    tries = Tries(lambda value: value in (0, 7))
    assert smallest(range(10), tries) == 0 and tries.tried == [0]


@given(st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9)))
def test_simpler_numbers_are_nearer_to_nothing(value: float) -> None:
    found = simpler(value)
    assert all(abs(one) < abs(value) for one in found)
    assert found == sorted(found, key=abs) and (not found or found[0] == 0)
    assert all(type(one) is type(value) or one == 0 for one in found)
