"""Parts of `kamaelia.flow` beside bare coroutines that do the same, and a rate beside the clock."""

from __future__ import annotations

from .contest import AMOUNT, Contest, Contestant, Measure, Target
from .ours import Forms
from .programs import Python

RATE = Measure("rate", "messages through one stage a second")
OFF = Measure("off", "off its rate", "%", more_is_better=False)
BARE = "a bare coroutine"
WANTED = 0.5

# What each does, and how many messages it is given at a time.
PARTS = {
    "map": "Map(function)",
    "batch": "Batch(10)",
    "lines": "Lines(), 100 lines in a chunk of 4 kB",
}
MINUTE = 60


def contests(forms: Forms) -> list[Contest]:
    return [*(one(name, work, forms) for name, work in PARTS.items()), rate_limit(forms)]


def one(name: str, work: str, forms: Forms) -> Contest:
    program = Python(forms.version, "parts_kamaelia")
    ours = Contestant("Kamaelia", program, (name, "part", AMOUNT), step=100)
    bare = Contestant(BARE, program, (name, "bare", AMOUNT), step=100)
    return Contest(
        f"part-{name}",
        f"{work}, between a source and a sink",
        (RATE,),
        (*forms.contestants(ours), *forms.contestants(bare)),
        (Target(WANTED, BARE),),
    )


def rate_limit(forms: Forms) -> Contest:
    """Once is enough: each takes its minute."""
    program = Python(forms.version, "parts_kamaelia")
    ours = Contestant("Kamaelia", program, ("ratelimit", "part", MINUTE), rounds=1, limit=MINUTE + 60)
    return Contest(
        "ratelimit",
        "RateLimit of 1, 50 and 1000 messages and of 1 MB a second, for a minute: the one furthest off",
        (OFF,),
        forms.contestants(ours),
        (Target(1.0, measure=OFF.key),),
    )
