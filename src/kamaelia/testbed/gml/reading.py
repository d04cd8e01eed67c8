"""A network from GML: what attributes mean.

A **node** is a host, called by its ``name`` or its ``label``: what a host's name cannot have becomes ``-``,
and a number becomes ``node-7``. A node that has neither is called so by its ``id``. Its ``kind`` is
``"host"``, ``"router"``, ``"nat"`` or ``"switch"``. Without one it is a router if it has edges to more than
one other node, for hosts pass nothing on, and else a host. ``address`` may stand several times. What else
there is to say of it are arguments of `Network.host`, `Network.router`, `Network.nat` and `Network.switch`:
``igmp``, ``mld``, ``multicast``, ``fast_leave``, ``snooping``, ``querier``, ``unknown``, ``udp_timeout``,
``tcp_timeout``. (The first edge of a ``"nat"`` is the one that leads outside.)

An **edge** is a link, from ``source`` to ``target``, and has the arguments of `Network.link` as attributes:
``delay``, ``jitter``, ``reordering``, ``loss``, ``rate``, ``queue``, ``mtu``, ``duplicate``, ``corrupt``,
``reorder``; and a list ``back`` of what is different the other way. In a graph that is ``directed 1`` each
edge leads one way only, and the way back is an edge of its own; in others ``one_way 1`` says so of one edge.
Quantities are plain numbers (seconds, bits per second, bytes, shares of 1) or text as everywhere
(``"80 ms"``, ``"5 %"``); ``rate`` and ``queue`` may be ``"unlimited"``.

An attribute that is not known is refused by its name, so that no misspelt ``dealy`` goes unnoticed. What is
for drawing (``graphics``), what is said to people (``comment``, ``Creator``) and what begins with ``x_``
means nothing here. The argument ``attributes`` gives others their meaning, or says that they have none.

Shadow
------
Graphs for the simulator Shadow (see its "Network Graph Specification") can be read. ``latency``,
``packet_loss``, ``host_bandwidth_up``, ``host_bandwidth_down`` and ``ip_address`` are synonyms of our names,
and its units are known: ``"10 Mbit"``, ``"50 milliseconds"``, and text without a unit, which is in seconds or
bits per second. Its ``jitter`` has no effect there; here it has.

A node of Shadow is a place at which hosts are, each with that bandwidth. Here it is one host.
``bandwidth_up`` is what this sends at most, and ``bandwidth_down`` what it receives: they are the rates of
its access link.

- A node with edges to one other node, one each way at most, has that as its access link. Where the edge has a
  rate as well, the lower one holds.
- Any other node becomes two: the host, and a router called ``NAME-router``, which has the edges. The access
  link is between them and takes no time. More hosts can be linked with that router.

In Shadow an edge from a node to itself is the way between hosts at the same place. A host here reaches itself
without a link, so such an edge is checked and left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction
from os import PathLike, fspath
from typing import Any

from ...axon import UsageError, units
from ...axon.errors import suggestion
from ..network import Host, Network
from ..settings import NAMES, make_settings
from .language import Attribute, Source, parse_gml

UNLIMITED = "unlimited"
"""A rate, or a queue, without limit."""

Fields = dict[str, list[Attribute]]
"""Attributes by what we call them."""

OPTIONS = {
    "igmp": ("host", "router"),
    "mld": ("host", "router"),
    "multicast": ("router",),
    "fast_leave": ("router", "switch"),
    "snooping": ("switch",),
    "querier": ("switch",),
    "unknown": ("switch",),
    "udp_timeout": ("nat",),
    "tcp_timeout": ("nat",),
}
"""What may be said of a node, and of which kinds of them."""

_SYNONYMS = {
    "latency": "delay",
    "packet_loss": "loss",
    "bandwidth": "rate",
    "host_bandwidth_up": "bandwidth_up",
    "host_bandwidth_down": "bandwidth_down",
    "ip_address": "address",
}
_KNOWN = {
    "file": ("graph",),
    "graph": ("directed", "multigraph", "ipv6", "node", "edge"),
    "node": ("id", "name", "label", "kind", "address", "bandwidth_up", "bandwidth_down", *OPTIONS),
    "edge": ("source", "target", *NAMES, "back", "one_way"),
    "back": NAMES,
}
_SEVERAL = ("node", "edge", "address")  # may stand more than once
_WITHOUT_MEANING = {
    "file": ("Creator", "Version", "comment", "creator", "version"),
    "graph": ("Creator", "Version", "comment", "graphics", "hierarchic", "id", "label", "name", "version"),
    "node": ("LabelGraphics", "city_code", "comment", "country_code", "graphics"),
    "edge": ("LabelGraphics", "comment", "edgeAnchor", "graphics", "id", "key", "label", "name"),
    "back": ("comment",),
}
_NETWORKX_LIST = "_networkx_list_start"  # networkx writes it before the value of a list that has only one

_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?\s*", re.ASCII)
_QUANTITY = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*([A-Za-z]+)\s*", re.ASCII)
_LONGEST = 100  # characters of a quantity

# Units of Shadow that are not ours, each with an s or without.
_SECONDS = {
    "nanosecond": Fraction(1, 10**9),
    "microsecond": Fraction(1, 10**6),
    "millisecond": Fraction(1, 1000),
    "sec": Fraction(1),
    "second": Fraction(1),
    "min": Fraction(60),
    "minute": Fraction(60),
    "hr": Fraction(3600),
    "hour": Fraction(3600),
}
_BITS = {
    f"{prefix}bit": Fraction(base**power)
    for base, prefixes in ((1000, "K M G T"), (1000, "kilo mega giga tera"), (1024, "Ki Mi Gi Ti"))
    for power, prefix in enumerate(["", *prefixes.split()])
}
_UNITS = {name: _SECONDS for name in ("delay", "jitter", "udp_timeout", "tcp_timeout")} | {"rate": _BITS}


class Node:
    """What a file says of a node."""

    __slots__ = (
        "addresses",
        "at",
        "down",
        "edges",
        "id",
        "kind",
        "name",
        "neighbours",
        "options",
        "place",
        "up",
    )

    def __init__(self, at: int, id: int) -> None:
        self.at = at
        self.id = id
        self.name = ""
        self.kind: str | None = None
        self.addresses: list[str] = []
        self.options: dict[str, Any] = {}
        self.up: float | None = None
        self.down: float | None = None
        self.edges: list[Edge] = []  # without those to itself
        self.neighbours: set[int] = set()
        self.place: Host | None = None  # which has the links: the host, or its router

    @property
    def has_bandwidth(self) -> bool:
        """It says what its host sends or receives at most."""
        return self.up is not None or self.down is not None

    @property
    def has_access_link(self) -> bool:
        """It has edges to one other, one each way at most."""
        out = sum(edge.source is self or not edge.one_way for edge in self.edges)
        into = sum(edge.target is self or not edge.one_way for edge in self.edges)
        return len(self.neighbours) == 1 and out <= 1 and into <= 1


class Edge:
    """What a file says of an edge."""

    __slots__ = ("at", "back", "one_way", "settings", "source", "target")

    def __init__(self, at: int, source: Node, target: Node) -> None:
        self.at = at
        self.source = source
        self.target = target
        self.settings: dict[str, Any] = {}
        self.back: dict[str, Any] = {}
        self.one_way = False

    def limit(self, node: Node) -> None:
        """Let what a node sends and receives over this be no more than its bandwidth."""
        there, back = (node.up, node.down) if node is self.source else (node.down, node.up)
        before = self.settings.get("rate")
        self.settings["rate"] = _lower(before, there)
        if not self.one_way:
            self.back["rate"] = _lower(self.back.get("rate", before), back)


def _lower(rate: Any, limit: float | None) -> Any:
    if limit is None or (rate is not None and units.bits_per_second(rate) <= limit):
        return rate
    return limit


def network_from_gml(
    source: str | PathLike[str], *, attributes: Mapping[str, str | None] | None = None
) -> Network:
    """Return the network that is described by a file of GML, or by a text.

    Arguments:
        source: the name of a file; or the text, which is recognised by its brackets: a file that has ``[`` in
            its name is given as a `pathlib.Path`
        attributes: what attributes mean that are not known, or have another meaning in this file:
            ``{"LinkSpeedRaw": "rate"}``; None for those that mean nothing, ``{"Country": None}``

    Raises `UsageError` with line and column for what is no GML, or no network; and `OSError` when the file
    can't be read.

    Example:
        >>> from kamaelia.testbed.gml import network_from_gml
        >>> network = network_from_gml('''
        ...     graph [
        ...       node [ id 0 label "server" host_bandwidth_up "1 Gbit" host_bandwidth_down "1 Gbit" ]
        ...       node [ id 1 label "phone" host_bandwidth_up "2 Mbit" host_bandwidth_down "10 Mbit" ]
        ...       edge [ source 0 target 1 latency "50 ms" packet_loss 0.01 ]
        ...     ]
        ... ''')
        >>> network.hosts["phone"], network.links[0].settings.rate, network.links[0].settings_back.rate
        (<host phone>, 10000000.0, 2000000.0)
        >>> network_from_gml("graph [ node [ id 0 colour 5 ] ]")
        Traceback (most recent call last):
        ...
        kamaelia.axon.errors.UsageError: GML, line 1, column 21: a node has no 'colour'; there are ...
    """
    if attributes is not None and not isinstance(attributes, Mapping):
        raise UsageError(
            f"attributes={attributes!r}: give names and what they mean, such as {{'Country': None}}"
        )
    text, name = _text_of(source)
    return _Reader(text, name, attributes or {}).read()


def _text_of(source: str | PathLike[str]) -> tuple[str, str]:
    if isinstance(source, str) and "[" in source:
        return source, "GML"
    if not isinstance(source, (str, PathLike)):
        raise UsageError(f"network_from_gml({source!r}): give the name of a file, or GML as text")
    name = str(fspath(source))
    if "\0" in name:
        raise UsageError(f"network_from_gml({name!r}): this is neither the name of a file nor GML")
    with open(name, encoding="utf-8-sig") as file:
        try:
            return file.read(), name
        except UnicodeDecodeError:
            raise UsageError(f"{name} is no text in UTF-8") from None


class _Reader:
    """Makes a network of a text."""

    def __init__(self, text: str, name: str, meanings: Mapping[str, str | None]) -> None:
        self.source = Source(text, name)
        self.meanings = meanings
        known = {name for names in _KNOWN.values() for name in names} | set(_SYNONYMS)
        for name, meaning in meanings.items():
            if meaning is not None and meaning not in known:
                raise UsageError(
                    f"attributes={{{name!r}: {meaning!r}}}: nothing here is called {meaning!r}; "
                    f"{suggestion(str(meaning), known)}"
                )

    def read(self) -> Network:
        source = self.source
        file = self.fields("file", parse_gml(source.text, source.name))
        if "graph" not in file:
            raise source.error(0, "there is no graph [ ... ] here")
        graph = self.fields("graph", self.items(file["graph"][0]))
        self.flag(graph, "multigraph")  # says nothing new, but has to be one
        is_directed = self.flag(graph, "directed")
        network = Network(ipv6=self.flag(graph, "ipv6"))
        nodes: dict[int, Node] = {}
        for attribute in graph.get("node", ()):
            node = self.node(attribute)
            if node.id in nodes:
                raise source.error(attribute.at, f"there is a node with the id {node.id} already")
            nodes[node.id] = node
        edges = [self.edge(attribute, nodes, is_directed) for attribute in graph.get("edge", ())]
        for node in nodes.values():
            try:
                self.add_host(network, node)
            except UsageError as error:
                raise source.error(node.at, str(error)) from None
        for edge in edges:
            a, b = edge.source.place, edge.target.place
            assert a is not None and b is not None, "all hosts have been made"
            if edge.source is not edge.target:
                network.link(a, b, **edge.settings, back=edge.back or None, one_way=edge.one_way)
        return network

    # -- nodes and edges --------------------------------------------------------------------------

    def node(self, attribute: Attribute) -> Node:
        fields = self.fields("node", self.items(attribute))
        if "id" not in fields:
            raise self.source.error(attribute.at, "this node has no id: give it one, such as id 0")
        node = Node(attribute.at, self.integer(fields["id"][0]))
        label = fields.get("name") or fields.get("label")
        if label:
            value = label[0].value
            node.name = _name_of(self.text(label[0]) if isinstance(value, tuple) else str(value))
        node.name = node.name or f"node-{node.id}"
        if "kind" in fields:
            node.kind = self.text(fields["kind"][0])
            if node.kind not in ("host", "router", "nat", "switch"):
                raise self.wrong(fields["kind"][0], "'host', 'router', 'nat' or 'switch'")
        node.addresses = [self.text(one) for one in fields.get("address", ()) if one.value != _NETWORKX_LIST]
        node.options = {name: self.option(fields, name) for name in OPTIONS if name in fields}
        node.up, node.down = (self.bandwidth(fields, name) for name in ("bandwidth_up", "bandwidth_down"))
        return node

    def option(self, fields: Fields, name: str) -> Any:
        if name in ("igmp", "mld"):
            return self.integer(fields[name][0])
        if name == "unknown":
            return self.text(fields[name][0])
        if name in ("udp_timeout", "tcp_timeout"):
            return self.quantity(fields[name][0], name)
        return self.flag(fields, name)

    def edge(self, attribute: Attribute, nodes: dict[int, Node], is_directed: bool) -> Edge:
        fields = self.fields("edge", self.items(attribute))
        first, second = (self.end(attribute, fields, name, nodes) for name in ("source", "target"))
        edge = Edge(attribute.at, first, second)
        edge.one_way = self.flag(fields, "one_way") or is_directed
        edge.settings = self.settings(fields)
        if "back" in fields:
            if edge.one_way:
                raise self.source.error(fields["back"][0].at, "an edge that leads one way has no back")
            edge.back = self.settings(self.fields("back", self.items(fields["back"][0])))
        try:
            make_settings(**edge.settings)
            make_settings(**{**edge.settings, **edge.back})
        except UsageError as error:
            raise self.source.error(attribute.at, str(error)) from None
        if first is not second:
            for one, other in ((first, second), (second, first)):
                one.edges.append(edge)
                one.neighbours.add(other.id)
        return edge

    def end(self, edge: Attribute, fields: Fields, name: str, nodes: dict[int, Node]) -> Node:
        if name not in fields:
            raise self.source.error(edge.at, f"this edge has no {name}: give it the id of a node")
        number = self.integer(fields[name][0])
        if number not in nodes:
            raise self.source.error(fields[name][0].at, f"there is no node with the id {number}")
        return nodes[number]

    def settings(self, fields: Fields) -> dict[str, Any]:
        return {
            name: self.flag(fields, name) if name == "reordering" else self.quantity(fields[name][0], name)
            for name in NAMES
            if name in fields
        }

    # -- hosts ------------------------------------------------------------------------------------

    def add_host(self, network: Network, node: Node) -> None:
        kind = node.kind
        if kind is None:
            kind = "router" if len(node.neighbours) > 1 and not node.has_bandwidth else "host"
        if node.name in network.hosts:
            raise UsageError(
                f"there is a host {node.name!r} already: give each node a name of its own, or do without "
                "names by attributes={'name': None, 'label': None}"
            )
        if node.has_bandwidth and kind != "host":
            raise UsageError(
                f"{node.name} is a {kind}, and bandwidth_up and bandwidth_down are for hosts: give its edges "
                "a rate"
            )
        for name in node.options:
            if kind not in OPTIONS[name]:
                raise UsageError(f"{node.name} is a {kind}, and {name} is for a {' or '.join(OPTIONS[name])}")
        if kind == "switch":
            if node.addresses:
                raise UsageError(f"{node.name} is a switch, and those have no address")
            host = network.switch(node.name, **node.options)
        else:
            host = getattr(network, kind)(node.name, address=node.addresses, **node.options)
        node.place = host
        if node.has_bandwidth and node.has_access_link:
            for edge in node.edges:
                edge.limit(node)
        elif node.has_bandwidth:
            node.place = network.router(f"{node.name}-router")
            network.link(host, node.place, rate=node.up, back={"rate": node.down})

    # -- attributes and their values --------------------------------------------------------------

    def fields(self, what: str, attributes: tuple[Attribute, ...]) -> Fields:
        """Return attributes by what we call them, without those that mean nothing."""
        found: Fields = {}
        known = _KNOWN[what]
        for attribute in attributes:
            key = self.meanings.get(attribute.key, attribute.key)
            if key is None or key.startswith("x_"):
                continue
            name = _SYNONYMS.get(key, key)
            if name in known:
                if name in found and name not in _SEVERAL:
                    raise self.source.error(
                        attribute.at, f"{attribute.key}: this {what} has its {name} already"
                    )
                found.setdefault(name, []).append(attribute)
            elif key not in _WITHOUT_MEANING[what]:
                names = (*known, *(synonym for synonym, name in _SYNONYMS.items() if name in known))
                hint = suggestion(key, names)
                if not hint.endswith("?"):
                    hint += "; what means nothing begins with x_, or is named in attributes"
                article = "an" if what == "edge" else "a"
                raise self.source.error(attribute.at, f"{article} {what} has no {key!r}; {hint}")
        return found

    def integer(self, attribute: Attribute) -> int:
        if not isinstance(attribute.value, int):
            raise self.wrong(attribute, "a whole number")
        return attribute.value

    def text(self, attribute: Attribute) -> str:
        if not isinstance(attribute.value, str):
            raise self.wrong(attribute, "text in quotation marks")
        return attribute.value

    def items(self, attribute: Attribute) -> tuple[Attribute, ...]:
        if not isinstance(attribute.value, tuple):
            raise self.wrong(attribute, "a list in brackets")
        return attribute.value

    def flag(self, fields: Fields, name: str) -> bool:
        if name not in fields:
            return False
        attribute = fields[name][0]
        if not isinstance(attribute.value, int) or attribute.value not in (0, 1):
            raise self.wrong(attribute, "1 for yes or 0 for no")
        return attribute.value == 1

    def quantity(self, attribute: Attribute, name: str) -> Any:
        """Return a quantity as links take it: a number, or text with a unit of ours."""
        value = attribute.value
        if isinstance(value, tuple):
            raise self.wrong(attribute, "a number or text")
        if not isinstance(value, str):
            return value
        if len(value) > _LONGEST:
            raise self.wrong(attribute, f"shorter than {_LONGEST} characters")
        if value == UNLIMITED and name in ("rate", "queue"):
            return None
        if _NUMBER.fullmatch(value):
            return float(value)
        match = _QUANTITY.fullmatch(value)
        table = _UNITS.get(name)
        if match is None or table is None:
            return value
        number, unit = match.groups()
        factor = table.get(unit) or table.get(unit.removesuffix("s"))
        if factor is None:
            return value
        return float(Fraction(number) * factor)

    def bandwidth(self, fields: Fields, name: str) -> float | None:
        if name not in fields:
            return None
        attribute = fields[name][0]
        value = self.quantity(attribute, "rate")
        try:
            rate = None if value is None else units.bits_per_second(value, attribute.key)
        except UsageError as error:
            raise self.source.error(attribute.at, str(error)) from None
        if rate == 0:
            raise self.source.error(attribute.at, f"{attribute.key}={value!r} carries nothing: leave it out")
        return rate

    def wrong(self, attribute: Attribute, expected: str) -> UsageError:
        found = "a list" if isinstance(attribute.value, tuple) else repr(attribute.value)
        return self.source.error(attribute.at, f"{attribute.key} is {found}, and should be {expected}")


def _name_of(label: str) -> str:
    """Return the name of a host that is made of a label; nothing if it has neither letters nor digits."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", label) if not unicodedata.combining(one))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")
    return f"node-{name}" if name == "localhost" or re.fullmatch(r"[0-9.]+", name) else name
