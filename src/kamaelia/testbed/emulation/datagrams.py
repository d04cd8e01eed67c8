"""Datagrams between programs of this machine and simulated hosts (`relay`).

Each address that sends to a door or an exit has a socket of its own at the other side, so that answers find
their way back.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..stand_ins.where import allowed
from .doors import Door, Exit, parted

if TYPE_CHECKING:
    from ..loop import HostLoop
    from .realtime import RealTime

MOST_PEERS = 1000
"""Programs that send datagrams to a door, and hosts that do to an exit; of more, the oldest is forgotten."""
MOST_EARLY = 100
"""Datagrams of one address that wait until it has a socket; more are dropped."""
AT_ONCE = 100  # datagrams that are read before others have their turn
PIECE = 65536  # bytes


class DatagramDoor:
    """A door for datagrams: each program that sends some is a socket of a simulated host.

    Arguments:
        simulation: what it leads into
        door: which
        one: its socket
    """

    def __init__(self, simulation: RealTime, door: Door, one: socket.socket) -> None:
        self._simulation, self._socket = simulation, one
        self._loop: HostLoop = simulation.loop_of(simulation.stacks[door.host])
        self._to = parted(door.to)
        self._peers: dict[Any, _Peer] = {}
        self.unsent = 0
        """Answers that the real socket did not take."""

    def open(self) -> None:
        """Take what comes, from now on."""
        self._simulation.on_ready(self._socket, select.EPOLLIN, self._take)

    def _take(self) -> None:
        for _ in range(AT_ONCE):
            try:
                data, address = self._socket.recvfrom(PIECE)
            except (BlockingIOError, ConnectionError):
                break
            peer = self._peers.get(address)
            if peer is None:
                _make_room(self._peers)
                peer = self._peers[address] = _Peer(lambda data, to=address: self._answer(data, to))
                self._simulation.begin(self._loop, self._connect(peer))
            peer.send(data)
        self.open()

    async def _connect(self, peer: _Peer) -> None:
        await self._loop.create_datagram_endpoint(lambda: peer, remote_addr=self._to)

    def _answer(self, data: bytes, address: Any) -> None:
        with allowed():
            try:
                self._socket.sendto(data, address)
            except OSError:
                self.unsent += 1


class DatagramExit:
    """An exit for datagrams: each simulated socket that sends some is a real one.

    Arguments:
        simulation: what it leads out of
        exit_: which
    """

    def __init__(self, simulation: RealTime, exit_: Exit) -> None:
        self._simulation = simulation
        name, self._port = parted(exit_.at)
        self._loop: HostLoop = simulation.loop_of(simulation.stacks[name])
        self._to = parted(exit_.to)
        self._transport: Any = None
        self._sockets: dict[Any, _Out] = {}
        self.unsent = 0
        """Datagrams that a real socket did not take."""

    def open(self) -> None:
        """Lead out what comes, from now on."""
        self._simulation.begin(self._loop, self._listen())

    async def _listen(self) -> None:
        self._transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Peer(self._send_from), local_addr=("0.0.0.0", self._port)
        )

    def _send_from(self, data: bytes, address: Any) -> None:
        out = self._sockets.get(address)
        if out is None:
            _make_room(self._sockets)
            with allowed():
                one = self._simulation.keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                one.connect(self._to)
            out = self._sockets[address] = _Out(self._simulation, one, self._transport, address)
            out.listen()
        with allowed():
            try:
                out.socket.send(data)
            except OSError:
                self.unsent += 1


class _Out:
    """A real socket that stands for a simulated one."""

    def __init__(self, simulation: RealTime, one: socket.socket, transport: Any, address: Any) -> None:
        self._simulation, self.socket, self._transport, self._address = simulation, one, transport, address

    def listen(self) -> None:
        """Take what comes, from now on."""
        self._simulation.on_ready(self.socket, select.EPOLLIN, self._take)

    def _take(self) -> None:
        try:
            self._transport.sendto(self.socket.recv(PIECE), self._address)
        except (BlockingIOError, ConnectionError):
            pass  # nobody is there; who waits for an answer notices
        self.listen()

    def close(self) -> None:
        """Another needs its place."""
        self._simulation.forget(self.socket)


class _Peer(asyncio.DatagramProtocol):
    """A simulated socket of datagrams that stands for a real one."""

    def __init__(self, received: Callable[..., None]) -> None:
        self._received = received
        self._transport: Any = None
        self._early: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        self._transport = transport
        for data in self._early:
            transport.sendto(data)
        self._early.clear()

    def datagram_received(self, data: bytes, address: Any) -> None:
        """See asyncio."""
        if self._transport.get_extra_info("peername") is None:
            self._received(data, address)
        else:
            self._received(data)

    def send(self, data: bytes) -> None:
        """Send a datagram, as soon as that can be done."""
        if self._transport is not None:
            self._transport.sendto(data)
        elif len(self._early) < MOST_EARLY:
            self._early.append(data)

    def close(self) -> None:
        """Another needs its place."""
        if self._transport is not None:
            self._transport.close()


def _make_room(table: dict[Any, Any]) -> None:
    if len(table) >= MOST_PEERS:
        table.pop(next(iter(table))).close()


__all__ = ["MOST_PEERS", "DatagramDoor", "DatagramExit"]
