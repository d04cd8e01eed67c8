"""A simulated star beside other simulators: how many packets come a second of the computer's time.

All simulate the same for as long as takes about a second, check that what came is right, and keep no trace
(`peers/star_common.py` says what is simulated). Those that need a newer Python have it: their columns say so.
"""

from __future__ import annotations

from .contest import AMOUNT, Contest, Contestant, Measure, Target
from .ours import PURE, Forms
from .programs import Cpp, Program, Python

NEWER = "3.13"  # the Python of ns.py and simloop, which do not install on the main one
FEW, MANY, MOST = 100, 1000, 10_000
IDLE = 100_000
IDLE_PLAIN = 10_000  # the plain core would take a gigabyte for more
NS_PY, SIMLOOP = f"ns.py, Python {NEWER}", f"simloop, Python {NEWER}"
STEP = 5  # milliseconds between two packets to a viewer

RATE = Measure("rate", "packets delivered a second")
EACH = Measure("each", "time for each packet delivered", "s", more_is_better=False)

# Of those at 100 viewers: what Kamaelia is to be times as fast as. simloop's is Kamaelia's with
# `asyncio.sleep`, as that is what its senders wait with.
WANTED = {"ns-3": 10.0, "ns-3, as a tree": 10.0, NS_PY: 5.0}
WANTED_OF_SIMLOOP = 4.0
OWN_SLEEP = {FEW: 1_000_000, MANY: 750_000}
ASYNCIO_SLEEP = {FEW: 350_000, MANY: 280_000}
PLAIN = 140_000
PARTS = 150_000
CAPTURED = 0.5
GROWTH = {MANY: 1.5, MOST: 3.5}
BESIDE_IDLE = 1.2

LIBRARIES = ("ns3-internet", "ns3-point-to-point", "ns3-network", "ns3-core")


def contests(forms: Forms) -> list[Contest]:
    """Return all that is about stars."""
    return [
        own_sleep(forms, FEW),
        own_sleep(forms, MANY),
        asyncio_sleep(forms, FEW),
        asyncio_sleep(forms, MANY),
        plain(forms),
        parts(forms),
        captured(forms),
        growth(forms, MANY),
        growth(forms, MOST),
        idle(forms),
    ]


def ours(forms: Forms, viewers: int, *words: str, name: str = "Kamaelia") -> Contestant:
    return peer(name, Python(forms.version, "star_kamaelia"), viewers, *words)


def peer(name: str, program: Program, viewers: int, *words: str) -> Contestant:
    """Return one who simulates a star; in the first trial some 10,000 packets, or twenty to each viewer.

    With fewer to each it would be found out how long the first one takes.
    """
    first = max(20, 10_000 // viewers) * STEP
    return Contestant(name, program, (viewers, AMOUNT, *words), first=first, step=STEP)


def ns3(viewers: int) -> list[Contestant]:
    program = Cpp("star_ns3", "libns3-dev", "ns3/core-module.h", LIBRARIES)
    return [
        peer("ns-3", program, viewers),
        peer("ns-3, as a tree", program, viewers, "--shape=tree"),
        peer("ns-3, with a table of routes", program, viewers, "--routing=table"),
        peer("ns-3, as a tree, with a table of routes", program, viewers, "--shape=tree", "--routing=table"),
    ]


def own_sleep(forms: Forms, viewers: int) -> Contest:
    peers = ns3(viewers)
    if viewers == FEW:
        peers += [
            peer(NS_PY, Python(NEWER, "star_nspy"), viewers),
            peer("SimPy", Python(forms.version, "star_simpy"), viewers),
        ]
    return Contest(
        f"star-{viewers}",
        f"simulated star of {viewers:,} viewers",
        (RATE,),
        (*forms.contestants(ours(forms, viewers)), *peers),
        (
            Target(OWN_SLEEP[viewers]),
            *(Target(bound, name) for name, bound in WANTED.items() if viewers == FEW),
        ),
    )


def asyncio_sleep(forms: Forms, viewers: int) -> Contest:
    simloop = peer(SIMLOOP, Python(NEWER, "star_simloop"), viewers)
    return Contest(
        f"star-asyncio-{viewers}",
        f"simulated star of {viewers:,} viewers, senders wait with asyncio.sleep",
        (RATE,),
        (*forms.contestants(ours(forms, viewers, "asyncio")), simloop),
        (
            Target(ASYNCIO_SLEEP[viewers]),
            *([Target(WANTED_OF_SIMLOOP, SIMLOOP)] if viewers == FEW else []),
        ),
    )


def plain(forms: Forms) -> Contest:
    """The plain core alone, which stands beside the compiled one elsewhere: it has a target of its own."""
    program = Python(forms.version, "star_kamaelia")
    name = "Kamaelia, plain core"
    return Contest(
        "star-plain",
        f"simulated star of {FEW} viewers, plain core",
        (RATE,),
        (Contestant(name, program, (FEW, AMOUNT), PURE, first=500, step=STEP),),
        (Target(PLAIN),),
    )


def parts(forms: Forms) -> Contest:
    return Contest(
        "star-parts",
        f"simulated star of {FEW} viewers, of components of the library: a source to UDPSender, "
        "UDPReceiver to Measure",
        (RATE,),
        forms.contestants(ours(forms, FEW, "parts")),
        (Target(PARTS),),
    )


def captured(forms: Forms) -> Contest:
    """The first is not the one with the best figure here, but the one that is to be judged."""
    without = ours(forms, FEW, name="Kamaelia, nothing captured")
    return Contest(
        "star-captured",
        f"simulated star of {FEW} viewers, every link captured in a file",
        (RATE,),
        (*forms.contestants(ours(forms, FEW, "captured")), *forms.contestants(without)),
        (Target(CAPTURED, without.name),),
    )


def growth(forms: Forms, viewers: int) -> Contest:
    """Return one with all numbers of viewers up to this. It takes long enough for many packets to each."""
    fewer = [ours(forms, number, name=f"Kamaelia, {number:,} viewers") for number in (10, FEW, MANY)]
    return Contest(
        f"star-growth-{viewers}",
        f"simulated star of {viewers:,} viewers",
        (EACH,),
        (
            *forms.contestants(ours(forms, viewers)),
            *(one for one in fewer if one.arguments[0] < viewers),  # type: ignore[operator]
        ),
        (Target(GROWTH[viewers], fewer[0].name, EACH.key),),
        times_seconds=6.0 if viewers == MOST else 1.0,  # for the first packet to each takes longer
    )


def idle(forms: Forms) -> Contest:
    """Those who are idle are made each time, which takes a quarter of a minute, so there is no trial."""
    program = Python(forms.version, "star_kamaelia")
    milliseconds = 10_000 if forms.compiled else 1000

    def one(name: str, number: int, length: int = milliseconds, **environ: str) -> Contestant:
        words = (f"idle={number}",) if number else ()
        return Contestant(name, program, (FEW, length, *words), environ, limit=300)

    number = IDLE if forms.compiled else IDLE_PLAIN
    alone = one("Kamaelia, alone", 0)
    contestants = [one("Kamaelia", number)]
    if forms.both:
        contestants.append(one(f"Kamaelia, plain core, {IDLE_PLAIN:,} idle", IDLE_PLAIN, 1000, **PURE))
    return Contest(
        "star-idle",
        f"simulated star of {FEW} viewers among {number:,} idle ones",
        (EACH,),
        (*contestants, alone),
        (Target(BESIDE_IDLE, alone.name, EACH.key),),
        times_rounds=0.7,
    )
