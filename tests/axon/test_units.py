"""Quantities with units: what the examples in the docstrings do not show."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kamaelia.axon import UsageError, units

pytestmark = pytest.mark.one_core


@pytest.mark.parametrize(
    ("text", "expected"),
    [("35 ms", 0.035), ("0.1 s", 0.1), (".5 h", 1800.0), ("7 ns", 7e-9), ("1e3", None), ("-1 s", None)],
)
def test_text_is_computed_exactly_and_rounded_once(text: str, expected: float | None) -> None:
    if expected is not None:
        assert units.seconds(text) == expected
        return
    with pytest.raises(UsageError, match=f"^time='{text}': write a number and one of ns, us, "):
        units.seconds(text)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (10**400, "0x"),
        (10**5000, "0x"),
        (math.inf, "inf is no quantity"),
        (math.nan, "nan is no quantity"),
        ("9" * 400 + " s", "'9{56}\\.\\.\\.: write a number"),
        ("9" * 5000 + " s", "'9{56}\\.\\.\\.: write a number"),
    ],
    ids=["400 digits", "5000 digits", "inf", "nan", "400 digits in text", "5000 digits in text"],
)
def test_what_is_beyond_all_measure_is_refused_in_a_short_sentence(value: Any, shown: str) -> None:
    for read in (units.seconds, units.bits_per_second, units.bytes_per_second, units.size, units.share):
        with pytest.raises(UsageError, match=f"^gap={shown}") as caught:
            read(value, "gap")
        assert len(str(caught.value)) < 400
