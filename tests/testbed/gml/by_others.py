"""How the files in tests/testbed/data were made that other programs have written.

Run it with a Python that has networkx and igraph, from the folder of this repository::

    python tests/testbed/gml/by_others.py
"""

from __future__ import annotations

from pathlib import Path

import igraph
import networkx

DATA = Path(__file__).resolve().parent.parent / "data"

# What we have written, read and written again by networkx. Its numbers and lists come in forms of its own.
graph = networkx.read_gml(DATA / "canonical.gml")
networkx.write_gml(graph, DATA / "canonical-by-networkx.gml")

# A graph as people make them with networkx: labels that are numbers, and values of every kind.
graph = networkx.balanced_tree(2, 2)
for node, attributes in graph.nodes.items():
    if graph.degree(node) > 1:
        attributes["kind"] = "router"
graph.nodes[3]["address"] = ["192.0.2.3"]
graph.nodes[4]["address"] = ["192.0.2.4", "2001:db8::4"]
for number, (_, _, attributes) in enumerate(graph.edges.data()):
    attributes |= {"delay": 0.001 * (number + 1), "rate": 10**10, "loss": 1e-05, "reordering": True}
graph.edges[0, 1]["back"] = {"rate": "20 Mbit/s"}
networkx.write_gml(graph, DATA / "networkx.gml")

# One of igraph, which calls its nodes by name and has no labels.
graph = igraph.Graph.Star(4, mode="out")
graph.vs["name"] = ['caf\u00e9 "1" & more', "a", "b", "c"]
graph.es["delay"] = [0.01, 0.02, 0.1]
graph.es["rate"] = [1e6, 2.5e9, 100]
graph.write_gml(str(DATA / "igraph.gml"), creator="igraph")
