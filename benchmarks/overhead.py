"""What it costs to look: statistics of all boxes twice a second, and taps that were made and taken away."""

from __future__ import annotations

from .contest import Contest, Contestant, Measure, Target
from .ours import Forms
from .pipeline import STAGES
from .programs import Python

SLOWER = Measure("slower", "slower than without, 10-stage pipeline, queue 1000", "%", more_is_better=False)
MOST = 2.0  # per cent


def contests(forms: Forms) -> list[Contest]:
    return [
        one("statistics", forms, "snapshotting the statistics of all boxes twice a second"),
        one("taps", forms, "taps unused: made on every box, and taken away again"),
    ]


def one(extra: str, forms: Forms, work: str) -> Contest:
    """Each round runs the pipeline forty times, a fifth of a second each."""
    messages = 400_000 if forms.compiled else 60_000
    program = Python(forms.version, "pipeline_kamaelia")
    ours = Contestant("Kamaelia", program, (STAGES, 1000, messages, "coroutine", extra))
    return Contest(extra, work, (SLOWER,), (ours,), (Target(MOST, measure=SLOWER.key),))
