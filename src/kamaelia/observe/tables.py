"""Text for people: tables, and quantities with a unit and three figures.

>>> print(table([["host", "delay"], ["viewer-3", "20.1 ms"], ["edge", "4 ms"]]), end="")
host        delay
viewer-3  20.1 ms
edge         4 ms
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

SMALLER = ("", "m", "u", "n")
LARGER = ("", "k", "M", "G", "T")
SCALED = ("s", "bit/s", "B", "B/s", "Hz")  # units that people write with such prefixes


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return a table with two spaces between its columns, the first to the left and the others to the right.

    Arguments:
        rows: of cells; a row may have fewer than the first
    """
    lines = [list(row) for row in rows]
    columns = max(map(len, lines), default=0)
    widths = [max(len(line[column]) for line in lines if column < len(line)) for column in range(columns)]
    text = ""
    for line in lines:
        cells = [
            cell.rjust(widths[column]) if column else cell.ljust(widths[0])
            for column, cell in enumerate(line)
        ]
        text += "  ".join(cells).rstrip() + "\n"
    return text


def quantity(value: float, unit: str = "") -> str:
    """Return a number with its unit: three figures, thousands with a comma, and ``-`` for what is no number.

    >>> quantity(0.0201, "s"), quantity(1_920_400, "bit/s"), quantity(11988), quantity(0.5, "frames")
    ('20.1 ms', '1.92 Mbit/s', '11,988', '0.5 frames')
    """
    if math.isnan(value):
        return "-"
    if unit in SCALED and value and math.isfinite(value):
        return _scaled(value, unit)
    text = figures(value)
    return f"{text} {unit}" if unit else text


def percent(share: float) -> str:
    """Return a share of 1 in percent.

    >>> percent(0.00125), percent(1), percent(float("nan"))
    ('0.125 %', '100 %', '-')
    """
    return "-" if math.isnan(share) else f"{figures(100 * share)} %"


def several(count: int, noun: str) -> str:
    """Return a number of things.

    >>> several(1, "message"), several(1200, "burst")
    ('1 message', '1,200 bursts')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def figures(value: float) -> str:
    """Return a number with three figures; whole ones, and those of a thousand and more, have all of theirs.

    >>> figures(2.0), figures(2.3456), figures(0.00012345), figures(1234.5), figures(-7)
    ('2', '2.35', '0.000123', '1,234', '-7')
    """
    if value == int(value) if math.isfinite(value) else False:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def _scaled(value: float, unit: str) -> str:
    prefixes = LARGER if abs(value) >= 1 and unit != "s" else SMALLER
    step = 1000.0 if prefixes is LARGER else 0.001
    scaled = value
    index = 0
    # What is rounded to 1000 of one prefix is 1 of the next.
    while index < len(prefixes) - 1 and (
        abs(scaled) >= 999.5 if prefixes is LARGER else float(f"{abs(scaled):.3g}") < 1
    ):
        index += 1
        scaled = value / step**index if prefixes is LARGER else value * 1000.0**index
    return f"{figures(float(f'{scaled:.3g}') if abs(scaled) < 999.5 else scaled)} {prefixes[index]}{unit}"


__all__ = ["figures", "percent", "quantity", "several", "table"]
