"""Send packets through a link of the testbed, and see what comes when.

What the qdisc of the kernel does stands in the settings of one direction of a link. The packets are sent at
the times at which the real ones came to the real qdisc, by a host with a socket for each flow, and they are
as large as the real ones are with Ethernet.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from kamaelia import component, sleep
from kamaelia.testbed import Network

from .real import PORT, Seen
from .streams import Packet

BEGIN = 1.0  # virtual seconds, by which both hosts have started
AFTER = 60.0  # virtual seconds, for what is still under way at the end
HEADS = 20 + 8  # bytes, of IP and UDP


def through(
    link: Mapping[str, Any], packets: Sequence[Packet], arrived: Sequence[int], seed: int | str = 0
) -> Seen:
    """Send packets through a link.

    Arguments:
        link: what `Network.link` is told
        packets: what is sent; their times are not looked at
        arrived: when each is sent, in nanoseconds; the first one at 0
        seed: of the simulation
    """
    came: list[tuple[int, int, int]] = []
    network = Network()
    left, right = network.host("left"), network.host("right")
    network.link(left, right, **link, back={"delay": 0, **_plain(link)})
    left.run(_send(packets, arrived))
    right.run(_receive(came))
    end = BEGIN + arrived[-1] / 1e9 + AFTER
    trace = network.simulate(end, keep=None, seed=seed)
    count = trace.metrics.links["left > right"]
    return Seen(list(arrived), came, {"drops": count.dropped, "lost": count.lost, "marks": count.marked})


def _plain(link: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing comes back, so that direction is like any other."""
    nothing = {"jitter": None, "reordering": False, "loss": 0, "rate": None, "queue": None}
    nothing |= {"duplicate": 0, "corrupt": 0, "reorder": 0}
    return {name: nothing[name] for name in link if name in nothing}


@component
async def _send(inbox: Any, outbox: Any, packets: Sequence[Packet], arrived: Sequence[int]) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        transports: dict[int, Any] = {}
        for packet in packets:
            if packet.flow not in transports:
                transport, _ = await loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol,
                    local_addr=("0.0.0.0", PORT + 1 + packet.flow),
                    remote_addr=("right", PORT),
                )
                stack.callback(transport.close)
                sock = transport.get_extra_info("socket")
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, packet.ecn)
                transports[packet.flow] = transport
        for number, (packet, time) in enumerate(zip(packets, arrived, strict=True)):
            left = BEGIN + time / 1e9 - loop.time()
            if left > 0:
                await sleep(left)
            transports[packet.flow].sendto(struct.pack("!Q", number) + bytes(packet.size - HEADS - 8))


class _Count(asyncio.DatagramProtocol):
    def __init__(self, came: list[tuple[int, int, int]]) -> None:
        self.came = came
        self.now = asyncio.get_running_loop().time

    def datagram_received(self, data: bytes, address: Any) -> None:
        number = struct.unpack_from("!Q", data)[0]
        self.came.append((number, round((self.now() - BEGIN) * 1e9), 0))


@component
async def _receive(inbox: Any, outbox: Any, came: list[tuple[int, int, int]]) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: _Count(came), local_addr=("0.0.0.0", PORT))
    await loop.create_future()
