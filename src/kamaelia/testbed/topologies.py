"""Networks of usual shapes, in a line of code each.

Each function makes hosts and links, in a network of its own or in one that it is given, and returns a small
object that names them::

    homes = star(1000, link={"rate": "100 Mbit/s", "delay": "10 ms", "back": {"rate": "20 Mbit/s"}})
    homes.center.run(serve)
    for home in homes.leaves:
        home.run(watch)
    homes.network.simulate(seconds=60)

| function | shape | what it is good for |
| --- | --- | --- |
| `star` | one in the middle of many | a server and its clients, a home, a local network |
| `chain` | one behind the other | a way of many hops |
| `ring` | a closed chain | two ways to everywhere |
| `tree` | from a root to ever more | distribution, multicast |
| `dumbbell` | two stars with one link between | many connections that share a bottleneck |
| `grid` | rows and columns | many ways of the same length |
| `full_mesh` | each linked with each | peers that need no routers |
| `cdn` | origin, regions, edges, viewers | a content delivery network |

Names are made of what a host is and a number from 0 (``leaf-7``), or two where it has a row and a place in it
(``router-2-5``). With a ``prefix`` two shapes fit into one network. Hosts and links are made in the order in
which they stand in ``hosts`` and ``links``; that fixes their addresses (`kamaelia.testbed.addresses`).

The arguments that say what links are like are mappings of the arguments of `Network.link`. Links lead from
the middle outward, or from first to last: what differs in the way back stands under ``"back"``.

Routers run components as hosts do. In `ring` and `grid` all are routers, so that each passes on what is for
others. In `chain` and `tree` the ends are hosts and the rest are routers, for a host passes nothing on.

All this takes a time that is linear in the number of hosts and links: half a second for 100,000 of each.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..axon import UsageError
from ..axon.errors import suggestion
from .addresses import MOST_HOSTS
from .links.quantities import count
from .network import Host, Network, NetworkLink

__all__ = [
    "CDN",
    "Chain",
    "Dumbbell",
    "FullMesh",
    "Grid",
    "Ring",
    "Star",
    "Topology",
    "Tree",
    "cdn",
    "chain",
    "dumbbell",
    "full_mesh",
    "grid",
    "ring",
    "star",
    "tree",
]

Settings = Mapping[str, Any]
"""Arguments of `Network.link`."""

_NONE: Settings = MappingProxyType({})
_ARGUMENTS = tuple(inspect.signature(Network.link).parameters)[3:]  # without self and the two ends


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class Topology:
    """What a function of this module has made; each kind has names for its parts."""

    network: Network
    """Where it is."""
    hosts: tuple[Host, ...]
    """All that were made, in order; routers and switches too."""
    links: tuple[NetworkLink, ...]
    """All that were made, in order."""

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name} of {len(self.hosts)} hosts and {len(self.links)} links>"


class _Site:
    """Where a topology is made, and what has been made so far."""

    def __init__(self, network: Network | None, prefix: str, number: int) -> None:
        if network is not None and not isinstance(network, Network):
            raise UsageError(f"network={network!r}: give a Network, or None for a new one")
        if not isinstance(prefix, str):
            raise UsageError(f"prefix={prefix!r}: give text that names begin with, such as 'home-'")
        self.network = Network() if network is None else network
        if len(self.network.hosts) + number > MOST_HOSTS:
            raise UsageError(f"a network has at most {MOST_HOSTS} hosts, and these would be {number}")
        self.hosts: list[Host] = []
        self.links: list[NetworkLink] = []
        self._prefix = prefix

    def add(self, name: str, kind: str = "host") -> Host:
        name = self._prefix + name
        if name in self.network.hosts:
            raise UsageError(
                f"this network has a host {name!r} already: tell them apart by prefix=..., such as 'home-'"
            )
        host: Host = getattr(self.network, kind)(name)
        self.hosts.append(host)
        return host

    def link(self, a: Host, b: Host, settings: Settings) -> NetworkLink:
        link = self.network.link(a, b, **settings)
        self.links.append(link)
        return link

    def made(self) -> dict[str, Any]:
        return {"network": self.network, "hosts": tuple(self.hosts), "links": tuple(self.links)}


def _checked(**mappings: Settings) -> None:
    """Find what is no argument of a link before anything is made."""
    for what, settings in mappings.items():
        if not isinstance(settings, Mapping):
            raise UsageError(
                f"{what}={settings!r}: give the arguments of a link, such as {what}={{'delay': '5 ms'}}"
            )
        for name in settings:
            if name not in _ARGUMENTS:
                raise UsageError(
                    f"{what}={dict(settings)!r}: a link has no {name!r}; {suggestion(str(name), _ARGUMENTS)}"
                )


# --- one in the middle --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class Star(Topology):
    """What `star` has made."""

    center: Host
    """In the middle."""
    leaves: tuple[Host, ...]
    """Around it; the link of each has the same place in `links`."""


def star(
    leaves: int,
    network: Network | None = None,
    *,
    center: str = "router",
    link: Settings = _NONE,
    prefix: str = "",
) -> Star:
    """Make one in the middle, ``center``, and hosts around it: ``leaf-0``, ``leaf-1`` ...

    Arguments:
        leaves: how many hosts there are around it
        network: the network to add it to; a new one by default
        center: what is in the middle: ``"router"``, ``"switch"``, or ``"host"``, which passes nothing on
        link: what the links are like, from the middle outward
        prefix: what the names begin with

    Raises `UsageError` for a number that is none, or less than 1, for what links have not, and for names that
    are taken.

    Example:
        >>> from kamaelia.testbed.topologies import star
        >>> home = star(3, center="switch", link={"rate": "1 Gbit/s", "delay": "50 us"})
        >>> home
        <Star of 4 hosts and 3 links>
        >>> home.center, home.leaves, home.links[2]
        (<switch center>, (<host leaf-0>, <host leaf-1>, <host leaf-2>), <link center - leaf-2>)
    """
    _checked(link=link)
    if center not in ("router", "switch", "host"):
        raise UsageError(f"center={center!r}: there are 'router', 'switch' and 'host'")
    site = _Site(network, prefix, 1 + count(leaves, "leaves"))
    middle = site.add("center", center)
    around = [site.add(f"leaf-{number}") for number in range(leaves)]
    for leaf in around:
        site.link(middle, leaf, link)
    return Star(**site.made(), center=middle, leaves=tuple(around))


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class Dumbbell(Topology):
    """What `dumbbell` has made."""

    left: tuple[Host, ...]
    """The hosts of one side."""
    right: tuple[Host, ...]
    """The hosts of the other."""
    left_router: Host
    """What the left hosts are linked with."""
    right_router: Host
    """What the right hosts are linked with."""
    bottleneck: NetworkLink
    """Between the two routers, from left to right; the first of `links`."""


def dumbbell(
    left: int,
    right: int,
    network: Network | None = None,
    *,
    link: Settings = _NONE,
    bottleneck: Settings = _NONE,
    prefix: str = "",
) -> Dumbbell:
    """Make two stars whose centers have one link between them, which all share.

    Their hosts are ``left-0``, ``left-1`` ... and ``right-0`` ...; between them are ``left-router`` and
    ``right-router``.

    Arguments:
        left: how many hosts there are on one side
        right: how many on the other
        network: the network to add it to; a new one by default
        link: what the links of the hosts are like, from the router outward
        bottleneck: what the link between the routers is like, from left to right
        prefix: what the names begin with

    Raises `UsageError` as `star` does.

    Example:
        >>> from kamaelia.testbed.topologies import dumbbell
        >>> pair = dumbbell(2, 2, link={"rate": "1 Gbit/s"}, bottleneck={"rate": "10 Mbit/s"})
        >>> pair.left, pair.bottleneck
        ((<host left-0>, <host left-1>), <link left-router - right-router>)
        >>> pair.bottleneck.set(queue="20 packets")
    """
    _checked(link=link, bottleneck=bottleneck)
    site = _Site(network, prefix, 2 + count(left, "left") + count(right, "right"))
    left_router, right_router = site.add("left-router", "router"), site.add("right-router", "router")
    lefts = [site.add(f"left-{number}") for number in range(left)]
    rights = [site.add(f"right-{number}") for number in range(right)]
    middle = site.link(left_router, right_router, bottleneck)
    for host in lefts:
        site.link(left_router, host, link)
    for host in rights:
        site.link(right_router, host, link)
    return Dumbbell(
        **site.made(),
        left=tuple(lefts),
        right=tuple(rights),
        left_router=left_router,
        right_router=right_router,
        bottleneck=middle,
    )


# --- one behind the other -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class Chain(Topology):
    """What `chain` has made; `hosts` has them from end to end, and `links` what is between them."""

    first: Host
    """The host at one end."""
    last: Host
    """The host at the other."""
    routers: tuple[Host, ...]
    """Between them."""


def chain(
    length: int,
    network: Network | None = None,
    *,
    link: Settings = _NONE,
    first: Settings = _NONE,
    last: Settings = _NONE,
    prefix: str = "",
) -> Chain:
    """Make a host ``first``, routers ``router-0``, ``router-1`` ... and a host ``last``, in this order.

    Arguments:
        length: how many there are in all, 2 at least
        network: the network to add it to; a new one by default
        link: what the links are like, from first to last
        first: what is different of the first link
        last: what is different of the last link
        prefix: what the names begin with

    Raises `UsageError` as `star` does.

    Example:
        >>> from kamaelia.testbed.topologies import chain
        >>> way = chain(4, link={"delay": "5 ms"}, last={"rate": "2 Mbit/s"})
        >>> way.hosts
        (<host first>, <router router-0>, <router router-1>, <host last>)
        >>> way.links[-1].settings.delay, way.links[-1].settings.rate
        (5000000, 2000000.0)
    """
    _checked(link=link, first=first, last=last)
    site = _Site(network, prefix, count(length, "length", 2))
    begin = site.add("first")
    routers = [site.add(f"router-{number}", "router") for number in range(length - 2)]
    end = site.add("last")
    for number in range(length - 1):
        settings = {**link, **(first if number == 0 else {}), **(last if number == length - 2 else {})}
        site.link(site.hosts[number], site.hosts[number + 1], settings)
    return Chain(**site.made(), first=begin, last=end, routers=tuple(routers))


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class Ring(Topology):
    """What `ring` has made; `links` has the one from each router to the next."""

    routers: tuple[Host, ...]
    """In order; the last is linked with the first."""


def ring(routers: int, network: Network | None = None, *, link: Settings = _NONE, prefix: str = "") -> Ring:
    """Make routers ``router-0``, ``router-1`` ... each linked with the next, and the last with the first.

    Arguments:
        routers: how many there are, 3 at least
        network: the network to add it to; a new one by default
        link: what the links are like, from each to the next
        prefix: what the names begin with

    Raises `UsageError` as `star` does.

    Example:
        >>> from kamaelia.testbed.topologies import ring
        >>> ring(3, link={"delay": "5 ms"}).links
        (<link router-0 - router-1>, <link router-1 - router-2>, <link router-2 - router-0>)
    """
    _checked(link=link)
    site = _Site(network, prefix, count(routers, "routers", 3))
    for number in range(routers):
        site.add(f"router-{number}", "router")
    for number in range(routers):
        site.link(site.hosts[number], site.hosts[(number + 1) % routers], link)
    return Ring(**site.made(), routers=tuple(site.hosts))


# --- rows ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class Tree(Topology):
    """What `tree` has made; `links` has the one towards the root of each host but the root, in order."""

    root: Host
    """At the top; a router."""
    levels: tuple[tuple[Host, ...], ...]
    """From the root alone to the leaves."""
    leaves: tuple[Host, ...]
    """The hosts at the ends."""


def tree(
    depth: int,
    fan_out: int,
    network: Network | None = None,
    *,
    link: Settings = _NONE,
    first: Settings = _NONE,
    last: Settings = _NONE,
    prefix: str = "",
) -> Tree:
    """Make a router ``root``, with others below it, and hosts ``leaf-0``, ``leaf-1`` ... at the ends.

    The routers between are called by their level, of which the root's is 0, and a number in it:
    ``router-1-0``.

    Arguments:
        depth: how many links there are from the root to each leaf
        fan_out: how many are below each but the leaves
        network: the network to add it to; a new one by default
        link: what the links are like, from the root outward
        first: what is different of the links of the root
        last: what is different of the links of the leaves
        prefix: what the names begin with

    Raises `UsageError` as `star` does.

    Example:
        >>> from kamaelia.testbed.topologies import tree
        >>> multicast = tree(3, 2, link={"delay": "5 ms"}, last={"loss": "1 %"})
        >>> [len(level) for level in multicast.levels]
        [1, 2, 4, 8]
        >>> multicast.root, multicast.levels[2][3], multicast.leaves[7]
        (<router root>, <router router-2-3>, <host leaf-7>)
    """
    _checked(link=link, first=first, last=last)
    count(depth, "depth"), count(fan_out, "fan_out")
    number = size = 1
    for _ in range(depth):
        size *= fan_out
        number += size
        if number > MOST_HOSTS:
            raise UsageError(
                f"tree(depth={depth}, fan_out={fan_out}): a network has at most {MOST_HOSTS} hosts"
            )
    site = _Site(network, prefix, number)
    levels: list[list[Host]] = [[site.add("root", "router")]]
    for level in range(1, depth + 1):
        settings = {**link, **(first if level == 1 else {}), **(last if level == depth else {})}
        row: list[Host] = []
        for above in levels[-1]:
            for _ in range(fan_out):
                at_end = level == depth
                name = f"leaf-{len(row)}" if at_end else f"router-{level}-{len(row)}"
                below = site.add(name, "host" if at_end else "router")
                site.link(above, below, settings)
                row.append(below)
        levels.append(row)
    return Tree(
        **site.made(),
        root=levels[0][0],
        levels=tuple(tuple(row) for row in levels),
        leaves=tuple(levels[-1]),
    )


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class Grid(Topology):
    """What `grid` has made."""

    rows: tuple[tuple[Host, ...], ...]
    """The routers, row by row."""


def grid(
    rows: int,
    columns: int,
    network: Network | None = None,
    *,
    link: Settings = _NONE,
    prefix: str = "",
) -> Grid:
    """Make routers in rows and columns, each linked with those beside, above and below it.

    They are called by row and column, ``router-0-0`` and so on.

    Arguments:
        rows: how many rows there are
        columns: how many are in each
        network: the network to add it to; a new one by default
        link: what the links are like, to the right and downward
        prefix: what the names begin with

    Raises `UsageError` as `star` does.

    Example:
        >>> from kamaelia.testbed.topologies import grid
        >>> city = grid(2, 3, link={"delay": "1 ms"})
        >>> city, city.rows[1][2]
        (<Grid of 6 hosts and 7 links>, <router router-1-2>)
    """
    _checked(link=link)
    site = _Site(network, prefix, count(rows, "rows") * count(columns, "columns"))
    made = [
        tuple(site.add(f"router-{row}-{column}", "router") for column in range(columns))
        for row in range(rows)
    ]
    for row in range(rows):
        for column in range(columns):
            if column + 1 < columns:
                site.link(made[row][column], made[row][column + 1], link)
            if row + 1 < rows:
                site.link(made[row][column], made[row + 1][column], link)
    return Grid(**site.made(), rows=tuple(made))


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class FullMesh(Topology):
    """What `full_mesh` has made."""

    peers: tuple[Host, ...]
    """Each linked with each."""


def full_mesh(
    peers: int, network: Network | None = None, *, link: Settings = _NONE, prefix: str = ""
) -> FullMesh:
    """Make hosts ``peer-0``, ``peer-1`` ... each linked with each: for n of them n * (n - 1) / 2 links.

    Arguments:
        peers: how many there are, 2 at least
        network: the network to add it to; a new one by default
        link: what the links are like, from each to those with greater numbers
        prefix: what the names begin with

    Raises `UsageError` as `star` does.

    Example:
        >>> from kamaelia.testbed.topologies import full_mesh
        >>> full_mesh(3).links
        (<link peer-0 - peer-1>, <link peer-0 - peer-2>, <link peer-1 - peer-2>)
    """
    _checked(link=link)
    site = _Site(network, prefix, count(peers, "peers", 2))
    made = [site.add(f"peer-{number}") for number in range(peers)]
    for number, one in enumerate(made):
        for other in made[number + 1 :]:
            site.link(one, other, link)
    return FullMesh(**site.made(), peers=tuple(made))


# --- content delivery ---------------------------------------------------------------------------------

ORIGIN: Settings = MappingProxyType({"rate": "10 Gbit/s", "delay": "500 us"})
"""The link of an origin. An assumption: a server in a data centre at the backbone."""
REGION: Settings = MappingProxyType({"rate": "100 Gbit/s", "delay": "45 ms"})
"""The link of a region: half of the 90 ms that Verizon's service level allows for a round trip between New
York and London. The rate is an assumption."""
EDGE: Settings = MappingProxyType({"rate": "10 Gbit/s", "delay": "10 ms"})
"""The link of an edge within its region. An assumption: somewhat less than half of the 45 ms that the same
service level allows for a round trip between any two of its hubs in the USA."""
VIEWER: Settings = MappingProxyType(
    {"rate": "100 Mbit/s", "delay": "10 ms", "back": MappingProxyType({"rate": "20 Mbit/s"})}
)
"""The link of a viewer. The rates are those from which on the FCC calls it broadband (2024): 100 Mbit/s down,
20 up. The delay is an assumption: half of a round trip of 20 ms. In the FCC's "Measuring Broadband America"
of 2016 round trips took 11 to 15 ms over Verizon's fibre, and 37 to 40 ms over its DSL."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class CDN(Topology):
    """What `cdn` has made."""

    backbone: Host
    """The router that joins origins and regions."""
    origins: tuple[Host, ...]
    """Hosts, where the content comes from."""
    regions: tuple[Host, ...]
    """Routers, each with its edges; a cache for a region runs here."""
    edges: tuple[Host, ...]
    """Routers, each with its viewers, in the order of the regions; the servers that viewers ask run here."""
    viewers: tuple[Host, ...]
    """Hosts, in the order of the edges."""


