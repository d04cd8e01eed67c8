"""Ten thousand connections held open at once: what each takes of memory, and whether any is lost."""

from __future__ import annotations

from .contest import Contest, Held, Measure, Target
from .ours import Forms
from .programs import Python

CONNECTIONS = 10_000
SIZE = 100  # bytes in a message
EVERY, DURATION = 2000, 6000  # milliseconds: each connection says something about three times

MEASURES = (
    Measure("lost", "connections lost", "", more_is_better=False),
    Measure("memory", "memory for each connection", "B", more_is_better=False),
)


def contests(forms: Forms) -> list[Contest]:
    load = (CONNECTIONS, SIZE, EVERY, DURATION)
    ours, streams = Python(forms.version, "echo_kamaelia"), Python(forms.version, "echo_asyncio")
    return [
        Contest(
            "held",
            f"{CONNECTIONS:,} TCP connections held at once, each echoing now and then",
            MEASURES,
            (
                *forms.contestants(Held("Kamaelia", ours, load=load)),
                Held("streams on uvloop", streams, ("streams", "uvloop"), load=load),
                Held("streams on asyncio's loop", streams, ("streams",), load=load),
                Held("Kamaelia on asyncio's loop", ours, ("asyncio",), load=load),
            ),
            (
                Target(0, measure="lost"),
                Target(1.0, "streams on uvloop", "memory"),
                Target(1.0, "streams on asyncio's loop", "memory"),
            ),
            times_rounds=0.4,
        )
    ]
