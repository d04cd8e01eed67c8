"""Kamaelia: a dumbbell of PAIRS senders and receivers, each pair with a connection that sends all the time.

    dumbbell_kamaelia PAIRS MILLISECONDS [bytes]

With "bytes" connections are bytes in order, and else packets as Linux sends them. It is the network of
`dumbbell_ns3.cc`: the link in the middle has 1 Gbit/s, 9 ms, and queues of 2.5 MB, as much as it carries in a
round trip; those at the ends have 10 Gbit/s, 0.5 ms, and 1000 packets. Connection i is opened after i / PAIRS
of 20 ms. The figure is how many packets came to the host that they were for, data and acknowledgements, a
second of this computer's time, until all that was sent has come. Hosts are made and started before that, and
stopped after it. No trace is kept.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.star_common import Times, times
from benchmarks.peers.stopwatch import numbers, report
from kamaelia import component, sleep
from kamaelia.axon import VirtualLoop
from kamaelia.testbed import LinuxTCP, Network

PAIRS, MILLISECONDS = numbers()
TCP = None if "bytes" in sys.argv else LinuxTCP()
PORT = 5001
RATE = 1e9  # bits a second
OPENING = 0.02  # seconds in which all are opened
BEGIN = 1.0  # virtual seconds, by which all hosts have started
END = BEGIN + MILLISECONDS / 1000
REST = 2.0  # virtual seconds, in which what was sent before the end comes, also if it is lost once
MIDDLE = {"rate": f"{RATE:.0f} bit/s", "delay": "9 ms", "queue": "2.5 MB"}
ENDS = {"rate": "10 Gbit/s", "delay": "0.5 ms", "queue": "1000 packets"}
CHUNK = bytes(1 << 16)


class Receiver(asyncio.Protocol):
    """One end of a connection: it counts the bytes of all."""

    received = 0

    def data_received(self, data: bytes) -> None:
        Receiver.received += len(data)


@component
async def receive(inbox: Any, outbox: Any) -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "0.0.0.0", PORT)
    await server.serve_forever()


@component
async def send(inbox: Any, outbox: Any, name: str, start: float) -> None:
    now = asyncio.get_running_loop().time
    await sleep(BEGIN + start - now())
    _, writer = await asyncio.open_connection(name, PORT)
    while now() < END:
        writer.write(CHUNK)
        await writer.drain()
    writer.transport.abort()  # what has not been sent yet is not


def make() -> Network:
    network = Network(tcp=TCP)
    left, right = network.router("left"), network.router("right")
    network.link(left, right, **MIDDLE)
    for index in range(PAIRS):
        sender, receiver = network.host(f"sender-{index}"), network.host(f"receiver-{index}")
        network.link(sender, left, **ENDS)
        network.link(right, receiver, **ENDS)
        sender.run(send(receiver.name, OPENING * index / PAIRS))
        receiver.run(receive())
    return network


def main() -> None:
    network = make()
    marks: list[Times] = []
    received: list[int] = []  # until the end

    async def watch() -> None:
        await asyncio.sleep(BEGIN - 0.001)
        marks.append(times())
        await asyncio.sleep(END - BEGIN + 0.001)
        received.append(Receiver.received)
        await asyncio.sleep(REST)
        marks.append(times())

    network.script(watch)
    gc.collect()
    trace = network.simulate(END + REST + 0.1, keep=None)
    links = trace.metrics.links
    delivered = sum(
        links[f"{router} > {side}-{index}"].delivered
        for router, side in (("left", "sender"), ("right", "receiver"))
        for index in range(PAIRS)
    )
    used = received[0] * 8 / (RATE * MILLISECONDS / 1000)
    if not 0 < used <= 1:
        sys.exit(f"{used:.1%} of the link in the middle was used, which cannot be")
    before, after = marks
    seconds = after[0] - before[0]
    report(
        about(VirtualLoop),
        pairs=PAIRS,
        milliseconds=MILLISECONDS,
        delivered=delivered,
        received=received[0],
        used=used,
        seconds=seconds,
        cpu=after[1] - before[1],
        rate=delivered / seconds,
    )


if __name__ == "__main__":
    main()
