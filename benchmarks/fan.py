"""One to a thousand, and a thousand to one."""

from __future__ import annotations

from .contest import AMOUNT, Contest, Contestant, Measure
from .ours import Forms
from .programs import Python

WIDTH = 1000
RATE = Measure("rate", "messages that arrive a second")


def contests(forms: Forms) -> list[Contest]:
    return [
        one("fan-out", forms, "out", "one to a thousand"),
        one("fan-in", forms, "in", "a thousand to one"),
    ]


def one(name: str, forms: Forms, direction: str, work: str) -> Contest:
    def contestant(called: str, module: str) -> Contestant:
        program = Python(forms.version, module)
        return Contestant(called, program, (WIDTH, AMOUNT, direction), first=100 * WIDTH, step=WIDTH)

    return Contest(
        name,
        f"{work}, queue 100",
        (RATE,),
        (
            *forms.contestants(contestant("Kamaelia", "fan_kamaelia")),
            contestant("asyncio.Queue", "fan_asyncio"),
            contestant("gevent", "fan_gevent"),
        ),
    )
