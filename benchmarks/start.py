"""How long it takes to import Kamaelia, and to run a one-line system from start to exit."""

from __future__ import annotations

from .contest import Contest, Contestant, Measure, Target
from .ours import Forms
from .programs import Python

MEASURES = (
    Measure("import", "import kamaelia", "ms", more_is_better=False),
    Measure("run", "kamaelia run of a one-liner, start to exit", "ms", more_is_better=False),
)


def contests(forms: Forms) -> list[Contest]:
    """Both figures are without the interpreter's own start."""
    ours = Contestant("Kamaelia", Python(forms.version, "start_kamaelia"), one_core=False)
    return [
        Contest(
            "start",
            "start",
            MEASURES,
            forms.contestants(ours),
            (Target(60, measure="import"), Target(200, measure="run")),
        )
    ]
