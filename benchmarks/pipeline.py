"""Ten stages between a start and an end: message hops a second, beside everybody."""

from __future__ import annotations

from .contest import AMOUNT, Contest, Contestant, Measure, Target
from .ours import Forms
from .programs import MAIN_VERSION, Erlang, Go, Program, Python

STAGES = 10
RATE = Measure("rate", "message hops a second")

# Of the peers at a queue of 1000, on 3.11: what Kamaelia is to be times as fast as.
WANTED = {"gevent": 1.7, "asyncio.Queue": 9.0, "trio": 60.0, "upstream Axon": 200.0, "Erlang": 1.2}
WANTED_3_13 = {"gevent": 1.5, "asyncio.Queue": 6.0}


def contests(forms: Forms) -> list[Contest]:
    """Return those for one Python: on the newer ones the two that differ most from the main one."""
    if forms.version != MAIN_VERSION:
        wanted = WANTED_3_13 if forms.version == "3.13" else {}
        return [
            one("pipeline-1000", forms, 1000, wanted, few=True),
            one("lock-step", forms, 1, {}, few=True),
        ]
    return [
        one("pipeline-1000", forms, 1000, WANTED),
        one("pipeline-100", forms, 100, {name: 0.9 * factor for name, factor in WANTED.items()}),
        one("lock-step", forms, 1, {"asyncio.Queue": 18.0, "gevent": 18.0}),
        generators(forms),
    ]


def ours(forms: Forms, size: int, body: str = "coroutine", name: str = "Kamaelia") -> Contestant:
    program = Python(forms.version, "pipeline_kamaelia")
    return Contestant(name, program, (STAGES, size, AMOUNT, body))


def one(name: str, forms: Forms, size: int, wanted: dict[str, float], few: bool = False) -> Contest:
    """Return a contest of pipelines with queues of a size; `few` is for those who run on each Python."""

    def peer(peer_name: str, program: Program, *words: str) -> Contestant:
        return Contestant(peer_name, program, (STAGES, size, AMOUNT, *words))

    version = forms.version
    peers = [
        peer("gevent", Python(version, "pipeline_gevent")),
        peer("asyncio.Queue", Python(version, "pipeline_asyncio")),
        peer("asyncio.Queue on uvloop", Python(version, "pipeline_asyncio"), "uvloop"),
        peer("trio", Python(version, "pipeline_trio")),
    ]
    if not few:
        peers.append(peer("upstream Axon", Python("upstream", "pipeline_axon")))
        if size > 1:
            program = Python("upstream", "pipeline_axon")
            peers.append(peer("upstream Axon, a boxful at a time", program, "boxful"))
            # Its mailboxes have no limit, so it has nothing that is like lock-step.
            peers.append(peer("Pykka", Python(version, "pipeline_pykka")))
        peers += [peer("Erlang", Erlang("ring")), peer("Go", Go("channels"))]
    targets = [Target(factor, peer_name) for peer_name, factor in wanted.items()]
    if size == 100:
        peers.insert(0, ours(forms, 1000, name="Kamaelia, queue 1000"))
        targets.append(Target(0.9, "Kamaelia, queue 1000"))
    kind = f"lock-step (queue {size})" if size == 1 else f"queue {size}"
    work = f"{STAGES}-stage pipeline of coroutines, {kind}"
    return Contest(name, work, (RATE,), (*forms.contestants(ours(forms, size)), *peers), tuple(targets))


def generators(forms: Forms) -> Contest:
    return Contest(
        "generators",
        f"{STAGES}-stage pipeline of generators, queue 1000",
        (RATE,),
        (
            *forms.contestants(ours(forms, 1000, "generator")),
            ours(forms, 1000, name="Kamaelia, coroutines"),
        ),
        (Target(0.85, "Kamaelia, coroutines"),),
    )
