"""Simulated UDP.

A datagram is one packet if it fits into the links on its way, and else several, which are put together
again at their end: all must arrive. What arrives is given to the protocol at once. A datagram for a port
that nobody has is ignored, and the host says so in an ICMP packet; a sender that is connected to that
address hears of it as `ConnectionRefusedError` in ``error_received``, any other does not. That is what
Linux does.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Any

from ..axon import core
from .addresses import (
    ALL_HOSTS,
    ANY,
    ANY6,
    Address,
    is_any,
    is_group,
    is_ipv6,
    is_loopback,
    socket_address,
    unmapped,
)
from .fragments import send_in_fragments
from .futures import hash_on_host
from .memberships import Memberships
from .protocols import IGNORE, NO_WAY, UDP

if TYPE_CHECKING:
    from .sockets import SimulatedSocket
    from .stack import Stack
    from .wire import DatagramSocket as Base
    from .wire import Packet
else:
    Base = object

LONGEST = {4: 65507, 6: 65527}  # bytes in a datagram
HEADERS = {4: 28, 6: 48}  # bytes: IP and UDP


class _LooksLike(asyncio.Transport, asyncio.DatagramTransport):
    """What a datagram's transport is an instance of, as with asyncio's own."""


class DatagramTransport(Base):
    """A UDP socket, as asyncio's protocols see it."""

    __slots__ = core.NO_SLOTS
    __hash__ = hash_on_host

    node: Stack

    # What few sockets set is in a dictionary, which is made then.
    reuse_port = False
    ttl = 64
    tos = 0
    broadcast = False

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # for isinstance(): no class of asyncio's can be among the bases
        return _LooksLike

    def __init__(
        self,
        node: Stack,
        protocol: asyncio.DatagramProtocol,
        sock: SimulatedSocket,
        connected_to: Address | None,
        *,
        reuse_port: bool = False,
    ) -> None:
        super().__init__(node)
        local: Any = sock.local
        self.socket = sock
        self.local_host: str = local[0]
        self.port = local[1]
        self.family = sock.family
        self.only6 = sock.only6
        self.connected_to = connected_to
        if reuse_port:
            self.reuse_port = True
        self._memberships: Memberships | None = None
        self._protocol: Any = protocol
        self.received = protocol.datagram_received

    def start(self, waiter: asyncio.Future[None]) -> None:
        """Tell the protocol, then listen, then let go on whoever waits for that; in asyncio's order."""
        call_soon = self.node.loop.call_soon
        call_soon(self._protocol.connection_made, self)
        call_soon(self._start_reading)
        call_soon(set_result_unless_done, waiter)

    def _start_reading(self) -> None:
        self.reading = not self.closing

    # -- what others ask ----------------------------------------------------------------------------

    @property
    def memberships(self) -> Memberships:
        """The groups that it has joined."""
        if self._memberships is None:
            self._memberships = Memberships(self)
        return self._memberships

    def connect(self, host: str, port: int) -> None:
        """Send to one address only, and hear only that."""
        self.connected_to = socket_address(host, port, self.family)
        self.socket.remote = self.connected_to
        if is_any(self.local_host):
            self.local_host = self.node.source_address(host)
            self.socket.local = socket_address(self.local_host, self.port, self.family)
        self.ways = {}
        self.node.sort_sockets(self.port)

    @property
    def takes_all(self) -> bool:
        """It takes what comes for its port from anybody, to any address, and sees all as it comes."""
        return (
            self.connected_to is None
            and not is_group(self.local_host)
            and (self.family == socket.AF_INET or self.only6)
            and is_any(self.local_host)
        )

    def fits(self, host: str, source: Address) -> int:
        """Say how well a packet fits that has come to an address: -1 for not at all."""
        if is_group(self.local_host):
            return -1
        if is_ipv6(host) != (self.family == socket.AF_INET6) and (
            self.family == socket.AF_INET or self.only6
        ):
            return -1
        if self.connected_to is not None and (
            unmapped(self.connected_to[0]) != source[0] or self.connected_to[1] != source[1]
        ):
            return -1
        return 2 * (self.connected_to is not None) + (not is_any(self.local_host))

    def as_it_sees(self, source: Address) -> Address:
        """Return the address of a sender in the form that this socket tells."""
        return socket_address(source[0], source[1], self.family)

    # -- asyncio's methods ------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See asyncio."""
        if name == "socket":
            return self.socket
        if name in ("sockname", "peername"):
            return self.socket.local if name == "sockname" else self.socket.remote
        return default

    def send_carefully(self, data: bytes | bytearray | memoryview, addr: Any) -> None:
        """Send what is not on the usual path."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"a datagram is bytes, and not {type(data).__name__}")
        if self.connected_to is not None:
            if addr is not None and tuple(addr[:2]) != self.connected_to[:2]:
                raise ValueError(
                    f"Invalid address: this socket is connected to {self.connected_to} and sends only there"
                )
        elif addr is None:
            raise ValueError("a socket that is not connected needs an address: sendto(data, (host, port))")
        if self.closing:
            return
        try:
            self.send_now(bytes(data), addr)
        except OSError as error:
            self._protocol.error_received(error)

    def send_now(self, data: bytes, addr: Any) -> None:
        """Send a datagram, whatever is special about it. Raises `OSError`."""
        to = self.connected_to if addr is None else addr
        assert to is not None
        if is_group(to[0]):
            self._send_to_group(data, to)
            return
        if to[0] == ALL_HOSTS:
            self._broadcast(data, to)
            return
        way = self._find_way(to)
        if len(data) > LONGEST[6 if is_ipv6(way.target) else 4]:
            raise OSError(errno.EMSGSIZE, "Message too long")
        if not self.ways:
            self.ways = {}
        self.ways[addr] = way
        if len(data) <= way.longest:
            self.sendto(data, addr)
        else:
            send_in_fragments(self, data, way)

    def _find_way(self, to: Any) -> Any:
        stack = self.node
        simulation = stack.simulation
        target, address = stack.resolve(to[0], to[1])
        if is_ipv6(address) and self.family == socket.AF_INET:
            raise OSError(errno.EAFNOSUPPORT, f"{address} is of IPv6, and the socket is of IPv4 only")
        first = stack.way_to(address)
        if first is None:
            stack.count_loss(NO_WAY)
            stack.path_to(target, address)  # which says why there is none
        way = simulation.forms.Way()
        self.name = self.name or f"{stack.name}:{self.port}"
        host = self._own_address_for(address)
        way.channel = None if first is stack else first
        way.headers = HEADERS[6 if is_ipv6(address) else 4]
        way.longest = (65535 if first is stack else stack.mtu_to(address, first)) - way.headers
        way.name = f"{target.name}:{to[1]}"
        way.port = to[1]
        family = socket.AF_INET6 if is_ipv6(address) else socket.AF_INET
        way.source = socket_address(host, self.port, family)
        way.target = address
        way.tos = self.tos
        way.ttl = self.ttl
        way.version = stack.fabric.version
        return way

    def _own_address_for(self, target: str) -> str:
        """Return the address that datagrams to another come from."""
        local = unmapped(self.local_host)
        if is_any(local) or is_group(local) or is_loopback(local):
            return self.node.source_address(target)
        return local

    def packet_to(self, data: bytes, host: str, port: int, name: str, ttl: int) -> Packet:
        """Make a packet of a datagram."""
        stack = self.node
        packet: Packet = stack.simulation.forms.Packet()
        version = 6 if is_ipv6(host) else 4
        own = self._own_address_for(host)
        packet.protocol, packet.kind = UDP, "udp"
        packet.size = HEADERS[version] + len(data)
        packet.source = socket_address(own, self.port, socket.AF_INET6 if version == 6 else socket.AF_INET)
        packet.target, packet.port = host, port
        packet.name, packet.target_name = f"{stack.name}:{self.port}", name
        packet.data, packet.ttl, packet.tos = data, ttl, self.tos
        return packet

    def _send_to_group(self, data: bytes, to: Any) -> None:
        if len(data) > LONGEST[6 if is_ipv6(to[0]) else 4]:
            raise OSError(errno.EMSGSIZE, "Message too long")
        memberships = self.memberships
        packet = self.packet_to(data, to[0], to[1], f"{to[0]}:{to[1]}", memberships.ttl)
        self.node.count_sent(packet)
        self.node.simulation.groups.send(self.node, packet, memberships.interface, loop=memberships.loop)

    def _broadcast(self, data: bytes, to: Any) -> None:
        """Send to all on the same links; routers pass it on to nobody."""
        if not self.broadcast:
            raise PermissionError(
                errno.EACCES, "Permission denied: to send to all, make the endpoint with allow_broadcast=True"
            )
        packet = self.packet_to(data, to[0], to[1], f"{to[0]}:{to[1]}", 1)
        self.node.count_sent(packet)
        self.node.simulation.broadcast(self.node, packet)

    def close(self) -> None:
        """See asyncio."""
        if not self.closing:
            self.cut_off()
            self.node.loop.call_soon(self._protocol.connection_lost, None)

    def cut_off(self) -> None:
        """The program has ended: the kernel closes the socket, and nobody is told."""
        self.closing = True
        self.reading = False
        self.node.forget_socket(self)
        self.socket.cut_off()
        if self._memberships is not None:
            self._memberships.leave_all()
            self._memberships = None

    def abort(self) -> None:
        """See asyncio."""
        self.close()

    def is_closing(self) -> bool:
        """See asyncio."""
        return bool(self.closing)

    def set_protocol(self, protocol: Any) -> None:
        """See asyncio."""
        self._protocol = protocol
        self.received = protocol.datagram_received

    def get_protocol(self) -> Any:
        """See asyncio."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """See asyncio. What is sent leaves at once, so nothing is ever kept here."""
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """See asyncio."""
        return 16384, 65536

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See asyncio. There is no buffer to limit."""

    # -- options of its socket ------------------------------------------------------------------------

    def set_ttl(self, ttl: int) -> None:
        """Let datagrams pass so many routers."""
        self.ttl = ttl
        self.ways = {}

    def set_tos(self, tos: int) -> None:
        """Mark datagrams with a class of service, and as knowing ECN or not."""
        self.tos = tos
        self.ways = {}

    # -- from the wire ----------------------------------------------------------------------------

    def take_later(self, data: bytes, source: Any) -> None:
        """A datagram has arrived before the protocol was told of its transport."""
        self.node.loop.call_soon(self._take_now, data, source, context=self.context)

    def _take_now(self, data: bytes, source: Any) -> None:
        if not self.closing:
            self._protocol.datagram_received(data, source)

    def refused(self, host: str, port: int) -> None:
        """Another host has said that nobody has a port."""
        to = self.connected_to
        if not self.closing and to is not None and (unmapped(to[0]), to[1]) == (host, port):
            refusal = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            self.node.loop.call_soon(self._protocol.error_received, refusal, context=self.context)

    def report(self, error: BaseException) -> None:
        """What a protocol raises is reported as asyncio reports what a callback raises."""
        self.node.loop.call_exception_handler(
            {
                "message": f"Exception in callback {self.received!r}",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )

    def __repr__(self) -> str:
        return f"<simulated UDP {self.node.name}:{self.port}{' closing' if self.closing else ''}>"


SLOTS = (
    "__dict__",
    "__weakref__",
    "_memberships",
    "_number",
    "_protocol",
    "connected_to",
    "family",
    "local_host",
    "only6",
    "socket",
)

__all__ = ["ANY", "ANY6", "IGNORE", "SLOTS", "DatagramTransport"]


def set_result_unless_done(future: asyncio.Future[None]) -> None:
    """Let go on whoever waits, unless it was cancelled."""
    if not future.done():
        future.set_result(None)
