"""Connections between programs of this machine and simulated hosts (`relay`).

Each is two ends joined: a real socket, and a connection in the simulation. What comes from either is passed
on to the other, and read no faster than that takes it; the end of either is the end of the other.
"""

from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING

from ..stand_ins.where import allowed
from .doors import Door, Exit, parted

if TYPE_CHECKING:
    from ..loop import HostLoop
    from .realtime import RealTime

MOST_CONNECTIONS = 1000
"""Real sockets of one relay; who comes to a door then is let go at once."""
PIECE = 65536  # bytes


class StreamDoor:
    """A door for connections: who comes in connects from a simulated host.

    Arguments:
        simulation: what it leads into
        door: which
        listening: its socket
    """

    def __init__(self, simulation: RealTime, door: Door, listening: socket.socket) -> None:
        self._simulation = simulation
        self._loop: HostLoop = simulation.loop_of(simulation.stacks[door.host])
        self._listening = listening
        self._to = parted(door.to)
        self.refused = 0
        """Connections for which there was no room."""

    def open(self) -> None:
        """Let in who comes, from now on."""
        self._simulation.on_ready(self._listening, select.EPOLLIN, self._accept)

    def _accept(self) -> None:
        simulation = self._simulation
        with allowed():
            try:
                one, _ = self._listening.accept()
            except (BlockingIOError, ConnectionError):
                one = None
        if one is not None and len(simulation.sockets) >= MOST_CONNECTIONS:
            one.close()
            self.refused += 1
        elif one is not None:
            simulation.begin(self._loop, self._come_in(simulation.keep(one)))
        self.open()

    async def _come_in(self, one: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_connection(*self._to)
            await _join(self._simulation, one, reader, writer)
        finally:
            self._simulation.forget(one)


class StreamExit:
    """An exit for connections: who comes to it is connected to a real server.

    Arguments:
        simulation: what it leads out of
        exit_: which
    """

    def __init__(self, simulation: RealTime, exit_: Exit) -> None:
        self._simulation = simulation
        name, self._port = parted(exit_.at)
        self._loop: HostLoop = simulation.loop_of(simulation.stacks[name])
        self._to = parted(exit_.to)

    def open(self) -> None:
        """Lead out who comes, from now on."""
        self._simulation.begin(self._loop, self._listen())

    async def _listen(self) -> None:
        async with await asyncio.start_server(self._lead_out, "", self._port) as server:
            await server.serve_forever()

    async def _lead_out(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        simulation = self._simulation
        with allowed():
            one = simulation.keep(socket.socket())
            one.connect_ex(self._to)
        try:
            await simulation.until_ready(one, select.EPOLLOUT)
            with allowed():
                failed = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                writer.transport.abort()
            else:
                await _join(simulation, one, reader, writer)
        finally:
            simulation.forget(one)


async def _join(
    simulation: RealTime, one: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Pass on what comes from either side to the other, until both have ended."""

    async def inwards() -> None:
        while data := await _receive(simulation, one):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def outwards() -> None:
        while data := await reader.read(PIECE):
            await _send(simulation, one, data)
        with allowed():
            one.shutdown(socket.SHUT_WR)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(inwards())
            group.create_task(outwards())
    except* OSError:
        writer.transport.abort()
    finally:
        writer.close()


async def _receive(simulation: RealTime, one: socket.socket) -> bytes:
    while True:
        with allowed():
            try:
                return one.recv(PIECE)
            except BlockingIOError:
                pass
        await simulation.until_ready(one, select.EPOLLIN)


async def _send(simulation: RealTime, one: socket.socket, data: bytes) -> None:
    left = memoryview(data)
    while left:
        with allowed():
            try:
                left = left[one.send(left) :]
                continue
            except BlockingIOError:
                pass
        await simulation.until_ready(one, select.EPOLLOUT)


__all__ = ["MOST_CONNECTIONS", "StreamDoor", "StreamExit"]
