"""Plots of means with their intervals, as SVG that stands in a page.

There is one kind: a parameter to the right, a number upwards, and for each value of the parameter the mean,
its interval, and small dots for single runs. Other parameters make several series, which differ in colour and
in the shape of their marks.

Colours and letters are classes; the page's style sheet says what they look like, so the same picture serves a
dark page and a light one. Nothing in it depends on the machine: the same study makes the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, isnan, log10
from typing import Any

from kamaelia.observe.tables import figures as shown

from .intervals import Interval
from .study import told

WIDTH, HEIGHT = 460, 290
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 46
SERIES = 6
"""How many series can be told apart."""
DOTS = 60  # single runs of a mean that are shown, at most
APART = 40  # pixels between the labels of two values
LOGARITHMIC = 30.0  # the largest value by the smallest, from which on steps are factors


@dataclass(frozen=True)
class Series:
    """Means along a parameter."""

    name: str
    """What all of them have in common; empty where there is one series only."""
    points: tuple[tuple[Any, Interval, tuple[float, ...]], ...]
    """The value of the parameter, the mean, and single runs."""


def plot(series: Sequence[Series], along: str, of: str, identity: str) -> str:
    """Return a plot as text of SVG.

    Arguments:
        series: at most `SERIES`
        along: the parameter
        of: the number
        identity: of this picture within its page

    >>> from kamaelia.testbed.experiments import interval
    >>> one = Series("", ((0, interval([1, 2, 3]), (1, 2, 3)), (1, interval([4, 5]), (4, 5))))
    >>> plot([one], "loss", "p95", "first").startswith('<svg viewBox="0 0 460 290" role="img"')
    True
    """
    values: list[Any] = []
    for one in series:
        values += [value for value, _, _ in one.points if value not in values]
    across, order = _across(values)
    low, high = _range(series)
    ticks = _ticks(low, high)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{identity}-t {identity}-d">',
        f'<title id="{identity}-t">{escape(of)} by {escape(along)}</title>',
        f'<desc id="{identity}-d">{escape(_in_words(series, along))}</desc>',
    ]
    for tick in ticks:
        y = up(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{y + 4:.1f}">{escape(shown(tick))}</text>')
    parts += _below(order, across, along)
    spread = 7.0 if len(series) > 1 else 0.0
    joined = _are_numbers(values)
    for place, one in enumerate(series):
        shift = (place - (len(series) - 1) / 2) * spread
        parts += _drawn(one, place, shift, across, up, joined)
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/></svg>')
    return "".join(parts)


def mark(place: int, x: float = 0.0, y: float = 0.0, size: float = 4.5) -> str:
    """Return the mark of a series as SVG."""
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"/>',
        _polygon(x, y, size, ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9))),
        _polygon(x, y, size, ((0, -1.2), (1.15, 0.9), (-1.15, 0.9))),
        _polygon(x, y, size, ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0))),
        _polygon(x, y, size, ((0, 1.2), (1.15, -0.9), (-1.15, -0.9))),
        _polygon(x, y, size, ((-1.4, -0.4), (1.4, -0.4), (1.4, 0.4), (-1.4, 0.4))),
    )
    return f'<g class="s{place} mark">{shapes[place % SERIES]}</g>'


def _polygon(x: float, y: float, size: float, corners: Sequence[tuple[float, float]]) -> str:
    points = " ".join(f"{x + size * right:.1f},{y + size * down:.1f}" for right, down in corners)
    return f'<polygon points="{points}"/>'


def _drawn(
    series: Series,
    place: int,
    shift: float,
    across: Callable[[Any], float],
    up: Callable[[float], float],
    joined: bool,
) -> list[str]:
    parts = []
    known = [(across(value) + shift, one, runs) for value, one, runs in series.points if isfinite(one.mean)]
    if joined and len(known) > 1:
        way = "L".join(f"{x:.1f} {up(one.mean):.1f}" for x, one, _ in known)
        parts.append(f'<path class="s{place} line" d="M{way}"/>')
    for x, one, runs in known:
        finite = [run for run in runs if isfinite(run)][:DOTS]
        for number, run in enumerate(finite):
            beside = ((number * 7) % 11 - 5) * 0.8  # so that equal runs can be seen as several
            parts.append(f'<circle class="s{place} dot" cx="{x + beside:.1f}" cy="{up(run):.1f}" r="1.7"/>')
        if not isnan(one.low):
            top, bottom = up(one.high), up(one.low)
            way = f"M{x - 5:.1f} {top:.1f}H{x + 5:.1f}M{x:.1f} {top:.1f}V{bottom:.1f}"
            parts.append(f'<path class="s{place} bar" d="{way}M{x - 5:.1f} {bottom:.1f}H{x + 5:.1f}"/>')
        parts.append(mark(place, x, up(one.mean)))
    return parts


def _below(values: Sequence[Any], across: Callable[[Any], float], along: str) -> list[str]:
    parts = []
    base = HEIGHT - BOTTOM
    free = 0.0
    for value in values:
        x = across(value)
        parts.append(f'<path class="axis" d="M{x:.1f} {base}v4"/>')
        text = _short(told(value))
        width = max(APART, 7 * len(text)) / 2
        if x - width >= free - 1:
            parts.append(f'<text class="tick middle" x="{x:.1f}" y="{base + 17}">{escape(text)}</text>')
            free = x + width
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="label middle" x="{middle:.1f}" y="{HEIGHT - 8}">{escape(along)}</text>')
    return parts


def _across(values: Sequence[Any]) -> tuple[Callable[[Any], float], list[Any]]:
    """Return where a value stands, and in what order they do."""
    first, last = LEFT + 28.0, WIDTH - RIGHT - 28.0
    if not _are_numbers(values):
        order = list(values)
        step = (last - first) / max(1, len(order) - 1)
        if len(order) == 1:
            return lambda value: (first + last) / 2, order
        return lambda value: first + step * order.index(value), order
    order = sorted(values)
    least, most = float(order[0]), float(order[-1])
    if least == most:
        return lambda value: (first + last) / 2, order
    if least > 0 and most / least >= LOGARITHMIC:
        return lambda value: first + (last - first) * log10(value / least) / log10(most / least), order
    return lambda value: first + (last - first) * (value - least) / (most - least), order


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(
        isinstance(one, (int, float)) and not isinstance(one, bool) and isfinite(one) for one in values
    )


def _range(series: Sequence[Series]) -> tuple[float, float]:
    found = [
        value
        for one in series
        for _, ends, runs in one.points
        for value in (ends.mean, ends.low, ends.high, *runs[:DOTS])
        if isfinite(value)
    ]
    if not found:
        return 0.0, 1.0
    low, high = min(found), max(found)
    if 0 <= low < high / 2:
        low = 0.0
    elif low / 2 < high <= 0:
        high = 0.0
    if low == high:
        return low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    margin = (high - low) * 0.04
    return low - margin * (low != 0), high + margin * (high != 0)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers within a range, some five.

    >>> _ticks(-1, 93), _ticks(0.0119, 0.0191)
    ([0.0, 20.0, 40.0, 60.0, 80.0], [0.012, 0.014, 0.016, 0.018])
    """
    rough = (high - low) / 5
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    digits = max(0, 2 - floor(log10(step)))
    return [round(number * step, digits) for number in range(first, last + 1)]


def _in_words(series: Sequence[Series], along: str) -> str:
    lines = []
    for one in series:
        told_points = [f"at {told(value)} {ends}" for value, ends, _ in one.points[:50]]
        lines.append(f"{one.name + ': ' if one.name else ''}{'; '.join(told_points)}.")
    return f"Means along {along}, in brackets their intervals. " + " ".join(lines)


def _short(text: str) -> str:
    return text if len(text) <= 18 else f"{text[:16]}..."


__all__ = ["SERIES", "Series", "mark", "plot"]
