"""Multicast: who wants which group, and where packets to groups go.

Theory
------
**Hosts and their links.** A host that joins a group says so in IGMP (IPv4) or MLD (IPv6): real packets on its
link, which take time and may be lost. A router keeps for each of its links what it has heard there; the
machines of both sides, and those of snooping switches, are in `groups`. A router begins to listen, and to
ask, when the first report comes over a link: before, nobody would answer.

**Trees.** A packet goes once over each link of a tree, from the sender along the ways of least delay to the
routers whose links want it. A router that has come to want a group asks the next router towards each source,
that one the next, and so on; one that wants it no more tells the same way. This is what PIM does, but here it
is no packets: what a router knows its neighbour knows after the delay of the link between them, and it never
gets lost. That there is a source, all routers know at once. So joining takes the report's way to the first
router, and then the way up to the nearest router that has the group already: never nothing.

A router takes packets of a source only over the link on which its tree comes from there. It takes 1 of their
TTL, so 1 stays on the own link; groups in 224.0.0.0/24 and of link-local scope never leave it. Packets that a
host's program sends to a group go out over one interface, whether anybody wants them or not.

**Islands.** A router made with ``multicast=False`` passes on nothing to groups, and asks for nothing. What is
behind it is another island.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .addresses import is_ipv6
from .groups import IGMP, MLD, Changed, Filters, Host, Relay, Router, Send, Snooping, Timing
from .links import RandomStream
from .protocols import EXPIRE, FORWARD, ICMPV6, UDP
from .protocols import IGMP as IGMP_NUMBER
from .routing import tree_from, tree_over

if TYPE_CHECKING:
    from .channel import Channel
    from .datagram import DatagramTransport
    from .simulation import Simulation
    from .stack import Stack
    from .wire import Packet

HEADERS = {4: 24, 6: 48}  # bytes: IP, with the option that has routers look at it
NEVER_FORWARDED = ("224.0.0.", "ff01:", "ff02:", "ff11:", "ff12:")


class Hop:
    """A node on a tree."""

    __slots__ = ("came", "outs")

    def __init__(self, came: Channel | None) -> None:
        self.came = came
        """Over which packets come; None at the source."""
        self.outs: dict[Channel, int] = {}
        """Over which they go on, and for how many reasons."""


class Tree:
    """Where the packets of one source to one group go."""

    __slots__ = ("group", "hops", "parents", "source", "start")

    def __init__(self, start: Stack, source: str, group: str, parents: dict[Stack, Channel | None]) -> None:
        self.start = start
        self.source = source
        self.group = group
        self.parents = parents
        """Of each router: over which link it is reached."""
        self.hops: dict[Stack, Hop] = {}


class Groups:
    """All that has to do with groups in one simulation."""

    def __init__(self, simulation: Simulation, timing: Timing) -> None:
        self._simulation = simulation
        self._timing = timing
        self._trees: dict[tuple[str, str], Tree] = {}  # by source and group
        self._hosts: dict[tuple[Stack, int, bool], HostSide] = {}  # by host, interface and whether it is IPv6
        self._routers: dict[tuple[Channel, bool], RouterSide] = {}
        self._switches: dict[tuple[Stack, bool], SwitchSide] = {}

    # -- hosts ------------------------------------------------------------------------------------------

    def joined(self, stack: Stack, transport: DatagramTransport, key: tuple[str, int]) -> None:
        """A socket has joined a group on an interface or left it, or one of its sources."""
        group, interface = key
        side_key = (stack, interface, is_ipv6(group))
        side = self._hosts.get(side_key)
        if side is None:
            side = self._hosts[side_key] = HostSide(self, stack, interface, is_ipv6(group))
        sources = transport.memberships.groups.get(key, {})
        side.set(transport, group, sources)

    def vanish(self, stack: Stack) -> None:
        """A host has crashed: what it knew is gone."""
        for key in [key for key in self._hosts if key[0] is stack]:
            self._hosts.pop(key).vanish()
        for out, ipv6 in [key for key in self._routers if key[0].near is stack]:
            side = self._routers.pop((out, ipv6))
            side.vanish()
            for tree in self._trees.values():
                if (tree.group, tree.source) in side.taken:
                    self._prune(tree, stack, out)

    def host_wants(self, stack: Stack, interface: int, group: str, source: str) -> bool:
        """Say whether a socket of a host has joined a group on an interface."""
        side = self._hosts.get((stack, interface, is_ipv6(group)))
        if side is None:
            return False
        mode, sources = side.filters.state(group)
        return (source in sources) == (mode == "include")

    # -- packets to groups --------------------------------------------------------------------------------

    def send(self, stack: Stack, packet: Packet, interface: int, *, loop: bool) -> None:
        """A packet to a group leaves its sender's host."""
        packet.flow = (packet.source[0], packet.target)
        if loop:
            self._simulation.call_soon(self._loop_back, stack, packet.copy(), interface)
        if packet.ttl > 0 and interface < len(stack.channels):
            out = stack.channels[interface]
            if packet.flow not in self._trees:
                self._begin(stack, packet, out)
            hop = self._trees[packet.flow].hops.get(stack)  # of a router that sends something itself
            for other in () if hop is None else hop.outs:
                if other is not out:
                    other.carry(packet.copy())
            out.carry(packet)

    def arrive(self, stack: Stack, packet: Packet, channel: Channel) -> None:
        """A packet to a group has come to a node."""
        if stack.is_switch:
            self._switch(stack, packet, channel)
        elif packet.protocol != UDP:
            self._hear(stack, packet, channel)
        else:
            if stack.forwards:
                self._forward(stack, packet, channel)
            interface = stack.interface_of(channel)
            if self.host_wants(stack, interface, packet.target, packet.source[0]):
                self._deliver(stack, packet, interface)
            elif not stack.forwards:
                stack.ignore(packet)

    def _forward(self, stack: Stack, packet: Packet, channel: Channel) -> None:
        tree = self._trees.get(packet.flow)
        hop = None if tree is None else tree.hops.get(stack)
        if hop is None or hop.came is not channel or not hop.outs:
            return
        if packet.target.startswith(NEVER_FORWARDED):
            return
        if packet.ttl <= 1:
            stack.note(EXPIRE, packet)
            return
        stack.note(FORWARD, packet)
        for out in hop.outs:
            on = packet.copy()
            on.ttl -= 1
            out.carry(on)

    def _switch(self, stack: Stack, packet: Packet, channel: Channel) -> None:
        """A switch passes on what comes to all its other links, or only to those who want it."""
        arrived = stack.interface_of(channel)
        side = self._switch_side(stack, is_ipv6(packet.target))
        if packet.protocol == UDP:
            ports = None if side is None else side.machine.ports(packet.target, packet.source[0], arrived)
        else:
            ports = None if side is None else side.hear(packet, arrived)
        for number, out in enumerate(stack.channels):
            if number != arrived and (ports is None or number in ports):
                out.carry(packet.copy())

    def _switch_side(self, stack: Stack, ipv6: bool) -> SwitchSide | None:
        options = stack.group_options
        if not options.get("snooping"):
            return None
        side = self._switches.get((stack, ipv6))
        if side is None:
            side = self._switches[stack, ipv6] = SwitchSide(self, stack, ipv6)
        return side

    def _deliver(self, stack: Stack, packet: Packet, interface: int) -> None:
        """Give a packet to all on this host who hear the group."""
        sockets = stack.group_sockets(packet.target, packet.port, packet.source, interface)
        if not sockets:
            stack.ignore(packet)
            return
        stack.note_delivery(packet)
        for transport in sockets:
            transport.take(packet.data, packet.source)

    def _loop_back(self, stack: Stack, packet: Packet, interface: int) -> None:
        """A packet is for others on its sender's host as well, if there are any."""
        if self.host_wants(stack, interface, packet.target, packet.source[0]):
            self._deliver(stack, packet, interface)

    def _hear(self, stack: Stack, packet: Packet, channel: Channel) -> None:
        """A host or a router hears something about groups."""
        stack.note_delivery(packet)
        ipv6 = is_ipv6(packet.target)
        message, source = packet.data, packet.source[0]
        if stack.forwards and channel.back is not None and stack.group_options.get("multicast", True):
            self._router_side(stack, channel, ipv6).hear(message, source)
        side = self._hosts.get((stack, stack.interface_of(channel), ipv6))
        if side is not None:
            side.hear(message)

    def _router_side(self, stack: Stack, channel: Channel, ipv6: bool) -> RouterSide:
        out = channel.back
        assert out is not None, "nobody hears a router over a link that leads one way"
        side = self._routers.get((out, ipv6))
        if side is None:
            side = self._routers[out, ipv6] = RouterSide(self, stack, out, ipv6)
        return side

    # -- trees --------------------------------------------------------------------------------------------

    def _begin(self, stack: Stack, packet: Packet, out: Channel) -> None:
        """A source has begun to send to a group: those who want it already are joined to its tree."""
        source, group = packet.flow
        parents = tree_from(stack) if stack.forwards else tree_over(out)
        tree = self._trees[packet.flow] = Tree(stack, source, group, parents)
        for side in self._routers.values():
            since = side.since.get(group)
            if since is not None and side.machine.wants(group, source):
                side.taken.add((group, source))
                self._join(tree, side.stack, side.out, since)

    def changed(self, side: RouterSide, group: str) -> None:
        """What a link of a router wants of a group has changed."""
        now = self._simulation.clock.now
        if side.machine.state(group) is not None:
            side.since.setdefault(group, now)
        else:
            side.since.pop(group, None)
        for tree in list(self._trees.values()):
            if tree.group != group:
                continue
            key = (group, tree.source)
            wants = side.machine.wants(group, tree.source)
            if wants and key not in side.taken:
                side.taken.add(key)
                self._join(tree, side.stack, side.out, now)
            elif not wants and key in side.taken:
                side.taken.remove(key)
                self._prune(tree, side.stack, side.out)

    def _join(self, tree: Tree, stack: Stack, out: Channel, at: int) -> None:
        """From some time on packets are to go over a link, and so to come to where it begins."""
        if at > self._simulation.clock.now:
            self._simulation.call_at(at, self._join, tree, stack, out, at)
            return
        if stack is not tree.start and stack not in tree.parents:
            return  # no way leads here from the source
        came = tree.parents.get(stack)
        if came is not None and out.far is came.near:
            return  # who is nearer to the source wants nothing from here
        hop = tree.hops.get(stack)
        if hop is None:
            hop = tree.hops[stack] = Hop(came)
        hop.outs[out] = hop.outs.get(out, 0) + 1
        if len(hop.outs) > 1 or hop.outs[out] > 1:
            return  # packets come here already
        above = self._above(tree, stack)
        if above is not None:
            self._join(tree, above[0], above[1], at + above[2])

    def _prune(self, tree: Tree, stack: Stack, out: Channel) -> None:
        """Packets are not to go over a link any more."""
        hop = tree.hops.get(stack)
        if hop is None or out not in hop.outs:
            return
        hop.outs[out] -= 1
        if not hop.outs[out]:
            del hop.outs[out]
        if hop.outs:
            return
        above = self._above(tree, stack)
        if above is not None:
            when = self._simulation.clock.now + above[2]
            self._simulation.call_at(when, self._prune, tree, above[0], above[1])

    def _above(self, tree: Tree, stack: Stack) -> tuple[Stack, Channel, int] | None:
        """Return the next router towards the source, its link to here, and how long it takes to be told."""
        came = tree.parents.get(stack)
        delay = 0
        while came is not None:
            delay += came.delay
            if came.near is tree.start and not tree.start.forwards:
                return None
            if not came.near.is_switch:
                return came.near, came, delay
            came = tree.parents.get(came.near)
        return None

    def ways_changed(self) -> None:
        """Links have been cut or repaired: trees grow anew."""
        trees = list(self._trees.values())
        for tree in trees:
            out = next(iter(channel for channel in tree.start.channels), None)
            if out is None:
                continue
            tree.parents = tree_from(tree.start) if tree.start.forwards else tree_over(out)
            tree.hops.clear()
        for side in self._routers.values():
            for tree in trees:
                if (tree.group, tree.source) in side.taken:
                    self._join(tree, side.stack, side.out, self._simulation.clock.now)

    # -- machines -----------------------------------------------------------------------------------------

    def say(self, stack: Stack, out: Channel, sends: list[Any], ipv6: bool) -> None:
        """Send messages of group management over a link."""
        simulation = self._simulation
        for send in sends:
            packet = simulation.forms.Packet()
            source = stack.address6 if ipv6 else stack.address
            packet.protocol = ICMPV6 if ipv6 else IGMP_NUMBER
            packet.kind = f"{'mld' if ipv6 else 'igmp'} {type(send.message).__name__.lower()}"
            packet.size = HEADERS[6 if ipv6 else 4] + len(send.message.to_bytes(source, send.destination))
            packet.source, packet.target, packet.port = (source, 0), send.destination, 0
            packet.name, packet.target_name = stack.name, send.destination
            packet.data, packet.ttl = send.message, 1
            stack.count_sent(packet)
            out.carry(packet)

    @property
    def now(self) -> int:
        """The time in nanoseconds."""
        return self._simulation.clock.now

    @property
    def timing(self) -> Timing:
        """The constants of group management."""
        return self._timing

    def stream_of(self, stack: Stack) -> RandomStream:
        """Return the random stream of a host's answers."""
        return RandomStream(self._simulation.seed, f"{stack.name}/groups")

    def wake_at(self, when: int | None, before: int | None, call: Any) -> int | None:
        """Have a machine woken; returns when."""
        if when is not None and when != before:
            self._simulation.call_at(max(when, self.now), call, when)
        return when


