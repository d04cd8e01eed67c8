"""A crowd: very many receivers of one multicast tree, each a component on a host of its own that counts.

    python -m benchmarks.crowd [RECEIVERS] [--packets 50] [--ports 100] [--form compiled]

The source sends over a tree of routers with 100 ports each, from the core down to the receivers. Each
receiver opens a socket, joins the group with IGMP and counts what it hears, to the end. Every packet goes
once over each link, and is a copy of its own behind each router.

It prints how many receivers there were and how many of them got every packet exactly once; how long the
network took to describe, to make and start, to carry the packets, and to end; and the most memory that was
used. With a million receivers it is to take less than 5 minutes and 6 GB.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import socket
import sys
import time
from itertools import pairwise
from typing import Any

from kamaelia import Component, sleep
from kamaelia.axon import core
from kamaelia.testbed import Network

GROUP, PORT = "239.1.2.3", 5004
MEMBERSHIP = socket.inet_aton(GROUP) + bytes(4)
JOINING = 4.0  # virtual seconds within which the receivers join
FIRST, EVERY = 5.0, 0.02  # the first packet, when all have joined, and from one to the next
FOREVER = 1e6
PACKET = bytes(1000)


receivers: list[Receiver] = []


class Receiver(Component, asyncio.DatagramProtocol):
    """Joins the group and counts packets, to the end."""

    inbox = None
    outbox = None

    __slots__ = ("got",)
    all = 1  # of them

    def __init__(self) -> None:
        self.got = 0

    async def main(self) -> None:
        receivers.append(self)
        await sleep(JOINING * len(receivers) / self.all)  # one after the other
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("0.0.0.0", PORT))
        membership = transport.get_extra_info("socket")
        membership.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, MEMBERSHIP)
        del transport, membership
        await sleep(FOREVER)

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.got += 1


class Sender(Component):
    """Sends packets to the group, and ends when the last has arrived everywhere."""

    inbox = None
    outbox = None

    def __init__(self, packets: int) -> None:
        self.packets = packets

    async def main(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0)
        )
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 9)
        await asyncio.sleep(FIRST)
        for _ in range(self.packets):
            transport.sendto(PACKET, (GROUP, PORT))
            await asyncio.sleep(EVERY)
        await asyncio.sleep(1)


def describe(number: int, packets: int, ports: int) -> Network:
    """Return the network: receivers, routers above them and above these, and at the top the source."""
    network = Network()
    source = network.host("source").run(Sender(packets))
    Receiver.all = number
    receiver = Receiver()  # each host makes one like it
    below = [network.host(f"r{index}").run(receiver) for index in range(number)]
    level: int = 0
    link: dict[str, Any] = {"rate": "20 Mbit/s", "delay": "5 ms"}
    while len(below) > 1 or not level:
        level += 1
        above = []
        for first in range(0, len(below), ports):
            router = network.router(f"level-{level}-{first // ports}")
            for one in below[first : first + ports]:
                network.link(router, one, **link)
            above.append(router)
        below, link = above, {"rate": "1 Gbit/s", "delay": "10 ms"}
    network.link(source, below[0], **link)
    return network


def peak() -> int:
    """Return how many bytes of memory have been in use at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Read the arguments, simulate, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("receivers", type=int, nargs="?", default=10_000)
    options.add_argument("--packets", type=int, default=50)
    options.add_argument("--ports", type=int, default=100)
    options.add_argument("--form", choices=("compiled", "plain"), default="compiled")
    chosen = options.parse_args()
    core.use(chosen.form)
    gc.disable()  # it would look through all of what is made here to stay, again and again
    times = [time.perf_counter()]
    sizes = [peak()]

    def note_time(*_: Any) -> None:
        times.append(time.perf_counter())
        sizes.append(peak())

    network = describe(chosen.receivers, chosen.packets, chosen.ports)
    note_time()
    network.at(FIRST - 0.5, note_time)
    network.at(FIRST + chosen.packets * EVERY + 0.5, note_time)
    network.simulate(seconds=FIRST + 3600, seed=1, keep=None, until="source")
    note_time()
    steps = ("describing", "making, joining", "carrying", "ending")
    exact = sum(one.got == chosen.packets for one in receivers)
    delivered = sum(one.got for one in receivers)
    print(f"receivers        {len(receivers):,}")
    print(f"delivered        {delivered:,}; {exact:,} receivers have got exactly {chosen.packets} each")
    for step, (before, after), size in zip(steps, pairwise(times), sizes[1:], strict=True):
        print(f"{step:16} {after - before:6.1f} s, memory at most {size / 1e9:5.2f} GB so far")
    print(f"in all           {times[-1] - times[0]:6.1f} s")
    each = [round((size - sizes[0]) / chosen.receivers) for size in sizes]
    print(f"for each         delivery {(times[3] - times[2]) / max(1, delivered) * 1e6:.2f} us;", end=" ")
    print(f"receiver {each[3]:,} B, at the end {each[4]:,} B")
    if exact != chosen.receivers or len(receivers) != chosen.receivers:
        raise SystemExit("not every receiver has got every packet once")
    sys.stdout.flush()
    os._exit(0)  # not to take it all apart


if __name__ == "__main__":
    main()
