"""Worker processes: messages to and from one, large arrays, and work on two cores."""

from __future__ import annotations

from .contest import AMOUNT, Contest, Contestant, Measure, Target
from .ours import Forms
from .programs import Python

RATE = Measure("rate", "messages a second")
VOLUME = Measure("volume", "gigabytes a second", "GB/s")


def contests(forms: Forms) -> list[Contest]:
    return [
        messages("worker-out", forms, "out", "from a process"),
        messages("worker-in", forms, "in", "to a process"),
        arrays(forms),
        stages(forms),
    ]


def ours(forms: Forms, work: str, name: str = "Kamaelia", first: int = 1000) -> Contestant:
    program = Python(forms.version, "worker_kamaelia")
    return Contestant(name, program, (AMOUNT, work), first=first, one_core=False)


def messages(name: str, forms: Forms, direction: str, where: str) -> Contest:
    program = Python(forms.version, "worker_queue")
    peer = Contestant("multiprocessing.Queue", program, (AMOUNT, direction), one_core=False)
    contestants = (*forms.contestants(ours(forms, direction)), peer)
    work = f"messages of 64 bytes {where}"
    return Contest(name, work, (RATE,), contestants, (Target(5.0, "multiprocessing.Queue"),))


def arrays(forms: Forms) -> Contest:
    program = Python(forms.version, "worker_queue")
    peer = Contestant("multiprocessing.Queue", program, (AMOUNT, "arrays"), first=100, one_core=False)
    return Contest(
        "worker-arrays",
        "NumPy arrays of 1 MB to a process",
        (VOLUME,),
        (*forms.contestants(ours(forms, "arrays")), peer),
        (Target(2.0, measure="volume"),),
    )


def stages(forms: Forms) -> Contest:
    """What two cores can do at best, here and now, the third shows: the same work without any messages."""
    program = Python(forms.version, "worker_kamaelia")
    bare = Contestant("two bare processes", program, (AMOUNT, "bare"), first=100, one_core=False)
    one_process = ours(forms, "one-process", "Kamaelia, one process", first=100)
    return Contest(
        "worker-stages",
        "two stages of computing in two workers",
        (RATE,),
        (ours(forms, "two-workers", first=100), one_process, bare),
        (Target(1.7, "Kamaelia, one process"), Target(0.9, "two bare processes")),
        times_seconds=4,  # the start of two processes is no part of what is meant
    )