class HostSide:
    """What one interface of a host wants, and what it says about that."""

    __slots__ = ("_groups", "_ipv6", "_machine", "_stack", "_wakes", "filters", "interface")

    def __init__(self, groups: Groups, stack: Stack, interface: int, ipv6: bool) -> None:
        self._groups = groups
        self._stack = stack
        self._ipv6 = ipv6
        self.interface = interface
        family = MLD if ipv6 else IGMP
        self.filters = Filters(family)
        version = stack.group_options.get("mld" if ipv6 else "igmp")
        self._machine = Host(groups.stream_of(stack), family=family, version=version, timing=groups.timing)
        self._wakes: int | None = None

    def set(self, transport: DatagramTransport, group: str, sources: dict[str, None] | None) -> None:
        """A socket wants a group from these sources; None is from any."""
        mode = "exclude" if sources is None else "include"
        whole, of = self.filters.set(transport, group, mode, sources or ())  # type: ignore[arg-type]
        self._say(self._machine.set_filter(group, whole, of, self._groups.now))

    def hear(self, message: Any) -> None:
        """Something was said on the link."""
        self._say(self._machine.receive(message, self._groups.now))

    def vanish(self) -> None:
        """Its host has crashed: nobody wakes it any more."""
        self._wakes = None

    def _wake(self, when: int) -> None:
        if self._wakes == when:
            self._wakes = None
            self._say(self._machine.wake(self._groups.now))

    def _say(self, sends: list[Send]) -> None:
        if sends and self.interface < len(self._stack.channels):
            self._groups.say(self._stack, self._stack.channels[self.interface], sends, self._ipv6)
        self._wakes = self._groups.wake_at(self._machine.next_time(), self._wakes, self._wake)


