"""Script bodies, each in a thread of its own, beside `queue.Queue` between threads."""

from __future__ import annotations

from dataclasses import replace

from .contest import AMOUNT, Contest, Contestant, Target
from .ours import Forms
from .pipeline import RATE, STAGES, ours
from .programs import Python


def contests(forms: Forms) -> list[Contest]:
    """Both on all cores, which is what threads get, and on one, which is much less noisy."""
    return [
        one("threads", forms, False, "on all cores"),
        one("threads-one-core", forms, True, "on one core"),
    ]


def one(name: str, forms: Forms, one_core: bool, where: str) -> Contest:
    peer = Contestant("queue.Queue", Python(forms.version, "threads_queue"), (STAGES, 1000, AMOUNT))
    contestants = (*forms.contestants(ours(forms, 1000, "script")), peer)
    return Contest(
        name,
        f"{STAGES}-stage pipeline of scripts (threads), queue 1000, {where}",
        (RATE,),
        tuple(replace(contestant, one_core=one_core, first=100) for contestant in contestants),
        (Target(1.0, "queue.Queue"),),
    )
