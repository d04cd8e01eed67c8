"""Kamaelia: a component on the sender for each viewer that is sent to, and UDP sockets.

    star_kamaelia VIEWERS MILLISECONDS [asyncio|parts] [captured] [idle=NUMBER]

Each sleeps with Kamaelia's own `sleep`, or, with "asyncio", with asyncio's. With "parts" both ends are made
of components of the library: a source | UDPSender on the one, UDPReceiver | Measure on the other. "captured"
has every packet written to a file at both ends of every link, its first 128 bytes. With "idle" there are so
many hosts more, each linked to the router both ways, on which a component sleeps.

The time is taken by a script that runs beside the hosts: from just before the first datagram is sent until
the last has come. Hosts are made and started before that, and stopped after it. No trace is kept.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers import star_common as star
from benchmarks.peers.about_kamaelia import about
from kamaelia import Component, Outbox, component, sleep
from kamaelia.axon import VirtualLoop
from kamaelia.net import UDPReceiver, UDPSender
from kamaelia.testbed import Host, Measure, Network

WORDS = [word for word in sys.argv[1:] if not word.isdigit()]
IDLE = sum(int(word.removeprefix("idle=")) for word in WORDS if word.startswith("idle="))
PARTS, CAPTURED = "parts" in WORDS, "captured" in WORDS
NAP = asyncio.sleep if "asyncio" in WORDS else sleep

PORT = 5004
PAYLOAD = bytes(star.PAYLOAD)
SNAPLEN = 128
MEMORY, ROOM = Path("/dev/shm"), 2_000_000_000  # bytes
BEGIN = 1.0  # virtual seconds, by which all hosts have started
END = BEGIN + star.MILLISECONDS / 1000 + 2 * (star.FIRST_DELAY + star.LAST_DELAY)
# asyncio's sleep ends not before its time, as the loop's clock tells it, so it may take a nanosecond more.
CLOSE = star.CLOSE + ("asyncio" in WORDS) * star.EACH * 1e-9
FIRST = {"rate": f"{star.FIRST_RATE:.0f} bit/s", "delay": star.FIRST_DELAY, "queue": f"{star.QUEUE} packets"}
LAST = {
    "rate": f"{star.LAST_RATE:.0f} bit/s",
    "delay": star.LAST_DELAY,
    "queue": f"{star.QUEUE} packets",
    "loss": star.LOSS,
}


class Viewer(star.Viewer, asyncio.DatagramProtocol):
    """One who is sent to, at a socket."""

    __slots__ = ()

    datagram_received = star.Viewer.take


@component
async def view(inbox: Any, outbox: Any, viewer: Viewer) -> None:
    loop = asyncio.get_running_loop()
    viewer.now = loop.time
    await loop.create_datagram_endpoint(lambda: viewer, local_addr=("0.0.0.0", PORT))
    await loop.create_future()


@component
async def send(inbox: Any, outbox: Any, viewer: Viewer, name: str) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(name, PORT))
    await NAP(BEGIN + viewer.start - loop.time())
    for _ in range(star.EACH):
        transport.sendto(PAYLOAD)
        await NAP(star.EVERY)


class Film(Component):
    """The source of what one viewer is sent."""

    inbox = None
    outbox = Outbox[bytes]("what is sent")

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer

    async def main(self) -> None:
        await sleep(BEGIN + self.viewer.start)
        for _ in range(star.EACH):
            await self.outbox.send(PAYLOAD)
            await sleep(star.EVERY)


@component
async def wait(inbox: Any, outbox: Any) -> None:
    await sleep(3600)


def make(viewers: list[Viewer]) -> Network:
    network = Network()
    sender, router = network.host("sender"), network.router("router")
    network.link(sender, router, **FIRST)
    for index, viewer in enumerate(viewers):
        host = network.host(f"viewer-{index}")
        network.link(router, host, **LAST)
        if PARTS:
            sender.run(Film(viewer) | UDPSender(host.name, PORT))
            host.run(UDPReceiver(PORT, None, quiet=True) | Measure("film"))
        else:
            sender.run(send(viewer, host.name))
            host.run(view(viewer))
    for index in range(IDLE):
        network.link(router, network.host(f"idle-{index}").run(wait), **LAST)
    return network


@contextmanager
def captures(network: Network) -> Iterator[dict[Host | str, Path]]:
    """Yield the files that are to be written, one for each link; what is in them nobody looks at.

    They are in memory, where there is room for them: how fast the disk is, is another question.
    """
    if not CAPTURED:
        yield {}
        return
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    with tempfile.TemporaryDirectory(dir=MEMORY if in_memory else None) as folder:
        yield {
            f"{link.a.name} > {link.b.name}": Path(folder, f"{number}.pcapng")
            for number, link in enumerate(network.links)
        }


def main() -> None:
    viewers = [Viewer(index) for index in range(star.VIEWERS)]
    network = make(viewers)
    marks: list[star.Times] = []

    async def watch() -> None:
        await asyncio.sleep(BEGIN - star.EVERY)
        marks.append(star.times())
        await asyncio.sleep(END - BEGIN + star.EVERY)
        marks.append(star.times())

    network.script(watch)
    gc.collect()
    with captures(network) as files:
        trace = network.simulate(END + 1, keep=None, capture=files, snaplen=SNAPLEN)
    if PARTS:
        for viewer, film in zip(viewers, trace.metrics.find("film").values(), strict=True):
            viewer.received, viewer.first, viewer.last = film.messages, film.first, film.last
    for viewer in viewers:
        viewer.start += BEGIN
    delay = star.FIRST_DELAY + star.LAST_DELAY + star.SENDING
    star.report_star(about(VirtualLoop), viewers, *marks, delay, CLOSE)


if __name__ == "__main__":
    main()
