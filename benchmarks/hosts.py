"""Simulated hosts that are idle: what a hundred thousand of them take of memory, and of time to make."""

from __future__ import annotations

from dataclasses import replace

from .contest import Contest, Contestant, Measure, Target
from .ours import Forms
from .programs import Python

NUMBER = 100_000
FEWER = 10_000  # of the plain core; what is for each of them compares
MOST = 600e6  # bytes

MEASURES = (
    Measure("memory", "memory of the whole process", "B", more_is_better=False),
    Measure("each", "memory for each", "B", more_is_better=False),
    Measure("making", "making, linking and starting each", "s", more_is_better=False),
    Measure("ending", "ending each", "s", more_is_better=False),
)


def contests(forms: Forms) -> list[Contest]:
    """Return the one contest, in which there are fewer hosts of the plain core."""
    number = NUMBER if forms.compiled else FEWER
    program = Python(forms.version, "hosts_kamaelia")
    kamaelia = list(forms.contestants(Contestant("Kamaelia", program, (number,), limit=300)))
    if forms.both:
        kamaelia[1] = replace(
            kamaelia[1], name=f"Kamaelia, plain core, {FEWER:,} of them", arguments=(FEWER,)
        )
    return [
        Contest(
            "hosts",
            f"{number:,} simulated hosts with an address, a link both ways and a component that waits",
            MEASURES,
            tuple(kamaelia),
            (Target(MOST, measure="memory"),),
            times_rounds=0.7,
        )
    ]
