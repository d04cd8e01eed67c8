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

When links are cut or repaired, each router whose way to a source is another one takes its request back, and
asks there; what it has not asked for itself does not change. Several routers may be at one switch: the one
over which the tree comes there sends. A router that has crashed is not gone round, as in `routing`; who is
above it hears that it wants nothing any more. When it is there again, it asks its links at once, and those
below it ask it anew.

A router takes packets of a source only over the link on which its tree comes from there. It takes 1 of their
TTL, so 1 stays on the own link; groups in 224.0.0.0/24 and of link-local scope never leave it. Packets that a
host's program sends to a group go out over one interface, whether anybody wants them or not.

**Islands.** A router made with ``multicast=False`` passes on nothing to groups, and asks for nothing. What is
behind it is another island.

**What the wire knows.** Most packets are seen by `wire` only. A router's table has, for a group, its `Hop` on
each tree: over which link packets come, and over which they go on. It is the one object that requests change,
so there is nothing to keep up to date; a router that has joined groups itself has none. Of a host, the wire
knows a socket that alone gets what comes for a group to its port (`Stack.find_member`, which is asked
whenever a socket comes, goes, joins or leaves). All else comes to `Groups.arrive`.
"""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any

from .addresses import is_ipv6
from .groups import IGMP, MLD, Changed, Host, Relay, Router, Send, Snooping, Timing, merged
from .groups.messages import size_of
from .links import RandomStream
from .protocols import FORWARD, ICMPV6, UDP
from .protocols import IGMP as IGMP_NUMBER
from .routing import tree_from, tree_over

if TYPE_CHECKING:
    from .channel import Channel
    from .groups.members import Sources
    from .groups.messages import Mode
    from .memberships import Key, Memberships
    from .simulation import Simulation
    from .stack import Stack
    from .wire import Hop, Packet

Flow = tuple[str, str, int]  # a source, a group, and over which of the source's interfaces

HEADERS = {4: 24, 6: 48}  # bytes: IP, with the option that has routers look at it
NEVER_FORWARDED = ("224.0.0.", "ff01:", "ff02:", "ff11:", "ff12:")


MEMBERS, ROUTER = 1, 2  # for whom packets go over a link: members, and each router that has asked
NOBODY: tuple[Memberships, ...] = ()


class Request:
    """A router has asked the next one towards a source for the packets to a group."""

    __slots__ = ("delay", "is_given", "is_over", "out", "stack")

    def __init__(self, stack: Stack, out: Channel, delay: int) -> None:
        self.stack = stack
        """Who was asked."""
        self.out = out
        """Over which of its links packets are to go."""
        self.delay = delay
        """How long it takes to tell it something."""
        self.is_given = self.is_over = False


class Tree:
    """Where the packets of one source to one group go."""

    __slots__ = ("flow", "group", "hops", "out", "parents", "source", "start")

    def __init__(self, start: Stack, out: Channel | None, flow: Flow) -> None:
        self.start = start
        self.out = out
        """Over which link the source sends; None for a router, which sends over all that are asked for."""
        self.flow = flow
        self.source, self.group, _ = flow
        self.hops: dict[Stack, Hop] = {}
        self.grow()

    def grow(self) -> None:
        """Find out over which link each router gets what the source sends."""
        self.parents = tree_from(self.start) if self.out is None else tree_over(self.out)

    def leads_over(self, out: Channel) -> bool:
        """Say whether packets may go over a link of a router: they come there, and not over that link."""
        if out.near is not self.start and out.near not in self.parents:
            return False
        if out.far.is_switch and self.parents.get(out.far) is not out:
            return False  # several routers at one switch: the nearest one to the source sends
        came = self.parents.get(out.near)
        return came is None or out.far is not came.near

    def above(self, stack: Stack) -> tuple[Stack, Channel, int] | None:
        """Return the next router towards the source, its link to here, and how long it takes to be told."""
        came = self.parents.get(stack)
        delay = 0
        while came is not None:
            delay += came.delay
            if came.near is self.start and not self.start.forwards:
                return None
            if not came.near.is_switch:
                return came.near, came, delay
            came = self.parents.get(came.near)
        return None


class Groups:
    """All that has to do with groups in one simulation."""

    def __init__(self, simulation: Simulation, timing: Timing) -> None:
        self._simulation = simulation
        self._timing = timing
        self._trees: dict[Flow, Tree] = {}
        self._trees_of: dict[str, list[Tree]] = {}  # by group
        self._routers: list[RouterSide] = []
        self._switches: dict[tuple[Stack, bool], SwitchSide] = {}
        self._silenced: dict[
            Stack, list[tuple[Channel, bool]]
        ] = {}  # links that a router that is down asked on

    # -- hosts ------------------------------------------------------------------------------------------

    def joined(self, stack: Stack, memberships: Memberships, key: Key) -> None:
        """A socket has joined a group on an interface or left it, or one of its sources."""
        group, interface = key
        side = self._host_side(stack, interface, is_ipv6(group))
        if side is None:
            side = stack.group_side = HostSide(self, stack, interface, is_ipv6(group), stack.group_side)
            if stack.forwards:  # what comes for groups may be for itself as well
                for one in self._trees:
                    stack.table.pop(one[1], None)
        side.set(memberships, group)

    def vanish(self, stack: Stack) -> None:
        """A host has crashed: what it knew is gone."""
        side, stack.group_side = stack.group_side, None
        while side is not None:
            side.vanish()
            side = side.next
        for key in [key for key in self._switches if key[0] is stack]:
            self._switches.pop(key).vanish()
        if not stack.forwards or stack.is_switch:
            return
        asked: list[tuple[Channel, bool]] = []
        for one in self._routers:
            if one.stack is stack:
                one.vanish()
                one.out.group_side = None
                asked.append((one.out, one.ipv6))
        self._routers = [one for one in self._routers if one.stack is not stack]
        self._silenced[stack] = asked
        for tree in self._trees.values():
            hop = tree.hops.pop(stack, None)
            stack.table.pop(tree.group, None)
            if hop is not None:
                self._take_back_later(tree, hop)
            for other in tree.hops.values():
                if other.above is not None and other.above.stack is stack:
                    other.above.is_given = False

    def returned(self, stack: Stack) -> None:
        """A host is there again. A router asks its links anew, and the routers behind it ask it again."""
        for out, ipv6 in self._silenced.pop(stack, ()):
            self._router_side(stack, out, ipv6)
        if stack.forwards:
            for tree in self._trees.values():
                for hop in tree.hops.values():
                    if hop.above is not None and hop.above.stack is stack:
                        self._give_at(self.now + hop.above.delay, tree, hop.above)

    def host_wants(self, stack: Stack, interface: int, group: str, source: str) -> bool:
        """Say whether a socket of a host has joined a group on an interface."""
        side = self._host_side(stack, interface, is_ipv6(group))
        if side is None:
            return False
        mode, sources = side.wish(group)
        return (source in sources) == (mode == "include")

    def _host_side(self, stack: Stack, interface: int, ipv6: bool) -> HostSide | None:
        side = stack.group_side
        while side is not None and (side.interface != interface or side.ipv6 != ipv6):
            side = side.next
        return side

    # -- packets to groups --------------------------------------------------------------------------------

    def send(self, stack: Stack, packet: Packet, interface: int, *, loop: bool) -> None:
        """A packet to a group leaves its sender's host."""
        packet.flow = (packet.source[0], packet.target, -1 if stack.forwards else interface)
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
            stack.expire(packet)
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
            self._router_side(stack, channel.back, ipv6).hear(message, source)
        side = self._host_side(stack, stack.interface_of(channel), ipv6)
        if side is not None:
            side.hear(message)

    def _router_side(self, stack: Stack, out: Channel, ipv6: bool) -> RouterSide:
        side = out.group_side
        while side is not None and side.ipv6 != ipv6:
            side = side.next
        if side is None:
            side = out.group_side = RouterSide(self, stack, out, ipv6, out.group_side)
            self._routers.append(side)
            side.start()
        return side

    # -- trees --------------------------------------------------------------------------------------------

    def _begin(self, stack: Stack, packet: Packet, out: Channel) -> None:
        """A source has begun to send to a group: those who want it already are joined to its tree."""
        tree = self._trees[packet.flow] = Tree(stack, None if stack.forwards else out, packet.flow)
        self._trees_of.setdefault(tree.group, []).append(tree)
        for side in self._routers:
            since = side.machine.since(tree.group)
            if since is not None:
                self._look_at(tree, side, since)

    def changed(self, side: RouterSide, group: str) -> None:
        """What a link of a router wants of a group has changed."""
        for tree in self._trees_of.get(group, ()):
            self._look_at(tree, side, self.now)

    def _look_at(self, tree: Tree, side: RouterSide, since: int) -> None:
        """Have packets go over a link of a router if somebody has wanted them there since then, else not."""
        out = side.out
        wants = side.machine.wants(tree.group, tree.source) and tree.leads_over(out)
        hop = tree.hops.get(side.stack)
        has = hop is not None and bool(hop.outs.get(out, 0) & MEMBERS)
        if wants and not has:
            self._add(tree, out, MEMBERS, since)
        elif has and not wants:
            self._remove(tree, out, MEMBERS)

    def _add(self, tree: Tree, out: Channel, whom: int, since: int) -> None:
        """Packets are to go over a link, and so to come to where it begins; that has been asked for since."""
        stack = out.near
        hop = tree.hops.get(stack)
        if hop is None:
            hop = tree.hops[stack] = self._simulation.forms.Hop(tree.parents.get(stack))
            self._tell_the_wire(tree, stack, hop)
        was_idle = not hop.outs
        hop.outs[out] = hop.outs.get(out, 0) + whom
        if was_idle:
            self._ask_above(tree, stack, hop, since)

    def _remove(self, tree: Tree, out: Channel, whom: int) -> None:
        """Packets are not to go over a link any more."""
        hop = tree.hops.get(out.near)
        if hop is None or out not in hop.outs:
            return
        hop.outs[out] -= whom
        if not hop.outs[out]:
            del hop.outs[out]
        if not hop.outs:
            self._take_back_later(tree, hop)

    def _tell_the_wire(self, tree: Tree, stack: Stack, hop: Hop) -> None:
        """Let the wire know a hop of a router, unless packets are for itself as well or go no further."""
        if stack.group_side is None and not tree.group.startswith(NEVER_FORWARDED):
            stack.own_table().setdefault(tree.group, {})[tree.flow] = hop

    def _ask_above(self, tree: Tree, stack: Stack, hop: Hop, since: int) -> None:
        above = tree.above(stack)
        if above is not None:
            hop.above = Request(*above)
            self._give_at(since + hop.above.delay, tree, hop.above)

    def _give_at(self, when: int, tree: Tree, request: Request) -> None:
        if when > self.now:
            self._simulation.call_at(when, self._give, tree, request, when)
        else:
            self._give(tree, request, when)

    def _take_back_later(self, tree: Tree, hop: Hop) -> None:
        request, hop.above = hop.above, None
        if request is not None:
            self._simulation.call_at(self.now + request.delay, self._take_back, tree, request)

    def _give(self, tree: Tree, request: Request, since: int) -> None:
        if not (request.is_over or request.is_given or request.stack.is_down):
            request.is_given = True
            self._add(tree, request.out, ROUTER, since)

    def _take_back(self, tree: Tree, request: Request) -> None:
        request.is_over = True
        if request.is_given:
            self._remove(tree, request.out, ROUTER)

    def ways_changed(self) -> None:
        """Links have been cut or repaired: where packets are to come another way, that is asked for."""
        for tree in self._trees.values():
            tree.grow()
            for stack, hop in list(tree.hops.items()):
                hop.came = tree.parents.get(stack)
                self._tell_the_wire(tree, stack, hop)
                above = tree.above(stack) if hop.outs else None
                before = hop.above
                if before is None or above is None or (before.stack, before.out) != above[:2]:
                    self._take_back_later(tree, hop)
                    if above is not None:
                        self._ask_above(tree, stack, hop, self.now)
            for side in self._routers:
                if side.machine.since(tree.group) is not None:
                    self._look_at(tree, side, self.now)

    # -- machines -----------------------------------------------------------------------------------------

    def say(self, stack: Stack, out: Channel, sends: list[Any], ipv6: bool) -> None:
        """Send messages of group management over a link."""
        simulation = self._simulation
        for send in sends:
            packet = simulation.forms.Packet()
            source = stack.address6 if ipv6 else stack.address
            packet.protocol = ICMPV6 if ipv6 else IGMP_NUMBER
            packet.kind = intern(f"{'mld' if ipv6 else 'igmp'} {type(send.message).__name__.lower()}")
            packet.size = HEADERS[6 if ipv6 else 4] + size_of(send.message, MLD if ipv6 else IGMP)
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

    def draw(self, stack: Stack, drawn: int) -> float:
        """Return a random number for a host's answers, of which so many have been drawn before."""
        stream = RandomStream(self._simulation.seed, f"{stack.name}/groups")
        stream.skip(drawn)
        return stream.random()

    def wake(self, side: Side, when: int | None) -> None:
        """Have a machine woken at a time, and at none that was said before."""
        if when is not None and when != side.wakes:
            self._simulation.clock.add_timer(max(when, self.now), side)
        side.wakes = when


