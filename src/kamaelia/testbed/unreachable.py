"""What a router says of a connection's packet for which it knows no way: ICMP's "network unreachable".

Who has asked for the connection is told at once that there is no way to the other side; a connection that is
open goes on, and names that as the reason if it comes to nothing (RFC 5461). About datagrams nothing is
said, nor about what is itself such a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .addresses import is_ipv6
from .fragments import icmp_size
from .protocols import ICMP, ICMPV6

if TYPE_CHECKING:
    from .stack import Stack
    from .wire import Packet


class NoWay:
    """What such a packet carries."""

    __slots__ = ("about",)

    def __init__(self, about: Packet) -> None:
        self.about = about

    def arrive(self, stack: Stack, packet: Packet) -> None:
        """The sender hears of it."""
        stack.streams.hear_unreachable(self.about)

    def lost(self, packet: Packet) -> None:
        """Nobody is told."""


def refuse_without_way(stack: Stack, packet: Packet) -> None:
    """Tell the sender of a packet of TCP that it cannot be passed on."""
    sender = stack.simulation.stack_of(packet.source[0])
    forms = stack.simulation.forms
    if sender is None or not isinstance(packet.data, forms.tcp.Segment):
        return
    six = is_ipv6(packet.target)
    answer = forms.Packet()
    answer.protocol, answer.kind = (ICMPV6 if six else ICMP), "icmp unreachable"
    answer.size = icmp_size(packet)
    answer.source, answer.target, answer.port = (
        (stack.address6 if six else stack.address, 0),
        packet.source[0],
        0,
    )
    answer.name, answer.target_name = stack.name, sender.name
    answer.data = NoWay(packet.copy())
    stack.count_sent(answer)
    stack.emit(answer)
