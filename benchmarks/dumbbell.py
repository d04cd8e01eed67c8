"""A simulated dumbbell of connections that send all the time, beside ns-3, and beside datagrams in a star.

The figure is how many packets come a second of the computer's time; what is simulated stands in
`peers/dumbbell_ns3.cc`. The two do not send the same packets, as they are not the same TCP: both say how much
of the link in the middle was used.
"""

from __future__ import annotations

from . import star
from .contest import AMOUNT, Contest, Contestant, Target
from .ours import Forms
from .programs import Cpp, Program, Python

PAIRS = 100
WANTED = 0.3  # of the datagrams in a star


def contests(forms: Forms) -> list[Contest]:
    datagrams = star.ours(forms, star.FEW, name=f"Kamaelia, datagrams to {star.FEW} viewers")
    in_order = ours(forms, "bytes", name="Kamaelia, bytes in order")
    return [
        Contest(
            f"dumbbell-{PAIRS}",
            f"simulated dumbbell of {PAIRS} connections",
            (star.RATE,),
            (*forms.contestants(ours(forms)), in_order, datagrams, *ns3()),
            (Target(WANTED, datagrams.name),),
        )
    ]


def ours(forms: Forms, *words: str, name: str = "Kamaelia") -> Contestant:
    return peer(name, Python(forms.version, "dumbbell_kamaelia"), *words)


def peer(name: str, program: Program, *words: str) -> Contestant:
    """Return one who simulates a dumbbell; in the first trial for ten round trips, as in the first few it is
    not busy."""
    return Contestant(name, program, (PAIRS, AMOUNT, *words), first=200, step=20)


def ns3() -> list[Contestant]:
    program = Cpp("dumbbell_ns3", "libns3-dev", "ns3/core-module.h", star.LIBRARIES)
    return [
        peer("ns-3", program),
        peer("ns-3, with a table of routes", program, "--routing=table"),
    ]
