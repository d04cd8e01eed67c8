"""The network stack of one simulated host, router or switch: addresses, ports, and what comes for them.

Each has a number, and by that an address of IPv4 and one of IPv6, which all its links share, as routers'
links may; others can be given to it (`Host.address`). It is reached by its name. ``localhost``, 127.0.0.1
and ::1 mean the host itself. A host with several addresses takes what comes for any of them over any link,
as Linux does.

Unlike on a real host a server may be reached from outside whatever address it listens on, 127.0.0.1
included: a simulated network is closed, so there is nobody to be careful of, and a component that listens
on its careful default can be put into one as it is.

The stack goes on when the host's components have ended, as a kernel does: it refuses who knocks.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..axon import core
from ..axon.errors import suggestion
from .addresses import (
    ALL_HOSTS,
    ANY,
    ANY6,
    LOOPBACK,
    LOOPBACK6,
    Address,
    canonical,
    common_prefix,
    family_of,
    ipv4_of,
    ipv6_of,
    is_any,
    is_group,
    is_ipv6,
    is_loopback,
    unmapped,
)
from .fragments import Reassembly, refuse_too_large
from .ports import choose, collide, in_use
from .protocols import (
    DELIVER,
    DENIED,
    DROP,
    EXPIRE,
    FORWARD,
    HOST_DOWN,
    ICMP,
    ICMPV6,
    IGNORE,
    NO_MAPPING,
    NO_WAY,
    REASONS,
    RESEND,
    TOO_LARGE,
    UDP,
)
from .routing import longest_match
from .rules import Rule, lets_pass
from .unreachable import refuse_without_way

if TYPE_CHECKING:
    from .channel import Channel
    from .datagram import DatagramTransport
    from .hostrun import HostRun
    from .multicast import HostSide
    from .nat import Translator
    from .simulation import Simulation
    from .sockets import SimulatedSocket
    from .streams import Streams
    from .tcp import LinuxTCP
    from .wire import Node as Base
    from .wire import Packet
else:
    Base = object

K = TypeVar("K")
T = TypeVar("T")

FIRST_EPHEMERAL, LAST_PORT = 49152, 65535
NO_OPTIONS: dict[str, Any] = {}  # never written to


class Stack(Base):
    """The kernel's part of one host."""

    __slots__ = core.NO_SLOTS

    channels: Sequence[Channel]
    """Those that lead away from here, in the order of their making."""
    channels_in: Sequence[Channel]
    """Those that lead here."""

    # What few hosts need is in a dictionary, which is made then.
    is_down = False
    losses: dict[str, int] | None = None
    """How many packets were lost here, by reason."""
    rules: tuple[Rule, ...] = ()
    translator: Translator | None = None
    group_options: Mapping[str, Any] = NO_OPTIONS
    _reassembly: Reassembly | None = None
    _mtus: dict[str, int] | None = None  # to addresses, that others have told of
    tcp_settings: LinuxTCP | None = None
    """How it sends TCP as packets; None where connections are bytes in order."""

    def __init__(self, simulation: Simulation, name: str, number: int, kind: str) -> None:
        super().__init__(simulation.fabric)
        self.simulation = simulation
        self.name = name
        self.number = number
        self.forwards = kind != "host"
        self.is_switch = kind == "switch"
        self.channels = self.channels_in = ()
        self.routes: Sequence[tuple[Any, Channel]] = ()  # that were set by hand
        self.own: tuple[str, ...] = ()  # addresses that were given to it
        self._streams: Streams | None = None
        self.group_side: HostSide | None = None  # what it wants of groups, if it ever wanted any
        self._next_ports: list[int] | None = None
        self.run: HostRun | None = None  # what runs here, or was the last to run

    # -- addresses ----------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Its first address of IPv4."""
        return next((one for one in self.own if not is_ipv6(one)), ipv4_of(self.number))

    @property
    def address6(self) -> str:
        """Its first address of IPv6."""
        return next((one for one in self.own if is_ipv6(one)), ipv6_of(self.number))

    def has(self, address: str) -> bool:
        """Say whether an address is one of this host's."""
        if is_loopback(address):
            return True
        return address in self.own or address == ipv4_of(self.number) or address == ipv6_of(self.number)

    def addresses(self) -> list[str]:
        """Return the addresses that its name stands for, IPv4 first, as resolvers sort unique local ones."""
        own = [*self.own, ipv4_of(self.number)]
        if self.simulation.has_ipv6:
            own.append(ipv6_of(self.number))
        return sorted(dict.fromkeys(own), key=is_ipv6)

    def look_up(self, host: str | bytes) -> list[str]:
        """Return the addresses of a name, or of an address itself. Raises `socket.gaierror`."""
        name = host.decode("ascii") if isinstance(host, bytes) else host
        if name == "localhost":
            return [LOOPBACK, LOOPBACK6]
        found = self.simulation.stacks.get(name)
        if found is not None:
            return found.addresses()
        address = canonical(name)
        if address is None:
            raise socket.gaierror(
                socket.EAI_NONAME,
                f"no host of this network is called {name!r}; {suggestion(name, self.simulation.stacks)}",
            )
        return [address]

    def resolve(self, host: str | bytes, port: int) -> tuple[Stack, str]:
        """Return the host that has a name or address, and the address. Raises `OSError` if there is none."""
        address = unmapped(self.look_up(host)[0])
        if is_any(address):
            address = LOOPBACK6 if is_ipv6(address) else LOOPBACK
        if is_loopback(address):
            return self, address
        stack = self.simulation.stack_of(address)
        if stack is None:
            if is_group(address) or address == ALL_HOSTS:
                raise OSError(
                    errno.ENETUNREACH, f"network is unreachable: {address} is no host's own address"
                )
            raise OSError(
                errno.EHOSTUNREACH, f"no route to host: no host of this network has the address {address}"
            )
        return stack, address

    def source_address(self, target: str) -> str:
        """Return which of the own addresses packets to an address come from.

        The first of those that were given to it; of IPv6 that which has most in common with the target.
        """
        six = is_ipv6(target)
        if is_loopback(target):
            return LOOPBACK6 if six else target
        if not self.own:
            return ipv6_of(self.number) if six else ipv4_of(self.number)
        candidates = [one for one in (*self.own, self.address, self.address6) if is_ipv6(one) == six]
        candidates.append(ipv6_of(self.number) if six else ipv4_of(self.number))
        return max(candidates, key=lambda one: common_prefix(one, target)) if six else candidates[0]

    def own_address(self, host: str | bytes | None, family: int = 0) -> str:
        """Return the address that a socket is bound to. Raises `OSError` for one of another host."""
        if host is None or host in ("", b""):
            return ANY6 if family == socket.AF_INET6 else ANY
        addresses = [one for one in self.look_up(host) if family in (0, family_of(one))]
        for address in addresses:
            if is_any(address) or is_group(address) or self.has(unmapped(address)):
                return address
        shown = addresses[0] if addresses else host
        raise OSError(errno.EADDRNOTAVAIL, f"cannot assign requested address: {shown!s} is not {self.name}'s")

    # -- ways ---------------------------------------------------------------------------------------

    def own_table(self) -> dict[str, Any]:
        """Return the table of ways to be written to: those that are empty are one for all hosts."""
        if not self.table:
            self.table = {}
        return self.table

    def way_to(self, address: str) -> Any:
        """Return the channel that leads towards an address, or this stack for its own; None if none does."""
        way = self.table.get(address)
        if way is None:
            way = self._find_way(address)
            if way is not None:
                self.own_table()[address] = way
        return way

    def _find_way(self, address: str) -> Any:
        if self.has(address):
            return self
        if self.routes:
            channel = self.static_route(address)
            if channel is not None:
                return channel
        target = self.simulation.stack_of(address)
        if target is None:
            return None
        return self.simulation.routes.find(self, target, address)

    def static_route(self, address: str) -> Channel | None:
        """Return the link of the route that was set by hand for an address, if there is one."""
        return longest_match(self.routes, address)

    def refuse_to_block(self, sock: SimulatedSocket, what: str) -> None:
        """A call of a socket would have to wait. Raises where it was to do so, as a simulated host cannot."""
        if sock.gettimeout() != 0:
            raise RuntimeError(
                f"{self.name}: {what}() of {sock!r} would block, and with it the whole simulation. Write "
                "sock.setblocking(False), and await loop.sock_... or use streams, transports or components"
            )

    def path_to(self, stack: Stack, address: str) -> tuple[Channel, ...]:
        """Return all channels on the way to a host. Raises `OSError` when no links lead there."""
        path: list[Channel] = []
        at: Stack = self
        while at is not stack:
            way = at.way_to(address)
            if way is None or way is at or len(path) > 255:
                raise OSError(
                    errno.EHOSTUNREACH, f"no route to host: no links lead from {self.name} to {stack.name}"
                )
            path.append(way)
            at = way.far
        return tuple(path)

    # -- packets ------------------------------------------------------------------------------------

    def emit(self, packet: Packet) -> None:
        """Send a packet of this host's own, now. One for which there is no way is dropped."""
        way = self.way_to(packet.target)
        if (
            way is self
        ):  # no time passes, but all that is ready comes first, as before a loop looks at sockets
            packet.place = self
            self.fabric.clock.add_timer(self.fabric.clock.now, packet)
        elif way is not None:
            way.carry(packet)
        else:
            self.ignore(packet, NO_WAY)

    def take(self, packet: Packet, channel: Channel) -> None:
        """A packet has come that is not on the usual way."""
        if self.is_down:
            self.drop(packet, HOST_DOWN)
        elif self.rules and not lets_pass(self.rules, packet):
            self.drop(packet, DENIED)
        elif self.translator is not None and not self._translate(packet, channel):
            self.drop(packet, NO_MAPPING)
        elif is_group(packet.target):
            if self.forwards or not self.simulation.faults.keeps_out(self, packet):
                self.simulation.groups.arrive(self, packet, channel)
        elif packet.target == ALL_HOSTS and self.is_switch:
            for out in self.channels:
                if out is not channel.back:
                    out.carry(packet.copy())
        elif packet.target == ALL_HOSTS or (way := self.way_to(packet.target)) is self:
            if not self.special or not self.simulation.faults.keeps_out(self, packet):
                self.deliver(packet)
        elif not self.forwards or way is None:
            self.ignore(packet, NO_WAY if self.forwards else "not for it")
            if self.forwards:
                refuse_without_way(self, packet)
        elif packet.ttl <= 1 and not self.is_switch:
            self.expire(packet)
        else:
            packet.ttl -= not self.is_switch
            self.note(FORWARD, packet)
            way.carry(packet)

    def _translate(self, packet: Packet, channel: Channel) -> bool:
        """Change the addresses of a packet that passes between inside and outside; False if it may not."""
        translator = self.translator
        assert translator is not None
        if is_group(packet.target):
            return True
        if translator.is_outside(channel):
            # What the router itself has asked for comes in as well; nobody outside knows the hosts inside.
            own = self.has(packet.target)
            return own and (translator.inwards(packet) or bool(self.udp or self._streams))
        way = self.way_to(packet.target)
        if way is None or way is self or way.interface != 0:
            return True
        return translator.outwards(packet)

    def take_delivered(self, packet: Packet) -> None:
        """A packet has come to its end here, and is no datagram for the only socket of its port."""
        if packet.spoiled:
            self.ignore(packet, "wrong checksum")
            if packet.tells:
                packet.data.lost(packet)
        elif packet.protocol == UDP:
            self.deliver_datagram(packet)
        elif isinstance(packet.data, self.simulation.forms.tcp.Segment):
            self.streams.take_segment(packet)
        else:
            packet.data.arrive(self, packet)

    def deliver_datagram(self, packet: Packet) -> None:
        """A datagram is here, whole; its packets have been counted."""
        if packet.target == ALL_HOSTS:
            taken = False
            for one in list(self.sockets_of(packet.port)):
                one.take(packet.data, packet.source)
                taken = True
            if not taken:
                self.ignore(packet)
            return
        transport = self.find_socket(packet.target, packet.port, packet.source)
        if transport is not None:
            transport.take(packet.data, transport.as_it_sees(packet.source))
        else:
            self.ignore(packet)
            self.simulation.answer_unreachable(self, packet)

    def drop(self, packet: Packet, why: int) -> None:
        """A packet is lost here."""
        self.count_loss(REASONS[why])
        self.note(DROP, packet, why)
        if packet.tells:
            packet.data.lost(packet)

    def look(self) -> None:
        """Find out whether to look at every packet that comes."""
        self.special = (
            self.is_down
            or bool(self.rules)
            or self.translator is not None
            or self.simulation.faults.concern(self)
        )

    def crash(self) -> None:
        """The power is off: all that the kernel knows is gone, and nobody is told."""
        self.is_down = True
        if self._streams is not None:
            self._streams.vanish()
        for one in self.sockets():
            one.closing = True
            one.reading = False
        self.udp = self._streams = self._next_ports = self.connections = None
        self.forget_last()
        self.member = None
        self.simulation.groups.vanish(self)
        self.look()

    def ignore(self, packet: Packet, why: str = "nobody listens") -> None:
        """Nobody wants a packet."""
        self.count_loss(why)
        self.note(IGNORE, packet)

    def expire(self, packet: Packet) -> None:
        """The TTL of a packet does not let it go on from here."""
        self.count_loss("expired")
        self.note(EXPIRE, packet)

    def count_loss(self, why: str) -> None:
        """Count a packet that is lost here; or that cannot leave, for want of a way."""
        if self.losses is None:
            self.losses = {}
        self.losses[why] = self.losses.get(why, 0) + 1

    def note(self, what: int, packet: Packet, why: int = 0) -> None:
        """Write down what has happened to a packet here."""
        if self.fabric.recorder is not None:
            self.fabric.recorder.record(what, packet, self, why)

    def note_again(self, packet: Packet) -> None:
        """Write down that a packet is sent again."""
        if self.fabric.recorder is not None:
            self.fabric.recorder.record(RESEND, packet, None, 0)

    def note_delivery(self, packet: Packet) -> None:
        """Count a packet of which a copy stays here, and write it down."""
        self.received += 1
        self.bytes_received += packet.size
        self.note(DELIVER, packet)

    def note_end(self, what: int, source: str, target: str = "") -> None:
        """Write down what has happened to a connection here."""
        if self.fabric.recorder is not None:
            self.fabric.recorder.write(what, 0, "tcp", source, target, 0, "", 0)

    def too_large(self, packet: Packet, channel: Channel) -> None:
        """A packet does not fit into a link."""
        channel.drop(packet, TOO_LARGE)
        refuse_too_large(self, packet, channel)

    @property
    def reassembly(self) -> Reassembly:
        """Its fragments that wait for others."""
        if self._reassembly is None:
            self._reassembly = Reassembly(self)
        return self._reassembly

    def hear_too_large(self, about: Packet, mtu: int) -> None:
        """One of its packets has not fitted into a link somewhere."""
        self.learn_mtu(about.target, mtu)
        if isinstance(about.data, self.simulation.forms.tcp.Segment):
            self.streams.hear_too_large(about, mtu)

    def learn_mtu(self, address: str, mtu: int) -> None:
        """Packets to an address may be so large, and no larger."""
        if self._mtus is None:
            self._mtus = {}
        self._mtus[address] = min(mtu, self._mtus.get(address, mtu))
        self.fabric.version += 1

    def mtu_to(self, address: str, channel: Channel) -> int:
        """Return how large packets to an address may be, as far as is known."""
        return min(channel.mtu, (self._mtus or {}).get(address, channel.mtu))

    # -- TCP ----------------------------------------------------------------------------------------

    @property
    def streams(self) -> Streams:
        """Its listeners and connections."""
        if self._streams is None:
            from .streams import Streams

            self._streams = Streams(self)
        return self._streams

    # -- UDP ----------------------------------------------------------------------------------------

    def datagram_port(self, host: str, port: int, *, reuse_port: bool, only6: bool = False) -> int:
        """Return a port for datagrams: the one asked for if it is free, any for 0. Raises `OSError`."""
        if port == 0:
            return self.free_port(socket.SOCK_DGRAM)
        others = [one for one in self.sockets_of(port) if collide(host, only6, one.local_host, one.only6)]
        if others and not (reuse_port and all(other.reuse_port for other in others)):
            raise in_use(self.name, port)
        return port

    def add_socket(self, transport: DatagramTransport) -> None:
        """Deliver to a socket what comes for its port."""
        self._keep_sockets(transport.port, [*self.sockets_of(transport.port), transport])

    def forget_socket(self, transport: DatagramTransport) -> None:
        """Deliver nothing to it any more."""
        left = [one for one in self.sockets_of(transport.port) if one is not transport]
        self._keep_sockets(transport.port, left)

    def sockets_of(self, port: int) -> Sequence[DatagramTransport]:
        """Return the sockets that have a port of UDP."""
        found = self.udp
        if isinstance(found, dict):
            found = found.get(port)
        elif found is not None and found.port != port:
            found = None
        return found if isinstance(found, list) else () if found is None else (found,)

    def sockets(self) -> list[DatagramTransport]:
        """Return all sockets of UDP."""
        if self.udp is None:
            return []
        if not isinstance(self.udp, dict):
            return [self.udp]
        return [one for port in self.udp for one in self.sockets_of(port)]

    def sort_sockets(self, port: int) -> None:
        """A socket takes from now on what it did not, or no more what it did."""
        self._keep_sockets(port, list(self.sockets_of(port)))

    def _keep_sockets(self, port: int, sockets: list[DatagramTransport]) -> None:
        """Let the wire know a socket that is the only one for its port, and takes what comes from anybody."""
        table = self.udp if isinstance(self.udp, dict) else {}
        if self.udp is not None and self.udp is not table:
            table[self.udp.port] = self.udp
        table.pop(port, None)
        if sockets:
            table[port] = sockets[0] if len(sockets) == 1 and sockets[0].takes_all else sockets
        only = next(iter(table.values())) if len(table) == 1 else None
        self.udp = table or None if only is None or isinstance(only, list) else only
        if self.member is not None and self.member.port == port:
            self.find_member()

    def find_member(self, joined: DatagramTransport | None = None) -> None:
        """Let the wire know a socket that alone takes all that comes for a group to its port.

        It is the one that has just joined a group, unless there is one already.
        """
        member: DatagramTransport | None = self.member or joined  # type: ignore[assignment]
        self.member = None
        if self.forwards or len(self.channels_in) != 1:
            return
        if member is not None and list(self.sockets_of(member.port)) == [member]:
            group = member.memberships.heard_whole()
            if group is not None:
                self.member, self.group = member, group

    def find_socket(self, host: str, port: int, source: Address) -> DatagramTransport | None:
        """Return the socket that a datagram is for: a connected one hears only its peer."""
        best: list[DatagramTransport] = []
        score = -1
        for one in self.sockets_of(port):
            fits = one.fits(host, source)
            if fits > score:
                best, score = [], fits
            if fits == score >= 0:
                best.append(one)
        return choose(best, source) if best else None

    def group_sockets(
        self, group: str, port: int, source: Address, interface: int
    ) -> list[DatagramTransport]:
        """Return the sockets that are to get what has come for a group."""
        return [one for one in self.sockets_of(port) if one.memberships.hears(group, source, interface)]

    def interface_of(self, channel: Channel) -> int:
        """Return over which of its interfaces, from 0, a channel leads here or away."""
        out = channel if channel.near is self else channel.back
        return 0 if out is None else out.interface

    # -- the end ------------------------------------------------------------------------------------

    def exit(self) -> None:
        """The host's program has ended: what it has left open is closed for it."""
        if self._streams is not None:
            self._streams.close_listeners()
        for transport in self.sockets():
            transport.cut_off()
        if self._streams is not None:
            self._streams.close_ends()

    def free_port(self, kind: socket.SocketKind) -> int:
        """Return a port that nobody has. Raises `OSError` when there is none."""
        if self._next_ports is None:
            self._next_ports = [FIRST_EPHEMERAL, FIRST_EPHEMERAL]
        index = int(kind == socket.SOCK_DGRAM)
        for _ in range(FIRST_EPHEMERAL, LAST_PORT + 1):
            port = self._next_ports[index]
            self._next_ports[index] = port + 1 if port < LAST_PORT else FIRST_EPHEMERAL
            if not (self.sockets_of(port) if index else self.streams.has_port(port)):
                return port
        raise OSError(errno.EADDRNOTAVAIL, f"{self.name} has no free port left")

    def __repr__(self) -> str:
        return f"<stack of {self.name}, {self.address}>"


SLOTS = (
    "__dict__",
    "_next_ports",
    "_streams",
    "channels",
    "channels_in",
    "group_side",
    "is_switch",
    "name",
    "number",
    "own",
    "routes",
    "run",
    "simulation",
)


def error_of(number: int) -> OSError:
    """Return an error of the kernel's."""
    return OSError(number, os.strerror(number))


__all__ = ["ICMP", "ICMPV6", "SLOTS", "Stack", "error_of", "in_use"]
