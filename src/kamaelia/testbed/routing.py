"""Ways through a network: which link is the next towards an address.

Theory
------
A way is the one with the least delay; of equals that over fewer links, then that over older ones. Only
routers and switches pass packets on. Delays are those with which a simulation begins: as in real networks,
the ways do not change when a link gets slower, only when it is cut.

How routers find each other is not modelled: each knows the ways at once, also after a link was cut. What they
cost to compute is: for a hundred thousand hosts behind one router nothing, as a host with one link is on no
way but its own. A *tree* holds the distances of all routers to one host, or from one; it is made for
whichever end has been asked about before. All nodes on a way keep in their tables what was found.

Networks of routes that were set by hand (`Stack.routes`) come first, those with the longest prefix before
others.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .addresses import parsed
from .settings import make_settings

if TYPE_CHECKING:
    from .channel import Channel
    from .stack import Stack

Distance = tuple[int, int]  # delay in nanoseconds, links
MOST_TREES = 1000  # that are kept


class Routes:
    """The ways of one simulation, as far as somebody has asked for them."""

    def __init__(self) -> None:
        self._towards: dict[Stack, dict[Stack, Distance]] = {}
        self._from: dict[Stack, dict[Stack, tuple[Distance, Channel | None]]] = {}
        self._asked: dict[Stack, int] = {}
        self._onwards: dict[Stack, list[Channel]] = {}
        self.nowhere: set[Stack] = set()
        """Hosts that have an address and are not there: packets for them leave, and come to nobody."""
        self._dead_ends: dict[tuple[Stack, Stack], Channel] = {}

    def forget(self) -> None:
        """Links have been cut or repaired."""
        self._towards.clear()
        self._from.clear()

    def find(self, start: Stack, target: Stack, address: str) -> Channel | None:
        """Return the first link on the way to a host, and have all on the way know theirs; None if there is
        none."""
        if target in self.nowhere or start in self.nowhere:
            return self._dead_end(start, target)
        way = self._way(start, target)
        for channel in way:
            if channel.near.routes and channel.near is not start and channel.near.static_route(address):
                break
            channel.near.own_table().setdefault(address, channel)
        return way[0] if way else None

    def _dead_end(self, start: Stack, target: Stack) -> Channel:
        """Return a link that leads straight to a host that is not there; nobody else sees it."""
        channel = self._dead_ends.get((start, target))
        if channel is None:
            simulation = start.simulation
            both = start.channels, target.channels_in
            channel = simulation.forms.Channel(start, target, make_settings(), simulation.seed)
            start.channels, target.channels_in = both
            self._dead_ends[start, target] = channel
        return channel

    def _way(self, start: Stack, target: Stack) -> list[Channel]:
        end = _only_neighbour(target) or target
        if end is start:
            end = target
        if end in self._towards:
            return self._follow(start, target, end)
        if start not in self._from and self._asked.get(start, 0) < 1:
            self._asked[start] = self._asked.get(start, 0) + 1
            self._keep(self._towards)
            self._towards[end] = _distances_towards(end)
            return self._follow(start, target, end)
        if start not in self._from:
            self._keep(self._from)
            self._from[start] = _all_from(start)
        return _trace_back(start, target, self._from[start])

    def _keep(self, trees: dict[Stack, Any]) -> None:
        if len(trees) >= MOST_TREES:
            del trees[next(iter(trees))]

    def _follow(self, start: Stack, target: Stack, end: Stack) -> list[Channel]:
        """Return the way to a host by the distances to its end, which is the host or its only neighbour."""
        tree = self._towards[end]
        way: list[Channel] = []
        at = start
        while at is not target:
            best: tuple[int, int, int] | None = None
            chosen: Channel | None = None
            for channel in self._candidates(at, target):
                if channel.near is not at or not channel.is_open:
                    continue
                # From the only neighbour the last link is the way, however long it takes.
                further = None if at is end else tree.get(channel.far)
                distance = (0, 0) if channel.far is target else further
                if distance is None:
                    continue
                whole = (channel.metric + distance[0], 1 + distance[1], channel.interface)
                if best is None or whole < best:
                    best, chosen = whole, channel
            if chosen is None:
                return []
            way.append(chosen)
            at = chosen.far
        return way

    def _candidates(self, at: Stack, target: Stack) -> Sequence[Channel]:
        """Return all links that may be the next from one to another, and perhaps more, but never many: of a
        thousand that lead to other hosts none is on the way."""
        if len(at.channels) <= len(target.channels_in):
            return at.channels
        onwards = self._onwards.get(at)
        if onwards is None:
            onwards = self._onwards[at] = [channel for channel in at.channels if channel.far.forwards]
        return [*onwards, *target.channels_in]


def _only_neighbour(host: Stack) -> Stack | None:
    """Return the router behind which a host is, if there is one only."""
    if host.forwards or len(host.channels_in) != 1 or not host.channels_in[0].is_open:
        return None
    near = host.channels_in[0].near
    return near if near.forwards else None


def _distances_towards(target: Stack) -> dict[Stack, Distance]:
    """Return how far routers are from a host."""
    distances: dict[Stack, Distance] = {}
    serial = 0
    heap: list[tuple[int, int, int, Stack]] = [(0, 0, 0, target)]
    while heap:
        delay, links, _, at = heapq.heappop(heap)
        if at in distances:
            continue
        distances[at] = (delay, links)
        for channel in at.channels_in:
            near = channel.near
            if near.forwards and near not in distances and channel.is_open:
                serial += 1
                heapq.heappush(heap, (delay + channel.metric, links + 1, serial, near))
    return distances


def _all_from(start: Stack) -> dict[Stack, tuple[Distance, Channel | None]]:
    """Return how far routers are, and over which link one comes to each."""
    tree: dict[Stack, tuple[Distance, Channel | None]] = {}
    serial = 0
    heap: list[tuple[int, int, int, Stack, Channel | None]] = [(0, 0, 0, start, None)]
    while heap:
        delay, links, _, at, came_over = heapq.heappop(heap)
        if at in tree:
            continue
        tree[at] = ((delay, links), came_over)
        for channel in at.channels:
            further = channel.far
            if further.forwards and further not in tree and channel.is_open:
                serial += 1
                heapq.heappush(heap, (delay + channel.metric, links + 1, serial, further, channel))
    return tree


def tree_over(first: Channel) -> dict[Stack, Channel | None]:
    """Return over which link each router gets the packets that a host sends to a group over one link."""
    return _tree_of_groups(first.near, [first])


def tree_from(start: Stack) -> dict[Stack, Channel | None]:
    """Return over which link each router gets the packets that a router itself sends to a group."""
    return _tree_of_groups(start, start.channels)


def _tree_of_groups(start: Stack, first: Sequence[Channel]) -> dict[Stack, Channel | None]:
    reached: dict[Stack, Channel | None] = {start: None}
    heap = [(channel.metric, 1, serial, channel) for serial, channel in enumerate(first)]
    heapq.heapify(heap)
    serial = len(heap)
    while heap:
        delay, links, _, came_over = heapq.heappop(heap)
        at = came_over.far
        if at in reached or not at.forwards or not came_over.is_open:
            continue
        reached[at] = came_over
        if not at.group_options.get("multicast", True):
            continue  # it is on no way to others
        for channel in at.channels:
            if channel.far.forwards and channel.far not in reached:
                serial += 1
                heapq.heappush(heap, (delay + channel.metric, links + 1, serial, channel))
    return reached


def _trace_back(
    start: Stack, target: Stack, tree: dict[Stack, tuple[Distance, Channel | None]]
) -> list[Channel]:
    way: list[Channel] = []
    at = target
    while at is not start:
        if at in tree:
            channel = tree[at][1]
        else:
            best: tuple[int, int] | None = None
            channel = None
            for one in at.channels_in:
                if one.is_open and one.near in tree:
                    delay, links = tree[one.near][0]
                    if best is None or (delay + one.metric, links + 1) < best:
                        best, channel = (delay + one.metric, links + 1), one
        if channel is None:
            return []
        way.append(channel)
        at = channel.near
    way.reverse()
    return way


def longest_match(routes: Sequence[tuple[Any, Channel]], address: str) -> Channel | None:
    """Return the link of the route with the longest prefix that an address is in."""
    host = parsed(address)
    found: Channel | None = None
    longest = -1
    for network, channel in routes:
        if host in network and network.prefixlen > longest:
            found, longest = channel, network.prefixlen
    return found