def cdn(
    origins: int,
    regions: int,
    edges: int,
    viewers: int,
    network: Network | None = None,
    *,
    origin: Settings = _NONE,
    region: Settings = _NONE,
    edge: Settings = _NONE,
    viewer: Settings = _NONE,
    prefix: str = "",
) -> CDN:
    """Make a content delivery network: origins and regions at a backbone, edges in regions, viewers at edges.

    ``cdn(1, 4, 10, 250)`` has 4 regions of 10 edges with 250 viewers each, which makes 10,000 viewers. They
    are called ``backbone``, ``origin-0``, ``region-2``, ``edge-2-7`` (the eighth of that region) and
    ``viewer-2-7-249``. The backbone is one router; that continents differ is not modelled, but can be:
    ``network.regions[1]`` has its link, and links can be set.

    Arguments:
        origins: how many servers the content comes from
        regions: how many regions there are
        edges: how many edges each region has
        viewers: how many viewers each edge has
        network: the network to add it to; a new one by default
        origin: what is different from `ORIGIN` of the links of the origins, from the backbone outward
        region: what is different from `REGION` of the links of the regions
        edge: what is different from `EDGE` of the links of the edges
        viewer: what is different from `VIEWER` of the links of the viewers
        prefix: what the names begin with

    Raises `UsageError` as `star` does.

    Example:
        >>> from kamaelia.testbed.topologies import cdn
        >>> video = cdn(1, 2, 3, 50, viewer={"loss": "0.1 %"})
        >>> video
        <CDN of 310 hosts and 309 links>
        >>> video.origins, video.edges[3], video.viewers[-1], video.links[-1].settings.rate
        ((<host origin-0>,), <router edge-1-0>, <host viewer-1-2-49>, 100000000.0)
    """
    _checked(origin=origin, region=region, edge=edge, viewer=viewer)
    count(origins, "origins"), count(regions, "regions"), count(edges, "edges"), count(viewers, "viewers")
    site = _Site(network, prefix, 1 + origins + regions * (1 + edges * (1 + viewers)))
    backbone = site.add("backbone", "router")

    def row(above: Host, name: str, number: int, kind: str, settings: Settings) -> list[Host]:
        made = [site.add(f"{name}-{n}", kind) for n in range(number)]
        for below in made:
            site.link(above, below, settings)
        return made

    sources = row(backbone, "origin", origins, "host", {**ORIGIN, **origin})
    areas = row(backbone, "region", regions, "router", {**REGION, **region})
    ends: list[Host] = []
    for n, area in enumerate(areas):
        ends += row(area, f"edge-{n}", edges, "router", {**EDGE, **edge})
    homes: list[Host] = []
    for n, end in enumerate(ends):
        name = f"viewer-{n // edges}-{n % edges}"
        homes += row(end, name, viewers, "host", {**VIEWER, **viewer})
    return CDN(
        **site.made(),
        backbone=backbone,
        origins=tuple(sources),
        regions=tuple(areas),
        edges=tuple(ends),
        viewers=tuple(homes),
    )
