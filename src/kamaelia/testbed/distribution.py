"""Multicast: a packet to a group goes once over each link of a tree.

The tree is that of the shortest paths from the sender's host to all hosts that have joined. At each node
where it branches the packet is copied, and all copies have its number in the trace; a link that loses or
drops a copy takes it from all that is behind. Each router takes 1 of its TTL, so 1 reaches the own link
only, and 0 nobody but the sender's own host, which hears it unless ``IP_MULTICAST_LOOP`` is off.

Joining and leaving take effect at once, everywhere: how hosts tell routers (IGMP), and the time that takes,
is not modelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .protocols import EXPIRE, FORWARD, UDP

if TYPE_CHECKING:
    from .channel import Channel
    from .simulation import Simulation
    from .stack import Stack
    from .wire import Packet


class Branch:
    """A node in a tree, and the links that go on from there."""

    __slots__ = ("channels", "is_member")

    def __init__(self) -> None:
        self.is_member = False
        self.channels: list[Channel] = []


class Groups:
    """The trees of all groups of a simulation, while they are true."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._trees: dict[tuple[str, str], dict[Stack, Branch]] = {}
        self._joined: dict[str, dict[Stack, None]] = {}

    def changed(self) -> None:
        """Somebody has joined a group, or left one, or ways have changed."""
        self._trees.clear()

    def send(self, stack: Stack, packet: Packet, *, loop: bool) -> None:
        """A packet to a group leaves its sender's host."""
        branch = self._tree(stack, packet).get(stack)
        if branch is None:
            return
        if loop and branch.is_member:
            self._simulation.call_soon(self.deliver, stack, packet.copy())
        if packet.ttl > 0:
            self._go_on(branch, packet)

    def arrive(self, stack: Stack, packet: Packet) -> None:
        """A packet to a group has come to a node."""
        branch = self._tree(self._simulation.stack_of(packet.source[0]) or stack, packet).get(stack)
        if branch is None:
            return
        if branch.channels:
            if packet.ttl > 1 or stack.is_switch:
                stack.note(FORWARD, packet)
                on = packet.copy()
                on.ttl -= not stack.is_switch
                self._go_on(branch, on)
            else:
                stack.note(EXPIRE, packet)
        if branch.is_member:
            self.deliver(stack, packet)

    def deliver(self, stack: Stack, packet: Packet) -> None:
        """Give a packet to all on this host who hear the group."""
        stack.note_delivery(packet)
        taken = False
        if packet.protocol == UDP:
            for transport in stack.group_sockets(packet.target, packet.port, packet.source):
                taken = True
                transport.take(packet.data, packet.source)
        if not taken:
            stack.ignore(packet)

    def _go_on(self, branch: Branch, packet: Packet) -> None:
        for channel in branch.channels:
            channel.carry(packet.copy())

    def _tree(self, source: Stack, packet: Packet) -> dict[Stack, Branch]:
        key = (source.name, packet.target)
        tree = self._trees.get(key)
        if tree is None:
            tree = self._trees[key] = self._grow(source, packet.target, packet.source[0])
        return tree

    def _grow(self, source: Stack, group: str, address: str) -> dict[Stack, Branch]:
        """Return the tree from a host to all that hear it in a group; hosts are taken in their order."""
        tree = {source: Branch()}
        for stack in self._simulation.stacks.values():
            if not stack.wants(group, address):
                continue
            if stack is not source:
                try:
                    path = source.path_to(stack, stack.address)
                except OSError:
                    continue
                # Paths to two hosts may part and meet again, if they are equally long: go on where the tree
                # has come.
                start = max((place for place, one in enumerate(path, 1) if one.far in tree), default=0)
                for channel in path[start:]:
                    tree[channel.near].channels.append(channel)
                    tree[channel.far] = Branch()
            tree[stack].is_member = True
        return tree
