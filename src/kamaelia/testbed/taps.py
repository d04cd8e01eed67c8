"""Who looks at the packets of a channel: nobody, one, or several.

A channel has one ``tap``, so that one comparison is enough where nobody looks (`wire`). A tap has three
methods:

- ``out(channel, packet)``: it is known when the packet is sent; ``packet.starts`` and ``packet.leaves`` say
  when
- ``into(channel, packet)``: it arrives at the other end
- ``dropped(channel, packet, why)``: it is not sent

None of them may change anything, or keep a packet that has arrived: the next channel writes on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .channel import Channel
    from .wire import Packet


class Taps:
    """Several taps, in the order in which they were added."""

    __slots__ = ("taps",)

    def __init__(self, *taps: Any) -> None:
        self.taps = taps

    def out(self, channel: Channel, packet: Packet) -> None:
        """See the module."""
        for tap in self.taps:
            tap.out(channel, packet)

    def into(self, channel: Channel, packet: Packet) -> None:
        """See the module."""
        for tap in self.taps:
            tap.into(channel, packet)

    def dropped(self, channel: Channel, packet: Packet, why: int) -> None:
        """See the module."""
        for tap in self.taps:
            tap.dropped(channel, packet, why)


def add_tap(channel: Channel, tap: Any) -> None:
    """Have a tap look at what passes a channel, beside those that do already.

    >>> from types import SimpleNamespace
    >>> channel = SimpleNamespace(tap=None)
    >>> add_tap(channel, "one"), channel.tap
    (None, 'one')
    >>> add_tap(channel, "two"), channel.tap.taps
    (None, ('one', 'two'))
    >>> remove_tap(channel, "one"), channel.tap
    (None, 'two')
    """
    before = channel.tap
    if before is None:
        channel.tap = tap
    else:
        channel.tap = Taps(*(before.taps if isinstance(before, Taps) else (before,)), tap)


def remove_tap(channel: Channel, tap: Any) -> None:
    """Have a tap look no more; one that does not look is no error."""
    before = channel.tap
    left = [one for one in (before.taps if isinstance(before, Taps) else (before,)) if one is not tap]
    channel.tap = Taps(*left) if len(left) > 1 else left[0] if left else None


__all__ = ["Taps", "add_tap", "remove_tap"]
