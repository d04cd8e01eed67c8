"""What it costs to look: statistics of all boxes twice a second, and taps that were made and taken away."""

from __future__ import annotations

from dataclasses import replace

from .contest import Contest, Contestant, Measure, Target
from .ours import Forms
from .pipeline import RATE, ours

MOST = 0.98  # of the rate without: at most 2 % slower


def contests(forms: Forms) -> list[Contest]:
    return [
        one("statistics", forms, "statistics", "snapshotting the statistics of all boxes twice a second"),
        one("taps", forms, "taps", "taps unused: made on every box, and taken away again"),
    ]


def one(name: str, forms: Forms, extra: str, work: str) -> Contest:
    without = ours(forms, 1000, name="the same without")
    watched: Contestant = replace(without, name="Kamaelia", arguments=(*without.arguments, extra))
    rate: Measure = replace(RATE, what="message hops a second, 10-stage pipeline, queue 1000")
    return Contest(
        name,
        work,
        (rate,),
        (watched, without),
        (Target(MOST, "the same without"),),
        paired=True,
        times_rounds=3,
    )