class RouterSide:
    """What a router knows of the groups on one of its links."""

    __slots__ = ("_groups", "_ipv6", "_wakes", "machine", "out", "since", "stack", "taken")

    def __init__(self, groups: Groups, stack: Stack, out: Channel, ipv6: bool) -> None:
        self._groups = groups
        self._ipv6 = ipv6
        self.stack = stack
        self.out = out
        self.since: dict[str, int] = {}
        """Since when groups are wanted here."""
        self.taken: set[tuple[str, str]] = set()
        """Groups and sources that have been asked for."""
        options = stack.group_options
        self.machine = Router(
            f"fe80::{stack.number:x}" if ipv6 else stack.address,
            family=MLD if ipv6 else IGMP,
            version=options.get("mld" if ipv6 else "igmp"),
            timing=groups.timing,
            fast_leave=options.get("fast_leave", False),
        )
        self._wakes: int | None = None
        self._do(self.machine.start(groups.now))

    def hear(self, message: Any, source: str) -> None:
        """Something was said on the link."""
        self._do(self.machine.receive(message, source, self._groups.now))

    def vanish(self) -> None:
        """Its host has crashed: nobody wakes it any more."""
        self._wakes = None

    def _wake(self, when: int) -> None:
        if self._wakes == when:
            self._wakes = None
            self._do(self.machine.wake(self._groups.now))

    def _do(self, events: list[Send | Changed]) -> None:
        for event in events:
            if isinstance(event, Changed):
                self._groups.changed(self, event.group)
            else:
                self._groups.say(self.stack, self.out, [event], self._ipv6)
        self._wakes = self._groups.wake_at(self.machine.next_time(), self._wakes, self._wake)


