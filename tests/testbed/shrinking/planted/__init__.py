"""Ten planted failures, each in a network of fifty hosts, of which few are needed, and few of the faults.

Each module is one distributed program, with a switch that plants one bug, and a ``protocol`` that is a test
over seeds, or a ``scenario`` and a function ``fails`` that looks at its trace. The bug shows with the faults
that `PLANTED` names, and with nothing else that goes wrong there; without it all is well with all faults.

Fifty are: a router in the middle, four at the edges, those who take part in the program, and bystanders, who
talk to each other. Trouble is drawn from the seed (`Network.disturb`), comes at certain times, on a
condition, and by a script; it strikes bystanders, and those who take part where that does no harm.

``python -m tests.testbed.shrinking.planted`` shrinks all of them and prints a table.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from kamaelia import Component, random
from kamaelia.net import Datagram
from kamaelia.testbed import Network
from kamaelia.testbed.shrinking import Shrunk, shrink
from tests.testbed.zoo import on_udp

TOTAL = 50
EDGES = 4
TALK = 5005  # the port on which bystanders talk


class Planted(NamedTuple):
    """What is known of a planted failure."""

    seed: int
    needed: frozenset[str]
    """The faults without which it does not fail, as `Shrunk.faults` has them, up to their time."""
    hosts: int
    """How many are left, at most."""


PLANTED = {
    "duplicate": Planted(7, frozenset({"partition of bank | slot-17"}), 2),
    "failover": Planted(7, frozenset({f"crash of host replica-{n}" for n in range(3)}), 4),
    "give_up": Planted(7, frozenset({"crash of host reader-12"}), 2),
    "goodbye": Planted(7, frozenset({"hold of studio | viewer-5"}), 3),
    "lost_update": Planted(7, frozenset({"partition of *"}), 2),
    "overtaken": Planted(7, frozenset({"set of link *viewer-9"}), 3),
    "short_patience": Planted(7, frozenset({"set of link *phone-11"}), 3),
    "stale_cache": Planted(7, frozenset({"crash of host origin"}), 2),
    "two_leaders": Planted(7, frozenset({"partition of *"}), 2),
    "unwritten": Planted(7, frozenset({"crash of host store-a", "crash of host store-b"}), 3),
}


def names() -> list[str]:
    """Return the names of all."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name != "__main__")


def scenario_of(name: str) -> tuple[Any, Any]:
    """Return what is run, and, if it is not a test, the function that says whether it has failed."""
    module = importlib.import_module(f"{__name__}.{name}")
    return getattr(module, "protocol", None) or module.scenario, getattr(module, "fails", None)


def shrunk(name: str, **options: Any) -> Shrunk:
    """Shrink one of them."""
    scenario, fails = scenario_of(name)
    seconds = None if fails is None else 30
    return shrink(
        scenario,
        {"faulty": True},
        seed=PLANTED[name].seed,
        fails=fails,
        seconds=seconds,
        **options,
    )


def wrong_with(name: str, found: Shrunk) -> str:
    """Say what is wrong with what was found; nothing if nothing is."""
    planted = PLANTED[name]
    said = [f"{fault.begin}".partition(" (")[0] for fault in found.plan.faults]
    wrong = [] if not found.ended else [found.ended]
    if len(said) != len(planted.needed) or found.plan.fault_count != len(said):
        wrong.append(f"{found.faults} instead of {sorted(planted.needed)}")
    for one in planted.needed:
        begin, star, end = one.partition("*")
        if not any(text.startswith(begin) and text.endswith(end) if star else text == one for text in said):
            wrong.append(f"{one} is not among {said}")
    if found.plan.host_count > planted.hosts:
        wrong.append(f"{found.hosts} are more than {planted.hosts} hosts")
    return "; ".join(wrong)


class Talk(Component):
    """Says something to somebody, again and again; nobody has to hear it."""

    def __init__(self, others: Sequence[str]) -> None:
        self.others = others

    async def main(self) -> None:
        while True:
            with suppress(TimeoutError):
                await self.inbox.receive(timeout=0.5 + random.random() / 2)
            other = self.others[random.randrange(len(self.others))]
            await self.outbox.send(Datagram(b"how are you?", (other, TALK)))


def campus(network: Network, participants: Sequence[str]) -> list[str]:
    """Have those take part who are named, and add as many bystanders and routers as make fifty; return the
    bystanders."""
    network.router("core")
    edges = [f"edge-{number}" for number in range(EDGES)]
    for edge in edges:
        network.router(edge)
        network.link("core", edge, delay="2 ms", rate="1 Gbit/s", queue="500 kB")
    bystanders = [f"desk-{number}" for number in range(TOTAL - 1 - EDGES - len(participants))]
    for number, name in enumerate([*participants, *bystanders]):
        network.host(name)
        options: dict[str, Any] = {"loss": "1 %"} if name in bystanders else {}
        network.link(edges[number % EDGES], name, delay="3 ms", jitter="1 ms", rate="100 Mbit/s", **options)
    for name in bystanders:
        network.hosts[name].run(on_udp(Talk(bystanders), port=TALK))
    return bystanders


def trouble(network: Network, bystanders: Sequence[str], quiet: Sequence[str] = ()) -> None:
    """Have much go wrong that does no harm.

    Arguments:
        network: made by `campus`
        bystanders: whom it strikes
        quiet: others who may wait for a hundredth of a second without harm
    """
    first, second, third, *_ = bystanders
    network.disturb(["crash", "pause", "partition", "hold"], every="3 s", hosts=bystanders, until="25 s")
    network.at("4 s", network.hosts[first].crash)
    network.at("6 s", network.hosts[first].restart)
    network.hosts[second].set_clock(skew=3.0)
    for number, name in enumerate(quiet):
        network.at(f"{1 + number} s", network.hosts[name].pause, "10 ms")

    async def lunch() -> None:
        await asyncio.sleep(12)
        network.partition([second, third], [first, *bystanders[3:6]])
        await asyncio.sleep(2)
        network.repair()
        network.hosts[third].crash()
        await asyncio.sleep(1)
        network.hosts[third].restart()

    network.script(lunch)
    network.when(lambda: network.snapshot().time > 9, network.hosts[second].pause, "1 s", every="1 s")
