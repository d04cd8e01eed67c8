"""A million components that do nothing: what one takes of memory and time, and a message through them all."""

from __future__ import annotations

from dataclasses import replace

from .contest import Contest, Contestant, Measure, Target
from .ours import Forms
from .programs import Erlang, Program, Python

MILLION = 1_000_000
FEWER = 100_000  # of the plain core, which would take minutes; all figures are for each, so they compare

MEASURES = (
    Measure("memory", "memory for each", "B", more_is_better=False),
    Measure("making", "making, linking and starting each", "s", more_is_better=False),
    Measure("passing", "time in each of a message that goes through all", "s", more_is_better=False),
)


def contests(forms: Forms) -> list[Contest]:
    """The target for passing is 0.3 s for a message through a million; it is measured for each."""

    def one(name: str, program: Program, number: int) -> Contestant:
        return Contestant(f"{name}, {number:,} of them", program, (number,), limit=300)

    number = MILLION if forms.compiled else FEWER
    ours = one("Kamaelia", Python(forms.version, "million_kamaelia"), number)
    kamaelia = list(forms.contestants(ours))
    if forms.both:
        kamaelia[1] = replace(
            kamaelia[1], name=f"Kamaelia, plain core, {FEWER:,} of them", arguments=(FEWER,)
        )
    return [
        Contest(
            "million",
            f"idle component with two linked boxes, {number:,} of them, made without looking for garbage",
            MEASURES,
            (
                *kamaelia,
                one("Erlang process", Erlang("million"), MILLION),
                one("asyncio task and queue", Python(forms.version, "million_asyncio"), MILLION),
            ),
            (
                Target(1300, measure="memory"),
                Target(8e-6, measure="making"),
                Target(0.3 / MILLION, measure="passing"),
            ),
            times_rounds=0.4,
        )
    ]
