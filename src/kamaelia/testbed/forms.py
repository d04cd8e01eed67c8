"""The two forms of what every packet passes through, each put together with what is written once.

See `kamaelia.axon.core` for what the forms are and which one is in use; a simulation is made of that one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..axon import core
from . import capture, channel, datagram, stack, tcp, wire


class Forms(NamedTuple):
    """The classes of one form."""

    Fabric: Any
    Packet: Any
    Channel: Any
    Stack: Any
    Hop: Any
    Way: Any
    DatagramTransport: Any
    Recorder: Any
    Capture: Any
    tcp: Any
    """The module with the classes of TCP as packets."""


def _put_together(base: Any, blocks: type[Any], tcp: Any) -> Forms:
    """Join the classes of the wire with what else they can do."""

    def join(name: str, above: type[Any], part: type[Any], slots: tuple[str, ...]) -> type[Any]:
        # What is written once calls methods of the wire, and the wire calls it: the wire comes later in the
        # order of methods, for it has nothing that the other has as well.
        body = {"__slots__": slots, "__module__": __name__, "__doc__": part.__doc__}
        return type(name, (part, above), body)

    return Forms(
        base.Fabric,
        base.Packet,
        join("Channel", base.Channel, channel.Channel, channel.SLOTS),
        join("Stack", base.Node, stack.Stack, stack.SLOTS),
        base.Hop,
        base.Way,
        join("DatagramTransport", base.DatagramSocket, datagram.DatagramTransport, datagram.SLOTS),
        base.Recorder,
        join("Capture", blocks, capture.Capture, capture.SLOTS),
        tcp,
    )


_made: dict[str, Forms] = {}


def forms() -> Forms:
    """Return the form that is in use."""
    name = "compiled" if core.form == "compiled" else "plain"
    if name not in _made:
        if name == "compiled":
            from . import _tcp, _wire

            _made[name] = _put_together(_wire, _wire.PacketBlocks, _tcp)
        else:
            _made[name] = _put_together(wire, capture.PlainBlocks, tcp)
    return _made[name]
