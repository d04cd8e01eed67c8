"""Quantities and tables as text."""

from __future__ import annotations

import math

import pytest

from kamaelia.observe.tables import figures, percent, quantity, table

pytestmark = [pytest.mark.one_core, pytest.mark.once]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"),
        (1, "s", "1 s"),
        (0.9999, "s", "1 s"),
        (0.9994, "s", "999 ms"),
        (0.0201, "s", "20.1 ms"),
        (0.00099999, "s", "1 ms"),
        (1.5e-6, "s", "1.5 us"),
        (2e-9, "s", "2 ns"),
        (1e-12, "s", "0.001 ns"),
        (75, "s", "75 s"),
        (4000.4, "s", "4,000 s"),
        (-0.02, "s", "-20 ms"),
        (999, "B", "999 B"),
        (999.7, "B", "1 kB"),
        (1057, "B", "1.06 kB"),
        (150_000, "B", "150 kB"),
        (999_950, "B", "1 MB"),
        (1_920_400, "bit/s", "1.92 Mbit/s"),
        (12e15, "bit/s", "12,000 Tbit/s"),
        (0.5, "B", "500 mB"),
        (3, "frames", "3 frames"),
        (11988, "", "11,988"),
        (0.1234, "", "0.123"),
        (math.nan, "s", "-"),
        (math.inf, "s", "inf s"),
    ],
)
def test_a_quantity_has_three_figures_and_a_prefix(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_figures() -> None:
    assert [figures(n) for n in (0, -3, 1234567, 999.4, 999.6, 1e-5, 0.25)] == [
        "0",
        "-3",
        "1,234,567",
        "999",
        "1,000",
        "1e-05",
        "0.25",
    ]


def test_percent() -> None:
    assert [percent(share) for share in (0, 0.5, 1, 0.000012345, math.nan)] == [
        "0 %",
        "50 %",
        "100 %",
        "0.00123 %",
        "-",
    ]


def test_a_table_has_as_many_columns_as_its_widest_row() -> None:
    assert table([["a", "bb"], ["ccc"], ["d", "e", "f"]]) == "a    bb\nccc\nd     e  f\n"
    assert table([]) == ""
