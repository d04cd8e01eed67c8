"""What is run: the same components in a simulation and on real sockets in namespaces."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from kamaelia import component
from kamaelia.testbed import LinuxTCP, Network
from kamaelia.testbed.links import LossList

from .cells import SECONDS, Cell, Lane

PORT = 1500
TCP_INFO, TCP_CONGESTION = 11, 13
TOTAL_RETRANS = 31  # its place in struct tcp_info
CHUNK = bytes(65536)
BEGIN = 0.5  # seconds after which all hosts are ready
LATER = 0.1  # seconds from a new list of losses to the flow that it is for
LONGER = 5.0  # seconds that flows have after the bulk transfer, where many packets are lost


def seconds(cell: Cell) -> float:
    """Return how long a run takes."""
    return 3 * BEGIN + SECONDS + (LONGER if cell.loss > 0.005 else 0.0)


def listening(control: str) -> socket.socket:
    """Return a socket that accepts connections, with a congestion control."""
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, control.encode())
    sock.bind(("0.0.0.0", PORT))
    sock.setblocking(False)
    return sock


async def connected(control: str, receiver: str) -> tuple[socket.socket, float]:
    """Return a new connection, and when it was asked for."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, control.encode())
    address = (await loop.getaddrinfo(receiver, PORT, family=socket.AF_INET, type=socket.SOCK_STREAM))[0][4]
    began = loop.time()
    await loop.sock_connect(sock, address)
    return sock, began


def receiver(cell: Cell) -> Any:
    """Return a component that receives connection after connection; its result is what each was like."""

    @component
    async def receive(inbox: Any, outbox: Any) -> list[tuple[int, float]]:
        """Returns bytes, and when the last of them came, of each connection."""
        loop = asyncio.get_running_loop()
        found: list[tuple[int, float]] = []

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            count, last = 0, loop.time()
            try:
                while data := await reader.read(1 << 18):
                    count, last = count + len(data), loop.time()
            except (OSError, asyncio.CancelledError):
                pass  # the sender breaks it off when the time is over, or the time for all is
            found.append((count, last))
            writer.close()

        server = await asyncio.start_server(take, sock=listening(cell.control))
        async with server:
            await asyncio.sleep(seconds(cell) - BEGIN)
        return found

    return receive()


def bulk_sender(control: str, where: str) -> Any:
    """Return a component that sends all the time; its result is how many segments it has sent again."""

    @component
    async def send(inbox: Any, outbox: Any) -> int:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(BEGIN)
        sock, began = await connected(control, where)
        left = SECONDS
        while left > 0:
            try:
                await asyncio.wait_for(loop.sock_sendall(sock, CHUNK), left)
            except TimeoutError:
                break
            left = began + SECONDS - loop.time()
        info = sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 104)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        return int(struct.unpack("8B24I", info)[TOTAL_RETRANS])

    return send()


def flow_sender(control: str, where: str, lane: Lane) -> Any:
    """Return a component that sends flow after flow; its result is in which slot each began, and when."""

    @component
    async def send(inbox: Any, outbox: Any) -> list[tuple[int, float]]:
        loop = asyncio.get_running_loop()
        found = []
        start = loop.time() + BEGIN + lane.first + LATER
        for slot in range(lane.slots):
            wait = start + slot * lane.slot - loop.time()
            if wait < 0:  # the flow before this one takes longer than it should
                continue
            await asyncio.sleep(wait)
            sock, began = await connected(control, where)
            await loop.sock_sendall(sock, bytes(lane.size))
            sock.shutdown(socket.SHUT_WR)
            found.append((slot, began))
            await loop.sock_recv(sock, 1)
            sock.close()
        return found

    return send()


def build(cell: Cell, seed: int) -> Network:
    """Return the network of a cell."""
    network = Network(tcp=LinuxTCP(congestion=cell.control))
    lost = LossList(cell.lost(seed, "bulk"))
    _dumbbell(network, cell, "bulk", lost, bulk_sender(cell.control, "bulk-to"))
    for lane in cell.lanes:
        sender = flow_sender(cell.control, f"{lane.name}-to", lane)
        link = _dumbbell(network, cell, lane.name, LossList([]), sender)
        for slot in range(lane.slots):
            model = LossList(cell.lost(seed, f"{lane.name} {slot}"))
            network.at(BEGIN + lane.first + slot * lane.slot, link.set, direction="there", loss=model)
    return network


def _dumbbell(network: Network, cell: Cell, name: str, loss: LossList, sender: Any) -> Any:
    """Add a sender, two routers and a receiver; return the link between the routers."""
    first, second = network.router(f"{name}-a"), network.router(f"{name}-b")
    network.link(network.host(f"{name}-from").run(sender), first)
    network.link(second, network.host(f"{name}-to").run(receiver(cell)))
    return network.link(
        first,
        second,
        rate=cell.rate,
        delay=cell.round_trip / 2,
        queue=cell.queue_bytes,
        loss=loss,
        back={"loss": 0.0},
    )
