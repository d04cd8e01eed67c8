"""Simulated UDP.

A datagram is one packet, however long it is (up to 65507 bytes, as everywhere): it arrives or it does not.
What arrives is given to the protocol at once. A datagram for a port that nobody has is ignored, and the
host says so in an ICMP packet; a sender that is connected to that address hears of it as
`ConnectionRefusedError` in ``error_received``, any other does not. That is what Linux does.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
from asyncio import transports
from typing import TYPE_CHECKING, Any

from .multicast import GroupDatagram, Memberships, is_group
from .sockets import SimulatedSocket
from .stream import set_result_unless_done
from .wire import Packet

if TYPE_CHECKING:
    from .sockets import Address
    from .stack import Stack
    from .wire import Channel

LONGEST = 65507  # bytes in a datagram
HEADERS = 28  # bytes: IP and UDP
ICMP_SIZE = 56  # bytes: IP, ICMP and the beginning of the packet that it is about


class Datagram(Packet):
    """One datagram under way."""

    __slots__ = ("address", "data", "sender", "stack", "to")

    protocol = "udp"
    waits = False

    def __init__(
        self,
        sender: DatagramTransport,
        stack: Stack,
        path: tuple[Channel, ...],
        data: bytes,
        address: Address,
        to: Address,
        target: str,
    ) -> None:
        self.sender = sender
        self.stack = stack
        self.data = data
        self.address = address  # of the sender
        self.to = to
        super().__init__(sender.stack.simulation, stack.loop, path, HEADERS + len(data), sender.name, target)

    def arrive(self) -> None:
        """Give it to whoever has the port."""
        self.stack.count_received(self.size)
        transport = self.stack.find_datagram_socket(self.to, self.address)
        if transport is not None:
            transport.take(self.data, self.address)
            return
        self.simulation.record("ignore", self)
        if self.sender.connected_to == self.to:
            Unreachable(self).send()


class Unreachable(Packet):
    """The answer to a datagram that nobody has taken."""

    __slots__ = ("about",)

    protocol = "icmp"
    waits = False

    def __init__(self, about: Datagram) -> None:
        self.about = about
        sender = about.sender.stack
        path = self.path_back(about)
        super().__init__(about.simulation, sender.loop, path, ICMP_SIZE, about.stack.name, sender.name)
        about.stack.count_sent(ICMP_SIZE)

    @staticmethod
    def path_back(about: Datagram) -> tuple[Channel, ...]:
        """Return the way to the sender; there may be none, where links go one way."""
        return about.stack.simulation.path(about.stack.name, about.sender.stack.name) or ()

    def arrive(self) -> None:
        """Tell the sender."""
        self.about.sender.stack.count_received(self.size)
        self.about.sender.refused()


class DatagramTransport(transports._FlowControlMixin, asyncio.DatagramTransport):
    """A UDP socket, as asyncio's protocols see it."""

    def __init__(
        self,
        stack: Stack,
        protocol: asyncio.DatagramProtocol,
        socket: SimulatedSocket,
        connected_to: Address | None,
        *,
        reuse_port: bool = False,
    ) -> None:
        super().__init__({"socket": socket, "sockname": socket.local, "peername": socket.remote}, stack.loop)
        self.stack = stack
        self.socket = socket
        self.connected_to = connected_to
        self.reuse_port = reuse_port
        self.memberships = Memberships(self)
        socket.on_option = self.memberships.set
        self.name = f"{stack.name}:{socket.local[1]}"
        self._protocol = protocol
        self._context = contextvars.copy_context()
        self._closing = False
        self._loop = stack.loop
        self._ways: dict[Address, tuple[Stack, tuple[Channel, ...], Address, Address, str]] = {}
        self._reading = False

    def start(self, waiter: asyncio.Future[None]) -> None:
        """Tell the protocol, then listen, then let go on whoever waits for that; in asyncio's order."""
        call_soon = self._loop.call_soon
        call_soon(self._protocol.connection_made, self)
        call_soon(self._start_reading)
        call_soon(set_result_unless_done, waiter)

    def _start_reading(self) -> None:
        self._reading = True

    # -- asyncio's methods ------------------------------------------------------------------------

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """See asyncio."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"a datagram is bytes, and not {type(data).__name__}")
        if self.connected_to is not None:
            if addr not in (None, self.connected_to):
                raise ValueError(
                    f"Invalid address: this socket is connected to {self.connected_to} and sends only there"
                )
            addr = self.connected_to
        elif addr is None:
            raise ValueError("a socket that is not connected needs an address: sendto(data, (host, port))")
        if self._closing:
            return
        if len(data) > LONGEST:
            self._protocol.error_received(OSError(errno.EMSGSIZE, "Message too long"))
            return
        way = self._ways.get(addr)
        if way is None:
            if is_group(addr[0]):
                self._send_to_group(bytes(data), (addr[0], addr[1]))
                return
            try:
                way = self._find_way(addr)
            except OSError as error:
                self._protocol.error_received(error)
                return
        stack, path, source, target, name = way
        packet = Datagram(self, stack, path, bytes(data), source, target, name)
        self.stack.count_sent(packet.size)
        packet.send()

    def _send_to_group(self, data: bytes, to: Address) -> None:
        stack, memberships = self.stack, self.memberships
        source = (stack.address, self.socket.local[1])
        packet = GroupDatagram(
            stack, self.name, HEADERS + len(data), data, source, to, memberships.ttl, stack.tree(to[0])
        )
        stack.count_sent(packet.size)
        packet.start(loop=memberships.loop)

    def _find_way(self, addr: Any) -> tuple[Stack, tuple[Channel, ...], Address, Address, str]:
        stack, target = self.stack.resolve(*addr[:2])
        path = self.stack.path_to(stack)
        source = (self.stack.source_address(target), self.socket.local[1])
        way = self._ways[addr] = (stack, path, source, target, f"{stack.name}:{target[1]}")
        return way

    def close(self) -> None:
        """See asyncio."""
        if not self._closing:
            self._closing = True
            self.stack.forget_datagram_socket(self)
            self._loop.call_soon(self._protocol.connection_lost, None)

    def cut_off(self) -> None:
        """The program has ended: the kernel closes the socket, and nobody is told."""
        self._closing = True
        self.stack.forget_datagram_socket(self)

    def abort(self) -> None:
        """See asyncio."""
        self.close()

    def is_closing(self) -> bool:
        """See asyncio."""
        return self._closing

    def set_protocol(self, protocol: Any) -> None:
        """See asyncio."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """See asyncio."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """See asyncio. What is sent leaves at once, so nothing is ever kept here."""
        return 0

    # -- from the wire ----------------------------------------------------------------------------

    def take(self, data: bytes, address: Address) -> None:
        """A datagram has arrived here."""
        if self._reading and not self._closing:
            self._call(self._protocol.datagram_received, data, address)
        else:
            self._loop.call_soon(self._take_later, data, address, context=self._context)

    def _take_later(self, data: bytes, address: Address) -> None:
        if not self._closing:
            self._protocol.datagram_received(data, address)

    def refused(self) -> None:
        """The other host has said that nobody has the port."""
        if not self._closing:
            refusal = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            self._call(self._protocol.error_received, refusal)

    def _call(self, method: Any, *args: Any) -> None:
        """Call the protocol; what it raises is reported as asyncio reports what a callback raises."""
        try:
            self._context.run(method, *args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler(
                {
                    "message": f"Exception in callback {method!r}",
                    "exception": error,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )

    def __repr__(self) -> str:
        return f"<simulated UDP {self.name}{' closing' if self._closing else ''}>"