class SwitchSide:
    """What a snooping switch knows of the groups behind its ports."""

    __slots__ = ("_groups", "_ipv6", "_stack", "_wakes", "machine")

    def __init__(self, groups: Groups, stack: Stack, ipv6: bool) -> None:
        self._groups = groups
        self._stack = stack
        self._ipv6 = ipv6
        options = stack.group_options
        address = f"fe80::{stack.number:x}" if ipv6 else None
        self.machine = Snooping(
            range(len(stack.channels)),
            family=MLD if ipv6 else IGMP,
            unknown=options.get("unknown", "flood"),
            querier=options.get("querier", False),
            address=address if options.get("querier") else None,
            timing=groups.timing,
            fast_leave=options.get("fast_leave", False),
        )
        self._wakes: int | None = None
        self._do(self.machine.start(groups.now))

    def hear(self, packet: Packet, port: int) -> tuple[int, ...]:
        """Something was said; return where it goes on."""
        return self._do(self.machine.receive(packet.data, packet.source[0], port, self._groups.now))

    def _wake(self, when: int) -> None:
        if self._wakes == when:
            self._wakes = None
            self._do(self.machine.wake(self._groups.now))

    def _do(self, events: list[Relay | Send]) -> tuple[int, ...]:
        ports: tuple[int, ...] = ()
        for event in events:
            if isinstance(event, Relay):
                ports = (*ports, *event.ports)
            else:
                for out in self._stack.channels:
                    self._groups.say(self._stack, out, [event], self._ipv6)
        self._wakes = self._groups.wake_at(self.machine.next_time(), self._wakes, self._wake)
        return ports
