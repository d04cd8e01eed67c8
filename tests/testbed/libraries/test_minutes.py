"""Ten minutes of virtual time, in which ten phones ask each second."""

from __future__ import annotations

import pytest

from .cases import Pair, ten_minutes
from .pairs import PAIRS

WALL = 20  # seconds that it may take


@pytest.mark.soak
@pytest.mark.one_core("compiled")
@pytest.mark.parametrize("pair", PAIRS.values(), ids=str)
def test_ten_minutes_take_no_twenty_seconds(pair: Pair) -> None:
    taken, trace = ten_minutes(pair)
    print(f"{pair}: {trace.metrics.seconds:.0f} s of virtual time took {taken:.1f} s")
    assert taken < WALL