class Side:
    """What has to do with groups at one link of a node. It stands in the clock's queue itself."""

    __slots__ = ("groups", "ipv6", "stack", "wakes")

    _cancelled = False
    _loop = None

    def __init__(self, groups: Groups, stack: Stack, ipv6: bool) -> None:
        self.groups = groups
        self.stack = stack
        self.ipv6 = ipv6
        self.wakes: int | None = None

    def vanish(self) -> None:
        """Its host has crashed: nobody wakes it any more."""
        self.wakes = None

    def _run(self) -> None:
        if self.wakes is not None and self.wakes <= self.groups.now:
            self.wakes = None
            self.wake()

    def wake(self) -> None:
        """It is time."""
        raise NotImplementedError


class HostSide(Side):
    """What one interface of a host wants, and what it says about that."""

    __slots__ = ("_drawn", "_machine", "_sockets", "interface", "next")

    def __init__(
        self, groups: Groups, stack: Stack, interface: int, ipv6: bool, other: HostSide | None
    ) -> None:
        super().__init__(groups, stack, ipv6)
        self.interface = interface
        self.next = other
        """Another of the same host; None for the last."""
        version = stack.group_options.get("mld" if ipv6 else "igmp")
        family = MLD if ipv6 else IGMP
        self._machine = Host(self, family=family, version=version, timing=groups.timing)
        self._sockets = NOBODY  # that have joined something
        self._drawn = 0

    def random(self) -> float:
        """Draw a number, for the machine."""
        self._drawn += 1
        return self.groups.draw(self.stack, self._drawn - 1)

    def set(self, memberships: Memberships, group: str) -> None:
        """A socket wants something else of a group than before."""
        if memberships not in self._sockets:
            self._sockets = (*self._sockets, memberships)
        elif not memberships.groups:
            self._sockets = tuple([one for one in self._sockets if one is not memberships])
        mode, sources = self.wish(group)
        self._say(self._machine.set_filter(group, mode, sources, self.groups.now))

    def wish(self, group: str) -> tuple[Mode, Sources]:
        """Return what all sockets together want of a group."""
        key = (group, self.interface)
        return merged([one.wish(key) for one in self._sockets if key in one.groups])

    def hear(self, message: Any) -> None:
        """Something was said on the link."""
        self._say(self._machine.receive(message, self.groups.now))

    def wake(self) -> None:
        """See `Side`."""
        self._say(self._machine.wake(self.groups.now))

    def _say(self, sends: list[Send]) -> None:
        if sends and self.interface < len(self.stack.channels):
            self.groups.say(self.stack, self.stack.channels[self.interface], sends, self.ipv6)
        self.groups.wake(self, self._machine.next_time())


