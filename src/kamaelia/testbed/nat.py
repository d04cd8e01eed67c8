"""Network address translation: a router behind which hosts share one address.

Theory
------
What comes from inside gets the router's address for its own, and a port of the router's that stands for the
inner address and port from then on: a *mapping*. It is the same for all whom that socket talks to (RFC 4787:
endpoint-independent). What comes from outside to that port is let in only if it comes from an address and
port to which the socket has sent (address- and port-dependent filtering): this is what people call a
port-restricted cone. A mapping of UDP is forgotten when nothing went out through it for some time, and so
is each permission; one of TCP after much longer. Then what comes for it is dropped, and the next packet
from inside makes another.

The first link of the router leads outside, all others inside. Ports are given out from 1024 upwards, each
once in turn; when the inner port is free outside, that is taken (port preservation).

Not modelled: hairpinning (inside to inside by the outer address), ICMP through it, fragments, gateways for
protocols that speak of addresses (FTP, SIP), and the closing of connections, which mappings of TCP outlive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..axon.clock import nanoseconds
from .protocols import TCP, UDP

if TYPE_CHECKING:
    from .channel import Channel
    from .stack import Stack
    from .wire import Packet

FIRST_PORT, LAST_PORT = 1024, 65535
MOST = LAST_PORT - FIRST_PORT + 1  # mappings of one protocol

Inner = tuple[int, str, int]  # protocol, address, port


class Mapping:
    """What stands for one inner socket."""

    __slots__ = ("inner", "name", "permits", "port", "until")

    def __init__(self, inner: Inner, port: int, name: str) -> None:
        self.inner = inner
        self.port = port
        """Of the router."""
        self.name = name
        """Of the inner socket, in traces."""
        self.until = 0
        self.permits: dict[tuple[str, int], int] = {}
        """From whom packets are let in, and until when."""


class Translator:
    """The translation of one router, for one run. Times are in seconds."""

    def __init__(self, stack: Stack, udp_timeout: float, tcp_timeout: float) -> None:
        self._stack = stack
        self._timeouts = {UDP: nanoseconds(udp_timeout), TCP: nanoseconds(tcp_timeout)}
        self._by_inner: dict[Inner, Mapping] = {}
        self._by_port: dict[tuple[int, int], Mapping] = {}
        self._next_port = FIRST_PORT
        self.refused = 0
        """Packets from outside for which there was a mapping, but no permission."""

    def is_outside(self, channel: Channel) -> bool:
        """Say whether a channel comes from outside."""
        return self._stack.interface_of(channel) == 0

    def outwards(self, packet: Packet) -> bool:
        """A packet goes from inside to outside: have it come from this router. False if that cannot be."""
        timeout = self._timeouts.get(packet.protocol)
        if timeout is None:
            return False
        now = self._stack.fabric.clock.now
        inner = (packet.protocol, packet.source[0], packet.source[1])
        mapping = self._by_inner.get(inner)
        if mapping is None or mapping.until <= now:
            mapping = self._map(inner, packet.name, now)
            if mapping is None:
                return False
        mapping.until = now + timeout
        mapping.permits[packet.target, packet.port] = now + timeout
        packet.source = (self._stack.address, mapping.port)
        packet.name = f"{self._stack.name}:{mapping.port}"
        return True

    def inwards(self, packet: Packet) -> bool:
        """A packet has come from outside for this router: have it go inside. False if it may not."""
        now = self._stack.fabric.clock.now
        mapping = self._by_port.get((packet.protocol, packet.port))
        if mapping is None or mapping.until <= now:
            return False
        if mapping.permits.get((packet.source[0], packet.source[1]), 0) <= now:
            self.refused += 1
            return False
        _, packet.target, packet.port = mapping.inner
        packet.target_name = mapping.name
        return True

    def _map(self, inner: Inner, name: str, now: int) -> Mapping | None:
        protocol, _, port = inner
        before = self._by_inner.pop(inner, None)
        if before is not None:
            self._by_port.pop((protocol, before.port), None)
        for candidate in [port, *self._candidates()]:
            taken = self._by_port.get((protocol, candidate))
            if candidate < FIRST_PORT or (taken is not None and taken.until > now):
                continue
            if taken is not None:
                self._by_inner.pop(taken.inner, None)
            mapping = Mapping(inner, candidate, name)
            self._by_inner[inner] = self._by_port[protocol, candidate] = mapping
            return mapping
        return None

    def _candidates(self) -> Any:
        for _ in range(MOST):
            yield self._next_port
            self._next_port = self._next_port + 1 if self._next_port < LAST_PORT else FIRST_PORT
