"""Doors into a simulated network, and exits out of it: ports of this machine that lead there (`relay`)."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...axon import UsageError
from ..errors import EmulationError

if TYPE_CHECKING:
    from ..network import Host, Network

LOCAL = "127.0.0.1"
PROTOCOLS = ("tcp", "udp")
BACKLOG = 100  # connections that wait at a door


@dataclass(frozen=True)
class Door:
    """A port of 127.0.0.1 that leads into a simulated network.

    Example:
        >>> from kamaelia.testbed.emulation import Door
        >>> Door("phone", "server:80", port=8080)
        Door(host='phone', to='server:80', port=8080, protocol='tcp')
    """

    host: str
    """Who those are in the network who come in here."""
    to: str
    """Whom they reach: a host of the network and its port."""
    port: int = 0
    """The port of 127.0.0.1; 0 for any that is free (`Relay.port`)."""
    protocol: str = "tcp"
    """``"tcp"`` or ``"udp"``."""


@dataclass(frozen=True)
class Exit:
    """A port of a simulated host that leads to a real server.

    Example:
        >>> from kamaelia.testbed.emulation import Exit
        >>> Exit("server:80", "127.0.0.1:8000")
        Exit(at='server:80', to='127.0.0.1:8000', protocol='tcp')
    """

    at: str
    """A host of the network, and the port at which it listens."""
    to: str
    """A real address and its port."""
    protocol: str = "tcp"
    """``"tcp"`` or ``"udp"``."""


def parted(text: str) -> tuple[str, int]:
    """Return the host and the port of an address. Raises `UsageError`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{text!r}: write a host and its port, as in 'server:80'")
    return host, int(port)


def checked(network: Network, given: Iterable[Any], kind: type[Any]) -> Iterable[Any]:
    for one in given:
        if not isinstance(one, kind):
            raise UsageError(f"{one!r} is no {kind.__name__}: write {kind.__name__}(...)")
        if one.protocol not in PROTOCOLS:
            raise UsageError(f"{one!r}: there are {' and '.join(map(repr, PROTOCOLS))}")
        parted(one.to)
        host: Host | str = one.host if isinstance(one, Door) else parted(one.at)[0]
        if network.find(host).kind == "switch":
            raise UsageError(f"{one!r}: a switch has no address; name a host")
        if isinstance(one, Door):
            network.find(parted(one.to)[0])
        yield one


def listen(door: Door) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM if door.protocol == "tcp" else socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        if door.protocol == "tcp":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((LOCAL, door.port))
        if door.protocol == "tcp":
            made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise EmulationError(f"{door!r}: {error.strerror}") from None
    return made


__all__ = ["BACKLOG", "Door", "Exit", "checked", "listen", "parted"]