class RouterSide(Side):
    """What a router knows of the groups on one of its links."""

    __slots__ = ("machine", "next", "out")

    def __init__(
        self, groups: Groups, stack: Stack, out: Channel, ipv6: bool, other: RouterSide | None
    ) -> None:
        super().__init__(groups, stack, ipv6)
        self.out = out
        self.next = other
        """That of the other family; None for the last."""
        options = stack.group_options
        self.machine = Router(
            intern(f"fe80::{stack.number:x}" if ipv6 else stack.address),  # one for all its links
            family=MLD if ipv6 else IGMP,
            version=options.get("mld" if ipv6 else "igmp"),
            timing=groups.timing,
            fast_leave=options.get("fast_leave", False),
        )

    def start(self) -> None:
        """Begin to ask."""
        self._do(self.machine.start(self.groups.now))

    def hear(self, message: Any, source: str) -> None:
        """Something was said on the link."""
        self._do(self.machine.receive(message, source, self.groups.now))

    def wake(self) -> None:
        """See `Side`."""
        self._do(self.machine.wake(self.groups.now))

    def _do(self, events: list[Send | Changed]) -> None:
        for event in events:
            if isinstance(event, Changed):
                self.groups.changed(self, event.group)
            else:
                self.groups.say(self.stack, self.out, [event], self.ipv6)
        self.groups.wake(self, self.machine.not_before())


class SwitchSide(Side):
    """What a snooping switch knows of the groups behind its ports."""

    __slots__ = ("machine",)

    def __init__(self, groups: Groups, stack: Stack, ipv6: bool) -> None:
        super().__init__(groups, stack, ipv6)
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
        self._do(self.machine.start(groups.now))

    def hear(self, packet: Packet, port: int) -> tuple[int, ...]:
        """Something was said; return where it goes on."""
        return self._do(self.machine.receive(packet.data, packet.source[0], port, self.groups.now))

    def wake(self) -> None:
        """See `Side`."""
        self._do(self.machine.wake(self.groups.now))

    def _do(self, events: list[Relay | Send]) -> tuple[int, ...]:
        ports: tuple[int, ...] = ()
        for event in events:
            if isinstance(event, Relay):
                ports = (*ports, *event.ports)
            else:
                for out in self.stack.channels:
                    self.groups.say(self.stack, out, [event], self.ipv6)
        self.groups.wake(self, self.machine.next_time())
        return ports
