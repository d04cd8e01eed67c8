"""The queues of simulated links beside those of ns-3, in the table of all; whole: `benchmarks.queues`."""

from __future__ import annotations

from .contest import Contest, Contestant, Measure, Target
from .ours import Forms
from .programs import Python
from .queues import MTU

MEASURES = (
    Measure("drops", "how many are dropped, off that of ns-3", "%", more_is_better=False),
    Measure("gap", "when they are dropped, off that of ns-3", "%", more_is_better=False),
    Measure("p95", "p95 of the delay, off that of ns-3", "%", more_is_better=False),
)
ALIKE = Measure("unlike", "packets not sent, dropped or marked when ns-3 does", "%", more_is_better=False)
MOST = 10.0  # per cent
NAMES = {"queue-red": "RED", "queue-codel": "CoDel", "queue-fq-codel": "FQ-CoDel"}


def contests(forms: Forms) -> list[Contest]:
    """Return those that compare figures, and one that compares packets; nothing here is about speed."""
    program = Python(forms.version, "queues_kamaelia")

    def one(name: str, queue: str) -> Contest:
        contestants = [Contestant("Kamaelia", program, (queue,), rounds=1)]
        if queue == "FQ-CoDel":
            name_of_other = "Kamaelia, with ns-3's rule for a single packet"
            contestants.append(Contestant(name_of_other, program, (queue, MTU), rounds=1))
        return Contest(
            name,
            f"{queue}, worst of three kinds of traffic",
            MEASURES,
            tuple(contestants),
            tuple(Target(MOST, measure=measure.key) for measure in MEASURES),
        )

    exact = Contestant("Kamaelia, with all that ns-3 does otherwise", program, ("exact",), rounds=1)
    return [
        *(one(name, queue) for name, queue in NAMES.items()),
        Contest(
            "queue-exact",
            "twelve queues packet by packet",
            (ALIKE,),
            (exact,),
            (Target(0.0, measure=ALIKE.key),),
        ),
    ]
