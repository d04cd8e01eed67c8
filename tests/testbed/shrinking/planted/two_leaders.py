"""Nodes elect a leader; a candidate counts the votes of those that have answered, not of all there are.

So both sides of a cut elect one.
"""

from __future__ import annotations

from kamaelia.testbed.simulated import simulated
from tests.testbed.zoo import on_udp
from tests.testbed.zoo.split_brain import Node

from . import campus, trouble

NODES = [f"node-{number}" for number in range(7)]


class Voter(Node):
    nodes = NODES
    patience, election, beat = 1.0, 0.3, 0.3


@simulated(seeds=[7], seconds=30)
def protocol(network, faulty):
    clients = [f"client-{number}" for number in range(10)]
    bystanders = campus(network, [*NODES, *clients])
    leaders: dict[int, set[str]] = {}
    for name in NODES:
        network.hosts[name].run(on_udp(Voter(faulty, name, leaders)))
    trouble(network, [*bystanders, *clients], quiet=NODES[:5])
    network.at("0.2 s", network.partition, NODES[:4], NODES[4:])
    network.at("6 s", network.repair, NODES[:4], NODES[4:])
    yield network
    several = {term: sorted(names) for term, names in leaders.items() if len(names) > 1}
    assert not several, f"several leaders in one term: {several}"
